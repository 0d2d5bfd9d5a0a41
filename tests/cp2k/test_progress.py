"""How far a running CP2K is: from real outputs cut while they grow."""

from pathlib import Path

import pytest

from qdip_struct.cp2k.outputs.reader import Progress, read_progress

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"


def test_before_the_first_step_there_is_none(tmp_path: Path) -> None:
    assert read_progress(tmp_path / "run.out") == Progress(scf_step=0, convergence=None, geo_step=0)
    (tmp_path / "run.out").write_text(" CP2K| version string:       CP2K version 2023.1\n")
    assert read_progress(tmp_path / "run.out") == Progress()
    assert str(Progress()) == ""


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_the_last_lines_tell_both_steps(n_steps: int, tmp_path: Path) -> None:
    text = (RUNS / "geo_done" / "run.out").read_text()
    heads = [line for line in text.splitlines() if "OPTIMIZATION STEP:" in line]
    assert len(heads) >= n_steps
    head = heads[n_steps - 1]
    begin = text.index(head)
    rows = [line for line in text[begin:].splitlines() if " OT " in line and line.split()[0].isdigit()]
    number, convergence = rows[1].split()[0], rows[1].split()[-3]
    (tmp_path / "run.out").write_text(text[: text.index(rows[1], begin) + len(rows[1]) + 1])
    found = read_progress(tmp_path / "run.out")
    assert number == "2"
    assert (found.scf_step, found.geo_step) == (2, int(head.split()[-1]))
    assert found.convergence == pytest.approx(float(convergence))
    assert str(found) == f"step {head.split()[-1]}, SCF 2 ({float(convergence):.0e})"
