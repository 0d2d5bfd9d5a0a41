"""Runs that never come further end as failed, with what really happened; stalls are ended; failed runs come back.

The stand-ins do what machines do to CP2K: a crash, the kernel's killer, a disk that is full, a program that cannot be
loaded, one that says nothing, one that hangs.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from water import water

from qdip_struct.base.files import json_text
from qdip_struct.campaign.engines.segment import exclusive, run_segment
from qdip_struct.campaign.engines.starts import Start, StartRow, gave_up, read_starts
from qdip_struct.cp2k.program import Program

Qdip = Callable[..., tuple[int, str, str]]
QdipJson = Callable[..., tuple[int, Any]]
RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
MISSING = "error while loading shared libraries: libxc.so.9: cannot open shared object file"
RESTART = "&MOTION\n STEP\n&END\n&FORCE_EVAL\n&SUBSYS\n&COORD\nO 0 0 0\nH 1 0 0\nH 0 1 0\n&END\n&END\n&END\n"
FAULTS = {
    "segv": ('head -c 2500 "$OUTPUTS/killed/run.out"; kill -SEGV $$', "signal 11 (SIGSEGV)"),
    "shell segv": ('head -c 2500 "$OUTPUTS/killed/run.out"; exit 139', "exit code 139 (signal 11, SIGSEGV)"),
    "oom": ("kill -9 $$", "signal 9 (SIGKILL, as the system does when memory runs out) and wrote nothing"),
    "silent": ("exit 0", "exit code 0 and wrote nothing"),
    "full": ('ulimit -f 2; exec cat "$OUTPUTS/killed/run.out"', "largest size that is allowed"),
    "launcher": (f"echo '/opt/cp2k.psmp: {MISSING}' >&2; exit 127", f"exit code 127: /opt/cp2k.psmp: {MISSING}"),
}


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Make these shell words the CP2K of the command line; every start is one byte of the file ``starts``."""

    def make(words: str) -> Path:
        script = tmp_path / "stand-in"
        script.write_text(
            "#!/bin/bash\n"
            'case "$1" in --version) echo "CP2K version 2023.1"; exit 0;; esac\n'
            f"OUTPUTS={RUNS}\n"
            f"printf x >> {tmp_path / 'starts'}\n"
            f"{words}\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("QDIP_CP2K", str(script))
        return script

    return make


def starts(tmp_path: Path) -> int:
    place = tmp_path / "starts"
    return len(place.read_bytes()) if place.exists() else 0


def segments(qdip: Qdip, folder: Path, *words: str) -> tuple[int, str]:
    """What a job script does: again while it is told so."""
    for _ in range(6):
        code, out, _ = qdip("segment", folder, "--json", *words)
        if code != 75:
            return code, json.loads(out)["reason"]
    raise AssertionError("again for ever")


@pytest.mark.parametrize("how", ["run", "segment"])
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_ends_within_three_starts_with_its_reason(
    fault: str, how: str, tmp_path: Path, stand_in: Callable[[str], Path], qdip: Qdip, qdip_json: QdipJson
) -> None:
    words, reason = FAULTS[fault]
    stand_in(words)
    folder = water(tmp_path / "runs" / "run").path
    if how == "run":
        code, document = qdip_json("run", tmp_path / "runs")
        (run,) = document["runs"]
        assert (code, run["outcome"]) == (3, "failed")
        said = run["reason"]
    else:
        code, said = segments(qdip, folder)
        assert code == 1
    assert reason in said
    assert 2 <= starts(tmp_path) <= 3
    assert len([folder / "run.out", *folder.glob("run.out.*")]) == starts(tmp_path)
    code, document = qdip_json("status", tmp_path / "runs")
    (run,) = document["groups"][0]["runs"]
    assert (code, run["state"], run["reason"]) == (3, "failed", said)
    # Whoever comes again, by whichever command, starts nothing.
    before = starts(tmp_path)
    assert qdip("run", tmp_path / "runs")[0] == 3
    assert qdip("segment", folder)[0] == 1
    assert starts(tmp_path) == before


def test_a_launcher_that_cannot_load_is_named(
    tmp_path: Path, stand_in: Callable[[str], Path], qdip_json: QdipJson
) -> None:
    stand_in(f"cat {RUNS / 'energy' / 'run.out'}")
    launcher = tmp_path / "mpirun"
    launcher.write_text(f"#!/bin/bash\necho '/opt/cp2k/cp2k.psmp: {MISSING}' >&2; exit 127\n")
    launcher.chmod(0o755)
    water(tmp_path / "run")
    _, document = qdip_json("run", tmp_path / "run", "--launcher", str(launcher))
    assert MISSING in document["runs"][0]["reason"]
    assert starts(tmp_path) == 0


def test_the_count_survives_a_kill_of_whoever_keeps_it(
    tmp_path: Path, stand_in: Callable[[str], Path], qdip: Qdip
) -> None:
    script = stand_in("kill -9 $$")
    folder = water(tmp_path / "run")
    assert qdip("segment", folder.path)[0] == 75
    script.write_text(script.read_text().replace("kill -9 $$", "exec sleep 60"))
    call = subprocess.Popen([sys.executable, "-m", "qdip_struct.cli.main", "segment", str(folder.path)])
    wait_until(lambda: starts(tmp_path) == 2)
    number = child_of(call.pid)
    for pid in (call.pid, number):
        os.kill(pid, signal.SIGKILL)
    call.wait()
    row = read_starts(folder.path)
    assert row is not None
    assert [bool(start.ending) for start in row.starts] == [True, False]
    script.write_text(script.read_text().replace("exec sleep 60", "kill -9 $$"))
    assert [qdip("segment", folder.path)[0] for _ in range(2)] == [75, 1]
    assert "three starts in a row" in (gave_up(folder.path) or "")


def child_of(pid: int) -> int:
    (number,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(number)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.05)


DEAD = Start(segment=1, ending="ended with exit code 1", readable=True)
CASES = [
    ([DEAD] * 2, None),
    ([DEAD] * 3, "three starts in a row ended without progress"),
    ([Start(segment=1)] * 9, None),
    ([Start(segment=1)] * 10, "10 starts|ten starts came to no new step"),
    ([DEAD, Start(segment=2), DEAD, DEAD], "three starts"),
    ([DEAD, DEAD, Start(segment=3, ending="x", readable=True, saved=True), DEAD], None),
    ([Start(segment=1, ending="x", readable=True, saved=True)] * 10, "ten starts"),
    ([Start(segment=1, ending="x"), DEAD, Start(segment=3, ending="x", saved=True)], None),
    ([Start(segment=1, ending="x", readable=True, saved=True, stalled=True)] * 2, "two starts in a row stalled"),
]


@pytest.mark.parametrize(("rows", "reason"), CASES)
def test_when_enough_is_enough(rows: list[Start], reason: str | None, tmp_path: Path) -> None:
    (tmp_path / "starts.json").write_text(json_text(msgspec.to_builtins(StartRow(starts=rows))))
    told = gave_up(tmp_path)
    assert (told is None) if reason is None else re.search(reason, told or "")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"starts": [{"segment": -1}]}', "\0" * 40])
def test_a_damaged_count_stops_nobody(
    content: str, tmp_path: Path, stand_in: Callable[[str], Path], qdip: Qdip
) -> None:
    stand_in(f"cat {RUNS / 'energy' / 'run.out'}")
    folder = water(tmp_path / "run")
    (folder.path / "starts.json").write_text(content)
    assert qdip("segment", folder.path)[0] == 0


def test_what_comes_further_is_never_given_up(tmp_path: Path) -> None:
    """Every start of this program reaches one step more and crashes: after eight the ninth finishes."""
    script = tmp_path / "slow"
    script.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, signal, sys\n"
        f"count = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "n = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(n))\n"
        f"text = pathlib.Path({str(RUNS / 'geo_done' / 'run.out')!r}).read_text()\n"
        "if n > 8: sys.stdout.write(text); sys.exit()\n"
        f"pathlib.Path('run-1.restart').write_text({RESTART!r}.replace('STEP', str(n)))\n"
        "sys.stdout.write(text[:3000]); sys.stdout.flush()\n"
        "os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    script.chmod(0o755)
    folder, program = water(tmp_path / "run"), Program(script, "2023.1")
    outcomes = [run_segment(folder, program=program).outcome for _ in range(9)]
    assert outcomes == ["again"] * 8 + ["done"]
    assert gave_up(folder.path) is None


@pytest.mark.parametrize("torn", [False, True])
def test_a_restart_file_written_anew_with_the_same_content_is_no_progress(torn: bool, tmp_path: Path) -> None:
    (tmp_path / "restart").write_text(RESTART[:40] if torn else RESTART)
    script = tmp_path / "same"
    script.write_text(
        "#!/bin/bash\n"
        f'(echo "# $RANDOM"; cat {tmp_path / "restart"}) > run-1.restart\n'
        f'head -c 2500 "{RUNS / "killed" / "run.out"}"; kill -SEGV $$\n'
    )
    script.chmod(0o755)
    folder, program = water(tmp_path / "run"), Program(script, "2023.1")
    outcomes = [run_segment(folder, program=program).outcome for _ in range(4)]
    assert outcomes[: 3 + (not torn)] == ["again"] * (2 + (not torn)) + ["failed"]  # the first one made the file
    assert folder.n_segments == 3 + (not torn)


def test_a_failed_run_is_made_ready_and_goes_on(
    tmp_path: Path, stand_in: Callable[[str], Path], qdip: Qdip, qdip_json: QdipJson
) -> None:
    script = stand_in(FAULTS["launcher"][0])
    folder = water(tmp_path / "runs" / "run").path
    water(tmp_path / "runs" / "waiting")
    assert qdip("run", folder)[0] == 3
    code, document = qdip_json("retry", tmp_path / "runs", "--failed")
    told = {Path(run["path"]).name: run for run in document["runs"]}
    assert (code, told["run"]["outcome"], told["waiting"]["outcome"]) == (0, "ready", "left")
    assert MISSING in told["run"]["reason"]
    kept = [Path(place) for place in told["run"]["kept"]]
    assert {place.parent for place in kept} == {folder / "failed-1"}
    assert {"run.out", "run.out.2", "run.inp.2", "starts.json"} <= {place.name for place in kept}
    assert MISSING in (folder / "failed-1" / "run.out.2").read_text()
    assert not list(folder.glob("run.out*"))
    code, document = qdip_json("status", folder)
    assert document["counts"] == {"waiting": 1}
    script.write_text(script.read_text().replace(FAULTS["launcher"][0], f"cat {RUNS / 'energy' / 'run.out'}"))
    assert qdip("run", folder)[0] == 0
    code, out, _ = qdip("retry", folder)
    assert (code, "left as it is: it is done" in out) == (0, True)
    code, document = qdip_json("collect", folder)
    assert (code, len(document["runs"]), document["runs"][0]["status"]) == (0, 1, "done")


def test_segments_that_came_further_stay(tmp_path: Path, stand_in: Callable[[str], Path], qdip: Qdip) -> None:
    script = stand_in('cat "$OUTPUTS/disk_full/run.out"; kill -9 $$')
    folder = water(tmp_path / "run").path
    first = (RUNS / "disk_full" / "run.out").read_bytes()
    assert qdip("segment", folder)[0] == 75
    script.write_text(script.read_text().replace('cat "$OUTPUTS/disk_full/run.out"; ', ""))
    assert segments(qdip, folder)[0] == 1
    assert qdip("retry", folder)[0] == 0
    assert [place.name for place in sorted(folder.glob("run.out*"))] == ["run.out"]
    assert (folder / "run.out").read_bytes() == first
    # A second failure has a folder of its own.
    assert segments(qdip, folder)[0] == 1
    assert qdip("retry", folder)[0] == 0
    assert (folder / "failed-1").is_dir() and (folder / "failed-2").is_dir()


def test_retry_of_an_unconverged_run_starts_from_what_it_saved(
    tmp_path: Path, stand_in: Callable[[str], Path], qdip: Qdip
) -> None:
    stand_in('cp "$OUTPUTS/../restart.kp" run-RESTART.kp 2>/dev/null; cat "$OUTPUTS/unconverged/run.out"')
    folder = water(tmp_path / "run").path
    assert qdip("segment", folder)[0] == 1
    (folder / "run-RESTART.wfn").write_bytes(b"\x14\0\0\0" + b"\1" * 20 + b"\x14\0\0\0")
    assert qdip("retry", folder)[0] == 0
    assert qdip("segment", folder)[0] == 1
    assert "SCF_GUESS RESTART" in (folder / "run.inp.1").read_text()


def test_retry_leaves_what_somebody_works_on_and_lists_what_is_damaged(tmp_path: Path, qdip_json: QdipJson) -> None:
    busy, damaged = water(tmp_path / "busy"), water(tmp_path / "damaged")
    (damaged.path / "run.json").write_text("{")
    with exclusive(busy.path):
        code, document = qdip_json("retry", tmp_path, "--all")
    told = {Path(run["path"]).name: (run["outcome"], run["reason"]) for run in document["runs"]}
    assert code == 3
    assert told["busy"][0] == told["damaged"][0] == "failed"
    assert "is being run by" in told["busy"][1] and "not valid JSON" in told["damaged"][1]


def test_all_sets_the_count_of_an_unfinished_run_back(
    tmp_path: Path, stand_in: Callable[[str], Path], qdip: Qdip, qdip_json: QdipJson
) -> None:
    stand_in("exit 0")
    folder = water(tmp_path / "run").path
    assert qdip("segment", folder)[0] == 75
    assert qdip_json("retry", folder)[1]["runs"][0]["outcome"] == "left"
    assert qdip_json("retry", folder, "--all")[1]["runs"][0]["outcome"] == "ready"
    assert qdip("segment", folder)[0] == 75
    assert qdip("segment", folder)[0] == 1


@pytest.mark.parametrize("command", ["run", "segment", "retry"])
def test_force_without_a_file_to_replace_is_refused(command: str, tmp_path: Path, qdip: Qdip) -> None:
    folder = water(tmp_path / "run").path
    code, _, err = qdip(command, folder, "--force")
    assert (code, "qdip retry" in err) == (2, True)
    (tmp_path / "there.json").write_text("mine")
    code, _, err = qdip(command, folder, "-o", tmp_path / "there.json")
    assert (code, "exists" in err) == (2, True)
    assert not (folder / "run.out").exists()


@pytest.mark.parametrize("how", ["run", "segment"])
def test_a_stall_is_ended_tried_once_more_and_then_failed(
    how: str, tmp_path: Path, stand_in: Callable[[str], Path], qdip: Qdip, qdip_json: QdipJson
) -> None:
    """It has a child that nobody else knows of: both are gone afterwards, and what it saved stays."""
    pids = tmp_path / "pids"
    stand_in(f'echo saved > run-RESTART.wfn; (trap "" TERM; exec sleep 600) & echo $! $$ >> {pids}; wait')
    folder = water(tmp_path / "run").path
    if how == "run":
        code, document = qdip_json("run", folder, "--stall", "1")
        assert (code, document["runs"][0]["outcome"]) == (3, "failed")
        reason = document["runs"][0]["reason"]
    else:
        code, reason = segments(qdip, folder, "--stall", "1")
        assert code == 1
    assert "two starts in a row stalled" in reason
    assert "neither output nor restart files had grown for" in reason
    assert starts(tmp_path) == 2
    assert not any(is_alive(int(pid)) for pid in pids.read_text().split())
    assert (folder / "run-RESTART.wfn.damaged").exists() or (folder / "run-RESTART.wfn").exists()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_grows_slowly_is_no_stall(tmp_path: Path, stand_in: Callable[[str], Path], qdip: Qdip) -> None:
    """Pauses of 0.6 s: each is longer than the time asked for, but none is ten times as long as the one before."""
    stand_in(
        'for n in 1 2 3; do head -c 400 "$OUTPUTS/energy/run.out" > /dev/null; echo; sleep 0.3; done; sleep 1.5; '
        'cat "$OUTPUTS/energy/run.out"'
    )
    folder = water(tmp_path / "run").path
    assert qdip("segment", folder, "--stall", "0.5")[0] == 0
    assert starts(tmp_path) == 1


def test_status_tells_the_age_of_the_last_step(
    tmp_path: Path, stand_in: Callable[[str], Path], qdip: Qdip, qdip_json: QdipJson
) -> None:
    stand_in("echo; exec sleep 60")
    folder = water(tmp_path / "run").path
    call = subprocess.Popen([sys.executable, "-m", "qdip_struct.cli.main", "segment", str(folder)])
    try:
        wait_until(lambda: starts(tmp_path) == 1)
        time.sleep(1.0)
        os.utime(folder / "run.out", (time.time() - 7500, time.time() - 7500))
        (run,) = qdip_json("status", folder)[1]["groups"][0]["runs"]
        assert run["state"] == "running"
        assert run["last_step_age_s"] == pytest.approx(7500, abs=30)
        assert "last step 2 h 5 min ago" in qdip("status", folder)[1]
    finally:
        call.terminate()
        call.wait()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--stall", "-1"), "expected 0"),
        (("--stall", "nan"), "expected 0"),
        (("--launcher", "mpirun 'x"), "no line of shell words"),
        (("--nproc", "0"), "positive number of cores"),
        (("--nproc", "100000000"), "up to 10000"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    words: tuple[str, ...], message: str, tmp_path: Path, qdip: Qdip
) -> None:
    code, _, err = qdip("run", water(tmp_path / "run").path, *words)
    assert (code, message in err) == (2, True), err
