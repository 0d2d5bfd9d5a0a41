"""One idempotent piece of one run: continue from the last good state, judge the output, say whether to go on.

Safe to call twice, anywhere, after any kill. Exit codes: 0 done (or already done), 75 run me again (also when another
process is at work in the folder: the answer says who), 1 failed. --walltime in s; without it the input decides.
A run that is started again and again and comes no further has failed: 'qdip retry' makes it ready again.

example:
  qdip segment runs/interface --threads 2 --launcher "srun -n 32"
"""

import argparse
from pathlib import Path

from qdip_struct.base.errors import EXIT_AGAIN, EXIT_DONE, EXIT_FAILED
from qdip_struct.cli.console import answer
from qdip_struct.cli.run import (
    add_stall_argument,
    cores_of,
    launcher_of,
    refuse_bare_force,
    stall_of,
    walltime_of,
)

_EXIT = {"done": EXIT_DONE, "again": EXIT_AGAIN, "failed": EXIT_FAILED}


def add_segment_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip segment``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="run folder")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="OpenMP threads of a rank (default: 1)")
    parser.add_argument("--launcher", default="", metavar="WORDS", help="words before the executable: 'srun -n 32'")
    parser.add_argument("--walltime", type=int, metavar="SECONDS", help="CP2K stops by itself after this time, in s")
    add_stall_argument(parser)


def segment_command(args: argparse.Namespace) -> int:
    """Run CP2K once in the folder unless it is done."""
    from qdip_struct.campaign.engines.segment import (
        STALL_S,
        FolderBusyError,
        SegmentVerdict,
        run_segment,
        terminate_as_interrupt,
    )
    from qdip_struct.cp2k.program import require_program
    from qdip_struct.runs.rundir import open_run_folder

    threads, walltime = cores_of(args.threads, option="--threads"), walltime_of(args.walltime)
    launcher, stall = launcher_of(args.launcher), stall_of(args)
    refuse_bare_force(args)
    folder, program = open_run_folder(args.folder), require_program()
    with terminate_as_interrupt():
        try:
            verdict = run_segment(
                folder,
                program=program,
                threads=threads,
                launcher=launcher,
                walltime_s=walltime,
                stall_s=STALL_S if stall is None else stall,
            )
        except FolderBusyError as error:
            verdict = SegmentVerdict("again", str(error))
    document = {"path": str(args.folder), "outcome": verdict.outcome, "reason": verdict.reason}
    answer(args, document, text=f"{args.folder}: {verdict.outcome}{': ' if verdict.reason else ''}{verdict.reason}")
    return _EXIT[verdict.outcome]
