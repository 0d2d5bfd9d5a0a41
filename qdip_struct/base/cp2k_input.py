"""CP2K's input language as a tree, a document format as YAML is: read, change by path, write back.

It knows the syntax, not the keywords.

Sections (``&NAME parameter`` ... ``&END``) hold keywords, comments and other sections in file order; keywords and
sections may repeat; preprocessor lines (``@SET``, ``@INCLUDE``, ...) are kept as they stand, and writing and
reading again gives an equal tree; :func:`expand_input` gives what CP2K's preprocessor makes of them, for reading alone.
Names are compared without case. A path names a place: ``FORCE_EVAL/DFT/MGRID/CUTOFF``;
``FORCE_EVAL/SUBSYS/KIND[Pb]/BASIS_SET`` picks the section with that parameter.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import read_text

MOST_CHARACTERS = 32 * 2**20
"""Of an input with what it includes: a quarter of a million atoms with their velocities."""
MOST_LINES = 1_000_000
MOST_LEVELS = 50
"""Of nested sections; the deepest of CP2K is the tenth."""
MOST_FILES = 1000
_LONGEST_VALUE = 1024
"""CP2K cuts lines off there."""
_LARGEST_INTEGER = 2**31 - 1
_SHOWN = 60
_DIRECTIVES = ("INCLUDE", "XCTYPE", "SET", "IF", "ENDIF", "PRINT")
_DIRECTIVE = re.compile(r"(\S*)\s*(.*)", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NAMED = re.compile(r"(&?[A-Za-z_][\w+\-]*)\s*[,:;=]\s*(.*)", re.ASCII)
_CONTINUED = re.compile(r"([^!#\\]*)\\\s*([!#].*)?$")
_WORDS = re.compile(r'"([^"]*)"|([^\s,:;=]+)')
_REAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?", re.ASCII)
_APPLIED = re.compile(r"([-+]?)(COS|EXP|LOG|LOG10|SIN|SQRT|TAN)\(([^()]*)\)", re.ASCII)
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "COS": lambda angle: math.cos(math.radians(angle)),
    "EXP": math.exp,
    "LOG": math.log,
    "LOG10": math.log10,
    "SIN": lambda angle: math.sin(math.radians(angle)),
    "SQRT": math.sqrt,
    "TAN": lambda angle: math.tan(math.radians(angle)),
}
_TRUE = {"1", "T", ".T.", "TRUE", ".TRUE.", "Y", "YES", "ON"}
_FALSE = {"0", "F", ".F.", "FALSE", ".FALSE.", "N", "NO", "OFF"}
_STEP = re.compile(r"^(?P<name>[A-Za-z_][\w+\-]*)(?:\[(?P<parameter>[^\]]+)\])?$")


@dataclass(slots=True)
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


@dataclass(slots=True)
class Verbatim:
    """A comment, a blank line or a preprocessor line, kept as it stands.

    Attributes
    ----------
    line
        Where it was read, from 1.
    """

    text: str
    line: int | None = field(default=None, compare=False)


@dataclass(slots=True)
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
    """Read CP2K input text into a tree that keeps preprocessor lines as they stand, to be edited and written back.

    Parameters
    ----------
    text
        The whole input; a backslash at the end of a line continues it.
    source
        The name that errors show.

    Raises
    ------
    DataError
        If a section is not closed, closed by another name or nested without end, or a keyword stands outside every
        section.
    """
    return _tree(_lines(text, source), source=source)


def _lines(text: str, source: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; :class:`DataError` for more text than an input has."""
    _refuse_size(len(text), source)
    if text.count("\n") > MOST_LINES:
        raise DataError(f"{source} has more than {MOST_LINES} lines: no input for CP2K, or not for here")
    return enumerate(text.removesuffix("\n").split("\n") if text else (), start=1)


def _tree(lines: Iterable[tuple[int, str]], *, source: str) -> Section:
    """The tree of numbered lines."""
    root = Section("")
    stack = [root]
    waiting = ""
    start = 0
    for number, raw in lines:
        start = start if waiting else number
        line = raw.strip()
        if not line or line.startswith(("!", "#", "@")):
            # Comments may stand between the pieces of a line; CP2K leaves them out.
            if not waiting or line.startswith("@"):
                stack[-1].entries.append(Verbatim(line, number))
            continue
        if "\\" in line and (piece := _CONTINUED.match(line)) is not None:
            waiting += piece.group(1).rstrip() + " "
            continue
        body, comment = _split_comment(waiting + line)
        waiting = ""
        name, value = _named(body)
        if not name.startswith("&"):
            if len(stack) == 1:
                raise DataError(f"{source}, line {start}: '{name[:_SHOWN]}' stands outside every section")
            stack[-1].entries.append(Keyword(name, value, comment, start))
        elif name.upper() == "&END":
            _close(stack, value, source=source, line=start)
        elif len(stack) > MOST_LEVELS:
            raise DataError(f"{source}, line {start}: sections are nested more than {MOST_LEVELS} deep")
        else:
            section = Section(name[1:], value, [], comment, start)
            stack[-1].entries.append(section)
            stack.append(section)
    if waiting:
        raise DataError(f"{source}: line {start} goes on with a backslash, and nothing follows")
    if len(stack) > 1:
        raise DataError(f"{source}: section &{stack[-1].name} of line {stack[-1].line} is never closed with &END")
    return root


def _named(body: str) -> tuple[str, str]:
    """Name and value of a line, parted by blanks and at most one of CP2K's separators, as in ``KEY = value``."""
    match = _NAMED.match(body)
    if match is not None:
        return match.group(1), match.group(2)
    name, *rest = body.split(None, 1)
    return name, rest[0] if rest else ""


def _split_comment(line: str) -> tuple[str, str]:
    if "!" not in line and "#" not in line:
        return line, ""
    quoted = False
    for index, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character in "!#" and not quoted:
            return line[:index].rstrip(), line[index:]
    # A quotation mark without a partner quotes nothing.
    return next(((line[:i].rstrip(), line[i:]) for i, c in enumerate(line) if quoted and c in "!#"), (line, ""))


def _close(stack: list[Section], value: str, *, source: str, line: int) -> None:
    if len(stack) == 1:
        raise DataError(f"{source}, line {line}: &END without an open section")
    words = [word for word in value.split()[:2] if word.upper() != "SECTION"]
    if words and words[0].upper() != stack[-1].name.upper():
        what = f"&END {words[0][:_SHOWN]} closes &{stack[-1].name[:_SHOWN]}"
        raise DataError(f"{source}, line {line}: {what} of line {stack[-1].line}")
    stack.pop()


@dataclass(frozen=True)
class Expanded:
    """An input as CP2K reads it: variables put in, conditions decided, included files read.

    Attributes
    ----------
    tree
        Without preprocessor lines and blank ones; an entry of an included file has the line of its ``@INCLUDE``. For
        reading: written back it would not be the file any more.
    unread
        Files that ``@INCLUDE`` and ``@XCTYPE`` name and that are not read here: they lie outside the folder.
    dropped
        Lines, with their numbers, that CP2K leaves out without a word: there is an ``@`` in them, be it in a comment.
    """

    tree: Section
    unread: tuple[str, ...] = ()
    dropped: tuple[tuple[int, str], ...] = ()


def expand_input(
    text: str, *, source: str = "input", folder: Path | None = None, libraries: Sequence[Path] = ()
) -> Expanded:
    """Read an input as CP2K does, after its preprocessor: ``@SET``, ``${NAME}``, ``@IF``, ``@INCLUDE``, ``@XCTYPE``.

    Parameters
    ----------
    text, source
        See :func:`parse_input`.
    folder
        Where the run starts: included files are looked for there and below it; ``None`` reads none.
    libraries
        Folders of CP2K's own files, where it looks for what is not in ``folder``.

    Raises
    ------
    DataError
        For what CP2K refuses (an unknown variable, a condition without ``@ENDIF``, a file that is missing or includes
        itself), and for an input that grows beyond all bounds.
    """
    state = _Preprocessor(source, folder, tuple(libraries))
    tree = _tree(state.expanded(text, name=source), source=source)
    return Expanded(tree, tuple(dict.fromkeys(state.unread)), tuple(state.dropped))


def _refuse_size(size: int, source: str) -> None:
    if size > MOST_CHARACTERS:
        raise DataError(f"{source} is longer than {MOST_CHARACTERS // 2**20} MiB: no input for CP2K, or not for here")


class _Preprocessor:
    """What CP2K's preprocessor remembers on its way through the files (``cp_parser_inpp_methods.F``)."""

    def __init__(self, source: str, folder: Path | None, libraries: tuple[Path, ...]) -> None:
        self.source = source
        self.folder = folder
        self.libraries = libraries
        self.variables: dict[str, str] = {}
        self.unread: list[str] = []
        self.dropped: list[tuple[int, str]] = []
        self.characters = 0
        self.files = 0

    def expanded(self, text: str, *, name: str, line: int | None = None, open_files: tuple[Path, ...] = ()) -> (
        Iterator[tuple[int, str]]
    ):  # fmt: skip
        """Lines as the parser gets them, each with its number, or that of the ``@INCLUDE`` that brought it here."""
        self.characters += len(text)
        _refuse_size(self.characters, self.source)
        lines = _lines(text, name)
        for number, raw in lines:
            shown = number if line is None else line
            stripped = raw.strip()
            if not stripped:
                continue
            if stripped[0] in "!#" or ("$" not in stripped and "@" not in stripped):
                yield shown, stripped
                continue
            place = f"{self.source}, line {shown}" + ("" if line is None else f" ({name}, line {number})")
            if "$" in stripped:
                stripped = self._with_variables(stripped, place)
            if "@" not in stripped:
                yield shown, stripped
                continue
            before, _, after = stripped.partition("@")
            tag, value = _DIRECTIVE.match(after).groups()  # type: ignore[union-attr]
            tag = tag.upper()
            if "!" in before or "#" in before or tag not in _DIRECTIVES:
                self.dropped.append((shown, stripped))
            elif tag in ("INCLUDE", "XCTYPE"):
                yield from self._included(tag, value, place=place, line=shown, open_files=open_files)
            elif tag == "SET":
                self._set(value, place)
            elif tag == "IF" and not _holds(value, place):
                for _, skipped in lines:
                    start, _, end = skipped.partition("@")
                    if end.upper().startswith("ENDIF") and "!" not in start and "#" not in start:
                        break
                else:
                    raise DataError(f"{place}: @IF has no @ENDIF")

    def _set(self, value: str, place: str) -> None:
        name, *rest = value.split(None, 1)[:2] or [""]
        if not _VARIABLE.fullmatch(name) or not rest:
            raise DataError(f"{place}: @SET needs the name of a variable and its value, as in @SET CUTOFF 300")
        self.variables[name] = rest[0]

    def _with_variables(self, line: str, place: str) -> str:
        while (at := line.find("${")) >= 0:
            end = line.find("}", at)
            if end < 0:
                raise DataError(f"{place}: '${{' has no '}}'")
            name, dash, default = line[at + 2 : end].partition("-")
            line = line[:at] + self._value(name, default if dash else None, place) + line[end + 1 :]
        while (at := line.find("$")) >= 0:
            end = next((i for i in range(at + 1, len(line)) if line[i] == " "), len(line))
            line = line[:at] + self._value(line[at + 1 : end], None, place) + line[end:]
        return line

    def _value(self, name: str, default: str | None, place: str) -> str:
        if not _VARIABLE.fullmatch(name):
            raise DataError(
                f"{place}: '${name[:_SHOWN]}' is no variable; CP2K takes every $ for one, also behind a comment sign"
            )
        value = self.variables.get(name, default)
        if value is None:
            raise DataError(f"{place}: the variable {name[:_SHOWN]} is not set before; add @SET {name[:_SHOWN]} VALUE")
        if len(value) > _LONGEST_VALUE:
            raise DataError(f"{place}: the value of {name[:_SHOWN]} is longer than {_LONGEST_VALUE} characters")
        return value

    def _included(self, tag: str, value: str, *, place: str, line: int, open_files: tuple[Path, ...]) -> (
        Iterator[tuple[int, str]]
    ):  # fmt: skip
        name = _file_name(value)
        if not name:
            raise DataError(f"{place}: @{tag} names no file, or its quotation marks do not match")
        name = f"{name}.sec" if tag == "XCTYPE" else name
        path = self._found(name, sections=tag == "XCTYPE", place=place)
        if path is None:
            self.unread.append(name)
            return
        if path in open_files:
            raise DataError(f"{place}: {name} includes itself; CP2K aborts on that")
        self.files += 1
        if self.files > MOST_FILES:
            raise DataError(f"{place}: more than {MOST_FILES} files are included")
        try:
            _refuse_size(path.stat().st_size, name)
        except OSError as error:
            raise DataError(f"{place}: cannot read {name}: {error.strerror or error}") from error
        yield from self.expanded(read_text(path), name=name, line=line, open_files=(*open_files, path))

    def _found(self, name: str, *, sections: bool, place: str) -> Path | None:
        """The file of that name, if it is one to read here; ``None`` for one outside the folder.

        Raises
        ------
        DataError
            If it is missing.
        """
        if self.folder is None:
            return None
        root = self.folder.resolve()
        names = [name, f"xc_section/{name}"] if sections else [name]
        try:
            for path in (root / word for word in names):
                if path.exists() and not path.resolve().is_relative_to(root):
                    return None
                if path.is_file():
                    return path.resolve()
            known = next((p for folder in self.libraries for p in (folder / n for n in names) if p.is_file()), None)
        except (OSError, ValueError) as error:
            raise DataError(f"{place}: '{name[:_SHOWN]}' is no name of a file ({error})") from error
        if known is not None or Path(name).is_absolute() or ".." in Path(name).parts or sections:
            return known
        raise DataError(f"{place}: {name} is not in {self.folder}, where the run starts; put it there")


def _holds(condition: str, place: str) -> bool:
    """Whether an ``@IF`` is true: two words are equal (``==``) or not (``/=``), or there is a word that is not 0."""
    equal, unequal = condition.count("=="), condition.count("/=")
    if not equal and not unequal:
        return condition not in ("", "0")
    if equal + unequal > 1:
        raise DataError(f"{place}: @IF compares more than once; CP2K takes one == or one /=")
    left, right = condition.split("==" if equal else "/=")
    left, right = left.partition("(")[2] if "(" in left else left, right.partition(")")[0]
    if not right.strip():
        raise DataError(f"{place}: @IF compares with nothing; CP2K aborts on that")
    return (left.strip() == right.strip()) == bool(equal)


def _file_name(text: str) -> str:
    """The file that a preprocessor line names, quoted or not; empty where the quotation marks do not match."""
    for mark in "\"'":
        if text.count(mark) >= 2:
            return text.split(mark)[1].strip()
    return "" if '"' in text or "'" in text else text


def words_of(value: str) -> list[str]:
    """Words of a value as CP2K parts them: at blanks and at ``, : ; =``, what stands in ``"`` as one."""
    return [quoted or plain for quoted, plain in _WORDS.findall(value)]


def text_of(value: str) -> str:
    """A value that is one text to the end of its line (a file name, a title), without its quotation marks."""
    text = value.strip()
    return text[1:].partition('"')[0] if text.startswith('"') else text


def number_of(word: str) -> float:
    """A real number as CP2K reads it: ``10/2``, ``2*0.25``, ``1.5D-3``; from 2024.1 on ``-SQRT(3)/2`` too.

    Raises
    ------
    DataError
        If it is none, not finite, or divides by zero.
    """
    value = 1.0
    for sign, factor in re.findall(r"([*/]|^)([^*/]*)", word):
        applied = _APPLIED.fullmatch(factor)
        plain = applied.group(3) if applied else factor
        if not _REAL.fullmatch(plain):
            raise DataError(f"'{word[:_SHOWN]}' is no finite number")
        number = float(plain.upper().replace("D", "E"))
        if applied:
            number = _apply(applied.group(2), number, word=word) * (-1.0 if applied.group(1) == "-" else 1.0)
        if sign == "/" and number == 0.0:
            raise DataError(f"'{word[:_SHOWN]}' divides by zero")
        value = value / number if sign == "/" else value * number
    if not math.isfinite(value):
        raise DataError(f"'{word[:_SHOWN]}' is no finite number")
    return value


def _apply(function: str, argument: float, *, word: str) -> float:
    """A function of CP2K's at a number; angles are in degree."""
    try:
        return _FUNCTIONS[function](argument)
    except (ValueError, OverflowError) as error:
        raise DataError(f"'{word[:_SHOWN]}' is no number: {error}") from error


def integer_of(word: str) -> int:
    """A whole number as CP2K reads it, products as ``2*3`` too; :class:`DataError` for another word."""
    if not re.fullmatch(r"[-+]?\d{1,18}(\*[-+]?\d{1,18})*", word):
        raise DataError(f"'{word[:_SHOWN]}' is no whole number")
    value = math.prod(int(factor) for factor in word.split("*"))
    if abs(value) > _LARGEST_INTEGER:
        raise DataError(f"'{word[:_SHOWN]}' is larger than the whole numbers that CP2K takes")
    return value


def logical_of(value: str) -> bool:
    """A logical as CP2K reads it; a keyword or section alone is true. :class:`DataError` for another word."""
    word = (words_of(value) or ["T"])[0].upper()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise DataError(f"'{word[:_SHOWN]}' is neither true nor false; write T or F")


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
