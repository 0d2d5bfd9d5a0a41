"""What differs between CP2K versions in the inputs written here."""

import re
from typing import Literal

from qdip_struct.base.errors import UsageError
from qdip_struct.cp2k.inputs.decisions import Decision
from qdip_struct.cp2k.inputs.inputfile import Section, set_value

STOPS_ON_SCF_FAILURE = (2024, 1)
"""From this version CP2K aborts when an SCF does not converge, unless IGNORE_CONVERGENCE_FAILURE is set; versions
before go on with the unconverged density and do not know that keyword (2023.1 aborts on it)."""


def parse_version(text: str) -> tuple[int, int]:
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


def fill_scf_failure(tree: Section, wanted: Literal["default", "continue"], *, version: str | None) -> list[Decision]:
    """Say what happens when an SCF does not converge: CP2K's default of that version, or going on."""
    if wanted == "default":
        return []
    topic = "unconverged SCF"
    if version is None or parse_version(version) < STOPS_ON_SCF_FAILURE:
        return [Decision(topic, "go on", f"CP2K {version or 'before 2024.1'} goes on by itself")]
    set_value(tree, "FORCE_EVAL/DFT/SCF/IGNORE_CONVERGENCE_FAILURE", "T")
    return [Decision(topic, "go on", f"asked for; CP2K {version} would stop")]
