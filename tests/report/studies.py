"""Folders that pages are made of."""

import shutil
from pathlib import Path

from qdip_struct.base.files import shipped

TRIO = Path(__file__).parents[1] / "data" / "cp2k_runs" / "trio"


def copy_trio_and_strain(study: Path) -> None:
    """A film, a substrate and their interface that CP2K ran, and the strain of the relaxed dot that ships."""
    shutil.copytree(TRIO, study / "trio")
    for name in ("strain_own.json", "relaxed_own.extxyz"):
        shutil.copy(shipped("workflows", "embedded_dot", "reference") / name, study / name)
