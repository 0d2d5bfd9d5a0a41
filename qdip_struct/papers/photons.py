"""Photons: energy against wavelength, for absorption edges, exciton peaks and X-rays. E·λ = h·c = 1239.84 eV·nm."""

import math

from ase import units

from qdip_struct.base.errors import UsageError

EV_NM: float = units._hplanck * units._c / units._e * 1e9
"""h·c in eV·nm."""


def photon_energy(wavelength: float) -> float:
    """E = h·c/λ (eV) of a wavelength in nm.

    Raises
    ------
    UsageError
        If the wavelength is not positive and finite.
    """
    return EV_NM / _positive(wavelength, "wavelength")


def photon_wavelength(energy: float) -> float:
    """λ = h·c/E (nm) of an energy in eV.

    Raises
    ------
    UsageError
        If the energy is not positive and finite.
    """
    return EV_NM / _positive(energy, "photon energy")


def _positive(value: float, what: str) -> float:
    if not (math.isfinite(value) and value > 0.0):
        raise UsageError(f"the {what} is {value:g}; expected a positive number")
    return value
