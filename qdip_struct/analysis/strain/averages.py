"""Means of strain over regions and over frames, with standard errors that know how neighbouring strains are correlated.

Neighbouring cations share displacements, so their strains are not independent: the sum over a region telescopes and
only its border is left. Here the region's mean is treated as what it is, a linear function Σ w·r of the positions, and
its standard error is σ·√(Σ|w|²) for independent displacements of size σ per axis, with σ estimated from the residuals
of the fits. The square root in the polar decomposition turns noise into a small positive strain; that bias is
estimated too and taken off the mean (σ = 0.1 Å: 7·10⁻⁵).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qdip_struct.analysis.strain.measures import MEASURES, mean_strain, polar, strain_tensor
from qdip_struct.analysis.strain.strain import StrainMap
from qdip_struct.analysis.strain.sublattice import gradient_weights
from qdip_struct.base.arrays import Floats
from qdip_struct.base.errors import MismatchError, UsageError


@dataclass(frozen=True)
class RegionMean:
    """Mean strain of a region.

    Attributes
    ----------
    n
        Cations with a defined strain.
    mean
        Mean of the mean strain, noise bias removed; dimensionless. Add ``noise_bias`` for the plain average.
    stderr
        Standard error of ``mean`` for independent random displacements of size ``noise_angstrom``.
    std
        Standard deviation over the cations.
    noise_bias
        What random displacements add to the plain average.
    noise_angstrom
        Random displacement per axis, estimated from the residuals of the fits, Å. In a relaxed structure without
        thermal motion it measures how far the neighbourhoods are from uniformly strained.
    undefined
        Cations of the region without a strain.
    """

    n: int
    mean: float
    stderr: float
    std: float
    noise_bias: float
    noise_angstrom: float
    undefined: int


def region_means(strain: StrainMap, *, groups: ArrayLike, measure: str = "engineering") -> dict[str, RegionMean]:
    """Mean strain of each group of cations.

    Parameters
    ----------
    strain
        The map.
    groups
        (m,) name of the group of each cation of the map; "" takes no part.
    measure
        Strain measure that is averaged.

    Raises
    ------
    UsageError
        If there is not one group per cation.
    """
    names = np.asarray(groups, dtype=str)
    if names.shape != strain.sites.shape:
        raise UsageError(f"groups has shape {names.shape}; expected one name for each of {len(strain.sites)} cations")
    values = mean_strain(strain.tensor(measure))
    noise = _Noise(strain)
    return {
        str(name): _region(values, noise, np.flatnonzero(names == name), measure)
        for name in np.unique(names)
        if name != ""
    }


def _region(values: Floats, noise: "_Noise", rows: NDArray[np.int64], measure: str) -> RegionMean:
    defined = rows[np.isfinite(values[rows])]
    n = len(defined)
    if n == 0:
        return RegionMean(0, np.nan, np.nan, np.nan, np.nan, np.nan, len(rows))
    sigma = noise.displacement(defined)
    bias = MEASURES[measure].bias_per_variance * sigma**2 * noise.trace(defined)
    inside = values[defined]
    return RegionMean(
        n=n,
        mean=float(inside.mean()) - (bias if np.isfinite(bias) else 0.0),
        stderr=sigma * noise.weight(defined),
        std=float(inside.std(ddof=1)) if n > 1 else np.nan,
        noise_bias=bias,
        noise_angstrom=sigma,
        undefined=len(rows) - n,
    )


class _Noise:
    """How random displacements of single cations pass into the strains of a map."""

    def __init__(self, strain: StrainMap) -> None:
        self.strain = strain
        m, width = strain.partners.shape
        self.present = strain.partners >= 0
        _, code = np.unique(strain.phase, return_inverse=True)
        bits = self.present @ (1 << np.arange(width, dtype=np.int64))
        keys = np.stack((code, strain.variant.astype(np.int64), bits), axis=1)
        _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        self.group = group.reshape(m)
        self.weights = np.full((len(first), width, 3), 0.0)
        self.freedom = np.zeros(len(first))
        self.q_trace = np.full(len(first), np.nan)
        for number, row in enumerate(first.tolist()):
            ideal = strain.references[str(strain.phase[row])].arrays[int(strain.variant[row])]
            here = self.present[row, : len(ideal)]
            g = gradient_weights(ideal, present=here)
            if np.isnan(g).any():
                continue
            own = ideal[here]
            total = own.sum(axis=0)
            count = len(own)
            self.weights[number, : len(ideal)] = g
            self.q_trace[number] = float((g**2).sum() + (g.sum(axis=0) ** 2).sum())
            self.freedom[number] = 3.0 * (2 * count - 3 - total @ np.linalg.solve(own.T @ own, total))

    def displacement(self, rows: NDArray[np.int64]) -> float:
        """σ̂ in Å: residual sum of squares over its expectation for unit displacements."""
        count = np.count_nonzero(self.present[rows], axis=1)
        squares = float((self.strain.residual[rows] ** 2 * count).sum())
        freedom = float(self.freedom[self.group[rows]].sum())
        return float(np.sqrt(squares / freedom)) if freedom > 1e-9 else float("nan")

    def trace(self, rows: NDArray[np.int64]) -> float:
        """Mean of tr(Q), the variance of a row of F for unit displacements."""
        return float(self.q_trace[self.group[rows]].mean())

    def weight(self, rows: NDArray[np.int64]) -> float:
        """√(Σ|w|²) of the mean of tr(F)/3 over ``rows``, in 1/Å."""
        m = len(self.strain.sites)
        g = self.weights[self.group[rows]]
        partners = self.strain.partners[rows]
        present = partners >= 0
        total = np.zeros(m * 3)
        for axis in range(3):
            share = g[:, :, axis]
            total[axis::3] = np.bincount(partners[present], weights=share[present], minlength=m)
            total[axis::3] -= np.bincount(rows, weights=share.sum(axis=1), minlength=m)
        return float(np.sqrt((total**2).sum())) / (3.0 * len(rows))


def frame_average(frames: Sequence[StrainMap], *, measure: str = "engineering") -> tuple[Floats, Floats, Floats]:
    """Time average of the strain tensors over the frames of a trajectory.

    Returns
    -------
    tensor, mean, stderr
        Mean tensor (m, 3, 3), mean strain (m,) and its standard error over frames (m,), from the cations' defined
        frames only; NaN where a cation is defined in none (mean) or fewer than two (error). The error takes frames as
        independent: leave out frames closer in time than the vibrations.

    Raises
    ------
    UsageError
        If there are no frames.
    MismatchError
        If the frames do not hold the same cations.
    """
    if not frames:
        raise UsageError("no frames to average")
    sites = frames[0].sites
    total = np.zeros((len(sites), 3, 3))
    first, second, count = np.zeros(len(sites)), np.zeros(len(sites)), np.zeros(len(sites))
    origin = np.nan_to_num(frames[0].mean(measure))
    for number, frame in enumerate(frames):
        if not np.array_equal(frame.sites, sites):
            raise MismatchError(
                f"frame {number} holds other cations than frame 0; average frames of one structure only"
            )
        tensor = frame.tensor(measure)
        defined = np.isfinite(tensor[:, 0, 0])
        shifted = np.where(defined, mean_strain(tensor) - origin, 0.0)
        total += np.where(defined[:, None, None], tensor, 0.0)
        first += shifted
        second += shifted**2
        count += defined
    with np.errstate(invalid="ignore", divide="ignore"):
        tensor = total / count[:, None, None]
        mean = first / count
        spread = np.sqrt(np.maximum(second / count - mean**2, 0.0) / (count - 1))
    tensor[count == 0] = np.nan
    return tensor, np.where(count > 0, mean + origin, np.nan), np.where(count > 1, spread, np.nan)


@dataclass(frozen=True)
class Change:
    """Mean strain of one structure against another, cation by cation.

    Attributes
    ----------
    n
        Cations with a defined change.
    mean
        Mean of the mean strain of F·F_start⁻¹, dimensionless; positive where the structure is the wider one.
    stderr
        Standard error of ``mean`` over the n values, as if independent.
    std
        Standard deviation over the cations.
    """

    n: int
    mean: float
    stderr: float
    std: float


def change_between(
    strain: StrainMap, start: StrainMap, *, phase: str, groups: ArrayLike, measure: str = "engineering"
) -> dict[str, Change]:
    """Strain of a phase in one structure against the same cations of another, F·F_start⁻¹, averaged by group.

    This is what embedding does to a dot, surface relaxation taken out: both structures must hold the cations of
    ``phase`` in the same order, as the embedded dot and the dot relaxed alone do.

    Parameters
    ----------
    strain, start
        The two maps, against the same or different references.
    groups
        (m,) group of each cation of ``strain``.

    Raises
    ------
    MismatchError
        If the two do not hold the same cations with the same neighbours.
    """
    names = np.asarray(groups, dtype=str)
    rows, others = np.flatnonzero(strain.phase == phase), np.flatnonzero(start.phase == phase)
    if len(rows) != len(others):
        raise MismatchError(
            f"the reference structure holds {len(others)} cations of {phase}, this one {len(rows)}; a comparison "
            "cation by cation needs the same dot"
        )
    shift = rows[0] - others[0]
    same = strain.partners[rows] == np.where(start.partners[others] >= 0, start.partners[others] + shift, -1)
    if same.mean() < 0.9:
        raise MismatchError(
            f"the cations of {phase} have other neighbours in the reference structure; is it another dot?"
        )
    scale = strain.references[phase].lattice_angstrom / start.references[phase].lattice_angstrom
    F = scale * np.matmul(strain.gradient[rows], _inverse(start.gradient[others]))
    _, U = polar(F)
    values = mean_strain(strain_tensor(F, U, measure=measure))
    found = {}
    for name in np.unique(names[rows]).tolist():
        own = values[(names[rows] == name) & np.isfinite(values)]
        spread = float(own.std(ddof=1)) if len(own) > 1 else float("nan")
        found[name] = Change(
            len(own), float(own.mean()) if len(own) else float("nan"), spread / len(own) ** 0.5, spread
        )
    return found


def _inverse(F: Floats) -> Floats:
    defined = np.isfinite(F).all(axis=(1, 2))
    inverse = np.full(F.shape, np.nan)
    inverse[defined] = np.linalg.inv(F[defined])
    return inverse
