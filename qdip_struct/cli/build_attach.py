"""Put a dot on a slab surface, or bury a layer of dots under an overgrown layer.

Lengths in Å. The slab is a (100) slab of --matrix with --cells parent cells, or --slab FILE with vacuum along z. With
--overgrown N the dots stand on that slab, share its lattice, and N more cells of the matrix grow over them.

examples:
  qdip build attach --dot PbS --shape cube --diameter 18 --matrix CsPbBr3 --cells 6,6,3 --facet 100 -o attached.extxyz
  qdip build attach --dot PbS --shape cube --diameter 18 --matrix CsPbBr3 --cells 6,6,2 --overgrown 5 -o buried.extxyz
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import EXIT_DONE, UsageError
from qdip_struct.builders.parsing import numbers, refuse_given, whole_numbers
from qdip_struct.cli.building import (
    add_dot_options,
    add_file_options,
    add_matrix_options,
    add_vacuum,
    parameters_of,
    request_of,
    structure_lines,
)
from qdip_struct.cli.console import emit

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.builders.dot.embed import Embedded
    from qdip_struct.materials.crystals import Crystal


def add_build_attach_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--dot", required=True, metavar="NAME", help="NAME[:phase] or a mixture such as PbS0.5Se0.5")
    parser.add_argument("--matrix", metavar="NAME", help="cubic perovskite of the slab, NAME[:phase] or a mixture")
    add_matrix_options(parser, cells="6,6,3", what="parent cells of the slab")
    parser.add_argument("--slab", type=Path, metavar="FILE", help="slab from a file instead of --matrix")
    parser.add_argument("--top", default="BX2", choices=("BX2", "AX"), help="upper surface of the slab (default BX2)")
    add_dot_options(parser)
    group = parser.add_argument_group("attached dot")
    group.add_argument(
        "--dot-lattice", type=float, metavar="A", help="lattice constant of the dot, Å (default its own)"
    )
    group.add_argument(
        "--facet", default="100", metavar="HKL", help="facet of the dot that faces the slab (default 100)"
    )
    group.add_argument("--twist", type=float, default=0.0, metavar="DEG", help="rotation about the normal, degrees")
    group.add_argument(
        "--registry", default="continuation", help="continuation (default), metal, hollow, or fractions such as 0.5,0"
    )
    group.add_argument("--gap", type=float, metavar="A", help="layer to layer, Å (default: until ions touch)")
    group.add_argument(
        "--surface", default="stoichiometric", choices=("as-cut", "stoichiometric", "metal-rich"), help="of the dot"
    )
    group.add_argument("--ligand", metavar="X", help="halide that makes the dot neutral")
    buried = parser.add_argument_group("buried dots")
    buried.add_argument("--overgrown", type=int, metavar="N", help="cells of the matrix grown over the slab and dots")
    buried.add_argument("--array", default="1,1", metavar="N,N", help="buried dots along x and y (default 1,1)")
    add_vacuum(parser, where="above everything")
    add_file_options(parser)


def build_attach_command(args: argparse.Namespace) -> int:
    """Build, write, print."""
    from qdip_struct.base.files import provenance
    from qdip_struct.builders.atoms.store import write_structure
    from qdip_struct.materials.structure_files import crystal_named

    if (args.matrix is None) == (args.slab is None):
        raise UsageError("give the slab by --matrix or by --slab, one of them")
    dot = crystal_named(args.dot, dataset=args.dataset)
    built = _attached(args, dot=dot) if args.overgrown is None else _buried(args, dot=dot)
    path = args.out or Path("attached.extxyz")
    origin = provenance("build attach", parameters_of(args), seed=args.seed)
    write_structure(path, built.atoms, provenance=origin, report=built.report, force=args.force, format=args.format)
    emit({"file": str(path), **built.report}, as_json=args.json, text=_summary(path, built.report))
    return EXIT_DONE


def _attached(args: argparse.Namespace, *, dot: "Crystal") -> "Embedded":
    from qdip_struct.builders.atoms.orientation import parse_indices
    from qdip_struct.builders.dot.attach import attach_dot
    from qdip_struct.builders.dot.dot import cut_dot
    from qdip_struct.builders.dot.dot_request import FormRequest, requested_form
    from qdip_struct.builders.dot.passivation import passivate
    from qdip_struct.materials.crystals import scaled

    refuse_given(args, {"array": "1,1"}, where="with an attached dot (see --overgrown)")
    core = dot if args.dot_lattice is None else scaled(dot, lattice=args.dot_lattice)
    raw = cut_dot(core, form=requested_form(request_of(args, FormRequest), core=core), seed=args.seed)
    finished, changes = passivate(raw, surface=args.surface, ligand=args.ligand, seed=args.seed)
    registry: Any = args.registry
    if "," in registry:
        first, second = numbers(registry, what="--registry", count=2)
        registry = (first, second)
    return attach_dot(
        finished,
        _slab(args),
        facet=parse_indices(args.facet),
        twist=args.twist,
        registry=registry,
        gap=args.gap,
        vacuum=args.vacuum,
        changes=changes,
        seed=args.seed,
    )


def _buried(args: argparse.Namespace, *, dot: "Crystal") -> "Embedded":
    from qdip_struct.builders.atoms.cells import Occupation
    from qdip_struct.builders.dot.attach import bury_dots
    from qdip_struct.builders.dot.dot_request import FormRequest, requested_form
    from qdip_struct.materials.crystals import scaled
    from qdip_struct.materials.structure_files import crystal_named

    if args.matrix is None:
        raise UsageError("buried dots share the lattice of --matrix; a --slab file cannot be overgrown")
    attached_only = {"facet": "100", "twist": 0.0, "registry": "continuation", "gap": None, "ligand": None,
                     "surface": "stoichiometric", "dot_lattice": None, "shell": None, "termination": None,
                     "top": "BX2"}  # fmt: skip
    refuse_given(args, attached_only, where="with buried dots, which share the lattice of the matrix")
    held = crystal_named(args.matrix, dataset=args.dataset)
    core = scaled(dot, lattice=args.lattice or held.a_angstrom)
    counts = whole_numbers(args.array, what="--array")
    if len(counts) != 2:
        raise UsageError(f"--array is '{args.array}'; expected two whole numbers, for example 2,2")
    return bury_dots(
        dot,
        held,
        cells=whole_numbers(args.cells, what="--cells"),
        overgrown=args.overgrown,
        form=requested_form(request_of(args, FormRequest), core=core, counted="BX2"),
        array=(counts[0], counts[1]),
        lattice=args.lattice,
        occupation=Occupation(a_site=args.a_site, seed=args.seed),
        vacuum=args.vacuum,
    )


def _slab(args: argparse.Namespace) -> "Atoms":
    from qdip_struct.builders.atoms.cells import Occupation
    from qdip_struct.builders.atoms.regions import label
    from qdip_struct.builders.dot.attach import surface_slab
    from qdip_struct.materials.crystals import scaled
    from qdip_struct.materials.structure_files import crystal_named, read_structure

    if args.slab is not None:
        unused = {"lattice": None, "cells": "6,6,3", "top": "BX2"}
        refuse_given(args, unused, where="with --slab, which has its own cell")
        found = read_structure(args.slab)
        return found if found.has("region") else label(found, region="matrix", phase=args.slab.stem)
    held = crystal_named(args.matrix, dataset=args.dataset)
    if args.lattice is not None:
        held = scaled(held, lattice=args.lattice)
    cells = whole_numbers(args.cells, what="--cells")
    return surface_slab(held, cells=cells, top=args.top, occupation=Occupation(a_site=args.a_site, seed=args.seed))


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
