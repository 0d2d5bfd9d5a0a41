"""Interfaces: a film on a substrate, and every cell whose energy is needed to say what the interface costs.

Convention: substrate below, film above, normal +z. Film, substrate and interface share one cell and the same places in
it, so that their energies and densities may be subtracted. The bulk cells have the same lateral vectors. Lengths in Å.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.build.block import wrapped
from qdip_struct.build.cells import to_atoms
from qdip_struct.build.companions import companions, in_cell
from qdip_struct.build.joint import Joint, StrainOn, join
from qdip_struct.build.molecules import Orientation
from qdip_struct.build.placement import closing_vector, joined_atoms, touching_height
from qdip_struct.build.regions import report as structure_report
from qdip_struct.build.registry import film_position
from qdip_struct.build.slab import Material, check_vacuum, face_facts
from qdip_struct.build.stiffness import Normal
from qdip_struct.build.stoichiometry import excess, formula_units, ions_of
from qdip_struct.build.surface import LAYER_TOLERANCE_ANGSTROM
from qdip_struct.errors import UsageError
from qdip_struct.matching.miller import Plane, plane_text

Array = NDArray[Any]
Kind = Literal["slab", "sandwich"]


@dataclass(frozen=True, eq=False)
class InterfaceCells:
    """Cells whose energies may be combined.

    Parameters
    ----------
    film, substrate, interface
        Atoms in one common cell.
    film_bulk, substrate_bulk
        Bulk crystals strained as in the interface, with the same lateral vectors.
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
        Further cells by role: ``substrate_bulk_free`` when the substrate is strained, ``substrate_other`` (the slab of
        the other termination), ``reservoir`` (the crystal that takes up the excess of a non-stoichiometric slab).
    """

    film: Atoms
    substrate: Atoms
    interface: Atoms
    film_bulk: Atoms
    substrate_bulk: Atoms
    film_bulk_free: Atoms
    area_angstrom2: float
    strain: Mapping[str, tuple[float, float]]
    report: Mapping[str, Any]
    reports: Mapping[str, Mapping[str, Any]]
    others: Mapping[str, Atoms] = field(default_factory=dict)

    def cells(self) -> dict[str, Atoms]:
        """Every cell by its role, in a fixed order."""
        named = ("film", "substrate", "interface", "film_bulk", "substrate_bulk", "film_bulk_free")
        return {**{role: getattr(self, role) for role in named}, **self.others}


def build_interface(
    film: Material,
    substrate: Material,
    *,
    film_plane: Plane = (1, 0, 0),
    substrate_plane: Plane = (1, 0, 0),
    film_layers: int = 3,
    substrate_layers: int = 3,
    termination: str | None = "BX2",
    film_termination: str | None = None,
    registry: str | tuple[float, float] = "continuation",
    gap: float | None = None,
    strain_on: StrainOn = "film",
    normal: Normal = "kept",
    vacuum: float = 20.0,
    kind: Kind = "slab",
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
) -> InterfaceCells:
    """Build a film on a substrate and the cells that belong to it.

    Parameters
    ----------
    film, substrate
        Crystal records, alloys, or periodic structures of the user.
    film_plane, substrate_plane
        Miller indices in the axes of each crystal's cell.
    film_layers, substrate_layers
        Thickness in monolayers.
    termination, film_termination
        Layer of the substrate, and of the film, that is in contact; see
        :func:`qdip_struct.build.termination.termination_named`. A plane with one termination has that one.
    registry
        Name or fractions, see :mod:`qdip_struct.build.registry`.
    gap
        Distance of the mean planes of the two contact layers, Å. Default: the ions touch as hard spheres of their
        six-coordinate radii (3.15 Å for Pb above Br, the optimum that CP2K gives for PbS on PbBr2-terminated CsPbBr3).
    strain_on
        Which crystal takes the lateral strain; ``shared`` divides it so that the elastic energy is least.
    normal
        Spacings of a strained crystal along z: ``kept`` as in its bulk, or ``relaxed`` by its elastic moduli
        (Poisson's effect).
    vacuum
        Empty length along z in the common cell, Å; not used by a sandwich.
    kind
        ``slab``: vacuum above and below, one interface. ``sandwich``: no vacuum, two interfaces (its role is
        ``sandwich``, its work of adhesion is per 2A); the cell is sheared where that gives the second one the same
        registry.
    match
        Number in the list of common cells of :func:`qdip_struct.matching.coincidence.find_matches` within
        ``max_area`` (Å²), ``max_strain`` and ``max_angle`` (degree), sorted by area, then strain. Default: see
        :func:`qdip_struct.build.common_cell.common_cells`.
    repeat
        Lateral repeat of that common cell.
    lateral
        Edges (Å) and optionally the angle (degree, default 90) of the common cell imposed on both crystals.
    contact
        Shares of the halides (or chalcogenides) of the substrate's contact layer, ``{"Br": 1.0}``, whatever its bulk.
    a_site
        ``"molecule"``, or an ion such as ``"Cs"`` that replaces MA and FA.
    orientation, seed
        How molecules are turned.
    layer_tolerance
        Sites closer than this along the normal belong to one monolayer, Å.

    Raises
    ------
    UsageError
        If an argument is not possible, a termination is unknown or no common cell is found.
    """
    joint = join(
        film, substrate, film_plane=film_plane, substrate_plane=substrate_plane, film_layers=film_layers,
        substrate_layers=substrate_layers, termination=termination, film_termination=film_termination,
        strain_on=strain_on, normal=normal, match=match, repeat=repeat, lateral=lateral, contact=contact, a_site=a_site,
        orientation=orientation, seed=seed, max_area=max_area, max_strain=max_strain, max_angle=max_angle,
        layer_tolerance=layer_tolerance,
    )  # fmt: skip
    return place(joint, registry=registry, gap=gap, vacuum=vacuum, kind=kind)


def place(
    joint: Joint,
    *,
    registry: str | tuple[float, float] = "continuation",
    gap: float | None = None,
    vacuum: float = 20.0,
    kind: Kind = "slab",
    height: float | None = None,
) -> InterfaceCells:
    """Put the film above the substrate at a registry and a gap.

    The arguments are those of :func:`build_interface`; ``height`` (Å) fixes the length of a slab's cell along z, so
    that several gaps share one cell, and ``vacuum`` is then what is left.

    Raises
    ------
    UsageError
        If an argument is not possible or the atoms do not fit into the height.
    """
    check_vacuum(vacuum)
    if gap is not None and not (math.isfinite(gap) and 0.5 <= gap <= 50.0):
        raise UsageError(f"the gap is {gap:g} Å; expected a length between 0.5 and 50 Å")
    if kind not in get_args(Kind):
        raise UsageError(f"kind is '{kind}'; expected {', '.join(get_args(Kind))}")
    lateral, film = joint.lateral, joint.film
    shift, fraction = film_position(
        registry, below=joint.substrate, below_layer=joint.substrate_layer, above=film, above_layer=joint.film_layer,
        lateral=lateral,
    )  # fmt: skip
    top_plane = joint.substrate.positions[joint.substrate_layer == joint.substrate_layer.max(), 2].mean()
    bottom_plane = film.positions[joint.film_layer == 0, 2].mean()
    moved = wrapped(film.positions + np.array([*shift, top_plane - bottom_plane]), lateral=lateral)
    film = film.take(np.arange(len(film)), positions=moved)
    below = to_atoms(joint.substrate, region="substrate")
    above = to_atoms(film, region="film")
    touching = touching_height(below, above, lateral=lateral)
    used_gap = touching if gap is None else gap
    above.positions[:, 2] += used_gap
    interface = joined_atoms(below, above)
    cell = np.zeros((3, 3))
    cell[:2, :2] = lateral
    if kind == "slab":
        thickness = float(np.ptp(interface.positions[:, 2]))
        if height is not None:
            vacuum = height - thickness
            check_vacuum(vacuum)
        cell[2, 2] = thickness + vacuum
        lift = 0.5 * vacuum - interface.positions[:, 2].min()
    else:
        cell[2] = closing_vector(joint, film, below, above, registry=registry, gap=gap, lateral=lateral)
        lift = -float(joint.substrate.positions[joint.substrate_layer == 0, 2].mean())
    pieces = {"film": above, "substrate": below, "interface": interface}
    cells = {name: in_cell(atoms, cell, lift=lift) for name, atoms in pieces.items()}
    cells["film_bulk"] = to_atoms(joint.blocks["film"].sites, region="film")
    cells["substrate_bulk"] = to_atoms(joint.blocks["substrate"].sites, region="substrate")
    cells["film_bulk_free"] = to_atoms(joint.free_blocks["film"].sites, region="film")
    block, count = joint.blocks["substrate"], int(joint.substrate_layer.max()) + 1
    dataset = joint.facts["dataset"]["substrate"]
    others = companions(joint.substrate, block, top=joint.tops["substrate"], count=count, cell=cell, dataset=dataset)
    if max(map(abs, joint.facts["strain_substrate"])) > 1e-9:
        others["substrate_bulk_free"] = to_atoms(joint.free_blocks["substrate"].sites, region="substrate")
    reservoir = others.get("reservoir")
    name = registry if isinstance(registry, str) else f"{registry[0]:g},{registry[1]:g}"
    facts = joint.facts
    group = (
        (
            f"{facts['film']}{plane_text(facts['film_plane'])}x{facts['film_layers']}_{facts['substrate']}"
            f"{plane_text(facts['substrate_plane'])}x{facts['substrate_layers']}_{facts['termination']}_{name}"
        )
        + (f"_gap{gap:g}" if gap is not None else "")
        + ("_sandwich" if kind == "sandwich" else "")
    )
    common = {
        "group": group,
        **facts,
        "registry": name,
        "registry_fraction": (fraction.round(6) + 0.0).tolist(),
        "gap_angstrom": round(float(used_gap), 10),
        "gap_rule": "given" if gap is not None else "ions touch as hard spheres of six-coordinate radii",
        "n_interfaces": 1 if kind == "slab" else 2,
        "vacuum_angstrom": vacuum if kind == "slab" else 0.0,
        "dipole_direction": "z",
        "reservoir": None if reservoir is None else str(reservoir.get_array("phase")[0]),
    }
    reports = {}
    for role, atoms in {**cells, **others}.items():
        # Two interfaces in one cell: a role of its own, so that nobody takes its energy for that of one interface.
        named = "sandwich" if role == "interface" and kind == "sandwich" else role
        reports[role] = {**_report(role, atoms, common, joint), "role": named}
        atoms.info = {"role": named, "group": group}
    strain = {"film": tuple(facts["strain_film"]), "substrate": tuple(facts["strain_substrate"])}
    return InterfaceCells(
        **cells, area_angstrom2=facts["area_angstrom2"], strain=strain, report=common, reports=reports, others=others
    )


def _report(role: str, atoms: Atoms, common: Mapping[str, Any], joint: Joint) -> dict[str, Any]:
    own = "film" if role.startswith("film") else "substrate"
    more: dict[str, Any] = {"role": role, **common}
    if role == "reservoir":
        more["n_formula_units"] = len(atoms) / 2
    elif role != "interface":
        bulk = joint.blocks[own].sites
        more["n_formula_units"] = formula_units(ions_of(atoms), bulk=bulk)
        more["excess"] = excess(ions_of(atoms), bulk=bulk)
    if role in ("film", "substrate", "interface", "substrate_other"):
        charges, heights = atoms.get_array("formal_charge"), atoms.positions[:, 2]
        moment = float(charges @ (heights - heights.mean()) / common["area_angstrom2"])
        more |= {
            "thickness_angstrom": float(np.ptp(heights)),
            "dipole_e_per_angstrom": round(moment, 6) + 0.0,
            "dipolar": abs(moment) > 1e-3,
        }
    if role in ("film", "substrate"):
        layer = joint.film_layer if role == "film" else joint.substrate_layer
        block, sites = joint.blocks[role], joint.film if role == "film" else joint.substrate
        top = joint.tops[role] + int(layer.max()) if role == "film" else joint.tops[role]
        facts = face_facts(sites, layer, block, top=top % len(block.surface.layers))
        kept = ("termination_top", "termination_bottom", "face_top", "face_bottom", "symmetric", "polar", "layer_names")
        more |= {key: facts[key] for key in kept}
    seed = common["seed"] if common["orientation"] == "random" or any(common["alloy"].values()) else None
    return structure_report(atoms, **{**more, "seed": seed})
