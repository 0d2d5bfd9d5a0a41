"""Strain against place: radial profile across the border of a dot, layer profile of a slab.

Positions in Å, strains dimensionless in the measure that is named.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qdip_struct.analysis.strain.site_grid import completed_cell, periodic_images
from qdip_struct.analysis.strain.strain import StrainMap
from qdip_struct.base.arrays import Floats
from qdip_struct.base.errors import DataError, UsageError

if TYPE_CHECKING:
    from ase import Atoms

_FIRST_MARGIN_ANGSTROM = 15.0


@dataclass(frozen=True)
class ProfilePoint:
    """One bin of a radial profile.

    Attributes
    ----------
    depth_angstrom
        Mean distance from the dot's border, negative inside the dot: half-way between cations of the two phases is 0.
    radius_angstrom
        Mean distance from the dot's centre.
    n
        Cations.
    mean, stderr
        Mean strain tr(E)/3 and its standard error over the cations of the bin (as if independent).
    radial, hoop
        Mean components along the radius and across it.
    """

    phase: str
    depth_angstrom: float
    radius_angstrom: float
    n: int
    mean: float
    stderr: float
    radial: float
    hoop: float


@dataclass(frozen=True)
class StrainLayer:
    """One layer of cations of a slab.

    Attributes
    ----------
    position_angstrom
        Height along the normal, Å.
    n
        Cations.
    mean, stderr
        Mean strain tr(E)/3 and its standard error over the cations.
    in_plane, normal
        Mean strain in the plane and along its normal.
    """

    phase: str
    position_angstrom: float
    n: int
    mean: float
    stderr: float
    in_plane: float
    normal: float


def dot_centre(atoms: "Atoms", strain: StrainMap, *, dot: str) -> Floats:
    """Centre of the cations of phase ``dot``, also when the dot is cut by a periodic face, (3,) Å.

    Raises
    ------
    DataError
        If there are none.
    """
    positions = atoms.positions[strain.sites[strain.phase == dot]]
    if not len(positions):
        raise DataError(f"the structure holds no cation of the dot's phase {dot}")
    pbc = np.asarray(atoms.pbc, dtype=bool)
    cell = completed_cell(atoms.cell.array, pbc=pbc)
    fractional = positions @ np.linalg.inv(cell)
    middle = np.where(
        pbc, np.angle(np.exp(2j * np.pi * fractional).mean(axis=0)) / (2 * np.pi), fractional.mean(axis=0)
    )
    near = fractional - middle
    near -= np.where(pbc, np.rint(near), 0.0)
    found = middle + near.mean(axis=0)
    centre: Floats = (found - np.where(pbc, np.floor(found + 1e-9), 0.0)) @ cell
    return centre


def radial_vectors(atoms: "Atoms", strain: StrainMap, *, centre: Floats) -> Floats:
    """Vectors from the centre to the nearest image of every cation of the map, (m, 3) Å."""
    images = periodic_images(
        np.vstack((centre, atoms.positions[strain.sites])), cell=atoms.cell.array, pbc=atoms.pbc, margin=0.0
    )
    start = images.positions[0]
    apart = images.positions[1 : images.n] - start
    pbc = np.asarray(atoms.pbc, dtype=bool)
    cell = completed_cell(atoms.cell.array, pbc=pbc)
    apart -= np.where(pbc, np.rint(apart @ np.linalg.inv(cell)), 0.0) @ cell
    best, shortest = apart.copy(), np.einsum("ni,ni->n", apart, apart)
    steps = np.stack(np.meshgrid(*[(-1, 0, 1) if p else (0,) for p in pbc], indexing="ij"), axis=-1).reshape(-1, 3)
    for step in steps:
        moved = apart + step @ cell
        squared = np.einsum("ni,ni->n", moved, moved)
        nearer = squared < shortest - 1e-9
        best[nearer], shortest[nearer] = moved[nearer], squared[nearer]
    return best


def border_depth(atoms: "Atoms", strain: StrainMap, *, dot: str) -> Floats:
    """Signed distance of every cation from the dot's border in Å, negative inside; (m,).

    Half-way between the closest pair of cations across the border is 0. With no cation outside the dot, the distance
    to the border is that to the outermost sphere: r − max(r).
    """
    inside = strain.phase == dot
    positions = atoms.positions[strain.sites]
    if inside.all():
        radius = np.linalg.norm(radial_vectors(atoms, strain, centre=dot_centre(atoms, strain, dot=dot)), axis=1)
        outermost: Floats = radius - radius.max()
        return outermost
    depth = np.empty(len(positions))
    for side, sign in ((inside, -1.0), (~inside, 1.0)):
        depth[side] = sign * _distance_to(positions[~side], positions[side], atoms)
    border = 0.5 * float(np.abs(depth).min())
    return depth - np.sign(depth) * border


def _distance_to(targets: Floats, points: Floats, atoms: "Atoms") -> Floats:
    """Distance in Å from each point to the nearest image of a target; the search widens until all have one."""
    from scipy.spatial import cKDTree

    distance = np.full(len(points), np.inf)
    margin = _FIRST_MARGIN_ANGSTROM
    while True:
        rest = np.flatnonzero(np.isinf(distance))
        both = np.vstack((points[rest], targets))
        images = periodic_images(both, cell=atoms.cell.array, pbc=atoms.pbc, margin=margin)
        tree = cKDTree(images.positions[images.owner >= len(rest)])
        bound = margin if np.any(atoms.pbc) else np.inf
        distance[rest] = tree.query(images.positions[: len(rest)], distance_upper_bound=bound)[0]
        if np.isfinite(distance).all():
            return distance
        margin *= 2.0


def radial_strain(
    atoms: "Atoms", strain: StrainMap, *, dot: str, width: float = 3.0, measure: str = "engineering"
) -> list[ProfilePoint]:
    """Strain against the distance from the border of the dot, in bins of ``width`` Å, each phase for itself.

    Raises
    ------
    UsageError
        If the width is not positive.
    DataError
        If there is no cation of phase ``dot``.
    """
    if not (np.isfinite(width) and width > 0):
        raise UsageError(f"the width of a bin must be a positive length in Å, not {width}")
    centre = dot_centre(atoms, strain, dot=dot)
    vectors = radial_vectors(atoms, strain, centre=centre)
    radius = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.maximum(radius, 1e-9)[:, None]
    tensor = strain.tensor(measure)
    mean = strain.mean(measure)
    along = np.einsum("ni,nij,nj->n", unit, tensor, unit)
    along[radius < 1e-6] = mean[radius < 1e-6]
    across = (3.0 * mean - along) / 2.0
    depth = border_depth(atoms, strain, dot=dot)
    bins = np.floor(np.round(depth / width, 6)).astype(int)
    points = []
    for phase in sorted(set(strain.phase.tolist()), key=lambda name: name != dot):
        for number in np.unique(bins[strain.phase == phase]).tolist():
            rows = np.flatnonzero((strain.phase == phase) & (bins == number) & strain.defined)
            if not rows.size:
                continue
            points.append(
                ProfilePoint(
                    phase=phase,
                    depth_angstrom=float(depth[rows].mean()),
                    radius_angstrom=float(radius[rows].mean()),
                    n=len(rows),
                    mean=float(mean[rows].mean()),
                    stderr=float(mean[rows].std(ddof=1) / np.sqrt(len(rows))) if len(rows) > 1 else float("nan"),
                    radial=float(along[rows].mean()),
                    hoop=float(across[rows].mean()),
                )
            )
    return points


def layer_profile(
    atoms: "Atoms", strain: StrainMap, *, axis: int = 2, measure: str = "engineering", gap: float = 1.0
) -> list[StrainLayer]:
    """Strain of each layer of cations along a cell axis, lowest first.

    Parameters
    ----------
    axis
        Cell vector that the layers are stacked along (0, 1, 2); the normal is perpendicular to the other two.
    gap
        Cations closer than this along the normal belong to one layer, Å.

    Raises
    ------
    UsageError
        If the axis is not 0, 1 or 2.
    """
    if axis not in (0, 1, 2):
        raise UsageError(f"the axis of a layer profile is 0, 1 or 2, not {axis}")
    pbc = np.asarray(atoms.pbc, dtype=bool)
    cell = completed_cell(atoms.cell.array, pbc=pbc)
    normal = np.linalg.inv(cell)[:, axis]
    height = 1.0 / float(np.linalg.norm(normal))
    unit = normal * height
    place = atoms.positions[strain.sites] @ unit
    if pbc[axis]:
        # Open the period at its widest empty stretch, so that no layer is cut in two.
        wrapped = np.sort(place % height)
        empty = np.diff(np.append(wrapped, wrapped[0] + height))
        cut = wrapped[(int(np.argmax(np.round(empty, 6))) + 1) % len(wrapped)] - 1e-6
        place = cut + (place - cut) % height
    order = np.argsort(np.round(place, 6), kind="stable")
    number = np.empty(len(place), dtype=int)
    number[order] = np.concatenate(([0], np.cumsum(np.diff(place[order]) > gap)))
    tensor, mean = strain.tensor(measure), strain.mean(measure)
    along = np.einsum("i,nij,j->n", unit, tensor, unit)
    layers = []
    for index in range(int(number.max(initial=-1)) + 1):
        for phase in sorted(set(strain.phase[number == index].tolist())):
            here = (number == index) & (strain.phase == phase)
            rows = np.flatnonzero(here & strain.defined)
            values = mean[rows]
            layers.append(
                StrainLayer(
                    phase=phase,
                    position_angstrom=float(place[here].mean()),
                    n=len(rows),
                    mean=float(values.mean()) if rows.size else float("nan"),
                    stderr=float(values.std(ddof=1) / np.sqrt(rows.size)) if rows.size > 1 else float("nan"),
                    in_plane=float(((3 * values - along[rows]) / 2).mean()) if rows.size else float("nan"),
                    normal=float(along[rows].mean()) if rows.size else float("nan"),
                )
            )
    return layers
