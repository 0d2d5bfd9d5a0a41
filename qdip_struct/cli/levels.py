"""One-electron levels of a finished run: gap, HOMO and LUMO by region, in-gap states, broadened PDOS, work function.

Reads the PDOS files of a run folder (project name, regions from run.json; atomic kinds where CP2K wrote no lists) and,
when it is there, the Hartree cube. Energies in eV on the run's scale; the Fermi level is the header's (with OT it is
the HOMO). HOMO and LUMO weights are shares of CP2K's projection, averaged over levels within 0.01 eV.

in-gap states   levels strictly between the highest occupied and the lowest empty level that have at least --share of
                their weight on the --host (default: region dot, else film)
work function   vacuum level beside each surface minus the Fermi level; the vacuum must be 12 Å wide and flat
band alignment  with --align twice: NAME=V,EDGE,GAP in eV: macroscopically averaged Hartree potential in the joint cell,
                valence edge above the mean Hartree potential of the bulk, band gap. Never guessed from one.

examples:
  qdip levels runs/embedded --sigma 0.1 --plot levels.png
  qdip levels runs/interface --host film --period 6.0 --align film=-1.20,7.10,0.40 --align substrate=-0.35,5.60,1.70
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.cli.console import answer, note, table
from qdip_struct.errors import DataError, UsageError
from qdip_struct.files import provenance, refuse_existing, write_text

if TYPE_CHECKING:
    from qdip_struct.analysis.levels import Channel, Edge
    from qdip_struct.cp2k.run import Run

AXES = {"a": 0, "b": 1, "c": 2}
HOSTS = ("dot", "film")
_MARGIN_EV = 5.0
_POINTS = 1001


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip levels``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a run folder (or its output file)")
    parser.add_argument("--sigma", type=float, default=0.1, metavar="EV", help="width of the Gaussians, eV (0.1)")
    parser.add_argument("--host", metavar="REGION", help="whose gap is searched for states (dot, else film)")
    parser.add_argument("--share", type=float, default=0.5, metavar="X", help="weight that makes a level its own (0.5)")
    parser.add_argument("--axis", choices=tuple(AXES), default="c", help="cell vector across the slab (c)")
    parser.add_argument(
        "--period", action="append", type=float, default=[], metavar="A", help="period to average over, Å; repeatable"
    )
    parser.add_argument("--align", action="append", default=[], metavar="NAME=V,EDGE,GAP", help="a material, eV; twice")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="table of the broadened PDOS")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="figure: png, svg or pdf")


def run(args: argparse.Namespace) -> int:
    """Read the run, print its levels; exit 3 when something asked for could not be decided."""
    import numpy as np

    from qdip_struct.analysis import levels
    from qdip_struct.cp2k.output import read_run
    from qdip_struct.report.lattice_plots import FORMATS

    alignment = _alignment(args.align)
    if not (np.isfinite(args.sigma) and args.sigma > 0):
        raise UsageError(f"--sigma {args.sigma:g}: expected a width greater than 0 eV")
    for path in (args.out, args.csv, args.plot):
        if path is not None:
            refuse_existing(path, force=args.force)
    if args.plot is not None and args.plot.suffix.lower() not in FORMATS:
        raise UsageError(f"cannot write {args.plot}: expected a name that ends in {', '.join(FORMATS)}")
    finished = read_run(args.folder)
    if finished.scf_converged is not True:
        raise DataError(f"{args.folder}: its last SCF did not converge ({finished.reason}); its levels mean nothing")
    channels = _channels(args.folder, finished)
    groups = channels[0].groups
    homo, lumo, gap = levels.highest_occupied(channels), levels.lowest_empty(channels), levels.gap_of(channels)
    host = args.host or next((name for name in HOSTS if name in groups), None)
    inside = None if host is None else levels.states_in_gap(channels, host=host, share=args.share)
    fermi = max(channel.fermi_ev for channel in channels)
    notes = []
    if finished.status != "done":
        notes.append(f"the run is not finished: {finished.status}")
    if lumo is None:
        notes.append("CP2K printed no empty level: no gap; ask for them with NLUMO in &PDOS")
    if inside is not None and inside.reason is not None:
        notes.append(f"in-gap states cannot be decided: {inside.reason}")
    surface, problem = _surface(args, finished, fermi, None if homo is None else homo.energy_ev)
    notes += problem
    energies = np.concatenate([channel.energies_ev for channel in channels])
    grid = np.linspace(energies.min() - _MARGIN_EV * args.sigma, energies.max() + _MARGIN_EV * args.sigma, _POINTS)
    densities = levels.density_of_states(channels, energies_ev=grid, sigma_ev=args.sigma)
    document: dict[str, Any] = {
        "path": args.folder,
        "status": finished.status,
        "projected_on": groups,
        "fermi_ev": fermi,
        "gap_ev": gap,
        "homo": _edge(homo),
        "lumo": _edge(lumo),
        "channels": [
            {
                "spin": channel.spin,
                "fermi_ev": channel.fermi_ev,
                "gap_ev": levels.gap_of([channel]),
                "n_levels": len(channel.energies_ev),
                "electrons": float(channel.occupations.sum()),
            }
            for channel in channels
        ],
        "in_gap": None
        if inside is None
        else {
            "rule": f"between the outermost levels with at least {inside.share:g} of their weight on {inside.host}",
            "host": inside.host,
            "host_homo_ev": inside.host_homo_ev,
            "host_lumo_ev": inside.host_lumo_ev,
            "reason": inside.reason,
            "states": [vars(state) for state in inside.states],
        },
        "surface": surface,
        "alignment": alignment,
        "pdos": {
            "sigma_ev": args.sigma,
            "energy_ev": grid,
            "density_per_ev": [
                {"spin": spin or None, "group": group, "values": values} for (spin, group), values in densities.items()
            ],
        },
        "notes": notes,
        "provenance": provenance("levels", {"folder": args.folder, "sigma_ev": args.sigma, "share": args.share}),
    }
    if args.csv is not None:
        head = ",".join(["energy_ev", *("_".join(filter(None, key[::-1])).replace(" ", "_") for key in densities)])
        rows = zip(grid.tolist(), *(values.tolist() for values in densities.values()), strict=True)
        lines = [head, *(",".join(f"{value:.6g}" for value in row) for row in rows)]
        write_text(args.csv, "\n".join(lines) + "\n", force=args.force)
    if args.plot is not None:
        from qdip_struct.report.lattice_plots import save_figure
        from qdip_struct.report.level_plots import levels_figure

        figure = levels_figure(grid, densities, fermi_ev=fermi, homo=homo, lumo=lumo)
        save_figure(args.plot, figure, force=args.force)
    answer(args, document, text=levels_text(document))
    for line in notes:
        note(line)
    return 3 if notes else 0


def levels_text(document: dict[str, Any]) -> str:
    """The readable form of the document."""
    gap = document["gap_ev"]
    lines = [
        f"{document['path']}: Fermi level {document['fermi_ev']:.4f} eV, gap "
        + ("unknown" if gap is None else f"{gap:.4f} eV")
    ]
    rows = []
    for name in ("homo", "lumo"):
        edge = document[name]
        if edge is not None:
            shares = [f"{edge['weights'][group]:.3f}" for group in document["projected_on"]]
            rows.append((name.upper(), f"{edge['energy_ev']:.4f}", edge["spin"], *shares, edge["home"] or "shared"))
    lines += ["", table(("level", "eV", "spin", *document["projected_on"], "lives on"), rows)]
    inside = document["in_gap"]
    if inside is not None and inside["reason"] is None:
        lines += ["", f"{len(inside['states'])} in-gap states ({inside['rule']}):"]
        for state in inside["states"]:
            parts = ", ".join(f"{group} {weight:.3f}" for group, weight in state["weights"].items())
            lines.append(f"  {state['energy_ev']:.4f} eV, {state['occupation']:g} e: {parts}")
    surface = document["surface"]
    for side in [] if surface is None else surface["sides"]:
        if side["work_function_ev"] is not None:
            lines.append(f"{side['side']} surface: work function {side['work_function_ev']:.4f} eV")
    found = document["alignment"]
    if found is not None:
        lines.append(
            f"band alignment {found['materials'][0]} / {found['materials'][1]}: type {found['type']}, valence offset "
            f"{found['valence_offset_ev']:+.3f} eV, conduction offset {found['conduction_offset_ev']:+.3f} eV"
        )
    return "\n".join(lines)


def _channels(folder: Path, finished: "Run") -> "tuple[Channel, ...]":
    """Projections of the run with the names that run.json gives to CP2K's lists."""
    from qdip_struct.analysis.levels import channels_of
    from qdip_struct.campaign.rundir import RECORD, open_run_folder
    from qdip_struct.cp2k.pdos import read_pdos
    from qdip_struct.cp2k.sidefiles import side_files

    parts = [read_pdos(path) for path in side_files(finished).pdos]
    if not parts:
        raise DataError(
            f"{folder} holds no PDOS file of its project; ask for it with 'qdip inputs --print pdos' (Γ point only)"
        )
    names: dict[str, str] = {}
    if (folder / RECORD).is_file():
        regions = open_run_folder(folder).record.get("pdos_regions") or []
        n_lists = len({part.group for part in parts if part.group.startswith("list ")})
        if regions and n_lists and len(regions) != n_lists:
            raise DataError(f"{folder}: {n_lists} PDOS lists, but {RECORD} names {len(regions)} regions")
        names = {f"list {number}": str(name) for number, name in enumerate(regions, start=1)}
    return channels_of(parts, names=names)


def _edge(edge: "Edge | None") -> dict[str, Any] | None:
    return None if edge is None else {**vars(edge), "home": edge.home}


def _surface(
    args: argparse.Namespace, finished: "Run", fermi: float, homo: float | None
) -> tuple[dict[str, Any] | None, list[str]]:
    """Vacuum levels, work functions and the averaged potential, when the run wrote a Hartree cube."""
    from qdip_struct.analysis.potential import FLAT_EV, hartree_profile, vacuum_levels
    from qdip_struct.cp2k.cube import check_cell, read_cube
    from qdip_struct.cp2k.sidefiles import side_files

    path = side_files(finished).cubes.get("v_hartree")
    if path is None:
        return None, [f"{args.folder} holds no Hartree cube: nothing to average"] if args.period else []
    cube = read_cube(path)
    if finished.cell is not None:
        check_cell(cube, cell=finished.cell)
    axis, notes, sides = AXES[args.axis], [], []
    for level in vacuum_levels(cube, axis=axis):
        if not level.flat:
            notes.append(
                f"{level.side} surface: the vacuum potential varies by {level.spread_ev:.3f} eV (above {FLAT_EV:g}): "
                "no work function; use more vacuum or a dipole correction"
            )
        sides.append(
            {
                "side": level.side,
                "vacuum_level_ev": level.level_ev,
                "spread_ev": level.spread_ev,
                "work_function_ev": level.level_ev - fermi if level.flat else None,
                "ionisation_energy_ev": level.level_ev - homo if level.flat and homo is not None else None,
            }
        )
    plain = hartree_profile(cube, axis=axis)
    averaged = hartree_profile(cube, axis=axis, periods_angstrom=tuple(args.period)) if args.period else None
    return {
        "axis": args.axis,
        "sides": sides,
        "height_angstrom": plain.heights_angstrom,
        "planar_ev": plain.values,
        "periods_angstrom": args.period,
        "macroscopic_ev": None if averaged is None else averaged.values,
    }, notes


def _alignment(words: list[str]) -> dict[str, Any] | None:
    """Band alignment of the two materials of ``--align``."""
    from qdip_struct.analysis.potential import band_alignment

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
