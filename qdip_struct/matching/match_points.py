"""Match points: compositions of zero misfit along the main axis, and windows of small misfit, in closed form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qdip_struct.matching.composition_grid import Array, Axis, Side, axis_bowing, formula_at, lattice_constants
from qdip_struct.matching.misfit import Denominator, LatticeCurve, misfit_window, zero_misfit


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
    a_angstrom
        The common lattice constant, Å.
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
