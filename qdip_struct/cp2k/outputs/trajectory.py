"""Trajectories and the other files that a run wrote beside its output, bound to the project name it printed.

CP2K names them ``PROJECT-…``. Only the endings that CP2K itself writes are accepted after the project name, so that
the files of a project ``run-2`` are not taken for those of ``run``, and never what merely lies around.

CP2K's xyz (``PROJECT-pos-1.xyz``) carries symbols, positions and one line of step, time and energy; cell, region, phase
and charge live in the structure the run was made from. Here they meet again, and go to extxyz frame by frame, without
ever holding two frames. Lengths in Å, energies in eV.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from qdip_struct.base import units
from qdip_struct.base.errors import DataError, MismatchError
from qdip_struct.base.files import refuse_existing
from qdip_struct.cp2k.outputs.lines import cell_vector
from qdip_struct.cp2k.outputs.reader import open_output
from qdip_struct.cp2k.outputs.run import Dynamics, Run

if TYPE_CHECKING:
    from ase import Atoms

_COMMENT = re.compile(
    r"\bi *= *(?P<step>\d+)(?:.*?\btime *= *(?P<time>[-+.\dEe]+))?(?:.*?\bE *= *(?P<energy>[-+.\dEe]+))?", re.IGNORECASE
)
_MOST_ATOMS = 10_000_000
_SAME_ENERGY = 6
"""Decimals of an energy in eV by which a frame and its output know each other."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a trajectory.

    Attributes
    ----------
    step
        CP2K's step counter.
    time_fs
        fs.
    printed_energy_ev
        What CP2K wrote there, eV, whether or not its SCF had converged.
    symbols
        Of the n atoms.
    positions
        (n, 3) Å.
    """

    step: int | None
    time_fs: float | None
    printed_energy_ev: float | None
    symbols: tuple[str, ...]
    positions: np.ndarray


def read_frames(path: Path) -> Iterator[Frame]:
    """Yield the whole frames of an xyz trajectory one at a time; a last frame that is cut off is left out.

    Raises
    ------
    DataError
        If the file is missing or a frame before the last is damaged; the message names the line.
    """
    try:
        stream = path.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    with stream:
        line_number = 1
        empty = True
        while head := stream.readline():
            if not head.strip():
                line_number += 1
                continue
            count = int(head) if head.strip().isdecimal() else 0
            if not 0 < count <= _MOST_ATOMS:
                raise DataError(
                    f"{path}, line {line_number}: expected the number of atoms, found '{head.strip()[:40]}'"
                )
            comment = stream.readline()
            rows = [stream.readline() for _ in range(count)]
            if not rows[-1].endswith("\n"):
                break
            yield _frame(path, line_number, comment, rows)
            empty = False
            line_number += count + 2
        if empty:
            raise DataError(f"{path} holds no whole frame")


def _frame(path: Path, line_number: int, comment: str, rows: Sequence[str]) -> Frame:
    words = [row.split() for row in rows]
    try:
        positions = np.array([[float(x) for x in row[1:4]] for row in words])
        whole = positions.shape == (len(rows), 3) and bool(np.isfinite(positions).all())
    except ValueError:
        whole = False
    if not whole:
        raise DataError(
            f"{path}, frame at line {line_number}: expected 'symbol x y z' in Å in each of {len(rows)} lines"
        )
    found = _COMMENT.search(comment)
    return Frame(
        step=int(found["step"]) if found else None,
        time_fs=_value(found["time"]) if found else None,
        printed_energy_ev=_value(found["energy"], units.EV_PER_HARTREE) if found else None,
        symbols=tuple(row[0] for row in words),
        positions=positions,
    )


def _value(text: str | None, factor: float = 1.0) -> float | None:
    try:
        value = float(text) if text is not None else float("nan")
    except ValueError:
        return None
    return value * factor if np.isfinite(value) else None


def read_cells(path: Path) -> dict[int, np.ndarray]:
    """Cells (3, 3) Å by step from ``PROJECT-1.cell``; rows that are damaged or cut are left out.

    Raises
    ------
    DataError
        If the file is missing or is not a cell file.
    """
    cells: dict[int, np.ndarray] = {}
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            header = stream.readline()
            if "Ax [Angstrom]" not in header:
                raise DataError(
                    f"{path} is not a CP2K cell file: expected the titles 'Step Time [fs] Ax [Angstrom] ...'"
                )
            for line in stream:
                words = line.split()
                if line.endswith("\n") and len(words) >= 11 and words[0].isdecimal():
                    values = [_value(word) for word in words[2:11]]
                    if None not in values:
                        cells[int(words[0])] = np.array(values, dtype=float).reshape(3, 3)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    return cells


def read_dynamics(path: Path, *, n_atoms: int) -> Dynamics | None:
    """What ``PROJECT-1.ener`` tells of a run of ``n_atoms`` atoms; ``None`` without a whole row.

    Rows that are damaged or cut are left out; of a step that a restart repeated, the last row counts.

    Raises
    ------
    DataError
        If the file is missing or is not an energy file of molecular dynamics.
    """
    rows: dict[int, list[float]] = {}
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            if not re.search(r"Time\[fs\].*Temp\[K\].*Cons Qty\[a\.u\.\]", stream.readline()):
                raise DataError(
                    f"{path} is not a CP2K energy file: expected the titles 'Step Nr. Time[fs] Kin.[a.u.] Temp[K] ...'"
                )
            for line in stream:
                words = line.split()
                values = [_value(word) for word in words[1:6]]
                if line.endswith("\n") and len(values) == 5 and words[0].isdecimal() and None not in values:
                    rows[int(words[0])] = [value for value in values if value is not None]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if not rows:
        return None
    table = np.array([rows[step] for step in sorted(rows)])
    time_ps, temperature, conserved = table[:, 0] / 1000, table[:, 2], table[:, 4] * units.EV_PER_HARTREE
    slope = None
    if len(table) > 2 and np.ptp(time_ps) > 0:
        centred = time_ps - time_ps.mean()
        slope = float(centred @ (conserved - conserved.mean()) / (centred @ centred)) / n_atoms
    return Dynamics(
        n_steps=max(rows),
        time_fs=float(table[-1, 0]),
        mean_temperature_kelvin=float(temperature.mean()),
        last_temperature_kelvin=float(temperature[-1]),
        drift_ev_per_atom_per_ps=slope,
    )


def read_printed_cells(outputs: Sequence[Path]) -> dict[float, np.ndarray]:
    """Cells (3, 3) Å that outputs print before each energy, by that energy in eV rounded to 1e-6 as frames carry it."""
    cells: dict[float, np.ndarray] = {}
    vectors: dict[str, tuple[float, ...]] = {}
    for path in outputs:
        with open_output(path) as stream:
            for line in stream:
                if b"Vector " in line and (found := cell_vector(line)) is not None:
                    vectors[found[0]] = found[1]
                elif b"ENERGY| Total" in line and len(vectors) == 3:
                    energy = _value(line.rsplit(None, 1)[-1].decode(errors="replace"), units.EV_PER_HARTREE)
                    if energy is not None:
                        cells[round(energy, _SAME_ENERGY)] = np.array([vectors[name] for name in "abc"])
    return cells


def labelled(
    frames: Iterable[Frame],
    *,
    reference: "Atoms",
    run: Run | None = None,
    cells: dict[int, np.ndarray] | None = None,
    printed_cells: dict[float, np.ndarray] | None = None,
) -> Iterator["Atoms"]:
    """Give each frame the cell and every per-atom array (region, phase, charge, …) of ``reference``.

    ``info`` holds ``step``, ``time_fs`` and, when ``run`` says that the SCF of this step converged, ``energy_ev``; a
    half-converged energy is not passed on. ``cells`` replaces the reference's cell step by step; where
    they have none, ``printed_cells`` (:func:`read_printed_cells`) do it by the energy of the frame.

    Raises
    ------
    MismatchError
        If a frame's symbols are not those of ``reference`` in the same order.
    """
    symbols = tuple(reference.get_chemical_symbols())
    good = {step.index for step in run.steps if step.scf_converged} if run is not None else set()
    bad = {step.index for step in run.steps if step.scf_converged is False} if run is not None else set()
    for frame in frames:
        if tuple(element_of_kind(symbol) for symbol in frame.symbols) != symbols:
            raise MismatchError(
                f"step {frame.step} has {len(frame.symbols)} atoms whose symbols or order are not those of the "
                f"reference structure with {len(symbols)}: give the structure this run was made from"
            )
        atoms = reference.copy()
        atoms.positions = frame.positions
        if cells and frame.step in cells:
            atoms.cell = cells[frame.step]
        elif printed_cells and frame.printed_energy_ev is not None:
            atoms.cell = printed_cells.get(round(frame.printed_energy_ev, _SAME_ENERGY), atoms.cell)
        atoms.info = {
            key: value for key, value in (("step", frame.step), ("time_fs", frame.time_fs)) if value is not None
        }
        if frame.step in good and frame.step not in bad and frame.printed_energy_ev is not None:
            atoms.info["energy_ev"] = frame.printed_energy_ev
        yield atoms


def element_of_kind(symbol: str) -> str:
    """The element that a kind's name in a trajectory begins with, such as ``Pb`` of ``PB_gh``."""
    found = re.match(r"[A-Za-z]{1,2}", symbol)
    return found.group().capitalize() if found else symbol


def write_extxyz(path: Path, frames: Iterable["Atoms"], *, provenance: dict[str, Any], force: bool = False) -> int:
    """Write frames to one extxyz file as they come and return their number; no partial file is left behind.

    The first frame's comment line carries ``provenance`` as JSON.

    Raises
    ------
    UsageError
        If ``path`` exists and ``force`` is not set.
    DataError
        If the disk refuses the write.
    """
    refuse_existing(path, force=force)
    count = 0
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            for atoms in frames:
                if count == 0:
                    atoms.info["provenance"] = json.dumps(provenance, ensure_ascii=True)
                _write_frame(stream, atoms)
                count += 1
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
    return count


def _write_frame(stream: IO[str], atoms: "Atoms") -> None:
    from ase.io.extxyz import write_xyz

    write_xyz(stream, [atoms])


_CUBES = (
    r"ELECTRON_DENSITY|SPIN_DENSITY|TOTAL_DENSITY|v_hartree|v_xc|v_external|ELF(?:_S\d+)?|WFN_\d+_\d|efield_[xyz]"
    r"|PRINT_MODULE-\w+|STM(?:_\w+)?"
)
_PATTERNS = {
    "positions": re.compile(r"pos-1\.xyz"),
    "forces": re.compile(r"frc-1\.xyz"),
    "velocities": re.compile(r"vel-1\.xyz"),
    "cells": re.compile(r"1\.cell"),
    "energies": re.compile(r"1\.ener"),
    "restart": re.compile(r"1\.restart"),
    "wavefunction": re.compile(r"RESTART\.(?:wfn|kp)"),
    "pdos": re.compile(r"(?:ALPHA_|BETA_)?(?:k|list)\d+-1(?:_\d+)?\.pdos"),
    "bands": re.compile(r"bands\.bs"),
    "cubes": re.compile(rf"(?:{_CUBES})-1(?:_\d+)?\.cube"),
}


@dataclass(frozen=True)
class SideFiles:
    """Files of one run; ``None`` or empty where CP2K wrote none.

    Attributes
    ----------
    restart, wavefunction
        The last ones.
    bands
        Energies along lines or on a mesh of k-points.
    cubes
        Last file of each quantity.
    """

    positions: Path | None = None
    forces: Path | None = None
    velocities: Path | None = None
    cells: Path | None = None
    energies: Path | None = None
    restart: Path | None = None
    wavefunction: Path | None = None
    bands: Path | None = None
    pdos: tuple[Path, ...] = ()
    cubes: dict[str, Path] = field(default_factory=dict)


def side_files(run: Run) -> SideFiles:
    """The side files of ``run``, looked for in the folder of its output; none when it printed no project name."""
    folder = run.path if run.path.is_dir() else run.path.parent
    if run.project is None or not folder.is_dir():
        return SideFiles()
    # a PROJECT may name a folder: CP2K writes its files there
    place = folder / f"{run.project}-"
    prefix, where = place.name, place.parent
    names = sorted(item.name for item in where.iterdir() if item.is_file()) if where.is_dir() else []
    found: dict[str, list[str]] = {kind: [] for kind in _PATTERNS}
    for name in names:
        if name.startswith(prefix):
            for kind, pattern in _PATTERNS.items():
                if pattern.fullmatch(name[len(prefix) :]):
                    found[kind].append(name)
    cubes = sorted(found.pop("cubes"), key=lambda name: (name.rsplit("-", 1)[0], _step(name)))
    pdos = found.pop("pdos")
    return SideFiles(
        pdos=tuple(where / name for name in pdos),
        cubes={name[len(prefix) :].rsplit("-", 1)[0]: where / name for name in cubes},
        **{kind: where / entries[-1] for kind, entries in found.items() if entries},
    )


def _step(name: str) -> int:
    found = re.search(r"_(\d+)\.cube$", name)
    return int(found.group(1)) if found else -1
