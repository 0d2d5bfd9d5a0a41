"""Cube files: densities and potentials on a grid, their planar and macroscopic averages, sums and differences.

Values stay in the unit CP2K wrote (densities e/bohr³, Hartree potentials hartree, orbitals bohr^-3/2); lengths are Å.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from qdip_struct.base import units
from qdip_struct.base.errors import DataError, MismatchError, UsageError

if TYPE_CHECKING:
    from ase import Atoms

_SAME_ANGSTROM = 1e-4
_NO_LETTER = re.compile(r"(\.\d+)([-+]\d{3})\b")
_TOUCHING = re.compile(r"(E[-+]\d{3})(?=[-+.\d])")
"""Where a number of CP2K of spring 2026 ends (``6E13.5E3``: as wide as a negative number is) and the next begins."""
_MOST_ATOMS, _MOST_POINTS, _HEAVIEST = 10_000_000, 100_000, 118


@dataclass(frozen=True, eq=False)
class Cube:
    """A scalar field on a grid.

    Attributes
    ----------
    title
        What the file says it holds.
    atoms
        Its atoms in the file's cell, voxel × count: with a ``STRIDE`` that does not divide CP2K's grid that is a
        little larger than the run's cell, and integrals and averages over it are wrong (see :func:`check_cell`).
    origin
        (3,) place of the first point, Å.
    spacing
        (3, 3) edge vectors of a voxel as rows, Å.
    values
        (i, j, k) in the unit CP2K wrote.
    """

    path: Path
    title: str
    atoms: "Atoms"
    origin: np.ndarray
    spacing: np.ndarray
    values: np.ndarray

    @property
    def cell(self) -> np.ndarray:
        """Cell (3, 3) Å spanned by the voxels."""
        cell: np.ndarray = self.spacing * np.array(self.values.shape)[:, None]
        return cell

    @property
    def voxel_bohr3(self) -> float:
        """Volume of a voxel in bohr³."""
        return abs(float(np.linalg.det(self.spacing))) / units.ANGSTROM_PER_BOHR**3


@dataclass(frozen=True, eq=False)
class Profile:
    """Values along the normal of two cell vectors, periodic.

    Attributes
    ----------
    heights_angstrom
        (n,) heights along the normal, Å.
    values
        (n,) in the unit of the cube.
    """

    heights_angstrom: np.ndarray
    values: np.ndarray
    length_angstrom: float


def read_cube(path: Path) -> Cube:
    """Read a cube file.

    Numbers with a three-digit exponent, which Fortran writes without its E (``0.12345-101``) or so that they touch
    (``-0.32267E+001-0.31374E+001``), are understood. Of a
    file with a list of orbitals (negative number of atoms) the first one is taken when it is the only one.

    Raises
    ------
    DataError
        If the file is missing, cut, damaged or not a cube.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            titles = [stream.readline().strip(), stream.readline().strip()]
            atoms, origin, spacing, shape = _head(stream)
            values = _numbers(stream.read())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, IndexError, OverflowError, MemoryError) as error:
        raise DataError(f"{path} is not a whole cube file: {' '.join(str(error).split())}") from error
    if values.size != np.prod(shape):
        raise DataError(f"{path} is not a whole cube file: {values.size} values for a grid of {np.prod(shape)} points")
    if not np.isfinite(values).all() or abs(np.linalg.det(spacing)) == 0:
        raise DataError(f"{path}: expected finite values on a three-dimensional grid with a volume")
    title = " ".join(line for line in titles if line and line != "-Quickstep-")
    return Cube(path, title, atoms, origin, spacing, values.reshape(shape))


def _head(stream: TextIO) -> "tuple[Atoms, np.ndarray, np.ndarray, tuple[int, int, int]]":
    """Atoms, origin and voxel edges (Å), grid: everything before the values."""
    from ase import Atoms

    words = stream.readline().split()
    count, origin = int(words[0]), np.array(words[1:4], dtype=float)
    axes = [stream.readline().split() for _ in range(3)]
    shape = (int(axes[0][0]), int(axes[1][0]), int(axes[2][0]))
    if min(shape) < 1 or abs(count) > _MOST_ATOMS or max(shape) > _MOST_POINTS:
        raise ValueError(f"a grid of {shape} points and {count} atoms cannot be")
    spacing = np.array([axis[1:4] for axis in axes], dtype=float) * units.ANGSTROM_PER_BOHR
    rows = np.array([stream.readline().split()[:5] for _ in range(abs(count))], dtype=float).reshape(-1, 5)
    if count < 0:
        orbitals = stream.readline().split()
        if orbitals[:1] != ["1"]:
            raise ValueError("it holds several orbitals; one is expected")
    numbers = rows[:, 0].astype(int)
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() <= _HEAVIEST):
        raise ValueError("an atomic number is out of range")
    cell = spacing * np.array(shape)[:, None]
    atoms = Atoms(numbers=numbers, positions=rows[:, 2:] * units.ANGSTROM_PER_BOHR, cell=cell, pbc=True)
    return atoms, origin * units.ANGSTROM_PER_BOHR, spacing, shape


def _numbers(text: str) -> np.ndarray:
    """All numbers of a text, (n,)."""
    try:
        return np.array(text.split(), dtype=float)
    except ValueError:
        return np.array(_NO_LETTER.sub(r"\1E\2", _TOUCHING.sub(r"\1 ", text)).split(), dtype=float)


def check_cell(cube: Cube, *, cell: np.ndarray) -> None:
    """Make sure that the voxels tile ``cell`` (3, 3) Å.

    Raises
    ------
    MismatchError
        If they do not: another run's cube, or a ``STRIDE`` that does not divide CP2K's grid.
    """
    off = float(np.abs(cube.cell - np.asarray(cell)).max())
    if off > 2e-3:
        raise MismatchError(
            f"{cube.path}: its voxels span a cell that differs by {off:.3f} Å from the run's; "
            "print the cube with STRIDE 1 or one that divides the grid"
        )


def integral(cube: Cube) -> float:
    """∫ f dV over the cell, in the cube's unit × bohr³: the number of electrons of a density."""
    return float(cube.values.sum()) * cube.voxel_bohr3


def cube_difference(whole: Cube, *parts: Cube) -> Cube:
    """f_whole − Σ f_part on the same grid: a charge-density difference Δρ = ρ_AB − ρ_A − ρ_B.

    Raises
    ------
    MismatchError
        If grid, origin or cell differ.
    """
    values = whole.values.copy()
    for part in parts:
        if part.values.shape != values.shape:
            raise MismatchError(
                f"{part.path} has a grid of {part.values.shape} points and {whole.path} one of {values.shape}: "
                "use the same cell and cutoff in all runs"
            )
        off = max(np.abs(part.cell - whole.cell).max(), np.abs(part.origin - whole.origin).max())
        if off > _SAME_ANGSTROM:
            raise MismatchError(f"the cells of {part.path} and {whole.path} differ by {off:.4f} Å")
        values -= part.values
    return Cube(whole.path, f"difference of {whole.title}", whole.atoms, whole.origin, whole.spacing, values)


def planar_average(cube: Cube, *, axis: int = 2) -> Profile:
    """Mean of the values over the planes spanned by the other two cell vectors, f̄(z) = (1/A) ∫∫ f dx dy.

    Heights are measured from the cell's origin along the normal of those planes.

    Raises
    ------
    UsageError
        If ``axis`` is not 0, 1 or 2.
    """
    if axis not in (0, 1, 2):
        raise UsageError(f"axis {axis}: expected 0, 1 or 2")
    others = tuple(i for i in range(3) if i != axis)
    normal = np.cross(cube.spacing[others[0]], cube.spacing[others[1]])
    normal /= np.linalg.norm(normal)
    step = abs(float(cube.spacing[axis] @ normal))
    count = cube.values.shape[axis]
    start = float(cube.origin @ normal) * float(np.sign(cube.spacing[axis] @ normal))
    return Profile(start + step * np.arange(count), cube.values.mean(axis=others), step * count)


def macroscopic_average(profile: Profile, *, periods_angstrom: Sequence[float]) -> Profile:
    """Running mean over one period, or over the two periods of an interface one after the other.

    f̿(z) = (1/L) ∫ f̄(z′) dz′ over z ± L/2, done exactly for the periodic profile by its Fourier coefficients times
    sin(kL/2)/(kL/2). Source: Baldereschi, Baroni, Resta, Phys. Rev. Lett. 61, 734 (1988), 10.1103/PhysRevLett.61.734.

    Raises
    ------
    UsageError
        If a period is not positive and finite.
    """
    coefficients = np.fft.rfft(profile.values)
    waves = np.fft.rfftfreq(len(profile.values), d=profile.length_angstrom / len(profile.values))
    for period in periods_angstrom:
        if not (np.isfinite(period) and period > 0):
            raise UsageError(f"period {period}: expected a length greater than 0 Å")
        coefficients = coefficients * np.sinc(waves * period)
    values = np.fft.irfft(coefficients, n=len(profile.values))
    return Profile(profile.heights_angstrom, values, profile.length_angstrom)
