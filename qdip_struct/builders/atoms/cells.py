"""Crystals as sites and sites as atoms: the one place where a molecular ion turns from a point into its atoms.

:class:`SiteCell` is what slabs and interfaces are cut from: every ion one point, molecular ions included, so that no
cut can split a molecule. :func:`to_atoms` fills the points. Cells are row vectors in Å.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.atoms.molecules import Molecule, Orientation, find_molecules, library, orientations
from qdip_struct.builders.atoms.occupation import Occupation
from qdip_struct.builders.atoms.regions import FORMAL_CHARGES, label
from qdip_struct.materials.crystals import Crystal, scaled

Array = NDArray[Any]
MOLECULES = ("MA", "FA")


@dataclass(frozen=True, eq=False)
class SiteCell:
    """Ions as points.

    Attributes
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


def turned(sites: SiteCell, *, rotation: Array) -> SiteCell:
    """The same sites with their molecules turned by ``rotation`` (3, 3), acting on columns; positions stay."""
    units = []
    for unit in sites.templates:
        offsets = np.round(unit.array @ rotation.T, 12)
        units.append(replace(unit, offsets=tuple((float(x), float(y), float(z)) for x, y, z in offsets)))
    return replace(sites, templates=tuple(units))


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
    if np.linalg.det(cell) < 1e-6:
        raise DataError("the structure has no right-handed three-dimensional cell; a bulk crystal is needed")
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


def to_atoms(sites: SiteCell, *, region: str = "matrix") -> Atoms:
    """Fill the sites with atoms: the atoms of a molecule stand in the place of its site, in the order of the sites.

    Molecules that were not turned by :func:`oriented` keep the orientation of the library.

    Returns
    -------
    ase.Atoms
        Periodic in three directions, with arrays ``region``, ``phase`` (the name of the sites), ``formal_charge``,
        ``molecule``.
    """
    n = len(sites)
    molecular = np.isin(sites.species, MOLECULES)
    if not molecular.any():
        symbols, positions, molecule = [str(s) for s in sites.species], sites.positions, np.full(n, -1)
    else:
        units = [
            sites.templates[t] if t >= 0 else library(str(s)) if m else None
            for s, t, m in zip(sites.species, sites.template, molecular, strict=True)
        ]
        sizes = np.array([1 if unit is None else len(unit.symbols) for unit in units])
        symbols = [
            s for name, unit in zip(sites.species, units, strict=True) for s in (unit.symbols if unit else (name,))
        ]
        offsets = [np.zeros((1, 3)) if unit is None else unit.array for unit in units]
        positions = np.repeat(sites.positions, sizes, axis=0) + np.concatenate(offsets)
        molecule = np.repeat(np.where(molecular, np.cumsum(molecular) - 1, -1), sizes)
    atoms = Atoms(symbols=[str(s) for s in symbols], positions=positions, cell=sites.cell, pbc=True)
    atoms.set_array("molecule", molecule)
    return label(atoms, region=region, phase=sites.name)


def oriented(sites: SiteCell, *, rule: Orientation, seed: int = 0) -> SiteCell:
    """Turn the molecules that bring no orientation, so that every later copy of a site has the same one.

    See :func:`qdip_struct.builders.atoms.molecules.orientations` for the rules.
    """
    free = np.flatnonzero(np.isin(sites.species, MOLECULES) & (sites.template < 0))
    if len(free) == 0:
        return sites
    template, templates = sites.template.copy(), list(sites.templates)
    for site, turn in zip(free, orientations(sites.positions[free], rule=rule, seed=seed), strict=True):
        unit = library(str(sites.species[site]))
        offsets = np.round(unit.array @ turn.T, 9)
        turned = replace(unit, offsets=tuple((float(x), float(y), float(z)) for x, y, z in offsets))
        if turned not in templates:
            templates.append(turned)
        template[site] = templates.index(turned)
    return replace(sites, template=template, templates=tuple(templates))


def conventional_cell(
    crystal: Crystal,
    *,
    lattice: float | None = None,
    region: str = "matrix",
    occupation: Occupation = Occupation(),
) -> Atoms:
    """The conventional cell of a crystal as labelled atoms.

    Parameters
    ----------
    crystal
        Record of :mod:`qdip_struct.materials.crystals`.
    lattice
        (Pseudo-)cubic lattice constant in Å to which the crystal is scaled; default its own.
    region
        Entry of the ``region`` array.
    occupation
        How the sites are filled.

    Raises
    ------
    UsageError
        If the lattice constant or the A site is not possible.
    """
    scaled_crystal = crystal if lattice is None else scaled(crystal, lattice=lattice)
    sites = with_a_site(sites_of_crystal(scaled_crystal), a_site=occupation.a_site)
    return to_atoms(oriented(sites, rule=occupation.orientation, seed=occupation.seed), region=region)
