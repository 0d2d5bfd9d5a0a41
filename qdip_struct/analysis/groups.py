"""Which finished runs make one study: splitting groups that hold several interfaces, sharing slabs and bulk references.

One study has one film, one substrate and one interface. A group (run.json) may hold more: several registries, gaps,
thicknesses or terminations, which share their slabs and bulk cells. It is then split into studies by what the builder
said about each interface. A study that lacks a part takes it from another group when the builder calls it the same
slab or crystal, the lateral cell agrees, and nothing else in it forbids the difference of energies.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qdip_struct.analysis.comparability import difference
from qdip_struct.analysis.energy_run import INTERFACES, EnergyRun
from qdip_struct.analysis.stoichiometry import added, cells_of, formula

_PART_FACTS = {
    "film": ("film", "film_plane", "film_layers", "film_termination"),
    "substrate": ("substrate", "substrate_plane", "substrate_layers", "termination"),
}
_SLAB_ROLES = ("film", "substrate", "film_other", "substrate_other", "film_ghost", "substrate_ghost")
_BULK_ROLES = ("film_bulk", "substrate_bulk", "film_bulk_free", "substrate_bulk_free")


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
    found: list[RunSet] = []
    for group in sorted({run.group for run in pool}):
        found += _of_group(group, [run for run in pool if run.group == group])
    return [_completed(item, pool) for item in found]


def _of_group(group: str, members: Sequence[EnergyRun]) -> list[RunSet]:
    anchors = _distinct([run for run in members if run.role == "interface"])
    for both in _distinct([run for run in members if run.role == "sandwich"]):
        with_gap = [chosen for chosen in anchors if _make(chosen[0])[:-1] == _make(both[0])[:-1]]
        for chosen in with_gap:
            chosen += both
        anchors += [] if with_gap else [both]
    used: set[str] = set()
    sets = []
    for chosen in anchors:
        parts = [run for run in _parts(members, chosen[0]) if run not in chosen]
        sets.append((chosen, parts))
        used |= {run.path for run in parts}
    rest = [run for run in members if run.role in ("film", "substrate") and run.path not in used]
    lonely = _distinct(rest) if anchors or _several(rest) else []
    for chosen in lonely:
        sets.append((chosen, [run for run in _parts(members, chosen[0]) if run.role in (*_BULK_ROLES, "reservoir")]))
    if not sets:
        return [RunSet(group, group, tuple(members), _facts(members))]
    labels = _labels([chosen[0] for chosen, _ in sets])
    return [
        RunSet(f"{group} [{label}]" if label else group, group, (*chosen, *parts), chosen[0].facts)
        for (chosen, parts), label in zip(sets, labels, strict=True)
    ]


def _facts(members: Sequence[EnergyRun]) -> Mapping[str, Any]:
    return next((run.facts for role in ("film", "substrate") for run in members if run.role == role), {})


def _several(slabs: Sequence[EnergyRun]) -> bool:
    """Whether one role is played by slabs of different make."""
    return any(len(_distinct([run for run in slabs if run.role == role])) > 1 for role in ("film", "substrate"))


def _distinct(runs: Sequence[EnergyRun]) -> list[list[EnergyRun]]:
    """Runs of the same make together."""
    found: dict[str, list[EnergyRun]] = {}
    for run in runs:
        found.setdefault(repr(_make(run)), []).append(run)
    return list(found.values())


def _make(run: EnergyRun) -> tuple[Any, ...]:
    facts = run.facts
    role = "interface" if run.role in INTERFACES else run.role
    common = (role, tuple(sorted(run.composition.items())), run.geometry)
    if role != "interface":
        return (*common, *_slab_facts(run.role, facts))
    gap = facts.get("gap_angstrom") if run.role == "interface" else None
    registry = facts.get("registry_fraction") or facts.get("registry")
    return (*common, *_slab_facts("film", facts), *_slab_facts("substrate", facts), registry, gap)


def _slab_facts(role: str, facts: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(facts.get(name) for name in _PART_FACTS[_part(role)])


def _part(role: str) -> str:
    return "film" if role.startswith("film") else "substrate"


def _parts(members: Sequence[EnergyRun], anchor: EnergyRun) -> list[EnergyRun]:
    """The group's own runs that go with an interface (or slab): those of its make where a role is played by several."""
    chosen: list[EnergyRun] = []
    for role in (*_SLAB_ROLES, *_BULK_ROLES):
        own = [run for run in members if run.role == role]
        if anchor.role == role:
            own = [run for run in own if _make(run) == _make(anchor)]
        elif len(own) > 1:
            own = [run for run in own if _goes_with(run, anchor)]
            kind = [run for run in own if run.geometry == anchor.geometry] if role in _SLAB_ROLES else []
            own = kind or own
        chosen += own
    return chosen + [run for run in members if run.role == "reservoir"]


def _goes_with(run: EnergyRun, anchor: EnergyRun) -> bool:
    """Whether a slab or bulk cell has the make, the atoms and the lateral cell of a part of ``anchor``."""
    part = _part(run.role)
    if run.role in _BULK_ROLES:
        return run.facts.get(part) is None or run.facts.get(part) == anchor.facts.get(part, run.facts.get(part))
    for name in _PART_FACTS[part]:
        one, two = run.facts.get(name), anchor.facts.get(name)
        if one is not None and two is not None and one != two:
            return False
    if anchor.role in INTERFACES and not run.role.endswith("_other"):
        return all(anchor.composition.get(e, 0) >= n for e, n in run.composition.items())
    return True


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
    for number, label in enumerate(labels):
        seen[label] = seen.get(label, 0) + 1
        if labels.count(label) > 1:
            labels[number] = f"{label or anchors[number].role} ({seen[label]})"
    return labels


def _layers(run: EnergyRun) -> str:
    names = ("film", "substrate") if run.role in INTERFACES else (_part(run.role),)
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


def _completed(item: RunSet, pool: Sequence[EnergyRun]) -> RunSet:
    """Add what a study lacks from other groups."""
    have = {run.role: run for run in item.runs}
    anchor = next((have[role] for role in (*INTERFACES, "film", "substrate") if role in have), None)
    if anchor is None:
        return item
    runs, borrowed, warnings = list(item.runs), dict(item.borrowed), list(item.warnings)
    own = {run.path for run in item.runs}
    others = [run for run in pool if run.path not in own and run.status == "done" and run.energy_ev is not None]

    def take(role: str, candidates: Iterable[EnergyRun]) -> None:
        if role in have:
            return
        fitting = [run for run in candidates if difference(replace(run, role=role), anchor) is None]
        if fitting:
            chosen = min(fitting, key=lambda run: (round(_per_atom(run), 8), run.path))
            spread = max(map(_per_atom, fitting)) - _per_atom(chosen)
            if spread > SAME_EV_PER_ATOM:
                warnings.append(
                    f"{len(fitting)} runs could be its {role}, {1000 * spread:.1f} meV per atom apart; "
                    f"the lowest is {chosen.path}"
                )
            have[role] = replace(chosen, role=role)
            runs.append(have[role])
            if chosen.group != item.group:
                borrowed[chosen.path] = chosen.group

    if anchor.role in INTERFACES:
        for role, partner in (("film", "substrate"), ("substrate", "film")):
            take(role, (run for run in others if run.role == role and _fits(run, anchor, have.get(partner))))
    for part in ("film", "substrate"):
        if part not in have:
            continue
        slab = have[part]
        take(f"{part}_bulk", _bulks_of(slab, part, others))
        bulk = have.get(f"{part}_bulk")
        if bulk is not None:
            take(f"{part}_bulk_free", _free_of(bulk, part, others))
    if "substrate" in have and "substrate_bulk" in have:
        slab, bulk = have["substrate"], have["substrate_bulk"]
        if cells_of(slab.composition, [bulk.composition]) is None:
            take("substrate_other", (run for run in others if _complementary(run, slab, bulk)))
            names = {formula(run.composition) for run in runs if run.role == "reservoir"}
            for run in others:
                if run.role != "reservoir" or not set(run.composition) <= set(bulk.composition):
                    continue
                if formula(run.composition) not in names and difference(run, slab) is None:
                    names.add(formula(run.composition))
                    runs.append(run)
                    if run.group != item.group:
                        borrowed[run.path] = run.group
    return replace(item, runs=tuple(runs), borrowed=borrowed, warnings=tuple(warnings))


def _bulks_of(slab: EnergyRun, part: str, others: Sequence[EnergyRun]) -> Iterator[EnergyRun]:
    return (run for run in others if run.role == f"{part}_bulk" and _same_crystal(run, slab, part))


def _free_of(bulk: EnergyRun, part: str, others: Sequence[EnergyRun]) -> Iterator[EnergyRun]:
    return (run for run in others if run.role == f"{part}_bulk_free" and _same_formula(run, bulk))


def _per_atom(run: EnergyRun) -> float:
    return float(run.energy_ev or 0.0) / sum(run.composition.values())


def _fits(run: EnergyRun, anchor: EnergyRun, partner: EnergyRun | None) -> bool:
    """Whether a slab of another group is the missing one of an interface: its make, and the atoms that are left."""
    if partner is not None:
        return _goes_with(run, anchor) and added(run.composition, partner.composition) == dict(anchor.composition)
    return f"{run.role}_layers" in run.facts and f"{run.role}_layers" in anchor.facts and _goes_with(run, anchor)


def _same_crystal(bulk: EnergyRun, slab: EnergyRun, part: str) -> bool:
    one, two = bulk.facts.get(part), slab.facts.get(part)
    if one is not None and two is not None and one != two:
        return False
    if cells_of(slab.composition, [bulk.composition]) is not None:
        return True
    return one is not None and one == two


def _same_formula(first: EnergyRun, second: EnergyRun) -> bool:
    return cells_of(first.composition, [second.composition]) is not None


def _complementary(run: EnergyRun, slab: EnergyRun, bulk: EnergyRun) -> bool:
    """Whether a slab of another group is the other termination of the same crystal, at the same thickness."""
    if run.role not in ("substrate", "substrate_other") or run.composition == slab.composition:
        return False
    for name in ("substrate", "substrate_plane", "substrate_layers"):
        one, two = run.facts.get(name), slab.facts.get(name)
        if one is not None and two is not None and one != two:
            return False
    return cells_of(added(run.composition, slab.composition), [bulk.composition]) is not None
