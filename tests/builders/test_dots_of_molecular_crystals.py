"""Dots and matrices of a file with molecules: whole, turned as in the file, in whatever cell the file has.

Bonds are told by ASE's covalent radii, which the package does not use; distances are those of the file itself.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.io import read, write
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from qdip_struct.builders.atoms.cells import conventional, sites_of_crystal
from qdip_struct.builders.dot.dot import cut_dot, dot_atoms
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.cli.main import main

EDGE = 6.362
FORMAMIDINIUM = Atoms(
    "CNNH5",
    [
        (0.0, 0.41, 0.0), (1.171, -0.2, 0.0), (-1.171, -0.2, 0.0), (0.0, 1.5, 0.0), (2.05, 0.32, 0.1),
        (1.2, -1.22, 0.05), (-2.05, 0.32, -0.1), (-1.2, -1.22, -0.05),
    ],
)  # fmt: skip
"""About planar; its heavy atoms have their mean 0.003 Å from the origin."""


def perovskite(turn: float = 30.0, *, about: str = "z", at: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> Atoms:
    """Cubic FAPbI3, the molecule turned and placed in fractions of the cell, atoms wrapped into it."""
    molecule = FORMAMIDINIUM.copy()
    molecule.rotate(turn, about)
    molecule.positions += np.array(at) * EDGE - molecule.positions[:3].mean(axis=0)
    ions = np.array([(0, 0, 0), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)]) + np.array(at) - 0.5
    found = Atoms("PbI3", scaled_positions=ions, cell=[EDGE] * 3, pbc=True) + molecule
    found.wrap()
    return found


def pieces(atoms: Atoms) -> Counter[str]:
    """Formulas of the bonded pieces of C, N and H."""
    light = atoms[np.isin(atoms.get_chemical_symbols(), ["C", "N", "H"])]
    one, two = neighbor_list("ij", light, natural_cutoffs(light, mult=1.1))
    kept = (light.numbers[one] > 1) | (light.numbers[two] > 1)
    graph = coo_matrix((np.ones(kept.sum()), (one[kept], two[kept])), shape=(len(light), len(light)))
    number, group = connected_components(graph, directed=False)
    return Counter(light[group == k].get_chemical_formula(mode="hill") for k in range(number))


def cut(atoms: Atoms, diameter: float = 19.0) -> Atoms:
    crystal = conventional(atoms, path=Path("own.vasp"))
    return dot_atoms(cut_dot(crystal, form=DotForm("sphere", diameter=diameter, center="metal")))


@pytest.mark.parametrize("at", [(0.5, 0.5, 0.5), (0.98, 0.5, 0.03)])
@pytest.mark.parametrize("about", ["x", "y", "z"])
def test_every_atom_of_a_dot_stands_where_the_file_has_it(about: str, at: tuple[float, float, float]) -> None:
    file = perovskite(about=about, at=at)
    crystal = conventional(file, path=Path("own.vasp"))
    assert (crystal.structure_type, crystal.a_angstrom) == ("perovskite", pytest.approx(EDGE))
    dot = cut(file)
    assert set(pieces(dot)) == {"CH5N2"} and pieces(dot)["CH5N2"] >= 8
    lead = file.positions[file.symbols == "Pb"][0]
    for symbol in set(dot.get_chemical_symbols()):
        ours = (dot.positions[dot.symbols == symbol] / EDGE)[:, None]
        theirs = ((file.positions[file.symbols == symbol] - lead) / EDGE)[None]
        away = (ours - theirs) - np.rint(ours - theirs)
        assert np.linalg.norm(away * EDGE, axis=2).min(axis=1).max() < 1e-6


def spectrum(atoms: Atoms) -> np.ndarray:
    """Sorted distances from lead to every hydrogen and iodine, Å: the same for turned and mirrored copies."""
    lead = atoms.positions[atoms.symbols == "Pb"]
    return np.sort(cdist(lead, atoms.positions[np.isin(atoms.get_chemical_symbols(), ["H", "I"])]).ravel())


@pytest.mark.parametrize("seed", range(3))
def test_how_the_file_lies_in_space_decides_nothing(seed: int) -> None:
    file = perovskite()
    turn = Rotation.random(random_state=seed).as_matrix()
    turned = Atoms(file.symbols, file.positions @ turn.T, cell=file.cell.array @ turn.T, pbc=True)
    for other in (turned, file * (2, 1, 1), make_supercell(file, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]])):
        assert conventional(other, path=Path("own.vasp")).structure_type == "perovskite"
        assert spectrum(cut(other)) == pytest.approx(spectrum(cut(file)), abs=1e-6)


def test_molecules_that_are_turned_differently_stay_so() -> None:
    one, other = perovskite(0.0), perovskite(90.0)
    other.positions[:, 0] += EDGE
    pair = Atoms(
        [*one.symbols, *other.symbols], np.concatenate([one.positions, other.positions]),
        cell=np.diag([2 * EDGE, EDGE, EDGE]), pbc=True,
    )  # fmt: skip
    crystal = conventional(pair, path=Path("own.vasp"))
    assert crystal.structure_type == "other" and crystal.a_angstrom == pytest.approx(EDGE)
    dot = cut(pair)
    assert set(pieces(dot)) == {"CH5N2"}
    axes = dot.positions[dot.symbols == "N"].reshape(-1, 2, 3) @ [1, 0, 0]
    assert {round(abs(float(a - b)), 2) for a, b in axes} == {2.34, 0.0}


def test_a_zinc_blende_of_two_metalloids_has_an_anion() -> None:
    atoms = Atoms("InSb", scaled_positions=[(0, 0, 0), (0.25, 0.25, 0.25)], cell=3.24 * (1 - np.eye(3)), pbc=True)
    crystal = conventional(atoms, path=Path("InSb.vasp"))
    assert {site.species: site.label for site in crystal.sites} == {"In": "cation", "Sb": "anion"}
    assert set(sites_of_crystal(crystal).charges.tolist()) == {3, -3}


@pytest.mark.parametrize(
    "order",
    [
        "build dot --material FILE --diameter 20 --surface stoichiometric",
        "build dot --material FILE --diameter 18 --ligand I",
        "build embed --dot FILE --diameter 16 --matrix CsPbBr3 --cells 5,5,5",
        "build embed --dot PbS --diameter 18 --matrix FILE --cells 5,5,5 --mode coherent",
        "build embed --dot PbS --diameter 16 --matrix FILE --cells 5,5,5 --rule vacancy",
        "build attach --dot FILE --diameter 14 --matrix CsPbBr3",
        "build attach --dot PbS --diameter 14 --matrix FILE --cells 5,5,2",
        "build attach --dot PbS --diameter 18 --matrix FILE --cells 5,5,2 --overgrown 4",
    ],
)
def test_commands_take_the_file_and_leave_its_molecules_whole(
    order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write("own.vasp", perovskite(), sort=True)
    assert main([*order.replace("FILE", "own.vasp").split(), "-o", "x.extxyz"]) == 0
    found = read("x.extxyz")
    assert isinstance(found, Atoms)
    held = pieces(found)
    assert set(held) == {"CH5N2"}
    counts = Counter(found.get_chemical_symbols())
    charge = {"Pb": 2, "Cs": 1, "I": -1, "Br": -1, "S": -2}
    assert held["CH5N2"] + sum(charge.get(name, 0) * n for name, n in counts.items()) == 0
