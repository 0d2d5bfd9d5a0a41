"""Surface cells: one period of a crystal cut parallel to any plane, and the monolayers it is made of.

A *surface cell* is one interplanar period d of the primitive lattice: lateral vectors u, v (the reduced primitive net
of the plane, u along +x, normal along +z) and one vector w of height d. Whether the crystal was given in a primitive, a
conventional or a larger cell makes no difference. *Monolayers* are the groups of sites that a gap of more than
``layer_tolerance`` separates along the normal; the topmost one names the termination. Lengths in Å.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.atoms.cells import SiteCell, completion, reduced_pair, sites_of, turned
from qdip_struct.matching.planes import Plane
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.ions import written_formula
from qdip_struct.materials.symmetry import primitive_basis

LAYER_TOLERANCE_ANGSTROM = 0.5
_SAME_SITE_ANGSTROM = 0.05


@dataclass(frozen=True)
class Layer:
    """One monolayer of a surface cell.

    Attributes
    ----------
    name
        ``AX`` or ``BX2`` on a perovskite ABX3, else the reduced formula of the layer (``PbS``, ``Pb``, ``PEA``).
    formula
        What is in the layer per primitive net cell, ions with their counts.
    height
        Mean height of its sites above the origin, Å.
    members
        Numbers of its sites in the surface cell.
    lifts
        Periods by which each member is raised so that the layer is in one piece.
    charge
        Formal charge per primitive net cell, e; of a mixed sublattice the mean one.
    kind
        Layers of one kind are carried into each other by a symmetry of the crystal that keeps the normal.
    """

    name: str
    formula: str
    height: float
    members: tuple[int, ...]
    lifts: tuple[int, ...]
    charge: int | float
    kind: int


@dataclass(frozen=True, eq=False)
class SurfaceCell:
    """One interplanar period of a crystal.

    Attributes
    ----------
    sites
        Sites of the primitive lattice; ``sites.cell`` holds u, v, w as rows: u along x, v in the xy plane, w_z = d.
    plane
        Miller indices in the axes of the cell that was given.
    uvw
        u, v, w in fractions of the given cell's vectors, rows (3, 3).
    layers
        Monolayers of one period from below to above.
    mirrors
        Symmetries that turn the normal over take the height z to c − z: every c, in periods d, 0 to 1. Molecules
        count as points here.
    """

    sites: SiteCell
    plane: Plane
    uvw: Array
    layers: tuple[Layer, ...]
    mirrors: tuple[float, ...]

    @property
    def flips(self) -> bool:
        """Whether a symmetry turns the normal over: each termination then has thicknesses with two equal faces."""
        return bool(self.mirrors)

    @property
    def net(self) -> Array:
        """Lateral vectors u, v, rows (2, 2), Å."""
        return self.sites.cell[:2, :2]

    @property
    def period(self) -> float:
        """Interplanar period d, Å."""
        return float(self.sites.cell[2, 2])


def surface_cell(
    material: Crystal | Atoms | SiteCell, *, plane: Plane, layer_tolerance: float = LAYER_TOLERANCE_ANGSTROM
) -> SurfaceCell:
    """Cut one period of a crystal parallel to a plane.

    Parameters
    ----------
    material
        Crystal record, periodic structure, or sites.
    plane
        Miller indices in the axes of the given cell; a common divisor is dropped.
    layer_tolerance
        Sites closer than this along the normal belong to one monolayer, Å.

    Raises
    ------
    UsageError
        If the plane is (0, 0, 0) or the tolerance is not positive.
    DataError
        If no gap wider than the tolerance separates the layers of this plane.
    """
    if len(plane) != 3 or not any(plane) or any(int(index) != index for index in plane):
        raise UsageError(f"plane {tuple(plane)}: expected three integers, not all zero")
    if not 0.0 < layer_tolerance < 10.0:
        raise UsageError(f"layer tolerance is {layer_tolerance:g} Å; expected a length between 0 and 10 Å")
    h, k, l = (int(index) for index in plane)  # noqa: E741
    divisor = gcd(h, k, l)
    reduced = (h // divisor, k // divisor, l // divisor)
    if isinstance(material, Crystal):
        return _of_crystal(material, reduced, float(layer_tolerance))
    sites = material if isinstance(material, SiteCell) else sites_of(material)
    return _cut(sites, reduced, float(layer_tolerance))


@lru_cache(maxsize=256)
def _of_crystal(crystal: Crystal, plane: Plane, layer_tolerance: float) -> SurfaceCell:
    return _cut(sites_of(crystal), plane, layer_tolerance)


def _cut(sites: SiteCell, plane: Plane, layer_tolerance: float) -> SurfaceCell:
    rotations, translations = _symmetry(sites)
    basis = primitive_basis(translations[[np.array_equal(r, np.eye(3)) for r in rotations]])
    miller = basis @ np.array(plane)
    scale = np.abs(miller[np.abs(miller) > 1e-9]).min()
    integers = next(
        np.rint(miller / scale * factor).astype(int)
        for factor in range(1, 10**6)
        if np.allclose(miller / scale * factor, np.rint(miller / scale * factor), atol=1e-7)
    )
    integers = integers // np.gcd.reduce(integers)
    combination = completion(integers)
    uvw = combination @ basis
    vectors = uvw @ sites.cell
    if np.linalg.det(sites.cell) < 0:
        vectors, uvw = vectors[[1, 0, 2]], uvw[[1, 0, 2]]
    turn = reduced_pair(vectors[:2])
    vectors[:2], uvw[:2] = turn @ vectors[:2], turn @ uvw[:2]
    normal = np.cross(vectors[0], vectors[1])
    normal /= np.linalg.norm(normal)
    if normal @ vectors[2] < 0:
        vectors[1], uvw[1], normal = -vectors[1], -uvw[1], -normal
    along = vectors[0] / np.linalg.norm(vectors[0])
    frame = np.array([along, np.cross(normal, along), normal])
    cell = vectors @ frame.T
    cell[0, 1:], cell[1, 2] = 0.0, 0.0
    lateral = np.rint(np.linalg.solve(cell[:2, :2].T, cell[2, :2]) - 1e-6)
    cell[2, :2] -= lateral @ cell[:2, :2]
    uvw[2] -= lateral @ uvw[:2]
    fractional = (sites.positions @ frame.T) @ np.linalg.inv(cell)
    fractional = np.round(fractional - np.floor(fractional + 1e-7), 10)
    keep = _distinct(fractional, cell, kinds=kinds_of_sites(sites))
    if len(keep) * np.rint(1.0 / abs(np.linalg.det(basis))) != len(sites):
        raise DataError(f"{sites.name}: two sites of the cell lie closer than {_SAME_SITE_ANGSTROM} Å")
    order = keep[np.lexsort((fractional[keep, 0], fractional[keep, 1], fractional[keep, 2]))]
    reduced = turned(sites.take(order, positions=fractional[order] @ cell, cell=cell), rotation=frame)
    upright = np.array([np.allclose(np.array(plane) @ np.linalg.inv(r), plane) for r in rotations])
    shifts = _heights(translations[upright], plane, uvw[2])
    layers = _layers(reduced, layer_tolerance, shifts, plane)
    if (sites.template >= 0).any():
        kinds = np.unique(sites.species, return_inverse=True)[1]
        rotations, translations = _operations(sites.cell, sites.positions, kinds=kinds)
    over = np.array([np.allclose(np.array(plane) @ np.linalg.inv(r), -np.array(plane)) for r in rotations])
    mirrors = tuple(map(float, _heights(translations[over], plane, uvw[2])))
    return SurfaceCell(sites=reduced, plane=plane, uvw=np.round(uvw, 10), layers=layers, mirrors=mirrors)


def _heights(translations: Array, plane: Plane, step: Array) -> Array:
    """By how much translations (n, 3) go along the normal, in steps out of the plane, 0 to 1, each once."""
    return np.unique(np.round((translations @ np.array(plane)) / (step @ np.array(plane)) % 1.0, 4) % 1.0)


def kinds_of_sites(sites: SiteCell) -> Array:
    """One number per sort of ion; molecules of different orientation in a user's file differ."""
    names = {name: k for k, name in enumerate(sorted({str(s) for s in sites.species}))}
    kinds = np.array([names[str(s)] for s in sites.species])
    distinct: list[Array] = []
    for i in np.flatnonzero(sites.template >= 0):
        unit = sites.templates[sites.template[i]].array
        found = next(
            (k for k, o in enumerate(distinct) if o.shape == unit.shape and np.allclose(o, unit, atol=0.05)), -1
        )
        if found < 0:
            distinct.append(unit)
            found = len(distinct) - 1
        kinds[i] = len(names) + found
    return kinds


def _operations(cell: Array, positions: Array, *, kinds: Array) -> tuple[Array, Array]:
    import spglib

    found = spglib.get_symmetry((cell, positions @ np.linalg.inv(cell), kinds), symprec=1e-3)
    if found is None:
        return np.eye(3, dtype=int)[None], np.zeros((1, 3))
    return found["rotations"], found["translations"]


def _symmetry(sites: SiteCell) -> tuple[Array, Array]:
    """Operations of the crystal, in fractions; with molecules those that keep their atoms too."""
    units = [None if number < 0 else sites.templates[number] for number in sites.template]
    if not any(units):
        return _operations(sites.cell, sites.positions, kinds=kinds_of_sites(sites))
    species = kinds_of_sites(replace(sites, template=np.full(len(sites), -1)))
    points, kinds = [], []
    elements: dict[str, int] = {}
    for position, kind, unit in zip(sites.positions, species, units, strict=True):
        points += [position] if unit is None else list(position + unit.array)
        symbols = [""] if unit is None else unit.symbols
        kinds += [elements.setdefault(f"{kind} {symbol}", len(elements)) for symbol in symbols]
    return _operations(sites.cell, np.array(points), kinds=np.array(kinds))


def _distinct(fractional: Array, cell: Array, *, kinds: Array) -> Array:
    keep: list[int] = []
    for i in range(len(fractional)):
        if keep:
            delta = fractional[keep] - fractional[i]
            near = np.linalg.norm((delta - np.rint(delta)) @ cell, axis=1) < _SAME_SITE_ANGSTROM
            if (near & (kinds[keep] == kinds[i])).any():
                continue
        keep.append(i)
    return np.array(keep)


def _layers(sites: SiteCell, tolerance: float, shifts: Array, plane: Plane) -> tuple[Layer, ...]:
    d = sites.cell[2, 2]
    heights = sites.positions[:, 2] % d
    heights[heights > d - 1e-6] -= d
    order = np.argsort(np.round(heights, 6), kind="stable")
    ordered = heights[order]
    gaps = np.diff(np.append(ordered, ordered[0] + d))
    cuts = np.flatnonzero(gaps > tolerance)
    if len(cuts) == 0:
        raise DataError(
            f"{sites.name} {plane}: no gap wider than {tolerance:g} Å between layers (widest {gaps.max():.2f} Å); "
            "choose a smaller layer tolerance"
        )
    base = np.rint((heights - sites.positions[:, 2]) / d).astype(int)
    groups: list[tuple[float, list[int], list[int]]] = []
    start = int(cuts[-1]) + 1
    sequence = [(start + k) % len(order) for k in range(len(order))]
    group: list[int] = []
    for position in sequence:
        group.append(position)
        if position in cuts:
            lifts = [-1 if start < len(order) and p >= start else 0 for p in group]
            mean = float(np.mean([ordered[p] + d * lift for p, lift in zip(group, lifts, strict=True)]))
            members = [int(order[p]) for p in group]
            up = 1 if mean < -1e-4 else 0
            groups.append(
                (mean + up * d, members, [lift + up + int(base[m]) for lift, m in zip(lifts, members, strict=True)])
            )
            group = []
    groups.sort(key=lambda item: round(item[0], 4))
    kinds: list[int] = []
    formulas = [_formula(sites.species[members]) for _, members, _ in groups]
    for k, (height, _, _) in enumerate(groups):
        same = [
            j
            for j in range(k)
            if formulas[j] == formulas[k]
            and (
                np.abs((height - groups[j][0]) / d - shifts - np.rint((height - groups[j][0]) / d - shifts)) < 1e-2
            ).any()
        ]
        kinds.append(kinds[same[0]] if same else max(kinds, default=-1) + 1)
    charges = sites.charges
    perovskite = _is_perovskite(sites)
    return tuple(
        Layer(
            name=_layer_name(sites.species[members], sites.sublattice[members] if perovskite else None),
            formula=formula,
            height=round(float(height), 8) + 0.0,
            members=tuple(members),
            lifts=tuple(lifts),
            charge=_whole(float(charges[members].sum())),
            kind=kind,
        )
        for (height, members, lifts), formula, kind in zip(groups, formulas, kinds, strict=True)
    )


def _formula(species: Array, *, divisor: int = 1) -> str:
    names, counts = np.unique(species, return_counts=True)
    return written_formula({str(name): int(count) // divisor for name, count in zip(names, counts, strict=True)})


def _is_perovskite(sites: SiteCell) -> bool:
    """Whether there are an A and three X to each B, so that its layers have the names AX and BX2."""
    a, b, x = (int((sites.sublattice == label).sum()) for label in "ABX")
    return 0 < a == b and x == 3 * b


def _whole(charge: float) -> int | float:
    """A sum of charges, e; a whole number but where only mean charges are known."""
    return round(charge) if abs(charge - round(charge)) < 1e-6 else round(charge, 6)


def _layer_name(species: Array, sublattice: Array | None) -> str:
    if sublattice is not None:
        count = {str(label): int((sublattice == label).sum()) for label in np.unique(sublattice)}
        if set(count) == {"A", "X"} and count["A"] == count["X"]:
            return "AX"
        if set(count) == {"B", "X"} and 2 * count["B"] == count["X"]:
            return "BX2"
    _, counts = np.unique(species, return_counts=True)
    return _formula(species, divisor=int(np.gcd.reduce(counts)))
