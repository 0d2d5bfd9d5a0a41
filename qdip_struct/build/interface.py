"""Interfaces: a film on a substrate, and every cell whose energy is needed to say what the interface costs.

Convention: substrate below, film above, normal +z. Film, substrate and interface share one cell and the same places in
it, so that their energies and densities may be subtracted. The bulk cells have the same lateral vectors. Lengths in Å.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.build.cells import SiteCell, sites_of, to_atoms, with_a_site
from qdip_struct.build.molecules import Molecule, Orientation
from qdip_struct.build.regions import report as structure_report
from qdip_struct.build.registry import cation_columns, named_shift, shortest_pair, touching_gap
from qdip_struct.build.slab import (
    Plane,
    SurfaceCell,
    bulk_periods,
    plane_text,
    stack,
    surface_cell,
    termination_named,
    termination_names,
)
from qdip_struct.errors import UsageError
from qdip_struct.materials.crystals import Crystal, get_crystal

Array = NDArray[Any]
StrainOn = Literal["film", "substrate"]
MAX_STRAIN = 0.12


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
    film: Crystal | Atoms,
    substrate: Crystal | Atoms,
    *,
    film_plane: Plane = (1, 0, 0),
    substrate_plane: Plane = (1, 0, 0),
    film_layers: int = 3,
    substrate_layers: int = 3,
    termination: str = "BX2",
    film_termination: str | None = None,
    registry: str | tuple[float, float] = "continuation",
    gap: float | None = None,
    strain_on: StrainOn = "film",
    vacuum: float = 20.0,
    a_site: str = "molecule",
    orientation: Orientation = "antiparallel",
    seed: int = 0,
    max_area: float = 400.0,
) -> InterfaceCells:
    """Build a film on a substrate and the cells that belong to it.

    Parameters
    ----------
    film, substrate
        Crystal records or periodic structures of the user.
    film_plane, substrate_plane
        Miller indices in the axes of each crystal's cell.
    film_layers, substrate_layers
        Thickness in monolayers.
    termination, film_termination
        Layer of the substrate, and of the film, that is in contact; see
        :func:`qdip_struct.build.slab.termination_named`. A crystal with one termination takes that one.
    registry
        Name or fractions, see :mod:`qdip_struct.build.registry`.
    gap
        Distance of the two contact layers, Å. Default: the ions touch as hard spheres of their six-coordinate radii
        (3.15 Å for Pb above Br, the optimum found with CP2K for PbS on PbBr2-terminated CsPbBr3).
    strain_on
        Which crystal takes the lateral strain.
    vacuum
        Empty length along z in the common cell, Å.
    a_site
        ``"molecule"``, or an ion such as ``"Cs"`` that replaces MA and FA.
    orientation, seed
        How molecules are turned.
    max_area
        Largest common cell that is searched, Å².

    Raises
    ------
    UsageError
        If an argument is not possible, a termination is unknown or no common cell is found.
    """
    for value, what in ((film_layers, "film_layers"), (substrate_layers, "substrate_layers")):
        if isinstance(value, bool) or int(value) != value or not 1 <= value <= 200:
            raise UsageError(f"{what} is {value}; expected a number of monolayers from 1 to 200")
    if not (math.isfinite(vacuum) and 0.0 < vacuum <= 500.0):
        raise UsageError(f"vacuum is {vacuum:g} Å; expected a length between 0 and 500 Å")
    if gap is not None and not (math.isfinite(gap) and 0.5 <= gap <= 50.0):
        raise UsageError(f"gap is {gap:g} Å; expected a length between 0.5 and 50 Å")
    if strain_on not in ("film", "substrate"):
        raise UsageError(f"strain_on is '{strain_on}'; expected film or substrate")
    upper = surface_cell(with_a_site(sites_of(film), a_site=a_site), plane=film_plane)
    lower = surface_cell(with_a_site(sites_of(substrate), a_site=a_site), plane=substrate_plane)
    top = _contact(lower, termination)
    bottom = _contact(upper, film_termination)
    film_matrix, substrate_matrix = commensurate(upper, lower, max_area=max_area)
    film_lateral, substrate_lateral = film_matrix @ upper.net, substrate_matrix @ lower.net
    lateral = _upright(substrate_lateral if strain_on == "film" else film_lateral)
    strain = {
        "film": principal_strain(film_lateral, onto=lateral),
        "substrate": principal_strain(substrate_lateral, onto=lateral),
    }
    start = top - substrate_layers + 1
    below, below_layer = laid(lower, bottom=start, count=substrate_layers, matrix=substrate_matrix, lateral=lateral)
    above, above_layer = laid(upper, bottom=bottom, count=film_layers, matrix=film_matrix, lateral=lateral)
    shift = _registry_shift(
        registry, below, below_layer, above, above_layer, lateral=lateral, lower=lower, top=top, matrix=substrate_matrix
    )
    below_top = below.positions[below_layer == substrate_layers - 1, 2].mean()
    above_bottom = above.positions[above_layer == 0, 2].mean()
    above = moved(above, np.array([*shift, below_top - above_bottom]))
    fill: dict[str, Any] = {"orientation": orientation, "seed": seed}
    below_atoms = to_atoms(below, region="substrate", **fill)
    above_atoms = to_atoms(above, region="film", **fill)
    touching = _touching(below_atoms, above_atoms, lateral=lateral)
    above_atoms.positions[:, 2] += touching if gap is None else gap
    used_gap = touching if gap is None else gap
    interface = joined_atoms(below_atoms, above_atoms)
    height = float(np.ptp(interface.positions[:, 2])) + vacuum
    cell = np.zeros((3, 3))
    cell[:2, :2], cell[2, 2] = lateral, height
    lift = 0.5 * vacuum - interface.positions[:, 2].min()
    placed = {
        name: in_cell(atoms, cell, lift)
        for name, atoms in (("film", above_atoms), ("substrate", below_atoms), ("interface", interface))
    }
    bulks = {
        "film_bulk": bulk_atoms(upper, matrix=film_matrix, lateral=lateral, region="film", **fill),
        "substrate_bulk": bulk_atoms(lower, matrix=substrate_matrix, lateral=lateral, region="substrate", **fill),
        "film_bulk_free": bulk_atoms(
            upper,
            matrix=film_matrix,
            lateral=_upright(film_lateral),
            region="film",
            **fill,
        ),
    }
    others: dict[str, Atoms] = {}
    if max(map(abs, strain["substrate"])) > 1e-9:
        others["substrate_bulk_free"] = bulk_atoms(
            lower,
            matrix=substrate_matrix,
            lateral=_upright(substrate_lateral),
            region="substrate",
            **fill,
        )
    other = _other_termination(lower, top)
    excess = excess_of(placed["substrate"], lower)
    if other is not None and excess:
        twin, _ = laid(
            lower, bottom=other - substrate_layers + 1, count=substrate_layers, matrix=substrate_matrix, lateral=lateral
        )
        atoms = to_atoms(twin, region="substrate", **fill)
        others["substrate_other"] = in_cell(
            atoms, cell, 0.5 * (height - np.ptp(atoms.positions[:, 2])) - atoms.positions[:, 2].min()
        )
    reservoir = _reservoir(lower, substrate) if excess else None
    if reservoir is not None:
        others["reservoir"] = to_atoms(sites_of(reservoir), region="substrate")
    names = {"film": upper.sites.name, "substrate": lower.sites.name}
    registry_name = registry if isinstance(registry, str) else f"{registry[0]:g},{registry[1]:g}"
    layer_name = lower.layers[top].name
    group = (
        f"{names['film']}{plane_text(upper.plane)}x{film_layers}_{names['substrate']}{plane_text(lower.plane)}"
        f"x{substrate_layers}_{layer_name}_{registry_name}"
    )
    common = {
        "group": group,
        "film": names["film"],
        "film_plane": list(upper.plane),
        "film_layers": film_layers,
        "film_termination": upper.layers[bottom].name,
        "substrate": names["substrate"],
        "substrate_plane": list(lower.plane),
        "substrate_layers": substrate_layers,
        "termination": layer_name,
        "registry": registry_name,
        "shift_angstrom": shift.round(10).tolist(),
        "gap_angstrom": round(float(used_gap), 10),
        "gap_rule": "given" if gap is not None else "ions touch as hard spheres of six-coordinate radii",
        "area_angstrom2": float(abs(np.linalg.det(lateral))),
        "n_interfaces": 1,
        "vacuum_angstrom": vacuum,
        "normal": "z",
        "dipole_direction": "z",
        "strain_on": strain_on,
        "strain_film": list(strain["film"]),
        "strain_substrate": list(strain["substrate"]),
        "film_matrix": film_matrix.tolist(),
        "substrate_matrix": substrate_matrix.tolist(),
        "film_uvw": (film_matrix @ upper.uvw[:2]).round(6).tolist(),
        "substrate_uvw": (substrate_matrix @ lower.uvw[:2]).round(6).tolist(),
        "reservoir": None if reservoir is None else reservoir.name,
    }
    cells = {**placed, **bulks, **others}
    surfaces = {"film": upper, "substrate": lower}
    reports = {
        role: _report(role, atoms, common, surfaces, seed=seed if orientation == "random" else None)
        for role, atoms in cells.items()
    }
    if reservoir is not None:
        reports["reservoir"] = {**reports["reservoir"], "note": f"{reservoir.label}, data set {reservoir.dataset}"}
    for role, atoms in cells.items():
        atoms.info = {"role": role, "group": group}
    return InterfaceCells(
        **placed, **bulks, area_angstrom2=common["area_angstrom2"], strain=strain, report=common, reports=reports,
        others=others,
    )  # fmt: skip


def commensurate(upper: SurfaceCell, lower: SurfaceCell, *, max_area: float) -> tuple[Array, Array]:
    """Smallest common cell of two surface nets with the least strain among those of its area.

    Returns
    -------
    film_matrix, substrate_matrix
        Integer rows (2, 2) in the nets of the film and of the substrate, both of positive determinant.
    """
    area = abs(np.linalg.det(lower.net))
    best: tuple[float, Array, Array] | None = None
    for index in range(1, int(max_area / area + 1e-9) + 1):
        for a in range(1, index + 1):
            if index % a:
                continue
            for shear in range(index // a):
                matrix = np.array([[a, shear], [0, index // a]])
                found = _film_vectors(upper.net, matrix @ lower.net)
                if found is not None and (best is None or found[0] < best[0] - 1e-9):
                    best = (found[0], found[1], matrix)
        if best is not None:
            return best[1], best[2]
    raise UsageError(
        f"no common cell of {upper.sites.name} and {lower.sites.name} up to {max_area:g} Å² with a strain below "
        f"{MAX_STRAIN:g}; raise max_area"
    )


def _film_vectors(net: Array, target: Array) -> tuple[float, Array] | None:
    reach = int(np.ceil(np.linalg.norm(target, axis=1).max() * (1 + MAX_STRAIN) / np.linalg.svd(net)[1].min()))
    points = np.stack(np.meshgrid(*(np.arange(-reach, reach + 1),) * 2, indexing="ij"), -1).reshape(-1, 2)
    vectors = points @ net
    length = np.linalg.norm(vectors, axis=1)
    candidates = [np.flatnonzero(np.abs(length / np.linalg.norm(edge) - 1.0) < MAX_STRAIN) for edge in target]
    best: tuple[float, Array] | None = None
    for i in candidates[0]:
        for j in candidates[1]:
            matrix = points[[i, j]]
            if matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0] <= 0:
                continue
            worst = max(map(abs, principal_strain(matrix @ net, onto=target)))
            if worst < MAX_STRAIN and (best is None or worst < best[0] - 1e-9):
                best = (worst, matrix)
    return best


def principal_strain(lateral: Array, *, onto: Array) -> tuple[float, float]:
    """Principal engineering strains of bringing the lateral vectors (rows, (2, 2)) onto others; largest first."""
    values = np.linalg.svd(np.linalg.solve(lateral, onto), compute_uv=False) - 1.0
    e1, e2 = (0.0 if abs(value) < 1e-12 else float(value) for value in values)
    return e1, e2


def _upright(lateral: Array) -> Array:
    """The same lateral vectors turned so that the first lies along +x and the second has a positive y."""
    a, b = lateral
    length = float(np.linalg.norm(a))
    return np.array([[length, 0.0], [float(a @ b) / length, float(a[0] * b[1] - a[1] * b[0]) / length]])


def laid(surface: SurfaceCell, *, bottom: int, count: int, matrix: Array, lateral: Array) -> tuple[SiteCell, Array]:
    """A stack of monolayers brought onto given lateral vectors; its spacings along z stay as they are."""
    sites, layer = stack(surface, bottom=bottom, count=count, matrix=matrix)
    deformation = np.linalg.solve(np.asarray(matrix) @ surface.net, lateral)
    left, _, right = np.linalg.svd(deformation)
    positions = sites.positions.copy()
    positions[:, :2] = positions[:, :2] @ deformation
    cell = np.zeros((3, 3))
    cell[:2, :2] = lateral
    cell[2] = [*(sites.cell[2, :2] @ deformation), sites.cell[2, 2]]
    turn = np.eye(3)
    turn[:2, :2] = left @ right
    templates = tuple(
        Molecule(unit.name, unit.symbols, tuple(map(tuple, unit.array @ turn))) for unit in sites.templates
    )
    sites = replace(sites, positions=positions, cell=cell, templates=templates)
    return moved(sites, np.zeros(3)), layer


def moved(sites: SiteCell, shift: Array) -> SiteCell:
    """Sites shifted by a vector (3,) and wrapped laterally into the cell."""
    lateral = sites.cell[:2, :2]
    positions = sites.positions + shift
    fractional = positions[:, :2] @ np.linalg.inv(lateral)
    fractional = np.round(fractional - np.floor(fractional + 1e-7), 12)
    positions[:, :2] = fractional @ lateral
    return replace(sites, positions=positions)


def _registry_shift(
    registry: str | tuple[float, float], below: SiteCell, below_layer: Array, above: SiteCell, above_layer: Array,
    *, lateral: Array, lower: SurfaceCell, top: int, matrix: Array,
) -> Array:  # fmt: skip
    last = int(below_layer.max())
    cations = cation_columns(below)
    highest = below_layer[cations].max()
    columns = cations[below_layer[cations] == highest]
    points = below.positions[columns, :2]
    order = np.lexsort((np.round(points[:, 0], 4), np.round(points[:, 1], 4)))
    reference = points[order[0]]
    edges = shortest_pair(points[order], lateral=lateral)
    contact = below.take(np.flatnonzero(below_layer == last))
    wanted = named_shift(registry, contact=contact, reference=reference, edges=edges, lateral=lateral)
    film_cations = cation_columns(above)
    film_cations = film_cations[above_layer[film_cations] == above_layer[film_cations].min()]
    film_points = above.positions[film_cations, :2]
    first = np.lexsort((np.round(film_points[:, 0], 4), np.round(film_points[:, 1], 4)))[0]
    return reference + wanted - film_points[first]


def _touching(below: Atoms, above: Atoms, *, lateral: Array, depth: float = 5.0) -> float:
    near_below = below.positions[:, 2] > below.positions[:, 2].max() - depth
    near_above = above.positions[:, 2] < above.positions[:, 2].min() + depth
    return touching_gap(
        np.array(below.get_chemical_symbols())[near_below],
        below.positions[near_below],
        np.array(above.get_chemical_symbols())[near_above],
        above.positions[near_above],
        lateral=lateral,
    )


def joined_atoms(first: Atoms, second: Atoms) -> Atoms:
    """Both structures in the first one's cell; molecules of the second are numbered on."""
    second = second.copy()
    molecule = second.get_array("molecule")
    second.set_array(
        "molecule", np.where(molecule >= 0, molecule + first.get_array("molecule").max(initial=-1) + 1, -1)
    )
    both = first.copy()
    both.extend(second)
    return both


def in_cell(atoms: Atoms, cell: Array, lift: float) -> Atoms:
    """A copy in ``cell``, raised by ``lift`` (Å) along z, periodic in three directions."""
    copy = atoms.copy()
    copy.positions[:, 2] += lift
    copy.set_cell(cell)
    copy.set_pbc(True)
    return copy


def bulk_atoms(
    surface: SurfaceCell, *, matrix: Array, lateral: Array, region: str, orientation: Orientation, seed: int
) -> Atoms:
    """The bulk crystal with the given lateral vectors, as few periods high as repeat straight above themselves."""
    periods = bulk_periods(surface, matrix=matrix)
    sites, _ = laid(surface, bottom=0, count=periods * len(surface.layers), matrix=matrix, lateral=lateral)
    cell = sites.cell.copy()
    cell[2] *= periods
    across = np.linalg.solve(lateral.T, cell[2, :2])
    cell[2, :2] = (across - np.rint(np.round(across, 6))) @ lateral
    cell[2, :2][np.abs(cell[2, :2]) < 1e-9] = 0.0
    return to_atoms(replace(sites, cell=cell), region=region, orientation=orientation, seed=seed)


def _contact(surface: SurfaceCell, termination: str | None) -> int:
    names = termination_names(surface)
    if termination is None or len(names) == 1:
        return termination_named(surface, names[0])
    return termination_named(surface, termination)


def _other_termination(surface: SurfaceCell, top: int) -> int | None:
    kinds = {layer.kind for layer in surface.layers}
    if len(kinds) != 2:
        return None
    return next(k for k, layer in enumerate(surface.layers) if layer.kind != surface.layers[top].kind)


def formula_unit(surface: SurfaceCell) -> dict[str, int]:
    """Ions of one formula unit of the crystal."""
    names, counts = np.unique(surface.sites.species, return_counts=True)
    divisor = int(np.gcd.reduce(counts))
    return {str(name): int(count) // divisor for name, count in zip(names, counts, strict=True)}


def ions_of(atoms: Atoms) -> dict[str, int]:
    """Number of each ion, molecular ions counted whole by their kind."""
    molecule = atoms.get_array("molecule")
    symbols = np.array(atoms.get_chemical_symbols())
    names, counts = np.unique(symbols[molecule < 0], return_counts=True)
    found = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    nitrogen = np.bincount(molecule[(molecule >= 0) & (symbols == "N")]) if (molecule >= 0).any() else np.zeros(0, int)
    for name, count in (("MA", int((nitrogen == 1).sum())), ("FA", int((nitrogen == 2).sum()))):
        if count:
            found[name] = count
    return dict(sorted(found.items()))


def formula_units(atoms: Atoms, surface: SurfaceCell) -> float:
    """Formula units by the count of the reference cation (B of a perovskite, the metal of rock salt)."""
    unit = formula_unit(surface)
    cations = {str(surface.sites.species[k]) for k in cation_columns(surface.sites)}
    ions = ions_of(atoms)
    return sum(ions.get(name, 0) for name in cations) / sum(unit[name] for name in cations)


def excess_of(atoms: Atoms, surface: SurfaceCell) -> dict[str, int]:
    """Ions beyond whole formula units (negative: missing); empty for a stoichiometric structure."""
    unit, n, ions = formula_unit(surface), formula_units(atoms, surface), ions_of(atoms)
    extra = {name: round(ions.get(name, 0) - n * unit[name]) for name in unit}
    return {name: value for name, value in extra.items() if value}


def _reservoir(surface: SurfaceCell, material: Crystal | Atoms) -> Crystal | None:
    unit = set(formula_unit(surface))
    known = {str(s): str(q) for s, q in zip(surface.sites.species, surface.sites.sublattice, strict=True)}
    a_sites = [name for name in unit if known[name] == "A"]
    halides = [name for name in unit if known[name] == "X"]
    if len(a_sites) != 1 or len(halides) != 1:
        return None
    sets = [material.dataset] if isinstance(material, Crystal) else []
    for dataset in dict.fromkeys([*sets, "xrd_298K"]):
        try:
            return get_crystal(f"{a_sites[0]}{halides[0]}", dataset=dataset)
        except UsageError:
            continue
    return None


def _report(
    role: str, atoms: Atoms, common: Mapping[str, Any], surfaces: Mapping[str, SurfaceCell], *, seed: int | None
) -> dict[str, Any]:
    own = "film" if role.startswith("film") else "substrate"
    more: dict[str, Any] = {"role": role, **common}
    if role == "reservoir":
        more["n_formula_units"] = len(atoms) / 2
    elif role != "interface":
        more["n_formula_units"] = formula_units(atoms, surfaces[own])
        more["excess"] = excess_of(atoms, surfaces[own])
    if "bulk" not in role and role != "reservoir":
        charges = atoms.get_array("formal_charge")
        heights = atoms.positions[:, 2]
        more["thickness_angstrom"] = float(np.ptp(heights))
        moment = float(charges @ (heights - heights.mean()) / common["area_angstrom2"])
        more["dipole_e_per_angstrom"] = round(moment, 6) + 0.0
        more["dipolar"] = abs(moment) > 1e-3
    return structure_report(atoms, seed=seed, **more)
