"""Common cells: limits that a match just meets."""

from fractions import Fraction
from itertools import combinations
from math import gcd

import numpy as np
import pytest

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.interface.interface_options import LateralCell
from qdip_struct.builders.interface.joint import common_cells
from qdip_struct.builders.slab.surface import surface_cell
from qdip_struct.materials.datasets import get_crystal

PAIRS = [("CsPbBr3:cubic", "PbS"), ("PbS", "CsPbBr3:cubic"), ("NaI", "CsPbI3:cubic"), ("CsPbI3:cubic", "NaI")]


@pytest.mark.parametrize(("film", "substrate"), PAIRS)
def test_the_smallest_cell_is_found_when_the_limit_is_its_own_area(film: str, substrate: str) -> None:
    one, other = (surface_cell(get_crystal(name), plane=(1, 0, 0)) for name in (film, substrate))
    free = common_cells(one, other, wish=LateralCell())
    area = free.found.area_angstrom2
    assert abs(np.linalg.det(free.substrate @ other.net)) == pytest.approx(area)
    bound = common_cells(one, other, wish=LateralCell(max_area=area * (1 + 1e-6)))
    assert bound.found == free.found
    with pytest.raises(UsageError, match="raise the limits"):
        common_cells(one, other, wish=LateralCell(max_area=area * 0.99))


def points_of_both_nets(film: np.ndarray, substrate: np.ndarray) -> int:
    """Points per common cell of the lattice that two nets generate: one over its covolume, the gcd of its minors."""
    rows = []
    for (a, b), (c, d) in (film.tolist(), substrate.tolist()):
        size = a * d - b * c
        rows += [(Fraction(d, size), Fraction(-b, size)), (Fraction(-c, size), Fraction(a, size))]
    scale = abs(round(np.linalg.det(film) * np.linalg.det(substrate)))
    whole = [(int(x * scale), int(y * scale)) for x, y in rows]
    minors = [one[0] * other[1] - one[1] * other[0] for one, other in combinations(whole, 2)]
    return scale * scale // gcd(*minors)


@pytest.mark.parametrize(("film", "substrate"), [("PbS", "CsPbBr3:cubic"), ("PbS", "NaI"), ("PbS", "CsPbI3:cubic")])
def test_of_the_smallest_cells_the_nets_of_the_chosen_one_share_most(film: str, substrate: str) -> None:
    """(111) on (110): hexagonal on rectangular, where the least strain is not the best registry."""
    one, other = surface_cell(get_crystal(film), plane=(1, 1, 1)), surface_cell(get_crystal(substrate), plane=(1, 1, 0))
    chosen = common_cells(one, other, wish=LateralCell())
    scores = []
    for number in range(1000):
        cell = common_cells(one, other, wish=LateralCell(match=number))
        if cell.found.area_angstrom2 > chosen.found.area_angstrom2 * (1 + 1e-6):
            break
        scores.append((points_of_both_nets(cell.film, cell.substrate), round(cell.found.strain_max, 9)))
    assert len(scores) > 1
    best = points_of_both_nets(chosen.film, chosen.substrate), round(chosen.found.strain_max, 9)
    assert best == min(scores)
