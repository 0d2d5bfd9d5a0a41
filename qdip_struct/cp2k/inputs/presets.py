"""Presets and templates: the shipped ones and a user's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qdip_struct.base.documents import yaml_document
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import read_text
from qdip_struct.base.resources import shipped
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
