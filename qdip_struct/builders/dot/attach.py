"""Dots on a surface: attached to a slab by one facet, or standing on it and buried under an overgrown layer.

The slab lies below, its normal along +z. A matrix on the cubic parent lattice is cut along (100); its AX and BX2 layers
carry no formal charge. Any other slab is given as a structure with vacuum along z.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Occupation
from qdip_struct.builders.atoms.orientation import about, parent_axes
from qdip_struct.builders.atoms.regions import INTERFACE_DEPTH, contact_limit, mark_interface, report
from qdip_struct.builders.dot.dot import DotSites, dot_atoms
from qdip_struct.builders.dot.embed import Embedded, embed_dot, joined
from qdip_struct.builders.dot.embedding_options import Balance, DotForm, DotPlacement
from qdip_struct.builders.dot.matrix import check_cells, matrix_of
from qdip_struct.builders.parsing import Top
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.ions import CONTACT_RADII_ANGSTROM, FORMAL_CHARGES

REGISTRIES = ("continuation", "metal", "hollow")
"""A metal of the dot's lowest layer stands over an anion of the slab (the rock salt goes on), over a metal (like over
like), or over the middle of the metal square. A facet of anions alone stands with an anion over a metal, an anion, or
that middle."""
TOUCH = 0.95
"""Opposite ions touch at this share of the sum of their radii."""


def surface_slab(
    matrix: Crystal,
    *,
    cells: Sequence[int],
    top: Top = "BX2",
    occupation: Occupation = Occupation(),
) -> Atoms:
    """A (100) slab of ``cells`` parent cells, BX2 below and ``top`` above, without vacuum, region ``matrix``.

    Raises
    ------
    UsageError
        If the matrix is not on the cubic parent lattice or the termination is unknown.
    """
    x, y, z = check_cells(cells)
    if top not in ("BX2", "AX"):
        raise UsageError(f"unknown surface '{top}'; known: BX2, AX")
    supercell = matrix_of(matrix, cells=(x, y, z + 1 if top == "BX2" else z), occupation=occupation)
    if not supercell.on_parent or "A" not in supercell.sites.sublattice:
        raise UsageError(f"{matrix.name} is no cubic perovskite; give its slab as a structure file")
    height = supercell.sites.positions[:, 2]
    keep = height < (z + 0.25 if top == "BX2" else z) * supercell.lattice
    return supercell.atoms[keep[supercell.site_of_atom]]


def attach_dot(
    dot: DotSites | Atoms,
    slab: Atoms,
    *,
    facet: Sequence[int] = (1, 0, 0),
    twist: float = 0.0,
    registry: str | tuple[float, float] = "continuation",
    gap: float | None = None,
    vacuum: float = 20.0,
    changes: Sequence[dict[str, Any]] = (),
    interface_depth: float = INTERFACE_DEPTH,
    seed: int = 0,
) -> Embedded:
    """Put a dot on a slab.

    Parameters
    ----------
    dot
        Cut (and passivated) dot, or one around the origin as atoms.
    slab
        Slab with a lateral cell along x and y; region arrays as in :mod:`qdip_struct.builders.atoms.regions`.
    facet
        Miller indices (cubic) of the facet of the dot that faces the slab.
    twist
        Rotation about the normal in degrees, from the orientation in which the parent axes agree.
    registry
        One of :data:`REGISTRIES`, or the shift of the dot's metal from a metal of the slab in fractions of the
        parent square.
    gap
        Distance in Å along z between the highest atom of the slab (of a molecule a hydrogen) and the lowest of the
        dot; default until ions touch.
    vacuum
        Å above the dot.
    changes
        What finishing the dot's surface changed, for the report.
    interface_depth, seed
        See :func:`qdip_struct.builders.atoms.regions.mark_interface`; the seed is only reported.

    Raises
    ------
    UsageError
        If the dot does not fit the lateral cell or a parameter is not possible.
    """
    for name, value in (("vacuum", vacuum), ("gap", 1.0 if gap is None else gap), ("twist", abs(twist) + 1.0)):
        if not (math.isfinite(value) and value > 0):
            raise UsageError(f"the {name} is {value:g}; expected a finite number above zero")
    placed = dot_atoms(dot) if isinstance(dot, DotSites) else dot.copy()
    charges, heights = slab.get_array("formal_charge"), slab.positions[:, 2]
    top = float(heights.max())
    if not (charges >= 2).any():
        raise UsageError(
            "the slab holds no cation of charge +2 or more, from which registries are counted; give a slab with metals"
        )
    metals = np.flatnonzero((charges >= 2) & (heights > heights[charges >= 2].max() - 1.0))
    axes = _square(slab.positions[metals], cell=slab.cell.array)
    turn = about((0, 0, 1), degrees=twist) @ axes @ _facet_down(facet)
    placed.positions = placed.positions @ turn.T
    _check_lateral(placed, cell=slab.cell.array)

    low = placed.positions[:, 2].min()
    ions = placed.get_array("formal_charge")
    # Below the lowest ion may stand the hydrogen of a molecule.
    lowest = np.flatnonzero((ions != 0) & (placed.positions[:, 2] < placed.positions[ions != 0, 2].min() + 1.0))
    metal_feet = lowest[ions[lowest] >= 2]
    foot = metal_feet if len(metal_feet) else lowest
    foot = foot[np.argsort(np.round(np.linalg.norm(placed.positions[foot, :2], axis=1), 4), kind="stable")]
    spot = _spot(slab, metals=metals, registry=registry, axes=axes, metal_foot=len(metal_feet) > 0)
    placed.positions[:, :2] += spot - placed.positions[foot[0], :2]
    lift = _touching(placed, slab=slab) if gap is None else top + gap - low
    placed.positions[:, 2] += lift
    placed.set_array("dot", np.zeros(len(placed), dtype=int))
    base = slab.copy()
    base.set_array("dot", np.full(len(base), -1))
    cell = slab.cell.array.copy()
    cell[2] = (0.0, 0.0, placed.positions[:, 2].max() - heights.min() + vacuum)
    base.positions[:, 2] -= heights.min()
    placed.positions[:, 2] -= heights.min()
    atoms = joined([placed], base, cell=cell)
    mark_interface(atoms, depth=interface_depth)
    separation = float(placed.positions[:, 2].min() - base.positions[:, 2].max())
    content = report(
        atoms, volume_fraction=None, changes=changes, seed=seed, role="embedded", mode="attached",
        facet=list(facet), twist_degree=twist,
        registry=registry if isinstance(registry, str) else list(registry), gap_angstrom=separation,
        rotation=turn.tolist(), interface_depth_angstrom=interface_depth,
    )  # fmt: skip
    return Embedded(atoms, content)


def bury_dots(
    dot: Crystal,
    matrix: Crystal,
    *,
    cells: Sequence[int],
    overgrown: int,
    form: DotForm,
    array: tuple[int, int] = (1, 1),
    lattice: float | None = None,
    balance: Balance = Balance(),
    occupation: Occupation = Occupation(),
    vacuum: float = 20.0,
) -> Embedded:
    """A layer of coherent dots that stand on a slab of ``cells`` parent cells, under ``overgrown`` cells of the matrix.

    Parameters
    ----------
    dot, matrix
        Crystals of both; the dots take the lattice of the matrix.
    cells, overgrown
        Parent cells of the slab, and how many more grow over it along z.
    form
        Shape, size and centre of each dot.
    array
        Dots along x and y.
    lattice
        Lattice constant of the matrix in Å; default its own.
    balance
        What makes the whole neutral.
    occupation
        How the sites are filled.
    vacuum
        Å above the overgrown layer.

    Raises
    ------
    UsageError
        If the overgrown layer does not cover the dots.
    """
    x, y, z = check_cells(cells)
    if overgrown < 1 or min(array) < 1:
        raise UsageError(f"{overgrown} overgrown cells and {array} dots; expected whole numbers above zero")
    constant = matrix.a_angstrom if lattice is None else lattice
    half = float(form.body.extent[2])
    if 2 * half + constant > overgrown * constant:
        raise UsageError(
            f"dots of {2 * half:.2f} Å are not covered by {overgrown} cells of {constant:.3f} Å; "
            f"at least {math.ceil(2 * half / constant) + 1} are needed"
        )
    height = (z * constant + half) / ((z + overgrown) * constant)
    places = [((i + 0.5) / array[0], (j + 0.5) / array[1], height) for i in range(array[0]) for j in range(array[1])]
    built = embed_dot(
        dot, matrix, form=form, cells=(x, y, z + overgrown), lattice=lattice,
        placement=DotPlacement("coherent", positions=places), balance=balance, occupation=occupation,
    )  # fmt: skip
    if not (math.isfinite(vacuum) and vacuum > 0):
        raise UsageError(f"the vacuum is {vacuum:g} Å; expected a finite length above zero")
    atoms = built.atoms.copy()
    cell = atoms.cell.array.copy()
    cell[2, 2] += vacuum
    atoms.set_cell(cell)
    kept = {key: value for key, value in built.report.items() if key not in report(atoms)}
    content = report(
        atoms, volume_fraction=built.report["volume_fraction"], changes=built.report["changes"],
        seed=occupation.seed,
        **{**kept, "mode": "buried", "overgrown_cells": overgrown},
    )  # fmt: skip
    return Embedded(atoms, content)


def _facet_down(facet: Sequence[int]) -> Array:
    """Rotation that turns the cubic direction ``facet`` towards −z; the identity for (100) and its equals."""
    normal = np.asarray(facet, dtype=float)
    if normal.shape != (3,) or not np.any(normal):
        raise UsageError(f"the facet is {tuple(facet)}; expected three indices that are not all zero")
    normal = np.sort(np.abs(normal))
    normal = -normal / np.linalg.norm(normal)
    down = np.array([0.0, 0.0, -1.0])
    axis = np.cross(normal, down)
    if np.linalg.norm(axis) < 1e-9:
        return np.eye(3)
    return about(axis.tolist(), degrees=math.degrees(math.acos(float(np.clip(normal @ down, -1.0, 1.0)))))


def _square(metals: Array, *, cell: Array) -> Array:
    """Rotation about z whose columns are the edges of the slab's metal square."""
    flat = metals * np.array([1.0, 1.0, 0.0])
    lateral = np.array([[*cell[0, :2], 0.0], [*cell[1, :2], 0.0], [0.0, 0.0, 1000.0]])
    area = abs(float(np.linalg.det(lateral[:2, :2])))
    return parent_axes(flat, cell=lateral, length=math.sqrt(area / len(metals)))


def _spot(slab: Atoms, *, metals: Array, registry: str | tuple[float, float], axes: Array, metal_foot: bool) -> Array:
    """Lateral point (2,) Å near the middle of the cell over which the dot's foot stands."""
    middle = (slab.cell.array[0] + slab.cell.array[1])[:2] / 2.0
    points = slab.positions

    def central(index: Array) -> Array:
        away = np.round(np.linalg.norm(points[index, :2] - middle, axis=1), 4)
        return points[index[np.lexsort((*np.round(points[index, :2], 4).T, away))[0]], :2]

    metal = central(metals)
    edge = math.sqrt(abs(float(np.linalg.det(slab.cell.array[:2, :2]))) / len(metals))
    if isinstance(registry, tuple):
        return metal + axes[:2, :2] @ np.array(registry) * edge
    if registry not in REGISTRIES:
        raise UsageError(f"unknown registry '{registry}'; known: {', '.join(REGISTRIES)}, or two fractions")
    over_metal = registry == ("metal" if metal_foot else "continuation")
    shift = (0.5, 0.5) if registry == "hollow" else (0.0, 0.0) if over_metal else (0.5, 0.0)
    return metal + axes[:2, :2] @ np.array(shift) * edge


def _check_lateral(dot: Atoms, *, cell: Array) -> None:
    room = 4.0
    for axis in range(2):
        other = cell[1 - axis, :2]
        normal = np.array([other[1], -other[0]]) / np.linalg.norm(other)
        width = float(np.ptp(dot.positions[:, :2] @ normal))
        length = abs(float(cell[axis, :2] @ normal))
        if width + room > length:
            raise UsageError(
                f"the dot is {width:.2f} Å wide but the slab's cell has {length:.2f} Å there and {room:g} Å must stay "
                "free between images; make the dot smaller or the slab wider"
            )


def _touching(dot: Atoms, *, slab: Atoms) -> float:
    """Shift along z at which the first ions of dot and slab touch, Å."""
    upper = np.flatnonzero(slab.positions[:, 2] > slab.positions[:, 2].max() - 8.0)
    lower = np.flatnonzero(dot.positions[:, 2] < dot.positions[:, 2].min() + 8.0)
    steps = (
        np.stack(np.meshgrid((-1, 0, 1), (-1, 0, 1), indexing="ij"), axis=-1).reshape(-1, 2) @ slab.cell.array[:2, :2]
    )
    best = -np.inf
    for index in lower:
        point = dot.positions[index]
        flat = slab.positions[upper, :2] - point[:2]
        square = ((flat[:, None] + steps) ** 2).sum(axis=2).min(axis=1)
        limits = np.array([_touch(dot.numbers[index], z) for z in slab.numbers[upper]])
        near = square < limits**2
        if near.any():
            rise = slab.positions[upper[near], 2] + np.sqrt(limits[near] ** 2 - square[near]) - point[2]
            best = max(best, float(rise.max()))
    return best


def _touch(one: int, other: int) -> float:
    names = chemical_symbols[one], chemical_symbols[other]
    charges = [0 if name in ("H", "C", "N") else FORMAL_CHARGES[name] for name in names]
    if charges[0] * charges[1] < 0:
        return TOUCH * (CONTACT_RADII_ANGSTROM[names[0]] + CONTACT_RADII_ANGSTROM[names[1]])
    return contact_limit(*names)
