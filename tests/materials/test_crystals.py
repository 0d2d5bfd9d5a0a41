"""Crystal records: cells and sites of every shipped record, pseudo-cubic constants, other lattice constants."""

import math
from collections import Counter

import numpy as np
import pytest

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.crystals import scaled, with_edges
from qdip_struct.materials.datasets import get_crystal, list_crystals

ALL = list_crystals()
CHARGES = {"Pb": 2, "Cd": 2, "Zn": 2, "S": -2, "Se": -2, "Te": -2, "Cs": 1, "Na": 1, "MA": 1, "FA": 1,
           "F": -1, "Cl": -1, "Br": -1, "I": -1}  # fmt: skip


def ids(crystal):
    return f"{crystal.dataset}-{crystal.label}"


@pytest.mark.parametrize("crystal", ALL, ids=ids)
def test_every_cell_is_neutral_and_holds_its_formula_units(crystal):
    counts = Counter(site.species for site in crystal.sites)
    assert sum(CHARGES[species] * count for species, count in counts.items()) == 0
    assert len(set(site.position for site in crystal.sites)) == len(crystal.sites)
    assert all(0.0 <= x < 1.0 for site in crystal.sites for x in site.position)
    per_unit = {species: count / crystal.n_formula_units for species, count in counts.items()}
    expected: Counter = Counter()
    for sublattice in parse_formula(crystal.name).sublattices:
        for species, fraction in zip(sublattice.species, sublattice.fractions, strict=True):
            expected[species] += fraction * sublattice.count
    assert per_unit == pytest.approx(dict(expected))


@pytest.mark.parametrize("crystal", ALL, ids=ids)
def test_no_two_sites_are_closer_than_ions_can_be(crystal):
    points = np.array([site.position for site in crystal.sites])
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    steps = points[:, None, None] - points[None, :, None] + shifts
    lengths = np.linalg.norm(steps @ crystal.cell, axis=-1)
    assert lengths[lengths > 1e-9].min() > 2.2


@pytest.mark.parametrize("crystal", ALL, ids=ids)
def test_cell_vectors_have_the_lengths_and_angles(crystal):
    assert np.linalg.norm(crystal.cell, axis=1) == pytest.approx(crystal.lengths)
    a, b, c = crystal.cell
    cosines = [np.dot(b, c), np.dot(a, c), np.dot(a, b)]
    norms = [crystal.lengths[1] * crystal.lengths[2], crystal.lengths[0] * crystal.lengths[2],
             crystal.lengths[0] * crystal.lengths[1]]  # fmt: skip
    angles = [math.degrees(math.acos(x / n)) for x, n in zip(cosines, norms, strict=True)]
    assert angles == pytest.approx(crystal.angles)


@pytest.mark.parametrize("crystal", [c for c in ALL if c.structure_type == "perovskite"], ids=ids)
def test_lead_has_six_halide_neighbours(crystal):
    lead = np.array([s.position for s in crystal.sites if s.label == "B"])
    halide = np.array([s.position for s in crystal.sites if s.label == "X"])
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm((halide[None, :, None] + shifts - lead[:, None, None]) @ crystal.cell, axis=-1)
    bonds = np.sort(lengths.reshape(len(lead), -1), axis=1)
    assert np.all(bonds[:, 5] < 0.55 * crystal.a_angstrom)
    assert np.all(bonds[:, 6] > 0.7 * crystal.a_angstrom)


@pytest.mark.parametrize("crystal", ALL, ids=ids)
def test_space_group_of_the_expanded_sites(crystal):
    spglib = pytest.importorskip("spglib")
    kinds = {species: number for number, species in enumerate(sorted({s.species for s in crystal.sites}))}
    cell = (crystal.cell, [s.position for s in crystal.sites], [kinds[s.species] for s in crystal.sites])
    found = spglib.get_spacegroup(cell, symprec=1e-3)
    assert found.split()[0] == crystal.space_group.split()[0]


def test_the_pseudocubic_constant_of_the_tetragonal_cell():
    crystal = get_crystal("MAPbI3:tetragonal")
    assert crystal.a_angstrom == pytest.approx((8.849**2 * 12.642 / 4) ** (1 / 3))
    assert crystal.a_angstrom == pytest.approx(6.2784, abs=1e-4)
    assert get_crystal("CsPbI3:gamma").a_angstrom == pytest.approx(6.2012, abs=1e-4)


def test_parent_sites_are_shared_by_rock_salt_and_perovskite():
    rocksalt = {site.position: site for site in get_crystal("PbS").sites}
    perovskite = {site.position: site for site in get_crystal("CsPbBr3").sites}
    shared = {position for position in rocksalt if position in perovskite and position != (0.5, 0.5, 0.5)}
    assert shared == {(0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5)}
    assert rocksalt[(0.0, 0.0, 0.0)].species == perovskite[(0.0, 0.0, 0.0)].species == "Pb"


def test_delta_phase_has_no_six_angstrom_repeat():
    crystal = get_crystal("CsPbI3:delta")
    assert not any(abs(length - 5.94) < 0.5 for length in crystal.lengths)
    lead = np.array([s.position for s in crystal.sites if s.species == "Pb"])
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm((lead[None, :, None] + shifts - lead[:, None, None]) @ crystal.cell, axis=-1)
    nearest = np.unique(np.round(lengths[lengths > 1e-6], 2))[:2]
    assert nearest == pytest.approx([4.67, 4.79], abs=0.12)


def test_scaling():
    tetragonal = get_crystal("MAPbI3")
    bigger = scaled(tetragonal, lattice=6.325)
    assert bigger.a_angstrom == pytest.approx(6.325)
    assert bigger.lengths[2] / bigger.lengths[0] == pytest.approx(12.642 / 8.849)
    assert scaled(get_crystal("PbS"), lattice=6.0).lengths == (6.0, 6.0, 6.0)
    assert with_edges(tetragonal, edges=[8.85, 12.64]).lengths == (8.85, 8.85, 12.64)
    assert with_edges(get_crystal("PbS"), edges=[5.936]).lengths == (5.936, 5.936, 5.936)
    for bad in (0.0, -1.0, math.nan, math.inf, 1000.0):
        with pytest.raises(UsageError, match="between 1 and 100"):
            scaled(tetragonal, lattice=bad)
    with pytest.raises(UsageError, match="is cubic"):
        with_edges(get_crystal("PbS"), edges=[5.9, 6.0])
    with pytest.raises(UsageError, match="one or three"):
        with_edges(get_crystal("CsPbI3:gamma"), edges=[8.0, 12.0])
