"""Miller indices: reading them, and planes and directions of the parent pseudo-cubic cube."""

from fractions import Fraction

import numpy as np
import pytest

from qdip_struct.base.errors import UsageError
from qdip_struct.matching.planes import (
    PARENT_VECTORS,
    parse_plane,
    plane_text,
    pseudocubic_direction,
    pseudocubic_plane,
)
from qdip_struct.materials.datasets import get_crystal


@pytest.mark.parametrize("plane, parent", [((1, 1, 0), (0, 1, 0)), ((1, -1, 0), (1, 0, 0)), ((0, 0, 1), (0, 0, 1)),
                                           ((2, 2, 4), (0, 1, 1))])  # fmt: skip
def test_tetragonal_planes_in_the_parent_cube(plane, parent):
    assert pseudocubic_plane(get_crystal("MAPbI3:tetragonal"), plane=plane) == parent


def test_directions_in_the_parent_cube():
    found = pseudocubic_direction(get_crystal("MAPbI3:tetragonal"), uvw=(2, 0, -1))
    assert found == (Fraction(2), Fraction(2), Fraction(-2))
    assert pseudocubic_plane(get_crystal("PbS"), plane=(1, 0, 0)) is None


@pytest.mark.parametrize("name", ["MAPbI3:tetragonal", "CsPbI3:gamma", "CsPbBr3:gamma"])
def test_the_parent_cube_is_nearly_a_cube(name):
    crystal = get_crystal(name)
    parent = np.linalg.inv(np.array(PARENT_VECTORS[crystal.phase], dtype=float)) @ crystal.cell
    assert abs(np.linalg.det(parent)) == pytest.approx(crystal.a_angstrom**3)
    assert np.linalg.norm(parent, axis=1) == pytest.approx([crystal.a_angstrom] * 3, rel=0.03)


@pytest.mark.parametrize("text, plane", [("100", (1, 0, 0)), ("1-10", (1, -1, 0)), ("1 -1 0", (1, -1, 0)),
                                         ("(1,-1,0)", (1, -1, 0)), ("10-10", (1, 0, 0)), ("0001", (0, 0, 1)),
                                         ("-1-1-1", (-1, -1, -1)), ("10 0 0", (10, 0, 0))])  # fmt: skip
def test_reading_planes(text, plane):
    assert parse_plane(text) == plane


@pytest.mark.parametrize("text", ["", "1", "12", "abc", "000", "1.5 0 0", "1--10", "1 0 0 5", "()", "1 0"])
def test_unreadable_planes(text):
    with pytest.raises(UsageError):
        parse_plane(text)


def test_parent_planes_are_whole_numbers():
    found = pseudocubic_plane(get_crystal("MAPbI3:tetragonal"), plane=(2, 2, 4))
    assert found is not None and all(isinstance(index, int) for index in found)
    assert plane_text(found) == "(011)"
