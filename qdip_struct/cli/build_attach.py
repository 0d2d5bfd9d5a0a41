"""Put a dot on a slab surface, or bury a layer of dots under an overgrown layer.

Lengths in Å. The slab is a (100) slab of --matrix with --cells parent cells, or --slab FILE with vacuum along z. With
--overgrown N the dots stand on that slab, share its lattice, and N more cells of the matrix grow over them.

examples:
  qdip build attach --dot PbS --shape cube --diameter 18 --matrix CsPbBr3 --cells 6,6,3 --facet 100 -o attached.extxyz
  qdip build attach --dot PbS --shape cube --diameter 18 --matrix CsPbBr3 --cells 6,6,2 --overgrown 5 -o buried.extxyz
"""

import argparse
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import EXIT_DONE
from qdip_struct.base.options import add_options, request_of
from qdip_struct.builders.dot.dot_request import AttachRequest, requested_attachment
from qdip_struct.cli.building import add_format_of_ending, parameters_of, structure_lines
from qdip_struct.cli.console import emit


def add_build_attach_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_options(parser, AttachRequest)
    add_format_of_ending(parser)


def build_attach_command(args: argparse.Namespace) -> int:
    """Build, write, print."""
    from qdip_struct.base.files import provenance
    from qdip_struct.builders.atoms.store import write_structure

    built = requested_attachment(request_of(args, AttachRequest))
    path = args.out or Path("attached.extxyz")
    origin = provenance("build attach", parameters_of(args), seed=args.seed)
    write_structure(path, built.atoms, provenance=origin, report=built.report, force=args.force, format=args.format)
    emit({"file": str(path), **built.report}, as_json=args.json, text=_summary(path, built.report))
    return EXIT_DONE


def _summary(path: Path, content: dict[str, Any]) -> str:
    lines = [
        *structure_lines(path, content),
        f"shortest distance: {content['min_distance_angstrom']:.3f} Å; sites changed: {len(content['changes'])}",
    ]
    if content["mode"] == "attached":
        lines.append(
            f"facet {tuple(content['facet'])} down, registry {content['registry']}, gap {content['gap_angstrom']:.3f} Å"
        )
    return "\n".join(lines)
