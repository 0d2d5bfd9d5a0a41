"""Electrostatic potentials of slabs: the vacuum on both sides, its levels, work functions, plateaus.

CP2K's Hartree cube is the potential energy of an electron (hartree, low at the nuclei): what is read here in eV lies on
the scale of the run's one-electron levels.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from qdip_struct.base import units
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.cp2k.outputs.cube import Cube, Profile, macroscopic_average, planar_average

SURFACE_MARGIN = 3.5
"""Å above the outermost atom where the vacuum begins."""
MIDDLE_MARGIN = 1.0
"""Å kept from the middle of the vacuum, where a dipole correction makes its step."""
FLAT_EV = 0.05
"""Largest difference of the potential inside the window of a vacuum level."""
_LEAST_GAP = 12.0


@dataclass(frozen=True)
class VacuumLevel:
    """Potential energy of an electron in the vacuum beside one surface.

    Attributes
    ----------
    side
        "upper" is the surface whose outward normal points along the axis.
    spread_ev
        Largest − smallest there, eV.
    """

    side: Literal["upper", "lower"]
    level_ev: float
    spread_ev: float

    @property
    def flat(self) -> bool:
        """Whether the window is a plateau; a ramp means a field through the vacuum (no dipole correction)."""
        return self.spread_ev <= FLAT_EV


Alignment = Literal["I", "II", "III"]


@dataclass(frozen=True)
class BandAlignment:
    """Edges of two materials on one scale.

    Attributes
    ----------
    kind
        I: one gap inside the other; II: staggered; III: broken, the gaps do not overlap.
    valence_offset_ev, conduction_offset_ev
        Second − first, eV.
    """

    kind: Alignment
    valence_offset_ev: float
    conduction_offset_ev: float


def hartree_profile(cube: Cube, *, axis: int = 2, periods_angstrom: tuple[float, ...] = ()) -> Profile:
    """Planar average of a Hartree cube in eV, averaged over the periods of the layers if they are given.

    Raises
    ------
    DataError
        If the title of the cube does not say that it holds a potential.
    UsageError
        If axis or period make no sense.
    """
    if "POTENTIAL" not in cube.title.upper() and "HARTREE" not in cube.title.upper():
        raise DataError(f"{cube.path} holds '{cube.title}'; expected a Hartree potential")
    plain = planar_average(cube, axis=axis)
    found = macroscopic_average(plain, periods_angstrom=periods_angstrom)
    return Profile(found.heights_angstrom, found.values * units.EV_PER_HARTREE, found.length_angstrom)


def vacuum_levels(cube: Cube, *, axis: int = 2) -> tuple[VacuumLevel, ...]:
    """Potential beside both surfaces of a slab: upper, then lower; empty when no gap between atoms reaches 12 Å.

    The window of each side reaches from 3.5 Å beyond the outermost atom to 1 Å before the middle of the vacuum.
    """
    profile = hartree_profile(cube, axis=axis)
    top, gap = widest_gap(cube, axis=axis)
    if gap < _LEAST_GAP:
        return ()
    above = np.mod(profile.heights_angstrom - top, profile.length_angstrom)
    found = []
    for side, distance in (("upper", above), ("lower", np.mod(gap - above, profile.length_angstrom))):
        window = profile.values[(distance >= SURFACE_MARGIN) & (distance <= 0.5 * gap - MIDDLE_MARGIN)]
        if len(window) < 2:
            return ()
        name: Literal["upper", "lower"] = "upper" if side == "upper" else "lower"
        found.append(VacuumLevel(name, float(window.mean()), float(np.ptp(window))))
    return tuple(found)


def widest_gap(cube: Cube, *, axis: int = 2) -> tuple[float, float]:
    """Height (Å) of the atom below the widest gap between atoms along the normal, and the gap's width (Å).

    Raises
    ------
    UsageError
        If ``axis`` is not 0, 1 or 2.
    DataError
        If the cube holds no atoms.
    """
    if axis not in (0, 1, 2):
        raise UsageError(f"axis {axis}: expected 0, 1 or 2")
    if len(cube.atoms) == 0:
        raise DataError(f"{cube.path} holds no atoms")
    across = np.cross(cube.cell[(axis + 1) % 3], cube.cell[(axis + 2) % 3])
    normal = across / np.linalg.norm(across) * np.sign(across @ cube.cell[axis])
    length = float(cube.cell[axis] @ normal)
    heights = np.sort(np.mod(cube.atoms.positions @ normal, length))
    gaps = np.diff(np.append(heights, heights[0] + length))
    widest = int(np.argmax(np.round(gaps, 6)))
    return float(heights[widest]), float(gaps[widest])


def band_alignment(
    *, potentials_ev: tuple[float, float], valence_edges_ev: tuple[float, float], gaps_ev: tuple[float, float]
) -> BandAlignment:
    """Align two bulk band structures: E_v = V̿ + (E_v − V̄)_bulk, E_c = E_v + gap, for both materials.

    Source: Van de Walle, Martin, Phys. Rev. B 35, 8154 (1987), 10.1103/PhysRevB.35.8154.

    Parameters
    ----------
    potentials_ev
        Macroscopically averaged Hartree potential V̿ of each material in the joint cell, eV.
    valence_edges_ev
        Valence edge of each bulk above its own mean Hartree potential, eV.
    gaps_ev
        Band gaps, eV, not negative.

    Raises
    ------
    UsageError
        If a number is not finite or a gap is negative.
    """
    if not np.isfinite([*potentials_ev, *valence_edges_ev, *gaps_ev]).all() or min(gaps_ev) < 0:
        raise UsageError("a band alignment needs finite potentials and edges and gaps that are not negative, in eV")
    valence = [potential + edge for potential, edge in zip(potentials_ev, valence_edges_ev, strict=True)]
    conduction = [edge + gap for edge, gap in zip(valence, gaps_ev, strict=True)]
    v, c = (round(pair[1] - pair[0], 9) + 0.0 for pair in (valence, conduction))
    kind: Alignment = "I" if v * c <= 0 else "II"
    if max(valence) > min(conduction):
        kind = "III"
    return BandAlignment(kind, v, c)


@dataclass(frozen=True)
class LayerPotential:
    """Averaged potential in the middle of a material.

    Attributes
    ----------
    potential_ev
        Half-way between its outermost atoms, eV.
    height_angstrom
        Where that is, Å above the origin of the cell.
    thickness_angstrom
        Between its outermost atoms, Å.
    spread_ev
        Largest − smallest value where the averaging window does not leave the material, eV; ``None`` when it always
        does.
    """

    potential_ev: float
    height_angstrom: float
    thickness_angstrom: float
    spread_ev: float | None


def layer_potential(
    profile: Profile, *, positions: np.ndarray, cell: np.ndarray, axis: int = 2, window_angstrom: float
) -> LayerPotential:
    """Read a macroscopic average in the middle of the layers of one material.

    Parameters
    ----------
    profile
        Averaged potential in eV along ``axis``, periodic.
    positions
        (n, 3) Å of its atoms; they may cross the border of the cell.
    cell
        (3, 3) Å, rows.
    axis
        Cell vector across the layers.
    window_angstrom
        Sum of the periods averaged over, Å.
    """
    column = np.linalg.inv(cell)[:, axis]
    length = profile.length_angstrom
    heights = np.sort(np.mod(np.asarray(positions) @ column, 1.0)) * length
    gaps = np.diff(np.append(heights, heights[0] + length))
    start = heights[(int(np.argmax(np.round(gaps, 6))) + 1) % len(heights)]
    thickness = float(np.mod(heights - start + 1e-9, length).max())
    middle = float((start + 0.5 * thickness) % length)
    reach = 0.5 * (thickness - window_angstrom)
    spread = None
    if reach > 0.01 * length:
        inner = middle + np.linspace(-reach, reach, 201)
        spread = float(np.ptp(np.interp(inner, profile.heights_angstrom, profile.values, period=length)))
    value = float(np.interp(middle, profile.heights_angstrom, profile.values, period=length))
    return LayerPotential(value, middle, thickness, spread)
