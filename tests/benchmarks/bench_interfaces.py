"""200 interfaces (composition × termination × registry) on one core, and one interface against pymatgen.

Run ``python tests/benchmarks/bench_interfaces.py``. CPU seconds of this process; a missing peer is said to be missing.
"""

import time
import warnings

from qdip_struct.builders.interface.interface import build_interface, place
from qdip_struct.builders.interface.interface_options import LateralCell, Placement, Stack
from qdip_struct.builders.interface.joint import join
from qdip_struct.builders.interface.registry import irreducible_shifts
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import crystal_named

TARGET_SECONDS = 10.0


def two_hundred() -> tuple[int, int, float]:
    """Interfaces, atoms in them, CPU seconds."""
    started = time.process_time()
    film = get_crystal("PbS")
    substrates = [
        (get_crystal("CsPbBr3"), (1, 0, 0)),
        (get_crystal("CsPbI3"), (1, 0, 0)),
        (crystal_named("CsPbBr2I"), (1, 0, 0)),
        (get_crystal("MAPbBr3"), (1, 0, 0)),
        (get_crystal("MAPbI3:tetragonal"), (1, 1, 0)),
        (crystal_named("MAPbI2.5Br0.5"), (1, 0, 0)),
        (get_crystal("NaI"), (1, 0, 0)),
    ]
    count = atoms = 0
    while count < 200:
        for substrate, plane in substrates:
            for termination in ("AX", "BX2"):
                for i in range(4):
                    for j in range(4):
                        built = build_interface(
                            film,
                            substrate,
                            stack=Stack(substrate_plane=plane, termination=termination),
                            placement=Placement(registry=(i / 4, j / 4)),
                        )
                        count, atoms = count + 1, atoms + len(built.interface)
                        if count == 200:
                            return count, atoms, time.process_time() - started
    return count, atoms, time.process_time() - started


def growth() -> list[tuple[int, float]]:
    """Atoms in the interface and CPU seconds for growing lateral repeats."""
    film, substrate = get_crystal("PbS"), get_crystal("CsPbBr3")
    rows = []
    for repeat in (2, 4, 8):
        started = time.process_time()
        built = build_interface(
            film, substrate, cell=LateralCell(repeat=(repeat, repeat)), stack=Stack(film_layers=7, substrate_layers=7)
        )
        rows.append((len(built.interface), time.process_time() - started))
    return rows


def scan() -> tuple[int, float]:
    """Irreducible registries of an 8 × 8 grid and CPU seconds to find and build them."""
    started = time.process_time()
    joint = join(get_crystal("PbS"), get_crystal("CsPbBr3"))
    shifts = irreducible_shifts(joint, divisions=8)
    for shift in shifts:
        place(joint, placement=Placement(registry=shift.fraction))
    return len(shifts), time.process_time() - started


def pymatgen_interface() -> tuple[float, list[str]] | None:
    """CPU seconds of pymatgen's coherent builder for the same pair (import left out), and its terminations."""
    try:
        from pymatgen.analysis.interfaces import CoherentInterfaceBuilder, ZSLGenerator
        from pymatgen.core import Lattice, Structure
    except ImportError:
        return None
    a, b = get_crystal("PbS").lengths[0], get_crystal("CsPbBr3").lengths[0]
    film = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Pb", "S"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    sites = [[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0]]
    substrate = Structure.from_spacegroup("Pm-3m", Lattice.cubic(b), ["Cs", "Pb", "Br"], sites)
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        builder = CoherentInterfaceBuilder(
            substrate_structure=substrate, film_structure=film, film_miller=(1, 0, 0), substrate_miller=(1, 0, 0),
            zslgen=ZSLGenerator(max_area=40),
        )  # fmt: skip
        names = [str(termination) for termination in builder.terminations]
        next(builder.get_interfaces(termination=builder.terminations[0], film_thickness=3, substrate_thickness=3))
    return time.process_time() - started, names


def main() -> None:
    """Print times, ratios and the growth exponent."""
    from math import log

    count, atoms, seconds = two_hundred()
    verdict = "within" if seconds < TARGET_SECONDS else "over"
    print(f"{count} interfaces, {atoms} atoms: {seconds:.2f} s of CPU ({1000 * seconds / count:.1f} ms each), "
          f"{verdict} the target of {TARGET_SECONDS:g} s")  # fmt: skip
    rows = growth()
    for n, spent in rows:
        print(f"{n:6d} atoms in the interface: {spent:.3f} s")
    exponent = log(rows[-1][1] / rows[0][1]) / log(rows[-1][0] / rows[0][0])
    print(f"growth ~ n^{exponent:.2f}")
    registries, spent = scan()
    print(f"registry scan: {registries} of 64 grid points are irreducible, {spent:.2f} s with all their cells")
    peer = pymatgen_interface()
    if peer is None:
        print("pymatgen: missing")
        return
    started = time.process_time()
    build_interface(get_crystal("PbS"), get_crystal("CsPbBr3"), cell=LateralCell(max_area=40))
    own = time.process_time() - started
    print(
        f"one PbS//CsPbBr3 interface: pymatgen {peer[0]:.2f} s, here {own:.3f} s with all 8 cells, "
        f"ratio {peer[0] / own:.0f}"
    )
    print(f"terminations pymatgen offers: {peer[1]}; here both AX and BX2")


if __name__ == "__main__":
    main()
