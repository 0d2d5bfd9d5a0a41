"""The many-line blocks of a CP2K output, read where the one pass found them: forces, stress, charges, messages.

Every reader takes the file and the offset of the block's first line and returns ``None`` unless the block is whole.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from qdip_struct.base import units
from qdip_struct.cp2k.outputs.patterns import NUMBER
from qdip_struct.cp2k.outputs.run import Criterion

_MESSAGE_BYTES = 4096
_HEAD_LINES = 6
_ATOM_FORCE = re.compile(rb" *(?:FORCES\|)? *\d+(?: +\d+ +[A-Za-z]\S*)?((?: +" + NUMBER + rb"){3,4}) *\r?\n")
_STRESS_ROW = re.compile(rb" *(?:STRESS\|)? *[xyzXYZ]((?: +" + NUMBER + rb"){3}) *\r?\n")
_CHARGE_ROW = re.compile(rb" *\d+ +[A-Za-z]\S* +\d+((?: +" + NUMBER + rb")+) *\r?\n")
_COORDINATE_ROW = re.compile(rb" *\d+ +\d+ +[A-Za-z]\S*(?: +\d+)?((?: +" + NUMBER + rb"){3,5}) *\r?\n")
_KIND = re.compile(rb" *\d+\. Atomic kind: +(\S+)")
_BASIS = re.compile(rb" *Orbital Basis Set +(\S+)\s*$")
_POTENTIAL = re.compile(rb" *(?:[A-Za-z-]+ )?[Pp]otential information for +(?:.* )?(\S+)\s*$")
_KINDS_END = re.compile(rb" *(?:MOLECULE KIND INFORMATION|TOTAL NUMBERS AND MAXIMUM NUMBERS)")
_KIND_BYTES = 1 << 24
_DIPOLE = re.compile(rb" *X= *(%s) +Y= *(%s) +Z= *(%s) +Total= *[-+.0-9]+ *\r?\n" % (NUMBER, NUMBER, NUMBER))
_CRITERIA_LINES = 60
_CRITERIA_UNITS = {
    "max_step_angstrom": units.ANGSTROM_PER_BOHR,
    "rms_step_angstrom": units.ANGSTROM_PER_BOHR,
    "max_gradient_ev_per_angstrom": units.EV_PER_ANGSTROM_PER_ATOMIC_FORCE,
    "rms_gradient_ev_per_angstrom": units.EV_PER_ANGSTROM_PER_ATOMIC_FORCE,
    "pressure_deviation_gpa": units.GPA_PER_BAR,
}
_CRITERIA = tuple(
    (re.compile(rf"(?:{wording}) (YES|NO)" if part == "met" else rf"(?:{wording}) (-?\d+\.\d+)"), name, part)
    for name, values, limits, verdicts in (
        (
            "max_step_angstrom",
            r"Max\. step size|Maximum step size",
            r"Conv\. limit for step size|Convergence limit for maximum step size",
            r"Convergence in step size|Maximum step size is converged",
        ),
        (
            "rms_step_angstrom",
            r"RMS step size",
            r"Conv\. limit for RMS step|Convergence limit for RMS step size",
            r"Convergence in RMS step|RMS step size is converged",
        ),
        (
            "max_gradient_ev_per_angstrom",
            r"Max\. gradient|Maximum gradient",
            r"Conv\. limit for gradients|Convergence limit for maximum gradient",
            r"Conv\. in gradients|Maximum gradient is converged",
        ),
        (
            "rms_gradient_ev_per_angstrom",
            r"RMS gradient",
            r"Conv\. limit for RMS grad\.|Convergence limit for RMS gradient",
            r"Conv\. in RMS gradients|RMS gradient is converged",
        ),
        (
            "pressure_deviation_gpa",
            r"Pressure Deviation \[bar\]|Pressure deviation.*\[bar\]",
            r"Pressure Tolerance \[bar\]|Pressure tolerance \[bar\]",
            r"Conv\. for PRESSURE|Pressure is converged",
        ),
    )
    for wording, part in ((values, "value"), (limits, "limit"), (verdicts, "met"))
)
_FORCE_UNITS = {
    "a.u.": units.EV_PER_ANGSTROM_PER_ATOMIC_FORCE,
    "hartree/bohr": units.EV_PER_ANGSTROM_PER_ATOMIC_FORCE,
    "hartree*bohr^-1": units.EV_PER_ANGSTROM_PER_ATOMIC_FORCE,
    "ev/angstrom": 1.0,
    "ev*angstrom^-1": 1.0,
}
_STRESS_UNITS = {"gpa": 1.0, "bar": units.GPA_PER_BAR, "kbar": 0.1, "mbar": 100.0, "pa": 1e-9, "atm": 1.01325e-4}


def _lines(stream: BinaryIO, offset: int) -> Iterator[bytes]:
    stream.seek(offset)
    while line := stream.readline(1 << 16):
        yield line


def _unit(header: bytes, known: dict[str, float]) -> float | None:
    found = re.search(rb"\[([^\]]*)\]", header)
    return known.get(found.group(1).decode("ascii", "replace").strip().lower()) if found else None


def _rows(stream: BinaryIO, offset: int, row: re.Pattern[bytes], head: int) -> tuple[bytes, list[list[float]], bytes]:
    """Header line, the numbers of the consecutive rows that fit, and the line that ended them."""
    lines = _lines(stream, offset)
    header = next(lines, b"")
    table: list[list[float]] = []
    for count, line in enumerate(lines):
        if found := row.fullmatch(line):
            table.append([float(word.lower().replace(b"d", b"e")) for word in found.group(1).split()])
        elif table:
            return header, table, line
        elif count > head:
            break
    return header, table, b""


def read_forces(stream: BinaryIO, *, offset: int, n_atoms: int | None) -> np.ndarray | None:
    """Atomic forces (n, 3) in eV/Å, or ``None`` when rows are missing, damaged or in an unknown unit."""
    header, table, after = _rows(stream, offset, _ATOM_FORCE, 6)
    factor = _unit(header, _FORCE_UNITS)
    whole = (
        b"SUM OF ATOMIC FORCES" in after
        or b"FORCES|" in after
        or (n_atoms is not None and bool(after.strip()) is False and after.endswith(b"\n"))
    )
    if factor is None or not table or not whole or (n_atoms is not None and len(table) != n_atoms):
        return None
    forces = np.array([line[:3] for line in table]) * factor
    return forces if np.isfinite(forces).all() else None


def read_stress(stream: BinaryIO, *, offset: int) -> np.ndarray | None:
    """Stress tensor (3, 3) in GPa with CP2K's sign, or ``None``."""
    header, table, _ = _rows(stream, offset, _STRESS_ROW, 4)
    factor = _unit(header, _STRESS_UNITS)
    if factor is None or len(table) != 3:
        return None
    return np.array(table) * factor


def read_charges(stream: BinaryIO, *, offset: int, n_atoms: int | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Net charges (n,) in e and, for two spin channels, spin moments (n,) in μB of a Mulliken or Hirshfeld table."""
    head = b"".join(line for line, _ in zip(_lines(stream, offset), range(4), strict=False))
    columns = re.search(rb"Net charge[ \t]+Spin moment|Spin moment[ \t]+Net charge|Net charge", head)
    _, table, after = _rows(stream, offset, _CHARGE_ROW, 4)
    if columns is None or not after.endswith(b"\n") or len({len(line) for line in table}) != 1:
        return None, None
    if n_atoms is not None and len(table) != n_atoms:
        return None, None
    values = np.array(table)
    if columns.group().startswith(b"Spin"):
        return values[:, -1], values[:, -2]
    if columns.group().endswith(b"moment"):
        return values[:, -2], values[:, -1]
    return values[:, -1], None


def read_dipole(stream: BinaryIO, *, offset: int) -> np.ndarray | None:
    """Dipole moment (3,) in debye from the line after its header."""
    lines = _lines(stream, offset)
    next(lines, b"")
    found = _DIPOLE.match(next(lines, b""))
    return np.array([float(word) for word in found.groups()]) if found else None


def read_criteria(stream: BinaryIO, *, offset: int) -> dict[str, Criterion]:
    """The convergence tests printed after an optimisation step, in both wordings of CP2K, in Å, eV/Å and GPa."""
    found: dict[str, dict[str, float | bool]] = {}
    name = ""
    for line, _ in zip(_lines(stream, offset), range(_CRITERIA_LINES), strict=False):
        text = " ".join(line.decode("utf-8", "replace").replace("OPT|", " ").replace("=", " ").split())
        if not line.endswith(b"\n") or text.startswith(("OPTIMIZATION STEP", "Number of electrons")):
            break
        if text == "Conv. for gradients NO" and name:  # said alike of the largest and of the RMS gradient
            found[name]["met"] = False
            continue
        for pattern, entry, part in _CRITERIA:
            if match := pattern.fullmatch(text):
                name, value = entry, match.group(1)
                numbers = found.setdefault(name, {})
                numbers[part] = value == "YES" if part == "met" else abs(float(value)) * _CRITERIA_UNITS[name]
                break
    return {name: Criterion(parts.get("value"), parts.get("limit"), _verdict(parts)) for name, parts in found.items()}


def _verdict(parts: dict[str, float | bool]) -> bool | None:
    return bool(parts["met"]) if "met" in parts else None


def read_kinds(stream: BinaryIO, *, offset: int) -> tuple[dict[str, str], dict[str, str]]:
    """Orbital basis set and potential of every atomic kind, as the block ``ATOMIC KIND INFORMATION`` names them."""
    basis: dict[str, str] = {}
    potential: dict[str, str] = {}
    kind = None
    for line in _lines(stream, offset):
        if stream.tell() - offset > _KIND_BYTES or _KINDS_END.match(line):
            break
        if found := _KIND.match(line):
            kind = found.group(1).decode("utf-8", "replace")
        elif kind is not None and (found := _BASIS.match(line)):
            basis[kind] = found.group(1).decode("utf-8", "replace")
        elif kind is not None and (found := _POTENTIAL.match(line)):
            potential[kind] = found.group(1).decode("utf-8", "replace")
    return basis, potential


def count_atoms(stream: BinaryIO, *, offset: int) -> int | None:
    """Number of rows of the table of atomic coordinates at ``offset``; ``None`` when it does not end."""
    _, table, after = _rows(stream, offset, _COORDINATE_ROW, 6)
    return len(table) if table and after.endswith(b"\n") else None


_ATOM_ROW = re.compile(
    rb" *\d+ +\d+ +([A-Za-z]{1,2})(?: +\d+)? +(%s) +(%s) +(%s)(?: +(%s))? +%s *\r?\n" % ((NUMBER,) * 5)
)


def read_coordinates(stream: BinaryIO, *, offset: int) -> tuple[tuple[str, ...], np.ndarray, np.ndarray] | None:
    """Elements, positions (n, 3) in Å and effective core charges (n,) of the table of atomic coordinates.

    ``None`` when the table is not whole, in another unit, or its names are not those of elements.
    """
    lines = _lines(stream, offset)
    if b"angstrom" not in next(lines, b"").lower():
        return None
    symbols: list[str] = []
    rows: list[list[float]] = []
    for count, line in enumerate(lines):
        if found := _ATOM_ROW.fullmatch(line):
            symbols.append(found.group(1).decode().capitalize())
            rows.append([float(word or b"nan") for word in found.groups()[1:]])
        elif _COORDINATE_ROW.fullmatch(line):
            return None
        elif rows:
            break
        elif count > _HEAD_LINES:
            return None
    table = np.array(rows)
    return (tuple(symbols), table[:, :3], table[:, 3]) if rows else None


def read_message(stream: BinaryIO, *, offset: int) -> str:
    """The text of a warning or of an error box that starts at ``offset``: CP2K's words without its ornaments."""
    stream.seek(offset)
    words: list[str] = []
    for line in stream.read(_MESSAGE_BYTES).split(b"\n"):
        text = line.decode("utf-8", "replace").strip()
        if not text or (not text.startswith("*") and words):
            break
        if set(text) == {"*"}:
            if words:
                break
            continue
        text = re.sub(r"^\*+|\*+$", "", text).strip()
        text = re.sub(r"^(?:/?\s*___|/ *\\|\[ABORT\]|\\___/|O/\||/\| \||/ \\|\|)(?:\s+|$)", "", text).strip()
        if text:
            words.append(text)
    return re.sub(r" (\S+\.F:\d+)$", r" (\1)", " ".join(" ".join(words).split()))
