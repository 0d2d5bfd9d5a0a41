"""A dot in a matrix supercell: *coherent*, both decorating one parent lattice, or *cut and inserted* at any angle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.material import Material, pure
from qdip_struct.builders.atoms.occupation import Occupation
from qdip_struct.builders.atoms.orientation import proper_rotation
from qdip_struct.builders.atoms.regions import INTERFACE_DEPTH, formal_charge_of, mark_interface, report
from qdip_struct.builders.dot.arrangement import Arrangement, centres_of, spacings
from qdip_struct.builders.dot.embedding_options import Balance, DotForm, Seat
from qdip_struct.builders.dot.guest import Guest, guest_of, source_of
from qdip_struct.builders.dot.host import Host, centre_in, check_cells, host_of
from qdip_struct.builders.dot.insert import cavity_by_hull, cavity_on_parent, check_apart, check_room, crowded
from qdip_struct.builders.dot.neutrality import neutralise
from qdip_struct.builders.dot.parent import TERMINATIONS, on_parent_lattice
from qdip_struct.materials.crystals import Crystal

Array = NDArray[Any]


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
    dot: Crystal | Material | Atoms,
    matrix: Crystal | Material | Atoms,
    *,
    form: DotForm = DotForm(),
    cells: Sequence[int] = (8, 8, 8),
    lattice: float | None = None,
    seat: Seat = Seat(),
    balance: Balance = Balance(),
    occupation: Occupation = Occupation(),
    interface_depth: float = INTERFACE_DEPTH,
) -> Embedded:
    """Put one or more equal dots into a matrix supercell.

    Parameters
    ----------
    dot
        Crystal or material to cut the dot from, or a finished dot (for example relaxed in vacuum) as ``ase.Atoms``.
    matrix
        Crystal, material, or a periodic structure to repeat.
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
    if lattice is not None and isinstance(matrix, Atoms):
        raise UsageError("a matrix given as a structure keeps its cell; leave the lattice constant out")
    body = form.body
    held = matrix if isinstance(matrix, Atoms) else pure(matrix)
    if lattice is not None and isinstance(held, Material):
        held = held.at(lattice=lattice)
    host = host_of(held, cells=counts, occupation=occupation)
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
        lattice_source={"dot": guest.source, "matrix": source_of(held)},
        n_dots=len(centres),
        dot_centers_angstrom=np.round(centres, 6).tolist(),
        n_formula_units_dot=guest.n_formula_units,
        equivalent_diameter_angstrom=guest.diameter,
        spacing_angstrom=spacings(centres, cell=host.cell, diameter=guest.diameter),
        extent_angstrom=np.ptp(guest.atoms.positions, axis=0).tolist(),
        interface_depth_angstrom=interface_depth,
    )
    return Embedded(atoms, content)


def _is_coherent(dot: Crystal | Material | Atoms, *, host: Host, seat: Seat) -> bool:
    """Decide between coherent and insert, and refuse a coherent build that is not possible."""
    mode, asked = seat.mode, seat.rotate is not None or seat.dot_lattice is not None
    shared = not isinstance(dot, Atoms) and host.on_parent
    if shared:
        crystal = dot.crystal if isinstance(dot, Material) else dot
        shared = isinstance(crystal, Crystal) and on_parent_lattice(crystal) and crystal.structure_type == "rocksalt"
    if mode == "coherent" and not shared:
        raise UsageError("a coherent build needs a rock salt dot in rock salt or a cubic perovskite; use mode insert")
    if mode == "coherent" and asked:
        raise UsageError("a coherent dot has the lattice and orientation of the matrix; a rotation needs mode insert")
    return shared and not asked and mode != "insert"


def _centres(guest: Guest, *, host: Host, seat: Seat, seed: int) -> Array:
    """Centre of each dot (k, 3) Å: the point of the host that the dot asks for nearest to each place of the seat."""
    if isinstance(seat.positions, Arrangement):
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
