"""Which basis set and pseudopotential an element gets, and what CP2K's own data files hold of them.

The sets are those of ``cp2k_templates/kinds.yaml``, usable without any CP2K installed;
:mod:`qdip_struct.cp2k.inputs.preflight` compares their names with the installed files. Those are read as CP2K ships
them; of their numbers only counts are kept: shells and valence electrons.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from qdip_struct.base.documents import yaml_document
from qdip_struct.base.errors import UsageError
from qdip_struct.base.files import read_text, shipped
from qdip_struct.cp2k.program import find_data_directory
from qdip_struct.materials.ions import IONS, VALENCE_ELECTRONS

DEFAULT_SET = "dzvp"


@dataclass(frozen=True)
class KindDefault:
    """What an element gets, by the names of CP2K's data files."""

    element: str
    basis: str
    potential: str
    n_valence: int


@dataclass(frozen=True)
class KindSet:
    """A family of basis sets with its potentials.

    Attributes
    ----------
    basis_files, potential_file
        CP2K's data files that hold them.
    elements
        Default of each element by symbol.
    """

    name: str
    about: str
    basis_files: tuple[str, ...]
    potential_file: str
    elements: Mapping[str, KindDefault]

    def of(self, element: str) -> KindDefault:
        """The default of one element; :class:`UsageError` when the set has none."""
        if element not in self.elements:
            others = [other.name for other in list_kind_sets() if element in other.elements]
            remedy = f"use --basis {' or '.join(others)}" if others else f"known: {', '.join(self.elements)}"
            raise UsageError(f"no basis set and potential are set down for {element} in '{self.name}'; {remedy}")
        return self.elements[element]


@cache
def list_kind_sets() -> tuple[KindSet, ...]:
    """All sets, in file order."""
    content = yaml_document(shipped("cp2k_templates", "kinds.yaml"))
    return tuple(_kind_set(name, entry) for name, entry in content["sets"].items())


def get_kind_set(name: str) -> KindSet:
    """The set of that name; :class:`UsageError` lists what there is."""
    sets = {item.name: item for item in list_kind_sets()}
    if name not in sets:
        raise UsageError(f"unknown basis '{name}'; known: {', '.join(sets)}")
    return sets[name]


def _kind_set(name: str, entry: Mapping[str, Any]) -> KindSet:
    instead = entry.get("instead", {})
    elements = {}
    for element in sorted(set(VALENCE_ELECTRONS) - set(entry.get("lacks", ())), key=lambda name: IONS[name].number):
        n = VALENCE_ELECTRONS[element]
        basis = str(instead.get(element, entry["basis"])).format(n=n)
        elements[element] = KindDefault(element, basis, str(entry["potential"]).format(n=n), n)
    return KindSet(name, entry["about"], tuple(entry["basis_files"]), entry["potential_file"], elements)


_HEADER = re.compile(r"^\s*([A-Z][a-z]?)\s+([^\s\d].*?)\s*$")
_INTEGERS = re.compile(r"^\s*\d+(?:\s+\d+)*\s*$")


@dataclass(frozen=True)
class BasisSet:
    """One orbital basis set; the first of its names is the main one.

    Attributes
    ----------
    shells
        Contracted shells per angular momentum; empty for an entry in another layout than CP2K's usual one
        (auxiliary sets).
    """

    element: str
    names: tuple[str, ...]
    shells: tuple[int, ...]

    @property
    def n_functions(self) -> int:
        """Number of spherical basis functions: Σ_l n_l (2l + 1)."""
        return sum(count * (2 * momentum + 1) for momentum, count in enumerate(self.shells))


@dataclass(frozen=True)
class Pseudopotential:
    """One pseudopotential with the valence electrons of the neutral atom; the first of its names is the main one."""

    element: str
    names: tuple[str, ...]
    n_valence: int


def data_file(name: str) -> Path | None:
    """Path of one of CP2K's data files, or ``None`` when no data directory is installed or lacks it."""
    directory = find_data_directory()
    path = directory / name if directory else None
    return path if path is not None and path.is_file() else None


def read_potentials(path: Path) -> Mapping[str, tuple[Pseudopotential, ...]]:
    """Read a potential file into element → potentials, in file order.

    The second line of an entry holds the electrons per angular momentum; their sum is the valence.
    """
    return _read_potentials(path, path.stat().st_mtime_ns)


def read_basis_sets(path: Path) -> Mapping[str, tuple[BasisSet, ...]]:
    """Read a basis set file into element → basis sets, in file order."""
    return _read_basis_sets(path, path.stat().st_mtime_ns)


@cache
def _read_potentials(path: Path, stamp: int) -> Mapping[str, tuple[Pseudopotential, ...]]:
    found: dict[str, tuple[Pseudopotential, ...]] = {}
    lines = read_text(path).splitlines()
    for header, electrons in pairwise(lines):
        match = _HEADER.match(header)
        if match and _INTEGERS.match(electrons):
            element, names = match.group(1), tuple(match.group(2).split())
            item = Pseudopotential(element, names, sum(map(int, electrons.split())))
            found[element] = (*found.get(element, ()), item)
    return found


@cache
def _read_basis_sets(path: Path, stamp: int) -> Mapping[str, tuple[BasisSet, ...]]:
    found: dict[str, tuple[BasisSet, ...]] = {}
    bare = (re.split(r"[!#]", line, maxsplit=1)[0].rstrip() for line in read_text(path).splitlines())
    lines = [line for line in bare if line]
    for index, line in enumerate(lines[:-2]):
        match = _HEADER.match(line)
        if match and re.fullmatch(r"\s*\d+\s*", lines[index + 1]):
            element, names = match.group(1), tuple(match.group(2).split())
            item = BasisSet(element, names, _shells(lines, index + 2, n_sets=int(lines[index + 1])))
            found[element] = (*found.get(element, ()), item)
    return found


def _shells(lines: list[str], start: int, *, n_sets: int) -> tuple[int, ...]:
    counts: dict[int, int] = {}
    for _ in range(n_sets):
        try:
            words = lines[start].split()
            lowest, highest, n_exponents = map(int, words[1:4])
            per_momentum = list(map(int, words[4 : 5 + highest - lowest]))
        except (ValueError, IndexError):
            return ()
        for momentum, count in zip(range(lowest, highest + 1), per_momentum, strict=False):
            counts[momentum] = counts.get(momentum, 0) + count
        start += n_exponents + 1
    return tuple(counts.get(momentum, 0) for momentum in range(max(counts, default=-1) + 1))


def potential_valence(element: str, name: str, *, file: str) -> int | None:
    """Valence electrons of ``element`` in the potential ``name`` of CP2K's data file ``file``; ``None`` if unknown.

    Without the data file, the ``-qN`` at the end of the name is trusted.
    """
    path = data_file(file)
    if path is not None:
        for potential in read_potentials(path).get(element, ()):
            if name in potential.names:
                return potential.n_valence
        return None
    match = re.search(r"-q(\d+)$", name, re.IGNORECASE)
    return int(match.group(1)) if match else None
