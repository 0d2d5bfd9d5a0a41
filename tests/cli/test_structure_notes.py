"""Every command that reads a user's structure says what in it goes unused, and takes --cell and --symprec alike."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from qdip_struct.cli.main import main

PBS = bulk("PbS", "rocksalt", a=5.936, cubic=True)


@pytest.fixture
def carrying(tmp_path: Path) -> Path:
    """Rock salt with velocities, moments and held atoms under a name that tells nothing."""
    atoms = PBS.copy()
    atoms.set_initial_magnetic_moments([1, 0, -1, 0, 1, 0, -1, 0])
    atoms.set_velocities(np.full((8, 3), 0.01))
    write(tmp_path / "last", atoms, format="extxyz")
    return tmp_path / "last"


READ_AS, MOMENTS, VELOCITIES = "is read as xyz", "has magnetic moments", "has velocities"
COMMANDS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "inputs": (["inputs", "{file}", "-o", "{out}"], (READ_AS, VELOCITIES)),
    "converge": (["converge", "{file}", "--vary", "cutoff=200,300", "-o", "{out}"], (READ_AS, VELOCITIES)),
    "strain": (["strain", "{file}", "-o", "{out}/s.extxyz"], (READ_AS,)),
    "diffraction": (["diffraction", "{file}", "-o", "{out}/d.json"], (READ_AS,)),
    "planes": (["planes", "{file}", "--plane", "200", "-o", "{out}/p.json"], (READ_AS,)),
    "match": (["match", "{file}", "100", "PbS", "100", "-o", "{out}/m.json"], (READ_AS,)),
    "build slab": (["build", "slab", "--material", "{file}", "-o", "{out}"], (READ_AS, MOMENTS, VELOCITIES)),
    "build interface": (
        ["build", "interface", "--film", "{file}", "--substrate", "CsPbBr3", "-o", "{out}"],
        (READ_AS, MOMENTS, VELOCITIES),
    ),
    "build dot": (
        ["build", "dot", "--material", "{file}", "--diameter", "15", "-o", "{out}/dot.extxyz"],
        (READ_AS, MOMENTS, VELOCITIES),
    ),
    "build embed": (
        ["build", "embed", "--dot", "{file}", "--diameter", "12", "--matrix", "CsPbBr3", "--cells", "4,4,4",
         "--neutral", "off", "-o", "{out}/e.extxyz"],
        (READ_AS, MOMENTS, VELOCITIES),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_what_goes_unused_is_said_and_written_down(
    name: str, carrying: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, expected = COMMANDS[name]
    out = tmp_path / "out"
    out.mkdir()
    assert main([word.format(file=carrying, out=out) for word in words] + ["--force"]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: last")]
    assert len(notes) == len(expected)
    for sentence in expected:
        assert any(sentence in line for line in notes)
    written = [path for path in out.rglob("*.json") if "file_notes" in path.read_text()]
    assert written
    assert all(len(_notes_in(json.loads(path.read_text()))) == len(expected) for path in written)


def _notes_in(document: object) -> list[str]:
    if isinstance(document, dict) and "file_notes" in document:
        return document["file_notes"]
    inside = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return next((found for value in inside if (found := _notes_in(value))), [])


def test_files_of_our_own_are_read_without_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "slab", "--material", "PbS", "-o", str(tmp_path / "s")]) == 0
    assert main(["build", "dot", "--material", "PbS", "--diameter", "15", "-o", str(tmp_path / "dot.extxyz")]) == 0
    capsys.readouterr()
    for file in (tmp_path / "s" / "slab.extxyz", tmp_path / "dot.extxyz"):
        assert main(["inputs", str(file), "-o", str(tmp_path / "runs")]) == 0
        assert main(["strain", str(file)]) == 0
    assert "note: slab" not in capsys.readouterr().err and "note: dot" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["inputs", "{file}", "-o", "{out}"],
        ["converge", "{file}", "--vary", "cutoff=200,300", "-o", "{out}"],
        ["diffraction", "{file}"],
        ["strain", "{file}"],
        ["build", "slab", "--material", "{file}", "-o", "{out}"],
    ],
)
def test_a_cell_is_given_in_every_command_that_needs_one(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "frame.xyz"
    rows = [f"{atom.symbol} {' '.join(f'{x:.6f}' for x in atom.position)}" for atom in PBS]
    file.write_text("\n".join(["8", " i = 1, E = -1.0", *rows]) + "\n")
    command = [word.format(file=file, out=tmp_path / "out") for word in words]
    assert main([*command, "--cell", "5.936,5.936,5.936"]) == 0
    capsys.readouterr()
    assert main([*command, "--cell", "5.936,5.936"]) == 2
    assert "three edges in Å" in capsys.readouterr().err
    write(tmp_path / "whole.vasp", PBS, format="vasp", sort=True)
    command = [word.format(file=tmp_path / "whole.vasp", out=tmp_path / "out2") for word in words]
    assert main([*command, "--cell", "5,5,5"]) == 2
    assert "has a cell of its own" in capsys.readouterr().err


def test_a_tolerance_stands_in_the_sidecar_and_decides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(2)
    noisy = PBS.copy()
    noisy.positions += draw.uniform(-0.03, 0.03, (8, 3))
    write(tmp_path / "noisy.vasp", noisy, format="vasp", sort=True)
    common = ["build", "slab", "--material", str(tmp_path / "noisy.vasp"), "--layers", "4"]
    assert main([*common, "--symprec", "0.1", "-o", str(tmp_path / "one")]) == 0
    one = json.loads((tmp_path / "one" / "slab.json").read_text())
    assert one["symmetric"] and one["provenance"]["parameters"]["symprec"] == 0.1
    assert main([*common, "-o", str(tmp_path / "two"), "--layer-tolerance", "0.3"]) == 0
    two = json.loads((tmp_path / "two" / "slab.json").read_text())
    assert not two["symmetric"] and two["provenance"]["parameters"]["symprec"] == 0.01
    assert main([*common, "--symprec", "3", "-o", str(tmp_path / "three")]) == 2
    assert "symmetry tolerance is 3 Å" in capsys.readouterr().err


def test_a_matrix_with_vacuum_is_no_crystal_to_embed_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slab = PBS * (2, 2, 1)
    slab.center(vacuum=8.0, axis=2)
    write(tmp_path / "slab.vasp", slab, format="vasp", sort=True)
    flat = Atoms(PBS, pbc=(True, True, False))
    write(tmp_path / "flat.extxyz", flat)
    for name, why in (("slab.vasp", "gap of"), ("flat.extxyz", "not periodic in three")):
        words = ["build", "embed", "--dot", "PbS", "--diameter", "8", "--matrix", str(tmp_path / name)]
        assert main([*words, "-o", str(tmp_path / "e.extxyz")]) == 2
        said = capsys.readouterr().err
        assert "holds no crystal to cut from" in said and why in said
