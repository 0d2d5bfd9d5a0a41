"""Where a command will write, looked at before it works: what exists stays, and figures end in what can be drawn."""

from collections.abc import Sequence
from pathlib import Path

from qdip_struct.base.files import refuse_existing


def refuse_places(files: Sequence[Path | None], *, figures: Sequence[Path | None] = (), force: bool) -> None:
    """Refuse places that a command could not write to.

    Parameters
    ----------
    files, figures
        Places as given, ``None`` for what was not asked for; figures need an ending of
        :data:`qdip_struct.report.figures.FORMATS`.
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
