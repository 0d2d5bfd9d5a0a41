"""What a person types for a list of numbers or for shares of ions: each read here, with its own message.

The command line and ``campaign.yaml`` use the same words, so they are read here and nowhere else.
"""

import math
import re
from collections.abc import Mapping, Sequence

from qdip_struct.base.errors import UsageError

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


def refuse_given(options: object, defaults: Mapping[str, object], *, where: str) -> None:
    """Raise :class:`UsageError` for an option that differs from its default and that ``where`` does not use."""
    for name, default in defaults.items():
        if getattr(options, name) != default:
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
