"""What a campaign can build: kinds of structures, the words each takes, and the cells that come of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.options import option
from qdip_struct.builders.atoms.store import read_sidecar
from qdip_struct.builders.dot.dot_request import (
    AttachRequest,
    BulkRequest,
    DotRequest,
    EmbedRequest,
    requested_attachment,
    requested_bulk,
    requested_dot,
    requested_embedding,
)
from qdip_struct.builders.interface.interface_request import InterfaceRequest, requested_interfaces
from qdip_struct.builders.parsing import numbers
from qdip_struct.builders.roles import role_of
from qdip_struct.builders.slab.slab_request import SlabRequest, requested_slabs
from qdip_struct.materials.options import cell_option
from qdip_struct.materials.structure_files import file_notes, read_structure

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True, eq=False)
class Cell:
    """One structure to run.

    Attributes
    ----------
    atoms
        The structure with nothing in its header but its role: equal structures of several groups are then equal files.
    tell
        Gives what the builder said about it; counting charges takes time, and a plan for looking does not ask.
    name
        Of its run folder.
    study
        Tells several structures of one request apart; empty for one.
    """

    role: str
    atoms: "Atoms"
    tell: Callable[[], Mapping[str, Any]]
    name: str
    study: str = ""


@dataclass(frozen=True, kw_only=True)
class FileRequest:
    """A finished structure."""

    file: str = option(metavar="FILE", help="its name, relative to the campaign file")
    cell: str | None = cell_option()


@dataclass(frozen=True)
class Construction:
    """A kind of structure.

    Attributes
    ----------
    request
        The class whose fields are its options.
    build
        Turns a request and the folder where relative file names start into cells.
    makes_references
        Whether cells come of it that are only there for the energies of others.
    """

    request: type
    build: Callable[[Any, Path], list[Cell]]
    makes_references: bool = False

    def is_reference(self, role: str) -> bool:
        """Whether a cell of this role is not what is built for its own sake."""
        return self.makes_references and role_of(role).reference


def _cell(
    role: str, atoms: "Atoms", tell: Callable[[], Mapping[str, Any]], *, name: str | None = None, study: str = ""
) -> Cell:
    bare = atoms.copy()
    bare.info = {"role": role}
    return Cell(role, bare, tell, role if name is None else name, study)


def _interfaces(request: InterfaceRequest, folder: Path) -> list[Cell]:
    return [
        _cell(str(atoms.info["role"]), atoms, partial(built.reports.__getitem__, part), study=study)
        for study, built in requested_interfaces(request, folder=folder).items()
        for part, atoms in built.cells().items()
    ]


def _slabs(request: SlabRequest, folder: Path) -> list[Cell]:
    return [
        _cell(role, atoms, partial(built.reports.__getitem__, role), name=role_of(role).file_name, study=study)
        for study, built in requested_slabs(request, folder=folder).items()
        for role, atoms in built.cells().items()
    ]


def _bulk(request: BulkRequest, folder: Path) -> list[Cell]:
    atoms, report = requested_bulk(request, folder=folder)
    return [_cell("single", atoms, lambda: report, name="bulk")]


def _dot(request: DotRequest, folder: Path) -> list[Cell]:
    atoms, report = requested_dot(request, folder=folder)
    return [_cell("dot", atoms, lambda: report)]


def _embedded(request: EmbedRequest, folder: Path) -> list[Cell]:
    built = requested_embedding(request, folder=folder)
    return [_cell("embedded", built.atoms, lambda: built.report)]


def _attached(request: AttachRequest, folder: Path) -> list[Cell]:
    built = requested_attachment(request, folder=folder)
    return [_cell("embedded", built.atoms, lambda: built.report, name="attached")]


def _file(request: FileRequest, folder: Path) -> list[Cell]:
    path = folder / request.file
    said, sidecar = read_sidecar(path)
    atoms = read_structure(path, cell=None if request.cell is None else numbers(request.cell, what="cell"))
    notes = file_notes(path, used=("constraints", "moments", "periodicity"))
    told = {**sidecar, "file_notes": notes} if notes else sidecar
    return [_cell(said.role or "single", atoms, lambda: told)]


CONSTRUCTIONS: dict[str, Construction] = {
    "interface": Construction(InterfaceRequest, _interfaces, makes_references=True),
    "slab": Construction(SlabRequest, _slabs, makes_references=True),
    "bulk": Construction(BulkRequest, _bulk),
    "dot": Construction(DotRequest, _dot),
    "embed": Construction(EmbedRequest, _embedded),
    "attach": Construction(AttachRequest, _attached),
    "file": Construction(FileRequest, _file),
}
"""What can stand under ``build``; ``bulk`` and ``file`` have no command of their own."""
