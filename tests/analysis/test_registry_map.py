"""Registry maps: known functions come back, equal shifts are found, gap curves have their optimum."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.analysis.energies.registry_map import (
    ShiftPoint,
    best_gap,
    film_shift,
    map_document,
    metal_shift,
    registry_map,
    shift_operations,
)
from qdip_struct.base.errors import MismatchError

SQUARE = np.diag([6.0, 6.0])


def point(fraction: tuple[float, float], value: float) -> ShiftPoint:
    return ShiftPoint(fraction, f"{fraction[0]:g},{fraction[1]:g}", best_gap([3.0], [value]), (f"runs/{fraction}",))


def wave(shift: tuple[float, float], a: float, b: float, c: float) -> float:
    x, y = 2 * np.pi * np.asarray(shift)
    return float(a + b * (np.cos(x) + np.cos(y)) + c * np.cos(x) * np.cos(y))


def square_operations() -> list[tuple[np.ndarray, np.ndarray]]:
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    mirror = np.array([[1.0, 0.0], [0.0, -1.0]])
    rotations = [np.linalg.matrix_power(quarter, k) @ m for k in range(4) for m in (np.eye(2), mirror)]
    return [(rotation, np.zeros(2)) for rotation in rotations]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(a=st.floats(-5, 15), b=st.floats(-6, 6), c=st.floats(-3, 3))
def test_map_goes_through_every_computed_shift_and_has_the_period(a: float, b: float, c: float) -> None:
    shifts = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.25, 0.25), (0.25, 0.0)]
    found = registry_map([point(s, wave(s, a, b, c)) for s in shifts], lateral=SQUARE, operations=square_operations())
    for shift in shifts:
        assert found.at(np.array(shift))[0] == pytest.approx(wave(shift, a, b, c), abs=1e-4)
        moved = np.add(shift, (3, -2))
        assert found.at(moved)[0] == pytest.approx(wave(shift, a, b, c), abs=1e-4)
        turned = np.array([shift[1], -shift[0]])
        assert found.at(turned)[0] == pytest.approx(wave(shift, a, b, c), abs=1e-4)


def test_smooth_function_is_interpolated_between_the_shifts() -> None:
    def exact(shift: tuple[float, float]) -> float:
        return wave(shift, 5.0, -4.0, 1.0)

    grid = [(i / 8, j / 8) for i in range(8) for j in range(8)]
    found = registry_map([point(s, exact(s)) for s in grid], lateral=SQUARE)
    rng = np.random.default_rng(1)
    for shift in rng.random((50, 2)):
        assert found.at(shift)[0] == pytest.approx(exact(tuple(shift)), abs=0.1)
    place, value = found.optimum()
    assert place == pytest.approx((0.5, 0.5), abs=1e-3)
    assert value == pytest.approx(14.0, abs=0.01)


def test_symmetry_stands_in_for_what_was_not_computed() -> None:
    few = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.25, 0.0), (0.25, 0.25), (0.5, 0.25)]
    everywhere = [(i / 4, j / 4) for i in range(4) for j in range(4)]
    one = registry_map([point(s, wave(s, 1.0, 2.0, 3.0)) for s in few], lateral=SQUARE, operations=square_operations())
    two = registry_map([point(s, wave(s, 1.0, 2.0, 3.0)) for s in everywhere], lateral=SQUARE)
    assert len(one.points) == len(two.points) == 16
    assert np.abs(one.grid(24) - two.grid(24)).max() < 1e-6


def test_oblique_cell_and_document() -> None:
    lateral = np.array([[4.2, 0.0], [2.1, 3.637]])
    found = registry_map([point((0.0, 0.0), 1.0), point((1 / 3, 1 / 3), 4.0)], lateral=lateral)
    document = map_document(found)
    assert document["best"]["registry"] == "0.333333,0.333333"
    assert document["corrugation_mev_per_angstrom2"] == pytest.approx(3.0)
    assert [shift["multiplicity"] for shift in document["shifts"]] == [1, 1]
    assert np.array(document["map"]["adsorption_energies_mev_per_angstrom2"]).shape == (24, 24)


def test_contradicting_equal_shifts_and_single_shifts_are_refused() -> None:
    with pytest.raises(MismatchError, match="at least two lateral shifts"):
        registry_map([point((0.0, 0.0), 1.0)], lateral=SQUARE)
    with pytest.raises(MismatchError, match="equal by symmetry"):
        registry_map([point((0.5, 0.0), 1.0), point((0.0, 0.5), 9.0)], lateral=SQUARE, operations=square_operations())


def test_best_gap_by_a_parabola_and_without() -> None:
    def energy(gap: float) -> float:
        return 18.0 - 40.0 * (gap - 3.21) ** 2

    gaps = [3.4, 3.0, 3.2]
    found = best_gap(gaps, [energy(g) for g in gaps])
    assert found.method == "parabola"
    assert found.best_gap == pytest.approx(3.21)
    assert found.best_value == pytest.approx(18.0)
    assert found.gaps == (3.0, 3.2, 3.4)
    rising = best_gap([3.0, 3.2, 3.4], [1.0, 2.0, 3.0])
    assert (rising.method, rising.best_gap, rising.best_value) == ("largest", 3.4, 3.0)
    assert best_gap([3.0], [1.0]).method == "single"
    with pytest.raises(MismatchError, match="occurs twice"):
        best_gap([3.0, 3.0], [1.0, 2.0])
    with pytest.raises(MismatchError, match="one energy for each gap"):
        best_gap([], [])


def slab(region: str, symbols: str, positions: list[list[float]]) -> Atoms:
    atoms = Atoms(symbols, positions=positions, cell=np.diag([6.0, 6.0, 30.0]), pbc=True)
    atoms.arrays["region"] = np.array([region] * len(atoms))
    return atoms


SUBSTRATE = slab("substrate", "PbBr2", [[0, 0, 5], [3, 0, 5], [0, 3, 5]])
FILM = slab("film", "Pb2S2", [[0, 3, 8.2], [3, 0, 8.2], [3, 3, 8.2], [0, 0, 8.2]])


def test_operations_of_rock_salt_on_perovskite_are_those_of_the_square_and_the_centring() -> None:
    operations = shift_operations(FILM, SUBSTRATE)
    assert len(operations) == 16
    moves = {tuple(move) for rotation, move in operations if np.allclose(rotation, np.eye(2))}
    assert moves == {(0.0, 0.0), (0.5, 0.5)}


def test_operations_are_a_group() -> None:
    """One operation after another is again one of them."""
    operations = shift_operations(FILM, SUBSTRATE)

    def key(rotation: np.ndarray, move: np.ndarray) -> tuple[float, ...]:
        return (*rotation.ravel(), *np.round(move - np.floor(move + 1e-4), 3))

    known = {key(*operation) for operation in operations}
    for r1, t1 in operations:
        for r2, t2 in operations:
            assert key(r1 @ r2, r1 @ t2 + t1) in known


def test_a_lone_atom_breaks_the_symmetry() -> None:
    broken = SUBSTRATE + slab("substrate", "I", [[1.0, 0.3, 4.0]])
    assert len(shift_operations(FILM, broken)) == 2


def test_shift_of_a_film_is_read_from_the_structures() -> None:
    both = SUBSTRATE + FILM
    moved = both.copy()
    moved.positions[3:, :2] += [1.5, 4.5]
    moved.positions += [0.4, -0.2, 1.0]
    moved.wrap()
    assert film_shift(moved, both) == pytest.approx((0.25, 0.75), abs=1e-5)
    assert film_shift(both, both) == (0.0, 0.0)
    bent = moved.copy()
    bent.positions[4] += [0.5, 0, 0]
    with pytest.raises(MismatchError, match="not merely shifted"):
        film_shift(bent, both)
    with pytest.raises(MismatchError, match="is not the same"):
        film_shift(SUBSTRATE, both)
    bare = both.copy()
    del bare.arrays["region"]
    with pytest.raises(MismatchError, match="no regions"):
        film_shift(bare, both)


def test_shift_of_the_metals() -> None:
    both = SUBSTRATE + FILM
    assert metal_shift(both) == (0.0, 0.0)
    both.arrays["formal_charge"] = np.array([2, -1, -1, 2, 2, -2, -2])
    assert metal_shift(both) == pytest.approx((0.5, 0.0))
