"""Which finished runs make one study: splitting groups that hold several interfaces, sharing slabs and bulk references.

One study has one film, one substrate and one interface. A group (run.json) may hold more: several registries, gaps,
thicknesses or terminations, which share their slabs and bulk cells. It is then split into studies by what the builder
said about each interface. A study that lacks a part takes it from another group when the builder calls it the same
slab or crystal, the lateral cell agrees, and nothing else in it forbids the difference of energies.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from qdip_struct.analysis.energies.energy_run import INTERFACES, EnergyRun
from qdip_struct.analysis.energies.lenders import Alike, Lenders, lowest
from qdip_struct.analysis.energies.makes import BULK_ROLES, SLAB_ROLES, Members, goes_with, make, part_of
from qdip_struct.analysis.energies.stoichiometry import added, cells_of, formula, without


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
    rest = [run for run in runs if run.role in ("film", "substrate") and run.path not in used]
    lonely = _distinct(rest) if anchors or _several(rest) else []
    for chosen in lonely:
        sets.append((chosen, [run for run in _parts(members, chosen[0]) if run.role in (*BULK_ROLES, "reservoir")]))
    if not sets:
        return [RunSet(group, group, tuple(runs), _facts(members))]
    labels = _labels([chosen[0] for chosen, _ in sets])
    return [
        RunSet(f"{group} [{label}]" if label else group, group, (*chosen, *parts), chosen[0].facts)
        for (chosen, parts), label in zip(sets, labels, strict=True)
    ]


def _facts(members: Members) -> Mapping[str, Any]:
    return next((run.facts for role in ("film", "substrate") for run in members.of_role(role)), {})


def _several(slabs: Sequence[EnergyRun]) -> bool:
    """Whether one role is played by slabs of different make."""
    return any(len(_distinct([run for run in slabs if run.role == role])) > 1 for role in ("film", "substrate"))


def _distinct(runs: Sequence[EnergyRun]) -> list[list[EnergyRun]]:
    """Runs of the same make together."""
    found: dict[str, list[EnergyRun]] = {}
    for run in runs:
        found.setdefault(repr(make(run)), []).append(run)
    return list(found.values())


def _parts(members: Members, anchor: EnergyRun) -> list[EnergyRun]:
    """The group's own runs that go with an interface (or slab): those of its make where a role is played by several."""
    chosen: list[EnergyRun] = []
    for role in (*SLAB_ROLES, *BULK_ROLES):
        own = members.of_role(role)
        if anchor.role == role:
            own = members.of_make(anchor)
        elif len(own) > 1:
            own = members.going_with(anchor, role=role)
            kind = [run for run in own if run.geometry == anchor.geometry] if role in SLAB_ROLES else []
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
    names = ("film", "substrate") if run.role in INTERFACES else (part_of(run.role),)
    counts = [run.facts.get(f"{name}_layers") for name in names]
    who = "" if run.role in INTERFACES else f"{run.role} "
    return f"{who}{'+'.join(map(str, counts))} layers" if None not in counts else formula(run.composition)


def _termination(run: EnergyRun) -> str:
    return str(run.facts.get("termination") or "") if run.role != "film" else ""


def _registry(run: EnergyRun) -> str:
    name = run.facts.get("registry") if run.role in INTERFACES else None
    return f"registry {name}" if name else ""


def _gap(run: EnergyRun) -> str:
    gap = run.facts.get("gap_angstrom") if run.role in INTERFACES else None
    return f"gap {gap:g} Å" if gap is not None else ""


def _kind(run: EnergyRun) -> str:
    return "unrelaxed" if run.geometry == "as built" else run.geometry


def _completed(item: RunSet, lenders: Lenders) -> RunSet:
    """Add what a study lacks from other groups."""
    have = {run.role: run for run in item.runs}
    anchor = next((have[role] for role in (*INTERFACES, "film", "substrate") if role in have), None)
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

    if anchor.role in INTERFACES:
        for role, partner in (("film", "substrate"), ("substrate", "film")):
            if role not in have:
                other = have.get(partner)
                rest = None if other is None else without(anchor.composition, other.composition)
                candidates = lenders.slabs(role, anchor=anchor, n_layers=anchor.facts.get(f"{role}_layers"), atoms=rest)
                take(role, candidates, partial(_fits, anchor=anchor, partner=other))
    for part in ("film", "substrate"):
        if part in have and f"{part}_bulk" not in have:
            candidates = lenders.bulks(f"{part}_bulk", anchor=anchor)
            take(f"{part}_bulk", candidates, partial(_same_crystal, slab=have[part], part=part))
        if part in have and f"{part}_bulk" in have and f"{part}_bulk_free" not in have:
            candidates = lenders.bulks(f"{part}_bulk_free", anchor=anchor)
            take(f"{part}_bulk_free", candidates, partial(_same_formula, second=have[f"{part}_bulk"]))
    if "substrate" in have and "substrate_bulk" in have:
        slab, bulk = have["substrate"], have["substrate_bulk"]
        if cells_of(slab.composition, [bulk.composition]) is None:
            if "substrate_other" not in have:
                n_layers = slab.facts.get("substrate_layers")
                candidates = [
                    same
                    for role in ("substrate", "substrate_other")
                    for same in lenders.slabs(role, anchor=anchor, n_layers=n_layers)
                ]
                take("substrate_other", candidates, partial(_complementary, slab=slab, bulk=bulk))
            known = {formula(run.composition) for run in runs if run.role == "reservoir"}
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
    if run.role not in ("substrate", "substrate_other") or run.composition == slab.composition:
        return False
    for name in ("substrate", "substrate_plane", "substrate_layers"):
        one, two = run.facts.get(name), slab.facts.get(name)
        if one is not None and two is not None and one != two:
            return False
    return cells_of(added(run.composition, slab.composition), [bulk.composition]) is not None
