"""The record of one crystal, ordered or mixed: its cell, its sites, where the numbers come from; at another lattice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.sites import Site

FILE_DATASET = "file"
"""What stands for the data set of a crystal that was read from a user's file."""
_MOST_SITES = 400


@dataclass(frozen=True)
class Crystal:
    """A crystal: its conventional cell, every site of it, and where the numbers come from.

    Attributes
    ----------
    name
        Formula as users type it (``PbS``, ``CsPbBr3``, ``MAPbI3``).
    phase
        ``rocksalt``, ``cubic``, ``tetragonal``, ``pseudocubic``, ``gamma``, ``delta``, ``zincblende``, ``wurtzite``,
        ``cscl``.
    structure_type
        ``rocksalt``, ``perovskite``, ``zincblende``, ``wurtzite``, ``cscl`` or ``other``.
    space_group
        Hermann–Mauguin symbol.
    lengths, angles
        Edges (Å) and angles α, β, γ (degree) of the conventional cell.
    temperature_kelvin
        Temperature of the lattice constants; ``None`` for a calculation without temperature.
    dataset, source, doi, verified
        Provenance; ``verified`` is true only when the number was read in the source that is named.
    sites
        Every site of the conventional cell, fractional coordinates.
    n_formula_units
        Formula units in the conventional cell.
    uncertainty_angstrom
        One standard uncertainty of the (pseudo-cubic) lattice constant, ``None`` when the source gives none.
    note, origin
        Remark, and the file from which the record was read.
    occupancies
        Shares of the species on each mixed sublattice, ``{"X": {"Br": 0.67, "I": 0.33}}``; empty for an ordered
        crystal. Which ion sits where is not a property of the crystal: until a builder has decided it, ``sites`` holds
        the ions of the end member.
    end_member
        Of a mixture, the name of the crystal whose cell and sites it has; else empty.
    warnings
        What must be said wherever the lattice constant is printed.
    charges
        Charges (e) by ion that the user gave; they override what the composition gives.
    """

    name: str
    phase: str
    structure_type: str
    space_group: str
    lengths: tuple[float, float, float]
    angles: tuple[float, float, float]
    temperature_kelvin: float | None
    dataset: str
    source: str
    doi: str | None
    verified: bool
    sites: tuple[Site, ...]
    n_formula_units: int
    uncertainty_angstrom: float | None = None
    note: str = ""
    origin: str = ""
    # A mapping cannot be hashed; two crystals that differ in it alone are still unequal.
    occupancies: Mapping[str, Mapping[str, float]] = field(default_factory=dict, hash=False)
    end_member: str = ""
    warnings: tuple[str, ...] = ()
    charges: Mapping[str, int] = field(default_factory=dict, hash=False)

    @cached_property
    def cell(self) -> np.ndarray:
        """Cell vectors as rows (3, 3), Å; a along x, b in the xy plane."""
        a, b, c = self.lengths
        cos_alpha, cos_beta, cos_gamma = (_cosine(angle) for angle in self.angles)
        sin_gamma = math.sqrt(1.0 - cos_gamma**2)
        x = cos_beta
        y = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
        z = math.sqrt(1.0 - x * x - y * y)
        return np.array([[a, 0.0, 0.0], [b * cos_gamma, b * sin_gamma, 0.0], [c * x, c * y, c * z]])

    @property
    def volume(self) -> float:
        """Volume of the conventional cell, Å³."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def a_angstrom(self) -> float:
        """Cubic or pseudo-cubic lattice constant (V/Z')^(1/3), Å; Z' is the number of parent cubes in the cell.

        A parent cube is one formula unit of a perovskite (so tetragonal I4/mcm has (V/4)^(1/3)), four of rock salt
        or zinc blende, one of CsCl. For wurtzite it is the edge of the zinc-blende cube of the same volume.
        """
        if self.lengths[0] == self.lengths[1] == self.lengths[2] and self.angles == (90.0, 90.0, 90.0):
            per_cube = max(1, round(self.n_formula_units / self._units_per_cube))
            if per_cube == 1:
                return self.lengths[0]
        return (self.volume * self._units_per_cube / self.n_formula_units) ** (1.0 / 3.0)

    def ions_on(self, site: Site) -> Mapping[str, float]:
        """Species on a site and their shares: one of share 1 in an ordered crystal."""
        return self.occupancies.get(site.label, {site.species: 1.0})

    @property
    def _units_per_cube(self) -> int:
        return 4 if self.structure_type in ("rocksalt", "zincblende", "wurtzite") else 1

    @property
    def label(self) -> str:
        """``NAME:phase``, as :func:`~qdip_struct.materials.datasets.get_crystal` takes it."""
        return f"{self.name}:{self.phase}"


def scaled(crystal: Crystal, *, lattice: float, source: str | None = None, temperature: float | None = None) -> Crystal:
    """Return the crystal scaled isotropically to the (pseudo-)cubic lattice constant ``lattice`` (Å).

    ``source`` says where that constant comes from (default: given by the user), ``temperature`` (K) what it is for.

    Raises
    ------
    UsageError
        If ``lattice`` is not a length between 1 and 100 Å.
    """
    check_lattice(lattice, what=f"lattice constant of {crystal.name}")
    factor = lattice / crystal.a_angstrom
    a, b, c = crystal.lengths
    cubic = crystal.a_angstrom == a == b == c
    return replace(
        crystal,
        lengths=(lattice, lattice, lattice) if cubic else (a * factor, b * factor, c * factor),
        temperature_kelvin=temperature,
        source=source or f"given: {lattice:g} Å",
        doi=None,
        verified=False,
        uncertainty_angstrom=None,
        warnings=(),
    )


def apart_in_temperature(temperatures: Mapping[str, float | None]) -> tuple[str, ...]:
    """What must be said of lattice constants by name that are not at one temperature (K, to 0.5 K); else nothing."""
    known = {name: value for name, value in temperatures.items() if value is not None}
    if len(known) < 2 or max(known.values()) - min(known.values()) < 0.5:
        return ()
    listed = ", ".join(f"{name} at {value:g} K" for name, value in known.items())
    return (f"lattice constants at different temperatures stand side by side: {listed}; ask for one temperature",)


def edges_text(lengths: Sequence[float], angles: Sequence[float]) -> str:
    """A cell in words: ``5.9360`` of a cubic one, ``11.2000 × 3.9870 × 4.3340`` (Å), other angles than 90° behind."""
    if len({round(length, 6) for length in lengths}) == 1 and all(abs(angle - 90.0) < 1e-6 for angle in angles):
        return f"{lengths[0]:.4f}"
    edges = " × ".join(f"{length:.4f}" for length in lengths)
    skew = [f"{name} {angle:.2f}°" for name, angle in zip("αβγ", angles, strict=True) if abs(angle - 90.0) > 1e-6]
    return f"{edges} ({', '.join(skew)})" if skew else edges


def cell_facts(cells: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> dict[str, Any]:
    """Entries of a report about the cells of its parts: edges (Å) and angles (degree)."""
    return {
        "lattice_edges_angstrom": {part: [float(x) for x in lengths] for part, (lengths, _) in cells.items()},
        "lattice_angles_degree": {part: [float(x) for x in angles] for part, (_, angles) in cells.items()},
    }


def site_facts(crystals: Mapping[str, Crystal]) -> dict[str, Any]:
    """Entry of a report about the sites of those of its parts that are crystals of the user's, by name.

    ``crystal_sites``: sublattice, species of largest share and fractional coordinates of each site of the cell; nothing
    for a crystal of a data set, which is known by its name, and for a cell of more than 400 sites.
    """
    own = {
        part: [[site.label, site.species, *site.position] for site in crystal.sites]
        for part, crystal in crystals.items()
        if crystal.dataset == FILE_DATASET and len(crystal.sites) <= _MOST_SITES
    }
    return {"crystal_sites": own} if own else {}


def lattice_facts(crystals: Mapping[str, Crystal]) -> dict[str, Any]:
    """Entries of a report about the lattices of its parts, by name: constant (Å), cell, source, temperature (K).

    The constant is the (pseudo-)cubic one, :attr:`Crystal.a_angstrom`.
    """
    temperatures = {part: crystal.temperature_kelvin for part, crystal in crystals.items()}
    told = [text for crystal in crystals.values() for text in crystal.warnings]
    return {
        "lattice_angstrom": {part: crystal.a_angstrom for part, crystal in crystals.items()},
        **cell_facts({part: (crystal.lengths, crystal.angles) for part, crystal in crystals.items()}),
        **site_facts(crystals),
        "lattice_source": {part: crystal.source for part, crystal in crystals.items()},
        "temperature_kelvin": temperatures,
        "lattice_warnings": list(dict.fromkeys((*told, *apart_in_temperature(temperatures)))),
    }


def with_edges(crystal: Crystal, *, edges: Sequence[float]) -> Crystal:
    """Return the crystal with cell edges given by the user (Å): ``a``, ``a, c`` or ``a, b, c``.

    One number scales the whole cell so that its first edge is ``a``; two set a = b and c, three set every edge.

    Raises
    ------
    UsageError
        If a length is out of range, or two or three different edges are given to a cubic crystal.
    """
    for value in edges:
        check_lattice(value, what=f"lattice constant of {crystal.name}")
    a, b, c = crystal.lengths
    if len(edges) == 1:
        lengths = (edges[0], edges[0] if b == a else b * edges[0] / a, edges[0] if c == a else c * edges[0] / a)
    elif len(edges) == 2:
        if a != b:
            raise UsageError(f"{crystal.label} has three different edges; give one or three lattice constants")
        lengths = (edges[0], edges[0], edges[1])
    elif len(edges) == 3:
        lengths = (edges[0], edges[1], edges[2])
    else:
        raise UsageError(f"{len(edges)} lattice constants for {crystal.name}; expected one to three")
    if a == b == c and len(set(lengths)) > 1:
        raise UsageError(f"{crystal.label} is cubic; give one lattice constant, not {len(edges)} different ones")
    text = ", ".join(f"{value:g}" for value in edges)
    return replace(
        crystal,
        lengths=lengths,
        temperature_kelvin=None,
        source=f"given: {text} Å",
        doi=None,
        verified=False,
        uncertainty_angstrom=None,
        warnings=(),
    )


def check_lattice(value: float, *, what: str) -> float:
    """Return ``value`` (Å) when it can be a lattice constant.

    Raises
    ------
    UsageError
        If it is not finite or outside 1 to 100 Å.
    """
    if not (math.isfinite(value) and 1.0 <= value <= 100.0):
        raise UsageError(f"{what} is {value:g} Å; expected a length between 1 and 100 Å")
    return value


def _cosine(angle: float) -> float:
    return 0.0 if angle == 90.0 else (-0.5 if angle == 120.0 else math.cos(math.radians(angle)))
