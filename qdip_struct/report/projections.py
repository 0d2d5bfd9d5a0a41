"""A structure seen along x, y and z as plain SVG: discs, cell edges, a scale bar. Text out, quick enough for hundreds.

Drawn without Matplotlib: a projection takes a millisecond, and a browser shows it at any size.
"""

from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

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
