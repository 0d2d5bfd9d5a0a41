"""Lattice constants of pure and mixed crystals at one temperature: Vegard's rule, with bowing where it is known.

Whatever prints or builds with the lattice constant of a named crystal has it from here, so that the same name, data set
and temperature give the same number everywhere: :func:`crystal_at` for a record, :func:`mixed_lattice_constant` for a
formula, and through both :func:`qdip_struct.materials.structure_files.crystal_named`.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.composition import Formula, parse_formula
from qdip_struct.materials.crystals import Crystal, apart_in_temperature, scaled
from qdip_struct.materials.datasets import get_crystal, get_dataset, list_crystals
from qdip_struct.materials.elasticity import find_property, lattice_at, outside_field
from qdip_struct.materials.options import DEFAULT_DATASET


@dataclass(frozen=True)
class MixedLattice:
    """A lattice constant from end members, a = Σ wᵢ·aᵢ − Σ b·x·(1 − x), and its terms.

    Attributes
    ----------
    a_angstrom, uncertainty_angstrom
        The (pseudo-)cubic constant and its standard uncertainty, Å.
    terms
        End-member crystal as :func:`crystal_at` gives it, weight, lattice constant (Å).
    bowing_angstrom
        The total of the bowing terms that were subtracted, Å.
    temperature_kelvin
        Temperature of all end members, K; ``None`` where they have none, or not the same one.
    record
        The data set's own record of this mixture, from which the constant then is.
    """

    a_angstrom: float
    uncertainty_angstrom: float
    terms: tuple[tuple[Crystal, float, float], ...]
    bowing_angstrom: float
    temperature_kelvin: float | None
    record: Crystal | None = None

    @property
    def source(self) -> str:
        """Where the constants come from and at which temperature, in one line."""
        if self.record is not None:
            return self.record.source
        if len(self.terms) == 1:
            return self.terms[0][0].source
        ends = [(crystal.name, a, crystal.temperature_kelvin) for crystal, _, a in self.terms]
        return vegard_source(ends, datasets=self.datasets)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be said wherever the constant is printed."""
        if self.record is not None:
            return self.record.warnings
        found = [text for crystal, _, _ in self.terms for text in crystal.warnings]
        apart = apart_in_temperature({crystal.name: crystal.temperature_kelvin for crystal, _, _ in self.terms})
        return tuple(dict.fromkeys((*found, *apart)))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Data sets of the end members; more than one only where a user's set says that it extends another."""
        return tuple(dict.fromkeys(crystal.dataset for crystal, _, _ in self.terms))


def named_datasets(names: Sequence[str]) -> str:
    """``data set liu2019`` or ``data sets mine, xrd_298K``."""
    return f"data set{'s' if len(names) > 1 else ''} {', '.join(names)}"


def vegard_source(ends: Sequence[tuple[str, float, float | None]], *, datasets: Sequence[str]) -> str:
    """``Vegard between CsPbBr3 5.852 Å, CsPbI3 6.204 Å at 298 K (data set xrd_298K)``.

    Parameters
    ----------
    ends
        Name, lattice constant (Å) and temperature (K) of each end member; a temperature that all share is said once.
    datasets
        Data sets of the end members.
    """
    common = common_temperature([temperature for _, _, temperature in ends])
    alike = common is not None or all(temperature is None for _, _, temperature in ends)
    parts = [f"{name} {a:.4g} Å" + ("" if alike else _at(temperature)) for name, a, temperature in ends]
    return f"Vegard between {', '.join(parts)}{_at(common)} ({named_datasets(datasets)})"


def _at(temperature: float | None) -> str:
    return "" if temperature is None else f" at {temperature:g} K"


def common_temperature(temperatures: Sequence[float | None]) -> float | None:
    """The temperature (K) that all have to 0.5 K, else ``None``."""
    known = [temperature for temperature in temperatures if temperature is not None]
    if not known or len(known) < len(temperatures) or max(known) - min(known) >= 0.5:
        return None
    return known[0]


def crystal_at(
    crystal: Crystal, *, dataset: str | None = None, temperature: float | None = None, files: Sequence[Path] = ()
) -> Crystal:
    """A crystal of a data set at a temperature: its cell scaled with its linear expansion, its source saying so.

    Parameters
    ----------
    crystal
        As :func:`~qdip_struct.materials.datasets.get_crystal` gives it.
    dataset
        The data set that was asked for (default ``xrd_298K``); one that extends another has its temperature.
    temperature
        Kelvin; ``None`` takes that of the data set, and the constant as it stands in a set without one. A crystal that
        cannot be brought to the data set's temperature keeps its own, with a warning.
    files
        User's files of crystals and properties.

    Returns
    -------
    Crystal
        With ``temperature_kelvin`` (K) of its lattice constant, propagated uncertainty (Å) and ``warnings``.

    Raises
    ------
    UsageError
        If it cannot be brought to a ``temperature`` that was asked for.
    """
    wanted = temperature if temperature is not None else _own_temperature(dataset, files)
    own, warnings = crystal.temperature_kelvin, []
    try:
        a, uncertainty = lattice_at(crystal, temperature=wanted, files=files)
    except UsageError:
        if temperature is not None or wanted is None:
            raise
        a, uncertainty = lattice_at(crystal, temperature=None)
        reason = "no thermal expansion coefficient is known for it" if own is not None else "its record gives none"
        at = f"at {own:g} K, its own temperature" if own is not None else "without a temperature"
        warnings.append(f"{crystal.label} is taken {at}, not at {wanted:g} K: {reason}")
        wanted = own
    source = crystal.source
    if wanted is None or own is None:
        source += "" if own is None else f" ({own:g} K)"
        made = replace(crystal, source=source)
    elif a == crystal.a_angstrom:
        made = replace(crystal, source=f"{source} ({wanted:g} K)", temperature_kelvin=wanted)
    else:
        source += f" ({crystal.a_angstrom:.6g} Å at {own:g} K, brought to {wanted:g} K)"
        made = scaled(crystal, lattice=a, source=source, temperature=wanted)
        made = replace(made, doi=crystal.doi, uncertainty_angstrom=uncertainty or None)
        warnings += _moved(crystal, wanted, files)
    return replace(made, warnings=tuple(warnings))


def _own_temperature(dataset: str | None, files: Sequence[Path]) -> float | None:
    return get_dataset(dataset or DEFAULT_DATASET, files=files).temperature_kelvin


def _moved(crystal: Crystal, temperature: float, files: Sequence[Path]) -> list[str]:
    """What must be said of a lattice constant that was brought to another temperature."""
    found = []
    if stable := outside_field(crystal, temperature=temperature, files=files):
        found.append(
            f"{crystal.label} at {temperature:g} K is extrapolated into the field of another phase: it is stable "
            f"{stable}"
        )
    expansion = find_property(crystal.name, "thermal_expansion", phase=crystal.phase, files=files)
    if expansion is not None and expansion.phase not in (None, crystal.phase):
        found.append(
            f"{crystal.label} is brought to {temperature:g} K with the expansion of its {expansion.phase} phase"
        )
    return found


def mixed_lattice_constant(
    formula: Formula | str,
    *,
    dataset: str | None = None,
    temperature: float | None = None,
    bowing: Mapping[tuple[str, str], float] | None = None,
    files: Sequence[Path] = (),
) -> MixedLattice:
    """Lattice constant of a pure or mixed crystal by Vegard's rule within one data set, at one temperature.

    a = Σ wᵢ·aᵢ(T) − Σ_sites Σ_pairs b_jk·x_j·x_k, with wᵢ the product of the site fractions of end member i. The
    constant of a non-cubic end member is the pseudo-cubic one, (V/Z')^(1/3). A mixture of which the data set has a
    record of its own has the constant of that record, unless bowing is given.

    Parameters
    ----------
    formula
        Without free sites, as text (``CsPbBr2I``, ``MAPbI3:tetragonal``) or parsed.
    dataset
        Name of the data set of every end member (default ``xrd_298K``).
    temperature
        Kelvin; ``None`` takes that of the data set, see :func:`crystal_at`.
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
    known = None if bowing else recorded_mixture(parsed, dataset=dataset, files=files)
    record = None if known is None else crystal_at(known, dataset=dataset, temperature=temperature, files=files)
    terms: list[tuple[Crystal, float, float]] = []
    variance = value = 0.0
    for name, weight in parsed.weights():
        try:
            found = get_crystal(f"{name}:{parsed.phase}", dataset=dataset, files=files)
        except UsageError:
            if record is None:
                raise
            terms = [(record, 1.0, record.a_angstrom)]
            break
        crystal = crystal_at(found, dataset=dataset, temperature=temperature, files=files)
        terms.append((crystal, weight, crystal.a_angstrom))
        value += weight * crystal.a_angstrom
        variance += (weight * (crystal.uncertainty_angstrom or 0.0)) ** 2
    types = {crystal.structure_type for crystal, _, _ in terms}
    if len(types) > 1:
        listed = ", ".join(f"{crystal.name} ({crystal.structure_type})" for crystal, _, _ in terms)
        raise UsageError(f"{parsed.text} mixes structures: {listed}; name one phase, as in {parsed.text}:zincblende")
    if record is not None:
        return MixedLattice(
            record.a_angstrom, record.uncertainty_angstrom or 0.0, tuple(terms), 0.0, record.temperature_kelvin, record
        )
    bend = bowing_of(parsed, bowing or {})
    common = common_temperature([crystal.temperature_kelvin for crystal, _, _ in terms])
    return MixedLattice(value - bend, math.sqrt(variance), tuple(terms), bend, common)


def recorded_mixture(formula: Formula, *, dataset: str | None = None, files: Sequence[Path] = ()) -> Crystal | None:
    """The data set's own record of a mixed formula, however the two are written; ``None`` without one."""
    weights = dict(formula.weights())
    if len(weights) == 1:
        return None
    for crystal in list_crystals(dataset=dataset or DEFAULT_DATASET, files=files):
        try:
            other = parse_formula(crystal.name)
        except UsageError:
            continue
        if other.free or formula.phase not in ("", crystal.phase):
            continue
        shares = dict(other.weights())
        if shares.keys() == weights.keys() and all(abs(shares[name] - weights[name]) < 1e-9 for name in weights):
            return crystal
    return None


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
