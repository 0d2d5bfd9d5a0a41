"""Pre-relaxation of a structure with a machine-learned potential, continued after any interruption.

Start: the given positions, or the dot at its own lattice; each atom displaced by seeded normal noise (σ = ``rattle`` Å
per axis), because a crystal on its high-symmetry sites has no force towards its soft tilts. Then FIRE (E. Bitzek et
al., Phys. Rev. Lett. 97, 170201 (2006), doi:10.1103/PhysRevLett.97.170201) until the largest force is below ``fmax``
and, where the cell is free, the largest free stress below ``smax``. The answer depends on the start and on ``fmax``;
both are part of the result, and energies of two starts rank nothing.

The state (atoms, cell, how the optimiser moves) is saved beside the result every few seconds, with a fingerprint of
start and settings: a second call goes on from there and ends at the same structure as an undisturbed run.
"""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import DataError, ToolError, UsageError
from qdip_struct.base.files import json_text, sha256, write_bytes
from qdip_struct.base.units import GPA_PER_EV_PER_ANGSTROM3
from qdip_struct.builders.roles import role_of
from qdip_struct.cp2k.inputs.decisions import look_at, lowest_layers
from qdip_struct.mlip.relax_request import CellMode, RelaxRequest

if TYPE_CHECKING:
    from ase import Atoms

SAVE_EVERY_SECONDS = 20.0

_STEP_PER_ATOM_ANGSTROM = 0.1

STRAIN_MASKS: dict[str, tuple[bool, ...]] = {
    "fixed": (False,) * 6,
    "normal": (False, False, True, False, False, False),
    "free": (True,) * 6,
}
"""Free strain components of each cell mode, Voigt order xx yy zz yz xz xy."""

_NUMBERS = ("dt", "mixing", "downhill", "steps")


@dataclass(frozen=True)
class Relaxation:
    """End of a relaxation.

    Attributes
    ----------
    converged
        False when ``max_steps`` came before ``fmax`` (and ``smax``).
    max_force_ev_per_angstrom
        Largest norm of an atom's force, eV/Å.
    max_stress_gpa
        Largest free component, GPa; ``None`` in a fixed cell.
    weights_sha256
        Of the model's weights file, where it has one.
    """

    atoms: "Atoms"
    request: RelaxRequest
    converged: bool
    n_steps: int
    energy_ev: float
    max_force_ev_per_angstrom: float
    start_sha256: str
    n_frozen: int = 0
    max_stress_gpa: float | None = None
    weights_sha256: str | None = None

    def report(self) -> dict[str, Any]:
        """The result without the structure, for a sidecar."""
        return {
            "model": self.request.model,
            "fmax_ev_per_angstrom": self.request.fmax,
            "rattle_angstrom": self.request.rattle,
            "seed": self.request.seed,
            "max_steps": self.request.max_steps,
            "cell": self.request.cell,
            "smax_gpa": None if self.max_stress_gpa is None else self.request.smax,
            "weights_sha256": self.weights_sha256,
            "optimiser": "FIRE",
            "n_frozen": self.n_frozen,
            "converged": self.converged,
            "n_steps": self.n_steps,
            "energy_ev": round(self.energy_ev, 5),
            "max_force_ev_per_angstrom": round(self.max_force_ev_per_angstrom, 5),
            "max_stress_gpa": None if self.max_stress_gpa is None else round(self.max_stress_gpa, 5),
            "start_sha256": self.start_sha256,
        }


@dataclass(frozen=True)
class RelaxState:
    """Coordinates that the optimiser moves and its own variables.

    Attributes
    ----------
    coordinates
        (n, 3) positions in Å, or (n + 3, 3) positions and logarithm of the deformation of the cell.
    velocities
        Of FIRE, flat; ``None`` before the first step.
    dt, mixing
        Time step and mixing parameter of FIRE.
    downhill
        Steps since it last went uphill.
    steps
        Steps taken.
    """

    coordinates: NDArray[np.float64]
    velocities: NDArray[np.float64] | None
    dt: float
    mixing: float
    downhill: int
    steps: int


def relax(
    atoms: "Atoms",
    request: RelaxRequest,
    *,
    calculator: Any,
    weights_sha256: str | None = None,
    frozen: NDArray[np.bool_] | None = None,
    checkpoint: Path | None = None,
    save_every_s: float = SAVE_EVERY_SECONDS,
    progress: Callable[[int, float, float], None] | None = None,
) -> Relaxation:
    """Relax the positions of a structure and, when asked for, its cell.

    Parameters
    ----------
    atoms
        The start; it is not changed.
    request
        Model, criteria, rattle, seed, and what of the cell relaxes. What it says of the start (its parts, lattice and
        held atoms) has been done: ``atoms`` and ``frozen`` are the result.
    calculator
        ASE calculator of ``request.model``.
    weights_sha256
        Hash of the model's weights file, where it has one: other weights are another relaxation.
    frozen
        Atoms that stay where they are, shape (n,); only in a fixed cell.
    checkpoint
        File (``.npz``) for the state; when it exists and belongs to the same start and settings, the run continues.
    save_every_s
        Least time between two saved states, s.
    progress
        Called after each step with the step number, the largest force (eV/Å) and the energy (eV).

    Raises
    ------
    UsageError
        If a value of the request means nothing, or atoms are frozen and the cell is not fixed.
    DataError
        If the checkpoint is damaged or belongs to another start or other settings.
    ToolError
        If the model returns something that is not a number.
    """
    from ase.constraints import FixAtoms
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    request.check()
    still = np.zeros(len(atoms), dtype=bool) if frozen is None else np.asarray(frozen, dtype=bool)
    if still.any() and request.cell != "fixed":
        raise UsageError("frozen atoms need --cell fixed: in a cell that changes they would move with it")
    owner = _owner(atoms, request, weights_sha256=weights_sha256, frozen=still)
    moving = rattled(atoms, sigma=request.rattle, seed=request.seed, frozen=still)
    if still.any():
        moving.set_constraint(FixAtoms(mask=still))
    moving.calc = calculator
    free = np.array(STRAIN_MASKS[request.cell])
    target = FrechetCellFilter(moving, mask=free.tolist()) if free.any() else moving
    # ASE limits the length of the step of all atoms together; a limit per atom must grow with their number.
    optimiser = FIRE(target, logfile=None, maxstep=_STEP_PER_ATOM_ANGSTROM * float(np.sqrt(len(target))))
    if checkpoint is not None and checkpoint.exists():
        _restore(load_state(checkpoint, owner=owner, shape=target.get_positions().shape), target, optimiser)
    saved = time.monotonic()
    while True:
        energy, force, stress = _look(moving, free=free, step=optimiser.nsteps, model=request.model)
        converged = force <= request.fmax and (stress is None or stress <= request.smax)
        if progress is not None:
            progress(int(optimiser.nsteps), force, energy)
        stop = converged or optimiser.nsteps >= request.max_steps
        if checkpoint is not None and (stop or time.monotonic() - saved >= save_every_s):
            save_state(checkpoint, _state(target, optimiser), owner=owner)
            saved = time.monotonic()
        if stop:
            break
        optimiser.step()
        optimiser.nsteps += 1
    moving.calc = None
    moving.set_constraint()
    return Relaxation(
        moving, request, converged, int(optimiser.nsteps), energy, force, owner, int(still.sum()), stress,
        weights_sha256,
    )  # fmt: skip


def _look(moving: "Atoms", *, free: NDArray[np.bool_], step: int, model: str) -> tuple[float, float, float | None]:
    """Energy (eV), largest force (eV/Å) and largest free stress (GPa) of the present structure."""
    force = float(np.linalg.norm(np.asarray(moving.get_forces(), dtype=float), axis=1).max())
    energy = float(moving.get_potential_energy())
    stress = None
    if free.any():
        stress = float(np.abs(np.asarray(moving.get_stress(), dtype=float)[free]).max()) * GPA_PER_EV_PER_ANGSTROM3
    if not (np.isfinite(energy) and np.isfinite(force) and (stress is None or np.isfinite(stress))):
        raise ToolError(f"{model} returned a force, a stress or an energy that is not a number in step {step}")
    return energy, force, stress


def _owner(atoms: "Atoms", request: RelaxRequest, *, weights_sha256: str | None, frozen: NDArray[np.bool_]) -> str:
    """Fingerprint; a stricter criterion or more steps continue the same relaxation."""
    choices = {
        "model": request.model,
        "weights_sha256": weights_sha256,
        "rattle_angstrom": request.rattle,
        "seed": request.seed,
        "cell": request.cell,
    }
    return fingerprint(atoms, frozen=frozen, choices=choices)


def _velocity_name(optimiser: Any) -> str:
    """Where FIRE keeps its velocities: flat in ``vel`` from ASE 3.27 on, (n, 3) in ``v`` before."""
    return "vel" if hasattr(optimiser, "vel") else "v"


def _state(target: Any, optimiser: Any) -> RelaxState:
    moved = getattr(optimiser, _velocity_name(optimiser))
    velocities = None if moved is None else np.array(moved, dtype=float).ravel()
    return RelaxState(
        np.array(target.get_positions(), dtype=float),
        velocities,
        float(optimiser.dt),
        float(optimiser.a),
        int(optimiser.Nsteps),
        int(optimiser.nsteps),
    )


def _restore(state: RelaxState, target: Any, optimiser: Any) -> None:
    target.set_positions(state.coordinates)
    name, velocities = _velocity_name(optimiser), state.velocities
    if velocities is not None and name == "v":
        velocities = velocities.reshape(-1, 3)
    setattr(optimiser, name, velocities)
    optimiser.dt, optimiser.a = state.dt, state.mixing
    optimiser.Nsteps, optimiser.nsteps = state.downhill, state.steps


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


def frozen_atoms(atoms: "Atoms", *, regions: Sequence[str] = (), n_layers: int = 0) -> NDArray[np.bool_]:
    """Which atoms stay where they are, shape (n,): those the file fixes, whole regions, and the lowest layers.

    Parameters
    ----------
    atoms
        The start. ``FixAtoms`` constraints (``move_mask`` of an extxyz file) are obeyed.
    regions
        Names in the array ``region``, for example ``substrate``.
    n_layers
        Layers counted from below along z, as in ``qdip inputs --fixed-layers``.

    Raises
    ------
    UsageError
        If there is no such region, the layers cannot be counted, or no atom would be left to move.
    DataError
        If the file holds a constraint on something else than whole atoms.
    """
    from ase.constraints import FixAtoms

    frozen = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise DataError(f"the structure holds a constraint ({type(constraint).__name__}) that is not obeyed here")
        frozen[constraint.get_indices()] = True
    if regions:
        labels = atoms.arrays["region"] if atoms.has("region") else np.full(len(atoms), "")
        known = sorted({str(name) for name in labels} - {""})
        for name in regions:
            if name not in known:
                raise UsageError(f"no region '{name}' to freeze; the structure has: {', '.join(known) or 'none'}")
            frozen |= labels == name
    if n_layers:
        frozen[list(lowest_layers(atoms.positions, n_layers=n_layers))] = True
    if frozen.all():
        raise UsageError("every atom is frozen; there is nothing to relax")
    return frozen


def check_cell_mode(atoms: "Atoms", *, cell: CellMode, role: str | None = None) -> None:
    """Refuse to relax a cell that has no equilibrium or that others share.

    Parameters
    ----------
    atoms
        The start.
    cell
        See :data:`qdip_struct.mlip.relax_request.CellMode`.
    role
        The part the structure plays in its group.

    Raises
    ------
    UsageError
        If the cell holds vacuum or is not periodic; if ``normal`` is asked for and the vectors a and b do not lie in
        the plane z = 0; if ``free`` is asked for and the lateral cell is shared with other runs of the group.
    """
    if cell == "fixed":
        return
    if not atoms.pbc.all():
        raise UsageError(f"--cell {cell} needs a structure that is periodic in three directions; use --cell fixed")
    empty = look_at(atoms.cell.array, atoms.positions)
    if empty.vacuum_axes:
        axis = empty.vacuum_axes[0]
        raise UsageError(
            f"--cell {cell} would only close the vacuum ({empty.vacuum_angstrom[axis]:.1f} Å along "
            f"{'abc'[axis]}), which has no equilibrium; use --cell fixed"
        )
    if cell == "normal" and np.abs(atoms.cell.array[:2, 2]).max() > 1e-6:
        raise UsageError("--cell normal needs the lateral vectors a and b in the plane z = 0")
    if cell == "free" and role is not None and role_of(role).cell != "own":
        raise UsageError(
            f"--cell free would change the lateral cell that the {role} shares with its group; use --cell normal"
        )


def rattled(atoms: "Atoms", *, sigma: float, seed: int, frozen: NDArray[np.bool_]) -> "Atoms":
    """A copy with normal noise of ``sigma`` Å per axis on every atom that is not ``frozen`` (n,); no velocities."""
    moved = atoms.copy()
    moved.set_constraint()
    for name in [name for name in moved.arrays if name == "momenta" or name.startswith("strain")]:
        del moved.arrays[name]
    noise = np.random.default_rng(seed).normal(0.0, 1.0, (len(moved), 3)) * sigma
    moved.positions += np.where(frozen[:, None], 0.0, noise)
    return moved


def fingerprint(atoms: "Atoms", *, frozen: NDArray[np.bool_], choices: dict[str, Any]) -> str:
    """Hash of a start and of what decides the path from it; atoms in Å to 1e-8."""
    return sha256(
        json_text(
            {
                "numbers": atoms.numbers,
                "positions": np.round(atoms.positions, 8) + 0.0,
                "cell": np.round(atoms.cell.array, 8) + 0.0,
                "pbc": atoms.pbc,
                "frozen": np.flatnonzero(frozen),
                **choices,
            }
        )
    )


def save_state(path: Path, state: RelaxState, *, owner: str) -> None:
    """Write the state in one step; ``owner`` is the :func:`fingerprint` of the relaxation."""
    stream = io.BytesIO()
    velocities = np.zeros(0) if state.velocities is None else state.velocities
    numbers = {name: np.array(getattr(state, name)) for name in _NUMBERS}
    np.savez(stream, fingerprint=np.array(owner), coordinates=state.coordinates, velocities=velocities, **numbers)  # type: ignore[arg-type]
    write_bytes(path, stream.getvalue(), force=True)


def load_state(path: Path, *, owner: str, shape: tuple[int, ...]) -> RelaxState:
    """Read a state back.

    Raises
    ------
    DataError
        If the file is damaged or belongs to another ``owner`` or to coordinates of another ``shape``.
    """
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as content:
            found = {key: content[key] for key in content.files}
        whose = str(found["fingerprint"])
        coordinates, velocities = found["coordinates"].astype(float), found["velocities"].astype(float)
        dt, mixing, downhill, steps = (found[name].item() for name in _NUMBERS)
        sound = bool(np.isfinite(coordinates).all() and np.isfinite(velocities).all())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise DataError(f"{path} is damaged ({error}); remove it to start the relaxation again") from error
    if whose != owner or coordinates.shape != shape:
        raise DataError(f"{path} belongs to another start or other settings; remove it or choose another output name")
    if not sound or velocities.size not in (0, coordinates.size):
        raise DataError(f"{path} is damaged (not numbers); remove it to start the relaxation again")
    return RelaxState(
        coordinates, velocities if velocities.size else None, float(dt), float(mixing), int(downhill), int(steps)
    )
