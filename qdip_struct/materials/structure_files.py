"""A crystal from a structure file (CIF, POSCAR, extxyz), so that own structures are matched like the shipped ones."""

from pathlib import Path

from qdip_struct.base.errors import DataError
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.sites import Site

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
"""What ASE's readers raise on a file of another kind."""


def looks_like_file(text: str) -> bool:
    """Whether a command-line word names a file rather than a crystal: it has a folder or a suffix, or exists."""
    path = Path(text)
    return "/" in text or path.suffix.lower() in (".cif", ".vasp", ".xyz", ".extxyz", ".poscar") or path.is_file()


def read_crystal(path: Path) -> Crystal:
    """Read a periodic structure with ASE; the cell is taken as it stands in the file.

    Raises
    ------
    DataError
        If the file is missing, cannot be read as a structure or has no three-dimensional cell.
    """
    import ase.io

    if not path.is_file():
        raise DataError(f"cannot read {path}: no such file")
    try:
        atoms = ase.io.read(path)
    except (*_UNREADABLE, ase.io.formats.UnknownFileTypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"cannot read {path} as a crystal structure: {reason}") from error
    if isinstance(atoms, list) or len(atoms) == 0 or not atoms.cell.rank == 3:
        raise DataError(f"{path} holds no crystal: expected atoms in a three-dimensional cell")
    lengths, angles = atoms.cell.lengths(), atoms.cell.angles()
    sites = tuple(
        Site("", symbol, (float(x) % 1.0, float(y) % 1.0, float(z) % 1.0))
        for symbol, (x, y, z) in zip(atoms.get_chemical_symbols(), atoms.get_scaled_positions(wrap=True), strict=True)
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
