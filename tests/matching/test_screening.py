"""Screens: published match points, closed form against the grid, several axes, refusals."""

import numpy as np
import pytest

from qdip_struct.base.errors import UsageError
from qdip_struct.matching.coincidence import find_matches
from qdip_struct.matching.nets import surface_net
from qdip_struct.matching.screening import prototype_net, screen, temperature_sweep
from qdip_struct.materials.crystals import with_edges
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.elasticity import known_moduli
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant


@pytest.mark.parametrize(
    "dot, kwargs, fraction",
    [("PbS", {}, 0.75), ("PbS", {"dot_lattice": 5.97}, 2 / 3), ("PbSe", {}, 0.25)],
)
def test_liu(dot, kwargs, fraction):
    result = screen(dot, matrix="CsPb(Br,I)3", dataset="liu2019", **kwargs)
    assert [m.fraction for m in result.zero_mismatch] == pytest.approx([fraction])
    assert result.zero_mismatch[0].a_angstrom == pytest.approx(kwargs.get("dot_lattice", result.a_dot[0]))


def test_diffraction_lattices_at_room_temperature():
    result = screen("PbS", matrix="CsPb(Br,I)3")
    assert result.temperature_kelvin == 298
    assert result.a_matrix[[0, -1]] == pytest.approx([6.205, 5.852], abs=1e-3)
    assert result.zero_mismatch[0].fraction == pytest.approx(0.761, abs=1e-3)


def test_pbe_matches_the_bromide():
    result = screen("PbS", matrix="CsPb(Br,I)3", dataset="pbe_cp2k")
    assert result.temperature_kelvin is None
    assert result.zero_mismatch[0].fraction > 0.95


def test_the_first_species_counts():
    one = screen("PbS", matrix="CsPb(Br,I)3", dataset="liu2019", points=11)
    other = screen("PbS", matrix="CsPb(I,Br)3", dataset="liu2019", points=11)
    assert other.zero_mismatch[0].fraction == pytest.approx(1 - one.zero_mismatch[0].fraction)
    assert other.mismatch[::-1] == pytest.approx(one.mismatch)
    assert one.formula_at(3, "matrix") == "CsPbBr0.9I2.1"


def test_grid_points_agree_with_single_formulas():
    result = screen("Pb(S,Se)", matrix="(Cs,MA)Pb(Br,I)3", points=4, other_points=3)
    assert len(result.axes) == 3 and len(result.a_dot) == 3 * 3 * 4
    for index in range(0, len(result.a_dot), 5):
        for side, values in (("dot", result.a_dot), ("matrix", result.a_matrix)):
            single = mixed_lattice_constant(result.formula_at(index, side), temperature=298)
            assert values[index] == pytest.approx(single.a_angstrom, abs=1e-4)


def test_shared_strain_has_the_sign_of_the_misfit_and_is_smaller():
    result = screen("PbS", matrix="CsPb(Br,I)3", points=21)
    assert np.all(result.dot_strain * result.imposed_strain >= 0)
    assert np.all(np.abs(result.dot_strain) <= np.abs(result.imposed_strain))
    assert any("assumed" in text for text in result.assumptions)
    unknown = screen("CdS:zincblende", matrix="MAPbBr3")
    assert np.all(np.isnan(unknown.dot_strain)) and unknown.assumptions


def test_matches_agree_with_a_single_search():
    result = screen("PbS", matrix="CsPb(Br,I)3", points=5, max_area=300.0)
    for index in range(5):
        film = with_edges(get_crystal("PbS"), edges=[float(result.a_dot[index])])
        host = with_edges(get_crystal("CsPbBr3"), edges=[float(result.a_matrix[index])])
        first = find_matches(
            surface_net(film, plane=(1, 0, 0)), substrate=surface_net(host, plane=(1, 0, 0)), max_area=300.0
        )[0]
        assert result.match_area[index] == pytest.approx(first.area_angstrom2)
        assert result.match_strain[index] == pytest.approx(first.strain_max, abs=1e-9)


def test_prototype_nets():
    assert prototype_net("rocksalt", plane=(1, 0, 0)).area == pytest.approx(0.5)
    assert prototype_net("perovskite", plane=(1, 1, 1)).area == pytest.approx(np.sqrt(3))


def test_temperature_moves_the_match_point():
    sweep = temperature_sweep("PbS", matrix="CsPb(Br,I)3", temperatures=[200.0, 298.0, 400.0])
    fractions = [result.zero_mismatch[0].fraction for result in sweep]
    # the perovskite expands more than the sulfide: a hotter match needs more bromide
    assert fractions == sorted(fractions)
    assert [result.temperature_kelvin for result in sweep] == [200.0, 298.0, 400.0]


def test_a_dot_that_the_data_set_lacks_can_be_given_by_its_lattice():
    result = screen("NaI", matrix="CsPbI3", dataset="liu2019", dot_lattice=6.473)
    assert result.imposed_strain[0] == pytest.approx((6.21 - 6.473) / 6.473)
    with pytest.raises(UsageError, match="data set liu2019 has no NaI"):
        screen("NaI", matrix="CsPbI3", dataset="liu2019")


@pytest.mark.parametrize(
    "kwargs",
    [{"dot_lattice": -1.0}, {"dot_lattice": float("nan")}, {"points": 0}, {"points": 10**7}, {"tolerance": 0.0},
     {"temperature": -5.0}, {"dataset": "none"}, {"denominator": "film"}, {"max_area": 0.0}, {"other_points": 0}],
)  # fmt: skip
def test_refusals(kwargs):
    with pytest.raises(UsageError):
        screen("PbS", matrix="CsPb(Br,I)3", **kwargs)


def test_three_free_species_on_a_site_are_refused():
    with pytest.raises(UsageError, match="takes two"):
        screen("PbS", matrix="CsPb(Cl,Br,I)3")


@pytest.mark.parametrize("matrix", ["CsPbBr3", "CsPbI3"])
def test_the_shared_strain_of_a_sphere_in_an_infinite_matrix(matrix):
    """Eshelby's sphere: the dot keeps f 4G/(3K + 4G) of the misfit f, with K of the dot and G of the matrix."""
    result = screen("PbS", matrix=matrix, points=1)
    dot, host = known_moduli("PbS"), known_moduli(matrix)
    misfit = float(result.a_matrix[0] / result.a_dot[0] - 1)
    assert float(result.dot_strain[0]) == pytest.approx(misfit * 4 * host.shear / (3 * dot.bulk + 4 * host.shear))
    assert float(result.imposed_strain[0]) == pytest.approx(misfit)
