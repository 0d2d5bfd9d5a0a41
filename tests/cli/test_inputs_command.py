"""``qdip inputs`` on structures that users bring: held atoms, no cell, one name twice."""

import re
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms, FixCartesian
from ase.io import write

from qdip_struct.base.errors import UsageError
from qdip_struct.cli.main import main
from qdip_struct.cp2k.inputs.decisions import decide_fixed_atoms
from qdip_struct.materials.structure_files import read_structure


@pytest.mark.parametrize("ending", ["vasp", "extxyz"])
def test_atoms_held_in_a_file_are_held_in_its_run(ending: str, tmp_path: Path) -> None:
    """Selective dynamics of a POSCAR and the move_mask of an extxyz, and layers asked for on top of them."""
    atoms = read_structure(Path(__file__).parents[1] / "data" / "crystals" / "x4_seldyn.vasp")
    path = tmp_path / f"slab.{ending}"
    write(path, atoms)
    assert main(["inputs", str(path), "--task", "geo_opt", "--preset", "quick", "-o", str(tmp_path / "runs")]) == 0
    text = (tmp_path / "runs" / "slab" / "run.inp").read_text()
    assert re.findall(r"&FIXED_ATOMS\s+COMPONENTS_TO_FIX XYZ\s+LIST (.+)", text) == ["1..2 7..8"]
    with pytest.raises(UsageError, match="FixCartesian that does not hold whole atoms"):
        held = Atoms("PbS", positions=[[0, 0, 0], [0, 0, 3]], constraint=FixCartesian([0], mask=(True, True, False)))
        decide_fixed_atoms(held, n_layers=0)
    with pytest.raises(UsageError, match="every atom"):
        decide_fixed_atoms(Atoms("PbS", constraint=FixAtoms([0, 1])), n_layers=0)


def test_a_structure_without_a_cell_is_given_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "h2.xyz"
    path.write_text("2\n\nH 0 0 0\nH 0 0 0.74\n")
    words = ["inputs", str(path), "--preset", "quick", "-o", str(tmp_path / "runs")]
    assert main(words) == 2 and "has no cell; give one with --cell" in capsys.readouterr().err
    assert main([*words, "--cell", "8,9,10"]) == 0
    assert "A 8.0000000000 0.0" in re.sub(r" +", " ", (tmp_path / "runs" / "h2" / "run.inp").read_text())


def test_files_of_one_name_in_two_folders_get_two_runs(tmp_path: Path) -> None:
    for folder, a in (("one", 5.9), ("two", 6.0)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "bulk.vasp", bulk("PbS", "rocksalt", a=a))
    files = [str(tmp_path / folder / "bulk.vasp") for folder in ("one", "two")]
    assert main(["inputs", *files, "--preset", "quick", "-o", str(tmp_path / "runs")]) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["one_bulk", "two_bulk"]
