"""The engine of this machine: several runs at a time, the longest first, each from segment to segment to its end.

Whoever starts it may kill it: every CP2K is ended with it, and the next call goes on from what was saved.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qdip_struct.base.errors import QdipError
from qdip_struct.campaign.engines.segment import (
    STALL_S,
    FolderBusyError,
    SegmentVerdict,
    run_segment,
    settled,
    terminate_as_interrupt,
    verdict_of,
)
from qdip_struct.cp2k.outputs.reader import Progress, read_progress
from qdip_struct.cp2k.program import Program
from qdip_struct.runs.rundir import OUTPUT, RunFolder, needs_relaxation, segment_name

MAX_SEGMENTS = 20
POLL_S = 1.0


@dataclass
class Watch:
    """One run as the engine sees it while it works.

    Attributes
    ----------
    state
        Waiting, relaxing, busy (another CP2K is in its folder), running, or the outcome of its verdict.
    began, seconds
        Reading of the monotonic clock at its start, and time since, s.
    """

    folder: RunFolder
    state: str = "waiting"
    reason: str = ""
    began: float | None = None
    seconds: float = 0.0
    verdict: SegmentVerdict | None = None
    progress: Progress = field(default_factory=Progress)

    @property
    def output(self) -> Path:
        """The output that is being written, or the last one."""
        return segment_name(self.folder.path / OUTPUT, max(1, self.folder.n_segments))


def estimated_work(folder: RunFolder) -> float:
    """A number that orders runs by cost: electrons × volume × k-points^(1/3). It is no time.

    Fits the order of the small cells measured here, where vacuum costs more than k-points do.
    """
    record = folder.record
    mesh = record.settings.kpoints or (1, 1, 1)
    electrons = float(record.n_electrons or record.n_atoms or 1)
    volume = abs(float(np.linalg.det(np.array(record.cell_angstrom or np.eye(3), dtype=float))))
    return float(electrons * volume * np.prod(mesh) ** (1 / 3))


def run_locally(
    folders: Sequence[RunFolder],
    *,
    program: Program,
    cores: int,
    launcher: tuple[str, ...] = (),
    stall_s: float = STALL_S,
    show: Callable[[Sequence[Watch]], None] | None = None,
) -> list[Watch]:
    """Run or continue run folders on this machine.

    Parameters
    ----------
    folders
        Runs to bring to an end; finished ones are left alone.
    program, cores, launcher
        CP2K, how many cores to use in all, words before the executable. As many runs as cores work side by side;
        fewer runs get more OpenMP threads each.
    stall_s
        As for :func:`qdip_struct.campaign.engines.segment.run_segment`, s.
    show
        Called about once a second, and at every change, with all watches.

    Returns
    -------
    list of Watch
        In the order given, each with its verdict. On an interrupt every CP2K is ended and waited for; what it saved
        stays, and the next call goes on from there.
    """
    watches = [Watch(folder) for folder in folders]
    for watch in watches:
        verdict = settled(watch.folder) or verdict_of(watch.folder)
        if verdict is not None and verdict.outcome != "again":
            watch.verdict, watch.state, watch.reason = verdict, verdict.outcome, verdict.reason
    todo = sorted((w for w in watches if w.verdict is None), key=lambda w: -estimated_work(w.folder))
    # A launcher brings ranks and binding of its own; two of them would get the same cores.
    side_by_side = max(1, min(cores, len(todo))) if not launcher else 1
    threads = max(1, cores // side_by_side) if not launcher else 1
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=side_by_side) as pool, terminate_as_interrupt():
        pending: set[Future[None]] = {
            pool.submit(_carry_out, watch, program, threads=threads, launcher=launcher, stall_s=stall_s, stop=stop)
            for watch in todo
        }
        try:
            while pending:
                finished, pending = wait(pending, timeout=POLL_S, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                for watch in watches:
                    _refresh(watch)
                if show is not None:
                    show(watches)
        except BaseException:
            stop.set()
            for future in pending:
                future.cancel()
            raise
    return watches


class _StopError(Exception):
    """The engine is asked to end while a model relaxes a structure."""


_one_relaxation = threading.Lock()


def _relax_first(watch: Watch, *, stop: threading.Event) -> None:
    """Pre-relax a structure that waits for it; one at a time, because a model uses the cores on its own."""
    from qdip_struct.campaign.engines.prerelax import relax_folder

    def shown(step: int, force: float, energy: float) -> None:
        watch.reason = f"step {step}, largest force {force:.3f} eV/Å"
        if stop.is_set():
            raise _StopError

    while needs_relaxation(watch.folder):
        with _one_relaxation:
            if stop.is_set():
                raise _StopError
            watch.state = "relaxing"
            try:
                relax_folder(watch.folder, progress=shown)
            except FolderBusyError as error:
                watch.state, watch.reason = "busy", str(error)
        if watch.state == "busy":
            stop.wait(2 * POLL_S)
    watch.reason = ""


def _refresh(watch: Watch) -> None:
    if watch.state == "running" and watch.began is not None:
        watch.seconds = time.monotonic() - watch.began
        watch.progress = read_progress(watch.output)


def _carry_out(
    watch: Watch, program: Program, *, threads: int, launcher: tuple[str, ...], stall_s: float, stop: threading.Event
) -> None:
    """Segments of one run until it is done or failed; a folder that a left-over CP2K still works in is waited for."""
    watch.began = time.monotonic()
    try:
        _relax_first(watch, stop=stop)
    except _StopError:
        watch.state = "waiting"
        return
    except QdipError as error:
        watch.verdict, watch.state, watch.reason = SegmentVerdict("failed", str(error)), "failed", str(error)
        watch.seconds = time.monotonic() - watch.began
        return
    verdict = SegmentVerdict("again", f"{MAX_SEGMENTS} segments came further each; the same command goes on")
    n_segments = 0
    while n_segments < MAX_SEGMENTS and not stop.is_set():
        try:
            watch.state = "running"
            last = run_segment(
                watch.folder, program=program, threads=threads, launcher=launcher, stall_s=stall_s, stop=stop
            )
        except FolderBusyError as error:
            watch.state, watch.reason = "busy", str(error)
            stop.wait(2 * POLL_S)
            continue
        except QdipError as error:
            last = SegmentVerdict("failed", str(error))
        n_segments += 1
        if last.outcome != "again":
            verdict = last
            break
    if stop.is_set() and verdict.outcome != "done":
        watch.state = "waiting"
        return
    watch.verdict, watch.state, watch.reason = verdict, verdict.outcome, verdict.reason
    watch.seconds = time.monotonic() - watch.began
