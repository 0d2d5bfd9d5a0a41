"""What a finished CP2K run is: the frozen records that the readers return and every later floor takes.

Units: eV, Å, eV/Å, GPa, s. Row vectors. A quantity that CP2K did not print, or printed damaged, is ``None``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from qdip_struct.base.documents import Count, Number, Text, Word
from qdip_struct.base.files import plain
from qdip_struct.cp2k.tasks import task_of

Status = Literal["done", "incomplete", "scf_unconverged", "max_steps", "walltime", "aborted", "truncated"]
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


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What of a run fits one row of a table, in the order of the JSON and of the columns.

    A quantity that is added here stands in ``result.json``, in ``qdip collect --json`` and in the CSV.

    Attributes
    ----------
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
        component), which for a cell optimisation is no force: it counts the cell too.
    max_force_measure
        Which of the two that is.
    net_force_ev_per_angstrom
        |Σ F| over the free directions, eV/Å: zero but for the noise of the density grid, see
        :mod:`qdip_struct.cp2k.inputs.grid_noise`.
    gap_ev
        HOMO–LUMO gap, the smallest of the spin channels, eV.
    pressure_gpa
        A third of the trace of the stress, GPa: positive under compression.
    zero_point_energy_ev
        ½ Σ h c ν over the real modes of a vibrational analysis that is done, eV.
    warnings
        CP2K's, and the reader's own.
    cp2k_warnings_counted
        How many warnings CP2K says at its end that it gave, of its last segment.
    wall_time_s, peak_memory_mib
        Of all segments together, s (``None`` when one is unknown); the largest, MiB.
    n_segments
        Outputs of the run.
    """

    status: Status
    reason: Text
    cp2k_version: Word | None = None
    run_type: Word | None = None
    project: Text | None = None
    energy_ev: Number | None = None
    last_printed_energy_ev: Number | None = None
    n_atoms: Count | None = None
    scf_converged: bool | None = None
    n_scf_unconverged: Count = 0
    geo_converged: bool | None = None
    n_geo_steps: Count | None = None
    max_force_ev_per_angstrom: Number | None = None
    max_force_measure: Literal["norm", "component"] | None = None
    net_force_ev_per_angstrom: Number | None = None
    gap_ev: Number | None = None
    pressure_gpa: Number | None = None
    zero_point_energy_ev: Number | None = None
    warnings: tuple[Text, ...] = ()
    cp2k_warnings_counted: Count | None = None
    wall_time_s: Number | None = None
    peak_memory_mib: Number | None = None
    n_segments: Count = 1


READER = 5
"""Raised whenever the fields of a result or the reader's answers change, so that stored results are read anew."""
SUMMARY = ("path", *RunSummary.__struct_fields__)
"""Columns of a table of runs."""


class Dynamics(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of molecular dynamics wrote to ``PROJECT-1.ener``, over all its rows.

    Attributes
    ----------
    n_steps, time_fs
        CP2K's counter and time of the last row, fs.
    mean_temperature_kelvin, last_temperature_kelvin
        Of the atoms, K.
    drift_ev_per_atom_per_ps
        Slope of a straight line through the conserved quantity over time, eV per atom and ps; ``None`` with fewer
        than three rows.
    """

    n_steps: Count
    time_fs: Number
    mean_temperature_kelvin: Number
    last_temperature_kelvin: Number
    drift_ev_per_atom_per_ps: Number | None = None


class OutputPrint(msgspec.Struct, frozen=True):
    """What an output file was when it was read.

    Attributes
    ----------
    name, bytes, sha256
        File name, size and SHA-256.
    """

    name: Text
    bytes: Count
    sha256: Word


class RunResult(RunSummary, frozen=True, kw_only=True):
    """The record of a run that ``result.json`` holds and ``qdip collect`` lists.

    Attributes
    ----------
    role, group
        As ``run.json`` says, where there is one.
    path
        Of the run; ``.`` in its own ``result.json``.
    cell_angstrom, stress_gpa, dipole_debye
        As of :class:`Run`.
    criteria
        Convergence tests of the step of the energy by name.
    settings
        As CP2K printed them.
    dynamics
        Of its energy file, where there is one beside the output.
    frequencies_per_cm, spin_gaps_ev
        As of :class:`Run`.
    reader, qdip_version, outputs
        In ``result.json``: what it was read with, and from.
    """

    role: Word | UnsetType = UNSET
    group: Word | UnsetType = UNSET
    path: Text
    cell_angstrom: list[list[Number]] | None = None
    stress_gpa: list[list[Number | None]] | None = None
    dipole_debye: list[Number | None] | None = None
    criteria: dict[Word, Criterion] = {}
    settings: Settings = msgspec.field(default_factory=Settings)
    dynamics: Dynamics | None = None
    frequencies_per_cm: tuple[Number, ...] = ()
    spin_gaps_ev: tuple[Number, ...] = ()
    reader: Count | UnsetType = UNSET
    qdip_version: Word | UnsetType = UNSET
    outputs: list[OutputPrint] | UnsetType = UNSET

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, role and group first."""
        document: dict[str, Any] = msgspec.to_builtins(self, enc_hook=plain)
        first: dict[str, Any] = {name: document[name] for name in ("role", "group", "path") if name in document}
        return first | document


class Run(RunSummary, frozen=True, kw_only=True, eq=False):
    """A CP2K run as its output tells it, all segments joined; see also :class:`RunSummary`.

    Cell, forces, stress, gap, charges, moments, dipole and criteria belong to the step of ``energy_ev``.

    Attributes
    ----------
    path
        Run folder or output file.
    cell
        (3, 3) row vectors, Å.
    pbc
        Along which of them it is periodic.
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
    frequencies_per_cm
        Of a vibrational analysis, 1/cm; imaginary ones are negative, as CP2K prints them.
    spin_gaps_ev
        HOMO–LUMO gap of each spin channel, eV.
    """

    path: Path
    cell: np.ndarray | None = None
    pbc: tuple[bool, bool, bool] | None = None
    forces: np.ndarray | None = None
    stress_gpa: np.ndarray | None = None
    steps: Steps = msgspec.field(default_factory=Steps)
    criteria: dict[str, Criterion] = {}
    mulliken_charges: np.ndarray | None = None
    hirshfeld_charges: np.ndarray | None = None
    spin_moments: np.ndarray | None = None
    dipole_debye: np.ndarray | None = None
    settings: Settings = msgspec.field(default_factory=Settings)
    frequencies_per_cm: tuple[float, ...] = ()
    spin_gaps_ev: tuple[float, ...] = ()

    def result(self, **more: Any) -> RunResult:
        """The record of the run: scalars, cell, stress and settings; per-atom and per-step arrays stay here.

        Parameters
        ----------
        more
            Further fields of :class:`RunResult`, or others in the place of the run's own.
        """
        own = {name: plain(getattr(self, name)) for name in (*SUMMARY, "stress_gpa", "dipole_debye")}
        names = ("warnings", "criteria", "settings", "frequencies_per_cm", "spin_gaps_ev")
        kept = {name: getattr(self, name) for name in names}
        return RunResult(**{**own, **kept, "cell_angstrom": plain(self.cell), **more})

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
        """The JSON form of :meth:`result`."""
        return self.result().to_dict()
