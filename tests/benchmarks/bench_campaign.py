"""Campaigns of thousands of runs: the plan that a dry run shows, and the look at every folder that status takes.

    python tests/benchmarks/bench_campaign.py [number of run folders, default 10000]

Status is set against reading every output again with the same reader, and against searching each output for its last
line; the plan against building and checking every case on its own. Growth is the exponent n in time ~ runs^n. Times
are wall times on the cores there are; a plain Python loop is timed beside them so that a busy machine shows.
"""

import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from qdip_struct.base.files import shipped
from qdip_struct.campaign.folder import INDEX
from qdip_struct.campaign.plan import Plan, make_plan
from qdip_struct.campaign.spec import load_spec
from qdip_struct.campaign.status import status_of
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.runs.collection import collect

CAMPAIGN = """\
name: bench
build: {{interface: {{film: PbS, vacuum: 15, dataset: pbe_cp2k, termination: BX2}}}}
vary:
  substrate: [CsPbBr3, CsPbBr2I, CsPbBrI2, CsPbI3]
  registry: [continuation, hollow, metal, "0.25,0"]
  gap: [{gaps}]
inputs: {{preset: quick}}
"""
CASES_PER_GAP = 16


def plan_of(folder: Path, *, gaps: int) -> Plan:
    """A plan for looking: 16 interfaces for each gap."""
    values = ", ".join(f"{2.5 + 2.5 * k / gaps:.4f}" for k in range(gaps))
    (folder / "campaign.yaml").write_text(CAMPAIGN.format(gaps=values))
    return make_plan(load_spec(folder), texts=False)


def folders_of(root: Path, *, n: int) -> list[Path]:
    """A campaign's folder with n finished runs, all with the same real output."""
    source = shipped("workflows", "interface_energy", "reference", "runs", "film")
    names = [f"group{k // 8}/run{k % 8}" for k in range(n)]
    for name in names:
        (root / name).mkdir(parents=True)
        for file in ("run.json", "run.inp", "run.out"):
            shutil.copy(source / file, root / name / file)
    rows = [
        {"path": name, "group": name.split("/")[0], "role": "film", "n_atoms": 12, "n_electrons": 60,
         "core_hours": 0.1, "identity": name, "same_as": None, "relax": False} for name in names
    ]  # fmt: skip
    (root / INDEX).write_text(json.dumps({"name": "bench", "runs": rows}))
    collect([root])
    return [root / name for name in names]


def timed(work: Callable[[], object]) -> float:
    """Wall time of the better of two calls, s."""
    best = math.inf
    for _ in range(2):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def growth(small: tuple[float, float], large: tuple[float, float]) -> float:
    """Exponent between two points (size, time)."""
    return math.log(large[1] / small[1]) / math.log(large[0] / small[0])


def last_line(path: Path) -> bool:
    """Whether an output ends well, by its last 2 kB."""
    with (path / "run.out").open("rb") as stream:
        stream.seek(max(0, (path / "run.out").stat().st_size - 2000))
        return b"PROGRAM ENDED" in stream.read()


def main() -> None:
    """Time and print."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    loop = timed(lambda: sum(k * k for k in range(1_000_000)))
    print(f"a plain loop over 1e6 numbers: {loop:.3f} s (about 0.05 s where the machine is idle)")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        points = []
        for part in (4, 1):
            gaps = max(1, round(n / part / (CASES_PER_GAP * 7.75)))
            began = time.perf_counter()
            plan = plan_of(folder, gaps=gaps)
            points.append((len(plan.runs), time.perf_counter() - began))
        alone = timed(lambda: plan_of(folder, gaps=1))
        each = alone / len(plan_of(folder, gaps=1).runs)
        runs, seconds = points[1]
        per_run = 1e3 * seconds / runs
        print(f"dry run of {runs} runs, {len(plan.own)} of them distinct: {seconds:.2f} s, {per_run:.2f} ms a run")
        print(f"  against few cases: {each * runs / seconds:.1f} times faster a run; growth {growth(*points):.2f}")
        points = []
        for part in (4, 1):
            root = folder / f"camp{part}"
            places = folders_of(root, n=n // part)
            points.append((len(places), timed(lambda root=root: status_of([root]))))
        runs, seconds = points[1]
        few = places[:200]
        read = timed(lambda: [read_run(place) for place in few]) / len(few) * runs
        tail = timed(lambda: [last_line(place) for place in few]) / len(few) * runs
        per_run = 1e6 * seconds / runs
        print(f"status of {runs} run folders: {seconds:.2f} s, {per_run:.0f} µs a run; growth {growth(*points):.2f}")
        print(f"  against reading every output again: {read / seconds:.1f} times faster")
        print(f"  against looking at the last line of each: {tail / seconds:.2f} times faster")


if __name__ == "__main__":
    main()
