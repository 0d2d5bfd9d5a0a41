"""One run's folder: ``run.json``, ``structure.extxyz``, ``run.inp``, ``run.out`` (``run.out.2``, ...), ``result.json``.

``run.json`` says what the run is for; the outputs say what happened.

Groups share runs that are identical: the folder of the later group then holds ``same_as.json`` alone, which says what
``run.json`` would and where, relative to itself, the run lies.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from qdip_struct.base.documents import Count, Number, Positive, Text, Vector, Word, fault, json_document, read_document
from qdip_struct.base.errors import DataError, NotTaken, not_taken
from qdip_struct.base.files import read_text, sha256
from qdip_struct.builders.atoms.store import StructureRecord

RECORD = "run.json"
LINK = "same_as.json"
INPUT = "run.inp"
STRUCTURE = "structure.extxyz"
OUTPUT = "run.out"
RESULT = "result.json"
RELAXED = "relaxed.extxyz"
_REMEDY = "make the folder again with 'qdip inputs --force'"


class RunSettings(msgspec.Struct, frozen=True):
    """What a run was asked to be calculated with, as far as others read it from ``run.json``.

    Attributes
    ----------
    kpoints
        Monkhorst-Pack mesh, ``None`` for Γ.
    cutoff_rydberg
        Plane-wave cutoff, Ry.
    """

    kpoints: tuple[Count, Count, Count] | None = None
    cutoff_rydberg: Positive | None = None


class RunParameters(msgspec.Struct, frozen=True):
    """Options of the command that wrote a run.

    Attributes
    ----------
    preset, task
        Of the input.
    """

    preset: Word | None = None
    task: Word | None = None


class VariedSetting(msgspec.Struct, frozen=True):
    """What a run of a convergence study differs in.

    Attributes
    ----------
    name, value
        Of the setting.
    """

    name: Word
    value: Number


class PreRelaxation(msgspec.Struct, frozen=True):
    """What goes before CP2K; the fields are those of :class:`qdip_struct.mlip.relax_request.RelaxRequest`.

    Attributes
    ----------
    model, fmax, rattle, max_steps
        The potential, the largest force at the end (eV/Å), random displacements (Å), steps.
    """

    model: Word = ""
    fmax: Positive | UnsetType = UNSET
    rattle: Number | UnsetType = UNSET
    max_steps: Count | UnsetType = UNSET


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What ``run.json`` says of a run, as far as others read it; the file holds more, see :attr:`RunFolder.content`.

    Attributes
    ----------
    role, group
        The part the run plays, and the name shared by runs whose energies belong together.
    structure_sha256, input_sha256, shifted_sha256
        Of structure and input as written, and of the input without a shift of all its atoms.
    settings
        What decides comparability.
    qdip_version
        Of the package that wrote it.
    n_atoms, composition, cell_angstrom, n_electrons
        Of the structure; ghosts count as atoms, and are not in the composition.
    pdos_regions
        Regions of CP2K's PDOS lists in their order.
    structure
        What the builder said.
    origin
        ``shipped`` for runs that came with the package.
    parameters
        Of the command that wrote it.
    vary
        What it differs in from the others of a convergence study.
    relax
        The pre-relaxation asked for.
    """

    role: Word
    group: Word
    structure_sha256: Word
    settings: RunSettings
    qdip_version: Word
    input_sha256: Word | UnsetType = UNSET
    shifted_sha256: Word | UnsetType = UNSET
    n_atoms: Count | UnsetType = UNSET
    composition: dict[Word, Count] | UnsetType = UNSET
    cell_angstrom: tuple[Vector, Vector, Vector] | UnsetType = UNSET
    n_electrons: Count | UnsetType = UNSET
    pdos_regions: list[Word] | None = None
    structure: StructureRecord | None = None
    origin: Word | None = None
    parameters: RunParameters | None = None
    vary: VariedSetting | UnsetType = UNSET
    relax: PreRelaxation | None = None


class SharedRunRecord(RunRecord, frozen=True, kw_only=True):
    """What ``same_as.json`` says: what ``run.json`` would, and where the run lies.

    Attributes
    ----------
    same_as
        The run's folder, relative to this one.
    """

    same_as: Text


@dataclass(frozen=True)
class RunFolder:
    """A run folder that exists: where its files are and what it is for.

    Attributes
    ----------
    path
        The folder with input and outputs.
    record
        What its ``run.json`` says; for a run shared with another group, what ``same_as.json`` says.
    content
        All that the file holds: decisions, provenance and the builder's whole report are in it alone.
    link
        The folder of ``same_as.json``, for a run that another group owns.
    """

    path: Path
    record: RunRecord
    content: Mapping[str, Any]
    link: Path | None = None

    @property
    def role(self) -> str:
        """The part the run plays in its group."""
        return self.record.role

    @property
    def group(self) -> str:
        """The name shared by runs whose energies belong together."""
        return self.record.group

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
    record, content = read_document(place, RunRecord, remedy=_REMEDY)
    return RunFolder(path, record, content)


def labels_of(path: Path) -> dict[str, str]:
    """Role and group of a run folder as far as its ``run.json`` tells them; the rest of it may be damaged.

    Raises
    ------
    DataError
        If there is one that is not valid JSON: what a damaged folder holds is not handed on.
    """
    place = path / RECORD
    content = json_document(place) if path.is_dir() and place.is_file() else None
    if not isinstance(content, dict):
        return {}
    return {key: content[key] for key in ("role", "group") if key in content and fault(content[key], Word) is None}


def _linked(path: Path) -> RunFolder:
    place = path / LINK
    record, content = read_document(place, SharedRunRecord, remedy=_REMEDY)
    if Path(record.same_as).is_absolute():
        raise DataError(f"{place}: same_as is '{record.same_as}'; expected a relative path to a run folder")
    run = Path(os.path.normpath(path / record.same_as))
    if not (run / RECORD).is_file():
        raise DataError(f"{place} points to {run}, which is no run folder; submit the campaign again")
    read_document(run / RECORD, RunRecord, remedy=_REMEDY)
    return RunFolder(run, record, content, link=path)


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


def survey_run_folders(paths: Sequence[Path]) -> tuple[list[RunFolder], list[NotTaken]]:
    """Run folders as :func:`find_run_folders` has them, and those that cannot be opened, each with its reason.

    Raises
    ------
    DataError
        If a path does not exist, no run folder is found at all, or none of those found can be opened.
    """
    found: dict[Path, RunFolder] = {}
    damaged: dict[Path, NotTaken] = {}
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
                damaged[place] = not_taken(folder, error)
    failures = [damaged[place] for place in sorted(damaged)]
    if not found:
        if failures:
            raise DataError(failures[0].reason)
        raise DataError(f"no run folder (a folder with {RECORD}) in {', '.join(map(str, paths))}")
    return [found[place] for place in sorted(found)], failures


def _below(path: Path) -> Iterator[Path]:
    """Run folders at or below ``path``; what a run folder holds, and hidden folders (half-written ones), are passed."""
    for folder, names, files in walk(path):
        if RECORD in files or LINK in files:
            names[:] = []
            yield folder
        else:
            names[:] = [name for name in names if not name.startswith(".")]


def walk(path: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Folders at or below ``path`` with the names in them, sorted, as :func:`os.walk` tells them.

    Links to folders are followed, and a folder that several lead to comes once.
    """
    seen: set[str] = set()
    for folder, names, files in os.walk(path, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            names[:] = []
            continue
        seen.add(place)
        names.sort()
        yield Path(folder), names, sorted(files)


def needs_relaxation(folder: RunFolder) -> bool:
    """Whether a pre-relaxation was asked for and ``run.inp`` still holds the structure as built."""
    if folder.record.relax is None:
        return False
    return sha256(read_text(folder.path / INPUT)) == folder.record.input_sha256


def distinct(folders: Iterable[RunFolder]) -> list[RunFolder]:
    """Each run once, in the order given, under the group that owns it where that is among them."""
    found: dict[Path, RunFolder] = {}
    for folder in folders:
        key = folder.path.resolve()
        if key not in found or (found[key].link is not None and folder.link is None):
            found[key] = folder
    return list(found.values())
