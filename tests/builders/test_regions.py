"""Formal charges, electrons, regions and the report of a structure."""

import numpy as np
import pytest
from ase import Atoms

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import conventional_cell
from qdip_struct.builders.atoms.regions import (
    electrons_of,
    formal_charge_of,
    formal_charges,
    label,
    mark_interface,
    report,
)
from qdip_struct.materials.datasets import get_crystal

CONTRACT_KEYS = {
    "n_atoms", "composition", "formal_charge", "electrons", "regions", "volume_fraction", "min_distance_angstrom",
    "changes", "cell_angstrom", "seed",
}  # fmt: skip


@pytest.mark.parametrize("name", ["PbS", "PbSe", "NaI", "CsPbBr3", "CsPbI3", "MAPbBr3", "MAPbI3:tetragonal"])
def test_every_crystal_is_neutral(name: str) -> None:
    atoms = conventional_cell(get_crystal(name))
    assert formal_charge_of(atoms)["total"] == 0


def test_a_molecule_carries_its_charge_once_on_nitrogen() -> None:
    atoms = conventional_cell(get_crystal("MAPbI3:tetragonal"))
    charge, symbols = atoms.get_array("formal_charge"), np.array(atoms.get_chemical_symbols())
    assert charge[symbols == "N"].tolist() == [1] * 4
    assert not charge[np.isin(symbols, ("C", "H"))].any()


def test_formamidinium_with_two_nitrogens_has_charge_one() -> None:
    charges = formal_charges(["C", "N", "N", "H", "Pb"], molecule=[0, 0, 0, 0, -1])
    assert charges.tolist() == [0, 1, 0, 0, 2]


def test_an_element_without_a_charge_is_refused() -> None:
    with pytest.raises(UsageError, match="no formal charge is known for Xe"):
        formal_charges(["Pb", "Xe"])


def test_electrons_are_those_of_the_pseudopotentials() -> None:
    # CsPbI3: Cs 9, Pb 4, I 7; the counts a CP2K user finds in GTH_POTENTIALS.
    assert electrons_of(conventional_cell(get_crystal("CsPbI3"))) == 9 + 4 + 3 * 7
    assert electrons_of(conventional_cell(get_crystal("PbS"))) == 4 * (4 + 6)
    with pytest.raises(UsageError, match="Cs"):
        electrons_of(conventional_cell(get_crystal("CsPbI3")), valence={"Pb": 4, "I": 7})


def test_the_report_has_the_promised_keys() -> None:
    content = report(conventional_cell(get_crystal("CsPbI3"), lattice=6.2), seed=3)
    assert set(content) >= CONTRACT_KEYS
    assert content["n_atoms"] == sum(content["composition"].values()) == sum(content["regions"].values()) == 5
    assert content["min_distance_angstrom"] == pytest.approx(3.1)


def test_interface_takes_whole_molecules() -> None:
    dot = Atoms("PbS", positions=[(0, 0, 0), (3, 0, 0)])
    matrix = Atoms("CNI", positions=[(0, 0, 3.0), (0, 0, 4.5), (0, 0, 9.0)])
    label(dot, region="dot", phase="PbS").set_array("dot", np.zeros(2, dtype=int))
    matrix.set_array("molecule", np.array([0, 0, -1]))
    label(matrix, region="matrix", phase="PbS", charges={"CN": 1}).set_array("dot", np.full(3, -1))
    both = dot + matrix
    both.set_cell(np.eye(3) * 40)
    mark_interface(both, depth=3.2)
    assert both.get_array("region").tolist() == ["interface", "dot", "interface", "interface", "matrix"]


def test_ligands_at_the_interface_stay_ligands() -> None:
    atoms = label(Atoms("PbII", positions=[(0, 0, 0), (3, 0, 0), (6, 0, 0)]), region="dot", phase="PbS")
    atoms.set_array("dot", np.array([0, 0, -1]))
    atoms.set_array("region", np.array(["dot", "ligand", "matrix"], dtype="U9"))
    assert mark_interface(atoms, depth=3.5).get_array("region").tolist() == ["dot", "ligand", "interface"]


@pytest.mark.parametrize("depth", [-1.0, float("nan"), float("inf")])
def test_an_impossible_depth_is_refused(depth: float) -> None:
    atoms = label(Atoms("Pb"), region="dot", phase="PbS")
    atoms.set_array("dot", np.zeros(1, dtype=int))
    with pytest.raises(UsageError, match="interface depth"):
        mark_interface(atoms, depth=depth)
