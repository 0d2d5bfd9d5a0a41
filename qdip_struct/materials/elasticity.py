"""Properties of materials with their sources (``structures/properties.yaml``): expansion, moduli, masses, densities.

Moduli are completed from what is known: cubic constants, isotropic averages, Young's and biaxial moduli, each with a
word on what had to be assumed. Moduli in GPa, molar masses in g/mol, densities in g/cm³, temperatures in K.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import shipped
from qdip_struct.materials.composition import Formula, parse_formula
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.datasets import PHASE_ALIASES, load_yaml
from qdip_struct.materials.ions import FORMULA_MOLECULES, IONS

if TYPE_CHECKING:
    from qdip_struct.base.arrays import Floats

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


def find_property(
    material: str, quantity: str, *, phase: str | None = None, files: Sequence[Path] = ()
) -> Property | None:
    """The first record of that quantity for a material, or ``None``.

    With a phase a record of another phase comes last; the user's records go before the shipped ones, and in one file
    the record of that very phase before one that names none.
    """
    found = [p for p in list_properties(quantity=quantity, files=files) if p.material == material]
    if phase is not None:
        origins = list(dict.fromkeys(p.origin for p in found))
        found.sort(key=lambda p: (p.phase not in (None, phase), origins.index(p.origin), p.phase is None))
    return found[0] if found else None


def outside_field(crystal: Crystal, *, temperature: float, files: Sequence[Path] = ()) -> str:
    """Where the phase of a crystal is stable and by whom, when ``temperature`` (K) lies outside; else empty."""
    field_of = find_property(crystal.name, "phase_field", phase=crystal.phase, files=files)
    if field_of is None or field_of.phase != crystal.phase:
        return ""
    low, high = (field_of.values.get(key) for key in ("from_kelvin", "to_kelvin"))
    if (low is None or temperature >= low) and (high is None or temperature <= high):
        return ""
    span = f"above {low:g} K" if high is None else f"below {high:g} K" if low is None else f"from {low:g} to {high:g} K"
    return f"{span} ({field_of.source})"


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
            f"be brought to {temperature:g} K; leave the temperature (--temperature) out"
        )
    step = temperature - crystal.temperature_kelvin
    if abs(step) < 0.5:
        return a, known
    expansion = find_property(crystal.name, "thermal_expansion", phase=crystal.phase, files=files)
    if expansion is None:
        raise UsageError(
            f"no thermal expansion coefficient is known for {crystal.name}, so its lattice constant cannot be brought "
            f"from {crystal.temperature_kelvin:g} to {temperature:g} K; ask for its own temperature (--temperature "
            f"{crystal.temperature_kelvin:g}), give the lattice constant (--lattice, --dot-lattice, --film-lattice or "
            "--substrate-lattice, as the command has it), or a file with a record of 'thermal_expansion' (--crystals, "
            "where the command takes it)"
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


GRAM_PER_CM3 = 1.66053906660
"""g/cm³ per (g/mol)/Å³: 10²⁴/N_A."""

_PIECE = re.compile(rf"({'|'.join(FORMULA_MOLECULES)}|[A-Z][a-z]?)(\d*\.?\d*)")


def molar_mass(formula: str | Formula) -> float:
    """Molar mass (g/mol) of one formula unit, for example of ``MAPbI3``, ``PbI1.667Br0.333`` or a parsed formula.

    Raises
    ------
    UsageError
        If the text is not a plain formula of known elements, or a site of the formula is free.
    """
    if isinstance(formula, Formula):
        formula.weights()
        formula = formula.text
    text = formula.replace(" ", "")
    pieces = _PIECE.findall(text)
    if not pieces or "".join(name + amount for name, amount in pieces) != text:
        raise UsageError(f"cannot read '{formula}' as a formula; expected for example PbI2 or MAPbI3")
    total = 0.0
    for name, amount in pieces:
        if name not in IONS:
            raise UsageError(f"no atomic mass for '{name}' in '{formula}'; known: {', '.join(IONS)}")
        total += IONS[name].mass * (float(amount) if amount else 1.0)
    return total


def density(crystal: Crystal) -> float:
    """Mass density (g/cm³) of a crystal, Z·M/(V·N_A)."""
    return crystal.n_formula_units * molar_mass(crystal.name) * GRAM_PER_CM3 / crystal.volume


EV_PER_GPA_ANGSTROM3 = 1e-21 / 1.602176634e-19
"""1 GPa·Å³ in eV (exact by the definition of the electronvolt)."""

J_PER_M2_PER_GPA_ANGSTROM = 0.1
"""1 GPa·Å in J/m²."""

ASSUMED_POISSON_RATIO = 0.3


@dataclass(frozen=True)
class Moduli:
    """Isotropic moduli of a material, GPa, and the statement behind them.

    Attributes
    ----------
    name
        The material.
    bulk, shear
        K and G, GPa.
    source
        Where K (and G) come from.
    assumption
        What was assumed to complete them, empty when nothing was.
    c11, c12, c44
        Cubic constants, GPa, where known.
    """

    name: str
    bulk: float
    shear: float
    source: str
    assumption: str = ""
    c11: float | None = None
    c12: float | None = None
    c44: float | None = None

    @property
    def cubic(self) -> tuple[float, float, float]:
        """C₁₁, C₁₂, C₄₄, GPa: as they are known, else those of the isotropic medium."""
        if self.c11 is not None and self.c12 is not None and self.c44 is not None:
            return self.c11, self.c12, self.c44
        return self.bulk + 4.0 * self.shear / 3.0, self.bulk - 2.0 * self.shear / 3.0, self.shear

    @property
    def young(self) -> float:
        """E = 9KG/(3K + G), GPa."""
        return 9.0 * self.bulk * self.shear / (3.0 * self.bulk + self.shear)

    @property
    def poisson(self) -> float:
        """ν = (3K − 2G)/(6K + 2G)."""
        return (3.0 * self.bulk - 2.0 * self.shear) / (6.0 * self.bulk + 2.0 * self.shear)

    @property
    def biaxial(self) -> float:
        """Biaxial modulus, GPa: C₁₁ + C₁₂ − 2C₁₂²/C₁₁ of a (100) film where the constants are known, else E/(1 − ν)."""
        if self.c11 is not None and self.c12 is not None:
            return self.c11 + self.c12 - 2.0 * self.c12**2 / self.c11
        return self.young / (1.0 - self.poisson)


def cubic_moduli(c11: float, c12: float, c44: float, *, name: str = "", source: str = "") -> Moduli:
    """Isotropic moduli of a cubic crystal: K = (C₁₁ + 2C₁₂)/3 and the Voigt–Reuss–Hill mean of G.

    G_V = (C₁₁ − C₁₂ + 3C₄₄)/5, G_R = 5(C₁₁ − C₁₂)C₄₄/(4C₄₄ + 3(C₁₁ − C₁₂)), G = (G_V + G_R)/2
    (Hill, Proc. Phys. Soc. A 65, 349 (1952), doi:10.1088/0370-1298/65/5/307).

    Parameters
    ----------
    c11, c12, c44
        Elastic constants, GPa.
    name, source
        For reports.

    Raises
    ------
    UsageError
        If the constants are not those of a stable crystal (C₁₁ > |C₁₂|, C₁₁ + 2C₁₂ > 0, C₄₄ > 0).
    """
    if not (all(map(math.isfinite, (c11, c12, c44))) and c11 > abs(c12) and c11 + 2.0 * c12 > 0.0 and c44 > 0.0):
        raise UsageError(f"C11, C12, C44 = {c11:g}, {c12:g}, {c44:g} GPa are not those of a stable cubic crystal")
    bulk, shear = hill_average(c11, c12, c44)
    return Moduli(name, bulk, shear, source, "", c11, c12, c44)


_Number = TypeVar("_Number", float, "Floats")


def hill_average(c11: _Number, c12: _Number, c44: _Number) -> tuple[_Number, _Number]:
    """Bulk modulus and the Voigt–Reuss–Hill mean of the shear modulus, GPa, of cubic constants, numbers or arrays."""
    voigt = (c11 - c12 + 3.0 * c44) / 5.0
    reuss = 5.0 * (c11 - c12) * c44 / (4.0 * c44 + 3.0 * (c11 - c12))
    return (c11 + 2.0 * c12) / 3.0, 0.5 * (voigt + reuss)


def isotropic_moduli(
    bulk: float, *, shear: float | None = None, poisson: float | None = None, name: str = "", source: str = ""
) -> Moduli:
    """Moduli from K and either G or Poisson's ratio; with neither, ν = 0.3 is assumed and said.

    G = 3K(1 − 2ν)/(2(1 + ν)).

    Parameters
    ----------
    bulk, shear
        K and G, GPa.
    poisson
        ν, in place of G.
    name, source
        For reports.

    Raises
    ------
    UsageError
        If a modulus is not positive or ν is not between 0 and 0.5.
    """
    if not (math.isfinite(bulk) and bulk > 0.0):
        raise UsageError(f"the bulk modulus is {bulk:g} GPa; expected a positive number")
    if shear is not None:
        if not (math.isfinite(shear) and shear > 0.0):
            raise UsageError(f"the shear modulus is {shear:g} GPa; expected a positive number")
        return Moduli(name, bulk, shear, source)
    ratio = ASSUMED_POISSON_RATIO if poisson is None else poisson
    if not 0.0 < ratio < 0.5:
        raise UsageError(f"Poisson's ratio is {ratio:g}; expected more than 0 and less than 0.5")
    shear = 3.0 * bulk * (1.0 - 2.0 * ratio) / (2.0 * (1.0 + ratio))
    assumption = f"shear modulus {shear:.2f} GPa, assumed from Poisson's ratio {ratio:g}"
    return Moduli(name, bulk, shear, source, assumption if poisson is None else "")


def known_moduli(material: str, *, phase: str | None = None, files: Sequence[Path] = ()) -> Moduli | None:
    """Moduli of a pure material from ``properties.yaml`` or the user's files; ``None`` when there are none.

    With a phase those of that phase come first; those of another phase are an assumption that is said.
    """
    record = find_property(material, "elastic", phase=phase, files=files)
    if record is None:
        return None
    values = record.values
    if "c11_gpa" in values:
        found = cubic_moduli(
            values["c11_gpa"], values["c12_gpa"], values["c44_gpa"], name=material, source=record.source
        )
    else:
        found = isotropic_moduli(
            values["bulk_gpa"], shear=values.get("shear_gpa"), poisson=values.get("poisson_ratio"), name=material,
            source=record.source,
        )  # fmt: skip
    if phase is not None and record.phase not in (None, phase):
        other = f"moduli of the {record.phase} phase in the place of the {phase} one"
        return replace(found, assumption="; ".join(text for text in (found.assumption, other) if text))
    return found


def mixed_moduli(formula: Formula | str, *, files: Sequence[Path] = ()) -> Moduli | None:
    """Moduli of a pure or mixed crystal, ``None`` if those of an end member are unknown.

    C₁₁, C₁₂ and C₄₄ are linear in composition between the end members (an isotropic one has C₁₁ = K + 4G/3,
    C₁₂ = K − 2G/3, C₄₄ = G), and K and G follow from them, so that the moduli are continuous up to each end member. A
    mixture of isotropic end members stays isotropic.
    """
    parsed = parse_formula(formula) if isinstance(formula, str) else formula
    phase = PHASE_ALIASES.get(parsed.phase.lower(), parsed.phase.lower()) or None
    parts = [(known_moduli(name, phase=phase, files=files), weight) for name, weight in parsed.weights()]
    if any(moduli is None for moduli, _ in parts):
        return None
    known = [(moduli, weight) for moduli, weight in parts if moduli is not None]
    if len(known) == 1:
        return replace(known[0][0], name=parsed.text)
    assumptions = [f"{moduli.name}: {moduli.assumption}" for moduli, _ in known if moduli.assumption]
    cubic = any(moduli.c11 is not None for moduli, _ in known)
    c11, c12, c44 = (sum(weight * moduli.cubic[place] for moduli, weight in known) for place in range(3))
    ends = ", ".join(
        f"{moduli.name} ({moduli.source}{', isotropic' if cubic and moduli.c11 is None else ''})" for moduli, _ in known
    )
    mixed = cubic_moduli(c11, c12, c44, name=parsed.text, source=f"linear between {ends}")
    if not cubic:
        mixed = replace(mixed, c11=None, c12=None, c44=None)
    return replace(mixed, assumption="; ".join(assumptions))
