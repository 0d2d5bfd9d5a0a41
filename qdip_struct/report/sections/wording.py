"""Words and numbers as the sections write them."""

from collections.abc import Mapping
from typing import Any

MANY = 12
"""Up to so many items of a kind are shown in full; the rest are folded away or left to a table."""


def fixed(value: float | None, digits: int = 2, *, sign: bool = False) -> str | None:
    """A number with so many decimals, without a sign on zero; ``None`` stays."""
    if value is None:
        return None
    return f"{round(value, digits) + 0.0:{'+' if sign else ''}.{digits}f}"


def percent(fraction: float | None, digits: int) -> str | None:
    """A fraction in percent; ``None`` stays."""
    return None if fraction is None else fixed(100 * fraction, digits)


def atoms_text(counts: Mapping[str, int]) -> str:
    """Atoms of each element."""
    return " ".join(f"{element}{count}" for element, count in counts.items())


def shares(weights: Mapping[str, Any], *, digits: int = 2) -> str:
    """Weights by region."""
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in weights.items())


def count_of(number: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
