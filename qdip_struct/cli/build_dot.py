"""Cut a quantum dot from its crystal, finish its surface, and put it into a vacuum box.

Lengths in Å. --surface: as-cut, stoichiometric (ions in excess of whole formula units leave, those held least first) or
metal-rich (anions that lack a metal neighbour leave). --ligand makes the dot neutral with a halide; --counter-ion MA
covers it with halides and balances them. What would remove or replace more than a fifth of the ions is refused (a
metal-rich surface lacks a whole layer and is not). Directions and families of facets are those of Cartesian axes, the
first cell vector along x: of a crystal that is not cubic a body in space, not its own facets.

examples:
  qdip build dot --material PbS --diameter 30 --surface metal-rich --ligand I -o dot.extxyz
  qdip build dot --material PbS --shape wulff --energies 100=16,111=20 --atoms 1000 --surface stoichiometric -o d.extxyz
  qdip build dot --material CsPbBr3 --shape platelet --diameter 40 --thickness 3ML --ligand Br -o platelet.extxyz
  qdip build dot --material CuInS2.cif --shape cuboctahedron --diameter 25 --surface stoichiometric -o dot.extxyz
  qdip build dot --material CdSe --diameter 20 --shell CdZnS --shell-thickness 10 --ligand Br -o core_shell.extxyz
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qdip_struct.base.options import add_options, request_of
from qdip_struct.builders.dot.dot_request import DotRequest, requested_dot
from qdip_struct.cli.building import add_format_of_ending, counted, lattice_line, strain_lines, write_one


def add_build_dot_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_options(parser, DotRequest)
    add_format_of_ending(parser)


def build_dot_command(args: argparse.Namespace) -> int:
    """Cut, finish, write, print."""
    atoms, content = requested_dot(request_of(args, DotRequest))
    return write_one(args, atoms, content, command="build dot", default="dot.extxyz", summary=_summary)


def _summary(path: Path, content: Mapping[str, Any]) -> str:
    kinds = Counter((change["action"], change["from"], change["to"]) for change in content["changes"])
    done = [" ".join(word for word in (act, str(n), old or "", f"→ {new}" if old and new else new or "") if word)
            for (act, old, new), n in kinds.items()]  # fmt: skip
    charge, electrons = content["formal_charge"]["total"], content["electrons"]
    return "\n".join(
        [
            f"{path}: {content['n_atoms']} atoms, {counted(content['composition'])}",
            f"formal charge {charge:+d} e, {electrons} valence electrons ({'even' if electrons % 2 == 0 else 'odd'})",
            "regions: " + ", ".join(f"{name} {count}" for name, count in content["regions"].items()),
            f"diameter of the sphere of equal volume: {content['equivalent_diameter_angstrom']:.2f} Å; extent "
            + " × ".join(f"{length:.2f}" for length in content["extent_angstrom"])
            + f" Å; centre on {content['center']}",
            lattice_line(content),
            *strain_lines(content),
            "surface: " + ("; ".join(done) if done else "as cut, nothing changed"),
        ]
    )
