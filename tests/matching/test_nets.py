"""Surface nets: against a search over lattice vectors, independent of the cell they are described in."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from qdip_struct.base.errors import UsageError
from qdip_struct.matching.nets import net_from_vectors, point_group, primitive_vectors, surface_net
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.sites import Site

CRYSTALS = ["PbS", "CsPbBr3:cubic", "MAPbI3:tetragonal", "CdSe:wurtzite", "CdSe:zincblende", "CsPbI3:gamma", "CsBr"]
PLANES = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -1, 0), (1, 1, 1), (2, 1, 0), (2, -2, 4), (1, 2, 3)]


def lattice_points(crystal):
    """Every lattice translation within ±4 conventional cells, found by trying every site difference."""
    kinds = [(s.label, s.species) for s in crystal.sites]
    positions = np.array([s.position for s in crystal.sites])
    shifts = []
    for site in positions[[i for i, k in enumerate(kinds) if k == kinds[0]]]:
        step = site - positions[0]
        moved = positions + step
        gaps = np.abs((moved[:, None] - positions[None] + 0.5) % 1.0 - 0.5).max(axis=2)
        if all(any(gaps[i, j] < 1e-4 and kinds[i] == kinds[j] for j in range(len(kinds))) for i in range(len(kinds))):
            shifts.append(step)
    cells = np.array(list(itertools.product(range(-4, 5), repeat=3)))
    return np.concatenate([cells + step for step in shifts])


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("plane", PLANES)
def test_the_net_is_the_smallest_cell_of_lattice_vectors_in_the_plane(name, plane):
    crystal = get_crystal(name)
    net = surface_net(crystal, plane=plane)
    points = lattice_points(crystal)
    inside = points[np.abs(points @ np.array(plane)) < 1e-6]
    vectors = inside @ crystal.cell
    lengths = np.linalg.norm(vectors, axis=1)
    vectors, lengths = vectors[lengths > 1e-6], lengths[lengths > 1e-6]
    order = np.argsort(lengths)
    first = vectors[order[0]]
    second = next(v for v in vectors[order] if np.linalg.norm(np.cross(first, v)) > 1e-6)
    assert np.sqrt(np.diag(net.gram)) == pytest.approx([np.linalg.norm(first), np.linalg.norm(second)])
    assert net.area == pytest.approx(np.linalg.norm(np.cross(first, second)))


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("plane", PLANES)
def test_directions_lie_in_the_plane_and_give_the_vectors(name, plane):
    crystal = get_crystal(name)
    net = surface_net(crystal, plane=plane)
    rows = np.array([[float(x) for x in row] for row in net.uvw])
    assert rows @ np.array(plane) == pytest.approx(np.zeros(2))
    cartesian = rows @ crystal.cell
    assert cartesian @ cartesian.T == pytest.approx(net.gram)
    normal = np.array(plane) @ np.linalg.inv(crystal.cell).T
    assert np.dot(np.cross(*cartesian), normal) > 0
    (a, b), (c, d) = net.vectors
    assert b == 0.0 and a > 0 and a * d - b * c > 0


def test_published_nets():
    assert surface_net(get_crystal("PbS"), plane=(1, 0, 0)).area == pytest.approx(5.936**2 / 2)
    tetragonal = surface_net(get_crystal("MAPbI3"), plane=(1, 1, 0))
    # the primitive net of the body-centred (110) is (√2×√2)R45 of the pseudo-cubic one
    assert tetragonal.area == pytest.approx(8.849 * np.sqrt(2) * 12.642 / 2)


def test_primitive_vectors_hold_one_lattice_point():
    for name, share in (("PbS", 4), ("CsPbBr3", 1), ("MAPbI3", 2), ("CdSe:wurtzite", 1), ("CdSe", 4)):
        rows = np.array([[float(x) for x in row] for row in primitive_vectors(get_crystal(name))])
        assert abs(np.linalg.det(rows)) == pytest.approx(1 / share)


def test_the_net_does_not_depend_on_the_description_of_the_crystal():
    crystal = get_crystal("PbS")
    primitive = 0.5 * crystal.cell @ np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    lengths = np.linalg.norm(primitive, axis=1)
    rhombohedral = replace(
        crystal,
        lengths=tuple(float(x) for x in lengths),
        angles=(60.0, 60.0, 60.0),
        sites=(Site("cation", "Pb", (0.0, 0.0, 0.0)), Site("anion", "S", (0.5, 0.5, 0.5))),
        n_formula_units=1,
    )
    for conventional, own in (((1, 0, 0), (0, 1, 1)), ((1, 1, 1), (1, 1, 1)), ((1, 1, 0), (1, 1, 2))):
        one, other = surface_net(crystal, plane=conventional), surface_net(rhombohedral, plane=own)
        assert one.gram == pytest.approx(other.gram)


def test_point_groups():
    square, rectangle, hexagon = ([[4, 0], [0, 4]], [[4, 0], [0, 5]], [[4, -2], [-2, 4]])
    oblique, rhombus = ([[4, -1], [-1, 5]], [[4, -1], [-1, 4]])
    sizes = [len(point_group(np.array(g, dtype=float))) for g in (square, rectangle, hexagon, oblique, rhombus)]
    assert sizes == [4, 2, 6, 1, 2]


def test_bad_vectors():
    for vectors in ([[1, 0], [2, 0]], [[1, 0], [np.nan, 1]], [[1, 0, 0, 0], [0, 1, 0, 0]], [[0, 0], [0, 0]]):
        with pytest.raises(UsageError):
            net_from_vectors(vectors)


@pytest.mark.parametrize("scale", [1e-3, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("hand", [1, -1])
def test_a_net_keeps_its_hand_and_its_shape_at_every_scale(scale, hand):
    """An oblique net has no mirror line: the acute angle between its reduced vectors is seen from one side alone."""
    rows = np.array([[4.0, 0.0], [1.0, 5.0]]) * [hand, 1]
    net, scaled = net_from_vectors(rows), net_from_vectors(scale * rows)
    assert np.array(scaled.vectors) == pytest.approx(scale * np.array(net.vectors), rel=1e-9)
    assert np.sign(net.gram[0, 1]) == hand
