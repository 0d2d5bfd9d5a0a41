"""Valence and conduction edge of a crystal from its bands: energies, k-points, gap; eV on the scale of the run."""

from dataclasses import dataclass

import numpy as np

from qdip_struct.base.errors import DataError
from qdip_struct.cp2k.outputs.bands import Bands


@dataclass(frozen=True)
class BandEdge:
    """The highest occupied or the lowest empty band over all k-points.

    Attributes
    ----------
    energy_ev
        On the run's scale.
    kpoint
        In reciprocal lattice vectors.
    name
        Of the special point; ``None`` between them.
    """

    energy_ev: float
    kpoint: tuple[float, float, float]
    name: str | None


@dataclass(frozen=True)
class BandEdges:
    """Both edges, with E_g = E_c − E_v, and the smallest vertical distance of occupied and empty bands.

    Attributes
    ----------
    valence, conduction
        The edges.
    gap_ev
        E_c − E_v, eV; negative when the bands overlap.
    direct_gap_ev
        Smallest E_c(k) − E_v(k) at one k-point, eV.
    n_kpoints
        How many k-points the edges were looked for at.
    """

    valence: BandEdge
    conduction: BandEdge
    gap_ev: float
    direct_gap_ev: float
    n_kpoints: int


def band_edges(bands: Bands) -> BandEdges:
    """Edges over the k-points of a band structure; a band is occupied when it is at least half full.

    Edges between the sampled points are not seen: the points must hold the true ones, as the high-symmetry points do
    for rock salt (L) and cubic perovskite (R).

    Raises
    ------
    DataError
        If no band is empty, or none is occupied.
    """
    full = 2.0 if len(np.unique(bands.spins)) == 1 else 1.0
    occupied = bands.occupations >= 0.5 * full
    if not occupied.any(axis=1).all():
        raise DataError(f"{bands.path} has k-points without an occupied band")
    if occupied.all(axis=1).any():
        raise DataError(f"{bands.path} has no empty bands: no gap; ask for them with ADDED_MOS in &BAND_STRUCTURE")
    tops = np.where(occupied, bands.energies_ev, -np.inf).max(axis=1)
    bottoms = np.where(occupied, np.inf, bands.energies_ev).min(axis=1)
    valence, conduction = _edge(bands, tops, highest=True), _edge(bands, bottoms, highest=False)
    vertical = []
    for point in np.unique(np.round(bands.kpoints, 8), axis=0):
        same = (np.abs(bands.kpoints - point) < 1e-6).all(axis=1)
        vertical.append(float(bottoms[same].min() - tops[same].max()))
    gap = conduction.energy_ev - valence.energy_ev
    return BandEdges(valence, conduction, gap, min(vertical), len(vertical))


def _edge(bands: Bands, energies: np.ndarray, *, highest: bool) -> BandEdge:
    rounded = np.round(energies, 6)
    chosen = int(np.argmax(rounded) if highest else np.argmin(rounded))
    x, y, z = (float(number) for number in bands.kpoints[chosen])
    return BandEdge(float(energies[chosen]), (x, y, z), bands.name_of(bands.kpoints[chosen]))
