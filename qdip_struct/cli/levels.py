"""One-electron levels of a finished run: gap, HOMO and LUMO by region, in-gap states, PDOS, work function, alignment.

Reads what the run wrote, by its project name: PDOS files (regions from run.json; atomic kinds where CP2K wrote no
lists), else orbital cubes (regions from structure.extxyz), else bands (qdip inputs --print bands, with k-points: gap
and edges, no regions); and, when it is there, the Hartree cube. Energies in eV on the run's scale; the Fermi level is
the one printed (with OT it is the HOMO). HOMO and LUMO weights are averaged over levels within 0.01 eV.

in-gap states   levels strictly between the highest occupied and the lowest empty level that have at least --share of
                their weight on the --host (default: region dot, else film)
orbitals        shares of |ψ|² by region when the run wrote orbital cubes (qdip inputs --print orbitals); without PDOS
                they decide where HOMO and LUMO live, with energies as far as the output prints them
comparison      with --against: another run on the same regions, as a rotated against a matched dot
work function   vacuum level beside each surface minus the Fermi level; the vacuum must be 12 Å wide and flat
band alignment  with --bulk twice, from runs: REGION=DIR of each bulk (Hartree cube with bands, or PDOS at Γ) and the
                --period of the layers of each material. Or --align twice, by hand: NAME=V,EDGE,GAP in eV:
                macroscopically averaged Hartree potential in the joint cell, valence edge above the mean Hartree
                potential of the bulk, band gap. Never guessed from one. Without spin-orbit coupling when the runs were.

examples:
  qdip levels runs/embedded --sigma 0.1 --plot levels.png
  qdip levels runs/matched --against runs/rotated
  qdip levels runs/layers --period 5.99 --period 3.004 --bulk film=runs/film_bulk --bulk substrate=runs/substrate_bulk
  qdip levels runs/interface --host film --period 6.0 --align film=-1.20,7.10,0.40 --align substrate=-0.35,5.60,1.70
"""

import argparse
import math
from typing import Any

from qdip_struct.analysis.electrons.levels_request import LevelsRequest, requested_levels
from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, UsageError
from qdip_struct.base.files import provenance, write_text
from qdip_struct.base.options import add_options, request_of
from qdip_struct.cli.console import answer, note, refuse_places, table
from qdip_struct.materials.options import OutputOptions


def add_levels_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip levels``."""
    add_options(parser, LevelsRequest)
    add_options(parser, OutputOptions, names=("csv", "plot"), told={"csv": "table of the broadened PDOS"})


def levels_command(args: argparse.Namespace) -> int:
    """Read the run, print its levels; exit 3 when something asked for could not be decided."""
    refuse_places((args.out, args.csv), figures=(args.plot,), force=args.force)
    request = request_of(args, LevelsRequest)
    document = requested_levels(request)
    if document["pdos"] is None and args.csv is not None:
        raise UsageError(
            f"--csv: {args.folder} holds no PDOS; ask for it with 'qdip inputs --print pdos' (Γ point only)"
        )
    document["provenance"] = provenance("levels", _parameters(request))
    if args.csv is not None:
        write_text(args.csv, _csv(document["pdos"]), force=args.force)
    if args.plot is not None:
        from qdip_struct.report.electron_plots import levels_figure
        from qdip_struct.report.figures import save_figure

        save_figure(args.plot, levels_figure(document), force=args.force)
    answer(args, document, text=levels_text(document))
    for line in document["notes"]:
        note(line)
    return EXIT_UNFINISHED if document["notes"] else EXIT_DONE


def _parameters(request: LevelsRequest) -> dict[str, Any]:
    return {
        "folder": request.folder,
        "sigma_ev": request.sigma,
        "share": request.share,
        "periods_angstrom": request.period,
        "align": request.align,
        "bulk": request.bulk,
    }


def _csv(pdos: dict[str, Any]) -> str:
    parts = pdos["density_per_ev"]
    names = ["_".join(filter(None, (part["group"], part["spin"]))).replace(" ", "_") for part in parts]
    rows = zip(pdos["energy_ev"].tolist(), *(part["values"].tolist() for part in parts), strict=True)
    return "\n".join([",".join(["energy_ev", *names]), *(",".join(f"{v:.6g}" for v in row) for row in rows)]) + "\n"


def levels_text(document: dict[str, Any]) -> str:
    """The readable form of the document."""
    lines = [f"{document['path']}: Fermi level {_energy(document['fermi_ev'])}, gap {_energy(document['gap_ev'])}"]
    if document["levels_from"] == "orbitals":
        lines[0] += "; levels from orbital cubes"
    rows = []
    for name in ("homo", "lumo"):
        edge = document[name]
        if edge is not None:
            shares = [f"{edge['weights'][group]:.3f}" for group in document["projected_on"]]
            rows.append(
                (name.upper(), _energy(edge["energy_ev"], unit=""), edge["spin"], *shares, edge["home"] or "shared")
            )
    if rows:
        lines += ["", table(("level", "eV", "spin", *document["projected_on"], "lives on"), rows)]
    lines += _bands(document["bands"])
    inside = document["in_gap"]
    if inside is not None and inside["reason"] is None:
        lines += ["", f"{len(inside['states'])} in-gap states ({inside['rule']}):"]
        for state in inside["states"]:
            parts = ", ".join(f"{group} {weight:.3f}" for group, weight in state["weights"].items())
            lines.append(f"  {state['energy_ev']:.4f} eV, {state['occupation']:g} e: {parts}")
    rows = [
        (item["name"], item["spin"], *(f"{share:.3f}" for share in item["shares"].values()), item["home"] or "shared")
        for item in document["orbitals"]
    ]
    if rows:
        lines += ["", table(("orbital |ψ|²", "spin", *document["orbitals"][0]["shares"], "lives on"), rows)]
    lines += _compared(document["comparison"])
    surface = document["surface"]
    for side in [] if surface is None else surface["sides"]:
        if side["work_function_ev"] is not None:
            lines.append(f"{side['side']} surface: work function {side['work_function_ev']:.4f} eV")
    lines += _aligned(document["alignment"])
    return "\n".join(lines)


def _compared(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    rows = [("gap (eV)", *(None if gap is None else f"{gap:.4f}" for gap in found["gap_ev"]))]
    for edge in ("homo", "lumo"):
        shares = ("?" if share is None else f"{share:.3f}" for share in found[edge]["host_shares"])
        homes = (home or "shared" for home in found[edge]["homes"])
        cells = (f"{home} ({share} on {found['host']})" for home, share in zip(homes, shares, strict=True))
        rows.append((edge.upper(), *cells))
    rows.append(("states in the gap", *found["n_states_in_gap"]))
    moved = ", ".join(edge.upper() for edge in found["moved"]) or "neither HOMO nor LUMO"
    return ["", table(("", *map(str, found["paths"])), rows), f"moved to another region: {moved}"]


def _energy(value: float | None, *, unit: str = " eV") -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.4f}{unit}"


def _bands(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    rows = []
    for name in ("valence", "conduction"):
        edge = found[name]
        place = " ".join(f"{number:g}" for number in edge["kpoint"])
        rows.append((f"{name} edge", f"{edge['energy_ev']:.4f}", place, edge["name"]))
    text = table(("bands", "eV", "k-point (b)", "name"), rows)
    return ["", text, f"smallest direct gap {found['direct_gap_ev']:.4f} eV, {found['n_kpoints']} k-points"]


def _aligned(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    lines = [
        f"band alignment {found['materials'][0]} / {found['materials'][1]}: type {found['type']}, valence offset "
        f"{found['valence_offset_ev']:+.3f} eV, conduction offset {found['conduction_offset_ev']:+.3f} eV"
    ]
    rows = [
        (
            name,
            f"{term['potential_ev']:.4f}",
            None if term["plateau_spread_ev"] is None else f"{term['plateau_spread_ev']:.4f}",
            f"{term['edge_ev']:.4f}",
            f"{term['gap_ev']:.4f}",
            term["edges_from"],
        )
        for name, term in found.get("terms", {}).items()
    ]
    if rows:
        header = ("material", "potential eV", "varies by", "edge above it", "gap eV", "edges from")
        lines = ["", table(header, rows), *lines]
    return lines
