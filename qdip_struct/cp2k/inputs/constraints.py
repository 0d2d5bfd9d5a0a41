"""What is held fixed in an optimisation: layers of a slab, directions of the cell."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.cp2k.inputs.decisions import Decision, Geometry

LAYER_TOLERANCE_ANGSTROM = 0.5
SHARED_LATERAL_ROLES = ("film_bulk", "substrate_bulk")


def lowest_layers(positions: NDArray[np.float64], *, n_layers: int) -> tuple[int, ...]:
    """Indices of the atoms in the lowest layers along z; heights closer than 0.5 Å are one layer.

    Parameters
    ----------
    positions
        (n, 3) Å.
    n_layers
        How many layers, counted from below.

    Raises
    ------
    UsageError
        If there are fewer layers, or all would be fixed.
    """
    order = np.argsort(positions[:, 2], kind="stable")
    steps = np.diff(positions[order, 2]) > LAYER_TOLERANCE_ANGSTROM
    layer = np.concatenate([[0], np.cumsum(steps)])
    if not 0 < n_layers <= layer[-1]:
        raise UsageError(f"--fixed-layers is between 1 and {layer[-1]} in a structure of {layer[-1] + 1} layers")
    return tuple(sorted(int(i) for i in order[layer < n_layers]))


def decide_cell_constraint(geometry: Geometry, *, role: str) -> tuple[Literal["NONE", "X", "Y", "Z", "XY"], Decision]:
    """What CELL_OPT freezes: the vacuum of a slab, the lateral cell of a bulk reference, else nothing.

    CP2K's ``CONSTRAINT`` names what is frozen.

    Raises
    ------
    UsageError
        If no periodic direction is left to optimise.
    """
    topic = "cell constraint"
    if geometry.system == "slab":
        axis: Literal["X", "Y", "Z"] = ("X", "Y", "Z")[geometry.vacuum_axes[0]]
        reason = "the vacuum of a slab has no equilibrium; a changed lateral cell no longer fits the slab's partners"
        return axis, Decision(topic, f"{axis} frozen", reason)
    if geometry.system in ("wire", "isolated"):
        raise UsageError("a cell optimisation of a wire or an isolated dot would only close its vacuum; use geo_opt")
    if role in SHARED_LATERAL_ROLES:
        return "XY", Decision(topic, "XY frozen", "the lateral cell is shared with the slabs this is the reference of")
    return "NONE", Decision(topic, "none", "a crystal: all cell lengths are free")
