"""The demo without CP2K: shipped runs in the place of own ones, labelled, and every step only once."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def demo(folder: Path, *, path: str) -> "subprocess.CompletedProcess[str]":
    environment = {k: v for k, v in os.environ.items() if k != "QDIP_CP2K"} | {"PATH": path}
    return subprocess.run(
        [sys.executable, "-m", "qdip_struct.cli.main", "demo", "-o", "demo", "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_demo_without_cp2k_uses_shipped_runs_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    first = demo(tmp_path, path=str(tmp_path / "empty"))
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["cp2k_version"] is None
    page = tmp_path / "demo" / "report.html"
    text = page.read_text()
    assert "shipped with the package and were not run here" in text
    energies = json.loads((tmp_path / "demo" / "energies.json").read_text())
    assert energies["groups"][0]["adsorption_energy_mev_per_angstrom2"] is not None
    report = json.loads((tmp_path / "demo" / "dot" / "embedded.json").read_text())
    assert report["formal_charge"]["total"] == 0
    assert report["min_distance_angstrom"] > 2.2
    assert report["n_atoms"] == pytest.approx(2808, rel=0.15)
    again = demo(tmp_path, path=str(tmp_path / "empty"))
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("already there") == 4
    assert page.read_text() == text
    own = tmp_path / "demo" / "runs"
    shutil.copytree(tmp_path / "demo" / "runs_shipped", own)
    own_runs = demo(tmp_path, path=str(tmp_path / "empty"))
    assert own_runs.returncode == 0, own_runs.stderr
    assert json.loads(own_runs.stdout)["runs"] == "demo/runs"
    assert not (tmp_path / "demo" / "runs_shipped").exists(), "one group of runs on the page, not two"
    for output in own.glob("film/run.out"):
        output.write_text(output.read_text()[:9000])
    unfinished = demo(tmp_path, path=str(tmp_path / "empty"))
    assert unfinished.returncode == 1
    assert "No CP2K here to go on with demo/runs" in unfinished.stderr
    assert "the demo stopped at 'qdip collect demo/runs'" in unfinished.stderr
