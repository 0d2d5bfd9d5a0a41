"""The state of a relaxation on disk: where the atoms and the cell are, how the optimiser moves, whose state it is."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import DataError
from qdip_struct.base.files import json_text, sha256, write_bytes

if TYPE_CHECKING:
    from ase import Atoms

_NUMBERS = ("dt", "mixing", "downhill", "steps")


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
