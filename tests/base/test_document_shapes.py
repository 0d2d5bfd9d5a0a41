"""Shapes of documents: what agrees, and the words for the first thing that does not."""

from pathlib import Path
from typing import Any

import pytest

from qdip_struct.base.document_shapes import (
    COUNT,
    LARGEST,
    NUMBER,
    POSITIVE,
    TEXT,
    TRUTH,
    WHOLE,
    WORD,
    Each,
    Entries,
    Fields,
    Kind,
    Maybe,
    Shape,
    fault,
    one_of,
    refuse_unlike,
)
from qdip_struct.base.errors import DataError

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (NUMBER, (0, -1.5, 1e-320, LARGEST), (10**16, True, NAN, INFINITY, -INFINITY, 10**400, 1e308, "1", None, [1])),
        (POSITIVE, (1, 1e-9), (0, -1, NAN, True)),
        (WHOLE, (0, -3, 10**15), (1.0, True, 10**400, "1")),
        (COUNT, (0, 7), (-1, 0.5, False)),
        (TRUTH, (True, False), (0, 1, "true", None)),
        (WORD, ("", "PbS(100)//CsPbBr3 Γ", "x" * 1000), ("x" * 1001, "a\nb", "\x00", "\x1b[0m", "\ud800", 1, None)),
        (TEXT, ("two\nlines",), ("\x00", 3)),
        (one_of("a", "b"), ("a",), ("c", "", ["a"], None)),
    ],
)
def test_single_values(kind: Kind, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
    assert [value for value in good if fault(value, kind) is not None] == []
    assert [value for value in bad if fault(value, kind) is None] == []
    assert all(len(str(fault(value, kind))) < 150 and str(fault(value, kind)).isprintable() for value in bad)


@pytest.mark.parametrize(
    ("value", "shape", "words"),
    [
        ([1, NAN], Each(NUMBER), "[1] is nan, expected a finite number"),
        ([1], Each(NUMBER, 3), "is a list of 1, expected a list of 3"),
        ({}, Each(NUMBER), "is a mapping, expected a list"),
        ([1, 2], Fields(), "is a list of 2, expected keys with values"),
        ({"a": 1}, Fields({"a": NUMBER, "b": NUMBER}), "lacks b"),
        ({"a": {"b": [{"c": "x"}]}}, Fields({"a": Entries(Each(Fields({"c": NUMBER})))}), "a.b[0].c is 'x'"),
        ({"a": 1, "z": 2}, Fields({"a": NUMBER}, exactly=True), "has the key 'z'"),
        ({"a\nb": 1}, Entries(NUMBER), "has the key 'a\\nb'"),
        ({"a": ""}, Fields(known={"a": Maybe(NUMBER)}), "a is '', expected a finite number"),
    ],
)
def test_the_first_fault_is_told_with_its_key(value: Any, shape: Shape, words: str) -> None:
    assert words in str(fault(value, shape))


def test_what_agrees() -> None:
    shape = Fields({"a": Maybe(NUMBER)}, {"b": Each(WORD, 2)})
    for value in ({"a": None}, {"a": 1, "b": ["x", "y"], "free": object()}):
        assert fault(value, shape) is None
    assert fault({"a": 1}, Fields({"a": NUMBER}, exactly=True)) is None


def test_refusal_names_file_and_remedy() -> None:
    refuse_unlike(1, NUMBER, path=Path("x.json"), remedy="write it again")
    with pytest.raises(DataError, match=r"^x\.json: the document is 'a', expected a finite number; write it again$"):
        refuse_unlike("a", NUMBER, path=Path("x.json"), remedy="write it again")
