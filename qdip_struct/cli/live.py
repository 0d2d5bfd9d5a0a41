"""What a person watches while runs go on: one line that renews itself on a terminal, a line per event elsewhere."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdip_struct.campaign.engines.engines import Watch

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
        what = f"{_name(watch)} ({watch.folder.role}, {watch.folder.record['n_atoms']} atoms)"
        if watch.state == "running":
            self._say(f"{self._title} started: {what}")
        elif watch.state == "relaxing":
            self._say(f"pre-relaxation of {what} with {watch.folder.record['relax']['model']}")
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
