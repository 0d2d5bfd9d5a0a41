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

from qdip_struct.cli.console import emit
from qdip_struct.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--dot", required=True, metavar="NAME", help="crystal of the dot, NAME or NAME:phase")
    parser.add_argument("--matrix", required=True, metavar="NAME", help="crystal of the matrix, NAME or NAME:phase")
    parser.add_argument("--dataset", help="data set of both crystals (see 'qdip materials')")
    parser.add_argument("--shape", default="sphere", help="sphere, cube, ... (default sphere)")
    parser.add_argument("--diameter", type=float, default=30.0, metavar="Å", help="diameter in Å; edge of a cube")
    parser.add_argument("--cells", default="8,8,8", metavar="N,N,N", help="parent cells of the box (default 8,8,8)")
    parser.add_argument("--lattice", type=float, metavar="Å", help="lattice constant of the parent lattice, Å")
    parser.add_argument("--a-site", default="molecule", metavar="ION", help="'molecule', or one ion for MA and FA: Cs")
    parser.add_argument("--center", default="auto", choices=("auto", "metal", "anion", "a-site", "bond", "void"))
    parser.add_argument("--termination", choices=("BX2", "AX", "cells", "site"))
    parser.add_argument("--neutral", default="strict", choices=("strict", "report", "off"))
    parser.add_argument("--rule", default="swap", choices=("swap", "vacancy"), help="what neutrality changes")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="decides between equal sites (default 0)")
    parser.add_argument(
        "--format", choices=("extxyz", "cif", "vasp", "xyz", "cp2k"), help="default: by the file's ending"
    )


def whole_numbers(text: str, *, what: str) -> tuple[int, ...]:
    """Whole numbers separated by commas, else :class:`UsageError`."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{what} is '{text}'; expected whole numbers separated by commas, for example 8,8,8") from None


def run(args: argparse.Namespace) -> int:
    """Build, write, print."""
    from qdip_struct.build.embed import embed_dot
    from qdip_struct.build.material import material
    from qdip_struct.build.store import write_structure
    from qdip_struct.files import provenance

    built = embed_dot(
        material(args.dot, dataset=args.dataset),
        material(args.matrix, dataset=args.dataset),
        shape=args.shape,
        diameter=args.diameter,
        cells=whole_numbers(args.cells, what="--cells"),
        lattice=args.lattice,
        center=args.center,
        termination=args.termination,
        neutral=args.neutral,
        rule=args.rule,
        a_site=args.a_site,
        seed=args.seed,
    )
    path = args.out or Path("embedded.extxyz")
    skip = ("out", "force", "json", "config", "debug")
    parameters = {key: value for key, value in sorted(vars(args).items()) if key not in skip}
    origin = provenance("build embed", parameters, seed=args.seed)
    write_structure(path, built.atoms, provenance=origin, report=built.report, force=args.force, format=args.format)
    emit({"file": str(path), **built.report}, as_json=args.json, text=summary(path, built.report))
    return 0


def summary(path: Path, content: dict[str, Any]) -> str:
    """The report as lines of text."""
    charge = content["formal_charge"]
    lines = [
        f"{path}: {content['n_atoms']} atoms, "
        + " ".join(f"{name}{count}" for name, count in content["composition"].items()),
        "formal charge / e: " + ", ".join(f"{name} {value:+d}" for name, value in charge.items()),
        f"valence electrons: {content['electrons']} ({'even' if content['electrons'] % 2 == 0 else 'odd'})",
        "regions: " + ", ".join(f"{name} {count}" for name, count in content["regions"].items()),
        f"volume fraction of the dot: {content['volume_fraction']:.4f}, "
        f"diameter of the sphere of that volume: {content['equivalent_diameter_angstrom']:.2f} Å",
        f"shortest distance: {content['min_distance_angstrom']:.3f} Å",
        f"termination: {content['termination']['meaning']}",
    ]
    kinds = Counter((change["action"], change["from"], change["to"]) for change in content["changes"])
    if kinds:
        done = ", ".join(
            f"{action} {n} {old}" + (f" → {new}" if new else "") for (action, old, new), n in kinds.items()
        )
        lines.append(f"changed for neutrality: {done}")
    elif charge["total"]:
        lines.append("not neutral: nothing was changed")
    else:
        lines.append("neutral as cut: nothing was changed")
    return "\n".join(lines)
