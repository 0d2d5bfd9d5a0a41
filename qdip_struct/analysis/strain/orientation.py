"""How the lattice of a phase is turned in the structure, found from the neighbour vectors alone.

Strain by matching needs the lattice turned by less than about 15° from where the ideal vectors point; so the mean
rotation is found first. Up to 30° the result still refers to the crystal's own axes along x, y, z; beyond that the
reference crystal itself is turned, and its orientation is reported.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.strain.site_grid import Images, nearest_images
from qdip_struct.analysis.strain.sublattice import MetalSublattice
from qdip_struct.base.arrays import Floats

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


def find_orientation(images: Images, ideal: MetalSublattice) -> tuple[Floats, Floats]:
    """Orientation of a phase as two rotations: of the axes that strain refers to, and of the lattice itself.

    The first is the identity while the lattice is turned by at most 30°, else equal to the second. The second is the
    proper rotation that brings the ideal vectors closest to the sampled neighbour vectors (Kabsch), among those
    equivalent by the crystal's symmetry the one with the smallest angle.
    """
    vectors, valid = _sampled(images, ideal)
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


def _sampled(images: Images, ideal: MetalSublattice) -> tuple[Floats, NDArray[np.bool_]]:
    """Neighbour vectors (s, k, 3) of a sample of points, and which exist: all points, or small regions all over."""
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
    return points.positions[index] - points.positions[sample][:, None, :], valid


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
            if abs(_between(one, two) - angle) < 20.0:
                found.append(_kabsch(np.stack((first, second)), np.stack((one, two)), minimum=2))
    return found


def _between(a: Floats, b: Floats) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1.0, 1.0))))
