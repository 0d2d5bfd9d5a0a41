"""Options that commands about dots share: shape, size, shell. Lengths in Å."""

import argparse
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from qdip_struct.errors import UsageError

if TYPE_CHECKING:
    from qdip_struct.build.embedding_options import DotForm
    from qdip_struct.build.material import Material
    from qdip_struct.build.parent import Termination
    from qdip_struct.build.shapes import Shape
    from qdip_struct.build.shell import Shell


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
    parser.add_argument("--dataset", metavar="NAME", help="data set of the lattice constants (see 'qdip materials')")
    parser.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="decides what symmetry leaves open (default 0)"
    )
    parser.add_argument(
        "--format", choices=("extxyz", "cif", "vasp", "xyz", "cp2k"), help="default: by the file's ending"
    )


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"the seed is '{text}'; expected 0 or a larger whole number")
    return int(text)


def numbers(text: str, *, what: str, count: int | None = None) -> tuple[float, ...]:
    """Finite numbers separated by commas, else :class:`UsageError`."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(map(math.isfinite, values)) or (count is not None and len(values) != count):
        several = "finite numbers" if count is None else f"{count} finite numbers"
        wanted = "one finite number" if count == 1 else f"{several} separated by commas"
        raise UsageError(f"{what} is '{text}'; expected {wanted}")
    return values


def whole_numbers(text: str, *, what: str) -> tuple[int, ...]:
    """Whole numbers separated by commas, else :class:`UsageError`."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{what} is '{text}'; expected whole numbers separated by commas, for example 8,8,8") from None


def shape_of(args: argparse.Namespace) -> "Shape":
    """The shape that the options describe; an option that the shape does not use is refused."""
    from qdip_struct.build.shapes import make_shape

    energies = _by_plane(args.energies, what="surface energy")
    distances = _by_plane(args.facets, what="distance of the facet")
    name = "facets" if distances is not None else args.shape
    uses = {"edges": ("cuboid", "ellipsoid"), "energies": ("wulff",), "facets": ("facets",)}
    for option, shapes in uses.items():
        if getattr(args, option) is not None and name not in shapes:
            raise UsageError(f"--{option} belongs to {' or '.join(shapes)}, not to a {name}")
    if args.diameter is not None and name in ("cuboid", "ellipsoid", "facets"):
        raise UsageError(
            f"a {name} has its size from --{'facets' if name == 'facets' else 'edges'}; leave --diameter out"
        )
    if args.atoms is not None and args.diameter is not None:
        raise UsageError("give --diameter or --atoms, not both")
    edges = None if args.edges is None else numbers(args.edges, what="--edges", count=3)
    diameter = 30.0 if args.diameter is None else args.diameter
    return make_shape(name, diameter=diameter, edges=edges, energies=energies, distances=distances)


def form_of(args: argparse.Namespace, *, core: "Material", termination: "Termination") -> "DotForm":
    """The form that the options describe, scaled to the number of ions of ``core`` where one is asked for.

    ``termination`` is the border rule by which ions are counted when the options name none.
    """
    from qdip_struct.build.dot import scale_for

    form = bare_form_of(args)
    if args.atoms is None:
        return form
    counted = replace(form, termination=form.termination or termination)
    factor = scale_for(core, form=counted, n_atoms=args.atoms)
    return replace(form, shape=form.body.scaled(factor))


def bare_form_of(args: argparse.Namespace) -> "DotForm":
    """The form that the options describe, at the size they give."""
    from qdip_struct.build.embedding_options import DotForm

    return DotForm(shape_of(args), center=args.center, termination=args.termination, shell=shell_of(args))


def add_matrix_options(parser: argparse.ArgumentParser, *, cells: str, what: str) -> None:
    """Declare the matrix's cells, lattice constant and A site."""
    parser.add_argument("--cells", default=cells, metavar="N,N,N", help=f"{what} (default {cells})")
    parser.add_argument("--lattice", type=float, metavar="A", help="(pseudo-)cubic lattice constant of the matrix, Å")
    parser.add_argument("--a-site", default="molecule", metavar="ION", help="'molecule', or one ion for MA and FA: Cs")


def refuse_given(args: argparse.Namespace, defaults: Mapping[str, object], *, where: str) -> None:
    """Refuse options that differ from their defaults and that ``where`` does not use."""
    for name, default in defaults.items():
        if getattr(args, name) != default:
            raise UsageError(f"--{name.replace('_', '-')} is not used {where}; leave it out")


def _by_plane(text: str | None, *, what: str) -> dict[tuple[int, int, int], float] | None:
    """Numbers by Miller indices: ``100=16,111=20``."""
    from qdip_struct.build.orientation import parse_indices

    if text is None:
        return None
    found = {}
    for part in text.split(","):
        plane, _, number = part.partition("=")
        found[parse_indices(plane)] = numbers(number, what=f"the {what} of {plane}", count=1)[0]
    return found


def shell_of(args: argparse.Namespace) -> "Shell | None":
    """The shell that the options describe, None without one."""
    from qdip_struct.build.shell import make_shell

    return None if args.shell is None else make_shell(args.shell, thickness=args.shell_thickness)


def parameters_of(args: argparse.Namespace) -> dict[str, object]:
    """Every option that decides the result, for the provenance."""
    skip = ("out", "force", "json", "config", "debug")
    return {key: value for key, value in sorted(vars(args).items()) if key not in skip}
