"""What a study folder holds: run folders, misfit screens, results of other commands, and the question it asks."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qdip_struct.analysis.energies.study import energies_of
from qdip_struct.base.document_shapes import fault
from qdip_struct.base.documents import json_document, yaml_document
from qdip_struct.base.errors import DataError
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.report.memory import Memory
from qdip_struct.report.shown_documents import SCREEN, Kind, fault_of, kind_of
from qdip_struct.runs.rundir import OUTPUT, RECORD, RESULT, STRUCTURE, RunFolder, open_run_folder, segment_name

SHIPPED = "shipped"
"""Value of ``origin`` in ``run.json`` of runs that came with the package and were not run by the user."""

_LARGEST_BYTES = 60_000_000
_CAMPAIGN = "campaign.yaml"
_COMMANDS: dict[Kind, str] = {"convergence": "converge"}


@dataclass(frozen=True, eq=False)
class RunState:
    """A run folder as read.

    Attributes
    ----------
    folder
        Where.
    run
        ``None`` without a readable output.
    reason
        Why there is none.
    """

    folder: RunFolder
    run: Run | None
    reason: str

    @property
    def status(self) -> str:
        """The run's status, ``prepared`` when it has an input and no output, or ``unreadable``."""
        if self.run is not None:
            return self.run.status
        return "unreadable" if self.folder.n_segments else "prepared"


@dataclass(frozen=True, eq=False)
class Result:
    """A JSON document that another command wrote.

    Attributes
    ----------
    path, content
        Where it lies, and what it says.
    """

    path: Path
    content: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Study:
    """What a study folder holds.

    Attributes
    ----------
    path
        The folder.
    screens
        Documents of ``qdip screen``.
    runs
        Every run folder.
    energies
        The document of ``qdip energies``.
    results
        Documents of other commands.
    labelled
        Structures with a strain map.
    question
        What the study asks.
    skipped
        What could not be read, with the reason.
    """

    path: Path
    screens: tuple[dict[str, Any], ...]
    runs: tuple[RunState, ...]
    energies: dict[str, Any]
    results: dict[Kind, tuple[Result, ...]] = field(default_factory=dict)
    labelled: tuple[Path, ...] = ()
    question: str | None = None
    skipped: tuple[str, ...] = ()

    def name(self, path: Path | str) -> str:
        """A path as seen from the study folder."""
        try:
            return str(Path(path).resolve().relative_to(self.path.resolve()))
        except ValueError:
            return str(path)

    def of(self, kind: Kind) -> tuple[Result, ...]:
        """Documents of one command."""
        return self.results.get(kind, ())


def read_study(path: Path, *, question: str | None = None, memory: Memory | None = None) -> Study:
    """Collect runs, screens, results and energies below a folder.

    Parameters
    ----------
    path
        Study folder, or one run folder.
    question
        What the study asks; default the key ``question`` of a ``campaign.yaml`` in the folder.
    memory
        Where the energies of unchanged runs are kept; default nowhere.

    Raises
    ------
    DataError
        If the folder does not exist or holds nothing that a page could show.
    """
    if not path.is_dir():
        raise DataError(f"{path} is not a folder")
    folders: list[RunFolder] = []
    screens: list[dict[str, Any]] = []
    results: dict[Kind, list[Result]] = {}
    labelled: list[Path] = []
    skipped: list[str] = []
    for place, names, files in os.walk(path):
        here = Path(place)
        names[:] = sorted(name for name in names if not name.startswith((".", "__")))
        if RECORD in files:
            try:
                folders.append(open_run_folder(here))
            except DataError as error:
                skipped.append(str(error))
        for file in sorted(files):
            if file.startswith("screen") and file.endswith(".json"):
                screens += _screens(here / file, skipped)
            elif file.endswith(".json") and file not in (RECORD, RESULT):
                found = _result(here / file, skipped)
                if found is not None:
                    results.setdefault(found[0], []).append(found[1])
            elif file.endswith(".extxyz") and file != STRUCTURE and _has_strain(here / file):
                labelled.append(here / file)
    if not folders and not screens and not results and not labelled:
        if skipped:
            raise DataError(f"{path} holds nothing to report that could be read: {'; '.join(skipped)}")
        raise DataError(
            f"{path} holds nothing to report: no run folder (run.json), no screen*.json, no result of another command"
        )
    runs = tuple(_state(folder) for folder in sorted(folders, key=lambda folder: str(folder.path)))
    started = [state.folder for state in runs if state.status != "prepared"]
    return Study(
        path,
        tuple(screens),
        runs,
        _energies(started, memory or Memory(None)),
        {kind: tuple(items) for kind, items in results.items()},
        tuple(labelled),
        question or _question(path / _CAMPAIGN),
        tuple(skipped),
    )


def _energies(folders: list[RunFolder], memory: Memory) -> dict[str, Any]:
    files = [
        folder.path / name
        for folder in folders
        for name in (RECORD, STRUCTURE, *(segment_name(Path(OUTPUT), n + 1).name for n in range(folder.n_segments)))
    ]
    return memory.document(
        "energies",
        files=[file for file in files if file.is_file()],
        parameters=[str(folder.path) for folder in folders],
        make=lambda: energies_of(folders),
    )


def _screens(file: Path, skipped: list[str]) -> list[dict[str, Any]]:
    """The pairs of dot and matrix in a file of ``qdip screen``."""
    try:
        document = json_document(file)
    except DataError as error:
        skipped.append(str(error))
        return []
    found: list[dict[str, Any]] = []
    pairs = document.get("pairs", [document]) if isinstance(document, dict) else [document]
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        wrong = fault(pair, SCREEN)
        if wrong is None:
            found.append(pair)
        else:
            skipped.append(f"{file} is no document of 'qdip screen': {wrong}")
    return found


def _result(file: Path, skipped: list[str]) -> tuple[Kind, Result] | None:
    """The document in a file when it is one of those a page shows."""
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            return None
        content = json_document(file)
    except OSError as error:
        skipped.append(f"cannot read {file}: {error.strerror or error}")
        return None
    except DataError as error:
        skipped.append(str(error))
        return None
    kind = kind_of(content) if isinstance(content, dict) else None
    if kind is None:
        return None
    wrong = fault_of(content, kind)
    if wrong is not None:
        skipped.append(f"{file} is no document of 'qdip {_COMMANDS.get(kind, kind)}': {wrong}")
        return None
    return kind, Result(file, content)


def _has_strain(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            stream.readline()
            return "strain_mean:R:1" in stream.readline()
    except OSError:
        return False


def _question(file: Path) -> str | None:
    """The question that a campaign file asks."""
    if not file.is_file():
        return None
    try:
        content = yaml_document(file)
    except DataError:
        return None
    found = content.get("question") if isinstance(content, dict) else None
    return " ".join(found.split()) if isinstance(found, str) else None


def _state(folder: RunFolder) -> RunState:
    if not folder.n_segments:
        return RunState(folder, None, "not started")
    try:
        run = read_run(folder.path)
    except DataError as error:
        return RunState(folder, None, str(error))
    return RunState(folder, run, run.reason)
