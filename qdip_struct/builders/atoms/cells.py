"""Crystals as sites and sites as atoms: the one place where a molecular ion turns from a point into its atoms.

:class:`SiteCell` is what slabs and interfaces are cut from: every ion one point, molecular ions included, so that no
cut can split a molecule. :class:`Occupation` says what stands on the sites where the formula leaves a choice (the A
site, turned molecules, the seed), and :func:`to_atoms` fills the points. Bases of lattices (primitive, adapted to a
plane, reduced) are found in integers, exactly. Cells are row vectors in Å.

Long because a file becomes sites and sites become the crystal that is cut in one place, molecules whole both ways.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.atoms.molecules import (
    Molecule,
    charge_bearer,
    check_seed,
    find_molecules,
    library,
    molecule_rotations,
    names_of_molecules,
)
from qdip_struct.builders.atoms.regions import label
from qdip_struct.materials.crystals import Crystal, check_lattice, scaled
from qdip_struct.materials.ions import (
    FORMAL_CHARGES,
    MOLECULES,
    charge_of_ion,
    in_formula_order,
    name_of_ions,
    oxidation_states,
    sublattices_of,
)
from qdip_struct.materials.options import SYMPREC_ANGSTROM, Arrangement, MoleculeOrientation
from qdip_struct.materials.structure_files import (
    crystal_named,
    crystal_of,
    crystal_record,
    is_film,
    is_structure_file,
    refuse_finished,
    with_symmetry,
)

_SAME_LATTICE_ANGSTROM = 1e-2
_Material = TypeVar("_Material", Crystal, Atoms, Crystal | Atoms)


@dataclass(frozen=True)
class Occupation:
    """How the sites of a crystal are filled.

    Attributes
    ----------
    a_site
        ``molecule`` keeps MA and FA whole; an ion of charge +1 such as ``Cs`` stands in their place.
    orientation
        How molecules are turned, see :func:`qdip_struct.builders.atoms.molecules.molecule_rotations`.
    seed
        Whole number that decides what symmetry leaves open: random orientations, mixed sites, equal border sites.
    arrangement
        Of the ions on mixed sites: ``sqs`` (special quasi-random) or ``random``, see
        :mod:`qdip_struct.builders.atoms.alloy`.

    Raises
    ------
    UsageError
        If the rule is unknown or the seed is no whole number from 0.
    """

    a_site: str = "molecule"
    orientation: MoleculeOrientation = "antiparallel"
    seed: int = 0
    arrangement: Arrangement = "sqs"

    def __post_init__(self) -> None:
        """Check what can be checked without a crystal."""
        if self.orientation not in get_args(MoleculeOrientation):
            raise UsageError(
                f"unknown orientation '{self.orientation}'; known: {', '.join(get_args(MoleculeOrientation))}"
            )
        check_seed(self.seed)


def completion(indices: Array) -> Array:
    """Unimodular integer rows U with U·h = (0, 0, 1): two vectors in the plane h and one step out of it, det U = +1."""
    rows = [[*unit, int(h)] for unit, h in zip(np.eye(3, dtype=int).tolist(), indices, strict=True)]
    while True:
        live = sorted((row for row in rows if row[3]), key=lambda row: abs(row[3]))
        if len(live) == 1:
            break
        factor = live[1][3] // live[0][3]
        live[1][:] = [a - factor * b for a, b in zip(live[1], live[0], strict=True)]
    out = live[0] if live[0][3] > 0 else [-value for value in live[0]]
    inside = [row[:3] for row in rows if row is not live[0]]
    found = np.array([*inside, out[:3]])
    return found if np.linalg.det(found) > 0 else found[[1, 0, 2]]


def reduced_pair(vectors: Array) -> Array:
    """Integer matrix (2, 2), det +1, that takes two vectors to the shortest pair with an angle between 60° and 120°.

    Among equals the choice is fixed: the first vector has its first non-zero component positive.
    """
    turn = np.eye(2, dtype=int)
    while True:
        u, v = turn @ vectors
        if np.round(u @ u - v @ v, 8) > 0:
            turn = np.array([turn[1], -turn[0]])
            continue
        step = int(np.rint(np.round((u @ v) / (u @ u), 8)))
        if step == 0 or abs((u @ v) / (u @ u)) <= 0.5 + 1e-8:
            break
        turn[1] -= step * turn[0]
    first = (turn @ vectors)[0]
    lead = first[np.abs(first) > 1e-6]
    return -turn if lead[0] < 0 else turn


def lattice_points(matrix: Array) -> Array:
    """Integer points (n, 2) of the net inside the supercell with rows ``matrix`` (2, 2), n = |det|; exact."""
    matrix = np.asarray(matrix, dtype=int)
    determinant = int(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])
    corners = np.array([[0, 0], matrix[0], matrix[1], matrix[0] + matrix[1]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    grid = np.stack(np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(low, high, strict=True)), indexing="ij"), -1)
    points = grid.reshape(-1, 2)
    adjugate = np.array([[matrix[1, 1], -matrix[0, 1]], [-matrix[1, 0], matrix[0, 0]]]) * np.sign(determinant)
    scaled = points @ adjugate
    return points[((scaled >= 0) & (scaled < abs(determinant))).all(axis=1)]


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
    states
        Oxidation states (e) that are not the usual ones of :data:`qdip_struct.materials.ions.FORMAL_CHARGES`, and those
        of molecules that are not known there.
    mean_charges
        Mean charge (e) of the mixed sublattices whose ions differ in it, while it is not decided which ion sits where.
    """

    cell: Array
    positions: Array
    species: Array
    sublattice: Array
    name: str
    template: Array
    templates: tuple[Molecule, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    mean_charges: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def charges(self) -> Array:
        """Formal charge of each site, (n,), e; of a molecule the whole one.

        Whole numbers, but on sublattices of which only the mean charge is known.
        """
        known = {str(s): charge_of_ion(str(s), states=self.states) for s in np.unique(self.species)}
        own = np.array([known[str(s)] for s in self.species], dtype=int)
        if not self.mean_charges:
            return own
        mean = np.array([self.mean_charges.get(str(name), np.nan) for name in self.sublattice])
        return np.where(np.isnan(mean), own, mean)

    @property
    def molecular(self) -> Array:
        """Whether a molecule stands on each site, (n,)."""
        return np.isin(self.species, MOLECULES) | (self.template >= 0)

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
    """The sites of a crystal's conventional cell, mixed ones with the ion of the end member."""
    fractional = np.array([site.position for site in crystal.sites])
    counts: Counter[str] = Counter()
    for site in crystal.sites:
        counts.update(crystal.ions_on(site))
    states = _unusual_states(counts, given=crystal.charges)
    mean = {}
    for label_, shares in crystal.occupancies.items():
        charges = {name: charge_of_ion(name, states=states) for name in shares}
        if len(set(charges.values())) > 1:
            mean[label_] = round(sum(share * charges[name] for name, share in shares.items()), 2)
    units = sorted({site.atoms for site in crystal.sites if site.atoms})
    return SiteCell(
        cell=crystal.cell,
        positions=fractional @ crystal.cell,
        species=np.array([site.species for site in crystal.sites]),
        sublattice=np.array([site.label for site in crystal.sites]),
        name=crystal.name,
        template=np.array([units.index(site.atoms) if site.atoms else -1 for site in crystal.sites]),
        templates=tuple(
            Molecule("file", tuple(name for name, *_ in unit), tuple((x, y, z) for _, x, y, z in unit))
            for unit in units
        ),
        states=states,
        mean_charges=mean,
    )


def sites_of_atoms(atoms: Atoms, *, name: str | None = None) -> SiteCell:
    """The sites of a user's periodic structure; its molecular ions become points that remember their orientation.

    Raises
    ------
    DataError
        If the structure has no three-dimensional cell, an atom or a molecule without a known charge, or no whole
        charges that balance.
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
    called = names_of_molecules(
        list(symbols), positions=positions, molecule=molecule, cell=cell, pbc=np.ones(3, dtype=bool)
    )
    ions = np.flatnonzero(molecule < 0)
    points, species, template, templates = list(positions[ions]), list(symbols[ions]), [-1] * len(ions), []
    for number, name_of_it in enumerate(called):
        members = np.flatnonzero(molecule == number)
        heavy = members[symbols[members] != "H"]
        heavy = heavy if len(heavy) else members
        centre = positions[heavy].mean(axis=0)
        offsets = tuple((float(x), float(y), float(z)) for x, y, z in positions[members] - centre)
        templates.append(Molecule("file", tuple(str(s) for s in symbols[members]), offsets))
        points.append(centre)
        species.append(name_of_it)
        template.append(number)
    names = np.array([str(s) for s in species])
    states = _unusual_states(Counter(names.tolist()), given=given_charges(atoms))
    return SiteCell(
        cell=cell.copy(),
        positions=np.array(points),
        species=names,
        sublattice=np.array(sublattices_of(names.tolist(), states=states)),
        name=name or name_of_ions(names),
        template=np.array(template),
        templates=tuple(templates),
        states=states,
    )


def _unusual_states(counts: Mapping[str, float], *, given: Mapping[str, int]) -> dict[str, int]:
    found = oxidation_states(counts, given=given)
    return {name: state for name, state in found.items() if state != FORMAL_CHARGES.get(name)}


_GIVEN = "charges_given"


def given_charges(material: Crystal | Atoms) -> dict[str, int]:
    """Charges (e) by ion that the user gave with a material, see :func:`with_charges`."""
    if isinstance(material, Crystal):
        return dict(material.charges)
    return dict(material.info[_GIVEN]) if isinstance(material.info.get(_GIVEN), dict) else {}


def with_charges(material: _Material, charges: Mapping[str, int]) -> _Material:
    """The same material with charges (e) by ion that override what its composition gives."""
    if not charges:
        return material
    if isinstance(material, Crystal):
        return replace(material, charges=dict(charges))
    copy = material.copy()
    copy.info[_GIVEN] = dict(charges)
    return copy


def refuse_unused(charges: Mapping[str, int], *materials: Crystal | Atoms) -> None:
    """Raise :class:`UsageError` for charges of ions that no material holds."""
    held = {name for entry in materials for name in _ions_in(entry)}
    if unused := sorted(set(charges) - held):
        raise UsageError(
            f"a charge is given of {', '.join(unused)}, which is not there; the ions are "
            f"{', '.join(in_formula_order(held))}"
        )


def _ions_in(material: Crystal | Atoms) -> set[str]:
    if isinstance(material, Crystal):
        return {name for site in material.sites for name in material.ions_on(site)}
    symbols = np.array(material.get_chemical_symbols())
    cell, pbc = material.cell.array, material.pbc
    molecule, whole = find_molecules(symbols.tolist(), positions=material.positions, cell=cell, pbc=pbc)
    called = names_of_molecules(symbols.tolist(), positions=whole, molecule=molecule, cell=cell, pbc=pbc)
    return {*called, *symbols[molecule < 0].tolist()}


def lattice_of_structure(atoms: Atoms) -> tuple[float, str]:
    """The lattice constant (Å) of a user's structure that ``lattice`` means, and which one that is.

    (V/n)^(1/3) of a perovskite with n cations B; the edge of the conventional cell of a cubic crystal; of another
    binary AB with n cations (4V/n)^(1/3), the edge of the rock-salt or zinc-blende cube of its volume; else the length
    of the first cell vector. It is that of the crystal whether the cell is primitive, conventional or a supercell.

    Raises
    ------
    DataError
        As :func:`sites_of_atoms`.
    """
    import spglib

    sites = sites_of_atoms(atoms)
    count = {name: int((sites.sublattice == name).sum()) for name in ("A", "B", "X", "cation", "anion")}
    volume = abs(float(np.linalg.det(sites.cell)))
    if count["B"] and count["A"] == count["B"] and count["X"] == 3 * count["B"]:
        return (volume / count["B"]) ** (1 / 3), "(pseudo-)cubic lattice constant"
    kinds = np.unique(sites.species, return_inverse=True)[1]
    found = spglib.get_symmetry_dataset(
        (sites.cell, sites.positions @ np.linalg.inv(sites.cell), kinds), symprec=_SAME_LATTICE_ANGSTROM
    )
    if found is not None and found.number >= 195:
        return float(np.linalg.norm(found.std_lattice[0])), "cubic lattice constant"
    if count["cation"] and count["cation"] == count["anion"]:
        return (4 * volume / count["cation"]) ** (1 / 3), "pseudo-cubic lattice constant"
    return float(np.linalg.norm(sites.cell[0])), "first cell edge"


def structure_at(atoms: Atoms, *, lattice: float, name: str) -> Atoms:
    """A user's structure scaled isotropically to a lattice constant, its molecules rigid.

    What was done stands in ``info["scaled"]``, for reports.

    Parameters
    ----------
    atoms
        Periodic structure, Å.
    lattice
        Wanted, Å; see :func:`lattice_of_structure` for which it is.
    name
        Of the structure, for messages.

    Raises
    ------
    UsageError
        If the constant is not between 1 and 100 Å, or more than a fifth away from that of the structure.
    DataError
        As :func:`sites_of_atoms`.
    """
    own, which = lattice_of_structure(atoms)
    done = _scaling(own, lattice, which=which, name=name)
    factor = lattice / own
    molecule, whole = find_molecules(
        atoms.get_chemical_symbols(), positions=atoms.positions, cell=atoms.cell.array, pbc=np.ones(3, dtype=bool)
    )
    shift = (factor - 1.0) * whole
    for number in range(molecule.max(initial=-1) + 1):
        shift[molecule == number] = shift[molecule == number].mean(axis=0)
    scaled_atoms = atoms.copy()
    scaled_atoms.set_cell(factor * atoms.cell.array)
    scaled_atoms.positions = whole + shift
    scaled_atoms.info["scaled"] = done
    return scaled_atoms


def _scaling(own: float, lattice: float, *, which: str, name: str) -> str:
    """What is done to a structure that is scaled from one lattice constant (Å) to another, if that can be meant."""
    check_lattice(lattice, what=f"lattice constant of {name}")
    if not 0.8 <= lattice / own <= 1.25:
        raise UsageError(
            f"{name}: its {which} is {own:.4f} Å; {lattice:g} Å is more than a fifth away: give the constant of "
            "the crystal, not of a supercell, or another structure"
        )
    return f"scaled isotropically by {lattice / own:.6f}: {which} {own:.4f} to {lattice:.4f} Å"


def material_of(
    word: str,
    *,
    dataset: str | None = None,
    temperature: float | None = None,
    lattice: float | None = None,
    files: Sequence[Path] = (),
    charges: Mapping[str, int] | None = None,
    film: bool = False,
    folder: Path = Path(),
    cell: Sequence[float] | None = None,
    symprec: float = SYMPREC_ANGSTROM,
) -> Crystal | Atoms:
    """A crystal by its name or formula, or the structure in a file, at another lattice constant (Å) where one is given.

    ``temperature`` (K) is that of a named crystal's lattice constant, ``files`` are a user's files of crystals;
    ``charges`` (e) by ion override what the composition gives. A finished ``film`` is taken as it is where one may
    stand.
    ``cell`` (Å, degree) is that of a file without one, and within ``symprec`` (Å) a file has its symmetry.

    Raises
    ------
    UsageError, DataError
        As :func:`qdip_struct.materials.structure_files.crystal_of` and :func:`structure_at`, or if the file holds a
        finished body and no crystal.
    """
    given = charges or {}
    if not is_structure_file(word, folder=folder):
        named = crystal_of(word, dataset=dataset, temperature=temperature, lattice=lattice, files=files, folder=folder)
        return with_charges(named, given)
    found = with_charges(crystal_of(word, folder=folder, cell=cell, symprec=symprec), given)
    if film and isinstance(found, Atoms) and is_film(found):
        if lattice is not None:
            raise UsageError(f"{word} holds a finished film, which has its lattice; leave the lattice constant out")
        found.pbc = True
        return found
    refuse_finished(found, word)
    if isinstance(found, Atoms):
        found, _ = with_symmetry(found, symprec=symprec)
    if lattice is None:
        return found
    if isinstance(found, Atoms):
        return structure_at(found, lattice=lattice, name=word)
    own, which = found.a_angstrom, "(pseudo-)cubic lattice constant"
    done = f"{found.source}, {_scaling(own, lattice, which=which, name=word)}"
    return scaled(found, lattice=lattice, source=done)


def crystal_to_cut(
    word: str,
    *,
    dataset: str | None = None,
    temperature: float | None = None,
    lattice: float | None = None,
    files: Sequence[Path] = (),
    charges: Mapping[str, int] | None = None,
    folder: Path = Path(),
    symprec: float = SYMPREC_ANGSTROM,
) -> Crystal:
    """A crystal that bodies are cut from: by name, by formula, or from a file that is periodic without vacuum.

    ``dataset``, ``temperature`` and ``lattice`` are those of
    :func:`qdip_struct.materials.structure_files.crystal_named`; a file is only scaled to ``lattice`` (Å). ``charges``
    (e) by ion override what the composition gives; ``symprec`` (Å) is that of :func:`conventional`.

    Raises
    ------
    UsageError
        If the file holds a finished dot or slab, or there is no such crystal.
    DataError
        If the file cannot be read, or as :func:`sites_of_atoms`.
    """
    if not is_structure_file(word, folder=folder):
        named = crystal_named(word, dataset=dataset, temperature=temperature, lattice=lattice, files=files)
        return with_charges(named, charges or {})
    found = crystal_of(word, folder=folder, symprec=symprec)
    refuse_finished(found, word)
    crystal = conventional(found, path=folder / word, charges=charges, symprec=symprec)
    return crystal if lattice is None else scaled(crystal, lattice=lattice)


def conventional(
    found: Crystal | Atoms,
    *,
    path: Path,
    charges: Mapping[str, int] | None = None,
    symprec: float = SYMPREC_ANGSTROM,
) -> Crystal:
    """The record of a crystal, a cubic prototype (rock salt, zinc blende, CsCl, perovskite) in its conventional cell.

    It is recognised in any of its cells; of every other crystal a supercell along its own vectors becomes one cell, and
    any other cell stays as it stands in the file. What was done to it stands in its warnings. Molecules are points that
    remember their atoms; where those of one kind are turned differently, they are different ions for the symmetry.

    Parameters
    ----------
    found
        What a file holds; the record of a crystal is taken as it is.
    path
        That file, for the name.
    charges
        Charges (e) by ion that override what the composition gives.
    symprec
        Within which it has its symmetry, Å.

    Raises
    ------
    DataError
        As :func:`sites_of_atoms`.
    """
    if isinstance(found, Crystal):
        return with_charges(found, charges or {})
    sites = sites_of_atoms(with_charges(found, charges or {}))
    units = [sites.templates[number] if number >= 0 else None for number in sites.template]
    places = sites.positions @ np.linalg.inv(sites.cell)
    molecules = [[(name, *place) for name, place in zip(u.symbols, u.offsets, strict=True)] if u else [] for u in units]
    record = crystal_record(
        sites.cell, places, [{str(name): 1.0} for name in sites.species], path=path, any_cell=True, symprec=symprec,
        labels=sites.sublattice.tolist(), molecules=molecules,
    )  # fmt: skip
    return with_charges(record, charges or {})


def sites_of(material: Crystal | Atoms, *, name: str | None = None) -> SiteCell:
    """The sites of a crystal record or of a structure."""
    return sites_of_crystal(material) if isinstance(material, Crystal) else sites_of_atoms(material, name=name)


def with_a_site(sites: SiteCell, *, a_site: str) -> SiteCell:
    """Replace every molecular ion of charge +1 by the one-atom ion ``a_site``; ``"molecule"`` leaves them whole.

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
    replaced = sites.molecular & (sites.charges == 1)
    if not replaced.any():
        return sites
    species = np.where(replaced, a_site, sites.species)
    return replace(sites, species=species, template=np.where(replaced, -1, sites.template))


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
    molecular = sites.molecular
    if not molecular.any():
        symbols, positions, molecule = [str(s) for s in sites.species], sites.positions, np.full(n, -1)
        units: list[Molecule | None] = [None] * n
        sizes = np.ones(n, dtype=int)
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
    charges = np.zeros(len(atoms), dtype=int)
    first = np.cumsum(sizes) - sizes
    bearer = first + np.array([0 if unit is None else charge_bearer(unit.symbols) for unit in units])
    charges[bearer] = sites.charges
    atoms.set_array("formal_charge", charges)
    return label(atoms, region=region, phase=sites.name)


def oriented(sites: SiteCell, *, rule: MoleculeOrientation, seed: int = 0) -> SiteCell:
    """Turn the molecules that bring no orientation, so that every later copy of a site has the same one.

    See :func:`qdip_struct.builders.atoms.molecules.molecule_rotations` for the rules.
    """
    free = np.flatnonzero(sites.molecular & (sites.template < 0))
    if len(free) == 0:
        return sites
    template, templates = sites.template.copy(), list(sites.templates)
    for site, turn in zip(free, molecule_rotations(sites.positions[free], rule=rule, seed=seed), strict=True):
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
        If the lattice constant or the A site is not possible, or the crystal is mixed.
    """
    if crystal.occupancies:
        raise UsageError(f"one cell of {crystal.name} cannot hold its mixed sites; build a supercell")
    scaled_crystal = crystal if lattice is None else scaled(crystal, lattice=lattice)
    sites = with_a_site(sites_of_crystal(scaled_crystal), a_site=occupation.a_site)
    return to_atoms(oriented(sites, rule=occupation.orientation, seed=occupation.seed), region=region)
