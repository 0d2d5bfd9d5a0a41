"""The parts that runs play in a study: one record for each role, which every reader of a role's name asks.

A study has one film, one substrate, their interface, and references: bulk crystals, the other termination, a reservoir.
"""

from dataclasses import dataclass
from typing import Literal

RoleName = Literal[
    "film", "substrate", "interface", "sandwich", "film_bulk", "substrate_bulk", "film_bulk_free",
    "substrate_bulk_free", "substrate_other", "film_other", "film_ghost", "substrate_ghost", "reservoir",
    "film_reservoir", "dot", "embedded", "single",
]  # fmt: skip
Part = Literal["film", "substrate"]
PARTS: tuple[Part, Part] = ("film", "substrate")
"""Sides of an interface: its regions, and the roles of the two slabs alone."""
RoleKind = Literal[
    "slab", "companion", "ghost", "interface", "bulk", "reservoir", "dot", "embedded", "single", "unknown"
]


@dataclass(frozen=True, kw_only=True)
class Role:
    """What a structure is to its study.

    Attributes
    ----------
    name
        As in sidecars, ``run.json`` and ``campaign.yaml``.
    kind
        What it is: a slab alone, its companion (the slab of the other termination), a slab with ghosts for its partner,
        an interface, a bulk crystal, a reservoir of atoms, ...
    part
        Whose side it belongs to; ``None`` for what is no part of an interface.
    cell
        ``shared``: the lateral cell of the interface; ``own``: one that nothing else has to fit.
    n_interfaces
        How many it holds; two in a sandwich, which has no vacuum.
    lone_name
        Name of its file where a slab is built alone; by default that of the role.
    """

    name: str
    kind: RoleKind = "unknown"
    part: Part | None = None
    cell: Literal["shared", "own"] = "shared"
    n_interfaces: int = 0
    lone_name: str = ""

    @property
    def file_name(self) -> str:
        """Name of its file or folder where a slab is built alone."""
        return self.lone_name or self.name

    @property
    def side(self) -> Part:
        """Whose crystal it is cut from where one is asked for; the substrate's for what is not the film's."""
        return self.part or "substrate"

    @property
    def layered(self) -> bool:
        """Whether it is a stack of layers along the normal: what must agree between slabs must agree with it."""
        return self.kind in ("slab", "companion", "ghost", "interface")

    @property
    def has_vacuum(self) -> bool:
        """Whether it is a stack of layers with vacuum above."""
        return self.layered and self.n_interfaces < 2

    @property
    def alone(self) -> bool:
        """Whether it is one slab without a partner: its energy gives a surface energy."""
        return self.kind in ("slab", "companion")

    @property
    def reference(self) -> bool:
        """Whether it is only there for the energies of others."""
        return self.kind in ("companion", "ghost", "bulk", "reservoir")

    @property
    def relaxed_first(self) -> bool:
        """Whether a pre-relaxation concerns it unless the roles are named: crystals and frozen slabs stay as built."""
        return self.kind not in ("ghost", "bulk", "reservoir")

    @property
    def coherent_bulk(self) -> bool:
        """Whether it is a bulk crystal strained to the lateral cell of the interface."""
        return self.kind == "bulk" and self.cell == "shared"

    @property
    def free_bulk(self) -> bool:
        """Whether it is a bulk crystal at its own lattice constants."""
        return self.kind == "bulk" and self.cell == "own"

    @property
    def crystal_alone(self) -> bool:
        """Whether it is a crystal in a cell of its own: k-point meshes are compared by their density only."""
        return self.free_bulk or self.kind == "reservoir"


ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        Role(name="film", kind="slab", part="film"),
        Role(name="substrate", kind="slab", part="substrate", lone_name="slab"),
        Role(name="interface", kind="interface", n_interfaces=1),
        Role(name="sandwich", kind="interface", n_interfaces=2),
        Role(name="film_bulk", kind="bulk", part="film"),
        Role(name="substrate_bulk", kind="bulk", part="substrate", lone_name="slab_bulk"),
        Role(name="film_bulk_free", kind="bulk", part="film", cell="own"),
        Role(name="substrate_bulk_free", kind="bulk", part="substrate", cell="own"),
        Role(name="substrate_other", kind="companion", part="substrate", lone_name="slab_other"),
        Role(name="film_other", kind="companion", part="film"),
        Role(name="film_ghost", kind="ghost", part="film"),
        Role(name="substrate_ghost", kind="ghost", part="substrate"),
        Role(name="reservoir", kind="reservoir", cell="own"),
        Role(name="film_reservoir", kind="reservoir", part="film", cell="own"),
        Role(name="dot", kind="dot", cell="own"),
        Role(name="embedded", kind="embedded", cell="own"),
        Role(name="single", kind="single", cell="own"),
    )
}
_NAMES = {(role.kind, role.part, role.cell): role.name for role in ROLES.values()}


def role_of(name: str) -> Role:
    """The role of that name; one that is none of :data:`ROLES` is of kind ``unknown`` and shares nothing."""
    return ROLES.get(name) or Role(name=name)


def role_name(kind: RoleKind, part: Part, *, cell: Literal["shared", "own"] = "shared") -> str:
    """Name of the role that one part of an interface plays: ``("bulk", "film")`` → ``film_bulk``."""
    return _NAMES[kind, part, cell]
