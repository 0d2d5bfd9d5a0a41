"""A campaign in words: what is built, what varies, how it is calculated; nothing about where it runs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

from qdip_struct.campaign.constructions import KINDS
from qdip_struct.mlip.relax_request import RelaxRequest
from qdip_struct.runs.inputs_request import InputsRequest

FILE = "campaign.yaml"
Share = Literal["identical", "translated"]
_LABEL = re.compile(r"[^A-Za-z0-9_.,=+()@-]+")
LONGEST_LABEL = 120
"""Characters of the name of a campaign, of a label, and of a case; a folder's name holds one of them and some more."""


@dataclass(frozen=True)
class Axis:
    """One option that varies.

    Attributes
    ----------
    section
        ``build``, ``inputs`` or ``relax``.
    field
        Of that request.
    values
        Label and value of each point.
    """

    section: str
    field: str
    values: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Case:
    """One point of the product.

    Attributes
    ----------
    label
        Names its folder.
    build, inputs, relax
        The full requests; ``relax`` is ``None`` without pre-relaxation.
    """

    label: str
    build: Any
    inputs: InputsRequest
    relax: RelaxRequest | None


@dataclass(frozen=True)
class Spec:
    """A checked campaign file.

    Attributes
    ----------
    source
        The file; relative names in it start at its folder.
    name, about
        One word, and one line for people.
    kind
        What is built, a key of :data:`qdip_struct.campaign.constructions.KINDS`.
    build, inputs, relax
        Fixed values by field; ``relax`` is ``None`` without pre-relaxation.
    inputs_by_role
        Values of ``inputs`` that differ for a role.
    axes, cases
        What varies: independent options, and labelled sets of options that change together.
    references
        ``None`` for all, else the roles wanted beside the structures themselves.
    converge
        Name and values of a convergence study.
    share
        Which runs count as one calculation.
    """

    source: Path
    name: str
    about: str
    kind: str
    build: Mapping[str, Any]
    inputs: Mapping[str, Any]
    inputs_by_role: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    relax: Mapping[str, Any] | None = None
    axes: tuple[Axis, ...] = ()
    cases: tuple[tuple[str, Mapping[str, Mapping[str, Any]]], ...] = ()
    references: tuple[str, ...] | None = None
    converge: tuple[str, tuple[float, ...]] | None = None
    share: Share = "identical"

    @property
    def folder(self) -> Path:
        """Where relative file names start."""
        return self.source.parent

    @property
    def n_cases(self) -> int:
        """Number of points of the product."""
        count = max(1, len(self.cases))
        for axis in self.axes:
            count *= len(axis.values)
        return count


def expand(spec: Spec) -> Iterator[Case]:
    """The cases of a campaign in the order of the file: ``cases`` outermost, then ``vary``, the last key fastest."""
    kind = KINDS[spec.kind]
    used: dict[str, int] = {}
    for case, *point in product(spec.cases or (("", {}),), *(axis.values for axis in spec.axes)):
        values: dict[str, dict[str, Any]] = {
            "build": dict(spec.build),
            "inputs": dict(spec.inputs),
            "relax": dict(spec.relax or {}),
        }
        for section, changed in case[1].items():
            values[section] |= changed
        for axis, (_, value) in zip(spec.axes, point, strict=True):
            values[axis.section][axis.field] = value
        label = "_".join(part for part in (case[0], *(name for name, _ in point)) if part)[:LONGEST_LABEL]
        label = label or spec.name
        used[label] = used.get(label, 0) + 1
        yield Case(
            label=label if used[label] == 1 else f"{label}-{used[label]}",
            build=kind.request(**values["build"]),
            inputs=InputsRequest(**values["inputs"]),
            relax=RelaxRequest(**values["relax"]) if spec.relax is not None else None,
        )


def label_of(value: Any) -> str:
    """A value as part of a folder's name: anything a shell or a file system could stumble over becomes ``-``."""
    text = "+".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)
    return _LABEL.sub("-", text).strip("-.") or "empty"
