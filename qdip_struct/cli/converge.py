"""A convergence study: run folders at several cutoffs, k-point meshes or vacuum widths; later its table and plot.

Given a structure and --vary, it writes the run folders; given the folder of a study, it reads the result.

  cutoff, rel_cutoff in Ry; kpoints: points along the shortest lattice vector; vacuum in Å

example:
  qdip converge bulk.extxyz --vary cutoff=200,300,400,600 --preset production -o cutoffs
  qdip run cutoffs
  qdip converge cutoffs --plot cutoffs.svg
"""

import argparse
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, DataError, UsageError
from qdip_struct.base.options import add_options, request_of
from qdip_struct.cli.console import answer, emit, read_given, table
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.materials.options import CrystalOptions, OutputOptions

_ASKED = ("preset", "set")
"""What of a request for inputs a study leaves open."""


def add_converge_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip converge``."""
    parser.add_argument("path", type=Path, metavar="PATH", help="structure to study, or the folder of a study")
    parser.add_argument("--vary", metavar="NAME=V1,V2", help="what to vary, at which values")
    add_options(parser, InputsRequest, names=_ASKED)
    add_options(parser, CrystalOptions, names=("cell",))
    add_options(parser, OutputOptions, names=("plot",))


def converge_command(args: argparse.Namespace) -> int:
    """Prepare a study or read one; exit 3 when a level is not done."""
    if args.path.is_dir():
        if args.vary:
            raise UsageError(f"{args.path} is a folder; --vary needs a structure file")
        return _read(args)
    if not args.vary:
        raise UsageError("give --vary NAME=V1,V2,... with a structure, or the folder of a study without it")
    return _prepare(args)


def _prepare(args: argparse.Namespace) -> int:
    from qdip_struct.base.files import provenance, refuse_existing
    from qdip_struct.campaign.convergence import make_levels, parse_vary
    from qdip_struct.cli.check import schema_for
    from qdip_struct.cp2k.inputs.deck import deck_maker
    from qdip_struct.cp2k.inputs.preflight import checked
    from qdip_struct.materials.structure_files import structure_stem
    from qdip_struct.runs.run_draft import draft_run, write_run_folder

    name, values = parse_vary(args.vary)
    maker = deck_maker(request_of(args, InputsRequest, names=_ASKED))
    atoms, notes = read_given(args.path, cell=args.cell, used=("constraints", "moments", "periodicity"))
    schema, version = schema_for(None)
    out = args.out if args.out is not None else Path(f"{structure_stem(args.path)}_{name}")
    levels = make_levels(atoms, name=name, values=values, request=maker.request)
    decks = []
    for level in levels:
        refuse_existing(out / f"{name}_{level.value:g}", force=args.force)
        deck = maker.deck(level.atoms, role="single", request=level.request)
        checked(deck, schema=schema, source=f"{name} {level.value:g}")
        decks.append(deck)
    asked = maker.request
    parameters = {"preset": asked.preset, "vary": args.vary, "set": asked.set, "structure": args.path.name}
    if args.cell is not None:
        parameters["cell"] = args.cell
    for level, deck in zip(levels, decks, strict=True):
        varied = {"name": name, "value": level.value}
        draft = draft_run(
            level.atoms,
            deck=deck,
            role="single",
            group=f"{structure_stem(args.path)} {name}",
            provenance=provenance("converge", parameters, cp2k_version=version, vary=varied),
            structure_report={"file_notes": notes} if notes else None,
        )
        write_run_folder(out / f"{name}_{level.value:g}", draft, force=args.force)
    document = {"path": str(out), "vary": name, "values": values}
    shown = ", ".join(f"{value:g}" for value in values)
    emit(document, as_json=args.json, text=f"{out}: {len(values)} run folders, {name} {shown}; next: qdip run {out}")
    return EXIT_DONE


def _read(args: argparse.Namespace) -> int:
    from qdip_struct.campaign.convergence import points_document, read_points
    from qdip_struct.runs.rundir import find_run_folders

    name, points = read_points(find_run_folders([args.path]))
    document = points_document(name, points)
    done = [point for point in points if point.status == "done"]
    if args.plot is not None:
        _plot(args, document, n_done=len(done))
    rows = [
        (
            f"{p.value:g}",
            p.status,
            None if p.energy_per_atom_ev is None else f"{p.energy_per_atom_ev:.6f}",
            None if p.difference_mev_per_atom is None else f"{p.difference_mev_per_atom + 0.0:.3f}",
            None if p.wall_time_s is None else f"{p.wall_time_s:.0f}",
        )
        for p in points
    ]
    header = (f"{name} ({document['unit']})", "status", "eV/atom", "meV/atom against finest", "time s")
    answer(args, document, text=table(header, rows))
    return EXIT_DONE if len(done) == len(points) else EXIT_UNFINISHED


def _plot(args: argparse.Namespace, document: dict[str, Any], *, n_done: int) -> None:
    from qdip_struct.report.energy_plots import convergence_figure
    from qdip_struct.report.figures import save_figure

    if n_done < 2:
        raise DataError(f"{args.path}: a plot needs two finished levels, there are {n_done}")
    save_figure(args.plot, convergence_figure(document), force=args.force)
