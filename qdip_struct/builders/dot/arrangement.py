"""Where several equal dots sit in one matrix, and how far apart they are by each definition of spacing."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError

Array = NDArray[Any]
_TRIALS = 5000


@dataclass(frozen=True)
class Arrangement:
    """A rule for the centres of dots.

    Attributes
    ----------
    kind
        ``array``: a regular grid of ``counts`` dots along the box vectors. ``random``: ``n`` dots placed one after the
        other wherever they do not overlap (random sequential addition).
    counts
        Dots along each box vector, for ``array``.
    n
        Number of dots, for ``random``; or give ``volume_fraction``.
    volume_fraction
        Volume of the dots over that of the box, 0–1; the number of dots is the nearest whole one above zero.
    spacing
        Least matrix between the surfaces of two dots, Å, for ``random``.
    """

    kind: Literal["array", "random"]
    counts: tuple[int, int, int] = (1, 1, 1)
    n: int | None = None
    volume_fraction: float | None = None
    spacing: float = 0.0


def centres_of(arrangement: Arrangement, *, cell: Array, diameter: float, volume: float, seed: int) -> Array:
    """Centres in fractions of the box, (k, 3).

    Parameters
    ----------
    arrangement
        The rule.
    cell
        Box, row vectors (3, 3) Å.
    diameter
        Diameter in Å of the sphere around one dot.
    volume
        Volume of one dot in Å³.
    seed
        Seed of random places.

    Raises
    ------
    UsageError
        If the numbers are not possible or the dots do not fit.
    """
    if not (math.isfinite(arrangement.spacing) and arrangement.spacing >= 0):
        raise UsageError(f"the spacing is {arrangement.spacing:g} Å; expected a finite length of 0 or more")
    if arrangement.kind == "array":
        if any(n < 1 for n in arrangement.counts):
            raise UsageError(f"an array of {arrangement.counts} dots; expected whole numbers above zero")
        grid = [(np.arange(n) + 0.5) / n for n in arrangement.counts]
        return np.stack(np.meshgrid(*grid, indexing="ij"), axis=-1).reshape(-1, 3)
    n = _number(arrangement, box=abs(float(np.linalg.det(cell))), volume=volume)
    rng = np.random.default_rng(seed)
    apart = diameter + arrangement.spacing
    chosen = np.zeros((0, 3))
    for _ in range(_TRIALS):
        if len(chosen) == n:
            return chosen
        trial = rng.random(3)
        if len(chosen) == 0 or _distances(chosen - trial, cell=cell).min() >= apart:
            chosen = np.vstack([chosen, trial])
    raise UsageError(
        f"only {len(chosen)} of {n} dots of {diameter:.1f} Å, {arrangement.spacing:g} Å apart, found a random place; "
        "take fewer dots, a larger box, another seed, or an array"
    )


def _number(arrangement: Arrangement, *, box: float, volume: float) -> int:
    if (arrangement.n is None) == (arrangement.volume_fraction is None):
        raise UsageError("random dots need either their number or their volume fraction")
    if arrangement.n is not None:
        if arrangement.n < 1:
            raise UsageError(f"{arrangement.n} dots; expected a whole number above zero")
        return arrangement.n
    fraction = float(arrangement.volume_fraction or 0.0)
    if not (math.isfinite(fraction) and 0 < fraction < 1):
        raise UsageError(f"the volume fraction is {fraction:g}; expected a number between 0 and 1")
    return max(1, round(fraction * box / volume))


def _distances(fractional: Array, *, cell: Array) -> Array:
    """Shortest distance (n,) Å of fractional difference vectors (n, 3) over all images next to the home cell."""
    wrapped = fractional - np.round(fractional)
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.linalg.norm((wrapped[:, None] + steps) @ cell, axis=-1).min(axis=1)


def spacings(centres: Array, *, cell: Array, diameter: float) -> dict[str, float]:
    """Distance between dots in Å by each definition.

    Parameters
    ----------
    centres
        (k, 3) Å.
    cell
        Box, row vectors (3, 3) Å.
    diameter
        Diameter in Å of the sphere that has a dot's volume.

    Returns
    -------
    dict
        ``simple_cubic`` n^(−1/3) and ``wigner_seitz`` 2·(3/4πn)^(1/3) from the number density n,
        ``center_to_center`` the shortest distance in this arrangement, periodic images included, and
        ``surface_to_surface`` that distance less ``diameter``.
    """
    density = len(centres) / abs(float(np.linalg.det(cell)))
    fractional = np.asarray(centres) @ np.linalg.inv(cell)
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = float(np.linalg.norm(steps[np.any(steps != 0, axis=1)] @ cell, axis=1).min())
    for index in range(1, len(fractional)):
        nearest = min(nearest, float(_distances(fractional[:index] - fractional[index], cell=cell).min()))
    return {
        "simple_cubic": density ** (-1.0 / 3.0),
        "wigner_seitz": 2.0 * (3.0 / (4.0 * math.pi * density)) ** (1.0 / 3.0),
        "center_to_center": nearest,
        "surface_to_surface": nearest - diameter,
    }
