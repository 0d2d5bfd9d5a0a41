"""Surface nets: the primitive in-plane lattice of a plane (hkl) of a crystal, its reduction and its point group."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.matching.planes import Plane, plane_text
from qdip_struct.materials.crystals import Crystal

SYMMETRY_TOLERANCE = 1e-6
"""Relative tolerance on the Gram matrix for an operation to belong to the point group of a net."""

SMALL_CHANGES: NDArray[np.int64] = np.array(
    [
        ((a, b), (c, d))
        for a, b, c, d in itertools.product((1, 0, -1), repeat=4)
        if abs(a * d - b * c) == 1 and (a, b) > (0, 0)
    ]
)
"""The 20 changes of basis with entries 0, ±1 and determinant ±1, one of each pair ±U."""


@dataclass(frozen=True)
class Net:
    """The primitive net of lattice translations in a plane.

    Attributes
    ----------
    name
        For messages, for example ``PbS:rocksalt (100)``.
    vectors
        (2, 2) rows, Å, reduced and right-handed about the normal: |a| ≤ |b|, 60° ≤ γ ≤ 120° (an acute γ only where
        the net has no mirror line).
    uvw
        The two vectors as directions in units of the conventional cell vectors (halves are possible), ``None`` for a
        net given by its vectors alone.
    """

    name: str
    vectors: tuple[tuple[float, float], tuple[float, float]]
    uvw: tuple[tuple[Fraction, Fraction, Fraction], tuple[Fraction, Fraction, Fraction]] | None = None

    @property
    def gram(self) -> NDArray[np.float64]:
        """(2, 2) matrix of scalar products, Å²."""
        rows = np.array(self.vectors)
        return rows @ rows.T

    @property
    def area(self) -> float:
        """Area of the primitive cell, Å²."""
        (a, b), (c, d) = self.vectors
        return abs(a * d - b * c)


def net_from_vectors(vectors: Sequence[Sequence[float]], *, name: str = "net") -> Net:
    """A net from two in-plane vectors (rows of 2 or 3 components, Å), reduced.

    Raises
    ------
    UsageError
        If the vectors are not finite or do not span an area.
    """
    rows = np.asarray(vectors, dtype=float)
    if rows.shape not in ((2, 2), (2, 3)) or not np.all(np.isfinite(rows)):
        raise UsageError(f"{name}: expected two finite vectors of two or three components")
    left = rows.shape[1] == 2 and float(np.linalg.det(rows)) < 0.0
    gram, _ = _right_handed(*reduce_gram(rows @ rows.T), left=left)
    return _net(gram, name, None)


def surface_net(crystal: Crystal, *, plane: Plane) -> Net:
    """The primitive net of the plane (hkl) of a crystal; centring is taken from the sites.

    Raises
    ------
    UsageError
        If the plane is (0 0 0).
    """
    if not any(plane):
        raise UsageError("the plane (0 0 0) has no orientation")
    divisor = math.gcd(*plane)
    reduced_plane = tuple(index // divisor for index in plane)
    primitive = primitive_vectors(crystal)
    # Miller indices on the primitive basis: h·p for every primitive vector p, cleared of denominators.
    products = [sum((h * x for h, x in zip(reduced_plane, row, strict=True)), Fraction(0)) for row in primitive]
    scale = math.lcm(*(product.denominator for product in products))
    one, other = _kernel([int(product * scale) for product in products])
    rows = [
        [sum((n * row[axis] for n, row in zip(combination, primitive, strict=True)), Fraction(0)) for axis in range(3)]
        for combination in (one, other)
    ]
    cartesian = np.array([[float(x) for x in row] for row in rows]) @ crystal.cell
    normal = np.array(reduced_plane) @ np.linalg.inv(crystal.cell).T
    left = float(np.dot(np.cross(cartesian[0], cartesian[1]), normal)) < 0.0
    gram, change = _right_handed(*reduce_gram(cartesian @ cartesian.T), left=left)
    # Of the symmetry images of the basis take the one whose directions read largest.
    operations = [w for w in point_group(gram) if _determinant(w) > 0]
    choices = []
    for operation in (sign * w for w in operations for sign in (1, -1)):
        m = operation @ change
        choices.append(
            tuple(tuple(int(m[i, 0]) * x + int(m[i, 1]) * y for x, y in zip(*rows, strict=True)) for i in (0, 1))
        )
    uvw = max(choices)
    text = plane_text((plane[0], plane[1], plane[2]))
    return _net(gram, f"{crystal.label} {text}", ((uvw[0][0], uvw[0][1], uvw[0][2]), (uvw[1][0], uvw[1][1], uvw[1][2])))


def primitive_vectors(crystal: Crystal) -> tuple[tuple[Fraction, ...], ...]:
    """Primitive lattice vectors in fractions of the conventional cell, from the translations that keep every site."""
    by_kind: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for site in crystal.sites:
        by_kind.setdefault((site.label, site.species), []).append(site.position)
    smallest = min(by_kind.values(), key=len, default=[(0.0, 0.0, 0.0)])
    found = []
    for point in smallest[1:]:
        shift = [(p - q) % 1.0 for p, q in zip(point, smallest[0], strict=True)]
        exact = tuple(Fraction(value).limit_denominator(12) for value in shift)
        if max(abs(float(f) - value) for f, value in zip(exact, shift, strict=True)) < 1e-4 and all(
            _keeps(points, exact) for points in by_kind.values()
        ):
            found.append(exact)
    rows = [tuple(Fraction(int(i == j)) for j in range(3)) for i in range(3)] + found
    return _basis(rows)


def point_group(gram: NDArray[np.float64]) -> NDArray[np.int64]:
    """Operations (n, 2, 2) W with W·G·Wᵀ = G of a reduced (2, 2) Gram matrix, one of each pair ±W, identity first.

    Rows of coordinates transform as v → v·W. The net is rectangular or higher exactly when an operation has
    determinant −1.
    """
    images = SMALL_CHANGES @ gram @ np.swapaxes(SMALL_CHANGES, 1, 2)
    kept = np.abs(images - gram).max(axis=(1, 2)) < SYMMETRY_TOLERANCE * float(np.trace(gram))
    operations = SMALL_CHANGES[kept]
    first = np.all(operations == np.eye(2, dtype=np.int64), axis=(1, 2))
    return np.concatenate([operations[first], operations[~first]])


def reduce_gram(gram: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Lagrange–Gauss reduction of a (2, 2) Gram matrix: the reduced one and the integer change of basis (rows).

    The result has g₁₁ ≤ g₂₂ and −g₁₁/2 ≤ g₁₂ ≤ 0 (90° ≤ γ ≤ 120°), with ties within 10⁻⁹ settled the same way.

    Raises
    ------
    UsageError
        If the vectors are collinear.
    """
    if not np.linalg.det(gram) > 1e-12 * float(np.trace(gram)) ** 2:
        raise UsageError("the two vectors of a net must not be collinear")
    change = np.eye(2, dtype=np.int64)
    slack = 1e-9 * float(np.trace(gram))
    while True:
        current = change @ gram @ change.T
        if current[0, 0] > current[1, 1] + slack:
            change = change[::-1].copy()
            continue
        steps = round(float(current[0, 1] / current[0, 0]))
        if steps and abs(current[0, 1]) > 0.5 * current[0, 0] + slack:
            change[1] -= steps * change[0]
            continue
        break
    if current[0, 1] > slack:
        change[1] = -change[1]
    return change @ gram @ change.T, change


def _right_handed(
    gram: NDArray[np.float64], change: NDArray[np.int64], *, left: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Undo a change of hand by a mirror of the net, or, where it has none, by reversing the second vector."""
    if (_determinant(change) < 0) == left:
        return gram, change
    mirrors = [w for w in point_group(gram) if _determinant(w) < 0]
    operation = mirrors[0] if mirrors else np.array([[1, 0], [0, -1]])
    return operation @ gram @ operation.T, operation @ change


def _determinant(matrix: NDArray[np.int64]) -> int:
    return int(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])


def _net(
    gram: NDArray[np.float64],
    name: str,
    uvw: tuple[tuple[Fraction, Fraction, Fraction], tuple[Fraction, Fraction, Fraction]] | None,
) -> Net:
    length = math.sqrt(float(gram[0, 0]))
    along = float(gram[0, 1]) / length
    return Net(name, ((length, 0.0), (along, math.sqrt(float(gram[1, 1]) - along**2))), uvw)


def _keeps(points: Sequence[Sequence[float]], shift: Sequence[Fraction]) -> bool:
    moved = np.asarray(points)[:, None, :] + np.array([float(s) for s in shift])
    distance = np.abs((moved - np.asarray(points)[None, :, :] + 0.5) % 1.0 - 0.5).max(axis=2)
    return bool(np.all(distance.min(axis=1) < 1e-4))


def _basis(rows: Sequence[tuple[Fraction, ...]]) -> tuple[tuple[Fraction, ...], ...]:
    """A basis of the lattice that the rational rows generate (Hermite normal form)."""
    scale = math.lcm(*(value.denominator for row in rows for value in row))
    work = [[int(value * scale) for value in row] for row in rows]
    basis = []
    for column in range(3):
        while True:
            live = [row for row in work if row[column]]
            if len(live) <= 1:
                break
            pivot = min(live, key=lambda row: abs(row[column]))
            for row in live:
                if row is not pivot:
                    factor = row[column] // pivot[column]
                    row[:] = [x - factor * y for x, y in zip(row, pivot, strict=True)]
        pivot = next(row for row in work if row[column])
        work.remove(pivot)
        basis.append(tuple(Fraction(value, scale) for value in pivot))
    return tuple(basis)


def _kernel(indices: Sequence[int]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Two integer vectors that generate every integer v with h·v = 0."""
    h, k, l = indices  # noqa: E741
    if h == k == 0:
        return (1, 0, 0), (0, 1, 0)
    divisor = math.gcd(h, k)
    x, y = _bezout(h, k)
    common = math.gcd(divisor, l)
    step = divisor // common
    return (k // divisor, -h // divisor, 0), (-x * (l // common), -y * (l // common), step)


def _bezout(a: int, b: int) -> tuple[int, int]:
    """x, y with a·x + b·y = gcd(a, b)."""
    x, next_x, y, next_y = 1, 0, 0, 1
    while b:
        quotient = a // b
        a, b = b, a - quotient * b
        x, next_x, y, next_y = next_x, x - quotient * next_x, next_y, y - quotient * next_y
    return (x, y) if a > 0 else (-x, -y)
