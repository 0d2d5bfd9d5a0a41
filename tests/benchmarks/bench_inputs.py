"""Inputs of 3,000 atoms: decks written and checked a second, and growth with size, beside pymatgen's writer."""

import time

from ase.build import bulk

from qdip_struct.base.cp2k_input import parse_input
from qdip_struct.cp2k.inputs.deck import deck_maker
from qdip_struct.cp2k.inputs.preflight import check_input
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.cp2k.inputs.schema import load_schema
from qdip_struct.cp2k.program import find_program


def cpu_seconds(function, *, repeat: int = 5) -> float:
    """Smallest CPU time of some calls, s."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        function()
        best = min(best, time.process_time() - start)
    return best


def main() -> None:
    """Print CPU time per input, the growth exponent, and the ratio to pymatgen's StaticSet."""
    program = find_program()
    schema = load_schema(program) if program else None
    maker = deck_maker(InputsRequest(task="geo_opt", preset="ning2015"))
    cell = bulk("PbS", "rocksalt", a=6.0, cubic=True)

    def write_and_check(atoms) -> None:
        deck = maker.deck(atoms, role="single")
        check_input(parse_input(deck.text), schema=schema)

    small, large = cell * (4, 4, 3), cell * (8, 8, 6)
    times = {len(atoms): cpu_seconds(lambda atoms=atoms: write_and_check(atoms)) for atoms in (small, large)}
    for n_atoms, seconds in times.items():
        each = 1000 * seconds
        print(f"{n_atoms} atoms: {each:.1f} ms an input, {each:.0f} s for 1000, written and checked")
    print(f"growth with atoms: ×{times[len(large)] / times[len(small)]:.1f} for ×{len(large) / len(small):.0f}")
    try:
        from pymatgen.io.ase import AseAtomsAdaptor
        from pymatgen.io.cp2k.sets import StaticSet

        structure = AseAtomsAdaptor.get_structure(small)
        peer = cpu_seconds(lambda: str(StaticSet(structure=structure)), repeat=2)
        print(f"pymatgen StaticSet, {len(small)} atoms, unchecked: ×{peer / times[len(small)]:.1f} of our time")
    except (ImportError, ValueError) as error:
        print(f"pymatgen StaticSet made no input here: {type(error).__name__}: {str(error)[:120]}")


if __name__ == "__main__":
    main()
