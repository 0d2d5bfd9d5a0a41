"""Energy figures: what stands on the axes is what stands in the document."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from qdip_struct.base.errors import UsageError
from qdip_struct.report.energy_plots import (
    convergence_figure,
    energy_figure,
    plot_adsorption_by_thickness,
    plot_chemical_potential,
    plot_ranking,
    plot_registry_map,
    plot_thickness,
)


def axes() -> Any:
    return Figure().add_subplot()


def study(name: str, *, shift: float = 0.0, compound: str = "CsPbBr3") -> dict[str, Any]:
    lines = [
        {"name": "γ substrate", "values_mev_per_angstrom2": [9.0 + shift, 13.0 + shift]},
        {"name": "γ_int", "values_mev_per_angstrom2": [8.0 + shift, 12.0 + shift]},
    ]
    table = {"component": "CsBr", "compound": compound, "limit_names": ["PbBr2-rich", "CsBr-rich"]}
    return {"group": name, "chemical_potential": {**table, "delta_mu_ev": [-0.3, 0.0], "lines": lines}}


RANKING = {
    "rows": [
        {"group": "a", "adsorption_energy_mev_per_angstrom2": 18.0, "interface_energy_mev_per_angstrom2": None},
        {"group": "b" * 60, "adsorption_energy_mev_per_angstrom2": -2.0, "interface_energy_mev_per_angstrom2": 5.0},
    ]
}


def test_bars_have_the_lengths_of_the_energies() -> None:
    drawn = plot_ranking(axes(), RANKING)
    assert [patch.get_width() for patch in drawn.patches] == [18.0, -2.0, 0.0, 5.0]
    labels = [label.get_text() for label in drawn.get_yticklabels()]
    assert labels[0] == "a"
    assert len(labels[1]) < 45
    assert "meV/Å²" in drawn.get_xlabel()


def test_thickness_shows_single_slabs_and_the_fit() -> None:
    points = [
        {"n_formula_units": n, "surface_energy_direct_mev_per_angstrom2": value} for n, value in ((6, 17.3), (10, 16.8))
    ]
    entry = {"side": "film", "unit": "PbS", "termination": "stoichiometric", "points": points}
    drawn = plot_thickness(axes(), [{**entry, "surface_energy_fit_mev_per_angstrom2": 16.5}])
    assert list(drawn.lines[0].get_ydata()) == [17.3, 16.8]
    assert list(drawn.lines[1].get_ydata()) == [16.5, 16.5]


def test_adsorption_against_monolayers() -> None:
    rows = [{"layers": [n, n], "adsorption_energy_mev_per_angstrom2": value} for n, value in ((3, 18.8), (5, 17.5))]
    entry = {"termination": "BX2", "registry": "continuation", "relaxed": False, "rows": rows}
    drawn = plot_adsorption_by_thickness(axes(), [entry])
    assert list(drawn.lines[0].get_xdata()) == [6, 10]
    assert list(drawn.lines[0].get_ydata()) == [18.8, 17.5]


def test_one_study_shows_all_lines_and_several_only_the_interface() -> None:
    one = plot_chemical_potential(axes(), [study("a"), {"group": "none", "chemical_potential": None}])
    assert [line.get_label() for line in one.lines[:2]] == ["γ_int", "γ substrate"]
    two = plot_chemical_potential(axes(), [study("a"), study("b", shift=2.0)])
    assert [list(line.get_ydata()) for line in two.lines[:2]] == [[8.0, 12.0], [10.0, 14.0]]
    assert "PbBr2-rich" in two.get_xlabel()


def test_registry_map_marks_computed_shifts_and_the_strongest() -> None:
    entry = {
        "film": "PbS",
        "substrate": "CsPbBr3",
        "termination": "BX2",
        "lateral_angstrom": [[6.0, 0.0], [0.0, 6.0]],
        "best": {"registry": "0.5,0", "shift_fraction": [0.5, 0.0]},
        "map": {
            "n": 4,
            "adsorption_energies_mev_per_angstrom2": np.arange(16.0).reshape(4, 4).tolist(),
            "computed_fractions": [[0.0, 0.0], [0.5, 0.0]],
        },
    }
    drawn = plot_registry_map(axes(), entry)
    assert list(drawn.lines[0].get_xdata()) == [0.0, 3.0]
    assert (drawn.lines[1].get_xdata()[0], drawn.lines[1].get_ydata()[0]) == (3.0, 0.0)


def test_figure_has_a_panel_for_everything_there_is() -> None:
    empty: dict[str, Any] = {
        "groups": [],
        "ranking": {"rows": []},
        "thickness_series": [],
        "adsorption_by_thickness": [],
        "registry_maps": [],
    }
    with pytest.raises(UsageError, match="nothing to draw"):
        energy_figure(empty)
    figure = energy_figure(
        {**empty, "ranking": RANKING, "groups": [study("a"), study("b"), study("c", compound="MAPbI3")]}
    )
    assert len(figure.axes) == 3


def test_saved_figures_have_the_style_of_the_others() -> None:
    bars = energy_figure(
        {
            "groups": [],
            "ranking": RANKING,
            "thickness_series": [],
            "adsorption_by_thickness": [],
            "registry_maps": [],
        }
    )
    points = [{"value": value, "difference_mev_per_atom": 900.0 / value - 1.0} for value in (300.0, 600.0, 900.0)]
    line = convergence_figure({"vary": "cutoff", "unit": "Ry", "points": points})
    for figure in (bars, line):
        spines = figure.axes[0].spines
        assert [spines[side].get_visible() for side in ("left", "bottom", "top", "right")] == [True, True, False, False]
    assert line.axes[0].lines[0].get_ydata().tolist() == pytest.approx([2.0, 0.5])
