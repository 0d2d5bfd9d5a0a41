"""Which finished runs make one study: splitting groups that hold several interfaces, sharing slabs and bulk references.

One study has one film, one substrate and one interface. A group (run.json) may hold more: several registries, gaps,
thicknesses or terminations, which share their slabs and bulk cells. It is then split into studies by what the builder
said about each interface. A fact that is unknown on one side (a structure of other origin) forbids nothing. A study
that lacks a part takes it from another group when the builder calls it the same slab or crystal, the lateral cell
agrees, and nothing else in it forbids the difference of energies.

Runs that nothing but their energies tells apart (same role, atoms, cell, settings and make) are kept together: whether
they fit is asked once for all of them. They are looked up by lateral cell and by atoms or monolayers, so that the time
for all studies grows with the number of runs and not with its square.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from qdip_struct.analysis.energies.comparability import LATERAL_TOLERANCE_ANGSTROM, EnergyRun, run_difference
from qdip_struct.analysis.energies.stoichiometry import Composition, added, cells_of, reduced_formula, without
from qdip_struct.builders.roles import PARTS, ROLES, role_name, role_of

PART_FACTS = {
    "film": ("film", "film_plane", "film_layers", "film_termination"),
    "substrate": ("substrate", "substrate_plane", "substrate_layers", "termination"),
}
"""What the builder says of a slab, by the part it plays."""

_OF_A_PART = tuple(
    role.name for role in sorted(ROLES.values(), key=lambda role: not role.layered) if role.part is not None
)
"""Slabs, then bulk crystals, that belong to one side of an interface."""


def make(run: EnergyRun) -> tuple[Any, ...]:
    """What two runs of one make share, as a key: role, atoms, geometry, facts of the slabs, registry and last the gap.

    Interface and sandwich count as one role; the gap is that of an interface only.
    """
    facts = run.facts
    role = "interface" if run.plays.n_interfaces else run.role
    common = (role, tuple(sorted(run.composition.items())), run.geometry)
    if role != "interface":
        return (*common, *_slab_facts(run.role, facts))
    gap = facts.get("gap_angstrom") if run.role == "interface" else None
    registry = facts.get("registry_fraction") or facts.get("registry")
    return (*common, *_slab_facts("film", facts), *_slab_facts("substrate", facts), as_key(registry), as_key(gap))


def _slab_facts(role: str, facts: Mapping[str, Any]) -> tuple[Any, ...]:
    """The facts of a slab, ``None`` where unknown."""
    return tuple(as_key(facts.get(name)) for name in PART_FACTS[role_of(role).side])


def as_key(value: Any) -> Any:
    """A value of a JSON document as something that can be a key; equal values are equal keys."""
    if isinstance(value, (list, tuple)):
        return tuple(map(as_key, value))
    return frozenset((name, as_key(item)) for name, item in value.items()) if isinstance(value, Mapping) else value


def goes_with(run: EnergyRun, anchor: EnergyRun) -> bool:
    """Whether a slab or bulk cell has the make and the atoms of a part of ``anchor``."""
    part = run.plays.side
    if run.plays.kind == "bulk":
        return run.facts.get(part) is None or run.facts.get(part) == anchor.facts.get(part, run.facts.get(part))
    for name in PART_FACTS[part]:
        one, two = run.facts.get(name), anchor.facts.get(name)
        if one is not None and two is not None and one != two:
            return False
    if anchor.plays.n_interfaces and run.plays.kind != "companion":
        return all(anchor.composition.get(e, 0) >= n for e, n in run.composition.items())
    return True


class Members:
    """The runs of one group, found by role and by what is known of their slabs."""

    def __init__(self, runs: Iterable[EnergyRun]) -> None:
        self._of_role: dict[str, list[EnergyRun]] = {}
        self._of_make: dict[tuple[Any, ...], list[EnergyRun]] = {}
        self._by_facts: dict[str, dict[tuple[int, ...], dict[tuple[Any, ...], list[int]]]] = {}
        for run in runs:
            own = self._of_role.setdefault(run.role, [])
            facts = _slab_facts(run.role, run.facts)
            known = tuple(place for place, fact in enumerate(facts) if fact is not None)
            table = self._by_facts.setdefault(run.role, {}).setdefault(known, {})
            table.setdefault(tuple(facts[place] for place in known), []).append(len(own))
            own.append(run)
            self._of_make.setdefault(make(run), []).append(run)

    def of_role(self, role: str) -> Sequence[EnergyRun]:
        """All that play a role, in their order."""
        return self._of_role.get(role, ())

    def of_make(self, anchor: EnergyRun) -> Sequence[EnergyRun]:
        """All of the make of a slab, in their order."""
        return self._of_make.get(make(anchor), ())

    def going_with(self, anchor: EnergyRun, *, role: str) -> list[EnergyRun]:
        """Those of a role that go with an interface or slab, in their order; see :func:`goes_with`."""
        own = self.of_role(role)
        if role_of(role).kind == "bulk":
            return [run for run in own if goes_with(run, anchor)]
        facts = _slab_facts(role, anchor.facts)
        numbers: list[int] = []
        for known, table in self._by_facts.get(role, {}).items():
            wanted = tuple(facts[place] for place in known)
            found = table.values() if None in wanted else [table.get(wanted, [])]
            numbers += [number for some in found for number in some]
        return [own[number] for number in sorted(numbers) if goes_with(own[number], anchor)]


_WEIGHTS = np.sqrt([1.0, 2.0, 3.0, 5.0, 7.0, 11.0])
_WIDTH_ANGSTROM = 1e-3
_MARGIN_ANGSTROM = 2.0 * LATERAL_TOLERANCE_ANGSTROM * float(_WEIGHTS.sum())


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
            if same[0].plays.kind == "reservoir":
                self._reservoirs.setdefault(reduced_formula(same[0].composition), []).append(together)

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
        cells = [None] if role_of(role).crystal_alone else _cells_near(anchor)
        return [same for cell in cells for same in self._found.get((role, cell), [])]

    def reservoirs(self, slab: EnergyRun, *, bulk: EnergyRun, known: Collection[str]) -> list[EnergyRun]:
        """For each formula of the elements of ``bulk`` that is not ``known``, the first by path that fits ``slab``."""
        chosen: list[EnergyRun] = []
        for name, found in self._reservoirs.items():
            if name not in known and set(found[0].first.composition) <= set(bulk.composition):
                fitting = [same.first for same in found if run_difference(same.first, slab) is None]
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
        if ends and fits(same.first) and run_difference(replace(same.first, role=role), anchor) is None:
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
    facts = tuple((name in run.facts, as_key(run.facts.get(name))) for name in PART_FACTS[run.plays.side])
    settings = (repr(run.settings), repr(run.asked), run.run_type, run.geometry)
    force = None if run.relaxed or run.plays.layered else run.max_force
    return (run.role, _atoms(run.composition), bool(run.facts), facts, run.cell.tobytes(), settings, force)


def _keys(run: EnergyRun) -> list[tuple[Any, ...]]:
    """Where a run is looked for."""
    if run.plays.crystal_alone:
        return [(run.role, None)]
    place = (run.role, next(iter(_cells_near(run, margin=0.0)), "nowhere"))
    if not run.plays.layered:
        return [place]
    n_layers = as_key(run.facts.get(f"{run.plays.side}_layers"))
    return [place, (*place, "atoms", _atoms(run.composition)), (*place, "layers", n_layers)]


def _atoms(composition: Composition) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((element, count) for element, count in composition.items() if count))


def _cells_near(run: EnergyRun, *, margin: float = _MARGIN_ANGSTROM) -> list[int]:
    """Numbers that lateral cells which agree with that of ``run`` share: one, or two at a border; none for no cell."""
    value = float(_WEIGHTS @ np.asarray(run.cell[:2], dtype=float).ravel())
    if not math.isfinite(value):
        return []
    return sorted({math.floor((value + step) / _WIDTH_ANGSTROM) for step in (-margin, margin)})


@dataclass(frozen=True)
class RunSet:
    """The runs of one study, completed with what it shares with others.

    Attributes
    ----------
    name
        Name of the study.
    group
        Group of ``run.json`` it comes from.
    runs
        Its runs, borrowed ones last.
    facts
        The builder's about the interface, or about the slab of a study without one.
    borrowed
        Group of each run that came from another one, by its path.
    warnings
        Where several runs could have been borrowed and their energies differ; the lowest is taken.
    """

    name: str
    group: str
    runs: tuple[EnergyRun, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    borrowed: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


SAME_EV_PER_ATOM = 1e-4
"""Runs of one slab or crystal may differ by this much without a word."""


def run_sets(runs: Iterable[EnergyRun]) -> list[RunSet]:
    """Split and complete the groups of all runs, sorted by name."""
    pool = sorted(runs, key=lambda run: run.path)
    groups: dict[str, list[EnergyRun]] = {}
    for run in pool:
        groups.setdefault(run.group, []).append(run)
    lenders = Lenders(pool)
    return [_completed(item, lenders) for group in sorted(groups) for item in _of_group(group, groups[group])]


def _of_group(group: str, runs: Sequence[EnergyRun]) -> list[RunSet]:
    members = Members(runs)
    anchors = _distinct(members.of_role("interface"))
    by_make: dict[tuple[Any, ...], list[list[EnergyRun]]] = {}
    for chosen in anchors:
        by_make.setdefault(make(chosen[0])[:-1], []).append(chosen)
    for both in _distinct(members.of_role("sandwich")):
        with_gap = by_make.get(make(both[0])[:-1], [])
        for chosen in with_gap:
            chosen += both
        anchors += [] if with_gap else [both]
    used: set[str] = set()
    sets = []
    for chosen in anchors:
        own = set(map(id, chosen))
        parts = [run for run in _parts(members, chosen[0]) if id(run) not in own]
        sets.append((chosen, parts))
        used |= {run.path for run in parts}
    rest = [run for run in runs if run.plays.kind == "slab" and run.path not in used]
    lonely = _distinct(rest) if anchors or _several(rest) else []
    for chosen in lonely:
        sets.append((chosen, [run for run in _parts(members, chosen[0]) if run.plays.kind in ("bulk", "reservoir")]))
    if not sets:
        return [RunSet(group, group, tuple(runs), _facts(members))]
    labels = _labels([chosen[0] for chosen, _ in sets])
    return [
        RunSet(f"{group} [{label}]" if label else group, group, (*chosen, *parts), chosen[0].facts)
        for (chosen, parts), label in zip(sets, labels, strict=True)
    ]


def _facts(members: Members) -> Mapping[str, Any]:
    return next((run.facts for role in PARTS for run in members.of_role(role)), {})


def _several(slabs: Sequence[EnergyRun]) -> bool:
    """Whether one role is played by slabs of different make."""
    return any(len(_distinct([run for run in slabs if run.role == role])) > 1 for role in PARTS)


def _distinct(runs: Sequence[EnergyRun]) -> list[list[EnergyRun]]:
    """Runs of the same make together."""
    found: dict[str, list[EnergyRun]] = {}
    for run in runs:
        found.setdefault(repr(make(run)), []).append(run)
    return list(found.values())


def _parts(members: Members, anchor: EnergyRun) -> list[EnergyRun]:
    """The group's own runs that go with an interface (or slab): those of its make where a role is played by several."""
    chosen: list[EnergyRun] = []
    for role in _OF_A_PART:
        own = members.of_role(role)
        if anchor.role == role:
            own = members.of_make(anchor)
        elif len(own) > 1:
            own = members.going_with(anchor, role=role)
            kind = [run for run in own if run.geometry == anchor.geometry] if role_of(role).layered else []
            own = kind or own
        chosen += own
    return [*chosen, *members.of_role("reservoir")]


def _labels(anchors: Sequence[EnergyRun]) -> list[str]:
    """What tells the studies of one group apart."""
    if len(anchors) < 2:
        return [""] * len(anchors)
    columns: list[list[str]] = []
    for write in (_layers, _termination, _registry, _gap, _kind):
        texts = [write(run) for run in anchors]
        if len(set(texts)) > 1:
            columns.append(texts)
    labels = [", ".join(filter(None, texts)) for texts in zip(*columns, strict=True)] or [""] * len(anchors)
    seen: dict[str, int] = {}
    left = Counter(labels)
    for number, label in enumerate(labels):
        seen[label] = seen.get(label, 0) + 1
        if left[label] > 1:
            labels[number] = f"{label or anchors[number].role} ({seen[label]})"
            left[label] -= 1
            left[labels[number]] += 1
    return labels


def _layers(run: EnergyRun) -> str:
    names = PARTS if run.plays.n_interfaces else (run.plays.side,)
    counts = [run.facts.get(f"{name}_layers") for name in names]
    who = "" if run.plays.n_interfaces else f"{run.role} "
    return f"{who}{'+'.join(map(str, counts))} layers" if None not in counts else reduced_formula(run.composition)


def _termination(run: EnergyRun) -> str:
    return str(run.facts.get("termination") or "") if run.role != "film" else ""


def _registry(run: EnergyRun) -> str:
    name = run.facts.get("registry") if run.plays.n_interfaces else None
    return f"registry {name}" if name else ""


def _gap(run: EnergyRun) -> str:
    gap = run.facts.get("gap_angstrom") if run.plays.n_interfaces else None
    return f"gap {gap:g} Å" if gap is not None else ""


def _kind(run: EnergyRun) -> str:
    return "unrelaxed" if run.geometry == "as built" else run.geometry


def _completed(item: RunSet, lenders: Lenders) -> RunSet:
    """Add what a study lacks from other groups."""
    have = {run.role: run for run in item.runs}
    anchor = next((have[role] for role in ("interface", "sandwich", *PARTS) if role in have), None)
    if anchor is None:
        return item
    runs, borrowed, warnings = list(item.runs), dict(item.borrowed), list(item.warnings)
    own = {run.path for run in item.runs}

    def take(role: str, candidates: Iterable[Alike], fits: Callable[[EnergyRun], bool]) -> None:
        loan = lowest(candidates, role=role, anchor=anchor, fits=fits, own=own)
        if loan is None:
            return
        if loan.spread_ev_per_atom > SAME_EV_PER_ATOM:
            warnings.append(
                f"{loan.n_fitting} runs could be its {role}, {1000 * loan.spread_ev_per_atom:.1f} meV per atom apart; "
                f"the lowest is {loan.run.path}"
            )
        have[role] = loan.run
        runs.append(loan.run)
        if loan.run.group != item.group:
            borrowed[loan.run.path] = loan.run.group

    if anchor.plays.n_interfaces:
        for role, partner in (PARTS, PARTS[::-1]):
            if role not in have:
                other = have.get(partner)
                rest = None if other is None else without(anchor.composition, other.composition)
                candidates = lenders.slabs(role, anchor=anchor, n_layers=anchor.facts.get(f"{role}_layers"), atoms=rest)
                take(role, candidates, partial(_fits, anchor=anchor, partner=other))
    for part in PARTS:
        coherent, free = role_name("bulk", part), role_name("bulk", part, cell="own")
        if part in have and coherent not in have:
            candidates = lenders.bulks(coherent, anchor=anchor)
            take(coherent, candidates, partial(_same_crystal, slab=have[part], part=part))
        if part in have and coherent in have and free not in have:
            candidates = lenders.bulks(free, anchor=anchor)
            take(free, candidates, partial(_same_formula, second=have[coherent]))
    for part in PARTS:
        coherent, companion = role_name("bulk", part), role_name("companion", part)
        if part not in have or coherent not in have:
            continue
        slab, bulk = have[part], have[coherent]
        if cells_of(slab.composition, [bulk.composition]) is not None:
            continue
        if companion not in have:
            n_layers = slab.facts.get(f"{part}_layers")
            candidates = [
                same for role in (part, companion) for same in lenders.slabs(role, anchor=anchor, n_layers=n_layers)
            ]
            take(companion, candidates, partial(_complementary, slab=slab, bulk=bulk))
        known = {reduced_formula(run.composition) for run in runs if run.plays.kind == "reservoir"}
        for run in lenders.reservoirs(slab, bulk=bulk, known=known):
            runs.append(run)
            if run.group != item.group:
                borrowed[run.path] = run.group
    return replace(item, runs=tuple(runs), borrowed=borrowed, warnings=tuple(warnings))


def _fits(run: EnergyRun, *, anchor: EnergyRun, partner: EnergyRun | None) -> bool:
    """Whether a slab of another group is the missing one of an interface: its make, and the atoms that are left."""
    if partner is not None:
        return goes_with(run, anchor) and added(run.composition, partner.composition) == dict(anchor.composition)
    return f"{run.role}_layers" in run.facts and f"{run.role}_layers" in anchor.facts and goes_with(run, anchor)


def _same_crystal(bulk: EnergyRun, *, slab: EnergyRun, part: str) -> bool:
    one, two = bulk.facts.get(part), slab.facts.get(part)
    if one is not None and two is not None and one != two:
        return False
    if cells_of(slab.composition, [bulk.composition]) is not None:
        return True
    return one is not None and one == two


def _same_formula(first: EnergyRun, *, second: EnergyRun) -> bool:
    return cells_of(first.composition, [second.composition]) is not None


def _complementary(run: EnergyRun, *, slab: EnergyRun, bulk: EnergyRun) -> bool:
    """Whether a slab of another group is the other termination of the same crystal, at the same thickness."""
    if not (run.plays.alone and run.plays.part == "substrate") or run.composition == slab.composition:
        return False
    for name in ("substrate", "substrate_plane", "substrate_layers"):
        one, two = run.facts.get(name), slab.facts.get(name)
        if one is not None and two is not None and one != two:
            return False
    return cells_of(added(run.composition, slab.composition), [bulk.composition]) is not None
