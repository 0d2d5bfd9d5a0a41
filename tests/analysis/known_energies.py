"""Finished runs with energies that a test knows."""

from typing import Any

import numpy as np

from qdip_struct.analysis.energies.comparability import EnergyRun


def known_run(
    role: str, energy: float, composition: dict[str, int], *, path: str = "", height: float = 6.0, settings: Any = None,
    **more: Any
) -> EnergyRun:  # fmt: skip
    """A converged run in a cell of 6 × 6 Å and this height."""
    return EnergyRun(
        path=path or f"runs/{role}",
        role=role,
        group="g",
        status="done",
        energy_ev=energy,
        composition=composition,
        cell=np.diag([6.0, 6.0, height]),
        settings=settings or {"functional": "PBE", "kpoints": (4, 4, 4)},
        **more,
    )
