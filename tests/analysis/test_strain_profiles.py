"""Profiles across a dot's border and through slabs, and the continuum curve against the analytic field."""

import numpy as np
import pytest
from known_strain import A_DOT, A_MATRIX, cubic_perovskite, known_dot, rock_salt

from qdip_struct.analysis.strain.phases import find_phases
from qdip_struct.analysis.strain.profiles import border_depth, dot_centre, layer_profile, radial_strain, radial_vectors
from qdip_struct.analysis.strain.reference import continuum_curve, predict
from qdip_struct.analysis.strain.strain import strain_map
from qdip_struct.analysis.strain.sublattice import perovskite, rocksalt
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.materials.elasticity import isotropic_moduli

REFERENCES = {"PbS": rocksalt("PbS", A_DOT), "CsPbI3": perovskite("CsPbI3", A_MATRIX)}
MODULI = {
    "dot": isotropic_moduli(53.0, shear=27.0, name="dot", source="given"),
    "matrix": isotropic_moduli(12.2, shear=5.0, name="matrix", source="given"),
}


def strain_of(atoms, references=REFERENCES):
    return strain_map(atoms, phases=find_phases(atoms).labels, references=references)


def test_radial_profile_of_the_known_dot(embedded):
    strain = strain_of(embedded.atoms)
    points = radial_strain(embedded.atoms, strain, dot="PbS", width=3.0)
    dot = [point for point in points if point.phase == "PbS"]
    assert sum(point.n for point in dot) == 225
    assert all(point.depth_angstrom < 0 for point in dot)
    assert max(abs(point.mean - 0.005) for point in dot) < 1e-12
    assert max(abs(point.radial - 0.005) + abs(point.hoop - 0.005) for point in dot) < 1e-12
    near = next(point for point in points if point.phase == "CsPbI3")
    assert near.depth_angstrom > 0
    radial, hoop = embedded.truth(near.radius_angstrom)
    assert (near.radial > 0) == (radial > 0)
    assert near.hoop == pytest.approx(hoop, abs=0.006)


@pytest.mark.parametrize("shift", [(0, 0, 0), (25.2, 0, 0), (-13.0, 25.24, 40.0)])
def test_a_dot_cut_by_the_faces_of_the_cell_has_the_same_profile(shift):
    known = known_dot(6, 22.0)
    here = radial_strain(known.atoms, strain_of(known.atoms), dot="PbS")
    moved = known.atoms.copy()
    moved.positions += shift
    moved.wrap()
    there = radial_strain(moved, strain_of(moved), dot="PbS")
    assert [point.n for point in here] == [point.n for point in there]
    assert np.allclose([p.mean for p in here], [p.mean for p in there], atol=1e-12)
    assert np.allclose([p.radius_angstrom for p in here], [p.radius_angstrom for p in there], atol=1e-9)


def test_depth_is_signed_and_centred_on_the_border(embedded):
    strain = strain_of(embedded.atoms)
    depth = border_depth(embedded.atoms, strain, dot="PbS")
    inside = strain.phase == "PbS"
    assert depth[inside].max() == pytest.approx(-depth[~inside].min(), abs=1e-9)
    centre = dot_centre(embedded.atoms, strain, dot="PbS")
    assert centre == pytest.approx(embedded.centre, abs=1e-9)
    vectors = radial_vectors(embedded.atoms, strain, centre=centre)
    assert np.linalg.norm(vectors, axis=1).max() <= np.sqrt(3) * 4 * A_MATRIX + 0.2


def test_layers_of_a_slab_with_a_known_gradient():
    slab = rock_salt((2, 2, 4))
    slab.set_cell([2 * A_DOT, 2 * A_DOT, 4 * A_DOT + 15.0])
    slab.pbc = (True, True, False)
    slab.set_cell(slab.cell.array * [1.01, 1.01, 1.0], scale_atoms=True)
    layers = layer_profile(slab, strain_of(slab))
    assert [layer.n for layer in layers] == [8] * 8
    assert max(abs(layer.in_plane - 0.01) for layer in layers) < 1e-12
    assert max(abs(layer.normal) for layer in layers) < 1e-12
    assert np.diff([layer.position_angstrom for layer in layers]) == pytest.approx(A_DOT / 2)
    periodic = slab.copy()
    periodic.pbc = True
    periodic.positions[:, 2] += 30.0
    periodic.wrap()
    again = layer_profile(periodic, strain_of(periodic))
    assert np.diff([layer.position_angstrom for layer in again]) == pytest.approx(A_DOT / 2)
    with pytest.raises(UsageError, match="axis"):
        layer_profile(slab, strain_of(slab), axis=3)


def test_prediction_follows_the_two_lines_of_algebra(embedded):
    strain = strain_of(embedded.atoms)
    found, reason = predict(strain, dot="PbS", matrix="CsPbI3", moduli=MODULI)
    assert reason == ""
    f = (A_MATRIX - A_DOT) / A_DOT
    assert found.misfit == pytest.approx(f)
    assert found.infinite.dot_strain == pytest.approx(f * 20.0 / (3 * 53.0 + 20.0))
    phi = found.volume_fraction
    resistance = (3 * 12.2 * phi + 4 * 5.0) / (1 - phi)
    assert found.fixed.dot_strain == pytest.approx(f * resistance / (3 * 53.0 + resistance))
    assert phi == pytest.approx(
        225 * A_DOT**3 / 4 / (225 * A_DOT**3 / 4 + (~(strain.phase == "PbS")).sum() * A_MATRIX**3)
    )
    r = np.array([0.0, found.radius_angstrom * 0.999, found.radius_angstrom * 1.001, 1e6])
    mean, radial, hoop = continuum_curve(found.infinite, radius=found.radius_angstrom, distances=r)
    assert mean[0] == pytest.approx(found.infinite.dot_strain)
    assert radial[2] == pytest.approx(found.infinite.matrix_radial_strain, rel=0.01)
    assert hoop[2] == pytest.approx(found.infinite.matrix_hoop_strain, rel=0.01)
    assert abs(radial[3]) + abs(hoop[3]) < 1e-9
    # Both sides of the border have the same length along it: a_dot (1 + ε_dot) = a_matrix (1 + ε_hoop), linearised.
    assert found.infinite.matrix_hoop_strain == pytest.approx(found.infinite.dot_strain - f)


def test_published_range_of_the_prediction():
    f, bulk_dot = 0.05, 53.0
    low, high = (4 * g / (3 * bulk_dot + 4 * g) * f for g in (3.5, 7.5))
    assert (round(100 * low, 2), round(100 * high, 2)) == (0.4, 0.79)


def test_no_prediction_without_moduli_and_no_profile_without_a_dot(embedded):
    strain = strain_of(embedded.atoms)
    unknown = {"PbS": REFERENCES["PbS"], "CsSnCl3": REFERENCES["CsPbI3"]}
    other = strain_map(
        embedded.atoms,
        phases=np.char.replace(find_phases(embedded.atoms).labels.astype("U10"), "CsPbI3", "CsSnCl3"),
        references=unknown,
    )
    found, reason = predict(other, dot="PbS", matrix="CsSnCl3", moduli={})
    assert found is None
    assert "CsSnCl3" in reason
    with pytest.raises(DataError, match="no cation of the dot"):
        dot_centre(embedded.atoms, strain, dot="PbSe")
    with pytest.raises(UsageError, match="width"):
        radial_strain(embedded.atoms, strain, dot="PbS", width=0.0)
    alone = rock_salt(2)
    alone.pbc = False
    assert radial_strain(alone, strain_of(alone), dot="PbS")
    assert layer_profile(cubic_perovskite(2), strain_of(cubic_perovskite(2)))
