"""Stiffness in the axes of a slab: cubic constants only where the crystal's own axes are cubic."""

from dataclasses import replace

import pytest

from qdip_struct.builders.interface.joint import stiffness_of
from qdip_struct.builders.slab.surface import surface_cell
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.elasticity import known_moduli


def test_the_constants_of_a_cubic_crystal_stand_in_its_own_axes() -> None:
    crystal, moduli = get_crystal("PbS"), known_moduli("PbS")
    found = stiffness_of(crystal, surface_cell(crystal, plane=(0, 0, 1)))
    assert found is not None and "isotropic" not in found.source
    # u of the primitive (001) net is [110]/2: C'11 = (C11 + C12 + 2 C44)/2, C'33 = C11, C'13 = C12.
    assert found.voigt[0, 0] == pytest.approx((moduli.c11 + moduli.c12 + 2 * moduli.c44) / 2)
    assert (found.voigt[2, 2], found.voigt[0, 2]) == pytest.approx((moduli.c11, moduli.c12))


def test_a_tetragonal_cell_takes_the_isotropic_average() -> None:
    cubic = get_crystal("PbS")
    a = cubic.lengths[0]
    stretched, moduli = replace(cubic, lengths=(a, a, 1.04 * a)), known_moduli("PbS")
    found = stiffness_of(stretched, surface_cell(stretched, plane=(0, 0, 1)))
    assert found is not None and "isotropic average" in found.source
    c11, c12 = moduli.bulk + 4 * moduli.shear / 3, moduli.bulk - 2 * moduli.shear / 3
    assert (found.voigt[0, 0], found.voigt[2, 2], found.voigt[0, 1]) == pytest.approx((c11, c11, c12))
    assert found.voigt[5, 5] == pytest.approx(moduli.shear)
