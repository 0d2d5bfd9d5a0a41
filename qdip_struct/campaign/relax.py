"""Pre-relaxation of a structure with a machine-learned potential, continued after any interruption.

The cell stays fixed. Start: the given positions, each displaced by seeded normal noise (σ = ``rattle`` Å per axis),
because a crystal on its high-symmetry sites has no force towards its soft tilts. Then FIRE (E. Bitzek et al., Phys.
Rev. Lett. 97, 170201 (2006), doi:10.1103/PhysRevLett.97.170201) until the largest force is below ``fmax``.

The state (positions, velocities, time step) is saved beside the result every few seconds, with a fingerprint of start
and settings: a second call goes on from there and ends at the same structure as an undisturbed run.
The answer depends on the start and on ``fmax``; both are part of the result.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.errors import DataError, ToolError, UsageError
from qdip_struct.files import json_text, sha256, write_bytes

if TYPE_CHECKING:
    from ase import Atoms

_SAVE_EVERY_SECONDS = 20.0
_STEP_PER_ATOM_ANGSTROM = 0.1


@dataclass(frozen=True)
class RelaxSettings:
    """What decides the end point of a relaxation.

    Attributes
    ----------
    model
        Name of the potential; see :data:`qdip_struct.campaign.models.MODELS`.
    fmax_ev_per_angstrom
        Largest force on any atom at the end, eV/Å.
    rattle_angstrom
        Standard deviation of the random displacement of the start, Å per axis.
    seed
        Of the random displacement.
    max_steps
        Steps after which an unfinished relaxation stops.
    """

    model: str
    fmax_ev_per_angstrom: float = 0.03
    rattle_angstrom: float = 0.03
    seed: int = 0
    max_steps: int = 3000

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fmax_ev_per_angstrom) and self.fmax_ev_per_angstrom > 0):
            raise UsageError(f"fmax must be a positive force in eV/Å, not {self.fmax_ev_per_angstrom}")
        if not (np.isfinite(self.rattle_angstrom) and 0 <= self.rattle_angstrom < 1):
            raise UsageError(f"rattle must be between 0 and 1 Å, not {self.rattle_angstrom}")
        if self.max_steps < 1:
            raise UsageError(f"max-steps must be at least 1, not {self.max_steps}")
        if self.seed < 0:
            raise UsageError(f"seed must not be negative, not {self.seed}")


@dataclass(frozen=True)
class Relaxation:
    """End of a relaxation: the structure and whether it reached ``fmax``.

    Energies in eV, forces in eV/Å. ``converged`` is false when ``max_steps`` came first.
    """

    atoms: "Atoms"
    settings: RelaxSettings
    converged: bool
    n_steps: int
    energy_ev: float
    max_force_ev_per_angstrom: float
    start_sha256: str

    def report(self) -> dict[str, Any]:
        """The result without the structure, for a sidecar."""
        return {
            **asdict(self.settings),
            "optimiser": "FIRE",
            "cell": "fixed",
            "converged": self.converged,
            "n_steps": self.n_steps,
            "energy_ev": round(self.energy_ev, 5),
            "max_force_ev_per_angstrom": round(self.max_force_ev_per_angstrom, 5),
            "start_sha256": self.start_sha256,
        }


def with_dot_lattice(atoms: "Atoms", *, own: float, built: float) -> "Atoms":
    """Scale each embedded dot about its own centre from the lattice it was built on to its own.

    Parameters
    ----------
    atoms
        Structure with the array ``dot`` (number of the dot, −1 in the matrix); it is not changed.
    own, built
        Lattice constants in Å; every dot is scaled by own/built.

    Raises
    ------
    UsageError
        If there is no dot or a lattice constant is not positive.
    """
    if not all(np.isfinite(length) and length > 0 for length in (own, built)):
        raise UsageError(f"dot-lattice takes two positive lengths in Å, not {own},{built}")
    if not atoms.has("dot") or not (atoms.arrays["dot"] >= 0).any():
        raise UsageError("dot-lattice needs a structure with the array 'dot', as 'qdip build embed' writes it")
    scaled = atoms.copy()
    for number in np.unique(atoms.arrays["dot"]):
        if number >= 0:
            own_atoms = atoms.arrays["dot"] == number
            centre = atoms.positions[own_atoms].mean(axis=0)
            scaled.positions[own_atoms] = centre + (atoms.positions[own_atoms] - centre) * (own / built)
    return scaled


def only_dots(atoms: "Atoms") -> "Atoms":
    """The embedded dots alone, in the same cell: the start of the vacuum reference of a strain map.

    Raises
    ------
    UsageError
        If the structure has no array ``dot`` or no atom of a dot.
    """
    if not atoms.has("dot") or not (atoms.arrays["dot"] >= 0).any():
        raise UsageError("the dot alone needs a structure with the array 'dot', as 'qdip build embed' writes it")
    return atoms[atoms.arrays["dot"] >= 0]


def relax(
    atoms: "Atoms",
    *,
    calculator: Any,
    settings: RelaxSettings,
    checkpoint: Path | None = None,
    progress: Callable[[int, float, float], None] | None = None,
) -> Relaxation:
    """Relax the positions of a structure in its fixed cell.

    Parameters
    ----------
    atoms
        The start; it is not changed.
    calculator
        ASE calculator of ``settings.model``.
    settings
        See :class:`RelaxSettings`.
    checkpoint
        File (``.npz``) for the state; when it exists and belongs to the same start and settings, the run continues.
    progress
        Called after each step with the step number, the largest force (eV/Å) and the energy (eV).

    Raises
    ------
    DataError
        If the checkpoint is damaged or belongs to another start or other settings.
    ToolError
        If the model returns something that is not a number.
    """
    from ase.optimize import FIRE

    moving = atoms.copy()
    fingerprint = _fingerprint(atoms, settings)
    moving.positions += (
        np.random.default_rng(settings.seed).normal(0.0, 1.0, (len(moving), 3)) * settings.rattle_angstrom
    )
    moving.calc = calculator
    # ASE limits the length of the step of all atoms together; a limit per atom must grow with their number.
    optimiser = FIRE(moving, logfile=None, maxstep=_STEP_PER_ATOM_ANGSTROM * float(np.sqrt(len(moving))))
    state = _load(checkpoint, fingerprint=fingerprint, shape=moving.positions.shape)
    if state is not None:
        moving.positions = state["positions"]
        optimiser.vel = state["velocities"]
        optimiser.dt, optimiser.a = float(state["dt"]), float(state["mixing"])
        optimiser.Nsteps, optimiser.nsteps = int(state["downhill"]), int(state["steps"])
    saved = time.monotonic()
    energy, largest = np.nan, np.nan
    converged = False
    while True:
        forces = np.asarray(moving.get_forces(), dtype=float)
        energy = float(moving.get_potential_energy())
        largest = float(np.linalg.norm(forces, axis=1).max())
        if not (np.isfinite(energy) and np.isfinite(largest)):
            raise ToolError(
                f"{settings.model} returned a force or an energy that is not a number in step {optimiser.nsteps}"
            )
        converged = largest <= settings.fmax_ev_per_angstrom
        if progress is not None:
            progress(int(optimiser.nsteps), largest, energy)
        stop = converged or optimiser.nsteps >= settings.max_steps
        if checkpoint is not None and (stop or time.monotonic() - saved > _SAVE_EVERY_SECONDS):
            _save(checkpoint, fingerprint=fingerprint, moving=moving, optimiser=optimiser)
            saved = time.monotonic()
        if stop:
            break
        optimiser.step()
        optimiser.nsteps += 1
    steps = int(optimiser.nsteps)
    moving.calc = None
    return Relaxation(moving, settings, converged, steps, energy, largest, fingerprint)


def _fingerprint(atoms: "Atoms", settings: RelaxSettings) -> str:
    start = {
        "numbers": atoms.numbers,
        "positions": np.round(atoms.positions, 8),
        "cell": np.round(atoms.cell.array, 8),
        "pbc": atoms.pbc,
        "model": settings.model,
        "rattle": settings.rattle_angstrom,
        "seed": settings.seed,
    }
    return sha256(json_text(start))


def _save(path: Path, *, fingerprint: str, moving: "Atoms", optimiser: Any) -> None:
    import io

    velocities = np.zeros((0,)) if optimiser.vel is None else np.asarray(optimiser.vel)
    stream = io.BytesIO()
    np.savez(
        stream,
        fingerprint=np.array(fingerprint),
        positions=moving.positions,
        velocities=velocities,
        dt=optimiser.dt,
        mixing=optimiser.a,
        downhill=optimiser.Nsteps,
        steps=optimiser.nsteps,
    )
    write_bytes(path, stream.getvalue(), force=True)


def _load(path: Path | None, *, fingerprint: str, shape: tuple[int, ...]) -> dict[str, Any] | None:
    if path is None or not path.exists():
        return None
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as content:
            state = {key: content[key] for key in content.files}
        owner = str(state["fingerprint"])
        fits = state["positions"].shape == shape and {"velocities", "dt", "mixing", "downhill", "steps"} <= set(state)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged ({error}); remove it to start the relaxation again") from error
    if owner != fingerprint or not fits:
        raise DataError(f"{path} belongs to another start or other settings; remove it or choose another output name")
    if not state["velocities"].size:
        state["velocities"] = None
    return state
