"""Symmetry within a tolerance: sites brought to their symmetric places, supercells brought to one cell.

What comes from a relaxation or from rounded numbers has its symmetry only within a tolerance. It is found there once,
by spglib, and from then on the structure has it exactly, so that nothing behind the door needs a tolerance of its own.
Cells are row vectors in Å, positions fractional.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from qdip_struct.base.arrays import Floats

_MOST_IMAGES = 5_000_000
_MOST_ROUNDS = 6
_SAMPLED = 12
_CLOSE_ANGSTROM = 0.3
"""No second atom is as near to a place as one within this."""
_UNMOVED_ANGSTROM = 1e-6
_SAME_SITE_ANGSTROM = 1e-3


def symmetrised(cell: Any, positions: Any, kinds: Sequence[int], *, symprec: float) -> tuple[Floats, Floats, float]:
    """A structure with the symmetry that it has within a tolerance: the mean over the images of all its operations.

    Parameters
    ----------
    cell, positions, kinds
        Row vectors (3, 3) Å; fractional (n, 3); one number per sort of atom, (n,).
    symprec
        Atoms whose root mean square distance to where a symmetry has them is no longer than this, and none of them
        twice as far, are brought there, Å.

    Returns
    -------
    cell, positions, moved
        In the orientation of what was given; the longest way of an atom in the cell, Å. A structure that is symmetric
        to 1e-6 Å, or one of so many images that they cannot be told apart in time, is given back as it is.
    """
    old, places = np.array(cell, dtype=float), np.array(positions, dtype=float)
    numbers = np.asarray(kinds, dtype=int)
    # spglib compares two atoms, each of which may be off by the tolerance.
    for apart in (2.0 * symprec, symprec):
        shape, new = _grown(old, places, numbers, symprec=apart)
        moves = np.linalg.norm(((new - places + 0.5) % 1.0 - 0.5) @ old, axis=1)
        moved = float(moves.max(initial=0.0))
        if max(moved, float(np.abs(shape - old).max())) < _UNMOVED_ANGSTROM:
            return old, places, 0.0
        if moved <= 2.0 * symprec and float(np.sqrt((moves**2).mean())) <= symprec:
            return shape, new, moved
    return old, places, 0.0


def _grown(cell: Floats, places: Floats, kinds: Any, *, symprec: float) -> tuple[Floats, Floats]:
    """With less noise more operations are found: again until there are no more, or no noise was left."""
    order = 0
    for _ in range(_MOST_ROUNDS):
        better = _once(cell, places, kinds, symprec=symprec)
        if better is None or better[2] <= order:
            break
        moves = (better[1] - places + 0.5) % 1.0 - 0.5
        still = max(float(np.abs(moves @ cell).max()), float(np.abs(better[0] - cell).max())) < _UNMOVED_ANGSTROM
        cell, places, order = better
        if still:
            break
    return cell, places


def _once(cell: Floats, places: Floats, kinds: Any, *, symprec: float) -> tuple[Floats, Floats, int] | None:
    """Cell and sites with the operations that are found, and how many those are in the primitive cell, times the
    translations; ``None`` where there are none, or too many images.
    """
    repeated = _translations(cell, places, kinds, symprec=symprec)
    if repeated is None:
        return None
    pure, averaged = repeated
    # The rotations of the primitive cell: a supercell of unequal edges hides some of them.
    basis = primitive_basis(pure)
    small, inverse = basis @ cell, np.linalg.inv(basis)
    points = averaged @ inverse
    owner = _first_of_each(points, kinds, small)
    kept = np.unique(owner)
    found = _operations(small, points[kept], kinds[kept], symprec=symprec)
    if found is None or len(kept) * len(pure) != len(places):
        return None
    turns = list(zip(*found, strict=True))
    centred = _mean_of_images(points[kept], turns, kinds[kept], cell=small, symprec=symprec)
    if centred is None:
        return None
    # Every site moves as the one of the primitive cell that it is an image of.
    step = (centred - points[kept])[np.searchsorted(kept, owner)]
    metric = small @ small.T
    metric = np.mean([turn.T @ metric @ turn for turn in found[0]], axis=0)
    back = np.linalg.inv(small)
    values, vectors = np.linalg.eigh(back @ metric @ back.T)
    shape = cell @ (vectors * np.sqrt(values)) @ vectors.T
    return shape, averaged + step @ basis, len(turns) * len(pure)


def _translations(cell: Floats, places: Floats, kinds: Any, *, symprec: float) -> tuple[Floats, Floats] | None:
    """Translations (m, 3) of a supercell in fractions of it, exact, and the mean of the sites' images under them.

    Of one cell there is the one that is none; ``None`` stands for too many images.

    In supercells of a thousand atoms spglib takes many seconds for them. Every translation takes an atom of the rarest
    kind to another one; as a group of m they are multiples of 1/m.
    """
    names, counts = np.unique(kinds, return_counts=True)
    rare = np.flatnonzero(kinds == names[counts.argmin()])
    matched = _Matcher(places, kinds, cell)
    some = np.arange(0, len(places), max(1, len(places) // _SAMPLED))
    found, total = [], np.zeros_like(places)
    for step in places[rare] - places[rare[0]]:
        if matched.nearest(places[some] + step, kinds[some])[1].max() > symprec:
            continue
        apart, lengths, partner = matched.nearest(places + step, kinds)
        if lengths.max() <= symprec and len(np.unique(partner)) == len(partner):
            found.append(step - apart.mean(axis=0))
            total[partner] += apart - apart.mean(axis=0)
            if len(found) * len(places) > _MOST_IMAGES:
                return None
    exact = np.rint(np.array(found) * len(found)) / len(found)
    off = exact - np.array(found)
    whole = len(np.unique(np.rint(exact * len(found)).astype(int) % len(found), axis=0)) == len(found)
    volume = abs(float(np.linalg.det(primitive_basis(exact))))
    if whole and np.linalg.norm(off @ cell, axis=1).max() <= symprec and abs(volume * len(found) - 1.0) < 1e-6:
        return exact % 1.0, places + (total + off.sum(axis=0)) / len(found)
    operations = _operations(cell, places, kinds, symprec=symprec)
    if operations is None:
        return None
    exact = operations[1][(operations[0] == np.eye(3, dtype=int)).all(axis=(1, 2))]
    if len(exact) * len(places) > _MOST_IMAGES:
        return None
    averaged = _mean_of_images(places, [(np.eye(3), shift) for shift in exact], kinds, cell=cell, symprec=symprec)
    return None if averaged is None else (exact, averaged)


class _Matcher:
    """Finds the nearest site of the same kind, through the faces of the cell."""

    def __init__(self, places: Floats, kinds: Any, cell: Floats) -> None:
        from scipy.spatial import cKDTree

        self._wrapped, self._kinds, self._cell = places % 1.0 % 1.0, kinds, cell
        self._tree = cKDTree(self._wrapped, boxsize=1.0)

    def nearest(self, images: Floats, kinds: Any) -> tuple[Floats, Floats, Any]:
        """Ways in fractions (n, 3) from the nearest site of its kind to each image, their lengths (Å), the sites."""
        first = self._tree.query(images % 1.0 % 1.0)[1]
        apart, lengths = self._ways(images, kinds, first)
        # Fractions are no lengths: the nearest by length is among the nearest few by fractions.
        far = np.flatnonzero(lengths > _CLOSE_ANGSTROM)
        if len(far):
            near = self._tree.query(images[far] % 1.0 % 1.0, k=min(8, len(self._wrapped)))[1].reshape(len(far), -1)
            ways, longer = self._ways(images[far][:, None], kinds[far][:, None], near)
            best, rows = longer.argmin(axis=1), np.arange(len(far))
            apart[far], lengths[far], first[far] = ways[rows, best], longer[rows, best], near[rows, best]
        return apart, lengths, first

    def _ways(self, images: Floats, kinds: Any, sites: Any) -> tuple[Floats, Floats]:
        """Ways in fractions from sites to images, and their lengths, Å; endless to a site of another kind."""
        apart = images - self._wrapped[sites]
        apart -= np.rint(apart)
        return apart, np.where(self._kinds[sites] == kinds, np.linalg.norm(apart @ self._cell, axis=-1), np.inf)


def _operations(cell: Floats, places: Floats, kinds: Any, *, symprec: float) -> tuple[Any, Any] | None:
    """Rotations (m, 3, 3) and translations (m, 3) in fractions of the cell, exact as those of the space group are."""
    import spglib

    # On its way to a tolerance that fits, spglib prints which ones do not.
    os.environ.setdefault("SPGLIB_WARNING", "OFF")
    found = spglib.get_symmetry_dataset((cell, places, kinds), symprec=symprec)
    return None if found is None else (np.asarray(found.rotations), np.asarray(found.translations))


def _first_of_each(points: Floats, kinds: Any, cell: Floats) -> Any:
    """For each site the number of the first one that differs from it by whole vectors of a cell (Å), (n,)."""
    owner = np.arange(len(points))
    firsts: list[int] = []
    for n, point in enumerate(points):
        apart = points[firsts] - point
        lengths = np.linalg.norm((apart - np.rint(apart)) @ cell, axis=1)
        same = np.flatnonzero((lengths < _SAME_SITE_ANGSTROM) & (kinds[firsts] == kinds[n]))
        if len(same):
            owner[n] = firsts[same[0]]
        else:
            firsts.append(n)
    return owner


def primitive_basis(translations: Any) -> Floats:
    """Basis of the lattice spanned by the unit vectors and the centring translations, rows, in cell fractions."""
    n = len(translations)
    rows = [list(map(int, row)) for row in np.rint(np.vstack([np.eye(3), translations % 1.0]) * n).astype(int)]
    basis: list[list[int]] = []
    for column in range(3):
        while True:
            live = sorted((row for row in rows if row[column]), key=lambda row: abs(row[column]))
            if len(live) < 2:
                break
            for row in live[1:]:
                factor = row[column] // live[0][column]
                row[:] = [a - factor * b for a, b in zip(row, live[0], strict=True)]
        pivot = next(row for row in rows if row[column])
        rows = [row for row in rows if row is not pivot]
        basis.append(pivot if pivot[column] > 0 else [-value for value in pivot])
    found: Floats = np.array(basis) / n
    return found


def _mean_of_images(
    places: Floats, operations: Sequence[tuple[Any, Any]], kinds: Any, *, cell: Floats, symprec: float
) -> Floats | None:
    """Mean of the images of each site under operations; ``None`` where an image lies on no site of its kind."""
    matched = _Matcher(places, kinds, cell)
    total = np.zeros_like(places)
    counts = np.zeros(len(places), dtype=int)
    for turn, shift in operations:
        apart, lengths, partner = matched.nearest(places @ turn.T + shift, kinds)
        if lengths.max() > 4.0 * symprec:
            return None
        np.add.at(total, partner, apart)
        np.add.at(counts, partner, 1)
    if (counts != len(operations)).any():
        return None
    return places + total / counts[:, None]


def reduced(
    cell: Any, positions: Any, kinds: Sequence[int], *, symprec: float
) -> tuple[Floats, Floats, list[int], tuple[int, int, int]]:
    """One cell of a supercell along the vectors of its own.

    Parameters
    ----------
    cell, positions, kinds, symprec
        As for :func:`symmetrised`; the structure is best symmetrised before.

    Returns
    -------
    cell, positions, kept, counts
        The smaller cell; the sites in it and which ones of the given they are; how many cells lay along each vector.
    """
    shape, places = np.array(cell, dtype=float), np.array(positions, dtype=float)
    kept = np.arange(len(places))
    repeated = _translations(shape, places, np.asarray(kinds, dtype=int), symprec=symprec)
    if repeated is None:
        return shape, places, kept.tolist(), (1, 1, 1)
    shifts = repeated[0] % 1.0
    counts = [1, 1, 1]
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        along = shifts[(np.abs((shifts[:, others] + 0.5) % 1.0 - 0.5) < 1e-5).all(axis=1), axis]
        smallest = min((value for value in along if 1e-5 < value < 1.0 - 1e-5), default=1.0)
        counts[axis] = round(1.0 / smallest)
    # The sites nearest to the origin of the smaller cell, on one side of its faces.
    first = kept[((places % 1.0 + 1e-6) % 1.0 < 1.0 / np.array(counts)).all(axis=1)]
    if len(first) * counts[0] * counts[1] * counts[2] != len(places):
        return shape, places, kept.tolist(), (1, 1, 1)
    return shape / np.array(counts)[:, None], places[first] * counts, first.tolist(), (counts[0], counts[1], counts[2])
