"""Misfit: denominators, inverses, windows in closed form."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.matching.misfit import (
    DENOMINATORS,
    LatticeCurve,
    dot_lattice_for,
    matrix_lattice_for,
    misfit,
    misfit_uncertainty,
    misfit_window,
    zero_misfit,
)

LATTICE = st.floats(4.0, 8.0)
STEADY = settings(deadline=None, derandomize=True, max_examples=100)
LIU = LatticeCurve(first=5.85, second=6.21)


def test_ning_divides_by_the_matrix():
    found = [100 * float(misfit(6.26, a_dot=5.97, denominator=d)) for d in DENOMINATORS]
    assert found == pytest.approx([4.858, 4.633, 4.742], abs=1e-3)


@STEADY
@given(LATTICE, LATTICE, st.sampled_from(DENOMINATORS))
def test_inverses(a_matrix, a_dot, denominator):
    f = float(misfit(a_matrix, a_dot=a_dot, denominator=denominator))
    assume(abs(f) < 0.9)
    assert (f > 0) == (a_matrix > a_dot) or f == 0
    assert matrix_lattice_for(f, a_dot=a_dot, denominator=denominator) == pytest.approx(a_matrix)
    assert dot_lattice_for(f, a_matrix=a_matrix, denominator=denominator) == pytest.approx(a_dot)


@STEADY
@given(LATTICE, LATTICE, st.sampled_from(DENOMINATORS))
def test_uncertainty_is_the_slope(a_matrix, a_dot, denominator):
    step = 1e-6
    up = float(misfit(a_matrix + step, a_dot=a_dot, denominator=denominator))
    side = float(misfit(a_matrix, a_dot=a_dot + step, denominator=denominator))
    here = float(misfit(a_matrix, a_dot=a_dot, denominator=denominator))
    expected = np.hypot((up - here) / step * 0.003, (side - here) / step * 0.002)
    found = misfit_uncertainty(
        a_matrix, a_dot=a_dot, matrix_uncertainty=0.003, dot_uncertainty=0.002, denominator=denominator
    )
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("a_dot, expected", [(5.94, 0.75), (5.97, 2 / 3), (5.936, 0.7611), (6.12, 0.25)])
def test_zero_misfit_of_liu(a_dot, expected):
    assert zero_misfit(LIU, lattice=a_dot) == pytest.approx([expected], abs=1e-4)


def test_windows_of_liu():
    assert misfit_window(LIU, lattice=5.94, tolerance=0.002)[0] == pytest.approx((0.717, 0.783), abs=1e-3)
    assert misfit_window(LIU, lattice=5.97, tolerance=0.002)[0] == pytest.approx((0.633, 0.700), abs=1e-3)
    assert misfit_window(LIU, lattice=5.97, tolerance=0.005)[0] == pytest.approx((0.584, 0.750), abs=1e-3)


@STEADY
@given(LATTICE, LATTICE, st.floats(-0.5, 0.5), LATTICE, st.floats(0.0005, 0.05), st.sampled_from(DENOMINATORS),
       st.sampled_from(["matrix", "dot"]))  # fmt: skip
def test_the_window_is_where_the_misfit_is_small(first, second, bowing, lattice, tolerance, denominator, mixed):
    curve = LatticeCurve(first, second, bowing)
    intervals = misfit_window(curve, lattice=lattice, tolerance=tolerance, mixed=mixed, denominator=denominator)
    x = np.linspace(0.0, 1.0, 801)
    a = curve.at(x)
    if mixed == "matrix":
        f = misfit(a, a_dot=lattice, denominator=denominator)
    else:
        f = misfit(lattice, a_dot=a, denominator=denominator)
    inside = np.zeros(x.shape, dtype=bool)
    for start, end in intervals:
        assert 0.0 <= start < end <= 1.0
        inside |= (x >= start) & (x <= end)
    clear = np.abs(np.abs(f) - tolerance) > 1e-6
    assert np.array_equal(inside[clear], (np.abs(f) <= tolerance)[clear])
    assert list(intervals) == sorted(intervals)


@STEADY
@given(LATTICE, LATTICE, st.floats(-0.5, 0.5), st.floats(0.0, 1.0))
def test_solving_finds_every_composition(first, second, bowing, x):
    curve = LatticeCurve(first, second, bowing)
    assume(abs(first - second) > 1e-3 or abs(bowing) > 1e-3)
    target = float(curve.at(x))
    found = curve.solve(target)
    assert all(0.0 <= value <= 1.0 for value in found)
    assert all(float(curve.at(value)) == pytest.approx(target, abs=1e-7) for value in found)
    slope = first - second - bowing * (1 - 2 * x)
    if abs(slope) > 1e-3:
        assert min(abs(value - x) for value in found) < 1e-6


def test_a_flat_curve_has_no_match_point():
    assert LatticeCurve(6.0, 6.0).solve(6.0) == ()
    assert LatticeCurve(6.0, 6.0).solve(5.9) == ()


def test_refusals():
    for call in (
        lambda: misfit(6.0, a_dot=0.0),
        lambda: misfit(np.nan, a_dot=6.0),
        lambda: misfit(6.0, a_dot=6.0, denominator="film"),
        lambda: misfit_window(LIU, lattice=5.94, tolerance=0.0),
        lambda: misfit_window(LIU, lattice=5.94, tolerance=np.nan),
    ):
        with pytest.raises(UsageError):
            call()


def test_a_window_that_touches_its_bound_in_one_point_is_one_interval():
    """6 - 0.375 x (1 - x) has its least value, 6 (1 - 1/64), at x = 1/2: a double root in binary arithmetic."""
    curve = LatticeCurve(6.0, 6.0, bowing=0.375)
    assert curve.solve(6.0 * (1 - 1 / 64)) == (0.5,)
    assert misfit_window(curve, lattice=6.0, tolerance=1 / 64) == ((0.0, 1.0),)
