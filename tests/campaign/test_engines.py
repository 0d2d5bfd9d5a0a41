"""The local engine: every run once, whatever is killed, called twice or damaged; pre-relaxed structures reach CP2K."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from qdip_struct.base.cp2k_input import parse_input
from qdip_struct.base.errors import ToolError, UsageError
from qdip_struct.campaign.engines.engine import Engine, Order, Queue, Submission
from qdip_struct.campaign.engines.engines import ENGINES, queued_folders, submit, tells_time_left
from qdip_struct.campaign.engines.jobscript import load_site
from qdip_struct.campaign.engines.local import run_locally
from qdip_struct.campaign.engines.prerelax import relax_folder
from qdip_struct.campaign.folder import open_campaign, write_campaign
from qdip_struct.campaign.plan import make_plan
from qdip_struct.campaign.spec import load_spec
from qdip_struct.campaign.status import status_of
from qdip_struct.cli.main import main
from qdip_struct.cp2k.inputs.input_settings import read_subsys
from qdip_struct.cp2k.program import Program
from qdip_struct.materials.structure_files import read_structure
from qdip_struct.runs.rundir import RunFolder, needs_relaxation, open_run_folder

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
TWELVE = """\
name: twelve
build: {bulk: {material: CsBr}}
vary:
  lattice: [4.10, 4.15, 4.20, 4.25, 4.30, 4.35]
  kpoints: {gamma: "1,1,1", mesh: "2,2,2"}
inputs:
  preset: quick
  set: [FORCE_EVAL/DFT/MGRID/CUTOFF=150, FORCE_EVAL/DFT/SCF/EPS_SCF=1E-5]
"""


def campaign(text: str, tmp_path: Path, name: str = "camp") -> list[RunFolder]:
    source = tmp_path / "source"
    source.mkdir(exist_ok=True)
    (source / "campaign.yaml").write_text(text)
    written = write_campaign(make_plan(load_spec(source), processes=1), tmp_path / name)
    return written.index.run_folders()[0]


@pytest.fixture
def stand_in(tmp_path: Path) -> Program:
    """A program that takes a while, writes a line per start to a common log, and prints a real output."""
    script = tmp_path / "stand-in"
    script.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, sys, time\n"
        f"with open({str(tmp_path / 'starts')!r}, 'a') as log: log.write(os.getcwd() + chr(10))\n"
        f"time.sleep(float(pathlib.Path({str(tmp_path / 'delay')!r}).read_text()))\n"
        f"sys.stdout.write(pathlib.Path({str(RUNS / 'energy' / 'run.out')!r}).read_text())\n"
    )
    script.chmod(0o755)
    (tmp_path / "delay").write_text("0.05")
    return Program(script, "2023.1")


def starts(tmp_path: Path) -> list[str]:
    log = tmp_path / "starts"
    return sorted(log.read_text().split("\n")[:-1]) if log.exists() else []


def engine_process(tmp_path: Path, program: Program) -> "subprocess.Popen[bytes]":
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from qdip_struct.campaign.engines.local import run_locally\n"
        "from qdip_struct.campaign.folder import open_campaign\n"
        "from qdip_struct.cp2k.program import Program\n"
        "program = Program(Path(sys.argv[2]), '2023.1')\n"
        "watches = run_locally(open_campaign(Path(sys.argv[1])).run_folders()[0], program=program, cores=2)\n"
        "sys.exit(0 if all(w.state == 'done' for w in watches) else 3)\n"
    )
    return subprocess.Popen([sys.executable, "-c", code, tmp_path / "camp", program.path], stderr=subprocess.DEVNULL)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("never happened")


def run_all(folders: list[RunFolder], program: Program) -> None:
    watches = run_locally(folders, program=program, cores=2)
    assert [watch.state for watch in watches] == ["done"] * len(folders)


def assert_each_once(tmp_path: Path, folders: list[RunFolder]) -> None:
    """Every run has one output that counts, and nothing ran twice."""
    assert status_of([tmp_path / "camp"]).finished
    assert starts(tmp_path) == sorted(str(folder.path) for folder in folders)
    assert all(folder.n_segments == 1 for folder in folders)


def test_all_runs_end_once_and_again_nothing_starts(tmp_path: Path, stand_in: Program) -> None:
    folders = campaign(TWELVE, tmp_path)
    for _ in range(2):
        run_all(folders, stand_in)
    assert_each_once(tmp_path, folders)


def test_killed_submitter_leaves_nothing_twice(tmp_path: Path, stand_in: Program) -> None:
    """kill -9 while two runs are at work: they go on, the next call waits for them and runs the others."""
    folders = campaign(TWELVE, tmp_path)
    (tmp_path / "delay").write_text("1.0")
    process = engine_process(tmp_path, stand_in)
    wait_until(lambda: len(starts(tmp_path)) >= 3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (tmp_path / "delay").write_text("0.05")
    assert any(run.state == "running" for run in status_of([tmp_path / "camp"]).runs)
    run_all(folders, stand_in)
    assert_each_once(tmp_path, folders)


def test_two_engines_at_once_share_the_work(tmp_path: Path, stand_in: Program) -> None:
    folders = campaign(TWELVE, tmp_path)
    (tmp_path / "delay").write_text("0.2")
    both = [engine_process(tmp_path, stand_in) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert_each_once(tmp_path, folders)


def test_terminated_engine_ends_its_runs_and_goes_on_later(tmp_path: Path, stand_in: Program) -> None:
    folders = campaign(TWELVE, tmp_path)
    (tmp_path / "delay").write_text("30")
    process = engine_process(tmp_path, stand_in)
    wait_until(lambda: len(starts(tmp_path)) == 2)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    wait_until(lambda: not any(run.state == "running" for run in status_of([tmp_path / "camp"]).runs))
    (tmp_path / "delay").write_text("0.01")
    watches = run_locally(folders, program=stand_in, cores=2)
    assert [watch.state for watch in watches] == ["done"] * 12
    assert len(set(starts(tmp_path))) == 12


@pytest.mark.parametrize("content", ["", "{", '{"status": "done", "energy_ev": 1.0}', "\0" * 50])
def test_a_damaged_result_changes_no_energy(content: str, tmp_path: Path, stand_in: Program) -> None:
    folders = campaign(TWELVE, tmp_path)[:2]
    run_locally(folders, program=stand_in, cores=2)
    before = {run.path: run.energy_ev for run in status_of([tmp_path / "camp"]).runs if run.state == "done"}
    (folders[0].path / "result.json").write_text(content)
    run_locally(folders, program=stand_in, cores=2)
    after = {run.path: run.energy_ev for run in status_of([tmp_path / "camp"]).runs if run.state == "done"}
    assert after == before
    assert len(before) == 2
    assert len(starts(tmp_path)) == 2


def test_a_half_run_campaign_moves_and_goes_on(tmp_path: Path, stand_in: Program) -> None:
    folders = campaign(TWELVE, tmp_path)
    run_locally(folders[:5], program=stand_in, cores=2)
    moved = tmp_path / "other place" / "camp'$(touch bad)"
    moved.parent.mkdir()
    shutil.move(tmp_path / "camp", moved)
    run_all(open_campaign(moved).run_folders()[0], stand_in)
    assert len(starts(tmp_path)) == 12
    assert status_of([moved]).counts == {"done": 12}
    assert not list(tmp_path.rglob("bad"))


def test_engines_are_named_and_need_what_they_need(tmp_path: Path) -> None:
    wrong: Any = "cloud"
    with pytest.raises(UsageError, match="unknown engine 'cloud'; known: local, sbatch, aiida"):
        submit([], engine=wrong, root=tmp_path)
    with pytest.raises(UsageError, match="needs a site"):
        submit([], engine="sbatch", root=tmp_path)


def test_a_row_of_the_table_is_all_that_an_engine_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A queue that nobody knew yet: its help, its site, its orders, its jobs, its programs and its time limit."""
    orders: list[Order] = []

    def take(order: Order) -> Submission:
        orders.append(order)
        return Submission("pbs", ("7",), len(order.folders), "taken")

    def jobs(root: Path) -> list[Path]:
        if root == tmp_path:
            raise ToolError("qstat is away")
        return [folder.path.resolve() for order in orders for folder in order.folders][:1]

    pbs = Engine("pbs", "a queue", take, site="pbs", queue=Queue("pbs", "PBS", jobs), programs={"qsub": "ask"})
    site = load_site("pbs")
    assert not tells_time_left(site)
    monkeypatch.setitem(ENGINES, "pbs", pbs)
    assert tells_time_left(site)
    assert main(["submit", str(tmp_path), "--engine", "pbs"]) == 2
    assert "--engine pbs needs --site pbs" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["submit", "--help"])
    assert "  pbs     a queue\n" in capsys.readouterr().out
    main(["doctor", "--json"])
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["qsub"]["remedy"] == "ask"
    folders = campaign(TWELVE, tmp_path)
    assert main(["submit", str(tmp_path / "camp"), "--engine", "pbs", "--site", "pbs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["submission"]["job_ids"] == ["7"]
    assert len(orders[0].folders) == len(folders) and orders[0].site == site
    assert main(["status", str(tmp_path / "camp"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["counts"]["queued"] == 1
    assert queued_folders(tmp_path) == ([], ["what PBS has in its queue is not known: qstat is away"])


RELAXED = """\
name: relaxed
build: {bulk: {material: CsBr, cells: "2,1,1"}}
vary: {lattice: [4.2, 4.4]}
relax: {model: chgnet, fmax: 0.05, rattle: 0.05}
inputs: {preset: quick, kpoints: "1,2,2"}
"""


@pytest.fixture
def springs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """In the place of the potential: springs that hold every atom 0.1 Å above where it was built."""
    from ase.calculators.calculator import Calculator, all_changes

    from qdip_struct.mlip import models

    calls: list[int] = []

    class Springs(Calculator):
        implemented_properties = ("energy", "forces")
        homes: dict[int, np.ndarray] = {}  # noqa: RUF012

        def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
            super().calculate(atoms, properties, system_changes)
            home = np.round(atoms.get_scaled_positions() * 4) / 4 @ atoms.cell.array + np.array([0, 0, 0.1])
            away = atoms.positions - home
            away -= np.round(away @ np.linalg.inv(atoms.cell.array)) @ atoms.cell.array
            self.results = {"energy": 2.0 * float((away**2).sum()), "forces": -4.0 * away}

    def load(name: str, **options: Any) -> Any:
        calls.append(1)
        return SimpleNamespace(calculator=Springs())

    monkeypatch.setattr(models, "load_model", load)
    return calls


def coordinates(folder: RunFolder) -> np.ndarray:
    subsys = read_subsys(parse_input((folder.path / "run.inp").read_text()), folder=None)
    assert subsys is not None
    return subsys.positions


def test_the_relaxed_structure_is_what_cp2k_gets(tmp_path: Path, springs: list[int], stand_in: Program) -> None:
    folders = campaign(RELAXED, tmp_path)
    built = coordinates(folders[0])
    assert all(map(needs_relaxation, folders))
    watches = run_locally(folders, program=stand_in, cores=2)
    assert [watch.state for watch in watches] == ["done", "done"]
    assert len(springs) == 2
    folder = open_run_folder(folders[0].path)
    assert not needs_relaxation(folder)
    moved = coordinates(folder) - built
    assert np.allclose(moved - moved.mean(axis=0), 0, atol=0.02)
    assert moved[:, 2].mean() == pytest.approx(0.1, abs=0.02)
    relaxed = read_structure(folder.path / "relaxed.extxyz")
    assert np.allclose(relaxed.positions, coordinates(folder), atol=1e-8)
    start = read_structure(folder.path / "structure.extxyz")
    assert (relaxed.get_array("region") == start.get_array("region")).all()
    report = json.loads((folder.path / "relaxed.json").read_text())
    assert report["converged"]
    assert not list(folder.path.glob("*.npz"))
    # The plan still knows the folder for its own, and a second call relaxes nothing.
    campaign(RELAXED, tmp_path)
    relax_folder(folder)
    assert len(springs) == 2


def test_an_interrupted_relaxation_goes_on_to_the_same_input(tmp_path: Path, springs: list[int]) -> None:
    whole, broken = campaign(RELAXED, tmp_path)[0], campaign(RELAXED, tmp_path, name="second")[0]
    relax_folder(whole)

    class PowerCutError(Exception):
        pass

    def stop(step: int, force: float, energy: float) -> None:
        if step == 3:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        relax_folder(broken, progress=stop)
    assert needs_relaxation(broken)
    relax_folder(broken)
    assert (broken.path / "run.inp").read_text() == (whole.path / "run.inp").read_text()


def test_a_relaxation_that_does_not_end_is_a_reason(tmp_path: Path, springs: list[int], stand_in: Program) -> None:
    folders = campaign(RELAXED.replace("fmax: 0.05", "fmax: 0.05, max-steps: 2"), tmp_path)
    with pytest.raises(ToolError, match=r"did not reach 0.05 eV/Å within 2 steps .*raise relax.max-steps"):
        relax_folder(folders[0])
    watches = run_locally(folders, program=stand_in, cores=2)
    assert [watch.state for watch in watches] == ["failed", "failed"]
    assert starts(tmp_path) == []


def test_relax_only_is_a_command(tmp_path: Path, springs: list[int], qdip: Callable[..., tuple[int, str, str]]) -> None:
    campaign(RELAXED, tmp_path)
    code, out, _ = qdip("run", tmp_path / "camp", "--relax-only")
    assert (code, out.count("relaxed")) == (0, 2)
    assert {run.state for run in status_of([tmp_path / "camp"]).runs} == {"waiting"}


@pytest.mark.cp2k
@pytest.mark.slow
def test_twelve_real_runs_finish_once_after_a_kill(tmp_path: Path, cp2k: Program) -> None:
    """The campaign with the real CP2K: killed after the third start, continued; energies fall smoothly with volume."""
    folders = campaign(TWELVE, tmp_path)
    process = engine_process(tmp_path, cp2k)
    wait_until(lambda: sum((folder.path / "run.out").exists() for folder in folders) >= 3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    watches = run_locally(folders, program=cp2k, cores=2)
    assert [watch.state for watch in watches] == ["done"] * 12
    assert all(folder.n_segments == 1 for folder in folders)
    found = status_of([tmp_path / "camp"])
    meshes = [run.energy_ev for run in found.runs if "_mesh" in run.path]
    assert found.counts == {"done": 12}
    assert all(energy is not None for energy in meshes)
    second = np.diff(np.array(meshes, dtype=float), 2)
    assert (second > 0).all()
