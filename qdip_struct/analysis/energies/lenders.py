"""Finished runs of all groups that a study may borrow from, found by what must agree instead of one by one.

Runs that nothing but their energies tells apart (same role, atoms, cell, settings and make) are kept together: whether
they fit is asked once for all of them. They are looked up by lateral cell and by atoms or monolayers, so that the time
for all studies grows with the number of runs and not with its square.
"""

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qdip_struct.analysis.energies.comparability import LATERAL_TOLERANCE_ANGSTROM, difference
from qdip_struct.analysis.energies.energy_run import SLABS, EnergyRun
from qdip_struct.analysis.energies.makes import PART_FACTS, as_key, part_of
from qdip_struct.analysis.energies.stoichiometry import Composition, formula

_WEIGHTS = np.sqrt([1.0, 2.0, 3.0, 5.0, 7.0, 11.0])
_WIDTH_ANGSTROM = 1e-3
_MARGIN_ANGSTROM = 2.0 * LATERAL_TOLERANCE_ANGSTROM * float(_WEIGHTS.sum())
_IN_CELLS_OF_THEIR_OWN = ("film_bulk_free", "substrate_bulk_free", "reservoir")


@dataclass(frozen=True)
class Loan:
    """A run to borrow, and how far the others are that would do as well.

    Attributes
    ----------
    run
        The lowest in energy, the first by path among equals, in the role it is to play.
    n_fitting
        How many fit, this one included.
    spread_ev_per_atom
        Highest minus lowest energy among them, eV per atom.
    """

    run: EnergyRun
    n_fitting: int
    spread_ev_per_atom: float


class Alike:
    """Runs that nothing but their energies tells apart: ``ranked`` from the lowest, ``falling`` from the highest."""

    def __init__(self, runs: Iterable[EnergyRun]) -> None:
        self.ranked = sorted(runs, key=_rank)
        self.falling = sorted(self.ranked, key=_energy_per_atom, reverse=True)
        self.paths = {run.path for run in self.ranked}
        self.first = min(self.ranked, key=lambda run: run.path)

    def ends(self, own: Collection[str]) -> tuple[EnergyRun, EnergyRun, int] | None:
        """Lowest, highest and number of those that are not ``own``; ``None`` when all are."""
        count = len(self.paths) - sum(path in self.paths for path in own)
        if not count:
            return None
        low, high = (next(run for run in runs if run.path not in own) for runs in (self.ranked, self.falling))
        return low, high, count


class Lenders:
    """The finished runs among those of all groups."""

    def __init__(self, runs: Iterable[EnergyRun]) -> None:
        alike: dict[tuple[Any, ...], list[EnergyRun]] = {}
        for run in runs:
            if run.status == "done" and run.energy_ev is not None:
                alike.setdefault(_likeness(run), []).append(run)
        self._found: dict[tuple[Any, ...], list[Alike]] = {}
        self._reservoirs: dict[str, list[Alike]] = {}
        for same in alike.values():
            together = Alike(same)
            for key in _keys(same[0]):
                self._found.setdefault(key, []).append(together)
            if same[0].role == "reservoir":
                self._reservoirs.setdefault(formula(same[0].composition), []).append(together)

    def slabs(
        self, role: str, *, anchor: EnergyRun, n_layers: Any = None, atoms: Composition | None = None
    ) -> list[Alike]:
        """Slabs of a role in the lateral cell of ``anchor``.

        Parameters
        ----------
        role
            The part they play.
        anchor
            Who borrows.
        n_layers
            Monolayers they have, where the builder told of theirs and of these.
        atoms
            Their composition, where it is known; it decides alone.
        """
        found: list[Alike] = []
        for cell in _cells_near(anchor):
            if atoms is not None:
                found += self._found.get((role, cell, "atoms", _atoms(atoms)), [])
            elif n_layers is None:
                found += self._found.get((role, cell), [])
            else:
                for wanted in (as_key(n_layers), None):
                    found += self._found.get((role, cell, "layers", wanted), [])
        return found

    def bulks(self, role: str, *, anchor: EnergyRun) -> list[Alike]:
        """Bulk cells of a role: in the lateral cell of ``anchor``, or in cells of their own."""
        cells = [None] if role in _IN_CELLS_OF_THEIR_OWN else _cells_near(anchor)
        return [same for cell in cells for same in self._found.get((role, cell), [])]

    def reservoirs(self, slab: EnergyRun, *, bulk: EnergyRun, known: Collection[str]) -> list[EnergyRun]:
        """For each formula of the elements of ``bulk`` that is not ``known``, the first by path that fits ``slab``."""
        chosen: list[EnergyRun] = []
        for name, found in self._reservoirs.items():
            if name not in known and set(found[0].first.composition) <= set(bulk.composition):
                fitting = [same.first for same in found if difference(same.first, slab) is None]
                chosen += sorted(fitting, key=lambda run: run.path)[:1]
        return sorted(chosen, key=lambda run: run.path)


def lowest(
    candidates: Iterable[Alike],
    *,
    role: str,
    anchor: EnergyRun,
    fits: Callable[[EnergyRun], bool],
    own: Collection[str],
) -> Loan | None:
    """The lowest of the candidates that fit and whose energy may be subtracted from that of ``anchor``.

    Parameters
    ----------
    candidates
        As :class:`Lenders` finds them.
    role
        The part it is to play.
    anchor
        Interface or slab of the study.
    fits
        Whether a run is of the make that is wanted.
    own
        Paths of the runs that the study has already: they lend it nothing.
    """
    fitting = []
    for same in candidates:
        ends = same.ends(own)
        if ends and fits(same.first) and difference(replace(same.first, role=role), anchor) is None:
            fitting.append(ends)
    if not fitting:
        return None
    low = min((low for low, _, _ in fitting), key=_rank)
    highest = max(_energy_per_atom(high) for _, high, _ in fitting)
    return Loan(replace(low, role=role), sum(count for _, _, count in fitting), highest - _energy_per_atom(low))


def _energy_per_atom(run: EnergyRun) -> float:
    return float(run.energy_ev or 0.0) / sum(run.composition.values())


def _rank(run: EnergyRun) -> tuple[float, str]:
    return round(_energy_per_atom(run), 8), run.path


def _likeness(run: EnergyRun) -> tuple[Any, ...]:
    """All that decides whether a run fits a study, and whether its energy may be subtracted from another."""
    facts = tuple((name in run.facts, as_key(run.facts.get(name))) for name in PART_FACTS[part_of(run.role)])
    settings = (repr(run.settings), repr(run.asked), run.run_type, run.geometry)
    force = None if run.relaxed or run.role in SLABS else run.max_force
    return (run.role, _atoms(run.composition), bool(run.facts), facts, run.cell.tobytes(), settings, force)


def _keys(run: EnergyRun) -> list[tuple[Any, ...]]:
    """Where a run is looked for."""
    if run.role in _IN_CELLS_OF_THEIR_OWN:
        return [(run.role, None)]
    place = (run.role, next(iter(_cells_near(run, margin=0.0)), "nowhere"))
    if run.role not in SLABS:
        return [place]
    n_layers = as_key(run.facts.get(f"{part_of(run.role)}_layers"))
    return [place, (*place, "atoms", _atoms(run.composition)), (*place, "layers", n_layers)]


def _atoms(composition: Composition) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((element, count) for element, count in composition.items() if count))


def _cells_near(run: EnergyRun, *, margin: float = _MARGIN_ANGSTROM) -> list[int]:
    """Numbers that lateral cells which agree with that of ``run`` share: one, or two at a border; none for no cell."""
    value = float(_WEIGHTS @ np.asarray(run.cell[:2], dtype=float).ravel())
    if not math.isfinite(value):
        return []
    return sorted({math.floor((value + step) / _WIDTH_ANGSTROM) for step in (-margin, margin)})
