"""Interfaces: a film on a substrate, and every cell whose energy is needed to say what the interface costs.

Convention: substrate below, film above, normal +z. Film, substrate and interface share one cell and the same places in
it, so that their energies and densities may be subtracted. The bulk cells have the same lateral vectors. Lengths in Å.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Occupation, SiteCell, to_atoms
from qdip_struct.builders.atoms.regions import report as structure_report
from qdip_struct.builders.atoms.store import BuilderRecords
from qdip_struct.builders.interface.interface_options import LateralCell, Placement, Stack, check_vacuum
from qdip_struct.builders.interface.joint import Joint, join
from qdip_struct.builders.interface.registry import closing_vector, film_position, joined_atoms, touching_height
from qdip_struct.builders.roles import PARTS, Part, role_of
from qdip_struct.builders.slab.block import wrapped
from qdip_struct.builders.slab.stoichiometry import (
    DIPOLE_E_PER_ANGSTROM,
    companions,
    excess,
    face_facts,
    in_cell,
    ions_of,
    moment_per_area,
    reservoir_facts,
    slab_findings,
    units_by_cation,
)
from qdip_struct.matching.planes import plane_text
from qdip_struct.materials.crystals import Crystal


@dataclass(frozen=True, eq=False)
class InterfaceCells:
    """Cells whose energies may be combined.

    Attributes
    ----------
    film, substrate, interface
        Atoms in one common cell.
    film_bulk, substrate_bulk
        Bulk crystals strained as in the interface, with the same lateral vectors; a finished film has none.
    film_bulk_free
        The film's bulk cell unstrained.
    area_angstrom2
        Area of the common lateral cell.
    strain
        Principal engineering strains: ``{"film": (e1, e2), "substrate": (e1, e2)}``.
    report
        What was built, common to all cells.
    reports
        Report of each role, as written to its sidecar.
    others
        Further cells by role: ``substrate_bulk_free`` when the substrate is strained, ``substrate_other`` and
        ``film_other`` (slabs of the other termination), ``reservoir`` and ``film_reservoir`` (the crystals that take up
        the excess of a slab that is not stoichiometric; one where both are the same).
    """

    film: Atoms
    substrate: Atoms
    interface: Atoms
    substrate_bulk: Atoms
    area_angstrom2: float
    strain: Mapping[str, tuple[float, float]]
    report: Mapping[str, Any]
    reports: Mapping[str, Mapping[str, Any]]
    film_bulk: Atoms | None = None
    film_bulk_free: Atoms | None = None
    others: Mapping[str, Atoms] = field(default_factory=dict)

    def cells(self) -> dict[str, Atoms]:
        """Every cell by its role, in a fixed order."""
        named = ("film", "substrate", "interface", "film_bulk", "substrate_bulk", "film_bulk_free")
        found = {role: getattr(self, role) for role in named}
        return {**{role: atoms for role, atoms in found.items() if atoms is not None}, **self.others}


def build_interface(
    film: Crystal | Atoms,
    substrate: Crystal | Atoms,
    *,
    stack: Stack = Stack(),
    cell: LateralCell = LateralCell(),
    placement: Placement = Placement(),
    occupation: Occupation = Occupation(),
) -> InterfaceCells:
    """Build a film on a substrate and the cells that belong to it.

    Parameters
    ----------
    film, substrate, stack, cell, occupation
        See :func:`qdip_struct.builders.interface.joint.join`.
    placement
        See :func:`place`.

    Raises
    ------
    UsageError
        As these two do.

    Examples
    --------
    >>> from qdip_struct.materials.datasets import get_crystal
    >>> film, substrate = (get_crystal(name, dataset="pbe_cp2k") for name in ("PbS", "CsPbBr3"))
    >>> cells = build_interface(film, substrate, stack=Stack(substrate_layers=5), placement=Placement(gap=3.2))
    >>> len(cells.film), len(cells.substrate), round(cells.area_angstrom2, 2)
    (12, 13, 35.88)
    """
    return place(join(film, substrate, stack=stack, cell=cell, occupation=occupation), placement=placement)


def place(joint: Joint, *, placement: Placement = Placement()) -> InterfaceCells:
    """Put the film above the substrate at a registry and a gap.

    Parameters
    ----------
    joint
        Both slabs in one lateral cell.
    placement
        Registry, gap, vacuum or sandwich.

    Raises
    ------
    UsageError
        If the registry does not exist or the atoms do not fit into the height.
    """
    kind, facts = placement.kind, joint.facts
    placed = _placed_film(joint, placement=placement)
    cell, lift, vacuum = _cell_around(placed, joint, placement=placement)
    interface = joined_atoms(placed.below, placed.above)
    pieces = {"film": placed.above, "substrate": placed.below, "interface": interface}
    cells = {name: in_cell(atoms, cell, lift=lift) for name, atoms in pieces.items()}
    finished = facts["film_is"] == "finished"
    if finished and kind == "sandwich":
        raise UsageError("a sandwich has no vacuum and needs a film that is cut from a crystal; take the kind slab")
    if not finished:
        cells["film_bulk"] = to_atoms(joint.blocks["film"].sites, region="film")
    cells["substrate_bulk"] = to_atoms(joint.blocks["substrate"].sites, region="substrate")
    if not finished:
        cells["film_bulk_free"] = to_atoms(joint.free_blocks["film"].sites, region="film")
    others: dict[str, Atoms] = {}
    reservoirs: dict[Part, Crystal | None] = {}
    for part in reversed(PARTS):
        sites, layer, top = _slab_of(joint, part)
        found, reservoirs[part] = companions(
            sites, joint.blocks[part], top=top, count=int(layer.max()) + 1, cell=cell, dataset=facts["dataset"][part],
            temperature=facts["temperature_kelvin"].get(part), part=part, files=joint.files,
        )  # fmt: skip
        others |= found
    if "reservoir" in others and "film_reservoir" in others and _same_crystal(others):
        del others["film_reservoir"]
    if max(map(abs, facts["strain_substrate"])) > 1e-9:
        others["substrate_bulk_free"] = to_atoms(joint.free_blocks["substrate"].sites, region="substrate")
    group = _group(facts, placement=placement)
    common = {
        "group": group,
        **facts,
        "registry": _registry_name(placement),
        "registry_fraction": (placed.fraction.round(6) + 0.0).tolist(),
        "gap_angstrom": round(float(placed.gap), 10),
        "gap_rule": "given" if placement.gap is not None else "ions touch as hard spheres of six-coordinate radii",
        "n_interfaces": 1 if kind == "slab" else 2,
        "vacuum_angstrom": vacuum,
        "dipole_direction": "z",
        **reservoir_facts(reservoirs, warnings=facts["lattice_warnings"]),
    }
    makers = {}
    for role, atoms in {**cells, **others}.items():
        # Two interfaces in one cell: a role of its own, so that nobody takes its energy for that of one interface.
        named = "sandwich" if role == "interface" and kind == "sandwich" else role
        makers[role] = partial(_report, role, atoms, common, joint, named=named, has=tuple(others))
        atoms.info = {"role": named, "group": group}
    strain = {"film": tuple(facts["strain_film"]), "substrate": tuple(facts["strain_substrate"])}
    return InterfaceCells(
        **cells, area_angstrom2=facts["area_angstrom2"], strain=strain, report=common, reports=BuilderRecords(makers),
        others=others,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _PlacedFilm:
    """Film above substrate: the film's sites where it stands sideways, both slabs' atoms, registry and gap (Å)."""

    film: SiteCell
    below: Atoms
    above: Atoms
    fraction: Array
    gap: float


def _placed_film(joint: Joint, *, placement: Placement) -> _PlacedFilm:
    """Shift the film to its registry and raise it to its gap."""
    lateral, film = joint.lateral, joint.film
    shift, fraction = film_position(
        placement.registry, below=joint.substrate, below_layer=joint.substrate_layer, above=film,
        above_layer=joint.film_layer, lateral=lateral,
    )  # fmt: skip
    top_plane = joint.substrate.positions[joint.substrate_layer == joint.substrate_layer.max(), 2].mean()
    bottom_plane = film.positions[joint.film_layer == 0, 2].mean()
    moved = wrapped(film.positions + np.array([*shift, top_plane - bottom_plane]), lateral=lateral)
    film = film.take(np.arange(len(film)), positions=moved)
    below, above = to_atoms(joint.substrate, region="substrate"), to_atoms(film, region="film")
    gap = touching_height(below, above, lateral=lateral) if placement.gap is None else placement.gap
    above.positions[:, 2] += gap
    return _PlacedFilm(film, below, above, fraction, gap)


def _cell_around(placed: _PlacedFilm, joint: Joint, *, placement: Placement) -> tuple[Array, float, float]:
    """Cell (3, 3) of the whole, by how much everything is raised in it, and the vacuum it leaves, Å."""
    lateral = joint.lateral
    cell = np.zeros((3, 3))
    cell[:2, :2] = lateral
    if placement.kind == "sandwich":
        cell[2] = closing_vector(
            joint, placed.film, placed.below, placed.above, registry=placement.registry, gap=placement.gap,
            lateral=lateral,
        )  # fmt: skip
        return cell, -float(joint.substrate.positions[joint.substrate_layer == 0, 2].mean()), 0.0
    heights = np.concatenate([placed.below.positions[:, 2], placed.above.positions[:, 2]])
    thickness, vacuum = float(np.ptp(heights)), placement.vacuum
    if placement.height is not None:
        vacuum = placement.height - thickness
        check_vacuum(vacuum)
    cell[2, 2] = thickness + vacuum
    return cell, 0.5 * vacuum - heights.min(), vacuum


def _registry_name(placement: Placement) -> str:
    registry = placement.registry
    return registry if isinstance(registry, str) else f"{registry[0]:g},{registry[1]:g}"


def _group(facts: Mapping[str, Any], *, placement: Placement) -> str:
    """Name of the runs that belong together: planes, layers, termination, registry, and what is not the default."""
    film = f"{facts['film']}{plane_text(facts['film_plane'])}x{facts['film_layers']}"
    substrate = f"{facts['substrate']}{plane_text(facts['substrate_plane'])}x{facts['substrate_layers']}"
    gap = "" if placement.gap is None else f"_gap{placement.gap:g}"
    sandwich = "_sandwich" if placement.kind == "sandwich" else ""
    termination = facts["termination"].replace(":", "-")
    return f"{film}_{substrate}_{termination}_{_registry_name(placement)}{gap}{sandwich}"


def _slab_of(joint: Joint, part: Part) -> tuple[SiteCell, Array, int]:
    """Sites of one slab, the monolayer of each, and the number of the topmost layer in its surface cell."""
    if part == "substrate":
        return joint.substrate, joint.substrate_layer, joint.tops[part]
    per = len(joint.blocks[part].surface.layers)
    return joint.film, joint.film_layer, (joint.tops[part] + int(joint.film_layer.max())) % per


def _same_crystal(others: Mapping[str, Atoms]) -> bool:
    """Whether film and substrate share their reservoir: one run serves both."""
    one, two = others["reservoir"], others["film_reservoir"]
    return bool(one == two)


def _of_finished(charge: int) -> list[dict[str, str]]:
    """What must be known of a film that was cut from no crystal."""
    found = [
        {
            "level": "warning",
            "message": "the film has no bulk: its surface energy cannot be had",
            "remedy": "the adsorption energy can, from film, substrate and interface",
        }
    ]
    if charge:
        message = f"the film has a formal charge of {charge:+d} e, which a neutral calculation puts into its bands"
        found.append({"level": "warning", "message": message, "remedy": "give a film that is neutral"})
    return found


def _report(
    role: str, atoms: Atoms, common: Mapping[str, Any], joint: Joint, *, named: str, has: Collection[str]
) -> dict[str, Any]:
    plays = role_of(role)
    own = plays.side
    more: dict[str, Any] = {"role": role, **common}
    if plays.kind == "reservoir":
        more["n_formula_units"] = sum(ions_of(atoms).values()) / 2
    elif role != "interface":
        bulk = joint.blocks[own].sites
        more["n_formula_units"] = units_by_cation(ions_of(atoms), bulk=bulk)
        more["excess"] = excess(ions_of(atoms), bulk=bulk)
    if plays.layered:
        moment = moment_per_area(atoms, area=common["area_angstrom2"])
        more |= {
            "thickness_angstrom": float(np.ptp(atoms.positions[:, 2])),
            "dipole_e_per_angstrom": round(moment, 6) + 0.0,
            "dipolar": abs(moment) > DIPOLE_E_PER_ANGSTROM,
        }
    if plays.kind == "slab":
        block = joint.blocks[own]
        sites, layer, top = _slab_of(joint, own)
        facts = face_facts(sites, layer, block, top=top, atoms=atoms)
        charge = int(sites.charges.sum())
        more["findings"] = slab_findings(facts, block, top=top, charge=charge, has=has, part=own)
        if own == "film" and common["film_is"] == "finished":
            more["findings"] = _of_finished(charge)
        kept = (
            *("termination_top", "termination_bottom", "face_top", "face_bottom", "symmetric", "symmetric_sites"),
            *("tasker_type", "repeat_dipole_e_per_angstrom", "polar", "layer_names"),
        )
        more |= {key: facts[key] for key in kept}
    seed = common["seed"] if common["orientation"] == "random" or any(common["alloy"].values()) else None
    return {**structure_report(atoms, **{**more, "seed": seed}), "role": named}
