"""A campaign's folder: its file, its run folders by group, and ``campaign.json``, the index that lists them.

Everything in it refers to the rest by relative paths, so the folder may be moved, copied or unpacked elsewhere.
Writing it twice changes nothing: what is there and equal is kept, what differs is refused before anything is written.
"""

import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import msgspec

from qdip_struct.base.documents import Count, Number, Whole, Word, read_document
from qdip_struct.base.errors import DataError, NotTaken, UsageError, not_taken
from qdip_struct.base.files import json_text, provenance, read_text, sha256, write_text
from qdip_struct.campaign.engines.lock import sole_process
from qdip_struct.campaign.plan import Plan
from qdip_struct.campaign.spec import FILE
from qdip_struct.runs.run_draft import RunDraft, identity_of, write_link, write_run_folder
from qdip_struct.runs.rundir import LINK, RECORD, RunFolder, open_run_folder

INDEX = "campaign.json"
CAMPAIGN_LOCK = "campaign.lock"
_REMEDY = "submit the campaign file again to write it anew"
_NAMED = 5
_STAYING = ("same", "damaged")
_RANDOM_ENDING = 8
"""Characters that Python adds to the name of a temporary folder."""


class IndexRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the index: a run of a group, or a share of another group's run.

    Attributes
    ----------
    path
        Its folder, relative to the campaign's.
    group, role
        Its study, and the part it plays there.
    n_atoms, n_electrons
        Of its structure; valence electrons.
    core_hours
        Estimate, h.
    identity
        Runs of one identity are the same calculation.
    same_as
        Path of the run that it shares.
    relax
        Whether a pre-relaxation goes before it.
    """

    path: Word
    group: Word
    role: Word
    n_atoms: Count
    n_electrons: Whole
    core_hours: Number
    identity: Word
    same_as: Word | None
    relax: bool


class _Document(msgspec.Struct, frozen=True):
    """What of ``campaign.json`` is read again; the rest is for people."""

    name: Word
    runs: list[IndexRow]


@dataclass(frozen=True)
class Index:
    """What ``campaign.json`` lists.

    Attributes
    ----------
    root
        The campaign's folder.
    name
        Of the campaign.
    rows
        In the order of the campaign file.
    """

    root: Path
    name: str
    rows: tuple[IndexRow, ...]

    def folder(self, row: IndexRow) -> Path:
        """Where the run of a row lies; for a share, where the other group's run lies."""
        return self.root / (row.same_as or row.path)

    def run_folders(self) -> tuple[list[RunFolder], list[NotTaken]]:
        """The runs that are calculated, opened, and those that are missing or damaged, each with its reason."""
        found, damaged = [], []
        for row in self.rows:
            if row.same_as is None:
                try:
                    found.append(open_run_folder(self.root / row.path))
                except DataError as error:
                    damaged.append(not_taken(self.root / row.path, error))
        return found, damaged


@dataclass(frozen=True)
class Written:
    """What writing a campaign did.

    Attributes
    ----------
    index
        As written.
    made, kept, shared
        Runs made, runs that were there, shares made.
    left_over
        Folders that no case asks for.
    damaged
        Runs that cannot be opened; they stay as they are.
    """

    index: Index
    made: int
    kept: int
    shared: int
    left_over: tuple[str, ...]
    damaged: tuple[NotTaken, ...] = ()


def is_campaign(path: Path) -> bool:
    """Whether a path is the folder of a campaign that has been written."""
    return (path / INDEX).is_file()


def open_campaign(root: Path) -> Index:
    """Read the index of a campaign's folder.

    Raises
    ------
    DataError
        If it is missing, damaged, or points out of the folder.
    """
    place = root / INDEX
    try:
        document, _ = read_document(place, _Document)
    except DataError as error:
        raise DataError(f"{place} is damaged ({error}); {_REMEDY}") from error
    for row in document.runs:
        for path in (row.path, row.same_as or row.path):
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise DataError(f"{place} names '{path}', which is outside the campaign; {_REMEDY}")
    return Index(root, document.name, tuple(document.runs))


def exclusive_campaign(root: Path) -> AbstractContextManager[IO[bytes]]:
    """Keep a second process from writing the same campaign; see
    :func:`qdip_struct.campaign.engines.lock.sole_process`."""
    busy = f"{root} is being written by another process; wait for it and try again"
    return sole_process(root / CAMPAIGN_LOCK, named=root, busy=busy)


def write_campaign(plan: Plan, root: Path, *, force: bool = False) -> Written:
    """Write the run folders of a plan, or complete them.

    Parameters
    ----------
    plan
        With texts.
    root
        Folder of the campaign; made when missing.
    force
        Replace runs that differ, with their outputs.

    Raises
    ------
    UsageError
        If the folder holds another campaign, or runs that differ from the plan; nothing is written then.
    DataError
        If something cannot be written.
    """
    with exclusive_campaign(root):
        there = open_campaign(root) if is_campaign(root) else Index(root, plan.spec.name, ())
        if there.name != plan.spec.name and not force:
            raise UsageError(f"{root} holds the campaign '{there.name}', not '{plan.spec.name}'; choose another -o")
        if not is_campaign(root) and (root / RECORD).exists():
            raise UsageError(f"{root} is a run folder; choose another -o for the campaign")
        runs = _owned(plan, root, there)
        states = _states(runs, root, force=force)
        changed = [run.path for run, state in zip(runs, states, strict=True) if state == "differs"]
        if changed and not force:
            more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
            raise UsageError(
                f"{root}: {', '.join(changed[:_NAMED])}{more} differ from what the campaign now asks for; "
                "choose another -o, or --force to replace them with their outputs"
            )
        _clean(root, runs)
        index = Index(root, plan.spec.name, tuple(map(_row, runs)))
        write_text(root / FILE, read_text(plan.spec.source), force=True)
        write_text(root / INDEX, json_text(_document(index, plan)), force=True)
        for run, state in zip(runs, states, strict=True):
            if state not in _STAYING and run.same_as is None:
                write_run_folder(root / run.path, run, force=force)
        for run, state in zip(runs, states, strict=True):
            if state not in _STAYING and run.same_as is not None:
                place, broken = root / run.path, state == "broken"
                write_link(place, target=root / run.same_as, content=run.content, force=force or broken)
    known = {row.path for row in index.rows}
    new = [run for run, state in zip(runs, states, strict=True) if state not in _STAYING]
    return Written(
        index,
        made=sum(run.same_as is None for run in new),
        kept=len(runs) - len(new),
        shared=sum(run.same_as is not None for run in new),
        left_over=tuple(sorted(row.path for row in there.rows if row.path not in known)),
        damaged=tuple(index.run_folders()[1]),
    )


def _owned(plan: Plan, root: Path, there: Index) -> list[RunDraft]:
    """The runs of the plan, shared with what lies there: a calculation that was once begun stays where it is."""
    owners = {row.identity: row.path for row in there.rows if row.same_as is None and _holds(root / row.path)}
    for run in plan.runs:
        owners.setdefault(run.identity, run.same_as or run.path)
    return [run.calculated_at(owners[run.identity]) for run in plan.runs]


def _holds(folder: Path) -> bool:
    return (folder / RECORD).is_file()


def _states(runs: Sequence[RunDraft], root: Path, *, force: bool) -> list[str]:
    """What lies where the runs go; the shares of a damaged run are as it is, and with ``force`` all are replaced."""
    states = [_state(run, root) for run in runs]
    damaged = {run.path for run, state in zip(runs, states, strict=True) if state == "damaged"}
    states = ["damaged" if run.same_as in damaged else state for run, state in zip(runs, states, strict=True)]
    return ["differs" if force and state == "damaged" else state for state in states]


def _state(run: RunDraft, root: Path) -> str:
    """What lies where the run goes: ``missing``, ``same``, ``differs``, ``broken``, a share whose run is gone, or
    ``damaged``, a run whose ``run.json`` cannot be read.
    """
    folder = root / run.path
    if not folder.exists():
        return "missing"
    try:
        found = open_run_folder(folder)
    except DataError:
        if run.same_as is None and _holds(folder):
            return "damaged"
        return "broken" if run.same_as is not None and [item.name for item in folder.iterdir()] == [LINK] else "differs"
    same = identity_of(found.content) == run.identity and found.role == run.record.role
    return "same" if same and found.group == run.record.group else "differs"


def _clean(root: Path, runs: Sequence[RunDraft]) -> None:
    """Remove what a killed process left half-written: hidden folders beside the run folders."""
    names: dict[Path, set[str]] = {}
    for run in runs:
        names.setdefault((root / run.path).parent, set()).add(run.path.rsplit("/", 1)[-1])
    for group, known in names.items():
        for place in sorted(group.glob(".*")) if group.is_dir() else ():
            stem, _, ending = place.name[1:].rpartition(".")
            if place.is_dir() and stem in known and len(ending) == _RANDOM_ENDING:
                shutil.rmtree(place, ignore_errors=True)


def _row(run: RunDraft) -> IndexRow:
    record = run.record
    return IndexRow(
        path=run.path,
        group=run.record.group,
        role=run.record.role,
        n_atoms=record.n_atoms or 0,
        n_electrons=record.n_electrons or 0,
        core_hours=float(f"{run.cost.core_hours:.3g}"),
        identity=run.identity,
        same_as=run.same_as,
        relax=record.relax is not None,
    )


def _document(index: Index, plan: Plan) -> dict[str, Any]:
    source = {"campaign_sha256": sha256(read_text(plan.spec.source))}
    return {
        "name": index.name,
        "about": plan.spec.about,
        **provenance("submit", source),
        "runs": msgspec.to_builtins(index.rows),
    }
