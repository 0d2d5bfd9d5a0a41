"""Check CP2K inputs before they wait in a queue: keywords, values, basis sets, electrons, cell, atoms.

Finds what 'cp2k --check' finds, and what it does not: a missing basis set, an odd electron count without UKS, a
dipole correction across the vacuum, overlapping atoms. Exit code 1 when an input would fail.

example:
  qdip check runs/*/run.inp
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import DataError
from qdip_struct.cli.console import answer, note

if TYPE_CHECKING:
    from qdip_struct.cp2k.inputs.schema import Schema


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip check``."""
    parser.add_argument("input", nargs="+", type=Path, metavar="INPUT", help="CP2K input files or run folders")
    parser.add_argument("--cp2k-version", metavar="VERSION", help="version the inputs are for (default: the installed)")


def check_command(args: argparse.Namespace) -> int:
    """Check every input and list what was found."""
    from qdip_struct.base.cp2k_input import expand_input
    from qdip_struct.base.files import read_text
    from qdip_struct.cp2k.inputs.preflight import check_input
    from qdip_struct.cp2k.program import find_data_directory

    schema, version = schema_for(args.cp2k_version)
    libraries = [folder for folder in [find_data_directory()] if folder is not None]
    document: list[dict[str, Any]] = []
    lines = []
    for path in args.input:
        file = path / "run.inp" if path.is_dir() else path
        try:
            text = read_text(file)
            expanded = expand_input(text, source=str(file), folder=file.parent, libraries=libraries)
            findings = check_input(expanded, schema=schema, folder=file.parent)
            items = [vars(finding) for finding in findings]
        except DataError as error:
            items = [{"level": "error", "line": None, "message": str(error), "remedy": "correct the file"}]
        document.append({"path": str(file), "findings": items})
        lines += [f"{file}: {'ok' if not items else f'{len(items)} found'}"]
        lines += [f"  {_where(item['line'])}{item['level']}: {item['message']}; {item['remedy']}" for item in items]
    if schema is None:
        note("note: no CP2K is installed here, so keywords were not checked against its own list (qdip doctor)")
    answer(args, {"cp2k_version": version, "inputs": document}, text="\n".join(lines))
    return int(any(item["level"] == "error" for entry in document for item in entry["findings"]))


def _where(line: int | None) -> str:
    return f"line {line}: " if line is not None else ""


def schema_for(version: str | None) -> "tuple[Schema | None, str | None]":
    """The input language of the installed CP2K and the version aimed at; no schema when nothing is installed."""
    from qdip_struct.cp2k.inputs.schema import load_schema
    from qdip_struct.cp2k.program import find_program

    program = find_program()
    if program is None:
        return None, version
    if version is not None and version != program.version:
        note(f"note: keywords are checked against the installed CP2K {program.version}, not {version}")
    return load_schema(program), version or program.version
