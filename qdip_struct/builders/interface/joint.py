"""Joining two crystals: one lateral cell, the strain each takes, both slabs cut; registry and gap are still open.

The common cell is a match of :mod:`qdip_struct.matching.coincidence`. Matches are counted in the nets of
:func:`qdip_struct.matching.nets.surface_net`; here they become integer matrices on the nets of the surface cells that
are really built, so that the matched slab is the slab that is built. Lengths in Å, areas in Å², energies per area in
meV/Å². Stiffness tensors are turned into the axes of the slab: Voigt order 1 … 6 = xx, yy, zz, yz, xz, xy,
engineering shears, z along the slab normal, moduli in GPa.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError, check_positive
from qdip_struct.base.units import GPA_PER_EV_PER_ANGSTROM3
from qdip_struct.builders.atoms.alloy import Decoration, decorate
from qdip_struct.builders.atoms.cells import Arrangement, Occupation, SiteCell
from qdip_struct.builders.interface.interface_options import LateralCell, Stack, imposed_cell
from qdip_struct.builders.parsing import Normal
from qdip_struct.builders.slab.block import Block, between, cut_block, principal_strain, strained
from qdip_struct.builders.slab.slab import crystal_source, decoration_entry, filled_block, stand_ins, surface_of
from qdip_struct.builders.slab.stoichiometry import cut_above, default_cut, termination_name, termination_named
from qdip_struct.builders.slab.surface import SurfaceCell
from qdip_struct.matching.coincidence import Match, find_matches
from qdip_struct.matching.nets import Net, net_from_vectors
from qdip_struct.matching.planes import Plane
from qdip_struct.materials.crystals import Crystal, lattice_facts
from qdip_struct.materials.elasticity import Moduli, known_moduli, mixed_moduli
from qdip_struct.materials.structure_files import is_film

_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_IN_PLANE, _OUT_OF_PLANE = [0, 1, 5], [2, 3, 4]


@dataclass(frozen=True, eq=False)
class Stiffness:
    """Stiffness in the axes of a surface cell.

    Attributes
    ----------
    voigt
        (6, 6), GPa.
    source
        Where the moduli come from and what was assumed.
    """

    voigt: Array
    source: str


def stiffness_of(material: Crystal | Atoms, surface: SurfaceCell, *, files: Sequence[Path] = ()) -> Stiffness | None:
    """Stiffness of a material in the axes of its slab, ``None`` when its moduli are not known.

    Cubic constants are used where the crystal's own axes are cubic, else the isotropic average; ``files`` are the
    user's files of properties.
    """
    if isinstance(material, Atoms):
        return None
    try:
        known = None if material.occupancies else known_moduli(material.name, phase=material.phase, files=files)
        moduli = known or mixed_moduli(material.name, files=files)
    except UsageError:
        return None
    if moduli is None:
        return None
    cubic = len(set(material.lengths)) == 1 and material.angles == (90.0, 90.0, 90.0) and moduli.c11 is not None
    tensor = _tensor(moduli, cubic=cubic)
    axes = np.linalg.solve(surface.uvw @ material.cell, surface.sites.cell).T
    turned = np.einsum("ia,jb,kc,ld,abcd->ijkl", axes, axes, axes, axes, tensor)
    voigt = np.array([[turned[(*row, *column)] for column in _PAIRS] for row in _PAIRS])
    note = "" if cubic else "; isotropic average"
    return Stiffness(voigt, f"{moduli.source}{note}{'; ' + moduli.assumption if moduli.assumption else ''}")


def elastic_energy(stiffness: Stiffness | None, lateral: Array, *, onto: Array) -> dict[str, float] | None:
    """Elastic energy density of bringing lateral vectors (rows (2, 2), Å, in the slab's axes) onto others.

    Returns
    -------
    dict or None
        ``clamped_ev_per_angstrom3``: u = ½ ε·C·ε with no strain along z, as slabs are built;
        ``relaxed_ev_per_angstrom3``: the same with the stress on the slab plane relaxed to zero,
        C → C_pp − C_pn·C_nn⁻¹·C_np. ``None`` without moduli.
    """
    if stiffness is None:
        return None
    plane = _plane_strain(lateral, onto=onto)
    c = stiffness.voigt
    pp, pn = c[np.ix_(_IN_PLANE, _IN_PLANE)], c[np.ix_(_IN_PLANE, _OUT_OF_PLANE)]
    condensed = pp - pn @ np.linalg.solve(c[np.ix_(_OUT_OF_PLANE, _OUT_OF_PLANE)], pn.T)
    return {
        "clamped_ev_per_angstrom3": float(0.5 * plane @ pp @ plane) / GPA_PER_EV_PER_ANGSTROM3,
        "relaxed_ev_per_angstrom3": float(0.5 * plane @ condensed @ plane) / GPA_PER_EV_PER_ANGSTROM3,
    }


def normal_stretch(stiffness: Stiffness | None, lateral: Array, *, onto: Array, mode: Normal) -> float:
    """Factor on all heights of a slab strained in its plane: 1 when ``kept``, 1 + ε_zz when ``relaxed``.

    ε_zz is the first entry of −C_nn⁻¹·C_np·ε_p, for a cubic (100) film −(C₁₂/C₁₁)·(ε_xx + ε_yy); the shears that free
    surfaces of low symmetry would take are left out.

    Parameters
    ----------
    stiffness
        Of the crystal in the axes of the slab; ``None`` when its moduli are not known.
    lateral, onto
        Lateral vectors before and after, rows (2, 2) Å.
    mode
        ``kept`` or ``relaxed``.

    Raises
    ------
    UsageError
        If ``relaxed`` is asked for a strained crystal whose moduli are not known.
    """
    plane = _plane_strain(lateral, onto=onto)
    if mode == "kept" or np.abs(plane).max() < 1e-12:
        return 1.0
    if stiffness is None:
        raise UsageError("no elastic moduli are known for the strained crystal; its spacings along z cannot be relaxed")
    c = stiffness.voigt
    out = -np.linalg.solve(c[np.ix_(_OUT_OF_PLANE, _OUT_OF_PLANE)], c[np.ix_(_OUT_OF_PLANE, _IN_PLANE)] @ plane)
    return 1.0 + float(out[0])


def _plane_strain(lateral: Array, *, onto: Array) -> Array:
    """ε_xx, ε_yy, 2ε_xy of the pure stretch that brings lateral vectors onto others."""
    gradient = np.linalg.solve(lateral, onto)
    values, vectors = np.linalg.eigh(gradient @ gradient.T)
    strain = vectors @ np.diag(np.sqrt(values) - 1.0) @ vectors.T
    return np.array([strain[0, 0], strain[1, 1], 2.0 * strain[0, 1]])


def _tensor(moduli: Moduli, *, cubic: bool) -> Array:
    """C_ijkl (3, 3, 3, 3) in GPa: cubic in the crystal's axes, or isotropic with λ = K − 2G/3 and μ = G."""
    if cubic and moduli.c11 is not None and moduli.c12 is not None and moduli.c44 is not None:
        c11, c12, c44 = moduli.c11, moduli.c12, moduli.c44
    else:
        c12, c44 = moduli.bulk - 2.0 * moduli.shear / 3.0, moduli.shear
        c11 = c12 + 2.0 * c44
    one = np.eye(3)
    tensor = c12 * np.einsum("ij,kl->ijkl", one, one)
    tensor += c44 * (np.einsum("ik,jl->ijkl", one, one) + np.einsum("il,jk->ijkl", one, one))
    for axis in range(3):
        tensor[axis, axis, axis, axis] += c11 - c12 - 2.0 * c44
    return tensor


_FINE = 27720
_MOST_POINTS = 400


@dataclass(frozen=True, eq=False)
class CommonCell:
    """One common cell.

    Attributes
    ----------
    film, substrate
        Integer rows (2, 2) on the nets u, v of the two surface cells, positive determinants; row i of the film is laid
        on row i of the substrate.
    found
        The match as listed by ``qdip match``.
    """

    film: Array
    substrate: Array
    found: Match


def common_cells(film: SurfaceCell, substrate: SurfaceCell, *, wish: LateralCell) -> CommonCell:
    """One common cell of two surface cells.

    Parameters
    ----------
    film, substrate
        Surface cells.
    wish
        Limits of the search and the number in its list. Without a number: of the cells of the smallest area the one in
        which the cation nets of both crystals share most sites (cube on cube where there is a common parent lattice),
        then the least strain.

    Raises
    ------
    UsageError
        If there is none of that number; the message says how many there are.
    """
    match, max_area, max_strain = wish.match, float(wish.max_area), float(wish.max_strain)
    film_net, film_change = _net(film)
    substrate_net, substrate_change = _net(substrate)
    check_positive(max_area, what="the largest common area", unit="Å²")
    room = max_area >= substrate_net.area * (1.0 - 1e-9) and max_area >= film_net.area * (1.0 - max_strain) ** 2
    found = _matches(film_net, substrate_net, max_area, max_strain, float(wish.max_angle)) if room else ()
    if not found or not 0 <= (match or 0) < len(found):
        raise UsageError(
            f"{film.sites.name} and {substrate.sites.name} have {len(found)} common cells up to {max_area:g} Å² and a "
            f"strain of {max_strain:g}; number {match or 0} is none of them (the first is 0); raise the limits"
        )

    def cell(number: int) -> CommonCell:
        chosen = found[number]
        rows = np.array(chosen.film_matrix) @ film_change, np.array(chosen.substrate_matrix) @ substrate_change
        return CommonCell(film=rows[0], substrate=rows[1], found=chosen)

    if match is not None:
        return cell(match)
    smallest = [cell(k) for k, m in enumerate(found) if m.area_angstrom2 < found[0].area_angstrom2 * (1.0 + 1e-6)]
    return min(smallest, key=lambda one: (_shared_net(one, film, substrate), round(one.found.strain_max, 9)))


def _shared_net(common: CommonCell, film: SurfaceCell, substrate: SurfaceCell) -> int:
    """Points per common cell of the net that the cation-to-cation vectors of both crystals generate together."""
    generators = np.concatenate([_cation_vectors(film, common.film), _cation_vectors(substrate, common.substrate)])
    closed, queue = {(0, 0)}, [np.zeros(2, dtype=int)]
    steps = np.rint(generators * _FINE).astype(int)
    while queue:
        current = queue.pop()
        for step in steps:
            moved = (current + step) % _FINE
            if (int(moved[0]), int(moved[1])) not in closed:
                closed.add((int(moved[0]), int(moved[1])))
                queue.append(moved)
                if len(closed) > _MOST_POINTS:
                    return _MOST_POINTS
    return len(closed)


def _cation_vectors(surface: SurfaceCell, matrix: Array) -> Array:
    """Lateral vectors between the cations of one layer, and the net, in fractions of the common cell, (k, 2)."""
    cations = np.flatnonzero(np.isin(surface.sites.sublattice, ("B", "cation")))
    layer = next((entry.members for entry in surface.layers if set(entry.members) & set(cations.tolist())), ())
    points = surface.sites.positions[[k for k in layer if k in set(cations.tolist())], :2]
    inside = np.linalg.inv(np.asarray(matrix) @ surface.net)
    own = (points - points[0]) @ inside if len(points) else np.zeros((0, 2))
    vectors = np.concatenate([own, surface.net @ inside])
    # Ideal places are rational: a relaxed or tilted structure is read to the nearest twelfth of its own net.
    twelfths = np.rint(vectors @ np.asarray(matrix) * 12.0) / 12.0
    return twelfths @ np.linalg.inv(matrix)


@lru_cache(maxsize=256)
def _matches(film: Net, substrate: Net, max_area: float, max_strain: float, max_angle: float) -> tuple[Match, ...]:
    return find_matches(film, substrate=substrate, max_area=max_area, max_strain=max_strain, max_angle=max_angle)


def _net(surface: SurfaceCell) -> tuple[Net, Array]:
    """The reduced net that the search uses, and its vectors as integer rows on u, v."""
    net = net_from_vectors(surface.net.tolist(), name=surface.sites.name)
    target = np.array(net.vectors)
    steps = np.array([[i, j] for i in range(-2, 3) for j in range(-2, 3) if (i, j) != (0, 0)])
    vectors = steps @ surface.net
    rows = []
    for length in np.linalg.norm(target, axis=1):
        fitting = np.abs(np.linalg.norm(vectors, axis=1) - length) < 1e-6 * length
        rows.append(steps[fitting])
    dot = float(target[0] @ target[1])
    for one in rows[0][::-1]:
        for other in rows[1][::-1]:
            right = one[0] * other[1] - one[1] * other[0] == 1
            if right and abs((one @ surface.net) @ (other @ surface.net) - dot) < 1e-5 * abs(np.linalg.det(target)):
                return net, np.array([one, other])
    raise UsageError(f"{surface.sites.name}: the net of the plane could not be reduced")


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
    files
        User's files of crystals.
    """

    film: SiteCell
    substrate: SiteCell
    film_layer: Array
    substrate_layer: Array
    blocks: Mapping[str, Block]
    free_blocks: Mapping[str, Block]
    tops: Mapping[str, int]
    facts: Mapping[str, Any]
    files: tuple[Path, ...] = ()

    @property
    def lateral(self) -> Array:
        """Lateral vectors, rows (2, 2), Å."""
        return self.blocks["substrate"].lateral


def join(
    film: Crystal | Atoms,
    substrate: Crystal | Atoms,
    *,
    stack: Stack = Stack(),
    cell: LateralCell = LateralCell(),
    occupation: Occupation = Occupation(),
    files: Sequence[Path] = (),
) -> Joint:
    """Bring two crystals into one lateral cell and cut both slabs.

    Parameters
    ----------
    film, substrate
        Crystals, ordered or mixed, or periodic structures of the user; the film may be a finished one, with vacuum
        along c, which stands on the substrate as it is.
    stack
        Planes, thicknesses and terminations; a finished film has its own.
    cell
        Common lateral cell and who is strained.
    occupation
        How the sites are filled.
    files
        User's files of crystals and properties, for moduli and reservoirs.

    Raises
    ------
    UsageError
        If a termination is unknown, no common cell is found, or an imposed cell strains a crystal too much.
    """
    halves = _halves(film, substrate, stack=stack, cell=cell, a_site=occupation.a_site, files=files)
    onto = _common_lateral(halves, cell=cell)
    strain = {part: principal_strain(half.free, onto=onto) for part, half in halves.items()}
    worst = max(abs(value) for pair in strain.values() for value in pair)
    limit = max(cell.max_strain, 0.10)
    if worst > limit + 1e-9:
        raise UsageError(f"the imposed lateral cell strains a crystal by {worst:.3f}; at most {limit:g}")
    stretch = {
        part: normal_stretch(half.stiffness, half.free, onto=onto, mode=cell.normal) for part, half in halves.items()
    }
    blocks: dict[str, Block] = {}
    free_blocks: dict[str, Block] = {}
    decorations: dict[str, tuple[Decoration, ...]] = {}
    for part, half in halves.items():
        free_blocks[part], decorations[part] = filled_block(
            half.material, surface=half.surface, matrix=half.matrix, occupation=occupation
        )
        blocks[part] = strained(free_blocks[part], lateral=onto, stretch=stretch[part])
    tops = {part: half.top for part, half in halves.items()}
    film_sites, film_layer = cut_block(blocks["film"], bottom=tops["film"], count=halves["film"].layers)
    bottom = tops["substrate"] - stack.substrate_layers + 1
    substrate_sites, substrate_layer = cut_block(blocks["substrate"], bottom=bottom, count=stack.substrate_layers)
    contact_entry = None
    if stack.contact is not None:
        substrate_sites, contact_entry = _contact_layer(
            substrate_sites, substrate_layer, stack.contact, seed=occupation.seed
        )
    facts = {
        **_cut_facts(halves, arrangement=occupation.arrangement),
        **_lateral_facts(halves, onto=onto, cell=cell),
        "normal_strain": {part: round(value - 1.0, 10) + 0.0 for part, value in stretch.items()},
        "strain_film": list(strain["film"]),
        "strain_substrate": list(strain["substrate"]),
        **_elastic_facts(halves, blocks=blocks, onto=onto),
        "a_site": occupation.a_site,
        "stand_in_for": stand_ins(film, substrate, a_site=occupation.a_site),
        "orientation": occupation.orientation,
        "seed": occupation.seed,
        "alloy": {part: [decoration_entry(d) for d in entries] for part, entries in decorations.items()},
        "contact_layer": contact_entry,
        "dataset": {
            part: half.material.dataset if isinstance(half.material, Crystal) else None for part, half in halves.items()
        },
        **lattice_facts({part: h.material for part, h in halves.items() if isinstance(h.material, Crystal)}),
    }
    return Joint(
        film_sites, substrate_sites, film_layer, substrate_layer, blocks, free_blocks, tops, facts, tuple(files)
    )


@dataclass(frozen=True, eq=False)
class _Half:
    """One crystal of a joint: its surface cell, the layer in contact, its monolayers, its lateral supercell."""

    material: Crystal | Atoms
    surface: SurfaceCell
    top: int
    layers: int
    matrix: Array
    stiffness: Stiffness | None

    @property
    def free(self) -> Array:
        """Lateral vectors without strain, rows (2, 2), Å."""
        return self.matrix @ self.surface.net


def _halves(
    film: Crystal | Atoms,
    substrate: Crystal | Atoms,
    *,
    stack: Stack,
    cell: LateralCell,
    a_site: str,
    files: Sequence[Path],
) -> dict[str, _Half]:
    """Both crystals with their supercells of the common cell; the film is turned over where the match is a mirror."""

    def surface(material: Crystal | Atoms, plane: Plane) -> SurfaceCell:
        return surface_of(material, plane=plane, a_site=a_site, layer_tolerance=stack.layer_tolerance)

    finished = _is_finished(film)
    plane = stack.film_plane
    if finished:
        plain = Stack()
        own = (stack.film_layers, stack.film_termination) != (plain.film_layers, plain.film_termination)
        if own or plane not in (plain.film_plane, (0, 0, 1)):
            raise UsageError("a finished film has its plane, its layers and its lowest layer; leave these options out")
        plane = (0, 0, 1)
    above, below = surface(film, plane), surface(substrate, stack.substrate_plane)

    def contact(film: SurfaceCell) -> int:
        if finished:
            return lowest_layer(film)
        if stack.film_termination is None:
            return default_cut(film, contact=True)[0]
        return termination_named(film, stack.film_termination)

    film_top, top = contact(above), _substrate_top(below, stack.termination)
    common = common_cells(above, below, wish=cell)
    film_matrix = common.film
    if common.found.mirrored:
        directions = film_matrix @ above.uvw[:2]
        h, k, m = plane
        above = surface(film, (-h, -k, -m))
        film_top = contact(above)
        film_matrix = np.rint(directions @ np.linalg.pinv(above.uvw[:2])).astype(int)
    repeat = np.diag(cell.repeat)
    layers = len(above.layers) if finished else stack.film_layers
    return {
        "film": _Half(film, above, film_top, layers, repeat @ film_matrix, stiffness_of(film, above, files=files)),
        "substrate": _Half(
            substrate,
            below,
            top,
            stack.substrate_layers,
            repeat @ common.substrate,
            stiffness_of(substrate, below, files=files),
        ),
    }


def _substrate_top(surface: SurfaceCell, name: str | None) -> int:
    """The layer in contact: the one named, else the BX2 layer of a perovskite, else that of the default cut."""
    has_bx2 = any(layer.name == "BX2" for layer in surface.layers)
    return termination_named(surface, "BX2" if name is None and has_bx2 else name)


def _is_finished(film: Crystal | Atoms) -> bool:
    return isinstance(film, Atoms) and is_film(film)


def lowest_layer(film: SurfaceCell) -> int:
    """Number of the layer of a finished film that lies above its vacuum, the widest gap of the cell."""
    gaps = [cut_above(film, number).gap_angstrom for number in range(len(film.layers))]
    return (int(np.argmax(gaps)) + 1) % len(gaps)


def _common_lateral(halves: Mapping[str, _Half], *, cell: LateralCell) -> Array:
    """Lateral vectors of both slabs, rows (2, 2), Å: imposed, or between those of the two crystals."""
    if cell.lateral is not None:
        return imposed_cell(cell.lateral)
    share = _share(halves) if cell.strain_on == "shared" else 1.0 if cell.strain_on == "film" else 0.0
    return between(halves["film"].free, end=halves["substrate"].free, share=share)


def _cut_facts(halves: Mapping[str, _Half], *, arrangement: Arrangement) -> dict[str, Any]:
    """What was cut from what: entries of the report."""
    facts: dict[str, Any] = {}
    for part, half in halves.items():
        facts |= {
            part: half.surface.sites.name,
            f"{part}_plane": list(half.surface.plane),
            f"{part}_layers": half.layers,
            "film_termination" if part == "film" else "termination": termination_name(half.surface, half.top),
            f"{part}_source": crystal_source(half.material, arrangement=arrangement),
        }
    facts["film_is"] = "finished" if _is_finished(halves["film"].material) else "crystal"
    return facts


def _lateral_facts(halves: Mapping[str, _Half], *, onto: Array, cell: LateralCell) -> dict[str, Any]:
    """The common lateral cell: entries of the report."""
    return {
        "area_angstrom2": float(abs(np.linalg.det(onto))),
        "match": cell.match,
        "repeat": list(cell.repeat),
        **{f"{part}_matrix": half.matrix.tolist() for part, half in halves.items()},
        **{f"{part}_uvw": (half.matrix @ half.surface.uvw[:2]).round(6).tolist() for part, half in halves.items()},
        "strain_on": cell.strain_on if cell.lateral is None else "given cell",
        "normal": cell.normal,
    }


def _elastic_facts(halves: Mapping[str, _Half], *, blocks: Mapping[str, Block], onto: Array) -> dict[str, Any]:
    """What the strain costs by the moduli, and where these are from: entries of the report."""
    return {
        **{
            f"elastic_energy_{part}_mev_per_angstrom2": _per_area(
                elastic_energy(half.stiffness, half.free, onto=onto), blocks[part], half.layers
            )
            for part, half in halves.items()
        },
        "elastic_source": {
            part: None if half.stiffness is None else half.stiffness.source for part, half in halves.items()
        },
    }


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


def _share(halves: Mapping[str, _Half]) -> float:
    """Part of the misfit that the film takes when the elastic energy t·M·ε² of both slabs together is least."""
    springs = {}
    for part, half in halves.items():
        energy = elastic_energy(half.stiffness, half.free, onto=half.free * 1.001)
        if energy is None:
            raise UsageError(
                f"no elastic moduli are known for {half.surface.sites.name}; put the strain on film or substrate"
            )
        thickness = half.layers * half.surface.period / len(half.surface.layers)
        springs[part] = thickness * energy["relaxed_ev_per_angstrom3"]
    return springs["substrate"] / (springs["film"] + springs["substrate"])


def _per_area(energy: Mapping[str, float] | None, block: Block, layers: int) -> dict[str, float] | None:
    if energy is None:
        return None
    thickness = layers * float(block.sites.cell[2, 2]) / block.count
    return {
        "normal_kept": round(1000.0 * energy["clamped_ev_per_angstrom3"] * thickness, 6),
        "normal_relaxed": round(1000.0 * energy["relaxed_ev_per_angstrom3"] * thickness, 6),
    }
