"""Energy against the lateral shift of a film on a substrate: best gap of each shift, equal shifts, E(x, y), minimum.

A shift s is a move of the film in fractions of the common lateral cell, so E(s) has the period 1 along both. Shifts s
and R·s + t are equal when both slabs have an operation with the in-plane rotation R and t is the difference of its
translations (substrate minus film). Between computed shifts the map is the smoothest periodic function through all of
them and their equals: the kernel interpolant with weights (1 + |G|²·a²)⁻² over reciprocal vectors G of the cell, which
is exact at every computed shift. Energies per area in meV/Å²; here lower means bound more strongly: E = −E_ad.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.errors import MismatchError

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]
Operation = tuple[Array, Array]
"""In-plane rotation (2, 2) on fractional columns, and translation (2,) in fractions."""

SAME_SHIFT = 1e-3
"""Shifts closer than this fraction of the cell are one."""

N_MAP = 24
"""Points along each edge of the map in the JSON document."""

_SHELLS = 8
_GRID = 96


@dataclass(frozen=True)
class GapCurve:
    """E_ad (meV/Å²) of one shift at several gaps (Å), and the best gap.

    ``method`` is ``parabola`` (through the largest value and its two neighbours), ``largest`` (two gaps, or the largest
    at the end of the row: the best gap may lie beyond) or ``single``.
    """

    gaps: tuple[float, ...]
    values: tuple[float, ...]
    best_gap: float
    best_value: float
    method: str


@dataclass(frozen=True)
class ShiftPoint:
    """One computed shift in fractions of the common cell, its name, its gap curve and its runs."""

    fraction: tuple[float, float]
    name: str
    curve: GapCurve
    paths: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RegistryMap:
    """E_ad over the lateral cell.

    ``points`` (n, 2) are all shifts with their equals, ``values`` (n,) E_ad in meV/Å², ``of`` (n,) the number of the
    computed shift each came from; ``weights`` (n,) and ``level`` are the interpolant's.
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


def best_gap(gaps: Sequence[float], values: Sequence[float]) -> GapCurve:
    """Best gap of one shift, by a parabola through the largest E_ad and its two neighbours.

    Parameters
    ----------
    gaps
        Distances of the contact layers, Å, all different.
    values
        E_ad at each, meV/Å².

    Raises
    ------
    MismatchError
        If there is no gap, or one occurs twice.
    """
    if len(gaps) != len(values) or not gaps:
        raise MismatchError("a gap curve needs one energy for each gap")
    order = np.argsort(gaps, kind="stable")
    x, y = np.asarray(gaps, dtype=float)[order], np.asarray(values, dtype=float)[order]
    if len(x) > 1 and np.diff(x).min() < 1e-6:
        raise MismatchError(f"the gap {x[int(np.argmin(np.diff(x)))]:g} Å occurs twice")
    top = int(np.argmax(y))
    gap, value, method = float(x[top]), float(y[top]), "single" if len(x) == 1 else "largest"
    if 0 < top < len(x) - 1:
        a, b, _ = np.polyfit(x[top - 1 : top + 2] - x[top], y[top - 1 : top + 2] - y[top], 2)
        if a < 0:
            gap, value, method = float(x[top] - b / (2 * a)), float(y[top] - b * b / (4 * a)), "parabola"
    return GapCurve(tuple(map(float, x)), tuple(map(float, y)), gap, value, method)


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
            near = next((k for k, other in enumerate(points) if _distance(image, other) < SAME_SHIFT), None)
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


def shift_operations(film: "Atoms", substrate: "Atoms", *, symprec: float = 1e-2) -> list[Operation]:
    """Operations that take a shift of the film to an equal one, from the two slabs in the common cell.

    A shift here is the film's move from where it stands in ``film``; the lateral cell is that of the first two lattice
    vectors. Pure translations of either slab are among them.
    """
    film_operations, substrate_operations = (_in_plane(atoms, symprec=symprec) for atoms in (film, substrate))
    found: dict[tuple[float, ...], Operation] = {}
    for key, moves in substrate_operations.items():
        for above in film_operations.get(key, ()):
            for below in moves:
                move = below - above
                move = np.round(move - np.floor(move + 1e-5), 5) + 0.0
                found.setdefault((*key, *move), (np.array(key, dtype=float).reshape(2, 2), move))
    return [found[key] for key in sorted(found)]


def _in_plane(atoms: "Atoms", *, symprec: float) -> dict[tuple[int, ...], list[Array]]:
    """In-plane rotations of a slab with all their translations, in fractions of the lateral cell."""
    import spglib

    cell = atoms.cell[:]
    scaled = np.linalg.solve(cell.T, atoms.positions.T).T
    found = spglib.get_symmetry((cell, scaled, atoms.numbers), symprec=symprec)
    operations: dict[tuple[int, ...], list[Array]] = {(1, 0, 0, 1): [np.zeros(2)]}
    if found is None:
        return operations
    for rotation, move in zip(found["rotations"], found["translations"], strict=True):
        upright = rotation[2, 2] == 1 and not rotation[2, :2].any() and not rotation[:2, 2].any()
        if upright and abs(move[2] - np.rint(move[2])) < 1e-3:
            key = tuple(int(value) for value in rotation[:2, :2].ravel())
            moves = operations.setdefault(key, [])
            if all(_distance(move[:2], other) > SAME_SHIFT for other in moves):
                moves.append(move[:2])
    return operations


def film_shift(interface: "Atoms", reference: "Atoms") -> tuple[float, float]:
    """Lateral move of the film in ``interface`` against its place in ``reference``, in fractions of the lateral cell.

    Both are cells of one film and one substrate with the array ``region``; the substrate's own move is subtracted.

    Raises
    ------
    MismatchError
        If the atoms have no regions, or are not the same.
    """
    moves = {}
    for part in ("film", "substrate"):
        chosen = []
        for atoms in (interface, reference):
            if "region" not in atoms.arrays:
                raise MismatchError("the structures name no regions (film, substrate): their registry is not known")
            chosen.append(atoms[atoms.arrays["region"] == part])
        if not len(chosen[0]) or chosen[0].get_chemical_symbols() != chosen[1].get_chemical_symbols():
            raise MismatchError(f"the {part} is not the same in both structures")
        inverse = np.linalg.inv(reference.cell[:2, :2])
        delta = (chosen[0].positions[:, :2] - chosen[1].positions[:, :2]) @ inverse
        first = delta[0]
        rest = delta - first
        if np.abs(rest - np.rint(rest)).max() > 0.02:
            raise MismatchError(f"the {part} is not merely shifted between both structures")
        moves[part] = first
    shift = moves["film"] - moves["substrate"]
    shift = np.round(shift - np.floor(shift + 1e-6), 6) + 0.0
    return float(shift[0]), float(shift[1])


def _distance(first: Array, second: Array) -> float:
    delta = first - second
    return float(np.abs(delta - np.rint(delta)).max())


def _kernel(first: Array, second: Array, lateral: Array) -> Array:
    """Σ_G w_G cos(2π G·(s − s')) without G = 0, (m, n), normalised to 1 at s = s'."""
    half = [(float(i), float(j)) for i in range(_SHELLS + 1) for j in range(-_SHELLS if i else 1, _SHELLS + 1)]
    waves = np.array(half)
    reciprocal = waves @ np.linalg.inv(lateral).T
    length = np.sqrt(abs(np.linalg.det(lateral)))
    weights = (1.0 + ((reciprocal * length) ** 2).sum(axis=1)) ** -2.0
    one, two = 2 * np.pi * first @ waves.T, 2 * np.pi * second @ waves.T
    total = np.cos(one) * weights @ np.cos(two).T + np.sin(one) * weights @ np.sin(two).T
    return np.asarray(total / weights.sum())


def map_document(found: RegistryMap) -> dict[str, Any]:
    """The JSON form of a map without its name."""
    place, value = found.optimum()
    best = found.best
    return {
        "lateral_angstrom": found.lateral.tolist(),
        "n_computed": len(found.shifts),
        "n_with_equals": len(found.points),
        "shifts": [
            {
                "registry": shift.name,
                "shift_fraction": list(shift.fraction),
                "multiplicity": int((found.of == number).sum()),
                "best_gap_angstrom": shift.curve.best_gap,
                "adsorption_energy_mev_per_angstrom2": shift.curve.best_value,
                "best_gap_method": shift.curve.method,
                "gaps_angstrom": list(shift.curve.gaps),
                "adsorption_energies_mev_per_angstrom2": list(shift.curve.values),
                "paths": list(shift.paths),
            }
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
