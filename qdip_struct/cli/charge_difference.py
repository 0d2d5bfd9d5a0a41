"""Charge-density difference of finished runs, electrons gained and lost where A and B meet.

  Δρ = ρ_AB − ρ_A − ρ_B      positive: more electrons than in the parts

Three density cubes of CP2K on one grid: same cell and cutoff, and A and B in the geometry they have in AB. What differs
is refused by name. The profile Δλ(z) (e/Å) is the density summed over the planes of the other two cell vectors; with
--center the shells Δρ(r) (e/Å³) about a point. Between slabs with a vacuum the dipole −∫Δλ z dz (e·Å) and the step of
the potential that it makes (eV) are given too. ∫Δρ dV must be zero within 1e-3 e, else the command ends with code 3.
Lengths in Å.

examples:
  qdip charge-difference AB.cube A.cube B.cube --csv profile.csv --plot profile.png
  qdip charge-difference AB.cube A.cube B.cube --center 25.6,25.6,25.6 --shell 0.25 --json
"""

import argparse
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, UsageError
from qdip_struct.base.files import provenance, write_text
from qdip_struct.base.options import add_options
from qdip_struct.cli.console import CELL_VECTORS, answer, note, refuse_places, table
from qdip_struct.materials.options import OutputOptions

_MOST_ROWS = 24


def add_charge_difference_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip charge-difference``."""
    for name, meaning in (("whole", "AB"), ("first", "A"), ("second", "B")):
        parser.add_argument(name, type=Path, metavar=f"{meaning}.cube", help=f"electron density of {meaning}")
    parser.add_argument("--center", metavar="X,Y,Z", help="centre of radial shells, Å")
    parser.add_argument("--shell", type=float, default=0.2, metavar="A", help="width of a shell (default: 0.2 Å)")
    add_options(parser, OutputOptions, told={"csv": "table of the profile (radial with --center)"})


def charge_difference_command(args: argparse.Namespace) -> int:
    """Subtract the cubes, print the balance and the profile; exit 3 when the electrons do not balance."""
    from qdip_struct.analysis.electrons.charge import INTEGRAL_TOLERANCE
    from qdip_struct.analysis.electrons.dipole import difference_document
    from qdip_struct.cp2k.outputs.cube import read_cube

    centre = None if args.center is None else _centre(args.center)
    refuse_places((args.out, args.csv), figures=(args.plot,), force=args.force)
    whole, first, second = (read_cube(path) for path in (args.whole, args.first, args.second))
    document: dict[str, Any] = {
        **difference_document(
            whole,
            first=first,
            second=second,
            axis=CELL_VECTORS[args.axis],
            centre_angstrom=centre,
            shell_angstrom=args.shell,
        ),
        "provenance": provenance(
            "charge-difference",
            {"AB": args.whole, "A": args.first, "B": args.second, "axis": args.axis, "center": args.center},
        ),
    }
    planar, radial = document["planar"], document["radial"]
    if radial is None:
        header = ("height_angstrom", "linear_density_e_per_angstrom", "accumulated_e")
    else:
        header = ("outer_radius_angstrom", "density_e_per_angstrom3", "accumulated_e")
    rows = list(zip(*((planar if radial is None else radial)[name].tolist() for name in header), strict=True))
    if args.csv is not None:
        lines = [",".join(header), *(",".join(f"{value:.9g}" for value in row) for row in rows)]
        write_text(args.csv, "\n".join(lines) + "\n", force=args.force)
    if args.plot is not None:
        from qdip_struct.report.electron_plots import difference_figure
        from qdip_struct.report.figures import save_figure

        save_figure(args.plot, difference_figure(document), force=args.force)
    counts = ", ".join(f"{name} {count:.4f}" for name, count in document["electrons"].items())
    every = -(-len(rows) // _MOST_ROWS)
    shown = [tuple(f"{value:.5f}" for value in row) for row in rows[::every]]
    text = [
        f"electrons: {counts}",
        f"∫Δρ dV = {document['integral_e']:+.2e} e, ½∫|Δρ| dV = {document['displaced_e']:.5f} e changed place",
        *_moved(document),
        "",
        table(("r Å", "Δρ e/Å³", "Q e") if radial is not None else ("z Å", "Δλ e/Å", "Q e"), shown),
    ]
    if every > 1:
        text.append(f"every {every}th of {len(rows)} rows; all with --json or --csv FILE")
    answer(args, document, text="\n".join(text))
    if not document["balanced"]:
        note(
            f"∫Δρ dV = {document['integral_e']:+.4f} e is not zero within {INTEGRAL_TOLERANCE:g} e: the runs do not "
            "hold the same electrons, or the STRIDE of the cubes is too coarse"
        )
        return EXIT_UNFINISHED
    return EXIT_DONE


def _moved(document: dict[str, Any]) -> list[str]:
    moment = document["transfer_dipole_e_angstrom"]
    if moment is None:
        return []
    return [
        f"dipole of the displaced charge: {moment:+.5f} e·Å along the normal; potential above minus below: "
        f"{document['transfer_step_ev']:+.4f} eV"
    ]


def _centre(text: str) -> Any:
    import numpy as np

    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 3 or not np.isfinite(values).all():
        raise UsageError(f"--center {text}: expected three finite coordinates in Å, as 25.6,25.6,25.6")
    return np.array(values)
