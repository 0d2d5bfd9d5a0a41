"""How the runs of a campaign, or of any folders, stand: waiting, running, to be continued, done, failed.

Thousands of folders are looked at without reading an output twice: a ``result.json`` younger than outputs of the same
size is believed, anything else is read once and its result stored.
"""

import contextlib
import fcntl
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from qdip_struct.base.errors import DataError, QdipError
from qdip_struct.campaign.engines.lock import NO_OTHER_FILE, RUN_LOCK, read_holder
from qdip_struct.campaign.engines.segment import outcome_of, verdict_of
from qdip_struct.campaign.engines.starts import gave_up
from qdip_struct.cp2k.outputs.run import RunSummary
from qdip_struct.runs.collection import quick_result, store_result
from qdip_struct.runs.restart import saved_state
from qdip_struct.runs.rundir import (
    INPUT,
    LINK,
    OUTPUT,
    RECORD,
    RELAXED,
    SharedRunRecord,
    open_run_folder,
    survey_run_folders,
)

State = Literal["missing", "waiting", "queued", "running", "again", "done", "failed"]
STATES: tuple[State, ...] = ("done", "running", "queued", "again", "waiting", "failed", "missing")
_SEVERAL = 1500
_OUTPUT = re.compile(re.escape(OUTPUT) + r"(?:\.(\d{1,9}))?")
_INODE = re.compile(r" [0-9a-f]+:[0-9a-f]+:(\d+) ")


@dataclass(frozen=True)
class RunStatus:
    """One run of one group; its path and that of the run it shares are relative to the campaign's folder.

    ``last_step_age_s`` is how long ago, s, the output of a running one last grew, or a restart file was written.
    """

    path: str
    group: str
    role: str
    state: State
    reason: str
    energy_ev: float | None = None
    same_as: str | None = None
    last_step_age_s: float | None = None


@dataclass(frozen=True)
class CampaignStatus:
    """All runs of a campaign; a shared run stands in each of its groups and counts once."""

    name: str
    runs: tuple[RunStatus, ...]

    @property
    def own(self) -> tuple[RunStatus, ...]:
        """Every calculation once."""
        return tuple(run for run in self.runs if run.same_as is None)

    @property
    def counts(self) -> dict[str, int]:
        """How many calculations are in each state, states without any left out."""
        found = Counter(run.state for run in self.own)
        return {state: found[state] for state in STATES if found[state]}

    @property
    def finished(self) -> bool:
        """Whether every calculation is done."""
        return all(run.state == "done" for run in self.own)

    def groups(self) -> dict[str, list[RunStatus]]:
        """Runs by group, shared ones included, in the order of the campaign."""
        found: dict[str, list[RunStatus]] = {}
        for run in self.runs:
            found.setdefault(run.group, []).append(run)
        return found

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of ``qdip status``."""
        return {
            "name": self.name,
            "n_runs": len(self.own),
            "counts": self.counts,
            "groups": [
                {"group": group, "counts": dict(Counter(run.state for run in runs)), "runs": [vars(r) for r in runs]}
                for group, runs in self.groups().items()
            ],
        }


Seen = tuple[State, str, float | None, float | None]
"""State, reason, energy (eV) and age of the last step (s) of one run."""

UNREADABLE = "(unreadable)"
"""Group and role of a folder whose ``run.json`` is damaged."""

_NOT_HERE: Seen = ("missing", "the run it shares is not in this campaign", None, None)


@dataclass(frozen=True)
class _Place:
    """What is known of a run before its folder is looked at."""

    path: Path
    shown: str
    group: str
    role: str
    same_as: str | None
    relax: bool
    fault: str | None = None


def status_of(paths: Sequence[Path], *, queued: Iterable[Path] = (), processes: int | None = None) -> CampaignStatus:
    """How the runs at or below some paths stand.

    Parameters
    ----------
    paths
        Folders of campaigns, run folders, or folders that hold them.
    queued
        Run folders for which a batch system has a job, absolute paths.
    processes
        How many folders to look at at once; by default one per core when there are many.

    Raises
    ------
    DataError
        If a path does not exist or holds no run.
    """
    from qdip_struct.campaign.folder import is_campaign, open_campaign

    places: list[_Place] = []
    names = []
    for path in paths:
        if is_campaign(path):
            index = open_campaign(path)
            names.append(index.name)
            places += [
                _Place(index.folder(row), str(path / row.path), row.group, row.role, row.same_as, row.relax)
                for row in index.rows
            ]
        else:
            names.append(path.name)
            places += _found(path)
    own = [place for place in places if place.same_as is None and place.fault is None]
    workers = min(processes or len(os.sched_getaffinity(0)), len(own))
    if processes is None and len(own) < _SEVERAL:
        workers = 1
    look = partial(_look, held=locked_inodes())
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            seen = list(pool.map(look, own, chunksize=max(1, len(own) // (4 * workers))))
    else:
        seen = list(map(look, own))
    waiting = {str(path) for path in queued}
    states: dict[str, Seen] = {}
    for place, look_of in zip(own, seen, strict=True):
        has_job = waiting and look_of[0] in ("waiting", "again") and str(place.path.resolve()) in waiting
        states[str(place.path)] = ("queued", "", None, None) if has_job else look_of
    states |= {str(place.path): ("failed", place.fault, None, None) for place in places if place.fault is not None}
    runs = []
    for place in places:
        state, reason, energy, age = states.get(str(place.path), _NOT_HERE)
        runs.append(RunStatus(place.shown, place.group, place.role, state, reason, energy, place.same_as, age))
    return CampaignStatus(", ".join(names), tuple(runs))


def _found(path: Path) -> list[_Place]:
    """Run folders that are in no campaign's index."""
    folders, damaged = survey_run_folders([path])
    known = {folder.path for folder in folders if folder.link is None}
    places = [
        _Place(
            folder.path,
            str(folder.place),
            folder.group,
            folder.role,
            folder.record.same_as if isinstance(folder.record, SharedRunRecord) and folder.path in known else None,
            folder.record.relax is not None,
        )
        for folder in folders
    ]
    return places + [
        _Place(item.path, str(item.path), UNREADABLE, UNREADABLE, None, False, fault=item.reason) for item in damaged
    ]


def _look(place: _Place, held: frozenset[int] | None = None) -> Seen:
    """What is seen of one run; ``held`` are the inodes that :func:`locked_inodes` found."""
    try:
        with os.scandir(place.path) as items:
            names = {item.name: item.inode() for item in items}
    except OSError:
        return "missing", "its folder is not there; submit the campaign again", None, None
    if RECORD not in names:
        why = f"it holds {LINK} and no run" if LINK in names else f"its folder has no {RECORD}"
        return "missing", f"{why}; submit the campaign again", None, None
    try:
        folder = open_run_folder(place.path)
    except DataError as error:
        return "failed", str(error), None, None
    found = sorted((int(match[1] or 1), name) for name in names if (match := _OUTPUT.fullmatch(name)))
    outputs = [place.path / name for _, name in found]
    if RUN_LOCK in names and (holder := _holder(place.path, names[RUN_LOCK], held)) is not None:
        age = _age(place.path, outputs)
        return "running", f"segment {len(outputs)}, {holder}" if outputs else holder, None, age
    if INPUT not in names:
        return "failed", f"its folder has no {INPUT}", None, None
    if not outputs:
        return "waiting", "for its pre-relaxation" if place.relax and RELAXED not in names else "", None, None
    document = quick_result(place.path, outputs) or _read(place.path)
    if document is not None and document.status != "aborted" and outcome_of(document.status) != "again":
        outcome = outcome_of(document.status)
        reason = document.reason if outcome == "done" else f"{document.status}: {document.reason}"
        return outcome, reason, document.energy_ev, None
    energy = None if document is None else document.energy_ev
    if document is not None and document.status != "aborted":
        given_up = gave_up(place.path)
        said = f"{document.status}: {document.reason}"
        return ("again", said, energy, None) if given_up is None else ("failed", given_up, energy, None)
    verdict = verdict_of(folder)
    return ("again", "", energy, None) if verdict is None else (verdict.outcome, verdict.reason, energy, None)


def locked_inodes() -> frozenset[int] | None:
    """Inodes of the files that processes of this machine hold locked; ``None`` where the system does not tell.

    Trying a lock takes it for a moment, and a run that starts in that moment would be turned away. So only files that
    the system lists are tried.
    """
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return frozenset(int(word) for line in lines if " FLOCK " in line for word in _INODE.findall(line))


def _holder(folder: Path, inode: int, held: frozenset[int] | None) -> str | None:
    """Who works in a folder, ``None`` when nobody does; the word of another host is taken as it stands."""
    former = read_holder(folder)
    if former is not None and former.inode == inode and former.host != socket.gethostname():
        return str(former)
    if (held is None or inode in held) and _is_held(folder / RUN_LOCK):
        return str(former or "another process")
    return None


def _is_held(lock: Path) -> bool:
    """Whether the kernel's lock on a file is taken."""
    try:
        handle = os.open(lock, os.O_RDONLY | NO_OTHER_FILE)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _age(folder: Path, outputs: Sequence[Path]) -> float | None:
    """Seconds since the last output grew or a restart file was written; ``None`` before there is one."""
    times = [moved for _, moved in saved_state(folder).values()]
    with contextlib.suppress(OSError):
        times += [output.stat().st_mtime_ns for output in outputs[-1:]]
    return round(max(0.0, time.time() - max(times) / 1e9), 1) if times else None


def _read(path: Path) -> RunSummary | None:
    from qdip_struct.cp2k.outputs.output import read_run

    try:
        run = read_run(path)
    except DataError:
        return None
    with contextlib.suppress(QdipError):
        store_result(path, run)
    return run
