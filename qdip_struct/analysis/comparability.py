"""Whether two finished runs may enter one energy difference, and if not, in what they differ."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LATERAL_TOLERANCE_ANGSTROM = 1e-6
KPOINT_LENGTH_TOLERANCE = 0.1
"""Cells of different size may differ by this fraction in the Born-von Karman length n·|a| of their meshes."""

_OWN_CELL = ("film_bulk_free", "substrate_bulk_free", "reservoir")
SLABS = (
    "film",
    "substrate",
    "interface",
    "sandwich",
    "film_other",
    "substrate_other",
    "film_ghost",
    "substrate_ghost",
)
INTERFACES = ("interface", "sandwich")
SINGLE_POINTS = ("ENERGY", "ENERGY_FORCE", "WFN_OPT")
OPTIMISATIONS = ("GEO_OPT", "GEOMETRY_OPTIMIZATION", "CELL_OPT")


@dataclass(frozen=True, eq=False)
class EnergyRun:
    """One finished run as far as energies need it.

    ``composition`` counts atoms per element, ``cell`` is (3, 3) in Å with the normal along the third vector,
    ``settings`` are those of :class:`qdip_struct.cp2k.run.Settings` as a dictionary. ``energy_ev`` is the last
    converged energy; it only counts when ``status`` is ``done``. ``facts`` is what the builder said about the structure
    (layers, termination, registry, gap), empty for structures of other origin. ``asked`` are the settings of the input
    that the output does not print, see :func:`qdip_struct.cp2k.input_settings.input_settings`. ``max_force`` is the
    largest force in eV/Å, where printed.
    """

    path: str
    role: str
    group: str
    status: str
    energy_ev: float | None
    composition: Mapping[str, int]
    cell: NDArray[np.float64]
    settings: Mapping[str, Any]
    run_type: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
    max_force: float | None = None
    cp2k_version: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def relaxed(self) -> bool:
        """Whether the run is an optimisation."""
        return self.run_type in OPTIMISATIONS

    @property
    def area(self) -> float:
        """Lateral area |a × b| in Å²."""
        return float(np.linalg.norm(np.cross(self.cell[0], self.cell[1])))


def difference(first: EnergyRun, second: EnergyRun) -> str | None:
    """Name the first thing in which two runs differ that forbids subtracting their energies; ``None`` if nothing does.

    Compared are functional, dispersion, cutoffs, spin treatment, basis set and potential of shared kinds, the lateral
    cell, the k-point mesh (equal in equal lateral cells, equal Born-von Karman length otherwise), and between slabs
    the dipole correction and the kind of run.
    """
    for key, label in (
        ("functional", "functional"),
        ("dispersion", "dispersion correction"),
        ("cutoff_rydberg", "cutoff (Ry)"),
        ("rel_cutoff_rydberg", "relative cutoff (Ry)"),
        ("spin", "spin treatment"),
    ):
        one, two = first.settings.get(key), second.settings.get(key)
        if one != two:
            return f"{label}: {one} against {two}"
    for key, label in (("basis", "basis set"), ("potential", "potential")):
        one, two = first.settings.get(key) or {}, second.settings.get(key) or {}
        for kind in sorted(set(one) & set(two)):
            if one[kind] != two[kind]:
                return f"{label} of {kind}: {one[kind]} against {two[kind]}"
    return _cell_difference(first, second) or _slab_difference(first, second)


def _cell_difference(first: EnergyRun, second: EnergyRun) -> str | None:
    mesh = [tuple(run.settings.get("kpoints") or (1, 1, 1)) for run in (first, second)]
    if first.role in _OWN_CELL or second.role in _OWN_CELL:
        lengths = [
            min(n * float(np.linalg.norm(vector)) for n, vector in zip(m[:2], run.cell[:2], strict=True))
            for m, run in zip(mesh, (first, second), strict=True)
        ]
        own = 0 if first.role in _OWN_CELL else 1
        if lengths[own] < (1 - KPOINT_LENGTH_TOLERANCE) * lengths[1 - own]:
            return f"k-point density: {lengths[0]:.1f} against {lengths[1]:.1f} Å of Born-von Karman length"
        return None
    if not np.allclose(first.cell[:2], second.cell[:2], rtol=0, atol=LATERAL_TOLERANCE_ANGSTROM):
        return f"the lateral cell: {_lateral(first)} against {_lateral(second)} Å"
    if mesh[0][:2] != mesh[1][:2]:
        return f"in-plane k-points: {mesh[0][0]}x{mesh[0][1]} against {mesh[1][0]}x{mesh[1][1]}"
    return None


def _slab_difference(first: EnergyRun, second: EnergyRun) -> str | None:
    if first.role not in SLABS or second.role not in SLABS:
        return None
    one, two = first.settings.get("surface_dipole"), second.settings.get("surface_dipole")
    if bool(one) != bool(two):
        return "the surface dipole correction: one has it, the other not"
    kinds = ["single point" if run.run_type in SINGLE_POINTS else run.run_type for run in (first, second)]
    if kinds[0] != kinds[1]:
        return f"the kind of run: {kinds[0]} against {kinds[1]}"
    return None


def _lateral(run: EnergyRun) -> str:
    return " / ".join(" ".join(f"{x:.4f}" for x in vector) for vector in run.cell[:2])
