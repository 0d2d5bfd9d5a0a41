"""What a person types for a crystal, a list of numbers, shares of ions: each read here, with its own message.

The command line and ``campaign.yaml`` use the same words, so they are read here and nowhere else.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import UsageError

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.builders.atoms.alloy import Arrangement
    from qdip_struct.builders.atoms.material import Material

_COUNTS = {2: "two", 3: "three"}
_ENDINGS = (".cif", ".extxyz", ".vasp", ".poscar", ".xyz", ".json", ".traj", ".inc")


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


def is_structure_file(text: str, *, folder: Path = Path()) -> bool:
    """Whether the word for a crystal names a structure file rather than a crystal."""
    path = folder / text
    known = path.suffix.lower() in _ENDINGS or path.name.upper().startswith(("POSCAR", "CONTCAR"))
    return known or "/" in text or path.is_file()


def crystal_of(
    text: str,
    *,
    dataset: str | None = None,
    lattice: float | None = None,
    arrangement: "Arrangement" = "sqs",
    seed: int = 0,
    folder: Path = Path(),
) -> Any:
    """A crystal by its name, a mixed crystal by its formula, or the structure in a file, for planar builds.

    Parameters
    ----------
    text
        ``NAME[:phase]``, a mixed formula such as ``CsPbBr2I``, or a structure file.
    dataset, lattice
        Data set of the lattice constants; another (pseudo-)cubic lattice constant, Å.
    arrangement, seed
        How the ions of a mixture are placed.
    folder
        Where a relative file name starts.

    Raises
    ------
    UsageError
        If there is no such crystal, or a lattice constant is given with a file.
    DataError
        If the file cannot be read.
    """
    from qdip_struct.builders.atoms.alloy import make_alloy
    from qdip_struct.builders.atoms.store import read_structure
    from qdip_struct.materials.composition import parse_formula
    from qdip_struct.materials.crystals import scaled
    from qdip_struct.materials.datasets import get_crystal

    if is_structure_file(text, folder=folder):
        if lattice is not None:
            raise UsageError(f"{text} is a structure file: its lattice is taken as it is, drop the lattice option")
        return read_structure(folder / text)
    try:
        crystal = get_crystal(text, dataset=dataset)
    except UsageError as unknown:
        try:
            mixed = any(len(part.species) > 1 for part in parse_formula(text).sublattices)
        except UsageError:
            raise unknown from None
        if not mixed:
            raise
        return make_alloy(text, dataset=dataset, arrangement=arrangement, seed=seed, lattice=lattice)
    return crystal if lattice is None else scaled(crystal, lattice=lattice)


def body_of(text: str, *, dataset: str | None = None, folder: Path = Path()) -> "Material | Atoms":
    """A dot or a matrix: the structure in a file when there is one of that name, else a material."""
    from qdip_struct.builders.atoms.material import material
    from qdip_struct.builders.atoms.store import read_structure

    path = folder / text
    if path.suffix and (path.is_file() or path.suffix in (".extxyz", ".xyz", ".cif", ".vasp")):
        return read_structure(path)
    return material(text, dataset=dataset)


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
