"""What CP2K is asked to do with a structure: one record for each task, which every reader of a task's name asks.

Light on purpose: the help of the command line reads the names from here.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from qdip_struct.base.errors import UsageError

TaskName = Literal["energy", "geo_opt", "cell_opt"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A kind of calculation. Its template is ``cp2k_templates/NAME.inp``.

    Attributes
    ----------
    name
        As on the command line, in ``campaign.yaml`` and in ``run.json``.
    run_types
        RUN_TYPE names of CP2K, in inputs and outputs, that are this task.
    moves
        What the run changes; ``cell`` includes the atoms in it.
    section
        Its section below ``&MOTION``; empty when nothing moves.
    fills
        Keywords of that section, each with the entry of a preset that gives its value.
    ends
        What tells that it is complete beside PROGRAM ENDED and a converged last SCF: nothing, or that CP2K says the
        geometry is optimised. A run of a fixed number of steps ends by itself, hence with nothing more.
    restarts
        Whether a stopped run goes on from CP2K's restart file (EXT_RESTART) instead of its first geometry.
    needs_stress
        Whether the input must ask for the stress tensor.
    holds_atoms
        Whether fixed atoms mean something.
    geometry_steps
        How many steps after the first geometry an estimate of the cost assumes.
    """

    name: str
    run_types: tuple[str, ...]
    moves: Literal["nothing", "atoms", "cell"] = "nothing"
    section: str = ""
    fills: tuple[tuple[str, str], ...] = ()
    ends: Literal["program", "optimum"] = "program"
    restarts: bool = False
    needs_stress: bool = False
    holds_atoms: bool = False
    geometry_steps: int = 0

    @property
    def optimises(self) -> bool:
        """Whether it looks for a minimum: CP2K takes an optimiser, and forces decide when it ends."""
        return self.ends == "optimum"


_to_a_minimum = partial(
    Task,
    fills=(("MAX_ITER", "max_iterations"), ("MAX_FORCE", "force_tolerance")),
    ends="optimum",
    restarts=True,
    holds_atoms=True,
    geometry_steps=60,
)

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(name="energy", run_types=("ENERGY", "ENERGY_FORCE", "WFN_OPT")),
        _to_a_minimum(name="geo_opt", run_types=("GEO_OPT", "GEOMETRY_OPTIMIZATION"), moves="atoms", section="GEO_OPT"),
        _to_a_minimum(name="cell_opt", run_types=("CELL_OPT",), moves="cell", section="CELL_OPT", needs_stress=True),
    )
}
_OF_RUN_TYPE = {run_type: task for task in TASKS.values() for run_type in task.run_types}


def get_task(name: str) -> Task:
    """The task of that name; :class:`UsageError` lists what there is."""
    if name not in TASKS:
        raise UsageError(f"unknown task '{name}'; known: {', '.join(TASKS)}")
    return TASKS[name]


def task_of(run_type: str | None) -> Task | None:
    """The task of a RUN_TYPE, as an input or an output has it; ``None`` for one that is no task here."""
    return _OF_RUN_TYPE.get((run_type or "").upper())


def is_single_point(run_type: str | None) -> bool:
    """Whether a run of this RUN_TYPE leaves atoms and cell where they are; not so for what is unknown."""
    task = task_of(run_type)
    return task is not None and task.moves == "nothing"


def is_optimisation(run_type: str | None) -> bool:
    """Whether a run of this RUN_TYPE looks for a minimum; not so for what is unknown."""
    task = task_of(run_type)
    return task is not None and task.optimises
