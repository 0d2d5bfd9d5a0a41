"""Material properties with their sources (``structures/properties.yaml``): expansion, moduli, dielectric constants."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.resources import shipped
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.library import load_yaml

_COMMON = ("material", "quantity", "phase", "temperature_kelvin", "source", "doi", "verified", "note", "uncertainty")


@dataclass(frozen=True)
class Property:
    """One property of one material.

    Attributes
    ----------
    material, quantity
        For example ``PbS`` and ``thermal_expansion``, ``elastic``, ``dielectric``, ``band_edges``.
    values
        Numbers by name; the name carries the unit (``alpha_per_kelvin``, ``c11_gpa``).
    phase, temperature_kelvin
        Phase and temperature (K) it holds for, where the source says so.
    source, doi, verified
        Provenance; ``verified`` is true only when the number was read in the source that is named.
    uncertainty
        One standard uncertainty of the first value, ``None`` when the source gives none.
    note, origin
        Remark, and the file from which the record was read.
    """

    material: str
    quantity: str
    values: Mapping[str, float]
    source: str
    verified: bool
    phase: str | None = None
    temperature_kelvin: float | None = None
    doi: str | None = None
    uncertainty: float | None = None
    note: str = field(default="")
    origin: str = ""


def list_properties(*, quantity: str | None = None, files: Sequence[Path] = ()) -> tuple[Property, ...]:
    """Every property record, or those of one quantity; the user's files come first."""
    return tuple(p for p in _load(tuple(files)) if quantity in (None, p.quantity))


def find_property(material: str, quantity: str, *, files: Sequence[Path] = ()) -> Property | None:
    """The first record of that quantity for a material, or ``None``."""
    return next((p for p in list_properties(quantity=quantity, files=files) if p.material == material), None)


def lattice_at(crystal: Crystal, *, temperature: float | None, files: Sequence[Path] = ()) -> tuple[float, float]:
    """Lattice constant at a temperature, a(T) = a(T₀)·[1 + α·(T − T₀)], and its standard uncertainty (Å).

    Parameters
    ----------
    temperature
        Kelvin; ``None`` returns the constant as it was measured or computed.
    files
        User's files; the first record of an expansion coefficient α found in them goes before the shipped one.

    Raises
    ------
    UsageError
        If ``temperature`` is outside 0 to 2000 K, the crystal has no temperature (a calculation), or no expansion
        coefficient is known for it.
    DataError
        If one of ``files`` cannot be read or holds a bad record.
    """
    a, known = crystal.a_angstrom, crystal.uncertainty_angstrom or 0.0
    if temperature is None:
        return a, known
    if not (math.isfinite(temperature) and 0.0 <= temperature <= 2000.0):
        raise UsageError(f"temperature is {temperature:g} K; expected 0 to 2000 K")
    if crystal.temperature_kelvin is None:
        raise UsageError(
            f"the lattice constant of {crystal.name} in data set {crystal.dataset} has no temperature, so it cannot "
            f"be brought to {temperature:g} K; leave the temperature out"
        )
    step = temperature - crystal.temperature_kelvin
    if abs(step) < 0.5:
        return a, known
    expansion = find_property(crystal.name, "thermal_expansion", files=files)
    if expansion is None:
        raise UsageError(
            f"no thermal expansion coefficient is known for {crystal.name} (lattice constant at "
            f"{crystal.temperature_kelvin:g} K); give one in a file with 'properties'"
        )
    alpha = expansion.values["alpha_per_kelvin"]
    return a * (1.0 + alpha * step), math.hypot(known, a * step * (expansion.uncertainty or 0.0))


@lru_cache(maxsize=8)
def _load(files: tuple[Path, ...]) -> tuple[Property, ...]:
    found: list[Property] = []
    for path in (*files, shipped("structures", "properties.yaml")):
        for index, entry in enumerate(load_yaml(path).get("properties") or [], start=1):
            found.append(_property(entry, f"{path}: property {index}", path.name))
    return tuple(found)


def _property(entry: Any, where: str, origin: str) -> Property:
    if not isinstance(entry, Mapping):
        raise DataError(f"{where} is not a mapping")
    for key in ("material", "quantity", "source"):
        if key not in entry:
            raise DataError(f"{where}: the key '{key}' is missing")
    values = {str(key): value for key, value in entry.items() if key not in _COMMON}
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise DataError(f"{where}: {key} is '{value}', expected a number")
    if not values:
        raise DataError(f"{where}: no value given")
    return Property(
        material=str(entry["material"]),
        quantity=str(entry["quantity"]),
        values=values,
        source=str(entry["source"]),
        verified=bool(entry.get("verified", False)),
        phase=entry.get("phase"),
        temperature_kelvin=entry.get("temperature_kelvin"),
        doi=entry.get("doi"),
        uncertainty=entry.get("uncertainty"),
        note=" ".join(str(entry.get("note", "")).split()),
        origin=origin,
    )
