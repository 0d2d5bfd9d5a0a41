"""How close two atoms of different bodies may come, from ionic radii, and which atoms of a host are too close.

Limits: 0.85 of the sum of radii for opposite charges, 0.80 for two anions, 3.3 Å for two cations, never below 2.2 Å.
Radii are those of :mod:`qdip_struct.builders.atoms.radii`; a hydrogen atom of a molecule counts as 0.75 Å, its carbon
and nitrogen as 1.6 Å. They only ever serve as generous limits.
"""

from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.neighbours import neighbour_pairs
from qdip_struct.builders.atoms.radii import IONIC_RADII_ANGSTROM
from qdip_struct.builders.atoms.regions import FORMAL_CHARGES

Array = NDArray[Any]

CONTACT_RADII_ANGSTROM: dict[str, float] = {
    **IONIC_RADII_ANGSTROM, "P": 2.12, "As": 2.22, "N": 1.60, "C": 1.60, "H": 0.75,
}  # fmt: skip
"""Radius of each ion, and of the atoms that have no ionic radius, Å."""

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
