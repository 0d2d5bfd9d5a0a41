"""Band alignment of the shipped PbS and CsPbBr3 runs: type and offsets recomputed from planar averages and bands."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from qdip_struct.analysis.electrons.potential import band_alignment, layer_potential
from qdip_struct.base.files import shipped
from qdip_struct.cp2k.outputs.cube import Profile
from qdip_struct.cp2k.outputs.output import read_run

REFERENCE = Path(str(shipped("workflows"))) / "band_alignment" / "reference"
PERIODS = (5.99, 3.004)


def document(name):
    return json.loads((REFERENCE / f"{name}.json").read_text())


def edges_of(name):
    """Valence edge and gap from the plain columns of the file of bands."""
    rows = [line.split() for line in (REFERENCE / name / "run-bands.bs").read_text().splitlines() if line[0] != "#"]
    energies, occupations = (np.array([float(row[column]) for row in rows]) for column in (1, 2))
    top, bottom = energies[occupations > 1].max(), energies[occupations < 1].min()
    return top, bottom - top


def sliding_mean(heights, values, length, period, place):
    """∫ over one period about a place, by the trapezoidal rule on a fine grid of the periodic profile."""
    fine = np.linspace(place - period / 2, place + period / 2, 2001)
    return np.trapezoid(np.interp(fine, heights, values, period=length), fine) / period


@pytest.mark.parametrize("name", ["layers_3", "layers_5", "film_bulk", "substrate_bulk"])
def test_the_runs_are_finished_and_nothing_large_ships(name):
    run = read_run(REFERENCE / name)
    assert run.status == "done"
    assert run.scf_converged is True
    assert max(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_file()) < 200_000


@pytest.mark.parametrize(("name", "plateau"), [("layers_3", False), ("layers_5", True)])
def test_type_and_offsets_from_the_shipped_averages(name, plateau):
    """Twice-averaged potentials by a sliding window instead of Fourier coefficients; edges from plain columns."""
    content = document(name)
    surface = content["surface"]
    heights, planar = np.array(surface["height_angstrom"]), np.array(surface["planar_ev"])
    atoms = read(REFERENCE / name / "structure.extxyz")
    length = atoms.cell[2, 2]
    once = np.array([sliding_mean(heights, planar, length, PERIODS[0], z) for z in heights])
    edges = []
    for region in ("film", "substrate"):
        z = atoms.positions[atoms.arrays["region"] == region, 2]
        potential = sliding_mean(heights, once, length, PERIODS[1], (z.min() + z.max()) / 2)
        bulk = document(f"{region}_bulk")["surface"]["planar_ev"]
        top, gap = edges_of(f"{region}_bulk")
        edges.append((potential + top - np.mean(bulk), gap))
    (one, gap_one), (two, gap_two) = edges
    found = content["alignment"]
    assert found["valence_offset_ev"] == pytest.approx(two - one, abs=0.005)
    assert found["conduction_offset_ev"] == pytest.approx(two + gap_two - one - gap_one, abs=0.005)
    inside = two < one and one + gap_one < two + gap_two
    assert inside
    assert found["type"] == "I"
    assert (found["potential_spread_ev"] is not None) == plateau
    assert bool(content["notes"]) != plateau


def test_thicker_layers_change_little():
    three, five = (document(f"layers_{n}")["alignment"] for n in (3, 5))
    for edge in ("valence_offset_ev", "conduction_offset_ev"):
        assert three[edge] == pytest.approx(five[edge], abs=0.03)


def test_both_interfaces_are_the_same():
    """A sandwich has a mirror plane through the middle of each material; so has its potential."""
    surface = document("layers_5")["surface"]
    values = np.array(surface["planar_ev"])
    heights = np.array(surface["height_angstrom"])
    length = heights[1] * len(heights)
    middle = document("layers_5")["alignment"]["terms"]["film"]["height_angstrom"]
    mirrored = np.interp(2 * middle - heights, heights, values, period=length)
    assert np.abs(mirrored - values).max() < 0.02 * np.ptp(values)


def test_the_middle_of_a_layer_across_the_border_of_the_cell():
    """A step potential known by hand: 1 eV inside the layer from 18 to 4 Å, through the border of a cell of 20 Å."""
    heights = np.arange(0, 20, 0.1)
    values = np.where((heights > 16) | (heights < 6), 1.0, -1.0)
    positions = np.array([[0, 0, z] for z in (18, 19.5, 1.0, 2.5, 4.0)])
    found = layer_potential(
        Profile(heights, values, 20.0), positions=positions, cell=np.diag([5, 5, 20]), window_angstrom=2.0
    )
    assert found.height_angstrom == pytest.approx(1.0)
    assert found.thickness_angstrom == pytest.approx(6.0)
    assert (found.potential_ev, found.spread_ev) == (1.0, 0.0)
    thin = layer_potential(
        Profile(heights, values, 20.0), positions=positions, cell=np.diag([5, 5, 20]), window_angstrom=6.0
    )
    assert thin.spread_ev is None


def test_types_of_the_textbook():
    words = {"potentials_ev": (0.0, 0.0), "gaps_ev": (1.0, 2.0)}
    for edges, kind in (((0.0, -0.5), "I"), ((0.0, 0.5), "II"), ((0.0, 1.5), "III")):
        assert band_alignment(valence_edges_ev=edges, **words).kind == kind
