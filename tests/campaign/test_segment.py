"""Run folders and segments: idempotent, locked, judged by the output, continued after a stop.

The stand-in for CP2K replays real outputs, so that every way to end can be had in milliseconds.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ase import Atoms

from qdip_struct.base.errors import DataError, ToolError, UsageError
from qdip_struct.base.files import provenance
from qdip_struct.campaign.engines.local import run_locally
from qdip_struct.campaign.engines.segment import FolderBusyError, exclusive, run_segment, verdict_of
from qdip_struct.cp2k.inputs.deck import make_deck
from qdip_struct.cp2k.inputs.presets import template_text
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.program import Program
from qdip_struct.runs.run_draft import draft_run, write_run_folder
from qdip_struct.runs.rundir import RunFolder, find_run_folders, open_run_folder

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
CSBR = Atoms("CsBr", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[4.4] * 3, pbc=True)


def folder_at(path: Path, *, task: str = "energy", settings: tuple[str, ...] = (), preset: str = "quick") -> RunFolder:
    deck = make_deck(CSBR, InputsRequest(task=task, preset=preset, set=settings, kpoints="2,2,2"))
    record = provenance("inputs", {"preset": preset})
    return write_run_folder(path, draft_run(CSBR, deck=deck, role="single", group="g", provenance=record))


@pytest.fixture
def replay(tmp_path: Path) -> Callable[..., Program]:
    """A program that prints the named real outputs, one a call, and then sleeps if asked."""

    def make(*names: str, sleep: float = 0.0, saves: bool = False) -> Program:
        script = tmp_path / "fake-cp2k"
        lines = [f"{RUNS / name / 'run.out'}" for name in names]
        script.write_text(
            f"#!{sys.executable}\n"
            "import pathlib, sys, time\n"
            f"count = pathlib.Path({str(tmp_path / 'count')!r})\n"
            "n = int(count.read_text()) if count.exists() else 0\n"
            "count.write_text(str(n + 1))\n"
            f"outputs = {lines!r}\n"
            "sys.stdout.write(pathlib.Path(outputs[min(n, len(outputs) - 1)]).read_text())\n"
            "sys.stdout.flush()\n"
            f"if {saves}: pathlib.Path('run-RESTART.wfn').write_text(str(n))\n"
            f"time.sleep({sleep})\n"
        )
        script.chmod(0o755)
        return Program(script, "2023.1")

    return make


def calls(tmp_path: Path) -> int:
    count = tmp_path / "count"
    return int(count.read_text()) if count.exists() else 0


def test_folder_is_complete_or_absent_and_never_overwritten(tmp_path: Path) -> None:
    folder = folder_at(tmp_path / "a")
    assert sorted(p.name for p in folder.path.iterdir()) == ["run.inp", "run.json", "structure.extxyz"]
    with pytest.raises(UsageError, match="exists"):
        folder_at(tmp_path / "a")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    record = json.loads((folder.path / "run.json").read_text())
    assert {"role", "group", "structure_sha256", "settings", "qdip_version"} <= set(record)


def test_same_structure_same_bytes(tmp_path: Path) -> None:
    one, two = folder_at(tmp_path / "a"), folder_at(tmp_path / "b")
    for name in ("run.inp", "run.json", "structure.extxyz"):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()


def test_damaged_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        find_run_folders([tmp_path / "none"])
    with pytest.raises(DataError, match="no run folder"):
        find_run_folders([tmp_path])
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        open_run_folder(tmp_path)
    (tmp_path / "run.json").write_text('{"role": "film"}')
    with pytest.raises(DataError, match="lacks group"):
        open_run_folder(tmp_path)


def test_finished_run_is_left_alone(tmp_path: Path, replay: Callable[..., Program]) -> None:
    folder, program = folder_at(tmp_path / "a"), replay("energy")
    assert verdict_of(folder) is None
    assert run_segment(folder, program=program).outcome == "done"
    before = (folder.path / "run.out").stat().st_mtime_ns
    assert run_segment(folder, program=program).outcome == "done"
    assert calls(tmp_path) == 1
    assert (folder.path / "run.out").stat().st_mtime_ns == before
    result = json.loads((folder.path / "result.json").read_text())
    assert result["energy_ev"] == read_run(RUNS / "energy" / "run.out").energy_ev


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("unconverged", "failed"), ("odd", "failed"), ("bad_keyword", "failed"), ("walltime_scf", "again")],
)
def test_exit_code_zero_proves_nothing(name: str, outcome: str, tmp_path: Path, replay: Callable[..., Program]) -> None:
    verdict = run_segment(folder_at(tmp_path / "a"), program=replay(name, saves=True))
    assert verdict.outcome == outcome
    assert verdict.reason


def test_walltime_that_saved_nothing_is_no_endless_loop(tmp_path: Path, replay: Callable[..., Program]) -> None:
    verdict = run_segment(folder_at(tmp_path / "a"), program=replay("walltime_scf"))
    assert verdict.outcome == "failed"
    assert "before anything was saved" in verdict.reason


@pytest.mark.parametrize("run_type", ["GEO_OPT", "GEOMETRY_OPTIMIZATION"])
def test_stopped_run_goes_on_in_a_new_segment(tmp_path: Path, replay: Callable[..., Program], run_type: str) -> None:
    folder = folder_at(tmp_path / "a", task="geo_opt", settings=(f"GLOBAL/RUN_TYPE={run_type}",))
    (folder.path / "run-1.restart").write_text(
        "&FORCE_EVAL\n&SUBSYS\n&COORD\nCs 0 0 0\nBr 2.2 2.2 2.2\n&END\n&END\n&END\n"
    )
    (folder.path / "run-RESTART.kp").write_bytes(struct.pack("=3i", 4, 1, 4))
    program = replay("killed", "geo_done")
    assert run_segment(folder, program=program).outcome == "again"
    assert run_segment(folder, program=program).outcome == "done"
    second = (folder.path / "run.inp.2").read_text()
    assert "RESTART_FILE_NAME run-1.restart" in second
    assert "SCF_GUESS RESTART" in second
    assert (folder.path / "run.out").exists()
    assert (folder.path / "run.out.2").exists()


def test_damaged_restart_file_is_not_used(tmp_path: Path, replay: Callable[..., Program]) -> None:
    folder = folder_at(tmp_path / "a", task="geo_opt")
    (folder.path / "run-1.restart").write_text("&EXT_RESTART\n&FORCE_EV")
    program = replay("killed", "geo_done")
    run_segment(folder, program=program)
    run_segment(folder, program=program)
    assert "EXT_RESTART" not in (folder.path / "run.inp.2").read_text()


def test_two_at_once_never_share_a_folder(tmp_path: Path, replay: Callable[..., Program]) -> None:
    folder, program = folder_at(tmp_path / "a"), replay("energy")
    with exclusive(folder.path), pytest.raises(FolderBusyError, match=f"process {os.getpid()} on"):
        run_segment(folder, program=program)
    assert calls(tmp_path) == 0


def test_the_running_cp2k_keeps_the_lock_when_its_starter_is_killed(
    tmp_path: Path, replay: Callable[..., Program]
) -> None:
    folder, program = folder_at(tmp_path / "a"), replay("energy", sleep=3.0)
    code = (
        "from pathlib import Path\n"
        "from qdip_struct.runs.rundir import open_run_folder\n"
        "from qdip_struct.campaign.engines.segment import run_segment\n"
        "from qdip_struct.cp2k.program import Program\n"
        f"run_segment(open_run_folder(Path({str(folder.path)!r})), program=Program(Path({str(program.path)!r}), 'x'))\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: (folder.path / "run.out").exists() and calls(tmp_path) == 1)
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    with pytest.raises(FolderBusyError):
        run_segment(folder, program=program)
    watches = run_locally([folder], program=program, cores=1)
    assert watches[0].state == "done"
    assert calls(tmp_path) == 1


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("never happened")


def test_missing_program_and_unwritable_folder_are_errors(tmp_path: Path) -> None:
    folder = folder_at(tmp_path / "a")
    with pytest.raises(ToolError, match="cannot start"):
        run_segment(folder, program=Program(tmp_path / "none", "2023.1"))
    assert not (folder.path / "run.out").exists()


def test_engine_runs_all_and_reports_failures(tmp_path: Path, replay: Callable[..., Program]) -> None:
    folders = [folder_at(tmp_path / "runs" / name) for name in "abc"]
    seen: list[int] = []
    watches = run_locally(folders, program=replay("unconverged"), cores=2, show=lambda w: seen.append(len(w)))
    assert [w.state for w in watches] == ["failed"] * 3
    assert all("scf_unconverged" in w.reason for w in watches)
    assert set(seen) == {3}
    assert [f.path.name for f in find_run_folders([tmp_path])] == ["a", "b", "c"]


@pytest.mark.cp2k
def test_small_cell_from_structure_to_energy_with_the_real_cp2k(tmp_path: Path, cp2k: Program) -> None:
    settings = ("FORCE_EVAL/DFT/MGRID/CUTOFF=150", "FORCE_EVAL/DFT/SCF/EPS_SCF=1E-5")
    folder = folder_at(tmp_path / "a", settings=settings)
    verdict = run_segment(folder, program=cp2k)
    assert verdict.outcome == "done", verdict.reason
    assert verdict.run is not None
    assert verdict.run.settings.kpoints == (2, 2, 2)
    assert verdict.run.settings.cutoff_rydberg == pytest.approx(150)
    assert verdict.run.settings.to_dict()["basis"] == folder.content["settings"]["basis"]
    printed = [line for line in (folder.path / "run.out").read_text().splitlines() if "ENERGY| Total" in line]
    assert verdict.run.energy_ev == pytest.approx(float(printed[-1].split()[-1]) * 27.211386, abs=1e-4)


@pytest.mark.cp2k
def test_real_cp2k_killed_halfway_is_finished_by_the_next_call(tmp_path: Path, cp2k: Program) -> None:
    settings = ("FORCE_EVAL/DFT/MGRID/CUTOFF=150", "FORCE_EVAL/DFT/SCF/EPS_SCF=1E-5")
    folder = folder_at(tmp_path / "a", settings=settings)

    def kill_when_it_works(process: "subprocess.Popen[bytes]") -> None:
        wait_until(lambda: b"SCF WAVEFUNCTION" in (folder.path / "run.out").read_bytes())
        process.kill()

    first = run_segment(folder, program=cp2k, started=kill_when_it_works)
    assert first.outcome == "again"
    assert first.run is None or first.run.energy_ev is None
    assert run_segment(folder, program=cp2k).outcome == "done"
    assert (folder.path / "run.out.2").exists()


@pytest.mark.cp2k
@pytest.mark.slow
def test_continued_optimisation_ends_at_the_energy_of_an_undisturbed_one(tmp_path: Path, cp2k: Program) -> None:
    """H2 stretched in a box, OT at Γ: killed after two geometry steps, continued from the saved geometry."""
    h2 = Atoms("H2", positions=[[3.0, 3.0, 2.55], [3.0, 3.0, 3.45]], cell=[6.0] * 3, pbc=True)

    def folder(name: str) -> RunFolder:
        template = template_text("geo_opt").replace("&GEO_OPT\n", "&GEO_OPT\n    MAX_FORCE 5.0E-5\n")
        deck = make_deck(h2, InputsRequest(task="geo_opt", preset="ning2015"), template=template)
        record = provenance("inputs", {})
        draft = draft_run(h2, deck=deck, role="single", group=name, provenance=record)
        return write_run_folder(tmp_path / name, draft)

    whole, broken = folder("whole"), folder("broken")
    undisturbed = run_segment(whole, program=cp2k)

    def kill_after_two_steps(process: "subprocess.Popen[bytes]") -> None:
        wait_until(lambda: (broken.path / "run.out").read_bytes().count(b"Informations at step") > 2)
        process.kill()

    assert run_segment(broken, program=cp2k, started=kill_after_two_steps).outcome == "again"
    continued = run_segment(broken, program=cp2k)
    assert "RESTART_FILE_NAME run-1.restart" in (broken.path / "run.inp.2").read_text()
    assert undisturbed.outcome == continued.outcome == "done"
    assert undisturbed.run is not None
    assert continued.run is not None
    assert undisturbed.run.energy_ev is not None
    hartree = 27.211386
    assert continued.run.energy_ev == pytest.approx(undisturbed.run.energy_ev, abs=1e-6 * hartree)


def test_command_line_answers_with_the_codes_that_job_scripts_read(
    tmp_path: Path,
    replay: Callable[..., Program],
    qdip: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, program = folder_at(tmp_path / "a"), replay("energy")
    monkeypatch.setattr("qdip_struct.cp2k.program.require_program", lambda: program)
    with exclusive(folder.path):
        code, out, _ = qdip("segment", folder.path, "--json")
    assert (code, json.loads(out)["outcome"]) == (75, "again")
    assert f"process {os.getpid()} on" in out
    code, out, _ = qdip("segment", folder.path, "--walltime", "100")
    assert (code, calls(tmp_path)) == (0, 1)
    assert "WALLTIME 100" in (folder.path / "run.inp.1").read_text()
    for words, expected in (
        ((folder.path, "--walltime", "0"), "positive number of seconds"),
        ((folder.path, "--threads", "-1"), "--threads is a positive number"),
        ((tmp_path,), "is no run folder"),
    ):
        code, _, err = qdip("segment", *words)
        assert code in (1, 2)
        assert expected in err
    unconverged = folder_at(tmp_path / "b")
    program = replay("unconverged")
    (tmp_path / "count").unlink()
    assert qdip("segment", unconverged.path)[0] == 1
