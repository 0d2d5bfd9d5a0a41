"""Convex bodies in the frame of a crystal, centred on the origin: ellipsoids, cylinders, polyhedra; lengths in Å.

Their axes are Cartesian: a along x, b in the xy plane. Families of facets are those of the cube.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product

import numpy as np

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.parsing import SHAPES

SURFACE = 1e-6
"""Points this close (Å) to the surface count as inside."""


@dataclass(frozen=True)
class Ellipsoid:
    """(x/a)² + (y/b)² + (z/c)² ≤ 1; a sphere when the semi-axes are equal.

    Attributes
    ----------
    name
        As on the command line.
    semiaxes
        (a, b, c), Å.
    """

    name: str
    semiaxes: tuple[float, float, float]

    @property
    def volume(self) -> float:
        """Volume 4π/3·abc in Å³."""
        return 4.0 / 3.0 * math.pi * math.prod(self.semiaxes)

    @property
    def extent(self) -> Array:
        """Half widths along x, y, z in Å, shape (3,)."""
        return np.array(self.semiaxes)

    @property
    def facets(self) -> Array:
        """Directions over which changes are spread evenly, unit vectors (6, 3): the axes."""
        return np.concatenate([np.eye(3), -np.eye(3)])

    def contains(self, points: Array, *, grown: float = 0.0) -> Array:
        """Which of ``points`` (..., 3) Å lie inside, the semi-axes being longer by ``grown`` Å."""
        axes = np.array(self.semiaxes) + grown + SURFACE
        if np.any(axes <= 0):
            return np.zeros(points.shape[:-1], dtype=bool)
        scaled = points / axes
        return np.einsum("...i,...i->...", scaled, scaled) <= 1.0

    def height(self, points: Array) -> Array:
        """How far (Å) ``points`` (..., 3) lie beyond the surface along their own direction; negative inside."""
        radius = np.linalg.norm(points, axis=-1)
        reach = np.linalg.norm(points / np.array(self.semiaxes), axis=-1)
        return np.where(radius > 0, radius - radius / np.where(reach > 0, reach, 1.0), -min(self.semiaxes))

    @property
    def reach(self) -> float:
        """Distance from the centre to the farthest point, Å."""
        return float(max(self.semiaxes))

    def grown(self, by: float) -> "Ellipsoid":
        """The same shape with ``by`` Å more on every side."""
        a, b, c = self.semiaxes
        return Ellipsoid(self.name, (a + by, b + by, c + by))

    def scaled(self, factor: float) -> "Ellipsoid":
        """The same shape, ``factor`` times larger."""
        a, b, c = self.semiaxes
        return Ellipsoid(self.name, (a * factor, b * factor, c * factor))


@dataclass(frozen=True)
class Cylinder:
    """A circular cylinder with flat ends.

    Attributes
    ----------
    name
        As on the command line.
    axis
        Unit vector along it.
    radius, half_length
        Å.
    """

    name: str
    axis: tuple[float, float, float]
    radius: float
    half_length: float

    @property
    def volume(self) -> float:
        """Volume πr²·2h in Å³."""
        return 2.0 * math.pi * self.radius**2 * self.half_length

    @property
    def extent(self) -> Array:
        """Half widths along x, y, z in Å, shape (3,)."""
        along = np.abs(np.array(self.axis))
        return self.half_length * along + self.radius * np.sqrt(np.clip(1.0 - along**2, 0.0, None))

    @property
    def facets(self) -> Array:
        """Directions over which changes are spread evenly, unit vectors (6, 3): both ends, and four around."""
        first = np.eye(3)[int(np.argmin(np.abs(self.axis)))]
        first = first - np.dot(first, self.axis) * np.array(self.axis)
        frame = np.array([first / np.linalg.norm(first), np.cross(self.axis, first / np.linalg.norm(first)), self.axis])
        return np.concatenate([frame, -frame])

    @property
    def reach(self) -> float:
        """Distance from the centre to the farthest point, Å."""
        return math.hypot(self.radius, self.half_length)

    def _split(self, points: Array) -> tuple[Array, Array]:
        """Distance of points (..., 3) from the axis and from the middle plane, Å."""
        along = points @ np.array(self.axis)
        across = np.linalg.norm(points - along[..., None] * np.array(self.axis), axis=-1)
        return across, np.abs(along)

    def contains(self, points: Array, *, grown: float = 0.0) -> Array:
        """Which of ``points`` (..., 3) Å lie inside, radius and both ends being moved outwards by ``grown`` Å."""
        across, along = self._split(points)
        return (across <= self.radius + grown + SURFACE) & (along <= self.half_length + grown + SURFACE)

    def height(self, points: Array) -> Array:
        """How far (Å) ``points`` (..., 3) lie beyond the side or the end, whichever is more; negative inside."""
        across, along = self._split(points)
        return np.maximum(across - self.radius, along - self.half_length)

    def grown(self, by: float) -> "Cylinder":
        """The same shape with ``by`` Å more on every side."""
        return Cylinder(self.name, self.axis, self.radius + by, self.half_length + by)

    def scaled(self, factor: float) -> "Cylinder":
        """The same shape, ``factor`` times larger."""
        return Cylinder(self.name, self.axis, self.radius * factor, self.half_length * factor)


@dataclass(frozen=True)
class Polyhedron:
    """All points with n·r ≤ d for every facet.

    Attributes
    ----------
    name
        As on the command line.
    normals
        (m, 3) unit normals.
    distances
        (m,) distances of the facets from the centre, Å.
    """

    name: str
    normals: tuple[tuple[float, float, float], ...]
    distances: tuple[float, ...]

    @cached_property
    def corners(self) -> Array:
        """Corner points in Å, shape (k, 3).

        Raises
        ------
        UsageError
            If the facets do not enclose a volume.
        """
        from scipy.optimize import linprog
        from scipy.spatial import HalfspaceIntersection, QhullError

        normals, distances = np.array(self.normals), np.array(self.distances)
        closed = linprog(np.zeros(len(normals)), A_eq=normals.T, b_eq=np.zeros(3), bounds=(1.0, None)).status == 0
        if not closed or np.linalg.matrix_rank(normals) < 3:
            raise UsageError(f"the facets of '{self.name}' do not enclose a volume; add facets on the open sides")
        halfspaces = np.column_stack([normals, -distances])
        try:
            points = HalfspaceIntersection(halfspaces, np.zeros(3)).intersections
        except QhullError as error:
            raise UsageError(f"the facets of '{self.name}' do not enclose a volume") from error
        return points[np.all(np.isfinite(points), axis=1)]

    @cached_property
    def volume(self) -> float:
        """Volume in Å³."""
        from scipy.spatial import ConvexHull

        return float(ConvexHull(self.corners).volume)

    @property
    def extent(self) -> Array:
        """Half widths along x, y, z in Å, shape (3,)."""
        return np.abs(self.corners).max(axis=0)

    @property
    def facets(self) -> Array:
        """Unit normals (m, 3)."""
        return np.array(self.normals)

    def contains(self, points: Array, *, grown: float = 0.0) -> Array:
        """Which of ``points`` (..., 3) Å lie inside, every facet being moved outwards by ``grown`` Å."""
        inside = np.ones(points.shape[:-1], dtype=bool)
        for normal, distance in zip(self.normals, self.distances, strict=True):
            inside &= points @ np.array(normal) <= distance + grown + SURFACE
        return inside

    def height(self, points: Array) -> Array:
        """How far (Å) ``points`` (..., 3) lie beyond the nearest-to-break facet: max(n·r − d); negative inside."""
        return np.max(points @ np.array(self.normals).T - np.array(self.distances), axis=-1)

    @property
    def reach(self) -> float:
        """Distance from the centre to the farthest point, Å."""
        return float(np.linalg.norm(self.corners, axis=1).max())

    def grown(self, by: float) -> "Polyhedron":
        """The same shape with every facet moved outwards by ``by`` Å."""
        return Polyhedron(self.name, self.normals, tuple(d + by for d in self.distances))

    def scaled(self, factor: float) -> "Polyhedron":
        """The same shape, ``factor`` times larger."""
        return Polyhedron(self.name, self.normals, tuple(d * factor for d in self.distances))


Shape = Ellipsoid | Cylinder | Polyhedron


def family(hkl: Sequence[int]) -> Array:
    """All planes equivalent to (hkl) in a cubic holohedral crystal as unit normals, shape (m, 3), sorted."""
    members = {
        tuple(sign * value for sign, value in zip(signs, order, strict=True))
        for order in permutations(hkl)
        for signs in product((1, -1), repeat=3)
    }
    normals = np.array(sorted(members), dtype=float)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def positive_length(value: float, *, what: str) -> float:
    """Return ``value`` (Å) when it is a finite length above zero, else raise :class:`UsageError`."""
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{what} is {value:g} Å; expected a finite length above zero")
    return float(value)


def polyhedron(name: str, *, energies: Mapping[tuple[int, int, int], float], volume: float) -> Polyhedron:
    """Wulff body of a cubic crystal: facet distance ∝ surface energy, scaled to ``volume`` Å³.

    Parameters
    ----------
    name
        Name of the shape, for reports.
    energies
        Surface energy (any one unit) of each family {hkl}; families that lie outside the body are kept harmlessly.
    volume
        Volume in Å³ of the finished body.

    Raises
    ------
    UsageError
        If an energy is not positive or the families do not enclose a volume.

    Notes
    -----
    G. Wulff, Z. Kristallogr. 34, 449 (1901), doi:10.1524/zkri.1901.34.1.449.
    """
    if not energies:
        raise UsageError("a Wulff shape needs surface energies, for example 100=16,111=20")
    for hkl, energy in energies.items():
        if not (math.isfinite(energy) and energy > 0):
            raise UsageError(f"the surface energy of {hkl} is {energy:g}; expected a finite number above zero")
    body = _faceted(name, energies)
    return body.scaled((volume / body.volume) ** (1.0 / 3.0))


def _faceted(name: str, distances: Mapping[tuple[int, int, int], float]) -> Polyhedron:
    """All facets of the cubic families, each family at its distance from the centre."""
    rows = [(normal, float(distance)) for hkl, distance in distances.items() for normal in family(hkl).tolist()]
    normals = tuple((float(x), float(y), float(z)) for (x, y, z), _ in rows)
    body = Polyhedron(name, normals, tuple(distance for _, distance in rows))
    if len(body.corners) < 4:
        raise UsageError(f"the facets of '{name}' do not enclose a volume; add facets on the open sides")
    return body


def make_shape(
    name: str,
    *,
    diameter: float | None = None,
    edges: Sequence[float] | None = None,
    energies: Mapping[tuple[int, int, int], float] | None = None,
    distances: Mapping[tuple[int, int, int], float] | None = None,
    length: float | None = None,
    axis: Sequence[int] = (0, 0, 1),
    thickness: float | None = None,
) -> Shape:
    """Make a shape by name.

    Parameters
    ----------
    name
        One of :data:`qdip_struct.builders.parsing.SHAPES`.
    diameter
        Å. Sphere, rod: its diameter. Cube, platelet: its lateral edge. Every other polyhedron: diameter of the sphere
        of the same volume.
    edges
        Three full widths in Å along x, y, z, for ``cuboid`` and ``ellipsoid``.
    energies
        Surface energy of each cubic family {hkl}, for ``wulff``.
    distances
        Distance in Å from the centre to each cubic family {hkl} of facets, for ``facets``.
    length, axis
        Of a ``rod``, a circular cylinder with flat ends: Å, and its direction in Cartesian axes.
    thickness
        Of a ``platelet`` along z, Å.

    Raises
    ------
    UsageError
        If the name is unknown, or a length is missing, not finite or not positive.
    """
    if name not in SHAPES:
        raise UsageError(f"unknown shape '{name}'; known: {', '.join(SHAPES)}")
    if name in ("cuboid", "ellipsoid"):
        if edges is None or len(edges) != 3:
            raise UsageError(f"a {name} needs three edges in Å, for example 20,20,30")
        x, y, z = (positive_length(edge, what=f"an edge of the {name}") for edge in edges)
        if name == "ellipsoid":
            return Ellipsoid(name, (x / 2, y / 2, z / 2))
        return _cuboid(name, (x, y, z))
    if name == "facets":
        if not distances:
            raise UsageError("a shape by its facets needs their distances in Å, for example 100=12,111=13.5")
        for hkl, distance in distances.items():
            positive_length(distance, what=f"the distance of the facet {hkl}")
        return _faceted(name, distances)
    if diameter is None:
        raise UsageError(f"a {name} needs a diameter in Å")
    size = positive_length(diameter, what="the diameter of the dot")
    if name == "sphere":
        return Ellipsoid(name, (size / 2, size / 2, size / 2))
    if name == "cube":
        return _cuboid(name, (size, size, size))
    if name == "platelet":
        if thickness is None:
            raise UsageError("a platelet needs a thickness in Å or in monolayers, for example 18 or 4ML")
        return _cuboid(name, (size, size, positive_length(thickness, what="the thickness of the platelet")))
    if name == "rod":
        if length is None:
            raise UsageError("a rod needs a length in Å beside its diameter")
        x, y, z = (float(value) for value in axis)
        norm = math.sqrt(x * x + y * y + z * z)
        if norm == 0.0:
            raise UsageError("the axis of the rod is 0,0,0; expected a direction such as 001")
        half = positive_length(length, what="the length of the rod") / 2
        return Cylinder(name, (x / norm, y / norm, z / norm), size / 2, half)
    fixed: dict[str, Mapping[tuple[int, int, int], float]] = {
        "octahedron": {(1, 1, 1): 1.0},
        "dodecahedron": {(1, 1, 0): 1.0},
        "cuboctahedron": {(1, 0, 0): math.sqrt(3.0) / 2.0, (1, 1, 1): 1.0},
        "truncated-octahedron": {(1, 0, 0): 2.0 / math.sqrt(3.0), (1, 1, 1): 1.0},
    }
    return polyhedron(name, energies=fixed.get(name, energies or {}), volume=math.pi / 6.0 * size**3)


def _cuboid(name: str, edges: tuple[float, float, float]) -> Polyhedron:
    axes = tuple((float(x), float(y), float(z)) for x, y, z in np.concatenate([np.eye(3), -np.eye(3)]).tolist())
    x, y, z = (edge / 2 for edge in edges)
    return Polyhedron(name, axes, (x, y, z, x, y, z))
