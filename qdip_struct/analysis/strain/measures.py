"""Strain measures of deformation gradients: polar decomposition, the table of measures, invariants of strain tensors.

``F`` maps a vector of the unstrained crystal to the actual one, x = F X. Arrays are (n, 3, 3); undefined rows are NaN
and stay NaN. Every number is dimensionless unless it says degree. For a uniform stretch of 0.5 % the measures print
0.005 (engineering), 0.0050125 (Green) and 0.0049627 (Almansi): a strain without the name of its measure is no result.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qdip_struct.base.arrays import Floats
from qdip_struct.base.errors import UsageError

VOIGT: tuple[str, ...] = ("xx", "yy", "zz", "yz", "xz", "xy")
"""Order of the six components; the last three are tensor components (half of the engineering shear angles)."""

_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_ITERATIONS = 40


def polar(F: Floats) -> tuple[Floats, Floats]:
    """Polar decomposition F = R·U with R a proper rotation and U symmetric.

    Newton's iteration R ← (R + R⁻ᵀ)/2 from R = F (N. J. Higham, SIAM J. Sci. Stat. Comput. 7, 1160 (1986),
    doi:10.1137/0907079), all atoms at once. Gradients without a positive determinant give NaN.

    Returns
    -------
    R, U
        Both (n, 3, 3).
    """
    R = np.ascontiguousarray(np.moveaxis(F, 0, -1), dtype=float)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        cofactor, determinant = _cofactor(R)
        R = np.where(determinant > 0, R, np.nan)
        cofactor = np.where(determinant > 0, cofactor, np.nan)
        for _ in range(_ITERATIONS):
            following = 0.5 * (R + cofactor / determinant)
            change = np.abs(following - R).max(initial=0.0, where=np.isfinite(following))
            R = following
            if change < 1e-9:
                break
            cofactor, determinant = _cofactor(R)
    R = np.moveaxis(R, -1, 0)
    U = np.matmul(R.transpose(0, 2, 1), F)
    return np.ascontiguousarray(R), 0.5 * (U + U.transpose(0, 2, 1))


def _cofactor(A: Floats) -> tuple[Floats, Floats]:
    """Cofactors (A⁻ᵀ times the determinant) and determinants of matrices laid out (3, 3, n)."""
    C = np.empty_like(A)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        for m in range(3):
            p, q = (m + 1) % 3, (m + 2) % 3
            C[i, m] = A[j, p] * A[k, q] - A[j, q] * A[k, p]
    return C, A[0, 0] * C[0, 0] + A[0, 1] * C[0, 1] + A[0, 2] * C[0, 2]


@dataclass(frozen=True)
class StrainMeasure:
    """A strain tensor as a function of the deformation.

    Attributes
    ----------
    name
        Its word after ``--measure`` and in documents.
    tensor
        Tensors (n, 3, 3) from the gradients F and their stretches U.
    bias_per_variance
        Bias of the mean strain tr(E)/3 of an undeformed crystal with noisy gradients, per trace of the covariance of a
        row of F: the second-order term of the tensor, averaged over independent entries of F.
    """

    name: str
    tensor: Callable[[Floats, Floats], Floats]
    bias_per_variance: float


def _engineering(F: Floats, U: Floats) -> Floats:
    """U − 1, on the axes of the reference crystal."""
    return U - np.eye(3)


def _green(F: Floats, U: Floats) -> Floats:
    """(FᵀF − 1)/2, on the axes of the reference crystal."""
    # From F − 1, so that a strain of 1e-12 is not lost against 1.
    H = F - np.eye(3)
    return 0.5 * (H + H.transpose(0, 2, 1) + np.matmul(H.transpose(0, 2, 1), H))


def _almansi(F: Floats, U: Floats) -> Floats:
    """(1 − F⁻ᵀF⁻¹)/2, on the axes of the deformed crystal."""
    with np.errstate(invalid="ignore", divide="ignore"):
        cofactor, determinant = _cofactor(np.moveaxis(F, 0, -1))
        inverse = np.moveaxis(cofactor / determinant, -1, 0).transpose(0, 2, 1)
    return 0.5 * (np.eye(3) - np.matmul(inverse.transpose(0, 2, 1), inverse))


MEASURES: dict[str, StrainMeasure] = {
    measure.name: measure
    for measure in (
        StrainMeasure("engineering", _engineering, bias_per_variance=1.0 / 6.0),
        StrainMeasure("green", _green, bias_per_variance=1.0 / 2.0),
        StrainMeasure("almansi", _almansi, bias_per_variance=-5.0 / 6.0),
    )
}


def strain_tensor(F: Floats, U: Floats, *, measure: str) -> Floats:
    """Strain tensors (n, 3, 3) in one of :data:`MEASURES`; another name is a :class:`UsageError`."""
    if measure not in MEASURES:
        raise UsageError(f"unknown strain measure '{measure}'; known: {', '.join(MEASURES)}")
    return MEASURES[measure].tensor(F, U)


def voigt(E: Floats) -> Floats:
    """Components xx, yy, zz, yz, xz, xy of symmetric tensors, (n, 6)."""
    return np.stack([E[:, i, j] for i, j in _PAIRS], axis=1)


def mean_strain(E: Floats) -> Floats:
    """Mean of the principal strains, tr(E)/3."""
    trace: Floats = (E[:, 0, 0] + E[:, 1, 1] + E[:, 2, 2]) / 3.0
    return trace


def shear_strain(E: Floats) -> Floats:
    """Von Mises shear √(½ e:e) of the deviator e = E − tr(E)/3.

    F. Shimizu, S. Ogata, J. Li, Mater. Trans. 48, 2923 (2007), doi:10.2320/matertrans.MJ200769.
    """
    xx, yy, zz = E[:, 0, 0], E[:, 1, 1], E[:, 2, 2]
    normal = ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) / 6.0
    shear: Floats = np.sqrt(normal + E[:, 1, 2] ** 2 + E[:, 0, 2] ** 2 + E[:, 0, 1] ** 2)
    return shear


def principal_strains(E: Floats) -> Floats:
    """Eigenvalues of the strain tensors in ascending order, (n, 3); NaN where undefined."""
    defined = np.isfinite(E).all(axis=(1, 2))
    values = np.full((len(E), 3), np.nan)
    values[defined] = np.linalg.eigvalsh(E[defined])
    return values


def rotation_degree(R: Floats) -> Floats:
    """Rotation angle of rotation matrices in degree, exact for small angles too: atan2(|axial|, (tr R − 1)/2)."""
    axial = np.stack((R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]), axis=1)
    sine = 0.5 * np.linalg.norm(axial, axis=1)
    cosine = 0.5 * (R[:, 0, 0] + R[:, 1, 1] + R[:, 2, 2] - 1.0)
    return np.degrees(np.arctan2(sine, cosine))
