"""Build a film on a substrate and every cell whose energy the interface energy needs.

Writes film, substrate, interface, film_bulk, substrate_bulk, film_bulk_free (and, for a substrate whose slab is not
stoichiometric, substrate_other and reservoir) with one sidecar .json each. Film, substrate and interface share one
cell: substrate below, film above, normal along z. Lengths in Å (angstrom), strains as fractions.

Planes: 100, 1-10 or "1 -1 0". Registry: continuation, metal, hollow, or the shift of the film's cation from the
substrate's cation in fractions of the cation square, such as 0.5,0.

example:
  qdip build interface --film PbS --substrate CsPbBr3 --dataset pbe_cp2k --termination BX2 -o interface
"""

import argparse
from pathlib import Path
from typing import Any

from qdip_struct.cli.console import emit, table
from qdip_struct.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--film", required=True, metavar="CRYSTAL", help="crystal NAME[:phase] or a structure file")
    parser.add_argument(
        "--substrate", required=True, metavar="CRYSTAL", help="crystal NAME[:phase] or a structure file"
    )
    parser.add_argument("--film-plane", default="100", metavar="HKL", help="Miller indices (default 100)")
    parser.add_argument("--substrate-plane", default="100", metavar="HKL", help="Miller indices (default 100)")
    parser.add_argument("--film-layers", type=int, default=3, metavar="N", help="thickness in monolayers (default 3)")
    parser.add_argument(
        "--substrate-layers", type=int, default=3, metavar="N", help="thickness in monolayers (default 3)"
    )
    parser.add_argument("--dataset", metavar="NAME", help="data set of the lattice constants (default xrd_298K)")
    parser.add_argument(
        "--film-lattice", type=float, metavar="A", help="(pseudo-)cubic lattice constant of the film, Å"
    )
    parser.add_argument("--substrate-lattice", type=float, metavar="A", help="the same of the substrate, Å")
    parser.add_argument(
        "--termination", default="BX2", metavar="NAME", help="substrate layer in contact: AX, BX2, a layer's formula"
    )
    parser.add_argument("--film-termination", metavar="NAME", help="film layer in contact (default: the first)")
    parser.add_argument("--registry", default="continuation", help="name or fractions (default continuation)")
    parser.add_argument(
        "--gap", type=float, metavar="A", help="contact layer to contact layer, Å (default: ions touch)"
    )
    parser.add_argument("--strain-on", default="film", metavar="WHO", help="film or substrate (default film)")
    parser.add_argument("--vacuum", type=float, default=20.0, metavar="A", help="empty length along z, Å (default 20)")
    parser.add_argument("--a-site", default="molecule", metavar="ION", help="molecule (default) or one ion such as Cs")
    parser.add_argument("--orientation", default="antiparallel", help="of molecules: antiparallel, parallel, random")
    parser.add_argument("--seed", type=int, default=0, help="seed of random orientations (default 0)")
    parser.add_argument(
        "--max-area", type=float, default=400.0, metavar="A2", help="largest common cell, Å² (default 400)"
    )
    parser.add_argument("--format", default="extxyz", help="extxyz (default), cif, vasp, xyz or cp2k")


def run(args: argparse.Namespace) -> int:
    """Build, write, and say what was built."""
    from qdip_struct.build.interface import build_interface
    from qdip_struct.build.slab import parse_plane
    from qdip_struct.build.store import FORMATS, SUFFIX, write_structure
    from qdip_struct.files import provenance, refuse_existing

    if args.out is None:
        raise UsageError("say where to write: -o DIR")
    if args.format not in FORMATS:
        raise UsageError(f"--format is '{args.format}'; known: {', '.join(FORMATS)}")
    film = material(args.film, dataset=args.dataset, lattice=args.film_lattice)
    substrate = material(args.substrate, dataset=args.dataset, lattice=args.substrate_lattice)
    built = build_interface(
        film,
        substrate,
        film_plane=parse_plane(args.film_plane),
        substrate_plane=parse_plane(args.substrate_plane),
        film_layers=args.film_layers,
        substrate_layers=args.substrate_layers,
        termination=args.termination,
        film_termination=args.film_termination,
        registry=registry_of(args.registry),
        gap=args.gap,
        strain_on=args.strain_on,
        vacuum=args.vacuum,
        a_site=args.a_site,
        orientation=args.orientation,
        seed=args.seed,
        max_area=args.max_area,
    )
    skip = ("json", "out", "force", "config", "debug")
    origin = provenance(
        "build interface", {key: value for key, value in sorted(vars(args).items()) if key not in skip}, seed=args.seed
    )
    out = Path(args.out)
    paths = {role: out / f"{role}{SUFFIX[args.format]}" for role in built.cells()}
    for path in paths.values():
        refuse_existing(path, force=args.force)
    for role, atoms in built.cells().items():
        write_structure(
            paths[role], atoms, provenance=origin, report=built.reports[role], force=args.force, format=args.format
        )
    document = {**built.report, "files": {role: str(path) for role, path in paths.items()}, "cells": built.reports}
    emit(document, as_json=args.json, text=_text(document))
    return 0


def material(text: str, *, dataset: str | None, lattice: float | None) -> Any:
    """A crystal by its name, or the structure in a file."""
    from qdip_struct.build.store import read_structure
    from qdip_struct.materials.crystals import get_crystal, scaled

    path = Path(text)
    if path.suffix or path.name.upper().startswith(("POSCAR", "CONTCAR")) or path.is_file():
        if lattice is not None:
            raise UsageError(f"{text} is a structure file: its lattice is taken as it is, drop the lattice option")
        return read_structure(path)
    crystal = get_crystal(text, dataset=dataset)
    return crystal if lattice is None else scaled(crystal, lattice=lattice)


def registry_of(text: str) -> str | tuple[float, float]:
    """A registry's name, or its two fractions."""
    words = text.split(",")
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return text
    if len(numbers) != 2:
        raise UsageError(f"--registry is '{text}'; expected a name or two fractions such as 0.5,0")
    return numbers[0], numbers[1]


def _text(document: dict[str, Any]) -> str:
    rows = [
        [
            role,
            report["n_atoms"],
            "".join(f"{name}{count}" for name, count in report["composition"].items()),
            report["formal_charge"]["total"],
            f"{report['min_distance_angstrom']:.3f}",
            document["files"][role],
        ]
        for role, report in document["cells"].items()
    ]
    strains = ", ".join(
        f"{who} {values[0]:+.4f} {values[1]:+.4f}"
        for who, values in (("film", document["strain_film"]), ("substrate", document["strain_substrate"]))
    )
    return "\n".join(
        [
            f"{document['group']}: area {document['area_angstrom2']:.3f} Å², gap {document['gap_angstrom']:.3f} Å "
            f"({document['gap_rule']})",
            f"termination {document['termination']}, registry {document['registry']}, strain {strains}",
            "",
            table(["role", "atoms", "composition", "charge", "nearest Å", "file"], rows),
        ]
    )
