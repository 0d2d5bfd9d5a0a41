"""Molecular ions: textbook geometry, proper rotations, rules that do what they say."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.molecules import find_molecules, library, molecule_rotations, names_of_molecules


def bonds(name, one, two, limit):
    unit = library(name)
    points, symbols = unit.array, np.array(unit.symbols)
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    pairs = [
        distance[i, j]
        for i in range(len(points))
        for j in range(i)
        if {symbols[i], symbols[j]} == {one, two} and distance[i, j] < limit
    ]
    return np.array(pairs)


def test_methylammonium_has_its_published_bonds():
    # Gas-phase and neutron values: C-N 1.46-1.51, C-H 1.08-1.10, N-H 1.02-1.05 Å.
    assert bonds("MA", "C", "N", 2.0) == pytest.approx([1.49])
    assert len(bonds("MA", "C", "H", 1.3)) == 3 and len(bonds("MA", "N", "H", 1.3)) == 3
    unit = library("MA")
    heavy = unit.array[:2]
    assert heavy.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-8)


def test_formamidinium_is_planar_with_two_equal_cn_bonds():
    unit = library("FA")
    assert np.abs(unit.array[:, 2]).max() < 1e-9
    assert bonds("FA", "C", "N", 2.0) == pytest.approx([1.32, 1.32])
    assert len(bonds("FA", "N", "H", 1.3)) == 4 and len(bonds("FA", "C", "H", 1.3)) == 1
    carbon, one, two = unit.array[:3]
    cosine = (one - carbon) @ (two - carbon) / 1.32**2
    assert np.degrees(np.arccos(cosine)) == pytest.approx(125.0, abs=1e-4)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(n=st.integers(0, 40), seed=st.integers(0, 10**6), rule=st.sampled_from(["antiparallel", "parallel", "random"]))
def test_orientations_are_proper_rotations_and_repeat(n, seed, rule):
    points = np.random.default_rng(seed).uniform(0, 20, size=(n, 3))
    turns = molecule_rotations(points, rule=rule, seed=seed)
    assert turns.shape == (n, 3, 3)
    if n:
        assert np.abs(np.einsum("nij,nkj->nik", turns, turns) - np.eye(3)).max() < 1e-12
        assert np.linalg.det(turns) == pytest.approx(np.ones(n))
    assert np.array_equal(turns, molecule_rotations(points, rule=rule, seed=seed))


def test_antiparallel_dipoles_of_an_even_number_cancel():
    points = np.random.default_rng(1).uniform(0, 20, size=(18, 3))
    axes = molecule_rotations(points, rule="antiparallel") @ np.array([1.0, 0, 0])
    assert axes.sum(axis=0) == pytest.approx([0, 0, 0], abs=1e-12)
    assert axes[:, 2] == pytest.approx(np.zeros(18))


def test_random_orientations_do_not_prefer_a_direction():
    axes = molecule_rotations(np.zeros((4000, 3)), rule="random", seed=5) @ np.array([1.0, 0, 0])
    assert np.abs(axes.mean(axis=0)).max() < 4 / np.sqrt(3 * 4000)
    assert (axes**2).mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.03)


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match="MA, FA"):
        library("PA")
    with pytest.raises(UsageError, match="orientation rule"):
        molecule_rotations(np.zeros((1, 3)), rule="up")


def test_molecules_are_found_by_their_bonds():
    ma, fa = library("MA"), library("FA")
    symbols = [*ma.symbols, "I", *fa.symbols]
    positions = np.concatenate([ma.array, [[6.0, 0, 0]], fa.array + np.array([0, 0, 6.0])])
    molecule, whole = find_molecules(symbols, positions=positions, cell=np.eye(3) * 12, pbc=np.ones(3, bool))
    assert molecule.tolist() == [0] * 8 + [-1] + [1] * 8
    assert whole == pytest.approx(positions)


LIBRARY = ["MA", "FA", "NH4", "GUA", "DMA", "EA", "BA", "PEA", "MBA", "HCOO", "OAc", "OA"]


@pytest.mark.parametrize("name", LIBRARY)
def test_every_molecule_has_textbook_bonds_and_no_crowding(name):
    """Bonds counted with ASE's covalent radii: a tree has one fewer than atoms, a benzene ring one more."""
    unit = library(name)
    atoms = Atoms(unit.symbols, positions=unit.array)
    one, two, lengths = neighbor_list("ijd", atoms, natural_cutoffs(atoms, mult=1.15))
    real = (one < two) & ((atoms.numbers[one] > 1) | (atoms.numbers[two] > 1))
    assert real.sum() == len(atoms) - 1 + (name in ("PEA", "MBA"))
    assert lengths[real].min() > 1.0 and lengths[real].max() < 1.6
    hydrogens = atoms.numbers == 1
    assert np.bincount(np.r_[one[real], two[real]], minlength=len(atoms))[hydrogens].tolist() == [1] * hydrogens.sum()
    distance = atoms.get_all_distances() + 9.0 * np.eye(len(atoms))
    assert distance[np.ix_(hydrogens, hydrogens)].min() > 1.6 if hydrogens.sum() > 1 else True
    # Atoms three bonds apart and more stay farther than 2 Å, as a fold or an eclipsed chain would not.
    bonded = np.zeros(distance.shape, dtype=bool)
    bonded[one[real], two[real]] = bonded[two[real], one[real]] = True
    near = bonded | (bonded.astype(int) @ bonded.astype(int) > 0)
    assert distance[~near].min(initial=9.0) > 2.0


@pytest.mark.parametrize("name", LIBRARY)
def test_every_molecule_is_found_by_its_name_wherever_it_lies(name):
    unit = library(name)
    cell, pbc = np.eye(3) * 25.0, np.ones(3, bool)
    positions = (unit.array + np.array([24.0, 0.5, 12.0])) % 25.0
    molecule, whole = find_molecules(unit.symbols, positions=positions, cell=cell, pbc=pbc)
    assert molecule.tolist() == [0] * len(positions)
    apart = np.linalg.norm(whole[:, None] - whole[None], axis=-1)
    assert apart == pytest.approx(np.linalg.norm(unit.array[:, None] - unit.array[None], axis=-1))
    assert names_of_molecules(unit.symbols, positions=positions, molecule=molecule, cell=cell, pbc=pbc) == (name,)


def test_chains_are_stretched_and_oleate_is_cis():
    ba = library("BA")
    ends = ba.array[list(ba.symbols).index("N")] - ba.array[0]
    # All-trans C-C-C-C-N: within 0.1 Å of four bonds of 1.53 projected at half of 112 degrees.
    assert np.linalg.norm(ends) == pytest.approx(4 * 1.53 * np.sin(np.radians(56)), abs=0.1)
    oa = library("OA")
    carbons = oa.array[[s == "C" for s in oa.symbols]]
    double = [k for k in range(17) if np.linalg.norm(carbons[k + 1] - carbons[k]) < 1.4]
    assert double == [8]
    # Cis: the outer carbons of C-C=C-C are 3.1 Å apart, trans they would be 3.9 Å.
    assert np.linalg.norm(carbons[10] - carbons[7]) == pytest.approx(1.34 + 2 * 1.5 * np.cos(np.radians(53)), abs=0.02)
