"""Crystal records and their data sets, from ``structures/crystals.yaml`` and a user's files of the same format.

A *data set* is one source of lattice constants that belong together (one paper, one method, one temperature). A
record always belongs to exactly one; :func:`get_crystal` never takes a crystal from another data set than the one
asked for, because measured and computed lattices together move a match point by 10 to 20 % of composition.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qdip_struct.errors import DataError, UsageError
from qdip_struct.materials.library import DataSet, load_library
from qdip_struct.materials.sites import Site, prototype_sites, sites_from_orbits

DEFAULT_DATASET = "xrd_298K"

PHASE_ALIASES: dict[str, str] = {
    "alpha": "cubic",
    "α": "cubic",
    "beta": "tetragonal",
    "β": "tetragonal",
    "γ": "gamma",
    "orthorhombic": "gamma",
    "δ": "delta",
    "yellow": "delta",
    "rock salt": "rocksalt",
    "galena": "rocksalt",
    "zb": "zincblende",
    "zinc blende": "zincblende",
    "sphalerite": "zincblende",
    "wz": "wurtzite",
    "pc": "pseudocubic",
    "pseudo-cubic": "pseudocubic",
    "cesium chloride": "cscl",
}
"""Other spellings of a phase that are understood after the colon of ``NAME:phase``."""

_MADE: dict[int, tuple["Crystal", dict[str, Any]]] = {}


@dataclass(frozen=True)
class Crystal:
    """A crystal: its conventional cell, every site of it, and where the numbers come from.

    Parameters
    ----------
    name
        Formula as users type it (``PbS``, ``CsPbBr3``, ``MAPbI3``).
    phase
        ``rocksalt``, ``cubic``, ``tetragonal``, ``pseudocubic``, ``gamma``, ``delta``, ``zincblende``, ``wurtzite``,
        ``cscl``.
    structure_type
        ``rocksalt``, ``perovskite``, ``zincblende``, ``wurtzite``, ``cscl`` or ``other``.
    lengths, angles
        Edges (Å) and angles α, β, γ (degree) of the conventional cell.
    temperature_kelvin
        Temperature of the lattice constants; ``None`` for a calculation without temperature.
    dataset, source, doi, verified
        Provenance; ``verified`` is true only when the number was read in the source that is named.
    sites
        Every site of the conventional cell, fractional coordinates.
    n_formula_units
        Formula units in the conventional cell.
    uncertainty_angstrom
        One standard uncertainty of the (pseudo-cubic) lattice constant, ``None`` when the source gives none.
    note, origin
        Remark, and the file from which the record was read.
    """

    name: str
    phase: str
    structure_type: str
    space_group: str
    lengths: tuple[float, float, float]
    angles: tuple[float, float, float]
    temperature_kelvin: float | None
    dataset: str
    source: str
    doi: str | None
    verified: bool
    sites: tuple[Site, ...]
    n_formula_units: int
    uncertainty_angstrom: float | None = None
    note: str = ""
    origin: str = ""

    @cached_property
    def cell(self) -> np.ndarray:
        """Cell vectors as rows (3, 3), Å; a along x, b in the xy plane."""
        a, b, c = self.lengths
        cos_alpha, cos_beta, cos_gamma = (_cosine(angle) for angle in self.angles)
        sin_gamma = math.sqrt(1.0 - cos_gamma**2)
        x = cos_beta
        y = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
        z = math.sqrt(1.0 - x * x - y * y)
        return np.array([[a, 0.0, 0.0], [b * cos_gamma, b * sin_gamma, 0.0], [c * x, c * y, c * z]])

    @property
    def volume(self) -> float:
        """Volume of the conventional cell, Å³."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def a_angstrom(self) -> float:
        """Cubic or pseudo-cubic lattice constant (V/Z')^(1/3), Å; Z' is the number of parent cubes in the cell.

        A parent cube is one formula unit of a perovskite (so tetragonal I4/mcm has (V/4)^(1/3)), four of rock salt
        or zinc blende, one of CsCl. For wurtzite it is the edge of the zinc-blende cube of the same volume.
        """
        if self.lengths[0] == self.lengths[1] == self.lengths[2] and self.angles == (90.0, 90.0, 90.0):
            per_cube = max(1, round(self.n_formula_units / self._units_per_cube))
            if per_cube == 1:
                return self.lengths[0]
        return (self.volume * self._units_per_cube / self.n_formula_units) ** (1.0 / 3.0)

    @property
    def _units_per_cube(self) -> int:
        return 4 if self.structure_type in ("rocksalt", "zincblende", "wurtzite") else 1

    @property
    def label(self) -> str:
        """``NAME:phase``, as :func:`get_crystal` takes it."""
        return f"{self.name}:{self.phase}"


def scaled(crystal: Crystal, *, lattice: float, source: str | None = None, temperature: float | None = None) -> Crystal:
    """Return the crystal scaled isotropically to the (pseudo-)cubic lattice constant ``lattice`` (Å).

    ``source`` says where that constant comes from (default: given by the user), ``temperature`` (K) what it is for.

    Raises
    ------
    UsageError
        If ``lattice`` is not a length between 1 and 100 Å.
    """
    check_lattice(lattice, what=f"lattice constant of {crystal.name}")
    factor = lattice / crystal.a_angstrom
    a, b, c = crystal.lengths
    cubic = crystal.a_angstrom == a == b == c
    return replace(
        crystal,
        lengths=(lattice, lattice, lattice) if cubic else (a * factor, b * factor, c * factor),
        temperature_kelvin=temperature,
        source=source or f"given: {lattice:g} Å",
        doi=None,
        verified=False,
        uncertainty_angstrom=None,
    )


def with_edges(crystal: Crystal, *, edges: Sequence[float]) -> Crystal:
    """Return the crystal with cell edges given by the user (Å): ``a``, ``a, c`` or ``a, b, c``.

    One number scales the whole cell so that its first edge is ``a``; two set a = b and c, three set every edge.

    Raises
    ------
    UsageError
        If a length is out of range, or two or three different edges are given to a cubic crystal.
    """
    for value in edges:
        check_lattice(value, what=f"lattice constant of {crystal.name}")
    a, b, c = crystal.lengths
    if len(edges) == 1:
        lengths = (edges[0], edges[0] if b == a else b * edges[0] / a, edges[0] if c == a else c * edges[0] / a)
    elif len(edges) == 2:
        if a != b:
            raise UsageError(f"{crystal.label} has three different edges; give one or three lattice constants")
        lengths = (edges[0], edges[0], edges[1])
    elif len(edges) == 3:
        lengths = (edges[0], edges[1], edges[2])
    else:
        raise UsageError(f"{len(edges)} lattice constants for {crystal.name}; expected one to three")
    if a == b == c and len(set(lengths)) > 1:
        raise UsageError(f"{crystal.label} is cubic; give one lattice constant, not {len(edges)} different ones")
    text = ", ".join(f"{value:g}" for value in edges)
    return replace(
        crystal,
        lengths=lengths,
        temperature_kelvin=None,
        source=f"given: {text} Å",
        doi=None,
        verified=False,
        uncertainty_angstrom=None,
    )


def check_lattice(value: float, *, what: str) -> float:
    """Return ``value`` (Å) when it can be a lattice constant.

    Raises
    ------
    UsageError
        If it is not finite or outside 1 to 100 Å.
    """
    if not (math.isfinite(value) and 1.0 <= value <= 100.0):
        raise UsageError(f"{what} is {value:g} Å; expected a length between 1 and 100 Å")
    return value


def get_crystal(spec: str, *, dataset: str | None = None, files: Sequence[Path] = ()) -> Crystal:
    """Find one crystal.

    Parameters
    ----------
    spec
        ``NAME`` or ``NAME:phase``. Without a phase the data set's first record of that name is taken.
    dataset
        Name of the data set (default ``xrd_298K``).
    files
        Files of the format of ``crystals.yaml``; they add records, or replace those of the same name, phase and set.

    Raises
    ------
    UsageError
        If the data set, the crystal or the phase is unknown; the message lists what is known.
    """
    wanted = dataset or DEFAULT_DATASET
    name, _, phase = spec.partition(":")
    name, phase = name.strip(), phase.strip()
    phase = PHASE_ALIASES.get(phase.lower(), phase.lower())
    library = load_library(tuple(files))
    chain = library.chain(wanted)
    for member in chain:
        for record in library.records:
            if record["dataset"] == member and record["name"] == name and phase in ("", record["phase"]):
                return _crystal(record)
    known = [record for record in library.records if record["name"] == name]
    here = [record["phase"] for record in known if record["dataset"] in chain]
    if here:
        raise UsageError(f"no phase '{phase}' of {name} in data set {wanted}; it has: {', '.join(here)}")
    if known:
        elsewhere = ", ".join(sorted({record["dataset"] for record in known}))
        raise UsageError(f"data set {wanted} has no {name}; data sets that have it: {elsewhere}")
    names = ", ".join(dict.fromkeys(record["name"] for record in library.records if record["dataset"] in chain))
    raise UsageError(f"unknown crystal '{name}'; data set {wanted} has: {names}")


def list_crystals(*, dataset: str | None = None, files: Sequence[Path] = ()) -> tuple[Crystal, ...]:
    """Every record, or those of one data set, in the order of the file.

    Raises
    ------
    UsageError
        If the data set is unknown.
    """
    library = load_library(tuple(files))
    chain = library.chain(dataset) if dataset else None
    return tuple(_crystal(r) for r in library.records if chain is None or r["dataset"] in chain)


def get_dataset(name: str, *, files: Sequence[Path] = ()) -> DataSet:
    """One data set by its name; a temperature that it does not give is that of the set it extends.

    Raises
    ------
    UsageError
        If the data set is unknown; the message lists those known.
    """
    library = load_library(tuple(files))
    chain = [library.datasets[member] for member in library.chain(name)]
    temperature = next((d.temperature_kelvin for d in chain if d.temperature_kelvin is not None), None)
    return replace(chain[0], temperature_kelvin=temperature)


def list_datasets(*, files: Sequence[Path] = ()) -> tuple[DataSet, ...]:
    """Every data set, in the order of the file."""
    return tuple(load_library(tuple(files)).datasets.values())


def _crystal(record: dict[str, Any]) -> Crystal:
    key = id(record)
    if key not in _MADE:
        _MADE[key] = (_crystal_from(record), record)
    return _MADE[key][0]


def _crystal_from(record: dict[str, Any]) -> Crystal:
    a = float(record["a"])
    temperature, uncertainty = record.get("temperature_kelvin"), record.get("uncertainty")
    structure_type = record["structure_type"]
    where = record["where"]
    if "sites" in record or "orbits" in record:
        sites = sites_from_orbits(
            record.get("sites") or record["orbits"], generators=record.get("generators") or (), where=where
        )
        space_group = str(record.get("space_group", "P1"))
        units = record.get("formula_units")
        if units is None:
            raise DataError(f"{where}: the key 'formula_units' is missing (formula units in the listed cell)")
    else:
        sites, space_group, units = prototype_sites(
            structure_type, species=record.get("species"), name=record["name"], where=where
        )
        space_group = str(record.get("space_group", space_group))
    return Crystal(
        name=str(record["name"]),
        phase=str(record["phase"]),
        structure_type=structure_type,
        space_group=space_group,
        lengths=(a, float(record.get("b", a)), float(record.get("c", a))),
        angles=_angles(record, structure_type),
        temperature_kelvin=None if temperature is None else float(temperature),
        dataset=record["dataset"],
        source=str(record["source"]),
        doi=record.get("doi"),
        verified=bool(record.get("verified", False)),
        sites=sites,
        n_formula_units=int(units),
        uncertainty_angstrom=None if uncertainty is None else float(uncertainty),
        note=" ".join(str(record.get("note", "")).split()),
        origin=record["origin"],
    )


def _angles(record: Mapping[str, Any], structure_type: str) -> tuple[float, float, float]:
    hexagonal = structure_type == "wurtzite"
    alpha, beta, gamma = (float(record.get(key, 90.0)) for key in ("alpha", "beta", "gamma"))
    return (alpha, beta, float(record.get("gamma", 120.0)) if hexagonal else gamma)


def _cosine(angle: float) -> float:
    return 0.0 if angle == 90.0 else (-0.5 if angle == 120.0 else math.cos(math.radians(angle)))
