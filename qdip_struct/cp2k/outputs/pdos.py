"""Projected densities of states (``PROJECT-k1-1.pdos``): levels, occupations and weights as CP2K printed them.

The Fermi level is the one in the file's header, never guessed from the occupations.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from qdip_struct.base import units
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import read_text

_HEADER = re.compile(
    r"# *Projected DOS for (?:atomic kind +(?P<kind>\S+)|list +(?P<list>\d+) +of +(?P<count>\d+) +atoms?).*?"
    r"step i *= *(?P<step>\d+).*?E\(Fermi\) *= *(?P<fermi>[-+.\dEe]+) *\[?(?P<unit>a\.u\.|hartree|eV)\]?",
    re.IGNORECASE,
)
_SPIN = re.compile(r"-(ALPHA|BETA)_(?:k|list)\d+-[^-]*\.pdos$")


@dataclass(frozen=True, eq=False)
class ProjectedDos:
    """Levels of one spin channel projected on the atoms of one kind or of one list.

    Attributes
    ----------
    path
        The file.
    group
        The atomic kind, or "list 1".
    n_atoms
        Atoms of a list; ``None`` for a kind.
    spin
        ``None`` without spin polarisation.
    step
        CP2K's step counter.
    fermi_ev
        Of the header, eV on the scale of the levels.
    energies_ev
        (n,) levels, eV, not shifted.
    occupations
        (n,) electrons.
    channels
        Names of the m columns: "s", "p", ..., or "py", "pz", ... when printed by component.
    weights
        (n, m) projections.
    """

    path: Path
    group: str
    n_atoms: int | None
    spin: Literal["ALPHA", "BETA"] | None
    step: int
    fermi_ev: float
    energies_ev: np.ndarray
    occupations: np.ndarray
    channels: tuple[str, ...]
    weights: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Weight of each level on this group (n,): the sum over its channels."""
        total: np.ndarray = self.weights.sum(axis=1)
        return total


def read_pdos(path: Path) -> ProjectedDos:
    """Read the last block of a ``.pdos`` file.

    Raises
    ------
    DataError
        If the file is missing, has no PDOS header, or a row is damaged or cut.
    """
    lines = read_text(path).splitlines()
    starts = [(number, found) for number, line in enumerate(lines) if (found := _HEADER.match(line))]
    if not starts:
        raise DataError(f"{path} is not a CP2K PDOS file: expected a first line '# Projected DOS for atomic kind ...'")
    start, header = starts[-1]
    titles = lines[start + 1] if start + 1 < len(lines) else ""
    if "Eigenvalue" not in titles or "Occupation" not in titles:
        raise DataError(f"{path}, line {start + 2}: expected the column titles 'MO Eigenvalue [a.u.] Occupation ...'")
    channels = tuple(titles.split("Occupation", 1)[1].split())
    rows: list[list[float]] = []
    for number, line in enumerate(lines[start + 2 :], start + 3):
        words = line.split()
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = []
        if len(row) != 3 + len(channels) or not np.isfinite(row).all():
            raise DataError(f"{path}, line {number}: expected {3 + len(channels)} numbers, the file is damaged or cut")
        rows.append(row)
    if not rows:
        raise DataError(f"{path} holds no levels after its header: CP2K was stopped while it wrote them")
    table = np.array(rows)
    spin = _SPIN.search(path.name)
    return ProjectedDos(
        path=path,
        group=header["kind"] or f"list {header['list']}",
        n_atoms=int(header["count"]) if header["count"] else None,
        spin=None if spin is None else ("ALPHA" if spin[1] == "ALPHA" else "BETA"),
        step=int(header["step"]),
        fermi_ev=float(header["fermi"]) * _factor(header["unit"]),
        energies_ev=table[:, 1] * _factor("eV" if "[eV]" in titles else "a.u."),
        occupations=table[:, 2],
        channels=channels,
        weights=table[:, 3:],
    )


def _factor(unit: str) -> float:
    return 1.0 if unit.lower() == "ev" else units.EV_PER_HARTREE


def broadened(
    pdos: ProjectedDos, *, energies_ev: np.ndarray, sigma_ev: float, channel: str | None = None
) -> np.ndarray:
    """Density of states (k,) in 1/eV at ``energies_ev`` (k,): Σ wᵢ exp(−(E − Eᵢ)²/2σ²)/(σ√2π).

    Parameters
    ----------
    pdos
        Levels and weights.
    energies_ev
        Where to evaluate, eV, on the scale of ``pdos.energies_ev``.
    sigma_ev
        Width of the Gaussian, eV, greater than 0.
    channel
        One column of the weights, or their sum.

    Raises
    ------
    UsageError
        If the width is not positive and finite or the channel is unknown.
    """
    if not (np.isfinite(sigma_ev) and sigma_ev > 0):
        raise UsageError(f"sigma_ev {sigma_ev}: expected a width greater than 0 eV")
    if channel is not None and channel not in pdos.channels:
        raise UsageError(f"no channel '{channel}' in {pdos.path}: it holds {', '.join(pdos.channels)}")
    weights = pdos.total if channel is None else pdos.weights[:, pdos.channels.index(channel)]
    distance = (np.asarray(energies_ev, dtype=float)[:, None] - pdos.energies_ev) / sigma_ev
    density: np.ndarray = np.exp(-0.5 * distance**2) @ weights / (sigma_ev * np.sqrt(2 * np.pi))
    return density
