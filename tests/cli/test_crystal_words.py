"""The words for a crystal mean the same in every command: a name, a formula with mixed sites, or a file."""

import json
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest

from qdip_struct.base.errors import DataError
from qdip_struct.builders.atoms.cells import conventional_cell
from qdip_struct.builders.dot.dot_request import BulkRequest, requested_bulk
from qdip_struct.materials.datasets import get_crystal

FILES = {"POSCAR": "vasp", "CONTCAR_x": "vasp", "a.CIF": "cif", "dir/thing": "traj"}
COMMANDS = {
    "slab": ("build", "slab", "--material", "WORD", "-o", "out"),
    "interface": ("build", "interface", "--film", "PbS", "--substrate", "WORD", "-o", "out"),
    "embed": ("build", "embed", "--dot", "PbS", "--diameter", "9", "--matrix", "WORD", "--cells=4,4,4", "-o", "o.xyz"),
    "match": ("match", "PbS", "100", "WORD", "100"),
    "planes": ("planes", "WORD", "--plane", "100"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the same crystal under each name, which is where the commands run."""
    (tmp_path / "dir").mkdir()
    for name, form in FILES.items():
        atoms = conventional_cell(get_crystal("CsPbBr3"))
        ase.io.write(tmp_path / name, ase.Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True), format=form)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("word", FILES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_is_a_file_in_every_command(command: str, word: str, folder: Path, qdip) -> None:  # type: ignore[no-untyped-def]
    code, _, err = qdip(*(word if part == "WORD" else part for part in COMMANDS[command]))
    assert code == 0, err


@pytest.mark.parametrize("word", ["POSCAR_none", "CONTCAR_none", "none.CIF", "none/thing"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_file_is_not_an_unknown_crystal(command: str, word: str, tmp_path: Path, monkeypatch, qdip) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    code, out, err = qdip(*(word if part == "WORD" else part for part in COMMANDS[command]))
    assert (code, out) == (1, "") and "no such file" in err and word in err


@pytest.mark.parametrize("word", FILES)
def test_a_file_of_a_bulk_is_found_beside_the_campaign(word: str, folder: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir("/")
    atoms, report = requested_bulk(BulkRequest(material=word, cells="2,1,1"), folder=folder)
    assert atoms.symbols.formula.count() == {"Cs": 2, "Pb": 2, "Br": 6} and report["source"] is None
    with pytest.raises(DataError, match="no such file"):
        requested_bulk(BulkRequest(material=word), folder=folder / "nowhere")


def test_a_mixture_is_the_same_crystal_in_every_command(tmp_path: Path, qdip_json) -> None:  # type: ignore[no-untyped-def]
    # 298 K: tetragonal MAPbI3 of 293 K, 8.849² × 12.642 Å³ of four formula units, with 43e-6/K; MAPbBr3 5.930 Å.
    iodide = (8.849**2 * 12.642 / 4) ** (1 / 3) * (1 + 43e-6 * 5)
    word, constant = "MAPbI2.5Br0.5", (5 * iodide + 5.93) / 6
    code, match = qdip_json("match", "PbS", "100", word, "100")
    assert code == 0 and match["substrate"]["lengths_angstrom"] == pytest.approx([constant] * 3)
    code, embed = qdip_json("build", "embed", "--dot", "PbS", "--diameter", "16", "--matrix", word, "--cells", "5,5,5",
                            "-o", tmp_path / "dot.extxyz")  # fmt: skip
    assert code == 0 and embed["lattice_angstrom"]["matrix"] == pytest.approx(constant)
    assert embed["mode"] == "coherent" and np.diag(embed["cell_angstrom"]) == pytest.approx([5 * constant] * 3)
    code, _ = qdip_json("build", "slab", "--material", word, "--repeat", "2,2", "-o", tmp_path / "slab")
    side = json.loads((tmp_path / "slab" / "slab.json").read_text())
    assert code == 0 and side["area_angstrom2"] == pytest.approx((2 * constant) ** 2)


def test_planes_of_a_mixture_scatter_by_the_mean_of_its_ions(qdip_json) -> None:  # type: ignore[no-untyped-def]
    code, found = qdip_json("planes", "CsPbBr1.5I1.5", "--d-min", "5")
    strengths = {tuple(line["plane"]): line["strength"] for line in found["crystals"][0]["reflections"]}
    # F(100) of the cubic perovskite: Pb at the corner, X on the edges, A in the body centre; X of 35 and 53 electrons.
    x = (35 + 53) / 2
    assert code == 0 and strengths == {(1, 0, 0): pytest.approx(((82 + x - 55) / (82 + 3 * x + 55)) ** 2)}


@pytest.mark.parametrize("words", [("dot", "--material"), ("attach", "--dot", "PbS", "--matrix")])
def test_a_dot_is_cut_from_the_crystal_of_a_file_too(words: tuple[str, ...], tmp_path: Path, qdip) -> None:  # type: ignore[no-untyped-def]
    code, _, err = qdip("build", *words, "a.cif", "-o", tmp_path / "x.extxyz")
    assert code == 1 and "no such file" in err
