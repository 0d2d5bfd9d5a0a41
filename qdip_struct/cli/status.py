"""How the runs of campaigns or run folders stand: waiting, queued, running, again (to be continued), done, failed.

Finished runs are not read again while their result.json is younger than their outputs, so ten thousand folders take
seconds. A run that several groups share stands in each of them and counts once. Exit code 3 while runs are not done.
Of a running one the age of its last step is told (last_step_age_s): how long ago its output or a restart file grew.

example:
  qdip status campaign
  qdip status campaign --all --json -o status.json
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED
from qdip_struct.cli.console import answer, note, table

if TYPE_CHECKING:
    from qdip_struct.campaign.status import CampaignStatus, RunStatus

_SHOWN = 40


def add_status_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip status``."""
    parser.add_argument("path", nargs="+", type=Path, metavar="DIR", help="campaign folders or folders of runs")
    parser.add_argument("--all", action="store_true", help="every run on its own line, done ones too")


def status_command(args: argparse.Namespace) -> int:
    """Look at every run and say how it stands."""
    found = status_with_queues(args.path)
    answer(args, found.to_dict(), text=status_text(found, every_run=args.all))
    return EXIT_DONE if found.finished else EXIT_UNFINISHED


def status_with_queues(paths: Sequence[Path]) -> "CampaignStatus":
    """How the runs below these folders stand, those told queued that an engine has queued."""
    from qdip_struct.campaign.engines.engines import queued_folders
    from qdip_struct.campaign.status import status_of

    queued: list[Path] = []
    for path in paths:
        folders, untold = queued_folders(path)
        queued += folders
        for sentence in untold:
            note(f"note: {sentence}")
    return status_of(paths, queued=queued)


def status_text(found: "CampaignStatus", *, every_run: bool = False) -> str:
    """Counts by group, then the runs that need somebody, each with its reason."""
    from qdip_struct.campaign.status import STATES

    groups = found.groups()
    used = [state for state in STATES if found.counts.get(state)]
    rows = []
    for group, runs in groups.items():
        counts = Counter(run.state for run in runs)
        rows.append((group, len(runs), *(counts[state] or None for state in used)))
    unfinished = [row for row, runs in zip(rows, groups.values(), strict=True) if any(r.state != "done" for r in runs)]
    shown = rows if every_run or len(rows) <= _SHOWN else unfinished[:_SHOWN]
    lines = [table(("group", "runs", *used), shown)] if shown else []
    if len(shown) < len(rows):
        lines.append(f"... and {len(rows) - len(shown)} groups more (--all shows them)")
    shown_states = ("failed", "missing", "again", "running")
    telling = found.own if every_run else [run for run in found.own if run.state in shown_states]
    lines += ["", *_runs(telling if every_run else telling[:_SHOWN])] if telling else []
    if not every_run and len(telling) > _SHOWN:
        lines.append(f"... and {len(telling) - _SHOWN} runs more (--all shows them)")
    total = ", ".join(f"{count} {state}" for state, count in found.counts.items())
    return "\n".join([*lines, "", f"{len(found.own)} runs: {total}"])


def _runs(runs: "Iterable[RunStatus]") -> list[str]:
    return [f"{run.path}: {run.state}{f' ({_told(run)})' if _told(run) else ''}" for run in runs]


def _told(run: "RunStatus") -> str:
    if run.last_step_age_s is None:
        return run.reason
    seconds = int(run.last_step_age_s)
    hours, minutes = divmod(seconds // 60, 60)
    age = f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds} s"
    return f"{run.reason}; last step {age} ago"
