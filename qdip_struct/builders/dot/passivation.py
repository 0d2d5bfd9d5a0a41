"""The surface of a free dot: loose ions off, stoichiometric or metal-rich, ligands and counter-ions on it.

Everything is decided on sites (molecular ions are one point) and every changed site is reported. How firmly an ion is
held is the sum of the strengths of its bonds over its charge, a bond being as strong as the charge of its cation over
the number of anions around it (L. Pauling, J. Am. Chem. Soc. 51, 1010 (1929), doi:10.1021/ja01379a006): 1 inside the
crystal, for binaries the share of bonds that is left, and comparable between the ions of ternary crystals.

Long because every way to a neutral surface, with ions or with molecules, asks the same bonds.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm
from typing import Any, get_args

import numpy as np
from scipy.spatial import cKDTree

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import SiteCell, sites_of_crystal
from qdip_struct.builders.atoms.molecules import library
from qdip_struct.builders.atoms.neighbours import neighbour_pairs
from qdip_struct.builders.atoms.regions import contact_limit
from qdip_struct.builders.dot.dot import DotSites, block, cut_dot, dot_atoms, other_centers
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.builders.dot.ligands import Standing, clearance, stand_on
from qdip_struct.builders.dot.neutrality import MOST_REPLACED, pick
from qdip_struct.builders.dot.parent import centre_point
from qdip_struct.builders.parsing import Surface
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.ions import (
    CONTACT_RADII_ANGSTROM,
    FORMAL_CHARGES,
    IONIC_RADII_ANGSTROM,
    IONS,
    MOLECULES,
    charge_of_ion,
    ion_called,
)

SURFACES: tuple[str, ...] = get_args(Surface)
BONDED = 1.25
"""Anions are bonded to a cation within this factor of its shortest distance to one."""
FEWEST = 2
"""An ion with fewer bonds than this is loose and leaves."""
LOOSE = 0.25
"""So is one that is held by less than this share of its charge."""
_FAR = 8.0


@dataclass(frozen=True, eq=False)
class _Bonding:
    """Bonds inside a crystal, by species, and by sublattice for species that stand in another's place.

    ``reach`` is the longest bond of a cation, Å, the limit lying midway to the next anion; ``full`` the number of
    bonds of an ion, of several unequal sites the mean; ``least`` the smallest of them; ``length`` the shortest bond.
    """

    reach: Mapping[str, float]
    full: Mapping[str, float]
    least: Mapping[str, int]
    length: float

    def of(self, table: str, *, species: str, sublattice: str) -> float:
        values: Mapping[str, float] = getattr(self, table)
        return values[species] if species in values else values[sublattice]


@lru_cache(maxsize=64)
def _bonding(crystal: Crystal) -> _Bonding:
    sites = sites_of_crystal(crystal)
    cations, anions = np.flatnonzero(sites.charges > 0), np.flatnonzero(sites.charges < 0)
    if not len(cations) or not len(anions):
        raise UsageError(f"{crystal.name} holds no cations and anions; the surface of a free dot is that of a salt")
    names = {"species": sites.species, "sublattice": sites.sublattice}
    who, whom, apart = neighbour_pairs(
        sites.positions[cations], targets=sites.positions[anions], cell=sites.cell, pbc=np.ones(3, bool), cutoff=_FAR
    )
    _refuse_pairs(sites, anions=anions, shortest=float(apart.min(initial=np.inf)), name=crystal.name)
    reach: dict[str, float] = {}
    for labels in names.values():
        for label in np.unique(labels[cations]):
            own = np.sort(apart[labels[cations][who] == label])
            last = own[own <= BONDED * own[0]][-1]
            after = own[own > BONDED * own[0]]
            reach.setdefault(str(label), float((last + min(after[0] if len(after) else _FAR, 1.5 * last)) / 2))
    bonded = apart <= np.array([reach[str(name)] for name in sites.species[cations]])[who]
    counts = np.zeros(len(sites), dtype=int)
    counts[cations] = np.bincount(who[bonded], minlength=len(cations))
    counts[anions] = np.bincount(whom[bonded], minlength=len(anions))
    full: dict[str, float] = {}
    least: dict[str, int] = {}
    for labels in names.values():
        for label in np.unique(labels):
            full.setdefault(str(label), float(counts[labels == label].mean()))
            least.setdefault(str(label), int(counts[labels == label].min()))
    return _Bonding(reach, full, least, float(apart.min()))


def _refuse_pairs(sites: SiteCell, *, anions: Array, shortest: float, name: str) -> None:
    """Refuse crystals whose anions are bonded to each other (S–S in pyrite): a cut would split these ions."""
    points = sites.positions[anions]
    who, whom, apart = neighbour_pairs(points, targets=points, cell=sites.cell, pbc=np.ones(3, bool), cutoff=shortest)
    close = apart > 0.1
    if close.any():
        first = int(np.flatnonzero(close)[0])
        pair = "–".join(str(sites.species[anions[index]]) for index in (who[first], whom[first]))
        raise UsageError(
            f"{name} holds pairs {pair} of {apart[close].min():.2f} Å, closer than any cation and anion: a cut "
            "would split these ions; finish such a dot elsewhere and put it in as a file (build embed --dot FILE)"
        )


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
        ``as-cut``; ``stoichiometric``: of every kind of ion those leave that are more than the crystal's composition
        allows, those held least first, so that whole formula units are left and the charge is zero; ``metal-rich``:
        every anion that lacks a bond leaves.
    ligand
        What makes the dot neutral. A halide or a carboxylate (``OAc`` or ``acetate``, ``HCOO``, ``OA``): it takes empty
        anion places beside surface cations when the dot is positive (places held most firmly first; where too few hold
        it firmly, A cations of a perovskite's surface leave), and replaces surface anions of higher charge when it is
        negative (ligand exchange); of a halide, surface anions leave instead. A molecular cation (``PEA``, ``MA``): it
        stands on surface anions of a dot that is negative; see :mod:`qdip_struct.builders.dot.ligands`.
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
        bare = (dot.sites.charges < 0) & _lacking(dot)
        changes += _removed(dot, np.flatnonzero(bare), reason="anion that lacks a metal neighbour")
        dot = _keep(dot, ~bare)
    if surface == "stoichiometric":
        dot, more = _stoichiometric(dot, rng=rng)
        changes += more
    if ligand is not None:
        dot, more = _with_ligands(dot, ligand=ligand, counter_ion=counter_ion, rng=rng)
        changes += more
    return dot, changes


def finished_dot(
    core: Crystal,
    *,
    form: DotForm,
    surface: Surface = "as-cut",
    ligand: str | None = None,
    counter_ion: str | None = None,
    seed: int = 0,
) -> tuple[DotSites, list[dict[str, Any]], float]:
    """Cut a dot and finish its surface; a centre ``auto`` moves where the first one leaves too much to change.

    Parameters
    ----------
    core
        Crystal at the lattice constant wanted.
    form
        What is cut.
    surface, ligand, counter_ion, seed
        See :func:`passivate`.

    Returns
    -------
    dot, changes, share
        As :func:`passivate`, and the share (0–1) of the ions as cut that was removed or replaced.

    Raises
    ------
    UsageError
        As :func:`cut_dot`, :func:`passivate` and :func:`check_replaced`; of all centres where the centre is ``auto``.
    """

    def finished(about: DotForm) -> tuple[DotSites, list[dict[str, Any]], float]:
        raw = cut_dot(core, form=about, seed=seed)
        dot, changes = passivate(raw, surface=surface, ligand=ligand, counter_ion=counter_ion, seed=seed)
        return dot, changes, check_replaced(raw, changes=changes, surface=surface)

    try:
        return finished(form)
    except UsageError as error:
        refused = error
    found = []
    for center in other_centers(core) if form.center == "auto" else ():
        try:
            found.append(finished(replace(form, center=center)))
        except UsageError:
            continue
    if not found:
        raise refused
    return min(found, key=lambda done: done[2])


def check_replaced(dot: DotSites, *, changes: list[dict[str, Any]], surface: Surface) -> float:
    """Share (0–1) of the ions of a dot as cut that finishing its surface removed or replaced.

    Raises
    ------
    UsageError
        If it is more than a fifth. A metal-rich surface lacks a whole layer by its definition and has no such limit.
    """
    gone = sum(change["action"] in ("remove", "swap") for change in changes)
    if surface != "metal-rich" and gone > MOST_REPLACED * len(dot.sites):
        raise UsageError(
            f"the surface would remove or replace {gone} of the {len(dot.sites)} ions of the dot, more than "
            f"{MOST_REPLACED:.0%}: what is left would be another dot"
        )
    return gone / len(dot.sites)


def charge_of(dot: DotSites) -> int:
    """Formal charge of the sites in e."""
    return int(dot.sites.charges.sum())


def _bonds(dot: DotSites) -> tuple[Array, Array]:
    """Number of bonds of each ion, and the share of its charge that they hold, (n,) each."""
    sites, charges = dot.sites, dot.sites.charges
    counts, held = np.zeros(len(sites), dtype=int), np.zeros(len(sites))
    anions = np.flatnonzero(charges < 0)
    if not len(anions):
        return counts, held
    tree = cKDTree(sites.positions[anions])
    for members, reach, full in _cation_kinds(dot):
        found = tree.query_ball_point(sites.positions[members], reach, return_length=True)
        counts[members], held[members] = found, found / full
        seen = cKDTree(sites.positions[members]).query_ball_point(sites.positions[anions], reach, return_length=True)
        counts[anions] += seen
        held[anions] += seen * (charges[members[0]] / full)
    held[anions] /= np.abs(charges[anions])
    return counts, np.round(held, 6)


def _cation_kinds(dot: DotSites) -> list[tuple[Array, float, float]]:
    """Sites of each kind of cation in a dot, the longest bond (Å) and the number of bonds of such an ion inside."""
    bonding, sites = _bonding(dot.crystal), dot.sites
    cations = np.flatnonzero(sites.charges > 0)
    pairs = sorted({(str(sites.species[i]), str(sites.sublattice[i])) for i in cations})
    found = []
    for species, sublattice in pairs:
        members = cations[(sites.species[cations] == species) & (sites.sublattice[cations] == sublattice)]
        reach, full = (bonding.of(name, species=species, sublattice=sublattice) for name in ("reach", "full"))
        found.append((members, reach, full))
    return found


def _lacking(dot: DotSites) -> Array:
    """Which ions have fewer bonds than any such ion inside the crystal, bool (n,)."""
    bonding, sites = _bonding(dot.crystal), dot.sites
    least = np.zeros(len(sites), dtype=int)
    for species, sublattice in set(zip(sites.species.tolist(), sites.sublattice.tolist(), strict=True)):
        kind = (sites.species == species) & (sites.sublattice == sublattice)
        least[kind] = bonding.of("least", species=species, sublattice=sublattice)
    return _bonds(dot)[0] < least


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
    """Take off ions that too little holds until none is left."""
    changes: list[dict[str, Any]] = []
    while True:
        counts, held = _bonds(dot)
        few, weak = counts < FEWEST, held < LOOSE - 1e-6
        if not (few | weak).any():
            return dot, changes
        changes += _removed(dot, np.flatnonzero(few), reason=f"fewer than {FEWEST} bonds")
        changes += _removed(dot, np.flatnonzero(weak & ~few), reason=f"bonds to less than {LOOSE:g} of its charge")
        dot = _keep(dot, ~(few | weak))


def _composition(crystal: Crystal) -> dict[tuple[str, int], int]:
    """Sites in one formula unit by kind: species and charge, on a mixed sublattice its label and charge."""
    sites = sites_of_crystal(crystal)
    amounts: Counter[tuple[str, int]] = Counter()
    parts: dict[tuple[str, int], Fraction] = {}
    for site, charge in zip(crystal.sites, sites.charges, strict=True):
        shares = crystal.occupancies.get(site.label)
        if shares is None:
            amounts[(site.species, int(charge))] += 1
            continue
        for species, share in shares.items():
            key = (site.label, charge_of_ion(species, states=sites.states))
            parts[key] = parts.get(key, Fraction(0)) + Fraction(share).limit_denominator(100)
    scale = lcm(1, *(part.denominator for part in parts.values()))
    whole = {key: count * scale for key, count in amounts.items()} | {k: int(v * scale) for k, v in parts.items()}
    unit = gcd(*whole.values())
    return {key: count // unit for key, count in whole.items() if count}


def _kinds(dot: DotSites, *, units: Mapping[tuple[str, int], int]) -> list[tuple[Array, int]]:
    """Sites of each kind of ion in a dot and how many a formula unit holds; empty where the dot has other kinds."""
    sites, charges = dot.sites, dot.sites.charges
    found = []
    for (name, charge), amount in units.items():
        found.append(
            (np.flatnonzero(((sites.species == name) | (sites.sublattice == name)) & (charges == charge)), amount)
        )
    whole = sum(len(members) for members, _ in found) == len(sites)
    return found if whole and sum(charge * amount for (_, charge), amount in units.items()) == 0 else []


def _stoichiometric(dot: DotSites, *, rng: np.random.Generator) -> tuple[DotSites, list[dict[str, Any]]]:
    """Take off the least held ions of every kind in excess until whole formula units and no charge are left."""
    changes: list[dict[str, Any]] = []
    units = _composition(dot.crystal)
    if not _kinds(dot, units=units):
        # A shell of other charges or another ratio: only the charge can be asked for.
        units = {}
        if (dot.region == "dot").all():
            raise UsageError(f"{dot.crystal.name} as mixed here is not neutral by its composition; give a ligand")
    while True:
        excess = _in_excess(dot, units=units)
        if excess is None:
            return dot, changes
        members, count = excess
        held = _bonds(dot)[1]
        points = dot.sites.positions[members]
        chosen = pick(points, ranks=held[members], facets=dot.shape.facets, count=count, rng=rng)
        keep = np.ones(len(dot.sites), dtype=bool)
        keep[members[chosen]] = False
        changes += _removed(dot, members[chosen], reason="ion in excess with the fewest bonds")
        dot, more = _without_loose(_keep(dot, keep))
        changes += more


def _in_excess(dot: DotSites, *, units: Mapping[tuple[str, int], int]) -> tuple[Array, int] | None:
    """The kind of ion of which most are too many for whole formula units, and how many; ``None`` when none is."""
    if not units:
        return _of_excess_charge(dot)
    kinds = _kinds(dot, units=units)
    n_units = min(len(members) // amount for members, amount in kinds)
    if n_units == 0:
        raise UsageError("not one formula unit of the dot is left after finishing its surface; give a larger dot")
    members, amount = max(kinds, key=lambda kind: len(kind[0]) - n_units * kind[1])
    count = len(members) - n_units * amount
    return (members, count) if count else None


def _of_excess_charge(dot: DotSites) -> tuple[Array, int] | None:
    """Ions of one charge of the shell that make up the excess charge of the dot, and how many."""
    excess, charges = charge_of(dot), dot.sites.charges
    if excess == 0:
        return None
    outer = np.flatnonzero((np.sign(charges) == np.sign(excess)) & (dot.region == "shell"))
    for size in sorted({int(abs(charge)) for charge in charges[outer]}):
        members = outer[np.abs(charges[outer]) == size]
        if excess % size == 0 and len(members) >= abs(excess) // size:
            return members, abs(excess) // size
    raise UsageError(f"a charge of {excess:+d} e is no whole number of ions of the shell; give a ligand")


def _with_ligands(
    dot: DotSites, *, ligand: str, counter_ion: str | None, rng: np.random.Generator
) -> tuple[DotSites, list[dict[str, Any]]]:
    excess = charge_of(dot)
    if FORMAL_CHARGES[ligand] > 0:
        return _with_cations(dot, name=ligand, rng=rng)
    if excess < 0 and counter_ion is None:
        dot, changes = _exchanged(dot, ligand=ligand, needed=-excess, rng=rng)
        more: list[dict[str, Any]] = []
        if charge_of(dot):
            dot, more = _with_ligands(dot, ligand=ligand, counter_ion=None, rng=rng)
        return dot, changes + more
    if excess == 0 and counter_ion is None:
        return dot, []
    places, outward, ranks = _empty_places(dot, ligand=ligand if ligand not in MOLECULES else "O")
    if counter_ion is None:
        dot, changes = _without_weak_places(dot, excess=excess, firm=int((ranks >= LOOSE - 1e-6).sum()), rng=rng)
        if changes:
            done, more = _with_ligands(dot, ligand=ligand, counter_ion=None, rng=rng)
            return done, changes + more
    if ligand in MOLECULES:
        order = pick(places, ranks=-ranks, facets=dot.shape.facets, count=len(places), rng=rng)
        standing = stand_on(dot, name=ligand, places=places[order], outward=outward[order], count=excess)
        if len(standing) < excess:
            raise UsageError(
                f"the dot has {excess:+d} e but room for {len(standing)} {ligand} at its surface; take a smaller "
                "ligand, the stoichiometric surface or another shape"
            )
        return _stood(dot, name=ligand, standing=standing)
    if counter_ion is not None:
        return _with_pairs(dot, halide=ligand, cation=counter_ion, places=places, outward=outward, ranks=ranks, rng=rng)
    if excess > len(places):
        raise UsageError(
            f"the dot has {excess:+d} e but only {len(places)} empty anion places for {ligand} at its surface"
        )
    chosen = pick(places, ranks=-ranks, facets=dot.shape.facets, count=excess, rng=rng)
    added = [(ligand, point) for point in places[chosen]]
    return _appended(dot, added), [_addition(name, point) for name, point in added]


def _without_weak_places(
    dot: DotSites, *, excess: int, firm: int, rng: np.random.Generator
) -> tuple[DotSites, list[dict[str, Any]]]:
    """Take A cations of a perovskite's surface off where too few places hold a ligand firmly: on AX faces none does."""
    held = _bonds(dot)[1]
    members = np.flatnonzero((dot.sites.sublattice == "A") & (dot.sites.charges == 1) & _lacking(dot))
    members = members[dot.region[members] != "ligand"]
    count = min(excess - firm, len(members))
    if count <= 0:
        return dot, []
    chosen = members[
        pick(dot.sites.positions[members], ranks=held[members], facets=dot.shape.facets, count=count, rng=rng)
    ]
    keep = np.ones(len(held), dtype=bool)
    keep[chosen] = False
    changes = _removed(dot, chosen, reason="A cation with the fewest bonds: no place holds a ligand in its stead")
    return _keep(dot, keep), changes


def _exchanged(
    dot: DotSites, *, ligand: str, needed: int, rng: np.random.Generator
) -> tuple[DotSites, list[dict[str, Any]]]:
    """Turn surface anions into ligands until ``needed`` e are made up, at most one ligand's charge too many.

    Those with the fewest metal neighbours come first; anions of the ligand's charge leave instead.
    """
    charges, held, lacking = dot.sites.charges, _bonds(dot)[1], _lacking(dot)
    step = max(1, int(-1 - charges.min()))
    swapped = charges.min() < -1
    members = np.flatnonzero((charges == charges.min()) & lacking)
    count = -(-needed // step)
    if len(members) < count:
        raise UsageError(f"the dot has {-needed:+d} e but only {len(members)} surface anions to exchange for {ligand}")
    points = dot.sites.positions[members]
    if swapped and ligand in MOLECULES:
        return _exchanged_whole(dot, ligand=ligand, count=count, members=members, ranks=held[members], rng=rng)
    chosen = members[pick(points, ranks=held[members], facets=dot.shape.facets, count=count, rng=rng)]
    if not swapped:
        changes = _removed(dot, chosen, reason="surface anion with the fewest bonds: as a halide it leaves")
        keep = np.ones(len(charges), dtype=bool)
        keep[chosen] = False
        return _keep(dot, keep), changes
    changes = [
        {**change, "action": "swap", "to": ligand, "charge": step}
        for change in _removed(dot, chosen, reason="surface anion with the fewest metal neighbours, exchanged")
    ]
    species, region = dot.sites.species.astype(np.promote_types(dot.sites.species.dtype, "U2")), dot.region.copy()
    species[chosen], region[chosen] = ligand, "ligand"
    return replace(dot, sites=replace(dot.sites, species=species), region=region), changes


def _stood(dot: DotSites, *, name: str, standing: Sequence[Standing]) -> tuple[DotSites, list[dict[str, Any]]]:
    """The dot with ions of one kind on it, and one change for each."""
    if not standing:
        return dot, []
    sites = dot.sites
    grown = _appended(dot, [(name, entry.centre) for entry in standing])
    if name not in MOLECULES:
        return grown, [_addition(name, entry.centre) for entry in standing]
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
    metals = dot.sites.positions[dot.sites.charges > 0]
    near = cKDTree(metals).query_ball_point(points, BONDED * _bonding(dot.crystal).length)
    middle = np.array([metals[found].mean(axis=0) if found else (0.0, 0.0, 0.0) for found in near]).reshape(-1, 3)
    away, radial = points - middle, points / np.linalg.norm(points, axis=1, keepdims=True)
    size = np.linalg.norm(away, axis=1, keepdims=True)
    return np.where(size > 0.1, away / np.maximum(size, 1e-9), radial)


def _with_cations(dot: DotSites, *, name: str, rng: np.random.Generator) -> tuple[DotSites, list[dict[str, Any]]]:
    """Stand cations on the surface anions of a negative dot until it is neutral."""
    missing = -charge_of(dot)
    if missing < 0:
        raise UsageError(f"the dot has {-missing:+d} e: {name} is a cation; give a halide or a carboxylate as ligand")
    held = _bonds(dot)[1]
    members = np.flatnonzero((dot.sites.charges < 0) & _lacking(dot))
    points = dot.sites.positions[members]
    order = pick(points, ranks=held[members], facets=dot.shape.facets, count=len(members), rng=rng)
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
    """Halides in empty anion places with cations on them, as many as fit and leave the dot neutral.

    A negative dot gets the cations that it lacks first, on its own anions.
    """
    excess = charge_of(dot)
    changes: list[dict[str, Any]] = []
    if excess < 0:
        dot, changes = _with_cations(dot, name=cation, rng=rng)
        atoms = dot_atoms(dot)
        on = atoms.get_array("region") == "ligand"
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
    """Empty anion places beside the dot's cations: positions for ``ligand`` (n, 3), outward units, their hold."""
    bonding, sites = _bonding(dot.crystal), dot.sites
    radius = float(np.linalg.norm(sites.positions, axis=1).max()) + 2 * bonding.length
    around = block(dot.crystal, radius=radius, origin=centre_point(dot.crystal, center=dot.center))
    empty = np.flatnonzero(around.charges < 0)
    empty = empty[np.lexsort(np.round(around.positions[empty], 4).T)]
    taken, _ = cKDTree(sites.positions).query(around.positions[empty])
    points, species = around.positions[empty[taken > 0.1]], around.species[empty[taken > 0.1]]
    bonds, held = np.zeros(len(points), dtype=int), np.zeros(len(points))
    middle, nearest, best = np.zeros((len(points), 3)), np.full(len(points), np.inf), np.full(len(points), "", "U4")
    for members, reach, full in _cation_kinds(dot):
        tree = cKDTree(sites.positions[members])
        pairs = cKDTree(points).sparse_distance_matrix(tree, reach, output_type="ndarray")
        np.add.at(bonds, pairs["i"], 1)
        np.add.at(held, pairs["i"], sites.charges[members[0]] / full)
        np.add.at(middle, pairs["i"], sites.positions[members[pairs["j"]]])
        shortest = np.full(len(points), np.inf)
        np.minimum.at(shortest, pairs["i"], pairs["v"])
        best[shortest < nearest - 1e-6] = str(sites.species[members[0]])
        nearest = np.minimum(nearest, shortest)
    found = np.flatnonzero(bonds)
    points, species, bonds, held, best = points[found], species[found], bonds[found], held[found], best[found]
    away = points - middle[found] / bonds[:, None]
    size = np.linalg.norm(away, axis=1, keepdims=True)
    radial = points / np.linalg.norm(points, axis=1, keepdims=True)
    outward = np.where(size > 0.1, away / np.maximum(size, 1e-9), radial)
    sums = [
        [_radius(str(metal)) + _radius(name) for name in (ligand, str(anion))]
        for metal, anion in zip(best, species, strict=True)
    ]
    ratio = np.array([with_ligand / with_anion for with_ligand, with_anion in sums]).reshape(-1, 1)
    places = points + np.where(size > 0.1, outward * nearest[found][:, None] * (ratio - 1.0), 0.0)
    free = _roomy(dot, places, ligand=ligand, order=np.argsort(-held, kind="stable"))
    return places[free], outward[free], np.round(held[free], 6)


def _radius(name: str) -> float:
    radius = IONIC_RADII_ANGSTROM.get(name) or CONTACT_RADII_ANGSTROM.get(name)
    if not radius:
        raise UsageError(f"no radius is known for {name}, in whose place a ligand would stand; leave the ligand out")
    return radius


def _roomy(dot: DotSites, places: Array, *, ligand: str, order: Array) -> Array:
    """Places that crowd neither an ion of the dot nor one before them in ``order``: their numbers, ascending."""
    free = np.ones(len(places), dtype=bool)
    for name in np.unique(dot.sites.species):
        others = dot.sites.positions[dot.sites.species == name]
        whole = bool(dot.sites.molecular[dot.sites.species == name].any())
        limit = 3.0 if whole else contact_limit(ligand, name)
        free &= cKDTree(others).query(places)[0] >= limit - 1e-6
    near = cKDTree(places).query_ball_point(places, contact_limit(ligand, ligand) - 1e-6)
    chosen = np.zeros(len(places), dtype=bool)
    for index in order[free[order]]:
        chosen[index] = not chosen[near[index]].any()
    return np.flatnonzero(chosen)


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
