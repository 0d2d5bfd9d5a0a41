"""One run's folder: ``run.json``, ``structure.extxyz``, ``run.inp``, ``run.out`` (``run.out.2``, ...), ``result.json``.

``run.json`` says what the run is for; the outputs say what happened.

Groups share runs that are identical: the folder of the later group then holds ``same_as.json`` alone, which says what
``run.json`` would and where, relative to itself, the run lies.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qdip_struct.base.document_shapes import COUNT, NUMBER, POSITIVE, WORD, Each, Entries, Fields, Maybe, refuse_unlike
from qdip_struct.base.documents import json_document
from qdip_struct.base.errors import DataError
from qdip_struct.base.files import read_text, sha256
from qdip_struct.builders.atoms.store import FACTS
from qdip_struct.cp2k.outputs.run import Failure

RECORD = "run.json"
LINK = "same_as.json"
INPUT = "run.inp"
STRUCTURE = "structure.extxyz"
OUTPUT = "run.out"
RESULT = "result.json"
RELAXED = "relaxed.extxyz"
_SETTINGS = Fields(known={"kpoints": Maybe(Each(COUNT, 3)), "cutoff_rydberg": Maybe(POSITIVE)})
_RECORD = Fields(
    needed={
        "role": WORD,
        "group": WORD,
        "structure_sha256": WORD,
        "settings": _SETTINGS,
        "qdip_version": WORD,
    },
    known={
        "input_sha256": WORD,
        "n_atoms": COUNT,
        "composition": Entries(COUNT),
        "cell_angstrom": Each(Each(NUMBER, 3), 3),
        "n_electrons": COUNT,
        "pdos_regions": Maybe(Each(WORD)),
        "structure": Maybe(FACTS),
        "origin": Maybe(WORD),
        "parameters": Maybe(Fields(known={"preset": Maybe(WORD), "task": Maybe(WORD)})),
        "vary": Fields(needed={"name": WORD, "value": NUMBER}),
        "relax": Maybe(Fields(known={"model": WORD, "fmax": POSITIVE, "rattle": NUMBER, "max_steps": COUNT})),
    },
)


@dataclass(frozen=True)
class RunFolder:
    """A run folder that exists: where its files are and what it is for.

    Attributes
    ----------
    path
        The folder with input and outputs.
    record
        What its ``run.json`` says; for a run shared with another group, what ``same_as.json`` says.
    link
        The folder of ``same_as.json``, for a run that another group owns.
    """

    path: Path
    record: dict[str, Any]
    link: Path | None = None

    @property
    def role(self) -> str:
        """The part the run plays in its group."""
        return str(self.record["role"])

    @property
    def group(self) -> str:
        """The name shared by runs whose energies belong together."""
        return str(self.record["group"])

    @property
    def place(self) -> Path:
        """Where the run stands in its group: the folder itself, or the one that points to it."""
        return self.link or self.path

    @property
    def n_segments(self) -> int:
        """How many segments have been started: ``run.out`` is the first, ``run.out.2`` the second, ..."""
        count = int((self.path / OUTPUT).exists())
        while count and segment_name(self.path / OUTPUT, count + 1).exists():
            count += 1
        return count


def segment_name(path: Path, number: int) -> Path:
    """``run.out`` for the first segment, ``run.out.2`` for the second; the same for ``run.inp``."""
    return path if number == 1 else path.with_name(f"{path.name}.{number}")


def open_run_folder(path: Path) -> RunFolder:
    """Open a run folder; one that holds ``same_as.json`` opens the run that it points to, under its own role and group.

    Raises
    ------
    DataError
        If it is no folder, or its ``run.json`` is missing, damaged or lacks a key, or it points to no run or a
        damaged one.
    """
    if not path.is_dir():
        raise DataError(f"{path} is not a folder")
    place = path / RECORD
    if not place.is_file() and (path / LINK).is_file():
        return _linked(path)
    if not place.is_file():
        raise DataError(f"{path} is no run folder: it has no {RECORD}; make one with 'qdip inputs'")
    return RunFolder(path, _record(place))


def _record(place: Path) -> dict[str, Any]:
    record = json_document(place)
    refuse_unlike(record, _RECORD, path=place, remedy="make the folder again with 'qdip inputs --force'")
    return dict(record)


def _linked(path: Path) -> RunFolder:
    record = _record(path / LINK)
    target = record.get("same_as")
    if not isinstance(target, str) or Path(target).is_absolute():
        raise DataError(f"{path / LINK}: same_as is '{target}'; expected a relative path to a run folder")
    run = Path(os.path.normpath(path / target))
    if not (run / RECORD).is_file():
        raise DataError(f"{path / LINK} points to {run}, which is no run folder; submit the campaign again")
    _record(run / RECORD)
    return RunFolder(run, record, link=path)


def find_run_folders(paths: Sequence[Path]) -> list[RunFolder]:
    """Run folders at or below the given paths, each once, sorted by path; a shared run once for each of its groups.

    Raises
    ------
    DataError
        If a path does not exist, no run folder is found at all, or one cannot be opened.
    """
    found, damaged = survey_run_folders(paths)
    if damaged:
        raise DataError(damaged[0].reason)
    return found


def survey_run_folders(paths: Sequence[Path]) -> tuple[list[RunFolder], list[Failure]]:
    """Run folders as :func:`find_run_folders` has them, and those that cannot be opened, each with its reason.

    Raises
    ------
    DataError
        If a path does not exist, no run folder is found at all, or none of those found can be opened.
    """
    found: dict[Path, RunFolder] = {}
    damaged: dict[Path, Failure] = {}
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist")
        for folder in _below(path):
            place = folder.resolve()
            if place in found or place in damaged:
                continue
            try:
                found[place] = open_run_folder(folder)
            except DataError as error:
                damaged[place] = Failure(folder, str(error))
    failures = [damaged[place] for place in sorted(damaged)]
    if not found:
        if failures:
            raise DataError(failures[0].reason)
        raise DataError(f"no run folder (a folder with {RECORD}) in {', '.join(map(str, paths))}")
    return [found[place] for place in sorted(found)], failures


def _below(path: Path) -> Iterator[Path]:
    """Run folders at or below ``path``; what a run folder holds, and hidden folders (half-written ones), are passed."""
    for folder, names, files in os.walk(path):
        if RECORD in files or LINK in files:
            names[:] = []
            yield Path(folder)
        else:
            names[:] = sorted(name for name in names if not name.startswith("."))


def needs_relaxation(folder: RunFolder) -> bool:
    """Whether a pre-relaxation was asked for and ``run.inp`` still holds the structure as built."""
    if not folder.record.get("relax"):
        return False
    return sha256(read_text(folder.path / INPUT)) == folder.record["input_sha256"]


def distinct(folders: Iterable[RunFolder]) -> list[RunFolder]:
    """Each run once, in the order given, under the group that owns it where that is among them."""
    found: dict[Path, RunFolder] = {}
    for folder in folders:
        key = folder.path.resolve()
        if key not in found or (found[key].link is not None and folder.link is None):
            found[key] = folder
    return list(found.values())
