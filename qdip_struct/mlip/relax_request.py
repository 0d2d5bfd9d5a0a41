"""A request for a pre-relaxation before CP2K, in words: the fields are the options of ``qdip relax``."""

from dataclasses import dataclass

from qdip_struct.builders.roles import RoleName, role_of


@dataclass(frozen=True, kw_only=True)
class RelaxRequest:
    """What ``qdip relax`` takes, as typed, and for which roles.

    Attributes
    ----------
    model
        Name of the potential, see :data:`qdip_struct.mlip.models.MODELS`.
    fmax
        Largest force at the end, eV/Å.
    rattle, seed
        Random displacement of the start: Å per axis, and its seed.
    max_steps
        Steps after which it stops.
    dot_lattice
        Lattice constants ``OWN,BUILT`` of the dot, Å: the start is scaled from the second to the first.
    roles
        Roles that are relaxed; by default all but the bulk references.
    """

    model: str = "chgnet"
    fmax: float = 0.03
    rattle: float = 0.03
    seed: int = 0
    max_steps: int = 3000
    dot_lattice: str | None = None
    roles: tuple[RoleName, ...] = ()

    def concerns(self, role: str) -> bool:
        """Whether structures of this role are relaxed."""
        return role in self.roles if self.roles else role_of(role).relaxed_first
