"""Which basis set and pseudopotential an element gets: the sets of ``cp2k_templates/kinds.yaml``.

Usable without any CP2K installed; :mod:`qdip_struct.cp2k.inputs.preflight` compares the names with the installed files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from qdip_struct.base.documents import yaml_document
from qdip_struct.base.errors import UsageError
from qdip_struct.base.resources import shipped

DEFAULT_SET = "dzvp"


@dataclass(frozen=True)
class KindDefault:
    """What an element gets.

    Attributes
    ----------
    element, basis, potential
        Its symbol and the names in CP2K's data files.
    n_valence
        Valence electrons.
    """

    element: str
    basis: str
    potential: str
    n_valence: int


@dataclass(frozen=True)
class KindSet:
    """A family of basis sets with its potentials.

    Attributes
    ----------
    name, about
        As on the command line, and one line for people.
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
    return tuple(_kind_set(name, entry, content["valence"]) for name, entry in content["sets"].items())


def get_kind_set(name: str) -> KindSet:
    """The set of that name; :class:`UsageError` lists what there is."""
    sets = {item.name: item for item in list_kind_sets()}
    if name not in sets:
        raise UsageError(f"unknown basis '{name}'; known: {', '.join(sets)}")
    return sets[name]


def _kind_set(name: str, entry: Mapping[str, Any], valence: Mapping[str, int]) -> KindSet:
    instead = entry.get("instead", {})
    elements = {}
    for element, n in _without(valence.items(), entry.get("lacks", ())):
        basis = str(instead.get(element, entry["basis"])).format(n=n)
        elements[element] = KindDefault(element, basis, str(entry["potential"]).format(n=n), n)
    return KindSet(name, entry["about"], tuple(entry["basis_files"]), entry["potential_file"], elements)


def _without(items: Iterable[tuple[str, int]], lacking: Iterable[str]) -> list[tuple[str, int]]:
    return [(element, n) for element, n in items if element not in set(lacking)]
