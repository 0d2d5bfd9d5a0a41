"""Charge differences: closed forms, an independent sum, invariance under shifts, planted differences refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.analysis.electrons.charge import charge_difference, planar_profile, radial_charge
from qdip_struct.base import units
from qdip_struct.base.errors import MismatchError, UsageError
from qdip_struct.cp2k.outputs.cube import Cube, read_cube

FOLDER = Path(__file__).parents[1] / "data" / "cp2k_runs" / "cubes"
BOHR3 = units.ANGSTROM_PER_BOHR**3
CELL = np.array([[8.0, 0.0, 0.0], [2.0, 9.0, 0.0], [0.0, 0.0, 12.0]])
SHAPE = (32, 36, 48)


def gaussian(centre, *, electrons=1.0, sigma=0.7, cell=CELL, shape=SHAPE):
    """A periodic Gaussian in e/bohr³ (images in all directions)."""
    axes = [np.arange(n) / n for n in shape]
    fractions = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) - np.asarray(centre) @ np.linalg.inv(cell)
    values = np.zeros(shape)
    for image in np.ndindex(3, 3, 3):
        vectors = (fractions - np.rint(fractions) + np.array(image) - 1) @ cell
        values += np.exp(-0.5 * (vectors**2).sum(axis=-1) / sigma**2)
    return electrons * values / (sigma * np.sqrt(2 * np.pi)) ** 3 * BOHR3


def cube(values, *, name="made", symbols="", places=(), cell=CELL):
    atoms = Atoms(symbols, positions=np.reshape(places, (-1, 3)), cell=cell, pbc=True)
    return Cube(
        Path(f"{name}.cube"), "ELECTRON DENSITY", atoms, np.zeros(3), cell / np.array(values.shape)[:, None], values
    )


A, B = np.array([4.0, 4.0, 3.0]), np.array([5.0, 5.0, 8.0])


@pytest.fixture
def trio():
    """Two atoms; 0.2 electrons go from A to B."""
    whole = gaussian(A, electrons=1.8) + gaussian(B, electrons=1.2)
    return (
        cube(whole, name="AB", symbols="HeH", places=(A, B)),
        cube(gaussian(A, electrons=2.0), name="A", symbols="He", places=A),
        cube(gaussian(B), name="B", symbols="H", places=B),
    )


def test_transferred_electrons_are_counted(trio):
    found = charge_difference(trio[0], first=trio[1], second=trio[2])
    assert found.electrons == pytest.approx((3.0, 2.0, 1.0), abs=1e-6)
    assert found.integral_e == pytest.approx(0.0, abs=1e-9)
    assert found.balanced
    assert found.displaced_e == pytest.approx(0.2, abs=1e-4)
    profile = planar_profile(found.cube)
    images = profile.heights_angstrom + 12.0 * np.array([[-1], [0], [1]])
    line = [np.exp(-0.5 * ((images - at[2]) / 0.7) ** 2).sum(axis=0) / (0.7 * np.sqrt(2 * np.pi)) for at in (A, B)]
    np.testing.assert_allclose(profile.linear_density, 0.2 * (line[1] - line[0]), atol=1e-6)
    assert profile.accumulated_e.min() == pytest.approx(-0.2, abs=1e-4)
    assert profile.accumulated_e[-1] == pytest.approx(0.0, abs=1e-9)
    assert profile.area_angstrom2 == pytest.approx(72.0)


def test_profiles_equal_a_sum_over_the_text_of_a_real_cube():
    """An independent route: the numbers of the file itself, added plane by plane."""
    path = FOLDER / "run-ELECTRON_DENSITY-1_0.cube"
    lines = path.read_text().splitlines()
    counts = [int(line.split()[0]) for line in lines[3:6]]
    step = float(lines[5].split()[3])
    area_step = float(lines[3].split()[1]) * float(lines[4].split()[2])
    numbers = [float(word) for line in lines[8:] for word in line.split()]
    planes = [sum(numbers[k :: counts[2]]) * area_step / units.ANGSTROM_PER_BOHR for k in range(counts[2])]
    profile = planar_profile(read_cube(path))
    np.testing.assert_allclose(profile.linear_density, planes, rtol=1e-6)
    assert profile.accumulated_e[-1] == pytest.approx(sum(numbers) * area_step * step, rel=1e-6)


def test_a_real_cube_minus_itself_is_nothing():
    real = read_cube(FOLDER / "run-ELECTRON_DENSITY-1_0.cube")
    empty = replace(real, values=np.zeros_like(real.values))
    found = charge_difference(real, first=real, second=empty)
    assert (found.integral_e, found.displaced_e) == (0.0, 0.0)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(steps=st.tuples(*(st.integers(-40, 40) for _ in range(3))), axis=st.integers(0, 2))
def test_moving_everything_moves_the_profile_alone(steps, axis):
    delta = cube(gaussian(B, electrons=0.2) - gaussian(A, electrons=0.2))
    moved = replace(delta, values=np.roll(delta.values, steps, axis=(0, 1, 2)))
    one, other = planar_profile(delta, axis=axis), planar_profile(moved, axis=axis)
    np.testing.assert_allclose(np.roll(one.linear_density, steps[axis]), other.linear_density, atol=1e-12)
    shift = np.array(steps) @ delta.spacing
    near, far = radial_charge(delta, centre=A), radial_charge(moved, centre=A + shift)
    np.testing.assert_allclose(near.accumulated_e, far.accumulated_e, atol=1e-6)


def test_shells_hold_the_charge_of_a_gaussian():
    from scipy.special import erf

    found = radial_charge(cube(gaussian(A)), centre=A, width=0.5)
    assert found.radii_angstrom[-1] <= 0.5 * 8.0 * 9.0 / np.hypot(9.0, 2.0)
    x = found.radii_angstrom / (0.7 * np.sqrt(2))
    inside = erf(x) - 2 / np.sqrt(np.pi) * x * np.exp(-(x**2))
    np.testing.assert_allclose(found.accumulated_e, inside, atol=0.03)
    assert found.accumulated_e[-1] == pytest.approx(1.0, abs=1e-3)
    assert found.shell_e.sum() == pytest.approx(found.accumulated_e[-1])


def test_a_uniform_density_is_uniform_in_every_shell():
    found = radial_charge(cube(np.full(SHAPE, 0.01)), centre=np.array([-3.0, 20.0, 1.0]), width=0.3)
    np.testing.assert_allclose(found.density, 0.01 / BOHR3)


@pytest.mark.parametrize("centre", [[0, 0], [0, 0, np.nan], [np.inf, 0, 0]])
def test_centres_that_are_none_are_refused(centre):
    with pytest.raises(UsageError, match="three finite"):
        radial_charge(cube(np.ones((4, 4, 4))), centre=np.array(centre))


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf"), 50.0])
def test_shells_that_do_not_fit_are_refused(width):
    with pytest.raises(UsageError, match="shell width"):
        radial_charge(cube(np.ones((4, 4, 4))), centre=np.zeros(3), width=width)


def test_planted_differences_are_refused_by_name(trio):
    whole, first, second = trio
    ten = 1.001 * CELL
    planted = {
        "a grid of": replace(second, values=second.values[:, :, ::2], spacing=second.spacing * [[1], [1], [2]]),
        "cells of": replace(second, spacing=ten / np.array(SHAPE)[:, None]),
        "origins of": replace(second, origin=np.array([0.0, 0.0, 0.1])),
        "holds a potential": replace(second, title="HARTREE POTENTIAL"),
        r"atom 1 \(H\) is not at the same place": cube(second.values, symbols="H", places=B + np.array([0, 0, 0.05])),
        r"atom 1 \(Li\) is not at the same place": cube(second.values, symbols="Li", places=B),
        r"atom 2 \(H\) is neither": cube(second.values),
    }
    for words, wrong in planted.items():
        with pytest.raises(MismatchError, match=words):
            charge_difference(whole, first=first, second=wrong)
        if "neither" not in words:
            with pytest.raises(MismatchError, match=words):
                charge_difference(whole, first=wrong, second=second)


def test_atoms_across_the_border_and_ghosts_are_the_same_atoms(trio):
    whole, first, second = trio
    wrapped = cube(second.values, symbols="H", places=B + CELL[0] - CELL[2])
    assert charge_difference(whole, first=first, second=wrapped).balanced
    ghosts = cube(second.values, symbols="HeH", places=(A, B))
    assert charge_difference(whole, first=first, second=ghosts).balanced
    at_border = cube(whole.values, symbols="HeH", places=(A, [0.0, 0.0, 1e-4]))
    other_side = cube(second.values, symbols="H", places=CELL.sum(axis=0) - [0.0, 0.0, 1e-4])
    assert charge_difference(at_border, first=first, second=other_side).balanced


def test_electrons_that_do_not_add_up_are_told(trio):
    whole, first, second = trio
    assert not charge_difference(replace(whole, values=1.001 * whole.values), first=first, second=second).balanced
