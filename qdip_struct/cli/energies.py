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
import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNFINISHED, UsageError
from qdip_struct.base.options import add_options
from qdip_struct.base.units import J_PER_M2_PER_MEV_PER_ANGSTROM2
from qdip_struct.cli.console import answer, note, table
from qdip_struct.materials.options import OutputOptions
from qdip_struct.report.html import fixed

CSV_COLUMNS = (
    "rank",
    "group",
    "substrate",
    "termination",
    "registry",
    "gap_angstrom",
    "layers",
    "relaxed",
    "area_angstrom2",
    "adsorption_energy_mev_per_angstrom2",
    "adsorption_energy_counterpoise_mev_per_angstrom2",
    "adsorption_energy_sandwich_mev_per_angstrom2",
    "interface_energy_mev_per_angstrom2",
    "interface_energy_reference",
    "surface_energy_film_mev_per_angstrom2",
    "surface_energy_substrate_mev_per_angstrom2",
    "surface_energy_substrate_reference",
    "surface_energy_substrate_mean_of_terminations_mev_per_angstrom2",
    "surface_energy_film_mean_of_terminations_mev_per_angstrom2",
    "strain_energy_film_mev_per_angstrom2",
    "strain_energy_substrate_mev_per_angstrom2",
    "formation_energy_mev_per_formula_unit",
)
"""Columns of ``--csv``; each in meV/Å² is followed by the same in J/m²."""


def energies_text(document: Mapping[str, Any]) -> str:
    """The readable form: one block a study with its terms below, then what several studies tell together."""
    lines: list[str] = []
    for group in document["groups"]:
        lines += _group(group)
    for entry in document["thickness_series"]:
        lines += _series(entry)
    for entry in document["adsorption_by_thickness"]:
        lines += _by_thickness(entry)
    if document["means_of_terminations"]:
        lines += _means(document["means_of_terminations"])
    for entry in document["registry_maps"]:
        lines += _registry(entry)
    if document["formation_energies"]:
        lines += _formation(document["formation_energies"])
    if len(document["groups"]) > 1:
        lines += _ranking(document["ranking"])
    return "\n".join(lines) if lines else "no group of runs could be combined"


def energies_csv(document: Mapping[str, Any]) -> str:
    """One line a study in the order of the ranking; numbers with all their digits, empty where there is none."""
    groups = {group["group"]: group for group in document["groups"]}
    columns: list[str] = []
    for name in CSV_COLUMNS:
        columns.append(name)
        if name.endswith("_mev_per_angstrom2"):
            columns.append(name.replace("_mev_per_angstrom2", "_j_per_m2"))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in document["ranking"]["rows"]:
        whole = {**groups[row["group"]], **row}
        layers = "+".join("?" if n is None else str(n) for n in row["layers"])
        writer.writerow({**whole, "layers": layers if layers != "?+?" else None})
    return stream.getvalue()


def _group(group: Mapping[str, Any]) -> list[str]:
    rows = [("surface energy, film", group["surface_energy_film_mev_per_angstrom2"], "")]
    rows += [
        ("surface energy, substrate", item["value_mev_per_angstrom2"], item["reference"])
        for item in group["surface_energy_substrate_limits"]
    ]
    film_mean = group.get("surface_energy_film_mean_of_terminations_mev_per_angstrom2")
    rows += [("surface energy, film", film_mean, "mean of both terminations")]
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
        (name, fixed(value), fixed(value * J_PER_M2_PER_MEV_PER_ANGSTROM2, 4), reference)
        for name, value, reference in rows
        if value is not None
    ]
    terms = [
        (role, term["path"], f"{term['energy_ev']:.6f}", _units(term["n_formula_units"]), _state(term))
        for role, term in group["terms"].items()
    ]
    lines = [
        f"{group['group']}: area {group['area_angstrom2']:.3f} Å²",
        table(("quantity", "meV/Å²", "J/m²", "reference"), body),
        "",
        table(("term", "run", "energy (eV)", "formula units", "state"), terms),
        "",
    ]
    if group["chemical_potential"]:
        lines += _potential(group["chemical_potential"])
    return lines


def _state(term: Mapping[str, Any]) -> str:
    state = "relaxed" if term["relaxed"] else "single point"
    if term["geometry"] not in ("relaxed", "as built"):
        state = f"{state}, {term['geometry']}"
    return f"{state}, from {term['group']}" if term["borrowed"] else state


def _potential(entry: Mapping[str, Any]) -> list[str]:
    header = (f"Δμ({entry['component']}) eV", *(line["name"] for line in entry["lines"]), "limit")
    marks = [entry["limit_names"][0], *[""] * (len(entry["delta_mu_ev"]) - 2), entry["limit_names"][1]]
    rows = [
        (f"{mu:.4f}", *(fixed(line["values_mev_per_angstrom2"][k]) for line in entry["lines"]), mark)
        for k, (mu, mark) in enumerate(zip(entry["delta_mu_ev"], marks, strict=True))
    ]
    head = (
        f"against the chemical potential, meV/Å²; {entry['compound']} from {entry['component']} and {entry['other']}: "
        f"{entry['formation_energy_ev']:+.4f} eV per formula unit ({_source(entry['source'])})"
    )
    unstable = [] if entry["stable"] else [f"{entry['compound']} is not stable against them: the limits have no range"]
    return [head, *unstable, table(header, rows), ""]


def _source(text: str) -> str:
    return "given" if text == "given" else "from runs"


def _series(entry: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            point["path"],
            point["n_layers"],
            f"{point['n_formula_units']:g}",
            fixed(point["surface_energy_direct_mev_per_angstrom2"]),
            fixed(point["surface_energy_fitted_bulk_mev_per_angstrom2"]),
        )
        for point in entry["points"]
    ]
    fit, error = (entry[f"surface_energy_fit_{name}mev_per_angstrom2"] for name in ("", "stderr_"))
    bulk = entry["bulk_energy_difference_mev"]
    return [
        f"thickness series, {entry['side']} {entry['unit']} ({entry['termination']}, "
        f"{'relaxed' if entry['relaxed'] else 'unrelaxed'}, {entry['reference']}): γ of the fit {fixed(fit)}"
        f"{'' if error is None else f' ± {fixed(error)}'} "
        f"meV/Å² ({fixed(fit * J_PER_M2_PER_MEV_PER_ANGSTROM2, 4)} J/m²), "
        f"{_residual(entry)}, bulk {entry['bulk_energy_fit_ev']:.6f} eV"
        + ("" if bulk is None else f", computed bulk {bulk:+.2f} meV from it"),
        f"from the two thickest slabs alone: γ {fixed(entry['surface_energy_two_thickest_mev_per_angstrom2'])} meV/Å², "
        f"bulk {entry['bulk_energy_two_thickest_ev']:.6f} eV",
        table(("slab", "layers", "formula units", "γ direct", "γ with the fitted bulk"), rows),
        "",
    ]


def _residual(entry: Mapping[str, Any]) -> str:
    if len(entry["points"]) < 3:
        return "two thicknesses, no residual"
    return f"residual {entry['residual_mev']:.2f} meV"


def _by_thickness(entry: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            "+".join(map(str, row["layers"])),
            fixed(row["adsorption_energy_mev_per_angstrom2"]),
            fixed(row["surface_energy_film_mev_per_angstrom2"]),
            fixed(row["surface_energy_substrate_mev_per_angstrom2"]),
            fixed(row["interface_energy_mev_per_angstrom2"]),
        )
        for row in entry["rows"]
    ]
    state = "relaxed" if entry["relaxed"] else "unrelaxed"
    return [
        f"against thickness, {entry['film']} on {entry['substrate']}, {entry['termination']}, registry "
        f"{entry['registry']}, {state}; meV/Å²",
        table(("layers", "E_ad", "γ film", "γ substrate", "γ_int"), rows),
        "",
    ]


_METHODS = {
    "parabola": "parabola",
    "single": "one gap",
    "largest": "largest of the gaps",
    "relaxed": "relaxed; gap as built",
}


def _means(entries: Any) -> list[str]:
    keys = ("adsorption_energy", "surface_energy_film", "surface_energy_substrate", "interface_energy")
    rows = [
        (" and ".join(item["groups"]), *(fixed(item[f"{key}_mev_per_angstrom2"]) for key in keys)) for item in entries
    ]
    header = ("studies", "E_ad", "γ film", "γ substrate", "γ_int")
    return ["means of both terminations, free of any chemical potential; meV/Å²", table(header, rows), ""]


def _registry(entry: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            shift["registry"],
            f"{shift['shift_fraction'][0]:.3f}, {shift['shift_fraction'][1]:.3f}",
            shift.get("multiplicity"),
            f"{shift['best_gap_angstrom']:.3f}",
            fixed(shift["adsorption_energy_mev_per_angstrom2"]),
            _METHODS[shift["best_gap_method"]],
        )
        for shift in entry["shifts"]
    ]
    lines = [
        f"registries of {entry['film']} on {entry['substrate']}, {entry['termination']}, "
        f"{'relaxed' if entry['relaxed'] else 'unrelaxed'}: shift of the metal in fractions of the cell",
        table(("registry", "shift", "equals", "best gap (Å)", "E_ad (meV/Å²)", "how"), rows),
    ]
    if "map" in entry:
        place, best = entry["interpolated_minimum"], entry["best"]
        lines.append(
            f"strongest computed: {best['registry']}, {fixed(best['adsorption_energy_mev_per_angstrom2'])} "
            f"meV/Å²; of the interpolated map: ({place['shift_fraction'][0]:.3f}, {place['shift_fraction'][1]:.3f}), "
            f"{fixed(place['adsorption_energy_mev_per_angstrom2'])} meV/Å²; corrugation "
            f"{fixed(entry['corrugation_mev_per_angstrom2'])} meV/Å²"
        )
    return [*lines, ""]


def _formation(entries: Any) -> list[str]:
    rows = [
        (
            item["formula"],
            fixed(item["formation_energy_mev_per_formula_unit"]),
            fixed(item["above_hull_mev_per_formula_unit"]),
            " + ".join(f"{share:.4g} {name}" for name, share in item["shares"].items()),
            item["path"],
        )
        for item in entries
    ]
    header = ("composition", "E_f", "above hull", "end members", "run")
    return ["formation energies of mixed compositions, meV per formula unit", table(header, rows), ""]


def _ranking(entry: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            row["rank"],
            row["group"],
            fixed(row["adsorption_energy_mev_per_angstrom2"]),
            fixed(row["interface_energy_mev_per_angstrom2"]),
            row["interface_energy_reference"],
            fixed(row["surface_energy_film_mev_per_angstrom2"]),
            fixed(row["surface_energy_substrate_mev_per_angstrom2"]),
            fixed(row["formation_energy_mev_per_formula_unit"]),
            {True: "relaxed", False: "unrelaxed", None: "-"}[row["relaxed"]],
        )
        for row in entry["rows"]
    ]
    header = ("rank", "study", "E_ad", "γ_int", "at", "γ film", "γ substrate", "E_f (meV/f.u.)", "slabs")
    return [f"ranked by {entry['by']}; meV/Å²", table(header, rows), ""]


def _units(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def add_energies_arguments(parser: argparse.ArgumentParser) -> None:
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
    add_options(parser, OutputOptions, names=("csv", "plot"), told={"csv": "also a table: one line a study, CSV"})


def energies_command(args: argparse.Namespace) -> int:
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
        return EXIT_FAILED
    return EXIT_UNFINISHED if document["refused"] else EXIT_DONE


def _check_outputs(args: argparse.Namespace) -> None:
    from qdip_struct.report.figures import FIGURE_FORMATS

    if args.plot is not None and args.plot.suffix.lower() not in FIGURE_FORMATS:
        raise UsageError(f"--plot is '{args.plot}'; expected a name that ends in {', '.join(FIGURE_FORMATS)}")
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
