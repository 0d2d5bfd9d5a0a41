"""Transfer efficiency, diffusion length, photons: the published table, limits, inverses, refusals."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.papers.recipes import TABLE_1B
from qdip_struct.papers.transfer import (
    diffusion_length,
    photon_energy,
    photon_wavelength,
    transfer_efficiency,
    transfer_efficiency_bounds,
)

PUBLISHED = {
    "0.0040": 12.55, "0.0080": 4.97, "0.0197": 9.33, "0.0386": 8.21, "0.0744": 12.03,
    "0.0913": 11.11, "0.1181": 40.95, "0.1673": 68.42, "0.2867": 80.37,
}  # fmt: skip
"""Ning et al. 2015, Extended Data Table 1b, last column (%)."""

COUNTS = {"emission_short": 4e6, "emission_long": 3e5, "photons_short": 3e9, "photons_long": 1.3e9}
ABSORBED = {"dot_absorption_short": 0.11, "dot_absorption_long": 0.07, "matrix_absorption_short": 0.35}


@pytest.mark.parametrize("row", sorted(PUBLISHED))
def test_the_published_table_lies_within_the_rounding_of_its_absorptions(row):
    pl_s, pl_l, i_s, i_l, a_l, a_s, a_p = TABLE_1B[row]
    low, high = transfer_efficiency_bounds(
        emission_short=pl_s,
        emission_long=pl_l,
        photons_short=i_s,
        photons_long=i_l,
        dot_absorption_long=(a_l - 0.0005, a_l + 0.0005),
        dot_absorption_short=(a_s - 0.00005, a_s + 0.00005),
        matrix_absorption_short=(a_p - 0.0005, a_p + 0.0005),
    )
    assert 100.0 * low <= PUBLISHED[row] <= 100.0 * high
    assert 100.0 * (high - low) < 3.0


fractions = st.floats(0.001, 0.5)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(eta=st.floats(0.0, 1.0), dot_short=fractions, dot_long=fractions, matrix=fractions, yield_=fractions)
def test_emissions_made_from_an_efficiency_give_it_back(eta, dot_short, dot_long, matrix, yield_):
    short, long = 3e9, 1e9
    found = transfer_efficiency(
        emission_short=(dot_short + eta * matrix) * yield_ * short,
        emission_long=dot_long * yield_ * long,
        photons_short=short,
        photons_long=long,
        dot_absorption_short=dot_short,
        dot_absorption_long=dot_long,
        matrix_absorption_short=matrix,
    )
    assert found == pytest.approx(eta, abs=1e-9)


def test_scales_of_counts_and_of_photons_drop_out():
    one = transfer_efficiency(**COUNTS, **ABSORBED)
    scaled = {k: v * (7.0 if k.startswith("emission") else 0.3) for k, v in COUNTS.items()}
    assert transfer_efficiency(**scaled, **ABSORBED) == pytest.approx(one)


def test_bounds_enclose_the_value_and_close_on_it():
    value = transfer_efficiency(**COUNTS, **ABSORBED)
    tight = transfer_efficiency_bounds(**COUNTS, **{k: (v, v) for k, v in ABSORBED.items()})
    assert tight == pytest.approx((value, value))
    low, high = transfer_efficiency_bounds(**COUNTS, **{k: (0.99 * v, 1.01 * v) for k, v in ABSORBED.items()})
    assert low < value < high
    with pytest.raises(UsageError, match="lower end first"):
        transfer_efficiency_bounds(**COUNTS, **{k: (v, 0.5 * v) for k, v in ABSORBED.items()})


@pytest.mark.parametrize("name", [*COUNTS, *ABSORBED])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_impossible_input_is_refused(name, value):
    with pytest.raises(UsageError, match="expected"):
        transfer_efficiency(**{**COUNTS, **ABSORBED, name: value})


@pytest.mark.parametrize("name", [*COUNTS, "matrix_absorption_short"])
def test_what_is_divided_by_is_not_zero(name):
    with pytest.raises(UsageError, match="positive"):
        transfer_efficiency(**{**COUNTS, **ABSORBED, name: 0.0})


def test_diffusion_length_in_the_units_of_the_field():
    # 0.01 cm²/s over 100 ns: √(0.01 cm²/s · 1e-7 s) = 3.162e-5 cm = 316 nm.
    assert diffusion_length(0.01, lifetime=100.0) == pytest.approx(316.2277660)
    # 40 nm between the dots of the thinnest film and 2 ns of lifetime there.
    assert diffusion_length(0.008, lifetime=2.0) == pytest.approx(40.0)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(d=st.floats(1e-4, 10.0), tau=st.floats(0.01, 1e5))
def test_diffusion_length_grows_as_the_root_of_both(d, tau):
    assert diffusion_length(d, lifetime=9.0 * tau) == pytest.approx(3.0 * diffusion_length(d, lifetime=tau))
    assert diffusion_length(4.0 * d, lifetime=tau) == pytest.approx(2.0 * diffusion_length(d, lifetime=tau))


def test_photons():
    assert photon_energy(1239.841984) == pytest.approx(1.0, rel=1e-7)
    assert photon_wavelength(photon_energy(770.0)) == pytest.approx(770.0)
    # Cu K-alpha: 8.0478 keV, 1.5406 Å.
    assert 10.0 * photon_wavelength(8047.8) == pytest.approx(1.5406, abs=1e-4)


@pytest.mark.parametrize(
    "call",
    [
        photon_energy,
        photon_wavelength,
        lambda x: diffusion_length(x, lifetime=1.0),
        lambda x: diffusion_length(1.0, lifetime=x),
    ],
)
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_lengths_times_and_energies_are_positive(call, value):
    with pytest.raises(UsageError, match="positive"):
        call(value)
