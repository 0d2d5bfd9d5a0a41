"""Campaigns through a real Slurm of one node, with real CP2K runs of a second: submitted, disturbed, finished once."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slurm_bed import HOW_TO_GET_SLURM, Bed, missing_programs, slurm_bed
from water import SAME_EV, SHORT_STEPS, energies_printed, water

from qdip_struct.base.errors import ToolError, UsageError
from qdip_struct.campaign.engines.jobscript import ClusterSite
from qdip_struct.campaign.engines.lock import is_busy
from qdip_struct.campaign.engines.sbatch import plan_array, queued_tasks, submit_array
from qdip_struct.campaign.engines.segment import run_segment, verdict_of
from qdip_struct.cp2k.program import Program
from qdip_struct.runs.rundir import RunFolder, find_run_folders, open_run_folder

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.cp2k,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_programs()), reason=f"no Slurm; {HOW_TO_GET_SLURM}"),
]
SITE = ClusterSite(
    engine="slurm",
    time="00:10:00",
    nodes=1,
    tasks=1,
    cpus_per_task=1,
    simultaneous=4,
    setup=(),
    launcher="",
)
PATIENCE_S = 500.0
REBOOT_S = 14.0
"""Slurm misses a job on a node that returns only if the job is older than BatchStartTimeout and MessageTimeout."""


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with slurm_bed(cpus=4) as running:
        yield running


@pytest.fixture(autouse=True)
def _in_bed(bed: Bed, cp2k: Program, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test starts with an empty queue, and leaves one."""
    for name, value in bed.environment.items():
        monkeypatch.setenv(name, value)
    yield
    bed.call("scancel", "--full", f"--user={os.getuid()}")
    bed.wait_until_empty(timeout=60)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cp2k: Program) -> float:
    """Final energy, eV, of the run on this machine without Slurm."""
    verdict = run_segment(water(tmp_path_factory.mktemp("undisturbed") / "run"), program=cp2k)
    assert verdict.run is not None
    assert verdict.run.energy_ev is not None
    return verdict.run.energy_ev


def wait_until(condition: Callable[[], bool], *, seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.1)


def assert_finished_once(folders: list[RunFolder], undisturbed: float) -> None:
    for folder in folders:
        verdict = verdict_of(folder)
        assert verdict is not None, f"{folder.path} never started"
        logs = [log.read_text() for log in sorted(folder.path.parents[0].glob("slurm/*.log"))]
        assert verdict.outcome == "done", (folder.path.name, verdict.reason, logs)
        assert verdict.run is not None
        assert verdict.run.energy_ev == pytest.approx(undisturbed, abs=SAME_EV)
        outputs = [folder.path / "run.out", *folder.path.glob("run.out.*")]
        completed = sum("GEOMETRY OPTIMIZATION COMPLETED" in out.read_text(errors="replace") for out in outputs)
        assert completed == 1
        assert (folder.path / "result.json").exists()
        assert not is_busy(folder.path)


def test_campaign_of_twelve_runs_finishes_and_is_never_submitted_twice(
    bed: Bed, tmp_path: Path, undisturbed: float
) -> None:
    names = ["plain", "with blank", "-dash", "quote'", 'double"', "$(touch bad)", "semi;colon", "a&b", "`x`", "ü"]
    folders = [water(tmp_path / name) for name in [*names, "sub/eleven", "sub/twelve"]]
    assert submit_array(folders, root=tmp_path, site=SITE, dry_run=True).n_runs == 12
    assert not (tmp_path / "slurm").exists()
    first = submit_array(folders, root=tmp_path, site=SITE)
    assert (first.engine, len(first.job_ids), first.n_runs) == ("sbatch", 1, 12)
    second = submit_array(folders, root=tmp_path, site=SITE)
    assert (second.job_ids, second.n_runs) == ((), 0)
    assert "12 have a job already" in second.note
    assert {task.folder for task in queued_tasks(tmp_path)} == {folder.path.resolve() for folder in folders}
    bed.wait_until_empty(timeout=PATIENCE_S)
    assert_finished_once(folders, undisturbed)
    assert all(folder.n_segments == 1 for folder in folders)
    assert not list(tmp_path.rglob("bad"))
    third = submit_array(folders, root=tmp_path, site=SITE)
    assert (third.n_runs, "12 done" in third.note) == (0, True)
    assert [folder.path for folder in find_run_folders([tmp_path])] == sorted(folder.path for folder in folders)


@pytest.mark.parametrize("moment", ["before sbatch", "after sbatch"])
def test_kill_of_the_submitting_process_neither_loses_nor_doubles(
    moment: str, bed: Bed, tmp_path: Path, undisturbed: float
) -> None:
    """A wrapper named sbatch holds the submission up; it is killed there, and then submitted again."""
    folders = [water(tmp_path / "campaign" / name) for name in "ab"]
    tools, mark = tmp_path / "tools", tmp_path / "reached"
    tools.mkdir()
    real = shutil.which("sbatch")
    steps = [f'touch "{mark}"; sleep 3', f'"{real}" "$@"']
    script = "\n".join(["#!/bin/sh", *(steps if moment == "before sbatch" else [steps[1], steps[0]])]) + "\n"
    (tools / "sbatch").write_text(script)
    (tools / "sbatch").chmod(0o755)
    code = (
        "import sys; from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from test_slurm_campaign import SITE, submit_array, find_run_folders\n"
        "root = Path(sys.argv[1]); submit_array(find_run_folders([root]), root=root, site=SITE)\n"
    )
    submitter = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "campaign"), str(Path(__file__).parent)],
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
    )
    wait_until(mark.exists)
    submitter.kill()
    submitter.wait()
    with pytest.raises(ToolError, match="another 'qdip submit' is at work"):
        submit_array(folders, root=tmp_path / "campaign", site=SITE)
    wait_until(lambda: _submitted(folders, tmp_path / "campaign"))
    bed.wait_until_empty(timeout=PATIENCE_S)
    assert_finished_once(folders, undisturbed)
    assert all(folder.n_segments == 1 for folder in folders)
    assert len(list((tmp_path / "campaign" / "slurm").glob("*.sbatch"))) == 1


def _submitted(folders: list[RunFolder], root: Path) -> bool:
    try:
        submit_array(folders, root=root, site=SITE)
    except ToolError:
        return False
    return True


def test_scancel_and_from_laptop_to_cluster_and_back(
    bed: Bed, tmp_path: Path, cp2k: Program, undisturbed: float
) -> None:
    """Killed on the laptop, moved, continued on the cluster, cancelled there, moved back, finished on the laptop."""
    folder = water(tmp_path / "laptop" / "run", trust_radius=SHORT_STEPS)

    def kill(process: "subprocess.Popen[bytes]") -> None:
        wait_until(lambda: energies_printed(folder.path) >= 2)
        process.kill()

    assert run_segment(folder, program=cp2k, started=kill).outcome == "again"
    shutil.move(tmp_path / "laptop", tmp_path / "cluster")
    there = open_run_folder(tmp_path / "cluster" / "run")
    job = submit_array([there], root=tmp_path / "cluster", site=SITE).job_ids[0]
    wait_until(lambda: energies_printed(there.path) >= 4)
    bed.call("scancel", job)
    bed.wait_until_empty(timeout=60)
    verdict = verdict_of(there)
    assert verdict is not None
    shutil.copytree(tmp_path / "cluster", tmp_path / "back")
    home = open_run_folder(tmp_path / "back" / "run")
    assert queued_tasks(tmp_path / "back") == []
    while verdict.outcome == "again":
        verdict = run_segment(home, program=cp2k)
    assert_finished_once([home], undisturbed)
    resubmitted = submit_array([there], root=tmp_path / "cluster", site=SITE)
    bed.wait_until_empty(timeout=PATIENCE_S)
    assert resubmitted.n_runs in (0, 1)
    assert_finished_once([there], undisturbed)


_REVOKED_S = 2.0


def start_now(bed: Bed) -> None:
    """Spare the two minutes for which Slurm holds back a job that it queued again."""

    def queue() -> list[str]:
        return bed.call("squeue", "--noheader", "--array", "--format=%i %r").splitlines()

    wait_until(lambda: bool(held := queue()) and all(line.endswith(" BeginTime") for line in held))
    # Slurm revokes the credential of the first life by the second: a job that starts anew within it is refused.
    time.sleep(_REVOKED_S)
    for line in queue():
        bed.call("scontrol", "update", f"JobId={line.split()[0]}", "StartTime=now")


def test_reboot_of_the_node_brings_the_run_back_by_itself(bed: Bed, tmp_path: Path, undisturbed: float) -> None:
    """slurmd, its step daemon and CP2K die at once; the node returns, and Slurm queues the task again."""
    folder = water(tmp_path / "run", trust_radius=SHORT_STEPS)
    submit_array([folder], root=tmp_path, site=SITE)
    wait_until(lambda: energies_printed(folder.path) >= 2)
    bed.kill("slurmd")
    for number in (signal.SIGSTOP, signal.SIGKILL, signal.SIGKILL):
        for pid in _processes_of(folder.path, bed):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    time.sleep(REBOOT_S)
    bed.start("slurmd")
    bed.wait_until_up()
    start_now(bed)
    bed.wait_until_empty(timeout=PATIENCE_S)
    assert_finished_once([folder], undisturbed)
    assert folder.n_segments <= 3


def _processes_of(folder: Path, bed: Bed) -> list[int]:
    """Step daemons of the bed, and whatever works in the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace")
            environment = (entry / "environ").read_bytes().decode(errors="replace")
            here = (entry / "cwd").resolve()
        except OSError:
            continue
        ours = "SLURM_JOB_ID=" in environment and str(bed.folder) in environment
        if int(entry.name) != os.getpid() and (ours or here == folder.resolve() or _is_step(words, entry, bed)):
            found.append(int(entry.name))
    return found


def _is_step(words: str, entry: Path, bed: Bed) -> bool:
    return words.startswith("slurmstepd") and str(bed.folder) in (entry / "environ").read_text(errors="replace")


def test_unfinished_segment_queues_itself_again(bed: Bed, tmp_path: Path, undisturbed: float) -> None:
    """A task that is told that its time is up (USR1) goes back to the queue and finishes in its second life."""
    folder = water(tmp_path / "run")
    job = submit_array([folder], root=tmp_path, site=SITE).job_ids[0]
    wait_until(lambda: energies_printed(folder.path) >= 2)
    bed.call("scancel", "--batch", "--signal=USR1", f"{job}_1")
    start_now(bed)
    bed.wait_until_empty(timeout=PATIENCE_S)
    assert_finished_once([folder], undisturbed)


def test_array_waits_for_another_job_and_is_dropped_when_that_fails(bed: Bed, tmp_path: Path) -> None:
    folder = water(tmp_path / "run")
    other = bed.call("sbatch", "--parsable", "--output=/dev/null", "--wrap", "sleep 1; false")
    submit_array([folder], root=tmp_path, site=SITE, after=[other])
    bed.wait_until_empty(timeout=120)
    assert verdict_of(folder) is None
    assert plan_array([folder], root=tmp_path).n_runs == 1
    with pytest.raises(UsageError, match="no Slurm job number"):
        submit_array([folder], root=tmp_path, site=SITE, after=["1; rm"])


def test_folder_that_somebody_works_in_gets_no_job(tmp_path: Path) -> None:
    from qdip_struct.campaign.engines.lock import exclusive

    folder = water(tmp_path / "run")
    with exclusive(folder.path):
        answer = submit_array([folder], root=tmp_path, site=SITE)
    assert (answer.n_runs, "1 are being run by somebody else" in answer.note) == (0, True)
    with pytest.raises(UsageError, match="does not lie in"):
        submit_array([folder], root=tmp_path / "elsewhere", site=SITE)


@pytest.mark.skipif(sys.platform != "linux", reason="the daemons are tied to their parent by prctl(2)")
def test_daemons_end_with_a_killed_test_run() -> None:
    script = Path(__file__).with_name("slurm_bed.py")
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        folder = Path(parent.stdout.readline().strip().partition("=")[2]).parent
        pids = [int((folder / f"{name}.pid").read_text()) for name in ("munge", "slurmctld", "slurmd")]
        assert all(_is_alive(pid) for pid in pids)
        parent.kill()
    wait_until(lambda: not any(_is_alive(pid) for pid in pids), seconds=30)
    shutil.rmtree(folder)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
