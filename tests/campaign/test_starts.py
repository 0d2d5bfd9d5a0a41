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
from qdip_struct.campaign.engines.segment import run_segment
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
    "full": ('ulimit -f 2; exec cat "$OUTPUTS/killed/run.out"', "SIGXFSZ"),
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
    assert qdip("segment", folder.path)[0] == 1
    assert "two starts in a row" in (gave_up(folder.path) or "")


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
