"""Names that lead out of a folder, steer a terminal, break a line or a page: refused early with the place, or text."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from qdip_struct.base.errors import UsageError
from qdip_struct.base.files import json_text, shipped, write_text
from qdip_struct.builders.atoms.cells import conventional_cell
from qdip_struct.builders.atoms.store import structure_text
from qdip_struct.campaign.engines.jobscript import job_script, load_site
from qdip_struct.campaign.spec import LONGEST_LABEL, load_spec
from qdip_struct.cli.console import printable
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.report.page import study_page
from qdip_struct.report.study import read_study

Call = Callable[..., tuple[int, str, str]]
RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
NAMES = {
    "up": "../up",
    "absolute": "/etc/passwd",
    "line": "a\nb",
    "return": "a\rb",
    "NUL": "a\0b",
    "escape": "\x1b[31mred",
    "reversed": "\u202egnp.exe",
    "surrogate": "\udcff",
    "option": "-rf",
    "markup": "<script>alert(1)</script>",
    "long": "x" * 5000,
    "empty": "",
}
RAW = {"\x1b", "\0", "\r", "\u202e"}


@pytest.fixture
def structure(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "PbS.extxyz"
    path.parent.mkdir()
    path.write_text(structure_text(conventional_cell(get_crystal("PbS")), format="extxyz"))
    return path


def test_what_steers_a_terminal_is_shown_and_what_people_write_stays() -> None:
    assert printable("\x1b[31m\0\x9b\u202e\udcff\r") == "\\u001b[31m\\u0000\\u009b\\u202e\\udcff\\u000d"
    assert printable("γ = 1.0 meV/Å²\tΓ\nΔρ, ½, 点") == "γ = 1.0 meV/Å²\tΓ\nΔρ, ½, 点"
    assert json.loads(printable(json_text({"a": "\x7f\u2028\x1b"}))) == {"a": "\x7f\u2028\x1b"}


def test_a_file_can_hold_what_utf8_cannot(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", json_text({"path": "a\udcff"}))
    assert json.loads((tmp_path / "a.json").read_text()) == {"path": "a\udcff"}


@pytest.mark.parametrize("kind", NAMES)
def test_a_group_of_inputs(kind: str, qdip: Call, structure: Path, tmp_path: Path) -> None:
    name, out = NAMES[kind], tmp_path / "work" / "runs"
    for words in (["--group", name], ["--role", name]):
        code, _, err = qdip("inputs", structure, "--preset", "quick", "--task", "energy", *words, "-o", out, "--force")
        assert code in ((0, 2) if words[0] == "--group" else (2, 0) if name == "" else (2,)), err
        assert not set(err) & RAW
        assert "internal" not in err
        if code == 2:
            assert len(err.splitlines()) == 1
            assert len(err) < 700
        else:
            record = json.loads((out / "PbS" / "run.json").read_text())
            assert record["group"] in (name, "PbS")
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "work"}
    assert [path.name for path in (tmp_path / "work").glob("*")] in ([], ["runs"])


@pytest.mark.parametrize("kind", ["line", "escape", "reversed", "surrogate"])
def test_a_structure_file_whose_name_cannot_be_a_run(kind: str, qdip: Call, structure: Path, tmp_path: Path) -> None:
    path = structure.with_name(f"{NAMES[kind]}.extxyz")
    structure.rename(path)
    code, out, err = qdip("inputs", path, "--preset", "quick", "--task", "energy", "-o", tmp_path / "runs")
    assert (code, out) == (2, "")
    assert "name" in err
    assert not set(err) & RAW
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("key", ["group", "role"])
@pytest.mark.parametrize("kind", NAMES)
def test_names_in_run_json_and_sidecars(key: str, kind: str, qdip: Call, structure: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "one"
    shutil.copytree(RUNS / "energy", folder)
    record: dict[str, Any] = {
        "role": "single", "group": "g", "structure_sha256": "0", "settings": {}, "qdip_version": "0", key: NAMES[kind],
    }  # fmt: skip
    text = json.dumps(record)
    (folder / "run.json").write_text(text)
    structure.with_suffix(".json").write_text(text)
    for words in (
        ("collect", folder),
        ("collect", folder, "--json"),
        ("status", folder.parent),
        ("status", folder.parent, "--json"),
        ("energies", folder.parent),
        ("inputs", structure, "--preset", "quick", "--task", "energy", "-o", tmp_path / "runs" / "new", "--force"),
    ):
        code, out, err = qdip(*words)
        assert code in (0, 1, 2, 3)
        assert "internal" not in err
        assert not set(out + err) & RAW, words[0]
        assert words[0] == "collect" or code == 0 or str(tmp_path) in err, err
    assert {path.name for path in tmp_path.iterdir()} == {"in", "runs"}


def campaign(path: Path, **more: Any) -> Path:
    path.write_text(yaml.safe_dump({"build": {"bulk": {"material": "PbS"}}, **more}))
    return path


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind != "surrogate"])
def test_names_and_labels_of_campaigns(kind: str, tmp_path: Path) -> None:
    name = NAMES[kind]
    wrong: list[dict[str, Any]] = [{"name": name}, {"cases": {name: {"lattice": 5.9}}}]
    wrong += [{"vary": {"lattice": {name: 5.9, "b": 6.0}}}] if name else []
    for more in wrong:
        with pytest.raises(UsageError) as caught:
            load_spec(campaign(tmp_path / "campaign.yaml", **more))
        assert "campaign.yaml, line" in str(caught.value)
        assert len(str(caught.value)) < (400 if "name" in more else 6000)


def test_the_longest_name_of_a_campaign(tmp_path: Path) -> None:
    whole = load_spec(campaign(tmp_path / "c.yaml", name="x" * LONGEST_LABEL))
    assert len(whole.name) == LONGEST_LABEL
    with pytest.raises(UsageError, match=f"has {LONGEST_LABEL + 1} characters; .* at most {LONGEST_LABEL}"):
        load_spec(campaign(tmp_path / "c.yaml", name="x" * (LONGEST_LABEL + 1)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, name) for key in ("partition", "account") for name in NAMES.values()),
        *(("launcher", NAMES[kind]) for kind in ("line", "NUL", "escape", "reversed", "long")),
        *((key, value) for key in ("nodes", "tasks", "memory_gb") for value in (True, -1, 0, 1.5, "2; rm", 10**9)),
        ("setup", ["a\0b"]), ("setup", "module load cp2k"), ("time", "1:00:00\n#SBATCH --x"), ("engine", "slurm\n"),
    ],
)  # fmt: skip
def test_a_site_file_cannot_add_lines_to_a_job_script(key: str, value: Any, tmp_path: Path) -> None:
    content = yaml.safe_load(shipped("workflows", "sites", "slurm.yaml").read_text())
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump({**content, key: value}), errors="surrogatepass")
    with pytest.raises(UsageError, match=r"site\.yaml"):
        load_site(str(path))


@pytest.mark.parametrize("launcher", ["", "  ", "srun", " mpirun --bind-to 'a b; $(x)' "])
def test_launchers_are_words_of_the_shell(launcher: str, tmp_path: Path) -> None:
    content = yaml.safe_load(shipped("workflows", "sites", "slurm.yaml").read_text())
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump({**content, "launcher": launcher}))
    script = job_script(load_site(str(path)), n_runs=1)
    assert ("--launcher" in script) == bool(launcher.strip())
    assert "$(x)" not in script or "'\"'\"'a b; $(x)'\"'\"'" in script


def test_a_page_shows_names_as_text(tmp_path: Path) -> None:
    evil = NAMES["markup"]
    folder = tmp_path / evil.replace("/", "∕")
    (folder / evil.replace("/", "∕")).mkdir(parents=True)
    structure_file = folder / evil.replace("/", "∕") / "structure.extxyz"
    structure_file.write_text(structure_text(conventional_cell(get_crystal("PbS")), format="extxyz"))
    record = {
        "role": evil, "group": evil, "structure_sha256": evil, "input_sha256": evil, "settings": {"kpoints": [1, 1, 1]},
        "qdip_version": evil, "n_atoms": 8, "composition": {evil: 4}, "origin": evil, "parameters": {"preset": evil},
        "structure": {"termination": evil, "registry": {"meaning": evil}, "formal_charge": {evil: 1},
                      "changes": [{"action": evil, "from": evil, "to": evil}]},
    }  # fmt: skip
    structure_file.with_name("run.json").write_text(json.dumps(record))
    dot = {"name": evil, "a_angstrom": None, "source": evil}
    screen = {
        "dot": dot, "matrix": {"name": evil}, "dataset": evil, "denominator": evil, "remarks": [evil, ""],
        "zero_mismatch": [{"formula": evil, "fraction": None, "a_angstrom": 6.0}], "window": [],
        "points": [{"formula": evil, "fraction": 0.5, "a_matrix_angstrom": 6.0, "mismatch": 0.1}],
    }  # fmt: skip
    (folder / "screen.json").write_text(json.dumps(screen))
    (folder / "strain.json").write_text(
        json.dumps(
            {
                "measure": evil, "regions": {evil: {"n": 1, "mean": 0.1, "stderr": None, "std": None}}, "profile": [],
                "continuum_reason": evil, "structure": evil, "phases": {},
                "to_reference": {evil: {"n": 1, "mean": None, "stderr": None}},
            }
        )
    )  # fmt: skip
    (folder / "torn.json").write_text("{")
    page = study_page(read_study(folder, question=evil), title=evil)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 15
    assert "varies" in page
