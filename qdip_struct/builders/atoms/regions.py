"""Whose atom is it: region, phase, formal charge and molecule of every atom, and how close ions may come.

Arrays on every built ``ase.Atoms``, all of length n and kept by extxyz:

``region``
    dot, shell, interface, matrix, ligand in embedded and free dots; film, substrate in slabs.
``phase``
    name of the crystal the atom belongs to.
``formal_charge``
    integer charge in e; the charge of a molecular ion sits on one atom, a nitrogen or else an oxygen, the others
    carry 0.
``molecule``
    number of the molecule, -1 for atoms that are ions themselves.
``dot``
    number of the dot (0, 1, ...), its shell and ligands included, -1 in the matrix. Only where there is a dot.

Charges and valence electrons are the ones a CP2K user expects: whole ions, GTH-PBE default valences.

How close two atoms of different bodies may come: 0.85 of the sum of radii for opposite charges, 0.80 for two anions,
3.3 Å for two cations, never below 2.2 Å, with the radii of
:data:`qdip_struct.materials.ions.CONTACT_RADII_ANGSTROM`. These limits only ever serve as generous ones.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.atoms.molecules import charge_bearer, find_molecules, names_of_molecules
from qdip_struct.builders.atoms.neighbours import minimum_distance, nearest_neighbour, neighbour_pairs
from qdip_struct.materials.ions import (
    CONTACT_RADII_ANGSTROM,
    FORMAL_CHARGES,
    VALENCE_ELECTRONS,
    charge_of_ion,
    oxidation_states,
)

INTERFACE_DEPTH = 3.5
"""Atoms with an atom of the other side within this distance (Å) are labelled ``interface``."""


def formal_charges(
    symbols: Iterable[str],
    *,
    molecule: Sequence[int] | Array | None = None,
    names: Sequence[str] = (),
    states: Mapping[str, int] | None = None,
) -> Array:
    """Formal charge in e of each atom, shape (n,).

    Parameters
    ----------
    symbols
        Element of each atom.
    molecule
        Number of the molecule of each atom, -1 outside. Of a molecule one atom carries the charge, see
        :func:`qdip_struct.builders.atoms.molecules.charge_bearer`, the others 0.
    names
        Name of each molecule, by number; those without are of charge +1.
    states
        Charges that are not the usual ones, by ion.

    Raises
    ------
    UsageError
        If the charge of an element outside molecules, or of a molecule, is not known.
    """
    found = np.asarray(list(symbols), dtype=str)
    ids = np.full(len(found), -1) if molecule is None else np.asarray(molecule)
    charges = np.zeros(len(found), dtype=int)
    for name in np.unique(found[ids < 0]):
        if name not in FORMAL_CHARGES and name not in (states or {}):
            known = ", ".join(FORMAL_CHARGES)
            raise UsageError(f"no formal charge is known for {name} outside a molecular ion; known: {known}")
        charges[(found == name) & (ids < 0)] = charge_of_ion(str(name), states=states)
    inside = np.flatnonzero(ids >= 0)
    inside = inside[np.argsort(ids[inside], kind="stable")]
    starts = np.flatnonzero(np.diff(ids[inside], prepend=-1))
    for members in np.split(inside, starts[1:]) if len(inside) else ():
        number = int(ids[members[0]])
        charge = charge_of_ion(names[number], states=states) if number < len(names) else 1
        charges[members[charge_bearer(found[members].tolist())]] = charge
    return charges


def label(atoms: Atoms, *, region: str, phase: str, charges: Mapping[str, int] | None = None) -> Atoms:
    """Set ``region`` and ``phase`` of all atoms in place, add missing ``molecule`` and ``formal_charge``; return it.

    Molecules are found by their bonds and made whole. Charges are those that the composition gives, where it can be
    balanced, else the usual ones: what is cut may be charged. ``charges`` (e) by ion override both.

    Raises
    ------
    UsageError, DataError
        If the charge of an atom or of a molecule is not known.
    """
    n = len(atoms)
    atoms.set_array("region", np.full(n, region, dtype="U9"))
    atoms.set_array("phase", np.full(n, phase))
    if not atoms.has("molecule"):
        found, whole = find_molecules(
            atoms.get_chemical_symbols(), positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc
        )
        atoms.set_array("molecule", found)
        atoms.positions = whole
    if not atoms.has("formal_charge"):
        atoms.set_array("formal_charge", _charges_of(atoms, charges=charges))
    return atoms


def _charges_of(atoms: Atoms, *, charges: Mapping[str, int] | None) -> Array:
    symbols, molecule = atoms.get_chemical_symbols(), atoms.get_array("molecule")
    names = names_of_molecules(
        symbols, positions=atoms.positions, molecule=molecule, cell=atoms.cell.array, pbc=atoms.pbc
    )
    held = Counter([*names, *np.asarray(symbols)[molecule < 0].tolist()])
    states = dict(charges or {})
    # Ions of one kind alone are a charged piece and no element.
    if len(held) > 1:
        with suppress(DataError):
            states = oxidation_states(held, given=states) | states
    return formal_charges(symbols, molecule=molecule, names=names, states=states)


def formal_charge_of(atoms: Atoms) -> dict[str, int]:
    """Sum of formal charges in e of each part and in total.

    Parts are ``dot`` (with shell and ligands) and ``matrix`` where atoms carry the array ``dot``, else the regions.
    """
    charges = atoms.get_array("formal_charge")
    if atoms.has("dot"):
        inside = atoms.get_array("dot") >= 0
        parts = {"dot": int(charges[inside].sum()), "matrix": int(charges[~inside].sum())}
    else:
        region = atoms.get_array("region")
        parts = {str(name): int(charges[region == name].sum()) for name in np.unique(region)}
    return {**parts, "total": int(charges.sum())}


def told_charge(atoms: Atoms, report: Mapping[str, Any], *, charges: Mapping[str, int] | None = None) -> int | None:
    """Formal charge (e) of the real atoms of a structure, from its labels or else what its builder told of it.

    Where ``charges`` (e) by ion are given, they count instead, beside the usual ones of the other ions. ``None`` where
    nothing says so.

    Raises
    ------
    DataError
        If the charge of another ion is not known.
    """
    real = ~atoms.get_array("ghost").astype(bool) if atoms.has("ghost") else np.ones(len(atoms), dtype=bool)
    if charges:
        return _charge_with(atoms[real], charges)
    if atoms.has("formal_charge"):
        return int(np.rint(atoms.get_array("formal_charge")[real].sum()))
    told = report.get("formal_charge")
    total = told.get("total") if isinstance(told, Mapping) else None
    return total if isinstance(total, int) else None


def _charge_with(atoms: Atoms, charges: Mapping[str, int]) -> int:
    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    symbols = np.array(bare.get_chemical_symbols())
    cell, pbc = bare.cell.array, bare.pbc
    molecule, whole = find_molecules(symbols.tolist(), positions=bare.positions, cell=cell, pbc=pbc)
    names = names_of_molecules(symbols.tolist(), positions=whole, molecule=molecule, cell=cell, pbc=pbc)
    held = Counter([*names, *symbols[molecule < 0].tolist()])
    return sum(count * charge_of_ion(name, states=charges) for name, count in held.items())


def composition_of(atoms: Atoms) -> dict[str, int]:
    """Number of atoms of each element, elements in alphabetical order."""
    from ase.data import chemical_symbols

    numbers, counts = np.unique(atoms.numbers, return_counts=True)
    return dict(sorted((chemical_symbols[z], int(n)) for z, n in zip(numbers, counts, strict=True)))


def electrons_of(atoms: Atoms, *, valence: Mapping[str, int] | None = None) -> int:
    """Number of valence electrons of the neutral atoms: Σ n_element · valence(element).

    Raises
    ------
    UsageError
        If ``valence`` (default :data:`qdip_struct.materials.ions.VALENCE_ELECTRONS`) lacks an element.
    """
    table = VALENCE_ELECTRONS if valence is None else valence
    counts = composition_of(atoms)
    missing = [name for name in counts if name not in table]
    if missing:
        raise UsageError(f"no valence electron count is known for {', '.join(missing)}")
    return sum(n * table[name] for name, n in counts.items())


def _states_of(atoms: Atoms) -> dict[str, list[int]]:
    """Charges (e) that occur of each element outside molecules, elements in alphabetical order."""
    single = atoms.get_array("molecule") < 0
    pairs = np.stack([atoms.numbers[single], atoms.get_array("formal_charge")[single]], axis=1).astype(int)
    found: dict[str, list[int]] = {}
    for number, charge in np.unique(pairs, axis=0):
        found.setdefault(chemical_symbols[number], []).append(int(charge))
    return dict(sorted(found.items()))


def regions_of(atoms: Atoms) -> dict[str, int]:
    """Number of atoms in each region, names in alphabetical order."""
    return dict(sorted(Counter(atoms.get_array("region").tolist()).items()))


def mark_interface(atoms: Atoms, *, depth: float = INTERFACE_DEPTH) -> Atoms:
    """Label ``interface`` all atoms of dot or matrix with an atom of the other side within ``depth`` Å; in place.

    A molecule belongs to the interface when one of its atoms does; ligands stay ``ligand``.

    Raises
    ------
    UsageError
        If the depth is not a finite length of 0 or more.
    """
    if not (math.isfinite(depth) and depth >= 0):
        raise UsageError(f"the interface depth is {depth:g} Å; expected a finite length of 0 or more")
    owner, region, molecule = (atoms.get_array(name) for name in ("dot", "region", "molecule"))
    ligand = region == "ligand"
    here, there = np.flatnonzero(owner >= 0), np.flatnonzero(owner < 0)
    cell, pbc, points = atoms.cell.array, atoms.pbc, atoms.positions
    near, _ = nearest_neighbour(points[there], targets=points[here], cell=cell, pbc=pbc, cutoff=depth)
    outer = there[np.isfinite(near)]
    near, _ = nearest_neighbour(points[here], targets=points[outer], cell=cell, pbc=pbc, cutoff=depth)
    region[outer] = "interface"
    region[here[np.isfinite(near)]] = "interface"
    touched = np.unique(molecule[(region == "interface") & (molecule >= 0)])
    if len(touched):
        region[np.isin(molecule, touched)] = "interface"
    region[ligand] = "ligand"
    atoms.set_array("region", region)
    return atoms


def report(
    atoms: Atoms,
    *,
    volume_fraction: float | None = None,
    changes: Sequence[Mapping[str, Any]] = (),
    seed: int | None = None,
    valence: Mapping[str, int] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Sum up a structure for its sidecar file.

    Parameters
    ----------
    atoms
        Structure with the arrays of this module.
    volume_fraction
        Volume of the dots' formula units over the volume of the cell, 0–1.
    changes
        What a neutrality rule removed, added or swapped; one mapping per changed site.
    seed
        Seed of every random choice made.
    valence
        Valence electrons per element; default :data:`qdip_struct.materials.ions.VALENCE_ELECTRONS`.
    **more
        Further entries, appended as given.

    Returns
    -------
    dict
        ``n_atoms``, ``composition``, ``formal_charge`` {part: e}, ``oxidation_states`` {element: [e]} of the ions that
        are one atom, ``electrons``, ``regions`` {name: count},
        ``volume_fraction``, ``min_distance_angstrom`` (pairs inside one molecule left out), ``changes``,
        ``cell_angstrom`` (3, 3) row vectors, ``seed``.
    """
    return {
        "n_atoms": len(atoms),
        "composition": composition_of(atoms),
        "formal_charge": formal_charge_of(atoms),
        "oxidation_states": _states_of(atoms),
        "electrons": electrons_of(atoms, valence=valence),
        "regions": regions_of(atoms),
        "volume_fraction": volume_fraction,
        "min_distance_angstrom": minimum_distance(atoms),
        "changes": [dict(change) for change in changes],
        "cell_angstrom": atoms.cell.array.tolist(),
        "seed": seed,
        **more,
    }


FLOOR = 2.2
"""No two atoms of different bodies come closer than this (Å)."""
_OPPOSITE, _ANIONS, _CATIONS = 0.85, 0.80, 3.3


def contact_limit(one: str, other: str) -> float:
    """Smallest distance in Å at which two ions of different bodies are left alone.

    Raises
    ------
    UsageError
        If an element has no radius.
    """
    for name in (one, other):
        if name not in CONTACT_RADII_ANGSTROM:
            raise UsageError(f"no ionic radius is known for {name}; known: {', '.join(CONTACT_RADII_ANGSTROM)}")
    total = CONTACT_RADII_ANGSTROM[one] + CONTACT_RADII_ANGSTROM[other]
    charges = [0 if name in ("H", "C", "N") else FORMAL_CHARGES[name] for name in (one, other)]
    if charges[0] > 0 and charges[1] > 0:
        return _CATIONS
    return max(FLOOR, (_ANIONS if charges[0] < 0 and charges[1] < 0 else _OPPOSITE) * total)


def too_close(
    points: Array, *, numbers: Array, targets: Array, target_numbers: Array, cell: Array, pbc: Array
) -> Array:
    """Which of ``points`` (n, 3) lie closer to one of ``targets`` (m, 3) than their elements allow, bool (n,).

    Parameters
    ----------
    points, targets
        Å.
    numbers, target_numbers
        Atomic numbers.
    cell, pbc
        Periodicity of both.
    """
    ours, theirs = np.unique(numbers), np.unique(target_numbers)
    size = max(atomic_numbers.values()) + 1
    limits = np.zeros((size, size))
    for a in ours:
        for b in theirs:
            limits[a, b] = contact_limit(chemical_symbols[a], chemical_symbols[b])
    result = np.zeros(len(points), dtype=bool)
    if not len(points) or not len(targets):
        return result
    who, whom, distance = neighbour_pairs(points, targets=targets, cell=cell, pbc=pbc, cutoff=float(limits.max()))
    near = distance < limits[numbers[who], target_numbers[whom]] - 1e-6
    result[who[near]] = True
    return result
