"""Check CP2K inputs before they wait in a queue: keywords, values, methods, basis sets, electrons, cell, atoms.

Finds what 'cp2k --check' finds, also for versions that are not installed here, and what it does not: a missing basis
set, an odd electron count without UKS, k-points with exact exchange, overlapping atoms. Each input is ok, has warnings
(it runs, perhaps to a wrong answer) or errors (CP2K would stop); what is not judged is named. Exit code 1 for errors.
The input of a run folder is held against the structure there too. Known versions: qdip doctor; others are read as the
nearest older one, and that is said. Lengths in Å, energies in hartree, cutoffs in Ry.

example:
  qdip check runs/*/run.inp --cp2k-version 2026.2
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
    parser.add_argument(
        "input", nargs="+", type=Path, metavar="INPUT", help="CP2K input files, run folders, or folders of these"
    )
    parser.add_argument("--cp2k-version", metavar="VERSION", help="version the inputs are for (default: the installed)")


def check_command(args: argparse.Namespace) -> int:
    """Check every input and list what was found."""
    from qdip_struct.cp2k.program import find_data_directory, find_program

    schema, version = schema_for(args.cp2k_version)
    program = find_program()
    own_data = program is None or program.version == version
    libraries = [folder for folder in [find_data_directory()] if folder is not None]
    document: list[dict[str, Any]] = []
    lines = []
    for file in (file for path in args.input for file in _inputs_at(path)):
        items, left = _checked(file, schema=schema, own_data=own_data, libraries=libraries)
        levels = {item["level"] for item in items}
        verdict = "error" if "error" in levels else "warning" if levels else "ok"
        document.append({"path": str(file), "verdict": verdict, "findings": items, "not_examined": left})
        lines += [f"{file}: {'ok' if not items else f'{len(items)} found'}"]
        lines += [f"  {_where(item['line'])}{item['level']}: {item['message']}; {item['remedy']}" for item in items]
        lines += [f"  not examined: {what}" for what in left]
    answer(args, {"cp2k_version": version, "inputs": document}, text="\n".join(lines))
    return int(any(entry["verdict"] == "error" for entry in document))


def _inputs_at(path: Path) -> list[Path]:
    """An input, that of a run folder, or those of the run folders below a folder."""
    from qdip_struct.runs.rundir import INPUT

    if not path.is_dir():
        return [path]
    own = path / INPUT
    return [own] if own.exists() else sorted(path.rglob(INPUT)) or [own]


def _checked(
    file: Path, *, schema: "Schema", own_data: bool, libraries: list[Path]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Findings on one input, and what was not examined."""
    from qdip_struct.base.cp2k_input import expand_input
    from qdip_struct.base.files import read_text
    from qdip_struct.cp2k.inputs.language import Finding
    from qdip_struct.cp2k.inputs.preflight import check_input, check_structure, not_examined
    from qdip_struct.materials.structure_files import read_structure
    from qdip_struct.runs.rundir import INPUT, RELAXED, STRUCTURE

    try:
        if file.exists() and not file.is_file():
            raise DataError(f"{file} is not a file")
        expanded = expand_input(read_text(file), source=str(file), folder=file.parent, libraries=libraries)
    except DataError as error:
        return [{"level": "error", "line": None, "message": str(error), "remedy": "correct the file"}], []
    findings = check_input(expanded, schema=schema, folder=file.parent, own_data=own_data)
    structure = file.parent / (RELAXED if (file.parent / RELAXED).is_file() else STRUCTURE)
    if file.name == INPUT and structure.is_file():
        try:
            findings += check_structure(expanded.tree, read_structure(structure), name=structure.name)
        except DataError as error:
            left = Finding("warning", None, str(error), "make the folder again with 'qdip inputs --force'")
            findings += (left,)
    return [vars(finding) for finding in findings], list(not_examined(expanded, folder=file.parent))


def _where(line: int | None) -> str:
    return f"line {line}: " if line is not None else ""


def schema_for(version: str | None) -> "tuple[Schema, str]":
    """The input language of the version aimed at, and that version: the installed one where none is named."""
    from qdip_struct.cp2k.inputs.schema import load_schema, shipped_schema, shipped_versions
    from qdip_struct.cp2k.program import find_program

    program = find_program()
    if program is not None and version in (None, program.version):
        return load_schema(program), program.version
    if version is None:
        version = shipped_versions()[-1]
        note(f"note: no CP2K is installed here: keywords are those of CP2K {version}, or name another --cp2k-version")
    schema = shipped_schema(version)
    if schema.version != version:
        note(f"note: the keywords of CP2K {version} are not known here, those of {schema.version} are taken")
    return schema, version
