"""A dot in a matrix supercell: *coherent*, both decorating one parent lattice, or *cut and inserted* at any angle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.build.arrangement import Arrangement, centres_of, spacings
from qdip_struct.build.dot import DotSites, cut, dot_atoms
from qdip_struct.build.embedding_options import Balance, Center, DotForm, Seat
from qdip_struct.build.host import Host, centre_in, check_cells, host_of
from qdip_struct.build.insert import (
    cavity_by_hull,
    cavity_on_parent,
    check_apart,
    check_room,
    continues_parent,
    crowded,
)
from qdip_struct.build.material import Material
from qdip_struct.build.neutrality import neutralise
from qdip_struct.build.occupation import Occupation
from qdip_struct.build.orientation import permutes_axes, proper_rotation
from qdip_struct.build.parent import TERMINATIONS, Termination, on_parent_lattice
from qdip_struct.build.regions import INTERFACE_DEPTH, formal_charge_of, formal_charges, mark_interface, report
from qdip_struct.errors import UsageError
from qdip_struct.materials.crystals import Crystal

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Embedded:
    """A dot in its matrix.

    Attributes
    ----------
    atoms
        Periodic structure with the arrays of :mod:`qdip_struct.build.regions`; the dots' atoms come first.
    report
        What was built: the keys of :func:`qdip_struct.build.regions.report` and how it was made.
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
    counts, seed, center = check_cells(cells), occupation.seed, form.center
    if lattice is not None and isinstance(matrix, Atoms):
        raise UsageError("a matrix given as a structure keeps its cell; leave the lattice constant out")
    body = form.body
    held = _material(matrix)
    if lattice is not None and isinstance(held, Material):
        held = held.at(lattice=lattice)
    host = host_of(held, cells=counts, occupation=occupation)
    coherent = _is_coherent(dot, host=host, seat=seat)
    turn = np.eye(3) if seat.rotate is None else proper_rotation(seat.rotate)
    turn = turn if seat.absolute else host.axes @ turn
    sites = None
    if isinstance(dot, Atoms):
        guest = _finished(dot)
        kind: Center = "metal" if center == "auto" else center
    else:
        core = _material(dot)
        assert isinstance(core, Material)
        shared = host.on_parent and on_parent_lattice(core.crystal) and permutes_axes(turn)
        if seat.dot_lattice is not None or (shared and seat.mode != "insert"):
            core = core.at(lattice=host.lattice if seat.dot_lattice is None else seat.dot_lattice)
        natural: Termination = "BX2" if _takes_bx2(core, host=host) else "site"
        sites = cut(core, form=replace(form, termination=form.termination or natural), seed=seed)
        guest, kind = dot_atoms(sites), sites.center
    check_room(guest, cell=host.cell, turn=turn, margin=host.lattice)
    volume = _volume(guest, sites=sites)
    if isinstance(seat.positions, Arrangement):
        around = 2.0 * float(np.linalg.norm(guest.positions, axis=1).max()) + host.lattice
        fractions = centres_of(seat.positions, cell=host.cell, diameter=around, volume=volume, seed=seed)
    else:
        fractions = np.array(seat.positions, dtype=float).reshape(-1, 3)
    centres = np.array([centre_in(host, center=kind, fraction=point) for point in fractions])

    continued = sites is not None and continues_parent(sites, host=host, rotation=turn)
    gone = np.zeros(len(host.sites), dtype=bool)
    guests: list[Atoms] = []
    for number, centre in enumerate(centres):
        placed = guest.copy()
        placed.positions = guest.positions @ turn.T + centre
        placed.set_array("dot", np.full(len(placed), number))
        if sites is not None and continued:
            gone |= cavity_on_parent(sites, host=host, centre=centre, rotation=turn)
        else:
            gone |= cavity_by_hull(placed, host=host, centre=centre)
        if not coherent:
            gone |= crowded(placed, host=host, centre=centre, among=~gone)
        guests.append(placed)
    check_apart(guests, cell=host.cell)
    atoms = joined(guests, host.atoms[~gone[host.site_of_atom]], cell=host.cell)
    before = formal_charge_of(atoms)["total"]
    balanced, changes = (
        (atoms, [])
        if balance.neutral == "off"
        else neutralise(atoms, centres=centres, facets=body.facets @ turn.T, rule=balance.rule, seed=seed)
    )
    atoms, changes, proposed = (balanced, changes, []) if balance.neutral == "strict" else (atoms, [], changes)
    mark_interface(atoms, depth=interface_depth)
    size = (6.0 / math.pi * volume) ** (1.0 / 3.0)
    content = report(
        atoms,
        volume_fraction=volume * len(centres) / abs(float(np.linalg.det(host.cell))),
        changes=changes,
        seed=seed,
        role="embedded",
        mode="coherent" if coherent else "insert",
        shape=body.name if sites is not None else "given",
        center=kind,
        termination=None if sites is None else _termination(sites, continued=continued),
        neutral=balance.neutral,
        proposed_changes=proposed,
        rule=balance.rule,
        charge_before_changes=before,
        rotation=turn.tolist(),
        lattice_angstrom={"dot": None if sites is None else sites.crystal.a_angstrom, "matrix": host.lattice},
        lattice_source={
            "dot": "given structure" if sites is None else sites.crystal.source,
            "matrix": held.crystal.source if isinstance(held, Material) else "given structure",
        },
        n_dots=len(centres),
        dot_centers_angstrom=np.round(centres, 6).tolist(),
        n_formula_units_dot=_units(guest),
        equivalent_diameter_angstrom=size,
        spacing_angstrom=spacings(centres, cell=host.cell, diameter=size),
        extent_angstrom=np.ptp(guest.positions, axis=0).tolist(),
        interface_depth_angstrom=interface_depth,
    )
    return Embedded(atoms, content)


def _material(what: Crystal | Material | Atoms) -> Material | Atoms:
    return Material(what.name, what) if isinstance(what, Crystal) else what


def _takes_bx2(core: Material, *, host: Host) -> bool:
    return (
        on_parent_lattice(core.crystal) and core.crystal.structure_type == "rocksalt" and "A" in host.sites.sublattice
    )


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


def _finished(dot: Atoms) -> Atoms:
    """A copy of a finished dot around its centre of mass points, with all arrays."""
    guest = Atoms(numbers=dot.numbers, positions=dot.positions - dot.positions.mean(axis=0))
    names = guest.get_chemical_symbols()
    for name, default in (("molecule", -1), ("region", "dot"), ("phase", str(dot.symbols.formula.reduce()[0]))):
        given = dot.get_array(name) if dot.has(name) else np.full(len(dot), default)
        guest.set_array(name, given.astype("U9") if name == "region" else given)
    guest.set_array("formal_charge", formal_charges(names, molecule=guest.get_array("molecule")))
    return guest


def _termination(sites: DotSites, *, continued: bool) -> dict[str, str]:
    """Name of the border rule and what it means for this dot in this matrix."""
    if continued:
        return {"name": sites.termination, "meaning": TERMINATIONS[sites.termination]}
    free = "dot and matrix share no parent lattice here: the dot is cut by this rule, the matrix ends where ions touch"
    return {"name": sites.termination, "meaning": free}


def _units(guest: Atoms) -> float:
    """Formula units of a dot of a binary compound: half the number of its ions."""
    outside = np.count_nonzero(guest.get_array("region") == "ligand")
    return (len(guest) - outside) / 2


def _volume(guest: Atoms, *, sites: DotSites | None) -> float:
    """Volume in Å³: of the formula units, or for a finished dot of the hull of its atoms."""
    if sites is not None:
        return sites.volume
    from scipy.spatial import ConvexHull

    return float(ConvexHull(guest.positions).volume)


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
