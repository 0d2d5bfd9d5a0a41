"""Diffraction of a structure file: powder lines of the whole and of each phase, spots of a projection along a zone.

Spacings in Å, angles in degrees, indices in the cell of the file (an 8×8×8 box counts eightfold). Powder lines by
pymatgen's calculator below d = 11 Å; without --two-theta up to 60° or as far as a large cell allows. In a box a dot's
broad peak is many lines. --zone projects along [uvw] and lists the Fourier spots of the whole and of each phase; the
turn is the angle from the first spot, --between gives the angle of two spots by their numbers in the list of the
whole. --spacing says which phase can show a fringe, by the crystal of its name: the (0 1 1) fringe of 4.2 Å is
forbidden in rock salt, so a bare PbS dot has none. --hrtem simulates a micrograph by multislice through abTEM
(GPL-3.0, extra 'hrtem') with the beam along a cell vector; underfocus counts positive, default Scherzer's. Cells may be
oblique: for a micrograph they are repeated to the smallest right-angled cell of the same crystal, unstrained.

examples:
  qdip diffraction embedded.extxyz --zone 111 --spacing 4.2
  qdip diffraction structures/PbS_rocksalt.cif --two-theta 80 --json
  qdip diffraction embedded.extxyz --hrtem image.png --beam c --energy 200 --cs 1.0
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, UsageError
from qdip_struct.base.files import provenance
from qdip_struct.base.options import add_options
from qdip_struct.cli.console import CELL_VECTORS, answer, at_kelvin, note, read_given, refuse_places, table, warn_of
from qdip_struct.materials.options import CrystalOptions, OutputOptions

if TYPE_CHECKING:
    from ase import Atoms

_WHOLE = "whole"
_LISTED = 12


def add_diffraction_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip diffraction``."""
    parser.add_argument("structure", type=Path, metavar="FILE", help="structure file with a three-dimensional cell")
    parser.add_argument("--two-theta", type=float, metavar="DEG", help="largest 2θ of the powder lines, degree")
    parser.add_argument("--zone", metavar="UVW", help="direction of projection in cell vectors, as 111 or '1 1 -1'")
    parser.add_argument(
        "--weakest", type=float, default=0.03, metavar="X", help="part of the strongest spot (default: 0.03)"
    )
    parser.add_argument("--between", metavar="N,M", help="numbers of two spots, from 1: their angle")
    add_options(
        parser, CrystalOptions,
        names=("spacing", "tolerance", "d_min", "wavelength", "temperature", "crystals", "cell"),
    )  # fmt: skip
    parser.add_argument("--dataset", metavar="NAME", help="data set of the crystals that --spacing asks")
    parser.add_argument("--hrtem", type=Path, metavar="FILE", help="simulated micrograph: png, svg or pdf")
    parser.add_argument(
        "--beam", choices=tuple(CELL_VECTORS), default="c", help="cell vector along the beam (default: c)"
    )
    parser.add_argument(
        "--energy", type=float, default=200.0, metavar="KEV", help="of the electrons (default: 200 keV)"
    )
    parser.add_argument("--cs", type=float, default=1.0, metavar="MM", help="spherical aberration (default: 1 mm)")
    parser.add_argument("--defocus", type=float, metavar="A", help="underfocus, Å (default: Scherzer)")
    add_options(parser, OutputOptions, names=("plot",))


def diffraction_command(args: argparse.Namespace) -> int:
    """Print powder lines, spots and what a fringe can be; exit 3 when a phase of --spacing is no known crystal."""
    from msgspec.structs import asdict

    from qdip_struct.analysis.diffraction import diffraction
    from qdip_struct.matching.planes import parse_plane

    refuse_places((args.out,), figures=(args.plot, args.hrtem), force=args.force)
    zone = None if args.zone is None else parse_plane(args.zone)
    if args.between is not None and zone is None:
        raise UsageError("--between names two spots of a --zone")
    atoms, notes = read_given(args.structure, cell=args.cell, used=("constraints", "moments", "velocities"))
    names, parts = _parts(atoms)
    fringe = None if args.spacing is None else _fringes(names, args)
    spots = {
        name: () if zone is None else diffraction.zone_spots(part, zone=zone, d_min=args.d_min, weakest=args.weakest)
        for name, part in parts.items()
    }
    between = None if args.between is None else _between(args.between, spots[_WHOLE])
    limit = min(60.0, diffraction.largest_angle(parts[_WHOLE], wavelength=args.wavelength))
    largest = limit if args.two_theta is None else args.two_theta
    powder = {
        name: diffraction.powder_pattern(part, wavelength=args.wavelength, two_theta_max=largest)
        for name, part in parts.items()
    }
    document = {
        "path": args.structure,
        "wavelength_angstrom": args.wavelength,
        "two_theta_max_degree": largest,
        "zone": zone,
        "parts": [
            {
                "name": name,
                "n_atoms": len(part),
                "powder": [asdict(line) for line in powder[name]],
                "spots": [asdict(spot) for spot in spots[name]],
            }
            for name, part in parts.items()
        ],
        "between": between,
        "fringe": None
        if fringe is None
        else {"spacing_angstrom": args.spacing, "tolerance_angstrom": args.tolerance, "phases": fringe},
        "provenance": provenance(
            "diffraction",
            {"structure": args.structure, "wavelength_angstrom": args.wavelength, "zone": zone, "d_min": args.d_min},
        ),
    }
    if notes:
        document["file_notes"] = notes
    if args.plot is not None:
        from qdip_struct.report.figures import save_figure
        from qdip_struct.report.structure_plots import diffraction_figure

        save_figure(args.plot, diffraction_figure(powder, spots, zone=zone), force=args.force)
    if args.hrtem is not None:
        document["hrtem"] = _micrograph(atoms, args)
    answer(args, document, text=_text(document))
    unknown = [item for item in fringe or [] if item["can_show"] is None]
    for item in unknown:
        note(f"{item['phase']}: {item['reason']}")
    return EXIT_UNFINISHED if unknown else EXIT_DONE


def _parts(atoms: "Atoms") -> tuple[list[str], dict[str, "Atoms"]]:
    """Names of the phases, and the structures to look at: the whole and, where there are several, each phase."""
    phases = atoms.arrays["phase"].astype(str) if "phase" in atoms.arrays else None
    names = [] if phases is None else sorted(set(phases.tolist()))
    parts = {_WHOLE: atoms}
    if phases is not None and len(names) > 1:
        parts |= {name: atoms[phases == name] for name in names}
    return names, parts


def _fringes(names: list[str], args: argparse.Namespace) -> list[dict[str, Any]]:
    """What each phase says about the fringe of ``--spacing``."""
    if not names:
        raise UsageError(
            f"--spacing: {args.structure} has no array 'phase' with names of crystals; 'qdip planes' answers for files"
        )
    return [_fringe(name, args) for name in names]


def _fringe(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Whether the crystal of a phase can show the fringe; None when there is no crystal of that name."""
    from qdip_struct.matching.planes import explain_spacing
    from qdip_struct.materials.structure_files import crystal_named

    try:
        crystal = crystal_named(name, dataset=args.dataset, temperature=args.temperature, files=tuple(args.crystals))
    except UsageError as error:
        return {"phase": name, "can_show": None, "reason": str(error), "allowed": [], "forbidden": []}
    warn_of(crystal.warnings)
    found = explain_spacing(crystal, spacing=args.spacing, tolerance=args.tolerance)
    planes = {
        word: [{"plane": r.plane, "spacing_angstrom": r.spacing_angstrom} for r in found if r.allowed == allowed]
        for word, allowed in (("allowed", True), ("forbidden", False))
    }
    return {
        "phase": name,
        "can_show": bool(planes["allowed"]),
        "reason": None,
        "crystal": crystal.label,
        "a_angstrom": crystal.a_angstrom,
        "temperature_kelvin": crystal.temperature_kelvin,
        "source": crystal.source,
        **planes,
    }


def _micrograph(atoms: Any, args: argparse.Namespace) -> dict[str, Any]:
    """Simulate and draw the micrograph; what was assumed goes into the document."""
    from qdip_struct.analysis.diffraction.hrtem import micrograph
    from qdip_struct.report.figures import save_figure
    from qdip_struct.report.structure_plots import micrograph_figure

    image = micrograph(
        atoms, beam=CELL_VECTORS[args.beam], energy_kev=args.energy, cs_mm=args.cs, defocus_angstrom=args.defocus
    )
    save_figure(args.hrtem, micrograph_figure(image), force=args.force)
    return {
        "file": args.hrtem,
        "beam": args.beam,
        "across": image.across,
        "up": image.up,
        "energy_kev": image.energy_kev,
        "cs_mm": image.cs_mm,
        "defocus_angstrom": image.defocus_angstrom,
        "sampling_angstrom": image.sampling_angstrom,
        "contrast": float(image.intensity.std() / image.intensity.mean()),
    }


def _between(text: str, spots: tuple[Any, ...]) -> dict[str, Any]:
    from qdip_struct.analysis.diffraction.diffraction import spot_angle

    words = text.split(",")
    numbers = [int(word) for word in words if word.strip().isdecimal()]
    if len(words) != 2 or len(numbers) != 2 or not all(1 <= number <= len(spots) for number in numbers):
        raise UsageError(f"--between {text}: expected two numbers from 1 to {len(spots)}, as 1,2")
    one, other = (spots[number - 1] for number in numbers)
    return {"spots": numbers, "hkl": [one.hkl, other.hkl], "angle_degree": spot_angle(one, other)}


def _text(document: dict[str, Any]) -> str:
    from qdip_struct.cli.planes import powder_table
    from qdip_struct.matching.planes import plane_text

    lines = []
    for part in document["parts"]:
        strongest = sorted(part["powder"], key=lambda line: (-round(line["intensity"], 4), line["two_theta_degree"]))
        shown = sorted(strongest[:_LISTED], key=lambda line: line["two_theta_degree"])
        lines.append(
            f"{part['name']}, {part['n_atoms']} atoms: {len(shown)} strongest of {len(strongest)} powder lines up to "
            f"2θ = {document['two_theta_max_degree']:g}°"
        )
        lines += [powder_table(shown, indices="hkl"), ""]
        if document["zone"] is not None:
            listed = [
                (
                    str(number),
                    plane_text(spot["hkl"]),
                    f"{spot['spacing_angstrom']:.4f}",
                    f"{spot['strength']:.4f}",
                    f"{spot['azimuth_degree']:.2f}",
                )
                for number, spot in enumerate(part["spots"], start=1)
            ]
            lines.append(f"{part['name']}: spots along [{' '.join(map(str, document['zone']))}]")
            lines += [table(("spot", "plane", "d Å", "|F|²/F(0)²", "turn °"), listed), ""]
    between = document["between"]
    if between is not None:
        lines.append(f"angle of spots {between['spots'][0]} and {between['spots'][1]}: {between['angle_degree']:.3f}°")
    fringe = document["fringe"]
    for item in [] if fringe is None else fringe["phases"]:
        words = f"a fringe of {fringe['spacing_angstrom']:g} ± {fringe['tolerance_angstrom']:g} Å"
        allowed = ", ".join(plane_text(r["plane"]) for r in item["allowed"])
        forbidden = ", ".join(plane_text(r["plane"]) for r in item["forbidden"])
        if item["can_show"] is not None:
            at = at_kelvin(item["temperature_kelvin"])
            lines.append(f"{item['crystal']}: a = {item['a_angstrom']:.4f} Å{at}, {item['source']}")
        if item["can_show"]:
            lines.append(f"{item['phase']}: {words} can be {allowed}")
        elif item["can_show"] is False:
            lines.append(
                f"{item['phase']}: {words} is none of its own" + (f"; {forbidden} is forbidden" if forbidden else "")
            )
    return "\n".join(lines)
