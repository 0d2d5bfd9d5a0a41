"""How a relaxation starts: the dot at its own lattice, the dot alone, which atoms stay where they are, the rattle."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.cp2k.inputs.constraints import lowest_layers
from qdip_struct.cp2k.inputs.decisions import look_at

if TYPE_CHECKING:
    from ase import Atoms

CellMode = Literal["fixed", "normal", "free"]
"""What of the cell relaxes: nothing; its height over the fixed lateral vectors a and b; all six strain components."""

STRAIN_MASKS: dict[str, tuple[bool, ...]] = {
    "fixed": (False,) * 6,
    "normal": (False, False, True, False, False, False),
    "free": (True,) * 6,
}
"""Free strain components of each cell mode, Voigt order xx yy zz yz xz xy."""

_OWN_CELL = (None, "single", "dot", "embedded", "film_bulk_free", "substrate_bulk_free", "reservoir")
"""Roles whose lateral cell is shared with no other run."""


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
        See :data:`CellMode`.
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
    if cell == "free" and role not in _OWN_CELL:
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
