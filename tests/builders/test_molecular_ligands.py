"""Molecular ligands of free dots: bound by their heads, upright, whole, not crowded, and the dot neutral.

What is bonded is told by ASE's covalent radii, distances are measured on the atoms that are written.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.dot.dot import DotSites, cut_dot, dot_atoms
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.builders.dot.passivation import charge_of, clearance, passivate
from qdip_struct.cli.main import main
from qdip_struct.materials.structure_files import crystal_named

PIECE = {"OAc": "C2H3O2", "HCOO": "CHO2", "OA": "C18H33O2", "PEA": "C8H12N", "BA": "C4H12N", "MA": "CH6N"}
CHARGE = {"Pb": 2, "Cd": 2, "S": -2, "Se": -2, "I": -1, "Br": -1, **dict.fromkeys(["OAc", "HCOO", "OA"], -1),
          **dict.fromkeys(["PEA", "BA", "MA"], 1)}  # fmt: skip


def raw(name: str = "PbS", size: float = 18.0, shape: str = "sphere") -> DotSites:
    return cut_dot(crystal_named(name), form=DotForm(shape, diameter=size))


def pieces(atoms: Atoms) -> tuple[Counter[str], list[np.ndarray]]:
    light = np.flatnonzero(np.isin(atoms.get_chemical_symbols(), ["C", "N", "H", "O"]))
    part = atoms[light]
    one, two = neighbor_list("ij", part, natural_cutoffs(part, mult=1.1))
    kept = (part.numbers[one] > 1) | (part.numbers[two] > 1)
    graph = coo_matrix((np.ones(kept.sum()), (one[kept], two[kept])), shape=(len(part), len(part)))
    number, group = connected_components(graph, directed=False)
    members = [light[group == k] for k in range(number)]
    return Counter(atoms[own].get_chemical_formula(mode="hill") for own in members), members


@pytest.mark.parametrize(
    ("material", "wish", "ligands"),
    [
        ("PbS", {"ligand": "acetate"}, ["OAc"]),
        ("PbS", {"ligand": "formate", "surface": "as-cut"}, ["HCOO"]),
        ("PbS", {"ligand": "PEA"}, ["PEA"]),
        ("PbS", {"ligand": "MA"}, ["MA"]),
        ("PbS", {"ligand": "I", "counter_ion": "PEA"}, ["PEA"]),
        ("PbS", {"ligand": "Br", "counter_ion": "BA"}, ["BA"]),
        ("PbS", {"ligand": "I", "counter_ion": "PEA", "surface": "metal-rich"}, ["PEA"]),
        pytest.param("CdSe:zincblende", {"ligand": "oleate"}, ["OA"], marks=pytest.mark.slow),
        ("CdSe:zincblende", {"ligand": "OAc"}, ["OAc"]),
    ],
)
def test_molecules_stand_on_the_dot(material: str, wish: dict[str, str], ligands: list[str]) -> None:
    dot, changes = passivate(raw(material), **wish)  # type: ignore[arg-type]
    atoms = dot_atoms(dot)
    found, members = pieces(atoms)
    ions = Counter(s for s in atoms.get_chemical_symbols() if s in CHARGE)
    (name,) = ligands
    assert set(found) == {PIECE[name]} and found[PIECE[name]] > 0
    # Neutral, counted by hand from elements and whole molecules.
    assert sum(CHARGE[s] * n for s, n in ions.items()) + CHARGE[name] * found[PIECE[name]] == 0
    assert charge_of(dot) == 0 == int(atoms.get_array("formal_charge").sum())
    assert sum(change["charge"] for change in changes) == -charge_of(raw(material))
    symbols, points = np.array(atoms.get_chemical_symbols()), atoms.positions
    head = "N" if CHARGE[name] > 0 else "O"
    partners = points[np.isin(symbols, ["S", "Se", "I", "Br"] if head == "N" else ["Pb", "Cd"])]
    for own in members:
        foot = points[own[symbols[own] == head]]
        rest = np.delete(np.arange(len(atoms)), own)
        assert 2.0 < np.linalg.norm(foot[:, None] - partners[None], axis=2).min() < 4.3
        axis = points[own][symbols[own] != "H"].mean(axis=0) - foot.mean(axis=0)
        assert axis @ foot.mean(axis=0) > 0
        apart = np.linalg.norm(points[own][:, None] - points[rest][None], axis=2)
        assert apart.min() >= 2.0 - 1e-6
        heavy = symbols[own] != "H"
        assert apart[np.ix_(heavy, symbols[rest] != "H")].min() > 2.2


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [("Pb", "O", 2.3, 2.7), ("Cd", "O", 2.2, 2.5), ("N", "I", 3.4, 3.8), ("H", "I", 2.6, 3.0), ("H", "H", 2.0, 2.4),
     ("C", "C", 2.9, 3.8), ("H", "O", 1.8, 2.6)],
)  # fmt: skip
def test_clearances_are_those_of_crystals(one: str, other: str, low: float, high: float) -> None:
    """Usual contacts: Pb-O of carboxylates 2.3 to 2.7 Å, N-H...I with N-I 3.5 to 3.7 Å, van der Waals H-H 2.4 Å."""
    assert low <= clearance(one, other) <= high


def test_molecules_that_find_no_room_are_refused_with_their_number() -> None:
    with pytest.raises(UsageError, match=r"\+82 e but room for \d+ OAc"):
        passivate(raw(), surface="metal-rich", ligand="acetate")
    with pytest.raises(UsageError, match="PEA is a cation"):
        passivate(raw(), surface="metal-rich", ligand="PEA")
    with pytest.raises(UsageError, match="of one charge"):
        passivate(raw(), ligand="DMSO")
    with pytest.raises(UsageError, match="halide ligand beside it"):
        passivate(raw(), ligand="OAc", counter_ion="PEA")


def test_the_same_seed_gives_the_same_atoms() -> None:
    one, other = (dot_atoms(passivate(raw(), ligand="I", counter_ion="PEA", seed=4)[0]) for _ in range(2))
    assert np.array_equal(one.positions, other.positions)


def test_a_capped_dot_becomes_an_input(tmp_path: Path) -> None:
    out = tmp_path / "dot.extxyz"
    order = [
        "build",
        "dot",
        "--material",
        "PbS",
        "--diameter",
        "16",
        "--surface",
        "stoichiometric",
        "--ligand",
        "I",
        "--counter-ion",
        "PEA",
    ]
    assert main([*order, "-o", str(out)]) == 0
    atoms = read(out)
    assert isinstance(atoms, Atoms)
    assert pieces(atoms)[0].keys() == {"C8H12N"}
    assert (
        main(["inputs", str(out), "--preset", "quick", "--cp2k-version", "2023.1", "-o", str(tmp_path / "runs")]) == 0
    )
    assert (tmp_path / "runs" / "dot" / "run.inp").is_file()
