"""Worker processes that start anew instead of as a fork, as they do from Python 3.14 on, give the same answers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from qdip_struct.campaign.plan import make_plan
from qdip_struct.campaign.spec import load_spec
from qdip_struct.campaign.status import status_of
from qdip_struct.runs.collection import collect

CAMPAIGN = """\
name: small
build:
  bulk: {material: PbS}
vary:
  lattice: [5.9, 6.0, 6.1]
inputs:
  preset: quick
  task: energy
"""
RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
CODE = """
import json, multiprocessing, sys
from pathlib import Path
multiprocessing.set_start_method("forkserver")
from qdip_struct.runs.collection import collect
from qdip_struct.campaign.plan import make_plan
from qdip_struct.campaign.spec import load_spec
from qdip_struct.campaign.status import status_of
place = Path(sys.argv[1])
plan = make_plan(load_spec(place / "campaign.yaml"), processes=2)
print(json.dumps([
    collect([place / "runs"], processes=2, reread=True).to_dict(),
    status_of([place / "runs"], processes=2).to_dict(),
    [(run.path, run.identity) for run in plan.runs],
]))
"""


def test_the_answers_do_not_depend_on_how_workers_start(tmp_path: Path) -> None:
    for name in ("energy", "geo_done"):
        shutil.copytree(RUNS / name, tmp_path / "runs" / name)
        record = {"role": "single", "group": name, "structure_sha256": "0", "settings": {}, "qdip_version": "0"}
        (tmp_path / "runs" / name / "run.json").write_text(json.dumps(record))
    (tmp_path / "campaign.yaml").write_text(CAMPAIGN)
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    plan = make_plan(load_spec(tmp_path / "campaign.yaml"), processes=1)
    here = [
        collect([tmp_path / "runs"], processes=1, reread=True).to_dict(),
        status_of([tmp_path / "runs"], processes=1).to_dict(),
        [(run.path, run.identity) for run in plan.runs],
    ]
    assert json.loads(done.stdout) == json.loads(json.dumps(here))
