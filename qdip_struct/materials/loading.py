"""Loading of dots in a matrix: mass ratio, volume ratio, volume fraction, and the spacing of the dots."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.elasticity import GRAM_PER_CM3, molar_mass
from qdip_struct.materials.mixed_lattice import MixedLattice, mixed_lattice_constant

MassOf = Literal["precursor", "matrix"]


@dataclass(frozen=True)
class Loading:
    """How much dot is in a matrix.

    Attributes
    ----------
    volume_ratio
        Volume of matrix per volume of dot.
    factor
        volume_ratio per mass ratio, ``None`` when the loading was not given by mass.
    densities, sources
        g/cm³ of ``dot`` and ``matrix`` that were used, and where they are from; empty when none was needed.
    lattices
        Lattice constants of the sides whose density is that of the crystal.
    """

    volume_ratio: float
    factor: float | None
    densities: Mapping[str, float]
    sources: Mapping[str, str]
    lattices: Mapping[str, MixedLattice] = field(default_factory=dict)

    @property
    def volume_fraction(self) -> float:
        """Dot volume over the total volume, 1/(1 + volume_ratio)."""
        return 1.0 / (1.0 + self.volume_ratio)


def precursor_of(matrix: str) -> str:
    """The lead halide from which a perovskite is made: BX₂ of ABX₃, mixed halides in proportion.

    Raises
    ------
    UsageError
        If the matrix is not a perovskite or leaves a site free.
    """
    formula = parse_formula(matrix)
    formula.weights()
    if formula.family != "perovskite":
        raise UsageError(f"{matrix} is not made from a lead halide; give the masses of the matrix itself")
    b_site, x_site = formula.sublattices[1], formula.sublattices[2]
    assert x_site.fractions is not None
    halides = "".join(
        name + f"{2.0 * share:.10g}" for name, share in zip(x_site.species, x_site.fractions, strict=True) if share > 0
    )
    return b_site.text() + halides


def loading_from_mass(
    dot: str,
    *,
    matrix: str,
    mass_ratio: float,
    mass_of: MassOf = "precursor",
    densities: Mapping[str, float] | None = None,
    dataset: str | None = None,
    temperature: float | None = None,
    files: Sequence[Path] = (),
) -> Loading:
    """Loading from the mass of precursor (or of matrix) per mass of dot.

    V_matrix/V_dot = r·(M_matrix/M_precursor)·ρ_dot/ρ_matrix; the factor M_matrix/M_precursor is 1 for a ratio to the
    matrix itself.

    Parameters
    ----------
    dot, matrix
        Formulas.
    mass_ratio
        r, mass of precursor or matrix per mass of dot.
    mass_of
        Whether r counts the precursor of the matrix (PbI2 for MAPbI3) or the matrix itself.
    densities
        g/cm³ of ``dot`` and ``matrix``; what is missing is computed from the crystals of the data set.
    dataset, temperature, files
        Data set of the crystals, their temperature (K, default that of the data set), and the user's own files.

    Raises
    ------
    UsageError
        If a number is not positive and finite, or a name is unknown.
    """
    _positive(mass_ratio, "the mass ratio")
    rho, sources, lattices = resolve_densities(
        dot, matrix=matrix, densities=densities, dataset=dataset, temperature=temperature, files=files
    )
    growth = molar_mass(parse_formula(matrix)) / molar_mass(precursor_of(matrix)) if mass_of == "precursor" else 1.0
    factor = growth * rho["dot"] / rho["matrix"]
    return Loading(volume_ratio=mass_ratio * factor, factor=factor, densities=rho, sources=sources, lattices=lattices)


def loading_from_fraction(volume_fraction: float) -> Loading:
    """Loading from the volume fraction of dots, between 0 and 1 (exclusive).

    Raises
    ------
    UsageError
        If the fraction is out of range.
    """
    if not (math.isfinite(volume_fraction) and 0.0 < volume_fraction < 1.0):
        raise UsageError(f"the volume fraction is {volume_fraction:g}; expected more than 0 and less than 1")
    return Loading(volume_ratio=1.0 / volume_fraction - 1.0, factor=None, densities={}, sources={})


def resolve_densities(
    dot: str,
    *,
    matrix: str,
    densities: Mapping[str, float] | None = None,
    dataset: str | None = None,
    temperature: float | None = None,
    files: Sequence[Path] = (),
) -> tuple[dict[str, float], dict[str, str], dict[str, MixedLattice]]:
    """Densities (g/cm³) of dot and matrix, where each comes from, and the lattice constants behind those not given.

    Parameters
    ----------
    dot, matrix
        Formulas.
    densities
        g/cm³ by ``dot`` and ``matrix``, as far as given.
    dataset, temperature, files
        Data set of the crystals, their temperature (K, default that of the data set), and the user's own files.
    """
    rho: dict[str, float] = {}
    sources: dict[str, str] = {}
    lattices: dict[str, MixedLattice] = {}
    for side, name in (("dot", dot), ("matrix", matrix)):
        given = (densities or {}).get(side)
        if given is not None:
            _positive(given, f"the density of the {side}")
            rho[side], sources[side] = given, "given"
            continue
        formula = parse_formula(name)
        mixed = mixed_lattice_constant(formula, dataset=dataset, temperature=temperature, files=files)
        lattices[side] = mixed
        per_cube = 4 if mixed.terms[0][0].structure_type in ("rocksalt", "zincblende", "wurtzite") else 1
        rho[side] = per_cube * molar_mass(formula) * GRAM_PER_CM3 / mixed.a_angstrom**3
        sources[side] = f"crystal density at a = {mixed.a_angstrom:.4f} Å, {mixed.source}"
    return rho, sources, lattices


def dot_spacings(volume_fraction: float, *, diameter: float) -> dict[str, float]:
    """Distances (Å) between spherical dots of one diameter at a volume fraction, by definition.

    With n = 6φ/(πD³) dots per volume: ``simple_cubic_center`` n^(−1/3); ``wigner_seitz_center`` 2·(3/(4πn))^(1/3);
    ``..._surface`` is the same less the diameter (negative where that arrangement would overlap).

    Raises
    ------
    UsageError
        If the fraction is not between 0 and 1 or the diameter is not positive.
    """
    loading_from_fraction(volume_fraction)
    _positive(diameter, "the diameter")
    number = 6.0 * volume_fraction / (math.pi * diameter**3)
    cubic, sphere = number ** (-1.0 / 3.0), 2.0 * (3.0 / (4.0 * math.pi * number)) ** (1.0 / 3.0)
    return {
        "simple_cubic_center": cubic,
        "simple_cubic_surface": cubic - diameter,
        "wigner_seitz_center": sphere,
        "wigner_seitz_surface": sphere - diameter,
    }


def _positive(value: float, what: str) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise UsageError(f"{what} is {value:g}; expected a positive number")
