"""E_ad of one lateral shift at several gaps between the contact layers, and the gap where it is largest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qdip_struct.base.errors import MismatchError


@dataclass(frozen=True)
class GapCurve:
    """E_ad of one shift at several gaps, and the best gap.

    Attributes
    ----------
    gaps
        Distances of the contact layers, Å, ascending.
    values
        E_ad at each, meV/Å².
    best_gap, best_value
        Gap (Å) of the largest E_ad, and that E_ad (meV/Å²).
    method
        ``parabola`` (through the largest value and its two neighbours), ``largest`` (two gaps, or the largest at
        the end of the row: the best gap may lie beyond), ``relaxed`` (optimisations, whatever gap they started
        from) or ``single``.
    """

    gaps: tuple[float, ...]
    values: tuple[float, ...]
    best_gap: float
    best_value: float
    method: str


def best_gap(gaps: Sequence[float], values: Sequence[float], *, relaxed: bool = False) -> GapCurve:
    """Best gap of one shift, by a parabola through the largest E_ad and its two neighbours.

    Parameters
    ----------
    gaps
        Distances of the contact layers, Å, all different.
    values
        E_ad at each, meV/Å².

    relaxed
        Whether the values are those of optimisations: the largest counts, and the gap is the one it was built with.

    Raises
    ------
    MismatchError
        If there is no gap, or (unrelaxed) one occurs twice.
    """
    if len(gaps) != len(values) or not gaps:
        raise MismatchError("a gap curve needs one energy for each gap")
    order = np.argsort(gaps, kind="stable")
    x, y = np.asarray(gaps, dtype=float)[order], np.asarray(values, dtype=float)[order]
    if relaxed:
        top = int(np.argmax(y))
        return GapCurve(tuple(map(float, x)), tuple(map(float, y)), float(x[top]), float(y[top]), "relaxed")
    if len(x) > 1 and np.diff(x).min() < 1e-6:
        raise MismatchError(f"the gap {x[int(np.argmin(np.diff(x)))]:g} Å occurs twice")
    top = int(np.argmax(y))
    gap, value, method = float(x[top]), float(y[top]), "single" if len(x) == 1 else "largest"
    if 0 < top < len(x) - 1:
        a, b, _ = np.polyfit(x[top - 1 : top + 2] - x[top], y[top - 1 : top + 2] - y[top], 2)
        if a < 0:
            gap, value, method = float(x[top] - b / (2 * a)), float(y[top] - b * b / (4 * a)), "parabola"
    return GapCurve(tuple(map(float, x)), tuple(map(float, y)), gap, value, method)
