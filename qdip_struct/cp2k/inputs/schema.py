"""What CP2K's input may hold, for one version: sections, keywords, allowed words. Made from ``cp2k --xml``.

The 28 MB that CP2K 2023.1 writes are boiled down once to a small JSON file in the user's cache folder
(``$XDG_CACHE_HOME/qdip``), one file per version.
"""

import contextlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from qdip_struct.base.errors import DataError, ToolError
from qdip_struct.base.files import sha256, write_text
from qdip_struct.cp2k.program import Program

_FORMAT = 1


@dataclass(frozen=True)
class Schema:
    """The input language of one CP2K version.

    Attributes
    ----------
    version
        For example ``2023.1``.
    tree
        Nests per section: ``k`` maps every keyword name (aliases too) to its data type and allowed words, ``s``
        maps section names to sections, ``p`` says what the section parameter is (``None``: there is none).
    """

    version: str
    tree: dict[str, Any]

    def section(self, path: tuple[str, ...]) -> dict[str, Any] | None:
        """The section at ``path`` (upper-case names), or ``None`` if this version has none."""
        node: dict[str, Any] | None = self.tree
        for name in path:
            node = node["s"].get(name) if node is not None else None
        return node


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/qdip`` or ``~/.cache/qdip``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "qdip"


def load_schema(program: Program) -> Schema:
    """Load the schema of an installed CP2K: from the cache, else by asking the program (about 2 s, once).

    Raises
    ------
    ToolError
        If ``cp2k --xml`` fails.
    """
    stamp = program.path.resolve().stat().st_mtime_ns
    key = sha256(f"{program.path.resolve()}:{stamp}")[:12]
    return _load(program, cache_folder() / f"schema-{program.version}-{key}.json")


@cache
def _load(program: Program, path: Path) -> Schema:
    try:
        stored = json.loads(path.read_text())
        if stored["format"] == _FORMAT:
            return Schema(program.version, stored["tree"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    tree = _ask(program)
    with contextlib.suppress(DataError):
        write_text(path, json.dumps({"format": _FORMAT, "tree": tree}, sort_keys=True), force=True)
    return Schema(program.version, tree)


def _ask(program: Program) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run([str(program.path), "--xml"], cwd=folder, capture_output=True, timeout=300, check=True)
            text = Path(folder, "cp2k_input.xml").read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise ToolError(f"{program.path} --xml did not write its input description: {error}") from error
    try:
        return _condense(ElementTree.fromstring(text))
    except ElementTree.ParseError as error:
        raise ToolError(f"{program.path} --xml wrote no readable XML: {error}") from error


def _condense(element: ElementTree.Element) -> dict[str, Any]:
    node: dict[str, Any] = {"k": {}, "s": {}, "p": None}
    for child in element:
        if child.tag == "SECTION":
            node["s"][(child.findtext("NAME") or "").strip().upper()] = _condense(child)
        elif child.tag in ("KEYWORD", "DEFAULT_KEYWORD"):
            names = [(name.text or "").strip().upper() for name in child.findall("NAME")]
            for name in names:
                node["k"]["*" if child.tag == "DEFAULT_KEYWORD" else name] = _value(child)
        elif child.tag == "SECTION_PARAMETERS":
            node["p"] = _value(child)
    return node


def _value(element: ElementTree.Element) -> dict[str, Any]:
    kind = element.find("DATA_TYPE")
    if kind is None:
        return {"t": "string"}
    value: dict[str, Any] = {"t": kind.get("kind", "string"), "n": int(kind.findtext("N_VAR") or 1)}
    words = kind.find("ENUMERATION")
    if words is not None and words.get("strict", "yes") == "yes":
        value["w"] = sorted({(item.findtext("NAME") or "").strip().upper() for item in words.findall("ITEM")})
    if element.get("repeats") == "yes":
        value["r"] = True
    return value
