"""Looking where neighbours should be gives the same matches, bit for bit, as searching for all that are near."""

import numpy as np
import pytest
from ase import Atoms
from known_strain import A_DOT, A_MATRIX, FCC, lattice

from qdip_struct.analysis.strain import site_grid
from qdip_struct.analysis.strain import strain as module
from qdip_struct.analysis.strain.site_grid import SiteGrid, periodic_images
from qdip_struct.analysis.strain.strain import strain_map
from qdip_struct.analysis.strain.sublattice import perovskite, rocksalt

LEAD = {"PbS": (FCC, A_DOT, rocksalt("x", A_DOT)), "CsPbI3": ([[0, 0, 0]], A_MATRIX, perovskite("x", A_MATRIX))}


def lead(crystal, n):
    points, a, reference = LEAD[crystal]
    places = lattice(points, n) * a
    return Atoms("Pb" * len(places), positions=places, cell=[n * a] * 3, pbc=True), reference


def both_ways(atoms, reference, monkeypatch):
    class Refused:
        usable = False

        def __init__(self, *args, **kwargs):
            pass

    monkeypatch.setattr(module, "SiteLattice", Refused)
    found = []
    for large in (1, 10**9):
        monkeypatch.setattr(module, "_LARGE", large)
        found.append(strain_map(atoms, phases=["x"] * len(atoms), references={"x": reference}))
    return found


@pytest.mark.parametrize("crystal", LEAD)
@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_same_map_by_place_and_by_search(crystal, n, noise, monkeypatch):
    atoms, reference = lead(crystal, n)
    rng = np.random.default_rng(n)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, noise, atoms.positions.shape) + rng.normal(0, 20, 3)
    by_place, by_search = both_ways(atoms, reference, monkeypatch)
    assert np.array_equal(by_place.partners, by_search.partners)
    assert np.array_equal(by_place.gradient, by_search.gradient, equal_nan=True)
    assert np.array_equal(by_place.residual, by_search.residual, equal_nan=True)


@pytest.mark.parametrize("crystal", LEAD)
def test_same_map_of_an_open_piece_with_holes(crystal, monkeypatch):
    atoms, reference = lead(crystal, 5)
    atoms.pbc = False
    rng = np.random.default_rng(0)
    del atoms[rng.choice(len(atoms), len(atoms) // 8, replace=False)]
    atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    by_place, by_search = both_ways(atoms, reference, monkeypatch)
    assert np.array_equal(by_place.partners, by_search.partners)
    assert np.array_equal(by_place.gradient, by_search.gradient, equal_nan=True)


def test_close_pairs_and_empty_space_go_to_the_search():
    atoms, reference = lead("PbS", 4)
    radius, cutoff = reference.match_radius_angstrom, reference.cutoff_angstrom

    def usable(structure):
        images = periodic_images(structure.positions, cell=structure.cell.array, pbc=structure.pbc, margin=cutoff)
        return SiteGrid(images, radius=radius, cutoff=cutoff).usable

    assert usable(atoms)
    for apart in ([0.4, 0, 0], [1.2, 1.2, 1.2], [0, -2.9, 0.3]):
        double = atoms + atoms[:1]
        double.positions[-1] += apart
        assert not usable(double)
    sparse = atoms[:4]
    sparse.pbc = False
    sparse.positions[-1] += 400.0
    assert not usable(sparse)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("chunk", [65536, 16])
def test_places_are_looked_up_only_where_no_two_cations_are_within_two_match_radii(seed, chunk, monkeypatch):
    monkeypatch.setattr(site_grid, "_CHUNK", chunk)
    radius, spacing = 1.0, 2.1
    rng = np.random.default_rng(seed)
    cell = np.eye(3) * 4 * spacing
    found = []
    for size in (0.02, 0.05, 0.1, 0.2):
        points = lattice([[0, 0, 0]], 4) * spacing + rng.uniform(-size, size, (64, 3))
        images = periodic_images(points, cell=cell, pbc=True, margin=3.0)
        apart = points[:, None] - points[None]
        apart -= np.rint(apart @ np.linalg.inv(cell)) @ cell
        shortest = np.linalg.norm(apart + 1e3 * np.eye(64)[..., None], axis=2).min()
        usable = SiteGrid(images, radius=radius, cutoff=3.0).usable
        assert usable == (shortest > 2 * radius)
        found.append(usable)
    assert found[0] and not found[-1]
