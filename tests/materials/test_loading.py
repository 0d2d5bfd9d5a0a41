"""Loading: Ning's table, densities, spacings."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.elasticity import density, molar_mass
from qdip_struct.materials.loading import (
    dot_spacings,
    loading_from_fraction,
    loading_from_mass,
    precursor_of,
)

# Ning et al. (2015), Extended Data Table 1a: PbI2:PbS by mass, MAPbI3:PbS by volume, its inverse, vol %.
TABLE = [
    (200, 497.676, 0.00201, 0.20053), (100, 248.838, 0.00402, 0.40026), (50, 124.419, 0.00804, 0.79733),
    (20, 49.7676, 0.02009, 1.96976), (10, 24.8838, 0.04019, 3.86342), (5, 12.4419, 0.08037, 7.43942),
    (4, 9.95352, 0.10047, 9.12949), (3, 7.46514, 0.13396, 11.81315), (2, 4.97676, 0.20093, 16.73147),
    (1, 2.48838, 0.40187, 28.6666),
]  # fmt: skip
MATRIX_DENSITY = 4.10738  # g/cm³ behind the table's factor 2.48838 with 7.60 for PbS; 4.107 rounded


@pytest.mark.parametrize("mass, volume, inverse, percent", TABLE)
def test_ning_table(mass, volume, inverse, percent):
    given = {"dot": 7.60, "matrix": MATRIX_DENSITY}
    loading = loading_from_mass("PbS", matrix="MAPbI3", mass_ratio=mass, densities=given)
    assert loading.volume_ratio == pytest.approx(volume, rel=1e-5)
    assert 1.0 / loading.volume_ratio == pytest.approx(inverse, abs=5e-6)
    assert 100.0 * loading.volume_fraction == pytest.approx(percent, abs=1e-4)
    exact = loading_from_fraction(1.0 / (1.0 + volume))
    assert 100.0 * exact.volume_fraction == pytest.approx(percent, abs=1e-5)


def test_the_rounded_density_is_good_to_a_ten_thousandth():
    loading = loading_from_mass("PbS", matrix="MAPbI3", mass_ratio=1, densities={"dot": 7.60, "matrix": 4.107})
    assert loading.factor == pytest.approx(2.48838, rel=1e-4)


def test_crystal_densities():
    assert density(get_crystal("PbS")) == pytest.approx(7.598, abs=1e-3)
    assert density(get_crystal("MAPbI3")) == pytest.approx(4.160, abs=1e-3)
    assert density(get_crystal("CsPbI3:delta")) == pytest.approx(5.393, abs=1e-3)
    assert density(get_crystal("CdSe:wurtzite")) == pytest.approx(5.662, abs=1e-3)
    assert loading_from_mass("PbS", matrix="MAPbI3", mass_ratio=1).factor == pytest.approx(2.457, abs=2e-3)


def test_masses_of_the_matrix_itself():
    loading = loading_from_mass(
        "PbS", matrix="MAPbI3", mass_ratio=2, mass_of="matrix", densities={"dot": 8.0, "matrix": 4.0}
    )
    assert loading.volume_ratio == pytest.approx(4.0)


def test_precursors():
    assert molar_mass("MAPbI3") / molar_mass("PbI2") == pytest.approx(1.3448, abs=1e-4)
    assert precursor_of("CsPbI3") == "PbI2"
    assert molar_mass("MAPbI2.5Br0.5") / molar_mass(precursor_of("MAPbI2.5Br0.5")) == pytest.approx(1.339, abs=1e-3)
    with pytest.raises(UsageError, match="not made from a lead halide"):
        precursor_of("PbS")


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.floats(1e-4, 0.5), st.floats(5.0, 200.0))
def test_spacings_fill_the_volume(fraction, diameter):
    spacing = dot_spacings(fraction, diameter=diameter)
    sphere = math.pi * diameter**3 / 6.0
    assert sphere / spacing["simple_cubic_center"] ** 3 == pytest.approx(fraction)
    assert sphere / (math.pi * spacing["wigner_seitz_center"] ** 3 / 6.0) == pytest.approx(fraction)
    assert spacing["simple_cubic_surface"] == pytest.approx(spacing["simple_cubic_center"] - diameter)
    assert spacing["wigner_seitz_center"] > spacing["simple_cubic_center"]


def test_touching_spheres():
    assert dot_spacings(math.pi / 6.0, diameter=40.0)["simple_cubic_surface"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_nonsense_is_refused(bad):
    with pytest.raises(UsageError):
        loading_from_mass("PbS", matrix="MAPbI3", mass_ratio=bad)
    with pytest.raises(UsageError):
        loading_from_mass("PbS", matrix="MAPbI3", mass_ratio=1, densities={"dot": bad})
    with pytest.raises(UsageError):
        loading_from_fraction(bad)
    with pytest.raises(UsageError):
        dot_spacings(0.1, diameter=bad)


@pytest.mark.parametrize("text", ["", "Zz2", "Pb I", "pb", "PbI2!"])
def test_unreadable_formulas(text):
    if text == "Pb I":
        assert molar_mass(text) == pytest.approx(molar_mass("PbI"))
        return
    with pytest.raises(UsageError):
        molar_mass(text)
