"""A CP2K input from a template, a preset and a structure.

The order of who decides: what ``--set`` says stands above what the template says, which stands above the preset and
the decisions made from the structure. Nothing is written here; :mod:`qdip_struct.runs.rundir` writes.
"""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.base.cp2k_input import (
    Section,
    find_section,
    format_input,
    get_values,
    parse_input,
    parse_setting,
    set_value,
    words_of,
)
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.roles import role_of
from qdip_struct.cp2k.inputs.decisions import (
    Decision,
    decide_cell_constraint,
    decide_deviations,
    decide_dipole,
    decide_fixed_atoms,
    decide_kinds,
    decide_kpoints,
    decide_periodicity,
    decide_spin,
    fill_scf_failure,
    look_at,
    mesh_of_template,
)
from qdip_struct.cp2k.inputs.kinds import (
    KindDefault,
    OwnKind,
    get_kind_set,
    orbital_basis,
    potential_in,
    read_own_kinds,
)
from qdip_struct.cp2k.inputs.methods import knows_more, without_kpoints
from qdip_struct.cp2k.inputs.presets import Preset, get_functional, get_preset, template_text
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.cp2k.inputs.schema import Schema, shipped_schema, shipped_versions
from qdip_struct.cp2k.inputs.sections import (
    AtomKind,
    count_electrons,
    elements_of,
    fill,
    fill_auxiliary,
    fill_dispersion,
    fill_fixed_atoms,
    fill_functional,
    fill_motion,
    fill_prints,
    fill_scf,
    fill_subsys,
    kinds_of,
    match_outer_scf,
    moments_of,
    named_by,
    named_functional,
)
from qdip_struct.cp2k.tasks import get_task, task_of

if TYPE_CHECKING:
    from ase import Atoms

PROJECT = "run"


@dataclass(frozen=True)
class Deck:
    """A finished input.

    Attributes
    ----------
    text, tree
        What CP2K reads, as text and parsed.
    decisions
        What was decided for the user.
    settings
        What decides whether its energy may be combined with another.
    n_electrons
        Valence electrons, the charge taken off.
    pdos_regions
        Regions in the order of the lists that levels are projected on.
    """

    text: str
    tree: Section
    decisions: tuple[Decision, ...]
    settings: dict[str, Any]
    n_electrons: int
    pdos_regions: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeckMaker:
    """A request made ready: what it names is read once for many structures.

    Attributes
    ----------
    request
        As typed.
    preset, template, kinds
        What it names, read.
    version
        CP2K the inputs are for, unless the request says so.
    walltime_s
        When CP2K stops by itself, s, unless the request says so.
    """

    request: InputsRequest
    preset: Preset
    template: str
    kinds: Mapping[str, OwnKind]
    version: str | None = None
    walltime_s: int | None = None

    def deck(self, atoms: "Atoms", *, role: str, request: InputsRequest | None = None) -> Deck:
        """The input of one structure; ``request`` stands in for one that differs in what needs no reading."""
        return make_deck(
            atoms,
            request or self.request,
            role=role,
            preset=self.preset,
            template=self.template,
            kinds=self.kinds,
            version=self.version,
            walltime_s=self.walltime_s,
        )


def deck_maker(
    request: InputsRequest, *, folder: Path = Path(), version: str | None = None, walltime_s: int | None = None
) -> DeckMaker:
    """Read what a request names, check the rest.

    Parameters
    ----------
    request
        What is wanted.
    folder
        Where the relative names of a template and a file of kinds start.
    version, walltime_s
        See :class:`DeckMaker`.

    Raises
    ------
    UsageError
        For an unknown preset, a value that is not possible or a file of kinds that says something else.
    DataError
        If the template or the file of kinds cannot be read.
    """
    own = None if request.template is None else folder / request.template
    preset, template = get_preset(request.preset), template_text(request.task, own=own)
    kinds = {} if request.kinds is None else read_own_kinds(folder / request.kinds)
    if own is not None:
        request = _with_task_of(template, request)
    request.check()
    return DeckMaker(request, preset, template, kinds, version, walltime_s)


def _with_task_of(template: str, request: InputsRequest) -> InputsRequest:
    """The request with the task that an own template is for, as its RUN_TYPE says.

    Raises
    ------
    UsageError
        If another task than an energy is asked for, and the template is for something else.
    """
    stated = (get_values(parse_input(template, source="template"), "GLOBAL/RUN_TYPE") or [""])[0].upper()
    task = task_of(stated)
    if not stated or (task is not None and task.name == request.task):
        return request
    if request.task != InputsRequest().task:
        raise UsageError(
            f"the template has RUN_TYPE {stated}, and --task {request.task} is asked for; take RUN_TYPE out of the "
            "template, or leave --task out"
        )
    return request if task is None else replace(request, task=task.name)  # type: ignore[arg-type]


def make_deck(
    atoms: "Atoms",
    request: InputsRequest,
    *,
    role: str = "single",
    preset: Preset | None = None,
    template: str | None = None,
    kinds: Mapping[str, OwnKind] | None = None,
    version: str | None = None,
    walltime_s: int | None = None,
) -> Deck:
    """Fill a template for one structure.

    Parameters
    ----------
    atoms
        The structure, Å; an optional boolean array ``ghost`` marks atoms that only carry their basis functions.
    request
        What is wanted.
    role
        The part the run plays in its group; bulk references get a dense mesh along the slab normal.
    preset, template, kinds
        What the request names, where it has been read: see ``cp2k_templates/presets.yaml``, CP2K input text, and
        :func:`qdip_struct.cp2k.inputs.kinds.read_own_kinds`.
    version, walltime_s
        See :class:`DeckMaker`.

    Raises
    ------
    UsageError
        For an element without defaults, an impossible multiplicity, a left-handed cell or a wrong setting.
    DataError
        If the template is not CP2K input.
    """
    if preset is None or template is None or kinds is None:
        named = deck_maker(request)
        preset, template = preset or named.preset, named.template if template is None else template
        kinds = named.kinds if kinds is None else kinds
    walltime_s = walltime_s if request.walltime is None else request.walltime
    work = get_task(request.task)
    tree = parse_input(template, source="template")
    cell = np.asarray(atoms.cell[:], dtype=float)
    if not cell.any():
        raise UsageError(
            "the structure has no cell; give one with --cell A,B,C (Å), or a file that holds it; beside a CP2K "
            "trajectory (PROJECT-pos-1.xyz) the run's PROJECT-1.cell, PROJECT-1.restart or .inp gives it"
        )
    if np.linalg.det(cell) <= 0:
        raise UsageError("the cell is left-handed or has no volume; CP2K needs three right-handed lattice vectors")
    turned = _turned(atoms) if work.moves == "cell" else None
    if turned is not None:
        atoms, cell = turned, turned.cell[:]
    if len(tree.sections("FORCE_EVAL")) > 1:
        raise UsageError("the template has several &FORCE_EVAL, and one is filled from a structure; leave one of them")
    functional = get_functional(preset.values["functional"])
    deviations = decide_deviations(
        tree, preset=preset.values, functional=(named_functional(tree), named_by(functional))
    )
    fill_functional(tree, functional)
    if work.moves != "nothing":
        fill(tree, "GLOBAL/RUN_TYPE", work.run_types[0])
    if work.needs_stress:
        fill(tree, "FORCE_EVAL/STRESS_TENSOR", "ANALYTICAL")
    if work.moves == "cell":
        fill(tree, f"MOTION/PRINT/CELL/EACH/{work.section}", "1")
    language = shipped_schema(request.cp2k_version or version or shipped_versions()[-1])
    chosen, decisions = _choose_kinds(tree, atoms, request, own=kinds)
    decisions = [*deviations, *decisions]
    if turned is not None:
        reason = (
            "a along x, b in the plane of x and y: CP2K from 2025 on does not turn it, and optimises no other right"
        )
        decisions.append(Decision("orientation of the cell", "turned", reason))
    atom_kinds = kinds_of(atoms, chosen=chosen)
    if request.charge:
        fill(tree, "FORCE_EVAL/DFT/CHARGE", str(request.charge))
    n_electrons = count_electrons(atom_kinds) - _charge(_with_settings(tree, request.set))
    geometry = look_at(cell, atoms.positions)
    fixed_mesh = mesh_of_template(tree, unable=_unable(tree, request.set, language), override=request.mesh)
    mesh, decided_mesh = fixed_mesh or decide_kpoints(
        cell,
        geometry,
        n_atoms=len(atoms),
        preset=preset.values,
        bulk_reference=role_of(role).kind == "bulk",
        override=request.mesh,
    )
    magnetic = any(kind.moment for kind in atom_kinds)
    spin, multiplicity, decided_spin = decide_spin(
        n_electrons, multiplicity=request.multiplicity, elements=list(chosen),
        moments=moments_of(atoms).tolist() if magnetic else None,
    )  # fmt: skip
    asked = request.dipole_correction
    wanted = preset.values["dipole_correction"] if asked is None else asked == "on"
    dipole, decided_dipole = decide_dipole(cell, geometry, wanted=wanted)
    decisions += [decided_mesh, decided_spin, decided_dipole, *decide_periodicity(atoms, geometry)]
    if magnetic:
        starts = ", ".join(f"{kind.name} {kind.moment:+g}" for kind in atom_kinds if kind.moment)
        decisions.append(Decision("magnetisation", starts, "start of the SCF, from the moments of the structure"))

    fill(tree, "GLOBAL/PROJECT", PROJECT)
    if walltime_s is not None:
        fill(tree, "GLOBAL/WALLTIME", str(walltime_s))
    if spin == "UKS":
        fill(tree, "FORCE_EVAL/DFT/UKS", "T")
        fill(tree, "FORCE_EVAL/DFT/MULTIPLICITY", str(multiplicity))
    if dipole is not None:
        fill(tree, "FORCE_EVAL/DFT/SURFACE_DIPOLE_CORRECTION", "T")
        fill(tree, "FORCE_EVAL/DFT/SURF_DIP_DIR", dipole)
    for path, value in preset.values["set"].items():
        fill(tree, path, str(value))
    dft = find_section(tree, "FORCE_EVAL/DFT", create=True)
    if request.mesh is not None and dft is not None:
        dft.entries[:] = [entry for entry in dft.entries if entry not in dft.sections("KPOINTS")]
    decisions.append(fill_scf(tree, mesh, preset=preset, method=request.scf))
    decisions += fill_scf_failure(tree, request.on_scf_failure, language=language)
    if request.dispersion == "d3bj":
        fill_dispersion(tree, asked=_asked(request.set))
        decisions.append(Decision("dispersion", "D3(BJ)", "asked for (Grimme et al. 2011, doi:10.1002/jcc.21759)"))
    if work.section:
        decisions += fill_motion(tree, work, n_atoms=len(atoms), preset=preset)
    if work.holds_atoms:
        fixed, decided_fixed = decide_fixed_atoms(atoms, n_layers=request.fixed_layers)
        fill_fixed_atoms(tree, fixed)
        decisions += decided_fixed
    if work.optimises and work.moves == "cell":
        frozen, decided_cell = decide_cell_constraint(geometry, role=role)
        decisions.append(decided_cell)
        if frozen != "NONE":
            fill(tree, f"MOTION/{work.section}/CONSTRAINT", frozen)
    sampled = mesh != (1, 1, 1) or find_section(tree, "FORCE_EVAL/DFT/KPOINTS") is not None
    decided_prints, pdos_regions = fill_prints(
        tree, request.print, atoms=atoms, kpoints=sampled, language=language, stride=request.stride
    )
    decisions += decided_prints
    decisions += fill_subsys(tree, atoms, atom_kinds)
    decisions += fill_auxiliary(tree, atom_kinds)
    decisions += _fill_settings(tree, request.set, kinds=atom_kinds)
    _refuse_senseless(tree, n_electrons=n_electrons)
    return Deck(format_input(tree), tree, tuple(decisions), deck_settings(tree), n_electrons, pdos_regions)


def _turned(atoms: "Atoms") -> "Atoms | None":
    """The structure with a along x and b in the plane of x and y; ``None`` where it is so.

    CP2K 2023.1 turns the cell of a CELL_OPT itself; 2025.1 and 2026.2 leave it, move only six of its nine numbers, and
    KEEP_ANGLES then lets the edges of an fcc cell become unequal.
    """
    if np.abs(np.triu(atoms.cell[:], 1)).max() < _TRIANGULAR_ANGSTROM:
        return None
    turned = atoms.copy()
    turned.set_cell(np.tril(atoms.cell.standard_form()[0][:]), scale_atoms=True)
    return turned


_TRIANGULAR_ANGSTROM = 1e-6


def _unable(tree: Section, settings: tuple[str, ...], language: Schema) -> str | None:
    """What of the input, once the settings stand in it, CP2K does at Γ alone."""
    asked = _with_settings(tree, settings)
    return next((what for _, what in without_kpoints(asked, learnt=knows_more(language.version))), None)


_BOUNDS = {
    "GLOBAL/WALLTIME": (1.0, 366 * 86400.0, "s"),
    "FORCE_EVAL/DFT/MGRID/CUTOFF": (10.0, 10_000.0, "Ry"),
    "FORCE_EVAL/DFT/MGRID/REL_CUTOFF": (5.0, 5_000.0, "Ry"),
    "FORCE_EVAL/DFT/SCF/MAX_SCF": (0.0, 1e6, "steps"),
    "MOTION/GEO_OPT/MAX_ITER": (0.0, 1e6, "steps"),
    "MOTION/CELL_OPT/MAX_ITER": (0.0, 1e6, "steps"),
    "MOTION/MD/STEPS": (0.0, 1e9, "steps"),
}
"""Between what a number of the input makes sense: far beyond what anybody calculates, and below what a slip writes."""
_MOST_POINTS = 200
"""k-points along one reciprocal vector."""


def _refuse_senseless(tree: Section, *, n_electrons: int) -> None:
    """Refuse numbers that only a slip can mean, and files of CP2K outside the run's folder.

    Raises
    ------
    UsageError
        Which names keyword, value and what is expected.
    """
    if n_electrons <= 0:
        raise UsageError(f"the charge leaves {n_electrons} electrons; expected one at the least")
    for path, (low, high, unit) in _BOUNDS.items():
        for text in get_values(tree, path):
            try:
                value = float(text)
            except ValueError:
                continue  # another unit, or hours and minutes: CP2K's own language
            if not low <= value <= high:
                raise UsageError(f"{path} is {text}; expected {low:g} to {high:g} {unit}")
    for text in get_values(tree, "FORCE_EVAL/DFT/KPOINTS/SCHEME"):
        for word in text.split()[1:4]:
            if word.isdigit() and not 1 <= int(word) <= _MOST_POINTS:
                raise UsageError(f"the k-point mesh is {text}; expected 1 to {_MOST_POINTS} points along each axis")
    for path in ("GLOBAL/PROJECT", "GLOBAL/PROJECT_NAME"):
        for text in get_values(tree, path):
            name = text.strip().strip("\"'")
            if "/" in name or "\\" in name or name in (".", ".."):
                raise UsageError(f"{path} is {text}; expected a name without a folder: a run writes into its own alone")


def _choose_kinds(
    tree: Section, atoms: "Atoms", request: InputsRequest, *, own: Mapping[str, OwnKind]
) -> tuple[dict[str, KindDefault], list[Decision]]:
    """What each element gets; the files that basis sets and potentials are read from are written down."""
    kind_set = get_kind_set(request.basis)
    files = "FORCE_EVAL/DFT/BASIS_SET_FILE_NAME"
    elements = elements_of(atoms)
    if not get_values(tree, files):
        for name in kind_set.basis_files:
            set_value(tree, files, name, add=True)
    fill(tree, "FORCE_EVAL/DFT/POTENTIAL_FILE_NAME", kind_set.potential_file)
    for element in elements:
        more = own[element].basis_file if element in own else None
        if more is not None and more not in get_values(tree, files):
            set_value(tree, files, more, add=True)
    asked = _with_settings(tree, request.set)
    return decide_kinds(
        elements, template=tree, asked=asked, kind_set=kind_set, own=own, functional=named_functional(asked)
    )


def _with_settings(tree: Section, settings: tuple[str, ...]) -> Section:
    """The input so far as it will be read once the settings stand in it."""
    asked = deepcopy(tree)
    for setting in settings:
        _set(asked, setting)
    return asked


def _set(tree: Section, setting: str) -> None:
    """Put one setting into an input; the potential of a kind under the name that the template gave it."""
    path, value, add = _setting(setting)
    place, _, name = path.rpartition("/")
    _refuse_ambiguous(tree, place)
    if name.upper() == "POTENTIAL" and get_values(tree, f"{place}/POT"):
        path = f"{place}/POT"
    set_value(tree, path, value, add=add)


def _refuse_ambiguous(tree: Section, place: str) -> None:
    """Refuse a path that several sections of the input answer to; ``KIND`` alone always is one."""
    if re.fullmatch("FORCE_EVAL/SUBSYS/KIND(/.*)?", place, re.IGNORECASE):
        raise UsageError(f"'{place}' means every &KIND; say which, as in KIND[Pb]")
    at, walked = tree, ""
    for step in place.split("/"):
        name, _, parameter = step.rstrip("]").partition("[")
        found = at.sections(name, parameter=parameter or None)
        if len(found) > 1:
            which = dict.fromkeys(f"{name.upper()}[{section.parameter}]" for section in found if section.parameter)
            ways = f"say which: {', '.join(which)}" if len(which) > 1 else "change the template instead"
            raise UsageError(f"there are {len(found)} sections {walked}{name.upper()}; {ways}")
        if not found:
            return
        at, walked = found[0], f"{walked}{name.upper()}/"


def _charge(tree: Section) -> int:
    """Charge that an input states, e; :class:`UsageError` unless it is a whole number."""
    text = (get_values(tree, "FORCE_EVAL/DFT/CHARGE") or ["0"])[0]
    if not re.fullmatch(r"[-+]?\d+", text):
        raise UsageError(f"FORCE_EVAL/DFT/CHARGE is a whole number of e, not '{text}'")
    return int(text)


def _setting(text: str) -> tuple[str, str, bool]:
    """Path, value, and whether it is one more; ``KIND[Ag]/POTENTIAL`` is short for the path below the structure."""
    path, value, add = parse_setting(text)
    return f"FORCE_EVAL/SUBSYS/{path}" if path.upper().startswith("KIND[") else path, value, add


def _fill_settings(tree: Section, settings: tuple[str, ...], *, kinds: Sequence[AtomKind]) -> list[Decision]:
    """What ``--set`` says, over everything else; the outer SCF follows a changed inner one."""
    decisions = []
    known = {"DEFAULT", *(kind.name.upper() for kind in kinds)}
    for setting in settings:
        path, value, add = _setting(setting)
        for each in _for_each_kind(setting, kinds):
            _set(tree, each)
        named = re.match(r"FORCE_EVAL/SUBSYS/KIND\[(.+?)\]/", path, re.IGNORECASE)
        idle = named is not None and named.group(1).upper() not in known | {k.default.element.upper() for k in kinds}
        reason = "asked for with --set" + (f"; no atom here is of the kind {named.group(1)}" if named and idle else "")
        decisions.append(Decision("setting", f"{path}{'+' if add else ''}={value}", reason))
    match_outer_scf(tree, asked=_asked(settings))
    return decisions


def _for_each_kind(setting: str, kinds: Sequence[AtomKind]) -> list[str]:
    """A setting of an element, once for each of its kinds where they are numbered; any other as it is."""
    found = re.match(r"(?:FORCE_EVAL/SUBSYS/)?KIND\[(.+?)\]/", setting, re.IGNORECASE)
    names = [kind.name for kind in kinds if not kind.ghost]
    if found is None or found.group(1) in names:
        return [setting]
    numbered = [kind.name for kind in kinds if not kind.ghost and kind.default.element == found.group(1)]
    head, tail = setting[: found.start(1)], setting[found.end(1) :]
    return [f"{head}{name}{tail}" for name in numbered] or [setting]


def _asked(settings: tuple[str, ...]) -> list[str]:
    """Paths of the settings, in capitals."""
    return [_setting(setting)[0].upper() for setting in settings]


def deck_settings(tree: Section) -> dict[str, Any]:
    """The settings that must agree before energies may be combined, read from an input."""
    dft = "FORCE_EVAL/DFT"

    def first(path: str) -> str | None:
        values = get_values(tree, path)
        return values[0] if values else None

    def on(path: str) -> bool:
        values = get_values(tree, path)
        return bool(values) and not values[0].strip(".").upper().startswith("F")

    subsys = find_section(tree, "FORCE_EVAL/SUBSYS")
    kinds = subsys.sections("KIND") if subsys else []
    scheme = words_of(first(f"{dft}/KPOINTS/SCHEME") or "")
    return {
        "functional": named_functional(tree),
        "basis": {kind.parameter: orbital_basis(kind) for kind in kinds},
        "potential": {kind.parameter: potential_in(kind) for kind in kinds},
        "cutoff_rydberg": _number(first(f"{dft}/MGRID/CUTOFF")),
        "rel_cutoff_rydberg": _number(first(f"{dft}/MGRID/REL_CUTOFF")),
        "kpoints": [int(word) for word in scheme[1:4]] if len(scheme) >= 4 else None,
        "spin": "UKS" if on(f"{dft}/UKS") or on(f"{dft}/LSD") else "RKS",
        "charge": _charge(tree),
        "surface_dipole": first(f"{dft}/SURF_DIP_DIR") if on(f"{dft}/SURFACE_DIPOLE_CORRECTION") else None,
        "dispersion": first(f"{dft}/XC/VDW_POTENTIAL/PAIR_POTENTIAL/TYPE"),
    }


def _number(text: str | None) -> float | None:
    """Value of a cutoff keyword in Ry, CP2K's default unit; another unit is refused rather than guessed."""
    if text is None:
        return None
    match = re.fullmatch(r"(?:\[Ry\]\s*)?([-+.\dEeDd]+)", text.strip())
    if match is None:
        raise UsageError(f"'{text}' is not a cutoff in Ry")
    return float(re.sub("[Dd]", "e", match.group(1)))
