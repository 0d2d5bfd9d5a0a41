"""Figures of lattices and misfit: Axes in, Axes out; plus the figures that ``qdip screen`` and ``elastic`` save."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.base.errors import UsageError
from qdip_struct.matching.screening import Screen
from qdip_struct.materials.strain_sharing import StabilityCurve
from qdip_struct.report.figures import BLUE, GREEN, GREY, ORANGE, styled_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_lattice_constant(axes: "Axes", screen: Screen) -> "Axes":
    """Lattice constant (Å) of the mixed side against its composition with the other side's constant as a line.

    Needs one composition axis; the zero-misfit point is marked (as in Fig. 1b of Liu et al., Nature 570, 96 (2019)).
    """
    axis = _single_axis(screen)
    x = screen.fractions[:, 0]
    mixed, still = (screen.a_matrix, screen.a_dot) if axis.side == "matrix" else (screen.a_dot, screen.a_matrix)
    mixed_name = getattr(screen, axis.side).formula.text
    still_name = (screen.dot if axis.side == "matrix" else screen.matrix).formula.text
    axes.plot(x, mixed, color=BLUE, label=mixed_name)
    axes.plot(x, still, color=ORANGE, label=f"{still_name}, {float(still[0]):.3f} Å")
    for match in screen.zero_mismatch:
        axes.plot([match.fraction], [match.a_angstrom], "o", color=GREY)
        axes.annotate(
            f"{match.fraction:.3f}", (match.fraction, match.a_angstrom), textcoords="offset points", xytext=(6, 6)
        )
    axes.set_xlabel(f"{axis.species[0]} fraction of {axis.species[0]} + {axis.species[1]}")
    axes.set_ylabel("lattice constant (Å)")
    axes.set_xlim(0.0, 1.0)
    axes.legend(frameon=False)
    return axes


def plot_misfit(axes: "Axes", screen: Screen) -> "Axes":
    """Misfit (%) against composition with one standard uncertainty as a band and the tolerance window shaded.

    Needs one composition axis.
    """
    axis = _single_axis(screen)
    x = screen.fractions[:, 0]
    percent, spread = 100.0 * screen.mismatch, 100.0 * screen.mismatch_uncertainty
    axes.fill_between(x, percent - spread, percent + spread, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(x, percent, color=BLUE)
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    for window in screen.window:
        axes.axvspan(window.start, window.end, color=GREEN, alpha=0.2, linewidth=0)
    axes.set_xlabel(f"{axis.species[0]} fraction of {axis.species[0]} + {axis.species[1]}")
    axes.set_ylabel(f"misfit over a({screen.denominator}) (%)")
    axes.set_xlim(0.0, 1.0)
    return axes


def draw_misfit(axes: "Axes", document: Mapping[str, Any]) -> "Axes":
    """Misfit (%) against composition from the JSON document of ``qdip screen`` (one composition axis)."""
    points = [point for point in document["points"] if point["fraction"] is not None]
    x = np.array([point["fraction"] for point in points])
    percent = 100.0 * np.array([point["mismatch"] for point in points])
    axes.plot(x, percent, color=BLUE)
    spread = [point.get("mismatch_uncertainty") for point in points]
    if spread and all(value is not None for value in spread):
        band = 100.0 * np.array(spread)
        axes.fill_between(x, percent - band, percent + band, color=BLUE, alpha=0.2, linewidth=0)
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    for window in document["window"]:
        axes.axvspan(window["from"], window["to"], color=GREEN, alpha=0.2, linewidth=0)
    for match in document["zero_mismatch"]:
        if match["fraction"] is None:
            continue
        axes.plot([match["fraction"]], [0.0], "o", color=ORANGE)
        axes.annotate(match["formula"], (match["fraction"], 0.0), textcoords="offset points", xytext=(6, 6))
    axes.set_xlabel(f"composition of {document['matrix']['name']} (fraction of the first mixed species)")
    axes.set_ylabel(f"misfit over a({document['denominator']}) (%)")
    axes.set_xlim(0.0, 1.0)
    return axes


def plot_misfit_map(axes: "Axes", screen: Screen) -> "Axes":
    """Map of the misfit (%) over two composition axes with the zero line drawn.

    Raises
    ------
    UsageError
        If the screen has not exactly two composition axes.
    """
    if len(screen.axes) != 2:
        raise UsageError(f"a map needs two composition axes, not {len(screen.axes)}")
    rows, columns = np.unique(screen.fractions[:, 0]), np.unique(screen.fractions[:, 1])
    values = 100.0 * screen.mismatch.reshape(len(rows), len(columns))
    limit = float(np.abs(values).max()) or 1.0
    mesh = axes.pcolormesh(columns, rows, values, cmap="RdBu_r", vmin=-limit, vmax=limit, shading="nearest")
    if values.min() < 0.0 < values.max():
        axes.contour(columns, rows, values, levels=[0.0], colors="black", linewidths=1.0)
    figure = axes.figure
    figure.colorbar(mesh, ax=axes, label=f"misfit over a({screen.denominator}) (%)")
    axes.set_xlabel(_axis_label(screen, 1))
    axes.set_ylabel(_axis_label(screen, 0))
    return axes


def plot_stability(axes: "Axes", curves: Sequence[tuple[str, StabilityCurve]]) -> "Axes":
    """Stored energy (J/cm³) against loading (vol %), one line per matrix; dashed where the dots are dislocated."""
    colors = [BLUE, ORANGE, GREEN, "#cc79a7", "#56b4e9", "#e69f00"]
    for number, (name, curve) in enumerate(curves):
        color = colors[number % len(colors)]
        x = 100.0 * curve.volume_fraction
        axes.plot(x, np.where(curve.coherent, curve.stored, np.nan), color=color, label=f"{name}, {curve.misfit:+.2%}")
        axes.plot(x, np.where(curve.coherent, np.nan, curve.stored), color=color, linestyle="--")
    axes.set_xlabel("loading (vol %)")
    axes.set_ylabel("stored energy (J/cm³)")
    axes.set_ylim(bottom=0.0)
    axes.legend(frameon=False, title="dashed: dislocated")
    return axes


def screen_figure(screen: Screen) -> "Figure":
    """The figure of one screen: lattice constant and misfit against one composition, or a map over two.

    Raises
    ------
    UsageError
        If there is no composition axis, or more than two.
    """
    mapped = len(screen.axes) == 2
    with styled_figure((5.5, 4.2) if mapped else (9.0, 3.8)) as figure:
        if mapped:
            plot_misfit_map(figure.subplots(), screen)
        else:
            left, right = figure.subplots(1, 2)
            plot_lattice_constant(left, screen)
            plot_misfit(right, screen)
        names = f"{screen.dot.formula.text} in {screen.matrix.formula.text}"
        figure.suptitle(f"{names}, data set {screen.dataset}", fontsize="medium")
    return figure


def stability_figure(curves: Sequence[tuple[str, StabilityCurve]]) -> "Figure":
    """The figure of stored energy against loading."""
    with styled_figure((5.5, 4.0)) as figure:
        plot_stability(figure.subplots(), curves)
    return figure


def _single_axis(screen: Screen) -> Any:
    if len(screen.axes) != 1:
        raise UsageError(f"this figure needs one composition axis, not {len(screen.axes)}")
    return screen.axes[0]


def _axis_label(screen: Screen, number: int) -> str:
    axis = screen.axes[number]
    return f"{axis.species[0]} fraction of {axis.species[0]} + {axis.species[1]} ({axis.side})"
