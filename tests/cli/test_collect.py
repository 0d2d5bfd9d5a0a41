"""``qdip collect``: tables, JSON, CSV, exit codes, and not reading twice what has not changed."""

import csv
import gzip
import json
import re
import shutil
from pathlib import Path

import pytest

from qdip_struct.base.errors import DataError
from qdip_struct.cli.main import main
from qdip_struct.runs import collection
from qdip_struct.runs.collection import collect, collect_one, find_runs, result_path

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
KEYS = {
    "path", "status", "reason", "cp2k_version", "run_type", "energy_ev", "last_printed_energy_ev", "n_atoms",
    "scf_converged", "geo_converged", "n_geo_steps", "max_force_ev_per_angstrom", "gap_ev", "warnings", "wall_time_s",
}  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    for name in ("energy", "geo_max", "restarted", "odd"):
        shutil.copytree(RUNS / name, folder / name)
    return folder


def test_every_run_is_listed_with_the_contract_keys(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", str(study), "--json"]) == 3
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert {Path(run["path"]).name: run["status"] for run in document["runs"]} == {
        "energy": "done",
        "geo_max": "max_steps",
        "odd": "aborted",
        "restarted": "done",
    }
    assert all(run.keys() >= KEYS for run in document["runs"])
    assert "odd number of electrons" in captured.err


def test_all_done_is_exit_code_zero(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", str(study / "energy"), str(study / "restarted" / "run.out.2")]) == 0
    out = capsys.readouterr().out
    assert "-31.569954" in out
    assert "2 runs: 2 done" in out


def test_the_table_ends_with_what_is_not_done_and_why(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "slurm-12.out").write_text("srun: error: node: task 0: Killed\n")
    (study / "killed.out").write_bytes((RUNS / "killed" / "run.out").read_bytes())
    assert main(["collect", str(study), str(study / "missing")]) == 3
    captured = capsys.readouterr()
    assert "geo_max: max_steps: the optimisation used up its steps" in captured.out
    assert "6 runs: 2 done, 1 aborted, 1 max_steps, 1 truncated, 1 not read" in captured.out
    assert "missing: no such file or folder" in captured.out
    assert "passed over" in captured.err
    assert "slurm-12.out is not a CP2K output" in captured.err


def test_warnings_stand_in_the_table_with_their_run(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["collect", str(study)])
    listed = capsys.readouterr().out.partition("\nwarnings:\n")[2].partition("\n\n")[0].splitlines()
    texts = {text: path for run in collect([study]).runs for text in run.warnings for path in [run.path]}
    assert len(texts) >= 2
    assert set(listed) == {f"  {path}: {text}" for text, path in texts.items()}
    monkeypatch.setattr("qdip_struct.cli.collect._SHOWN", 1)
    main(["collect", str(study)])
    cut = capsys.readouterr().out
    assert f"and {len(texts) - 1} more (--json or -o has all)" in cut
    assert sum(text in cut for text in texts) == 1


@pytest.mark.parametrize("content", [b"", b"no output at all\n", None])
def test_nothing_readable_is_one_line_and_exit_code_one(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.out"
    if content is not None:
        path.write_bytes(content)
    assert main(["collect", str(path), "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert str(path) in captured.err
    assert captured.err.count("\n") == 1


def test_wrong_usage(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        [],
        [str(study), "--nproc", "0"],
        [str(study), "--nproc", "x"],
        [str(study), "--unknown"],
        [str(study), "-o", str(tmp_path / "results.txt")],
    ):
        assert main(["collect", *words]) == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_csv_and_json_files(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("results.csv", "results.json"):
        assert main(["collect", str(study), "-o", str(tmp_path / name)]) == 3
        assert main(["collect", str(study), "-o", str(tmp_path / name)]) == 2
        assert main(["collect", str(study), "-o", str(tmp_path / name), "--force"]) == 3
    capsys.readouterr()
    with (tmp_path / "results.csv").open(newline="") as stream:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(stream)}
    runs = {Path(run["path"]).name: run for run in json.loads((tmp_path / "results.json").read_text())["runs"]}
    assert rows.keys() == runs.keys()
    assert float(rows["energy"]["energy_ev"]) == runs["energy"]["energy_ev"]
    assert rows["odd"]["energy_ev"] == ""
    assert rows["odd"]["status"] == "aborted"


def test_an_unchanged_run_is_not_read_again(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = collect_one(study / "restarted")
    stored = (study / "restarted" / "result.json").read_bytes()

    def never(path: Path) -> None:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(collection, "read_run", never)
    assert collect_one(study / "restarted") == first
    with pytest.raises(AssertionError):
        collect_one(study / "restarted", reread=True)
    assert (study / "restarted" / "result.json").read_bytes() == stored


def test_any_change_of_the_output_is_seen(study: Path) -> None:
    folder = study / "restarted"
    assert collect_one(folder).status == "done"
    second = folder / "run.out.2"
    text = second.read_bytes()
    before = second.stat()
    second.write_bytes(text.replace(b"GEOMETRY OPTIMIZATION COMPLETED", b"GEOMETRY OPTIMIZATION COMPLETES"))
    import os

    os.utime(second, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert collect_one(folder).status == "max_steps"
    second.unlink()
    assert collect_one(folder).status == "walltime"


def test_results_are_the_same_bytes_wherever_and_in_whatever_order(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(study, copy)
    collect([study], processes=2)
    collect([copy / "odd", copy], processes=1)
    for name in ("energy", "geo_max", "restarted", "odd"):
        assert (study / name / "result.json").read_bytes() == (copy / name / "result.json").read_bytes()


def test_role_and_group_of_the_run_folder_are_kept(study: Path) -> None:
    (study / "energy" / "run.json").write_text(json.dumps({"role": "film", "group": "g1", "settings": {}}))
    assert collect_one(study / "energy").to_dict().items() >= {"role": "film", "group": "g1", "status": "done"}.items()
    assert collect_one(study / "energy").role == "film"


def test_a_foreign_result_file_is_left_alone(study: Path) -> None:
    place = study / "energy" / "result.json"
    for content in ('{"mine": 1}', "not json"):
        place.write_text(content)
        assert collect_one(study / "energy").status == "done"
        assert place.read_text() == content


def test_a_damaged_result_of_ours_is_replaced(study: Path) -> None:
    good = collect_one(study / "energy")
    place = study / "energy" / "result.json"
    document = json.loads(place.read_text())
    place.write_text(json.dumps({**document, "energy_ev": 0.0, "outputs": []}))
    assert collect_one(study / "energy") == good


def test_lone_outputs_stay_apart(tmp_path: Path) -> None:
    for name in ("energy", "uks", "odd"):
        shutil.copy(RUNS / name / "run.out", tmp_path / f"{name}.out")
    assert find_runs(tmp_path) == [tmp_path / f"{name}.out" for name in ("energy", "odd", "uks")]
    energies = [run.energy_ev for run in collect([tmp_path]).runs]
    assert len(set(energies)) == 3
    assert result_path(tmp_path / "uks.out").name == "uks.out.result.json"
    assert result_path(tmp_path / "uks.out").exists()


def test_a_folder_not_started_fails_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.inp").touch()
    shutil.copytree(RUNS / "energy", tmp_path / "b")
    found = collect([tmp_path])
    assert [run.status for run in found.runs] == ["done"]
    assert "has not started" in found.failed[0].reason
    with pytest.raises(DataError, match="holds no CP2K run"):
        find_runs(RUNS / "uks_pdos")


def test_the_same_path_twice_is_one_run(study: Path) -> None:
    assert len(collect([study, study / "energy", study]).runs) == 4


def test_trajectories_get_their_labels_back(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np
    from ase import Atoms
    from ase.io import read, write

    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]], cell=[5, 5, 5], pbc=True)
    atoms.set_array("region", np.array(["dot", "matrix"]))
    write(study / "restarted" / "structure.extxyz", atoms)
    assert main(["collect", str(study / "restarted"), "--trajectories"]) == 0
    assert "6 frames" in capsys.readouterr().err
    frames = read(study / "restarted" / "trajectory.extxyz", index=":")
    assert [list(frame.arrays["region"]) for frame in frames] == [["dot", "matrix"]] * 6
    assert main(["collect", str(study / "restarted"), "--trajectories"]) == 3
    assert "exists" in capsys.readouterr().err
    assert main(["collect", str(study / "restarted"), "--trajectories", "--force"]) == 0
    write(study / "restarted" / "structure.extxyz", Atoms("HO", positions=[[0, 0, 0], [0, 0, 1]]))
    assert main(["collect", str(study / "restarted"), "--trajectories", "--force"]) == 3
    assert "order" in capsys.readouterr().err


def test_outputs_by_other_names_and_empty_scheduler_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (RUNS / "energy" / "run.out").read_bytes()
    for name in ("output", "cp2k.log", "slurm-17.out", "pbs.out.gz"):
        (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (tmp_path / "slurm-18.out").touch()
    (tmp_path / "slurm-19.out").write_text("module: loaded\n")
    table = tmp_path / "table.csv"
    assert main(["collect", str(tmp_path), "--csv", str(table)]) == 0
    assert "passed over" in capsys.readouterr().err
    rows = list(csv.DictReader(table.open()))
    assert [Path(row["path"]).name for row in rows] == ["cp2k.log", "output", "pbs.out.gz", "slurm-17.out"]
    assert len({row["energy_ev"] for row in rows}) == 1
    assert main(["collect", str(tmp_path), "--csv", str(table)]) == 2
    (tmp_path / "project.out").touch()
    assert main(["collect", str(tmp_path)]) == 3


def test_structures_carry_the_results_of_their_own_geometry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Against CP2K's digits, ASE's constants, and the sign by which a compressed crystal has a negative ASE stress."""
    import numpy as np
    from ase import units
    from ase.io import read

    endings = RUNS.parent / "cp2k_endings"
    target = tmp_path / "all.extxyz"
    for source in (RUNS / "md", RUNS / "geo_done", endings / "energy_force_h2"):
        shutil.copytree(source, tmp_path / source.name)
    words = [str(tmp_path / "md"), str(tmp_path / "geo_done"), str(tmp_path / "energy_force_h2" / "project.out")]
    assert main(["collect", *words, "--structures", str(target)]) == 0
    assert "3 structures" in capsys.readouterr().err
    images = {image.info["run_type"]: image for image in read(target, index=":")}
    single = images["ENERGY_FORCE"]
    assert single.get_potential_energy() == pytest.approx(-1.158693535450121 * units.Hartree, abs=1e-8)
    printed = np.array([[0, 0, 0.02178393], [0, 0, -0.00431099]]) * units.Hartree / units.Bohr
    np.testing.assert_allclose(single.get_forces(), printed, atol=1e-8)
    np.testing.assert_allclose(single.positions, [[0, 0, 0], [0, 0, 0.75]], atol=1e-8)
    np.testing.assert_allclose(single.cell.lengths(), 5)
    assert single.pbc.all()
    np.testing.assert_allclose(single.arrays["mulliken_charges"], [-0.000194, 0.000194])
    text = (endings / "energy_force_h2" / "project.out").read_text()
    found = re.search(r"STRESS\|      z +\S+ +\S+ +(\S+)\n", text)
    assert found is not None
    assert single.get_stress()[2] == pytest.approx(-float(found.group(1)) * units.GPa, abs=1e-9)
    last = read(RUNS / "md" / "run-pos-1.xyz", index=-1)
    np.testing.assert_allclose(images["MD"].positions, last.positions, atol=1e-8)
    relaxed = read(RUNS / "geo_done" / "run-pos-1.xyz", index=-1)
    np.testing.assert_allclose(images["GEO_OPT"].positions, relaxed.positions, atol=1e-8)


def test_a_run_without_its_geometry_gives_no_structure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(RUNS / "geo_done" / "run.out", tmp_path / "moved.out")
    target = tmp_path / "all.extxyz"
    assert main(["collect", str(tmp_path / "moved.out"), "--structures", str(target)]) == 3
    assert "there is no trajectory" in capsys.readouterr().err
    assert not target.exists()
    assert main(["collect", str(tmp_path / "moved.out"), "--structures", str(tmp_path / "all.cif")]) == 2


@pytest.mark.parametrize("ensemble", ["NVE", "NPT_I"])
def test_cells_that_were_not_written_are_missed(
    ensemble: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ase import Atoms
    from ase.io import write

    shutil.copytree(RUNS / "md", tmp_path / "md")
    output = tmp_path / "md" / "run.out"
    text = output.read_text(errors="replace")
    output.write_text(re.sub(r"(Ensemble type +)NVE", rf"\1{ensemble}", text))
    write(tmp_path / "md" / "structure.extxyz", Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]], cell=[5] * 3, pbc=True))
    main(["collect", str(tmp_path / "md"), "--trajectories"])
    assert ("every frame has the first one" in capsys.readouterr().err) == (ensemble == "NPT_I")
