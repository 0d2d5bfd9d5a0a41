"""Requests for dots, in words: the fields are the options of ``qdip build dot``. Lengths in Å.

A request for dots in a matrix, in words: the fields are the options of ``qdip build embed``. Lengths in Å.

A request for a bulk crystal, in words: one cell or a supercell of a pure or mixed material. Lengths in Å.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ase import Atoms

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Occupation
from qdip_struct.builders.atoms.molecules import MoleculeOrientation
from qdip_struct.builders.atoms.orientation import parse_indices, parse_rotation
from qdip_struct.builders.atoms.regions import report
from qdip_struct.builders.dot.dot import cut_dot, dot_atoms, dot_report, in_vacuum, scale_for
from qdip_struct.builders.dot.embed import Embedded, embed_dot
from qdip_struct.builders.dot.embedding_options import (
    Balance,
    Center,
    DotArrangement,
    DotForm,
    DotPlacement,
    Mode,
    Shell,
    make_shell,
)
from qdip_struct.builders.dot.matrix import matrix_of
from qdip_struct.builders.dot.neutrality import Neutral, Rule
from qdip_struct.builders.dot.parent import Termination, on_parent_lattice
from qdip_struct.builders.dot.passivation import Surface, passivate
from qdip_struct.builders.dot.shapes import Shape, make_shape
from qdip_struct.builders.parsing import numbers, refuse_given, whole_numbers
from qdip_struct.materials.crystals import Crystal, scaled
from qdip_struct.materials.structure_files import crystal_named, crystal_of


@dataclass(frozen=True, kw_only=True)
class FormRequest:
    """Shape, size, centre, border and shell of a dot, as typed.

    Attributes
    ----------
    shape
        Its name, see :func:`qdip_struct.builders.dot.shapes.make_shape`.
    diameter, edges
        Å; ``X,Y,Z`` full widths of a cuboid or ellipsoid.
    atoms
        Number of ions instead of a size.
    energies, facets
        ``HKL=E,...`` surface energies (any one unit) for Wulff's shape, or ``HKL=D,...`` distances of facets from
        the centre, Å.
    center, termination
        See :class:`qdip_struct.builders.dot.embedding_options.DotForm`.
    shell, shell_thickness
        Material and thickness (Å) of a shell.
    """

    shape: str = "sphere"
    diameter: float | None = None
    edges: str | None = None
    atoms: int | None = None
    energies: str | None = None
    facets: str | None = None
    center: Center = "auto"
    termination: Termination | None = None
    shell: str | None = None
    shell_thickness: float = 10.0


@dataclass(frozen=True, kw_only=True)
class DotRequest(FormRequest):
    """What ``qdip build dot`` takes, as typed.

    Attributes
    ----------
    material
        ``NAME[:phase]`` or a mixture.
    lattice
        (Pseudo-)cubic lattice constant, Å.
    surface, ligand, counter_ion
        See :func:`qdip_struct.builders.dot.passivation.passivate`.
    vacuum
        Between the dot and its images, Å.
    dataset
        Of the lattice constants.
    seed
        Decides what symmetry leaves open.
    """

    material: str
    lattice: float | None = None
    surface: Surface = "as-cut"
    ligand: str | None = None
    counter_ion: str | None = None
    vacuum: float = 15.0
    dataset: str | None = None
    seed: int = 0


def requested_shape(request: FormRequest) -> Shape:
    """The shape that is described; an option that the shape does not use is a :class:`UsageError`."""
    energies = _by_plane(request.energies, what="surface energy")
    distances = _by_plane(request.facets, what="distance of the facet")
    name = "facets" if distances is not None else request.shape
    uses = {"edges": ("cuboid", "ellipsoid"), "energies": ("wulff",), "facets": ("facets",)}
    for option, shapes in uses.items():
        if getattr(request, option) is not None and name not in shapes:
            raise UsageError(f"--{option} belongs to {' or '.join(shapes)}, not to a {name}")
    if request.diameter is not None and name in ("cuboid", "ellipsoid", "facets"):
        source = "facets" if name == "facets" else "edges"
        raise UsageError(f"a {name} has its size from --{source}; leave --diameter out")
    if request.atoms is not None and request.diameter is not None:
        raise UsageError("give --diameter or --atoms, not both")
    edges = None if request.edges is None else numbers(request.edges, what="--edges", count=3)
    diameter = 30.0 if request.diameter is None else request.diameter
    return make_shape(name, diameter=diameter, edges=edges, energies=energies, distances=distances)


def requested_shell(request: FormRequest) -> Shell | None:
    """The shell that is described, None without one."""
    return None if request.shell is None else make_shell(request.shell, thickness=request.shell_thickness)


def requested_form(request: FormRequest, *, core: Crystal | None = None, counted: Termination = "site") -> DotForm:
    """Shape, centre, border and shell; the shape is scaled to the number of ions where one is asked for.

    Parameters
    ----------
    request
        What is wanted.
    core
        What the dot is cut from, at the lattice constant it will have; ``None`` for a dot that exists.
    counted
        Border rule by which ions are counted when none is asked for.
    """
    shell = requested_shell(request)
    form = DotForm(requested_shape(request), center=request.center, termination=request.termination, shell=shell)
    if request.atoms is None or core is None:
        return form
    factor = scale_for(core, form=replace(form, termination=form.termination or counted), n_atoms=request.atoms)
    return replace(form, shape=form.body.scaled(factor))


def requested_dot(request: DotRequest) -> tuple[Atoms, dict[str, Any]]:
    """Cut, finish and box the dot of a request: its atoms and its report.

    Raises
    ------
    UsageError
        If an option is not possible.
    """
    core = crystal_named(request.material, dataset=request.dataset)
    if request.lattice is not None:
        core = scaled(core, lattice=request.lattice)
    if len({site.label for site in core.sites} & {"cation", "anion"}) != 2:
        raise UsageError(f"{core.name} is no binary compound; a free dot is cut from PbS, CdSe and the like")
    raw = cut_dot(core, form=requested_form(request, core=core), seed=request.seed)
    dot, changes = passivate(
        raw, surface=request.surface, ligand=request.ligand, counter_ion=request.counter_ion, seed=request.seed
    )
    atoms = in_vacuum(dot_atoms(dot), vacuum=request.vacuum)
    return atoms, dot_report(atoms, dot=dot, changes=changes, seed=request.seed)


def _by_plane(text: str | None, *, what: str) -> dict[tuple[int, int, int], float] | None:
    """Numbers by Miller indices: ``100=16,111=20``."""
    if text is None:
        return None
    found = {}
    for part in text.split(","):
        plane, _, number = part.partition("=")
        found[parse_indices(plane)] = numbers(number, what=f"the {what} of {plane}", count=1)[0]
    return found


@dataclass(frozen=True)
class BulkRequest:
    """A crystal, how many cells of it, and how its sites are filled.

    Attributes
    ----------
    material
        ``NAME[:phase]``, a mixture, or a structure file.
    cells
        Conventional cells along its vectors, ``N,N,N``.
    lattice
        (Pseudo-)cubic lattice constant, Å.
    dataset
        Of the lattice constants.
    a_site, orientation, seed
        See :class:`qdip_struct.builders.atoms.cells.Occupation`.
    """

    material: str
    cells: str = "1,1,1"
    lattice: float | None = None
    dataset: str | None = None
    a_site: str = "molecule"
    orientation: MoleculeOrientation = "antiparallel"
    seed: int = 0


def requested_bulk(request: BulkRequest, *, folder: Path = Path()) -> tuple[Atoms, dict[str, Any]]:
    """Build the cell of a request: its atoms and its report.

    Raises
    ------
    UsageError
        If an option is not possible, or the cell holds no whole number of each ion of a mixture.
    """
    body = crystal_of(request.material, dataset=request.dataset, folder=folder)
    if request.lattice is not None:
        if not isinstance(body, Crystal):
            raise UsageError(f"{request.material} is a structure file: its lattice is taken as it is, drop the lattice")
        body = scaled(body, lattice=request.lattice)
    cells = whole_numbers(request.cells, what="cells", count=3)
    occupation = Occupation(request.a_site, request.orientation, request.seed)
    atoms = matrix_of(body, cells=cells, occupation=occupation).atoms
    source = body.source if isinstance(body, Crystal) else None
    return atoms, report(atoms, seed=request.seed, role="single", material=request.material, source=source)


@dataclass(frozen=True, kw_only=True)
class EmbedRequest(FormRequest):
    """What ``qdip build embed`` takes, as typed.

    Attributes
    ----------
    dot, matrix
        ``NAME[:phase]``, a mixture, or a structure file.
    cells
        Conventional cells of the matrix, ``N,N,N``.
    lattice
        (Pseudo-)cubic lattice constant of the matrix, Å.
    a_site, orientation, seed
        See :class:`qdip_struct.builders.atoms.cells.Occupation`.
    dot_lattice
        Lattice constant of the dot, Å, or ``own``.
    rotate, mode
        See :func:`qdip_struct.builders.atoms.orientation.parse_rotation`,
        :class:`qdip_struct.builders.dot.embedding_options.DotPlacement`.
    neutral, rule
        See :class:`qdip_struct.builders.dot.embedding_options.Balance`.
    interface_depth
        Atoms this near to the other side are labelled ``interface``, Å.
    array, random, volume_fraction
        Several dots: ``N,N,N``; how many; up to which part of the volume.
    spacing
        Least matrix between random dots, Å.
    dataset
        Of the lattice constants.
    """

    dot: str
    matrix: str
    cells: str = "8,8,8"
    lattice: float | None = None
    a_site: str = "molecule"
    orientation: MoleculeOrientation = "antiparallel"
    dot_lattice: str | None = None
    rotate: str | None = None
    mode: Mode = "auto"
    neutral: Neutral = "strict"
    rule: Rule = "swap"
    interface_depth: float = 3.5
    array: str | None = None
    random: int | None = None
    volume_fraction: float | None = None
    spacing: float = 0.0
    dataset: str | None = None
    seed: int = 0


def requested_embedding(request: EmbedRequest, *, folder: Path = Path()) -> Embedded:
    """Put the dots of a request into its matrix.

    Parameters
    ----------
    request
        What is wanted.
    folder
        Where relative names of structure files start.

    Raises
    ------
    UsageError
        If an option is not possible.
    """
    dot, matrix = (crystal_of(word, dataset=request.dataset, folder=folder) for word in (request.dot, request.matrix))
    turn, absolute = _rotation(request.rotate, dot=dot, matrix=matrix)
    lattice = _dot_lattice(request.dot_lattice, dot=dot)
    return embed_dot(
        dot,
        matrix,
        form=_form(request, dot=dot, matrix=matrix),
        cells=whole_numbers(request.cells, what="--cells"),
        lattice=request.lattice,
        placement=DotPlacement(request.mode, lattice, turn, absolute, _positions(request)),
        balance=Balance(request.neutral, request.rule),
        occupation=Occupation(request.a_site, request.orientation, request.seed),
        interface_depth=request.interface_depth,
    )


def _rotation(text: str | None, *, dot: Crystal | Atoms, matrix: Crystal | Atoms) -> tuple[Any, bool]:
    if text is None:
        return None, False
    crystals = [body if isinstance(body, Crystal) else None for body in (dot, matrix)]
    return parse_rotation(text, dot=crystals[0], matrix=crystals[1])


def _dot_lattice(text: str | None, *, dot: Crystal | Atoms) -> float | None:
    if text is None:
        return None
    if not isinstance(dot, Crystal):
        raise UsageError("a dot from a file has its lattice; leave --dot-lattice out")
    return dot.a_angstrom if text == "own" else numbers(text, what="--dot-lattice", count=1)[0]


def _form(request: EmbedRequest, *, dot: Crystal | Atoms, matrix: Crystal | Atoms) -> DotForm:
    """What is cut; a number of ions counts those of the dot at the lattice constant it will have."""
    if not isinstance(dot, Crystal):
        unused = ("diameter", "edges", "atoms", "energies", "facets", "termination", "shell")
        refuse_given(request, dict.fromkeys(unused), where="with a dot from a file, which has its size")
        return requested_form(request)
    core = dot
    counted: Termination = "site"
    if isinstance(matrix, Crystal) and on_parent_lattice(dot) and on_parent_lattice(matrix):
        counted = "BX2" if matrix.structure_type == "perovskite" else "site"
        if request.rotate is None and request.dot_lattice is None:
            core = scaled(dot, lattice=request.lattice or matrix.a_angstrom)
    return requested_form(request, core=core, counted=counted)


def _positions(request: EmbedRequest) -> Sequence[Sequence[float]] | DotArrangement:
    asked = [name for name in ("array", "random", "volume_fraction") if getattr(request, name) is not None]
    if len(asked) > 1:
        raise UsageError("give one of --array, --random and --volume-fraction")
    if request.spacing and not {"random", "volume_fraction"} & set(asked):
        raise UsageError("--spacing belongs to random dots: --random N or --volume-fraction F")
    if not asked:
        return ((0.5, 0.5, 0.5),)
    if request.array is not None:
        x, y, z = whole_numbers(request.array, what="--array", count=3)
        return DotArrangement("array", counts=(x, y, z))
    return DotArrangement("random", n=request.random, volume_fraction=request.volume_fraction, spacing=request.spacing)
