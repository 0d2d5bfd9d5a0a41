"""Presets, functionals and templates: the shipped ones and a user's own."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from qdip_struct.base.cp2k_input import expand_input, format_input
from qdip_struct.base.documents import yaml_document
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import read_text, shipped
from qdip_struct.cp2k.program import find_data_directory
from qdip_struct.cp2k.tasks import get_task


@dataclass(frozen=True)
class Preset:
    """A named set of settings with what it costs in accuracy.

    Attributes
    ----------
    name, about, cost
        As on the command line; what it is for; what it gives away.
    values
        As in ``presets.yaml``.
    """

    name: str
    about: str
    cost: str
    values: dict[str, Any]


def list_presets() -> tuple[Preset, ...]:
    """All presets of ``cp2k_templates/presets.yaml``, in file order."""
    content = yaml_document(shipped("cp2k_templates", "presets.yaml"))
    return tuple(Preset(name, item["about"], item["cost"], item) for name, item in content.items())


def get_preset(name: str) -> Preset:
    """The preset of that name; :class:`UsageError` lists what there is."""
    presets = {preset.name: preset for preset in list_presets()}
    if name not in presets:
        raise UsageError(f"unknown preset '{name}'; known: {', '.join(presets)}")
    return presets[name]


@dataclass(frozen=True)
class Functional:
    """An exchange-correlation functional.

    Attributes
    ----------
    name, about
        As presets name it; where it is from.
    d3bj
        Under which name CP2K knows its D3(BJ) parameters.
    dft
        CP2K input below ``FORCE_EVAL/DFT``.
    """

    name: str
    about: str
    d3bj: str
    dft: str


@cache
def list_functionals() -> tuple[Functional, ...]:
    """All functionals of ``cp2k_templates/functionals.yaml``, in file order."""
    content = yaml_document(shipped("cp2k_templates", "functionals.yaml"))
    return tuple(Functional(name, **entry) for name, entry in content.items())


def get_functional(name: str) -> Functional:
    """The functional of that name; :class:`UsageError` lists what there is."""
    functionals = {functional.name: functional for functional in list_functionals()}
    if name not in functionals:
        raise UsageError(f"unknown functional '{name}'; known: {', '.join(functionals)}")
    return functionals[name]


def _put_in(text: str, own: Path) -> str:
    data = find_data_directory()
    expanded = expand_input(text, source=str(own), folder=own.parent, libraries=[] if data is None else [data])
    if expanded.unread:
        raise DataError(f"template {own} includes {expanded.unread[0]}, which is not in its folder; put it there")
    if expanded.dropped:
        line, words = expanded.dropped[0]
        raise DataError(f"template {own}, line {line}: CP2K leaves out a line with an @ in it: '{words[:60]}'")
    return format_input(expanded.tree)


def template_text(task: str, *, own: Path | None = None) -> str:
    """Text of the shipped template of a task, or of the user's own file.

    Variables, conditions and included files of a user's template are put in: a run folder has no files but its own.

    Raises
    ------
    UsageError
        If the task is unknown.
    DataError
        If the user's file cannot be read, or includes what is not in its folder.
    """
    if own is not None:
        if not own.is_file():
            raise DataError(f"template {own} is not a file")
        text = read_text(own)
        return text if "@" not in text and "$" not in text else _put_in(text, own)
    return read_text(shipped("cp2k_templates", f"{get_task(task).name}.inp"))
