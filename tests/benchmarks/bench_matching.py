"""Coincidence cells against pymatgen's generator, in one process: time, growth with area, sweep over compositions.

Run it alone: ``python tests/benchmarks/bench_matching.py``. CPU time after imports; best of several for the short runs.
"""

import argparse
import math
import time
from collections.abc import Callable

import numpy as np

from qdip_struct.matching.coincidence import find_matches, smallest_matches
from qdip_struct.matching.nets import Net, surface_net
from qdip_struct.materials.crystals import with_edges
from qdip_struct.materials.datasets import get_crystal


def cpu_seconds(call: Callable[[], object], *, repeat: int) -> float:
    """Least CPU time of ``repeat`` calls, seconds."""
    best = math.inf
    for _ in range(repeat):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


def rows_of(net: Net) -> np.ndarray:
    """The two net vectors as rows of three components."""
    return np.column_stack([np.array(net.vectors), [0.0, 0.0]])


def main(argv: list[str] | None = None) -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--areas", default="400,800,1600", help="areas, Å² (the peer needs about 20 s for 1600)")
    parser.add_argument("--samples", type=int, default=6, help="compositions at which the peer is asked too")
    options = parser.parse_args(argv)
    areas = [float(part) for part in options.areas.split(",")]
    film = surface_net(get_crystal("PbS"), plane=(1, 0, 0))
    bromide = get_crystal("CsPbBr3:cubic")
    substrate = surface_net(bromide, plane=(1, 0, 0))
    try:
        from pymatgen.analysis.interfaces.zsl import ZSLGenerator
    except ImportError:
        ZSLGenerator = None
        print("pymatgen is not installed: no comparison")

    print("PbS(100) on CsPbBr3(100), strain 3 %, CPU seconds")
    ours, theirs = [], []
    for area in areas:
        ours.append(cpu_seconds(lambda a=area: find_matches(film, substrate=substrate, max_area=a), repeat=7))
        line = f"area {area:6.0f}: qdip {ours[-1]:.4f} s, {len(find_matches(film, substrate=substrate, max_area=area))}"
        if ZSLGenerator is not None:
            generator = ZSLGenerator(max_area=area, max_length_tol=0.03, max_angle_tol=0.01)
            found: list[int] = []
            theirs.append(
                cpu_seconds(
                    lambda g=generator, f=found: f.append(len(list(g(rows_of(film), rows_of(substrate))))), repeat=1
                )
            )
            line += f" cells; pymatgen {theirs[-1]:.3f} s, {found[0]} entries; ratio {theirs[-1] / ours[-1]:.0f}"
        print(line)
    for name, times in (("qdip", ours), ("pymatgen", theirs)):
        if len(times) > 1:
            slope = np.polyfit(np.log(areas), np.log(times), 1)[0]
            print(f"growth exponent with area, {name}: {slope:.2f}")

    scales = np.linspace(1.0, 6.289 / 5.874, 1001)
    seconds = cpu_seconds(lambda: smallest_matches(film, substrate=substrate, substrate_scales=scales), repeat=5)
    print(f"1001 compositions, area 400: {seconds:.4f} s of CPU")
    if ZSLGenerator is None:
        return
    smallest, _ = smallest_matches(film, substrate=substrate, substrate_scales=scales)
    agree = 0
    chosen = np.linspace(0, 1000, options.samples).astype(int)
    for index in chosen:
        net = surface_net(with_edges(bromide, edges=[bromide.a_angstrom * float(scales[index])]), plane=(1, 0, 0))
        generator = ZSLGenerator(max_area=400.0, max_length_tol=0.03, max_angle_tol=0.01)
        entries = list(generator(rows_of(film), rows_of(net)))
        least = min(float(np.linalg.norm(np.cross(*np.array(entry.substrate_sl_vectors)))) for entry in entries)
        agree += math.isclose(least, float(smallest[index]), rel_tol=1e-6)
    print(f"smallest area equal to the peer's at {agree} of {len(chosen)} sampled compositions")


if __name__ == "__main__":
    main()
