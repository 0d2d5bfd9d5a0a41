"""What isotropic elasticity predicts for the dot of a structure: uniform strain inside, A + B/r³ outside.

The algebra is :func:`qdip_struct.materials.strain_sharing.share_dot`; here it meets the numbers of a strain map.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.strain.strain import StrainMap
from qdip_struct.materials.elasticity import Moduli, mixed_moduli
from qdip_struct.materials.strain_sharing import DotSharing, share_dot

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Continuum:
    """Prediction of the isotropic inclusion for the structure at hand.

    Attributes
    ----------
    misfit
        f = (a_matrix − a_dot)/a_dot of the two reference lattices; positive stretches the dot.
    volume_fraction
        φ of the dot, by cations times reference volume per cation.
    radius_angstrom
        Radius of the sphere of the dot's volume, Å.
    fixed, infinite
        Strains with a fixed outer boundary at φ, and in a matrix without end.
    dot, matrix
        Moduli that were used.
    """

    misfit: float
    volume_fraction: float
    radius_angstrom: float
    fixed: DotSharing
    infinite: DotSharing
    dot: Moduli
    matrix: Moduli

    def to_dict(self) -> dict[str, Any]:
        """JSON keys; ``dot_strain`` is that of the fixed periodic cell."""
        return {
            "dot_strain": self.fixed.dot_strain,
            "dot_strain_infinite_matrix": self.infinite.dot_strain,
            "misfit": self.misfit,
            "volume_fraction": self.volume_fraction,
            "radius_angstrom": self.radius_angstrom,
            "moduli_gpa": {
                moduli.name: {"bulk": moduli.bulk, "shear": moduli.shear, "source": moduli.source}
                | ({"assumption": moduli.assumption} if moduli.assumption else {})
                for moduli in (self.dot, self.matrix)
            },
        }


def predict(strain: StrainMap, *, dot: str, matrix: str, moduli: Mapping[str, Moduli]) -> tuple[Continuum | None, str]:
    """Prediction for the two phases of a strain map, or ``None`` and the reason why there is none.

    Parameters
    ----------
    strain
        Map of the whole structure: its cations give the volume fraction, its references the misfit.
    dot, matrix
        Phases.
    moduli
        Role ("dot", "matrix") → moduli; default the shipped ones.
    """
    inner = moduli.get("dot") or mixed_moduli(dot)
    outer = moduli.get("matrix") or mixed_moduli(matrix)
    missing = [name for name, known in ((dot, inner), (matrix, outer)) if known is None]
    if inner is None or outer is None:
        return None, f"no elastic moduli for {' and '.join(missing)}; give them with --moduli"
    a_dot, a_matrix = (strain.references[name].lattice_angstrom for name in (dot, matrix))
    per_cation = {name: strain.references[name].volume_per_cation_angstrom3 for name in (dot, matrix)}
    volume = {name: per_cation[name] * int((strain.phase == name).sum()) for name in (dot, matrix)}
    fraction = volume[dot] / (volume[dot] + volume[matrix])
    misfit = (a_matrix - a_dot) / a_dot
    return (
        Continuum(
            misfit=misfit,
            volume_fraction=fraction,
            radius_angstrom=float((3.0 * volume[dot] / (4.0 * np.pi)) ** (1 / 3)),
            fixed=share_dot(misfit, dot=inner, matrix=outer, surroundings="fixed", volume_fraction=fraction),
            infinite=share_dot(misfit, dot=inner, matrix=outer),
            dot=inner,
            matrix=outer,
        ),
        "",
    )


def continuum_curve(sharing: DotSharing, *, radius: float, distances: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, radial and hoop strain of the isotropic inclusion at the given distances (Å) from its centre.

    Inside ``radius`` all three are the uniform strain of the dot; outside ε_rr = A − 2β(R/r)³, ε_θθ = A + β(R/r)³,
    each against the lattice of its own phase.
    """
    uniform = (sharing.matrix_radial_strain + 2.0 * sharing.matrix_hoop_strain) / 3.0
    beta = sharing.matrix_hoop_strain - uniform
    decay = (radius / np.maximum(distances, radius)) ** 3
    inside = distances < radius
    radial = np.where(inside, sharing.dot_strain, uniform - 2.0 * beta * decay)
    hoop = np.where(inside, sharing.dot_strain, uniform + beta * decay)
    return (radial + 2.0 * hoop) / 3.0, radial, hoop
