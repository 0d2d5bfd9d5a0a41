"""What an input states: its cell, atoms and kinds, and the settings beyond those an output prints.

Settings are listed as far as they decide whether two energies may be combined. Cell, atoms and kinds are read as CP2K
would, with what can be wrong with them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.cp2k_input import Keyword, Section, find_section, get_values, words_of
from qdip_struct.builders.atoms.neighbours import neighbour_pairs
from qdip_struct.cp2k.inputs.decisions import Geometry, look_at
from qdip_struct.cp2k.inputs.kinds import orbital_basis, potential_in
from qdip_struct.cp2k.tasks import TASKS
from qdip_struct.materials.cp2k_structure import DeckKind, bare_label, count_fixed, force_eval, read_deck, symbol_of

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?")
_TRUE, _FALSE = {"T", "TRUE", ".TRUE.", "ON", "YES"}, {"F", "FALSE", ".FALSE.", "OFF", "NO"}

DEFAULTS: dict[str, Any] = {
    "eps_default": 1e-10,
    "eps_scf": 1e-5,
    "method": "GPW",
    "force_method": "QUICKSTEP",
    "poisson": {"PERIODIC": "XYZ", "POISSON_SOLVER": "PERIODIC"},
    "mgrid": {"NGRIDS": 4.0, "COMMENSURATE": False},
    "kpoint_scheme": None,
    "xc": {},
    "plus_u": {},
    "field": {},
    "fixed_atoms": 0,
    "added_mos": 0.0,
    "force_limits": {"MAX_FORCE": 4.5e-4, "RMS_FORCE": 3e-4, "MAX_DR": 3e-3, "RMS_DR": 1.5e-3},
}
"""CP2K's own values of what an input does not name (hartree, bohr)."""

_GRID_KEYWORDS = ("CUTOFF", "REL_CUTOFF")
_PRINTED_XC = ("VDW_POTENTIAL",)


def input_settings(tree: Section) -> dict[str, Any]:
    """Settings of an input by name, with CP2K's defaults for what it does not say.

    Returns
    -------
    dict
        ``eps_default``, ``eps_scf``, ``method`` (GPW, GAPW, ...), ``force_method``, ``poisson``, ``mgrid`` without the
        cutoffs (which the output prints), ``kpoint_scheme`` (its kind and shift without the numbers), ``xc`` (every
        keyword of the exchange-correlation section but dispersion), ``plus_u`` by kind, ``field`` (external fields),
        ``basis_files``, ``potential_file``, ``fixed_atoms`` (their number), ``added_mos``, ``force_limits`` of an
        optimisation in CP2K's units, ``dipole_direction``.
    """
    dft = "FORCE_EVAL/DFT"
    scheme = (_first(tree, f"{dft}/KPOINTS/SCHEME") or "").upper().split()
    found = {
        **DEFAULTS,
        "force_method": str(_value(_first(tree, "FORCE_EVAL/METHOD") or "QUICKSTEP")).replace("QS", "QUICKSTEP"),
        "poisson": {**DEFAULTS["poisson"], **_flat(find_section(tree, f"{dft}/POISSON"))},
        "mgrid": {**DEFAULTS["mgrid"], **_without(_flat(find_section(tree, f"{dft}/MGRID")), _GRID_KEYWORDS)},
        "kpoint_scheme": _scheme(scheme),
        "xc": _xc(tree),
        "plus_u": _plus_u(tree),
        "field": {
            name: _flat(section)
            for name in ("EFIELD", "PERIODIC_EFIELD", "EXTERNAL_POTENTIAL")
            if (section := find_section(tree, f"{dft}/{name}")) is not None
        },
        "basis_files": sorted(get_values(tree, f"{dft}/BASIS_SET_FILE_NAME")),
        "potential_file": _first(tree, f"{dft}/POTENTIAL_FILE_NAME"),
        "fixed_atoms": count_fixed(tree),
        "force_limits": {**DEFAULTS["force_limits"], **_limits(tree)},
        "dipole_direction": _dipole_direction(tree),
    }
    for name, path in (
        ("eps_default", f"{dft}/QS/EPS_DEFAULT"),
        ("eps_scf", f"{dft}/SCF/EPS_SCF"),
        ("method", f"{dft}/QS/METHOD"),
        ("added_mos", f"{dft}/SCF/ADDED_MOS"),
    ):
        text = _first(tree, path)
        if text is not None:
            found[name] = _value(text)
    return found


def _first(tree: Section, path: str) -> str | None:
    values = get_values(tree, path)
    return values[0] if values else None


def _value(text: str) -> Any:
    """A logical, a number or upper-case text, so that 1E-6 and 1.0D-06 are one."""
    word = " ".join(text.upper().split())
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if _NUMBER.fullmatch(word):
        return float(word.replace("D", "E"))
    return word


def _flat(section: Section | None) -> dict[str, Any]:
    """Keywords and section parameters below a section by their path."""
    if section is None:
        return {}
    found: dict[str, Any] = {}
    for path, item in section.walk():
        name = "/".join((*path, item.name.upper()))
        text = item.value if isinstance(item, Keyword) else item.parameter
        if isinstance(item, Keyword) or text:
            found[name] = _value(text) if text else True
    return dict(sorted(found.items()))


def _without(flat: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in flat.items() if key.split("/")[0] not in names}


def _dipole_direction(tree: Section) -> str | None:
    """Direction of the dipole correction, ``None`` when it is off; the keyword alone switches it on."""
    switch = _first(tree, "FORCE_EVAL/DFT/SURFACE_DIPOLE_CORRECTION")
    if switch is None or _value(switch or "T") is not True:
        return None
    return (_first(tree, "FORCE_EVAL/DFT/SURF_DIP_DIR") or "Z").upper()


def _xc(tree: Section) -> dict[str, Any]:
    """Keywords of the exchange-correlation section; the functional's name and dispersion stand in the output."""
    flat = _without(_flat(find_section(tree, "FORCE_EVAL/DFT/XC")), _PRINTED_XC)
    return {key: value for key, value in flat.items() if key != "XC_FUNCTIONAL"}


def _scheme(words: list[str]) -> str | None:
    """The kind of a k-point scheme; MACDONALD keeps its shift, Γ alone is no scheme."""
    if not words or words[0] in ("NONE", "GAMMA"):
        return None
    return words[0] if words[0] != "MACDONALD" else " ".join([words[0], *words[4:]])


def _plus_u(tree: Section) -> dict[str, Any]:
    subsys = find_section(tree, "FORCE_EVAL/SUBSYS")
    kinds = subsys.sections("KIND") if subsys is not None else []
    return {
        kind.parameter: _flat(section)
        for kind in sorted(kinds, key=lambda kind: kind.parameter)
        for section in kind.sections("DFT_PLUS_U")
    }


def _limits(tree: Section) -> dict[str, Any]:
    for task in TASKS.values():
        section = find_section(tree, f"MOTION/{task.section}") if task.optimises else None
        if section is not None:
            return {
                keyword.name.upper(): _value(keyword.value)
                for keyword in section.entries
                if isinstance(keyword, Keyword) and keyword.name.upper() in DEFAULTS["force_limits"]
            }
    return {}


OVERLAP_FRACTION = 0.5
"""Atoms closer than this fraction of the sum of their covalent radii overlap (an N-H bond has 0.99)."""


@dataclass(frozen=True)
class InputKind:
    """One ``&KIND``.

    Attributes
    ----------
    name, element
        As in the input.
    ghost
        Whether it only carries basis functions.
    line
        Of the input, from 1.
    potential_file
        Where it names one of its own.
    basis_inside, potential_inside
        Whether they are written out in the input, or of a form that is not looked up here.
    monovalent
        Whether it stands for a cut bond, with electrons of its own count.
    """

    name: str
    element: str
    basis: str | None
    potential: str | None
    ghost: bool
    line: int | None
    potential_file: str | None = None
    basis_inside: bool = False
    potential_inside: bool = False
    monovalent: bool = False


@dataclass(frozen=True)
class Subsys:
    """The atoms of an input.

    Attributes
    ----------
    cell
        (3, 3) rows, Å.
    positions
        (n, 3) Å.
    kinds
        Kind name of each atom.
    declared
        Every ``&KIND``.
    elements
        Symbol of each atom.
    """

    cell: NDArray[np.float64]
    positions: NDArray[np.float64]
    kinds: list[str]
    declared: tuple[InputKind, ...]
    elements: list[str]

    def kind(self, name: str) -> InputKind | None:
        """The ``&KIND`` of that name, of its element, or ``&KIND DEFAULT``, as CP2K looks for it."""
        element = self.elements[self.kinds.index(name)] if name in self.kinds else name
        for wanted in (name.upper(), element.upper(), "DEFAULT"):
            for kind in self.declared:
                if kind.name.upper() == wanted:
                    return kind
        return None

    @cached_property
    def geometry(self) -> Geometry:
        """Bulk, slab, wire or isolated, with the vacuum along each direction."""
        return look_at(self.cell, self.positions)


def read_subsys(tree: Section, *, folder: Path | None) -> Subsys | None:
    """Read cell, coordinates and kinds from an expanded input.

    Returns ``None`` when the coordinates are in a file and no ``folder`` is given to look in.

    Raises
    ------
    DataError
        If the cell or the coordinates are missing or cannot be read.
    """
    deck = read_deck(tree, folder=folder)
    if deck is None:
        return None
    elements = dict(zip(deck.labels, deck.elements, strict=True))
    declared = tuple(
        _read_kind(section, kind, elements=elements)
        for section, kind in zip(_kind_sections(force_eval(tree)), deck.kinds, strict=True)
    )
    return Subsys(deck.cell, deck.positions, deck.labels, declared, deck.elements)


def _kind_sections(place: Section) -> list[Section]:
    subsys = find_section(place, "SUBSYS")
    return subsys.sections("KIND") if subsys is not None else []


def _read_kind(section: Section, kind: DeckKind, *, elements: Mapping[str, str]) -> InputKind:
    named = {label.upper(): element for label, element in elements.items()}
    return InputKind(
        name=section.parameter,
        element=named.get(kind.name) or symbol_of(kind.element or bare_label(kind.name)) or section.parameter,
        basis=orbital_basis(section),
        potential=potential_in(section),
        ghost=kind.ghost,
        line=section.line,
        potential_file=next((keyword.value for keyword in section.keywords("POTENTIAL_FILE_NAME")), None),
        basis_inside=bool(section.sections("BASIS")),
        potential_inside=bool(section.sections("POTENTIAL")) or _potential_kind(section) in ("UPF", "ECP"),
        monovalent=any(_value(keyword.value or "T") is True for keyword in section.keywords("MONOVALENT")),
    )


def _potential_kind(section: Section) -> str:
    """What stands before the name of a potential: ``UPF`` for a file of its own."""
    words = [words_of(keyword.value) for name in ("POTENTIAL", "POT") for keyword in section.keywords(name)]
    return words[0][0].upper() if words and len(words[0]) > 1 else ""


Problem = tuple[Literal["error", "warning"], int | None, str, str]


def check_subsys(subsys: Subsys) -> Iterator[Problem]:
    """Left-handed cell, overlapping atoms, a vacuum that is neither bulk nor enough."""
    if np.linalg.det(subsys.cell) <= 0:
        message = "the cell is left-handed: CP2K runs it, other programs may not read its files"
        yield "warning", None, message, "swap two lattice vectors"
    yield from _check_overlap(subsys)
    for axis, gap in enumerate(subsys.geometry.vacuum_angstrom):
        if 8.0 <= gap < 10.0:
            message = f"the gap along {'ABC'[axis]} is {gap:.1f} Å: too thin for vacuum, too wide for a crystal"
            yield "warning", None, message, "use at least 15 Å of vacuum"


def _check_overlap(subsys: Subsys) -> Iterator[Problem]:
    from ase.data import atomic_numbers, covalent_radii

    ghosts = np.array([bool(kind and kind.ghost) for kind in map(subsys.kind, subsys.kinds)])
    radii = np.array([covalent_radii[atomic_numbers[e]] if e in atomic_numbers else 0.3 for e in subsys.elements])
    pbc = np.ones(3, dtype=bool)
    i, j, distance = neighbour_pairs(
        subsys.positions,
        targets=subsys.positions,
        cell=subsys.cell,
        pbc=pbc,
        cutoff=float(2 * OVERLAP_FRACTION * radii.max()),
    )
    near = (i < j) & (distance < OVERLAP_FRACTION * (radii[i] + radii[j])) & ~ghosts[i] & ~ghosts[j]
    if near.any():
        worst = np.flatnonzero(near)[np.argmin(distance[near])]
        a, b = int(i[worst]), int(j[worst])
        message = (
            f"{int(near.sum())} pairs of atoms overlap; the closest are atoms {a + 1} ({subsys.kinds[a]}) and "
            f"{b + 1} ({subsys.kinds[b]}), {distance[worst]:.2f} Å apart"
        )
        yield "error", None, message, "build the structure again, or move the atoms apart"
