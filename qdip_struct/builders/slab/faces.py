"""The two faces of a slab: what ends it, whether both are alike, what it has too much of, and its dipole moment.

Lengths in Å, charges in e.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import SiteCell
from qdip_struct.builders.atoms.regions import FORMAL_CHARGES
from qdip_struct.builders.slab.block import Block
from qdip_struct.builders.slab.stoichiometry import excess, formula_units, ions_of_sites
from qdip_struct.builders.slab.surface import SurfaceCell

Array = NDArray[Any]
Faces = Literal["any", "symmetric", "stoichiometric"]


def face_facts(sites: SiteCell, layer: Array, block: Block, *, top: int) -> dict[str, Any]:
    """What the two faces are, whether they are alike, what the slab has too much of, and its dipole moment.

    The dipole moment per area is Σ q·z / A of the formal charges (e/Å), z from the middle of the slab. ``polar`` is set
    when it grows with thickness, that is when a repeat of the plane carries a moment: (111) of rock salt.

    Parameters
    ----------
    sites, layer
        Sites of the slab and the monolayer of each, (n,).
    block
        The bulk it was cut from.
    top
        Number of its topmost layer in the surface cell.
    """
    surface = block.surface
    count = int(layer.max()) + 1
    per = len(surface.layers)
    upper, lower = surface.layers[top], surface.layers[(top - count + 1) % per]
    ions = ions_of_sites(sites)
    charge = np.array([FORMAL_CHARGES[str(s)] for s in sites.species])
    heights = sites.positions[:, 2]
    moment = float(charge @ (heights - 0.5 * (heights.max() + heights.min()))) / block.area
    area = abs(np.linalg.det(surface.net))
    return {
        "termination_top": upper.name,
        "termination_bottom": lower.name,
        "face_top": upper.formula,
        "face_bottom": lower.formula,
        "face_charge_top_e_per_angstrom2": round(upper.charge / area, 10) + 0.0,
        "face_charge_bottom_e_per_angstrom2": round(lower.charge / area, 10) + 0.0,
        "symmetric": upper.kind == lower.kind and surface.flips,
        "n_formula_units": formula_units(ions, bulk=block.sites),
        "excess": excess(ions, bulk=block.sites),
        "dipole_e_per_angstrom": round(moment, 8) + 0.0,
        "dipolar": abs(moment) > 1e-6,
        "polar": any(entry.charge for entry in surface.layers),
        "layer_names": [surface.layers[(top - count + 1 + k) % per].name for k in range(count)],
    }


def check_faces(faces: Faces, facts: Mapping[str, Any], surface: SurfaceCell) -> None:
    """Raise :class:`UsageError` when the faces are not as asked for, and say which thickness would do."""
    per = len(surface.layers)
    if faces == "symmetric" and not facts["symmetric"]:
        hint = (
            f"a multiple of {per} monolayers plus one makes both faces alike" if surface.flips else "no thickness does"
        )
        raise UsageError(
            f"the faces are {facts['termination_bottom']} and {facts['termination_top']}, not symmetric; {hint}"
        )
    if faces == "stoichiometric" and facts["excess"]:
        raise UsageError(
            f"the slab has an excess of {facts['excess']}; a multiple of {per} monolayers is stoichiometric"
        )
