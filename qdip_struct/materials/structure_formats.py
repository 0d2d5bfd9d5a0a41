"""Which format a structure file has, by its name or by what stands in it, and the readers of ASE behind the one door.

A name that tells the format decides; without one the content does, and then that is said. Compressed copies are
unpacked into a folder that goes away, piece by piece and only up to a limit. Lengths in Å.
"""

import bz2
import gzip
import lzma
import re
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qdip_struct.base.errors import DataError
from qdip_struct.materials.cif import READER_ERRORS, reason_of

if TYPE_CHECKING:
    from ase import Atoms

COMPRESSED = (".gz", ".bz2", ".xz")
"""Endings of compressed copies, which stand behind the name of the file."""
UNPACKED_BYTES = 200_000_000
"""Of an unpacked file: two million atoms in extxyz."""
_PIECE = 1 << 20
_XZ_MEMORY = 256_000_000
_HEAD = 1 << 16
_LINE = 300
"""No line of a known format that matters here is longer; patterns take their time with long ones."""
_BYTES_PER_ATOM = 6
_NAMES = {
    "cif": "CIF", "vasp": "POSCAR", "vasp-xdatcar": "XDATCAR", "extxyz": "xyz", "lammps-data": "LAMMPS data",
    "lammps-dump-text": "LAMMPS dump", "traj": "ASE trajectory",
}  # fmt: skip
_BY_ENDING = {
    ".cif": "cif", ".mcif": "cif", ".extxyz": "extxyz", ".xyz": "extxyz", ".vasp": "vasp", ".poscar": "vasp",
    ".json": "json", ".traj": "traj", ".data": "lammps-data", ".lmp": "lammps-data", ".lammps": "lammps-data",
    ".lammps-data": "lammps-data", ".lammpstrj": "lammps-dump-text",
}  # fmt: skip
_BY_BEGINNING = {"POSCAR": "vasp", "CONTCAR": "vasp", "XDATCAR": "vasp-xdatcar"}
_REAL = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?"
_VECTOR = rf"\s*{_REAL}\s+{_REAL}\s+{_REAL}\b.*"


def bare_name(path: Path) -> str:
    """Name of a file without the ending of its compression: ``x.cif.gz`` → ``x.cif``."""
    return path.name.removesuffix(path.suffix) if path.suffix.lower() in COMPRESSED else path.name


def format_by_name(path: Path) -> str | None:
    """ASE's name of the format that the name of a file tells, compressed or not; ``None`` where it tells none."""
    name = bare_name(path)
    if (found := _BY_ENDING.get(Path(name).suffix.lower())) is not None:
        return found
    return next((form for begin, form in _BY_BEGINNING.items() if name.upper().startswith(begin)), None)


def format_of_content(head: str) -> str | None:
    """ASE's name of the format that the beginning of a file shows; ``None`` where none of those known here is seen."""
    if re.search(r"(?m)^[ \t]*data_\S", head) and re.search(r"(?m)^[ \t]*_(cell_length_a|atom_site)", head):
        return "cif"
    if head.startswith("ITEM: TIMESTEP"):
        return "lammps-dump-text"
    if re.search(r"(?m)^[ \t]*\d+[ \t]+atoms\b", head) and re.search(r"(?m)\b(xlo[ \t]+xhi|avec)\b", head):
        return "lammps-data"
    lines = [line[:_LINE] for line in head.splitlines()]
    if _is_poscar(lines):
        return "vasp-xdatcar" if re.search(r"(?mi)^[ \t]*direct configuration[ \t]*=", head) else "vasp"
    counted = len(lines) > 2 and re.fullmatch(r"\s*\d+\s*", lines[0])
    if counted and re.match(rf"\s*([A-Z][a-z]?|\d+)\w*\s+{_REAL}\s+{_REAL}\s+{_REAL}\b", lines[2]):
        return "extxyz"
    return None


def _is_poscar(lines: Sequence[str]) -> bool:
    """Whether lines begin as a POSCAR: a comment, a scale, three vectors, elements and counts (or counts alone)."""
    if len(lines) < 8 or not re.fullmatch(rf"\s*{_REAL}(\s+{_REAL}\s+{_REAL})?\s*([!#].*)?", lines[1]):
        return False
    if not all(re.fullmatch(_VECTOR, line) for line in lines[2:5]):
        return False
    counts = lines[5] if re.match(r"\s*\d", lines[5]) else lines[6]
    return re.match(r"\s*\d+(\s+\d+)*\s*([!#].*)?$", counts) is not None


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The file itself, or a copy of a compressed one, unpacked for as long as the context lasts.

    Raises
    ------
    DataError
        If a compressed file is damaged, or holds more than 200 MB.
    """
    if path.suffix.lower() not in COMPRESSED:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="qdip_") as folder:
        plain = Path(folder) / (bare_name(path) or "structure")
        if plain.suffix.lower() in COMPRESSED:
            raise DataError(f"{path} is compressed twice; unpack it once")
        size = 0
        try:
            with plain.open("wb") as stream:
                for piece in _pieces(path):
                    size += len(piece)
                    if size > UNPACKED_BYTES:
                        raise DataError(
                            f"{path} holds more than {UNPACKED_BYTES // 10**6} MB; unpack it yourself if that is right"
                        )
                    stream.write(piece)
        except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
            raise DataError(f"cannot unpack {path}: {reason_of(error)}") from error
        if size == 0:
            raise DataError(f"cannot read {path}: it is empty; expected a structure")
        yield plain


def _pieces(path: Path) -> Iterator[bytes]:
    """What a compressed file holds, in pieces of at most one MiB."""
    if path.suffix.lower() != ".xz":
        with (gzip.open if path.suffix.lower() == ".gz" else bz2.open)(path, "rb") as packed:
            while piece := packed.read(_PIECE):
                yield piece
        return
    unpacker = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    with path.open("rb") as stream:
        while not unpacker.eof:
            raw = stream.read(_PIECE) if unpacker.needs_input else b""
            if not raw and unpacker.needs_input:
                raise EOFError("it ends in the middle")
            yield unpacker.decompress(raw, max_length=_PIECE)


def recognised(plain: Path, path: Path) -> tuple[str | None, list[str]]:
    """ASE's name of the format of an unpacked file, ``None`` for one that ASE has to find, and what is to be said.

    ``path`` is the file as it was given.
    """
    named = format_by_name(path)
    if named is not None and named != "vasp":
        return named, []
    with plain.open("rb") as stream:
        head = stream.read(_HEAD)
    if head.startswith(b"- of Ulm"):
        return "traj", [] if named == "traj" else [f"{path.name} is read as an {_NAMES['traj']}, which it begins as"]
    seen = format_of_content(head.decode("utf-8", errors="replace").lstrip("\ufeff"))
    if named is not None:
        return (seen, []) if seen == "vasp-xdatcar" else (named, [])
    return seen, [] if seen is None else [f"{path.name} is read as {_NAMES[seen]}, by what stands in it"]


def ase_structure(plain: Path, form: str | None, path: Path) -> tuple["Atoms", list[str]]:
    """The structure that ASE reads, the last of several, and what is to be said of the reading.

    Parameters
    ----------
    plain, path
        The unpacked file, and the one that messages name.
    form
        ASE's name of the format; ``None`` lets ASE find it.

    Raises
    ------
    DataError
        If it cannot be read, holds no atoms, or leaves open which elements they are.
    """
    from ase import Atoms
    from ase.data import chemical_symbols
    from ase.io import ParseError, read
    from ase.io.formats import UnknownFileTypeError, filetype, ioformats

    _refuse_impossible_counts(plain, form, path)
    if form == "vasp":
        _refuse_nameless_elements(plain, path)
    said: list[str] = []
    try:
        if form is None:
            form = filetype(str(plain))
            known = ioformats[form].description if form in ioformats else form
            said.append(f"{path.name} is read as '{known}', which ASE takes it for")
        if form == "lammps-data":
            found, told = _lammps_data(plain, path)
            said += told
        else:
            if form == "lammps-dump-text":
                _refuse_nameless_dump(plain, path)
            found = read(plain, format=form, do_not_split_by_at_sign=True)
        # ASE's trajectories find out that they are empty, or damaged, when they are asked for a frame.
        atoms = found[-1] if isinstance(found, list) else found
        if form in ("vasp", "vasp-xdatcar"):
            said += _nameless_elements(plain, path)
            said += _moments_of_comment(plain, path, atoms)
        said += _several(plain, form, path)
    except (*READER_ERRORS, UnknownFileTypeError, ParseError, SyntaxError) as error:
        raise DataError(f"cannot read {path} as a structure: {reason_of(error)}") from error
    if not isinstance(atoms, Atoms) or len(atoms) == 0:
        raise DataError(f"{path} holds no atoms")
    if atoms.numbers.min() < 0 or atoms.numbers.max() >= len(chemical_symbols):
        raise DataError(f"{path}: {int(atoms.numbers.max())} is no atomic number")
    return atoms, said


def _refuse_impossible_counts(plain: Path, form: str | None, path: Path) -> None:
    """Refuse counts of atoms that a file of this size cannot hold, before a reader makes room for them.

    An atom takes at least six bytes (``0 0 0`` and a line end); counts stand alone on their lines in XYZ, in the
    sixth or seventh line of a POSCAR, and before ``atoms`` in LAMMPS data.
    """
    size = plain.stat().st_size
    with plain.open("rb") as stream:
        head = [line.decode("utf-8", errors="replace").split() for line, _ in zip(stream, range(40), strict=False)]
    if any(re.search(r"Properties=\S*:\d{4}", word) for words in head[1:2] for word in words):
        raise DataError(f"{path}: its second line announces more columns than an atom has; expected those of extxyz")
    # The first line of a POSCAR is a comment, which may be a number.
    lines = head[5:7] if form in ("vasp", "vasp-xdatcar") else (*head[:1], *head[5:7])
    counts = [words for words in lines if words and all(word.isdecimal() for word in words)]
    counts += [words[:1] for words in head if words[1:2] == ["atoms"] and words[0].isdecimal()]
    for words in counts:
        if any(len(word) > 18 for word in words) or sum(map(int, words)) * _BYTES_PER_ATOM > size:
            raise DataError(
                f"{path}: {' '.join(words)[:60]} atoms are announced and its {size} bytes cannot hold them: the file "
                "is cut, or no structure"
            )


def _refuse_nameless_elements(plain: Path, path: Path) -> None:
    """Refuse a POSCAR without a line of elements whose first line does not name them, and elements on several lines.

    ASE takes every letter of the first line that may be an element: 'POSCAR of a cell' for phosphorus, oxygen, sulfur.
    It is believed here where it is the elements, or a formula in their order and amounts.
    """
    from ase.data import atomic_numbers

    with plain.open(errors="replace") as stream:
        lines = [line.strip() for line, _ in zip(stream, range(7), strict=False)]
    if len(lines) < 7:
        return
    if not lines[5][:1].isdecimal():
        if re.match(r"[A-Za-z]", lines[6]):
            raise DataError(f"{path} names its elements on several lines; write all on line 6 and all counts on line 7")
        return
    counts = [int(word) for word in re.split(r"[!#]", lines[5])[0].split() if word.isdecimal() and len(word) < 10]
    words = lines[0].split()[: len(counts)]
    if len(words) == len(counts) and all(word in atomic_numbers for word in words):
        return
    pairs = re.findall(r"([A-Z][a-z]?)(\d*)", (lines[0].split() or [""])[0])
    amounts = [int(amount or 1) for _, amount in pairs]
    if (
        "".join(name + amount for name, amount in pairs) == (lines[0].split() or [""])[0]
        and len(pairs) == len(counts)
        and all(name in atomic_numbers for name, _ in pairs)
        and all(count * amounts[0] == amount * counts[0] for count, amount in zip(counts, amounts, strict=True))
    ):
        return
    beside = any(
        path.with_name(f"{name}{end}").is_file() for name in ("POTCAR", "OUTCAR") for end in ("", ".gz", ".bz2")
    )
    if not beside or re.search(r"[A-Z]", lines[0]):
        raise DataError(
            f"{path} has no line of elements, and its first line '{lines[0][:40]}' does not name one for each of the "
            f"counts {' '.join(map(str, counts))[:40]}: write the elements in a line above the counts, as in 'Pb S'"
        )


def _several(plain: Path, form: str | None, path: Path) -> list[str]:
    """That the last of several structures is taken, for formats that hold them one behind the other."""
    if form == "traj":
        from ase.io import Trajectory

        count = len(Trajectory(plain))
    elif form == "vasp-xdatcar":
        with plain.open(errors="replace") as stream:
            count = sum("configuration" in line.lower() and "=" in line for line in stream)
    elif form == "extxyz":
        with plain.open(errors="replace") as stream:
            words = stream.readline().split()
            frame = int(words[0]) + 2 if len(words) == 1 and words[0].isdecimal() else 0
            count = 0 if not frame else (1 + sum(bool(line.strip()) for line in stream)) // max(frame - 1, 1)
    else:
        return []
    return [f"{path.name} holds {count} structures; the last is taken"] if count > 1 else []


def _nameless_elements(plain: Path, path: Path) -> list[str]:
    """That the elements of a POSCAR without a line of them are those of its first line, or of the files beside it."""
    with plain.open(errors="replace") as stream:
        lines = [line for line, _ in zip(stream, range(6), strict=False)]
    if len(lines) == 6 and re.match(r"\s*\d", lines[5]):
        return [f"{path.name} has no line of elements; they are read from its first line ('{lines[0].strip()[:40]}')"]
    return []


def _moments_of_comment(plain: Path, path: Path, atoms: "Atoms") -> list[str]:
    """Magnetic moments (Bohr magnetons) in the first line of a POSCAR, as VASP writes them: ``MAGMOM = 2*4 -4``."""
    with plain.open(errors="replace") as stream:
        found = re.search(rf"(?i)\bMAGMOM\s*[=:]?\s*((?:(?:\d+\*)?{_REAL}\s*)+)", stream.readline())
    if found is None:
        return []
    words = [word.rpartition("*") for word in found.group(1).split()]
    if sum(int(count or 1) for count, _, _ in words) != len(atoms):
        return [f"{path.name} has another number of MAGMOM in its first line than atoms, which are left out"]
    atoms.set_initial_magnetic_moments([float(value) for count, _, value in words for _ in range(int(count or 1))])
    return []


def _refuse_nameless_dump(plain: Path, path: Path) -> None:
    """Refuse a LAMMPS dump without elements: ASE would take its types for atomic numbers."""
    with plain.open(errors="replace") as stream:
        columns = next((line.split()[2:] for line in stream if line.startswith("ITEM: ATOMS")), [])
    if "element" not in columns:
        raise DataError(
            f"{path} is a LAMMPS dump without the column 'element', and its types are no elements; write it with "
            "'dump_modify element Pb S ...', or give the data file"
        )


_STYLES = {"atomic": (5, 8), "charge": (6, 9), "molecular": (6, 9), "full": (7, 10)}
"""Columns of LAMMPS' atom styles, without and with the images of the cell."""
_STYLES_READ = (*_STYLES, "angle", "bond")
_UNITS_IN_ANGSTROM = ("metal", "real")
_MASS_U = 0.3
"""A mass this near to that of an element is that of the element, u."""
_OWN_MASS_U = 0.02


def _lammps_data(plain: Path, path: Path) -> tuple["Atoms", list[str]]:
    """A LAMMPS data file: elements by the comments and values of its masses, style by its word or by its columns.

    https://docs.lammps.org/read_data.html; lengths are those of the units ``metal`` and ``real``, Å.
    """
    import numpy as np
    from ase import Atoms
    from ase.data import atomic_numbers
    from ase.io import read

    sections, titles = _sections_of(plain.read_text(errors="replace"))
    head = "\n".join(sections[""])
    units = re.search(r"units\s*=\s*(\w+)", head.partition("\n")[0])
    if units is not None and units.group(1) not in _UNITS_IN_ANGSTROM:
        raise DataError(f"{path} is in LAMMPS units '{units.group(1)}'; expected metal or real, whose lengths are Å")
    if not sections.get("Atoms"):
        raise DataError(f"{path} has no section 'Atoms'; expected a LAMMPS data file")
    labels = {words[0]: words[1] for words in map(str.split, sections.get("Atom Type Labels", ())) if len(words) > 1}
    elements = _elements_of_types(sections.get("Masses", ()), labels, path)
    style = _style_of(titles["Atoms"], [line.partition("#")[0].split() for line in sections["Atoms"]], elements, path)
    numbers = {int(kind): atomic_numbers[symbol] for kind, symbol in elements.items() if kind.isdecimal()}
    found = read(
        plain, format="lammps-data", Z_of_type=numbers, atom_style=style, sort_by_id=False, do_not_split_by_at_sign=True
    )
    order = np.argsort(found.arrays["id"], kind="stable")
    atoms = Atoms(found.numbers[order], positions=found.positions[order], cell=found.cell, pbc=True)
    if found.has("momenta"):
        atoms.set_momenta(found.get_momenta()[order])
    shown = ", ".join(f"{kind} {symbol}" for kind, symbol in elements.items())
    assumed = "" if units is not None else ", lengths taken in Å (units metal or real)"
    return atoms, [f"{path.name}: LAMMPS atom style {style}, types {shown}{assumed}"]


def _sections_of(text: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Lines of each section of a LAMMPS data file, those before the first under "", and the comment of each title."""
    sections: dict[str, list[str]] = {"": []}
    titles: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        word, _, comment = line.partition("#")
        if re.fullmatch(r"[A-Z][A-Za-z0-9]*( [A-Z][A-Za-z0-9]*)*", word.strip()) and (name or sections[""]):
            name = word.strip()
            sections[name], titles[name] = [], comment.strip()
        elif line.strip() or not name:
            sections[name].append(line)
    return sections, titles


def _elements_of_types(masses: Sequence[str], labels: dict[str, str], path: Path) -> dict[str, str]:
    """The element of each atom type, as its comment or label says and its mass (u) agrees, or as its mass alone says.

    Raises
    ------
    DataError
        If there are no masses, or one says no element or another than its name.
    """
    from ase.data import atomic_masses, atomic_numbers

    helps = "; write elements behind the masses, as in '1 207.2 # Pb'"
    if not masses:
        raise DataError(f"{path} has no section 'Masses', and atom types are no elements{helps}")
    rows = [re.fullmatch(rf"\s*(\S+)\s+({_REAL})\s*(?:#\s*(.*))?", line[:_LINE]) for line in masses]
    values = [float(row.group(2)) for row in rows if row is not None]
    if len(values) < len(rows) or min(values) <= 0.0:
        raise DataError(f"{path}: a line of its section 'Masses' is no type and mass{helps}")
    reduced = len(values) > 1 and len(set(values)) == 1
    elements = {}
    for row, mass in zip((row for row in rows if row is not None), values, strict=True):
        kind = row.group(1)
        words = re.findall(r"[A-Za-z]+", row.group(3) or "") or re.findall(r"[A-Za-z]+", labels.get(kind, kind))
        named = words[0] if words and words[0] in atomic_numbers and words[0] != "X" else None
        near = [] if reduced else _elements_of_mass(mass)
        if named is not None and abs(atomic_masses[atomic_numbers[named]] - mass) > max(0.5, 0.01 * mass):
            raise DataError(
                f"{path}: type {kind} is called {named}, whose mass is {atomic_masses[atomic_numbers[named]]:.3f} u, "
                f"and has the mass {mass:g}{f', that of {near[0]}' if near else ''}; make them agree"
            )
        if named is None and len(near) != 1:
            could = f"may be {' or '.join(near)}" if near else "is that of no element"
            raise DataError(f"{path}: the mass {mass:g} of type {kind} {could}{helps}")
        elements[kind] = named or near[0]
    if labels:
        numbered = {label: kind for kind, label in labels.items()}
        elements = {numbered.get(kind, kind): symbol for kind, symbol in elements.items()}
    return elements


def _elements_of_mass(mass: float) -> list[str]:
    """Elements that a mass (u) may be: the one it hits, else all that are near; those without a stable isotope not."""
    from ase.data import atomic_masses, chemical_symbols

    lasting = [z for z in range(1, 93) if z not in (43, 61, *range(84, 90), 91)]
    near = sorted((abs(float(atomic_masses[z]) - mass), chemical_symbols[z]) for z in lasting)
    near = [(apart, symbol) for apart, symbol in near if apart < _MASS_U]
    return [symbol for _, symbol in (near[:1] if near and near[0][0] < _OWN_MASS_U else near)]


def _style_of(title: str, rows: Sequence[Sequence[str]], elements: dict[str, str], path: Path) -> str:
    """The atom style of a section ``Atoms``: its comment, else the one that its columns leave."""
    helps = "write it behind the title, as in 'Atoms # charge'"
    if title:
        style = title.split()[0]
        if style not in _STYLES_READ:
            raise DataError(f"{path}: LAMMPS atom style '{style}' is not read; expected {', '.join(_STYLES_READ)}")
        return style
    columns = {len(row) for row in rows}
    fitting = [style for style, widths in _STYLES.items() if columns <= set(widths) and _fits(style, rows, elements)]
    if len(fitting) != 1:
        could = f"may be {' or '.join(fitting)}" if fitting else "is none of those read here"
        raise DataError(f"{path}: its LAMMPS atom style {could}; {helps}")
    return fitting[0]


def _fits(style: str, rows: Sequence[Sequence[str]], elements: dict[str, str]) -> bool:
    """Whether the types of all rows are known in the column where this style has them, and molecules are numbers."""
    place = 1 if style in ("atomic", "charge") else 2
    molecules = style in ("molecular", "full")
    return all(row[place] in elements and (not molecules or row[1].isdecimal()) for row in rows)
