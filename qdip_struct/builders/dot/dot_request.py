"""Requests for dots, in words: the fields are the options of ``qdip build dot``, ``embed`` and ``attach``; also bulk.

Lengths in Å. Long because the four ways to ask for a dot share their options and what a refused one proposes instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qdip_struct.base.errors import UsageError
from qdip_struct.base.options import option
from qdip_struct.builders.parsing import (
    DEFAULT_DIAMETER_ANGSTROM,
    SHAPES,
    Center,
    DotIs,
    Mode,
    Neutral,
    Rule,
    Surface,
    Termination,
    Top,
    numbers,
    refuse_given,
    whole_numbers,
)
from qdip_struct.materials.ions import charges_given
from qdip_struct.materials.options import (
    Arrangement,
    MoleculeOrientation,
    a_site_option,
    arrangement_option,
    charges_option,
    crystals_option,
    dataset_option,
    lattice_option,
    orientation_option,
    seed_option,
    symprec_option,
    temperature_option,
    vacuum_option,
)

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.builders.dot.dot import DotSites
    from qdip_struct.builders.dot.embed import Embedded
    from qdip_struct.builders.dot.embedding_options import DotArrangement, DotForm, Shell
    from qdip_struct.builders.dot.shapes import Shape
    from qdip_struct.materials.crystals import Crystal

_FORM, _FINISH = "shape and size of the dot", "surface of the dot"
_PUT_IN, _SEVERAL = "how it is put in", "several dots in one matrix"
_ATTACHED, _BURIED = "attached dot", "buried dots"


@dataclass(frozen=True, kw_only=True)
class FormRequest:
    """Shape, size, centre, border and shell of a dot, as typed."""

    shape: str = option("sphere", group=_FORM, help=f"one of {', '.join(SHAPES)}")
    diameter: float | None = option(
        None, metavar="A", group=_FORM, shown=f"{DEFAULT_DIAMETER_ANGSTROM:g} Å",
        help="of a sphere or rod, edge of a cube, lateral edge of a platelet, else that of the sphere of equal volume",
    )  # fmt: skip
    length: float | None = option(None, metavar="A", unit="Å", group=_FORM, help="length of a rod")
    axis: str = option("001", metavar="UVW", group=_FORM, help="direction of a rod in Cartesian axes of the crystal")
    thickness: str | None = option(
        None,
        metavar="A|nML",
        group=_FORM,
        help="of a platelet along z: in Å, or 4ML for four planes of metals' distance",
    )
    edges: str | None = option(
        None, metavar="X,Y,Z", unit="Å", group=_FORM, help="full widths of a cuboid or ellipsoid"
    )
    atoms: int | None = option(
        None, metavar="N", group=_FORM, help="size by number of ions instead, as near as the shape allows"
    )
    energies: str | None = option(
        None, metavar="HKL=E,...", group=_FORM, help="surface energies for wulff, any one unit: 100=16,111=20"
    )
    facets: str | None = option(
        None, metavar="HKL=D,...", group=_FORM,
        help="facets and their distances from the centre in Å: 100=12,111=14; the shape is then facets",
    )  # fmt: skip
    center: Center = option(
        "auto", group=_FORM,
        help="what lies in the centre; auto: metal or A site, whichever comes nearer to the volume asked for",
    )  # fmt: skip
    termination: Termination | None = option(
        None, group=_FORM, shown="BX2 for rock salt in perovskite",
        help="who takes border sites of the lattice shared with the matrix",
    )  # fmt: skip
    shell: str | None = option(
        None, metavar="NAME", group=_FORM, help="shell: CdS, Cd0.5Zn0.5S, or CdZnS graded from Cd to Zn"
    )
    shell_thickness: float = option(10.0, metavar="A", unit="Å", group=_FORM, help="thickness of the shell")


_Form = TypeVar("_Form", bound=FormRequest)


@dataclass(frozen=True, kw_only=True)
class DotRequest(FormRequest):
    """What ``qdip build dot`` takes, as typed."""

    material: str = option(metavar="CRYSTAL", help="NAME[:phase], a mixture such as PbS0.5Se0.5, or a crystal's file")
    lattice: float | None = lattice_option()
    surface: Surface = option("as-cut", group=_FINISH, help="what is done with excess ions")
    ligand: str | None = option(
        None,
        metavar="X",
        group=_FINISH,
        help="halide: F, Cl, Br, I; or acetate, formate, oleate, PEA, BA, MA",
    )
    counter_ion: str | None = option(
        None, metavar="ION", group=_FINISH, help="MA, FA, Cs, PEA, BA, ...: cover with halides and balance them"
    )
    vacuum: float = vacuum_option(15.0, where="between dot and images")
    dataset: str | None = dataset_option()
    temperature: float | None = temperature_option()
    crystals: tuple[Path, ...] = crystals_option()
    symprec: float = symprec_option()
    seed: int = seed_option()
    charges: str | None = charges_option()


def requested_shape(request: FormRequest, *, core: "Crystal | None" = None) -> "Shape":
    """The shape that is described; an option that the shape does not use is a :class:`UsageError`.

    ``core`` is the crystal whose monolayers are counted.
    """
    from qdip_struct.builders.atoms.orientation import parse_indices
    from qdip_struct.builders.dot.shapes import make_shape

    energies = _by_plane(request.energies, what="surface energy")
    distances = _by_plane(request.facets, what="distance of the facet")
    name = "facets" if distances is not None else request.shape
    uses = {
        "edges": ("cuboid", "ellipsoid"), "energies": ("wulff",), "facets": ("facets",), "length": ("rod",),
        "axis": ("rod",), "thickness": ("platelet",),
    }  # fmt: skip
    defaults = {item.name: item.default for item in fields(FormRequest)}
    for given, shapes in uses.items():
        if getattr(request, given) != defaults[given] and name not in shapes:
            raise UsageError(f"--{given} belongs to {' or '.join(shapes)}, not to a {name}")
    if request.diameter is not None and name in ("cuboid", "ellipsoid", "facets"):
        source = "facets" if name == "facets" else "edges"
        raise UsageError(f"a {name} has its size from --{source}; leave --diameter out")
    if request.atoms is not None and request.diameter is not None:
        raise UsageError("give --diameter or --atoms, not both")
    if request.atoms is not None and name in ("rod", "platelet"):
        raise UsageError(f"the size of a {name} is its --diameter and its own length or thickness; leave --atoms out")
    edges = None if request.edges is None else numbers(request.edges, what="--edges", count=3)
    diameter = DEFAULT_DIAMETER_ANGSTROM if request.diameter is None else request.diameter
    return make_shape(
        name, diameter=diameter, edges=edges, energies=energies, distances=distances, length=request.length,
        axis=parse_indices(request.axis), thickness=_thickness(request.thickness, core=core),
    )  # fmt: skip


def _thickness(text: str | None, *, core: "Crystal | None") -> float | None:
    """Å, from Å or from a number of monolayers of the crystal."""
    from qdip_struct.builders.dot.dot import monolayer

    if text is None:
        return None
    if not text.upper().endswith("ML"):
        return numbers(text, what="--thickness", count=1)[0]
    count = whole_numbers(text[:-2], what="--thickness", count=1)[0]
    if core is None or count < 1:
        raise UsageError(f"--thickness is '{text}'; expected Å, or one or more monolayers of a crystal such as 4ML")
    return count * monolayer(core)


def requested_shell(request: FormRequest) -> "Shell | None":
    """The shell that is described, None without one."""
    from qdip_struct.builders.dot.embedding_options import make_shell

    return None if request.shell is None else make_shell(request.shell, thickness=request.shell_thickness)


def requested_form(request: FormRequest, *, core: "Crystal | None" = None, counted: Termination = "site") -> "DotForm":
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
    from qdip_struct.builders.dot.dot import scale_for
    from qdip_struct.builders.dot.embedding_options import DotForm

    shell = requested_shell(request)
    form = DotForm(
        requested_shape(request, core=core), center=request.center, termination=request.termination, shell=shell
    )
    if request.atoms is None or core is None:
        return form
    factor = scale_for(core, form=replace(form, termination=form.termination or counted), n_atoms=request.atoms)
    return replace(form, shape=form.body.scaled(factor))


def requested_dot(request: DotRequest, *, folder: Path = Path()) -> "tuple[Atoms, dict[str, Any]]":
    """Cut, finish and box the dot of a request: its atoms and its report.

    Parameters
    ----------
    request
        What is wanted.
    folder
        Where the relative name of a structure file starts.

    Raises
    ------
    UsageError
        If an option is not possible.
    """
    from qdip_struct.builders.atoms.cells import crystal_to_cut, refuse_unused
    from qdip_struct.builders.dot.dot import dot_atoms, dot_report, in_vacuum

    charges = charges_given(request.charges)
    core = crystal_to_cut(
        request.material, dataset=request.dataset, temperature=request.temperature, lattice=request.lattice,
        charges=charges, files=tuple(folder / path for path in request.crystals), folder=folder,
        symprec=request.symprec,
    )  # fmt: skip
    refuse_unused(charges, core)
    dot, changes, share = _finished(request, core=core)
    atoms = in_vacuum(dot_atoms(dot), vacuum=request.vacuum)
    content = dot_report(atoms, dot=dot, changes=changes, seed=request.seed)
    strained = _initial_strain(request, dot=dot, own=core.a_angstrom, folder=folder)
    return atoms, {**content, "surface": request.surface, "share_changed": share, **strained}


def _initial_strain(
    request: "DotRequest | AttachRequest", *, dot: "DotSites", own: float, folder: Path
) -> dict[str, Any]:
    from qdip_struct.builders.dot.dot import initial_strain

    files = tuple(folder / path for path in request.crystals)
    return initial_strain(dot, own=own, dataset=request.dataset, temperature=request.temperature, files=files)


def _finished(
    request: "DotRequest | AttachRequest", *, core: "Crystal"
) -> "tuple[DotSites, list[dict[str, Any]], float]":
    """Cut and finish the dot; a refusal proposes what was tried and does."""
    try:
        return _cut_and_finished(request, core=core)
    except UsageError as error:
        proposal = _proposal(request, core=core)
        if not proposal:
            raise
        raise UsageError(f"{error}; {proposal} would do") from error


def _cut_and_finished(
    request: "DotRequest | AttachRequest", *, core: "Crystal"
) -> "tuple[DotSites, list[dict[str, Any]], float]":
    from qdip_struct.builders.dot.passivation import finished_dot

    return finished_dot(
        core, form=requested_form(request, core=core), surface=request.surface, ligand=request.ligand,
        counter_ion=getattr(request, "counter_ion", None), seed=request.seed,
    )  # fmt: skip


def _proposal(request: "DotRequest | AttachRequest", *, core: "Crystal") -> str:
    """The first change of a refused request that was tried and does, as options; empty when none does."""
    from qdip_struct.materials.ions import HALIDES

    own = next((site.species for site in core.sites if site.species in HALIDES), "I")
    ligand = request.ligand or own
    tried: list[dict[str, Any]] = [{"surface": "as-cut", "ligand": ligand}, {"surface": "stoichiometric"}]
    if request.center != "auto":
        tried.append({"center": "auto"})
    sizes: list[dict[str, Any]] = []
    if request.atoms is not None:
        sizes = [{"atoms": request.atoms * factor} for factor in (2, 4)]
    elif request.edges is None and request.facets is None:
        size = request.diameter or DEFAULT_DIAMETER_ANGSTROM
        sizes = [{"diameter": round(size * factor, 1)} for factor in (1.25, 1.5, 2.0)]
    tried += sizes + [{"surface": "stoichiometric", **larger} for larger in sizes]
    if request.ligand is None:
        tried.append({"surface": "as-cut"})
    for change in tried:
        if all(getattr(request, name) == value for name, value in change.items()):
            continue
        try:
            _cut_and_finished(replace(request, **change), core=core)
        except UsageError:
            continue
        return " ".join(f"--{name} {value}" for name, value in change.items() if value != getattr(request, name))
    return ""


def _by_plane(text: str | None, *, what: str) -> dict[tuple[int, int, int], float] | None:
    """Numbers by Miller indices: ``100=16,111=20``."""
    if text is None:
        return None
    from qdip_struct.builders.atoms.orientation import parse_indices

    found = {}
    for part in text.split(","):
        plane, _, number = part.partition("=")
        found[parse_indices(plane)] = numbers(number, what=f"the {what} of {plane}", count=1)[0]
    return found


@dataclass(frozen=True, kw_only=True)
class BulkRequest:
    """A crystal, how many cells of it, and how its sites are filled."""

    material: str = option(metavar="CRYSTAL", help="NAME[:phase], a mixture, or a structure file")
    cells: str = option("1,1,1", metavar="N,N,N", help="conventional cells along its vectors")
    lattice: float | None = lattice_option(scales_files=True)
    dataset: str | None = dataset_option()
    temperature: float | None = temperature_option()
    crystals: tuple[Path, ...] = crystals_option()
    symprec: float = symprec_option()
    a_site: str = a_site_option()
    orientation: MoleculeOrientation = orientation_option()
    arrangement: Arrangement = arrangement_option()
    seed: int = seed_option()
    charges: str | None = charges_option()


def requested_bulk(request: BulkRequest, *, folder: Path = Path()) -> "tuple[Atoms, dict[str, Any]]":
    """Build the cell of a request: its atoms and its report.

    Raises
    ------
    UsageError
        If an option is not possible, or the cell holds no whole number of each ion of a mixture.
    """
    from qdip_struct.builders.atoms.cells import Occupation, material_of, refuse_unused
    from qdip_struct.builders.atoms.regions import report
    from qdip_struct.builders.dot.matrix import matrix_of
    from qdip_struct.materials.crystals import Crystal, lattice_facts
    from qdip_struct.materials.structure_files import refuse_temperature

    refuse_temperature(request.material, request.temperature, folder=folder)
    charges = charges_given(request.charges)
    body = material_of(
        request.material, dataset=request.dataset, temperature=request.temperature, lattice=request.lattice,
        charges=charges, files=tuple(folder / path for path in request.crystals), folder=folder,
        symprec=request.symprec,
    )  # fmt: skip
    refuse_unused(charges, body)
    cells = whole_numbers(request.cells, what="cells", count=3)
    occupation = Occupation(request.a_site, request.orientation, request.seed, request.arrangement)
    atoms = matrix_of(body, cells=cells, occupation=occupation).atoms
    source = body.source if isinstance(body, Crystal) else body.info.get("scaled")
    facts = lattice_facts({"material": body} if isinstance(body, Crystal) else {})
    return atoms, report(atoms, seed=request.seed, role="single", material=request.material, source=source, **facts)


@dataclass(frozen=True, kw_only=True)
class EmbedRequest(FormRequest):
    """What ``qdip build embed`` takes, as typed."""

    dot: str = option(metavar="NAME", help="NAME[:phase], a mixture, or a file with a crystal or a finished dot")
    dot_is: DotIs = option(
        "auto", group=_PUT_IN,
        help="what a file holds: a crystal to cut from, or a finished dot; auto: periodic without vacuum is a crystal",
    )  # fmt: skip
    matrix: str = option(metavar="NAME", help="NAME[:phase], a mixture, or a structure file")
    cells: str = option("8,8,8", metavar="N,N,N", help="conventional cells of the matrix")
    lattice: float | None = lattice_option("matrix")
    a_site: str = a_site_option()
    orientation: MoleculeOrientation = orientation_option()
    arrangement: Arrangement = arrangement_option("matrix")
    dot_lattice: str | None = option(None, metavar="A", group=_PUT_IN, help="lattice constant of the dot, Å, or 'own'")
    rotate: str | None = option(
        None, metavar="HOW", group=_PUT_IN,
        help="AXIS,DEG (001,45), euler:F1,F,F2, or (hkl)[uvw]||(hkl)[uvw]: cut and insert",
    )  # fmt: skip
    mode: Mode = option("auto", group=_PUT_IN, help="coherent: one lattice; insert: the dot keeps its own")
    neutral: Neutral = option("strict", group=_PUT_IN, help="what is done about the charge")
    rule: Rule = option("swap", group=_PUT_IN, help="what neutrality changes")
    interface_depth: float = option(
        3.5, metavar="A", unit="Å", group=_PUT_IN, help="atoms this near to the other side are labelled interface"
    )
    array: str | None = option(None, metavar="N,N,N", group=_SEVERAL, help="periodic array of N × N × N equal dots")
    random: int | None = option(None, metavar="N", group=_SEVERAL, help="N dots at random places that do not overlap")
    volume_fraction: float | None = option(
        None, metavar="F", group=_SEVERAL, help="random dots up to this fraction, 0-1"
    )
    spacing: float = option(0.0, metavar="A", unit="Å", group=_SEVERAL, help="least matrix between random dots")
    dataset: str | None = dataset_option()
    temperature: float | None = temperature_option()
    crystals: tuple[Path, ...] = crystals_option()
    symprec: float = symprec_option()
    seed: int = seed_option()
    charges: str | None = charges_option()


def requested_embedding(request: EmbedRequest, *, folder: Path = Path()) -> "Embedded":
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
    UnbalancedError
        If the whole cannot be made neutral; the message ends with what was tried and does.
    """
    from qdip_struct.builders.dot.neutrality import UnbalancedError

    try:
        return _embedded(request, folder=folder)
    except UnbalancedError as error:
        rules: tuple[Rule, ...] = ("swap", "vacancy")
        tried: list[dict[str, Any]] = [{"rule": rule} for rule in rules if rule != request.rule]
        proposal = _first_that_does(
            request, [*tried, *_other_forms(request)], build=lambda r: _embedded(r, folder=folder)
        )
        proposal = proposal or "--neutral report, which leaves it charged,"
        raise UnbalancedError(f"{error}; {proposal} would do") from error


def _other_forms(request: FormRequest) -> list[dict[str, Any]]:
    """Centres and sizes near those of a request, as changes of its fields."""
    centers: tuple[Center, ...] = ("metal", "a-site", "anion", "bond", "void")
    tried: list[dict[str, Any]] = [{"center": center} for center in centers if center != request.center]
    if request.atoms is None and request.edges is None and request.facets is None:
        size = request.diameter or DEFAULT_DIAMETER_ANGSTROM
        tried += [{"diameter": round(size * factor, 1)} for factor in (1.1, 1.25, 1.5)]
    return tried


def _first_that_does(request: _Form, tried: Sequence[dict[str, Any]], *, build: Callable[[_Form], object]) -> str:
    """The first change of a request with which ``build`` succeeds, as options; empty when none does."""
    for change in tried:
        try:
            build(replace(request, **change))
        except UsageError:
            continue
        return " ".join(f"--{name} {value}" for name, value in change.items())
    return ""


def _embedded(request: EmbedRequest, *, folder: Path) -> "Embedded":
    from qdip_struct.builders.atoms.cells import Occupation, conventional, refuse_unused, sites_of_atoms, with_charges
    from qdip_struct.builders.dot.embed import embed_dot
    from qdip_struct.builders.dot.embedding_options import Balance, DotPlacement
    from qdip_struct.materials.crystals import Crystal
    from qdip_struct.materials.structure_files import crystal_of, is_structure_file, refuse_finished

    files = tuple(folder / path for path in request.crystals)
    taken: dict[str, Any] = {
        "dataset": request.dataset, "temperature": request.temperature, "files": files, "folder": folder,
        "symprec": request.symprec,
    }  # fmt: skip
    given = None if is_structure_file(request.matrix, folder=folder) else request.lattice
    dot = crystal_of(request.dot, **taken, lattice=_given_dot_lattice(request, folder=folder))
    matrix = crystal_of(request.matrix, **taken, lattice=given)
    refuse_finished(matrix, request.matrix)
    charges = charges_given(request.charges)
    refuse_unused(charges, dot, matrix)
    if not isinstance(dot, Crystal) and _is_crystal(request, dot):
        dot = conventional(dot, path=folder / request.dot, charges=charges, symprec=request.symprec)
    if request.mode == "coherent" and not isinstance(matrix, Crystal):
        # Cells are counted in those of the file, so it has to be the conventional one.
        record = conventional(matrix, path=folder / request.matrix, charges=charges, symprec=request.symprec)
        matrix = record if len(record.sites) == len(sites_of_atoms(with_charges(matrix, charges))) else matrix
    dot, matrix = with_charges(dot, charges), with_charges(matrix, charges)
    turn, absolute = _rotation(request.rotate, dot=dot, matrix=matrix)
    lattice = _dot_lattice(request.dot_lattice, dot=dot)
    built = embed_dot(
        dot,
        matrix,
        form=_form(request, dot=dot, matrix=matrix),
        cells=whole_numbers(request.cells, what="--cells"),
        lattice=request.lattice if given is None else None,
        placement=DotPlacement(request.mode, lattice, turn, absolute, _positions(request)),
        balance=Balance(request.neutral, request.rule),
        occupation=Occupation(request.a_site, request.orientation, request.seed, request.arrangement),
        interface_depth=request.interface_depth,
        dataset=request.dataset,
        files=files,
    )
    if is_structure_file(request.dot, folder=folder):
        built.report["dot_is"] = "crystal" if isinstance(dot, Crystal) else "finished"
    return built


def _is_crystal(request: EmbedRequest, found: "Atoms") -> bool:
    """Whether the file of the dot holds a crystal to cut it from, asked for or seen."""
    from qdip_struct.materials.structure_files import why_finished

    finished = why_finished(found)
    if request.dot_is == "crystal" and finished:
        raise UsageError(f"{request.dot} is no crystal to cut a dot from: {finished}; leave --dot-is out")
    return request.dot_is == "crystal" or (request.dot_is == "auto" and not finished)


def _rotation(text: str | None, *, dot: "Crystal | Atoms", matrix: "Crystal | Atoms") -> tuple[Any, bool]:
    from qdip_struct.builders.atoms.orientation import parse_rotation
    from qdip_struct.materials.crystals import Crystal

    if text is None:
        return None, False
    crystals = [body if isinstance(body, Crystal) else None for body in (dot, matrix)]
    return parse_rotation(text, dot=crystals[0], matrix=crystals[1])


def _given_dot_lattice(request: EmbedRequest, *, folder: Path) -> float | None:
    """The number behind --dot-lattice, where there is one and the dot is a crystal, Å."""
    from qdip_struct.materials.structure_files import is_structure_file

    if request.dot_lattice in (None, "own") or is_structure_file(request.dot, folder=folder):
        return None
    return numbers(str(request.dot_lattice), what="--dot-lattice", count=1)[0]


def _dot_lattice(text: str | None, *, dot: "Crystal | Atoms") -> float | None:
    from qdip_struct.materials.crystals import Crystal

    if text is None:
        return None
    if not isinstance(dot, Crystal):
        raise UsageError("a dot from a file has its lattice; leave --dot-lattice out")
    return dot.a_angstrom if text == "own" else numbers(text, what="--dot-lattice", count=1)[0]


def _form(request: EmbedRequest, *, dot: "Crystal | Atoms", matrix: "Crystal | Atoms") -> "DotForm":
    """What is cut; a number of ions counts those of the dot at the lattice constant it will have."""
    from qdip_struct.builders.dot.parent import on_parent_lattice
    from qdip_struct.materials.crystals import Crystal, scaled

    if not isinstance(dot, Crystal):
        unused = ("diameter", "edges", "atoms", "energies", "facets", "length", "thickness", "termination", "shell")
        refuse_given(request, unused, where="with a dot from a file, which has its size")
        return requested_form(request)
    core = dot
    counted: Termination = "site"
    if isinstance(matrix, Crystal) and on_parent_lattice(dot) and on_parent_lattice(matrix):
        counted = "BX2" if matrix.structure_type == "perovskite" else "site"
        if request.rotate is None and request.dot_lattice is None:
            core = scaled(dot, lattice=request.lattice or matrix.a_angstrom)
    return requested_form(request, core=core, counted=counted)


def _positions(request: EmbedRequest) -> "Sequence[Sequence[float]] | DotArrangement":
    from qdip_struct.builders.dot.embedding_options import DotArrangement

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


@dataclass(frozen=True, kw_only=True)
class AttachRequest(FormRequest):
    """What ``qdip build attach`` takes, as typed."""

    dot: str = option(metavar="NAME", help="NAME[:phase], a mixture such as PbS0.5Se0.5, or a crystal's file")
    matrix: str | None = option(
        None, metavar="NAME", help="cubic perovskite of the slab: NAME[:phase], a mixture or a crystal's file"
    )
    cells: str = option("6,6,3", metavar="N,N,N", help="parent cells of the slab")
    lattice: float | None = lattice_option("matrix")
    a_site: str = a_site_option()
    arrangement: Arrangement = arrangement_option("matrix")
    slab: Path | None = option(None, metavar="FILE", help="slab from a file instead of a matrix")
    top: Top = option("BX2", help="upper surface of the slab")
    dot_lattice: float | None = option(
        None, metavar="A", unit="Å", group=_ATTACHED, shown="its own", help="lattice constant of the dot"
    )
    facet: str = option("100", metavar="HKL", group=_ATTACHED, help="facet of the dot that faces the slab")
    twist: float = option(0.0, metavar="DEG", unit="degree", group=_ATTACHED, help="rotation about the normal")
    registry: str = option(
        "continuation", group=_ATTACHED, help="continuation, metal, hollow, or fractions such as 0.5,0"
    )
    gap: float | None = option(
        None, metavar="A", unit="Å", group=_ATTACHED, shown="until ions touch", help="layer to layer"
    )
    surface: Surface = option("stoichiometric", group=_ATTACHED, help="what is done with excess ions of the dot")
    ligand: str | None = option(None, metavar="X", group=_ATTACHED, help="what makes the dot neutral, as in build dot")
    overgrown: int | None = option(
        None, metavar="N", group=_BURIED, help="cells of the matrix grown over the slab and dots"
    )
    array: str = option("1,1", metavar="N,N", group=_BURIED, help="buried dots along x and y")
    vacuum: float = vacuum_option(where="above everything")
    dataset: str | None = dataset_option()
    temperature: float | None = temperature_option()
    crystals: tuple[Path, ...] = crystals_option()
    symprec: float = symprec_option()
    seed: int = seed_option()
    charges: str | None = charges_option()


_ATTACHED_ONLY = (
    "facet",
    "twist",
    "registry",
    "gap",
    "ligand",
    "surface",
    "dot_lattice",
    "shell",
    "termination",
    "top",
)


def requested_attachment(request: AttachRequest, *, folder: Path = Path()) -> "Embedded":
    """Put the dot of a request on its slab, or bury dots below what grows over it.

    Parameters
    ----------
    request
        What is wanted.
    folder
        Where the relative name of a slab's file starts.

    Raises
    ------
    UsageError
        If an option is not possible.
    UnbalancedError
        If buried dots cannot be made neutral; the message ends with what was tried and does.
    """
    from qdip_struct.builders.atoms.cells import crystal_to_cut, refuse_unused
    from qdip_struct.builders.dot.neutrality import SHOWN, UnbalancedError
    from qdip_struct.materials.structure_files import read_structure

    if (request.matrix is None) == (request.slab is None):
        raise UsageError("give the slab by --matrix or by --slab, one of them")
    charges = charges_given(request.charges)
    dot = crystal_to_cut(
        request.dot, dataset=request.dataset, temperature=request.temperature, lattice=request.dot_lattice,
        charges=charges, files=tuple(folder / path for path in request.crystals), folder=folder,
        symprec=request.symprec,
    )  # fmt: skip
    below = _held(request, folder=folder) if request.slab is None else read_structure(folder / request.slab)
    refuse_unused(charges, dot, below)
    if request.overgrown is None:
        return _attached(request, dot=dot, folder=folder)
    try:
        return _buried(request, dot=dot, folder=folder)
    except UnbalancedError as error:
        forms = _other_forms(request)
        proposal = _first_that_does(request, forms, build=lambda other: _buried(other, dot=dot, folder=folder))
        told = str(error).removesuffix(SHOWN)
        raise UnbalancedError(f"{told}; {proposal} would do" if proposal else told) from error


def _held(request: AttachRequest, *, folder: Path) -> "Crystal":
    """The matrix of a slab, at its lattice constant."""
    from qdip_struct.builders.atoms.cells import crystal_to_cut

    return crystal_to_cut(
        str(request.matrix), dataset=request.dataset, temperature=request.temperature, lattice=request.lattice,
        charges=charges_given(request.charges), files=tuple(folder / path for path in request.crystals), folder=folder,
        symprec=request.symprec,
    )  # fmt: skip


def _attached(request: AttachRequest, *, dot: "Crystal", folder: Path) -> "Embedded":
    from qdip_struct.builders.atoms.orientation import parse_indices
    from qdip_struct.builders.dot.attach import attach_dot
    from qdip_struct.builders.dot.embed import Embedded
    from qdip_struct.materials.crystals import lattice_facts

    refuse_given(request, ("array",), where="with an attached dot (see --overgrown)")
    finished, changes, share = _finished(request, core=dot)
    registry: Any = request.registry
    if "," in registry:
        first, second = numbers(registry, what="--registry", count=2)
        registry = (first, second)
    built = attach_dot(
        finished,
        _slab(request, folder=folder),
        facet=parse_indices(request.facet),
        twist=request.twist,
        registry=registry,
        gap=request.gap,
        vacuum=request.vacuum,
        changes=changes,
        seed=request.seed,
    )
    crystals = {"dot": dot} if request.slab is not None else {"dot": dot, "matrix": _held(request, folder=folder)}
    strained = _initial_strain(request, dot=finished, own=dot.a_angstrom, folder=folder)
    facts = {"surface": request.surface, "share_changed": share, **strained, **lattice_facts(crystals)}
    return Embedded(built.atoms, {**built.report, **facts})


def _buried(request: AttachRequest, *, dot: "Crystal", folder: Path) -> "Embedded":
    from qdip_struct.builders.atoms.cells import Occupation
    from qdip_struct.builders.dot.attach import bury_dots
    from qdip_struct.materials.crystals import scaled

    if request.matrix is None:
        raise UsageError("buried dots share the lattice of --matrix; a --slab file cannot be overgrown")
    refuse_given(request, _ATTACHED_ONLY, where="with buried dots, which share the lattice of the matrix")
    held = _held(request, folder=folder)
    core = scaled(dot, lattice=held.a_angstrom)
    counts = whole_numbers(request.array, what="--array")
    if len(counts) != 2:
        raise UsageError(f"--array is '{request.array}'; expected two whole numbers, for example 2,2")
    return bury_dots(
        dot,
        held,
        cells=whole_numbers(request.cells, what="--cells"),
        overgrown=request.overgrown or 0,
        form=requested_form(request, core=core, counted="BX2"),
        array=(counts[0], counts[1]),
        occupation=Occupation(a_site=request.a_site, seed=request.seed, arrangement=request.arrangement),
        vacuum=request.vacuum,
    )


def _slab(request: AttachRequest, *, folder: Path) -> "Atoms":
    from qdip_struct.builders.atoms.cells import Occupation
    from qdip_struct.builders.atoms.regions import label
    from qdip_struct.builders.dot.attach import surface_slab
    from qdip_struct.materials.structure_files import read_structure

    if request.slab is not None:
        refuse_given(request, ("lattice", "cells", "top", "arrangement"), where="with --slab, which has its own cell")
        found = read_structure(folder / request.slab)
        charges = charges_given(request.charges)
        if found.has("region") and not charges:
            return found
        # What the file says was built without the charges that are given now.
        kept = {name: found.get_array(name) for name in ("region", "phase") if found.has(name)}
        found.set_array("formal_charge", None)
        label(found, region="matrix", phase=request.slab.stem, charges=charges)
        for name, values in kept.items():
            found.set_array(name, values)
        return found
    cells = whole_numbers(request.cells, what="--cells")
    occupation = Occupation(a_site=request.a_site, seed=request.seed, arrangement=request.arrangement)
    return surface_slab(_held(request, folder=folder), cells=cells, top=request.top, occupation=occupation)
