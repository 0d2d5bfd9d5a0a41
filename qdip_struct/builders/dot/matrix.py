"""The matrix a dot goes into: a supercell as atoms that remember their site, and its parent lattice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.alloy import occupy, refuse_charged
from qdip_struct.builders.atoms.cells import (
    Occupation,
    SiteCell,
    oriented,
    sites_of_atoms,
    sites_of_crystal,
    to_atoms,
    with_a_site,
)
from qdip_struct.builders.atoms.molecules import library
from qdip_struct.builders.atoms.orientation import parent_axes
from qdip_struct.builders.dot.parent import CENTERS, on_parent_lattice
from qdip_struct.materials.crystals import Crystal

MOST_CELLS = 4_000_000
"""Largest number of cells in a matrix."""


@dataclass(frozen=True, eq=False)
class MatrixCell:
    """A matrix supercell before a dot is put in.

    Attributes
    ----------
    sites
        Ions and molecular ions as points, positions from 0 to the box.
    atoms
        Their atoms, region ``matrix``.
    site_of_atom
        Number of the site of each atom, (n_atoms,).
    lattice
        (Pseudo-)cubic lattice constant in Å.
    on_parent
        Whether every site lies on the cubic parent lattice.
    axes
        Rotation whose columns are the edges of the parent cube in the box, (3, 3).
    """

    sites: SiteCell
    atoms: Atoms
    site_of_atom: Array
    lattice: float
    on_parent: bool
    axes: Array

    @property
    def cell(self) -> Array:
        """Box, row vectors (3, 3) Å."""
        return self.sites.cell


def check_cells(cells: Sequence[int]) -> tuple[int, int, int]:
    """Three whole numbers of cells above zero, else :class:`UsageError`."""
    if len(cells) != 3 or any(isinstance(n, bool) or n != n or int(n) != n or n < 1 for n in cells):
        raise UsageError(f"cells is {tuple(cells)}; expected three whole numbers above zero, for example 8,8,8")
    x, y, z = (int(n) for n in cells)
    return x, y, z


def supercell(sites: SiteCell, *, cells: tuple[int, int, int]) -> SiteCell:
    """``cells`` repeats of a cell along its vectors, cell by cell."""
    steps = np.stack(np.meshgrid(*(np.arange(n) for n in cells), indexing="ij"), axis=-1).reshape(-1, 3)
    positions = (sites.positions[None] + (steps @ sites.cell)[:, None]).reshape(-1, 3)
    index = np.tile(np.arange(len(sites)), len(steps))
    return sites.take(index, positions=positions, cell=sites.cell * np.array(cells)[:, None])


def matrix_of(matrix: Crystal | Atoms, *, cells: Sequence[int], occupation: Occupation = Occupation()) -> MatrixCell:
    """Build the matrix supercell.

    Parameters
    ----------
    matrix
        Crystal, ordered or mixed, or a periodic structure whose cell is repeated.
    cells
        Repeats of the conventional cell (or of the structure's cell).
    occupation
        How the sites are filled.

    Raises
    ------
    UsageError
        If ``cells`` or the A site is not possible.
    """
    counts = check_cells(cells)
    if math.prod(counts) > MOST_CELLS:
        raise UsageError(f"{' × '.join(map(str, counts))} cells are more than the {MOST_CELLS} that can be built")
    if isinstance(matrix, Atoms):
        unit = with_a_site(sites_of_atoms(matrix), a_site=occupation.a_site)
        metals = unit.positions[np.isin(unit.sublattice, ("B", "cation"))]
        per_metal = len(metals) if "B" in unit.sublattice else len(metals) / 4
        lattice = (abs(float(np.linalg.det(unit.cell))) / per_metal) ** (1.0 / 3.0)
        on_parent, full, name = False, supercell(unit, cells=counts), unit.name
    else:
        unit = with_a_site(sites_of_crystal(matrix), a_site=occupation.a_site)
        metals = unit.positions[np.isin(unit.sublattice, ("B", "cation"))]
        lattice, on_parent, name = matrix.a_angstrom, on_parent_lattice(matrix), matrix.name
        full = occupy(
            supercell(unit, cells=counts), occupancies=matrix.occupancies, seed=occupation.seed,
            arrangement=occupation.arrangement,
        )  # fmt: skip
        refuse_charged(full, mixed=unit)
    axes = np.eye(3) if on_parent else parent_axes(metals, cell=unit.cell, length=lattice)
    full = replace(oriented(full, rule=occupation.orientation, seed=occupation.seed), name=name)
    atoms = to_atoms(full, region="matrix")
    atoms.set_array("dot", np.full(len(atoms), -1))
    owner = np.repeat(np.arange(len(full)), atoms_per_site(full))
    return MatrixCell(full, atoms, owner, lattice, on_parent, axes)


def atoms_per_site(sites: SiteCell) -> Array:
    """Number of atoms on each site: 1 for an ion, that of the molecule for a molecular ion, (n,)."""
    counts = np.ones(len(sites), dtype=int)
    for name in np.unique(sites.species[sites.molecular & (sites.template < 0)]):
        counts[sites.species == name] = len(library(str(name)).symbols)
    sizes = np.array([len(unit.symbols) for unit in sites.templates], dtype=int)
    known = sites.template >= 0
    counts[known] = sizes[sites.template[known]]
    return counts


def centre_in(matrix: MatrixCell, *, center: str, fraction: Sequence[float]) -> Array:
    """The point (3,) Å of the matrix that is named ``center`` and lies nearest to ``fraction`` of the box.

    On the parent lattice these are :data:`qdip_struct.builders.dot.parent.CENTERS`; elsewhere the nearest metal, anion
    or A site, the middle between a metal and its nearest anion, or, for ``void``, the point itself.

    Raises
    ------
    UsageError
        If the matrix has no such site.
    """
    goal = np.asarray(fraction, dtype=float) @ matrix.cell
    if matrix.on_parent:
        kind = np.array(CENTERS[center])
        half = matrix.lattice / 2.0
        return (kind + 2.0 * np.floor((goal / half - kind) / 2.0 + 0.5 + 1e-6)) * half
    if center == "void":
        return goal
    anions, metals = ("X", "anion"), ("B", "cation")
    labels = ("A",) if center == "a-site" else anions if center.startswith("anion") else metals
    found = _nearest_site(matrix, labels=labels, goal=goal)
    return (found + _nearest_site(matrix, labels=("X", "anion"), goal=found)) / 2.0 if center == "bond" else found


def _nearest_site(matrix: MatrixCell, *, labels: tuple[str, ...], goal: Array) -> Array:
    points = matrix.sites.positions[np.isin(matrix.sites.sublattice, labels)]
    if not len(points):
        raise UsageError(f"{matrix.sites.name} has no {' or '.join(labels)} site to centre the dot on")
    away = np.round(np.linalg.norm(points - goal, axis=1), 4)
    order = np.lexsort((*np.round(points, 4).T, away))
    return points[order[0]]
