"""Shapes: volumes that geometry knows, points inside, and refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.dot.shapes import SHAPES, Polyhedron, family, make_shape, polyhedron


def test_known_volumes() -> None:
    assert make_shape("sphere", diameter=30).volume == pytest.approx(math.pi * 27000 / 6)
    assert make_shape("cube", diameter=20).volume == pytest.approx(8000)
    assert make_shape("cuboid", edges=(10, 20, 30)).volume == pytest.approx(6000)
    assert make_shape("ellipsoid", edges=(10, 20, 30)).volume == pytest.approx(math.pi * 1000)


@pytest.mark.parametrize("name", ["octahedron", "dodecahedron", "truncated-octahedron"])
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
        name, diameter=20, edges=(20, 14, 26), energies={(1, 0, 0): 1.0, (1, 1, 1): 1.1}, distances={(1, 1, 1): 9.0}
    )
    points = np.random.default_rng(0).uniform(-14, 14, (2000, 3))
    assert np.array_equal(body.contains(points), body.contains(-points))
    assert body.contains(points, grown=1.0).sum() > body.contains(points).sum()
    assert body.scaled(2.0).volume == pytest.approx(8 * body.volume)


@pytest.mark.parametrize("value", [0.0, -3.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["sphere", "cube", "octahedron"])
def test_impossible_sizes_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match="above zero"):
        make_shape(name, diameter=value)


def test_other_refusals() -> None:
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
