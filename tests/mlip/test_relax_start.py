"""Starts of a relaxation: which atoms move, from where, and which cells may change."""

import numpy as np
import pytest
from ase.build import bulk, fcc100
from ase.constraints import FixAtoms, FixedPlane

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.mlip.relax import (
    check_cell_mode,
    frozen_atoms,
    only_dots,
    rattled,
    with_dot_lattice,
)


def copper():
    return bulk("Cu", cubic=True).repeat(2)


def slab():
    atoms = fcc100("Cu", (1, 1, 4), vacuum=8.0)
    atoms.pbc = True
    atoms.set_array("region", np.array(["substrate"] * 2 + ["film"] * 2))
    return atoms


def test_dots_are_scaled_about_their_own_centres():
    atoms = copper()
    atoms.set_array("dot", np.array([0] * 8 + [1] * 8 + [-1] * 16))
    scaled = with_dot_lattice(atoms, own=5.9, built=6.4)
    for number in (0, 1):
        own = atoms.arrays["dot"] == number
        assert scaled.positions[own].mean(axis=0) == pytest.approx(atoms.positions[own].mean(axis=0))
        assert np.ptp(scaled.positions[own], axis=0) == pytest.approx(np.ptp(atoms.positions[own], axis=0) * 5.9 / 6.4)
    assert np.array_equal(scaled.positions[16:], atoms.positions[16:])
    assert len(only_dots(atoms)) == 16
    for function in (only_dots, lambda a: with_dot_lattice(a, own=5.9, built=6.4)):
        with pytest.raises(UsageError, match="array 'dot'"):
            function(copper())
    for length in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="two positive lengths"):
            with_dot_lattice(atoms, own=length, built=6.4)


def test_regions_layers_and_the_file_say_what_is_frozen():
    atoms = slab()
    assert not frozen_atoms(atoms).any()
    assert frozen_atoms(atoms, regions=["substrate"]).tolist() == [True, True, False, False]
    assert frozen_atoms(atoms, n_layers=1).tolist() == [True, False, False, False]
    assert frozen_atoms(atoms, regions=["film"], n_layers=1).tolist() == [True, False, True, True]
    atoms.set_constraint(FixAtoms([3]))
    assert frozen_atoms(atoms, n_layers=1).tolist() == [True, False, False, True]


def test_what_cannot_be_frozen_is_named():
    atoms = slab()
    with pytest.raises(UsageError, match=r"no region 'matrix'.*film, substrate"):
        frozen_atoms(atoms, regions=["matrix"])
    with pytest.raises(UsageError, match="nothing to relax"):
        frozen_atoms(atoms, regions=["film", "substrate"])
    with pytest.raises(UsageError, match="--fixed-layers is between"):
        frozen_atoms(atoms, n_layers=4)
    with pytest.raises(UsageError, match="none"):
        frozen_atoms(copper(), regions=["film"])
    atoms.set_constraint(FixedPlane([0], (0, 0, 1)))
    with pytest.raises(DataError, match="FixedPlane"):
        frozen_atoms(atoms)


def test_the_rattle_is_seeded_spares_frozen_atoms_and_drops_velocities():
    atoms = copper()
    atoms.set_momenta(np.ones((32, 3)))
    atoms.set_array("strain_mean", np.ones(32))
    atoms.set_array("region", np.array(["matrix"] * 32))
    frozen = np.arange(32) < 10
    moved = rattled(atoms, sigma=0.05, seed=2, frozen=frozen)
    assert np.array_equal(moved.positions[:10], atoms.positions[:10])
    assert np.array_equal(moved.positions, rattled(atoms, sigma=0.05, seed=2, frozen=frozen).positions)
    assert not np.array_equal(moved.positions, rattled(atoms, sigma=0.05, seed=3, frozen=frozen).positions)
    assert set(moved.arrays) == {"numbers", "positions", "region"}
    assert atoms.has("momenta")
    many = rattled(atoms.repeat(4), sigma=0.05, seed=0, frozen=np.zeros(2048, dtype=bool)).positions
    assert np.std(many - atoms.repeat(4).positions) == pytest.approx(0.05, rel=0.03)
    assert np.array_equal(rattled(atoms, sigma=0.0, seed=0, frozen=frozen).positions, atoms.positions)


def test_cells_with_vacuum_or_partners_do_not_relax():
    check_cell_mode(slab(), cell="fixed", role="interface")
    for cell in ("normal", "free"):
        with pytest.raises(UsageError, match=r"close the vacuum .* along c"):
            check_cell_mode(slab(), cell=cell)
        cluster = copper()
        cluster.pbc = False
        with pytest.raises(UsageError, match="periodic in three directions"):
            check_cell_mode(cluster, cell=cell)
    for role in ("film_bulk", "substrate_bulk", "sandwich"):
        check_cell_mode(copper(), cell="normal", role=role)
        with pytest.raises(UsageError, match=f"the {role} shares"):
            check_cell_mode(copper(), cell="free", role=role)
    for role in (None, "single", "embedded", "film_bulk_free"):
        check_cell_mode(copper(), cell="free", role=role)
    tilted = copper()
    tilted.rotate(30, "x", rotate_cell=True)
    with pytest.raises(UsageError, match="in the plane z = 0"):
        check_cell_mode(tilted, cell="normal")
