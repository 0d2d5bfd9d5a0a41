"""Compositions as formulas, and how many formula units of which crystals a slab is made of."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from qdip_struct.materials.ions import FORMULA_MOLECULES, IONS, written_formula

Composition = Mapping[str, int]
"""Atoms per element."""


def reduced_formula(composition: Composition) -> str:
    """A composition as a reduced formula in the field's order (cations, then anions): CsBr, PbBr2, MAPbI3.

    Whole molecular ions are named: CNH6 is MA, CN2H5 is FA.
    """
    unit = units_per_cell(composition)
    whole = {element: count // unit for element, count in composition.items()}
    names = _molecules(whole)
    if names:
        whole = {**names, **{e: n for e, n in whole.items() if e not in ("C", "N", "H")}}
    return written_formula({e: n for e, n in whole.items() if n})


def _molecules(composition: Composition) -> dict[str, int]:
    """Molecular ions that C, N and H make up; empty when they do not."""
    organic = {e: composition.get(e, 0) for e in ("C", "N", "H")}
    counts = cells_of(organic, [IONS[name].atoms for name in FORMULA_MOLECULES]) if organic["C"] else None
    if counts is None or any(n < 0 or n != round(n) for n in counts):
        return {}
    return {name: round(n) for name, n in zip(FORMULA_MOLECULES, counts, strict=True)}


def units_per_cell(composition: Composition) -> int:
    """Formula units in a cell: the greatest common divisor of its atom counts."""
    return int(np.gcd.reduce(list(composition.values())))


def element_of(kind: str) -> str:
    """The element of an atomic kind: Pb of Pb, Pb1 and Pb_gh."""
    found = re.match(r"[A-Z][a-z]?", kind)
    return found.group() if found else kind


def added(first: Composition, second: Composition) -> dict[str, int]:
    """The atoms of two structures together."""
    return {e: first.get(e, 0) + second.get(e, 0) for e in sorted({*first, *second})}


def without(whole: Composition, part: Composition) -> dict[str, int]:
    """The atoms of a structure that are left when those of a part of it are taken away; negative where it has fewer."""
    return {e: whole.get(e, 0) - part.get(e, 0) for e in sorted({*whole, *part})}


def cells_of(composition: Composition, parts: Sequence[Composition]) -> tuple[float, ...] | None:
    """Solve composition = Σ n_i · parts_i for the n_i; ``None`` when there is no unique exact solution.

    The n_i count whole ``parts`` cells; they may be fractions (half of a four-formula cell) or negative (AX missing).
    """
    elements = sorted({*composition, *(e for part in parts for e in part)})
    matrix = np.array([[part.get(e, 0) for part in parts] for e in elements], dtype=float)
    wanted = np.array([composition.get(e, 0) for e in elements], dtype=float)
    solution, _, rank, _ = np.linalg.lstsq(matrix, wanted, rcond=None)
    if rank < len(parts) or not np.allclose(matrix @ solution, wanted, atol=1e-6):
        return None
    return tuple(round(float(x), 9) + 0.0 for x in solution)


def ending(slab: Composition, bulk: Composition) -> str:
    """What a slab holds beyond whole formula units of its bulk, as the name of its termination: CsBr, PbBr2."""
    unit = units_per_cell(bulk)
    whole = {e: n // unit for e, n in bulk.items()}
    count = min(slab.get(e, 0) // n for e, n in whole.items())
    rest = {e: n - count * whole.get(e, 0) for e, n in slab.items() if n - count * whole.get(e, 0) > 0}
    return f"{reduced_formula(rest)} termination" if rest else "stoichiometric"
