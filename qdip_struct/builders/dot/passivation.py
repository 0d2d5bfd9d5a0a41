"""The surface of a free dot: loose ions off, stoichiometric or metal-rich, halide ligands and counter-ions on it.

Everything is decided on sites (molecular ions are one point) and every changed site is reported.
"""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
from scipy.spatial import cKDTree

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import sites_of_crystal
from qdip_struct.builders.dot.dot import DotSites, block
from qdip_struct.builders.dot.neutrality import pick
from qdip_struct.builders.dot.parent import centre_point
from qdip_struct.builders.parsing import Surface
from qdip_struct.materials.ions import FORMAL_CHARGES, IONIC_RADII_ANGSTROM

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
        Halide that makes the dot neutral: it takes empty anion places beside surface metals when the dot is positive
        (places with most metal neighbours first), and replaces surface anions when it is negative (ligand exchange).
    counter_ion
        Ion of charge +1 (``MA``, ``Cs``): then halides take every empty anion place that it can balance.
    seed
        Decides between equal sites.

    Returns
    -------
    dot, changes
        Sites with regions ``dot``, ``shell``, ``ligand``, and one mapping per change.

    Raises
    ------
    UsageError
        If an ion has the wrong charge or the surface has too few places.
    """
    if surface not in SURFACES:
        raise UsageError(f"unknown surface '{surface}'; known: {', '.join(SURFACES)}")
    if ligand is not None and FORMAL_CHARGES.get(ligand) != -1:
        raise UsageError(f"the ligand is '{ligand}'; expected a halide: F, Cl, Br or I")
    if counter_ion is not None and (ligand is None or FORMAL_CHARGES.get(counter_ion) != 1):
        raise UsageError(f"the counter-ion '{counter_ion}' needs a charge of +1 and a halide ligand beside it")
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
    if excess < 0 and counter_ion is None:
        return _exchanged(dot, ligand=ligand, count=-excess, rng=rng)
    places, outward, ranks = _empty_places(dot, ligand=ligand)
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
    chosen = members[pick(points, ranks=bonds[members], facets=dot.shape.facets, count=count, rng=rng)]
    changes = [
        {**change, "action": "swap", "to": ligand, "charge": 1}
        for change in _removed(dot, chosen, reason="surface anion with the fewest metal neighbours, exchanged")
    ]
    species, region = dot.sites.species.astype("U2"), dot.region.copy()
    species[chosen], region[chosen] = ligand, "ligand"
    return replace(dot, sites=replace(dot.sites, species=species), region=region), changes


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
