"""What commands print: JSON or text on stdout, notes and progress on stderr, tables that line up."""

import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from qdip_struct.base.files import json_text, write_text

if TYPE_CHECKING:
    import argparse

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def emit(document: Any, *, as_json: bool, text: str) -> None:
    """Print ``document`` as JSON when asked for, else the readable ``text``."""
    sys.stdout.write(printable(json_text(document) if as_json else text.rstrip("\n") + "\n"))


def answer(args: "argparse.Namespace", document: Any, *, text: str) -> None:
    """Print a result as :func:`emit` does; with ``-o`` the JSON document is also written there."""
    if args.out is not None:
        write_text(args.out, json_text(document), force=args.force)
    emit(document, as_json=args.json, text=text)


def note(message: str) -> None:
    """Print one line on stderr: a warning, a reason, progress."""
    print(printable(message), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Text without what would steer a terminal: control characters but line ends and tabs are shown as escapes.

    Names of files and of runs may hold them, and halves of surrogate pairs, which stand for bytes that are not UTF-8.
    The escapes are those of JSON.
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Lay out rows in columns; numbers to the right, text to the left. ``None`` shows as a dash."""
    body = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    lines = [list(header), *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    right = [all(_is_number(line[column]) for line in body) for column in range(len(header))]

    def lay(line: Sequence[str]) -> str:
        cells = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)]
        return "  ".join(cells).rstrip()

    return "\n".join([lay(lines[0]), "  ".join("-" * width for width in widths), *map(lay, body)])


def _is_number(cell: str) -> bool:
    try:
        float(cell.rstrip("%"))
    except ValueError:
        return cell == "-"
    return True
