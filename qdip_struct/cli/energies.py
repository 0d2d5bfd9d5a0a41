"""Surface, adsorption, interface and strain energies from finished run folders, with every term.

Runs of one group (run.json) are combined when they belong together: same functional, basis set, potential, cutoff,
lateral cell, k-points, and relaxed alike; every one converged. What does not is refused, with the difference named,
and so is a run folder with a damaged run.json.

  surface     γ     = (E_slab - N E_bulk - m E_reservoir) / 2A
  adsorption  E_ad  = (E_film + E_substrate - E_interface) / A      positive: they bind
  interface   γ_int = γ_film + γ_substrate - E_ad

Several studies together also give: γ from slabs of several thicknesses (E(N) = 2Aγ + N E_bulk), E_ad against
thickness, γ and γ_int against the chemical potential of the reservoir's crystal between the limits where it or the
other component forms, the map of E_ad over lateral shifts with the best gap of each, formation energies of mixed
compositions against end members, and one ranked table. A study that lacks a slab, a bulk cell or a reservoir takes
the same one from another study of the folder; the table of terms says so.

units: meV/Å² and J/m² (1 meV/Å² = 0.0160218 J/m²); energies of runs in eV; chemical potentials in eV per formula unit.

example:
  qdip energies runs
  qdip energies runs --rank-by interface --csv energies.csv --plot energies.svg
  qdip energies runs --formation-energy CsPbBr3=-0.25 --json -o energies.json
"""

import argparse
import math
from pathlib import Path

from qdip_struct.base.errors import UsageError
from qdip_struct.cli.console import answer, note
from qdip_struct.cli.energies_text import energies_csv, energies_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip energies``."""
    add = parser.add_argument
    add("path", nargs="+", type=Path, metavar="PATH", help="run folders, or folders that hold them")
    add(
        "--rank-by",
        default="adsorption",
        metavar="WHAT",
        help="order of the table: adsorption (default), interface, surface-film, surface-substrate or formation",
    )
    add(
        "--formation-energy",
        action="append",
        default=[],
        metavar="FORMULA=EV",
        help="energy of forming one formula unit from the reservoir's crystal and the rest, eV (negative: stable), "
        "for the other limit of the chemical potential when that crystal has no run; repeat the option",
    )
    add("--csv", type=Path, metavar="FILE", help="also write one line a study to a CSV file")
    add("--plot", type=Path, metavar="FILE", help="also draw a figure: svg, png or pdf")


def run(args: argparse.Namespace) -> int:
    """Combine the runs study by study; exit 3 when something was refused, 1 when nothing could be combined."""
    from qdip_struct.analysis.energies.ranking import RANKINGS
    from qdip_struct.analysis.energies.study import energies_of
    from qdip_struct.base.files import refuse_existing, write_text
    from qdip_struct.runs.rundir import survey_run_folders

    if args.rank_by not in RANKINGS:
        raise UsageError(f"--rank-by is '{args.rank_by}'; known: {', '.join(RANKINGS)}")
    given = _formation_energies(args.formation_energy)
    _check_outputs(args)
    for path in (args.out, args.csv, args.plot):
        if path is not None:
            refuse_existing(path, force=args.force)
    folders, damaged = survey_run_folders(args.path)
    document = energies_of(folders, damaged=damaged, rank_by=args.rank_by, formation_energies=given)
    for item in document["refused"]:
        note(f"refused: {', '.join(item['paths'])}: {item['reason']}")
    for group in document["groups"]:
        for warning in group["warnings"]:
            note(f"warning: {group['group']}: {warning}")
    for entry in document["thickness_series"]:
        for warning in entry["warnings"]:
            note(f"warning: thickness series of {entry['side']} {entry['unit']}: {warning}")
    if len(document["groups"]) > 1:
        for warning in document["ranking"]["warnings"]:
            note(f"warning: {warning}")
    if args.csv is not None:
        write_text(args.csv, energies_csv(document), force=args.force)
    if args.plot is not None:
        from qdip_struct.report.energy_plots import energy_figure
        from qdip_struct.report.figures import save_figure

        save_figure(args.plot, energy_figure(document), force=args.force)
    answer(args, document, text=energies_text(document))
    if not any(document[key] for key in ("groups", "thickness_series", "formation_energies")):
        note("error: no energy came out: what was refused stands above, and no other runs belong together")
        return 1
    return 3 if document["refused"] else 0


def _check_outputs(args: argparse.Namespace) -> None:
    from qdip_struct.report.figures import FORMATS

    if args.plot is not None and args.plot.suffix.lower() not in FORMATS:
        raise UsageError(f"--plot is '{args.plot}'; expected a name that ends in {', '.join(FORMATS)}")
    named = [str(path) for path in (args.out, args.csv, args.plot) if path is not None]
    if len(set(named)) < len(named):
        raise UsageError("-o, --csv and --plot need different files")


def _formation_energies(texts: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not sign or not name.strip() or not math.isfinite(number):
            raise UsageError(f"--formation-energy is FORMULA=EV, for example CsPbBr3=-0.25, not '{text}'")
        found[name.strip()] = number
    return found
