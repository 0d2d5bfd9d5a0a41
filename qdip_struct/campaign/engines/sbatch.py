"""Run folders to Slurm: one array job over the unfinished, never twice over the same.

A submission is a numbered list of folders and the script beside it, ``slurm/N.runs.txt`` and ``slurm/N.sbatch`` in
the campaign's folder, written before ``sbatch`` is called. The job's name tells folder and number, so that the queue
itself says which folders have a job, whatever became of the process that submitted it. The environment's wishes for
Slurm's commands (``SQUEUE_FORMAT`` and the like) are kept from them, so that they answer in the form that is read here.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from qdip_struct.base.errors import ToolError, UsageError
from qdip_struct.base.files import read_text, sha256, write_text
from qdip_struct.campaign.engines.engine import Submission
from qdip_struct.campaign.engines.jobscript import ClusterSite, LaunchStep, job_script, run_list
from qdip_struct.campaign.engines.lock import is_busy, sole_process
from qdip_struct.campaign.engines.segment import settled, verdict_of
from qdip_struct.runs.rundir import RunFolder, needs_relaxation

RECORDS = "slurm"
"""Folder of the lists, scripts and logs below the campaign."""

_LOCK = "submit.lock"

_COMMAND = f"{shlex.quote(sys.executable)} -m qdip_struct.cli.main"

_LARGEST_ARRAY = 1000

_TIMEOUT_S = 120

_ENDED = frozenset(
    ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT")
)


@dataclass(frozen=True)
class QueuedTask:
    """A task that Slurm has.

    Attributes
    ----------
    job_id
        For example ``17_3``.
    state
        In Slurm's words.
    """

    job_id: str
    state: str
    folder: Path


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
    folders: Sequence[RunFolder],
    *,
    root: Path,
    site: ClusterSite,
    after: Sequence[str] = (),
    stall_s: float | None = None,
    dry_run: bool = False,
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
    stall_s
        As for :func:`qdip_struct.campaign.engines.segment.run_segment`, s; ``None`` for its default.
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
            queue = partial(_submit, runs, root=root, site=place, stall_s=stall_s, lock=lock.fileno())
            needs = _after(after)
            if relax_first:
                jobs.append(queue(step="relax", dependency=needs))
                needs = f"aftercorr:{jobs[-1]}"
            jobs.append(queue(step="segment", dependency=needs))
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
        verdict = settled(folder) or verdict_of(folder)
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


def _submit(
    runs: Sequence[str], *, step: LaunchStep, root: Path, site: ClusterSite, stall_s: float | None,
    dependency: str | None, lock: int,
) -> str:  # fmt: skip
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
        stall_s=stall_s,
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


def queued_tasks(root: Path) -> list[QueuedTask]:
    """Tasks of the campaign in ``root`` that Slurm still has, pending or running.

    Raises
    ------
    ToolError
        If ``squeue`` is missing or does not answer: then nobody can tell.
    """
    lists = submissions(root)
    if not lists:
        return []
    tasks = []
    for line in call_slurm(
        "squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", "--format=%F %K %T %j"
    ):
        job, index, state, name = (*line.split(None, 3), "", "", "")[:4]
        place = lists.get(name.strip())
        if place is None or state in _ENDED or not index.isdigit():
            continue
        runs = read_text(place).splitlines()
        if 1 <= int(index) <= len(runs):
            tasks.append(QueuedTask(f"{job}_{index}", state, (root / runs[int(index) - 1]).resolve()))
    return tasks


def submissions(root: Path) -> dict[str, Path]:
    """Job name → list of folders, for every submission of this campaign at this place."""
    found = {}
    for place in (root / RECORDS).glob("*.runs.txt"):
        number = place.name.split(".")[0]
        if number.isdigit():
            found[job_name(root, int(number))] = place
    return found


def job_name(root: Path, number: int) -> str:
    """Name of a submission's job: a copy of a campaign has other names and never vouches for the original's jobs."""
    return f"qdip-{sha256(str(root.resolve()))[:10]}-{number}"


def largest_array() -> int:
    """Most tasks of an array that this Slurm takes, at most 1000.

    Raises
    ------
    ToolError
        As for :func:`call_slurm`.
    """
    for line in call_slurm("scontrol", "show", "config"):
        key, _, value = line.partition("=")
        # Slurm counts from 0: the largest index is one less than this.
        if key.strip() == "MaxArraySize" and value.strip().isdigit():
            return max(1, min(_LARGEST_ARRAY, int(value) - 1))
    return _LARGEST_ARRAY


def call_slurm(command: str, *words: str, cwd: Path | None = None, lock: int | None = None) -> list[str]:
    """Lines that a Slurm command prints.

    Parameters
    ----------
    command, words
        The command and its arguments.
    cwd
        Folder it runs in.
    lock
        Descriptor it inherits.

    Raises
    ------
    ToolError
        If the command is missing, does not answer in two minutes, or fails; the message holds its own words.
    """
    try:
        done = subprocess.run(
            [command, *words],
            cwd=cwd,
            env={name: value for name, value in os.environ.items() if not name.startswith(("SQUEUE_", "SBATCH_"))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
            pass_fds=() if lock is None else (lock,),
        )
    except FileNotFoundError as error:
        raise ToolError(f"{command} was not found: submit on a machine with Slurm, or use --engine local") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{command} did not answer within {_TIMEOUT_S} s; try again when Slurm does") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise ToolError(f"{command} failed: {said}")
    return [line for line in done.stdout.splitlines() if line.strip()]
