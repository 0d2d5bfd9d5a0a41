"""Molar masses of formulas and densities of crystals."""

import re

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.composition import Formula
from qdip_struct.materials.crystals import Crystal

ATOMIC_MASSES: dict[str, float] = {
    "H": 1.008, "C": 12.011, "N": 14.007, "F": 18.998403, "Na": 22.989769, "S": 32.06, "Cl": 35.45, "K": 39.0983,
    "Zn": 65.38, "Se": 78.971, "Br": 79.904, "Rb": 85.4678, "Cd": 112.414, "Sn": 118.71, "Te": 127.60, "I": 126.90447,
    "Cs": 132.905452, "Hg": 200.592, "Pb": 207.2,
}  # fmt: skip
"""Standard atomic weights (IUPAC 2021, abridged), g/mol."""

MOLECULAR_IONS: dict[str, str] = {"MA": "CH6N", "FA": "CH5N2"}
"""Composition of the molecular ions methylammonium and formamidinium."""

GRAM_PER_CM3 = 1.66053906660
"""g/cm³ per (g/mol)/Å³: 10²⁴/N_A."""

_PIECE = re.compile(r"(MA|FA|[A-Z][a-z]?)(\d*\.?\d*)")


def molar_mass(formula: str | Formula) -> float:
    """Molar mass (g/mol) of one formula unit, for example of ``MAPbI3``, ``PbI1.667Br0.333`` or a parsed formula.

    Raises
    ------
    UsageError
        If the text is not a plain formula of known elements, or a site of the formula is free.
    """
    if isinstance(formula, Formula):
        formula.weights()
        formula = formula.text
    text = formula.replace(" ", "")
    pieces = _PIECE.findall(text)
    if not pieces or "".join(name + amount for name, amount in pieces) != text:
        raise UsageError(f"cannot read '{formula}' as a formula; expected for example PbI2 or MAPbI3")
    total = 0.0
    for name, amount in pieces:
        if name not in ATOMIC_MASSES and name not in MOLECULAR_IONS:
            raise UsageError(f"no atomic mass for '{name}' in '{formula}'; known: {', '.join(ATOMIC_MASSES)}, MA, FA")
        mass = molar_mass(MOLECULAR_IONS[name]) if name in MOLECULAR_IONS else ATOMIC_MASSES[name]
        total += mass * (float(amount) if amount else 1.0)
    return total


def density(crystal: Crystal) -> float:
    """Mass density (g/cm³) of a crystal, Z·M/(V·N_A)."""
    return crystal.n_formula_units * molar_mass(crystal.name) * GRAM_PER_CM3 / crystal.volume
