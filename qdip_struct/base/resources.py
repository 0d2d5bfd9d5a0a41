"""Where the shipped data folders are: ``structures``, ``cp2k_templates``, ``workflows``.

In an installed wheel they lie in ``qdip_struct/share``; in a checkout they are top-level folders.
"""

from pathlib import Path
from typing import Literal

from qdip_struct.base.errors import DataError

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped(folder: Literal["structures", "cp2k_templates", "workflows"], *parts: str) -> Path:
    """Return the path of a shipped file or folder.

    Raises
    ------
    DataError
        If the installation lacks it.
    """
    for root in (_PACKAGE / "share", _PACKAGE.parent):
        path = root.joinpath(folder, *parts)
        if path.exists():
            return path
    raise DataError(f"the installation of qdip_struct lacks {'/'.join((folder, *parts))}; install it again")
