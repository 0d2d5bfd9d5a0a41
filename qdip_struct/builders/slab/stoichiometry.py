"""Counting ions: formula units, what a slab has too much or too little of, and the crystal that takes it up.

A slab that ends in AX or BX2 layers on both faces is not stoichiometric: its surface energy depends on the chemical
potential of AX. Molecular ions count whole.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import SiteCell
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.datasets import DEFAULT_DATASET, get_crystal

Array = NDArray[Any]


def ions_of_sites(sites: SiteCell) -> dict[str, int]:
    """Number of each ion, in alphabetical order."""
    names, counts = np.unique(sites.species, return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def ions_of(atoms: Atoms) -> dict[str, int]:
    """Number of each ion of labelled atoms; a molecular ion counts once, as MA (one N) or FA (two N)."""
    molecule = atoms.get_array("molecule")
    symbols = np.array(atoms.get_chemical_symbols())
    names, counts = np.unique(symbols[molecule < 0], return_counts=True)
    found = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    if (molecule >= 0).any():
        nitrogen = np.bincount(molecule[(molecule >= 0) & (symbols == "N")])
        for name, count in (("MA", int((nitrogen == 1).sum())), ("FA", int((nitrogen == 2).sum()))):
            if count:
                found[name] = count
    return dict(sorted(found.items()))


def reference_cations(sites: SiteCell) -> tuple[str, ...]:
    """Ions by which formula units are counted: B of a perovskite, the cations of a binary."""
    kept = np.isin(sites.sublattice, ("B", "cation"))
    return tuple(sorted({str(name) for name in sites.species[kept]}))


def formula_units(ions: Mapping[str, int], *, bulk: SiteCell) -> float:
    """Formula units by the count of the reference cation, in units of the bulk's reduced formula."""
    whole = ions_of_sites(bulk)
    divisor = int(np.gcd.reduce(list(whole.values())))
    cations = reference_cations(bulk)
    return sum(ions.get(name, 0) for name in cations) * divisor / sum(whole[name] for name in cations)


def excess(ions: Mapping[str, int], *, bulk: SiteCell) -> dict[str, int | float]:
    """Ions beyond whole formula units of the bulk (negative: missing); empty for a stoichiometric structure."""
    whole = ions_of_sites(bulk)
    cations = reference_cations(bulk)
    n_cells = sum(ions.get(name, 0) for name in cations) / sum(whole[name] for name in cations)
    extra = {name: ions.get(name, 0) - n_cells * count for name, count in whole.items()}
    rounded = {name: round(value, 6) for name, value in extra.items() if abs(value) > 1e-6}
    return {name: int(value) if value == int(value) else value for name, value in rounded.items()}


def reservoir_of(bulk: SiteCell, *, dataset: str | None) -> Crystal | None:
    """The crystal AX of a perovskite ABX3, from its own data set or else from the default one; None when unknown."""
    a_sites = {str(s) for s in bulk.species[bulk.sublattice == "A"]}
    halides = {str(s) for s in bulk.species[bulk.sublattice == "X"]}
    if len(a_sites) != 1 or len(halides) != 1:
        return None
    for name in dict.fromkeys([dataset or DEFAULT_DATASET, DEFAULT_DATASET]):
        try:
            return get_crystal(f"{next(iter(a_sites))}{next(iter(halides))}", dataset=name)
        except UsageError:
            continue
    return None
