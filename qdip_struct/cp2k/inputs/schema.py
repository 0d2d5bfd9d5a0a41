"""What CP2K's input may hold, version by version: sections, keywords, allowed words. Made from ``cp2k --xml``.

``cp2k_templates/schemas.json`` holds the language of several releases, so that an input can be checked for a version
that is not installed; ``tests/revisions/make_schemas.py`` makes it. An installed CP2K is asked itself, for what it was
built with matters too (functionals of libxc, for instance): what it answers is kept in the user's cache folder
(``$XDG_CACHE_HOME/qdip``). Both have one form: the 30 MB of XML hold the same few hundred different sections and
keywords again and again, and each is kept once.
"""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from qdip_struct.base.errors import DataError, ToolError
from qdip_struct.base.files import sha256, shipped, write_text
from qdip_struct.cp2k.program import Program, release

_FORMAT = 2


@dataclass(frozen=True)
class ValueRule:
    """What a keyword, or the parameter of a section, may be.

    Attributes
    ----------
    kind
        ``integer``, ``real``, ``logical``, ``keyword`` (one of ``words``), ``string`` or ``word``.
    count
        How many values it takes; −1 for any number.
    words
        The words that are allowed; empty where any is.
    unit
        The unit that values have without one of their own; empty for none.
    alone
        Whether it means something without a value.
    repeats
        Whether it may stand more than once in its section.
    removed
        CP2K's notice where the keyword is known and ends the run.
    deprecated
        CP2K's notice where it still works.
    """

    kind: str = "string"
    count: int = 1
    words: tuple[str, ...] = ()
    unit: str = ""
    alone: bool = False
    repeats: bool = False
    removed: str = ""
    deprecated: str = ""


@dataclass(frozen=True, eq=False)
class SectionRule:
    """What a section may hold.

    Attributes
    ----------
    keywords
        By every name, aliases too; ``*`` is that of lines without a keyword.
    main
        The first name of each.
    sections
        Where in the schema each section below stands.
    parameter
        What may stand behind its name; ``None`` for nothing.
    repeats
        Whether it may stand more than once.
    """

    keywords: Mapping[str, ValueRule]
    main: Mapping[str, str]
    sections: Mapping[str, int]
    parameter: ValueRule | None
    repeats: bool
    deprecated: str


@dataclass(frozen=True, eq=False)
class Schema:
    """The input language of one CP2K version.

    Attributes
    ----------
    version
        For example ``2023.1``.
    of_program
        Whether the installed program said so itself; else its functionals may be other ones.
    root, nodes
        See :func:`condensed`.
    """

    version: str
    root: int
    nodes: tuple[Any, ...]
    of_program: bool = False

    def section(self, path: tuple[str, ...]) -> SectionRule | None:
        """The section at ``path`` (upper-case names), or ``None`` if this version has none."""
        at = self.root
        for name in path:
            below = _section_rule(self, at).sections.get(name)
            if below is None:
                return None
            at = below
        return _section_rule(self, at)


@cache
def _section_rule(schema: Schema, at: int) -> SectionRule:
    node = schema.nodes[at]
    keywords, main = {}, {}
    for names, value in node.get("keywords", {}).items():
        first, *aliases = names.split()
        for name in (first, *aliases):
            keywords[name], main[name] = _value_rule(schema, value), first
    parameter = node.get("parameter")
    return SectionRule(
        keywords, main, node.get("sections", {}), None if parameter is None else _value_rule(schema, parameter),
        node.get("repeats", False), node.get("deprecated", ""),
    )  # fmt: skip


def _value_rule(schema: Schema, at: int) -> ValueRule:
    node = schema.nodes[at]
    return ValueRule(**{**node, "words": tuple(node.get("words", ()))})


def shipped_versions() -> tuple[str, ...]:
    """Releases whose language is shipped, oldest first."""
    return tuple(sorted(_shipped()["roots"], key=release))


def shipped_schema(version: str) -> Schema:
    """The shipped language of a release: its own, else that of the nearest older one that is known.

    Raises
    ------
    UsageError
        If the text is no version of CP2K.
    """
    known = shipped_versions()
    older = [name for name in known if release(name) <= release(version)]
    return _of_release(older[-1] if older else known[0])


@cache
def _shipped() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(shipped("cp2k_templates", "schemas.json").read_text())
    return document


@cache
def _of_release(version: str) -> Schema:
    return _of_document(_shipped(), version)


def _of_document(document: Mapping[str, Any], version: str, *, of_program: bool = False) -> Schema:
    return Schema(version, document["roots"][version], tuple(document["nodes"]), of_program)


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
            return _of_document(stored, program.version, of_program=True)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        document = condensed({program.version: _ask(program)})
    except ElementTree.ParseError as error:
        raise ToolError(f"{program.path} --xml wrote no readable XML: {error}") from error
    with contextlib.suppress(DataError):
        write_text(path, schemas_text(document), force=True)
    return _of_document(document, program.version, of_program=True)


def _ask(program: Program) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run([str(program.path), "--xml"], cwd=folder, capture_output=True, timeout=300, check=True)
            return Path(folder, "cp2k_input.xml").read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise ToolError(f"{program.path} --xml did not write its input description: {error}") from error


def condensed(descriptions: Mapping[str, bytes]) -> dict[str, Any]:
    """The languages of several versions in one document, each different section and keyword once.

    Parameters
    ----------
    descriptions
        What ``cp2k --xml`` wrote, by version.
    """
    nodes: list[Any] = []
    numbers: dict[str, int] = {}

    def number(node: dict[str, Any]) -> int:
        key = json.dumps(node, sort_keys=True)
        if key not in numbers:
            numbers[key] = len(nodes)
            nodes.append(node)
        return numbers[key]

    def value(element: ElementTree.Element) -> int:
        node: dict[str, Any] = {}
        if (kind := element.find("DATA_TYPE")) is not None:
            node = {"kind": kind.get("kind", "string"), "count": int(kind.findtext("N_VAR") or 1)}
            words = kind.find("ENUMERATION")
            if words is not None and words.get("strict", "yes") == "yes":
                node["words"] = sorted({_text(item, "NAME").upper() for item in words.findall("ITEM")})
        if unit := _text(element, "DEFAULT_UNIT"):
            node["unit"] = unit
        if element.find("LONE_KEYWORD_VALUE") is not None:
            node["alone"] = True
        return number(node | _standing(element))

    def section(element: ElementTree.Element) -> int:
        node: dict[str, Any] = {"keywords": {}, "sections": {}}
        for child in element:
            if child.tag == "SECTION":
                node["sections"][_text(child, "NAME").upper()] = section(child)
            elif child.tag == "DEFAULT_KEYWORD":
                node["keywords"]["*"] = value(child)
            elif child.tag == "KEYWORD":
                names = [(name.text or "").strip().upper() for name in child.findall("NAME")]
                node["keywords"][" ".join(names)] = value(child)
            elif child.tag == "SECTION_PARAMETERS":
                node["parameter"] = value(child)
        return number({name: held for name, held in node.items() if held != {}} | _standing(element))

    roots = {version: section(ElementTree.fromstring(text)) for version, text in descriptions.items()}
    return {"format": _FORMAT, "roots": roots, "nodes": nodes}


def _standing(element: ElementTree.Element) -> dict[str, Any]:
    """Whether it may repeat, is deprecated, or was removed."""
    found: dict[str, Any] = {"repeats": True} if element.get("repeats") == "yes" else {}
    notice = _text(element, "DEPRECATION_NOTICE")
    if element.get("removed") == "yes":
        return found | {"removed": notice or "it was removed"}
    return found | {"deprecated": notice} if notice else found


def _text(element: ElementTree.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def schemas_text(document: Mapping[str, Any]) -> str:
    """JSON of :func:`condensed`, one section or keyword a line."""
    lines = ",\n".join(json.dumps(node, sort_keys=True, separators=(",", ":")) for node in document["nodes"])
    head = json.dumps({name: document[name] for name in ("format", "roots")}, separators=(",", ":"))
    return f'{head[:-1]},"nodes":[\n{lines}\n]}}\n'
