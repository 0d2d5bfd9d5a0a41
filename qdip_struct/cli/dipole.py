"""Dipole moment of slabs and dots of finished runs, from the density cube and as CP2K printed it.

  p = Σ Z r − ∫ ρ(r) r dV        from − to +, in e·Å and debye (1 e·Å = 4.80320 D)

The density is cut in the middle of the vacuum, so the moment of a neutral body does not depend on the origin; the
height of the cut is printed. Z are the valence charges of the run's GTH potentials. --axes c is a slab; --axes a,b,c
is a dot in a box with 8 Å or more of vacuum on every side. For a slab the step of the potential −p/(ε₀A) (eV, above
minus below) stands beside the step of the vacuum levels when the run wrote a Hartree cube. What CP2K prints for a
periodic cell is a Berry-phase moment, defined only up to e times a cell vector: it is listed and not used.

examples:
  qdip dipole runs/interface runs/film
  qdip dipole runs/dot --axes a,b,c --json
"""

import argparse
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, DataError, QdipError, UsageError
from qdip_struct.base.files import provenance, refuse_existing
from qdip_struct.cli.console import CELL_VECTORS, answer, note, table


def add_dipole_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip dipole``."""
    parser.add_argument("path", nargs="+", type=Path, metavar="DIR", help="run folders (or output files)")
    parser.add_argument(
        "--axes", default="c", metavar="a,b,c", help="cell vectors across a vacuum (default: c, a slab)"
    )


def dipole_command(args: argparse.Namespace) -> int:
    """Print the moment of every run; exit 3 when some have none, 1 when all have none."""
    from qdip_struct.analysis.electrons.dipole import dipole_document
    from qdip_struct.cp2k.outputs.output import read_run

    names = [word.strip() for word in args.axes.split(",")]
    if not names or any(name not in CELL_VECTORS for name in names) or len(set(names)) < len(names):
        raise UsageError(f"--axes {args.axes}: expected some of a, b and c, as c or a,b,c")
    axes = tuple(sorted(CELL_VECTORS[name] for name in names))
    if args.out is not None:
        refuse_existing(args.out, force=args.force)
    found, failed = [], []
    for path in args.path:
        try:
            found.append(dipole_document(path, read_run(path), axes=axes))
        except QdipError as error:
            failed.append({"path": path, "reason": str(error)})
    document = {
        "runs": found,
        "failed": failed,
        "provenance": provenance("dipole", {"path": args.path, "axes": args.axes}),
    }
    if not found:
        raise DataError("; ".join(item["reason"] for item in failed))
    for item in failed:
        note(f"failed: {item['reason']}")
    answer(args, document, text=_text(found))
    return EXIT_UNFINISHED if failed else EXIT_DONE


def _text(runs: list[dict[str, Any]]) -> str:
    header = ("run", "px e·Å", "py e·Å", "pz e·Å", "px D", "py D", "pz D", "cut Å", "step eV", "vacuum step eV")
    rows = []
    for one in runs:
        density = one["density"]
        if density is None:
            rows.append((one["path"], *[None] * 9))
            continue
        numbers = [
            f"{round(value, 5) + 0.0:.5f}" for key in ("e_angstrom", "debye") for value in density[f"moment_{key}"]
        ]
        cut = " ".join(f"{height:.3f}" for height in density["cut_angstrom"])
        steps = [
            None if value is None else f"{value:+.4f}"
            for value in (density["potential_step_ev"], one["vacuum_step_ev"])
        ]
        rows.append((one["path"], *numbers, cut, *steps))
    lines = [
        table(header, rows),
        "",
        "from the electron density; cuts in the middle of the vacuum, heights from the cell's origin",
    ]
    for one in runs:
        if one["printed_debye"] is not None:
            values = ", ".join(f"{value:.5f}" for value in one["printed_debye"])
            lines.append(f"{one['path']}: CP2K printed {values} D (Berry phase, up to e times a cell vector)")
    return "\n".join(lines)
