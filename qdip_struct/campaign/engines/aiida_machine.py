"""Where AiiDA runs CP2K: the profile, the code and the options of a calculation."""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import ToolError
from qdip_struct.base.files import sha256

if TYPE_CHECKING:
    from qdip_struct.campaign.engines.jobscript import Site

HOW_TO_GET_AIIDA = "pip install 'qdip-struct[aiida]', then: verdi presto"
CODE_VARIABLE = "QDIP_AIIDA_CODE"
_CODE, _COMPUTER = "qdip-cp2k", "localhost"
_SECONDS = 7 * 24 * 3600


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


def find_machine(site: "Site | None") -> Machine:
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
