"""Chemical potentials of the studies of a folder: γ and γ_int between the limits where another crystal would form."""

from collections.abc import Mapping, Sequence
from typing import Any

from qdip_struct.analysis.energies.chemical_potential import (
    PotentialLine,
    PotentialRange,
    range_from_formation_energy,
    range_from_runs,
    slope_of,
    table_of,
)
from qdip_struct.analysis.energies.combination import GroupEnergies
from qdip_struct.analysis.energies.energy_run import EnergyRun
from qdip_struct.analysis.energies.groups import RunSet
from qdip_struct.analysis.energies.stoichiometry import cells_of, ending, formula
from qdip_struct.base.errors import MismatchError


def potential_tables(
    item: RunSet, energies: GroupEnergies, *, formation_energies: Mapping[str, float], refused: list[dict[str, Any]]
) -> dict[str, Any]:
    """``chemical_potential`` of one study: γ of both terminations and γ_int against Δμ, or ``None``."""
    have = {run.role: run for run in item.runs if run.status == "done" and run.energy_ev is not None}
    reservoirs = [run for run in item.runs if run.role == "reservoir" and run.status == "done"]
    slab, bulk = have.get("substrate"), have.get("substrate_bulk")
    if slab is None or bulk is None or not reservoirs or not energies.substrate:
        return {"chemical_potential": None}
    if cells_of(slab.composition, [bulk.composition]) is not None:
        return {"chemical_potential": None}
    component = next(
        (run for run in reservoirs if f"{formula(run.composition)}-rich" == energies.substrate[0].reference), None
    )
    if component is None:
        return {"chemical_potential": None}
    others = [run for run in reservoirs if formula(run.composition) != formula(component.composition)]
    given = formation_energies.get(formula(bulk.composition))
    try:
        span = _span(bulk, component, others, given)
        if span is None:
            return {"chemical_potential": None}
        lines = _lines(have, bulk, component, energies)
    except MismatchError as error:
        refused.append({"paths": [slab.path, bulk.path, component.path], "reason": str(error)})
        return {"chemical_potential": None}
    return {"chemical_potential": table_of(span, lines)}


def _span(
    bulk: EnergyRun, component: EnergyRun, others: Sequence[EnergyRun], given: float | None
) -> PotentialRange | None:
    for other in others:
        counts = cells_of(bulk.composition, [component.composition, other.composition])
        if counts is not None and min(counts) > 0:
            return range_from_runs(bulk, component, other)
    return (
        None
        if given is None
        else range_from_formation_energy(bulk.composition, component.composition, formation_energy_ev=given)
    )


def _lines(
    have: Mapping[str, EnergyRun], bulk: EnergyRun, component: EnergyRun, energies: GroupEnergies
) -> list[PotentialLine]:
    slab = have["substrate"]
    slope = slope_of(slab, bulk, component)
    rich = energies.substrate[0].value
    lines = [PotentialLine(f"γ substrate, {ending(slab.composition, bulk.composition)}", rich, slope)]
    other = have.get("substrate_other")
    if other is not None and energies.substrate_mean is not None:
        name = f"γ substrate, {ending(other.composition, bulk.composition)}"
        lines.append(PotentialLine(name, 2 * energies.substrate_mean - rich, slope_of(other, bulk, component)))
    if energies.interface:
        lines.append(PotentialLine("γ_int", energies.interface[0].value, slope))
    return lines
