"""``qdip build parts``: the end of one run as the start of the next, and what its parts add up to."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from qdip_struct.base.files import shipped
from qdip_struct.materials.structure_files import read_structure

RELAXED = Path(str(shipped("workflows", "interface_energy"))) / "reference" / "relaxed_3x3" / "PbBr2" / "interface"
BUILD = ["build", "interface", "--film", "PbS", "--substrate", "CsPbBr3", "--dataset", "pbe_cp2k"]

KEPT = ("role", "group", "film", "film_layers", "substrate", "substrate_plane", "termination")
KEPT += ("composition", "formal_charge", "regions", "n_atoms", "electrons")


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A relaxed interface as CP2K leaves it: the shipped output, with the positions of the last step."""
    folder = tmp_path / "finished"
    shutil.copytree(RELAXED, folder)
    atoms = read_structure(folder / "relaxed.extxyz")
    (folder / "relaxed.extxyz").unlink()
    rows = [f"{s} {x:.10f} {y:.10f} {z:.10f}" for s, (x, y, z) in zip(atoms.symbols, atoms.positions, strict=True)]
    head = [str(len(atoms)), " i =       10, E =      -177.6107490000"]
    (folder / "run-pos-1.xyz").write_text("\n".join([*head, *rows]) + "\n")
    return folder


def test_parts_of_a_run_stand_where_the_interface_left_them(finished, tmp_path, qdip):
    code, _, err = qdip("build", "parts", finished, "-o", tmp_path / "start")
    assert code == 0, err
    whole = read_structure(RELAXED / "relaxed.extxyz")
    parts = {role: read_structure(tmp_path / "start" / f"{role}.extxyz") for role in ("interface", "film", "substrate")}
    for role, part in parts.items():
        mine = whole if role == "interface" else whole[whole.arrays["region"] == role]
        assert part.get_chemical_symbols() == mine.get_chemical_symbols()
        assert np.abs(part.positions - mine.positions).max() < 1e-9
        assert np.abs(part.cell.array - whole.cell.array).max() < 1e-9
    assert len(parts["film"]) + len(parts["substrate"]) == len(whole)
    built = read_structure(finished / "structure.extxyz")
    assert np.abs(parts["interface"].positions - built.positions).max() > 0.01


def test_sidecars_keep_what_the_builder_said(tmp_path, qdip):
    assert qdip(*BUILD, "-o", tmp_path / "built")[0] == 0
    assert qdip("build", "parts", tmp_path / "built" / "interface.extxyz", "-o", tmp_path / "parts")[0] == 0
    for role in ("interface", "film", "substrate"):
        one = json.loads((tmp_path / "built" / f"{role}.json").read_text())
        two = json.loads((tmp_path / "parts" / f"{role}.json").read_text())
        for key in KEPT:
            assert one[key] == two[key], (role, key)
        assert "thickness_angstrom" not in two or one["thickness_angstrom"] == two["thickness_angstrom"]
        same = [read_structure(tmp_path / place / f"{role}.extxyz") for place in ("built", "parts")]
        assert np.abs(same[0].positions - same[1].positions).max() < 1e-9


def test_parts_become_runs_of_their_roles(finished, tmp_path, qdip):
    assert qdip("build", "parts", finished, "-o", tmp_path / "start", "--group", "once more")[0] == 0
    structures = sorted((tmp_path / "start").glob("*.extxyz"))
    assert qdip("inputs", *structures, "--preset", "quick", "--task", "geo_opt", "-o", tmp_path / "runs")[0] == 0
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "runs").glob("*/run.json"))]
    assert [(record["role"], record["group"]) for record in records] == [
        (role, "once more") for role in ("film", "interface", "substrate")
    ]


def test_a_run_that_did_not_finish_is_refused_unless_asked_for(finished, tmp_path, qdip):
    text = (finished / "run.out").read_text()
    (finished / "run.out").write_text(text[: text.index("GEOMETRY OPTIMIZATION COMPLETED")])
    (finished / "result.json").unlink(missing_ok=True)
    code, _, err = qdip("build", "parts", finished, "-o", tmp_path / "start")
    assert code == 1 and "not finished (truncated" in err and "--unfinished" in err
    assert not (tmp_path / "start").exists()
    assert qdip("build", "parts", finished, "--unfinished", "-o", tmp_path / "start")[0] == 0


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda run: (run / "run-pos-1.xyz").unlink(), "holds no positions of its steps"),
        (lambda run: (run / "run-pos-1.xyz").write_text("20\n i = 1, E = -1.0\nPb 0 0 0\n"), "run-pos-1.xyz"),
        (lambda run: (run / "run.json").unlink(), "no run folder"),
        (lambda run: (run / "run.out").unlink(), "run.out"),
    ],
)
def test_a_damaged_run_is_refused(finished, tmp_path, qdip, prepare, words):
    prepare(finished)
    code, _, err = qdip("build", "parts", finished, "-o", tmp_path / "start")
    assert code == 1 and words in err
    assert not (tmp_path / "start").exists()


def test_what_is_no_interface_of_film_and_substrate(tmp_path, qdip):
    assert qdip(*BUILD, "-o", tmp_path / "built")[0] == 0
    film = tmp_path / "built" / "film.extxyz"
    code, out, _ = qdip("build", "parts", film, "-o", tmp_path / "film")
    assert code == 0 and "film" in out
    assert [path.name for path in sorted((tmp_path / "film").iterdir())] == ["film.extxyz", "film.json"]
    (tmp_path / "plain.xyz").write_text("1\n\nPb 0 0 0\n")
    code, _, err = qdip("build", "parts", tmp_path / "plain.xyz", "-o", tmp_path / "plain")
    assert code == 2 and "plain.xyz" in err and not (tmp_path / "plain").exists()
    code, _, err = qdip("build", "parts", film)
    assert code == 2 and "-o DIR" in err
    assert qdip("build", "parts", film, "-o", tmp_path / "film")[0] == 0
    code, _, err = qdip("build", "parts", film, "-o", tmp_path / "film", "--group", "another")
    assert code == 2 and "film.json" in err


def test_a_single_point_ends_where_it_began(tmp_path, qdip):
    shutil.copytree(RELAXED.parents[2] / "runs" / "interface", tmp_path / "point")
    assert qdip("build", "parts", tmp_path / "point", "-o", tmp_path / "start")[0] == 0
    built = read_structure(tmp_path / "point" / "structure.extxyz")
    assert np.abs(read_structure(tmp_path / "start" / "interface.extxyz").positions - built.positions).max() < 1e-9
