"""Light in, light out: carriers that a matrix hands to its dots, how far they diffuse, and photons by wavelength.

Transfer efficiency from two excitations and diffusion length: equations 3 and 11 of Ning et al., Nature 523, 324
(2015), doi:10.1038/nature14563. Photons: E·λ = h·c = 1239.84 eV·nm, for absorption edges, exciton peaks and X-rays.
"""

import itertools
import math

from ase import units

from qdip_struct.base.errors import UsageError, check_positive

NM2_PER_CM2 = 1e14
S_PER_NS = 1e-9
EV_NM: float = units._hplanck * units._c / units._e * 1e9
"""h·c in eV·nm."""


def transfer_efficiency(
    *,
    emission_short: float,
    emission_long: float,
    photons_short: float,
    photons_long: float,
    dot_absorption_short: float,
    dot_absorption_long: float,
    matrix_absorption_short: float,
) -> float:
    """η = [(PL_s·I_l)/(PL_l·I_s)·A_dot,l − A_dot,s]/A_matrix,s: the share of the matrix's carriers that reach the dots.

    Short-wavelength light excites matrix and dots, PL_s = (A_dot,s + η·A_matrix,s)·Q·I_s; long-wavelength light the
    dots alone, PL_l = A_dot,l·Q·I_l. The quantum yield Q of the dots drops out.

    Parameters
    ----------
    emission_short, emission_long
        PL, emission of the dots under either light (counts or photons per second, one scale for both).
    photons_short, photons_long
        I, incident photons (one scale for both).
    dot_absorption_short, dot_absorption_long, matrix_absorption_short
        A, absorbed fractions, 0 to 1.

    Returns
    -------
    float
        η, a fraction. Measured data can put it below 0 or above 1; that is not corrected.

    Raises
    ------
    UsageError
        If a number is not finite, an emission, a photon number or the absorption of the matrix is not positive, or
        an absorption is not between 0 and 1.
    """
    positive = {
        "emission at short wavelength": emission_short,
        "emission at long wavelength": emission_long,
        "photon number at short wavelength": photons_short,
        "photon number at long wavelength": photons_long,
        "absorption of the matrix": matrix_absorption_short,
    }
    for what, value in positive.items():
        check_positive(value, what=f"the {what}")
    absorptions = {
        "absorption of the dots at short wavelength": dot_absorption_short,
        "absorption of the dots at long wavelength": dot_absorption_long,
        "absorption of the matrix": matrix_absorption_short,
    }
    for what, value in absorptions.items():
        if not (math.isfinite(value) and 0.0 <= value <= 1.0):
            raise UsageError(f"the {what} is {value:g}; expected a fraction from 0 to 1")
    ratio = (emission_short * photons_long) / (emission_long * photons_short)
    return (ratio * dot_absorption_long - dot_absorption_short) / matrix_absorption_short


def transfer_efficiency_bounds(
    *,
    emission_short: float,
    emission_long: float,
    photons_short: float,
    photons_long: float,
    dot_absorption_short: tuple[float, float],
    dot_absorption_long: tuple[float, float],
    matrix_absorption_short: tuple[float, float],
) -> tuple[float, float]:
    """Smallest and largest η when each absorption is only known to lie in an interval (its rounding in a table).

    η is monotonic in each absorption, so that the bounds lie at the corners. Parameters as for
    :func:`transfer_efficiency`, the absorptions as (lowest, highest).

    Raises
    ------
    UsageError
        As for :func:`transfer_efficiency`, and if an interval is empty.
    """
    intervals = (dot_absorption_short, dot_absorption_long, matrix_absorption_short)
    for low, high in intervals:
        if not low <= high:
            raise UsageError(f"the interval {low:g} to {high:g} is empty; give the lower end first")
    values = [
        transfer_efficiency(
            emission_short=emission_short,
            emission_long=emission_long,
            photons_short=photons_short,
            photons_long=photons_long,
            dot_absorption_short=short,
            dot_absorption_long=long,
            matrix_absorption_short=matrix,
        )
        for short, long, matrix in itertools.product(*intervals)
    ]
    return min(values), max(values)


def diffusion_length(diffusivity: float, *, lifetime: float) -> float:
    """L = √(D·τ), nm.

    Parameters
    ----------
    diffusivity
        D, cm²/s.
    lifetime
        τ, ns.

    Raises
    ------
    UsageError
        If a number is not positive and finite.
    """
    check_positive(diffusivity, what="the diffusivity")
    check_positive(lifetime, what="the lifetime")
    return math.sqrt(diffusivity * NM2_PER_CM2 * lifetime * S_PER_NS)


def photon_energy(wavelength: float) -> float:
    """E = h·c/λ (eV) of a wavelength in nm, which must be positive."""
    check_positive(wavelength, what="the wavelength")
    return EV_NM / wavelength


def photon_wavelength(energy: float) -> float:
    """λ = h·c/E (nm) of an energy in eV, which must be positive."""
    check_positive(energy, what="the photon energy")
    return EV_NM / energy
