"""One pass over an output file: what each CP2K process that wrote to it said, as records with offsets.

A file holds one segment per program header. Blocks are not read during the pass; their offsets are kept, and only
those of the last converged step are opened afterwards. Numbers are taken from whole lines alone: a line without its
newline may be cut in the middle of a number.
"""

import datetime
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from qdip_struct.cp2k.patterns import CELL_VECTOR, CP2K_ONLY, ENERGY, NUMBER, SCANNER, STAMP
from qdip_struct.errors import DataError

_CHUNK_BYTES = 1 << 22
_LONGEST_LINE = 1 << 16
_MAX_WARNINGS = 200
_WITHOUT_SCF = frozenset({"FIST", "EIP", "NNP", "IPI", "NEQUIP", "ALLEGRO", "DEEPMD"})
_COMPOSITE = frozenset({"MIXED", "EMBED", "QMMM"})
_INHERITS = frozenset({"RT_PROPAGATION", "EHRENFEST_DYN", "RTP", "REAL_TIME_PROPAGATION"})
_HARTREE = frozenset({"a.u.", "hartree", "au"})
_LAST_NUMBER = re.compile(rb"(" + NUMBER + rb")\s*$")
_FUNCTIONAL = re.compile(rb"FUNCTIONAL\| +([A-Za-z0-9_+()-][A-Za-z0-9_+() -]*?): *\r?$")


@dataclass
class Evaluation:
    """One ``ENERGY|`` line (hartree; ``None`` when damaged) and the offsets of what belongs to it."""

    energy_hartree: float | None
    converged: bool | None
    index: int | None = None
    cell: dict[str, tuple[float, ...]] = field(default_factory=dict)
    gaps: list[float] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)
    max_gradient: float | None = None


@dataclass
class Segment:
    """What one CP2K process printed into one file."""

    path: Path
    started: bool = False
    ended: bool = False
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None
    facts: dict[str, str] = field(default_factory=dict)
    functionals: list[str] = field(default_factory=list)
    basis: dict[str, str] = field(default_factory=dict)
    potential: dict[str, str] = field(default_factory=dict)
    kpoints: tuple[int, int, int] | None = None
    n_atoms: int | None = None
    cell: dict[str, tuple[float, ...]] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    scf: bool | None = None
    scf_seen: bool = False
    walltime: str | None = None
    exit_request: str | None = None
    opt_done: bool = False
    opt_exhausted: bool = False
    last_step: int | None = None
    errors: list[int] = field(default_factory=list)
    crash: str | None = None
    killed: str | None = None
    warnings: dict[bytes, list[int]] = field(default_factory=dict)
    memory_mib: float | None = None
    wall_time_s: float | None = None
    _kind: str | None = None
    _gaps: list[float] = field(default_factory=list)
    _offsets: dict[str, int] = field(default_factory=dict)
    _since_composite: list[bool | None] = field(default_factory=list)

    def take(self, meaning: str, line: bytes, offset: int) -> None:
        """Note one whole line of known meaning; ``offset`` is where it starts in the file."""
        handler = getattr(self, f"_on_{meaning}", None)
        if handler is not None:
            handler(line, offset)

    def _fact(self, name: str, line: bytes) -> None:
        self.facts[name] = line.split()[-1].decode("utf-8", "replace")

    def _on_started(self, line: bytes, offset: int) -> None:
        self.started = True
        self.start = _stamp(line)

    def _on_ended(self, line: bytes, offset: int) -> None:
        self.ended = True
        self.end = _stamp(line)

    def _on_version(self, line: bytes, offset: int) -> None:
        found = re.search(rb"CP2K version +(\S+)", line)
        if found:
            self.facts["version"] = found.group(1).decode("utf-8", "replace")

    def _on_project(self, line: bytes, offset: int) -> None:
        self._fact("project", line)

    def _on_run_type(self, line: bytes, offset: int) -> None:
        self._fact("run_type", line)

    def _on_spin(self, line: bytes, offset: int) -> None:
        self.facts["spin"] = "UKS" if b"unrestricted" in line else "RKS"

    def _on_multiplicity(self, line: bytes, offset: int) -> None:
        self._fact("multiplicity", line)

    def _on_charge(self, line: bytes, offset: int) -> None:
        self._fact("charge", line)

    def _on_cutoff(self, line: bytes, offset: int) -> None:
        self._fact("cutoff", line)

    def _on_rel_cutoff(self, line: bytes, offset: int) -> None:
        self._fact("rel_cutoff", line)

    def _on_surface_dipole(self, line: bytes, offset: int) -> None:
        self.facts["surface_dipole"] = "yes"

    def _on_dispersion(self, line: bytes, offset: int) -> None:
        text = " ".join(line.split(b"|", 1)[1].decode("utf-8", "replace").split())
        if "dispersion" not in self.facts:
            self.facts["dispersion"] = text

    def _on_functional(self, line: bytes, offset: int) -> None:
        found = _FUNCTIONAL.search(line)
        if found:
            name = found.group(1).decode("ascii")
            if name not in self.functionals:
                self.functionals.append(name)

    def _on_n_atoms(self, line: bytes, offset: int) -> None:
        value = _number(line)
        if value is not None and value > 0:
            self.n_atoms = max(int(value), self.n_atoms or 0)

    def _on_cell(self, line: bytes, offset: int) -> None:
        found = CELL_VECTOR.search(line)
        if found and found.group(2) == b"angstrom":
            vector = tuple(float(word) for word in found.groups()[2:5])
            length = math.sqrt(sum(x * x for x in vector))
            printed = float(found.group(6))
            scale = printed / length if length > 0 and abs(printed - length) < 2e-3 else 1.0
            self.cell = {**self.cell, found.group(1).decode(): tuple(x * scale for x in vector)}

    def _on_kpoint_grid(self, line: bytes, offset: int) -> None:
        words = line.split()[-3:]
        if len(words) == 3 and all(word.isdigit() for word in words):
            self.kpoints = (int(words[0]), int(words[1]), int(words[2]))

    def _on_kind(self, line: bytes, offset: int) -> None:
        found = re.search(rb"Atomic kind: +(\S+)", line)
        self._kind = found.group(1).decode("utf-8", "replace") if found else None

    def _on_basis(self, line: bytes, offset: int) -> None:
        if self._kind is not None:
            self.basis[self._kind] = line.split()[-1].decode("utf-8", "replace")

    def _on_potential(self, line: bytes, offset: int) -> None:
        if self._kind is not None:
            self.potential[self._kind] = line.split()[-1].decode("utf-8", "replace")

    def _on_scf_start(self, line: bytes, offset: int) -> None:
        self.scf, self.scf_seen = False, True
        self._gaps = []

    def _on_scf_converged(self, line: bytes, offset: int) -> None:
        self.scf, self.scf_seen = True, True

    def _on_scf_failed(self, line: bytes, offset: int) -> None:
        self.scf, self.scf_seen = False, True

    def _on_walltime(self, line: bytes, offset: int) -> None:
        self.walltime = _words(line)
        if b"SCF" in line:
            self.scf, self.scf_seen = False, True

    def _on_exit_request(self, line: bytes, offset: int) -> None:
        self.exit_request = _words(line)
        if b"SCF" in line:
            self.scf, self.scf_seen = False, True

    def _on_energy(self, line: bytes, offset: int) -> None:
        found = ENERGY.search(line)
        energy = None
        method = ""
        if found:
            method = found.group(1).decode("ascii", "replace")
            if found.group(2).decode("ascii", "replace").strip().lower() in _HARTREE:
                energy = float(found.group(3).lower().replace(b"d", b"e"))
        verdict = self.scf
        if method in _COMPOSITE:
            parts = [*self._since_composite, self.scf]
            known = [part for part in parts if part is not None]
            verdict = all(known) if known else None
            self._since_composite = []
        elif method in _WITHOUT_SCF and self.scf is None:
            verdict = True
        elif self.scf is None and self.facts.get("run_type") in _INHERITS and self.evaluations:
            verdict = self.evaluations[-1].converged
        if method not in _COMPOSITE:
            self._since_composite.append(verdict)
        self.evaluations.append(Evaluation(energy, verdict, cell=self.cell, gaps=self._gaps, offsets=self._offsets))
        self.scf, self._gaps, self._offsets = None, [], {}

    def _after_energy(self, name: str, offset: int) -> None:
        if self.evaluations:
            self.evaluations[-1].offsets[name] = offset

    def _on_forces(self, line: bytes, offset: int) -> None:
        self._after_energy("forces", offset)

    def _on_stress(self, line: bytes, offset: int) -> None:
        self._after_energy("stress", offset)

    def _on_mulliken(self, line: bytes, offset: int) -> None:
        self._offsets["mulliken"] = offset

    def _on_hirshfeld(self, line: bytes, offset: int) -> None:
        self._offsets["hirshfeld"] = offset

    def _on_gap(self, line: bytes, offset: int) -> None:
        value = _number(line)
        if value is not None:
            self._gaps = [*self._gaps[-1:], value]

    def _on_opt_step(self, line: bytes, offset: int) -> None:
        found = re.search(rb"(?:=|number) *(\d+)", line)
        if found:
            self.last_step = int(found.group(1))
            if self.evaluations:
                self.evaluations[-1].index = self.last_step

    def _on_opt_criterion(self, line: bytes, offset: int) -> None:
        value = _number(line)
        if value is not None and self.evaluations and re.search(rb"Max\. gradient|Maximum gradient", line):
            self.evaluations[-1].max_gradient = value

    def _on_opt_done(self, line: bytes, offset: int) -> None:
        self.opt_done = True

    def _on_opt_exhausted(self, line: bytes, offset: int) -> None:
        self.opt_exhausted = True

    def _on_warning(self, line: bytes, offset: int) -> None:
        if b"scf run not converged" in line.lower():
            self.scf, self.scf_seen = False, True
        if line in self.warnings:
            self.warnings[line][1] += 1
        elif len(self.warnings) < _MAX_WARNINGS:
            self.warnings[line] = [offset, 1]

    def _on_error(self, line: bytes, offset: int) -> None:
        if len(self.errors) < _MAX_WARNINGS:
            self.errors.append(offset)

    def _on_crash(self, line: bytes, offset: int) -> None:
        self.crash = self.crash or _words(line)

    def _on_killed(self, line: bytes, offset: int) -> None:
        self.killed = _words(line)

    def _on_memory(self, line: bytes, offset: int) -> None:
        self.memory_mib = _number(line)

    def _on_timing(self, line: bytes, offset: int) -> None:
        self.wall_time_s = _number(line)


def _stamp(line: bytes) -> datetime.datetime | None:
    found = STAMP.search(line)
    if not found:
        return None
    year, month, day, hour, minute, second = (float(group) for group in found.groups())
    try:
        whole = datetime.datetime(int(year), int(month), int(day), int(hour), int(minute))
    except ValueError:
        return None
    return whole + datetime.timedelta(seconds=second)


def _number(line: bytes) -> float | None:
    found = _LAST_NUMBER.search(line)
    value = float(found.group(1).lower().replace(b"d", b"e")) if found else math.nan
    return value if math.isfinite(value) else None


def _words(line: bytes) -> str:
    return " ".join(line.decode("utf-8", "replace").strip(" *\r\n").split())


def read_segments(path: Path) -> list[Segment]:
    """Read ``path`` once, in pieces, and return its segments in the order of the text.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or holds no line that only CP2K prints.
    """
    segments = [Segment(path)]
    known = False
    try:
        with path.open("rb", buffering=0) as stream:
            offset = -1
            rest = b"\n"
            while True:
                piece = stream.read(_CHUNK_BYTES)
                text = rest + piece
                stop = text.rfind(b"\n") if piece else len(text)
                if piece and stop <= 0 and len(text) < _LONGEST_LINE:
                    rest = text
                    continue
                if stop <= 0 and piece:
                    stop = len(text)
                for found in SCANNER.finditer(text, 0, stop):
                    meaning = found.lastgroup or ""
                    begin = found.start() + 1
                    end = text.find(b"\n", found.end())
                    whole = end >= 0
                    if not whole and meaning not in ("ended", "error", "walltime"):
                        continue
                    known = known or meaning in CP2K_ONLY
                    if meaning == "started" and (segments[-1].started or segments[-1].evaluations):
                        segments.append(Segment(path))
                    segments[-1].take(meaning, text[begin : end if whole else len(text)], offset + begin)
                if not piece:
                    break
                offset += stop
                rest = text[stop:] if stop < len(text) else b""
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if offset <= 0 and len(rest) <= 1:
        raise DataError(f"{path} is empty: CP2K wrote nothing, or has not started")
    if not known:
        raise DataError(f"{path} is not a CP2K output: none of its lines is one that CP2K prints")
    return segments
