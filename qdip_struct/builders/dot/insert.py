"""Making room for a dot: which sites of the matrix leave, so that no pair is too close and no molecule is split."""

from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.contacts import too_close
from qdip_struct.builders.atoms.neighbours import nearest
from qdip_struct.builders.atoms.orientation import permutes_axes
from qdip_struct.builders.dot.dot import DotSites
from qdip_struct.builders.dot.host import Host
from qdip_struct.builders.dot.parent import CENTERS, inside

Array = NDArray[Any]
DOTS_APART = 4.0
"""Atoms of different dots must be farther apart than this (Å)."""
_MISFIT = 0.15


def continues_parent(dot: DotSites, *, host: Host, rotation: Array) -> bool:
    """Whether dot and matrix count the same parent lattice: both on it, axes along axes, centre on an equal point."""
    if not (host.on_parent and dot.on_parent and permutes_axes(rotation)):
        return False
    centre = np.array(CENTERS[dot.center])
    turned = (rotation @ centre - centre) / 2.0
    ratio = host.lattice / dot.crystal.a_angstrom
    return bool(np.allclose(turned, np.rint(turned), atol=1e-6) and abs(ratio - 1.0) < _MISFIT)


def cavity_on_parent(dot: DotSites, *, host: Host, centre: Array, rotation: Array) -> Array:
    """Sites of the host that the dot replaces one for one on the parent lattice, bool (n_sites,).

    The cavity takes as many parent cells as the dot; a dot with another lattice constant leaves a gap or must be
    given room by :func:`crowded`.

    Parameters
    ----------
    dot
        The cut dot.
    host
        The matrix, on the parent lattice.
    centre
        Centre of the dot in the box, (3,) Å.
    rotation
        Rotation (3, 3) of the dot, one that carries the parent lattice onto itself.
    """
    counts = tuple(np.rint(np.diag(host.cell) / host.lattice).astype(int).tolist())
    mask = inside(
        dot.outer.scaled(host.lattice / dot.crystal.a_angstrom), cells=counts, lattice=host.lattice,
        centre=centre * 2.0 / host.lattice, termination=dot.termination, rotation=rotation,
    )  # fmt: skip
    index = np.rint(host.sites.positions * 2.0 / host.lattice).astype(int) % np.array(mask.shape)
    return mask[tuple(index.T)]


def relative_to(points: Array, *, centre: Array, cell: Array) -> Array:
    """Vectors (n, 3) Å from ``centre`` to the images of ``points`` nearest in fractional coordinates."""
    fractional = (points - centre) @ np.linalg.inv(cell)
    return (fractional - np.round(fractional - 1e-9)) @ cell


def cavity_by_hull(guest: Atoms, *, host: Host, centre: Array) -> Array:
    """Sites of the host inside the convex hull of the dot's atoms (``guest``, already in the box), bool (n_sites,)."""
    from scipy.spatial import ConvexHull, QhullError

    taken = np.zeros(len(host.sites), dtype=bool)
    away = guest.positions - centre
    if len(guest) < 5:
        return taken
    try:
        equations = ConvexHull(away).equations
    except QhullError:
        return taken
    vectors = relative_to(host.sites.positions, centre=centre, cell=host.cell)
    near = np.flatnonzero(np.einsum("ij,ij->i", vectors, vectors) <= np.square(away).sum(axis=1).max())
    within = np.ones(len(near), dtype=bool)
    for *normal, offset in np.unique(np.round(equations, 6), axis=0).tolist():
        within[within] = vectors[near[within]] @ np.array(normal) + offset <= 1e-6
    taken[near[within]] = True
    return taken


def crowded(guest: Atoms, *, host: Host, centre: Array, among: Array) -> Array:
    """Sites of the host, of those in ``among``, with an atom too close to one of the dot, bool (n_sites,).

    Parameters
    ----------
    guest
        Atoms of the dot where they stand in the box.
    host
        The matrix.
    centre
        Centre of the dot, (3,) Å; only sites near it are looked at.
    among
        Sites that are still there, bool (n_sites,).
    """
    result = np.zeros(len(host.sites), dtype=bool)
    atoms = np.flatnonzero(among[host.site_of_atom])
    vectors = relative_to(host.atoms.positions[atoms], centre=centre, cell=host.cell)
    reach = np.sqrt(np.square(guest.positions - centre).sum(axis=1).max()) + 5.0
    atoms = atoms[np.einsum("ij,ij->i", vectors, vectors) <= reach * reach]
    near = too_close(
        host.atoms.positions[atoms], numbers=host.atoms.numbers[atoms], targets=guest.positions,
        target_numbers=guest.numbers, cell=host.cell, pbc=np.ones(3, dtype=bool),
    )  # fmt: skip
    result[host.site_of_atom[atoms[near]]] = True
    return result


def check_room(guest: Atoms, *, cell: Array, turn: Array, margin: float) -> None:
    """Refuse a dot that does not leave ``margin`` Å of matrix on each side.

    Parameters
    ----------
    guest
        Atoms of the dot around the origin.
    cell
        Box, row vectors (3, 3) Å.
    turn
        Rotation (3, 3) the dot will have.
    margin
        Å of matrix between the dot and its images.

    Raises
    ------
    UsageError
        If the dot is too large for the box.
    """
    points = guest.positions @ turn.T
    normals = np.linalg.inv(cell)
    normals = normals / np.linalg.norm(normals, axis=0)
    for axis in range(3):
        width = float(np.ptp(points @ normals[:, axis]))
        height = abs(float(cell[axis] @ normals[:, axis]))
        if width + margin > height:
            raise UsageError(
                f"the dot is {width:.2f} Å wide across box face {'abc'[axis]} but the box has {height:.2f} Å, of which "
                f"{margin:.2f} Å must stay matrix; make the dot smaller or give more cells"
            )


def check_apart(guests: list[Atoms], *, cell: Array) -> None:
    """Raise :class:`UsageError` for dots whose atoms touch; ``cell`` is the box, row vectors (3, 3) Å."""
    for number, guest in enumerate(guests[1:], start=1):
        others = np.concatenate([other.positions for other in guests[:number]])
        near, _ = nearest(guest.positions, targets=others, cell=cell, pbc=np.ones(3, dtype=bool), cutoff=DOTS_APART)
        if np.isfinite(near).any():
            raise UsageError(
                f"two dots come within {near.min():.2f} Å of each other; give a larger box, fewer or smaller dots"
            )
