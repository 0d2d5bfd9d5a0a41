"""What is installed, what is missing, and how to get it.

example:
  qdip doctor
"""

import argparse
import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from qdip_struct import __version__
from qdip_struct.campaign.engines.engines import ENGINES
from qdip_struct.cli.console import answer, table

_REQUIRED = ("numpy", "scipy", "ase", "pymatgen", "spglib", "matplotlib", "pyyaml", "tqdm")
_OPTIONAL = {
    "chgnet": "pip install 'qdip-struct[mlip]', for qdip relax",
    "sevenn": "pip install 'qdip-struct[sevennet]', for qdip relax --model sevennet",
    "mace-torch": "pip install 'qdip-struct[mace]' in an environment without sevenn, for qdip relax --model mace",
    **{package: remedy for engine in ENGINES.values() for package, remedy in engine.packages.items()},
    "abtem": "pip install 'qdip-struct[hrtem]', for qdip diffraction --hrtem",
    "chemiscope": "pip install 'qdip-struct[viewer]', for qdip report --chemiscope",
}


def add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """``qdip doctor`` has no options of its own."""


def doctor_command(args: argparse.Namespace) -> int:
    """Look at everything; exit 1 when something required is missing, 0 otherwise."""
    rows = [_python(), *map(_package, _REQUIRED), *_programs(), *_extras(), *_folders()]
    document = {
        "qdip_version": __version__,
        "checks": [
            {"name": name, "found": found, "required": required, "remedy": remedy}
            for name, found, required, remedy in rows
        ],
    }
    body = [
        (n, f or "missing", "" if f else ("required" if r else "optional"), "" if f else how) for n, f, r, how in rows
    ]
    answer(args, document, text=table(("what", "found", "", "how to get it"), body))
    return int(any(required and not found for _, found, required, _ in rows))


_Row = tuple[str, str | None, bool, str]


def _python() -> _Row:
    return "Python", platform.python_version(), True, "Python 3.11 or newer"


def _package(name: str) -> _Row:
    try:
        return name, importlib.metadata.version(name), True, f"pip install {name}"
    except importlib.metadata.PackageNotFoundError:
        return name, None, True, f"pip install {name}"


def _programs() -> list[_Row]:
    from qdip_struct.base.errors import ToolError
    from qdip_struct.cp2k.inputs.schema import shipped_versions
    from qdip_struct.cp2k.program import HOW_TO_GET_CP2K, find_data_directory, find_program

    how = HOW_TO_GET_CP2K
    found: str | None = None
    try:
        program = find_program()
        found = f"{program.version}, {program.path}" if program else None
    except ToolError as error:
        how = str(error)
    data = find_data_directory()
    known = (
        f"{', '.join(shipped_versions())} (inputs are written and checked for them; others as the nearest older one)"
    )
    return [
        ("CP2K", found, False, how),
        ("CP2K versions known", known, True, "install qdip-struct again"),
        ("CP2K data files", str(data) if data else None, False, "install cp2k-data, or set CP2K_DATA_DIR"),
        *(
            (program, shutil.which(program), False, remedy)
            for engine in ENGINES.values()
            for program, remedy in engine.programs.items()
        ),
    ]


def _extras() -> list[_Row]:
    rows: list[_Row] = []
    for name, how in _OPTIONAL.items():
        try:
            rows.append((name, importlib.metadata.version(name), False, how))
        except importlib.metadata.PackageNotFoundError:
            rows.append((name, None, False, how))
    return rows


def _folders() -> list[_Row]:
    from qdip_struct.base.errors import DataError
    from qdip_struct.base.files import shipped

    rows: list[_Row] = []
    for folder in ("structures", "cp2k_templates", "workflows"):
        place: Any = folder
        try:
            rows.append((f"shipped {folder}", str(shipped(place)), True, "install qdip-struct again"))
        except DataError as error:
            rows.append((f"shipped {folder}", None, True, str(error)))
    here = Path.cwd()
    rows.append(("working folder", str(here) if os.access(here, os.W_OK) else None, False, "go to a writable folder"))
    return rows
