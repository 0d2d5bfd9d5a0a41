"""Finished runs: one pass over an output or a run folder, then one verdict and the numbers that deserve it.

The settings that an output prints are those that decide whether two energies may be combined; what it does not print
stands in :mod:`qdip_struct.cp2k.inputs.input_settings`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from qdip_struct.base import units
from qdip_struct.base.errors import DataError, NotTaken, not_taken
from qdip_struct.cp2k.inputs.grid_noise import net_force, noise_doubt
from qdip_struct.cp2k.outputs import blocks
from qdip_struct.cp2k.outputs.lines import Evaluation, Segment
from qdip_struct.cp2k.outputs.reader import open_output, read_segments
from qdip_struct.cp2k.outputs.run import Run, Settings, Spin, Status, Steps
from qdip_struct.cp2k.tasks import is_optimisation, task_of

_OUTPUT = "run.out"

_SAME_HARTREE = 0.01

WITH_REPLICAS = frozenset({"VIBRATIONAL_ANALYSIS", "NORMAL_MODES", "BAND", "PINT"})
"""RUN_TYPEs whose energies CP2K writes to files of their own, ``PROJECT-r-0.out`` or ``PROJECT-BAND1.out``."""

_REPLICA = re.compile(r"(.+)-(?:r-\d{1,9}|BAND\d{1,9})\.out")
_OUTPUT_NAME = re.compile(r"(?:.+\.out|output|cp2k[^/]*\.log)(?:\.gz|\.xz|\.bz2)?")
_SAME_START_S = 5.0

_SAYS_ONLY_THAT = ("=====", "CP2K| Abnormal")


def is_run_folder(path: Path) -> bool:
    """Whether a folder is one run: it holds ``run.out`` or ``run.json``, or ``run.inp`` and no other output."""
    if any((path / name).is_file() for name in (_OUTPUT, "run.json")):
        return True
    return (path / "run.inp").is_file() and not any(path.glob("*.out"))


def output_files(path: Path) -> list[Path]:
    """The output of a run in order: ``run.out``, ``run.out.2``, … of a folder, or the one file.

    Raises
    ------
    DataError
        If there is no such file or the folder holds no ``run.out`` and not exactly one other ``*.out``.
    """
    if not path.exists():
        raise DataError(f"cannot read {path}: no such file or folder")
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"cannot read {path}: it is neither a file nor a folder")
    try:
        names = sorted(item.name for item in path.iterdir() if item.is_file())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    numbered = sorted((int(name[8:]), name) for name in names if re.fullmatch(r"run\.out\.\d{1,9}", name))
    files = [name for name in names if name == _OUTPUT] + [name for _, name in numbered]
    if not files and not is_run_folder(path):
        files = without_replicas(name for name in names if name.endswith(".out"))
        if len(files) > 1:
            raise DataError(f"{path} holds {len(files)} outputs and no {_OUTPUT}: name the files one by one")
    if not files:
        raise DataError(f"{path} holds no CP2K output: expected {_OUTPUT} (the run has not started?)")
    return [path / name for name in files]


def may_be_output(name: str) -> bool:
    """Whether a file of that name is looked at when a folder is searched; packed ones too."""
    return _OUTPUT_NAME.fullmatch(name) is not None and not name.startswith(".")


def without_replicas(names: Iterable[str]) -> list[str]:
    """File names without the outputs of replicas, where there is another output that they may belong to."""
    whole = list(names)
    kept = [name for name in whole if not _REPLICA.fullmatch(name)]
    return kept or whole


def _replicas(main: Segment) -> list[Segment]:
    """What the replicas of a run wrote, in files beside its output: those parts that began when it did."""
    project, folder = main.facts.get("project"), main.path.parent
    if project is None or main.facts.get("run_type") not in WITH_REPLICAS:
        return []
    place = folder / project
    try:
        names = sorted(item.name for item in place.parent.iterdir() if item.is_file())
    except OSError:
        return []
    found: list[Segment] = []
    for name in names:
        known = _REPLICA.fullmatch(name)
        if known and known.group(1) == place.name:
            try:
                found += [part for part in read_segments(place.parent / name) if _began_with(part, main)]
            except DataError:
                continue
    return found


def _began_with(part: Segment, main: Segment) -> bool:
    """Whether a replica's text is of this run: it has no header of its own, or one of the same time."""
    if part.start is None or main.start is None:
        return True
    return abs((part.start - main.start).total_seconds()) <= _SAME_START_S


def read_run(path: Path) -> Run:
    """Read a run folder or an output file of CP2K 2.5 … 2026.

    ``energy_ev`` is the last energy whose SCF converged; the status is never guessed from an exit code. Segments
    (``run.out``, ``run.out.2``, …, or one file with several program headers) are joined into one history; the last
    one decides the status. A last segment that is empty or unreadable counts as truncated.

    Raises
    ------
    DataError
        If there is nothing to read or it is not CP2K's.
    """
    path = Path(path)
    files = output_files(path)
    segments: list[Segment] = []
    for file in files:
        try:
            segments += read_segments(file)
        except DataError as error:
            if len(files) == 1:
                raise
            segments.append(Segment(file, killed=str(error)))
    if not any(segment.facts or segment.last for segment in segments) and len(files) > 1:
        raise DataError(f"{path} holds {len(files)} outputs and CP2K wrote something readable to none of them")
    return _join(path, segments)


@dataclass(frozen=True, eq=False)
class PrintedAtoms:
    """The first geometry that an output prints.

    Attributes
    ----------
    symbols, positions
        Of the n atoms, and (n, 3) Å as printed (six decimals).
    ghosts
        Whether any of them has a basis and no core.
    """

    symbols: tuple[str, ...]
    positions: np.ndarray
    ghosts: bool


def printed_atoms(path: Path) -> PrintedAtoms | None:
    """The atoms that the last output of a run prints before its first energy; ``None`` at a low PRINT_LEVEL.

    Raises
    ------
    DataError
        As :func:`read_run`.
    """
    segment = read_segments(output_files(path)[-1])[-1]
    if segment.coordinates_offset is None:
        return None
    with open_output(segment.path) as stream:
        found = blocks.read_coordinates(stream, offset=segment.coordinates_offset)
    if found is None:
        return None
    symbols, positions, cores = found
    return PrintedAtoms(symbols, positions, ghosts=bool((cores == 0).any()) and "spin" in segment.facts)


def read_runs(paths: Iterable[Path]) -> list[Run | NotTaken]:
    """Read many runs; what cannot be read becomes a :class:`NotTaken` with its reason."""
    results: list[Run | NotTaken] = []
    for path in paths:
        try:
            results.append(read_run(Path(path)))
        except DataError as error:
            results.append(not_taken(Path(path), error))
    return results


def _join(path: Path, segments: Sequence[Segment]) -> Run:
    last = segments[-1]
    same = [segment for segment in segments if _belongs(segment, last)]
    header = next((s for s in reversed(same) if s.facts), last)
    run_type = header.facts.get("run_type")
    replicas = _replicas(last)
    status, reason = _verdict(last, run_type=run_type, replicas=replicas)
    chosen = next(((s, e) for s in reversed(same) if (e := s.trusted()) is not None), None)
    steps = _steps(same)
    printed = steps.energy_ev[np.isfinite(steps.energy_ev)]
    walls = [s.wall_time_s if s.wall_time_s is not None else _elapsed(s) for s in same]
    memories = [s.memory_mib for s in same if s.memory_mib is not None]
    optimises = is_optimisation(run_type)
    settings = printed_settings(header)
    results = _results(*chosen, n_atoms=_n_atoms(same), run_type=run_type) if chosen else {"cell": _cell(header.cell)}
    doubts = _doubts(chosen[1], results, cutoff_rydberg=settings.cutoff_rydberg) if chosen else []
    return Run(
        path=path,
        status=status,
        reason=reason,
        cp2k_version=header.facts.get("version"),
        run_type=run_type,
        project=header.facts.get("project"),
        last_printed_energy_ev=float(printed[-1]) if len(printed) else None,
        n_atoms=_n_atoms(same),
        scf_converged=False if any(map(_failed, replicas)) else _scf_converged(same),
        n_scf_unconverged=(
            # a run without energy lines (BSSE) still warns of each failed SCF
            int((steps.verdict == 0).sum() if len(steps) else sum(part.failures for part in same))
            + sum(_failed(part) for part in replicas)
        ),
        geo_converged=(bool(last.optimised) and _scf_converged([last]) is not False) if optimises else None,
        n_geo_steps=next((s.last_step for s in reversed(same) if s.last_step is not None), None),
        warnings=tuple(
            _warnings([*same, *replicas]) + _strangers(segments, same) + _uncounted(last, replicas) + doubts
        ),
        cp2k_warnings_counted=last.warnings_counted,
        wall_time_s=round(sum(w for w in walls if w is not None), 3) if None not in walls else None,
        peak_memory_mib=max(memories) if memories else None,
        n_segments=len(same),
        frequencies_per_cm=tuple(last.frequencies),
        zero_point_energy_ev=_zero_point(last.frequencies) if status == "done" and last.frequencies else None,
        steps=steps,
        pbc=_pbc(header.facts.get("periodicity")),
        settings=settings,
        **results,
    )


def _belongs(segment: Segment, last: Segment) -> bool:
    """Whether an earlier segment is an earlier part of the same run: nothing that both of them say differs."""
    if segment.n_atoms and last.n_atoms and segment.n_atoms != last.n_atoms:
        return False
    names = ("project", "run_type", "spin", "charge", "multiplicity", "cutoff")
    return all(segment.facts[n] == last.facts[n] for n in names if n in segment.facts and n in last.facts)


def _strangers(segments: Sequence[Segment], same: Sequence[Segment]) -> list[str]:
    others = len(segments) - len(same)
    return [f"the output also holds {others} segment(s) of other runs, which are not counted"] if others else []


def _doubts(evaluation: Evaluation, results: dict[str, Any], *, cutoff_rydberg: float | None) -> list[str]:
    """What does not fit: an energy that is not the SCF's (something was added, or damaged), forces with a resultant."""
    doubts = []
    energy, total = evaluation.energy_hartree, evaluation.total_hartree
    if energy is not None and total is not None and abs(energy - total) >= _SAME_HARTREE:
        doubts.append(f"ENERGY| differs from the SCF's last 'Total energy:' by {energy - total:.6f} hartree")
    forces = results.get("forces")
    if forces is not None:
        noise = noise_doubt(results["net_force_ev_per_angstrom"], n_atoms=len(forces), cutoff_rydberg=cutoff_rydberg)
        doubts += [noise] if noise else []
    return doubts


def _moves_cell(run_type: str | None) -> bool:
    task = task_of(run_type)
    return task is not None and task.moves == "cell"


def _uncounted(last: Segment, replicas: Sequence[Segment]) -> list[str]:
    """A word on warnings that CP2K counted and that stand in none of the files that were read."""
    found = last.n_warnings + sum(part.n_warnings for part in replicas)
    counted = last.warnings_counted or 0
    if counted <= found:
        return []
    return [f"CP2K counted {counted} warnings in this run, of which {found} stand in its output"]


def _failed(part: Segment) -> int:
    """How many SCFs of a segment failed, those before an energy line and those without."""
    return max(part.failed_scf, part.failures, int(part.scf is False))


def _verdict(last: Segment, *, run_type: str | None, replicas: Sequence[Segment] = ()) -> tuple[Status, str]:
    """How a run ended: what went wrong, else whether the text holds what a run of this kind ends with."""
    if last.aborts or (last.errors and not last.ended):
        with open_output(last.path) as stream:
            # The box of an abort says why; the lines on stderr that came with it often only say that.
            messages = [blocks.read_message(stream, offset=offset) for offset in (*last.aborts, *last.errors)]
        telling = [message for message in messages if message and not message.startswith(_SAYS_ONLY_THAT)]
        return "aborted", next(iter(telling or filter(None, messages)), "CP2K stopped without a message")
    if not last.ended:
        if last.crash:
            return "aborted", last.crash
        return "truncated", last.killed or "the output stops before PROGRAM ENDED: killed, still running, or disk full"
    if last.walltime or last.exit_request:
        return "walltime", last.walltime or last.exit_request or ""
    if _scf_converged([last]) is False:
        return "scf_unconverged", "the SCF of the last step did not converge"
    if last.n_processes > 1 and last.failures:
        return "scf_unconverged", f"{last.n_processes} processes wrote into this output, and SCFs of them failed"
    if 1 < last.n_processes > last.n_ended:
        return "truncated", f"{last.n_processes} processes wrote into this output, and {last.n_ended} came to the end"
    if is_optimisation(run_type):
        if last.optimised:
            return "done", ""
        if last.optimised is False:
            return "max_steps", "the optimisation used up its steps before it converged"
        return "max_steps", "the optimisation ended without GEOMETRY OPTIMIZATION COMPLETED"
    return _ENDINGS.get((run_type or "ENERGY").upper(), _unknown_ending)(last, replicas)


_Ending = Callable[[Segment, Sequence[Segment]], tuple[Status, str]]


def _incomplete(what: str) -> tuple[Status, str]:
    return "incomplete", f"CP2K came to its end, but {what}"


def _unknown_ending(last: Segment, replicas: Sequence[Segment]) -> tuple[Status, str]:
    return _incomplete("what a run of this RUN_TYPE ends with is not known here: look at its results yourself")


def _energy_ending(last: Segment, replicas: Sequence[Segment]) -> tuple[Status, str]:
    trusted = last.trusted()
    if trusted is None:
        return _incomplete("printed no energy of a converged SCF")
    if trusted.energy_hartree is None:
        return _incomplete("the line of its energy is damaged or in an unknown unit")
    if "excitations" in last.seen and "excitations_converged" not in last.seen:
        return _incomplete("the excitations of TDDFPT did not converge: raise MAX_ITER")
    return "done", ""


def _dynamics_ending(last: Segment, replicas: Sequence[Segment]) -> tuple[Status, str]:
    status, reason = _energy_ending(last, replicas)
    if status != "done":
        return status, reason
    counters = [number for number in last.indices if number >= 0]
    if not counters or last.first_step is None:
        return _incomplete("no step of molecular dynamics stands in the output")
    done = max(counters) - last.first_step + last.stride
    if last.steps_asked is None:
        return _incomplete(f"it does not print how many steps were asked ({done} were done)")
    if done + last.stride <= last.steps_asked:
        return _incomplete(f"only {done} of {last.steps_asked} steps of molecular dynamics were done")
    return "done", ""


def _propagation_ending(last: Segment, replicas: Sequence[Segment]) -> tuple[Status, str]:
    if last.steps_asked is not None:
        return _dynamics_ending(last, replicas)
    if "propagation_step" not in last.seen:
        return _incomplete("no step of the propagation stands in the output")
    return _energy_ending(last, replicas)


def _needs(meaning: str, what: str) -> _Ending:
    """The ending of a run that puts many SCFs together: all of them converged, and a closing table."""

    def ending(last: Segment, replicas: Sequence[Segment]) -> tuple[Status, str]:
        failed = _failed(last)
        if failed:
            return "scf_unconverged", f"{failed} of the SCFs did not converge"
        return ("done", "") if meaning in last.seen else _incomplete(f"{what} is missing")

    return ending


def _of_replicas(ending: _Ending) -> _Ending:
    """The ending of a run whose SCFs stand in the files of its replicas: they are looked at first."""

    def checked(last: Segment, replicas: Sequence[Segment]) -> tuple[Status, str]:
        failed = sum(_failed(part) for part in (last, *replicas))
        if failed:
            return "scf_unconverged", f"{failed} of the SCFs of the replicas did not converge"
        if (last.warnings_counted is None and not replicas) or _uncounted(last, replicas):
            project = last.facts.get("project", "PROJECT")
            return _incomplete(f"whether its SCFs converged stands in {project}-r-*.out, to be put beside this output")
        return ending(last, replicas)

    return checked


def _vibrations_ending(last: Segment, replicas: Sequence[Segment]) -> tuple[Status, str]:
    return ("done", "") if last.frequencies else _incomplete("it printed no frequencies")


def _band_ending(last: Segment, replicas: Sequence[Segment]) -> tuple[Status, str]:
    tests = next((part.band_tests for part in (last, *reversed(replicas)) if part.band_tests), [])
    if len(tests) == 4:
        return ("done", "") if all(tests) else ("max_steps", "the band used up its steps before it converged")
    return _incomplete("whether the band converged is not printed: ask for &BAND/&CONVERGENCE_INFO")


def _path_ending(last: Segment, replicas: Sequence[Segment]) -> tuple[Status, str]:
    if last.path_steps is None:
        return _incomplete("no step of the path integral stands in the output")
    done, asked = last.path_steps
    return ("done", "") if done >= asked else _incomplete(f"only {done} of {asked} steps were done")


def _nothing_ending(last: Segment, replicas: Sequence[Segment]) -> tuple[Status, str]:
    return "done", "RUN_TYPE NONE: CP2K was asked for nothing"


_ENDINGS: dict[str, _Ending] = {
    **dict.fromkeys(("ENERGY", "ENERGY_FORCE", "WFN_OPT", "WAVEFUNCTION_OPTIMIZATION"), _energy_ending),
    **dict.fromkeys(("MD", "MOLECULAR_DYNAMICS"), _dynamics_ending),
    **dict.fromkeys(("RT_PROPAGATION", "REAL_TIME_PROPAGATION", "EHRENFEST_DYN", "RTP"), _propagation_ending),
    **dict.fromkeys(("VIBRATIONAL_ANALYSIS", "NORMAL_MODES"), _of_replicas(_vibrations_ending)),
    "BAND": _of_replicas(_band_ending),
    "PINT": _of_replicas(_path_ending),
    "BSSE": _needs("bsse_result", "the table of BSSE RESULTS"),
    "DEBUG": _needs("debug_summary", "the summary of differences"),
    **dict.fromkeys(("LINEAR_RESPONSE", "LR"), _needs("response_end", "ENDED LINRES CALCULATION")),
    "NONE": _nothing_ending,
}
"""RUN_TYPE → what tells, in an output that came to its end without a complaint, that the run did what it was for."""


def _scf_converged(segments: Sequence[Segment]) -> bool | None:
    """The verdict on the last SCF of these segments; ``None`` when the text says nothing of one."""
    for segment in reversed(segments):
        if segment.scf is not None:
            return segment.scf
        if segment.last is not None:
            return segment.last.converged if segment.scf_seen else None
    return None


def _steps(segments: Sequence[Segment]) -> Steps:
    return Steps(
        energy_ev=np.concatenate([np.array(s.energies) for s in segments]) * units.EV_PER_HARTREE,
        counter=np.concatenate([np.array(s.indices, dtype=np.int64) for s in segments]),
        verdict=np.concatenate([np.array(s.verdicts, dtype=np.int8) for s in segments]),
    )


def _elapsed(segment: Segment) -> float | None:
    if segment.start is None or segment.end is None:
        return None
    return round((segment.end - segment.start).total_seconds(), 3)


def _n_atoms(segments: Sequence[Segment]) -> int | None:
    for segment in reversed(segments):
        if segment.n_atoms:
            return segment.n_atoms
        if segment.coordinates_offset is not None:
            with open_output(segment.path) as stream:
                return blocks.count_atoms(stream, offset=segment.coordinates_offset)
    return None


def _results(segment: Segment, evaluation: Evaluation, *, n_atoms: int | None, run_type: str | None) -> dict[str, Any]:
    """The fields of a run that belong to its one trusted evaluation.

    CP2K's largest gradient of a cell optimisation counts the derivatives by the cell and is no force.

    A completed optimisation evaluates its last geometry once more and prints neither forces nor gradients then: they
    are those of the step before, at the same geometry.
    """
    energy = evaluation.energy_hartree
    where, gradient = evaluation.offsets, evaluation.max_gradient
    before = evaluation.before
    if segment.optimised and evaluation is segment.last and before is not None and before.converged:
        where = {
            **{name: before.offsets[name] for name in ("forces", "stress", "step") if name in before.offsets},
            **where,
        }
        gradient = before.max_gradient if gradient is None else gradient
    arrays: dict[str, Any] = {}
    with open_output(segment.path) as stream:
        if "forces" in where:
            arrays["forces"] = blocks.read_forces(stream, offset=where["forces"], n_atoms=n_atoms)
        if "stress" in where:
            arrays["stress_gpa"] = blocks.read_stress(stream, offset=where["stress"])
        if "step" in where:
            arrays["criteria"] = blocks.read_criteria(stream, offset=where["step"])
        if "dipole" in where:
            arrays["dipole_debye"] = blocks.read_dipole(stream, offset=where["dipole"])
        if "mulliken" in where:
            charges, moments = blocks.read_charges(stream, offset=where["mulliken"], n_atoms=n_atoms)
            arrays |= {"mulliken_charges": charges, "spin_moments": moments}
        if "hirshfeld" in where:
            arrays["hirshfeld_charges"], _ = blocks.read_charges(stream, offset=where["hirshfeld"], n_atoms=n_atoms)
    if arrays.get("stress_gpa") is not None:
        arrays["pressure_gpa"] = float(np.trace(arrays["stress_gpa"])) / 3
    forces = arrays.get("forces")
    if forces is not None:
        arrays |= {
            "max_force_ev_per_angstrom": float(np.linalg.norm(forces, axis=1).max()),
            "max_force_measure": "norm",
            "net_force_ev_per_angstrom": net_force(forces),
        }
    elif gradient is not None and not _moves_cell(run_type):
        arrays |= {
            "max_force_ev_per_angstrom": gradient * units.EV_PER_ANGSTROM_PER_ATOMIC_FORCE,
            "max_force_measure": "component",
        }
    return {
        **arrays,
        "energy_ev": None if energy is None else energy * units.EV_PER_HARTREE,
        "gap_ev": min(evaluation.gaps) if evaluation.gaps else None,
        "spin_gaps_ev": tuple(evaluation.gaps),
        "cell": _cell(evaluation.cell),
    }


def _zero_point(frequencies: Sequence[float]) -> float:
    """½ Σ h c ν of the real modes, in eV for frequencies in 1/cm."""
    return 0.5 * units.EV_PER_INVERSE_CM * sum(value for value in frequencies if value > 0)


def _pbc(word: str | None) -> tuple[bool, bool, bool] | None:
    return None if word is None else ("X" in word, "Y" in word, "Z" in word)


def _warnings(segments: Sequence[Segment]) -> list[str]:
    texts: list[str] = []
    for segment in segments:
        if segment.warnings:
            with open_output(segment.path) as stream:
                for offset, count in segment.warnings.values():
                    text = blocks.read_message(stream, offset=offset)
                    texts.append(text if count == 1 else f"{text} ({count} times)")
    return texts


def _cell(vectors: dict[str, tuple[float, ...]]) -> np.ndarray | None:
    return np.array([vectors[axis] for axis in "abc"]) if len(vectors) == 3 else None


def printed_settings(segment: Segment) -> Settings:
    """The settings of the run that wrote ``segment``; what it did not print stays ``None`` or empty."""

    def number(name: str, factor: float = 1.0) -> float | None:
        try:
            return float(segment.facts[name]) * factor
        except (KeyError, ValueError):
            return None

    def whole(name: str) -> int | None:
        value = number(name)
        return int(value) if value is not None and value.is_integer() else None

    basis: dict[str, str] = {}
    potential: dict[str, str] = {}
    if segment.kind_offsets:
        with open_output(segment.path) as stream:
            for offset in segment.kind_offsets:
                names, potentials = blocks.read_kinds(stream, offset=offset)
                basis |= names
                potential |= potentials
    spins: tuple[Spin, ...] = get_args(Spin)
    spin = next((name for name in spins if name == segment.facts.get("spin")), None)
    smearing, kelvin = segment.facts.get("smearing"), segment.facts.get("smearing_kelvin")
    return Settings(
        functional="+".join(_functional(segment)) or None,
        basis=basis,
        potential=potential,
        # CP2K prints both cutoffs in hartree.
        cutoff_rydberg=number("cutoff", 2.0),
        rel_cutoff_rydberg=number("rel_cutoff", 2.0),
        kpoints=segment.kpoints,
        spin=spin,
        multiplicity=whole("multiplicity"),
        charge=whole("charge"),
        dispersion=_dispersion(segment.dispersion),
        smearing=f"{smearing} {kelvin} K" if smearing and kelvin else smearing,
        surface_dipole="surface_dipole" in segment.facts,
    )


def _functional(segment: Segment) -> list[str]:
    """Names of the functional's parts, with the fraction of exact exchange."""
    fraction = segment.facts.get("exact_exchange")
    return segment.functionals + ([f"HF({float(fraction):g})"] if fraction and _is_number(fraction) else [])


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+\.\d+", text) is not None


def _dispersion(lines: Sequence[str]) -> str | None:
    """The name of the van der Waals correction: its method and its damping, without literature and parameters."""
    if not lines:
        return None
    method = next((line for line in lines if line.startswith(("DFT-D", "DFTD", "rVV10", "LMKLL", "DRSLL"))), lines[0])
    damping = next((line.split(":")[0] for line in lines if "Damping" in line and "Factor" not in line), None)
    return f"{method}, {damping}" if damping else method
