"""Coincidence cells of two nets: unique superlattice pairs within a strain and an area, exact and deterministic.

The search follows Zur and McGill, J. Appl. Phys. 55, 378 (1984), doi:10.1063/1.333084: superlattices of both nets are
enumerated by Hermite normal forms and compared as reduced cells. Here each superlattice is kept once per class of its
net's point group, and the strain is that of the best linear map between the two cells, not of one choice of basis.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdip_struct.errors import UsageError
from qdip_struct.matching.nets import SMALL_CHANGES, Net, point_group
from qdip_struct.matching.superlattices import Superlattices, superlattices

MAX_INDEX = 20_000
_INCLUSIVE = 1.0 + 1e-9


@dataclass(frozen=True)
class Match:
    """A cell common to film and substrate.

    Parameters
    ----------
    area_angstrom2, film_area_angstrom2
        Area of the substrate's cell and of the unstrained film's cell, Å².
    film_matrix, substrate_matrix
        Integer rows: the cell vectors on the primitive vectors of each net. Row i of the film is laid on row i of
        the substrate.
    strain_principal
        Principal engineering strains λ − 1 of the film brought onto the substrate, larger one first.
    angle_degree
        Absolute change of the angle between the two cell vectors.
    primitive
        False when the cell is a supercell of a smaller cell with the same map.
    mirrored
        True when the film must be turned over (only for oblique nets).
    """

    area_angstrom2: float
    film_area_angstrom2: float
    film_matrix: tuple[tuple[int, int], tuple[int, int]]
    substrate_matrix: tuple[tuple[int, int], tuple[int, int]]
    strain_principal: tuple[float, float]
    angle_degree: float
    primitive: bool
    mirrored: bool

    @property
    def strain_max(self) -> float:
        """Largest absolute principal strain."""
        return max(map(abs, self.strain_principal))


@dataclass(frozen=True)
class Pairs:
    """Superlattice pairs with a common shape, before a strain or an area is asked for.

    Parameters
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


def find_matches(
    film: Net,
    *,
    substrate: Net,
    max_area: float = 400.0,
    max_strain: float = 0.03,
    max_angle: float = 1.0,
    symmetric: bool = False,
) -> tuple[Match, ...]:
    """Every distinct coincidence cell of two nets, sorted by area, then strain.

    Two cells are the same when point-group operations of the two nets take one pair of superlattices onto the other.

    Parameters
    ----------
    max_area
        Largest area of the substrate's cell, Å², inclusive.
    max_strain
        Largest absolute principal engineering strain of the film, inclusive.
    max_angle
        Largest change of the angle between the cell vectors, degree, inclusive.
    symmetric
        Limit the logarithmic strain \\|ln λ\\| and the larger of the two areas instead, so that the list is the same
        when film and substrate change places.

    Raises
    ------
    UsageError
        If a limit is not positive and finite, or the area holds more than 20,000 primitive cells.
    """
    _check_limits(max_area, max_strain, max_angle)
    reach = math.exp(max_strain) if symmetric else 1.0 + max_strain
    least = math.exp(-max_strain) if symmetric else 1.0 - max_strain
    film_area = max_area if symmetric else max_area / least**2
    films = superlattices(film, max_index=_index(film, film_area))
    substrates = superlattices(substrate, max_index=_index(substrate, max_area))
    pairs = find_pairs(films, substrates=substrates, stretch_range=(least, reach))
    return _matches(film, substrate, films, substrates, pairs, max_angle)


def find_pairs(films: Superlattices, *, substrates: Superlattices, stretch_range: tuple[float, float]) -> Pairs:
    """Pairs of superlattices whose best map has both principal stretches within ``stretch_range`` (inclusive).

    The best map is the most isotropic one; it does not depend on the scale of either net, so one call serves a whole
    range of compositions.
    """
    low, high = stretch_range[0] / _INCLUSIVE, stretch_range[1] * _INCLUSIVE
    film_index, substrate_index = _candidates(films, substrates, low, high)
    g, h = films.gram[film_index], substrates.gram[substrate_index]
    adjugate = np.stack([g[:, 2], -g[:, 1], g[:, 0]], axis=1) / (g[:, 0] * g[:, 2] - g[:, 1] ** 2)[:, None]
    best = np.full(len(g), np.inf)
    which = np.zeros(len(g), dtype=np.int64)
    for number, change in enumerate(SMALL_CHANGES):
        trace = _trace(adjugate, _changed(h, change))
        better = trace < best * (1.0 - 1e-9)
        best, which = np.where(better, trace, best), np.where(better, number, which)
    chosen = SMALL_CHANGES[which]
    stretch = _stretch(adjugate, _changed(h, chosen))
    kept = (stretch[:, 0] <= high) & (stretch[:, 1] >= low)
    return Pairs(film_index[kept], substrate_index[kept], chosen[kept], stretch[kept])


def smallest_matches(
    film: Net,
    *,
    substrate: Net,
    substrate_scales: Sequence[float] | NDArray[np.float64],
    film_scales: Sequence[float] | NDArray[np.float64] | None = None,
    max_area: float = 400.0,
    max_strain: float = 0.03,
    max_angle: float = 1.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Area (Å²) and largest strain of the smallest match at every scale of the two nets; NaN where there is none.

    One enumeration serves all scales: the shape of a superlattice does not change, only the ratio of lengths.

    Parameters
    ----------
    substrate_scales, film_scales
        (n,) factors on the lattice constants of the two nets.
    """
    _check_limits(max_area, max_strain, max_angle)
    outer = np.asarray(substrate_scales, dtype=float)
    inner = np.ones_like(outer) if film_scales is None else np.asarray(film_scales, dtype=float)
    if not (np.all(np.isfinite(outer)) and np.all(outer > 0) and np.all(np.isfinite(inner)) and np.all(inner > 0)):
        raise UsageError("scales must be positive and finite")
    if outer.size == 0:
        return np.zeros(0), np.zeros(0)
    ratio = outer / inner
    films = superlattices(film, max_index=_index(film, max_area / (1.0 - max_strain) ** 2 / float(inner.min()) ** 2))
    substrates = superlattices(substrate, max_index=_index(substrate, max_area / float(outer.min()) ** 2))
    pairs = find_pairs(
        films,
        substrates=substrates,
        stretch_range=((1.0 - max_strain) / float(ratio.max()), (1.0 + max_strain) / float(ratio.min())),
    )
    angle = _angles(films, substrates, pairs)[1]
    kept = angle <= max_angle * _INCLUSIVE
    areas, stretch = substrates.index[pairs.substrate[kept]] * substrate.area, pairs.stretch[kept]
    order = np.lexsort((np.round(np.abs(np.log(stretch)).max(axis=1), 9), np.round(areas, 6)))
    areas, stretch = areas[order], stretch[order]
    area, strain = np.full(outer.shape, np.nan), np.full(outer.shape, np.nan)
    if len(areas) == 0:
        return area, strain
    for start in range(0, len(outer), 4096):
        part = slice(start, start + 4096)
        most = np.maximum(
            np.abs(ratio[part, None] * stretch[None, :, 0] - 1.0), np.abs(ratio[part, None] * stretch[None, :, 1] - 1.0)
        )
        inside = areas[None, :] * outer[part, None] ** 2 <= max_area * _INCLUSIVE
        allowed = (most <= max_strain * _INCLUSIVE) & inside
        found = np.any(allowed, axis=1)
        smallest = np.where(allowed, areas[None, :], np.inf).min(axis=1)
        least = np.where(allowed & (areas[None, :] <= smallest[:, None] * _INCLUSIVE), most, np.inf).min(axis=1)
        area[part] = np.where(found, smallest * outer[part] ** 2, np.nan)
        strain[part] = np.where(found, least, np.nan)
    return area, strain


def pareto(matches: Sequence[Match]) -> tuple[Match, ...]:
    """The matches that no other match beats in both area and largest strain, by growing area."""
    front: list[Match] = []
    for match in sorted(matches, key=lambda m: (round(m.area_angstrom2, 6), round(m.strain_max, 9))):
        if not front or round(match.strain_max, 9) < round(front[-1].strain_max, 9):
            front.append(match)
    return tuple(front)


def _check_limits(max_area: float, max_strain: float, max_angle: float) -> None:
    for name, value, low, high in (
        ("largest area", max_area, 0.0, 1e6),
        ("largest strain", max_strain, 0.0, 0.25),
        ("largest angle", max_angle, 0.0, 30.0),
    ):
        if not (math.isfinite(value) and low < value <= high):
            raise UsageError(f"the {name} is {value:g}; expected more than {low:g} and at most {high:g}")


def _index(net: Net, area: float) -> int:
    index = int(area / net.area * _INCLUSIVE)
    if index > MAX_INDEX:
        raise UsageError(
            f"{area:.0f} Å² hold {index} primitive cells of {net.name}; at most {MAX_INDEX}, ask for a smaller area"
        )
    return index


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
    first = np.searchsorted(sorted_area, area / (high * high) / _INCLUSIVE, side="left")
    last = np.searchsorted(sorted_area, area / (low * low) * _INCLUSIVE, side="right")
    found_film, found_substrate = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    breaks = np.flatnonzero((np.diff(first) != 0) | (np.diff(last) != 0)) + 1
    for begin, end in itertools.pairwise([0, *breaks.tolist(), len(first)]):
        window = slice(int(first[begin]), int(last[begin]))
        a, b = short[begin:end, None] / film_short[None, window], long[begin:end, None] / film_long[None, window]
        row, column = np.nonzero((a >= low) & (a <= high) & (b >= low) & (b <= high))
        found_substrate.append(row + begin)
        found_film.append(order[column + window.start])
    return np.concatenate(found_film), np.concatenate(found_substrate)


def _changed(h: NDArray[np.float64], change: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 3) Gram values after a change of basis U·H·Uᵀ; one change (2, 2) for all or one each (n, 2, 2)."""
    a, b, c, d = change[..., 0, 0], change[..., 0, 1], change[..., 1, 0], change[..., 1, 1]
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


def _trace(inverse: NDArray[np.float64], h: NDArray[np.float64]) -> NDArray[np.float64]:
    """tr(G⁻¹·H) = λ₁² + λ₂²."""
    values: NDArray[np.float64] = inverse[:, 0] * h[:, 0] + 2.0 * inverse[:, 1] * h[:, 1] + inverse[:, 2] * h[:, 2]
    return values


def _angles(
    films: Superlattices, substrates: Superlattices, pairs: Pairs
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The common change of basis (n, 2, 2) that leaves the substrate reduced, and the angle difference (degree) in it.

    Of several equally short bases the one with the smallest difference is taken.
    """
    film_rows = films.gram[pairs.film]
    substrate_gram = substrates.gram[pairs.substrate]
    film_gram = _changed(film_rows, _inverse(pairs.change))
    best = np.full(len(film_rows), np.inf)
    which = np.zeros(len(film_rows), dtype=np.int64)
    slack = 1e-6 * (substrate_gram[:, 0] + substrate_gram[:, 2])
    for number, change in enumerate(SMALL_CHANGES):
        s = _changed(substrate_gram, change)
        reduced = (s[:, 0] <= s[:, 2] + slack) & (s[:, 1] <= slack) & (s[:, 1] >= -0.5 * s[:, 0] - slack)
        f = _changed(film_gram, change)
        difference = np.abs(_angle(s) - _angle(f))
        better = reduced & (difference < best - 1e-6)
        best, which = np.where(better, difference, best), np.where(better, number, which)
    return SMALL_CHANGES[which], best


def _inverse(change: NDArray[np.int64]) -> NDArray[np.int64]:
    determinant = change[:, 0, 0] * change[:, 1, 1] - change[:, 0, 1] * change[:, 1, 0]
    adjugate = np.stack(
        [
            np.stack([change[:, 1, 1], -change[:, 0, 1]], axis=1),
            np.stack([-change[:, 1, 0], change[:, 0, 0]], axis=1),
        ],
        axis=1,
    )
    return adjugate * determinant[:, None, None]


def _angle(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.degrees(np.arccos(np.clip(gram[:, 1] / np.sqrt(gram[:, 0] * gram[:, 2]), -1.0, 1.0)))


def _matches(
    film: Net, substrate: Net, films: Superlattices, substrates: Superlattices, pairs: Pairs, max_angle: float
) -> tuple[Match, ...]:
    common, angle = _angles(films, substrates, pairs)
    kept = np.flatnonzero(angle <= max_angle * _INCLUSIVE)
    common, angle = common[kept], angle[kept]
    stretch = pairs.stretch[kept]
    # Row i of the film lies on row i of change·substrate; the inverse moves the change to the film's side.
    substrate_rows = common @ substrates.matrices[pairs.substrate[kept]]
    film_rows = common @ _inverse(pairs.change[kept]) @ films.matrices[pairs.film[kept]]
    substrate_rows = _presentable(substrate_rows, point_group(substrate.gram))
    film_rows = _presentable(film_rows, point_group(film.gram))
    film_rows, substrate_rows = _upright(film_rows, substrate_rows)
    primitive = _coincidence_index(film_rows, substrate_rows) == np.abs(_determinant(film_rows))
    mirrored = _determinant(film_rows) * _determinant(substrate_rows) < 0
    areas = substrates.index[pairs.substrate[kept]] * substrate.area
    film_areas = films.index[pairs.film[kept]] * film.area
    strain = stretch - 1.0
    most = np.abs(strain).max(axis=1)
    keys = np.column_stack([substrate_rows.reshape(len(kept), 4), film_rows.reshape(len(kept), 4)])
    order = np.lexsort((*keys.T[::-1], np.round(angle, 6), np.round(most, 9), np.round(areas, 6)))
    return tuple(
        Match(
            area_angstrom2=round(float(areas[i]), 9),
            film_area_angstrom2=round(float(film_areas[i]), 9),
            film_matrix=_rows(film_rows[i]),
            substrate_matrix=_rows(substrate_rows[i]),
            strain_principal=(round(float(strain[i, 0]), 12), round(float(strain[i, 1]), 12)),
            angle_degree=round(float(angle[i]), 9),
            primitive=bool(primitive[i]),
            mirrored=bool(mirrored[i]),
        )
        for i in order
    )


def _determinant(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    values: NDArray[np.int64] = rows[:, 0, 0] * rows[:, 1, 1] - rows[:, 0, 1] * rows[:, 1, 0]
    return values


def _presentable(rows: NDArray[np.int64], operations: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of all symmetry images of a cell (± included) the right-handed one, if any, whose rows read largest."""
    signed = np.concatenate([operations, -operations])
    images = rows[:, None] @ signed[None]
    handed = images[..., 0, 0] * images[..., 1, 1] - images[..., 0, 1] * images[..., 1, 0] > 0
    alive = np.ones(handed.shape, dtype=bool)
    for key in (handed, images[..., 0, 0], images[..., 0, 1], images[..., 1, 1], images[..., 1, 0]):
        wanted = np.where(alive, key, np.iinfo(np.int64).min)
        alive &= wanted == wanted.max(axis=1, keepdims=True)
    return images[np.arange(len(rows)), np.argmax(alive, axis=1)]


def _upright(film: NDArray[np.int64], substrate: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Exchange the two rows of both cells where that makes the substrate right-handed."""
    left = _determinant(substrate) < 0
    film, substrate = film.copy(), substrate.copy()
    film[left], substrate[left] = film[left][:, ::-1], substrate[left][:, ::-1]
    return film, substrate


def _coincidence_index(film: NDArray[np.int64], substrate: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index in the film's net of the lattice of all vectors that the map takes onto substrate vectors.

    With M = film⁻¹·substrate of Smith form diag(p₁, p₂) the index is the product of the denominators of p₁ and p₂.
    """
    size = np.abs(_determinant(film))
    adjugate = np.stack(
        [np.stack([film[:, 1, 1], -film[:, 0, 1]], axis=1), np.stack([-film[:, 1, 0], film[:, 0, 0]], axis=1)], axis=1
    )
    product = adjugate @ substrate
    first = np.gcd.reduce(product.reshape(len(product), 4), axis=1)
    second = np.abs(_determinant(product)) // first
    return (size // np.gcd(first, size)) * (size // np.gcd(second, size))


def _rows(matrix: NDArray[np.int64]) -> tuple[tuple[int, int], tuple[int, int]]:
    return (int(matrix[0, 0]), int(matrix[0, 1])), (int(matrix[1, 0]), int(matrix[1, 1]))
