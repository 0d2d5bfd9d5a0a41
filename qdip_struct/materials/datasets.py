"""Crystals looked up in their data sets: ``structures/crystals.yaml`` and a user's files of the same format.

A *data set* is one source of lattice constants that belong together (one paper, one method, one temperature). A
record always belongs to exactly one; :func:`get_crystal` never takes a crystal from another data set than the one
asked for, because measured and computed lattices together move a match point by 10 to 20 % of composition. Files are
checked key by key as they are read.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from qdip_struct.base.documents import yaml_document
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import shipped
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.options import DEFAULT_DATASET
from qdip_struct.materials.sites import STRUCTURE_TYPES, prototype_sites, sites_from_orbits

_KEYS = {
    "name", "phase", "dataset", "structure_type", "space_group", "a", "b", "c", "alpha", "beta", "gamma",
    "uncertainty", "temperature_kelvin", "source", "doi", "verified", "note", "species", "generators", "orbits",
    "sites", "formula_units",
}  # fmt: skip


@dataclass(frozen=True)
class DataSet:
    """One source of lattice constants that belong together.

    Attributes
    ----------
    name, title, doi
        Name used on the command line, what it is, where it was published.
    temperature_kelvin
        Temperature to which every lattice of the set is brought where none is asked for, K; ``None`` takes the lattices
        as they are.
    extends
        Data set that supplies the crystals this one lacks (only a user's file may say so; it is then printed).
    """

    name: str
    title: str
    doi: str | None = None
    temperature_kelvin: float | None = None
    extends: str | None = None


class Library:
    """The records of ``crystals.yaml`` and of the user's files, checked, not yet turned into crystals."""

    def __init__(self, datasets: dict[str, DataSet], records: list[dict[str, Any]]) -> None:
        self.datasets = datasets
        self.records = records

    def chain(self, dataset: str) -> tuple[str, ...]:
        """The data set and those it says it extends; :class:`UsageError` when it is unknown."""
        names: list[str] = []
        current: str | None = dataset
        while current is not None and current not in names:
            if current not in self.datasets:
                raise UsageError(f"unknown data set '{current}'; known: {', '.join(self.datasets)}")
            names.append(current)
            current = self.datasets[current].extends
        return tuple(names)


@lru_cache(maxsize=8)
def load_library(files: tuple[Path, ...] = ()) -> Library:
    """Read the shipped records and the given files.

    Raises
    ------
    DataError
        If a file cannot be read or a record of it is not right; the message names the file and the record.
    """
    datasets: dict[str, DataSet] = {}
    records: list[dict[str, Any]] = []
    for path in (shipped("structures", "crystals.yaml"), *files):
        content = load_yaml(path)
        for name, entry in (content.get("datasets") or {}).items():
            datasets[str(name)] = _dataset_from(str(name), entry, path)
        for index, entry in enumerate(content.get("crystals") or [], start=1):
            record = _checked(entry, index, path)
            if record["dataset"] not in datasets:
                datasets[record["dataset"]] = DataSet(record["dataset"], f"records of {path.name}")
            keys = [(r["name"], r["phase"], r["dataset"]) for r in records]
            key = (record["name"], record["phase"], record["dataset"])
            if key in keys:
                if records[keys.index(key)]["origin"] == record["origin"]:
                    raise DataError(f"{path}: {key[0]}:{key[1]} appears twice in data set {key[2]}")
                records[keys.index(key)] = record
            else:
                records.append(record)
    for entry in datasets.values():
        if entry.extends is not None and entry.extends not in datasets:
            raise DataError(f"data set {entry.name} extends '{entry.extends}', which is unknown")
    return Library(datasets, records)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; :class:`DataError` names the file and the line."""
    content = yaml_document(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a mapping with the key 'crystals'")
    return content


def _dataset_from(name: str, entry: Any, path: Path) -> DataSet:
    known = {"title", "doi", "temperature_kelvin", "extends"}
    if not isinstance(entry, Mapping) or set(entry) - known:
        raise DataError(f"{path}: data set '{name}' may have the keys {', '.join(sorted(known))}")
    temperature = entry.get("temperature_kelvin")
    return DataSet(
        name=name,
        title=str(entry.get("title", "")),
        doi=entry.get("doi"),
        temperature_kelvin=None if temperature is None else float(temperature),
        extends=entry.get("extends"),
    )


def _checked(entry: Any, index: int, path: Path) -> dict[str, Any]:
    where = f"{path}: crystal {index}"
    if not isinstance(entry, Mapping):
        raise DataError(f"{where} is not a mapping")
    where += f" ({entry.get('name', 'no name')})"
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise DataError(f"{where}: unknown key '{unknown[0]}'; known: {', '.join(sorted(_KEYS))}")
    missing = [key for key in ("name", "phase", "structure_type", "a", "source") if key not in entry]
    if missing:
        raise DataError(f"{where}: the key '{missing[0]}' is missing")
    if entry["structure_type"] not in STRUCTURE_TYPES:
        raise DataError(f"{where}: structure_type '{entry['structure_type']}'; known: {', '.join(STRUCTURE_TYPES)}")
    for key in ("a", "b", "c", "alpha", "beta", "gamma", "uncertainty", "temperature_kelvin"):
        value = entry.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise DataError(f"{where}: {key} is '{value}', expected a number")
        low, high = {"a": (1, 100), "b": (1, 100), "c": (1, 100)}.get(key, (0, 5000))
        if key in ("alpha", "beta", "gamma"):
            low, high = 20, 160
        if not low <= value <= high:
            raise DataError(f"{where}: {key} is {value:g}, expected {low} to {high}")
    units = entry.get("formula_units", 1)
    if isinstance(units, bool) or not isinstance(units, int) or units < 1:
        raise DataError(f"{where}: formula_units is '{units}', expected a whole number, 1 or more")
    return {**entry, "dataset": str(entry.get("dataset", path.stem)), "origin": path.name, "where": where}


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

_MADE: dict[int, tuple[Crystal, dict[str, Any]]] = {}


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
    DataError
        If one of ``files`` cannot be read or holds a bad record.
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
    DataError
        If one of ``files`` cannot be read or holds a bad record.
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
    DataError
        If one of ``files`` cannot be read or holds a bad record.
    """
    library = load_library(tuple(files))
    chain = [library.datasets[member] for member in library.chain(name)]
    temperature = next((d.temperature_kelvin for d in chain if d.temperature_kelvin is not None), None)
    return replace(chain[0], temperature_kelvin=temperature)


def list_datasets(*, files: Sequence[Path] = ()) -> tuple[DataSet, ...]:
    """Every data set, in the order of the file.

    Raises
    ------
    DataError
        If one of ``files`` cannot be read or holds a bad record.
    """
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
