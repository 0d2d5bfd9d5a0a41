"""One static HTML page of a study folder, finished or not. No network, no script: it can be mailed and opened anywhere.

Warnings come first, then the question, structures, energies with their terms, misfit, strain, charge and potential,
levels, diffraction, convergence of every run, provenance; what a folder does not hold is left out. Read are run
folders (run.json), screen*.json, campaign.yaml (key 'question'), and the JSON that 'qdip strain', 'levels',
'charge-difference', 'diffraction' and 'converge' write. Density cubes of interface, film and substrate of a group give
its charge difference; Hartree cubes work functions; PDOS files levels. Units stand in every heading of a table.

What was computed is kept in PATH/.qdip_report, so the next page of the folder takes seconds; --no-memory keeps nothing.

examples:
  qdip report demo -o demo/report.html
  qdip report campaign -o report.html --question "Which halide ratio binds PbS best?"
  qdip report runs -o report.html --chemiscope structures.json.gz
"""

import argparse
from pathlib import Path

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED
from qdip_struct.cli.console import emit, note


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip report``."""
    parser.add_argument("path", type=Path, metavar="PATH", help="study folder: run folders, results of other commands")
    parser.add_argument("--title", help="title of the page (default: the folder's name)")
    parser.add_argument("--question", metavar="TEXT", help="what the study asks (default: campaign.yaml, else implied)")
    parser.add_argument(
        "--chemiscope", type=Path, metavar="FILE.json.gz", help="also a file for chemiscope (extra 'viewer')"
    )
    parser.add_argument("--no-memory", action="store_true", help="compute everything anew and keep nothing")


def report_command(args: argparse.Namespace) -> int:
    """Read the study and write the page; exit 3 when a run on it is not finished or a file could not be read."""
    from qdip_struct.base.files import refuse_existing, write_text
    from qdip_struct.report.memory import FOLDER, Memory
    from qdip_struct.report.page import study_page
    from qdip_struct.report.study import read_study

    out = args.out if args.out is not None else Path("report.html")
    for path in (out, args.chemiscope):
        if path is not None:
            refuse_existing(path, force=args.force)
    memory = Memory(None if args.no_memory or not args.path.is_dir() else args.path / FOLDER)
    study = read_study(args.path, question=args.question, memory=memory)
    write_text(out, study_page(study, title=args.title, memory=memory), force=args.force)
    shown = None
    if args.chemiscope is not None:
        from qdip_struct.report.chemiscope_file import write_chemiscope

        title = args.title or study.path.resolve().name
        shown = write_chemiscope(args.chemiscope, study, title=title, force=args.force)
    unfinished = [str(s.folder.path) for s in study.runs if s.status not in ("done", "prepared")]
    not_read = [item.reason for item in study.skipped]
    for reason in not_read:
        note(f"not read: {reason}")
    document = {"report": str(out), "n_runs": len(study.runs), "unfinished": unfinished, "not_read": not_read}
    text = f"{out}: {len(study.runs)} runs, {len(unfinished)} unfinished"
    if shown is not None:
        document |= {"chemiscope": str(args.chemiscope), "n_structures": shown}
        text += f"\n{args.chemiscope}: {shown} structures"
    emit(document, as_json=args.json, text=text)
    return EXIT_UNFINISHED if unfinished or not_read else EXIT_DONE
