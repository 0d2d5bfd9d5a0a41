"""Ideal sublattices: volumes and cut-offs from counting, lengths that keep their volume, axes that are all allowed."""

from pathlib import Path

import numpy as np
import pytest

from qdip_struct.analysis.electrons.potential import widest_gap
from qdip_struct.analysis.strain.phases import find_phases
from qdip_struct.analysis.strain.sublattice import perovskite, rocksalt, sublattice_of
from qdip_struct.builders.atoms.cells import conventional_cell
from qdip_struct.cp2k.outputs.cube import Cube
from qdip_struct.materials.datasets import get_crystal


@pytest.mark.parametrize(("name", "per_cell"), [("PbS", 4), ("CsPbI3:cubic", 1), ("CdSe:zincblende", 4)])
def test_the_volume_per_cation_is_that_of_the_crystal(name, per_cell):
    crystal = get_crystal(name)
    found = sublattice_of(crystal).volume_per_cation_angstrom3
    assert found == pytest.approx(crystal.volume / per_cell)


def test_every_ideal_neighbour_lies_within_the_cutoff_and_the_next_shell_beyond():
    salt, cube = rocksalt("PbS", 6.0), perovskite("CsPbI3", 6.2)
    tetragonal = perovskite("MAPbI3", np.array([6.2, 6.2, 6.4]))
    for sublattice, next_shell in ((salt, 6.0), (cube, 6.2 * 2**0.5), (tetragonal, 6.2 * 2**0.5)):
        longest = max(np.linalg.norm(vectors, axis=1).max() for vectors in sublattice.arrays)
        assert longest < sublattice.cutoff_angstrom <= next_shell + sublattice.match_radius_angstrom


def test_a_tetragonal_crystal_keeps_its_axis_and_its_volume():
    crystal = get_crystal("MAPbI3:tetragonal")
    pseudo = (crystal.volume / crystal.n_formula_units) ** (1 / 3)
    for axis in (0, 1, 2):
        vectors = sublattice_of(crystal, c_axis=axis).arrays[0]
        lengths = np.array([np.abs(vectors[:, k]).max() for k in range(3)])
        assert np.prod(lengths) == pytest.approx(pseudo**3, rel=1e-6)
        assert np.argmax(lengths) == axis
        assert lengths[axis] / np.delete(lengths, axis).mean() == pytest.approx(
            crystal.lengths[2] / 2 / (crystal.lengths[0] / 2**0.5)
        )


def test_the_role_of_a_phase_is_that_of_most_of_its_atoms():
    for many, few in (("dot", "matrix"), ("matrix", "dot")):
        atoms = conventional_cell(get_crystal("PbS")).repeat((2, 2, 2))
        region = np.full(len(atoms), many, dtype="U9")
        region[:5] = few
        atoms.set_array("region", region)
        assert find_phases(atoms).roles == {"PbS": many}


def test_the_widest_gap_is_found_along_each_axis():
    atoms = conventional_cell(get_crystal("PbS")).repeat((2, 2, 2))
    atoms.positions += 3.0
    for axis in (0, 1, 2):
        edges = np.full(3, 2 * get_crystal("PbS").a_angstrom)
        edges[axis] = 40.0
        spacing = np.diag(edges / np.array([4, 5, 6]))
        cube = Cube(Path("box.cube"), "", atoms, np.zeros(3), spacing, np.zeros((4, 5, 6)))
        height, width = widest_gap(cube, axis=axis)
        assert height == pytest.approx(atoms.positions[:, axis].max())
        assert width == pytest.approx(40.0 - np.ptp(atoms.positions[:, axis]))
