"""The errors that a user can meet: one sentence each, saying what was read, what was expected and what to do."""

import math

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


class MismatchError(QdipError):
    """Runs or structures whose numbers may not be combined; the message names the difference."""


class ToolError(QdipError):
    """A program outside this package is missing or failed; the message says how to get it or what it said."""


def check_positive(value: float, *, what: str, unit: str = "") -> None:
    """Raise :class:`UsageError` unless ``value`` is finite and positive."""
    if not (math.isfinite(value) and value > 0.0):
        raise UsageError(f"{what} is {value:g}{' ' * bool(unit)}{unit}; expected a positive number")
