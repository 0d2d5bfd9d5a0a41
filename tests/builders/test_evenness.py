"""Choosing sites: even over the facets, symmetric as far as the count allows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.builders.dot.neutrality import _subgroups, choose, cube_operations, spread

AXES = np.concatenate([np.eye(3), -np.eye(3)])
CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float) * 5
EDGES = np.array([row for row in np.ndindex(3, 3, 3) if list(row).count(1) == 1], dtype=float) * 5 - 5
FACES = np.array([row for row in np.ndindex(3, 3, 3) if list(row).count(1) == 2], dtype=float) * 5 - 5


def symmetry(points: np.ndarray) -> int:
    """Number of the cube's operations that carry a set of points onto itself."""
    rows = {tuple(row) for row in np.rint(points * 10).astype(int).tolist()}
    images = ({tuple(row) for row in np.rint(points @ g.T * 10).astype(int).tolist()} for g in cube_operations())
    return sum(image == rows for image in images)


def test_the_cube_has_48_operations_and_98_subgroups() -> None:
    operations = cube_operations()
    assert len(np.unique(operations.reshape(48, 9), axis=0)) == 48
    assert len(_subgroups()) + 1 == 98
    assert sorted({len(group) for group in _subgroups()}) == [2, 3, 4, 6, 8, 12, 16, 24, 48]


@pytest.mark.parametrize(
    ("points", "count", "largest"),
    [
        (CORNERS, 4, 24),  # a tetrahedron
        (CORNERS, 2, 12),  # two ends of a body diagonal
        (CORNERS, 1, 6),
        (EDGES, 6, 12),  # a hexagon around a body diagonal, or two triangles
        (FACES, 2, 16),
        (FACES, 3, 6),  # three faces about one corner
        (FACES, 5, 8),
    ],
)
def test_the_largest_possible_symmetry_survives(points: np.ndarray, count: int, largest: int) -> None:
    for seed in range(3):
        chosen = choose(points, facets=AXES, count=count, rng=np.random.default_rng(seed))
        assert len(set(chosen.tolist())) == count
        assert symmetry(points[chosen]) == largest


@settings(deadline=None, derandomize=True, max_examples=20)
@given(points=st.sampled_from([CORNERS, EDGES, FACES]), turn=st.integers(0, 47), seed=st.integers(0, 9), data=st.data())
def test_turning_the_sites_turns_nothing_else(points: np.ndarray, turn: int, seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(points)))
    turned = points @ cube_operations()[turn].T
    here = choose(points, facets=AXES, count=count, rng=np.random.default_rng(seed))
    there = choose(turned, facets=AXES, count=count, rng=np.random.default_rng(seed))
    assert symmetry(points[here]) == symmetry(turned[there])


@settings(deadline=None, derandomize=True, max_examples=30)
@given(count=st.integers(0, 54), seed=st.integers(0, 99))
def test_facets_share_evenly(count: int, seed: int) -> None:
    """Nine sites on each of six faces of a cube, none on an edge: loads differ by one at most."""
    grid = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)], dtype=float)
    points = np.concatenate([np.insert(grid, axis, sign * 3.0, axis=1) for axis in range(3) for sign in (1.0, -1.0)])
    chosen = spread(points, facets=AXES, count=count, order=np.random.default_rng(seed).permutation(len(points)))
    assert len(set(chosen.tolist())) == count
    loads = (points[chosen] @ AXES.T > 2.5).sum(axis=0)
    assert loads.max(initial=0) - loads.min(initial=99) <= 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_of_eight_corners_lie_opposite(seed: int) -> None:
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float) * 5
    chosen = spread(corners, facets=AXES, count=2, order=np.random.default_rng(seed).permutation(8))
    assert np.allclose(corners[chosen].sum(axis=0), 0.0)
