"""How far an arrangement of ions is from a random alloy: pair probabilities of the first shells, and their search.

Special quasi-random structures: A. Zunger et al., Phys. Rev. Lett. 65, 353 (1990), doi 10.1103/PhysRevLett.65.353.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.builders.atoms.cells import SiteCell
from qdip_struct.builders.atoms.neighbours import neighbour_pairs

Array = NDArray[Any]
SHELLS = 3
_MOST_STEPS = 4000


def correlation_error(sites: SiteCell, *, sublattice: str) -> float:
    """The correlation error of :class:`Decoration` of the ions as they sit on a sublattice."""
    index = np.flatnonzero(sites.sublattice == sublattice)
    names, kinds = np.unique(sites.species[index], return_inverse=True)
    return float(np.sqrt(pair_error(kinds, pair_shells(sites, index), len(names))))


def pair_shells(sites: SiteCell, index: Array) -> list[Any]:
    """Matrices of the first shells of a sublattice: share of neighbour pairs (images counted) between two sites.

    Dense up to two hundred sites, where that is faster, else sparse.
    """
    from scipy.sparse import coo_matrix

    points = sites.positions[index]
    pbc = np.ones(3, dtype=bool)
    cutoff = 2.2 * (abs(np.linalg.det(sites.cell)) / len(index)) ** (1 / 3) + 1.0
    one, two, distance = neighbour_pairs(points, targets=points, cell=sites.cell, pbc=pbc, cutoff=cutoff)
    far = distance > 0.1
    one, two, distance = one[far], two[far], distance[far]
    edges = np.sort(np.round(distance, 3))
    starts = edges[np.insert(np.diff(edges) > 0.25, 0, True)] if len(edges) else edges
    shell = np.searchsorted(starts, np.round(distance, 3), side="right") - 1
    shape = (len(index), len(index))
    found = []
    for k in range(min(SHELLS, len(starts))):
        chosen = shell == k
        shares = np.full(int(chosen.sum()), 1.0 / chosen.sum())
        matrix = coo_matrix((shares, (one[chosen], two[chosen])), shape=shape).tocsr()
        found.append(matrix.toarray() if len(index) <= 200 else matrix)
    return found


def pair_error(kinds: Array, shells: list[Any], n_kinds: int) -> float:
    """Mean square deviation of the pair probabilities from x_a·x_b."""
    occupation = np.eye(n_kinds)[kinds]
    shares = occupation.sum(axis=0) / len(kinds)
    ideal = np.outer(shares, shares)
    total = 0.0
    for shell in shells:
        deviation = occupation.T @ (shell @ occupation) - ideal
        total += float((deviation * deviation).sum())
    # Rounded, so that the last bit of a product, which differs between machines, cannot steer the search.
    return round(total / (len(shells) * n_kinds * n_kinds), 14) if shells else 0.0


def search_arrangement(kinds: Array, shells: list[Any], *, n_kinds: int, generator: np.random.Generator) -> Array:
    """Exchange pairs of unlike ions, cooling, and keep the best arrangement met.

    Parameters
    ----------
    kinds
        Species number of each site, (n,), the start.
    shells
        Pairs of sites by distance, from :func:`pair_shells`.
    n_kinds
        Number of species.
    generator
        Source of random numbers; the same one gives the same arrangement.

    Returns
    -------
    numpy.ndarray
        Species number of each site, (n,), the same counts as in ``kinds``.
    """
    if n_kinds < 2 or not shells:
        return kinds
    steps = min(_MOST_STEPS, 40 * len(kinds))
    current = pair_error(kinds, shells, n_kinds)
    best, best_error = kinds.copy(), current
    for step in range(steps):
        if best_error < 1e-12:
            break
        i, j = generator.integers(len(kinds), size=2)
        if kinds[i] == kinds[j]:
            continue
        kinds[i], kinds[j] = kinds[j], kinds[i]
        tried = pair_error(kinds, shells, n_kinds)
        temperature = 1e-4 * (1.0 - step / steps) ** 2 + 1e-12
        if tried <= current or generator.random() < np.exp((current - tried) / temperature):
            current = tried
            if tried < best_error - 1e-15:
                best, best_error = kinds.copy(), tried
        else:
            kinds[i], kinds[j] = kinds[j], kinds[i]
    return best
