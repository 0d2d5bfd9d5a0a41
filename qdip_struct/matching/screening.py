"""Screens: misfit of dots in matrices over every free composition axis, from one data set, at one temperature.

Compositions of zero misfit along the main axis, and windows of small misfit, are found in closed form and not on the
grid of points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from qdip_struct.base.arrays import Array
from qdip_struct.base.documents import Number, Text, Word
from qdip_struct.base.errors import UsageError
from qdip_struct.matching.coincidence import smallest_matches
from qdip_struct.matching.composition_grid import (
    Axis,
    Side,
    SideName,
    axis_bowing,
    composition_axes,
    elastic_constants,
    formula_at,
    grid,
    lattice_constants,
    make_side,
)
from qdip_struct.matching.misfit import (
    Denominator,
    LatticeCurve,
    check_tolerance,
    misfit,
    misfit_uncertainty,
    misfit_window,
    zero_misfit,
)
from qdip_struct.matching.nets import Net, surface_net
from qdip_struct.matching.planes import Plane
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.datasets import get_dataset
from qdip_struct.materials.options import DEFAULT_DATASET
from qdip_struct.materials.sites import prototype_sites


@dataclass(frozen=True)
class ZeroMisfit:
    """A composition of zero misfit.

    Attributes
    ----------
    fraction
        x on the main axis.
    fraction_uncertainty
        One standard uncertainty of it, from the lattice constants of both sides over the slope.
    formula
        The mixed side at x.
    others
        Fractions on the other axes by name.
    """

    fraction: float
    fraction_uncertainty: float
    formula: str
    a_angstrom: float
    others: Mapping[str, float]


@dataclass(frozen=True)
class Window:
    """An interval of the main axis in which \\|f\\| stays within the tolerance.

    Attributes
    ----------
    start, end
        Its ends as fractions x.
    others
        Fractions on the other axes by name.
    """

    start: float
    end: float
    others: Mapping[str, float]


def match_points(
    dot: Side,
    matrix: Side,
    *,
    axes: Sequence[Axis],
    lines: Sequence[Array],
    bowing: Mapping[tuple[str, str], float],
    denominator: Denominator,
    tolerance: float,
) -> tuple[tuple[ZeroMisfit, ...], tuple[Window, ...]]:
    """Zero-misfit compositions and windows along the main axis, for every combination on the other axes.

    Along the axis a(x) = x·a₁ + (1 − x)·a₂ − b·x·(1 − x); a zero-misfit composition solves a(x) = a of the other side,
    its standard uncertainty is that of both lattice constants over \\|da/dx\\|.

    Parameters
    ----------
    dot, matrix
        The two sides; the one that owns the main axis is mixed along it.
    axes
        Composition axes of both sides, the main one last; without any there are no match points.
    lines
        Fractions along each axis, as :func:`~qdip_struct.matching.composition_grid.grid` gives them.
    bowing
        b (Å) per pair of species.
    denominator, tolerance
        Of the misfit, and \\|f\\| of the windows.

    Returns
    -------
    tuple
        Zero-misfit compositions, and windows, each in the order of the combinations on the other axes.
    """
    if not axes:
        return (), ()
    main, rest = axes[-1], axes[:-1]
    mixed, still = (dot, matrix) if main.side == "dot" else (matrix, dot)
    matches: list[ZeroMisfit] = []
    windows: list[Window] = []
    mesh = [m.ravel() for m in np.meshgrid(*lines[:-1], indexing="ij")] if rest else []
    combinations = np.stack(mesh, axis=1) if rest else np.zeros((1, 0))
    for values in combinations:
        ends = np.column_stack([np.tile(values, (2, 1)), [[1.0], [0.0]]])
        first, second = lattice_constants(mixed, axes=axes, fractions=ends, bowing=bowing)[0]
        lattices, spreads = lattice_constants(still, axes=axes, fractions=ends, bowing=bowing)
        lattice = float(lattices[0])
        curve = LatticeCurve(float(first), float(second), axis_bowing(main, bowing))
        others = {axis.name: float(x) for axis, x in zip(rest, values, strict=True)}
        for x in zero_misfit(curve, lattice=lattice):
            point = np.append(values, x)
            spread = lattice_constants(mixed, axes=axes, fractions=point[None, :], bowing=bowing)[1]
            slope = abs(curve.slope(x))
            error = float(np.hypot(spread[0], spreads[0])) / slope if slope > 0.0 else float("inf")
            text = formula_at(mixed, axes=axes, values=point).text
            matches.append(ZeroMisfit(x, error, text, lattice, others))
        for start, end in misfit_window(
            curve, lattice=lattice, tolerance=tolerance, mixed=main.side, denominator=denominator
        ):
            windows.append(Window(start, end, others))
    return tuple(matches), tuple(windows)


MAX_POINTS = 200_001
CUBIC_TYPES = ("rocksalt", "zincblende", "perovskite", "cscl")


@dataclass(frozen=True)
class Screen:
    """The result of :func:`screen`: one entry per grid point in every array.

    Attributes
    ----------
    dot, matrix
        Both sides with their end members.
    dataset, temperature_kelvin
        What the lattice constants were taken from, and the temperature they were brought to, K.
    denominator, tolerance
        What the misfit is relative to, and the \\|f\\| of ``window``.
    plane
        Plane of the coincidence cells.
    axes
        Composition axes; the last one is the main axis (``ZeroMisfit.fraction``, ``Window``).
    fractions
        (n, n_axes) fractions of the first species.
    a_dot, a_matrix
        (n,) Å.
    mismatch, mismatch_uncertainty, imposed_strain
        (n,) misfit over the named denominator, its standard uncertainty, and (a_matrix − a_dot)/a_dot.
    dot_strain
        (n,) strain left in a spherical dot by an infinite matrix, f·4G_m/(3K_d + 4G_m); NaN where a modulus is
        unknown.
    match_area, match_strain
        (n,) area (Å²) and largest principal strain of the smallest coincidence cell of the two planes; NaN where
        there is none within the limits.
    zero_mismatch, window
        Along the main axis, for every combination on the other axes.
    """

    dot: Side
    matrix: Side
    dataset: str
    temperature_kelvin: float | None
    denominator: Denominator
    tolerance: float
    plane: Plane
    axes: tuple[Axis, ...]
    fractions: Array
    a_dot: Array
    a_matrix: Array
    mismatch: Array
    mismatch_uncertainty: Array
    imposed_strain: Array
    dot_strain: Array
    match_area: Array
    match_strain: Array
    zero_mismatch: tuple[ZeroMisfit, ...]
    window: tuple[Window, ...]
    assumptions: tuple[str, ...]

    def formula_at(self, index: int, side: SideName) -> str:
        """The formula of the dot or the matrix at a grid point."""
        return formula_at(self.dot if side == "dot" else self.matrix, axes=self.axes, values=self.fractions[index]).text


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
    plane: Plane = (1, 0, 0),
    max_area: float = 400.0,
    max_strain: float = 0.03,
    files: Sequence[Path] = (),
) -> Screen:
    """Misfit of a dot in a matrix over every free composition axis.

    Parameters
    ----------
    dot, matrix
        Formulas; a site written ``(Br,I)`` is a composition axis.
    dataset, files
        Data set of the lattice constants, and the user's own files of crystals.
    temperature
        Kelvin; ``None`` takes the data set's own temperature, see
        :func:`~qdip_struct.materials.mixed_lattice.crystal_at`.
    dot_lattice
        Lattice constant of the dot (Å) in place of the data set's.
    denominator
        What the misfit is relative to.
    tolerance
        \\|f\\| of the window.
    points, other_points
        Grid points on the main (last) axis and on each other one.
    bowing
        b (Å) per pair of species, see :func:`~qdip_struct.materials.mixed_lattice.mixed_lattice_constant`.
    plane, max_area, max_strain
        Plane of both (pseudo-)cubic crystals, largest area (Å²) and strain of the coincidence cells.

    Raises
    ------
    UsageError
        If a name, the data set or a number is wrong, or a site holds more than two free species.
    """
    if not 1 <= points <= MAX_POINTS or not 1 <= other_points <= 1001:
        raise UsageError(f"{points} points; expected 1 to {MAX_POINTS}")
    check_tolerance(tolerance)
    taken: dict[str, Any] = {"dataset": dataset, "temperature": temperature, "files": files}
    if temperature is None:
        temperature = get_dataset(dataset, files=files).temperature_kelvin
    inner = make_side(parse_formula(dot), name="dot", given_lattice=dot_lattice, **taken)
    outer = make_side(parse_formula(matrix), name="matrix", **taken)
    axes = composition_axes(inner, outer)
    lines, fractions = _grid_over(axes, points=points, other_points=other_points)
    a_dot, u_dot = lattice_constants(inner, axes=axes, fractions=fractions, bowing=bowing or {})
    a_matrix, u_matrix = lattice_constants(outer, axes=axes, fractions=fractions, bowing=bowing or {})
    imposed = misfit(a_matrix, a_dot=a_dot)
    area, strain = _smallest(inner, outer, plane, a_dot, a_matrix, max_area, max_strain)
    matches, windows = match_points(
        inner, outer, axes=axes, lines=lines, bowing=bowing or {}, denominator=denominator, tolerance=tolerance
    )
    return Screen(
        dot=inner,
        matrix=outer,
        dataset=dataset,
        temperature_kelvin=temperature,
        denominator=denominator,
        tolerance=tolerance,
        plane=plane,
        axes=axes,
        fractions=fractions,
        a_dot=a_dot,
        a_matrix=a_matrix,
        mismatch=misfit(a_matrix, a_dot=a_dot, denominator=denominator),
        mismatch_uncertainty=misfit_uncertainty(
            a_matrix, a_dot=a_dot, matrix_uncertainty=u_matrix, dot_uncertainty=u_dot, denominator=denominator
        ),
        imposed_strain=imposed,
        dot_strain=_shared_strain(inner, outer, axes, fractions, imposed),
        match_area=area,
        match_strain=strain,
        zero_mismatch=matches,
        window=windows,
        assumptions=_assumptions(inner, outer),
    )


def _grid_over(axes: Sequence[Axis], *, points: int, other_points: int) -> tuple[tuple[Array, ...], Array]:
    """Points along each axis and every combination of them, as :func:`grid` gives them; a grid too large is refused."""
    counts = [other_points] * (len(axes) - 1) + [points] if axes else []
    number = int(np.prod(counts))
    if number > MAX_POINTS:
        raise UsageError(f"the grid has {number} points; at most {MAX_POINTS}, ask for fewer")
    return grid(counts)


def temperature_sweep(
    dot: str, *, matrix: str, temperatures: Sequence[float], dataset: str = DEFAULT_DATASET, **options: Any
) -> tuple[Screen, ...]:
    """One :func:`screen` per temperature (K), in the order given; ``options`` are those of :func:`screen`.

    Raises
    ------
    UsageError
        If the list is empty, or a temperature or an expansion coefficient is missing.
    """
    if len(temperatures) == 0:
        raise UsageError("a temperature sweep needs at least one temperature")
    return tuple(screen(dot, matrix=matrix, dataset=dataset, temperature=float(t), **options) for t in temperatures)


def prototype_net(structure_type: str, *, plane: Plane, lattice: float = 1.0) -> Net:
    """The net of a plane of a cubic prototype with the lattice constant ``lattice`` (Å)."""
    species = {"A": "Cs", "B": "Pb", "X": "I", "cation": "Pb", "anion": "S"}
    sites, group, units = prototype_sites(structure_type, species=species, name=structure_type, where=structure_type)
    crystal = Crystal(
        name=structure_type,
        phase="cubic",
        structure_type=structure_type,
        space_group=group,
        lengths=(lattice, lattice, lattice),
        angles=(90.0, 90.0, 90.0),
        temperature_kelvin=None,
        dataset="",
        source="prototype",
        doi=None,
        verified=True,
        sites=sites,
        n_formula_units=units,
    )
    return surface_net(crystal, plane=plane)


def _smallest(
    inner: Side, outer: Side, plane: Plane, a_dot: Array, a_matrix: Array, max_area: float, max_strain: float
) -> tuple[Array, Array]:
    types = [{end.structure_type for end in side.ends} for side in (inner, outer)]
    if any(len(kinds) != 1 or not kinds <= set(CUBIC_TYPES) for kinds in types):
        return np.full(a_dot.shape, np.nan), np.full(a_dot.shape, np.nan)
    nets = [prototype_net(kinds.pop(), plane=plane) for kinds in types]
    return smallest_matches(
        nets[0],
        substrate=nets[1],
        film_scales=a_dot,
        substrate_scales=a_matrix,
        max_area=max_area,
        max_strain=max_strain,
    )


def _shared_strain(inner: Side, outer: Side, axes: Sequence[Axis], fractions: Array, imposed: Array) -> Array:
    dot = elastic_constants(inner, axes=axes, fractions=fractions)
    matrix = elastic_constants(outer, axes=axes, fractions=fractions)
    if dot is None or matrix is None:
        return np.full(imposed.shape, np.nan)
    resistance = 4.0 * matrix[1]
    shared: Array = imposed * resistance / (3.0 * dot[0] + resistance)
    return shared


def _assumptions(inner: Side, outer: Side) -> tuple[str, ...]:
    found = []
    for side in (inner, outer):
        for end in side.ends:
            if end.moduli is None:
                found.append(f"no elastic moduli are known for {end.formula}, so the strain of the dot is not given")
            elif end.moduli.assumption:
                found.append(f"{end.formula}: {end.moduli.assumption}")
    return tuple(found)


class _WrittenDot(msgspec.Struct, frozen=True):
    name: Word
    a_angstrom: Number | None
    source: Text


class _WrittenMatrix(msgspec.Struct, frozen=True):
    name: Word


class _WrittenWindow(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    start: Number
    end: Number


class _WrittenMatch(msgspec.Struct, frozen=True):
    formula: Word
    fraction: Number | None
    a_angstrom: Number


class _WrittenPoint(msgspec.Struct, frozen=True):
    formula: Word
    fraction: Number | None
    a_matrix_angstrom: Number
    mismatch: Number
    mismatch_uncertainty: Number | None = None


class ScreenDocument(msgspec.Struct, frozen=True):
    """What ``qdip screen`` writes for one dot in one matrix, as far as a page shows it.

    Attributes
    ----------
    dot, matrix
        The two sides; the dot's lattice constant (Å) unless it varies, and where it is from.
    dataset, denominator
        Of the lattice constants, and of the misfit.
    zero_mismatch, window
        Compositions of zero misfit, and ranges of the fraction with a small one.
    points
        The misfit composition by composition.
    remarks
        What must be known.
    """

    dot: _WrittenDot
    matrix: _WrittenMatrix
    dataset: Word
    denominator: Word
    zero_mismatch: list[_WrittenMatch]
    window: list[_WrittenWindow]
    points: list[_WrittenPoint]
    remarks: list[Text] = []
