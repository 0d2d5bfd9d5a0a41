"""What a study folder holds: run folders, misfit screens, results of other commands, and the question it asks.

Documents of other commands that were edited or damaged are passed over with the reason.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from qdip_struct.analysis.diffraction.diffraction import DiffractionDocument
from qdip_struct.analysis.electrons.dipole import DifferenceDocument
from qdip_struct.analysis.electrons.run_levels import LevelDocument
from qdip_struct.analysis.energies.study import energies_of
from qdip_struct.analysis.strain.strain_summary import StrainDocument
from qdip_struct.base.documents import ResultDocument, document_or_fault, json_document
from qdip_struct.base.errors import DataError, NotTaken, UsageError, not_taken
from qdip_struct.campaign.convergence import ConvergenceDocument
from qdip_struct.campaign.spec import FILE, question_of
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.matching.screening import ScreenDocument
from qdip_struct.report.memory import Memory
from qdip_struct.runs.rundir import OUTPUT, RECORD, RESULT, STRUCTURE, RunFolder, open_run_folder, segment_name, walk

DOCUMENTS: tuple[type[ResultDocument], ...] = (
    StrainDocument,
    LevelDocument,
    DifferenceDocument,
    DiffractionDocument,
    ConvergenceDocument,
)
"""Results of other commands that a page shows."""

SHIPPED = "shipped"
"""Value of ``origin`` in ``run.json`` of runs that came with the package and were not run by the user."""

_LARGEST_BYTES = 60_000_000

D = TypeVar("D", bound=ResultDocument)


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
class Result(Generic[D]):
    """A JSON document that another command wrote.

    Attributes
    ----------
    path
        Where it lies.
    said
        What a page shows of it.
    content
        All that it holds: figures are drawn from it.
    """

    path: Path
    said: D
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
    results: tuple[Result[Any], ...] = ()
    labelled: tuple[Path, ...] = ()
    question: str | None = None
    skipped: tuple[NotTaken, ...] = ()

    def name(self, path: Path | str) -> str:
        """A path as seen from the study folder."""
        try:
            return str(Path(path).resolve().relative_to(self.path.resolve()))
        except ValueError:
            return str(path)

    def of(self, kind: type[D]) -> tuple[Result[D], ...]:
        """Documents of one command."""
        return tuple(result for result in self.results if isinstance(result.said, kind))


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
    results: list[Result[Any]] = []
    labelled: list[Path] = []
    skipped: list[NotTaken] = []
    for here, names, files in walk(path):
        names[:] = [name for name in names if not name.startswith((".", "__"))]
        if RECORD in files:
            try:
                folders.append(open_run_folder(here))
            except DataError as error:
                skipped.append(not_taken(here, error))
        for file in files:
            if file.startswith("screen") and file.endswith(".json"):
                pairs, faulty = _screens(here / file)
                screens += pairs
                skipped += faulty
            elif file.endswith(".json") and file not in (RECORD, RESULT):
                found = _result(here / file)
                if isinstance(found, NotTaken):
                    skipped.append(found)
                elif found is not None:
                    results.append(found)
            elif file.endswith(".extxyz") and file != STRUCTURE and _has_strain(here / file):
                labelled.append(here / file)
    if not folders and not screens and not results and not labelled:
        if skipped:
            reasons = "; ".join(item.reason for item in skipped)
            raise DataError(f"{path} holds nothing to report that could be read: {reasons}")
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
        tuple(results),
        tuple(labelled),
        question or _question(path / FILE),
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


def _screens(file: Path) -> tuple[list[dict[str, Any]], list[NotTaken]]:
    """The pairs of dot and matrix in a file of ``qdip screen``, and what in it is none."""
    try:
        document = json_document(file)
    except DataError as error:
        return [], [not_taken(file, error)]
    found: list[dict[str, Any]] = []
    faulty: list[NotTaken] = []
    pairs = document.get("pairs", [document]) if isinstance(document, dict) else [document]
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        said = document_or_fault(pair, ScreenDocument)
        if isinstance(said, str):
            faulty.append(not_taken(file, f"{file} is no document of 'qdip screen': {said}"))
        else:
            found.append(pair)
    return found, faulty


def _result(file: Path) -> Result[Any] | NotTaken | None:
    """The document in a file when it is one of those a page shows."""
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            return None
        content = json_document(file)
    except OSError as error:
        return not_taken(file, f"cannot read {file}: {error.strerror or error}")
    except DataError as error:
        return not_taken(file, error)
    kinds = [kind for kind in DOCUMENTS if isinstance(content, dict) and content.keys() >= kind.KNOWN_BY]
    if not kinds:
        return None
    said = document_or_fault(content, kinds[0])
    if isinstance(said, str):
        return not_taken(file, f"{file} is no document of 'qdip {kinds[0].COMMAND}': {said}")
    return Result(file, said, content)


def _has_strain(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            stream.readline()
            return "strain_mean:R:1" in stream.readline()
    except OSError:
        return False


def _question(file: Path) -> str | None:
    """The question that a campaign file asks."""
    try:
        return (question_of(file) or None) if file.is_file() else None
    except (DataError, UsageError):
        return None


def _state(folder: RunFolder) -> RunState:
    if not folder.n_segments:
        return RunState(folder, None, "not started")
    try:
        run = read_run(folder.path)
    except DataError as error:
        return RunState(folder, None, str(error))
    return RunState(folder, run, run.reason)
