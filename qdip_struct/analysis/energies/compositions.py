"""Formation energies of the mixed crystals among the runs of a folder."""

from collections.abc import Sequence
from typing import Any

from qdip_struct.analysis.energies.energy_run import EnergyRun
from qdip_struct.analysis.energies.formation import formation_energies, formula_units
from qdip_struct.analysis.energies.stoichiometry import formula
from qdip_struct.base.errors import MismatchError


def formation_table(runs: Sequence[EnergyRun], *, refused: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Formation energies of mixed bulk crystals against end members, best first."""
    bulks = [run for run in runs if run.role in ("film_bulk_free", "substrate_bulk_free")]
    free = {(run.role.split("_")[0], formula(run.composition)) for run in bulks}
    bulks += [
        run
        for run in runs
        if run.role in ("film_bulk", "substrate_bulk")
        and (run.role.split("_")[0], formula(run.composition)) not in free
        and not _strained(run)
    ]
    try:
        return [item.to_dict() for item in formation_energies(_once(bulks))]
    except MismatchError as error:
        refused.append({"paths": sorted(run.path for run in bulks), "reason": str(error)})
        return []


def _strained(run: EnergyRun) -> bool:
    strain = run.facts.get(f"strain_{run.role.split('_')[0]}") or (0.0, 0.0)
    return max(map(abs, strain)) > 1e-6


def _once(bulks: Sequence[EnergyRun]) -> list[EnergyRun]:
    """Each bulk once: copies in several groups have one composition and one energy."""
    found: dict[tuple[str, float], EnergyRun] = {}
    for run in sorted(bulks, key=lambda run: run.path):
        energy = round(float(run.energy_ev or 0.0) / formula_units(run.composition), 6)
        found.setdefault((formula(run.composition), energy), run)
    return list(found.values())
