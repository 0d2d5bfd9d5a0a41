"""CP2K's files through the one door: what comes along, what is said, and whose cell a frame gets."""

import os
import re
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.constraints import FixAtoms, FixCartesian
from ase.io import read

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.cp2k.inputs.decisions import decide_fixed_atoms
from qdip_struct.cp2k.inputs.deck import make_deck
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.materials.structure_files import file_notes, is_structure_file, read_structure

DATA = Path(__file__).parents[1] / "data"
NPT = DATA / "cp2k_geometry" / "npt"
CELL_OPT = DATA / "cp2k_geometry" / "cell_opt"
SLAB = """&GLOBAL
  PROJECT slab
&END GLOBAL
&MOTION
  &CONSTRAINT
    &FIXED_ATOMS
      LIST 1..2
    &END FIXED_ATOMS
    &COLLECTIVE
    &END COLLECTIVE
  &END CONSTRAINT
&END MOTION
&FORCE_EVAL
  &DFT
    CHARGE 1
    MULTIPLICITY 2
  &END DFT
  &SUBSYS
    &CELL
      ABC 6 6 30
      PERIODIC XY
    &END CELL
    &COORD
      @INCLUDE ../atoms.inc
      Pb1 0 0 0
      S 3 3 0
      Pb_gh 0 0 3
      S 3 3 3 ! me@home
      S 3 3 3.5
    &END COORD
    &KIND Pb1
      ELEMENT Pb
      MAGNETIZATION 0.5
    &END KIND
    &KIND Pb_gh
      ELEMENT Pb
      GHOST
    &END KIND
  &END SUBSYS
&END FORCE_EVAL
"""


@pytest.mark.parametrize("word", ["a.inp", "A.INP", "run-1.restart", "run-1.restart.bak-2"])
def test_cp2ks_names_are_structure_files(word: str) -> None:
    assert is_structure_file(word)


@pytest.mark.parametrize("word", ["PbS", "CsPbI3:cubic", "restart", "run.restart.bak"])
def test_other_words_are_not(word: str, tmp_path: Path) -> None:
    assert not is_structure_file(word, folder=tmp_path)


def test_a_restart_file_is_the_state_of_its_step() -> None:
    """Against the trajectory, the ``.cell`` and the ``.ener`` file, which CP2K wrote at the same step."""
    atoms = read_structure(NPT / "run-1.restart")
    frame = read(NPT / "run-pos-1.xyz")
    cell = np.loadtxt(NPT / "run-1.cell")[-1, 2:11].reshape(3, 3)
    kinetic = np.loadtxt(NPT / "run-1.ener")[-1, 2]
    np.testing.assert_allclose(atoms.positions, frame.positions, atol=6e-11)
    np.testing.assert_allclose(atoms.cell.array, cell, atol=6e-11)
    assert atoms.get_kinetic_energy() / units.Hartree == pytest.approx(kinetic, rel=1e-6)
    whole, flat = atoms.constraints
    assert {type(whole), type(flat)} == {FixAtoms, FixCartesian}
    by_type = {type(held): held for held in (whole, flat)}
    assert by_type[FixAtoms].get_indices().tolist() == [0]
    assert by_type[FixCartesian].get_indices().tolist() == [2, 3]
    assert by_type[FixCartesian].mask.tolist() == [False, False, True]


def test_the_input_is_the_state_before_the_first_step() -> None:
    atoms, first = read_structure(NPT / "run.inp"), read(NPT / "run-pos-1.xyz", index=0)
    np.testing.assert_allclose(atoms.positions, first.positions, atol=6e-11)
    np.testing.assert_allclose(atoms.cell.cellpar(), [5.3, 5.4, 5.2, 88, 91, 89], atol=1e-9)
    assert not atoms.has("momenta")


@pytest.fixture
def npt(tmp_path: Path) -> Path:
    return Path(shutil.copytree(NPT, tmp_path / "npt"))


def test_a_frame_gets_the_cell_of_its_step(npt: Path) -> None:
    expected = np.loadtxt(NPT / "run-1.cell")[-1, 2:11].reshape(3, 3)
    for source in ("run-1.restart", "run-1.cell"):
        atoms = read_structure(npt / "run-pos-1.xyz")
        np.testing.assert_allclose(atoms.cell.array, expected, atol=6e-11)
        assert atoms.pbc.all()
        said = f"run-pos-1.xyz holds no cell; that of its run is taken from {source}"
        assert said in file_notes(npt / "run-pos-1.xyz")
        (npt / "run-1.restart").unlink(missing_ok=True)
    lines = (npt / "run-pos-1.xyz").read_text().splitlines(keepends=True)
    (npt / "run-pos-1.xyz").write_text("".join(lines[:18]))
    fourth = np.loadtxt(NPT / "run-1.cell")[4, 2:11].reshape(3, 3)
    np.testing.assert_allclose(read_structure(npt / "run-pos-1.xyz").cell.array, fourth, atol=6e-11)


def test_a_restart_file_of_another_step_gives_no_cell(npt: Path) -> None:
    (npt / "run-1.cell").unlink()
    lines = (npt / "run-pos-1.xyz").read_text().splitlines(keepends=True)
    (npt / "run-pos-1.xyz").write_text("".join(lines[:18]))
    with pytest.raises(DataError, match=r"its run changes the cell, and run-1\.restart does not hold that"):
        read_structure(npt / "run-pos-1.xyz")


def test_an_input_gives_no_cell_where_the_run_changes_it(npt: Path) -> None:
    for name in ("run-1.cell", "run-1.restart"):
        (npt / name).unlink()
    with pytest.raises(DataError, match="--cell"):
        read_structure(npt / "run-pos-1.xyz")
    atoms = read_structure(npt / "run-pos-1.xyz", cell=[6, 6, 6])
    assert atoms.cell.lengths().tolist() == [6, 6, 6]


def test_a_cell_file_without_the_step_is_refused(npt: Path) -> None:
    (npt / "run-1.restart").unlink()
    lines = (npt / "run-1.cell").read_text().splitlines(keepends=True)
    (npt / "run-1.cell").write_text("".join(lines[:-1]))
    with pytest.raises(DataError, match="holds no cell of step 6"):
        read_structure(npt / "run-pos-1.xyz")


def test_an_optimised_cell_is_that_of_the_last_step(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(CELL_OPT, tmp_path / "opt"))
    expected = np.loadtxt(CELL_OPT / "run-1.cell")[-1, 2:11].reshape(3, 3)
    for name in ("none", "run-1.restart"):
        (folder / name).unlink(missing_ok=True)
        np.testing.assert_allclose(read_structure(folder / "run-pos-1.xyz").cell.array, expected, atol=6e-11)


def test_an_input_gives_the_cell_where_the_run_keeps_it() -> None:
    place = DATA / "cp2k_runs" / "geo_done" / "run-pos-1.xyz"
    text = (place.parent / "run.inp").read_text()
    edges = re.search(r"ABC (.*)|A +(.*)", text)
    assert edges is not None
    atoms = read_structure(place)
    assert atoms.cell.rank == 3
    np.testing.assert_allclose(atoms.cell.array, read_structure(place.parent / "run.inp").cell.array)
    assert "run-pos-1.xyz holds no cell; that of its run is taken from run.inp" in file_notes(place)


def test_other_atoms_or_several_inputs_are_refused(tmp_path: Path) -> None:
    source = DATA / "cp2k_runs" / "geo_done"
    for name in ("run-pos-1.xyz", "run.inp"):
        shutil.copy(source / name, tmp_path / name)
    good = (tmp_path / "run.inp").read_text()
    (tmp_path / "again.inp").write_text(good)
    with pytest.raises(DataError, match=r"several inputs .*again.inp, run.inp"):
        read_structure(tmp_path / "run-pos-1.xyz")
    (tmp_path / "again.inp").write_text(good.replace("PROJECT run", "PROJECT other"))
    assert read_structure(tmp_path / "run-pos-1.xyz").cell.rank == 3
    atoms = [line for line in good.splitlines() if re.match(r"\s*H( +[-\d.]+){3}", line)]
    (tmp_path / "run.inp").write_text(good.replace(atoms[0], atoms[0].replace("H", "He")))
    with pytest.raises(DataError, match=r"has H as atom 1, run.inp has He"):
        read_structure(tmp_path / "run-pos-1.xyz")
    (tmp_path / "run.inp").write_text(good.replace(atoms[0], ""))
    with pytest.raises(DataError, match=r"has 2 atoms, run.inp has 1"):
        read_structure(tmp_path / "run-pos-1.xyz")


def test_a_frame_alone_says_what_helps(tmp_path: Path) -> None:
    (tmp_path / "run-pos-1.xyz").write_text("2\n\nPb 0 0 0\nS 0 0 3\n")
    with pytest.raises(UsageError, match=r"--cell.*PROJECT-1.cell, PROJECT-1.restart or .inp"):
        make_deck(read_structure(tmp_path / "run-pos-1.xyz"), InputsRequest())


def test_what_comes_along_and_what_is_said(tmp_path: Path) -> None:
    (tmp_path / "deck").mkdir()
    place = tmp_path / "deck" / "slab.inp"
    place.write_text(SLAB)
    (tmp_path / "atoms.inc").write_text("Cs 1 1 1\n")
    atoms = read_structure(place)
    assert atoms.get_chemical_symbols() == ["Pb", "S", "Pb", "S"]
    assert atoms.pbc.tolist() == [True, True, False]
    assert atoms.get_array("ghost").tolist() == [False, False, True, False]
    assert atoms.get_initial_magnetic_moments().tolist() == [0.5, 0, 0, 0]
    assert decide_fixed_atoms(atoms, n_layers=0)[0] == (0, 1)
    said = "\n".join(file_notes(place))
    for words in (
        "../atoms.inc lies outside its folder", "line 28 is left out", "ghosts (1 Pb_gh)", "Pb1 as Pb",
        "CHARGE 1 and MULTIPLICITY 2 are settings", "COLLECTIVE do not come along",
    ):  # fmt: skip
        assert words in said


def test_atoms_that_do_not_exist_cannot_be_held(tmp_path: Path) -> None:
    place = tmp_path / "a.inp"
    place.write_text(SLAB.replace("LIST 1..2", "LIST 1..1000000000").replace("@INCLUDE ../atoms.inc", ""))
    with pytest.raises(DataError, match="FIXED_ATOMS names atoms 1 to 1000000000, and there are 4"):
        read_structure(place)


@pytest.mark.parametrize("seed", range(4))
def test_what_inputs_writes_is_read_back(seed: int, tmp_path: Path) -> None:
    """A skew cell (right-handed), ghosts and held atoms: to 1e-9 Å."""
    random = np.random.default_rng(seed)
    cell = np.diag([8.0, 9.0, 10.0]) + random.uniform(-1.5, 1.5, (3, 3))
    places = np.stack(np.meshgrid([0.1, 0.6], [0.1, 0.6], [0.1, 0.6]), axis=-1).reshape(-1, 3)
    atoms = Atoms("Pb4S4", cell=cell, pbc=True, scaled_positions=places + random.uniform(0, 0.05, (8, 3)))
    atoms.set_constraint(FixAtoms([0, 3, 4]))
    if seed % 2:
        atoms.set_array("ghost", np.arange(8) > 5)
    place = tmp_path / "run.inp"
    place.write_text(make_deck(atoms, InputsRequest(task="geo_opt", preset="quick")).text)
    back = read_structure(place)
    assert back.get_chemical_symbols() == atoms.get_chemical_symbols()
    np.testing.assert_allclose(back.cell.array, atoms.cell.array, rtol=0, atol=1e-9)
    np.testing.assert_allclose(back.positions, atoms.positions, rtol=0, atol=1e-9)
    assert back.constraints[0].get_indices().tolist() == [0, 3, 4]
    assert back.arrays.get("ghost", np.zeros(8, bool)).tolist() == atoms.arrays.get("ghost", np.zeros(8, bool)).tolist()


@pytest.mark.parametrize(
    "place", sorted(DATA.glob("cp2k_runs/**/structure.extxyz")), ids=lambda path: str(path.parent.name)
)
def test_the_input_of_a_run_is_its_structure(place: Path) -> None:
    atoms, back = read_structure(place), read_structure(place.with_name("run.inp"))
    assert back.get_chemical_symbols() == atoms.get_chemical_symbols()
    np.testing.assert_allclose(back.cell.array, atoms.cell.array, atol=1e-9)
    np.testing.assert_allclose(back.positions, atoms.positions, atol=1e-8)


def hostile() -> dict[str, bytes]:
    """Files that must end in a sentence."""
    random = np.random.default_rng(0)
    deep = b"&A\n" * 200_000
    return {
        "bytes": random.integers(0, 256, 200_000, dtype=np.uint8).tobytes(),
        "letters": bytes(random.choice(np.frombuffer(b"&@$\\{}!#\"'=ABC \n", dtype=np.uint8), 300_000)),
        "deep": deep,
        "itself": b"@INCLUDE itself.inp\n",
        "lines": b"&FORCE_EVAL\n" + b"!\n" * 900_000,
        "coordinates": SLAB.replace("@INCLUDE ../atoms.inc", "S 0 0 9e99\n" * 1000).encode(),
        "repeats": SLAB.replace("ABC 6 6 30", "ABC 6 6 30\nMULTIPLE_UNIT_CELL 1000000000 1000000000 1").replace(
            "&KIND Pb1", "&TOPOLOGY\nMULTIPLE_UNIT_CELL 1000000000 1000000000 1\n&END\n&KIND Pb1"
        ).encode(),
        "line": b"&FORCE_EVAL\n" + b"x " * 5_000_000,
        "empty sections": b"&FORCE_EVAL\n&END\n" * 200_000,
    }  # fmt: skip


@pytest.mark.parametrize("name", hostile())
def test_hostile_files_end_in_a_sentence_soon(name: str, tmp_path: Path) -> None:
    place = tmp_path / f"{name.replace(' ', '_')}.inp"
    place.write_bytes(hostile()[name])
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with pytest.raises(DataError):
        read_structure(place)
    assert time.perf_counter() - start < 20.0
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mib < 600.0


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    place = tmp_path / "a.inp"
    with place.open("wb") as stream:
        stream.truncate(10**10)
    with pytest.raises(DataError, match="longer than 32 MiB"):
        read_structure(place)
    (tmp_path / "b.inp").write_text(SLAB.replace("../atoms.inc", "a.inp"))
    with pytest.raises(DataError, match="longer than 32 MiB"):
        read_structure(tmp_path / "b.inp")
    fifo = tmp_path / "c.inp"
    os.mkfifo(fifo)
    with pytest.raises(DataError):
        read_structure(fifo)
