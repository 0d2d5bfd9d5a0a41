"""Matched neighbours of a large, nearly regular crystal by counting: one lattice is fitted to all its cations.

Every cation is given the three integers of its lattice site. The neighbour at an ideal vector is then the cation whose
integers differ by a known step, and one look-up in a table finds it; no search. That these are exactly the matches a
search would find is proved by four lengths: with every cation at most δ from its site, ideal vectors at most γ from the
lattice vectors they stand for, match radius r and shortest lattice vector s, no cation of another site can match when
2δ + γ + r < s. Crystals that are not that regular, or have two cations on one site, are left to
:mod:`~qdip_struct.analysis.strain.site_grid`.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.strain.images import Images
from qdip_struct.builders.atoms.neighbours import thin_product

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_SAMPLE = 2000
_SITES_PER_POINT = 60
_GROWTH = 1.8


class SiteLattice:
    """Table of the lattice sites of all images of the cations of one phase.

    Parameters
    ----------
    images
        The cations and their periodic images.
    ideal
        (k, 3) ideal neighbour vectors, Å, turned as the crystal is; they must generate one Bravais lattice.
    radius, cutoff
        Match radius and reach of the ideal vectors, Å.

    Attributes
    ----------
    usable
        Whether the look-up provably gives the matches of a search.
    """

    def __init__(self, images: Images, *, ideal: Floats, radius: float, cutoff: float) -> None:
        self.images, self.ideal, self.radius = images, ideal, radius
        self.usable = False
        steps = lattice_steps(ideal)
        if steps is None:
            return
        basis = np.asarray(np.linalg.lstsq(steps, ideal, rcond=None)[0], dtype=np.float64)
        fitted = _fitted_lattice(images.positions, basis, reach=2.0 * cutoff)
        if fitted is None:
            return
        origin, basis = fitted
        sites, displaced = _sites(images.positions, origin, basis)
        shift = float(np.linalg.norm(steps @ basis - ideal, axis=1).max())
        moves = np.array([move for move in itertools.product((-2, -1, 0, 1, 2), repeat=3) if any(move)])
        shortest = float(np.linalg.norm(moves @ basis, axis=1).min())
        if 2.0 * displaced + shift + radius >= shortest * (1.0 - 1e-6):
            return
        low = np.array([column.min() for column in sites.T]) - 1
        shape = np.array([column.max() for column in sites.T]) + 1 - low + 1
        if float(np.prod(shape)) > _SITES_PER_POINT * len(sites):
            return
        stride = np.array([shape[1] * shape[2], shape[2], 1.0])
        code = thin_product(sites - low, stride[:, None])[:, 0].astype(np.int32)
        every = np.arange(len(code), dtype=np.int32)
        self.table = np.full(int(np.prod(shape)), -1, dtype=np.int32)
        self.table[code] = every
        self.usable = bool((self.table[code] == every).all())
        self.code = code[: images.n]
        self.offsets = (steps @ stride).astype(np.int32)

    def neighbours(self, rows: Integers) -> tuple[Integers, Floats]:
        """Image matched to each ideal vector, (r, k) with −1 for none, and the vectors to it, (r, 3·k), 0 for none."""
        width = len(self.ideal)
        index = self.table.take(self.code[rows][:, None] + self.offsets)
        D = self.images.positions.take(index, axis=0, mode="clip").reshape(len(rows), 3 * width)
        D -= np.tile(self.images.positions[rows], width)
        away = D - self.ideal.ravel()
        away *= away
        squared = away[:, 0::3] + away[:, 1::3]
        squared += away[:, 2::3]
        absent = (squared > self.radius**2) | (index < 0)
        if absent.any():
            index[absent] = -1
            D.reshape(len(rows), width, 3)[absent] = 0.0
        return index.astype(np.int64), D


def lattice_steps(ideal: Floats) -> Integers | None:
    """The −1, 0 and 1 (k, 3) that make the ideal vectors from three of them; ``None`` if no three make the rest."""
    for three in itertools.combinations(range(len(ideal)), 3):
        basis = ideal[list(three)]
        if abs(np.linalg.det(basis)) < 1e-6 * np.linalg.norm(basis, axis=1).prod():
            continue
        steps = ideal @ np.linalg.inv(basis)
        whole = np.rint(steps)
        if np.abs(steps - whole).max() < 1e-6 and np.abs(whole).max() <= 1.0:
            return whole.astype(np.int64)
    return None


def _fitted_lattice(points: Floats, basis: Floats, *, reach: float) -> tuple[Floats, Floats] | None:
    """Origin and basis (rows) of the lattice of the points, fitted to ever larger balls; ``None`` where they fail."""
    x, y, z = points.T
    middle = np.array([x.mean(), y.mean(), z.mean()])
    origin = points[np.argmin(_squared(points, middle))]
    squared = _squared(points, origin)
    farthest = float(np.sqrt(squared.max()))
    while True:
        near = np.flatnonzero(squared <= reach**2)
        if len(near) > _SAMPLE:
            near = near[np.linspace(0, len(near) - 1, _SAMPLE).astype(np.int64)]
        part = points[near]
        sites = np.rint((part - origin) @ np.linalg.inv(basis))
        known = np.column_stack((np.ones(len(near)), sites))
        solution, _, rank, _ = np.linalg.lstsq(known, part, rcond=None)
        if rank < 4 or abs(np.linalg.det(solution[1:])) < 0.5 * abs(np.linalg.det(basis)):
            return None
        origin, basis = solution[0], solution[1:]
        if reach >= farthest:
            return origin, basis
        reach *= _GROWTH


def _squared(points: Floats, centre: Floats) -> Floats:
    squared: Floats = (points[:, 0] - centre[0]) ** 2
    squared += (points[:, 1] - centre[1]) ** 2
    squared += (points[:, 2] - centre[2]) ** 2
    return squared


def _sites(points: Floats, origin: Floats, basis: Floats) -> tuple[Floats, float]:
    """Whole-number site of each point (n, 3) and the largest distance of a point from its site, Å."""
    fractional = thin_product(points - origin, np.linalg.inv(basis))
    sites = np.rint(fractional)
    fractional -= sites
    return sites, float(np.sqrt(_squared(thin_product(fractional, basis), np.zeros(3)).max()))
