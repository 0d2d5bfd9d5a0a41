"""Whether an input is one at all for a version of CP2K: sections, keywords, values and their units.

What is found here is what ``cp2k --check`` would refuse, with its line and a remedy, and what it would warn of
(deprecated words). The input is taken after its preprocessor, see :func:`qdip_struct.base.cp2k_input.expand_input`.
"""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from qdip_struct.base.cp2k_input import Keyword, Section, integer_of, logical_of, number_of, words_of
from qdip_struct.base.errors import DataError
from qdip_struct.cp2k.inputs.schema import Schema, SectionRule, ValueRule

_DIMENSIONS = {
    "energy": "energy hartree au_e wavenumber_e joule j kcalmol kjmol jmol ry ev kev k_e",
    "length": "length au_l bohr m pm nm angstrom",
    "temperature": "temperature k k_temp au_temp",
    "pressure": "pressure atm bar kbar pa mpa gpa au_p",
    "angle": "angle rad deg",
    "time": "time s fs ps wavenumber_t au_t",
    "mass": "mass kg amu m_e au_m",
    "potential": "potential volt au_pot",
    "force": "force n newton mn mnewton au_f",
    "electric field": "efield volt_per_m volt_per_nm volt_per_angstrom au_efield",
}
"""CP2K's names of units by what they measure."""
_KIND_OF_UNIT = {name: kind for kind, names in _DIMENSIONS.items() for name in names.split()}
_UNKNOWN_UNIT = "internal_cp2k"
_FACTOR = re.compile(r"([*/]?)([A-Za-z_]\w*)(?:\^([-+]?\d+))?")
"""A unit in a product; one may follow a power without a sign between: ``angstrom^-2kcalmol``."""
_UNIT = re.compile(f"(?:{_FACTOR.pattern})+")
_RANGE = re.compile(r"[-+]?\d+\.\.[-+]?\d+")
_KINDS = {"real": "a number", "integer": "a whole number", "logical": "T or F", "keyword": "a word", "word": "a word"}
_SHOWN = 40
_DATA = frozenset(("COORD", "VELOCITY", "FORCE", "CORE_COORD", "SHELL_COORD", "CORE_VELOCITY", "SHELL_VELOCITY"))
"""Sections of numbers, a line an atom: CP2K takes their lines as they are."""


@dataclass(frozen=True)
class Finding:
    """Something wrong with an input.

    Attributes
    ----------
    level
        An ``error`` would stop the run or spoil it; a ``warning`` may.
    line
        Of the input, from 1.
    """

    level: Literal["error", "warning"]
    line: int | None
    message: str
    remedy: str


def check_language(tree: Section, schema: Schema) -> Iterator[Finding]:
    """What CP2K's reader would refuse or warn of, in the order of the input.

    Parameters
    ----------
    tree
        The expanded input.
    schema
        The language of a version.
    """
    yield from _check_section(tree, (), schema)


def _check_section(section: Section, path: tuple[str, ...], schema: Schema) -> Iterator[Finding]:
    rule = schema.section(path)
    if rule is None:
        return
    met: Counter[str] = Counter()
    for entry in section.entries:
        if isinstance(entry, Keyword):
            yield from _check_keyword(entry, rule, path, met, schema)
        elif isinstance(entry, Section):
            yield from _check_subsection(entry, rule, path, met, schema)


def _check_subsection(
    entry: Section, rule: SectionRule, path: tuple[str, ...], met: Counter[str], schema: Schema
) -> Iterator[Finding]:
    name = entry.name.upper()
    if name not in rule.sections:
        where = f" in &{path[-1]}" if path else ""
        if path[-1:] == ("XC_FUNCTIONAL",) and not schema.of_program:
            message = f"&{entry.name} is no functional that the CP2K {schema.version} known here was built with"
            yield Finding("warning", entry.line, message, "see that your CP2K has the libxc that knows it")
            return
        message = f"CP2K {schema.version} has no section &{entry.name[:_SHOWN]}{where}"
        yield Finding("error", entry.line, message, _similar(name, rule.sections))
        return
    below = schema.section((*path, name))
    assert below is not None
    met[f"&{name}"] += 1
    if met[f"&{name}"] == 2 and not below.repeats:
        message = f"&{entry.name} stands twice{f' in &{path[-1]}' if path else ''}, and CP2K takes one"
        yield Finding("error", entry.line, message, "put what both hold into one, or leave one away")
    if below.deprecated:
        yield Finding("warning", entry.line, f"&{entry.name} is deprecated", below.deprecated)
    if below.parameter is None:
        if entry.parameter:
            message = f"&{entry.name} takes no parameter: CP2K passes over '{entry.parameter[:_SHOWN]}'"
            yield Finding("warning", entry.line, message, "leave it away, or write what it means into the section")
    else:
        yield from _check_value(entry, entry.parameter, below.parameter, label=f"&{entry.name}", schema=schema)
    if name not in _DATA:
        yield from _check_section(entry, (*path, name), schema)


def _check_keyword(
    entry: Keyword, rule: SectionRule, path: tuple[str, ...], met: Counter[str], schema: Schema
) -> Iterator[Finding]:
    name = entry.name.strip('"').upper()
    value = rule.keywords.get(name) if name != "*" else None
    if value is None:
        value = rule.keywords.get("*")
        if value is None:
            where = f" in &{path[-1]}" if path else ""
            message = f"CP2K {schema.version} has no keyword {entry.name[:_SHOWN]}{where}"
            remedy = f"{entry.name} is a section: write &{entry.name}" if name in rule.sections else ""
            if name != "DESCRIBE":
                yield Finding("error", entry.line, message, remedy or _similar(name, rule.keywords))
            return
        text, label, main = f"{entry.name} {entry.value}".strip(), f"a line of &{path[-1]}", "*"
    else:
        text, label, main = entry.value, entry.name, rule.main[name]
    met[main] += 1
    if met[main] == 2 and not value.repeats:
        message = f"{entry.name[:_SHOWN]} stands twice in &{path[-1]}, and CP2K takes one"
        yield Finding("error", entry.line, message, "keep the one that you mean")
    if value.removed:
        message = f"CP2K {schema.version} no longer has the keyword {entry.name} in &{path[-1]}"
        yield Finding("error", entry.line, message, value.removed)
        return
    if value.deprecated:
        yield Finding("warning", entry.line, f"{entry.name} is deprecated", value.deprecated)
    yield from _check_value(entry, text, value, label=label, schema=schema)


def _check_value(
    item: Keyword | Section, text: str, rule: ValueRule, *, label: str, schema: Schema
) -> Iterator[Finding]:
    """Kind, number and units of the values; the first thing that CP2K would stop at."""
    if rule.kind == "string":
        return
    words = words_of(text)
    if not words:
        if not rule.alone and rule.count > 0:
            yield Finding("error", item.line, f"{label} has no value", f"give it {_wanted(rule)}")
        return
    wrong = next(((word, said) for word in words if (said := _objection(word, rule))), None)
    if wrong is not None:
        word, said = wrong
        remedy = _similar(word, rule.words) if rule.words else f"{label} takes {_wanted(rule)}"
        yield Finding("error", item.line, f"{label} {said} in CP2K {schema.version}", remedy)
        return
    n_values = sum(_size(word, rule) for word in words)
    if rule.count > 0 and n_values != rule.count:
        more = f"{n_values} values" if n_values > 1 else "one value"
        yield Finding("error", item.line, f"{label} has {more}", f"it takes {_wanted(rule)}")


def _objection(word: str, rule: ValueRule) -> str:
    """Why CP2K cannot read a word, as what is said of the keyword; empty where it can."""
    try:
        if rule.kind == "real" and word.startswith("["):
            _check_unit(word, rule.unit)
        elif rule.kind == "real":
            number_of(word)
        elif rule.kind == "logical":
            logical_of(word)
        elif rule.kind == "integer" and _RANGE.fullmatch(word):
            first, _, last = word.partition("..")
            return f"has the range '{word[:_SHOWN]}', which ends before it starts," if int(last) < int(first) else ""
        elif rule.kind == "integer":
            integer_of(word)
        elif rule.kind == "keyword" and rule.words and word.upper() not in rule.words:
            return f"cannot be '{word[:_SHOWN]}'"
    except UnitError as error:
        return f"has {error}"
    except DataError:
        return f"is {_KINDS[rule.kind]}, not '{word[:_SHOWN]}'"
    return ""


def _size(word: str, rule: ValueRule) -> int:
    """How many values a word is: units are none, a range of a list as many as it spans."""
    if rule.kind == "real" and word.startswith("["):
        return 0
    if rule.kind == "integer" and _RANGE.fullmatch(word) and rule.count > 0:
        first, _, last = word.partition("..")
        return int(last) - int(first) + 1
    return 1


class UnitError(DataError):
    """A unit that a keyword cannot have."""


def _check_unit(word: str, unit: str) -> None:
    """Raise :class:`UnitError` for a unit that is none, or measures something else than the keyword's own."""
    if not unit:
        raise UnitError(f"the unit {word[:_SHOWN]}, and its values have none,")
    if not word.endswith("]"):
        raise UnitError(f"'{word[:_SHOWN]}', which is no unit (without blanks: [angstrom]),")
    given, own = _dimension(word[1:-1]), _dimension(unit)
    # CP2K compares what is measured, not its powers.
    if own and set(given) != set(own):
        raise UnitError(f"the unit {word[:_SHOWN]}, which does not measure what {unit} does,")


def _dimension(unit: str) -> Counter[str]:
    """Powers of what a unit measures; empty for CP2K's internal one."""
    found: Counter[str] = Counter()
    if not _UNIT.fullmatch(unit.replace(" ", "")):
        raise UnitError(f"[{unit[:_SHOWN]}], which is no unit,")
    for joined, name, power in _FACTOR.findall(unit.replace(" ", "")):
        if name.lower() == _UNKNOWN_UNIT:
            return Counter()
        kind = _KIND_OF_UNIT.get(name.lower())
        if kind is None:
            raise UnitError(f"[{unit[:_SHOWN]}], which is no unit,")
        found[kind] += (-1 if joined == "/" else 1) * int(power or 1)
    return Counter({kind: power for kind, power in found.items() if power})


def _wanted(rule: ValueRule) -> str:
    """What a keyword takes, in words."""
    kind = _KINDS.get(rule.kind, "a value")
    if rule.count == 1 or rule.kind == "logical":
        return kind
    return f"{rule.count if rule.count > 0 else 'any number of'} {kind.removeprefix('a ')}s"


def _similar(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name.upper(), list(known), n=2, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else "leave it away, or see the manual of that version"
