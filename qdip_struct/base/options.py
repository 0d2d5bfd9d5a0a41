"""Options said once: a field of a request holds type, default, unit and help, and everything else is read from it.

A request is a frozen dataclass whose fields are made by :func:`option`. The command line (:func:`add_options`,
:func:`request_of`), ``campaign.yaml`` (:func:`options_of`) and provenance (:func:`recorded`) read the same field; in
Python the request is made by its name.

Light on purpose: modules of requests are imported for ``--help``, so they hold no numpy, and neither does this one.
"""

import argparse
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from qdip_struct.base.yaml_tree import Node

Form = Literal["text", "number", "whole", "truth", "choice", "words", "path", "paths"]
Place = Literal["command", "campaign"]
_KEY = "option"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Declared:
    """What a field of a request says beside its type and its default.

    Attributes
    ----------
    help
        What it is, without unit and default, which are put behind it in one style.
    unit
        Of the value.
    metavar
        What stands for the value in the help; by default the choices, or the name.
    group
        Heading under which the command line lists it; empty for the first one.
    shown
        What is said of the default in its place, for one that is decided later.
    positional
        Whether the command line takes it without a flag.
    only
        Where alone it can be given; ``None`` for everywhere.
    recorded
        Whether it is part of the provenance: not so for what cannot change the result.
    read
        Reads the word of the command line, where the type alone does not say enough.
    """

    help: str
    unit: str = ""
    metavar: str | None = None
    group: str = ""
    shown: str | None = None
    positional: bool = False
    only: Place | None = None
    recorded: bool = True
    read: Callable[[str], Any] | None = None


def option(
    default: Any = MISSING, *, help: str, unit: str = "", metavar: str | None = None, group: str = "",
    shown: str | None = None, positional: bool = False, only: Place | None = None, recorded: bool = True,
    read: Callable[[str], Any] | None = None,
) -> Any:  # fmt: skip
    """A field of a request; one without ``default`` must be given. See :class:`Declared` for the rest."""
    told = Declared(help, unit, metavar, group, shown, positional, only, recorded, read)
    return field(default=default, metadata={_KEY: told})


def declared(item: "Field[Any]") -> Declared | None:
    """What :func:`option` said of a field; ``None`` for one that was not made by it."""
    found: Declared | None = item.metadata.get(_KEY)
    return found


def options_at(request: Any, place: Place) -> Iterator[tuple["Field[Any]", Declared]]:
    """The options of a request (or of its class) that can be given there, in order."""
    for item in fields(request):
        told = declared(item)
        if told is not None and told.only in (None, place):
            yield item, told


def recorded(request: Any, *, place: Place) -> dict[str, Any]:
    """Values for the provenance by field, in order: of what can be given there and decides the result."""
    return {item.name: getattr(request, item.name) for item, told in options_at(request, place) if told.recorded}


def add_options(
    parser: argparse.ArgumentParser, request: type, *, names: Collection[str] | None = None,
    told: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Declare the options of a request on a command line, in the order of its fields, below the headings they name.

    Parameters
    ----------
    parser
        Of the command.
    request
        Its class.
    names
        Fields that are wanted; by default all.
    told
        Help in the place of the field's own, where an option of several commands is about something else in each.
    """
    hints = get_type_hints(request)
    headings: dict[str, Any] = {"": parser}
    for item, words in options_at(request, "command"):
        if names is not None and item.name not in names:
            continue
        if words.group not in headings:
            headings[words.group] = parser.add_argument_group(words.group)
        text = (told or {}).get(item.name, words.help)
        name = item.name if words.positional else f"--{item.name.replace('_', '-')}"
        headings[words.group].add_argument(name, **_argument(item, words, hints[item.name], text=text))


def request_of(args: argparse.Namespace, request: type[_T], *, names: Collection[str] | None = None) -> _T:
    """The request that the options of a command describe, ``names`` as for :func:`add_options`; lists become tuples."""
    wanted = [item.name for item, _ in options_at(request, "command") if names is None or item.name in names]
    values = {name: getattr(args, name) for name in wanted}
    return request(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def whole_from_zero(text: str) -> int:
    """Read a seed from the command line: 0 or a larger whole number, else :class:`ArgumentTypeError`."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"the seed is '{text}'; expected 0 or a larger whole number")
    return int(text)


def _argument(item: "Field[Any]", told: Declared, hint: Any, *, text: str) -> dict[str, Any]:
    """Words of ``add_argument`` for a field."""
    kind, _ = _without_none(hint)
    required = item.default is MISSING
    words: dict[str, Any] = {"help": _help(told, item.default, text=text).replace("%", "%%")}
    if kind is bool:
        return {**words, "action": "store_true"}
    default: Any = None if required else item.default
    if get_origin(kind) is tuple:
        kind, default = get_args(kind)[0], list(default or ())  # argparse appends to the default: a list
        words["action"] = "append"
    if get_origin(kind) is Literal:
        words["choices"] = get_args(kind)
    elif told.read is not None or kind is not str:
        words["type"] = told.read or kind
    if told.metavar is not None:
        words["metavar"] = told.metavar
    if told.positional:
        return words
    return {**words, **({"required": True} if required else {"default": default})}


def _help(told: Declared, default: Any, *, text: str) -> str:
    """``help (default: 20 Å)``; ``help, Å`` where there is no default to tell."""
    untold = default is MISSING or default is None or default is False or default in ("", ())
    if told.shown is None and untold:
        return f"{text}, {told.unit}" if told.unit else text
    if told.shown is not None:
        return f"{text}{f', {told.unit}' if told.unit else ''} (default: {told.shown})"
    value = f"{default:g}" if isinstance(default, float) else str(default)
    return f"{text} (default: {value}{f' {told.unit}' if told.unit else ''})"


@dataclass(frozen=True)
class Option:
    """One key of a campaign file.

    Attributes
    ----------
    field
        Of the request it sets.
    form
        How its value is written.
    choices
        Words that are allowed, any when empty.
    optional, required
        Whether it may be null, and whether it must be given.
    """

    field: str
    form: Form
    choices: tuple[str, ...] = ()
    optional: bool = False
    required: bool = False

    def read(self, node: Node) -> Any:
        """The value at a place of the file; a wrong one is refused with file, line and key."""
        if self.optional and node.text is None and node.items is None and node.entries is None:
            return None
        if self.form in ("words", "paths"):
            items = node.items if node.items is not None else (node,)
            if self.form == "paths":
                return tuple(Path(item.word()) for item in items)
            return tuple(item.choice(self.choices) if self.choices else item.word() for item in items)
        if self.form == "choice":
            return node.choice(self.choices)
        if self.form == "number":
            return node.number()
        if self.form == "whole":
            return node.whole()
        if self.form == "path":
            return Path(node.word())
        return node.truth() if self.form == "truth" else node.word()


def options_of(request: type) -> dict[str, Option]:
    """Options of a campaign file by key: the fields of a request with ``-`` for ``_``, as on the command line."""
    hints = get_type_hints(request)
    found = {}
    for item, _ in options_at(request, "campaign"):
        kind, optional = _without_none(hints[item.name])
        form, choices = _form(kind)
        found[item.name.replace("_", "-")] = Option(item.name, form, choices, optional, item.default is MISSING)
    return found


def _without_none(kind: Any) -> tuple[Any, bool]:
    if get_origin(kind) in (Union, types.UnionType):
        parts = [part for part in get_args(kind) if part is not type(None)]
        return parts[0], len(parts) < len(get_args(kind))
    return kind, False


def _form(kind: Any) -> tuple[Form, tuple[str, ...]]:
    if get_origin(kind) is Literal:
        return "choice", get_args(kind)
    if get_origin(kind) is tuple:
        inner, choices = _form(get_args(kind)[0])
        return ("paths" if inner == "path" else "words"), choices
    forms: dict[type, Form] = {bool: "truth", int: "whole", float: "number", str: "text", Path: "path"}
    return forms[kind], ()
