"""Composing and writing run folders: the record of ``run.json``, input and structure; links to identical runs.

A folder is complete or absent: it is built beside its final place and renamed.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.documents import ONE_LINE, Word, document_or_fault, fault
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import json_text, plain, sha256, write_text
from qdip_struct.builders.roles import ROLES
from qdip_struct.runs.cost import Cost, estimate_run
from qdip_struct.runs.rundir import INPUT, LINK, RECORD, STRUCTURE, RunFolder, RunRecord, open_run_folder

_SHOWN = 40

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.cp2k.inputs.deck import Deck


@dataclass(frozen=True)
class RunDraft:
    """A run before its folder is written.

    Attributes
    ----------
    content
        Of ``run.json``, plain values.
    input_text, structure_text
        The two files beside it; empty in a plan that is only looked at.
    warnings
        Of the pre-flight.
    path
        Where its folder goes below a campaign, ``group/name``.
    same_as
        Path of the run that this one shares, ``None`` for a run of its own.
    """

    content: Mapping[str, Any]
    input_text: str
    structure_text: str
    warnings: tuple[str, ...] = ()
    path: str = ""
    same_as: str | None = None

    @cached_property
    def record(self) -> RunRecord:
        """The content as it will be read; :class:`DataError` when nobody could."""
        record = document_or_fault(self.content, RunRecord)
        if isinstance(record, str):
            raise DataError(f"a {RECORD} that nobody could read would be written: {record}")
        return record

    @cached_property
    def identity(self) -> str:
        """Runs of one identity are the same calculation."""
        return identity_of(self.content)

    @cached_property
    def cost(self) -> Cost:
        """Estimate."""
        return estimate_run(self.record)

    def calculated_at(self, path: str) -> "RunDraft":
        """The same run, which is the one at ``path``: this one itself, or another one that it shares."""
        same_as = None if path == self.path else path
        return self if same_as == self.same_as else replace(self, same_as=same_as)


def identity_of(content: Mapping[str, Any]) -> str:
    """Which calculation a run is: the hash of its input, or of what a shift of all atoms leaves as it is, and of the
    settings of a pre-relaxation.
    """
    base, relax = content.get("shifted_sha256") or content["input_sha256"], content.get("relax")
    return str(base) if not relax else sha256(f"{base} {json.dumps(relax)}")


def draft_run(
    atoms: "Atoms",
    *,
    deck: "Deck",
    role: str,
    group: str,
    provenance: dict[str, Any],
    structure_report: dict[str, Any] | None = None,
) -> RunDraft:
    """Compose a run folder without writing it.

    Parameters
    ----------
    atoms, deck
        Structure and finished input.
    role, group
        See :data:`qdip_struct.builders.roles.ROLES`; runs of one group belong together.
    provenance
        From :func:`qdip_struct.base.files.provenance`.
    structure_report
        What the builder said about the structure.

    Raises
    ------
    UsageError
        If the role is unknown, or the group is not one line of text.
    """
    from qdip_struct.builders.atoms.store import structure_text

    if role not in ROLES:
        raise UsageError(f"unknown role '{role}'; known: {', '.join(ROLES)}")
    refuse_name(group, what="group")
    text = structure_text(atoms, format="extxyz")
    content = {
        "role": role,
        "group": group,
        "structure_sha256": sha256(text),
        "input_sha256": sha256(deck.text),
        "n_atoms": len(atoms),
        "composition": _composition(atoms),
        "cell_angstrom": atoms.cell[:],
        "n_electrons": deck.n_electrons,
        "settings": deck.settings,
        "pdos_regions": deck.pdos_regions,
        "decisions": [vars(decision) for decision in deck.decisions],
        "structure": structure_report or {},
        **provenance,
    }
    return RunDraft(plain(content), deck.text, text)


def refuse_name(name: str, *, what: str) -> None:
    """Raise :class:`UsageError` when a name is too long, or holds line ends or other characters that do not print."""
    if fault(name, Word) is not None:
        shown = ascii(name if len(name) < _SHOWN else f"{name[:_SHOWN]}...")
        raise UsageError(f"the {what} {shown} is no name: expected {ONE_LINE}, all of which print")


def write_run_folder(path: Path, draft: RunDraft, *, force: bool = False) -> RunFolder:
    """Write a run folder in one step.

    Parameters
    ----------
    path
        The folder to make. With ``force`` an existing one is replaced as a whole, outputs and all.
    draft
        Its content.

    Raises
    ------
    UsageError
        If the folder exists and ``force`` is not set.
    DataError
        If the folder cannot be written.
    """
    _ = draft.record  # nobody could open what is refused here
    files = {STRUCTURE: draft.structure_text, INPUT: draft.input_text, RECORD: json_text(draft.content)}
    _write_folder(path, files, force=force)
    return open_run_folder(path)


def write_link(path: Path, *, target: Path, content: Mapping[str, Any], force: bool = False) -> RunFolder:
    """Write the folder of a run that is identical to the run in ``target``; raises as :func:`write_run_folder`."""
    relative = os.path.relpath(target, path)
    _write_folder(path, {LINK: json_text({"same_as": Path(relative).as_posix(), **content})}, force=force)
    return open_run_folder(path)


def _write_folder(path: Path, files: dict[str, str], *, force: bool) -> None:
    if path.exists() and not force:
        raise UsageError(f"{path} exists; give another name or --force to replace it with its outputs")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
            folder = Path(temporary) / path.name
            folder.mkdir()
            for name, text in files.items():
                write_text(folder / name, text)
            if path.exists():
                shutil.rmtree(path)
            folder.rename(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error


def _composition(atoms: "Atoms") -> dict[str, int]:
    """Atoms per element; ghosts are no atoms."""
    symbols = atoms.get_chemical_symbols()
    if "ghost" in atoms.arrays:
        symbols = [symbol for symbol, ghost in zip(symbols, atoms.arrays["ghost"], strict=True) if not ghost]
    return {symbol: symbols.count(symbol) for symbol in sorted(set(symbols))}
