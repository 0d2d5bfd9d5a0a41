"""One ranked table of all studies of a folder, and both terminations of one substrate together.

An interface energy γ_int of a non-stoichiometric substrate moves with the chemical potential of AX, and that of the
other termination moves as much the other way. Their mean

    γ̄_int = (γ_film,1 + γ_film,2)/2 + γ̄_substrate − (E_ad,1 + E_ad,2)/2

does not, and is the number to set beside one that names neither a termination nor a chemical potential.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from statistics import fmean
from typing import Any

from qdip_struct.analysis.energies.comparability import EnergyRun, run_difference, signature
from qdip_struct.analysis.energies.energies import GroupEnergies, mean_surface_energy
from qdip_struct.analysis.energies.groups import RunSet
from qdip_struct.analysis.energies.stoichiometry import added, cells_of, reduced_formula
from qdip_struct.base.errors import MismatchError, UsageError
from qdip_struct.builders.roles import PARTS

TerminationPair = tuple[RunSet, GroupEnergies]


def mean_over_terminations(studies: Iterable[TerminationPair]) -> list[dict[str, Any]]:
    """Means over the two terminations of one substrate under one film; of several registries the strongest of each.

    Parameters
    ----------
    studies
        What the runs make, with the energies of each. A pair needs a bulk run of the substrate, which says that the
        two slabs are whole formula units together.

    Returns
    -------
    list of dict
        One entry a pair, sorted by group: ``groups`` and ``terminations`` of the two, and the means of E_ad, γ_film,
        γ_substrate and γ_int, meV/Å² (γ_film and γ_int ``None`` without bulk runs of the film). Interfaces that differ
        in lateral cell or settings are no pair; slabs that do not fit the bulk are refused in their own studies.
    """
    best: dict[tuple[Any, ...], TerminationPair] = {}
    for study in studies:
        if study[1].adsorption is None or not {"interface", *PARTS} <= set(study[1].terms):
            continue
        make = _make(study)
        if make not in best or _strength(study) > _strength(best[make]):
            best[make] = study
    chosen = sorted(best.values(), key=lambda study: study[1].group)
    found = []
    for one, two in combinations(chosen, 2):
        bulk = _run(one, "substrate_bulk") or _run(two, "substrate_bulk")
        if bulk is not None and _belong_together(one, two, bulk):
            with suppress(MismatchError):
                found.append(_mean(one, two, bulk))
    return found


def _run(study: TerminationPair, role: str) -> Any:
    return next((run for run in study[0].runs if run.role == role and run.energy_ev is not None), None)


def _make(study: TerminationPair) -> tuple[Any, ...]:
    """What tells one pair, and one termination of it, from another; registry and gap left out."""
    film, substrate, interface = (_run(study, role) for role in (*PARTS, "interface"))
    return (
        tuple(sorted(film.composition.items())),
        tuple(sorted(substrate.composition.items())),
        tuple(str(study[1].facts.get(name)) for name in ("film", "film_plane", "substrate", "substrate_plane")),
        round(interface.area, 4),
        interface.geometry,
        signature(interface),
    )


def _strength(study: TerminationPair) -> float:
    return round(study[1].adsorption or 0.0, 9)


def _belong_together(one: TerminationPair, two: TerminationPair, bulk: EnergyRun) -> bool:
    """Whether the films are alike and the substrates are the two terminations of ``bulk``."""
    films = [_run(study, "film") for study in (one, two)]
    slabs = [_run(study, "substrate") for study in (one, two)]
    return (
        films[0].composition == films[1].composition
        and slabs[0].composition != slabs[1].composition
        and _run(one, "interface").geometry == _run(two, "interface").geometry
        and run_difference(_run(one, "interface"), _run(two, "interface")) is None
        and all(cells_of(slab.composition, [bulk.composition]) is None for slab in slabs)
        and cells_of(added(slabs[0].composition, slabs[1].composition), [bulk.composition]) is not None
    )


def _mean(one: TerminationPair, two: TerminationPair, bulk: EnergyRun) -> dict[str, Any]:
    substrate = mean_surface_energy(_run(one, "substrate"), _run(two, "substrate"), bulk)
    adsorption = fmean(study[1].adsorption or 0.0 for study in (one, two))
    films = [study[1].film.value for study in (one, two) if study[1].film is not None]
    film = fmean(films) if len(films) == 2 else None
    return {
        "groups": [study[1].group for study in (one, two)],
        "terminations": [study[1].facts.get("termination") for study in (one, two)],
        "adsorption_energy_mev_per_angstrom2": adsorption,
        "surface_energy_film_mev_per_angstrom2": film,
        "surface_energy_substrate_mev_per_angstrom2": substrate,
        "interface_energy_mev_per_angstrom2": None if film is None else film + substrate - adsorption,
    }


RANKINGS: dict[str, tuple[str, bool]] = {
    "adsorption": ("adsorption_energy_mev_per_angstrom2", True),
    "interface": ("interface_energy_mev_per_angstrom2", False),
    "surface-film": ("surface_energy_film_mev_per_angstrom2", False),
    "surface-substrate": ("surface_energy_substrate_mev_per_angstrom2", False),
    "formation": ("formation_energy_mev_per_formula_unit", False),
}
"""Key of the table and whether the largest value stands first: strong adsorption, low everything else."""


_SAME = (
    ("functional", "functional"),
    ("dispersion", "dispersion correction"),
    ("cutoff_rydberg", "cutoff (Ry)"),
    ("rel_cutoff_rydberg", "relative cutoff (Ry)"),
)


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
        mixed = formed.get(reduced_formula(bulk.composition)) if bulk is not None else None
        relaxed = {run.relaxed for run in item.runs if run.plays.kind in ("interface", "slab")}
        rows.append(
            {
                "group": entry["group"],
                **{name: entry["system"][name] for name in ("substrate", "termination", "registry", "gap_angstrom")},
                "layers": [entry["system"][f"{part}_layers"] for part in PARTS],
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
    return {
        "by": by,
        "key": key,
        "rows": [{"rank": n, **row} for n, row in enumerate(rows, start=1)],
        "warnings": _warnings(studies, rows),
    }


def _warnings(studies: Sequence[tuple[RunSet, GroupEnergies]], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What makes rows of one table unlike each other."""
    found = []
    if {True, False} <= {row["relaxed"] for row in rows}:
        found.append("the table holds relaxed and unrelaxed studies; compare like with like")
    slabs = [run for item, _ in studies for run in item.runs if run.plays.kind in ("interface", "slab")]
    for key, label in _SAME:
        values = sorted({str(run.settings.get(key)) for run in slabs if run.status == "done"})
        if len(values) > 1:
            found.append(f"the studies differ in {label}: {', '.join(values)}")
    return found
