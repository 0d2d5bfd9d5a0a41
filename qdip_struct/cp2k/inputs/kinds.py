"""Which basis set and pseudopotential an element gets, and what CP2K's own data files hold of them.

A set of ``cp2k_templates/kinds.yaml`` names a family; its members are looked up in CP2K's data files. Where those are
not installed, ``cp2k_templates/kind_table.yaml`` says what they hold. The files are read as CP2K ships them; of their
numbers only counts are kept: shells and valence electrons.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from qdip_struct.base.cp2k_input import Section, words_of
from qdip_struct.base.documents import Word, fault, yaml_document
from qdip_struct.base.errors import UsageError
from qdip_struct.base.files import read_text, shipped
from qdip_struct.cp2k.program import find_data_directory

DEFAULT_SET = "dzvp"
DEFAULT_FAMILY = "PBE"
"""Potentials for functionals that none are known to be made for."""


@dataclass(frozen=True)
class KindDefault:
    """What an element gets, by the names of CP2K's data files.

    Attributes
    ----------
    potential_file
        Where it is not that of the whole input.
    """

    element: str
    basis: str
    potential: str
    n_valence: int
    potential_file: str | None = None


@dataclass(frozen=True)
class KindSet:
    """A family of basis sets with its potentials.

    Attributes
    ----------
    bases
        Names of basis sets; an element gets the first that the files hold for it.
    basis_files, potential_file
        CP2K's data files that hold them.
    potential
        Name of a potential. In it and in ``bases``, ``{family}`` is the functional it was made for, ``{n}`` the number
        of valence electrons.
    electrons
        Valence electrons of elements that the rule of :meth:`found` would give others.
    """

    name: str
    about: str
    bases: tuple[str, ...]
    basis_files: tuple[str, ...]
    potential: str
    potential_file: str
    electrons: Mapping[str, int]

    def members(self, family: str = DEFAULT_FAMILY) -> Mapping[str, KindDefault]:
        """Default of each element that has one, by symbol: from the installed files, else from the shipped table."""
        names = (*self.basis_files, self.potential_file)
        files = tuple((path, path.stat().st_mtime_ns) for path in map(data_file, names) if path is not None)
        return _members_of(self.name, family, files) if len(files) == len(names) else self.tabulated(family)

    def found(self, family: str, *, basis_files: Sequence[Path], potential_file: Path) -> Mapping[str, KindDefault]:
        """Members in these files.

        Valence electrons are those of the potential that goes by the name of the family alone; where none does, those
        of ``electrons``, else the most for which there are potential and basis set.
        """
        by_file = [read_basis_sets(path) for path in basis_files]
        members = {}
        for element, potentials in read_potentials(potential_file).items():
            valences = [p.n_valence for p in potentials if self._potential(family, p.n_valence) in p.names]
            usual = [p.n_valence for p in potentials if f"GTH-{family}" in p.names and p.n_valence in valences]
            if element in self.electrons:
                usual = [self.electrons[element]]
            sets = [basis for held in by_file for basis in held.get(element, ())]
            for n in usual[:1] or sorted(valences, reverse=True):
                basis = next((name for name in self._basis_names(family, n) if _holds(sets, name, n)), None)
                if basis is not None and n in valences:
                    members[element] = KindDefault(element, basis, self._potential(family, n), n)
                    break
        return members

    def tabulated(self, family: str) -> Mapping[str, KindDefault]:
        """Members in the files that the shipped table was made of."""
        table: Mapping[str, Mapping[str, int]] = _table().get(self.name, {}).get(family, {})
        return {
            element: KindDefault(element, basis.format(family=family, n=n), self._potential(family, n), n)
            for basis, members in table.items()
            for element, n in members.items()
        }

    def of(self, element: str, family: str = DEFAULT_FAMILY) -> KindDefault:
        """The default of one element; :class:`UsageError` says what else there is for it when the set has none."""
        members = self.members(family)
        if element in members:
            return members[element]
        others = [other.name for other in list_kind_sets() if element in other.members(family)]
        ways = [f"use --basis {', '.join(others)}"] if others else []
        ways.append(f"name them with --kinds, or --set KIND[{element}]/BASIS_SET=... and KIND[{element}]/POTENTIAL=...")
        raise UsageError(
            f"{', '.join(self.basis_files)} and {self.potential_file} hold no basis set of '{self.name}' with a "
            f"GTH-{family} potential for {element}; {', or '.join(ways)}{_what_there_is(element)}"
        )

    def first_basis(self, member: KindDefault) -> str:
        """The basis set that a member would have if the files held it."""
        return self.bases[0].format(family=family_of(member.potential), n=member.n_valence)

    def _potential(self, family: str, n: int) -> str:
        return self.potential.format(family=family, n=n)

    def _basis_names(self, family: str, n: int) -> list[str]:
        return [name.format(family=family, n=n) for name in self.bases]


@cache
def _members_of(name: str, family: str, files: tuple[tuple[Path, int], ...]) -> Mapping[str, KindDefault]:
    """Members of a set in files, its potential file last, each with its time of change."""
    *basis_files, potential_file = (path for path, _ in files)
    return get_kind_set(name).found(family, basis_files=basis_files, potential_file=potential_file)


def _holds(sets: Sequence["BasisSet"], name: str, n: int) -> bool:
    """Whether a basis set of that name is there, made for ``n`` valence electrons as its other names tell."""
    return any(name in basis.names and basis.n_valence in (n, None) for basis in sets)


def files_with(element: str, name: str) -> list[str]:
    """CP2K's data files of MOLOPT basis sets and GTH potentials that hold a name for an element."""
    held = _names_of(element).items()
    return [file for file, items in held if any(name.upper() in map(str.upper, names) for names in items)]


def _what_there_is(element: str) -> str:
    """The MOLOPT basis sets and GTH potentials of an element in CP2K's files, in words."""
    if data_file("GTH_POTENTIALS") is None:
        return " (CP2K's data files, which may hold more, are not installed here)"
    words = [
        f"{file}: {', '.join(names[0] for names in items[:_SHOWN])}{', ...' if len(items) > _SHOWN else ''}"
        for file, items in _names_of(element).items()
    ]
    return (
        f". CP2K has for {element}: {'; '.join(words)}" if words else f". CP2K's data files hold nothing for {element}"
    )


def _names_of(element: str) -> dict[str, list[tuple[str, ...]]]:
    """Names of each MOLOPT basis set and GTH potential of an element, by data file."""
    place = data_file("GTH_POTENTIALS")
    found = {}
    for path in sorted(place.parent.glob("*")) if place else ():
        if not path.is_file() or not re.fullmatch(r"BASIS_MOLOPT(_\w+)?|\w+_POTENTIALS|POTENTIAL_UZH", path.name):
            continue
        held: Sequence[BasisSet | Pseudopotential]
        held = (read_basis_sets if path.name.startswith("BASIS") else read_potentials)(path).get(element, ())
        names = [item.names for item in held if "MOLOPT" in item.names[0] or item.names[0].startswith("GTH-")]
        if names:
            found[path.name] = names
    return found


_SHOWN = 4
"""Names of a file that a message shows."""


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
    bases, files = tuple(entry["bases"]), tuple(entry["basis_files"])
    return KindSet(
        name, entry["about"], bases, files, entry["potential"], entry["potential_file"], entry.get("electrons", {})
    )


@cache
def _table() -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml_document(shipped("cp2k_templates", "kind_table.yaml"))
    return content


@cache
def _functionals() -> tuple[tuple[frozenset[str], tuple[str, ...]], ...]:
    content = yaml_document(shipped("cp2k_templates", "kinds.yaml"))["functionals"]
    rows = [(frozenset(name.split("+")), tuple(families)) for name, families in content.items()]
    return tuple(sorted(rows, key=lambda row: -len(row[0])))


def families_of(functional: str) -> tuple[str, ...]:
    """Families of potentials for a functional: made for it, then used with it; empty for one that is not known.

    Parameters
    ----------
    functional
        Its parts as an input names them, ``BLYP`` or ``BECKE88+LYP``; the row of ``kinds.yaml`` with the most of them
        counts, and exact exchange (``HF(0.25)``) does not.
    """
    parts = set(functional.upper().split("+"))
    return next((families for needed, families in _functionals() if needed <= parts), ())


_SAME_FAMILY = {"LDA": "PADE", "GGA": "PBE", "MGGA": "SCAN", "HYB": "PBE0"}
"""Second names of families in CP2K's files."""


def family_of(potential: str) -> str | None:
    """Family of a GTH potential by its name: GTH-BLYP-q4 → BLYP; ``None`` for other potentials."""
    match = re.fullmatch(r"GTH-([A-Z\d]+)(-Q\d+)?", potential.upper())
    return _SAME_FAMILY.get(match.group(1), match.group(1)) if match else None


def orbital_basis(kind: Section) -> str | None:
    """Name of the orbital basis set in a ``&KIND``; auxiliary ones (``BASIS_SET RI_AUX ...``) are passed over."""
    for keyword in kind.keywords("BASIS_SET"):
        words = words_of(keyword.value)
        if len(words) == 1 or (words and words[0].upper() == "ORB"):
            return words[-1]
    return None


def potential_in(kind: Section) -> str | None:
    """Name of the potential in a ``&KIND``."""
    words = [
        word for name in ("POTENTIAL", "POT") for keyword in kind.keywords(name) for word in words_of(keyword.value)
    ]
    return words[-1] if words else None


@dataclass(frozen=True)
class OwnKind:
    """What a user's file gives an element; ``None`` leaves it to the set.

    Attributes
    ----------
    basis_file, potential_file
        File that holds it, where it is not among those of the set.
    """

    basis: Word | None = None
    potential: Word | None = None
    basis_file: Word | None = None
    potential_file: Word | None = None


def read_own_kinds(path: Path) -> Mapping[str, OwnKind]:
    """Read a YAML file of element → ``basis``, ``potential`` and the files they stand in.

    Raises
    ------
    DataError
        If the file cannot be read.
    UsageError
        If it says something else; the message names the key.
    """
    content = yaml_document(path, mistake=UsageError)
    example = "Ag: {basis: DZVP-MOLOPT-PBE-GTH-q11, basis_file: BASIS_MOLOPT_UZH, potential: GTH-PBE-q11}"
    if not isinstance(content, dict) or not content:
        raise UsageError(f"{path}: expected elements such as {example}")
    known = list(OwnKind.__dataclass_fields__)
    own = {}
    for element, entry in content.items():
        if not isinstance(element, str) or not re.fullmatch("[A-Z][a-z]?", element):
            raise UsageError(f"{path}: {element!r} is no element (in quotes where YAML reads a word: 'No', 'Y', 'N')")
        if not isinstance(entry, dict) or set(entry) - set(known):
            raise UsageError(f"{path}: {element} has keys {', '.join(known)}, as in {example}")
        for key, value in entry.items():
            wrong = fault(value, Word)
            if wrong or not value.strip():
                raise UsageError(f"{path}: {key} of {element} is a name, not {value!r}")
        own[element] = OwnKind(**entry)
    return own


_HEADER = re.compile(r"^\s*([A-Za-z]{1,2})\s+(\S.*?)\s*$")
"""Element in any case, then names, some of which begin with a digit."""
_INTEGERS = re.compile(r"^\s*-?\d+(?:\s+-?\d+)*\s*$")


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
    def n_valence(self) -> int | None:
        """Valence electrons it was made for, as one of its names ends in them (-q11); ``None`` where none does."""
        found = {int(match.group(1)) for name in self.names if (match := re.search(r"-q(\d+)$", name))}
        return found.pop() if len(found) == 1 else None

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
            element, names = match.group(1).capitalize(), tuple(match.group(2).split())
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
            element, names = match.group(1).capitalize(), tuple(match.group(2).split())
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

    Without the data file, the ``-qN`` at the end of the name is trusted; a name without one is looked for in the
    shipped table.
    """
    path = data_file(file)
    if path is not None:
        for potential in read_potentials(path).get(element, ()):
            if name.upper() in map(str.upper, potential.names):
                return potential.n_valence
        return None
    match = re.search(r"-q(\d+)$", name, re.IGNORECASE)
    if match:
        return int(match.group(1))
    family = family_of(name)
    sets = [item for item in list_kind_sets() if item.potential_file == file and not item.electrons]
    known = {item.tabulated(family)[element].n_valence for item in sets if family and element in item.tabulated(family)}
    return known.pop() if len(known) == 1 else None
