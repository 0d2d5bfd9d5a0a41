"""Superlattices of a net up to its point group: exact integer enumeration, reduced cells, vectorised.

A superlattice of index n is a Hermite normal form [[d, k], [0, m]] with d·m = n and 0 ≤ k < m, acting on the rows of
the net. Two superlattices are the same when an operation of the net's point group takes one onto the other; that is
decided in integers, so that a change of the lattice constant in the last digit cannot change the list.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdip_struct.matching.nets import Net, point_group


@dataclass(frozen=True)
class Superlattices:
    """Classes of superlattices of one net, sorted by index.

    Attributes
    ----------
    index
        (n,) cell area in units of the net's primitive cell.
    matrices
        (n, 2, 2) integer rows of a reduced basis on the net's vectors.
    gram
        (n, 3) g₁₁, g₁₂, g₂₂ of the reduced basis, Å².
    multiplicity
        (n,) superlattices in the class.
    """

    index: NDArray[np.int64]
    matrices: NDArray[np.int64]
    gram: NDArray[np.float64]
    multiplicity: NDArray[np.int64]


def superlattices(net: Net, *, max_index: int) -> Superlattices:
    """Every superlattice of index 1 to ``max_index`` (at least 1), one per class of the net's point group."""
    d, k, m = _hermite_forms(max_index)
    gram = net.gram
    code = _code(d, k, m, max_index)
    smallest = code.copy()
    for operation in point_group(gram)[1:]:
        smallest = np.minimum(smallest, _code(*_image(d, k, m, operation), max_index))
    chosen, multiplicity = np.unique(smallest, return_counts=True)
    keep = np.searchsorted(code, chosen)
    d, k, m = d[keep], k[keep], m[keep]
    rows = np.zeros((len(keep), 2, 2), dtype=np.int64)
    rows[:, 0, 0], rows[:, 0, 1], rows[:, 1, 1] = d, k, m
    reduced, values = reduce_rows(rows, gram)
    return Superlattices(index=d * m, matrices=reduced, gram=values, multiplicity=multiplicity)


def reduce_rows(rows: NDArray[np.int64], gram: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Lagrange–Gauss reduction of many integer bases (n, 2, 2) on a net with the Gram matrix ``gram`` (2, 2).

    Returns
    -------
    rows, values
        Reduced rows (n, 2, 2) and (n, 3) g₁₁, g₁₂, g₂₂ with g₁₁ ≤ g₂₂ and −g₁₁/2 ≤ g₁₂ ≤ 0 within rounding.
    """
    p, q = rows[:, 0].copy(), rows[:, 1].copy()
    slack = 1e-9 * float(np.trace(gram))
    pp, pq, qq = _products(p, q, gram)
    while True:
        swap = pp > qq + slack
        p[swap], q[swap] = q[swap], p[swap]
        pp, qq = np.where(swap, qq, pp), np.where(swap, pp, qq)
        steps = np.rint(pq / pp).astype(np.int64)
        steps[np.abs(pq) <= 0.5 * pp + slack] = 0
        if not np.any(steps):
            break
        q -= steps[:, None] * p
        pp, pq, qq = _products(p, q, gram)
    flip = pq > slack
    q[flip] = -q[flip]
    return np.stack([p, q], axis=1), np.stack([pp, np.where(flip, -pq, pq), qq], axis=1)


def _products(
    p: NDArray[np.int64], q: NDArray[np.int64], gram: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    def dot(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.float64]:
        cross = x[:, 0] * y[:, 1] + x[:, 1] * y[:, 0]
        values: NDArray[np.float64] = (
            gram[0, 0] * (x[:, 0] * y[:, 0]) + gram[0, 1] * cross + gram[1, 1] * (x[:, 1] * y[:, 1])
        )
        return values

    return dot(p, p), dot(p, q), dot(q, q)


def _hermite_forms(max_index: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """d, k, m of every form with d·m ≤ max_index, sorted by :func:`_code`."""
    pairs = np.array([(d, m) for d in range(1, max_index + 1) for m in range(1, max_index // d + 1)], dtype=np.int64)
    order = np.lexsort((pairs[:, 0], pairs[:, 0] * pairs[:, 1]))
    d, m = np.repeat(pairs[order], pairs[order, 1], axis=0).T
    ends = np.cumsum(pairs[order, 1])
    k = np.arange(len(d)) - np.repeat(ends - pairs[order, 1], pairs[order, 1])
    return d, k, m


def _code(d: NDArray[np.int64], k: NDArray[np.int64], m: NDArray[np.int64], max_index: int) -> NDArray[np.int64]:
    """One integer per form, ascending in (d·m, d, k)."""
    base = max_index + 1
    return (d * m * base + d) * base + k


def _image(
    d: NDArray[np.int64], k: NDArray[np.int64], m: NDArray[np.int64], operation: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Hermite normal form of [[d, k], [0, m]]·W."""
    a, b = d * operation[0, 0] + k * operation[1, 0], d * operation[0, 1] + k * operation[1, 1]
    c, e = m * operation[1, 0], m * operation[1, 1]
    while np.any(c):
        # Euclid on the first column, all rows at once; rows that are done have c = 0 and stay.
        quotient = np.where(c != 0, a // np.where(c != 0, c, 1), 0)
        live = c != 0
        a, b, c, e = (
            np.where(live, c, a),
            np.where(live, e, b),
            np.where(live, a - quotient * c, c),
            np.where(live, b - quotient * e, e),
        )
    sign = np.where(a < 0, -1, 1)
    new_d, new_m = a * sign, np.abs(e)
    return new_d, (b * sign) % new_m, new_m
