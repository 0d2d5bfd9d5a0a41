"""Where an orbital lives: shares of |ψ|² by region, from orbital cubes (CP2K's ``MO_CUBES``).

Every grid point belongs to the nearest atom, across periodic borders too: a Voronoi partition, without the overlap
populations that make projections on atoms depend on the basis set.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.cp2k.outputs.cube import Cube

NORM_TOLERANCE = 0.02
"""Largest |∫|ψ|² dV − 1| of an orbital whose shares mean something; more says that the grid is too coarse."""

_NAME = re.compile(r"WFN_(\d+)_(\d)")
_MARGIN_ANGSTROM = 12.0
_CHUNK = 200_000


@dataclass(frozen=True)
class Orbital:
    """Where one orbital lives.

    Attributes
    ----------
    norm
        ∫|ψ|² dV on the grid; 1 but for its fineness.
    shares
        Part of |ψ|² in each region; they add up to 1.
    """

    norm: float
    shares: dict[str, float]

    @property
    def home(self) -> str | None:
        """The group with at least half of the weight."""
        name = max(self.shares, key=lambda key: (self.shares[key], key))
        return name if self.shares[name] >= 0.5 else None


def orbital_of(cube: Cube, *, labels: Sequence[str], nearest: np.ndarray | None = None) -> Orbital:
    """∫_region |ψ|² dV / ∫ |ψ|² dV for each label.

    Parameters
    ----------
    cube
        One orbital, bohr^-3/2.
    labels
        (n,) region of each atom of the cube.
    nearest
        What :func:`nearest_atoms` gives for this grid and these atoms, when it is known already.

    Raises
    ------
    UsageError
        If the labels do not fit the atoms.
    DataError
        If the cube holds a density or potential, no atoms, or its norm is more than 2 % from 1.
    """
    names = np.asarray(labels, dtype=str)
    if names.shape != (len(cube.atoms),) or not len(names):
        raise UsageError(f"{names.size} labels for the {len(cube.atoms)} atoms of {cube.path}")
    if any(word in cube.title.upper() for word in ("DENSITY", "POTENTIAL", "HARTREE")):
        raise DataError(f"{cube.path} holds '{cube.title}'; expected an orbital")
    weights = (cube.values**2).ravel()
    norm = float(weights.sum()) * cube.voxel_bohr3
    if abs(norm - 1) > NORM_TOLERANCE:
        raise DataError(
            f"{cube.path}: the norm of the orbital on this grid is {norm:.4f}, not 1; print it with a smaller STRIDE"
        )
    owner = nearest_atoms(cube) if nearest is None else nearest
    groups = sorted(set(names.tolist()))
    code = np.searchsorted(groups, names)
    sums = np.bincount(code[owner], weights=weights, minlength=len(groups))
    return Orbital(norm, dict(zip(groups, (sums / sums.sum()).tolist(), strict=True)))


def orbital_name(quantity: str, *, n_occupied: Sequence[int]) -> tuple[int, int, str] | None:
    """Index, spin channel (1 or 2) and name of an orbital cube: ``WFN_00029_1`` → (29, 1, "HOMO") for 29 occupied.

    Parameters
    ----------
    quantity
        The middle of CP2K's file name.
    n_occupied
        Occupied orbitals of each spin channel; one number for both when there is one.
    """
    found = _NAME.fullmatch(quantity)
    if found is None:
        return None
    index, spin = int(found[1]), int(found[2])
    if not 1 <= spin <= max(len(n_occupied), 1):
        return None
    distance = index - n_occupied[spin - 1]
    if distance <= 0:
        return index, spin, "HOMO" if distance == 0 else f"HOMO{distance}"
    return index, spin, "LUMO" if distance == 1 else f"LUMO+{distance - 1}"


def nearest_atoms(cube: Cube) -> np.ndarray:
    """Index of the atom nearest to each grid point, (i·j·k,) in C order, periodic images included."""
    from scipy.spatial import cKDTree

    cell = cube.cell
    inverse = np.linalg.inv(cell)
    fractions = cube.atoms.positions @ inverse
    fractions -= np.floor(fractions)
    shifts = np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    every = (fractions[None] + shifts[:, None]).reshape(-1, 3)
    owner = np.tile(np.arange(len(fractions)), len(shifts))
    margin = _MARGIN_ANGSTROM * np.linalg.norm(inverse, axis=0)
    near = ((every > -margin) & (every < 1 + margin)).all(axis=1)
    tree = cKDTree(every[near] @ cell)
    shape = cube.values.shape
    start = cube.origin @ inverse
    found = np.empty(int(np.prod(shape)), dtype=np.int64)
    for first in range(0, len(found), _CHUNK):
        numbers = np.arange(first, min(first + _CHUNK, len(found)))
        grid = np.stack(np.unravel_index(numbers, shape), axis=1) / np.array(shape) + start
        grid -= np.floor(grid)
        found[numbers] = owner[near][tree.query(grid @ cell)[1]]
    return found
