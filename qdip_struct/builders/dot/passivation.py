"""The surface of a free dot: loose ions off, stoichiometric or metal-rich, ligands and counter-ions on it.

Everything is decided on sites (molecular ions are one point) and every changed site is reported. A molecular ligand
stands upright on the surface: a carboxylate with its oxygens towards a metal, an ammonium ion with its nitrogen towards
an anion, as near as :func:`clearance` allows, turned about the normal so that it fits; what does not fit is not put
there. These are starting geometries, to be relaxed.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
from scipy.spatial import cKDTree

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import sites_of_crystal
from qdip_struct.builders.atoms.molecules import Molecule, library
from qdip_struct.builders.dot.dot import DotSites, block, dot_atoms
from qdip_struct.builders.dot.neutrality import pick
from qdip_struct.builders.dot.parent import centre_point
from qdip_struct.builders.parsing import Surface
from qdip_struct.materials.ions import (
    FORMAL_CHARGES,
    IONIC_RADII_ANGSTROM,
    IONS,
    MOLECULES,
    TOUCHING_RADII_ANGSTROM,
    ion_called,
)

SURFACES: tuple[str, ...] = get_args(Surface)
BONDED = 1.25
"""Ions of opposite charge are bonded within this factor of the crystal's shortest distance."""
FEWEST = 2
"""An ion with fewer bonds than this is loose and leaves."""
_APART = 5.5


def passivate(
    dot: DotSites,
    *,
    surface: Surface = "as-cut",
    ligand: str | None = None,
    counter_ion: str | None = None,
    seed: int = 0,
) -> tuple[DotSites, list[dict[str, Any]]]:
    """Finish the surface of a dot.

    Parameters
    ----------
    dot
        As cut.
    surface
        ``as-cut``; ``stoichiometric``: the ions in excess leave, those with the fewest bonds first; ``metal-rich``:
        every anion that lacks a metal neighbour leaves.
    ligand
        What makes the dot neutral. A halide or a carboxylate (``OAc`` or ``acetate``, ``HCOO``, ``OA``): it takes empty
        anion places beside surface metals when the dot is positive (places with most metal neighbours first), and
        replaces surface anions when it is negative (ligand exchange). A molecular cation (``PEA``, ``MA``): it stands
        on surface anions of a dot that is negative.
    counter_ion
        Ion of charge +1 (``MA``, ``Cs``, ``PEA``): then halides take every empty anion place that it can balance.
    seed
        Decides between equal sites.

    Returns
    -------
    dot, changes
        Sites with regions ``dot``, ``shell``, ``ligand``, and one mapping per change.

    Raises
    ------
    UsageError
        If an ion has the wrong charge or no geometry, or the surface has too few places.
    """
    if surface not in SURFACES:
        raise UsageError(f"unknown surface '{surface}'; known: {', '.join(SURFACES)}")
    ligand = None if ligand is None else ion_called(ligand)
    counter_ion = None if counter_ion is None else ion_called(counter_ion)
    molecular = ligand in MOLECULES
    charge = 0 if ligand not in IONS else IONS[ligand].charge or 0
    if ligand is not None and (abs(charge) != 1 or not (molecular or IONS[ligand].site == "halide")):
        raise UsageError(
            f"the ligand is '{ligand}'; expected a halide: F, Cl, Br or I, or a molecular ion of one charge: acetate, "
            "formate, oleate, PEA, BA, MA"
        )
    if counter_ion is not None and (ligand is None or molecular or FORMAL_CHARGES.get(counter_ion) != 1):
        raise UsageError(f"the counter-ion '{counter_ion}' needs a charge of +1 and a halide ligand beside it")
    for name in (ligand, counter_ion):
        if name in MOLECULES:
            library(str(name))
    rng = np.random.default_rng(seed)
    dot, changes = _without_loose(dot)
    if surface == "metal-rich":
        bonds = _bonds(dot)
        bare = (dot.sites.sublattice == "anion") & (bonds < _full(dot))
        changes += _removed(dot, np.flatnonzero(bare), reason="anion that lacks a metal neighbour")
        dot = _keep(dot, ~bare)
    if surface == "stoichiometric":
        dot, more = _stoichiometric(dot, rng=rng)
        changes += more
    if ligand is not None:
        dot, more = _with_ligands(dot, ligand=ligand, counter_ion=counter_ion, rng=rng)
        changes += more
    return dot, changes


def charge_of(dot: DotSites) -> int:
    """Formal charge of the sites in e."""
    return int(dot.sites.charges.sum())


def _bond_length(dot: DotSites) -> float:
    """Shortest distance between opposite ions of the crystal, Å."""
    sites = sites_of_crystal(dot.crystal)
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ sites.cell
    anions = (sites.positions[sites.sublattice == "anion"][None] + steps[:, None]).reshape(-1, 3)
    return float(np.linalg.norm(anions - sites.positions[sites.sublattice == "cation"][0], axis=1).min())


def _full(dot: DotSites) -> int:
    return 6 if dot.crystal.structure_type == "rocksalt" else 4


def _bonds(dot: DotSites) -> Array:
    """Number of bonded opposite ions of each site (n,)."""
    reach, metal = BONDED * _bond_length(dot), dot.sites.sublattice == "cation"
    counts = np.zeros(len(metal), dtype=int)
    for mine, others in ((metal, ~metal), (~metal, metal)):
        if mine.any() and others.any():
            tree = cKDTree(dot.sites.positions[others])
            counts[mine] = tree.query_ball_point(dot.sites.positions[mine], reach, return_length=True)
    return counts


def _keep(dot: DotSites, keep: Array) -> DotSites:
    if not keep.any():
        raise UsageError("no ion of the dot is left after finishing its surface; give a larger dot")
    return replace(dot, sites=dot.sites.take(np.flatnonzero(keep)), region=dot.region[keep])


def _removed(dot: DotSites, index: Array, *, reason: str) -> list[dict[str, Any]]:
    charges = dot.sites.charges
    return [
        {
            "action": "remove",
            "from": str(dot.sites.species[i]),
            "to": None,
            "charge": -int(charges[i]),
            "position_angstrom": np.round(dot.sites.positions[i], 4).tolist(),
            "dot": 0,
            "reason": reason,
        }
        for i in index
    ]


def _without_loose(dot: DotSites) -> tuple[DotSites, list[dict[str, Any]]]:
    """Take off ions with fewer than :data:`FEWEST` bonds until none is left."""
    changes: list[dict[str, Any]] = []
    while True:
        loose = _bonds(dot) < FEWEST
        if not loose.any():
            return dot, changes
        changes += _removed(dot, np.flatnonzero(loose), reason=f"fewer than {FEWEST} bonds")
        dot = _keep(dot, ~loose)


def _stoichiometric(dot: DotSites, *, rng: np.random.Generator) -> tuple[DotSites, list[dict[str, Any]]]:
    """Take off the least bonded ions of the sign in excess until the charge is zero."""
    changes: list[dict[str, Any]] = []
    while (excess := charge_of(dot)) != 0:
        charges = dot.sites.charges
        members = np.flatnonzero(np.sign(charges) == np.sign(excess))
        members = members[np.abs(charges[members]) == np.abs(charges[members]).min()]
        count, rest = divmod(abs(excess), int(abs(charges[members[0]])))
        if rest:
            raise UsageError(f"a charge of {excess:+d} e is no whole number of {dot.sites.species[members[0]]} ions")
        points = dot.sites.positions[members]
        chosen = pick(points, ranks=_bonds(dot)[members], facets=dot.shape.facets, count=count, rng=rng)
        keep = np.ones(len(charges), dtype=bool)
        keep[members[chosen]] = False
        changes += _removed(dot, members[chosen], reason="ion in excess with the fewest bonds")
        dot, more = _without_loose(_keep(dot, keep))
        changes += more
    return dot, changes


def _with_ligands(
    dot: DotSites, *, ligand: str, counter_ion: str | None, rng: np.random.Generator
) -> tuple[DotSites, list[dict[str, Any]]]:
    excess = charge_of(dot)
    if FORMAL_CHARGES[ligand] > 0:
        return _with_cations(dot, name=ligand, rng=rng)
    if excess < 0 and counter_ion is None:
        return _exchanged(dot, ligand=ligand, count=-excess, rng=rng)
    places, outward, ranks = _empty_places(dot, ligand=ligand if ligand not in MOLECULES else "O")
    if ligand in MOLECULES:
        order = pick(places, ranks=-ranks, facets=dot.shape.facets, count=len(places), rng=rng)
        standing = stand_on(dot, name=ligand, places=places[order], outward=outward[order], count=excess)
        if len(standing) < excess:
            raise UsageError(
                f"the dot has {excess:+d} e but room for {len(standing)} {ligand} at its surface; take a smaller "
                "ligand, the stoichiometric surface or another shape"
            )
        return _stood(dot, name=ligand, standing=standing)
    if counter_ion in MOLECULES and counter_ion not in IONIC_RADII_ANGSTROM:
        return _with_pairs(dot, halide=ligand, cation=str(counter_ion), places=places, outward=outward, ranks=ranks,
                           rng=rng)  # fmt: skip
    wanted, cations = excess, np.zeros((0, 3))
    if counter_ion is not None:
        away = IONIC_RADII_ANGSTROM[ligand] + IONIC_RADII_ANGSTROM[counter_ion]
        posts = _counter_places(dot, places=places, outward=outward, away=away)
        wanted = min(len(places), excess + len(posts))
        if wanted < max(excess, 0) or wanted - excess > len(posts):
            raise UsageError(
                f"the dot has {excess:+d} e and too few places for {counter_ion}; leave the counter-ion out"
            )
        order = pick(posts, ranks=np.zeros(len(posts)), facets=dot.shape.facets, count=wanted - excess, rng=rng)
        cations = posts[order]
    if wanted > len(places):
        raise UsageError(
            f"the dot has {excess:+d} e but only {len(places)} empty anion places for {ligand} at its surface; "
            "take the stoichiometric surface or another shape"
        )
    chosen = pick(places, ranks=-ranks, facets=dot.shape.facets, count=wanted, rng=rng)
    added = [(ligand, point) for point in places[chosen]] + [(str(counter_ion), point) for point in cations]
    if not added:
        return dot, []
    return _appended(dot, added), [_addition(name, point) for name, point in added]


def _exchanged(
    dot: DotSites, *, ligand: str, count: int, rng: np.random.Generator
) -> tuple[DotSites, list[dict[str, Any]]]:
    """Turn ``count`` surface anions into ligands, those with the fewest metal neighbours first."""
    bonds = _bonds(dot)
    members = np.flatnonzero((dot.sites.charges == -2) & (bonds < _full(dot)))
    if len(members) < count:
        raise UsageError(f"the dot has {-count:+d} e but only {len(members)} surface anions to exchange for {ligand}")
    points = dot.sites.positions[members]
    if ligand in MOLECULES:
        return _exchanged_whole(dot, ligand=ligand, count=count, members=members, ranks=bonds[members], rng=rng)
    chosen = members[pick(points, ranks=bonds[members], facets=dot.shape.facets, count=count, rng=rng)]
    changes = [
        {**change, "action": "swap", "to": ligand, "charge": 1}
        for change in _removed(dot, chosen, reason="surface anion with the fewest metal neighbours, exchanged")
    ]
    species, region = dot.sites.species.astype("U2"), dot.region.copy()
    species[chosen], region[chosen] = ligand, "ligand"
    return replace(dot, sites=replace(dot.sites, species=species), region=region), changes


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
_BOUND = 1.25
"""The head of a molecule is bound when an ion of the other sign is within this factor of the clearance."""


def stand_on(
    dot: DotSites, *, name: str, places: Array, outward: Array, count: int, others: Sequence[tuple[str, Array]] = ()
) -> list[Standing]:
    """Put up to ``count`` molecules upright on places, in their order, where they fit beside each other and the dot.

    Parameters
    ----------
    dot
        With what is there already.
    name
        Molecular ion; its head is what binds: the oxygens of an anion, a nitrogen of a cation.
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
    unit = library(name)
    symbols = list(unit.symbols)
    head = [k for k, s in enumerate(symbols) if s == ("N" if FORMAL_CHARGES[name] > 0 else "O")]
    head = head[:1] if FORMAL_CHARGES[name] > 0 else head
    foot = unit.array[head].mean(axis=0)
    axis = -foot if np.linalg.norm(foot) > 0.1 else np.array([1.0, 0.0, 0.0])
    limits = {other: np.array([clearance(symbol, other) for symbol in symbols]) for other in {*names, *symbols}}
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
        turned = [_upright(unit.array - foot, axis=axis, normal=normal, turn=turn) for turn in range(_TURNS)]
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


def _stood(dot: DotSites, *, name: str, standing: Sequence[Standing]) -> tuple[DotSites, list[dict[str, Any]]]:
    """The dot with molecules on it, and one change for each."""
    if not standing:
        return dot, []
    sites = dot.sites
    grown = _appended(dot, [(name, entry.centre) for entry in standing])
    template = grown.sites.template.copy()
    template[len(sites) :] = len(sites.templates) + np.arange(len(standing))
    units = (*sites.templates, *(entry.unit for entry in standing))
    grown = replace(grown, sites=replace(grown.sites, template=template, templates=units))
    return grown, [_addition(name, entry.centre) for entry in standing]


def _exchanged_whole(
    dot: DotSites, *, ligand: str, count: int, members: Array, ranks: Array, rng: np.random.Generator
) -> tuple[DotSites, list[dict[str, Any]]]:
    """Take surface anions away, each for a molecular anion on its metals, those with the fewest metals first."""
    points = dot.sites.positions[members]
    order = pick(points, ranks=ranks, facets=dot.shape.facets, count=len(members), rng=rng)
    bare, gone, standing = dot, list[int](), list[Standing]()
    for place in order:
        if len(standing) == count:
            break
        index = members[place]
        keep = np.ones(len(dot.sites), dtype=bool)
        keep[[*gone, index]] = False
        tried = _stood(_keep(dot, keep), name=ligand, standing=standing)[0]
        outward = _away(tried, dot.sites.positions[[index]])
        if one := stand_on(tried, name=ligand, places=dot.sites.positions[[index]], outward=outward, count=1):
            gone.append(int(index))
            standing += one
            bare = _keep(dot, keep)
    if len(standing) < count:
        raise UsageError(
            f"the dot has {-count:+d} e but room for {len(standing)} {ligand} in the place of its surface anions; take "
            "a smaller ligand, the stoichiometric surface or another shape"
        )
    removed = _removed(dot, np.array(gone), reason="surface anion with the fewest metal neighbours, exchanged")
    grown, added = _stood(bare, name=ligand, standing=standing)
    return grown, [*removed, *added]


def _away(dot: DotSites, points: Array) -> Array:
    """Directions (n, 3) away from the nearest metals of points (n, 3) Å, or from the centre where these surround it."""
    metals = dot.sites.positions[dot.sites.sublattice == "cation"]
    near = cKDTree(metals).query_ball_point(points, BONDED * _bond_length(dot))
    middle = np.array([metals[found].mean(axis=0) if found else (0.0, 0.0, 0.0) for found in near]).reshape(-1, 3)
    away, radial = points - middle, points / np.linalg.norm(points, axis=1, keepdims=True)
    size = np.linalg.norm(away, axis=1, keepdims=True)
    return np.where(size > 0.1, away / np.maximum(size, 1e-9), radial)


def _with_cations(dot: DotSites, *, name: str, rng: np.random.Generator) -> tuple[DotSites, list[dict[str, Any]]]:
    """Stand molecular cations on the surface anions of a negative dot until it is neutral."""
    missing = -charge_of(dot)
    if missing < 0:
        raise UsageError(f"the dot has {-missing:+d} e: {name} is a cation; give a halide or a carboxylate as ligand")
    bonds = _bonds(dot)
    members = np.flatnonzero((dot.sites.charges < 0) & (bonds < _full(dot)))
    points = dot.sites.positions[members]
    order = pick(points, ranks=bonds[members], facets=dot.shape.facets, count=len(members), rng=rng)
    places = points[order]
    standing = stand_on(dot, name=name, places=places, outward=_away(dot, places), count=missing)
    if len(standing) < missing:
        raise UsageError(
            f"the dot has {-missing:+d} e but room for {len(standing)} {name} on its surface anions; take a smaller "
            "cation, the stoichiometric surface or another shape"
        )
    return _stood(dot, name=name, standing=standing)


def _with_pairs(
    dot: DotSites, *, halide: str, cation: str, places: Array, outward: Array, ranks: Array, rng: np.random.Generator
) -> tuple[DotSites, list[dict[str, Any]]]:
    """Halides in empty anion places with molecular cations on them, as many as fit and leave the dot neutral.

    A negative dot gets the cations that it lacks first, on its own anions.
    """
    excess = charge_of(dot)
    changes: list[dict[str, Any]] = []
    if excess < 0:
        dot, changes = _with_cations(dot, name=cation, rng=rng)
        atoms = dot_atoms(dot)
        on = atoms.get_array("molecule") >= 0
        limits = np.array([clearance(symbol, halide) for symbol in np.array(atoms.get_chemical_symbols())[on]])
        apart = np.linalg.norm(places[:, None] - atoms.positions[on][None], axis=2)
        free = (apart >= limits).all(axis=1)
        places, outward, ranks = places[free], outward[free], ranks[free]
        excess = 0
    order = pick(places, ranks=-ranks, facets=dot.shape.facets, count=len(places), rng=rng)
    places, outward = places[order], outward[order]
    halides = [(halide, point) for point in places]
    found = stand_on(dot, name=cation, places=places, outward=outward, count=len(places), others=halides)
    wanted = min(len(places), excess + len(found))
    if wanted < excess:
        raise UsageError(f"the dot has {excess:+d} e and too few places for {halide}; take another shape")
    standing = found[: wanted - excess]
    # Those under a cation first: none stands on a place that is left empty.
    under = [entry.place for entry in standing]
    filled = [*under, *(place for place in range(len(places)) if place not in under)][:wanted]
    added = [halides[place] for place in sorted(filled)]
    with_halides = _appended(dot, added) if added else dot
    grown, more = _stood(with_halides, name=cation, standing=standing)
    return grown, [*changes, *(_addition(name, point) for name, point in added), *more]


def _empty_places(dot: DotSites, *, ligand: str) -> tuple[Array, Array, Array]:
    """Empty anion places bonded to the dot's metals: positions for ``ligand`` (n, 3), outward unit vectors, bonds."""
    length = _bond_length(dot)
    radius = float(np.linalg.norm(dot.sites.positions, axis=1).max()) + 2 * length
    around = block(dot.crystal, radius=radius, origin=centre_point(dot.crystal, center=dot.center))
    points = around.positions[around.sublattice == "anion"]
    points = points[np.lexsort(np.round(points, 4).T)]
    taken, _ = cKDTree(dot.sites.positions).query(points)
    points = points[taken > 0.1]
    metals = dot.sites.positions[dot.sites.sublattice == "cation"]
    neighbours = cKDTree(metals).query_ball_point(points, BONDED * length)
    bonds = np.array([len(found) for found in neighbours], dtype=int)
    points, neighbours = points[bonds > 0], [found for found in neighbours if found]
    middle = np.array([metals[found].mean(axis=0) for found in neighbours]).reshape(-1, 3)
    away = points - middle
    size = np.linalg.norm(away, axis=1, keepdims=True)
    radial = points / np.linalg.norm(points, axis=1, keepdims=True)
    outward = np.where(size > 0.1, away / np.maximum(size, 1e-9), radial)
    metal = str(dot.sites.species[dot.sites.sublattice == "cation"][0])
    anion = str(dot.sites.species[dot.sites.sublattice == "anion"][0])
    wanted = IONIC_RADII_ANGSTROM[metal] + IONIC_RADII_ANGSTROM[ligand]
    longer = length * (wanted / (IONIC_RADII_ANGSTROM[metal] + IONIC_RADII_ANGSTROM[anion]) - 1.0)
    return points + np.where(size > 0.1, outward * longer, 0.0), outward, bonds[bonds > 0]


def _counter_places(dot: DotSites, *, places: Array, outward: Array, away: float) -> Array:
    """Places for counter-ions above the ligands, at least 5.5 Å from each other and ``away`` from ligands, (n, 3)."""
    posts = places + outward * away
    near, _ = cKDTree(np.concatenate([dot.sites.positions, places])).query(posts)
    posts = posts[near > away - 0.05]
    free = np.ones(len(posts), dtype=bool)
    chosen = []
    for index in range(len(posts)):
        if free[index]:
            chosen.append(index)
            free &= np.linalg.norm(posts - posts[index], axis=1) > _APART
    return posts[chosen]


def _appended(dot: DotSites, added: list[tuple[str, Array]]) -> DotSites:
    sites, n = dot.sites, len(added)
    names = np.array([name for name, _ in added])
    charge = np.array([FORMAL_CHARGES[str(name)] for name in names])
    grown = replace(
        sites,
        positions=np.concatenate([sites.positions, np.array([point for _, point in added])]),
        species=np.concatenate([sites.species, names]),
        sublattice=np.concatenate([sites.sublattice, np.where(charge > 0, "A", "X")]),
        template=np.concatenate([sites.template, np.full(n, -1)]),
    )
    return replace(dot, sites=grown, region=np.concatenate([dot.region, np.full(n, "ligand", dtype="U9")]))


def _addition(name: str, point: Array) -> dict[str, Any]:
    return {
        "action": "add", "from": None, "to": name, "charge": FORMAL_CHARGES[name],
        "position_angstrom": np.round(point, 4).tolist(), "dot": 0, "reason": "ligand shell",
    }  # fmt: skip
