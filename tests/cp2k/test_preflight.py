"""Planted faults are found with their line, good inputs are left alone, and CP2K's own check agrees where it can."""

import json
import subprocess
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk

from qdip_struct.base.cp2k_input import expand_input, parse_input
from qdip_struct.cli.main import main
from qdip_struct.cp2k.inputs.deck import make_deck
from qdip_struct.cp2k.inputs.language import Finding
from qdip_struct.cp2k.inputs.preflight import check_input, check_structure, not_examined
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.cp2k.inputs.schema import Schema, load_schema
from qdip_struct.cp2k.program import Program, find_program

PBS = bulk("PbS", "rocksalt", a=6.0, cubic=True)
SLAB = PBS * (1, 1, 2)
SLAB.center(vacuum=10.0, axis=2)


def text_for(atoms: Atoms = PBS, *, preset: str = "production", task: str = "energy", **asked: object) -> str:
    return make_deck(atoms, InputsRequest(preset=preset, task=task, **asked)).text  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def schema(cp2k: Program) -> Schema:
    return load_schema(cp2k)


def findings(text: str, schema: Schema | None = None) -> tuple[Finding, ...]:
    return check_input(parse_input(text), schema=schema)


FIXED = "&END FORCE_EVAL\n&MOTION\n&CONSTRAINT\n&FIXED_ATOMS\nLIST 1..2 99\n&END\n&END\n&END"

# name, structure, text to replace, replacement, words of the message, does cp2k --check see it
FAULTS = [
    ("unknown keyword", PBS, "CUTOFF 500", "CUTTOF 500", "no keyword CUTTOF", True),
    ("unknown section", PBS, "&MGRID", "&MULTIGRID", "no section &MULTIGRID", True),
    ("word not allowed", PBS, "RUN_TYPE ENERGY_FORCE", "RUN_TYPE ENERGYFORCE", "cannot be 'ENERGYFORCE'", True),
    ("number expected", PBS, "REL_CUTOFF 50", "REL_CUTOFF fifty", "is a number, not 'fifty'", True),
    ("whole number expected", PBS, "NBROYDEN 8", "NBROYDEN 8.5", "a whole number", True),
    ("logical expected", PBS, "FULL_GRID OFF", "FULL_GRID maybe", "is T or F", True),
    ("basis set missing", PBS, "DZVP-MOLOPT-SR-GTH", "DZVP-MOLOPT-XL", "is not in BASIS_MOLOPT", False),
    ("potential missing", PBS, "GTH-PBE-q4", "GTH-PBE-q5", "is not in GTH_POTENTIALS", False),
    ("odd electrons", PBS, "&POISSON", "CHARGE 1\n&POISSON", "odd number", False),
    ("multiplicity", PBS, "&POISSON", "UKS T\nMULTIPLICITY 2\n&POISSON", "multiplicity 2 is impossible", False),
    ("OT with k-points", PBS, "&DIAGONALIZATION", "&OT\n&END OT\n&DIAGONALIZATION", "OT does not work", False),
    ("kind without section", PBS, "&KIND S", "&KIND Se", "no &KIND S", False),
    ("dipole direction", SLAB, "SURF_DIP_DIR Z", "SURF_DIP_DIR X", "vacuum is along Z", False),
    ("placeholder", PBS, "PROJECT run", "PROJECT @NAME@", "placeholder @NAME@", False),
    ("keyword in the wrong section", PBS, "REL_CUTOFF 50", "PROJECT run", "no keyword PROJECT in &MGRID", True),
    ("section written as keyword", PBS, "&POISSON", "MGRID 300\n&POISSON", "no keyword MGRID in &DFT", True),
    ("unknown functional", PBS, "&XC_FUNCTIONAL PBE", "&XC_FUNCTIONAL PBEX", "cannot be 'PBEX'", True),
    ("unknown k-point switch", PBS, "ALGORITHM STANDARD", "ALGORITHM STANDART", "cannot be 'STANDART'", True),
    ("basis file missing", PBS, "BASIS_SET_FILE_NAME BASIS_MOLOPT", "BASIS_SET_FILE_NAME NONE", "NONE", False),
    ("potential of another element", PBS, "GTH-PBE-q6", "GTH-PBE-q7", "GTH-PBE-q7 of S is not in", False),
    ("coordinate missing", PBS, "Pb 0.0000000000 0.0000000000 0.0000000000", "Pb 0.0 0.0", "three coord", False),
    ("coordinate is NaN", PBS, "Pb 0.0000000000 0.0000000000 0.0000000000", "Pb 0.0 0.0 nan", "no finite", False),
    ("coordinate is a word", PBS, "Pb 0.0000000000 0.0000000000 0.0000000000", "Pb a b c", "no coordinates", False),
    ("cell missing", PBS, "B 0.0000000000 6.0", "BB 0.0000000000 6.0", "no FORCE_EVAL/SUBSYS/CELL", False),
    ("dipole correction in a crystal", PBS, "&POISSON", "SURFACE_DIPOLE_CORRECTION\n&POISSON", "no slab", False),
    ("linear scaling with k-points", PBS, "METHOD GPW", "METHOD GPW\nLS_SCF T", "Gamma only", False),
    ("fixed atoms named by a word", PBS, "&END FORCE_EVAL", FIXED.replace("99", "Pb"), "number, not 'Pb'", False),
    ("overlapping atoms", PBS, "S 3.0000000000 0.0000000000 0.0", "S 0.5000000000 0.0000000000 0.0", "overlap", False),
]

# What CP2K runs, all the same: the words of the warning.
DOUBTS = [
    ("PDOS with k-points", PBS, "&POISSON", "&PRINT\n&PDOS\n&END\n&END\n&POISSON", "PDOS is not written"),
    ("left-handed cell", PBS, "C 0.0000000000 0.0000000000 6.0", "C 0.0000000000 0.0000000000 -6.0", "left-"),
    ("fixed atom beyond the last", PBS, "&END FORCE_EVAL", FIXED, "names atom 99, but there are 8"),
    ("outer loop stricter than the inner", PBS, "MAX_SCF 100", "&OUTER_SCF\nEPS_SCF 1E-9\n&END\nMAX_SCF 100", ""),
]


@pytest.mark.cp2k
@pytest.mark.parametrize(("name", "atoms", "old", "new", "words"), DOUBTS, ids=[doubt[0] for doubt in DOUBTS])
def test_what_cp2k_runs_is_warned_of_at_most(
    name: str, atoms: Atoms, old: str, new: str, words: str, schema: Schema
) -> None:
    good = text_for(atoms)
    assert old in good
    found = findings(good.replace(old, new), schema)
    assert not [f for f in found if f.level == "error"]
    assert any(words in f.message for f in found) if words else not found


@pytest.mark.cp2k
@pytest.mark.parametrize(("name", "atoms", "old", "new", "words", "known_to_cp2k"), FAULTS, ids=[f[0] for f in FAULTS])
def test_planted_fault_is_found(
    name: str,
    atoms: Atoms,
    old: str,
    new: str,
    words: str,
    known_to_cp2k: bool,
    schema: Schema,
    cp2k: Program,
    tmp_path: Path,
) -> None:
    good = text_for(atoms)
    assert not findings(good, schema)
    assert old in good
    bad = good.replace(old, new)
    if name == "unknown section":
        bad = bad.replace("&END MGRID", "&END MULTIGRID")
    errors = [f for f in findings(bad, schema) if f.level == "error"]
    assert any(words in f.message for f in errors), errors
    assert all(f.remedy for f in errors)
    if known_to_cp2k:
        line = next(f.line for f in errors if words in f.message)
        assert line is not None
        assert new.split()[0] in bad.splitlines()[line - 1]
        (tmp_path / "run.inp").write_text(bad)
        said = subprocess.run(
            [str(cp2k.path), "--check", "run.inp"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "SUCCESS" not in said.stdout


@pytest.mark.cp2k
@pytest.mark.parametrize("preset", ["ning2015", "production", "quick"])
@pytest.mark.parametrize("task", ["energy", "geo_opt", "cell_opt"])
@pytest.mark.parametrize("atoms", [PBS, SLAB], ids=["bulk", "slab"])
@pytest.mark.parametrize("charge", [0, 1], ids=["even", "odd"])
def test_generated_inputs_are_good_for_us_and_for_cp2k(
    preset: str, task: str, atoms: Atoms, charge: int, schema: Schema, cp2k: Program, tmp_path: Path
) -> None:
    text = text_for(atoms, preset=preset, task=task, charge=charge, dispersion="d3bj", walltime=60)
    expected = ["uniform background"] * charge + ["Γ alone"] * (preset == "ning2015")
    found = findings(text, schema)
    assert len(found) == len(expected)
    assert all(f.level == "warning" and any(words in f.message for words in expected) for f in found)
    (tmp_path / "run.inp").write_text(text)
    said = subprocess.run(
        [str(cp2k.path), "--check", "run.inp"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "SUCCESS" in said.stdout, said.stdout


def test_without_cp2k_the_physics_is_still_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("QDIP_CP2K", raising=False)
    monkeypatch.setattr("qdip_struct.cp2k.inputs.kinds.find_data_directory", lambda: None)
    assert find_program() is None
    bad = text_for().replace("&POISSON", "CHARGE 1\n&POISSON")
    assert [f.message for f in findings(bad) if "odd number" in f.message]
    assert not findings(text_for())


def test_gfn1_xtb_is_refused_for_halide_perovskites() -> None:
    perovskite = Atoms(
        "PbCsBr3",
        scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]],
        cell=[5.99] * 3,
        pbc=True,
    )
    text = text_for(perovskite).replace("METHOD GPW", "METHOD XTB")
    assert any("xTB" in f.message for f in findings(text))
    assert not any("xTB" in f.message for f in findings(text_for().replace("METHOD GPW", "METHOD XTB")))


def test_files_referred_to_must_be_there(tmp_path: Path) -> None:
    text = text_for() + "&EXT_RESTART\n  RESTART_FILE_NAME old-1.restart\n&END EXT_RESTART\n"
    tree = parse_input(text)
    assert any("old-1.restart" in f.message for f in check_input(tree, schema=None, folder=tmp_path))
    (tmp_path / "old-1.restart").write_text("")
    assert not check_input(tree, schema=None, folder=tmp_path)


SPELLINGS = {
    "unit of the cell": {"A 6.0000000000 0": "A [nm] 0.6 0", "B 0.0000000000 6.0": "B [bohr] 0.0 11.338356845"},
    "unit of the atoms": {"&COORD": "&COORD\nUNIT nm", " 3.0000000000": " .3"},
    "fractions": {"3.0000000000": "6/2"},
    "equal sign": {"CUTOFF 500": "CUTOFF=500", "REL_CUTOFF 50": "REL_CUTOFF = 50"},
    "variables": {"&GLOBAL": "@SET CUT 500\n&GLOBAL", "CUTOFF 500": "CUTOFF ${CUT}"},
    "conditions": {"CUTOFF 500": "@IF 0\nCUTOFF 20\n@ENDIF\n@IF 1 == 1\nCUTOFF 500\n@ENDIF"},
    "included": {"&COORD": "&COORD\n@INCLUDE coord.inc\n@IF 0", "&END COORD": "@ENDIF\n&END COORD"},
    "included XC section": {"&XC_FUNCTIONAL PBE": "&XC_FUNCTIONAL pbe", "&XC\n": "@IF 0\n@ENDIF\n&XC\n"},
    "file of coordinates": {
        "&COORD": "&TOPOLOGY\nCOORD_FILE_NAME mol.xyz\nCOORD_FILE_FORMAT XYZ\n&END TOPOLOGY\n@IF 0\n&COORD",
        "&END COORD": "&END COORD\n@ENDIF",
        "&KIND Pb": "&KIND Pb1\nELEMENT Pb",
    },
    "repeated cell": {
        "&COORD": "&TOPOLOGY\nMULTIPLE_UNIT_CELL 1 1 2\n&END TOPOLOGY\n&COORD",
        "&CELL": "&CELL\nMULTIPLE_UNIT_CELL 1 1 2",
    },
}
"""What to replace in a good input so that it says the same in another of CP2K's spellings."""


@pytest.mark.cp2k
@pytest.mark.parametrize("name", SPELLINGS)
def test_what_cp2k_accepts_is_accepted(
    name: str, schema: Schema, cp2k: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = text_for()
    atoms = [line.strip() for line in text.splitlines() if line.strip().startswith(("Pb ", "S "))]
    for old, new in SPELLINGS[name].items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "run.inp").write_text(text)
    (tmp_path / "coord.inc").write_text("\n".join(atoms))
    numbered = [line.replace("Pb ", "Pb1 ") for line in atoms]
    (tmp_path / "mol.xyz").write_text("\n".join([str(len(atoms)), "", *numbered]))
    said = subprocess.run(
        [str(cp2k.path), "--check", "run.inp"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "SUCCESS" in said.stdout, said.stdout
    assert main(["check", str(tmp_path / "run.inp")]) == 0, capsys.readouterr().out


def test_what_the_preprocessor_drops_and_what_is_not_read_is_told(tmp_path: Path) -> None:
    text = text_for().replace("&COORD", "@INCLUDE ../motion.inc\n&COORD").replace("CUTOFF 500", "CUTOFF 500 ! a@b.c")
    expanded = expand_input(text, folder=tmp_path)
    found = check_input(expanded, schema=None, folder=tmp_path)
    assert [f.level for f in found] == ["warning"] and "there is an @ in it" in found[0].message
    assert not_examined(expanded) == ("../motion.inc, which lies outside the folder of the input",)


def test_an_input_of_another_structure_is_warned_of() -> None:
    tree = parse_input(text_for())
    assert check_structure(tree, PBS, name="s") == ()
    turned, shifted = PBS.copy(), PBS.copy()
    turned.rotate(30, "z", rotate_cell=True)
    shifted.positions += PBS.cell[0]
    assert check_structure(tree, turned, name="s") == check_structure(tree, shifted, name="s") == ()
    moved, strained, other = PBS.copy(), PBS.copy(), PBS[::-1]
    moved.positions[2, 0] += 0.05
    strained.set_cell(PBS.cell[:] * 1.01, scale_atoms=True)
    for atoms, says in ((moved, "atom 3 is 0.050"), (strained, "the cell of the input is"), (other, "the atoms of")):
        (found,) = check_structure(tree, atoms, name="structure.extxyz")
        assert found.level == "warning" and says in found.message


def test_an_input_without_a_calculation_is_an_error() -> None:
    """CP2K's ``--check`` calls both correct, and both runs abort."""
    for text in ("", "&GLOBAL\nRUN_TYPE ENERGY\n&END\n"):
        assert [f.level for f in findings(text)] == ["error"]
    assert not findings("&GLOBAL\nPROGRAM_NAME ATOM\n&END\n&ATOM\nELEMENT H\n&END\n")


def test_a_folder_of_run_folders_is_checked_as_a_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("a", text_for()), ("b", text_for().replace("GTH-PBE-q4", "GTH-PBE-q5"))):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.inp").write_text(text)
    (tmp_path / "empty").mkdir()
    assert main(["check", str(tmp_path / "runs"), str(tmp_path / "empty"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["inputs"]
    places = [tmp_path / "runs" / "a" / "run.inp", tmp_path / "runs" / "b" / "run.inp", tmp_path / "empty" / "run.inp"]
    assert [entry["path"] for entry in found] == [str(place) for place in places]
    assert found[2]["verdict"] == "error" and "No such file" in found[2]["findings"][0]["message"]
