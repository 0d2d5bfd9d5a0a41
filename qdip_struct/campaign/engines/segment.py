"""One idempotent piece of one run: look what is there, continue from the last good state, judge what came out.

Calling it twice, after a kill, or while another call is at work is safe: a finished run is left alone, a lock that
the running CP2K itself holds keeps two segments from one folder, and every start writes a new output.
"""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qdip_struct.base.cp2k_input import format_input, get_values, parse_input, set_value
from qdip_struct.base.errors import DataError, ToolError
from qdip_struct.base.files import read_text, write_text
from qdip_struct.campaign.engines.lock import FolderBusyError, FolderLock, exclusive
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.cp2k.program import Program
from qdip_struct.cp2k.tasks import task_of
from qdip_struct.runs.collection import quick_result, store_result
from qdip_struct.runs.restart import GEOMETRY, discard_state, good_state, saved_state
from qdip_struct.runs.rundir import INPUT, OUTPUT, RunFolder, needs_relaxation, segment_name

__all__ = [
    "FolderBusyError",
    "Outcome",
    "SegmentVerdict",
    "exclusive",
    "outcome_of",
    "record_result",
    "run_segment",
    "settled",
    "verdict_of",
]

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
    the restart files of an earlier segment: then they are to blame.
    """
    if not folder.n_segments:
        return None
    try:
        run = read_run(folder.path)
    except DataError:
        return SegmentVerdict("again", "the last output holds nothing readable")
    outcome = outcome_of(run.status)
    if run.status == "aborted" and (_PASSING.search(run.reason) or _blames_restart(folder)):
        outcome = "again"
    return SegmentVerdict(outcome, run.reason if outcome == "done" else f"{run.status}: {run.reason}", run)


def _blames_restart(folder: RunFolder) -> bool:
    """Whether the last segment started from restart files and came to no energy."""
    number = folder.n_segments
    if number < 2:
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
    started: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> SegmentVerdict:
    """Run CP2K once in a run folder, unless it is already done, and judge the result by its output alone.

    Parameters
    ----------
    folder
        From :func:`qdip_struct.runs.rundir.open_run_folder`.
    program, threads, launcher
        The executable, its OpenMP threads, and words before it such as ``("mpirun", "-n", "8")``.
    walltime_s
        CP2K stops by itself after so many seconds and saves; by default what the input says.
    started
        Called with the process as soon as CP2K runs.

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
    """
    with exclusive(folder.path) as lock:
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
        if number > 1 or walltime_s is not None:
            source = folder.path / f"{INPUT}.{number}"
            write_text(source, _input_text(folder, goes_on=number > 1, walltime_s=walltime_s), force=True)
        target = segment_name(folder.path / OUTPUT, number)
        saved = saved_state(folder.path)
        _launch(folder.path, source, target, program, threads=threads, launcher=launcher, lock=lock, started=started)
        after = verdict_of(folder)
        if after is not None and after.run is not None:
            record_result(folder, after.run)
        moved = saved_state(folder.path) != saved
    if after is None:
        return SegmentVerdict("failed", "CP2K wrote no output")
    if after.outcome == "again" and after.run is not None and not moved:
        return _without_progress(before, after)
    return after


def _without_progress(before: SegmentVerdict | None, after: SegmentVerdict) -> SegmentVerdict:
    """A segment that saved nothing: whether another one may be worth its time."""
    run = after.run
    if run is not None and run.status == "walltime":
        reason = f"the time ended before anything was saved that a next segment could start from; {after.reason}"
        return SegmentVerdict("failed", reason, run)
    if run is not None and run.status == "aborted" and _PASSING.search(run.reason):
        return SegmentVerdict("failed", f"{after.reason}; once that is mended, the same command goes on", run)
    if _stuck(before, after):
        return SegmentVerdict("failed", f"two segments in a row ended without progress; {after.reason}", run)
    return after


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
    started: Callable[[subprocess.Popen[bytes]], None] | None,
) -> None:
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
            )
    except OSError as error:
        target.unlink(missing_ok=True)
        raise ToolError(f"cannot start {words[0]} in {folder}: {error.strerror or error}") from error
    try:
        lock.add_process(process.pid)
        if started is not None:
            started(process)
        process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


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


def _stuck(before: SegmentVerdict | None, after: SegmentVerdict) -> bool:
    """Two outputs in a row that were cut off with no step more."""
    if before is None or before.run is None or after.run is None:
        return False
    return len(after.run.steps) <= len(before.run.steps) and after.run.status == before.run.status == "truncated"
