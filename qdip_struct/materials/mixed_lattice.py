"""Lattice constants of pure and mixed crystals from their end members: Vegard's rule, with bowing where it is known."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.composition import Formula, parse_formula
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.elasticity import lattice_at


@dataclass(frozen=True)
class MixedLattice:
    """A lattice constant from end members, a = Σ wᵢ·aᵢ − Σ b·x·(1 − x), and its terms.

    Attributes
    ----------
    a_angstrom, uncertainty_angstrom
        The (pseudo-)cubic constant and its standard uncertainty, Å.
    terms
        End-member crystal, weight, lattice constant (Å) at the temperature asked for.
    bowing_angstrom
        The total of the bowing terms that were subtracted, Å.
    temperature_kelvin
        Temperature asked for, K; ``None`` where every constant was taken as it stands.
    """

    a_angstrom: float
    uncertainty_angstrom: float
    terms: tuple[tuple[Crystal, float, float], ...]
    bowing_angstrom: float
    temperature_kelvin: float | None

    @property
    def source(self) -> str:
        """Where the constants come from, in one line."""
        if len(self.terms) == 1:
            crystal, _, a = self.terms[0]
            moved = "" if a == crystal.a_angstrom else f"; {crystal.a_angstrom:g} at {crystal.temperature_kelvin:g} K"
            return f"{crystal.source}{moved}"
        ends = ", ".join(f"{crystal.name} {a:.4g} Å" for crystal, _, a in self.terms)
        return f"Vegard between {ends} ({named_datasets(self.datasets)})"

    @property
    def datasets(self) -> tuple[str, ...]:
        """Data sets of the end members; more than one only where a user's set says that it extends another."""
        return tuple(dict.fromkeys(crystal.dataset for crystal, _, _ in self.terms))


def named_datasets(names: Sequence[str]) -> str:
    """``data set liu2019`` or ``data sets mine, xrd_298K``."""
    return f"data set{'s' if len(names) > 1 else ''} {', '.join(names)}"


def mixed_lattice_constant(
    formula: Formula | str,
    *,
    dataset: str | None = None,
    temperature: float | None = None,
    bowing: Mapping[tuple[str, str], float] | None = None,
    files: Sequence[Path] = (),
) -> MixedLattice:
    """Lattice constant of a pure or mixed crystal by Vegard's rule within one data set.

    a = Σ wᵢ·aᵢ(T) − Σ_sites Σ_pairs b_jk·x_j·x_k, with wᵢ the product of the site fractions of end member i. The
    constant of a non-cubic end member is the pseudo-cubic one, (V/Z')^(1/3).

    Parameters
    ----------
    formula
        Without free sites, as text (``CsPbBr2I``, ``MAPbI3:tetragonal``) or parsed.
    dataset
        Name of the data set of every end member (default ``xrd_298K``).
    temperature
        Kelvin; ``None`` takes every constant as it stands in the data set.
    bowing
        b (Å) per pair of species on one site, ``{("Br", "I"): 0.02}``; positive lies below the straight line.
    files
        User's files of crystals and properties.

    Raises
    ------
    UsageError
        If an end member is missing from the data set, end members differ in structure, a site is still free, or a
        lattice constant cannot be brought to ``temperature``.
    DataError
        If one of ``files`` cannot be read or holds a bad record.
    """
    parsed = parse_formula(formula) if isinstance(formula, str) else formula
    terms: list[tuple[Crystal, float, float]] = []
    variance = value = 0.0
    for name, weight in parsed.weights():
        crystal = get_crystal(f"{name}:{parsed.phase}", dataset=dataset, files=files)
        a, uncertainty = lattice_at(crystal, temperature=temperature, files=files)
        terms.append((crystal, weight, a))
        value += weight * a
        variance += (weight * uncertainty) ** 2
    types = {crystal.structure_type for crystal, _, _ in terms}
    if len(types) > 1:
        listed = ", ".join(f"{crystal.name} ({crystal.structure_type})" for crystal, _, _ in terms)
        raise UsageError(f"{parsed.text} mixes structures: {listed}; name one phase, as in {parsed.text}:zincblende")
    bend = bowing_of(parsed, bowing or {})
    return MixedLattice(value - bend, math.sqrt(variance), tuple(terms), bend, temperature)


def bowing_of(formula: Formula, bowing: Mapping[tuple[str, str], float]) -> float:
    """Σ b_jk·x_j·x_k (Å) over the sites of a formula; pairs may be given in either order."""
    total = 0.0
    for sublattice in formula.sublattices:
        if sublattice.fractions is None:
            continue
        pairs = itertools.combinations(zip(sublattice.species, sublattice.fractions, strict=True), 2)
        for (one, x), (other, y) in pairs:
            total += (bowing.get((one, other), 0.0) or bowing.get((other, one), 0.0)) * x * y
    return total
