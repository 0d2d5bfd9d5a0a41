"""Molecules as rigid units: which atoms of a structure are one, their geometry and their orientations.

A molecule is placed on its site by the centre of its heavy atoms and is never cut: slabs, dots and supercells are made
of sites, and only the finished structure is filled with atoms. Lengths in Å, rotations as (3, 3) matrices that act on
column vectors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

import numpy as np

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.materials.ions import molecule_of
from qdip_struct.materials.options import MoleculeOrientation

ORIENTATIONS: tuple[str, ...] = get_args(MoleculeOrientation)

_CN, _CH, _NH, _CN_AMIDINE = 1.49, 1.09, 1.03, 1.32


@dataclass(frozen=True)
class Molecule:
    """A rigid molecule.

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


@lru_cache(maxsize=32)
def library(name: str) -> Molecule:
    """A molecular ion in its textbook geometry: MA and FA, the other ammonium ions, formate, acetate and oleate.

    MA is staggered, C-N 1.49 Å; FA planar, C-N 1.32 Å, N-C-N 125°. The others have bonds and angles of the tables of
    F. H. Allen et al., J. Chem. Soc. Perkin Trans. 2, S1 (1987), doi:10.1039/P298700000S1 (from memory): C-C 1.53,
    aromatic 1.39, C=C 1.34, C-N+ 1.49, C-N of guanidinium 1.33, C-O of carboxylates 1.25 Å; hydrogens as in MA. Chains
    are all-trans, the double bond of oleate cis.

    Raises
    ------
    UsageError
        For any other name.
    """
    if name == "MA":
        symbols, points = _methylammonium()
    elif name == "FA":
        symbols, points = _formamidinium()
    elif name in _SKELETONS:
        symbols, points = _with_hydrogens(*_SKELETONS[name]())
    else:
        known = ", ".join(("MA", "FA", *_SKELETONS))
        raise UsageError(f"no geometry is known of a molecule '{name}'; known: {known}")
    heavy = [i for i, symbol in enumerate(symbols) if symbol != "H"]
    points = points - points[heavy].mean(axis=0)
    return Molecule(name, tuple(symbols), tuple((float(x), float(y), float(z)) for x, y, z in np.round(points, 9)))


_Skeleton = tuple[list[tuple[str, int]], Array]
"""Heavy atoms, each with its number of hydrogens, and where they are (n, 3), Å."""


def _chain(steps: Sequence[tuple[float, float, float]], start: Sequence[Array] = ()) -> list[Array]:
    """Points that follow each other by bond (Å), angle and dihedral (degrees); the first three lie in the xy plane."""
    points = [np.asarray(point, dtype=float) for point in start]
    for length, angle, dihedral in steps:
        bend, twist = np.radians(angle), np.radians(dihedral)
        if not points:
            points.append(np.zeros(3))
        elif len(points) == 1:
            points.append(points[0] + np.array([length, 0.0, 0.0]))
        else:
            back = points[-1] - points[-2]
            back = back / np.linalg.norm(back)
            normal = np.array([0.0, 0.0, 1.0])
            if len(points) > 2:
                normal = np.cross(points[-2] - points[-3], back)
                normal = normal / np.linalg.norm(normal)
            side = np.cross(normal, back)
            own = np.array([-np.cos(bend), np.sin(bend) * np.cos(twist), np.sin(bend) * np.sin(twist)])
            points.append(points[-1] + length * (own[0] * back + own[1] * side + own[2] * normal))
    return points


def _alkyl(carbons: int) -> _Skeleton:
    """A zigzag of carbons with the ammonium group at its end."""
    points = _chain([(_CC, 112.0, 180.0)] * carbons + [(_CN, 110.0, 180.0)])
    return [("C", 3), *[("C", 2)] * (carbons - 1), ("N", 3)], np.array(points)


def _ring() -> list[Array]:
    """A benzene ring in the xy plane, its first atom on +x."""
    angles = np.radians(60.0 * np.arange(6))
    return [_AROMATIC * np.array([np.cos(angle), np.sin(angle), 0.0]) for angle in angles]


_PHENYL = [("C", 0), *[("C", 1)] * 5]


def _phenethylammonium() -> _Skeleton:
    """The chain stands upright on the plane of the ring, anti."""
    ring = _ring()
    first = ring[0] + np.array([1.51, 0.0, 0.0])
    second, nitrogen = _chain([(_CC, 112.0, 90.0), (_CN, 110.0, 180.0)], [ring[1], ring[0], first])[3:]
    return [*_PHENYL, ("C", 2), ("C", 2), ("N", 3)], np.array([*ring, first, second, nitrogen])


def _methylbenzylammonium() -> _Skeleton:
    """The enantiomer that comes out of dihedrals of +60 and -60 degrees, which is not named here."""
    ring = _ring()
    first = ring[0] + np.array([1.51, 0.0, 0.0])
    start = [ring[1], ring[0], first]
    methyl, nitrogen = (_chain([(length, 110.0, turn)], start)[3] for length, turn in ((_CC, 60.0), (_CN, 180.0)))
    return [*_PHENYL, ("C", 1), ("C", 3), ("N", 3)], np.array([*ring, first, methyl, nitrogen])


def _spread(centre: str, ends: Sequence[tuple[str, int]], *, length: float, hydrogens: int = 0) -> _Skeleton:
    """Atoms around a centre in one plane, 120 degrees apart, the first along +x."""
    turns = np.radians(120.0 * np.arange(len(ends)))
    around = [length * np.array([np.cos(turn), np.sin(turn), 0.0]) for turn in turns]
    return [(centre, hydrogens), *ends], np.array([np.zeros(3), *around])


def _dimethylammonium() -> _Skeleton:
    return [("C", 3), ("N", 2), ("C", 3)], np.array(_chain([(_CN, 112.0, 180.0)] * 3))


def _carboxylate(carbons: Sequence[tuple[str, int]], steps: Sequence[tuple[float, float, float]]) -> _Skeleton:
    """A chain that ends in CO2, O-C-O 125 degrees; ``steps`` are those of the chain from its far end."""
    points = _chain(steps)
    last, axis = points[-1], np.array([1.0, 0.0, 0.0])
    side = np.array([0.0, 1.0, 0.0])
    if len(points) > 1:
        axis = points[-1] - points[-2]
        axis = axis / np.linalg.norm(axis)
        third = points[-3] - points[-2] if len(points) > 2 else side
        side = third - axis * (axis @ third)
        side = side / np.linalg.norm(side)
    half = np.radians(125.0 / 2)
    oxygens = [last + _CO * (np.cos(half) * axis + sign * np.sin(half) * side) for sign in (1.0, -1.0)]
    return [*carbons, ("O", 0), ("O", 0)], np.array([*points, *oxygens])


def _oleate() -> _Skeleton:
    """C18, the double bond between the ninth and the tenth carbon from the acid."""
    steps = [(_CC, 112.0, 180.0)] * 18
    steps[8] = (1.50, 112.0, 180.0)
    steps[9] = (1.34, 127.0, 180.0)
    steps[10] = (1.50, 127.0, 0.0)
    steps[11] = (_CC, 112.0, 180.0)
    carbons = [("C", 3), *[("C", 2)] * 7, ("C", 1), ("C", 1), *[("C", 2)] * 7, ("C", 0)]
    return _carboxylate(carbons, steps)


_CC, _AROMATIC, _CO = 1.53, 1.39, 1.25
_SKELETONS: dict[str, Callable[[], _Skeleton]] = {
    "NH4": lambda: ([("N", 4)], np.zeros((1, 3))),
    "GUA": lambda: _spread("C", [("N", 2)] * 3, length=1.33),
    "DMA": _dimethylammonium,
    "EA": lambda: _alkyl(2),
    "BA": lambda: _alkyl(4),
    "PEA": _phenethylammonium,
    "MBA": _methylbenzylammonium,
    "HCOO": lambda: _carboxylate([("C", 1)], [(_CC, 0.0, 0.0)]),
    "OAc": lambda: _carboxylate([("C", 3), ("C", 0)], [(1.52, 0.0, 0.0)] * 2),
    "OA": _oleate,
}


def _with_hydrogens(heavy: list[tuple[str, int]], points: Array) -> tuple[list[str], Array]:
    """Put the hydrogens on their atoms, away from the other bonds; an end of a planar molecule keeps them in the plane.

    ``heavy`` holds the elements with their numbers of hydrogens, ``points`` (n, 3) Å.
    """
    bonded = [
        [j for j in range(len(points)) if j != i and np.linalg.norm(points[j] - points[i]) < bond_limit(a, heavy[j][0])]
        for i, (a, _) in enumerate(heavy)
    ]
    symbols, places = [name for name, _ in heavy], list(points)
    for i, (name, count) in enumerate(heavy):
        units = [(points[j] - points[i]) / np.linalg.norm(points[j] - points[i]) for j in bonded[i]]
        beyond = next(([k for k in bonded[j] if k != i] for j in bonded[i]), [])
        third = points[beyond[0]] - points[bonded[i][0]] if beyond else np.array([0.1, 0.7, 0.3])
        for direction in _directions(units, third, count=count):
            symbols.append("H")
            places.append(points[i] + (_NH if name == "N" else _CH) * direction)
    return symbols, np.array(places)


def _directions(units: list[Array], third: Array, *, count: int) -> list[Array]:
    """Unit vectors to ``count`` hydrogens of an atom with bonds along ``units``; ``third`` lies beyond the first."""
    if count == 0:
        return []
    if not units:
        return [np.array(corner) / np.sqrt(3.0) for corner in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))]
    back = -sum(units, np.zeros(3))
    back = back / np.linalg.norm(back)
    if count == 1:
        return [back]
    if len(units) == 2:
        normal = np.cross(units[0], units[1])
        normal = normal / np.linalg.norm(normal)
        half = np.radians(109.47 / 2)
        return [np.cos(half) * back + sign * np.sin(half) * normal for sign in (1.0, -1.0)]
    side = third - back * (back @ third)
    side = side / np.linalg.norm(side)
    if count == 2:
        return [0.5 * back + sign * np.sqrt(0.75) * side for sign in (1.0, -1.0)]
    across, tilt = np.cross(back, side), np.radians(180.0 - 109.47)
    # Staggered: the first hydrogen lies opposite to what is beyond the bond.
    turns = np.pi + 2.0 * np.pi * np.arange(3) / 3.0
    return [np.cos(tilt) * back + np.sin(tilt) * (np.cos(t) * side + np.sin(t) * across) for t in turns]


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
    """Find the molecules of a structure by their bonds and make each whole.

    C, N and H bond to each other and to O, C and H to S, C to halogens, and S that bonds to one of them to O; see
    :func:`bond_limit` for how far. Atoms bonded to none of C, N and H are ions, and so is a single atom, and a network
    that goes through the crystal, such as diamond.

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
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    names = np.asarray(symbols)
    molecule = np.full(len(names), -1)
    positions = np.array(positions, dtype=float)
    if not np.isin(names, _ORGANIC).any():
        return molecule, positions
    members = np.flatnonzero(np.isin(names, _BONDING))
    points = positions[members]
    one, two, distance = _bonds(names[members], points, cell=cell, pbc=pbc)
    shape = (len(members), len(members))
    graph = coo_matrix((np.ones(len(one)), (one, two)), shape=shape).tocsr()
    count, group = connected_components(graph, directed=False)
    inverse = np.linalg.inv(cell) if np.any(pbc) else np.zeros((3, 3))
    found = 0
    for number in np.flatnonzero(np.bincount(group, minlength=count) > 1):
        own = np.flatnonzero(group == number)
        if not np.isin(names[members[own]], _ORGANIC).any():
            continue
        order, before = breadth_first_order(graph, own[0], directed=False)
        whole = points.copy()
        for i in order[1:]:
            anchor = whole[before[i]]
            step = (points[i] - anchor) @ inverse
            whole[i] = anchor + points[i] - anchor - np.where(pbc, np.round(step), 0.0) @ cell
        inside = np.isin(one, own)
        lengths = np.linalg.norm(whole[one[inside]] - whole[two[inside]], axis=1)
        # A network: bonds to two images of one atom, or across the cell to one that was placed from the other side.
        twice = len(np.unique(one[inside] * len(members) + two[inside])) < inside.sum()
        if twice or np.abs(lengths - distance[inside]).max() > 1e-3:
            continue
        points[own] = whole[own]
        molecule[members[own]] = found
        found += 1
    positions[members] = points
    return molecule, positions


def names_of_molecules(
    symbols: Sequence[str], *, positions: Array, molecule: Array, cell: Array, pbc: Array
) -> tuple[str, ...]:
    """Name of each molecule 0, 1, ... by its groups, see :func:`qdip_struct.materials.ions.molecule_of`.

    Parameters
    ----------
    symbols, positions, cell, pbc
        As for :func:`find_molecules`.
    molecule
        Number of the molecule of each atom (n,), -1 outside.
    """
    from collections import Counter

    numbers = np.asarray(molecule)
    members = np.flatnonzero(numbers >= 0)
    if len(members) == 0:
        return ()
    names, owner = np.asarray(symbols)[members], numbers[members]
    one, two, distance = _bonds(names, np.asarray(positions)[members], cell=cell, pbc=pbc)
    light = names == "H"
    # A hydrogen belongs to the nearest heavy atom of its molecule.
    kept = np.flatnonzero(~light[one] & light[two] & (owner[one] == owner[two]))
    kept = kept[np.argsort(distance[kept], kind="stable")]
    taken, first = np.unique(two[kept], return_index=True)
    hydrogens = np.bincount(one[kept][first], minlength=len(members))
    loose = light.copy()
    loose[taken] = False
    groups: list[Counter[str]] = [Counter() for _ in range(numbers.max(initial=-1) + 1)]
    for i, (name, number) in enumerate(zip(names, owner, strict=True)):
        if not light[i]:
            groups[number][f"{name}{'H' if hydrogens[i] else ''}{hydrogens[i] if hydrogens[i] > 1 else ''}"] += 1
        elif loose[i]:
            groups[number]["H"] += 1
    return tuple(molecule_of(dict(group)) for group in groups)


_ORGANIC = ("C", "N", "H")
_HALOGENS = {"F": 1.60, "Cl": 2.00, "Br": 2.15, "I": 2.35}
_BONDING = (*_ORGANIC, "O", "S", *_HALOGENS)


def _bonds(names: Array, points: Array, *, cell: Array, pbc: Array) -> tuple[Array, Array, Array]:
    """Bonded pairs of atoms, each both ways, and their lengths, Å."""
    from qdip_struct.builders.atoms.neighbours import neighbour_pairs

    longest = max(_HALOGENS.values())
    one, two, distance = neighbour_pairs(points, targets=points, cell=cell, pbc=pbc, cutoff=longest)
    elements, number = np.unique(names, return_inverse=True)
    table = np.array([[bond_limit(str(a), str(b)) for b in elements] for a in elements])
    limits = table[number[one], number[two]]
    keep = (distance > 0.1) & (distance < limits)
    one, two, distance = one[keep], two[keep], distance[keep]
    # Sulfide and sulfate are no molecules: sulfur counts where it bonds to carbon or hydrogen.
    organic = np.unique(one[(names[one] == "S") & np.isin(names[two], _ORGANIC)])
    loose = (names == "S") & ~np.isin(np.arange(len(names)), organic)
    keep = ~(loose[one] | loose[two])
    return one[keep], two[keep], distance[keep]


def bond_limit(one: str, other: str) -> float:
    """Longest bond of two elements of molecules, Å, 0 where they do not bond: the usual length and about 0.2 Å."""
    pair = {one, other}
    if pair == {"H"}:
        return 0.0
    if pair <= {"C", "N", "O", "H"}:
        return 1.35 if "H" in pair else 0.0 if pair == {"O"} else 1.75
    if "S" in pair:
        return {"H": 1.50, "C": 2.00, "N": 1.85, "O": 1.75}.get(next(iter(pair - {"S"}), ""), 0.0)
    halogen = next((name for name in pair if name in _HALOGENS), "")
    return _HALOGENS[halogen] if halogen and "C" in pair else 0.0


def charge_bearer(symbols: Sequence[str]) -> int:
    """Which atom of a molecule stands for its charge: the first nitrogen, else oxygen, else heavy atom, else atom."""
    for wanted in ("N", "O"):
        if wanted in symbols:
            return list(symbols).index(wanted)
    return next((i for i, symbol in enumerate(symbols) if symbol != "H"), 0)
