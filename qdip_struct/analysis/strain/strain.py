"""Strain of every cation against the lattice of its own phase; no reference configuration is needed.

For each cation only neighbours of the same phase count. Each neighbour vector d (with its own periodic image) is
matched to the nearest ideal vector v of the phase's :class:`~qdip_struct.analysis.strain.sublattice.MetalSublattice`;
the deformation gradient is the least-squares map F = (Σ d vᵀ)(Σ v vᵀ)⁻¹, split into F = R·U. A cation with fewer than
three non-coplanar matches has no strain: NaN, never 0. This is exact on every dot cation of an embedded dot, surface
included, where methods that need a reference configuration or a complete neighbour shell give wrong numbers or none.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qdip_struct.analysis.strain import measures
from qdip_struct.analysis.strain.neighbourhood import Fits
from qdip_struct.analysis.strain.orientation import find_orientation
from qdip_struct.analysis.strain.site_grid import Images, Mapped, SiteGrid, SiteLattice, nearest_images, periodic_images
from qdip_struct.analysis.strain.sublattice import MetalSublattice
from qdip_struct.base.arrays import Floats
from qdip_struct.base.errors import DataError, UsageError

if TYPE_CHECKING:
    from ase import Atoms

Finder = Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], Floats, NDArray[np.int64]]]
_CHUNK = 16384
_LARGE = 1000


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
    """

    sites: NDArray[np.int64]
    phase: NDArray[np.str_]
    gradient: Floats
    rotation: Floats
    stretch: Floats
    residual: Floats
    partners: NDArray[np.int32]
    variant: NDArray[np.int8]
    references: Mapping[str, MetalSublattice]
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

    def tensor(self, measure: str = "engineering") -> Floats:
        """Strain tensors (m, 3, 3) in the named measure."""
        return measures.strain_tensor(self.gradient, self.stretch, measure=measure)

    def mean(self, measure: str = "engineering") -> Floats:
        """(m,) mean of the principal strains."""
        return measures.mean_strain(self.tensor(measure))

    def lattice_angstrom(self) -> Floats:
        """(m,) local lattice constant in Å: the reference times (1 + mean engineering strain)."""
        reference = np.array([self.references[name].lattice_angstrom for name in self.phase])
        local: Floats = reference * (1.0 + self.mean())
        return local


def strain_map(
    atoms: "Atoms", *, phases: ArrayLike, references: Mapping[str, MetalSublattice], workers: int = -1
) -> StrainMap:
    """Deformation of every labelled cation against its own phase.

    Parameters
    ----------
    atoms
        The structure; positions in Å, any cell, any mixture of periodic and open directions.
    phases
        (n,) phase of each atom that takes part, "" for all others; see :mod:`qdip_struct.analysis.strain.phases`.
    references
        Phase → ideal sublattice. Every phase that occurs must be there.
    workers
        Threads; −1 takes all cores. The result does not depend on their number.

    Raises
    ------
    UsageError
        If a phase has no reference.
    DataError
        If no atom takes part or a position is not finite.
    """
    if workers == 0 or workers < -1:
        raise UsageError(f"workers is a number of threads, or -1 for all cores, not {workers}")
    threads = workers if workers > 0 else (os.cpu_count() or 1)
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
    gradient, rotation, stretch = (np.empty((m, 3, 3)) for _ in range(3))
    residual = np.empty(m)
    partners = np.full((m, width), -1, dtype=np.int32)
    variant = np.zeros(m, dtype=np.int8)
    used: dict[str, MetalSublattice] = {}
    orientations: dict[str, Floats] = {}
    positions, cell, pbc = atoms.positions[sites], atoms.cell.array, atoms.pbc
    for number, name in enumerate(map(str, names)):
        own = np.flatnonzero(code == number)
        ideal = references[name]
        images = periodic_images(positions[own], cell=cell, pbc=pbc, margin=ideal.cutoff_angstrom)
        # Strain refers to `frame`; neighbours are matched where the lattice really points: a small turn parts the two.
        frame, matching = find_orientation(images, ideal)
        orientations[name], used[name] = frame, ideal.rotated(frame)
        fits = Fits(used[name], matching=ideal.rotated(matching))
        starts = range(0, len(own), _CHUNK)
        with _workers(threads if len(starts) > 1 else 1) as mapped:
            find = _finder(images, fits, ideal.rotated(matching), mapped)
            fit = partial(_fit, own=own, images=images, find=find, fits=fits)
            for here, F, R, U, misfit, mates, which in mapped(fit, starts):
                gradient[here], rotation[here], stretch[here] = F, R, U
                residual[here], variant[here], partners[here, : fits.width] = misfit, which, mates
    return StrainMap(
        sites, names[code], gradient, rotation, stretch, residual, partners, variant, used, orientations, len(atoms)
    )


@contextmanager
def _workers(threads: int) -> Iterator[Mapped]:
    """A function like :func:`map` that runs on several threads."""
    if threads == 1:
        yield map
    else:
        with ThreadPoolExecutor(threads) as pool:
            yield pool.map


def _finder(images: Images, fits: Fits, matching: MetalSublattice, mapped: Mapped) -> Finder:
    """How the matched neighbours of a chunk of cations are found: by place in a large crystal, else by search."""
    radius, cutoff = matching.match_radius_angstrom, matching.cutoff_angstrom
    if images.n >= _LARGE and len(matching.variants) == 1:
        ideal = matching.arrays[0]
        lattice = SiteLattice(images, ideal=ideal, radius=radius, cutoff=cutoff)
        if lattice.usable:
            return _one_variant(lattice.neighbours)
        grid = SiteGrid(images, radius=radius, cutoff=cutoff, mapped=mapped)
        if grid.usable:
            return _one_variant(partial(grid.neighbours, ideal=ideal, guess=grid.expected(ideal)))
    tree = images.tree()

    def by_search(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
        index, valid = nearest_images(images, tree, rows, count=fits.width, cutoff=cutoff)
        vectors = images.positions[index] - images.positions[rows][:, None, :]
        columns, D, variant = fits.match(vectors, valid)
        return np.where(columns >= 0, np.take_along_axis(index, np.maximum(columns, 0), axis=1), -1), D, variant

    return by_search


def _one_variant(neighbours: Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], Floats]]) -> Finder:
    """A finder for sublattices in which all sites have the same ideal vectors."""

    def find(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
        return *neighbours(rows), np.zeros(len(rows), dtype=np.int64)

    return find


def _fit(start: int, *, own: NDArray[np.int64], images: Images, find: Finder, fits: Fits) -> tuple[NDArray[Any], ...]:
    """One chunk of cations: their numbers, F, R, U, residual, partners, variant."""
    rows = np.arange(start, min(start + _CHUNK, len(own)))
    index, D, variant = find(rows)
    present = index >= 0
    F, residual = fits.solve(D, present=present, variant=variant)
    R, U = measures.polar(F)
    F[np.isnan(U[:, 0, 0])] = np.nan
    return own[rows], F, R, U, residual, np.where(present, own[images.owner[index]], -1), variant
