"""Atomic sites of a conventional cell: prototypes (rock salt, perovskite, ...) and orbits under symmetry generators."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from qdip_struct.base.errors import DataError
from qdip_struct.materials.ions import CHALCOGENS, DIVALENT, HALIDES, MONOVALENT

STRUCTURE_TYPES = ("rocksalt", "perovskite", "zincblende", "wurtzite", "cscl", "other")

_FCC = ((0.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))


@dataclass(frozen=True)
class Site:
    """One site of the conventional cell.

    Attributes
    ----------
    label
        Sublattice: ``A``, ``B``, ``X`` of a perovskite, ``cation`` or ``anion`` otherwise.
    species
        Element symbol, or ``MA``/``FA`` for a molecular ion whose centre lies here.
    position
        Fractional coordinates in [0, 1).
    atoms
        Of a molecule that a file gave: element and place (Å) of each atom, from ``position`` along the axes of the
        crystal; empty for an ion and for a molecule in its usual geometry.
    """

    label: str
    species: str
    position: tuple[float, float, float]
    atoms: tuple[tuple[str, float, float, float], ...] = ()


def prototype_sites(
    structure_type: str, *, species: Mapping[str, str] | None, name: str, where: str
) -> tuple[tuple[Site, ...], str, int]:
    """Sites, space group and number of formula units of a prototype's conventional cell.

    Perovskite: B (Pb) at the corner, X at the three edge centres, A at the body centre. Rock salt: metal on the face-
    centred lattice through the origin, anion shifted by (½,½,½). These share the corner metal and the edge anions.

    Parameters
    ----------
    structure_type
        Name of the prototype.
    species
        Species by sublattice; ``None`` reads them from the name.
    name
        Formula of the crystal.
    where
        Which record is read, for messages.

    Raises
    ------
    DataError
        If the type has no prototype or the species cannot be told from the name.
    """
    if structure_type == "perovskite":
        a, b, x = _species(species, ("A", "B", "X"), name=name, where=where)
        edges = ((0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5))
        sites = (
            Site("B", b, (0.0, 0.0, 0.0)),
            *(Site("X", x, edge) for edge in edges),
            Site("A", a, (0.5, 0.5, 0.5)),
        )
        return sites, "Pm-3m", 1
    cation, anion = _species(species, ("cation", "anion"), name=name, where=where)
    if structure_type == "cscl":
        return (Site("cation", cation, (0.0, 0.0, 0.0)), Site("anion", anion, (0.5, 0.5, 0.5))), "Pm-3m", 1
    if structure_type in ("rocksalt", "zincblende"):
        shift = 0.5 if structure_type == "rocksalt" else 0.25
        cations = tuple(Site("cation", cation, point) for point in _FCC)
        anions = tuple(Site("anion", anion, _wrapped(tuple(v + shift for v in point))) for point in _FCC)
        return cations + anions, "Fm-3m" if structure_type == "rocksalt" else "F-43m", 4
    raise DataError(f"{where}: a record of type '{structure_type}' needs the keys 'orbits' and 'formula_units'")


def sites_from_orbits(orbits: Sequence[Any], *, generators: Sequence[str], where: str) -> tuple[Site, ...]:
    """Expand independent sites ``[label, species, x, y, z]`` by symmetry generators such as ``-x+1/2,-y,z+1/2``.

    The orbit of each site is the closure of its image set under the generators, modulo lattice translations;
    coordinates closer than 10⁻⁴ are one site.

    Raises
    ------
    DataError
        If an entry or a generator cannot be read.
    """
    maps = [_generator(text, where) for text in generators]
    sites: list[Site] = []
    for entry in orbits:
        if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) != 5:
            raise DataError(f"{where}: a site is [label, species, x, y, z], not {entry!r}")
        label, species, *point = entry
        try:
            start = _wrapped(tuple(float(Fraction(str(value))) for value in point))
        except ValueError as error:
            raise DataError(f"{where}: site {entry!r} has a coordinate that is not a number") from error
        orbit, queue = [start], [start]
        while queue:
            current = queue.pop(0)
            for rows in maps:
                image = _wrapped(
                    tuple(sum(c * v for c, v in zip(row[:3], current, strict=True)) + row[3] for row in rows)
                )
                if not any(_same(image, known) for known in orbit):
                    orbit.append(image)
                    queue.append(image)
        sites += [Site(str(label), str(species), (p[0], p[1], p[2])) for p in sorted(orbit)]
    for one, other in itertools.combinations(sites, 2):
        if _same(one.position, other.position):
            raise DataError(f"{where}: {one.species} and {other.species} share the site {one.position}")
    return tuple(sites)


def _species(given: Mapping[str, str] | None, labels: Sequence[str], *, name: str, where: str) -> list[str]:
    if given is not None:
        missing = [label for label in labels if label not in given]
        if missing:
            raise DataError(f"{where}: 'species' lacks '{missing[0]}'")
        return [str(given[label]) for label in labels]
    found = _split(name)
    if found is None or len(found) != len(labels):
        raise DataError(f"{where}: cannot tell the species from the name '{name}'; give 'species'")
    return found


def _split(name: str) -> list[str] | None:
    known = sorted({*MONOVALENT, *DIVALENT, *CHALCOGENS, *HALIDES}, key=len, reverse=True)
    found, rest = [], name
    while rest:
        match = next((species for species in known if rest.startswith(species)), None)
        if match is None:
            return None
        found.append(match)
        rest = rest[len(match) :].lstrip("0123456789")
    return found


@lru_cache(maxsize=64)
def _generator(text: str, where: str) -> tuple[tuple[float, float, float, float], ...]:
    """Read ``-x+1/2,-y,z+1/2`` as three rows (coefficients of x, y, z and the shift)."""
    parts = text.replace(" ", "").lower().split(",")
    if len(parts) != 3:
        raise DataError(f"{where}: symmetry generator '{text}' needs three parts")
    rows = []
    for part in parts:
        coefficients, shift, token = [0.0, 0.0, 0.0], Fraction(0), ""
        for character in part.replace("-", "+-") + "+":
            if character != "+":
                token += character
                continue
            if token in ("x", "y", "z", "-x", "-y", "-z"):
                coefficients["xyz".index(token[-1])] += -1.0 if token.startswith("-") else 1.0
            elif token:
                try:
                    shift += Fraction(token)
                except ValueError as error:
                    raise DataError(f"{where}: cannot read '{token}' in symmetry generator '{text}'") from error
            token = ""
        rows.append((coefficients[0], coefficients[1], coefficients[2], float(shift)))
    return tuple(rows)


def _wrapped(point: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = (round(value % 1.0, 8) % 1.0 for value in point)
    return (x, y, z)


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs((a - b + 0.5) % 1.0 - 0.5) < 1e-4 for a, b in zip(one, other, strict=True))
