"""The text of a ``result.json``: the record of a run with its own SHA-256 as the last key.

A file that was edited, cut or hit by a flipped bit does not agree with its hash and is as good as none: its run is read
anew, so that no damaged number is ever handed on.
"""

import json
import re
from pathlib import Path
from typing import Any, get_args

from qdip_struct.base.document_shapes import ANYTHING, COUNT, NUMBER, TEXT, WORD, Each, Fields, Maybe, fault, one_of
from qdip_struct.base.errors import DataError
from qdip_struct.base.files import json_text, read_text, sha256
from qdip_struct.cp2k.outputs.run import SUMMARY, Status

RESULT = Fields(
    needed={
        **dict.fromkeys(SUMMARY, ANYTHING),
        "status": one_of(*get_args(Status)),
        "reason": Maybe(TEXT),
        "cp2k_version": Maybe(WORD),
        "run_type": Maybe(WORD),
        "energy_ev": Maybe(NUMBER),
        "n_atoms": Maybe(COUNT),
        "n_geo_steps": Maybe(COUNT),
        "gap_ev": Maybe(NUMBER),
        "max_force_ev_per_angstrom": Maybe(NUMBER),
        "wall_time_s": Maybe(NUMBER),
        "warnings": Each(TEXT),
    },
    known={"outputs": Each(Fields({"name": TEXT, "bytes": COUNT, "sha256": WORD}))},
)
"""Shape of a record; see :mod:`qdip_struct.base.document_shapes`."""

_SEAL = re.compile(r',\n "record_sha256": "([0-9a-f]{64})"\n}\n')
_SEAL_LENGTH = 89
"""Characters of what :data:`_SEAL` matches."""


def sealed_text(record: dict[str, Any]) -> str:
    """The JSON text of a record with ``record_sha256``, the hash of that text without it, as the last key."""
    text = json_text(record)
    return f'{text[:-3]},\n "record_sha256": "{sha256(text)}"\n}}\n'


def read_result(place: Path) -> dict[str, Any] | None:
    """The record of a run without its hash; ``None`` when there is no file or it is not as it was written."""
    record = read_sealed(place)
    return record if record is not None and fault(record, RESULT) is None else None


def read_sealed(place: Path) -> dict[str, Any] | None:
    """What :func:`sealed_text` wrote into a file, without the hash; ``None`` when it is not as it was written."""
    try:
        text = read_text(place)
    except DataError:
        return None
    seal = _SEAL.fullmatch(text, max(0, len(text) - _SEAL_LENGTH))
    if seal is None:
        return None
    whole = f"{text[: seal.start()]}\n}}\n"
    if sha256(whole) != seal.group(1):
        return None
    try:
        record = json.loads(whole)
    except (ValueError, RecursionError):
        return None
    return dict(record) if isinstance(record, dict) else None
