"""Lattice figures: they return the axes they were given and draw the numbers of the screen."""

import numpy as np
import pytest

from qdip_struct.base.errors import UsageError
from qdip_struct.matching.screening import screen
from qdip_struct.materials.elasticity import known_moduli, mixed_moduli
from qdip_struct.materials.strain_sharing import stability_curve
from qdip_struct.report.figures import save_figure
from qdip_struct.report.lattice_plots import (
    draw_misfit,
    plot_lattice_constant,
    plot_misfit,
    plot_misfit_map,
    plot_stability,
    screen_figure,
    stability_figure,
)


@pytest.fixture
def axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


ONE = screen("PbS", matrix="CsPb(Br,I)3", dataset="liu2019", points=11)
TWO = screen("PbS", matrix="(Cs,MA)Pb(Br,I)3", points=7, other_points=5)


def test_lattice_constant_against_composition(axes):
    assert plot_lattice_constant(axes, ONE) is axes
    x, y = axes.lines[0].get_data()
    assert y == pytest.approx(6.21 - 0.36 * np.asarray(x))
    assert axes.lines[2].get_data()[0] == pytest.approx([0.75])


def test_misfit_against_composition(axes):
    assert plot_misfit(axes, ONE) is axes
    assert axes.lines[0].get_ydata() == pytest.approx(100 * ONE.mismatch)
    assert "(%)" in axes.get_ylabel()


def test_misfit_from_the_document_of_the_command(axes, qdip_json):
    _, document = qdip_json("screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--dataset", "liu2019")
    assert draw_misfit(axes, document) is axes
    assert axes.lines[0].get_ydata() == pytest.approx([100 * p["mismatch"] for p in document["points"]])


def test_map(axes):
    assert plot_misfit_map(axes, TWO) is axes
    values = np.asarray(axes.collections[0].get_array()).reshape(5, 7)
    assert values == pytest.approx(100 * TWO.mismatch.reshape(5, 7))


def energies_of_loading():
    return stability_curve(
        0.02, dot=known_moduli("PbS"), matrix=mixed_moduli("CsPbBrI2"), diameter=35.0, burgers=5.97,
        volume_fractions=np.linspace(0.01, 0.3, 20),
    )  # fmt: skip


def test_stability(axes):
    curve = energies_of_loading()
    assert plot_stability(axes, [("CsPbBrI2", curve)]) is axes
    drawn = np.concatenate([line.get_ydata() for line in axes.lines])
    assert np.isfinite(drawn).sum() == 20


def test_wrong_number_of_axes(axes):
    with pytest.raises(UsageError):
        plot_misfit(axes, TWO)
    with pytest.raises(UsageError):
        plot_misfit_map(axes, ONE)


@pytest.mark.parametrize("kind", ["one axis", "two axes", "stability"])
def test_saved_figures_have_the_style_of_the_others(kind):
    makers = {
        "one axis": lambda: screen_figure(ONE),
        "two axes": lambda: screen_figure(TWO),
        "stability": lambda: stability_figure([("CsPbBrI2", energies_of_loading())]),
    }
    spines = makers[kind]().axes[0].spines
    assert [spines[side].get_visible() for side in ("left", "bottom", "top", "right")] == [True, True, False, False]


def test_saving(tmp_path):
    for suffix in ("png", "svg", "pdf"):
        first = save_figure(tmp_path / f"a.{suffix}", screen_figure(ONE)).read_bytes()
        second = save_figure(tmp_path / f"b.{suffix}", screen_figure(ONE)).read_bytes()
        assert first == second
    with pytest.raises(UsageError, match="ends in"):
        save_figure(tmp_path / "a.jpg", screen_figure(ONE))
    with pytest.raises(UsageError, match="exists"):
        save_figure(tmp_path / "a.png", screen_figure(ONE))
