"""Build a campaign, write its run folders, and hand them to an engine; calling it again goes on from there.

CAMPAIGN is a campaign.yaml, a folder that holds one, the name of a shipped study (composition_interfaces, ...), or a
campaign's folder that was written before. --dry-run shows every run with its atoms, electrons and estimated cost, and
writes nothing. Identical runs of several groups are calculated once.

{engines}

units: electrons are valence electrons; core-h and GB are estimates, good to a factor of three either way.

example:
  qdip submit workflows/registry --dry-run
  qdip submit campaign.yaml --engine local --nproc 2 -o campaign
  qdip submit campaign.yaml --engine sbatch --site slurm -o campaign
  qdip status campaign
"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, DataError, UsageError
from qdip_struct.campaign.engines.engines import ENGINES, tells_time_left
from qdip_struct.cli.console import emit, note
from qdip_struct.cli.run import add_stall_argument, cores_of, launcher_of, stall_of

if TYPE_CHECKING:
    from qdip_struct.campaign.engines.jobscript import ClusterSite
    from qdip_struct.campaign.folder import Index
    from qdip_struct.campaign.plan import Plan
    from qdip_struct.campaign.status import CampaignStatus
    from qdip_struct.runs.run_draft import RunDraft


def add_submit_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip submit``."""
    width = max(map(len, ENGINES))
    listed = "\n".join(f"  {engine.name:<{width}}  {engine.about}" for engine in ENGINES.values())
    parser.description = (__doc__ or "").format(engines=listed)
    parser.add_argument("campaign", type=Path, metavar="CAMPAIGN", help="campaign.yaml, its folder, or a study's name")
    parser.add_argument("--engine", choices=ENGINES, help="where the runs go; without it they are only written")
    parser.add_argument("--dry-run", action="store_true", help="show runs, atoms, electrons and cost; write nothing")
    parser.add_argument("--site", metavar="NAME", help="laptop, slurm, pbs or a YAML file like them")
    parser.add_argument("--nproc", type=int, metavar="N", help="local: cores to use in all (default: all there are)")
    parser.add_argument("--launcher", metavar="WORDS", help="local: words before the executable: 'mpirun -n 8'")
    add_stall_argument(parser)


def submit_command(args: argparse.Namespace) -> int:
    """Plan, show, write, submit."""
    from qdip_struct.campaign.engines.jobscript import load_site
    from qdip_struct.campaign.folder import is_campaign, open_campaign

    cores = cores_of(args.nproc, option="--nproc")
    launcher_of(args.launcher), stall_of(args)
    site = load_site(args.site) if args.site else None
    engine = ENGINES.get(args.engine)
    if engine is not None and engine.site is not None and site is None:
        raise UsageError(f"--engine {engine.name} needs --site {engine.site}, or a YAML file like it")
    if is_campaign(args.campaign):
        if args.out is not None and args.out.resolve() != args.campaign.resolve():
            raise UsageError(f"{args.campaign} is a campaign's folder; leave -o out, or give the campaign file")
        index = open_campaign(args.campaign)
        text = f"{index.root}: campaign {index.name}, {sum(row.same_as is None for row in index.rows)} runs"
        if args.dry_run or args.engine is None:
            return _show_status(args, index, text)
        return _hand_over(args, index, site=site, cores=cores, document={"path": str(index.root)}, text=text)
    return _from_file(args, site=site, cores=cores)


def _from_file(args: argparse.Namespace, *, site: "ClusterSite | None", cores: int) -> int:
    from qdip_struct.campaign.folder import write_campaign
    from qdip_struct.campaign.plan import make_plan
    from qdip_struct.campaign.spec import load_spec
    from qdip_struct.cli.check import schema_for

    spec = load_spec(_campaign_file(args.campaign))
    schema, version = schema_for(spec.inputs.get("cp2k_version"))
    if schema is None:
        note("note: no CP2K is installed here, so keywords were not checked against its own list (qdip doctor)")
    walltime = site.walltime_s if site is not None and not tells_time_left(site) else None
    plan = make_plan(spec, schema=schema, version=version, walltime_s=walltime, texts=not args.dry_run)
    for warning in plan.warnings:
        note(f"warning: {warning}")
    document = plan_document(plan)
    if args.dry_run:
        emit(document, as_json=args.json, text=plan_text(plan))
        return EXIT_DONE
    root = args.out if args.out is not None else Path("runs") / spec.name
    written = write_campaign(plan, root, force=args.force)
    document = {"path": str(root), **document}
    text = (
        f"{root}: {written.made} runs written, {written.kept} folders were there, {written.shared} shared "
        f"({_totals(plan)})"
    )
    for path in written.left_over:
        note(f"note: {root / path} is no longer asked for; it stays as it is")
    if args.engine is None:
        for item in written.damaged:
            note(f"warning: {item.reason}; it stays as it is (--force replaces it with its outputs)")
        document["left_out"] = [{"path": str(item.path), "reason": item.reason} for item in written.damaged]
        emit(document, as_json=args.json, text=f"{text}\nnext: qdip submit {shlex.quote(str(root))} --engine local")
        return EXIT_UNFINISHED if written.damaged else EXIT_DONE
    return _hand_over(args, written.index, site=site, cores=cores, document=document, text=text)


def _campaign_file(path: Path) -> Path:
    """The file that is meant: the path, ``campaign.yaml`` in it, or that of a shipped study of this name."""
    from qdip_struct.base.files import shipped
    from qdip_struct.campaign.spec import FILE

    if path.exists() or len(path.parts) != 1 or path.suffix:
        if path.is_dir() and not (path / FILE).is_file():
            raise DataError(f"{path} holds no {FILE}")
        return path
    try:
        return shipped("workflows", path.name, FILE)
    except DataError as error:
        raise DataError(f"there is neither a file {path} nor a shipped study of that name") from error


def _hand_over(
    args: argparse.Namespace,
    index: "Index",
    *,
    site: "ClusterSite | None",
    cores: int,
    document: dict[str, Any],
    text: str,
) -> int:
    from qdip_struct.campaign.engines.engines import submit
    from qdip_struct.cli.console import LiveView
    from qdip_struct.cli.status import status_text, status_with_queues

    folders, damaged = index.run_folders()
    if not args.json:
        note(text)
    for item in damaged:
        note(f"warning: {item.reason}; it is left out")
    if not folders:
        raise DataError(f"none of the runs of {index.root} can be opened: {damaged[0].reason}")
    with LiveView(title="CP2K") as view:
        done = submit(
            folders,
            engine=args.engine,
            root=index.root,
            site=site,
            cores=cores,
            launcher=launcher_of(args.launcher),
            stall_s=stall_of(args),
            show=view.show,
        )
    found = status_with_queues([index.root])
    document = {**document, "submission": vars(done), "status": found.to_dict()}
    document["left_out"] = [{"path": str(item.path), "reason": item.reason} for item in damaged]
    emit(document, as_json=args.json, text=f"{done.note}\n{status_text(found)}")
    return _code(found) if ENGINES[args.engine].waits else EXIT_UNFINISHED if damaged else EXIT_DONE


def _code(found: "CampaignStatus") -> int:
    return EXIT_DONE if found.finished else EXIT_UNFINISHED


def _show_status(args: argparse.Namespace, index: "Index", text: str) -> int:
    from qdip_struct.cli.status import status_text, status_with_queues

    found = status_with_queues([index.root])
    emit(found.to_dict(), as_json=args.json, text=f"{text}\n{status_text(found)}\nnothing was submitted: give --engine")
    return EXIT_DONE


def plan_document(plan: "Plan") -> dict[str, Any]:
    """The JSON form of a plan: groups of runs with atoms, electrons, estimates, and totals."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in plan.runs:
        groups.setdefault(run.path.rpartition("/")[0], []).append(_entry(run))
    own = plan.own
    return {
        "campaign": plan.spec.name,
        "about": plan.spec.about,
        "n_groups": len(groups),
        "n_runs": len(own),
        "n_shared": len(plan.runs) - len(own),
        "core_hours": sum(run.cost.core_hours for run in own),
        "core_hours_range": [sum(run.cost.range_core_hours[end] for run in own) for end in (0, 1)],
        "memory_gb": max((run.cost.memory_gb for run in own), default=0.0),
        "groups": [{"group": group, "runs": runs} for group, runs in groups.items()],
    }


def _entry(run: "RunDraft") -> dict[str, Any]:
    record = run.record
    return {
        "path": run.path,
        "role": record.role,
        "n_atoms": record.n_atoms,
        "n_electrons": record.n_electrons,
        "same_as": run.same_as,
        "relax": run.content.get("relax"),
        "estimate": {
            "core_hours": run.cost.core_hours,
            "core_hours_range": run.cost.range_core_hours,
            "memory_gb": run.cost.memory_gb,
        },
    }


def plan_text(plan: "Plan") -> str:
    """The tree of runs that ``--dry-run`` shows."""
    lines = [f"campaign {plan.spec.name}: {plan.spec.about or plan.spec.kind}", _totals(plan), ""]
    names = [run.path.rpartition("/")[2] for run in plan.runs]
    wide = max(map(len, names), default=0)
    group = ""
    for run, name in zip(plan.runs, names, strict=True):
        if run.path.rpartition("/")[0] != group:
            group = run.path.rpartition("/")[0]
            lines.append(group)
        record = run.record
        if run.same_as is not None:
            lines.append(f"  {name:<{wide}}  same as {run.same_as}")
            continue
        before = f"  after {record.relax.model}" if record.relax is not None else ""
        lines.append(
            f"  {name:<{wide}}  {record.n_atoms:>6} atoms  {record.n_electrons:>7} electrons  "
            f"{_rough(run.cost.core_hours):>7} core-h  {_rough(run.cost.memory_gb):>5} GB{before}"
        )
    return "\n".join([*lines, "", "core-h and GB are estimates, good to a factor of three either way"])


def _totals(plan: "Plan") -> str:
    own = plan.own
    groups = len({run.path.rpartition("/")[0] for run in plan.runs})
    hours = sum(run.cost.core_hours for run in own)
    low, high = (sum(run.cost.range_core_hours[end] for run in own) for end in (0, 1))
    memory = max((run.cost.memory_gb for run in own), default=0.0)
    return (
        f"{groups} groups, {len(own)} runs and {len(plan.runs) - len(own)} shared ones, {_rough(hours)} core-h "
        f"({_rough(low)} to {_rough(high)}), {_rough(memory)} GB for the largest"
    )


def _rough(value: float) -> str:
    """Two significant digits, without an exponent for people's numbers."""
    return f"{float(f'{value:.2g}'):.0f}" if value >= 10 else f"{value:.2g}"
