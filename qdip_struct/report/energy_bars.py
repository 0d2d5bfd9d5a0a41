"""Structures as three projections, and energies as bars: Axes in, Axes out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes

RASTER_ABOVE = 400
"""Above this number of atoms the discs are drawn as pixels inside the SVG, to keep pages small."""

SLICE_ABOVE = 400
"""Above this number of atoms a page shows slices: a projection of the whole would hide the dot."""

SLICE_ANGSTROM = 6.5

_COLOURS = {
    "Pb": "#575961",
    "S": "#d9a400",
    "Se": "#c96f00",
    "Te": "#a8763e",
    "Cs": "#3b6fb6",
    "Br": "#a23b2a",
    "I": "#6f2f8f",
    "Cl": "#2f8f4e",
    "Cd": "#c2a878",
    "Zn": "#7d80b0",
    "Na": "#8a63d2",
    "N": "#2a52be",
    "C": "#444444",
    "H": "#cfcfcf",
}


def draw_projection(ax: "Axes", atoms: "Atoms", *, axis: int, legend: bool = False) -> "Axes":
    """Draw a structure seen along one Cartesian axis, nearest atoms last.

    Parameters
    ----------
    ax
        Where to draw.
    atoms
        Structure, Å. Disc radii are 0.6 of the covalent radii.
    axis
        0, 1 or 2: the direction of sight.
    legend
        Whether to name the elements.
    """
    from ase.data import covalent_radii
    from matplotlib.collections import EllipseCollection

    across, up = [i for i in range(3) if i != axis]
    order = np.lexsort((np.round(atoms.positions[:, up], 6), np.round(atoms.positions[:, axis], 6)))
    places = atoms.positions[order][:, [across, up]]
    numbers = atoms.numbers[order]
    symbols = [atoms.symbols[i] for i in order]
    widths = 1.2 * np.array([covalent_radii[n] for n in numbers])
    discs = EllipseCollection(
        widths,
        widths,
        np.zeros(len(widths)),
        units="xy",
        offsets=places,
        offset_transform=ax.transData,
        facecolors=[_COLOURS.get(s, "#999999") for s in symbols],
        edgecolors="white",
        linewidths=0.3,
        rasterized=len(atoms) > RASTER_ABOVE,
    )
    ax.add_collection(discs)
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) @ atoms.cell[:]
    low = np.minimum(corners.min(axis=0), atoms.positions.min(axis=0))
    high = np.maximum(corners.max(axis=0), atoms.positions.max(axis=0))
    for i, j in ((0, 1), (0, 2), (1, 3), (2, 3), (4, 5), (4, 6), (5, 7), (6, 7), (0, 4), (1, 5), (2, 6), (3, 7)):
        ax.plot(corners[[i, j], across], corners[[i, j], up], color="#777777", linewidth=0.6, zorder=0)
    ax.set_xlim(low[across] - 1.5, high[across] + 1.5)
    ax.set_ylim(low[up] - 1.5, high[up] + 1.5)
    ax.set_aspect("equal")
    ax.set_xlabel(f"{'xyz'[across]} (Å)")
    ax.set_ylabel(f"{'xyz'[up]} (Å)")
    if legend:
        for symbol in sorted(set(symbols)):
            ax.plot([], [], "o", color=_COLOURS.get(symbol, "#999999"), label=symbol)
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def middle_slice(atoms: "Atoms", *, axis: int) -> "Atoms":
    """The atoms within half of ``SLICE_ANGSTROM`` of the middle of the cell along one Cartesian axis."""
    middle = 0.5 * atoms.cell[:].sum(axis=0)[axis]
    return atoms[np.abs(atoms.positions[:, axis] - middle) <= SLICE_ANGSTROM / 2]


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
