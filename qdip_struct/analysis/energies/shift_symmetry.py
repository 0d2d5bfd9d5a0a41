"""Which lateral shifts of a film on a substrate are equal, and by how much a film is shifted, from the structures.

Shifts are moves in fractions of the common lateral cell. Shifts s and R·s + t are equal when both slabs have an
operation with the in-plane rotation R and t is the difference of its translations (substrate minus film).
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import MismatchError

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]
Operation = tuple[Array, Array]
"""In-plane rotation (2, 2) on fractional columns, and translation (2,) in fractions."""

SAME_SHIFT = 1e-3
"""Shifts closer than this fraction of the cell are one."""

DISPLACED = 0.06
"""Atoms of one slab that move among themselves by more than this fraction of the cell make it another slab."""


def shift_operations(film: "Atoms", substrate: "Atoms", *, symprec: float = 1e-2) -> list[Operation]:
    """Operations that take a shift of the film to an equal one, from the two slabs in the common cell.

    A shift here is the film's move from where it stands in ``film``; the lateral cell is that of the first two lattice
    vectors. Pure translations of either slab are among them.
    """
    film_operations, substrate_operations = (_in_plane(atoms, symprec=symprec) for atoms in (film, substrate))
    found: dict[tuple[float, ...], Operation] = {}
    for key, moves in substrate_operations.items():
        for above in film_operations.get(key, ()):
            for below in moves:
                move = below - above
                move = np.round(move - np.floor(move + 1e-5), 5) + 0.0
                found.setdefault((*key, *move), (np.array(key, dtype=float).reshape(2, 2), move))
    return [found[key] for key in sorted(found)]


def _in_plane(atoms: "Atoms", *, symprec: float) -> dict[tuple[int, ...], list[Array]]:
    """In-plane rotations of a slab with all their translations, in fractions of the lateral cell."""
    import spglib

    cell = atoms.cell[:]
    scaled = np.linalg.solve(cell.T, atoms.positions.T).T
    found = spglib.get_symmetry((cell, scaled, atoms.numbers), symprec=symprec)
    operations: dict[tuple[int, ...], list[Array]] = {(1, 0, 0, 1): [np.zeros(2)]}
    if found is None:
        return operations
    for rotation, move in zip(found["rotations"], found["translations"], strict=True):
        upright = rotation[2, 2] == 1 and not rotation[2, :2].any() and not rotation[:2, 2].any()
        if upright and abs(move[2] - np.rint(move[2])) < 1e-3:
            key = tuple(int(value) for value in rotation[:2, :2].ravel())
            moves = operations.setdefault(key, [])
            if all(shift_distance(move[:2], other) > SAME_SHIFT for other in moves):
                moves.append(move[:2])
    return operations


def film_shift(interface: "Atoms", reference: "Atoms") -> tuple[float, float]:
    """Lateral move of the film in ``interface`` against its place in ``reference``, in fractions of the lateral cell.

    Both are cells of one film and one substrate with the array ``region``; the substrate's own move is subtracted.
    Where the array ``formal_charge`` is there, only cations of charge two or more count: molecules may have turned.

    Raises
    ------
    MismatchError
        If the atoms have no regions, are not the same, or are displaced among themselves.
    """
    moves = {}
    for part in ("film", "substrate"):
        one, two = (_counted(atoms, part) for atoms in (interface, reference))
        if not len(one) or one.get_chemical_symbols() != two.get_chemical_symbols():
            raise MismatchError(f"the {part} is not the same in both structures")
        delta = (one.positions[:, :2] - two.positions[:, :2]) @ np.linalg.inv(reference.cell[:2, :2])
        rest = delta - delta[0]
        rest -= np.rint(rest)
        middle = rest.mean(axis=0)
        if np.abs(rest - middle).max() > DISPLACED:
            raise MismatchError(f"the {part} is not merely shifted between both structures")
        moves[part] = delta[0] + middle
    shift = moves["film"] - moves["substrate"]
    shift = np.round(shift - np.floor(shift + 1e-6), 6) + 0.0
    return float(shift[0]), float(shift[1])


def _counted(atoms: "Atoms", part: str) -> "Atoms":
    if "region" not in atoms.arrays:
        raise MismatchError("the structures name no regions (film, substrate): their registry is not known")
    chosen = atoms[atoms.arrays["region"] == part]
    charges = chosen.arrays.get("formal_charge")
    return chosen[charges >= 2] if charges is not None and (charges >= 2).any() else chosen


def shift_distance(first: Array, second: Array) -> float:
    """Largest component of the shortest difference of two shifts, images included."""
    delta = first - second
    return float(np.abs(delta - np.rint(delta)).max())


def metal_shift(atoms: "Atoms") -> tuple[float, float]:
    """Shift of the film's lowest metal from the substrate's highest, in fractions of the lateral cell; (0, 0) unknown.

    Metals are cations of charge two or more; where the film stands over the substrate they are their B sites.
    """
    charges = atoms.arrays.get("formal_charge")
    if charges is None:
        return 0.0, 0.0
    regions = atoms.arrays["region"]
    film = np.flatnonzero((regions == "film") & (charges >= 2))
    substrate = np.flatnonzero((regions == "substrate") & (charges >= 2))
    if not len(film) or not len(substrate):
        return 0.0, 0.0
    heights = atoms.positions[:, 2].round(2)
    above = film[np.lexsort((atoms.positions[film, 0].round(3), atoms.positions[film, 1].round(3), heights[film]))[0]]
    below = substrate[
        np.lexsort(
            (atoms.positions[substrate, 0].round(3), atoms.positions[substrate, 1].round(3), -heights[substrate])
        )[0]
    ]
    delta = (atoms.positions[above, :2] - atoms.positions[below, :2]) @ np.linalg.inv(atoms.cell[:2, :2])
    delta = np.round(delta - np.floor(delta + 1e-4), 6) + 0.0
    return float(delta[0]), float(delta[1])
