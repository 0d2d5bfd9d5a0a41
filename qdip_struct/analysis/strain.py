"""Strain of every cation against the lattice of its own phase; no reference configuration is needed.

For each cation only neighbours of the same phase count. Each neighbour vector d (with its own periodic image) is
matched to the nearest ideal vector v of the phase's :class:`~qdip_struct.analysis.sublattice.Sublattice`; the
deformation gradient is the least-squares map F = (Σ d vᵀ)(Σ v vᵀ)⁻¹, split into F = R·U. A cation with fewer than
three non-coplanar matches has no strain: NaN, never 0. This is exact on every dot cation of an embedded dot, surface
included, where methods that need a reference configuration or a complete neighbour shell give wrong numbers or none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qdip_struct.analysis import measures
from qdip_struct.analysis.neighbours import nearest, periodic_images
from qdip_struct.analysis.orientation import find_orientation
from qdip_struct.analysis.sublattice import Sublattice
from qdip_struct.errors import DataError, UsageError

if TYPE_CHECKING:
    from ase import Atoms

Floats = NDArray[np.float64]
_CHUNK = 16384
_FLAT = 1e-6


@dataclass(frozen=True)
class StrainMap:
    """Strain of the cations of one structure.

    Attributes
    ----------
    sites
        (m,) indices of the cations in the structure, ascending.
    phase
        (m,) phase of each.
    gradient, rotation, stretch
        F, R, U (m, 3, 3), dimensionless; NaN where undefined.
    residual
        (m,) root-mean-square misfit |d − F v| over the matched neighbours, Å.
    partners
        (m, k) position in ``sites`` of the neighbour matched to each ideal vector, −1 where there is none.
    variant
        (m,) which set of ideal vectors was used.
    references
        Phase → the sublattice measured against, as turned into the structure's frame.
    orientations
        Phase → rotation (3 × 3) from crystal axes to the structure's axes; identity unless it had to be found.
    n_atoms
        Number of atoms of the structure.
    """

    sites: NDArray[np.int64]
    phase: NDArray[np.str_]
    gradient: Floats
    rotation: Floats
    stretch: Floats
    residual: Floats
    partners: NDArray[np.int32]
    variant: NDArray[np.int8]
    references: Mapping[str, Sublattice]
    orientations: Mapping[str, Floats]
    n_atoms: int

    @property
    def neighbours(self) -> NDArray[np.int64]:
        """(m,) number of matched neighbours."""
        return np.count_nonzero(self.partners >= 0, axis=1)

    @property
    def defined(self) -> NDArray[np.bool_]:
        """(m,) where the strain is defined."""
        return np.isfinite(self.stretch[:, 0, 0])

    @property
    def rotation_degree(self) -> Floats:
        """(m,) rotation of each cation's surroundings against the reference axes of its phase, degree."""
        return measures.rotation_degree(self.rotation)

    def tensor(self, measure: measures.Measure = "engineering") -> Floats:
        """Strain tensors (m, 3, 3) in the named measure."""
        return measures.strain_tensor(self.gradient, self.stretch, measure=measure)

    def mean(self, measure: measures.Measure = "engineering") -> Floats:
        """(m,) mean of the principal strains."""
        return measures.mean_strain(self.tensor(measure))

    def lattice_angstrom(self) -> Floats:
        """(m,) local lattice constant in Å: the reference times (1 + mean engineering strain)."""
        reference = np.array([self.references[name].lattice_angstrom for name in self.phase])
        local: Floats = reference * (1.0 + self.mean())
        return local


def strain_map(
    atoms: "Atoms", *, phases: ArrayLike, references: Mapping[str, Sublattice], workers: int = -1
) -> StrainMap:
    """Deformation of every labelled cation against its own phase.

    Parameters
    ----------
    atoms
        The structure; positions in Å, any cell, any mixture of periodic and open directions.
    phases
        (n,) phase of each atom that takes part, "" for all others; see :mod:`qdip_struct.analysis.phases`.
    references
        Phase → ideal sublattice. Every phase that occurs must be there.
    workers
        Threads of the neighbour search; −1 takes all cores. The result does not depend on it.

    Raises
    ------
    UsageError
        If a phase has no reference.
    DataError
        If no atom takes part or a position is not finite.
    """
    labels = np.asarray(phases, dtype=str)
    if labels.shape != (len(atoms),):
        raise UsageError(f"phases holds {labels.shape} labels for {len(atoms)} atoms")
    sites = np.flatnonzero(labels != "")
    if not sites.size:
        raise DataError("no cation takes part in the strain map: no atom has a phase with a known sublattice")
    names, code = np.unique(labels[sites], return_inverse=True)
    missing = [str(name) for name in names if name not in references]
    if missing:
        raise UsageError(f"no reference lattice for phase {', '.join(missing)}; known: {', '.join(references)}")
    m = len(sites)
    width = max(len(vectors) for name in names for vectors in references[str(name)].variants)
    gradient = np.full((m, 3, 3), np.nan)
    residual = np.full(m, np.nan)
    partners = np.full((m, width), -1, dtype=np.int32)
    variant = np.zeros(m, dtype=np.int8)
    used: dict[str, Sublattice] = {}
    orientations: dict[str, Floats] = {}
    positions, cell, pbc = atoms.positions[sites], atoms.cell.array, atoms.pbc
    for number, name in enumerate(map(str, names)):
        own = np.flatnonzero(code == number)
        ideal = references[name]
        images = periodic_images(positions[own], cell=cell, pbc=pbc, margin=ideal.cutoff_angstrom)
        tree = images.tree()
        frame, matching = find_orientation(images, tree, ideal, workers=workers)
        orientations[name], used[name] = frame, ideal.rotated(frame)
        fits = _Fits(used[name], ideal.rotated(matching))
        for start in range(0, len(own), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(own)))
            index, valid = nearest(images, tree, rows, count=fits.width, cutoff=ideal.cutoff_angstrom, workers=workers)
            vectors = images.positions[index] - images.positions[rows][:, None, :]
            here = own[rows]
            F, misfit, slots, which = fits.solve(vectors, valid)
            gradient[here], residual[here], variant[here] = F, misfit, which
            owner = own[images.owner[np.take_along_axis(index, np.maximum(slots, 0), axis=1)]]
            partners[here, : fits.width] = np.where(slots >= 0, owner, -1)
    rotation, stretch = _polar_in_chunks(gradient)
    gradient[np.isnan(stretch[:, 0, 0])] = np.nan
    phase = names[code]
    return StrainMap(
        sites, phase, gradient, rotation, stretch, residual, partners, variant, used, orientations, len(atoms)
    )


def _polar_in_chunks(gradient: Floats) -> tuple[Floats, Floats]:
    rotation, stretch = np.empty_like(gradient), np.empty_like(gradient)
    for start in range(0, len(gradient), _CHUNK):
        part = slice(start, start + _CHUNK)
        rotation[part], stretch[part] = measures.polar(gradient[part])
    return rotation, stretch


class _Fits:
    """Matches neighbour vectors to ideal ones and solves for F; keeps the pseudo-inverse of every pattern met."""

    def __init__(self, reference: Sublattice, matching: Sublattice) -> None:
        self.reference = reference.arrays
        self.matching = matching.arrays
        self.radius = reference.match_radius_angstrom
        self.width = max(len(vectors) for vectors in self.reference)
        self._inverses: dict[tuple[int, int], Floats] = {}

    def solve(
        self, vectors: Floats, valid: NDArray[np.bool_]
    ) -> tuple[Floats, Floats, NDArray[np.int64], NDArray[np.int8]]:
        """F (n, 3, 3), residual (n,), column matched to each ideal vector (n, k; −1 none), variant (n,)."""
        slots = [self._match(vectors, valid, ideal) for ideal in self.matching]
        best = np.zeros(len(vectors), dtype=np.int8)
        chosen = slots[0]
        for number in range(1, len(slots)):
            more = (slots[number] >= 0).sum(axis=1) > (chosen >= 0).sum(axis=1)
            chosen = np.where(more[:, None], slots[number], chosen)
            best[more] = number
        F = np.full((len(vectors), 3, 3), np.nan)
        residual = np.full(len(vectors), np.nan)
        matched = chosen >= 0
        D = np.take_along_axis(vectors, np.maximum(chosen, 0)[:, :, None], axis=1)
        D[~matched] = 0.0
        pattern = matched @ (1 << np.arange(self.width))
        keys, group = np.unique(pattern * len(slots) + best, return_inverse=True)
        G = np.stack([self._inverse(int(key) % len(slots), int(key) // len(slots)) for key in keys])
        common = int(np.argmax(np.bincount(group)))
        usual = group == common
        F[usual] = (D[usual].transpose(0, 2, 1).reshape(-1, self.width) @ G[common]).reshape(-1, 3, 3)
        F[~usual] = np.matmul(D[~usual].transpose(0, 2, 1), G[group[~usual]])
        squares = np.zeros(len(vectors))
        for number, ideal in enumerate(self.reference):
            rows = best == number if len(slots) > 1 else slice(None)
            fitted = (F[rows].reshape(-1, 3) @ ideal.T).reshape(-1, 3, self.width).transpose(0, 2, 1)
            error = (D[rows] - fitted) * matched[rows][:, :, None]
            squares[rows] = np.einsum("nki,nki->n", error, error)
        with np.errstate(invalid="ignore"):
            residual = np.sqrt(squares / matched.sum(axis=1))
        return F, residual, chosen, best

    def _match(self, vectors: Floats, valid: NDArray[np.bool_], ideal: Floats) -> NDArray[np.int64]:
        n, k = valid.shape
        flat = vectors.reshape(-1, 3)
        score = flat @ ideal.T
        score -= 0.5 * np.einsum("ki,ki->k", ideal, ideal)
        slot = score.argmax(axis=1)
        away = flat - ideal[slot]
        close = valid.ravel() & (np.einsum("ni,ni->n", away, away) <= self.radius**2)
        taken = np.flatnonzero(close)
        place = (taken // k) * len(ideal) + slot[taken]
        columns = np.full(n * len(ideal), -1, dtype=np.int64)
        columns[place] = taken % k
        columns[np.bincount(place, minlength=n * len(ideal)) > 1] = -1
        return columns.reshape(n, len(ideal))

    def _inverse(self, variant: int, pattern: int) -> Floats:
        key = (variant, pattern)
        if key not in self._inverses:
            ideal = self.reference[variant]
            present = (pattern >> np.arange(len(ideal))) & 1 == 1
            moment = ideal[present].T @ ideal[present]
            values = np.linalg.eigvalsh(moment)
            flat = values[0] <= _FLAT * max(values[2], 1e-300)
            inverse = np.full((3, 3), np.nan) if flat else np.linalg.inv(moment)
            self._inverses[key] = np.where(present[:, None], ideal, 0.0) @ inverse
        return self._inverses[key]
