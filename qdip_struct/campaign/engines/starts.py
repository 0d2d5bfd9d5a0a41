"""How often CP2K was started in a run folder without coming any further: ``starts.json``, and setting it back.

A start has come further when the restart file holds another geometry than before, or an energy converged at a step that
none before had reached. All starts since then stand in the file, each written before CP2K begins and again when it has
ended, so that the count outlives whoever keeps it. Enough of them are the end of the run, with what the last one said:

============================ ==============================================================================
two in a row                 without an output that can be read, or ended because nothing grew any more
three in a row               that saved nothing, or that were killed (SIGKILL may hit any moment)
ten                          in all: that saved orbitals alone, or whose end nobody saw because it came from outside
============================ ==============================================================================

A start that qdip itself was told to end (Ctrl-C, SIGTERM) does not count.
"""

import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from qdip_struct.base.documents import Count, Text, Whole, Word, document_in
from qdip_struct.base.errors import DataError
from qdip_struct.base.files import json_text, read_text, sha256, write_text
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.runs.restart import GEOMETRY, WAVE_FUNCTIONS, is_whole_geometry, saved_state
from qdip_struct.runs.rundir import INPUT, OUTPUT, RESULT, RunFolder, segment_name

STARTS = "starts.json"
FAILED = "failed"
"""Folders ``failed-1``, ``failed-2``, ... of a run hold the outputs that were set aside."""
REMEDY = "mend the cause, then 'qdip retry' makes it ready again"
_UNREADABLE, _STALLED, _WITHOUT_PROGRESS, _IN_ALL = 2, 2, 3, 10
_FROM_OUTSIDE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU)
_HINTS = {
    "SIGKILL": "as the system does when memory runs out",
    "SIGXFSZ": "a file reached the largest size that is allowed, see ulimit -f",
    "SIGBUS": "often a full disk or a full /dev/shm",
    "SIGILL": "a program built for another processor",
}
_TAIL_BYTES = 4000
_LINES, _LINE = 3, 200
_SHELL_SIGNALS = 128


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """One start of CP2K that came no further.

    Attributes
    ----------
    segment
        Number of its output.
    ending
        What ended it, in words; empty when nobody saw it, or when it came from outside.
    stalled, killed, readable, saved
        Whether it was ended because nothing grew, or by SIGKILL, its output can be read, and it saved orbitals.
    said
        The last lines that it or its launcher wrote.
    """

    segment: Count
    ending: Word = ""
    stalled: bool = False
    killed: bool = False
    readable: bool = False
    saved: bool = False
    said: Text = ""


class StartRow(msgspec.Struct, frozen=True, kw_only=True):
    """The starts since the run last came further.

    Attributes
    ----------
    step
        The furthest step with a converged energy, -1 before the first.
    geometry
        Hash of the last whole restart file.
    starts
        In order.
    """

    step: Whole = -1
    geometry: Word | None = None
    starts: list[Start] = []


def read_starts(folder: Path) -> StartRow | None:
    """What ``starts.json`` says; ``None`` where there is none or it is damaged."""
    try:
        return document_in(read_text(folder / STARTS), StartRow)
    except DataError:
        return None


def gave_up(folder: Path) -> str | None:
    """Why CP2K is not started again in a run folder; ``None`` when it may be."""
    row = read_starts(folder)
    if row is None or not row.starts:
        return None
    seen = [start for start in row.starts if start.ending]
    for most, what, counts in (
        (_STALLED, "stalled", lambda start: start.stalled),
        (_UNREADABLE, "ended without readable output", lambda start: not (start.readable or start.killed)),
        (_WITHOUT_PROGRESS, "ended without progress", lambda start: not start.saved),
    ):
        if len(seen) >= most and all(map(counts, seen[-most:])):
            return f"{_told(most)} starts in a row {what}; the last one {_last(seen[-1])}; {REMEDY}"
    if len(row.starts) >= _IN_ALL:
        last = f"; the last one {_last(seen[-1])}" if seen else "; all were ended from outside"
        return f"{_told(len(row.starts))} starts came to no new step{last}; {REMEDY}"
    return None


def _told(number: int) -> str:
    return {2: "two", 3: "three", 10: "ten"}.get(number, str(number))


def _last(start: Start) -> str:
    return f"{start.ending}: {start.said}" if start.said else f"{start.ending} and wrote nothing"


def begin_start(folder: RunFolder, *, segment: int, run: Run | None) -> None:
    """Write down that CP2K is about to start.

    Parameters
    ----------
    folder
        A run folder whose lock is held, its restart files as CP2K will find them.
    segment
        Number of the output that it will write.
    run
        The run as read from its outputs, where they can be read.

    Raises
    ------
    DataError
        If it cannot be written: then CP2K could write nothing either.
    """
    row, now = read_starts(folder.path), _mark(folder, run)
    # Whoever started the last one may have been killed: CP2K went on, and what it did is seen here first.
    if row is None or _further(now, row):
        row = now
    # A restart file that was set aside and is written anew is no other one.
    geometry = now.geometry or row.geometry
    _write(folder.path, step=row.step, geometry=geometry, starts=[*row.starts, Start(segment=segment)])


def end_start(
    folder: RunFolder, *, run: Run | None, code: int, stalled_s: float | None, saved: dict[str, tuple[int, int]]
) -> None:
    """Write down what became of the start that :func:`begin_start` announced.

    Parameters
    ----------
    folder, run
        As for :func:`begin_start`, after the end.
    code
        Exit code of the process, negative for a signal.
    stalled_s
        For how long, s, nothing had grown when it was ended for that; ``None`` when it ended otherwise.
    saved
        From :func:`qdip_struct.runs.restart.saved_state` before the start.
    """
    row, now = read_starts(folder.path), _mark(folder, run)
    if row is None or not row.starts:
        return
    if _further(now, row):
        with contextlib.suppress(DataError):
            _write(folder.path, step=max(now.step, row.step), geometry=now.geometry, starts=[])
        return
    segment = row.starts[-1].segment
    output = segment_name(folder.path / OUTPUT, segment)
    crashed = run is not None and run.status == "aborted"
    moved = saved_state(folder.path)
    start = Start(
        segment=segment,
        ending=_ending(code, stalled_s),
        stalled=stalled_s is not None,
        killed=code in (-signal.SIGKILL, _SHELL_SIGNALS + signal.SIGKILL),
        readable=_is_readable(output),
        saved=not crashed and any(moved.get(name) != saved.get(name) for name in WAVE_FUNCTIONS),
        said=last_lines(output),
    )
    with contextlib.suppress(DataError):  # on a full disk it counts as one whose end nobody saw
        _write(folder.path, step=row.step, geometry=row.geometry, starts=[*row.starts[:-1], start])


def withdraw_start(folder: RunFolder) -> None:
    """Take back what :func:`begin_start` wrote: CP2K did not start, or was ended because qdip was."""
    row = read_starts(folder.path)
    if row is not None and row.starts:
        with contextlib.suppress(DataError):
            _write(folder.path, step=row.step, geometry=row.geometry, starts=row.starts[:-1])


def set_aside(folder: RunFolder, *, failed: Sequence[int]) -> list[Path]:
    """Move the outputs of failed segments, their inputs and the count of starts to ``failed-N`` in the run folder.

    Parameters
    ----------
    folder
        A run folder whose lock is held.
    failed
        Numbers of its last segments.

    Returns
    -------
    list of Path
        Where the files lie now.

    Raises
    ------
    DataError
        If one cannot be moved.
    """
    place = next(p for n in range(1, 10**6) if not (p := folder.path / f"{FAILED}-{n}").exists())
    names = [segment_name(Path(OUTPUT), number).name for number in failed]
    names += [f"{INPUT}.{number}" for number in failed]
    moved = []
    try:
        # The latest output first: whatever stops this leaves a row without a gap.
        for name in (RESULT, *reversed(names), STARTS):
            source = folder.path / name
            if source.exists():
                place.mkdir(exist_ok=True)
                source.rename(place / name)
                moved.append(place / name)
    except OSError as error:
        raise DataError(f"cannot move {source} to {place}: {error.strerror or error}") from error
    return moved


def last_lines(output: Path) -> str:
    """The last lines of text in a file, `` | `` between them; empty where there are none."""
    try:
        with output.open("rb") as stream:
            stream.seek(max(0, output.stat().st_size - _TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    shown = ("".join(c if c.isprintable() else " " for c in line).strip() for line in text.splitlines())
    return " | ".join([line[:_LINE] for line in shown if line][-_LINES:])


def _mark(folder: RunFolder, run: Run | None) -> StartRow:
    """How far the run is; a torn restart file is none."""
    geometry, place = None, folder.path / GEOMETRY
    if is_whole_geometry(place, n_atoms=folder.record.n_atoms or 1):
        # Its comments hold the time.
        lines = (line for line in read_text(place).splitlines() if not line.lstrip().startswith("#"))
        geometry = sha256("\n".join(lines))
    return StartRow(step=-1 if run is None else _furthest(folder, run), geometry=geometry)


def _furthest(folder: RunFolder, run: Run) -> int:
    counted = run.steps.counter[(run.steps.verdict != 0) & (run.steps.counter >= 0)]
    if len(counted):
        return int(counted.max())
    # Without numbers, a segment that begins anew repeats the energies of the one before.
    try:
        steps = read_run(segment_name(folder.path / OUTPUT, max(1, folder.n_segments))).steps
    except DataError:
        return -1
    return int((steps.verdict != 0).sum()) - 1


def _further(now: StartRow, row: StartRow) -> bool:
    return now.step > row.step or (now.geometry is not None and now.geometry != row.geometry)


def _is_readable(output: Path) -> bool:
    try:
        read_run(output)
    except DataError:
        return False
    return True


def _ending(code: int, stalled_s: float | None) -> str:
    if stalled_s is not None:
        return f"was ended because neither output nor restart files had grown for {stalled_s:.0f} s"
    number = -code if code < 0 else code - _SHELL_SIGNALS if code > _SHELL_SIGNALS else 0
    try:
        name = signal.Signals(number).name if number else ""
    except ValueError:
        name = ""
    if name and number in _FROM_OUTSIDE and code < 0:
        return ""
    hint = f", {_HINTS[name]}" if name in _HINTS else ""
    if code < 0:
        return f"was ended by signal {number} ({name or 'unknown'}{hint})"
    return f"ended with exit code {code}" + (f" (signal {number}, {name}{hint})" if name else "")


def _write(folder: Path, *, step: int, geometry: str | None, starts: list[Start]) -> None:
    row = StartRow(step=step, geometry=geometry, starts=starts)
    write_text(folder / STARTS, json_text(msgspec.to_builtins(row)), force=True)
