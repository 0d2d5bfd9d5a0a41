"""Energies of levels as CP2K writes them: projected densities of states, bands on k-points, printed orbitals.

``PROJECT-k1-1.pdos`` holds levels, occupations and weights; the Fermi level is the one in its header, never guessed
from the occupations. ``PROJECT-bands.bs`` holds band energies: a k-point run prints no gap, and its Monkhorst–Pack mesh
need not hold the band edges (an even mesh has neither Γ nor the corners of the zone), so this file is where they are
read from. An output prints energies of single orbitals at Γ only, with orbital cubes and in tables of molecular
orbitals; which of them is occupied follows from the number of occupied orbitals it printed. Energies in eV.
"""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from qdip_struct.base import units
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import read_text
from qdip_struct.cp2k.outputs.output import output_files
from qdip_struct.cp2k.outputs.run import Run

_HEADER = re.compile(
    r"# *Projected DOS for (?:atomic kind +(?P<kind>\S+)|list +(?P<list>\d+) +of +(?P<count>\d+) +atoms?).*?"
    r"step i *= *(?P<step>\d+)",
    re.IGNORECASE,
)
_HEADER_FERMI = re.compile(r"E\(Fermi\) *= *(?P<fermi>[-+.\dEe]+) *\[?(?P<unit>a\.u\.|hartree|eV)\]?", re.IGNORECASE)
"""On the first line of a file; from 2026 on on the second."""
_TITLES = re.compile(r"# *MO +(?:Eigenvalue|Energy) *\[(?P<unit>[^\]]*)\] +Occupation(?P<channels>.*)")
_SUM_OF_CHANNELS = "Total"
_SPIN = re.compile(r"-(ALPHA|BETA)_(?:k|list)\d+-[^-]*\.pdos$")


@dataclass(frozen=True, eq=False)
class ProjectedDos:
    """Levels of one spin channel projected on the atoms of one kind or of one list.

    Attributes
    ----------
    group
        The atomic kind, or "list 1".
    n_atoms
        Atoms of a list; ``None`` for a kind.
    spin
        ``None`` without spin polarisation.
    step
        CP2K's step counter.
    fermi_ev
        Of the header, eV on the scale of the levels.
    energies_ev
        (n,) levels, eV, not shifted.
    occupations
        (n,) electrons.
    channels
        Names of the m columns: "s", "p", ..., or "py", "pz", ... when printed by component.
    weights
        (n, m) projections.
    """

    path: Path
    group: str
    n_atoms: int | None
    spin: Literal["ALPHA", "BETA"] | None
    step: int
    fermi_ev: float
    energies_ev: np.ndarray
    occupations: np.ndarray
    channels: tuple[str, ...]
    weights: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Weight of each level on this group (n,): the sum over its channels."""
        total: np.ndarray = self.weights.sum(axis=1)
        return total


def read_pdos(path: Path) -> ProjectedDos:
    """Read the last block of a ``.pdos`` file.

    Raises
    ------
    DataError
        If the file is missing, has no PDOS header, or a row is damaged or cut.
    """
    lines = read_text(path).splitlines()
    starts = [(number, found) for number, line in enumerate(lines) if (found := _HEADER.match(line))]
    if not starts:
        raise DataError(f"{path} is not a CP2K PDOS file: expected a first line '# Projected DOS for atomic kind ...'")
    start, header = starts[-1]
    after = next((n for n in range(start + 1, len(lines)) if not lines[n].startswith("#")), len(lines))
    fermi, titles = _HEADER_FERMI.search("\n".join(lines[start:after])), _TITLES.match(lines[after - 1])
    if titles is None:
        raise DataError(f"{path}, line {after}: expected the column titles 'MO Eigenvalue [a.u.] Occupation ...'")
    if fermi is None:
        raise DataError(f"{path}, line {start + 1}: expected the Fermi level 'E(Fermi) = ...' in the header")
    columns = titles["channels"].split()
    channels = tuple(name for name in columns if name != _SUM_OF_CHANNELS)
    rows: list[list[float]] = []
    for number, line in enumerate(lines[after:], after + 1):
        words = line.split()
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = []
        if len(row) != 3 + len(columns) or not np.isfinite(row).all():
            raise DataError(f"{path}, line {number}: expected {3 + len(columns)} numbers, the file is damaged or cut")
        rows.append(row)
    if not rows:
        raise DataError(f"{path} holds no levels after its header: CP2K was stopped while it wrote them")
    table = np.array(rows)
    spin = _SPIN.search(path.name)
    return ProjectedDos(
        path=path,
        group=header["kind"] or f"list {header['list']}",
        n_atoms=int(header["count"]) if header["count"] else None,
        spin=None if spin is None else ("ALPHA" if spin[1] == "ALPHA" else "BETA"),
        step=int(header["step"]),
        fermi_ev=float(fermi["fermi"]) * _factor(fermi["unit"]),
        energies_ev=table[:, 1] * _factor(titles["unit"]),
        occupations=table[:, 2],
        channels=channels,
        weights=table[:, [3 + k for k, name in enumerate(columns) if name != _SUM_OF_CHANNELS]],
    )


def _factor(unit: str) -> float:
    return 1.0 if unit.lower() == "ev" else units.EV_PER_HARTREE


def broadened(
    pdos: ProjectedDos, *, energies_ev: np.ndarray, sigma_ev: float, channel: str | None = None
) -> np.ndarray:
    """Density of states (k,) in 1/eV at ``energies_ev`` (k,): Σ wᵢ exp(−(E − Eᵢ)²/2σ²)/(σ√2π).

    Parameters
    ----------
    pdos
        Levels and weights.
    energies_ev
        Where to evaluate, eV, on the scale of ``pdos.energies_ev``.
    sigma_ev
        Width of the Gaussian, eV, greater than 0.
    channel
        One column of the weights, or their sum.

    Raises
    ------
    UsageError
        If the width is not positive and finite or the channel is unknown.
    """
    if not (np.isfinite(sigma_ev) and sigma_ev > 0):
        raise UsageError(f"sigma_ev {sigma_ev}: expected a width greater than 0 eV")
    if channel is not None and channel not in pdos.channels:
        raise UsageError(f"no channel '{channel}' in {pdos.path}: it holds {', '.join(pdos.channels)}")
    weights = pdos.total if channel is None else pdos.weights[:, pdos.channels.index(channel)]
    distance = (np.asarray(energies_ev, dtype=float)[:, None] - pdos.energies_ev) / sigma_ev
    density: np.ndarray = np.exp(-0.5 * distance**2) @ weights / (sigma_ev * np.sqrt(2 * np.pi))
    return density


_SET = re.compile(r"# *Set +(\d+) *:")
_SPECIAL = re.compile(r"# *Special point +\d+ +" + r" +".join([r"(-?\d+\.\d+)"] * 3) + r" +(\S+)")
_POINT = re.compile(r"# *Point +\d+ +Spin +([12]) *: +" + r" +".join([r"(-?\d+\.\d+)"] * 3))
_SAME_POINT = 1e-6


@dataclass(frozen=True, eq=False)
class Bands:
    """Band energies of one run.

    Attributes
    ----------
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
