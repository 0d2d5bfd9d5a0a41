"""Energies against thickness: surface energies from several slabs of a kind, adsorption energies of several interfaces.

A slab of N formula units with two equal faces has E(N) = 2Aγ + N·E_bulk + m·E_reservoir, with m the same at every
thickness. The slope of the straight line is a bulk energy that has the k-points of the slabs, its intercept gives γ
(Fiorentini & Methfessel 1996, doi:10.1088/0953-8984/8/36/005). A bulk run sampled otherwise along the normal makes the
γ of single slabs drift with N; the fit does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qdip_struct.analysis.energies.comparability import EnergyRun, require_comparable, run_difference, signature
from qdip_struct.analysis.energies.energies import GroupEnergies
from qdip_struct.analysis.energies.groups import RunSet
from qdip_struct.analysis.energies.stoichiometry import cells_of, ending, reduced_formula, units_per_cell
from qdip_struct.base.errors import MismatchError, NotTaken
from qdip_struct.base.units import MEV_PER_EV
from qdip_struct.builders.roles import PARTS

DRIFT_MEV_PER_ANGSTROM2 = 0.5
"""A computed bulk that moves the γ of the thickest slab by more than this against the fit is worth a warning."""


@dataclass(frozen=True)
class SlabPoint:
    """One thickness of a series.

    Attributes
    ----------
    path
        Run folder.
    n_formula_units, n_layers
        Bulk units and monolayers of the slab.
    energy_ev
        E(N) of the slab, eV.
    direct, fitted_bulk
        γ against the computed bulk (``None`` without one) and against the fitted one, meV/Å².
    """

    path: str
    n_formula_units: float
    n_layers: int | None
    energy_ev: float
    direct: float | None
    fitted_bulk: float


@dataclass(frozen=True)
class SurfaceSeries:
    """What the straight line E(N) = 2Aγ + N·E_bulk gives.

    Attributes
    ----------
    unit
        Formula unit that N counts.
    reference
        Chemical potential that γ refers to, as in :class:`qdip_struct.analysis.energies.energies.SurfaceEnergy`.
    area_angstrom2
        A, Å².
    value, stderr
        γ of the fit and its standard error (``None`` for two thicknesses), meV/Å².
    bulk_energy_ev, bulk_computed_ev
        Slope, and the energy of the bulk run, eV per formula unit.
    residual_mev
        Root mean square distance of the slabs from the line, meV per slab.
    thickest, thickest_bulk_ev
        γ (meV/Å²) and E_bulk (eV) of the two thickest slabs alone: where they differ from the fit, the thinnest
        slabs are not yet bulk inside.
    points
        Every slab.
    warnings
        What to know before γ is quoted.
    """

    unit: str
    reference: str
    area_angstrom2: float
    value: float
    stderr: float | None
    bulk_energy_ev: float
    bulk_computed_ev: float | None
    residual_mev: float
    thickest: float
    thickest_bulk_ev: float
    points: tuple[SlabPoint, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        difference_ev = None if self.bulk_computed_ev is None else self.bulk_computed_ev - self.bulk_energy_ev
        return {
            "unit": self.unit,
            "reference": self.reference,
            "area_angstrom2": self.area_angstrom2,
            "surface_energy_fit_mev_per_angstrom2": self.value,
            "surface_energy_fit_stderr_mev_per_angstrom2": self.stderr,
            "residual_mev": self.residual_mev,
            "surface_energy_two_thickest_mev_per_angstrom2": self.thickest,
            "bulk_energy_two_thickest_ev": self.thickest_bulk_ev,
            "bulk_energy_fit_ev": self.bulk_energy_ev,
            "bulk_energy_computed_ev": self.bulk_computed_ev,
            "bulk_energy_difference_mev": None if difference_ev is None else MEV_PER_EV * difference_ev,
            "points": [
                {
                    "path": point.path,
                    "n_formula_units": point.n_formula_units,
                    "n_layers": point.n_layers,
                    "energy_ev": point.energy_ev,
                    "surface_energy_direct_mev_per_angstrom2": point.direct,
                    "surface_energy_fitted_bulk_mev_per_angstrom2": point.fitted_bulk,
                }
                for point in self.points
            ],
            "warnings": list(self.warnings),
        }


def fit_surface_series(
    slabs: Sequence[EnergyRun],
    *,
    bulk: EnergyRun | None = None,
    reservoir: EnergyRun | None = None,
    layers: Mapping[str, int] | None = None,
) -> SurfaceSeries:
    """Fit E(N) = 2Aγ + N·E_bulk + m·E_reservoir to slabs of one surface.

    Parameters
    ----------
    slabs
        Finished slabs with equal faces and one lateral cell, of at least two thicknesses.
    bulk
        Bulk run for the direct γ of each slab; without it slabs must be stoichiometric.
    reservoir
        Crystal that takes up the excess of slabs that are not stoichiometric.
    layers
        Monolayers of each slab by its path, for the tables.

    Raises
    ------
    MismatchError
        If there are fewer than two thicknesses, runs that do not belong together, or a composition that does not fit.
    """
    require_comparable([*slabs, *(run for run in (bulk, reservoir) if run is not None)])
    units, excess, unit = _counted(slabs, bulk, reservoir)
    _refuse_no_series(slabs, units=units, excess=excess)
    area = slabs[0].area
    order = np.argsort(units, kind="stable")
    units = units[order]
    energy = np.array([run.energy_ev for run in slabs], dtype=float)[order]
    rest = energy - (excess[0] * float(reservoir.energy_ev or 0.0) if reservoir is not None else 0.0)
    slope, intercept, spread, error = _line(units, rest)
    thick = units.round(6) >= np.unique(units.round(6))[-2]
    last_slope, last, _, _ = _line(units[thick], rest[thick])
    computed = None
    if bulk is not None and bulk.energy_ev is not None:
        computed = bulk.energy_ev / units_per_cell(bulk.composition)
    scale = MEV_PER_EV / (2 * area)
    points = tuple(
        SlabPoint(
            path=slabs[k].path,
            n_formula_units=float(n),
            n_layers=(layers or {}).get(slabs[k].path),
            energy_ev=float(slabs[k].energy_ev or 0.0),
            direct=None if computed is None else float(scale * (value - n * computed)),
            fitted_bulk=float(scale * (value - n * slope)),
        )
        for k, n, value in zip(order, units, rest, strict=True)
    )
    return SurfaceSeries(
        unit=unit,
        reference=f"{reduced_formula(reservoir.composition)}-rich" if reservoir is not None else "stoichiometric",
        area_angstrom2=area,
        value=scale * intercept,
        stderr=None if error is None else scale * error,
        bulk_energy_ev=slope,
        bulk_computed_ev=computed,
        residual_mev=MEV_PER_EV * spread,
        thickest=scale * last,
        thickest_bulk_ev=last_slope,
        points=points,
        warnings=_drift(slope, computed, last=last_slope, counts=units, area=area, unit=unit),
    )


def _refuse_no_series(slabs: Sequence[EnergyRun], *, units: np.ndarray, excess: np.ndarray) -> None:
    """Refuse slabs of one thickness, or with different ends."""
    if len(set(units.round(6))) < 2:
        raise MismatchError(
            f"a thickness series needs slabs of at least two thicknesses, not {len(set(units.round(6)))}: "
            + ", ".join(run.path for run in slabs)
        )
    if np.ptp(excess) > 1e-6:
        raise MismatchError(
            f"{slabs[int(np.argmax(excess))].path} and {slabs[int(np.argmin(excess))].path} end in different layers"
        )


def _counted(
    slabs: Sequence[EnergyRun], bulk: EnergyRun | None, reservoir: EnergyRun | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Formula units (n,), excess cells of the reservoir (n,) and the formula unit."""
    if bulk is None:
        names = {reduced_formula(run.composition) for run in slabs}
        if len(names) != 1:
            raise MismatchError(
                f"slabs of {', '.join(sorted(names))} need a bulk run that says what their formula unit is"
            )
        units = np.array([units_per_cell(run.composition) for run in slabs], dtype=float)
        return units, np.zeros(len(slabs)), names.pop()
    parts = [bulk.composition] + ([reservoir.composition] if reservoir is not None else [])
    counted = []
    for run in slabs:
        found = cells_of(run.composition, parts)
        if found is None:
            raise MismatchError(
                f"{run.path} ({reduced_formula(run.composition)}) is not made of "
                f"{' and '.join(map(reduced_formula, parts))}"
                + ("" if reservoir is not None else "; it needs a reservoir run")
            )
        counted.append((found[0] * units_per_cell(bulk.composition), found[1] if reservoir is not None else 0.0))
    table = np.array(counted)
    return table[:, 0], table[:, 1], reduced_formula(bulk.composition)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float | None]:
    """Slope, intercept, rms residual and the intercept's standard error (``None`` for two points)."""
    middle, centre = float(x.mean()), float(y.mean())
    width = float(((x - middle) ** 2).sum())
    slope = float(((x - middle) * (y - centre)).sum()) / width
    intercept = centre - slope * middle
    rest = y - slope * x - intercept
    spread = float(np.sqrt((rest**2).mean()))
    if len(x) < 3:
        return slope, intercept, spread, None
    variance = float((rest**2).sum()) / (len(x) - 2)
    return slope, intercept, spread, float(np.sqrt(variance * (1 / len(x) + middle**2 / width)))


def _drift(
    slope: float, computed: float | None, *, last: float, counts: np.ndarray, area: float, unit: str
) -> tuple[str, ...]:
    """A computed bulk that is not the bulk of the fit, and which of both is to blame, by the two thickest slabs."""
    if computed is None:
        return ()
    whole, end = (MEV_PER_EV * float(counts.max()) * (computed - bulk) / (2 * area) for bulk in (slope, last))
    if max(abs(whole), abs(end)) <= DRIFT_MEV_PER_ANGSTROM2:
        return ()
    if len(counts) < 3:
        advice = "two thicknesses do not tell whether the bulk lacks k-points or the slabs are too thin: run a third"
    elif abs(end) <= DRIFT_MEV_PER_ANGSTROM2:
        advice = "the thinnest slabs are not yet bulk inside: quote the direct γ of the thickest slab"
    else:
        advice = "the bulk lacks k-points along the normal: quote the γ of the two thickest slabs"
    return (
        f"the computed bulk {unit} lies {MEV_PER_EV * (computed - slope):+.2f} meV per formula unit from the bulk of "
        f"the fit, which moves the γ of the thickest slab by {-whole:+.2f} meV/Å²; {advice}",
    )


def thickness_series(runs: Sequence[EnergyRun]) -> tuple[list[dict[str, Any]], list[NotTaken]]:
    """E(N) of every surface that has slabs of at least two thicknesses, and the slabs that make no series."""
    ready = [run for run in runs if run.status == "done" and run.energy_ev is not None]
    bulks = [run for run in ready if run.plays.coherent_bulk]
    families: dict[tuple[Any, ...], list[EnergyRun]] = {}
    for run in ready:
        if run.plays.alone:
            families.setdefault(_surface_of(run, bulks), []).append(run)
    found = []
    refused: list[NotTaken] = []
    for key in sorted(families, key=str):
        side, slabs = key[0], _one_each(families[key])
        if len({tuple(sorted(run.composition.items())) for run in slabs}) < 2:
            continue
        try:
            series = _fitted(slabs, bulks, [run for run in ready if run.plays.kind == "reservoir"])
        except MismatchError as error:
            refused.append(NotTaken(tuple(run.path for run in slabs), str(error)))
            continue
        if series is None:
            continue
        entry = series.to_dict()
        entry = {"side": side, "termination": key[2], "relaxed": slabs[0].relaxed, **entry}
        found.append(entry)
    return found, refused


def _surface_of(run: EnergyRun, bulks: Sequence[EnergyRun]) -> tuple[Any, ...]:
    """What makes slabs one surface at several thicknesses: side, crystal, termination, lateral cell, relaxed or not."""
    side = run.plays.side
    own = [bulk for bulk in bulks if bulk.plays.part == side and set(run.composition) == set(bulk.composition)]
    name = ending(run.composition, own[0].composition) if own else reduced_formula(run.composition)
    crystal = reduced_formula(own[0].composition) if own else reduced_formula(run.composition)
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
    side = slabs[0].plays.side
    counts = [tuple(sorted(run.composition.items())) for run in slabs]
    double = [run.path for run, count in zip(slabs, counts, strict=True) if counts.count(count) > 1]
    if double:
        raise MismatchError(f"two slabs of one thickness have different energies: {', '.join(double)}")
    fitting = [bulk for bulk in bulks if bulk.plays.part == side and set(bulk.composition) == set(slabs[0].composition)]
    bulk = next((run for run in fitting if run_difference(slabs[0], run) is None), fitting[0] if fitting else None)
    stoichiometric = bulk is None or all(cells_of(run.composition, [bulk.composition]) for run in slabs)
    reservoir = None
    if bulk is not None and not stoichiometric:
        made = [r for r in reservoirs if all(cells_of(s.composition, [bulk.composition, r.composition]) for s in slabs)]
        reservoir = next((run for run in made if run_difference(slabs[0], run) is None), made[0] if made else None)
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
        layers = [system[f"{part}_layers"] for part in PARTS]
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
