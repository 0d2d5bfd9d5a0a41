"""The part a structure and its run play in their group: what ``qdip energies`` combines.

Light on purpose: requests name roles, and requests are read for ``--help``.
"""

from typing import Literal, get_args

RoleName = Literal[
    "film",
    "substrate",
    "interface",
    "sandwich",
    "film_bulk",
    "substrate_bulk",
    "film_bulk_free",
    "substrate_bulk_free",
    "substrate_other",
    "film_other",
    "film_ghost",
    "substrate_ghost",
    "reservoir",
    "dot",
    "embedded",
    "single",
]
ROLES: tuple[str, ...] = get_args(RoleName)
