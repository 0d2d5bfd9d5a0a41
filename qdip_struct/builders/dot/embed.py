"""A dot in a matrix supercell: *coherent*, both decorating one parent lattice, or *cut and inserted* at any angle.

The dot that goes into a matrix, before it has a place: cut from its crystal for that matrix, or given as atoms.

Making room for a dot: which sites of the matrix leave, so that no pair is too close and no molecule is split.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Occupation, given_charges
from qdip_struct.builders.atoms.neighbours import nearest_neighbour
from qdip_struct.builders.atoms.orientation import permutes_axes, proper_rotation
from qdip_struct.builders.atoms.regions import (
    INTERFACE_DEPTH,
    formal_charge_of,
    label,
    mark_interface,
    report,
    too_close,
)
from qdip_struct.builders.dot.dot import DotSites, cut_dot, dot_atoms, initial_strain
from qdip_struct.builders.dot.embedding_options import (
    Balance,
    DotArrangement,
    DotForm,
    DotPlacement,
    centres_of,
    spacings,
)
from qdip_struct.builders.dot.matrix import MatrixCell, centre_in, check_cells, matrix_of
from qdip_struct.builders.dot.neutrality import neutralise
from qdip_struct.builders.dot.parent import CENTERS, TERMINATIONS, inside, on_parent_lattice
from qdip_struct.builders.parsing import Center, Termination
from qdip_struct.materials.crystals import Crystal, apart_in_temperature, cell_facts, scaled, site_facts
from qdip_struct.materials.ions import name_of_ions
from qdip_struct.materials.structure_files import as_crystal

DOTS_APART = 4.0
"""Atoms of different dots must be farther apart than this (Å)."""
_MISFIT = 0.15
_LARGEST_CELL = 400


def continues_parent(dot: DotSites, *, matrix: MatrixCell, rotation: Array) -> bool:
    """Whether dot and matrix count the same parent lattice: both on it, axes along axes, centre on an equal point."""
    if not (matrix.on_parent and dot.on_parent and permutes_axes(rotation)):
        return False
    centre = np.array(CENTERS[dot.center])
    turned = (rotation @ centre - centre) / 2.0
    ratio = matrix.lattice / dot.crystal.a_angstrom
    return bool(np.allclose(turned, np.rint(turned), atol=1e-6) and abs(ratio - 1.0) < _MISFIT)


def cavity_on_parent(dot: DotSites, *, matrix: MatrixCell, centre: Array, rotation: Array) -> Array:
    """Sites of the matrix that the dot replaces one for one on the parent lattice, bool (n_sites,).

    The cavity takes as many parent cells as the dot; a dot with another lattice constant leaves a gap or must be
    given room by :func:`crowded`.

    Parameters
    ----------
    dot
        The cut dot.
    matrix
        The matrix, on the parent lattice.
    centre
        Centre of the dot in the box, (3,) Å.
    rotation
        Rotation (3, 3) of the dot, one that carries the parent lattice onto itself.
    """
    counts = tuple(np.rint(np.diag(matrix.cell) / matrix.lattice).astype(int).tolist())
    mask = inside(
        dot.outer.scaled(matrix.lattice / dot.crystal.a_angstrom), cells=counts, lattice=matrix.lattice,
        centre=centre * 2.0 / matrix.lattice, termination=dot.termination, rotation=rotation,
    )  # fmt: skip
    index = np.rint(matrix.sites.positions * 2.0 / matrix.lattice).astype(int) % np.array(mask.shape)
    return mask[tuple(index.T)]


def relative_to(points: Array, *, centre: Array, cell: Array) -> Array:
    """Vectors (n, 3) Å from ``centre`` to the images of ``points`` nearest in fractional coordinates."""
    fractional = (points - centre) @ np.linalg.inv(cell)
    return (fractional - np.round(fractional - 1e-9)) @ cell


def cavity_by_hull(dot: Atoms, *, matrix: MatrixCell, centre: Array) -> Array:
    """Sites of the matrix inside the convex hull of the dot's atoms (``dot``, already in the box), bool (n_sites,)."""
    from scipy.spatial import ConvexHull, QhullError

    taken = np.zeros(len(matrix.sites), dtype=bool)
    away = dot.positions - centre
    if len(dot) < 5:
        return taken
    try:
        equations = ConvexHull(away).equations
    except QhullError:
        return taken
    vectors = relative_to(matrix.sites.positions, centre=centre, cell=matrix.cell)
    near = np.flatnonzero(np.einsum("ij,ij->i", vectors, vectors) <= np.square(away).sum(axis=1).max())
    within = np.ones(len(near), dtype=bool)
    for *normal, offset in np.unique(np.round(equations, 6), axis=0).tolist():
        within[within] = vectors[near[within]] @ np.array(normal) + offset <= 1e-6
    taken[near[within]] = True
    return taken


def crowded(dot: Atoms, *, matrix: MatrixCell, centre: Array, among: Array) -> Array:
    """Sites of the matrix, of those in ``among``, with an atom too close to one of the dot, bool (n_sites,).

    Parameters
    ----------
    dot
        Atoms of the dot where they stand in the box.
    matrix
        The matrix.
    centre
        Centre of the dot, (3,) Å; only sites near it are looked at.
    among
        Sites that are still there, bool (n_sites,).
    """
    result = np.zeros(len(matrix.sites), dtype=bool)
    atoms = np.flatnonzero(among[matrix.site_of_atom])
    vectors = relative_to(matrix.atoms.positions[atoms], centre=centre, cell=matrix.cell)
    reach = np.sqrt(np.square(dot.positions - centre).sum(axis=1).max()) + 5.0
    atoms = atoms[np.einsum("ij,ij->i", vectors, vectors) <= reach * reach]
    near = too_close(
        matrix.atoms.positions[atoms], numbers=matrix.atoms.numbers[atoms], targets=dot.positions,
        target_numbers=dot.numbers, cell=matrix.cell, pbc=np.ones(3, dtype=bool),
    )  # fmt: skip
    result[matrix.site_of_atom[atoms[near]]] = True
    return result


def check_room(dot: Atoms, *, cell: Array, turn: Array, margin: float) -> None:
    """Refuse a dot that does not leave ``margin`` Å of matrix on each side.

    Parameters
    ----------
    dot
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
    points = dot.positions @ turn.T
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


def check_apart(dots: list[Atoms], *, cell: Array) -> None:
    """Raise :class:`UsageError` for dots whose atoms touch; ``cell`` is the box, row vectors (3, 3) Å."""
    for number, dot in enumerate(dots[1:], start=1):
        others = np.concatenate([other.positions for other in dots[:number]])
        near, _ = nearest_neighbour(
            dot.positions, targets=others, cell=cell, pbc=np.ones(3, dtype=bool), cutoff=DOTS_APART
        )
        if np.isfinite(near).any():
            raise UsageError(
                f"two dots come within {near.min():.2f} Å of each other; give a larger box, fewer or smaller dots"
            )


@dataclass(frozen=True, eq=False)
class PlacedDot:
    """A dot around the origin.

    Attributes
    ----------
    atoms
        Its atoms in the frame of its crystal, with the arrays of :mod:`qdip_struct.builders.atoms.regions`.
    sites
        What was cut; ``None`` for a dot given as atoms.
    center
        Which point of the matrix it wants in its centre.
    volume
        Å³: of its formula units, or for a dot given as atoms of their convex hull.
    """

    atoms: Atoms
    sites: DotSites | None
    center: Center
    volume: float

    @property
    def diameter(self) -> float:
        """Diameter of the sphere of equal volume, Å."""
        return float((6.0 / math.pi * self.volume) ** (1.0 / 3.0))

    @property
    def n_formula_units(self) -> float:
        """Formula units, ligands left out; of a dot given as atoms those of a binary, half the number of its ions."""
        if self.sites is not None:
            return self.sites.n_units
        outside = np.count_nonzero(self.atoms.get_array("region") == "ligand")
        return (len(self.atoms) - outside) / 2

    @property
    def lattice(self) -> float | None:
        """Lattice constant of its crystal as used, Å; ``None`` for a dot given as atoms."""
        return None if self.sites is None else self.sites.crystal.a_angstrom

    @property
    def temperature(self) -> float | None:
        """Temperature of that lattice constant, K."""
        return None if self.sites is None else self.sites.crystal.temperature_kelvin

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be said of that lattice constant."""
        return () if self.sites is None else self.sites.crystal.warnings

    @property
    def source(self) -> str:
        """Where its lattice constant is from."""
        return source_of(self.atoms if self.sites is None else self.sites.crystal)

    def on_parent_of(self, matrix: MatrixCell, *, turn: Array) -> bool:
        """Whether it continues the parent lattice of ``matrix`` when turned by ``turn`` (3, 3)."""
        return self.sites is not None and continues_parent(self.sites, matrix=matrix, rotation=turn)


def placed_dot(
    dot: Crystal | Atoms, *, matrix: MatrixCell, form: DotForm, placement: DotPlacement, turn: Array, seed: int
) -> PlacedDot:
    """Cut the dot for its matrix, or take it as it is given.

    Parameters
    ----------
    dot
        Crystal, ordered or mixed, to cut from, or a finished dot.
    matrix
        The matrix; its lattice constant is taken over where both share the parent lattice and are not cut apart.
    form
        Shape, size, centre, border and shell.
    placement
        Lattice and mode that were asked for.
    turn
        Rotation (3, 3) the dot will have in the box.
    seed
        Of mixed sites.

    Raises
    ------
    UsageError
        If the dot cannot be cut as asked for, or the atoms given have no volume.
    """
    if isinstance(dot, Atoms):
        atoms = _centred(dot)
        return PlacedDot(atoms, None, "metal" if form.center == "auto" else form.center, _hull_volume(atoms))
    core = dot
    shared = matrix.on_parent and on_parent_lattice(core) and permutes_axes(turn)
    if placement.dot_lattice is not None or (shared and placement.mode != "insert"):
        at = "" if core.temperature_kelvin is None else f" at {core.temperature_kelvin:g} K"
        shared_source = f"that of the matrix; its own is {core.a_angstrom:.4f} Å{at}, {core.source}"
        core = (
            scaled(core, lattice=matrix.lattice, source=shared_source)
            if placement.dot_lattice is None
            else scaled(core, lattice=placement.dot_lattice)
        )
    natural: Termination = "BX2" if _takes_bx2(core, matrix=matrix) else "site"
    sites = cut_dot(core, form=replace(form, termination=form.termination or natural), seed=seed)
    return PlacedDot(dot_atoms(sites), sites, sites.center, sites.volume)


def source_of(material: Crystal | Atoms) -> str:
    """Where a lattice constant is from: the source of the crystal, or the structure that was given."""
    return "given structure" if isinstance(material, Atoms) else material.source


def _hull_volume(atoms: Atoms) -> float:
    """Volume of the convex hull, Å³."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return float(ConvexHull(atoms.positions).volume)
    except QhullError as error:
        raise UsageError(
            f"the dot given has no volume: its {len(atoms)} atoms are fewer than four or lie in one plane; give a dot "
            "that extends in three directions"
        ) from error


def _takes_bx2(core: Crystal, *, matrix: MatrixCell) -> bool:
    return on_parent_lattice(core) and core.structure_type == "rocksalt" and "A" in matrix.sites.sublattice


def _centred(dot: Atoms) -> Atoms:
    """A copy of a finished dot, the mean of its positions at the origin, with all arrays; its molecules are whole."""
    copy = Atoms(numbers=dot.numbers, positions=dot.positions, cell=dot.cell, pbc=dot.pbc)
    for name in ("molecule", "formal_charge"):
        if dot.has(name):
            copy.set_array(name, np.rint(dot.get_array(name)).astype(int))
    label(copy, region="dot", phase=name_of_ions(dot.get_chemical_symbols()), charges=given_charges(dot))
    for name in ("region", "phase"):
        if dot.has(name):
            given = dot.get_array(name)
            copy.set_array(name, given.astype("U9") if name == "region" else given)
    copy.set_cell(None)
    copy.pbc = False
    copy.positions -= copy.positions.mean(axis=0)
    return copy


@dataclass(frozen=True, eq=False)
class Embedded:
    """A dot in its matrix.

    Attributes
    ----------
    atoms
        Periodic structure with the arrays of :mod:`qdip_struct.builders.atoms.regions`; the dots' atoms come first.
    report
        What was built: the keys of :func:`qdip_struct.builders.atoms.regions.report` and how it was made.
    """

    atoms: Atoms
    report: dict[str, Any]


def embed_dot(
    dot: Crystal | Atoms,
    matrix: Crystal | Atoms,
    *,
    form: DotForm = DotForm(),
    cells: Sequence[int] = (8, 8, 8),
    lattice: float | None = None,
    placement: DotPlacement = DotPlacement(),
    balance: Balance = Balance(),
    occupation: Occupation = Occupation(),
    interface_depth: float = INTERFACE_DEPTH,
    dataset: str | None = None,
    files: Sequence[Path] = (),
) -> Embedded:
    """Put one or more equal dots into a matrix supercell.

    Parameters
    ----------
    dot
        Crystal, ordered or mixed, to cut the dot from, or a finished dot as ``ase.Atoms`` (for example relaxed in
        vacuum).
    matrix
        Crystal, ordered or mixed, or a periodic structure to repeat.
    form
        Shape, size, centre, border and shell of the dot.
    cells
        Conventional cells of the matrix along its vectors.
    lattice
        (Pseudo-)cubic lattice constant of the matrix in Å; default its own.
    placement
        Lattice, orientation and places of the dots.
    balance
        What makes the whole neutral.
    occupation
        How the sites of the matrix are filled; the seed also decides the rest that is left open.
    interface_depth
        Å; see :func:`mark_interface`.
    dataset, files
        Data set and user's files of the lattice constant of a shell by itself, for the report.

    Raises
    ------
    UsageError
        If a parameter is not possible, a dot does not fit, or the structure cannot be made neutral.

    Examples
    --------
    >>> from qdip_struct.materials.datasets import get_crystal
    >>> dot, matrix = get_crystal("PbS"), get_crystal("CsPbI3:cubic")
    >>> built = embed_dot(dot, matrix, form=DotForm("cube", diameter=18.0), cells=(5, 5, 5))
    >>> len(built.atoms), built.report["mode"], built.report["formal_charge"]["total"]
    (679, 'coherent', 0)
    """
    counts, seed = check_cells(cells), occupation.seed
    body = form.body
    if lattice is not None:
        if isinstance(matrix, Atoms):
            raise UsageError("a matrix given as a structure keeps its cell; leave the lattice constant out")
        matrix = scaled(matrix, lattice=lattice)
    supercell = matrix_of(matrix, cells=counts, occupation=occupation)
    coherent = _is_coherent(dot, matrix=supercell, placement=placement)
    turn = np.eye(3) if placement.rotate is None else proper_rotation(placement.rotate)
    turn = turn if placement.absolute else supercell.axes @ turn
    placed = placed_dot(dot, matrix=supercell, form=form, placement=placement, turn=turn, seed=seed)
    check_room(placed.atoms, cell=supercell.cell, turn=turn, margin=supercell.lattice)
    centres = _centres(placed, matrix=supercell, placement=placement, seed=seed)
    shared = placed.on_parent_of(supercell, turn=turn)
    dots, gone = _placed(placed, matrix=supercell, centres=centres, turn=turn, shared=shared, coherent=coherent)
    check_apart(dots, cell=supercell.cell)
    atoms = joined(dots, supercell.atoms[~gone[supercell.site_of_atom]], cell=supercell.cell)
    atoms, changes, balanced = _balanced(
        atoms, balance=balance, centres=centres, facets=body.facets @ turn.T, seed=seed
    )
    mark_interface(atoms, depth=interface_depth)
    temperatures = {"dot": placed.temperature, "matrix": getattr(matrix, "temperature_kelvin", None)}
    content = report(
        atoms,
        volume_fraction=placed.volume * len(centres) / abs(float(np.linalg.det(supercell.cell))),
        changes=changes,
        seed=seed,
        role="embedded",
        mode="coherent" if coherent else "insert",
        shape="given" if placed.sites is None else body.name,
        center=placed.center,
        termination=_termination(placed, shared=shared),
        **balanced,
        **_strained(placed, dot, dataset=dataset, files=files),
        rotation=turn.tolist(),
        lattice_angstrom={"dot": placed.lattice, "matrix": supercell.lattice},
        **cell_facts(
            {
                **({} if placed.sites is None else {"dot": _edges(placed.sites.crystal)}),
                "matrix": _edges(matrix),
            }
        ),
        **site_facts(
            {
                **({} if placed.sites is None else {"dot": placed.sites.crystal}),
                **_small_crystal(matrix),
            }
        ),
        lattice_source={"dot": placed.source, "matrix": source_of(matrix)},
        temperature_kelvin=temperatures,
        lattice_warnings=list(
            dict.fromkeys((*placed.warnings, *getattr(matrix, "warnings", ()), *apart_in_temperature(temperatures)))
        ),
        n_dots=len(centres),
        dot_centers_angstrom=np.round(centres, 6).tolist(),
        n_formula_units_dot=placed.n_formula_units,
        equivalent_diameter_angstrom=placed.diameter,
        spacing_angstrom=spacings(centres, cell=supercell.cell, diameter=placed.diameter),
        extent_angstrom=np.ptp(placed.atoms.positions, axis=0).tolist(),
        interface_depth_angstrom=interface_depth,
    )
    return Embedded(atoms, content)


def _small_crystal(matrix: Crystal | Atoms) -> dict[str, Crystal]:
    """The matrix as a crystal, where it is one: a supercell of many atoms is not looked at."""
    if isinstance(matrix, Atoms) and len(matrix) > _LARGEST_CELL:
        return {}
    return {"matrix": as_crystal(matrix, path=Path(source_of(matrix)))}


def _edges(body: Crystal | Atoms) -> tuple[Sequence[float], Sequence[float]]:
    """Edges (Å) and angles (degree) of a crystal's cell, or of the cell of a structure."""
    if isinstance(body, Crystal):
        return body.lengths, body.angles
    return body.cell.lengths().tolist(), body.cell.angles().tolist()


def _strained(placed: PlacedDot, dot: Crystal | Atoms, *, dataset: str | None, files: Sequence[Path]) -> dict[str, Any]:
    """What a dot that was cut, and its shell, are strained by as built; nothing for a finished dot."""
    if placed.sites is None or not isinstance(dot, Crystal):
        return {}
    return initial_strain(
        placed.sites, own=dot.a_angstrom, dataset=dataset, temperature=dot.temperature_kelvin, files=files
    )


def _is_coherent(dot: Crystal | Atoms, *, matrix: MatrixCell, placement: DotPlacement) -> bool:
    """Decide between coherent and insert, and refuse a coherent build that is not possible."""
    mode, asked = placement.mode, placement.rotate is not None or placement.dot_lattice is not None
    shared = (
        isinstance(dot, Crystal) and matrix.on_parent and on_parent_lattice(dot)
        and (dot.structure_type == "rocksalt" or "A" in matrix.sites.sublattice)
    )  # fmt: skip
    if mode == "coherent" and not shared:
        raise UsageError(
            "a coherent build needs a rock salt dot in rock salt or a cubic perovskite, or such a perovskite in one; "
            "use mode insert"
        )
    if mode == "coherent" and asked:
        raise UsageError("a coherent dot has the lattice and orientation of the matrix; a rotation needs mode insert")
    return shared and not asked and mode != "insert"


def _centres(dot: PlacedDot, *, matrix: MatrixCell, placement: DotPlacement, seed: int) -> Array:
    """Centre of each dot (k, 3) Å: the point of the matrix that the dot asks for, nearest to each place given."""
    if isinstance(placement.positions, DotArrangement):
        around = 2.0 * float(np.linalg.norm(dot.atoms.positions, axis=1).max()) + matrix.lattice
        fractions = centres_of(placement.positions, cell=matrix.cell, diameter=around, volume=dot.volume, seed=seed)
    else:
        fractions = np.array(placement.positions, dtype=float).reshape(-1, 3)
    return np.array([centre_in(matrix, center=dot.center, fraction=point) for point in fractions])


def _placed(
    dot: PlacedDot, *, matrix: MatrixCell, centres: Array, turn: Array, shared: bool, coherent: bool
) -> tuple[list[Atoms], Array]:
    """The dot at each centre, numbered, and which sites of the matrix make room for them, bool (n_sites,)."""
    gone = np.zeros(len(matrix.sites), dtype=bool)
    dots: list[Atoms] = []
    for number, centre in enumerate(centres):
        placed = dot.atoms.copy()
        placed.positions = dot.atoms.positions @ turn.T + centre
        placed.set_array("dot", np.full(len(placed), number))
        if dot.sites is not None and shared:
            gone |= cavity_on_parent(dot.sites, matrix=matrix, centre=centre, rotation=turn)
        else:
            gone |= cavity_by_hull(placed, matrix=matrix, centre=centre)
        if not coherent:
            gone |= crowded(placed, matrix=matrix, centre=centre, among=~gone)
        dots.append(placed)
    return dots, gone


def _balanced(
    atoms: Atoms, *, balance: Balance, centres: Array, facets: Array, seed: int
) -> tuple[Atoms, list[dict[str, Any]], dict[str, Any]]:
    """The structure as ``balance`` wants it, what was changed, and the entries of the report about it."""
    before = formal_charge_of(atoms)["total"]
    changes: list[dict[str, Any]] = []
    proposed: list[dict[str, Any]] = []
    if balance.neutral != "off":
        neutral, found = neutralise(atoms, centres=centres, facets=facets, rule=balance.rule, seed=seed)
        if balance.neutral == "strict":
            atoms, changes = neutral, found
        else:
            proposed = found
    facts = {
        "neutral": balance.neutral,
        "proposed_changes": proposed,
        "rule": balance.rule,
        "charge_before_changes": before,
    }
    return atoms, changes, facts


def _termination(dot: PlacedDot, *, shared: bool) -> dict[str, str] | None:
    """Name of the border rule and what it means for this dot in this matrix; none for a finished dot."""
    if dot.sites is None:
        return None
    name = dot.sites.termination
    if shared:
        return {"name": name, "meaning": TERMINATIONS[name]}
    free = "dot and matrix share no parent lattice here: the dot is cut by this rule, the matrix ends where ions touch"
    return {"name": name, "meaning": free}


def joined(dots: list[Atoms], matrix: Atoms, *, cell: Array) -> Atoms:
    """Dots, then matrix, in the matrix's cell; molecules keep different numbers."""
    parts, offset = [*dots, matrix], 0
    for part in parts:
        molecule = part.get_array("molecule")
        part.set_array("molecule", np.where(molecule >= 0, molecule + offset, -1))
        offset = max(offset, part.get_array("molecule").max(initial=-1) + 1)
    numbers, positions = (np.concatenate([part.arrays[name] for part in parts]) for name in ("numbers", "positions"))
    merged = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True)
    for name in ("region", "phase", "formal_charge", "molecule", "dot"):
        merged.set_array(name, np.concatenate([part.get_array(name) for part in parts]))
    return merged
