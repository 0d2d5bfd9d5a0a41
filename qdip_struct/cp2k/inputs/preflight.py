"""Checks of an input before it waits in a queue: everything that CP2K would abort on after the job has started.

Keywords and values are checked against the schema of the installed version; basis sets and potentials against CP2K's
data files; electrons, cell, atoms and the combination of methods by our own rules. Every finding names the line of
the input and the remedy.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qdip_struct.base.cp2k_input import Expanded, Keyword, Section, find_section, get_values, parse_input
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.cp2k.inputs.grid_noise import check_grid
from qdip_struct.cp2k.inputs.input_settings import InputKind, Subsys, check_subsys, read_subsys
from qdip_struct.cp2k.inputs.kinds import (
    BasisSet,
    Pseudopotential,
    data_file,
    families_of,
    family_of,
    files_with,
    potential_valence,
    read_basis_sets,
    read_potentials,
)
from qdip_struct.cp2k.inputs.schema import Schema
from qdip_struct.cp2k.inputs.sections import named_functional
from qdip_struct.cp2k.tasks import task_of
from qdip_struct.materials.ions import HALIDES

if TYPE_CHECKING:
    from qdip_struct.cp2k.inputs.deck import Deck

_PLACEHOLDER = re.compile(r"\$\{?\w+\}?|@\w+@|<[A-Z_]+>|\{\{.*?\}\}|__[A-Z_]+__")
_REFERENCED_FILES = (
    "EXT_RESTART/RESTART_FILE_NAME",
    "FORCE_EVAL/DFT/WFN_RESTART_FILE_NAME",
    "FORCE_EVAL/SUBSYS/TOPOLOGY/COORD_FILE_NAME",
)


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


def check_input(tree: Section | Expanded, *, schema: Schema | None, folder: Path | None = None) -> tuple[Finding, ...]:
    """All findings on an input, errors first, in line order.

    Parameters
    ----------
    tree
        The input, from :func:`qdip_struct.base.cp2k_input.expand_input`, or from ``parse_input`` of the same module
        where there are no preprocessor lines (so that findings know their lines).
    schema
        The language of the target version; ``None`` leaves out the check of keywords and values.
    folder
        Where the run will start: files the input refers to are looked for there; ``None`` leaves that out.
    """
    found: list[Finding] = []
    if isinstance(tree, Expanded):
        found += _check_preprocessor(tree)
        tree = tree.tree
    found += _check_placeholders(tree)
    if schema is not None:
        found += _check_language(tree, schema)
    try:
        subsys = read_subsys(tree, folder=folder)
    except DataError as error:
        found.append(Finding("error", None, str(error), "give cell and coordinates in &SUBSYS"))
    else:
        if subsys is not None:
            found += [Finding(*item) for item in (*check_subsys(subsys), *check_grid(tree, subsys))]
            found += _check_kinds(tree, subsys)
            found += _check_methods(tree, subsys)
    found += _check_data_files(tree, folder)
    if folder is not None:
        found += _check_files(tree, folder)
    return tuple(sorted(found, key=lambda item: (item.level != "error", item.line or 0, item.message)))


def _check_preprocessor(expanded: Expanded) -> Iterator[Finding]:
    for line, text in expanded.dropped:
        message = f"CP2K leaves out the line '{text[:60]}': there is an @ in it"
        yield Finding("error", line, message, "take the @ away, also behind a comment sign")
    for name in expanded.unread:
        message = f"{name} lies outside the folder of the input and is not read here, so what it holds is not checked"
        yield Finding("warning", None, message, "put it into the folder to have it checked")


def _check_placeholders(tree: Section) -> Iterator[Finding]:
    for _, item in tree.walk():
        text = item.value if isinstance(item, Keyword) else item.parameter
        match = _PLACEHOLDER.search(text)
        if match:
            yield Finding("error", item.line, f"{item.name} still holds the placeholder {match.group()}", "fill it in")


def _check_language(tree: Section, schema: Schema) -> Iterator[Finding]:
    for path, item in tree.walk():
        node = schema.section(path)
        if node is None:
            continue
        name = item.name.upper()
        if isinstance(item, Section):
            if name not in node["s"]:
                where = f" in &{path[-1]}" if path else ""
                message = f"CP2K {schema.version} has no section &{item.name}{where}"
                yield Finding("error", item.line, message, _similar(name, node["s"]))
            elif item.parameter:
                yield from _check_value(
                    item, item.parameter, node["s"][name]["p"], label=f"&{item.name}", schema=schema
                )
        elif name in node["k"]:
            yield from _check_value(item, item.value, node["k"][name], label=item.name, schema=schema)
        elif "*" not in node["k"]:
            message = f"CP2K {schema.version} has no keyword {item.name} in &{path[-1]}"
            remedy = _similar(name, node["k"])
            if name in node["s"]:
                remedy = f"{item.name} is a section: write &{item.name}"
            yield Finding("error", item.line, message, remedy)


def _check_value(
    item: Keyword | Section, text: str, kind: dict[str, Any] | None, *, label: str, schema: Schema
) -> Iterator[Finding]:
    if kind is None:
        yield Finding("error", item.line, f"{label} takes no parameter, but has '{text}'", "leave it away")
        return
    words = re.sub(r"\[[^\]]*\]", " ", text).split()
    if not words:
        return
    allowed = kind.get("w")
    if allowed and kind["t"] == "keyword" and kind["n"] == 1 and words[0].upper() not in allowed:
        yield Finding(
            "error", item.line, f"{label} cannot be '{words[0]}' in CP2K {schema.version}", _similar(words[0], allowed)
        )
    if kind["t"] == "logical" and not re.fullmatch(r"\.?(T|F|TRUE|FALSE|ON|OFF|YES|NO|1|0)\.?", words[0], re.I):
        yield Finding("error", item.line, f"{label} is T or F, not '{words[0]}'", "write T or F")
    if kind["t"] in ("real", "integer") and kind["n"] == 1:
        pattern = r"[-+]?\d+" if kind["t"] == "integer" else r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?(/\d+\.?\d*)?"
        if not re.fullmatch(pattern, words[0]):
            noun = "a whole number" if kind["t"] == "integer" else "a number"
            yield Finding("error", item.line, f"{label} is {noun}, not '{words[0]}'", "correct the value")


def _similar(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name.upper(), list(known), n=2, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else "leave it away, or see the manual of that version"


def _check_kinds(tree: Section, subsys: Subsys) -> Iterator[Finding]:
    basis_files = get_values(tree, "FORCE_EVAL/DFT/BASIS_SET_FILE_NAME") or ["BASIS_SET"]
    potential_file = (get_values(tree, "FORCE_EVAL/DFT/POTENTIAL_FILE_NAME") or ["POTENTIAL"])[0]
    functional = named_functional(tree)
    n_electrons: int | None = -int((get_values(tree, "FORCE_EVAL/DFT/CHARGE") or ["0"])[0])
    for name in sorted(set(subsys.kinds)):
        kind = subsys.kind(name)
        if kind is None:
            yield Finding("error", None, f"there are {name} atoms but no &KIND {name}", f"add &KIND {name}")
            n_electrons = None
            continue
        element = _element_of_kind(kind, name, subsys)
        file = kind.potential_file or potential_file
        bases = [b for path in map(data_file, basis_files) if path for b in read_basis_sets(path).get(element, ())]
        yield from _check_name(kind, kind.basis, bases, element=element, noun="basis set", files=basis_files)
        if kind.ghost:
            continue
        path = data_file(file)
        potentials = read_potentials(path).get(element, ()) if path else ()
        yield from _check_name(kind, kind.potential, potentials, element=element, noun="potential", files=[file])
        valence = potential_valence(element, kind.potential, file=file) if kind.potential else None
        yield from _check_match(kind, bases, element=element, valence=valence, functional=functional)
        if valence is None or n_electrons is None:
            n_electrons = None
        else:
            n_electrons += valence * subsys.kinds.count(name)
    if n_electrons is not None:
        yield from _check_spin(tree, n_electrons)


def _element_of_kind(kind: InputKind, name: str, subsys: Subsys) -> str:
    """Element of a kind; one that ``&KIND DEFAULT`` describes has that of its atoms."""
    return kind.element if kind.name.upper() != "DEFAULT" else subsys.elements[subsys.kinds.index(name)]


def _check_name(
    kind: InputKind,
    name: str | None,
    held: Sequence[BasisSet | Pseudopotential],
    *,
    element: str,
    noun: str,
    files: Sequence[str],
) -> Iterator[Finding]:
    """Whether the data files hold a name, in any case, as CP2K reads it; silent where none of them is installed."""
    known = [other for item in held for other in item.names]
    if name is None or not any(map(data_file, files)) or name.upper() in map(str.upper, known):
        return
    message = f"{noun} {name} of {element} is not in {', '.join(files)}"
    elsewhere = files_with(element, name)
    remedy = f"it stands in {' and '.join(elsewhere)}: name that file" if elsewhere else _offer(name, known)
    yield Finding("error", kind.line, message, remedy)


def _check_match(
    kind: InputKind, bases: Sequence[BasisSet], *, element: str, valence: int | None, functional: str | None
) -> Iterator[Finding]:
    """Basis set and potential of one valence; a potential made for the functional, or used with it."""
    made_for = [b.n_valence for b in bases if (kind.basis or "").upper() in map(str.upper, b.names)]
    if valence is not None and made_for[:1] not in ([], [None], [valence]):
        message = (
            f"{kind.basis} of {element} is made for {made_for[0]} valence electrons, {kind.potential} has {valence}"
        )
        yield Finding("warning", kind.line, message, "take a basis set and a potential of the same number (-q)")
    family, families = family_of(kind.potential or ""), families_of(functional or "")
    if family is not None and families and family not in families:
        message = f"{kind.potential} of {element} is not made for the functional {functional}"
        yield Finding("warning", kind.line, message, f"take GTH-{' or GTH-'.join(families)}")


def _offer(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.3) or known[:5]
    return f"choose one of {', '.join(close)}" if close else "choose another file or element"


def _check_spin(tree: Section, n_electrons: int) -> Iterator[Finding]:
    dft = "FORCE_EVAL/DFT"
    unrestricted = any(
        value.strip(".").upper()[:1] in ("T", "") for n in ("UKS", "LSD") for value in get_values(tree, f"{dft}/{n}")
    )
    stated = get_values(tree, f"{dft}/MULTIPLICITY")
    section = find_section(tree, dft)
    line = section.line if section else None
    if n_electrons % 2 and not unrestricted:
        message = f"{n_electrons} electrons are an odd number, but the run is spin-restricted"
        yield Finding("error", line, message, "set UKS T and MULTIPLICITY 2, or change the charge")
    if stated and stated[0].isdigit() and int(stated[0]) and (n_electrons + int(stated[0])) % 2 == 0:
        message = f"multiplicity {stated[0]} is impossible with {n_electrons} electrons"
        yield Finding("error", line, message, f"set MULTIPLICITY {2 if n_electrons % 2 else 1}")


def _check_methods(tree: Section, subsys: Subsys) -> Iterator[Finding]:
    dft = "FORCE_EVAL/DFT"
    kpoints = find_section(tree, f"{dft}/KPOINTS")
    scheme = (get_values(tree, f"{dft}/KPOINTS/SCHEME") or ["NONE"])[0].upper()
    sampled = kpoints is not None and not scheme.startswith("NONE")
    ot = find_section(tree, f"{dft}/SCF/OT")
    if sampled and ot is not None and ot.parameter.strip(".").upper() not in ("F", "FALSE", "OFF"):
        remedy = "use &DIAGONALIZATION and &MIXING with k-points"
        yield Finding("error", ot.line, "OT does not work with k-points: CP2K aborts", remedy)
    pdos = find_section(tree, f"{dft}/PRINT/PDOS")
    if sampled and pdos is not None:
        yield Finding("error", pdos.line, "PDOS is not written in a k-point run", "ask for &DOS instead")
    if sampled and (get_values(tree, f"{dft}/QS/LS_SCF") or ["F"])[0].strip(".").upper().startswith("T"):
        yield Finding("error", None, "linear scaling (LS_SCF) works at Gamma only", "leave the k-points away")
    inner, outer = (_real(tree, f"{dft}/SCF/{name}") for name in ("EPS_SCF", "OUTER_SCF/EPS_SCF"))
    if inner is not None and outer is not None and outer < inner:
        message = f"the outer SCF loop asks for {outer:g}, the inner stops at {inner:g}: it can never converge"
        yield Finding("error", None, message, "set OUTER_SCF/EPS_SCF to EPS_SCF")
    yield from _check_dipole(tree, subsys)
    yield from _check_fixed_atoms(tree, n_atoms=len(subsys.kinds))
    run_type = (get_values(tree, "GLOBAL/RUN_TYPE") or [""])[0].upper()
    task = task_of(run_type)
    if task is not None and task.needs_stress and not get_values(tree, "FORCE_EVAL/STRESS_TENSOR"):
        message = f"{run_type} needs the stress tensor"
        yield Finding("error", None, message, "set FORCE_EVAL/STRESS_TENSOR ANALYTICAL")
    method = (get_values(tree, f"{dft}/QS/METHOD") or [""])[0].upper()
    if method == "XTB" and "Pb" in subsys.elements and set(HALIDES) & set(subsys.elements):
        message = "GFN1-xTB makes halide perovskites collapse (CsPbBr3 goes to nonsense)"
        yield Finding("error", None, message, "use GPW with PBE")


def _real(tree: Section, path: str) -> float | None:
    values = get_values(tree, path)
    try:
        return float(re.sub("[dD]", "e", values[0])) if values else None
    except ValueError:
        return None


def _check_fixed_atoms(tree: Section, *, n_atoms: int) -> Iterator[Finding]:
    section = find_section(tree, "MOTION/CONSTRAINT/FIXED_ATOMS")
    for keyword in section.keywords("LIST") if section else []:
        strange = [word for word in keyword.value.split() if not re.fullmatch(r"\d+(\.\.\d+)?", word)]
        if strange:
            message = f"FIXED_ATOMS LIST holds '{strange[0]}', which is neither an atom nor a range"
            yield Finding("error", keyword.line, message, "write atoms as 1 2 3 or 1..3")
        numbers = [int(number) for number in re.findall(r"\d+", keyword.value)]
        if numbers and (max(numbers) > n_atoms or min(numbers) < 1):
            message = f"FIXED_ATOMS names atom {max(numbers)}, but there are {n_atoms}"
            yield Finding("error", keyword.line, message, "CP2K counts atoms from 1")


def _check_dipole(tree: Section, subsys: Subsys) -> Iterator[Finding]:
    dft = "FORCE_EVAL/DFT"
    on = get_values(tree, f"{dft}/SURFACE_DIPOLE_CORRECTION")
    if not on or on[0].strip(".").upper().startswith("F"):
        return
    section = find_section(tree, dft)
    line = section.keywords("SURFACE_DIPOLE_CORRECTION")[0].line if section else None
    geometry = subsys.geometry
    letter = (get_values(tree, f"{dft}/SURF_DIP_DIR") or ["Z"])[0].upper()
    if geometry.system != "slab":
        message = f"surface dipole correction in a structure that is no slab ({geometry.system})"
        yield Finding("error", line, message, "leave SURFACE_DIPOLE_CORRECTION away")
        return
    axis = geometry.vacuum_axes[0]
    if letter != "XYZ"[axis]:
        message = f"the dipole correction acts along {letter}, but the vacuum is along {'XYZ'[axis]}"
        yield Finding("error", line, message, f"set SURF_DIP_DIR {'XYZ'[axis]}")
    elif geometry.vacuum_angstrom[axis] < 19.5:
        message = f"only {geometry.vacuum_angstrom[axis]:.1f} Å of vacuum for the dipole correction"
        yield Finding("warning", line, message, "CP2K may abort ('needs more vacuum space'); use 20 Å or more")


def _check_files(tree: Section, folder: Path) -> Iterator[Finding]:
    for path in _REFERENCED_FILES:
        for name in get_values(tree, path):
            if not (folder / name.strip("\"'")).exists():
                yield Finding(
                    "error", None, f"{path} refers to {name}, which is not in the run folder", "copy it there"
                )


def _check_data_files(tree: Section, folder: Path | None) -> Iterator[Finding]:
    """Basis and potential files must be CP2K's own or lie where the run starts; silent without CP2K's data files."""
    if data_file("GTH_POTENTIALS") is None:
        return
    for keyword in ("BASIS_SET_FILE_NAME", "POTENTIAL_FILE_NAME"):
        for name in get_values(tree, f"FORCE_EVAL/DFT/{keyword}"):
            if not data_file(name) and not (folder or Path()).joinpath(name).exists():
                yield Finding("error", None, f"{keyword} {name} is not among CP2K's data files", "correct the name")


def check_formal_charge(formal: int | None, *, charge: int) -> tuple[Finding, ...]:
    """Whether the ions of a structure leave electrons in the bands, or holes, at the charge of the run.

    Parameters
    ----------
    formal
        Sum of the formal charges, e; ``None`` when the builder told of none.
    charge
        Of the run, e.
    """
    if formal is None or formal == charge:
        return ()
    message = f"the formal charges of the structure add up to {formal:+d} e, the charge of the run is {charge:d} e"
    surplus = "electrons go into the conduction band" if formal > charge else "holes go into the valence band"
    remedy = f"{surplus}; build a neutral structure (slabs: another thickness or termination, see 'findings' of the "
    return (Finding("warning", None, message, f"{remedy}sidecar), or set the charge to {formal}"),)


def checked(deck: "Deck", *, schema: Schema | None, source: str) -> tuple[Finding, ...]:
    """Pre-flight of a deck: warnings are returned, the first error is raised with its line in the input.

    Raises
    ------
    UsageError
        If the input would fail; the count of the other errors is told.
    """
    findings = check_input(parse_input(deck.text, source=source), schema=schema)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        place = f"line {errors[0].line}: " if errors[0].line is not None else ""
        raise UsageError(f"{source}: {place}{errors[0].message}; {errors[0].remedy}{more}")
    return findings
