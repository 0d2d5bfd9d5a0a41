"""Crystals as sites and sites as atoms: the one place where a molecular ion turns from a point into its atoms.

:class:`SiteCell` is what slabs and interfaces are cut from: every ion one point, molecular ions included, so that no
cut can split a molecule. :func:`to_atoms` fills the points. Cells are row vectors in Å.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.build.molecules import Molecule, Orientation, find_molecules, library, orientations
from qdip_struct.build.regions import FORMAL_CHARGES, formal_charges
from qdip_struct.errors import DataError, UsageError
from qdip_struct.materials.crystals import Crystal, scaled

Array = NDArray[Any]
MOLECULES = ("MA", "FA")


@dataclass(frozen=True, eq=False)
class SiteCell:
    """Ions as points.

    Parameters
    ----------
    cell
        Row vectors (3, 3), Å.
    positions
        Cartesian, (n, 3), Å.
    species
        Element symbol, or the name of a molecular ion, (n,).
    sublattice
        ``A``, ``B``, ``X`` of a perovskite, ``cation`` or ``anion`` otherwise, (n,).
    name
        Formula or file name, the ``phase`` of the atoms.
    template
        Number of the molecule in ``templates`` whose orientation was read from a file, else -1, (n,).
    templates
        Those molecules.
    """

    cell: Array
    positions: Array
    species: Array
    sublattice: Array
    name: str
    template: Array
    templates: tuple[Molecule, ...] = ()

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, index: Array, *, positions: Array | None = None, cell: Array | None = None) -> "SiteCell":
        """The sites of ``index`` in that order, repeats allowed, optionally moved to new positions or a new cell."""
        return replace(
            self,
            cell=self.cell if cell is None else cell,
            positions=self.positions[index] if positions is None else positions,
            species=self.species[index],
            sublattice=self.sublattice[index],
            template=self.template[index],
        )


def joined(first: SiteCell, second: SiteCell, *, cell: Array) -> SiteCell:
    """The sites of both, first then second, in ``cell``."""
    moved = np.where(second.template >= 0, second.template + len(first.templates), -1)
    return SiteCell(
        cell=cell,
        positions=np.concatenate([first.positions, second.positions]),
        species=np.concatenate([first.species, second.species]),
        sublattice=np.concatenate([first.sublattice, second.sublattice]),
        name=f"{first.name}+{second.name}",
        template=np.concatenate([first.template, moved]),
        templates=first.templates + second.templates,
    )


@lru_cache(maxsize=64)
def sites_of_crystal(crystal: Crystal) -> SiteCell:
    """The sites of a crystal's conventional cell."""
    fractional = np.array([site.position for site in crystal.sites])
    return SiteCell(
        cell=crystal.cell,
        positions=fractional @ crystal.cell,
        species=np.array([site.species for site in crystal.sites]),
        sublattice=np.array([site.label for site in crystal.sites]),
        name=crystal.name,
        template=np.full(len(crystal.sites), -1),
    )


def sites_of_atoms(atoms: Atoms, *, name: str | None = None) -> SiteCell:
    """The sites of a user's periodic structure; its molecular ions become points that remember their orientation.

    Raises
    ------
    DataError
        If the structure has no three-dimensional cell, an atom without a known ionic charge, or a broken molecule.
    """
    cell = atoms.cell.array
    if abs(np.linalg.det(cell)) < 1e-6:
        raise DataError("the structure has no three-dimensional cell; a bulk crystal is needed")
    if not (np.isfinite(cell).all() and np.isfinite(atoms.positions).all()):
        raise DataError("the structure holds positions or cell vectors that are not finite numbers")
    symbols = np.array(atoms.get_chemical_symbols())
    molecule, positions = find_molecules(
        list(symbols), positions=atoms.positions, cell=cell, pbc=np.ones(3, dtype=bool)
    )
    ions = np.flatnonzero(molecule < 0)
    points, species, template, templates = list(positions[ions]), list(symbols[ions]), [-1] * len(ions), []
    for number in range(molecule.max(initial=-1) + 1):
        members = np.flatnonzero(molecule == number)
        heavy = members[symbols[members] != "H"]
        centre = positions[heavy].mean(axis=0)
        offsets = tuple((float(x), float(y), float(z)) for x, y, z in positions[members] - centre)
        templates.append(Molecule("file", tuple(str(s) for s in symbols[members]), offsets))
        points.append(centre)
        species.append("MA" if (symbols[members] == "N").sum() == 1 else "FA")
        template.append(number)
    names = np.array([str(s) for s in species])
    unknown = sorted({str(s) for s in names} - set(FORMAL_CHARGES))
    if unknown:
        raise DataError(f"no formal charge is known for {', '.join(unknown)}; ions known: {', '.join(FORMAL_CHARGES)}")
    return SiteCell(
        cell=cell.copy(),
        positions=np.array(points),
        species=names,
        sublattice=_sublattices(names),
        name=name or str(atoms.symbols.formula.reduce()[0]),
        template=np.array(template),
        templates=tuple(templates),
    )


def sites_of(material: Crystal | Atoms, *, name: str | None = None) -> SiteCell:
    """The sites of a crystal record or of a structure."""
    return sites_of_crystal(material) if isinstance(material, Crystal) else sites_of_atoms(material, name=name)


def _sublattices(species: Array) -> Array:
    charge = np.array([FORMAL_CHARGES[str(s)] for s in species])
    perovskite = (charge == 1).any() and (charge >= 2).any() and (charge == -1).any()
    if perovskite:
        return np.select([charge == 1, charge > 1], ["A", "B"], "X")
    return np.where(charge > 0, "cation", "anion")


def with_a_site(sites: SiteCell, *, a_site: str) -> SiteCell:
    """Replace every molecular ion by the one-atom ion ``a_site``; ``"molecule"`` leaves them whole.

    Raises
    ------
    UsageError
        If ``a_site`` is no ion of charge +1.
    """
    if a_site == "molecule":
        return sites
    if FORMAL_CHARGES.get(a_site) != 1 or a_site in MOLECULES:
        singles = ", ".join(s for s, q in FORMAL_CHARGES.items() if q == 1 and s not in MOLECULES)
        raise UsageError(f"a_site is '{a_site}'; expected 'molecule' or an ion of charge +1: {singles}")
    molecular = np.isin(sites.species, MOLECULES)
    if not molecular.any():
        return sites
    species = np.where(molecular, a_site, sites.species)
    return replace(sites, species=species, template=np.full(len(sites), -1), templates=())


def to_atoms(
    sites: SiteCell,
    *,
    region: str | Array = "matrix",
    phase: str | Array | None = None,
    orientation: Orientation = "antiparallel",
    seed: int = 0,
    turns: Mapping[int, Array] | None = None,
) -> Atoms:
    """Fill the sites with atoms: ions first in their order, the atoms of molecules in the place of their site.

    Parameters
    ----------
    sites
        Points to fill.
    region, phase
        One name for all, or one per site (n,).
    orientation, seed
        Rule of :func:`qdip_struct.build.molecules.orientations` for the molecules that bring no orientation.
    turns
        Rotation (3, 3) per site number, instead of the rule.

    Returns
    -------
    ase.Atoms
        Periodic in three directions, with arrays ``region``, ``phase``, ``formal_charge``, ``molecule``.
    """
    n = len(sites)
    regions = np.broadcast_to(np.asarray(region), n)
    phases = np.broadcast_to(np.asarray(sites.name if phase is None else phase), n)
    molecular = np.flatnonzero(np.isin(sites.species, MOLECULES))
    if len(molecular) == 0:
        atoms = Atoms(symbols=[str(s) for s in sites.species], positions=sites.positions, cell=sites.cell, pbc=True)
        owner, molecule = np.arange(n), np.full(n, -1)
    else:
        free = molecular[sites.template[molecular] < 0]
        rotation = dict(
            zip(free.tolist(), orientations(sites.positions[free], rule=orientation, seed=seed), strict=True)
        )
        rotation.update(turns or {})
        number = {int(site): k for k, site in enumerate(molecular)}
        symbols: list[str] = []
        points: list[Array] = []
        owners: list[int] = []
        ids: list[int] = []
        for i in range(n):
            if i not in number:
                symbols.append(str(sites.species[i]))
                points.append(sites.positions[i : i + 1])
                owners.append(i)
                ids.append(-1)
                continue
            known = sites.template[i] >= 0
            unit = sites.templates[sites.template[i]] if known else library(str(sites.species[i]))
            turn = rotation.get(i)
            offsets = unit.array if turn is None else unit.array @ turn.T
            symbols += unit.symbols
            points.append(sites.positions[i] + offsets)
            owners += [i] * len(offsets)
            ids += [number[i]] * len(offsets)
        atoms = Atoms(symbols=symbols, positions=np.concatenate(points), cell=sites.cell, pbc=True)
        owner, molecule = np.array(owners), np.array(ids)
    atoms.set_array("molecule", molecule)
    atoms.set_array("formal_charge", formal_charges(atoms.get_chemical_symbols(), molecule=molecule))
    atoms.set_array("region", regions[owner].astype("U9"))
    atoms.set_array("phase", phases[owner])
    return atoms


def conventional_cell(
    crystal: Crystal,
    *,
    a_site: str = "molecule",
    lattice: float | None = None,
    region: str = "matrix",
    orientation: Orientation = "antiparallel",
    seed: int = 0,
) -> Atoms:
    """The conventional cell of a crystal as labelled atoms.

    Parameters
    ----------
    crystal
        Record of :mod:`qdip_struct.materials.crystals`.
    a_site
        ``"molecule"`` keeps MA and FA as whole molecules; an element such as ``"Cs"`` puts that one ion in their
        place.
    lattice
        (Pseudo-)cubic lattice constant in Å to which the crystal is scaled; default its own.
    region
        Entry of the ``region`` array.
    orientation, seed
        How molecules are turned, see :func:`to_atoms`.

    Raises
    ------
    UsageError
        If the lattice constant or the A site is not possible.
    """
    scaled_crystal = crystal if lattice is None else scaled(crystal, lattice=lattice)
    sites = with_a_site(sites_of_crystal(scaled_crystal), a_site=a_site)
    return to_atoms(sites, region=region, orientation=orientation, seed=seed)
