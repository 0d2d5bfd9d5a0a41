"""Energy against the lateral shift of a film on a substrate: E(x, y) over the cell, its minimum, the best gap of each.

A shift s is a move of the film in fractions of the common lateral cell, so E(s) has the period 1 along both. Shifts s
and R·s + t are equal when both slabs have an operation with the in-plane rotation R and t is the difference of its
translations (substrate minus film); equal shifts have one energy. At each shift the energy is E_ad (meV/Å²: the largest
binds most) at the gap where it is largest.

Between computed shifts the map is the smoothest periodic function through all of them and their equals: the kernel
interpolant with weights (1 + |G|²·A)⁻³ over reciprocal vectors G of the cell of area A, which is exact at every
computed shift.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.energies.comparability import EnergyRun, signature
from qdip_struct.analysis.energies.energies import GroupEnergies
from qdip_struct.analysis.energies.groups import RunSet
from qdip_struct.base.arrays import Floats
from qdip_struct.base.errors import DataError, MismatchError, NotTaken
from qdip_struct.runs.rundir import STRUCTURE, RunFolder

if TYPE_CHECKING:
    from ase import Atoms

Operation = tuple[Floats, Floats]
"""In-plane rotation (2, 2) on fractional columns, and translation (2,) in fractions."""

SAME_SHIFT = 1e-3
"""Shifts closer than this fraction of the cell are one."""

DISPLACED = 0.06
"""Atoms of one slab that move among themselves by more than this fraction of the cell make it another slab."""


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


def _in_plane(atoms: "Atoms", *, symprec: float) -> dict[tuple[int, ...], list[Floats]]:
    """In-plane rotations of a slab with all their translations, in fractions of the lateral cell."""
    import spglib

    cell = atoms.cell[:]
    scaled = np.linalg.solve(cell.T, atoms.positions.T).T
    found = spglib.get_symmetry((cell, scaled, atoms.numbers), symprec=symprec)
    operations: dict[tuple[int, ...], list[Floats]] = {(1, 0, 0, 1): [np.zeros(2)]}
    if found is None:
        return operations
    for rotation, move in zip(found["rotations"], found["translations"], strict=True):
        upright = rotation[2, 2] == 1 and not rotation[2, :2].any() and not rotation[:2, 2].any()
        if upright and abs(move[2] - np.rint(move[2])) < 1e-3:
            key = tuple(int(value) for value in rotation[:2, :2].ravel())
            moves = operations.setdefault(key, [])
            if all(shift_distance(move[:2], other) > SAME_SHIFT for other in moves):
                moves.append(move[:2])
    return operations


def film_shift(interface: "Atoms", reference: "Atoms") -> tuple[float, float]:
    """Lateral move of the film in ``interface`` against its place in ``reference``, in fractions of the lateral cell.

    Both are cells of one film and one substrate with the array ``region``; the substrate's own move is subtracted.
    Where the array ``formal_charge`` is there, only cations of charge two or more count: molecules may have turned.

    Raises
    ------
    MismatchError
        If the atoms have no regions, are not the same, or are displaced among themselves.
    """
    moves = {}
    for part in ("film", "substrate"):
        one, two = (_counted(atoms, part) for atoms in (interface, reference))
        if not len(one) or one.get_chemical_symbols() != two.get_chemical_symbols():
            raise MismatchError(f"the {part} is not the same in both structures")
        delta = (one.positions[:, :2] - two.positions[:, :2]) @ np.linalg.inv(reference.cell[:2, :2])
        rest = delta - delta[0]
        rest -= np.rint(rest)
        middle = rest.mean(axis=0)
        if np.abs(rest - middle).max() > DISPLACED:
            raise MismatchError(f"the {part} is not merely shifted between both structures")
        moves[part] = delta[0] + middle
    shift = moves["film"] - moves["substrate"]
    shift = np.round(shift - np.floor(shift + 1e-6), 6) + 0.0
    return float(shift[0]), float(shift[1])


def _counted(atoms: "Atoms", part: str) -> "Atoms":
    if "region" not in atoms.arrays:
        raise MismatchError("the structures name no regions (film, substrate): their registry is not known")
    chosen = atoms[atoms.arrays["region"] == part]
    charges = chosen.arrays.get("formal_charge")
    return chosen[charges >= 2] if charges is not None and (charges >= 2).any() else chosen


def shift_distance(first: Floats, second: Floats) -> float:
    """Largest component of the shortest difference of two shifts, images included."""
    delta = first - second
    return float(np.abs(delta - np.rint(delta)).max())


def metal_shift(atoms: "Atoms") -> tuple[float, float]:
    """Shift of the film's lowest metal from the substrate's highest, in fractions of the lateral cell; (0, 0) unknown.

    Metals are cations of charge two or more; where the film stands over the substrate they are their B sites.
    """
    charges = atoms.arrays.get("formal_charge")
    if charges is None:
        return 0.0, 0.0
    regions = atoms.arrays["region"]
    film = np.flatnonzero((regions == "film") & (charges >= 2))
    substrate = np.flatnonzero((regions == "substrate") & (charges >= 2))
    if not len(film) or not len(substrate):
        return 0.0, 0.0
    heights = atoms.positions[:, 2].round(2)
    above = film[np.lexsort((atoms.positions[film, 0].round(3), atoms.positions[film, 1].round(3), heights[film]))[0]]
    below = substrate[
        np.lexsort(
            (atoms.positions[substrate, 0].round(3), atoms.positions[substrate, 1].round(3), -heights[substrate])
        )[0]
    ]
    delta = (atoms.positions[above, :2] - atoms.positions[below, :2]) @ np.linalg.inv(atoms.cell[:2, :2])
    delta = np.round(delta - np.floor(delta + 1e-4), 6) + 0.0
    return float(delta[0]), float(delta[1])


@dataclass(frozen=True)
class GapCurve:
    """E_ad of one shift at several gaps, and the best gap.

    Attributes
    ----------
    gaps
        Distances of the contact layers, Å, ascending.
    values
        E_ad at each, meV/Å².
    best_gap, best_value
        Gap (Å) of the largest E_ad, and that E_ad (meV/Å²).
    method
        ``parabola`` (through the largest value and its two neighbours), ``largest`` (two gaps, or the largest at
        the end of the row: the best gap may lie beyond), ``relaxed`` (optimisations, whatever gap they started
        from) or ``single``.
    """

    gaps: tuple[float, ...]
    values: tuple[float, ...]
    best_gap: float
    best_value: float
    method: str


def best_gap(gaps: Sequence[float], values: Sequence[float], *, relaxed: bool = False) -> GapCurve:
    """Best gap of one shift, by a parabola through the largest E_ad and its two neighbours.

    Parameters
    ----------
    gaps
        Distances of the contact layers, Å, all different.
    values
        E_ad at each, meV/Å².

    relaxed
        Whether the values are those of optimisations: the largest counts, and the gap is the one it was built with.

    Raises
    ------
    MismatchError
        If there is no gap, or (unrelaxed) one occurs twice.
    """
    if len(gaps) != len(values) or not gaps:
        raise MismatchError("a gap curve needs one energy for each gap")
    order = np.argsort(gaps, kind="stable")
    x, y = np.asarray(gaps, dtype=float)[order], np.asarray(values, dtype=float)[order]
    if relaxed:
        top = int(np.argmax(y))
        return GapCurve(tuple(map(float, x)), tuple(map(float, y)), float(x[top]), float(y[top]), "relaxed")
    if len(x) > 1 and np.diff(x).min() < 1e-6:
        raise MismatchError(f"the gap {x[int(np.argmin(np.diff(x)))]:g} Å occurs twice")
    top = int(np.argmax(y))
    gap, value, method = float(x[top]), float(y[top]), "single" if len(x) == 1 else "largest"
    if 0 < top < len(x) - 1:
        a, b, _ = np.polyfit(x[top - 1 : top + 2] - x[top], y[top - 1 : top + 2] - y[top], 2)
        if a < 0:
            gap, value, method = float(x[top] - b / (2 * a)), float(y[top] - b * b / (4 * a)), "parabola"
    return GapCurve(tuple(map(float, x)), tuple(map(float, y)), gap, value, method)


N_MAP = 24
"""Points along each edge of the map in the JSON document."""

_SHELLS = 8
_GRID = 96


@dataclass(frozen=True)
class ShiftPoint:
    """One computed shift of the film, in fractions of the common cell, and E_ad against the gap there."""

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

    lateral: Floats
    shifts: tuple[ShiftPoint, ...]
    points: Floats
    values: Floats
    of: NDArray[np.int64]
    weights: Floats
    level: float

    def at(self, fractions: Floats) -> Floats:
        """E_ad (m,) in meV/Å² at shifts (m, 2) in fractions of the common cell."""
        wanted = np.atleast_2d(np.asarray(fractions, dtype=float))
        return self.level + _kernel(wanted, self.points, self.lateral) @ self.weights

    def grid(self, n: int = _GRID) -> Floats:
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


def registry_map(shifts: Sequence[ShiftPoint], *, lateral: Floats, operations: Sequence[Operation] = ()) -> RegistryMap:
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
    points: list[Floats] = []
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
    places: Floats = np.array(points)
    numbers = np.array(of, dtype=np.int64)
    values = np.array([shifts[k].curve.best_value for k in of], dtype=np.float64)
    level = float(values.mean())
    lattice = np.asarray(lateral, dtype=float)
    matrix = _kernel(places, places, lattice) + 1e-10 * np.eye(len(places))
    weights = np.asarray(np.linalg.solve(matrix, values - level), dtype=np.float64)
    return RegistryMap(lattice, tuple(shifts), places, values, numbers, weights, level)


def _kernel(first: Floats, second: Floats, lateral: Floats) -> Floats:
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


Member = tuple[RunSet, GroupEnergies, EnergyRun]
"""A study, what it gives, and its interface."""

SAME_MEV_PER_ANGSTROM2 = 0.1
"""Adsorption energies of one interface run twice may differ by this much."""


def registry_maps(
    studies: Sequence[tuple[RunSet, GroupEnergies]], folders: Sequence[RunFolder]
) -> tuple[list[dict[str, Any]], list[NotTaken]]:
    """E_ad against lateral shift of every pair of slabs with at least two registries, and those that give no map."""
    place = {str(folder.path): folder for folder in folders}
    families: dict[str, list[Member]] = {}
    for item, energies in studies:
        interface = next((run for run in item.runs if run.role == "interface" and run.status == "done"), None)
        if interface is None or energies.adsorption is None or interface.facts.get("gap_angstrom") is None:
            continue
        facts = interface.facts
        names = ("film", "film_plane", "film_layers", "substrate", "substrate_plane", "substrate_layers", "termination")
        make = [*(facts.get(name) for name in names), signature(interface), sorted(interface.composition.items())]
        families.setdefault(repr((make, np.round(interface.cell[:2], 4).tolist())), []).append(
            (item, energies, interface)
        )
    found = []
    refused: list[NotTaken] = []
    for key in sorted(families):
        members = families[key]
        try:
            entry = _one_map(members, place)
        except (MismatchError, DataError) as error:
            refused.append(NotTaken(tuple(interface.path for _, _, interface in members), str(error)))
            continue
        if entry is not None:
            found.append(entry)
    return found, refused


def _one_map(members: Sequence[Member], place: Mapping[str, RunFolder]) -> dict[str, Any] | None:
    from qdip_struct.materials.structure_files import read_structure

    structures = [read_structure(place[interface.path].path / STRUCTURE) for _, _, interface in members]
    reference = structures[0]
    origin = np.array(metal_shift(reference))
    by_shift: dict[tuple[float, float], list[int]] = {}
    for number, atoms in enumerate(structures):
        shift = np.array(film_shift(atoms, reference)) + origin
        shift = np.round(shift - np.floor(shift + 1e-4), 4) + 0.0
        by_shift.setdefault((float(shift[0]), float(shift[1])), []).append(number)
    if len(by_shift) < 2 and len(members) < 2:
        return None
    points = []
    for fraction in sorted(by_shift):
        chosen = _one_each([members[k] for k in by_shift[fraction]])
        gaps = [_gap(run) for _, _, run in chosen]
        curve = best_gap(gaps, [energies.adsorption or 0.0 for _, energies, _ in chosen], relaxed=chosen[0][2].relaxed)
        name = str(chosen[0][2].facts.get("registry"))
        points.append(ShiftPoint(fraction, name, curve, tuple(run.path for _, _, run in chosen)))
    first = members[0][2]
    facts = {name: first.facts.get(name) for name in ("film", "substrate", "termination")}
    head = {
        **facts,
        "relaxed": first.relaxed,
        "layers": [first.facts.get(f"{p}_layers") for p in ("film", "substrate")],
    }
    if len(points) < 2:
        return {**head, "n_computed": 1, "shifts": [shift_document(points[0])]}
    regions = reference.arrays["region"]
    operations = [
        (rotation, move + origin - rotation @ origin)
        for rotation, move in shift_operations(reference[regions == "film"], reference[regions == "substrate"])
    ]
    return {**head, **map_document(registry_map(points, lateral=first.cell[:2, :2], operations=operations))}


def _gap(run: EnergyRun) -> float:
    return float(run.facts["gap_angstrom"])


def _one_each(members: Sequence[Member]) -> list[Member]:
    """Members by gap, each gap once: the same interface may have been run in two groups."""
    kept: list[Member] = []
    for member in sorted(members, key=lambda item: (round(_gap(item[2]), 6), item[2].path)):
        last = kept[-1] if kept else None
        if last is not None and abs(_gap(member[2]) - _gap(last[2])) < 1e-6 and not member[2].relaxed:
            if abs((member[1].adsorption or 0.0) - (last[1].adsorption or 0.0)) > SAME_MEV_PER_ANGSTROM2:
                raise MismatchError(
                    f"{last[2].path} and {member[2].path} are one interface with different adsorption energies"
                )
            continue
        kept.append(member)
    return kept
