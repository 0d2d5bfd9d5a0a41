"""Run or continue run folders on this machine; finished ones are left alone.

As many runs as cores work side by side, the longest first; fewer runs get more threads each. Ctrl-C ends CP2K and
keeps what is finished; the same command goes on from there. A run that is started again and again and comes no further
ends as failed with what was said last: see 'qdip retry'. A damaged folder is listed and stops no other.

example:
  qdip run runs --nproc 2
  qdip run runs/interface --nproc 8 --launcher "mpirun -n 8"
"""

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, QdipError, UsageError
from qdip_struct.cli.console import answer, note, refuse_places, table

if TYPE_CHECKING:
    from qdip_struct.base.errors import NotTaken
    from qdip_struct.runs.rundir import RunFolder

_MOST_CORES = 10_000
_LONGEST_S = 366 * 24 * 3600


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip run``."""
    parser.add_argument("folder", nargs="+", type=Path, metavar="DIR", help="run folders, or folders that hold them")
    parser.add_argument("--nproc", type=int, metavar="N", help="cores to use in all (default: those of this machine)")
    parser.add_argument("--relax-only", action="store_true", help="only the pre-relaxations that runs wait for")
    parser.add_argument("--launcher", metavar="WORDS", help="words before the executable, such as 'mpirun -n 8'")
    add_stall_argument(parser)


def add_stall_argument(parser: argparse.ArgumentParser) -> None:
    """Declare ``--stall``, which is read by :func:`stall_of`."""
    parser.add_argument(
        "--stall",
        type=float,
        metavar="SECONDS",
        help="CP2K is ended, and tried once more, when output and restart files have not grown for this time, s, and "
        "for ten times the longest pause of the same output before; 0: never (default: 1800 s)",
    )


def stall_of(args: argparse.Namespace) -> float | None:
    """The value of ``--stall``, s; ``None`` where it was not given, :class:`UsageError` for a value that is no time."""
    stall: float | None = args.stall
    if stall is not None and not 0 <= stall <= _LONGEST_S:
        raise UsageError(f"--stall is {stall:g} s; expected 0 (never) to {_LONGEST_S} s (a year)")
    return stall


def cores_of(number: int | None, *, option: str) -> int:
    """A number of cores from the command line; by default those of this machine. :class:`UsageError` for another."""
    cores = len(os.sched_getaffinity(0)) if number is None else number
    if not 1 <= cores <= _MOST_CORES:
        raise UsageError(f"{option} is a positive number of cores up to {_MOST_CORES}, not {cores}")
    return cores


def walltime_of(number: int | None) -> int | None:
    """A walltime from the command line, s; :class:`UsageError` for one that is no time."""
    if number is not None and not 1 <= number <= _LONGEST_S:
        raise UsageError(f"--walltime is a positive number of seconds up to {_LONGEST_S} (a year), not {number}")
    return number


def launcher_of(text: str | None) -> tuple[str, ...]:
    """The words of ``--launcher``; :class:`UsageError` for what no shell could part."""
    try:
        return tuple(shlex.split(text or ""))
    except ValueError as error:
        raise UsageError(f"--launcher is no line of shell words ({error}): {text}") from error


def refuse_bare_force(args: argparse.Namespace) -> None:
    """Raise :class:`UsageError` for ``--force`` without a file that it could replace, and for a file without it."""
    if args.force and args.out is None:
        raise UsageError("--force replaces the file of -o; runs that failed are made ready again by 'qdip retry'")
    refuse_places([args.out], force=args.force)


def run_command(args: argparse.Namespace) -> int:
    """Carry out all runs, show how they go, and say how each ended."""
    from qdip_struct.campaign.engines.local import run_locally
    from qdip_struct.campaign.engines.segment import STALL_S
    from qdip_struct.cli.console import LiveView
    from qdip_struct.cp2k.program import require_program
    from qdip_struct.runs.rundir import distinct, survey_run_folders

    cores, launcher, stall = cores_of(args.nproc, option="--nproc"), launcher_of(args.launcher), stall_of(args)
    refuse_bare_force(args)
    found, damaged = survey_run_folders(args.folder)
    folders = distinct(found)
    for item in damaged:
        note(f"warning: {item.reason}")
    if args.relax_only:
        return _relax(args, folders, damaged)
    program = require_program()
    with LiveView(title=f"CP2K {program.version}") as view:
        watches = run_locally(
            folders,
            program=program,
            cores=cores,
            launcher=launcher,
            stall_s=STALL_S if stall is None else stall,
            show=view.show,
        )
    ended = [
        {
            "path": str(w.folder.path),
            "role": w.folder.role,
            "outcome": w.state,
            "reason": w.reason,
            "seconds": round(w.seconds, 1),
        }
        for w in watches
    ]
    ended += [{**item, "seconds": 0.0} for item in _unread(damaged)]
    rows = [(*(item[key] for key in ("path", "role", "outcome", "reason")), f"{item['seconds']:.0f}") for item in ended]
    document = {"cp2k_version": program.version, "runs": ended}
    answer(args, document, text=table(("run", "role", "outcome", "reason", "s"), rows))
    return EXIT_DONE if all(item["outcome"] == "done" for item in ended) else EXIT_UNFINISHED


def _unread(damaged: "list[NotTaken]") -> list[dict[str, str]]:
    """Folders that cannot be opened, as ``qdip status`` tells them."""
    from qdip_struct.campaign.status import UNREADABLE

    return [
        {"path": str(item.path), "role": UNREADABLE, "outcome": "failed", "reason": item.reason} for item in damaged
    ]


def _relax(args: argparse.Namespace, folders: "list[RunFolder]", damaged: "list[NotTaken]") -> int:
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
            except QdipError as error:
                outcome, reason = "failed", str(error)
        outcomes.append({"path": str(folder.path), "role": folder.role, "outcome": outcome, "reason": reason})
    outcomes += _unread(damaged)
    text = table(("run", "role", "outcome", "reason"), [tuple(item.values()) for item in outcomes])
    answer(args, {"runs": outcomes}, text=text)
    return EXIT_UNFINISHED if any(item["outcome"] == "failed" for item in outcomes) else EXIT_DONE
