"""Answers of whole folders of runs: read what finished, combine what belongs together."""

from typing import Any

import numpy as np

from qdip_struct.analysis.comparability import EnergyRun
from qdip_struct.analysis.energies import combine_group
from qdip_struct.campaign.rundir import RunFolder
from qdip_struct.cp2k.output import read_run
from qdip_struct.errors import DataError


def energies_of(folders: list[RunFolder]) -> dict[str, Any]:
    """Read the runs of the folders and combine them: the document of ``qdip energies --json``."""
    groups: dict[str, list[EnergyRun]] = {}
    refused = []
    for folder in folders:
        try:
            item = _energy_run(folder)
        except DataError as error:
            refused.append({"paths": [str(folder.path)], "reason": str(error)})
            continue
        groups.setdefault(item.group, []).append(item)
    found = []
    for group in sorted(groups):
        result, refusals = combine_group(group, groups[group])
        refused += [{"paths": list(r.paths), "reason": r.reason} for r in refusals]
        if result is not None:
            found.append(result.to_dict())
    return {"groups": found, "refused": refused}


def _energy_run(folder: RunFolder) -> EnergyRun:
    run = read_run(folder.path)
    record = folder.record
    if run.n_atoms is not None and run.n_atoms != record["n_atoms"]:
        raise DataError(f"{folder.path}: the output has {run.n_atoms} atoms, run.json says {record['n_atoms']}")
    return EnergyRun(
        path=str(folder.path),
        role=folder.role,
        group=folder.group,
        status=run.status,
        energy_ev=run.energy_ev,
        composition=record["composition"],
        cell=np.array(record["cell_angstrom"], dtype=float),
        settings=run.settings.to_dict(),
        run_type=run.run_type,
    )
