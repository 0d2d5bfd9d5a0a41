"""Who is near whom in a periodic cell: nearest distances and pairs from k-d trees, linear in the number of atoms.

Cells are row vectors in Å, shape (3, 3). Periodic images are explicit ghost points near the cell's faces, so that
thin and skewed cells are as right as large rectangular ones.
"""

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array

_PRODUCT = 200_000


def wrap(positions: Array, *, cell: Array, pbc: Array) -> Array:
    """Positions (n, 3) moved into the cell along periodic directions; coordinates within 1e-9 of 1 become 0."""
    if not np.any(pbc):
        return positions
    fractional = positions @ np.linalg.inv(cell)
    fractional = np.where(pbc, fractional - np.floor(fractional + 1e-9), fractional)
    return fractional @ cell


def thin_product(rows: Array, matrix: Array) -> Array:
    """Many rows times one small matrix, (n, k) @ (k, c), in blocks.

    Whole, such products make the linear algebra library start threads of its own, which on busy cores costs several
    times the product itself; blocks below its threshold do not.
    """
    n, k = rows.shape
    width = matrix.shape[1]
    block = max(1, _PRODUCT // (k * width))
    whole = n // block * block
    product = np.empty((n, width))
    np.matmul(rows[:whole].reshape(-1, block, k), matrix, out=product[:whole].reshape(-1, block, width))
    np.matmul(rows[whole:], matrix, out=product[whole:])
    return product


def with_images(positions: Array, *, cell: Array, pbc: Array, cutoff: float) -> tuple[Array, Array]:
    """Wrapped points and those periodic images that lie within ``cutoff`` (Å) of the cell.

    Parameters
    ----------
    positions
        (n, 3) Å.
    cell, pbc
        Row vectors (3, 3) Å, and which of them repeat, (3,).
    cutoff
        Å.

    Returns
    -------
    points, index
        (m, 3) Å and (m,) the original number of each point; the first n are the wrapped points themselves.
    """
    if not np.any(pbc):
        return positions, np.arange(len(positions))
    fractional = thin_product(positions, np.linalg.inv(cell))
    fractional = np.where(pbc, fractional - np.floor(fractional + 1e-9), fractional)
    index = np.arange(len(positions))
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    for axis in np.flatnonzero(pbc):
        reach = cutoff / heights[axis] + 1e-9
        layers, indices = [fractional], [index]
        for shift in range(1, int(np.ceil(reach)) + 1):
            for sign in (1, -1):
                moved = fractional[:, axis] + sign * shift
                near = (moved > -reach) & (moved < 1 + reach)
                image = fractional[near].copy()
                image[:, axis] = moved[near]
                layers.append(image)
                indices.append(index[near])
        fractional, index = np.concatenate(layers), np.concatenate(indices)
    return thin_product(fractional, cell), index


def nearest_neighbour(points: Array, *, targets: Array, cell: Array, pbc: Array, cutoff: float) -> tuple[Array, Array]:
    """Distance (Å) to, and number of, the nearest of ``targets`` for each of ``points``; ∞ and −1 beyond ``cutoff``.

    The arguments are those of :func:`neighbour_pairs`.

    Returns
    -------
    distance, number
        (n,) Å and (n,), one for each point.
    """
    from scipy.spatial import cKDTree

    if len(points) == 0 or len(targets) == 0:
        return np.full(len(points), np.inf), np.full(len(points), -1)
    images, index = with_images(targets, cell=cell, pbc=pbc, cutoff=cutoff)
    wrapped = wrap(points, cell=cell, pbc=pbc)
    distance, found = cKDTree(images, balanced_tree=False).query(wrapped, distance_upper_bound=cutoff)
    return distance, np.where(np.isfinite(distance), np.append(index, -1)[np.minimum(found, len(index))], -1)


def neighbour_pairs(
    points: Array, *, targets: Array, cell: Array, pbc: Array, cutoff: float
) -> tuple[Array, Array, Array]:
    """Every pair (point, target, distance in Å) closer than ``cutoff``, images included, sorted by point.

    Parameters
    ----------
    points, targets
        (n, 3) and (m, 3) Å.
    cell, pbc
        Row vectors (3, 3) Å, and which of them repeat, (3,).
    cutoff
        Å; a point that is also a target pairs with itself at distance 0.

    Returns
    -------
    point, target, distance
        (k,) numbers of both and their distance in Å; a pair comes once for each image within the cut-off.
    """
    from scipy.spatial import cKDTree

    if len(points) == 0 or len(targets) == 0:
        empty = np.zeros(0, dtype=int)
        return empty, empty, np.zeros(0)
    images, index = with_images(targets, cell=cell, pbc=pbc, cutoff=cutoff)
    wrapped = wrap(points, cell=cell, pbc=pbc)
    tree = cKDTree(images, balanced_tree=False)
    pairs = cKDTree(wrapped, balanced_tree=False).sparse_distance_matrix(tree, cutoff, output_type="ndarray")
    order = np.lexsort((index[pairs["j"]], pairs["i"]))
    return pairs["i"][order], index[pairs["j"][order]], pairs["v"][order]


def minimum_distance(atoms: Atoms) -> float | None:
    """Smallest distance in Å between two atoms that are not of one molecular ion; None for fewer than two such atoms.

    A sample of the atoms bounds the answer from above, then all pairs closer than that are looked at.
    """
    from scipy.spatial import cKDTree

    n = len(atoms)
    molecule = atoms.get_array("molecule") if atoms.has("molecule") else np.full(n, -1)
    cell, pbc = atoms.cell.array, atoms.pbc
    if n == 0:
        return None
    sample = np.arange(0, n, max(1, n // 200))
    reach = float(np.abs(cell).sum() + np.ptp(atoms.positions, axis=0).sum()) + 3.0
    radius, bound = 4.0, np.inf
    while not np.isfinite(bound):
        if radius > reach:
            return None
        bound = _closest(atoms.positions, molecule=molecule, who=sample, cell=cell, pbc=pbc, radius=radius)
        if len(sample) < n and radius > 6.0 and not np.isfinite(bound):
            sample = np.arange(n)
        radius *= 1.5
    radius = bound - 1e-6
    points, index = with_images(atoms.positions, cell=cell, pbc=pbc, cutoff=radius)
    pairs = cKDTree(points, balanced_tree=False, compact_nodes=False).query_pairs(radius, output_type="ndarray")
    one, two = index[pairs[:, 0]], index[pairs[:, 1]]
    apart = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    apart = apart[(molecule[one] < 0) | (molecule[one] != molecule[two])]
    return float(min(bound, apart.min(initial=np.inf)))


def _closest(positions: Array, *, molecule: Array, who: Array, cell: Array, pbc: Array, radius: float) -> float:
    """Shortest distance (Å) below ``radius`` from the atoms ``who`` to any other atom of another molecule, else ∞."""
    one, two, apart = neighbour_pairs(positions[who], targets=positions, cell=cell, pbc=pbc, cutoff=radius)
    one = who[one]
    other = ((one != two) | (apart > 1e-9)) & ((molecule[one] < 0) | (molecule[one] != molecule[two]))
    return float(apart[other].min(initial=np.inf))
