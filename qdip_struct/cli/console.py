"""What a person sees of a command: JSON or text on stdout, notes and progress on stderr, tables that line up.

Where a command will write is looked at before it works: what exists stays, and figures end in what can be drawn. While
runs go on, one line renews itself on a terminal, and there is a line per event elsewhere.
"""

import io
import re
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from qdip_struct.base.files import json_text, refuse_existing, write_text

if TYPE_CHECKING:
    import argparse

    from ase import Atoms

    from qdip_struct.campaign.engines.local import Watch
    from qdip_struct.materials.crystals import Crystal
    from qdip_struct.materials.structure_files import Carried

CELL_VECTORS = {"a": 0, "b": 1, "c": 2}
"""Names of the cell vectors in options."""
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def emit(document: Any, *, as_json: bool, text: str) -> None:
    """Print ``document`` as JSON, which is UTF-8 whatever the locale, when asked for, else the readable ``text``."""
    if not as_json:
        sys.stdout.write(printable(text.rstrip("\n") + "\n"))
        return
    sys.stdout.flush()
    content = printable(json_text(document))
    if (plain := getattr(sys.stdout, "buffer", None)) is not None:
        plain.write(content.encode())
        plain.flush()
    else:
        sys.stdout.write(content)


def replace_unprintable() -> None:
    """Show what the encoding of stdout and stderr lacks as a question mark, so that an ASCII terminal gets the rest."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def answer(args: "argparse.Namespace", document: Any, *, text: str) -> None:
    """Print a result as :func:`emit` does; with ``-o`` the JSON document is also written there."""
    if args.out is not None:
        write_text(args.out, json_text(document), force=args.force)
    emit(document, as_json=args.json, text=text)


def note(message: str) -> None:
    """Print one line on stderr: a warning, a reason, progress."""
    print(printable(message), file=sys.stderr, flush=True)


def warn_of(sentences: Iterable[str]) -> None:
    """Print each sentence once as a warning on stderr."""
    for sentence in dict.fromkeys(sentences):
        note(f"warning: {sentence}")


def read_given(path: Path, *, cell: str | None = None, used: "Collection[Carried]" = ()) -> "tuple[Atoms, list[str]]":
    """The structure in a file that a command was given, and what is to be said of the file, which is printed.

    Parameters
    ----------
    path
        The file.
    cell
        Edges (Å) and angles (degree) as typed, for a file without a cell.
    used
        What of the rest that the file may carry the command uses, or has no meaning for it.
    """
    from qdip_struct.builders.parsing import numbers
    from qdip_struct.materials.structure_files import file_notes, read_structure

    given = None if cell is None else numbers(cell, what="--cell")
    atoms = read_structure(path, cell=given)
    notes = file_notes(path, used=used, cell=given)
    for sentence in notes:
        note(f"note: {sentence}")
    return atoms, notes


def crystal_given(word: str, *, symprec: float, **taken: Any) -> "tuple[Crystal, list[str]]":
    """The crystal of a word, its cell as it stands in a file, and what is to be said of the file, which is printed.

    ``taken`` is what :func:`qdip_struct.materials.structure_files.crystal_of` takes beside the word.
    """
    from qdip_struct.materials.structure_files import as_crystal, crystal_of, file_notes, is_structure_file

    crystal = as_crystal(crystal_of(word, symprec=symprec, **taken), path=Path(word), symprec=symprec)
    notes: list[str] = []
    if is_structure_file(word):
        notes = file_notes(Path(word), used=("constraints", "moments", "velocities"))
    for sentence in notes:
        note(f"note: {sentence}")
    return crystal, notes


def at_kelvin(temperature: float | None) -> str:
    """`` at 298 K``, to stand behind a lattice constant; empty where it has no temperature."""
    return "" if temperature is None else f" at {temperature:g} K"


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


def refuse_places(files: Sequence[Path | None], *, figures: Sequence[Path | None] = (), force: bool) -> None:
    """Refuse places that a command could not write to.

    Parameters
    ----------
    files, figures
        Places as given, ``None`` for what was not asked for; figures need an ending of
        :data:`qdip_struct.report.figures.FIGURE_FORMATS`.
    force
        Whether what exists may be replaced.

    Raises
    ------
    UsageError
        If a file exists and ``force`` is not set, or a figure has another ending.
    """
    from qdip_struct.report.figures import refuse_ending

    for path in (*files, *figures):
        if path is not None:
            refuse_existing(path, force=force)
    for path in figures:
        if path is not None:
            refuse_ending(path)


HEARTBEAT_S = 30.0


class LiveView:
    """Shows the watches of an engine on stderr; use as a context manager."""

    def __init__(self, *, title: str) -> None:
        self._title = title
        self._terminal = sys.stderr.isatty()
        self._began = time.monotonic()
        self._said: dict[str, str] = {}
        self._last = self._began
        self._width = 0

    def __enter__(self) -> "LiveView":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def show(self, watches: "Sequence[Watch]") -> None:
        """Tell what changed since the last call; on a terminal also where every running CP2K is."""
        for watch in watches:
            self._tell(watch)
        running = [watch for watch in watches if watch.state in ("running", "relaxing", "busy")]
        ended = sum(watch.verdict is not None for watch in watches)
        states = "; ".join(f"{_name(w)} {_where(w)}".rstrip() for w in running)
        line = f"{self._title} {ended}/{len(watches)} ended, {self._clock()}: {states}"
        if self._terminal:
            shown = line[:118]
            sys.stderr.write("\r" + shown.ljust(self._width))
            self._width = len(shown)
            sys.stderr.flush()
        elif running and time.monotonic() - self._last > HEARTBEAT_S:
            self._say(line)

    def _tell(self, watch: "Watch") -> None:
        name = str(watch.folder.path)
        if watch.state == "waiting" or self._said.get(name) == watch.state:
            return
        first = name not in self._said
        self._said[name] = watch.state
        what = f"{_name(watch)} ({watch.folder.role}, {watch.folder.record.n_atoms or '?'} atoms)"
        if watch.state == "running":
            self._say(f"{self._title} started: {what}")
        elif watch.state == "relaxing" and watch.folder.record.relax is not None:
            self._say(f"pre-relaxation of {what} with {watch.folder.record.relax.model}")
        elif watch.state == "busy":
            self._say(f"{self._title} waits: {watch.reason}")
        elif first:
            self._say(f"{self._title} already {watch.state}: {what}")
        else:
            reason = "" if watch.state == "done" else f": {watch.reason}"
            self._say(f"{self._title} {watch.state} after {watch.seconds:.0f} s: {what}{reason}")

    def _say(self, line: str) -> None:
        self._clear()
        self._last = time.monotonic()
        print(line, file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return f"{seconds // 60}:{seconds % 60:02d}"


def _name(watch: "Watch") -> str:
    """The folder with the one above it: every group has a film."""
    path = watch.folder.path
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name


def _where(watch: "Watch") -> str:
    return watch.reason if watch.state == "relaxing" else str(watch.progress)
