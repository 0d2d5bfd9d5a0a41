"""Coincidence cells: a symmetric list does not know which crystal is the film, whichever of the two is larger."""

import numpy as np
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


def opening(rows):
    cosine = rows[0] @ rows[1] / np.linalg.norm(rows[0]) / np.linalg.norm(rows[1])
    return np.degrees(np.arccos(cosine))


@pytest.mark.parametrize("angle", [88.0, 90.0, 91.5, 119.0])
def test_the_change_of_the_angle_is_that_between_the_two_cells_and_is_limited(angle):
    film = net_from_vectors([[4.0, 0.0], [0.0, 4.1]])
    turned = 4.1 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    substrate = net_from_vectors([[4.0, 0.0], turned.tolist()])
    wide = find_matches(film, substrate=substrate, max_area=70.0, max_strain=0.08, max_angle=4.0)
    for match in wide:
        cells = (np.array(match.film_matrix) @ np.array(film.vectors),
                 np.array(match.substrate_matrix) @ np.array(substrate.vectors))  # fmt: skip
        assert match.angle_degree == pytest.approx(abs(opening(cells[0]) - opening(cells[1])), abs=1e-6)
        assert match.angle_degree <= 4.0 + 1e-6
    if abs(angle - 90.0) < 4.0:
        assert wide[0].angle_degree == pytest.approx(abs(angle - 90.0), abs=1e-6)
    near = find_matches(film, substrate=substrate, max_area=70.0, max_strain=0.08, max_angle=1.0)
    assert near == tuple(match for match in wide if match.angle_degree <= 1.0)
