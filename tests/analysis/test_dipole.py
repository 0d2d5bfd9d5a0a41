"""Dipole moments: point charges by hand, invariance, and a real slab against the step of its own potential."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.analysis.electrons.charge import charge_difference, planar_profile
from qdip_struct.analysis.electrons.dipole import density_dipole, potential_step, transfer_dipole, valence_charges
from qdip_struct.analysis.electrons.potential import vacuum_levels, widest_gap
from qdip_struct.base.errors import DataError, MismatchError, UsageError
from qdip_struct.cp2k.outputs.cube import Cube, planar_average, read_cube

TRIO = Path(__file__).parents[1] / "data" / "cp2k_runs" / "trio"
POTENTIALS = {"Pb": "GTH-PBE-q4", "Br": "GTH-PBE-q7", "S": "GTH-PBE-q6"}
BOHR = 0.529177210903
FIELD = 4 * np.pi * 14.3996455
"""4π e²/(4πε₀) in eV Å."""


def blobs(ions, electrons, *, cell=(6.0, 6.0, 20.0), shape=(12, 12, 160), sigma=0.5, shift=0.0, wrap=True):
    """Ions (place, charge) and Gaussian electron clouds (place, number) in a box."""
    cell = np.diag(cell)
    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    values = np.zeros(shape)
    for place, number in electrons:
        delta = grid - (np.asarray(place) + np.array([0, 0, shift])) @ np.linalg.inv(cell)
        delta -= np.rint(delta)
        cloud = np.exp(-0.5 * ((delta @ cell) ** 2).sum(axis=-1) / sigma**2)
        values += number * cloud / cloud.sum()
    spacing = cell / np.array(shape)[:, None]
    voxel = np.prod(np.diag(spacing)) / BOHR**3
    places = np.array([place for place, _ in ions]) + np.array([0, 0, shift])
    atoms = Atoms(numbers=[1] * len(ions), positions=places, cell=cell, pbc=True)
    if wrap:
        atoms.wrap()
    return Cube(Path("x.cube"), "ELECTRON DENSITY", atoms, np.zeros(3), spacing, values / voxel)


IONS = [((3.0, 3.0, 9.0), 2), ((3.0, 3.0, 11.0), 1)]
CLOUDS = [((3.0, 3.0, 9.3), 2), ((3.0, 3.0, 10.9), 1)]
BY_HAND = 2 * 9.0 + 11.0 - 2 * 9.3 - 10.9
CHARGES = np.array([2.0, 1.0])


def test_point_charges_by_hand():
    found = density_dipole(blobs(IONS, CLOUDS), charges=CHARGES)
    assert found.moment_e_angstrom == pytest.approx([0, 0, BY_HAND], abs=1e-6)
    assert found.moment_debye[2] == pytest.approx(4.80320 * BY_HAND, rel=1e-5)
    assert found.electrons == pytest.approx(3.0)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(shift=st.floats(-30, 30))
def test_the_moment_does_not_know_the_origin(shift):
    shifted = density_dipole(blobs(IONS, CLOUDS, shift=round(shift / 0.125) * 0.125), charges=CHARGES)
    assert shifted.moment_e_angstrom[2] == pytest.approx(BY_HAND, abs=1e-6)


def test_a_mirrored_body_has_the_opposite_moment_and_a_symmetric_one_none():
    mirror = [((x, y, 20 - z), n) for (x, y, z), n in IONS], [((x, y, 20 - z), n) for (x, y, z), n in CLOUDS]
    assert density_dipole(blobs(*mirror), charges=CHARGES).moment_e_angstrom[2] == pytest.approx(-BY_HAND, abs=1e-6)
    assert density_dipole(blobs(IONS, IONS), charges=CHARGES).moment_e_angstrom == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_dot_in_a_box_has_a_vector():
    cell, shape = (14.0, 14.0, 14.0), (56, 56, 56)
    ions, clouds = [((7.0, 7.0, 7.0), 2)], [((7.3, 6.9, 7.0), 2)]
    cube = blobs(ions, clouds, cell=cell, shape=shape)
    found = density_dipole(cube, charges=np.array([2.0]), axes=(0, 1, 2))
    assert found.moment_e_angstrom == pytest.approx([-0.6, 0.2, 0.0], abs=1e-6)
    assert len(found.cut_angstrom) == 3


def test_what_has_no_moment_is_refused():
    with pytest.raises(DataError, match="vacuum of 8 Å"):
        density_dipole(blobs(IONS, CLOUDS), charges=CHARGES, axes=(0,))
    with pytest.raises(MismatchError, match="neutral"):
        density_dipole(blobs(IONS, CLOUDS), charges=np.array([2.0, 2.0]))
    with pytest.raises(UsageError, match="charges for"):
        density_dipole(blobs(IONS, CLOUDS), charges=np.array([2.0]))
    for axes in ((), (3,)):
        with pytest.raises(UsageError, match="axes"):
            density_dipole(blobs(IONS, CLOUDS), charges=CHARGES, axes=axes)
    for area in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="area"):
            potential_step(1.0, area_angstrom2=area)


def test_charges_come_from_the_names_of_the_potentials():
    atoms = Atoms("PbSBr", positions=np.zeros((3, 3)))
    assert valence_charges(atoms, potentials=POTENTIALS).tolist() == [4, 6, 7]
    assert valence_charges(Atoms("Pb"), potentials={"Pb1": "GTH-PBE-q4"}).tolist() == [4]
    with pytest.raises(DataError, match="Br"):
        valence_charges(atoms, potentials={"Pb": "GTH-PBE-q4", "S": "GTH-PBE-q6", "Br": "ALL"})


@pytest.fixture(scope="module")
def trio():
    """PbS(100)//PbBr2 of 11 atoms by CP2K 2023.1, dipole correction on; every fourth grid point."""
    return {
        role: read_cube(TRIO / role / "run-ELECTRON_DENSITY-1_0.cube") for role in ("interface", "film", "substrate")
    }


def test_the_real_difference_integrates_to_no_electrons(trio):
    found = charge_difference(trio["interface"], first=trio["film"], second=trio["substrate"])
    assert abs(found.integral_e) < 1e-3
    assert found.balanced
    assert 0.2 < found.displaced_e < 0.4


def test_the_real_planar_average_is_that_of_another_reader(trio):
    """The same cubes read by ASE and summed by hand over x and y."""
    from ase.io.cube import read_cube as read_with_ase

    found = charge_difference(trio["interface"], first=trio["film"], second=trio["substrate"])
    profile = planar_profile(found.cube)
    read = {}
    for role in trio:
        with (TRIO / role / "run-ELECTRON_DENSITY-1_0.cube").open() as stream:
            read[role] = read_with_ase(stream)
    delta = read["interface"]["data"] - read["film"]["data"] - read["substrate"]["data"]
    nx, ny, nz = delta.shape
    by_hand = np.array([sum(delta[i, j, k] for i in range(nx) for j in range(ny)) / (nx * ny) for k in range(nz)])
    area = 5.99**2
    assert profile.linear_density == pytest.approx(by_hand * area / BOHR**3, rel=1e-5, abs=1e-9)
    assert planar_average(found.cube).values == pytest.approx(by_hand, abs=1e-12)


def test_the_real_displaced_charge_makes_the_real_step_of_the_potential(trio):
    """Both slabs are symmetric: what moves between them is the whole dipole, and it is what the vacuum levels show."""
    found = charge_difference(trio["interface"], first=trio["film"], second=trio["substrate"])
    below, gap = widest_gap(trio["interface"])
    moved = transfer_dipole(planar_profile(found.cube), cut_angstrom=below + gap / 2)
    upper, lower = vacuum_levels(read_cube(TRIO / "interface" / "run-v_hartree-1_0.cube"))
    step = potential_step(moved, area_angstrom2=5.99**2)
    assert step == pytest.approx(-FIELD * moved / 5.99**2, rel=1e-6)
    assert step == pytest.approx(upper.level_ev - lower.level_ev, abs=2e-3)
    assert step < -0.01


def test_the_real_symmetric_slabs_have_no_moment(trio):
    for role in ("film", "substrate"):
        cube = trio[role]
        found = density_dipole(cube, charges=valence_charges(cube.atoms, potentials=POTENTIALS))
        assert abs(found.moment_e_angstrom[2]) < 0.02  # what is left by the coarse grid


@pytest.mark.parametrize(("shift", "cut"), [(3.0, 3.0), (-4.5, 15.5), (43.0, 3.0)])
def test_the_cut_is_told_as_a_height_in_the_cell(shift, cut):
    """Atoms at 9 and 11 Å of 20 Å: the middle of their vacuum is at 0 Å and moves with them."""
    found = density_dipole(blobs(IONS, CLOUDS, shift=shift), charges=CHARGES)
    assert found.cut_angstrom == pytest.approx((cut,))
