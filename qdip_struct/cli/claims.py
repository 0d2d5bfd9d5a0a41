"""Numeric statements of five papers on dots in perovskites, recomputed: paper, stated, computed, verdict.

Without --all only the discrepancies are listed. Each statement is recomputed with the functions behind the other
commands (screen, match, planes, loading, elastic).

examples:
  qdip claims
  qdip claims --all --json
"""

import argparse
from typing import Any

from qdip_struct.cli.console import answer
from qdip_struct.matching.published import Statement, discrepancies, published_statements


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``qdip claims``."""
    parser.add_argument("--all", action="store_true", help="also those that hold")


def run(args: argparse.Namespace) -> int:
    """Print the statements."""
    statements = published_statements() if args.all else discrepancies()
    document = {"statements": [_entry(statement) for statement in statements]}
    answer(args, document, text="\n\n".join(_text(statement) for statement in statements))
    return 0


def _entry(statement: Statement) -> dict[str, Any]:
    return {
        "id": statement.id,
        "paper": statement.paper,
        "doi": statement.doi,
        "where": statement.where,
        "quantity": statement.quantity,
        "unit": statement.unit,
        "stated": statement.stated,
        "tolerance": statement.tolerance,
        "computed": [{"condition": a.condition, "values": a.values} for a in statement.attempts],
        "verdict": statement.verdict,
        "conditions": statement.conditions,
    }


def _text(statement: Statement) -> str:
    lines = [
        f"{statement.paper}, {statement.where}: {statement.quantity}",
        f"  stated   {_numbers(statement.stated)} {statement.unit}".rstrip(),
    ]
    for attempt in statement.attempts:
        lines.append(f"  computed {_numbers(attempt.values)} {statement.unit}".rstrip() + f" ({attempt.condition})")
    only = f": {'; '.join(statement.conditions)}" if statement.verdict == "holds only if" else ""
    return "\n".join([*lines, f"  {statement.verdict}{only}"])


def _numbers(values: tuple[float, ...]) -> str:
    shown = list(dict.fromkeys(f"{value:.5g}" for value in values))
    return ", ".join(shown[:3]) + (", ..." if len(shown) > 3 else "")
