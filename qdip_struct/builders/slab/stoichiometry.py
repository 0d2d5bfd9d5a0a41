"""Terminations and counts of ions: what a slab ends with, what it has too much of, and what else must be calculated.

Where a plane may be cut is told by the repeat unit below the cut, after P. W. Tasker, J. Phys. C 12, 4977 (1979),
doi:10.1088/0022-3719/12/22/036 (from memory): type 1 has neutral layers, type 2 charged layers but no dipole in the
repeat unit, type 3 a dipole in the repeat unit, so that the field of a slab grows with its thickness.

Two faces are *equal* when an operation that turns the normal over maps the slab onto itself. ``symmetric`` is told of
the atoms that are written, hydrogen included: molecules that a rule has turned, and the ions of a mixture, may break
it. ``symmetric_sites`` is told of the sites: a molecule is a point there and the ions of a mixed sublattice are alike.
That is what ``faces="symmetric"`` asks for.

A slab that ends in AX or BX2 layers on both faces holds no whole number of formula units: its surface energy depends on
the chemical potential of AX. Two more cells mend that, its companions: the slab of the other termination (the mean of
both is free of a chemical potential) and the bulk crystal AX (the limit of the chemical potential to which the energy
of the one slab is referred). Molecular ions count whole. Lengths in Å, charges in e.

Long because cuts, faces and companions are told from the same layers of one surface cell.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import SiteCell, reduced_pair, sites_of, to_atoms
from qdip_struct.builders.atoms.molecules import names_of_molecules
from qdip_struct.builders.parsing import Faces
from qdip_struct.builders.roles import Part, role_name, role_of
from qdip_struct.builders.slab.block import Block, cut_block
from qdip_struct.builders.slab.surface import SurfaceCell
from qdip_struct.matching.planes import plane_text
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.ions import name_of_ions
from qdip_struct.materials.options import DEFAULT_DATASET
from qdip_struct.materials.structure_files import crystal_named
from qdip_struct.materials.symmetry import primitive_basis

DIPOLE_E_PER_ANGSTROM = 1e-4
"""A smaller moment per area is none, e/Å: a step of the potential below 0.02 V, as rounded coordinates give."""


def ions_of_sites(sites: SiteCell) -> dict[str, int]:
    """Number of each ion, in alphabetical order."""
    names, counts = np.unique(sites.species, return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def ions_of(atoms: Atoms) -> dict[str, int]:
    """Number of each ion of labelled atoms; a molecule counts once, by its name."""
    molecule = atoms.get_array("molecule")
    symbols = np.array(atoms.get_chemical_symbols())
    names, counts = np.unique(symbols[molecule < 0], return_counts=True)
    found = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    called = names_of_molecules(
        symbols.tolist(), positions=atoms.positions, molecule=molecule, cell=atoms.cell.array, pbc=atoms.pbc
    )
    return dict(sorted({**found, **Counter(called)}.items()))


def reference_cations(sites: SiteCell) -> tuple[str, ...]:
    """Ions by which formula units are counted: B of a perovskite, the cations of a binary."""
    kept = np.isin(sites.sublattice, ("B", "cation"))
    return tuple(sorted({str(name) for name in sites.species[kept]}))


def units_by_cation(ions: Mapping[str, int], *, bulk: SiteCell) -> float:
    """Formula units by the count of the reference cation, in units of the bulk's reduced formula."""
    whole = ions_of_sites(bulk)
    divisor = int(np.gcd.reduce(list(whole.values())))
    cations = reference_cations(bulk)
    return sum(ions.get(name, 0) for name in cations) * divisor / sum(whole[name] for name in cations)


def excess(ions: Mapping[str, int], *, bulk: SiteCell) -> dict[str, int | float]:
    """Ions beyond whole formula units of the bulk (negative: missing); empty for a stoichiometric structure."""
    whole = ions_of_sites(bulk)
    cations = reference_cations(bulk)
    n_cells = sum(ions.get(name, 0) for name in cations) / sum(whole[name] for name in cations)
    extra = {name: ions.get(name, 0) - n_cells * count for name, count in whole.items()}
    rounded = {name: round(value, 6) for name, value in extra.items() if abs(value) > 1e-6}
    return {name: int(value) if value == int(value) else value for name, value in rounded.items()}


def reservoir_of(
    bulk: SiteCell, *, dataset: str | None, temperature: float | None = None, files: Sequence[Path] = ()
) -> Crystal | None:
    """The crystal AX of a perovskite ABX3, from its own data set or else from the default one; ``None`` when unknown.

    ``files`` are the user's files of crystals.

    It is brought to ``temperature`` (K, by default that of the set it is from) where its expansion is known; where not,
    it has its own temperature, and its warnings say so.
    """
    a_sites = {str(s) for s in bulk.species[bulk.sublattice == "A"]}
    halides = {str(s) for s in bulk.species[bulk.sublattice == "X"]}
    if len(a_sites) != 1 or len(halides) != 1:
        return None
    for name in dict.fromkeys([dataset or DEFAULT_DATASET, DEFAULT_DATASET]):
        word = f"{next(iter(a_sites))}{next(iter(halides))}"
        try:
            found = crystal_named(word, dataset=name, files=files)
        except UsageError:
            continue
        if temperature is None or found.temperature_kelvin is None:
            return found
        try:
            return crystal_named(word, dataset=name, temperature=temperature, files=files)
        except UsageError:
            told = f"the reservoir {word} is taken at {found.temperature_kelvin:g} K, not at {temperature:g} K: no "
            told += "thermal expansion coefficient is known for it"
            return replace(found, warnings=(*found.warnings, told))
    return None


def terminations(surface: SurfaceCell) -> tuple[int, ...]:
    """Numbers of the layers that can be the topmost one, one of each kind.

    Sorted by name, then by the distances to the layers above and below, so that the origin of the crystal's cell does
    not matter.
    """
    layers = surface.layers
    first: dict[int, int] = {}
    for number, layer in enumerate(layers):
        first.setdefault(layer.kind, number)

    def order(number: int) -> tuple[str, float, float]:
        above = (layers[(number + 1) % len(layers)].height - layers[number].height) % surface.period
        below = (layers[number].height - layers[number - 1].height) % surface.period
        return layers[number].name, round(above, 3), round(below, 3)

    return tuple(sorted(first.values(), key=order))


def termination_names(surface: SurfaceCell) -> tuple[str, ...]:
    """Names of all terminations, ``NAME:2`` for a second kind of the same composition."""
    seen: dict[str, int] = {}
    names = []
    for number in terminations(surface):
        name = surface.layers[number].name
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return tuple(names)


def termination_name(surface: SurfaceCell, number: int) -> str:
    """Name of the termination that layer ``number`` of a surface cell is, as in :func:`termination_names`."""
    kinds = [surface.layers[k].kind for k in terminations(surface)]
    return termination_names(surface)[kinds.index(surface.layers[number].kind)]


def termination_named(surface: SurfaceCell, name: str | None) -> int:
    """Number of the layer that a termination's name means: ``AX``, ``BX2``, ``PbS``, or ``NAME:2`` for a second kind.

    A plane with one termination has that one whatever the name; ``None`` means the one of :func:`default_cut`.

    Raises
    ------
    UsageError
        If the plane has no such termination; the message lists those it has.
    """
    numbers = terminations(surface)
    if name is None:
        return default_cut(surface)[0]
    if len(numbers) == 1:
        return numbers[0]
    wanted, _, which = name.partition(":")
    found = [k for k in numbers if wanted in _words(surface, k)]
    index = int(which) - 1 if which.isdigit() else 0 if not which else -1
    if not 0 <= index < len(found):
        raise UsageError(
            f"{surface.sites.name} {plane_text(surface.plane)} has no termination '{name}'; it has: "
            f"{', '.join(termination_names(surface))}"
        )
    return found[index]


def _words(surface: SurfaceCell, number: int) -> tuple[str, ...]:
    """What a layer may be called: its name, its formula in the net cell, and that formula reduced."""
    layer = surface.layers[number]
    return layer.name, layer.formula, name_of_ions(surface.sites.species[list(layer.members)])


@dataclass(frozen=True)
class Cut:
    """The plane between a layer and the one above it, where a slab may end.

    Attributes
    ----------
    top
        Number of the layer below it in the surface cell.
    tasker_type
        1, 2 or 3; ``None`` where the formal charges of the crystal do not add up to zero.
    gap_angstrom
        From the highest site below it to the lowest above it, Å.
    dipole_e_per_angstrom
        Σ q·z / A of the repeat unit that ends here, formal charges, z from the middle of the unit, e/Å.
    """

    top: int
    tasker_type: int | None
    gap_angstrom: float
    dipole_e_per_angstrom: float


def cut_above(surface: SurfaceCell, top: int) -> Cut:
    """The cut above layer ``top`` of a surface cell."""
    per, d = len(surface.layers), surface.period
    z, charge = surface.sites.positions[:, 2], surface.sites.charges
    heights = [z[list(layer.members)] + d * np.array(layer.lifts) for layer in surface.layers]
    unit = [heights[k % per] + d * (k // per) for k in range(top - per + 1, top + 1)]
    q = np.concatenate([charge[list(surface.layers[k % per].members)] for k in range(top - per + 1, top + 1)])
    places = np.concatenate(unit)
    area = abs(np.linalg.det(surface.net))
    moment = float(q @ (places - 0.5 * (places.max() + places.min()))) / area
    above = heights[(top + 1) % per] + d * ((top + 1) // per)
    charged = any(layer.charge for layer in surface.layers)
    tasker = None if q.sum() else 3 if abs(moment) > DIPOLE_E_PER_ANGSTROM else 2 if charged else 1
    gap = float(above.min() - heights[top].max())
    return Cut(top, tasker, round(gap, 6) + 0.0, round(moment, 8) + 0.0)


def default_cut(surface: SurfaceCell, *, contact: bool = False) -> tuple[int, str]:
    """Number of the layer that ends a slab when no termination is asked for, and why.

    Of the cuts whose repeat unit has no dipole the one with the widest gap, of equal gaps the first of
    :func:`terminations`; where every cut has a dipole, the widest gap of all.

    Parameters
    ----------
    surface
        Surface cell.
    contact
        The layer is the lowest one, that of a film in contact: the cut lies below it.
    """
    numbers = terminations(surface)
    if len(numbers) == 1:
        return numbers[0], "the plane has no other"
    per = len(surface.layers)
    cuts = {k: cut_above(surface, (k - 1) % per if contact else k) for k in numbers}
    flat = [k for k in numbers if abs(cuts[k].dipole_e_per_angstrom) <= DIPOLE_E_PER_ANGSTROM]
    among = flat or list(numbers)
    widest = max(cuts[k].gap_angstrom for k in among)
    equal = [k for k in among if cuts[k].gap_angstrom > widest - 0.01]
    gap = f"{widest:.2f} Å"
    reason = f"the widest gap, {gap}" if len(equal) < len(among) else f"all gaps are {gap}: the first by name"
    if 1 < len(equal) < len(among):
        reason += ", the first by name of equal ones"
    if len(among) == 1:
        reason = f"gap {gap}"
    if not flat:
        return equal[0], f"every cut of the plane has a dipole; {reason}"
    dipolar = len(flat) < len(numbers)
    return equal[
        0
    ], f"{'the only cut' if len(flat) == 1 else 'of the cuts'} without dipole, {reason}" if dipolar else reason


def equal_faces(points: Array, *, kinds: Array, lateral: Array, tolerance: float = 0.01) -> bool:
    """Whether an operation that turns z over maps a slab onto itself.

    Every operation of the slab's own lateral net is tried with every translation that is possible. spglib on the cell
    of the slab finds fewer: it leaves out what does not keep a lateral supercell.

    Parameters
    ----------
    points
        (n, 3), Å, z along the normal.
    kinds
        One number per point; only points of one kind are carried into each other.
    lateral
        Rows (2, 2), Å.
    tolerance
        Largest distance of an image from the point it falls on, Å.
    """
    kinds = np.unique(kinds, return_inverse=True)[1]
    z = points[:, 2] - 0.5 * (points[:, 2].max() + points[:, 2].min())
    for kind in range(kinds.max() + 1):
        heights = np.sort(z[kinds == kind])
        if np.abs(heights + heights[::-1]).max() > 2 * tolerance:
            return False
    flat = np.column_stack([points[:, :2], z])
    start = int(np.flatnonzero(kinds == np.argmin(np.bincount(kinds)))[0])
    same = np.flatnonzero(kinds == kinds[start])
    images = _Images(flat, kinds, lateral, tolerance)

    def found(linear: Array, sign: int) -> list[Array]:
        """Translations, Å, that map the slab onto itself after a linear map of the plane and a sign of z."""
        moved = np.column_stack([flat[:, :2] @ linear, sign * flat[:, 2]])
        near = same[np.abs(flat[same, 2] - moved[start, 2]) < 2 * tolerance]
        steps = [flat[k, :2] - moved[start, :2] for k in near]
        return [step for step in steps if images.hold(moved + np.array([*step, 0.0]))]

    fractions = np.array(found(np.eye(2), 1)) @ np.linalg.inv(lateral)
    basis = primitive_basis(np.column_stack([fractions, np.zeros(len(fractions))]))[:2, :2] @ lateral
    net = reduced_pair(basis) @ basis
    gram = net @ net.T
    for entries in itertools.product((-1, 0, 1), repeat=4):
        turn = np.array(entries).reshape(2, 2)
        slack = 2 * tolerance * float(np.sqrt(gram.max()))
        keeps_net = abs(round(np.linalg.det(turn))) == 1 and np.abs(turn @ gram @ turn.T - gram).max() <= slack
        if keeps_net and found(np.linalg.solve(net, turn @ net), -1):
            return True
    return False


class _Images:
    """Points of a slab with their images just outside the lateral cell, to look up what lies at a place."""

    def __init__(self, points: Array, kinds: Array, lateral: Array, tolerance: float) -> None:
        from scipy.spatial import cKDTree

        self._lateral, self._tolerance, self._kinds = lateral, tolerance, kinds
        inside = self._wrapped(points)
        margin = 4 * tolerance * np.linalg.norm(np.linalg.inv(lateral), axis=0)
        fractions = inside[:, :2] @ np.linalg.inv(lateral)
        copies, owner = [], []
        for i, j in itertools.product((-1, 0, 1), repeat=2):
            moved = fractions + np.array([i, j])
            kept = ((moved > -margin) & (moved < 1.0 + margin)).all(axis=1)
            copies.append(inside[kept] + np.array([*(np.array([i, j]) @ lateral), 0.0]))
            owner.append(np.flatnonzero(kept))
        self._places, self._owner = np.concatenate(copies), np.concatenate(owner)
        self._tree = cKDTree(self._places)

    def _wrapped(self, points: Array) -> Array:
        fractions = points[:, :2] @ np.linalg.inv(self._lateral)
        return np.column_stack([(fractions - np.floor(fractions)) @ self._lateral, points[:, 2]])

    def hold(self, moved: Array) -> bool:
        """Whether every moved point falls on a point of its kind."""
        inside = self._wrapped(moved)
        _, which = self._tree.query(inside, distance_upper_bound=3 * self._tolerance)
        if (which == len(self._places)).any():
            return False
        if (self._kinds[self._owner[which]] != self._kinds).any():
            return False
        # The anchor's own deviation must not count for all others: the translation is the one that fits best.
        off = self._places[which] - inside
        off[:, :2] -= off[:, :2].mean(axis=0)
        return bool(np.linalg.norm(off, axis=1).max() <= self._tolerance)


def _kinds_alike(sites: SiteCell, surface: SurfaceCell) -> Array:
    """One number per sort of ion, (n,): molecules whatever their orientation, mixed ions by their sublattice."""
    names = [str(name) for name in sites.species]
    labels = [str(name) for name in sites.sublattice]
    pure: dict[str, set[str]] = {}
    for label, name in zip(surface.sites.sublattice, surface.sites.species, strict=True):
        pure.setdefault(str(label), set()).add(str(name))
    mixed = {label for label, name in zip(labels, names, strict=True) if name not in pure[label]}
    words = [label if label in mixed else name for label, name in zip(labels, names, strict=True)]
    return np.unique(words, return_inverse=True)[1]


def moment_per_area(atoms: Atoms, *, area: float) -> float:
    """Σ q·z / A of the formal charges of labelled atoms, e/Å, z from the middle of the ions.

    A molecule is a point charge in the middle of its heavy atoms: its own dipole and its orientation do not count.
    """
    molecule, z = atoms.get_array("molecule"), atoms.positions[:, 2]
    heights, charge = z[molecule < 0], atoms.get_array("formal_charge")
    places, values = list(heights), list(charge[molecule < 0])
    for number in range(molecule.max(initial=-1) + 1):
        own = molecule == number
        heavy = own & (atoms.numbers > 1)
        places.append(z[heavy if heavy.any() else own].mean())
        values.append(charge[own].sum())
    middle = 0.5 * (max(places) + min(places))
    return float(np.array(values) @ (np.array(places) - middle)) / area


def face_facts(sites: SiteCell, layer: Array, block: Block, *, top: int, atoms: Atoms) -> dict[str, Any]:
    """What the two faces are, whether they are alike, what the slab has too much of, and its dipole moment.

    ``repeat_dipole_e_per_angstrom`` and ``tasker_type`` are those of the cut at the face that is worse off; ``polar``
    is type 3, or a slab with a moment.

    Parameters
    ----------
    sites, layer
        Sites of the slab and the monolayer of each, (n,).
    block
        The bulk it was cut from.
    top
        Number of its topmost layer in the surface cell.
    atoms
        The slab as it is written.
    """
    surface = block.surface
    count = int(layer.max()) + 1
    per = len(surface.layers)
    upper, lower = surface.layers[top], surface.layers[(top - count + 1) % per]
    ions = ions_of_sites(sites)
    moment = moment_per_area(atoms, area=block.area)
    area = abs(np.linalg.det(surface.net))
    cuts = [cut_above(surface, top), cut_above(surface, (top - count) % per)]
    worse = max(cuts, key=lambda cut: cut.tasker_type or 0)
    dipolar = abs(moment) > DIPOLE_E_PER_ANGSTROM
    lateral = block.lateral
    alike = equal_faces(sites.positions, kinds=_kinds_alike(sites, surface), lateral=lateral)
    return {
        "termination_top": upper.name,
        "termination_bottom": lower.name,
        "face_top": upper.formula,
        "face_bottom": lower.formula,
        "face_charge_top_e_per_angstrom2": round(upper.charge / area, 10) + 0.0,
        "face_charge_bottom_e_per_angstrom2": round(lower.charge / area, 10) + 0.0,
        "symmetric": alike and equal_faces(atoms.positions, kinds=atoms.numbers, lateral=lateral),
        "symmetric_sites": alike,
        "n_formula_units": units_by_cation(ions, bulk=block.sites),
        "excess": excess(ions, bulk=block.sites),
        "dipole_e_per_angstrom": round(moment, 8) + 0.0,
        "dipolar": dipolar,
        "tasker_type": worse.tasker_type,
        "repeat_dipole_e_per_angstrom": worse.dipole_e_per_angstrom,
        "polar": worse.tasker_type == 3 or dipolar,
        "layer_names": [surface.layers[(top - count + 1 + k) % per].name for k in range(count)],
    }


def symmetric_thicknesses(surface: SurfaceCell, top: int) -> tuple[int, ...]:
    """Monolayers 1 … period with which a slab below layer ``top`` has two equal faces; a whole period more does too."""
    per, d = len(surface.layers), surface.period
    fractions = [layer.height / d for layer in surface.layers]
    lowest = [
        k
        for k in range(per)
        for mirror in surface.mirrors
        if abs((mirror - fractions[top] - fractions[k] + 0.5) % 1.0 - 0.5) * d < 0.02
    ]
    return tuple(sorted({(top - k) % per + 1 for k in lowest}))


def check_faces(faces: Faces, facts: Mapping[str, Any], surface: SurfaceCell, *, top: int) -> None:
    """Raise :class:`UsageError` when the faces are not as asked for, and say which thickness would do."""
    per = len(surface.layers)
    if faces == "symmetric" and not facts["symmetric_sites"]:
        counts = [str(count) for count in symmetric_thicknesses(surface, top)]
        hint = (
            f"a multiple of {per} monolayers plus {' or '.join(counts)} has two equal faces"
            if counts
            else "no symmetry turns this plane over, so no thickness does"
        )
        raise UsageError(
            f"the faces are {facts['termination_bottom']} and {facts['termination_top']}, not symmetric; {hint}"
        )
    if faces == "stoichiometric" and facts["excess"]:
        raise UsageError(
            f"the slab has an excess of {facts['excess']}; a multiple of {per} monolayers is stoichiometric"
        )


def companions(
    slab: SiteCell, block: Block, *, top: int, count: int, cell: Array, dataset: str | None,
    temperature: float | None = None, part: Part = "substrate", files: Sequence[Path] = (),
) -> tuple[dict[str, Atoms], Crystal | None]:  # fmt: skip
    """Cells by role, and the reservoir's crystal: the slab of the other termination and the reservoir where they exist.

    There are none where none is needed.

    The companion ends where the slab begins and the other way round, so that both together are whole formula units and
    the mean of their surface energies is free of a chemical potential; of several thicknesses the nearest is taken. The
    reservoir is the crystal AX of a perovskite, where the excess is one of whole AX.

    Parameters
    ----------
    slab
        Sites of the slab as cut.
    block
        Bulk block it was cut from.
    top, count
        Its topmost layer in the surface cell, and its monolayers.
    cell
        Cell (3, 3) of the slab, Å; the other slab is placed in its middle.
    dataset, temperature
        Where the reservoir crystal is looked up first, and its temperature, K; see :func:`reservoir_of`.
    part
        Whose companions they are.
    files
        User's files of crystals.
    """
    own = ions_of_sites(slab)
    extra = excess(own, bulk=block.sites)
    if not extra:
        return {}, None
    found: dict[str, Atoms] = {}
    other = _complement(block, own, top=top, count=count)
    if other is not None:
        found[role_name("companion", part)] = in_cell(to_atoms(other, region=part), cell)
    crystal = reservoir_of(block.sites, dataset=dataset, temperature=temperature, files=files)
    if crystal is not None:
        sites = sites_of(crystal)
        if set(extra) == set(ions_of_sites(sites)) and len(set(extra.values())) == 1:
            role = "reservoir" if part == "substrate" else role_name("reservoir", part, cell="own")
            found[role] = to_atoms(sites, region=part)
            return found, crystal
    return found, None


def reservoir_facts(reservoirs: Mapping[Part, Crystal | None], *, warnings: Sequence[str]) -> dict[str, Any]:
    """Entries of a report: each reservoir crystal, its lattice constant (Å) with data set and source, all warnings.

    Parameters
    ----------
    reservoirs
        From :func:`companions`, by the part whose slab has too much of it.
    warnings
        What must be said of the other lattice constants; what must be said of the reservoirs' follows.
    """
    facts: dict[str, Any] = {}
    every = list(warnings)
    for part, crystal in reservoirs.items():
        key = "reservoir" if part == "substrate" else f"{part}_reservoir"
        facts[key] = facts[f"{key}_source"] = None
        if crystal is not None:
            facts[key] = crystal.name
            facts[f"{key}_source"] = f"{crystal.label} {crystal.a_angstrom:.4f} Å, {crystal.dataset}: {crystal.source}"
            every += crystal.warnings
    return {**facts, "lattice_warnings": list(dict.fromkeys(every))}


def _complement(block: Block, own: Mapping[str, int], *, top: int, count: int) -> SiteCell | None:
    """The slab that makes whole formula units with another one of ``own`` ions and ends in the layers that it lacks."""
    layers = block.surface.layers
    per = len(layers)
    ends = layers[(top - count) % per].kind, layers[(top + 1) % per].kind
    for number in sorted(range(max(1, count - per), count + per + 1), key=lambda n: (abs(n - count), n)):
        for other in range(top + 1, top + per + 1):
            if (layers[other % per].kind, layers[(other - number + 1) % per].kind) == ends:
                sites, _ = cut_block(block, bottom=other - number + 1, count=number)
                ions = ions_of_sites(sites)
                both = {name: own.get(name, 0) + ions.get(name, 0) for name in {*own, *ions}}
                if not excess(both, bulk=block.sites):
                    return sites
    return None


def slab_findings(
    facts: Mapping[str, Any], block: Block, *, top: int, charge: int, has: Collection[str], part: Part = "substrate"
) -> list[dict[str, str]]:
    """What must be known of a slab before anything is calculated: ``level``, ``message`` and ``remedy`` of each.

    Parameters
    ----------
    facts
        From :func:`face_facts`.
    block, top
        What it was cut from, and its topmost layer in the surface cell.
    charge
        Formal charge of the slab, e.
    has
        Roles of its companions.
    part
        Whose slab it is.
    """
    layers = block.surface.layers
    per, name = len(layers), block.surface.sites.name
    found: list[tuple[str, str]] = []
    sums = np.cumsum([layers[(top - k) % per].charge for k in range(per)])
    whole = f"a multiple of {per} monolayers"
    if charge:
        neutral = " or ".join(str(k + 1) for k in range(per) if not sums[k])
        found.append(
            (
                f"the slab has a formal charge of {charge:+d} e, which a neutral calculation puts into its bands",
                f"{neutral} monolayers below this layer, and any multiple of {per} more, are neutral; or take another "
                "termination",
            )
        )
    if facts["tasker_type"] == 3 and not charge:
        cuts = {termination_name(block.surface, k): cut_above(block.surface, k) for k in terminations(block.surface)}
        flat = [word for word, cut in cuts.items() if cut.tasker_type != 3]
        found.append(
            (
                f"the repeat unit below a face has a dipole of {facts['repeat_dipole_e_per_angstrom']:g} e/Å (Tasker "
                "type 3): the field across the slab grows with its thickness",
                f"cut without dipole: termination {' or '.join(flat)} at a multiple of {per} monolayers"
                if flat
                else "no cut of this plane is without: take another plane, or reconstruct the faces",
            )
        )
    if facts["excess"]:
        stoichiometric = f"{whole} is stoichiometric"
        if role_name("companion", part) not in has:
            found.append(
                (
                    f"no slab of another termination makes whole formula units of {name} with this one: there is no "
                    "mean surface energy of two terminations",
                    stoichiometric,
                )
            )
        if not any(role_of(role).kind == "reservoir" for role in has):
            extra = ", ".join(f"{count:+g} {ion}" for ion, count in facts["excess"].items())
            found.append(
                (
                    f"no reservoir crystal is known for the excess of {extra}: the surface energy of the slab alone "
                    "has no reference",
                    f"{stoichiometric}; or add a run, of role 'reservoir', of a crystal that takes the excess up",
                )
            )
    return [{"level": "warning", "message": message, "remedy": remedy} for message, remedy in found]


def in_cell(atoms: Atoms, cell: Array, *, lift: float | None = None) -> Atoms:
    """A copy in ``cell``, raised by ``lift`` (Å) along z, by default to the middle; periodic in three directions."""
    copy = atoms.copy()
    heights = atoms.positions[:, 2]
    middle = 0.5 * (cell[2, 2] - np.ptp(heights)) - heights.min()
    copy.positions[:, 2] += middle if lift is None else lift
    copy.set_cell(cell)
    copy.set_pbc(True)
    return copy
