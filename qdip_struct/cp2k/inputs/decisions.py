"""What is decided for the user: basis sets, k-points, SCF, spin, dipole correction, optimiser, constraints, version.

Every decision is made from the structure or from the version of CP2K that the input is for, and carries its choice and
its reason in words, so that it can be shown and overridden.

Long because every decision stands here, each beside its reason.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.cp2k_input import (
    Section,
    find_section,
    get_values,
    logical_of,
    number_of,
    set_value,
    words_of,
)
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.roles import role_of
from qdip_struct.builders.slab.surface import LAYER_TOLERANCE_ANGSTROM
from qdip_struct.cp2k.inputs.kinds import (
    DEFAULT_FAMILY,
    KindDefault,
    KindSet,
    OwnKind,
    data_file,
    families_of,
    family_of,
    orbital_basis,
    potential_in,
    potential_valence,
    read_potentials,
)
from qdip_struct.cp2k.inputs.schema import Schema

if TYPE_CHECKING:
    from ase import Atoms

VACUUM_GAP_ANGSTROM = 8.0
"""A cell direction in which no atom lies for this long is vacuum: no crystal or molecule here leaves such a gap."""

MESH_TOLERANCE = 0.05
BFGS_LARGEST = 1000

_MOMENT_OFF = 0.75
"""A sum of moments this far from every spin that the electrons can have says something else, Bohr magnetons."""

_WHOLE_ATOMS = ("FixAtoms", "FixCartesian", "FixScaled")

CellGeometry = Literal["bulk", "slab", "wire", "isolated"]


@dataclass(frozen=True)
class Decision:
    """One choice made for the user: what about, what was chosen, and why."""

    topic: str
    choice: str
    reason: str


@dataclass(frozen=True)
class Geometry:
    """How a structure fills its cell.

    Attributes
    ----------
    vacuum_angstrom
        Widest empty length along each lattice direction, Å.
    heights_angstrom
        Height of the cell over each pair of vectors, V / |a_j × a_k|, Å.
    """

    system: CellGeometry
    vacuum_angstrom: tuple[float, float, float]
    heights_angstrom: tuple[float, float, float]

    @property
    def vacuum_axes(self) -> tuple[int, ...]:
        """Indices of the lattice directions that hold vacuum."""
        return tuple(axis for axis in range(3) if self.vacuum_angstrom[axis] >= VACUUM_GAP_ANGSTROM)


def look_at(cell: NDArray[np.float64], positions: NDArray[np.float64]) -> Geometry:
    """Measure the vacuum along each lattice direction.

    Parameters
    ----------
    cell
        (3, 3) lattice vectors as rows, Å.
    positions
        (n, 3) Cartesian positions, Å.

    Returns
    -------
    Geometry
        The widest empty interval along direction i is the largest periodic gap between fractional coordinates times
        the height V / |a_j × a_k| of the cell.
    """
    volume = float(np.linalg.det(cell))
    heights = [abs(volume) / float(np.linalg.norm(np.cross(cell[(i + 1) % 3], cell[(i + 2) % 3]))) for i in range(3)]
    fractional = np.sort(np.linalg.solve(cell.T, positions.T).T % 1.0, axis=0)
    gaps = np.diff(np.vstack([fractional, fractional[:1] + 1.0]), axis=0).max(axis=0)
    vacuum = tuple(float(gap * height) for gap, height in zip(gaps, heights, strict=True))
    n_vacuum = sum(gap >= VACUUM_GAP_ANGSTROM for gap in vacuum)
    system: CellGeometry = ("bulk", "slab", "wire", "isolated")[n_vacuum]
    return Geometry(system, vacuum, tuple(heights))  # type: ignore[arg-type]


def stated_kind(tree: Section, name: str) -> Section | None:
    """The ``&KIND`` that an input has for a kind: its own, else ``&KIND DEFAULT``."""
    subsys = find_section(tree, "FORCE_EVAL/SUBSYS")
    found = [kind for word in (name, "DEFAULT") for kind in subsys.sections("KIND", parameter=word)] if subsys else []
    return found[0] if found else None


def decide_kinds(
    elements: Sequence[str],
    *,
    template: Section,
    asked: Section,
    kind_set: KindSet,
    own: Mapping[str, OwnKind],
    functional: str | None,
) -> tuple[dict[str, KindDefault], list[Decision]]:
    """Basis set, potential and valence electrons of each element, as they will stand in the input.

    What ``&KIND`` sections say stays; what they leave open comes from the user's file, then from the set, with the
    potentials made for the functional.

    Parameters
    ----------
    elements
        Symbols, each once.
    template, asked
        The input so far, and the same with the user's settings in it.
    kind_set, own
        The family, and what the user's file says instead, by element.
    functional
        As the input names it; ``None`` for a method without one.

    Raises
    ------
    UsageError
        If the set has nothing for an element that nobody else names a basis set and a potential for, or the valence
        electrons of a potential are not known.
    """
    chosen: dict[str, KindDefault] = {}
    decisions: list[Decision] = []
    deviating: dict[tuple[str, str], list[str]] = {}
    stated: dict[str, tuple[str | None, str | None]] = {}
    open_potentials = []
    for element in elements:
        section = stated_kind(asked, element) or Section("KIND", element)
        file = own.get(element, OwnKind())
        basis, potential = orbital_basis(section) or file.basis, potential_in(section) or file.potential
        stated[element] = (basis, potential)
        if potential is None:
            open_potentials.append(element)
        decisions += _whose_kind(element, template=template, file=file, stated=(basis, potential))
    family, decided = _decide_family(open_potentials, kind_set=kind_set, functional=functional)
    decisions += decided
    whole = (get_values(asked, "FORCE_EVAL/DFT/POTENTIAL_FILE_NAME") or [kind_set.potential_file])[0]
    for element in elements:
        basis, potential = stated[element]
        if basis is None or potential is None:
            default = _default(element, kind_set=kind_set, family=family, potential=potential)
            if basis is None and default.basis != kind_set.first_basis(default):
                deviating.setdefault((default.basis, kind_set.first_basis(default)), []).append(element)
            basis, potential = basis or default.basis, potential or default.potential
        section = stated_kind(asked, element) or Section("KIND", element)
        files = [keyword.value for keyword in section.keywords("POTENTIAL_FILE_NAME")]
        named = own[element].potential_file if element in own and potential_in(section) is None else None
        place = files[0] if files else named or whole
        n = potential_valence(element, potential, file=place)
        if n is None:
            raise UsageError(_unknown_valence(element, potential, place=place))
        chosen[element] = KindDefault(element, basis, potential, n, place if place != whole else None)
    for (basis, usual), members in deviating.items():
        reason = f"{', '.join(kind_set.basis_files)} hold no {usual} for {'it' if len(members) == 1 else 'them'}"
        decisions.append(Decision("basis", f"{basis} for {', '.join(members)}", reason))
    return chosen, decisions


def _unknown_valence(element: str, potential: str, *, place: str) -> str:
    """Why the electrons of a potential cannot be counted, and what to do."""
    path = data_file(place)
    if path is None:
        return (
            f"how many valence electrons the potential {potential} of {element} has is not known, as {place} is not "
            "among CP2K's data files here; take a name that ends in them (-q4)"
        )
    names = [item.names[0] for item in read_potentials(path).get(element, ())]
    return f"potential {potential} of {element} is not in {place}; it holds {', '.join(names) or 'none'}"


def _whose_kind(
    element: str, *, template: Section, file: OwnKind, stated: tuple[str | None, str | None]
) -> list[Decision]:
    """Who says what an element gets, where it is not the set."""
    section = stated_kind(template, element)
    words = ", ".join(word for word in stated if word is not None)
    if section is not None and (orbital_basis(section) or potential_in(section)):
        return [Decision("kinds", f"{element}: {words}", f"&KIND {section.parameter} of the template")]
    if file.basis or file.potential:
        return [Decision("kinds", f"{element}: {words}", "from the file of --kinds")]
    return []


def _decide_family(elements: Sequence[str], *, kind_set: KindSet, functional: str | None) -> tuple[str, list[Decision]]:
    """Which potentials the elements get: those made for the functional, else those it is used with, else PBE's."""
    families = families_of(functional or "")
    held = {family: sum(element in kind_set.members(family) for element in elements) for family in families}
    family = max(held, key=lambda name: held[name], default=DEFAULT_FAMILY)
    if not elements or functional is None or families[:1] == (DEFAULT_FAMILY,):
        return family, []
    if not families:
        reason = f"none are known to be made for the functional {functional}; others with --kinds"
    elif family != families[0]:
        reason = f"{kind_set.potential_file} holds none made for {families[0]}, and these are used with it"
    else:
        reason = f"made for the functional {functional}"
    return family, [Decision("potentials", f"GTH-{family}", reason)]


def _default(element: str, *, kind_set: KindSet, family: str, potential: str | None) -> KindDefault:
    """What the set has for an element; where its potential is stated, its basis set may be that of another family."""
    if potential is not None:
        for other in (family_of(potential) or family, family, DEFAULT_FAMILY):
            if element in kind_set.members(other):
                return kind_set.of(element, other)
    return kind_set.of(element, family)


def mesh_points(length: float, *, wanted: float) -> int:
    """Points of a mesh along one lattice vector: ceil(wanted/length − 0.05), at least 1; lengths in Å."""
    return max(1, math.ceil(wanted / length - MESH_TOLERANCE)) if wanted > 0 else 1


def decide_kpoints(
    cell: NDArray[np.float64],
    geometry: Geometry,
    *,
    n_atoms: int,
    preset: Mapping[str, Any],
    bulk_reference: bool,
    override: Sequence[int] | None = None,
) -> tuple[tuple[int, int, int], Decision]:
    """Choose the Monkhorst-Pack mesh.

    ``bulk_reference`` says that the third axis of a bulk cell is the normal of a slab it serves as reference: the
    in-plane mesh then follows the same rule as the slab's, so equal lateral cells get equal meshes, and the normal
    gets the denser ``bulk_normal_length_angstrom`` (an under-sampled bulk makes γ diverge with thickness).

    Parameters
    ----------
    cell
        Row vectors (3, 3) Å.
    geometry
        What the structure is: bulk, slab, dot.
    n_atoms
        Number of atoms; large cells are sampled at Γ alone.
    preset
        Values of the preset.
    bulk_reference
        See above.
    override
        Three divisions wanted by the user.

    Raises
    ------
    UsageError
        If a division asked for is below one.
    """
    if override is not None:
        mesh = (int(override[0]), int(override[1]), int(override[2]))
        if min(mesh) < 1:
            raise UsageError(f"a k-point mesh has positive numbers, not {'x'.join(map(str, mesh))}")
        return mesh, Decision("k-points", _times(mesh), "asked for")
    wanted = float(preset["kpoint_length_angstrom"])
    if wanted == 0:
        return (1, 1, 1), Decision("k-points", "Gamma only", "the preset samples Gamma only, as the paper did")
    if n_atoms > int(preset["gamma_above_atoms"]):
        reason = f"{n_atoms} atoms are more than {preset['gamma_above_atoms']}: the cell is its own k-mesh"
        return (1, 1, 1), Decision("k-points", "Gamma only", reason)
    lengths = np.linalg.norm(cell, axis=1)
    points = [mesh_points(float(length), wanted=wanted) for length in lengths]
    for axis in geometry.vacuum_axes:
        points[axis] = 1
    reason = f"at least {wanted:g} Å of Born-von Karman length along every periodic direction"
    if geometry.vacuum_axes:
        reason += ", one point along the vacuum"
    if bulk_reference and geometry.system == "bulk":
        normal = float(preset["bulk_normal_length_angstrom"])
        points[2] = max(points[2], mesh_points(float(lengths[2]), wanted=normal))
        reason += f", {normal:g} Å along the normal of the slabs it is the reference of"
    mesh = (points[0], points[1], points[2])
    return mesh, Decision("k-points", "Gamma only" if mesh == (1, 1, 1) else _times(mesh), reason)


def mesh_of_template(template: Section, *, unable: str | None, override: Sequence[int] | None = None) -> (
    tuple[tuple[int, int, int], Decision] | None
):  # fmt: skip
    """The k-points that a template fixes, or that what it asks for forbids; ``None`` where it leaves them open.

    Parameters
    ----------
    template
        The template.
    unable
        What of the input CP2K does at Γ alone; ``None`` for nothing.
    override
        Three divisions wanted by the user; they stand above a mesh of the template.

    Raises
    ------
    UsageError
        If more than Γ is asked for, or stands in the template, and the input cannot have it.
    """
    ot = find_section(template, "FORCE_EVAL/DFT/SCF/OT")
    if unable is None and ot is not None and logical_of(ot.parameter):
        unable = "orbital transformation (&OT)"
    if unable is not None:
        if override is not None and tuple(override) != (1, 1, 1):
            raise UsageError(
                f"the template or a setting asks for {unable}, which CP2K does at Gamma only: no --kpoints "
                f"{','.join(map(str, override))}"
            )
        stated = (get_values(template, "FORCE_EVAL/DFT/KPOINTS/SCHEME") or ["NONE"])[0]
        if override is None and not stated.upper().startswith("NONE"):
            raise UsageError(
                f"the template has &KPOINTS, and it or a setting asks for {unable}, which CP2K does at Gamma only; "
                "take one of them out, or give --kpoints 1,1,1"
            )
        reason = f"{unable} stands in the template or a setting, and CP2K does it at Gamma only: no k-points"
        return (1, 1, 1), Decision("k-points", "Gamma only", reason)
    section = find_section(template, "FORCE_EVAL/DFT/KPOINTS")
    scheme = words_of((get_values(template, "FORCE_EVAL/DFT/KPOINTS/SCHEME") or ["NONE"])[0])
    if section is None or override is not None or not scheme:
        return None
    numbers = [int(word) for word in scheme[1:4] if word.isdigit()]
    mesh = (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else (1, 1, 1)
    return mesh, Decision("k-points", " ".join(scheme), "&KPOINTS of the template")


def decide_deviations(template: Section, *, preset: Mapping[str, Any], functional: tuple[str | None, str | None]) -> (
    list[Decision]
):  # fmt: skip
    """What a template says in the place of the preset: the functional, cutoffs and thresholds.

    Parameters
    ----------
    template
        The template.
    preset
        Values of the preset.
    functional
        That of the template (``None`` where it names none) and that of the preset.
    """
    own, usual = functional
    said = [("functional", own, usual)] if own is not None else []
    stated = {**preset["set"], "FORCE_EVAL/DFT/SCF/EPS_SCF": preset["eps_scf"]}
    for path, value in stated.items():
        found = get_values(template, path)
        if found:
            said.append((path.rpartition("/")[2], found[0], str(value)))
    return [
        Decision(topic, there, f"as the template says; the preset has {here}")
        for topic, there, here in said
        if there != here and not _same_number(there, here or "")
    ]


def _same_number(one: str, two: str) -> bool:
    try:
        return number_of(one) == number_of(two)
    except DataError:
        return False


MAGNETIC = frozenset(
    ["Cr", "Mn", "Fe", "Co", "Ni", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb"]
)
"""Elements whose d or f electrons often have a moment that a closed shell leaves out."""


def decide_spin(
    n_electrons: int,
    *,
    multiplicity: int | None = None,
    elements: Sequence[str] = (),
    moments: Sequence[float] | None = None,
) -> tuple[Literal["RKS", "UKS"], int, Decision]:
    """Even electron count: restricted, multiplicity 1. Odd: unrestricted (LSD), multiplicity 2. Overrides are checked.

    A structure with magnetic moments is always unrestricted, with as many unpaired electrons as they add up to: none in
    an antiferromagnet.

    Parameters
    ----------
    n_electrons
        Valence electrons of the cell.
    multiplicity
        Asked for: 2S + 1.
    elements
        Of the structure; of those that are often magnetic a closed shell is said to be an assumption.
    moments
        Of the atoms, Bohr magnetons, their sum not negative; ``None`` for a structure that has none.

    Raises
    ------
    UsageError
        If ``multiplicity`` does not fit the number of electrons (2S + 1 and N must differ in parity), or the moments
        do not.
    """
    total = 0.0 if moments is None else sum(moments) + 0.0
    if multiplicity is not None:
        if multiplicity < 1 or (n_electrons + multiplicity) % 2 == 0 or multiplicity > n_electrons + 1:
            raise UsageError(
                f"multiplicity {multiplicity} is impossible with {n_electrons} electrons; "
                f"choose an {'odd' if n_electrons % 2 == 0 else 'even'} number"
            )
        spin: Literal["RKS", "UKS"] = "RKS" if multiplicity == 1 and moments is None else "UKS"
        reason = "asked for" if moments is None else f"asked for; the moments of the structure add up to {total:.2f}"
        return spin, multiplicity, Decision("spin", f"{spin}, multiplicity {multiplicity}", reason)
    if moments is not None:
        return _spin_of_moments(n_electrons, total)
    if n_electrons % 2:
        reason = f"{n_electrons} electrons, an odd number: spin-polarised (LSD)"
        return "UKS", 2, Decision("spin", "UKS, multiplicity 2", reason)
    reason = f"{n_electrons} electrons, an even number, closed shell"
    magnetic = [element for element in elements if element in MAGNETIC]
    if magnetic:
        reason += f": assumed, though {', '.join(magnetic)} may have a moment; else ask for a multiplicity"
    return "RKS", 1, Decision("spin", "RKS", reason)


def _spin_of_moments(n_electrons: int, total: float) -> tuple[Literal["UKS"], int, Decision]:
    """As many unpaired electrons as moments (Bohr magnetons) add up to, of the parity of the electrons."""
    parity = n_electrons % 2
    unpaired = max(parity, 2 * round((total - parity) / 2) + parity)
    if abs(unpaired - total) > _MOMENT_OFF:
        raise UsageError(
            f"the magnetic moments of the structure add up to {total:.2f}, which {n_electrons} electrons cannot have; "
            "ask for a multiplicity or a charge, or change the moments"
        )
    reason = f"the magnetic moments of the structure add up to {total:.2f} Bohr magnetons"
    return "UKS", unpaired + 1, Decision("spin", f"UKS, multiplicity {unpaired + 1}", reason)


def decide_periodicity(atoms: "Atoms", geometry: Geometry) -> list[Decision]:
    """What becomes of directions in which the structure is not periodic: CP2K repeats them, across their vacuum.

    A structure that is said to be periodic nowhere, as ASE's are by default, may be a crystal all the same.

    Raises
    ------
    UsageError
        If the structure is periodic in some directions and has no vacuum in another, so that images would touch.
    """
    free = [axis for axis in range(3) if not atoms.pbc[axis]]
    if not free:
        return []
    gaps = {axis: geometry.vacuum_angstrom[axis] for axis in free}
    for axis, gap in gaps.items():
        if gap < VACUUM_GAP_ANGSTROM and len(free) < 3:
            raise UsageError(
                f"the structure is not periodic along {'abc'[axis]}, and the gap of its cell there is {gap:.1f} Å: "
                f"CP2K's images would touch; give its cell at least {VACUUM_GAP_ANGSTROM:g} Å of vacuum there, or make "
                "it periodic (pbc)"
            )
    named = ", ".join(f"{'abc'[axis]} (gap {gap:.1f} Å)" for axis, gap in gaps.items())
    return [Decision("periodicity", "XYZ", f"the structure is not periodic along {named}; here its images follow")]


def decide_dipole(
    cell: NDArray[np.float64], geometry: Geometry, *, wanted: bool
) -> tuple[Literal["X", "Y", "Z"] | None, Decision]:
    """Surface dipole correction: only for slabs, along the vacuum, when the preset wants it."""
    topic = "dipole correction"
    if geometry.system != "slab":
        return None, Decision(topic, "off", f"the structure is {_named(geometry.system)}, not a slab with vacuum")
    if not wanted:
        return None, Decision(topic, "off", "the preset leaves it out (about 1 meV in the energy of a slab)")
    axis = geometry.vacuum_axes[0]
    direction = cell[axis] / np.linalg.norm(cell[axis])
    if abs(abs(direction[axis]) - 1.0) > 1e-6:
        reason = "the vacuum direction is not a Cartesian axis, which CP2K's correction needs"
        return None, Decision(topic, "off", reason)
    letter: Literal["X", "Y", "Z"] = ("X", "Y", "Z")[axis]
    return letter, Decision(topic, letter, f"slab with {geometry.vacuum_angstrom[axis]:.1f} Å of vacuum along {letter}")


def decide_optimizer(n_atoms: int) -> Decision:
    """BFGS up to 1000 atoms, LBFGS above."""
    if n_atoms > BFGS_LARGEST:
        return Decision("optimiser", "LBFGS", f"{n_atoms} atoms: the full BFGS Hessian would be too large")
    return Decision("optimiser", "BFGS", f"{n_atoms} atoms: the full Hessian is affordable and converges faster")


def _times(mesh: Sequence[int]) -> str:
    return "x".join(map(str, mesh))


def _named(system: CellGeometry) -> str:
    return {"bulk": "periodic in three directions", "wire": "a wire", "isolated": "isolated", "slab": "a slab"}[system]


def lowest_layers(positions: NDArray[np.float64], *, n_layers: int) -> tuple[int, ...]:
    """Indices of the atoms in the lowest layers along z; heights closer than 0.5 Å are one layer.

    Parameters
    ----------
    positions
        (n, 3) Å.
    n_layers
        How many layers, counted from below.

    Raises
    ------
    UsageError
        If there are fewer layers, or all would be fixed.
    """
    order = np.argsort(positions[:, 2], kind="stable")
    steps = np.diff(positions[order, 2]) > LAYER_TOLERANCE_ANGSTROM
    layer = np.concatenate([[0], np.cumsum(steps)])
    if not 0 < n_layers <= layer[-1]:
        raise UsageError(f"--fixed-layers is between 1 and {layer[-1]} in a structure of {layer[-1] + 1} layers")
    return tuple(sorted(int(i) for i in order[layer < n_layers]))


def decide_fixed_atoms(atoms: "Atoms", *, n_layers: int) -> tuple[tuple[int, ...], list[Decision]]:
    """Atoms (0-based) that do not move: those that the structure holds (selective dynamics, ``move_mask``), and layers.

    Parameters
    ----------
    atoms
        With the constraints that its file carries.
    n_layers
        So many of the lowest layers are held too.

    Raises
    ------
    UsageError
        If the structure holds atoms in some directions only, or :func:`lowest_layers` refuses.
    """
    held: set[int] = set()
    for constraint in atoms.constraints:
        mask = np.atleast_1d(getattr(constraint, "mask", True))
        if type(constraint).__name__ not in _WHOLE_ATOMS or not mask.all():
            raise UsageError(
                f"the structure carries the constraint {type(constraint).__name__} that does not hold whole atoms; "
                "hold them in all three directions, or free them"
            )
        held.update(int(index) for index in constraint.get_indices())
    layers = lowest_layers(atoms.positions, n_layers=n_layers) if n_layers else ()
    fixed = tuple(sorted(held.union(layers)))
    if len(fixed) == len(atoms):
        raise UsageError("every atom of the structure is held, and nothing can move; free some, or take --task energy")
    said = []
    if held:
        said.append(Decision("fixed atoms", str(len(held)), "held in the structure's file"))
    if layers:
        said.append(Decision("fixed layers", str(n_layers), f"asked for; {len(layers)} atoms"))
    return fixed, said


def decide_cell_constraint(geometry: Geometry, *, role: str) -> tuple[Literal["NONE", "X", "Y", "Z", "XY"], Decision]:
    """What CELL_OPT freezes: the vacuum of a slab, the lateral cell of a bulk reference, else nothing.

    CP2K's ``CONSTRAINT`` names what is frozen.

    Raises
    ------
    UsageError
        If no periodic direction is left to optimise.
    """
    topic = "cell constraint"
    if geometry.system == "slab":
        axis: Literal["X", "Y", "Z"] = ("X", "Y", "Z")[geometry.vacuum_axes[0]]
        reason = "the vacuum of a slab has no equilibrium; a changed lateral cell no longer fits the slab's partners"
        return axis, Decision(topic, f"{axis} frozen", reason)
    if geometry.system in ("wire", "isolated"):
        raise UsageError("a cell optimisation of a wire or an isolated dot would only close its vacuum; use geo_opt")
    if role_of(role).coherent_bulk:
        return "XY", Decision(topic, "XY frozen", "the lateral cell is shared with the slabs this is the reference of")
    return "NONE", Decision(topic, "none", "a crystal: all cell lengths are free")


def fill_scf_failure(tree: Section, wanted: Literal["default", "continue"], *, language: Schema) -> list[Decision]:
    """Say what happens when an SCF does not converge: CP2K's default of that version, or going on.

    From 2024.1 CP2K stops, unless told by a keyword that versions before do not know (and abort on).
    """
    if wanted == "default":
        return []
    topic, place = "unconverged SCF", ("FORCE_EVAL", "DFT", "SCF")
    scf = language.section(place)
    if scf is None or _GO_ON not in scf.keywords:
        return [Decision(topic, "go on", f"CP2K {language.version} goes on by itself")]
    set_value(tree, "/".join((*place, _GO_ON)), "T")
    return [Decision(topic, "go on", f"asked for; CP2K {language.version} would stop")]


_GO_ON = "IGNORE_CONVERGENCE_FAILURE"
