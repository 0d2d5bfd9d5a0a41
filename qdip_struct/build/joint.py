"""Joining two crystals: one lateral cell, the strain each takes, both slabs cut; registry and gap are still open.

Lengths in Å, areas in Å², energies per area in meV/Å².
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.build.alloy import Alloy, Decoration, decorate
from qdip_struct.build.block import Block, between, cut, principal_strain, strained
from qdip_struct.build.cells import SiteCell
from qdip_struct.build.common_cell import common_cells
from qdip_struct.build.interface_options import LateralCell, Stack, imposed_cell
from qdip_struct.build.occupation import Occupation
from qdip_struct.build.slab import Material, decoration_entry, filled_block, stand_ins, surface_of
from qdip_struct.build.stiffness import Stiffness, elastic_energy, normal_stretch, stiffness_of
from qdip_struct.build.surface import SurfaceCell
from qdip_struct.build.termination import termination_named
from qdip_struct.errors import UsageError
from qdip_struct.materials.crystals import Crystal

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Joint:
    """Two crystals in one lateral cell, before a registry and a gap are chosen.

    Attributes
    ----------
    film, substrate
        Sites of the two slabs, each in order of its monolayers.
    film_layer, substrate_layer
        Monolayer of each site.
    blocks
        Bulk blocks of both, strained as in the interface.
    free_blocks
        The same unstrained.
    tops
        Number of the contact layer of each in its surface cell.
    facts
        What is known already, for the report.
    """

    film: SiteCell
    substrate: SiteCell
    film_layer: Array
    substrate_layer: Array
    blocks: Mapping[str, Block]
    free_blocks: Mapping[str, Block]
    tops: Mapping[str, int]
    facts: Mapping[str, Any]

    @property
    def lateral(self) -> Array:
        """Lateral vectors, rows (2, 2), Å."""
        return self.blocks["substrate"].lateral


def join(
    film: Material,
    substrate: Material,
    *,
    stack: Stack = Stack(),
    cell: LateralCell = LateralCell(),
    occupation: Occupation = Occupation(),
) -> Joint:
    """Bring two crystals into one lateral cell and cut both slabs.

    Parameters
    ----------
    film, substrate
        Crystal records, alloys, or periodic structures of the user.
    stack
        Planes, thicknesses and terminations.
    cell
        Common lateral cell and who is strained.
    occupation
        How the sites are filled.

    Raises
    ------
    UsageError
        If a termination is unknown, no common cell is found, or an imposed cell strains a crystal too much.
    """
    planes = {"film": stack.film_plane, "substrate": stack.substrate_plane}
    layers = {"film": stack.film_layers, "substrate": stack.substrate_layers}
    named = {"film": stack.film_termination, "substrate": stack.termination}
    materials: dict[str, Material] = {"film": film, "substrate": substrate}
    a_site, tolerance = occupation.a_site, stack.layer_tolerance
    surfaces = {
        part: surface_of(materials[part], plane=planes[part], a_site=a_site, layer_tolerance=tolerance)
        for part in materials
    }
    tops = {part: termination_named(surfaces[part], named[part]) for part in surfaces}
    common = common_cells(surfaces["film"], surfaces["substrate"], wish=cell)
    film_matrix = common.film
    if common.found.mirrored:
        directions = film_matrix @ surfaces["film"].uvw[:2]
        h, k, m = planes["film"]
        surfaces["film"] = surface_of(film, plane=(-h, -k, -m), a_site=a_site, layer_tolerance=tolerance)
        tops["film"] = termination_named(surfaces["film"], named["film"])
        film_matrix = np.rint(directions @ np.linalg.pinv(surfaces["film"].uvw[:2])).astype(int)
    matrices = {"film": np.diag(cell.repeat) @ film_matrix, "substrate": np.diag(cell.repeat) @ common.substrate}
    free = {part: matrices[part] @ surfaces[part].net for part in surfaces}
    stiffness = {part: stiffness_of(materials[part], surfaces[part]) for part in surfaces}
    share = {"film": 1.0, "substrate": 0.0, "shared": -1.0}[cell.strain_on]
    if cell.strain_on == "shared":
        share = _share(surfaces, layers, stiffness, free)
    onto = (
        between(free["film"], end=free["substrate"], share=share)
        if cell.lateral is None
        else imposed_cell(cell.lateral)
    )
    strain = {part: principal_strain(free[part], onto=onto) for part in surfaces}
    worst = max(abs(value) for pair in strain.values() for value in pair)
    limit = max(cell.max_strain, 0.10)
    if worst > limit + 1e-9:
        raise UsageError(f"the imposed lateral cell strains a crystal by {worst:.3f}; at most {limit:g}")
    stretch = {part: normal_stretch(stiffness[part], free[part], onto=onto, mode=cell.normal) for part in surfaces}
    blocks: dict[str, Block] = {}
    free_blocks: dict[str, Block] = {}
    decorations: dict[str, tuple[Decoration, ...]] = {}
    for part in surfaces:
        free_blocks[part], decorations[part] = filled_block(
            materials[part], surface=surfaces[part], matrix=matrices[part], occupation=occupation
        )
        blocks[part] = strained(free_blocks[part], lateral=onto, stretch=stretch[part])
    film_sites, film_layer = cut(blocks["film"], bottom=tops["film"], count=layers["film"])
    bottom = tops["substrate"] - layers["substrate"] + 1
    substrate_sites, substrate_layer = cut(blocks["substrate"], bottom=bottom, count=layers["substrate"])
    contact_entry = None
    if stack.contact is not None:
        substrate_sites, contact_entry = _contact_layer(
            substrate_sites, substrate_layer, stack.contact, seed=occupation.seed
        )
    energies = {part: elastic_energy(stiffness[part], free[part], onto=onto) for part in surfaces}
    area = float(abs(np.linalg.det(onto)))
    facts = {
        "film": surfaces["film"].sites.name,
        "film_plane": list(surfaces["film"].plane),
        "film_layers": layers["film"],
        "film_termination": surfaces["film"].layers[tops["film"]].name,
        "film_source": _source(film),
        "substrate": surfaces["substrate"].sites.name,
        "substrate_plane": list(surfaces["substrate"].plane),
        "substrate_layers": layers["substrate"],
        "termination": surfaces["substrate"].layers[tops["substrate"]].name,
        "substrate_source": _source(substrate),
        "area_angstrom2": area,
        "match": cell.match,
        "repeat": list(cell.repeat),
        "film_matrix": matrices["film"].tolist(),
        "substrate_matrix": matrices["substrate"].tolist(),
        "film_uvw": (matrices["film"] @ surfaces["film"].uvw[:2]).round(6).tolist(),
        "substrate_uvw": (matrices["substrate"] @ surfaces["substrate"].uvw[:2]).round(6).tolist(),
        "strain_on": cell.strain_on if cell.lateral is None else "given cell",
        "normal": cell.normal,
        "normal_strain": {part: round(value - 1.0, 10) + 0.0 for part, value in stretch.items()},
        "strain_film": list(strain["film"]),
        "strain_substrate": list(strain["substrate"]),
        "elastic_energy_film_mev_per_angstrom2": _per_area(energies["film"], blocks["film"], layers["film"]),
        "elastic_energy_substrate_mev_per_angstrom2": _per_area(
            energies["substrate"], blocks["substrate"], layers["substrate"]
        ),
        "elastic_source": {part: None if s is None else s.source for part, s in stiffness.items()},
        "a_site": a_site,
        "stand_in_for": stand_ins(film, substrate, a_site=a_site),
        "orientation": occupation.orientation,
        "seed": occupation.seed,
        "alloy": {part: [decoration_entry(d) for d in entries] for part, entries in decorations.items()},
        "contact_layer": contact_entry,
        "dataset": {part: _dataset(material) for part, material in materials.items()},
    }
    return Joint(film_sites, substrate_sites, film_layer, substrate_layer, blocks, free_blocks, tops, facts)


def _contact_layer(
    sites: SiteCell, layer: Array, shares: Mapping[str, float], *, seed: int
) -> tuple[SiteCell, dict[str, Any]]:
    anions = np.isin(sites.sublattice, ("X", "anion"))
    only = anions & (layer == layer.max())
    if not only.any():
        raise UsageError("the contact layer has no anions whose composition could be set apart")
    name = str(sites.sublattice[only][0])
    filled, decoration = decorate(sites, sublattice=name, fractions=shares, arrangement="random", seed=seed, only=only)
    return filled, {"realised": dict(decoration.realised), "n_sites": decoration.n_sites}


def _share(
    surfaces: Mapping[str, SurfaceCell], layers: Mapping[str, int], stiffness: Mapping[str, Stiffness | None],
    free: Mapping[str, Array],
) -> float:  # fmt: skip
    """Part of the misfit that the film takes when the elastic energy t·M·ε² of both slabs together is least."""
    springs = {}
    for part, surface in surfaces.items():
        known = stiffness[part]
        if known is None:
            raise UsageError(
                f"no elastic moduli are known for {surface.sites.name}; put the strain on film or substrate"
            )
        thickness = layers[part] * surface.period / len(surface.layers)
        stretched = free[part] * 1.001
        springs[part] = thickness * elastic_energy(known, free[part], onto=stretched)["relaxed_ev_per_angstrom3"]  # type: ignore[index]
    return springs["substrate"] / (springs["film"] + springs["substrate"])


def _per_area(energy: Mapping[str, float] | None, block: Block, layers: int) -> dict[str, float] | None:
    if energy is None:
        return None
    thickness = layers * float(block.sites.cell[2, 2]) / block.count
    return {
        "normal_kept": round(1000.0 * energy["clamped_ev_per_angstrom3"] * thickness, 6),
        "normal_relaxed": round(1000.0 * energy["relaxed_ev_per_angstrom3"] * thickness, 6),
    }


def _source(material: Material) -> str:
    if isinstance(material, Alloy):
        return f"{material.parent.label} {material.parent.a_angstrom:.4f} Å, {material.arrangement}: {material.source}"
    if isinstance(material, Crystal):
        return f"{material.label} {material.a_angstrom:.4f} Å, {material.dataset}: {material.source}"
    return "structure given by the user"


def _dataset(material: Material) -> str | None:
    crystal = material.parent if isinstance(material, Alloy) else material
    return crystal.dataset if isinstance(crystal, Crystal) else None
