"""Every kind of system with every task, preset and spin: our checks and CP2K's own find nothing to object to."""

import subprocess
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from ase import Atoms

from qdip_struct.base.cp2k_input import parse_input
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import conventional_cell
from qdip_struct.builders.dot.embed import embed_dot
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.builders.interface.interface import build_interface
from qdip_struct.cp2k.inputs.deck import make_deck
from qdip_struct.cp2k.inputs.preflight import check_input
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.cp2k.inputs.schema import load_schema, shipped_schema
from qdip_struct.cp2k.program import Program
from qdip_struct.materials.datasets import get_crystal


@cache
def system(name: str) -> Atoms:
    pbs = get_crystal("PbS", dataset="pbe_cp2k")
    bromide = get_crystal("CsPbBr3", dataset="pbe_cp2k")
    if name == "bulk":
        return conventional_cell(pbs)
    if name in ("slab", "interface"):
        cells = build_interface(pbs, bromide)
        return cells.film if name == "slab" else cells.interface
    if name == "free dot":
        atoms = conventional_cell(pbs) * (2, 2, 2)
        atoms.center(vacuum=8.0)
        return atoms
    if name == "embedded dot":
        return embed_dot(pbs, bromide, form=DotForm(diameter=16.0), cells=(5, 5, 5)).atoms
    if name == "molecules":
        return conventional_cell(get_crystal("MAPbI3:tetragonal"))
    atoms = conventional_cell(bromide) * (2, 1, 1)
    atoms.symbols[[i for i, s in enumerate(atoms.symbols) if s == "Br"][:3]] = "I"
    return atoms


SYSTEMS = ("bulk", "slab", "interface", "free dot", "embedded dot", "molecules", "alloyed")
PRINTS = ("mulliken", "hirshfeld", "pdos", "gap", "density", "hartree")


@pytest.mark.cp2k
@pytest.mark.parametrize("parity", ["even", "odd"])
@pytest.mark.parametrize("preset", ["ning2015", "production", "quick"])
@pytest.mark.parametrize("task", ["energy", "geo_opt", "cell_opt"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_combination(name: str, task: str, preset: str, parity: str, cp2k: Program, tmp_path: Path) -> None:
    request = InputsRequest(task=task, preset=preset, charge=int(parity == "odd"), print=PRINTS, stride=4)  # type: ignore[arg-type]

    def deck() -> str:
        made = make_deck(system(name), request, version=cp2k.version)
        assert (made.settings["spin"] == "UKS") == (made.n_electrons % 2 == 1)
        return made.text

    if name == "free dot" and task == "cell_opt":
        with pytest.raises(UsageError, match="only close its vacuum"):
            deck()
        return
    text = deck()
    assert not [f for f in check_input(parse_input(text), schema=load_schema(cp2k)) if f.level == "error"]
    (tmp_path / "run.inp").write_text(text)
    said = subprocess.run(
        [str(cp2k.path), "--check", "run.inp"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "SUCCESS" in said.stdout, said.stdout[-2000:]


@pytest.mark.parametrize("version", ["2023.1", "2026.2"])
def test_regions_become_pdos_lists_with_every_atom_once(version: str) -> None:
    atoms = system("embedded dot")
    deck = make_deck(atoms, InputsRequest(preset="ning2015", print=("pdos",)), version=version)
    assert deck.pdos_regions == tuple(sorted(set(atoms.arrays["region"])))
    blocks = deck.text.split("&LDOS")[1:]
    assert len(blocks) == len(deck.pdos_regions)
    for region, block in zip(deck.pdos_regions, blocks, strict=True):
        chosen: list[int] = []
        for line in block.split("&END")[0].split("LIST")[1:]:
            for word in line.split():
                first, _, last = word.partition("..")
                chosen += range(int(first) - 1, int(last or first))
        assert [atoms.arrays["region"][i] for i in chosen] == [region] * len(chosen)
        assert len(chosen) == sum(label == region for label in atoms.arrays["region"])


def test_k_point_runs_get_dos_instead_of_pdos() -> None:
    deck = make_deck(system("bulk"), InputsRequest(preset="quick", print=("pdos", "gap")))
    assert "&DOS" in deck.text
    assert "&PDOS" not in deck.text
    assert "&MO_CUBES" not in deck.text


def test_later_version_differs_exactly_where_it_must() -> None:
    def text(version: str, wanted: str) -> str:
        request = InputsRequest(task="geo_opt", preset="quick", on_scf_failure=wanted)  # type: ignore[arg-type]
        return make_deck(system("bulk"), request, version=version).text

    assert text("2023.1", "default") == text("2026.1", "default") == text("2023.1", "continue")
    extra = set(text("2026.1", "continue").splitlines()) - set(text("2023.1", "continue").splitlines())
    assert extra == {"      IGNORE_CONVERGENCE_FAILURE T"}


def test_fixed_layers_and_linear_scaling() -> None:
    slab = system("slab")
    fixed = make_deck(slab, InputsRequest(task="geo_opt", preset="ning2015", fixed_layers=1))
    line = next(line for line in fixed.text.splitlines() if line.strip().startswith("LIST"))
    first, _, last = line.split()[1].partition("..")
    lowest = slab.positions[:, 2].min()
    assert all(slab.positions[int(first) - 1 : int(last), 2] < lowest + 0.1)
    with pytest.raises(UsageError, match="between 1 and 2"):
        make_deck(slab, InputsRequest(task="geo_opt", preset="ning2015", fixed_layers=3))
    linear = make_deck(slab, InputsRequest(preset="ning2015", scf="ls"))
    assert "LS_SCF T" in linear.text
    with pytest.raises(UsageError, match="Gamma only"):
        make_deck(slab, InputsRequest(preset="quick", scf="ot"))


TEMPLATES = {
    "none": "",
    "functional": "&FORCE_EVAL\n&DFT\n&XC\n&XC_FUNCTIONAL BLYP\n&END\n&END\n&END\n&END\n",
    "hybrid": "&FORCE_EVAL\n&DFT\n&XC\n&XC_FUNCTIONAL PBE\n&END\n&HF\nFRACTION 0.25\n&INTERACTION_POTENTIAL\n"
    "POTENTIAL_TYPE SHORTRANGE\nOMEGA 0.11\n&END\n&END\n&END\n&END\n&END\n",
    "OT": "&FORCE_EVAL\n&DFT\n&SCF\n&OT\nMINIMIZER CG\n&END\n&END\n&END\n&END\n",
    "mesh": "&FORCE_EVAL\n&DFT\n&KPOINTS\nSCHEME MACDONALD 2 2 1 0.5 0.5 0\n&END\n&END\n&END\n",
    "smearing": "&FORCE_EVAL\n&DFT\n&SCF\nADDED_MOS 40\n&SMEAR\nMETHOD FERMI_DIRAC\n&END\n&END\n&END\n&END\n",
    "cell": "&FORCE_EVAL\n&SUBSYS\n&CELL\nABC 20 20 20\nPERIODIC NONE\n&END\n&KIND Ag\nBASIS_SET X\n&END\n&END\n&END\n",
}
SETTINGS = (
    (),
    ("FORCE_EVAL/DFT/MGRID/CUTOFF=600", "FORCE_EVAL/DFT/SCF/EPS_SCF=1E-6"),
    ("FORCE_EVAL/DFT/XC/HF/FRACTION=0.1", "FORCE_EVAL/DFT/XC/HF/INTERACTION_POTENTIAL/POTENTIAL_TYPE=SHORTRANGE"),
    ("KIND[Pb]/MASS=207.2", "GLOBAL/PRINT_LEVEL=LOW"),
)
INTENDED = ("Γ alone", "background", "structure ends", "small for atoms", "Surface dipole", "vacuum for the dipole")


@pytest.mark.parametrize("version", ["2023.1", "2025.1", "2026.2"])
@pytest.mark.parametrize("name", ["bulk", "slab", "interface", "free dot"])
def test_what_is_written_is_accepted(name: str, version: str) -> None:
    """Templates with settings, tasks and prints: 315 inputs without an error, or with a warning that is not meant."""
    language = shipped_schema(version)
    for number, (template, settings) in enumerate(product(TEMPLATES.values(), SETTINGS)):
        task = ("energy", "geo_opt", "cell_opt" if name != "free dot" else "energy")[number % 3]
        if name == "free dot" and template == TEMPLATES["mesh"]:
            continue
        request = InputsRequest(task=task, preset=("quick", "production", "ning2015")[number % 3], set=settings,
                                print=("gap", "density", "mulliken"), stride=4)  # type: ignore[arg-type] # fmt: skip
        if template == TEMPLATES["mesh"] and settings == SETTINGS[2]:
            with pytest.raises(UsageError, match="the template has &KPOINTS, and it or a setting asks for exact"):
                make_deck(system(name), request, template=template, version=version)
            continue
        text = make_deck(system(name), request, template=template or None, version=version).text
        found = check_input(parse_input(text), schema=language)
        assert not [f for f in found if f.level == "error"], (template, settings, found)
        assert not [f for f in found if not any(words in f.message for words in INTENDED)], (template, settings, found)
