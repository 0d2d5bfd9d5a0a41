"""Diffraction facts: analytic spacings, the zone law, extinction rules and pymatgen's powder pattern."""

import itertools
import math

import numpy as np
import pytest

from qdip_struct.base.errors import UsageError
from qdip_struct.matching.planes import (
    check_zone,
    d_spacing,
    explain_spacing,
    is_allowed,
    plane_angle,
    powder_lines,
    reflections,
    zone_product,
)
from qdip_struct.materials.datasets import get_crystal

PBS, BROMIDE, TETRAGONAL = get_crystal("PbS"), get_crystal("MAPbBr3"), get_crystal("MAPbI3:tetragonal")
SMALL = [p for p in itertools.product(range(-3, 4), repeat=3) if any(p)]


@pytest.mark.parametrize("plane", SMALL[::17])
def test_spacings_by_the_formulas_of_the_crystal_systems(plane):
    h, k, l = plane  # noqa: E741
    assert d_spacing(PBS, plane=plane) == pytest.approx(5.936 / math.sqrt(h * h + k * k + l * l))
    assert d_spacing(TETRAGONAL, plane=plane) ** -2 == pytest.approx((h * h + k * k) / 8.849**2 + l * l / 12.642**2)
    wurtzite = get_crystal("CdSe:wurtzite")
    expected = 4.0 / 3.0 * (h * h + h * k + k * k) / 4.2999**2 + l * l / 7.0109**2
    assert d_spacing(wurtzite, plane=plane) ** -2 == pytest.approx(expected)


def test_rock_salt_shows_unmixed_indices_only():
    for plane in SMALL:
        assert is_allowed(PBS, plane=plane) == (len({index % 2 for index in plane}) == 1)


def test_body_centring_and_the_c_glide_of_the_tetragonal_phase():
    for plane in SMALL:
        if sum(plane) % 2:
            assert not is_allowed(TETRAGONAL, plane=plane)
        if plane[0] == 0 and plane[2] % 2:
            assert not is_allowed(TETRAGONAL, plane=plane)


def test_the_cubic_perovskite_shows_every_reflection():
    assert all(is_allowed(BROMIDE, plane=plane) for plane in SMALL)


def test_the_fringe_of_deng_belongs_to_the_matrix():
    on_dot = explain_spacing(PBS, spacing=4.2)
    on_matrix = explain_spacing(BROMIDE, spacing=4.2)
    assert [(r.plane, r.allowed) for r in on_dot] == [((1, 1, 0), False)]
    assert [(r.plane, r.allowed) for r in on_matrix] == [((1, 1, 0), True)]


@pytest.mark.parametrize("name", ["PbS", "CsPbBr3:cubic", "CdSe:zincblende", "CdSe:wurtzite", "CsPbI3:delta", "NaI"])
def test_the_lines_of_pymatgen_are_among_the_allowed_and_all_strong_ones_are_there(name):
    pytest.importorskip("pymatgen.analysis.diffraction.xrd")
    crystal = get_crystal(name)
    lines = powder_lines(crystal, two_theta_max=45.0)
    ours = reflections(crystal, d_min=min(line[1] for line in lines) - 1e-6)
    allowed = [r.spacing_angstrom for r in ours if r.allowed]
    theirs = [line[1] for line in lines]
    assert all(min(abs(a - d) for a in allowed) < 1e-3 for d in theirs)
    strong = [r.spacing_angstrom for r in ours if r.strength > 0.02]
    assert all(min(abs(a - d) for a in theirs) < 1e-3 for d in strong)


def test_lead_sulfide_lines_below_fifty_degrees():
    pytest.importorskip("pymatgen.analysis.diffraction.xrd")
    families = {tuple(sorted(map(abs, line[0]))) for line in powder_lines(PBS, two_theta_max=50.0)}
    assert families == {(1, 1, 1), (0, 0, 2), (0, 2, 2)}


def test_multiplicities_count_every_plane():
    found = reflections(PBS, d_min=1.7)
    assert {r.plane: r.multiplicity for r in found}[(1, 1, 1)] == 8
    inside = sum(1 for p in itertools.product(range(-4, 5), repeat=3) if any(p) and d_spacing(PBS, plane=p) >= 1.7)
    assert sum(r.multiplicity for r in found) == inside
    spacings = [r.spacing_angstrom for r in found]
    assert spacings == sorted(spacings, reverse=True)


def test_angles():
    assert plane_angle(PBS, one=(0, 2, 2), other=(2, 0, 2)) == pytest.approx(60.0, abs=1e-6)
    assert plane_angle(TETRAGONAL, one=(-2, 2, 4), other=(2, 2, 4)) == pytest.approx(60.34, abs=0.01)
    assert plane_angle(PBS, one=(1, 0, 0), other=(-1, 0, 0)) == pytest.approx(180.0)


def test_the_zone_law():
    assert zone_product((2, -2, 4), zone=(2, 0, 1)) == 8
    with pytest.raises(UsageError, match=r"not 0; it belongs to \[2 0 -1\]"):
        check_zone((2, -2, 4), zone=(2, 0, 1))
    check_zone((2, -2, 4), zone=(2, 0, -1))
    check_zone((0, 2, 2), zone=(1, 1, -1))
    with pytest.raises(UsageError, match="does not belong"):
        check_zone((1, 2, 4), zone=(1, 0, 0))


def test_refusals():
    for call in (
        lambda: reflections(PBS, d_min=0.1),
        lambda: reflections(PBS, d_min=math.nan),
        lambda: d_spacing(PBS, plane=(0, 0, 0)),
        lambda: explain_spacing(PBS, spacing=-4.2),
        lambda: explain_spacing(PBS, spacing=4.2, tolerance=0.0),
    ):
        with pytest.raises(UsageError):
            call()


def test_strengths_are_bounded():
    assert all(0.0 <= r.strength <= 1.0 + 1e-12 for r in reflections(get_crystal("CsPbI3:delta"), d_min=1.5))
    assert np.isclose(next(r for r in reflections(PBS, d_min=2.9) if r.plane == (2, 0, 0)).strength, 1.0)
