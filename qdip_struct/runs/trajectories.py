"""The trajectory of a run folder as labelled extxyz: CP2K's frames with the regions and charges of the builder."""

from pathlib import Path
from typing import TYPE_CHECKING

from qdip_struct.base.files import provenance
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.cp2k.outputs.trajectory import labelled, read_cells, read_frames, side_files, write_extxyz
from qdip_struct.runs.rundir import STRUCTURE

if TYPE_CHECKING:
    from ase import Atoms

TRAJECTORY = "trajectory.extxyz"


def write_trajectory(folder: Path, *, force: bool = False) -> tuple[Path, int] | None:
    """Write ``trajectory.extxyz`` in a run folder and return its path and number of frames.

    ``None`` when the folder has no trajectory of its own project or no ``structure.extxyz`` to take the labels from.
    Energies are those of converged steps only; the cell follows ``PROJECT-1.cell`` where CP2K wrote one.

    Raises
    ------
    DataError, MismatchError
        If a file is damaged, or the structure is not the one the run was made from.
    UsageError
        If the trajectory exists and ``force`` is not set.
    """
    if not folder.is_dir():
        return None
    run = read_run(folder)
    files = side_files(run)
    structure = folder / STRUCTURE
    if files.positions is None or not structure.is_file():
        return None
    from qdip_struct.materials.structure_files import read_structure

    frames = labelled(
        read_frames(files.positions),
        reference=read_structure(structure),
        run=run,
        cells=read_cells(files.cells) if files.cells is not None else None,
    )
    target = folder / TRAJECTORY
    source = provenance("collect --trajectories", {"positions": files.positions.name, "structure": STRUCTURE})
    return target, write_extxyz(target, frames, provenance=source, force=force)


def final_structure(folder: Path, run: Run) -> "Atoms | None":
    """The last whole frame of a run's trajectory with the labels of its structure; ``None`` without a trajectory.

    Raises
    ------
    DataError, MismatchError
        If a file is damaged, or the structure is not the one the run was made from.
    """
    files = side_files(run)
    structure = folder / STRUCTURE
    if files.positions is None or not structure.is_file():
        return None
    from qdip_struct.materials.structure_files import read_structure

    last = None
    for frame in read_frames(files.positions):
        last = frame
    if last is None:
        return None
    cells = read_cells(files.cells) if files.cells is not None else None
    found = list(labelled([last], reference=read_structure(structure), run=run, cells=cells))
    return found[0]
