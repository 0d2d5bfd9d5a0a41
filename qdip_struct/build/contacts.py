"""How close two atoms of different bodies may come, from ionic radii, and which atoms of a host are too close.

Limits: 0.85 of the sum of radii for opposite charges, 0.80 for two anions, 3.3 Å for two cations, never below 2.2 Å.
Radii: R. D. Shannon, Acta Cryst. A 32, 751 (1976), doi:10.1107/S0567739476001551, six-fold coordination; a hydrogen
atom of a molecule counts as 0.75 Å, its carbon and nitrogen as 1.6 Å. The radii were written from memory of that
table and only ever serve as generous limits.
"""

from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from qdip_struct.build.neighbours import neighbour_pairs
from qdip_struct.build.regions import FORMAL_CHARGES
from qdip_struct.errors import UsageError

Array = NDArray[Any]

IONIC_RADII: dict[str, float] = {
    "Li": 0.76, "Na": 1.02, "K": 1.38, "Rb": 1.52, "Cs": 1.67, "Ag": 1.15, "Cu": 0.77,
    "Mg": 0.72, "Ca": 1.00, "Sr": 1.18, "Ba": 1.35, "Zn": 0.74, "Cd": 0.95, "Hg": 1.02, "Ge": 0.73, "Sn": 1.10,
    "Pb": 1.19, "Al": 0.54, "Ga": 0.62, "In": 0.80, "Sb": 0.76, "Bi": 1.03,
    "F": 1.33, "Cl": 1.81, "Br": 1.96, "I": 2.20, "O": 1.40, "S": 1.84, "Se": 1.98, "Te": 2.21,
    "P": 2.12, "As": 2.22, "N": 1.60, "C": 1.60, "H": 0.75,
}  # fmt: skip
"""Radius of each ion in Å."""

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
        if name not in IONIC_RADII:
            raise UsageError(f"no ionic radius is known for {name}; known: {', '.join(IONIC_RADII)}")
    total = IONIC_RADII[one] + IONIC_RADII[other]
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
