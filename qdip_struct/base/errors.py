"""The errors that a user can meet: one sentence each, saying what was read, what was expected and what to do."""


class QdipError(Exception):
    """Something a user can mend. The command line prints it as one line and exits with ``exit_code``."""

    exit_code = 1


class UsageError(QdipError):
    """A wrong argument, name, option or configuration key: nothing was started."""

    exit_code = 2


class DataError(QdipError):
    """A file that is missing, damaged or not what it should be."""


class MismatchError(QdipError):
    """Runs or structures whose numbers may not be combined; the message names the difference."""


class ToolError(QdipError):
    """A program outside this package is missing or failed; the message says how to get it or what it said."""
