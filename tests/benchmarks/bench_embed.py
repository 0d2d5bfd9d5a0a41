"""Embedded dots against plain replication of a cell (ase) of the same number of atoms, and bare dots against WulffPack.

Run it as a script; it prints CPU seconds, ratios, peak memory and the exponent with which time grows with atoms. The
embedded dot does more than replication: it cuts, decides every border site, makes the structure neutral, labels every
atom and measures the shortest distance.
"""

import math
import resource
import time
from collections.abc import Callable
from typing import Any

from ase.build import bulk

from qdip_struct.builders.atoms.orientation import about
from qdip_struct.builders.dot.dot import cut_dot, dot_atoms
from qdip_struct.builders.dot.embed import embed_dot
from qdip_struct.builders.dot.embedding_options import DotForm, DotPlacement
from qdip_struct.builders.dot.passivation import passivate
from qdip_struct.builders.dot.shapes import polyhedron
from qdip_struct.materials.structure_files import crystal_named

LATTICE = 6.325
SIZES = ((8, 30.0), (20, 75.0), (40, 140.0), (58, 200.0))
"""Parent cells along each edge, diameter of the dot in Å; the last is a box of 36.7 nm with a 20 nm dot."""
ENERGIES = {(1, 0, 0): 16.0, (1, 1, 1): 20.0}


def cpu(action: Callable[[], Any], *, repeats: int = 1) -> tuple[float, Any]:
    """Least CPU time in seconds of ``repeats`` calls, and the last result."""
    best, result = math.inf, None
    for _ in range(repeats):
        start = time.process_time()
        result = action()
        best = min(best, time.process_time() - start)
    return best, result


def embedding() -> None:
    """Coherent and rotated dots against replication."""
    dot, matrix = crystal_named("PbS"), crystal_named("CsPbI3", lattice=LATTICE)
    turn = about((1, 1, 1), degrees=20)
    embed_dot(dot, matrix, form=DotForm(diameter=12.0), cells=(4, 4, 4))
    print("  atoms   coherent s   rotated s   ase repeat s   coherent/ase   µs/atom")
    times: list[tuple[int, float]] = []
    for cells, diameter in SIZES:
        repeats = 3 if cells < 20 else 1
        ours, built = cpu(
            lambda n=cells, d=diameter: embed_dot(dot, matrix, form=DotForm(diameter=d), cells=(n,) * 3),
            repeats=repeats,
        )
        turned, _ = cpu(
            lambda n=cells, d=diameter: embed_dot(
                dot, matrix, form=DotForm(diameter=d), cells=(n,) * 3, placement=DotPlacement(rotate=turn)
            ),
            repeats=repeats,
        )
        n_atoms = len(built.atoms)
        edge = round((n_atoms / 8) ** (1 / 3))
        plain, _ = cpu(lambda n=edge: bulk("PbS", "rocksalt", a=5.936, cubic=True).repeat((n, n, n)), repeats=repeats)
        times.append((n_atoms, ours))
        print(
            f"{n_atoms:7d} {ours:12.3f} {turned:11.3f} {plain:14.4f} {ours / plain:14.1f} {1e6 * ours / n_atoms:9.2f}"
        )
    (small, first), (large, last) = times[1], times[-1]
    print(f"growth exponent from {small} to {large} atoms: {math.log(last / first) / math.log(large / small):.2f}")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def bare_dots() -> None:
    """Wulff dots of rock salt: ours neutral, WulffPack as it comes."""
    try:
        from wulffpack import SingleCrystal
    except ImportError:
        print("WulffPack is not installed (pip install wulffpack); bare dots are not compared")
        SingleCrystal = None
    dot = crystal_named("PbS")
    print("wanted   ours: ions, charge, s          WulffPack: atoms, charge, s")
    for wanted in (300, 1000, 3000, 30000):
        volume = wanted * 5.936**3 / 8
        shape = polyhedron("wulff", energies=ENERGIES, volume=volume)
        seconds, finished = cpu(lambda s=shape: passivate(cut_dot(dot, form=DotForm(s)), surface="stoichiometric")[0])
        ours = dot_atoms(finished)
        line = f"{wanted:6d}   {len(ours):6d} {int(ours.get_array('formal_charge').sum()):+5d} {seconds:9.3f}"
        if SingleCrystal is not None:
            primitive = bulk("PbS", "rocksalt", a=5.936, cubic=True)

            def peer(n: int = wanted, cell: Any = primitive) -> Any:
                return SingleCrystal(ENERGIES, primitive_structure=cell, natoms=n).atoms

            seconds, theirs = cpu(peer)
            symbols = theirs.get_chemical_symbols()
            charge = 2 * (symbols.count("Pb") - symbols.count("S"))
            line += f"          {len(theirs):6d} {charge:+5d} {seconds:9.3f}"
        print(line)


def main() -> None:
    """Run both comparisons."""
    embedding()
    bare_dots()


if __name__ == "__main__":
    main()
