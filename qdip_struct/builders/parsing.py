"""What a person types for a request to build: the names there are to choose from, lists of numbers, shares of ions.

The command line and ``campaign.yaml`` use the same words, so they are read here and nowhere else.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal

from qdip_struct.base.errors import UsageError

Faces = Literal["any", "symmetric", "stoichiometric"]
"""What both faces of a slab must be."""
StrainOn = Literal["film", "substrate", "shared"]
Normal = Literal["kept", "relaxed"]
"""Spacings of a strained crystal along its normal."""
InterfaceKind = Literal["slab", "sandwich"]
SHAPES = ("sphere", "ellipsoid", "rod", "cube", "cuboid", "platelet", "octahedron", "cuboctahedron", "dodecahedron",
          "truncated-octahedron", "wulff", "facets")  # fmt: skip
"""Shapes of dots known by name."""
DEFAULT_DIAMETER_ANGSTROM = 30.0
"""Of a dot that is given no size."""
Center = Literal[
    "auto", "metal", "anion", "a-site", "bond", "void", "anion-y", "anion-z", "metal-yz", "metal-xz", "metal-xy"
]
Termination = Literal["BX2", "AX", "cells", "site"]
"""Border rule of a dot: which phase takes the sites it shares with the matrix."""
Surface = Literal["as-cut", "stoichiometric", "metal-rich"]
"""What is done with excess ions of a free dot."""
DotIs = Literal["auto", "crystal", "finished"]
Mode = Literal["auto", "coherent", "insert"]
Neutral = Literal["strict", "report", "off"]
Rule = Literal["swap", "vacancy"]
Top = Literal["BX2", "AX"]
"""Upper surface of the slab below an attached dot."""

_COUNTS = {2: "two", 3: "three"}


def numbers(text: str, *, what: str, count: int | None = None) -> tuple[float, ...]:
    """Finite numbers separated by commas, else :class:`UsageError`."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(map(math.isfinite, values)) or (count is not None and len(values) != count):
        several = "finite numbers" if count is None else f"{count} finite numbers"
        wanted = "one finite number" if count == 1 else f"{several} separated by commas"
        raise UsageError(f"{what} is '{text}'; expected {wanted}")
    return values


def whole_numbers(text: str, *, what: str, count: int | None = None) -> tuple[int, ...]:
    """Whole numbers separated by commas, else :class:`UsageError`."""
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or (count is not None and len(values) != count):
        several = "whole numbers" if count is None else f"{_COUNTS.get(count, count)} whole numbers"
        example = "8,8,8" if count is None else ",".join(["2"] * count)
        raise UsageError(f"{what} is '{text}'; expected {several} separated by commas, for example {example}")
    return values


def shares_of(text: str) -> dict[str, float]:
    """Shares of ions: ``Br`` or ``Br0.5I0.5``, brought to a sum of 1; :class:`UsageError` for anything else."""
    parts = re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)", text)
    if not parts or "".join(name + amount for name, amount in parts) != text:
        raise UsageError(f"'{text}': expected ions with shares such as Br or Br0.5I0.5")
    shares: dict[str, float] = {}
    for name, amount in parts:
        shares[name] = shares.get(name, 0.0) + (float(amount) if amount not in ("", ".") else 1.0)
    total = sum(shares.values())
    if total <= 0.0:
        raise UsageError(f"'{text}': the shares add up to zero")
    return {name: share / total for name, share in shares.items()}


def refuse_given(request: Any, names: Sequence[str], *, where: str) -> None:
    """Raise :class:`UsageError` for an option of a request that differs from its default where it is not used."""
    defaults = {item.name: item.default for item in fields(request)}
    for name in names:
        if getattr(request, name) != defaults[name]:
            raise UsageError(f"--{name.replace('_', '-')} is not used {where}; leave it out")


def number_pairs(text: str | None, *, keys: Sequence[str], option: str) -> dict[str, float]:
    """The pairs as a mapping; empty for ``None``.

    Raises
    ------
    UsageError
        If a part is not ``name=number``, the name is unknown or given twice.
    """
    found: dict[str, float] = {}
    for part in (text or "").split(",") if text else []:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in keys or name in found:
            raise UsageError(f"cannot read '{part}' in {option}; expected {','.join(f'{key}=NUMBER' for key in keys)}")
        try:
            found[name] = float(value)
        except ValueError:
            raise UsageError(f"'{value}' in {option} is not a number") from None
    return found
