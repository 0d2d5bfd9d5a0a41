"""Both terminations of one substrate together: what does not depend on the chemical potential.

An interface energy γ_int of a non-stoichiometric substrate moves with the chemical potential of AX, and that of the
other termination moves as much the other way. Their mean

    γ̄_int = (γ_film,1 + γ_film,2)/2 + γ̄_substrate − (E_ad,1 + E_ad,2)/2

does not, and is the number to set beside one that names neither a termination nor a chemical potential.
"""

from collections.abc import Iterable
from contextlib import suppress
from itertools import combinations
from statistics import fmean
from typing import Any

from qdip_struct.analysis.energies.comparability import run_difference, signature
from qdip_struct.analysis.energies.energies import GroupEnergies, mean_surface_energy
from qdip_struct.analysis.energies.energy_run import EnergyRun
from qdip_struct.analysis.energies.groups import RunSet
from qdip_struct.analysis.energies.stoichiometry import added, cells_of
from qdip_struct.base.errors import MismatchError
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
