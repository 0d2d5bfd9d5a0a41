"""Crystallographic information files: pymatgen expands them, and what comes out is held against the file itself.

The text is read here by the grammar of CIF 1.1 (Hall, Allen & Brown, doi:10.1107/S010876739101067X): names of data in
any case and of both dictionaries (with ``_`` or ``.``), blocks of equal names, text fields. pymatgen's own reader knows
names in one case alone, keeps the last of equal blocks and ends a block inside a text field. Settings and origins that
a file names without listing operations are those of spglib's table of 530 settings. Shares of species on a site are
kept; disorder that has no place in a periodic model here is refused with the name of its site.

Long because grammar, sites, settings and the file's own statements decide together whether one file is read.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.base.errors import DataError
from qdip_struct.materials.ions import FORMAL_CHARGES

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.io.cif import CifBlock

READER_ERRORS = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OSError,
    RuntimeError,
    StopIteration,
    AssertionError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    NameError,
    EOFError,
)
"""What readers raise on a file of another kind, besides ASE's own ``UnknownFileTypeError``."""
CLOSEST_ANGSTROM = 0.6
"""Atoms closer than this are no structure; the shortest bond, of H2, is 0.74 Å."""
_SAME_AMOUNT, _SAME_SHARE = 0.05, 1e-3
"""Of atoms in a formula unit, absolute and relative: occupancies are rounded, and one missing hydrogen is seen."""
_SAME_OCCUPANCY = 0.02
_SAME_METRIC = 2e-3
_SAME_SHIFT = 0.02
"""Of translations, which are rounded to two digits here and there."""
_SAME_PLACE_ANGSTROM = 0.02
"""Images of a site so close are one atom on a special position whose coordinates were rounded."""
_SAME_DENSITY = 0.1
"""Relative; an operation that a file forgets changes the density by a third or more."""
_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_NOT_AN_ISOTOPE = {"D": "H", "T": "H"}
_UNSAID = ("?", ".", "")
_CIF_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(\(\d+\))?"
_OPERATION = r"[-+xyzXYZ0-9/., ]{5,60}"
_GROUP = r"[Ww]at|Ow|Hw|O-?H\d?$|NH\d$|CH\d$|NO3"
"""Names of groups of atoms, or of the atoms of one, in mineralogical files, where no element stands beside them."""
_OF_WATER = {"Wa": "O", "wa": "O", "Ow": "O", "OH": "O", "O-": "O", "Hw": "H"}
"""What they are at the place of the site; whether the hydrogen has places too is told by the formula."""
_MOST_OPERATIONS = 1000
"""Listed ones; a centred cubic group has 192, and settings in supercells a few times more."""
_MOST_ATOMS = 60_000
"""Rows times operations: symmetry-equal images are told apart one by one, a minute for so many."""
_OPERATIONS = (
    "_symmetry_equiv_pos_as_xyz",
    "_symmetry_equiv_pos_as_xyz_",
    "_space_group_symop_operation_xyz",
    "_space_group_symop_operation_xyz_",
)
_MAGNETIC = ("_space_group_symop_magn_operation.xyz",)
_NO_MOMENT = 0.01
_SITES = tuple(
    f"_atom_site_{key}"
    for key in ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy", "calc_flag", "attached_hydrogens")
)
_HALL_SYMBOLS = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_SYMBOLS = ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_full")
_NUMBERS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_SUFFIXES = {"s": "1", "z": "2", "h": "h", "r": "r"}
"""Origin at the higher or lower symmetry, hexagonal or rhombohedral axes, as older databases write them."""
_BEFORE_1992 = {
    191: "Abm2 Bma2 B2cm C2mb Cm2a Ac2m", 203: "Aba2 Bba2 B2cb C2cb Cc2a Ac2a", 304: "Cmca Ccmb Abma Acam Bbcm Bmab",
    316: "Cmma Cmmb Abmm Acmm Bmcm Bmam",
    322: "Ccca Ccca Cccb Cccb Abaa Abaa Acaa Acaa Bbcb Bbcb Bbab Bbab",
}  # fmt: skip
"""Symbols of groups with a double glide plane, now e, for spglib's settings from this number on."""
_CHOICE = "_space_group.IT_coordinate_system_code"
_FORMULA, _UNITS = "_chemical_formula_sum", "_cell_formula_units_Z"
_DENSITY, _VOLUME = "_exptl_crystal_density_diffrn", "_cell_volume"
_ONCE = (*(f"_cell_{key}" for key in _CELL), *_SITES[2:5], *_OPERATIONS, _FORMULA)
"""What a block gives once; a second, other value is another structure."""
_NAMES = {
    name.lower().replace(".", "_"): name
    for name in (
        *_ONCE, *_SITES, *_HALL_SYMBOLS, *_SYMBOLS, *_NUMBERS, _CHOICE, _UNITS, _DENSITY, _VOLUME
    )
}  # fmt: skip
"""The spelling of data names here, by any spelling."""
_KEPT = ("_cell_", "_atom_site_", "_symmetry_", "_space_group")
_TOKEN = re.compile(
    r"""\n;(?P<field>.*?)(?:\n;|\Z)|(?P<note>\#[^\n]*)|'(?P<one>(?:[^'\n]|'(?=\S)){0,2048})'(?=\s|\Z)
    |"(?P<two>(?:[^"\n]|"(?=\S)){0,2048})"(?=\s|\Z)|(?P<bare>\S+)""",
    re.DOTALL | re.VERBOSE,
)


def read_cif(
    path: Path, *, named: Path | None = None
) -> tuple[Any, list[list[float]], list[dict[str, float]], list[float] | None]:
    """The structure of a file.

    Parameters
    ----------
    path
        The file.
    named
        The one that messages name, where ``path`` is an unpacked copy of it.

    Returns
    -------
    cell, positions, shares, moments
        Row vectors (3, 3) Å; fractional coordinates in [0, 1); species and their shares on each site, adding up to 1;
        magnetic moments of a magnetic CIF along their common axis, Bohr magnetons, else ``None``.

    Raises
    ------
    DataError
        If the file cannot be read, holds no or several structures, disagrees with itself, or is disordered.
    """
    text = _text(path)
    path = path if named is None else named
    blocks = [block for block in _blocks(text, path) if _SITES[2] in block.data]
    # Forms for authors have a block of question marks.
    blocks = [block for block in blocks if set(_column(block.data, _SITES[2])) - set(_UNSAID)] or blocks
    if not blocks:
        raise DataError(f"cannot read {path} as a structure: no data block has atom sites (_atom_site_fract_x)")
    if len(blocks) > 1:
        names = ", ".join(block.header for block in blocks)
        raise DataError(f"{path} holds {len(blocks)} structures (data blocks {names}); keep one of them")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structure = _expanded(blocks[0], path)
    shares = [_shares(site) for site in structure]
    _refuse_disorder(structure, shares, path)
    return structure.lattice.matrix, (structure.frac_coords % 1.0).tolist(), shares, _moments(structure, path)


def _moments(structure: "Structure", path: Path) -> list[float] | None:
    """Magnetic moments along the axis that they share, the first of them positive; ``None`` where there are none.

    Raises
    ------
    DataError
        If they do not lie along one axis.
    """
    from pymatgen.electronic_structure.core import Magmom

    given = structure.site_properties.get("magmom")
    if not given:
        return None
    # pymatgen 2026.10 puts the list of all moments on every site.
    given = given[0] if isinstance(given[0], list) and len(given[0]) == len(structure) != 3 else given
    vectors = np.array([np.asarray(Magmom(moment).global_moment, dtype=float) for moment in given])
    lengths = np.linalg.norm(vectors, axis=1)
    if lengths.max() < _NO_MOMENT:
        return None
    axis = vectors[int(np.argmax(lengths > _NO_MOMENT))]
    along = vectors @ axis / np.linalg.norm(axis)
    if np.abs(lengths - np.abs(along)).max() > _NO_MOMENT:
        raise DataError(
            f"{path}: its magnetic moments do not lie along one axis, and moments here are up or down; give them as "
            "initial_magmoms of an extxyz file"
        )
    return [float(moment) for moment in along]


def _text(path: Path) -> str:
    """Text in UTF-8, else in Latin-1: names and titles of older files, while the data are ASCII."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if b"\0" in content:
        raise DataError(f"cannot read {path} as a CIF: it is not text (byte {content.index(0)} is zero)")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _blocks(text: str, path: Path) -> list["CifBlock"]:
    """Data blocks of a text; what stands before the first header is a block without a name."""
    from pymatgen.io.cif import CifBlock

    blocks = [CifBlock({}, [], "")]
    columns: list[str] | None = None
    values: list[str] = []
    tag = ""

    def close() -> None:
        nonlocal columns
        if columns:
            if len(values) % len(columns) and {*columns} & {*_SITES[2:5], *_OPERATIONS}:
                raise DataError(
                    f"cannot read {path} as a CIF: the loop of {columns[0]} has {len(values)} values for "
                    f"{len(columns)} columns; quote values that hold blanks, and write '?' for one that is missing"
                )
            for place, name in enumerate(columns):
                keep(name, values[place :: len(columns)])
            blocks[-1].loops.append(columns)
        columns = None

    def keep(name: str, value: str | list[str]) -> None:
        earlier = blocks[-1].data.get(name, value)
        if value in _UNSAID and earlier != value:
            return
        if name in _ONCE and earlier not in (*_UNSAID, value):
            raise DataError(f"{path} gives {name} twice in the data block '{blocks[-1].header}'; keep one structure")
        blocks[-1].data[name] = value

    words: list[str] = []

    def close_pair() -> None:
        nonlocal tag
        if tag:
            # A value of several words without quotes is still the value of its name.
            keep(tag, " ".join(words))
        tag = ""
        words.clear()

    for token in _TOKEN.finditer("\n" + text):
        kind, word = token.lastgroup, token.group(token.lastgroup or 0)
        if kind == "note":
            continue
        if kind == "bare" and word[:5].lower() in ("data_", "loop_"):
            close_pair()
            close()
            if word[:5].lower() == "data_":
                blocks.append(CifBlock({}, [], word[5:]))
            else:
                columns, values = [], []
        elif kind == "bare" and word.startswith("_"):
            name = _NAMES.get(word.lower().replace(".", "_"), word)
            if columns is not None and not values:
                columns.append(name)
                continue
            close_pair()
            close()
            tag = name
        elif columns is not None:
            values.append(word.strip())
        elif tag:
            words.append(word.strip())
    close_pair()
    close()
    return blocks


def _expanded(block: "CifBlock", path: Path) -> "Structure":
    """All atoms of the cell, in the setting that fits what the file says of itself."""
    rows = block.data
    _check_cell(rows, path)
    _check_sites(rows, path)
    listed = _listed_operations(rows, path)
    magnetic = [word for key in _MAGNETIC for word in _column(rows, key)]
    for word in magnetic:
        if re.fullmatch(_OPERATION, word.strip("'\" ")) is None:
            raise DataError(f"{path}: '{word[:60]}' is no magnetic operation; expected one such as 'x,-y,z+1/2,-1'")
    most = len(_column(rows, "_atom_site_fract_x")) * max(1, len(listed), len(magnetic))
    if most > _MOST_ATOMS:
        raise DataError(f"{path} may hold {most} atoms; a CIF of more than {_MOST_ATOMS} is not read: give extxyz")
    tried: list[str] = []
    found: list[Structure] = []
    for setting, operations in _settings(block, listed, path):
        try:
            structure = _parsed(block, operations)
        except READER_ERRORS as error:
            raise DataError(f"cannot read {path} as a CIF: {reason_of(error)}") from error
        if not np.isfinite(structure.lattice.matrix).all() or not np.isfinite(structure.frac_coords).all():
            raise DataError(f"{path}: a coordinate or a cell vector is not a finite number")
        fault = _against_itself(structure, block)
        tried.append(f"{setting}: {fault or 'fits'}")
        if fault is None:
            found.append(structure)
    if len(found) == 1 or (found and all(len(other) == len(found[0]) and other == found[0] for other in found[1:])):
        return found[0]
    if not found:
        found_none = "; ".join(tried) or "its cell does not have the axes of its space group"
        raise DataError(f"{path} does not agree with itself ({found_none})")
    raise DataError(
        f"{path} names a space group and not its origin or axes, and several fit ({'; '.join(tried)}): list the "
        "operations (_space_group_symop_operation_xyz) or name the setting, as in 'F d -3 m :2'"
    )


def _check_cell(rows: dict[str, Any], path: Path) -> None:
    """Refuse a cell that is no cell; an angle that is left out is 90°, as in the dictionary."""
    for key in (f"_cell_{name}" for name in _CELL):
        word = next(iter(_column(rows, key)), "90" if "angle" in key else "")
        if not word:
            raise DataError(f"cannot read {path} as a structure: it has no {key}")
        if re.fullmatch(_CIF_NUMBER, word.strip()) is None:
            raise DataError(f"{path}: {key} is '{word[:60]}'; expected a number")
        rows[key] = word


def _check_sites(rows: dict[str, Any], path: Path) -> None:
    """Bring the columns of the sites to elements, numbers and shares; rows that are no atoms go.

    Raises
    ------
    DataError
        If a site has no coordinate, no element, or is a group of atoms.
    """
    columns = {key: _column(rows, key) for key in _SITES if key in rows}
    labels = columns.get(_SITES[0]) or columns.get(_SITES[1])
    if labels is None:
        raise DataError(f"cannot read {path} as a structure: its sites have neither {_SITES[1]} nor {_SITES[0]}")
    for key in _SITES[2:5]:
        if key not in columns:
            raise DataError(f"cannot read {path} as a structure: its sites have no {key}")
    count = len(columns[_SITES[2]])
    for key, column in columns.items():
        if len(column) != count:
            raise DataError(f"{path} gives {len(column)} values of {key} for {count} sites; expected one for each")
    kinds = columns.get(_SITES[1], ["?"] * count)
    shares = ["1" if word in _UNSAID else word for word in columns.get(_SITES[5], ["1"] * count)]
    flags = columns.get(_SITES[6], ["."] * count)
    named = _elements_of(rows)
    kept, elements = [], []
    for n, (label, kind, share, flag) in enumerate(zip(labels, kinds, shares, flags, strict=True)):
        if re.fullmatch(_CIF_NUMBER, share) is None:
            raise DataError(f"{path}: site {label[:60]} has the occupancy '{share[:60]}'; expected a number")
        if flag.lower() == "dum" or float(share.partition("(")[0]) == 0.0:
            continue
        for key in _SITES[2:5]:
            if re.fullmatch(_CIF_NUMBER, columns[key][n]) is None:
                word = columns[key][n]
                raise DataError(
                    f"{path}: site {label[:60]} has the coordinate {key[-1]} = '{word[:60]}'; expected a number"
                )
        kept.append(n)
        elements.append(_element(label if kind in _UNSAID else kind, named, path))
    if not kept:
        raise DataError(f"{path} holds no atoms: every site is a dummy, or has the occupancy 0")
    for key, column in columns.items():
        rows[key] = [column[n] for n in kept]
    rows[_SITES[0]], rows[_SITES[1]] = [labels[n] for n in kept], elements
    rows[_SITES[5]] = [shares[n] for n in kept]
    if not named:
        for label, count_h in zip(rows[_SITES[0]], rows.get(_SITES[7], ()), strict=False):
            if count_h.isdecimal() and int(count_h):
                raise DataError(
                    f"{path}: site {label[:60]} has {count_h[:9]} hydrogen atoms without coordinates; give them sites"
                )


def _elements_of(rows: Mapping[str, Any]) -> set[str]:
    """Elements of the formula that a block states, with hydrogen also as deuterium and the reverse; none for none."""
    words = str(rows.get(_FORMULA, "")).strip("'\" ")
    found = set() if words in _UNSAID else set(re.findall(r"[A-Z][a-z]?", words))
    return found | {"H", "D"} if found & {"H", "D"} else found


def _element(word: str, named: set[str], path: Path) -> str:
    """The element of a site by its symbol or label; of two that it may be (``HO1``), the one that the formula has."""
    from pymatgen.core import Element

    if re.match(_GROUP, word) is not None:
        if word[:2] in _OF_WATER and named >= {"H", "O"}:
            return _OF_WATER[word[:2]]
        raise DataError(f"{path}: '{word[:60]}' is a group of atoms and no element; give each of its atoms a site")
    could = [name for name in (word[:2].title(), word[:1].upper()) if Element.is_valid_symbol(name)]
    if named:
        could = [name for name in could if name in named] or could
    elif word[1:2].islower() and could[:1] != [word[:2].title()]:
        # 'St', written for strontium, is no sulfur.
        could = []
    if not could:
        raise DataError(f"{path}: '{word[:60]}' is no element; write {_SITES[1]} of each site")
    return could[0]


def _column(rows: Mapping[str, Any], key: str) -> list[str]:
    value = rows.get(key, [])
    return [value] if isinstance(value, str) else list(value)


def _parsed(block: "CifBlock", operations: list[str] | None) -> "Structure":
    """One block through pymatgen, with these operations in place of its own."""
    from pymatgen.io.cif import CifBlock, CifParser

    kept = (item for item in block.data.items() if item[0].startswith(_KEPT) and "_aniso_" not in item[0])
    rows = {key: value for key, value in kept if value != []}
    # Rows of sites were put in order, so their columns make one loop; attached hydrogens are none of the sites.
    loops = [[key for key in rows if key in _SITES[:6]]]
    loops += [[key for key in loop if key not in _SITES and isinstance(rows.get(key), list)] for loop in block.loops]
    rows = {key: value for key, value in rows.items() if key not in _SITES[6:]}
    if operations is not None:
        gone = [key for loop in loops if {*loop} & {*_OPERATIONS} for key in loop]
        rows = {key: value for key, value in rows.items() if key not in (*gone, *_OPERATIONS)}
        loops = [loop for loop in loops if not {*loop} & {*gone}]
        rows[_OPERATIONS[0]] = operations
        loops.append([_OPERATIONS[0]])
    stream = StringIO(str(CifBlock(rows, [loop for loop in loops if loop], "structure")))
    edge = max(float(rows[f"_cell_{key}"].partition("(")[0]) for key in _CELL[:3])
    (structure,) = CifParser(stream, check_cif=False, site_tolerance=_SAME_PLACE_ANGSTROM / edge).parse_structures(
        primitive=False, on_error="raise", check_occu=False
    )
    return structure


def _listed_operations(rows: Mapping[str, Any], path: Path) -> list[str]:
    """The operations that a block lists, with the identity, which some leave out; none for none.

    Raises
    ------
    DataError
        If one cannot be read, or they are no group: then one is mistyped, or missing.
    """
    from pymatgen.core.operations import SymmOp

    words = next(([word.strip("'\" ") for word in _column(rows, key)] for key in _OPERATIONS if rows.get(key)), [])
    if not words:
        return []
    operations = [SymmOp.from_rotation_and_translation(np.eye(3), (0.0, 0.0, 0.0))]
    for word in words:
        try:
            operation = SymmOp.from_xyz_str(word) if re.fullmatch(_OPERATION, word) else None
        except READER_ERRORS:
            operation = None
        if operation is None:
            raise DataError(f"{path}: '{word[:60]}' is no symmetry operation; expected one such as 'x, -y, z+1/2'")
        operations.append(operation)
    if len(operations) > _MOST_OPERATIONS:
        raise DataError(f"{path} lists {len(words)} symmetry operations; expected at most {_MOST_OPERATIONS}")
    turns = np.array([np.rint(operation.rotation_matrix) for operation in operations])
    shifts = np.array([operation.translation_vector for operation in operations])
    # Rotations as one number each: a centred cubic group has 192 operations and 36 864 products.
    digits = 7.0 ** np.arange(9)
    codes = turns.reshape(-1, 9) @ digits
    for word, turn, shift in zip(words, turns[1:], shifts[1:], strict=True):
        product, listed = np.nonzero(((turn @ turns).reshape(-1, 9) @ digits)[:, None] == codes)
        gaps = shifts[product] @ turn.T + shift - shifts[listed]
        inside = np.zeros(len(turns), dtype=bool)
        inside[product[(np.abs(gaps - np.rint(gaps)) < _SAME_SHIFT).all(axis=1)]] = True
        if not inside.all():
            raise DataError(
                f"{path}: its symmetry operations make no group: '{word}' after "
                f"'{['x, y, z', *words][int(np.argmin(inside))]}' is not among them, so one is mistyped or missing"
            )
    identity = np.abs(turns[1:] - turns[0]).max(axis=(1, 2)) + np.abs(shifts[1:]).max(axis=1) < _SAME_SHIFT
    return words if identity.any() else ["x, y, z", *words]


def _settings(block: "CifBlock", listed: list[str], path: Path) -> Iterator[tuple[str, list[str] | None]]:
    """Names of settings with their operations; what the block lists in other words than operations is ``None``."""
    import spglib
    from pymatgen.core.operations import SymmOp

    rows = block.data
    if any(rows[key] for key in rows if key.startswith("_atom_site_moment")) and not any(
        rows.get(key) for key in _MAGNETIC
    ):
        raise DataError(
            f"{path} has magnetic moments and does not list its magnetic operations (_space_group_symop_magn_"
            "operation.xyz); list them, or give the moments as initial_magmoms of an extxyz file"
        )
    if any(rows.get(key) for key in _MAGNETIC):
        yield "as listed", None
        return
    if listed:
        yield "as listed", listed
        return
    metric = _metric(rows)
    for hall in _hall_numbers(rows, path):
        kind, table = spglib.get_spacegroup_type(hall), spglib.get_symmetry_from_database(hall)
        turns = table["rotations"]
        # A setting of other axes (unique axis b or c, hexagonal or rhombohedral) changes the lengths of this cell.
        if metric is None or all(np.abs(turn.T @ metric @ turn - metric).max() < _SAME_METRIC for turn in turns):
            yield (
                f"{kind.international_short}{f' :{kind.choice}' if kind.choice else ''}",
                [
                    SymmOp.from_rotation_and_translation(turn, shift).as_xyz_str()
                    for turn, shift in zip(turns, table["translations"], strict=True)
                ],
            )


def _metric(rows: Mapping[str, Any]) -> Any:
    """Metric tensor of the cell over its mean square edge, ``None`` when the cell cannot be read."""
    from ase.cell import Cell

    words = [re.match(_CIF_NUMBER, str(rows.get(f"_cell_{key}", "")).strip()) for key in _CELL]
    if not all(words):
        return None
    values = [float(word[0].partition("(")[0]) for word in words if word is not None]
    if min(values) <= 0.0 or not np.isfinite(values).all() or max(values[3:]) >= 180.0:
        return None
    cell = Cell.fromcellpar(values).array
    return cell @ cell.T / np.square(values[:3]).mean()


def _hall_numbers(rows: Mapping[str, Any], path: Path) -> list[int]:
    """Settings of spglib's table (its Hall numbers) that the block may mean, by Hall symbol, symbol, or number."""
    import spglib

    kinds = {hall: spglib.get_spacegroup_type(hall) for hall in range(1, 531)}
    named: list[str] = []
    for key in _HALL_SYMBOLS:
        if wanted := _squeezed(rows.get(key)):
            named.append(str(rows[key]))
            if found := [hall for hall, kind in kinds.items() if _squeezed(kind.hall_symbol) == wanted]:
                return found
    for key in _SYMBOLS:
        symbol, _, choice = str(rows.get(key) or "").strip("'\" ").partition(":")
        if not (wanted := _squeezed(symbol)):
            continue
        named.append(str(rows[key]))
        found = [hall for hall, kind in kinds.items() if wanted in _spellings(kind)]
        if not found and wanted[-1] in _SUFFIXES:
            choice, wanted = _SUFFIXES[wanted[-1]], wanted[:-1]
            found = [hall for hall, kind in kinds.items() if wanted in _spellings(kind)]
        if found:
            choice = _squeezed(choice or rows.get(_CHOICE))
            return [hall for hall in found if choice and _squeezed(kinds[hall].choice) == choice] or found
    for key in _NUMBERS:
        if word := _squeezed(rows.get(key)):
            named.append(word)
            if word.isdecimal() and (found := [hall for hall, kind in kinds.items() if kind.number == int(word)]):
                return [hall for hall in found if _spellings(kinds[hall]) & _spellings(kinds[found[0]])]
    if named:
        raise DataError(
            f"{path}: no space group '{named[0]}' is known, and no operations are listed; list them "
            "(_space_group_symop_operation_xyz)"
        )
    return [1]


def _spellings(kind: Any) -> set[str]:
    """The ways to write a space group, without blanks, underscores and case; monoclinic ones without their 1, too.

    Before 1983 the cubic groups with a threefold inversion were written with a plain 3, as in F m 3 m.
    """
    words = [kind.international_short, kind.international_full, *kind.international.split("=")]
    words += ["".join(part for part in word.split() if part != "1") for word in words]
    words += [word.replace("-3", "3") for word in words if kind.number >= 200]
    for first, older in _BEFORE_1992.items():
        words += (
            older.split()[kind.hall_number - first : kind.hall_number - first + 1] if kind.hall_number >= first else []
        )
    return {_squeezed(word) for word in words} - {""}


def _squeezed(word: Any) -> str:
    return re.sub(r"[\s_'\"()]", "", str(word or "")).lower()


def _against_itself(structure: "Structure", block: "CifBlock") -> str | None:
    """What contradicts the block's own words, ``None`` when nothing does."""
    fault, count = _against_formula(structure, block.data)
    full = [n for n, site in enumerate(structure) if abs(sum(_shares(site).values()) - 1.0) < _SAME_OCCUPANCY]
    if fault is None and len(full) == len(structure):
        fault = _against_size(structure, block.data, count)
    # A site that is occupied in part may be close to its image; it is refused by its name later.
    if fault is None and (pair := closest_pair(structure.lattice.matrix, structure.frac_coords[full] % 1.0)):
        one, other, distance = full[pair[0]], full[pair[1]], pair[2]
        labels = [structure[n].label[:60] for n in (one, other)]
        fault = f"{labels[0]} and {labels[1]} are {distance:.3f} Å apart, closer than any bond"
    return fault


def _against_formula(structure: "Structure", rows: Mapping[str, Any]) -> tuple[str | None, float]:
    """How a cell differs from the formula that stands in the block, and how often it holds it; 0 where none stands."""
    from pymatgen.core import Composition

    words = str(rows.get(_FORMULA, "")).strip("'\" ")
    if words in _UNSAID:
        return None, 0.0
    try:
        stated = {
            _NOT_AN_ISOTOPE.get(name, name): value for name, value in Composition(words).get_el_amt_dict().items()
        }
    except ValueError as error:
        return f"its formula '{words}' cannot be read ({error})", 0.0
    amounts: Counter[str] = Counter()
    for site in structure:
        amounts.update(_shares(site))
    whole = sum(stated.values())
    if not 0.0 < whole < _MOST_ATOMS:
        return f"its formula '{words}' cannot be read", 0.0
    count = sum(amounts.values()) / whole
    for name in {*amounts, *stated}:
        held, wanted = amounts[name] / count, stated.get(name, 0.0)
        if abs(held - wanted) > max(_SAME_AMOUNT, _SAME_SHARE * wanted) or (held > 0.0) != (wanted > 0.0):
            found = " ".join(f"{symbol}{value:g}" for symbol, value in sorted(amounts.items()) if value)
            lacks = " (hydrogen without coordinates)" if not amounts["H"] and stated.get("H") else ""
            return f"its sites give {found}, its formula says {words}{lacks}", count
    return None, count


def _against_size(structure: "Structure", rows: Mapping[str, Any], count: float) -> str | None:
    """How volume, number of formula units or density differ from what stands in the block, which holds ``count``.

    Operations that a file forgets to list leave its formula right and the cell half empty. One of number and density
    that agrees is enough, for the other is often mistyped.
    """
    volume, units, density = (_number(rows, key) for key in (_VOLUME, _UNITS, _DENSITY))
    if volume and abs(structure.volume / volume - 1.0) > _SAME_DENSITY:
        return f"its cell has {structure.volume:.1f} Å³, and it states {volume:g} Å³"
    if units and count and abs(count / units - 1.0) < _SAME_OCCUPANCY:
        return None
    advice = "operations or sites are missing, or too many"
    if density:
        found = float(structure.density)
        if abs(found / density - 1.0) > _SAME_DENSITY:
            return f"its {len(structure)} atoms have {found:.3g} g/cm³, and it states {density:g} g/cm³: {advice}"
    # Some programs write the formula of the whole cell beside the number of units, or the number of another cell.
    elif units and count and abs(count - 1.0) > _SAME_OCCUPANCY and not _lists_all(rows):
        return f"its {len(structure)} atoms are {count:g} times its formula, and it states Z = {units:g}: {advice}"
    return None


def _lists_all(rows: Mapping[str, Any]) -> bool:
    """Whether a block says that it has no symmetry, so that every atom of the cell has a row of its own."""
    return "p1" in {_squeezed(rows.get(key)) for key in _SYMBOLS}


def _number(rows: Mapping[str, Any], key: str) -> float:
    """A number of a block without its uncertainty, 0 where there is none."""
    word = str(rows.get(key, "")).strip("'\" ")
    return float(word.partition("(")[0]) if re.fullmatch(_CIF_NUMBER, word) else 0.0


def closest_pair(cell: Any, fractions: Any) -> tuple[int, int, float] | None:
    """Two atoms closer than any bond and their distance (Å), through the faces of the cell; ``None`` for none.

    Parameters
    ----------
    cell
        Row vectors (3, 3), Å.
    fractions
        (n, 3) in [0, 1).
    """
    from scipy.spatial import cKDTree

    # Atoms near a face see their neighbours beyond it.
    reach = CLOSEST_ANGSTROM * np.linalg.norm(np.linalg.inv(cell), axis=0)
    points, numbers = np.asarray(fractions), np.arange(len(fractions))
    for axis in range(3):
        low, high = points[:, axis] < reach[axis], points[:, axis] > 1.0 - reach[axis]
        step = np.eye(3)[axis]
        points = np.concatenate([points, points[low] + step, points[high] - step])
        numbers = np.concatenate([numbers, numbers[low], numbers[high]])
    pairs = cKDTree(points @ cell).query_pairs(CLOSEST_ANGSTROM, output_type="ndarray")
    if not len(pairs):
        return None
    one, other = pairs[0]
    return int(numbers[one]), int(numbers[other]), float(np.linalg.norm((points[one] - points[other]) @ cell))


def _shares(site: Any) -> dict[str, float]:
    """Species on a site of pymatgen and their shares; isotopes are their elements."""
    found: dict[str, float] = {}
    for species, share in site.species.items():
        symbol = _NOT_AN_ISOTOPE.get(species.symbol, species.symbol)
        found[symbol] = found.get(symbol, 0.0) + float(share)
    return found


def _refuse_disorder(structure: "Structure", shares: Sequence[Mapping[str, float]], path: Path) -> None:
    """Refuse vacancies, crowded sites, disordered molecules and shared sites of cations and anions, by name."""
    for site, found in zip(structure, shares, strict=True):
        total = sum(found.values())
        where = f"{path}: site {site.label[:60]} ({', '.join(f'{x % 1.0:.4g}' for x in site.frac_coords)})"
        if len(found) == 1 and abs(total - 1.0) < _SAME_OCCUPANCY:
            continue
        if set(found) & {"C", "N", "H"}:
            raise DataError(
                f"{where} is occupied in part ({shown_shares(found)}): the molecule is disordered; keep one of its "
                "orientations, with every occupancy 1"
            )
        if total < 1.0 - _SAME_OCCUPANCY:
            raise DataError(
                f"{where} is occupied to {total:.3g} ({shown_shares(found)}): vacancies are not built here; fill the "
                "site or order them in a supercell"
            )
        if total > 1.0 + _SAME_OCCUPANCY:
            raise DataError(
                f"{where} is occupied to {total:.3g} ({shown_shares(found)}), more than one atom: its "
                "occupancies, or rows that the symmetry brings onto each other"
            )
        charges = [FORMAL_CHARGES.get(name) for name in found]
        signs = {charge is not None and charge > 0 for charge in charges}
        if None in charges or len(signs) > 1:
            raise DataError(
                f"{where} is shared by {shown_shares(found)}, which are not known as ions of one sign; give a cell in "
                "which they are ordered"
            )


def shown_shares(shares: Mapping[str, float]) -> str:
    """``Br 0.667, I 0.333``."""
    return ", ".join(f"{name} {share:.3g}" for name, share in shares.items())


def reason_of(error: BaseException) -> str:
    """What a reader complains of, in one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
