"""Put a dot on a slab surface, or bury a layer of dots under an overgrown layer.

Lengths in Å. The slab is a (100) slab of --matrix with --cells parent cells, or --slab FILE with vacuum along z. With
--overgrown N the dots stand on that slab, share its lattice, and N more cells of the matrix grow over them.

examples:
  qdip build attach --dot PbS --shape cube --diameter 18 --matrix CsPbBr3 --cells 6,6,3 --facet 100 -o attached.extxyz
  qdip build attach --dot PbS --shape cube --diameter 18 --matrix CsPbBr3 --cells 6,6,2 --overgrown 5 -o buried.extxyz
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qdip_struct.base.options import add_options, request_of
from qdip_struct.builders.dot.dot_request import AttachRequest, requested_attachment
from qdip_struct.cli.building import add_format_of_ending, lattice_line, strain_lines, structure_lines, write_one


def add_build_attach_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_options(parser, AttachRequest)
    add_format_of_ending(parser)


def build_attach_command(args: argparse.Namespace) -> int:
    """Build, write, print."""
    built = requested_attachment(request_of(args, AttachRequest))
    return write_one(
        args, built.atoms, built.report, command="build attach", default="attached.extxyz", summary=_summary
    )


def _summary(path: Path, content: Mapping[str, Any]) -> str:
    lines = [
        *structure_lines(path, content),
        lattice_line(content),
        *strain_lines(content),
        f"shortest distance: {content['min_distance_angstrom']:.3f} Å; sites changed: {len(content['changes'])}",
    ]
    if content["mode"] == "attached":
        lines.append(
            f"facet {tuple(content['facet'])} down, registry {content['registry']}, gap {content['gap_angstrom']:.3f} Å"
        )
    return "\n".join(lines)
