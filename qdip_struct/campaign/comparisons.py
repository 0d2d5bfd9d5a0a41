"""What several studies tell together: thickness series, chemical potentials, registry maps, compositions, ranks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qdip_struct.analysis.chemical_potential import (
    PotentialLine,
    PotentialRange,
    range_from_formation_energy,
    range_from_runs,
    slope_of,
    table_of,
)
from qdip_struct.analysis.comparability import INTERFACES, EnergyRun, difference
from qdip_struct.analysis.energies import GroupEnergies
from qdip_struct.analysis.formation import formation_energies, formula_units
from qdip_struct.analysis.groups import RunSet
from qdip_struct.analysis.registry_map import (
    ShiftPoint,
    best_gap,
    film_shift,
    map_document,
    registry_map,
    shift_operations,
)
from qdip_struct.analysis.stoichiometry import cells_of, formula, units_per_cell
from qdip_struct.analysis.surface_series import fit_surface_series
from qdip_struct.campaign.rundir import STRUCTURE, RunFolder
from qdip_struct.errors import DataError, MismatchError, UsageError
from qdip_struct.units import J_PER_M2_PER_MEV_PER_ANGSTROM2

RANKINGS: dict[str, tuple[str, bool]] = {
    "adsorption": ("adsorption_energy_mev_per_angstrom2", True),
    "interface": ("interface_energy_mev_per_angstrom2", False),
    "surface-film": ("surface_energy_film_mev_per_angstrom2", False),
    "surface-substrate": ("surface_energy_substrate_mev_per_angstrom2", False),
    "formation": ("formation_energy_mev_per_formula_unit", False),
}
"""Key of the table and whether the largest value stands first: strong adsorption, low everything else."""

Refused = list[dict[str, Any]]


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


def potential_tables(
    item: RunSet, energies: GroupEnergies, *, formation_energies: Mapping[str, float], refused: Refused
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
    lines = [PotentialLine(f"γ substrate, {ending(slab, bulk)}", rich, slope)]
    other = have.get("substrate_other")
    if other is not None and energies.substrate_mean is not None:
        name = f"γ substrate, {ending(other, bulk)}"
        lines.append(PotentialLine(name, 2 * energies.substrate_mean - rich, slope_of(other, bulk, component)))
    if energies.interface:
        lines.append(PotentialLine("γ_int", energies.interface[0].value, slope))
    return lines


def ending(slab: EnergyRun, bulk: EnergyRun) -> str:
    """What a slab holds beyond whole formula units of its bulk, as the name of its termination: CsBr, PbBr2."""
    unit = units_per_cell(bulk.composition)
    whole = {e: n // unit for e, n in bulk.composition.items()}
    count = min(slab.composition.get(e, 0) // n for e, n in whole.items())
    rest = {e: n - count * whole.get(e, 0) for e, n in slab.composition.items() if n - count * whole.get(e, 0) > 0}
    return f"{formula(rest)} termination" if rest else "stoichiometric"


def thickness_series(runs: Sequence[EnergyRun], *, refused: Refused) -> list[dict[str, Any]]:
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
    name = ending(run, own[0]) if own else formula(run.composition)
    crystal = formula(own[0].composition) if own else formula(run.composition)
    lateral = tuple(np.round(run.cell[:2], 4).ravel().tolist())
    return side, crystal, name, run.relaxed, lateral, run.facts.get(f"{side}_plane") and str(run.facts[f"{side}_plane"])


def _one_each(slabs: Sequence[EnergyRun]) -> list[EnergyRun]:
    """One slab of each composition; the same slab of another group is the same point when its energy agrees."""
    found: dict[tuple[Any, ...], EnergyRun] = {}
    for run in sorted(slabs, key=lambda run: run.path):
        key = (tuple(sorted(run.composition.items())),)
        first = found.setdefault(key, run)
        if first is not run and abs((first.energy_ev or 0.0) - (run.energy_ev or 0.0)) > 1e-3:
            found[(*key, run.path)] = run
    return list(found.values())


def _fitted(slabs: Sequence[EnergyRun], bulks: Sequence[EnergyRun], reservoirs: Sequence[EnergyRun]) -> Any:
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


def adsorption_by_thickness(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """E_ad, γ and γ_int of one contact (termination, registry) at several thicknesses of its slabs."""
    families: dict[str, list[dict[str, Any]]] = {}
    for entry in document["groups"]:
        system = entry["system"]
        layers = [system[f"{part}_layers"] for part in ("film", "substrate")]
        if entry["adsorption_energy_mev_per_angstrom2"] is None or None in layers:
            continue
        relaxed = sorted({value for value in entry["relaxed"].values()})
        registry = system["registry_fraction"] or system["registry"]
        key = repr([system["film"], system["substrate"], system["termination"], registry, relaxed])
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


def registry_maps(
    studies: Sequence[tuple[RunSet, GroupEnergies]], folders: Sequence[RunFolder], *, refused: Refused
) -> list[dict[str, Any]]:
    """E_ad against lateral shift of every pair of slabs that has at least two registries."""
    place = {str(folder.path): folder for folder in folders}
    families: dict[str, list[tuple[RunSet, GroupEnergies, EnergyRun]]] = {}
    for item, energies in studies:
        interface = next((run for run in item.runs if run.role == "interface" and run.status == "done"), None)
        if interface is None or energies.adsorption is None or interface.facts.get("gap_angstrom") is None:
            continue
        facts = interface.facts
        names = ("film", "film_plane", "film_layers", "substrate", "substrate_plane", "substrate_layers", "termination")
        make = [*(facts.get(name) for name in names), interface.relaxed, sorted(interface.composition.items())]
        families.setdefault(repr((make, np.round(interface.cell[:2], 4).tolist())), []).append(
            (item, energies, interface)
        )
    found = []
    for key in sorted(families):
        members = families[key]
        try:
            entry = _one_map(members, place)
        except (MismatchError, DataError) as error:
            refused.append({"paths": [interface.path for _, _, interface in members], "reason": str(error)})
            continue
        if entry is not None:
            found.append(entry)
    return found


def _one_map(
    members: Sequence[tuple[RunSet, GroupEnergies, EnergyRun]], place: Mapping[str, RunFolder]
) -> dict[str, Any] | None:
    from qdip_struct.build.store import read_structure

    structures = [read_structure(place[interface.path].path / STRUCTURE) for _, _, interface in members]
    reference = structures[0]
    origin = np.array(_metal_offset(reference))
    by_shift: dict[tuple[float, float], list[int]] = {}
    for number, atoms in enumerate(structures):
        shift = np.array(film_shift(atoms, reference)) + origin
        shift = np.round(shift - np.floor(shift + 1e-4), 4) + 0.0
        by_shift.setdefault((float(shift[0]), float(shift[1])), []).append(number)
    if len(by_shift) < 2 and len(members) < 2:
        return None
    points = []
    for fraction in sorted(by_shift):
        chosen = [members[k] for k in by_shift[fraction]]
        gaps = [float(run.facts["gap_angstrom"]) for _, _, run in chosen]
        curve = best_gap(gaps, [energies.adsorption or 0.0 for _, energies, _ in chosen])
        order = np.argsort(gaps, kind="stable")
        points.append(
            ShiftPoint(
                fraction, str(chosen[0][2].facts.get("registry")), curve, tuple(chosen[k][2].path for k in order)
            )
        )
    first = members[0][2]
    facts = {name: first.facts.get(name) for name in ("film", "substrate", "termination")}
    head = {
        **facts,
        "relaxed": first.relaxed,
        "layers": [first.facts.get(f"{p}_layers") for p in ("film", "substrate")],
    }
    if len(points) < 2:
        return {**head, **_gap_document(points[0])}
    regions = reference.arrays["region"]
    operations = [
        (rotation, move + origin - rotation @ origin)
        for rotation, move in shift_operations(reference[regions == "film"], reference[regions == "substrate"])
    ]
    return {**head, **map_document(registry_map(points, lateral=first.cell[:2, :2], operations=operations))}


def _gap_document(point: ShiftPoint) -> dict[str, Any]:
    """One registry at several gaps: no map, but a best gap."""
    return {
        "n_computed": 1,
        "shifts": [
            {
                "registry": point.name,
                "shift_fraction": list(point.fraction),
                "best_gap_angstrom": point.curve.best_gap,
                "adsorption_energy_mev_per_angstrom2": point.curve.best_value,
                "best_gap_method": point.curve.method,
                "gaps_angstrom": list(point.curve.gaps),
                "adsorption_energies_mev_per_angstrom2": list(point.curve.values),
                "paths": list(point.paths),
            }
        ],
    }


def _metal_offset(atoms: Any) -> tuple[float, float]:
    """Shift of the film's lowest metal from the substrate's highest, in fractions of the lateral cell; (0, 0) unknown.

    Metals are cations of charge two or more; where the film stands over the substrate they are their B sites.
    """
    charges = atoms.arrays.get("formal_charge")
    if charges is None:
        return 0.0, 0.0
    regions = atoms.arrays["region"]
    film = np.flatnonzero((regions == "film") & (charges >= 2))
    substrate = np.flatnonzero((regions == "substrate") & (charges >= 2))
    if not len(film) or not len(substrate):
        return 0.0, 0.0
    heights = atoms.positions[:, 2].round(2)
    above = film[np.lexsort((atoms.positions[film, 0].round(3), atoms.positions[film, 1].round(3), heights[film]))[0]]
    below = substrate[
        np.lexsort(
            (atoms.positions[substrate, 0].round(3), atoms.positions[substrate, 1].round(3), -heights[substrate])
        )[0]
    ]
    delta = (atoms.positions[above, :2] - atoms.positions[below, :2]) @ np.linalg.inv(atoms.cell[:2, :2])
    delta = np.round(delta - np.floor(delta + 1e-4), 6) + 0.0
    return float(delta[0]), float(delta[1])


def formation_table(runs: Sequence[EnergyRun], *, refused: Refused) -> list[dict[str, Any]]:
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


def ranking(document: Mapping[str, Any], studies: Sequence[tuple[RunSet, GroupEnergies]], *, by: str) -> dict[str, Any]:
    """One table of all studies, sorted by ``by``; studies without that value stand last.

    Raises
    ------
    UsageError
        If ``by`` is unknown.
    """
    if by not in RANKINGS:
        raise UsageError(f"cannot rank by '{by}'; known: {', '.join(RANKINGS)}")
    key, largest_first = RANKINGS[by]
    formed = {item["formula"]: item for item in document["formation_energies"]}
    rows = []
    for entry, (item, _) in zip(document["groups"], studies, strict=True):
        bulk = next((run for run in item.runs if run.role == "substrate_bulk"), None)
        mixed = formed.get(formula(bulk.composition)) if bulk is not None else None
        relaxed = {run.relaxed for run in item.runs if run.role in (*INTERFACES, "film", "substrate")}
        rows.append(
            {
                "group": entry["group"],
                **{name: entry["system"][name] for name in ("substrate", "termination", "registry", "gap_angstrom")},
                "layers": [entry["system"][f"{part}_layers"] for part in ("film", "substrate")],
                "relaxed": relaxed.pop() if len(relaxed) == 1 else None,
                "adsorption_energy_mev_per_angstrom2": entry["adsorption_energy_mev_per_angstrom2"],
                "interface_energy_mev_per_angstrom2": entry["interface_energy_mev_per_angstrom2"],
                "interface_energy_reference": entry["interface_energy_reference"],
                "surface_energy_film_mev_per_angstrom2": entry["surface_energy_film_mev_per_angstrom2"],
                "surface_energy_substrate_mev_per_angstrom2": entry["surface_energy_substrate_mev_per_angstrom2"],
                "formation_energy_mev_per_formula_unit": mixed["formation_energy_mev_per_formula_unit"]
                if mixed
                else None,
            }
        )
    sign = -1.0 if largest_first else 1.0
    rows.sort(key=lambda row: (row[key] is None, sign * round(row[key] or 0.0, 9), row["group"]))
    return {"by": by, "key": key, "rows": [{"rank": n, **row} for n, row in enumerate(rows, start=1)]}
