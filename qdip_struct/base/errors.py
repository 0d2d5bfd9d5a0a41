"""The errors that a user can meet: one sentence each, saying what was read, what was expected and what to do."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXIT_DONE = 0
EXIT_FAILED = 1
"""The work failed."""
EXIT_USAGE = 2
"""Wrong usage: nothing was started."""
EXIT_UNFINISHED = 3
"""Finished, but some items failed or are unfinished; each is listed with its reason."""
EXIT_AGAIN = 75
"""Of a segment: run me again (EX_TEMPFAIL of sysexits.h)."""
EXIT_INTERRUPTED = 130
"""Stopped by Ctrl-C (128 + SIGINT)."""


class QdipError(Exception):
    """Something a user can mend. The command line prints it as one line and exits with ``exit_code``."""

    exit_code = EXIT_FAILED


class UsageError(QdipError):
    """A wrong argument, name, option or configuration key: nothing was started."""

    exit_code = EXIT_USAGE


class DataError(QdipError):
    """A file that is missing, damaged or not what it should be."""


class UnreadError(DataError):
    """A file or a word that another program may well understand, and that is not read here."""


class MismatchError(QdipError):
    """Runs or structures whose numbers may not be combined; the message names the difference."""


class ToolError(QdipError):
    """A program outside this package is missing or failed; the message says how to get it or what it said."""


@dataclass(frozen=True)
class NotTaken:
    """Files or runs that were passed over, or may not be combined: a bad one is listed and never stops the others.

    Attributes
    ----------
    paths
        Which.
    reason
        Why: what is wrong, what they differ in, or what one lacks.
    """

    paths: tuple[str, ...]
    reason: str

    @property
    def path(self) -> Path:
        """The first of them, where there is one only."""
        return Path(self.paths[0])

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"paths": list(self.paths), "reason": self.reason}


def not_taken(path: Path, reason: object) -> NotTaken:
    """One path that was passed over; an error as the reason stands for its message."""
    return NotTaken((str(path),), str(reason))


def check_positive(value: float, *, what: str, unit: str = "") -> None:
    """Raise :class:`UsageError` unless ``value`` is finite and positive."""
    if not (math.isfinite(value) and value > 0.0):
        raise UsageError(f"{what} is {value:g}{' ' * bool(unit)}{unit}; expected a positive number")
