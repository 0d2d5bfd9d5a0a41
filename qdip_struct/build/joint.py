"""Joining two crystals: one lateral cell, the strain each takes, both slabs cut; registry and gap are still open.

Lengths in Å, areas in Å², energies per area in meV/Å².
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from qdip_struct.build.alloy import Alloy, Decoration, decorate
from qdip_struct.build.block import Block, between, cut, principal_strain, strained
from qdip_struct.build.cells import SiteCell
from qdip_struct.build.common_cell import common_cells
from qdip_struct.build.molecules import Orientation
from qdip_struct.build.slab import (
    Material,
    check_layers,
    check_repeat,
    decoration_entry,
    filled_block,
    stand_ins,
    surface_of,
)
from qdip_struct.build.stiffness import Normal, Stiffness, elastic_energy, normal_stretch, stiffness_of
from qdip_struct.build.surface import LAYER_TOLERANCE_ANGSTROM, SurfaceCell
from qdip_struct.build.termination import termination_named
from qdip_struct.errors import UsageError
from qdip_struct.matching.miller import Plane
from qdip_struct.materials.crystals import Crystal

Array = NDArray[Any]
StrainOn = Literal["film", "substrate", "shared"]


@dataclass(frozen=True, eq=False)
class Joint:
    """Two crystals in one lateral cell, before a registry and a gap are chosen.

    Parameters
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
    film_plane: Plane,
    substrate_plane: Plane,
    film_layers: int,
    substrate_layers: int,
    termination: str | None = "BX2",
    film_termination: str | None = None,
    strain_on: StrainOn = "film",
    normal: Normal = "kept",
    match: int | None = None,
    repeat: tuple[int, int] = (1, 1),
    lateral: Sequence[float] | None = None,
    contact: Mapping[str, float] | None = None,
    a_site: str = "molecule",
    orientation: Orientation = "antiparallel",
    seed: int = 0,
    max_area: float = 400.0,
    max_strain: float = 0.10,
    max_angle: float = 1.0,
    layer_tolerance: float = LAYER_TOLERANCE_ANGSTROM,
) -> Joint:
    """Bring two crystals into one lateral cell and cut both slabs.

    The arguments are those of :func:`qdip_struct.build.interface.build_interface`.
    """
    check_layers(film_layers, what="the film's thickness")
    check_layers(substrate_layers, what="the substrate's thickness")
    check_repeat(repeat)
    if strain_on not in get_args(StrainOn):
        raise UsageError(f"strain_on is '{strain_on}'; expected {', '.join(get_args(StrainOn))}")
    surfaces = {
        "film": surface_of(film, plane=film_plane, a_site=a_site, layer_tolerance=layer_tolerance),
        "substrate": surface_of(substrate, plane=substrate_plane, a_site=a_site, layer_tolerance=layer_tolerance),
    }
    tops = {
        "film": termination_named(surfaces["film"], film_termination),
        "substrate": termination_named(surfaces["substrate"], termination),
    }
    common = common_cells(
        surfaces["film"],
        surfaces["substrate"],
        max_area=max_area,
        max_strain=max_strain,
        max_angle=max_angle,
        match=match,
    )
    film_matrix = common.film
    if common.found.mirrored:
        directions = film_matrix @ surfaces["film"].uvw[:2]
        turned_plane = (-film_plane[0], -film_plane[1], -film_plane[2])
        surfaces["film"] = surface_of(film, plane=turned_plane, a_site=a_site, layer_tolerance=layer_tolerance)
        tops["film"] = termination_named(surfaces["film"], film_termination)
        film_matrix = np.rint(directions @ np.linalg.pinv(surfaces["film"].uvw[:2])).astype(int)
    matrices = {"film": np.diag(repeat) @ film_matrix, "substrate": np.diag(repeat) @ common.substrate}
    free = {part: matrices[part] @ surfaces[part].net for part in surfaces}
    materials: dict[str, Material] = {"film": film, "substrate": substrate}
    layers = {"film": film_layers, "substrate": substrate_layers}
    stiffness = {part: stiffness_of(materials[part], surfaces[part]) for part in surfaces}
    share = {"film": 1.0, "substrate": 0.0, "shared": -1.0}[strain_on]
    if strain_on == "shared":
        share = _share(surfaces, layers, stiffness, free)
    onto = between(free["film"], end=free["substrate"], share=share) if lateral is None else _imposed(lateral)
    strain = {part: principal_strain(free[part], onto=onto) for part in surfaces}
    worst = max(abs(value) for pair in strain.values() for value in pair)
    if normal not in get_args(Normal):
        raise UsageError(f"normal is '{normal}'; expected {', '.join(get_args(Normal))}")
    if worst > max(max_strain, 0.10) + 1e-9:
        raise UsageError(f"the imposed lateral cell strains a crystal by {worst:.3f}; at most {max(max_strain, 0.1):g}")
    stretch = {part: normal_stretch(stiffness[part], free[part], onto=onto, mode=normal) for part in surfaces}
    blocks: dict[str, Block] = {}
    free_blocks: dict[str, Block] = {}
    decorations: dict[str, tuple[Decoration, ...]] = {}
    for part in surfaces:
        options: dict[str, Any] = {"surface": surfaces[part], "matrix": matrices[part]}
        options |= {"orientation": orientation, "seed": seed}
        free_blocks[part], decorations[part] = filled_block(materials[part], **options)
        blocks[part] = strained(free_blocks[part], lateral=onto, stretch=stretch[part])
    film_sites, film_layer = cut(blocks["film"], bottom=tops["film"], count=film_layers)
    bottom = tops["substrate"] - substrate_layers + 1
    substrate_sites, substrate_layer = cut(blocks["substrate"], bottom=bottom, count=substrate_layers)
    contact_entry = None
    if contact is not None:
        substrate_sites, contact_entry = _contact_layer(substrate_sites, substrate_layer, contact, seed=seed)
    energies = {part: elastic_energy(stiffness[part], free[part], onto=onto) for part in surfaces}
    area = float(abs(np.linalg.det(onto)))
    facts = {
        "film": surfaces["film"].sites.name,
        "film_plane": list(surfaces["film"].plane),
        "film_layers": film_layers,
        "film_termination": surfaces["film"].layers[tops["film"]].name,
        "film_source": _source(film),
        "substrate": surfaces["substrate"].sites.name,
        "substrate_plane": list(surfaces["substrate"].plane),
        "substrate_layers": substrate_layers,
        "termination": surfaces["substrate"].layers[tops["substrate"]].name,
        "substrate_source": _source(substrate),
        "area_angstrom2": area,
        "match": match,
        "repeat": list(repeat),
        "film_matrix": matrices["film"].tolist(),
        "substrate_matrix": matrices["substrate"].tolist(),
        "film_uvw": (matrices["film"] @ surfaces["film"].uvw[:2]).round(6).tolist(),
        "substrate_uvw": (matrices["substrate"] @ surfaces["substrate"].uvw[:2]).round(6).tolist(),
        "strain_on": strain_on if lateral is None else "given cell",
        "normal": normal,
        "normal_strain": {part: round(value - 1.0, 10) + 0.0 for part, value in stretch.items()},
        "strain_film": list(strain["film"]),
        "strain_substrate": list(strain["substrate"]),
        "elastic_energy_film_mev_per_angstrom2": _per_area(energies["film"], blocks["film"], film_layers),
        "elastic_energy_substrate_mev_per_angstrom2": _per_area(
            energies["substrate"], blocks["substrate"], substrate_layers
        ),
        "elastic_source": {part: None if s is None else s.source for part, s in stiffness.items()},
        "a_site": a_site,
        "stand_in_for": stand_ins(film, substrate, a_site=a_site),
        "orientation": orientation,
        "seed": seed,
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


def _imposed(lateral: Sequence[float]) -> Array:
    values = [float(value) for value in lateral]
    if len(values) not in (2, 3) or not all(math.isfinite(value) and value > 0 for value in values):
        raise UsageError(
            f"the lateral cell is {list(lateral)}; expected two edges in Å and optionally the angle in degree"
        )
    a, b = values[:2]
    angle = values[2] if len(values) == 3 else 90.0
    if not 20.0 <= angle <= 160.0:
        raise UsageError(f"the angle of the lateral cell is {angle:g}°; expected 20 to 160")
    cosine = 0.0 if angle == 90.0 else math.cos(math.radians(angle))
    return np.array([[a, 0.0], [b * cosine, b * math.sqrt(1.0 - cosine * cosine)]])


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
