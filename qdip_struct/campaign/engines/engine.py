"""What an engine is: something that brings run folders to their end, here, through a queue or a workflow manager.

What it gets is an :class:`Order`, what it answers a :class:`Submission`; all that the rest of the package must know of
it stands in an :class:`Engine`, of which :mod:`qdip_struct.campaign.engines.engines` holds one each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

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
    stall_s
        As for :func:`qdip_struct.campaign.engines.segment.run_segment`, s; ``None`` for its default.
    """

    folders: "Sequence[RunFolder]"
    root: Path
    site: "ClusterSite | None" = None
    cores: int = 1
    launcher: tuple[str, ...] = ()
    stall_s: float | None = None
    show: "Callable[[Sequence[Watch]], None] | None" = None


@dataclass(frozen=True)
class Submission:
    """Runs that were handed over.

    Attributes
    ----------
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
    about
        What it does, for the help text.
    submit
        Hands the runs over.
    waits
        Whether it returns only when the runs have ended, so that their outcome is that of the command.
    site
        Name of the shipped site to start from, where the engine cannot do without one.
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
