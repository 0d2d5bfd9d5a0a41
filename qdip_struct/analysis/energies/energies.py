"""Surface, adsorption, interface and strain energies from finished runs that belong together.

Signs and definitions (A is the lateral area, N counts formula units):

- surface: γ = (E_slab − N·E_bulk − m·E_reservoir) / (2A); m = 0 for a stoichiometric slab. For AX- or BX2-terminated
  perovskite slabs m ≠ 0 and γ holds at the limit where the crystal is in equilibrium with the reservoir crystal.
- mean of two complementary terminations: γ̄ = (E_1 + E_2 − N·E_bulk) / (4A), free of any chemical potential.
- adsorption (work of adhesion): E_ad = (E_film + E_substrate − E_interface) / A, positive when they bind.
- interface: γ_int = γ_film + γ_substrate − E_ad (Ning et al. 2015, doi:10.1038/nature14563).
- strain: N·(E_strained bulk − E_free bulk) / A.

Energies in eV, lengths in Å, results in meV/Å². Runs that do not belong together are refused, never averaged over: what
the runs of one study give stands beside what had to be refused, each with its reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qdip_struct.analysis.energies.comparability import EnergyRun, require_comparable
from qdip_struct.analysis.energies.stoichiometry import Composition, added, cells_of, reduced_formula, units_per_cell
from qdip_struct.base.errors import MismatchError, NotTaken
from qdip_struct.base.units import MEV_PER_EV
from qdip_struct.builders.roles import PARTS, Part, role_name, role_of
from qdip_struct.cp2k.tasks import is_single_point


@dataclass(frozen=True)
class SurfaceEnergy:
    """A surface or interface energy and the chemical potential it refers to.

    Attributes
    ----------
    value
        γ, meV/Å².
    reference
        ``stoichiometric``, ``CsBr-rich``, ...
    """

    value: float
    reference: str


def surface_energy(slab: EnergyRun, bulk: EnergyRun, reservoir: EnergyRun | None = None) -> SurfaceEnergy:
    """γ of a slab with two equal faces, meV/Å².

    Raises
    ------
    MismatchError
        If the runs do not belong together, one is not done, or the composition cannot be balanced.
    """
    runs = [slab, bulk] + ([reservoir] if reservoir else [])
    require_comparable(runs)
    parts = [run.composition for run in runs[1:]]
    counts = cells_of(slab.composition, parts)
    if counts is None:
        raise MismatchError(
            f"{slab.path} ({reduced_formula(slab.composition)}) is not a whole number of "
            f"{reduced_formula(bulk.composition)} units"
            + (f" and {reduced_formula(reservoir.composition)}" if reservoir else "; it needs a reservoir run")
        )
    energy = _energy(slab) - sum(n * _energy(run) for n, run in zip(counts, runs[1:], strict=True))
    reference = f"{reduced_formula(reservoir.composition)}-rich" if reservoir else "stoichiometric"
    return SurfaceEnergy(MEV_PER_EV * energy / (2 * slab.area), reference)


def mean_surface_energy(slab: EnergyRun, other: EnergyRun, bulk: EnergyRun) -> float:
    """γ̄ of two complementary terminations, meV/Å²; see the module's formula.

    Raises
    ------
    MismatchError
        If the runs do not belong together, one is not done, or the two slabs are not whole units of the bulk together.
    """
    require_comparable([slab, other, bulk])
    together = added(slab.composition, other.composition)
    counts = cells_of(together, [bulk.composition])
    if counts is None:
        raise MismatchError(
            f"{slab.path} and {other.path} are not complementary: together they are {reduced_formula(together)}"
        )
    energy = _energy(slab) + _energy(other) - counts[0] * _energy(bulk)
    return MEV_PER_EV * energy / (4 * slab.area)


def adsorption_energy(film: EnergyRun, substrate: EnergyRun, interface: EnergyRun) -> float:
    """E_ad = (E_film + E_substrate − E_interface)/(n·A), meV/Å²; positive when the two bind.

    n is 1 for an interface with vacuum and 2 for a sandwich, which has two interfaces: the result is their mean.

    Raises
    ------
    MismatchError
        If the runs do not belong together, one is not done, the atoms of the slabs are not those of the interface, or
        an optimisation held other atoms fixed in the interface than in the slabs.
    """
    require_comparable([film, substrate, interface])
    together = added(film.composition, substrate.composition)
    if together != dict(interface.composition):
        raise MismatchError(
            f"{interface.path} does not hold the atoms of {film.path} and {substrate.path}: "
            f"{_counts(interface.composition)} against {_counts(together)}"
        )
    held = [run.asked.get("fixed_atoms", 0) for run in (film, substrate, interface)]
    if interface.relaxed and all(run.asked for run in (film, substrate, interface)) and held[0] + held[1] != held[2]:
        raise MismatchError(
            f"{interface.path} holds {held[2]} atoms fixed, {film.path} and {substrate.path} {held[0]} and {held[1]}: "
            "fix the same atoms in all three"
        )
    shared = max(interface.plays.n_interfaces, 1) * interface.area
    return MEV_PER_EV * (_energy(film) + _energy(substrate) - _energy(interface)) / shared


def counterpoise_energy(film: EnergyRun, substrate: EnergyRun, interface: EnergyRun) -> float:
    """E_ad with both slabs in the basis of the whole interface (Boys & Bernardi 1970, doi:10.1080/00268977000101561).

    ``film`` and ``substrate`` are the slabs in the geometry they have in the interface, with the partner as ghosts:
    for interfaces that were not relaxed.

    Raises
    ------
    MismatchError
        If a run is an optimisation (its slabs no longer have the interface's geometry), or as for
        :func:`adsorption_energy`.
    """
    for run in (film, substrate, interface):
        if not is_single_point(run.run_type):
            raise MismatchError(f"{run.path} is a {run.run_type}: a counterpoise correction needs single points")
    return adsorption_energy(film, substrate, interface)


def strain_energy(slab: EnergyRun, strained: EnergyRun, free: EnergyRun) -> float:
    """Elastic energy of a slab's coherent strain per area, N·(E_strained − E_free)/A, meV/Å², from bulk cells.

    Raises
    ------
    MismatchError
        If the bulk runs do not belong together, one is not done, or they are not the same crystal.
    """
    require_comparable([strained, free])
    units = cells_of(strained.composition, [free.composition])
    counts = cells_of(slab.composition, [strained.composition])
    if units is None:
        raise MismatchError(f"{strained.path} and {free.path} are not the same crystal")
    n_units = counts[0] if counts else _bulk_share(slab, strained)
    return MEV_PER_EV * n_units * (_energy(strained) - units[0] * _energy(free)) / slab.area


def _bulk_share(slab: EnergyRun, bulk: EnergyRun) -> float:
    """Formula units of a non-stoichiometric slab, by the mean over its elements."""
    return float(np.mean([slab.composition.get(e, 0) / n for e, n in bulk.composition.items()]))


def _energy(run: EnergyRun) -> float:
    if run.energy_ev is None:
        raise MismatchError(f"{run.path} has no converged energy")
    return run.energy_ev


def _counts(composition: Composition) -> str:
    return " ".join(f"{element}{count}" for element, count in sorted(composition.items()))


SYSTEM_FACTS = (
    "film",
    "film_plane",
    "film_layers",
    "film_termination",
    "substrate",
    "substrate_plane",
    "substrate_layers",
    "termination",
    "registry",
    "registry_fraction",
    "gap_angstrom",
)
"""What the builder says of an interface that tells one study from another."""


@dataclass(frozen=True)
class GroupEnergies:
    """What one group of runs gives. A quantity whose runs are missing or refused is ``None``.

    Attributes
    ----------
    group
        Name of the study.
    area_angstrom2
        Lateral area of the interface (of a slab where there is none), Å².
    film, substrate
        γ of the slabs; that of the substrate at each limit of the chemical potential.
    substrate_mean, film_mean
        γ̄ of the two terminations of the substrate, and of the film, meV/Å².
    adsorption
        E_ad = (E_film + E_substrate − E_interface)/A, meV/Å²; positive when the two bind.
    adsorption_counterpoise
        The same with both slabs in the basis of the whole interface, meV/Å².
    adsorption_sandwich
        Mean of the two interfaces of the cell without vacuum, meV/Å².
    interface
        γ_int = γ_film + γ_substrate − E_ad at each limit of the chemical potential.
    strain_film, strain_substrate
        Elastic energy of the coherent strain per area, meV/Å².
    terms
        Every run that entered, by its role: path, energy, formula units, settings.
    facts
        What the builder said about the interface.
    warnings
        What does not forbid the combination but must be known.
    """

    group: str
    area_angstrom2: float
    film: SurfaceEnergy | None
    substrate: tuple[SurfaceEnergy, ...]
    substrate_mean: float | None
    adsorption: float | None
    adsorption_counterpoise: float | None
    adsorption_sandwich: float | None
    interface: tuple[SurfaceEnergy, ...]
    strain_film: float | None
    strain_substrate: float | None
    terms: dict[str, dict[str, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    film_mean: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; where γ depends on the chemical potential the first limit stands in the plain key."""
        substrate = self.substrate[0] if self.substrate else None
        interface = self.interface[0] if self.interface else None
        return {
            "group": self.group,
            "area_angstrom2": self.area_angstrom2,
            "surface_energy_film_mev_per_angstrom2": self.film.value if self.film else None,
            "surface_energy_substrate_mev_per_angstrom2": substrate.value if substrate else None,
            "surface_energy_substrate_reference": substrate.reference if substrate else None,
            "surface_energy_substrate_limits": [_limit(item) for item in self.substrate],
            "surface_energy_substrate_mean_of_terminations_mev_per_angstrom2": self.substrate_mean,
            "surface_energy_film_mean_of_terminations_mev_per_angstrom2": self.film_mean,
            "adsorption_energy_mev_per_angstrom2": self.adsorption,
            "adsorption_energy_counterpoise_mev_per_angstrom2": self.adsorption_counterpoise,
            "adsorption_energy_sandwich_mev_per_angstrom2": self.adsorption_sandwich,
            "interface_energy_mev_per_angstrom2": interface.value if interface else None,
            "interface_energy_reference": interface.reference if interface else None,
            "interface_energy_limits": [_limit(item) for item in self.interface],
            "strain_energy_film_mev_per_angstrom2": self.strain_film,
            "strain_energy_substrate_mev_per_angstrom2": self.strain_substrate,
            "terms": self.terms,
            "system": {name: self.facts.get(name) for name in SYSTEM_FACTS},
            "relaxed": {role: term["relaxed"] for role, term in self.terms.items() if role_of(role).layered},
            "warnings": list(self.warnings),
        }


def _limit(item: SurfaceEnergy) -> dict[str, Any]:
    return {"reference": item.reference, "value_mev_per_angstrom2": item.value}


def combine_group(
    group: str,
    runs: Iterable[EnergyRun],
    *,
    facts: Mapping[str, Any] | None = None,
    borrowed: Mapping[str, str] | None = None,
) -> tuple[GroupEnergies | None, list[NotTaken]]:
    """All energies that the runs of one group give, and what had to be refused.

    Parameters
    ----------
    group
        Its name.
    runs
        Its runs.
    facts
        What the builder said about the interface, for :attr:`GroupEnergies.facts`.
    borrowed
        From which other group a run came, by its path.

    Returns
    -------
    energies, refused
        ``None`` when nothing could be combined.
    """
    usable, reservoirs, refused = _parts_of(group, sorted(runs, key=lambda run: run.path))

    def attempt(function: Any, *roles_or_runs: str | EnergyRun) -> Any:
        chosen = [usable.get(item) if isinstance(item, str) else item for item in roles_or_runs]
        if any(item is None for item in chosen):
            return None
        try:
            return function(*chosen)
        except MismatchError as error:
            refusal = NotTaken(tuple(item.path for item in chosen if item is not None), str(error))
            if refusal not in refused:
                refused.append(refusal)
            return None

    films, substrate = (_limits(part, usable, reservoirs, attempt) for part in PARTS)
    film = films[0] if films else None
    mean = attempt(mean_surface_energy, "substrate", "substrate_other", "substrate_bulk")
    adsorption = attempt(adsorption_energy, "film", "substrate", "interface")
    interface: tuple[SurfaceEnergy, ...] = ()
    if film is not None and adsorption is not None:
        interface = tuple(SurfaceEnergy(film.value + s.value - adsorption, _both(film, s)) for s in substrate)
    slabs = [usable[role] for role in ("interface", *PARTS) if role in usable]
    if not slabs or (film is None and not substrate and mean is None and adsorption is None):
        return None, refused
    result = GroupEnergies(
        group=group,
        area_angstrom2=slabs[0].area,
        film=film,
        substrate=substrate,
        substrate_mean=mean,
        film_mean=attempt(mean_surface_energy, "film", "film_other", "film_bulk"),
        adsorption=adsorption,
        adsorption_counterpoise=attempt(counterpoise_energy, "film_ghost", "substrate_ghost", "interface"),
        interface=interface,
        adsorption_sandwich=attempt(adsorption_energy, "film", "substrate", "sandwich"),
        strain_film=attempt(strain_energy, "film", "film_bulk", "film_bulk_free"),
        strain_substrate=attempt(strain_energy, "substrate", "substrate_bulk", "substrate_bulk_free"),
        terms=_terms(usable, reservoirs, borrowed or {}),
        facts=facts or {},
        warnings=_warnings([*usable.values(), *reservoirs]),
    )
    return result, refused


def _parts_of(group: str, members: Sequence[EnergyRun]) -> tuple[dict[str, EnergyRun], list[EnergyRun], list[NotTaken]]:
    """The finished run of each role, the finished reservoirs, and what plays no part."""
    players: dict[str, list[EnergyRun]] = {}
    for run in members:
        players.setdefault(run.role, []).append(run)
    usable: dict[str, EnergyRun] = {}
    reservoirs: list[EnergyRun] = []
    refused: list[NotTaken] = []
    for run in members:
        same = players[run.role]
        if run.status != "done" or run.energy_ev is None:
            refused.append(NotTaken((run.path,), f"not finished: {run.status}"))
        elif run.plays.kind == "reservoir":
            reservoirs.append(run)
        elif len(same) == 1:
            usable[run.role] = run
        elif run is same[0]:
            reason = f"{len(same)} runs play the role '{run.role}' in group '{group}'; give each study its own group"
            refused.append(NotTaken(tuple(other.path for other in same), reason))
    return usable, reservoirs, refused


def _warnings(runs: Sequence[EnergyRun]) -> tuple[str, ...]:
    """What does not forbid a combination but must be known."""
    found = []
    versions = sorted({run.cp2k_version for run in runs if run.cp2k_version})
    if len(versions) > 1:
        found.append(f"runs of different CP2K releases: {', '.join(versions)}")
    thresholds = sorted({run.asked["eps_scf"] for run in runs if "eps_scf" in run.asked})
    if len(thresholds) > 1:
        found.append(f"SCF thresholds differ (EPS_SCF {', '.join(f'{x:g}' for x in thresholds)})")
    slabs = [run for run in runs if run.plays.layered]
    if slabs and not any(run.relaxed for run in slabs):
        moved = [run.path for run in runs if run.relaxed and run.plays.coherent_bulk]
        if moved:
            found.append(f"the slabs are single points, the bulk is relaxed: {', '.join(moved)}")
    found += [f"{run.path}: {run.grid_doubt}" for run in runs if run.grid_doubt]
    return tuple(found)


def _limits(
    part: Part, usable: Mapping[str, EnergyRun], reservoirs: Sequence[EnergyRun], attempt: Any
) -> tuple[SurfaceEnergy, ...]:
    """γ of one slab: of a stoichiometric one as it is, else at the limit of each reservoir that balances it."""
    slab, bulk = usable.get(part), usable.get(role_name("bulk", part))
    if slab is None or bulk is None:
        return ()
    names = part, role_name("bulk", part)
    if cells_of(slab.composition, [bulk.composition]) is not None:
        found = [attempt(surface_energy, *names)]
    else:
        fitting = [run for run in reservoirs if cells_of(slab.composition, [bulk.composition, run.composition])]
        tried = fitting or [run for run in reservoirs if run.plays.side == part]
        found = [attempt(surface_energy, *names, run) for run in tried]
        if part == "film" and not tried:
            found = [attempt(surface_energy, *names)]
    return tuple(item for item in found if item is not None)


def _both(film: SurfaceEnergy, substrate: SurfaceEnergy) -> str:
    """The limit of γ_int: that of the substrate, and that of a film that has one of its own."""
    if film.reference in ("stoichiometric", substrate.reference):
        return substrate.reference
    return f"{film.reference} film, {substrate.reference}"


def _terms(
    usable: Mapping[str, EnergyRun], reservoirs: Sequence[EnergyRun], borrowed: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Every run that entered, with the formula units of its crystal and where it comes from."""
    terms: dict[str, dict[str, Any]] = {}
    for role in sorted(usable):
        run = usable[role]
        part = run.plays.part
        bulk = usable.get(role_name("bulk", part)) if part is not None else None
        cells = cells_of(run.composition, [bulk.composition]) if bulk is not None else None
        units = cells[0] * units_per_cell(bulk.composition) if bulk is not None and cells else None
        terms[role] = _term(run, units, borrowed)
    for run in reservoirs:
        name = "reservoir" if len(reservoirs) == 1 else f"reservoir {reduced_formula(run.composition)}"
        terms[name] = _term(run, units_per_cell(run.composition), borrowed)
    return terms


def _term(run: EnergyRun, units: float | None, borrowed: Mapping[str, str]) -> dict[str, Any]:
    return {
        "path": run.path,
        "energy_ev": run.energy_ev,
        "n_formula_units": units,
        "group": borrowed.get(run.path, run.group),
        "borrowed": run.path in borrowed,
        "status": run.status,
        "run_type": run.run_type,
        "relaxed": run.relaxed,
        "geometry": run.geometry,
        "max_force_ev_per_angstrom": run.max_force,
        "cp2k_version": run.cp2k_version,
        "composition": dict(run.composition),
        "settings": {**run.settings, **{key: run.asked.get(key) for key in ("eps_default", "eps_scf")}},
        **run.provenance,
    }
