"""Hybrid crystals with other molecules than MA and FA: what is one, its charge, and that no cut goes through it.

Which atoms are bonded is told by ASE's covalent radii, which the package does not use.
"""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.atoms.cells import refuse_unused, sites_of_atoms, structure_at, with_charges
from qdip_struct.builders.atoms.molecules import library
from qdip_struct.builders.atoms.regions import label
from qdip_struct.builders.slab.slab import build_slab
from qdip_struct.builders.slab.stoichiometry import termination_named, termination_names
from qdip_struct.builders.slab.surface import surface_cell
from qdip_struct.cli.main import main
from qdip_struct.materials.structure_files import read_structure

LAYERED = Path(__file__).parents[1] / "data" / "layered"
SPACER = {"BA2PbI4": ("BA", "C4H12N"), "PEA2PbI4": ("PEA", "C8H12N")}


def crystal(name: str) -> Atoms:
    found = read(LAYERED / f"{name}.vasp")
    assert isinstance(found, Atoms)
    return found


def organic_pieces(atoms: Atoms) -> Counter[str]:
    """Formulas of the bonded pieces of C, N, H and O atoms, by ASE's covalent radii and 10 %."""
    light = atoms[np.isin(atoms.get_chemical_symbols(), ["C", "N", "H", "O", "Cl"])]
    one, two = neighbor_list("ij", light, natural_cutoffs(light, mult=1.1))
    kept = (light.numbers[one] > 1) | (light.numbers[two] > 1)
    graph = coo_matrix((np.ones(kept.sum()), (one[kept], two[kept])), shape=(len(light), len(light)))
    number, group = connected_components(graph, directed=False)
    return Counter(light[group == k].get_chemical_formula(mode="hill") for k in range(number))


@pytest.mark.parametrize("name", SPACER)
def test_a_layered_halide_has_the_charges_of_its_ions(name: str) -> None:
    spacer, formula = SPACER[name]
    atoms = crystal(name)
    assert organic_pieces(atoms) == {formula: 8}
    sites = sites_of_atoms(atoms)
    charges = {str(s): int(q) for s, q in zip(sites.species, sites.charges, strict=True)}
    assert charges == {spacer: 1, "Pb": 2, "I": -1}
    assert Counter(map(str, sites.species)) == {spacer: 8, "Pb": 4, "I": 16} and sites.charges.sum() == 0
    assert sites.name == name


@pytest.mark.parametrize("name", SPACER)
def test_where_the_cell_begins_decides_nothing(name: str) -> None:
    atoms = crystal(name)
    names = termination_names(surface_cell(atoms, plane=(0, 0, 1)))
    for shift in ((1.3, 2.9, 7.7), (4.0, 4.0, 15.0)):
        moved = atoms.copy()
        moved.positions += shift
        moved.wrap()
        assert max(np.linalg.norm(unit.array, axis=1).max() for unit in sites_of_atoms(moved).templates) < 6.0
        assert termination_names(surface_cell(moved, plane=(0, 0, 1))) == names


@pytest.mark.parametrize("name", SPACER)
@pytest.mark.parametrize("plane", [(0, 0, 1), (1, 0, 0), (1, 1, 0), (1, 1, 1)])
def test_no_cut_goes_through_a_molecule(name: str, plane: tuple[int, int, int]) -> None:
    formula = SPACER[name][1]
    for layers in (3, 5):
        slab = build_slab(crystal(name), plane=plane, layers=layers, layer_tolerance=0.3).slab
        assert set(organic_pieces(slab)) <= {formula}
        charged = slab.get_array("formal_charge")[np.isin(slab.get_chemical_symbols(), ["C", "N", "H"])]
        assert charged.sum() == sum(organic_pieces(slab).values())


def test_the_terminations_of_a_layered_halide_are_named_by_what_they_are() -> None:
    """Ruddlesden-Popper, n = 1: the cut between two spacers is the neutral one, its repeat unit has no dipole."""
    surface = surface_cell(crystal("PEA2PbI4"), plane=(0, 0, 1))
    assert {name.partition(":")[0] for name in termination_names(surface)} == {"PEA", "I", "PbI2"}
    assert surface.layers[termination_named(surface, "PbI2")].formula == "Pb2I4"
    # Space group P-1: each lead layer is an inversion centre of the slab of one sheet.
    report = build_slab(crystal("PEA2PbI4"), plane=(0, 0, 1), layers=5).report
    assert report["termination_top"] == report["termination_bottom"] == "PEA"
    assert (report["symmetric"], report["polar"], report["formal_charge"]["total"]) == (True, False, 0)
    assert report["oxidation_states"] == {"I": [-1], "Pb": [2]}
    assert not report["excess"]
    lead = build_slab(crystal("PEA2PbI4"), plane=(0, 0, 1), layers=3, termination="I").report
    assert lead["formal_charge"]["total"] == sum({"PEA": 1, "Pb": 2, "I": -1}[k] * n for k, n in lead["excess"].items())


def test_layers_that_a_glide_plane_keeps_are_one_termination() -> None:
    """(BA)2PbI4 is Pbca with c along the stacking: the glide planes carry each sheet into the next."""
    names = termination_names(surface_cell(crystal("BA2PbI4"), plane=(0, 0, 1)))
    assert [name for name in names if name.startswith("BA")] == ["BA", "BA:2"]


def packed(*names: str, anions: int = 1) -> Atoms:
    """Library molecules and iodide in a box of 9 Å steps."""
    atoms = Atoms(cell=[9.0 * (len(names) + anions), 9.0, 9.0], pbc=True)
    for k, name in enumerate(names):
        unit = library(name)
        atoms += Atoms(unit.symbols, positions=unit.array + np.array([9.0 * k + 4.5, 4.5, 4.5]))
    for k in range(anions):
        atoms += Atoms("I", positions=[[9.0 * (len(names) + k) + 4.5, 4.5, 4.5]])
    return atoms


def test_isomers_are_told_apart_by_their_groups() -> None:
    assert set(sites_of_atoms(packed("EA")).species.tolist()) == {"EA", "I"}
    assert set(sites_of_atoms(packed("DMA")).species.tolist()) == {"DMA", "I"}
    assert sorted(sites_of_atoms(packed("GUA", "OAc", anions=0)).species.tolist()) == ["GUA", "OAc"]


def test_solvent_in_a_crystal_is_neutral_and_whole() -> None:
    atoms = packed("MA")
    atoms += Atoms("OH2", positions=[[9.0, 1.0, 1.0], [9.6, 1.76, 1.0], [9.6, 0.24, 1.0]])
    sites = sites_of_atoms(atoms)
    found = list(zip(sites.species.tolist(), sites.charges.tolist(), sites.sublattice.tolist(), strict=True))
    assert sorted(found) == [("H2O", 0, "neutral"), ("I", -1, "anion"), ("MA", 1, "cation")]


def test_lattice_oxygen_sulfur_and_halogens_are_no_molecules() -> None:
    atoms = packed("MA", anions=1)
    # A sulfate: S-O 1.47 Å, bonded to no carbon or hydrogen.
    points = 1.47 / np.sqrt(3) * np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
    atoms += Atoms("SO4Pb", positions=[[9, 1, 1], *(points + np.array([9, 1, 1])), [13.5, 1, 1]])
    assert Counter(sites_of_atoms(atoms).species.tolist()) == {"MA": 1, "I": 1, "S": 1, "O": 4, "Pb": 1}


def test_a_molecule_that_is_not_known_takes_a_charge_and_is_refused_without() -> None:
    """4-chloro-methylbenzylammonium as in (4-Cl-MBA)2PbBr4: the chlorine on the ring belongs to the molecule."""
    unit = library("MBA")
    points, symbols = unit.array, list(unit.symbols)
    carbons = [k for k, s in enumerate(symbols) if s == "C"]
    side = next(k for k in carbons if min(np.linalg.norm(points[k] - points[symbols.index("N")]), 9) < 1.6)
    # The ring hydrogen farthest from the side chain becomes chlorine, 1.74 Å from its carbon.
    far = max((k for k, s in enumerate(symbols) if s == "H"), key=lambda k: np.linalg.norm(points[k] - points[side]))
    ring = min(carbons, key=lambda k: np.linalg.norm(points[k] - points[far]))
    points[far] = points[ring] + 1.74 * (points[far] - points[ring]) / np.linalg.norm(points[far] - points[ring])
    symbols[far] = "Cl"
    atoms = Atoms([*symbols, "I"], positions=[*(points + 9.0), [1.0, 1.0, 1.0]], cell=[18.0] * 3, pbc=True)
    assert organic_pieces(atoms) == {"C8H11ClN": 1}
    with pytest.raises(DataError, match=r"the molecule C8H11ClN is not known.*C8H11ClN=1"):
        sites_of_atoms(atoms)
    given = with_charges(atoms, {"C8H11ClN": 1})
    sites = sites_of_atoms(given)
    assert dict(zip(sites.species.tolist(), sites.charges.tolist(), strict=True)) == {"C8H11ClN": 1, "I": -1}
    assert sites.name == "C8H11ClNI"
    assert sorted(sites_of_atoms(structure_at(given, lattice=29.0, name="x")).species.tolist()) == ["C8H11ClN", "I"]
    refuse_unused({"C8H11ClN": 1}, given)
    with pytest.raises(UsageError, match="Sn, which is not there"):
        refuse_unused({"Sn": 4}, given)
    with pytest.raises(DataError, match=r"sum to \+1 e"):
        sites_of_atoms(with_charges(atoms, {"C8H11ClN": 2}))


def test_diamond_is_no_molecule() -> None:
    from ase.build import bulk

    with pytest.raises(DataError, match="no formal charge is known for C"):
        sites_of_atoms(bulk("C", "diamond", a=3.567, cubic=True))
    assert set(sites_of_atoms(with_charges(bulk("C", "diamond", a=3.567), {"C": 0})).charges.tolist()) == {0}


def test_a_finished_body_with_ligands_is_labelled_whole() -> None:
    atoms = packed("PEA", "OAc", anions=1)
    atoms += Atoms("Pb", positions=[[1.0, 1.0, 1.0]])
    atoms.wrap()
    label(atoms, region="matrix", phase="x", charges={"Pb": 2})
    assert atoms.get_array("formal_charge").sum() == 1 - 1 - 1 + 2
    assert Counter(atoms.get_array("molecule").tolist()) == {0: 21, 1: 7, -1: 2}


@pytest.mark.parametrize("charges", ["Sn=4", "Sn=4,O=-2"])
def test_charges_that_are_given_are_taken_and_kept(tmp_path: Path, charges: str) -> None:
    file = str(Path(__file__).parents[1] / "data" / "crystals" / "sno2_rutile.cif")
    assert main(["build", "slab", "--material", file, "--charges", charges, "-o", str(tmp_path / "slab")]) == 0
    sidecar = json.loads((tmp_path / "slab" / "slab.json").read_text())
    assert sidecar["oxidation_states"] == {"O": [-2], "Sn": [4]} and charges in json.dumps(sidecar)


@pytest.mark.parametrize(
    ("charges", "says"),
    [
        ("Sn=2", r"O2 -2, Sn1 \+2 sum to -2 e"),
        ("Sb=3", "Sb, which is not there"),
        ("Sn=3.5", "no whole charge"),
        ("Sn", "no whole charge"),
        ("tin=4", "not ION=CHARGE"),
        ("Sn=4,Sn=2", "given twice"),
    ],
)
def test_charges_that_do_not_balance_or_read_are_refused(
    charges: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(Path(__file__).parents[1] / "data" / "crystals" / "sno2_rutile.cif")
    assert main(["build", "slab", "--material", file, "--charges", charges, "-o", str(tmp_path / "slab")]) in (1, 2)
    assert re.search(says, capsys.readouterr().err)


def test_inputs_tell_the_balance_of_the_charges_that_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(Path(__file__).parents[1] / "data" / "crystals" / "sno2_rutile.cif")
    order = ["inputs", file, "--preset", "quick", "--cp2k-version", "2023.1", "--force", "-o", str(tmp_path)]
    assert main([*order, "--charges", "Sn=2"]) == 0
    # Two SnO2 in the cell: 2·2 − 4·2 = −4.
    assert "add up to -4 e" in capsys.readouterr().err
    assert main([*order, "--charges", "Sn=4"]) == 0
    assert "add up to" not in capsys.readouterr().err


def test_a_slab_of_spacers_goes_into_an_input(tmp_path: Path) -> None:
    material = str(LAYERED / "PEA2PbI4.vasp")
    built = tmp_path / "slab"
    assert main(["build", "slab", "--material", material, "--plane", "001", "--layers", "5", "-o", str(built)]) == 0
    runs = ["inputs", str(built / "slab.extxyz"), "--preset", "quick", "--cp2k-version", "2023.1"]
    assert main([*runs, "-o", str(tmp_path / "runs")]) == 0
    text = (tmp_path / "runs" / "slab" / "run.inp").read_text()
    assert {line.split()[1] for line in text.splitlines() if line.strip().startswith("&KIND")} == {*"CHNI", "Pb"}


def test_molecules_survive_a_round_through_cif(tmp_path: Path) -> None:
    atoms = crystal("PEA2PbI4")
    write(tmp_path / "pea.cif", atoms)
    found = sites_of_atoms(read_structure(tmp_path / "pea.cif"))
    assert Counter(found.species.tolist()) == {"PEA": 8, "Pb": 4, "I": 16}


def spacer_film() -> Atoms:
    """A PEAI bilayer: the outer part of a (PEA)2PbI4 sheet, without lead and the iodide in its plane."""
    sheet = build_slab(crystal("PEA2PbI4"), plane=(0, 0, 1), layers=5).slab
    z, lead = sheet.positions[:, 2], sheet.numbers == 82
    kept = ~(lead | ((sheet.numbers == 53) & (np.abs(z - z[lead].mean()) < 1.0)))
    return Atoms(sheet.numbers[kept], positions=sheet.positions[kept], cell=sheet.cell, pbc=True)


def test_a_finished_film_stands_on_a_substrate_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = spacer_film()
    assert organic_pieces(film) == {"C8H12N": 4} and (film.numbers == 53).sum() == 4
    write(tmp_path / "peai.extxyz", film)
    order = ["build", "interface", "--film", str(tmp_path / "peai.extxyz"), "--substrate", "PbS", "--substrate-layers"]
    order += ["4", "--match", "0", "--max-strain", "0.06", "-o", str(tmp_path / "built")]
    assert main(order) == 0
    assert (
        "the film has no bulk: its surface energy cannot be had; the adsorption energy can" in capsys.readouterr().err
    )
    built = {path.stem: read(path) for path in (tmp_path / "built").glob("*.extxyz")}
    assert set(built) == {"film", "substrate", "interface", "substrate_bulk"}
    assert organic_pieces(built["interface"]) == {"C8H12N": 4}
    assert len(built["film"]) == len(film) and len(built["interface"]) == len(film) + len(built["substrate"])
    # Molecules are rigid, whatever the strain of the net.
    bonds = [np.sort(neighbor_list("d", a, natural_cutoffs(a, mult=1.0))) for a in (film, built["film"])]
    organic = [b[b < 1.6] for b in bonds]
    assert organic[1] == pytest.approx(organic[0], abs=1e-6)
    report = json.loads((tmp_path / "built" / "interface.json").read_text())
    assert report["film_is"] == "finished" and report["formal_charge"]["total"] == 0
    # The net of the film against the square of PbS(100), by hand: 5.936·√2 = 8.395 Å.
    edges = film.cell.lengths()[:2]
    assert sorted(report["strain_film"]) == pytest.approx(sorted(8.3948 / edges - 1.0), abs=8e-3)


@pytest.mark.parametrize(
    "extra", [["--film-layers", "2"], ["--film-plane", "110"], ["--film-termination", "I"], ["--kind", "sandwich"],
              ["--film-lattice", "6.0"]],
)  # fmt: skip
def test_a_finished_film_takes_no_options_of_a_cut(
    extra: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "peai.extxyz", spacer_film())
    order = [
        "build",
        "interface",
        "--film",
        str(tmp_path / "peai.extxyz"),
        "--substrate",
        "PbS",
        "--max-strain",
        "0.06",
    ]
    assert main([*order, *extra, "-o", str(tmp_path / "built")]) in (1, 2)
    assert "film" in capsys.readouterr().err


def test_a_finished_film_is_no_substrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "peai.extxyz", spacer_film())
    order = ["build", "interface", "--film", "PbS", "--substrate", str(tmp_path / "peai.extxyz")]
    assert main([*order, "-o", str(tmp_path / "built")]) in (1, 2)
    assert "no crystal to cut from" in capsys.readouterr().err


def test_no_dot_stands_on_a_layer_without_metals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "peai.extxyz", spacer_film())
    order = ["build", "attach", "--dot", "PbS", "--diameter", "14", "--slab", str(tmp_path / "peai.extxyz")]
    assert main([*order, "-o", str(tmp_path / "x.extxyz")]) in (1, 2)
    assert "no cation of charge +2" in capsys.readouterr().err


def test_a_dot_in_a_layered_matrix_leaves_molecules_whole() -> None:
    from qdip_struct.builders.dot.embed import embed_dot
    from qdip_struct.builders.dot.embedding_options import Balance, DotForm
    from qdip_struct.materials.datasets import get_crystal

    built = embed_dot(
        get_crystal("PbS"), crystal("PEA2PbI4"), form=DotForm("sphere", diameter=14.0), cells=(3, 3, 1),
        balance=Balance("report"),
    )  # fmt: skip
    found = organic_pieces(built.atoms)
    assert set(found) == {"C8H12N"} and 0 < found["C8H12N"] < 8 * 9
    charge = {"Pb": 2, "S": -2, "I": -1}
    counted = sum(charge.get(s, 0) for s in built.atoms.get_chemical_symbols()) + found["C8H12N"]
    assert built.report["formal_charge"]["total"] == counted


def test_a_finished_slab_and_dot_have_the_states_of_their_composition(tmp_path: Path) -> None:
    """Tin of SnO2 is +4 and that of CsSnI3 +2, also where a slab or a dot comes without charges."""
    file = str(Path(__file__).parents[1] / "data" / "crystals" / "sno2_rutile.cif")
    slab, out = tmp_path / "slab", tmp_path / "on.extxyz"
    order = ["--plane", "110", "--termination", "O:2", "--layers", "6", "-o", str(slab)]
    assert main(["build", "slab", "--material", file, *order]) == 0
    built = read(slab / "slab.extxyz")
    assert isinstance(built, Atoms)
    bare = Atoms(built.symbols, built.positions, cell=built.cell, pbc=True) * (5, 10, 1)
    write(tmp_path / "bare.vasp", bare, sort=True)
    order = ["--dot", "PbS", "--diameter", "10", "--slab", str(tmp_path / "bare.vasp"), "-o", str(out)]
    assert main(["build", "attach", *order]) == 0
    sidecar = json.loads(out.with_suffix(".json").read_text())
    assert sidecar["oxidation_states"] == {"O": [-2], "Pb": [2], "S": [-2], "Sn": [4]}
    assert sidecar["formal_charge"]["total"] == 0

    dot = Atoms("Sn4O8", positions=[(3.3 * (i % 3), 3.3 * (i // 3 % 2), 3.3 * (i // 6)) for i in range(12)])
    write(tmp_path / "dot.xyz", dot)
    order = ["--dot", str(tmp_path / "dot.xyz"), "--matrix", "CsPbBr3", "--cells", "5,5,5", "--neutral", "off"]
    assert main(["build", "embed", *order, "-o", str(tmp_path / "in.extxyz")]) == 0
    sidecar = json.loads((tmp_path / "in.json").read_text())
    assert sidecar["oxidation_states"]["Sn"] == [4] and sidecar["formal_charge"]["dot"] == 0


def test_one_metal_has_the_state_of_each_crystal_of_an_interface(tmp_path: Path) -> None:
    cell = Atoms("CsSnI3", scaled_positions=[(0.5, 0.5, 0.5), (0, 0, 0), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)],
                 cell=[6.219] * 3, pbc=True)  # fmt: skip
    write(tmp_path / "CsSnI3.cif", cell)
    file = str(Path(__file__).parents[1] / "data" / "crystals" / "sno2_rutile.cif")
    order = ["--film", str(tmp_path / "CsSnI3.cif"), "--substrate", file, "--substrate-plane", "110"]
    limits = ["--max-strain", "0.08", "--max-area", "400", "-o", str(tmp_path / "out")]
    assert main(["build", "interface", *order, *limits]) == 0
    found = read(tmp_path / "out" / "interface.extxyz")
    assert isinstance(found, Atoms)
    tin = found[found.symbols == "Sn"]
    held = set(zip(tin.get_array("region").tolist(), tin.get_array("formal_charge").tolist(), strict=True))
    assert held == {("film", 2), ("substrate", 4)}
