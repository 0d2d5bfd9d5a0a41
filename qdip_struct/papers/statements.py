"""Numeric statements of the papers, recomputed and judged twice: against the paper, and against the record.

The statements (our wording, their numbers, a tolerance each) are in ``structures/published_statements.yaml``, with the
verdict that is expected and what an independent hand calculation gives. A statement *holds* when the values computed
under the paper's own condition are within the tolerance. When a computed value is off its record, a function of the
package has changed: the statement is then said to differ whatever its tolerance, and :attr:`Statement.as_expected` is
false.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import shipped
from qdip_struct.materials.datasets import load_yaml
from qdip_struct.papers.recipes import LATTICES, LIGHT_RECIPES, LOADINGS, STRAINS, Attempt, Recipe

Verdict = Literal["holds", "differs", "not answerable"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

RECIPES: Mapping[str, Recipe] = {**LATTICES, **LOADINGS, **STRAINS, **LIGHT_RECIPES}
"""How each statement is recomputed, by its id in ``published_statements.yaml``."""

RECORD_TOLERANCE = 2e-3
"""Largest relative deviation of a computed value from its record."""

RECORD_FLOOR = 1e-6
"""The same for values of zero, absolute."""


@dataclass(frozen=True)
class Statement:
    """One statement of a paper and what comes out when it is recomputed.

    Attributes
    ----------
    id, paper, citation, doi, where
        Name in the shipped file, short name and citation of the paper, and the place in it.
    quantity, unit
        What the numbers are, and the unit of ``stated``, ``tolerance``, ``difference`` and every attempt.
    stated, tolerance
        The paper's numbers, and how far each may be off.
    attempts
        What was computed, the paper's own condition first; empty when nothing can be.
    how
        The public functions behind the numbers.
    verdict
        ``holds`` with the paper's own numbers, ``differs``, or ``not answerable`` here.
    difference
        Computed less stated under the paper's own condition, the largest of the numbers; ``None`` without a value.
    holds_if
        Other conditions under which the statement holds.
    why
        Why it is not answerable, else empty.
    deviations
        Computed values that are not those on record, in words.
    """

    id: str
    paper: str
    citation: str
    doi: str | None
    where: str
    quantity: str
    unit: str
    stated: tuple[float, ...]
    tolerance: float
    attempts: tuple[Attempt, ...]
    how: tuple[str, ...]
    verdict: Verdict
    difference: float | None
    holds_if: tuple[str, ...]
    why: str
    expected: Verdict
    deviations: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        """Whether verdict and values are those on record."""
        return self.verdict == self.expected and not self.deviations

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "id": self.id,
            "paper": self.paper,
            "citation": self.citation,
            "doi": self.doi,
            "where": self.where,
            "quantity": self.quantity,
            "unit": self.unit,
            "stated": list(self.stated),
            "tolerance": self.tolerance,
            "computed": [
                {"condition": a.condition, "values": list(a.values), "possible": a.possible} for a in self.attempts
            ],
            "how": list(self.how),
            "verdict": self.verdict,
            "difference": self.difference,
            "holds_if": list(self.holds_if),
            "why": self.why,
            "expected_verdict": self.expected,
            "deviations_from_record": list(self.deviations),
        }


def paper_names() -> tuple[str, ...]:
    """Short names of the papers, in the order of the shipped file."""
    return tuple(load_yaml(shipped("structures", "published_statements.yaml"))["papers"])


def published_statements(only: Sequence[str] = ()) -> tuple[Statement, ...]:
    """Every shipped statement, recomputed, or some of them.

    Parameters
    ----------
    only
        Short names of papers (``ning2015``) or of statements (``ning2015-d224``); all statements when empty.

    Raises
    ------
    UsageError
        If a name is unknown.
    DataError
        If the shipped file and the recipes do not belong together.
    """
    path = shipped("structures", "published_statements.yaml")
    content = load_yaml(path)
    known = {*content["papers"], *(entry["id"] for entry in content["statements"])}
    unknown = [name for name in only if name not in known]
    if unknown:
        raise UsageError(f"unknown paper or statement '{unknown[0]}'; papers: {', '.join(content['papers'])}")
    found = []
    for entry in content["statements"]:
        paper = str(entry["id"]).split("-")[0]
        recipe = RECIPES.get(entry["id"])
        if (recipe is None) == ("why" not in entry):
            raise DataError(f"{path}: '{entry['id']}' needs either a recipe or a reason why there is none")
        if not only or paper in only or entry["id"] in only:
            found.append(_judged(entry, paper=paper, source=content["papers"][paper], recipe=recipe))
    return tuple(found)


def _judged(entry: dict[str, Any], *, paper: str, source: dict[str, Any], recipe: Recipe | None) -> Statement:
    stated, tolerance = tuple(map(float, entry["stated"])), float(entry.get("tolerance", 0.0))
    attempts = tuple(recipe.compute()) if recipe else ()
    good = [attempt for attempt in attempts if _agrees(attempt, stated=stated, tolerance=tolerance)]
    deviations = tuple(_deviations(attempts, entry["recomputed"])) if recipe else ()
    verdict: Verdict = "not answerable"
    if recipe:
        verdict = "holds" if attempts and attempts[0] in good and not deviations else "differs"
    return Statement(
        id=entry["id"],
        paper=paper,
        citation=source["citation"],
        doi=source.get("doi"),
        where=entry["where"],
        quantity=entry["quantity"],
        unit=entry.get("unit", ""),
        stated=stated,
        tolerance=tolerance,
        attempts=attempts,
        how=recipe.how if recipe else (),
        verdict=verdict,
        difference=_difference(attempts[0], stated=stated) if attempts else None,
        holds_if=tuple(attempt.condition for attempt in good if attempt is not attempts[0]),
        why=entry.get("why", ""),
        expected=entry.get("verdict", "not answerable"),
        deviations=deviations,
    )


def _differences(attempt: Attempt, *, stated: tuple[float, ...]) -> list[float]:
    values = attempt.values if len(attempt.values) == len(stated) else attempt.values * len(stated)
    return [value - number for value, number in zip(values, stated, strict=True)]


def _difference(attempt: Attempt, *, stated: tuple[float, ...]) -> float:
    return max(_differences(attempt, stated=stated), key=abs)


def _agrees(attempt: Attempt, *, stated: tuple[float, ...], tolerance: float) -> bool:
    slack = tolerance * (1.0 + 1e-9) + 1e-12
    return attempt.possible and all(abs(d) <= slack for d in _differences(attempt, stated=stated))


def _deviations(attempts: Sequence[Attempt], recorded: Sequence[Sequence[float]]) -> list[str]:
    if len(attempts) != len(recorded):
        return [f"{len(attempts)} ways to compute it, {len(recorded)} on record"]
    found = []
    for attempt, numbers in zip(attempts, recorded, strict=True):
        if len(attempt.values) != len(numbers):
            found.append(f"{len(attempt.values)} values, {len(numbers)} on record ({attempt.condition})")
            continue
        for value, number in zip(attempt.values, map(float, numbers), strict=True):
            if not abs(value - number) <= max(RECORD_TOLERANCE * abs(number), RECORD_FLOOR):
                found.append(f"computed {value:.6g}, on record {number:.6g} ({attempt.condition})")
    return found
