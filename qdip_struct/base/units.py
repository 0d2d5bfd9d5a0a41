"""Conversion factors between CP2K's atomic units and the package's eV, Å and GPa, all from :mod:`ase.units`.

Inside the package: eV, Å, eV/Å, GPa, K. Reports: meV/Å² and J/m².
"""

from ase import units as _ase

EV_PER_HARTREE: float = _ase.Hartree
ANGSTROM_PER_BOHR: float = _ase.Bohr
EV_PER_ANGSTROM_PER_ATOMIC_FORCE: float = _ase.Hartree / _ase.Bohr
GPA_PER_EV_PER_ANGSTROM3: float = 1.0 / _ase.GPa
EV_PER_INVERSE_CM: float = _ase.invcm
GPA_PER_BAR: float = 1e-4
MEV_PER_EV: float = 1000.0
J_PER_M2_PER_MEV_PER_ANGSTROM2: float = 1e-3 * _ase._e * 1e20
"""1 meV/Å² = 0.0160218 J/m²."""
DEBYE_PER_E_ANGSTROM: float = 1.0 / _ase.Debye
"""1 e·Å = 4.80320 debye."""
