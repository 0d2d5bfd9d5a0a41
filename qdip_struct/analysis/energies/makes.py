"""What the builder made a run of: its part, the facts that tell slabs of one part apart, and which parts go together.

A fact that is unknown on one side (a structure of other origin) forbids nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qdip_struct.analysis.energies.energy_run import INTERFACES, EnergyRun

PART_FACTS = {
    "film": ("film", "film_plane", "film_layers", "film_termination"),
    "substrate": ("substrate", "substrate_plane", "substrate_layers", "termination"),
}
"""What the builder says of a slab, by the part it plays."""

SLAB_ROLES = ("film", "substrate", "film_other", "substrate_other", "film_ghost", "substrate_ghost")
BULK_ROLES = ("film_bulk", "substrate_bulk", "film_bulk_free", "substrate_bulk_free")


def part_of(role: str) -> str:
    """``film`` or ``substrate``."""
    return "film" if role.startswith("film") else "substrate"


def make(run: EnergyRun) -> tuple[Any, ...]:
    """What two runs of one make share, as a key: role, atoms, geometry, facts of the slabs, registry and last the gap.

    Interface and sandwich count as one role; the gap is that of an interface only.
    """
    facts = run.facts
    role = "interface" if run.role in INTERFACES else run.role
    common = (role, tuple(sorted(run.composition.items())), run.geometry)
    if role != "interface":
        return (*common, *_slab_facts(run.role, facts))
    gap = facts.get("gap_angstrom") if run.role == "interface" else None
    registry = facts.get("registry_fraction") or facts.get("registry")
    return (*common, *_slab_facts("film", facts), *_slab_facts("substrate", facts), as_key(registry), as_key(gap))


def _slab_facts(role: str, facts: Mapping[str, Any]) -> tuple[Any, ...]:
    """The facts of a slab, ``None`` where unknown."""
    return tuple(as_key(facts.get(name)) for name in PART_FACTS[part_of(role)])


def as_key(value: Any) -> Any:
    """A value of a JSON document as something that can be a key; equal values are equal keys."""
    if isinstance(value, (list, tuple)):
        return tuple(map(as_key, value))
    return frozenset((name, as_key(item)) for name, item in value.items()) if isinstance(value, Mapping) else value


def goes_with(run: EnergyRun, anchor: EnergyRun) -> bool:
    """Whether a slab or bulk cell has the make and the atoms of a part of ``anchor``."""
    part = part_of(run.role)
    if run.role in BULK_ROLES:
        return run.facts.get(part) is None or run.facts.get(part) == anchor.facts.get(part, run.facts.get(part))
    for name in PART_FACTS[part]:
        one, two = run.facts.get(name), anchor.facts.get(name)
        if one is not None and two is not None and one != two:
            return False
    if anchor.role in INTERFACES and not run.role.endswith("_other"):
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
        if role in BULK_ROLES:
            return [run for run in own if goes_with(run, anchor)]
        facts = _slab_facts(role, anchor.facts)
        numbers: list[int] = []
        for known, table in self._by_facts.get(role, {}).items():
            wanted = tuple(facts[place] for place in known)
            found = table.values() if None in wanted else [table.get(wanted, [])]
            numbers += [number for some in found for number in some]
        return [own[number] for number in sorted(numbers) if goes_with(own[number], anchor)]
