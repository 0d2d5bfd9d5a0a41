"""Diffraction facts of crystals: spacings, angles, the zone law, and which reflections a phase can show.

Spacings in Å, angles in degrees. --spacing lists what a measured fringe can be on each crystal, forbidden
reflections included and marked. A plane that does not belong to the --zone is refused. A plane that begins with a
minus sign is written in brackets: "(-2 2 4)".

examples:
  qdip planes PbS MAPbBr3 --spacing 4.2
  qdip planes MAPbI3:tetragonal --plane 224 --plane "(-2 2 4)"
  qdip planes CsPbI3:delta --powder
  qdip planes PbS --plane 022 --plane 202 --zone "[1 1 -1]"
"""

import argparse
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from qdip_struct.base.errors import EXIT_DONE
from qdip_struct.base.options import add_options
from qdip_struct.cli.console import answer, at_kelvin, crystal_given, table, warn_of
from qdip_struct.matching.planes import (
    Reflection,
    check_zone,
    d_spacing,
    explain_spacing,
    is_allowed,
    parse_plane,
    plane_angle,
    plane_text,
    powder_lines,
    pseudocubic_plane,
    reflections,
)
from qdip_struct.materials.crystals import Crystal, edges_text
from qdip_struct.materials.options import CrystalOptions

_CRYSTAL_OPTIONS = ("spacing", "tolerance", "d_min", "wavelength", "dataset", "temperature", "symprec", "crystals")


def add_planes_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``qdip planes``."""
    parser.add_argument("crystal", nargs="+", metavar="CRYSTAL", help="NAME, NAME:phase, a mixture or structure file")
    parser.add_argument("--plane", action="append", default=[], metavar="HKL", help="a plane; repeatable")
    parser.add_argument("--zone", metavar="UVW", help="zone axis to which every plane must belong")
    parser.add_argument("--powder", action="store_true", help="powder lines with intensities (pymatgen), up to 60°")
    add_options(parser, CrystalOptions, names=_CRYSTAL_OPTIONS)


def planes_command(args: argparse.Namespace) -> int:
    """Print the facts asked for, crystal by crystal."""
    planes = [parse_plane(text) for text in args.plane]
    zone = None if args.zone is None else parse_plane(args.zone)
    if zone is not None:
        for plane in planes:
            check_zone(plane, zone=zone)
    documents, texts = [], []
    for word in args.crystal:
        crystal, told = crystal_given(
            word, dataset=args.dataset, temperature=args.temperature, files=tuple(args.crystals), symprec=args.symprec
        )
        warn_of(crystal.warnings)
        document = _document(crystal, planes, zone, args)
        if told:
            document["file_notes"] = told
        documents.append(document)
        texts.append(_text(document, args))
    answer(args, {"crystals": documents}, text="\n\n".join(texts))
    return EXIT_DONE


def _document(
    crystal: Crystal, planes: list[tuple[int, int, int]], zone: tuple[int, int, int] | None, args: argparse.Namespace
) -> dict[str, Any]:
    if args.spacing is not None:
        listed = explain_spacing(crystal, spacing=args.spacing, tolerance=args.tolerance)
    else:
        listed = () if planes or args.powder else reflections(crystal, d_min=args.d_min)
    return {
        "crystal": crystal.label,
        "lengths_angstrom": crystal.lengths,
        "angles_degree": crystal.angles,
        "a_angstrom": crystal.a_angstrom,
        "temperature_kelvin": crystal.temperature_kelvin,
        "lattice_warnings": crystal.warnings,
        "source": crystal.source,
        "planes": [
            {
                "plane": plane,
                "spacing_angstrom": d_spacing(crystal, plane=plane),
                "allowed": is_allowed(crystal, plane=plane),
                "pseudocubic_plane": pseudocubic_plane(crystal, plane=plane),
            }
            for plane in planes
        ],
        "angles": [
            {"planes": [one, other], "angle_degree": plane_angle(crystal, one=one, other=other)}
            for one, other in itertools.combinations(planes, 2)
        ],
        "zone": zone,
        "reflections": [_reflection(r) for r in listed],
        "powder": [
            {"plane": plane, "spacing_angstrom": spacing, "two_theta_degree": angle, "intensity": intensity}
            for plane, spacing, angle, intensity in (
                powder_lines(crystal, wavelength=args.wavelength) if args.powder else ()
            )
        ],
    }


def _reflection(reflection: Reflection) -> dict[str, Any]:
    return {
        "plane": reflection.plane,
        "spacing_angstrom": reflection.spacing_angstrom,
        "multiplicity": reflection.multiplicity,
        "allowed": reflection.allowed,
        "strength": reflection.strength,
    }


def _text(document: dict[str, Any], args: argparse.Namespace) -> str:
    edges = edges_text(document["lengths_angstrom"], document["angles_degree"])
    lines = [f"{document['crystal']}, {edges} Å{at_kelvin(document['temperature_kelvin'])}, {document['source']}"]
    for entry in document["planes"]:
        parent = entry["pseudocubic_plane"]
        cube = "" if parent is None else f", {plane_text(parent)} of the parent cube"
        word = "allowed" if entry["allowed"] else "forbidden in this structure"
        lines.append(f"{plane_text(entry['plane'])}: d = {entry['spacing_angstrom']:.4f} Å, {word}{cube}")
    for entry in document["angles"]:
        one, other = map(plane_text, entry["planes"])
        lines.append(f"angle {one} to {other}: {entry['angle_degree']:.3f}°")
    if document["zone"] is not None:
        lines.append(f"all belong to the zone [{' '.join(map(str, document['zone']))}]")
    if args.spacing is not None:
        found = document["reflections"]
        allowed = [r for r in found if r["allowed"]]
        words = f"{args.spacing:g} ± {args.tolerance:g} Å"
        if not allowed:
            only = ", ".join(plane_text(r["plane"]) for r in found)
            lines.append(f"a fringe of {words} is none of this crystal" + (f": {only} is forbidden" if only else ""))
        else:
            lines.append(f"a fringe of {words} can be {', '.join(plane_text(r['plane']) for r in allowed)}")
    if document["reflections"]:
        rows = [
            (
                plane_text(r["plane"]),
                f"{r['spacing_angstrom']:.4f}",
                r["multiplicity"],
                "allowed" if r["allowed"] else "forbidden",
                f"{r['strength']:.3f}",
            )
            for r in document["reflections"]
        ]
        lines += ["", table(("plane", "d Å", "planes", "", "|F|²/F(0)²"), rows)]
    if document["powder"]:
        lines += ["", powder_table(document["powder"])]
    return "\n".join(lines)


def powder_table(powder: Sequence[Mapping[str, Any]], *, indices: str = "plane") -> str:
    """Powder lines as a table; ``indices`` is the key of their Miller indices."""
    rows = [
        (
            plane_text(line[indices]),
            f"{line['spacing_angstrom']:.4f}",
            f"{line['two_theta_degree']:.3f}",
            f"{line['intensity']:.1f}",
        )
        for line in powder
    ]
    return table(("plane", "d Å", "2θ °", "intensity"), rows)
