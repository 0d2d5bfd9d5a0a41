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

from qdip_struct.build.cells import SiteCell
from qdip_struct.build.regions import FORMAL_CHARGES
from qdip_struct.errors import UsageError

Array = NDArray[Any]
NAMES = ("continuation", "metal", "hollow")

IONIC_RADII_ANGSTROM: dict[str, float] = {
    "Li": 0.76, "Na": 1.02, "K": 1.38, "Rb": 1.52, "Cs": 1.67, "Ag": 1.15, "Cu": 0.77, "Mg": 0.72, "Ca": 1.00,
    "Sr": 1.18, "Ba": 1.35, "Zn": 0.74, "Cd": 0.95, "Hg": 1.02, "Ge": 0.73, "Sn": 1.18, "Pb": 1.19, "Al": 0.535,
    "Ga": 0.62, "In": 0.80, "Sb": 0.76, "Bi": 1.03, "F": 1.33, "Cl": 1.81, "Br": 1.96, "I": 2.20, "O": 1.40,
    "S": 1.84, "Se": 1.98, "Te": 2.21, "N": 1.50, "C": 1.50, "H": 0.60, "P": 1.90, "As": 2.00,
}  # fmt: skip
"""Six-coordinate ionic radii, Å (R. D. Shannon, Acta Cryst. A 32, 751 (1976), doi 10.1107/S0567739476001551; recalled,
not read there; Sn2+ after its distance to anions). H, C, N of molecular ions and P, As: contact radii chosen here."""


def radii_of(symbols: Any) -> Array:
    """Radius of each symbol, Å, (n,); :class:`UsageError` for an element without one."""
    names, inverse = np.unique(np.asarray(symbols), return_inverse=True)
    missing = [str(name) for name in names if str(name) not in IONIC_RADII_ANGSTROM]
    if missing:
        raise UsageError(f"no ionic radius is known for {', '.join(missing)}")
    return np.array([IONIC_RADII_ANGSTROM[str(name)] for name in names])[inverse]


def touching_gap(
    symbols_below: Any, positions_below: Array, symbols_above: Any, positions_above: Array, *, lateral: Array
) -> float:
    """Height at which the upper atoms touch the lower ones as hard spheres, Å.

    max over pairs of z_below − z_above + √((r_i + r_j)² − ρ²), ρ their lateral distance, images included: the shift to
    add to every z of the upper atoms. Lateral vectors are rows (2, 2), Å.
    """
    r = radii_of(symbols_below)[:, None] + radii_of(symbols_above)[None, :]
    delta = positions_above[None, :, :2] - positions_below[:, None, :2]
    fractional = delta @ np.linalg.inv(lateral)
    delta = (fractional - np.rint(fractional)) @ lateral
    lift = np.full(r.shape, -np.inf)
    heights = positions_below[:, None, 2] - positions_above[None, :, 2]
    widest = float(r.max(initial=0.0))
    area = abs(np.linalg.det(lateral))
    reach = [int(np.ceil(widest / (area / np.linalg.norm(lateral[1 - k])))) for k in range(2)]
    for i in range(-reach[0], reach[0] + 1):
        for j in range(-reach[1], reach[1] + 1):
            rho = ((delta + i * lateral[0] + j * lateral[1]) ** 2).sum(axis=-1)
            room = r * r - rho
            lift = np.where(room >= 0.0, np.maximum(lift, heights + np.sqrt(np.maximum(room, 0.0))), lift)
    return float(lift.max(initial=0.0)) if np.isfinite(lift).any() else float(heights.max())


def cation_columns(sites: SiteCell) -> Array:
    """Numbers of the sites of the reference cation: B of a perovskite, else every cation, (m,)."""
    found = np.flatnonzero(np.isin(sites.sublattice, ("B", "cation")))
    return found if len(found) else np.flatnonzero([FORMAL_CHARGES[str(s)] > 0 for s in sites.species])


def shortest_pair(points: Array, *, lateral: Array) -> Array:
    """The two shortest independent vectors of lateral points (k, 2) and their images, rows (2, 2), Å, right-handed.

    Between points of equal height these are the edges of the cation square.
    """
    images = np.array([[i, j] for i in range(-2, 3) for j in range(-2, 3)]) @ lateral
    delta = ((points - points[0])[:, None, :] + images[None]).reshape(-1, 2)
    length = np.linalg.norm(delta, axis=1)
    delta = delta[length > 0.3]
    delta = delta[
        np.lexsort((np.round(np.arctan2(delta[:, 1], delta[:, 0]) % (2 * np.pi), 3), np.round(length[length > 0.3], 1)))
    ]
    first = delta[0]
    for second in delta[1:]:
        sine = (first[0] * second[1] - first[1] * second[0]) / np.linalg.norm(first) / np.linalg.norm(second)
        if abs(sine) > 0.5:
            return np.array([first, second if sine > 0 else -second])
    raise UsageError("the substrate's cations lie on one line; a named registry needs a square or a net of them")


def named_shift(
    registry: str | tuple[float, float],
    *,
    contact: SiteCell,
    reference: Array,
    edges: Array,
    lateral: Array,
) -> Array:
    """Lateral shift in Å, (2,), of a registry from the reference cation of the substrate.

    Parameters
    ----------
    registry
        One of :data:`NAMES` or a pair of fractions of ``edges``.
    contact
        Sites of the substrate's contact layer.
    reference
        Lateral position of the reference cation, (2,), Å.
    edges
        Edges of the cation square, rows (2, 2), Å.
    lateral
        Lateral cell, rows (2, 2), Å.

    Raises
    ------
    UsageError
        If the name is unknown or a fraction is not finite.
    """
    if isinstance(registry, str):
        if registry not in NAMES:
            raise UsageError(
                f"unknown registry '{registry}'; known: {', '.join(NAMES)}, scan, or two fractions '0.5,0'"
            )
        if registry == "metal":
            return np.zeros(2)
        if registry == "hollow":
            return np.array([0.25, 0.25]) @ edges
        anions = np.flatnonzero([FORMAL_CHARGES[str(s)] < 0 for s in contact.species])
        if len(anions) == 0:
            raise UsageError("the contact layer has no anion: the registry 'continuation' does not exist on it")
        delta = contact.positions[anions, :2] - reference
        fractional = delta @ np.linalg.inv(lateral)
        delta = (fractional - np.rint(fractional)) @ lateral
        steps = np.array([[i, j] for i in range(-4, 5) for j in range(-4, 5)]) / 4.0
        ideal = steps @ edges
        length = np.round(np.linalg.norm(delta, axis=1), 1)
        angle = np.round(np.arctan2(delta[:, 1], delta[:, 0]) % (2 * np.pi), 2)
        nearest = delta[np.lexsort((angle, length))[0]]
        return ideal[np.argmin(np.round(np.linalg.norm(ideal - nearest, axis=1), 6))]
    if len(registry) != 2 or not np.isfinite(registry).all():
        raise UsageError(f"registry {registry}: expected two finite fractions such as 0.5,0")
    return np.asarray(registry, dtype=float) @ edges
