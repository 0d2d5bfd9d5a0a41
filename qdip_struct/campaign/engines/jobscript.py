"""Job scripts for a site: an array over run folders, each piece one ``qdip segment``.

The folders stand in a file beside the script, one a line, and reach the shell only as a quoted variable; names with
line breaks are refused. ``qdip segment`` exits with 75 when the run must go on, and the job then queues itself again.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

from qdip_struct.base.documents import Count, Word, fault, yaml_document
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import shipped

AGAIN = 75
LIST = "runs.txt"
_MARGIN_FRACTION, _MARGIN_S = 0.05, 600
_PAUSE_S = 5
_MOST_RESTARTS = 100
_MOST = 1_000_000
_MOST_THREADS = 16
"""Of a pre-relaxation; the models gain little from more."""
_NAMES = {"slurm": "job.sbatch", "pbs": "job.pbs", "shell": "job.sh"}


LaunchStep = Literal["segment", "relax"]


@dataclass(frozen=True)
class ClusterSite:
    """All that is local to a machine: see the files in ``workflows/sites``.

    Attributes
    ----------
    time
        Length of a job, HH:MM:SS.
    nodes, tasks, cpus_per_task
        Of one run.
    simultaneous
        Runs at a time.
    setup
        Shell lines before CP2K.
    launcher
        Words before the executable.
    """

    engine: Literal["slurm", "pbs", "shell"]
    time: str
    nodes: int
    tasks: int
    cpus_per_task: int
    simultaneous: int
    setup: tuple[str, ...]
    launcher: str
    memory_gb: int | None = None
    partition: str | None = None
    account: str | None = None

    @property
    def seconds(self) -> int:
        """Length of one job in s."""
        hours, minutes, seconds = map(int, self.time.split(":"))
        return 3600 * hours + 60 * minutes + seconds

    @property
    def walltime_s(self) -> int:
        """When CP2K is told to stop: the job less 5 %, at least 10 minutes of it (half of very short jobs)."""
        return max(self.seconds // 2, self.seconds - max(_MARGIN_S, int(_MARGIN_FRACTION * self.seconds)))

    @property
    def last_call_s(self) -> int:
        """Seconds before the end at which a task that still runs is queued again: a third of the margin."""
        return max(1, (self.seconds - self.walltime_s) // 3)


def load_site(name: str) -> ClusterSite:
    """Read a site by the name of a shipped file, or from a YAML file of the user's.

    Raises
    ------
    UsageError
        For an unknown name, an unknown key or a value of the wrong kind; the message names the file.
    """
    path = Path(name)
    if not path.suffix:
        try:
            path = shipped("workflows", "sites", f"{name}.yaml")
        except DataError as error:
            raise UsageError(f"unknown site '{name}'; known: laptop, slurm, pbs, or give a YAML file") from error
    content = yaml_document(path, mistake=UsageError)
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected a mapping; copy one of the shipped site files")
    known = {field.name for field in fields(ClusterSite)}
    wrong = sorted(set(map(str, content)) ^ known)
    if wrong:
        problem = "missing" if wrong[0] in known else "unknown"
        raise UsageError(f"{path}: the key '{wrong[0]}' is {problem}; keys: {', '.join(sorted(known))}")
    return _checked(content, path)


def _checked(content: dict[str, object], path: Path) -> ClusterSite:
    if content["engine"] not in _NAMES:
        raise UsageError(f"{path}: engine is slurm, pbs or shell, not '{content['engine']}'")
    for key in ("nodes", "tasks", "cpus_per_task", "simultaneous"):
        _check_count(content[key], key=key, path=path)
    if not re.fullmatch(r"\d{1,4}:[0-5]\d:[0-5]\d", str(content["time"])):
        raise UsageError(f"{path}: time is HH:MM:SS in quotes, not '{content['time']}'")
    for key in ("partition", "account"):
        if content[key] is not None and not re.fullmatch(r"\w[\w.+-]{0,99}", str(content[key])):
            raise UsageError(f"{path}: {key} is one word, not '{content[key]}'")
    if content["memory_gb"] is not None:
        _check_count(content["memory_gb"], key="memory_gb", path=path)
    setup = content["setup"]
    if not isinstance(setup, list) or not all(isinstance(line, str) for line in setup):
        raise UsageError(f"{path}: setup is a list of shell lines")
    if any("\0" in line for line in setup):
        raise UsageError(f"{path}: setup holds a NUL character")
    launcher = str(content["launcher"] or "").strip()
    if fault(launcher, Word) is not None:
        raise UsageError(f"{path}: launcher is one line of shell words that print")
    return ClusterSite(**{**content, "setup": tuple(setup), "launcher": launcher})  # type: ignore[arg-type]


def _check_count(value: object, *, key: str, path: Path) -> None:
    if fault(value, Count) is not None or not 1 <= int(str(value)) <= _MOST:
        raise UsageError(f"{path}: {key} is a positive whole number up to {_MOST}, not '{str(value)[:40]}'")


def script_name(site: ClusterSite) -> str:
    """File name of the job script of a site."""
    return _NAMES[site.engine]


def run_list(folders: Sequence[str]) -> str:
    """The list that the script reads, one folder a line, relative to the script.

    Raises
    ------
    UsageError
        If a name holds a line break or is not UTF-8.
    """
    for folder in folders:
        if "\n" in folder or "\r" in folder or not _is_utf8(folder):
            raise UsageError(f"{folder!r} holds a line break or is not UTF-8; rename the folder")
    return "".join(f"{folder}\n" for folder in folders)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def job_script(
    site: ClusterSite,
    *,
    n_runs: int,
    step: LaunchStep = "segment",
    runs: str = LIST,
    name: str = "qdip",
    log: str | None = None,
    command: str = "qdip",
    stall_s: float | None = None,
) -> str:
    """Text of the job script for the folders listed in a file.

    A task brings one folder on. While more than half of its time is left it goes on by itself; then, and shortly
    before the scheduler would end it, it queues itself again. CP2K is told to stop in what is left of the task's time.

    Parameters
    ----------
    site
        The machine.
    n_runs
        Lines of the list: tasks of the array.
    step
        What a task does: segments of CP2K, or the pre-relaxation, which takes the cores of one run and no launcher.
    runs
        The list, relative to the folder the job is submitted in; a name without quotes or blanks.
    name, log
        Of the job and its log file, without blanks. Each scheduler has its own default for the log.
    command
        The words that call ``qdip`` there, quoted for the shell.
    stall_s
        As for :func:`qdip_struct.campaign.engines.segment.run_segment`, s; ``None`` for its default.
    """
    if step == "relax":
        cores = min(site.tasks * site.cpus_per_task, _MOST_THREADS)
        site = replace(site, nodes=1, tasks=1, cpus_per_task=cores, memory_gb=None, launcher="")
    define = [] if command == "qdip" else [f'qdip() {{ {command} "$@"; }}']
    segment = _words(site, step, stall_s)
    # qdip must not read the list that the loop reads from: its stdin is closed.
    if site.engine == "shell":
        loop = [
            "while IFS= read -r run; do",
            "  while :; do",
            f"    {segment} < /dev/null && break",
            f"    [ $? -eq {AGAIN} ] || break",
            f"    sleep {_PAUSE_S}",
            "  done",
            f"done < {runs}",
        ]
        return _lines(["#!/usr/bin/env bash", *_head(site), 'cd "$(dirname "$0")" || exit 1', *define, *loop])
    if site.engine == "slurm":
        index, again = "${SLURM_ARRAY_TASK_ID}", 'scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"'
        directives, start = _slurm(site, n_runs, name=name, log=log), "$SLURM_SUBMIT_DIR"
        count = '"${SLURM_RESTART_COUNT:-0}"'
    else:
        index, again = "${PBS_ARRAY_INDEX:-1}", 'qrerun "$PBS_JOBID"'
        directives, start = _pbs(site, n_runs, name=name, log=log), "$PBS_O_WORKDIR"
        count = '"$((${PBS_RUNCOUNT:-1} - 1))"'
    body = [
        f'cd "{start}" || exit 1',
        *define,
        f'run=$(sed -n "{index}p" {runs})',
        f'[ -n "$run" ] || {{ echo "line {index} of {runs} is missing" >&2; exit 1; }}',
        "again() {",
        f"  [ {count} -lt {_MOST_RESTARTS} ] || exit {AGAIN}",
        f"  {again} || exit {AGAIN}",
        "  exit 0",
        "}",
        # bash runs a trap only between two commands, and a signal ends `wait`: so the segment runs in the background.
        "trap again USR1",
        "for attempt in 1 2 3; do",
        f"  {segment}{_time_left(site) if step == 'segment' else ''} &",
        "  wait $!",
        "  code=$?",
        f'  [ "$code" -eq {AGAIN} ] || exit "$code"',
        f'  [ "$SECONDS" -lt {site.walltime_s // 2} ] || break',
        f"  sleep {_PAUSE_S}",
        "done",
        "again",
    ]
    return _lines(["#!/usr/bin/env bash", *directives, *_head(site), *body])


def _words(site: ClusterSite, step: LaunchStep, stall_s: float | None) -> str:
    if step == "relax":
        return f'qdip run "./$run" --relax-only --nproc {site.cpus_per_task}'
    launcher = f" --launcher {shlex.quote(site.launcher + _ranks(site))}" if site.launcher else ""
    stall = f" --stall {stall_s:g}" if stall_s is not None else ""
    return f'qdip segment "./$run" --threads {site.cpus_per_task}{launcher}{stall}'


def _time_left(site: ClusterSite) -> str:
    return f' --walltime "$(({site.walltime_s} - SECONDS))"'


def _ranks(site: ClusterSite) -> str:
    first = site.launcher.split()[0].rsplit("/", 1)[-1]
    return f" -n {site.tasks * site.nodes}" if first in ("srun", "mpirun", "mpiexec") else ""


def _head(site: ClusterSite) -> list[str]:
    return [*site.setup, "set -u"]


def _slurm(site: ClusterSite, n_runs: int, *, name: str, log: str | None) -> list[str]:
    options = [
        f"--job-name={name}",
        f"--array=1-{n_runs}%{site.simultaneous}",
        f"--time={site.time}",
        f"--nodes={site.nodes}",
        f"--ntasks={site.tasks * site.nodes}",
        f"--cpus-per-task={site.cpus_per_task}",
        "--requeue",
        f"--signal=B:USR1@{site.last_call_s}",
        "--open-mode=append",
        f"--output={log or 'slurm-%A_%a.log'}",
    ]
    options += [f"--mem={site.memory_gb}G"] if site.memory_gb else []
    options += [f"--partition={site.partition}"] if site.partition else []
    options += [f"--account={site.account}"] if site.account else []
    return [f"#SBATCH {option}" for option in options]


def _pbs(site: ClusterSite, n_runs: int, *, name: str, log: str | None) -> list[str]:
    cores = site.tasks * site.cpus_per_task
    chunk = f"select={site.nodes}:ncpus={cores}:mpiprocs={site.tasks}:ompthreads={site.cpus_per_task}"
    options = [f"-N {name}", f"-l {chunk}" + (f":mem={site.memory_gb}gb" if site.memory_gb else "")]
    options += [f"-l walltime={site.time}", "-r y", "-j oe", *([f"-o {log}"] if log else [])]
    options += [f"-J 1-{n_runs}%{site.simultaneous}"] if n_runs > 1 else []
    options += [f"-q {site.partition}"] if site.partition else []
    options += [f"-A {site.account}"] if site.account else []
    return [f"#PBS {option}" for option in options]


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
