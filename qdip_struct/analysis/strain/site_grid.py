"""Matched neighbours of a large crystal by looking where they should be, instead of searching for all that are near.

Space is divided into boxes so small that two cations which are at least two match radii apart cannot share one. The
neighbour at an ideal vector v is then in the box of p + v or in one of the 26 around it. This needs no distances to
other neighbours and is several times faster than a search tree; it gives the same matches. Structures in which two
cations are closer than two match radii, and sparse ones, go to the tree.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.strain.images import Images

Floats = NDArray[np.float64]
Mapped = Callable[..., Iterable[Any]]
_CHUNK = 65536
_BOXES_PER_POINT = 60
_SAMPLE = 512
_SHELL = sorted(itertools.product((-1, 0, 1), repeat=3), key=lambda step: sum(map(abs, step)))
_PAIRS = [step for step in itertools.product((-2, -1, 0, 1, 2), repeat=3) if step > (0, 0, 0)]


class SiteGrid:
    """Boxes over the images of the cations of one phase, at most one cation in each."""

    def __init__(self, images: Images, *, radius: float, cutoff: float, mapped: Mapped = map) -> None:
        self.images = images
        self.radius = radius
        self.step = 2.0 * radius / np.sqrt(3.0) * (1.0 - 1e-9)
        self.low = images.positions.min(axis=0) - cutoff - 3.0 * self.step
        span = images.positions.max(axis=0) + cutoff + 3.0 * self.step - self.low
        self.shape = np.floor(span / self.step).astype(np.int64) + 1
        self.usable = float(np.prod(self.shape.astype(float))) <= _BOXES_PER_POINT * len(images.positions)
        if not self.usable:
            return
        self.x, self.y, self.z = (np.ascontiguousarray(column) for column in images.positions.T)
        self.box = np.full(int(np.prod(self.shape)), -1, dtype=np.int32)
        code = self._code(self.x, self.y, self.z)
        self.box[code] = np.arange(len(code), dtype=np.int32)
        self.usable = bool((self.box[code] == np.arange(len(code))).all())
        if self.usable:
            starts = range(0, len(code), _CHUNK)
            self.usable = not any(mapped(lambda start: self._any_close_pair(code, start), starts))

    def _code(self, x: Floats, y: Floats, z: Floats) -> NDArray[np.int32]:
        scale, (_, ny, nz) = 1.0 / self.step, self.shape.tolist()
        i = ((x - self.low[0]) * scale).astype(np.int32)
        i *= ny
        i += ((y - self.low[1]) * scale).astype(np.int32)
        i *= nz
        i += ((z - self.low[2]) * scale).astype(np.int32)
        return i

    def _offset(self, step: tuple[int, ...]) -> int:
        _, ny, nz = self.shape.tolist()
        return (step[0] * ny + step[1]) * nz + step[2]

    def _any_close_pair(self, code: NDArray[np.int32], start: int) -> bool:
        """Whether two points are closer than two match radii, so that one ideal vector might have two matches."""
        limit = (2.0 * self.radius) ** 2
        part = code[start : start + _CHUNK]
        for step in _PAIRS:
            # Boxes that far apart hold only points farther apart than the limit.
            if sum(max(abs(s) - 1, 0) ** 2 for s in step) * self.step**2 > limit:
                continue
            other = self.box[part + self._offset(step)]
            first = np.flatnonzero(other >= 0)
            second = other[first]
            first += start
            squared = (self.x[first] - self.x[second]) ** 2
            squared += (self.y[first] - self.y[second]) ** 2
            squared += (self.z[first] - self.z[second]) ** 2
            if squared.size and squared.min() <= limit:
                return True
        return False

    def expected(self, ideal: Floats) -> Floats:
        """Where the neighbours are on average, from a sample: a better first guess than the ideal vectors."""
        rows = np.unique(np.linspace(0, self.images.n - 1, _SAMPLE).astype(np.int64))
        index, D = self.neighbours(rows, ideal=ideal, guess=ideal)
        count = np.count_nonzero(index >= 0, axis=0)
        mean: Floats = np.where(
            (count > 0)[:, None], D.reshape(len(rows), -1, 3).sum(axis=0) / np.maximum(count, 1)[:, None], ideal
        )
        return mean

    def neighbours(self, rows: NDArray[np.int64], *, ideal: Floats, guess: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Image matched to each ideal vector, (r, k) with −1 for none, and the vectors to it, (r, 3·k), 0 for none."""
        r, width = len(rows), len(ideal)
        index = np.full((r, width), -1, dtype=np.int64)
        D = np.zeros((r, 3 * width))
        x, y, z = self.x[rows], self.y[rows], self.z[rows]
        every = np.arange(r)
        for slot, (v, g) in enumerate(zip(ideal.tolist(), guess.tolist(), strict=True)):
            code = self._code(x + g[0], y + g[1], z + g[2])
            open_rows = self._take(every, self.box[code], (x, y, z), v, slot, index, D)
            if not open_rows.size:
                continue
            place = (x[open_rows], y[open_rows], z[open_rows])
            code = self._code(place[0] + v[0], place[1] + v[1], place[2] + v[2])
            for step in _SHELL:
                found = self.box[code + self._offset(step)]
                some = np.flatnonzero(found >= 0)
                if not some.size:
                    continue
                here = tuple(column[open_rows[some]] for column in (x, y, z))
                left = self._take(open_rows[some], found[some], here, v, slot, index, D)
                if len(left) < len(some):
                    still = index[open_rows, slot] < 0
                    open_rows, code = open_rows[still], code[still]
                    if not open_rows.size:
                        break
        return index, D

    def _take(
        self,
        rows: NDArray[np.int64],
        found: NDArray[np.int32],
        place: tuple[Floats, ...],
        v: list[float],
        slot: int,
        index: NDArray[np.int64],
        D: Floats,
    ) -> NDArray[np.int64]:
        """Keep the candidates within the match radius of p + v; return the rows that are still without a match."""
        dx = self.x[found] - place[0]
        dy = self.y[found] - place[1]
        dz = self.z[found] - place[2]
        away = (dx - v[0]) ** 2
        away += (dy - v[1]) ** 2
        away += (dz - v[2]) ** 2
        good = (away <= self.radius**2) & (found >= 0)
        if good.all():
            kept: NDArray[np.int64] | slice = slice(None)
        else:
            kept = np.flatnonzero(good)
        own = rows[kept]
        index[own, slot] = found[kept]
        D[own, 3 * slot], D[own, 3 * slot + 1], D[own, 3 * slot + 2] = dx[kept], dy[kept], dz[kept]
        return rows[~good]
