"""A dot in a matrix supercell: *coherent*, both decorating one parent lattice, or *cut and inserted* at any angle.

The dot that goes into a matrix, before it has a place: cut from its crystal for that matrix, or given as atoms.

Making room for a dot: which sites of the matrix leave, so that no pair is too close and no molecule is split.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Occupation
from qdip_struct.builders.atoms.neighbours import nearest_neighbour
from qdip_struct.builders.atoms.orientation import permutes_axes, proper_rotation
from qdip_struct.builders.atoms.regions import (
    INTERFACE_DEPTH,
    formal_charge_of,
    formal_charges,
    mark_interface,
    report,
    too_close,
)
from qdip_struct.builders.dot.dot import DotSites, cut_dot, dot_atoms
from qdip_struct.builders.dot.embedding_options import (
    Balance,
    Center,
    DotArrangement,
    DotForm,
    DotPlacement,
    centres_of,
    spacings,
)
from qdip_struct.builders.dot.host import Host, centre_in, check_cells, host_of
from qdip_struct.builders.dot.neutrality import neutralise
from qdip_struct.builders.dot.parent import CENTERS, TERMINATIONS, Termination, inside, on_parent_lattice
from qdip_struct.materials.crystals import Crystal, scaled

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
        near, _ = nearest_neighbour(
            guest.positions, targets=others, cell=cell, pbc=np.ones(3, dtype=bool), cutoff=DOTS_APART
        )
        if np.isfinite(near).any():
            raise UsageError(
                f"two dots come within {near.min():.2f} Å of each other; give a larger box, fewer or smaller dots"
            )


@dataclass(frozen=True, eq=False)
class Guest:
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
        """Formula units of a binary compound: half the number of its ions, ligands left out."""
        outside = np.count_nonzero(self.atoms.get_array("region") == "ligand")
        return (len(self.atoms) - outside) / 2

    @property
    def lattice(self) -> float | None:
        """Lattice constant of its crystal as used, Å; ``None`` for a dot given as atoms."""
        return None if self.sites is None else self.sites.crystal.a_angstrom

    @property
    def source(self) -> str:
        """Where its lattice constant is from."""
        return source_of(self.atoms if self.sites is None else self.sites.crystal)

    def on_parent_of(self, host: Host, *, turn: Array) -> bool:
        """Whether it continues the parent lattice of ``host`` when turned by ``turn`` (3, 3)."""
        return self.sites is not None and continues_parent(self.sites, host=host, rotation=turn)


def guest_of(dot: Crystal | Atoms, *, host: Host, form: DotForm, seat: DotPlacement, turn: Array, seed: int) -> Guest:
    """Cut the dot for its matrix, or take it as it is given.

    Parameters
    ----------
    dot
        Crystal, ordered or mixed, to cut from, or a finished dot.
    host
        The matrix; its lattice constant is taken over where both share the parent lattice and are not cut apart.
    form
        Shape, size, centre, border and shell.
    seat
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
        return Guest(atoms, None, "metal" if form.center == "auto" else form.center, _hull_volume(atoms))
    core = dot
    shared = host.on_parent and on_parent_lattice(core) and permutes_axes(turn)
    if seat.dot_lattice is not None or (shared and seat.mode != "insert"):
        core = scaled(core, lattice=host.lattice if seat.dot_lattice is None else seat.dot_lattice)
    natural: Termination = "BX2" if _takes_bx2(core, host=host) else "site"
    sites = cut_dot(core, form=replace(form, termination=form.termination or natural), seed=seed)
    return Guest(dot_atoms(sites), sites, sites.center, sites.volume)


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


def _takes_bx2(core: Crystal, *, host: Host) -> bool:
    return on_parent_lattice(core) and core.structure_type == "rocksalt" and "A" in host.sites.sublattice


def _centred(dot: Atoms) -> Atoms:
    """A copy of a finished dot, the mean of its positions at the origin, with all arrays."""
    guest = Atoms(numbers=dot.numbers, positions=dot.positions - dot.positions.mean(axis=0))
    names = guest.get_chemical_symbols()
    for name, default in (("molecule", -1), ("region", "dot"), ("phase", str(dot.symbols.formula.reduce()[0]))):
        given = dot.get_array(name) if dot.has(name) else np.full(len(dot), default)
        guest.set_array(name, given.astype("U9") if name == "region" else given)
    guest.set_array("formal_charge", formal_charges(names, molecule=guest.get_array("molecule")))
    return guest


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
    seat: DotPlacement = DotPlacement(),
    balance: Balance = Balance(),
    occupation: Occupation = Occupation(),
    interface_depth: float = INTERFACE_DEPTH,
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
    seat
        Lattice, orientation and places of the dots.
    balance
        What makes the whole neutral.
    occupation
        How the sites of the matrix are filled; the seed also decides the rest that is left open.
    interface_depth
        Å; see :func:`mark_interface`.

    Raises
    ------
    UsageError
        If a parameter is not possible, a dot does not fit, or the structure cannot be made neutral.

    Examples
    --------
    >>> from qdip_struct.materials.datasets import get_crystal
    >>> dot, matrix = get_crystal("PbS"), get_crystal("CsPbI3:cubic")
    >>> built = embed_dot(dot, matrix, form=DotForm("cube", diameter=12.0), cells=(4, 4, 4))
    >>> len(built.atoms), built.report["mode"], built.report["formal_charge"]["total"]
    (332, 'coherent', 0)
    """
    counts, seed = check_cells(cells), occupation.seed
    body = form.body
    if lattice is not None:
        if isinstance(matrix, Atoms):
            raise UsageError("a matrix given as a structure keeps its cell; leave the lattice constant out")
        matrix = scaled(matrix, lattice=lattice)
    host = host_of(matrix, cells=counts, occupation=occupation)
    coherent = _is_coherent(dot, host=host, seat=seat)
    turn = np.eye(3) if seat.rotate is None else proper_rotation(seat.rotate)
    turn = turn if seat.absolute else host.axes @ turn
    guest = guest_of(dot, host=host, form=form, seat=seat, turn=turn, seed=seed)
    check_room(guest.atoms, cell=host.cell, turn=turn, margin=host.lattice)
    centres = _centres(guest, host=host, seat=seat, seed=seed)
    shared = guest.on_parent_of(host, turn=turn)
    guests, gone = _placed(guest, host=host, centres=centres, turn=turn, shared=shared, coherent=coherent)
    check_apart(guests, cell=host.cell)
    atoms = joined(guests, host.atoms[~gone[host.site_of_atom]], cell=host.cell)
    atoms, changes, balanced = _balanced(
        atoms, balance=balance, centres=centres, facets=body.facets @ turn.T, seed=seed
    )
    mark_interface(atoms, depth=interface_depth)
    content = report(
        atoms,
        volume_fraction=guest.volume * len(centres) / abs(float(np.linalg.det(host.cell))),
        changes=changes,
        seed=seed,
        role="embedded",
        mode="coherent" if coherent else "insert",
        shape="given" if guest.sites is None else body.name,
        center=guest.center,
        termination=_termination(guest, shared=shared),
        **balanced,
        rotation=turn.tolist(),
        lattice_angstrom={"dot": guest.lattice, "matrix": host.lattice},
        lattice_source={"dot": guest.source, "matrix": source_of(matrix)},
        n_dots=len(centres),
        dot_centers_angstrom=np.round(centres, 6).tolist(),
        n_formula_units_dot=guest.n_formula_units,
        equivalent_diameter_angstrom=guest.diameter,
        spacing_angstrom=spacings(centres, cell=host.cell, diameter=guest.diameter),
        extent_angstrom=np.ptp(guest.atoms.positions, axis=0).tolist(),
        interface_depth_angstrom=interface_depth,
    )
    return Embedded(atoms, content)


def _is_coherent(dot: Crystal | Atoms, *, host: Host, seat: DotPlacement) -> bool:
    """Decide between coherent and insert, and refuse a coherent build that is not possible."""
    mode, asked = seat.mode, seat.rotate is not None or seat.dot_lattice is not None
    shared = isinstance(dot, Crystal) and host.on_parent and on_parent_lattice(dot) and dot.structure_type == "rocksalt"
    if mode == "coherent" and not shared:
        raise UsageError("a coherent build needs a rock salt dot in rock salt or a cubic perovskite; use mode insert")
    if mode == "coherent" and asked:
        raise UsageError("a coherent dot has the lattice and orientation of the matrix; a rotation needs mode insert")
    return shared and not asked and mode != "insert"


def _centres(guest: Guest, *, host: Host, seat: DotPlacement, seed: int) -> Array:
    """Centre of each dot (k, 3) Å: the point of the host that the dot asks for nearest to each place of the seat."""
    if isinstance(seat.positions, DotArrangement):
        around = 2.0 * float(np.linalg.norm(guest.atoms.positions, axis=1).max()) + host.lattice
        fractions = centres_of(seat.positions, cell=host.cell, diameter=around, volume=guest.volume, seed=seed)
    else:
        fractions = np.array(seat.positions, dtype=float).reshape(-1, 3)
    return np.array([centre_in(host, center=guest.center, fraction=point) for point in fractions])


def _placed(
    guest: Guest, *, host: Host, centres: Array, turn: Array, shared: bool, coherent: bool
) -> tuple[list[Atoms], Array]:
    """The dot at each centre, numbered, and which sites of the host make room for them, bool (n_sites,)."""
    gone = np.zeros(len(host.sites), dtype=bool)
    guests: list[Atoms] = []
    for number, centre in enumerate(centres):
        placed = guest.atoms.copy()
        placed.positions = guest.atoms.positions @ turn.T + centre
        placed.set_array("dot", np.full(len(placed), number))
        if guest.sites is not None and shared:
            gone |= cavity_on_parent(guest.sites, host=host, centre=centre, rotation=turn)
        else:
            gone |= cavity_by_hull(placed, host=host, centre=centre)
        if not coherent:
            gone |= crowded(placed, host=host, centre=centre, among=~gone)
        guests.append(placed)
    return guests, gone


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


def _termination(guest: Guest, *, shared: bool) -> dict[str, str] | None:
    """Name of the border rule and what it means for this dot in this matrix; none for a finished dot."""
    if guest.sites is None:
        return None
    name = guest.sites.termination
    if shared:
        return {"name": name, "meaning": TERMINATIONS[name]}
    free = "dot and matrix share no parent lattice here: the dot is cut by this rule, the matrix ends where ions touch"
    return {"name": name, "meaning": free}


def joined(guests: list[Atoms], host: Atoms, *, cell: Array) -> Atoms:
    """Dots, then matrix, in the matrix's cell; molecules keep different numbers."""
    parts, offset = [*guests, host], 0
    for part in parts:
        molecule = part.get_array("molecule")
        part.set_array("molecule", np.where(molecule >= 0, molecule + offset, -1))
        offset = max(offset, part.get_array("molecule").max(initial=-1) + 1)
    numbers, positions = (np.concatenate([part.arrays[name] for part in parts]) for name in ("numbers", "positions"))
    merged = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True)
    for name in ("region", "phase", "formal_charge", "molecule", "dot"):
        merged.set_array(name, np.concatenate([part.get_array(name) for part in parts]))
    return merged
