"""One idempotent piece of one run: look what is there, continue from the last good state, judge what came out.

Calling it twice, after a kill, or while another call is at work is safe: a finished run is left alone, a lock that
the running CP2K itself holds keeps two segments from one folder, and every start writes a new output.
"""

import contextlib
import math
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qdip_struct.base.cp2k_input import format_input, get_values, parse_input, set_value
from qdip_struct.base.errors import DataError, ToolError
from qdip_struct.base.files import read_text, write_text
from qdip_struct.campaign.engines.lock import FolderBusyError, FolderLock, exclusive
from qdip_struct.campaign.engines.starts import (
    FAILED,
    begin_start,
    end_start,
    gave_up,
    last_lines,
    read_starts,
    set_aside,
    withdraw_start,
)
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.cp2k.program import Program
from qdip_struct.cp2k.tasks import task_of
from qdip_struct.runs.collection import quick_result, store_result
from qdip_struct.runs.restart import GEOMETRY, discard_state, good_state, saved_state
from qdip_struct.runs.rundir import INPUT, OUTPUT, RunFolder, needs_relaxation, segment_name

__all__ = [
    "STALL_S",
    "FolderBusyError",
    "Outcome",
    "SegmentVerdict",
    "exclusive",
    "make_ready",
    "outcome_of",
    "record_result",
    "run_segment",
    "settled",
    "terminate_as_interrupt",
    "verdict_of",
]

STALL_S = 1800.0
"""Seconds without growth of output or restart files after which CP2K is taken for stalled, at the least."""
STALL_PAUSES = 10
"""It must also be so many times as long as the longest pause that the same output had before."""
_POLL_S = 1.0
_TERMINATION_S = 10.0

_GUESS = "FORCE_EVAL/DFT/SCF/SCF_GUESS"
_FINAL = ("done", "incomplete", "aborted", "scf_unconverged", "max_steps")
"""Verdicts that running the same input again would not change."""
_PASSING = re.compile(r"no space left|disk quota exceeded|input/output error|stale file handle|SIGXCPU", re.IGNORECASE)
"""Reasons of an abort that lie in the machine and pass."""

Outcome = Literal["done", "again", "failed"]


@dataclass(frozen=True)
class SegmentVerdict:
    """What a segment ended with.

    Attributes
    ----------
    outcome
        Done, run me again, or failed.
    """

    outcome: Outcome
    reason: str
    run: Run | None = None


def verdict_of(folder: RunFolder) -> SegmentVerdict | None:
    """What the outputs in the folder say; ``None`` when the run never started.

    An abort is the run's own and final, unless the machine was the reason, or CP2K aborted before its first energy on
    the restart files of an earlier segment: then they are to blame. A run that was started too often without coming
    any further has failed too: see :mod:`qdip_struct.campaign.engines.starts`.
    """
    if not folder.n_segments:
        return None
    return _with_starts(folder, _last_word(folder))


def _with_starts(folder: RunFolder, found: SegmentVerdict) -> SegmentVerdict:
    """The verdict of the outputs, and that there were too many of them."""
    if found.outcome == "again" and (why := gave_up(folder.path)) is not None:
        return SegmentVerdict("failed", why, found.run)
    return found


def _last_word(folder: RunFolder) -> SegmentVerdict:
    """The verdict of the outputs alone, however often CP2K was started."""
    try:
        run = read_run(folder.path)
    except DataError:
        said = last_lines(segment_name(folder.path / OUTPUT, folder.n_segments))
        return SegmentVerdict(
            "again", f"the last output is none of CP2K: {said}" if said else "the last output is empty"
        )
    outcome = outcome_of(run.status)
    if run.status == "aborted" and (_PASSING.search(run.reason) or _blames_restart(folder)):
        outcome = "again"
    return SegmentVerdict(outcome, run.reason if outcome == "done" else f"{run.status}: {run.reason}", run)


def _blames_restart(folder: RunFolder) -> bool:
    """Whether the last segment started from restart files and came to no energy."""
    number = folder.n_segments
    if number < 2 and not _was_retried(folder.path):
        return False
    try:
        tree = parse_input(read_text(folder.path / f"{INPUT}.{number}"))
        last = read_run(segment_name(folder.path / OUTPUT, number))
    except DataError:
        return False
    continued = get_values(tree, "EXT_RESTART/RESTART_FILE_NAME") or get_values(tree, _GUESS) == ["RESTART"]
    return bool(continued) and not len(last.steps)


def settled(folder: RunFolder) -> SegmentVerdict | None:
    """The verdict on a run that has ended for good, from its ``result.json``; ``None`` when outputs must be read.

    They must for an abort: only they tell whether it was the run's own.
    """
    outputs = [segment_name(folder.path / OUTPUT, number + 1) for number in range(folder.n_segments)]
    document = quick_result(folder.path, outputs) if outputs else None
    if document is None or document.status == "aborted" or outcome_of(document.status) == "again":
        return None
    outcome, reason = outcome_of(document.status), document.reason
    return SegmentVerdict(outcome, reason if outcome == "done" else f"{document.status}: {reason}")


def outcome_of(status: str) -> Outcome:
    """What a run's status means for the next segment: nothing to do, nothing that would help, or go on."""
    if status == "done":
        return "done"
    return "failed" if status in _FINAL else "again"


def run_segment(
    folder: RunFolder,
    *,
    program: Program,
    threads: int = 1,
    launcher: tuple[str, ...] = (),
    walltime_s: int | None = None,
    stall_s: float = STALL_S,
    started: Callable[[subprocess.Popen[bytes]], None] | None = None,
    stop: threading.Event | None = None,
) -> SegmentVerdict:
    """Run CP2K once in a run folder, unless it is already done, and judge the result by its output alone.

    Parameters
    ----------
    folder
        From :func:`qdip_struct.runs.rundir.open_run_folder`. One that is done may be read-only.
    program, threads, launcher
        The executable, its OpenMP threads, and words before it such as ``("mpirun", "-n", "8")``.
    walltime_s
        CP2K stops by itself after so many seconds and saves; by default what the input says.
    stall_s
        CP2K is ended when neither output nor restart files have grown for so many seconds, and for
        :data:`STALL_PAUSES` times the longest pause of this output before; 0 for never.
    started
        Called with the process as soon as CP2K runs.
    stop
        When it is set, CP2K is ended as by an interrupt: the start does not count.

    Returns
    -------
    Verdict
        ``result.json`` is written beside the output.

    Raises
    ------
    FolderBusyError
        If another CP2K works there.
    ToolError
        If CP2K cannot be started.
    DataError
        If the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context(exclusive(folder.path))
        except DataError:
            # Read-only, or on a full disk: a run that is done needs nothing of either.
            before = settled(folder) or verdict_of(folder)
            if before is None or before.outcome != "done":
                raise
            return before
        if needs_relaxation(folder):
            raise ToolError(f"{folder.path} waits for its pre-relaxation: qdip run {folder.path} --relax-only")
        before = verdict_of(folder)
        if before is not None and before.outcome != "again":
            if before.run is not None:
                record_result(folder, before.run)
            return before
        number = folder.n_segments + 1
        if before is not None and before.run is not None and before.run.status == "aborted" and _blames_restart(folder):
            discard_state(folder.path)
        source = folder.path / INPUT
        goes_on = number > 1 or _was_retried(folder.path)
        if goes_on or walltime_s is not None:
            source = folder.path / f"{INPUT}.{number}"
            write_text(source, _input_text(folder, goes_on=goes_on, walltime_s=walltime_s), force=True)
        target = segment_name(folder.path / OUTPUT, number)
        saved = saved_state(folder.path)
        begin_start(folder, segment=number, run=before.run if before is not None else None)
        try:
            code, stalled_s = _launch(
                folder.path, source, target, program, threads=threads, launcher=launcher, lock=lock,
                stall_s=stall_s or math.inf, started=started, stop=stop,
            )  # fmt: skip
        except BaseException:
            withdraw_start(folder)
            raise
        word = _last_word(folder)
        if stop is not None and stop.is_set():
            withdraw_start(folder)
        else:
            end_start(folder, run=word.run, code=code, stalled_s=stalled_s, saved=saved)
        after = _with_starts(folder, word)
        if after.run is not None:
            record_result(folder, after.run)
        moved = saved_state(folder.path) != saved
    if stalled_s is not None and after.outcome == "again":
        why = (
            f"neither output nor restart files had grown for {stalled_s:.0f} s, so CP2K was ended; what it saved stays"
        )
        return SegmentVerdict("again", why, after.run)
    if after.outcome == "again" and after.run is not None and not moved:
        return _without_progress(after)
    return after


def _was_retried(folder: Path) -> bool:
    """Whether a first segment was set aside: then there may be a state to go on from."""
    return (folder / f"{FAILED}-1").is_dir()


def _without_progress(after: SegmentVerdict) -> SegmentVerdict:
    """A segment that saved nothing, for a reason that another one would meet at once."""
    run = after.run
    if run is not None and run.status == "walltime":
        reason = f"the time ended before anything was saved that a next segment could start from; {after.reason}"
        return SegmentVerdict("failed", reason, run)
    if run is not None and run.status == "aborted" and _PASSING.search(run.reason):
        return SegmentVerdict("failed", f"{after.reason}; once that is mended, the same command goes on", run)
    return after


def make_ready(folder: RunFolder, *, unfinished: bool = False) -> tuple[bool, str, list[Path]]:
    """Let a run that failed start again: its count of starts is set back, its failed outputs are set aside.

    Segments that came further stay, and with them the state that the next one goes on from.

    Parameters
    ----------
    folder
        From :func:`qdip_struct.runs.rundir.open_run_folder`.
    unfinished
        Whether the count is set back for a run that has not failed yet, too.

    Returns
    -------
    bool, str, list of Path
        Whether anything was done, why or why not, and where the files that were set aside lie now.

    Raises
    ------
    FolderBusyError
        If another process works there.
    DataError
        If a file cannot be moved.
    """
    with exclusive(folder.path):
        verdict, row = verdict_of(folder), read_starts(folder.path)
        if verdict is None:
            return False, "it has not started yet", []
        if verdict.outcome == "done":
            return False, "it is done", []
        counted = {start.segment for start in row.starts} if row is not None else set()
        if verdict.outcome == "again":
            if not unfinished or not counted:
                return False, f"it has not failed, the next start goes on: {verdict.reason}", []
            return True, verdict.reason, set_aside(folder, failed=())
        first = last = folder.n_segments
        while first - 1 in counted:
            first -= 1
        return True, verdict.reason, set_aside(folder, failed=range(first, last + 1))


def record_result(folder: RunFolder, run: Run) -> None:
    """Write ``result.json``: the run as read, with its role and group."""
    store_result(folder.path, run)


def _launch(
    folder: Path,
    source: Path,
    target: Path,
    program: Program,
    *,
    threads: int,
    launcher: tuple[str, ...],
    lock: FolderLock,
    stall_s: float,
    started: Callable[[subprocess.Popen[bytes]], None] | None,
    stop: threading.Event | None,
) -> tuple[int, float | None]:
    """Run CP2K to its end; its exit code, and for how long, s, nothing had grown if it was ended for that."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
    if not launcher:
        # One rank: OpenMPI needs no daemon of its own, which would outlive a killed CP2K, and inside a Slurm step it
        # would try to reach the step's PMI and die in MPI_Init.
        environment = {k: v for k, v in environment.items() if not k.startswith(("SLURM_", "PMI", "PMIX"))}
        environment["OMPI_MCA_ess_singleton_isolated"] = "1"
    words = [*launcher, str(program.path), "-i", source.name]
    try:
        with target.open("xb") as stream:
            process = subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                pass_fds=(lock.fileno(),),
                process_group=0,  # so that it can be ended with all ranks that its launcher started
            )
    except FileExistsError as error:
        raise DataError(f"{target} is no output, and nothing is written through it; remove it") from error
    except OSError as error:
        target.unlink(missing_ok=True)
        raise ToolError(f"cannot start {words[0]} in {folder}: {error.strerror or error}") from error
    try:
        lock.add_process(process.pid)
        if started is not None:
            started(process)
        return _wait(process, folder, target, stall_s=stall_s, stop=stop)
    except BaseException:
        _end_group(process)
        raise


def _wait(
    process: subprocess.Popen[bytes], folder: Path, target: Path, *, stall_s: float, stop: threading.Event | None
) -> tuple[int, float | None]:
    """Wait for CP2K; see :func:`_launch`."""
    grown, quiet, longest = None, 0.0, 0.0
    poll = min(_POLL_S, stall_s / 4)
    before = time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=poll), None
        if stop is not None and stop.is_set():
            _end_group(process)
            return process.wait(), None
        now = time.monotonic()
        # A job that is suspended as a whole stands still here too.
        quiet, before = quiet + min(now - before, 5 * poll), now
        size = (target.stat().st_size if target.exists() else 0, saved_state(folder))
        if size != grown:
            longest = max(longest, quiet) if grown is not None else 0.0
            grown, quiet = size, 0.0
        elif quiet > max(stall_s, STALL_PAUSES * longest):
            _end_group(process)
            return process.wait(), quiet


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End CP2K with what its launcher started: SIGTERM, and SIGKILL for what is left after a while."""
    for number, patience_s in ((signal.SIGTERM, _TERMINATION_S), (signal.SIGKILL, math.inf)):
        end = time.monotonic() + patience_s
        try:
            os.killpg(process.pid, number)
            # Its number stays its own as long as nobody has asked for its exit code.
            while time.monotonic() < end:
                if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                    break
                time.sleep(0.05)
        except (ProcessLookupError, PermissionError, ChildProcessError):
            break
    process.wait()


@contextlib.contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """Within, SIGTERM and a closed terminal act like Ctrl-C: CP2K never outlives the command that started it."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What is ignored, as below nohup, stays so.
    previous = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _input_text(folder: RunFolder, *, goes_on: bool, walltime_s: int | None) -> str:
    """The input of a segment: that of the run, from the last good geometry and orbitals, with its time limit."""
    tree = parse_input(read_text(folder.path / INPUT), source=str(folder.path / INPUT))
    if walltime_s is not None:
        set_value(tree, "GLOBAL/WALLTIME", str(walltime_s))
    if not goes_on:
        return format_input(tree)
    task = task_of(next(iter(get_values(tree, "GLOBAL/RUN_TYPE")), None))
    state = good_state(folder.path, n_atoms=folder.record.n_atoms or 1)
    if state.orbitals:
        set_value(tree, _GUESS, "RESTART")
    if task is not None and task.restarts and state.geometry is not None:
        set_value(tree, "EXT_RESTART/RESTART_FILE_NAME", GEOMETRY)
    return format_input(tree)
