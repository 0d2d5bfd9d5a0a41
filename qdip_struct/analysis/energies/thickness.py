"""Slabs of several thicknesses among the runs of a folder: E(N) of each surface, E_ad against thickness."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qdip_struct.analysis.energies.combination import GroupEnergies
from qdip_struct.analysis.energies.comparability import difference, signature
from qdip_struct.analysis.energies.energy_run import EnergyRun
from qdip_struct.analysis.energies.groups import RunSet
from qdip_struct.analysis.energies.stoichiometry import cells_of, ending, formula
from qdip_struct.analysis.energies.surface_series import SurfaceSeries, fit_surface_series
from qdip_struct.base.errors import MismatchError


def thickness_series(runs: Sequence[EnergyRun], *, refused: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """E(N) of every surface that has slabs of at least two thicknesses."""
    ready = [run for run in runs if run.status == "done" and run.energy_ev is not None]
    bulks = [run for run in ready if run.role in ("film_bulk", "substrate_bulk")]
    families: dict[tuple[Any, ...], list[EnergyRun]] = {}
    for run in ready:
        if run.role in ("film", "substrate", "film_other", "substrate_other"):
            families.setdefault(_surface_of(run, bulks), []).append(run)
    found = []
    for key in sorted(families, key=str):
        side, slabs = key[0], _one_each(families[key])
        if len({tuple(sorted(run.composition.items())) for run in slabs}) < 2:
            continue
        try:
            series = _fitted(slabs, bulks, [run for run in ready if run.role == "reservoir"])
        except MismatchError as error:
            refused.append({"paths": [run.path for run in slabs], "reason": str(error)})
            continue
        if series is None:
            continue
        entry = series.to_dict()
        entry = {"side": side, "termination": key[2], "relaxed": slabs[0].relaxed, **entry}
        found.append(entry)
    return found


def _surface_of(run: EnergyRun, bulks: Sequence[EnergyRun]) -> tuple[Any, ...]:
    """What makes slabs one surface at several thicknesses: side, crystal, termination, lateral cell, relaxed or not."""
    side = run.role.split("_")[0]
    own = [bulk for bulk in bulks if bulk.role == f"{side}_bulk" and set(run.composition) == set(bulk.composition)]
    name = ending(run.composition, own[0].composition) if own else formula(run.composition)
    crystal = formula(own[0].composition) if own else formula(run.composition)
    lateral = tuple(np.round(run.cell[:2], 4).ravel().tolist())
    return (
        side,
        crystal,
        name,
        signature(run),
        lateral,
        run.facts.get(f"{side}_plane") and str(run.facts[f"{side}_plane"]),
    )


def _one_each(slabs: Sequence[EnergyRun]) -> list[EnergyRun]:
    """One slab of each composition; the same slab of another group is the same point when its energy agrees."""
    found: dict[tuple[Any, ...], EnergyRun] = {}
    for run in sorted(slabs, key=lambda run: run.path):
        key = (tuple(sorted(run.composition.items())),)
        first = found.setdefault(key, run)
        if first is not run and abs((first.energy_ev or 0.0) - (run.energy_ev or 0.0)) > 1e-3:
            found[(*key, run.path)] = run
    return list(found.values())


def _fitted(
    slabs: Sequence[EnergyRun], bulks: Sequence[EnergyRun], reservoirs: Sequence[EnergyRun]
) -> SurfaceSeries | None:
    side = slabs[0].role.split("_")[0]
    counts = [tuple(sorted(run.composition.items())) for run in slabs]
    double = [run.path for run, count in zip(slabs, counts, strict=True) if counts.count(count) > 1]
    if double:
        raise MismatchError(f"two slabs of one thickness have different energies: {', '.join(double)}")
    fitting = [
        bulk for bulk in bulks if bulk.role == f"{side}_bulk" and set(bulk.composition) == set(slabs[0].composition)
    ]
    bulk = next((run for run in fitting if difference(slabs[0], run) is None), fitting[0] if fitting else None)
    stoichiometric = bulk is None or all(cells_of(run.composition, [bulk.composition]) for run in slabs)
    reservoir = None
    if bulk is not None and not stoichiometric:
        made = [r for r in reservoirs if all(cells_of(s.composition, [bulk.composition, r.composition]) for s in slabs)]
        reservoir = next((run for run in made if difference(slabs[0], run) is None), made[0] if made else None)
        if reservoir is None:
            return None
    layers = {run.path: run.facts[f"{side}_layers"] for run in slabs if f"{side}_layers" in run.facts}
    return fit_surface_series(slabs, bulk=bulk, reservoir=reservoir, layers=layers)


def adsorption_by_thickness(
    document: Mapping[str, Any], studies: Sequence[tuple[RunSet, GroupEnergies]]
) -> list[dict[str, Any]]:
    """E_ad, γ and γ_int of one contact (termination, registry, gap as built) at several thicknesses of its slabs."""
    families: dict[str, list[dict[str, Any]]] = {}
    for entry, (item, _) in zip(document["groups"], studies, strict=True):
        system = entry["system"]
        layers = [system[f"{part}_layers"] for part in ("film", "substrate")]
        if entry["adsorption_energy_mev_per_angstrom2"] is None or None in layers:
            continue
        interface = next(run for run in item.runs if run.role == "interface")
        gap = None if interface.relaxed else system["gap_angstrom"]
        contact = [system[name] for name in ("film", "substrate", "termination", "registry")]
        key = repr([*contact, gap, signature(interface), np.round(interface.cell[:2], 4).tolist()])
        families.setdefault(key, []).append({**entry, "layers": layers})
    found = []
    for key in sorted(families):
        members = sorted(families[key], key=lambda entry: (entry["layers"], entry["group"]))
        if len({tuple(entry["layers"]) for entry in members}) < 2:
            continue
        system = members[0]["system"]
        names = (
            "adsorption_energy_mev_per_angstrom2",
            "interface_energy_mev_per_angstrom2",
            "surface_energy_film_mev_per_angstrom2",
            "surface_energy_substrate_mev_per_angstrom2",
        )
        found.append(
            {
                **{name: system[name] for name in ("film", "substrate", "termination", "registry")},
                "relaxed": next(iter(members[0]["relaxed"].values()), None),
                "rows": [
                    {"group": entry["group"], "layers": entry["layers"], **{name: entry[name] for name in names}}
                    for entry in members
                ],
            }
        )
    return found
