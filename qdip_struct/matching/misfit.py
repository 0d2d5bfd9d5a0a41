"""Lattice misfit of a dot and its matrix: sign, named denominator, zero-misfit composition and tolerance window."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qdip_struct.base.errors import UsageError

Denominator = Literal["dot", "matrix", "mean"]
DENOMINATORS: tuple[Denominator, ...] = get_args(Denominator)


@dataclass(frozen=True)
class LatticeCurve:
    """a(x) = a₁·x + a₀·(1 − x) − b·x·(1 − x) (Å) along one composition axis, x in [0, 1].

    Attributes
    ----------
    first, second
        Lattice constants at x = 1 (first species) and x = 0 (second species), Å.
    bowing
        b, Å; positive lies below the straight line.
    """

    first: float
    second: float
    bowing: float = 0.0

    def at(self, fraction: ArrayLike) -> NDArray[np.float64]:
        """Lattice constants at the fractions, Å."""
        x = np.asarray(fraction, dtype=float)
        return self.first * x + self.second * (1.0 - x) - self.bowing * x * (1.0 - x)

    def slope(self, fraction: float) -> float:
        """da/dx at a fraction, Å."""
        return self.first - self.second - self.bowing * (1.0 - 2.0 * fraction)

    def solve(self, lattice: float) -> tuple[float, ...]:
        """Every x in [0, 1] with a(x) = ``lattice``, ascending; empty when there is none or the curve is flat."""
        # a(x) − lattice = b·x² + (a₁ − a₀ − b)·x + (a₀ − lattice)
        quadratic, linear, constant = self.bowing, self.first - self.second - self.bowing, self.second - lattice
        if abs(quadratic) < 1e-12:
            roots = [] if abs(linear) < 1e-12 else [-constant / linear]
        else:
            discriminant = linear**2 - 4.0 * quadratic * constant
            if discriminant < 0.0:
                return ()
            q = -0.5 * (linear + math.copysign(math.sqrt(discriminant), linear))
            roots = [q / quadratic] + ([constant / q] if q != 0.0 else [])
        inside = {round(min(1.0, max(0.0, x)), 12) for x in roots if -1e-9 <= x <= 1.0 + 1e-9}
        return tuple(sorted(inside))


def misfit(a_matrix: ArrayLike, *, a_dot: ArrayLike, denominator: Denominator = "dot") -> NDArray[np.float64]:
    """f = (a_matrix − a_dot)/d with d = a_dot, a_matrix or their mean; f > 0 stretches the dot.

    Lattice constants in Å; the shapes are broadcast.

    Raises
    ------
    UsageError
        If the denominator is unknown or a lattice constant is not positive and finite.
    """
    matrix, dot = np.asarray(a_matrix, dtype=float), np.asarray(a_dot, dtype=float)
    _check_denominator(denominator)
    for values in (matrix, dot):
        if not (np.all(np.isfinite(values)) and np.all(values > 0.0)):
            raise UsageError("lattice constants must be positive and finite")
    below = {"dot": dot, "matrix": matrix, "mean": 0.5 * (matrix + dot)}[denominator]
    return (matrix - dot) / below


def misfit_uncertainty(
    a_matrix: ArrayLike,
    *,
    a_dot: ArrayLike,
    matrix_uncertainty: ArrayLike,
    dot_uncertainty: ArrayLike,
    denominator: Denominator = "dot",
) -> NDArray[np.float64]:
    """Standard uncertainty of f from those of the two lattice constants (Å; independent, first order; broadcast).

    Parameters
    ----------
    a_matrix, a_dot
        Lattice constants, Å.
    matrix_uncertainty, dot_uncertainty
        Their standard uncertainties, Å.
    denominator
        What f is relative to.
    """
    _check_denominator(denominator)
    matrix, dot = np.asarray(a_matrix, dtype=float), np.asarray(a_dot, dtype=float)
    by_matrix, by_dot = {
        "dot": (1.0 / dot, matrix / dot**2),
        "matrix": (dot / matrix**2, 1.0 / matrix),
        "mean": (4.0 * dot / (matrix + dot) ** 2, 4.0 * matrix / (matrix + dot) ** 2),
    }[denominator]
    return np.hypot(by_matrix * np.asarray(matrix_uncertainty), by_dot * np.asarray(dot_uncertainty))


def matrix_lattice_for(mismatch: float, *, a_dot: float, denominator: Denominator = "dot") -> float:
    """The matrix lattice constant (Å) that has the misfit ``mismatch`` to ``a_dot``; the inverse of :func:`misfit`."""
    _check_denominator(denominator)
    if denominator == "dot":
        return a_dot * (1.0 + mismatch)
    if denominator == "matrix":
        return a_dot / (1.0 - mismatch)
    return a_dot * (2.0 + mismatch) / (2.0 - mismatch)


def dot_lattice_for(mismatch: float, *, a_matrix: float, denominator: Denominator = "dot") -> float:
    """The dot lattice constant (Å) at which ``a_matrix`` has the misfit ``mismatch``."""
    return a_matrix**2 / matrix_lattice_for(mismatch, a_dot=a_matrix, denominator=denominator)


def zero_misfit(curve: LatticeCurve, *, lattice: float) -> tuple[float, ...]:
    """Fractions x in [0, 1] at which the mixed side has the other side's lattice constant (closed form)."""
    return curve.solve(lattice)


def misfit_window(
    curve: LatticeCurve,
    *,
    lattice: float,
    tolerance: float,
    mixed: Literal["matrix", "dot"] = "matrix",
    denominator: Denominator = "dot",
) -> tuple[tuple[float, float], ...]:
    """Closed intervals of x in [0, 1] where \\|f\\| ≤ ``tolerance`` (closed form).

    Parameters
    ----------
    curve
        Lattice constant of the mixed side against its composition.
    lattice
        Lattice constant (Å) of the other side.
    tolerance
        Largest \\|f\\|.
    mixed
        Which side the curve is.
    denominator
        What f is relative to.

    Raises
    ------
    UsageError
        If the tolerance is not between 0 and 0.5.
    """
    check_tolerance(tolerance)
    if mixed == "matrix":
        bounds = [matrix_lattice_for(f, a_dot=lattice, denominator=denominator) for f in (-tolerance, tolerance)]
    else:
        bounds = [dot_lattice_for(f, a_matrix=lattice, denominator=denominator) for f in (tolerance, -tolerance)]
    low, high = bounds
    edges = sorted({0.0, 1.0, *curve.solve(low), *curve.solve(high)})
    pieces = [(a, b) for a, b in itertools.pairwise(edges) if low <= curve.at(0.5 * (a + b)) <= high]
    return _joined(pieces)


def check_tolerance(tolerance: float) -> None:
    """Refuse a misfit tolerance that is not between 0 and 0.5 (:class:`UsageError`)."""
    if not (math.isfinite(tolerance) and 0.0 < tolerance < 0.5):
        raise UsageError(f"the misfit tolerance is {tolerance:g}; expected a fraction between 0 and 0.5")


def _joined(intervals: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    joined: list[tuple[float, float]] = []
    for start, end in intervals:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)


def _check_denominator(name: str) -> None:
    if name not in DENOMINATORS:
        raise UsageError(f"unknown denominator '{name}'; known: {', '.join(DENOMINATORS)}")
