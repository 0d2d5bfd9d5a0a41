"""Terminations and counts of ions: what a slab ends with, what it has too much of, and what else must be calculated.

A slab that ends in AX or BX2 layers on both faces holds no whole number of formula units: its surface energy depends on
the chemical potential of AX. Two more cells mend that, its companions: the slab of the other termination (the mean of
both is free of a chemical potential) and the bulk crystal AX (the limit of the chemical potential to which the energy
of the one slab is referred). Molecular ions count whole. Lengths in Å, charges in e.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import SiteCell, sites_of, to_atoms
from qdip_struct.builders.parsing import Faces
from qdip_struct.builders.slab.block import Block, cut_block
from qdip_struct.builders.slab.surface import SurfaceCell
from qdip_struct.matching.planes import plane_text
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.ions import FORMAL_CHARGES, IONS, MOLECULES
from qdip_struct.materials.options import DEFAULT_DATASET
from qdip_struct.materials.structure_files import crystal_named


def ions_of_sites(sites: SiteCell) -> dict[str, int]:
    """Number of each ion, in alphabetical order."""
    names, counts = np.unique(sites.species, return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def ions_of(atoms: Atoms) -> dict[str, int]:
    """Number of each ion of labelled atoms; a molecular ion counts once, as MA (one N) or FA (two N)."""
    molecule = atoms.get_array("molecule")
    symbols = np.array(atoms.get_chemical_symbols())
    names, counts = np.unique(symbols[molecule < 0], return_counts=True)
    found = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    if (molecule >= 0).any():
        nitrogen = np.bincount(molecule[(molecule >= 0) & (symbols == "N")])
        for name in MOLECULES:
            if count := int((nitrogen == IONS[name].atoms["N"]).sum()):
                found[name] = count
    return dict(sorted(found.items()))


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


def reservoir_of(bulk: SiteCell, *, dataset: str | None, temperature: float | None = None) -> Crystal | None:
    """The crystal AX of a perovskite ABX3, from its own data set or else from the default one; ``None`` when unknown.

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
            found = crystal_named(word, dataset=name)
        except UsageError:
            continue
        if temperature is None or found.temperature_kelvin is None:
            return found
        try:
            return crystal_named(word, dataset=name, temperature=temperature)
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


def termination_named(surface: SurfaceCell, name: str | None) -> int:
    """Number of the layer that a termination's name means: ``AX``, ``BX2``, ``PbS``, or ``NAME:2`` for a second kind.

    A plane with one termination has that one whatever the name; ``None`` means the first.

    Raises
    ------
    UsageError
        If the plane has no such termination; the message lists those it has.
    """
    numbers = terminations(surface)
    if name is None or len(numbers) == 1:
        return numbers[0]
    wanted, _, which = name.partition(":")
    found = [k for k in numbers if wanted in (surface.layers[k].name, surface.layers[k].formula)]
    index = int(which) - 1 if which.isdigit() else 0 if not which else -1
    if not 0 <= index < len(found):
        raise UsageError(
            f"{surface.sites.name} {plane_text(surface.plane)} has no termination '{name}'; it has: "
            f"{', '.join(termination_names(surface))}"
        )
    return found[index]


def face_facts(sites: SiteCell, layer: Array, block: Block, *, top: int) -> dict[str, Any]:
    """What the two faces are, whether they are alike, what the slab has too much of, and its dipole moment.

    The dipole moment per area is Σ q·z / A of the formal charges (e/Å), z from the middle of the slab. ``polar`` is set
    when it grows with thickness, that is when a repeat of the plane carries a moment: (111) of rock salt.

    Parameters
    ----------
    sites, layer
        Sites of the slab and the monolayer of each, (n,).
    block
        The bulk it was cut from.
    top
        Number of its topmost layer in the surface cell.
    """
    surface = block.surface
    count = int(layer.max()) + 1
    per = len(surface.layers)
    upper, lower = surface.layers[top], surface.layers[(top - count + 1) % per]
    ions = ions_of_sites(sites)
    charge = np.array([FORMAL_CHARGES[str(s)] for s in sites.species])
    heights = sites.positions[:, 2]
    moment = float(charge @ (heights - 0.5 * (heights.max() + heights.min()))) / block.area
    area = abs(np.linalg.det(surface.net))
    return {
        "termination_top": upper.name,
        "termination_bottom": lower.name,
        "face_top": upper.formula,
        "face_bottom": lower.formula,
        "face_charge_top_e_per_angstrom2": round(upper.charge / area, 10) + 0.0,
        "face_charge_bottom_e_per_angstrom2": round(lower.charge / area, 10) + 0.0,
        "symmetric": upper.kind == lower.kind and surface.flips,
        "n_formula_units": units_by_cation(ions, bulk=block.sites),
        "excess": excess(ions, bulk=block.sites),
        "dipole_e_per_angstrom": round(moment, 8) + 0.0,
        "dipolar": abs(moment) > 1e-6,
        "polar": any(entry.charge for entry in surface.layers),
        "layer_names": [surface.layers[(top - count + 1 + k) % per].name for k in range(count)],
    }


def check_faces(faces: Faces, facts: Mapping[str, Any], surface: SurfaceCell) -> None:
    """Raise :class:`UsageError` when the faces are not as asked for, and say which thickness would do."""
    per = len(surface.layers)
    if faces == "symmetric" and not facts["symmetric"]:
        hint = (
            f"a multiple of {per} monolayers plus one makes both faces alike" if surface.flips else "no thickness does"
        )
        raise UsageError(
            f"the faces are {facts['termination_bottom']} and {facts['termination_top']}, not symmetric; {hint}"
        )
    if faces == "stoichiometric" and facts["excess"]:
        raise UsageError(
            f"the slab has an excess of {facts['excess']}; a multiple of {per} monolayers is stoichiometric"
        )


def companions(
    slab: SiteCell, block: Block, *, top: int, count: int, cell: Array, dataset: str | None, temperature: float | None
) -> tuple[dict[str, Atoms], Crystal | None]:
    """Cells by role, ``substrate_other`` and ``reservoir`` where they exist, and the crystal of the reservoir.

    There are none for a stoichiometric slab.

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
    """
    if not excess(ions_of_sites(slab), bulk=block.sites):
        return {}, None
    found: dict[str, Atoms] = {}
    layers = block.surface.layers
    if len({layer.kind for layer in layers}) == 2:
        other = next(k for k in range(top + 1, top + len(layers)) if layers[k % len(layers)].kind != layers[top].kind)
        sites, _ = cut_block(block, bottom=other - count + 1, count=count)
        found["substrate_other"] = in_cell(to_atoms(sites, region="substrate"), cell)
    reservoir = reservoir_of(block.sites, dataset=dataset, temperature=temperature)
    if reservoir is not None:
        found["reservoir"] = to_atoms(sites_of(reservoir), region="substrate")
    return found, reservoir


def reservoir_facts(reservoir: Crystal | None, *, warnings: Sequence[str]) -> dict[str, Any]:
    """Entries of a report: the reservoir crystal, its lattice constant (Å) with data set and source, and all warnings.

    Parameters
    ----------
    reservoir
        From :func:`companions`.
    warnings
        What must be said of the other lattice constants; what must be said of the reservoir's follows.
    """
    name = told = None
    if reservoir is not None:
        name = reservoir.name
        told = f"{reservoir.label} {reservoir.a_angstrom:.4f} Å, {reservoir.dataset}: {reservoir.source}"
    every = (*warnings, *(() if reservoir is None else reservoir.warnings))
    return {"reservoir": name, "reservoir_source": told, "lattice_warnings": list(dict.fromkeys(every))}


def in_cell(atoms: Atoms, cell: Array, *, lift: float | None = None) -> Atoms:
    """A copy in ``cell``, raised by ``lift`` (Å) along z, by default to the middle; periodic in three directions."""
    copy = atoms.copy()
    heights = atoms.positions[:, 2]
    middle = 0.5 * (cell[2, 2] - np.ptp(heights)) - heights.min()
    copy.positions[:, 2] += middle if lift is None else lift
    copy.set_cell(cell)
    copy.set_pbc(True)
    return copy
