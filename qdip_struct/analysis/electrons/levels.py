"""One-electron levels: gap, where HOMO and LUMO live, states inside the gap, broadened PDOS, band edges of a crystal.

Weights are CP2K's projections on regions (its lists) or on atomic kinds, at Γ; band edges come from energies along
lines or on a mesh of k-points and carry no weights. Energies in eV on the run's own scale: two runs compare only after
an alignment of their potentials (:mod:`qdip_struct.analysis.electrons.potential`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qdip_struct.base import units
from qdip_struct.base.errors import DataError, MismatchError, UsageError
from qdip_struct.cp2k.outputs.pdos import Bands, ProjectedDos, broadened

DEGENERATE_EV = 0.01
"""Levels this close to an edge share it: their weights are averaged, for a degenerate set has no order of its own."""
HOST_SHARE = 0.5
"""Weight on the host from which a level counts as one of its own."""

_SAME_LEVEL_EV = 1.5e-6 * units.EV_PER_HARTREE


@dataclass(frozen=True, eq=False)
class Channel:
    """Levels of one spin channel, ascending.

    Attributes
    ----------
    spin
        ``None`` without spin polarisation.
    energies_ev
        (n,) eV on the run's own scale.
    occupations
        (n,) electrons.
    groups
        Names of the g columns of ``weights``.
    weights
        (n, g) projection of each level on each group.
    parts
        What it was joined from.
    """

    spin: Literal["ALPHA", "BETA"] | None
    fermi_ev: float
    energies_ev: np.ndarray
    occupations: np.ndarray
    groups: tuple[str, ...]
    weights: np.ndarray
    parts: tuple[ProjectedDos, ...]

    @property
    def full(self) -> float:
        """Electrons of a full level."""
        return 2.0 if self.spin is None else 1.0

    @property
    def occupied(self) -> np.ndarray:
        """(n,) whether a level is at least half full."""
        occupied: np.ndarray = self.occupations >= 0.5 * self.full
        return occupied


@dataclass(frozen=True)
class Edge:
    """The highest occupied or lowest empty level of all channels.

    Attributes
    ----------
    n_levels
        Levels of the channel within ``DEGENERATE_EV``.
    weights
        Mean over these of the weight on each group.
    """

    energy_ev: float
    spin: Literal["ALPHA", "BETA"] | None
    n_levels: int
    weights: dict[str, float]

    @property
    def home(self) -> str | None:
        """The group with at least half of the weight."""
        name = max(self.weights, key=lambda key: (self.weights[key], key))
        return name if self.weights[name] >= 0.5 else None


@dataclass(frozen=True)
class GapState:
    """A level strictly between the host's own edges.

    Attributes
    ----------
    occupation
        Electrons.
    weights
        On each group.
    """

    energy_ev: float
    spin: Literal["ALPHA", "BETA"] | None
    occupation: float
    weights: dict[str, float]


@dataclass(frozen=True)
class GapStates:
    """Levels between the outermost own levels of a host, which are ``None`` where undecided.

    Attributes
    ----------
    share
        Weight on it from which a level is its own.
    """

    host: str
    share: float
    host_homo_ev: float | None
    host_lumo_ev: float | None
    states: tuple[GapState, ...] = ()
    reason: str | None = None


def channels_of(parts: Sequence[ProjectedDos], *, names: Mapping[str, str] | None = None) -> tuple[Channel, ...]:
    """Join the projections of one run: regions when CP2K wrote lists, else atomic kinds; one channel for each spin.

    Parameters
    ----------
    parts
        Projections of one run. Where several steps of one group are given, the last counts.
    names
        Names of the groups ("list 1": "dot"); groups without one keep theirs.

    Raises
    ------
    UsageError
        If nothing is given.
    MismatchError
        If levels, occupations, Fermi levels or steps of the groups differ: files of different runs.
    """
    if not parts:
        raise UsageError("levels need at least one projected density of states")
    lists = [part for part in parts if part.group.startswith("list ")]
    latest: dict[tuple[str, str], ProjectedDos] = {}
    for part in lists or parts:
        key = (part.spin or "", part.group)
        if key not in latest or part.step >= latest[key].step:
            latest[key] = part
    channels = []
    for spin in sorted({key[0] for key in latest}):
        chosen = [part for key, part in latest.items() if key[0] == spin]
        chosen.sort(key=lambda part: (len(part.group), part.group))
        first = chosen[0]
        for part in chosen[1:]:
            _check_same(first, part)
        order = np.argsort(first.energies_ev, kind="stable")
        channels.append(
            Channel(
                spin=first.spin,
                fermi_ev=first.fermi_ev,
                energies_ev=first.energies_ev[order],
                occupations=first.occupations[order],
                groups=tuple((names or {}).get(part.group, part.group) for part in chosen),
                weights=np.stack([part.total for part in chosen], axis=1)[order],
                parts=tuple(chosen),
            )
        )
    if len({channel.groups for channel in channels}) > 1:
        raise MismatchError(f"{channels[0].parts[0].path} and its other spin channel hold different groups")
    if len({part.step for part in latest.values()}) > 1:
        raise MismatchError(f"{channels[0].parts[0].path} and its companions belong to different steps of the run")
    return tuple(channels)


def highest_occupied(channels: Sequence[Channel]) -> Edge | None:
    """HOMO over all spin channels, None without an occupied level."""
    return _edge(channels, occupied=True)


def lowest_empty(channels: Sequence[Channel]) -> Edge | None:
    """LUMO over all spin channels, None when the run printed no empty level."""
    return _edge(channels, occupied=False)


def gap_of(channels: Sequence[Channel]) -> float | None:
    """E(LUMO) − E(HOMO) in eV over the given channels; None when one of them is not known."""
    homo, lumo = highest_occupied(channels), lowest_empty(channels)
    return None if homo is None or lumo is None else lumo.energy_ev - homo.energy_ev


def states_in_gap(channels: Sequence[Channel], *, host: str, share: float = HOST_SHARE) -> GapStates:
    """Flag the levels strictly between the host's highest occupied and lowest empty level.

    A level is the host's when at least ``share`` of it lies there; what lies between the host's edges lies mostly
    elsewhere (interface, matrix, ligands).

    Raises
    ------
    UsageError
        If the host is no group, or the share is not above 0 and at most 1.
    """
    groups = channels[0].groups
    if host not in groups:
        raise UsageError(f"no group '{host}' in these levels: they are projected on {', '.join(groups)}")
    if not (np.isfinite(share) and 0 < share <= 1):
        raise UsageError(f"share {share}: expected more than 0 and at most 1")
    column = groups.index(host)
    below: list[float] = []
    above: list[float] = []
    for channel in channels:
        own = channel.weights[:, column] >= share
        below += channel.energies_ev[own & channel.occupied].tolist()
        above += channel.energies_ev[own & ~channel.occupied].tolist()
    if not below or not above:
        which = "occupied" if not below else "empty"
        reason = f"no {which} level has {share:g} of its weight on {host}" + (
            "" if not below else " (print more empty levels)"
        )
        return GapStates(host, share, max(below, default=None), min(above, default=None), reason=reason)
    low, high = max(below), min(above)
    states = [
        GapState(
            float(channel.energies_ev[level]),
            channel.spin,
            float(channel.occupations[level]),
            dict(zip(groups, channel.weights[level].tolist(), strict=True)),
        )
        for channel in channels
        for level in np.flatnonzero((channel.energies_ev > low) & (channel.energies_ev < high))
    ]
    states.sort(key=lambda state: (round(state.energy_ev, 9), state.spin or ""))
    return GapStates(host, share, low, high, tuple(states))


def density_of_states(
    channels: Sequence[Channel], *, energies_ev: np.ndarray, sigma_ev: float
) -> dict[tuple[str, str], np.ndarray]:
    """Broadened density (k,) in 1/eV of each (spin, group); spin is "" without channels.

    Raises
    ------
    UsageError
        If the width is not positive and finite.
    """
    return {
        (channel.spin or "", group): broadened(part, energies_ev=energies_ev, sigma_ev=sigma_ev)
        for channel in channels
        for group, part in zip(channel.groups, channel.parts, strict=True)
    }


def _edge(channels: Sequence[Channel], *, occupied: bool) -> Edge | None:
    best: tuple[float, Channel] | None = None
    for channel in channels:
        chosen = channel.energies_ev[channel.occupied == occupied]
        if len(chosen):
            energy = float(chosen.max() if occupied else chosen.min())
            if best is None or (energy > best[0] if occupied else energy < best[0]):
                best = (energy, channel)
    if best is None:
        return None
    energy, channel = best
    near = (np.abs(channel.energies_ev - energy) <= DEGENERATE_EV) & (channel.occupied == occupied)
    weights = channel.weights[near].mean(axis=0)
    return Edge(energy, channel.spin, int(near.sum()), dict(zip(channel.groups, weights.tolist(), strict=True)))


def _check_same(first: ProjectedDos, part: ProjectedDos) -> None:
    what = None
    if part.step != first.step:
        what = f"steps {first.step} and {part.step}"
    elif part.energies_ev.shape != first.energies_ev.shape:
        what = f"{len(first.energies_ev)} and {len(part.energies_ev)} levels"
    elif np.abs(part.energies_ev - first.energies_ev).max() > _SAME_LEVEL_EV:
        what = "other level energies"
    elif not np.array_equal(part.occupations, first.occupations):
        what = "other occupations"
    elif abs(part.fermi_ev - first.fermi_ev) > _SAME_LEVEL_EV:
        what = "other Fermi levels"
    if what is not None:
        raise MismatchError(f"{first.path} and {part.path} hold {what}: they belong to different runs or steps")


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
    gap_ev
        E_c − E_v, eV; negative when the bands overlap.
    direct_gap_ev
        Smallest E_c(k) − E_v(k) at one k-point, eV.
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
    valence, conduction = _band_edge(bands, tops, highest=True), _band_edge(bands, bottoms, highest=False)
    vertical = []
    for point in np.unique(np.round(bands.kpoints, 8), axis=0):
        same = (np.abs(bands.kpoints - point) < 1e-6).all(axis=1)
        vertical.append(float(bottoms[same].min() - tops[same].max()))
    gap = conduction.energy_ev - valence.energy_ev
    return BandEdges(valence, conduction, gap, min(vertical), len(vertical))


def _band_edge(bands: Bands, energies: np.ndarray, *, highest: bool) -> BandEdge:
    rounded = np.round(energies, 6)
    chosen = int(np.argmax(rounded) if highest else np.argmin(rounded))
    x, y, z = (float(number) for number in bands.kpoints[chosen])
    return BandEdge(float(energies[chosen]), (x, y, z), bands.name_of(bands.kpoints[chosen]))
