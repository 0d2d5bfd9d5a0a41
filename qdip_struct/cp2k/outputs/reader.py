"""The one pass over an output file: it reads pieces, finds the lines that say something, hands them to segments.

Memory does not grow with the file. Numbers are taken from whole lines alone: a last line without its newline may be
cut in the middle of a number, so only the end mark and error messages are accepted from it. How far a running CP2K is
(SCF step, convergence, optimisation step) is read from the last lines alone.

Files are taken as they come: packed (gzip, xz, bzip2), coloured, with the rank or the time before every line. Such a
file is unpacked or cleaned whenever it is opened, so that offsets are those of the text that CP2K wrote.
"""

import bz2
import gzip
import lzma
import os
import re
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from qdip_struct.base.errors import DataError
from qdip_struct.cp2k.outputs.lines import HANDLERS, Handler, Segment
from qdip_struct.cp2k.outputs.patterns import CP2K_ONLY, MEANING, SCANNER, stamp

_PIECE_BYTES = 1 << 20
_LONGEST_LINE = 1 << 16
_LONGEST_MEMORY = 4096
_LONGEST_MEANT = 2048
_WITHOUT_NUMBERS = frozenset({"ended", "abort", "error", "walltime", "exit_request", "crash", "killed"})


_HEAD_BYTES = 1 << 16
_PACKED: dict[bytes, Callable[[Path, str], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_COLOUR = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
_LABEL = rb"(?: *\d+:|\[\d+(?:,\d+)*\](?:<std(?:out|err)>)?:?|\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[-+.,:0-9Z]*\]?)"
_LABELS = re.compile(rb"^(?:" + _LABEL + rb"[ \t]*?){1,2}(?=[ \t\r\n])")
_LABELLED = re.compile(
    rb"^(?:" + _LABEL + rb"[ \t]*?){1,2}[ \t]+(?:CP2K\||GLOBAL\||DBCSR\||\*\*\*\* \*\*\*\*)", re.MULTILINE
)


def open_output(path: Path) -> BinaryIO:
    """Open an output for reading its text as CP2K wrote it: unpacked, without colours, rank labels and time stamps.

    Raises
    ------
    OSError, EOFError
        If the file cannot be read or its packed text is cut (also ``zlib.error`` and ``lzma.LZMAError``).
    """
    stream: BinaryIO = path.open("rb")
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    unpack = next((opened for magic, opened in _PACKED.items() if head.startswith(magic)), None)
    if unpack is not None:
        stream.close()
        stream = cast(BinaryIO, unpack(path, "rb"))
        head = stream.read(_HEAD_BYTES)
        stream.seek(0)
    if b"\x1b[" not in head and not _LABELLED.search(head):
        return stream
    clean = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - handed on open
    with stream:
        while line := stream.readline(_LONGEST_LINE):
            clean.write(_LABELS.sub(b"", _COLOUR.sub(b"", line)))
    clean.seek(0)
    return clean


class _Pass:
    """The segments seen so far, and whether any line was one that only CP2K prints."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segments = [Segment(path)]
        self.known = False
        self._entries: dict[bytes, tuple[str, Handler]] = {}

    def _entry(self, text: bytes, start: int, opening: bytes) -> tuple[str, Handler]:
        """Meaning and handler of an opening; the same wording is looked up once."""
        found = MEANING.match(text, start)
        meaning = (found.lastgroup if found else None) or ""
        entry = (meaning, HANDLERS.get(meaning, _nothing))
        # A damaged log may hold endlessly many wordings; memory stays flat.
        if len(self._entries) < _LONGEST_MEMORY:
            self._entries[opening] = entry
        self.known = self.known or meaning in CP2K_ONLY
        return entry

    def scan(self, text: bytes, stop: int, offset: int) -> None:
        """Take the lines of ``text`` that begin before ``stop``; ``text`` starts at ``offset`` in the file."""
        entries, segment, line_end = self._entries, self.segments[-1], text.find
        for found in SCANNER.finditer(text, 0, stop):
            opening = found.group()
            meaning, handler = entries.get(opening) or self._entry(text, found.start(), opening)
            begin, end = found.start() + 1, line_end(b"\n", found.end())
            if end < 0:
                if meaning not in _WITHOUT_NUMBERS:
                    continue
                end = len(text)
            if end - begin > _LONGEST_MEANT:
                continue
            if meaning == "started" and (segment.started or segment.last is not None):
                if _at_once(segment, text[begin:end]):
                    handler(segment, text[begin:end], offset + begin)
                    continue
                segment = Segment(self.path)
                self.segments.append(segment)
            handler(segment, text[begin:end], offset + begin)


_AT_ONCE_S = 5.0
"""Processes of one launch print their start within so many seconds; whoever starts a killed run again takes longer."""


def _at_once(segment: Segment, line: bytes) -> bool:
    """Whether a process that starts here was launched together with the one whose text is not at its end."""
    if not segment.started or segment.ended or segment.aborts or segment.crash or segment.killed:
        return False
    start = stamp(line)
    if start is None or segment.start is None:
        return False
    return abs((start - segment.start).total_seconds()) <= _AT_ONCE_S


def _nothing(segment: Segment, line: bytes, offset: int) -> None:
    """Lines that only tell that a file is CP2K's."""


def read_segments(path: Path) -> list[Segment]:
    """Read ``path`` once and return its segments in the order of the text.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or holds no line that only CP2K prints.
    """
    passing = _Pass(path)
    size = 0
    try:
        with open_output(path) as stream:
            # The scanner knows an opening by the newline before it: the first line is given one, which is not counted.
            text, offset = b"\n", -1
            while piece := stream.read(_PIECE_BYTES):
                size += len(piece)
                text += piece
                stop = text.rfind(b"\n")
                # The piece ends inside its only line: read on, unless the line is longer than any that CP2K writes.
                if stop <= 0 and len(text) < _LONGEST_LINE:
                    continue
                if stop <= 0:
                    stop = len(text)
                passing.scan(text, stop, offset)
                text, offset = text[stop:], offset + stop
            passing.scan(text, len(text), offset)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise DataError(f"cannot read {path}: its packed text is cut or damaged ({error})") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if size == 0:
        raise DataError(f"{path} is empty: CP2K wrote nothing, or has not started")
    if not passing.known:
        raise DataError(f"{path} is not a CP2K output: {_guess(path)}")
    return passing.segments


def _guess(path: Path) -> str:
    """What else the file may be, from its first bytes."""
    with path.open("rb") as stream:
        head = stream.read(6)
    if head.startswith((b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"\x1f\x9d")):
        return "it is compressed (zstd, zip or compress), unpack it first"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "it is UTF-16 text, save it as UTF-8"
    return "none of its lines is one that CP2K prints"


_TAIL_BYTES = 20_000
_SCF_LINE = re.compile(
    rb"^ *(\d+) (?:OT \w+|\S+/\S+) +\S+ +\S+ +(\d\S*) +-?\d+\.\d{6,} ",
    re.MULTILINE,
)
_STEP_LINE = re.compile(rb"(?:OPTIMIZATION STEP:|OPT\| Step number)\s+(\d+)")


@dataclass(frozen=True)
class Progress:
    """Where a run is; 0 and ``None`` before its first step.

    Attributes
    ----------
    scf_step, geo_step
        Steps of the present SCF and of the optimisation.
    convergence
        Of the last SCF step, as CP2K prints it.
    """

    scf_step: int = 0
    convergence: float | None = None
    geo_step: int = 0

    def __str__(self) -> str:
        """In words, such as ``step 3, SCF 12 (2e-05)``; empty before the first SCF step."""
        parts = [f"step {self.geo_step}"] if self.geo_step else []
        if self.scf_step:
            known = f" ({self.convergence:.0e})" if self.convergence is not None else ""
            parts.append(f"SCF {self.scf_step}{known}")
        return ", ".join(parts)


def read_progress(output: Path) -> Progress:
    """Read the end of an output that is being written; a missing file is no progress."""
    try:
        with output.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
            text = stream.read()
    except OSError:
        return Progress()
    scf = _SCF_LINE.findall(text)
    steps = _STEP_LINE.findall(text)
    return Progress(
        scf_step=int(scf[-1][0]) if scf else 0,
        convergence=float(scf[-1][1]) if scf else None,
        geo_step=int(steps[-1]) if steps else 0,
    )
