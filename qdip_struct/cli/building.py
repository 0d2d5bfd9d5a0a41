"""What the ``build`` commands for planar systems share: common options, provenance, writing sets of cells."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import UsageError
from qdip_struct.cli.cell_options import add_a_site, add_dataset, add_orientation, add_seed, add_vacuum

if TYPE_CHECKING:
    from ase import Atoms

_COMMON = ("json", "out", "force", "config", "debug")


def add_planar_options(parser: argparse.ArgumentParser) -> None:
    """Declare what every command about layers asks: lateral repeat, vacuum, how sites are filled, the file format."""
    add = parser.add_argument
    add_dataset(parser)
    add("--repeat", default="1,1", metavar="N,M", help="lateral repeat of the smallest lateral cell (1,1)")
    add_vacuum(parser)
    add_a_site(parser)
    add_orientation(parser)
    add("--arrangement", default="sqs", help="of alloys: sqs (special quasi-random) or random (sqs)")
    add_seed(parser)
    add("--layer-tolerance", type=float, default=0.5, metavar="A", help="sites this close are one monolayer, Å (0.5)")
    add("--format", default="extxyz", help="extxyz, cif, vasp, xyz or cp2k (extxyz)")


def check_format(name: str) -> None:
    """Raise :class:`UsageError` for an unknown structure format."""
    from qdip_struct.builders.atoms.store import FORMATS

    if name not in FORMATS:
        raise UsageError(f"--format is '{name}'; known: {', '.join(FORMATS)}")


def origin_of(args: argparse.Namespace, *, command: str) -> dict[str, Any]:
    """Provenance of the files of a command: its options, and the hash of every structure file it read."""
    from qdip_struct.base.files import provenance, sha256

    given = {key: value for key, value in sorted(vars(args).items()) if key not in _COMMON}
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
