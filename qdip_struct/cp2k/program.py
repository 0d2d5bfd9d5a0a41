"""The CP2K program on this machine: where it is, which version, where its data files lie."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from qdip_struct.base.errors import ToolError, UsageError

EXECUTABLE_NAMES = ("cp2k.psmp", "cp2k.popt", "cp2k.ssmp", "cp2k.sopt", "cp2k")
HOW_TO_GET_CP2K = (
    "Debian or Ubuntu: apt-get install cp2k cp2k-data (as root); any other: conda install -c conda-forge cp2k; "
    "then have cp2k on PATH or set QDIP_CP2K to the executable"
)


@dataclass(frozen=True)
class Program:
    """An installed CP2K.

    Attributes
    ----------
    version
        For example ``2023.1``.
    """

    path: Path
    version: str


def find_program() -> Program | None:
    """Find CP2K: ``$QDIP_CP2K`` first, then the usual names on ``PATH``; ``None`` when there is none.

    Raises
    ------
    ToolError
        If ``$QDIP_CP2K`` is set but is no working CP2K: a wrong setting is never silently passed over.
    """
    wanted = os.environ.get("QDIP_CP2K")
    if wanted:
        found = shutil.which(wanted)
        if found is None:
            raise ToolError(f"QDIP_CP2K is '{wanted}', which is not an executable file")
        return Program(Path(found), program_version(found))
    for name in EXECUTABLE_NAMES:
        found = shutil.which(name)
        if found is not None:
            return Program(Path(found), program_version(found))
    return None


def require_program() -> Program:
    """Like :func:`find_program`, but a missing CP2K is a :class:`ToolError` that says how to get it."""
    program = find_program()
    if program is None:
        raise ToolError(f"CP2K was not found. {HOW_TO_GET_CP2K}")
    return program


@cache
def program_version(executable: str) -> str:
    """Return the version that ``executable --version`` prints, such as ``2023.1``.

    Raises
    ------
    ToolError
        If it cannot be started or prints no version of CP2K.
    """
    try:
        answer = subprocess.run(
            [executable, "--version"], capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{executable} --version did not work: {error}") from error
    match = re.search(r"CP2K version\s+(\S+)", answer.stdout)
    if match is None:
        raise ToolError(f"{executable} --version does not name a CP2K version; is it CP2K?")
    return match.group(1)


def release(text: str) -> tuple[int, int]:
    """``2023.1`` → (2023, 1); development versions count as the release they lead to.

    Raises
    ------
    UsageError
        If the text is no CP2K version.
    """
    match = re.fullmatch(r"(\d{1,4})\.(\d+)\D*", text.strip())
    if match is None:
        raise UsageError(f"'{text}' is not a CP2K version such as 2023.1")
    return int(match.group(1)), int(match.group(2))


def find_data_directory() -> Path | None:
    """Find CP2K's data files (``BASIS_MOLOPT``, ``GTH_POTENTIALS``, ...).

    Looked for in ``$CP2K_DATA_DIR``, beside the executable (``../share/cp2k``, ``../share/cp2k/data``, ``../data``,
    ``../../data``), in the active conda environment and in Debian's ``/usr/share/cp2k``. ``None`` when not found.
    """
    given, wanted, conda, path = (os.environ.get(name, "") for name in _WHERE)
    return _data_directory(given, wanted, conda, path)


_WHERE = ("CP2K_DATA_DIR", "QDIP_CP2K", "CONDA_PREFIX", "PATH")


@cache
def _data_directory(given: str, wanted: str, conda: str, path: str) -> Path | None:
    """The search, done once for what the environment says."""
    places = [Path(given)] if given else []
    executable = wanted or next((name for name in EXECUTABLE_NAMES if shutil.which(name, path=path)), None)
    found = shutil.which(executable, path=path) if executable else None
    if found:
        folder = Path(found).resolve().parent
        places += [
            folder.parent / "share" / "cp2k",
            folder.parent / "share" / "cp2k" / "data",
            folder.parent / "data",
            folder.parent.parent / "data",
        ]
    if conda:
        places += [Path(conda, "share", "cp2k", "data"), Path(conda, "share", "cp2k")]
    places += [Path("/usr/share/cp2k"), Path("/usr/share/cp2k/data"), Path("/usr/local/share/cp2k/data")]
    return next((place for place in places if (place / "GTH_POTENTIALS").is_file()), None)
