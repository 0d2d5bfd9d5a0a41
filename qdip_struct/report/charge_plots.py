"""Figures of charge-density differences: profiles across slabs, shells about dots. Axes in, Axes out."""

from typing import TYPE_CHECKING

from qdip_struct.analysis.charge import ChargeProfile, RadialProfile
from qdip_struct.report.figures import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GAIN, _LOSS = "#b5451f", "#2b5f9e"


def draw_planar(ax: "Axes", profile: ChargeProfile) -> "Axes":
    """Draw Δλ(z) in e/Å, gains and losses filled."""
    z, values = profile.heights_angstrom, profile.linear_density
    _fill(ax, z, values)
    ax.set_xlabel(f"height along {'abc'[profile.axis]} (Å)")
    ax.set_ylabel("Δλ (e/Å), + more electrons")
    return ax


def draw_radial(ax: "Axes", profile: RadialProfile) -> "Axes":
    """Draw Δρ(r) in e/Å³ at the middle of each shell."""
    r = profile.radii_angstrom - 0.5 * profile.radii_angstrom[0]
    _fill(ax, r, profile.density)
    ax.set_xlabel("distance from the centre (Å)")
    ax.set_ylabel("Δρ (e/Å³), + more electrons")
    return ax


def planar_figure(profile: ChargeProfile) -> "Figure":
    """One panel with Δλ(z)."""
    figure, ax = _single()
    draw_planar(ax, profile)
    return figure


def radial_figure(profile: RadialProfile) -> "Figure":
    """One panel with Δρ(r)."""
    figure, ax = _single()
    draw_radial(ax, profile)
    return figure


def _single() -> "tuple[Figure, Axes]":
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 3.4), layout="constrained")
        return figure, figure.add_subplot()


def _fill(ax: "Axes", x: object, y: object) -> None:
    import numpy as np

    places, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    ax.axhline(0.0, color="#666666", linewidth=0.8)
    ax.fill_between(places, values, 0.0, where=values > 0, color=_GAIN, alpha=0.35, interpolate=True)
    ax.fill_between(places, values, 0.0, where=values < 0, color=_LOSS, alpha=0.35, interpolate=True)
    ax.plot(places, values, color="#222222", linewidth=1.1)
