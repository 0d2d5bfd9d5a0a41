"""Metal–anion bonds and tilts of octahedra: what strain does inside a unit cell.

Bonds: lengths (Å), coordination, and displacements against another structure with the same atoms. Each bond keeps its
own periodic image, so thin cells are right.

Tilts: for each B cation with six halide neighbours the rotation that best brings the pseudo-cubic axes onto the six
bonds (least squares, directions only) is split into a rotation vector; its components along the axes are the tilt
angles of Glazer's scheme (A. M. Glazer, Acta Cryst. B 28, 3384 (1972), doi:10.1107/S0567740872007976), in degree. Along
a chain of corner-sharing octahedra the angles alternate in sign; ``phase_factor`` tells in-phase (+) from out-of-phase
(−) neighbours.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.strain.phases import ANION_CUTOFF_ANGSTROM, is_perovskite
from qdip_struct.analysis.strain.site_grid import completed_cell, periodic_images
from qdip_struct.analysis.strain.strain import StrainMap
from qdip_struct.base.arrays import Floats
from qdip_struct.base.errors import MismatchError
from qdip_struct.materials.ions import CHALCOGENS, HALIDES

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True, eq=False)
class Bonds:
    """All metal–anion bonds of a structure.

    Attributes
    ----------
    metal, anion
        (b,) indices of the two ends.
    vectors
        (b, 3) from metal to anion, Å.
    """

    metal: NDArray[np.int64]
    anion: NDArray[np.int64]
    vectors: Floats
    n_atoms: int

    @property
    def lengths(self) -> Floats:
        """(b,) Å."""
        lengths: Floats = np.linalg.norm(self.vectors, axis=1)
        return lengths

    def coordination(self) -> NDArray[np.int64]:
        """(n,) number of bonds of each atom."""
        ends = np.concatenate((self.metal, self.anion))
        return np.bincount(ends, minlength=self.n_atoms)

    def mean_length(self) -> Floats:
        """(n,) mean bond length of each atom in Å, NaN for an atom without bonds."""
        ends = np.concatenate((self.metal, self.anion))
        total = np.bincount(ends, weights=np.tile(self.lengths, 2), minlength=self.n_atoms)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: Floats = total / self.coordination()
        return mean

    def summary(self, symbols: NDArray[np.str_]) -> dict[str, dict[str, float | int]]:
        """Kind of bond ("Pb-S") → number, mean and standard deviation of its length in Å."""
        kinds = np.char.add(np.char.add(symbols[self.metal], "-"), symbols[self.anion])
        lengths = self.lengths
        return {
            str(kind): {
                "n": int((kinds == kind).sum()),
                "mean_angstrom": float(lengths[kinds == kind].mean()),
                "std_angstrom": float(lengths[kinds == kind].std()),
            }
            for kind in np.unique(kinds)
        }


def find_bonds(atoms: "Atoms", *, cutoffs: dict[str, float] | None = None) -> Bonds:
    """Bonds from every divalent metal to the chalcogens and halides around it.

    Parameters
    ----------
    atoms
        The structure, positions in Å.
    cutoffs
        Metal → longest bond in Å; default :data:`qdip_struct.analysis.strain.phases.ANION_CUTOFF_ANGSTROM`.
    """
    from scipy.spatial import cKDTree

    reach = cutoffs or ANION_CUTOFF_ANGSTROM
    symbols = np.asarray(atoms.get_chemical_symbols())
    anions = np.flatnonzero(np.isin(symbols, (*CHALCOGENS, *HALIDES)))
    metals, ends, vectors = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)], [np.zeros((0, 3))]
    for element, cutoff in reach.items():
        own = np.flatnonzero(symbols == element)
        if not own.size or not anions.size:
            continue
        both = np.concatenate((own, anions))
        images = periodic_images(atoms.positions[both], cell=atoms.cell.array, pbc=atoms.pbc, margin=cutoff)
        place = np.flatnonzero(images.owner >= len(own))
        start = images.positions[: len(own)]
        pairs = cKDTree(start).sparse_distance_matrix(cKDTree(images.positions[place]), cutoff, output_type="ndarray")
        order = np.lexsort((pairs["j"], pairs["i"]))
        first, second = pairs["i"][order], place[pairs["j"][order]]
        metals.append(own[first])
        ends.append(both[images.owner[second]])
        vectors.append(images.positions[second] - start[first])
    return Bonds(np.concatenate(metals), np.concatenate(ends), np.concatenate(vectors), len(atoms))


def displacements(atoms: "Atoms", *, start: "Atoms") -> Floats:
    """Displacement of every atom from the structure it started from, nearest image, common drift removed; (n, 3) Å.

    Raises
    ------
    MismatchError
        If the two structures do not hold the same elements in the same order, or differ in their cell.
    """
    if len(atoms) != len(start) or not np.array_equal(atoms.numbers, start.numbers):
        raise MismatchError(
            f"the built structure has {len(start)} atoms, this one {len(atoms)}; displacements need the same atoms in "
            "the same order"
        )
    pbc = np.asarray(atoms.pbc, dtype=bool)
    if pbc.any() and not np.allclose(atoms.cell.array, start.cell.array, atol=1e-4):
        raise MismatchError("the two structures have different cells; displacements need the same cell")
    cell = completed_cell(atoms.cell.array, pbc=pbc)
    apart = atoms.positions - start.positions
    apart = apart - np.where(pbc, np.rint(apart @ np.linalg.inv(cell)), 0.0) @ cell
    result: Floats = apart - apart.mean(axis=0)
    return result


@dataclass(frozen=True, eq=False)
class Tilts:
    """Tilts of the octahedra.

    Attributes
    ----------
    sites
        (t,) indices of the B cations with a whole octahedron.
    angles
        (t, 3) tilt about each pseudo-cubic axis, degree.
    phase_factor
        (3, 3) row: axis of the tilt; column: direction of the neighbour; correlation between −1 (out of phase) and
        1 (in phase) of the tilts of neighbouring octahedra, NaN where there is no tilt.
    """

    sites: NDArray[np.int64]
    angles: Floats
    phase_factor: Floats

    def magnitude(self) -> Floats:
        """(t,) total tilt, degree."""
        total: Floats = np.linalg.norm(self.angles, axis=1)
        return total


def octahedral_tilts(atoms: "Atoms", strain: StrainMap) -> Tilts:
    """Tilts of every whole octahedron of the perovskite phases of a strain map."""
    perovskites = [
        name for name, own in strain.references.items() if is_perovskite(name) and [*map(len, own.variants)] == [6]
    ]
    rows = np.flatnonzero(np.isin(strain.phase, perovskites))
    bonds = find_bonds(atoms)
    position = np.full(len(atoms), -1)
    position[strain.sites[rows]] = np.arange(len(rows))
    keep = position[bonds.metal] >= 0
    owner, vectors = position[bonds.metal[keep]], bonds.vectors[keep]
    turns = (
        np.stack([strain.orientations[str(name)] for name in strain.phase[rows]]) if rows.size else np.zeros((0, 3, 3))
    )
    # Bonds in crystal axes; the slot of each is the nearest of ±x, ±y, ±z.
    local = np.einsum("bji,bj->bi", turns[owner], vectors)
    local /= np.linalg.norm(local, axis=1)[:, None]
    axis = np.abs(local).argmax(axis=1)
    slot = 2 * axis + (local[np.arange(len(local)), axis] < 0)
    count = np.bincount(owner * 6 + slot, minlength=len(rows) * 6).reshape(-1, 6)
    whole = (count == 1).all(axis=1)
    sums = np.zeros((len(rows), 6, 3))
    sums[owner, slot] = local
    moment = np.zeros((len(rows), 3, 3))
    for number in range(6):
        direction = np.zeros(3)
        direction[number // 2] = 1.0 - 2.0 * (number % 2)
        moment += sums[:, number, :, None] * direction
    vector = np.full((len(rows), 3), np.nan)
    if whole.any():
        left, _, right = np.linalg.svd(moment[whole])
        flip = np.ones((len(left), 3))
        flip[:, 2] = np.linalg.det(left @ right)
        vector[whole] = _rotation_vector((left * flip[:, None, :]) @ right)
    factors = _correlations(strain, rows, vector)
    return Tilts(strain.sites[rows[whole]], np.degrees(vector[whole]), factors)


def _rotation_vector(R: Floats) -> Floats:
    axial = np.stack((R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]), axis=1)
    sine = 0.5 * np.linalg.norm(axial, axis=1)
    angle = np.arctan2(sine, 0.5 * (np.trace(R, axis1=1, axis2=2) - 1.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(sine > 1e-12, angle / (2.0 * sine), 0.5)
    vector: Floats = axial * scale[:, None]
    return vector


def _correlations(strain: StrainMap, rows: NDArray[np.int64], vector: Floats) -> Floats:
    """Normalised product of the tilts of neighbours along each axis."""
    local = np.full(len(strain.sites), -1)
    local[rows] = np.arange(len(rows))
    factors = np.full((3, 3), np.nan)
    mean_square = np.nanmean(vector**2, axis=0) if np.isfinite(vector).any() else np.zeros(3)
    for direction in range(3):
        partner = strain.partners[rows, direction]
        mate = np.where(partner >= 0, local[partner], -1)
        pairs = np.flatnonzero((mate >= 0) & np.isfinite(vector[:, 0]))
        pairs = pairs[np.isfinite(vector[mate[pairs], 0])]
        if not pairs.size:
            continue
        product = (vector[pairs] * vector[mate[pairs]]).mean(axis=0)
        tilted = mean_square > 1e-10
        factors[tilted, direction] = product[tilted] / mean_square[tilted]
    return factors
