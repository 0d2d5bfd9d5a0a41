"""A request for a bulk crystal, in words: one cell or a supercell of a pure or mixed material. Lengths in Å."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.material import Material
from qdip_struct.builders.atoms.molecules import Orientation
from qdip_struct.builders.atoms.occupation import Occupation
from qdip_struct.builders.atoms.regions import report
from qdip_struct.builders.dot.host import host_of
from qdip_struct.builders.parsing import body_of, whole_numbers


@dataclass(frozen=True)
class BulkRequest:
    """A crystal, how many cells of it, and how its sites are filled.

    Attributes
    ----------
    material
        ``NAME[:phase]``, a mixture, or a structure file.
    cells
        Conventional cells along its vectors, ``N,N,N``.
    lattice
        (Pseudo-)cubic lattice constant, Å.
    dataset
        Of the lattice constants.
    a_site, orientation, seed
        See :class:`qdip_struct.builders.atoms.occupation.Occupation`.
    """

    material: str
    cells: str = "1,1,1"
    lattice: float | None = None
    dataset: str | None = None
    a_site: str = "molecule"
    orientation: Orientation = "antiparallel"
    seed: int = 0


def requested_bulk(request: BulkRequest, *, folder: Path = Path()) -> tuple[Atoms, dict[str, Any]]:
    """Build the cell of a request: its atoms and its report.

    Raises
    ------
    UsageError
        If an option is not possible, or the cell holds no whole number of each ion of a mixture.
    """
    body = body_of(request.material, dataset=request.dataset, folder=folder)
    if request.lattice is not None:
        if not isinstance(body, Material):
            raise UsageError(f"{request.material} is a structure file: its lattice is taken as it is, drop the lattice")
        body = body.at(lattice=request.lattice)
    cells = whole_numbers(request.cells, what="cells", count=3)
    occupation = Occupation(request.a_site, request.orientation, request.seed)
    atoms = host_of(body, cells=cells, occupation=occupation).atoms
    source = body.crystal.source if isinstance(body, Material) else None
    return atoms, report(atoms, seed=request.seed, role="single", material=request.material, source=source)
