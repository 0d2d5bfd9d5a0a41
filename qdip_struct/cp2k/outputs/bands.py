"""Band energies on a set of k-points (``PROJECT-bands.bs``), as CP2K's ``&BAND_STRUCTURE`` writes them.

A k-point run prints no gap, and its Monkhorst–Pack mesh need not hold the band edges (an even mesh has neither Γ nor
the corners of the zone): this file is where they are read from.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qdip_struct.base.errors import DataError
from qdip_struct.base.files import read_text

_SET = re.compile(r"# *Set +(\d+) *:")
_SPECIAL = re.compile(r"# *Special point +\d+ +" + r" +".join([r"(-?\d+\.\d+)"] * 3) + r" +(\S+)")
_POINT = re.compile(r"# *Point +\d+ +Spin +([12]) *: +" + r" +".join([r"(-?\d+\.\d+)"] * 3))
_SAME_POINT = 1e-6


@dataclass(frozen=True, eq=False)
class Bands:
    """Band energies of one run.

    Attributes
    ----------
    path
        The file.
    spins
        (n,) spin channel of each point, 1 or 2.
    kpoints
        (n, 3) in reciprocal lattice vectors.
    energies_ev
        (n, m) eV on the run's scale, ascending as CP2K orders them.
    occupations
        (n, m) electrons.
    names
        Names of special points and their coordinates, (3,) each.
    """

    path: Path
    spins: np.ndarray
    kpoints: np.ndarray
    energies_ev: np.ndarray
    occupations: np.ndarray
    names: dict[str, np.ndarray]

    def name_of(self, kpoint: np.ndarray) -> str | None:
        """The name of a special point, ``None`` for any other."""
        for name, place in self.names.items():
            if np.abs(place - kpoint).max() < _SAME_POINT:
                return name
        return None


def read_bands(path: Path) -> Bands:
    """Read all sets of a ``.bs`` file; of a file with several steps the last.

    Raises
    ------
    DataError
        If the file is missing, damaged, cut, or of the layout that CP2K wrote before version 8.
    """
    lines = read_text(path).splitlines()
    starts = [number for number, line in enumerate(lines) if (found := _SET.match(line)) and found[1] == "1"]
    if not starts:
        raise DataError(f"{path} is no band structure of CP2K 8 or later: expected a first line '# Set 1: ...'")
    names: dict[str, np.ndarray] = {}
    spins: list[int] = []
    kpoints: list[list[float]] = []
    rows: list[list[tuple[float, float]]] = []
    for number, line in enumerate(lines[starts[-1] :], starts[-1] + 1):
        if found := _SPECIAL.match(line):
            names.setdefault(found[4], np.array([float(found[axis]) for axis in (1, 2, 3)]))
        elif found := _POINT.match(line):
            spins.append(int(found[1]))
            kpoints.append([float(found[axis]) for axis in (2, 3, 4)])
            rows.append([])
        elif line.strip() and not line.startswith("#"):
            try:
                band, energy, occupation = (float(word) for word in line.split())
            except ValueError:
                band, energy, occupation = np.nan, np.nan, np.nan
            if not rows or not np.isfinite([energy, occupation]).all() or band != len(rows[-1]) + 1:
                raise DataError(f"{path}, line {number}: expected band, energy and occupation; the file is damaged")
            rows[-1].append((energy, occupation))
    if not rows or not rows[0] or len({len(row) for row in rows}) > 1:
        raise DataError(f"{path} does not hold the same bands at every k-point: CP2K was stopped while it wrote them")
    table = np.array(rows)
    return Bands(path, np.array(spins), np.array(kpoints), table[:, :, 0], table[:, :, 1], names)
