"""Numeric statements of the five papers and whether they come out when they are recomputed.

The statements (our wording, their numbers, a tolerance each) are in ``structures/published_statements.yaml``; how
each is recomputed is in :mod:`qdip_struct.matching.recomputation`. Here they are put side by side and judged;
:func:`discrepancies` lists those that do not come out.
"""

from dataclasses import dataclass
from typing import Any, Literal

from qdip_struct.errors import DataError
from qdip_struct.matching.recomputation import RECOMPUTED, Attempt
from qdip_struct.materials.library import load_yaml
from qdip_struct.resources import shipped

Verdict = Literal["holds", "holds only if", "does not hold"]


@dataclass(frozen=True)
class Statement:
    """One statement of a paper and what comes out when it is recomputed.

    Parameters
    ----------
    id, paper, doi, where
        Name in the shipped file, citation of the paper, and the place in it.
    quantity, unit
        What the numbers are, and the unit of ``stated``, ``tolerance`` and every attempt.
    stated, tolerance
        The paper's numbers, and how far each may be off.
    attempts
        What was computed, the paper's own condition first.
    verdict
        ``holds`` with the paper's own numbers, ``holds only if`` another condition is met, ``does not hold``.
    conditions
        Conditions under which it holds.
    """

    id: str
    paper: str
    doi: str | None
    where: str
    quantity: str
    unit: str
    stated: tuple[float, ...]
    tolerance: float
    attempts: tuple[Attempt, ...]
    verdict: Verdict
    conditions: tuple[str, ...]


def published_statements() -> tuple[Statement, ...]:
    """Every shipped statement, recomputed.

    Raises
    ------
    DataError
        If the shipped file and the functions here do not belong together.
    """
    path = shipped("structures", "published_statements.yaml")
    content = load_yaml(path)
    found = []
    for entry in content["statements"]:
        compute = RECOMPUTED.get(entry["id"])
        if compute is None:
            raise DataError(f"{path}: nothing computes the statement '{entry['id']}'")
        found.append(_judged(entry, content["papers"][entry["id"].split("-")[0]], tuple(compute())))
    return tuple(found)


def discrepancies() -> tuple[Statement, ...]:
    """The statements that do not hold with the paper's own numbers."""
    return tuple(statement for statement in published_statements() if statement.verdict != "holds")


def _judged(entry: dict[str, Any], paper: dict[str, Any], attempts: tuple[Attempt, ...]) -> Statement:
    stated, tolerance = tuple(map(float, entry["stated"])), float(entry["tolerance"])

    def agrees(attempt: Attempt) -> bool:
        values = attempt.values if len(attempt.values) == len(stated) else attempt.values * len(stated)
        slack = tolerance * (1.0 + 1e-9) + 1e-12
        return attempt.possible and all(abs(v - s) <= slack for v, s in zip(values, stated, strict=True))

    good = [attempt for attempt in attempts if agrees(attempt)]
    verdict: Verdict = "holds" if attempts[0] in good else ("holds only if" if good else "does not hold")
    return Statement(
        id=entry["id"],
        paper=paper["citation"],
        doi=paper.get("doi"),
        where=entry["where"],
        quantity=entry["quantity"],
        unit=entry["unit"],
        stated=stated,
        tolerance=tolerance,
        attempts=attempts,
        verdict=verdict,
        conditions=tuple(attempt.condition for attempt in good),
    )
