"""One finished run as far as energies need it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.builders.roles import Role, role_of
from qdip_struct.cp2k.tasks import is_optimisation


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
