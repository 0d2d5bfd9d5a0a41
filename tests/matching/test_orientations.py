"""Orientations of a match: counted against a search over the maps between the two cells."""

import itertools
import math

import numpy as np
import pytest

from qdip_struct.matching.coincidence import find_matches, orientation_relations
from qdip_struct.matching.nets import net_from_vectors, point_group, surface_net
from qdip_struct.materials.datasets import get_crystal

SQUARE = net_from_vectors([[4.0, 0.0], [0.0, 4.0]])
HEXAGON = net_from_vectors([[4.0, 0.0], [-2.0, 2.0 * math.sqrt(3.0)]])
RECTANGLE = net_from_vectors([[4.0, 0.0], [0.0, 5.0]])
OBLIQUE = net_from_vectors([[4.0, 0.0], [0.9, 5.3]])


def slow_count(match, film, substrate):
    """Classes of maps of the film's cell onto the substrate's with the same strain, by comparing real matrices."""
    film_rows = np.array(match.film_matrix) @ np.array(film.vectors)
    rows = np.array(match.substrate_matrix) @ np.array(substrate.vectors)
    reference = np.sort(np.linalg.svd(np.linalg.solve(film_rows, rows), compute_uv=False))
    maps = []
    for a, b, c, d in itertools.product(range(-2, 3), repeat=4):
        if abs(a * d - b * c) == 1:
            other = np.linalg.solve(film_rows, np.array([[a, b], [c, d]]) @ rows)
            gram = np.array([[a, b], [c, d]]) @ (rows @ rows.T) @ np.array([[a, b], [c, d]]).T
            same = np.allclose(gram, rows @ rows.T, atol=1e-6)
            if same and np.allclose(np.sort(np.linalg.svd(other, compute_uv=False)), reference, atol=1e-7):
                maps.append(other)

    def turns(net):
        vectors = np.array(net.vectors)
        return [s * np.linalg.solve(vectors, w @ vectors) for w in point_group(net.gram) for s in (1, -1)]

    classes = []
    for one in maps:
        images = [r @ one @ q for r in turns(film) for q in turns(substrate)]
        if not any(np.allclose(image, known, atol=1e-6) for image in images for known in classes):
            classes.append(one)
    return len(classes)


@pytest.mark.parametrize("film, substrate", [(SQUARE, SQUARE), (HEXAGON, HEXAGON), (RECTANGLE, RECTANGLE),
                                             (OBLIQUE, OBLIQUE), (SQUARE, RECTANGLE)])  # fmt: skip
def test_the_number_of_orientations(film, substrate):
    for match in find_matches(film, substrate=substrate, max_area=7.5 * film.area, max_strain=0.02, max_angle=2.0):
        found = orientation_relations(match, film=film, substrate=substrate)
        assert len(found) == slow_count(match, film, substrate)


def test_the_square_five_cell_has_two():
    matches = find_matches(SQUARE, substrate=SQUARE, max_area=80.0, max_strain=0.001)
    five = [m for m in matches if m.area_angstrom2 == pytest.approx(80.0)]
    square = next(m for m in five if m.substrate_matrix[0] in ((2, 1), (2, -1), (1, 2)))
    twists = [o.twist_degree for o in orientation_relations(square, film=SQUARE, substrate=SQUARE)]
    assert len(twists) == 2 and min(t % 90 for t in twists) == pytest.approx(0.0)
    other = next(t for t in twists if t % 90 > 1.0)
    assert min(other % 90, 90 - other % 90) == pytest.approx(36.87, abs=0.01)


def test_every_orientation_has_the_strain_of_the_match():
    film = surface_net(get_crystal("PbS"), plane=(1, 0, 0))
    substrate = surface_net(get_crystal("CsPbBr3"), plane=(1, 0, 0))
    for match in find_matches(film, substrate=substrate, max_area=250.0):
        for one in orientation_relations(match, film=film, substrate=substrate):
            cell = np.array(one.match.film_matrix) @ np.array(film.vectors)
            target = np.array(one.match.substrate_matrix) @ np.array(substrate.vectors)
            stretches = np.linalg.svd(np.linalg.solve(cell, target), compute_uv=False)
            assert stretches - 1.0 == pytest.approx(match.strain_principal, abs=1e-9)
            assert 0.0 <= one.twist_degree <= 180.0
