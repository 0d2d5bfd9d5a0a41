"""E(N) of slabs of several thicknesses: known γ comes back, a badly sampled bulk does no harm, two points at least."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.analysis.energies.comparability import EnergyRun
from qdip_struct.analysis.energies.surface_series import fit_surface_series
from qdip_struct.base.errors import MismatchError

A = 36.0


def slab(n: int, energy: float, *, excess: int = 0, role: str = "film") -> EnergyRun:
    composition = {"Pb": 2 * n, "S": 2 * n} if role == "film" else {"Cs": n + excess, "Pb": n, "Br": 3 * n + excess}
    return EnergyRun(
        path=f"runs/{role}_{n}",
        role=role,
        group=f"{n}",
        status="done",
        energy_ev=energy,
        composition=composition,
        cell=np.diag([6.0, 6.0, 30.0 + n]),
        settings={"functional": "PBE", "kpoints": (4, 4, 1)},
        run_type="ENERGY",
    )


def bulk(energy: float, composition: dict[str, int], role: str = "film_bulk") -> EnergyRun:
    run = slab(1, energy)
    settings_ = {"functional": "PBE", "kpoints": (4, 4, 6)}
    return replace(
        run, path=role, role=role, composition=composition, cell=np.diag([6.0, 6.0, 6.0]), settings=settings_
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    gamma=st.floats(-0.01, 0.05),
    unit=st.floats(-400.0, -50.0),
    error=st.floats(-0.01, 0.01),
    counts=st.lists(st.integers(1, 12), min_size=2, max_size=5, unique=True),
)
def test_known_surface_energy_comes_back_whatever_the_bulk_run_says(
    gamma: float, unit: float, error: float, counts: list[int]
) -> None:
    slabs = [slab(n, 2 * n * unit + 2 * A * gamma) for n in counts]
    found = fit_surface_series(slabs, bulk=bulk(4 * (unit + error), {"Pb": 4, "S": 4}))
    assert found.value == pytest.approx(1000 * gamma, abs=1e-6)
    assert found.bulk_energy_ev == pytest.approx(unit, abs=1e-9)
    assert found.residual_mev == pytest.approx(0.0, abs=1e-6)
    for point in found.points:
        assert point.direct == pytest.approx(1000 * (gamma - point.n_formula_units * error / (2 * A)), abs=1e-6)
        assert point.fitted_bulk == pytest.approx(1000 * gamma, abs=1e-6)
    drift = 1000 * 2 * max(counts) * abs(error) / (2 * A)
    if abs(drift - 0.5) > 1e-6:
        assert bool(found.warnings) == (drift > 0.5)
    if found.warnings:
        assert ("run a third" in found.warnings[0]) == (len(counts) == 2)
        assert ("lacks k-points along the normal" in found.warnings[0]) == (len(counts) > 2)


def test_published_drift_of_an_undersampled_bulk_is_found() -> None:
    """γ of PbS(100) that grows as 20.0, 21.1, 22.7 with n = 3, 5, 7 layers against a bulk too high by a constant."""
    n_units = np.array([6, 10, 14])
    energies = 2 * A * np.array([0.0175, 0.0169, 0.0169]) + n_units * -100.0
    slabs = [slab(n, float(e)) for n, e in zip((3, 5, 7), energies, strict=True)]
    poor = fit_surface_series(slabs, bulk=bulk(4 * -100.0296, {"Pb": 4, "S": 4}))
    direct = [point.direct for point in poor.points]
    assert direct == pytest.approx([20.0, 21.1, 22.7], abs=0.2)
    assert poor.warnings
    assert "the bulk lacks k-points along the normal" in poor.warnings[0]
    good = fit_surface_series(slabs, bulk=bulk(4 * -100.0, {"Pb": 4, "S": 4}))
    assert [point.direct for point in good.points] == pytest.approx([17.5, 16.9, 16.9])
    assert good.value == pytest.approx(poor.value, abs=1e-9)
    assert good.stderr == pytest.approx(0.37, abs=0.2)
    assert "thinnest slabs are not yet bulk inside" in good.warnings[0]
    assert good.thickest == pytest.approx(16.9)
    assert good.thickest_bulk_ev == pytest.approx(-100.0)


def test_stoichiometric_slabs_need_no_bulk_run() -> None:
    found = fit_surface_series([slab(3, -599.0), slab(5, -999.0)])
    assert found.unit == "PbS"
    assert found.bulk_energy_ev == pytest.approx(-100.0)
    assert found.value == pytest.approx(1000 / 72)
    assert found.stderr is None
    assert found.to_dict()["bulk_energy_computed_ev"] is None
    assert all(point.direct is None for point in found.points)


def test_termination_with_its_reservoir() -> None:
    salt, crystal, gamma = -80.0, -300.0, 0.007
    slabs = [slab(n, n * crystal + salt + 2 * A * gamma, excess=1, role="substrate") for n in (1, 2, 3)]
    parts = {
        "bulk": bulk(crystal, {"Cs": 1, "Pb": 1, "Br": 3}, "substrate_bulk"),
        "reservoir": bulk(4 * salt, {"Cs": 4, "Br": 4}, "reservoir"),
    }
    found = fit_surface_series(slabs, **parts)
    assert found.reference == "CsBr-rich"
    assert found.value == pytest.approx(7.0)
    with pytest.raises(MismatchError, match="needs a reservoir run"):
        fit_surface_series(slabs, bulk=parts["bulk"])
    other = slab(4, 0.0, excess=0, role="substrate")
    with pytest.raises(MismatchError, match="end in different layers"):
        fit_surface_series([*slabs, other], **parts)


def test_fewer_than_two_thicknesses_are_refused() -> None:
    with pytest.raises(MismatchError, match="at least two thicknesses, not 1: runs/film_3"):
        fit_surface_series([slab(3, -1.0)])
    with pytest.raises(MismatchError, match="at least two thicknesses"):
        fit_surface_series([slab(3, -1.0), replace(slab(3, -1.0), path="again")])


def test_runs_that_do_not_belong_are_refused() -> None:
    one, two = slab(3, -599.0), slab(5, -999.0)
    with pytest.raises(MismatchError, match="not finished: max_steps"):
        fit_surface_series([one, replace(two, status="max_steps")])
    with pytest.raises(MismatchError, match="the kind of run"):
        fit_surface_series([one, replace(two, run_type="GEO_OPT")])
    with pytest.raises(MismatchError, match="functional"):
        fit_surface_series([one, replace(two, settings={"functional": "PBESOL", "kpoints": (4, 4, 1)})])
    with pytest.raises(MismatchError, match="need a bulk run"):
        fit_surface_series([one, slab(2, -1.0, role="substrate")])
