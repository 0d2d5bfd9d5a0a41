"""AiiDA as an engine: the input as its plugin takes it; real runs through a work chain into the same run folders.

``pytest -m aiida`` runs the latter where the extra is installed (pip install 'qdip-struct[aiida]').
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from water import SAME_EV, water

from qdip_struct.base.errors import ToolError, UsageError
from qdip_struct.campaign.engines.aiida_engine import HOW_TO_GET_AIIDA, plugin_parameters, submit_aiida
from qdip_struct.campaign.engines.segment import run_segment, verdict_of
from qdip_struct.cp2k.program import Program

INSTALLED = importlib.util.find_spec("aiida") is not None and importlib.util.find_spec("aiida_cp2k") is not None
needs_aiida = pytest.mark.skipif(not INSTALLED, reason=f"no AiiDA; {HOW_TO_GET_AIIDA}")


def test_input_becomes_the_mapping_of_the_plugin_and_keeps_the_order_of_atoms() -> None:
    text = (
        "&GLOBAL\n  Run_Type ENERGY\n&END\n&FORCE_EVAL\n&SUBSYS\n&COORD\n Pb 0 0 0\n S 1 1 1\n Pb 2 2 2\n&END\n"
        "&KIND Pb\n BASIS_SET A\n&END\n&KIND S\n BASIS_SET B\n&END\n&END\n&END\n"
    )
    found = plugin_parameters(text)
    assert found["GLOBAL"] == {"RUN_TYPE": "ENERGY"}
    assert found["FORCE_EVAL"]["SUBSYS"]["COORD"] == {" ": ["Pb 0 0 0", "S 1 1 1", "Pb 2 2 2"]}
    assert found["FORCE_EVAL"]["SUBSYS"]["KIND"] == [{"_": "Pb", "BASIS_SET": "A"}, {"_": "S", "BASIS_SET": "B"}]
    motion = plugin_parameters("&MOTION\n&GEO_OPT\nMAX_ITER 300\nMAX_FORCE 4.5E-4\n&END\n&END\n")["MOTION"]
    assert motion == {"GEO_OPT": {"MAX_ITER": 300, "MAX_FORCE": "4.5E-4"}}
    with pytest.raises(UsageError, match="preprocessor"):
        plugin_parameters("@SET A 1\n")


@pytest.mark.skipif(INSTALLED, reason="AiiDA is installed")
def test_without_aiida_the_message_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="pip install"):
        submit_aiida([], root=tmp_path)


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A profile of its own: SQLite, no broker, so that chains run in this process."""
    place = tmp_path_factory.mktemp("aiida")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIIDA_PATH", str(place))
        verdi = Path(sys.executable).with_name("verdi")
        subprocess.run([verdi, "presto", "--no-broker", "--non-interactive"], check=True, capture_output=True)
        yield place


@needs_aiida
@pytest.mark.aiida
@pytest.mark.cp2k
@pytest.mark.slow
def test_runs_through_aiida_end_as_if_run_here(tmp_path: Path, profile: Path, cp2k: Program) -> None:
    """Two optimisations; one of them is stopped by its step limit first, which the restart handler mends."""
    from aiida import orm

    reference = run_segment(water(tmp_path / "reference" / "run"), program=cp2k)
    whole, short = water(tmp_path / "campaign" / "whole"), water(tmp_path / "campaign" / "with blank")
    text = (short.path / "run.inp").read_text()
    (short.path / "run.inp").write_text(text.replace("MAX_ITER 100", "MAX_ITER 3"))
    answer = submit_aiida([whole, short], root=tmp_path / "campaign")
    assert (answer.engine, answer.n_runs, len(answer.job_ids)) == ("aiida", 2, 2)
    assert reference.run is not None
    assert reference.run.energy_ev is not None
    for folder in (whole, short):
        verdict = verdict_of(folder)
        assert verdict is not None
        assert verdict.outcome == "done", verdict.reason
        assert verdict.run is not None
        assert verdict.run.energy_ev == pytest.approx(reference.run.energy_ev, abs=SAME_EV)
        result = json.loads((folder.path / "result.json").read_text())
        assert (result["status"], result["role"], result["group"]) == ("done", "single", "water")
    assert whole.n_segments == 1
    assert short.n_segments > 1
    again = submit_aiida([whole, short], root=tmp_path / "campaign")
    assert (again.n_runs, again.job_ids) == (0, ())
    chains = [orm.load_node(int(number)) for number in answer.job_ids]
    assert [chain.base.extras.get("qdip_outcome") for chain in chains] == ["done", "done"]
    assert chains[0].base.extras.get("qdip_role") == "single"
    assert chains[1].description.endswith("with blank")


_SUBMIT = """
import sys
from pathlib import Path
from qdip_struct.campaign.engines.aiida_engine import submit_aiida
from qdip_struct.runs.rundir import find_run_folders
root = Path(sys.argv[1])
answer = submit_aiida(find_run_folders([root]), root=root)
print(answer.n_runs, len(answer.job_ids), answer.note)
"""


@needs_aiida
@pytest.mark.aiida
@pytest.mark.cp2k
@pytest.mark.slow
def test_daemon_with_the_built_in_broker_works_on_while_nobody_waits(tmp_path: Path, cp2k: Program) -> None:
    """Submitted, asked again while it is under way, fetched when it has ended: one chain, one output."""
    folder = water(tmp_path / "campaign" / "run", task="ENERGY")
    tools = Path(sys.executable).parent
    environment = {**os.environ, "AIIDA_PATH": str(tmp_path / "aiida"), "PATH": f"{tools}:{os.environ['PATH']}"}
    (tmp_path / "aiida").mkdir()
    verdi = str(tools / "verdi")

    def call(*words: str) -> str:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    call(verdi, "presto", "--use-zeromq", "--non-interactive")
    call(verdi, "daemon", "start", "1")
    try:
        first = call(sys.executable, "-c", _SUBMIT, str(tmp_path / "campaign"))
        assert first.startswith("1 1 1 work chains submitted")
        end = time.monotonic() + 900
        while verdict_of(folder) is None:
            assert time.monotonic() < end, call(verdi, "process", "list", "--all")
            later = call(sys.executable, "-c", _SUBMIT, str(tmp_path / "campaign"))
            assert later.startswith("0 0 "), later
            time.sleep(2)
    finally:
        call(verdi, "daemon", "stop", "--timeout", "120")
    verdict = verdict_of(folder)
    assert verdict is not None
    assert (verdict.outcome, folder.n_segments) == ("done", 1)
    assert (folder.path / "result.json").exists()
