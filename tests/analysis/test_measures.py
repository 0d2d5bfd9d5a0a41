"""Strain measures: published triple for 0.5 %, invariants, small rotations, broken gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import polar as scipy_polar
from scipy.spatial.transform import Rotation

from qdip_struct.analysis.strain import measures
from qdip_struct.base.errors import UsageError


def test_half_a_percent_in_three_measures():
    F = 1.005 * np.eye(3)[None]
    _, U = measures.polar(F)
    found = [measures.mean_strain(measures.strain_tensor(F, U, measure=m))[0] for m in measures.MEASURES]
    assert found == pytest.approx([0.005, 0.0050125, 0.0049627], abs=1e-7)
    with pytest.raises(UsageError, match="unknown strain measure"):
        measures.strain_tensor(F, U, measure="hencky")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(-0.3, 0.3), min_size=9, max_size=9), st.integers(0, 2**31 - 1))
def test_polar_agrees_with_the_singular_value_route(entries, seed):
    F = Rotation.random(None, np.random.default_rng(seed)).as_matrix() @ (np.eye(3) + np.reshape(entries, (3, 3)))
    if np.linalg.det(F) < 0.05:
        return
    R, U = measures.polar(F[None])
    left, right = scipy_polar(F)
    assert np.abs(R[0] - left).max() < 1e-11
    assert np.abs(U[0] - right).max() < 1e-11


def test_inverted_and_undefined_gradients_are_nan():
    F = np.stack((np.diag((1.0, 1.0, -1.0)), np.full((3, 3), np.nan), np.eye(3)))
    R, U = measures.polar(F)
    assert np.isnan(U[:2]).all()
    assert np.array_equal(R[2], np.eye(3))
    assert np.isnan(measures.principal_strains(U - np.eye(3))[:2]).all()


def test_simple_shear_and_voigt_order():
    E = np.zeros((1, 3, 3))
    E[0, 1, 2] = E[0, 2, 1] = 0.01
    E[0, 0, 0] = 0.03
    assert measures.voigt(E)[0].tolist() == [0.03, 0, 0, 0.01, 0, 0]
    deviator = E[0] - np.eye(3) * 0.01
    assert measures.shear_strain(E)[0] == pytest.approx(np.sqrt(0.5 * (deviator**2).sum()), abs=1e-15)
    assert measures.principal_strains(E)[0] == pytest.approx([-0.01, 0.01, 0.03])


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 1.0, 90.0, 179.999, 180.0])
def test_rotation_angle_is_exact_at_both_ends(angle):
    turn = Rotation.from_rotvec(np.radians(angle) * np.array([0.0, 0.6, 0.8])).as_matrix()
    assert measures.rotation_degree(turn[None])[0] == pytest.approx(angle, rel=1e-7, abs=1e-12)
