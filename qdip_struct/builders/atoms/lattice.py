"""Integer arithmetic of lattices: primitive bases, bases adapted to a plane, reduced pairs, points of a supercell."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def primitive_basis(translations: Array) -> Array:
    """Basis of the lattice spanned by the unit vectors and the centring translations, rows, in cell fractions."""
    n = len(translations)
    rows = [list(map(int, row)) for row in np.rint(np.vstack([np.eye(3), translations % 1.0]) * n).astype(int)]
    basis: list[list[int]] = []
    for column in range(3):
        while True:
            live = sorted((row for row in rows if row[column]), key=lambda row: abs(row[column]))
            if len(live) < 2:
                break
            for row in live[1:]:
                factor = row[column] // live[0][column]
                row[:] = [a - factor * b for a, b in zip(row, live[0], strict=True)]
        pivot = next(row for row in rows if row[column])
        rows = [row for row in rows if row is not pivot]
        basis.append(pivot if pivot[column] > 0 else [-value for value in pivot])
    return np.array(basis) / n


def completion(indices: Array) -> Array:
    """Unimodular integer rows U with U·h = (0, 0, 1): two vectors in the plane h and one step out of it, det U = +1."""
    rows = [[*unit, int(h)] for unit, h in zip(np.eye(3, dtype=int).tolist(), indices, strict=True)]
    while True:
        live = sorted((row for row in rows if row[3]), key=lambda row: abs(row[3]))
        if len(live) == 1:
            break
        factor = live[1][3] // live[0][3]
        live[1][:] = [a - factor * b for a, b in zip(live[1], live[0], strict=True)]
    out = live[0] if live[0][3] > 0 else [-value for value in live[0]]
    inside = [row[:3] for row in rows if row is not live[0]]
    found = np.array([*inside, out[:3]])
    return found if np.linalg.det(found) > 0 else found[[1, 0, 2]]


def reduced_pair(vectors: Array) -> Array:
    """Integer matrix (2, 2), det +1, that takes two vectors to the shortest pair with an angle between 60° and 120°.

    Among equals the choice is fixed: the first vector has its first non-zero component positive.
    """
    turn = np.eye(2, dtype=int)
    while True:
        u, v = turn @ vectors
        if np.round(u @ u - v @ v, 8) > 0:
            turn = np.array([turn[1], -turn[0]])
            continue
        step = int(np.rint(np.round((u @ v) / (u @ u), 8)))
        if step == 0 or abs((u @ v) / (u @ u)) <= 0.5 + 1e-8:
            break
        turn[1] -= step * turn[0]
    first = (turn @ vectors)[0]
    lead = first[np.abs(first) > 1e-6]
    return -turn if lead[0] < 0 else turn


def lattice_points(matrix: Array) -> Array:
    """Integer points (n, 2) of the net inside the supercell with rows ``matrix`` (2, 2), n = |det|; exact."""
    matrix = np.asarray(matrix, dtype=int)
    determinant = int(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])
    corners = np.array([[0, 0], matrix[0], matrix[1], matrix[0] + matrix[1]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    grid = np.stack(np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(low, high, strict=True)), indexing="ij"), -1)
    points = grid.reshape(-1, 2)
    adjugate = np.array([[matrix[1, 1], -matrix[0, 1]], [-matrix[1, 0], matrix[0, 0]]]) * np.sign(determinant)
    scaled = points @ adjugate
    return points[((scaled >= 0) & (scaled < abs(determinant))).all(axis=1)]
