"""Requests for slabs and bulk cells, in words: the fields are the options of ``qdip build slab``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qdip_struct.base.options import option
from qdip_struct.builders.parsing import Faces, numbers, whole_numbers
from qdip_struct.materials import options as shared
from qdip_struct.materials.ions import charges_given
from qdip_struct.materials.options import Arrangement, MoleculeOrientation

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.builders.slab.slab import SlabCells
    from qdip_struct.builders.slab.surface import SurfaceCell
    from qdip_struct.materials.crystals import Crystal


@dataclass(frozen=True, kw_only=True)
class SlabRequest:
    """What ``qdip build slab`` takes, as typed."""

    material: str = option(metavar="CRYSTAL", help="NAME[:phase], a mixed formula or a structure file")
    plane: str = shared.plane_option()
    layers: int | None = option(None, metavar="N", shown="3", help="thickness in monolayers")
    units: int | None = option(None, metavar="N", help="thickness in whole periods of the plane")
    termination: str | None = option(
        None, metavar="NAME", shown="the cut without dipole of the widest gap",
        help="topmost layer: AX, BX2, its formula, or all to build each",
    )  # fmt: skip
    faces: Faces = option(
        "any", help="what both faces must be; symmetric: equal, molecules taken as points and mixed ions as alike"
    )
    lattice: float | None = shared.lattice_option(scales_files=True)
    dataset: str | None = shared.dataset_option()
    temperature: float | None = shared.temperature_option()
    crystals: tuple[Path, ...] = shared.crystals_option()
    cell: str | None = shared.cell_option()
    symprec: float = shared.symprec_option()
    repeat: str = shared.repeat_option()
    vacuum: float = shared.vacuum_option()
    a_site: str = shared.a_site_option()
    orientation: MoleculeOrientation = shared.orientation_option()
    arrangement: Arrangement = shared.arrangement_option()
    seed: int = shared.seed_option()
    layer_tolerance: float = shared.layer_tolerance_option()
    charges: str | None = shared.charges_option()


def requested_surface(request: SlabRequest, *, folder: Path = Path()) -> "SurfaceCell":
    """The surface cell of a request: what its slabs are cut from."""
    from qdip_struct.builders.slab.slab import surface_of
    from qdip_struct.matching.planes import parse_plane

    return surface_of(
        _crystal(request, folder),
        plane=parse_plane(request.plane),
        a_site=request.a_site,
        layer_tolerance=request.layer_tolerance,
    )


def requested_slabs(request: SlabRequest, *, folder: Path = Path()) -> dict[str, "SlabCells"]:
    """Build every slab of a request: one, or each termination.

    Returns
    -------
    dict
        Slabs by termination; the name of a single one is empty.

    Raises
    ------
    UsageError
        If an option is not possible.
    """
    from qdip_struct.builders.atoms.cells import Occupation
    from qdip_struct.builders.slab.slab import build_slab
    from qdip_struct.builders.slab.stoichiometry import termination_names
    from qdip_struct.matching.planes import parse_plane

    names: tuple[str | None, ...] = (request.termination,)
    if request.termination == "all":
        names = termination_names(requested_surface(request, folder=folder))
    first, second = whole_numbers(request.repeat, what="--repeat", count=2)
    return {
        "" if len(names) == 1 else str(name).replace(":", "-"): build_slab(
            _crystal(request, folder),
            plane=parse_plane(request.plane),
            layers=request.layers,
            units=request.units,
            termination=name,
            faces=request.faces,
            repeat=(first, second),
            vacuum=request.vacuum,
            layer_tolerance=request.layer_tolerance,
            occupation=Occupation(request.a_site, request.orientation, request.seed, request.arrangement),
            files=_files(request, folder),
        )
        for name in names
    }


def _crystal(request: SlabRequest, folder: Path) -> "Crystal | Atoms":
    from qdip_struct.builders.atoms.cells import material_of, refuse_unused
    from qdip_struct.materials.structure_files import refuse_temperature

    refuse_temperature(request.material, request.temperature, folder=folder)
    charges = charges_given(request.charges)
    found = material_of(
        request.material, dataset=request.dataset, temperature=request.temperature, lattice=request.lattice,
        charges=charges, files=_files(request, folder), folder=folder,
        cell=None if request.cell is None else numbers(request.cell, what="--cell"), symprec=request.symprec,
    )  # fmt: skip
    refuse_unused(charges, found)
    return found


def _files(request: SlabRequest, folder: Path) -> tuple[Path, ...]:
    return tuple(folder / path for path in request.crystals)
