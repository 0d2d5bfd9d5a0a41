"""Shapes: volumes that geometry knows, points inside, and refusals."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.dot.dot_request import DotRequest, requested_dot
from qdip_struct.builders.dot.shapes import SHAPES, Polyhedron, family, make_shape, polyhedron


def test_known_volumes() -> None:
    assert make_shape("sphere", diameter=30).volume == pytest.approx(math.pi * 27000 / 6)
    assert make_shape("cube", diameter=20).volume == pytest.approx(8000)
    assert make_shape("cuboid", edges=(10, 20, 30)).volume == pytest.approx(6000)
    assert make_shape("ellipsoid", edges=(10, 20, 30)).volume == pytest.approx(math.pi * 1000)


@pytest.mark.parametrize("name", ["octahedron", "cuboctahedron", "dodecahedron", "truncated-octahedron"])
def test_other_polyhedra_have_the_volume_of_the_sphere(name: str) -> None:
    assert make_shape(name, diameter=24).volume == pytest.approx(math.pi * 24**3 / 6)


def test_truncated_octahedron_has_equal_edges() -> None:
    corners = make_shape("truncated-octahedron", diameter=20).corners
    apart = np.linalg.norm(corners[:, None] - corners[None], axis=2)
    shortest = np.sort(apart, axis=1)[:, 1:4]
    assert len(np.unique(np.round(corners, 6), axis=0)) == 24
    assert np.ptp(shortest) < 1e-6


@pytest.mark.parametrize(
    ("hkl", "count"), [((1, 0, 0), 6), ((1, 1, 0), 12), ((1, 1, 1), 8), ((2, 1, 0), 24), ((3, 2, 1), 48)]
)
def test_families_of_a_cubic_crystal(hkl: tuple[int, int, int], count: int) -> None:
    assert len(family(hkl)) == count


def test_wulff_with_costly_111_is_a_cube_and_with_costly_100_an_octahedron() -> None:
    cube = polyhedron("wulff", energies={(1, 0, 0): 1.0, (1, 1, 1): 5.0}, volume=1000.0)
    assert np.allclose(np.abs(cube.corners), 5.0)
    octahedron = polyhedron("wulff", energies={(1, 0, 0): 5.0, (1, 1, 1): 1.0}, volume=1000.0)
    assert len(np.unique(np.round(octahedron.corners, 6), axis=0)) == 6


def test_facets_stand_at_their_distances() -> None:
    body = make_shape("facets", distances={(1, 0, 0): 10.0, (1, 1, 1): 12.0})
    for hkl, distance in (((1, 0, 0), 10.0), ((1, 1, 1), 12.0)):
        assert (body.corners @ family(hkl).T).max(axis=0) == pytest.approx([distance] * len(family(hkl)))
    with pytest.raises(UsageError, match="distances"):
        make_shape("facets", diameter=20)
    with pytest.raises(UsageError, match="above zero"):
        make_shape("facets", distances={(1, 0, 0): -2.0})


@settings(deadline=None, derandomize=True, max_examples=20)
@given(e111=st.floats(0.6, 1.7), e110=st.floats(0.7, 1.5), seed=st.integers(0, 1000))
def test_volume_equals_the_share_of_random_points_inside(e111: float, e110: float, seed: int) -> None:
    body = polyhedron("wulff", energies={(1, 0, 0): 1.0, (1, 1, 1): e111, (1, 1, 0): e110}, volume=8000.0)
    half = float(body.extent.max())
    points = np.random.default_rng(seed).uniform(-half, half, (40000, 3))
    share = body.contains(points).mean()
    assert share * (2 * half) ** 3 == pytest.approx(8000.0, rel=0.06)
    assert np.array_equal(body.contains(points), body.height(points) <= 1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_inside_is_symmetric_about_the_centre(name: str) -> None:
    body = make_shape(
        name, diameter=20, edges=(20, 14, 26), energies={(1, 0, 0): 1.0, (1, 1, 1): 1.1}, distances={(1, 1, 1): 9.0},
        length=26, axis=(1, 1, 0), thickness=9,
    )  # fmt: skip
    points = np.random.default_rng(0).uniform(-14, 14, (2000, 3))
    assert np.array_equal(body.contains(points), body.contains(-points))
    assert body.contains(points, grown=1.0).sum() > body.contains(points).sum()
    assert body.scaled(2.0).volume == pytest.approx(8 * body.volume)


@pytest.mark.parametrize("value", [0.0, -3.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["sphere", "cube", "octahedron"])
def test_impossible_sizes_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match="above zero"):
        make_shape(name, diameter=value)


def test_cuboctahedron_has_twelve_corners_and_equal_edges() -> None:
    """Edge a: twelve corners, four neighbours each at a, volume 5√2/3 a³, circumscribed radius a."""
    body = make_shape("cuboctahedron", diameter=20)
    corners = np.unique(np.round(body.corners, 6), axis=0)
    apart = np.sort(np.linalg.norm(corners[:, None] - corners[None], axis=2), axis=1)
    assert len(corners) == 12
    edge = apart[0, 1]
    assert apart[:, 1:5] == pytest.approx(np.full((12, 4), edge), rel=1e-5)
    assert np.linalg.norm(corners, axis=1) == pytest.approx(np.full(12, edge), rel=1e-5)
    assert body.volume == pytest.approx(5 * math.sqrt(2) / 3 * edge**3, rel=1e-5)
    assert len({tuple(row) for row in np.round(body.facets, 4)}) == 6 + 8


def test_octahedron_has_eight_faces_and_the_analytic_volume() -> None:
    corners = np.unique(np.round(make_shape("octahedron", diameter=20).corners, 6), axis=0)
    edge = math.sqrt(2) * np.abs(corners).max()
    assert len(corners) == 6
    assert make_shape("octahedron", diameter=20).volume == pytest.approx(math.sqrt(2) / 3 * edge**3, rel=1e-5)


def test_rod_and_platelet_have_the_volumes_of_their_lengths() -> None:
    rod = make_shape("rod", diameter=20, length=60, axis=(1, 1, 1))
    assert rod.volume == pytest.approx(math.pi * 100 * 60)
    assert rod.reach == pytest.approx(math.hypot(10, 30))
    points = np.random.default_rng(1).uniform(-36, 36, (60000, 3))
    assert rod.contains(points).mean() * 72**3 == pytest.approx(rod.volume, rel=0.05)
    assert np.array_equal(rod.contains(points), rod.height(points) <= 1e-6)
    assert np.abs(points[rod.contains(points)]).max(axis=0) == pytest.approx(rod.extent, rel=0.06)
    plate = make_shape("platelet", diameter=40, thickness=12)
    assert plate.volume == pytest.approx(40 * 40 * 12)
    assert plate.extent == pytest.approx([20, 20, 6])


@pytest.mark.parametrize(
    "energies", [{(1, 0, 0): 1.0, (1, 1, 1): 1.1}, {(1, 0, 0): 1.0, (1, 1, 1): 0.8, (1, 1, 0): 0.95}]
)
def test_wulff_bodies_have_the_facets_of_pymatgen(energies: dict[tuple[int, int, int], float]) -> None:
    """The whole surface over volume^(2/3), which does not depend on the size."""
    from pymatgen.analysis.wulff import WulffShape
    from pymatgen.core import Lattice
    from scipy.spatial import ConvexHull

    other = WulffShape(Lattice.cubic(5.936), list(energies), list(energies.values()))
    body = polyhedron("wulff", energies=energies, volume=8000.0)
    hull = ConvexHull(body.corners)
    assert hull.area / hull.volume ** (2 / 3) == pytest.approx(other.surface_area / other.volume ** (2 / 3), rel=1e-6)


def test_other_refusals() -> None:
    with pytest.raises(UsageError, match="needs a length"):
        make_shape("rod", diameter=20)
    with pytest.raises(UsageError, match="thickness"):
        make_shape("platelet", diameter=20)
    with pytest.raises(UsageError, match="axis"):
        make_shape("rod", diameter=20, length=30, axis=(0, 0, 0))
    with pytest.raises(UsageError, match="unknown shape 'blob'"):
        make_shape("blob", diameter=3)
    with pytest.raises(UsageError, match="three edges"):
        make_shape("cuboid", diameter=3)
    with pytest.raises(UsageError, match="surface energies"):
        make_shape("wulff", diameter=20)
    with pytest.raises(UsageError, match="above zero"):
        make_shape("wulff", diameter=20, energies={(1, 0, 0): -1.0})
    open_box = Polyhedron("slab", ((0.0, 0.0, 1.0), (0.0, 0.0, -1.0)), (1.0, 1.0))
    with pytest.raises(UsageError, match="do not enclose"):
        _ = open_box.corners


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"shape": "cube", "length": 30.0}, "--length belongs to rod"),
        ({"shape": "rod", "length": 30.0, "thickness": "4ML"}, "--thickness belongs to platelet"),
        ({"shape": "sphere", "axis": "111"}, "--axis belongs to rod"),
        ({"shape": "platelet", "thickness": "0ML"}, "one or more monolayers"),
        ({"shape": "platelet", "thickness": "4 layers"}, "--thickness"),
        ({"shape": "rod", "diameter": None, "atoms": 300, "length": 20.0}, "leave --atoms out"),
    ],
)
def test_options_of_another_shape_are_refused(wish: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        requested_dot(DotRequest(material="PbS", **{"diameter": 15.0, **wish}))


def test_monolayers_of_a_crystal_with_uneven_planes_are_refused() -> None:
    file = Path(__file__).parents[1] / "data" / "crystals" / "SnS.cif"
    with pytest.raises(UsageError, match="not equally spaced"):
        requested_dot(DotRequest(material=str(file), shape="platelet", diameter=20.0, thickness="3ML"))
