"""The five papers on dots in perovskites: every numeric statement recomputed, every system built, one table, one page.

Papers: ning2015 (PbS in MAPbI3), garcia_de_arquer2017 (PbS in MAPbI2.5Br0.5), liu2019 (PbS and PbSe in CsPb(Br,I)3),
baronnier2022 (CdSe/CdZnS in MAPbBr3), deng2024 (PbS in and on MAPbBr3). Each statement is recomputed by the package's
own functions and holds, differs (by how much, and under which other condition it holds), or cannot be answered here
(and why). Each system is built in its real size, checked, and gets its CP2K input; finished runs and relaxed dots that
ship with the package are shown beside the papers' numbers. Units stand beside the numbers; lengths in Å.

Written: papers.json, papers.csv (the table), papers.html (the page), systems/, curves/, strains/. The same command goes
on from what is there. Exit code 3: a verdict or a value is not the one on record, or a system could not be built.

examples:
  qdip papers --statements
  qdip papers --only ning2015 -o papers
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qdip_struct.cli.console import answer, emit, note

EXIT_CHANGED = 3


def add_papers_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip papers``."""
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="a paper (ning2015), or a statement (ning2015-d224) without its systems; repeat",
    )
    parser.add_argument("--statements", action="store_true", help="the statements alone: nothing is built or drawn")


def papers_command(args: argparse.Namespace) -> int:
    """Recompute, build, draw, print."""
    from qdip_struct.cli.paper_rows import csv_of, paper_table, sums_of, table_rows

    if args.statements:
        document = _statements(args.only)
        answer(args, document, text=paper_table(document))
        return EXIT_CHANGED if document["changed"] else 0

    from qdip_struct.base.files import json_text, refuse_existing, write_text
    from qdip_struct.papers.gallery import gallery_page
    from qdip_struct.papers.statements import paper_names

    out = args.out if args.out is not None else Path("papers")
    places = {name: out / f"papers.{name}" for name in ("json", "csv", "html")}
    again = args.force or places["json"].is_file()
    for place in places.values():
        refuse_existing(place, force=again)
    document = _statements(args.only)
    document |= _systems(
        [name for name in paper_names() if not args.only or name in args.only], out=out, force=args.force
    )
    document["changed"] += [
        f"{system['id']} {number['what']}"
        for system in [*document["systems"], *document["strains"]]
        for number in system["numbers"]
        if number["verdict"] != number["expected_verdict"]
    ]
    document["rows"], document["sums"] = table_rows(document), sums_of(document)
    note("drawing the page")
    write_text(places["html"], gallery_page(document, folder=out), force=again)
    write_text(places["csv"], csv_of(document), force=again)
    write_text(places["json"], json_text(document), force=again)
    failed = [f"{system['id']}: {fault}" for system in document["systems"] for fault in system["faults"]]
    for fault in failed:
        note(f"not as it should be: {fault}")
    text = paper_table(document) + f"\n{len(document['systems'])} systems in {out / 'systems'}; open {places['html']}"
    emit(document, as_json=args.json, text=text)
    return EXIT_CHANGED if document["changed"] or failed else 0


def _statements(only: Sequence[str]) -> dict[str, Any]:
    from qdip_struct.papers.statements import VERDICTS, published_statements

    note("recomputing the statements")
    statements = published_statements(only)
    return {
        "statements": [statement.to_dict() for statement in statements],
        "verdicts": {verdict: sum(s.verdict == verdict for s in statements) for verdict in VERDICTS},
        "changed": [statement.id for statement in statements if not statement.as_expected],
    }


def _systems(papers: Sequence[str], *, out: Path, force: bool) -> dict[str, Any]:
    from qdip_struct.cli.paper_systems import build_system, draw_curve, finished_energies, measure_strain
    from qdip_struct.papers.systems import paper_curves, paper_systems, relaxed_dots, stated_energies

    if not papers:
        return {key: [] for key in ("systems", "curves", "strains", "energies", "groups", "refused")}
    systems = [build_system(item, folder=out / "systems" / item.id, force=force) for item in paper_systems(papers)]
    curves = [draw_curve(item, folder=out / "curves" / item.id, force=force) for item in paper_curves(papers)]
    strains = [measure_strain(item, folder=out / "strains" / item.id, force=force) for item in relaxed_dots(papers)]
    stated = stated_energies(papers)
    if stated:
        note("combining the finished runs that ship")
    return {"systems": systems, "curves": curves, "strains": strains, **finished_energies(stated)}
