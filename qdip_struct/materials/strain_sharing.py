"""How a misfit is shared: between film and substrate by stiffness and thickness, between a dot and its matrix.

All formulas are linear elasticity, isotropic where moduli K and G appear. Misfit f = (a_matrix − a_dot)/a_dot > 0
stretches the dot.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.elasticity import EV_PER_GPA_ANGSTROM3, J_PER_M2_PER_GPA_ANGSTROM, Moduli

Surroundings = Literal["infinite", "fixed", "free"]
SURROUNDINGS: tuple[Surroundings, ...] = get_args(Surroundings)


@dataclass(frozen=True)
class FilmSharing:
    """Strains of a coherent film and its substrate.

    Attributes
    ----------
    film_strain, substrate_strain
        In-plane engineering strains; film − substrate is the misfit.
    energy_j_per_m2
        Elastic energy of both per interface area, J/m².
    """

    film_strain: float
    substrate_strain: float
    energy_j_per_m2: float


@dataclass(frozen=True)
class DotSharing:
    """Strains and elastic energy of a coherent spherical dot.

    Attributes
    ----------
    dot_strain
        Uniform engineering strain of the dot.
    matrix_radial_strain, matrix_hoop_strain
        Strains of the matrix at the interface.
    pressure_gpa
        Stress 3·K_dot·dot_strain in the dot (positive: tension).
    energy_per_volume_gpa
        Elastic energy of dot and matrix per volume of dot.
    surroundings, volume_fraction
        The boundary condition and φ.
    """

    dot_strain: float
    matrix_radial_strain: float
    matrix_hoop_strain: float
    pressure_gpa: float
    energy_per_volume_gpa: float
    surroundings: Surroundings
    volume_fraction: float

    def energy_ev(self, diameter: float) -> float:
        """Elastic energy (eV) of one dot of the diameter (Å) and its share of matrix."""
        return self.energy_per_volume_gpa * math.pi * diameter**3 / 6.0 * EV_PER_GPA_ANGSTROM3

    def energy_j_per_m2(self, diameter: float) -> float:
        """Elastic energy per interface area (J/m²) of a dot of the diameter (Å)."""
        return self.energy_per_volume_gpa * diameter / 6.0 * J_PER_M2_PER_GPA_ANGSTROM


def share_film(
    misfit: float, *, film: Moduli, substrate: Moduli, film_thickness: float, substrate_thickness: float
) -> FilmSharing:
    """Film on substrate, coherent and flat: both are strained so that the elastic energy is least.

    With M the biaxial modulus and h the thickness: ε_film = f·M_s·h_s/(M_f·h_f + M_s·h_s), ε_substrate = ε_film − f,
    E/A = f²·M_f·h_f·M_s·h_s/(M_f·h_f + M_s·h_s).

    Parameters
    ----------
    misfit
        (a_substrate − a_film)/a_film.
    film_thickness, substrate_thickness
        Å; the substrate may be ``inf``.

    Raises
    ------
    UsageError
        If a number is out of range.
    """
    _check_misfit(misfit)
    for name, value in (("film", film_thickness), ("substrate", substrate_thickness)):
        if not value > 0.0 or (name == "film" and math.isinf(value)):
            raise UsageError(f"the thickness of the {name} is {value:g} Å; expected a positive length")
    stiff_film = film.biaxial * film_thickness
    if math.isinf(substrate_thickness):
        share = 1.0
    else:
        stiff_substrate = substrate.biaxial * substrate_thickness
        share = stiff_substrate / (stiff_film + stiff_substrate)
    energy = misfit**2 * stiff_film * share
    return FilmSharing(misfit * share, misfit * (share - 1.0), energy * J_PER_M2_PER_GPA_ANGSTROM)


def share_dot(
    misfit: float, *, dot: Moduli, matrix: Moduli, surroundings: Surroundings = "infinite", volume_fraction: float = 0.0
) -> DotSharing:
    """Coherent sphere in a concentric sphere of matrix (isotropic inclusion).

    ε_dot = f·M/(3K_d + M) with the resistance M of the matrix:
    infinite M = 4G_m; fixed outer boundary M = (3K_m·φ + 4G_m)/(1 − φ); free outer boundary
    M = 4G_m·(1 − φ)/(1 + 4G_m·φ/(3K_m)). The elastic energy per volume of dot is (9/2)·K_d·ε_dot·f.

    Parameters
    ----------
    misfit
        f over the dot.
    dot, matrix
        Moduli of both, GPa.
    surroundings
        ``infinite``, ``fixed`` or ``free`` outer boundary.
    volume_fraction
        φ, the dot's part of the sphere of matrix; not used by ``infinite``.

    Raises
    ------
    UsageError
        If the volume fraction is not in [0, 1), or a number is out of range.
    """
    _check_misfit(misfit)
    if surroundings not in SURROUNDINGS:
        raise UsageError(f"unknown surroundings '{surroundings}'; known: {', '.join(SURROUNDINGS)}")
    phi = 0.0 if surroundings == "infinite" else volume_fraction
    if not (math.isfinite(phi) and 0.0 <= phi < 1.0):
        raise UsageError(f"the volume fraction is {phi:g}; expected 0 or more and less than 1")
    bulk, shear = matrix.bulk, matrix.shear
    if surroundings == "free":
        resistance = 4.0 * shear * (1.0 - phi) / (1.0 + 4.0 * shear * phi / (3.0 * bulk))
    else:
        resistance = (3.0 * bulk * phi + 4.0 * shear) / (1.0 - phi)
    strain = misfit * resistance / (3.0 * dot.bulk + resistance)
    # u_r = A·r + B·r⁻²; at the interface the matrix moves by (ε_dot − f)·R: A + β = ε_dot − f with β = B/R³.
    total = strain - misfit
    if surroundings == "free":
        ratio = 4.0 * shear * phi / (3.0 * bulk)
        beta = total / (1.0 + ratio)
        uniform = ratio * beta
    else:
        beta = total / (1.0 - phi)
        uniform = -phi * beta
    return DotSharing(
        dot_strain=strain,
        matrix_radial_strain=uniform - 2.0 * beta,
        matrix_hoop_strain=uniform + beta,
        pressure_gpa=3.0 * dot.bulk * strain,
        energy_per_volume_gpa=4.5 * dot.bulk * strain * misfit,
        surroundings=surroundings,
        volume_fraction=phi,
    )


def _check_misfit(misfit: float) -> None:
    if not (math.isfinite(misfit) and abs(misfit) < 0.5):
        raise UsageError(f"the misfit is {misfit:g}; expected a fraction between -0.5 and 0.5")
