"""Elastic energy of a slab strained in its plane: the cubic stiffness tensor turned into the slab's axes.

Voigt order 1 … 6 = xx, yy, zz, yz, xz, xy, engineering shears, z along the slab normal. Moduli in GPa, energy densities
in eV/Å³.
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.base.units import GPA_PER_EV_PER_ANGSTROM3
from qdip_struct.builders.parsing import Normal
from qdip_struct.builders.slab.surface import SurfaceCell
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.elasticity import Moduli, known_moduli, mixed_moduli

_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_IN_PLANE, _OUT_OF_PLANE = [0, 1, 5], [2, 3, 4]


@dataclass(frozen=True, eq=False)
class Stiffness:
    """Stiffness in the axes of a surface cell.

    Attributes
    ----------
    voigt
        (6, 6), GPa.
    source
        Where the moduli come from and what was assumed.
    """

    voigt: Array
    source: str


def stiffness_of(material: Crystal | Atoms, surface: SurfaceCell) -> Stiffness | None:
    """Stiffness of a material in the axes of its slab, ``None`` when its moduli are not known.

    Cubic constants are used where the crystal's own axes are cubic, else the isotropic average.
    """
    if isinstance(material, Atoms):
        return None
    try:
        moduli = (None if material.occupancies else known_moduli(material.name)) or mixed_moduli(material.name)
    except UsageError:
        return None
    if moduli is None:
        return None
    cubic = len(set(material.lengths)) == 1 and material.angles == (90.0, 90.0, 90.0) and moduli.c11 is not None
    tensor = _tensor(moduli, cubic=cubic)
    axes = np.linalg.solve(surface.uvw @ material.cell, surface.sites.cell).T
    turned = np.einsum("ia,jb,kc,ld,abcd->ijkl", axes, axes, axes, axes, tensor)
    voigt = np.array([[turned[(*row, *column)] for column in _PAIRS] for row in _PAIRS])
    note = "" if cubic else "; isotropic average"
    return Stiffness(voigt, f"{moduli.source}{note}{'; ' + moduli.assumption if moduli.assumption else ''}")


def elastic_energy(stiffness: Stiffness | None, lateral: Array, *, onto: Array) -> dict[str, float] | None:
    """Elastic energy density of bringing lateral vectors (rows (2, 2), Å, in the slab's axes) onto others.

    Returns
    -------
    dict or None
        ``clamped_ev_per_angstrom3``: u = ½ ε·C·ε with no strain along z, as slabs are built;
        ``relaxed_ev_per_angstrom3``: the same with the stress on the slab plane relaxed to zero,
        C → C_pp − C_pn·C_nn⁻¹·C_np. ``None`` without moduli.
    """
    if stiffness is None:
        return None
    plane = _plane_strain(lateral, onto=onto)
    c = stiffness.voigt
    pp, pn = c[np.ix_(_IN_PLANE, _IN_PLANE)], c[np.ix_(_IN_PLANE, _OUT_OF_PLANE)]
    condensed = pp - pn @ np.linalg.solve(c[np.ix_(_OUT_OF_PLANE, _OUT_OF_PLANE)], pn.T)
    return {
        "clamped_ev_per_angstrom3": float(0.5 * plane @ pp @ plane) / GPA_PER_EV_PER_ANGSTROM3,
        "relaxed_ev_per_angstrom3": float(0.5 * plane @ condensed @ plane) / GPA_PER_EV_PER_ANGSTROM3,
    }


def normal_stretch(stiffness: Stiffness | None, lateral: Array, *, onto: Array, mode: Normal) -> float:
    """Factor on all heights of a slab strained in its plane: 1 when ``kept``, 1 + ε_zz when ``relaxed``.

    ε_zz is the first entry of −C_nn⁻¹·C_np·ε_p, for a cubic (100) film −(C₁₂/C₁₁)·(ε_xx + ε_yy); the shears that free
    surfaces of low symmetry would take are left out.

    Parameters
    ----------
    stiffness
        Of the crystal in the axes of the slab; ``None`` when its moduli are not known.
    lateral, onto
        Lateral vectors before and after, rows (2, 2) Å.
    mode
        ``kept`` or ``relaxed``.

    Raises
    ------
    UsageError
        If ``relaxed`` is asked for a strained crystal whose moduli are not known.
    """
    plane = _plane_strain(lateral, onto=onto)
    if mode == "kept" or np.abs(plane).max() < 1e-12:
        return 1.0
    if stiffness is None:
        raise UsageError("no elastic moduli are known for the strained crystal; its spacings along z cannot be relaxed")
    c = stiffness.voigt
    out = -np.linalg.solve(c[np.ix_(_OUT_OF_PLANE, _OUT_OF_PLANE)], c[np.ix_(_OUT_OF_PLANE, _IN_PLANE)] @ plane)
    return 1.0 + float(out[0])


def _plane_strain(lateral: Array, *, onto: Array) -> Array:
    """ε_xx, ε_yy, 2ε_xy of the pure stretch that brings lateral vectors onto others."""
    gradient = np.linalg.solve(lateral, onto)
    values, vectors = np.linalg.eigh(gradient @ gradient.T)
    strain = vectors @ np.diag(np.sqrt(values) - 1.0) @ vectors.T
    return np.array([strain[0, 0], strain[1, 1], 2.0 * strain[0, 1]])


def _tensor(moduli: Moduli, *, cubic: bool) -> Array:
    """C_ijkl (3, 3, 3, 3) in GPa: cubic in the crystal's axes, or isotropic with λ = K − 2G/3 and μ = G."""
    if cubic and moduli.c11 is not None and moduli.c12 is not None and moduli.c44 is not None:
        c11, c12, c44 = moduli.c11, moduli.c12, moduli.c44
    else:
        c12, c44 = moduli.bulk - 2.0 * moduli.shear / 3.0, moduli.shear
        c11 = c12 + 2.0 * c44
    one = np.eye(3)
    tensor = c12 * np.einsum("ij,kl->ijkl", one, one)
    tensor += c44 * (np.einsum("ik,jl->ijkl", one, one) + np.einsum("il,jk->ijkl", one, one))
    for axis in range(3):
        tensor[axis, axis, axis, axis] += c11 - c12 - 2.0 * c44
    return tensor
