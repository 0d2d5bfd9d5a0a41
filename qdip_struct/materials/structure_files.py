"""From a word to a crystal or a structure: the one rule by which a word names a file, and the one reader of files.

Every command and every key of ``campaign.yaml`` that takes a crystal reads it here, so that a word means the same
everywhere.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.crystals import Crystal, scaled
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.mixed_lattice import crystal_at, mixed_lattice_constant
from qdip_struct.materials.sites import Site

if TYPE_CHECKING:
    from ase import Atoms

_SUFFIXES = (".cif", ".extxyz", ".vasp", ".poscar", ".xyz", ".json", ".traj", ".inc")
_FORMATS = {".extxyz": "extxyz", ".cif": "cif", ".vasp": "vasp", ".poscar": "vasp"}
_UNREADABLE = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OSError,
    RuntimeError,
    StopIteration,
    AssertionError,
)
"""What ASE's readers raise on a file of another kind, besides its own ``UnknownFileTypeError``."""


def is_structure_file(word: str, *, folder: Path = Path()) -> bool:
    """Whether a word names a structure file rather than a crystal; a relative one starts in ``folder``.

    A file has a known ending (in any case), a name that begins with POSCAR or CONTCAR, a ``/``, or it exists.
    """
    path = folder / word
    return path.suffix.lower() in _SUFFIXES or _is_poscar(path) or "/" in word or path.is_file()


def _is_poscar(path: Path) -> bool:
    """Whether a file has a name of VASP's, which has no ending that tells the format."""
    return path.name.upper().startswith(("POSCAR", "CONTCAR"))


def crystal_of(
    word: str,
    *,
    dataset: str | None = None,
    temperature: float | None = None,
    lattice: float | None = None,
    files: Sequence[Path] = (),
    folder: Path = Path(),
) -> "Crystal | Atoms":
    """A crystal by its name, a mixed crystal by its formula, or the structure in a file.

    Parameters
    ----------
    word
        ``NAME[:phase]``, a mixed formula such as ``CsPbBr2I``, or a structure file.
    dataset, temperature, lattice
        Data set of the lattice constants; their temperature (K), see :func:`crystal_named`, without meaning for a file;
        another (pseudo-)cubic lattice constant, Å.
    files
        User's files of crystals.
    folder
        Where a relative file name starts.

    Raises
    ------
    UsageError
        If there is no such crystal, or a lattice constant is given with a file.
    DataError
        If the file cannot be read.
    """
    if not is_structure_file(word, folder=folder):
        return crystal_named(word, dataset=dataset, temperature=temperature, lattice=lattice, files=files)
    if lattice is not None:
        raise UsageError(f"{word} is a structure file: its lattice is taken as it is, drop the lattice option")
    return read_structure(folder / word)


def crystal_alone(
    word: str,
    *,
    dataset: str | None = None,
    temperature: float | None = None,
    lattice: float | None = None,
    folder: Path = Path(),
) -> "Crystal | Atoms":
    """The one crystal of a structure, as :func:`crystal_of` gives it.

    Raises
    ------
    UsageError
        Also if a temperature is given with a structure file, whose lattice is taken as it is.
    """
    if temperature is not None and is_structure_file(word, folder=folder):
        raise UsageError(f"{word} is a structure file: its lattice is taken as it is, drop the temperature option")
    return crystal_of(word, dataset=dataset, temperature=temperature, lattice=lattice, folder=folder)


def crystal_named(
    word: str,
    *,
    dataset: str | None = None,
    temperature: float | None = None,
    lattice: float | None = None,
    files: Sequence[Path] = (),
) -> Crystal:
    """A crystal of a data set at a temperature, or a mixture of its crystals by Vegard's rule; never a file.

    A mixture has the cell of its end member of largest weight (of equal ones the first), at the mixed lattice constant.
    A mixed perovskite is cubic unless its formula names a phase: the mixed constant is the pseudo-cubic one.

    Parameters
    ----------
    word
        ``PbS``, ``MAPbI3:tetragonal``, ``CsPbBr2I``, ``MAPbI2.5Br0.5``, ``PbS0.5Se0.5``, ``CdSe:zincblende``.
    dataset
        Data set of the crystal, or of all end members.
    temperature
        Kelvin; ``None`` takes that of the data set, see :func:`~qdip_struct.materials.mixed_lattice.crystal_at`.
    lattice
        Another (pseudo-)cubic lattice constant, Å; ``temperature`` then only says what it is for.
    files
        User's files of crystals.

    Raises
    ------
    UsageError
        If neither the crystal nor its end members are known, the formula leaves a site open, a crystal cannot be
        brought to ``temperature``, or the word is a file.
    """
    if is_structure_file(word):
        raise UsageError(
            f"{word} is a structure file; here a crystal is taken by its name, such as PbS or CsPbI3:cubic"
        )
    try:
        crystal = get_crystal(word, dataset=dataset, files=files)
    except UsageError as unknown:
        try:
            formula = parse_formula(word)
        except UsageError:
            raise unknown from None
        if len(formula.end_members()) == 1:
            raise
        brought = None if lattice is not None else temperature
        mixture = mixed_lattice_constant(formula, dataset=dataset, temperature=brought, files=files)
        # Weights are products of shares: rounded, so that their last bit does not choose between equal ones.
        largest = max(mixture.terms, key=lambda term: round(term[1], 9))[0]
        constant, source, at, warnings = (
            (mixture.a_angstrom, mixture.source, mixture.temperature_kelvin, mixture.warnings)
            if lattice is None
            else (lattice, f"given by the user: {lattice:g} Å", temperature, ())
        )
        parent = _cubic(largest, phase=formula.phase, files=files)
        parent = scaled(parent, lattice=constant, source=source, temperature=at)
        return replace(
            parent, name=formula.text, end_member=parent.name, occupancies=formula.occupancies, warnings=warnings,
            uncertainty_angstrom=mixture.uncertainty_angstrom or None if lattice is None else None,
        )  # fmt: skip
    if lattice is not None:
        return scaled(crystal, lattice=lattice, temperature=temperature)
    return crystal_at(crystal, dataset=dataset, temperature=temperature, files=files)


def _cubic(crystal: Crystal, *, phase: str, files: Sequence[Path]) -> Crystal:
    """The (pseudo-)cubic phase of a perovskite where the data set has one and no phase is asked for."""
    if crystal.structure_type != "perovskite" or phase or crystal.phase in ("cubic", "pseudocubic"):
        return crystal
    for name in ("cubic", "pseudocubic"):
        try:
            return get_crystal(f"{crystal.name}:{name}", dataset=crystal.dataset, files=files)
        except UsageError:
            continue
    return crystal


def read_structure(path: Path) -> "Atoms":
    """Read one structure (the last of a trajectory) of any format ASE knows.

    Raises
    ------
    DataError
        If the file is missing, empty, or not a structure; the message names the file and the reader's complaint.
    """
    import numpy as np
    from ase import Atoms
    from ase.io import read
    from ase.io.formats import UnknownFileTypeError

    if not path.is_file():
        raise DataError(f"cannot read {path}: {'it is a folder' if path.is_dir() else 'no such file'}")
    if path.stat().st_size == 0:
        raise DataError(f"cannot read {path}: it is empty; expected a structure (extxyz, cif, POSCAR, xyz)")
    guess = _FORMATS.get(path.suffix.lower())
    if guess is None and _is_poscar(path):
        guess = "vasp"
    try:
        found = read(path, format=guess)
    except (*_UNREADABLE, UnknownFileTypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"cannot read {path} as a structure: {reason[:200]}") from error
    atoms = found[-1] if isinstance(found, list) else found
    if not isinstance(atoms, Atoms) or len(atoms) == 0:
        raise DataError(f"{path} holds no atoms")
    if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.cell.array).all():
        raise DataError(f"{path}: a coordinate or a cell vector is not a finite number")
    atoms.calc = None
    return atoms


def as_crystal(found: "Crystal | Atoms", *, path: Path) -> Crystal:
    """A periodic structure as the record of a crystal, its cell as it stands in the file; a crystal as it is.

    Parameters
    ----------
    found
        From :func:`crystal_of`.
    path
        The file it is from, for its name.

    Raises
    ------
    DataError
        If the structure has no three-dimensional cell.
    """
    if isinstance(found, Crystal):
        return found
    if found.cell.rank != 3:
        raise DataError(f"{path} holds no crystal: expected atoms in a three-dimensional cell")
    lengths, angles = found.cell.lengths(), found.cell.angles()
    sites = tuple(
        Site("", symbol, (float(x) % 1.0, float(y) % 1.0, float(z) % 1.0))
        for symbol, (x, y, z) in zip(found.get_chemical_symbols(), found.get_scaled_positions(wrap=True), strict=True)
    )
    return Crystal(
        name=path.stem,
        phase="file",
        structure_type="other",
        space_group="",
        lengths=(float(lengths[0]), float(lengths[1]), float(lengths[2])),
        angles=(float(angles[0]), float(angles[1]), float(angles[2])),
        temperature_kelvin=None,
        dataset="file",
        source=path.name,
        doi=None,
        verified=False,
        sites=sites,
        n_formula_units=1,
        origin=path.name,
    )
