"""What a finished CP2K run is: the frozen records that the readers return and every later floor takes.

Units: eV, Å, eV/Å, GPa, s. Row vectors. A quantity that CP2K did not print, or printed damaged, is ``None``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

Status = Literal["done", "scf_unconverged", "max_steps", "walltime", "aborted", "truncated"]
Spin = Literal["RKS", "UKS", "ROKS"]


@dataclass(frozen=True)
class Settings:
    """What decides whether two energies may be combined, as CP2K printed it (not as the input asked).

    ``basis`` and ``potential`` map atomic kinds to names. ``kpoints`` is the Monkhorst–Pack grid, ``None`` for Γ only.
    ``surface_dipole`` tells whether the dipole correction was at work.
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
    """One convergence test of an optimisation step: value and limit (Å, eV/Å or GPa by its name) and CP2K's verdict."""

    value: float | None
    limit: float | None
    met: bool | None


@dataclass(frozen=True, slots=True)
class Step:
    """One energy of a run: ``index`` is CP2K's own step counter; ``scf_converged`` is ``None`` without an SCF."""

    index: int | None
    energy_ev: float | None
    scf_converged: bool | None


@dataclass(frozen=True, eq=False)
class Steps(Sequence[Step]):
    """Every energy of a run in order, three compact arrays that read like a sequence of :class:`Step`.

    ``energy_ev`` (n,) eV with NaN for a damaged line; ``counter`` (n,) with −1 where CP2K counted no step;
    ``verdict`` (n,) 1 converged, 0 not converged, −1 no SCF.
    """

    energy_ev: np.ndarray = field(default_factory=lambda: np.empty(0))
    counter: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    verdict: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int8))

    def __len__(self) -> int:
        return len(self.energy_ev)

    @overload
    def __getitem__(self, position: int) -> Step: ...
    @overload
    def __getitem__(self, position: slice) -> "Steps": ...
    def __getitem__(self, position: int | slice) -> "Step | Steps":
        if isinstance(position, slice):
            return Steps(self.energy_ev[position], self.counter[position], self.verdict[position])
        energy, index, verdict = self.energy_ev[position], self.counter[position], self.verdict[position]
        return Step(
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

    ``energy_ev`` is the last energy whose SCF converged; ``last_printed_energy_ev`` is the last one in the text.
    ``forces`` (n, 3) eV/Å, ``stress_gpa`` (3, 3) with CP2K's sign, ``cell`` (3, 3) Å, ``gap_ev`` (the smallest of the
    spin channels), the net charges (n,) in e, the Mulliken ``spin_moments`` (n,) in μB and ``dipole_debye`` (3,)
    belong to the step of ``energy_ev``. Hirshfeld charges with CP2K's default reference are not fit to be quoted.
    ``max_force_ev_per_angstrom`` is the largest norm of an atom's force; without printed forces it is CP2K's own
    maximum gradient (largest component), and ``max_force_measure`` says which.
    ``criteria`` are the convergence tests of that step: ``max_step_angstrom``, ``rms_step_angstrom``,
    ``max_gradient_ev_per_angstrom``, ``rms_gradient_ev_per_angstrom``, ``pressure_deviation_gpa``.
    ``scf_converged`` speaks of the last SCF, ``n_scf_unconverged`` counts the energies whose SCF failed.
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
    """A path that could not be read as a run, and why."""

    path: Path
    reason: str
