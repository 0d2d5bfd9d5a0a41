"""Choosing some of many equal border sites: facets share them evenly, and as much of the cube's symmetry as the count
allows survives.

Among the subgroups of the 48 operations of the cube (m-3m) that carry the sites onto themselves, the largest is taken
whose orbits add up to the count wanted while the facets share the sites as evenly as a free choice would.
"""

from functools import lru_cache
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MOST_SITES = 400
"""Larger sets are spread without looking for symmetry."""
_LAYER = 0.5


def choose(points: Array, *, facets: Array, count: int, rng: np.random.Generator) -> Array:
    """Choose ``count`` of ``points``.

    Parameters
    ----------
    points
        (n, 3) Å relative to the centre, in the frame of the cube's axes.
    facets
        Outward unit normals (m, 3).
    count
        How many; all when there are no more.
    rng
        Decides between equals.

    Returns
    -------
    numpy.ndarray
        Numbers of the chosen points.
    """
    if count >= len(points):
        return np.arange(len(points))
    if count == 0:
        return np.zeros(0, dtype=int)
    free = spread(points, facets=facets, count=count, order=rng.permutation(len(points)))
    if len(points) > MOST_SITES:
        return free
    allowed = _unevenness(points, facets=facets, chosen=free)
    found = _symmetric(points, facets=facets, count=count, allowed=allowed, rng=rng)
    return free if found is None else found


def spread(points: Array, *, facets: Array, count: int, order: Array) -> Array:
    """Choose ``count`` of ``points`` one by one so that facets share them evenly and they are far apart.

    Parameters
    ----------
    points
        (n, 3) Å relative to the centre of the dot.
    facets
        Outward unit normals (m, 3).
    count
        How many.
    order
        (n,) permutation that decides between equals.

    Returns
    -------
    numpy.ndarray
        Numbers of the chosen points (count,), in the order of choice.
    """
    if count >= len(points):
        return np.arange(len(points))
    rank = np.empty(len(points), dtype=int)
    rank[order] = np.arange(len(points))
    member = _membership(points, facets=facets)
    weight = member / member.sum(axis=1, keepdims=True)
    load = np.zeros(len(facets))
    apart = np.full(len(points), np.inf)
    total = np.zeros(3)
    taken = np.zeros(len(points), dtype=bool)
    chosen = np.zeros(count, dtype=int)
    for step in range(count):
        peak = np.round((member * (load + weight)).max(axis=1), 6)
        mean = np.round((weight * load).sum(axis=1), 6)
        dipole = np.round(np.linalg.norm(points + total, axis=1), 3)
        free = np.flatnonzero(~taken)
        keys = (rank[free], dipole[free], -np.round(apart[free], 3), mean[free], peak[free])
        best = _first_of(free, keys)
        chosen[step], taken[best] = best, True
        load += weight[best]
        total += points[best]
        apart = np.minimum(apart, np.linalg.norm(points - points[best], axis=1))
    return chosen


def _membership(points: Array, *, facets: Array) -> Array:
    """Which facets each point lies on: the outermost layer of a facet, and the facet it points to most, bool (n, m)."""
    height = points @ facets.T
    return (height >= height.max(axis=0) - _LAYER) | (height >= height.max(axis=1, keepdims=True) - 1e-3)


def _unevenness(points: Array, *, facets: Array, chosen: Array) -> int:
    loads = _membership(points, facets=facets)[chosen].sum(axis=0)
    return int(loads.max() - loads.min())


def _first_of(free: Array, keys: tuple[Array, ...]) -> int:
    """The entry of ``free`` that is smallest by the last key, then by the one before, and so on."""
    left = np.arange(len(free))
    for key in reversed(keys):
        values = key[left]
        left = left[values == values.min()]
        if len(left) == 1:
            break
    return int(free[left[0]])


@lru_cache(maxsize=1)
def cube_operations() -> Array:
    """The 48 operations of the cube as signed permutation matrices, (48, 3, 3)."""
    found = []
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            matrix = np.zeros((3, 3), dtype=int)
            matrix[range(3), order] = signs
            found.append(matrix)
    return np.array(found)


@lru_cache(maxsize=1)
def _subgroups() -> tuple[tuple[int, ...], ...]:
    """The subgroups of the cube's operations (98 with the trivial one, which is left out), largest first."""
    operations = cube_operations()
    code = np.array([1, 3, 9, 27, 81, 243, 729, 2187, 6561])
    keys = (operations.reshape(48, 9) + 1) @ code
    order = np.argsort(keys)
    products = np.einsum("aij,bjk->abik", operations, operations).reshape(48 * 48, 9)
    table = order[np.searchsorted(keys[order], (products + 1) @ code)].reshape(48, 48)

    def closed(members: Array) -> tuple[int, ...]:
        while True:
            grown = np.union1d(members, table[np.ix_(members, members)])
            if len(grown) == len(members):
                return tuple(grown.tolist())
            members = grown

    cyclic = sorted({closed(np.array([index])) for index in range(48)})
    groups = {closed(np.union1d(one, two)) for number, one in enumerate(cyclic) for two in cyclic[: number + 1]}
    inversion = int(np.flatnonzero((operations == -np.eye(3, dtype=int)).all(axis=(1, 2)))[0])
    groups |= {closed(np.union1d(group, inversion)) for group in groups}
    return tuple(sorted((group for group in groups if len(group) > 1), key=lambda group: (-len(group), group)))


def _symmetric(points: Array, *, facets: Array, count: int, allowed: int, rng: np.random.Generator) -> Array | None:
    """The choice of the largest subgroup that is even enough, None when only the identity is left."""
    images = np.full((48, len(points)), -1)
    place = {tuple(row): index for index, row in enumerate(np.rint(points * 20).astype(int).tolist())}
    for number, operation in enumerate(cube_operations()):
        moved = np.rint(points @ operation.T * 20).astype(int).tolist()
        images[number] = [place.get(tuple(row), -1) for row in moved]
    valid = set(np.flatnonzero((images >= 0).all(axis=1)).tolist())
    groups = [group for group in _subgroups() if valid.issuperset(group)]
    luck = rng.random(len(groups))
    for index in sorted(range(len(groups)), key=lambda i: (-len(groups[i]), luck[i])):
        first = images[list(groups[index])].min(axis=0)
        orbits = [np.flatnonzero(first == start) for start in np.unique(first)]
        chosen = _fill(orbits, points=points, facets=facets, count=count)
        if chosen is not None and _unevenness(points, facets=facets, chosen=chosen) <= allowed:
            return chosen
    return None


def _fill(orbits: list[Array], *, points: Array, facets: Array, count: int) -> Array | None:
    """Whole orbits that add up to ``count``, the facets' loads kept low and the sites apart; None when none do."""
    member = _membership(points, facets=facets)
    left, chosen, free = count, np.zeros(0, dtype=int), list(range(len(orbits)))
    sizes = [len(orbit) for orbit in orbits]
    while left:
        best, best_key = -1, (0, 0.0)
        for index in free:
            if sizes[index] > left or not _reachable([sizes[i] for i in free if i != index], left - sizes[index]):
                continue
            tried = np.concatenate([chosen, orbits[index]])
            loads = member[tried].sum(axis=0)
            apart = np.linalg.norm(points[tried][:, None] - points[tried][None], axis=2)
            apart[np.arange(len(tried)), np.arange(len(tried))] = np.inf
            key = (int(loads.max() - loads.min()), -round(float(apart.min()), 3))
            if best < 0 or key < best_key:
                best, best_key = index, key
        if best < 0:
            return None
        chosen = np.concatenate([chosen, orbits[best]])
        left -= sizes[best]
        free.remove(best)
    return chosen


def _reachable(sizes: list[int], goal: int) -> bool:
    """Whether some of ``sizes`` add up to ``goal``."""
    sums = 1
    for size in sizes:
        sums |= sums << size
    return bool(sums >> goal & 1)
