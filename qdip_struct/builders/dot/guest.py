"""The dot that goes into a matrix, before it has a place: cut from its crystal for that matrix, or given as atoms."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.material import Material, pure
from qdip_struct.builders.atoms.orientation import permutes_axes
from qdip_struct.builders.atoms.regions import formal_charges
from qdip_struct.builders.dot.dot import DotSites, cut, dot_atoms
from qdip_struct.builders.dot.embedding_options import Center, DotForm, Seat
from qdip_struct.builders.dot.host import Host
from qdip_struct.builders.dot.insert import continues_parent
from qdip_struct.builders.dot.parent import Termination, on_parent_lattice
from qdip_struct.materials.crystals import Crystal

Array = NDArray[Any]


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


def guest_of(
    dot: Crystal | Material | Atoms, *, host: Host, form: DotForm, seat: Seat, turn: Array, seed: int
) -> Guest:
    """Cut the dot for its matrix, or take it as it is given.

    Parameters
    ----------
    dot
        Crystal or material to cut from, or a finished dot.
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
    core = pure(dot)
    shared = host.on_parent and on_parent_lattice(core.crystal) and permutes_axes(turn)
    if seat.dot_lattice is not None or (shared and seat.mode != "insert"):
        core = core.at(lattice=host.lattice if seat.dot_lattice is None else seat.dot_lattice)
    natural: Termination = "BX2" if _takes_bx2(core, host=host) else "site"
    sites = cut(core, form=replace(form, termination=form.termination or natural), seed=seed)
    return Guest(dot_atoms(sites), sites, sites.center, sites.volume)


def source_of(material: Material | Crystal | Atoms) -> str:
    """Where a lattice constant is from: the source of the crystal, or the structure that was given."""
    if isinstance(material, Atoms):
        return "given structure"
    return pure(material).crystal.source


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


def _takes_bx2(core: Material, *, host: Host) -> bool:
    return (
        on_parent_lattice(core.crystal) and core.crystal.structure_type == "rocksalt" and "A" in host.sites.sublattice
    )


def _centred(dot: Atoms) -> Atoms:
    """A copy of a finished dot, the mean of its positions at the origin, with all arrays."""
    guest = Atoms(numbers=dot.numbers, positions=dot.positions - dot.positions.mean(axis=0))
    names = guest.get_chemical_symbols()
    for name, default in (("molecule", -1), ("region", "dot"), ("phase", str(dot.symbols.formula.reduce()[0]))):
        given = dot.get_array(name) if dot.has(name) else np.full(len(dot), default)
        guest.set_array(name, given.astype("U9") if name == "region" else given)
    guest.set_array("formal_charge", formal_charges(names, molecule=guest.get_array("molecule")))
    return guest
