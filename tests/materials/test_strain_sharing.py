"""Elastic moduli and the sharing of a misfit: limits, energies by another route, published numbers."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.elasticity import (
    EV_PER_GPA_ANGSTROM3,
    cubic_moduli,
    isotropic_moduli,
    known_moduli,
    mixed_moduli,
)
from qdip_struct.materials.strain_sharing import (
    critical_diameter,
    critical_spacing,
    dislocated_interface_energy,
    share_dot,
    share_film,
    stability_curve,
)

MODULUS = st.floats(1.0, 200.0)
MISFIT = st.floats(-0.1, 0.1).filter(lambda f: abs(f) > 1e-4)
FRACTION = st.floats(0.001, 0.9)
STEADY = settings(deadline=None, derandomize=True, max_examples=60)
PBS = isotropic_moduli(53.0, shear=25.0)
MAPI = isotropic_moduli(12.2, shear=3.7)


def test_unit_of_energy():
    ase_units = pytest.importorskip("ase.units")
    assert pytest.approx(ase_units.GPa) == EV_PER_GPA_ANGSTROM3


def test_bulk_modulus_of_lead_sulfide():
    assert known_moduli("PbS").bulk == pytest.approx(53.0, abs=0.5)
    assert cubic_moduli(127.0, 29.8, 24.8).bulk == pytest.approx(62.2)


def test_an_isotropic_crystal_has_its_own_moduli():
    moduli = cubic_moduli(100.0, 40.0, 30.0)
    assert moduli.shear == pytest.approx(30.0)
    same = isotropic_moduli(moduli.bulk, shear=moduli.shear)
    assert moduli.biaxial == pytest.approx(same.biaxial)
    assert same.young == pytest.approx(2.0 * same.shear * (1.0 + same.poisson))


def test_the_assumed_shear_modulus_is_said():
    assumed = isotropic_moduli(12.2)
    assert assumed.poisson == pytest.approx(0.3)
    assert "5.63 GPa" in assumed.assumption
    mixed = mixed_moduli("CsPbBr2I")
    assert 16.5 < mixed.bulk < 18.1 and "assumed" in mixed.assumption
    assert mixed_moduli("CdS") is None


@pytest.mark.parametrize("shear, around, expected", [
    (3.7, "infinite", 0.426), (3.7, "fixed", 0.586), (None, "infinite", 0.620), (None, "fixed", 0.788),
])  # fmt: skip
def test_lead_sulfide_in_mapi_as_in_ning(shear, around, expected):
    matrix = isotropic_moduli(12.2, shear=shear)
    shared = share_dot(0.05, dot=PBS, matrix=matrix, surroundings=around, volume_fraction=0.1091)
    assert 100 * shared.dot_strain == pytest.approx(expected, abs=1e-3)
    assert 0.0042 < shared.dot_strain < 0.0080


@STEADY
@given(MISFIT, MODULUS, MODULUS, MODULUS, FRACTION, st.sampled_from(["infinite", "fixed", "free"]))
def test_the_solution_satisfies_its_boundary_conditions(misfit, bulk, shear, hard, phi, around):
    dot, matrix = isotropic_moduli(hard, shear=hard), isotropic_moduli(bulk, shear=shear)
    s = share_dot(misfit, dot=dot, matrix=matrix, surroundings=around, volume_fraction=phi)
    # displacement: dot − matrix = f at the interface; radial stress is continuous
    assert s.dot_strain - s.matrix_hoop_strain == pytest.approx(misfit)
    trace = s.matrix_radial_strain + 2.0 * s.matrix_hoop_strain
    stress = (bulk - 2.0 * shear / 3.0) * trace + 2.0 * shear * s.matrix_radial_strain
    assert stress == pytest.approx(s.pressure_gpa, rel=1e-9, abs=1e-9)
    uniform = trace / 3.0
    beta = s.matrix_hoop_strain - uniform
    outer_fraction = 0.0 if around == "infinite" else phi
    if around == "fixed":
        assert uniform + beta * outer_fraction == pytest.approx(0.0, abs=1e-12)
    if around == "free":
        assert 3.0 * bulk * uniform - 4.0 * shear * beta * outer_fraction == pytest.approx(0.0, abs=1e-9)
    # elastic energy by integration over the shell equals (9/2)·K·ε·f per volume of dot
    shell = 0.0
    if around != "infinite":
        volume = 1.0 / phi - 1.0
        shell = 4.5 * bulk * uniform**2 * volume + 6.0 * shear * beta**2 * (1.0 - phi)
    else:
        shell = 6.0 * shear * beta**2
    assert 4.5 * hard * s.dot_strain**2 + shell == pytest.approx(s.energy_per_volume_gpa, rel=1e-8)


@STEADY
@given(MISFIT, FRACTION)
def test_limits(misfit, phi):
    soft, hard = isotropic_moduli(1e-6, shear=1e-6), isotropic_moduli(1e6, shear=1e6)
    assert share_dot(misfit, dot=PBS, matrix=soft).dot_strain == pytest.approx(0.0, abs=1e-8)
    assert share_dot(misfit, dot=PBS, matrix=hard).dot_strain == pytest.approx(misfit, rel=1e-3)
    small = share_dot(misfit, dot=PBS, matrix=MAPI, surroundings="fixed", volume_fraction=1e-9)
    infinite = share_dot(misfit, dot=PBS, matrix=MAPI)
    assert small.dot_strain == pytest.approx(infinite.dot_strain)
    fixed = share_dot(misfit, dot=PBS, matrix=MAPI, surroundings="fixed", volume_fraction=phi)
    free = share_dot(misfit, dot=PBS, matrix=MAPI, surroundings="free", volume_fraction=phi)
    assert abs(free.dot_strain) <= abs(infinite.dot_strain) <= abs(fixed.dot_strain)


@STEADY
@given(MISFIT, st.floats(1.0, 100.0), st.floats(1.0, 100.0))
def test_film_and_substrate(misfit, film, substrate):
    shared = share_film(misfit, film=PBS, substrate=MAPI, film_thickness=film, substrate_thickness=substrate)
    assert shared.film_strain - shared.substrate_strain == pytest.approx(misfit)
    forces = PBS.biaxial * film * shared.film_strain, MAPI.biaxial * substrate * shared.substrate_strain
    assert forces[0] == pytest.approx(-forces[1])
    energy = 0.1 * (PBS.biaxial * film * shared.film_strain**2 + MAPI.biaxial * substrate * shared.substrate_strain**2)
    assert shared.energy_j_per_m2 == pytest.approx(energy)
    trial = np.linspace(-0.2, 0.2, 4001)
    least = 0.1 * (PBS.biaxial * film * trial**2 + MAPI.biaxial * substrate * (trial - misfit) ** 2)
    assert energy <= least.min() + 1e-12
    thick = share_film(misfit, film=PBS, substrate=MAPI, film_thickness=film, substrate_thickness=math.inf)
    assert thick.film_strain == misfit and thick.substrate_strain == 0.0


def test_refusals():
    for call in (
        lambda: share_dot(math.nan, dot=PBS, matrix=MAPI),
        lambda: share_dot(0.05, dot=PBS, matrix=MAPI, surroundings="fixed", volume_fraction=1.0),
        lambda: share_dot(0.05, dot=PBS, matrix=MAPI, surroundings="round"),
        lambda: share_film(0.01, film=PBS, substrate=MAPI, film_thickness=-1, substrate_thickness=1),
        lambda: isotropic_moduli(-3.0),
        lambda: isotropic_moduli(3.0, shear=0.0),
        lambda: isotropic_moduli(3.0, poisson=0.5),
        lambda: cubic_moduli(10.0, 20.0, 5.0),
        lambda: critical_diameter(0.02, dot=PBS, matrix=MAPI, burgers=0.0),
        lambda: critical_spacing(math.inf, matrix=MAPI, burgers=5.9),
    ):
        with pytest.raises(UsageError):
            call()


@pytest.mark.parametrize("model", ["prismatic_loop", "interface_balance"])
def test_critical_diameter_falls_with_misfit(model):
    sizes = [critical_diameter(f, dot=PBS, matrix=MAPI, burgers=5.9, model=model) for f in (0.005, 0.01, 0.02, 0.04)]
    assert all(a > b for a, b in itertools.pairwise(sizes))
    assert critical_diameter(0.0, dot=PBS, matrix=MAPI, burgers=5.9, model=model) == math.inf
    mirrored = critical_diameter(-0.02, dot=PBS, matrix=MAPI, burgers=5.9, model=model)
    assert mirrored == pytest.approx(critical_diameter(0.02, dot=PBS, matrix=MAPI, burgers=5.9, model=model))


def test_critical_values_solve_their_equations():
    h = critical_spacing(0.02, matrix=MAPI, burgers=5.9)
    assert h == pytest.approx(5.9 / (8 * math.pi * 0.02 * (1 + MAPI.poisson)) * (math.log(4 * h / 5.9) + 1))
    d = critical_diameter(0.03, dot=PBS, matrix=MAPI, burgers=5.9, model="interface_balance")
    network = dislocated_interface_energy(0.03, dot=PBS, matrix=MAPI, burgers=5.9, cutoff=d / 2)
    assert share_dot(0.03, dot=PBS, matrix=MAPI).energy_per_volume_gpa * d / 6 == pytest.approx(network)


def test_the_v_shaped_trend_of_liu():
    matrix = mixed_moduli("CsPbBrI2")
    phi = np.linspace(0.002, 0.5, 250)
    turning = []
    for misfit in (0.0, 0.01, 0.02, 0.03):
        curve = stability_curve(misfit, dot=PBS, matrix=matrix, diameter=35.0, burgers=5.97, volume_fractions=phi)
        turning.append(curve.critical_fraction)
        assert np.all(np.diff(curve.spacing) < 0)
        assert np.all(curve.coherent == (phi >= curve.critical_fraction - 1e-12))
        if misfit == 0.0:
            assert np.all(curve.stored == 0.0)
        else:
            apart = ~curve.coherent
            assert np.all(np.diff(curve.stored[apart]) > 0)
            assert curve.stored[apart].max(initial=0.0) > curve.stored[curve.coherent].min()
    # a larger misfit needs a higher loading
    assert turning == sorted(turning) and turning[0] == 0.0 and turning[3] > turning[2] > turning[1]


def test_the_elastic_energy_in_free_surroundings_vanishes_at_both_ends_of_the_loading():
    phi = np.array([1e-6, 0.3, 1 - 1e-6])
    energy = [
        x * share_dot(0.02, dot=PBS, matrix=MAPI, surroundings="free", volume_fraction=float(x)).energy_per_volume_gpa
        for x in phi
    ]
    assert energy[0] < 1e-5 * energy[1] and energy[2] < 1e-5 * energy[1]
