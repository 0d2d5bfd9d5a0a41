"""The structure in a CP2K input or restart file, read as CP2K itself reads it: cell, atoms, kinds, held atoms.

Cell, coordinates, kinds, velocities and fixed atoms come from the expanded tree of
:func:`qdip_struct.base.cp2k_input.expand_input`. The rules are those of CP2K 2023.1 (``cell_methods.F``,
``atoms_input.F``, ``topology*.F``), with its constants. Lengths in Å, rows of a cell are its vectors.

Long because every way in which CP2K takes a geometry is one rule of the same reading: a cell in three forms and in
files, coordinates in a section and in files, repeated, centred, named by kinds.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.cp2k_input import (
    MOST_CHARACTERS,
    Keyword,
    Section,
    find_section,
    integer_of,
    logical_of,
    number_of,
    text_of,
    words_of,
)
from qdip_struct.base.errors import DataError, UnreadError
from qdip_struct.base.files import read_text
from qdip_struct.materials.cif import read_cif

BOHR_ANGSTROM = 0.52917720859
"""CP2K's own (CODATA 2006, ``physcon.F``); that of ASE is 4e-9 smaller."""
MOST_DECK_ATOMS = 1_000_000
_LENGTHS = {
    "BOHR": BOHR_ANGSTROM, "AU_L": BOHR_ANGSTROM, "INTERNAL_CP2K": BOHR_ANGSTROM, "ANGSTROM": 1.0, "NM": 10.0,
    "PM": 0.01, "M": 1e10,
}  # fmt: skip
_ANGLES = {"DEG": math.pi / 180.0, "RAD": 1.0}
_SMALLEST_VOLUME = 1e-10 * BOHR_ANGSTROM**3
_ORTHORHOMBIC = 1e-14 * BOHR_ANGSTROM
_EMPIRICAL = {
    "DFTB", "XTB", "MNDO", "MNDOD", "AM1", "PM3", "PM6", "PM6-FM", "PDG", "RM1", "PNNL",
}  # fmt: skip
"""Methods of Quickstep whose kinds are the elements."""
_SHOWN = 60


@dataclass(frozen=True)
class DeckKind:
    """What the geometry needs of a ``&KIND``.

    Attributes
    ----------
    name
        In capitals, as CP2K compares it.
    element
        As it is stated; ``None`` where the name of the kind says it.
    ghost
        Whether it carries basis functions only.
    magnetization
        Spin up minus spin down of the starting guess, µB.
    """

    name: str
    element: str | None
    ghost: bool
    magnetization: float


@dataclass(frozen=True)
class DeckStructure:
    """The geometry that CP2K starts from.

    Attributes
    ----------
    cell
        (3, 3) rows, Å.
    pbc
        Periodic directions of ``&CELL``.
    positions
        (n, 3) Å.
    labels
        Kind name of each atom.
    elements
        Symbol of each atom.
    kinds
        Every ``&KIND``.
    velocities
        (n, 3) bohr per atomic unit of time; ``None`` where there are none.
    """

    cell: NDArray[np.float64]
    pbc: tuple[bool, bool, bool]
    positions: NDArray[np.float64]
    labels: list[str]
    elements: list[str]
    kinds: tuple[DeckKind, ...]
    velocities: NDArray[np.float64] | None = None

    def of_atoms(self, value: Callable[[DeckKind], Any], *, default: Any) -> list[Any]:
        """What the kinds say, for each atom; ``default`` where no ``&KIND`` has its label."""
        known: dict[str, Any] = {}
        for kind in self.kinds:
            known.setdefault(kind.name, value(kind))
        general = known.get("DEFAULT", default)
        return [known.get(label.upper(), general) for label in self.labels]


def force_eval(tree: Section) -> Section:
    """The ``&FORCE_EVAL`` whose ``&SUBSYS`` holds the structure: the first in ``FORCE_EVAL_ORDER`` of several.

    Raises
    ------
    DataError
        If there is none with a ``&SUBSYS``.
    """
    found = tree.sections("FORCE_EVAL")
    if not found:
        raise DataError("the input has no FORCE_EVAL/SUBSYS")
    several = find_section(tree, "MULTIPLE_FORCE_EVALS")
    order = _integers(several, "FORCE_EVAL_ORDER") if several is not None and len(found) > 1 else []
    if len(order) == len(found) - 1:
        order = [*(set(range(1, len(found) + 1)) - set(order)), *order]
    main = order[0] if order else 1
    chosen = found[main - 1] if 1 <= main <= len(found) else found[0]
    if not chosen.sections("SUBSYS"):
        raise DataError("the input has no FORCE_EVAL/SUBSYS")
    return chosen


def read_deck(tree: Section, *, folder: Path | None) -> DeckStructure | None:
    """Cell, atoms and kinds of an input, the atoms in CP2K's order but for those of a CIF.

    Parameters
    ----------
    tree
        Expanded.
    folder
        Where the run starts: files of coordinates and of the cell are looked for there. Without one, the answer is
        ``None`` where a file is needed.

    Raises
    ------
    DataError
        If CP2K would refuse the geometry.
    UnreadError
        If it stands in a format, or has names of atoms, that are not read here.
    """
    place = force_eval(tree)
    subsys = _only(place, "SUBSYS")
    assert subsys is not None
    topology = _only(subsys, "TOPOLOGY") or Section("TOPOLOGY")
    coord = _only(subsys, "COORD")
    cell_section = _only(subsys, "CELL")
    if cell_section is None:
        raise DataError("the input has no FORCE_EVAL/SUBSYS/CELL")
    file_format = (_word(topology, "COORD_FILE_FORMAT", "COORDINATE") or "OFF").upper()
    if folder is None and (file_format != "OFF" or _text(cell_section, "CELL_FILE_NAME")):
        return None
    cell, pbc, unit_cell = _cell(cell_section, folder=folder)
    kinds = tuple(_kind(section) for section in subsys.sections("KIND"))
    labels, positions, stated = _atoms(coord, topology, unit_cell, file_format=file_format, folder=folder)
    named = {label: _element(label, kinds, stated=stated.get(label)) for label in dict.fromkeys(labels)}
    repeats = _repeats(topology)
    if math.prod(repeats) > 1:
        if repeats != _repeats(cell_section):
            raise DataError("MULTIPLE_UNIT_CELL of &TOPOLOGY and of &CELL differ; CP2K takes only equal ones")
        if len(labels) * math.prod(repeats) > MOST_DECK_ATOMS:
            raise UnreadError(f"MULTIPLE_UNIT_CELL makes more than {MOST_DECK_ATOMS} atoms; that is too many for here")
        steps = [(i, j, k) for k in range(repeats[2]) for j in range(repeats[1]) for i in range(repeats[0])]
        positions = (np.array(steps, dtype=float) @ unit_cell)[:, None, :] + positions[None, :, :]
        positions, labels = positions.reshape(-1, 3), labels * len(steps)
    elements = [named[label] for label in labels]
    if _by_element(place, topology):
        labels = elements
    positions = _centred(positions, topology, cell)
    velocities = _velocities(_only(subsys, "VELOCITY"), n_atoms=len(labels))
    return DeckStructure(cell, pbc, positions, list(labels), elements, kinds, velocities)


def read_cell(tree: Section) -> NDArray[np.float64]:
    """Cell (rows, Å) that an expanded input states itself; :class:`DataError` as from :func:`read_deck`."""
    subsys = _only(force_eval(tree), "SUBSYS") or Section("SUBSYS")
    return _cell(_only(subsys, "CELL") or Section("CELL"), folder=None)[0]


def _only(section: Section, name: str) -> Section | None:
    """The one section of that name; CP2K takes no second one."""
    found = section.sections(name)
    if len(found) > 1:
        raise DataError(f"line {found[1].line}: &{name} stands twice in &{section.name}; CP2K takes one")
    return found[0] if found else None


def _keyword(section: Section, *names: str) -> Keyword | None:
    """The one keyword of that name or its other names; CP2K takes no second one."""
    found = [keyword for name in names for keyword in section.keywords(name)]
    if len(found) > 1:
        raise DataError(f"line {found[1].line}: {names[0]} stands twice in &{section.name}; CP2K takes one")
    return found[0] if found else None


def _text(section: Section, *names: str) -> str:
    keyword = _keyword(section, *names)
    if keyword is not None and keyword.comment and keyword.value and not keyword.value.startswith('"'):
        raise DataError(
            f"line {keyword.line}: CP2K takes the comment behind {names[0]} for a part of the name; put it elsewhere"
        )
    return "" if keyword is None else text_of(keyword.value)


def _word(section: Section, *names: str) -> str:
    keyword = _keyword(section, *names)
    return next(iter(words_of(keyword.value)), "") if keyword is not None else ""


def _integers(section: Section, *names: str) -> list[int]:
    keyword = _keyword(section, *names)
    if keyword is None:
        return []
    try:
        return [integer_of(word) for word in words_of(keyword.value)]
    except DataError as error:
        raise DataError(f"line {keyword.line}: {names[0]}: {error}") from error


def _quantities(section: Section, *names: str, units: dict[str, float], unit: str) -> list[float] | None:
    """Three numbers in the unit of the factors; a unit in brackets stands before its number and holds for the next."""
    keyword = _keyword(section, *names)
    if keyword is None:
        return None
    values, factor = [], units[unit]
    try:
        for word in words_of(keyword.value):
            if word.startswith("["):
                factor = _unit(word[1:-1] if word.endswith("]") else word, units)
            else:
                values.append(number_of(word) * factor)
    except DataError as error:
        raise DataError(f"line {keyword.line}: FORCE_EVAL/SUBSYS/CELL/{names[0]} cannot be read: {error}") from error
    if len(values) != 3:
        place = f"line {keyword.line}: FORCE_EVAL/SUBSYS/CELL/{names[0]}"
        raise DataError(f"{place} cannot be read: it has {len(values)} numbers, not 3")
    return values


def _unit(name: str, units: dict[str, float]) -> float:
    if name.strip().upper() not in units:
        raise DataError(f"'{name[:_SHOWN]}' is no unit here; expected {', '.join(units).lower()}")
    return units[name.strip().upper()]


def _repeats(section: Section) -> list[int]:
    repeats = _integers(section, "MULTIPLE_UNIT_CELL") or [1, 1, 1]
    if len(repeats) != 3 or min(repeats) < 1:
        raise DataError(f"MULTIPLE_UNIT_CELL of &{section.name} is three whole numbers from 1")
    return repeats


def _cell(
    section: Section, *, folder: Path | None
) -> tuple[NDArray[np.float64], tuple[bool, bool, bool], NDArray[np.float64]]:
    """Cell (rows, Å), its periodic directions, and the unit cell that ``MULTIPLE_UNIT_CELL`` repeats."""
    vectors = np.zeros((3, 3))
    name = _text(section, "CELL_FILE_NAME")
    given = [_quantities(section, letter, units=_LENGTHS, unit="ANGSTROM") for letter in "ABC"]
    lengths = _quantities(section, "ABC", units=_LENGTHS, unit="ANGSTROM")
    angles = _quantities(section, "ALPHA_BETA_GAMMA", "ANGLES", units=_ANGLES, unit="DEG")
    if name and folder is not None:
        vectors = _cell_file(folder / name, (_word(section, "CELL_FILE_FORMAT") or "CP2K").upper())
    elif lengths is not None:
        vectors = cell_of_parameters(lengths, [math.pi / 2] * 3 if angles is None else angles)
    elif all(vector is not None for vector in given):
        vectors = np.array(given, dtype=float)
    else:
        raise DataError("the input has no FORCE_EVAL/SUBSYS/CELL with ABC, or with all of A, B and C")
    repeats = _repeats(section)
    periodic = (_word(section, "PERIODIC") or "XYZ").upper()
    if periodic not in ("X", "Y", "Z", "XY", "XZ", "YZ", "XYZ", "NONE"):
        raise DataError(f"PERIODIC of &CELL is '{periodic[:_SHOWN]}'; expected XYZ, XY, ..., X or NONE")
    pbc = (False, False, False) if periodic == "NONE" else ("X" in periodic, "Y" in periodic, "Z" in periodic)
    cell = vectors * np.array(repeats)[:, None]
    _refuse_flat(cell)
    cell = _symmetric(cell, (_word(section, "SYMMETRY") or "NONE").upper())
    _refuse_flat(cell)
    off = cell[~np.eye(3, dtype=bool)]
    if (np.abs(off) < _ORTHORHOMBIC).all():
        cell = np.diag(np.diag(cell))
    elif sum(pbc) == 1:
        raise DataError("CP2K takes a cell that is periodic in one direction only with right angles")
    return cell, pbc, cell / np.array(repeats)[:, None]


def _refuse_flat(cell: NDArray[np.float64]) -> None:
    with np.errstate(all="ignore"):
        volume = abs(np.linalg.det(cell))
    if not np.isfinite(volume) or volume < _SMALLEST_VOLUME:
        raise DataError("the vectors of &CELL span no volume; give all three")


def cell_of_parameters(lengths: Sequence[float], angles: Sequence[float]) -> NDArray[np.float64]:
    """Cell (rows) with a along x and b in the xy plane, from its edges and the angles alpha, beta, gamma (rad).

    Raises
    ------
    DataError
        If no cell has these angles.
    """
    eps = float(np.finfo(float).eps)
    cos_alpha, cos_beta, cos_gamma = (0.0 if abs(math.cos(x)) < eps else math.cos(x) for x in angles)
    sin_gamma = math.sin(angles[2])
    if abs(sin_gamma) < eps:
        raise DataError("FORCE_EVAL/SUBSYS/CELL cannot be read: the angle gamma is flat")
    y = (cos_alpha - cos_gamma * cos_beta) / sin_gamma
    rest = 1.0 - cos_beta**2 - y**2
    if rest <= 0.0:
        raise DataError("FORCE_EVAL/SUBSYS/CELL cannot be read: no cell has these angles")
    directions = np.array([[1.0, 0.0, 0.0], [cos_gamma, sin_gamma, 0.0], [cos_beta, y, math.sqrt(rest)]])
    return directions * np.array(lengths, dtype=float)[:, None]


def _symmetric(cell: NDArray[np.float64], symmetry: str) -> NDArray[np.float64]:
    """The cell that ``SYMMETRY`` makes of another (``init_cell`` of ``cell_types.F``)."""
    a, b, c = np.linalg.norm(cell, axis=1)
    alpha, beta, gamma = (
        math.acos(float(np.clip(one @ two / (np.linalg.norm(one) * np.linalg.norm(two)), -1.0, 1.0)))
        for one, two in ((cell[1], cell[2]), (cell[0], cell[2]), (cell[0], cell[1]))
    )
    same = {"TETRAGONAL": "AB", "TETRAGONAL_AB": "AB", "TETRAGONAL_AC": "AC", "TETRAGONAL_BC": "BC", "CUBIC": "ABC"}
    mean = (a + b) / 2.0
    if symmetry in ("NONE", "TRICLINIC"):
        return cell
    if symmetry in (*same, "ORTHORHOMBIC"):
        # CP2K takes the distances of the planes (010) and (001) for the edges b and c.
        heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        edges = np.array([a, heights[1], heights[2]])
        equal = ["ABC".index(letter) for letter in same.get(symmetry, "")]
        if equal:
            edges[equal] = edges[equal].mean()
        return np.diag(edges)
    if symmetry in ("HEXAGONAL", "HEXAGONAL_GAMMA_60", "HEXAGONAL_GAMMA_120"):
        sign = -1.0 if symmetry.endswith("120") else 1.0
        return np.array([[mean, 0.0, 0.0], [sign * mean / 2.0, math.sqrt(3.0) * mean / 2.0, 0.0], [0.0, 0.0, c]])
    if symmetry == "RHOMBOHEDRAL":
        edge, angle = (a + b + c) / 3.0, (alpha + beta + gamma) / 3.0
        return cell_of_parameters([edge] * 3, [angle] * 3)
    if symmetry == "MONOCLINIC":
        return np.array([[a, 0.0, 0.0], [0.0, b, 0.0], [c * math.cos(beta), 0.0, c * math.sin(beta)]])
    if symmetry == "MONOCLINIC_GAMMA_AB":
        return np.array(
            [[mean, 0.0, 0.0], [mean * math.cos(gamma), mean * math.sin(gamma), 0.0], [0.0, 0.0, c]]
        )  # fmt: skip
    raise DataError(f"SYMMETRY of &CELL is '{symmetry[:_SHOWN]}', which is none of CP2K's")


def _cell_file(path: Path, file_format: str) -> NDArray[np.float64]:
    if file_format == "CP2K":
        return last_cell(path)
    text = _small_text(path)
    if file_format == "XSC":
        rows = [line.split() for line in text.splitlines() if line.strip() and line.lstrip()[0] not in "#!"]
        return nine_numbers(rows[0][1:10] if rows else [], path)
    if file_format == "CIF":
        found = [re.search(rf"^\s*_cell_{name}\s+([-+.\d]+)", text, re.M) for name in _CIF_CELL]
        if not all(found):
            raise DataError(f"{path}: a CIF has all of {', '.join(f'_cell_{name}' for name in _CIF_CELL)}")
        values = [number_of(match.group(1)) for match in found if match is not None]
        return cell_of_parameters(values[:3], [value * _ANGLES["DEG"] for value in values[3:]])
    if file_format in ("XYZ", "EXTXYZ"):
        lattice = re.search(r'lattice\s*=\s*"([^"]*)"', "".join(text.splitlines()[1:2]), re.IGNORECASE)
        return nine_numbers(lattice.group(1).split() if lattice else [], path)
    raise UnreadError(f"CELL_FILE_FORMAT {file_format[:_SHOWN]} is not read here; expected CP2K, CIF, XSC or EXTXYZ")


_CIF_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")


def nine_numbers(words: Sequence[str], path: Path) -> NDArray[np.float64]:
    """The cell (rows, Å) in nine words; :class:`DataError` names the file that they are from."""
    try:
        values = [number_of(word) for word in words]
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    if len(values) != 9:
        raise DataError(f"{path} holds no cell; expected nine numbers (Å), the vectors one after the other")
    return np.array(values).reshape(3, 3)


def last_cell(path: Path) -> NDArray[np.float64]:
    """The cell (rows, Å) of the last step in a ``.cell`` file of CP2K.

    Raises
    ------
    DataError
        If it is missing or its last line is no step, time and nine numbers.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 4096))
            tail = stream.read().decode("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    rows = [line.split() for line in tail if line.strip() and line.lstrip()[0] not in "#!"]
    return nine_numbers(rows[-1][2:11] if rows else [], path)


def _small_text(path: Path) -> str:
    """Text of a file that an input names; :class:`DataError` where it is missing, no text or beyond all bounds."""
    if not path.is_file():
        raise DataError(f"{path} is not there; put it where the run starts")
    if path.stat().st_size > MOST_CHARACTERS:
        raise DataError(f"{path} is longer than {MOST_CHARACTERS // 2**20} MiB: too long for here")
    return read_text(path)


def _kind(section: Section) -> DeckKind:
    moment = section.keywords("MAGNETIZATION")
    ghost = [*section.keywords("GHOST"), *section.keywords("FLOATING_BASIS_CENTER")]
    element = [keyword.value for name in ("ELEMENT", "ELEMENT_SYMBOL") for keyword in section.keywords(name)]
    try:
        return DeckKind(
            name=" ".join(words_of(section.parameter)[:1]).upper(),
            element=words_of(element[0])[0] if element and words_of(element[0]) else None,
            ghost=any(logical_of(keyword.value) for keyword in ghost),
            magnetization=number_of(words_of(moment[0].value)[0]) if moment and words_of(moment[0].value) else 0.0,
        )
    except DataError as error:
        raise DataError(f"line {section.line}: &KIND {section.parameter[:_SHOWN]}: {error}") from error


def _element(label: str, kinds: Sequence[DeckKind], *, stated: str | None = None) -> str:
    """Element of a label: of its ``&KIND``, else the label without what stands behind ``_`` and without its number.

    ``stated`` is what a coordinate file says.
    """
    own = [kind for kind in kinds if kind.name == label.upper()]
    named = next((kind.element for kind in own if kind.element is not None), None)
    symbol = symbol_of(named if named is not None else bare_label(stated or label))
    if symbol is None:
        which = f"ELEMENT {named[:_SHOWN]} is" if named is not None else "it is"
        raise UnreadError(
            f"the atoms {label[:_SHOWN]} have no element: {which} none of the periodic table; write ELEMENT in "
            f"&KIND {label[:_SHOWN]} (names of force fields are not known here)"
        )
    return symbol


def bare_label(label: str) -> str:
    """A label without what stands behind ``_`` and without its number: ``Pb1_a`` → ``Pb``."""
    return label.partition("_")[0].rstrip("0123456789")


def symbol_of(word: str) -> str | None:
    """The chemical symbol that a word of one or two letters is, in any case; ``None`` for another word."""
    from ase.data import chemical_symbols

    symbol = word.capitalize()
    return symbol if 0 < len(word) <= 2 and symbol in chemical_symbols else None


def _by_element(place: Section, topology: Section) -> bool:
    """Whether kinds are the elements: as it is said, else for the empirical methods of Quickstep."""
    keyword = _keyword(topology, "USE_ELEMENT_AS_KIND")
    if keyword is not None:
        return logical_of(keyword.value)
    quickstep = find_section(place, "DFT/QS")
    return quickstep is not None and _word(quickstep, "METHOD").upper() in _EMPIRICAL


def _atoms(
    coord: Section | None, topology: Section, unit_cell: NDArray[np.float64], *, file_format: str, folder: Path | None
) -> tuple[list[str], NDArray[np.float64], dict[str, str]]:
    """Labels, positions (Å), and the elements that a file states for its labels; before any repeating."""
    scaled, factor = False, 1.0
    rows: list[tuple[str, list[str], str]] = []
    for entry in coord.entries if coord is not None else []:
        if isinstance(entry, Section):
            raise DataError(f"line {entry.line}: &{entry.name[:_SHOWN]} stands in &COORD, which holds no section")
        if not isinstance(entry, Keyword):
            continue
        place = f"line {entry.line}"
        if entry.name.upper() == "SCALED":
            scaled = logical_of(entry.value)
        elif entry.name.upper() == "UNIT":
            try:
                factor = _unit(next(iter(words_of(entry.value)), ""), _LENGTHS)
            except DataError as error:
                raise DataError(f"{place}: UNIT of &COORD: {error}") from error
        else:
            rows.append((entry.name, entry.value.split(), place))
    stated: dict[str, str] = {}
    if file_format == "OFF":
        if not rows:
            name = _text(topology, "COORD_FILE_NAME", "COORD_FILE")
            helps = f"; write COORD_FILE_FORMAT XYZ, else CP2K does not read {name}" if name else ""
            raise DataError(f"&COORD holds no atoms{helps}")
        labels, values = _numbered(rows)
    else:
        name = _text(topology, "COORD_FILE_NAME", "COORD_FILE")
        if not name or folder is None:
            raise DataError(f"COORD_FILE_FORMAT {file_format[:_SHOWN]} needs COORD_FILE_NAME")
        labels, values, stated = _coordinate_file(folder / name, file_format)
        if file_format == "CP2K":
            limit = _integers(topology, "NUMBER_OF_ATOMS", "NATOMS", "NATOM")
            if limit and 0 < limit[0] < len(labels):
                labels, values = labels[: limit[0]], values[: limit[0]]
        elif rows:
            if len(rows) != len(labels):
                raise DataError(f"&COORD has {len(rows)} atoms, {name} has {len(labels)}; CP2K refuses that")
            labels, values = _numbered(rows)
        else:
            scaled, factor = False, 1.0
    positions = np.array(values, dtype=float).reshape(-1, 3)
    if len(positions) > MOST_DECK_ATOMS:
        raise UnreadError(f"there are more than {MOST_DECK_ATOMS} atoms; that is too many for here")
    return labels, positions @ unit_cell if scaled else positions * factor, stated


def _numbered(rows: Sequence[tuple[str, list[str], str]]) -> tuple[list[str], list[list[float]]]:
    """Labels and numbers of lines of ``&COORD``, each with its place for errors."""
    labels, values = [], []
    for label, words, place in rows:
        try:
            # A comma behind a number ends it; within one CP2K would read half of it without a word.
            numbers = [number_of(word.rstrip(",")) for word in words[:3]]
        except DataError as error:
            raise DataError(f"{place}: no coordinates after '{label[:_SHOWN]}': {error}") from error
        if len(numbers) < 3:
            raise DataError(f"{place}: &COORD holds an atom without three coordinates, '{label[:_SHOWN]}'")
        labels.append(label)
        values.append(numbers)
    return labels, values


def _coordinate_file(path: Path, file_format: str) -> tuple[list[str], list[list[float]], dict[str, str]]:
    """Labels and coordinates of a file that ``&TOPOLOGY`` names, and the elements that it states by label."""
    text = _small_text(path)
    if file_format == "XYZ":
        return (*_last_frame(text, path), {})
    if file_format == "CP2K":
        parted = [re.split(r"[!#]", line)[0].split() for line in text.splitlines()]
        rows = [(words[0], words[1:], f"{path}, line {n}") for n, words in enumerate(parted, start=1) if words]
        return (*_numbered(rows), {})
    if file_format == "CIF":
        cell, fractions, shares, _ = read_cif(path)
        if any(len(site) > 1 for site in shares):
            raise DataError(f"{path}: species share sites; CP2K would put both there")
        labels = [next(iter(site)) for site in shares]
        return labels, (np.array(fractions) @ np.array(cell)).tolist(), {}
    if file_format == "PDB":
        lines = [line.ljust(80) for line in text.splitlines() if line[:6].strip() in ("ATOM", "HETATM")]
        rows = [(line[12:16].strip(), [line[30:38], line[38:46], line[46:54]], str(path)) for line in lines]
        stated = {line[12:16].strip(): line[76:78].strip() for line in lines if line[76:78].strip()}
        return (*_numbered([(a, [w.strip() for w in words], p) for a, words, p in rows]), stated)
    raise UnreadError(
        f"COORD_FILE_FORMAT {file_format[:_SHOWN]} is not read here; expected XYZ, CP2K, CIF or PDB, or write &COORD"
    )


def _last_frame(text: str, path: Path) -> tuple[list[str], list[list[float]]]:
    """Labels and coordinates (Å) of the last frame of an XYZ file, as CP2K takes them; numbers are atomic numbers."""
    from ase.data import chemical_symbols

    lines = text.split("\n")
    start, count = 0, 0
    while start < len(lines) and (words := re.split(r"[\s,]+", lines[start].strip()))[0]:
        if not re.fullmatch(r"\d{1,9}", words[0]) or start + 2 + int(words[0]) > len(lines):
            raise DataError(f"{path}, line {start + 1}: expected a number of atoms, and as many lines after the next")
        count = int(words[0])
        start += count + 2
    rows = [re.split(r"[\s,]+", line.strip()) for line in lines[start - count : start]]
    labels, values = _numbered(
        [(words[0], words[1:], f"{path}, line {start - count + n + 1}") for n, words in enumerate(rows)]
    )
    for place, label in enumerate(labels):
        if label.isdecimal():
            if int(label) >= len(chemical_symbols):
                raise DataError(f"{path}: {label} is no atomic number")
            labels[place] = chemical_symbols[int(label)]
    if not labels:
        raise DataError(f"{path} holds no atoms")
    return labels, values


def _centred(positions: NDArray[np.float64], topology: Section, cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions whose bounds are centred in the cell, or at a point, where ``&CENTER_COORDINATES`` asks for it."""
    section = _only(topology, "CENTER_COORDINATES")
    if section is None or not logical_of(section.parameter):
        return positions
    point = _keyword(section, "CENTER_POINT")
    middle = np.diag(cell) / 2.0
    if point is not None:
        # Without a unit in CP2K's own description: bohr.
        numbers = [number_of(word) for word in words_of(point.value)]
        if len(numbers) != 3:
            raise DataError(f"line {point.line}: CENTER_POINT is three numbers")
        middle = np.array(numbers) * BOHR_ANGSTROM
    return positions - ((positions.max(axis=0) + positions.min(axis=0)) / 2.0 - middle)


def _velocities(section: Section | None, *, n_atoms: int) -> NDArray[np.float64] | None:
    if section is None:
        return None
    rows = []
    for entry in section.entries:
        if isinstance(entry, Keyword) and entry.name.upper() != "PINT_UNIT":
            try:
                rows.append([number_of(word) for word in words_of(f"{entry.name} {entry.value}")])
            except DataError as error:
                raise DataError(f"line {entry.line}: &VELOCITY: {error}") from error
    if len(rows) != n_atoms or any(len(row) != 3 for row in rows):
        raise DataError(f"&VELOCITY holds {len(rows)} lines; expected three numbers for each of {n_atoms} atoms")
    return np.array(rows, dtype=float).reshape(-1, 3)


def fixed_ranges(tree: Section) -> list[tuple[int, int, str]]:
    """Ranges of atoms (first, last, from 1) that ``&FIXED_ATOMS`` hold, with the directions that are held.

    Restrained atoms may move and are left out; words that are no atoms too.
    """
    constraint = find_section(tree, "MOTION/CONSTRAINT")
    found = []
    for section in constraint.sections("FIXED_ATOMS") if constraint is not None else []:
        if section.sections("RESTRAINT"):
            continue
        stated = [words_of(keyword.value) for keyword in section.keywords("COMPONENTS_TO_FIX")]
        components = stated[0][0].upper() if stated and stated[0] else "XYZ"
        for word in (word for keyword in section.keywords("LIST") for word in words_of(keyword.value)):
            first, _, last = word.partition("..")
            if re.fullmatch(r"\d{1,18}", first) and re.fullmatch(r"\d{1,18}", last or first):
                found.append((int(first), int(last or first), components))
    return found


def count_fixed(tree: Section) -> int:
    """How many atoms ``&FIXED_ATOMS`` hold, in any direction."""
    count, reached = 0, 0
    for first, last, _ in sorted(fixed_ranges(tree)):
        count += max(0, last - max(first, reached + 1) + 1)
        reached = max(reached, last)
    return count
