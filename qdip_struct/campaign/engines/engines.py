"""The table of engines, and what is asked of all of them: take these runs, which runs do you have?

A new engine is a module of its own and a row of :data:`ENGINES`. The table is read for help texts and for every status,
therefore the engines' modules are imported where they are called.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qdip_struct.base.errors import ToolError, UsageError
from qdip_struct.campaign.engines.engine import Engine, Order, Queue, Submission

if TYPE_CHECKING:
    from qdip_struct.campaign.engines.jobscript import ClusterSite
    from qdip_struct.campaign.engines.local import Watch
    from qdip_struct.runs.rundir import RunFolder


def _run_here(order: Order) -> Submission:
    from qdip_struct.campaign.engines.local import run_locally
    from qdip_struct.campaign.engines.segment import STALL_S
    from qdip_struct.cp2k.program import require_program

    watches = run_locally(
        order.folders,
        program=require_program(),
        cores=order.cores,
        launcher=order.launcher,
        stall_s=STALL_S if order.stall_s is None else order.stall_s,
        show=order.show,
    )
    done = sum(watch.state == "done" for watch in watches)
    return Submission("local", (), len(watches), f"{done} of {len(watches)} runs done")


def _to_slurm(order: Order) -> Submission:
    from qdip_struct.campaign.engines.sbatch import submit_array

    if order.site is None:
        raise UsageError("the engine sbatch needs a site: --site slurm, or a YAML file like it")
    return submit_array(order.folders, root=order.root, site=order.site, stall_s=order.stall_s)


def _slurm_folders(root: Path) -> list[Path]:
    from qdip_struct.campaign.engines.sbatch import queued_tasks

    return [task.folder for task in queued_tasks(root)]


def _to_aiida(order: Order) -> Submission:
    from qdip_struct.campaign.engines.aiida_engine import submit_aiida

    if order.stall_s is not None:
        raise UsageError("the engine aiida does not look for stalls; leave --stall out")
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
    stall_s: float | None = None,
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
    return ENGINES[engine].submit(Order(folders, root, site, cores, launcher, stall_s, show))


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
