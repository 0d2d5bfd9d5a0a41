"""Run folders to AiiDA: one restart work chain a run, whose outputs come back into the same folder.

AiiDA keeps the history, its work chain restarts what was cut off, and the verdict stays ours: when a chain has ended,
its outputs become ``run.out``, ``run.out.2``, ... of the run folder, are judged there as those of any other engine,
and the verdict is written beside the chain. Calling it again fetches what has ended and submits what has no chain.
CP2K is the code that ``QDIP_AIIDA_CODE`` names, with the resources of a site, else the one of this machine.
"""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct import __version__
from qdip_struct.base.cp2k_input import Section, Verbatim, parse_input
from qdip_struct.base.errors import DataError, ToolError, UsageError
from qdip_struct.base.files import read_text, sha256, write_bytes
from qdip_struct.campaign.engines.engine import Submission
from qdip_struct.campaign.engines.lock import exclusive
from qdip_struct.campaign.engines.segment import record_result, verdict_of
from qdip_struct.runs.restart import GEOMETRY, good_state
from qdip_struct.runs.rundir import INPUT, OUTPUT, RunFolder, needs_relaxation, segment_name

if TYPE_CHECKING:
    from qdip_struct.campaign.engines.jobscript import ClusterSite

HOW_TO_GET_AIIDA = "pip install 'qdip-struct[aiida]', then: verdi presto"

CODE_VARIABLE = "QDIP_AIIDA_CODE"

_CODE, _COMPUTER = "qdip-cp2k", "localhost"

_SECONDS = 7 * 24 * 3600

_INPUT, _OUTPUT, _GEOMETRY = "aiida.inp", "aiida.out", "aiida-1.restart"

_FETCHED = "qdip_fetched"

_PLUGIN_FAULTS = (AttributeError, KeyError, RuntimeError, TypeError, ValueError)
"""A fault inside a chain that runs here is raised here; the chain keeps its report, and the next run goes on."""

_MORE_FILES = ("aiida-*.pdos", "aiida-*.cube")


@dataclass(frozen=True)
class Machine:
    """Where AiiDA shall run CP2K.

    Attributes
    ----------
    code
        Its code node.
    options
        Of each calculation, as aiida-core names them.
    walltime_s
        When CP2K is told to stop, s; ``None`` without a site.
    """

    code: Any
    options: dict[str, Any]
    walltime_s: int | None


def submit_aiida(folders: Sequence[RunFolder], *, root: Path, site: "ClusterSite | None" = None) -> Submission:
    """Bring run folders on with AiiDA.

    Chains that have ended are fetched; runs without one get one. With a running daemon the call returns when the chains
    are submitted, and a later call fetches them; without one it runs them here, one after another, to their end.

    Parameters
    ----------
    folders
        Runs of one campaign.
    root
        The campaign's folder; labels name runs relative to it.
    site
        Resources and time limit of a calculation for the code that ``QDIP_AIIDA_CODE`` names (``cp2k@cluster``).
        Without that variable the CP2K of this machine is used.

    Raises
    ------
    ToolError
        If AiiDA, its plugin for CP2K, a profile or CP2K is missing.
    UsageError
        If an input uses preprocessor lines, which AiiDA's plugin cannot express.
    """
    machine = find_machine(site)
    background = daemon_runs()
    fetched, submitted, under_way, identifiers = 0, 0, 0, []
    for folder in folders:
        chain = _latest_chain(folder)
        if chain is not None and not chain.is_terminated:
            under_way += 1
            continue
        if chain is not None and not chain.base.extras.get(_FETCHED, False):
            _fetch(chain, folder)
            fetched += 1
        verdict = verdict_of(folder)
        if verdict is not None and verdict.outcome != "again":
            continue
        if needs_relaxation(folder):
            raise ToolError(f"{folder.path} waits for its pre-relaxation: qdip run {folder.path} --relax-only")
        chain = _start(folder, machine, root=root, background=background)
        identifiers.append(str(chain.pk))
        submitted += 1
        if not background:
            _fetch(chain, folder)
            fetched += 1
    parts = [f"{submitted} work chains {'submitted' if background else 'run to their end'}"]
    parts += [f"{fetched} fetched"] if fetched else []
    parts += [f"{under_way} under way: the same command fetches them later"] if under_way else []
    return Submission("aiida", tuple(identifiers), submitted, "; ".join(parts))


def _label(folder: RunFolder) -> str:
    """What the chains of a run folder are found by: its place and its input."""
    return f"qdip {sha256(f'{folder.path.resolve()} {sha256(read_text(folder.path / INPUT))}')[:16]}"


def _latest_chain(folder: RunFolder) -> Any:
    from aiida import orm

    query = orm.QueryBuilder()
    query.append(orm.WorkChainNode, filters={"label": _label(folder)})
    query.order_by({orm.WorkChainNode: {"id": "desc"}})
    return query.first(flat=True)


def _start(folder: RunFolder, machine: Machine, *, root: Path, background: bool) -> Any:
    """Submit the work chain of a run, or run it."""
    from aiida import engine, orm
    from aiida.plugins import WorkflowFactory

    with exclusive(folder.path):
        parameters = plugin_parameters(read_text(folder.path / INPUT), source=str(folder.path / INPUT))
        if machine.walltime_s is not None:
            parameters.setdefault("GLOBAL", {})["WALLTIME"] = str(machine.walltime_s)
        builder = WorkflowFactory("cp2k.base").get_builder()
        state = good_state(folder.path, n_atoms=folder.record.n_atoms or 1) if folder.n_segments else None
        if state is not None and state.geometry is not None and "MOTION" in parameters:
            builder.cp2k.file = {"geometry": orm.SinglefileData(state.geometry.resolve(), filename=GEOMETRY)}
            parameters["EXT_RESTART"] = {"RESTART_FILE_NAME": GEOMETRY}
        builder.cp2k.parameters = orm.Dict(parameters)
        builder.cp2k.code = machine.code
        builder.cp2k.metadata.options = machine.options
        builder.cp2k.settings = orm.Dict({"additional_retrieve_list": [[name, ".", 0] for name in _MORE_FILES]})
        builder.max_iterations = orm.Int(20)
        builder.handler_overrides = orm.Dict({"restart_incomplete_calculation": {"enabled": True}})
        builder.metadata.label = _label(folder)
        builder.metadata.description = f"{folder.role} of {folder.group}: {_shown(folder, root)}"
        try:
            chain = engine.submit(builder) if background else engine.run_get_node(builder).node
        except _PLUGIN_FAULTS as error:
            chain = _latest_chain(folder)
            if chain is None:
                raise ToolError(f"AiiDA took no work chain for {folder.path}: {error}") from error
    chain.base.extras.set_many(
        {
            "qdip_folder": str(folder.path.resolve()),
            "qdip_role": folder.role,
            "qdip_group": folder.group,
            "qdip_structure_sha256": folder.record.structure_sha256,
            "qdip_version": __version__,
        }
    )
    return chain


def _shown(folder: RunFolder, root: Path) -> str:
    place, top = folder.path.resolve(), root.resolve()
    return place.relative_to(top).as_posix() if place.is_relative_to(top) else str(place)


def _fetch(chain: Any, folder: RunFolder) -> None:
    """Bring the outputs of an ended chain into the run folder, judge them, and keep the verdict beside the chain."""
    from aiida import orm

    calculations = sorted(
        (node for node in chain.called if isinstance(node, orm.CalcJobNode)), key=lambda node: int(node.pk)
    )
    with exclusive(folder.path):
        first = chain.base.extras.get("qdip_first_segment", folder.n_segments + 1)
        chain.base.extras.set("qdip_first_segment", first)
        number = first
        for calculation in calculations:
            files = _files(calculation)
            if _OUTPUT not in files:
                continue
            for name, content in files.items():
                if name != _OUTPUT:
                    write_bytes(folder.path / name, content, force=True)
            if _GEOMETRY in files:
                write_bytes(folder.path / GEOMETRY, files[_GEOMETRY], force=True)
            given = calculation.base.repository.get_object_content(_INPUT, mode="rb")
            write_bytes(folder.path / f"{INPUT}.{number}", given, force=True)
            write_bytes(segment_name(folder.path / OUTPUT, number), files[_OUTPUT], force=True)
            number += 1
        verdict = verdict_of(folder)
        if verdict is not None and verdict.run is not None:
            record_result(folder, verdict.run)
    told = {"qdip_outcome": "failed", "qdip_reason": chain.exit_message or "the chain ended without an output"}
    if verdict is not None:
        told = {"qdip_outcome": verdict.outcome, "qdip_reason": verdict.reason}
    energy = verdict.run.energy_ev if verdict is not None and verdict.run is not None else None
    chain.base.extras.set_many({**told, "qdip_energy_ev": energy, _FETCHED: True})


def _files(calculation: Any) -> dict[str, bytes]:
    """What AiiDA retrieved of a calculation, by file name."""
    retrieved = calculation.outputs.retrieved if "retrieved" in calculation.outputs else None
    if retrieved is None:
        return {}
    repository = retrieved.base.repository
    found = {}
    for name in repository.list_object_names():
        if Path(name).name != name or name.startswith("."):
            raise DataError(f"AiiDA retrieved a file with the odd name {name!r}")
        if name.startswith("aiida"):
            found[name] = repository.get_object_content(name, mode="rb")
    return found


def plugin_parameters(text: str, *, source: str = INPUT) -> dict[str, Any]:
    """CP2K input text as the nested mapping that AiiDA's plugin takes.

    Repeated keywords and sections become lists, a section's parameter stands under ``_``, whole numbers become numbers,
    and the lines of ``&COORD`` stay lines, so that the order of the atoms is kept.

    Raises
    ------
    UsageError
        If the text holds preprocessor lines.
    """
    return _mapping(parse_input(text, source=source), source)


def _mapping(section: Section, source: str) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for entry in section.entries:
        if isinstance(entry, Verbatim):
            if entry.text.startswith("@"):
                raise UsageError(f"{source}: AiiDA takes no preprocessor lines such as '{entry.text}'")
        elif isinstance(entry, Section):
            content = _mapping(entry, source)
            found.setdefault(entry.name.upper(), []).append(
                {**({"_": entry.parameter} if entry.parameter else {}), **content}
            )
        elif section.name.upper() == "COORD":
            found.setdefault(" ", []).append(f"{entry.name} {entry.value}")
        else:
            found.setdefault(entry.name.upper(), []).append(_number(entry.value))
    return {name: values if len(values) > 1 or name == " " else values[0] for name, values in found.items()}


def _number(value: str) -> int | str:
    """Whole numbers as such: the restart handler raises MAX_ITER by a factor."""
    return int(value) if value.isascii() and value.isdigit() and str(int(value)) == value else value


def find_machine(site: "ClusterSite | None") -> Machine:
    """The code that ``QDIP_AIIDA_CODE`` names, with the resources of ``site``; else the CP2K of this machine.

    Raises
    ------
    ToolError
        If AiiDA, its plugin for CP2K, a profile, the code or CP2K is missing.
    """
    _load()
    from aiida import orm
    from aiida.common.exceptions import MultipleObjectsError, NotExistent

    name = os.environ.get(CODE_VARIABLE)
    if not name:
        return Machine(_local_code(), _local_options(), None)
    try:
        code = orm.load_code(name)
    except (NotExistent, MultipleObjectsError) as error:
        raise ToolError(f"{CODE_VARIABLE} is '{name}', which AiiDA does not know: {error}") from error
    if site is None:
        return Machine(code, {"resources": {"num_machines": 1}, "max_wallclock_seconds": _SECONDS}, None)
    options: dict[str, Any] = {
        "resources": {
            "num_machines": site.nodes,
            "num_mpiprocs_per_machine": site.tasks,
            "num_cores_per_mpiproc": site.cpus_per_task,
        },
        "max_wallclock_seconds": site.seconds,
        "environment_variables": {"OMP_NUM_THREADS": str(site.cpus_per_task)},
        "prepend_text": "\n".join(site.setup),
        "withmpi": bool(site.launcher),
    }
    options |= {"queue_name": site.partition} if site.partition else {}
    options |= {"account": site.account} if site.account else {}
    options |= {"max_memory_kb": site.memory_gb * 1_000_000} if site.memory_gb else {}
    return Machine(code, options, site.walltime_s)


def _load() -> None:
    """Load AiiDA and its profile."""
    missing = [name for name in ("aiida", "aiida_cp2k") if importlib.util.find_spec(name) is None]
    if missing:
        raise ToolError(f"AiiDA or its plugin for CP2K is not installed ({', '.join(missing)}); {HOW_TO_GET_AIIDA}")
    import aiida
    from aiida.common.exceptions import ConfigurationError, MissingConfigurationError, ProfileConfigurationError

    try:
        aiida.load_profile()
    except (MissingConfigurationError, ProfileConfigurationError, ConfigurationError) as error:
        raise ToolError(f"AiiDA has no profile ({error}); make one with: verdi presto") from error


def _local_options() -> dict[str, Any]:
    environment = {
        "OMP_NUM_THREADS": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_ess_singleton_isolated": "1",
    }
    return {
        "resources": {"num_machines": 1, "num_mpiprocs_per_machine": 1},
        "max_wallclock_seconds": _SECONDS,
        "environment_variables": environment,
        "withmpi": False,
    }


def _local_code() -> Any:
    """The node of this machine's CP2K, made when it is not there."""
    from aiida import orm
    from aiida.common.exceptions import NotExistent

    from qdip_struct.cp2k.program import require_program

    program = require_program()
    label = f"{_CODE}-{sha256(str(program.path))[:8]}"
    try:
        return orm.load_code(f"{label}@{_COMPUTER}")
    except NotExistent:
        code = orm.InstalledCode(
            label=label,
            computer=_local_computer(),
            filepath_executable=str(program.path),
            default_calc_job_plugin="cp2k",
        )
        code.description = f"CP2K {program.version}"
        return code.store()


def _local_computer() -> Any:
    from aiida import orm
    from aiida.common.exceptions import NotExistent
    from aiida.manage.configuration import get_config

    try:
        computer = orm.load_computer(_COMPUTER)
    except NotExistent:
        computer = orm.Computer(
            label=_COMPUTER,
            hostname=_COMPUTER,
            transport_type="core.local",
            scheduler_type="core.direct",
            workdir=str(Path(get_config().dirpath) / "scratch"),
        ).store()
    if not computer.is_configured:
        computer.configure(safe_interval=0.0)
        computer.set_minimum_job_poll_interval(1.0)
    return computer


def daemon_runs() -> bool:
    """Whether the daemon of the profile is at work."""
    from aiida.common.exceptions import ConfigurationError
    from aiida.engine.daemon.client import get_daemon_client

    try:
        return bool(get_daemon_client().is_daemon_running)
    except ConfigurationError:
        return False
