"""Companion cells: what else must be calculated before a non-stoichiometric slab has a surface energy.

A perovskite slab with AX, or BX2, on both faces holds no whole number of formula units. Two more cells mend that: the
slab of the other termination (the mean of both is free of a chemical potential) and the bulk crystal AX (the limit of
the chemical potential to which the energy of the one slab is referred).
"""

from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.builders.atoms.cells import SiteCell, sites_of, to_atoms
from qdip_struct.builders.slab.block import Block, cut
from qdip_struct.builders.slab.stoichiometry import excess, ions_of_sites, reservoir_of

Array = NDArray[Any]


def companions(
    slab: SiteCell, block: Block, *, top: int, count: int, cell: Array, dataset: str | None
) -> dict[str, Atoms]:
    """Cells by role: ``substrate_other`` and ``reservoir`` where they exist, none for a stoichiometric slab.

    Parameters
    ----------
    slab
        Sites of the slab as cut.
    block
        Bulk block it was cut from.
    top, count
        Its topmost layer in the surface cell, and its monolayers.
    cell
        Cell (3, 3) of the slab, Å; the other slab is placed in its middle.
    dataset
        Where the reservoir crystal is looked up first.
    """
    if not excess(ions_of_sites(slab), bulk=block.sites):
        return {}
    found: dict[str, Atoms] = {}
    layers = block.surface.layers
    if len({layer.kind for layer in layers}) == 2:
        other = next(k for k in range(top + 1, top + len(layers)) if layers[k % len(layers)].kind != layers[top].kind)
        sites, _ = cut(block, bottom=other - count + 1, count=count)
        found["substrate_other"] = in_cell(to_atoms(sites, region="substrate"), cell)
    reservoir = reservoir_of(block.sites, dataset=dataset)
    if reservoir is not None:
        found["reservoir"] = to_atoms(sites_of(reservoir), region="substrate")
    return found


def in_cell(atoms: Atoms, cell: Array, *, lift: float | None = None) -> Atoms:
    """A copy in ``cell``, raised by ``lift`` (Å) along z, by default to the middle; periodic in three directions."""
    copy = atoms.copy()
    heights = atoms.positions[:, 2]
    middle = 0.5 * (cell[2, 2] - np.ptp(heights)) - heights.min()
    copy.positions[:, 2] += middle if lift is None else lift
    copy.set_cell(cell)
    copy.set_pbc(True)
    return copy
