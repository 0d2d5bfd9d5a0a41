"""What the ``build`` commands share beside their requests: formats, provenance, writing sets of cells, first lines.

Lengths in Å.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import EXIT_DONE, UsageError
from qdip_struct.cli.console import at_kelvin, emit, warn_of

if TYPE_CHECKING:
    from ase import Atoms

_COMMON = ("json", "out", "force", "config", "debug")


def add_format(parser: argparse.ArgumentParser) -> None:
    """Declare ``--format`` of commands that write into a folder."""
    parser.add_argument("--format", default="extxyz", help="extxyz, cif, vasp, xyz or cp2k (default: extxyz)")


def add_format_of_ending(parser: argparse.ArgumentParser) -> None:
    """Declare ``--format`` of commands that write one file."""
    known = ("extxyz", "cif", "vasp", "xyz", "cp2k")
    parser.add_argument("--format", choices=known, help="of the file (default: by its ending)")


def check_format(name: str) -> None:
    """Raise :class:`UsageError` for an unknown structure format."""
    from qdip_struct.builders.atoms.store import STRUCTURE_FORMATS

    if name not in STRUCTURE_FORMATS:
        raise UsageError(f"--format is '{name}'; known: {', '.join(STRUCTURE_FORMATS)}")


def parameters_of(args: argparse.Namespace) -> dict[str, Any]:
    """Every option that decides the result, for the provenance."""
    return {key: value for key, value in sorted(vars(args).items()) if key not in _COMMON}


def origin_of(args: argparse.Namespace, *, command: str) -> dict[str, Any]:
    """Provenance of the files of a command: its options, and the hash of every structure file it read."""
    from qdip_struct.base.files import provenance, sha256

    given = parameters_of(args)
    hashes = {
        key: sha256(Path(value).read_bytes())
        for key, value in given.items()
        if isinstance(value, str) and key in ("film", "substrate", "material") and Path(value).is_file()
    }
    return provenance(command, given, seed=args.seed, **({"input_sha256": hashes} if hashes else {}))


def write_cells(
    folder: Path, cells: Mapping[str, "Atoms"], *, reports: Mapping[str, Mapping[str, Any]], origin: Mapping[str, Any],
    format: str, force: bool,
) -> dict[str, str]:  # fmt: skip
    """Write every cell with its sidecar, none if one of the files exists; the paths by role."""
    from qdip_struct.base.files import refuse_existing
    from qdip_struct.builders.atoms.store import SUFFIX, sidecar_of, write_structure

    paths = {role: folder / f"{role}{SUFFIX[format]}" for role in cells}
    for path in paths.values():
        refuse_existing(path, force=force)
        refuse_existing(sidecar_of(path), force=force)
    for role, atoms in cells.items():
        write_structure(paths[role], atoms, provenance=origin, report=reports[role], force=force, format=format)  # type: ignore[arg-type]
    return {role: str(path) for role, path in paths.items()}


def write_one(
    args: argparse.Namespace, atoms: "Atoms", report: Mapping[str, Any], *, command: str, default: str,
    summary: Callable[[Path, Mapping[str, Any]], str],
) -> int:  # fmt: skip
    """Write the one structure of a command with its sidecar, and print what it is."""
    from qdip_struct.base.files import provenance
    from qdip_struct.builders.atoms.store import write_structure

    path = args.out or Path(default)
    origin = provenance(command, parameters_of(args), seed=args.seed)
    write_structure(path, atoms, provenance=origin, report=report, force=args.force, format=args.format)
    warn_of(report["lattice_warnings"])
    emit({"file": str(path), **report}, as_json=args.json, text=summary(path, report))
    return EXIT_DONE


def lattice_line(content: Mapping[str, Any]) -> str:
    """Lattice constants (Å) of a report's parts, each with its temperature (K) and source, as a line of text."""
    temperature = content.get("temperature_kelvin") or {}
    parts = []
    for part, value in content["lattice_angstrom"].items():
        if value is not None:
            parts.append(f"{part} {value:.4f}{at_kelvin(temperature.get(part))} ({content['lattice_source'][part]})")
    return "lattice constant / Å: " + ", ".join(parts or ["those of the structure given"])


def cell_row(role: str, report: Mapping[str, Any], path: str) -> list[Any]:
    """A line of the table of written cells."""
    nearest = report["min_distance_angstrom"]
    composition = "".join(f"{name}{count if count > 1 else ''}" for name, count in report["composition"].items())
    return [
        role,
        report["n_atoms"],
        composition,
        report["formal_charge"]["total"],
        None if nearest is None else f"{nearest:.3f}",
        path,
    ]


def structure_lines(path: Path, content: Mapping[str, Any]) -> list[str]:
    """Atoms, charges (e), electrons and regions of a dot in or on a matrix, as lines of text."""
    electrons = content["electrons"]
    return [
        f"{path}: {content['n_atoms']} atoms, "
        + " ".join(f"{name}{count}" for name, count in content["composition"].items()),
        "formal charge / e: " + ", ".join(f"{name} {value:+d}" for name, value in content["formal_charge"].items()),
        f"valence electrons: {electrons} ({'even' if electrons % 2 == 0 else 'odd'})",
        "regions: " + ", ".join(f"{name} {count}" for name, count in content["regions"].items()),
    ]
