"""What an engine is, and the table of all engines.

An engine brings run folders to their end: on this machine, through a queue, through a workflow manager. All it has to
say to the rest of the package stands in its record here, so that a new one is a module of its own and a row of
:data:`ENGINES`. The table is read for every help text, therefore the modules are imported where they are called.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from qdip_struct.base.errors import ToolError, UsageError

if TYPE_CHECKING:
    from qdip_struct.campaign.engines.jobscript import ClusterSite
    from qdip_struct.campaign.engines.local import Watch
    from qdip_struct.runs.rundir import RunFolder


@dataclass(frozen=True)
class Order:
    """What an engine is asked to do.

    Attributes
    ----------
    folders
        Runs of one campaign; what is done already is left alone.
    root
        Folder of the campaign: scripts, lists and the engine's own records go there.
    site
        What is local to the machine where CP2K runs.
    cores, launcher, show
        For engines that run here: see :func:`qdip_struct.campaign.engines.local.run_locally`.
    """

    folders: "Sequence[RunFolder]"
    root: Path
    site: "ClusterSite | None" = None
    cores: int = 1
    launcher: tuple[str, ...] = ()
    show: "Callable[[Sequence[Watch]], None] | None" = None


@dataclass(frozen=True)
class Submission:
    """Runs that were handed over.

    Attributes
    ----------
    engine
        Who has them now.
    job_ids
        Names under which the engine knows them (Slurm job numbers, AiiDA node numbers); none for ``local``, which has
        brought the runs to their end when it answers.
    n_runs
        How many runs were handed over; those already done are not among them.
    note
        What a person should know or do next, one line.
    """

    engine: str
    job_ids: tuple[str, ...]
    n_runs: int
    note: str


@dataclass(frozen=True)
class Queue:
    """A scheduler whose jobs an engine's records let one recognise.

    Attributes
    ----------
    name
        As in a site's ``engine``. The job scripts of such a site tell every segment what is left of its job, so that
        its inputs carry no time limit of their own.
    title
        In messages.
    folders
        Run folders of the campaign that have a job, pending or running; none, without asking, where nothing was
        submitted; :class:`ToolError` when nobody can tell.
    """

    name: str
    title: str
    folders: Callable[[Path], list[Path]]


@dataclass(frozen=True)
class Engine:
    """One way of carrying runs out.

    Attributes
    ----------
    name
        Its word after ``--engine``.
    about
        What it does, for the help text.
    submit
        Hands the runs over.
    waits
        Whether it returns only when the runs have ended, so that their outcome is that of the command.
    site
        Name of the shipped site to start from, where the engine cannot do without one.
    queue
        The scheduler it submits to.
    programs, packages
        Executables and Python packages without which it does not work, each with its remedy, for ``qdip doctor``.
    """

    name: str
    about: str
    submit: Callable[[Order], Submission]
    waits: bool = False
    site: str | None = None
    queue: Queue | None = None
    programs: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)


def _run_here(order: Order) -> Submission:
    from qdip_struct.campaign.engines.local import run_locally
    from qdip_struct.cp2k.program import require_program

    watches = run_locally(
        order.folders, program=require_program(), cores=order.cores, launcher=order.launcher, show=order.show
    )
    done = sum(watch.state == "done" for watch in watches)
    return Submission("local", (), len(watches), f"{done} of {len(watches)} runs done")


def _to_slurm(order: Order) -> Submission:
    from qdip_struct.campaign.engines.sbatch import submit_array

    if order.site is None:
        raise UsageError("the engine sbatch needs a site: --site slurm, or a YAML file like it")
    return submit_array(order.folders, root=order.root, site=order.site)


def _slurm_folders(root: Path) -> list[Path]:
    from qdip_struct.campaign.engines.sbatch import queued_tasks

    return [task.folder for task in queued_tasks(root)]


def _to_aiida(order: Order) -> Submission:
    from qdip_struct.campaign.engines.aiida_engine import submit_aiida

    return submit_aiida(order.folders, root=order.root, site=order.site)


ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("local", "runs here, --nproc cores at a time, and returns when all have ended", _run_here, waits=True),
        Engine(
            "sbatch",
            "an array job on a Slurm cluster, as the site file says (--site)",
            _to_slurm,
            site="slurm",
            queue=Queue("slurm", "Slurm", folders=_slurm_folders),
            programs={"sbatch": "only needed to submit to Slurm"},
        ),
        Engine(
            "aiida",
            "AiiDA work chains (extra aiida)",
            _to_aiida,
            packages=dict.fromkeys(
                ("aiida-core", "aiida-cp2k"), "pip install 'qdip-struct[aiida]', for qdip submit --engine aiida"
            ),
        ),
    )
}


def submit(
    folders: "Sequence[RunFolder]",
    *,
    engine: str,
    root: Path,
    site: "ClusterSite | None" = None,
    cores: int = 1,
    launcher: tuple[str, ...] = (),
    show: "Callable[[Sequence[Watch]], None] | None" = None,
) -> Submission:
    """Hand run folders to an engine, one of :data:`ENGINES`; the other parameters are those of an :class:`Order`.

    Raises
    ------
    UsageError
        If the engine is unknown or lacks a site.
    ToolError
        If CP2K, Slurm or AiiDA is missing.
    """
    if engine not in ENGINES:
        raise UsageError(f"unknown engine '{engine}'; known: {', '.join(ENGINES)}")
    return ENGINES[engine].submit(Order(folders, root, site, cores, launcher, show))


def tells_time_left(site: "ClusterSite") -> bool:
    """Whether the site's job scripts give every segment its time limit, because an engine submits to its queue."""
    return any(engine.queue is not None and engine.queue.name == site.engine for engine in ENGINES.values())


def queued_folders(root: Path) -> tuple[list[Path], list[str]]:
    """Run folders of a campaign for which a queue has a job, and what could not be asked, a sentence each."""
    found: list[Path] = []
    untold = []
    for engine in ENGINES.values():
        if engine.queue is not None:
            try:
                found += engine.queue.folders(root)
            except ToolError as error:
                untold.append(f"what {engine.queue.title} has in its queue is not known: {error}")
    return found, untold
