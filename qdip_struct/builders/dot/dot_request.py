"""Requests for dots, in words: the fields are the options of ``qdip build dot``. Lengths in Å."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from ase import Atoms

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.material import Material, material
from qdip_struct.builders.atoms.orientation import parse_indices
from qdip_struct.builders.dot.dot import cut, dot_atoms, dot_report, in_vacuum, scale_for
from qdip_struct.builders.dot.embedding_options import Center, DotForm
from qdip_struct.builders.dot.parent import Termination
from qdip_struct.builders.dot.passivation import passivate
from qdip_struct.builders.dot.shapes import Shape, make_shape
from qdip_struct.builders.dot.shell import Shell, make_shell
from qdip_struct.builders.parsing import numbers

Surface = Literal["as-cut", "stoichiometric", "metal-rich"]


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


def requested_form(request: FormRequest, *, core: Material | None = None, counted: Termination = "site") -> DotForm:
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
    core = material(request.material, dataset=request.dataset)
    if request.lattice is not None:
        core = core.at(lattice=request.lattice)
    if len({site.label for site in core.crystal.sites} & {"cation", "anion"}) != 2:
        raise UsageError(f"{core.name} is no binary compound; a free dot is cut from PbS, CdSe and the like")
    raw = cut(core, form=requested_form(request, core=core), seed=request.seed)
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
