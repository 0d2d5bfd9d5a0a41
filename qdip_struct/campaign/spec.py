"""A campaign in words: what is built, what varies, how it is calculated; nothing about where it runs.

``campaign.yaml``: what to build, what to vary, how to calculate it; nothing about where it runs.

======================= =======================================================================================
``name``                name of the campaign, one word (default: the folder of the file)
``about``               one line for people
``question``            what the study asks, one or more lines: ``qdip report`` begins with it
``build``               one kind with its options, which are those of ``qdip build``: ``interface``, ``slab``, ``dot``,
                        ``embed``, ``attach``; also ``bulk`` (material, cells, ...) and ``file`` (file)
``vary``                lists make a product: option of ``build`` or ``inputs`` → values, or → {label: value}
``cases``               {label: {option: value, ...}}: options that change together; crossed with ``vary``
``references``          ``all`` (default), ``none``, or the roles wanted beside the structures themselves
``share``               ``identical`` (default): equal inputs are calculated once; ``translated``: also equal
                        structures that are shifted as a whole, as a film is in a scan of the registry. The energies
                        then agree to the egg-box error of the grid only, and densities cannot be subtracted
``inputs``              options of ``qdip inputs``; under ``roles`` other ones for single roles
``relax``               options of ``qdip relax`` before CP2K, and ``roles``: which roles (default: all but bulk)
``converge``            one of cutoff, rel_cutoff, kpoints, vacuum → values: a convergence study of every structure
======================= =======================================================================================
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

from qdip_struct.base.errors import UsageError
from qdip_struct.base.options import Option, options_of
from qdip_struct.base.yaml_tree import Node, did_you_mean, load_tree
from qdip_struct.builders.roles import ROLES
from qdip_struct.campaign.constructions import CONSTRUCTIONS
from qdip_struct.campaign.convergence import PARAMETERS
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.mlip.relax_request import RelaxRequest

FILE = "campaign.yaml"
Share = Literal["identical", "translated"]
_LABEL = re.compile(r"[^A-Za-z0-9_.,=+()@-]+")
LONGEST_LABEL = 120
"""Characters of the name of a campaign, of a label, and of a case; a folder's name holds one of them and some more."""


@dataclass(frozen=True)
class VariedOption:
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
    name, about, question
        One word, one line for people, and what the study asks.
    kind
        What is built, a key of :data:`qdip_struct.campaign.constructions.CONSTRUCTIONS`.
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
    axes: tuple[VariedOption, ...] = ()
    cases: tuple[tuple[str, Mapping[str, Mapping[str, Any]]], ...] = ()
    references: tuple[str, ...] | None = None
    converge: tuple[str, tuple[float, ...]] | None = None
    share: Share = "identical"
    question: str = ""

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
    kind = CONSTRUCTIONS[spec.kind]
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


MOST_CASES = 20_000
_KEYS = ("name", "about", "question", "build", "vary", "cases", "references", "share", "inputs", "relax", "converge")


def load_spec(path: Path) -> Spec:
    """Read and check a campaign file.

    Parameters
    ----------
    path
        The file, or a folder that holds ``campaign.yaml``.

    Raises
    ------
    DataError
        If the file cannot be read.
    UsageError
        If anything in it is not as expected; the message names file, line and key.
    """
    file = path / FILE if path.is_dir() else path
    root = load_tree(file)
    entries = root.mapping(_KEYS)
    kind, options, build = _build(root)
    sections = {"build": options, "inputs": options_of(InputsRequest), "relax": options_of(RelaxRequest)}
    inputs, by_role = _inputs(entries.get("inputs"), sections["inputs"])
    relax = _values(entries["relax"], sections["relax"]) if "relax" in entries else None
    known = sections if relax is not None else {key: sections[key] for key in ("build", "inputs")}
    spec = Spec(
        source=file,
        name=_name(entries.get("name"), file),
        about=entries["about"].word("one line of text") if "about" in entries else "",
        kind=kind,
        build=build,
        inputs=inputs,
        inputs_by_role=by_role,
        relax=relax,
        axes=_axes(entries.get("vary"), known),
        cases=_cases(entries.get("cases"), known),
        references=_references(entries.get("references")),
        converge=_converge(entries.get("converge")),
        share=_share(entries.get("share")),
        question=_question(entries.get("question")),
    )
    _check_size(spec, entries)
    _check_complete(spec, options, root)
    return spec


def question_of(file: Path) -> str:
    """What a campaign file asks, on one line; empty when it asks nothing. The rest of it may be wrong.

    Raises
    ------
    DataError
        If the file cannot be read.
    UsageError
        If it is no mapping, or the question is no text.
    """
    return _question(load_tree(file).mapping().get("question"))


def _question(node: Node | None) -> str:
    if node is None:
        return ""
    text = " ".join(node.lines("one or more lines of text").split())
    if not text.isprintable():
        node.refuse("holds a control character; expected one or more lines of text")
    return text


def _name(node: Node | None, file: Path) -> str:
    if node is None:
        return label_of(file.resolve().parent.name)[:LONGEST_LABEL]
    name = node.word()
    if label_of(name) != name:
        node.refuse(
            f"is {node.shown}; expected one word of letters, digits and _ . , = + ( ) @ -, not beginning with - or ."
        )
    _refuse_long(name, node)
    return name


def _refuse_long(name: str, node: Node) -> None:
    if len(name) > LONGEST_LABEL:
        node.refuse(f"has {len(name)} characters; folders are named after it, expected at most {LONGEST_LABEL}")


def _build(root: Node) -> tuple[str, dict[str, Option], dict[str, Any]]:
    entries = root.mapping()
    if "build" not in entries:
        root.refuse(f"lacks the key 'build'; expected build: with one of {', '.join(CONSTRUCTIONS)}")
    kinds = entries["build"].mapping(tuple(CONSTRUCTIONS))
    if len(kinds) != 1:
        entries["build"].refuse(f"names {len(kinds)} kinds; expected one of {', '.join(CONSTRUCTIONS)}")
    ((kind, node),) = kinds.items()
    options = options_of(CONSTRUCTIONS[kind].request)
    return kind, options, _values(node, options)


def _values(node: Node, options: Mapping[str, Option]) -> dict[str, Any]:
    """Values by field of a mapping of options."""
    found = {}
    for key, entry in node.mapping(tuple(options)).items():
        if entry.items is not None and options[key].form not in ("words", "paths"):
            entry.refuse("is a list; expected one value (several values to be tried stand under 'vary')")
        found[options[key].field] = options[key].read(entry)
    return found


def _inputs(node: Node | None, options: Mapping[str, Option]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    if node is None:
        return {}, {}
    entries = dict(node.mapping((*options, "roles")))
    roles = entries.pop("roles", None)
    own = Node(node.file, node.line, node.key, entries=entries)
    if roles is None:
        return _values(own, options), {}
    return _values(own, options), {role: _values(entry, options) for role, entry in roles.mapping(tuple(ROLES)).items()}


def _axes(node: Node | None, sections: Mapping[str, Mapping[str, Option]]) -> tuple[VariedOption, ...]:
    if node is None:
        return ()
    axes = []
    for key, entry in node.mapping().items():
        section, option = _find(key, entry, sections)
        labelled = entry.entries.items() if entry.entries is not None else [("", item) for item in _several(entry)]
        values = []
        for name, item in labelled:
            value = option.read(item)
            prefix = key.rpartition(".")[2] if option.form in ("number", "whole", "truth") else ""
            values.append((_label(name, item) if name else f"{prefix}{label_of(value)}", value))
        if not values:
            entry.refuse("is empty; expected a list of values, or a mapping of labels to values")
        twice = sorted({label for label, _ in values if [name for name, _ in values].count(label) > 1})
        if twice:
            entry.refuse(f"gives '{twice[0]}' twice; every value needs its own name (label: value)")
        _refuse_case(entry, [label for label, _ in values])
        axes.append(VariedOption(section, option.field, tuple(values)))
    return tuple(axes)


def _several(node: Node) -> tuple[Node, ...]:
    if node.items is None:
        node.refuse(f"is {node.shown}; expected a list of values, or a mapping of labels to values")
    return node.items


def _label(name: str, node: Node) -> str:
    if label_of(name) != name:
        node.refuse(
            "is no name for a folder; use letters, digits and _ . , = + ( ) @ -, and begin with none of - and ."
        )
    _refuse_long(name, node)
    return name


def _refuse_case(node: Node, labels: list[str]) -> None:
    """Refuse labels that differ in case alone: where a file system does not tell them apart, they are one folder."""
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(label.casefold(), label)
        if other != label:
            node.refuse(f"names '{other}' and '{label}', which some file systems take for one; rename one")


def _cases(
    node: Node | None, sections: Mapping[str, Mapping[str, Option]]
) -> tuple[tuple[str, Mapping[str, Mapping[str, Any]]], ...]:
    if node is None:
        return ()
    found = []
    for name, entry in node.mapping().items():
        values: dict[str, dict[str, Any]] = {}
        for key, item in entry.mapping().items():
            section, option = _find(key, item, sections)
            values.setdefault(section, {})[option.field] = option.read(item)
        found.append((_label(name, entry), values))
    if not found:
        node.refuse("is empty; expected labels with their options")
    _refuse_case(node, [label for label, _ in found])
    return tuple(found)


def _find(key: str, node: Node, sections: Mapping[str, Mapping[str, Option]]) -> tuple[str, Option]:
    """Section and option of a key: ``substrate``, or ``relax.seed`` where two sections share a name."""
    named, _, rest = key.partition(".")
    if rest and named in sections and rest in sections[named]:
        return named, sections[named][rest]
    found = [section for section in ("build", "inputs", "relax") if key in sections.get(section, {})]
    if not found:
        known = [name for section in ("build", "inputs") for name in sections[section]]
        known += [f"relax.{name}" for name in sections.get("relax", {})]
        node.refuse(f"is no option that can vary{did_you_mean(key, known)}; known: {', '.join(known)}")
    return found[0], sections[found[0]][key]


def _references(node: Node | None) -> tuple[str, ...] | None:
    if node is None or node.text == "all":
        return None
    if node.items is None:
        node.choice(("all", "none"))
        return ()
    return tuple(item.choice(tuple(ROLES)) for item in node.items)


def _share(node: Node | None) -> Share:
    if node is None:
        return "identical"
    return "translated" if node.choice(get_args(Share)) == "translated" else "identical"


def _converge(node: Node | None) -> tuple[str, tuple[float, ...]] | None:
    if node is None:
        return None
    entries = node.mapping(tuple(PARAMETERS))
    if len(entries) != 1:
        node.refuse(f"names {len(entries)} parameters; expected one of {', '.join(PARAMETERS)}")
    ((name, entry),) = entries.items()
    values = tuple(sorted({item.number() for item in entry.sequence()}))
    if len(values) < 2 or values[0] <= 0:
        entry.refuse("needs at least two different positive values")
    if name == "kpoints" and any(value != int(value) for value in values):
        entry.refuse("takes whole numbers")
    return name, values


def _check_size(spec: Spec, entries: Mapping[str, Node]) -> None:
    if spec.n_cases > MOST_CASES:
        factors = [str(len(spec.cases))] if spec.cases else []
        factors += [f"{len(axis.values)} {axis.field.replace('_', '-')}" for axis in spec.axes]
        place = entries.get("vary") or entries["cases"]
        place.refuse(
            f"makes {spec.n_cases} cases ({' × '.join(factors)}); a campaign has at most {MOST_CASES}: "
            "vary less, or write several campaigns"
        )


def _check_complete(spec: Spec, options: Mapping[str, Option], root: Node) -> None:
    varied = {axis.field for axis in spec.axes if axis.section == "build"}
    for label, case in spec.cases or (("", {}),):
        given = varied | set(spec.build) | set(case.get("build", {}))
        missing = [key for key, option in options.items() if option.required and option.field not in given]
        if missing:
            where = f" (case {label})" if label else ""
            node = root.mapping()["build"]
            node.refuse(f"lacks {spec.kind}.{missing[0]}{where}; give it there, under vary or under cases")
    if not spec.name:
        raise UsageError(f"{spec.source}: name the campaign with the key 'name'")
