"""Dipole moments of slabs and dots from the electron density and the valence charges of the ions.

Electrons count negative and a moment points from − to +. It is taken along cell vectors across which the cell has a
vacuum: the cut lies in the middle of that vacuum, so the moment of a neutral body does not depend on the origin. What
CP2K prints for a periodic cell is a Berry-phase moment at Γ, defined only up to e times a cell vector; for a thick
slab it is another number than the one here, which is the one that makes the step of the potential.

The documents of ``qdip dipole`` and ``qdip charge-difference`` are made here from run folders: the moment of one run,
and the difference of the three density cubes of a group. Moments in e·Å, potentials in eV.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from qdip_struct.analysis.electrons.charge import (
    INTEGRAL_TOLERANCE,
    ChargeProfile,
    charge_difference,
    planar_profile,
    radial_charge,
)
from qdip_struct.analysis.electrons.potential import vacuum_levels, widest_gap
from qdip_struct.base import units
from qdip_struct.base.documents import Number, ResultDocument, Word
from qdip_struct.base.errors import DataError, MismatchError, UsageError
from qdip_struct.cp2k.outputs.cube import Cube, check_cell, integral, read_cube
from qdip_struct.cp2k.outputs.trajectory import side_files

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.cp2k.outputs.run import Run

LEAST_GAP = 8.0
"""Å between atoms across the boundary that make a vacuum wide enough to cut the density in."""
ELECTRON_TOLERANCE = 0.02
"""Largest relative error of the electron count of a cube that is scaled away before its moment is taken."""

_VALENCE = re.compile(r"-q(\d+)$", re.IGNORECASE)
_COULOMB_EV_ANGSTROM = units.EV_PER_HARTREE * units.ANGSTROM_PER_BOHR


@dataclass(frozen=True, eq=False)
class Dipole:
    """Moment of a neutral body and what it was made from.

    Attributes
    ----------
    moment_e_angstrom
        (3,) Σ Zᵢ rᵢ − ∫ρ r dV, e·Å: from the negative to the positive side.
    axes
        Cell vectors it was taken along; along the others the body goes on and the component is 0 by definition.
    cut_angstrom
        Height of the cut along the normal of each of ``axes``, Å.
    electrons
        ∫ρ dV of the cube before it was scaled to ``ionic_charge_e``.
    ionic_charge_e
        Sum of the ions' valence charges minus the charge of the cell, e.
    """

    moment_e_angstrom: np.ndarray
    axes: tuple[int, ...]
    cut_angstrom: tuple[float, ...]
    electrons: float
    ionic_charge_e: float

    @property
    def moment_debye(self) -> np.ndarray:
        """The moment (3,) in debye; 1 e·Å = 4.80320 D."""
        moment: np.ndarray = self.moment_e_angstrom * units.DEBYE_PER_E_ANGSTROM
        return moment


def valence_charges(atoms: "Atoms", *, potentials: Mapping[str, str]) -> np.ndarray:
    """Charge (n,) in e of each ion, from the names of the GTH potentials (``GTH-PBE-q4``); ghosts carry none.

    Parameters
    ----------
    atoms
        Structure.
    potentials
        Kind → name of its potential, as CP2K printed it. A kind counts for its element (``Pb1`` for Pb).

    Raises
    ------
    DataError
        If an element has no potential, or the name does not say the charge.
    """
    known: dict[str, int] = {}
    for kind, name in sorted(potentials.items()):
        found = _VALENCE.search(name)
        if found:
            known[re.sub(r"[^A-Za-z].*$", "", kind).capitalize()] = int(found[1])
    missing = sorted({symbol for symbol in atoms.get_chemical_symbols() if symbol not in known and symbol != "X"})
    if missing:
        raise DataError(
            f"no valence charge for {', '.join(missing)}: expected a potential whose name ends in -qN, as GTH-PBE-q4"
        )
    return np.array([known.get(symbol, 0) for symbol in atoms.get_chemical_symbols()], dtype=float)


def density_dipole(cube: Cube, *, charges: np.ndarray, axes: tuple[int, ...] = (2,)) -> Dipole:
    """p = Σ Zᵢ rᵢ − ∫ ρ(r) r dV along the cell vectors ``axes``, cut in the middle of their vacuum.

    Parameters
    ----------
    cube
        Electron density, e/bohr³.
    charges
        (n,) valence charges of the cube's atoms, e.
    axes
        Cell vectors to take it along: ``(2,)`` for a slab, ``(0, 1, 2)`` for a dot in a box.

    Raises
    ------
    UsageError
        If an axis is not 0, 1 or 2, or the charges do not fit the atoms.
    DataError
        If there is less than 8 Å between atoms along one of the axes: the body has no moment along it.
    MismatchError
        If the cell is not neutral, or the cube's electrons are more than 2 % off (a stride that is too coarse).
    """
    chosen = tuple(sorted(set(axes)))
    if not chosen or not set(chosen) <= {0, 1, 2}:
        raise UsageError(f"axes {axes}: expected some of 0, 1 and 2")
    places = np.asarray(charges, dtype=float)
    if places.shape != (len(cube.atoms),):
        raise UsageError(f"{len(places)} charges for the {len(cube.atoms)} atoms of {cube.path}")
    electrons, ionic = integral(cube), float(places.sum())
    if ionic <= 0 or abs(electrons - ionic) > ELECTRON_TOLERANCE * ionic:
        raise MismatchError(
            f"{cube.path} holds {electrons:.4f} electrons and its ions {ionic:.4f} e: a dipole moment needs a neutral "
            "cell and a density on a fine grid (STRIDE 1 or 2)"
        )
    fractions = cube.atoms.positions @ np.linalg.inv(cube.cell)
    origin = cube.origin @ np.linalg.inv(cube.cell)
    moment, cuts = np.zeros(3), []
    for axis in chosen:
        below, gap = widest_gap(cube, axis=axis)
        if gap < LEAST_GAP:
            raise DataError(
                f"{cube.path}: {gap:.1f} Å between atoms along cell vector {'abc'[axis]}; a dipole moment along it "
                f"needs a vacuum of {LEAST_GAP:g} Å"
            )
        normal = np.linalg.inv(cube.cell)[:, axis]
        length = 1 / float(np.linalg.norm(normal))
        cut = (below + 0.5 * gap) / length
        count = cube.values.shape[axis]
        grid = np.mod(origin[axis] + np.arange(count) / count - cut, 1.0)
        planes = cube.values.sum(axis=tuple(i for i in range(3) if i != axis)) * cube.voxel_bohr3
        ions = np.mod(fractions[:, axis] - cut, 1.0)
        along = float(places @ ions) - float(planes @ grid) * ionic / electrons
        moment += along * cube.cell[axis]
        cuts.append(float(cut % 1.0 * length))
    if len(chosen) == 1:
        unit = np.linalg.inv(cube.cell)[:, chosen[0]]
        unit = unit / np.linalg.norm(unit)
        moment = (moment @ unit) * unit
    return Dipole(moment, chosen, tuple(cuts), electrons, ionic)


def potential_step(moment_e_angstrom: float, *, area_angstrom2: float) -> float:
    """ΔV = −p/(ε₀A) in eV: potential energy of an electron above a slab minus that below it.

    Raises
    ------
    UsageError
        If the area is not positive and finite.
    """
    if not (np.isfinite(area_angstrom2) and area_angstrom2 > 0):
        raise UsageError(f"area {area_angstrom2:g} Å²: expected more than 0")
    return -4 * np.pi * _COULOMB_EV_ANGSTROM * moment_e_angstrom / area_angstrom2


def transfer_dipole(profile: ChargeProfile, *, cut_angstrom: float) -> float:
    """−∫ Δλ(z) z dz in e·Å: what the displaced charge adds to the moment along the normal.

    Parameters
    ----------
    profile
        Planar charge difference.
    cut_angstrom
        Height in the vacuum where the period is opened.
    """
    length = profile.step_angstrom * len(profile.heights_angstrom)
    heights = np.mod(profile.heights_angstrom - cut_angstrom, length)
    balanced = profile.linear_density - profile.linear_density.mean()
    return -float(balanced @ heights) * profile.step_angstrom


DENSITY = "ELECTRON_DENSITY"
HARTREE = "v_hartree"


class _Planar(msgspec.Struct, frozen=True):
    axis: Word
    height_angstrom: list[Number]
    linear_density_e_per_angstrom: list[Number]


class _Radial(msgspec.Struct, frozen=True):
    outer_radius_angstrom: list[Number]
    density_e_per_angstrom3: list[Number]


class DifferenceDocument(ResultDocument, frozen=True, kw_only=True):
    """What :func:`difference_document` gives and ``qdip charge-difference`` writes, as far as a page shows it.

    Attributes
    ----------
    planar, radial
        Δρ summed over planes, e/Å against height, and its mean over shells, e/Å³ against radius.
    displaced_e, integral_e, balanced
        ½∫|Δρ|dV and ∫Δρ dV, e, and whether the latter is small.
    transfer_dipole_e_angstrom, transfer_step_ev
        Dipole along the normal, e·Å, and the step of the potential that it makes, eV.
    """

    KIND = COMMAND = "charge-difference"
    KNOWN_BY = frozenset({"planar", "displaced_e", "integral_e"})

    planar: _Planar
    radial: _Radial | None
    displaced_e: Number
    integral_e: Number
    balanced: bool
    transfer_dipole_e_angstrom: Number | None = None
    transfer_step_ev: Number | None = None

    def __post_init__(self) -> None:
        planar, radial = self.planar, self.radial
        if len(planar.height_angstrom) != len(planar.linear_density_e_per_angstrom):
            raise ValueError("planar.height_angstrom and planar.linear_density_e_per_angstrom have different lengths")
        if radial is not None and len(radial.outer_radius_angstrom) != len(radial.density_e_per_angstrom3):
            raise ValueError("radial.outer_radius_angstrom and radial.density_e_per_angstrom3 have different lengths")


def difference_document(
    whole: Cube,
    *,
    first: Cube,
    second: Cube,
    axis: int = 2,
    centre_angstrom: Sequence[float] | None = None,
    shell_angstrom: float = 0.2,
) -> dict[str, Any]:
    """Δρ = ρ_AB − ρ_A − ρ_B as the document of ``qdip charge-difference``.

    Parameters
    ----------
    whole, first, second
        Densities of AB, A and B.
    axis
        Cell vector across the planes.
    centre_angstrom, shell_angstrom
        Centre (3,) and width of radial shells, Å; no shells without a centre.

    Raises
    ------
    MismatchError
        If the cubes do not belong together.
    """
    found = charge_difference(whole, first=first, second=second)
    profile = planar_profile(found.cube, axis=axis)
    below, gap = widest_gap(whole, axis=axis)
    moved = transfer_dipole(profile, cut_angstrom=below + 0.5 * gap) if gap >= LEAST_GAP else None
    step = None if moved is None else potential_step(moved, area_angstrom2=profile.area_angstrom2)
    radial = None
    if centre_angstrom is not None:
        shells = radial_charge(found.cube, centre=np.asarray(centre_angstrom, dtype=float), width=shell_angstrom)
        radial = {
            "centre_angstrom": shells.centre_angstrom,
            "outer_radius_angstrom": shells.radii_angstrom,
            "density_e_per_angstrom3": shells.density,
            "shell_e": shells.shell_e,
            "accumulated_e": shells.accumulated_e,
        }
    return {
        "electrons": dict(zip(("AB", "A", "B"), found.electrons, strict=True)),
        "integral_e": found.integral_e,
        "integral_tolerance_e": INTEGRAL_TOLERANCE,
        "balanced": found.balanced,
        "displaced_e": found.displaced_e,
        "transfer_dipole_e_angstrom": moved,
        "transfer_step_ev": step,
        "planar": {
            "axis": "abc"[axis],
            "area_angstrom2": profile.area_angstrom2,
            "step_angstrom": profile.step_angstrom,
            "height_angstrom": profile.heights_angstrom,
            "linear_density_e_per_angstrom": profile.linear_density,
            "accumulated_e": profile.accumulated_e,
        },
        "radial": radial,
    }


def dipole_document(folder: Path, run: "Run", *, axes: tuple[int, ...] = (2,)) -> dict[str, Any]:
    """Dipole moment of a run's slab or dot from its density cube, beside what CP2K printed.

    ``printed_debye`` is CP2K's own line, a Berry-phase moment for a periodic cell; ``vacuum_step_ev`` is the upper
    minus the lower vacuum level of the Hartree cube, which ``potential_step_ev`` of the moment has to meet.

    Raises
    ------
    DataError
        If the SCF did not converge, or there is neither a density cube nor a printed moment.
    MismatchError
        If the cube is not the run's.
    """
    if run.scf_converged is not True:
        raise DataError(f"{folder}: its last SCF did not converge ({run.reason}); its density means nothing")
    cubes = side_files(run).cubes
    if DENSITY not in cubes and run.dipole_debye is None:
        raise DataError(
            f"{folder} holds neither a density cube nor a printed moment; ask for them with 'qdip inputs --print "
            "density --print moments'"
        )
    document: dict[str, Any] = {
        "path": folder,
        "printed_debye": run.dipole_debye,
        "printed_meaning": None
        if run.dipole_debye is None
        else "CP2K's line 'Dipole moment [Debye]'; in a periodic cell a Berry-phase moment, defined up to e times a "
        "cell vector",
        "density": None,
        "vacuum_step_ev": None,
    }
    if DENSITY in cubes:
        cube = read_cube(cubes[DENSITY])
        if run.cell is not None:
            check_cell(cube, cell=run.cell)
        charges = valence_charges(cube.atoms, potentials=run.settings.potential)
        found = density_dipole(cube, charges=charges, axes=axes)
        area = abs(float(np.linalg.det(cube.cell))) * float(np.linalg.norm(np.linalg.inv(cube.cell)[:, axes[0]]))
        normal = np.linalg.inv(cube.cell)[:, axes[0]]
        along = float(found.moment_e_angstrom @ normal / np.linalg.norm(normal))
        document["density"] = {
            "axes": ["abc"[axis] for axis in found.axes],
            "moment_e_angstrom": found.moment_e_angstrom,
            "moment_debye": found.moment_debye,
            "cut_angstrom": list(found.cut_angstrom),
            "electrons": found.electrons,
            "ionic_charge_e": found.ionic_charge_e,
            "potential_step_ev": potential_step(along, area_angstrom2=area) if len(axes) == 1 else None,
        }
    if HARTREE in cubes and len(axes) == 1:
        sides = {level.side: level for level in vacuum_levels(read_cube(cubes[HARTREE]), axis=axes[0])}
        if len(sides) == 2 and all(level.flat for level in sides.values()):
            document["vacuum_step_ev"] = sides["upper"].level_ev - sides["lower"].level_ev
    return document
