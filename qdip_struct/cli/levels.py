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
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, UsageError
from qdip_struct.base.files import provenance, write_text
from qdip_struct.cli.console import CELL_VECTORS, answer, note, refuse_places, table


def add_levels_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip levels``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a run folder (or its output file)")
    parser.add_argument("--sigma", type=float, default=0.1, metavar="EV", help="width of the Gaussians, eV (0.1)")
    parser.add_argument("--host", metavar="REGION", help="whose gap is searched for states (dot, else film)")
    parser.add_argument("--share", type=float, default=0.5, metavar="X", help="weight that makes a level its own (0.5)")
    parser.add_argument("--axis", choices=tuple(CELL_VECTORS), default="c", help="cell vector across the slab (c)")
    parser.add_argument(
        "--period", action="append", type=float, default=[], metavar="A", help="period to average over, Å; repeatable"
    )
    parser.add_argument("--align", action="append", default=[], metavar="NAME=V,EDGE,GAP", help="a material, eV; twice")
    parser.add_argument("--bulk", action="append", default=[], metavar="REGION=DIR", help="run of a bulk; twice")
    parser.add_argument("--against", type=Path, metavar="DIR", help="another run folder to compare with")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="table of the broadened PDOS")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="figure: png, svg or pdf")


def levels_command(args: argparse.Namespace) -> int:
    """Read the run, print its levels; exit 3 when something asked for could not be decided."""
    from qdip_struct.analysis.electrons.orbitals import orbital_document
    from qdip_struct.analysis.electrons.run_levels import (
        alignment_document,
        comparison_document,
        level_document,
        surface_document,
    )
    from qdip_struct.cp2k.outputs.output import read_run

    if args.align and args.bulk:
        raise UsageError("--align and --bulk say the same thing twice; use one of them")
    alignment = _alignment(args.align)
    bulks = _bulks(args.bulk)
    refuse_places((args.out, args.csv), figures=(args.plot,), force=args.force)
    finished = read_run(args.folder)
    orbitals = orbital_document(args.folder, finished)
    found = level_document(
        args.folder, finished, sigma_ev=args.sigma, host=args.host, share=args.share, orbitals=orbitals
    )
    if found["pdos"] is None and args.csv is not None:
        raise UsageError(
            f"--csv: {args.folder} holds no PDOS; ask for it with 'qdip inputs --print pdos' (Γ point only)"
        )
    doubts: list[str] = []
    if bulks:
        alignment, doubts = alignment_document(
            args.folder, finished, bulks=bulks, axis=CELL_VECTORS[args.axis], periods_angstrom=tuple(args.period)
        )
    elif found["levels_from"] is None and alignment is None and not args.period:
        doubts.append("the run wrote neither PDOS nor orbital cubes nor bands: no levels, only the potential")
    comparison = None if args.against is None else comparison_document(found, _levels_of_other(args))
    surface, problems = surface_document(
        args.folder,
        finished,
        axis=CELL_VECTORS[args.axis],
        periods_angstrom=tuple(args.period),
        fermi_ev=found["fermi_ev"],
        homo_ev=_valence_edge(found),
    )
    notes = found.pop("notes") + problems + doubts
    pdos = found.pop("pdos")
    document: dict[str, Any] = {
        **found,
        "orbitals": orbitals,
        "comparison": comparison,
        "surface": surface,
        "alignment": alignment,
        "pdos": pdos,
        "notes": notes,
        "provenance": provenance("levels", _parameters(args)),
    }
    if args.csv is not None:
        write_text(args.csv, _csv(pdos), force=args.force)
    if args.plot is not None:
        from qdip_struct.report.electron_plots import levels_figure
        from qdip_struct.report.figures import save_figure

        save_figure(args.plot, levels_figure(document), force=args.force)
    answer(args, document, text=levels_text(document))
    for line in notes:
        note(line)
    return EXIT_UNFINISHED if notes else EXIT_DONE


def _levels_of_other(args: argparse.Namespace) -> dict[str, Any]:
    """Levels of the run of ``--against``."""
    from qdip_struct.analysis.electrons.orbitals import orbital_document
    from qdip_struct.analysis.electrons.run_levels import level_document
    from qdip_struct.cp2k.outputs.output import read_run

    finished = read_run(args.against)
    orbitals = orbital_document(args.against, finished)
    return level_document(args.against, finished, host=args.host, share=args.share, orbitals=orbitals)


def _parameters(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "folder": args.folder,
        "sigma_ev": args.sigma,
        "share": args.share,
        "periods_angstrom": args.period,
        "align": args.align,
        "bulk": args.bulk,
    }


def _valence_edge(found: dict[str, Any]) -> float | None:
    """Energy of the highest occupied level or band, where it is known."""
    if found["bands"] is not None:
        return float(found["bands"]["valence"]["energy_ev"])
    homo = found["homo"]
    return None if homo is None or homo["energy_ev"] != homo["energy_ev"] else float(homo["energy_ev"])


def _csv(pdos: dict[str, Any]) -> str:
    parts = pdos["density_per_ev"]
    names = ["_".join(filter(None, (part["group"], part["spin"]))).replace(" ", "_") for part in parts]
    rows = zip(pdos["energy_ev"].tolist(), *(part["values"].tolist() for part in parts), strict=True)
    return "\n".join([",".join(["energy_ev", *names]), *(",".join(f"{v:.6g}" for v in row) for row in rows)]) + "\n"


def _bulks(words: list[str]) -> dict[str, Path]:
    found = {}
    for word in words:
        name, _, place = word.partition("=")
        if not name or not place:
            raise UsageError(f"--bulk {word}: expected REGION=DIR, as film=runs/film_bulk")
        found[name] = Path(place)
    if words and len(found) != 2:
        raise UsageError(f"--bulk is needed for two regions, not for {len(found)}")
    return found


def _alignment(words: list[str]) -> dict[str, Any] | None:
    """Band alignment of the two materials of ``--align``."""
    from qdip_struct.analysis.electrons.potential import band_alignment

    if not words:
        return None
    if len(words) != 2:
        raise UsageError(f"--align is needed for two materials, not for {len(words)}")
    names, numbers = [], []
    for word in words:
        name, _, text = word.partition("=")
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            values = []
        if not name or len(values) != 3:
            raise UsageError(f"--align {word}: expected NAME=V,EDGE,GAP in eV, as film=-1.20,7.10,0.40")
        names.append(name)
        numbers.append(values)
    potentials, edges, gaps = ((a, b) for a, b in zip(*numbers, strict=True))
    found = band_alignment(potentials_ev=potentials, valence_edges_ev=edges, gaps_ev=gaps)
    return {
        "materials": names,
        "type": found.kind,
        "valence_offset_ev": found.valence_offset_ev,
        "conduction_offset_ev": found.conduction_offset_ev,
    }


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
