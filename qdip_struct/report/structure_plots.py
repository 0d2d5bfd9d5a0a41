"""Figures of structures: their diffraction and micrographs as Axes, and a structure itself as plain SVG.

Powder lines, spots of a zone with their Friedel partners, micrographs: Axes in, Axes out. The views along x, y and z
(discs, cell edges, a scale bar) are drawn without Matplotlib: a projection takes a millisecond, which a page of
hundreds needs, and a browser shows it at any size.
"""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from qdip_struct.analysis.diffraction.diffraction import PowderLine, Spot
from qdip_struct.analysis.diffraction.hrtem import Micrograph
from qdip_struct.report.figures import styled_figure

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#222222", "#b5451f", "#2b5f9e", "#3d7d4b", "#7a4fa0")


def draw_powder(ax: "Axes", patterns: Mapping[str, tuple[PowderLine, ...]]) -> "Axes":
    """Draw the powder lines of each part, one above the other; intensities relative to its strongest line."""
    for level, (name, lines) in enumerate(patterns.items()):
        colour = _COLOURS[level % len(_COLOURS)]
        angles = [line.two_theta_degree for line in lines]
        tops = [level + 0.009 * line.intensity for line in lines]
        ax.vlines(angles, level, tops, color=colour, linewidth=1.0)
        ax.axhline(level, color=colour, linewidth=0.5)
        ax.annotate(name, (1.0, level + 0.85), xycoords=("axes fraction", "data"), ha="right", color=colour, fontsize=9)
    ax.set_xlabel("2θ (degree)")
    ax.set_ylabel("intensity, each to its strongest line")
    ax.set_yticks([])
    ax.set_ylim(0, max(len(patterns), 1))
    return ax


def draw_spots(ax: "Axes", patterns: Mapping[str, tuple[Spot, ...]], *, zone: tuple[int, int, int]) -> "Axes":
    """Draw spots in reciprocal space (1/Å), each with its Friedel partner.

    The area follows the strength; each further part is drawn larger, so that coinciding spots show as rings.
    """
    for level, (name, spots) in enumerate(patterns.items()):
        turn = np.radians([spot.azimuth_degree for spot in spots])
        radius = np.array([1 / spot.spacing_angstrom for spot in spots])
        size = np.array([8 + 90 * spot.strength + 45 * level for spot in spots])
        x, y = radius * np.cos(turn), radius * np.sin(turn)
        ax.scatter(
            np.concatenate([x, -x]), np.concatenate([y, -y]), s=np.tile(size, 2), facecolors="none",
            edgecolors=_COLOURS[level % len(_COLOURS)], label=name,
        )  # fmt: skip
    ax.plot(0, 0, "+", color="#666666")
    ax.set_aspect("equal")
    ax.set_xlabel(f"zone [{' '.join(map(str, zone))}], along the first spot (1/Å)")
    ax.set_ylabel("across (1/Å)")
    ax.legend(fontsize=8)
    return ax


def diffraction_figure(
    powder: Mapping[str, tuple[PowderLine, ...]],
    spots: Mapping[str, tuple[Spot, ...]],
    *,
    zone: tuple[int, int, int] | None,
) -> "Figure":
    """Powder lines, and beside them the spots when a zone was asked for."""
    with styled_figure((6.4 if zone is None else 10.4, 4.0)) as figure:
        draw_powder(figure.add_subplot(1, 1 if zone is None else 2, 1), powder)
        if zone is not None:
            draw_spots(figure.add_subplot(1, 2, 2), spots, zone=zone)
    return figure


def draw_micrograph(ax: "Axes", image: Micrograph) -> "Axes":
    """Draw the intensity of a simulated micrograph in grey, axes in Å."""
    ny, nx = image.intensity.shape
    dy, dx = image.sampling_angstrom
    ax.imshow(image.intensity, cmap="gray", origin="lower", extent=(0, nx * dx, 0, ny * dy), interpolation="nearest")
    ax.set_xlabel(f"along {image.across} (Å)")
    ax.set_ylabel(f"along {image.up} (Å)")
    ax.set_title(
        f"{image.energy_kev:g} keV, C_s {image.cs_mm:g} mm, underfocus {image.defocus_angstrom:.0f} Å", fontsize=9
    )
    return ax


def micrograph_figure(image: Micrograph) -> "Figure":
    """One panel; see :func:`draw_micrograph`."""
    with styled_figure((5.0, 5.0)) as figure:
        draw_micrograph(figure.add_subplot(), image)
    return figure


SLICE_ABOVE = 400
"""Above this number of atoms a page shows slices: a projection of the whole would hide the dot."""
SLICE_ANGSTROM = 6.5
"""Thickness of a slice, Å."""

COLOURS = {
    "Pb": "#575961",
    "S": "#d9a400",
    "Se": "#c96f00",
    "Te": "#a8763e",
    "Cs": "#3b6fb6",
    "Rb": "#5f54b8",
    "K": "#7a4fa0",
    "Na": "#8a63d2",
    "Br": "#a23b2a",
    "I": "#6f2f8f",
    "Cl": "#2f8f4e",
    "F": "#4fae8a",
    "Cd": "#c2a878",
    "Zn": "#7d80b0",
    "Sn": "#5d8081",
    "N": "#2a52be",
    "C": "#3a3a3a",
    "H": "#cfcfcf",
    "O": "#c8322b",
}
"""Colour of each element; others are grey."""
_OTHER = "#999999"

_RADIUS_FACTOR = 0.6
_MARGIN_ANGSTROM = 2.2
_PIXELS_PER_ANGSTROM = 14.0
_WIDEST_PIXELS, _TALLEST_PIXELS = 290.0, 400.0
_NARROW_ANGSTROM = 11.0
_FEW_ATOMS = 120
_EDGES = ((0, 1), (0, 2), (1, 3), (2, 3), (4, 5), (4, 6), (5, 7), (6, 7), (0, 4), (1, 5), (2, 6), (3, 7))


def projection_svg(atoms: "Atoms", *, axis: int) -> str:
    """Draw a structure seen along one Cartesian axis, nearest atoms last.

    Parameters
    ----------
    atoms
        Structure, Å. Disc radii are 0.6 of the covalent radii; ghost atoms are open circles.
    axis
        0, 1 or 2: the direction of sight. The axes drawn are the other two, the later one up.
    """
    from ase.data import covalent_radii

    across, up = [i for i in range(3) if i != axis]
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) @ atoms.cell[:]
    every = np.concatenate([corners, atoms.positions])
    low, high = (bound[[across, up]] for bound in (every.min(axis=0), every.max(axis=0)))
    low, high = low - _MARGIN_ANGSTROM, high + _MARGIN_ANGSTROM
    bar = _round_length(float(high[0] - low[0]))
    width, height = high - low
    height += _MARGIN_ANGSTROM
    flat = np.round(np.stack([corners[:, across] - low[0], high[1] - corners[:, up]], axis=1), 2)
    lines = {tuple(sorted((tuple(flat[i].tolist()), tuple(flat[j].tolist())))) for i, j in _EDGES}
    edges = "".join(f"M{a[0]:g} {a[1]:g}L{b[0]:g} {b[1]:g}" for a, b in sorted(lines) if a != b)
    ghosts = atoms.arrays.get("ghost", np.zeros(len(atoms), dtype=bool))
    discs = []
    for i in np.lexsort((np.round(atoms.positions[:, up], 6), np.round(atoms.positions[:, axis], 6))).tolist():
        symbol = atoms.symbols[i]
        x, y = atoms.positions[i, across] - low[0], high[1] - atoms.positions[i, up]
        colour = COLOURS.get(symbol, _OTHER)
        paint = f'fill="none" stroke="{colour}"' if ghosts[i] else f'fill="{colour}"'
        discs.append(
            f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{_RADIUS_FACTOR * covalent_radii[atoms.numbers[i]]:.2f}" {paint}/>'
        )
    scale = min(_PIXELS_PER_ANGSTROM, _WIDEST_PIXELS / width, _TALLEST_PIXELS / height)
    size = 12 / scale
    height += 0.5 * size
    foot = height - 0.8 * size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.2f} {height:.2f}" '
        f'width="{scale * width:.0f}" height="{scale * height:.0f}">'
        f'<path d="{edges}" fill="none" stroke="#777777" stroke-width="{0.8 / scale:.3f}"/>'
        f'<g stroke="#ffffff" stroke-width="{0.35 / scale:.3f}">{"".join(discs)}</g>'
        f'<path d="M0.6 {foot:.2f}h{bar:g}" stroke="#222222" stroke-width="{2 / scale:.3f}"/>'
        f'<text x="{bar + 1.2:.2f}" y="{foot + 0.3 * size:.2f}" font-size="{size:.2f}" '
        f'font-family="sans-serif" fill="#222222">'
        f"{bar:g} Å, {'xyz'[across]} → {'xyz'[up]} ↑</text></svg>"
    )


def repeated(atoms: "Atoms") -> "tuple[Atoms, tuple[int, int, int]]":
    """A structure whose first two vectors are short, repeated along them so that layers can be seen; and how often."""
    lengths = atoms.cell.lengths()
    times = [1, 1, 1]
    for axis in (0, 1):
        if atoms.pbc[axis] and 0 < lengths[axis] < _NARROW_ANGSTROM and len(atoms) <= _FEW_ATOMS:
            times[axis] = int(np.ceil(_NARROW_ANGSTROM / lengths[axis]))
    return atoms.repeat(tuple(times)), (times[0], times[1], times[2])


def key_markup(symbols: list[str]) -> str:
    """HTML that names the elements beside their colours."""
    swatches = (
        f'<span><svg viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="5" '
        f'fill="{COLOURS.get(symbol, _OTHER)}"/></svg> {escape(symbol)}</span>'
        for symbol in sorted(set(symbols))
    )
    return f' <span class="key">{"".join(swatches)}</span>'


def middle_slice(atoms: "Atoms", *, axis: int) -> "Atoms":
    """The atoms within half of ``SLICE_ANGSTROM`` of the middle of the cell along one Cartesian axis."""
    middle = 0.5 * atoms.cell[:].sum(axis=0)[axis]
    return atoms[np.abs(atoms.positions[:, axis] - middle) <= SLICE_ANGSTROM / 2]


def _round_length(width: float) -> float:
    """A round length near a quarter of the width: 1, 2, 5 or 10 Å and so on."""
    wanted = max(width / 4, 1.0)
    decade = 10.0 ** np.floor(np.log10(wanted))
    return float(max(step * decade for step in (1, 2, 5) if step * decade <= wanted))
