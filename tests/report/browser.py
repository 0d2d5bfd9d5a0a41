"""A headless Chromium driven through its debugging pipe: what it asks the network for, what it logs, what it shows."""

import base64
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
    *("--disable-extensions", "--disable-default-apps", "--remote-debugging-pipe", "--force-color-profile=srgb"),
)
_PATIENCE_S = 240.0


def find_browser() -> str | None:
    """The Chromium of this machine, or the one that ``QDIP_BROWSER`` names."""
    named = os.environ.get("QDIP_BROWSER")
    if named:
        return named
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One page: ``events`` collects everything the browser reports while it is driven."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                found: dict[str, Any] = answer.get("result", {})
                return found
            self.events.append(answer)
        raise AssertionError(f"the browser gave no answer to {method}")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = os.read(self._read, 1 << 20)
            assert piece, "the browser ended"
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\0", 1)
        found: dict[str, Any] = json.loads(line)
        return found

    def open(self, page: Path) -> None:
        """Open a file by its path and wait until it is loaded."""
        seen = len(self.events)
        self("Page.navigate", url=page.resolve().as_uri())
        until = time.monotonic() + _PATIENCE_S
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events[seen:]):
            assert time.monotonic() < until, "the page did not load"
            self.events.append(self._next())

    def value(self, expression: str) -> Any:
        """What an expression is in the page; the page's own policy forbids it scripts, the debugger asks anyway."""
        found = self("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Give the window a size in CSS pixels."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def media(self, *, scheme: str = "light", medium: str = "") -> None:
        """Light or dark, screen or print."""
        self(
            "Emulation.setEmulatedMedia",
            media=medium,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Write a PNG of the page."""
        data = self("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def reported(self, method: str) -> list[dict[str, Any]]:
        """Parameters of every event of one kind."""
        return [event["params"] for event in self.events if event.get("method") == method]


@contextmanager
def browser(program: str, folder: Path) -> Iterator[Tab]:
    """Start the browser with a profile of its own in ``folder``; end it, and only it, afterwards."""
    (child_reads, we_write), (we_read, child_writes) = os.pipe(), os.pipe()
    # the browser reads its commands from descriptor 3 and answers on 4
    high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10) for number in (child_reads, child_writes)]
    number = os.posix_spawn(
        program,
        [program, *FLAGS, f"--user-data-dir={folder}"],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, high[0], 3),
            (os.POSIX_SPAWN_DUP2, high[1], 4),
        ],
    )
    for pipe in (child_reads, child_writes, *high):
        os.close(pipe)
    try:
        yield Tab(we_write, we_read)
    finally:
        os.close(we_write)
        os.close(we_read)
        os.kill(number, signal.SIGTERM)
        os.waitpid(number, 0)
