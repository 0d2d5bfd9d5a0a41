"""What one CP2K process printed into one file: the facts of its header, its verdicts, and where its blocks lie.

A segment is filled line by line during the one pass (:mod:`qdip_struct.cp2k.reader`). It keeps one number per energy
for the history and whole records only for the evaluations that can still become the run's result, so that its size
does not grow with the log.
"""

import datetime
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Evaluation:
    """One ``ENERGY|`` line (hartree, ``None`` when damaged) and what belongs to it: cell (Å), gaps (eV), blocks.

    ``total_hartree`` is the ``Total energy:`` that the SCF itself ended with.
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
    """The facts, verdicts and offsets of one CP2K process in one file."""

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
