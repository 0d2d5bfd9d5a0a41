"""A YAML file as a tree that remembers its lines, so that every complaint can say where.

Only plain data is read: mappings, lists and words. Words stay as typed (``001`` is a plane, not the number 1); what
they mean is decided by whoever reads a key. Duplicate keys, anchors, tags, and files beyond a size are refused.
"""

import difflib
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from qdip_struct.base.errors import UsageError
from qdip_struct.base.files import read_text

MOST_BYTES = 1_000_000
MOST_NODES = 200_000
DEEPEST_KEY = 20


@dataclass(frozen=True)
class Node:
    """One place of the file.

    Attributes
    ----------
    file, line, key
        Where it stands: file, line from 1, path of keys such as ``build.interface.film``.
    text
        The word, for a scalar; ``None`` for null.
    items
        The elements of a list; ``None`` for anything else.
    entries
        The entries of a mapping; ``None`` for anything else.
    """

    file: Path
    line: int
    key: str
    text: str | None = None
    items: "tuple[Node, ...] | None" = None
    entries: "dict[str, Node] | None" = field(default=None, hash=False)

    def refuse(self, message: str) -> NoReturn:
        """Raise :class:`UsageError` naming file, line and key path."""
        raise UsageError(f"{self.file}, line {self.line}: {self.key or 'the file'} {message}")

    @property
    def shown(self) -> str:
        """What stands here, in a few characters."""
        if self.entries is not None:
            return "a mapping"
        if self.items is not None:
            return f"a list of {len(self.items)}"
        return "nothing" if self.text is None else repr(self.text if len(self.text) < 40 else self.text[:37] + "...")

    def mapping(self, known: Collection[str] | None = None) -> "dict[str, Node]":
        """The entries; another thing than a mapping, or a key that is not known, is refused."""
        if self.entries is None:
            self.refuse(f"is {self.shown}; expected a mapping of keys to values")
        if known is not None:
            for name, node in self.entries.items():
                if name not in known:
                    node.refuse(f"is not a known key{did_you_mean(name, known)}; known here: {', '.join(known)}")
        return self.entries

    def sequence(self) -> "tuple[Node, ...]":
        """The items of a list; another thing is refused."""
        if self.items is None:
            self.refuse(f"is {self.shown}; expected a list")
        return self.items

    def lines(self, what: str) -> str:
        """The text of a scalar, line breaks and all; a list, a mapping or nothing is refused."""
        if self.text is None or self.items is not None or self.entries is not None:
            self.refuse(f"is {self.shown}; expected {what}")
        return self.text

    def word(self, what: str = "one word") -> str:
        """The text of a scalar of one line; a list, a mapping or nothing is refused."""
        text = self.lines(what)
        if any(ord(character) < 32 or ord(character) == 127 for character in text):
            self.refuse("holds a line break or another control character; expected one line of text")
        return text

    def number(self) -> float:
        """A finite number."""
        text = self.word("a number")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or "_" in text:
            self.refuse(f"is {self.shown}; expected a finite number")
        return value

    def whole(self) -> int:
        """A whole number."""
        text = self.word("a whole number")
        digits = text.removeprefix("-").removeprefix("+")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 16):
            self.refuse(f"is {self.shown}; expected a whole number")
        return int(text)

    def truth(self) -> bool:
        """``true`` or ``false``."""
        text = self.word("true or false")
        if text.lower() not in ("true", "false"):
            self.refuse(f"is {self.shown}; expected true or false")
        return text.lower() == "true"

    def choice(self, allowed: Sequence[str]) -> str:
        """One of the allowed words."""
        text = self.word(f"one of {', '.join(allowed)}")
        if text not in allowed:
            self.refuse(f"is '{text}'{did_you_mean(text, allowed)}; expected one of {', '.join(allowed)}")
        return text


def did_you_mean(word: str, known: Collection[str]) -> str:
    """``, did you mean '...'`` when a known word is close, else nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f", did you mean '{found[0]}'" if found else ""


def load_tree(path: Path) -> Node:
    """Read a YAML file.

    Raises
    ------
    DataError
        If the file cannot be read.
    UsageError
        If it is no valid YAML, is too large, or uses what is not allowed here; the message names the line.
    """
    import yaml

    text = read_text(path)
    if len(text) > MOST_BYTES:
        raise UsageError(f"{path} has {len(text)} characters; a campaign file has at most {MOST_BYTES}")
    try:
        _refuse_references(path, yaml.scan(text, Loader=yaml.SafeLoader))
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise UsageError(f"{path} is empty; expected a campaign: a mapping with the key 'build'")
        return _Reader(path).read(root, key="", depth=0)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}, line {line}: not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise UsageError(f"{path} is nested too deeply; a campaign has at most {DEEPEST_KEY} levels") from error


def _refuse_references(path: Path, tokens: Iterator[Any]) -> None:
    """Anchors and aliases can blow a small file up without bound; tags can ask for anything."""
    import yaml

    depth = 0
    for token in tokens:
        where = f"{path}, line {token.start_mark.line + 1}"
        if isinstance(token, (yaml.AnchorToken, yaml.AliasToken)):
            raise UsageError(f"{where}: anchors and aliases (& and *) are not read; write the values out")
        if isinstance(token, yaml.TagToken):
            raise UsageError(f"{where}: tags (!) are not read; write plain values")
        opens = (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken, yaml.BlockSequenceStartToken)
        depth += isinstance(token, (*opens, yaml.BlockMappingStartToken))
        depth -= isinstance(token, (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken))
        if depth > DEEPEST_KEY:
            raise UsageError(f"{where}: nested too deeply; a campaign has at most {DEEPEST_KEY} levels")


class _Reader:
    """Turns the nodes of the YAML library into ours and counts them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0

    def read(self, node: Any, *, key: str, depth: int) -> Node:
        import yaml

        self._count += 1
        line = node.start_mark.line + 1
        if self._count > MOST_NODES:
            raise UsageError(f"{self._path}, line {line}: more than {MOST_NODES} values; split the campaign")
        if isinstance(node, yaml.ScalarNode):
            null = node.tag == "tag:yaml.org,2002:null" and not node.style
            return Node(self._path, line, key, text=None if null else str(node.value))
        if isinstance(node, yaml.SequenceNode):
            items = [self.read(item, key=f"{key}[{i}]", depth=depth + 1) for i, item in enumerate(node.value)]
            return Node(self._path, line, key, items=tuple(items))
        entries: dict[str, Node] = {}
        for name_node, value in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                raise UsageError(f"{self._path}, line {name_node.start_mark.line + 1}: a key must be one word")
            name = str(name_node.value)
            here = f"{key}.{name}" if key else name
            child = self.read(value, key=here, depth=depth + 1)
            if name in entries:
                raise UsageError(
                    f"{self._path}, line {name_node.start_mark.line + 1}: the key {here} is given twice "
                    f"(first in line {entries[name].line}); keep one"
                )
            entries[name] = Node(
                self._path, name_node.start_mark.line + 1, here, child.text, child.items, child.entries
            )
        return Node(self._path, line, key, entries=entries)
