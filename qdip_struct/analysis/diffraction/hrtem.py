"""High-resolution electron micrographs of structures by multislice, through abTEM (GPL-3.0, extra ``hrtem``).

abTEM: Madsen, Susi, Open Research Europe 1, 24 (2021), 10.12688/openreseurope.13015.2. Imported only here, late. A
beam along a zone axis needs a right-angled cell that is periodic across it: whole lattice vectors of the same crystal
along and across the axis, nothing strained.
"""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qdip_struct.base.errors import ToolError, UsageError

if TYPE_CHECKING:
    from ase import Atoms

SCHERZER = 1.2
"""Scherzer defocus is 1.2 √(C_s λ)."""

_MOST_PIXELS = 4_000_000

RIGHT_ANGLE = 1e-3
"""Largest cosine of an angle that still counts as right (0.06°): relaxed cells are a little off."""

MOST_ATOMS = 200_000
"""Atoms of the largest right-angled cell that is made."""

_LARGEST_INDEX = 12


@dataclass(frozen=True, eq=False)
class Micrograph:
    """A simulated image.

    Attributes
    ----------
    intensity
        (ny, nx), relative to the incoming beam.
    sampling_angstrom
        Size of a pixel along y and x, Å.
    energy_kev
        Of the electrons, keV.
    defocus_angstrom
        Positive for underfocus, as in abTEM, Å.
    cs_mm
        Spherical aberration, mm.
    across, up
        Lattice vectors along x and y.
    """

    intensity: np.ndarray
    sampling_angstrom: tuple[float, float]
    energy_kev: float
    defocus_angstrom: float
    cs_mm: float
    across: str
    up: str


def micrograph(
    atoms: "Atoms",
    *,
    beam: int = 2,
    energy_kev: float = 200.0,
    cs_mm: float = 1.0,
    defocus_angstrom: float | None = None,
    aperture_mrad: float = 15.0,
    sampling_angstrom: float = 0.1,
    slice_angstrom: float = 1.0,
) -> Micrograph:
    """Multislice image of a structure with a plane wave along one of its cell vectors.

    Parameters
    ----------
    atoms
        Structure in a three-dimensional cell, periodic across the beam. An oblique one is repeated to the smallest
        right-angled cell (:func:`qdip_struct.analysis.diffraction.hrtem.right_angled`), which strains nothing.
    beam
        Cell vector along the beam, 0, 1 or 2.
    energy_kev
        Energy of the electrons, keV.
    cs_mm
        Spherical aberration, mm.
    defocus_angstrom
        Underfocus, Å; default Scherzer's, 1.2 √(C_s λ).
    aperture_mrad
        Half angle of the objective aperture, mrad.
    sampling_angstrom, slice_angstrom
        Pixel size of the wave and thickness of a slice, Å.

    Raises
    ------
    ToolError
        If abTEM is not installed.
    UsageError
        If a number makes no sense, the crystal has no right-angled cell along the beam or one of over 200,000 atoms, or
        the picture would have over 4 million pixels.
    """
    if beam not in (0, 1, 2):
        raise UsageError(f"beam {beam}: expected 0, 1 or 2")
    for name, value, low, high in (
        ("energy", energy_kev, 20.0, 3000.0),
        ("aperture", aperture_mrad, 0.1, 100.0),
        ("sampling", sampling_angstrom, 0.01, 0.5),
        ("slice", slice_angstrom, 0.1, 5.0),
    ):
        if not (np.isfinite(value) and low <= value <= high):
            raise UsageError(f"{name} {value:g}: expected {low:g} to {high:g}")
    if not (np.isfinite(cs_mm) and cs_mm >= 0) or not (defocus_angstrom is None or np.isfinite(defocus_angstrom)):
        raise UsageError("the spherical aberration is 0 mm or more and the defocus finite")
    box, matrix = right_angled(atoms, beam=beam)
    lengths = box.cell.lengths()
    if lengths[0] * lengths[1] / sampling_angstrom**2 > _MOST_PIXELS:
        raise UsageError(f"over {_MOST_PIXELS} pixels: name a larger sampling than {sampling_angstrom:g} Å")
    try:
        import abtem
    except ImportError as error:
        raise ToolError("HRTEM needs abTEM (GPL-3.0): pip install 'qdip-struct[hrtem]'") from error
    wavelength = _wavelength_angstrom(energy_kev)
    focus = SCHERZER * float(np.sqrt(cs_mm * 1e7 * wavelength)) if defocus_angstrom is None else defocus_angstrom
    with abtem.config.set({"progress_bar": False, "diagnostics.progress_bar": False, "scheduler": "single-threaded"}):
        potential = abtem.Potential(box, sampling=sampling_angstrom, slice_thickness=slice_angstrom)
        wave = abtem.PlaneWave(energy=1e3 * energy_kev).multislice(potential)
        transfer = abtem.CTF(
            energy=1e3 * energy_kev, Cs=cs_mm * 1e7, defocus=focus, semiangle_cutoff=aperture_mrad, soft=False
        )
        image = wave.apply_ctf(transfer).intensity().compute()
    array = np.asarray(image.array, dtype=float)
    if array.ndim != 2:
        raise ToolError(f"abTEM {abtem.__version__} gave an image with {array.ndim} dimensions; expected 2")
    pixels = (float(lengths[1] / array.shape[1]), float(lengths[0] / array.shape[0]))
    across, up = (_direction(row) for row in matrix[:2])
    return Micrograph(array.T, pixels, energy_kev, float(focus), cs_mm, across, up)


def _direction(indices: np.ndarray) -> str:
    """A cell vector by its letter, any other lattice vector by its indices."""
    for axis in range(3):
        if (indices == np.eye(3, dtype=int)[axis]).all():
            return "abc"[axis]
    return f"[{' '.join(str(int(number)) for number in indices)}]"


def _wavelength_angstrom(energy_kev: float) -> float:
    """Relativistic wavelength h/√(2 m E (1 + E/2mc²)) of an electron, Å."""
    return 12.2643 / float(np.sqrt(1e3 * energy_kev * (1 + 0.978476e-6 * 1e3 * energy_kev)))


def right_angled(atoms: "Atoms", *, beam: int) -> tuple["Atoms", np.ndarray]:
    """The smallest cell with right angles that repeats the crystal, its third vector along a given cell vector.

    Lattice vectors n·a across the beam are searched, n whole numbers up to 12, and the two that are perpendicular to it
    and to each other with the smallest area are taken; a cell that has right angles already keeps its vectors, turned
    so that the other two come first. Nothing is strained but angles off by less than 0.06°, which are set right.

    Parameters
    ----------
    atoms
        Structure in a three-dimensional cell.
    beam
        Cell vector, 0, 1 or 2, that becomes the third.

    Returns
    -------
    atoms, matrix
        The structure in a diagonal cell (periodic), and its vectors in those of the old cell, (3, 3) whole numbers,
        rows. Their order may be left-handed: beam b of a right-angled cell gives a, c, b.

    Raises
    ------
    UsageError
        If the cell has no volume, no such cell exists up to those numbers, or it would hold over 200,000 atoms.
    """
    cell = atoms.cell.array
    if beam not in (0, 1, 2):
        raise UsageError(f"beam {beam}: expected 0, 1 or 2")
    if len(atoms) == 0 or np.abs(np.linalg.det(cell)) < 1e-9:
        raise UsageError("a right-angled cell needs atoms in a three-dimensional cell; put a free cluster into a box")
    matrix = _right_matrix(cell, beam)
    copies = round(abs(float(np.linalg.det(matrix))))
    if copies * len(atoms) > MOST_ATOMS:
        raise UsageError(
            f"the right-angled cell along {'abc'[beam]} is {copies} times as large: {copies * len(atoms)} atoms, "
            f"more than {MOST_ATOMS}: look along another vector or start from a smaller cell"
        )
    from ase import Atoms as AseAtoms
    from ase.build import make_supercell

    right_handed = matrix * np.array([[1], [1 if np.linalg.det(matrix) > 0 else -1], [1]])
    whole = make_supercell(atoms, right_handed)
    vectors = matrix @ cell
    places = whole.positions @ np.linalg.inv(vectors)
    places = np.clip(places - np.floor(places + 1e-9), 0.0, None)
    lengths = np.linalg.norm(vectors, axis=1)
    return AseAtoms(numbers=whole.numbers, scaled_positions=places, cell=lengths, pbc=True), matrix


def _right_matrix(cell: np.ndarray, beam: int) -> np.ndarray:
    others = [axis for axis in range(3) if axis != beam]
    along = cell[beam] / np.linalg.norm(cell[beam])
    span = np.arange(-_LARGEST_INDEX, _LARGEST_INDEX + 1)
    numbers = np.array(list(itertools.product(span, repeat=3)))
    numbers = numbers[(np.gcd.reduce(numbers, axis=1) == 1)]
    vectors = numbers @ cell
    lengths = np.linalg.norm(vectors, axis=1)
    across = np.abs(vectors @ along) <= RIGHT_ANGLE * lengths
    numbers, vectors, lengths = numbers[across], vectors[across], lengths[across]
    order = np.lexsort((*(-numbers.T[::-1]), np.round(lengths, 6)))
    numbers, vectors, lengths = numbers[order], vectors[order], lengths[order]
    best: tuple[float, int, int] | None = None
    for first in range(len(lengths)):
        if best is not None and lengths[first] ** 2 > best[0] * (1 + 1e-9):
            break
        cosines = np.abs(vectors @ vectors[first]) / (lengths * lengths[first])
        partners = np.flatnonzero(cosines <= RIGHT_ANGLE)
        if len(partners):
            area = round(float(lengths[first] * lengths[partners[0]]), 6)
            if best is None or area < best[0]:
                best = (area, first, int(partners[0]))
    if best is None:
        raise UsageError(
            f"no right-angled cell along {'abc'[beam]} within {_LARGEST_INDEX} cells: this lattice has no two "
            "perpendicular vectors across it; look along another vector"
        )
    one, two = numbers[best[1]], numbers[best[2]]
    straight = np.eye(3, dtype=int)[beam]
    if np.abs(two[others[0]]) + np.abs(one[others[1]]) > np.abs(one[others[0]]) + np.abs(two[others[1]]):
        one, two = two, one
    one, two = (row if row[others[place]] >= 0 else -row for place, row in enumerate((one, two)))
    return np.array([one, two, straight])
