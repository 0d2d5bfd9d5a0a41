"""One static HTML page of a study folder: misfit, structures, energies, runs, provenance. No network, no script.

example:
  qdip report demo -o demo/report.html
"""

import argparse
from pathlib import Path

from qdip_struct.cli.console import emit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip report``."""
    parser.add_argument("path", type=Path, metavar="PATH", help="study folder: run folders, screen*.json")
    parser.add_argument("--title", help="title of the page (default: the folder's name)")


def run(args: argparse.Namespace) -> int:
    """Read the study and write the page; exit 3 when a run on it is not finished."""
    from qdip_struct.files import refuse_existing, write_text
    from qdip_struct.report.page import study_page
    from qdip_struct.report.study import read_study

    out = args.out if args.out is not None else Path("report.html")
    refuse_existing(out, force=args.force)
    study = read_study(args.path)
    write_text(out, study_page(study, title=args.title), force=args.force)
    unfinished = [str(s.folder.path) for s in study.runs if s.status not in ("done", "prepared")]
    document = {"report": str(out), "n_runs": len(study.runs), "unfinished": unfinished}
    emit(document, as_json=args.json, text=f"{out}: {len(study.runs)} runs, {len(unfinished)} unfinished")
    return 3 if unfinished else 0
