"""Elastic moduli: cubic constants, isotropic averages, Young's and biaxial moduli, and what was assumed to get them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.composition import Formula, parse_formula
from qdip_struct.materials.properties import find_property

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
    voigt = (c11 - c12 + 3.0 * c44) / 5.0
    reuss = 5.0 * (c11 - c12) * c44 / (4.0 * c44 + 3.0 * (c11 - c12))
    return Moduli(name, (c11 + 2.0 * c12) / 3.0, 0.5 * (voigt + reuss), source, "", c11, c12, c44)


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


def known_moduli(material: str, *, files: Sequence[Path] = ()) -> Moduli | None:
    """Moduli of a pure material from ``properties.yaml`` or the user's files; ``None`` when there are none."""
    record = find_property(material, "elastic", files=files)
    if record is None:
        return None
    values = record.values
    if "c11_gpa" in values:
        return cubic_moduli(
            values["c11_gpa"], values["c12_gpa"], values["c44_gpa"], name=material, source=record.source
        )
    return isotropic_moduli(
        values["bulk_gpa"], shear=values.get("shear_gpa"), poisson=values.get("poisson_ratio"), name=material,
        source=record.source,
    )  # fmt: skip


def mixed_moduli(formula: Formula | str, *, files: Sequence[Path] = ()) -> Moduli | None:
    """Moduli of a pure or mixed crystal: linear in composition between the end members, ``None`` if one is unknown."""
    parsed = parse_formula(formula) if isinstance(formula, str) else formula
    parts = [(known_moduli(name, files=files), weight) for name, weight in parsed.weights()]
    if any(moduli is None for moduli, _ in parts):
        return None
    known = [(moduli, weight) for moduli, weight in parts if moduli is not None]
    if len(known) == 1:
        return replace(known[0][0], name=parsed.text)
    assumptions = [f"{moduli.name}: {moduli.assumption}" for moduli, _ in known if moduli.assumption]
    return Moduli(
        name=parsed.text,
        bulk=sum(weight * moduli.bulk for moduli, weight in known),
        shear=sum(weight * moduli.shear for moduli, weight in known),
        source="linear between " + ", ".join(f"{moduli.name} ({moduli.source})" for moduli, _ in known),
        assumption="; ".join(assumptions),
    )
