"""The table of ``qdip papers``: paper, statement, stated, computed, how, verdict, from its JSON document."""

import csv
import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from qdip_struct.cli.console import table

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
