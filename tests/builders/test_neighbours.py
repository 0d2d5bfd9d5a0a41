"""Neighbour search against brute force over explicit images, thin and skewed cells included."""

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.builders.atoms.neighbours import minimum_distance, nearest_neighbour, neighbour_pairs, wrap

PBC = np.ones(3, dtype=bool)


def brute_force(
    points: np.ndarray, targets: np.ndarray, cell: np.ndarray, cutoff: float
) -> list[tuple[int, int, float]]:
    reach = [int(np.ceil(cutoff / h)) + 2 for h in 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)]
    found = []
    for shift in product(*(range(-r, r + 1) for r in reach)):
        distance = np.linalg.norm(points[:, None] - targets[None] - np.array(shift) @ cell, axis=2)
        for i, j in np.argwhere(distance <= cutoff):
            found.append((int(i), int(j), round(float(distance[i, j]), 6)))
    return sorted(found)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seed=st.integers(0, 10**6), cutoff=st.floats(1.0, 6.0))
def test_pairs_equal_brute_force(seed: int, cutoff: float) -> None:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(2.0, 6.0, 3)) + rng.uniform(-1.0, 1.0, (3, 3))
    points, targets = rng.uniform(0, 1, (4, 3)) @ cell, rng.uniform(0, 1, (5, 3)) @ cell
    who, whom, distance = neighbour_pairs(points, targets=targets, cell=cell, pbc=PBC, cutoff=cutoff)
    ours = sorted((int(i), int(j), round(float(d), 6)) for i, j, d in zip(who, whom, distance, strict=True))
    assert ours == brute_force(points, targets, cell, cutoff)
    shortest, _ = nearest_neighbour(points, targets=targets, cell=cell, pbc=PBC, cutoff=cutoff)
    for index, value in enumerate(shortest):
        expected = min((d for i, _, d in ours if i == index), default=np.inf)
        assert value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("n", [1, 2, 7, 250])
def test_minimum_distance_equals_brute_force(n: int) -> None:
    rng = np.random.default_rng(n)
    cell = np.array([[9.0, 0, 0], [2.0, 8.0, 0], [1.0, -1.0, 7.0]])
    points = rng.uniform(0, 1, (n, 3)) @ cell
    pairs = [d for i, j, d in brute_force(points, points, cell, 9.0 if n < 10 else 3.0) if not (i == j and d < 1e-6)]
    assert minimum_distance(Atoms("H" * n, positions=points, cell=cell, pbc=True)) == pytest.approx(
        min(pairs), abs=1e-5
    )


def test_pairs_inside_one_molecule_do_not_count() -> None:
    atoms = Atoms("NHHPb", positions=[(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 5)])
    atoms.set_array("molecule", np.array([0, 0, 0, -1]))
    assert minimum_distance(atoms) == pytest.approx(5.0)
    assert minimum_distance(Atoms("Pb")) is None


def test_wrap_puts_points_at_the_upper_face_on_the_lower() -> None:
    cell = np.eye(3) * 4.0
    assert np.allclose(wrap(np.array([[4.0, -1e-12, 7.0]]), cell=cell, pbc=PBC), [[0.0, 0.0, 3.0]])


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seed=st.integers(0, 10**6), cutoff=st.floats(0.5, 4.0))
def test_the_nearest_is_the_first_of_all_pairs_and_beyond_the_cutoff_there_is_none(seed: int, cutoff: float) -> None:
    rng = np.random.default_rng(seed)
    cell = rng.normal(size=(3, 3)) * 1.5 + np.eye(3) * 7.0
    points, targets = rng.random((6, 3)) @ cell, rng.random((4, 3)) @ cell
    distance, number = nearest_neighbour(points, targets=targets, cell=cell, pbc=PBC, cutoff=cutoff)
    pairs = brute_force(points, targets, cell, cutoff)
    for i in range(len(points)):
        own = [(far, j) for here, j, far in pairs if here == i]
        if own:
            assert distance[i] == pytest.approx(min(own)[0], abs=1e-6)
            assert number[i] in {j for far, j in own if far < min(own)[0] + 1e-6}
        else:
            assert (distance[i], number[i]) == (np.inf, -1)
