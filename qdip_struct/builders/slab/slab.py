"""Slabs: monolayers cut from a block, every termination of a plane named, both faces described.

Thickness counts *monolayers* (a CsBr layer and a PbBr2 layer are two); a *unit layer* is a whole period of the plane.
Lengths in Å, charges in e.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.alloy import Decoration, blocks_for, decorate, refuse_charged
from qdip_struct.builders.atoms.cells import Occupation, SiteCell, oriented, sites_of, to_atoms, with_a_site
from qdip_struct.builders.atoms.regions import report as structure_report
from qdip_struct.builders.interface.interface_options import check_layers, check_repeat, check_vacuum
from qdip_struct.builders.parsing import Faces
from qdip_struct.builders.slab.block import Block, bulk_block, cut_block
from qdip_struct.builders.slab.stoichiometry import (
    check_faces,
    companions,
    default_cut,
    face_facts,
    in_cell,
    ions_of,
    reservoir_facts,
    slab_findings,
    termination_name,
    termination_named,
    units_by_cation,
)
from qdip_struct.builders.slab.surface import LAYER_TOLERANCE_ANGSTROM, SurfaceCell, surface_cell
from qdip_struct.matching.planes import Plane, plane_text
from qdip_struct.materials.crystals import Crystal, edges_text, lattice_facts
from qdip_struct.materials.options import Arrangement


@dataclass(frozen=True, eq=False)
class SlabCells:
    """A slab in vacuum and its bulk reference.

    Attributes
    ----------
    slab, bulk
        Atoms; the bulk has the lateral cell of the slab.
    report
        Entries of the slab's sidecar.
    reports
        Report of each role, as written to its sidecar.
    others
        Companions of a non-stoichiometric slab, see :mod:`qdip_struct.builders.slab.stoichiometry`.
    """

    slab: Atoms
    bulk: Atoms
    report: Mapping[str, Any]
    reports: Mapping[str, Mapping[str, Any]]
    others: Mapping[str, Atoms] = field(default_factory=dict)

    def cells(self) -> dict[str, Atoms]:
        """Every cell by its role: the slab is ``substrate``, its bulk ``substrate_bulk``."""
        return {"substrate": self.slab, "substrate_bulk": self.bulk, **self.others}


def surface_of(
    material: Crystal | Atoms,
    *,
    plane: Plane,
    a_site: str = "molecule",
    layer_tolerance: float = LAYER_TOLERANCE_ANGSTROM,
) -> SurfaceCell:
    """The surface cell of a crystal (of a mixed one its end member) or a structure; MA and FA replaced on demand.

    Parameters
    ----------
    material, plane, layer_tolerance
        See :func:`build_slab`.
    a_site
        See :class:`qdip_struct.builders.atoms.cells.Occupation`.
    """
    if a_site == "molecule" and isinstance(material, Crystal):
        return surface_cell(material, plane=plane, layer_tolerance=layer_tolerance)
    sites = sites_of(material)
    return surface_cell(with_a_site(sites, a_site=a_site), plane=plane, layer_tolerance=layer_tolerance)


def stand_ins(*materials: Crystal | Atoms, a_site: str) -> list[str]:
    """Molecular ions that ``a_site`` stands in for, in alphabetical order; none when they stay whole."""
    if a_site == "molecule":
        return []
    sites = [sites_of(entry) for entry in materials]
    return sorted({str(name) for entry in sites for name in entry.species[entry.molecular & (entry.charges == 1)]})


def filled_block(
    material: Crystal | Atoms,
    *,
    surface: SurfaceCell,
    matrix: Array,
    occupation: Occupation,
) -> tuple[Block, tuple[Decoration, ...]]:
    """The unstrained bulk block of a material, arranged if it is mixed, its molecules turned.

    Its height is the least that holds a mixture's composition in whole ions and, for the rule ``antiparallel``, an even
    number of molecules.

    Parameters
    ----------
    material
        Crystal, ordered or mixed, or a periodic structure.
    surface
        Its surface cell.
    matrix
        Lateral supercell, integer rows (2, 2) on the net of the surface cell.
    occupation
        How the sites are filled.

    Returns
    -------
    block, decorations
        The block, and what was arranged on each mixed sublattice.
    """
    block = bulk_block(surface, matrix=matrix)
    n_molecules = int(block.sites.molecular.sum())
    paired = 2 if occupation.orientation == "antiparallel" and n_molecules % 2 and not block.sites.templates else 1
    decorations: list[Decoration] = []
    occupancies = material.occupancies if isinstance(material, Crystal) else {}
    if occupancies:
        per_block = {label: int((block.sites.sublattice == label).sum()) for label in occupancies}
        blocks = math.lcm(paired, blocks_for(occupancies, sites_per_block=per_block))
        block = bulk_block(surface, matrix=matrix, periods=blocks)
        sites = block.sites
        for label, shares in occupancies.items():
            sites, decoration = decorate(
                sites, sublattice=label, fractions=shares, arrangement=occupation.arrangement, seed=occupation.seed
            )
            decorations.append(decoration)
        refuse_charged(sites, mixed=block.sites)
        block = replace(block, sites=sites)
    elif paired > 1:
        block = bulk_block(surface, matrix=matrix, periods=paired)
    sites = oriented(block.sites, rule=occupation.orientation, seed=occupation.seed)
    return replace(block, sites=sites), tuple(decorations)


def build_slab(
    material: Crystal | Atoms,
    *,
    plane: Plane = (1, 0, 0),
    layers: int | None = None,
    units: int | None = None,
    termination: str | None = None,
    faces: Faces = "any",
    repeat: tuple[int, int] = (1, 1),
    vacuum: float = 20.0,
    layer_tolerance: float = LAYER_TOLERANCE_ANGSTROM,
    occupation: Occupation = Occupation(),
    files: Sequence[Path] = (),
) -> SlabCells:
    """Cut a slab and its bulk reference.

    Parameters
    ----------
    material
        Crystal, ordered or mixed, or a periodic structure.
    plane
        Miller indices in the axes of the crystal's cell.
    layers, units
        Thickness in monolayers, or in whole periods of the plane; one of them (default three monolayers).
    termination
        Topmost layer; default that of :func:`~qdip_struct.builders.slab.stoichiometry.default_cut`.
    faces
        ``symmetric`` asks for two equal faces, molecules taken as points and mixed ions as alike; ``stoichiometric``
        for whole formula units; ``any`` takes what comes.
    repeat
        Lateral supercell of the primitive net.
    vacuum
        Empty length along z, Å.
    layer_tolerance
        Sites closer than this along the normal belong to one monolayer, Å.
    occupation
        How the sites are filled.
    files
        User's files of crystals, for the reservoir.

    Raises
    ------
    UsageError
        If an argument is not possible or the faces cannot be as asked for; the message says what would do.
    """
    check_vacuum(vacuum)
    check_repeat(repeat)
    if faces not in get_args(Faces):
        raise UsageError(f"faces is '{faces}'; expected {', '.join(get_args(Faces))}")
    surface = surface_of(material, plane=plane, a_site=occupation.a_site, layer_tolerance=layer_tolerance)
    count = _monolayers(surface, layers=layers, units=units)
    top = termination_named(surface, termination)
    block, decorations = filled_block(material, surface=surface, matrix=np.diag(repeat), occupation=occupation)
    sites, layer = cut_block(block, bottom=top - count + 1, count=count)
    atoms = to_atoms(sites, region="substrate")
    facts = face_facts(sites, layer, block, top=top, atoms=atoms)
    check_faces(faces, facts, surface, top=top)
    facts["termination"] = termination_name(surface, top)
    facts["termination_chosen"] = default_cut(surface)[1] if termination is None else None
    facts["thickness_angstrom"] = float(np.ptp(atoms.positions[:, 2]))
    cell = np.zeros((3, 3))
    cell[:2, :2], cell[2, 2] = block.lateral, facts["thickness_angstrom"] + vacuum
    dataset = material.dataset if isinstance(material, Crystal) else None
    at = material.temperature_kelvin if isinstance(material, Crystal) else None
    others, reservoir = companions(
        sites, block, top=top, count=count, cell=cell, dataset=dataset, temperature=at, files=files
    )
    charge = int(sites.charges.sum())
    facts["findings"] = slab_findings(facts, block, top=top, charge=charge, has=list(others))
    slab, bulk = in_cell(atoms, cell), to_atoms(block.sites, region="substrate")
    common = {
        "seed": occupation.seed if occupation.orientation == "random" or decorations else None,
        "group": f"{surface.sites.name}{plane_text(surface.plane)}x{count}_{facts['termination'].replace(':', '-')}",
        "material": surface.sites.name,
        "source": crystal_source(material, arrangement=occupation.arrangement),
        "dataset": dataset,
        **lattice_facts({"substrate": material} if isinstance(material, Crystal) else {}),
        "plane": list(surface.plane),
        "uvw": (block.matrix @ surface.uvw[:2]).round(6).tolist(),
        "area_angstrom2": block.area,
        "layers": count,
        "vacuum_angstrom": vacuum,
        "dipole_direction": "z",
        "a_site": occupation.a_site,
        "stand_in_for": stand_ins(material, a_site=occupation.a_site),
        "orientation": occupation.orientation,
        "alloy": [decoration_entry(d) for d in decorations],
        **reservoir_facts(
            {"substrate": reservoir}, warnings=material.warnings if isinstance(material, Crystal) else ()
        ),
    }
    cells = {"substrate": slab, "substrate_bulk": bulk, **others}
    reports = _reports(cells, bulk=block.sites, slab_facts=facts, common=common)
    return SlabCells(slab=slab, bulk=bulk, report=reports["substrate"], reports=reports, others=others)


def _monolayers(surface: SurfaceCell, *, layers: int | None, units: int | None) -> int:
    """Thickness in monolayers; three when nothing is asked for."""
    if layers is not None and units is not None:
        raise UsageError("give the thickness in monolayers or in units, not both")
    count = units * len(surface.layers) if units is not None else 3 if layers is None else layers
    check_layers(count, what="the thickness")
    return count


def _reports(
    cells: Mapping[str, Atoms], *, bulk: SiteCell, slab_facts: Mapping[str, Any], common: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Report of each cell by its role; every cell is told its role and group."""
    reports = {}
    for role, atoms in cells.items():
        atoms.info = {"role": role, "group": common["group"]}
        own: Mapping[str, Any] = {}
        if role == "substrate":
            own = slab_facts
        elif role != "reservoir":
            own = {"n_formula_units": units_by_cation(ions_of(atoms), bulk=bulk)}
        reports[role] = structure_report(atoms, role=role, **common, **own)
    return reports


def crystal_source(material: Crystal | Atoms, *, arrangement: Arrangement) -> str:
    """Which crystal at which lattice constant, from where; of a user's structure what was done to it."""
    if not isinstance(material, Crystal):
        done = material.info.get("scaled")
        return f"structure given by the user{f', {done}' if done else ''}"
    how = arrangement if material.occupancies else material.dataset
    at = "" if material.temperature_kelvin is None else f" at {material.temperature_kelvin:g} K"
    cell = edges_text(material.lengths, material.angles)
    return f"{material.label} {cell} Å{at}, {how}: {material.source}"


def decoration_entry(decoration: Decoration) -> dict[str, Any]:
    """A decoration as an entry of a report."""
    return {
        "sublattice": decoration.sublattice,
        "requested": dict(decoration.requested),
        "realised": dict(decoration.realised),
        "n_sites": decoration.n_sites,
        "correlation_error": decoration.correlation_error,
    }
