"""Planes: Miller indices read and written, spacings, angles, the zone law, and which reflections a phase can show.

Indices are those of the crystal's conventional cell, or of the parent pseudo-cubic cube where a function says so.
Spacings in Å, angles in degree.
"""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.ions import FORMULA_MOLECULES, IONS

Plane = tuple[int, int, int]

PARENT_VECTORS: dict[str, tuple[Plane, Plane, Plane]] = {
    "tetragonal": ((1, 1, 0), (-1, 1, 0), (0, 0, 2)),
    "gamma": ((1, 0, -1), (0, 2, 0), (1, 0, 1)),
}
"""Rows a, b, c of the perovskite cell in vectors of the parent pseudo-cubic cube (I4/mcm, Pnma with b ≈ 2a_pc)."""


def parse_plane(text: str) -> Plane:
    """Miller indices from ``100``, ``1-10``, ``1 -1 0``, ``(1,-1,0)``; four-index (hkil) is accepted when i = −h − k.

    Raises
    ------
    UsageError
        If the text is not three (or four) integers, or all are zero.
    """
    body = text.strip().strip("()[]{}").strip()
    parts = re.split(r"[\s,]+", body) if re.search(r"[\s,]", body) else re.findall(r"-?\d", body)
    if not re.fullmatch(r"[-\d\s,]+", body or "x") or not all(re.fullmatch(r"-?\d+", part) for part in parts):
        raise UsageError(f"cannot read the plane '{text}'; expected for example 100, 1-10 or '1 -1 0'")
    values = [int(part) for part in parts]
    if "".join(parts) != re.sub(r"[\s,]+", "", body):
        raise UsageError(f"cannot read the plane '{text}'; expected for example 100, 1-10 or '1 -1 0'")
    if len(values) == 4 and values[2] == -values[0] - values[1]:
        values = [values[0], values[1], values[3]]
    if len(values) != 3 or not any(values):
        raise UsageError(f"the plane '{text}' needs three indices that are not all zero")
    return (values[0], values[1], values[2])


def plane_text(plane: Sequence[int | Fraction]) -> str:
    """Indices in round brackets: ``(1 -1 0)``, or ``(100)`` when each is a single digit without sign."""
    words = [str(index) for index in plane]
    return f"({''.join(words)})" if all(len(word) == 1 for word in words) else f"({' '.join(words)})"


def pseudocubic_plane(crystal: Crystal, *, plane: Plane) -> Plane | None:
    """The same plane in indices of the parent pseudo-cubic cube, smallest integers; ``None`` without a parent.

    h_i = Σ_j P_ij·h_j^pc with the rows P of :data:`PARENT_VECTORS`: (110) of I4/mcm is (010) of the cube.
    """
    parent = _parent(crystal)
    if parent is None:
        return None
    indices = np.linalg.solve(np.array(parent, dtype=float), np.array(plane, dtype=float))
    return _smallest([Fraction(float(value)).limit_denominator(24) for value in indices])


def pseudocubic_direction(crystal: Crystal, *, uvw: Sequence[Fraction | int]) -> tuple[Fraction, ...] | None:
    """The same direction in vectors of the parent cube (not reduced: its length stays); ``None`` without a parent."""
    parent = _parent(crystal)
    if parent is None:
        return None
    return tuple(
        sum((Fraction(u) * row[axis] for u, row in zip(uvw, parent, strict=True)), Fraction(0)) for axis in range(3)
    )


def _parent(crystal: Crystal) -> tuple[Plane, Plane, Plane] | None:
    return PARENT_VECTORS.get(crystal.phase) if crystal.structure_type == "perovskite" else None


def _smallest(values: Sequence[Fraction]) -> Plane:
    scale = math.lcm(*(value.denominator for value in values))
    whole = [int(value * scale) for value in values]
    divisor = math.gcd(*whole) or 1
    return (whole[0] // divisor, whole[1] // divisor, whole[2] // divisor)


_FORBIDDEN = 1e-12


@dataclass(frozen=True)
class Reflection:
    """A family of equivalent planes, named by its member with the largest indices.

    Attributes
    ----------
    multiplicity
        Planes in the family (Friedel pairs counted).
    strength
        \\|F\\|² per electron² of the cell, point scatterers at zero angle: 0 for a forbidden reflection, 1 when every
        electron scatters in phase.
    """

    plane: Plane
    spacing_angstrom: float
    multiplicity: int
    strength: float

    @property
    def allowed(self) -> bool:
        """Whether the structure factor is not zero by symmetry."""
        return self.strength > _FORBIDDEN


def d_spacing(crystal: Crystal, *, plane: Plane) -> float:
    """d = 1/\\|h·a* + k·b* + l·c*\\| (Å) in the conventional cell."""
    return 1.0 / float(np.linalg.norm(_reciprocal(crystal, plane)))


def plane_angle(crystal: Crystal, *, one: Plane, other: Plane) -> float:
    """Angle (degree, 0 to 180) between the normals of two planes."""
    p, q = _reciprocal(crystal, one), _reciprocal(crystal, other)
    return math.degrees(math.atan2(float(np.linalg.norm(np.cross(p, q))), float(np.dot(p, q))))


def zone_product(plane: Sequence[int], *, zone: Sequence[int]) -> int:
    """h·u + k·v + l·w: zero exactly when the plane belongs to the zone [uvw] (Weiss).

    Raises
    ------
    UsageError
        If one of them does not have three indices.
    """
    if len(plane) != 3 or len(zone) != 3:
        raise UsageError("a plane and a zone have three indices each")
    return sum(int(h) * int(u) for h, u in zip(plane, zone, strict=True))


def check_zone(plane: Plane, *, zone: Plane) -> None:
    """Refuse a plane that does not belong to the zone axis.

    Raises
    ------
    UsageError
        If h·u + k·v + l·w is not zero; the message proposes the sign change that mends it, if one does.
    """
    product = zone_product(plane, zone=zone)
    if product == 0:
        return
    hint = ""
    for signs in itertools.product((1, -1), repeat=3):
        flipped = (zone[0] * signs[0], zone[1] * signs[1], zone[2] * signs[2])
        if zone_product(plane, zone=flipped) == 0:
            hint = f"; it belongs to [{' '.join(map(str, flipped))}]"
            break
    raise UsageError(
        f"the plane {plane_text(plane)} does not belong to the zone [{' '.join(map(str, zone))}]: "
        f"h·u + k·v + l·w = {product}, not 0{hint}"
    )


def reflections(crystal: Crystal, *, d_min: float) -> tuple[Reflection, ...]:
    """Every family of planes with d ≥ ``d_min`` (Å), allowed or not, by falling spacing.

    Planes are one family when spacing and strength agree.

    Raises
    ------
    UsageError
        If ``d_min`` is below 0.5 Å or not finite.
    """
    if not (math.isfinite(d_min) and d_min >= 0.5):
        raise UsageError(f"the smallest spacing is {d_min:g} Å; expected 0.5 Å or more")
    inverse = np.linalg.inv(crystal.cell).T
    limits = [int(float(np.linalg.norm(row)) / d_min) for row in crystal.cell]
    axes = [np.arange(-limit, limit + 1) for limit in limits]
    planes = np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)
    planes = planes[np.any(planes != 0, axis=1)]
    spacings = 1.0 / np.linalg.norm(planes @ inverse, axis=1)
    kept = spacings >= d_min * (1.0 - 1e-9)
    planes, spacings = planes[kept], spacings[kept]
    strengths = structure_strengths(crystal, planes=planes)
    families: dict[tuple[float, float], list[int]] = {}
    for index in range(len(planes)):
        families.setdefault((round(-float(spacings[index]), 5), round(-float(strengths[index]), 12)), []).append(index)
    found = []
    for key in sorted(families):
        members = families[key]
        best = max((tuple(int(x) for x in planes[i]) for i in members), key=lambda p: (min(p), p))
        found.append(
            Reflection((best[0], best[1], best[2]), float(spacings[members[0]]), len(members), max(0.0, -key[1]))
        )
    return tuple(found)


def structure_strengths(crystal: Crystal, *, planes: NDArray[np.int64]) -> NDArray[np.float64]:
    """\\|F(hkl)\\|²/F(000)² of (n, 3) planes, with the electrons of each site (of a mixed one their mean) as points.

    Raises
    ------
    UsageError
        If a species has no number of electrons.
    """
    ions = [crystal.ions_on(site) for site in crystal.sites]
    unknown = next((name for shares in ions for name in shares if name not in IONS), None)
    if unknown is not None:
        raise UsageError(f"no scattering power is known for '{unknown}' of {crystal.name}")
    electrons = {name: IONS[name].scattering_electrons for shares in ions for name in shares}
    weights = np.array([sum(share * electrons[name] for name, share in shares.items()) for shares in ions])
    positions = np.array([site.position for site in crystal.sites])
    phase = np.exp(2j * np.pi * (np.asarray(planes, dtype=float) @ positions.T))
    strength: NDArray[np.float64] = np.abs(phase @ weights) ** 2 / weights.sum() ** 2
    return strength


def is_allowed(crystal: Crystal, *, plane: Plane) -> bool:
    """Whether a reflection can appear: (011) of rock salt cannot, (011) of the cubic perovskite can."""
    return bool(structure_strengths(crystal, planes=np.array([plane]))[0] > _FORBIDDEN)


def explain_spacing(crystal: Crystal, *, spacing: float, tolerance: float = 0.05) -> tuple[Reflection, ...]:
    """Families of a crystal whose spacing is within ``tolerance`` (Å) of a measured fringe, forbidden ones included.

    Raises
    ------
    UsageError
        If the spacing or the tolerance is not positive.
    """
    for what, value in (("spacing", spacing), ("tolerance", tolerance)):
        if not (math.isfinite(value) and value > 0.0):
            raise UsageError(f"the {what} is {value:g} Å; expected a positive length")
    found = reflections(crystal, d_min=max(0.5, spacing - tolerance))
    return tuple(r for r in found if abs(r.spacing_angstrom - spacing) <= tolerance * (1.0 + 1e-9))


def powder_lines(
    crystal: Crystal, *, wavelength: float = 1.54184, two_theta_max: float = 60.0
) -> tuple[tuple[Plane, float, float, float], ...]:
    """Powder lines by pymatgen's XRD calculator: plane, d (Å), 2θ (degree), intensity (strongest = 100).

    A molecular ion is taken as a nitrogen atom at its centre.

    Raises
    ------
    UsageError
        If the wavelength is not between 0.01 and 10 Å.
    """
    if not (math.isfinite(wavelength) and 0.01 <= wavelength <= 10.0):
        raise UsageError(f"the wavelength is {wavelength:g} Å; expected 0.01 to 10 Å")
    from pymatgen.analysis.diffraction.xrd import XRDCalculator
    from pymatgen.core import Lattice, Structure

    species = []
    for site in crystal.sites:
        atoms: dict[str, float] = {}
        for name, share in crystal.ions_on(site).items():
            atom = "N" if name in FORMULA_MOLECULES else name
            atoms[atom] = atoms.get(atom, 0.0) + share
        species.append(atoms)
    structure = Structure(Lattice(crystal.cell), species, [site.position for site in crystal.sites])
    pattern = XRDCalculator(wavelength=wavelength).get_pattern(structure, two_theta_range=(0.0, two_theta_max))
    lines = []
    for angle, intensity, families, spacing in zip(pattern.x, pattern.y, pattern.hkls, pattern.d_hkls, strict=True):
        h, k, l = (int(index) for index in families[0]["hkl"][:3])  # noqa: E741
        lines.append(((h, k, l), float(spacing), float(angle), float(intensity)))
    return tuple(lines)


def _reciprocal(crystal: Crystal, plane: Plane) -> NDArray[np.float64]:
    if len(plane) != 3 or not any(plane):
        raise UsageError(f"the plane {plane_text(plane)} needs three indices that are not all zero")
    vector: NDArray[np.float64] = np.array(plane, dtype=float) @ np.linalg.inv(crystal.cell).T
    return vector
