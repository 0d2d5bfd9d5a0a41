"""Read finished CP2K runs: status, converged energies (eV), forces (eV/Å), gaps (eV), warnings.

PATH is a run folder (run.out, run.out.2, ...), an output file (.gz, .xz and .bz2 too), or a folder to search (*.out,
output, cp2k*.log). A run is `done` only when its text holds what its kind ends with: a converged SCF, an optimised
geometry, the steps asked, frequencies, ...; otherwise it is `scf_unconverged`, `max_steps`, `walltime`, `aborted` (with
CP2K's own message), `truncated`, or `incomplete` (CP2K came to its end, but what the run was for is missing).
energy_ev is the last converged energy, never a half-converged one.
Beside each run a result.json is kept; a run whose output has not changed is not read again.

  qdip collect runs/                         table of every run below runs/
  qdip collect runs/ --json > results.json   everything, for scripts
  qdip collect a.out b.out.gz -o results.json    JSON (or .csv) file
  qdip collect runs/ --csv results.csv       the table, and its rows as CSV

Exit code 0: all done; 3: some are unfinished or failed (each listed with its reason); 1: nothing could be read.
"""

import argparse
import csv
import io
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, DataError, QdipError, UsageError
from qdip_struct.base.files import json_text, provenance, refuse_existing, write_text
from qdip_struct.cli.console import emit, note, table
from qdip_struct.cp2k.outputs.run import SUMMARY
from qdip_struct.cp2k.outputs.trajectory import write_extxyz
from qdip_struct.runs.collection import Collected, collect, lost_cells, result_structure, write_trajectory

if TYPE_CHECKING:
    from ase import Atoms

_SHOWN = 10
"""Distinct warnings in the table, and files passed over that are named."""


def add_collect_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip collect``."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="run folder, output file, or folder to search"
    )
    parser.add_argument("--nproc", type=int, metavar="N", help="runs read at once (default: one per core)")
    parser.add_argument("--reread", action="store_true", help="read every output, even one that has not changed")
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="also write the table as CSV (energies in eV, forces in eV/Å)"
    )
    parser.add_argument(
        "--structures",
        type=Path,
        metavar="FILE",
        help="also write one extxyz with the geometry of each run's energy: energy (eV), forces (eV/Å), stress "
        "(eV/Å^3, positive under tension), charges (e)",
    )
    parser.add_argument(
        "--trajectories",
        action="store_true",
        help="also write trajectory.extxyz (eV, Å, region labels) in run folders that hold positions of several steps",
    )


def collect_command(args: argparse.Namespace) -> int:
    """Collect, print the table or JSON, write the file asked for."""
    if args.nproc is not None and args.nproc < 1:
        raise UsageError(f"--nproc {args.nproc}: expected a whole number of at least 1")
    if args.out is not None:
        if args.out.suffix not in (".json", ".csv"):
            raise UsageError(f"--out {args.out}: expected a name that ends in .json or .csv")
        refuse_existing(args.out, force=args.force)
    if args.csv is not None:
        refuse_existing(args.csv, force=args.force)
    if args.structures is not None:
        if args.structures.suffix not in (".extxyz", ".xyz"):
            raise UsageError(f"--structures {args.structures}: expected a name that ends in .extxyz")
        refuse_existing(args.structures, force=args.force)
    found = collect(args.paths, processes=args.nproc, reread=args.reread, progress=_bar)
    if not found.runs:
        first = (found.failed + found.skipped)[0]
        more = len(found.failed) + len(found.skipped) - 1
        raise DataError(first.reason + (f" (and {more} more paths that cannot be read)" if more else ""))
    faults = _trajectories(found, force=args.force) if args.trajectories else 0
    if args.structures is not None:
        faults += _structures(found, args.structures, force=args.force)
    document = found.to_dict()
    if args.out is not None:
        write_text(args.out, _csv(found) if args.out.suffix == ".csv" else json_text(document), force=args.force)
    if args.csv is not None:
        write_text(args.csv, _csv(found), force=args.force)
    emit(document, as_json=args.json, text=_text(found))
    for item in found.skipped[:_SHOWN]:
        note(f"passed over: {item.reason}")
    if len(found.skipped) > _SHOWN:
        note(f"passed over: {len(found.skipped) - _SHOWN} more files that are no CP2K outputs")
    if args.json:
        for record in found.unfinished:
            note(f"{record.status}: {record.path}: {record.reason}")
        for item in found.failed:
            note(f"failed: {item.reason}")
    return EXIT_UNFINISHED if found.unfinished or found.failed or faults else EXIT_DONE


def _trajectories(found: Collected, *, force: bool) -> int:
    """Write the labelled trajectories; say what was written and what could not be, and count the latter."""
    faults = 0
    for run in found.runs:
        try:
            written = write_trajectory(Path(run.path), force=force)
        except QdipError as error:
            faults += 1
            note(f"no trajectory: {error}")
            continue
        if written is not None:
            note(f"wrote {written[0]}: {written[1]} frames")
            if ensemble := lost_cells(Path(run.path)):
                note(
                    f"warning: {written[0]}: the cell moved ({ensemble}) and CP2K wrote no file of it, so every frame "
                    "has the first one; print it with MOTION/PRINT/CELL"
                )
    return faults


def _structures(found: Collected, target: Path, *, force: bool) -> int:
    """Write the geometries of the energies; say which runs have none, and count the done ones among them."""
    kept: list[Atoms] = []
    faults = 0
    for run in found.runs:
        try:
            kept.append(result_structure(Path(run.path)))
        except QdipError as error:
            faults += run.status == "done"
            note(f"no structure: {error}")
    if kept:
        source = provenance("collect --structures", {"runs": len(kept)})
        write_extxyz(target, kept, provenance=source, force=force)
        note(f"wrote {target}: {len(kept)} structures")
    return faults


def _bar(answers: Iterable[Any], total: int) -> Iterable[Any]:
    if not sys.stderr.isatty():
        return answers
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(answers, total=total, unit="run", file=sys.stderr, leave=False)
    return bar


def _rounded(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _text(found: Collected) -> str:
    header = ("run", "status", "type", "energy eV", "atoms", "steps", "max force eV/Å", "gap eV", "time s")
    rows = [
        (
            run.path,
            run.status,
            run.run_type,
            _rounded(run.energy_ev, 6),
            run.n_atoms,
            run.n_geo_steps,
            _rounded(run.max_force_ev_per_angstrom, 4),
            _rounded(run.gap_ev, 3),
            _rounded(run.wall_time_s, 1),
        )
        for run in found.runs
    ]
    lines = [table(header, rows)]
    if found.unfinished:
        lines += ["", "not done:", *(f"  {run.path}: {run.status}: {run.reason}" for run in found.unfinished)]
    lines += _warnings(found)
    if found.failed:
        lines += ["", "not read:", *(f"  {item.reason}" for item in found.failed)]
    counts = Counter(run.status for run in found.runs)
    parts = [f"{counts[status]} {status}" for status in sorted(counts, key=lambda s: (s != "done", s))]
    if found.failed:
        parts.append(f"{len(found.failed)} not read")
    lines += ["", f"{len(found.runs) + len(found.failed)} runs: {', '.join(parts)}"]
    return "\n".join(lines)


def _warnings(found: Collected) -> list[str]:
    """Each warning once, with the run it is of or the number of runs."""
    said: dict[str, list[str]] = {}
    for run in found.runs:
        for text in run.warnings:
            said.setdefault(text, []).append(run.path)
    lines = [f"  {paths[0] if len(paths) == 1 else f'{len(paths)} runs'}: {text}" for text, paths in said.items()]
    if len(lines) > _SHOWN:
        lines = [*lines[:_SHOWN], f"  and {len(lines) - _SHOWN} more (--json or -o has all)"]
    return ["", "warnings:", *lines] if lines else []


def _csv(found: Collected) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(SUMMARY)
    for run in found.runs:
        cells = {**run.to_dict(), "warnings": " | ".join(run.warnings)}
        writer.writerow(["" if cells[name] is None else cells[name] for name in SUMMARY])
    for item in found.failed:
        writer.writerow([item.path, "failed", item.reason, *[""] * (len(SUMMARY) - 3)])
    return buffer.getvalue()
