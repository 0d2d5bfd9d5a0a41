"""Means of strain and their errors: the stated error covers the truth as often as it says."""

import numpy as np
import pytest
from known_strain import A_DOT, A_MATRIX, known_dot, rock_salt

from qdip_struct.analysis.strain.averages import change_between, frame_average, region_means
from qdip_struct.analysis.strain.phases import find_phases
from qdip_struct.analysis.strain.strain import strain_map
from qdip_struct.analysis.strain.sublattice import perovskite, rocksalt
from qdip_struct.base.errors import MismatchError, UsageError

REFERENCES = {"PbS": rocksalt("PbS", A_DOT), "CsPbI3": perovskite("CsPbI3", A_MATRIX)}


def strain_of(atoms):
    return strain_map(atoms, phases=find_phases(atoms).labels, references=REFERENCES, workers=1)


def test_exact_dot_has_mean_without_error(embedded):
    strain = strain_of(embedded.atoms)
    dot = region_means(strain, groups=strain.phase)["PbS"]
    assert (dot.n, dot.undefined) == (225, 0)
    assert dot.mean == pytest.approx(0.005, abs=1e-12)
    assert dot.stderr < 1e-12
    assert dot.std < 1e-12
    for measure, value in (("green", 0.0050125), ("almansi", 0.5 * (1 - 1 / 1.005**2))):
        assert region_means(strain, groups=strain.phase, measure=measure)["PbS"].mean == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("trials", [120, pytest.param(1000, marks=pytest.mark.slow)])
def test_mean_and_standard_error_cover_the_truth_in_95_percent(trials):
    known = known_dot(6, 22.0)
    exact = strain_of(known.atoms)
    truth = {name: one.mean for name, one in region_means(exact, groups=exact.phase).items()}
    noise_only = {name: one.noise_angstrom for name, one in region_means(exact, groups=exact.phase).items()}
    rng = np.random.default_rng(20)
    scores, sizes = [], []
    for _ in range(trials):
        moved = known.atoms.copy()
        moved.positions += rng.normal(0, 0.1, moved.positions.shape)
        strain = strain_of(moved)
        dot = region_means(strain, groups=strain.phase)["PbS"]
        scores.append((dot.mean - truth["PbS"]) / dot.stderr)
        sizes.append(dot.noise_angstrom)
    assert np.mean(sizes) == pytest.approx(0.1, rel=0.02)
    covered = np.mean(np.abs(scores) < 1.96)
    assert noise_only["PbS"] < 1e-12
    assert abs(covered - 0.95) <= (0.03 if trials >= 1000 else 0.05)


def test_a_periodic_crystal_has_a_mean_fixed_by_its_cell():
    atoms = rock_salt(3)
    atoms.positions += np.random.default_rng(0).normal(0, 0.05, atoms.positions.shape)
    one = region_means(mapped := strain_map_of_lead(atoms), groups=["all"] * len(mapped.sites))["all"]
    assert one.stderr < 1e-12
    assert abs(one.mean) < 5e-6
    assert one.noise_bias == pytest.approx(0.05**2 / (4 * A_DOT**2), rel=0.2)


def strain_map_of_lead(atoms):
    lead = np.asarray(atoms.get_chemical_symbols()) == "Pb"
    return strain_map(atoms, phases=np.where(lead, "PbS", ""), references=REFERENCES)


def test_undefined_cations_are_counted_and_left_out():
    atoms = rock_salt(2)
    lead = np.flatnonzero(np.asarray(atoms.get_chemical_symbols()) == "Pb")
    pair = atoms[lead[:1]]
    pair.pbc = False
    strain = strain_map_of_lead(pair)
    one = region_means(strain, groups=["x"])["x"]
    assert (one.n, one.undefined) == (0, 1)
    assert np.isnan(one.mean)
    assert region_means(strain, groups=[""]) == {}
    with pytest.raises(UsageError, match="one name for each"):
        region_means(strain, groups=["x", "y"])


def test_frames_average_out_noise():
    atoms = rock_salt(2)
    atoms.set_cell(atoms.cell.array * 1.01, scale_atoms=True)
    rng = np.random.default_rng(4)
    frames = []
    for _ in range(40):
        moved = atoms.copy()
        moved.positions += rng.normal(0, 0.05, moved.positions.shape)
        frames.append(strain_map_of_lead(moved))
    tensor, mean, stderr = frame_average(frames)
    assert tensor.shape == (32, 3, 3)
    assert np.abs(mean - 0.01).max() < 5 * stderr.max()
    assert stderr == pytest.approx(np.std([f.mean() for f in frames], axis=0, ddof=1) / np.sqrt(40), rel=1e-6)
    with pytest.raises(UsageError, match="no frames"):
        frame_average([])
    with pytest.raises(MismatchError, match="other cations"):
        frame_average([frames[0], strain_map_of_lead(rock_salt(1))])


def test_change_between_two_dots_does_not_depend_on_the_reference():
    embedded, free = known_dot(6, 22.0), known_dot(6, 22.0)
    alone = free.atoms[free.atoms.arrays["dot"] >= 0]
    centre = alone.positions.mean(axis=0)
    alone.positions = centre + (alone.positions - centre) * 0.99
    other = {"PbS": rocksalt("PbS", 6.01), "CsPbI3": REFERENCES["CsPbI3"]}
    first = strain_of(embedded.atoms)
    second = strain_map(alone, phases=find_phases(alone).labels, references=other)
    change = change_between(first, second, phase="PbS", groups=first.phase)["PbS"]
    assert change.mean == pytest.approx(1 / 0.99 - 1, abs=1e-12)
    assert change.n == (first.phase == "PbS").sum()
    with pytest.raises(MismatchError, match="same dot"):
        change_between(first, strain_map_of_lead(rock_salt(1)), phase="PbS", groups=first.phase)
