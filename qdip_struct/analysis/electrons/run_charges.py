"""Charges of finished run folders: the difference of a group's three density cubes, dipole moments of single runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.analysis.electrons.charge import INTEGRAL_TOLERANCE, charge_difference, planar_profile, radial_profile
from qdip_struct.analysis.electrons.dipole import (
    LEAST_GAP,
    density_dipole,
    potential_step,
    transfer_dipole,
    valence_charges,
)
from qdip_struct.analysis.electrons.potential import vacuum_levels, widest_gap
from qdip_struct.base.errors import DataError
from qdip_struct.cp2k.outputs.cube import Cube, check_cell, read_cube
from qdip_struct.cp2k.outputs.sidefiles import side_files

if TYPE_CHECKING:
    from qdip_struct.cp2k.outputs.run import Run

DENSITY = "ELECTRON_DENSITY"
HARTREE = "v_hartree"


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
        shells = radial_profile(found.cube, centre=np.asarray(centre_angstrom, dtype=float), width=shell_angstrom)
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
