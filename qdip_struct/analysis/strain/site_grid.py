"""Matched neighbours of every cation: three ways to the same answer, from the fastest to the one that always works.

All find, for an ideal neighbour vector v and a cation at p, the cation within the match radius r of p + v, with its own
periodic image. Positions in Å, row vectors.

:class:`SiteLattice`: one lattice is fitted to all cations of a nearly regular crystal and each gets the three integers
of its site; the neighbour is the cation whose integers differ by a known step, one look-up in a table. That these are
exactly the matches a search would find is proved by four lengths: with every cation at most δ from its site, ideal
vectors at most γ from the lattice vectors they stand for, and shortest lattice vector s, no cation of another site can
match when 2δ + γ + r < s.

:class:`SiteGrid`: space is divided into boxes so small that two cations which are at least two match radii apart cannot
share one. The neighbour is in the box of p + v or in one of the 26 around it, without distances to other neighbours.

:class:`Images` and a k-d tree: for sparse structures and those with two cations closer than two match radii. The usual
minimum-image shortcut gives one image per pair of atoms; in a cell one or two unit cells across the same atom is a
neighbour several times. Here the images near the cell are points of their own
(:func:`qdip_struct.builders.atoms.neighbours.with_images`), so any cell works, of any shape and with any mixture of
periodic and open directions.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from qdip_struct.base.arrays import Floats
from qdip_struct.base.errors import DataError
from qdip_struct.builders.atoms.neighbours import thin_product, with_images


@dataclass(frozen=True, eq=False)
class Images:
    """Points of a cell and those of their periodic images that lie within a margin of it.

    Attributes
    ----------
    positions
        (m, 3) Å; the first n are the points themselves, wrapped into the cell along periodic directions.
    owner
        (m,) which of the n points each one is an image of.
    n
        Number of points.
    """

    positions: NDArray[np.float64]
    owner: NDArray[np.int64]
    n: int

    def tree(self) -> cKDTree:
        """A search tree over all images."""
        return cKDTree(self.positions, leafsize=16, balanced_tree=False)


def periodic_images(positions: ArrayLike, *, cell: ArrayLike, pbc: ArrayLike, margin: float) -> Images:
    """Add to the points of a cell all their periodic images within ``margin`` Å of the cell.

    Parameters
    ----------
    positions
        (n, 3) Å.
    cell
        (3, 3) Å, rows; vectors of open directions may be zero.
    pbc
        Which of the three directions are periodic.
    margin
        Distance in Å; images up to this far outside the cell are made, several per point where the cell is thinner.

    Raises
    ------
    DataError
        If positions are not finite or a periodic direction has no cell vector.
    """
    points = np.array(positions, dtype=float).reshape(-1, 3)
    if not np.isfinite(points).all():
        raise DataError(f"atom {int(np.argmax(~np.isfinite(points).all(axis=1)))} has a position that is not a number")
    periodic = np.broadcast_to(np.asarray(pbc, dtype=bool), (3,))
    if not periodic.any():
        return Images(points, np.arange(len(points)), len(points))
    rows = completed_cell(cell, pbc=periodic)
    images, owner = with_images(points, cell=rows, pbc=periodic, cutoff=margin)
    return Images(images, owner, len(points))


def completed_cell(cell: ArrayLike, *, pbc: ArrayLike) -> NDArray[np.float64]:
    """The cell with unit vectors in place of missing vectors of open directions, so that it can be inverted.

    Raises
    ------
    DataError
        If a periodic direction has no cell vector, or the cell has no volume.
    """
    rows = np.array(cell, dtype=float).reshape(3, 3)
    if not np.isfinite(rows).all():
        raise DataError("the cell holds something that is not a number")
    missing = np.flatnonzero(np.linalg.norm(rows, axis=1) < 1e-9)
    periodic = np.broadcast_to(np.asarray(pbc, dtype=bool), (3,))
    if periodic[missing].any():
        raise DataError(f"periodic direction {'abc'[int(missing[periodic[missing]][0])]} has no cell vector")
    if missing.size == 3:
        rows = np.eye(3)
    elif missing.size:
        rows[missing] = np.linalg.svd(np.delete(rows, missing, axis=0))[2][3 - missing.size :]
    if abs(np.linalg.det(rows / np.linalg.norm(rows, axis=1)[:, None])) < 1e-6:
        raise DataError("the cell vectors lie in one plane")
    return rows


def nearest_images(
    images: Images, tree: cKDTree, rows: NDArray[np.int64], *, count: int, cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """All neighbours within ``cutoff`` Å of the points ``rows``, as indices into ``images`` and a validity mask.

    ``count`` is the expected number; when a point has more, the search is repeated wider, so none is ever lost.
    Both arrays are (len(rows), k); entries with a false mask hold index 0.
    """
    total = len(images.positions)
    k = min(count + 2, total)
    while True:
        distance, index = tree.query(images.positions[rows], k=[*range(1, k + 1)], distance_upper_bound=cutoff)
        if k == total or not np.isfinite(distance[:, -1]).any():
            break
        k = min(2 * k, total)
    valid = np.isfinite(distance) & (index != rows[:, None])
    index[~valid] = 0
    return index, valid


Mapped = Callable[..., Iterable[Any]]
_CHUNK = 65536
_BOXES_PER_POINT = 60
_SAMPLE = 512
_SHELL = sorted(itertools.product((-1, 0, 1), repeat=3), key=lambda step: sum(map(abs, step)))
_PAIRS = [step for step in itertools.product((-2, -1, 0, 1, 2), repeat=3) if step > (0, 0, 0)]


class SiteGrid:
    """Boxes over the images of the cations of one phase, at most one cation in each."""

    def __init__(self, images: Images, *, radius: float, cutoff: float, mapped: Mapped = map) -> None:
        self.images = images
        self.radius = radius
        self.step = 2.0 * radius / np.sqrt(3.0) * (1.0 - 1e-9)
        self.low = images.positions.min(axis=0) - cutoff - 3.0 * self.step
        span = images.positions.max(axis=0) + cutoff + 3.0 * self.step - self.low
        self.shape = np.floor(span / self.step).astype(np.int64) + 1
        self.usable = float(np.prod(self.shape.astype(float))) <= _BOXES_PER_POINT * len(images.positions)
        if not self.usable:
            return
        self.x, self.y, self.z = (np.ascontiguousarray(column) for column in images.positions.T)
        self.box = np.full(int(np.prod(self.shape)), -1, dtype=np.int32)
        code = self._code(self.x, self.y, self.z)
        self.box[code] = np.arange(len(code), dtype=np.int32)
        self.usable = bool((self.box[code] == np.arange(len(code))).all())
        if self.usable:
            starts = range(0, len(code), _CHUNK)
            self.usable = not any(mapped(lambda start: self._any_close_pair(code, start), starts))

    def _code(self, x: Floats, y: Floats, z: Floats) -> NDArray[np.int32]:
        scale, (_, ny, nz) = 1.0 / self.step, self.shape.tolist()
        i = ((x - self.low[0]) * scale).astype(np.int32)
        i *= ny
        i += ((y - self.low[1]) * scale).astype(np.int32)
        i *= nz
        i += ((z - self.low[2]) * scale).astype(np.int32)
        return i

    def _offset(self, step: tuple[int, ...]) -> int:
        _, ny, nz = self.shape.tolist()
        return (step[0] * ny + step[1]) * nz + step[2]

    def _any_close_pair(self, code: NDArray[np.int32], start: int) -> bool:
        """Whether two points are closer than two match radii, so that one ideal vector might have two matches."""
        limit = (2.0 * self.radius) ** 2
        part = code[start : start + _CHUNK]
        for step in _PAIRS:
            # Boxes that far apart hold only points farther apart than the limit.
            if sum(max(abs(s) - 1, 0) ** 2 for s in step) * self.step**2 > limit:
                continue
            other = self.box[part + self._offset(step)]
            first = np.flatnonzero(other >= 0)
            second = other[first]
            first += start
            squared = (self.x[first] - self.x[second]) ** 2
            squared += (self.y[first] - self.y[second]) ** 2
            squared += (self.z[first] - self.z[second]) ** 2
            if squared.size and squared.min() <= limit:
                return True
        return False

    def expected(self, ideal: Floats) -> Floats:
        """Where the neighbours are on average, from a sample: a better first guess than the ideal vectors."""
        rows = np.unique(np.linspace(0, self.images.n - 1, _SAMPLE).astype(np.int64))
        index, D = self.neighbours(rows, ideal=ideal, guess=ideal)
        count = np.count_nonzero(index >= 0, axis=0)
        mean: Floats = np.where(
            (count > 0)[:, None], D.reshape(len(rows), -1, 3).sum(axis=0) / np.maximum(count, 1)[:, None], ideal
        )
        return mean

    def neighbours(self, rows: NDArray[np.int64], *, ideal: Floats, guess: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Image matched to each ideal vector, (r, k) with −1 for none, and the vectors to it, (r, 3·k), 0 for none."""
        r, width = len(rows), len(ideal)
        index = np.full((r, width), -1, dtype=np.int64)
        D = np.zeros((r, 3 * width))
        x, y, z = self.x[rows], self.y[rows], self.z[rows]
        every = np.arange(r)
        for slot, (v, g) in enumerate(zip(ideal.tolist(), guess.tolist(), strict=True)):
            code = self._code(x + g[0], y + g[1], z + g[2])
            open_rows = self._take(every, self.box[code], (x, y, z), v, slot, index, D)
            if not open_rows.size:
                continue
            place = (x[open_rows], y[open_rows], z[open_rows])
            code = self._code(place[0] + v[0], place[1] + v[1], place[2] + v[2])
            for step in _SHELL:
                found = self.box[code + self._offset(step)]
                some = np.flatnonzero(found >= 0)
                if not some.size:
                    continue
                here = tuple(column[open_rows[some]] for column in (x, y, z))
                left = self._take(open_rows[some], found[some], here, v, slot, index, D)
                if len(left) < len(some):
                    still = index[open_rows, slot] < 0
                    open_rows, code = open_rows[still], code[still]
                    if not open_rows.size:
                        break
        return index, D

    def _take(
        self,
        rows: NDArray[np.int64],
        found: NDArray[np.int32],
        place: tuple[Floats, ...],
        v: list[float],
        slot: int,
        index: NDArray[np.int64],
        D: Floats,
    ) -> NDArray[np.int64]:
        """Keep the candidates within the match radius of p + v; return the rows that are still without a match."""
        dx = self.x[found] - place[0]
        dy = self.y[found] - place[1]
        dz = self.z[found] - place[2]
        away = (dx - v[0]) ** 2
        away += (dy - v[1]) ** 2
        away += (dz - v[2]) ** 2
        good = (away <= self.radius**2) & (found >= 0)
        if good.all():
            kept: NDArray[np.int64] | slice = slice(None)
        else:
            kept = np.flatnonzero(good)
        own = rows[kept]
        index[own, slot] = found[kept]
        D[own, 3 * slot], D[own, 3 * slot + 1], D[own, 3 * slot + 2] = dx[kept], dy[kept], dz[kept]
        return rows[~good]


Integers = NDArray[np.int64]
_LATTICE_SAMPLE = 2000
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
        if len(near) > _LATTICE_SAMPLE:
            near = near[np.linspace(0, len(near) - 1, _LATTICE_SAMPLE).astype(np.int64)]
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
