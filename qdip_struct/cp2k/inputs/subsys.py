"""Cell, atoms and kinds as an input states them, and what can be wrong with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import DataError
from qdip_struct.builders.atoms.neighbours import neighbour_pairs
from qdip_struct.cp2k.inputs.decisions import Geometry, look_at
from qdip_struct.cp2k.inputs.inputfile import Section, find_section, get_values

OVERLAP_FRACTION = 0.55
"""Atoms closer than this fraction of the sum of their covalent radii overlap (an N-H bond has 0.99)."""


@dataclass(frozen=True)
class InputKind:
    """One ``&KIND``.

    Attributes
    ----------
    name, element
        As in the input.
    basis, potential
        Their names.
    ghost
        Whether it only carries basis functions.
    line
        Of the input, from 1.
    """

    name: str
    element: str
    basis: str | None
    potential: str | None
    ghost: bool
    line: int | None


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
    """

    cell: NDArray[np.float64]
    positions: NDArray[np.float64]
    kinds: list[str]
    declared: tuple[InputKind, ...]

    def kind(self, name: str) -> InputKind | None:
        """The ``&KIND`` of that name, or ``&KIND DEFAULT``."""
        for wanted in (name.upper(), "DEFAULT"):
            for kind in self.declared:
                if kind.name.upper() == wanted:
                    return kind
        return None

    @cached_property
    def elements(self) -> list[str]:
        """Element of every atom; a kind name without ``&KIND`` counts by its leading letters."""
        by_name = {}
        for name in set(self.kinds):
            kind = self.kind(name)
            by_name[name] = kind.element if kind and kind.name.upper() != "DEFAULT" else _element_of(name)
        return [by_name[name] for name in self.kinds]

    @cached_property
    def geometry(self) -> Geometry:
        """Bulk, slab, wire or isolated, with the vacuum along each direction."""
        return look_at(self.cell, self.positions)


def _element_of(name: str) -> str:
    from ase.data import atomic_numbers

    for length in (2, 1):
        candidate = name[:length].capitalize()
        if candidate in atomic_numbers:
            return candidate
    return name


def read_subsys(tree: Section, *, folder: Path | None) -> Subsys | None:
    """Read cell, coordinates and kinds from an input.

    Returns ``None`` when the coordinates are in a file and no ``folder`` is given to look in.

    Raises
    ------
    DataError
        If the cell or the coordinates are missing or cannot be read.
    """
    place = find_section(tree, "FORCE_EVAL/SUBSYS")
    if place is None:
        raise DataError("the input has no FORCE_EVAL/SUBSYS")
    cell = _read_cell(tree)
    kinds = tuple(_read_kind(section) for section in place.sections("KIND"))
    coordinates = place.sections("COORD")
    if not coordinates:
        names = get_values(tree, "FORCE_EVAL/SUBSYS/TOPOLOGY/COORD_FILE_NAME")
        if names and folder is None:
            return None
        if names and folder is not None and (folder / names[0]).is_file():
            from ase.io import read

            atoms = read(folder / names[0])
            return Subsys(cell, np.asarray(atoms.positions), atoms.get_chemical_symbols(), kinds)
        raise DataError("the input has no &COORD and no readable TOPOLOGY/COORD_FILE_NAME")
    labels, values = [], []
    scaled = False
    bohr = False
    for entry in coordinates[0].entries:
        words = [getattr(entry, "name", ""), *getattr(entry, "value", "").split()]
        if isinstance(entry, Section) or not words[0]:
            continue
        if words[0].upper() == "SCALED":
            scaled = len(words) == 1 or words[1].strip(".").upper().startswith("T")
        elif words[0].upper() == "UNIT":
            bohr = len(words) > 1 and words[1].upper() == "BOHR"
        else:
            try:
                values.append([float(word) for word in words[1:4]])
                labels.append(words[0])
            except ValueError as error:
                raise DataError(f"line {getattr(entry, 'line', None)}: no coordinates after '{words[0]}'") from error
    if not labels or any(len(value) != 3 for value in values):
        raise DataError("&COORD holds no atoms, or an atom without three coordinates")
    positions = np.array(values)
    if not np.isfinite(positions).all():
        raise DataError("&COORD holds a coordinate that is no finite number")
    if scaled:
        positions = positions @ cell
    elif bohr:
        from qdip_struct.base.units import ANGSTROM_PER_BOHR

        positions = positions * ANGSTROM_PER_BOHR
    return Subsys(cell, positions, labels, kinds)


def _read_cell(tree: Section) -> NDArray[np.float64]:
    place = "FORCE_EVAL/SUBSYS/CELL"
    try:
        vectors = [get_values(tree, f"{place}/{letter}") for letter in "ABC"]
        if all(vectors):
            return np.array([[float(word) for word in vector[0].split()] for vector in vectors]).reshape(3, 3)
        lengths = get_values(tree, f"{place}/ABC")
        if lengths:
            from ase.cell import Cell

            angles = (get_values(tree, f"{place}/ALPHA_BETA_GAMMA") or ["90 90 90"])[0].split()
            return np.asarray(Cell.new([float(w) for w in (*lengths[0].split(), *angles)])[:])
    except ValueError as error:
        raise DataError(f"FORCE_EVAL/SUBSYS/CELL cannot be read: {error}") from error
    raise DataError("the input has no FORCE_EVAL/SUBSYS/CELL")


def _read_kind(section: Section) -> InputKind:
    def first(*names: str) -> str | None:
        return next((k.value for name in names for k in section.keywords(name)), None)

    basis = first("BASIS_SET")
    ghost = first("GHOST")
    return InputKind(
        name=section.parameter,
        element=first("ELEMENT", "ELEMENT_SYMBOL") or _element_of(section.parameter),
        basis=basis.split()[-1] if basis else None,
        potential=(first("POTENTIAL", "POT") or "").split()[-1] if first("POTENTIAL", "POT") else None,
        ghost=ghost is not None and not ghost.strip(".").upper().startswith("F"),
        line=section.line,
    )


Problem = tuple[Literal["error", "warning"], int | None, str, str]


def check_subsys(subsys: Subsys) -> Iterator[Problem]:
    """Left-handed cell, overlapping atoms, a vacuum that is neither bulk nor enough."""
    if np.linalg.det(subsys.cell) <= 0:
        yield "error", None, "the cell is left-handed or flat", "swap two lattice vectors"
        return
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
