"""Making a dot in its matrix neutral by changing as few border sites as possible, one reported change per site.

The rule ``swap``: a negative structure turns that many anions of the dot's border into the matrix's anion (the halide
passivation of a ligand exchange), those with the fewest metal neighbours first (Pauling's electrostatic valence rule,
J. Am. Chem. Soc. 51, 1010 (1929), doi:10.1021/ja01379a006); a positive one turns anions of the matrix's border into
the dot's anion, those with the most metal neighbours of the dot first. Where the anions of the matrix have the higher
charge (CsPbBr3 in PbS), the sides change their parts. The rule ``vacancy`` removes anions of the matrix's border
(negative) or its cations of least charge, in a perovskite the A cations, whole molecules (positive), and where no whole
number of them does, a few border ions of another charge; it also corrects what is left when there are too few anions
to swap.

Of equal sites as many of the cube's symmetries survive as the count allows, and facets share them evenly: among the
subgroups of the 48 operations of the cube (m-3m) that carry the sites onto themselves, the largest is taken whose
orbits add up to the count wanted while the facets share the sites as evenly as a free choice would. What is still equal
is decided by the seed.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.neighbours import nearest_neighbour, neighbour_pairs
from qdip_struct.builders.atoms.regions import formal_charge_of, too_close
from qdip_struct.builders.parsing import Rule

MOST_SITES = 400
"""Larger sets are spread without looking for symmetry."""
_LAYER = 0.5


def choose(points: Array, *, facets: Array, count: int, rng: np.random.Generator) -> Array:
    """Choose ``count`` of ``points``.

    Parameters
    ----------
    points
        (n, 3) Å relative to the centre, in the frame of the cube's axes.
    facets
        Outward unit normals (m, 3).
    count
        How many; all when there are no more.
    rng
        Decides between equals.

    Returns
    -------
    numpy.ndarray
        Numbers of the chosen points.
    """
    if count >= len(points):
        return np.arange(len(points))
    if count == 0:
        return np.zeros(0, dtype=int)
    free = spread(points, facets=facets, count=count, order=rng.permutation(len(points)))
    if len(points) > MOST_SITES:
        return free
    allowed = _unevenness(points, facets=facets, chosen=free)
    found = _symmetric(points, facets=facets, count=count, allowed=allowed, rng=rng)
    return free if found is None else found


def spread(points: Array, *, facets: Array, count: int, order: Array) -> Array:
    """Choose ``count`` of ``points`` one by one so that facets share them evenly and they are far apart.

    Parameters
    ----------
    points
        (n, 3) Å relative to the centre of the dot.
    facets
        Outward unit normals (m, 3).
    count
        How many.
    order
        (n,) permutation that decides between equals.

    Returns
    -------
    numpy.ndarray
        Numbers of the chosen points (count,), in the order of choice.
    """
    if count >= len(points):
        return np.arange(len(points))
    rank = np.empty(len(points), dtype=int)
    rank[order] = np.arange(len(points))
    member = _membership(points, facets=facets)
    weight = member / member.sum(axis=1, keepdims=True)
    load = np.zeros(len(facets))
    apart = np.full(len(points), np.inf)
    total = np.zeros(3)
    taken = np.zeros(len(points), dtype=bool)
    chosen = np.zeros(count, dtype=int)
    for step in range(count):
        peak = np.round((member * (load + weight)).max(axis=1), 6)
        mean = np.round((weight * load).sum(axis=1), 6)
        dipole = np.round(np.linalg.norm(points + total, axis=1), 3)
        free = np.flatnonzero(~taken)
        keys = (rank[free], dipole[free], -np.round(apart[free], 3), mean[free], peak[free])
        best = _first_of(free, keys)
        chosen[step], taken[best] = best, True
        load += weight[best]
        total += points[best]
        apart = np.minimum(apart, np.linalg.norm(points - points[best], axis=1))
    return chosen


def _membership(points: Array, *, facets: Array) -> Array:
    """Which facets each point lies on: the outermost layer of a facet, and the facet it points to most, bool (n, m)."""
    height = points @ facets.T
    return (height >= height.max(axis=0) - _LAYER) | (height >= height.max(axis=1, keepdims=True) - 1e-3)


def _unevenness(points: Array, *, facets: Array, chosen: Array) -> int:
    loads = _membership(points, facets=facets)[chosen].sum(axis=0)
    return int(loads.max() - loads.min())


def _first_of(free: Array, keys: tuple[Array, ...]) -> int:
    """The entry of ``free`` that is smallest by the last key, then by the one before, and so on."""
    left = np.arange(len(free))
    for key in reversed(keys):
        values = key[left]
        left = left[values == values.min()]
        if len(left) == 1:
            break
    return int(free[left[0]])


@lru_cache(maxsize=1)
def cube_operations() -> Array:
    """The 48 operations of the cube as signed permutation matrices, (48, 3, 3)."""
    found = []
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            matrix = np.zeros((3, 3), dtype=int)
            matrix[range(3), order] = signs
            found.append(matrix)
    return np.array(found)


@lru_cache(maxsize=1)
def _subgroups() -> tuple[tuple[int, ...], ...]:
    """The subgroups of the cube's operations (98 with the trivial one, which is left out), largest first."""
    operations = cube_operations()
    code = np.array([1, 3, 9, 27, 81, 243, 729, 2187, 6561])
    keys = (operations.reshape(48, 9) + 1) @ code
    order = np.argsort(keys)
    products = np.einsum("aij,bjk->abik", operations, operations).reshape(48 * 48, 9)
    table = order[np.searchsorted(keys[order], (products + 1) @ code)].reshape(48, 48)

    def closed(members: Array) -> tuple[int, ...]:
        while True:
            grown = np.union1d(members, table[np.ix_(members, members)])
            if len(grown) == len(members):
                return tuple(grown.tolist())
            members = grown

    cyclic = sorted({closed(np.array([index])) for index in range(48)})
    groups = {closed(np.union1d(one, two)) for number, one in enumerate(cyclic) for two in cyclic[: number + 1]}
    inversion = int(np.flatnonzero((operations == -np.eye(3, dtype=int)).all(axis=(1, 2)))[0])
    groups |= {closed(np.union1d(group, inversion)) for group in groups}
    return tuple(sorted((group for group in groups if len(group) > 1), key=lambda group: (-len(group), group)))


def _symmetric(points: Array, *, facets: Array, count: int, allowed: int, rng: np.random.Generator) -> Array | None:
    """The choice of the largest subgroup that is even enough, None when only the identity is left."""
    images = np.full((48, len(points)), -1)
    place = {tuple(row): index for index, row in enumerate(np.rint(points * 20).astype(int).tolist())}
    for number, operation in enumerate(cube_operations()):
        moved = np.rint(points @ operation.T * 20).astype(int).tolist()
        images[number] = [place.get(tuple(row), -1) for row in moved]
    valid = set(np.flatnonzero((images >= 0).all(axis=1)).tolist())
    groups = [group for group in _subgroups() if valid.issuperset(group)]
    luck = rng.random(len(groups))
    for index in sorted(range(len(groups)), key=lambda i: (-len(groups[i]), luck[i])):
        first = images[list(groups[index])].min(axis=0)
        orbits = [np.flatnonzero(first == start) for start in np.unique(first)]
        chosen = _fill(orbits, points=points, facets=facets, count=count)
        if chosen is not None and _unevenness(points, facets=facets, chosen=chosen) <= allowed:
            return chosen
    return None


def _fill(orbits: list[Array], *, points: Array, facets: Array, count: int) -> Array | None:
    """Whole orbits that add up to ``count``, the facets' loads kept low and the sites apart; None when none do."""
    member = _membership(points, facets=facets)
    left, chosen, free = count, np.zeros(0, dtype=int), list(range(len(orbits)))
    sizes = [len(orbit) for orbit in orbits]
    while left:
        best, best_key = -1, (0, 0.0)
        for index in free:
            if sizes[index] > left or not _reachable([sizes[i] for i in free if i != index], left - sizes[index]):
                continue
            tried = np.concatenate([chosen, orbits[index]])
            loads = member[tried].sum(axis=0)
            apart = np.linalg.norm(points[tried][:, None] - points[tried][None], axis=2)
            apart[np.arange(len(tried)), np.arange(len(tried))] = np.inf
            key = (int(loads.max() - loads.min()), -round(float(apart.min()), 3))
            if best < 0 or key < best_key:
                best, best_key = index, key
        if best < 0:
            return None
        chosen = np.concatenate([chosen, orbits[best]])
        left -= sizes[best]
        free.remove(best)
    return chosen


def _reachable(sizes: list[int], goal: int) -> bool:
    """Whether some of ``sizes`` add up to ``goal``."""
    sums = 1
    for size in sizes:
        sums |= sums << size
    return bool(sums >> goal & 1)


NEUTRAL: dict[str, str] = {
    "strict": "border sites are changed until the whole is neutral, or the structure is refused",
    "report": "nothing is changed; the report lists what strict would change",
    "off": "nothing is changed",
}
"""What is done about the charge, by name."""
BORDER = 5.3
"""Atoms with an atom of the other side within this distance (Å) are border sites."""


class UnbalancedError(UsageError):
    """A structure that a rule cannot make neutral, or only by making another dot of it."""


MOST_REPLACED = 0.2
"""Share of a dot's ions that neutrality may replace."""
SHOWN = " (--neutral report shows the changes)"
"""End of a refusal, for those who have that option."""
BOND = 1.3
"""Metal neighbours of an anion are those within this factor of the border's shortest metal–anion distance."""


def pick(centred: Array, *, ranks: Array, facets: Array, count: int, rng: np.random.Generator) -> Array:
    """Take whole classes of ``ranks`` in ascending order, and an even, symmetric part of the last class.

    Parameters
    ----------
    centred
        Sites (n, 3) Å relative to the centre of the dot, in its frame.
    ranks
        (n,) class of each site.
    facets
        Outward unit normals (m, 3) in the same frame.
    count
        How many.
    rng
        Decides between equals.
    """
    order = np.lexsort(np.round(centred, 3).T)
    chosen: list[Array] = []
    left = count
    for rank in np.unique(ranks):
        members = order[ranks[order] == rank]
        picked = choose(centred[members], facets=facets, count=min(left, len(members)), rng=rng)
        chosen.append(members[picked])
        left -= len(picked)
        if left == 0:
            break
    return np.concatenate(chosen) if chosen else np.zeros(0, dtype=int)


def _majority(atoms: Atoms, *, among: Array, what: str) -> str:
    counts = np.bincount(atoms.numbers[among])
    if not counts.any():
        raise UsageError(f"the structure is charged and has no {what} to correct it with; use --neutral report or off")
    return min(chemical_symbols[z] for z in np.flatnonzero(counts == counts.max()))


def neutralise(
    atoms: Atoms, *, centres: Array, facets: Array, rule: Rule = "swap", seed: int = 0
) -> tuple[Atoms, list[dict[str, Any]]]:
    """Change border sites until the formal charge is zero.

    Parameters
    ----------
    atoms
        Structure with the arrays of :mod:`qdip_struct.builders.atoms.regions`, ``dot`` included; it is not changed.
    centres
        Centre of each dot, (k, 3) Å.
    facets
        Outward unit normals (m, 3) over which the changes are spread.
    rule
        ``swap`` or ``vacancy``, see the module.
    seed
        Decides between equal sites.

    Returns
    -------
    atoms, changes
        The neutral structure and one mapping per changed site: ``action`` (swap, remove), ``from``, ``to``,
        ``charge`` (change in e), ``position_angstrom``, ``dot``, ``reason``.

    Raises
    ------
    UsageError
        If dot or matrix has no anions.
    UnbalancedError
        If the border has too few sites of the kind the rule needs, or more than a fifth of a dot would be replaced.
    """
    excess = formal_charge_of(atoms)["total"]
    if excess == 0:
        return atoms, []
    atoms = atoms.copy()
    rng = np.random.default_rng(seed)
    changes: list[dict[str, Any]] = []
    doomed: list[int] = []
    share, more = divmod(abs(excess), len(centres))
    for number in range(len(centres)):
        needed = share + (1 if number < more else 0)
        if needed:
            missing = -int(np.sign(excess)) * needed
            border = _border_of(atoms, number=number, centre=centres[number], missing=missing)
            swaps, swapped, rest, in_dot = _swap(border, rule=rule, facets=facets, rng=rng)
            changes += swaps
            if in_dot and len(swaps) > MOST_REPLACED * len(border.here):
                raise UnbalancedError(
                    f"neutrality would replace {len(swaps)} of the {len(border.here)} ions of the dot, more than "
                    f"{MOST_REPLACED:.0%}: what is left would be another dot{SHOWN}"
                )
            if rest:
                settled = np.array([*swapped, *doomed], dtype=int)
                removals, removed = _remove(border, rest=rest, settled=settled, facets=facets, rng=rng)
                changes += removals
                doomed += removed
    if doomed:
        keep = np.ones(len(atoms), dtype=bool)
        keep[doomed] = False
        atoms = atoms[keep]
    return atoms, changes


@dataclass(frozen=True, eq=False)
class _Border:
    """A dot, the matrix around it, and the charge (e) that is missing there.

    ``here`` and ``there`` number the atoms of the dot and those of the matrix near it; ``centred`` are all positions
    (n, 3) Å relative to the centre of the dot.
    """

    atoms: Atoms
    number: int
    missing: int
    centred: Array
    here: Array
    there: Array

    @property
    def sign(self) -> int:
        """+1 where positive charge is missing, −1 where negative is."""
        return 1 if self.missing > 0 else -1

    def near(self, candidates: Array, *, others: Array) -> Array:
        """Those of ``candidates`` with one of ``others`` across the border."""
        positions, cell, pbc = self.atoms.positions, self.atoms.cell.array, self.atoms.pbc
        near, _ = nearest_neighbour(positions[candidates], targets=positions[others], cell=cell, pbc=pbc, cutoff=BORDER)
        return candidates[np.isfinite(near)]

    def metal_neighbours(self, candidates: Array, *, among: Array) -> Array:
        """Bonded metals of each candidate, counted among the atoms ``among``, (n,)."""
        charge, molecule = self.atoms.get_array("formal_charge"), self.atoms.get_array("molecule")
        metals = among[(charge[among] >= 2) & (molecule[among] < 0)]
        positions, cell, pbc = self.atoms.positions, self.atoms.cell.array, self.atoms.pbc
        return _neighbour_count(positions, candidates=candidates, targets=metals, cell=cell, pbc=pbc)


def _border_of(atoms: Atoms, *, number: int, centre: Array, missing: int) -> _Border:
    owner = atoms.get_array("dot")
    centred = _relative(atoms.positions, centre=centre, cell=atoms.cell.array, pbc=atoms.pbc)
    distance = np.linalg.norm(centred, axis=1)
    here = np.flatnonzero(owner == number)
    there = np.flatnonzero((owner < 0) & (distance <= distance[here].max(initial=0.0) + 2 * BORDER))
    return _Border(atoms, number, missing, centred, here, there)


def _swap(
    border: _Border, *, rule: Rule, facets: Array, rng: np.random.Generator
) -> tuple[list[dict[str, Any]], Array, int, bool]:
    """Turn anions of one side into those of the other, in place; changes, atoms, charge (e) left, if in the dot."""
    atoms, here, there, sign = border.atoms, border.here, border.there, border.sign
    charge, molecule = atoms.get_array("formal_charge"), atoms.get_array("molecule")
    anions = here[(charge[here] < 0) & (molecule[here] < 0)]
    halides = there[(charge[there] < 0) & (molecule[there] < 0)]
    halide = _majority(atoms, among=halides, what="anion in the matrix")
    anion = _majority(atoms, among=anions, what="anion in the dot")
    halides, anions = halides[atoms.symbols[halides] == halide], anions[atoms.symbols[anions] == anion]
    difference, needed = int(charge[halides].max() - charge[anions].max()), abs(border.missing)
    step = abs(difference)
    swaps, rest = divmod(needed, step) if rule == "swap" and step > 0 else (0, needed)
    if not swaps:
        return [], here[:0], rest, False
    # Positive charge comes from the side of the anions of higher charge, negative from the other.
    in_dot = sign * difference > 0
    if in_dot:
        candidates, name = border.near(anions, others=there), halide
        reason = f"anion of the dot with the fewest metal neighbours becomes {halide}"
        ranks = border.metal_neighbours(candidates, among=np.concatenate([here, there]))
        if sign < 0:
            reason = f"anion of the dot with the most metal neighbours in the matrix becomes {halide}"
            ranks = -border.metal_neighbours(candidates, among=there)
        if len(candidates):
            fits = ~_crowds(atoms, candidates=candidates, name=halide, among=there)
            candidates, ranks = candidates[fits], ranks[fits]
    else:
        name, reason = anion, f"anion of the matrix with the most metal neighbours in the dot becomes {anion}"
        candidates = border.near(halides, others=here)
        ranks = -border.metal_neighbours(candidates, among=here)
    if len(candidates) < swaps:
        rest += (swaps - len(candidates)) * step
        swaps = len(candidates)
    if not swaps:
        return [], here[:0], rest, False
    picked = candidates[pick(border.centred[candidates], ranks=ranks, facets=facets, count=swaps, rng=rng)]
    changes = [_change("swap", border, index=index, to=name, charge=sign * step, reason=reason) for index in picked]
    atoms.numbers[picked] = atomic_numbers[name]
    charge[picked] += sign * step
    atoms.set_array("formal_charge", charge)
    return changes, picked, rest, in_dot


def _remove(
    border: _Border, *, rest: int, settled: Array, facets: Array, rng: np.random.Generator
) -> tuple[list[dict[str, Any]], list[int]]:
    """Take ions of the matrix away, none of ``settled``, until they make up the charge ``rest`` (e); changes, atoms."""
    atoms, sign = border.atoms, border.sign
    charge, molecule, positions = atoms.get_array("formal_charge"), atoms.get_array("molecule"), atoms.positions
    untouched = np.setdiff1d(border.there, settled)
    opposite = untouched[np.sign(charge[untouched]) == -sign]
    unit = int(np.abs(charge[opposite]).min(initial=99))
    pool = opposite[np.abs(charge[opposite]) == unit]
    distance, _ = nearest_neighbour(
        positions[pool], targets=positions[border.here], cell=atoms.cell.array, pbc=atoms.pbc, cutoff=2 * BORDER
    )
    pool, distance = pool[np.isfinite(distance)], distance[np.isfinite(distance)]
    odd = _odd_ones(border, rest=rest, unit=unit, settled=settled, facets=facets, rng=rng)
    rest -= sign * int(-charge[odd].sum())
    if len(pool) * unit < rest or rest < 0 or rest % unit:
        raise UnbalancedError(
            f"the structure has a formal charge of {-border.missing:+d} e and the matrix {len(pool)} ions of "
            f"{-sign * unit:+d} e within {2 * BORDER:g} Å of the dot to remove, which cannot balance it; another size, "
            "centre or termination may, and --neutral report leaves it charged"
        )
    ranks = np.round(distance, 2)
    gone = pool[pick(border.centred[pool], ranks=ranks, facets=facets, count=rest // unit, rng=rng)]
    changes: list[dict[str, Any]] = []
    removed: list[int] = []
    nearest, last = "border ion nearest to the dot leaves", "border ion leaves whose charge makes up the rest"
    for index in np.concatenate([gone, odd]):
        removed += [int(index)] if molecule[index] < 0 else np.flatnonzero(molecule == molecule[index]).tolist()
        reason = last if index in odd else nearest
        changes.append(_change("remove", border, index=index, to=None, charge=-int(charge[index]), reason=reason))
    return changes, removed


def _odd_ones(
    border: _Border, *, rest: int, unit: int, settled: Array, facets: Array, rng: np.random.Generator
) -> Array:
    """The fewest border ions of another charge, of dot or matrix, that leave a multiple of ``unit`` of ``rest`` (e)."""
    if rest % unit == 0:
        return np.zeros(0, dtype=int)
    charge = border.atoms.get_array("formal_charge")
    sides = ((border.here, border.there), (border.there, border.here))
    found: list[tuple[int, int, int, Array]] = []
    for mine, others in sides:
        near = border.near(np.setdiff1d(mine[charge[mine] != 0], settled), others=others)
        for value in np.unique(charge[near]):
            gain = -int(value) * border.sign
            counts = [n for n in range(1, unit + 1) if (rest - n * gain) % unit == 0 and rest - n * gain >= 0]
            members = near[charge[near] == value]
            if counts and len(members) >= counts[0]:
                found.append((counts[0], abs(gain), len(found), members))
    if not found:
        return np.zeros(0, dtype=int)
    count, _, _, members = min(found, key=lambda entry: entry[:3])
    ranks = -np.round(np.linalg.norm(border.centred[members], axis=1), 2)
    return members[pick(border.centred[members], ranks=ranks, facets=facets, count=count, rng=rng)]


def _relative(positions: Array, *, centre: Array, cell: Array, pbc: Array) -> Array:
    """Positions relative to ``centre``, each by its image nearest in fractional coordinates."""
    fractional = (positions - centre) @ np.linalg.inv(cell) if np.any(pbc) else np.zeros_like(positions)
    return positions - centre - np.where(pbc, np.round(fractional - 1e-9), 0.0) @ cell


def _neighbour_count(positions: Array, *, candidates: Array, targets: Array, cell: Array, pbc: Array) -> Array:
    reach = 4.5
    who, _, distance = neighbour_pairs(
        positions[candidates], targets=positions[targets], cell=cell, pbc=pbc, cutoff=reach
    )
    if not len(distance):
        return np.zeros(len(candidates), dtype=int)
    bonded = distance <= BOND * distance.min()
    return np.bincount(who[bonded], minlength=len(candidates))


def _crowds(atoms: Atoms, *, candidates: Array, name: str, among: Array) -> Array:
    """Whether an ion ``name`` in the place of a candidate would come too close to one of ``among``, bool (n,)."""
    return too_close(
        atoms.positions[candidates],
        numbers=np.full(len(candidates), atomic_numbers[name]),
        targets=atoms.positions[among],
        target_numbers=atoms.numbers[among],
        cell=atoms.cell.array,
        pbc=atoms.pbc,
    )


def _change(action: str, border: _Border, *, index: int, to: str | None, charge: int, reason: str) -> dict[str, Any]:
    atoms = border.atoms
    return {
        "action": action,
        "from": "molecular ion" if atoms.get_array("molecule")[index] >= 0 else atoms.symbols[index],
        "to": to,
        "charge": int(charge),
        "position_angstrom": np.round(atoms.positions[index], 4).tolist(),
        "dot": border.number,
        "reason": reason,
    }
