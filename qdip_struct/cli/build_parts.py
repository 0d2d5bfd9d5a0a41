"""The last geometry of a finished run, or a relaxed structure, as the start of new runs: whole and cut into its slabs.

SOURCE is a run folder, or a structure with region labels (extxyz). Written are ROLE.extxyz, and for an interface also
film.extxyz and substrate.extxyz at the coordinates they have in it, each with a sidecar that keeps what the builder
said (crystals, planes, layers, termination), so that 'qdip inputs' and 'qdip energies' know what belongs together.
Coordinates in Å.

A film under strain may have several minima: the work of adhesion is that of the contact alone only when film and
substrate start where the interface left them.

examples:
  qdip build parts relaxed/interface -o start         # the run's film, substrate and interface
  qdip build parts prerelaxed.extxyz -o start --group 'PbS(100)//MAPbI3(110), PbI2'
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import EXIT_DONE, DataError, UsageError
from qdip_struct.cli.console import emit, read_given, table

if TYPE_CHECKING:
    from ase import Atoms


def add_build_parts_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip build parts``."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="run folder, or structure file with region labels")
    parser.add_argument("--group", metavar="NAME", help="group of the new runs (default: that of SOURCE)")
    parser.add_argument(
        "--unfinished", action="store_true", help="take the last geometry of a run that has not converged"
    )


def build_parts_command(args: argparse.Namespace) -> int:
    """Write the structure and its parts."""
    from qdip_struct.base.files import provenance, sha256
    from qdip_struct.builders.interface.parts import described, is_interface, parts_of
    from qdip_struct.cli.building import cell_row, folder_of, write_cells
    from qdip_struct.materials.structure_files import structure_stem

    out = folder_of(args.out, holds="interface")
    atoms, facts = _of_run(args.source, unfinished=args.unfinished) if args.source.is_dir() else _of_file(args.source)
    role = str(facts.get("role") or atoms.info.get("role") or ("interface" if is_interface(atoms) else "single"))
    group = args.group or str(facts.get("group") or atoms.info.get("group") or structure_stem(args.source))
    cells = {role: atoms, **(parts_of(atoms) if role == "interface" else {})}
    for name, cell in cells.items():
        cell.info = {"role": name, "group": group}
    try:
        reports = {name: described(cell, facts=facts, role=name, group=group) for name, cell in cells.items()}
    except UsageError as error:
        raise UsageError(f"{args.source}: {error}") from error
    taken = {"source": args.source.name, "group": args.group, "unfinished": args.unfinished}
    origin = provenance("build parts", taken, start=facts.get("provenance"))
    if args.source.is_file():
        origin["input_sha256"] = {"source": sha256(args.source.read_bytes())}
    files = write_cells(out, cells, reports=reports, origin=origin, format="extxyz", force=args.force)
    document = {"source": args.source, "group": group, "files": files, "cells": reports}
    header = ("role", "atoms", "composition", "charge", "nearest Å", "file")
    rows = [cell_row(name, reports[name], files[name]) for name in cells]
    emit(document, as_json=args.json, text=table(header, rows))
    return EXIT_DONE


def _of_run(folder: Path, *, unfinished: bool) -> tuple["Atoms", dict[str, Any]]:
    """Last geometry of a run with its labels, and what the builder said of its structure."""
    from qdip_struct.cp2k.outputs.output import read_run
    from qdip_struct.cp2k.tasks import is_single_point
    from qdip_struct.materials.structure_files import read_structure
    from qdip_struct.runs.collection import final_structure
    from qdip_struct.runs.rundir import STRUCTURE, open_run_folder

    opened = open_run_folder(folder)
    finished = read_run(opened.path)
    if finished.status != "done" and not unfinished:
        raise DataError(
            f"{folder} is not finished ({finished.status}: {finished.reason}); finish it with 'qdip run', or take "
            "its last geometry as a start with --unfinished"
        )
    atoms = final_structure(opened.path, finished)
    if atoms is None:
        if not is_single_point(finished.run_type):
            raise DataError(
                f"{folder} holds no positions of its steps (*-pos-1.xyz): its last geometry is not known; "
                "give a structure file instead"
            )
        atoms = read_structure(opened.path / STRUCTURE)
    return atoms, {**(opened.content.get("structure") or {}), "role": opened.role, "group": opened.group}


def _of_file(path: Path) -> tuple["Atoms", dict[str, Any]]:
    from qdip_struct.builders.atoms.store import read_sidecar

    atoms, notes = read_given(path, used=("moments", "velocities", "periodicity"))
    facts = read_sidecar(path)[1]
    return atoms, {**facts, "file_notes": notes} if notes else facts
