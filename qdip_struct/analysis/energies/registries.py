"""Registry maps of the interfaces among the studies of a folder."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qdip_struct.analysis.energies.combination import GroupEnergies
from qdip_struct.analysis.energies.comparability import signature
from qdip_struct.analysis.energies.energy_run import EnergyRun
from qdip_struct.analysis.energies.gap_curve import best_gap
from qdip_struct.analysis.energies.groups import RunSet
from qdip_struct.analysis.energies.registry_map import ShiftPoint, map_document, registry_map, shift_document
from qdip_struct.analysis.energies.shift_symmetry import film_shift, metal_shift, shift_operations
from qdip_struct.base.errors import DataError, MismatchError
from qdip_struct.runs.rundir import STRUCTURE, RunFolder

Member = tuple[RunSet, GroupEnergies, EnergyRun]
"""A study, what it gives, and its interface."""

SAME_MEV_PER_ANGSTROM2 = 0.1
"""Adsorption energies of one interface run twice may differ by this much."""


def registry_maps(
    studies: Sequence[tuple[RunSet, GroupEnergies]], folders: Sequence[RunFolder], *, refused: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """E_ad against lateral shift of every pair of slabs that has at least two registries."""
    place = {str(folder.path): folder for folder in folders}
    families: dict[str, list[Member]] = {}
    for item, energies in studies:
        interface = next((run for run in item.runs if run.role == "interface" and run.status == "done"), None)
        if interface is None or energies.adsorption is None or interface.facts.get("gap_angstrom") is None:
            continue
        facts = interface.facts
        names = ("film", "film_plane", "film_layers", "substrate", "substrate_plane", "substrate_layers", "termination")
        make = [*(facts.get(name) for name in names), signature(interface), sorted(interface.composition.items())]
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


def _one_map(members: Sequence[Member], place: Mapping[str, RunFolder]) -> dict[str, Any] | None:
    from qdip_struct.builders.atoms.store import read_structure

    structures = [read_structure(place[interface.path].path / STRUCTURE) for _, _, interface in members]
    reference = structures[0]
    origin = np.array(metal_shift(reference))
    by_shift: dict[tuple[float, float], list[int]] = {}
    for number, atoms in enumerate(structures):
        shift = np.array(film_shift(atoms, reference)) + origin
        shift = np.round(shift - np.floor(shift + 1e-4), 4) + 0.0
        by_shift.setdefault((float(shift[0]), float(shift[1])), []).append(number)
    if len(by_shift) < 2 and len(members) < 2:
        return None
    points = []
    for fraction in sorted(by_shift):
        chosen = _one_each([members[k] for k in by_shift[fraction]])
        gaps = [_gap(run) for _, _, run in chosen]
        curve = best_gap(gaps, [energies.adsorption or 0.0 for _, energies, _ in chosen], relaxed=chosen[0][2].relaxed)
        name = str(chosen[0][2].facts.get("registry"))
        points.append(ShiftPoint(fraction, name, curve, tuple(run.path for _, _, run in chosen)))
    first = members[0][2]
    facts = {name: first.facts.get(name) for name in ("film", "substrate", "termination")}
    head = {
        **facts,
        "relaxed": first.relaxed,
        "layers": [first.facts.get(f"{p}_layers") for p in ("film", "substrate")],
    }
    if len(points) < 2:
        return {**head, "n_computed": 1, "shifts": [shift_document(points[0])]}
    regions = reference.arrays["region"]
    operations = [
        (rotation, move + origin - rotation @ origin)
        for rotation, move in shift_operations(reference[regions == "film"], reference[regions == "substrate"])
    ]
    return {**head, **map_document(registry_map(points, lateral=first.cell[:2, :2], operations=operations))}


def _gap(run: EnergyRun) -> float:
    return float(run.facts["gap_angstrom"])


def _one_each(members: Sequence[Member]) -> list[Member]:
    """Members by gap, each gap once: the same interface may have been run in two groups."""
    kept: list[Member] = []
    for member in sorted(members, key=lambda item: (round(_gap(item[2]), 6), item[2].path)):
        last = kept[-1] if kept else None
        if last is not None and abs(_gap(member[2]) - _gap(last[2])) < 1e-6 and not member[2].relaxed:
            if abs((member[1].adsorption or 0.0) - (last[1].adsorption or 0.0)) > SAME_MEV_PER_ANGSTROM2:
                raise MismatchError(
                    f"{last[2].path} and {member[2].path} are one interface with different adsorption energies"
                )
            continue
        kept.append(member)
    return kept
