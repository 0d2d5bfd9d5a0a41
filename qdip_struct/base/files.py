"""Files: where the shipped ones are, and writing so that nothing is lost.

``structures``, ``cp2k_templates`` and ``workflows`` lie in ``qdip_struct/share`` in an installed wheel and at the top
level in a checkout. A file is written under a temporary name first, then renamed; never over an existing result.
"""

import hashlib
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from qdip_struct import __version__
from qdip_struct.base.errors import DataError, UsageError

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


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise :class:`UsageError` when ``path`` exists and ``force`` is not set."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists; give another name or --force to replace it")


def write_bytes(path: Path, content: bytes, *, force: bool = False) -> Path:
    """Write ``content`` to ``path`` in one step: readers see the old file or the whole new one.

    Raises
    ------
    UsageError
        If ``path`` exists and ``force`` is not set.
    DataError
        If the folder cannot be made or the disk refuses the write; no partial file stays behind.
    """
    refuse_existing(path, force=force)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            # A rename may reach the disk before the content does: after a power cut the name would hold nothing.
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp lets only the owner read; the result gets the mode that a plain open() would give it.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def write_text(path: Path, content: str, *, force: bool = False) -> Path:
    """Write UTF-8 text; see :func:`write_bytes`. What UTF-8 cannot hold, of file names, is written as an escape."""
    return write_bytes(path, content.encode(errors="backslashreplace"), force=force)


def read_text(path: Path) -> str:
    """Read UTF-8 text; a missing, unreadable or binary file is a :class:`DataError` that names it."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read {path}: it is not UTF-8 text (byte {error.start})") from error


def sha256(content: bytes | str) -> str:
    """Hexadecimal SHA-256 of bytes or UTF-8 text."""
    return hashlib.sha256(
        content.encode(errors="backslashreplace") if isinstance(content, str) else content
    ).hexdigest()


def plain(value: Any) -> Any:
    """Turn numpy scalars and arrays, tuples, paths and NaN into what JSON can hold (NaN and infinity become null)."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value


def json_text(document: Any) -> str:
    """One JSON document, indented, keys in the order given, ending in a newline."""
    return json.dumps(plain(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def provenance(command: str, parameters: dict[str, Any], *, seed: int | None = None, **more: Any) -> dict[str, Any]:
    """Describe where a file came from. It holds no time and no machine name: same input, same bytes."""
    return {"qdip_version": __version__, "command": command, "parameters": parameters, "seed": seed, **more}
