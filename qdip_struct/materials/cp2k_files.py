"""CP2K's own files as structures: inputs, restart files, and frames of a trajectory with the cell of their run.

``PROJECT-pos-1.xyz`` holds no cell; that stands in ``PROJECT-1.cell``, in ``PROJECT-1.restart`` or in the input beside
it. A file is taken for the run's own only where it has the same atoms, and its cell only where it is that of the frame.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.base.cp2k_input import MOST_CHARACTERS, Expanded, Section, expand_input, find_section, words_of
from qdip_struct.base.errors import DataError
from qdip_struct.base.files import read_text
from qdip_struct.materials.cif import READER_ERRORS
from qdip_struct.materials.cp2k_structure import (
    BOHR_ANGSTROM,
    DeckStructure,
    fixed_ranges,
    force_eval,
    last_cell,
    nine_numbers,
    read_deck,
)

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

_DECK = re.compile(r".+\.(inp|restart(\.bak-\d+)?)$", re.IGNORECASE)
_FRAMES = re.compile(r"(?P<project>.+)-pos-(?P<number>\d+)\.xyz$")
_SAME_PLACE_ANGSTROM = 1e-5
_MOST_INPUTS = 200
"""Inputs in one folder that are looked through for the one of a trajectory."""
_DYNAMICS = ("MD", "MOLECULAR_DYNAMICS")
_FIXED_CELL = ("NVE", "NVT", "NVT_ADIABATIC", "LANGEVIN", "ISOKIN", "REFTRAJ")
_OTHER_CONSTRAINTS = ("COLLECTIVE", "G3X3", "G4X6", "HBONDS", "VIRTUAL_SITE")
_FIXED_OTHERWISE = ("MOLNAME", "MM_SUBSYS", "QM_SUBSYS")


def is_deck(path: Path) -> bool:
    """Whether a file has the name of a CP2K input or restart file: ``.inp``, ``.restart``, ``.restart.bak-1``."""
    return _DECK.fullmatch(path.name) is not None


def deck_atoms(path: Path) -> tuple["Atoms", list[str]]:
    """The structure that CP2K would start from with an input or restart file, and what is to be said of it.

    Velocities, starting moments of the kinds and held atoms come along as ASE has them; ghosts are atoms with the array
    ``ghost`` set.

    Parameters
    ----------
    path
        The file; files that it names are looked for in its folder.

    Raises
    ------
    DataError
        If it cannot be read, CP2K would refuse it, or an atom is no element.
    """
    expanded = _expanded(path)
    deck = _deck(expanded, path)
    atoms = _as_atoms(deck, expanded.tree, path)
    return atoms, [f"{path.name}: {sentence}" for sentence in _remarks(deck, expanded)]


def _expanded(path: Path) -> Expanded:
    if path.stat().st_size > MOST_CHARACTERS:
        raise DataError(f"{path} is longer than {MOST_CHARACTERS // 2**20} MiB: no input for CP2K, or not for here")
    return expand_input(read_text(path), source=str(path), folder=path.parent)


def _deck(expanded: Expanded, path: Path) -> DeckStructure:
    try:
        deck = read_deck(expanded.tree, folder=path.parent)
    except DataError as error:
        unread = f" ({', '.join(expanded.unread)} is outside its folder and not read)" if expanded.unread else ""
        raise DataError(f"{path}: {error}{unread}") from error
    assert deck is not None
    if "X" in deck.elements:
        raise DataError(f"{path}: atoms of the kind {deck.labels[deck.elements.index('X')]} are of no element (X)")
    return deck


def _as_atoms(deck: DeckStructure, tree: Section, path: Path) -> "Atoms":
    from ase import Atoms, units
    from ase.constraints import FixAtoms, FixCartesian

    atoms = Atoms(deck.elements, positions=deck.positions, cell=deck.cell, pbc=deck.pbc)
    ghosts = np.array(deck.of_atoms(lambda kind: kind.ghost, default=False), dtype=bool)
    if ghosts.any():
        atoms.set_array("ghost", ghosts)
    moments = np.array(deck.of_atoms(lambda kind: kind.magnetization, default=0.0), dtype=float)
    if moments.any():
        atoms.set_initial_magnetic_moments(moments)
    if deck.velocities is not None and deck.velocities.any():
        atoms.set_velocities(deck.velocities * (BOHR_ANGSTROM / units.AUT))
    held = _held(tree, n_atoms=len(atoms), path=path)
    constraints: list[Any] = []
    for pattern in np.unique(held[held.any(axis=1)], axis=0):
        indices = np.flatnonzero((held == pattern).all(axis=1))
        constraints.append(FixAtoms(indices) if pattern.all() else FixCartesian(indices, mask=pattern))
    atoms.set_constraint(constraints)
    return atoms


def _held(tree: Section, *, n_atoms: int, path: Path) -> "NDArray[np.bool_]":
    """(n, 3) directions in which the atoms are held."""
    held = np.zeros((n_atoms, 3), dtype=bool)
    topology = find_section(force_eval(tree), "SUBSYS/TOPOLOGY")
    formats = [k for name in ("COORD_FILE_FORMAT", "COORDINATE") for k in (topology.keywords(name) if topology else [])]
    if fixed_ranges(tree) and any(keyword.value.strip().upper() == "CIF" for keyword in formats):
        raise DataError(f"{path}: FIXED_ATOMS counts atoms in CP2K's order, and those of a CIF are not read in it")
    for first, last, components in fixed_ranges(tree):
        if not 1 <= first <= last <= n_atoms:
            raise DataError(f"{path}: FIXED_ATOMS names atoms {first} to {last}, and there are {n_atoms}")
        held[first - 1 : last] |= ["X" in components, "Y" in components, "Z" in components]
    return held


def _remarks(deck: DeckStructure, expanded: Expanded) -> list[str]:
    """What stands in an input and does not come along with its atoms."""
    tree = expanded.tree
    said = [f"{name} lies outside its folder and is not read" for name in expanded.unread]
    said += [f"line {line} is left out, as CP2K does with an '@' in a line" for line, _ in expanded.dropped]
    several = len(tree.sections("FORCE_EVAL"))
    if several > 1:
        said.append(f"the structure of one of its {several} FORCE_EVALs is taken, the main one")
    ghosts = Counter(
        label
        for label, ghost in zip(deck.labels, deck.of_atoms(lambda k: k.ghost, default=False), strict=True)
        if ghost
    )
    if ghosts:
        shown = ", ".join(f"{count} {label}" for label, count in ghosts.items())
        said.append(f"ghosts ({shown}) carry basis functions only and count as no atoms")
    named = {
        label: element
        for label, element in zip(deck.labels, deck.elements, strict=True)
        if label.upper() != element.upper() and label not in ghosts
    }
    if named:
        shown = ", ".join(f"{label} as {element}" for label, element in sorted(named.items())[:6])
        said.append(f"kinds are read as their elements: {shown}{', ...' if len(named) > 6 else ''}")
    place = force_eval(tree)
    dft = find_section(place, "DFT")
    settings = [
        f"{name} {keyword.value}"
        for name in ("CHARGE", "MULTIPLICITY")
        for keyword in (dft.keywords(name) if dft is not None else [])
    ]
    if settings:
        said.append(f"{' and '.join(settings)} are settings of the run and do not come along with its atoms")
    subsys = find_section(place, "SUBSYS")
    left = [name for name in ("SHELL_COORD", "CORE_COORD") if subsys is not None and subsys.sections(name)]
    constraint = find_section(tree, "MOTION/CONSTRAINT")
    if constraint is not None:
        left += [name for name in _OTHER_CONSTRAINTS if constraint.sections(name)]
        for section in constraint.sections("FIXED_ATOMS"):
            left += [f"FIXED_ATOMS/{name}" for name in _FIXED_OTHERWISE if section.keywords(name)]
            left += ["restrained FIXED_ATOMS"] if section.sections("RESTRAINT") else []
    if left:
        said.append(f"{', '.join(dict.fromkeys(left))} do not come along")
    restart = find_section(tree, "EXT_RESTART")
    files = [word for k in (restart.keywords("RESTART_FILE_NAME") if restart else []) for word in words_of(k.value)]
    if files:
        said.append(f"its run goes on from {files[0]}; taken is what stands in the file itself")
    return said


def with_cell_of_run(atoms: "Atoms", path: Path) -> list[str]:
    """Give a frame of ``PROJECT-pos-1.xyz`` the cell of its run, from the files beside it, and say from which.

    Parameters
    ----------
    atoms
        The frame; it gets cell and periodic directions where a file of its run holds them, else stays as it is.
    path
        The trajectory.

    Raises
    ------
    DataError
        If several inputs may be those of the run, one has other atoms, or its cell is not that of the frame.
    """
    match = _FRAMES.fullmatch(path.name)
    if match is None or atoms.cell.any():
        return []
    stem = f"{match['project']}-{match['number']}"
    restart, cells = path.with_name(f"{stem}.restart"), path.with_name(f"{stem}.cell")
    source = restart if restart.is_file() else _input_of(path, match["project"])
    deck, expanded = None, None
    if source is not None:
        expanded = _expanded(source)
        deck = _deck(expanded, source)
        _refuse_other_atoms(atoms, deck.elements, path=path, source=source)
    taken = source
    if (
        deck is not None
        and expanded is not None
        and source is not None
        and (not _moves_cell(expanded.tree) or (source == restart and _is_of_frame(deck, expanded.tree, atoms)))
    ):
        atoms.cell, atoms.pbc = deck.cell, deck.pbc
    elif cells.is_file():
        atoms.cell = _cell_at(cells, atoms, path=path)
        atoms.pbc = True if deck is None else deck.pbc
        taken = cells
    elif source is None:
        return []
    else:
        raise DataError(
            f"{path}: its run changes the cell, and {source.name} does not hold that of the last frame; put "
            f"{cells.name} beside it, give --cell, or take the frames that 'qdip collect --trajectories' writes"
        )
    assert taken is not None
    return [f"{path.name} holds no cell; that of its run is taken from {taken.name}"]


def _is_of_frame(deck: DeckStructure, tree: Section, atoms: "Atoms") -> bool:
    """Whether a restart file was written at a frame: its places are the same, and its step is not another."""
    if np.abs(deck.positions - atoms.positions).max() > _SAME_PLACE_ANGSTROM:
        return False
    sections = [find_section(tree, f"MOTION/{name}") for name in ("CELL_OPT", "MD")]
    starts = [k.value for section in sections if section is not None for k in section.keywords("STEP_START_VAL")]
    step = atoms.info.get("i")
    if not isinstance(step, np.integer | int):
        return step is None
    # The converged state is written once more, as one frame further.
    return any(str(step - further) in starts for further in (0, 1))


def _input_of(path: Path, project: str) -> Path | None:
    """The input beside a trajectory whose ``GLOBAL/PROJECT`` is that of its name.

    Raises
    ------
    DataError
        If there are several.
    """
    found = []
    for file in sorted(path.parent.glob("*.inp"))[:_MOST_INPUTS]:
        try:
            if file.is_file() and project in read_text(file) and _project(_expanded(file).tree) == project:
                found.append(file)
        except DataError:
            continue
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise DataError(f"{path} holds no cell, and several inputs may be those of its run ({names}); give --cell")
    return found[0] if found else None


def _project(tree: Section) -> str:
    section = find_section(tree, "GLOBAL")
    names = [k.value for name in ("PROJECT", "PROJECT_NAME") for k in (section.keywords(name) if section else [])]
    return words_of(names[0])[0] if names and words_of(names[0]) else "PROJECT"


def _refuse_other_atoms(atoms: "Atoms", elements: Sequence[str], *, path: Path, source: Path) -> None:
    symbols = atoms.get_chemical_symbols()
    if symbols == list(elements):
        return
    if len(symbols) != len(elements):
        what = f"{len(symbols)} atoms, {source.name} has {len(elements)}"
    else:
        first = next(n for n, (one, two) in enumerate(zip(symbols, elements, strict=True)) if one != two)
        what = f"{symbols[first]} as atom {first + 1}, {source.name} has {elements[first]}"
    raise DataError(f"{path} has {what}: they are not of one run, and its cell is not taken from there; give --cell")


def _moves_cell(tree: Section) -> bool:
    """Whether a run changes its cell: an optimisation of the cell, or molecular dynamics at constant pressure."""
    section = find_section(tree, "GLOBAL")
    dynamics = find_section(tree, "MOTION/MD")
    run_type, ensemble = (
        next((words_of(k.value)[0].upper() for k in (place.keywords(name) if place else []) if words_of(k.value)), "")
        for place, name in ((section, "RUN_TYPE"), (dynamics, "ENSEMBLE"))
    )
    return run_type == "CELL_OPT" or (run_type in _DYNAMICS and bool(ensemble) and ensemble not in _FIXED_CELL)


def _cell_at(cells: Path, atoms: "Atoms", *, path: Path) -> "NDArray[np.float64]":
    """The cell of a frame in a ``.cell`` file, by its step, Å; the last one where the frame says no step."""
    step = atoms.info.get("i")
    if step is None:
        return last_cell(cells)
    if cells.stat().st_size > MOST_CHARACTERS:
        raise DataError(f"{cells} is longer than {MOST_CHARACTERS // 2**20} MiB: too long for here")
    rows = [line.split() for line in read_text(cells).splitlines() if line.strip() and line.lstrip()[0] not in "#!"]
    fitting = [row for row in rows if row[0] == str(step)]
    if not fitting and rows and isinstance(step, np.integer | int) and rows[-1][0] == str(step - 1):
        # The converged state of an optimisation is written once more as a frame, not as a cell.
        fitting = rows[-1:] if _as_the_frame_before(atoms, path) else []
    if not fitting:
        raise DataError(f"{cells} holds no cell of step {step}, the last of {path.name}; give --cell")
    return nine_numbers(fitting[-1][2:11], cells)


def _as_the_frame_before(atoms: "Atoms", path: Path) -> bool:
    from ase.io import read

    try:
        before = read(path, index=-2, do_not_split_by_at_sign=True)
    except READER_ERRORS:
        return False
    return len(before) == len(atoms) and np.abs(before.positions - atoms.positions).max() < _SAME_PLACE_ANGSTROM
