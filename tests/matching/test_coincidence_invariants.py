"""Coincidence cells: a symmetric list does not know which crystal is the film, whichever of the two is larger."""

import pytest

from qdip_struct.matching.coincidence import find_matches
from qdip_struct.matching.nets import net_from_vectors


def square(a: float):
    return net_from_vectors([[a, 0.0], [0.0, a]], name=f"square {a:g}")


@pytest.mark.parametrize(("a", "b"), [(6.0, 5.9), (5.9, 6.0), (6.0, 4.2), (4.2, 6.0)])
def test_a_symmetric_list_stays_when_film_and_substrate_change_places(a, b):
    one = find_matches(square(a), substrate=square(b), max_area=150.0, symmetric=True)
    two = find_matches(square(b), substrate=square(a), max_area=150.0, symmetric=True)
    assert one
    larger = [sorted(round(max(m.area_angstrom2, m.film_area_angstrom2), 6) for m in found) for found in (one, two)]
    assert larger[0] == larger[1]


@pytest.mark.parametrize("factor", [0.975, 1.025])
def test_films_that_must_shrink_are_found_like_those_that_must_stretch(factor):
    found = find_matches(square(6.0 * factor), substrate=square(6.0), max_area=36.0 * 1.001, max_strain=0.03)
    assert len(found) == 1
    assert found[0].strain_principal == pytest.approx((1 / factor - 1,) * 2)
