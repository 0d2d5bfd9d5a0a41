"""The command line as a whole: help, exit codes, one line per error, configuration files, refusal of nonsense."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qdip_struct.cli.main import COMMANDS

Qdip = Callable[..., tuple[int, str, str]]
QdipJson = Callable[..., tuple[int, Any]]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "qdip_struct.cli.main", *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"qdip {command}" in done.stdout
    assert done.stdout.count(f"qdip {command}") > 1
    assert "--json" in done.stdout


def test_help_of_a_family_lists_its_commands(qdip: Callable[..., tuple[int, str, str]]) -> None:
    for word in ("-h", "--help"):
        code, out, err = qdip("build", word)
        assert (code, err) == (0, "")
        assert [f"qdip {name} " for name in COMMANDS if name.startswith("build ")] == [
            line.strip()[: line.strip().index("  ")].strip() + " " for line in out.splitlines()[2:]
        ]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nonsense"], 2, "unknown command 'nonsense'"),
        (["build"], 2, "needs one of"),
        (["screen", "--dot", "PbS"], 2, "--matrix"),
        (["screen", "--dot", "Unobtainium", "--matrix", "CsPb(Br,I)3"], 2, "Unobtainium"),
        (["screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--dataset", "none"], 2, "none"),
        (["screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--dot-lattice", "-5"], 2, "-5"),
        (["screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--dot-lattice", "nan"], 2, "nan"),
        (["screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--wrong", "1"], 2, "--wrong"),
        (["materials", "Unobtainium"], 2, "Unobtainium"),
        (["build", "embed", "--dot", "PbS", "--matrix", "CsPbI3", "--diameter", "-30", "-o", "x.extxyz"], 2, "-30"),
        (["build", "embed", "--dot", "PbS", "--matrix", "CsPbI3", "--diameter", "90", "-o", "x.extxyz"], 2, "the box"),
        (["build", "embed", "--dot", "Xx", "--matrix", "CsPbI3", "-o", "x.extxyz"], 2, "Xx"),
        (["build", "embed", "--dot", "PbS", "--matrix", "CsPbI3", "--cells", "8,8", "-o", "x.extxyz"], 2, "8,8"),
        (["build", "interface", "--film", "PbS", "--substrate", "Nope", "-o", "x"], 2, "Nope"),
        (["inputs", "none.extxyz", "-o", "runs"], 1, "none.extxyz"),
        (["inputs", "x.extxyz", "--preset", "best", "-o", "runs"], 2, "unknown preset 'best'"),
        (["inputs", "x.extxyz", "--kpoints", "4,4", "-o", "runs"], 2, "three positive whole numbers"),
        (["inputs", "x.extxyz", "--walltime", "-1", "-o", "runs"], 2, "--walltime"),
        (["inputs", "x.extxyz", "--fixed-layers", "2", "-o", "runs"], 2, "or take --task geo_opt"),
        (["run", "nowhere"], 1, "nowhere does not exist"),
        (["run", "nowhere", "--nproc", "0"], 2, "--nproc"),
        (["collect", "nowhere"], 1, "nowhere"),
        (["energies", "nowhere"], 1, "nowhere"),
        (["report", "nowhere"], 1, "nowhere"),
        (["check", "nowhere.inp"], 1, ""),
    ],
)
def test_nonsense_is_refused_in_one_line(
    words: list[str], code: int, message: str, qdip: Qdip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    got, _, err = qdip(*words)
    assert got == code, err
    if message:
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert message in errors[0]
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_not_cp2k_output_is_refused(qdip: Qdip, tmp_path: Path) -> None:
    other = tmp_path / "slurm.out"
    other.write_text("srun: job 17 queued\nhello\n")
    code, _, err = qdip("collect", other)
    assert code == 1
    assert "slurm.out is not a CP2K output" in err


def test_debug_shows_the_traceback(qdip: Qdip) -> None:
    assert "Traceback" in qdip("materials", "Unobtainium", "--debug")[2]


def test_configuration_file_says_the_same_as_flags(qdip: Qdip, tmp_path: Path) -> None:
    config = tmp_path / "screen.yaml"
    config.write_text("dot: PbS\nmatrix: CsPb(Br,I)3\ndataset: liu2019\npoints: 5\njson: true\n")
    from_file = qdip("screen", "--config", config)
    flags = ["--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--dataset", "liu2019", "--points", "5", "--json"]
    assert from_file[0] == 0
    assert from_file[1] == qdip("screen", *flags)[1]
    overridden = json.loads(qdip("screen", "--config", config, "--points", "3")[1])
    assert len(overridden["points"]) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dott: PbS\n", "unknown key 'dott'"),
        ("config: other.yaml\n", "unknown key 'config'"),
        ("json: maybe\n", "true or false"),
        ("points: [1, 2]\n", "takes one value"),
        ("- a\n", "expected a mapping"),
        ("a: [\n", "not valid YAML"),
        ("dot: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ],
)
def test_wrong_configuration_is_refused_by_name(text: str, message: str, qdip: Qdip, tmp_path: Path) -> None:
    config = tmp_path / "screen.yaml"
    config.write_text(text)
    code, _, err = qdip("screen", "--config", config)
    assert code == 2
    assert "screen.yaml" in err
    assert message in err


def test_liu_2019_match_and_the_lattice_constant_it_needs(qdip: Qdip) -> None:
    """0.750 with 5.94 Å, 0.667 with 5.97 Å (doi:10.1038/s41586-019-1239-7)."""
    words = ["screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--dataset", "liu2019", "--json"]
    for extra, fraction, lattice in (([], 0.750, "5.94"), (["--dot-lattice", "5.97"], 2 / 3, "5.97")):
        code, out, err = qdip(*words, *extra)
        document = json.loads(out)
        assert code == 0
        assert document["zero_mismatch"][0]["fraction"] == pytest.approx(fraction, abs=1e-3)
        assert document["dot"]["a_angstrom"] == float(lattice)
        assert lattice in err
        assert "66 %" in err


def test_inputs_then_check_then_bad_file(qdip: Qdip, tmp_path: Path) -> None:
    slabs, runs = tmp_path / "slabs", tmp_path / "runs"
    words = "build interface --film PbS --film-layers 3 --substrate CsPbBr3 --substrate-layers 3 --dataset pbe_cp2k"
    assert qdip(*words.split(), "-o", slabs)[0] == 0
    structures = sorted(slabs.glob("*.extxyz"))
    assert qdip("inputs", *structures, "--preset", "quick", "-o", runs)[0] == 0
    assert qdip("check", *sorted(runs.iterdir()))[0] == 0
    code, _, err = qdip("inputs", *structures, "--preset", "quick", "-o", runs)
    assert (code, "--force" in err) == (2, True)
    (runs / "film" / "run.inp").write_text("&GLOBAL\n")
    code, out, _ = qdip("check", runs / "film", "--json")
    assert code == 1
    assert "never closed" in json.loads(out)["inputs"][0]["findings"][0]["message"]
    records = [json.loads((folder / "run.json").read_text()) for folder in sorted(runs.iterdir())]
    assert len({record["group"] for record in records}) == 1
    assert {record["role"] for record in records} >= {"film", "substrate", "interface", "film_bulk", "substrate_bulk"}


def test_energies_of_unfinished_runs_are_refused(qdip: Qdip, tmp_path: Path) -> None:
    import shutil

    from qdip_struct.base.files import shipped

    shutil.copytree(shipped("workflows", "interface_energy", "reference", "runs"), tmp_path / "runs")
    code, out, _ = qdip("energies", tmp_path / "runs", "--json")
    assert code == 0
    assert json.loads(out)["refused"] == []
    output = tmp_path / "runs" / "interface" / "run.out"
    output.write_text(output.read_text().replace("SCF run converged in", "SCF run NOT converged after"))
    code, out, err = qdip("energies", tmp_path / "runs", "--json")
    document = json.loads(out)
    assert code == 3
    assert document["groups"][0]["adsorption_energy_mev_per_angstrom2"] is None
    assert "interface" in document["refused"][0]["paths"][0]
    assert "refused" in err


def test_bad_files_in_a_batch_do_not_stop_the_others(qdip_json: QdipJson, tmp_path: Path) -> None:
    good = tmp_path / "good.inp"
    good.write_text("&GLOBAL\nPROGRAM_NAME ATOM\n&END\n&ATOM\nELEMENT H\n&END\n")
    contents = {"binary": bytes(range(256)) * 20, "long": b"&GLOBAL\n" + b"! x\n" * 10_000_000, "empty": b""}
    for name, content in contents.items():
        (tmp_path / f"{name}.inp").write_bytes(content)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.inp")
    (tmp_path / "loop.inp").symlink_to("loop.inp")
    names = ["binary.inp", "folder", "missing.inp", "long.inp", "pipe.inp", "loop.inp", "empty.inp"]
    code, document = qdip_json("check", *(tmp_path / name for name in names), good)
    assert code == 1
    assert [entry["verdict"] for entry in document["inputs"]] == ["error"] * len(names) + ["ok"]
    assert all(len(entry["findings"]) == 1 for entry in document["inputs"][:-1])


PLAIN_ASCII = [
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
]


@pytest.mark.parametrize("environment", PLAIN_ASCII)
def test_json_is_utf8_and_text_is_shown_in_every_locale(environment: dict[str, str]) -> None:
    def answer(*words: str) -> bytes:
        call = [sys.executable, "-m", "qdip_struct.cli.main", *words]
        done = subprocess.run(call, capture_output=True, check=True, env={**os.environ, **environment})
        assert b"Traceback" not in done.stderr
        return done.stdout

    document = json.loads(answer("materials", "MAPbI3", "--json").decode("utf-8"))
    told = {**os.environ, "PYTHONUTF8": "1"}
    call = [sys.executable, "-m", "qdip_struct.cli.main", "materials", "MAPbI3", "--json"]
    assert document == json.loads(subprocess.run(call, capture_output=True, check=True, env=told).stdout.decode())
    assert b"edges" in answer("materials", "MAPbI3")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["materials", "PbS"], ["materials", "PbS", "--json"]])
def test_a_full_disk_behind_stdout_is_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        call = [sys.executable, "-m", "qdip_struct.cli.main", *words]
        done = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: cannot write what was asked for: No space left on device\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--walltime", "1000000000000"], "WALLTIME is 1000000000000; expected 1 to"),
        (["--set", "GLOBAL/WALLTIME=-1"], "WALLTIME is -1"),
        (["--kpoints", "9999,9999,9999"], "expected 1 to 200 points"),
        (["--set", "FORCE_EVAL/DFT/KPOINTS/SCHEME=MONKHORST-PACK 999 1 1"], "expected 1 to 200 points"),
        (["--set", "FORCE_EVAL/DFT/MGRID/CUTOFF=1e9"], "CUTOFF is 1e9; expected 10 to 10000 Ry"),
        (["--set", "FORCE_EVAL/DFT/MGRID/CUTOFF=5"], "CUTOFF is 5"),
        (["--set", "FORCE_EVAL/DFT/MGRID/REL_CUTOFF=1e9"], "REL_CUTOFF is 1e9"),
        (["--set", "FORCE_EVAL/DFT/SCF/MAX_SCF=-1"], "MAX_SCF is -1"),
        (["--task", "geo_opt", "--set", "MOTION/GEO_OPT/MAX_ITER=-3"], "MAX_ITER is -3"),
        (["--stride", "100000", "--print", "density"], "--stride takes"),
        (["--charge", "100"], "the charge leaves -84 electrons"),
        (["--set", "GLOBAL/PROJECT=../../elsewhere"], "expected a name without a folder"),
        (["--set", "GLOBAL/PROJECT=/tmp/elsewhere"], "expected a name without a folder"),
        (["--set", 'GLOBAL/PROJECT=".."'], "expected a name without a folder"),
    ],
)
def test_what_only_a_slip_can_mean_leaves_no_folder(
    words: list[str], message: str, qdip: Qdip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In ``inputs`` and in a campaign: CsBr has 9 + 7 valence electrons."""
    from ase.build import bulk
    from ase.io import write

    monkeypatch.chdir(tmp_path)
    write(tmp_path / "csbr.vasp", bulk("CsBr", "cesiumchloride", a=4.4), format="vasp")
    code, _, err = qdip("inputs", "csbr.vasp", "--preset", "quick", *words, "-o", "runs")
    assert (code, message in err) == (2, True), err
    assert sorted(item.name for item in tmp_path.iterdir()) == ["csbr.vasp"]


def test_a_case_of_a_campaign_that_only_a_slip_can_mean_leaves_no_folder(qdip: Qdip, tmp_path: Path) -> None:
    (tmp_path / "campaign.yaml").write_text(
        "name: x\nbuild: {bulk: {material: CsBr}}\nvary: {lattice: [4.1, 4.2]}\n"
        'inputs: {preset: quick, kpoints: "2,2,2000"}\n'
    )
    code, _, err = qdip("submit", tmp_path / "campaign.yaml", "-o", tmp_path / "camp")
    assert (code, "expected 1 to 200 points" in err, "campaign.yaml" in err) == (2, True, True), err
    assert not (tmp_path / "camp").exists()
