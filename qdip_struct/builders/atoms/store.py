"""Structures on disk: extxyz (keeps every per-atom array), CIF, POSCAR, plain xyz, CP2K coordinates; and the sidecar.

Every written structure has a sidecar ``<stem>.json`` with its report, its hash and where it came from. Same structure,
same bytes: no time stamps, fixed number formats.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.base.documents import Count, Name, Number, Whole, Word, read_document
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import json_text, sha256, write_text


class PriorRelaxation(msgspec.Struct, frozen=True):
    """How a structure was relaxed before.

    Attributes
    ----------
    model, fmax_ev_per_angstrom
        The potential, and its criterion, eV/Å.
    """

    model: Word | None = None
    fmax_ev_per_angstrom: Number | None = None


class StructureRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a builder says about a structure, as far as others read it: in a sidecar, or in ``run.json``.

    A sidecar may hold more, and none of these keys is needed: structures of other origin have no builder.

    Attributes
    ----------
    role, group
        The part the structure plays, and the name of those that belong together.
    film, substrate
        Crystals of an interface.
    film_plane, substrate_plane
        Miller indices.
    film_layers, substrate_layers
        Monolayers.
    film_termination, termination
        Of film and substrate.
    registry, registry_fraction
        Name or lateral shift of the film, and the shift in fractions of the cell.
    gap_angstrom
        Between the slabs, Å.
    reservoir
        Crystal with which the substrate exchanges atoms.
    strain_film, strain_substrate
        Along both lateral axes.
    formal_charge
        By region, e.
    changes
        What was removed or swapped for neutrality.
    volume_fraction
        Of the dot.
    min_distance_angstrom
        Shortest distance of two atoms, Å.
    n_atoms
        Of the structure.
    relaxation
        Of a structure that ``qdip relax`` wrote.
    """

    role: Word | None = None
    group: Word | None = None
    film: Word | None = None
    substrate: Word | None = None
    film_plane: list[Number] | None = None
    substrate_plane: list[Number] | None = None
    film_layers: Number | None = None
    substrate_layers: Number | None = None
    film_termination: Name | None = None
    termination: Name | None = None
    registry: Name | None = None
    registry_fraction: list[Number] | None = None
    gap_angstrom: Number | None = None
    reservoir: Word | None = None
    strain_film: tuple[Number, Number] | None = None
    strain_substrate: tuple[Number, Number] | None = None
    formal_charge: dict[Word, Whole] | None = None
    changes: list[dict[str, Any]] | None = None
    volume_fraction: Number | None = None
    min_distance_angstrom: Number | None = None
    n_atoms: Count | None = None
    relaxation: PriorRelaxation | None = None


class BuilderRecords(Mapping[str, Mapping[str, Any]]):
    """What a builder says of each cell of one build, by role, each made when it is first asked for: a look at many
    builds needs none of them. ``makers`` make one each, from structures that must not change before.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Mapping[str, Any]]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, Mapping[str, Any]] = {}

    def __getitem__(self, role: str) -> Mapping[str, Any]:
        if role not in self._made:
            self._made[role] = self._makers[role]()
        return self._made[role]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


Format = Literal["extxyz", "cif", "vasp", "xyz", "cp2k"]
STRUCTURE_FORMATS: tuple[str, ...] = get_args(Format)
SUFFIX: dict[str, str] = {"extxyz": ".extxyz", "cif": ".cif", "vasp": ".vasp", "xyz": ".xyz", "cp2k": ".inc"}
"""File name ending of each format."""

_ARRAYS = ("region", "phase", "formal_charge", "molecule", "dot")


def format_of(path: Path) -> Format:
    """Format of a file by its name: POSCAR and CONTCAR are ``vasp``; :class:`UsageError` lists the known endings."""
    if path.name.upper().startswith(("POSCAR", "CONTCAR")):
        return "vasp"
    for name, suffix in SUFFIX.items():
        if path.suffix.lower() in (suffix, ".poscar" if name == "vasp" else suffix):
            return name  # type: ignore[return-value]
    raise UsageError(f"{path}: unknown structure format; known endings: {', '.join(SUFFIX.values())}")


def write_structure(
    path: Path,
    atoms: Atoms,
    *,
    provenance: Mapping[str, Any],
    report: Mapping[str, Any],
    force: bool = False,
    format: Format | None = None,
) -> Path:
    """Write a structure and its sidecar ``<stem>.json``, see :func:`planned_files`.

    Parameters
    ----------
    path
        File to write.
    atoms
        Structure; lengths in Å.
    provenance
        From :func:`qdip_struct.base.files.provenance`.
    report
        From :func:`qdip_struct.builders.atoms.regions.report`.
    force
        Replace existing files of other content.
    format
        Default: by the file's ending.

    Raises
    ------
    UsageError
        If the format is unknown or one of the two files exists with other content and ``force`` is not set.
    DataError
        If a coordinate is not a finite number or the file cannot be written.
    """
    planned = planned_files(path, atoms, provenance=provenance, report=report, force=force, format=format)
    write_planned(planned)
    return path


def planned_files(
    path: Path,
    atoms: Atoms,
    *,
    provenance: Mapping[str, Any],
    report: Mapping[str, Any],
    force: bool = False,
    format: Format | None = None,
) -> dict[Path, str]:
    """What :func:`write_structure` writes: the content of the structure file and of its sidecar.

    The sidecar holds the entries of ``report`` at its top level, then ``structure`` (file name), ``structure_sha256``
    and ``provenance``. One structure in several formats has one sidecar: those written later are in ``other_formats``
    (SHA-256 by file name).

    Raises
    ------
    UsageError
        If the format is unknown or one of the two files exists with other content and ``force`` is not set.
    DataError
        If a coordinate is not a finite number.
    """
    chosen = format or format_of(path)
    text, sidecar = structure_text(atoms, format=chosen), sidecar_of(path)
    named = {"structure": path.name, "structure_sha256": sha256(text)}
    document = json.loads(json_text({**report, **named, "provenance": dict(provenance)}))
    old = _sidecar_content(sidecar)
    known = chosen if old is None or old["structure"] == path.name else format_of(Path(old["structure"]))
    if (
        old is not None
        and sha256(structure_text(atoms, format=known)) == old.get("structure_sha256")
        and _apart_from_format(old) == _apart_from_format(document)
    ):
        others = {**old.get("other_formats", {}), path.name: named["structure_sha256"]}
        others.pop(old["structure"], None)
        first = {name: old[name] for name in named} if old["structure"] != path.name else named
        document = {**old, **first, **({"other_formats": dict(sorted(others.items()))} if others else {})}
    elif sidecar.exists() and not force:
        raise UsageError(f"{sidecar} exists and is about another structure; give another name or --force to replace it")
    if (
        path.exists()
        and not force
        and (not path.is_file() or path.read_bytes() != text.encode(errors="backslashreplace"))
    ):
        raise UsageError(f"{path} exists with other content; give another name or --force to replace it")
    return {path: text, sidecar: json_text(document)}


def write_planned(planned: Mapping[Path, str]) -> None:
    """Write what :func:`planned_files` has looked at."""
    for path, text in planned.items():
        write_text(path, text, force=True)


def _sidecar_content(sidecar: Path) -> dict[str, Any] | None:
    """What a sidecar holds, ``None`` where there is none or it is another kind of file."""
    try:
        content = json.loads(sidecar.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("structure"), str) else None


def _apart_from_format(document: Mapping[str, Any]) -> dict[str, Any]:
    """A sidecar without what differs between the formats of one structure."""
    kept = {k: v for k, v in document.items() if k not in ("structure", "structure_sha256", "other_formats")}
    origin = kept.get("provenance")
    if isinstance(origin, dict) and isinstance(origin.get("parameters"), dict):
        parameters = {key: value for key, value in origin["parameters"].items() if key != "format"}
        kept["provenance"] = {**origin, "parameters": parameters}
    return kept


def sidecar_of(path: Path) -> Path:
    """Path of the sidecar of a structure file."""
    return path.with_suffix(".json") if path.suffix else path.with_name(path.name + ".json")


def structure_text(atoms: Atoms, *, format: Format) -> str:
    """The file content of a structure in one of :data:`STRUCTURE_FORMATS`; CIF, POSCAR and xyz lose the per-atom
    arrays.

    Raises
    ------
    UsageError
        If the format is unknown.
    DataError
        If a coordinate is not a finite number.
    """
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise DataError("a coordinate or a cell vector is not a finite number; nothing was written")
    if format == "extxyz":
        return _extxyz(atoms)
    if format == "xyz":
        rows = [f"{s:<2} {_numbers(p)}" for s, p in zip(atoms.get_chemical_symbols(), atoms.positions, strict=True)]
        return "\n".join([str(len(atoms)), f'Lattice="{_lattice(atoms)}"', *rows]) + "\n"
    if format == "cp2k":
        cell = [f"  {name} {_numbers(row)}" for name, row in zip("ABC", atoms.cell.array, strict=True)]
        symbols = atoms.get_chemical_symbols()
        rows = [f"  {s:<2} {_numbers(p)}" for s, p in zip(symbols, atoms.positions, strict=True)]
        return "\n".join(["&CELL", *cell, "&END CELL", "&COORD", *rows, "&END COORD"]) + "\n"
    if format not in STRUCTURE_FORMATS:
        raise UsageError(f"unknown structure format '{format}'; known: {', '.join(STRUCTURE_FORMATS)}")
    from ase.io import write

    bare = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if format == "vasp":
        stream = io.StringIO()
        write(stream, bare, format="vasp", direct=True, sort=True)
        return stream.getvalue()
    binary = io.BytesIO()
    write(binary, bare, format="cif")
    return binary.getvalue().decode()


def _numbers(row: Any) -> str:
    return " ".join(f"{round(float(x), 10) + 0.0:17.10f}" for x in row)


def _lattice(atoms: Atoms) -> str:
    return " ".join(f"{round(float(x), 10) + 0.0:.10f}" for x in atoms.cell.array.ravel())


def _extxyz(atoms: Atoms) -> str:
    """Extended xyz with ten decimals; text arrays with a blank or an empty entry are refused by other readers."""
    names = [name for name in (*_ARRAYS, *sorted(set(atoms.arrays) - {*_ARRAYS})) if atoms.has(name)]
    names = [name for name in names if name not in ("numbers", "positions")]
    header = ["species:S:1", "pos:R:3"]
    columns = [_column(np.array(atoms.get_chemical_symbols(), dtype=str), least=2), _column(atoms.positions)]
    for name in names:
        array = atoms.arrays[name]
        letter = {"i": "I", "u": "I", "b": "L", "f": "R"}.get(array.dtype.kind, "S")
        header.append(f"{name}:{letter}:{int(np.prod(array.shape[1:], dtype=int))}")
        columns.append(_column(array))
    pbc = " ".join("T" if x else "F" for x in atoms.pbc)
    info = "".join(
        f" {key}={_info(value)}" for key, value in atoms.info.items() if isinstance(value, (str, int, float))
    )
    head = [str(len(atoms)), f'Lattice="{_lattice(atoms)}" Properties={":".join(header)}{info} pbc="{pbc}"']
    return "\n".join([*head, *(" ".join(row).rstrip() for row in zip(*columns, strict=True))]) + "\n"


def _column(array: NDArray[Any], *, least: int = 0) -> list[str]:
    """One text per atom of an array (n,) or (n, k), padded to one width: ten decimals, whole numbers, T or F, words."""
    flat = array.reshape(len(array), int(np.prod(array.shape[1:], dtype=int)))
    kind = array.dtype.kind
    if kind == "f":
        form = " ".join(["%17.10f"] * flat.shape[1])
        return [form % tuple(row) for row in (np.round(flat, 10) + 0.0).tolist()]
    if kind == "b":
        return [" ".join("T" if x else "F" for x in row) for row in flat.tolist()]
    rows: list[Any] = flat[:, 0].tolist() if flat.shape[1] == 1 else list(map(tuple, flat.tolist()))
    texts = {
        row: " ".join(str(x).replace(" ", "_") or "-" for x in (row if isinstance(row, tuple) else (row,)))
        for row in set(rows)
    }
    wide = max(least, *map(len, texts.values())) if texts else least
    pad = str.rjust if kind in "iu" else str.ljust
    padded = {row: pad(text, wide) for row, text in texts.items()}
    return [padded[row] for row in rows]


def _info(value: str | int | float) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


def read_sidecar(path: Path) -> tuple[StructureRecord, dict[str, Any]]:
    """What the sidecar of a structure file says, and all that it holds; nothing when there is none.

    Raises
    ------
    DataError
        If the file beside the structure is no sidecar.
    """
    sidecar = sidecar_of(path)
    if not sidecar.exists():
        return StructureRecord(), {}
    return read_document(sidecar, StructureRecord, remedy="build the structure again, or remove this file")
