"""What one CP2K process printed into one file: the facts of its header, its verdicts, and where its blocks lie.

A segment is filled line by line during the one pass (:mod:`qdip_struct.cp2k.outputs.reader`). It keeps one number per
energy for the history and whole records only for the evaluations that can still become the run's result, so that its
size does not grow with the log.
"""

import datetime
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Evaluation:
    """One ``ENERGY|`` line and what belongs to it.

    Attributes
    ----------
    number
        Of the energy in its segment, from 0.
    energy_hartree, total_hartree
        Of that line (``None`` when damaged), and the ``Total energy:`` that the SCF itself ended with.
    converged
        ``None`` when the text says nothing about an SCF.
    cell
        Vectors by name, Å.
    gaps
        Of the spin channels, eV.
    offsets
        Where each block starts, bytes.
    max_gradient
        CP2K's, hartree/bohr.
    before
        The evaluation before it.
    """

    number: int
    energy_hartree: float | None
    converged: bool | None
    cell: dict[str, tuple[float, ...]]
    gaps: list[float]
    offsets: dict[str, int]
    total_hartree: float | None = None
    max_gradient: float | None = None
    before: "Evaluation | None" = None


@dataclass(slots=True)
class Segment:
    """The facts, verdicts and offsets of one CP2K process in one file.

    Attributes
    ----------
    started, ended, start, end
        Whether the banner and the last line are there, and their times.
    facts, functionals, dispersion, kpoints, n_atoms, cell
        Of the header, as printed; cell vectors in Å.
    kind_offsets, coordinates_offset
        Where those blocks start, bytes.
    energies, verdicts, indices
        One entry for each energy: hartree (NaN when damaged); 1, 0 or −1 for converged, not, unknown; CP2K's step
        or −1.
    last, converged, unknown
        The last evaluation, the last converged one, the last without any word about an SCF.
    composite, part
        Whether energies of parts are printed before their sum (mixed, embedded, QM/MM), and the verdict on the
        parts so far.
    scf, scf_seen
        Verdict on the SCF in progress; whether there was any.
    walltime, exit_request, crash, killed
        The line that says so.
    optimised, last_step
        Whether an optimisation converged, and its last step.
    aborts, errors
        Where such lines start, bytes.
    warnings
        Line → where it first stood (bytes), and how often.
    memory_mib, wall_time_s
        MiB and s, as printed at the end.
    pending_total, pending_gaps, pending_offsets
        What waits for the next energy.
    """

    path: Path
    started: bool = False
    ended: bool = False
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None
    facts: dict[str, str] = field(default_factory=dict)
    functionals: list[str] = field(default_factory=list)
    dispersion: list[str] = field(default_factory=list)
    kind_offsets: list[int] = field(default_factory=list)
    coordinates_offset: int | None = None
    kpoints: tuple[int, int, int] | None = None
    n_atoms: int | None = None
    cell: dict[str, tuple[float, ...]] = field(default_factory=dict)
    energies: "array[float]" = field(default_factory=lambda: array("d"))
    verdicts: "array[int]" = field(default_factory=lambda: array("b"))
    indices: "array[int]" = field(default_factory=lambda: array("q"))
    last: Evaluation | None = None
    composite: bool = False
    converged: Evaluation | None = None
    unknown: Evaluation | None = None
    scf: bool | None = None
    scf_seen: bool = False
    walltime: str | None = None
    exit_request: str | None = None
    optimised: bool | None = None
    last_step: int | None = None
    aborts: list[int] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    crash: str | None = None
    killed: str | None = None
    warnings: dict[bytes, list[int]] = field(default_factory=dict)
    memory_mib: float | None = None
    wall_time_s: float | None = None
    pending_total: float | None = None
    pending_gaps: list[float] = field(default_factory=list)
    pending_offsets: dict[str, int] = field(default_factory=dict)
    part: bool | None = None

    @property
    def failed_scf(self) -> int:
        """How many energies were printed after an SCF that did not converge."""
        return self.verdicts.count(0)

    def trusted(self) -> Evaluation | None:
        """The last evaluation whose energy may be quoted.

        Without any word about an SCF (methods that have none, or its print switched off) an energy is trusted only
        in a segment that is whole and reports no failure: CP2K prints the warning of a failed SCF at every level.
        """
        whole = self.started and self.ended and self.failed_scf == 0
        if self.unknown is None or not whole:
            return self.converged
        if self.converged is None or self.unknown.number > self.converged.number:
            return self.unknown
        return self.converged


Handler = Callable[[Segment, bytes, int], None]
"""Notes one whole line, and the offset in the file where it starts."""


def tells(table: dict[str, Handler], meaning: str) -> Callable[[Handler], Handler]:
    """Enter a handler in ``table`` under the meaning of its lines."""

    def enter(handler: Handler) -> Handler:
        table[meaning] = handler
        return handler

    return enter
