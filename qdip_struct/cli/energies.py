"""Surface, adsorption, interface and strain energies from finished run folders, with every term.

Runs of one group (run.json) are combined when they belong together: same functional, basis set, potential, cutoff,
lateral cell and k-points, every one converged. What does not is refused, with the difference named.

  surface     γ     = (E_slab - N E_bulk - m E_reservoir) / 2A
  adsorption  E_ad  = (E_film + E_substrate - E_interface) / A      positive: they bind
  interface   γ_int = γ_film + γ_substrate - E_ad

units: meV/Å² (1 meV/Å² = 0.0160218 J/m²); energies of runs in eV.

example:
  qdip energies runs
  qdip energies runs --json -o energies.json
"""

import argparse
from pathlib import Path
from typing import Any

from qdip_struct.cli.console import answer, note, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip energies``."""
    parser.add_argument("path", nargs="+", type=Path, metavar="PATH", help="run folders, or folders that hold them")


def run(args: argparse.Namespace) -> int:
    """Combine the runs group by group; exit 3 when something was refused, 1 when nothing could be combined."""
    from qdip_struct.campaign.answers import energies_of
    from qdip_struct.campaign.rundir import find_run_folders
    from qdip_struct.files import refuse_existing

    if args.out is not None:
        refuse_existing(args.out, force=args.force)
    document = energies_of(find_run_folders(args.path))
    for item in document["refused"]:
        note(f"refused: {', '.join(item['paths'])}: {item['reason']}")
    answer(args, document, text=energies_text(document))
    if not document["groups"]:
        return 1
    return 3 if document["refused"] else 0


def energies_text(document: dict[str, Any]) -> str:
    """The readable form: one block a group, the terms below."""
    lines: list[str] = []
    for group in document["groups"]:
        rows = [("surface energy, film", group["surface_energy_film_mev_per_angstrom2"], "")]
        rows += [
            ("surface energy, substrate", item["value_mev_per_angstrom2"], item["reference"])
            for item in group["surface_energy_substrate_limits"]
        ]
        mean = group["surface_energy_substrate_mean_of_terminations_mev_per_angstrom2"]
        rows += [("surface energy, substrate", mean, "mean of both terminations")]
        rows += [("adsorption energy (work of adhesion)", group["adsorption_energy_mev_per_angstrom2"], "")]
        counterpoise = group["adsorption_energy_counterpoise_mev_per_angstrom2"]
        rows += [("adsorption energy, counterpoise corrected", counterpoise, "")]
        sandwich = group["adsorption_energy_sandwich_mev_per_angstrom2"]
        rows += [("adsorption energy, mean of a sandwich's two interfaces", sandwich, "")]
        rows += [
            ("interface energy", item["value_mev_per_angstrom2"], item["reference"])
            for item in group["interface_energy_limits"]
        ]
        rows += [("strain energy, film", group["strain_energy_film_mev_per_angstrom2"], "")]
        rows += [("strain energy, substrate", group["strain_energy_substrate_mev_per_angstrom2"], "")]
        body = [
            (name, f"{round(value, 2) + 0.0:.2f}", reference) for name, value, reference in rows if value is not None
        ]
        terms = [
            (role, term["path"], f"{term['energy_ev']:.6f}", _units(term["n_formula_units"]))
            for role, term in group["terms"].items()
        ]
        lines += [
            f"{group['group']}: area {group['area_angstrom2']:.3f} Å²",
            table(("meV/Å²", "value", "reference"), body),
            "",
            table(("term", "run", "energy (eV)", "formula units"), terms),
            "",
        ]
    return "\n".join(lines) if lines else "no group of runs could be combined"


def _units(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"
