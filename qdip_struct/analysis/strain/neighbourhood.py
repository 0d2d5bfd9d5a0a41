"""From the neighbour vectors of many cations to their deformation gradients: matching to ideal vectors, least squares.

Matching is exact and fast because the balls around the ideal vectors (radius 0.25 a) do not overlap: a table of small
boxes names the only ideal vector that a point of the box can match; its distance is then checked.
"""

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.strain.sublattice import MetalSublattice
from qdip_struct.base.arrays import Floats
from qdip_struct.builders.atoms.neighbours import thin_product

_FLAT = 1e-6
_BOX_FRACTION = 0.3


class _Table:
    """Which ideal vector is within reach of a point, by a look-up in small boxes."""

    def __init__(self, ideal: Floats, *, radius: float, cutoff: float) -> None:
        self.ideal = ideal
        self.radius = radius
        step = _BOX_FRACTION * radius
        half = int(np.ceil(cutoff * (1 + 1e-9) / step)) + 1
        self.scale, self.shift, self.size = 1.0 / step, float(half), 2 * half
        reach = radius + 0.5 * np.sqrt(3.0) * step + 1e-9
        span = int(np.ceil(reach / step)) + 1
        offsets = np.arange(-span, span + 1)
        table = np.full((self.size,) * 3, -1)
        for number, vector in enumerate(ideal):
            # Only boxes near the ball of this vector; no box can touch two balls.
            x, y, z = ((np.floor(c / step).astype(int) + half + offsets) for c in vector)
            dx, dy, dz = ((box - half + 0.5) * step - c for box, c in zip((x, y, z), vector, strict=True))
            near = dx[:, None, None] ** 2 + dy[:, None] ** 2 + dz**2 <= reach**2
            i, j, k = np.nonzero(near)
            table[x[i], y[j], z[k]] = number
        self.slot = table.ravel()

    def match(self, flat: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of ``flat`` (n, 3) that match, and the ideal vector of each."""
        box = (flat * self.scale + self.shift).astype(np.int32)
        slot = self.slot[(box[:, 0] * self.size + box[:, 1]) * self.size + box[:, 2]]
        rows = np.flatnonzero(slot >= 0)
        slot = slot[rows]
        away = flat[rows] - self.ideal[slot]
        close = np.einsum("ni,ni->n", away, away) <= self.radius**2
        return rows[close], slot[close]


class Fits:
    """Matches neighbour vectors to ideal ones and solves F = (Σ d vᵀ)(Σ v vᵀ)⁻¹ for many cations at once.

    Parameters
    ----------
    reference
        Sublattice that strain is measured against.
    matching
        The same sublattice turned as the lattice of the structure is turned; only used to tell neighbours apart.
    """

    def __init__(self, reference: MetalSublattice, *, matching: MetalSublattice) -> None:
        self.reference = reference.arrays
        self.width = len(self.reference[0])
        radius, cutoff = reference.match_radius_angstrom, reference.cutoff_angstrom
        self._tables = [_Table(ideal, radius=radius, cutoff=cutoff) for ideal in matching.arrays]
        self._maps: dict[tuple[int, int], Floats] = {}
        self._fitted = [self._back(ideal) for ideal in self.reference]

    def match(self, vectors: Floats, valid: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
        """Match the neighbours of n cations to the ideal vectors.

        Parameters
        ----------
        vectors
            (n, k, 3) Å from each cation to its neighbours.
        valid
            (n, k) which of them exist.

        Returns
        -------
        columns, D, variant
            The neighbour matched to each ideal vector (n, width), −1 for none (two candidates count as none); the
            vectors to them (n, 3·width) in Å, 0 for none; the set of ideal vectors that fits best (n,).
        """
        n, k = valid.shape
        flat = np.where(valid[:, :, None], vectors, 0.0).reshape(-1, 3)
        columns, D = self._matched(flat, self._tables[0], n=n, k=k)
        variant = np.zeros(n, dtype=np.int64)
        for number, table in enumerate(self._tables[1:], start=1):
            other, vectors_other = self._matched(flat, table, n=n, k=k)
            more = np.count_nonzero(other >= 0, axis=1) > np.count_nonzero(columns >= 0, axis=1)
            columns[more], D[more], variant[more] = other[more], vectors_other[more], number
        return columns, D, variant

    def solve(self, D: Floats, *, present: NDArray[np.bool_], variant: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Deformation gradients from matched vectors.

        Parameters
        ----------
        D
            (n, 3·width) vectors matched to the ideal ones, 0 where there is none, Å.
        present
            (n, width) which are matched.
        variant
            (n,) set of ideal vectors.

        Returns
        -------
        F, residual
            F (n, 3, 3), NaN with fewer than three non-coplanar matches; root-mean-square misfit (n,) in Å.
        """
        n = len(D)
        if len(self.reference) == 1 and present.all():
            group, keys = variant, np.array([(1 << self.width) - 1])
        else:
            pattern = present @ (1 << np.arange(self.width)) * len(self.reference) + variant
            keys, group = np.unique(pattern, return_inverse=True)
        F = np.empty((n, 9))
        squares = np.empty(n)
        for number, key in enumerate(keys.tolist()):
            rows = slice(None) if len(keys) == 1 else np.flatnonzero(group == number)
            kind, bits = key % len(self.reference), key // len(self.reference)
            part = D[rows]
            F[rows] = gradient = thin_product(part, self._map(kind, bits))
            error = thin_product(gradient, self._fitted[kind])
            error -= part
            if bits != (1 << self.width) - 1:
                error *= np.repeat((bits >> np.arange(self.width)) & 1, 3)
            squares[rows] = np.einsum("ni,ni->n", error, error)
        with np.errstate(invalid="ignore", divide="ignore"):
            residual = np.sqrt(squares / np.count_nonzero(present, axis=1))
        return F.reshape(n, 3, 3), residual

    def _matched(self, flat: Floats, table: _Table, *, n: int, k: int) -> tuple[NDArray[np.int64], Floats]:
        """Column matched to each ideal vector, (n, width), and the vectors themselves, (n, 3·width), 0 for none."""
        rows, slot = table.match(flat)
        place = (rows // k) * self.width + slot
        columns = np.full(n * self.width, -1, dtype=np.int64)
        columns[place] = rows % k
        D = np.zeros((n * self.width, 3))
        D[place] = flat[rows]
        if len(place) > np.count_nonzero(columns >= 0):
            twice = np.flatnonzero(np.bincount(place, minlength=n * self.width) > 1)
            columns[twice] = -1
            D[twice] = 0.0
        return columns.reshape(n, self.width), D.reshape(n, 3 * self.width)

    def _map(self, variant: int, bits: int) -> Floats:
        """The matrix (3·width, 9) that turns matched vectors into F, for one pattern of present neighbours."""
        key = (variant, bits)
        if key not in self._maps:
            weights = gradient_weights(self.reference[variant], present=(bits >> np.arange(self.width)) & 1 == 1)
            matrix = np.zeros((self.width, 3, 3, 3))
            for i in range(3):
                matrix[:, i, i, :] = weights
            if np.isnan(weights).any():
                matrix[:] = np.nan
            self._maps[key] = matrix.reshape(3 * self.width, 9)
        return self._maps[key]

    def _back(self, ideal: Floats) -> Floats:
        """The matrix (9, 3·width) that turns F into the fitted neighbour vectors F v."""
        matrix = np.zeros((3, 3, self.width, 3))
        for i in range(3):
            matrix[i, :, :, i] = ideal.T
        return matrix.reshape(9, 3 * self.width)


def gradient_weights(ideal: Floats, *, present: NDArray[np.bool_]) -> Floats:
    """Rows g with F = Σ d gᵀ: v (Σ v vᵀ)⁻¹ of the present ideal vectors, 0 for the absent, (k, 3) in 1/Å.

    All NaN when the present vectors lie in one plane.
    """
    own = ideal[present]
    moment = own.T @ own
    values = np.linalg.eigvalsh(moment)
    if values[0] <= _FLAT * max(float(values[2]), 1e-300):
        return np.full(ideal.shape, np.nan)
    weights: Floats = np.where(present[:, None], ideal, 0.0) @ np.linalg.inv(moment)
    return weights
