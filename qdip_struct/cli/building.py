"""What the ``build`` commands for planar systems share: reading materials and lists, writing sets of cells."""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.errors import UsageError

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.build.occupation import Occupation

_COMMON = ("json", "out", "force", "config", "debug")


def add_planar_options(parser: argparse.ArgumentParser) -> None:
    """Declare what every command about layers asks: lateral repeat, vacuum, how sites are filled, the file format."""
    add = parser.add_argument
    add("--dataset", metavar="NAME", help="data set of the lattice constants (xrd_298K)")
    add("--repeat", default="1,1", metavar="N,M", help="lateral repeat of the smallest lateral cell (1,1)")
    add("--vacuum", type=float, default=20.0, metavar="A", help="empty length along z, Å (20)")
    add("--a-site", default="molecule", metavar="ION", help="molecule, or one ion such as Cs in its place (molecule)")
    add("--orientation", default="antiparallel", help="of molecules: antiparallel, parallel, random (antiparallel)")
    add("--arrangement", default="sqs", help="of alloys: sqs (special quasi-random) or random (sqs)")
    add("--seed", type=int, default=0, help="seed of alloys and random orientations (0)")
    add("--layer-tolerance", type=float, default=0.5, metavar="A", help="sites this close are one monolayer, Å (0.5)")
    add("--format", default="extxyz", help="extxyz, cif, vasp, xyz or cp2k (extxyz)")


def occupation_of(args: argparse.Namespace) -> "Occupation":
    """How the options fill the sites."""
    from qdip_struct.build.occupation import Occupation

    return Occupation(a_site=args.a_site, orientation=args.orientation, seed=args.seed)


def material(text: str, *, dataset: str | None, lattice: float | None, arrangement: str, seed: int) -> Any:
    """A crystal by its name, a mixed crystal by its formula, or the structure in a file."""
    from qdip_struct.build.alloy import make_alloy
    from qdip_struct.build.store import read_structure
    from qdip_struct.materials.composition import parse_formula
    from qdip_struct.materials.crystals import scaled
    from qdip_struct.materials.datasets import get_crystal

    path = Path(text)
    known_ending = path.suffix.lower() in (".cif", ".extxyz", ".vasp", ".poscar", ".xyz", ".json", ".traj", ".inc")
    if known_ending or path.name.upper().startswith(("POSCAR", "CONTCAR")) or "/" in text or path.is_file():
        if lattice is not None:
            raise UsageError(f"{text} is a structure file: its lattice is taken as it is, drop the lattice option")
        return read_structure(path)
    try:
        crystal = get_crystal(text, dataset=dataset)
    except UsageError as unknown:
        try:
            mixed = any(len(part.species) > 1 for part in parse_formula(text).sublattices)
        except UsageError:
            raise unknown from None
        if not mixed:
            raise
        return make_alloy(text, dataset=dataset, arrangement=arrangement, seed=seed, lattice=lattice)  # type: ignore[arg-type]
    return crystal if lattice is None else scaled(crystal, lattice=lattice)


def numbers(text: str, *, option: str) -> list[float]:
    """Finite numbers separated by commas."""
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} is '{text}'; expected numbers separated by commas") from error
    if not all(map(math.isfinite, values)):
        raise UsageError(f"{option} is '{text}'; expected finite numbers")
    return values


def whole_pair(text: str, *, option: str) -> tuple[int, int]:
    """Two whole numbers such as 3,3."""
    values = numbers(text, option=option)
    if len(values) != 2 or any(value != int(value) for value in values):
        raise UsageError(f"{option} is '{text}'; expected two whole numbers such as 3,3")
    return int(values[0]), int(values[1])


def shares_of(text: str) -> dict[str, float]:
    """Shares of ions: ``Br`` or ``Br0.5I0.5``; they are brought to a sum of 1."""
    import re

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


def check_format(name: str) -> None:
    """Raise :class:`UsageError` for an unknown structure format."""
    from qdip_struct.build.store import FORMATS

    if name not in FORMATS:
        raise UsageError(f"--format is '{name}'; known: {', '.join(FORMATS)}")


def origin_of(args: argparse.Namespace, *, command: str) -> dict[str, Any]:
    """Provenance of the files of a command: its options, and the hash of every structure file it read."""
    from qdip_struct.files import provenance, sha256

    given = {key: value for key, value in sorted(vars(args).items()) if key not in _COMMON}
    hashes = {
        key: sha256(Path(value).read_bytes())
        for key, value in given.items()
        if isinstance(value, str) and key in ("film", "substrate", "material") and Path(value).is_file()
    }
    return provenance(command, given, seed=args.seed, **({"input_sha256": hashes} if hashes else {}))


def write_cells(
    folder: Path, cells: Mapping[str, "Atoms"], *, reports: Mapping[str, Mapping[str, Any]], origin: Mapping[str, Any],
    format: str, force: bool,
) -> dict[str, str]:  # fmt: skip
    """Write every cell with its sidecar, none if one of the files exists; the paths by role."""
    from qdip_struct.build.store import SUFFIX, sidecar_of, write_structure
    from qdip_struct.files import refuse_existing

    paths = {role: folder / f"{role}{SUFFIX[format]}" for role in cells}
    for path in paths.values():
        refuse_existing(path, force=force)
        refuse_existing(sidecar_of(path), force=force)
    for role, atoms in cells.items():
        write_structure(paths[role], atoms, provenance=origin, report=reports[role], force=force, format=format)  # type: ignore[arg-type]
    return {role: str(path) for role, path in paths.items()}


def cell_row(role: str, report: Mapping[str, Any], path: str) -> list[Any]:
    """A line of the table of written cells."""
    nearest = report["min_distance_angstrom"]
    composition = "".join(f"{name}{count if count > 1 else ''}" for name, count in report["composition"].items())
    return [
        role,
        report["n_atoms"],
        composition,
        report["formal_charge"]["total"],
        None if nearest is None else f"{nearest:.3f}",
        path,
    ]
