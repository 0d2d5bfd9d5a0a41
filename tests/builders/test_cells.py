"""Conventional cells and sites: counts and charges follow from the crystal, molecules stay whole."""

import numpy as np
import pytest
from ase import Atoms

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.atoms.cells import (
    Occupation,
    conventional_cell,
    oriented,
    sites_of_atoms,
    sites_of_crystal,
    to_atoms,
)
from qdip_struct.materials.datasets import get_crystal, list_crystals


@pytest.mark.parametrize("crystal", list_crystals(), ids=lambda c: f"{c.label}-{c.dataset}")
def test_every_shipped_crystal_is_neutral_and_complete(crystal):
    atoms = conventional_cell(crystal)
    expected = sum({"MA": 8, "FA": 8}.get(site.species, 1) for site in crystal.sites)
    assert len(atoms) == expected
    assert atoms.get_array("formal_charge").sum() == 0
    assert atoms.cell.volume == pytest.approx(crystal.volume, rel=1e-12)
    assert set(atoms.get_array("phase")) == {crystal.name}


def test_lattice_scales_the_cell_and_one_atom_may_replace_the_molecule():
    atoms = conventional_cell(get_crystal("MAPbI3:cubic"), occupation=Occupation(a_site="Cs"), lattice=6.325)
    assert atoms.get_chemical_formula("hill") == "CsI3Pb"
    assert atoms.cell.lengths() == pytest.approx([6.325] * 3)
    assert (atoms.get_array("molecule") == -1).all()


@pytest.mark.parametrize("a_site", ["Pb", "MA", "Xx", ""])
def test_an_a_site_that_is_no_single_cation_is_refused(a_site):
    with pytest.raises(UsageError, match="a_site"):
        conventional_cell(get_crystal("MAPbI3"), occupation=Occupation(a_site=a_site))


@pytest.mark.parametrize("lattice", [0.0, -6.0, float("nan"), float("inf"), 1e6])
def test_impossible_lattice_constants_are_refused(lattice):
    with pytest.raises(UsageError):
        conventional_cell(get_crystal("PbS"), lattice=lattice)


def test_atoms_become_the_sites_they_came_from():
    sites = oriented(sites_of_crystal(get_crystal("MAPbI3:tetragonal")), rule="random", seed=3)
    atoms = to_atoms(sites)
    again = sites_of_atoms(atoms)
    assert sorted(again.species) == sorted(sites.species)
    back = to_atoms(again)
    assert len(back) == len(atoms)
    distance = np.linalg.norm(back.positions[:, None] - atoms.positions[None], axis=-1)
    same = back.numbers[:, None] == atoms.numbers[None]
    assert np.where(same, distance, 9.0).min(axis=1).max() < 1e-9


def test_molecules_cut_by_the_cell_border_are_made_whole():
    atoms = conventional_cell(get_crystal("MAPbBr3"))
    for shift in ([2.965, 0, 0], [2.9, 3.1, 2.8]):
        moved = atoms.copy()
        moved.positions += shift
        moved.wrap()
        sites = sites_of_atoms(moved)
        offsets = np.array(sites.templates[0].offsets)
        assert np.linalg.norm(offsets, axis=1).max() < 2.0
        assert sorted(sites.species) == ["Br", "Br", "Br", "MA", "Pb"]


def test_a_broken_molecule_is_never_taken_for_loose_atoms():
    atoms = conventional_cell(get_crystal("MAPbBr3"))
    hydrogen = np.flatnonzero(atoms.numbers == 1)
    del atoms[hydrogen[:1]]
    with pytest.raises(DataError, match="no whole"):
        sites_of_atoms(atoms)


def test_structures_that_are_no_crystal_are_refused():
    with pytest.raises(DataError, match="cell"):
        sites_of_atoms(Atoms("PbS", positions=[[0, 0, 0], [3, 0, 0]]))
    with pytest.raises(DataError, match="right-handed"):
        sites_of_atoms(Atoms("PbS", positions=[[0, 0, 0], [3, 0, 0]], cell=[[6, 0, 0], [0, 0, 6], [0, 6, 0]], pbc=True))
    with pytest.raises(DataError, match="formal charge"):
        sites_of_atoms(Atoms("XeS", positions=[[0, 0, 0], [3, 0, 0]], cell=[6, 6, 6], pbc=True))
