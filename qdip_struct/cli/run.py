"""Run or continue run folders on this machine; finished ones are left alone.

As many runs as cores work side by side, the longest first; fewer runs get more threads each. Ctrl-C ends CP2K and
keeps what is finished; the same command goes on from there.

example:
  qdip run runs --nproc 2
  qdip run runs/interface --nproc 8 --launcher "mpirun -n 8"
"""

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, ToolError, UsageError
from qdip_struct.cli.console import answer, note, table

if TYPE_CHECKING:
    from qdip_struct.runs.rundir import RunFolder


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip run``."""
    parser.add_argument("folder", nargs="+", type=Path, metavar="DIR", help="run folders, or folders that hold them")
    parser.add_argument("--nproc", type=int, metavar="N", help="cores to use in all (default: those of this machine)")
    parser.add_argument("--relax-only", action="store_true", help="only the pre-relaxations that runs wait for")
    parser.add_argument("--launcher", metavar="WORDS", help="words before the executable, such as 'mpirun -n 8'")


def run_command(args: argparse.Namespace) -> int:
    """Carry out all runs, show how they go, and say how each ended."""
    from qdip_struct.campaign.engines.local import run_locally
    from qdip_struct.cli.console import LiveView
    from qdip_struct.cp2k.program import require_program
    from qdip_struct.runs.rundir import distinct, find_run_folders

    cores = len(os.sched_getaffinity(0)) if args.nproc is None else args.nproc
    if cores < 1:
        raise UsageError(f"--nproc is a positive number of cores, not {cores}")
    folders = distinct(find_run_folders(args.folder))
    if args.relax_only:
        return _relax(args, folders)
    program = require_program()
    with LiveView(title=f"CP2K {program.version}") as view:
        watches = run_locally(
            folders,
            program=program,
            cores=cores,
            launcher=tuple(shlex.split(args.launcher or "")),
            show=view.show,
        )
    rows = [(str(w.folder.path), w.folder.role, w.state, w.reason, f"{w.seconds:.0f}") for w in watches]
    document = {
        "cp2k_version": program.version,
        "runs": [
            {"path": r[0], "role": r[1], "outcome": r[2], "reason": r[3], "seconds": round(w.seconds, 1)}
            for r, w in zip(rows, watches, strict=True)
        ],
    }
    answer(args, document, text=table(("run", "role", "outcome", "reason", "s"), rows))
    return EXIT_DONE if all(w.state == "done" for w in watches) else EXIT_UNFINISHED


def _relax(args: argparse.Namespace, folders: "list[RunFolder]") -> int:
    from qdip_struct.campaign.engines.prerelax import relax_folder
    from qdip_struct.runs.rundir import needs_relaxation

    outcomes = []
    for folder in folders:
        outcome, reason = "nothing to do", ""
        if needs_relaxation(folder):
            note(f"pre-relaxation of {folder.path} ({folder.record.n_atoms or '?'} atoms)")
            try:
                relax_folder(folder, threads=args.nproc or 1)
                outcome = "relaxed"
            except ToolError as error:
                outcome, reason = "failed", str(error)
        outcomes.append({"path": str(folder.path), "role": folder.role, "outcome": outcome, "reason": reason})
    text = table(("run", "role", "outcome", "reason"), [tuple(item.values()) for item in outcomes])
    answer(args, {"runs": outcomes}, text=text)
    return EXIT_UNFINISHED if any(item["outcome"] == "failed" for item in outcomes) else EXIT_DONE
