"""How a misfit is shared between film and substrate or dot and matrix, and when a coherent dot no longer pays.

All formulas are linear elasticity, isotropic where moduli K and G appear. Misfit f = (a_matrix − a_dot)/a_dot > 0
stretches the dot. Critical diameters and spacings are estimates with a logarithmic core term: the model is named in
every result; expect a factor of two, and use them to compare compositions, not to predict one diameter.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.elasticity import EV_PER_GPA_ANGSTROM3, J_PER_M2_PER_GPA_ANGSTROM, Moduli
from qdip_struct.materials.loading import dot_spacings

Surroundings = Literal["infinite", "fixed", "free"]
SURROUNDINGS: tuple[Surroundings, ...] = get_args(Surroundings)


@dataclass(frozen=True)
class FilmSharing:
    """Strains of a coherent film and its substrate, and the elastic energy of both per interface area.

    Attributes
    ----------
    film_strain, substrate_strain
        In-plane engineering strains; film − substrate is the misfit.
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


DiameterModel = Literal["prismatic_loop", "interface_balance"]
DIAMETER_MODELS: tuple[DiameterModel, ...] = get_args(DiameterModel)
CORE = 4.0
"""Core parameter α of the dislocation logarithms: cut-off radius b/α."""


@dataclass(frozen=True)
class StabilityCurve:
    """Energy against loading at one misfit.

    Attributes
    ----------
    misfit
        f = (a_matrix − a_dot)/a_dot.
    diameter
        Of the dots, Å.
    volume_fraction
        (n,) φ of the dots.
    elastic
        (n,) elastic energy of coherent dots per total volume, J/cm³ (free surroundings).
    spacing
        (n,) surface-to-surface distance of the dots (simple cubic), Å.
    coherent
        (n,) whether that distance is below the critical spacing.
    stored
        (n,) J/cm³: the elastic energy where coherent, else the energy of the dislocated interfaces.
    critical_spacing
        Å, infinite at zero misfit.
    critical_fraction
        Smallest φ at which the dots are close enough to stay coherent.
    """

    misfit: float
    diameter: float
    volume_fraction: NDArray[np.float64]
    elastic: NDArray[np.float64]
    spacing: NDArray[np.float64]
    coherent: NDArray[np.bool_]
    stored: NDArray[np.float64]
    critical_spacing: float
    critical_fraction: float


def dislocated_interface_energy(misfit: float, *, dot: Moduli, matrix: Moduli, burgers: float, cutoff: float) -> float:
    """Energy (GPa·Å) per area of a square network of edge misfit dislocations, spacing b/\\|f\\|.

    E = 2·(\\|f\\|/b)·G·b²/(4π(1 − ν))·[ln(R/b) + 1] with G = 2G_d·G_m/(G_d + G_m), ν of the matrix and the cut-off R,
    the smaller of ``cutoff`` and half the spacing (Matthews and Blakeslee, J. Cryst. Growth 27, 118 (1974),
    doi:10.1016/S0022-0248(74)80055-2).

    Parameters
    ----------
    misfit, dot, matrix
        See :func:`qdip_struct.materials.strain_sharing.share_dot`.
    burgers
        Length b of the Burgers vector, Å.
    cutoff
        Largest R, Å.
    """
    size = abs(misfit)
    if size == 0.0:
        return 0.0
    shear = 2.0 * dot.shear * matrix.shear / (dot.shear + matrix.shear)
    radius = max(burgers, min(cutoff, burgers / (2.0 * size)))
    line = shear * burgers**2 / (4.0 * math.pi * (1.0 - matrix.poisson)) * (math.log(radius / burgers) + 1.0)
    return 2.0 * size / burgers * line


def critical_diameter(
    misfit: float,
    *,
    dot: Moduli,
    matrix: Moduli,
    burgers: float,
    model: DiameterModel = "prismatic_loop",
    surroundings: Surroundings = "infinite",
    volume_fraction: float = 0.0,
) -> float:
    """Diameter (Å) above which a coherent dot would lower its energy by dislocations; ``inf`` at zero misfit.

    Parameters
    ----------
    misfit, dot, matrix
        See :func:`qdip_struct.materials.strain_sharing.share_dot`.
    burgers
        Length of the Burgers vector, Å; a/√2 for rock salt, the pseudo-cubic constant for the perovskite.
    model
        ``prismatic_loop``: one loop round the equator pays when 3K_d·ε_dot·b·πR² exceeds its energy
        G·b²·R/(2(1 − ν))·[ln(8αR/b) − 1] (the loop energy of Hirth and Lothe, Theory of Dislocations).
        ``interface_balance``: the elastic energy (3/2)·K_d·ε_dot·f·R per area reaches that of a full network of
        misfit dislocations, :func:`dislocated_interface_energy`.
    surroundings, volume_fraction
        As in :func:`qdip_struct.materials.strain_sharing.share_dot`.

    Raises
    ------
    UsageError
        If a number is out of range or the model is unknown.
    """
    _check_burgers(burgers)
    sharing = share_dot(misfit, dot=dot, matrix=matrix, surroundings=surroundings, volume_fraction=volume_fraction)
    if model not in DIAMETER_MODELS:
        raise UsageError(f"unknown model '{model}'; known: {', '.join(DIAMETER_MODELS)}")
    if misfit == 0.0:
        return math.inf
    stress = abs(sharing.pressure_gpa)
    if model == "prismatic_loop":
        shear = 2.0 * dot.shear * matrix.shear / (dot.shear + matrix.shear)
        unit = shear * burgers / (2.0 * math.pi * (1.0 - matrix.poisson) * stress)
        return 2.0 * _largest_root(lambda r: unit * (math.log(8.0 * CORE * r / burgers) - 1.0), burgers)
    energy = sharing.energy_per_volume_gpa / 3.0

    def radius(r: float) -> float:
        return dislocated_interface_energy(misfit, dot=dot, matrix=matrix, burgers=burgers, cutoff=r) / energy

    return 2.0 * _largest_root(radius, burgers)


def critical_spacing(misfit: float, *, matrix: Moduli, burgers: float) -> float:
    """Thickness (Å) of matrix between two dots below which it stays coherent; ``inf`` at zero misfit.

    The critical thickness of a layer, h = b/(8π\\|f\\|(1 + ν))·[ln(αh/b) + 1], pure edge dislocations
    (Matthews and Blakeslee, doi:10.1016/S0022-0248(74)80055-2). It takes the whole misfit as the strain of the matrix
    layer, which is right when the dots are much stiffer.

    Raises
    ------
    UsageError
        If a number is out of range.
    """
    _check_burgers(burgers)
    if not (math.isfinite(misfit) and abs(misfit) < 0.5):
        raise UsageError(f"the misfit is {misfit:g}; expected a fraction between -0.5 and 0.5")
    if misfit == 0.0:
        return math.inf
    unit = burgers / (8.0 * math.pi * abs(misfit) * (1.0 + matrix.poisson))
    return _largest_root(lambda h: unit * (math.log(CORE * h / burgers) + 1.0), burgers)


def stability_curve(
    misfit: float,
    *,
    dot: Moduli,
    matrix: Moduli,
    diameter: float,
    burgers: float,
    volume_fractions: Sequence[float] | NDArray[np.float64],
) -> StabilityCurve:
    """Stored energy against loading: dislocated dots when far apart, coherent ones once they are close enough.

    While the matrix between the dots is thicker than :func:`critical_spacing` each dot brings a dislocated interface,
    so the energy (and the number of defects) grows with φ; beyond that loading the dots are coherent and the energy
    falls to the elastic one, which itself vanishes at zero misfit. With a larger misfit the critical spacing is
    smaller, so the turning point moves to a higher loading: the V-shaped stability of Liu et al., Nature 570, 96
    (2019). The elastic energy is that of free surroundings, φ·(9/2)·K_d·ε_dot(φ)·f per total volume.

    This is the picture of Liu et al., layers of matrix between dots. The energy of one isolated dot says otherwise
    below :func:`critical_diameter`: there a coherent dot is always the cheaper one, at any spacing. The two criteria
    disagree for small dots, and which one a film follows is not decided here.

    Parameters
    ----------
    diameter, burgers
        Å.
    volume_fractions
        (n,) φ between 0 and 1 (exclusive).

    Raises
    ------
    UsageError
        If a number is out of range.
    """
    phi = np.asarray(volume_fractions, dtype=float)
    limit = critical_spacing(misfit, matrix=matrix, burgers=burgers)
    gaps = np.array([dot_spacings(float(x), diameter=diameter)["simple_cubic_surface"] for x in phi])
    density = np.array(
        [
            share_dot(
                misfit, dot=dot, matrix=matrix, surroundings="free", volume_fraction=float(x)
            ).energy_per_volume_gpa
            for x in phi
        ]
    )
    network = dislocated_interface_energy(misfit, dot=dot, matrix=matrix, burgers=burgers, cutoff=0.5 * diameter)
    coherent = gaps <= limit
    joule_per_cm3 = 1000.0
    elastic = phi * density * joule_per_cm3
    dislocated = phi * 6.0 * network / diameter * joule_per_cm3
    return StabilityCurve(
        misfit=misfit,
        diameter=diameter,
        volume_fraction=phi,
        elastic=elastic,
        spacing=gaps,
        coherent=coherent,
        stored=np.where(coherent, np.minimum(elastic, dislocated), dislocated),
        critical_spacing=limit,
        critical_fraction=0.0 if math.isinf(limit) else math.pi / 6.0 * (diameter / (diameter + limit)) ** 3,
    )


def _largest_root(function: Callable[[float], float], start: float) -> float:
    """The larger solution of r = function(r) for a function that grows like a logarithm; 0 when there is none."""
    r = max(start, function(max(start, 1.0)))
    for _ in range(200):
        following = function(r) if r > 0.0 else 0.0
        if not following > 0.0:
            return 0.0
        if abs(following - r) <= 1e-12 * r:
            return following
        r = following
    return r


def _check_burgers(burgers: float) -> None:
    if not (math.isfinite(burgers) and 0.5 <= burgers <= 50.0):
        raise UsageError(f"the Burgers vector is {burgers:g} Å; expected 0.5 to 50 Å")
