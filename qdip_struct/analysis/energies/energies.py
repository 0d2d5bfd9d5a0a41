"""Surface, adsorption, interface and strain energies from finished runs that belong together.

Signs and definitions (A is the lateral area, N counts formula units):

- surface: γ = (E_slab − N·E_bulk − m·E_reservoir) / (2A); m = 0 for a stoichiometric slab. For AX- or BX2-terminated
  perovskite slabs m ≠ 0 and γ holds at the limit where the crystal is in equilibrium with the reservoir crystal.
- mean of two complementary terminations: γ̄ = (E_1 + E_2 − N·E_bulk) / (4A), free of any chemical potential.
- adsorption (work of adhesion): E_ad = (E_film + E_substrate − E_interface) / A, positive when they bind.
- interface: γ_int = γ_film + γ_substrate − E_ad (Ning et al. 2015, doi:10.1038/nature14563).
- strain: N·(E_strained bulk − E_free bulk) / A.

Energies in eV, lengths in Å, results in meV/Å². Runs that do not belong together are refused, never averaged over.
"""

from dataclasses import dataclass

import numpy as np

from qdip_struct.analysis.energies.comparability import require_comparable
from qdip_struct.analysis.energies.energy_run import SINGLE_POINTS, EnergyRun
from qdip_struct.analysis.energies.stoichiometry import Composition, added, cells_of, formula
from qdip_struct.base.errors import MismatchError
from qdip_struct.base.units import MEV_PER_EV


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
            f"{slab.path} ({formula(slab.composition)}) is not a whole number of {formula(bulk.composition)} units"
            + (f" and {formula(reservoir.composition)}" if reservoir else "; it needs a reservoir run")
        )
    energy = _energy(slab) - sum(n * _energy(run) for n, run in zip(counts, runs[1:], strict=True))
    reference = f"{formula(reservoir.composition)}-rich" if reservoir else "stoichiometric"
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
            f"{slab.path} and {other.path} are not complementary: together they are {formula(together)}"
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
    n_interfaces = 2 if interface.role == "sandwich" else 1
    return MEV_PER_EV * (_energy(film) + _energy(substrate) - _energy(interface)) / (n_interfaces * interface.area)


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
        if run.run_type not in SINGLE_POINTS:
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
