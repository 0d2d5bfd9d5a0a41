"""Molecular ions as rigid units: methylammonium (MA) and formamidinium (FA), their geometry and their orientations.

A molecule is placed on its site by the centre of its heavy atoms and is never cut: slabs, dots and supercells are made
of sites, and only the finished structure is filled with atoms. Lengths in Å, rotations as (3, 3) matrices that act on
column vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

import numpy as np

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.materials.ions import MOLECULES, molecular_ion
from qdip_struct.materials.options import MoleculeOrientation

ORIENTATIONS: tuple[str, ...] = get_args(MoleculeOrientation)

_CN, _CH, _NH, _CN_AMIDINE = 1.49, 1.09, 1.03, 1.32


@dataclass(frozen=True)
class Molecule:
    """A rigid molecular ion of charge +1.

    Attributes
    ----------
    name
        ``MA`` or ``FA``, or ``file`` for one that was read from a user's structure.
    symbols
        Elements of the m atoms.
    offsets
        Positions relative to the centre of the heavy atoms, shape (m, 3), Å. The dipole axis of MA (C to N) lies
        along +x; FA lies in the xy plane with its C-H bond along +y.
    """

    name: str
    symbols: tuple[str, ...]
    offsets: tuple[tuple[float, float, float], ...]

    @property
    def array(self) -> Array:
        """Offsets as an array (m, 3), Å."""
        return np.array(self.offsets)


@lru_cache(maxsize=4)
def library(name: str) -> Molecule:
    """Return MA (CH3NH3, staggered, C-N 1.49 Å) or FA (CH(NH2)2, planar, C-N 1.32 Å, N-C-N 125°).

    Raises
    ------
    UsageError
        For any other name.
    """
    if name == "MA":
        symbols, points = _methylammonium()
    elif name == "FA":
        symbols, points = _formamidinium()
    else:
        raise UsageError(f"unknown molecular ion '{name}'; known: {', '.join(MOLECULES)}")
    heavy = [i for i, symbol in enumerate(symbols) if symbol != "H"]
    points = points - points[heavy].mean(axis=0)
    return Molecule(name, tuple(symbols), tuple((float(x), float(y), float(z)) for x, y, z in np.round(points, 9)))


def _methylammonium() -> tuple[list[str], Array]:
    symbols, points = ["C", "N"], [np.array([0.0, 0.0, 0.0]), np.array([_CN, 0.0, 0.0])]
    tilt = np.radians(180.0 - 109.47)
    for origin, outward, length, twist in ((points[0], -1.0, _CH, 0.0), (points[1], 1.0, _NH, np.pi)):
        for k in range(3):
            angle = twist + 2.0 * np.pi * k / 3.0
            direction = [outward * np.cos(tilt), np.sin(tilt) * np.cos(angle), np.sin(tilt) * np.sin(angle)]
            symbols.append("H")
            points.append(origin + length * np.array(direction))
    return symbols, np.array(points)


def _formamidinium() -> tuple[list[str], Array]:
    half = np.radians(125.0 / 2.0)
    symbols = ["C", "N", "N", "H"]
    points = [np.zeros(3)]
    for sign in (1.0, -1.0):
        points.append(_CN_AMIDINE * np.array([sign * np.sin(half), -np.cos(half), 0.0]))
    points.append(np.array([0.0, _CH, 0.0]))
    for nitrogen in points[1:3]:
        bond = (points[0] - nitrogen) / _CN_AMIDINE
        for sign in (1.0, -1.0):
            turn = sign * np.radians(120.0)
            rotation = np.array(
                [[np.cos(turn), -np.sin(turn), 0.0], [np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]]
            )
            symbols.append("H")
            points.append(nitrogen + _NH * rotation @ bond)
    return symbols, np.array(points)


def check_seed(seed: int) -> int:
    """Return ``seed`` when it is a whole number that is not negative, else raise :class:`UsageError`."""
    if isinstance(seed, bool) or int(seed) != seed or seed < 0:
        raise UsageError(f"the seed is {seed}; expected a whole number, 0 or larger")
    return int(seed)


def molecule_rotations(points: Array, *, rule: MoleculeOrientation, seed: int = 0) -> Array:
    """Rotation of each molecule by a stated rule, shape (n, 3, 3).

    ``antiparallel``
        MA axes (C to N) lie in the layer plane, along (1,1,0)/√2 and against it in turn: the sites are ordered by
        height, then y, then x, and every second one is reversed, so that the dipoles of an even number cancel.
    ``parallel``
        All axes along (1,1,0)/√2.
    ``random``
        Uniform on the rotation group (normalised Gaussian quaternions), reproducible by ``seed``.

    Raises
    ------
    UsageError
        If the rule is unknown.
    """
    n = len(points)
    if rule == "random":
        quaternions = np.random.default_rng(check_seed(seed)).normal(size=(n, 4))
        return _rotations(quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True))
    if rule not in ORIENTATIONS:
        raise UsageError(f"unknown orientation rule '{rule}'; known: {', '.join(ORIENTATIONS)}")
    s = np.sqrt(0.5)
    forward = np.array([[s, -s, 0.0], [s, s, 0.0], [0.0, 0.0, 1.0]])
    backward = forward @ np.diag([-1.0, -1.0, 1.0])
    turns = np.broadcast_to(forward, (n, 3, 3)).copy()
    if rule == "antiparallel" and n:
        rounded = np.round(np.asarray(points), 3)
        order = np.lexsort((rounded[:, 0], rounded[:, 1], rounded[:, 2]))
        turns[order[1::2]] = backward
    return turns


def _rotations(quaternions: Array) -> Array:
    w, x, y, z = quaternions.T
    return np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=-1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=-1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=-1),
        ],
        axis=-2,
    )


def find_molecules(symbols: Sequence[str], *, positions: Array, cell: Array, pbc: Array) -> tuple[Array, Array]:
    """Find the molecular ions of a structure by their bonds and make each whole.

    Atoms of C, N and H are bonded when closer than 1.75 Å (heavy pairs) or 1.35 Å (with H).

    Parameters
    ----------
    symbols
        Element of each atom, (n,).
    positions
        (n, 3) Å.
    cell, pbc
        Row vectors (3, 3) Å, and which of them repeat, (3,).

    Returns
    -------
    molecule, positions
        Number of the molecule of each atom (n,), -1 outside; positions (n, 3), Å, in which no molecule is split by a
        cell face.

    Raises
    ------
    DataError
        If a hydrogen, carbon or nitrogen atom belongs to no ion CH3NH3 or CH(NH2)2.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    from qdip_struct.builders.atoms.neighbours import neighbour_pairs

    names = np.asarray(symbols)
    organic = np.flatnonzero(np.isin(names, ("C", "N", "H")))
    molecule = np.full(len(names), -1)
    positions = np.array(positions, dtype=float)
    if len(organic) == 0:
        return molecule, positions
    points = positions[organic]
    one, two, distance = neighbour_pairs(points, targets=points, cell=cell, pbc=pbc, cutoff=1.75)
    limits = np.array(
        [_bond_limit(str(names[organic[i]]), str(names[organic[j]])) for i, j in zip(one, two, strict=True)]
    )
    keep = (one != two) & (distance < limits)
    graph = coo_matrix((np.ones(keep.sum()), (one[keep], two[keep])), shape=(len(organic), len(organic))).tocsr()
    count, group = connected_components(graph, directed=False)
    inverse = np.linalg.inv(cell)
    for number in range(count):
        members = np.flatnonzero(group == number)
        if molecular_ion(str(names[organic[i]]) for i in members) is None:
            where = ", ".join(f"{names[organic[i]]} (atom {organic[i] + 1})" for i in members[:4])
            raise DataError(
                f"atoms {where} form no whole CH3NH3 or CH(NH2)2 ion; molecular ions are never cut or counted as "
                "loose atoms, mend the structure or replace the ion by one atom such as Cs"
            )
        order, before = breadth_first_order(graph, members[0], directed=False)
        for i in order[1:]:
            anchor = points[before[i]]
            step = (points[i] - anchor) @ inverse
            points[i] = anchor + (step - np.where(pbc, np.round(step), 0.0)) @ cell
        molecule[organic[members]] = number
    positions[organic] = points
    return molecule, positions


def _bond_limit(one: str, two: str) -> float:
    """Longest bond of two elements, Å; two hydrogens never bond."""
    hydrogens = (one == "H") + (two == "H")
    return (1.75, 1.35, 0.0)[hydrogens]
