"""Coincidence cells of two nets: unique superlattice pairs within a strain and an area, exact and deterministic.

The search follows Zur and McGill, J. Appl. Phys. 55, 378 (1984), doi:10.1063/1.333084: superlattices of both nets are
enumerated by Hermite normal forms and compared as reduced cells. Here each superlattice is kept once per class of its
net's point group, and the strain is that of the best linear map between the two cells, not of one choice of basis.

Every pair of cells is listed once. Where the common cell is more symmetric than the crystals allow for (a √5 × √5
square cell of a square net, say), its symmetry gives further ways to lay the film on the substrate, the orientation
relations of a match: same area, same strain, another twist.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.matching.nets import Net, point_group, reduce_gram
from qdip_struct.matching.superlattices import (
    INCLUSIVE,
    Pairs,
    Superlattices,
    common_basis,
    find_pairs,
    inverse_change,
    superlattices,
)

MAX_INDEX = 20_000


@dataclass(frozen=True)
class Match:
    """A cell common to film and substrate.

    Attributes
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
    n_films, n_substrates = _index(film, film_area), _index(substrate, max_area)
    if not n_films or not n_substrates:
        return ()
    films = superlattices(film, max_index=n_films)
    substrates = superlattices(substrate, max_index=n_substrates)
    pairs = find_pairs(films, substrates=substrates, stretch_range=(least, reach))
    return _matches(film, substrate, films, substrates, pairs, max_angle)


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
    film, substrate
        The two nets.
    substrate_scales, film_scales
        (n,) factors on the lattice constants of the two nets.
    max_area, max_strain, max_angle
        Limits: Å², largest principal strain, largest change of the cell angle in degree.

    Raises
    ------
    UsageError
        If a scale is not positive and finite.
    """
    _check_limits(max_area, max_strain, max_angle)
    outer = np.asarray(substrate_scales, dtype=float)
    inner = np.ones_like(outer) if film_scales is None else np.asarray(film_scales, dtype=float)
    if not (np.all(np.isfinite(outer)) and np.all(outer > 0) and np.all(np.isfinite(inner)) and np.all(inner > 0)):
        raise UsageError("scales must be positive and finite")
    if outer.size == 0:
        return np.zeros(0), np.zeros(0)
    ratio = outer / inner
    n_films = _index(film, max_area / (1.0 - max_strain) ** 2 / float(inner.min()) ** 2)
    n_substrates = _index(substrate, max_area / float(outer.min()) ** 2)
    if not n_films or not n_substrates:
        return np.full(outer.shape, np.nan), np.full(outer.shape, np.nan)
    films = superlattices(film, max_index=n_films)
    substrates = superlattices(substrate, max_index=n_substrates)
    pairs = find_pairs(
        films,
        substrates=substrates,
        stretch_range=((1.0 - max_strain) / float(ratio.max()), (1.0 + max_strain) / float(ratio.min())),
    )
    angle = common_basis(films, substrates, pairs)[1]
    kept = angle <= max_angle * INCLUSIVE
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
        inside = areas[None, :] * outer[part, None] ** 2 <= max_area * INCLUSIVE
        allowed = (most <= max_strain * INCLUSIVE) & inside
        found = np.any(allowed, axis=1)
        smallest = np.where(allowed, areas[None, :], np.inf).min(axis=1)
        least = np.where(allowed & (areas[None, :] <= smallest[:, None] * INCLUSIVE), most, np.inf).min(axis=1)
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
    index = int(area / net.area * INCLUSIVE)
    if index > MAX_INDEX:
        raise UsageError(
            f"{area:.0f} Å² hold {index} primitive cells of {net.name}; at most {MAX_INDEX}, ask for a smaller area"
        )
    return index


def _matches(
    film: Net, substrate: Net, films: Superlattices, substrates: Superlattices, pairs: Pairs, max_angle: float
) -> tuple[Match, ...]:
    common, angle = common_basis(films, substrates, pairs)
    kept = np.flatnonzero(angle <= max_angle * INCLUSIVE)
    common, angle = common[kept], angle[kept]
    stretch = pairs.stretch[kept]
    # Row i of the film lies on row i of change·substrate; the inverse moves the change to the film's side.
    substrate_rows = common @ substrates.matrices[pairs.substrate[kept]]
    film_rows = common @ inverse_change(pairs.change[kept]) @ films.matrices[pairs.film[kept]]
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


@dataclass(frozen=True)
class OrientationRelation:
    """One way to lay the film's cell on the substrate's.

    Attributes
    ----------
    match
        The match with the substrate's rows in the order that belongs to this orientation.
    twist_degree
        Angle (0 to 180) from the substrate's first net vector to the film's first net vector after the film was
        brought onto the substrate, in the view along the normal; ``match.mirrored`` says whether the film was turned
        over first.
    """

    match: Match
    twist_degree: float


def orientation_relations(match: Match, *, film: Net, substrate: Net) -> tuple[OrientationRelation, ...]:
    """Every symmetry-distinct orientation of a match, by growing twist; of equivalent ones the smallest twist is shown.

    Two orientations are the same when point-group operations of the two nets take one into the other. They are the
    double cosets P_film \\\\ Aut(cell) / P_substrate, with the operations of the nets that keep the cell.
    """
    cell, base = np.array(match.substrate_matrix), np.array(match.film_matrix)
    automorphisms = _cell_symmetry(cell @ substrate.gram @ cell.T)
    of_substrate = _kept(cell, point_group(substrate.gram))
    of_film = _kept(base, point_group(film.gram))
    left = {_key(a) for a in automorphisms}
    found = []
    for start in automorphisms:
        if _key(start) not in left:
            continue
        same = {_key(m): m for before in of_film for after in of_substrate for m in (before @ start @ after,)}
        left -= same.keys()
        found.append(min((_orientation(match, m @ cell, film, substrate) for m in same.values()), key=_order))
    return tuple(sorted(found, key=_order))


def _order(orientation: OrientationRelation) -> tuple[bool, float, tuple[tuple[int, int], tuple[int, int]]]:
    """Film not turned over first, then the smallest twist."""
    match = orientation.match
    return match.mirrored, round(orientation.twist_degree, 6), match.substrate_matrix


def _cell_symmetry(gram: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Every integer W (± included) with W·G·Wᵀ = G, for a Gram matrix that need not be reduced."""
    reduced, change = reduce_gram(gram)
    inverse = np.rint(np.linalg.inv(change)).astype(np.int64)
    half = [inverse @ w @ change for w in point_group(reduced)]
    return [sign * w for w in half for sign in (1, -1)]


def _kept(rows: NDArray[np.int64], operations: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The net's operations that keep a cell, written on the rows of that cell: rows·W = V·rows."""
    found = []
    for operation in (sign * w for w in operations for sign in (1, -1)):
        moved = rows @ operation @ np.linalg.inv(rows)
        whole = np.rint(moved)
        if np.abs(moved - whole).max() < 1e-6:
            found.append(whole.astype(np.int64))
    return found


def _orientation(match: Match, rows: NDArray[np.int64], film: Net, substrate: Net) -> OrientationRelation:
    film_cell = np.array(match.film_matrix) @ np.array(film.vectors)
    target = rows @ np.array(substrate.vectors)
    # film_cell·F = target; the rotation of F = R·U is that of its polar decomposition (row vectors).
    left, _, right = np.linalg.svd(np.linalg.solve(film_cell, target))
    rotation = left @ right
    mirrored = float(np.linalg.det(rotation)) < 0.0
    image = np.array(film.vectors[0]) @ rotation
    along = np.array(substrate.vectors[0])
    angle = math.degrees(math.atan2(abs(float(along[0] * image[1] - along[1] * image[0])), float(along @ image)))
    matrix = ((int(rows[0, 0]), int(rows[0, 1])), (int(rows[1, 0]), int(rows[1, 1])))
    return OrientationRelation(replace(match, substrate_matrix=matrix, mirrored=mirrored), round(angle, 9))


def _key(matrix: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(x) for x in matrix.ravel())
