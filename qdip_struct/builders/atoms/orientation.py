"""How a dot is turned: proper rotation matrices R (3, 3) that act on column vectors, r_box = R·r_dot."""

import math
import re
from collections.abc import Sequence

import numpy as np

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.materials.crystals import Crystal


def about(axis: Sequence[float], *, degrees: float) -> Array:
    """Rotation by ``degrees`` about ``axis`` (any length, right-handed), Rodrigues' formula.

    Raises
    ------
    UsageError
        If the axis is zero or a number is not finite.
    """
    vector = np.asarray(axis, dtype=float)
    length = float(np.linalg.norm(vector)) if vector.shape == (3,) else 0.0
    if not (math.isfinite(length) and length > 0 and math.isfinite(degrees)):
        raise UsageError(
            f"cannot rotate by {degrees:g}° about {list(axis)}; expected a non-zero axis and a finite angle"
        )
    x, y, z = vector / length
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = math.radians(degrees)
    return _tidy(np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross)


def from_euler(angles: Sequence[float]) -> Array:
    """Rotation from Bunge's Euler angles (φ1, Φ, φ2) in degrees: z, then the new x, then the new z.

    Raises
    ------
    UsageError
        If there are not three finite angles.
    """
    if len(angles) != 3 or not all(math.isfinite(angle) for angle in angles):
        raise UsageError(f"Euler angles are three finite numbers in degrees, not {list(angles)}")
    first, second, third = angles
    z, x = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)
    return _tidy(about(z, degrees=first) @ about(x, degrees=second) @ about(z, degrees=third))


def from_relation(
    dot: Crystal,
    matrix: Crystal,
    *,
    dot_plane: Sequence[int],
    dot_zone: Sequence[int],
    matrix_plane: Sequence[int],
    matrix_zone: Sequence[int],
) -> Array:
    """Rotation that lays the dot's plane (hkl) along the matrix's and the dot's zone axis [uvw] along the matrix's.

    Parameters
    ----------
    dot, matrix
        Crystals whose axes the indices refer to.
    dot_plane, matrix_plane
        Miller indices of the parallel planes.
    dot_zone, matrix_zone
        Indices of the parallel directions in them.

    Returns
    -------
    numpy.ndarray
        Proper rotation (3, 3) that acts on column vectors of the dot's crystal.

    Raises
    ------
    UsageError
        If a zone axis does not lie in its plane, h·u + k·v + l·w ≠ 0.
    """
    frames = []
    for crystal, plane, zone in ((dot, dot_plane, dot_zone), (matrix, matrix_plane, matrix_zone)):
        product = int(np.dot(plane, zone))
        if product != 0:
            names = f"[{' '.join(map(str, zone))}] does not lie in ({' '.join(map(str, plane))}) of {crystal.name}"
            raise UsageError(f"the zone axis {names}: h·u + k·v + l·w = {product}, expected 0")
        if not any(plane) or not any(zone):
            raise UsageError(f"a plane and a zone axis of {crystal.name} need an index that is not zero")
        normal = np.linalg.inv(crystal.cell) @ np.asarray(plane, dtype=float)
        along = np.asarray(zone, dtype=float) @ crystal.cell
        normal, along = normal / np.linalg.norm(normal), along / np.linalg.norm(along)
        frames.append(np.stack([normal, along, np.cross(normal, along)], axis=1))
    return _tidy(frames[1] @ frames[0].T)


def parse_rotation(text: str, *, dot: Crystal | None, matrix: Crystal | None) -> tuple[Array, bool]:
    """Read a rotation from the command line.

    ``AXIS,DEG`` such as ``001,45`` or ``1 1 0,30``; ``euler:F1,F,F2``; or the orientation relation
    ``(022)[11-1]||(2-24)[20-1]`` (plane and zone axis of the dot, then of the matrix).

    Returns
    -------
    rotation, absolute
        ``absolute`` is false when the rotation starts from the dot aligned with the matrix's parent lattice.

    Raises
    ------
    UsageError
        If the text is none of these.
    """
    words = text.strip()
    try:
        if words.startswith("euler:"):
            return from_euler([float(part) for part in words[6:].split(",")]), False
        if "||" in words or "∥" in words:
            sides = re.split(r"\|\||∥", words)
            found = [re.fullmatch(r"\s*\(([^)]+)\)\s*\[([^\]]+)\]\s*", side) for side in sides]
            if dot is None or matrix is None:
                raise UsageError("an orientation relation needs crystals, not files; give an axis and an angle")
            if len(found) != 2 or any(side is None for side in found):
                raise UsageError(f"cannot read '{text}'; an orientation relation is (022)[11-1]||(2-24)[20-1]")
            parts = [parse_indices(group) for side in found if side is not None for group in side.groups()]
            turn = from_relation(
                dot, matrix, dot_plane=parts[0], dot_zone=parts[1], matrix_plane=parts[2], matrix_zone=parts[3]
            )
            return turn, True
        axis, degrees = words.rsplit(",", 1)
        return about(parse_indices(axis), degrees=float(degrees)), False
    except ValueError:
        raise UsageError(
            f"cannot read the rotation '{text}'; write AXIS,DEG (001,45), euler:F1,F,F2, or (hkl)[uvw]||(hkl)[uvw]"
        ) from None


def parse_indices(text: str) -> tuple[int, int, int]:
    """Three integers from ``111``, ``1-10``, ``1 -1 0``, ``1,-1,0``, with or without brackets; x, y, z are axes too.

    Raises
    ------
    UsageError
        If the text is no triple of integers.
    """
    text = {"x": "100", "y": "010", "z": "001"}.get(text.strip(), text.strip("()[]{}<> "))
    compact = re.fullmatch(r"\s*(-?\d)(-?\d)(-?\d)\s*", text)
    spaced = re.fullmatch(r"\s*(-?\d+)[\s,]+(-?\d+)[\s,]+(-?\d+)\s*", text)
    match = compact or spaced
    if match is None:
        raise UsageError(f"'{text}' is not three indices; write 111, 1-10 or '1 -1 0'")
    first, second, third = (int(value) for value in match.groups())
    return first, second, third


def proper_rotation(rotation: Array) -> Array:
    """Return ``rotation`` when it is a proper rotation matrix (3, 3), else raise :class:`UsageError`."""
    matrix = np.asarray(rotation, dtype=float)
    if matrix.shape != (3, 3) or not np.all(np.isfinite(matrix)):
        raise UsageError("a rotation is a finite matrix of three by three numbers")
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6) or np.linalg.det(matrix) < 0:
        raise UsageError("the rotation matrix is not a proper rotation: R·Rᵀ must be 1 and its determinant +1")
    return matrix


def permutes_axes(rotation: Array) -> bool:
    """Whether the rotation carries the three cubic axes onto each other."""
    size = np.abs(rotation)
    return bool(np.all((size < 1e-7) | (size > 1 - 1e-7)))


def parent_axes(positions: Array, *, cell: Array, length: float) -> Array:
    """Directions of the parent cube's edges from the metal sublattice: proper rotation whose columns are the axes.

    Parameters
    ----------
    positions
        Metal sites of one cell, (n, 3) Å.
    cell
        Row vectors (3, 3) Å.
    length
        Parent lattice constant in Å; neighbours within 15 % of it count.

    Returns
    -------
    numpy.ndarray
        The three nearest-to-orthogonal neighbour directions, made orthogonal (polar decomposition); the identity when
        the metals have no such neighbours.
    """
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    vectors = (positions[None] + steps[:, None] - positions[0]).reshape(-1, 3)
    lengths = np.linalg.norm(vectors, axis=1)
    near = vectors[np.abs(lengths - length) < 0.15 * length]
    near = near[np.lexsort(np.round(near, 4).T)]
    if not len(near):
        return np.eye(3)
    units = near / np.linalg.norm(near, axis=1, keepdims=True)
    best = units[np.argmax(np.round(units @ np.array([1.0, 0.3, 0.1]), 6))]
    across = units[np.abs(units @ best) < 0.2]
    if not len(across):
        return np.eye(3)
    second = across[np.argmax(np.round(across @ np.array([0.1, 1.0, 0.3]), 6))]
    third = np.cross(best, second)
    left, _, right = np.linalg.svd(np.stack([best, second, third], axis=1))
    return _tidy(left @ right)


def _tidy(rotation: Array) -> Array:
    """Entries within 1e-12 of 0, 1, −1 become exact."""
    nearest = np.rint(rotation)
    return np.where(np.abs(rotation - nearest) < 1e-12, nearest, rotation)
