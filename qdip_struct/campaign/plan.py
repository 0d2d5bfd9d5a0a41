"""The runs of a campaign before anything is written: every case built, every input made and checked.

Structures that several cases share are built once, and equal structures get one input. Runs whose inputs are equal to
the last byte (the same film in many groups) are one run: the first group in the order of the file owns it, before all
groups to which it is only a reference.
"""

import os
import re
import signal
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct import __version__
from qdip_struct.base.errors import QdipError
from qdip_struct.base.files import plain, provenance, sha256
from qdip_struct.base.options import recorded
from qdip_struct.builders.atoms.regions import told_charge
from qdip_struct.campaign.constructions import CONSTRUCTIONS, Cell
from qdip_struct.campaign.convergence import make_levels
from qdip_struct.campaign.spec import Case, Spec, expand
from qdip_struct.cp2k.inputs.deck import DeckMaker, deck_maker
from qdip_struct.cp2k.inputs.preflight import check_formal_charge, checked
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.runs.run_draft import RunDraft, draft_run

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.cp2k.inputs.schema import Schema

_FEW_BUILDS = 12
_CACHED_DECKS = 512
_CUBES = frozenset(("density", "hartree"))
"""What is printed on the grid: runs that are to be subtracted must have their atoms in one place."""
_SAME_FRACTION = 2e-6

_NumberedCase = tuple[int, Case]
_NumberedRun = tuple[int, RunDraft]
"""With the number of the case in the campaign, from 0: processes answer in another order than the file's."""


@dataclass(frozen=True)
class Plan:
    """All runs of a campaign in the order of the file.

    Attributes
    ----------
    runs
        Every run, shares included.
    warnings
        Of the pre-flight, each once.
    """

    spec: Spec
    runs: tuple[RunDraft, ...]
    warnings: tuple[str, ...] = ()

    @property
    def own(self) -> tuple[RunDraft, ...]:
        """The runs that are calculated; the others share one of these."""
        return tuple(run for run in self.runs if run.same_as is None)


def make_plan(
    spec: Spec,
    *,
    schema: "Schema | None" = None,
    version: str | None = None,
    walltime_s: int | None = None,
    texts: bool = True,
    processes: int | None = None,
) -> Plan:
    """Build every case, make and check every input.

    Parameters
    ----------
    spec
        The campaign.
    schema, version
        Input language of the CP2K the inputs are for, and its version; ``None`` leaves that check out.
    walltime_s
        When CP2K stops by itself, s, unless the campaign says so.
    texts
        Whether the files are kept. A plan for looking does without, and of the inputs that differ in coordinates alone
        it checks the first; a plan that is to be written checks all.
    processes
        How many to use; by default one per core where there is enough to do. The plan does not depend on it.

    Raises
    ------
    UsageError
        If a structure cannot be built as asked, or an input would fail; the message names the case.
    """
    builds = _by_build(expand(spec))
    workers = min(processes or len(os.sched_getaffinity(0)), len(builds))
    if processes is None and len(builds) < _FEW_BUILDS:
        workers = 1
    drafter = Drafter(spec, schema=schema, version=version, walltime_s=walltime_s, texts=texts)
    numbered: list[_NumberedRun] = []
    warnings: dict[str, None] = {}
    for made in _answers(builds, drafter, workers):
        numbered += made
        warnings.update(dict.fromkeys(text for _, run in made for text in run.warnings))
    runs = [run for _, run in sorted(numbered, key=lambda item: item[0])]
    kind = CONSTRUCTIONS[spec.kind]
    owners: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: kind.is_reference(run.record.role)):
        owners.setdefault(run.identity, run.path)
    return Plan(spec, tuple(run.calculated_at(owners[run.identity]) for run in runs), tuple(warnings))


def _by_build(cases: Iterable[Case]) -> list[list[_NumberedCase]]:
    """Cases that share a structure request together, in the order of the file."""
    found: OrderedDict[Any, list[_NumberedCase]] = OrderedDict()
    for number, case in enumerate(cases):
        found.setdefault(case.build, []).append((number, case))
    return list(found.values())


def _answers(builds: Sequence[list[_NumberedCase]], drafter: "Drafter", workers: int) -> Iterator[list[_NumberedRun]]:
    if workers <= 1:
        yield from map(drafter.runs_of, builds)
        return
    chunk = max(1, min(32, len(builds) // (4 * workers)))
    with ProcessPoolExecutor(workers, initializer=_start, initargs=(drafter,)) as pool:
        try:
            yield from pool.map(_runs_of, builds, chunksize=chunk)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_here: list["Drafter"] = []


def _start(drafter: "Drafter") -> None:
    """In a worker process: make ready; Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _here[:] = [drafter]


def _runs_of(cases: list[_NumberedCase]) -> list[_NumberedRun]:
    return _here[0].runs_of(cases)


@dataclass(kw_only=True)
class Drafter:
    """Makes runs of cases; remembers presets, templates and the decks of structures that come again.

    Attributes
    ----------
    spec, schema, version, walltime_s, texts
        As in :func:`make_plan`.
    makers, drafts, checked
        What was made before: by request, by structure and request, and inputs that passed pre-flight.
    """

    spec: Spec = field(kw_only=False)
    schema: "Schema | None" = None
    version: str | None = None
    walltime_s: int | None = None
    texts: bool = True
    makers: dict[InputsRequest, DeckMaker] = field(default_factory=dict)
    drafts: "OrderedDict[tuple[Any, ...], RunDraft]" = field(default_factory=OrderedDict)
    checked: set[tuple[Any, ...]] = field(default_factory=set)

    def runs_of(self, cases: Sequence[_NumberedCase]) -> list[_NumberedRun]:
        """The runs of cases that share one build."""
        first = cases[0][1]
        try:
            cells = CONSTRUCTIONS[self.spec.kind].build(first.build, self.spec.folder)
        except QdipError as error:
            raise type(error)(f"{self.spec.source}: case {first.label}: {error}") from error
        return [(number, run) for number, case in cases for cell in cells for run in self._runs_of_cell(cell, case)]

    def _runs_of_cell(self, cell: Cell, case: Case) -> Iterator[RunDraft]:
        """Runs of one structure: one, those with ghosts where asked for, or one for each level of a study."""
        from qdip_struct.builders.interface.parts import ghost_partners

        spec = self.spec
        references = spec.references
        if references is not None and cell.role not in references and CONSTRUCTIONS[spec.kind].is_reference(cell.role):
            return
        alone = spec.n_cases == 1 and case.label == spec.name
        group = case.label if not cell.study else cell.study if alone else f"{case.label}_{cell.study}"
        maker = self._maker(replace(case.inputs, **spec.inputs_by_role.get(cell.role, {})))
        if spec.converge is not None:
            vary, values = spec.converge
            for level in make_levels(cell.atoms, name=vary, values=values, request=maker.request):
                point = replace(cell, role="single", atoms=level.atoms, name=f"{cell.name}_{vary}_{level.value:g}")
                study = {"vary": {"name": vary, "value": level.value}}
                own = f"{group} {cell.name} {vary}"
                run = self._run(point, level.request, maker=maker, case=case, group=own, more=study)
                yield replace(run, path=f"{group}/{point.name}")
            return
        cells = [cell]
        if maker.request.counterpoise and cell.role == "interface":
            ghosts = ghost_partners(cell.atoms).items()
            cells += [replace(cell, role=role, atoms=atoms, name=f"{cell.name}_{role}") for role, atoms in ghosts]
        for one in cells:
            yield replace(
                self._run(one, maker.request, maker=maker, case=case, group=group), path=f"{group}/{one.name}"
            )

    def _maker(self, request: InputsRequest) -> DeckMaker:
        if request not in self.makers:
            self.makers[request] = deck_maker(
                request, folder=self.spec.folder, version=self.version, walltime_s=self.walltime_s
            )
        return self.makers[request]

    def _run(
        self, cell: Cell, request: InputsRequest, *, maker: DeckMaker, case: Case, group: str,
        more: Mapping[str, Any] | None = None,
    ) -> RunDraft:  # fmt: skip
        """One run; ``request`` is that of a level of a study, and provenance names the study's own, the maker's."""
        key = (cell.role, request, _digest(cell.atoms))
        if key not in self.drafts:
            if len(self.drafts) >= _CACHED_DECKS:
                self.drafts.popitem(last=False)
            self.drafts[key] = self._new_draft(cell, request, maker=maker, source=f"{case.label}/{cell.role}")
        base = self.drafts[key]
        content = {**base.content, "group": group, **(more or {})}
        if case.relax is not None and case.relax.concerns(cell.role):
            content["relax"] = {
                key: value for key, value in recorded(case.relax, place="campaign").items() if key != "roles"
            }
        warnings = base.warnings
        if self.texts:
            content["structure"] = plain(dict(cell.tell()))
            found = content["structure"].get("findings", ())
            warnings += tuple(f"{group}: {cell.role}: {item['message']}; {item['remedy']}" for item in found)
            content |= plain(self._provenance(case, maker.request))
        else:
            content |= {"qdip_version": __version__, "parameters": {"task": maker.request.task}}
        return replace(base, content=content, warnings=warnings)

    def _new_draft(self, cell: Cell, request: InputsRequest, *, maker: DeckMaker, source: str) -> RunDraft:
        """A run as far as it does not depend on its group."""
        try:
            deck = maker.deck(cell.atoms, role=cell.role, request=request)
            kind = (cell.role, request, frozenset(cell.atoms.numbers.tolist()))
            looked_at = not self.texts and kind in self.checked
            findings = () if looked_at else checked(deck, schema=self.schema, source="its input")
            self.checked.add(kind)
        except QdipError as error:
            raise type(error)(f"{self.spec.source}: case {source}: {error}") from error
        draft = draft_run(cell.atoms, deck=deck, role=cell.role, group="", provenance={})
        content = dict(draft.content)
        if self.spec.share == "translated" and not _CUBES & set(maker.request.print):
            content["shifted_sha256"] = _shifted_sha256(cell.atoms, deck.text)
        findings += check_formal_charge(told_charge(cell.atoms, {}), charge=deck.settings["charge"])
        warnings = tuple(f"{cell.role}: {item.message}; {item.remedy}" for item in findings)
        # No texts that nobody will write: a plan may hold many thousands of runs.
        texts = (draft.input_text, draft.structure_text) if self.texts else ("", "")
        return RunDraft(content, *texts, warnings)

    def _provenance(self, case: Case, request: InputsRequest) -> dict[str, Any]:
        parameters = {
            "campaign": self.spec.name,
            "case": case.label,
            "build": {self.spec.kind: asdict(case.build)},
            **asdict(request),
        }
        seed = getattr(case.build, "seed", None)
        return provenance("submit", parameters, seed=seed, cp2k_version=self.version)


def _shifted_sha256(atoms: "Atoms", text: str) -> str:
    """Hash of an input whose coordinates are taken from the first atom on, folded into the cell."""
    fractions = np.linalg.solve(atoms.cell.array.T, (atoms.positions - atoms.positions[0]).T).T
    folded = np.round(fractions - np.floor(fractions + _SAME_FRACTION), 5) + 0.0
    rest = re.sub(r"&COORD.*?&END COORD", "", text, flags=re.DOTALL)
    return sha256(rest.encode() + folded.tobytes() + atoms.numbers.tobytes())


def _digest(atoms: "Atoms") -> bytes:
    """What tells structures apart: cell, kinds, places, and every label of an atom."""
    return b"|".join([atoms.cell.array.tobytes(), *(atoms.arrays[name].tobytes() for name in sorted(atoms.arrays))])
