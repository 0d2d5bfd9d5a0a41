"""What the ``build`` commands share: options, the request made from them, provenance, writing sets of cells.

Options that mean the same to all commands that build stand here once: data set, A site, molecules, seed, vacuum; shape,
size and shell of a dot. The fields of a request are options of its command, name by name. Lengths in Å.
"""

import argparse
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.datasets import DEFAULT_DATASET

if TYPE_CHECKING:
    from ase import Atoms


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Declare ``--dataset``."""
    told = f"data set of the lattice constants ({DEFAULT_DATASET}; see 'qdip materials')"
    parser.add_argument("--dataset", metavar="NAME", help=told)


def add_a_site(parser: argparse.ArgumentParser) -> None:
    """Declare ``--a-site``."""
    told = "molecule, or one ion such as Cs in the place of MA and FA (molecule)"
    parser.add_argument("--a-site", default="molecule", metavar="ION", help=told)


def add_orientation(parser: argparse.ArgumentParser) -> None:
    """Declare ``--orientation``."""
    told = "of molecules: antiparallel, parallel, random (antiparallel)"
    parser.add_argument("--orientation", default="antiparallel", help=told)


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Declare ``--seed``."""
    told = "decides what symmetry leaves open: alloys, random orientations, which of equal sites change (0)"
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help=told)


def add_vacuum(parser: argparse.ArgumentParser, *, where: str = "along z", length: float = 20.0) -> None:
    """Declare ``--vacuum``: an empty ``length`` (Å) by default, and where it lies."""
    told = f"empty length {where}, Å ({length:g})"
    parser.add_argument("--vacuum", type=float, default=length, metavar="A", help=told)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"the seed is '{text}'; expected 0 or a larger whole number")
    return int(text)


T = TypeVar("T")


def request_of(args: argparse.Namespace, request: type[T]) -> T:
    """The request that the options of a command describe; repeated options become tuples."""
    kind: Any = request
    values = {item.name: getattr(args, item.name) for item in fields(kind)}
    return request(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


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
    from qdip_struct.builders.atoms.store import STRUCTURE_FORMATS

    if name not in STRUCTURE_FORMATS:
        raise UsageError(f"--format is '{name}'; known: {', '.join(STRUCTURE_FORMATS)}")


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


def add_dot_options(parser: argparse.ArgumentParser) -> None:
    """Declare shape, size, centre, termination and shell."""
    group = parser.add_argument_group("shape and size of the dot")
    group.add_argument(
        "--shape",
        default="sphere",
        help="sphere (default), ellipsoid, cube, cuboid, octahedron, dodecahedron, truncated-octahedron, wulff",
    )
    group.add_argument(
        "--diameter",
        type=float,
        metavar="A",
        help="Å: diameter of a sphere, edge of a cube, else of the sphere of equal volume (default 30)",
    )
    group.add_argument("--edges", metavar="X,Y,Z", help="full widths of a cuboid or ellipsoid, Å")
    group.add_argument(
        "--atoms", type=int, metavar="N", help="size by number of ions instead, as near as the shape allows"
    )
    group.add_argument(
        "--energies", metavar="HKL=E,...", help="surface energies for wulff, any one unit: 100=16,111=20"
    )
    group.add_argument(
        "--facets", metavar="HKL=D,...", help="facets and their distances from the centre in Å: 100=12,111=14"
    )
    group.add_argument(
        "--center",
        default="auto",
        choices=("auto", "metal", "anion", "a-site", "bond", "void"),
        help="what lies in the centre; auto (default): metal or A site, whichever comes nearer to the volume asked for",
    )
    group.add_argument(
        "--termination",
        choices=("BX2", "AX", "cells", "site"),
        help="who takes border sites of the lattice shared with the matrix (default BX2 for rock salt in perovskite)",
    )
    group.add_argument("--shell", metavar="NAME", help="shell: CdS, Cd0.5Zn0.5S, or CdZnS graded from Cd to Zn")
    group.add_argument("--shell-thickness", type=float, default=10.0, metavar="A", help="Å (default 10)")


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """Declare data set, seed and format."""
    add_dataset(parser)
    add_seed(parser)
    parser.add_argument(
        "--format", choices=("extxyz", "cif", "vasp", "xyz", "cp2k"), help="default: by the file's ending"
    )


def add_matrix_options(parser: argparse.ArgumentParser, *, cells: str, what: str) -> None:
    """Declare the matrix's cells, lattice constant and A site."""
    parser.add_argument("--cells", default=cells, metavar="N,N,N", help=f"{what} (default {cells})")
    parser.add_argument("--lattice", type=float, metavar="A", help="(pseudo-)cubic lattice constant of the matrix, Å")
    add_a_site(parser)


def parameters_of(args: argparse.Namespace) -> dict[str, object]:
    """Every option that decides the result, for the provenance."""
    skip = ("out", "force", "json", "config", "debug")
    return {key: value for key, value in sorted(vars(args).items()) if key not in skip}


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
