"""What a run may cost, as an estimate with its range: core-hours and memory from timings of small cells.

Fitted to CP2K 2023.1 on one core: OT at Γ for 8, 64 and 216 atoms of PbS (0.9, 5.9, 39.5 s and 0.2, 0.7, 2.6 GB per
SCF step), and k-point cells of 2 to 20 atoms with and without vacuum. Beyond a few hundred atoms it is an
extrapolation: believe it within a factor of three either way.
"""

from dataclasses import dataclass

import numpy as np
from msgspec import UNSET

from qdip_struct.base.errors import DataError
from qdip_struct.cp2k.tasks import TASKS
from qdip_struct.runs.rundir import RunRecord

UNCERTAINTY = 3.0
FIRST_SCF_STEPS = 28
SCF_STEPS_LATER = 12
_ELECTRONS_PER_ATOM = 5.0
_OT_SECONDS, _OT_GIGABYTES, _OT_ATOMS = 39.5, 2.6, 216.0
_OT_TIME_EXPONENT, _OT_MEMORY_EXPONENT = 2.4, 1.65
_GRID_SECONDS_PER_ANGSTROM3, _DIAGONALISATION_SECONDS = 0.004, 0.027


@dataclass(frozen=True)
class Cost:
    """What a run may cost; estimates, good to a factor of three.

    Attributes
    ----------
    core_hours, core_hours_per_scf_step
        For the whole run and for one SCF step, h.
    """

    core_hours: float
    core_hours_per_scf_step: float
    memory_gb: float

    @property
    def range_core_hours(self) -> tuple[float, float]:
        """Lower and upper end of the estimate."""
        return self.core_hours / UNCERTAINTY, self.core_hours * UNCERTAINTY


def estimate(
    *, n_electrons: int, volume: float, mesh: tuple[int, int, int] | None, cutoff: float, geometry_steps: int = 0
) -> Cost:
    """Estimate a run.

    Parameters
    ----------
    n_electrons
        Valence electrons; 5 an atom in PbS, which the timings are from.
    volume
        Volume of the cell, Å³, vacuum included.
    mesh
        Monkhorst-Pack mesh, ``None`` for Γ with OT.
    cutoff
        Plane-wave cutoff, Ry; the grid grows with its power 3/2.
    geometry_steps
        How many geometries follow the first, each from the orbitals of the one before.
    """
    atoms = n_electrons / _ELECTRONS_PER_ATOM
    grid = (cutoff / 300.0) ** 1.5
    if mesh is None:
        seconds = _OT_SECONDS * (atoms / _OT_ATOMS) ** _OT_TIME_EXPONENT
        seconds = max(seconds, _GRID_SECONDS_PER_ANGSTROM3 * volume * grid)
        memory = max(0.3, _OT_GIGABYTES * (atoms / _OT_ATOMS) ** _OT_MEMORY_EXPONENT)
    else:
        n_kpoints = max(1.0, float(np.prod(mesh)) / 2)
        diagonalisation = _DIAGONALISATION_SECONDS * n_kpoints * (atoms / 8.0) ** 2.5
        seconds = _GRID_SECONDS_PER_ANGSTROM3 * volume * grid + diagonalisation
        memory = 0.5 + 1e-3 * volume * grid
    steps = FIRST_SCF_STEPS + geometry_steps * SCF_STEPS_LATER
    return Cost(seconds * steps / 3600, seconds / 3600, memory)


def estimate_run(record: RunRecord) -> Cost:
    """Estimate a run from its ``run.json``; :class:`DataError` when that tells neither cell nor electrons."""
    if record.cell_angstrom is UNSET or record.n_electrons is UNSET:
        raise DataError("what a run costs is not known without its cell and its electrons")
    task = None if record.parameters is None else TASKS.get(record.parameters.task or "")
    return estimate(
        n_electrons=record.n_electrons,
        volume=abs(float(np.linalg.det(np.array(record.cell_angstrom, dtype=float)))),
        mesh=record.settings.kpoints,
        cutoff=float(record.settings.cutoff_rydberg or 300.0),
        geometry_steps=task.geometry_steps if task is not None else 0,
    )
