"""From a word to a crystal or a structure: the one rule by which a word names a file, and the one reader of files.

Every command and every key of ``campaign.yaml`` that takes a crystal reads it here, so that a word means the same
everywhere. What is read is held against what the file says of itself: its formula, its occupancies, its setting, the
distances that follow. A file that cannot be taken at its word is refused, never half read; what it carries beside cell
and atoms is kept for those who can use it, and :func:`file_notes` names it for the others.

Long because the words, the checks and the notes are of one door: whoever reads a file passes all of them.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.materials.cif import CLOSEST_ANGSTROM, closest_pair, read_cif, shown_shares
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.cp2k_files import deck_atoms, is_deck, with_cell_of_run
from qdip_struct.materials.crystals import FILE_DATASET, Crystal, scaled
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.ions import FORMAL_CHARGES, FORMULA_ORDER, sublattices_of
from qdip_struct.materials.mixed_lattice import crystal_at, mixed_lattice_constant
from qdip_struct.materials.options import SYMPREC_ANGSTROM
from qdip_struct.materials.sites import Site, prototype_sites
from qdip_struct.materials.structure_formats import (
    COMPRESSED,
    ase_structure,
    bare_name,
    format_by_name,
    recognised,
    unpacked,
)
from qdip_struct.materials.symmetry import reduced, symmetrised

if TYPE_CHECKING:
    from ase import Atoms

_OTHER_ENDINGS = (".inc",)
_LEAST_VOLUME = 0.5
"""Å³ per atom; in diamond it is 5.7, in the densest hydride above 2."""
_LONGEST_ANGSTROM = 1e5
_TOLD_ANGSTROM = 5e-4
"""Sites that symmetry moves farther than rounded numbers ask for are told of."""
_LARGEST_SYMPREC_ANGSTROM = 0.5
_NO_MOMENT = 0.01
"""Below this, in Bohr magnetons, no atom has a moment."""
_VACUUM_ANGSTROM = 6.0
_SAME_PLACE_ANGSTROM = 0.05
"""Molecules whose atoms are nearer to each other than this, once put on one point, are turned alike."""
_PROTOTYPES = {
    (225, (4, 4)): ("rocksalt", "rocksalt"),
    (216, (4, 4)): ("zincblende", "zincblende"),
    (221, (1, 1)): ("cscl", "cscl"),
    (221, (1, 1, 3)): ("perovskite", "cubic"),
}
"""Prototypes by space group and atoms of each kind in the conventional cell."""


def is_structure_file(word: str, *, folder: Path = Path()) -> bool:
    """Whether a word names a structure file rather than a crystal; a relative one starts in ``folder``.

    A file has a known ending (in any case), also before one of a compression, a name that begins with POSCAR, CONTCAR
    or XDATCAR, a ``/``, or it exists.
    """
    path = folder / word
    known = format_by_name(path) is not None or Path(bare_name(path)).suffix.lower() in _OTHER_ENDINGS
    return known or path.suffix.lower() in COMPRESSED or "/" in word or is_deck(path) or path.is_file()


def structure_stem(path: Path) -> str:
    """What a structure is called after its file: the name without the endings of format and compression."""
    return Path(bare_name(path)).stem


def crystal_of(
    word: str,
    *,
    dataset: str | None = None,
    temperature: float | None = None,
    lattice: float | None = None,
    files: Sequence[Path] = (),
    folder: Path = Path(),
    cell: Sequence[float] | None = None,
    symprec: float = SYMPREC_ANGSTROM,
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
    cell
        As for :func:`read_structure`.
    symprec
        Within which a file whose sites are shared is symmetric, Å.

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
    found = _read(folder / word, symprec=symprec, alone=cell is not None)
    return found if cell is None or isinstance(found, Crystal) else with_given_cell(found, cell, path=folder / word)


def with_symmetry(atoms: "Atoms", *, symprec: float = SYMPREC_ANGSTROM) -> tuple["Atoms", list[str]]:
    """A periodic structure with the symmetry that it has within a tolerance (Å), its cell and axes kept; what was done.

    See :func:`qdip_struct.materials.symmetry.symmetrised`.
    """
    _check_symprec(symprec)
    cell, places, moved = symmetrised(atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers, symprec=symprec)
    if moved == 0.0:
        return atoms, []
    better = atoms.copy()
    better.set_cell(cell)
    better.set_scaled_positions(places)
    return better, _told_of(moved, symprec=symprec)


def _told_of(moved: float, *, symprec: float) -> list[str]:
    if moved < _TOLD_ANGSTROM:
        return []
    return [f"sites moved by up to {moved:.4f} Å to where the symmetry within {symprec:g} Å (--symprec) has them"]


def _check_symprec(symprec: float) -> None:
    if not 0.0 < symprec <= _LARGEST_SYMPREC_ANGSTROM:
        raise UsageError(
            f"the symmetry tolerance is {symprec:g} Å; expected a length above 0 and up to {_LARGEST_SYMPREC_ANGSTROM} "
            "Å, well below a bond"
        )


def refuse_finished(found: "Crystal | Atoms", word: str) -> None:
    """Raise :class:`UsageError` for a finished body where a crystal to cut from is needed; ``word`` names it."""
    if not isinstance(found, Crystal) and (why := why_finished(found)):
        raise UsageError(f"{word} holds no crystal to cut from: {why}; give a bulk cell, periodic in three directions")


def why_finished(atoms: "Atoms") -> str:
    """What makes a structure a finished body and no crystal to cut one from; empty for a crystal.

    A crystal is periodic in three directions, and no plane-parallel gap in it is wider than 6 Å.
    """
    if atoms.cell.rank != 3 or not atoms.pbc.all():
        return "it is not periodic in three directions"
    if atoms.has("ghost") and atoms.get_array("ghost").any():
        return "it has ghosts, which carry basis functions only"
    for name, gap in _gaps(atoms).items():
        if gap > _VACUUM_ANGSTROM:
            return f"it has a gap of {gap:.1f} Å along {name}"
    return ""


def is_film(atoms: "Atoms") -> bool:
    """Whether a structure is a finished film: periodic along a and b, with a gap of more than 6 Å along c alone."""
    if atoms.cell.rank != 3 or not atoms.pbc[:2].all():
        return False
    gaps = _gaps(atoms)
    return gaps["c"] > _VACUUM_ANGSTROM and max(gaps["a"], gaps["b"]) <= _VACUUM_ANGSTROM


def _gaps(atoms: "Atoms") -> dict[str, float]:
    """Widest plane-parallel gap between atoms along each cell vector, Å."""
    import numpy as np

    heights = 1.0 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    found = {}
    for name, height, fractions in zip("abc", heights, atoms.get_scaled_positions(wrap=True).T, strict=True):
        ordered = np.sort(fractions)
        found[name] = float(np.diff(ordered, append=ordered[0] + 1.0).max() * height)
    return found


def refuse_temperature(word: str, temperature: float | None, *, folder: Path = Path()) -> None:
    """Raise :class:`UsageError` for a temperature (K) of a structure file, whose lattice is taken as it is."""
    if temperature is not None and is_structure_file(word, folder=folder):
        raise UsageError(f"{word} is a structure file: its lattice is taken as it is, drop the temperature option")


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


def read_structure(path: Path, *, cell: Sequence[float] | None = None) -> "Atoms":
    """Read one structure with one atom on every site (the last of a trajectory) of any format known here.

    Parameters
    ----------
    path
        The file.
    cell
        Three edges (Å), or three edges and three angles (degree), for a file without a cell.

    Raises
    ------
    UsageError
        If ``cell`` is no cell, or the file has one.
    DataError
        If the file is missing, empty, not a structure, disagrees with itself, or shares sites between species; the
        message names the file and what was found.
    """
    found = _read(path, alone=cell is not None)
    if not isinstance(found, Crystal):
        return found if cell is None else with_given_cell(found, cell, path=path)
    label, shares = next(iter(found.occupancies.items()))
    try:
        by_formula = f", or by the formula {crystal_named(found.name).name}"
    except (UsageError, DataError):
        by_formula = ""
    raise DataError(
        f"{path}: sites {label} are shared ({shown_shares(shares)}), and one atom on every site is needed here: order "
        f"them in a supercell first, with 'qdip build slab --material {path.name}' or another build command{by_formula}"
    )


def with_given_cell(atoms: "Atoms", cell: Sequence[float], *, path: Path) -> "Atoms":
    """A structure of a file without a cell, ``path``, in the one that is given for it.

    Parameters
    ----------
    atoms
        Changed in place, then periodic in three directions.
    cell
        Three edges (Å), or three edges and three angles (degree).

    Raises
    ------
    UsageError
        If ``cell`` is no cell, or the file has one.
    """
    from ase.cell import Cell

    if atoms.cell.rank == 3:
        raise UsageError(f"{path} has a cell of its own; leave the given one out")
    if len(cell) not in (3, 6) or min(cell) <= 0.0 or max([0.0, *cell[3:]]) >= 180.0:
        raise UsageError(
            "the cell that is given is three edges in Å, with three angles in degree where they are not 90"
        )
    atoms.set_cell(Cell.fromcellpar(cell))
    atoms.pbc = True
    return atoms


def as_crystal(found: "Crystal | Atoms", *, path: Path, symprec: float = SYMPREC_ANGSTROM) -> Crystal:
    """A periodic structure as the record of a crystal, its cell as it stands in the file; a crystal as it is.

    Parameters
    ----------
    found
        From :func:`crystal_of`.
    path
        The file it is from, for its name.
    symprec
        Within which it has its symmetry, Å.

    Raises
    ------
    DataError
        If the structure has no three-dimensional cell.
    """
    if isinstance(found, Crystal):
        return found
    if found.cell.rank != 3:
        raise DataError(
            f"{path} holds no crystal: expected atoms in a three-dimensional cell; beside a CP2K trajectory "
            "(PROJECT-pos-1.xyz) the run's .cell, .restart or .inp gives it"
        )
    shares = [{symbol: 1.0} for symbol in found.get_chemical_symbols()]
    return crystal_record(found.cell.array, found.get_scaled_positions(wrap=True), shares, path=path, symprec=symprec)


@dataclass(frozen=True, eq=False)
class _Found:
    """What a file holds: atoms, or cell, positions and shares where species share sites; what is to be said of it."""

    atoms: "Atoms | None"
    shared: tuple[Any, list[list[float]], list[dict[str, float]]] | None
    notes: tuple[str, ...]


def _read(path: Path, *, symprec: float = SYMPREC_ANGSTROM, alone: bool = False) -> "Atoms | Crystal":
    """The one door: atoms, or a crystal where species share sites.

    With ``alone`` no other file is asked for a cell that this one does not hold.
    """
    found = _found(path, alone=alone)
    if found.atoms is not None:
        return found.atoms.copy()
    assert found.shared is not None
    cell, positions, shares = found.shared
    return crystal_record(cell, positions, shares, path=path, symprec=symprec)


def _found(path: Path, *, alone: bool = False) -> _Found:
    if not path.is_file():
        raise DataError(f"cannot read {path}: {'it is a folder' if path.is_dir() else 'no such file'}")
    state = path.stat()
    if state.st_size == 0:
        raise DataError(
            f"cannot read {path}: it is empty; expected a structure (extxyz, cif, POSCAR, xyz, CP2K input, ...)"
        )
    stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
    # Inputs and trajectories of CP2K ask the files beside them, which a stamp of their own does not tell.
    beside = is_deck(path) or path.suffix.lower() == ".xyz"
    return (_found_at.__wrapped__ if beside else _found_at)(path, stamp, alone)


@lru_cache(maxsize=4)
def _found_at(path: Path, stamp: tuple[int, int, int], alone: bool) -> _Found:
    """What stands in a file now; a command asks for it more than once, for the structure and for what is to be said."""
    import numpy as np
    from ase import Atoms

    with unpacked(path) as plain:
        if is_deck(plain) and plain != path:
            raise DataError(f"{path} is a compressed input of CP2K, which may name files beside it; unpack it")
        form, notes = (None, []) if is_deck(path) else recognised(plain, path)
        if form == "cif":
            cell, positions, shares, moments = read_cif(plain, named=path)
            if any(len(site) > 1 for site in shares):
                return _Found(None, (cell, positions, shares), tuple(notes))
            found = Atoms([next(iter(site)) for site in shares], scaled_positions=positions, cell=cell, pbc=True)
            if moments is not None:
                found.set_initial_magnetic_moments(moments)
        elif is_deck(path):
            found, notes = deck_atoms(path)
        else:
            found, told = ase_structure(plain, form, path)
            notes += [*told, *([] if alone else with_cell_of_run(found, path))]
    if not np.isfinite(found.positions).all() or not np.isfinite(found.cell.array).all():
        raise DataError(f"{path}: a coordinate or a cell vector is not a finite number")
    if (found.numbers == 0).any():
        raise DataError(f"{path}: atom {int(np.argmin(found.numbers)) + 1} is 'X', which is no element; write elements")
    # spglib ends the whole program on a cell of no size.
    lengths = found.cell.lengths()
    if found.cell.array.any(axis=1).all() and abs(found.cell.volume) < _LEAST_VOLUME * len(found):
        raise DataError(
            f"{path}: the cell is flat: {abs(found.cell.volume):.3g} Å³ for {len(found)} atoms; expected three vectors "
            "in Å that span a volume"
        )
    if lengths.max() > _LONGEST_ANGSTROM:
        raise DataError(f"{path}: a cell vector of {lengths.max():.3g} Å is no vector in Å")
    _keep_moments(found)
    found.calc = None
    _refuse_overlap(found, path)
    return _Found(found, None, tuple(notes))


def _keep_moments(atoms: "Atoms") -> None:
    """Magnetic moments in one place, wherever the file has them; a structure without any gets none."""
    import numpy as np

    given = atoms.arrays.get("initial_magmoms")
    if given is None and atoms.calc is not None:
        given = getattr(atoms.calc, "results", {}).get("magmoms")
    if given is None:
        given = atoms.arrays.pop("magmom", None)
    if given is None or np.asarray(given).dtype.kind not in "if" or len(given) != len(atoms):
        return
    moments = np.asarray(given, dtype=float)
    atoms.arrays.pop("initial_magmoms", None)
    if np.isfinite(moments).all() and np.abs(moments).max() > _NO_MOMENT:
        atoms.set_initial_magnetic_moments(moments)


Carried = Literal["constraints", "moments", "velocities", "periodicity"]
"""What a file may carry beside cell and atoms."""


def file_notes(
    path: Path, *, used: Collection[Carried] = (), symprec: float | None = None, cell: Sequence[float] | None = None
) -> list[str]:
    """What is to be said of a structure file: how it was read, and what in it has no part in what is made of it.

    Parameters
    ----------
    path
        The file.
    used
        What the caller uses, decides about itself, or has no meaning for it.
    symprec
        Within which the caller brings it to its symmetry, Å; ``None`` where it does not.
    cell
        As for :func:`read_structure`.

    Returns
    -------
    list of str
        Sentences without the name of the command; empty for files as this program writes them.
    """
    found = _found(path, alone=cell is not None)
    notes = list(found.notes)
    atoms = found.atoms
    if atoms is None:
        return notes
    if symprec is not None and atoms.cell.rank == 3 and atoms.pbc.all():
        notes += [f"{path.name}: {told}" for told in with_symmetry(atoms, symprec=symprec)[1]]
    if "constraints" not in used and atoms.constraints:
        kinds = ", ".join(dict.fromkeys(type(held).__name__ for held in atoms.constraints))
        notes.append(f"{path.name} holds atoms ({kinds}), which is not carried over")
    if "moments" not in used and atoms.has("initial_magmoms"):
        notes.append(f"{path.name} has magnetic moments, which are not carried over")
    if "velocities" not in used and atoms.has("momenta") and atoms.get_momenta().any():
        notes.append(f"{path.name} has velocities, which are not carried over")
    if "periodicity" not in used and atoms.cell.rank == 3 and not atoms.pbc.all():
        free = ", ".join(name for name, periodic in zip("abc", atoms.pbc, strict=True) if not periodic)
        notes.append(f"{path.name} is not periodic along {free}; images along it are not left out here")
    return notes


def _refuse_overlap(atoms: "Atoms", path: Path) -> None:
    """Refuse two atoms closer than any bond: a wrong setting, a doubled site, another unit of length."""
    if atoms.cell.rank != 3 or abs(atoms.cell.volume) < 1e-6:
        return
    if pair := closest_pair(atoms.cell.array, atoms.get_scaled_positions(wrap=True)):
        one, other, distance = pair
        raise DataError(
            f"{path}: atoms {one + 1} ({atoms.symbols[one]}) and {other + 1} ({atoms.symbols[other]}) are "
            f"{distance:.3f} Å apart, closer than any bond ({CLOSEST_ANGSTROM} Å): a site is given twice, or the cell, "
            "the setting or the unit of length is another"
        )


def crystal_record(
    cell: Any, positions: Any, shares: Sequence[Mapping[str, float]], *, path: Path, any_cell: bool = False,
    symprec: float = SYMPREC_ANGSTROM, labels: Sequence[str] | None = None,
    molecules: Sequence[Sequence[tuple[str, float, float, float]]] = (),
) -> Crystal:  # fmt: skip
    """The record of a crystal from its cell, the places of its ions and what stands on them.

    A cubic prototype is one in its conventional cell only, for planes and cells are counted in the axes of the file;
    with ``any_cell`` it gets that cell, and a supercell of another crystal becomes one cell.

    Parameters
    ----------
    cell
        Row vectors (3, 3), Å.
    positions
        Fractional coordinates (n, 3) of the ions, molecules as one.
    shares
        Species on each and their shares.
    path
        The file they are from, for the name.
    any_cell
        See above.
    symprec
        Within which it has its symmetry, Å.
    labels
        Sublattice of each; default by the usual charges.
    molecules
        Element and place (Å, from the position of the ion, along the axes of ``cell``) of the atoms of each, empty for
        ions of one atom.
    """
    import numpy as np
    from ase.cell import Cell

    _check_symprec(symprec)
    kinds = [
        tuple(sorted((name, round(share / sum(site.values()), 6)) for name, share in site.items())) for site in shares
    ]
    names = list(labels) if labels is not None else _labels(kinds)
    atoms: list[_Unit] = [tuple(group) for group in molecules] or [()] * len(kinds)
    numbers = _numbered(kinds, atoms)
    cell, positions, moved = symmetrised(cell, positions, numbers, symprec=symprec)
    told = _told_of(moved, symprec=symprec)
    alike = len(set(numbers)) == len(set(kinds))  # molecules turned differently make no prototype
    prototype = _prototype(cell, positions, kinds, names=names, symprec=symprec) if alike else None
    if any_cell and prototype is None:
        framework = [n for n, unit in enumerate(atoms) if not unit]
        whole = (cell, np.asarray(positions)[framework], [numbers[n] for n in framework])
        cell, positions, kept, counts = reduced(cell, positions, numbers, symprec=symprec)
        kinds, names, atoms = [kinds[n] for n in kept], [names[n] for n in kept], [atoms[n] for n in kept]
        if max(counts) > 1:
            told.append(f"one of the {'×'.join(map(str, counts))} equal cells in the file is taken")
        elif 0 < len(framework) < len(kinds) and max(reduced(*whole, symprec=symprec)[3]) > 1:
            told.append("a supercell whose molecules differ from cell to cell: the cell is kept as it is")
    amounts: Counter[str] = Counter()
    for kind in kinds:
        amounts.update(dict(kind))
    units = math.gcd(*(round(value) for value in amounts.values())) if all(len(kind) == 1 for kind in kinds) else 1
    common: dict[str, Any] = {
        "temperature_kelvin": None, "dataset": FILE_DATASET, "source": path.name, "doi": None, "verified": False,
        "origin": path.name, "warnings": tuple(f"{path.name}: {sentence}" for sentence in told),
    }  # fmt: skip
    name = structure_stem(path)
    lengths, angles = Cell(cell).lengths(), Cell(cell).angles()
    cubic = np.ptp(lengths) < symprec and np.abs(angles - 90.0).max() < 0.1
    if prototype is not None and (any_cell or (cubic and abs(lengths[0] - prototype[2]) < symprec)):
        structure_type, phase, edge, species, turn = prototype
        leading = {label: max(kind, key=lambda item: item[1])[0] for label, kind in species.items()}
        sites, group, units = prototype_sites(structure_type, species=leading, name=name, where=str(path))
        mixed = {label: dict(kind) for label, kind in species.items() if len(kind) > 1}
        called = _whole_formula(amounts) if any_cell else name
        whole_of = {kind: _turned(unit, turn.T) for kind, unit in zip(kinds, atoms, strict=True)}
        return Crystal(
            name=_formula(amounts) if mixed else called, phase=phase, structure_type=structure_type, space_group=group,
            lengths=(edge, edge, edge), angles=(90.0, 90.0, 90.0), n_formula_units=units,
            sites=tuple(replace(site, atoms=whole_of[species[site.label]]) for site in sites),
            occupancies=mixed, end_member=name if mixed else "", **common,
        )  # fmt: skip
    # The pseudo-cubic edge of a perovskite is that of one B site, whatever the formula unit counts.
    units = names.count("B") or units
    mixed = {label: dict(kind) for label, kind in zip(names, kinds, strict=True) if len(kind) > 1}
    record = Crystal(
        name=_formula(amounts) if mixed else name, phase="file", structure_type="other", space_group="",
        lengths=(float(lengths[0]), float(lengths[1]), float(lengths[2])),
        angles=(float(angles[0]), float(angles[1]), float(angles[2])),
        sites=tuple(
            Site(label, max(kind, key=lambda item: item[1])[0], (float(x) % 1.0, float(y) % 1.0, float(z) % 1.0))
            for label, kind, (x, y, z) in zip(names, kinds, positions, strict=True)
        ),
        n_formula_units=units, occupancies=mixed, end_member=name if mixed else "", **common,
    )  # fmt: skip
    # Symmetry has moved the cell vectors a little; molecules are rigid.
    left, _, right = np.linalg.svd(np.linalg.inv(cell) @ record.cell)
    return replace(
        record,
        sites=tuple(
            replace(site, atoms=_turned(unit, left @ right)) for site, unit in zip(record.sites, atoms, strict=True)
        ),
    )


_Unit = tuple[tuple[str, float, float, float], ...]


def _turned(unit: _Unit, turn: Any) -> _Unit:
    """A molecule's atoms with their places multiplied from the right by ``turn`` (3, 3)."""
    import numpy as np

    places = np.round(np.array([place for _, *place in unit]).reshape(-1, 3) @ turn, 9).tolist()
    return tuple((name, x, y, z) for (name, *_), (x, y, z) in zip(unit, places, strict=True))


def _numbered(kinds: Sequence[tuple[tuple[str, float], ...]], units: Sequence[_Unit]) -> list[int]:
    """A number for each kind of ion; molecules of one kind that are turned differently get different ones."""
    found: list[tuple[tuple[tuple[str, float], ...], _Unit]] = []
    numbers = []
    for kind, unit in zip(kinds, units, strict=True):
        same = (n for n, (other, body) in enumerate(found) if other == kind and _alike(unit, body))
        number = next(same, len(found))
        if number == len(found):
            found.append((kind, unit))
        numbers.append(number + 1)
    return numbers


def _alike(unit: _Unit, other: _Unit) -> bool:
    """Whether two molecules have their atoms at the same places."""
    import numpy as np

    if len(unit) != len(other):
        return False
    for name, *place in unit:
        gaps = [np.linalg.norm(np.subtract(place, spot)) for symbol, *spot in other if symbol == name]
        if min(gaps, default=np.inf) > _SAME_PLACE_ANGSTROM:
            return False
    return True


def _prototype(
    cell: Any, positions: Any, kinds: Sequence[tuple[tuple[str, float], ...]], *, names: Sequence[str], symprec: float
) -> tuple[str, str, float, dict[str, tuple[tuple[str, float], ...]], Any] | None:
    """Structure type, phase, edge (Å), what stands on each sublattice and the rotation of a cubic prototype; else none.

    ``names`` are the sublattices of the ions; the rotation (3, 3) acts on columns.
    """
    import numpy as np
    import spglib

    distinct = sorted(set(kinds))
    numbers = [distinct.index(kind) + 1 for kind in kinds]
    found = spglib.get_symmetry_dataset((np.asarray(cell), np.asarray(positions), numbers), symprec=symprec)
    if found is None:
        return None
    counts = Counter(int(number) for number in found.std_types)
    fitting = _PROTOTYPES.get((found.number, tuple(sorted(counts.values()))))
    if fitting is None:
        return None
    structure_type, phase = fitting
    edge = round(float(np.cbrt(abs(np.linalg.det(found.std_lattice)))), 10)
    places = {n: np.asarray(found.std_positions)[np.asarray(found.std_types) == n] for n in counts}
    turn = np.asarray(found.std_rotation_matrix)
    if structure_type != "perovskite":
        label = dict(zip(kinds, names, strict=True))
        cation, anion = sorted(counts, key=lambda n: (label[distinct[n - 1]].startswith("anion"), n))
        return structure_type, phase, edge, {"cation": distinct[cation - 1], "anion": distinct[anion - 1]}, turn
    (x,) = (n for n, count in counts.items() if count == 3)
    gap = {
        n: float(np.linalg.norm((places[x] - places[n][0] + 0.5) % 1.0 - 0.5, axis=1).min()) for n in counts if n != x
    }
    b, a = sorted(gap, key=lambda n: gap[n])
    return structure_type, phase, edge, {"A": distinct[a - 1], "B": distinct[b - 1], "X": distinct[x - 1]}, turn


def _labels(kinds: Sequence[tuple[tuple[str, float], ...]]) -> list[str]:
    """Sublattices by charge; mixed sites of different shares get labels of their own."""
    species = [kind[0][0] for kind in kinds]
    known = set(species) <= set(FORMAL_CHARGES)
    names = sublattices_of(species) if known else [""] * len(species)
    mixed = {name: sorted({kind for kind, n in zip(kinds, names, strict=True) if n == name}) for name in set(names)}
    return [
        name if len(kind) == 1 or len(mixed[name]) == 1 else f"{name}{mixed[name].index(kind) + 1}"
        for name, kind in zip(names, kinds, strict=True)
    ]


def _whole_formula(amounts: Mapping[str, float]) -> str:
    """A formula of whole numbers, as data sets name it; what the file is called says nothing of the phase."""
    order = [name for name in FORMULA_ORDER if name in amounts] + sorted(set(amounts) - set(FORMULA_ORDER))
    divisor = math.gcd(*(round(value) for value in amounts.values()))
    counts = {name: round(amounts[name]) // divisor for name in order}
    return "".join(f"{name}{'' if count == 1 else count}" for name, count in counts.items())


def _formula(amounts: Mapping[str, float]) -> str:
    """A formula of shares, cations first, per the rarest site-filling whole: ``CsPbBr2I``, ``CsPb0.6Sn0.4I3``."""
    order = [name for name in FORMULA_ORDER if name in amounts] + sorted(set(amounts) - set(FORMULA_ORDER))
    by_charge: Counter[int] = Counter()
    for name, value in amounts.items():
        by_charge[FORMAL_CHARGES.get(name) or 0] += value  # type: ignore[assignment]
    least = min(by_charge.values())
    shown = [(name, round(amounts[name] / least, 2)) for name in order]
    return "".join(f"{name}{'' if value == 1 else f'{value:g}'}" for name, value in shown)
