"""Rotations: groups, planes and zones, the parent axes of tilted cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.orientation import (
    about,
    from_euler,
    from_relation,
    parent_axes,
    parse_indices,
    parse_rotation,
)
from qdip_struct.materials.datasets import get_crystal


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1),
    one=st.floats(-400, 400),
    two=st.floats(-400, 400),
)
def test_rotations_about_one_axis_add(axis: tuple[float, float, float], one: float, two: float) -> None:
    turned = about(axis, degrees=one) @ about(axis, degrees=two)
    assert np.allclose(turned, about(axis, degrees=one + two), atol=1e-9)
    assert np.allclose(turned @ np.array(axis), axis, atol=1e-9)
    assert np.linalg.det(turned) == pytest.approx(1.0)


def test_right_handed_and_exact_at_90_degrees() -> None:
    assert np.array_equal(about((0, 0, 1), degrees=90) @ [1, 0, 0], [0, 1, 0])
    assert np.array_equal(from_euler((90, 0, 0)), about((0, 0, 2), degrees=90))
    assert np.allclose(
        from_euler((30, 40, 50)) @ [0, 0, 1], about((0, 0, 1), degrees=30) @ about((1, 0, 0), degrees=40) @ [0, 0, 1]
    )


def test_the_relation_of_the_paper_needs_the_overbar_that_it_lost() -> None:
    dot, matrix = get_crystal("PbS"), get_crystal("MAPbI3:tetragonal")
    planes = {"dot_plane": (0, 2, 2), "dot_zone": (1, 1, -1), "matrix_plane": (2, -2, 4)}
    turn = from_relation(dot, matrix, matrix_zone=(2, 0, -1), **planes)
    normal = turn @ (np.array([0, 2, 2]) / np.sqrt(8))
    expected = np.linalg.inv(matrix.cell) @ np.array([2, -2, 4])
    assert np.allclose(normal, expected / np.linalg.norm(expected))
    with pytest.raises(UsageError, match=r"h·u \+ k·v \+ l·w = 8"):
        from_relation(dot, matrix, matrix_zone=(2, 0, 1), **planes)


def test_parent_axes_of_the_tetragonal_cell_lie_along_its_diagonals() -> None:
    crystal = get_crystal("MAPbI3:tetragonal")
    metals = np.array([site.position for site in crystal.sites if site.label == "B"]) @ crystal.cell
    axes = parent_axes(metals, cell=crystal.cell, length=crystal.a_angstrom)
    assert np.allclose(np.abs(axes[:2, :2]), np.sqrt(0.5), atol=1e-6)
    assert np.allclose(np.abs(axes[2]), [0, 0, 1])
    assert np.linalg.det(axes) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("111", (1, 1, 1)),
        ("1-10", (1, -1, 0)),
        ("1 -1 0", (1, -1, 0)),
        ("2,0,-10", (2, 0, -10)),
        ("[1-11]", (1, -1, 1)),
        ("z", (0, 0, 1)),
    ],
)
def test_indices(text: str, indices: tuple[int, int, int]) -> None:
    assert parse_indices(text) == indices


@pytest.mark.parametrize("text", ["", "abc", "1,45,x", "000,30", "001,nan", "euler:1,2", "(022)[11-1]||", "001"])
def test_unreadable_rotations_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_rotation(text, dot=get_crystal("PbS"), matrix=get_crystal("CsPbI3"))


@pytest.mark.parametrize("name", ["MAPbI3:tetragonal", "CsPbI3:gamma", "CsPbBr3:cubic"])
def test_parent_axes_do_not_depend_on_where_the_metals_are(name: str) -> None:
    crystal = get_crystal(name)
    metals = np.array([site.position for site in crystal.sites if site.label == "B"]) @ crystal.cell
    axes = parent_axes(metals, cell=crystal.cell, length=crystal.a_angstrom)
    for shift in ((1.3, -2.1, 4.0), (30.0, 0.0, -7.7)):
        assert np.allclose(parent_axes(metals + shift, cell=crystal.cell, length=crystal.a_angstrom), axes)
