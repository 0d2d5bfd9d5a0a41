"""Figures of one-electron levels: broadened densities of states by region, edges marked. Axes in, Axes out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from qdip_struct.analysis.levels import Edge
from qdip_struct.report.figures import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#b5451f", "#2b5f9e", "#3d7d4b", "#7a4fa0", "#8a6d1a", "#3b8c8c")


def draw_levels(
    ax: "Axes",
    energies_ev: np.ndarray,
    densities: Mapping[tuple[str, str], np.ndarray],
    *,
    fermi_ev: float,
    homo: Edge | None,
    lumo: Edge | None,
) -> "Axes":
    """Draw densities (1/eV) against E − E_F (eV), one colour for each group; BETA points down."""
    groups = list(dict.fromkeys(group for _, group in densities))
    for (spin, group), values in densities.items():
        sign = -1.0 if spin == "BETA" else 1.0
        colour = _COLOURS[groups.index(group) % len(_COLOURS)]
        ax.plot(
            energies_ev - fermi_ev, sign * values, color=colour, linewidth=1.1, label=None if spin == "BETA" else group
        )
    ax.axvline(0.0, color="#666666", linewidth=0.8, linestyle=":")
    for edge, name in ((homo, "HOMO"), (lumo, "LUMO")):
        if edge is not None:
            ax.axvline(edge.energy_ev - fermi_ev, color="#222222", linewidth=0.8, linestyle="--")
            ax.annotate(
                name,
                (edge.energy_ev - fermi_ev, 1.0),
                xycoords=("data", "axes fraction"),
                fontsize=8,
                ha="right" if name == "HOMO" else "left",
                va="top",
            )
    ax.set_xlabel("energy above the Fermi level (eV)")
    ax.set_ylabel("projected density of states (1/eV)")
    ax.legend(fontsize=8)
    return ax


def levels_figure(
    energies_ev: np.ndarray,
    densities: Mapping[tuple[str, str], np.ndarray],
    *,
    fermi_ev: float,
    homo: Edge | None,
    lumo: Edge | None,
) -> "Figure":
    """One panel; see :func:`draw_levels`."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        draw_levels(figure.add_subplot(), energies_ev, densities, fermi_ev=fermi_ev, homo=homo, lumo=lumo)
    return figure
