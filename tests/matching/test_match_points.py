"""Match points in closed form: against the grid of the screen, and their uncertainty."""

import numpy as np
import pytest

from qdip_struct.matching.composition_grid import composition_axes, make_side
from qdip_struct.matching.screening import match_points, screen
from qdip_struct.materials.composition import parse_formula


def test_the_uncertainty_of_the_match_point():
    match = screen("PbS", matrix="CsPb(Br,I)3", dataset="liu2019").zero_mismatch[0]
    spread = np.hypot(0.005, np.hypot(0.75 * 0.005, 0.25 * 0.005))
    assert match.fraction_uncertainty == pytest.approx(spread / 0.36)
    given = screen("PbS", matrix="CsPb(Br,I)3", dataset="liu2019", dot_lattice=5.94).zero_mismatch[0]
    assert given.fraction_uncertainty < match.fraction_uncertainty


def test_zero_misfit_and_window_agree_with_the_grid_on_two_axes():
    result = screen("PbS", matrix="(Cs,MA)Pb(Br,I)3", points=201, other_points=3, tolerance=0.003)
    for match in result.zero_mismatch:
        other = next(iter(match.others.values()))
        rows = np.isclose(result.fractions[:, 0], other)
        crossing = np.interp(0.0, result.mismatch[rows][::-1], result.fractions[rows, 1][::-1])
        assert match.fraction == pytest.approx(crossing, abs=1e-6)
    for window in result.window:
        rows = np.isclose(result.fractions[:, 0], next(iter(window.others.values())))
        x, f = result.fractions[rows, 1], result.mismatch[rows]
        inside = (x >= window.start) & (x <= window.end)
        assert np.array_equal(inside, np.abs(f) <= 0.003)


def test_bowing_moves_the_match_point_and_stays_closed_form():
    bent = screen("PbS", matrix="CsPb(Br,I)3", dataset="liu2019", bowing={("Br", "I"): 0.1}, points=1001)
    assert bent.zero_mismatch[0].fraction < 0.75
    crossing = np.interp(0.0, bent.mismatch[::-1], bent.fractions[::-1, 0])
    assert bent.zero_mismatch[0].fraction == pytest.approx(crossing, abs=1e-5)


def test_without_an_axis_there_are_no_match_points():
    dot, matrix = (
        make_side(parse_formula(text), name=name, dataset="liu2019", temperature=None)
        for text, name in (("PbS", "dot"), ("CsPbBr2I", "matrix"))
    )
    axes = composition_axes(dot, matrix)
    assert axes == ()
    found = match_points(dot, matrix, axes=axes, lines=(), bowing={}, denominator="dot", tolerance=0.01)
    assert found == ((), ())


def test_a_mixed_dot_is_mixed_along_its_own_axis():
    dot, matrix = (
        make_side(parse_formula(text), name=name, dataset="liu2019", temperature=None)
        for text, name in (("Pb(S,Se)", "dot"), ("CsPbBr1.5I1.5", "matrix"))
    )
    axes = composition_axes(dot, matrix)
    lines = (np.linspace(0.0, 1.0, 3),)
    matches, windows = match_points(
        dot, matrix, axes=axes, lines=lines, bowing={}, denominator="matrix", tolerance=0.005
    )
    # 5.94 x + 6.12 (1 - x) = 6.03 at x = 1/2; a window of half a percent of 6.03 Å on both sides, over 0.18 Å
    assert [m.fraction for m in matches] == pytest.approx([0.5])
    assert [(w.start, w.end) for w in windows] == [pytest.approx((0.5 - 0.03015 / 0.18, 0.5 + 0.03015 / 0.18))]
