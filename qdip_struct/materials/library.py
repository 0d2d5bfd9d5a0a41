"""Reading ``structures/crystals.yaml`` and a user's files of the same format: data sets and checked, raw records."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from qdip_struct.base.documents import yaml_document
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.resources import shipped
from qdip_struct.materials.sites import STRUCTURE_TYPES

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
        Temperature to which screens bring every lattice of the set; ``None`` takes the lattices as they are.
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
    return {**entry, "dataset": str(entry.get("dataset", path.stem)), "origin": path.name, "where": where}
