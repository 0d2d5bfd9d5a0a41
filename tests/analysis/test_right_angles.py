"""Right-angled cells of oblique ones: same crystal, nothing strained, smallest; the known cells of known lattices."""

from itertools import combinations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.analysis.diffraction.diffraction import spot_angle, zone_spots
from qdip_struct.analysis.diffraction.hrtem import right_angled
from qdip_struct.base.errors import UsageError

A = 5.936


def distances(atoms, *, cutoff=6.5):
    """Sorted distances around each element, per atom: what a choice of cell cannot change."""
    from ase.neighborlist import neighbor_list

    first, length = neighbor_list("id", atoms, cutoff)
    return {
        symbol: np.sort(np.round(length[np.isin(first, np.flatnonzero(atoms.symbols == symbol))], 6))
        for symbol in set(atoms.symbols)
    }


@pytest.mark.parametrize(
    ("crystal", "beam", "lengths", "copies"),
    [
        (bulk("PbS", "rocksalt", a=A), 0, (A / np.sqrt(2), A, A / np.sqrt(2)), 2),
        (bulk("PbS", "rocksalt", a=A, cubic=True), 1, (A, A, A), 1),
        (bulk("Zn", "hcp", a=2.66, c=4.95), 2, (2.66, 2.66 * np.sqrt(3), 4.95), 2),
        (bulk("Zn", "hcp", a=2.66, c=4.95), 0, (2.66 * np.sqrt(3), 4.95, 2.66), 2),
        (bulk("Fe", "bcc", a=2.87), 0, (2.87 * np.sqrt(2), 2.87 * np.sqrt(6), 2.87 * np.sqrt(3) / 2), 6),
    ],
)
def test_cells_of_known_lattices(crystal, beam, lengths, copies):
    box, matrix = right_angled(crystal, beam=beam)
    assert box.cell.lengths() == pytest.approx(lengths)
    assert box.cell.angles() == pytest.approx([90, 90, 90])
    assert len(box) == copies * len(crystal)
    assert abs(np.linalg.det(matrix)) == pytest.approx(copies)
    assert matrix[2].tolist() == np.eye(3)[beam].tolist()


@pytest.mark.parametrize("beam", [0, 1, 2])
def test_the_crystal_is_the_same(beam):
    rng = np.random.default_rng(3)
    atoms = bulk("PbS", "rocksalt", a=A)
    atoms.positions[1] += rng.normal(scale=0.1, size=3)
    box, matrix = right_angled(atoms, beam=beam)
    copies = round(abs(np.linalg.det(matrix)))
    one, other = distances(atoms), distances(box)
    for symbol, values in one.items():
        np.testing.assert_allclose(np.repeat(values, copies), other[symbol], atol=1e-5)


unimodular = st.lists(st.tuples(st.sampled_from([(0, 1), (0, 2), (1, 2)]), st.integers(-2, 2)), min_size=1, max_size=2)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(steps=unimodular)
def test_a_sheared_choice_of_cell_vectors_changes_no_spot(steps):
    """Any vectors of one lattice: spacings, strengths and angles of the spots along one direction are the same."""
    places = [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]]
    straight = Atoms("PbI3Cs", scaled_positions=places, cell=[6.2, 6.3, 6.5], pbc=True)
    matrix = np.eye(3, dtype=int)
    for (target, source), times in steps:
        matrix[target] += times * matrix[source]
    oblique = straight.copy()
    oblique.set_cell(matrix @ straight.cell.array)
    zone = np.rint(np.array([1, 1, 0]) @ np.linalg.inv(matrix)).astype(int)
    one, other = zone_spots(straight, zone=(1, 1, 0)), zone_spots(oblique, zone=tuple(zone.tolist()))
    assert len(one) == len(other) > 3
    assert [s.spacing_angstrom for s in one] == pytest.approx([s.spacing_angstrom for s in other], rel=1e-9)
    assert [s.strength for s in one] == pytest.approx([s.strength for s in other], rel=1e-6, abs=1e-12)
    angles = [sorted(round(spot_angle(*pair), 5) for pair in combinations(spots, 2)) for spots in (one, other)]
    assert angles[0] == pytest.approx(angles[1], abs=2e-5)


def test_primitive_and_conventional_rock_salt_show_the_same_sixty_degrees():
    """(1 1 1) of the primitive cell is the same direction as (1 1 1) of the cubic one."""
    one = zone_spots(bulk("PbS", "rocksalt", a=A), zone=(1, 1, 1))
    other = zone_spots(bulk("PbS", "rocksalt", a=A, cubic=True), zone=(1, 1, 1))
    for spots in (one, other):
        assert [spot.spacing_angstrom for spot in spots] == pytest.approx([A / np.sqrt(8)] * 3)
        assert [spot_angle(*pair) for pair in combinations(spots, 2)] == pytest.approx([60.0] * 3)


def test_angles_a_little_off_are_set_right_and_larger_ones_are_not():
    def tilted(degree):
        turn = np.radians(degree)
        cell = [[6, 0, 0], [6 * np.sin(turn), 6 * np.cos(turn), 0], [0, 0, 6]]
        return Atoms("Pb", cell=cell, pbc=True)

    assert len(right_angled(tilted(0.03), beam=2)[0]) == 1
    rhombic = right_angled(tilted(3.0), beam=2)[0]
    assert len(rhombic) == 2
    assert rhombic.get_volume() == pytest.approx(2 * tilted(3.0).get_volume())


@pytest.mark.parametrize(
    ("atoms", "words", "message"),
    [
        (Atoms("Pb"), {"beam": 2}, "three-dimensional"),
        (Atoms("Pb", cell=[5, 5, 5], pbc=True), {"beam": 3}, "beam 3"),
        (Atoms("Pb", cell=[[5, 0, 0], [1.37, 6, 0], [0.71, 1.93, 7]], pbc=True), {"beam": 0}, "no right-angled cell"),
    ],
)
def test_what_cannot_be_is_refused(atoms, words, message):
    with pytest.raises(UsageError, match=message):
        right_angled(atoms, **words)


def test_a_cell_that_would_be_too_large_says_so(monkeypatch):
    monkeypatch.setattr("qdip_struct.analysis.diffraction.hrtem.MOST_ATOMS", 3)
    with pytest.raises(UsageError, match="2 times as large: 4 atoms"):
        right_angled(bulk("PbS", "rocksalt", a=A), beam=0)
