"""Cubes: real CP2K files, electrons counted, averages against closed forms."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base import units
from qdip_struct.base.errors import DataError, MismatchError, UsageError
from qdip_struct.cp2k.outputs.cube import (
    Cube,
    Profile,
    check_cell,
    cube_difference,
    integral,
    macroscopic_average,
    planar_average,
    read_cube,
)
from qdip_struct.cp2k.outputs.output import read_run

FOLDER = Path(__file__).parents[1] / "data" / "cp2k_runs" / "cubes"
DENSITY = FOLDER / "run-ELECTRON_DENSITY-1_0.cube"
HARTREE = FOLDER / "run-v_hartree-1_0.cube"


def made(values: np.ndarray, cell: np.ndarray) -> Cube:
    spacing = cell / np.array(values.shape)[:, None]
    return Cube(Path("made.cube"), "made", Atoms(cell=cell, pbc=True), np.zeros(3), spacing, values)


def test_a_density_counts_the_electrons() -> None:
    cube = read_cube(DENSITY)
    assert integral(cube) == pytest.approx(2.0, abs=1e-2)
    assert len(cube.atoms) == 2
    assert "ELECTRON DENSITY" in cube.title
    check_cell(cube, cell=read_run(FOLDER).cell)


def test_a_stride_that_does_not_divide_the_grid_is_told() -> None:
    check_cell(read_cube(HARTREE), cell=read_run(FOLDER).cell)
    every_fifth = made(np.ones((3, 3, 5)), np.diag([3.2 * 15 / 12, 3.2 * 15 / 12, 6.6 * 25 / 24]))
    with pytest.raises(MismatchError, match="STRIDE"):
        check_cell(every_fifth, cell=read_run(FOLDER).cell)


def test_values_are_the_printed_ones() -> None:
    lines = DENSITY.read_text().splitlines()
    numbers = [float(word) for line in lines[8:] for word in line.split()]
    np.testing.assert_array_equal(read_cube(DENSITY).values.ravel(), numbers)


def test_numbers_that_touch_are_parted_by_their_width(tmp_path: Path) -> None:
    """CP2K 2026.2 writes ``6E13.5E3``, in which a negative number fills all 13 places."""
    values = np.array([-3.2267, 3.1374e-3, -2.8855e-101, -0.0, 1.5e120, -1e-5])
    row = "-0.32267E+001 0.31374E-002-0.28855E-100-0.00000E+000 0.15000E+121-0.10000E-004"
    assert len(row) == 6 * 13
    axes = "1 0 0 0\n1 2 0 0\n1 0 2 0\n6 0 0 2\n1 0 0 0 0\n"
    place = tmp_path / "touching.cube"
    place.write_text(f"-Quickstep-\nHARTREE\n{axes}{row}\n")
    np.testing.assert_allclose(read_cube(place).values.ravel(), values, rtol=1e-4)


def test_the_planar_average_keeps_the_integral() -> None:
    cube = read_cube(DENSITY)
    for axis in range(3):
        profile = planar_average(cube, axis=axis)
        area = abs(np.linalg.det(cube.cell)) / profile.length_angstrom
        charge = profile.values.mean() * profile.length_angstrom * area / units.ANGSTROM_PER_BOHR**3
        assert charge == pytest.approx(integral(cube), rel=1e-12)
    with pytest.raises(UsageError):
        planar_average(cube, axis=3)


def test_heights_follow_the_normal_of_a_skew_cell() -> None:
    cell = np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [2.0, 0.0, 6.0]])
    profile = planar_average(made(np.ones((4, 4, 12)), cell), axis=2)
    np.testing.assert_allclose(profile.heights_angstrom, 0.5 * np.arange(12))
    assert profile.length_angstrom == pytest.approx(6.0)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(wave=st.integers(1, 8), period=st.floats(0.3, 9.0), shift=st.floats(-5, 5))
def test_the_macroscopic_average_of_a_wave_has_its_closed_form(wave: int, period: float, shift: float) -> None:
    heights = np.linspace(0, 12.0, 240, endpoint=False)
    k = 2 * np.pi * wave / 12.0
    profile = Profile(heights, shift + np.cos(k * heights), 12.0)
    expected = shift + np.cos(k * heights) * np.sin(k * period / 2) / (k * period / 2)
    np.testing.assert_allclose(macroscopic_average(profile, periods_angstrom=[period]).values, expected, atol=1e-12)


def test_one_period_removes_the_lattice_and_keeps_the_step() -> None:
    heights = np.linspace(0, 24.0, 480, endpoint=False)
    step = np.where(heights < 12.0, 1.0, -1.0)
    profile = Profile(heights, step + 5 * np.cos(2 * np.pi * heights / 3.0), 24.0)
    flat = macroscopic_average(profile, periods_angstrom=[3.0, 3.0])
    assert flat.values[np.abs(heights - 6.0).argmin()] == pytest.approx(1.0, abs=0.02)
    assert flat.values[np.abs(heights - 18.0).argmin()] == pytest.approx(-1.0, abs=0.02)
    assert flat.values.mean() == pytest.approx(profile.values.mean(), abs=1e-12)
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError):
            macroscopic_average(profile, periods_angstrom=[bad])


def test_a_difference_of_equals_is_zero_and_grids_must_agree() -> None:
    cube = read_cube(DENSITY)
    assert integral(cube_difference(cube, cube)) == 0.0
    halves = Cube(cube.path, cube.title, cube.atoms, cube.origin, cube.spacing, cube.values / 2)
    np.testing.assert_allclose(cube_difference(cube, halves, halves).values, 0.0)
    with pytest.raises(MismatchError, match="grid"):
        cube_difference(cube, read_cube(HARTREE))
    moved = Cube(cube.path, cube.title, cube.atoms, cube.origin + 0.1, cube.spacing, cube.values)
    with pytest.raises(MismatchError, match="differ by"):
        cube_difference(cube, moved)


def test_damaged_cubes_are_refused_in_one_line(tmp_path: Path, refused: Callable[..., None]) -> None:
    text = DENSITY.read_text()
    path = tmp_path / "run-ELECTRON_DENSITY-1_0.cube"
    swapped = (text.replace("E-0", "?-0"), text.replace("0.503927", "0.000000"))
    refused(read_cube, path, ("", "x\ny\n", text[: len(text) // 2], *swapped))


HEAD = " title\n title\n 2 0 0 0\n 2 1 0 0\n 2 0 1 0\n 2 0 0 1\n"


@pytest.mark.parametrize("numbers", [(1, -2), (-2, 1), (1, 500)])
def test_atoms_that_are_no_elements_are_refused(numbers: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "run-ELECTRON_DENSITY-1_0.cube"
    rows = "".join(f" {number} 0.0 0.5 0.5 {place}.0\n" for place, number in enumerate(numbers))
    path.write_text(HEAD + rows + " 1.0" * 8 + "\n")
    with pytest.raises(DataError, match="atomic number"):
        read_cube(path)
    path.write_text(HEAD + rows.replace("-2", "2").replace("500", "82") + " 1.0" * 8 + "\n")
    assert len(read_cube(path).atoms) == 2


def test_planes_are_those_along_the_third_vector_unless_told() -> None:
    cube = made(np.arange(24.0).reshape(2, 3, 4), np.diag([5.0, 6.0, 7.0]))
    np.testing.assert_array_equal(planar_average(cube).values, cube.values.mean(axis=(0, 1)))
