"""One idempotent piece of one run: look what is there, continue from the last good state, judge what came out.

Calling it twice, after a kill, or while another call is at work is safe: a finished run is left alone, a lock that
the running CP2K itself holds keeps two segments from one folder, and every start writes a new output.
"""

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from qdip_struct.campaign.collection import store_result
from qdip_struct.campaign.rundir import INPUT, OUTPUT, RunFolder, segment_name
from qdip_struct.cp2k.deck import PROJECT
from qdip_struct.cp2k.inputfile import format_input, get_values, parse_input, set_value
from qdip_struct.cp2k.output import read_run
from qdip_struct.cp2k.program import Program
from qdip_struct.cp2k.run import Run
from qdip_struct.errors import DataError, ToolError
from qdip_struct.files import read_text, write_text

LOCK = "run.lock"
_OPTIMISATIONS = ("GEO_OPT", "CELL_OPT")
_FINAL = ("done", "aborted", "scf_unconverged", "max_steps")
"""Verdicts that running the same input again would not change."""

Outcome = Literal["done", "again", "failed"]


@dataclass(frozen=True)
class Verdict:
    """What a segment ended with: done, run me again, or failed; the reason; the run as read, if there is one."""

    outcome: Outcome
    reason: str
    run: Run | None = None


class FolderBusyError(ToolError):
    """Another CP2K is at work in the folder."""


@contextmanager
def exclusive(folder: Path) -> Iterator[IO[str]]:
    """Hold the folder's lock; the CP2K process inherits it, so it lives exactly as long as anyone works there.

    Raises
    ------
    FolderBusyError
        If somebody else holds it.
    """
    with (folder / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderBusyError(f"{folder} is being run by another process (it holds {LOCK})") from error
        yield lock


def judge(folder: RunFolder) -> Verdict | None:
    """What the outputs in the folder say; ``None`` when the run never started."""
    if not folder.n_segments:
        return None
    try:
        run = read_run(folder.path)
    except DataError:
        return Verdict("again", "the last output holds nothing readable")
    if run.status == "done":
        return Verdict("done", run.reason, run)
    if run.status in _FINAL:
        return Verdict("failed", f"{run.status}: {run.reason}", run)
    return Verdict("again", f"{run.status}: {run.reason}", run)


def run_segment(
    folder: RunFolder,
    *,
    program: Program,
    threads: int = 1,
    launcher: tuple[str, ...] = (),
    walltime_s: int | None = None,
    started: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> Verdict:
    """Run CP2K once in a run folder, unless it is already done, and judge the result by its output alone.

    Parameters
    ----------
    folder
        From :func:`qdip_struct.campaign.rundir.open_run_folder`.
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
        before = judge(folder)
        if before is not None and before.outcome != "again":
            if before.run is not None:
                record_result(folder, before.run)
            return before
        number = folder.n_segments + 1
        source = folder.path / INPUT
        if number > 1 or walltime_s is not None:
            source = folder.path / f"{INPUT}.{number}"
            write_text(source, _input_text(folder.path, goes_on=number > 1, walltime_s=walltime_s), force=True)
        target = segment_name(folder.path / OUTPUT, number)
        saved = _saved(folder.path)
        _launch(folder.path, source, target, program, threads=threads, launcher=launcher, lock=lock, started=started)
        after = judge(folder)
    if after is None:
        return Verdict("failed", "CP2K wrote no output")
    if after.run is not None:
        record_result(folder, after.run)
    if after.outcome == "again" and after.run is not None and _saved(folder.path) == saved:
        if after.run.status == "walltime":
            reason = f"the time ended before anything was saved that a next segment could start from; {after.reason}"
            return Verdict("failed", reason, after.run)
        if _stuck(before, after):
            return Verdict("failed", f"two segments in a row ended without progress; {after.reason}", after.run)
    return after


def _saved(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the files that CP2K can start again from."""
    names = (f"{PROJECT}-1.restart", f"{PROJECT}-RESTART.wfn", f"{PROJECT}-RESTART.kp")
    states = {name: (folder / name).stat() for name in names if (folder / name).exists()}
    return {name: (state.st_size, state.st_mtime_ns) for name, state in states.items()}


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
    lock: IO[str],
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


def _input_text(folder: Path, *, goes_on: bool, walltime_s: int | None) -> str:
    """The input of a segment: that of the run, from the last geometry and wave function saved, with its time limit."""
    tree = parse_input(read_text(folder / INPUT), source=str(folder / INPUT))
    if walltime_s is not None:
        set_value(tree, "GLOBAL/WALLTIME", str(walltime_s))
    if not goes_on:
        return format_input(tree)
    run_type = (get_values(tree, "GLOBAL/RUN_TYPE") or [""])[0].upper()
    if any((folder / f"{PROJECT}-RESTART.{kind}").exists() for kind in ("wfn", "kp")):
        set_value(tree, "FORCE_EVAL/DFT/SCF/SCF_GUESS", "RESTART")
    restart = f"{PROJECT}-1.restart"
    if run_type in _OPTIMISATIONS and _is_whole(folder / restart):
        set_value(tree, "EXT_RESTART/RESTART_FILE_NAME", restart)
    return format_input(tree)


def _is_whole(restart: Path) -> bool:
    if not restart.is_file():
        return False
    try:
        parse_input(read_text(restart), source=str(restart))
    except DataError:
        return False
    return True


def _stuck(before: Verdict | None, after: Verdict) -> bool:
    """Two outputs in a row that were cut off with no step more."""
    if before is None or before.run is None or after.run is None:
        return False
    return len(after.run.steps) <= len(before.run.steps) and after.run.status == before.run.status == "truncated"
