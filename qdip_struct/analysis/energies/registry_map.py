"""Energy against the lateral shift of a film on a substrate: E(x, y) over the cell and its minimum.

A shift s is a move of the film in fractions of the common lateral cell, so E(s) has the period 1 along both. Equal
shifts (:mod:`qdip_struct.analysis.energies.shift_symmetry`) have one energy. Between computed shifts the map is the
smoothest
periodic function through all of them and their equals: the kernel interpolant with weights (1 + |G|²·A)⁻³ over
reciprocal vectors G of the cell of area A, which is exact at every computed shift. Values are E_ad in meV/Å²: the
largest binds most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.energies.gap_curve import GapCurve
from qdip_struct.analysis.energies.shift_symmetry import SAME_SHIFT, Operation, shift_distance
from qdip_struct.base.errors import MismatchError

Array = NDArray[np.float64]
N_MAP = 24
"""Points along each edge of the map in the JSON document."""

_SHELLS = 8
_GRID = 96


@dataclass(frozen=True)
class ShiftPoint:
    """One computed shift of the film.

    Attributes
    ----------
    fraction
        Shift in fractions of the common cell.
    name
        Of the registry.
    curve
        E_ad against the gap.
    paths
        Its runs.
    """

    fraction: tuple[float, float]
    name: str
    curve: GapCurve
    paths: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RegistryMap:
    """E_ad over the lateral cell.

    Attributes
    ----------
    lateral
        Common lateral vectors, rows (2, 2), Å.
    shifts
        What was computed.
    points
        (n, 2) all shifts with their equals by symmetry, fractions.
    values
        (n,) E_ad at each, meV/Å².
    of
        (n,) number of the computed shift each came from.
    weights, level
        (n,) and constant of the interpolant, meV/Å².
    """

    lateral: Array
    shifts: tuple[ShiftPoint, ...]
    points: Array
    values: Array
    of: NDArray[np.int64]
    weights: Array
    level: float

    def at(self, fractions: Array) -> Array:
        """E_ad (m,) in meV/Å² at shifts (m, 2) in fractions of the common cell."""
        wanted = np.atleast_2d(np.asarray(fractions, dtype=float))
        return self.level + _kernel(wanted, self.points, self.lateral) @ self.weights

    def grid(self, n: int = _GRID) -> Array:
        """E_ad (n, n) on a regular grid of shifts, first index along the first lateral vector."""
        steps = np.arange(n) / n
        shifts = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
        return self.at(shifts).reshape(n, n)

    @property
    def best(self) -> ShiftPoint:
        """The computed shift that binds most."""
        return max(self.shifts, key=lambda item: (round(item.curve.best_value, 9), item.name))

    def optimum(self) -> tuple[tuple[float, float], float]:
        """Shift (fractions) and E_ad (meV/Å²) where the interpolated map is largest."""
        from scipy.optimize import minimize

        values = self.grid().round(9)
        first, second = np.unravel_index(int(np.argmax(values)), values.shape)
        start = np.array([first, second]) / _GRID
        found = minimize(lambda s: -float(self.at(s)[0]), start, method="Nelder-Mead", options={"xatol": 1e-7})
        place = start if found.fun > -values.max() else found.x
        fraction = np.round(place - np.floor(place + 1e-6), 5) + 0.0
        return (float(fraction[0]), float(fraction[1])), float(self.at(place)[0])


def registry_map(shifts: Sequence[ShiftPoint], *, lateral: Array, operations: Sequence[Operation] = ()) -> RegistryMap:
    """Expand computed shifts by symmetry and interpolate between them.

    Parameters
    ----------
    shifts
        Computed shifts.
    lateral
        Common lateral vectors, rows (2, 2), Å.
    operations
        Which shifts are equal, see :func:`shift_operations`; the identity need not be among them.

    Raises
    ------
    MismatchError
        If there are fewer than two different shifts, or two that are equal by symmetry have different energies.
    """
    if len(shifts) < 2:
        raise MismatchError(f"a registry map needs at least two lateral shifts, not {len(shifts)}")
    group = [(np.eye(2), np.zeros(2)), *operations]
    points: list[Array] = []
    of: list[int] = []
    for number, shift in enumerate(shifts):
        for rotation, move in group:
            image = rotation @ np.asarray(shift.fraction) + move
            image = image - np.floor(image + 1e-6)
            near = next((k for k, other in enumerate(points) if shift_distance(image, other) < SAME_SHIFT), None)
            if near is None:
                points.append(image)
                of.append(number)
            elif of[near] != number:
                one, two = shifts[of[near]], shift
                if abs(one.curve.best_value - two.curve.best_value) > 0.5:
                    raise MismatchError(
                        f"registries {one.name} and {two.name} are equal by symmetry, but their adsorption energies "
                        f"are {one.curve.best_value:.2f} and {two.curve.best_value:.2f} meV/Å²: {one.paths[0]} and "
                        f"{two.paths[0]}"
                    )
    places: Array = np.array(points)
    numbers = np.array(of, dtype=np.int64)
    values = np.array([shifts[k].curve.best_value for k in of], dtype=np.float64)
    level = float(values.mean())
    lattice = np.asarray(lateral, dtype=float)
    matrix = _kernel(places, places, lattice) + 1e-10 * np.eye(len(places))
    weights = np.asarray(np.linalg.solve(matrix, values - level), dtype=np.float64)
    return RegistryMap(lattice, tuple(shifts), places, values, numbers, weights, level)


def _kernel(first: Array, second: Array, lateral: Array) -> Array:
    """Σ_G w_G cos(2π G·(s − s')) without G = 0, (m, n), normalised to 1 at s = s'."""
    half = [(float(i), float(j)) for i in range(_SHELLS + 1) for j in range(-_SHELLS if i else 1, _SHELLS + 1)]
    waves = np.array(half)
    reciprocal = waves @ np.linalg.inv(lateral).T
    length = np.sqrt(abs(np.linalg.det(lateral)))
    weights = (1.0 + ((reciprocal * length) ** 2).sum(axis=1)) ** -3.0
    one, two = 2 * np.pi * first @ waves.T, 2 * np.pi * second @ waves.T
    total = np.cos(one) * weights @ np.cos(two).T + np.sin(one) * weights @ np.sin(two).T
    return np.asarray(total / weights.sum())


def shift_document(shift: ShiftPoint, *, multiplicity: int | None = None) -> dict[str, Any]:
    """The JSON form of one shift with its gaps."""
    return {
        "registry": shift.name,
        "shift_fraction": list(shift.fraction),
        "multiplicity": multiplicity,
        "best_gap_angstrom": shift.curve.best_gap,
        "adsorption_energy_mev_per_angstrom2": shift.curve.best_value,
        "best_gap_method": shift.curve.method,
        "gaps_angstrom": list(shift.curve.gaps),
        "adsorption_energies_mev_per_angstrom2": list(shift.curve.values),
        "paths": list(shift.paths),
    }


def map_document(found: RegistryMap) -> dict[str, Any]:
    """The JSON form of a map without its name."""
    place, value = found.optimum()
    best = found.best
    return {
        "lateral_angstrom": found.lateral.tolist(),
        "n_computed": len(found.shifts),
        "n_with_equals": len(found.points),
        "shifts": [
            shift_document(shift, multiplicity=int((found.of == number).sum()))
            for number, shift in enumerate(found.shifts)
        ],
        "best": {
            "registry": best.name,
            "shift_fraction": list(best.fraction),
            "best_gap_angstrom": best.curve.best_gap,
            "adsorption_energy_mev_per_angstrom2": best.curve.best_value,
        },
        "interpolated_minimum": {"shift_fraction": list(place), "adsorption_energy_mev_per_angstrom2": value},
        "map": {
            "n": N_MAP,
            "adsorption_energies_mev_per_angstrom2": found.grid(N_MAP).round(4).tolist(),
            "computed_fractions": found.points.round(5).tolist(),
        },
        "corrugation_mev_per_angstrom2": float(found.values.max() - found.values.min()),
    }
