"""Periodic images and nearest-neighbour queries in which every neighbour carries its own image.

The usual minimum-image shortcut gives one image per pair of atoms; in a cell one or two unit cells across the same
atom is a neighbour several times. Here the images near the cell are made explicitly, so any cell works, of any shape
and with any mixture of periodic and open directions. Positions in Å, row vectors.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from qdip_struct.errors import DataError


@dataclass(frozen=True)
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
        return cKDTree(self.positions, leafsize=8, balanced_tree=False, compact_nodes=False)


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
    owner = np.arange(len(points))
    if not periodic.any():
        return Images(points, owner, len(points))
    rows = completed_cell(cell, pbc=periodic)
    inverse = np.linalg.inv(rows)
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    fractional = points @ inverse
    whole = np.where(periodic, np.floor(fractional), 0.0)
    points = points - whole @ rows
    n = len(points)
    fractional = fractional - whole
    for axis in np.flatnonzero(periodic):
        reach = margin / heights[axis]
        shifts = range(-int(np.ceil(reach)), int(np.ceil(reach)) + 1)
        parts = [(points, fractional, owner)]
        for shift in shifts:
            if shift == 0:
                continue
            moved = fractional[:, axis] + shift
            near = np.flatnonzero((moved >= -reach) & (moved <= 1.0 + reach))
            step = np.zeros(3)
            step[axis] = shift
            parts.append((points[near] + shift * rows[axis], fractional[near] + step, owner[near]))
        points = np.concatenate([part[0] for part in parts])
        fractional = np.concatenate([part[1] for part in parts])
        owner = np.concatenate([part[2] for part in parts])
    return Images(points, owner, n)


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
    if missing.size:
        kept = np.delete(rows, missing, axis=0)
        _, _, basis = np.linalg.svd(kept if kept.size else np.zeros((1, 3)))
        rows[missing] = basis[3 - missing.size :] if kept.size else np.eye(3)
    lengths = np.linalg.norm(rows, axis=1)
    if abs(np.linalg.det(rows / lengths[:, None])) < 1e-6:
        raise DataError("the cell vectors lie in one plane")
    return rows


def nearest(
    images: Images, tree: cKDTree, rows: NDArray[np.int64], *, count: int, cutoff: float, workers: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """All neighbours within ``cutoff`` Å of the points ``rows``, as indices into ``images`` and a validity mask.

    ``count`` is the expected number; when a point has more, the search is repeated wider, so none is ever lost.
    Both arrays are (len(rows), k); entries with a false mask hold index 0.
    """
    total = len(images.positions)
    k = min(count + 3, total)
    while True:
        distance, index = tree.query(
            images.positions[rows], k=k, distance_upper_bound=cutoff * (1 + 1e-12), workers=workers
        )
        distance, index = distance.reshape(len(rows), k), index.reshape(len(rows), k)
        if k == total or not np.isfinite(distance[:, -1]).any():
            break
        k = min(2 * k, total)
    valid = np.isfinite(distance) & (index != rows[:, None])
    index[~valid] = 0
    return index, valid
