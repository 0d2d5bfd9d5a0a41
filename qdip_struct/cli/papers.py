"""The five papers on dots in perovskites: every numeric statement recomputed, every system built, one table, one page.

Papers: ning2015 (PbS in MAPbI3), garcia_de_arquer2017 (PbS in MAPbI2.5Br0.5), liu2019 (PbS and PbSe in CsPb(Br,I)3),
baronnier2022 (CdSe/CdZnS in MAPbBr3), deng2024 (PbS in and on MAPbBr3). Each statement is recomputed by the package's
own functions and holds, differs (by how much, and under which other condition it holds), or cannot be answered here
(and why). Units stand beside the numbers.

Exit code 3: a verdict or a value is not the one on record (structures/published_statements.yaml).

examples:
  qdip papers --statements
  qdip papers --only ning2015 -o papers
"""

import argparse
import textwrap
from typing import TYPE_CHECKING, Any

from qdip_struct.cli.console import answer, note, table

if TYPE_CHECKING:
    from qdip_struct.analysis.papers.statements import Statement

EXIT_CHANGED = 3
_WIDTHS = (20, 46, 16, 22, 34, 46)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip papers``."""
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="a paper (ning2015) or a statement (ning2015-d224); repeat",
    )
    parser.add_argument("--statements", action="store_true", help="the table alone: no structure is built")


def run(args: argparse.Namespace) -> int:
    """Recompute, build, print."""
    from qdip_struct.analysis.papers.statements import published_statements

    note("recomputing the statements")
    statements = published_statements(args.only)
    document: dict[str, Any] = {
        "statements": [statement_entry(statement) for statement in statements],
        "verdicts": {verdict: n for verdict, n in _counts(statements).items()},
        "changed": [statement.id for statement in statements if not statement.as_expected],
    }
    answer(args, document, text=statements_text(statements))
    return EXIT_CHANGED if document["changed"] else 0


def _counts(statements: "tuple[Statement, ...]") -> dict[str, int]:
    from qdip_struct.analysis.papers.statements import VERDICTS

    return {verdict: sum(s.verdict == verdict for s in statements) for verdict in VERDICTS}


def statement_entry(statement: "Statement") -> dict[str, Any]:
    """One statement as JSON."""
    return {
        "id": statement.id,
        "paper": statement.paper,
        "citation": statement.citation,
        "doi": statement.doi,
        "where": statement.where,
        "quantity": statement.quantity,
        "unit": statement.unit,
        "stated": statement.stated,
        "tolerance": statement.tolerance,
        "computed": [{"condition": a.condition, "values": a.values} for a in statement.attempts],
        "how": statement.how,
        "verdict": statement.verdict,
        "difference": statement.difference,
        "holds_if": statement.holds_if,
        "why": statement.why,
        "expected_verdict": statement.expected,
        "deviations_from_record": statement.deviations,
    }


def statement_cells(statement: "Statement") -> tuple[str, ...]:
    """Paper, statement, stated, computed, how, verdict: one row of the table."""
    unit = f" {statement.unit}" if statement.unit else ""
    first = statement.attempts[0] if statement.attempts else None
    return (
        statement.paper,
        f"{statement.quantity} ({statement.where})",
        _numbers(statement.stated) + unit,
        f"{_numbers(first.values)}{unit} ({first.condition})" if first else "-",
        ", ".join(name.split(".", 1)[1] for name in statement.how) or "-",
        verdict_text(statement),
    )


def verdict_text(statement: "Statement") -> str:
    """The verdict in words: by how much it differs, when it would hold, why it cannot be answered."""
    if statement.deviations:
        return f"differs from the record: {'; '.join(statement.deviations)}"
    if statement.verdict == "not answerable":
        return f"not answerable here: {statement.why}"
    if statement.verdict == "holds":
        return "holds"
    unit = f" {statement.unit}" if statement.unit and "," not in statement.unit else ""
    by = f" by {statement.difference:+.4g}{unit}" if statement.difference else ""
    return f"differs{by}" + (f"; holds with {'; '.join(statement.holds_if)}" if statement.holds_if else "")


def statements_text(statements: "tuple[Statement, ...]") -> str:
    """The table and its sums."""
    rows: list[tuple[str, ...]] = []
    for statement in statements:
        cells = [textwrap.wrap(c, w) for c, w in zip(statement_cells(statement), _WIDTHS, strict=True)]
        height = max(map(len, cells))
        rows += [tuple(cell[i] if i < len(cell) else "" for cell in cells) for i in range(height)]
    counts = ", ".join(f"{n} {verdict}" for verdict, n in _counts(statements).items())
    changed = [statement.id for statement in statements if not statement.as_expected]
    end = f"{len(statements)} statements: {counts}"
    if changed:
        end += f"\nnot as recorded: {', '.join(changed)}"
    return table(("paper", "statement", "stated", "computed", "how", "verdict"), rows) + f"\n\n{end}"


def _numbers(values: tuple[float, ...]) -> str:
    shown = list(dict.fromkeys(f"{value:.5g}" for value in values))
    return ", ".join(shown[:3]) + (", ..." if len(shown) > 3 else "")
