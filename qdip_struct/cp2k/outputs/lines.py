"""What a line tells: how each meaning of the table of patterns changes the segment it stands in.

The verdict on an energy is made here: it is converged only when the text says so after the SCF began, and the last
word counts (an outer loop may rescue an inner one, and may fail after it).
"""

import math
import re

from qdip_struct.cp2k.outputs.header import FACTS
from qdip_struct.cp2k.outputs.patterns import ENERGY, GAP, last_number, text_of
from qdip_struct.cp2k.outputs.segments import Evaluation, Handler, Segment, tells

_MAX_WARNINGS = 200
_MAX_BLOCKS = 20
_SILENT_ON_FAILURE = frozenset({b"SIRIUS"})
_WITHOUT_SCF = frozenset({b"FIST", b"EIP", b"NNP", b"IPI"})
_COMPOSITE = frozenset({b"MIXED", b"EMBED", b"QMMM"})
_PROPAGATIONS = frozenset({"RT_PROPAGATION", "EHRENFEST_DYN", "REAL_TIME_PROPAGATION"})
_HARTREE = frozenset({b"a.u.", b"hartree"})

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


@tells(HANDLERS, "walltime")
def _walltime(segment: Segment, line: bytes, offset: int) -> None:
    segment.walltime = text_of(line)
    if b"SCF" in line:
        _scf_failed(segment, line, offset)


@tells(HANDLERS, "exit_request")
def _exit_request(segment: Segment, line: bytes, offset: int) -> None:
    segment.exit_request = text_of(line)
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
        if found.group(2) in _HARTREE:
            energy = float(found.group(3).lower().replace(b"d", b"e"))
            energy = energy if math.isfinite(energy) else None
    verdict = _judge(segment, method)
    if segment.last is not None:
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
    if verdict is None and method in _WITHOUT_SCF:
        verdict = True
    elif verdict is None and method in _SILENT_ON_FAILURE:
        verdict = False
    elif verdict is None and segment.facts.get("run_type") in _PROPAGATIONS and segment.last is not None:
        verdict = segment.last.converged
    segment.part = _both(segment.part, verdict)
    return verdict


@tells(HANDLERS, "orbitals")
def _orbitals(segment: Segment, line: bytes, offset: int) -> None:
    if b"BETA" not in line:
        segment.pending_gaps = []


@tells(HANDLERS, "gap")
def _gap(segment: Segment, line: bytes, offset: int) -> None:
    found = GAP.search(line)
    if found and (segment.kpoints is None or segment.kpoints == (1, 1, 1)):
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
    if number is not None and number.is_integer() and 0 <= number < 1e15 and segment.indices:
        segment.indices[-1] = int(number)
        if len(segment.indices) > 1 and segment.indices[-2] < 0 < number:
            segment.indices[-2] = int(number) - 1


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
    segment.crash = segment.crash or text_of(line)


@tells(HANDLERS, "killed")
def _killed(segment: Segment, line: bytes, offset: int) -> None:
    segment.killed = segment.killed or text_of(line)


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
