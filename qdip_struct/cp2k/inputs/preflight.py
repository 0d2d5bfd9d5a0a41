"""Checks of an input before it waits in a queue: everything that CP2K would abort on after the job has started.

Keywords and values are held against the language of the version (:mod:`qdip_struct.cp2k.inputs.language`), methods
against each other (:mod:`qdip_struct.cp2k.inputs.methods`); here are basis sets, potentials, electrons and files.
Every finding names the line of the input and the remedy. An error is what CP2K would stop at or what spoils the
energy; what may be meant is a warning; what cannot be judged is said.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qdip_struct.base.cp2k_input import (
    Expanded,
    Keyword,
    Section,
    find_section,
    get_values,
    parse_input,
    text_of,
    words_of,
)
from qdip_struct.base.errors import DataError, UnreadError, UsageError
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
from qdip_struct.cp2k.inputs.language import Finding, check_language
from qdip_struct.cp2k.inputs.methods import check_methods, check_spin
from qdip_struct.cp2k.inputs.schema import Schema
from qdip_struct.cp2k.inputs.sections import named_functional
from qdip_struct.materials.cp2k_structure import force_eval

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.cp2k.inputs.deck import Deck

_PLACEHOLDER = re.compile(r"\$\{?\w+\}?|@\w+@|<[A-Z_]+>|\{\{.*?\}\}|__(?!STD_OUT__)[A-Z_]+__")
_GAUSSIAN = ("GPW", "GAPW", "GAPW_XC", "LRIGPW", "RIGPW", "OFGPW")
"""Methods of Quickstep whose kinds have basis sets and potentials."""


def check_input(
    tree: Section | Expanded, *, schema: Schema | None, folder: Path | None = None, own_data: bool = True
) -> tuple[Finding, ...]:
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
    own_data
        Whether the data files at hand are of that version: what files of another lack is a warning.
    """
    found: list[Finding] = []
    whole = True
    if isinstance(tree, Expanded):
        found += _check_preprocessor(tree)
        whole = not tree.unread
        tree = tree.tree
    found += _check_placeholders(tree)
    if schema is not None:
        found += check_language(tree, schema)
    version = None if schema is None else schema.version
    if whole and all(entry.name.upper() == "GLOBAL" for entry in tree.entries if isinstance(entry, Section)):
        message = "there is nothing to calculate: CP2K aborts"
        found.append(Finding("error", None, message, "add &FORCE_EVAL with method, cell and atoms"))
    for name, one in _force_evals(tree):
        for finding in _check_force_eval(one, folder=folder, version=version, own_data=own_data):
            # What seems to be missing may stand in a file that was not read.
            level = finding.level if whole else "warning"
            found.append(
                replace(finding, level=level, message=f"{name}: {finding.message}" if name else finding.message)
            )
    if folder is not None:
        found += _check_files(tree, folder)
    return tuple(sorted(dict.fromkeys(found), key=lambda item: (item.level != "error", item.line or 0, item.message)))


def not_examined(tree: Section | Expanded, *, folder: Path | None = None) -> tuple[str, ...]:
    """What of an input is not judged here, in words; ``folder`` is where the run will start."""
    found: list[str] = []
    if isinstance(tree, Expanded):
        found += [f"{name}, which lies outside the folder of the input" for name in tree.unread]
        tree = tree.tree
    for name, one in _force_evals(tree):
        where = f"{name}: " if name else ""
        method, quickstep = _methods(one)
        if method != "QUICKSTEP":
            found.append(f"{where}what METHOD {method} needs (force fields, grids, atoms)")
        elif quickstep not in _GAUSSIAN:
            found.append(f"{where}the parameters of {quickstep}")
        try:
            if method == "QUICKSTEP" and read_subsys(one, folder=folder) is None:
                found.append(f"{where}the atoms, whose file is not at hand")
        except UnreadError as error:
            found.append(f"{where}the atoms: {error}")
        except DataError:
            continue
    return tuple(found)


def _force_evals(tree: Section) -> list[tuple[str, Section]]:
    """The input with one ``&FORCE_EVAL`` at a time, and its name where there are several."""
    places = tree.sections("FORCE_EVAL")
    if len(places) < 2:
        return [("", tree)] if places else []
    try:
        shared = force_eval(tree).sections("SUBSYS")
    except DataError:
        shared = []
    rest = [entry for entry in tree.entries if entry not in places]
    found = []
    for number, place in enumerate(places, start=1):
        own = place if place.sections("SUBSYS") else replace(place, entries=[*place.entries, *shared])
        found.append((f"FORCE_EVAL {number}", Section("", "", [*rest, own])))
    return found


def _methods(tree: Section) -> tuple[str, str]:
    """METHOD of a ``&FORCE_EVAL``, and that of Quickstep."""

    def word(path: str, default: str) -> str:
        words = [word for value in get_values(tree, path)[:1] for word in words_of(value)]
        return words[0].upper() if words else default

    method = word("FORCE_EVAL/METHOD", "QUICKSTEP")
    return "QUICKSTEP" if method == "QS" else method, word("FORCE_EVAL/DFT/QS/METHOD", "GPW")


def _check_force_eval(tree: Section, *, folder: Path | None, version: str | None, own_data: bool) -> Iterator[Finding]:
    """One ``&FORCE_EVAL``: its atoms, kinds and methods, as far as it is Quickstep's."""
    method, quickstep = _methods(tree)
    if method != "QUICKSTEP":
        return
    subsys = None
    try:
        subsys = read_subsys(tree, folder=folder)
    except UnreadError:
        subsys = None
    except DataError as error:
        yield Finding("error", None, str(error), "give cell and coordinates in &SUBSYS")
    if subsys is not None:
        if [word.upper() for word in get_values(tree, "GLOBAL/RUN_TYPE")][:1] != ["NONE"]:
            of_subsys = [Finding(*item) for item in check_subsys(subsys)]
            # Empirical methods say something about any arrangement.
            yield from of_subsys if quickstep in _GAUSSIAN else [replace(one, level="warning") for one in of_subsys]
        yield from (Finding(*item) for item in check_grid(tree, subsys))
        if quickstep in _GAUSSIAN:
            yield from _check_kinds(tree, subsys, folder=folder, own_data=own_data)
    yield from check_methods(tree, subsys, folder=folder, version=version)
    if quickstep in _GAUSSIAN:
        yield from _check_data_files(tree, folder, own_data=own_data)


def _check_preprocessor(expanded: Expanded) -> Iterator[Finding]:
    for line, text in expanded.dropped:
        message = f"CP2K leaves out the line '{text[:60]}': there is an @ in it"
        yield Finding("warning", line, message, "take the @ away, also behind a comment sign")


def _check_placeholders(tree: Section) -> Iterator[Finding]:
    for _, item in tree.walk():
        text = item.value if isinstance(item, Keyword) else item.parameter
        match = _PLACEHOLDER.search(text)
        if match:
            yield Finding("error", item.line, f"{item.name} still holds the placeholder {match.group()}", "fill it in")


def _check_kinds(tree: Section, subsys: Subsys, *, folder: Path | None, own_data: bool) -> Iterator[Finding]:
    """Basis set, potential and electrons of every kind that has atoms."""
    basis_files = [text_of(v) for v in get_values(tree, "FORCE_EVAL/DFT/BASIS_SET_FILE_NAME")] or ["BASIS_SET"]
    potential_file = next(map(text_of, get_values(tree, "FORCE_EVAL/DFT/POTENTIAL_FILE_NAME")), "POTENTIAL")
    functional = named_functional(tree)
    charge = next(iter(get_values(tree, "FORCE_EVAL/DFT/CHARGE")), "0")
    stubs = any(kind.monovalent for kind in subsys.declared)
    n_electrons = -int(charge) if re.fullmatch(r"[-+]?\d{1,9}", charge) else None
    for name in sorted(set(subsys.kinds)):
        kind = subsys.kind(name)
        if kind is None:
            yield Finding("error", None, f"there are {name} atoms but no &KIND {name}", f"add &KIND {name}")
            n_electrons = None
            continue
        element = _element_of_kind(kind, name, subsys)
        bases = [b for path in _found(basis_files, folder) for b in read_basis_sets(path).get(element, ())]
        if kind.basis is None and not kind.basis_inside:
            message = f"&KIND {name} has no basis set: CP2K aborts"
            yield Finding("error", kind.line, message, "add BASIS_SET, such as DZVP-MOLOPT-SR-GTH")
        elif not kind.basis_inside and kind.basis not in (None, "NONE"):
            yield from _check_name(
                kind, kind.basis, bases, element=element, noun="basis set", files=basis_files, folder=folder,
                own_data=own_data,
            )  # fmt: skip
        if kind.ghost:
            continue
        file = kind.potential_file or potential_file
        potentials = [p for path in _found([file], folder) for p in read_potentials(path).get(element, ())]
        if kind.potential_inside:
            n_electrons = None
            continue
        if kind.potential is None:
            message = f"&KIND {name} has no potential: CP2K aborts"
            yield Finding("error", kind.line, message, "add POTENTIAL, such as GTH-PBE")
            n_electrons = None
            continue
        yield from _check_name(
            kind, kind.potential, potentials, element=element, noun="potential", files=[file], folder=folder,
            own_data=own_data,
        )  # fmt: skip
        valence = potential_valence(element, kind.potential, file=file)
        yield from _check_match(kind, bases, element=element, valence=valence, functional=functional)
        n_atoms = subsys.kinds.count(name)
        n_electrons = None if valence is None or n_electrons is None else n_electrons + valence * n_atoms
    # Absolutely localised orbitals count the electrons of each molecule for themselves.
    if n_electrons is not None and find_section(tree, "FORCE_EVAL/DFT/ALMO_SCF") is None and not stubs:
        yield from check_spin(tree, n_electrons)


def _found(files: Sequence[str], folder: Path | None) -> list[Path]:
    """Where files of basis sets or potentials lie: in the run's folder, else among CP2K's own."""
    own = [None if folder is None else folder / name for name in files]
    places = [
        path if path is not None and path.is_file() else data_file(name) for path, name in zip(own, files, strict=True)
    ]
    return [place for place in places if place is not None]


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
    folder: Path | None,
    own_data: bool,
) -> Iterator[Finding]:
    """Whether the data files hold a name, in any case, as CP2K reads it; silent where one of them is missing."""
    known = [other for item in held for other in item.names]
    if name is None or len(_found(files, folder)) < len(files) or name.upper() in map(str.upper, known):
        return
    message = f"{noun} {name} of {element} is not in {', '.join(files)}"
    elsewhere = files_with(element, name)
    remedy = f"it stands in {' and '.join(elsewhere)}: name that file" if elsewhere else _offer(name, known)
    yield Finding("error" if own_data else "warning", kind.line, message, remedy)


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


def _check_files(tree: Section, folder: Path) -> Iterator[Finding]:
    """Files that a run starts from."""
    for name in map(text_of, get_values(tree, "EXT_RESTART/RESTART_FILE_NAME")):
        if not (folder / name).exists():
            message = f"EXT_RESTART refers to {name}, which is not in the run folder"
            yield Finding("error", None, message, "copy it there")
    for name in map(text_of, get_values(tree, "FORCE_EVAL/DFT/WFN_RESTART_FILE_NAME")):
        if not (folder / name).exists():
            message = f"WFN_RESTART_FILE_NAME refers to {name}, which is not in the run folder"
            yield Finding("warning", None, message, "copy it there, or CP2K starts from atomic densities")


def _check_data_files(tree: Section, folder: Path | None, *, own_data: bool) -> Iterator[Finding]:
    """Basis and potential files must be CP2K's own or lie where the run starts; silent without CP2K's data files."""
    if data_file("GTH_POTENTIALS") is None:
        return
    for name in ("BASIS_SET_FILE_NAME", "POTENTIAL_FILE_NAME"):
        section = find_section(tree, "FORCE_EVAL/DFT")
        for keyword in section.keywords(name) if section is not None else []:
            if not _found([text_of(keyword.value)], folder):
                message = f"{name} {text_of(keyword.value)} is not among CP2K's data files"
                remedy = "correct the name, or put the file into the run folder"
                yield Finding("error" if own_data else "warning", keyword.line, message, remedy)


def check_structure(tree: Section, atoms: "Atoms", *, name: str) -> tuple[Finding, ...]:
    """Whether an input has the atoms of the structure that its run folder says it is of, turned or shifted by cells.

    Parameters
    ----------
    tree
        The expanded input.
    atoms
        That structure, with its cell.
    name
        Of its file.
    """
    try:
        subsys = read_subsys(tree, folder=None)
    except DataError:
        return ()
    if subsys is None or atoms.cell.rank != 3:
        return ()
    edges, stated = subsys.cell @ subsys.cell.T, atoms.cell[:] @ atoms.cell[:].T
    if list(subsys.elements) != atoms.get_chemical_symbols():
        what = "atoms"
    elif np.abs(edges - stated).max() > _SAME_ANGSTROM * float(np.sqrt(stated.max())):
        what = "cell"
    else:
        fractions = subsys.positions @ np.linalg.inv(subsys.cell) - atoms.get_scaled_positions(wrap=False)
        moved = np.linalg.norm((fractions - np.round(fractions)) @ subsys.cell, axis=1)
        if moved.max() < _SAME_ANGSTROM:
            return ()
        what = f"positions (atom {int(moved.argmax()) + 1} is {moved.max():.3f} Å off)"
    message = f"the {what} of the input are not those of {name}, which results would be shown with"
    remedy = "make the folder again with 'qdip inputs --force', or put the structure that was meant there"
    return (Finding("warning", None, message.replace("cell of the input are", "cell of the input is"), remedy),)


_SAME_ANGSTROM = 1e-3
"""Coordinates are written with six digits or more."""


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
