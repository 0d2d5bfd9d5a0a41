"""Embed a quantum dot in a matrix supercell and make the whole formally neutral.

Lengths are in Å. The dot is cut so that dot and matrix meet in the favourable registry (BX2 planes of the matrix
continue the rock salt, metal over anion) unless --termination says otherwise. What neutrality changed is printed and
written to the sidecar file beside the structure.

example:
  qdip build embed --dot PbS --diameter 30 --shape sphere --matrix CsPbI3 --cells 8,8,8 --lattice 6.325 -o dot.extxyz
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import EXIT_DONE
from qdip_struct.cli.building import (
    add_dot_options,
    add_file_options,
    add_matrix_options,
    add_orientation,
    parameters_of,
    structure_lines,
)
from qdip_struct.cli.console import emit


def add_build_embed_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--dot", required=True, metavar="NAME", help="NAME[:phase], a mixture, or a file with a dot")
    parser.add_argument("--matrix", required=True, metavar="NAME", help="NAME[:phase], a mixture, or a structure file")
    add_matrix_options(parser, cells="8,8,8", what="conventional cells")
    add_orientation(parser)
    add_dot_options(parser)
    group = parser.add_argument_group("how it is put in")
    group.add_argument("--dot-lattice", metavar="A", help="lattice constant of the dot, Å, or 'own'")
    group.add_argument(
        "--rotate", metavar="HOW", help="AXIS,DEG (001,45), euler:F1,F,F2, or (hkl)[uvw]||(hkl)[uvw]: cut and insert"
    )
    group.add_argument("--mode", default="auto", choices=("auto", "coherent", "insert"))
    group.add_argument("--neutral", default="strict", choices=("strict", "report", "off"))
    group.add_argument("--rule", default="swap", choices=("swap", "vacancy"), help="what neutrality changes")
    group.add_argument("--interface-depth", type=float, default=3.5, metavar="A", help="label within, Å (default 3.5)")
    many = parser.add_argument_group("several dots in one matrix")
    many.add_argument("--array", metavar="N,N,N", help="periodic array of N × N × N equal dots")
    many.add_argument("--random", type=int, metavar="N", help="N dots at random places that do not overlap")
    many.add_argument("--volume-fraction", type=float, metavar="F", help="random dots up to this fraction, 0-1")
    many.add_argument("--spacing", type=float, default=0.0, metavar="A", help="least matrix between dots, Å")
    add_file_options(parser)


def build_embed_command(args: argparse.Namespace) -> int:
    """Build, write, print."""
    from qdip_struct.base.files import provenance
    from qdip_struct.builders.atoms.store import write_structure
    from qdip_struct.builders.dot.dot_request import EmbedRequest, requested_embedding
    from qdip_struct.cli.building import request_of

    built = requested_embedding(request_of(args, EmbedRequest))
    path = args.out or Path("embedded.extxyz")
    origin = provenance("build embed", parameters_of(args), seed=args.seed)
    write_structure(path, built.atoms, provenance=origin, report=built.report, force=args.force, format=args.format)
    emit({"file": str(path), **built.report}, as_json=args.json, text=summary(path, built.report))
    return EXIT_DONE


def summary(path: Path, content: dict[str, Any]) -> str:
    """The report as lines of text."""
    charge = content["formal_charge"]
    lines = [
        *structure_lines(path, content),
        f"volume fraction of the dot: {content['volume_fraction']:.4f}, "
        f"diameter of the sphere of that volume: {content['equivalent_diameter_angstrom']:.2f} Å",
        "lattice constant / Å: "
        + ", ".join(
            f"{part} {value:.4f} ({content['lattice_source'][part]})"
            for part, value in content["lattice_angstrom"].items()
            if value is not None
        ),
        f"shortest distance: {content['min_distance_angstrom']:.3f} Å",
    ]
    if content["termination"] is not None:
        lines.append(f"border: {content['termination']['meaning']}")
    if content["n_dots"] > 1:
        spacing = content["spacing_angstrom"]
        lines.append(
            f"{content['n_dots']} dots; spacing / Å: "
            + ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in spacing.items())
        )
    kinds = Counter((change["action"], change["from"], change["to"]) for change in content["changes"])
    if kinds:
        done = ", ".join(
            f"{action} {n} {old}" + (f" → {new}" if new else "") for (action, old, new), n in kinds.items()
        )
        lines.append(f"changed for neutrality: {done}")
    elif charge["total"]:
        wanted = len(content.get("proposed_changes", []))
        more = f"; --neutral strict would change {wanted} sites" if wanted else ""
        lines.append(f"not neutral: nothing was changed{more}")
    else:
        lines.append("neutral as cut: nothing was changed")
    return "\n".join(lines)
