"""Counting lattice sites gives the same matches, bit for bit, as a search, and is refused where that is not certain."""

import numpy as np
import pytest
from ase import Atoms
from known_strain import A_DOT, A_MATRIX, FCC, lattice
from scipy.spatial import cKDTree

from qdip_struct.analysis.strain.site_grid import SiteLattice, lattice_steps, periodic_images
from qdip_struct.analysis.strain.sublattice import perovskite, rocksalt, wurtzite, zincblende

CRYSTALS = [(FCC, A_DOT, rocksalt("x", A_DOT)), ([[0, 0, 0]], A_MATRIX, perovskite("x", A_MATRIX))]
SHEARED = perovskite("x", [[6.1, 0.2, 0.0], [0.0, 6.3, -0.3], [0.1, 0.0, 6.4]])


def lead(points, a, n, *, pbc=True):
    places = lattice(points, n) * a
    return Atoms("Pb" * len(places), positions=places, cell=[n * a] * 3, pbc=pbc)


def site_lattice(atoms, reference):
    cutoff = reference.cutoff_angstrom
    images = periodic_images(atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc, margin=cutoff)
    ideal, radius = reference.arrays[0], reference.match_radius_angstrom
    return SiteLattice(images, ideal=ideal, radius=radius, cutoff=cutoff)


def searched(images, ideal, radius):
    """Image within the radius of each ideal vector, from a search tree; −1 for none or two."""
    tree = cKDTree(images.positions)
    found = np.full((images.n, len(ideal)), -1)
    for slot, v in enumerate(ideal):
        near = tree.query_ball_point(images.positions[: images.n] + v, radius)
        found[:, slot] = [one[0] if len(one) == 1 else -1 for one in near]
    return found


@pytest.mark.parametrize("reference", [rocksalt("x", A_DOT), zincblende("x", 5.832), perovskite("x", 6.0), SHEARED])
def test_three_ideal_vectors_generate_the_others(reference):
    ideal = reference.arrays[0]
    steps = lattice_steps(ideal)
    basis, *_ = np.linalg.lstsq(steps, ideal, rcond=None)
    assert np.allclose(steps @ basis, ideal, rtol=0, atol=1e-9)
    assert len({tuple(step) for step in steps.tolist()}) == len(ideal)


def test_two_alternating_layers_are_no_lattice():
    assert lattice_steps(wurtzite("x", 4.3, 7.0).arrays[0]) is None


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("pbc", [True, False, (True, False, True)])
@pytest.mark.parametrize("points, a, reference", CRYSTALS)
def test_same_matches_as_a_search(points, a, reference, pbc, noise):
    rng = np.random.default_rng(3)
    atoms = lead(points, a, 6, pbc=pbc)
    del atoms[rng.choice(len(atoms), len(atoms) // 10, replace=False)]
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.01, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, noise, atoms.positions.shape) + rng.normal(0, 20, 3)
    sites = site_lattice(atoms, reference)
    assert sites.usable
    index, D = sites.neighbours(np.arange(len(atoms)))
    assert np.array_equal(index, searched(sites.images, reference.arrays[0], reference.match_radius_angstrom))
    vectors = sites.images.positions[index] - sites.images.positions[: len(atoms), None]
    assert np.array_equal(D.reshape(vectors.shape), np.where((index >= 0)[:, :, None], vectors, 0.0))


@pytest.mark.parametrize("n", [1, 2])
def test_thin_cells_count_every_image(n):
    sites = site_lattice(lead(FCC, A_DOT, n), rocksalt("x", A_DOT))
    assert sites.usable
    assert (sites.neighbours(np.arange(4 * n**3))[0] >= 0).all()


def test_interstitial_atoms_and_bent_crystals_are_refused():
    reference = rocksalt("x", A_DOT)
    atoms = lead(FCC, A_DOT, 6, pbc=False)
    assert site_lattice(atoms, reference).usable
    for apart in ([0.3, 0, 0], [A_DOT / 2, A_DOT / 2, A_DOT / 2]):
        extra = atoms + atoms[100:101]
        extra.positions[-1] += apart
        assert not site_lattice(extra, reference).usable
    bent = lead(FCC, A_DOT, 12, pbc=False)
    middle = bent.positions.mean(axis=0)
    bent.positions += np.outer(((bent.positions - middle)[:, 0]) ** 2, [0.0, 0.0, 4e-3])
    assert not site_lattice(bent, reference).usable
