"""What Slurm has of a campaign: which of its submissions, by the names of their jobs, are still in the queue.

Every submission left a numbered list of folders in ``slurm`` below the campaign. The environment's wishes for Slurm's
commands (``SQUEUE_FORMAT`` and the like) are kept from them, so that their answers are those that are read here.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from qdip_struct.base.errors import ToolError
from qdip_struct.base.files import read_text, sha256

RECORDS = "slurm"
"""Folder of the lists, scripts and logs below the campaign."""

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
    folder
        Of its run.
    """

    job_id: str
    state: str
    folder: Path


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
