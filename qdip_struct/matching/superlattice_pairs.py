"""Pairs of superlattices of two nets with a common shape: candidates, the best linear map, its stretches and angle.

Vectorised over pairs. A Gram matrix is kept as the three numbers g₁₁, g₁₂, g₂₂ (Å²).
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdip_struct.matching.nets import SMALL_CHANGES
from qdip_struct.matching.superlattices import Superlattices

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
