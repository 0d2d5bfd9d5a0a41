"""Ghost atoms for the counterpoise correction: a slab with the basis functions of its absent partner.

Boys & Bernardi 1970, doi:10.1080/00268977000101561.
"""

import numpy as np
from ase import Atoms

from qdip_struct.base.errors import UsageError

PARTNERS = ("film", "substrate")


def ghost_partners(interface: Atoms) -> dict[str, Atoms]:
    """Film and substrate of an interface, each in the place it has there and with the other's atoms as ghosts.

    Parameters
    ----------
    interface
        Needs the array ``region`` with the labels ``film`` and ``substrate``.

    Returns
    -------
    dict
        ``film`` and ``substrate`` → all atoms of the interface with a boolean array ``ghost``.

    Raises
    ------
    UsageError
        If an atom carries neither label.
    """
    regions = interface.arrays.get("region")
    if regions is None or set(map(str, regions)) != set(PARTNERS):
        raise UsageError("a counterpoise correction needs atoms labelled 'film' and 'substrate' (array 'region')")
    result = {}
    for kept in PARTNERS:
        atoms = interface.copy()
        atoms.set_array("ghost", np.array([str(region) != kept for region in regions]))
        result[kept] = atoms
    return result
