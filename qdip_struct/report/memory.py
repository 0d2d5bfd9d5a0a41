"""What was computed for a page before: documents and figures by the hash of everything that went into them.

Lies in ``.qdip_report`` of the study folder, so that a page of hundreds of runs is made again in seconds when a few of
them have changed. It can be deleted at any time; where it cannot be written, nothing is remembered. The first line of
each file is the hash of the rest: a damaged one is made again.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import DataError
from qdip_struct.base.files import json_text, read_text, sha256, write_text

FOLDER = ".qdip_report"


class Memory:
    """Remembers results under a folder, or nothing when there is none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._hashes: dict[Path, str] = {}

    def document(
        self, kind: str, *, files: Iterable[Path], parameters: Any, make: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """The JSON document that ``make`` gives for these files and parameters, from memory when neither changed.

        The document comes back as JSON holds it (lists for arrays, ``None`` for NaN), whether remembered or not.
        """
        stamp = [kind, parameters, *((file.name, self.hash_of(file)) for file in sorted(files))]
        found: dict[str, Any] = json.loads(self._recall(stamp, lambda: json_text(make()), suffix=".document"))
        return found

    def figure(self, kind: str, *, content: Any, make: Callable[[], str]) -> str:
        """The text of a figure that shows ``content``."""
        return self._recall([kind, content], make, suffix=".figure")

    def _recall(self, stamp: Any, make: Callable[[], str], *, suffix: str) -> str:
        if self._folder is None:
            return make()
        place = self._folder / f"{sha256(_own_code() + json_text(stamp))[:32]}{suffix}"
        if place.is_file():
            with contextlib.suppress(DataError):
                digest, _, text = read_text(place).partition("\n")
                if digest == sha256(text):
                    return text
        text = make()
        with contextlib.suppress(DataError, OSError):
            write_text(place, f"{sha256(text)}\n{text}", force=True)
        return text

    def hash_of(self, file: Path) -> str:
        """SHA-256 of a file, read once; :class:`DataError` when it cannot be read."""
        if file not in self._hashes:
            try:
                with file.open("rb") as stream:
                    self._hashes[file] = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError as error:
                raise DataError(f"cannot read {file}: {error.strerror or error}") from error
        return self._hashes[file]


@cache
def _own_code() -> str:
    """Hash of the package's own source: another version remembers nothing of this one."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
