"""Faults on real CP2K runs: each ends with the run finished once, at the energy of an undisturbed one.

A run of a second is stopped in every way that happens on a laptop or a node; the pauses are made with SIGSTOP, so
that a slow machine changes nothing.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from water import SAME_EV, SHORT_STEPS, energies_printed, water

from qdip_struct.base.errors import DataError
from qdip_struct.campaign.engines.segment import SegmentVerdict, make_ready, run_segment, verdict_of
from qdip_struct.cp2k.program import Program
from qdip_struct.runs.collection import collect
from qdip_struct.runs.rundir import RunFolder, open_run_folder

pytestmark = [pytest.mark.cp2k, pytest.mark.slow]
WALLTIME_S = 15


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cp2k: Program) -> Path:
    """The folder of a run that nothing happened to."""
    folder = water(tmp_path_factory.mktemp("undisturbed") / "run")
    verdict = run_segment(folder, program=cp2k)
    assert verdict.outcome == "done", verdict.reason
    return folder.path


@pytest.fixture(scope="module")
def undisturbed(finished: Path) -> float:
    """Its final energy, eV."""
    return float(json.loads((finished / "result.json").read_text())["energy_ev"])


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, cp2k: Program) -> Path:
    """A run folder whose CP2K was killed after three geometry steps; tests work on copies."""
    folder = water(tmp_path_factory.mktemp("killed") / "run")

    def kill(process: "subprocess.Popen[bytes]") -> None:
        wait_until(lambda: energies_printed(folder.path) >= 3)
        process.kill()

    assert run_segment(folder, program=cp2k, started=kill).outcome == "again"
    return folder.path


def wait_until(condition: Callable[[], bool], *, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.02)


def finish(folder: RunFolder, program: Program, *, most: int = 4) -> SegmentVerdict:
    """What a job script does: segments until one says done or failed."""
    for _ in range(most):
        verdict = run_segment(folder, program=program)
        if verdict.outcome != "again":
            return verdict
    raise AssertionError(f"not finished after {most} segments")


def assert_finished_once(folder: RunFolder, verdict: SegmentVerdict, undisturbed: float) -> None:
    assert verdict.outcome == "done", verdict.reason
    assert verdict.run is not None
    assert verdict.run.energy_ev == pytest.approx(undisturbed, abs=SAME_EV)
    collected = collect([folder.path])
    assert [run.status for run in collected.runs] == ["done"]
    assert collected.runs[0].energy_ev == pytest.approx(undisturbed, abs=SAME_EV)
    outputs = [folder.path / "run.out", *folder.path.glob("run.out.*")]
    assert sum(map(ended_geometry, outputs)) == 1
    assert (folder.path / "run.lock").read_text() == ""


def ended_geometry(output: Path) -> bool:
    return "GEOMETRY OPTIMIZATION COMPLETED" in output.read_text(errors="replace")


def stopped_by_walltime(folder: RunFolder, *, where: str, program: Program) -> SegmentVerdict:
    """One segment held at a moment until its time is up. On a busy machine the moment can be missed."""
    began = time.monotonic()

    def hold_until_the_time_is_up(process: "subprocess.Popen[bytes]") -> None:
        def reached() -> bool:
            text = (folder.path / "run.out").read_text(errors="replace")
            last = text.rpartition("OPTIMIZATION STEP:")[2]
            inside = "Update method" in last and "ENERGY| Total" not in last
            return text.count("OPTIMIZATION STEP:") >= 2 and (inside if where == "inside an SCF" else not inside)

        wait_until(lambda: reached() or process.poll() is not None)
        process.send_signal(signal.SIGSTOP)
        time.sleep(max(0.0, WALLTIME_S + 1 - (time.monotonic() - began)))
        process.send_signal(signal.SIGCONT)

    return run_segment(folder, program=program, walltime_s=WALLTIME_S, started=hold_until_the_time_is_up)


@pytest.mark.parametrize("where", ["inside an SCF", "between two steps"])
def test_walltime_stop_is_continued(where: str, tmp_path: Path, cp2k: Program, undisturbed: float) -> None:
    for attempt in range(5):
        folder = water(tmp_path / f"run{attempt}", trust_radius=SHORT_STEPS)
        first = stopped_by_walltime(folder, where=where, program=cp2k)
        if first.outcome == "again" and not ended_geometry(folder.path / "run.out"):
            break
    else:
        raise AssertionError(f"the walltime never ended {where}")
    assert first.run is not None
    assert first.run.status == "walltime"
    assert f"WALLTIME {WALLTIME_S}" in (folder.path / "run.inp.1").read_text()
    assert_finished_once(folder, finish(folder, cp2k), undisturbed)
    assert "WALLTIME" not in (folder.path / "run.inp.2").read_text()


@pytest.mark.parametrize("name", ["run-RESTART.wfn", "run-1.restart"])
@pytest.mark.parametrize("damage", ["truncated", "zeroed", "empty", "random"])
def test_damaged_restart_file_is_set_aside(
    name: str, damage: str, killed: Path, tmp_path: Path, cp2k: Program, undisturbed: float
) -> None:
    shutil.copytree(killed, tmp_path / "run")
    folder = open_run_folder(tmp_path / "run")
    place = folder.path / name
    content = place.read_bytes()
    place.write_bytes(
        {
            "truncated": content[: len(content) // 2],
            "zeroed": bytes(len(content)),
            "empty": b"",
            "random": b"\x07" * len(content),
        }[damage]
    )
    verdict = finish(folder, cp2k)
    assert_finished_once(folder, verdict, undisturbed)
    assert (folder.path / f"{name}.damaged").exists()
    assert folder.n_segments == 2
    continued = (folder.path / "run.inp.2").read_text()
    assert "RESTART_FILE_NAME run-1.restart" in continued, "the geometry before the last one is whole"


def test_damage_that_only_cp2k_can_see_is_blamed_on_the_restart_files(
    killed: Path, tmp_path: Path, cp2k: Program, undisturbed: float
) -> None:
    """A .restart that parses but holds a keyword CP2K does not know: it aborts at once, and starts anew next time."""
    shutil.copytree(killed, tmp_path / "run")
    folder = open_run_folder(tmp_path / "run")
    for place in folder.path.glob("run-1.restart*"):
        place.write_text(place.read_text().replace("MAX_ITER", "MAX_ITEM"))
    first = run_segment(folder, program=cp2k)
    assert first.run is not None
    assert (first.outcome, first.run.status) == ("again", "aborted")
    assert_finished_once(folder, finish(folder, cp2k), undisturbed)
    assert "EXT_RESTART" in (folder.path / "run.inp.3").read_text(), "the orbitals are blamed first"
    assert "EXT_RESTART" not in (folder.path / "run.inp.4").read_text()


def test_orbitals_torn_between_two_records_cost_no_geometry_step(
    killed: Path, tmp_path: Path, cp2k: Program, undisturbed: float
) -> None:
    """Such a tear leaves a file of whole records; only CP2K notices that some are missing."""
    shutil.copytree(killed, tmp_path / "run")
    folder = open_run_folder(tmp_path / "run")
    place = folder.path / "run-RESTART.wfn"
    content = place.read_bytes()
    (length,) = struct.unpack("=i", content[-4:])
    place.write_bytes(content[: -8 - length])
    assert_finished_once(folder, finish(folder, cp2k), undisturbed)
    last = folder.path / f"run.inp.{folder.n_segments}"
    assert "EXT_RESTART" in last.read_text()


@pytest.mark.parametrize("damage", [b"", b'{"status": "done", "energy_ev"', b"\x00" * 300, b"[]"])
def test_damaged_result_is_read_anew(damage: bytes, finished: Path, tmp_path: Path, cp2k: Program) -> None:
    shutil.copytree(finished, tmp_path / "run")
    folder = open_run_folder(tmp_path / "run")
    whole = (folder.path / "result.json").read_bytes()
    (folder.path / "result.json").write_bytes(damage)
    assert run_segment(folder, program=cp2k).outcome == "done"
    assert (folder.n_segments, (folder.path / "result.json").read_bytes()) == (1, whole)
    (folder.path / "result.json").write_bytes(damage)
    assert collect([folder.path]).runs[0].status == "done"
    assert (folder.path / "result.json").read_bytes() == whole


def test_two_segments_at_once_on_one_folder(tmp_path: Path, undisturbed: float) -> None:
    folder = water(tmp_path / "run")
    words = [sys.executable, "-m", "qdip_struct.cli.main", "segment", str(folder.path)]
    calls = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [call.communicate(timeout=600) for call in calls]
    codes = [call.returncode for call in calls]
    assert 0 in codes
    assert set(codes) <= {0, 75}, answers
    if 75 in codes:
        assert "is being run by process" in answers[codes.index(75)][0]
    verdict = verdict_of(folder)
    assert verdict is not None
    assert folder.n_segments == 1
    assert_finished_once(folder, verdict, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_kill_of_the_segment_loses_nothing(number: int, tmp_path: Path, cp2k: Program, undisturbed: float) -> None:
    """SIGTERM ends CP2K with it; after kill -9 CP2K goes on by itself and keeps the folder until it has ended."""
    folder = water(tmp_path / "run", trust_radius=SHORT_STEPS)
    words = [sys.executable, "-m", "qdip_struct.cli.main", "segment", str(folder.path)]
    call = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: energies_printed(folder.path) >= 1 or call.poll() is not None)
    call.send_signal(number)
    call.communicate(timeout=120)
    wait_until(lambda: _ended(folder, cp2k))
    verdict = finish(folder, cp2k)
    assert_finished_once(folder, verdict, undisturbed)


def test_ten_kills_at_random_cost_time_but_no_result(tmp_path: Path, cp2k: Program, undisturbed: float) -> None:
    """Of CP2K, alone or with the process that started it, at any moment from its start on."""
    chance = random.Random(20260101)
    folder = water(tmp_path / "run", trust_radius=SHORT_STEPS)
    words = [sys.executable, "-m", "qdip_struct.cli.main", "segment", str(folder.path)]
    for kill in range(10):
        before = folder.n_segments
        call = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: call.poll() is not None or folder.n_segments > before)  # noqa: B023
        time.sleep(chance.uniform(0.0, 0.5))
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{call.pid}/task/{call.pid}/children").read_text().split()
            for pid in chance.choice([[], [call.pid]]) + list(map(int, children)):
                os.kill(pid, signal.SIGTERM if kill == 5 else signal.SIGKILL)
        call.wait(timeout=240)
        wait_until(lambda: _ended(folder, cp2k))
        verdict = verdict_of(folder)
        if verdict is not None and verdict.outcome == "failed":
            make_ready(folder)  # three in a row can come before the first step: then somebody must say that it goes on
    assert folder.n_segments + len(list(folder.path.glob("failed-*/run.out*"))) >= 10
    assert_finished_once(folder, finish(folder, cp2k), undisturbed)


def _ended(folder: RunFolder, program: Program) -> bool:
    from qdip_struct.campaign.engines.lock import is_busy

    return not is_busy(folder.path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)], capture_output=True, check=False
        ).returncode
        == 0
    )
    if not mounted:
        pytest.skip("needs the right to mount a small tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def test_full_disk_costs_time_but_no_result(small_disk: Path, cp2k: Program, undisturbed: float) -> None:
    folder = water(small_disk / "run")
    filler = small_disk / "filler"

    def fill(process: "subprocess.Popen[bytes]") -> None:
        wait_until(lambda: energies_printed(folder.path) >= 2 or process.poll() is not None)
        with filler.open("wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(bytes(1024))
            except OSError:
                pass

    first = run_segment(folder, program=cp2k, started=fill)
    assert first.outcome != "done"
    try:
        assert run_segment(folder, program=cp2k).outcome != "done"
    except DataError as error:
        assert "No space left" in str(error)
    filler.unlink()
    assert_finished_once(folder, finish(folder, cp2k), undisturbed)
