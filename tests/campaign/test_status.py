"""How runs stand: every state from the folder alone, finished outputs are not read again, nothing is disturbed."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qdip_struct.base.errors import DataError
from qdip_struct.campaign.engines.lock import exclusive
from qdip_struct.campaign.engines.segment import run_segment
from qdip_struct.campaign.folder import write_campaign
from qdip_struct.campaign.plan import make_plan
from qdip_struct.campaign.spec import load_spec
from qdip_struct.campaign.status import locked_inodes, status_of
from qdip_struct.cp2k.program import Program
from qdip_struct.runs.collection import collect, quick_result
from qdip_struct.runs.rundir import open_run_folder

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
CRYSTALS = """\
name: crystals
build: {bulk: {material: CsBr}}
vary: {lattice: [4.1, 4.2, 4.3, 4.4, 4.5, 4.6]}
inputs: {preset: quick, kpoints: "2,2,2"}
"""
SHARED = """\
name: shared
build: {slab: {material: PbS, vacuum: 12}}
vary: {layers: [1, 3]}
inputs: {preset: quick}
"""


def campaign(text: str, tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir(exist_ok=True)
    (source / "campaign.yaml").write_text(text)
    write_campaign(make_plan(load_spec(source), processes=1), tmp_path / "camp")
    return tmp_path / "camp"


def put(folder: Path, name: str, number: int = 1) -> Path:
    """A real output in a run folder."""
    target = folder / ("run.out" if number == 1 else f"run.out.{number}")
    shutil.copy(RUNS / name / "run.out", target)
    return target


def states(root: Path) -> dict[str, str]:
    return {Path(run.path).parent.name: run.state for run in status_of([root]).runs}


def test_every_state_is_told_from_the_folder(tmp_path: Path) -> None:
    root = campaign(CRYSTALS, tmp_path)
    put(root / "lattice4.1" / "bulk", "energy")
    put(root / "lattice4.2" / "bulk", "unconverged")
    put(root / "lattice4.3" / "bulk", "killed")
    shutil.rmtree(root / "lattice4.4" / "bulk")
    with exclusive(root / "lattice4.5" / "bulk"):
        found = status_of([root])
    told = {Path(run.path).parent.name: (run.state, run.reason) for run in found.runs}
    assert [told[f"lattice4.{k}"][0] for k in range(1, 7)] == [
        "done",
        "failed",
        "again",
        "missing",
        "running",
        "waiting",
    ]
    assert "scf_unconverged" in told["lattice4.2"][1]
    assert "submit the campaign again" in told["lattice4.4"][1]
    assert f"process {os.getpid()}" in told["lattice4.5"][1]
    assert found.counts == {"done": 1, "running": 1, "again": 1, "waiting": 1, "failed": 1, "missing": 1}
    assert not found.finished
    assert states(root)["lattice4.5"] == "waiting"
    assert next(run for run in found.runs if run.state == "done").energy_ev is not None


def test_a_shared_run_stands_in_each_group_and_counts_once(tmp_path: Path) -> None:
    root = campaign(SHARED, tmp_path)
    put(root / "layers1" / "slab_bulk", "energy")
    found = status_of([root])
    assert len(found.own) == 3
    assert {run.state for run in found.groups()["layers3"] if run.role == "substrate_bulk"} == {"done"}
    assert found.counts == {"done": 1, "waiting": 2}
    # The same folders without the index: found by looking for them.
    (root / "campaign.json").unlink()
    assert status_of([root]).counts == {"done": 1, "waiting": 2}


def test_finished_outputs_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = campaign(CRYSTALS, tmp_path)
    output = put(root / "lattice4.1" / "bulk", "energy")
    time.sleep(0.05)  # a clock tick of the file system between an output and its result
    energy = next(run.energy_ev for run in status_of([root]).runs if run.state == "done")

    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} is read again")

    with monkeypatch.context() as patch:
        patch.setattr("qdip_struct.campaign.status._read", refuse)
        assert next(run.energy_ev for run in status_of([root]).runs if run.state == "done") == energy
    # Other content of the same size, with the old time put back: looked at anew.
    times = (output.stat().st_atime_ns, output.stat().st_mtime_ns)
    output.write_bytes(b"x" * output.stat().st_size)
    os.utime(output, ns=times)
    assert states(root)["lattice4.1"] == "again"


def test_an_output_that_grows_or_a_new_segment_is_read(tmp_path: Path) -> None:
    root = campaign(CRYSTALS, tmp_path)
    folder = root / "lattice4.1" / "bulk"
    put(folder, "killed")
    assert states(root)["lattice4.1"] == "again"
    put(folder, "energy", number=2)
    assert states(root)["lattice4.1"] == "done"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"status": "done"}', "\x00\x01", '{"status": "done", "outputs": 7}']
)
def test_a_damaged_result_is_read_from_the_output(content: str, tmp_path: Path) -> None:
    root = campaign(CRYSTALS, tmp_path)
    folder = root / "lattice4.1" / "bulk"
    put(folder, "unconverged")
    before = states(root)["lattice4.1"]
    (folder / "result.json").write_text(content)
    assert before == states(root)["lattice4.1"] == "failed"


def test_a_copy_without_its_times_is_believed_after_one_reading(tmp_path: Path) -> None:
    root = campaign(CRYSTALS, tmp_path)
    folder = root / "lattice4.1" / "bulk"
    output = put(folder, "energy")
    collect([root])
    later = time.time_ns() + 10_000_000_000
    os.utime(output, ns=(later, later))
    assert quick_result(folder, [output]) is None
    os.utime(output, ns=(1, 1))
    assert quick_result(folder, [output]) is None
    time.sleep(0.05)
    collect([root])
    assert quick_result(folder, [output]) is not None
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "done"


def test_looking_never_turns_a_run_away(tmp_path: Path) -> None:
    """Status takes no lock that is free: runs that start while it looks are not refused."""
    if locked_inodes() is None:
        pytest.skip("this system does not list its locks")
    root = campaign(CRYSTALS, tmp_path)
    folders = [root / f"lattice4.{k}" / "bulk" for k in range(1, 7)]
    for folder in folders:
        with exclusive(folder):
            pass
    code = (
        "import sys\nfrom pathlib import Path\nfrom qdip_struct.campaign.status import status_of\n"
        "for _ in range(40): status_of([Path(sys.argv[1])])\n"
    )
    looker = subprocess.Popen([sys.executable, "-c", code, root])
    while looker.poll() is None:
        for folder in folders:
            with exclusive(folder):
                pass
    assert looker.returncode == 0


def test_the_word_of_another_host_is_shown(tmp_path: Path) -> None:
    root = campaign(CRYSTALS, tmp_path)
    lock = root / "lattice4.1" / "bulk" / "run.lock"
    lock.write_text("")
    holder = {"host": "node7", "boot": "b", "processes": {"12": 3}, "job": "99", "inode": lock.stat().st_ino}
    lock.write_text(json.dumps(holder))
    run = status_of([root]).runs[0]
    assert (run.state, "node7" in run.reason, "Slurm job 99" in run.reason) == ("running", True, True)
    moved = tmp_path / "copy"
    shutil.copytree(root, moved)
    assert states(moved)["lattice4.1"] == "waiting"


def test_queued_runs_are_told_from_waiting_ones(tmp_path: Path) -> None:
    root = campaign(CRYSTALS, tmp_path)
    put(root / "lattice4.2" / "bulk", "energy")
    jobs = [(root / name / "bulk").resolve() for name in ("lattice4.1", "lattice4.2")]
    found = {Path(run.path).parent.name: run.state for run in status_of([root], queued=jobs).runs}
    assert (found["lattice4.1"], found["lattice4.2"], found["lattice4.3"]) == ("queued", "done", "waiting")


def test_many_folders_with_processes_tell_the_same(tmp_path: Path) -> None:
    root = campaign(CRYSTALS, tmp_path)
    put(root / "lattice4.1" / "bulk", "energy")
    assert status_of([root], processes=2) == status_of([root], processes=1)


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        status_of([tmp_path / "none"])
    with pytest.raises(DataError, match="no run folder"):
        status_of([tmp_path])


def test_the_command_tells_counts_reasons_and_json(
    qdip: Callable[..., tuple[int, str, str]], qdip_json: Callable[..., tuple[int, Any]], tmp_path: Path
) -> None:
    root = campaign(CRYSTALS, tmp_path)
    put(root / "lattice4.1" / "bulk", "energy")
    put(root / "lattice4.2" / "bulk", "unconverged")
    code, out, _ = qdip("status", root)
    assert code == 3
    assert out.splitlines()[-1] == "6 runs: 1 done, 4 waiting, 1 failed"
    assert "lattice4.2/bulk: failed (scf_unconverged:" in out
    code, document = qdip_json("status", root)
    assert (code, document["n_runs"], document["counts"]["done"]) == (3, 6, 1)
    for folder in root.glob("*/bulk"):
        put(folder, "energy")
    assert qdip("status", root)[0] == 0


def test_segment_of_a_run_that_waits_for_its_relaxation_is_refused(tmp_path: Path) -> None:
    from qdip_struct.base.errors import ToolError

    root = campaign(CRYSTALS + "relax: {model: chgnet}\n", tmp_path)
    folder = open_run_folder(root / "lattice4.1" / "bulk")
    assert status_of([root]).runs[0].reason == "for its pre-relaxation"
    with pytest.raises(ToolError, match="waits for its pre-relaxation"):
        run_segment(folder, program=Program(Path("/bin/true"), "2023.1"))
    assert not (folder.path / "run.out").exists()
