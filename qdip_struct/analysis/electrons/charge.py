"""Charge-density differences Δρ = ρ_AB − ρ_A − ρ_B: planar profiles of slabs, radial profiles of dots.

Cubes hold electrons per bohr³, counted positive; profiles are in e/Å and e/Å³. A positive Δρ is a gain of electrons.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qdip_struct.base import units
from qdip_struct.base.errors import MismatchError, UsageError
from qdip_struct.cp2k.outputs.cube import Cube, cube_difference, integral, planar_average

if TYPE_CHECKING:
    from ase import Atoms

INTEGRAL_TOLERANCE = 1e-3
"""Largest |∫Δρ dV| in e that passes for zero."""

_SAME_PLACE = 0.01
_SAME_ORIGIN = 1e-4
_PER_ANGSTROM3 = 1.0 / units.ANGSTROM_PER_BOHR**3


@dataclass(frozen=True, eq=False)
class ChargeDifference:
    """A charge-density difference and its balance.

    Attributes
    ----------
    cube
        Δρ = ρ_AB − ρ_A − ρ_B, e/bohr³; positive where electrons gather.
    electrons
        ∫ρ dV of AB, A and B, e.
    integral_e
        ∫Δρ dV, e; 0 but for the grid.
    displaced_e
        ½∫|Δρ| dV, the electrons that changed place, e.
    """

    cube: Cube
    electrons: tuple[float, float, float]
    integral_e: float
    displaced_e: float

    @property
    def balanced(self) -> bool:
        """Whether AB has as many electrons as A and B together, within ``INTEGRAL_TOLERANCE``."""
        return abs(self.integral_e) <= INTEGRAL_TOLERANCE


@dataclass(frozen=True, eq=False)
class ChargeProfile:
    """Δλ(z) = ∫∫ Δρ dx dy along the normal of planes.

    Attributes
    ----------
    axis
        Cell vector, 0 to 2, that does not lie in the planes.
    heights_angstrom
        (n,) heights along their normal, Å.
    linear_density
        (n,) Δλ, e/Å.
    accumulated_e
        (n,) ∫Δλ dz′ from the first height, where the cell starts, to the end of each step, e.
    """

    axis: int
    heights_angstrom: np.ndarray
    linear_density: np.ndarray
    accumulated_e: np.ndarray
    area_angstrom2: float
    step_angstrom: float


@dataclass(frozen=True, eq=False)
class RadialProfile:
    """Mean Δρ(r) in spherical shells, and the charge inside them.

    Attributes
    ----------
    centre_angstrom
        (3,) centre of the shells, Å.
    radii_angstrom
        (n,) outer radius of each shell, Å.
    density
        (n,) mean Δρ in each shell, e/Å³; NaN in an empty one (finer than the grid).
    shell_e
        (n,) electrons gained in each shell, e.
    accumulated_e
        (n,) their sum from the centre to the outer radius of each shell, e.
    """

    centre_angstrom: np.ndarray
    radii_angstrom: np.ndarray
    density: np.ndarray
    shell_e: np.ndarray
    accumulated_e: np.ndarray


def charge_difference(whole: Cube, *, first: Cube, second: Cube) -> ChargeDifference:
    """Δρ = ρ_AB − ρ_A − ρ_B on one grid (Ning et al., Extended Data Fig. 1, 10.1038/nature14563).

    Raises
    ------
    MismatchError
        If a cube is a potential, or grid, cell, origin or the places of the atoms differ; the message names which.
    """
    for cube in (whole, first, second):
        if "POTENTIAL" in cube.title.upper() or "HARTREE" in cube.title.upper():
            raise MismatchError(f"{cube.path} holds a potential ('{cube.title}'); expected an electron density")
    for part in (first, second):
        if part.values.shape == whole.values.shape:
            off = float(np.abs(part.origin - whole.origin).max())
            if off > _SAME_ORIGIN:
                raise MismatchError(f"the origins of {part.path} and {whole.path} differ by {off:.4f} Å")
    delta = cube_difference(whole, first, second)
    _check_atoms(whole, first, second)
    return ChargeDifference(
        cube=delta,
        electrons=(integral(whole), integral(first), integral(second)),
        integral_e=integral(delta),
        displaced_e=0.5 * float(np.abs(delta.values).sum()) * delta.voxel_bohr3,
    )


def planar_profile(cube: Cube, *, axis: int = 2) -> ChargeProfile:
    """Δλ(z) = A·⟨Δρ⟩(z) of a density cube, e/Å, along the normal of the planes of the other two cell vectors.

    Raises
    ------
    UsageError
        If ``axis`` is not 0, 1 or 2.
    """
    profile = planar_average(cube, axis=axis)
    step = profile.length_angstrom / len(profile.values)
    area = abs(float(np.linalg.det(cube.cell))) / profile.length_angstrom
    linear = profile.values * area * _PER_ANGSTROM3
    return ChargeProfile(axis, profile.heights_angstrom, linear, np.cumsum(linear) * step, area, step)


def radial_charge(cube: Cube, *, centre: np.ndarray, width: float = 0.2) -> RadialProfile:
    """Spherical shells of Δρ about ``centre`` (3,) Å, ``width`` Å wide, out to the sphere inscribed in the cell.

    Each grid point counts at its nearest periodic image; inside the inscribed sphere that image is unique.

    Raises
    ------
    UsageError
        If the centre is not three finite numbers, or the width is not between 0 and the inscribed radius.
    """
    place = np.asarray(centre, dtype=float)
    if place.shape != (3,) or not np.isfinite(place).all():
        raise UsageError("the centre of a radial profile needs three finite coordinates in Å")
    inverse = np.linalg.inv(cube.cell)
    largest = 0.5 / float(np.linalg.norm(inverse, axis=0).max())
    if not (np.isfinite(width) and 0 < width <= largest):
        raise UsageError(
            f"shell width {width:g} Å: expected more than 0 and at most {largest:.3f} Å (inscribed sphere)"
        )
    count = int(largest / width + 1e-9)
    gains, points = np.zeros(count), np.zeros(count)
    start = (cube.origin - place) @ inverse
    i, j, k = (np.arange(n) / n for n in cube.values.shape)
    plane = np.stack(np.meshgrid(j, k, indexing="ij"), axis=-1)
    for index, along in enumerate(i):
        fractions = np.empty((*plane.shape[:2], 3))
        fractions[..., 0], fractions[..., 1:] = along, plane
        fractions += start
        fractions -= np.rint(fractions)
        shell = (np.linalg.norm(fractions @ cube.cell, axis=-1) / width).astype(np.int64)
        inside = shell < count
        gains += np.bincount(shell[inside], weights=cube.values[index][inside], minlength=count)
        points += np.bincount(shell[inside], minlength=count)
    density = np.divide(gains, points, out=np.full(count, np.nan), where=points > 0) * _PER_ANGSTROM3
    shells = gains * cube.voxel_bohr3
    return RadialProfile(place, width * np.arange(1, count + 1), density, shells, np.cumsum(shells))


def _check_atoms(whole: Cube, first: Cube, second: Cube) -> None:
    """Every atom of A and B must stand in AB and every atom of AB in A or B; ghosts (number 0) are no atoms."""
    for part in (first, second):
        lost = _first_without_partner(part.atoms, (whole.atoms,), whole.cell)
        if lost is not None:
            raise MismatchError(
                f"{part.path}: its atom {lost} is not at the same place in {whole.path}; the parts keep the geometry "
                "of the whole, unrelaxed"
            )
    lost = _first_without_partner(whole.atoms, (first.atoms, second.atoms), whole.cell)
    if lost is not None:
        raise MismatchError(f"{whole.path}: its atom {lost} is neither in {first.path} nor in {second.path}")


def _first_without_partner(atoms: "Atoms", others: "tuple[Atoms, ...]", cell: np.ndarray) -> str | None:
    from scipy.spatial import cKDTree

    inverse = np.linalg.inv(cell)

    def nearest(places: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Distances to the nearest target; targets near the border are repeated on the other side."""
        margin = 2 * _SAME_PLACE * np.linalg.norm(inverse, axis=0)
        fractions = targets @ inverse
        fractions -= np.floor(fractions)
        for axis in range(3):
            low, high = fractions[:, axis] < margin[axis], fractions[:, axis] > 1 - margin[axis]
            unit = np.eye(3)[axis]
            fractions = np.concatenate([fractions, fractions[low] + unit, fractions[high] - unit])
        wrapped = places @ inverse
        distances: np.ndarray = cKDTree(fractions @ cell).query((wrapped - np.floor(wrapped)) @ cell)[0]
        return distances

    for number in sorted(set(atoms.numbers.tolist()) - {0}):
        chosen = np.flatnonzero(atoms.numbers == number)
        targets = np.concatenate([other.positions[other.numbers == number] for other in others])
        far = np.ones(len(chosen), dtype=bool)
        if len(targets):
            far = nearest(atoms.positions[chosen], targets) > _SAME_PLACE
        if far.any():
            index = int(chosen[far][0])
            return f"{index + 1} ({atoms.symbols[index]})"
    return None
