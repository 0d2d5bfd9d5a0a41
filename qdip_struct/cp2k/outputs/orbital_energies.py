"""Energies of single orbitals as an output prints them: with orbital cubes, and in tables of molecular orbitals.

CP2K prints them at Γ only; which orbital is occupied follows from the number of occupied orbitals it printed.
"""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qdip_struct.base import units
from qdip_struct.base.errors import DataError
from qdip_struct.cp2k.outputs.output import output_files
from qdip_struct.cp2k.outputs.run import Run

_OCCUPIED = re.compile(rb"\n *Number of occupied orbitals: +(\d+)")
_SUBSPACE = re.compile(rb"(?i)\n *(?:lowest )?eigenvalues of the (un)?occupied subspace spin +([12])[^\n]*\n")
_TABLE = re.compile(rb"\n *MO\| (?:(ALPHA|BETA) )?EIGENVALUES AND OCCUPATION NUMBERS(?! FOR K)[^\n]*\n")
_TABLE_ROW = re.compile(rb" *MO\| +(\d+) +(-?\d+\.\d+) +-?\d+\.\d+ +-?\d+\.\d+")
_FERMI = re.compile(rb"\n *Fermi Energy \[eV\] *: +(-?\d+\.\d+)")
_RULER = re.compile(rb"-+|OT\|")


@dataclass(frozen=True, eq=False)
class OrbitalEnergies:
    """Orbitals of one spin channel.

    Attributes
    ----------
    n_occupied
        How many are occupied, as printed.
    occupied_ev
        (n_occupied,) eV ascending; ``None`` when they were not printed.
    empty_ev
        (m,) eV of the lowest empty ones that were printed; may be empty.
    """

    n_occupied: int
    occupied_ev: np.ndarray | None
    empty_ev: np.ndarray

    def energy_of(self, index: int) -> float | None:
        """Energy (eV) of an orbital counted from 1, ``None`` when it was not printed."""
        if index <= self.n_occupied:
            return None if self.occupied_ev is None else float(self.occupied_ev[index - 1])
        above = index - self.n_occupied - 1
        return float(self.empty_ev[above]) if above < len(self.empty_ev) else None


@dataclass(frozen=True, eq=False)
class PrintedOrbitals:
    """Orbital energies of the last step of a run.

    Attributes
    ----------
    channels
        One or two spin channels.
    fermi_ev
        eV, where one was printed.
    """

    channels: tuple[OrbitalEnergies, ...]
    fermi_ev: float | None


def read_orbital_energies(run: Run) -> PrintedOrbitals:
    """The last printed orbital energies of a run.

    Raises
    ------
    DataError
        If the output does not say how many orbitals are occupied.
    """
    n_channels = 2 if run.settings.spin == "UKS" else 1
    path = output_files(run.path)[-1]
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        counts = [int(found[1]) for found in _OCCUPIED.finditer(text)]
        blocks = {(int(found[2]), found[1] is None): found.end() for found in _SUBSPACE.finditer(text)}
        tables = {2 if found[1] == b"BETA" else 1: found.end() for found in _TABLE.finditer(text)}
        fermi = [float(found[1]) for found in _FERMI.finditer(text)]
        printed = {key: np.array(list(_numbers(text, start))) for key, start in blocks.items()}
        listed = {spin: _table(text, start) for spin, start in tables.items()}
    if len(counts) < n_channels:
        raise DataError(f"{path} does not say how many orbitals are occupied: expected 'Number of occupied orbitals:'")
    channels = []
    for spin, count in enumerate(counts[-n_channels:], start=1):
        below, above = printed.get((spin, True)), printed.get((spin, False), np.empty(0))
        rows = listed.get(spin)
        if below is None and rows is not None and len(rows) >= count:
            below, above = rows[:count], rows[count:]
        occupied = None if below is None or len(below) != count else below * units.EV_PER_HARTREE
        channels.append(OrbitalEnergies(count, occupied, above * units.EV_PER_HARTREE))
    return PrintedOrbitals(tuple(channels), max(fermi[-n_channels:], default=None))


def _numbers(text: mmap.mmap, start: int) -> Iterator[float]:
    """The numbers of a block of eigenvalues, hartree; a damaged one ends it."""
    begun = False
    for line in _lines(text, start):
        words = line.split()
        if not begun and (not words or _RULER.fullmatch(words[0])):
            continue
        try:
            values = [float(word) for word in words]
        except ValueError:
            return
        if not values:
            return
        begun = True
        yield from values


def _table(text: mmap.mmap, start: int) -> np.ndarray:
    """Energies of a table of molecular orbitals, hartree, in the order of their numbers."""
    found: list[float] = []
    for line in _lines(text, start):
        row = _TABLE_ROW.match(line)
        if row is not None and int(row[1]) == len(found) + 1:
            found.append(float(row[2]))
        elif found:
            break
    return np.array(found)


def _lines(text: mmap.mmap, start: int) -> Iterator[bytes]:
    while (end := text.find(b"\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
