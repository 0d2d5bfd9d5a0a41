"""Damage to text files, reproducible by seed: what disks, editors, networks and hasty users do to them, and malice."""

import copy
import json
import random
import re
from collections.abc import Iterator
from typing import Any

NUMBERS = (
    "NaN", "inf", "-inf", "1e999", "-1", "0", "1e308", "99999999999999999999999", "", "*****", "1" * 5000, "0x1f",
    "1_0", "-0.0", "1e-320", "٣", "1.2.3", "null", "True", "[]", "{}", "'", '"', "[" * 300, "&a", "*a",
    "\x00", "../../x",
)  # fmt: skip
"""What may stand in the place of a number or a word."""


def damaged(content: bytes, *, seed: int) -> bytes:
    """One to three kinds of damage, the same for the same seed."""
    draw = random.Random(seed)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        content = draw.choice(KINDS)(content, draw)
    return content


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def _flip(content: bytes, draw: random.Random) -> bytes:
    text = bytearray(content)
    for _ in range(draw.choice((1, 3, 30))):
        if text:
            text[draw.randrange(len(text))] = draw.randrange(256)
    return bytes(text)


def _lines(content: bytes, draw: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if len(lines) > 1:
        one, two = sorted(draw.sample(range(len(lines)), 2))
        action = draw.choice(("swap", "drop", "double", "shuffle"))
        if action == "swap":
            lines[one], lines[two] = lines[two], lines[one]
        elif action == "drop":
            del lines[one : one + draw.choice((1, two - one))]
        elif action == "double":
            lines[two:two] = lines[one:two]
        else:
            draw.shuffle(lines)
    return b"".join(lines)


def _number(content: bytes, draw: random.Random) -> bytes:
    return _replaced(content, rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?", draw)


def _word(content: bytes, draw: random.Random) -> bytes:
    return _replaced(content, rb"[A-Za-z_]+", draw)


def _replaced(content: bytes, pattern: bytes, draw: random.Random) -> bytes:
    places = [found.span() for found in re.finditer(pattern, content)]
    if not places:
        return content
    begin, end = draw.choice(places[: draw.choice((12, len(places)))])
    return content[:begin] + draw.choice(NUMBERS).encode() + content[end:]


def _foreign(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content) + 1)
    more = draw.choice(
        (b"\x00", b"\xff\xfe", b"\r\n\r\n", b"\t", b"\xe2\x80\xa8", b"- " * 3000, b"[" * 3000, b"{a: " * 99)
    )
    return content[:place] + more + content[place:]


KINDS = (_cut, _flip, _lines, _number, _number, _word, _foreign)


VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2.5, 1e308, -1e308, 1e-320, float("nan"), float("inf"), 10**30, "", "x", "NaN", "../../x",
    "<script>alert(1)</script>", "a\nb", "a\x00b", "\x1b[31m", "\ud800", "x" * 5000, "-rf", [], {}, [None], [1, 2],
    ["a"], {"a": 1}, {"a": {"b": [1]}}, [[[[[[[[1]]]]]]]],
)  # fmt: skip
"""What may stand in the place of a value of a JSON document that stays a JSON document."""


def damaged_json(content: bytes, *, seed: int) -> bytes:
    """A JSON document with one to four values replaced, keys dropped or renamed, the same for the same seed."""
    draw = random.Random(seed)
    document = json.loads(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        path = draw.choice(list(_places(document)))
        if draw.random() < 0.3:
            path = path[: draw.choice((1, 2))]
        inside = document
        for key in path[:-1]:
            inside = inside[key]
        kind = draw.choice(("value", "value", "value", "drop", "rename"))
        if kind == "value" or not isinstance(inside, dict):
            inside[path[-1]] = copy.deepcopy(draw.choice(VALUES))
        elif kind == "rename":
            inside[draw.choice(("", "x", "../x", "<b>", "\n"))] = inside.pop(path[-1])
        else:
            del inside[path[-1]]
    return json.dumps(document).encode()


def _places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in entries:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from _places(value, (*path, key))
