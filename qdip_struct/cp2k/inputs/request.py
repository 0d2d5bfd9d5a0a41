"""A request for CP2K inputs, in words: the options of ``qdip inputs`` and of ``inputs`` in a campaign."""

from dataclasses import dataclass
from typing import Literal

from qdip_struct.base.errors import UsageError
from qdip_struct.base.options import option
from qdip_struct.cp2k.inputs.kinds import DEFAULT_SET
from qdip_struct.cp2k.tasks import TASKS, TaskName, get_task

ScfMethod = Literal["auto", "ot", "diagonalization", "ls"]
OnScfFailure = Literal["default", "continue"]
PRINTABLE = ("stress", "mulliken", "hirshfeld", "pdos", "gap", "density", "hartree", "moments", "orbitals", "bands")


@dataclass(frozen=True, kw_only=True)
class InputsRequest:
    """What ``qdip inputs`` takes, as typed; ``None`` leaves the decision to preset and structure."""

    preset: str = option("production", help="how well: ning2015, production or quick")
    task: TaskName = option("energy", help="what is calculated")
    template: str | None = option(
        None, metavar="FILE", help="own CP2K template; what it says stays, but atoms and cell"
    )
    set: tuple[str, ...] = option(
        (), metavar="PATH=VALUE", help="set any CP2K keyword, one of a kind as KIND[Pb]/MASS=207; repeatable"
    )
    kpoints: str | None = option(None, metavar="N,N,N", help="Monkhorst-Pack mesh instead of the preset's")
    multiplicity: int | None = option(None, shown="from the electron count", help="spin multiplicity 2S+1")
    charge: int = option(0, unit="e", help="total charge")
    basis: str = option(DEFAULT_SET, help="dzvp, tzvp, dzvp-uzh or tzvp-uzh: kinds.yaml")
    kinds: str | None = option(None, metavar="FILE", help="own YAML of element: {basis, potential}; see README")
    scf: ScfMethod = option("auto", help="method of the SCF")
    print: tuple[str, ...] = option((), metavar="WHAT", help=f"print {', '.join(PRINTABLE)}; repeatable")
    stride: int = option(2, metavar="N", help="every N-th grid point in cubes")
    fixed_layers: int = option(0, metavar="N", help="hold the N lowest layers fixed in an optimisation")
    counterpoise: bool = option(False, help="also the slabs of interfaces with ghost partners")
    on_scf_failure: OnScfFailure = option("default", help="whether the run goes on after an SCF that fails")
    dispersion: Literal["none", "d3bj"] = option("none", help="van der Waals correction")
    dipole_correction: Literal["on", "off"] | None = option(None, shown="the preset's", help="for slabs only")
    walltime: int | None = option(None, metavar="SECONDS", unit="s", help="CP2K stops by itself after this time")
    cp2k_version: str | None = option(None, metavar="VERSION", shown="the installed", help="version the inputs are for")

    @property
    def mesh(self) -> tuple[int, int, int] | None:
        """The k-point mesh asked for; :class:`UsageError` unless it is three positive whole numbers."""
        if not self.kpoints:
            return None
        words = self.kpoints.replace("x", ",").split(",")
        if len(words) != 3 or not all(word.strip().isdigit() and int(word) > 0 for word in words):
            raise UsageError(f"--kpoints takes three positive whole numbers such as 4,4,1, not '{self.kpoints}'")
        return int(words[0]), int(words[1]), int(words[2])

    def check(self) -> None:
        """Refuse values that are not possible, whatever the structure.

        Raises
        ------
        UsageError
            For a mesh or a number out of its range, or atoms that are held in a run that moves none.
        """
        _ = self.mesh
        if self.stride < 1 or self.stride > 1000:
            raise UsageError(f"--stride takes every N-th grid point, N from 1 to 1000, not {self.stride}")
        if self.walltime is not None and self.walltime <= 0:
            raise UsageError(f"--walltime is a positive number of seconds, not {self.walltime}")
        if self.fixed_layers < 0:
            raise UsageError(f"--fixed-layers is a number of layers, not {self.fixed_layers}")
        if self.fixed_layers and not get_task(self.task).holds_atoms:
            takers = " or ".join(task.name for task in TASKS.values() if task.holds_atoms)
            raise UsageError(
                f"--fixed-layers {self.fixed_layers} holds atoms while others move, and --task {self.task} moves none; "
                f"leave it out (0), or take --task {takers}"
            )
