"""Embed a quantum dot in a matrix supercell and make the whole formally neutral.

Lengths are in Å. The dot is cut so that dot and matrix meet in the favourable registry (BX2 planes of the matrix
continue the rock salt, metal over anion) unless --termination says otherwise. What neutrality changed is printed and
written to the sidecar file beside the structure.

example:
  qdip build embed --dot PbS --diameter 30 --shape sphere --matrix CsPbI3 --cells 8,8,8 --lattice 6.325 -o dot.extxyz
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qdip_struct.base.options import add_options, request_of
from qdip_struct.builders.dot.dot_request import EmbedRequest, requested_embedding
from qdip_struct.cli.building import add_format_of_ending, lattice_line, strain_lines, structure_lines, write_one

_TAKEN_AS = {
    "crystal": "the file of the dot holds a crystal, from which the dot was cut (--dot-is)",
    "finished": "the file of the dot holds a finished dot, which was put in as it is (--dot-is)",
}


def add_build_embed_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_options(parser, EmbedRequest)
    add_format_of_ending(parser)


def build_embed_command(args: argparse.Namespace) -> int:
    """Build, write, print."""
    built = requested_embedding(request_of(args, EmbedRequest))
    return write_one(args, built.atoms, built.report, command="build embed", default="embedded.extxyz", summary=summary)


def summary(path: Path, content: Mapping[str, Any]) -> str:
    """The report as lines of text."""
    charge = content["formal_charge"]
    lines = [
        *structure_lines(path, content),
        *([_TAKEN_AS[content["dot_is"]]] if "dot_is" in content else []),
        f"volume fraction of the dot: {content['volume_fraction']:.4f}, "
        f"diameter of the sphere of that volume: {content['equivalent_diameter_angstrom']:.2f} Å",
        lattice_line(content),
        *strain_lines(content),
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
