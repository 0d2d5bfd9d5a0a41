"""Coincidence cells of a film and a substrate: every distinct common cell within an area and a strain.

FILM and SUBSTRATE are crystals (NAME, NAME:phase, CsPbBr2I) or structure files; a PLANE is 100, 1-10 or "(1 -1 0)".
Areas in Å², lattice constants in Å, strains as fractions: those of the film brought onto the substrate,
engineering, principal. Matrices act on the primitive surface vectors, which are printed with --json. The lattice
constants are those of the data set at its temperature, or at --temperature; mixtures follow Vegard's rule.

examples:
  qdip match PbS 100 CsPbBr3 100
  qdip match PbS 100 CsPbI3 100 --film-lattice 5.936 --substrate-lattice 6.289 --json
  qdip match PbS 100 MAPbI3:tetragonal 110 --substrate-lattice 8.85,12.64
"""

import argparse
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from qdip_struct.base.errors import EXIT_DONE, UsageError
from qdip_struct.base.options import add_options
from qdip_struct.cli.console import answer, at_kelvin, crystal_given, note, table, warn_of
from qdip_struct.matching.coincidence import Match, find_matches, orientation_relations, pareto
from qdip_struct.matching.nets import Net, surface_net
from qdip_struct.matching.planes import Plane, parse_plane, plane_text, pseudocubic_direction, pseudocubic_plane
from qdip_struct.materials.crystals import Crystal, apart_in_temperature, edges_text, with_edges
from qdip_struct.materials.options import CrystalOptions

_CRYSTAL_OPTIONS = ("dataset", "temperature", "symprec", "crystals", "max_area", "max_strain")


def add_match_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``qdip match``."""
    parser.add_argument("film", metavar="FILM", help="crystal or structure file")
    parser.add_argument("film_plane", metavar="PLANE", help="plane of the film")
    parser.add_argument("substrate", metavar="SUBSTRATE", help="crystal or structure file")
    parser.add_argument("substrate_plane", metavar="PLANE", help="plane of the substrate")
    parser.add_argument("--film-lattice", metavar="A[,C]", help="lattice constants of the film, Å")
    parser.add_argument("--substrate-lattice", metavar="A[,C]", help="lattice constants of the substrate, Å")
    parser.add_argument(
        "--max-angle", type=float, default=1.0, metavar="DEG", help="largest change of angle (default: 1 degree)"
    )
    parser.add_argument(
        "--symmetric", action="store_true", help="limit |ln stretch| and the larger area: same list when swapped"
    )
    parser.add_argument("--pareto", action="store_true", help="only matches that none beats in both area and strain")
    parser.add_argument(
        "--orientations", action="store_true", help="also every distinct twist of film against substrate, per match"
    )
    add_options(parser, CrystalOptions, names=_CRYSTAL_OPTIONS)


def match_command(args: argparse.Namespace) -> int:
    """Find and print the matches."""
    film, film_notes = _crystal(args.film, args.film_lattice, args)
    substrate, substrate_notes = _crystal(args.substrate, args.substrate_lattice, args)
    film_plane, substrate_plane = parse_plane(args.film_plane), parse_plane(args.substrate_plane)
    film_net = surface_net(film, plane=film_plane)
    substrate_net = surface_net(substrate, plane=substrate_plane)
    matches = find_matches(
        film_net,
        substrate=substrate_net,
        max_area=args.max_area,
        max_strain=args.max_strain,
        max_angle=args.max_angle,
        symmetric=args.symmetric,
    )
    if args.pareto:
        matches = pareto(matches)
    for crystal in (film, substrate):
        note(_describe(crystal))
    apart = apart_in_temperature({one.label: one.temperature_kelvin for one in (film, substrate)})
    warn_of((*film.warnings, *substrate.warnings, *apart))
    document: dict[str, Any] = {
        "film": _side(film, film_plane, film_net),
        "substrate": _side(substrate, substrate_plane, substrate_net),
        "limits": {
            "max_area_angstrom2": args.max_area,
            "max_strain": args.max_strain,
            "max_angle_degree": args.max_angle,
            "symmetric": args.symmetric,
        },
        "matches": [_entry(match, film, film_net, substrate, substrate_net) for match in matches],
    }
    if film_notes or substrate_notes:
        document["file_notes"] = [*film_notes, *substrate_notes]
    if args.orientations:
        for entry, match in zip(document["matches"], matches, strict=True):
            entry["orientations"] = [
                {
                    "twist_degree": o.twist_degree,
                    "mirrored": o.match.mirrored,
                    "substrate_matrix": o.match.substrate_matrix,
                }
                for o in orientation_relations(match, film=film_net, substrate=substrate_net)
            ]
    answer(args, document, text=_text(document))
    return EXIT_DONE


def _crystal(word: str, edges: str | None, args: argparse.Namespace) -> tuple[Crystal, list[str]]:
    temperature = args.temperature if edges is None else None
    crystal, told = crystal_given(
        word, dataset=args.dataset, temperature=temperature, files=tuple(args.crystals), symprec=args.symprec
    )
    if edges is None:
        return crystal, told
    try:
        values = [float(part) for part in edges.split(",")]
    except ValueError:
        raise UsageError(f"cannot read the lattice constants '{edges}'; expected numbers such as 8.85,12.64") from None
    return with_edges(crystal, edges=values), told


def _describe(crystal: Crystal) -> str:
    edges = edges_text(crystal.lengths, crystal.angles)
    return f"{crystal.label}: {edges} Å{at_kelvin(crystal.temperature_kelvin)}, {crystal.source}"


def _side(crystal: Crystal, plane: Plane, net: Net) -> dict[str, Any]:
    return {
        "name": crystal.name,
        "phase": crystal.phase,
        "plane": plane,
        "pseudocubic_plane": pseudocubic_plane(crystal, plane=plane),
        "lengths_angstrom": crystal.lengths,
        "a_angstrom": crystal.a_angstrom,
        "temperature_kelvin": crystal.temperature_kelvin,
        "lattice_warnings": crystal.warnings,
        "dataset": crystal.dataset,
        "source": crystal.source,
        "net_vectors_angstrom": net.vectors,
        "net_uvw": _numbers(net.uvw or ()),
        "net_area_angstrom2": net.area,
    }


def _entry(match: Match, film: Crystal, film_net: Net, substrate: Crystal, substrate_net: Net) -> dict[str, Any]:
    film_uvw, substrate_uvw = (
        _directions(match.film_matrix, film_net),
        _directions(match.substrate_matrix, substrate_net),
    )
    return {
        "area_angstrom2": match.area_angstrom2,
        "film_area_angstrom2": match.film_area_angstrom2,
        "film_matrix": match.film_matrix,
        "substrate_matrix": match.substrate_matrix,
        "strain_principal": match.strain_principal,
        "strain_max": match.strain_max,
        "angle_degree": match.angle_degree,
        "film_uvw": _numbers(film_uvw),
        "substrate_uvw": _numbers(substrate_uvw),
        "film_uvw_pseudocubic": _parents(film, film_uvw),
        "substrate_uvw_pseudocubic": _parents(substrate, substrate_uvw),
        "primitive": match.primitive,
        "mirrored": match.mirrored,
    }


def _directions(matrix: Sequence[Sequence[int]], net: Net) -> list[tuple[Fraction, ...]]:
    assert net.uvw is not None
    return [tuple(m * a + n * b for a, b in zip(*net.uvw, strict=True)) for m, n in matrix]


def _parents(crystal: Crystal, rows: Sequence[Sequence[Fraction]]) -> list[list[float]] | None:
    parents = [pseudocubic_direction(crystal, uvw=row) for row in rows]
    return None if any(row is None for row in parents) else _numbers([row for row in parents if row is not None])


def _numbers(rows: Sequence[Sequence[Fraction]]) -> list[list[float]]:
    return [[int(x) if x.denominator == 1 else float(x) for x in row] for row in rows]


def _text(document: dict[str, Any]) -> str:
    sides = [document["film"], document["substrate"]]
    lines = []
    for role, side in zip(("film", "substrate"), sides, strict=True):
        parent = "" if side["pseudocubic_plane"] is None else f" = {plane_text(side['pseudocubic_plane'])} of the cube"
        lines.append(f"{role}: {side['name']}:{side['phase']} {plane_text(side['plane'])}{parent}, {side['source']}")
    if not document["matches"]:
        return "\n".join([*lines, "no match within these limits; try a larger --max-area or --max-strain"])
    rows = [
        (
            f"{m['area_angstrom2']:.2f}",
            f"{m['film_area_angstrom2']:.2f}",
            " ".join(f"{100 * s:+.3f}%" for s in m["strain_principal"]),
            f"{m['angle_degree']:.3f}",
            _cell(m["film_matrix"]),
            _cell(m["substrate_matrix"]),
            _along(m["film_uvw"]),
            _along(m["substrate_uvw"]),
            "" if m["primitive"] else "supercell",
            " ".join(f"{o['twist_degree']:.2f}" for o in m.get("orientations", ())),
        )
        for m in document["matches"]
    ]
    twists = "twists °" if "orientations" in document["matches"][0] else ""
    header = ("area Å²", "film Å²", "film strain", "angle °", "film cell", "substrate cell", "film [uvw]",
              "substrate [uvw]", "", twists)  # fmt: skip
    return "\n".join([*lines, f"{len(rows)} distinct matches", "", table(header, rows)])


def _cell(matrix: Sequence[Sequence[int]]) -> str:
    return " ".join(f"({m} {n})" for m, n in matrix)


def _along(rows: Sequence[Sequence[float]]) -> str:
    return " ".join("[" + " ".join(f"{x:g}" for x in row) + "]" for row in rows)
