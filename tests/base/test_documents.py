"""Kinds of values and structs of documents: what agrees, and the words for the first thing that does not."""

import json
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from qdip_struct.base.documents import (
    LARGEST,
    Count,
    Name,
    Number,
    Positive,
    Text,
    Vector,
    Whole,
    Word,
    document_in,
    document_or_fault,
    fault,
    read_document,
)
from qdip_struct.base.errors import DataError

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Number, (0, -1.5, 1e-320, LARGEST), (10**16, True, NAN, INFINITY, -INFINITY, 10**400, 1e308, "1", None, [1])),
        (Positive, (1, 1e-9), (0, -1, NAN, True)),
        (Whole, (0, -3, 10**15), (1.0, True, 10**400, "1")),
        (Count, (0, 7), (-1, 0.5, False)),
        (bool, (True, False), (0, 1, "true", None)),
        (Word, ("", "PbS(100)//CsPbBr3 Γ", "x" * 1000), ("x" * 1001, "a\nb", "\x00", "\x1b[0m", "\ud800", 1, None)),
        (Text, ("two\nlines",), ("\x00", 3)),
        (Literal["a", "b"], ("a",), ("c", "", ["a"], None)),
        (Name, ("PbS", [0, 0.5], {"name": "top"}), (None, [[1]], {"a": 1}, {"a": "b\nc"}, {"b\nc": "a"}, "a\nb", 1)),
    ],
)
def test_single_values(kind: Any, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
    assert [value for value in good if fault(value, kind) is not None] == []
    assert [value for value in bad if fault(value, kind) is None] == []
    assert all(len(str(fault(value, kind))) < 150 and str(fault(value, kind)).isprintable() for value in bad)


class Inner(msgspec.Struct):
    c: Number


class Outer(msgspec.Struct):
    a: dict[Word, list[Inner]]
    b: Number = 0


class Exact(msgspec.Struct, forbid_unknown_fields=True):
    a: Number


class Known(msgspec.Struct, kw_only=True):
    a: Number | None = None
    b: tuple[Word, Word] | UnsetType = UNSET


class Equal(msgspec.Struct):
    one: list[Number]
    other: list[Number]

    def __post_init__(self) -> None:
        if len(self.one) != len(self.other):
            raise ValueError("one and other have different lengths")


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ([1, NAN], list[Number], "[1] is nan, expected a finite number"),
        ([1], Vector, "is a list of 1, expected a list of 3"),
        ({}, list[Number], "is a mapping, expected a list"),
        ([1, 2], Known, "is a list of 2, expected keys with values"),
        ({"b": 1}, Outer, "the document lacks a"),
        ({"a": {"b": [{"c": "x"}]}}, Outer, "a.b[0].c is 'x', expected a finite number"),
        ({"a": 1, "z": 2}, Exact, "has the key 'z'"),
        ({"a\nb": 1}, dict[Word, Number], "has the key 'a\\nb', expected one line of at most 1000 characters"),
        ({"a": ""}, Known, "a is '', expected a finite number"),
        ({"b": None}, Known, "b is null, expected a list of 2"),
        ({"b": ["x", "y\u202e"]}, Known, "b[1] is 'y\\u202e', expected one line"),
        ({"one": [1], "other": []}, Equal, "one and other have different lengths"),
    ],
)
def test_the_first_fault_is_told_with_its_key(value: Any, kind: Any, words: str) -> None:
    assert words in str(fault(value, kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        assert document_or_fault(value, kind) == fault(value, kind)


def test_what_agrees() -> None:
    for value in ({"a": None}, {"a": 1, "b": ["x", "y"], "free": "\0"}):
        assert fault(value, Known) is None
        assert isinstance(document_or_fault(value, Known), Known)
    assert fault({"a": 1}, Exact) is None


def test_numbers_stay_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 5, "free": [1.0, "kept"]}')
    made, content = read_document(tmp_path / "x.json", Known)
    assert (made.a, content) == (5, {"a": 5, "free": [1.0, "kept"]})
    assert json.dumps(msgspec.to_builtins(made)) == '{"a": 5}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": "x"}', "a is 'x', expected a finite number"),
        ('{"b": ["\\u202e", ""]}', "b[0] is '\\u202e', expected one line of at most 1000 characters"),
        ('{"b": ["\u202e", ""]}', "b[0] is '\\u202e', expected one line of at most 1000 characters"),
        ('{"b": ["\x7f", ""]}', "b[0] is '\\x7f', expected one line of at most 1000 characters"),
        ('"a"', "the document is 'a', expected keys with values"),
    ],
)
def test_a_refusal_names_file_key_and_remedy(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_document(path, Known, remedy="write it again")
    assert str(caught.value) == f"{path}: {words}; write it again"
    assert document_in(text, Known) is None


def test_an_escaped_quote_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(r'{"b": ["a \"b\"", "\u0393"]}')
    assert read_document(path, Known)[0].b == ('a "b"', "Γ")
