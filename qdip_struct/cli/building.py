"""What the ``build`` commands share beside their requests: formats, provenance, writing sets of cells, first lines.

Lengths in Å.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import EXIT_DONE, UsageError
from qdip_struct.cli.console import at_kelvin, emit, note, warn_of

if TYPE_CHECKING:
    from ase import Atoms

_BODIES = ("film", "substrate", "material", "dot", "matrix", "slab")
"""Options that may name a structure file."""
_CUT_IN_PLACE = ("build slab", "build interface")
"""Commands that keep the cell of a file and give it its symmetry exactly."""
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


def folder_of(out: Path | None, *, holds: str) -> Path:
    """The folder into which a command writes several cells, of which ``holds`` is one.

    Raises
    ------
    UsageError
        If none is given, or the name is that of a structure file.
    """
    from qdip_struct.builders.atoms.store import SUFFIX

    if out is None:
        raise UsageError("say where to write: -o DIR")
    if out.suffix.lower() in SUFFIX.values() and not out.is_dir():
        raise UsageError(
            f"-o {out} is the name of a file, and several cells are written: give a folder, -o {out.with_suffix('')}, "
            f"which will hold {holds} and the others (--format says in which format)"
        )
    return out


def parameters_of(args: argparse.Namespace) -> dict[str, Any]:
    """Every option that decides the result, for the provenance."""
    return {key: value for key, value in sorted(vars(args).items()) if key not in _COMMON}


def origin_of(args: argparse.Namespace, *, command: str) -> dict[str, Any]:
    """Provenance of the files of a command: its options, and of every structure file it read the hash and what is to
    be said of it, which is printed.
    """
    from qdip_struct.base.files import provenance, sha256
    from qdip_struct.materials.structure_files import file_notes

    given = parameters_of(args)
    bodies = {key: Path(given[key]) for key in _BODIES if given.get(key) is not None and Path(given[key]).is_file()}
    symprec = args.symprec if command in _CUT_IN_PLACE else None
    notes = [sentence for path in bodies.values() for sentence in file_notes(path, symprec=symprec)]
    for sentence in dict.fromkeys(notes):
        note(f"note: {sentence}")
    files = {**bodies, **{f"crystals {path}": Path(path) for path in given.get("crystals", ())}}
    hashes = {key: sha256(path.read_bytes()) for key, path in sorted(files.items()) if path.is_file()}
    told = {"input_sha256": hashes, "file_notes": list(dict.fromkeys(notes))}
    return provenance(command, given, seed=args.seed, **{key: value for key, value in told.items() if value})


def write_cells(
    folder: Path, cells: Mapping[str, "Atoms"], *, reports: Mapping[str, Mapping[str, Any]], origin: Mapping[str, Any],
    format: str, force: bool,
) -> dict[str, str]:  # fmt: skip
    """Write every cell with its sidecar, none if one of the files exists with other content; the paths by role."""
    from qdip_struct.builders.atoms.store import SUFFIX, planned_files, write_planned

    paths = {role: folder / f"{role}{SUFFIX[format]}" for role in cells}
    planned: dict[Path, str] = {}
    for role, atoms in cells.items():
        planned |= planned_files(
            paths[role],
            atoms,
            provenance=origin,
            report=reports[role],
            force=force,
            format=format,  # type: ignore[arg-type]
        )
    write_planned(planned)
    return {role: str(path) for role, path in paths.items()}


def write_one(
    args: argparse.Namespace, atoms: "Atoms", report: Mapping[str, Any], *, command: str, default: str,
    summary: Callable[[Path, Mapping[str, Any]], str],
) -> int:  # fmt: skip
    """Write the one structure of a command with its sidecar, and print what it is."""
    from qdip_struct.builders.atoms.store import write_structure

    path = args.out or Path(default)
    origin = origin_of(args, command=command)
    write_structure(path, atoms, provenance=origin, report=report, force=args.force, format=args.format)
    warn_of(report["lattice_warnings"])
    emit({"file": str(path), **report}, as_json=args.json, text=summary(path, report))
    return EXIT_DONE


def lattice_line(content: Mapping[str, Any]) -> str:
    """Lattice constants (Å) of a report's parts, each with its temperature (K) and source, as a line of text.

    Of a part that is not cubic the edges of its cell, of a supercell of the parent cube also the (pseudo-)cubic one.
    """
    from qdip_struct.materials.crystals import edges_text

    temperature = content.get("temperature_kelvin") or {}
    edges, angles = content.get("lattice_edges_angstrom") or {}, content.get("lattice_angles_degree") or {}
    parts = []
    for part, value in content["lattice_angstrom"].items():
        if value is not None:
            text = edges_text(edges[part], angles[part]) if part in edges else f"{value:.4f}"
            if text != f"{value:.4f}" and "×" not in text:
                text += f" (pseudo-cubic {value:.4f})"
            parts.append(f"{part} {text}{at_kelvin(temperature.get(part))} ({content['lattice_source'][part]})")
    return "lattice constant / Å: " + ", ".join(parts or ["those of the structure given"])


def strain_lines(content: Mapping[str, Any]) -> list[str]:
    """The strain that dot and shell start with, as a line of text; none where nothing is strained."""
    strains = content.get("initial_strain") or {}
    if not any(value is None or abs(value) > 1e-9 for value in strains.values()):
        return []
    own = content["own_lattice_angstrom"]
    parts = [
        f"{part} unknown, no lattice constant of its own is known" if value is None
        else f"{part} {100 * value:+.2f} % (its own lattice constant: {own[part]:.4f} Å)"
        for part, value in strains.items()
    ]  # fmt: skip
    return ["mean engineering strain as built: " + ", ".join(parts)]


def note_findings(report: Mapping[str, Any], *, whose: str) -> None:
    """Print what a builder found wrong with a slab, one line each on stderr."""
    for finding in report.get("findings", ()):
        note(f"{finding['level']}: {whose}: {finding['message']}; {finding['remedy']}")


def cell_row(role: str, report: Mapping[str, Any], path: str) -> list[Any]:
    """A line of the table of written cells."""
    nearest = report["min_distance_angstrom"]
    from qdip_struct.materials.ions import written_formula

    return [
        role,
        report["n_atoms"],
        written_formula(report["composition"]),
        report["formal_charge"]["total"],
        None if nearest is None else f"{nearest:.3f}",
        path,
    ]


def counted(composition: Mapping[str, int]) -> str:
    """Elements with their counts in the usual order: ``Cs8 Pb32 S14 Br33``."""
    from qdip_struct.materials.ions import in_formula_order

    return " ".join(f"{name}{composition[name]}" for name in in_formula_order(composition))


def structure_lines(path: Path, content: Mapping[str, Any]) -> list[str]:
    """Atoms, charges (e), electrons and regions of a dot in or on a matrix, as lines of text."""
    electrons = content["electrons"]
    return [
        f"{path}: {content['n_atoms']} atoms, " + counted(content["composition"]),
        "formal charge / e: " + ", ".join(f"{name} {value:+d}" for name, value in content["formal_charge"].items()),
        f"valence electrons: {electrons} ({'even' if electrons % 2 == 0 else 'odd'})",
        "regions: " + ", ".join(f"{name} {count}" for name, count in content["regions"].items()),
    ]
