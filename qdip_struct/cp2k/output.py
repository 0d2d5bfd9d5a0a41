"""Finished runs: one pass over an output or a run folder, then one verdict and the numbers that deserve it."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from qdip_struct import units
from qdip_struct.cp2k import blocks
from qdip_struct.cp2k.run import Failure, Run, Settings, Status, Step
from qdip_struct.cp2k.segments import Evaluation, Segment, read_segments
from qdip_struct.errors import DataError

_OPTIMISATIONS = frozenset({"GEO_OPT", "GEOMETRY_OPTIMIZATION", "CELL_OPT"})
_OUTPUT = "run.out"


def is_run_folder(path: Path) -> bool:
    """Whether a folder is one run: it holds ``run.out``, ``run.json`` or ``run.inp``."""
    return any((path / name).is_file() for name in (_OUTPUT, "run.json", "run.inp"))


def output_files(path: Path) -> list[Path]:
    """The output of a run in order: ``run.out``, ``run.out.2``, … of a folder, or the one file.

    Raises
    ------
    DataError
        If there is no such file or the folder holds no ``run.out`` and not exactly one other ``*.out``.
    """
    if not path.exists():
        raise DataError(f"cannot read {path}: no such file or folder")
    if not path.is_dir():
        return [path]
    first = path / _OUTPUT
    numbered = sorted(
        (int(found.group(1)), item)
        for item in path.iterdir()
        if (found := re.fullmatch(r"run\.out\.(\d+)", item.name)) is not None
    )
    files = ([first] if first.exists() else []) + [item for _, item in numbered]
    if not files:
        files = sorted(item for item in path.iterdir() if item.suffix == ".out" and item.is_file())
        if len(files) > 1:
            raise DataError(f"{path} holds {len(files)} outputs and no {_OUTPUT}: name the files one by one")
    if not files:
        raise DataError(f"{path} holds no CP2K output: expected {_OUTPUT} (the run has not started?)")
    return files


def read_run(path: Path) -> Run:
    """Read a run folder or an output file of CP2K 2.5 … 2026.

    ``energy_ev`` is the last energy whose SCF converged; the status is never guessed from an exit code.

    Raises
    ------
    DataError
        If there is nothing to read or it is not CP2K's.
    """
    path = Path(path)
    segments = [segment for file in output_files(path) for segment in read_segments(file)]
    return _join(path, segments)


def read_runs(paths: Iterable[Path]) -> list[Run | Failure]:
    """Read many runs; what cannot be read becomes a :class:`Failure` with its reason."""
    results: list[Run | Failure] = []
    for path in paths:
        try:
            results.append(read_run(Path(path)))
        except DataError as error:
            results.append(Failure(Path(path), str(error)))
    return results


def _join(path: Path, segments: list[Segment]) -> Run:
    last = segments[-1]
    same = [s for s in segments if _belongs(s, last)]
    status, reason = _verdict(last)
    chosen = next(((s, e) for s in reversed(same) for e in reversed(s.evaluations) if _trusted(s, e)), None)
    printed = [e.energy_hartree for s in same for e in s.evaluations if e.energy_hartree is not None]
    energy = chosen[1].energy_hartree if chosen else None
    optimises = last.facts.get("run_type") in _OPTIMISATIONS
    n_atoms = next((s.n_atoms for s in reversed(same) if s.n_atoms), None)
    arrays = _arrays(*chosen, n_atoms=n_atoms) if chosen else {}
    forces = arrays.get("forces")
    max_force = float(np.linalg.norm(forces, axis=1).max()) if forces is not None else None
    gradient = _gradient(*chosen) if chosen else None
    from_gradient = max_force is None and gradient is not None
    walls = [s.wall_time_s if s.wall_time_s is not None else _elapsed(s) for s in same]
    memories = [s.memory_mib for s in same if s.memory_mib is not None]
    evaluations = [e for s in same for e in s.evaluations]
    return Run(
        path=path,
        status=status,
        reason=reason,
        cp2k_version=last.facts.get("version"),
        run_type=last.facts.get("run_type"),
        project=last.facts.get("project"),
        energy_ev=None if energy is None else energy * units.EV_PER_HARTREE,
        last_printed_energy_ev=printed[-1] * units.EV_PER_HARTREE if printed else None,
        n_atoms=n_atoms if n_atoms or forces is None else len(forces),
        scf_converged=last.scf if last.scf is not None else (evaluations[-1].converged if evaluations else None),
        geo_converged=(last.opt_done and status == "done") if optimises else None,
        n_geo_steps=next((s.last_step for s in reversed(same) if s.last_step is not None), None),
        max_force_ev_per_angstrom=gradient * units.EV_PER_ANGSTROM_PER_ATOMIC_FORCE
        if from_gradient and gradient is not None
        else max_force,
        max_force_measure="component" if from_gradient else ("norm" if max_force is not None else None),
        gap_ev=min(chosen[1].gaps) if chosen and chosen[1].gaps else None,
        warnings=tuple(_warnings(same)),
        wall_time_s=sum(w for w in walls if w is not None) if None not in walls else None,
        peak_memory_mib=max(memories) if memories else None,
        n_segments=len(same),
        cell=_cell(chosen[1].cell if chosen and chosen[1].cell else last.cell),
        forces=forces,
        stress_gpa=arrays.get("stress"),
        steps=tuple(
            Step(e.index, None if e.energy_hartree is None else e.energy_hartree * units.EV_PER_HARTREE, e.converged)
            for e in evaluations
        ),
        mulliken_charges=arrays.get("mulliken"),
        hirshfeld_charges=arrays.get("hirshfeld"),
        settings=_settings(last),
    )


def _belongs(segment: Segment, last: Segment) -> bool:
    """Whether an earlier segment is an earlier part of the same run: nothing both of them say differs."""
    if segment.n_atoms and last.n_atoms and segment.n_atoms != last.n_atoms:
        return False
    names = ("project", "run_type", "spin", "charge", "multiplicity", "cutoff")
    both = [(segment.facts[n], last.facts[n]) for n in names if n in segment.facts and n in last.facts]
    return all(a == b for a, b in both)


def _trusted(segment: Segment, evaluation: Evaluation) -> bool:
    if evaluation.converged is not None:
        return evaluation.converged
    return segment.started and segment.ended and not any(e.converged is False for e in segment.evaluations)


def _gradient(segment: Segment, evaluation: Evaluation) -> float | None:
    """CP2K's maximum gradient; a completed optimisation evaluates its last geometry once more and prints none."""
    if evaluation.max_gradient is None and segment.opt_done and len(segment.evaluations) > 1:
        final, before = segment.evaluations[-1], segment.evaluations[-2]
        return before.max_gradient if evaluation is final and before.converged else None
    return evaluation.max_gradient


def _verdict(last: Segment) -> tuple[Status, str]:
    if last.errors:
        with last.path.open("rb") as stream:
            messages = [blocks.read_message(stream, offset=offset) for offset in last.errors]
        return "aborted", next((message for message in messages if message), "CP2K stopped without a message")
    if last.crash:
        return "aborted", last.crash
    if not last.ended:
        return "truncated", last.killed or "the output stops before PROGRAM ENDED: killed, still running, or disk full"
    if last.walltime:
        return "walltime", last.walltime
    if last.exit_request:
        return "walltime", last.exit_request
    if last.scf is False or (last.evaluations and last.evaluations[-1].converged is False):
        return "scf_unconverged", "the SCF of the last step did not converge"
    if last.facts.get("run_type") in _OPTIMISATIONS and not last.opt_done:
        if last.opt_exhausted:
            return "max_steps", "the optimisation used up its steps before it converged"
        return "max_steps", "the optimisation ended without GEOMETRY OPTIMIZATION COMPLETED"
    return "done", ""


def _elapsed(segment: Segment) -> float | None:
    if segment.start is None or segment.end is None:
        return None
    return round((segment.end - segment.start).total_seconds(), 3)


def _arrays(segment: Segment, evaluation: Evaluation, *, n_atoms: int | None) -> dict[str, np.ndarray | None]:
    def read(stream: BinaryIO, name: str, offset: int) -> np.ndarray | None:
        if name == "forces":
            return blocks.read_forces(stream, offset=offset, n_atoms=n_atoms)
        if name == "stress":
            return blocks.read_stress(stream, offset=offset)
        return blocks.read_charges(stream, offset=offset, n_atoms=n_atoms)

    with segment.path.open("rb") as stream:
        return {name: read(stream, name, offset) for name, offset in evaluation.offsets.items()}


def _warnings(segments: list[Segment]) -> list[str]:
    texts: list[str] = []
    for segment in segments:
        with segment.path.open("rb") as stream:
            for offset, count in segment.warnings.values():
                text = blocks.read_message(stream, offset=offset)
                texts.append(text if count == 1 else f"{text} ({count} times)")
    return texts


def _cell(vectors: dict[str, tuple[float, ...]]) -> np.ndarray | None:
    return np.array([vectors[axis] for axis in "abc"]) if len(vectors) == 3 else None


def _settings(segment: Segment) -> Settings:
    def number(name: str, factor: float = 1.0) -> float | None:
        try:
            return float(segment.facts[name]) * factor
        except (KeyError, ValueError):
            return None

    multiplicity, charge, spin = number("multiplicity"), number("charge"), segment.facts.get("spin")
    return Settings(
        functional="+".join(segment.functionals) or None,
        basis=dict(segment.basis),
        potential=dict(segment.potential),
        cutoff_rydberg=number("cutoff", 2.0),
        rel_cutoff_rydberg=number("rel_cutoff", 2.0),
        kpoints=segment.kpoints,
        spin=None if spin is None else ("UKS" if spin == "UKS" else "RKS"),
        multiplicity=None if multiplicity is None else int(multiplicity),
        charge=None if charge is None else int(charge),
        dispersion=segment.facts.get("dispersion"),
        surface_dipole="surface_dipole" in segment.facts,
    )
