"""A request for a pre-relaxation before CP2K, in words: the fields are the options of ``qdip relax``."""

from dataclasses import dataclass

from qdip_struct.campaign.rundir import Role

BULK = ("film_bulk", "substrate_bulk", "film_bulk_free", "substrate_bulk_free", "reservoir", "film_ghost",
        "substrate_ghost")  # fmt: skip
"""Roles that are left as built unless they are named."""


@dataclass(frozen=True, kw_only=True)
class RelaxRequest:
    """Model, criterion (eV/Å), start (rattle in Å; lattice constants OWN,BUILT of the dot, Å), and for which roles."""

    model: str = "chgnet"
    fmax: float = 0.03
    rattle: float = 0.03
    seed: int = 0
    max_steps: int = 3000
    dot_lattice: str | None = None
    roles: tuple[Role, ...] = ()

    def concerns(self, role: str) -> bool:
        """Whether structures of this role are relaxed."""
        return role in self.roles if self.roles else role not in BULK
