"""What the header, the footer and the cell lines of an output tell: versions, settings, atoms, times, memory."""

import math
import re

from qdip_struct.base import units
from qdip_struct.cp2k.outputs.patterns import CELL_VECTOR, DECIMAL, FUNCTIONAL, last_number, stamp, text_of
from qdip_struct.cp2k.outputs.segments import Handler, Segment, tells

_MAX_BLOCKS = 20
_FLEXIBLE = ("NPT_F", "NPE_F")
"""Ensembles in which the angles of the cell change too."""

FACTS: dict[str, Handler] = {}
"""Handlers of the lines that state a fact of the whole segment."""


@tells(FACTS, "started")
def _started(segment: Segment, line: bytes, offset: int) -> None:
    segment.started = True
    segment.start = stamp(line)


@tells(FACTS, "ended")
def _ended(segment: Segment, line: bytes, offset: int) -> None:
    segment.ended = True
    segment.end = stamp(line)


@tells(FACTS, "version")
def _version(segment: Segment, line: bytes, offset: int) -> None:
    if found := re.search(rb"CP2K version +(\S+)", line):
        segment.facts["version"] = text_of(found.group(1))


@tells(FACTS, "spin")
def _spin(segment: Segment, line: bytes, offset: int) -> None:
    word = text_of(line.split()[-1])
    segment.facts["spin"] = word if word in ("RKS", "UKS", "ROKS") else "UKS" if b"unrestricted" in line else "RKS"


@tells(FACTS, "surface_dipole")
def _surface_dipole(segment: Segment, line: bytes, offset: int) -> None:
    segment.facts["surface_dipole"] = "yes"


@tells(FACTS, "dispersion")
def _dispersion(segment: Segment, line: bytes, offset: int) -> None:
    text = text_of(line.split(b"|", 1)[1])
    if text and len(segment.dispersion) < _MAX_BLOCKS and text not in segment.dispersion:
        segment.dispersion.append(text)


@tells(FACTS, "functional")
def _functional(segment: Segment, line: bytes, offset: int) -> None:
    if found := FUNCTIONAL.search(line):
        name = text_of(found.group(1))
        if name not in segment.functionals and len(segment.functionals) < _MAX_BLOCKS:
            segment.functionals.append(name)


@tells(FACTS, "n_atoms")
def _n_atoms(segment: Segment, line: bytes, offset: int) -> None:
    value = last_number(line)
    if value is not None and 0 < value < 1e9:
        segment.n_atoms = max(int(value), segment.n_atoms or 0)


@tells(FACTS, "cell")
def _cell(segment: Segment, line: bytes, offset: int) -> None:
    found = CELL_VECTOR.search(line)
    if found is None:
        return
    vector = tuple(float(word) for word in found.groups()[1:4])
    length, printed = math.hypot(*vector), float(found.group(5) or "nan")
    scale = printed / length if length > 0 and abs(printed - length) < 2e-3 else 1.0
    segment.cell = {**segment.cell, found.group(1).decode(): tuple(x * scale for x in vector)}


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
        segment.facts.setdefault(name, text_of(line.replace(b"|", b"| ").split()[-1]))

    return note


for _name in (
    "project",
    "run_type",
    "multiplicity",
    "charge",
    "cutoff",
    "rel_cutoff",
    "md_ensemble",
    "exact_exchange",
    "smearing",
    "smearing_kelvin",
):
    FACTS[_name] = _fact(_name)
