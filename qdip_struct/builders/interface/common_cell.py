"""The common lateral cell of two surface cells: a match of :mod:`qdip_struct.matching.coincidence`, for atoms.

Matches are counted in the nets of :func:`qdip_struct.matching.nets.surface_net`; here they become integer matrices on
the nets of the surface cells that are really built, so that the matched slab is the slab that is built.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.interface.interface_options import LateralCell
from qdip_struct.builders.slab.surface import SurfaceCell
from qdip_struct.matching.coincidence import Match, find_matches
from qdip_struct.matching.nets import Net, net_from_vectors

Array = NDArray[Any]
_FINE = 27720
_MOST_POINTS = 400


@dataclass(frozen=True, eq=False)
class CommonCell:
    """One common cell.

    Attributes
    ----------
    film, substrate
        Integer rows (2, 2) on the nets u, v of the two surface cells, positive determinants; row i of the film is laid
        on row i of the substrate.
    found
        The match as listed by ``qdip match``.
    """

    film: Array
    substrate: Array
    found: Match


def common_cells(film: SurfaceCell, substrate: SurfaceCell, *, wish: LateralCell) -> CommonCell:
    """One common cell of two surface cells.

    Parameters
    ----------
    film, substrate
        Surface cells.
    wish
        Limits of the search and the number in its list. Without a number: of the cells of the smallest area the one in
        which the cation nets of both crystals share most sites (cube on cube where there is a common parent lattice),
        then the least strain.

    Raises
    ------
    UsageError
        If there is none of that number; the message says how many there are.
    """
    match, max_area, max_strain = wish.match, float(wish.max_area), float(wish.max_strain)
    film_net, film_change = _net(film)
    substrate_net, substrate_change = _net(substrate)
    check_positive(max_area, what="the largest common area", unit="Å²")
    room = max_area >= substrate_net.area * (1.0 - 1e-9) and max_area >= film_net.area * (1.0 - max_strain) ** 2
    found = _matches(film_net, substrate_net, max_area, max_strain, float(wish.max_angle)) if room else ()
    if not found or not 0 <= (match or 0) < len(found):
        raise UsageError(
            f"{film.sites.name} and {substrate.sites.name} have {len(found)} common cells up to {max_area:g} Å² and a "
            f"strain of {max_strain:g}; number {match or 0} is none of them (the first is 0); raise the limits"
        )

    def cell(number: int) -> CommonCell:
        chosen = found[number]
        rows = np.array(chosen.film_matrix) @ film_change, np.array(chosen.substrate_matrix) @ substrate_change
        return CommonCell(film=rows[0], substrate=rows[1], found=chosen)

    if match is not None:
        return cell(match)
    smallest = [cell(k) for k, m in enumerate(found) if m.area_angstrom2 < found[0].area_angstrom2 * (1.0 + 1e-6)]
    return min(smallest, key=lambda one: (_shared_net(one, film, substrate), round(one.found.strain_max, 9)))


def check_positive(value: float, *, what: str, unit: str) -> None:
    """Raise :class:`UsageError` unless ``value`` is finite and positive."""
    if not (math.isfinite(value) and value > 0.0):
        raise UsageError(f"{what} is {value:g} {unit}; expected a positive number")


def _shared_net(common: CommonCell, film: SurfaceCell, substrate: SurfaceCell) -> int:
    """Points per common cell of the net that the cation-to-cation vectors of both crystals generate together."""
    generators = np.concatenate([_cation_vectors(film, common.film), _cation_vectors(substrate, common.substrate)])
    closed, queue = {(0, 0)}, [np.zeros(2, dtype=int)]
    steps = np.rint(generators * _FINE).astype(int)
    while queue:
        current = queue.pop()
        for step in steps:
            moved = (current + step) % _FINE
            if (int(moved[0]), int(moved[1])) not in closed:
                closed.add((int(moved[0]), int(moved[1])))
                queue.append(moved)
                if len(closed) > _MOST_POINTS:
                    return _MOST_POINTS
    return len(closed)


def _cation_vectors(surface: SurfaceCell, matrix: Array) -> Array:
    """Lateral vectors between the cations of one layer, and the net, in fractions of the common cell, (k, 2)."""
    cations = np.flatnonzero(np.isin(surface.sites.sublattice, ("B", "cation")))
    layer = next((entry.members for entry in surface.layers if set(entry.members) & set(cations.tolist())), ())
    points = surface.sites.positions[[k for k in layer if k in set(cations.tolist())], :2]
    inside = np.linalg.inv(np.asarray(matrix) @ surface.net)
    own = (points - points[0]) @ inside if len(points) else np.zeros((0, 2))
    vectors = np.concatenate([own, surface.net @ inside])
    # Ideal places are rational: a relaxed or tilted structure is read to the nearest twelfth of its own net.
    twelfths = np.rint(vectors @ np.asarray(matrix) * 12.0) / 12.0
    return twelfths @ np.linalg.inv(matrix)


@lru_cache(maxsize=256)
def _matches(film: Net, substrate: Net, max_area: float, max_strain: float, max_angle: float) -> tuple[Match, ...]:
    return find_matches(film, substrate=substrate, max_area=max_area, max_strain=max_strain, max_angle=max_angle)


def _net(surface: SurfaceCell) -> tuple[Net, Array]:
    """The reduced net that the search uses, and its vectors as integer rows on u, v."""
    net = net_from_vectors(surface.net.tolist(), name=surface.sites.name)
    target = np.array(net.vectors)
    steps = np.array([[i, j] for i in range(-2, 3) for j in range(-2, 3) if (i, j) != (0, 0)])
    vectors = steps @ surface.net
    rows = []
    for length in np.linalg.norm(target, axis=1):
        fitting = np.abs(np.linalg.norm(vectors, axis=1) - length) < 1e-6 * length
        rows.append(steps[fitting])
    dot = float(target[0] @ target[1])
    for one in rows[0][::-1]:
        for other in rows[1][::-1]:
            right = one[0] * other[1] - one[1] * other[0] == 1
            if right and abs((one @ surface.net) @ (other @ surface.net) - dot) < 1e-5 * abs(np.linalg.det(target)):
                return net, np.array([one, other])
    raise UsageError(f"{surface.sites.name}: the net of the plane could not be reduced")
