"""Registry: how the film is shifted sideways on the substrate, and how far above it sits.

A registry is a lateral shift of the film's reference cation (the cation of its lowest layer) from the column of the
substrate's reference cation (B of a perovskite, the metal of rock salt), in fractions of the substrate's cation square.
``(0, 0)`` is cation over cation. Named ones:

``continuation``
    The film's cation over the anion of the substrate's contact layer, as the common parent lattice goes on: (½, 0) on a
    BX2 layer, (0, 0) on an AX layer, whose anion lies above the metal, and (½, ½) of the primitive square on rock salt.
``metal``
    Cation over cation, (0, 0).
``hollow``
    A quarter of the way along both, (¼, ¼).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import SiteCell
from qdip_struct.builders.atoms.neighbours import neighbour_pairs
from qdip_struct.builders.atoms.radii import IONIC_RADII_ANGSTROM
from qdip_struct.builders.atoms.regions import FORMAL_CHARGES

Array = NDArray[Any]
NAMES = ("continuation", "metal", "hollow")

TOUCHING_RADII_ANGSTROM: dict[str, float] = {
    **IONIC_RADII_ANGSTROM, "N": 1.50, "C": 1.50, "H": 0.60, "P": 1.90, "As": 2.00,
}  # fmt: skip
"""Ionic radii, and contact radii chosen here for H, C, N of molecular ions, P and As, Å."""


def radii_of(symbols: Any) -> Array:
    """Radius of each symbol, Å, (n,); :class:`UsageError` for an element without one."""
    names, inverse = np.unique(np.asarray(symbols), return_inverse=True)
    missing = [str(name) for name in names if str(name) not in TOUCHING_RADII_ANGSTROM]
    if missing:
        raise UsageError(f"no ionic radius is known for {', '.join(missing)}")
    return np.array([TOUCHING_RADII_ANGSTROM[str(name)] for name in names])[inverse]


def touching_gap(
    symbols_below: Any, positions_below: Array, symbols_above: Any, positions_above: Array, *, lateral: Array
) -> float:
    """Height at which the upper atoms touch the lower ones as hard spheres, Å.

    max over pairs of z_below − z_above + √((r_i + r_j)² − ρ²), ρ their lateral distance, images included: the shift to
    add to every z of the upper atoms.

    Parameters
    ----------
    symbols_below, positions_below
        Elements (n,) and positions (n, 3) Å of the lower atoms.
    symbols_above, positions_above
        Elements (m,) and positions (m, 3) Å of the upper atoms.
    lateral
        Lateral vectors, rows (2, 2), Å.

    Raises
    ------
    UsageError
        If no radius is known for an element.
    """
    lower, upper = radii_of(symbols_below), radii_of(symbols_above)
    cell = np.diag([0.0, 0.0, 1.0])
    cell[:2, :2] = lateral
    pbc = np.array([True, True, False])
    flat = np.array([1.0, 1.0, 0.0])
    reach = float(lower.max() + upper.max())
    below, above, rho = neighbour_pairs(
        positions_below * flat, targets=positions_above * flat, cell=cell, pbc=pbc, cutoff=reach
    )
    room = (lower[below] + upper[above]) ** 2 - rho**2
    heights = positions_below[below, 2] - positions_above[above, 2]
    touch = room >= 0.0
    if not touch.any():
        return float(positions_below[:, 2].max() - positions_above[:, 2].min())
    return float((heights[touch] + np.sqrt(room[touch])).max())


def film_position(
    registry: str | tuple[float, float],
    *,
    below: SiteCell,
    below_layer: Array,
    above: SiteCell,
    above_layer: Array,
    lateral: Array,
    nearest: bool = False,
) -> tuple[Array, Array]:
    """By how much the film must be moved sideways to stand in a registry.

    Parameters
    ----------
    registry
        One of :data:`NAMES`, or two fractions of the substrate's cation square.
    below, below_layer
        Sites of the substrate and the monolayer of each; the highest is the contact layer.
    above, above_layer
        Sites of the film; the lowest monolayer is the contact layer.
    lateral
        Common lateral vectors, rows (2, 2), Å.
    nearest
        Of all equivalent moves (another cation as reference) take the shortest instead of the first.

    Returns
    -------
    shift, fraction
        Move of the film (2,), Å; and the shift of its cation from the substrate's in fractions of the cation square.

    Raises
    ------
    UsageError
        If the name is unknown, a fraction is not finite, or a slab has no cations to name a registry by.
    """
    columns = reference_columns(below, below_layer, highest=True)
    reference = below.positions[columns[0], :2]
    edges = cation_square(below.positions[columns, :2], lateral=lateral)
    contact = below.take(np.flatnonzero(below_layer == below_layer.max()))
    wanted = _shift_of(registry, contact=contact, reference=reference, edges=edges, lateral=lateral)
    film_columns = reference_columns(above, above_layer, highest=False)
    moves = reference + wanted - above.positions[film_columns, :2]
    if nearest:
        moves = (reference + wanted)[None] - above.positions[film_columns, :2]
        inside = moves @ np.linalg.inv(lateral)
        moves = (inside - np.rint(np.round(inside, 6))) @ lateral
        moves = moves[np.argsort(np.round(np.linalg.norm(moves, axis=1), 4), kind="stable")]
    return moves[0], np.linalg.solve(edges.T, wanted)


def reference_columns(sites: SiteCell, layer: Array, *, highest: bool) -> Array:
    """Reference cations of the monolayer nearest the contact that has them, ordered by y, then x; their numbers.

    Raises
    ------
    UsageError
        If the slab has no cation of the kind that names a registry.
    """
    cations = np.flatnonzero(np.isin(sites.sublattice, ("B", "cation")))
    if len(cations) == 0:
        raise UsageError(f"{sites.name} has no B cation in the slab; add a monolayer so that a registry can be named")
    edge = layer[cations].max() if highest else layer[cations].min()
    cations = cations[layer[cations] == edge]
    points = sites.positions[cations]
    return cations[np.lexsort((np.round(points[:, 0], 4), np.round(points[:, 1], 4)))]


def cation_square(points: Array, *, lateral: Array) -> Array:
    """The two shortest independent vectors between points (k, 2) and their images, rows (2, 2), Å, right-handed.

    For a (100) layer of perovskite or rock salt these are the edges of the cations' primitive square.

    Raises
    ------
    UsageError
        If the points lie on one line.
    """
    images = np.array([[i, j] for i in range(-2, 3) for j in range(-2, 3)]) @ lateral
    delta = ((points - points[0])[:, None, :] + images[None]).reshape(-1, 2)
    length = np.linalg.norm(delta, axis=1)
    delta, length = delta[length > 0.3], length[length > 0.3]
    angle = np.round(np.arctan2(delta[:, 1], delta[:, 0]) % (2.0 * np.pi), 3) % 6.283
    delta = delta[np.lexsort((angle, np.round(length, 1)))]
    first = delta[0]
    for second in delta[1:]:
        sine = (first[0] * second[1] - first[1] * second[0]) / np.linalg.norm(first) / np.linalg.norm(second)
        if abs(sine) > 0.5:
            return np.array([first, second if sine > 0 else -second])
    raise UsageError("the substrate's cations lie on one line; a registry needs a net of them")


def _shift_of(
    registry: str | tuple[float, float], *, contact: SiteCell, reference: Array, edges: Array, lateral: Array
) -> Array:
    if not isinstance(registry, str):
        if len(registry) != 2 or not np.isfinite(registry).all():
            raise UsageError(f"registry {registry}: expected two finite fractions such as 0.5,0")
        return np.asarray(registry, dtype=float) @ edges
    if registry not in NAMES:
        raise UsageError(f"unknown registry '{registry}'; known: {', '.join(NAMES)}, or two fractions such as 0.5,0")
    if registry == "metal":
        return np.zeros(2)
    if registry == "hollow":
        return np.array([0.25, 0.25]) @ edges
    anions = np.flatnonzero([FORMAL_CHARGES[str(s)] < 0 for s in contact.species])
    if len(anions) == 0:
        raise UsageError("the contact layer has no anion: the registry 'continuation' does not exist on it")
    # The ideal place of the nearest anion is a multiple of a quarter of the edges: tilts do not move the registry.
    inside = (contact.positions[anions, :2] - reference) @ np.linalg.inv(lateral)
    delta = (inside - np.rint(np.round(inside, 6))) @ lateral
    ideal = np.rint(np.round(np.linalg.solve(edges.T, delta.T).T * 4.0, 2)) / 4.0
    length = np.round(np.linalg.norm(delta, axis=1), 0)
    key = np.lexsort((np.round(ideal[:, 1] % 1.0, 3), -np.round(ideal[:, 0] % 1.0, 3), length))
    return (ideal[key[0]] % 1.0) @ edges
