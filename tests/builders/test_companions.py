"""Slabs in their cells: where they stand."""

import numpy as np
import pytest
from ase import Atoms

from qdip_struct.builders.slab.stoichiometry import in_cell


@pytest.mark.parametrize("low", [-12.0, 0.0, 31.5])
def test_a_slab_stands_in_the_middle_of_its_cell_or_is_lifted_as_told(low: float) -> None:
    heights = low + np.array([0.0, 2.5, 7.0])
    slab = Atoms("PbSPb", positions=[[1.0, 2.0, z] for z in heights])
    cell = np.diag([6.0, 6.0, 30.0])
    middle = in_cell(slab, cell)
    assert middle.positions[:, 2].min() == pytest.approx(30.0 - middle.positions[:, 2].max())
    assert np.diff(middle.positions[:, 2]) == pytest.approx(np.diff(heights))
    assert middle.pbc.all() and np.array_equal(middle.cell.array, cell)
    assert in_cell(slab, cell, lift=1.25).positions[:, 2] == pytest.approx(heights + 1.25)
    assert slab.positions[:, 2] == pytest.approx(heights)
