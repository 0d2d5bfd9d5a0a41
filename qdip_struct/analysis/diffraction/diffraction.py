"""Diffraction of built structures: powder lines, and the Fourier spots of a structure projected along a zone axis.

Kinematic scattering. Spots use the atomic number as scattering power (zero angle), so that symmetry-forbidden spots
vanish and strengths compare with :mod:`qdip_struct.matching.planes`. Spacings Å, angles degree.
"""

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from qdip_struct.base.documents import Number, Positive, ResultDocument, Text, Whole, Word
from qdip_struct.base.errors import UsageError

if TYPE_CHECKING:
    from ase import Atoms

WEAKEST = 0.03
"""Spots below this part of the strongest one are not listed: above the ripples of a finite dot's shape."""

_MOST_REFLECTIONS = 40_000
_MOST_WORK = 4e8
_LONGEST_POWDER = 11.0
_PERIODIC_GAP = 8.0
_RIPPLE = 2.0


Indices = tuple[Whole, Whole, Whole]


class LatticePlanes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What diffracts.

    Attributes
    ----------
    hkl
        Indices in the structure's own cell.
    """

    hkl: Indices
    spacing_angstrom: Positive


class PowderLine(LatticePlanes, frozen=True, forbid_unknown_fields=True):
    """One powder line.

    Attributes
    ----------
    two_theta_degree
        2θ at the wavelength asked for, degree.
    intensity
        The strongest line has 100.
    """

    two_theta_degree: Number
    intensity: Number


class Spot(LatticePlanes, frozen=True, forbid_unknown_fields=True):
    """A spot of the projected structure (one of each Friedel pair).

    Attributes
    ----------
    strength
        |F|²/F(000)², dimensionless.
    azimuth_degree
        Angle from the first spot, counted about the zone axis, 0 to 180 degree.
    """

    strength: Number
    azimuth_degree: Number


class _Part(msgspec.Struct, frozen=True):
    name: Word
    powder: tuple[PowderLine, ...]
    spots: tuple[Spot, ...]


class _Between(msgspec.Struct, frozen=True):
    hkl: tuple[Indices, Indices]
    angle_degree: Number


class _FringePhase(msgspec.Struct, frozen=True):
    phase: Word
    can_show: bool | None


class _Fringe(msgspec.Struct, frozen=True):
    spacing_angstrom: Number
    phases: list[_FringePhase]


class DiffractionDocument(ResultDocument, frozen=True, kw_only=True):
    """What ``qdip diffraction`` writes, as far as a page shows it.

    Attributes
    ----------
    path
        The structure.
    two_theta_max_degree, wavelength_angstrom
        Of the powder lines.
    zone
        Axis of the spots.
    parts
        Lines and spots of the whole and of its phases.
    between
        Angle of two spots.
    fringe
        Which phases can show a fringe.
    """

    KIND = COMMAND = "diffraction"
    KNOWN_BY = frozenset({"two_theta_max_degree", "parts", "zone"})

    path: Text
    two_theta_max_degree: Number
    wavelength_angstrom: Positive
    zone: Indices | None
    parts: list[_Part]
    between: _Between | None = None
    fringe: _Fringe | None = None


def powder_pattern(
    atoms: "Atoms", *, wavelength: float = 1.54184, two_theta_max: float = 60.0
) -> tuple[PowderLine, ...]:
    """Powder lines of a periodic structure by pymatgen's XRD calculator, by rising angle, from d = 11 Å downwards.

    Longer spacings are left out: in a box they are the small-angle scattering of a dot's or a hole's shape.

    Raises
    ------
    UsageError
        If the wavelength is not 0.01 to 10 Å, the angle not above 0 and at most 180°, the cell is not
        three-dimensional, or the angle exceeds :func:`largest_angle`.
    """
    _check_wavelength(wavelength)
    if not (math.isfinite(two_theta_max) and 0 < two_theta_max <= 180):
        raise UsageError(f"the largest 2θ is {two_theta_max:g}°; expected more than 0° and at most 180°")
    _check_cell(atoms)
    limit = largest_angle(atoms, wavelength=wavelength)
    if two_theta_max > limit:
        raise UsageError(
            f"a cell of {atoms.get_volume():.0f} Å³ has too many reflections up to 2θ = {two_theta_max:g}°; "
            f"stay at or below {limit:g}°"
        )
    lowest = 2 * math.degrees(math.asin(min(1.0, wavelength / (2 * _LONGEST_POWDER))))
    if lowest >= two_theta_max:
        return ()
    from pymatgen.analysis.diffraction.xrd import XRDCalculator
    from pymatgen.core import Lattice, Structure

    structure = Structure(Lattice(atoms.cell.array), atoms.get_chemical_symbols(), atoms.get_scaled_positions())
    pattern = XRDCalculator(wavelength=wavelength).get_pattern(structure, two_theta_range=(lowest, two_theta_max))
    lines = []
    for angle, intensity, families, spacing in zip(pattern.x, pattern.y, pattern.hkls, pattern.d_hkls, strict=True):
        h, k, l = (int(index) for index in families[0]["hkl"][-3:])  # noqa: E741
        lines.append(PowderLine((h, k, l), float(spacing), float(angle), float(intensity)))
    return tuple(lines)


def largest_angle(atoms: "Atoms", *, wavelength: float = 1.54184) -> float:
    """Largest 2θ (whole degrees, at most 180) up to which a cell has no more than 40,000 reflections."""
    _check_cell(atoms)
    _check_wavelength(wavelength)
    radius = (_MOST_REFLECTIONS / (4 / 3 * math.pi * atoms.get_volume())) ** (1 / 3)
    sine = 0.5 * wavelength * radius
    return 180.0 if sine >= 1 else float(math.floor(2 * math.degrees(math.asin(sine))))


def zone_spots(
    atoms: "Atoms", *, zone: tuple[int, int, int], d_min: float = 1.5, d_max: float = 8.0, weakest: float = WEAKEST
) -> tuple[Spot, ...]:
    """Spots of the structure projected along [uvw]: |Σ Z exp(2πi h·r)|² over the zone's reciprocal net.

    A projection keeps exactly the Fourier coefficients with h·u + k·v + l·w = 0; they are summed over the atoms, which
    is the Fourier transform of an infinitely fine image. Of a body that does not fill its cell (a dot in a box) the
    net samples broad peaks: the strongest point within 2/D is taken, D its diameter, so that the ripples of its
    shape are not spots.

    Parameters
    ----------
    atoms
        Structure in a three-dimensional cell.
    zone
        Direction of the projection, in cell vectors.
    d_min, d_max
        Range of spacings, Å.
    weakest
        Part of the strongest spot below which nothing is listed.

    Returns
    -------
    tuple of Spot
        One of each Friedel pair, the strongest first (then by falling spacing).

    Raises
    ------
    UsageError
        If zone, spacings, threshold or cell make no sense, or there are too many coefficients.
    """
    if not any(zone):
        raise UsageError("the zone axis [0 0 0] is no direction")
    if not (math.isfinite(d_min) and math.isfinite(d_max) and 0.3 <= d_min < d_max):
        raise UsageError(f"spacings from {d_min:g} to {d_max:g} Å: expected 0.3 Å or more, the smaller one first")
    if not (math.isfinite(weakest) and 0 < weakest < 1):
        raise UsageError(f"weakest spot {weakest:g}: expected more than 0 and less than 1")
    _check_cell(atoms)
    inverse = np.linalg.inv(atoms.cell.array).T
    indices = _zone_net(zone, inverse, 1.0 / d_min, len(atoms))
    vectors = indices @ inverse
    lengths = np.linalg.norm(vectors, axis=1)
    kept = (lengths <= (1 + 1e-9) / d_min) & (lengths >= (1 - 1e-9) / d_max)
    indices, vectors, lengths = indices[kept], vectors[kept], lengths[kept]
    strengths = _strengths(atoms, indices)
    order = np.lexsort((*(-indices.T), np.round(lengths, 6), -np.round(strengths, 9)))
    distance = 0.0 if _fills_its_cell(atoms) else _RIPPLE / _diameter(atoms)
    taken: list[int] = []
    for index in order.tolist():
        if strengths[index] < max(weakest * strengths[order[0]], 1e-9):
            break
        others = vectors[taken]
        near = np.minimum(
            np.linalg.norm(others - vectors[index], axis=1), np.linalg.norm(others + vectors[index], axis=1)
        )
        if not len(taken) or near.min() > max(distance, 1e-9):
            taken.append(index)
    if not taken:
        return ()
    axis = np.asarray(zone, dtype=float) @ atoms.cell.array
    axis /= np.linalg.norm(axis)
    first = vectors[taken[0]]
    spots = []
    for index in taken:
        turn = math.atan2(float(np.cross(first, vectors[index]) @ axis), float(first @ vectors[index]))
        h, k, l = (int(number) for number in indices[index])  # noqa: E741
        azimuth = round(math.degrees(turn), 9) % 180.0
        spots.append(Spot((h, k, l), float(1 / lengths[index]), float(strengths[index]), azimuth))
    return tuple(spots)


def spot_angle(one: Spot, other: Spot) -> float:
    """Angle (degree, 0 to 90) between two spots of one pattern; a spot and its Friedel partner are the same."""
    turn = abs(one.azimuth_degree - other.azimuth_degree)
    return min(turn, 180.0 - turn)


def _check_wavelength(wavelength: float) -> None:
    if not (math.isfinite(wavelength) and 0.01 <= wavelength <= 10.0):
        raise UsageError(f"the wavelength is {wavelength:g} Å; expected 0.01 to 10 Å")


def _check_cell(atoms: "Atoms") -> None:
    if len(atoms) == 0 or atoms.cell.rank != 3:
        raise UsageError("diffraction needs atoms in a three-dimensional cell; put a free cluster into a box")


def _zone_net(zone: tuple[int, int, int], inverse: np.ndarray, radius: float, n_atoms: int) -> np.ndarray:
    """All hkl with h·u + k·v + l·w = 0 within the radius, one of each Friedel pair, without 000."""
    cell = np.linalg.inv(inverse).T
    limits = [int(radius * float(np.linalg.norm(row)) + 1e-9) for row in cell]
    solved = max((axis for axis in range(3) if zone[axis]), key=lambda axis: limits[axis])
    free = [axis for axis in range(3) if axis != solved]
    if (2 * limits[free[0]] + 1) * (2 * limits[free[1]] + 1) * n_atoms > _MOST_WORK:
        raise UsageError(
            f"{n_atoms} atoms have too many spots down to {1 / radius:g} Å; name a larger smallest spacing"
        )
    one, two = np.meshgrid(*(np.arange(-limits[axis], limits[axis] + 1) for axis in free), indexing="ij")
    net = np.zeros((one.size, 3), dtype=np.int64)
    net[:, free[0]], net[:, free[1]] = one.ravel(), two.ravel()
    rest = -(net @ np.asarray(zone, dtype=np.int64))
    net = net[rest % zone[solved] == 0]
    net[:, solved] = -(net @ np.asarray(zone, dtype=np.int64)) // zone[solved]
    net = net[np.linalg.norm(net @ inverse, axis=1) <= radius * (1 + 1e-9)]
    h, k, l = net.T  # noqa: E741
    return net[(h > 0) | ((h == 0) & ((k > 0) | ((k == 0) & (l > 0))))]


def _strengths(atoms: "Atoms", indices: np.ndarray) -> np.ndarray:
    places, powers = atoms.get_scaled_positions(wrap=False), atoms.numbers.astype(float)
    found = np.empty(len(indices))
    block = max(1, 4_000_000 // len(atoms))
    for start in range(0, len(indices), block):
        phases = np.exp(2j * np.pi * (indices[start : start + block] @ places.T))
        found[start : start + block] = np.abs(phases @ powers) ** 2
    return found / powers.sum() ** 2


def _fills_its_cell(atoms: "Atoms") -> bool:
    """Whether no direction of the cell has a gap without atoms wider than 8 Å."""
    widths = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    for axis, width in enumerate(widths):
        places = np.sort(atoms.get_scaled_positions(wrap=True)[:, axis])
        if np.diff(np.append(places, places[0] + 1)).max() * width > _PERIODIC_GAP:
            return False
    return True


def _diameter(atoms: "Atoms") -> float:
    """Diameter (Å) of the homogeneous sphere with the same radius of gyration, seen across the widest gaps."""
    fractions = atoms.get_scaled_positions(wrap=True)
    for axis in range(3):
        places = np.sort(fractions[:, axis])
        gaps = np.diff(np.append(places, places[0] + 1))
        start = places[(int(np.argmax(gaps)) + 1) % len(places)]
        fractions[:, axis] = np.mod(fractions[:, axis] - start + 1e-9, 1.0)
    positions = fractions @ atoms.cell.array
    spread = positions - positions.mean(axis=0)
    return max(2 * math.sqrt(5 / 3 * float((spread**2).sum(axis=1).mean())), 1.0)
