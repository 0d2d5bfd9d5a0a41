"""Formation energies of mixed compositions against their end members, and how far each lies above the convex hull.

E_f(mixed) = E(mixed)/n − Σ x_i·E_i, per formula unit, with x_i the share of end member i and Σ x_i = 1. Mixing means
the same lattice with other ions on a site: end members and mixture have equal shares of A-site, B-site and anion
sites, so CsBr + PbBr2 is no pair of end members of CsPbBr3. The mixed crystals and their end members are found among
the runs of a folder. Energies in eV, results in meV per formula unit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any, get_args

import numpy as np

from qdip_struct.analysis.energies.comparability import EnergyRun, run_difference, theory
from qdip_struct.analysis.energies.stoichiometry import Composition, cells_of, reduced_formula, units_per_cell
from qdip_struct.base.errors import MismatchError, NotTaken
from qdip_struct.base.units import MEV_PER_EV
from qdip_struct.materials.ions import FORMULA_MOLECULES, IONS, SiteClass

_MOLECULES = [IONS[name].atoms for name in FORMULA_MOLECULES]
"""These stand on the A site."""


@dataclass(frozen=True)
class Formation:
    """One mixed composition: E_f = E/n − Σ xᵢ·Eᵢ and how far it lies above the hull.

    Attributes
    ----------
    formula
        Its formula.
    path
        Its run folder.
    shares
        x of each end member by formula; they add up to 1.
    value
        E_f, meV per formula unit; negative when mixing gains energy.
    above_hull
        Height above the convex hull, meV per formula unit, 0 on it.
    """

    formula: str
    path: str
    shares: dict[str, float]
    value: float
    above_hull: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "formula": self.formula,
            "path": self.path,
            "shares": self.shares,
            "formation_energy_mev_per_formula_unit": self.value,
            "above_hull_mev_per_formula_unit": self.above_hull,
            "on_hull": self.above_hull < 1e-6,
        }


def site_shares(composition: Composition) -> dict[str, Fraction] | None:
    """Share of A sites, B sites, halides and chalcogenides; ``None`` for a composition of other atoms."""
    counts = dict(composition)
    sites: dict[str, int] = dict.fromkeys(get_args(SiteClass), 0)
    if "C" in counts or "N" in counts or "H" in counts:
        molecules = cells_of({e: counts.pop(e, 0) for e in ("C", "N", "H")}, _MOLECULES)
        if molecules is None or min(molecules) < 0:
            return None
        sites["A"] += round(sum(molecules))
    for element, count in counts.items():
        ion = IONS.get(element)
        if ion is None or ion.site is None:
            return None
        sites[ion.site] += count
    total = sum(sites.values())
    return {name: Fraction(count, total) for name, count in sites.items()} if total else None


def units_by_sites(composition: Composition) -> float:
    """Formula units by the sites: the number of sites over the smallest whole numbers that have their shares.

    A doubled cell counts like its end members: Cs2Pb2Br5I is two units of ABX3.
    """
    shares = site_shares(composition)
    if shares is None:
        return float(units_per_cell(composition))
    whole = int(np.lcm.reduce([share.denominator for share in shares.values()]))
    molecules = cells_of({e: composition.get(e, 0) for e in ("C", "N", "H")}, _MOLECULES) or (0.0, 0.0)
    n_sites = sum(n for e, n in composition.items() if e not in ("C", "N", "H")) + sum(molecules)
    return n_sites / whole


def formation_energies(runs: Sequence[EnergyRun]) -> list[Formation]:
    """Formation energies of every mixed composition among bulk runs, ranked by their height above the hull.

    Parameters
    ----------
    runs
        Finished bulk cells. One composition may occur several times (arrangements of its ions); the lowest end member
        of each composition is the reference.

    Raises
    ------
    MismatchError
        If runs that must be combined do not belong together.
    """
    ready = [run for run in runs if run.status == "done" and run.energy_ev is not None and site_shares(run.composition)]
    families: dict[tuple[Any, ...], list[EnergyRun]] = {}
    for run in ready:
        sites = site_shares(run.composition) or {}
        families.setdefault((tuple(sorted(sites.items())), theory(run)), []).append(run)
    found: list[Formation] = []
    for key in sorted(families, key=str):
        found += _family(sorted(families[key], key=lambda run: (reduced_formula(run.composition), run.path)))
    return sorted(found, key=lambda item: (round(item.above_hull, 6), round(item.value, 6), item.formula, item.path))


def _family(runs: Sequence[EnergyRun]) -> list[Formation]:
    """Formation energies among compositions of one lattice that share end members."""
    lowest: dict[str, EnergyRun] = {}
    for run in runs:
        name = reduced_formula(run.composition)
        if name not in lowest or per_unit(run) < per_unit(lowest[name]):
            lowest[name] = run
    ends = {name: run for name, run in lowest.items() if not _spanned(run, _without(run, lowest))}
    mixed = [run for run in runs if reduced_formula(run.composition) not in ends]
    found = []
    for run in mixed:
        shares = _spanned(run, list(ends.values()))
        if shares is None:
            continue
        parts = [ends[name] for name in shares]
        for first, second in combinations([run, *parts], 2):
            reason = run_difference(first, second)
            if reason is not None:
                raise MismatchError(f"{first.path} and {second.path} differ in {reason}")
        value = per_unit(run) - sum(x * per_unit(ends[name]) for name, x in shares.items())
        above = max(per_unit(run) - _hull(run, _without(run, lowest)), 0.0)
        found.append(
            Formation(reduced_formula(run.composition), run.path, dict(shares), MEV_PER_EV * value, MEV_PER_EV * above)
        )
    return found


def _without(run: EnergyRun, lowest: Mapping[str, EnergyRun]) -> list[EnergyRun]:
    return [other for other in lowest.values() if other is not run]


def per_unit(run: EnergyRun) -> float:
    """Energy per formula unit, eV."""
    return float(run.energy_ev or 0.0) / units_by_sites(run.composition)


def _vector(run: EnergyRun, elements: Sequence[str]) -> np.ndarray:
    units = units_by_sites(run.composition)
    return np.array([run.composition.get(e, 0) / units for e in elements])


def _spanned(run: EnergyRun, others: Sequence[EnergyRun]) -> Mapping[str, float] | None:
    """Shares of others that make up the run's composition, fewest members first; ``None`` when they cannot."""
    elements = sorted({e for item in (run, *others) for e in item.composition})
    wanted = _vector(run, elements)
    ordered = sorted(others, key=lambda item: reduced_formula(item.composition))
    for count in range(2, min(len(ordered), len(elements)) + 1):
        for chosen in combinations(ordered, count):
            matrix = np.array([_vector(item, elements) for item in chosen]).T
            shares, _, rank, _ = np.linalg.lstsq(matrix, wanted, rcond=None)
            if rank == count and (shares > 1e-9).all() and np.allclose(matrix @ shares, wanted, atol=1e-9):
                return {
                    reduced_formula(item.composition): float(x)
                    for item, x in zip(chosen, shares.round(12), strict=True)
                }
    return None


def _hull(run: EnergyRun, others: Sequence[EnergyRun]) -> float:
    """Lowest energy per formula unit, eV, of any mixture of the others with the run's composition."""
    from scipy.optimize import linprog

    elements = sorted({e for item in (run, *others) for e in item.composition})
    matrix = np.array([_vector(item, elements) for item in others]).T
    energies = np.array([per_unit(item) for item in others])
    level = float(energies.mean())
    solved = linprog(energies - level, A_eq=matrix, b_eq=_vector(run, elements), bounds=(0, None), method="highs")
    return float(solved.fun) + level if solved.status == 0 else float("inf")


def formation_table(runs: Sequence[EnergyRun]) -> tuple[list[dict[str, Any]], list[NotTaken]]:
    """Formation energies of mixed bulk crystals against end members, best first, and what may not be compared."""
    bulks = [run for run in runs if run.plays.free_bulk]
    free = {(run.plays.side, reduced_formula(run.composition)) for run in bulks}
    bulks += [
        run
        for run in runs
        if run.plays.coherent_bulk
        and (run.plays.side, reduced_formula(run.composition)) not in free
        and not _strained(run)
    ]
    try:
        return [item.to_dict() for item in formation_energies(_once(bulks))], []
    except MismatchError as error:
        return [], [NotTaken(tuple(sorted(run.path for run in bulks)), str(error))]


def _strained(run: EnergyRun) -> bool:
    strain = run.facts.get(f"strain_{run.plays.side}") or (0.0, 0.0)
    return max(map(abs, strain)) > 1e-6


def _once(bulks: Sequence[EnergyRun]) -> list[EnergyRun]:
    """Each bulk once: copies in several groups have one composition and one energy."""
    found: dict[tuple[str, float], EnergyRun] = {}
    for run in sorted(bulks, key=lambda run: run.path):
        energy = round(float(run.energy_ev or 0.0) / units_by_sites(run.composition), 6)
        found.setdefault((reduced_formula(run.composition), energy), run)
    return list(found.values())
