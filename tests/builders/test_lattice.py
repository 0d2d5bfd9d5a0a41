"""Integer lattice arithmetic of slabs: points of a supercell, completions of a plane, reduced pairs."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qdip_struct.builders.atoms.cells import lattice_points, reduced_pair

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
ENTRY = st.integers(-4, 4)
CHANGES = [(a, b, c, d) for a, b, c, d in itertools.product(range(-4, 5), repeat=4) if abs(a * d - b * c) == 1]
"""Changes of basis with small entries."""


@STEADY
@given(ENTRY, ENTRY, ENTRY, ENTRY)
def test_a_supercell_holds_one_point_of_each_class_whatever_its_hand(a: int, b: int, c: int, d: int) -> None:
    determinant = a * d - b * c
    assume(determinant)
    matrix = np.array([[a, b], [c, d]])
    points = lattice_points(matrix)
    assert len(points) == abs(determinant)
    inside = points @ np.linalg.inv(matrix)
    assert inside.min(initial=0.0) > -1e-9 and inside.max(initial=0.0) < 1 - 1e-9
    apart = (points[:, None] - points[None]) @ np.linalg.inv(matrix)
    same = np.abs(apart - np.rint(apart)).max(axis=2) < 1e-9
    assert np.array_equal(same, np.eye(len(points), dtype=bool))


@STEADY
@given(st.floats(3.0, 9.0), st.floats(3.0, 9.0), st.floats(20.0, 160.0), st.sampled_from(CHANGES))
def test_a_reduced_pair_has_the_two_shortest_vectors_and_the_hand_of_the_first(
    one: float, other: float, angle: float, change: tuple[int, int, int, int]
) -> None:
    net = np.array([[one, 0.0], [other * np.cos(np.radians(angle)), other * np.sin(np.radians(angle))]])
    given_pair = np.reshape(change, (2, 2)) @ net
    reduced = reduced_pair(given_pair) @ given_pair
    assert np.linalg.det(reduced) == pytest.approx(np.linalg.det(given_pair))
    steps = np.array([[i, j] for i in range(-12, 13) for j in range(-12, 13) if (i, j) != (0, 0)]) @ net
    order = np.argsort(np.linalg.norm(steps, axis=1))
    first = steps[order[0]]
    second = next(v for v in steps[order] if abs(first[0] * v[1] - first[1] * v[0]) > 1e-6)
    lengths = np.linalg.norm(reduced, axis=1)
    assert lengths == pytest.approx([np.linalg.norm(first), np.linalg.norm(second)], rel=1e-6)
