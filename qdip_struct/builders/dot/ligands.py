"""Molecules on the surface of a dot: where they stand and how they are turned.

A molecular ligand stands upright: a carboxylate with its oxygens towards a metal, an ammonium ion with its nitrogen
towards an anion, as near as :func:`clearance` allows, turned about the normal so that it fits; what does not fit is not
put there. These are starting geometries, to be relaxed. Lengths in Å.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qdip_struct.base.arrays import Array
from qdip_struct.builders.atoms.molecules import Molecule, library
from qdip_struct.builders.dot.dot import DotSites, dot_atoms
from qdip_struct.materials.ions import FORMAL_CHARGES, IONS, TOUCHING_RADII_ANGSTROM


@dataclass(frozen=True, eq=False)
class Standing:
    """A molecule on a surface.

    Attributes
    ----------
    place
        Number of the place it stands on.
    centre
        Of its heavy atoms, (3,) Å.
    unit
        The molecule as it is turned.
    """

    place: int
    centre: Array
    unit: Molecule

    @property
    def points(self) -> Array:
        """Its atoms, (m, 3) Å."""
        return self.centre + self.unit.array


def clearance(one: str, other: str) -> float:
    """Smallest distance of two atoms of different molecules or ions, Å: 0.95 of their radii, 0.85 with hydrogen.

    Radii of ions as in :data:`qdip_struct.materials.ions.IONIC_RADII_ANGSTROM`, of H, C, N and O 1.0, 1.55, 1.5 and
    1.45 Å, so that Pb-O is 2.51, N-I 3.52, H-I 2.72 and H-H 2.0 Å.
    """
    own = {"H": 1.0, "C": 1.55, "N": 1.5, "O": 1.45}
    total = sum(own.get(name, TOUCHING_RADII_ANGSTROM.get(name, 2.0)) for name in (one, other))
    return max(2.0, (0.85 if "H" in (one, other) else 0.95) * total)


_TURNS, _STEPS = 12, np.arange(-1.0, 4.6, 0.1)
_APART = 5.5
_BOUND = 1.25
"""The head of a molecule is bound when an ion of the other sign is within this factor of the clearance."""


def stand_on(
    dot: DotSites, *, name: str, places: Array, outward: Array, count: int, others: Sequence[tuple[str, Array]] = ()
) -> list[Standing]:
    """Put up to ``count`` ions, molecules upright, on places, in their order, where they fit beside the dot and others.

    Parameters
    ----------
    dot
        With what is there already.
    name
        Molecular ion, whose head is what binds: the oxygens of an anion, a nitrogen of a cation; or a cation of one
        atom, such as Cs, none of which come closer to each other than 5.5 Å.
    places, outward
        Points the head may stand on or above, (n, 3) Å, and the directions (n, 3) away from the surface there.
    count
        How many are wanted.
    others
        Further ions that are there: name and position, Å.
    """
    atoms = dot_atoms(dot)
    names = [*atoms.get_chemical_symbols(), *(str(other) for other, _ in others)]
    points = np.concatenate([atoms.positions, *[np.reshape(point, (1, 3)) for _, point in others]])
    partner = np.array([FORMAL_CHARGES.get(other) or 0 for other in names]) * FORMAL_CHARGES[name] < 0
    unit = library(name) if IONS[name].groups else Molecule(name, (name,), ((0.0, 0.0, 0.0),))
    symbols = list(unit.symbols)
    head = [k for k, s in enumerate(symbols) if s == ("N" if FORMAL_CHARGES[name] > 0 else "O")]
    head = (head[:1] if FORMAL_CHARGES[name] > 0 else head) or [0]
    turns = _TURNS if len(symbols) > 1 else 1
    foot = unit.array[head].mean(axis=0)
    axis = -foot if np.linalg.norm(foot) > 0.1 else np.array([1.0, 0.0, 0.0])
    limits = {other: np.array([clearance(symbol, other) for symbol in symbols]) for other in {*names, *symbols}}
    if len(symbols) == 1:
        limits[name] = np.array([_APART])
    bound = {other: _BOUND * clearance(symbols[head[0]], other) for other in limits}
    reach = float(np.linalg.norm(unit.array - foot, axis=1).max()) + 4.0
    found: list[Standing] = []
    for place, (base, normal) in enumerate(zip(places, outward, strict=True)):
        if len(found) == count:
            break
        near = np.linalg.norm(points - base, axis=1) < reach + 5.0
        around, called = points[near], [other for other, kept in zip(names, near, strict=True) if kept]
        least = np.array([limits[other] for other in called]).T
        within = np.array([bound[other] for other in called])
        turned = [_upright(unit.array - foot, axis=axis, normal=normal, turn=turn) for turn in range(turns)]
        for step, offsets in itertools.product(_STEPS, turned):
            placed = base + step * normal + offsets
            distance = np.linalg.norm(placed[:, None] - around[None], axis=2)
            if (distance < least).any():
                continue
            if (distance[head].min(axis=0) < within)[partner[near]].any():
                centre = base + step * normal + offsets[[s != "H" for s in symbols]].mean(axis=0)
                rows = np.round(placed - centre, 9)
                own = replace(unit, offsets=tuple((float(x), float(y), float(z)) for x, y, z in rows))
                found.append(Standing(place, centre, own))
                points = np.concatenate([points, placed])
                names += symbols
                partner = np.concatenate([partner, np.zeros(len(symbols), dtype=bool)])
            break
    return found


def _upright(points: Array, *, axis: Array, normal: Array, turn: int) -> Array:
    """Points about the head turned so that ``axis`` lies along ``normal``, and about it by ``turn`` steps."""
    from scipy.spatial.transform import Rotation

    stand, _ = Rotation.align_vectors(normal[None], axis[None])
    about = Rotation.from_rotvec(2.0 * np.pi * turn / _TURNS * normal / np.linalg.norm(normal))
    turned: Array = (about * stand).apply(points)
    return turned
