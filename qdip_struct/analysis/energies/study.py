"""Answers of whole folders of runs: read what finished, combine what belongs together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from msgspec import UNSET

from qdip_struct.analysis.energies.chemical_potential import potential_table
from qdip_struct.analysis.energies.comparability import EnergyRun
from qdip_struct.analysis.energies.energies import GroupEnergies, combine_group
from qdip_struct.analysis.energies.formation import formation_table
from qdip_struct.analysis.energies.groups import RunSet, run_sets
from qdip_struct.analysis.energies.ranking import mean_over_terminations, ranking
from qdip_struct.analysis.energies.registry_map import registry_maps
from qdip_struct.analysis.energies.stoichiometry import element_of
from qdip_struct.analysis.energies.surface_series import adsorption_by_thickness, thickness_series
from qdip_struct.base.cp2k_input import expand_input
from qdip_struct.base.errors import DataError, NotTaken, not_taken
from qdip_struct.base.files import read_text
from qdip_struct.base.units import J_PER_M2_PER_MEV_PER_ANGSTROM2
from qdip_struct.cp2k.inputs.grid_noise import noise_doubt
from qdip_struct.cp2k.inputs.input_settings import input_settings
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.cp2k.tasks import task_of
from qdip_struct.runs.rundir import INPUT, RECORD, RunFolder, segment_name

CELL_TOLERANCE_ANGSTROM = 2e-3
"""Outputs print cell vectors to 0.001 Å."""


@dataclass(frozen=True)
class Answers:
    """Energies of whole folders.

    Attributes
    ----------
    runs
        As read.
    studies
        What they make, with the energies of each.
    refused
        Runs that could not be combined.
    """

    runs: tuple[EnergyRun, ...]
    studies: tuple[tuple[RunSet, GroupEnergies], ...]
    refused: tuple[NotTaken, ...] = ()


def energies_of(
    folders: Sequence[RunFolder],
    *,
    damaged: Sequence[NotTaken] = (),
    rank_by: str = "adsorption",
    formation_energies: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Read the runs of the folders and combine them: the document of ``qdip energies --json``.

    Parameters
    ----------
    folders
        Run folders.
    damaged
        Run folders that could not be opened: they stand among the refused ones.
    rank_by
        What the table of several groups is sorted by, see :data:`qdip_struct.analysis.energies.ranking.RANKINGS`.
    formation_energies
        Energies (eV) of forming one formula unit of a crystal from the reservoir's crystal and the rest, by formula,
        for chemical potentials whose other limit has no run.
    """
    answers = combine(folders)
    refused = [*damaged, *answers.refused]
    document: dict[str, Any] = {"groups": [], "refused": []}
    for item, energies in answers.studies:
        table, why = potential_table(item, energies, formation_energies=formation_energies or {})
        refused += [why] if why else []
        document["groups"].append(with_joules({**energies.to_dict(), "chemical_potential": table}))
    series, odd_slabs = thickness_series(answers.runs)
    document["thickness_series"] = with_joules(series)
    document["adsorption_by_thickness"] = with_joules(adsorption_by_thickness(document, answers.studies))
    document["means_of_terminations"] = with_joules(mean_over_terminations(answers.studies))
    maps, odd_maps = registry_maps(answers.studies, folders)
    document["registry_maps"] = with_joules(maps)
    document["formation_energies"], odd_bulks = formation_table(answers.runs)
    document["ranking"] = with_joules(ranking(document, answers.studies, by=rank_by))
    document["refused"] = [item.to_dict() for item in (*refused, *odd_slabs, *odd_maps, *odd_bulks)]
    return document


def combine(folders: Sequence[RunFolder]) -> Answers:
    """Read every run and combine each study."""
    runs: list[EnergyRun] = []
    refused: list[NotTaken] = []
    for folder in folders:
        try:
            runs.append(energy_run(folder))
        except DataError as error:
            refused.append(not_taken(folder.path, error))
    studies = []
    for item in run_sets(runs):
        result, refusals = combine_group(item.name, item.runs, facts=item.facts, borrowed=item.borrowed)
        refused += refusals
        if result is not None:
            studies.append((item, replace(result, warnings=(*item.warnings, *result.warnings))))
    return Answers(tuple(runs), tuple(studies), tuple(dict.fromkeys(refused)))


def energy_run(folder: RunFolder) -> EnergyRun:
    """One run folder as energies need it.

    Raises
    ------
    DataError
        If there is no output, or it is not that of the structure in ``run.json``.
    """
    run = read_run(folder.path)
    record = folder.record
    n_atoms, composition, vectors = record.n_atoms, record.composition, record.cell_angstrom
    if n_atoms is UNSET or composition is UNSET or vectors is UNSET:
        told = {"n_atoms": n_atoms, "composition": composition, "cell_angstrom": vectors}
        lacking = next(key for key, value in told.items() if value is UNSET)
        raise DataError(f"{folder.path / RECORD} lacks {lacking}; make the folder again with 'qdip inputs --force'")
    if run.n_atoms is not None and run.n_atoms != n_atoms:
        raise DataError(f"{folder.path}: the output has {run.n_atoms} atoms, run.json says {n_atoms}")
    cell = np.array(vectors, dtype=float)
    task = task_of(run.run_type)
    if task is None or task.moves != "cell":
        _check_cell(folder, run, cell)
    elif run.cell is not None:
        cell = run.cell
    _check_elements(folder, run, composition)
    doubt = next((text for text in run.warnings if text.startswith("ENERGY| differs")), None)
    if doubt is not None:
        raise DataError(f"{folder.path}: {doubt}")
    return EnergyRun(
        path=str(folder.path),
        role=folder.role,
        group=folder.group,
        status=run.status,
        energy_ev=run.energy_ev,
        composition=composition,
        cell=cell,
        settings=run.settings.to_dict(),
        run_type=run.run_type,
        facts=folder.content.get("structure") or {},
        asked=_asked(folder),
        max_force=run.max_force_ev_per_angstrom,
        grid_doubt=_grid_doubt(run),
        cp2k_version=run.cp2k_version,
        provenance={
            "qdip_version": record.qdip_version,
            "structure_sha256": record.structure_sha256,
            "input_sha256": record.input_sha256 or None,
            "origin": record.origin,
        },
    )


def _grid_doubt(run: Run) -> str | None:
    net = run.net_force_ev_per_angstrom
    if net is None or run.n_atoms is None:
        return None
    return noise_doubt(net, n_atoms=run.n_atoms, cutoff_rydberg=run.settings.cutoff_rydberg)


def _check_cell(folder: RunFolder, run: Run, cell: np.ndarray) -> None:
    if run.cell is not None and np.abs(run.cell - cell).max() > CELL_TOLERANCE_ANGSTROM:
        lengths = [" ".join(f"{x:.3f}" for x in np.linalg.norm(c, axis=1)) for c in (run.cell, cell)]
        raise DataError(f"{folder.path}: the output's cell is {lengths[0]} Å, run.json says {lengths[1]} Å")


def _check_elements(folder: RunFolder, run: Run, composition: Mapping[str, int]) -> None:
    kinds = {element_of(kind) for kind in run.settings.basis if not kind.endswith("_gh")}
    wanted = set(composition)
    if kinds and kinds != wanted:
        raise DataError(
            f"{folder.path}: the output is of {', '.join(sorted(kinds))}, run.json says {', '.join(sorted(wanted))}"
        )


def _asked(folder: RunFolder) -> dict[str, Any]:
    """Settings of the newest input; empty when the folder has none."""
    number = max(folder.n_segments, 1)
    while number > 1 and not segment_name(folder.path / INPUT, number).exists():
        number -= 1
    place = segment_name(folder.path / INPUT, number)
    if not place.exists():
        return {}
    return input_settings(expand_input(read_text(place), source=str(place), folder=place.parent).tree)


def with_joules(document: Any) -> Any:
    """A document with ``…_j_per_m2`` beside every ``…_mev_per_angstrom2``."""
    if isinstance(document, list):
        return [with_joules(item) for item in document]
    if not isinstance(document, dict):
        return document
    found: dict[str, Any] = {}
    for key, value in document.items():
        found[key] = with_joules(value)
        if key.endswith("_mev_per_angstrom2"):
            found[key.replace("_mev_per_angstrom2", "_j_per_m2")] = _joules(value)
    return found


def _joules(value: Any) -> Any:
    if isinstance(value, list):
        return [_joules(item) for item in value]
    return None if value is None else value * J_PER_M2_PER_MEV_PER_ANGSTROM2
