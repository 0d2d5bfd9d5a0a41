"""The files a stopped CP2K can go on from: which of them are whole, and the last good state among them.

CP2K overwrites its wave function in place and keeps the three geometries before the last one, so a kill or a full disk
can leave a torn file beside good ones. A torn file is set aside as ``NAME.damaged``; its backup takes its place.
"""

import contextlib
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qdip_struct.base.cp2k_input import Keyword, find_section, parse_input
from qdip_struct.base.errors import DataError
from qdip_struct.base.files import read_text, write_bytes
from qdip_struct.cp2k.inputs.deck import PROJECT

GEOMETRY = f"{PROJECT}-1.restart"
WAVE_FUNCTIONS = (f"{PROJECT}-RESTART.wfn", f"{PROJECT}-RESTART.kp")
DAMAGED = "damaged"
_MARK = struct.Struct("=i")
_FIRST_RECORDS = {"wfn": 20, "kp": 4}


@dataclass(frozen=True)
class GoodState:
    """What the next segment can start from: a restart file with the last geometry, whole orbitals, or neither."""

    geometry: Path | None
    orbitals: bool


def good_state(folder: Path, *, n_atoms: int) -> GoodState:
    """Find the last good state in a run folder, setting aside what is torn.

    Parameters
    ----------
    folder
        A run folder in which nobody is at work.
    n_atoms
        Atoms of the run, ghosts included.
    """
    for name in WAVE_FUNCTIONS:
        _restore(folder / name, whole=is_whole_wave_function)
    _restore(folder / GEOMETRY, whole=lambda place: is_whole_geometry(place, n_atoms=n_atoms))
    geometry = folder / GEOMETRY
    return GoodState(
        geometry=geometry if geometry.is_file() else None,
        orbitals=any((folder / name).is_file() for name in WAVE_FUNCTIONS),
    )


def discard_state(folder: Path) -> None:
    """Set aside what CP2K could not start from: the orbitals first, and the geometries once there are no orbitals."""
    orbitals = [folder / name for name in WAVE_FUNCTIONS if (folder / name).is_file()]
    for name in WAVE_FUNCTIONS if orbitals else (GEOMETRY,):
        for place in (folder / name, *_backups(folder / name)):
            if place.is_file():
                _set_aside(place)


def saved_state(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time (ns) of each of these files: it differs when CP2K has saved since."""
    found = {}
    for name in (GEOMETRY, *WAVE_FUNCTIONS):
        # A running CP2K renames them.
        with contextlib.suppress(OSError):
            state = (folder / name).stat()
            found[name] = (state.st_size, state.st_mtime_ns)
    return found


def is_whole_wave_function(place: Path) -> bool:
    """Whether a file is a whole sequence of Fortran records of the kind CP2K writes.

    Every record stands between two marks with its length; a negative mark says that the record goes on.
    """
    try:
        size = place.stat().st_size
        with place.open("rb") as stream:
            position, first = 0, None
            while position < size:
                opening = _mark(stream.read(_MARK.size))
                if opening is None:
                    return False
                position += 2 * _MARK.size + abs(opening)
                stream.seek(position - _MARK.size)
                closing = _mark(stream.read(_MARK.size))
                if closing is None or abs(closing) != abs(opening):
                    return False
                first = abs(opening) if first is None else first
    except OSError:
        return False
    return position == size and first == _FIRST_RECORDS.get(_kind(place))


def is_whole_geometry(place: Path, *, n_atoms: int) -> bool:
    """Whether a ``.restart`` file is a whole CP2K input with a finite position for every atom."""
    try:
        tree = parse_input(read_text(place), source=str(place))
        section = find_section(tree, "FORCE_EVAL/SUBSYS/COORD")
    except (DataError, OSError):
        return False
    if section is None:
        return False
    rows = [entry.value.split()[:3] for entry in section.entries if isinstance(entry, Keyword)]
    return sum(_is_position(row) for row in rows) >= n_atoms


def _is_position(words: list[str]) -> bool:
    try:
        return len(words) == 3 and all(math.isfinite(float(word)) for word in words)
    except ValueError:
        return False


def _kind(place: Path) -> str:
    found = re.search(r"RESTART\.(wfn|kp)", place.name)
    return found.group(1) if found else ""


def _mark(content: bytes) -> int | None:
    return _MARK.unpack(content)[0] if len(content) == _MARK.size else None


def _backups(place: Path) -> list[Path]:
    """Backups of a file, the latest first."""
    numbered = ((place.with_name(f"{place.name}.bak-{number}")) for number in range(1, 10))
    return [backup for backup in numbered if backup.is_file()]


def _restore(place: Path, *, whole: Callable[[Path], bool]) -> None:
    if not place.exists() or whole(place):
        return
    _set_aside(place)
    for backup in _backups(place):
        if whole(backup):
            write_bytes(place, backup.read_bytes())
            return


def _set_aside(place: Path) -> None:
    try:
        place.replace(place.with_name(f"{place.name}.{DAMAGED}"))
    except OSError as error:
        raise DataError(f"cannot set {place} aside: {error.strerror or error}") from error
