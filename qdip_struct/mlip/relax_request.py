"""A request for a relaxation with a machine-learned potential: the options of ``qdip relax`` and of a campaign."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from qdip_struct.base.errors import UsageError
from qdip_struct.base.options import option
from qdip_struct.builders.roles import RoleName, role_of
from qdip_struct.materials.options import cell_option
from qdip_struct.mlip.models import MODELS, Device

CellMode = Literal["fixed", "normal", "free"]
"""What of the cell relaxes: nothing; its height over the fixed lateral vectors a and b; all six strain components."""


@dataclass(frozen=True, kw_only=True)
class RelaxRequest:
    """What decides the end point of a relaxation, as typed.

    In a campaign CP2K goes on from the result with an input whose cell is that of the start: nothing of the cell
    relaxes there, no atom is held, and the weights are those inside the packages.
    """

    model: str = option("chgnet", help=f"one of {', '.join(MODELS)}")
    fmax: float = option(0.03, unit="eV/Å", help="largest force on an atom at the end")
    rattle: float = option(0.03, unit="Å", help="standard deviation of the random displacement of the start, per axis")
    seed: int = option(0, help="of the random displacement")
    max_steps: int = option(3000, metavar="N", help="stop after this many steps")
    dot_lattice: str | None = option(
        None, metavar="OWN,BUILT", unit="Å",
        help="start with the dot at its own lattice constant: scale it about its centre by OWN/BUILT",
    )  # fmt: skip
    roles: tuple[RoleName, ...] = option(
        (), only="campaign", help="roles that are relaxed; by default all but the bulk references"
    )
    weights: Path | None = option(None, metavar="FILE", only="command", help="weights of the model; needed by mace")
    cell: CellMode = option("fixed", only="command", help="what of the cell relaxes")
    smax: float = option(0.02, unit="GPa", only="command", help="largest free stress at the end; not when fixed")
    freeze: str | None = option(
        None, metavar="REGION,...", only="command", help="regions that stay where they are, for example substrate"
    )
    start_cell: str | None = cell_option(only="command")
    fixed_layers: int = option(0, metavar="N", only="command", help="hold the N lowest layers fixed")
    part: Literal["all", "dot"] = option(
        "all", only="command",
        help="dot: relax the dot alone in the same cell, as the vacuum reference of 'qdip strain'",
    )  # fmt: skip
    threads: int = option(1, metavar="N", only="command", recorded=False, help="CPU threads")
    device: Device = option("cpu", only="command", recorded=False, help="where to compute")

    def concerns(self, role: str) -> bool:
        """Whether structures of this role are relaxed."""
        return role in self.roles if self.roles else role_of(role).relaxed_first

    def check(self) -> None:
        """Refuse values that mean nothing.

        Raises
        ------
        UsageError
            For a number out of its range, or an unknown mode of the cell.
        """
        if not (math.isfinite(self.fmax) and self.fmax > 0):
            raise UsageError(f"fmax must be a positive force in eV/Å, not {self.fmax}")
        if not (math.isfinite(self.rattle) and 0 <= self.rattle < 1):
            raise UsageError(f"rattle must be between 0 and 1 Å, not {self.rattle}")
        if self.max_steps < 1:
            raise UsageError(f"max-steps must be at least 1, not {self.max_steps}")
        if self.seed < 0:
            raise UsageError(f"seed must not be negative, not {self.seed}")
        if self.cell not in get_args(CellMode):
            raise UsageError(f"unknown cell '{self.cell}'; known: {', '.join(get_args(CellMode))}")
        if not (math.isfinite(self.smax) and self.smax > 0):
            raise UsageError(f"smax must be a positive stress in GPa, not {self.smax}")
