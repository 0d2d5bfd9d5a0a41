"""The parent lattice that rock salt and cubic perovskite share: points (i, j, k)·a/2, and which of them a dot takes.

With the metal at the corners, a point is named by how many of its indices are odd: 0 corner (metal in both
crystals), 1 edge centre (anion in both), 2 face centre (metal of the rock salt, empty in the perovskite), 3 body
centre (anion of the rock salt, A site of the perovskite).
"""

from itertools import product

import numpy as np

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import sites_of_crystal
from qdip_struct.builders.dot.shapes import Shape
from qdip_struct.builders.parsing import Termination
from qdip_struct.materials.crystals import Crystal

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
    "anion-y": (0.0, 1.0, 0.0),
    "anion-z": (0.0, 0.0, 1.0),
    "metal-yz": (0.0, 1.0, 1.0),
    "metal-xz": (1.0, 0.0, 1.0),
    "metal-xy": (1.0, 1.0, 0.0),
}
"""Centre of the dot in half cells of the parent lattice: on a metal atom; on an anion that both crystals share; on an
anion of the dot in the place of an A cation; midway between metal and anion; in the tetrahedral hole of rock salt
(elsewhere in the middle of three bonds at right angles, or opposite to a bond). The last five are the other anions and
the face-centre metals of the dot, for cuboids whose edges differ in parity."""

BODY_MARGIN = 0.25
"""Body centres count as inside up to this many lattice constants beyond the shape, for BX2 and AX: the border then
lies midway between the last plane of the dot and the first of the matrix, and the dot has the volume asked for."""


def on_parent_lattice(crystal: Crystal) -> bool:
    """Whether the crystal is rock salt or cubic perovskite with every site on the parent lattice."""
    if crystal.structure_type not in ("rocksalt", "perovskite") or set(crystal.angles) != {90.0}:
        return False
    doubled = 2.0 * np.array([site.position for site in crystal.sites])
    return len(set(crystal.lengths)) == 1 and bool(np.all(np.abs(doubled - np.rint(doubled)) < 1e-9))


def centre_point(crystal: Crystal, *, center: str) -> Array:
    """Cartesian position (3,) Å of the point of the conventional cell that is named ``center``.

    Raises
    ------
    UsageError
        If the crystal has no such point.
    """
    if center not in CENTERS:
        raise UsageError(f"unknown center '{center}'; known: {', '.join(CENTERS)}")
    if on_parent_lattice(crystal):
        return np.array(CENTERS[center]) * crystal.lengths[0] / 2.0
    sites = sites_of_crystal(crystal)
    metal = sites.positions[np.isin(sites.sublattice, ("cation", "B"))][0]
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ crystal.cell
    anions = (sites.positions[np.isin(sites.sublattice, ("anion", "X"))][None] + steps[:, None]).reshape(-1, 3)
    away = anions - metal
    order = np.lexsort((*np.round(away, 4).T, np.round(np.linalg.norm(away, axis=1), 4)))
    bond = away[order[0]]
    if center == "a-site":
        cages = sites.positions[sites.sublattice == "A"]
        if not len(cages):
            raise UsageError(f"{crystal.name} has no A site; known centres: metal, anion, bond, void")
        return cages[0]
    if center == "void":
        return metal + _into_void(away[order])
    return metal + {"metal": 0.0, "anion": 1.0, "bond": 0.5}[center] * bond


def _into_void(bonds: Array) -> Array:
    """From a metal to the hole beside it: half of three bonds at right angles, or opposite to the shortest bond.

    ``bonds`` are the vectors (n, 3) Å to the anions around, the nearest first.
    """
    first = bonds[0]
    near = bonds[np.linalg.norm(bonds, axis=1) < 1.25 * np.linalg.norm(first)]
    units = near / np.linalg.norm(near, axis=1, keepdims=True)
    square = near[np.abs(units @ units[0]) < 0.3]
    for index, second in enumerate(square):
        for third in square[index + 1 :]:
            if abs(second @ third) < 0.3 * np.linalg.norm(second) * np.linalg.norm(third):
                return (first + second + third) / 2.0
    return -first


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
