"""Convergence studies: one structure at several cutoffs, k-point meshes or vacuum widths, or slabs of several layers.

The run folders say in ``run.json`` what was varied (``vary``), so the result can be read from them alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import UNSET

from qdip_struct.base.documents import Number, ResultDocument, Text, Word
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.cp2k.inputs.decisions import look_at
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.runs.rundir import RunFolder

if TYPE_CHECKING:
    from ase import Atoms

PARAMETERS = {"cutoff": "Ry", "rel_cutoff": "Ry", "kpoints": "points", "vacuum": "Å"}
_KEYWORDS = {"cutoff": "CUTOFF", "rel_cutoff": "REL_CUTOFF"}


@dataclass(frozen=True)
class Level:
    """One point of a study.

    Attributes
    ----------
    value
        Of what is varied, in its unit in :data:`PARAMETERS`.
    atoms, request
        What is run, and what sets the value.
    """

    value: float
    atoms: "Atoms"
    request: InputsRequest


@dataclass(frozen=True)
class Point:
    """A finished or unfinished level.

    Attributes
    ----------
    value
        Of what is varied, in its unit in :data:`PARAMETERS`.
    energy_per_atom_ev
        eV, ``None`` unless done.
    difference_mev_per_atom
        Against the finest level, meV.
    """

    value: float
    status: str
    energy_per_atom_ev: float | None
    difference_mev_per_atom: float | None
    wall_time_s: float | None


class _WrittenPoint(msgspec.Struct, frozen=True):
    value: Number
    difference_mev_per_atom: Number | None


def parse_vary(text: str) -> tuple[str, tuple[float, ...]]:
    """``cutoff=200,300,400`` → name and increasing values.

    Raises
    ------
    UsageError
        For an unknown name, fewer than two values, or values that are not positive numbers.
    """
    name, sign, rest = text.partition("=")
    if name not in PARAMETERS or not sign:
        known = ", ".join(f"{key} ({unit})" for key, unit in PARAMETERS.items())
        raise UsageError(f"--vary is NAME=V1,V2,... with one of {known}, not '{text}'")
    try:
        values = tuple(sorted({float(word) for word in rest.split(",")}))
    except ValueError as error:
        raise UsageError(f"--vary {name}: '{rest}' are not numbers separated by commas") from error
    if len(values) < 2 or not all(np.isfinite(v) and v > 0 for v in values):
        raise UsageError(f"--vary {name} needs at least two different positive values, not '{rest}'")
    if name == "kpoints" and any(value != int(value) for value in values):
        raise UsageError(f"--vary kpoints takes whole numbers, not '{rest}'")
    return name, values


def make_levels(atoms: "Atoms", *, name: str, values: Sequence[float], request: InputsRequest) -> list[Level]:
    """The levels of a study of one structure.

    ``kpoints=n`` means n points along the shortest periodic lattice vector and as dense a mesh along the others;
    ``vacuum`` re-centres the slab between half of the value on either side.

    Raises
    ------
    UsageError
        If the vacuum of a structure without vacuum is to be varied.
    """
    geometry = look_at(atoms.cell[:], atoms.positions)
    levels = []
    for value in values:
        if name in _KEYWORDS:
            setting = f"FORCE_EVAL/DFT/MGRID/{_KEYWORDS[name]}={value:g}"
            levels.append(Level(value, atoms, replace(request, set=(*request.set, setting))))
        elif name == "kpoints":
            lengths = atoms.cell.lengths()
            periodic = [axis for axis in range(3) if axis not in geometry.vacuum_axes]
            shortest = min(lengths[axis] for axis in periodic)
            mesh = [max(1, round(value * shortest / lengths[axis])) if axis in periodic else 1 for axis in range(3)]
            levels.append(Level(value, atoms, replace(request, kpoints=",".join(map(str, mesh)))))
        else:
            if not geometry.vacuum_axes:
                raise UsageError("the structure has no vacuum to vary; a slab has")
            changed = atoms.copy()
            changed.center(vacuum=value / 2, axis=geometry.vacuum_axes[-1])
            levels.append(Level(value, changed, request))
    return levels


def read_points(folders: Sequence[RunFolder]) -> tuple[str, list[Point]]:
    """Read a study from its run folders: what was varied, and the points by increasing value.

    The difference is against the finest level that is done: E(value)/n − E(finest)/n.

    Raises
    ------
    DataError
        If a folder belongs to no study, or to another one.
    """
    names, found = set(), []
    for folder in folders:
        vary = folder.record.vary
        if vary is UNSET:
            raise DataError(f"{folder.path} is not part of a convergence study; make one with 'qdip converge'")
        names.add(vary.name)
        found.append(_point(folder, float(vary.value)))
    if len(names) > 1:
        raise DataError(f"the folders vary different things: {', '.join(sorted(names))}; name one study")
    found.sort(key=lambda point: point.value)
    finest = next((p.energy_per_atom_ev for p in reversed(found) if p.energy_per_atom_ev is not None), None)
    points = [
        replace(p, difference_mev_per_atom=1000 * (p.energy_per_atom_ev - finest))
        if p.energy_per_atom_ev is not None and finest is not None
        else p
        for p in found
    ]
    return names.pop(), points


def _point(folder: RunFolder, value: float) -> Point:
    if not folder.n_segments:
        return Point(value, "prepared", None, None, None)
    run = read_run(folder.path)
    n_atoms = sum((folder.record.composition or {}).values())
    energy = run.energy_ev / n_atoms if run.status == "done" and run.energy_ev is not None and n_atoms else None
    return Point(value, run.status, energy, None, run.wall_time_s)


class ConvergenceDocument(ResultDocument, frozen=True):
    """What ``qdip converge`` wrote of a finished study.

    Attributes
    ----------
    vary, unit
        Name of what was varied, and its unit.
    points
        By increasing value.
    """

    KIND, COMMAND = "convergence", "converge"
    KNOWN_BY = frozenset({"vary", "unit", "points"})

    vary: Word
    unit: Text
    points: list[_WrittenPoint]


def points_document(name: str, points: Sequence[Point]) -> dict[str, Any]:
    """The JSON form of a study."""
    return {"vary": name, "unit": PARAMETERS[name], "points": [vars(point) for point in points]}
