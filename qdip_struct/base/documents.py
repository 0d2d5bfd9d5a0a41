"""Documents that somebody else wrote, JSON and YAML: every fault of them is an error of ours that names the file.

The YAML library recurses, in C for the fast loader: a few kilobytes of ``- - - -`` end the whole process, and a few
lines of anchors and aliases unfold to gigabytes. Nesting is therefore counted before anything is built, and anchors,
aliases and tags are refused.

A file that was edited, cut or hit by a flipped bit can hold anything under a key. The documents of this package are
``msgspec`` structs, made of the kinds of values below and defined each in the module whose noun it is; one that cannot
be made of a file is refused once, where the file is read, with the path of the first wrong key. Keys that a struct
does not know are no fault.
"""

import dataclasses
import json
import types
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, UnsetType

from qdip_struct.base.errors import DataError, QdipError
from qdip_struct.base.files import read_text

DEEPEST_NESTING = 40
"""Deepest nesting of lists and mappings that is read."""
LARGEST = 1e100
"""Numbers beyond it are damage: no quantity of this package comes near, and squares of smaller ones are finite."""
LARGEST_WHOLE = 2**53
"""Whole numbers beyond it are not exact as floating-point numbers, and beyond 2**63 no array holds them."""
LONGEST_WORD = 1000
"""Characters of a name, a formula or a path."""
ONE_LINE = f"one line of at most {LONGEST_WORD} characters"
_SHOWN = 40

# What msgspec cannot say of a value stands under ``holds``: it concerns characters that do not print, which the text of
# a document shows at a glance (_shows_all), so that few documents are ever asked value by value.
Number = Annotated[
    Annotated[int, Meta(ge=-LARGEST_WHOLE, le=LARGEST_WHOLE)] | Annotated[float, Meta(ge=-LARGEST, le=LARGEST)],
    Meta(description="a finite number"),
]
Positive = Annotated[
    Annotated[int, Meta(gt=0, le=LARGEST_WHOLE)] | Annotated[float, Meta(gt=0, le=LARGEST)],
    Meta(description="a number greater than zero"),
]
Whole = Annotated[int, Meta(ge=-LARGEST_WHOLE, le=LARGEST_WHOLE, description="a whole number")]
Count = Annotated[int, Meta(ge=0, le=LARGEST_WHOLE, description="a whole number, zero or more")]
Text = Annotated[str, Meta(description="text", extra={"holds": lambda value: "\0" not in value})]
Word = Annotated[str, Meta(max_length=LONGEST_WORD, description=ONE_LINE, extra={"holds": str.isprintable})]
Vector = tuple[Number, Number, Number]
Name = Annotated[
    Word | list[Number] | dict[Word, Word],
    Meta(description="one line of text, numbers, or a mapping to lines of text"),
]
"""How a termination or a registry is told: a name, a lateral shift, or a name with its meaning."""

_HOLDERS = (dict, list)
_PLAIN = b"\n" + bytes(range(32, 127)).replace(b"\\", b"")
"""What most of a text is made of; it is left out before the rest is looked at, which is ten times faster."""
_WORDS: dict[Any, str] = {bool: "true or false", list: "a list", dict: "keys with values"}

T = TypeVar("T")


class ResultDocument(msgspec.Struct, frozen=True):
    """What a command wrote of its answer, so that a page can show it.

    ``KIND`` names it for people, ``COMMAND`` is the command, ``KNOWN_BY`` are the keys by which it is told from others.
    """

    KIND: ClassVar[str]
    COMMAND: ClassVar[str]
    KNOWN_BY: ClassVar[frozenset[str]]


class _UnwantedError(ValueError):
    """What the JSON library reads and this package does not."""


def json_document(path: Path) -> Any:
    """The JSON document in a file.

    Raises
    ------
    DataError
        If the file cannot be read, is not valid JSON (NaN and halves of surrogate pairs are not), or is nested more
        than :data:`DEEPEST_NESTING` levels deep; the message names the file and, where known, the line.
    """
    return _content(read_text(path), path)


def read_document(path: Path, kind: type[T], *, remedy: str | None = None) -> tuple[T, dict[str, Any]]:
    """The document in a JSON file as a struct, and all that the file holds: it may have keys that no struct knows.

    Parameters
    ----------
    path
        File to read.
    kind
        The struct.
    remedy
        What to do about a damaged file, for the message.

    Raises
    ------
    DataError
        As :func:`json_document`, or if the struct cannot be made of it; the message names the file and the key.
    """
    text = read_text(path)
    content = _content(text, path)
    try:
        return _made(content, kind, believed=_shows_all(text)), content
    except _UnwantedError as error:
        raise DataError(f"{path}: {error}" + (f"; {remedy}" if remedy else "")) from error


def document_in(text: str, kind: type[T]) -> T | None:
    """The document in a JSON text of our own as a struct; ``None`` when it is not as it was written."""
    try:
        return _made(_decoded(text), kind, believed=_shows_all(text))
    except (ValueError, RecursionError):
        return None


def document_or_fault(content: Any, kind: type[T]) -> T | str:
    """The document that plain values hold, or the first thing that is wrong with them, in words."""
    try:
        return _made(content, kind, believed=_shows_all(json.dumps(content, ensure_ascii=False)))
    except _UnwantedError as error:
        return str(error)


def _content(text: str, path: Path) -> Any:
    try:
        document = _decoded(text)
        _refuse_depth(document)
        # Only an escape can bring half of a surrogate pair in, and it would fail much later, when something is written.
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode()
        return document
    except UnicodeEncodeError as error:
        raise DataError(f"{path} is not valid JSON: it holds half of a surrogate pair") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not valid JSON: line {error.lineno}: {error.msg}") from error
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error
    except RecursionError as error:
        raise DataError(f"{path} is not valid JSON: nested too deeply") from error


def _decoded(text: str) -> Any:
    """By the fast reader; what it refuses is left to the one that tells the line."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise _UnwantedError(f"{name} is no number of JSON; expected null")


def _refuse_depth(document: Any) -> None:
    """Go down level by level, so that no nesting can use up the stack of those who come after."""
    level = [document] if type(document) in _HOLDERS else []
    for _ in range(DEEPEST_NESTING):
        below: list[Any] = []
        for item in level:
            below += [part for part in (item.values() if type(item) is dict else item) if type(part) in _HOLDERS]
        level = below
        if not level:
            return
    raise _UnwantedError(f"nested more than {DEEPEST_NESTING} levels deep")


def _shows_all(text: str) -> bool:
    """Whether a JSON text hides no character that does not print: none raw but line ends, and only quotes escaped."""
    odd = text.encode(errors="surrogatepass").translate(None, _PLAIN).decode(errors="surrogatepass")
    escaped = "\\" in odd and "\\" in text.replace("\\\\", "").replace('\\"', "")
    return not escaped and odd.isprintable()


def _made(content: Any, kind: type[T], *, believed: bool) -> T:
    """The struct; the walk that finds the words for a fault is made only where there is, or may be, one."""
    made: T | None = None
    doubt = ""
    try:
        made = msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        doubt = str(error)
    if made is not None and believed:
        return made
    wrong = fault(content, kind) or doubt
    if made is None or wrong:
        raise _UnwantedError(wrong)
    return made


def fault(value: Any, kind: Any) -> str | None:
    """The first place where plain values differ from a struct or a kind, in words; ``None`` where they agree."""
    return _fault(value, kind, "")


def _fault(value: Any, kind: Any, key: str) -> str | None:
    place = key or "the document"
    bare, metas = _peeled(kind)
    options = list(get_args(bare)) if get_origin(bare) in (Union, types.UnionType) else [bare]
    if type(None) in options and value is None:
        return None
    options = [option for option in options if option not in (type(None), UnsetType)]
    told = next((meta.description for meta in metas if meta.description), None)
    if len(options) > 1:
        if any(_fault(value, option, key) is None for option in options):
            return None
        return f"{place} is {_shown(value)}, expected {told or 'another kind of value'}"
    (option,) = options
    if option is not bare:
        return _fault(value, option, key)
    origin = get_origin(bare)
    if origin in (list, tuple):
        return _list_fault(value, get_args(bare), key, fixed=origin is tuple)
    if origin is dict or _fields(bare) is not None:
        if not isinstance(value, dict):
            return f"{place} is {_shown(value)}, expected {_WORDS[dict]}"
        return _entries_fault(value, get_args(bare), key) if origin is dict else _struct_fault(value, bare, key)
    if _is_one(value, bare, metas):
        return None
    if origin is Literal:
        told = f"one of {', '.join(map(str, get_args(bare)))}"
    return f"{place} is {_shown(value)}, expected {told or _WORDS.get(bare, 'text')}"


def _is_one(value: Any, bare: Any, metas: list[Meta]) -> bool:
    """Whether a single value is of a kind; a table of kinds by hand, for msgspec takes each of them apart anew."""
    if bare is Any:
        return True
    if get_origin(bare) is Literal:
        return isinstance(value, str) and value in get_args(bare)
    if type(value) is not bare and not (bare is float and type(value) is int and not metas):
        return False
    return all(
        (meta.ge is None or value >= meta.ge)
        and (meta.gt is None or value > meta.gt)
        and (meta.le is None or value <= meta.le)
        and (meta.max_length is None or len(value) <= meta.max_length)
        and (meta.extra is None or meta.extra["holds"](value))
        for meta in metas
    )


def _peeled(kind: Any) -> tuple[Any, list[Meta]]:
    metas: list[Meta] = []
    while get_origin(kind) is Annotated:
        kind, *more = get_args(kind)
        metas += more
    return kind, metas


def _list_fault(value: Any, parts: tuple[Any, ...], key: str, *, fixed: bool) -> str | None:
    if not isinstance(value, (list, tuple)) or (fixed and len(value) != len(parts)):
        many = f" of {len(parts)}" if fixed else ""
        return f"{key or 'the document'} is {_shown(value)}, expected {_WORDS[list]}{many}"
    kinds = parts if fixed else parts * len(value)
    items = ((item, kind, f"{key}[{number}]") for number, (item, kind) in enumerate(zip(value, kinds, strict=True)))
    return next((found for item in items if (found := _fault(*item))), None)


def _entries_fault(value: dict[Any, Any], parts: tuple[Any, ...], key: str) -> str | None:
    wrong = next((name for name in value if fault(name, parts[0]) is not None), None)
    if wrong is not None:
        return f"{key or 'the document'} has the key {_shown(wrong)}, expected {ONE_LINE}"
    items = ((item, parts[1], f"{key}.{name}" if key else name) for name, item in value.items())
    return next((found for item in items if (found := _fault(*item))), None)


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]] | None:
    """Kind of each key of a struct or dataclass, and whether it must be there; ``None`` for anything else."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.encode_name: (field.type, field.required) for field in msgspec.structs.fields(kind)}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints, missing = get_type_hints(kind, include_extras=True), dataclasses.MISSING
        return {
            field.name: (hints[field.name], field.default is missing and field.default_factory is missing)
            for field in dataclasses.fields(kind)
        }
    return None


def _struct_fault(value: dict[str, Any], kind: Any, key: str) -> str | None:
    fields, place = _fields(kind) or {}, key or "the document"
    lacking = [name for name, (_, needed) in fields.items() if needed and name not in value]
    if lacking:
        return f"{place} lacks {', '.join(lacking)}"
    further = [name for name in value if name not in fields]
    if further and issubclass(kind, msgspec.Struct) and kind.__struct_config__.forbid_unknown_fields:
        return f"{place} has the key {_shown(further[0])}, which nothing is known of"
    items = (
        (value[name], part, f"{key}.{name}" if key else name) for name, (part, _) in fields.items() if name in value
    )
    found = next((wrong for item in items if (wrong := _fault(*item))), None)
    if found is None and issubclass(kind, msgspec.Struct) and hasattr(kind, "__post_init__"):
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            return f"{key}: {error}" if key else str(error)
    return found


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


def yaml_document(path: Path, *, mistake: type[QdipError] = DataError) -> Any:
    """The YAML document in a file: plain values, lists and mappings, at most :data:`DEEPEST_NESTING` deep.

    Parameters
    ----------
    path
        File to read.
    mistake
        Error to raise for what is wrong in the text.

    Raises
    ------
    DataError
        If the file cannot be read.
    QdipError
        The error asked for, if the text is not valid YAML, is nested too deeply, or uses anchors, aliases or tags.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = read_text(path)
    try:
        _refuse_nesting(yaml.scan(text, Loader=loader), path=path, mistake=mistake)
        return yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError) as error:
        raise mistake(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


def _refuse_nesting(tokens: Any, *, path: Path, mistake: type[QdipError]) -> None:
    """Go through the tokens without building anything, and stop at the first that would be harmful."""
    depth = 0
    for token in tokens:
        name = type(token).__name__
        line = token.start_mark.line + 1
        if name in ("AnchorToken", "AliasToken", "TagToken"):
            raise mistake(
                f"{path} is not valid YAML of plain values: line {line}: anchors, aliases and tags (& * !) are not read"
            )
        depth += name.endswith("StartToken") and name != "StreamStartToken" and name != "DocumentStartToken"
        depth -= name in ("BlockEndToken", "FlowSequenceEndToken", "FlowMappingEndToken")
        if depth > DEEPEST_NESTING:
            raise mistake(f"{path} is not valid YAML: line {line}: nested more than {DEEPEST_NESTING} levels deep")
