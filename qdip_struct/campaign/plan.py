"""The runs of a campaign before anything is written: every case built, every input made and checked.

Structures that several cases share are built once, and equal structures get one input. Runs whose inputs are equal to
the last byte (the same film in many groups) are one run: the first group in the order of the file owns it, before all
groups to which it is only a reference.
"""

import json
import os
import signal
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from qdip_struct.base.files import sha256
from qdip_struct.campaign.constructions import CONSTRUCTIONS
from qdip_struct.campaign.cost import Cost, estimate_run
from qdip_struct.campaign.drafting import Drafter, Drafts, Job, Terms
from qdip_struct.campaign.spec import Case, Spec, expand
from qdip_struct.runs.run_draft import RunDraft
from qdip_struct.runs.rundir import RunFolder

_FEW_JOBS = 12


@dataclass(frozen=True)
class PlannedRun:
    """One run of a campaign.

    Attributes
    ----------
    path
        Where its folder goes below the campaign, ``case/name``.
    draft
        Content of the folder; a plan made for looking has no texts in it.
    identity
        Runs of one identity are the same calculation.
    cost
        Estimate.
    same_as
        Path of the run that this one shares, ``None`` for a run of its own.
    """

    path: str
    draft: RunDraft
    identity: str
    cost: Cost
    same_as: str | None = None

    @property
    def group(self) -> str:
        """Runs of one group are combined by ``qdip energies``."""
        return str(self.draft.record["group"])


@dataclass(frozen=True)
class Plan:
    """All runs of a campaign in the order of the file.

    Attributes
    ----------
    spec
        The campaign.
    runs
        Every run, shares included.
    warnings
        Of the pre-flight.
    """

    spec: Spec
    runs: tuple[PlannedRun, ...]
    warnings: tuple[str, ...] = ()

    @property
    def own(self) -> tuple[PlannedRun, ...]:
        """The runs that are calculated; the others share one of these."""
        return tuple(run for run in self.runs if run.same_as is None)


def make_plan(spec: Spec, *, terms: Terms, processes: int | None = None) -> Plan:
    """Build every case, make and check every input.

    Parameters
    ----------
    spec
        The campaign.
    terms
        What all runs have in common.
    processes
        How many to use; by default one per core where there is enough to do. The plan does not depend on it.

    Raises
    ------
    UsageError
        If a structure cannot be built as asked, or an input would fail; the message names the case.
    """
    jobs = _jobs(expand(spec))
    workers = min(processes or len(os.sched_getaffinity(0)), len(jobs))
    if processes is None and len(jobs) < _FEW_JOBS:
        workers = 1
    drafted: dict[int, list[tuple[str, RunDraft]]] = {}
    warnings: dict[str, None] = {}
    for results, warned in _answers(jobs, spec, terms, workers):
        drafted.update(results)
        warnings.update(dict.fromkeys(warned))
    drafts = [(path, draft, identity_of(draft.record)) for number in sorted(drafted) for path, draft in drafted[number]]
    kind = CONSTRUCTIONS[spec.kind]
    owners: dict[str, str] = {}
    for path, _, identity in sorted(drafts, key=lambda item: kind.is_reference(item[1].record["role"])):
        owners.setdefault(identity, path)
    runs = []
    for path, draft, identity in drafts:
        cost = estimate_run(RunFolder(spec.folder, draft.record))
        runs.append(PlannedRun(path, draft, identity, cost, None if owners[identity] == path else owners[identity]))
    return Plan(spec, tuple(runs), tuple(warnings))


def identity_of(record: dict[str, Any]) -> str:
    """Which calculation a run is: the hash of its input, or of what a shift of all atoms leaves as it is, and of the
    settings of a pre-relaxation.
    """
    base, relax = record.get("shifted_sha256") or record["input_sha256"], record.get("relax")
    return str(base) if not relax else sha256(f"{base} {json.dumps(relax)}")


def _jobs(cases: Iterable[Case]) -> list[Job]:
    """One job for each distinct structure request, in the order of the file."""
    found: OrderedDict[Any, list[tuple[int, Case]]] = OrderedDict()
    for number, case in enumerate(cases):
        found.setdefault(case.build, []).append((number, case))
    return [Job(tuple(members)) for members in found.values()]


def _answers(jobs: Sequence[Job], spec: Spec, terms: Terms, workers: int) -> Iterator[Drafts]:
    if workers <= 1:
        worker = Drafter(spec, terms)
        yield from map(worker.carry_out, jobs)
        return
    chunk = max(1, min(32, len(jobs) // (4 * workers)))
    with ProcessPoolExecutor(workers, initializer=_start, initargs=(spec, terms)) as pool:
        try:
            yield from pool.map(_carry_out, jobs, chunksize=chunk)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_here: list["Drafter"] = []


def _start(spec: Spec, terms: Terms) -> None:
    """In a worker process: make ready; Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _here[:] = [Drafter(spec, terms)]


def _carry_out(job: Job) -> Drafts:
    return _here[0].carry_out(job)
