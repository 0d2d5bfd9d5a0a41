"""Strain of every cation against the lattice of its own phase; no reference configuration is needed.

For each cation only neighbours of the same phase count. Each neighbour vector d (with its own periodic image) is
matched to the nearest ideal vector v of the phase's :class:`~qdip_struct.analysis.strain.sublattice.MetalSublattice`;
the deformation gradient is the least-squares map F = (Σ d vᵀ)(Σ v vᵀ)⁻¹, split into F = R·U. A cation with fewer than
three non-coplanar matches has no strain: NaN, never 0. This is exact on every dot cation of an embedded dot, surface
included, where methods that need a reference configuration or a complete neighbour shell give wrong numbers or none.

Matching needs the lattice turned by less than about 15° from where the ideal vectors point; so the mean rotation of a
phase is found first, from the neighbour vectors alone. Up to 30° the result still refers to the crystal's own axes
along x, y, z; beyond that the reference crystal itself is turned, and its orientation is reported.
"""

import itertools
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
from qdip_struct.analysis.strain.site_grid import Images, Mapped, SiteGrid, SiteLattice, nearest_images, periodic_images
from qdip_struct.analysis.strain.sublattice import Fits, MetalSublattice
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
        if ideal.environments:
            frame, matching = lie_of(images, ideal, np.asarray(atoms.get_chemical_symbols())[sites[own]])
        else:
            frame, matching = find_orientation(images, ideal)
        if not ideal.isotropic:
            ideal = _as_it_lies(images, ideal, matching)
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


LARGEST_ROTATION_DEGREE = 30.0
_SAMPLE = 200
_SMALL = 20000
_REGIONS = 8
_ENOUGH = 0.6
_CLEAR = 0.9
_TIE = 0.02
_PREVIEW = 40
_REFINED = 6
_ITERATIONS = 12
_APART_DEGREE = 8.0
_HARDLY = 0.1


def find_orientation(images: Images, ideal: MetalSublattice) -> tuple[Floats, Floats]:
    """Orientation of a phase as two rotations: of the axes that strain refers to, and of the lattice itself.

    The first is the identity while the lattice is turned by at most 30°, else equal to the second. The second is the
    proper rotation that brings the ideal vectors closest to the sampled neighbour vectors (Kabsch), among those
    equivalent by the crystal's symmetry the one with the smallest angle.
    """
    vectors, valid, _, _ = _sampled(images, ideal)
    one = np.eye(3)
    found = [_refined(vectors, valid, ideal, one)]
    if found[0][1] < _CLEAR:
        starts = _candidates(vectors, valid, ideal)
        few = slice(0, _PREVIEW)
        scores = [_matched(vectors[few], valid[few], ideal, start)[3] for start in starts]
        order = sorted(range(len(starts)), key=lambda i: (-round(scores[i], 2), round(_angle(starts[i]), 3)))
        found += [_refined(vectors, valid, ideal, starts[i]) for i in order[:_REFINED]]
    best = max(share for _, share in found)
    turned, share = min((one for one in found if one[1] > best - _TIE), key=lambda one: round(_angle(one[0]), 6))
    if share < _ENOUGH:
        return one, one
    return (one if _angle(turned) <= LARGEST_ROTATION_DEGREE else turned), turned


def _as_it_lies(images: Images, ideal: MetalSublattice, rotation: Floats) -> MetalSublattice:
    """A distorted cube with that of its axes along each direction that leaves the least strain."""
    vectors, valid, _, _ = _sampled(images, ideal)
    best, least = ideal, (np.inf, np.inf)
    for axes, signs in itertools.product(itertools.permutations(range(3)), itertools.product((1.0, -1.0), repeat=3)):
        turn = np.zeros((3, 3))
        turn[range(3), axes] = signs
        if np.linalg.det(turn) < 0:
            continue
        tried = ideal.rotated(turn)
        fitted, _ = _refined(vectors, valid, tried, rotation)
        slot, close, variant, _ = _matched(vectors, valid, tried, fitted)
        wanted = np.stack(tried.rotated(fitted).arrays)[variant[:, None], slot]
        misfit = float(np.square(wanted - vectors)[close].sum())
        found = (round(misfit, 6), round(_angle(turn), 3))
        if found < least:
            best, least = tried, found
    return best


def lie_of(images: Images, ideal: MetalSublattice, symbols: NDArray[np.str_]) -> tuple[Floats, Floats]:
    """Orientation of a crystal of any structure, as :func:`find_orientation` gives it.

    Among the rotations that bring two ideal vectors onto actual ones: those with the most neighbours of the right
    element around a site of the right element, of these the one with the least misfit, then the smallest angle.

    Parameters
    ----------
    images, ideal
        Cations of the phase, and their sublattice with its environments.
    symbols
        (n,) element of each cation.
    """
    vectors, valid, centre, around = _sampled(images, ideal)
    one = np.eye(3)
    starts: list[Floats] = [one]
    for start in _candidates(vectors, valid, ideal):
        if all(_angle(start @ known.T) > _APART_DEGREE for known in starts):
            starts.append(start)
    few = slice(0, _PREVIEW)
    shares = [_matched(vectors[few], valid[few], ideal, start)[3] for start in starts]
    laid = [
        _laid(vectors, valid, symbols[centre], symbols[around], ideal, start)
        for start, share in zip(starts, shares, strict=True)
        if share >= max(shares) - _HARDLY
    ]
    best = max(one.score for one in laid)
    kept = [one for one in laid if one.score > best - _TIE]
    least = min(one.misfit for one in kept)
    kept = [one for one in kept if one.misfit <= least * (1.0 + 1e-5) + 1e-9]
    chosen = min(kept, key=lambda one: round(_angle(one.rotation), 6))
    if chosen.matched < _ENOUGH:
        return one, one
    return (one if _angle(chosen.rotation) <= LARGEST_ROTATION_DEGREE else chosen.rotation), chosen.rotation


@dataclass(frozen=True)
class _Lie:
    """A rotation, the share of neighbours in place of the right element, the misfit in Å², the share in place."""

    rotation: Floats
    score: float
    misfit: float
    matched: float


def _laid(
    vectors: Floats,
    valid: NDArray[np.bool_],
    centre: NDArray[np.str_],
    around: NDArray[np.str_],
    ideal: MetalSublattice,
    rotation: Floats,
) -> _Lie:
    """Improve a rotation: each site takes the environment that fits it best, then all are turned onto it."""
    sites = np.arange(len(vectors))
    width = len(ideal.variants[0])
    limit = ideal.match_radius_angstrom**2
    sets = [np.array(own.vectors) for own in ideal.environments]
    for _ in range(_ITERATIONS):
        slots, closes, rates, misfits = [], [], [], []
        for own, rows in zip(ideal.environments, sets, strict=True):
            turned = rows @ rotation.T
            slot = (vectors @ turned.T - 0.5 * np.einsum("ki,ki->k", turned, turned)).argmax(axis=2)
            away = np.square(vectors - turned[slot]).sum(axis=2)
            close = valid & (away <= limit)
            alike = close & (np.array(own.around)[slot] == around)
            slots.append(slot)
            closes.append(close)
            rates.append((alike.sum(axis=1) + close.sum(axis=1)) * (1.0 + (centre == own.centre)))
            misfits.append(np.where(close, away, 0.0).sum(axis=1) + limit * (width - close.sum(axis=1)))
        rate, misfit = np.array(rates), np.array(misfits)
        which = np.where(rate >= rate.max(axis=0) - 1e-9, misfit, np.inf).argmin(axis=0)
        slot, close = np.stack(slots)[which, sites], np.stack(closes)[which, sites]
        padded = np.stack([np.pad(rows, ((0, width - len(rows)), (0, 0))) for rows in sets])
        following = _kabsch(padded[which[:, None], slot][close], vectors[close])
        change, rotation = float(np.abs(following - rotation).max()), following
        if change < 1e-10:
            break
    wanted = max(int(np.minimum(valid.sum(axis=1), width).sum()), 1)
    return _Lie(
        rotation, float(rate[which, sites].sum()) / (4.0 * wanted), float(misfit[which, sites].sum()),
        float(close.sum()) / wanted,
    )  # fmt: skip


def _sampled(
    images: Images, ideal: MetalSublattice
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """A sample of points: vectors to their neighbours (s, k, 3), which exist, the numbers of the points and of these.

    All points, or small regions all over.
    """
    cutoff = ideal.cutoff_angstrom
    points = images
    sample = np.arange(images.n)
    if images.n > _SMALL:
        near = np.zeros(len(images.positions), dtype=bool)
        inner = np.zeros(images.n, dtype=bool)
        for centre in images.positions[np.linspace(0, images.n - 1, _REGIONS).astype(np.int64)]:
            near[_box(images.positions, centre, 2.2 * cutoff)] = True
            inner[_box(images.positions[: images.n], centre, 1.1 * cutoff)] = True
        kept = np.flatnonzero(near)
        points = Images(images.positions[kept], images.owner[kept], int(np.count_nonzero(kept < images.n)))
        sample = np.flatnonzero(inner[kept[: points.n]])
    if len(sample) > _SAMPLE:
        sample = sample[np.unique(np.linspace(0, len(sample) - 1, _SAMPLE).astype(np.int64))]
    count = max(len(vectors) for vectors in ideal.variants)
    index, valid = nearest_images(points, points.tree(), sample, count=count, cutoff=cutoff)
    return (
        points.positions[index] - points.positions[sample][:, None, :],
        valid,
        points.owner[sample],
        points.owner[index],
    )


def _box(points: Floats, centre: Floats, half: float) -> NDArray[np.int64]:
    """Numbers of the points in the cube of edge 2·half around a centre."""
    rows = np.flatnonzero(np.abs(points[:, 0] - centre[0]) <= half)
    for axis in (1, 2):
        rows = rows[np.abs(points[rows, axis] - centre[axis]) <= half]
    return rows


def _refined(
    vectors: Floats, valid: NDArray[np.bool_], ideal: MetalSublattice, rotation: Floats
) -> tuple[Floats, float]:
    """Improve a rotation by matching and fitting in turn; return it with the share of vectors that match."""
    sets = np.stack(ideal.arrays)
    share = 0.0
    for _ in range(_ITERATIONS):
        slot, close, variant, share = _matched(vectors, valid, ideal, rotation)
        following = _kabsch(sets[variant[:, None], slot][close], vectors[close])
        if np.abs(following - rotation).max() < 1e-6:
            break
        rotation = following
    return rotation, share


def _matched(
    vectors: Floats, valid: NDArray[np.bool_], ideal: MetalSublattice, rotation: Floats
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], float]:
    """Nearest ideal vector of each neighbour, whether it matches, the variant of each site, the share that matches."""
    slots, closes = [], []
    for rows in ideal.rotated(rotation).arrays:
        slot = (vectors @ rows.T - 0.5 * np.einsum("ki,ki->k", rows, rows)).argmax(axis=2)
        away = vectors - rows[slot]
        slots.append(slot)
        closes.append(valid & (np.einsum("nki,nki->nk", away, away) <= ideal.match_radius_angstrom**2))
    variant = np.argmax([close.sum(axis=1) for close in closes], axis=0)
    sites = np.arange(len(vectors))
    slot, close = np.stack(slots)[variant, sites], np.stack(closes)[variant, sites]
    return slot, close, variant, float(close.sum() / max(int(valid.sum()), 1))


def _kabsch(start: Floats, end: Floats, *, minimum: int = 3) -> Floats:
    """Proper rotation R with R·start closest to end; the identity when the vectors do not fix one."""
    if len(start) < minimum:
        return np.eye(3)
    left, values, right = np.linalg.svd(end.T @ start)
    if values[1] <= 1e-9 * max(float(values[0]), 1e-300):
        return np.eye(3)
    flip = np.diag((1.0, 1.0, np.sign(np.linalg.det(left @ right))))
    rotation: Floats = left @ flip @ right
    return rotation


def _angle(rotation: Floats) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1.0) / 2.0, -1.0, 1.0))))


def _candidates(vectors: Floats, valid: NDArray[np.bool_], ideal: MetalSublattice) -> list[Floats]:
    """Rotations that bring two ideal vectors onto two actual ones, from the site with the most neighbours."""
    site = int(np.argmax(valid.sum(axis=1)))
    actual = vectors[site][valid[site]]
    found: list[Floats] = []
    for rows in ideal.arrays:
        first = rows[0]
        second = next(row for row in rows if abs(row @ first) < 0.9 * np.linalg.norm(row) * np.linalg.norm(first))
        angle = _between(first, second)
        for one, two in itertools.permutations(actual, 2):
            lengths = np.linalg.norm((one, two), axis=1) - np.linalg.norm((first, second), axis=1)
            if np.abs(lengths).max() < ideal.match_radius_angstrom and abs(_between(one, two) - angle) < 20.0:
                found.append(_kabsch(np.stack((first, second)), np.stack((one, two)), minimum=2))
    return found


def _between(a: Floats, b: Floats) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1.0, 1.0))))
