"""What one CP2K process printed into one file: the facts of its header, its verdicts, and where its blocks lie.

A segment is filled line by line during the one pass (:mod:`qdip_struct.cp2k.reader`). It keeps one number per energy
for the history and whole records only for the evaluations that can still become the run's result, so that its size
does not grow with the log.
"""

import datetime
import math
import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from qdip_struct.cp2k.patterns import CELL_VECTOR, ENERGY, FUNCTIONAL, GAP, last_number, stamp, text_of

_MAX_WARNINGS = 200
_MAX_BLOCKS = 20
_SILENT_ON_FAILURE = frozenset({b"SIRIUS"})
_WITHOUT_SCF = frozenset({b"FIST", b"EIP", b"NNP", b"IPI"})
_COMPOSITE = frozenset({b"MIXED", b"EMBED", b"QMMM"})
_PROPAGATIONS = frozenset({"RT_PROPAGATION", "EHRENFEST_DYN", "REAL_TIME_PROPAGATION"})
_HARTREE = frozenset({b"a.u.", b"hartree"})
_AFTER_ENERGY = ("forces", "stress")
_BEFORE_ENERGY = ("mulliken", "hirshfeld", "dipole")
_LAST_WORD_FACTS = ("project", "run_type", "multiplicity", "charge", "cutoff", "rel_cutoff")


@dataclass(slots=True)
class Evaluation:
    """One ``ENERGY|`` line (hartree, ``None`` when damaged) and what belongs to it: cell (Å), gaps (eV), blocks."""

    number: int
    energy_hartree: float | None
    converged: bool | None
    cell: dict[str, tuple[float, ...]]
    gaps: list[float]
    offsets: dict[str, int]
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
    _gaps: list[float] = field(default_factory=list)
    _offsets: dict[str, int] = field(default_factory=dict)
    _part: bool | None = None

    def take(self, meaning: str, line: bytes, offset: int) -> None:
        """Note one line of known meaning; ``offset`` is where it starts in the file."""
        handler = _HANDLERS.get(meaning)
        if handler is not None:
            handler(self, line, offset)

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

    def _on_started(self, line: bytes, offset: int) -> None:
        self.started = True
        self.start = stamp(line)

    def _on_ended(self, line: bytes, offset: int) -> None:
        self.ended = True
        self.end = stamp(line)

    def _on_version(self, line: bytes, offset: int) -> None:
        if found := re.search(rb"CP2K version +(\S+)", line):
            self.facts["version"] = text_of(found.group(1))

    def _on_spin(self, line: bytes, offset: int) -> None:
        self.facts["spin"] = "UKS" if b"unrestricted" in line else "RKS"

    def _on_surface_dipole(self, line: bytes, offset: int) -> None:
        self.facts["surface_dipole"] = "yes"

    def _on_dispersion(self, line: bytes, offset: int) -> None:
        text = text_of(line.split(b"|", 1)[1])
        if text and len(self.dispersion) < _MAX_BLOCKS and text not in self.dispersion:
            self.dispersion.append(text)

    def _on_functional(self, line: bytes, offset: int) -> None:
        if found := FUNCTIONAL.search(line):
            name = text_of(found.group(1))
            if name not in self.functionals and len(self.functionals) < _MAX_BLOCKS:
                self.functionals.append(name)

    def _on_n_atoms(self, line: bytes, offset: int) -> None:
        value = last_number(line)
        if value is not None and 0 < value < 1e9:
            self.n_atoms = max(int(value), self.n_atoms or 0)

    def _on_cell(self, line: bytes, offset: int) -> None:
        found = CELL_VECTOR.search(line)
        if found is None:
            return
        vector = tuple(float(word) for word in found.groups()[1:4])
        length, printed = math.hypot(*vector), float(found.group(5) or "nan")
        scale = printed / length if length > 0 and abs(printed - length) < 2e-3 else 1.0
        self.cell = {**self.cell, found.group(1).decode(): tuple(x * scale for x in vector)}

    def _on_kpoint_grid(self, line: bytes, offset: int) -> None:
        words = line.split()[-3:]
        if len(words) == 3 and all(word.isdigit() for word in words):
            self.kpoints = (int(words[0]), int(words[1]), int(words[2]))

    def _on_kinds(self, line: bytes, offset: int) -> None:
        if len(self.kind_offsets) < _MAX_BLOCKS:
            self.kind_offsets.append(offset)

    def _on_coordinates(self, line: bytes, offset: int) -> None:
        self.coordinates_offset = offset

    def _on_scf_start(self, line: bytes, offset: int) -> None:
        self.scf, self.scf_seen = False, True
        self._gaps = []

    def _on_scf_converged(self, line: bytes, offset: int) -> None:
        self.scf, self.scf_seen = True, True

    def _on_scf_failed(self, line: bytes, offset: int) -> None:
        self.scf, self.scf_seen = False, True

    def _on_walltime(self, line: bytes, offset: int) -> None:
        self.walltime = text_of(line)
        if b"SCF" in line:
            self._on_scf_failed(line, offset)

    def _on_exit_request(self, line: bytes, offset: int) -> None:
        self.exit_request = text_of(line)
        if b"SCF" in line:
            self._on_scf_failed(line, offset)

    def _on_energy(self, line: bytes, offset: int) -> None:
        found = ENERGY.search(line)
        energy, method = None, b""
        if found:
            method = found.group(1)
            if found.group(2) in _HARTREE:
                energy = float(found.group(3).lower().replace(b"d", b"e"))
                energy = energy if math.isfinite(energy) else None
        verdict = self._judge(method)
        if self.last is not None:
            self.last.before = None
        evaluation = Evaluation(
            len(self.energies), energy, verdict, self.cell, self._gaps, self._offsets, before=self.last
        )
        self.energies.append(math.nan if energy is None else energy)
        self.verdicts.append(-1 if verdict is None else int(verdict))
        self.indices.append(-1)
        self.last = evaluation
        if method in _COMPOSITE and not self.composite:
            self.composite, self.converged, self.unknown = True, None, None
        part = self.composite and method not in _COMPOSITE
        if verdict and not part:
            self.converged = evaluation
        elif verdict is None and not part:
            self.unknown = evaluation
        self.scf, self._gaps, self._offsets = None, [], {}

    def _judge(self, method: bytes) -> bool | None:
        """Whether the energy just printed is converged; ``None`` when the text says nothing about it."""
        if method in _COMPOSITE:
            verdict, self._part = _both(self._part, self.scf), None
            return verdict
        verdict = self.scf
        if verdict is None and method in _WITHOUT_SCF:
            verdict = True
        elif verdict is None and method in _SILENT_ON_FAILURE:
            verdict = False
        elif verdict is None and self.facts.get("run_type") in _PROPAGATIONS and self.last is not None:
            verdict = self.last.converged
        self._part = _both(self._part, verdict)
        return verdict

    def _on_orbitals(self, line: bytes, offset: int) -> None:
        if b"BETA" not in line:
            self._gaps = []

    def _on_gap(self, line: bytes, offset: int) -> None:
        found = GAP.search(line)
        if found and (self.kpoints is None or self.kpoints == (1, 1, 1)):
            channels = 2 if self.facts.get("spin") == "UKS" else 1
            self._gaps = [*self._gaps, float(found.group(1))][-channels:]

    def _on_opt_step(self, line: bytes, offset: int) -> None:
        if found := re.search(rb"(?:=|number) *(\d{1,9})\b", line):
            self.last_step = int(found.group(1))
            if self.indices:
                self.indices[-1] = self.last_step

    def _on_max_gradient(self, line: bytes, offset: int) -> None:
        value = last_number(line)
        if value is not None and self.last is not None:
            self.last.max_gradient = value

    def _on_opt_done(self, line: bytes, offset: int) -> None:
        self.optimised = True

    def _on_opt_exhausted(self, line: bytes, offset: int) -> None:
        self.optimised = False

    def _on_warning(self, line: bytes, offset: int) -> None:
        if b"scf run not converged" in line.lower():
            self._on_scf_failed(line, offset)
        if line in self.warnings:
            self.warnings[line][1] += 1
        elif len(self.warnings) < _MAX_WARNINGS:
            self.warnings[line] = [offset, 1]

    def _on_abort(self, line: bytes, offset: int) -> None:
        if len(self.aborts) < _MAX_BLOCKS:
            self.aborts.append(offset)

    def _on_error(self, line: bytes, offset: int) -> None:
        if len(self.errors) < _MAX_WARNINGS:
            self.errors.append(offset)

    def _on_crash(self, line: bytes, offset: int) -> None:
        self.crash = self.crash or text_of(line)

    def _on_killed(self, line: bytes, offset: int) -> None:
        self.killed = self.killed or text_of(line)

    def _on_memory(self, line: bytes, offset: int) -> None:
        self.memory_mib = last_number(line)

    def _on_timing(self, line: bytes, offset: int) -> None:
        self.wall_time_s = last_number(line)


def _both(one: bool | None, other: bool | None) -> bool | None:
    """Both converged, as far as anything is known of them."""
    return other if one is None else one if other is None else one and other


def _fact(name: str) -> Callable[[Segment, bytes, int], None]:
    def note(segment: Segment, line: bytes, offset: int) -> None:
        words = line.replace(b"|", b"| ").split()
        segment.facts.setdefault(name, text_of(words[-1]))

    return note


def _block(name: str) -> Callable[[Segment, bytes, int], None]:
    def note(segment: Segment, line: bytes, offset: int) -> None:
        if name not in _AFTER_ENERGY:
            segment._offsets[name] = offset
        elif segment.last is not None:
            segment.last.offsets[name] = offset

    return note


_HANDLERS: dict[str, Callable[[Segment, bytes, int], None]] = {
    **{name: _block(name) for name in (*_AFTER_ENERGY, *_BEFORE_ENERGY)},
    **{name[4:]: method for name, method in vars(Segment).items() if name.startswith("_on_")},
    **{name: _fact(name) for name in _LAST_WORD_FACTS},
}
