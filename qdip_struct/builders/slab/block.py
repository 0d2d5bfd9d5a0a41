"""Blocks: the bulk crystal in the lateral cell of a slab, from which the slab is cut and which is its energy reference.

A block is a whole number of periods of a surface cell on a lateral supercell, strained or not. Alloys are decorated and
molecules are turned in the block, before any slab is cut, so that E_slab − N·E_bulk compares like with like. Lengths in
Å, lateral vectors as rows (2, 2).
"""

from dataclasses import dataclass, replace

import numpy as np

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import SiteCell, lattice_points, turned
from qdip_struct.builders.slab.surface import SurfaceCell


@dataclass(frozen=True, eq=False)
class Block:
    """Bulk crystal ready to be cut into slabs.

    Attributes
    ----------
    sites
        Sites; the third cell vector leads from one block to the next one above.
    layer
        Monolayer 0 … count − 1 of each site, (n,).
    count
        Monolayers in the block.
    surface
        What it was made from.
    matrix
        Lateral supercell on the net of ``surface``, integer rows (2, 2).
    """

    sites: SiteCell
    layer: Array
    count: int
    surface: SurfaceCell
    matrix: Array

    @property
    def lateral(self) -> Array:
        """Lateral vectors, rows (2, 2), Å."""
        return self.sites.cell[:2, :2]

    @property
    def area(self) -> float:
        """Area of the lateral cell, Å²."""
        return float(abs(np.linalg.det(self.lateral)))


def bulk_block(
    surface: SurfaceCell, *, matrix: Array, lateral: Array | None = None, periods: int = 1, stretch: float = 1.0
) -> Block:
    """Make a block.

    Parameters
    ----------
    surface
        Surface cell.
    matrix
        Lateral supercell, integer rows (2, 2) in u and v, positive determinant.
    lateral
        Lateral vectors onto which it is strained, rows (2, 2); default unstrained with the first along +x.
    periods
        The block is this many times as high as the least height at which it repeats straight above itself.
    stretch
        Factor on all heights.

    Raises
    ------
    UsageError
        If the supercell has no positive area.
    """
    matrix = np.asarray(matrix, dtype=int)
    if matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0] <= 0:
        raise UsageError(f"lateral supercell {matrix.tolist()}: expected rows with a positive determinant")
    free = matrix @ surface.net
    onto = upright(free) if lateral is None else np.asarray(lateral, dtype=float)
    n_periods = periods * straight_periods(surface)
    n_layers = n_periods * len(surface.layers)
    w = surface.sites.cell[2]
    points = lattice_points(matrix) @ surface.net
    index: list[int] = []
    number: list[int] = []
    places: list[Array] = []
    for k in range(n_layers):
        period, which = divmod(k, len(surface.layers))
        layer = surface.layers[which]
        for member, lift in zip(layer.members, layer.lifts, strict=True):
            origin = surface.sites.positions[member] + (period + lift) * w
            index += [member] * len(points)
            number += [k] * len(points)
            places.append(np.column_stack([origin[:2] + points, np.full(len(points), origin[2])]))
    positions = np.concatenate(places)
    deformation = np.linalg.solve(free, onto)
    left, _, right = np.linalg.svd(deformation)
    turn = np.eye(3)
    turn[:2, :2] = left @ right
    above = np.array([*(n_periods * w[:2] @ deformation), n_periods * w[2] * stretch])
    # Any translation of the net leads to an equal block: the shortest, so that blocks stand straight where they can.
    net = surface.net @ deformation
    across = np.linalg.solve(net.T, above[:2])
    above[:2] = (across - np.rint(np.round(across, 6))) @ net
    above[:2][np.abs(above[:2]) < 1e-6] = 0.0
    positions[:, :2] = positions[:, :2] @ deformation
    positions[:, 2] *= stretch
    cell = np.array([[*onto[0], 0.0], [*onto[1], 0.0], above])
    sites = surface.sites.take(np.array(index), positions=wrapped(positions, lateral=onto), cell=cell)
    return Block(turned(sites, rotation=turn.T), np.array(number), n_layers, surface, matrix)


def strained(block: Block, *, lateral: Array, stretch: float = 1.0) -> Block:
    """The same ions, molecules turned the same way, in a block of other lateral vectors (rows, Å) and heights."""
    per = block.count // (len(block.surface.layers) * straight_periods(block.surface))
    bare = bulk_block(block.surface, matrix=block.matrix, lateral=lateral, periods=per, stretch=stretch)
    filled = replace(
        bare.sites, species=block.sites.species, template=block.sites.template, templates=block.sites.templates,
        mean_charges=block.sites.mean_charges,
    )  # fmt: skip
    return replace(bare, sites=filled)


def cut_block(block: Block, *, bottom: int, count: int) -> tuple[SiteCell, Array]:
    """Cut ``count`` monolayers from layer ``bottom`` of the endless sequence upwards.

    Returns
    -------
    sites, layer
        Sites in order of the monolayers, and the monolayer 0 … count − 1 of each.
    """
    members = [np.flatnonzero(block.layer == k) for k in range(block.count)]
    index, places, number = [], [], []
    for k in range(count):
        whole, which = divmod(bottom + k, block.count)
        index.append(members[which])
        places.append(block.sites.positions[members[which]] + whole * block.sites.cell[2])
        number += [k] * len(members[which])
    positions = wrapped(np.concatenate(places), lateral=block.lateral)
    return block.sites.take(np.concatenate(index), positions=positions), np.array(number)


def wrapped(positions: Array, *, lateral: Array) -> Array:
    """Positions (n, 3) moved into the lateral cell; z stays."""
    moved = positions.copy()
    fractional = moved[:, :2] @ np.linalg.inv(lateral)
    fractional = np.round(fractional - np.floor(fractional + 1e-7), 12) + 0.0
    moved[:, :2] = fractional @ lateral
    return moved


def straight_periods(surface: SurfaceCell, *, most: int = 6) -> int:
    """Least number of periods after which the bulk repeats straight above itself (1 if never)."""
    for periods in range(1, most + 1):
        shift = np.linalg.solve(surface.net.T, periods * surface.sites.cell[2, :2])
        if np.abs((shift - np.rint(shift)) @ surface.net).max() < 1e-4:
            return periods
    return 1


def upright(lateral: Array) -> Array:
    """The same lateral vectors turned so that the first lies along +x and the second has a positive y."""
    a, b = np.asarray(lateral, dtype=float)
    length = float(np.linalg.norm(a))
    along = float(a @ b) / length
    return np.array([[length, 0.0], [along if abs(along) > 1e-10 else 0.0, float(a[0] * b[1] - a[1] * b[0]) / length]])


def principal_strain(lateral: Array, *, onto: Array) -> tuple[float, float]:
    """Principal engineering strains λ − 1 of bringing lateral vectors (rows, (2, 2)) onto others, larger first."""
    values = np.linalg.svd(np.linalg.solve(lateral, onto), compute_uv=False) - 1.0
    e1, e2 = (round(float(value), 12) + 0.0 for value in values)
    return e1, e2


def between(start: Array, *, end: Array, share: float) -> Array:
    """Lateral vectors on the way from ``start`` to ``end``: start·(1 + share·(U − 1)), U the stretch that leads there.

    The first vector is turned to +x. ``share`` 0 gives the shape of ``start``, 1 that of ``end``.
    """
    left, values, right = np.linalg.svd(np.linalg.solve(start, end))
    stretch = left @ np.diag(1.0 + share * (values - 1.0)) @ left.T
    return upright(start @ stretch @ left @ right)
