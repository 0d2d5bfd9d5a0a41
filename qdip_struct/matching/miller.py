"""Miller indices: planes (hkl) read and written, and planes and directions in the parent pseudo-cubic cube."""

import math
import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.crystals import Crystal

Plane = tuple[int, int, int]

PARENT_VECTORS: dict[str, tuple[Plane, Plane, Plane]] = {
    "tetragonal": ((1, 1, 0), (-1, 1, 0), (0, 0, 2)),
    "gamma": ((1, 0, -1), (0, 2, 0), (1, 0, 1)),
}
"""Rows a, b, c of the perovskite cell in vectors of the parent pseudo-cubic cube (I4/mcm, Pnma with b ≈ 2a_pc)."""


def parse_plane(text: str) -> Plane:
    """Miller indices from ``100``, ``1-10``, ``1 -1 0``, ``(1,-1,0)``; four-index (hkil) is accepted when i = −h − k.

    Raises
    ------
    UsageError
        If the text is not three (or four) integers, or all are zero.
    """
    body = text.strip().strip("()[]{}").strip()
    parts = re.split(r"[\s,]+", body) if re.search(r"[\s,]", body) else re.findall(r"-?\d", body)
    if not re.fullmatch(r"[-\d\s,]+", body or "x") or not all(re.fullmatch(r"-?\d+", part) for part in parts):
        raise UsageError(f"cannot read the plane '{text}'; expected for example 100, 1-10 or '1 -1 0'")
    values = [int(part) for part in parts]
    if "".join(parts) != re.sub(r"[\s,]+", "", body):
        raise UsageError(f"cannot read the plane '{text}'; expected for example 100, 1-10 or '1 -1 0'")
    if len(values) == 4 and values[2] == -values[0] - values[1]:
        values = [values[0], values[1], values[3]]
    if len(values) != 3 or not any(values):
        raise UsageError(f"the plane '{text}' needs three indices that are not all zero")
    return (values[0], values[1], values[2])


def plane_text(plane: Sequence[int | Fraction]) -> str:
    """Indices in round brackets: ``(1 -1 0)``, or ``(100)`` when each is a single digit without sign."""
    words = [str(index) for index in plane]
    return f"({''.join(words)})" if all(len(word) == 1 for word in words) else f"({' '.join(words)})"


def pseudocubic_plane(crystal: Crystal, *, plane: Plane) -> Plane | None:
    """The same plane in indices of the parent pseudo-cubic cube, smallest integers; ``None`` without a parent.

    h_i = Σ_j P_ij·h_j^pc with the rows P of :data:`PARENT_VECTORS`: (110) of I4/mcm is (010) of the cube.
    """
    parent = _parent(crystal)
    if parent is None:
        return None
    indices = np.linalg.solve(np.array(parent, dtype=float), np.array(plane, dtype=float))
    return _smallest([Fraction(float(value)).limit_denominator(24) for value in indices])


def pseudocubic_direction(crystal: Crystal, *, uvw: Sequence[Fraction | int]) -> tuple[Fraction, ...] | None:
    """The same direction in vectors of the parent cube (not reduced: its length stays); ``None`` without a parent."""
    parent = _parent(crystal)
    if parent is None:
        return None
    return tuple(
        sum((Fraction(u) * row[axis] for u, row in zip(uvw, parent, strict=True)), Fraction(0)) for axis in range(3)
    )


def _parent(crystal: Crystal) -> tuple[Plane, Plane, Plane] | None:
    return PARENT_VECTORS.get(crystal.phase) if crystal.structure_type == "perovskite" else None


def _smallest(values: Sequence[Fraction]) -> Plane:
    scale = math.lcm(*(value.denominator for value in values))
    whole = [int(value * scale) for value in values]
    divisor = math.gcd(*whole) or 1
    return (whole[0] // divisor, whole[1] // divisor, whole[2] // divisor)
