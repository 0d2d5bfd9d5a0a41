"""Strain figures: what they show is named, with its measure; slabs and dots both draw."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from qdip_struct.analysis.strain.strain_summary import summarise
from qdip_struct.builders.dot.embed import embed_dot
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.builders.interface.interface import build_interface
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.report.strain_plots import draw_radial_strain, draw_slice, strain_figure


@pytest.fixture(scope="module")
def dot():
    made = embed_dot(
        get_crystal("PbS"), get_crystal("CsPbI3:cubic"), form=DotForm(diameter=20.0), cells=(6, 6, 6), lattice=6.31
    )
    return summarise([made.atoms], lattices={"dot": 5.936, "matrix": 6.31}, measure="green")


def labels(figure):
    return {axes.get_ylabel() for axes in figure.axes} | {axes.get_xlabel() for axes in figure.axes}


def test_every_panel_names_unit_and_measure(dot):
    found = labels(strain_figure(dot))
    assert {"local lattice constant (Å)", "mean green strain (%)", "von Mises green shear (%)"} <= found
    assert {"green strain (%)", "distance from the dot's centre (Å)"} <= found


def test_axes_in_axes_out_and_undefined_cations_stay_open(dot):
    axes = Figure().subplots()
    values = 100 * dot.strain.mean()
    values[::3] = np.nan
    assert draw_slice(axes, dot, values, label="mean (%)", axis=1) is axes
    assert axes.get_xlabel() == "x (Å)"
    assert axes.get_ylabel() == "z (Å)"
    radial = Figure().subplots()
    assert draw_radial_strain(radial, dot) is radial
    names = [text.get_text() for text in radial.get_legend().get_texts()]
    assert any("continuum" in name for name in names)


def test_a_slab_shows_its_layers():
    cells = build_interface(get_crystal("PbS", dataset="pbe_cp2k"), get_crystal("CsPbBr3", dataset="pbe_cp2k"))
    summary = summarise([cells.interface], dataset="pbe_cp2k")
    assert summary.layers
    assert not summary.profile
    assert "height (Å)" in labels(strain_figure(summary))
