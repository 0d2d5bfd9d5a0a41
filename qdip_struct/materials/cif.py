"""Crystallographic information files: pymatgen expands them, and what comes out is held against the file itself.

Settings and origins that a file names without listing operations are those of spglib's table of 530 settings. Shares of
species on a site are kept; disorder that has no place in a periodic model here is refused with the name of its site.
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
from qdip_struct.base.files import read_text
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
_SAME_SHARE = 0.01
_SAME_OCCUPANCY = 0.02
_SAME_METRIC = 2e-3
_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_NOT_AN_ISOTOPE = {"D": "H", "T": "H"}
_CIF_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(\(\d+\))?"
_OPERATION = r"[-+xyzXYZ0-9/., ]{5,60}"
_WATER = r"Wat|wat|OH|NO3|Hw|Ow"
"""Names that pymatgen takes for one atom, for none, or for atoms without a place."""
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
_HALL_SYMBOLS = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_SYMBOLS = ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_full")
_NUMBERS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")


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
    from pymatgen.io.cif import CifFile

    text = read_text(path)
    path = path if named is None else named
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            blocks = [block for block in CifFile.from_str(text).data.values() if "_atom_site_fract_x" in block.data]
        except READER_ERRORS as error:
            raise DataError(f"cannot read {path} as a CIF: {reason_of(error)}") from error
        if not blocks:
            raise DataError(f"cannot read {path} as a structure: no data block has atom sites (_atom_site_fract_x)")
        if len(blocks) > 1:
            names = ", ".join(block.header for block in blocks)
            raise DataError(f"{path} holds {len(blocks)} structures (data blocks {names}); keep one of them")
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


def _expanded(block: "CifBlock", path: Path) -> "Structure":
    """All atoms of the cell, in the setting that fits what the file says of itself."""
    rows = block.data
    for axis in "xyz":
        for label, word in zip(
            _column(rows, "_atom_site_label"), _column(rows, f"_atom_site_fract_{axis}"), strict=False
        ):
            if re.fullmatch(_CIF_NUMBER, word) is None:
                raise DataError(
                    f"{path}: site {label[:60]} has the coordinate {axis} = '{word[:60]}'; expected a number"
                )
    for word in _column(rows, "_atom_site_type_symbol") or _column(rows, "_atom_site_label"):
        if re.match(_WATER, word) is not None:
            raise DataError(f"{path}: '{word[:60]}' is a group of atoms and no element; give each of its atoms a site")
    operations_listed = [word for key in (*_OPERATIONS, *_MAGNETIC) for word in _column(rows, key)]
    for word in operations_listed:
        if re.fullmatch(_OPERATION, word.strip("'\" ")) is None:
            raise DataError(f"{path}: '{word[:60]}' is no symmetry operation; expected one such as 'x, -y, z+1/2'")
    most = len(_column(rows, "_atom_site_fract_x")) * max(1, len(operations_listed))
    if most > _MOST_ATOMS:
        raise DataError(f"{path} may hold {most} atoms; a CIF of more than {_MOST_ATOMS} is not read: give extxyz")
    tried: list[str] = []
    found: list[Structure] = []
    for setting, operations in _settings(block, path):
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


def _column(rows: Mapping[str, Any], key: str) -> list[str]:
    value = rows.get(key, [])
    return [value] if isinstance(value, str) else list(value)


def _parsed(block: "CifBlock", operations: list[str] | None) -> "Structure":
    """One block through pymatgen, with these operations in place of its own."""
    from pymatgen.io.cif import CifBlock, CifParser

    rows, loops = dict(block.data), list(block.loops)
    if operations is not None:
        rows["_symmetry_equiv_pos_as_xyz"] = operations
        loops.append(["_symmetry_equiv_pos_as_xyz"])
    if "_atom_site_label" not in rows:
        rows["_atom_site_label"] = rows["_atom_site_type_symbol"]
        loops = [[*loop, "_atom_site_label"] if "_atom_site_type_symbol" in loop else loop for loop in loops]
    stream = StringIO(str(CifBlock(rows, loops, block.header)))
    (structure,) = CifParser(stream, check_cif=False).parse_structures(
        primitive=False, on_error="raise", check_occu=False
    )
    return structure


def _settings(block: "CifBlock", path: Path) -> Iterator[tuple[str, list[str] | None]]:
    """Names of settings with their operations, ``None`` for those that the file lists."""
    import spglib
    from pymatgen.core.operations import SymmOp

    rows = block.data
    if any(key.startswith("_atom_site_moment") for key in rows) and not any(rows.get(key) for key in _MAGNETIC):
        raise DataError(
            f"{path} has magnetic moments and does not list its magnetic operations (_space_group_symop_magn_"
            "operation.xyz); list them, or give the moments as initial_magmoms of an extxyz file"
        )
    if any(rows.get(key) for key in (*_OPERATIONS, *_MAGNETIC)):
        yield "as listed", None
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
        if found := [hall for hall, kind in kinds.items() if wanted in _spellings(kind)]:
            choice = _squeezed(choice or rows.get("_space_group.IT_coordinate_system_code"))
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
    """The ways to write a space group, without blanks, underscores and case; monoclinic ones without their 1, too."""
    words = [kind.international_short, kind.international_full, *kind.international.split("=")]
    words += ["".join(part for part in word.split() if part != "1") for word in words]
    return {_squeezed(word) for word in words} - {""}


def _squeezed(word: Any) -> str:
    return re.sub(r"[\s_'\"]", "", str(word or "")).lower()


def _against_itself(structure: "Structure", block: "CifBlock") -> str | None:
    """What contradicts the block's own words, ``None`` when nothing does."""
    from pymatgen.core import Composition

    words = _column(block.data, "_chemical_formula_sum")
    if words and words[0].strip("'\" ?."):
        try:
            stated = Composition(words[0].strip("'\" ")).get_el_amt_dict()
        except ValueError as error:
            return f"its formula '{words[0]}' cannot be read ({error})"
        amounts = Counter({name: 0.0 for name in stated})
        for site in structure:
            amounts.update(_shares(site))
        stated = {_NOT_AN_ISOTOPE.get(name, name): value for name, value in stated.items()}
        total, whole = sum(amounts.values()), sum(stated.values())
        wrong = [name for name in amounts if abs(amounts[name] / total - stated.get(name, 0.0) / whole) > _SAME_SHARE]
        if wrong:
            held = " ".join(f"{name}{value:g}" for name, value in sorted(amounts.items()) if value)
            lacks = " (hydrogen without coordinates)" if wrong and not amounts.get("H") and stated.get("H") else ""
            return f"its sites give {held}, its formula says {words[0]}{lacks}"
    if pair := closest_pair(structure.lattice.matrix, structure.frac_coords % 1.0):
        one, other, distance = pair
        return f"{structure[one].label} and {structure[other].label} are {distance:.3f} Å apart, closer than any bond"
    return None


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
        where = f"{path}: site {site.label} ({', '.join(f'{x % 1.0:.4g}' for x in site.frac_coords)})"
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
            raise DataError(f"{where} is occupied to {total:.3g} ({shown_shares(found)}), more than one atom")
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
