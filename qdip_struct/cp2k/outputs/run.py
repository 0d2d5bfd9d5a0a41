"""What a finished CP2K run is: the frozen records that the readers return and every later floor takes.

Units: eV, Å, eV/Å, GPa, s. Row vectors. A quantity that CP2K did not print, or printed damaged, is ``None``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from qdip_struct.cp2k.tasks import task_of

Status = Literal["done", "scf_unconverged", "max_steps", "walltime", "aborted", "truncated"]
Spin = Literal["RKS", "UKS", "ROKS"]


@dataclass(frozen=True)
class Settings:
    """What decides whether two energies may be combined, as CP2K printed it (not as the input asked).

    Attributes
    ----------
    functional
        For example ``PBE``.
    basis, potential
        Name for each atomic kind.
    kpoints
        Monkhorst–Pack grid, ``None`` for Γ only.
    spin, multiplicity
        Kind of the calculation and 2S + 1.
    charge
        Of the cell, e.
    surface_dipole
        Whether the dipole correction was at work.
    """

    functional: str | None = None
    basis: dict[str, str] = field(default_factory=dict)
    potential: dict[str, str] = field(default_factory=dict)
    cutoff_rydberg: float | None = None
    rel_cutoff_rydberg: float | None = None
    kpoints: tuple[int, int, int] | None = None
    spin: Spin | None = None
    multiplicity: int | None = None
    charge: int | None = None
    dispersion: str | None = None
    smearing: str | None = None
    surface_dipole: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, keys in the order of the fields."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One convergence test of an optimisation step.

    Attributes
    ----------
    value, limit
        Å, eV/Å or GPa by its name.
    """

    value: float | None
    limit: float | None
    met: bool | None


@dataclass(frozen=True, slots=True)
class OptimiserStep:
    """One energy of a run.

    Attributes
    ----------
    index
        CP2K's own step counter.
    energy_ev
        ``None`` for a damaged line, eV.
    scf_converged
        ``None`` without an SCF.
    """

    index: int | None
    energy_ev: float | None
    scf_converged: bool | None


@dataclass(frozen=True, eq=False)
class Steps(Sequence[OptimiserStep]):
    """Every energy of a run in order, three compact arrays that read like a sequence of :class:`OptimiserStep`.

    Attributes
    ----------
    energy_ev
        (n,) eV, NaN for a damaged line.
    counter
        (n,) CP2K's step, −1 where it counted none.
    verdict
        (n,) 1 converged, 0 not converged, −1 no SCF.
    """

    energy_ev: np.ndarray = field(default_factory=lambda: np.empty(0))
    counter: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    verdict: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int8))

    def __len__(self) -> int:
        return len(self.energy_ev)

    @overload
    def __getitem__(self, position: int) -> OptimiserStep: ...
    @overload
    def __getitem__(self, position: slice) -> "Steps": ...
    def __getitem__(self, position: int | slice) -> "OptimiserStep | Steps":
        if isinstance(position, slice):
            return Steps(self.energy_ev[position], self.counter[position], self.verdict[position])
        energy, index, verdict = self.energy_ev[position], self.counter[position], self.verdict[position]
        return OptimiserStep(
            index=None if index < 0 else int(index),
            energy_ev=None if np.isnan(energy) else float(energy),
            scf_converged=None if verdict < 0 else bool(verdict),
        )


SUMMARY = (
    "path",
    "status",
    "reason",
    "cp2k_version",
    "run_type",
    "project",
    "energy_ev",
    "last_printed_energy_ev",
    "n_atoms",
    "scf_converged",
    "n_scf_unconverged",
    "geo_converged",
    "n_geo_steps",
    "max_force_ev_per_angstrom",
    "max_force_measure",
    "net_force_ev_per_angstrom",
    "gap_ev",
    "warnings",
    "wall_time_s",
    "peak_memory_mib",
    "n_segments",
)
"""The fields of a run that fit one row of a table, in the order of the JSON."""


@dataclass(frozen=True, eq=False)
class Run:
    """A CP2K run as its output tells it, all segments joined.

    Cell, forces, stress, gap, charges, moments, dipole and criteria belong to the step of ``energy_ev``.

    Attributes
    ----------
    path
        Run folder or output file.
    status, reason
        How it ended, and the words that say so.
    energy_ev, last_printed_energy_ev
        Last energy whose SCF converged, and the last one in the text, eV.
    n_atoms
        Atoms, ghosts included.
    scf_converged, n_scf_unconverged
        Of the last SCF; how many energies had an SCF that failed.
    geo_converged, n_geo_steps
        Of an optimisation.
    max_force_ev_per_angstrom
        Largest norm of an atom's force, eV/Å; without printed forces CP2K's own maximum gradient (largest
        component).
    max_force_measure
        Which of the two that is.
    net_force_ev_per_angstrom
        |Σ F| over the free directions, eV/Å: zero but for the noise of the density grid, see
        :mod:`qdip_struct.cp2k.inputs.grid_noise`.
    gap_ev
        HOMO–LUMO gap, the smallest of the spin channels, eV.
    warnings
        CP2K's, and the reader's own.
    wall_time_s, peak_memory_mib
        Of all segments together, s (``None`` when one is unknown); the largest, MiB.
    cell
        (3, 3) row vectors, Å.
    forces
        (n, 3) eV/Å.
    stress_gpa
        (3, 3) with CP2K's sign, GPa.
    criteria
        Convergence tests by name: ``max_step_angstrom``, ``rms_step_angstrom``, ``max_gradient_ev_per_angstrom``,
        ``rms_gradient_ev_per_angstrom``, ``pressure_deviation_gpa``.
    mulliken_charges, hirshfeld_charges
        (n,) net charges, e. Hirshfeld charges with CP2K's default reference are not fit to be quoted.
    spin_moments
        (n,) Mulliken's, μB.
    dipole_debye
        (3,) D.
    settings
        What decides whether its energy may be combined with another.
    """

    path: Path
    status: Status
    reason: str
    cp2k_version: str | None = None
    run_type: str | None = None
    project: str | None = None
    energy_ev: float | None = None
    last_printed_energy_ev: float | None = None
    n_atoms: int | None = None
    scf_converged: bool | None = None
    n_scf_unconverged: int = 0
    geo_converged: bool | None = None
    n_geo_steps: int | None = None
    max_force_ev_per_angstrom: float | None = None
    max_force_measure: Literal["norm", "component"] | None = None
    net_force_ev_per_angstrom: float | None = None
    gap_ev: float | None = None
    warnings: tuple[str, ...] = ()
    wall_time_s: float | None = None
    peak_memory_mib: float | None = None
    n_segments: int = 1
    cell: np.ndarray | None = None
    forces: np.ndarray | None = None
    stress_gpa: np.ndarray | None = None
    steps: Steps = field(default_factory=Steps)
    criteria: dict[str, Criterion] = field(default_factory=dict)
    mulliken_charges: np.ndarray | None = None
    hirshfeld_charges: np.ndarray | None = None
    spin_moments: np.ndarray | None = None
    dipole_debye: np.ndarray | None = None
    settings: Settings = field(default_factory=Settings)

    @property
    def moved(self) -> bool:
        """Whether its last geometry is what it was for: that of a converged optimisation, or of another run that moves
        atoms and came to its end.
        """
        task = task_of(self.run_type)
        if task is None or task.optimises:
            return bool(self.geo_converged)
        return task.moves != "nothing" and self.status == "done"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: scalars, cell, stress and settings; per-atom and per-step arrays stay in the record."""
        document = {name: getattr(self, name) for name in SUMMARY}
        document["path"] = str(self.path)
        document["warnings"] = list(self.warnings)
        for name, array in (
            ("cell_angstrom", self.cell),
            ("stress_gpa", self.stress_gpa),
            ("dipole_debye", self.dipole_debye),
        ):
            document[name] = None if array is None else array.tolist()
        document["criteria"] = {
            name: {"value": test.value, "limit": test.limit, "met": test.met} for name, test in self.criteria.items()
        }
        document["settings"] = self.settings.to_dict()
        return document


@dataclass(frozen=True)
class Failure:
    """A path that could not be read as a run."""

    path: Path
    reason: str
