"""One run's folder: ``run.json``, ``structure.extxyz``, ``run.inp``, ``run.out`` (``run.out.2``, ...), ``result.json``.

``run.json`` says what the run is for; the outputs say what happened. A folder is complete or absent: it is built
beside its final place and renamed.
"""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from qdip_struct.errors import DataError, UsageError
from qdip_struct.files import json_text, read_text, sha256, write_text

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.cp2k.deck import Deck

Role = Literal[
    "film",
    "substrate",
    "interface",
    "sandwich",
    "film_bulk",
    "substrate_bulk",
    "film_bulk_free",
    "substrate_bulk_free",
    "substrate_other",
    "film_other",
    "film_ghost",
    "substrate_ghost",
    "reservoir",
    "dot",
    "embedded",
    "single",
]
ROLES: tuple[str, ...] = get_args(Role)

RECORD = "run.json"
INPUT = "run.inp"
STRUCTURE = "structure.extxyz"
OUTPUT = "run.out"
RESULT = "result.json"
_REQUIRED = ("role", "group", "structure_sha256", "settings", "qdip_version")


@dataclass(frozen=True)
class RunFolder:
    """A run folder that exists: where it is and what its ``run.json`` says."""

    path: Path
    record: dict[str, Any]

    @property
    def role(self) -> str:
        """The part the run plays in its group."""
        return str(self.record["role"])

    @property
    def group(self) -> str:
        """The name shared by runs whose energies belong together."""
        return str(self.record["group"])

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


def create_run_folder(
    path: Path,
    *,
    atoms: "Atoms",
    deck: "Deck",
    role: str,
    group: str,
    provenance: dict[str, Any],
    structure_report: dict[str, Any] | None = None,
    force: bool = False,
) -> RunFolder:
    """Write a run folder in one step.

    Parameters
    ----------
    path
        The folder to make. With ``force`` an existing one is replaced as a whole, outputs and all.
    atoms, deck
        Structure and finished input.
    role, group
        See ``ROLES``; runs of one group belong together.
    provenance
        From :func:`qdip_struct.files.provenance`.
    structure_report
        What the builder said about the structure.

    Raises
    ------
    UsageError
        If the folder exists and ``force`` is not set, or the role is unknown.
    DataError
        If the folder cannot be written.
    """
    from qdip_struct.build.store import structure_text

    if role not in ROLES:
        raise UsageError(f"unknown role '{role}'; known: {', '.join(ROLES)}")
    if path.exists() and not force:
        raise UsageError(f"{path} exists; give another name or --force to replace it with its outputs")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
            folder = Path(temporary) / path.name
            folder.mkdir()
            write_text(folder / STRUCTURE, structure_text(atoms, format="extxyz"))
            record = {
                "role": role,
                "group": group,
                "structure_sha256": sha256(read_text(folder / STRUCTURE)),
                "input_sha256": sha256(deck.text),
                "n_atoms": len(atoms),
                "composition": _composition(atoms),
                "cell_angstrom": atoms.cell[:],
                "n_electrons": deck.n_electrons,
                "settings": deck.settings,
                "pdos_regions": deck.pdos_regions,
                "decisions": [vars(decision) for decision in deck.decisions],
                "structure": structure_report or {},
                **provenance,
            }
            write_text(folder / INPUT, deck.text)
            write_text(folder / RECORD, json_text(record))
            if path.exists():
                shutil.rmtree(path)
            folder.rename(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    return open_run_folder(path)


def _composition(atoms: "Atoms") -> dict[str, int]:
    """Atoms per element; ghosts are no atoms."""
    ghosts = atoms.arrays.get("ghost", [False] * len(atoms))
    symbols = [symbol for symbol, ghost in zip(atoms.get_chemical_symbols(), ghosts, strict=True) if not ghost]
    return {symbol: symbols.count(symbol) for symbol in sorted(set(symbols))}


def open_run_folder(path: Path) -> RunFolder:
    """Open a run folder.

    Raises
    ------
    DataError
        If it is no folder, or its ``run.json`` is missing, damaged or lacks a key.
    """
    if not path.is_dir():
        raise DataError(f"{path} is not a folder")
    place = path / RECORD
    if not place.is_file():
        raise DataError(f"{path} is no run folder: it has no {RECORD}; make one with 'qdip inputs'")
    try:
        record = json.loads(read_text(place))
    except ValueError as error:
        raise DataError(f"{place} is not valid JSON: {error}") from error
    missing = [key for key in _REQUIRED if not isinstance(record, dict) or key not in record]
    if missing:
        raise DataError(f"{place} lacks {', '.join(missing)}; make the folder again with 'qdip inputs --force'")
    return RunFolder(path, record)


def find_run_folders(paths: list[Path]) -> list[RunFolder]:
    """Run folders at or below the given paths, each once, sorted by path.

    Raises
    ------
    DataError
        If a path does not exist or no run folder is found at all.
    """
    found: dict[Path, RunFolder] = {}
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist")
        for place in [path / RECORD] if (path / RECORD).is_file() else sorted(path.rglob(RECORD)):
            found[place.parent.resolve()] = open_run_folder(place.parent)
    if not found:
        raise DataError(f"no run folder (a folder with {RECORD}) in {', '.join(map(str, paths))}")
    return [found[key] for key in sorted(found)]
