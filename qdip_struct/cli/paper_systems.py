"""Builds the systems of the papers with the commands a user would type, resumably, and says what came of each.

A system's folder is ``systems/ID`` with ``structures``, ``runs`` and, written last, ``system.json``; a curve's is
``curves/ID``. What is there and was made by the same commands of the same version is kept; ``system.json`` carries its
own SHA-256 and those of the files beside it, so that what was damaged is made anew. Inputs in ``runs`` are the
user's to edit; only a ``run.json`` that cannot be read makes them anew.
"""

import contextlib
import io
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct import __version__
from qdip_struct.base.errors import DataError
from qdip_struct.base.files import json_text, read_text, sha256, write_text
from qdip_struct.cli.console import note
from qdip_struct.runs.collection import read_sealed, sealed_text
from qdip_struct.runs.rundir import open_run_folder

if TYPE_CHECKING:
    from qdip_struct.papers.systems import Curve, Judged, PaperItem, PaperSystem, Relaxed, StatedEnergy

SYSTEM_RECORD = "system.json"
STRUCTURES = "structures"
RUNS = "runs"


def build_system(system: "PaperSystem", *, folder: Path, force: bool) -> dict[str, Any]:
    """Build, check, write inputs; the document of the system, also in ``system.json``.

    What fails is in ``faults``, with the line that the command printed.
    """
    commands = _commands(system)
    known = None if force else _known(folder / SYSTEM_RECORD, commands)
    if known is not None:
        note(f"{system.id}: already there")
        return known
    note(f"{system.id}: {system.title}")
    document: dict[str, Any] = {
        "id": system.id,
        "paper": system.paper,
        "title": system.title,
        "about": system.about,
        "qdip_version": __version__,
        "commands": commands,
        "structures": {},
        "files": {},
        "numbers": [],
        "faults": [],
        "warnings": [],
    }
    for command in commands:
        code, lines, _ = _call(_words(command, folder))
        document["warnings"] += [line for line in lines if line.startswith("warning: ")]
        if code:
            document["faults"].append(f"qdip {command}: {lines[-1] if lines else f'exit code {code}'}")
            break
    else:
        _check(system, folder, document)
    write_text(folder / SYSTEM_RECORD, sealed_text(document), force=True)
    found: dict[str, Any] = json.loads(json_text(document))
    return found


def _commands(system: "PaperSystem") -> list[str]:
    """What is typed in the folder of the system."""
    out = STRUCTURES if system.out == "folder" else f"{STRUCTURES}/{system.out}"
    files = " ".join(f"{STRUCTURES}/{name}.extxyz" for name in system.structures)
    return [
        f"build {system.build} -o {out}",
        f"inputs {system.inputs} --group {system.id} -o {RUNS} {files}",
    ]


def _words(command: str, folder: Path) -> list[str]:
    """The words of a command with its paths put below the folder, and with --force: what was there is stale."""
    places = (STRUCTURES, RUNS)
    words = shlex.split(command)
    return [str(folder / w) if w.split("/")[0] in places else w for w in words] + ["--force"]


def _known(record: Path, commands: list[str]) -> dict[str, Any] | None:
    """The document of an earlier run, when its commands and version are these and its files are as they were."""
    document = read_sealed(record)
    if document is None or document.get("qdip_version") != __version__:
        return None
    if document.get("commands") != commands or document.get("faults"):
        return None
    whole = all(_is_whole(record.parent / name, digest) for name, digest in document["files"].items())
    runs = [record.parent / item["run"] for item in document.get("structures", {}).values()]
    return document if whole and all(map(_opens, runs)) else None


def _is_whole(file: Path, digest: str) -> bool:
    try:
        return sha256(file.read_bytes()) == digest
    except OSError:
        return False


def _opens(run: Path) -> bool:
    try:
        open_run_folder(run)
    except DataError:
        return False
    return True


def _check(system: "PaperSystem", folder: Path, document: dict[str, Any]) -> None:
    from qdip_struct.materials.structure_files import read_structure
    from qdip_struct.papers.systems import compare_numbers, faults, measure

    measured = {}
    for name in system.structures:
        file = f"{STRUCTURES}/{name}.extxyz"
        atoms = read_structure(folder / file)
        measured[name] = measure(atoms)
        facts = {"file": file, "run": f"{RUNS}/{name}", "sha256": sha256((folder / file).read_bytes())}
        document["structures"][name] = {**facts, **measured[name]}
        document["faults"] += [f"{name}: {fault}" for fault in faults(measured[name])]
    document["files"] = {
        str(file.relative_to(folder)): sha256(file.read_bytes()) for file in sorted((folder / STRUCTURES).iterdir())
    }
    document["numbers"] = [_number_entry(item) for item in compare_numbers(system.numbers, measured=measured)]


def draw_curve(curve: "Curve", *, folder: Path, force: bool) -> dict[str, Any]:
    """Compute and draw a curve: its document, with the answer of the command and the place of the figure.

    Raises
    ------
    DataError
        If the command fails.
    """
    figure, answer = folder / "curve.svg", folder / "curve.json"
    command = f"{curve.words} --plot {figure.name} -o {answer.name}"
    document = _started(curve, command)
    if force or not _is_answered(folder, document):
        words = [str(folder / w) if w in (figure.name, answer.name) else w for w in shlex.split(command)]
        _answer(words, document, (figure, answer))
    return {**document, "figure": _within(figure), "answer": json.loads(read_text(answer))}


def measure_strain(dot: "Relaxed", *, folder: Path, force: bool) -> dict[str, Any]:
    """Strain of a relaxed dot that ships: its document, the place of the figure, and the paper's gauge beside it.

    Raises
    ------
    DataError
        If the command fails.
    """
    from qdip_struct.base.files import shipped
    from qdip_struct.papers.systems import compare_numbers

    figure, answer = folder / "strain.svg", folder / "strain.json"
    command = f"{dot.words} --plot {figure.name} --json"
    document = _started(dot, command)
    if force or not _is_answered(folder, document):
        source = shipped("workflows", *dot.folder.split("/"))
        words = [str(source / w) if w.endswith(".extxyz") else w for w in shlex.split(dot.words)]
        _answer([*words, "--plot", str(figure), "--json"], document, (figure, answer), printed=answer)
    strain = json.loads(read_text(answer))
    phases = {name: facts["role"] for name, facts in strain["phases"].items()}
    rows = [line["strain_to_reference"] for line in strain["lines"] if phases.get(line["phase"]) == "dot"]
    gauge = 100.0 * sum(rows) / len(rows) if rows else None
    (judged,) = compare_numbers([dot.gauge], measured={dot.id: {"gauge_percent": gauge}})
    return {
        **document,
        "figure": _within(figure),
        "answer": strain,
        "numbers": [_number_entry(judged)],
    }


def _started(item: "PaperItem", command: str) -> dict[str, Any]:
    return {"id": item.id, "paper": item.paper, "title": item.title, "commands": [command]}


def _is_answered(folder: Path, document: dict[str, Any]) -> bool:
    """Whether the command of a curve or strain has been run before and its files are as it left them; says so."""
    there = _known(folder / SYSTEM_RECORD, document["commands"]) is not None
    if there:
        note(f"{document['id']}: already there")
    return there


def _answer(words: list[str], document: dict[str, Any], files: Sequence[Path], *, printed: Path | None = None) -> None:
    """Run the command of a curve or strain, keep what it printed in ``printed``, and stamp the folder of its files."""
    note(f"{document['id']}: {document['title']}")
    code, lines, out = _call([*words, "--force"])
    if code:
        raise DataError(f"qdip {document['commands'][0]}: {lines[-1] if lines else f'exit code {code}'}")
    if printed is not None:
        write_text(printed, out, force=True)
    digests = {file.name: sha256(file.read_bytes()) for file in files}
    stamped = sealed_text({**document, "qdip_version": __version__, "files": digests})
    write_text(files[0].parent / SYSTEM_RECORD, stamped, force=True)


def finished_energies(stated: "Sequence[StatedEnergy]") -> dict[str, Any]:
    """The energies of every finished study that ships, and those that have the paper's number beside them.

    Groups and refusals as in ``qdip energies --json``; paths are inside ``workflows``.
    """
    from qdip_struct.analysis.energies.study import energies_of
    from qdip_struct.base.files import shipped
    from qdip_struct.runs.rundir import find_run_folders

    root = shipped("workflows")
    if not stated or not any(root.rglob("run.json")):
        return {"energies": [], "groups": [], "refused": []}
    found = json.loads(json_text(energies_of(find_run_folders([root]))).replace(f"{root}/", ""))
    energies = []
    for group in found["groups"]:
        group["folder"] = min(term["path"] for term in group["terms"].values()).split("/")[0]
        compositions = {role: term["composition"] for role, term in group["terms"].items()}
        for energy in stated:
            value = group.get(energy.key)
            if value is None:
                continue
            near = abs(value - energy.stated) <= energy.tolerance
            verdict = ("holds" if near else "differs") if energy.is_of(compositions) else "other crystals"
            entry = {key: item for key, item in vars(energy).items() if key != "elements"}
            place = {"group": group["group"], "folder": group["folder"]}
            energies.append({**entry, **place, "computed": value, "verdict": verdict})
    return {"energies": energies, "groups": found["groups"], "refused": found["refused"]}


def _number_entry(item: "Judged") -> dict[str, Any]:
    number = item.number
    said = {key: getattr(number, key) for key in ("what", "of", "where", "stated", "tolerance")}
    return {**said, "measured": item.measured, "verdict": item.verdict, "expected_verdict": number.verdict}


def _within(file: Path) -> str:
    """Place of a file of a system or curve inside the folder of the command's results."""
    return "/".join(file.parts[-3:])


def _call(words: list[str]) -> tuple[int, list[str], str]:
    """Run a command in this process: its exit code, what it said on stderr, line by line, and on stdout."""
    from qdip_struct.cli.main import EXIT_INTERRUPTED, main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    return code, err.getvalue().splitlines(), out.getvalue()
