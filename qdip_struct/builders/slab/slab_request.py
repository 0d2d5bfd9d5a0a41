"""Requests for slabs and bulk cells, in words: the fields are the options of ``qdip build slab``."""

from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from qdip_struct.builders.atoms.cells import Arrangement, Occupation
from qdip_struct.builders.atoms.molecules import MoleculeOrientation
from qdip_struct.builders.parsing import whole_numbers
from qdip_struct.builders.slab.slab import SlabCells, build_slab, surface_of
from qdip_struct.builders.slab.stoichiometry import Faces, termination_names
from qdip_struct.builders.slab.surface import SurfaceCell
from qdip_struct.matching.planes import parse_plane
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.structure_files import crystal_of


@dataclass(frozen=True)
class SlabRequest:
    """What ``qdip build slab`` takes, as typed.

    Attributes
    ----------
    material
        ``NAME[:phase]``, a mixed formula or a structure file.
    plane
        Miller indices.
    layers, units
        Thickness in monolayers, or in whole periods of the plane.
    termination, faces
        Topmost layer (``all`` builds each), and what both faces must be.
    lattice, dataset
        (Pseudo-)cubic lattice constant, Å, and the data set it is taken from otherwise.
    repeat
        Lateral repeat of the smallest lateral cell.
    vacuum
        Empty length along z, Å.
    a_site, orientation, seed
        See :class:`qdip_struct.builders.atoms.cells.Occupation`.
    arrangement
        Of the ions of a mixture.
    layer_tolerance
        Sites this close along the normal are one monolayer, Å.
    """

    material: str
    plane: str = "100"
    layers: int | None = None
    units: int | None = None
    termination: str | None = None
    faces: Faces = "any"
    lattice: float | None = None
    dataset: str | None = None
    repeat: str = "1,1"
    vacuum: float = 20.0
    a_site: str = "molecule"
    orientation: MoleculeOrientation = "antiparallel"
    arrangement: Arrangement = "sqs"
    seed: int = 0
    layer_tolerance: float = 0.5


def requested_surface(request: SlabRequest, *, folder: Path = Path()) -> SurfaceCell:
    """The surface cell of a request: what its slabs are cut from."""
    return surface_of(
        _crystal(request, folder),
        plane=parse_plane(request.plane),
        a_site=request.a_site,
        layer_tolerance=request.layer_tolerance,
    )


def requested_slabs(request: SlabRequest, *, folder: Path = Path()) -> dict[str, SlabCells]:
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
        )
        for name in names
    }


def _crystal(request: SlabRequest, folder: Path) -> Crystal | Atoms:
    return crystal_of(request.material, dataset=request.dataset, lattice=request.lattice, folder=folder)
