"""What is handed to Slurm, with stand-ins for its commands: without a Slurm, and with answers it rarely gives."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from water import water

from qdip_struct.base.errors import ToolError, UsageError
from qdip_struct.campaign.engines.jobscript import load_site
from qdip_struct.campaign.engines.sbatch import plan_array, queued_tasks, submit_array
from qdip_struct.runs.rundir import RunFolder, open_run_folder

SITE = replace(load_site("slurm"), setup=(), simultaneous=4)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-ins: an empty queue, arrays of at most two tasks, jobs numbered from 100."""
    place = tmp_path / "tools"
    place.mkdir()
    stand_in(place, "squeue", "exit 0")
    stand_in(place, "scontrol", "echo 'MaxArraySize = 3'")
    stand_in(place, "sbatch", f'echo "$@" >> "{place}/calls"; n=$(wc -l < "{place}/calls"); echo "$((99 + n));cluster"')
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return place


def stand_in(tools: Path, name: str, body: str) -> None:
    (tools / name).write_text(f"#!/bin/sh\n{body}\n")
    (tools / name).chmod(0o755)


def campaign(root: Path, *names: str, relax: tuple[str, ...] = ()) -> list[RunFolder]:
    folders = []
    for name in names:
        folder = water(root / name)
        if name in relax:
            place = folder.path / "run.json"
            place.write_text(json.dumps({**json.loads(place.read_text()), "relax": {"model": "chgnet"}}))
        folders.append(open_run_folder(folder.path))
    return folders


def test_large_campaigns_are_split_at_the_largest_array(tools: Path, tmp_path: Path) -> None:
    root = tmp_path / "c"
    answer = submit_array(campaign(root, *"abcde"), root=root, site=SITE)
    assert (answer.job_ids, answer.n_runs) == (("100", "101", "102"), 5)
    lists = [(root / "slurm" / f"{number}.runs.txt").read_text() for number in (1, 2, 3)]
    assert lists == ["a\nb\n", "c\nd\n", "e\n"]
    assert "--array=1-2%1" in (root / "slurm" / "1.sbatch").read_text()
    for script in (root / "slurm").glob("*.sbatch"):
        assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_relaxation_goes_first_task_by_task(tools: Path, tmp_path: Path) -> None:
    root = tmp_path / "c"
    folders = campaign(root, "a", "b", relax=("b",))
    answer = submit_array(folders, root=root, site=SITE, after=["7"])
    assert answer.job_ids == ("100", "101", "102")
    first, second, third = (tools / "calls").read_text().splitlines()
    assert "--dependency=afterok:7" in first
    assert "--dependency=afterok:7" in second
    assert "--dependency=aftercorr:101" in third
    relaxation = (root / "slurm" / "2.sbatch").read_text()
    assert 'run "./$run" --relax-only --nproc 16' in relaxation
    assert "--ntasks=1\n" in relaxation
    assert "srun" not in relaxation
    assert (root / "slurm" / "2.runs.txt").read_text() == (root / "slurm" / "3.runs.txt").read_text() == "b\n"


def test_queue_decides_by_name_whatever_was_recorded(tools: Path, tmp_path: Path) -> None:
    root = tmp_path / "c"
    folders = campaign(root, "a", "b")
    submit_array(folders, root=root, site=SITE)
    name = next(
        line.split("=")[1] for line in (root / "slurm" / "1.sbatch").read_text().splitlines() if "--job-name" in line
    )
    stand_in(tools, "squeue", f"echo '100 1 RUNNING {name}'; echo '100 2 CANCELLED {name}'; echo '9 1 RUNNING other'")
    assert [(task.job_id, task.state, task.folder.name) for task in queued_tasks(root)] == [("100_1", "RUNNING", "a")]
    assert plan_array(folders, root=root).arrays == (("b",),)
    root.rename(tmp_path / "copy")
    assert queued_tasks(tmp_path / "copy") == [], "jobs of another place are not this one's"


def test_controller_that_answers_too_late_may_have_taken_the_job(tools: Path, tmp_path: Path) -> None:
    root = tmp_path / "c"
    stand_in(tools, "sbatch", "echo 'Socket timed out on send/recv operation' >&2; exit 1")
    with pytest.raises(ToolError, match="sbatch failed: Socket timed out"):
        submit_array(campaign(root, "a"), root=root, site=SITE)
    stand_in(tools, "squeue", 'case "$*" in *--name*) echo 55;; esac')
    assert submit_array([open_run_folder(root / "a")], root=root, site=SITE).job_ids == ("55",)


def test_nobody_submits_blindly(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "c"
    folders = campaign(root, "a")
    submit_array(folders, root=root, site=SITE)
    stand_in(tools, "squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(ToolError, match="squeue failed: Unable to contact"):
        submit_array(folders, root=root, site=SITE)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="squeue was not found"):
        submit_array(folders, root=root, site=SITE)
    with pytest.raises(UsageError, match="engine is slurm"):
        submit_array(folders, root=root, site=load_site("laptop"))
    bad = water(tmp_path / "d" / "two\nlines")
    with pytest.raises(UsageError, match="line break"):
        submit_array([bad], root=tmp_path / "d", site=SITE)
