"""Where an orbital lives: shares of |ψ|² by region, from orbital cubes (CP2K's ``MO_CUBES``).

Every grid point belongs to the nearest atom, across periodic borders too: a Voronoi partition, without the overlap
populations that make projections on atoms depend on the basis set. The cubes of one run folder become levels where
their energies were printed, so that gap and edges can be told without a PDOS.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qdip_struct.analysis.electrons.levels import DEGENERATE_EV, Channel, Edge, highest_occupied, lowest_empty
from qdip_struct.base.errors import DataError, MismatchError, UsageError
from qdip_struct.cp2k.outputs.cube import Cube, check_cell, read_cube
from qdip_struct.cp2k.outputs.pdos import PrintedOrbitals, read_orbital_energies
from qdip_struct.cp2k.outputs.trajectory import side_files
from qdip_struct.runs.rundir import STRUCTURE

if TYPE_CHECKING:
    from qdip_struct.cp2k.outputs.cube import Cube
    from qdip_struct.cp2k.outputs.run import Run

NORM_TOLERANCE = 0.02
"""Largest |∫|ψ|² dV − 1| of an orbital whose shares mean something; more says that the grid is too coarse."""

_NAME = re.compile(r"WFN_(\d+)_(\d)")
_MARGIN_ANGSTROM = 12.0
_CHUNK = 200_000


@dataclass(frozen=True)
class Orbital:
    """Where one orbital lives.

    Attributes
    ----------
    norm
        ∫|ψ|² dV on the grid; 1 but for its fineness.
    shares
        Part of |ψ|² in each region; they add up to 1.
    """

    norm: float
    shares: dict[str, float]

    @property
    def home(self) -> str | None:
        """The group with at least half of the weight."""
        name = max(self.shares, key=lambda key: (self.shares[key], key))
        return name if self.shares[name] >= 0.5 else None


def orbital_of(cube: Cube, *, labels: Sequence[str], nearest: np.ndarray | None = None) -> Orbital:
    """∫_region |ψ|² dV / ∫ |ψ|² dV for each label.

    Parameters
    ----------
    cube
        One orbital, bohr^-3/2.
    labels
        (n,) region of each atom of the cube.
    nearest
        What :func:`nearest_atoms` gives for this grid and these atoms, when it is known already.

    Raises
    ------
    UsageError
        If the labels do not fit the atoms.
    DataError
        If the cube holds a density or potential, no atoms, or its norm is more than 2 % from 1.
    """
    names = np.asarray(labels, dtype=str)
    if names.shape != (len(cube.atoms),) or not len(names):
        raise UsageError(f"{names.size} labels for the {len(cube.atoms)} atoms of {cube.path}")
    if any(word in cube.title.upper() for word in ("DENSITY", "POTENTIAL", "HARTREE")):
        raise DataError(f"{cube.path} holds '{cube.title}'; expected an orbital")
    weights = (cube.values**2).ravel()
    norm = float(weights.sum()) * cube.voxel_bohr3
    if abs(norm - 1) > NORM_TOLERANCE:
        raise DataError(
            f"{cube.path}: the norm of the orbital on this grid is {norm:.4f}, not 1; print it with a smaller STRIDE"
        )
    owner = nearest_atoms(cube) if nearest is None else nearest
    groups = sorted(set(names.tolist()))
    code = np.searchsorted(groups, names)
    sums = np.bincount(code[owner], weights=weights, minlength=len(groups))
    return Orbital(norm, dict(zip(groups, (sums / sums.sum()).tolist(), strict=True)))


def orbital_name(quantity: str, *, n_occupied: Sequence[int]) -> tuple[int, int, str] | None:
    """Index, spin channel (1 or 2) and name of an orbital cube: ``WFN_00029_1`` → (29, 1, "HOMO") for 29 occupied.

    Parameters
    ----------
    quantity
        The middle of CP2K's file name.
    n_occupied
        Occupied orbitals of each spin channel; one number for both when there is one.
    """
    found = _NAME.fullmatch(quantity)
    if found is None:
        return None
    index, spin = int(found[1]), int(found[2])
    if not 1 <= spin <= max(len(n_occupied), 1):
        return None
    distance = index - n_occupied[spin - 1]
    if distance <= 0:
        return index, spin, "HOMO" if distance == 0 else f"HOMO{distance}"
    return index, spin, "LUMO" if distance == 1 else f"LUMO+{distance - 1}"


def nearest_atoms(cube: Cube) -> np.ndarray:
    """Index of the atom nearest to each grid point, (i·j·k,) in C order, periodic images included."""
    from scipy.spatial import cKDTree

    cell = cube.cell
    inverse = np.linalg.inv(cell)
    fractions = cube.atoms.positions @ inverse
    fractions -= np.floor(fractions)
    shifts = np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    every = (fractions[None] + shifts[:, None]).reshape(-1, 3)
    owner = np.tile(np.arange(len(fractions)), len(shifts))
    margin = _MARGIN_ANGSTROM * np.linalg.norm(inverse, axis=0)
    near = ((every > -margin) & (every < 1 + margin)).all(axis=1)
    tree = cKDTree(every[near] @ cell)
    shape = cube.values.shape
    start = cube.origin @ inverse
    found = np.empty(int(np.prod(shape)), dtype=np.int64)
    for first in range(0, len(found), _CHUNK):
        numbers = np.arange(first, min(first + _CHUNK, len(found)))
        grid = np.stack(np.unravel_index(numbers, shape), axis=1) / np.array(shape) + start
        grid -= np.floor(grid)
        found[numbers] = owner[near][tree.query(grid @ cell)[1]]
    return found


_SPINS = {1: "ALPHA", 2: "BETA"}


@dataclass(frozen=True, eq=False)
class OrbitalLevels:
    """What orbital cubes say about HOMO and LUMO.

    Attributes
    ----------
    channels
        Levels with the weights of their cubes; empty unless every energy was printed.
    homo, lumo
        The edges; an energy that was not printed is NaN.
    gap_ev, fermi_ev
        As printed, eV; ``None`` when they were not.
    notes
        What could not be known.
    """

    channels: tuple[Channel, ...]
    homo: Edge | None
    lumo: Edge | None
    gap_ev: float | None
    fermi_ev: float | None
    notes: tuple[str, ...]


def orbital_document(folder: Path, run: "Run") -> list[dict[str, Any]]:
    """Shares by region of every orbital cube of a run, from the lowest up; empty when it wrote none.

    Regions are those of the folder's structure, else its phases; without either every element is a region.

    Raises
    ------
    DataError
        If a cube is damaged, or the output does not say how many orbitals are occupied.
    MismatchError
        If a cube is not the run's.
    """
    cubes = {name: path for name, path in side_files(run).cubes.items() if name.startswith("WFN_")}
    if not cubes:
        return []
    printed = read_orbital_energies(run)
    n_occupied = [channel.n_occupied for channel in printed.channels]
    found = []
    first: Cube | None = None
    labels: list[str] = []
    for quantity, path in sorted(cubes.items()):
        named = orbital_name(quantity, n_occupied=n_occupied)
        if named is None:
            continue
        cube = read_cube(path)
        if run.cell is not None:
            check_cell(cube, cell=run.cell)
        if first is None or cube.values.shape != first.values.shape or (cube.origin != first.origin).any():
            first, labels = cube, _labels(folder, cube)
            nearest = nearest_atoms(cube)
        orbital = orbital_of(cube, labels=labels, nearest=nearest)
        found.append(
            {
                "name": named[2],
                "index": named[0],
                "spin": _SPINS[named[1]] if len(n_occupied) == 2 else None,
                "energy_ev": printed.channels[named[1] - 1].energy_of(named[0]),
                "shares": orbital.shares,
                "home": orbital.home,
                "norm": orbital.norm,
            }
        )
    return sorted(found, key=lambda item: (item["spin"] or "", item["index"]))


def orbital_levels(run: "Run", orbitals: Sequence[dict[str, Any]]) -> OrbitalLevels:
    """HOMO and LUMO from orbital cubes, with energies and gap where the output prints them.

    Parameters
    ----------
    run
        The run as read.
    orbitals
        From :func:`orbital_document`, at least one.
    """
    printed = read_orbital_energies(run)
    fermi, gap = printed.fermi_ev, run.gap_ev
    known = [item for item in orbitals if item["energy_ev"] is not None]
    notes: list[str] = []
    channels: tuple[Channel, ...] = ()
    if known:
        channels = _channels(known, fermi_ev=np.nan if fermi is None else fermi)
        homo, lumo = (
            _true_edge(highest_occupied(channels), printed, "HOMO"),
            _true_edge(lowest_empty(channels), printed, "LUMO"),
        )
        notes += [
            f"the run wrote no cube of its {name}" for name, edge in (("HOMO", homo), ("LUMO", lumo)) if edge is None
        ]
        notes += _missing_partners(printed, homo)
        if gap is None and homo is not None and lumo is not None:
            gap = lumo.energy_ev - homo.energy_ev
    else:
        notes.append("CP2K printed no orbital energies: those of HOMO and LUMO are not known")
        (homo, no_homo), (lumo, no_lumo) = (_only(orbitals, name) for name in ("HOMO", "LUMO"))
        notes += [note for note in (no_homo, no_lumo) if note]
    if gap is None:
        notes.append("CP2K printed no gap; ask for it with 'qdip inputs --print gap'")
    return OrbitalLevels(channels, homo, lumo, gap, fermi, tuple(notes))


def _labels(folder: Path, cube: "Cube") -> list[str]:
    """Region of each atom of the cube."""
    elements: list[str] = cube.atoms.get_chemical_symbols()
    file = folder / STRUCTURE
    if not file.is_file():
        return elements
    from qdip_struct.materials.structure_files import read_structure

    atoms = read_structure(file)
    if len(cube.atoms) != len(atoms) or (cube.atoms.numbers != atoms.numbers).any():
        raise MismatchError(f"{cube.path} holds other atoms than {file}")
    key = next((name for name in ("region", "phase") if name in atoms.arrays), None)
    return elements if key is None else atoms.arrays[key].astype(str).tolist()


def _channels(orbitals: Sequence[dict[str, Any]], *, fermi_ev: float) -> tuple[Channel, ...]:
    """Levels of each spin; all cubes of a run have the same regions."""
    found = []
    for spin in sorted({item["spin"] for item in orbitals}, key=str):
        chosen = sorted((item for item in orbitals if item["spin"] == spin), key=lambda item: item["index"])
        full = 2.0 if spin is None else 1.0
        groups = tuple(chosen[0]["shares"])
        found.append(
            Channel(
                spin=spin,
                fermi_ev=fermi_ev,
                energies_ev=np.array([item["energy_ev"] for item in chosen]),
                occupations=np.array([full if item["name"].startswith("HOMO") else 0.0 for item in chosen]),
                groups=groups,
                weights=np.array([[item["shares"][group] for group in groups] for item in chosen]),
                parts=(),
            )
        )
    return tuple(found)


def _true_edge(edge: Edge | None, printed: PrintedOrbitals, name: Literal["HOMO", "LUMO"]) -> Edge | None:
    """The edge, unless the output lists a level beyond it that has no cube."""
    if edge is None:
        return None
    if name == "HOMO":
        beyond = max(float(c.occupied_ev[-1]) for c in printed.channels if c.occupied_ev is not None and c.n_occupied)
        return edge if edge.energy_ev >= beyond - DEGENERATE_EV else None
    beyond = min(float(c.empty_ev[0]) for c in printed.channels if len(c.empty_ev))
    return edge if edge.energy_ev <= beyond + DEGENERATE_EV else None


def _only(orbitals: Sequence[dict[str, Any]], name: str) -> tuple[Edge | None, str]:
    """The HOMO or LUMO by its number alone, or why not: without energies two spin channels have no common order."""
    found = [item for item in orbitals if item["name"] == name]
    if len(found) != 1:
        reason = "no cube of it" if not found else "one for each spin and no energies to order them"
        return None, f"the {name} of the run is not known: {reason}"
    return Edge(np.nan, found[0]["spin"], 1, dict(found[0]["shares"])), ""


def _missing_partners(printed: PrintedOrbitals, homo: Edge | None) -> list[str]:
    """A remark when the HOMO belongs to a degenerate set of which not every level has a cube."""
    if homo is None:
        return []
    channel = printed.channels[1 if homo.spin == "BETA" else 0]
    if channel.occupied_ev is None:
        return []
    wanted = int((np.abs(channel.occupied_ev - channel.occupied_ev[-1]) <= DEGENERATE_EV).sum())
    if wanted <= homo.n_levels:
        return []
    return [
        f"the HOMO is one of {wanted} levels within {DEGENERATE_EV:g} eV, of which {homo.n_levels} has a cube: its "
        f"shares depend on the choice; print all with --set FORCE_EVAL/DFT/PRINT/MO_CUBES/NHOMO={wanted}"
    ]
