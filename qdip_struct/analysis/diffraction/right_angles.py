"""A right-angled cell of the same crystal: whole lattice vectors along and across a direction, nothing strained."""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from qdip_struct.base.errors import UsageError

if TYPE_CHECKING:
    from ase import Atoms

RIGHT_ANGLE = 1e-3
"""Largest cosine of an angle that still counts as right (0.06°): relaxed cells are a little off."""
MOST_ATOMS = 200_000
"""Atoms of the largest right-angled cell that is made."""
_LARGEST_INDEX = 12


def right_angled(atoms: "Atoms", *, beam: int) -> tuple["Atoms", np.ndarray]:
    """The smallest cell with right angles that repeats the crystal, its third vector along a given cell vector.

    Lattice vectors n·a across the beam are searched, n whole numbers up to 12, and the two that are perpendicular to it
    and to each other with the smallest area are taken; a cell that has right angles already keeps its vectors, turned
    so that the other two come first. Nothing is strained but angles off by less than 0.06°, which are set right.

    Parameters
    ----------
    atoms
        Structure in a three-dimensional cell.
    beam
        Cell vector, 0, 1 or 2, that becomes the third.

    Returns
    -------
    atoms, matrix
        The structure in a diagonal cell (periodic), and its vectors in those of the old cell, (3, 3) whole numbers,
        rows. Their order may be left-handed: beam b of a right-angled cell gives a, c, b.

    Raises
    ------
    UsageError
        If the cell has no volume, no such cell exists up to those numbers, or it would hold over 200,000 atoms.
    """
    cell = atoms.cell.array
    if beam not in (0, 1, 2):
        raise UsageError(f"beam {beam}: expected 0, 1 or 2")
    if len(atoms) == 0 or np.abs(np.linalg.det(cell)) < 1e-9:
        raise UsageError("a right-angled cell needs atoms in a three-dimensional cell; put a free cluster into a box")
    matrix = _right_matrix(cell, beam)
    copies = round(abs(float(np.linalg.det(matrix))))
    if copies * len(atoms) > MOST_ATOMS:
        raise UsageError(
            f"the right-angled cell along {'abc'[beam]} is {copies} times as large: {copies * len(atoms)} atoms, "
            f"more than {MOST_ATOMS}: look along another vector or start from a smaller cell"
        )
    from ase import Atoms as AseAtoms
    from ase.build import make_supercell

    right_handed = matrix * np.array([[1], [1 if np.linalg.det(matrix) > 0 else -1], [1]])
    whole = make_supercell(atoms, right_handed)
    vectors = matrix @ cell
    places = whole.positions @ np.linalg.inv(vectors)
    places = np.clip(places - np.floor(places + 1e-9), 0.0, None)
    lengths = np.linalg.norm(vectors, axis=1)
    return AseAtoms(numbers=whole.numbers, scaled_positions=places, cell=lengths, pbc=True), matrix


def _right_matrix(cell: np.ndarray, beam: int) -> np.ndarray:
    others = [axis for axis in range(3) if axis != beam]
    along = cell[beam] / np.linalg.norm(cell[beam])
    span = np.arange(-_LARGEST_INDEX, _LARGEST_INDEX + 1)
    numbers = np.array(list(itertools.product(span, repeat=3)))
    numbers = numbers[(np.gcd.reduce(numbers, axis=1) == 1)]
    vectors = numbers @ cell
    lengths = np.linalg.norm(vectors, axis=1)
    across = np.abs(vectors @ along) <= RIGHT_ANGLE * lengths
    numbers, vectors, lengths = numbers[across], vectors[across], lengths[across]
    order = np.lexsort((*(-numbers.T[::-1]), np.round(lengths, 6)))
    numbers, vectors, lengths = numbers[order], vectors[order], lengths[order]
    best: tuple[float, int, int] | None = None
    for first in range(len(lengths)):
        if best is not None and lengths[first] ** 2 > best[0] * (1 + 1e-9):
            break
        cosines = np.abs(vectors @ vectors[first]) / (lengths * lengths[first])
        partners = np.flatnonzero(cosines <= RIGHT_ANGLE)
        if len(partners):
            area = round(float(lengths[first] * lengths[partners[0]]), 6)
            if best is None or area < best[0]:
                best = (area, first, int(partners[0]))
    if best is None:
        raise UsageError(
            f"no right-angled cell along {'abc'[beam]} within {_LARGEST_INDEX} cells: this lattice has no two "
            "perpendicular vectors across it; look along another vector"
        )
    one, two = numbers[best[1]], numbers[best[2]]
    straight = np.eye(3, dtype=int)[beam]
    if np.abs(two[others[0]]) + np.abs(one[others[1]]) > np.abs(one[others[0]]) + np.abs(two[others[1]]):
        one, two = two, one
    one, two = (row if row[others[place]] >= 0 else -row for place, row in enumerate((one, two)))
    return np.array([one, two, straight])
