"""Damage to text files, reproducible by seed: what disks, editors, networks and hasty users do to them, and malice."""

import random
import re

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
