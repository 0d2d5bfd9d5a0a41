"""A dot in a matrix supercell: *coherent*, both decorating one parent lattice, or *cut and inserted* at any angle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.build.cells import SiteCell, sites_of_crystal, to_atoms, with_a_site
from qdip_struct.build.molecules import library
from qdip_struct.build.neighbours import nearest
from qdip_struct.build.neutrality import Neutral, Rule, neutralise
from qdip_struct.build.parent import CENTERS, TERMINATIONS, Termination, check_room, inside, on_parent_lattice
from qdip_struct.build.regions import report
from qdip_struct.build.shapes import Shape, make_shape
from qdip_struct.errors import UsageError
from qdip_struct.materials.crystals import Crystal, scaled

Array = NDArray[Any]
Center = Literal["metal", "anion", "bond", "void"]
INTERFACE_DEPTH = 3.5
"""Atoms with an atom of the other side within this distance (Å) are labelled ``interface``."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """A dot in its matrix.

    Parameters
    ----------
    atoms
        Periodic structure with the arrays of :mod:`qdip_struct.build.regions`; the dot's atoms come first.
    report
        What was built: the keys of :func:`qdip_struct.build.regions.report` and how it was made.
    """

    atoms: Atoms
    report: dict[str, Any]


def check_cells(cells: Sequence[int]) -> tuple[int, int, int]:
    """Three whole numbers of cells above zero, else :class:`UsageError`."""
    if len(cells) != 3 or any(isinstance(n, bool) or int(n) != n or n < 1 for n in cells):
        raise UsageError(f"cells is {tuple(cells)}; expected three whole numbers above zero, for example 8,8,8")
    x, y, z = (int(n) for n in cells)
    return x, y, z


def supercell(sites: SiteCell, *, cells: tuple[int, int, int]) -> SiteCell:
    """``cells`` repeats of a cell along its vectors, cell by cell."""
    steps = np.stack(np.meshgrid(*(np.arange(n) for n in cells), indexing="ij"), axis=-1).reshape(-1, 3)
    n = len(sites)
    positions = (sites.positions[None] + (steps @ sites.cell)[:, None]).reshape(-1, 3)
    index = np.tile(np.arange(n), len(steps))
    return sites.take(index, positions=positions, cell=sites.cell * np.array(cells)[:, None])


def atoms_per_site(sites: SiteCell) -> Array:
    """Number of atoms on each site: 1 for an ion, that of the molecule for a molecular ion, (n,)."""
    counts = np.ones(len(sites), dtype=int)
    for name in ("MA", "FA"):
        counts[sites.species == name] = len(library(name).symbols)
    for number, unit in enumerate(sites.templates):
        counts[sites.template == number] = len(unit.symbols)
    return counts


def mark_interface(atoms: Atoms, *, depth: float = INTERFACE_DEPTH) -> Atoms:
    """Label ``interface`` all atoms of dot or matrix with an atom of the other side within ``depth`` Å; in place.

    A molecule belongs to the interface when one of its atoms does.
    """
    owner, region = atoms.get_array("dot"), atoms.get_array("region")
    molecule = atoms.get_array("molecule")
    cell, pbc = atoms.cell.array, atoms.pbc
    here, there = np.flatnonzero(owner >= 0), np.flatnonzero(owner < 0)
    for mine, others in ((here, there), (there, here)):
        distance, _ = nearest(atoms.positions[mine], targets=atoms.positions[others], cell=cell, pbc=pbc, cutoff=depth)
        region[mine[np.isfinite(distance)]] = "interface"
    touched = np.unique(molecule[(region == "interface") & (molecule >= 0)])
    region[np.isin(molecule, touched)] = "interface"
    atoms.set_array("region", region)
    return atoms


def embed_dot(
    dot: Crystal,
    matrix: Crystal,
    *,
    shape: str | Shape = "sphere",
    diameter: float = 30.0,
    cells: Sequence[int] = (8, 8, 8),
    lattice: float | None = None,
    center: Center = "metal",
    termination: Termination = "BX2",
    neutral: Neutral = "strict",
    rule: Rule = "swap",
    a_site: str = "Cs",
    seed: int = 0,
    interface_depth: float = INTERFACE_DEPTH,
) -> Embedded:
    """Put one dot into the middle of a matrix supercell.

    Parameters
    ----------
    dot, matrix
        Crystals on the common parent lattice: rock salt in rock salt or in a cubic perovskite.
    shape, diameter
        Shape, or the name of one and its diameter in Å (see :func:`qdip_struct.build.shapes.make_shape`).
    cells
        Parent cells of the box along x, y, z.
    lattice
        Lattice constant in Å of the parent lattice, taken by both; default that of the matrix.
    center, termination
        See :data:`qdip_struct.build.parent.CENTERS` and :data:`~qdip_struct.build.parent.TERMINATIONS`.
    neutral, rule, seed
        See :func:`qdip_struct.build.neutrality.neutralise`.
    a_site
        One-atom ion in the place of molecular ions, or ``molecule`` to keep them whole.
    interface_depth
        Å; see :func:`mark_interface`.

    Raises
    ------
    UsageError
        If a parameter is not possible, the dot does not fit, or the structure cannot be made neutral.
    """
    counts = check_cells(cells)
    if center not in CENTERS:
        raise UsageError(f"unknown center '{center}'; known: {', '.join(CENTERS)}")
    if termination not in TERMINATIONS:
        raise UsageError(f"unknown termination '{termination}'; known: {', '.join(TERMINATIONS)}")
    for crystal in (dot, matrix):
        if not on_parent_lattice(crystal):
            raise UsageError(f"{crystal.name} ({crystal.phase}) is neither rock salt nor a cubic perovskite")
    body = make_shape(shape, diameter=diameter) if isinstance(shape, str) else shape
    constant = float(matrix.a_angstrom if lattice is None else lattice)
    parent = scaled(matrix, lattice=constant)
    lengths = constant * np.array(counts)
    check_room(body, lengths=lengths, margin=constant)
    centre = 2 * (np.array(counts) // 2) + np.array(CENTERS[center])
    mask = inside(body, cells=counts, lattice=constant, centre=centre, termination=termination)

    host = supercell(with_a_site(sites_of_crystal(parent), a_site=a_site), cells=counts)
    guest = supercell(sites_of_crystal(scaled(dot, lattice=constant)), cells=counts)
    taken = _of_grid(mask, positions=guest.positions, lattice=constant)
    kept = ~_of_grid(mask, positions=host.positions, lattice=constant)
    if not taken.any():
        raise UsageError(f"a {body.name} of this size holds no site of {dot.name}; give a larger one")
    atoms = _joined(to_atoms(guest.take(np.flatnonzero(taken)), region="dot", phase=dot.name),
                    to_atoms(host, region="matrix", phase=matrix.name)[np.repeat(kept, atoms_per_site(host))],
                    cell=host.cell)  # fmt: skip
    middle = centre * constant / 2
    n_units = int(taken.sum()) / 2
    atoms, changes = neutralise(atoms, centres=middle[None], facets=body.facets, neutral=neutral, rule=rule, seed=seed)
    mark_interface(atoms, depth=interface_depth)
    content = report(
        atoms,
        volume_fraction=n_units * (constant**3 / 4) / math.prod(lengths.tolist()),
        changes=changes,
        seed=seed,
        mode="coherent",
        shape=body.name,
        center=center,
        termination={"name": termination, "meaning": TERMINATIONS[termination]},
        neutral=neutral,
        rule=rule,
        lattice_angstrom={"dot": constant, "matrix": constant},
        n_formula_units_dot=n_units,
        equivalent_diameter_angstrom=(6.0 / math.pi * n_units * constant**3 / 4) ** (1.0 / 3.0),
        interface_depth_angstrom=interface_depth,
    )
    return Embedded(atoms, content)


def _of_grid(mask: Array, *, positions: Array, lattice: float) -> Array:
    """The value of ``mask`` at each of ``positions`` (n, 3) Å."""
    index = np.rint(positions * 2.0 / lattice).astype(int) % np.array(mask.shape)
    return mask[tuple(index.T)]


def _joined(guest: Atoms, host: Atoms, *, cell: Array) -> Atoms:
    """Dot, then matrix, in the matrix's cell, with the array ``dot``; molecules keep different numbers."""
    guest.set_array("dot", np.zeros(len(guest), dtype=int))
    host.set_array("dot", np.full(len(host), -1))
    molecule = host.get_array("molecule")
    offset = guest.get_array("molecule").max(initial=-1) + 1
    host.set_array("molecule", np.where(molecule >= 0, molecule + offset, -1))
    # ASE keeps the text width of the first part, which would cut a longer phase name of the second.
    phases = guest.arrays["phase"], host.arrays["phase"]
    guest.arrays["phase"] = phases[0].astype(np.result_type(*phases))
    merged = guest + host
    merged.set_cell(cell)
    merged.pbc = True
    return merged
