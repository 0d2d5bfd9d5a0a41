"""Surface and interface energies against a chemical potential, between the limits where other crystals would form.

A slab of N bulk units with an excess of m formula units of a component R (AX of a perovskite ABX3) has
γ(Δμ) = γ(R-rich) − m·Δμ/(2A), where Δμ = μ_R − E_R ≤ 0 is the chemical potential of R against bulk R. The lower limit
is where the other component R' (BX2) would form: Δμ_min = ΔE_f/a, ΔE_f = E_bulk − a·E_R − b·E_R' the energy of
forming one unit of the bulk from a R and b R'. Both limits are energies without zero-point or thermal parts. They come
from the crystals among the runs of a folder, or from a formation energy that the user gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qdip_struct.analysis.energies.comparability import EnergyRun, require_comparable
from qdip_struct.analysis.energies.energies import GroupEnergies
from qdip_struct.analysis.energies.groups import RunSet
from qdip_struct.analysis.energies.stoichiometry import Composition, cells_of, ending, reduced_formula, units_per_cell
from qdip_struct.base.errors import MismatchError, NotTaken
from qdip_struct.base.units import MEV_PER_EV

N_TABLE = 5
"""Rows of the table between both limits; the lines are straight."""


@dataclass(frozen=True)
class PotentialRange:
    """Where a compound is stable against its components.

    Attributes
    ----------
    compound
        Formula of the compound.
    component, other
        Formulas of the component whose chemical potential is varied, and of the one that forms at its lower end.
    lower_ev
        Δμ_min ≤ Δμ ≤ 0, eV per formula unit of ``component``.
    formation_energy_ev
        ΔE_f, eV per formula unit of ``compound``; negative when it is stable.
    source
        Where that came from.
    """

    compound: str
    component: str
    other: str
    lower_ev: float
    formation_energy_ev: float
    source: str

    @property
    def stable(self) -> bool:
        """Whether there is a range at all."""
        return self.lower_ev < 0


@dataclass(frozen=True)
class PotentialLine:
    """γ or γ_int against Δμ, a straight line.

    Attributes
    ----------
    rich
        Value at Δμ = 0, meV/Å².
    slope
        −m/(2A), meV/Å² per eV.
    """

    name: str
    rich: float
    slope: float

    def at(self, delta_mu: float) -> float:
        """Value in meV/Å² at Δμ in eV."""
        return self.rich + self.slope * delta_mu


def excess_units(slab: EnergyRun, bulk: EnergyRun, component: EnergyRun) -> float:
    """Formula units of ``component`` that a slab holds beyond whole units of ``bulk`` (negative: missing).

    Raises
    ------
    MismatchError
        If the slab is not made of the two.
    """
    counts = cells_of(slab.composition, [bulk.composition, component.composition])
    if counts is None:
        raise MismatchError(
            f"{slab.path} ({reduced_formula(slab.composition)}) is not made of {reduced_formula(bulk.composition)} and "
            f"{reduced_formula(component.composition)}"
        )
    return counts[1] * units_per_cell(component.composition)


def slope_of(slab: EnergyRun, bulk: EnergyRun, component: EnergyRun) -> float:
    """dγ/dΔμ = −m/(2A), meV/Å² per eV."""
    return -MEV_PER_EV * excess_units(slab, bulk, component) / (2 * slab.area)


def range_from_runs(bulk: EnergyRun, component: EnergyRun, other: EnergyRun) -> PotentialRange:
    """The range between two bulk runs of the components.

    Raises
    ------
    MismatchError
        If the runs do not belong together, are not done, or do not make up the compound.
    """
    runs = (bulk, component, other)
    require_comparable(runs)
    counts = cells_of(bulk.composition, [component.composition, other.composition])
    if counts is None or min(counts) <= 0:
        raise MismatchError(
            f"{reduced_formula(bulk.composition)} is not made of {reduced_formula(component.composition)} and "
            f"{reduced_formula(other.composition)}"
        )
    cells = units_per_cell(bulk.composition)
    energies = [float(run.energy_ev or 0.0) for run in runs]
    formed = (energies[0] - counts[0] * energies[1] - counts[1] * energies[2]) / cells
    share = counts[0] * units_per_cell(component.composition) / cells
    return PotentialRange(
        reduced_formula(bulk.composition),
        reduced_formula(component.composition),
        reduced_formula(other.composition),
        formed / share,
        formed,
        f"runs {bulk.path}, {component.path}, {other.path}",
    )


def range_from_formation_energy(
    bulk: Composition, component: Composition, *, formation_energy_ev: float
) -> PotentialRange:
    """The range when the formation energy per formula unit (eV) is given and the other component has no run.

    Raises
    ------
    MismatchError
        If the compound holds no whole unit of the component, or nothing is left beside it.
    """
    compound, unit = units_per_cell(bulk), units_per_cell(component)
    whole = {e: n // compound for e, n in bulk.items()}
    part = {e: n // unit for e, n in component.items()}
    share = min((whole.get(e, 0) // n for e, n in part.items()), default=0)
    rest = {e: n - share * part.get(e, 0) for e, n in whole.items() if n - share * part.get(e, 0) > 0}
    if share < 1 or not rest:
        raise MismatchError(f"{reduced_formula(bulk)} is not {reduced_formula(component)} and another crystal")
    return PotentialRange(
        reduced_formula(bulk),
        reduced_formula(component),
        reduced_formula(rest),
        formation_energy_ev / share,
        formation_energy_ev,
        "given",
    )


def table_of(span: PotentialRange, lines: Sequence[PotentialLine]) -> dict[str, Any]:
    """The JSON form: Δμ between both limits and every line at each of them, meV/Å²."""
    grid = np.linspace(span.lower_ev, 0.0, N_TABLE)
    return {
        "component": span.component,
        "other": span.other,
        "compound": span.compound,
        "formation_energy_ev": span.formation_energy_ev,
        "source": span.source,
        "stable": span.stable,
        "limits_ev": [span.lower_ev, 0.0],
        "limit_names": [f"{span.other}-rich", f"{span.component}-rich"],
        "delta_mu_ev": grid.tolist(),
        "lines": [
            {
                "name": line.name,
                "slope_mev_per_angstrom2_per_ev": line.slope,
                "values_mev_per_angstrom2": [line.at(float(x)) for x in grid],
            }
            for line in lines
        ],
    }


def potential_table(
    item: RunSet, energies: GroupEnergies, *, formation_energies: Mapping[str, float]
) -> tuple[dict[str, Any] | None, NotTaken | None]:
    """``chemical_potential`` of one study: γ of both terminations and γ_int against Δμ; or why there is none.

    Both are ``None`` where the runs for it are not there.
    """
    have = {run.role: run for run in item.runs if run.status == "done" and run.energy_ev is not None}
    reservoirs = [run for run in item.runs if run.plays.kind == "reservoir" and run.status == "done"]
    slab, bulk = have.get("substrate"), have.get("substrate_bulk")
    if slab is None or bulk is None or not reservoirs or not energies.substrate:
        return None, None
    if cells_of(slab.composition, [bulk.composition]) is not None:
        return None, None
    component = next(
        (run for run in reservoirs if f"{reduced_formula(run.composition)}-rich" == energies.substrate[0].reference),
        None,
    )
    if component is None:
        return None, None
    others = [run for run in reservoirs if reduced_formula(run.composition) != reduced_formula(component.composition)]
    given = formation_energies.get(reduced_formula(bulk.composition))
    try:
        span = _span(bulk, component, others, given)
        if span is None:
            return None, None
        lines = _lines(have, bulk, component, energies)
    except MismatchError as error:
        return None, NotTaken((slab.path, bulk.path, component.path), str(error))
    return table_of(span, lines), None


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
    film = energies.film
    if film is not None and film.reference == energies.substrate[0].reference:
        # A film of the same components gains and loses the same crystal.
        slope += slope_of(have["film"], have["film_bulk"], component)
    if energies.interface:
        lines.append(PotentialLine("γ_int", energies.interface[0].value, slope))
    return lines
