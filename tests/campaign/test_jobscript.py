"""Job scripts: valid shell, nothing unquoted from names, sites refused by key; costs within their stated range."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qdip_struct.base.errors import UsageError
from qdip_struct.campaign.engines.jobscript import job_script, load_site, run_list, script_name
from qdip_struct.runs.cost import UNCERTAINTY, estimate

SITES = ("laptop", "slurm", "pbs")


@pytest.mark.parametrize("name", SITES)
def test_shipped_sites_give_valid_shell(name: str, tmp_path: Path) -> None:
    site = load_site(name)
    script = tmp_path / script_name(site)
    script.write_text(job_script(site, n_runs=3))
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert "qdip segment" in script.read_text()
    assert script.read_text() == job_script(site, n_runs=3)


def test_cp2k_is_told_to_stop_before_the_job_ends() -> None:
    site = load_site("slurm")
    for time, walltime in (("24:00:00", 86400 - 4320), ("02:00:00", 7200 - 600), ("00:10:00", 300)):
        assert replace(site, time=time).walltime_s == walltime


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdip_struct.campaign.engines.jobscript._PAUSE_S", 0)


def test_script_for_this_machine_runs_every_folder_and_goes_on_until_done(tmp_path: Path) -> None:
    """A stand-in for qdip exits with 75 on the first call for each folder: names with blanks and quotes included."""
    names = ["plain", "with blank", "quote'and$(touch bad)", "-dash"]
    log, stub = tmp_path / "log", tmp_path / "bin" / "qdip"
    stub.parent.mkdir()
    stub.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$2" >> "$LOG"\nif [ "$(grep -cFx -- "$2" "$LOG")" = 1 ]; then exit 75; fi\nexit 0\n'
    )
    stub.chmod(0o755)
    site = load_site("laptop")
    script = tmp_path / script_name(site)
    script.write_text(job_script(site, n_runs=len(names)))
    (tmp_path / "runs.txt").write_text(run_list(names))
    environment = {"PATH": f"{stub.parent}:/usr/bin:/bin", "LOG": str(log)}
    subprocess.run(["bash", str(script)], env=environment, cwd=tmp_path, check=True, timeout=60)
    assert log.read_text().splitlines() == [f"./{name}" for name in names for _ in range(2)]
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("name", SITES)
def test_pre_relaxation_takes_one_process_and_no_launcher(name: str, tmp_path: Path) -> None:
    text = job_script(load_site(name), n_runs=2, step="relax")
    script = tmp_path / "job"
    script.write_text(text)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert 'qdip run "./$run" --relax-only --nproc' in text
    assert not any(word in text for word in ("--launcher", "--walltime", "--ntasks=32"))


def script_with_stand_ins(tmp_path: Path, site_name: str, *, requeue: str, runs: list[str]) -> tuple[Path, Path, str]:
    """A site's script, the file that its calls go to, and a PATH where ``qdip`` always asks to be run again."""
    calls, tools = tmp_path / "calls", tmp_path / "bin"
    tools.mkdir()
    for name, code in (("qdip", 75), (requeue, 0)):
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{calls}"\nexit {code}\n')
        (tools / name).chmod(0o755)
    site = replace(load_site(site_name), setup=())
    script = tmp_path / script_name(site)
    script.write_text(job_script(site, n_runs=len(runs)))
    (tmp_path / "runs.txt").write_text(run_list(runs))
    return script, calls, f"{tools}:/usr/bin:/bin"


def test_pbs_task_picks_its_line_and_reruns_itself(tmp_path: Path) -> None:
    """The script alone, with stand-ins: no PBS has run it."""
    runs = ["one", "$(touch bad) 'two'"]
    script, calls, path = script_with_stand_ins(tmp_path, "pbs", requeue="qrerun", runs=runs)
    environment = {
        "PATH": path,
        "PBS_ARRAY_INDEX": "2",
        "PBS_JOBID": "77[2].server",
        "PBS_O_WORKDIR": str(tmp_path),
    }
    assert subprocess.run(["bash", str(script)], env=environment, check=False, timeout=60).returncode == 0
    lines = calls.read_text().splitlines()
    assert lines[0].startswith("qdip segment ./$(touch bad) 'two' --threads 2 --launcher mpirun -n 32 --walltime")
    assert lines[-1] == "qrerun 77[2].server"
    assert not (tmp_path / "bad").exists()
    restarted = {**environment, "PBS_RUNCOUNT": "101"}
    assert subprocess.run(["bash", str(script)], env=restarted, check=False, timeout=60).returncode == 75
    gone = {**environment, "PBS_ARRAY_INDEX": "3"}
    assert subprocess.run(["bash", str(script)], env=gone, check=False, timeout=60).returncode == 1


def test_slurm_array_picks_its_line_and_requeues_itself(tmp_path: Path) -> None:
    script, calls, path = script_with_stand_ins(tmp_path, "slurm", requeue="scontrol", runs=["one", "two two"])
    environment = {
        "PATH": path,
        "SLURM_ARRAY_TASK_ID": "2",
        "SLURM_ARRAY_JOB_ID": "77",
        "SLURM_SUBMIT_DIR": str(tmp_path),
    }
    done = subprocess.run(["bash", str(script)], env=environment, check=False, timeout=60)
    assert done.returncode == 0
    lines = calls.read_text().splitlines()
    assert lines[0] == "qdip segment ./two two --threads 2 --launcher srun -n 32 --walltime 82080"
    assert [line.split()[0] for line in lines] == ["qdip"] * 3 + ["scontrol"]
    assert lines[-1] == "scontrol requeue 77_2"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("engine: slurm", "engine is slurm, pbs or shell"),
        ("tasks: 32", "tasks is a positive whole number"),
        ("partition: null", "partition is one word"),
        ('time: "24:00:00"', "time is HH:MM:SS"),
        ("account: null", "the key 'account' is missing"),
    ],
)
def test_wrong_site_files_are_refused_by_key(change: str, message: str, tmp_path: Path) -> None:
    from qdip_struct.base.files import shipped

    wrong = {
        "engine: slurm": "engine: lsf",
        "tasks: 32": "tasks: many",
        "partition: null": "partition: a; rm -rf /",
        'time: "24:00:00"': "time: 1-00",
        "account: null": "budget: null",
    }
    text = shipped("workflows", "sites", "slurm.yaml").read_text()
    assert change in text
    site = tmp_path / "mine.yaml"
    site.write_text(text.replace(change, wrong[change]))
    with pytest.raises(UsageError, match=message) as caught:
        load_site(str(site))
    assert "mine.yaml" in str(caught.value)


def test_unknown_site_and_broken_names_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown site 'moon'"):
        load_site("moon")
    with pytest.raises(UsageError, match="line break"):
        run_list(["a\nb"])
    with pytest.raises(UsageError, match="not UTF-8"):
        run_list(["a\udcff"])


@pytest.mark.parametrize(("atoms", "seconds", "gigabytes"), [(64, 5.9, 0.7), (216, 39.5, 2.6)])
def test_estimates_cover_measured_timings(atoms: int, seconds: float, gigabytes: float) -> None:
    """OT at Γ for PbS, seconds per SCF step and memory, measured with CP2K 2023.1 on one core."""
    cost = estimate(n_electrons=5 * atoms, volume=26.6 * atoms, mesh=None, cutoff=300, geometry_steps=0)
    assert 1 / UNCERTAINTY < cost.core_hours_per_scf_step * 3600 / seconds < UNCERTAINTY
    assert 1 / UNCERTAINTY < cost.memory_gb / gigabytes < UNCERTAINTY
    low, high = cost.range_core_hours
    assert low < cost.core_hours < high


def test_inputs_for_a_site_write_script_list_and_walltime(
    qdip: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    from qdip_struct.base.files import shipped

    structure = shipped("workflows", "interface_energy", "reference", "runs", "film", "structure.extxyz")
    code, out, _ = qdip("inputs", structure, "--preset", "quick", "--site", "slurm", "-o", tmp_path / "runs")
    assert code == 0
    assert "core-h" in out
    assert (tmp_path / "runs" / "runs.txt").read_text() == "structure\n"
    assert "WALLTIME 82080" in (tmp_path / "runs" / "structure" / "run.inp").read_text()
    code, _, err = qdip("inputs", structure, "--preset", "quick", "--site", "slurm", "-o", tmp_path / "runs")
    assert (code, "--force" in err) == (2, True)
