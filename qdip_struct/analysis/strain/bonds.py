"""Metal–anion bonds: lengths, coordination, and displacements against another structure with the same atoms.

Lengths in Å. Each bond keeps its own periodic image, so thin cells are right.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.strain.images import completed_cell, periodic_images
from qdip_struct.analysis.strain.phases import ANION_CUTOFF_ANGSTROM
from qdip_struct.base.errors import MismatchError
from qdip_struct.materials.sites import CHALCOGENS, HALIDES

if TYPE_CHECKING:
    from ase import Atoms

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bonds:
    """All metal–anion bonds of a structure.

    Attributes
    ----------
    metal, anion
        (b,) indices of the two ends.
    vectors
        (b, 3) from metal to anion, Å.
    n_atoms
        Number of atoms of the structure.
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
