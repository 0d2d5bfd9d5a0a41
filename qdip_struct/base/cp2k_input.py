"""CP2K's input language as a tree, a document format as YAML is: read, change by path, write back.

It knows the syntax, not the keywords.
Sections (``&NAME parameter`` ... ``&END``) hold keywords, comments and other sections in file order; keywords and
sections may repeat; preprocessor lines (``@SET``, ``@INCLUDE``, ...) are kept as they stand. Names are compared
without case. A path names a place: ``FORCE_EVAL/DFT/MGRID/CUTOFF``; ``FORCE_EVAL/SUBSYS/KIND[Pb]/BASIS_SET`` picks
the section with that parameter. Writing and reading again gives an equal tree.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from qdip_struct.base.errors import DataError, UsageError

_STEP = re.compile(r"^(?P<name>[A-Za-z_][\w+\-]*)(?:\[(?P<parameter>[^\]]+)\])?$")


@dataclass
class Keyword:
    """``NAME value``.

    Attributes
    ----------
    line
        Where it was read, from 1; ``None`` when it was not read from a file.
    """

    name: str
    value: str = ""
    comment: str = ""
    line: int | None = field(default=None, compare=False)


@dataclass
class Verbatim:
    """A comment, a blank line or a preprocessor line, kept as it stands.

    Attributes
    ----------
    line
        Where it was read, from 1.
    """

    text: str
    line: int | None = field(default=None, compare=False)


@dataclass
class Section:
    """``&NAME parameter`` and what it holds, in order; the root of a file has no name.

    Attributes
    ----------
    line
        Where it was read, from 1.
    """

    name: str
    parameter: str = ""
    entries: "list[Keyword | Verbatim | Section]" = field(default_factory=list)
    comment: str = ""
    line: int | None = field(default=None, compare=False)

    def sections(self, name: str, *, parameter: str | None = None) -> "list[Section]":
        """All direct sub-sections of that name (and parameter)."""
        return [
            entry
            for entry in self.entries
            if isinstance(entry, Section)
            and entry.name.upper() == name.upper()
            and (parameter is None or entry.parameter.upper() == parameter.upper())
        ]

    def keywords(self, name: str) -> list[Keyword]:
        """All direct keywords of that name."""
        return [e for e in self.entries if isinstance(e, Keyword) and e.name.upper() == name.upper()]

    def walk(self) -> "Iterator[tuple[tuple[str, ...], Keyword | Section]]":
        """Every section and keyword below this one with the path of the section that holds it.

        The lines of ``&COORD`` are data, not keywords, and are left out.
        """
        for entry in self.entries:
            if isinstance(entry, Verbatim):
                continue
            yield (), entry
            if isinstance(entry, Section) and entry.name.upper() != "COORD":
                for path, item in entry.walk():
                    yield (entry.name.upper(), *path), item


def parse_input(text: str, *, source: str = "input") -> Section:
    """Read CP2K input text into a tree.

    Parameters
    ----------
    text
        The whole input; a trailing backslash continues a line.
    source
        The name that errors show.

    Raises
    ------
    DataError
        If a section is not closed, closed by another name, or a keyword stands outside every section.
    """
    root = Section("")
    stack = [root]
    waiting = ""
    start = 0
    for number, raw in enumerate(text.splitlines(), start=1):
        start = start if waiting else number
        line = waiting + raw.strip()
        waiting = ""
        if line.endswith("\\") and not line.startswith(("!", "#")):
            waiting = line[:-1].rstrip() + " "
            continue
        if not line or line.startswith(("!", "#", "@")):
            stack[-1].entries.append(Verbatim(line, start))
            continue
        body, comment = _split_comment(line)
        name, _, value = body.partition(" ") if " " in body else body.partition("\t")
        if not name.startswith("&"):
            if len(stack) == 1:
                raise DataError(f"{source}, line {start}: '{name}' stands outside every section")
            stack[-1].entries.append(Keyword(name, value.strip(), comment, start))
        elif name.upper() == "&END":
            _close(stack, value.strip(), source=source, line=start)
        else:
            section = Section(name[1:], value.strip(), [], comment, start)
            stack[-1].entries.append(section)
            stack.append(section)
    if len(stack) > 1:
        raise DataError(f"{source}: section &{stack[-1].name} of line {stack[-1].line} is never closed with &END")
    return root


def _split_comment(line: str) -> tuple[str, str]:
    if "!" not in line and "#" not in line:
        return line, ""
    quoted = ""
    for index, character in enumerate(line):
        if quoted:
            quoted = "" if character == quoted else quoted
        elif character in "\"'":
            quoted = character
        elif character in "!#":
            return line[:index].rstrip(), line[index:]
    return line, ""


def _close(stack: list[Section], name: str, *, source: str, line: int) -> None:
    if len(stack) == 1:
        raise DataError(f"{source}, line {line}: &END without an open section")
    name = name.split()[0] if name else ""
    if name and name.upper() != stack[-1].name.upper():
        raise DataError(f"{source}, line {line}: &END {name} closes &{stack[-1].name} of line {stack[-1].line}")
    stack.pop()


def format_input(root: Section) -> str:
    """Write a tree as CP2K input text, two blanks a level."""
    lines: list[str] = []
    _format(root, lines, depth=0)
    return "".join(f"{line}\n" for line in lines)


def _format(section: Section, lines: list[str], *, depth: int) -> None:
    pad = "  " * depth
    for entry in section.entries:
        if isinstance(entry, Verbatim):
            lines.append(f"{pad}{entry.text}".rstrip())
        elif isinstance(entry, Keyword):
            lines.append(" ".join(filter(None, (f"{pad}{entry.name}", entry.value, entry.comment))))
        else:
            lines.append(" ".join(filter(None, (f"{pad}&{entry.name}", entry.parameter, entry.comment))))
            _format(entry, lines, depth=depth + 1)
            lines.append(f"{pad}&END {entry.name}")


def _steps(path: str) -> list[tuple[str, str | None]]:
    steps = []
    for word in path.strip("/").split("/"):
        match = _STEP.match(word)
        if match is None:
            raise UsageError(f"'{path}' is not a CP2K path; write it like FORCE_EVAL/DFT/MGRID/CUTOFF")
        steps.append((match.group("name").upper(), match.group("parameter")))
    return steps


def find_section(root: Section, path: str, *, create: bool = False) -> Section | None:
    """The first section at ``path``; made when it is missing and ``create`` is set, else ``None``."""
    section = root
    for name, parameter in _steps(path):
        found = section.sections(name, parameter=parameter)
        if not found and not create:
            return None
        if not found:
            found = [Section(name, parameter or "")]
            section.entries.append(found[0])
        section = found[0]
    return section


def get_values(root: Section, path: str) -> list[str]:
    """Values of all keywords at ``path``, in order; an empty list when there are none."""
    places, _, name = path.rpartition("/")
    section = find_section(root, places)
    return [keyword.value for keyword in section.keywords(name)] if section else []


def set_value(root: Section, path: str, value: str, *, add: bool = False) -> None:
    """Set the keyword at ``path`` to ``value``, making sections on the way.

    All keywords of that name are replaced by one in the place of the first; with ``add`` one more is put after them.

    Raises
    ------
    UsageError
        If the path names no keyword inside a section.
    """
    places, _, name = path.strip("/").rpartition("/")
    if not places:
        raise UsageError(f"'{path}' names no keyword inside a section; write it like GLOBAL/RUN_TYPE")
    _steps(path)
    section = find_section(root, places, create=True)
    assert section is not None
    present = section.keywords(name)
    if add or not present:
        index = section.entries.index(present[-1]) + 1 if present else _before_first_section(section)
        section.entries.insert(index, Keyword(name.upper(), value))
        return
    present[0].value = value
    section.entries[:] = [e for e in section.entries if not any(e is extra for extra in present[1:])]


def _before_first_section(section: Section) -> int:
    return next((i for i, entry in enumerate(section.entries) if isinstance(entry, Section)), len(section.entries))


def parse_setting(text: str) -> tuple[str, str, bool]:
    """Split ``PATH=VALUE`` (replace) or ``PATH+=VALUE`` (add one more) into path, value, add.

    Raises
    ------
    UsageError
        If there is no path or no value, or the value holds a line break.
    """
    path, sign, value = text.partition("=")
    add = path.endswith("+")
    path = path.rstrip("+").strip()
    if not sign or not path:
        raise UsageError(f"'{text}' is not PATH=VALUE, for example FORCE_EVAL/DFT/MGRID/CUTOFF=600")
    if "\n" in value:
        raise UsageError(f"the value of '{path}' holds a line break")
    return path, value.strip(), add
