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
import csv
import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qdip_struct.cli.console import answer, emit, note, table

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


HEADER = ("paper", "statement", "stated", "computed", "how", "verdict")
UNITS = {"angstrom": "Å", "percent": "%"}
_WIDTHS = (20, 46, 16, 24, 32, 44)

PaperRow = tuple[str, ...]


def table_rows(document: Mapping[str, Any]) -> list[PaperRow]:
    """Every row: the statements of each paper, then the numbers of its systems and relaxed dots, then its energies."""
    papers = list(dict.fromkeys(entry["paper"] for entry in document["statements"]))
    rows = []
    for paper in papers:
        rows += [statement_row(entry) for entry in document["statements"] if entry["paper"] == paper]
        for system in [*document.get("systems", []), *document.get("strains", [])]:
            if system["paper"] == paper:
                rows += [number_row(system, number) for number in system["numbers"]]
        rows += [energy_row(entry) for entry in document.get("energies", []) if entry["paper"] == paper]
    return rows


def statement_row(entry: Mapping[str, Any]) -> PaperRow:
    """A row of a statement."""
    unit = _spaced(entry["unit"])
    first = entry["computed"][0] if entry["computed"] else None
    return (
        entry["paper"],
        f"{entry['quantity']} ({entry['where']})",
        _numbers(entry["stated"]) + unit,
        f"{_numbers(first['values'])}{unit} ({first['condition']})" if first else "-",
        ", ".join(name.split(".", 1)[1] for name in entry["how"]) or "-",
        verdict_text(entry),
    )


def verdict_text(entry: Mapping[str, Any]) -> str:
    """The verdict of a statement: by how much it differs, when it would hold, why it cannot be answered."""
    if entry["deviations_from_record"]:
        return f"differs from the record: {'; '.join(entry['deviations_from_record'])}"
    if entry["verdict"] == "not answerable":
        return f"not answerable here: {entry['why']}"
    if entry["verdict"] == "holds":
        return "holds"
    first = entry["computed"][0]
    if not first["possible"]:
        return f"differs: not possible, {first['condition']}"
    unit = "" if "," in entry["unit"] else _spaced(entry["unit"])
    by = f" by {entry['difference']:+.4g}{unit}" if entry["difference"] else ""
    return f"differs{by}" + (f"; holds with {'; '.join(entry['holds_if'])}" if entry["holds_if"] else "")


def number_row(system: Mapping[str, Any], number: Mapping[str, Any]) -> PaperRow:
    """A row of a number of a system: the paper's and the one measured on the structure."""
    *words, last = number["what"].split("_")
    unit = _spaced(UNITS.get(last, ""))
    what = " ".join(words if last in UNITS else [*words, last]).replace("n atoms", "atoms")
    measured = number["measured"]
    by = "" if measured is None else f" by {measured - number['stated']:+.4g}{unit}"
    return (
        system["paper"],
        f"{what}: {system['title']} ({number['where']})",
        f"{number['stated']:.5g}{unit}",
        "-" if measured is None else f"{measured:.5g}{unit}",
        " ".join(["qdip", *_command(system["commands"][0])]),
        "holds" if number["verdict"] == "holds" else f"differs{by}",
    )


def energy_row(entry: Mapping[str, Any]) -> PaperRow:
    """A row of an energy of a finished study beside the paper's."""
    by = f"{entry['computed'] - entry['stated']:+.3g} meV/Å²"
    words = {
        "holds": "holds",
        "differs": f"differs by {by}; size, relaxation and level of theory are the folder's",
        "other crystals": f"not the paper's crystals ({by})",
    }
    return (
        entry["paper"],
        f"{entry['label']} ({entry['where']})",
        f"{entry['stated']:.5g} meV/Å²",
        f"{entry['computed']:.4g} meV/Å² ({entry['group']}, workflows/{entry['folder']})",
        "qdip energies",
        words[entry["verdict"]],
    )


def paper_table(document: Mapping[str, Any]) -> str:
    """The table with its cells wrapped, and the sums below."""
    lines: list[PaperRow] = []
    for row in table_rows(document):
        cells = [textwrap.wrap(cell, width) for cell, width in zip(row, _WIDTHS, strict=True)]
        height = max(map(len, cells))
        lines += [tuple(cell[i] if i < len(cell) else "" for cell in cells) for i in range(height)]
    end = [f"{len(document['statements'])} statements: {sums_of(document)}"]
    if document["changed"]:
        end.append(f"not as recorded: {', '.join(document['changed'])}")
    return table(HEADER, lines) + "\n\n" + "\n".join(end)


def sums_of(document: Mapping[str, Any]) -> str:
    """How many statements hold, differ, cannot be answered."""
    counts = document["verdicts"]
    return f"{counts['holds']} hold, {counts['differs']} differ, {counts['not answerable']} not answerable here"


def csv_of(document: Mapping[str, Any]) -> str:
    """The table as comma-separated values."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(table_rows(document))
    return stream.getvalue()


def _command(text: str) -> list[str]:
    words = text.split()
    return words[:2] if words[0] == "build" else words[:1]


def _spaced(unit: str) -> str:
    return f" {unit}" if unit else ""


def _numbers(values: Sequence[float]) -> str:
    shown = list(dict.fromkeys(f"{value:.5g}" for value in values))
    return ", ".join(shown[:3]) + (", ..." if len(shown) > 3 else "")
