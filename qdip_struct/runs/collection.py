"""Collecting finished runs and their trajectories: which paths hold runs, and not reading an unchanged one again.

Beside each run lies its ``result.json`` (``NAME.out.result.json`` for a lone ``NAME.out``). It carries the size and
SHA-256 of every output file it was read from and is believed only while they agree, and its own SHA-256, so that a
damaged one is made anew; it holds no time, so the same outputs give the same bytes. Outputs of the same size whose last
change, of content or of entry, is older than it need not be read to know that they agree.

The text of a ``result.json``: the record of a run with its own SHA-256 as the last key.

A file that was edited, cut or hit by a flipped bit does not agree with its hash and is as good as none: its run is read
anew, so that no damaged number is ever handed on.
"""

import contextlib
import hashlib
import os
import re
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from qdip_struct import __version__
from qdip_struct.base import units
from qdip_struct.base.documents import document_in, json_document
from qdip_struct.base.errors import DataError, NotTaken, QdipError, not_taken
from qdip_struct.base.files import json_text, provenance, read_text, sha256, write_text
from qdip_struct.cp2k.outputs.output import (
    WITH_REPLICAS,
    is_run_folder,
    may_be_output,
    output_files,
    printed_atoms,
    read_run,
    without_replicas,
)
from qdip_struct.cp2k.outputs.run import READER, Dynamics, OutputPrint, Run, RunResult
from qdip_struct.cp2k.outputs.trajectory import (
    SideFiles,
    element_of_kind,
    labelled,
    read_cells,
    read_dynamics,
    read_frames,
    read_printed_cells,
    side_files,
    write_extxyz,
)
from qdip_struct.cp2k.tasks import is_single_point, task_of
from qdip_struct.runs.rundir import RECORD, RESULT, STRUCTURE, labels_of, walk

if TYPE_CHECKING:
    from ase import Atoms

TRAJECTORY = "trajectory.extxyz"


def write_trajectory(folder: Path, *, force: bool = False) -> tuple[Path, int] | None:
    """Write ``trajectory.extxyz`` in a run folder and return its path and number of frames.

    ``None`` when the folder has no trajectory of its own project or no ``structure.extxyz`` to take the labels from.
    Energies are those of converged steps only; the cell follows ``PROJECT-1.cell`` where CP2K wrote one.

    Raises
    ------
    DataError, MismatchError
        If a file is damaged, or the structure is not the one the run was made from.
    UsageError
        If the trajectory exists and ``force`` is not set.
    """
    if not folder.is_dir():
        return None
    run = read_run(folder)
    files = side_files(run)
    structure = folder / STRUCTURE
    if files.positions is None or not structure.is_file():
        return None
    from qdip_struct.materials.structure_files import read_structure

    frames = labelled(
        read_frames(files.positions),
        reference=read_structure(structure),
        run=run,
        **_cells_of(run, files),
    )
    target = folder / TRAJECTORY
    source = provenance("collect --trajectories", {"positions": files.positions.name, "structure": STRUCTURE})
    return target, write_extxyz(target, frames, provenance=source, force=force)


def lost_cells(folder: Path) -> str | None:
    """The ensemble of a molecular dynamics that moves the cell and wrote no file of cells: its trajectory has the first
    one in every frame. ``None`` for other runs.
    """
    if not folder.is_dir():
        return None
    run = read_run(folder)
    if side_files(run).cells is not None:
        return None
    for path in output_files(run.path):
        with path.open(errors="replace") as stream:
            for line in stream:
                if (found := re.match(r"\s*MD(?:_PAR)?\| Ensemble [Tt]ype\s+(NP\w+)", line)) is not None:
                    return found.group(1)
    return None


def final_structure(folder: Path, run: Run) -> "Atoms | None":
    """The last whole frame of a run's trajectory with the labels of its structure; ``None`` without a trajectory.

    Raises
    ------
    DataError, MismatchError
        If a file is damaged, or the structure is not the one the run was made from.
    """
    files = side_files(run)
    structure = folder / STRUCTURE
    if files.positions is None or not structure.is_file():
        return None
    from qdip_struct.materials.structure_files import read_structure

    last = None
    for frame in read_frames(files.positions):
        last = frame
    if last is None:
        return None
    return next(labelled([last], reference=read_structure(structure), run=run, **_cells_of(run, files)))


_SAME_GEOMETRY_EV = 2e-5
"""A frame and the energy of a run belong together within so much: an optimum is calculated twice."""


def result_structure(path: Path) -> "Atoms":
    """The geometry of a run's energy with what CP2K calculated for it, as ASE keeps results.

    Energy (eV), forces (eV/Å) and stress (eV/Å³, positive under tension as in ASE, the opposite of CP2K's) stand in a
    :class:`~ase.calculators.singlepoint.SinglePointCalculator`; ``mulliken_charges``, ``hirshfeld_charges`` (e) and
    ``spin_moments`` (μB) in arrays, ``run``, ``status`` and ``run_type`` in ``info``. Positions are those of the
    trajectory, of a single point's ``structure.extxyz``, or those that the output prints.

    Raises
    ------
    DataError
        If the run has no converged energy, or no geometry that belongs to it.
    """
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    run = read_run(path)
    if run.energy_ev is None:
        raise DataError(f"{path}: no energy of a converged SCF ({run.status}: {run.reason})")
    atoms = _geometry(path, run)
    if run.cell is not None:
        atoms.cell = run.cell
    if run.pbc is not None:
        atoms.pbc = run.pbc
    clean = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    results: dict[str, Any] = {"energy": run.energy_ev}
    if run.forces is not None and len(run.forces) == len(clean):
        results["forces"] = run.forces
    if run.stress_gpa is not None:
        tensor = -run.stress_gpa / units.GPA_PER_EV_PER_ANGSTROM3
        results["stress"] = tensor[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    for name in ("mulliken_charges", "hirshfeld_charges", "spin_moments"):
        values = getattr(run, name)
        if values is not None and len(values) == len(clean):
            clean.set_array(name, values)
    clean.info = {"run": str(path), "status": run.status, "run_type": run.run_type or ""}
    clean.calc = SinglePointCalculator(clean, **results)
    return clean


def _geometry(path: Path, run: Run) -> "Atoms":
    """Where the atoms were when the run's energy was calculated; :class:`DataError` when nothing tells."""
    from ase import Atoms

    from qdip_struct.materials.structure_files import read_structure

    assert run.energy_ev is not None
    positions = side_files(run).positions
    structure = path / STRUCTURE if path.is_dir() else None
    if is_single_point(run.run_type):
        if structure is not None and structure.is_file():
            return read_structure(structure)
        printed = printed_atoms(path)
        if printed is None:
            raise DataError(f"{path} prints no coordinates (PRINT_LEVEL LOW) and has no {STRUCTURE} beside it")
        if printed.ghosts:
            raise DataError(f"{path} holds ghost atoms: no structure of real atoms has its energy")
        return Atoms(printed.symbols, positions=printed.positions)
    if positions is None:
        raise DataError(f"{path} moved its atoms, and there is no trajectory {run.project}-pos-1.xyz beside it")
    found = None
    for frame in read_frames(positions):
        if frame.printed_energy_ev is not None and abs(frame.printed_energy_ev - run.energy_ev) < _SAME_GEOMETRY_EV:
            found = frame
    if found is None:
        raise DataError(f"{positions}: no frame has the energy of the run, {run.energy_ev:.6f} eV")
    atoms = Atoms([element_of_kind(symbol) for symbol in found.symbols], positions=found.positions)
    cells = side_files(run).cells
    if run.cell is None and cells is not None and found.step in (kept := read_cells(cells)):
        atoms.set_cell(kept[found.step])
        atoms.pbc = True  # what is not printed is CP2K's default
    return atoms


def _cells_of(run: Run, files: SideFiles) -> dict[str, Any]:
    """The cells of a trajectory: of the file that CP2K wrote, and those that an output of moving cells prints.

    The file of a cell optimisation lacks the last geometry, which is calculated once more.
    """
    task = task_of(run.run_type)
    moves = task is not None and task.moves == "cell"
    return {
        "cells": None if files.cells is None else read_cells(files.cells),
        "printed_cells": read_printed_cells(output_files(run.path)) if moves else None,
    }


_SEAL = re.compile(r',\n "record_sha256": "([0-9a-f]{64})"\n}\n')
_SEAL_LENGTH = 89
"""Characters of what :data:`_SEAL` matches."""


def sealed_text(record: dict[str, Any]) -> str:
    """The JSON text of a record with ``record_sha256``, the hash of that text without it, as the last key."""
    text = json_text(record)
    return f'{text[:-3]},\n "record_sha256": "{sha256(text)}"\n}}\n'


def read_result(place: Path) -> RunResult | None:
    """The record of a run; ``None`` when there is no file or it is not as it was written."""
    whole = _unsealed(place)
    return None if whole is None else document_in(whole, RunResult)


def read_sealed(place: Path) -> dict[str, Any] | None:
    """What :func:`sealed_text` wrote into a file, without the hash; ``None`` when it is not as it was written."""
    whole = _unsealed(place)
    record = None if whole is None else document_in(whole, dict)
    return record


def _unsealed(place: Path) -> str | None:
    """The text in a file without its seal; ``None`` when it does not agree with it."""
    try:
        text = read_text(place)
    except DataError:
        return None
    seal = _SEAL.fullmatch(text, max(0, len(text) - _SEAL_LENGTH))
    if seal is None:
        return None
    whole = f"{text[: seal.start()]}\n}}\n"
    return whole if sha256(whole) == seal.group(1) else None


_OURS = frozenset(("status", "reason", "energy_ev", "cp2k_version"))
_FEW_BYTES = 4_000_000
_SKIPPED_FOLDERS = frozenset({".git", "__pycache__", "node_modules"})


@dataclass(frozen=True)
class Collected:
    """What was found below a folder.

    Attributes
    ----------
    runs
        One record per run.
    failed, skipped
        Paths that could not be read, and files passed over while searching.
    """

    runs: tuple[RunResult, ...] = ()
    failed: tuple[NotTaken, ...] = ()
    skipped: tuple[NotTaken, ...] = ()

    @property
    def unfinished(self) -> list[RunResult]:
        """The runs whose status is not ``done``."""
        return [run for run in self.runs if run.status != "done"]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of ``qdip collect``."""
        return {
            "runs": [run.to_dict() for run in self.runs],
            "failed": [{"path": str(item.path), "reason": item.reason} for item in self.failed],
            "skipped": [{"path": str(item.path), "reason": item.reason} for item in self.skipped],
        }


def find_runs(path: Path) -> list[Path]:
    """Run folders and lone outputs (``*.out``, ``output``, ``cp2k*.log``, packed too) at or below ``path``, sorted.

    A file stands for itself.

    Raises
    ------
    DataError
        If ``path`` does not exist or nothing below it looks like a run.
    """
    if not path.exists():
        raise DataError(f"cannot read {path}: no such file or folder")
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    for here, names, files in walk(path):
        names[:] = [name for name in names if name not in _SKIPPED_FOLDERS]
        if is_run_folder(here):
            found.append(here)
            names[:] = []
        else:
            found += [here / name for name in without_replicas(sorted(filter(may_be_output, files)))]
    if not found:
        raise DataError(f"{path} holds no CP2K run: expected folders with run.out, or *.out, output, cp2k*.log")
    return found


def result_path(path: Path) -> Path:
    """Where the record of a run lies."""
    return path / RESULT if path.is_dir() else path.with_name(f"{path.name}.{RESULT}")


def _prints(files: Iterable[Path]) -> list[OutputPrint]:
    prints = []
    for file in files:
        try:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                prints.append(OutputPrint(file.name, stream.tell(), digest))
        except OSError as error:
            raise DataError(f"cannot read {file}: {error.strerror or error}") from error
    return prints


def quick_result(path: Path, outputs: Sequence[Path]) -> RunResult | None:
    """The ``result.json`` of a run whose outputs were not touched since; ``None`` when only reading them can tell.

    Parameters
    ----------
    path
        Run folder or output file.
    outputs
        Its output files in order.
    """
    place = result_path(path)
    found = read_result(place)
    if found is None or found.reader != READER or found.qdip_version != __version__ or found.outputs is UNSET:
        return None
    if found.run_type in WITH_REPLICAS:  # its replicas' outputs decide too, and are not among the files
        return None
    try:
        if [entry.name for entry in found.outputs] != [file.name for file in outputs]:
            return None
        written = place.stat().st_mtime_ns
        for entry, file in zip(found.outputs, outputs, strict=True):
            state = file.stat()
            if state.st_size != entry.bytes or max(state.st_mtime_ns, state.st_ctime_ns) >= written:
                return None
    except OSError:
        return None
    return found


def _replaceable(place: Path) -> bool:
    """Whether a result there is ours to replace: none yet, a run's, or a torn one of a run folder."""
    try:
        document = json_document(place)
    except DataError:
        document = None
    if not isinstance(document, dict):
        return not place.exists() or (place.parent / RECORD).is_file()
    return document.keys() >= _OURS


def store_result(path: Path, run: Run, prints: list[OutputPrint] | None = None) -> RunResult:
    """Write ``result.json`` beside a run that has just been read, so that it need not be read again.

    Parameters
    ----------
    path, run
        Run folder or output file, and the run as read.
    prints
        Of its outputs, where they are known.
    """
    outputs = _prints(output_files(path)) if prints is None else prints
    found = run.result(
        path=".", dynamics=_dynamics(run), **labels_of(path), reader=READER, qdip_version=__version__, outputs=outputs
    )
    place = result_path(path)
    if _replaceable(place) and os.access(place.parent, os.W_OK):
        with contextlib.suppress(DataError):  # a full disk must not hide what was read
            write_text(place, sealed_text(found.to_dict()), force=True)
    return _shown(found, path)


def _dynamics(run: Run) -> Dynamics | None:
    """The averages of a run's energy file; ``None`` when there is none, or it cannot be read."""
    energies = side_files(run).energies if run.n_atoms else None
    if energies is None or not run.n_atoms or run.run_type not in ("MD", "MOLECULAR_DYNAMICS", "EHRENFEST_DYN"):
        return None
    try:
        return read_dynamics(energies, n_atoms=run.n_atoms)
    except DataError:
        return None


def _shown(found: RunResult, path: Path) -> RunResult:
    """A stored record as it is handed on: with its place, and without what it was made from."""
    return msgspec.structs.replace(found, path=str(path), reader=UNSET, qdip_version=UNSET, outputs=UNSET)


def collect_one(path: Path, *, reread: bool = False) -> RunResult:
    """The record of one run, from its ``result.json`` when the outputs have not changed, else read and stored.

    A ``result.json`` that is no run's stays as it is, and so does a folder that cannot be written.
    """
    found = None if reread else quick_result(path, output_files(path))
    if found is None:
        prints = _prints(output_files(path))
        found = None if reread else read_result(result_path(path))
        if found is not None and found.run_type in WITH_REPLICAS:
            found = None
        if found is None or (found.reader, found.qdip_version, found.outputs) != (READER, __version__, prints):
            return store_result(path, read_run(path), prints)
        with contextlib.suppress(OSError):  # copied without its times: from now on the quick look tells
            os.utime(result_path(path))
    return msgspec.structs.replace(_shown(found, path), **labels_of(path))


def _attempt(task: tuple[Path, bool]) -> RunResult | NotTaken:
    path, reread = task
    try:
        return collect_one(path, reread=reread)
    except QdipError as error:
        return not_taken(path, error)


def collect(
    paths: Sequence[Path],
    *,
    processes: int | None = None,
    reread: bool = False,
    progress: Callable[[Iterable[Any], int], Iterable[Any]] | None = None,
) -> Collected:
    """Collect every run at or below ``paths``; nothing that fails stops the rest.

    Parameters
    ----------
    paths
        Run folders, output files, or folders to search.
    processes
        How many runs to read at once; by default one per core, and one alone when there is little to read.
    reread
        Read every output even if its ``result.json`` is up to date.
    progress
        Wraps the stream of results, with their number, to show a bar.
    """
    missing: list[NotTaken] = []
    tasks: dict[Path, bool] = {}
    for path in paths:
        try:
            for run in find_runs(path):
                tasks.setdefault(run, run == path)
        except DataError as error:
            missing.append(not_taken(path, error))
    work = [(path, reread) for path in tasks]
    workers = min(processes or _cores(), len(work))
    if workers > 1 and processes is None and _bytes(tasks) < _FEW_BYTES:
        workers = 1
    if workers <= 1:
        found = _sorted(tasks, map(_attempt, work), progress)
    else:
        chunk = max(1, min(8, len(work) // (4 * workers)))
        with ProcessPoolExecutor(workers, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
            try:
                found = _sorted(tasks, pool.map(_attempt, work, chunksize=chunk), progress)
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
                raise
    return replace(found, failed=(*missing, *found.failed))


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bytes(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        try:
            total += sum(file.stat().st_size for file in output_files(path))
        except (DataError, OSError):
            continue
    return total


def _sorted(
    tasks: dict[Path, bool],
    answers: Iterable[RunResult | NotTaken],
    progress: Callable[[Iterable[Any], int], Iterable[Any]] | None,
) -> Collected:
    runs: list[RunResult] = []
    failed: list[NotTaken] = []
    skipped: list[NotTaken] = []
    for answer in progress(answers, len(tasks)) if progress else answers:
        if isinstance(answer, RunResult):
            runs.append(answer)
        elif tasks[answer.path] or not _foreign(answer):
            failed.append(answer)
        else:
            skipped.append(answer)
    return Collected(tuple(runs), tuple(failed), tuple(skipped))


_SCHEDULER_LOG = re.compile(r"(?:slurm|job|pbs|lsf|sge)[-_.].*\.out")


def _foreign(answer: NotTaken) -> bool:
    """Whether what a search found, and cannot be read, is no run at all: another program's text, or an empty log."""
    if answer.path.is_dir():
        return False
    if "is not a CP2K output" in answer.reason:
        return True
    return "is empty" in answer.reason and _SCHEDULER_LOG.fullmatch(answer.path.name) is not None
