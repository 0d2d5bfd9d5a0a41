"""Collecting finished runs: which paths hold runs, reading them in parallel, and not reading an unchanged one again.

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
import json
import os
import re
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from qdip_struct import __version__
from qdip_struct.base.document_shapes import ANYTHING, COUNT, NUMBER, TEXT, WORD, Each, Fields, Maybe, fault, one_of
from qdip_struct.base.documents import json_document
from qdip_struct.base.errors import DataError, QdipError
from qdip_struct.base.files import json_text, read_text, sha256, write_text
from qdip_struct.cp2k.outputs.output import is_run_folder, output_files, read_run
from qdip_struct.cp2k.outputs.run import SUMMARY, Failure, Run, Status

RESULT = Fields(
    needed={
        **dict.fromkeys(SUMMARY, ANYTHING),
        "status": one_of(*get_args(Status)),
        "reason": Maybe(TEXT),
        "cp2k_version": Maybe(WORD),
        "run_type": Maybe(WORD),
        "energy_ev": Maybe(NUMBER),
        "n_atoms": Maybe(COUNT),
        "n_geo_steps": Maybe(COUNT),
        "gap_ev": Maybe(NUMBER),
        "max_force_ev_per_angstrom": Maybe(NUMBER),
        "wall_time_s": Maybe(NUMBER),
        "warnings": Each(TEXT),
    },
    known={"outputs": Each(Fields({"name": TEXT, "bytes": COUNT, "sha256": WORD}))},
)
"""Shape of a record; see :mod:`qdip_struct.base.document_shapes`."""

_SEAL = re.compile(r',\n "record_sha256": "([0-9a-f]{64})"\n}\n')
_SEAL_LENGTH = 89
"""Characters of what :data:`_SEAL` matches."""


def sealed_text(record: dict[str, Any]) -> str:
    """The JSON text of a record with ``record_sha256``, the hash of that text without it, as the last key."""
    text = json_text(record)
    return f'{text[:-3]},\n "record_sha256": "{sha256(text)}"\n}}\n'


def read_result(place: Path) -> dict[str, Any] | None:
    """The record of a run without its hash; ``None`` when there is no file or it is not as it was written."""
    record = read_sealed(place)
    return record if record is not None and fault(record, RESULT) is None else None


def read_sealed(place: Path) -> dict[str, Any] | None:
    """What :func:`sealed_text` wrote into a file, without the hash; ``None`` when it is not as it was written."""
    try:
        text = read_text(place)
    except DataError:
        return None
    seal = _SEAL.fullmatch(text, max(0, len(text) - _SEAL_LENGTH))
    if seal is None:
        return None
    whole = f"{text[: seal.start()]}\n}}\n"
    if sha256(whole) != seal.group(1):
        return None
    try:
        record = json.loads(whole)
    except (ValueError, RecursionError):
        return None
    return dict(record) if isinstance(record, dict) else None


READER = 4
"""Raised whenever the reader's answers change, so that older ``result.json`` files are read anew."""

_STAMP = ("reader", "qdip_version", "outputs")
_OURS = frozenset(("status", "reason", "energy_ev", "cp2k_version"))
_FEW_BYTES = 4_000_000
_SKIPPED_FOLDERS = frozenset({".git", "__pycache__", "node_modules"})


@dataclass(frozen=True)
class Collected:
    """What was found below a folder.

    Attributes
    ----------
    runs
        One JSON-ready record per run.
    failed, skipped
        Paths that could not be read, and files passed over while searching.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    skipped: list[Failure] = field(default_factory=list)

    @property
    def unfinished(self) -> list[dict[str, Any]]:
        """The runs whose status is not ``done``."""
        return [run for run in self.runs if run["status"] != "done"]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of ``qdip collect``."""
        return {
            "runs": self.runs,
            "failed": [{"path": str(item.path), "reason": item.reason} for item in self.failed],
            "skipped": [{"path": str(item.path), "reason": item.reason} for item in self.skipped],
        }


def find_runs(path: Path) -> list[Path]:
    """Run folders and lone ``*.out`` files at or below ``path``, sorted; a file stands for itself.

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
    for folder, names, files in os.walk(path):
        here = Path(folder)
        names[:] = sorted(name for name in names if name not in _SKIPPED_FOLDERS)
        if is_run_folder(here):
            found.append(here)
            names[:] = []
        else:
            found += [here / name for name in sorted(files) if name.endswith(".out")]
    if not found:
        raise DataError(f"{path} holds no CP2K run: expected folders with run.out, or *.out files")
    return found


def result_path(path: Path) -> Path:
    """Where the record of a run lies."""
    return path / "result.json" if path.is_dir() else path.with_name(f"{path.name}.result.json")


def _fingerprint(files: Iterable[Path]) -> list[dict[str, Any]]:
    prints = []
    for file in files:
        try:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                prints.append({"name": file.name, "bytes": stream.tell(), "sha256": digest})
        except OSError as error:
            raise DataError(f"cannot read {file}: {error.strerror or error}") from error
    return prints


def _document(place: Path) -> dict[str, Any] | None:
    """The JSON mapping in ``place``; ``None`` when there is none or it is damaged."""
    try:
        document = json_document(place)
    except DataError:
        return None
    return document if isinstance(document, dict) else None


def _labels(path: Path) -> dict[str, Any]:
    """Role and group of a run folder, as its ``run.json`` says.

    Raises
    ------
    DataError
        If there is one that is not valid JSON: what a damaged folder holds is not handed on.
    """
    place = path / "run.json"
    described = json_document(place) if path.is_dir() and place.is_file() else None
    if not isinstance(described, dict):
        return {}
    names = {key: described[key] for key in ("role", "group") if key in described}
    return {key: name for key, name in names.items() if fault(name, WORD) is None}


def quick_result(path: Path, outputs: Sequence[Path]) -> dict[str, Any] | None:
    """The ``result.json`` of a run whose outputs were not touched since; ``None`` when only reading them can tell.

    Parameters
    ----------
    path
        Run folder or output file.
    outputs
        Its output files in order.
    """
    place = result_path(path)
    document = read_result(place)
    if document is None or document.get("reader") != READER or document.get("qdip_version") != __version__:
        return None
    prints = document.get("outputs")
    try:
        if prints is None or [entry["name"] for entry in prints] != [file.name for file in outputs]:
            return None
        written = place.stat().st_mtime_ns
        for entry, file in zip(prints, outputs, strict=True):
            state = file.stat()
            if state.st_size != entry["bytes"] or max(state.st_mtime_ns, state.st_ctime_ns) >= written:
                return None
    except OSError:
        return None
    return document


def _stored(place: Path, stamp: dict[str, Any]) -> dict[str, Any] | None:
    document = read_result(place)
    if document is None or any(document.get(key) != value for key, value in stamp.items()):
        return None
    return {key: value for key, value in document.items() if key not in stamp}


def _replaceable(place: Path) -> bool:
    """Whether a result there is ours to replace: none yet, a run's, or a torn one of a run folder."""
    document = _document(place)
    if document is None:
        return not place.exists() or (place.parent / "run.json").is_file()
    return document.keys() >= _OURS


def _store(path: Path, run: Run, stamp: dict[str, Any]) -> dict[str, Any]:
    record = json.loads(json_text({**_labels(path), **run.to_dict(), "path": "."}))
    place = result_path(path)
    if _replaceable(place) and os.access(place.parent, os.W_OK):
        with contextlib.suppress(DataError):  # a full disk must not hide what was read
            write_text(place, sealed_text({**record, **stamp}), force=True)
    return {**record, "path": str(path)}


def _stamp(path: Path) -> dict[str, Any]:
    return {"reader": READER, "qdip_version": __version__, "outputs": _fingerprint(output_files(path))}


def store_result(path: Path, run: Run) -> None:
    """Write ``result.json`` beside a run that has just been read, so that it need not be read again."""
    _store(path, run, _stamp(path))


def collect_one(path: Path, *, reread: bool = False) -> dict[str, Any]:
    """The record of one run, from its ``result.json`` when the outputs have not changed, else read and stored.

    A ``result.json`` that is no run's stays as it is, and so does a folder that cannot be written.
    """
    quick = None if reread else quick_result(path, output_files(path))
    if quick is not None:
        kept = {key: value for key, value in quick.items() if key not in _STAMP}
        return {**kept, **_labels(path), "path": str(path)}
    stamp = _stamp(path)
    stored = None if reread else _stored(result_path(path), stamp)
    if stored is None:
        return _store(path, read_run(path), stamp)
    with contextlib.suppress(OSError):  # copied without its times: from now on the quick look tells
        os.utime(result_path(path))
    return {**stored, **_labels(path), "path": str(path)}


def _attempt(task: tuple[Path, bool]) -> dict[str, Any] | Failure:
    path, reread = task
    try:
        return collect_one(path, reread=reread)
    except QdipError as error:
        return Failure(path, str(error))


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
    result = Collected()
    tasks: dict[Path, bool] = {}
    for path in paths:
        try:
            for found in find_runs(path):
                tasks.setdefault(found, found == path)
        except DataError as error:
            result.failed.append(Failure(path, str(error)))
    work = [(path, reread) for path in tasks]
    workers = min(processes or _cores(), len(work))
    if workers > 1 and processes is None and _bytes(tasks) < _FEW_BYTES:
        workers = 1
    if workers <= 1:
        _sort_in(result, tasks, map(_attempt, work), progress)
    else:
        chunk = max(1, min(8, len(work) // (4 * workers)))
        with ProcessPoolExecutor(workers, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
            try:
                _sort_in(result, tasks, pool.map(_attempt, work, chunksize=chunk), progress)
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
                raise
    return result


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


def _sort_in(
    result: Collected,
    tasks: dict[Path, bool],
    answers: Iterable[dict[str, Any] | Failure],
    progress: Callable[[Iterable[Any], int], Iterable[Any]] | None,
) -> None:
    for answer in progress(answers, len(tasks)) if progress else answers:
        if isinstance(answer, dict):
            result.runs.append(answer)
        elif tasks[answer.path] or answer.path.is_dir() or "is not a CP2K output" not in answer.reason:
            result.failed.append(answer)
        else:
            result.skipped.append(answer)
