"""Finished runs as energies take them: whether two may enter one difference, and if not, in what they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.energies.stoichiometry import element_of
from qdip_struct.base.errors import MismatchError
from qdip_struct.base.units import EV_PER_ANGSTROM_PER_ATOMIC_FORCE
from qdip_struct.builders.roles import Role, role_of
from qdip_struct.cp2k.tasks import is_optimisation, is_single_point


@dataclass(frozen=True, eq=False)
class EnergyRun:
    """One finished run as far as energies need it.

    Attributes
    ----------
    path
        Its folder.
    role, group
        The part it plays, see :data:`qdip_struct.builders.roles.ROLES`, and in which study.
    status
        As in :class:`qdip_struct.cp2k.outputs.run.Run`; the energy only counts when it is ``done``.
    energy_ev
        Last converged energy of the cell, eV.
    composition
        Atoms per element.
    cell
        (3, 3) row vectors in Å, the normal along the third.
    settings
        Those of :class:`qdip_struct.cp2k.outputs.run.Settings` as a dictionary.
    run_type
        CP2K's, such as ``GEO_OPT``.
    facts
        What the builder said (layers, termination, registry, gap); empty for structures of other origin.
    asked
        Settings of the input that the output does not print, see
        :func:`qdip_struct.cp2k.inputs.input_settings.input_settings`.
    max_force
        Largest force on an atom, eV/Å, where printed.
    grid_doubt
        Why its energy depends on the place of the atoms on the density grid, see
        :func:`qdip_struct.cp2k.inputs.grid_noise.noise_doubt`; ``None`` where it does not.
    cp2k_version
        As printed.
    provenance
        Package version and hashes of structure and input.
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
    grid_doubt: str | None = None
    cp2k_version: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plays(self) -> Role:
        """The record of its role."""
        return role_of(self.role)

    @property
    def relaxed(self) -> bool:
        """Whether the run is an optimisation."""
        return is_optimisation(self.run_type)

    @property
    def geometry(self) -> str:
        """Where the final geometry comes from: ``relaxed`` by this run, ``as built``, or by which model before it."""
        before = self.facts.get("relaxation")
        if self.relaxed or not isinstance(before, Mapping):
            return "relaxed" if self.relaxed else "as built"
        return f"relaxed with {before.get('model')} to {before.get('fmax_ev_per_angstrom')} eV/Å"

    @property
    def area(self) -> float:
        """Lateral area |a × b| in Å²."""
        return float(np.linalg.norm(np.cross(self.cell[0], self.cell[1])))


LATERAL_TOLERANCE_ANGSTROM = 1e-6
KPOINT_LENGTH_TOLERANCE = 0.1
"""Cells of different size may differ by this fraction in the Born-von Karman length n·|a| of their meshes."""

SCF_FACTOR = 10.0
"""SCF thresholds may differ by this factor: the error of the energy is of second order."""

CP2K_MAX_FORCE = 4.5e-4
"""CP2K's own MAX_FORCE, hartree/bohr."""

CRYSTALS_KPOINT_RATIO = 0.7
"""Two crystals in cells of their own: whole numbers of points along short and long vectors scatter this much."""

_THEORY = ("functional", "dispersion", "cutoff_rydberg", "rel_cutoff_rydberg", "smearing")
_NO_SIGNATURE = ("eps_scf", "added_mos", "fixed_atoms")


def run_difference(first: EnergyRun, second: EnergyRun) -> str | None:
    """Name the first thing in which two runs differ that forbids subtracting their energies; ``None`` if nothing does.

    Compared are what the outputs print (functional, dispersion, cutoffs, spin treatment, charge, multiplicity,
    smearing, basis set and potential of shared elements), what the inputs say beyond that (thresholds, method, grids,
    exchange-correlation section, Hubbard terms, fields, data files), the lateral cell, the k-point mesh (equal in equal
    lateral cells, at least as long a Born-von Karman length otherwise and along the normal of a bulk), between slabs
    the Poisson solver, the dipole correction and the kind of run, and whether both are relaxed to one criterion. A bulk
    single point counts as relaxed when its largest force is below the criterion of the slab.
    """
    return (
        _printed_difference(first, second)
        or _asked_difference(first, second)
        or _cell_difference(first, second)
        or _slab_difference(first, second)
        or _relaxation_difference(first, second)
    )


def require_comparable(runs: Sequence[EnergyRun]) -> None:
    """Refuse runs whose energies may not be subtracted.

    Raises
    ------
    MismatchError
        If a run is not finished, or two of them differ (:func:`run_difference`).
    """
    for run in runs:
        if run.status != "done" or run.energy_ev is None:
            raise MismatchError(f"{run.path} is not finished: {run.status}")
    for first, second in combinations(runs, 2):
        reason = run_difference(first, second)
        if reason is not None:
            raise MismatchError(f"{first.path} and {second.path} differ in {reason}")


def theory(run: EnergyRun) -> tuple[Any, ...]:
    """What two crystals of different elements must share before their energies may stand in one table."""
    printed = tuple(str(run.settings.get(key)) for key in _THEORY)
    return (*printed, *(str(run.asked.get(key)) for key in ("eps_default", "method", "xc", "mgrid")))


def signature(run: EnergyRun) -> str:
    """Text that is the same for runs of the same atoms with the same settings, relaxed alike: what one curve may join.

    The SCF threshold is left out, and so is the mesh along the normal.
    """
    printed = {**run.settings, "kpoints": tuple(run.settings.get("kpoints") or (1, 1, 1))[:2]}
    asked = {key: value for key, value in run.asked.items() if key not in _NO_SIGNATURE}
    if not run.relaxed:
        asked.pop("force_limits", None)
    return repr((run.geometry, sorted(printed.items(), key=str), sorted(asked.items(), key=str)))


def _printed_difference(first: EnergyRun, second: EnergyRun) -> str | None:
    for key, label in (
        ("functional", "functional"),
        ("dispersion", "dispersion correction"),
        ("cutoff_rydberg", "cutoff (Ry)"),
        ("rel_cutoff_rydberg", "relative cutoff (Ry)"),
        ("spin", "spin treatment"),
        ("charge", "total charge (e)"),
        ("smearing", "smearing"),
    ):
        one, two = first.settings.get(key), second.settings.get(key)
        if one != two and not (key == "charge" and None in (one, two)):
            return f"{label}: {one} against {two}"
    one, two = first.settings.get("multiplicity"), second.settings.get("multiplicity")
    if one is not None and two is not None and (one - two) % 2 == 0 and one != two:
        return f"multiplicity: {one} against {two}"
    for key, label in (("basis", "basis set"), ("potential", "potential")):
        names = [_by_element(run.settings.get(key) or {}) for run in (first, second)]
        for element in sorted(set(names[0]) & set(names[1])):
            if names[0][element] != names[1][element]:
                ways = [" and ".join(sorted(item[element])) for item in names]
                return f"{label} of {element}: {ways[0]} against {ways[1]}"
    return None


def _by_element(names: Mapping[str, str]) -> dict[str, set[str]]:
    """The sets or potentials of each element: kinds such as Pb1 or Pb_gh are Pb."""
    found: dict[str, set[str]] = {}
    for kind, name in names.items():
        found.setdefault(element_of(kind), set()).add(name)
    return found


def _asked_difference(first: EnergyRun, second: EnergyRun) -> str | None:
    if not first.asked or not second.asked:
        return None
    for key, label in (
        ("eps_default", "EPS_DEFAULT"),
        ("force_method", "method of the force evaluation"),
        ("method", "Quickstep method"),
        ("kpoint_scheme", "k-point scheme"),
        ("potential_file", "potential file"),
    ):
        one, two = first.asked.get(key), second.asked.get(key)
        if one != two and not (key == "kpoint_scheme" and None in (one, two)):
            return f"{label}: {one} against {two}"
    for key, label in (
        ("xc", "exchange-correlation section"),
        ("mgrid", "MGRID section"),
        ("field", "external field"),
    ):
        reason = _first_of(first.asked.get(key) or {}, second.asked.get(key) or {})
        if reason is not None:
            return f"{label}: {reason}"
    one, two = first.asked.get("basis_files"), second.asked.get("basis_files")
    if one and two and one != two:
        return f"basis set files: {', '.join(one)} against {', '.join(two)}"
    plus_u = [
        {element_of(kind): value for kind, value in (run.asked.get("plus_u") or {}).items()} for run in (first, second)
    ]
    for element in sorted(set(first.composition) & set(second.composition)):
        if plus_u[0].get(element) != plus_u[1].get(element):
            return f"DFT+U of {element}: {plus_u[0].get(element)} against {plus_u[1].get(element)}"
    if first.settings.get("smearing") and first.asked.get("added_mos") != second.asked.get("added_mos"):
        return f"ADDED_MOS: {first.asked.get('added_mos')} against {second.asked.get('added_mos')}"
    loose, tight = (pick(run.asked.get("eps_scf", 1e-5) for run in (first, second)) for pick in (max, min))
    if loose > SCF_FACTOR * tight * (1 + 1e-9):
        return f"SCF threshold (EPS_SCF): {first.asked['eps_scf']:g} against {second.asked['eps_scf']:g}"
    return None


def _first_of(one: Mapping[str, Any], two: Mapping[str, Any]) -> str | None:
    """The first key in which two sections differ."""
    for key in sorted({*one, *two}):
        if one.get(key) != two.get(key):
            return f"{key} {one.get(key, 'absent')} against {two.get(key, 'absent')}"
    return None


def _cell_difference(first: EnergyRun, second: EnergyRun) -> str | None:
    mesh = [tuple(run.settings.get("kpoints") or (1, 1, 1)) for run in (first, second)]
    own = [run.plays.crystal_alone for run in (first, second)]
    if any(own):
        lengths = [
            _mesh_length(run, m, axes=3 if alone else 2)
            for run, m, alone in zip((first, second), mesh, own, strict=True)
        ]
        wanted = CRYSTALS_KPOINT_RATIO * max(lengths) if all(own) else (1 - KPOINT_LENGTH_TOLERANCE) * max(lengths)
        if any(alone and length < wanted for alone, length in zip(own, lengths, strict=True)):
            return f"k-point density: {lengths[0]:.1f} against {lengths[1]:.1f} Å of Born-von Karman length"
        return None
    if not np.allclose(first.cell[:2], second.cell[:2], rtol=0, atol=LATERAL_TOLERANCE_ANGSTROM):
        return f"the lateral cell: {_lateral(first)} against {_lateral(second)} Å"
    if mesh[0][:2] != mesh[1][:2]:
        return f"in-plane k-points: {mesh[0][0]}x{mesh[0][1]} against {mesh[1][0]}x{mesh[1][1]}"
    return _normal_difference(first, second, mesh)


def _normal_difference(first: EnergyRun, second: EnergyRun, mesh: Sequence[tuple[int, ...]]) -> str | None:
    """k-points along the normal: those of two slabs agree, those of a bulk are as dense as in the plane."""
    for run, m, other in ((first, mesh[0], second), (second, mesh[1], first)):
        if run.plays.coherent_bulk and other.plays.layered:
            normal, plane = m[2] * float(np.linalg.norm(run.cell[2])), _mesh_length(run, m, axes=2)
            if normal < (1 - KPOINT_LENGTH_TOLERANCE) * plane:
                return (
                    f"k-points along the normal of the bulk {run.path}: {normal:.1f} Å of Born-von Karman length "
                    f"against {plane:.1f} Å in the plane"
                )
    if first.plays.has_vacuum and second.plays.has_vacuum and mesh[0][2] != mesh[1][2]:
        return f"k-points along the normal: {mesh[0][2]} against {mesh[1][2]}"
    return None


def _mesh_length(run: EnergyRun, mesh: tuple[int, ...], *, axes: int) -> float:
    """Shortest Born-von Karman length n·|a| along the first ``axes`` vectors, Å."""
    return min(n * float(np.linalg.norm(vector)) for n, vector in zip(mesh[:axes], run.cell[:axes], strict=True))


def _slab_difference(first: EnergyRun, second: EnergyRun) -> str | None:
    if not (first.plays.has_vacuum and second.plays.has_vacuum):
        return None
    one, two = first.settings.get("surface_dipole"), second.settings.get("surface_dipole")
    if bool(one) != bool(two):
        return "the surface dipole correction: one has it, the other not"
    if first.asked and second.asked:
        ways = [run.asked.get("dipole_direction") for run in (first, second)]
        if ways[0] != ways[1]:
            return f"the direction of the dipole correction: {ways[0]} against {ways[1]}"
        reason = _first_of(first.asked.get("poisson") or {}, second.asked.get("poisson") or {})
        if reason is not None:
            return f"the Poisson section: {reason}"
    return None


def _relaxation_difference(first: EnergyRun, second: EnergyRun) -> str | None:
    if first.plays.layered and second.plays.layered:
        kinds = ["single point" if is_single_point(run.run_type) else run.run_type for run in (first, second)]
        if kinds[0] != kinds[1]:
            return f"the kind of run: {kinds[0]} against {kinds[1]} (relax all slabs or none)"
        if first.facts and second.facts and first.geometry != second.geometry:
            return f"the geometry of the single points: {first.geometry} against {second.geometry}"
    if first.relaxed and second.relaxed and first.asked and second.asked:
        reason = _criterion_difference(first, second)
        if reason is not None:
            return f"the criterion of the relaxation (hartree, bohr): {reason}"
    for run, other in ((first, second), (second, first)):
        if run.relaxed or not other.relaxed or run.plays.layered or run.max_force is None:
            continue
        limit = _force_limit(other)
        if run.max_force > limit:
            return (
                f"relaxation: {other.path} is relaxed to {limit:.3f} eV/Å, the single point {run.path} has forces of "
                f"{run.max_force:.3f} eV/Å"
            )
    return None


def _criterion_difference(first: EnergyRun, second: EnergyRun) -> str | None:
    """Slabs are relaxed to one criterion; a bulk crystal may be relaxed further than the slabs it is compared with."""
    limits = [run.asked.get("force_limits") or {} for run in (first, second)]
    if first.plays.layered == second.plays.layered:
        return _first_of(limits[0], limits[1])
    slab, bulk = limits if first.plays.layered else limits[::-1]
    one, two = (float(item.get("MAX_FORCE", CP2K_MAX_FORCE)) for item in (slab, bulk))
    return f"MAX_FORCE {one:g} of the slab against {two:g} of the bulk" if two > one * (1 + 1e-9) else None


def _force_limit(run: EnergyRun) -> float:
    """Largest force (eV/Å) that counts as relaxed beside an optimisation: its own criterion, for each component."""
    limits = run.asked.get("force_limits") or {}
    return float(np.sqrt(3.0) * limits.get("MAX_FORCE", CP2K_MAX_FORCE) * EV_PER_ANGSTROM_PER_ATOMIC_FORCE)


def _lateral(run: EnergyRun) -> str:
    return " / ".join(" ".join(f"{x:.4f}" for x in vector) for vector in run.cell[:2])
