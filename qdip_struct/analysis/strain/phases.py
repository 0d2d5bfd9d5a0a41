"""Which phase each cation belongs to: by the builder's labels, or for any other structure by its chemistry.

Cations are ions of positive charge: the builder's ``formal_charge``, else the oxidation states of the composition. A
structure of one crystal whose ions are not those below is one phase, named by its composition.

By chemistry a divalent cation belongs to the phase of at least two thirds of its anions (4 of 6 around Pb, 3 of 4
around Cd): chalcogens make it dot, halides matrix. What lies between (3 and 3) is on the interface and takes no part.
The A site of a perovskite never takes part: its ions rattle, and strain is read from the framework.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.strain.site_grid import periodic_images
from qdip_struct.base.errors import DataError, QdipError, UsageError
from qdip_struct.builders.atoms.molecules import find_molecules, names_of_molecules
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.ions import (
    CHALCOGENS,
    DIVALENT,
    HALIDES,
    IONS,
    MONOVALENT,
    charge_of_ion,
    name_of_ions,
    oxidation_states,
    sublattices_of,
)

if TYPE_CHECKING:
    from ase import Atoms

ANION_CUTOFF_ANGSTROM: dict[str, float] = {
    ion.name: ion.anion_cutoff for ion in IONS.values() if ion.anion_cutoff is not None
}
"""Farther anions are no neighbours of the cation, Å."""
_MAJORITY = 2.0 / 3.0 - 1e-9
_ROLE_OF_REGION = {"dot": "dot", "shell": "shell", "matrix": "matrix", "film": "film", "substrate": "substrate"}


@dataclass(frozen=True, eq=False)
class Phases:
    """The phase of every cation of a structure.

    Attributes
    ----------
    labels
        (n,) phase of each cation that takes part ("PbS", "CsPbI3"), "" for every other atom.
    roles
        Phase → what it is in the structure: dot, shell, matrix, film, substrate.
    origin
        ``labels`` (the builder's array ``phase``), ``chemistry`` or ``composition``.
    undecided
        Indices of cations with mixed surroundings, which take no part.
    strangers
        Element → number of cations that are in no phase: nothing is known of their neighbours.
    """

    labels: NDArray[np.str_]
    roles: dict[str, str]
    origin: str
    undecided: NDArray[np.int64]
    strangers: dict[str, int] = field(default_factory=dict)

    def role_of(self) -> NDArray[np.str_]:
        """(n,) role of each cation that takes part, "" for every other atom."""
        role = np.full(len(self.labels), "", dtype="U16")
        for phase, name in self.roles.items():
            role[self.labels == phase] = name
        return role


def find_phases(atoms: "Atoms") -> Phases:
    """Phase of every cation: from the array ``phase`` when the structure carries one, else from its chemistry.

    Raises
    ------
    DataError
        If no cation has a phase.
    """
    if atoms.has("phase"):
        found = labelled_phases(atoms)
        if (found.labels != "").any():
            return found
    found = chemical_phases(atoms)
    if not (found.labels != "").any() and not len(found.undecided):
        found = phase_of_composition(atoms)
    if not (found.labels != "").any():
        raise DataError(
            "no cation with a phase: expected an ionic crystal, a perovskite or chalcogenide of "
            f"{', '.join(DIVALENT[:-1])} or {DIVALENT[-1]}, or the arrays region and phase of 'qdip build'"
        )
    return found


def labelled_phases(atoms: "Atoms") -> Phases:
    """Phases from the arrays ``phase`` and ``region``; ligands take no part."""
    phase = np.asarray(atoms.arrays["phase"], dtype=str)
    region = np.asarray(atoms.arrays["region"], dtype=str) if atoms.has("region") else np.full(len(atoms), "")
    symbols = np.asarray(atoms.get_chemical_symbols())
    labels = np.full(len(atoms), "", dtype=phase.dtype)
    roles: dict[str, str] = {}
    for name in np.unique(phase).tolist():
        own = (phase == name) & (region != "ligand")
        if not own.any():
            continue
        cations = cations_of(name) or _framework(atoms, own, name)
        labels[own & np.isin(symbols, cations)] = name
        counts = Counter(_ROLE_OF_REGION[place] for place in region[own].tolist() if place in _ROLE_OF_REGION)
        if counts:
            roles[name] = max(sorted(counts), key=lambda role: counts[role])
        elif atoms.has("dot"):
            roles[name] = "dot" if (atoms.arrays["dot"][own] >= 0).mean() > 0.5 else "matrix"
        else:
            roles[name] = "matrix" if is_perovskite(name) else "dot"
    roles = {name: role for name, role in roles.items() if (labels == name).any()}
    return Phases(labels, roles, "labels", np.zeros(0, dtype=np.int64))


def cations_of(phase: str) -> tuple[str, ...] | None:
    """Elements whose sublattice carries the strain: B of ABX₃, the cation of a binary; ``None`` for another name."""
    try:
        formula = parse_formula(phase)
    except UsageError:
        return None
    site = formula.sublattices[1 if formula.family == "perovskite" else 0]
    return site.species


def is_perovskite(phase: str) -> bool:
    """Whether a phase is named by the formula of a perovskite ABX₃."""
    try:
        return parse_formula(phase).family == "perovskite"
    except UsageError:
        return False


def _framework(atoms: "Atoms", own: NDArray[np.bool_], name: str) -> tuple[str, ...]:
    """Elements whose cations carry the strain of a phase that no formula here tells; empty where none is known.

    Of a name such as InP or Cs2AgBiBr6 only its own elements: what a neutrality rule put there is not of the crystal.
    """
    try:
        states = _states(atoms[own])
    except QdipError:
        return ()
    named = re.findall(r"[A-Z][a-z]?", name) if re.fullmatch(r"(?:[A-Z][a-z]?\d*\.?\d*)+", name) else []
    if any(states.get(element, 0) > 0 for element in named):
        states = {element: state for element, state in states.items() if element in named}
    return _of_framework(states)


def _of_framework(states: Mapping[str, int]) -> tuple[str, ...]:
    """B cations where the ions are those of a perovskite, else all cations."""
    sites = dict(zip(states, sublattices_of(tuple(states), states=states), strict=True))
    wanted = "B" if "B" in sites.values() else "cation"
    return tuple(name for name, site in sites.items() if site == wanted and states[name] > 0 and name in IONS)


def _states(atoms: "Atoms") -> dict[str, int]:
    """Charge (e) of each ion, molecules whole: as labelled, else of the neutral composition, else the usual one."""
    symbols = np.asarray(atoms.get_chemical_symbols())
    if atoms.has("formal_charge"):
        single = atoms.arrays["molecule"] < 0 if atoms.has("molecule") else np.ones(len(atoms), dtype=bool)
        charges = atoms.arrays["formal_charge"]
        return {
            name: int(np.sign(charges[single & (symbols == name)].sum()))
            * int(np.abs(charges[single & (symbols == name)]).max())
            for name in np.unique(symbols[single]).tolist()
        }
    cell, pbc = atoms.cell.array, atoms.pbc
    molecule, whole = find_molecules(symbols.tolist(), positions=atoms.positions, cell=cell, pbc=pbc)
    names = names_of_molecules(symbols.tolist(), positions=whole, molecule=molecule, cell=cell, pbc=pbc)
    counts = Counter([*names, *symbols[molecule < 0].tolist()])
    try:
        return oxidation_states(counts)
    except DataError:
        return {name: charge_of_ion(name) for name in counts}


def phase_of_composition(atoms: "Atoms") -> Phases:
    """One phase, the whole structure: its cations by oxidation states, its name by its composition."""
    symbols = np.asarray(atoms.get_chemical_symbols())
    none = Phases(np.full(len(atoms), ""), {}, "composition", np.zeros(0, dtype=np.int64))
    try:
        states = _states(atoms)
        cations = _of_framework(states)
    except QdipError:
        return none
    if not cations:
        return none
    name = name_of_ions(symbols.tolist())
    labels = np.where(np.isin(symbols, cations), name, "")
    framework = "B" in sublattices_of(tuple(states), states=states)
    return Phases(labels, {name: "matrix" if framework else "dot"}, "composition", np.zeros(0, dtype=np.int64))


def chemical_phases(atoms: "Atoms") -> Phases:
    """Phases from the anions around each divalent cation; names such as ``PbS`` and ``CsPbBr2I`` from the counts.

    Raises
    ------
    DataError
        If it is not known how far the neighbours of a cation are.
    """
    symbols = np.asarray(atoms.get_chemical_symbols())
    anions = np.flatnonzero(np.isin(symbols, (*CHALCOGENS, *HALIDES)))
    family = np.full(len(atoms), "", dtype="U10")
    members: dict[tuple[str, str], list[int]] = {}
    around: dict[tuple[str, str], Counter[str]] = {}
    undecided: list[int] = []
    for element in DIVALENT:
        cations = np.flatnonzero(symbols == element)
        if not cations.size or not anions.size:
            continue
        for cation, near in zip(cations.tolist(), _anions_around(atoms, cations, anions, element), strict=True):
            names = symbols[near]
            share = float(np.isin(names, CHALCOGENS).mean()) if len(names) else 0.5
            if len(names) and max(share, 1.0 - share) >= _MAJORITY:
                key = (element, "chalcogenide" if share > 0.5 else "halide")
                members.setdefault(key, []).append(cation)
                kind = CHALCOGENS if share > 0.5 else HALIDES
                around.setdefault(key, Counter()).update(name for name in names.tolist() if name in kind)
            else:
                undecided.append(cation)
    found: dict[str, list[int]] = {}
    roles: dict[str, str] = {}
    halides = [key for key in members if key[1] == "halide"]
    if halides:
        # One framework, whatever mixture of B cations it holds.
        name = _perovskite_name(symbols, {key[0]: len(members[key]) for key in halides}, _sum(around, halides))
        found[name] = [cation for key in halides for cation in members[key]]
        roles[name] = "matrix"
    inner = [key for key in members if key[1] == "chalcogenide"]
    lead = [key for key in inner if IONS[key[0]].coordination == 6]
    for group in (lead, [key for key in inner if key not in lead]):
        if group:
            name = _formula({key[0]: len(members[key]) for key in group}, 1) + _formula(_sum(around, group), 1)
            found[name] = [cation for key in group for cation in members[key]]
            roles[name] = "shell" if lead and group is not lead else "dot"
    family = np.full(len(atoms), "", dtype=f"U{max(map(len, found), default=1)}")
    for name, sites in found.items():
        family[sites] = name
    others = {name for name in set(symbols.tolist()) if name in IONS and IONS[name].site == "B"} - set(DIVALENT)
    strangers = {name: int((symbols == name).sum()) for name in sorted(others)}
    return Phases(family, roles, "chemistry", np.array(sorted(undecided), dtype=np.int64), strangers)


def _sum(around: dict[tuple[str, str], Counter[str]], keys: list[tuple[str, str]]) -> Counter[str]:
    return sum((around[key] for key in keys), Counter[str]())


def _anions_around(
    atoms: "Atoms", cations: NDArray[np.int64], anions: NDArray[np.int64], element: str
) -> list[NDArray[np.int64]]:
    cutoff, count = IONS[element].anion_cutoff, IONS[element].coordination
    if cutoff is None or count is None:
        raise DataError(
            f"it is not known how many anions surround {element} and how far they are, so they do not tell its phase; "
            "give the structure the arrays region and phase of 'qdip build', or add anion_cutoff and coordination to "
            f"{element} in qdip_struct/materials/ions.py"
        )
    both = np.concatenate((cations, anions))
    images = periodic_images(atoms.positions[both], cell=atoms.cell.array, pbc=atoms.pbc, margin=cutoff)
    is_anion = np.flatnonzero(images.owner >= len(cations))
    from scipy.spatial import cKDTree

    tree = cKDTree(images.positions[is_anion])
    distance, index = tree.query(
        images.positions[: len(cations)], k=[*range(1, count + 1)], distance_upper_bound=cutoff
    )
    return [both[images.owner[is_anion[row[np.isfinite(far)]]]] for row, far in zip(index, distance, strict=True)]


def _perovskite_name(symbols: NDArray[np.str_], b_sites: dict[str, int], anions: Counter[str]) -> str:
    present = set(symbols.tolist())
    a_sites: dict[str, Any] = {name: int((symbols == name).sum()) for name in MONOVALENT if name in present}
    nitrogen, carbon = int((symbols == "N").sum()), int((symbols == "C").sum())
    if carbon:
        two = max(0, min(carbon, nitrogen - carbon))
        a_sites.update({name: count for name, count in (("FA", two), ("MA", carbon - two)) if count})
    return _formula(a_sites or {"Cs": 1}, 1) + _formula(b_sites, 1) + _formula(anions, 3)


def _formula(counts: dict[str, int] | Counter[str], total: int) -> str:
    """Species with amounts that add up to ``total``, rounded to 0.01, in the order of their share."""
    everything = sum(counts.values())
    order = sorted(counts, key=lambda name: (-counts[name], name))
    parts = [(name, round(total * counts[name] / everything, 2)) for name in order]
    return "".join(f"{name}{'' if amount == 1 else f'{amount:g}'}" for name, amount in parts if amount > 0)
