"""Convergence of the energy: difference to the finest level against what was varied. Axes in, Axes out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_convergence(ax: "Axes", document: Mapping[str, Any]) -> "Axes":
    """Draw |E − E_finest| in meV/atom on a logarithmic axis from the document of ``qdip converge``."""
    points = [p for p in document["points"] if p["difference_mev_per_atom"] is not None][:-1]
    values = [p["value"] for p in points]
    ax.semilogy(values, [max(abs(p["difference_mev_per_atom"]), 1e-4) for p in points], "o-", color="#3b6fb6")
    ax.axhline(1.0, color="#999999", linewidth=0.8, linestyle="--")
    ax.set_xlabel(f"{document['vary']} ({document['unit']})")
    ax.set_ylabel("|E - E(finest)| (meV/atom)")
    return ax
