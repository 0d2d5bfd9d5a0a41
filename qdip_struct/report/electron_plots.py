"""Figures of charge-density differences: profiles across slabs, shells about dots. Axes in, Axes out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.report.figures import styled_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GAIN, _LOSS = "#b5451f", "#2b5f9e"


def draw_planar(ax: "Axes", planar: Mapping[str, Any]) -> "Axes":
    """Draw Δλ(z) in e/Å, gains and losses filled; ``planar`` is that part of ``qdip charge-difference``."""
    _fill(ax, planar["height_angstrom"], planar["linear_density_e_per_angstrom"])
    ax.set_xlabel(f"height along {planar['axis']} (Å)")
    ax.set_ylabel("Δλ (e/Å), + more electrons")
    return ax


def draw_radial(ax: "Axes", radial: Mapping[str, Any]) -> "Axes":
    """Draw Δρ(r) in e/Å³ at the middle of each shell; ``radial`` is that part of ``qdip charge-difference``."""
    outer = np.asarray(radial["outer_radius_angstrom"], dtype=float)
    _fill(ax, outer - 0.5 * outer[0], radial["density_e_per_angstrom3"])
    ax.set_xlabel("distance from the centre (Å)")
    ax.set_ylabel("Δρ (e/Å³), + more electrons")
    return ax


def difference_figure(document: Mapping[str, Any]) -> "Figure":
    """One panel of a document of ``qdip charge-difference``: its shells when it has some, else its profile."""
    with styled_figure((6.0, 3.4)) as figure:
        ax = figure.add_subplot()
        if document["radial"] is None:
            draw_planar(ax, document["planar"])
        else:
            draw_radial(ax, document["radial"])
    return figure


def _fill(ax: "Axes", x: object, y: object) -> None:
    places, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    ax.axhline(0.0, color="#666666", linewidth=0.8)
    ax.fill_between(places, values, 0.0, where=values > 0, color=_GAIN, alpha=0.35, interpolate=True)
    ax.fill_between(places, values, 0.0, where=values < 0, color=_LOSS, alpha=0.35, interpolate=True)
    ax.plot(places, values, color="#222222", linewidth=1.1)
