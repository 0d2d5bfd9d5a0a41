"""Run folders to Slurm: one array job over the unfinished, never twice over the same.

A submission is a numbered list of folders and the script beside it, ``slurm/N.runs.txt`` and ``slurm/N.sbatch`` in
the campaign's folder, written before ``sbatch`` is called. The job's name tells folder and number, so that the queue
itself says which folders have a job, whatever became of the process that submitted it.
"""

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qdip_struct.base.errors import ToolError, UsageError
from qdip_struct.base.files import write_text
from qdip_struct.campaign.engines.jobscript import Site, Step, job_script, run_list
from qdip_struct.campaign.engines.lock import is_busy, sole_process
from qdip_struct.campaign.engines.segment import judge, settled
from qdip_struct.campaign.engines.slurm_queue import (
    RECORDS,
    QueuedTask,
    call_slurm,
    job_name,
    largest_array,
    queued_tasks,
    submissions,
)
from qdip_struct.campaign.engines.submission import Submission
from qdip_struct.runs.rundir import RunFolder, needs_relaxation

_LOCK = "submit.lock"
_COMMAND = f"{shlex.quote(sys.executable)} -m qdip_struct.cli.main"


@dataclass(frozen=True)
class ArrayPlan:
    """What a submission would do.

    Attributes
    ----------
    arrays
        The folders of each array job, as written in its list: relative to the campaign's folder.
    relax_first
        For each array, whether its runs wait for their pre-relaxation: then an array of relaxations goes before it,
        and each run starts when its own relaxation has succeeded.
    queued
        Tasks that Slurm has already.
    n_done, n_failed, n_busy
        Runs that need no job; runs that failed and would fail again with the same input; runs in whose folder
        somebody else is at work, such as a local engine.
    """

    arrays: tuple[tuple[str, ...], ...]
    relax_first: tuple[bool, ...] = ()
    queued: tuple[QueuedTask, ...] = ()
    n_done: int = 0
    n_failed: int = 0
    n_busy: int = 0

    @property
    def n_runs(self) -> int:
        """Runs that get a task."""
        return sum(map(len, self.arrays))

    @property
    def text(self) -> str:
        """One line for a person."""
        n_jobs = len(self.arrays) + sum(self.relax_first)
        jobs = "one array job" if n_jobs == 1 else f"{n_jobs} array jobs"
        parts = [f"{self.n_runs} runs in {jobs}" if n_jobs else "nothing to submit"]
        parts += [f"{len(self.queued)} have a job already"] if self.queued else []
        parts += [f"{self.n_busy} are being run by somebody else"] if self.n_busy else []
        parts += [f"{self.n_done} done"] if self.n_done else []
        parts += [f"{self.n_failed} failed, left alone"] if self.n_failed else []
        return "; ".join(parts)


def submit_array(
    folders: Sequence[RunFolder], *, root: Path, site: Site, after: Sequence[str] = (), dry_run: bool = False
) -> Submission:
    """Queue the unfinished run folders as an array job, each of whose tasks is ``qdip segment`` until the run ends.

    Calling it again queues only what is unfinished and has no job: after ``scancel``, a failed node or a kill of this
    process the same call brings the campaign back.

    Parameters
    ----------
    folders
        Run folders at or below ``root``.
    root
        The campaign's folder. Lists, scripts and logs are written to ``root/slurm``.
    site
        A site whose engine is ``slurm``. CP2K is told to stop in its time limit less the margin.
    after
        Slurm job numbers that must end well before the array may start, such as that of the pre-relaxation.
    dry_run
        Ask, decide, and write nothing.

    Raises
    ------
    UsageError
        If the site is not Slurm's, a folder lies outside ``root``, or a name holds a line break.
    ToolError
        If Slurm is missing, does not answer, or refuses the job; the message is Slurm's own.
    """
    if site.engine != "slurm":
        raise UsageError(f"the engine sbatch needs a site whose engine is slurm, not {site.engine}")
    if dry_run:
        plan = plan_array(folders, root=root)
        return Submission("sbatch", (), plan.n_runs, f"dry run: {plan.text}")
    # sbatch inherits the lock, so a killed submission is over when it is free.
    busy = f"another 'qdip submit' is at work in {root}; wait for it"
    file = root / RECORDS / _LOCK
    with sole_process(file, named=file, busy=busy) as lock:
        plan = plan_array(folders, root=root)
        jobs = []
        for runs, relax_first in zip(plan.arrays, plan.relax_first, strict=True):
            place = replace(site, simultaneous=max(1, site.simultaneous // len(plan.arrays)))
            needs = _after(after)
            if relax_first:
                jobs.append(_submit(runs, step="relax", root=root, site=place, dependency=needs, lock=lock.fileno()))
                needs = f"aftercorr:{jobs[-1]}"
            jobs.append(_submit(runs, step="segment", root=root, site=place, dependency=needs, lock=lock.fileno()))
    note = plan.text + (f"; jobs {', '.join(jobs)}; see squeue, or logs in {root / RECORDS}" if jobs else "")
    return Submission("sbatch", tuple(jobs), plan.n_runs, note)


def plan_array(folders: Sequence[RunFolder], *, root: Path) -> ArrayPlan:
    """Decide which folders need a task; raises as :func:`submit_array` does."""
    queued = queued_tasks(root)
    taken = {task.folder for task in queued}
    ready: dict[str, None] = {}
    waiting: dict[str, None] = {}
    counts = {"done": 0, "failed": 0, "busy": 0}
    for folder in folders:
        verdict = settled(folder) or judge(folder)
        if verdict is not None and verdict.outcome in counts:
            counts[verdict.outcome] += 1
        elif folder.path.resolve() in taken:
            continue
        elif is_busy(folder.path):
            counts["busy"] += 1
        else:
            (waiting if needs_relaxation(folder) else ready)[_relative(folder.path, root)] = None
    run_list([*ready, *waiting])
    size = largest_array() if ready or waiting else 1
    arrays, relax_first = [], []
    for todo in (list(ready), list(waiting)):
        chunks = [tuple(todo[start : start + size]) for start in range(0, len(todo), size)]
        arrays += chunks
        relax_first += [todo[0] in waiting] * len(chunks) if todo else []
    return ArrayPlan(
        tuple(arrays),
        tuple(relax_first),
        tuple(queued),
        n_done=counts["done"],
        n_failed=counts["failed"],
        n_busy=counts["busy"],
    )


def _relative(folder: Path, root: Path) -> str:
    try:
        return folder.resolve().relative_to(root.resolve()).as_posix()
    except ValueError as error:
        raise UsageError(f"{folder} does not lie in {root}: submit it with its own campaign") from error


def _submit(runs: Sequence[str], *, step: Step, root: Path, site: Site, dependency: str | None, lock: int) -> str:
    """Write list and script, call ``sbatch``, return the job's number."""
    used = [int(place.name.split(".")[0]) for place in submissions(root).values()]
    number = max(used, default=0) + 1
    name = job_name(root, number)
    text = job_script(
        site,
        n_runs=len(runs),
        step=step,
        runs=f"{RECORDS}/{number}.runs.txt",
        name=name,
        log=f"{RECORDS}/{number}_%a.log",
        command=_COMMAND,
    )
    write_text(root / RECORDS / f"{number}.runs.txt", run_list(runs))
    write_text(root / RECORDS / f"{number}.sbatch", text, force=True)
    words = [f"--dependency={dependency}", "--kill-on-invalid-dep=yes"] if dependency else []
    try:
        answer = call_slurm("sbatch", "--parsable", *words, f"{RECORDS}/{number}.sbatch", cwd=root, lock=lock)
    except ToolError:
        # A controller that answers too late may have taken the job all the same.
        answer = call_slurm("squeue", "--noheader", "--states=all", f"--name={name}", "--format=%F")
        if not answer:
            raise
    return answer[0].split(";")[0].strip()


def _after(jobs: Sequence[str]) -> str | None:
    for job in jobs:
        if not re.fullmatch(r"\d+(_\d+)?", job):
            raise UsageError(f"'{job}' is no Slurm job number")
    return f"afterok:{':'.join(jobs)}" if jobs else None
