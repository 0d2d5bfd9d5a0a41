"""The energies of one group as bars: Axes in, Axes out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_energies(ax: "Axes", rows: Sequence[Mapping[str, Any]]) -> "Axes":
    """Horizontal bars of energies per area; ``rows`` hold ``label`` and ``value`` (meV/Å²)."""
    places = np.arange(len(rows))[::-1]
    values = [float(row["value"]) for row in rows]
    ax.barh(places, values, color=["#3b6fb6" if value >= 0 else "#a23b2a" for value in values], height=0.6)
    ax.axvline(0, color="#333333", linewidth=0.8)
    span = max((abs(value) for value in values), default=1.0)
    for place, value in zip(places, values, strict=True):
        shift = 0.02 * span if value >= 0 else -0.02 * span
        ax.text(value + shift, place, f"{round(value, 1) + 0.0:.1f}", va="center", ha="left" if value >= 0 else "right")
    ax.set_yticks(places, [str(row["label"]) for row in rows])
    ax.set_xlim(min(0.0, *values) - 0.15 * span, max(0.0, *values) + 0.15 * span)
    ax.set_xlabel("meV/Å²")
    return ax
