"""Segments of an output: what one CP2K process printed into one file, and what each kind of line tells of it.

A segment is filled line by line during the one pass (:mod:`qdip_struct.cp2k.outputs.reader`): the facts of its header
and footer (versions, settings, atoms, times, memory), its verdicts, and where its blocks lie. It keeps one number per
energy for the history and whole records only for the evaluations that can still become the run's result, so that its
size does not grow with the log.

The verdict on an energy is made here: it is converged only when the text says so after the SCF began, and the last word
counts (an outer loop may rescue an inner one, and may fail after it).

Long because every meaning of the table of patterns has its handler here.
"""

import datetime
import math
import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from qdip_struct.base import units
from qdip_struct.cp2k.outputs.patterns import (
    CELL_VECTOR,
    DECIMAL,
    ENERGY,
    ENERGY_GAP,
    FUNCTIONAL,
    GAP,
    last_number,
    line_text,
    stamp,
)


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
    warnings_counted, n_warnings
        How many CP2K says at its end that it gave, and how many of those stand in this text.
    n_processes, n_ended
        Processes that wrote into one another's text, and how many of them came to their end.
    failures
        Failed SCFs that CP2K warned of, whether or not an energy was printed after them.
    steps_asked, stride, first_step
        Steps of molecular dynamics: asked for, between two that are printed, the first one printed.
    seen
        Meanings of lines that close a kind of run.
    frequencies
        Of a vibrational analysis, 1/cm.
    band_tests
        The last four convergence tests of a band.
    path_steps
        Of path integrals: done and asked for.
    pending_total, pending_gaps, pending_offsets
        What waits for the next energy.
    of_one_kpoint
        Whether the orbitals just printed belong to one k-point of several.
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
    warnings_counted: int | None = None
    n_warnings: int = 0
    n_processes: int = 1
    n_ended: int = 0
    failures: int = 0
    steps_asked: int | None = None
    stride: int = 1
    first_step: int | None = None
    seen: set[str] = field(default_factory=set)
    frequencies: list[float] = field(default_factory=list)
    band_tests: list[bool] = field(default_factory=list)
    path_steps: tuple[int, int] | None = None
    of_one_kpoint: bool = False
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
        silent = (self.warnings_counted or 0) > self.n_warnings
        whole = self.started and self.ended and self.failed_scf == 0 and not silent
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


_MAX_BLOCKS = 20
_FLEXIBLE = ("NPT_F", "NPE_F")
"""Ensembles in which the angles of the cell change too."""

FACTS: dict[str, Handler] = {}
"""Handlers of the lines that state a fact of the whole segment."""


@tells(FACTS, "started")
def _started(segment: Segment, line: bytes, offset: int) -> None:
    if segment.started:
        segment.n_processes += 1
        return
    segment.started = True
    segment.start = stamp(line)


@tells(FACTS, "ended")
def _ended(segment: Segment, line: bytes, offset: int) -> None:
    segment.ended = True
    segment.end = stamp(line)
    segment.n_ended += 1


@tells(FACTS, "version")
def _version(segment: Segment, line: bytes, offset: int) -> None:
    if found := re.search(rb"CP2K version +(\S+)", line):
        segment.facts["version"] = line_text(found.group(1))


@tells(FACTS, "spin")
def _spin(segment: Segment, line: bytes, offset: int) -> None:
    word = line_text(line.split()[-1])
    segment.facts["spin"] = word if word in ("RKS", "UKS", "ROKS") else "UKS" if b"unrestricted" in line else "RKS"


@tells(FACTS, "surface_dipole")
def _surface_dipole(segment: Segment, line: bytes, offset: int) -> None:
    segment.facts["surface_dipole"] = "yes"


@tells(FACTS, "dispersion")
def _dispersion(segment: Segment, line: bytes, offset: int) -> None:
    text = line_text(line.split(b"|", 1)[1])
    if text and len(segment.dispersion) < _MAX_BLOCKS and text not in segment.dispersion:
        segment.dispersion.append(text)


@tells(FACTS, "functional")
def _functional(segment: Segment, line: bytes, offset: int) -> None:
    if found := FUNCTIONAL.search(line):
        name = line_text(found.group(1))
        if name not in segment.functionals and len(segment.functionals) < _MAX_BLOCKS:
            segment.functionals.append(name)


@tells(FACTS, "n_atoms")
def _n_atoms(segment: Segment, line: bytes, offset: int) -> None:
    value = last_number(line)
    if value is not None and 0 < value < 1e9:
        segment.n_atoms = max(int(value), segment.n_atoms or 0)


@tells(FACTS, "cell")
def _cell(segment: Segment, line: bytes, offset: int) -> None:
    if (found := cell_vector(line)) is not None:
        segment.cell = {**segment.cell, found[0]: found[1]}


def cell_vector(line: bytes) -> tuple[str, tuple[float, ...]] | None:
    """Name and vector (Å) of a ``Vector a [angstrom]`` line, three decimals brought to the length printed with six."""
    found = CELL_VECTOR.search(line)
    if found is None:
        return None
    vector = tuple(float(word) for word in found.groups()[1:4])
    length, printed = math.hypot(*vector), float(found.group(5) or "nan")
    scale = printed / length if length > 0 and abs(printed - length) < 2e-3 else 1.0
    return found.group(1).decode(), tuple(x * scale for x in vector)


@tells(FACTS, "kpoint_grid")
def _kpoint_grid(segment: Segment, line: bytes, offset: int) -> None:
    words = line.split()[-3:]
    if len(words) == 3 and all(word.isdigit() for word in words):
        segment.kpoints = (int(words[0]), int(words[1]), int(words[2]))


@tells(FACTS, "kinds")
def _kinds(segment: Segment, line: bytes, offset: int) -> None:
    if len(segment.kind_offsets) < _MAX_BLOCKS:
        segment.kind_offsets.append(offset)


@tells(FACTS, "coordinates")
def _coordinates(segment: Segment, line: bytes, offset: int) -> None:
    segment.coordinates_offset = offset


@tells(FACTS, "md_cell")
def _md_cell(segment: Segment, line: bytes, offset: int) -> None:
    """A cell that breathes at fixed angles; where the angles may change too, it is not known from here."""
    unit = units.ANGSTROM_PER_BOHR if b"bohr" in line else 1.0
    words = line.split()[-3:]
    new: dict[str, tuple[float, ...]] = {}
    angles_kept = segment.facts.get("md_ensemble") not in _FLEXIBLE
    if angles_kept and len(segment.cell) == 3 and all(map(DECIMAL.fullmatch, words)):
        for axis, word in zip("abc", words, strict=True):
            length = math.hypot(*segment.cell[axis])
            new[axis] = tuple(x * float(word) * unit / length for x in segment.cell[axis]) if length else (0.0,) * 3
    segment.cell = new
    if segment.last is not None:
        segment.last.cell = new


@tells(FACTS, "memory")
def _memory(segment: Segment, line: bytes, offset: int) -> None:
    segment.memory_mib = last_number(line)


@tells(FACTS, "timing")
def _timing(segment: Segment, line: bytes, offset: int) -> None:
    segment.wall_time_s = last_number(line)


def _fact(name: str) -> Handler:
    def note(segment: Segment, line: bytes, offset: int) -> None:
        segment.facts.setdefault(name, line_text(line.replace(b"|", b"| ").split()[-1]))

    return note


for _name in (
    "project",
    "run_type",
    "multiplicity",
    "charge",
    "cutoff",
    "rel_cutoff",
    "md_ensemble",
    "periodicity",
    "exact_exchange",
    "smearing",
    "smearing_kelvin",
):
    FACTS[_name] = _fact(_name)


_MAX_WARNINGS = 200
_SILENT_ON_FAILURE = frozenset({b"SIRIUS"})
_WITHOUT_SCF = frozenset({b"FIST", b"EIP", b"NNP", b"IPI"})
_COMPOSITE = frozenset({b"MIXED", b"EMBED", b"QMMM"})
_PROPAGATIONS = frozenset({"RT_PROPAGATION", "EHRENFEST_DYN", "REAL_TIME_PROPAGATION"})
_HARTREE = {
    b"a.u.": 1.0,
    b"hartree": 1.0,
    b"ev": 1.0 / units.EV_PER_HARTREE,
    b"kev": 1000.0 / units.EV_PER_HARTREE,
    b"ry": 0.5,
}
"""Units of &FORCE_EVAL/&PRINT/&PROGRAM_RUN_INFO/ENERGY_UNIT, in hartree."""

_STEP = re.compile(rb"(?:=|number) *(\d{1,9})\b")
HANDLERS: dict[str, Handler] = dict(FACTS)
"""What each meaning of the table of patterns does to the segment its line stands in."""


@tells(HANDLERS, "scf_start")
def _scf_start(segment: Segment, line: bytes, offset: int) -> None:
    segment.scf, segment.scf_seen = False, True
    segment.pending_gaps = []


@tells(HANDLERS, "scf_converged")
def _scf_converged(segment: Segment, line: bytes, offset: int) -> None:
    segment.scf, segment.scf_seen = True, True


@tells(HANDLERS, "scf_failed")
def _scf_failed(segment: Segment, line: bytes, offset: int) -> None:
    segment.scf, segment.scf_seen = False, True
    if b"not converged" in line.lower():
        segment.failures += 1


@tells(HANDLERS, "walltime")
def _walltime(segment: Segment, line: bytes, offset: int) -> None:
    segment.walltime = line_text(line)
    if b"SCF" in line:
        _scf_failed(segment, line, offset)


@tells(HANDLERS, "exit_request")
def _exit_request(segment: Segment, line: bytes, offset: int) -> None:
    segment.exit_request = line_text(line)
    if b"SCF" in line:
        _scf_failed(segment, line, offset)


@tells(HANDLERS, "total")
def _total(segment: Segment, line: bytes, offset: int) -> None:
    segment.pending_total = last_number(line)


@tells(HANDLERS, "energy")
def _energy(segment: Segment, line: bytes, offset: int) -> None:
    found = ENERGY.search(line)
    energy, method = None, b""
    if found:
        method = found.group(1)
        if (factor := _HARTREE.get(found.group(2).strip().lower())) is not None:
            energy = float(found.group(3).lower().replace(b"d", b"e")) * factor
            energy = energy if math.isfinite(energy) else None
    verdict = _judge(segment, method)
    if segment.last is not None:
        # The results look one evaluation back and no further; a longer chain would keep the whole log in memory.
        segment.last.before = None
    evaluation = Evaluation(
        len(segment.energies),
        energy,
        verdict,
        segment.cell,
        segment.pending_gaps,
        segment.pending_offsets,
        segment.pending_total if method == b"QS" else None,
        before=segment.last,
    )
    segment.energies.append(math.nan if energy is None else energy)
    segment.verdicts.append(-1 if verdict is None else int(verdict))
    segment.indices.append(-1)
    segment.last = evaluation
    if method in _COMPOSITE and not segment.composite:
        # The first sum tells that the energies before it were those of parts, and no result.
        segment.composite, segment.converged, segment.unknown = True, None, None
    part = segment.composite and method not in _COMPOSITE
    if verdict and not part:
        segment.converged = evaluation
    elif verdict is None and not part:
        segment.unknown = evaluation
    segment.scf, segment.pending_total, segment.pending_gaps, segment.pending_offsets = None, None, [], {}


def _judge(segment: Segment, method: bytes) -> bool | None:
    """Whether the energy just printed is converged; ``None`` when the text says nothing about it."""
    if method in _COMPOSITE:
        verdict, segment.part = _both(segment.part, segment.scf), None
        return verdict
    verdict = segment.scf
    if segment.n_processes > 1 and segment.failures:
        # Whose SCF it was cannot be told from lines of several processes.
        verdict = False
    if verdict is None and method in _WITHOUT_SCF:
        verdict = True
    elif verdict is None and method in _SILENT_ON_FAILURE:
        verdict = False
    elif verdict is None and segment.facts.get("run_type") in _PROPAGATIONS and segment.last is not None:
        verdict = segment.last.converged
    segment.part = _both(segment.part, verdict)
    return verdict


@tells(HANDLERS, "energy_gap")
def _energy_gap(segment: Segment, line: bytes, offset: int) -> None:
    found = ENERGY_GAP.search(line)
    factor = _HARTREE.get(found.group(1).strip().lower()) if found else None
    if found and factor is not None and segment.last is not None:
        value = float(found.group(2).lower().replace(b"d", b"e"))
        segment.last.gaps = [value * factor * units.EV_PER_HARTREE]


@tells(HANDLERS, "orbitals")
def _orbitals(segment: Segment, line: bytes, offset: int) -> None:
    segment.of_one_kpoint = b"K POINT" in line
    if b"BETA" not in line:
        segment.pending_gaps = []


@tells(HANDLERS, "gap")
def _gap(segment: Segment, line: bytes, offset: int) -> None:
    found = GAP.search(line)
    # The gap at one k-point is none of the crystal.
    if found and not segment.of_one_kpoint and (segment.kpoints is None or segment.kpoints == (1, 1, 1)):
        channels = 2 if segment.facts.get("spin") == "UKS" else 1
        segment.pending_gaps = [*segment.pending_gaps, float(found.group(1))][-channels:]


@tells(HANDLERS, "opt_step")
def _opt_step(segment: Segment, line: bytes, offset: int) -> None:
    if found := _STEP.search(line):
        segment.last_step = int(found.group(1))
        if segment.last is not None:
            segment.last.offsets["step"] = offset
            segment.indices[-1] = segment.last_step


@tells(HANDLERS, "md_step")
def _md_step(segment: Segment, line: bytes, offset: int) -> None:
    number = last_number(line)
    if segment.first_step is None and number is not None and 0 <= number < 1e15:
        segment.first_step = int(number)
    if number is not None and number.is_integer() and 0 <= number < 1e15 and segment.indices:
        segment.indices[-1] = int(number)
        # The energy of the start is printed before any step has a number.
        if len(segment.indices) > 1 and segment.indices[-2] < 0 < number:
            segment.indices[-2] = int(number) - 1


@tells(HANDLERS, "md_steps_asked")
def _md_steps_asked(segment: Segment, line: bytes, offset: int) -> None:
    number = last_number(line)
    segment.steps_asked = None if number is None else int(number)


@tells(HANDLERS, "md_stride")
def _md_stride(segment: Segment, line: bytes, offset: int) -> None:
    found = re.search(rb"every +(\d{1,9})\b", line)
    segment.stride = max(1, int(found.group(1))) if found else 1


@tells(HANDLERS, "path_step")
def _path_step(segment: Segment, line: bytes, offset: int) -> None:
    if found := re.search(rb"step +(\d{1,9}) of +(\d{1,9})\b", line):
        segment.path_steps = int(found.group(1)), int(found.group(2))


@tells(HANDLERS, "frequencies")
def _frequencies(segment: Segment, line: bytes, offset: int) -> None:
    for word in line.split(b")", 1)[-1].split():
        if re.fullmatch(rb"-?\d+\.\d+(?:E[-+]\d+)?", word):
            segment.frequencies.append(float(word))


@tells(HANDLERS, "band_step")
def _band_step(segment: Segment, line: bytes, offset: int) -> None:
    segment.seen.add("band_step")
    segment.band_tests = []


@tells(HANDLERS, "band_converged")
def _band_converged(segment: Segment, line: bytes, offset: int) -> None:
    segment.band_tests = [*segment.band_tests, b"(T)" in line or b"(YES)" in line][-4:]


@tells(HANDLERS, "warnings_counted")
def _warnings_counted(segment: Segment, line: bytes, offset: int) -> None:
    number = last_number(line)
    segment.warnings_counted = None if number is None else int(number)


def _closing(meaning: str) -> Handler:
    def note(segment: Segment, line: bytes, offset: int) -> None:
        segment.seen.add(meaning)

    return note


for _name in (
    "bsse_result",
    "debug_summary",
    "response_end",
    "excitations",
    "excitations_converged",
    "propagation_step",
):
    HANDLERS[_name] = _closing(_name)


@tells(HANDLERS, "max_gradient")
def _max_gradient(segment: Segment, line: bytes, offset: int) -> None:
    value = last_number(line)
    if value is not None and segment.last is not None:
        segment.last.max_gradient = value


@tells(HANDLERS, "opt_done")
def _opt_done(segment: Segment, line: bytes, offset: int) -> None:
    segment.optimised = True


@tells(HANDLERS, "opt_exhausted")
def _opt_exhausted(segment: Segment, line: bytes, offset: int) -> None:
    segment.optimised = False


@tells(HANDLERS, "warning")
def _warning(segment: Segment, line: bytes, offset: int) -> None:
    if b"scf run not converged" in line.lower():
        _scf_failed(segment, line, offset)
    if b"*** WARNING in" in line:
        segment.n_warnings += 1
    if line in segment.warnings:
        segment.warnings[line][1] += 1
    elif len(segment.warnings) < _MAX_WARNINGS:
        segment.warnings[line] = [offset, 1]


@tells(HANDLERS, "abort")
def _abort(segment: Segment, line: bytes, offset: int) -> None:
    if len(segment.aborts) < _MAX_BLOCKS:
        segment.aborts.append(offset)


@tells(HANDLERS, "error")
def _error(segment: Segment, line: bytes, offset: int) -> None:
    if len(segment.errors) < _MAX_WARNINGS:
        segment.errors.append(offset)


@tells(HANDLERS, "crash")
def _crash(segment: Segment, line: bytes, offset: int) -> None:
    segment.crash = segment.crash or line_text(line)


@tells(HANDLERS, "killed")
def _killed(segment: Segment, line: bytes, offset: int) -> None:
    segment.killed = segment.killed or line_text(line)


def _both(one: bool | None, other: bool | None) -> bool | None:
    """Both converged, as far as anything is known of them."""
    return other if one is None else one if other is None else one and other


def _before_energy(name: str) -> Handler:
    def note(segment: Segment, line: bytes, offset: int) -> None:
        segment.pending_offsets[name] = offset

    return note


def _after_energy(name: str) -> Handler:
    def note(segment: Segment, line: bytes, offset: int) -> None:
        if segment.last is not None:
            segment.last.offsets[name] = offset

    return note


for _name in ("mulliken", "hirshfeld", "dipole"):
    HANDLERS[_name] = _before_energy(_name)
for _name in ("forces", "stress"):
    HANDLERS[_name] = _after_energy(_name)
