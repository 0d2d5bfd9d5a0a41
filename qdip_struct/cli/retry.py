"""Make failed runs ready to start again: the count of their starts is set back, their failed outputs are kept.

The outputs of the starts that failed, their inputs and results move to failed-1 (failed-2, ...) in the run folder;
segments that came further stay, and the next start goes on from what they saved. Change run.inp first where the input
was the reason. Finished runs are left alone, and so are those that somebody works on (listed, exit code 3).

example:
  qdip retry runs/interface
  qdip retry campaign --failed --json
  qdip run campaign
"""

import argparse
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, QdipError
from qdip_struct.cli.console import answer
from qdip_struct.cli.run import refuse_bare_force


def add_retry_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip retry``."""
    parser.add_argument("path", nargs="+", type=Path, metavar="PATH", help="run folders, or folders that hold them")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--failed", action="store_true", help="the failed runs (this is the default)")
    which.add_argument(
        "--all", action="store_true", help="also unfinished runs that were started without coming further"
    )


def retry_command(args: argparse.Namespace) -> int:
    """Set the failed runs back, and say of every run what was done with it."""
    from qdip_struct.campaign.engines.segment import make_ready
    from qdip_struct.runs.rundir import distinct, survey_run_folders

    refuse_bare_force(args)
    found, damaged = survey_run_folders(args.path)
    runs: list[dict[str, Any]] = []
    for folder in distinct(found):
        kept: list[Path] = []
        try:
            ready, reason, kept = make_ready(folder, unfinished=args.all)
            outcome = "ready" if ready else "left"
        except QdipError as error:
            outcome, reason = "failed", str(error)
        runs.append({"path": str(folder.path), "outcome": outcome, "reason": reason, "kept": list(map(str, kept))})
    runs += [{"path": str(item.path), "outcome": "failed", "reason": item.reason, "kept": []} for item in damaged]
    answer(args, {"runs": runs}, text="\n".join(map(_told, runs)))
    return EXIT_UNFINISHED if any(run["outcome"] == "failed" for run in runs) else EXIT_DONE


def _told(run: dict[str, Any]) -> str:
    if run["outcome"] != "ready":
        return f"{run['path']}: {'left as it is' if run['outcome'] == 'left' else 'failed'}: {run['reason']}"
    kept = f"; {len(run['kept'])} files are kept in {Path(run['kept'][0]).parent}" if run["kept"] else ""
    return f"{run['path']}: ready to start again{kept} (it had ended with: {run['reason']})"
