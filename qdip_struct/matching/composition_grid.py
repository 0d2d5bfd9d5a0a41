"""Composition axes of a dot and a matrix, the grid over them, and quantities that are linear between end members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from qdip_struct.base.arrays import Floats
from qdip_struct.base.errors import UsageError
from qdip_struct.materials.composition import Formula, parse_formula
from qdip_struct.materials.crystals import apart_in_temperature, check_lattice
from qdip_struct.materials.datasets import list_crystals
from qdip_struct.materials.elasticity import Moduli, hill_average, mixed_moduli
from qdip_struct.materials.mixed_lattice import (
    common_temperature,
    mixed_lattice_constant,
    recorded_mixture,
    vegard_source,
)

SideName = Literal["dot", "matrix"]


@dataclass(frozen=True)
class Axis:
    """One composition axis: x is the fraction of the first of two species on a site.

    Attributes
    ----------
    site
        Sublattice, such as ``X``.
    species
        The two that mix.
    """

    side: SideName
    site: str
    species: tuple[str, str]

    @property
    def name(self) -> str:
        """For example ``matrix X: Br``."""
        return f"{self.side} {self.site}: {self.species[0]}"


@dataclass(frozen=True)
class End:
    """One corner of a side's composition range.

    Attributes
    ----------
    formula
        Formula with one species on every free site.
    a_angstrom, uncertainty_angstrom
        Lattice constant at the temperature asked for.
    structure_type
        Prototype (``rocksalt``, ``perovskite``, ...).
    moduli
        Isotropic moduli, ``None`` where unknown.
    """

    formula: str
    a_angstrom: float
    uncertainty_angstrom: float
    structure_type: str
    moduli: Moduli | None


@dataclass(frozen=True)
class Side:
    """What is known of the dot or of the matrix before a composition is chosen.

    Attributes
    ----------
    formula
        Its composition, axes left open.
    ends
        End members in the order of the free sites' species, the last site changing fastest.
    given_lattice
        Lattice constant (Å) in place of the data set's.
    temperature_kelvin
        Temperature of every end member, K; ``None`` where they have none, or not the same one.
    warnings
        What must be said of the lattice constants.
    """

    name: SideName
    formula: Formula
    source: str
    ends: tuple[End, ...]
    given_lattice: float | None
    datasets: tuple[str, ...] = ()
    temperature_kelvin: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def a_angstrom(self) -> float | None:
        """The lattice constant (Å) where the composition is fixed or it was given, else ``None``."""
        if self.given_lattice is not None:
            return self.given_lattice
        return None if self.formula.free else self.ends[0].a_angstrom


def make_side(
    formula: Formula,
    *,
    name: SideName,
    dataset: str,
    temperature: float | None,
    given_lattice: float | None = None,
    files: Sequence[Path] = (),
) -> Side:
    """Look up every end member of one side.

    Parameters
    ----------
    formula
        Its composition, axes left open.
    name
        ``dot`` or ``matrix``.
    dataset, files
        Data set of the lattice constants, and the user's own files.
    temperature
        Kelvin; ``None`` takes the data set's own.
    given_lattice
        Lattice constant (Å) in place of the data set's.

    Raises
    ------
    UsageError
        If an end member is missing from the data set, or more than two species are free on a site.
    """
    corners = _corners(formula)
    if given_lattice is not None:
        check_lattice(given_lattice, what=f"the lattice constant of the {name}")
    ends, source = [], ""
    datasets: dict[str, None] = {}
    warnings: dict[str, None] = {}
    temperatures: list[float | None] = []
    for corner in corners:
        if given_lattice is not None:
            kind = _structure_type(corner, files)
            ends.append(End(corner.text, given_lattice, 0.0, kind, mixed_moduli(corner, files=files)))
            continue
        mixed = mixed_lattice_constant(corner, dataset=dataset, temperature=temperature, files=files)
        source = mixed.source
        datasets.update(dict.fromkeys(mixed.datasets))
        warnings.update(dict.fromkeys(mixed.warnings))
        temperatures.append(mixed.temperature_kelvin)
        structure = mixed.terms[0][0].structure_type
        moduli = mixed_moduli(corner, files=files)
        ends.append(End(corner.text, mixed.a_angstrom, mixed.uncertainty_angstrom, structure, moduli))
    if given_lattice is not None:
        source = f"given: {given_lattice:g} Å"
    elif len(ends) > 1:
        listed = [(end.formula, end.a_angstrom, at) for end, at in zip(ends, temperatures, strict=True)]
        source = vegard_source(listed, datasets=tuple(datasets))
    if given_lattice is None:
        found = _records_off_the_line(formula, ends=ends, dataset=dataset, temperature=temperature, files=files)
        ends_at = {end.formula: at for end, at in zip(ends, temperatures, strict=True)}
        warnings.update(dict.fromkeys((*found, *apart_in_temperature(ends_at))))
    common = common_temperature(temperatures)
    return Side(name, formula, source, tuple(ends), given_lattice, tuple(datasets), common, tuple(warnings))


def _records_off_the_line(
    formula: Formula, *, ends: Sequence[End], dataset: str, temperature: float | None, files: Sequence[Path]
) -> list[str]:
    """What must be said of mixtures on the free sites of which the data set has a record off the straight line."""
    told = []
    for crystal in list_crystals(dataset=dataset, files=files) if formula.free else ():
        try:
            other = parse_formula(crystal.name)
            shares = {
                mine.label: [dict(zip(its.species, its.fractions or (), strict=True)).get(name, 0.0)
                             for name in mine.species]
                for mine, its in zip(formula.sublattices, other.sublattices, strict=True) if mine.free
            }  # fmt: skip
            point = formula.at(shares)
            own = recorded_mixture(point, dataset=dataset, files=files)
            at = mixed_lattice_constant(point, dataset=dataset, temperature=temperature, files=files)
        except (UsageError, ValueError):  # of another kind, or not a mixture of these species
            continue
        if own is None or own.name != crystal.name:
            continue
        line = sum(weight * a for _, weight, a in at.terms)
        told.append(
            f"data set {crystal.dataset} has a record of {crystal.name}, {at.a_angstrom:.4f} Å, which other commands "
            f"take; the line between the end members gives {line:.4f} Å there"
        )
    return told


def composition_axes(dot: Side, matrix: Side) -> tuple[Axis, ...]:
    """The free sites of both sides; a side whose lattice constant was given has none."""
    found = []
    for side in (dot, matrix):
        if side.given_lattice is not None:
            continue
        for site in side.formula.free:
            found.append(Axis(side.name, site.label, (site.species[0], site.species[1])))
    return tuple(found)


def grid(counts: Sequence[int]) -> tuple[tuple[Floats, ...], Floats]:
    """Points along each axis, and all combinations (n, n_axes) with the last axis changing fastest."""
    lines = tuple(np.linspace(0.0, 1.0, count) if count > 1 else np.array([0.5]) for count in counts)
    if not lines:
        return lines, np.zeros((1, 0))
    return lines, np.stack([m.ravel() for m in np.meshgrid(*lines, indexing="ij")], axis=1)


def end_weights(side: Side, *, axes: Sequence[Axis], fractions: Floats) -> Floats:
    """(n_ends, n) share of each end member at each point: products of the site fractions."""
    own = [index for index, axis in enumerate(axes) if axis.side == side.name]
    weights = np.ones((len(side.ends), len(fractions)))
    if not own:
        weights[1:] = 0.0
        return weights
    for number in range(len(side.ends)):
        for place, index in enumerate(own):
            second = (number >> (len(own) - 1 - place)) & 1
            weights[number] *= (1.0 - fractions[:, index]) if second else fractions[:, index]
    return weights


def lattice_constants(
    side: Side, *, axes: Sequence[Axis], fractions: Floats, bowing: Mapping[tuple[str, str], float]
) -> tuple[Floats, Floats]:
    """Lattice constants and their standard uncertainties (n,) Å of one side, less b·x·(1 − x) of each axis.

    Parameters
    ----------
    side
        End members of the side.
    axes, fractions
        Composition axes, and the fraction on each at every point, (n, n_axes).
    bowing
        b (Å) by pair of species.
    """
    weights = end_weights(side, axes=axes, fractions=fractions)
    value = weights.T @ np.array([end.a_angstrom for end in side.ends])
    variance = (weights.T**2) @ np.array([end.uncertainty_angstrom**2 for end in side.ends])
    for index, axis in enumerate(axes):
        if axis.side == side.name:
            value = value - axis_bowing(axis, bowing) * fractions[:, index] * (1.0 - fractions[:, index])
    return value, np.sqrt(variance)


def axis_bowing(axis: Axis, bowing: Mapping[tuple[str, str], float]) -> float:
    """b (Å) of the axis' two species, given in either order; 0 when none is given."""
    one, other = axis.species
    return bowing.get((one, other), 0.0) or bowing.get((other, one), 0.0)


def elastic_constants(side: Side, *, axes: Sequence[Axis], fractions: Floats) -> tuple[Floats, Floats] | None:
    """Bulk and shear modulus (n,) GPa of one side; ``None`` if those of an end member are unknown.

    As :func:`~qdip_struct.materials.elasticity.mixed_moduli` gives them: from cubic constants that are linear between
    the end members.
    """
    known = [end.moduli for end in side.ends if end.moduli is not None]
    if len(known) < len(side.ends):
        return None
    weights = end_weights(side, axes=axes, fractions=fractions)
    c11, c12, c44 = (weights.T @ np.array([moduli.cubic[place] for moduli in known]) for place in range(3))
    return hill_average(c11, c12, c44)


def formula_at(side: Side, *, axes: Sequence[Axis], values: Sequence[float] | Floats) -> Formula:
    """The formula of one side with the fractions of a grid point."""
    chosen = {
        axis.site: (float(x), 1.0 - float(x)) for axis, x in zip(axes, values, strict=True) if axis.side == side.name
    }
    return side.formula.at(chosen) if chosen else side.formula


def _structure_type(formula: Formula, files: Sequence[Path]) -> str:
    """Prototype of a formula's first end member in any data set; ``unknown`` when no data set has it."""
    name = formula.weights()[0][0]
    found = (c.structure_type for c in list_crystals(files=files) if c.name == name)
    return next(found, "perovskite" if formula.family == "perovskite" else "unknown")


def _corners(formula: Formula) -> list[Formula]:
    """Every choice of one species on each free site, first species first, the last site changing fastest."""
    corners = [formula]
    for sublattice in formula.free:
        if len(sublattice.species) != 2:
            raise UsageError(
                f"site {sublattice.label} of {formula.text} has {len(sublattice.species)} free species; a screen "
                "takes two, give amounts for the others"
            )
        corners = [made.at({sublattice.label: pair}) for made in corners for pair in ((1.0, 0.0), (0.0, 1.0))]
    return corners
