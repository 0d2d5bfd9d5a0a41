"""Vacuum levels and alignments: analytic slabs with and without a field, shifts of the origin, textbook types."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from qdip_struct.analysis.electrons.potential import band_alignment, hartree_profile, vacuum_levels, widest_gap
from qdip_struct.base import units
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.cp2k.outputs.cube import Cube, read_cube

FOLDER = Path(__file__).parents[1] / "data" / "cp2k_runs" / "cubes"
N = 400
HEIGHTS = 40.0 * np.arange(N) / N


def slab(energy_ev):
    """Atoms from 5 to 15 Å in 40 Å: vacuum of 30 Å across the border with its middle at 30 Å."""
    values = np.broadcast_to(energy_ev / units.EV_PER_HARTREE, (3, 3, N)).copy()
    cell = np.diag([6.0, 6.0, 40.0])
    atoms = Atoms("Pb2", positions=[[0, 0, 5.0], [0, 0, 15.0]], cell=cell, pbc=True)
    spacing = cell / np.array(values.shape)[:, None]
    return Cube(Path("slab.cube"), "HARTREE POTENTIAL", atoms, np.zeros(3), spacing, values)


def corrected():
    """−10 eV inside, 2 eV above, 1 eV below, the dipole layer's step in the middle of the vacuum."""
    inside = (HEIGHTS > 3) & (HEIGHTS < 17)
    return np.where(inside, -10.0, np.where((HEIGHTS >= 17) & (HEIGHTS < 30), 2.0, 1.0))


def test_both_sides_have_their_own_level():
    upper, lower = vacuum_levels(slab(corrected()))
    assert (upper.side, lower.side) == ("upper", "lower")
    assert upper.level_ev == pytest.approx(2.0)
    assert lower.level_ev == pytest.approx(1.0)
    assert upper.flat
    assert lower.flat


@pytest.mark.parametrize("steps", [1, 57, 200, 333])
def test_levels_do_not_know_the_origin(steps):
    cube = slab(corrected())
    atoms = cube.atoms.copy()
    atoms.positions[:, 2] += steps * 0.1
    moved = replace(cube, values=np.roll(cube.values, steps, axis=2), atoms=atoms)
    assert [level.level_ev for level in vacuum_levels(moved)] == pytest.approx([2.0, 1.0])


def test_turned_axes_give_the_same_levels():
    cube = slab(corrected())
    atoms = Atoms("Pb2", positions=cube.atoms.positions[:, [2, 0, 1]], cell=np.diag([40.0, 6.0, 6.0]), pbc=True)
    spacing = np.diag(np.diag(cube.spacing)[[2, 0, 1]])
    turned = Cube(cube.path, cube.title, atoms, np.zeros(3), spacing, cube.values.transpose(2, 0, 1))
    assert [level.level_ev for level in vacuum_levels(turned, axis=0)] == pytest.approx([2.0, 1.0])


def test_a_field_through_the_vacuum_is_not_flat():
    ramp = np.where((HEIGHTS > 3) & (HEIGHTS < 17), -10.0, 0.05 * ((HEIGHTS - 17) % 40))
    assert not any(level.flat for level in vacuum_levels(slab(ramp)))


def test_without_vacuum_there_is_no_level():
    real = read_cube(FOLDER / "run-v_hartree-1_0.cube")
    assert vacuum_levels(real) == ()
    assert widest_gap(real)[1] == pytest.approx(6.6 - 0.76, abs=1e-4)


def test_profile_is_in_ev_and_period_flattens():
    cube = slab(3.0 + np.cos(2 * np.pi * HEIGHTS / 4.0))
    np.testing.assert_allclose(hartree_profile(cube).values, 3.0 + np.cos(2 * np.pi * HEIGHTS / 4.0))
    np.testing.assert_allclose(hartree_profile(cube, periods_angstrom=(4.0,)).values, 3.0, atol=1e-12)
    with pytest.raises(DataError, match="expected a Hartree potential"):
        hartree_profile(read_cube(FOLDER / "run-ELECTRON_DENSITY-1_0.cube"))


@pytest.mark.parametrize(
    ("edges", "gaps", "kind", "offsets"),
    [
        ((0.0, -0.5), (0.4, 2.0), "I", (-0.5, 1.1)),
        ((0.0, -0.5), (2.0, 2.0), "II", (-0.5, -0.5)),
        ((0.0, -3.0), (2.0, 2.0), "III", (-3.0, -3.0)),
        ((0.0, 0.0), (1.0, 1.0), "I", (0.0, 0.0)),
    ],
)
def test_textbook_types(edges, gaps, kind, offsets):
    found = band_alignment(potentials_ev=(0.0, 0.0), valence_edges_ev=edges, gaps_ev=gaps)
    assert found.kind == kind
    assert (found.valence_offset_ev, found.conduction_offset_ev) == pytest.approx(offsets)


def test_swapping_the_materials_turns_the_signs():
    one = band_alignment(potentials_ev=(1.0, -0.3), valence_edges_ev=(2.0, 2.5), gaps_ev=(0.4, 1.6))
    other = band_alignment(potentials_ev=(-0.3, 1.0), valence_edges_ev=(2.5, 2.0), gaps_ev=(1.6, 0.4))
    assert one.kind == other.kind
    assert one.valence_offset_ev == pytest.approx(-other.valence_offset_ev)
    shifted = band_alignment(potentials_ev=(8.0, 6.7), valence_edges_ev=(2.0, 2.5), gaps_ev=(0.4, 1.6))
    assert shifted == one


def test_numbers_that_are_none_are_refused():
    for bad in ((float("nan"), 0.0), (float("inf"), 0.0)):
        with pytest.raises(UsageError):
            band_alignment(potentials_ev=bad, valence_edges_ev=(0, 0), gaps_ev=(1, 1))
    with pytest.raises(UsageError):
        band_alignment(potentials_ev=(0, 0), valence_edges_ev=(0, 0), gaps_ev=(1, -1))
