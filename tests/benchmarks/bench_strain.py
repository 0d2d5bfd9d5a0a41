"""Strain maps against OVITO's AtomicStrain: seconds, ratio, memory and growth, all in one process.

    python tests/benchmarks/bench_strain.py [largest edge of the box in cells, default 50]

Ours runs on the lead sublattice without a reference configuration; OVITO gets all atoms, an undeformed reference and a
cutoff between the first and the second Pb-Pb shell, as a user would set it for the same question.
"""

import resource
import sys
import time

import numpy as np
from ase import Atoms

from qdip_struct.analysis.strain.strain import strain_map
from qdip_struct.analysis.strain.sublattice import perovskite, rocksalt

STRETCH = 1.005
NOISE_ANGSTROM = 0.05


def crystal(name: str, n: int) -> tuple[Atoms, float]:
    """A box of n³ cells of PbS (8 atoms) or CsPbI3 (5 atoms), and its lattice constant in Å."""
    if name == "PbS":
        a = 5.936
        fcc = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
        basis, numbers = np.vstack((fcc, fcc + np.array([0.5, 0, 0]))), [82] * 4 + [16] * 4
    else:
        a = 6.29
        basis = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]])
        numbers = [82, 53, 53, 53, 55]
    steps = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = ((steps + basis) * a).reshape(-1, 3)
    return Atoms(np.tile(numbers, n**3), positions=positions, cell=[n * a] * 3, pbc=True), a


def ours(atoms: Atoms, name: str, a: float) -> tuple[float, float]:
    """Seconds (best of two) and mean strain."""
    phases = np.where(atoms.numbers == 82, name, "")
    reference = rocksalt(name, a) if name == "PbS" else perovskite(name, a)
    best, mean = np.inf, 0.0
    for _ in range(2):
        start = time.perf_counter()
        mean = float(strain_map(atoms, phases=phases, references={name: reference}).mean().mean())
        best = min(best, time.perf_counter() - start)
    return best, mean


def ovito(atoms: Atoms, reference: Atoms, cutoff: float) -> tuple[float, float]:
    """Seconds (best of two) and mean Green strain of lead, by OVITO's AtomicStrain."""
    from ovito.io.ase import ase_to_ovito
    from ovito.modifiers import AtomicStrainModifier
    from ovito.pipeline import Pipeline, StaticSource

    best, mean = np.inf, 0.0
    source, undeformed = ase_to_ovito(atoms), ase_to_ovito(reference)
    for _ in range(2):
        pipeline = Pipeline(source=StaticSource(data=source))
        modifier = AtomicStrainModifier(cutoff=cutoff, output_strain_tensors=True)
        modifier.reference = StaticSource(data=undeformed)
        pipeline.modifiers.append(modifier)
        start = time.perf_counter()
        data = pipeline.compute()
        best = min(best, time.perf_counter() - start)
        tensor = np.asarray(data.particles["Strain Tensor"])
        mean = float(tensor[np.asarray(atoms.numbers) == 82, :3].mean())
    return best, mean


def main() -> None:
    """Print one line per size and crystal."""
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    try:
        import ovito as _ovito

        have_ovito = bool(_ovito.version)
    except ImportError:
        have_ovito = False
        print("OVITO is not installed (pip install ovito): our own times only")
    for name in ("PbS", "CsPbI3"):
        edge = largest if name == "PbS" else round(largest * (8 / 5) ** (1 / 3))
        times = []
        for n in sorted({max(3, round(edge * share)) for share in (0.145, 0.5, 1.0)}):
            reference, a = crystal(name, n)
            atoms = reference.copy()
            atoms.set_cell(atoms.cell.array * STRETCH, scale_atoms=True)
            atoms.positions += np.random.default_rng(0).normal(0.0, NOISE_ANGSTROM, atoms.positions.shape)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            seconds, mean = ours(atoms, name, a)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            times.append((len(atoms), seconds))
            line = f"{name:7s} {len(atoms):8d} atoms  ours {seconds:7.3f} s (+{grown:.0f} MB, mean {mean:.6f})"
            if have_ovito:
                cutoff = (0.85 if name == "PbS" else 1.2) * a
                peer, green = ovito(atoms, reference, cutoff)
                line += f"  OVITO AtomicStrain {peer:7.3f} s (Green {green:.6f})  ratio ours/OVITO {seconds / peer:.2f}"
            print(line, flush=True)
        (small, first), (large, last) = times[-2], times[-1]
        print(f"{name:7s} growth exponent {np.log(last / first) / np.log(large / small):.2f}")


if __name__ == "__main__":
    main()
