"""Screens: misfit of dots in matrices over every free composition axis, from one data set, at one temperature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qdip_struct.errors import UsageError
from qdip_struct.matching.misfit import (
    Denominator,
    LatticeCurve,
    misfit,
    misfit_uncertainty,
    misfit_window,
    zero_misfit,
)
from qdip_struct.materials.composition import (
    Formula,
    MixedLattice,
    mixed_lattice_constant,
    parse_formula,
)
from qdip_struct.materials.crystals import DEFAULT_DATASET, check_lattice, get_dataset

MAX_POINTS = 200_001


@dataclass(frozen=True)
class Axis:
    """One composition axis: x is the fraction of the first of two species on a site."""

    side: Literal["dot", "matrix"]
    site: str
    species: tuple[str, str]

    @property
    def name(self) -> str:
        """For example ``matrix X: Br``."""
        return f"{self.side} {self.site}: {self.species[0]}"


@dataclass(frozen=True)
class Side:
    """What is known of the dot or of the matrix before a composition is chosen."""

    formula: Formula
    source: str
    ends: tuple[tuple[str, float, float], ...]
    given_lattice: float | None

    @property
    def a_angstrom(self) -> float | None:
        """The lattice constant (Å) where the composition is fixed, else ``None``."""
        if self.given_lattice is not None:
            return self.given_lattice
        return self.ends[0][1] if not self.formula.free else None


@dataclass(frozen=True)
class Match:
    """A composition of zero misfit; ``others`` are the fractions on the other axes."""

    fraction: float
    formula: str
    a_angstrom: float
    others: Mapping[str, float]


@dataclass(frozen=True)
class Window:
    """An interval of the main axis in which \\|f\\| stays within the tolerance."""

    start: float
    end: float
    others: Mapping[str, float]


@dataclass(frozen=True)
class Screen:
    """The result of :func:`screen`: arrays over the grid, last axis of ``fractions`` = composition axes.

    Parameters
    ----------
    axes
        Composition axes; the last one is the main axis (``Match.fraction``, ``Window``).
    fractions
        (n, n_axes) fractions of the first species.
    a_dot, a_matrix
        (n,) Å.
    mismatch, mismatch_uncertainty, imposed_strain
        (n,) misfit over the named denominator, its standard uncertainty, and (a_matrix − a_dot)/a_dot.
    """

    dot: Side
    matrix: Side
    dataset: str
    temperature_kelvin: float | None
    denominator: Denominator
    tolerance: float
    axes: tuple[Axis, ...]
    fractions: NDArray[np.float64]
    a_dot: NDArray[np.float64]
    a_matrix: NDArray[np.float64]
    mismatch: NDArray[np.float64]
    mismatch_uncertainty: NDArray[np.float64]
    imposed_strain: NDArray[np.float64]
    zero_mismatch: tuple[Match, ...]
    window: tuple[Window, ...]

    def formula_at(self, index: int, side: Literal["dot", "matrix"]) -> str:
        """The formula of the dot or the matrix at a grid point."""
        return _fixed(getattr(self, side).formula, side, self.axes, self.fractions[index]).text


def screen(
    dot: str,
    *,
    matrix: str,
    dataset: str = DEFAULT_DATASET,
    temperature: float | None = None,
    dot_lattice: float | None = None,
    denominator: Denominator = "dot",
    tolerance: float = 0.002,
    points: int = 101,
    other_points: int = 11,
    bowing: Mapping[tuple[str, str], float] | None = None,
    files: Sequence[Path] = (),
) -> Screen:
    """Misfit of a dot in a matrix over every free composition axis.

    Parameters
    ----------
    dot, matrix
        Formulas; a site written ``(Br,I)`` is a composition axis.
    temperature
        Kelvin; ``None`` takes the data set's own temperature.
    dot_lattice
        Lattice constant of the dot (Å) in place of the data set's.
    tolerance
        \\|f\\| of the window.
    points, other_points
        Grid points on the main axis and on each other one.
    bowing
        b (Å) per pair of species, see :func:`~qdip_struct.materials.composition.mixed_lattice_constant`.

    Raises
    ------
    UsageError
        If a name, the data set or a number is wrong, or a site holds more than two free species.
    """
    if not 1 <= points <= MAX_POINTS or not 1 <= other_points <= 1001:
        raise UsageError(f"{points} points; expected 1 to {MAX_POINTS}")
    if temperature is None:
        temperature = get_dataset(dataset, files=files).temperature_kelvin
    formulas: dict[str, Formula] = {"dot": parse_formula(dot), "matrix": parse_formula(matrix)}
    sides = {
        "dot": _side(formulas["dot"], dataset, temperature, dot_lattice, files),
        "matrix": _side(formulas["matrix"], dataset, temperature, None, files),
    }
    axes = _axes(formulas, fixed_dot=dot_lattice is not None)
    counts = [other_points] * (len(axes) - 1) + [points] if axes else []
    if int(np.prod(counts)) > MAX_POINTS:
        raise UsageError(f"the grid has {int(np.prod(counts))} points; at most {MAX_POINTS}, ask for fewer")
    grids = [np.linspace(0.0, 1.0, count) if count > 1 else np.array([0.5]) for count in counts]
    mesh = np.meshgrid(*grids, indexing="ij")
    fractions = np.stack([m.ravel() for m in mesh], axis=1) if axes else np.zeros((1, 0))
    a_dot, u_dot = _lattice(sides["dot"], "dot", axes, fractions, bowing or {})
    a_matrix, u_matrix = _lattice(sides["matrix"], "matrix", axes, fractions, bowing or {})
    spread = misfit_uncertainty(
        a_matrix, a_dot=a_dot, matrix_uncertainty=u_matrix, dot_uncertainty=u_dot, denominator=denominator
    )
    matches, windows = _closed_form(sides, axes, grids, bowing or {}, denominator, tolerance)
    return Screen(
        dot=sides["dot"],
        matrix=sides["matrix"],
        dataset=dataset,
        temperature_kelvin=temperature,
        denominator=denominator,
        tolerance=tolerance,
        axes=axes,
        fractions=fractions,
        a_dot=a_dot,
        a_matrix=a_matrix,
        mismatch=misfit(a_matrix, a_dot=a_dot, denominator=denominator),
        mismatch_uncertainty=spread,
        imposed_strain=misfit(a_matrix, a_dot=a_dot),
        zero_mismatch=matches,
        window=windows,
    )


def _side(
    formula: Formula, dataset: str, temperature: float | None, given: float | None, files: Sequence[Path]
) -> Side:
    if given is not None:
        check_lattice(given, what="--dot-lattice")
        return Side(formula, f"given: {given:g} Å", ((formula.text, given, 0.0),), given)
    ends = []
    sources: list[MixedLattice] = []
    for _, corner in _corners(formula):
        mixed = mixed_lattice_constant(corner, dataset=dataset, temperature=temperature, files=files)
        ends.append((corner.text, mixed.a_angstrom, mixed.uncertainty_angstrom))
        sources.append(mixed)
    if len(ends) == 1:
        return Side(formula, sources[0].source, tuple(ends), None)
    listed = ", ".join(f"{name} {a:.4g} Å" for name, a, _ in ends)
    return Side(formula, f"Vegard between {listed} (data set {dataset})", tuple(ends), None)


def _corners(formula: Formula) -> list[tuple[tuple[int, ...], Formula]]:
    """Every choice of one species on each free site, first species first."""
    corners: list[tuple[tuple[int, ...], Formula]] = [((), formula)]
    for sublattice in formula.free:
        if len(sublattice.species) != 2:
            raise UsageError(
                f"site {sublattice.label} of {formula.text} has {len(sublattice.species)} free species; a screen "
                "takes two, give amounts for the others"
            )
        corners = [
            ((*choice, index), made.at({sublattice.label: (1.0 - index, float(index))}))
            for choice, made in corners
            for index in (0, 1)
        ]
    return corners


def _axes(formulas: Mapping[str, Formula], *, fixed_dot: bool) -> tuple[Axis, ...]:
    found = []
    sides: tuple[Literal["dot", "matrix"], ...] = ("dot", "matrix")
    for side in sides:
        if side == "dot" and fixed_dot:
            continue
        for sublattice in formulas[side].free:
            found.append(Axis(side, sublattice.label, (sublattice.species[0], sublattice.species[1])))
    return tuple(found)


def _fixed(formula: Formula, side: str, axes: Sequence[Axis], values: Sequence[float]) -> Formula:
    chosen = {axis.site: (float(x), 1.0 - float(x)) for axis, x in zip(axes, values, strict=True) if axis.side == side}
    return formula.at(chosen) if chosen else formula


def _lattice(
    side: Side, name: str, axes: Sequence[Axis], fractions: NDArray[np.float64], bowing: Mapping[tuple[str, str], float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lattice constants and uncertainties (n,) of one side: multilinear in the fractions, less the bowing."""
    n = len(fractions)
    if side.given_lattice is not None:
        return np.full(n, side.given_lattice), np.zeros(n)
    own = [index for index, axis in enumerate(axes) if axis.side == name]
    value, variance = np.zeros(n), np.zeros(n)
    for (choice, _), (_, a, uncertainty) in zip(_corners(side.formula), side.ends, strict=True):
        weight = np.ones(n)
        for index, picked in zip(own, choice, strict=True):
            weight = weight * (fractions[:, index] if picked == 0 else 1.0 - fractions[:, index])
        value += weight * a
        variance += (weight * uncertainty) ** 2
    for index in own:
        one, other = axes[index].species
        bend = bowing.get((one, other), 0.0) or bowing.get((other, one), 0.0)
        value -= bend * fractions[:, index] * (1.0 - fractions[:, index])
    return value, np.sqrt(variance)


def _closed_form(
    sides: Mapping[str, Side],
    axes: Sequence[Axis],
    grids: Sequence[NDArray[np.float64]],
    bowing: Mapping[tuple[str, str], float],
    denominator: Denominator,
    tolerance: float,
) -> tuple[tuple[Match, ...], tuple[Window, ...]]:
    if not axes:
        return (), ()
    main, rest = axes[-1], axes[:-1]
    fixed_side: Literal["dot", "matrix"] = "matrix" if main.side == "dot" else "dot"
    one, other = main.species
    bend = bowing.get((one, other), 0.0) or bowing.get((other, one), 0.0)
    matches: list[Match] = []
    windows: list[Window] = []
    mesh = np.meshgrid(*grids[:-1], indexing="ij") if rest else []
    combinations = np.stack([m.ravel() for m in mesh], axis=1) if rest else np.zeros((1, 0))
    for values in combinations:
        ends = np.column_stack([np.tile(values, (2, 1)), [[1.0], [0.0]]])
        first, second = _lattice(sides[main.side], main.side, axes, ends, bowing)[0]
        lattice = float(_lattice(sides[fixed_side], fixed_side, axes, ends, bowing)[0][0])
        curve = LatticeCurve(float(first), float(second), bend)
        others = {axis.name: float(x) for axis, x in zip(rest, values, strict=True)}
        for x in zero_misfit(curve, lattice=lattice):
            text = _fixed(sides[main.side].formula, main.side, axes, [*values, x]).text
            matches.append(Match(x, text, lattice, others))
        for start, end in misfit_window(
            curve, lattice=lattice, tolerance=tolerance, mixed=main.side, denominator=denominator
        ):
            windows.append(Window(start, end, others))
    return tuple(matches), tuple(windows)
