"""The pre-relaxation of a run folder: ``structure.extxyz`` is the start, ``relaxed.extxyz`` what CP2K begins with.

``run.json`` says under ``relax`` what was asked for. The cell stays fixed, so only the coordinates of ``run.inp``
change: k-points, spin and every other decision hold. The input is replaced last; until then the run must not start.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import DataError, ToolError
from qdip_struct.base.files import provenance, read_text, write_text
from qdip_struct.base.options import recorded
from qdip_struct.builders.atoms.store import sidecar_of, write_structure
from qdip_struct.builders.parsing import numbers
from qdip_struct.materials.structure_files import read_structure
from qdip_struct.mlip.relax_request import RelaxRequest
from qdip_struct.runs.rundir import INPUT, RELAXED, STRUCTURE, RunFolder, needs_relaxation

if TYPE_CHECKING:
    from ase import Atoms

CHECKPOINT = "relaxed.checkpoint.npz"


def relax_folder(
    folder: RunFolder, *, threads: int = 1, progress: Callable[[int, float, float], None] | None = None
) -> None:
    """Relax the structure of a run folder and put it into its input; nothing happens when that was done.

    Parameters
    ----------
    folder
        From :func:`qdip_struct.runs.rundir.open_run_folder`.
    threads
        CPU threads of the model.
    progress
        Called after each step with its number, the largest force (eV/Å) and the energy (eV).

    Raises
    ------
    FolderBusyError
        If another process works in the folder.
    ToolError
        If the model is missing, or its steps end before the criterion is reached.
    DataError
        If a file of the folder is damaged.
    """
    from qdip_struct.campaign.engines.segment import exclusive
    from qdip_struct.mlip.models import load_model
    from qdip_struct.mlip.relax import relax

    with exclusive(folder.path):
        if not needs_relaxation(folder):
            return
        wish = _request(folder)
        place = folder.path / RELAXED
        atoms = read_structure(folder.path / STRUCTURE)
        if not (place.exists() and sidecar_of(place).exists()):
            done = relax(
                _start(atoms, wish),
                wish,
                calculator=load_model(wish.model, threads=threads).calculator,
                checkpoint=folder.path / CHECKPOINT,
                progress=progress,
            )
            if not done.converged:
                raise ToolError(
                    f"{folder.path}: {wish.model} did not reach {wish.fmax:g} eV/Å within {wish.max_steps} steps "
                    f"(largest force {done.max_force_ev_per_angstrom:.3f} eV/Å); raise relax.max-steps"
                )
            written = provenance("submit", {"relax": recorded(wish, place="campaign")}, seed=wish.seed)
            write_structure(place, done.atoms, provenance=written, report=done.report(), force=True)
        relaxed = read_structure(place)
        if relaxed.get_chemical_symbols() != atoms.get_chemical_symbols():
            raise DataError(f"{place} does not hold the atoms of {STRUCTURE}; remove it to relax again")
        write_text(folder.path / INPUT, _with_positions(folder, relaxed), force=True)
        (folder.path / CHECKPOINT).unlink(missing_ok=True)


def _request(folder: RunFolder) -> RelaxRequest:
    content: Any = folder.content["relax"]
    try:
        wish = RelaxRequest(**content)
        if other := set(content) - set(recorded(wish, place="campaign")):
            raise TypeError(f"got an unexpected keyword argument '{min(other)}'")
        return wish
    except TypeError as error:
        raise DataError(f"{folder.path}: run.json holds a relax entry that is not understood ({error})") from error


def _start(atoms: "Atoms", wish: RelaxRequest) -> "Atoms":
    from qdip_struct.mlip.relax import with_dot_lattice

    if wish.dot_lattice is None:
        return atoms
    own, built = numbers(wish.dot_lattice, what="relax.dot-lattice", count=2)
    return with_dot_lattice(atoms, own=own, built=built)


def _with_positions(folder: RunFolder, atoms: "Atoms") -> str:
    """The input with the coordinates of ``atoms`` in the place of those it has; kinds and order stay."""
    from qdip_struct.base.cp2k_input import Keyword, Verbatim, find_section, format_input, parse_input

    place = folder.path / INPUT
    tree = parse_input(read_text(place), source=str(place))
    section = find_section(tree, "FORCE_EVAL/SUBSYS/COORD")
    lines = [entry for entry in section.entries if isinstance(entry, Keyword)] if section is not None else []
    if section is None or len(lines) != len(atoms):
        raise DataError(f"{place} holds {len(lines)} atoms, {RELAXED} {len(atoms)}; make the folder again")
    section.entries[:] = [
        Verbatim(f"{line.name} {x + 0.0:.10f} {y + 0.0:.10f} {z + 0.0:.10f}")
        for line, (x, y, z) in zip(lines, atoms.positions.tolist(), strict=True)
    ]
    return format_input(tree)
