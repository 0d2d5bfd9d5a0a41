"""Reading CP2K outputs against pymatgen and cp2kdata: MB/s, ratio, memory, growth, and who reads the energy right.

    python tests/benchmarks/bench_output.py [size of the largest log in MB, default 200]

The log is the shipped interface run whose SCF (20 atoms, k-points) is repeated. Peers are slower and read smaller logs;
they are said to be missing when they are not installed; a wrong or missing energy is printed beside their speed.
"""

import importlib.util
import math
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from ase.units import Hartree

from qdip_struct.base.files import shipped
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.runs.collection import collect

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
PEER_MEGABYTES = (2, 8)


def long_log(path: Path, *, megabytes: int) -> float:
    """Write a log of about that size and return its last energy in eV, found by a plain search."""
    text = shipped("workflows", "interface_energy", "reference", "runs", "interface", "run.out").read_bytes()
    first = text.index(b"\n SCF WAVEFUNCTION OPTIMIZATION")
    last = text.index(b"\n", text.rindex(b"\n ENERGY| Total") + 1)
    with path.open("wb") as stream:
        stream.write(text[:last])
        for _ in range(max(1, megabytes * 1_000_000 // (last - first))):
            stream.write(text[first:last])
        stream.write(text[last:])
    return float(re.findall(rb"ENERGY\|.* (-\d+\.\d+)\s", text)[-1]) * Hartree


def pymatgen_energy(path: Path) -> float:
    """Final energy in eV by pymatgen's Cp2kOutput."""
    from pymatgen.io.cp2k.outputs import Cp2kOutput

    output = Cp2kOutput(str(path))
    output.parse_energies()
    return float(output.final_energy)


def cp2kdata_energy(path: Path) -> float:
    """Last energy in eV by cp2kdata's Cp2kOutput."""
    from cp2kdata import Cp2kOutput

    return float(Cp2kOutput(output_file=path.name, path_prefix=str(path.parent)).energies_list[-1]) * Hartree


def qdip_energy(path: Path) -> float:
    """Last converged energy in eV by this package."""
    return read_run(path).energy_ev or math.nan


def speed(read: Callable[[Path], float], path: Path, expected: float) -> tuple[float, str]:
    """CPU seconds (best of two) and what was wrong with the answer."""
    best, remark = math.inf, ""
    for _ in range(2):
        start = time.process_time()
        try:
            energy = read(path)
        except Exception as error:  # a peer may fail in any way: its failure is the result
            return math.nan, f"fails: {type(error).__name__}"
        best = min(best, time.process_time() - start)
        remark = (
            "right" if math.isclose(energy, expected, rel_tol=1e-7) else f"energy off by {energy - expected:.3g} eV"
        )
    return best, remark


def peak_megabytes() -> float:
    """Peak memory of this process so far."""
    status = Path("/proc/self/status")
    return int(re.findall(r"VmHWM:\s*(\d+)", status.read_text())[0]) / 1024 if status.exists() else math.nan


def main() -> None:
    """Print the comparison."""
    warnings.simplefilter("ignore")
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.out"
        print("qdip_struct      MB       s     MB/s  peak MB")
        times = {}
        for megabytes in sorted({max(1, largest // 16), max(1, largest // 4), largest}):
            expected = long_log(path, megabytes=megabytes)
            size = path.stat().st_size / 1e6
            seconds, remark = speed(qdip_energy, path, expected)
            times[size] = seconds
            print(f"{'':12}{size:7.1f}{seconds:8.3f}{size / seconds:9.1f}{peak_megabytes():9.1f}  {remark}")
        sizes = sorted(times)
        if len(sizes) > 1:
            exponent = math.log(times[sizes[-1]] / times[sizes[0]]) / math.log(sizes[-1] / sizes[0])
            print(f"growth: time ~ size^{exponent:.2f}")
        ours = sizes[-1] / times[sizes[-1]]
        for name, read in (("pymatgen", pymatgen_energy), ("cp2kdata", cp2kdata_energy)):
            if importlib.util.find_spec(name) is None:
                print(f"{name}: not installed")
                continue
            for megabytes in PEER_MEGABYTES:
                expected = long_log(path, megabytes=megabytes)
                size = path.stat().st_size / 1e6
                seconds, remark = speed(read, path, expected)
                rate = size / seconds
                print(f"{name:12}{size:7.1f}{seconds:8.3f}{rate:9.1f}  {remark}; qdip_struct: {ours / rate:.0f} times")
        many = Path(folder) / "study"
        text = (RUNS / "geo_done" / "run.out").read_bytes()
        for number in range(400):
            (many / f"run{number:03d}").mkdir(parents=True)
            (many / f"run{number:03d}" / "run.out").write_bytes(text)
        for label in ("400 run folders", "the same, unchanged"):
            start = time.perf_counter()
            found = collect([many])
            print(f"collect {label}: {time.perf_counter() - start:.2f} s, {len(found.runs)} runs")


if __name__ == "__main__":
    main()
