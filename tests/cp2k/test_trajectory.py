"""Trajectories: real frames, labels put back, half-converged energies left out, memory flat; side files by project."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase import units as ase_units
from ase.io import read

from qdip_struct.base.errors import DataError, MismatchError, UsageError
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.trajectory import labelled, read_cells, read_frames, side_files, write_extxyz
from qdip_struct.runs.collection import final_structure, write_trajectory

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"


def molecule() -> Atoms:
    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.76]], cell=[5, 5, 5], pbc=True)
    atoms.set_array("region", np.array(["dot", "matrix"]))
    atoms.set_array("formal_charge", np.array([1, -1]))
    return atoms


def test_frames_are_those_that_ase_reads() -> None:
    path = RUNS / "md" / "run-pos-1.xyz"
    frames, images = list(read_frames(path)), read(path, index=":", format="xyz")
    assert len(frames) == len(images) == 4
    for frame, image in zip(frames, images, strict=True):
        np.testing.assert_array_equal(frame.positions, image.positions)
    assert [frame.step for frame in frames] == [0, 1, 2, 3]
    assert [frame.time_fs for frame in frames] == [0.0, 0.5, 1.0, 1.5]


def test_labels_come_back_and_survive_extxyz(tmp_path: Path) -> None:
    run = read_run(RUNS / "md")
    path = tmp_path / "trajectory.extxyz"
    frames = labelled(read_frames(RUNS / "md" / "run-pos-1.xyz"), reference=molecule(), run=run)
    assert write_extxyz(path, frames, provenance={"command": "test"}) == 4
    images = read(path, index=":")
    assert [list(image.arrays["region"]) for image in images] == [["dot", "matrix"]] * 4
    assert [list(image.arrays["formal_charge"]) for image in images] == [[1, -1]] * 4
    np.testing.assert_allclose(images[-1].cell, 5 * np.eye(3))
    assert json.loads(images[0].info["provenance"]) == {"command": "test"}
    energies = [image.info["energy_ev"] for image in images]
    np.testing.assert_allclose(energies, run.steps.energy_ev, atol=1e-8)
    with pytest.raises(UsageError, match="exists"):
        write_extxyz(path, iter(()), provenance={})
    assert [item.name for item in tmp_path.iterdir()] == ["trajectory.extxyz"]


def test_half_converged_energies_are_left_out() -> None:
    path = RUNS / "restarted" / "run-pos-1.xyz"
    first = read_run(RUNS / "restarted" / "run.out")
    frames = list(read_frames(path))
    marked = list(labelled(frames, reference=molecule(), run=first))
    assert [step.index for step in first.steps] == [0, 1, None]
    assert {atoms.info["step"] for atoms in marked if "energy_ev" in atoms.info} == {1}
    assert all("energy_ev" not in atoms.info for atoms in labelled(frames, reference=molecule()))
    assert frames[0].printed_energy_ev == pytest.approx(first.steps[1].energy_ev, abs=1e-8)


def test_other_atoms_are_refused() -> None:
    for other in (Atoms("HO", positions=np.zeros((2, 3))), Atoms("H3", positions=np.zeros((3, 3)))):
        with pytest.raises(MismatchError, match="order"):
            next(labelled(read_frames(RUNS / "md" / "run-pos-1.xyz"), reference=other))


def test_a_cut_last_frame_is_left_out_and_damage_is_told(tmp_path: Path, refused: Callable[..., None]) -> None:
    text = (RUNS / "md" / "run-pos-1.xyz").read_text()
    path = tmp_path / "run-pos-1.xyz"
    for cut in range(len(text) - 120, len(text)):
        path.write_text(text[:cut])
        assert len(list(read_frames(path))) == 3
    starred = text.replace("0.7600000000", "**********")
    contents = ("", "two\n\nH 0 0 0\n", "-2\n\n", starred, "2\n\nH 0 0\nH 0 0 nan\n")
    refused(lambda file: list(read_frames(file)), path, contents)


def test_a_trajectory_cut_anywhere_is_its_first_whole_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    whole = rng.normal(0.0, 5.0, (2, 4, 3)).round(6)
    text, ends = "", []
    for step, rows in enumerate(whole):
        text += f"4\n i = {step}, time = {step / 2:.3f}, E = -1.5\n"
        text += "".join(f"  Pb {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in rows)
        ends.append(len(text))
    path = tmp_path / "run-pos-1.xyz"
    for cut in range(ends[0], len(text) + 1):
        path.write_text(text[:cut])
        frames = [frame.positions for frame in read_frames(path)]
        np.testing.assert_array_equal(frames, whole[: sum(end <= cut for end in ends)])


def test_cells_step_by_step(tmp_path: Path) -> None:
    path = tmp_path / "run-1.cell"
    path.write_text(
        "#   Step   Time [fs]       Ax [Angstrom]       Ay [Angstrom]       Az [Angstrom]  Bx  Volume [Angstrom^3]\n"
        "       0       0.000    5.0 0.0 0.0 0.0 5.0 0.0 0.0 0.0 5.0   125.0\n"
        "       1       0.000    5.1 0.0 0.0 0.0 5.1 0.0 0.0 0.0 5.1   132.7\n"
        "       2       0.000    5.2 0.0 0.0 0."
    )
    cells = read_cells(path)
    assert sorted(cells) == [0, 1]
    atoms = list(labelled(read_frames(RUNS / "md" / "run-pos-1.xyz"), reference=molecule(), cells=cells))
    np.testing.assert_allclose(atoms[1].cell, 5.1 * np.eye(3))
    np.testing.assert_allclose(atoms[3].cell, 5.0 * np.eye(3))
    with pytest.raises(DataError):
        read_cells(RUNS / "md" / "run-pos-1.xyz")


def test_side_files_belong_to_the_project_and_not_to_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "run.out").write_bytes((RUNS / "cubes" / "run.out").read_bytes())
    mine = ["run-pos-1.xyz", "run-1.restart", "run-RESTART.wfn", "run-k1-1.pdos", "run-v_hartree-1_0.cube"]
    others = ["run-2-pos-1.xyz", "run-2-1.restart", "run2-pos-1.xyz", "run-2-k1-1.pdos", "run-2-v_hartree-1_0.cube",
              "a-pos-1.xyz", "run-pos-1.xyz.bak-1", "run-1.restart.bak-1"]  # fmt: skip
    for name in mine + others:
        (tmp_path / name).touch()
    found = side_files(read_run(tmp_path / "run.out"))
    assert found.positions == tmp_path / "run-pos-1.xyz"
    assert found.restart == tmp_path / "run-1.restart"
    assert found.wavefunction == tmp_path / "run-RESTART.wfn"
    assert found.pdos == (tmp_path / "run-k1-1.pdos",)
    assert found.cubes == {"v_hartree": tmp_path / "run-v_hartree-1_0.cube"}
    assert (found.forces, found.cells) == (None, None)


def test_seven_runs_in_one_folder_stay_apart(tmp_path: Path) -> None:
    text = (RUNS / "energy" / "run.out").read_text()
    energies = []
    for number in range(7):
        changed = text.replace(
            "Project name                                                        run", f"Project name  p{number}"
        )
        changed = changed.replace("energy [a.u.]:               -1.16", f"energy [a.u.]:               -{number}.16")
        (tmp_path / f"p{number}.out").write_text(changed)
        (tmp_path / f"p{number}-pos-1.xyz").touch()
    for number in range(7):
        run = read_run(tmp_path / f"p{number}.out")
        assert run.project == f"p{number}"
        assert side_files(run).positions == tmp_path / f"p{number}-pos-1.xyz"
        energies.append(int(-run.energy_ev / ase_units.Hartree))
    assert energies == list(range(7))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the peak memory")
def test_a_long_trajectory_is_never_held_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = "".join(f"  H {x:19.10f} {y:19.10f} {z:19.10f}\n" for x, y, z in rng.random((3000, 3)))
    path = tmp_path / "run-pos-1.xyz"
    with path.open("w") as stream:
        for step in range(100):
            stream.write(f"3000\n i = {step:8d}, time = {step:12.3f}, E = {-1.0:20.10f}\n{rows}")
    code = (
        "import re, sys; from pathlib import Path; from qdip_struct.cp2k.outputs.trajectory import read_frames;"
        "peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text()).group(1));"
        "frames = read_frames(Path(sys.argv[1])); next(frames); start = peak();"
        "assert sum(1 for _ in frames) == 99; print(peak() - start)"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(answer.stdout) < 8_000


def test_each_frame_of_a_cell_optimisation_has_its_own_cell(tmp_path: Path) -> None:
    """PbS in its primitive cell, CP2K 2023.1, without a .cell file; values of the run, read off its output by hand."""
    folder = Path(shutil.copytree(RUNS / "primitive_cell", tmp_path / "run"))
    path, n_frames = write_trajectory(folder)
    frames = read(path, ":")
    assert n_frames == len(frames) == 5
    edges = [frame.cell.lengths() for frame in frames]
    assert edges[0] == pytest.approx([4.159985] * 3, abs=1e-5) and edges[-1] == pytest.approx([4.223496] * 3, abs=1e-5)
    assert frames[-1].cell.angles() == pytest.approx([60.0] * 3, abs=0.02)
    # Pb and S of rock salt are half the body diagonal of the primitive cell apart: a/√2.
    assert frames[-1].get_distance(0, 1, mic=True) == pytest.approx(4.223496 / 2**0.5, abs=1e-3)
    final = final_structure(folder, read_run(folder))
    assert final is not None and final.cell.lengths() == pytest.approx([4.223496] * 3, abs=1e-5)
