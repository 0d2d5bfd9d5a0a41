"""Drafts of run folders: structures built, every input made and checked, texts kept or not.

Structures and inputs that come again are made once.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.base.errors import QdipError
from qdip_struct.base.files import json_text, provenance, sha256
from qdip_struct.campaign.constructions import CONSTRUCTIONS, Cell
from qdip_struct.campaign.convergence import make_levels
from qdip_struct.campaign.spec import Case, Spec
from qdip_struct.runs.inputs_request import DeckMaker, InputsRequest, checked, deck_maker
from qdip_struct.runs.run_draft import RunDraft, draft_run

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.cp2k.inputs.schema import Schema

_CACHED_DECKS = 512
_CUBES = frozenset(("density", "hartree"))
"""What is printed on the grid: runs that are to be subtracted must have their atoms in one place."""
_SAME_FRACTION = 2e-6


@dataclass(frozen=True)
class Terms:
    """What all runs of a plan have in common besides the campaign file.

    Attributes
    ----------
    schema, version
        Input language of the CP2K the inputs are for, and its version; ``None`` leaves that check out.
    walltime_s
        When CP2K stops by itself, s, unless the campaign says so.
    texts
        Whether the files are kept. A plan for looking does without, and of the inputs that differ in coordinates alone
        it checks the first; a plan that is to be written checks all.
    """

    schema: "Schema | None" = None
    version: str | None = None
    walltime_s: int | None = None
    texts: bool = True


@dataclass(frozen=True)
class Job:
    """Cases that share one build.

    Attributes
    ----------
    cases
        With their numbers in the campaign.
    """

    cases: tuple[tuple[int, Case], ...]


Drafts = tuple[dict[int, list[tuple[str, RunDraft]]], list[str]]


@dataclass
class Drafter:
    """Makes drafts; remembers presets, templates and the decks of structures that come again.

    Attributes
    ----------
    spec, terms
        The campaign, and what its runs have in common.
    makers, drafts, checked
        What was made before: by request, by structure and request, and inputs that passed pre-flight.
    """

    spec: Spec
    terms: Terms
    makers: dict[InputsRequest, DeckMaker] = field(default_factory=dict)
    drafts: "OrderedDict[tuple[Any, ...], tuple[RunDraft, list[str]]]" = field(default_factory=OrderedDict)
    checked: set[tuple[Any, ...]] = field(default_factory=set)

    def carry_out(self, job: Job) -> Drafts:
        """Drafts of every case of a job by its number, path and draft of each, and what pre-flight warned of."""
        first = job.cases[0][1]
        try:
            built = CONSTRUCTIONS[self.spec.kind].build(first.build, self.spec.folder)
        except QdipError as error:
            raise type(error)(f"{self.spec.source}: case {first.label}: {error}") from error
        found: dict[int, list[tuple[str, RunDraft]]] = {}
        warned: list[str] = []
        for number, case in job.cases:
            runs = found[number] = []
            for part, cells in built.items():
                alone = self.spec.n_cases == 1 and case.label == self.spec.name
                group = case.label if not part else part if alone else f"{case.label}_{part}"
                for name, built_cell in cells.items():
                    cell = _plain(built_cell)
                    for folder, draft, warnings in self.drafts_of(cell, name=name, case=case, group=group):
                        runs.append((f"{group}/{folder}", draft))
                        warned += warnings
        return found, warned

    def drafts_of(self, cell: Cell, *, name: str, case: Case, group: str) -> Iterator[tuple[str, RunDraft, list[str]]]:
        """Drafts of one structure: one, those with ghosts where asked for, or one for each level of a study."""
        from qdip_struct.builders.interface.parts import ghost_partners

        spec = self.spec
        if not self._wanted(cell.role):
            return
        changed = dict(spec.inputs_by_role.get(cell.role, {}))
        maker = self._maker(replace(case.inputs, **changed))
        if spec.converge is not None:
            vary, values = spec.converge
            for level in make_levels(cell.atoms, name=vary, values=values, wishes=maker.wishes):
                leveled = replace(maker, wishes=level.wishes)
                study = {"vary": {"name": vary, "value": level.value}}
                folder = f"{name}_{vary}_{level.value:g}"
                leaf = replace(cell, role="single", atoms=level.atoms)
                yield folder, *self._draft(leaf, maker=leveled, case=case, group=f"{group} {name} {vary}", more=study)
            return
        yield name, *self._draft(cell, maker=maker, case=case, group=group)
        if maker.request.counterpoise and cell.role == "interface":
            for role, ghosted in ghost_partners(cell.atoms).items():
                ghost = replace(cell, role=role, atoms=ghosted)
                yield f"{name}_{role}", *self._draft(ghost, maker=maker, case=case, group=group)

    def _wanted(self, role: str) -> bool:
        references = self.spec.references
        return references is None or role in references or not CONSTRUCTIONS[self.spec.kind].is_reference(role)

    def _maker(self, request: InputsRequest) -> DeckMaker:
        if request not in self.makers:
            version, walltime = self.terms.version, self.terms.walltime_s
            self.makers[request] = deck_maker(request, folder=self.spec.folder, version=version, walltime_s=walltime)
        return self.makers[request]

    def _draft(
        self, cell: Cell, *, maker: DeckMaker, case: Case, group: str, more: dict[str, Any] | None = None
    ) -> tuple[RunDraft, list[str]]:
        key = (cell.role, maker.request, maker.wishes, _digest(cell.atoms))
        if key not in self.drafts:
            if len(self.drafts) >= _CACHED_DECKS:
                self.drafts.popitem(last=False)
            self.drafts[key] = self._new_draft(cell, maker=maker, source=f"{case.label}/{cell.role}")
        base, warnings = self.drafts[key]
        relax = case.relax
        extra = dict(more or {})
        if relax is not None and relax.concerns(cell.role):
            extra["relax"] = {key: value for key, value in asdict(relax).items() if key != "roles"}
        record = {**base.record, "group": group, **extra}
        if self.terms.texts:
            record["structure"] = dict(cell.report)
            record |= self._provenance(case, maker.request)
        else:
            record["parameters"] = {"task": maker.request.task}
        return replace(base, record=record), warnings

    def _new_draft(self, cell: Cell, *, maker: DeckMaker, source: str) -> tuple[RunDraft, list[str]]:
        try:
            deck = maker.deck(cell.atoms, role=cell.role)
            kind = (cell.role, maker.request, maker.wishes, frozenset(cell.atoms.numbers.tolist()))
            looked_at = not self.terms.texts and kind in self.checked
            findings = () if looked_at else checked(deck, schema=self.terms.schema, source="its input")
            self.checked.add(kind)
        except QdipError as error:
            raise type(error)(f"{self.spec.source}: case {source}: {error}") from error
        draft = draft_run(cell.atoms, deck=deck, role=cell.role, group="", provenance={})
        # Plain numbers and no texts that nobody will write: a plan may hold many thousands of runs.
        record = json.loads(json_text(draft.record))
        if self.spec.share == "translated" and not _CUBES & set(maker.request.print):
            record["shifted_sha256"] = _shifted_sha256(cell.atoms, deck.text)
        if not self.terms.texts:
            draft = replace(draft, input_text="", structure_text="")
        return replace(draft, record=record), [f"{cell.role}: {item.message}; {item.remedy}" for item in findings]

    def _provenance(self, case: Case, request: InputsRequest) -> dict[str, Any]:
        parameters = {
            "campaign": self.spec.name,
            "case": case.label,
            "build": {self.spec.kind: asdict(case.build)},
            **asdict(request),
        }
        seed = getattr(case.build, "seed", None)
        return provenance("submit", parameters, seed=seed, cp2k_version=self.terms.version)


def _shifted_sha256(atoms: "Atoms", text: str) -> str:
    """Hash of an input whose coordinates are taken from the first atom on, folded into the cell."""
    fractions = np.linalg.solve(atoms.cell.array.T, (atoms.positions - atoms.positions[0]).T).T
    folded = np.round(fractions - np.floor(fractions + _SAME_FRACTION), 5) + 0.0
    rest = re.sub(r"&COORD.*?&END COORD", "", text, flags=re.DOTALL)
    return sha256(rest.encode() + folded.tobytes() + atoms.numbers.tobytes())


def _plain(cell: Cell) -> Cell:
    """The cell with nothing in its header but its role: equal structures of several groups are then equal files."""
    atoms = cell.atoms.copy()
    atoms.info = {"role": cell.role}
    return replace(cell, atoms=atoms)


def _digest(atoms: "Atoms") -> bytes:
    """What tells structures apart: cell, kinds, places, and every label of an atom."""
    return b"|".join([atoms.cell.array.tobytes(), *(atoms.arrays[name].tobytes() for name in sorted(atoms.arrays))])
