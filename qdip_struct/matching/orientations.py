"""Relative orientations of one coincidence cell: the same two cells laid on each other in different ways.

:func:`~qdip_struct.matching.coincidence.find_matches` lists every pair of cells once. Where the common cell is more
symmetric than the crystals allow for (a √5 × √5 square cell of a square net, say), its symmetry gives further ways to
lay the film on the substrate: same area, same strain, another twist.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qdip_struct.matching.coincidence import Match
from qdip_struct.matching.nets import Net, point_group, reduce_gram


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
