"""Shares of orbitals by region: Gaussians by hand, borders, names, and an orbital of CP2K against its projection."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.analysis.electrons.orbitals import orbital_name, orbital_of
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.cp2k.outputs.cube import Cube

BOHR = 0.529177210903


def orbital(weights, *, shift=0.0, cell=((12.0, 0, 0), (2.0, 10.0, 0), (0, 0, 9.0)), sigma=0.7, norm=1.0):
    """ψ² as Gaussians of the given weights at x = 2, 8 along the first vector."""
    cell, shape = np.array(cell), (48, 40, 36)
    places = np.array([[2 / 12, 0.5, 0.5], [8 / 12, 0.5, 0.5]]) + np.array([shift, 0, 0])
    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    density = np.zeros(shape)
    for place, weight in zip(places, weights, strict=True):
        delta = grid - place
        delta -= np.rint(delta)
        cloud = np.exp(-0.5 * ((delta @ cell) ** 2).sum(axis=-1) / sigma**2)
        density += weight * cloud / cloud.sum()
    spacing = cell / np.array(shape)[:, None]
    voxel = abs(np.linalg.det(spacing)) / BOHR**3
    atoms = Atoms("PbS", scaled_positions=places % 1.0, cell=cell, pbc=True)
    return Cube(Path("x.cube"), "WAVEFUNCTION 4 spin 1", atoms, np.zeros(3), spacing, np.sqrt(norm * density / voxel))


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.3, 0.7), (0.5, 0.5)])
def test_weights_come_back(weights):
    found = orbital_of(orbital(weights), labels=["dot", "matrix"])
    assert found.shares == pytest.approx({"dot": weights[0], "matrix": weights[1]}, abs=2e-4)
    assert found.norm == pytest.approx(1.0)
    assert found.home == ("dot" if weights[0] >= 0.5 else "matrix")


@settings(max_examples=10, deadline=None, derandomize=True)
@given(steps=st.integers(0, 47))
def test_borders_do_not_cut_an_orbital(steps):
    found = orbital_of(orbital((0.4, 0.6), shift=steps / 48), labels=["dot", "matrix"])
    assert found.shares["dot"] == pytest.approx(0.4, abs=3e-4)


def test_one_region_holds_everything():
    found = orbital_of(orbital((0.4, 0.6)), labels=["dot", "dot"])
    assert found.shares == {"dot": pytest.approx(1.0)}


def test_names_of_orbitals():
    assert orbital_name("WFN_00029_1", n_occupied=(29,)) == (29, 1, "HOMO")
    assert orbital_name("WFN_00030_1", n_occupied=(29,)) == (30, 1, "LUMO")
    assert orbital_name("WFN_00027_1", n_occupied=(29,)) == (27, 1, "HOMO-2")
    assert orbital_name("WFN_00030_2", n_occupied=(31, 28)) == (30, 2, "LUMO+1")
    assert orbital_name("ELECTRON_DENSITY", n_occupied=(29,)) is None


def test_what_is_no_orbital_is_refused():
    with pytest.raises(DataError, match="norm"):
        orbital_of(orbital((0.5, 0.5), norm=0.9), labels=["a", "b"])
    with pytest.raises(UsageError, match="labels"):
        orbital_of(orbital((0.5, 0.5)), labels=["a"])
    cube = orbital((0.5, 0.5))
    with pytest.raises(DataError, match="expected an orbital"):
        orbital_of(
            Cube(cube.path, "ELECTRON DENSITY", cube.atoms, cube.origin, cube.spacing, cube.values), labels=["a", "b"]
        )
