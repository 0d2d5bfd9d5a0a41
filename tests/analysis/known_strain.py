"""Structures with exactly known strain: uniform crystals and a dot in a matrix with an analytic displacement field."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms

A_DOT, A_MATRIX, STRETCH = 5.936, 6.31, 1.005


def lattice(points, n):
    """Lattice of n cells per direction (int or three), in units of the cell."""
    counts = (n, n, n) if isinstance(n, int) else n
    steps = np.stack(np.meshgrid(*[np.arange(k) for k in counts], indexing="ij"), axis=-1).reshape(-1, 1, 3)
    return (steps + np.asarray(points)).reshape(-1, 3)


FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def rock_salt(n, a=A_DOT, symbols=("Pb", "S")):
    """Rock salt, n conventional cells per direction."""
    counts = (n, n, n) if isinstance(n, int) else n
    places = np.vstack((lattice(FCC, n), lattice(FCC + np.array([0.5, 0, 0]), n))) * a
    half = len(places) // 2
    return Atoms([symbols[0]] * half + [symbols[1]] * half, positions=places, cell=np.array(counts) * a, pbc=True)


def cubic_perovskite(n, a=A_MATRIX, symbols=("Cs", "Pb", "I")):
    """Cubic perovskite, B at the corners."""
    counts = (n, n, n) if isinstance(n, int) else n
    sites = {symbols[1]: [[0, 0, 0]], symbols[2]: np.eye(3) / 2, symbols[0]: [[0.5, 0.5, 0.5]]}
    names, places = [], []
    for name, points in sites.items():
        found = lattice(points, n)
        names += [name] * len(found)
        places.append(found)
    return Atoms(names, positions=np.vstack(places) * a, cell=np.array(counts) * a, pbc=True)


@dataclass(frozen=True)
class KnownDot:
    """An embedded dot: dot Pb stretched uniformly by 0.5 %, matrix displaced by u = A r + B/r² (radial)."""

    atoms: Atoms
    undeformed: Atoms
    centre: np.ndarray
    uniform: float
    beta: float

    def truth(self, radius):
        """ε_rr and ε_θθ of the matrix at ``radius`` Å of the undeformed structure."""
        return self.uniform - 2 * self.beta / radius**3, self.uniform + self.beta / radius**3


def known_dot(n=8, diameter=30.0):
    """Dot and matrix on one parent lattice of n³ cells; labels as the builder writes them."""
    parent = cubic_perovskite(n)
    centre = np.full(3, n // 2) * A_MATRIX
    indices = lattice(np.vstack((FCC, FCC + np.array([0.5, 0, 0]))), n)
    kinds = np.tile(["Pb"] * 4 + ["S"] * 4, n**3)
    from_centre = indices - n // 2
    taken = np.linalg.norm(from_centre, axis=1) * A_MATRIX <= diameter / 2
    away = np.linalg.norm(parent.positions - centre, axis=1)
    kept = away > diameter / 2
    uniform, beta = -0.002, -0.02 * (diameter / 2) ** 3
    rest = parent.positions[kept] - centre
    r = np.linalg.norm(rest, axis=1)[:, None]
    moved = rest * (1 + uniform + beta / r**3)
    symbols = [*kinds[taken], *np.asarray(parent.get_chemical_symbols())[kept]]
    ideal = from_centre[taken] * A_DOT
    atoms = Atoms(symbols, positions=np.vstack((ideal * STRETCH, moved)) + centre, cell=parent.cell, pbc=True)
    undeformed = Atoms(symbols, positions=np.vstack((ideal, rest)) + centre, cell=parent.cell, pbc=True)
    inner = int(taken.sum())
    phase = np.array(["PbS"] * inner + ["CsPbI3"] * (len(symbols) - inner))
    for one in (atoms, undeformed):
        one.set_array("phase", phase)
        one.set_array("region", np.where(phase == "PbS", "dot   ", "matrix"))
        one.arrays["region"] = np.char.strip(one.arrays["region"])
        one.set_array("dot", np.where(phase == "PbS", 0, -1))
    return KnownDot(atoms, undeformed, centre, uniform, beta)
