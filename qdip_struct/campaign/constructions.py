"""What a campaign can build: kinds of structures, the words each takes, and the cells that come of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.builders.atoms.store import read_sidecar, read_structure
from qdip_struct.builders.dot.dot_request import (
    BulkRequest,
    DotRequest,
    EmbedRequest,
    requested_bulk,
    requested_dot,
    requested_embedding,
)
from qdip_struct.builders.interface.interface_request import InterfaceRequest, requested_interfaces
from qdip_struct.builders.roles import role_of
from qdip_struct.builders.slab.slab_request import SlabRequest, requested_slabs

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True, eq=False)
class Cell:
    """One structure to run.

    Attributes
    ----------
    role
        The part it plays.
    atoms
        It.
    reports
        What the builder said of each part, looked up when it is asked for.
    part
        Which of them is this one's.
    """

    role: str
    atoms: "Atoms"
    reports: Mapping[str, Mapping[str, Any]]
    part: str = ""

    @property
    def report(self) -> Mapping[str, Any]:
        """What the builder said about the structure."""
        return self.reports[self.part]


@dataclass(frozen=True)
class FileRequest:
    """A finished structure.

    Attributes
    ----------
    file
        Its name, relative to the campaign file.
    """

    file: str


Cells = dict[str, dict[str, Cell]]
"""By a name that tells several structures of one request apart (empty for one), then by the name of the run folder."""


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
    build: Callable[[Any, Path], Cells]
    makes_references: bool = False

    def is_reference(self, role: str) -> bool:
        """Whether a cell of this role is not what is built for its own sake."""
        return self.makes_references and role_of(role).reference


def _interfaces(request: InterfaceRequest, folder: Path) -> Cells:
    found: Cells = {}
    for name, built in requested_interfaces(request, folder=folder).items():
        cells = [Cell(str(atoms.info["role"]), atoms, built.reports, part) for part, atoms in built.cells().items()]
        found[name] = {cell.role: cell for cell in cells}
    return found


def _slabs(request: SlabRequest, folder: Path) -> Cells:
    return {
        name: {role_of(role).file_name: Cell(role, atoms, built.reports, role) for role, atoms in parts.items()}
        for name, built in requested_slabs(request, folder=folder).items()
        for parts in [built.cells()]
    }


def _bulk(request: BulkRequest, folder: Path) -> Cells:
    atoms, report = requested_bulk(request, folder=folder)
    return {"": {"bulk": Cell("single", atoms, {"": report})}}


def _dot(request: DotRequest, folder: Path) -> Cells:
    atoms, report = requested_dot(request)
    return {"": {"dot": Cell("dot", atoms, {"": report})}}


def _embedded(request: EmbedRequest, folder: Path) -> Cells:
    built = requested_embedding(request, folder=folder)
    return {"": {"embedded": Cell("embedded", built.atoms, {"": built.report})}}


def _file(request: FileRequest, folder: Path) -> Cells:
    path = folder / request.file
    sidecar = read_sidecar(path)
    role = str(sidecar.get("role") or "single")
    return {"": {role: Cell(role, read_structure(path), {"": sidecar})}}


CONSTRUCTIONS: dict[str, Construction] = {
    "interface": Construction(InterfaceRequest, _interfaces, makes_references=True),
    "slab": Construction(SlabRequest, _slabs, makes_references=True),
    "bulk": Construction(BulkRequest, _bulk),
    "dot": Construction(DotRequest, _dot),
    "embed": Construction(EmbedRequest, _embedded),
    "file": Construction(FileRequest, _file),
}
"""What can stand under ``build``; ``bulk`` and ``file`` have no command of their own."""
