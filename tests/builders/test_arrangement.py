"""Many dots: no overlaps, the fraction asked for, spacings by definition."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.dot.embedding_options import DotArrangement, centres_of, spacings

BOX = np.diag([100.0, 120.0, 140.0])


def test_a_simple_cubic_array_has_the_spacing_of_the_formula() -> None:
    cell = np.eye(3) * 120.0
    centres = centres_of(DotArrangement("array", counts=(3, 3, 3)), cell=cell, diameter=20.0, volume=1.0, seed=0) @ cell
    found = spacings(centres, cell=cell, diameter=20.0)
    assert found["simple_cubic"] == pytest.approx(40.0)
    assert found["center_to_center"] == pytest.approx(40.0)
    assert found["surface_to_surface"] == pytest.approx(20.0)
    assert found["wigner_seitz"] == pytest.approx(40.0 * (6 / math.pi) ** (1 / 3))


def test_one_dot_sees_its_own_images() -> None:
    assert spacings(np.zeros((1, 3)), cell=BOX, diameter=30.0)["center_to_center"] == pytest.approx(100.0)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(n=st.integers(1, 12), seed=st.integers(0, 99), spacing=st.floats(0.0, 8.0))
def test_random_dots_keep_their_distance(n: int, seed: int, spacing: float) -> None:
    arrangement = DotArrangement("random", n=n, spacing=spacing)
    centres = centres_of(arrangement, cell=BOX, diameter=22.0, volume=5575.0, seed=seed)
    again = centres_of(arrangement, cell=BOX, diameter=22.0, volume=5575.0, seed=seed)
    assert np.array_equal(centres, again)
    assert len(centres) == n
    assert spacings(centres @ BOX, cell=BOX, diameter=22.0)["surface_to_surface"] >= spacing - 1e-9


def test_volume_fraction_sets_the_number() -> None:
    volume = math.pi / 6 * 20.0**3
    centres = centres_of(DotArrangement("random", volume_fraction=0.05), cell=BOX, diameter=20.0, volume=volume, seed=1)
    assert len(centres) == round(0.05 * 100 * 120 * 140 / volume)


@pytest.mark.parametrize(
    ("arrangement", "words"),
    [
        (DotArrangement("array", counts=(0, 1, 1)), "above zero"),
        (DotArrangement("random"), "either their number"),
        (DotArrangement("random", n=2, volume_fraction=0.1), "either their number"),
        (DotArrangement("random", n=0), "above zero"),
        (DotArrangement("random", volume_fraction=1.5), "between 0 and 1"),
        (DotArrangement("random", volume_fraction=float("nan")), "between 0 and 1"),
        (DotArrangement("random", n=2, spacing=-1.0), "spacing"),
        (DotArrangement("random", n=2, spacing=200.0), "only 1 of 2 dots"),
    ],
)
def test_refusals(arrangement: DotArrangement, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        centres_of(arrangement, cell=BOX, diameter=20.0, volume=4000.0, seed=0)
