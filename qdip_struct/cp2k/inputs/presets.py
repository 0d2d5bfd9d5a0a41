"""Presets, functionals and templates: the shipped ones and a user's own."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from qdip_struct.base.documents import yaml_document
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import read_text, shipped
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


def template_text(task: str, *, own: Path | None = None) -> str:
    """Text of the shipped template of a task, or of the user's own file.

    Raises
    ------
    UsageError
        If the task is unknown.
    DataError
        If the user's file cannot be read.
    """
    if own is not None:
        if not own.is_file():
            raise DataError(f"template {own} is not a file")
        return read_text(own)
    return read_text(shipped("cp2k_templates", f"{get_task(task).name}.inp"))
