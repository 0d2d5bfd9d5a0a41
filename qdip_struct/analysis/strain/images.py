"""Neighbour queries in which every neighbour carries its own periodic image.

The usual minimum-image shortcut gives one image per pair of atoms; in a cell one or two unit cells across the same
atom is a neighbour several times. Here the images near the cell are points of their own
(:func:`qdip_struct.builders.atoms.neighbours.with_images`), so any cell works, of any shape and with any mixture of
periodic and open directions. Positions in Å, row vectors.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from qdip_struct.base.errors import DataError
from qdip_struct.builders.atoms.neighbours import with_images


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


def nearest(
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
