"""What a JSON document must look like before it is used: kinds of values, lists, keys; and what is wrong with one.

A file that was edited, cut or hit by a flipped bit can hold anything under a key. It is compared with the shape that
its reader expects, once, where it is read; what stands at the first wrong place is told with the path of its key.
jsonschema would say the same in a hundred times the time (0.7 ms a run.json, measured), which the status of many
runs would feel.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import DataError

LARGEST = 1e100
"""Numbers beyond it are damage: no quantity of this package comes near, and squares of smaller ones are finite."""
LARGEST_WHOLE = 2**53
"""Whole numbers beyond it are not exact as floating-point numbers, and beyond 2**63 no array holds them."""
LONGEST_WORD = 1000
"""Characters of a name, a formula or a path."""
_SHOWN = 40


@dataclass(frozen=True)
class Kind:
    """A single value.

    Attributes
    ----------
    what
        What to call it.
    holds
        Whether something is one.
    """

    what: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class Maybe:
    """``null`` or something of a shape.

    Attributes
    ----------
    shape
        That.
    """

    shape: "Shape"


@dataclass(frozen=True)
class Each:
    """A list of things of one shape.

    Attributes
    ----------
    shape
        Of every item.
    length
        How many there must be; any number when ``None``.
    """

    shape: "Shape"
    length: int | None = None


@dataclass(frozen=True)
class Entries:
    """A mapping of any words to things of one shape.

    Attributes
    ----------
    shape
        Of every value.
    """

    shape: "Shape"


@dataclass(frozen=True)
class Fields:
    """A mapping with certain keys.

    Attributes
    ----------
    needed, known
        Shapes of the keys that must be there, and of those that may be.
    exactly
        Whether no others may.
    """

    needed: "Mapping[str, Shape]" = field(default_factory=dict)
    known: "Mapping[str, Shape]" = field(default_factory=dict)
    exactly: bool = False


Shape = Kind | Maybe | Each | Entries | Fields


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and -LARGEST <= value <= LARGEST)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_WHOLE


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_WORD and value.isprintable()


NUMBER = Kind("a finite number", _is_number)
POSITIVE = Kind("a number greater than zero", lambda value: _is_number(value) and value > 0)
WHOLE = Kind("a whole number", _is_whole)
COUNT = Kind("a whole number, zero or more", lambda value: _is_whole(value) and value >= 0)
TEXT = Kind("text", lambda value: isinstance(value, str) and "\0" not in value)
WORD = Kind(f"one line of at most {LONGEST_WORD} characters", _is_word)
TRUTH = Kind("true or false", lambda value: isinstance(value, bool))
ANYTHING = Kind("anything", lambda value: True)


def one_of(*words: str) -> Kind:
    """One of some words."""
    return Kind(f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words)


def fault(document: Any, shape: Shape) -> str | None:
    """The first place where a document differs from a shape, in words; ``None`` where it agrees."""
    return _fault(document, shape, "")


def refuse_unlike(document: Any, shape: Shape, *, path: Path, remedy: str) -> None:
    """Raise :class:`DataError` naming the file, the key and the remedy when a document differs from a shape."""
    found = fault(document, shape)
    if found is not None:
        raise DataError(f"{path}: {found}; {remedy}")


def _fault(value: Any, shape: Shape, key: str) -> str | None:
    if isinstance(shape, Kind):
        return None if shape.holds(value) else f"{key or 'the document'} is {_shown(value)}, expected {shape.what}"
    if isinstance(shape, Maybe):
        return None if value is None else _fault(value, shape.shape, key)
    if isinstance(shape, Each):
        if not isinstance(value, list) or shape.length not in (None, len(value)):
            many = "" if shape.length is None else f" of {shape.length}"
            return f"{key or 'the document'} is {_shown(value)}, expected a list{many}"
        items = ((item, shape.shape, f"{key}[{number}]") for number, item in enumerate(value))
        return next((found for item in items if (found := _fault(*item))), None)
    if not isinstance(value, dict):
        return f"{key or 'the document'} is {_shown(value)}, expected keys with values"
    if isinstance(shape, Entries):
        names = [(name, shape.shape) for name in value]
        wrong = next((name for name, _ in names if not _is_word(name)), None)
        if wrong is not None:
            return f"{key or 'the document'} has the key {_shown(wrong)}, expected {WORD.what}"
    else:
        lacking = [name for name in shape.needed if name not in value]
        if lacking:
            return f"{key or 'the document'} lacks {', '.join(lacking)}"
        further = [name for name in value if name not in shape.needed and name not in shape.known]
        if shape.exactly and further:
            return f"{key or 'the document'} has the key {_shown(further[0])}, which nothing is known of"
        names = [(name, part) for name, part in {**shape.known, **shape.needed}.items() if name in value]
    parts = ((value[name], part, f"{key}.{name}" if key else name) for name, part in names)
    return next((found for part in parts if (found := _fault(*part))), None)


def _shown(value: Any) -> str:
    """A value in a few printable characters."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "a mapping"
    if value is None:
        return "null"
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        return "a number too large"
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
