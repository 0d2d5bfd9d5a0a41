"""Reading JSON and YAML that somebody else wrote: every fault of the text is an error of ours that names the file.

The YAML library recurses, in C for the fast loader: a few kilobytes of ``- - - -`` end the whole process, and a few
lines of anchors and aliases unfold to gigabytes. Nesting is therefore counted before anything is built, and anchors,
aliases and tags are refused.
"""

import json
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import DataError, QdipError
from qdip_struct.base.files import read_text

DEEPEST_NESTING = 40
"""Deepest nesting of lists and mappings that is read."""


class _UnwantedError(ValueError):
    """What the JSON library reads and this package does not."""


def json_document(path: Path) -> Any:
    """The JSON document in a file.

    Raises
    ------
    DataError
        If the file cannot be read, is not valid JSON (NaN and halves of surrogate pairs are not), or is nested more
        than :data:`DEEPEST_NESTING` levels deep; the message names the file and, where known, the line.
    """
    text = read_text(path)
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
        _refuse_depth(document)
        # Only an escape can bring half of a surrogate pair in, and it would fail much later, when something is written.
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode()
        return document
    except UnicodeEncodeError as error:
        raise DataError(f"{path} is not valid JSON: it holds half of a surrogate pair") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not valid JSON: line {error.lineno}: {error.msg}") from error
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error
    except RecursionError as error:
        raise DataError(f"{path} is not valid JSON: nested too deeply") from error


def _refuse_constant(name: str) -> None:
    raise _UnwantedError(f"{name} is no number of JSON; expected null")


def _refuse_depth(document: Any) -> None:
    """Go down level by level, so that no nesting can use up the stack of those who come after."""
    level = [document] if isinstance(document, (dict, list)) else []
    for _ in range(DEEPEST_NESTING):
        parts = (part for item in level for part in (item.values() if isinstance(item, dict) else item))
        level = [part for part in parts if isinstance(part, (dict, list))]
        if not level:
            return
    raise _UnwantedError(f"nested more than {DEEPEST_NESTING} levels deep")


def yaml_document(path: Path, *, mistake: type[QdipError] = DataError) -> Any:
    """The YAML document in a file: plain values, lists and mappings, at most :data:`DEEPEST_NESTING` deep.

    Parameters
    ----------
    path
        File to read.
    mistake
        Error to raise for what is wrong in the text.

    Raises
    ------
    DataError
        If the file cannot be read.
    QdipError
        The error asked for, if the text is not valid YAML, is nested too deeply, or uses anchors, aliases or tags.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = read_text(path)
    try:
        _refuse_nesting(yaml.scan(text, Loader=loader), path=path, mistake=mistake)
        return yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError) as error:
        raise mistake(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


def _refuse_nesting(tokens: Any, *, path: Path, mistake: type[QdipError]) -> None:
    """Go through the tokens without building anything, and stop at the first that would be harmful."""
    depth = 0
    for token in tokens:
        name = type(token).__name__
        line = token.start_mark.line + 1
        if name in ("AnchorToken", "AliasToken", "TagToken"):
            raise mistake(
                f"{path} is not valid YAML of plain values: line {line}: anchors, aliases and tags (& * !) are not read"
            )
        depth += name.endswith("StartToken") and name != "StreamStartToken" and name != "DocumentStartToken"
        depth -= name in ("BlockEndToken", "FlowSequenceEndToken", "FlowMappingEndToken")
        if depth > DEEPEST_NESTING:
            raise mistake(f"{path} is not valid YAML: line {line}: nested more than {DEEPEST_NESTING} levels deep")
