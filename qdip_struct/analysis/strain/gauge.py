"""Long lines of cations: the length of a row of n spacings, and the lattice constant that it gives.

The gauge of Ning et al., Nature 523, 324 (2015), Extended Data Fig. 7: a row of lead ions through the dot, 23.949 Å
over four spacings in the free dot and 24.069 Å in the embedded one, is a strain of +0.501 %. A row is followed from
neighbour to neighbour, across periodic faces too; a row that closes on itself is opened where it enters the cell.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.strain.site_grid import completed_cell
from qdip_struct.analysis.strain.strain import StrainMap
from qdip_struct.base.arrays import Floats
from qdip_struct.base.errors import UsageError

if TYPE_CHECKING:
    from ase import Atoms

_PARALLEL, _NEARLY_PARALLEL = 1e-9, 5e-4
"""1 − cos of the angle up to which a step points along a direction; of a distorted cube 1.8°."""
AXES: dict[str, tuple[float, float, float]] = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


@dataclass(frozen=True)
class Line:
    """Rows of cations of one phase along one direction; lengths in Å.

    Attributes
    ----------
    phase, direction
        What was measured; the direction is in the axes that strain refers to.
    n_spacings
        Spacings of the longest rows (one less than the cations in a row).
    length_angstrom
        End-to-end distance of the longest row nearest to the centre of the phase (mean of equally near ones).
    lattice_angstrom
        The lattice constant which that length stands for.
    n_rows
        Number of rows of that many spacings.
    mean_lattice_angstrom, std_lattice_angstrom
        Over all of these rows.
    strain
        ``lattice_angstrom`` against the reference, engineering.
    """

    phase: str
    direction: tuple[float, float, float]
    n_spacings: int
    length_angstrom: float
    lattice_angstrom: float
    n_rows: int
    mean_lattice_angstrom: float
    std_lattice_angstrom: float
    strain: float


def parse_directions(text: str) -> list[tuple[float, float, float]]:
    """Directions from "x,y,z" (any of the axes) or one vector "1,1,0".

    Raises
    ------
    UsageError
        If it is neither.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words and all(word in AXES for word in words):
        return [AXES[word] for word in words]
    try:
        x, y, z = (float(word) for word in words)
    except ValueError as error:
        raise UsageError(f"a line is along x, y, z or a direction such as 1,1,0; not '{text}'") from error
    if not (np.isfinite([x, y, z]).all() and any((x, y, z))):
        raise UsageError(f"a line needs a direction that is not zero, not '{text}'")
    return [(x, y, z)]


def lines(
    atoms: "Atoms", strain: StrainMap, *, directions: Sequence[Sequence[float]] = tuple(AXES.values())
) -> list[Line]:
    """Longest rows of every phase along each direction.

    Parameters
    ----------
    atoms
        The structure that ``strain`` was made from; positions in Å.
    strain
        Its map, which knows the neighbours.
    directions
        Directions in the axes that strain refers to. Phases in which no step of at most three neighbour vectors points
        that way, and wurtzite, have no line there.
    """
    found = []
    for phase in dict.fromkeys(strain.phase.tolist()):
        reference = strain.references[phase]
        if len(reference.variants) > 1:
            continue
        rows = np.flatnonzero(strain.phase == phase)
        walker = _Walker(atoms, strain, rows)
        for direction in directions:
            line = walker.measure(phase, np.asarray(direction, dtype=float))
            if line is not None:
                found.append(line)
    return found


class _Walker:
    """Follows rows of cations of one phase."""

    def __init__(self, atoms: "Atoms", strain: StrainMap, rows: NDArray[np.int64]) -> None:
        phase = str(strain.phase[rows[0]])
        self.reference = strain.references[phase]
        self.turn = strain.orientations[phase]
        self.ideal = self.reference.arrays[0]
        local = np.full(len(strain.sites), -1)
        local[rows] = np.arange(len(rows))
        partners = strain.partners[rows][:, : len(self.ideal)]
        self.partners = np.where(partners >= 0, local[partners], -1)
        self.positions = atoms.positions[strain.sites[rows]]
        pbc = np.asarray(atoms.pbc, dtype=bool)
        self.cell = completed_cell(atoms.cell.array, pbc=pbc)
        self.inverse = np.linalg.inv(self.cell)
        self.pbc = pbc
        mean_rotation = np.nansum(strain.rotation[rows], axis=0)
        left, _, right = np.linalg.svd(mean_rotation) if np.isfinite(mean_rotation).all() else (np.eye(3),) * 3
        self.rotation = left @ right

    def measure(self, phase: str, direction: Floats) -> Line | None:
        unit = self.turn @ (direction / np.linalg.norm(direction))
        routes, step = self._routes(unit)
        if not routes:
            return None
        following = np.full(len(self.positions), -1)
        for route in routes:
            end = np.arange(len(self.positions))
            for slot in route:
                end = np.where(end >= 0, self.partners[end, slot], -1)
            following = np.where(following >= 0, following, end)
        jump = self._vectors(following, step)
        chains = self._chains(following, unit)
        longest = max((len(chain) for chain in chains), default=1) - 1
        if longest < 1:
            return None
        best = [chain for chain in chains if len(chain) - 1 == longest]
        lengths = np.array([np.linalg.norm(jump[chain[:-1]].sum(axis=0)) for chain in best])
        centre = self._centre()
        apart = np.array([self._from_centre(chain, jump, centre, unit) for chain in best])
        near = apart <= apart.min() + 0.1 * self.reference.lattice_angstrom
        constants = lengths / longest * self.reference.lattice_angstrom / float(np.linalg.norm(step))
        central = float(constants[near].mean())
        return Line(
            phase=phase,
            direction=(float(direction[0]), float(direction[1]), float(direction[2])),
            n_spacings=longest,
            length_angstrom=float(lengths[near].mean()),
            lattice_angstrom=central,
            n_rows=len(best),
            mean_lattice_angstrom=float(constants.mean()),
            std_lattice_angstrom=float(constants.std(ddof=1)) if len(best) > 1 else 0.0,
            strain=central / self.reference.lattice_angstrom - 1.0,
        )

    def _routes(self, unit: Floats) -> tuple[list[tuple[int, ...]], Floats]:
        """All shortest ways from a cation to the next along the direction, as neighbour slots, and that step."""
        along = _PARALLEL if self.reference.isotropic else _NEARLY_PARALLEL
        for length in (1, 2, 3):
            found: dict[tuple[int, ...], Floats] = {}
            for route in itertools.product(range(len(self.ideal)), repeat=length):
                total = self.ideal[list(route)].sum(axis=0)
                size = float(np.linalg.norm(total))
                if size > 1e-6 and float(total @ unit) > (1.0 - along) * size:
                    found[route] = total
            if found:
                shortest = min(float(np.linalg.norm(total)) for total in found.values())
                kept = {route: s for route, s in found.items() if float(np.linalg.norm(s)) < shortest + 1e-6}
                return list(kept), next(iter(kept.values()))
        return [], np.zeros(3)

    def _vectors(self, following: NDArray[np.int64], step: Floats) -> Floats:
        """Vector to the following cation, of the image nearest to the ideal step; zero where there is none."""
        apart = self.positions[following] - self.positions
        shift = np.where(self.pbc, np.rint((self.rotation @ step - apart) @ self.inverse), 0.0)
        return np.where((following >= 0)[:, None], apart + shift @ self.cell, 0.0)

    def _chains(self, following: NDArray[np.int64], unit: Floats) -> list[list[int]]:
        has_previous = np.zeros(len(following), dtype=bool)
        has_previous[following[following >= 0]] = True
        seen = np.zeros(len(following), dtype=bool)
        wrapped = self.positions @ self.inverse
        wrapped = np.where(self.pbc, wrapped - np.floor(wrapped + 1e-6), wrapped) @ self.cell
        order = np.argsort(np.round(wrapped @ unit, 6), kind="stable")
        chains = []
        for start in (*np.flatnonzero(~has_previous).tolist(), *order.tolist()):
            if seen[start]:
                continue
            chain = [start]
            seen[start] = True
            while (after := int(following[chain[-1]])) >= 0 and not seen[after]:
                chain.append(after)
                seen[after] = True
            chains.append(chain)
        return chains

    def _centre(self) -> Floats:
        """Centre of the phase, by the mean angle along periodic directions."""
        fractional = self.positions @ self.inverse
        angle = np.exp(2j * np.pi * fractional).mean(axis=0)
        circular = np.angle(angle) / (2 * np.pi)
        circular = np.where(np.abs(angle) > 1e-3, circular, 0.5)
        centre: Floats = np.where(self.pbc, circular, fractional.mean(axis=0)) @ self.cell
        return centre

    def _from_centre(self, chain: list[int], jump: Floats, centre: Floats, unit: Floats) -> float:
        """Distance of a row from the centre, across the row, nearest image."""
        path = self.positions[chain[0]] + np.vstack((np.zeros(3), np.cumsum(jump[chain[:-1]], axis=0)))
        apart = path.mean(axis=0) - centre
        apart = apart - np.where(self.pbc, np.rint(apart @ self.inverse), 0.0) @ self.cell
        return float(np.linalg.norm(apart - (apart @ unit) * unit))
