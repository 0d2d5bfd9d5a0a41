"""Options as a campaign file gives them: every field of a request is a key, its type decides what may stand there."""

import types
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from qdip_struct.base.yaml_tree import Node

Form = Literal["text", "number", "whole", "truth", "choice", "words"]


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
        if self.form == "words":
            items = node.items if node.items is not None else (node,)
            return tuple(item.choice(self.choices) if self.choices else item.word() for item in items)
        if self.form == "choice":
            return node.choice(self.choices)
        if self.form == "number":
            return node.number()
        if self.form == "whole":
            return node.whole()
        return node.truth() if self.form == "truth" else node.word()


def options_of(request: type) -> dict[str, Option]:
    """Options by key: the fields of a request with ``-`` for ``_``, as on the command line."""
    hints = get_type_hints(request)
    found = {}
    for item in fields(request):
        kind, optional = _without_none(hints[item.name])
        required = item.default is MISSING and item.default_factory is MISSING
        form, choices = _form(kind)
        found[item.name.replace("_", "-")] = Option(item.name, form, choices, optional, required)
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
        return "words", _form(get_args(kind)[0])[1]
    forms: dict[type, Form] = {bool: "truth", int: "whole", float: "number", str: "text"}
    return forms[kind], ()
