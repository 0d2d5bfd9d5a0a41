"""Strain maps: exact on every crystal and every dot cation, whatever the cell, and honest about what is undefined."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from known_strain import A_DOT, A_MATRIX, FCC, cubic_perovskite, known_dot, lattice, rock_salt
from scipy.spatial.transform import Rotation

from qdip_struct.analysis.strain.phases import find_phases
from qdip_struct.analysis.strain.strain import strain_map
from qdip_struct.analysis.strain.sublattice import perovskite, rocksalt, wurtzite, zincblende
from qdip_struct.base.errors import DataError, UsageError

DEFORMATION = np.array([[1.005, 0.012, 0.0], [0.003, 0.98, -0.02], [0.0, 0.01, 1.015]])
CASES = {
    "rocksalt": (rock_salt, rocksalt("PbS", A_DOT), 12),
    "perovskite": (cubic_perovskite, perovskite("CsPbI3", A_MATRIX), 6),
}


def only(atoms, symbol="Pb", name="x"):
    return np.where(np.asarray(atoms.get_chemical_symbols()) == symbol, name, "")


def mapped(atoms, reference, symbol="Pb", **options):
    return strain_map(atoms, phases=only(atoms, symbol), references={"x": reference}, **options)


@pytest.mark.parametrize("crystal", CASES)
@pytest.mark.parametrize("n", [1, 2, 3, (1, 2, 5)])
def test_uniform_deformation_is_exact_in_cells_of_any_thickness(crystal, n):
    build, reference, neighbours = CASES[crystal]
    atoms = build(n)
    atoms.set_cell(atoms.cell.array @ DEFORMATION.T, scale_atoms=True)
    strain = mapped(atoms, reference)
    assert np.abs(strain.gradient - DEFORMATION).max() < 1e-12
    assert (strain.neighbours == neighbours).all()
    assert strain.residual.max() < 1e-12
    assert np.abs(strain.rotation @ strain.stretch - DEFORMATION).max() < 1e-12


@pytest.mark.parametrize("crystal", CASES)
@pytest.mark.parametrize("angle", [0.0, 12.0, 20.0, 29.0])
def test_rotation_up_to_thirty_degrees_is_split_off_exactly(crystal, angle):
    build, reference, _ = CASES[crystal]
    turn = Rotation.from_rotvec(np.radians(angle) * np.array([1.0, 2.0, -2.0]) / 3.0).as_matrix()
    stretch = np.diag((1.005, 0.99, 1.01))
    atoms = build(3)
    atoms.set_cell(atoms.cell.array @ (turn @ stretch).T, scale_atoms=True)
    strain = mapped(atoms, reference)
    assert np.abs(strain.stretch - stretch).max() < 1e-12
    assert np.abs(strain.rotation_degree - angle).max() < 1e-10


@pytest.mark.parametrize("crystal", CASES)
@pytest.mark.parametrize("angle", [31.0, 37.0, 45.0, 60.0])
def test_larger_rotations_are_found_first_and_the_strain_stays_exact(crystal, angle):
    build, reference, neighbours = CASES[crystal]
    turn = Rotation.from_rotvec(np.radians(angle) * np.array([0.6, 0.0, 0.8])).as_matrix()
    atoms = build(3)
    atoms.set_cell(atoms.cell.array @ (1.005 * turn).T, scale_atoms=True)
    strain = mapped(atoms, reference)
    assert (strain.neighbours == neighbours).all()
    assert np.abs(strain.mean() - 0.005).max() < 1e-12
    assert np.abs(strain.orientations["x"] @ strain.orientations["x"].T - np.eye(3)).max() < 1e-12


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.floats(-0.03, 0.03), min_size=9, max_size=9),
    st.lists(st.floats(-50.0, 50.0), min_size=3, max_size=3),
    st.integers(0, 2**31 - 1),
)
def test_shift_order_and_image_do_not_matter(entries, shift, seed):
    F = np.eye(3) + np.reshape(entries, (3, 3))
    rng = np.random.default_rng(seed)
    atoms = rock_salt(2)
    atoms.set_cell(atoms.cell.array @ F.T, scale_atoms=True)
    moved = atoms[rng.permutation(len(atoms))]
    moved.positions += np.array(shift) + rng.integers(-2, 3, (len(atoms), 3)) @ atoms.cell.array
    strain = mapped(moved, rocksalt("PbS", A_DOT))
    assert np.abs(strain.gradient - F).max() < 1e-11


def test_supercell_repeats_the_map_of_a_distorted_cell():
    atoms = rock_salt(2)
    atoms.positions += np.random.default_rng(3).normal(0, 0.05, atoms.positions.shape)
    one = mapped(atoms, rocksalt("PbS", A_DOT))
    eight = mapped(atoms.repeat(2), rocksalt("PbS", A_DOT))
    assert np.allclose(np.tile(one.gradient, (8, 1, 1)), eight.gradient, atol=1e-12)


def test_skewed_cell_gives_the_same_strain_as_the_straight_one():
    atoms = rock_salt(2)
    atoms.positions += np.random.default_rng(5).normal(0, 0.05, atoms.positions.shape)
    skewed = atoms.copy()
    skewed.set_cell(np.array([[1, 0, 0], [1, 1, 0], [-2, 1, 1]]) @ atoms.cell.array)
    straight = mapped(atoms, rocksalt("PbS", A_DOT))
    assert np.allclose(mapped(skewed, rocksalt("PbS", A_DOT)).gradient, straight.gradient, atol=1e-12)


def test_every_dot_cation_of_an_embedded_dot_is_exact(embedded):
    phases = find_phases(embedded.atoms)
    references = {"PbS": rocksalt("PbS", A_DOT), "CsPbI3": perovskite("CsPbI3", A_MATRIX)}
    strain = strain_map(embedded.atoms, phases=phases.labels, references=references)
    dot = strain.phase == "PbS"
    assert dot.sum() == 225
    assert np.abs(strain.tensor()[dot] - 0.005 * np.eye(3)).max() < 1e-12
    assert strain.defined.all()
    assert (strain.neighbours[dot] < 12).sum() > 100


def matrix_errors(known, tensor, strain):
    """Errors of the tensor on the matrix cations in the first two cells around the dot, inside the box."""
    rows = np.flatnonzero(strain.phase == "CsPbI3")
    away = known.undeformed.positions[strain.sites[rows]] - known.centre
    r = np.linalg.norm(away, axis=1)
    unit = away / r[:, None]
    radial, hoop = known.truth(r)
    truth = hoop[:, None, None] * np.eye(3) + ((radial - hoop)[:, None, None] * unit[:, :, None] * unit[:, None, :])
    dot = known.undeformed.positions[strain.sites[strain.phase == "PbS"]] - known.centre
    gap = np.linalg.norm(away[:, None, :] - dot[None] * A_MATRIX / A_DOT, axis=2).min(axis=1) / A_MATRIX
    inside = np.abs(away).max(axis=1) < 2.9 * A_MATRIX
    error = tensor[rows] - truth
    return [error[(gap > low) & (gap < low + 1.0) & inside] for low in (0.01, 1.01)]


def test_matrix_field_near_the_dot_is_followed_to_the_order_of_the_lattice(embedded):
    phases = find_phases(embedded.atoms)
    references = {"PbS": rocksalt("PbS", A_DOT), "CsPbI3": perovskite("CsPbI3", A_MATRIX)}
    strain = strain_map(embedded.atoms, phases=phases.labels, references=references)
    first, second = matrix_errors(embedded, strain.tensor(), strain)
    # One-sided differences of B/r² over one cell, then central ones: 3a/2r and (a/r)² of the local strain.
    assert np.sqrt((first**2).mean()) < 0.005
    assert np.sqrt((second**2).mean()) < 0.001


def test_too_few_neighbours_is_nan_never_zero():
    pair = Atoms("Pb2", positions=[[0, 0, 0], [A_DOT / 2, A_DOT / 2, 0]], cell=np.zeros((3, 3)), pbc=False)
    assert np.isnan(mapped(pair, rocksalt("PbS", A_DOT)).mean()).all()
    plane = Atoms("Pb5", positions=np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]) * A_MATRIX)
    strain = mapped(plane, perovskite("CsPbI3", A_MATRIX))
    assert not strain.defined.any()
    assert np.isnan(strain.tensor()).all()
    assert strain.neighbours[0] == 4


def test_a_neighbour_farther_than_a_quarter_cell_and_a_double_one_are_refused():
    atoms = rock_salt(3)
    lead = np.flatnonzero(np.asarray(atoms.get_chemical_symbols()) == "Pb")
    away = atoms.copy()
    away.positions[lead[0]] += [0.26 * A_DOT, 0, 0]
    strain = mapped(away, rocksalt("PbS", A_DOT))
    assert strain.neighbours[0] == 0
    assert sorted(set(strain.neighbours[1:])) == [11, 12]
    double = atoms + Atoms("Pb", positions=[atoms.positions[lead[0]] + [0.5, 0.5, 0.3]])
    strain = mapped(double, rocksalt("PbS", A_DOT))
    ring = strain.neighbours[:-1][1:]
    assert (ring == 11).sum() == 12
    assert np.abs(strain.mean()[:-1][1:]).max() < 1e-12


def test_zinc_blende_and_wurtzite_cations():
    a, c = 4.136, 6.714
    zb = Atoms("Cd" * 32, positions=lattice(FCC, 2) * 5.82 * 1.01, cell=[2 * 5.82 * 1.01] * 3, pbc=True)
    assert np.abs(mapped(zb, zincblende("CdS", 5.82), "Cd").mean() - 0.01).max() < 1e-12
    cell = np.array([[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]])
    hcp = Atoms("Cd2", scaled_positions=[[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5]], cell=cell, pbc=True).repeat((3, 2, 2))
    F = np.eye(3) + 0.01 * np.array([[1, 0.5, 0], [0, -1, 0.2], [0.1, 0, 2]])
    hcp.set_cell(hcp.cell.array @ F.T, scale_atoms=True)
    strain = mapped(hcp, wurtzite("CdS", a, c), "Cd")
    assert (strain.neighbours == 12).all()
    assert np.abs(strain.gradient - F).max() < 1e-12
    assert set(strain.variant) == {0, 1}


def test_tetragonal_and_sheared_pseudo_cubic_references():
    lengths = np.array([6.26, 6.26, 6.32])
    atoms = cubic_perovskite(2, a=1.0)
    atoms.set_cell(np.diag(2 * lengths), scale_atoms=True)
    assert np.abs(mapped(atoms, perovskite("MAPbI3", lengths)).tensor()).max() < 1e-12
    rows = np.array([[6.2, 0.1, 0], [0.1, 6.2, 0], [0, 0, 6.3]])
    atoms.set_cell(2 * rows, scale_atoms=True)
    assert np.abs(mapped(atoms, perovskite("CsPbI3", rows)).tensor()).max() < 1e-12


def test_noise_of_a_tenth_angstrom_scatters_by_0_69_percent():
    atoms = rock_salt(6)
    rng = np.random.default_rng(11)
    values = []
    for _ in range(4):
        moved = atoms.copy()
        moved.positions += rng.normal(0, 0.1, moved.positions.shape)
        values.append(mapped(moved, rocksalt("PbS", A_DOT)).mean())
    values = np.concatenate(values)
    assert abs(values.std() - 0.0069) < 0.0003
    assert abs(values.mean() - 7e-5) < 3e-5


def test_threads_do_not_change_a_bit():
    atoms = rock_salt(17)
    atoms.positions += np.random.default_rng(2).normal(0, 0.05, atoms.positions.shape)
    one = mapped(atoms, rocksalt("PbS", A_DOT), workers=1)
    two = mapped(atoms, rocksalt("PbS", A_DOT), workers=2)
    assert len(one.sites) > 16384
    assert np.array_equal(one.gradient, two.gradient)
    assert np.array_equal(one.partners, two.partners)


def test_partners_are_mutual():
    strain = mapped(rock_salt((1, 2, 3)), rocksalt("PbS", A_DOT))
    vectors = strain.references["x"].arrays[0]
    opposite = [int(np.abs(vectors + v).sum(axis=1).argmin()) for v in vectors]
    for slot, back in enumerate(opposite):
        assert (strain.partners[strain.partners[:, slot], back] == np.arange(len(strain.sites))).all()


def test_what_cannot_be_measured_is_said():
    atoms = rock_salt(1)
    with pytest.raises(DataError, match="no cation takes part"):
        strain_map(atoms, phases=[""] * len(atoms), references={})
    with pytest.raises(UsageError, match="no reference lattice for phase x"):
        strain_map(atoms, phases=only(atoms), references={})
    with pytest.raises(UsageError, match="labels"):
        strain_map(atoms, phases=["x"], references={})
    with pytest.raises(UsageError, match="workers"):
        mapped(atoms, rocksalt("PbS", A_DOT), workers=0)
    atoms.positions[0, 0] = np.nan
    with pytest.raises(DataError, match="not a number"):
        mapped(atoms, rocksalt("PbS", A_DOT))
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="positive length"):
            rocksalt("PbS", bad)


def _ovito_gradients(atoms, undeformed, cutoff):
    pytest.importorskip("ovito", reason="OVITO is not installed")
    from ovito.io.ase import ase_to_ovito
    from ovito.modifiers import AtomicStrainModifier
    from ovito.pipeline import Pipeline, StaticSource

    bare = [Atoms(one.numbers, positions=one.positions, cell=one.cell, pbc=one.pbc) for one in (atoms, undeformed)]
    pipeline = Pipeline(source=StaticSource(data=ase_to_ovito(bare[0])))
    modifier = AtomicStrainModifier(cutoff=cutoff, output_deformation_gradients=True)
    modifier.reference = StaticSource(data=ase_to_ovito(bare[1]))
    pipeline.modifiers.append(modifier)
    columns = np.asarray(pipeline.compute().particles["Deformation Gradient"])
    return columns.reshape(-1, 3, 3).transpose(0, 2, 1)


def test_equal_to_ovito_atomic_strain_where_both_are_defined():
    undeformed = rock_salt(3)
    undeformed = undeformed[[atom.index for atom in undeformed if atom.symbol == "Pb"]]
    atoms = undeformed.copy()
    atoms.set_cell(atoms.cell.array @ DEFORMATION.T, scale_atoms=True)
    atoms.positions += np.random.default_rng(1).normal(0, 0.05, atoms.positions.shape)
    theirs = _ovito_gradients(atoms, undeformed, 0.85 * A_DOT)
    ours = mapped(atoms, rocksalt("PbS", A_DOT))
    green = 0.5 * (theirs.transpose(0, 2, 1) @ theirs - np.eye(3))
    assert np.abs(ours.gradient - theirs).max() < 1e-10
    assert np.abs(ours.tensor("green") - green).max() < 1e-10


def test_almansi_strain_equals_ovito_elastic_strain():
    pytest.importorskip("ovito", reason="OVITO is not installed")
    from ovito.io.ase import ase_to_ovito
    from ovito.modifiers import ElasticStrainModifier
    from ovito.pipeline import Pipeline, StaticSource

    atoms = Atoms("Pb" * 4 * 125, positions=lattice(FCC, 5) * A_DOT, cell=[5 * A_DOT] * 3, pbc=True)
    atoms.set_cell(atoms.cell.array * 1.005, scale_atoms=True)
    pipeline = Pipeline(source=StaticSource(data=ase_to_ovito(atoms)))
    pipeline.modifiers.append(
        ElasticStrainModifier(input_crystal_structure=ElasticStrainModifier.Lattice.FCC, lattice_constant=A_DOT)
    )
    theirs = np.asarray(pipeline.compute().particles["Elastic Strain"])[:, :3].mean(axis=1)
    assert np.abs(mapped(atoms, rocksalt("PbS", A_DOT)).mean("almansi") - theirs).max() < 1e-10


def test_no_worse_than_ovito_on_the_lead_of_the_matrix():
    known = known_dot()
    phases = find_phases(known.atoms)
    references = {"PbS": rocksalt("PbS", A_DOT), "CsPbI3": perovskite("CsPbI3", A_MATRIX)}
    strain = strain_map(known.atoms, phases=phases.labels, references=references)
    lead = strain.sites
    F = _ovito_gradients(known.atoms[lead], known.undeformed[lead], 1.2 * A_MATRIX)
    values, vectors = np.linalg.eigh(F.transpose(0, 2, 1) @ F)
    theirs = np.einsum("nij,nj,nkj->nik", vectors, np.sqrt(values), vectors) - np.eye(3)
    for ours, peer in zip(
        matrix_errors(known, strain.tensor(), strain), matrix_errors(known, theirs, strain), strict=True
    ):
        assert np.sqrt((ours**2).mean()) <= np.sqrt((peer**2).mean()) * (1 + 1e-9)
    dot = strain.phase == "PbS"
    assert np.abs(theirs[dot] - 0.005 * np.eye(3)).max() > 0.005


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(CASES)), st.integers(0, 2**31 - 1))
def test_any_orientation_of_a_noisy_crystal_is_found(crystal, seed):
    build, reference, neighbours = CASES[crystal]
    rng = np.random.default_rng(seed)
    turn = Rotation.random(None, rng).as_matrix()
    atoms = build(3)
    atoms.set_cell(atoms.cell.array @ (1.005 * turn).T, scale_atoms=True)
    exact = mapped(atoms, reference)
    assert np.abs(exact.mean() - 0.005).max() < 1e-12
    atoms.positions += rng.normal(0, 0.15, atoms.positions.shape)
    noisy = mapped(atoms, reference)
    assert noisy.neighbours.mean() > 0.98 * neighbours
    assert abs(noisy.mean().mean() - 0.005) < 0.002


@pytest.mark.parametrize("crystal", CASES)
def test_strong_noise_does_not_turn_the_axes(crystal):
    build, reference, _ = CASES[crystal]
    for seed in range(5):
        atoms = build(3)
        atoms.positions += np.random.default_rng(seed).normal(0, 0.35, atoms.positions.shape)
        assert np.array_equal(mapped(atoms, reference).orientations["x"], np.eye(3))
