"""The parts of an interface as cells of their own, where they stand: film and substrate, alone or with ghosts.

A slab under strain may have several minima. The work of adhesion compares the interface with a film and a substrate
that relaxed from the geometry they have in it, or it also counts the step from one minimum to another. With ghost
atoms, the basis functions of the absent partner without its charge, a part serves the counterpoise correction (Boys &
Bernardi 1970, doi:10.1080/00268977000101561).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.regions import report
from qdip_struct.builders.roles import PARTS, role_name

_OF_THE_WHOLE = ("n_formula_units", "excess", "reservoir", "reservoir_source", "thickness_angstrom")


def is_interface(atoms: Atoms) -> bool:
    """Whether the ``region`` labels of a structure are film and substrate."""
    return atoms.has("region") and set(atoms.arrays["region"].tolist()) == set(PARTS)


def parts_of(interface: Atoms) -> dict[str, Atoms]:
    """Film and substrate of an interface, each alone in the whole cell, at the same coordinates.

    Parameters
    ----------
    interface
        Structure whose ``region`` array says ``film`` or ``substrate`` for every atom; lengths in Å.

    Returns
    -------
    dict
        ``film`` and ``substrate``, with all per-atom arrays.

    Raises
    ------
    UsageError
        If the atoms have no regions, or other ones than film and substrate.
    """
    if not interface.has("region"):
        raise UsageError(
            "the atoms have no region labels; give the extxyz that 'qdip build interface' wrote, or its run"
        )
    regions = interface.arrays["region"]
    if not is_interface(interface):
        raise UsageError(
            f"its regions are {', '.join(sorted(set(regions.tolist())))}; only film and substrate are cut apart"
        )
    return {name: interface[np.flatnonzero(regions == name)] for name in PARTS}


def described(atoms: Atoms, *, facts: Mapping[str, Any], role: str, group: str) -> dict[str, Any]:
    """The sidecar of a cell taken from another one: what the builder said of it, and what is counted again.

    Parameters
    ----------
    atoms
        The cell.
    facts
        Sidecar of the structure it was taken from; ``{}`` if it had none.
    role, group
        Of the cell itself.

    Raises
    ------
    UsageError
        If the atoms have no region or formal charge.
    """
    if not (atoms.has("region") and atoms.has("formal_charge")):
        raise UsageError("its atoms have no regions and charges; give a structure that 'qdip build' wrote, or a run")
    counted = report(atoms)
    written = ("structure", "structure_sha256", "provenance", *(_OF_THE_WHOLE if facts.get("role") != role else ()))
    kept = {key: value for key, value in facts.items() if key not in (*counted, *written)}
    return {**counted, **kept, "role": role, "group": group}


def ghost_partners(interface: Atoms) -> dict[str, Atoms]:
    """Film and substrate of an interface, each in the place it has there and with the other's atoms as ghosts.

    Parameters
    ----------
    interface
        Needs the array ``region`` with the labels ``film`` and ``substrate``.

    Returns
    -------
    dict
        ``film_ghost`` and ``substrate_ghost`` → all atoms of the interface with a boolean array ``ghost``.

    Raises
    ------
    UsageError
        If an atom carries neither label.
    """
    regions = interface.arrays.get("region")
    if regions is None or set(map(str, regions)) != set(PARTS):
        raise UsageError("a counterpoise correction needs atoms labelled 'film' and 'substrate' (array 'region')")
    result = {}
    for kept in PARTS:
        atoms = interface.copy()
        atoms.set_array("ghost", np.array([str(region) != kept for region in regions]))
        result[role_name("ghost", kept)] = atoms
    return result
