"""Superlattices of a net up to its point group, and pairs of two nets with a common shape: integers, vectorised.

A superlattice of index n is a Hermite normal form [[d, k], [0, m]] with d·m = n and 0 ≤ k < m, acting on the rows of
the net. Two superlattices are the same when an operation of the net's point group takes one onto the other; that is
decided in integers, so that a change of the lattice constant in the last digit cannot change the list. Pairs
have the best linear map between them, its stretches and its angle; a Gram matrix is kept as the three numbers g₁₁, g₁₂,
g₂₂ (Å²).
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdip_struct.matching.nets import SMALL_CHANGES, Net, point_group


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


INCLUSIVE = 1.0 + 1e-9
"""Factor that makes a limit inclusive in floating point."""


def _change_coefficients() -> NDArray[np.float64]:
    """(3, 20, 3) coefficients of (h₁₁, h₁₂, h₂₂) in the Gram values of U·H·Uᵀ, for each change of basis U."""
    rows = []
    for (a, b), (c, d) in SMALL_CHANGES:
        rows.append([(a * a, 2 * a * b, b * b), (a * c, a * d + b * c, b * d), (c * c, 2 * c * d, d * d)])
    return np.array(rows, dtype=float).transpose(2, 0, 1)


_CHANGES = _change_coefficients()
_TRACES = (_CHANGES * np.array([1.0, 2.0, 1.0])).transpose(2, 0, 1).reshape(9, len(SMALL_CHANGES))
"""(9, 20) coefficients of the products (G⁻¹)ᵢ·Hⱼ in tr(G⁻¹·U·H·Uᵀ)."""


@dataclass(frozen=True)
class Pairs:
    """Superlattice pairs with a common shape, before a strain or an area is asked for.

    Attributes
    ----------
    film, substrate
        Positions in the two lists of superlattices.
    change
        (n, 2, 2) change of the substrate's basis that makes the map as isotropic as possible.
    stretch
        (n, 2) principal stretches λ of the film brought onto the substrate, larger one first.
    """

    film: NDArray[np.int64]
    substrate: NDArray[np.int64]
    change: NDArray[np.int64]
    stretch: NDArray[np.float64]


def find_pairs(films: Superlattices, *, substrates: Superlattices, stretch_range: tuple[float, float]) -> Pairs:
    """Pairs of superlattices whose best map has both principal stretches within ``stretch_range`` (inclusive).

    The best map is the most isotropic one; it does not depend on the scale of either net, so one call serves a whole
    range of compositions.
    """
    low, high = stretch_range[0] / INCLUSIVE, stretch_range[1] * INCLUSIVE
    film_index, substrate_index = _candidates(films, substrates, low, high)
    g, h = films.gram[film_index], substrates.gram[substrate_index]
    inverse = np.stack([g[:, 2], -g[:, 1], g[:, 0]], axis=1) / (g[:, 0] * g[:, 2] - g[:, 1] ** 2)[:, None]
    # tr(G⁻¹·U·H·Uᵀ) = λ₁² + λ₂² of every change U: linear in the products of the entries of G⁻¹ and H.
    products = (inverse[:, :, None] * h[:, None, :]).reshape(len(g), 9)
    traces = products @ _TRACES
    least = traces.min(axis=1, initial=np.inf, keepdims=True)
    chosen = SMALL_CHANGES[np.argmax(traces <= least * (1.0 + 1e-9), axis=1)]
    stretch = _stretch(inverse, _changed(h, chosen))
    kept = (stretch[:, 0] <= high) & (stretch[:, 1] >= low)
    return Pairs(film_index[kept], substrate_index[kept], chosen[kept], stretch[kept])


def common_basis(
    films: Superlattices, substrates: Superlattices, pairs: Pairs
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The common change of basis (n, 2, 2) that leaves the substrate reduced, and the angle difference (degree) in it.

    Of several equally short bases the one with the smallest difference is taken.
    """
    film_rows = films.gram[pairs.film]
    substrate_gram = substrates.gram[pairs.substrate]
    film_gram = _changed(film_rows, inverse_change(pairs.change))
    s, f = _all_changes(substrate_gram), _all_changes(film_gram)
    slack = 1e-6 * (substrate_gram[:, :1] + substrate_gram[:, 2:])
    short, cross, long = s[..., 0], s[..., 1], s[..., 2]
    reduced = (short <= long + slack) & (cross <= slack) & (cross >= -0.5 * short - slack)
    differences = np.where(reduced, np.abs(_angle(s) - _angle(f)), np.inf)
    least = differences.min(axis=1, initial=np.inf)
    return SMALL_CHANGES[np.argmax(differences <= least[:, None] + 1e-6, axis=1)], least


def inverse_change(change: NDArray[np.int64]) -> NDArray[np.int64]:
    """Inverses of integer changes of basis (n, 2, 2) of determinant ±1: their adjugates times the determinant."""
    determinant = change[:, 0, 0] * change[:, 1, 1] - change[:, 0, 1] * change[:, 1, 0]
    adjugate = np.stack(
        [
            np.stack([change[:, 1, 1], -change[:, 0, 1]], axis=1),
            np.stack([-change[:, 1, 0], change[:, 0, 0]], axis=1),
        ],
        axis=1,
    )
    return adjugate * determinant[:, None, None]


def _candidates(
    films: Superlattices, substrates: Superlattices, low: float, high: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs whose cell area and both successive minima agree within the stretches (necessary for a match)."""
    film_area = np.sqrt(films.gram[:, 0] * films.gram[:, 2] - films.gram[:, 1] ** 2)
    order = np.argsort(film_area, kind="stable")
    sorted_area = film_area[order]
    film_short, film_long = np.sqrt(films.gram[order, 0]), np.sqrt(films.gram[order, 2])
    area = np.sqrt(substrates.gram[:, 0] * substrates.gram[:, 2] - substrates.gram[:, 1] ** 2)
    short, long = np.sqrt(substrates.gram[:, 0]), np.sqrt(substrates.gram[:, 2])
    first = np.searchsorted(sorted_area, area / (high * high) / INCLUSIVE, side="left")
    last = np.searchsorted(sorted_area, area / (low * low) * INCLUSIVE, side="right")
    found_film, found_substrate = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    breaks = np.flatnonzero((np.diff(first) != 0) | (np.diff(last) != 0)) + 1
    for begin, end in itertools.pairwise([0, *breaks.tolist(), len(first)]):
        window = slice(int(first[begin]), int(last[begin]))
        a, b = short[begin:end, None] / film_short[None, window], long[begin:end, None] / film_long[None, window]
        row, column = np.nonzero((a >= low) & (a <= high) & (b >= low) & (b <= high))
        found_substrate.append(row + begin)
        found_film.append(order[column + window.start])
    return np.concatenate(found_film), np.concatenate(found_substrate)


def _all_changes(h: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 20, 3) Gram values after each change of :data:`~qdip_struct.matching.nets.SMALL_CHANGES`."""
    return (h @ _CHANGES.reshape(3, -1)).reshape(len(h), len(SMALL_CHANGES), 3)


def _changed(h: NDArray[np.float64], change: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 3) Gram values U·H·Uᵀ after one change of basis each (n, 2, 2)."""
    a, b, c, d = change[:, 0, 0], change[:, 0, 1], change[:, 1, 0], change[:, 1, 1]
    first = a * a * h[:, 0] + 2 * a * b * h[:, 1] + b * b * h[:, 2]
    cross = a * c * h[:, 0] + (a * d + b * c) * h[:, 1] + b * d * h[:, 2]
    second = c * c * h[:, 0] + 2 * c * d * h[:, 1] + d * d * h[:, 2]
    return np.stack([first, cross, second], axis=1)


def _stretch(inverse: NDArray[np.float64], h: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) square roots of the eigenvalues of C = G⁻¹·H, larger first.

    The difference of the eigenvalues is √[(C₁₁ − C₂₂)² + 4·C₁₂·C₂₁], which keeps its digits when they are equal.
    """
    c11 = inverse[:, 0] * h[:, 0] + inverse[:, 1] * h[:, 1]
    c22 = inverse[:, 1] * h[:, 1] + inverse[:, 2] * h[:, 2]
    c12 = inverse[:, 0] * h[:, 1] + inverse[:, 1] * h[:, 2]
    c21 = inverse[:, 1] * h[:, 0] + inverse[:, 2] * h[:, 1]
    difference = inverse[:, 0] * h[:, 0] - inverse[:, 2] * h[:, 2]
    root = np.sqrt(np.maximum(difference**2 + 4.0 * c12 * c21, 0.0))
    return np.sqrt(np.stack([0.5 * (c11 + c22 + root), 0.5 * (c11 + c22 - root)], axis=1))


def _angle(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.degrees(np.arccos(np.clip(gram[..., 1] / np.sqrt(gram[..., 0] * gram[..., 2]), -1.0, 1.0)))
