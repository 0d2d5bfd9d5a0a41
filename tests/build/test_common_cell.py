"""Common cells: limits that a match just meets."""

import numpy as np
import pytest

from qdip_struct.build.common_cell import common_cells
from qdip_struct.build.interface_options import LateralCell
from qdip_struct.build.surface import surface_cell
from qdip_struct.errors import UsageError
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
