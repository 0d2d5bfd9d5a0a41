"""The parent lattice that rock salt and cubic perovskite share: points (i, j, k)·a/2, and which of them a dot takes.

With the metal at the corners, a point is named by how many of its indices are odd: 0 corner (metal in both
crystals), 1 edge centre (anion in both), 2 face centre (metal of the rock salt, empty in the perovskite), 3 body
centre (anion of the rock salt, A site of the perovskite).
"""

from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qdip_struct.build.shapes import Shape
from qdip_struct.errors import UsageError
from qdip_struct.materials.crystals import Crystal

Array = NDArray[Any]
Termination = Literal["BX2", "AX", "cells", "site"]
TERMINATIONS: dict[str, str] = {
    "BX2": "dot and matrix meet as BX2 over rock salt on every face (metal over anion, the favourable registry)",
    "AX": "the matrix ends with AX on every face, A above metal of the dot",
    "cells": "whole parent cells, half-open: neutral by itself, BX2 on the low faces and AX on the high ones",
    "site": "every site by its own position",
}
"""Which phase takes the sites at the border, by name."""

CENTERS: dict[str, tuple[float, float, float]] = {
    "metal": (0.0, 0.0, 0.0),
    "anion": (1.0, 0.0, 0.0),
    "a-site": (1.0, 1.0, 1.0),
    "bond": (0.5, 0.0, 0.0),
    "void": (0.5, 0.5, 0.5),
}
"""Centre of the dot in half cells of the parent lattice: on a metal atom; on an anion that both crystals share; on an
anion of the dot in the place of an A cation; midway between metal and anion; in the tetrahedral hole of rock salt."""

BODY_MARGIN = 0.25
"""Body centres count as inside up to this many lattice constants beyond the shape, for BX2 and AX: the border then
lies midway between the last plane of the dot and the first of the matrix, and the dot has the volume asked for."""


def on_parent_lattice(crystal: Crystal) -> bool:
    """Whether the crystal is rock salt or cubic perovskite with every site on the parent lattice."""
    if crystal.structure_type not in ("rocksalt", "perovskite") or set(crystal.angles) != {90.0}:
        return False
    doubled = 2.0 * np.array([site.position for site in crystal.sites])
    return len(set(crystal.lengths)) == 1 and bool(np.all(np.abs(doubled - np.rint(doubled)) < 1e-9))


def species_on_parent(crystal: Crystal) -> dict[tuple[int, int, int], str]:
    """Species of each occupied point of one parent cell, keyed by half indices (0 or 1 along each axis)."""
    found = {}
    for site in crystal.sites:
        i, j, k = (np.rint(2.0 * np.array(site.position)).astype(int) % 2).tolist()
        found[i, j, k] = site.species
    return found


def inside(
    shape: Shape,
    *,
    cells: tuple[int, int, int],
    lattice: float,
    centre: Array,
    termination: Termination,
    rotation: Array | None = None,
) -> Array:
    """Which points of the parent lattice belong to the dot, bool (2·cells[0], 2·cells[1], 2·cells[2]).

    Parameters
    ----------
    shape
        Shape around the origin.
    cells
        Parent cells along x, y, z; the grid is periodic.
    lattice
        Edge of the parent cell in Å.
    centre
        Centre of the dot in half cells, (3,).
    termination
        One of :data:`TERMINATIONS`.
    rotation
        Turns the shape, r = rotation·r_shape; default not at all.
    """
    counts = 2 * np.array(cells)
    axes = []
    for axis in range(3):
        offset = np.arange(counts[axis]) - centre[axis]
        axes.append((np.mod(offset + counts[axis] / 2, counts[axis]) - counts[axis] / 2) * lattice / 2)

    def points(*, bodies: bool) -> Array:
        chosen = [values[1::2] if bodies else values for values in axes]
        found = np.stack(np.meshgrid(*chosen, indexing="ij"), axis=-1)
        return found if rotation is None else found @ rotation

    if termination == "site":
        return shape.contains(points(bodies=False))
    grown = 0.0 if termination == "cells" else BODY_MARGIN * lattice
    body = shape.contains(points(bodies=True), grown=grown)
    result = np.zeros(tuple(counts), dtype=bool)
    for parity in product((0, 1), repeat=3):
        steps = [(0,) if odd else ((0,) if termination == "cells" else (0, 1)) for odd in parity]
        around = [np.roll(body, shift, axis=(0, 1, 2)) for shift in product(*steps)]
        merged = np.logical_or.reduce(around) if termination == "AX" else np.logical_and.reduce(around)
        result[parity[0] :: 2, parity[1] :: 2, parity[2] :: 2] = merged
    return result


def check_room(shape: Shape, *, lengths: Array, margin: float) -> None:
    """Refuse a shape that, with ``margin`` Å of matrix on each side, does not fit a box of ``lengths`` (3,) Å.

    Raises
    ------
    UsageError
        If it is too wide.
    """
    widths = 2.0 * np.asarray(shape.extent)
    for axis, (width, length) in enumerate(zip(widths, lengths, strict=True)):
        if width + 2.0 * margin > length + 1e-9:
            raise UsageError(
                f"the dot is {width:.2f} Å wide along {'xyz'[axis]} but the box has {length:.2f} Å, of which "
                f"{2 * margin:.2f} Å must stay matrix; make the dot smaller or give more cells"
            )
