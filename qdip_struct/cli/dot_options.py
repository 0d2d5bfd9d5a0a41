"""What commands about dots share: options of shape, size and shell, and the first lines they print. Lengths in Å."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qdip_struct.cli.cell_options import add_a_site, add_dataset, add_seed


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
