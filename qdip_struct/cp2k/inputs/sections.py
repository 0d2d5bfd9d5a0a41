"""The input sections that depend on the structure: SCF, k-points, motion, dispersion, cell, coordinates, kinds, prints.

Each filler leaves alone what the template already says. PDOS is asked per region of the builder; in a k-point run,
where CP2K writes none, DOS takes its place.

Long because every section is filled under one rule: what the template says stays.
"""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.cp2k_input import (
    Keyword,
    Section,
    Verbatim,
    find_section,
    get_values,
    parse_input,
    set_value,
)
from qdip_struct.base.errors import UsageError
from qdip_struct.cp2k.inputs.decisions import Decision, decide_optimizer
from qdip_struct.cp2k.inputs.kinds import KindDefault, data_file, orbital_basis, potential_in, read_basis_sets
from qdip_struct.cp2k.inputs.methods import AUXILIARY_FILE, auxiliary_basis, is_active, without_auxiliary
from qdip_struct.cp2k.inputs.presets import Functional, Preset, list_functionals
from qdip_struct.cp2k.inputs.request import PRINTABLE, ScfMethod
from qdip_struct.cp2k.inputs.schema import Schema
from qdip_struct.cp2k.tasks import Task
from qdip_struct.materials.cp2k_structure import read_cell

if TYPE_CHECKING:
    from ase import Atoms

N_EMPTY_STATES = 10
N_EMPTY_BANDS = 4
N_POINTS_PER_LINE = 4
"""Intervals of each line of a band path: the edges of the crystals here lie at its ends."""


def fill_prints(
    tree: Section, wanted: Sequence[str], *, atoms: "Atoms", kpoints: bool, language: Schema, stride: int = 2
) -> tuple[list[Decision], tuple[str, ...]]:
    """Add print sections.

    Parameters
    ----------
    tree
        The input.
    wanted
        Words of ``PRINTABLE``.
    atoms
        The structure; its array ``region`` makes one PDOS list a region.
    kpoints
        Whether the run samples k-points.
    language
        Of the version that the input is for: PDOS has moved.
    stride
        Every how many grid points a cube file has a value, along each direction.

    Returns
    -------
    decisions, regions
        Regions in the order of CP2K's lists (``list1``, ``list2``, ...), empty without PDOS.

    Raises
    ------
    UsageError
        For an unknown word or a stride below 1.
    """
    unknown = [word for word in wanted if word not in PRINTABLE]
    if unknown:
        raise UsageError(f"cannot print '{unknown[0]}'; known: {', '.join(PRINTABLE)}")
    if stride < 1:
        raise UsageError(f"the stride of cube files is a positive whole number, not {stride}")
    decisions: list[Decision] = []
    regions: tuple[str, ...] = ()
    printing = "FORCE_EVAL/DFT/PRINT"
    for word in dict.fromkeys(wanted):
        if word == "stress":
            if not get_values(tree, "FORCE_EVAL/STRESS_TENSOR"):
                set_value(tree, "FORCE_EVAL/STRESS_TENSOR", "ANALYTICAL")
            _switch(tree, "FORCE_EVAL/PRINT", "STRESS_TENSOR")
        elif word in ("mulliken", "hirshfeld", "moments"):
            _switch(tree, printing, word.upper())
        elif word in ("density", "hartree"):
            section = _switch(tree, printing, {"density": "E_DENSITY_CUBE", "hartree": "V_HARTREE_CUBE"}[word])
            section.entries.append(Keyword("STRIDE", f"{stride} {stride} {stride}"))
        elif word == "bands":
            if not kpoints:
                raise UsageError("bands need a run with k-points (--kpoints); at Γ alone print 'pdos' or 'gap'")
            decisions.append(_bands(_switch(tree, printing, "BAND_STRUCTURE", parameter=""), tree, atoms))
        elif word == "orbitals" and not kpoints:
            _orbitals(_switch(tree, printing, "MO_CUBES"), stride)
        elif kpoints:
            _switch(tree, printing, "DOS")
            reason = "CP2K writes neither PDOS nor gaps in a k-point run; --print bands gives its band edges"
            decisions.append(Decision("levels", "DOS", reason))
        elif word == "gap":
            section = _switch(tree, printing, "MO_CUBES")
            if section.entries:
                continue
            section.entries += [Keyword("NHOMO", "1"), Keyword("NLUMO", "1"), Keyword("WRITE_CUBE", "F")]
        else:
            regions = _fill_pdos(tree, printing, atoms, language=language)
            lists = ", ".join(f"list {number} {region}" for number, region in enumerate(regions, start=1))
            decisions.append(Decision("PDOS", lists or "per kind", "one list for each region of the builder"))
    return decisions, regions


def _bands(section: Section, tree: Section, atoms: "Atoms") -> Decision:
    """Bands along the lines of the cell's Brillouin zone; what an own template says about them stays."""
    if section.entries:
        return Decision("bands", "as in the template", "the template has a band structure of its own")
    path = atoms.cell.bandpath(npoints=0)
    project = (get_values(tree, "GLOBAL/PROJECT") or ["run"])[0]
    section.entries += [Keyword("ADDED_MOS", str(N_EMPTY_BANDS)), Keyword("FILE_NAME", f"{project}-bands.bs")]
    for piece in path_pieces(path.path):
        points = [
            Keyword("SPECIAL_POINT", " ".join([name, *(f"{x:.8f}" for x in path.special_points[name])]))
            for name in piece
        ]
        count = Keyword("NPOINTS", str(N_POINTS_PER_LINE))
        section.entries.append(Section("KPOINT_SET", "", [Keyword("UNITS", "B_VECTOR"), count, *points]))
    reason = "a Monkhorst-Pack mesh need not hold the band edges; the high-symmetry points do for cubic crystals"
    return Decision("bands", path.path, reason)


def path_pieces(path: str) -> list[list[str]]:
    """The continuous lines of a band path: ``GXM,MR1`` → [[G, X, M], [M, R1]]."""
    return [re.findall(r"[A-Za-z]\d*", piece) for piece in path.split(",")]


def _orbitals(section: Section, stride: int) -> None:
    """HOMO and LUMO as cube files; what an own template says about them stays."""
    if any(entry.name == "STRIDE" for entry in section.entries if isinstance(entry, Keyword)):
        return
    section.entries[:] = [
        Keyword("NHOMO", "1"),
        Keyword("NLUMO", "1"),
        Keyword("WRITE_CUBE", "T"),
        Keyword("STRIDE", f"{stride} {stride} {stride}"),
    ]


def _switch(tree: Section, place: str, name: str, *, parameter: str = "ON") -> Section:
    parent = find_section(tree, place, create=True)
    assert parent is not None
    found = parent.sections(name)
    if found:
        return found[0]
    section = Section(name, parameter)
    parent.entries.append(section)
    return section


def _fill_pdos(tree: Section, printing: str, atoms: "Atoms", *, language: Schema) -> tuple[str, ...]:
    """PDOS of kinds and of regions; from 2026.2 on a part of &DOS, which then holds the lists."""
    components = Keyword("COMPONENTS", "T")
    below_dos = language.section((*printing.split("/"), "PDOS")) is None
    section = _switch(tree, printing, "DOS" if below_dos else "PDOS")
    if section.entries:
        return ()
    section.entries.append(Keyword("NLUMO", str(N_EMPTY_STATES)))
    section.entries.append(Section("PDOS", "", [components]) if below_dos else components)
    if "region" not in atoms.arrays:
        return ()
    labels = [str(label) for label in atoms.arrays["region"]]
    regions = tuple(sorted(set(labels)))
    for region in regions:
        chosen = [index for index, label in enumerate(labels) if label == region]
        lists = [Keyword("LIST", text) for text in list_lines(chosen)]
        section.entries.append(Section("LDOS", "", [components, *lists] if below_dos else [*lists]))
    return regions


def list_lines(indices: Sequence[int], *, width: int = 100) -> list[str]:
    """0-based indices as the values of CP2K ``LIST`` keywords, 1-based ranges: 0, 1, 2, 5 → ``1..3 6``."""
    runs: list[list[int]] = []
    for index in sorted(set(indices)):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    lines = [""]
    for first, last in runs:
        word = f"{first + 1}" if first == last else f"{first + 1}..{last + 1}"
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [line for line in lines if line]


GHOST_SUFFIX = "_gh"
_NO_MOMENT = 0.1
_SAME_MOMENT = 0.5
"""Moments of one element that differ by more are kinds of their own, Bohr magnetons: both are starts of the SCF."""


@dataclass(frozen=True)
class AtomKind:
    """An atomic kind of the input.

    Attributes
    ----------
    name
        Element, ``Fe1`` and ``Fe2`` where atoms of one element have different moments, or ``Pb_gh`` for ghosts.
    default
        What its element gets.
    n_atoms
        How many there are.
    ghost
        Whether they only carry their basis functions.
    moment
        Magnetic moment that the SCF starts from, Bohr magnetons.
    """

    name: str
    default: KindDefault
    n_atoms: int
    ghost: bool
    moment: float = 0.0


def fill(tree: Section, path: str, value: str) -> None:
    """Set a keyword unless the template has it."""
    if not get_values(tree, path):
        set_value(tree, path, value)


def moments_of(atoms: "Atoms") -> NDArray[np.float64]:
    """Magnetic moments (n,), Bohr magnetons, in the sense in which their sum is not negative; 0 for ghosts.

    Raises
    ------
    UsageError
        If they are vectors that do not lie along one Cartesian axis.
    """
    given = np.asarray(atoms.arrays.get("initial_magmoms", np.zeros(len(atoms))), dtype=float)
    if given.ndim == 2:
        axes = np.flatnonzero(np.abs(given).max(axis=0) > _NO_MOMENT)
        if len(axes) > 1:
            raise UsageError(
                "the magnetic moments of the structure do not lie along one axis; give them as one number for each atom"
            )
        given = given[:, axes[0]] if len(axes) else np.zeros(len(atoms))
    if "ghost" in atoms.arrays:
        given = np.where(atoms.arrays["ghost"], 0.0, given)
    # The majority is what CP2K calls alpha.
    return -given if given.sum() < -_NO_MOMENT else given


def kind_names(atoms: "Atoms") -> list[str]:
    """Kind name of every atom: its element, with a number where atoms of it have different moments, or ``Pb_gh`` where
    the boolean array ``ghost`` is set.
    """
    symbols = np.array(atoms.get_chemical_symbols(), dtype=object)
    moments = moments_of(atoms)
    ghost = np.asarray(atoms.arrays.get("ghost", np.zeros(len(atoms))), dtype=bool)
    names = np.where(ghost, symbols + GHOST_SUFFIX, symbols)
    for symbol in dict.fromkeys(symbols[np.abs(moments) > _NO_MOMENT]):
        own = np.flatnonzero((symbols == symbol) & ~ghost)
        level = _levels(moments[own])
        if level.max() > 0:
            order = list(dict.fromkeys(level.tolist()))
            names[own] = [f"{symbol}{order.index(n) + 1}" for n in level]
    return [str(name) for name in names]


def _levels(moments: NDArray[np.float64]) -> NDArray[np.int_]:
    """Number of the group of each moment (n,): one group is of one sign and no wider than half a magneton."""
    level = np.zeros(len(moments), dtype=int)
    first, number = None, -1
    for n in np.argsort(moments, kind="stable"):
        sign = 0.0 if abs(moments[n]) <= _NO_MOMENT else np.sign(moments[n])
        if first is None or sign != first[1] or moments[n] - first[0] > _SAME_MOMENT:
            first, number = (moments[n], sign), number + 1
        level[n] = number
    return level


def elements_of(atoms: "Atoms") -> list[str]:
    """Elements of a structure in alphabetical order."""
    return sorted(set(atoms.get_chemical_symbols()))


def kinds_of(atoms: "Atoms", *, chosen: Mapping[str, KindDefault]) -> tuple[AtomKind, ...]:
    """The kinds of a structure in alphabetical order, with what was chosen for each element."""
    names = kind_names(atoms)
    elements = dict(zip(names, atoms.get_chemical_symbols(), strict=True))
    moments: dict[str, list[float]] = {}
    for name, moment in zip(names, moments_of(atoms).tolist(), strict=True):
        moments.setdefault(name, []).append(moment)
    means = {name: sum(held) / len(held) for name, held in moments.items()}
    return tuple(
        AtomKind(
            name, chosen[elements[name]], len(moments[name]), name.endswith(GHOST_SUFFIX),
            round(means[name], 2) if abs(means[name]) > _NO_MOMENT else 0.0,
        )
        for name in sorted(moments)
    )  # fmt: skip


def count_electrons(kinds: Sequence[AtomKind]) -> int:
    """Valence electrons of the neutral structure; ghosts have none."""
    return sum(kind.default.n_valence * kind.n_atoms for kind in kinds if not kind.ghost)


def fill_scf(tree: Section, mesh: tuple[int, int, int], *, preset: Preset, method: ScfMethod = "auto") -> Decision:
    """k-points with diagonalisation and Broyden mixing, or OT at Γ (OT cannot work with k-points), or linear scaling.

    Parameters
    ----------
    tree
        Input to fill.
    mesh
        Divisions of the Monkhorst-Pack mesh.
    preset
        Where thresholds and mixing come from.
    method
        ``auto`` decides by the mesh.

    Raises
    ------
    UsageError
        If OT or linear scaling is asked for together with k-points.
    """
    dft = "FORCE_EVAL/DFT"
    eps_scf = str(preset.values["eps_scf"])
    gamma = mesh == (1, 1, 1)
    if method in ("ot", "ls") and not gamma:
        raise UsageError(
            f"--scf {method} works at Gamma only, but the mesh is {'x'.join(map(str, mesh))}; --kpoints 1,1,1"
        )
    if method == "ls":
        return _fill_linear_scaling(tree)
    _fill_restart(tree, save=bool(preset.values["save_wavefunction"]))
    if find_section(tree, f"{dft}/SCF/OT"):
        fill(tree, f"{dft}/SCF/EPS_SCF", eps_scf)
        return Decision("SCF", "as the template says", "the template has its own &OT")
    diagonal = [name for name in _DIAGONALISING if is_active(tree, f"{dft}/{name}")]
    fill(tree, f"{dft}/SCF/SCF_GUESS", "ATOMIC")
    fill(tree, f"{dft}/SCF/EPS_SCF", eps_scf)
    reason = "asked for" if method != "auto" else ""
    if method == "ot" or (method == "auto" and gamma and not diagonal):
        fill(tree, f"{dft}/SCF/MAX_SCF", "25")
        fill(tree, f"{dft}/SCF/OT/MINIMIZER", "DIIS")
        fill(tree, f"{dft}/SCF/OT/PRECONDITIONER", "FULL_SINGLE_INVERSE")
        fill(tree, f"{dft}/SCF/OUTER_SCF/EPS_SCF", eps_scf)
        fill(tree, f"{dft}/SCF/OUTER_SCF/MAX_SCF", "10")
        reason = reason or "Gamma only and a gap is expected: orbital transformation is fastest"
        return Decision("SCF", "OT, FULL_SINGLE_INVERSE", reason)
    if not gamma and not find_section(tree, f"{dft}/KPOINTS"):
        fill(tree, f"{dft}/KPOINTS/SCHEME", f"MONKHORST-PACK {mesh[0]} {mesh[1]} {mesh[2]}")
        fill(tree, f"{dft}/KPOINTS/FULL_GRID", "OFF")
    if diagonal and not reason:
        reason = f"the template has &{' and &'.join(name.rpartition('/')[2] for name in diagonal)}"
    fill(tree, f"{dft}/SCF/MAX_SCF", "100")
    fill(tree, f"{dft}/SCF/DIAGONALIZATION/ALGORITHM", "STANDARD")
    if not find_section(tree, f"{dft}/SCF/MIXING"):
        fill(tree, f"{dft}/SCF/MIXING/METHOD", "BROYDEN_MIXING")
        fill(tree, f"{dft}/SCF/MIXING/ALPHA", "0.4")
        fill(tree, f"{dft}/SCF/MIXING/NBROYDEN", "8")
    mixing = (get_values(tree, f"{dft}/SCF/MIXING/METHOD") or ["that of the template"])[0]
    named = "Broyden mixing" if mixing == "BROYDEN_MIXING" else f"mixing {mixing}"
    return Decision("SCF", f"diagonalisation, {named}", reason or "CP2K has no OT with k-points")


_DIAGONALISING = ("KPOINTS", "SCF/DIAGONALIZATION", "SCF/MIXING", "SCF/SMEAR")
"""Sections below ``&DFT`` that speak of diagonalisation."""


def match_outer_scf(tree: Section, *, asked: Sequence[str]) -> None:
    """Let the outer SCF loop follow a changed EPS_SCF: a stricter outer loop could never converge."""
    inner, outer = "FORCE_EVAL/DFT/SCF/EPS_SCF", "FORCE_EVAL/DFT/SCF/OUTER_SCF/EPS_SCF"
    if inner in asked and outer not in asked and get_values(tree, outer):
        set_value(tree, outer, get_values(tree, inner)[0])


def _fill_linear_scaling(tree: Section) -> Decision:
    """LS_SCF: no orbitals, its EPS_SCF is per electron; slower than OT below some thousand atoms."""
    place = "FORCE_EVAL/DFT/LS_SCF"
    fill(tree, "FORCE_EVAL/DFT/QS/LS_SCF", "T")
    for name, value in (
        ("MAX_SCF", "60"),
        ("EPS_SCF", "1.0E-7"),
        ("EPS_FILTER", "1.0E-7"),
        ("PURIFICATION_METHOD", "TRS4"),
        ("S_PRECONDITIONER", "ATOMIC"),
    ):
        fill(tree, f"{place}/{name}", value)
    return Decision("SCF", "linear scaling (LS_SCF)", "asked for; slower than OT below about 5000 atoms, no orbitals")


def _fill_restart(tree: Section, *, save: bool) -> None:
    printing = find_section(tree, "FORCE_EVAL/DFT/SCF/PRINT", create=True)
    assert printing is not None
    if printing.sections("RESTART"):
        return
    backups = [Keyword("BACKUP_COPIES", "0")] if save else []
    printing.entries.append(Section("RESTART", "ON" if save else "OFF", list(backups)))


_PLANE_WAVES = ("GPW", "GAPW", "GAPW_XC", "LRIGPW", "RIGPW")
"""Quickstep methods with a density functional; tight binding and semi-empirical ones take none."""


def fill_functional(tree: Section, functional: Functional) -> None:
    """The exchange-correlation section, unless the template names a functional, exact exchange, or a method that has
    none.
    """
    dft = "FORCE_EVAL/DFT"
    own = any(find_section(tree, f"{dft}/XC/{name}") for name in ("XC_FUNCTIONAL", "HF"))
    engine = (get_values(tree, "FORCE_EVAL/METHOD") or ["QS"])[0].upper()
    method = (get_values(tree, f"{dft}/QS/METHOD") or ["GPW"])[0].upper()
    if own or engine not in ("QS", "QUICKSTEP") or method not in _PLANE_WAVES:
        return
    place = find_section(tree, dft, create=True)
    assert place is not None
    _complete(place, parse_input(functional.dft, source=f"functional {functional.name}"))


def _complete(section: Section, given: Section) -> None:
    """Add what a section lacks of what is given for it."""
    for entry in given.entries:
        if isinstance(entry, Section):
            there = section.sections(entry.name)
            if there:
                _complete(there[0], entry)
            else:
                section.entries.append(entry)
        elif isinstance(entry, Keyword) and not section.keywords(entry.name):
            section.entries.append(entry)


def named_functional(tree: Section) -> str | None:
    """The functional of an input as the reader of outputs names it: its parts, then the fraction of exact exchange."""
    section = find_section(tree, "FORCE_EVAL/DFT/XC/XC_FUNCTIONAL")
    shortcut = section.parameter.upper() if section is not None else ""
    parts = [shortcut] if shortcut not in ("", "NONE", "NO_SHORTCUT") else []
    if section is not None and not parts:
        parts = [entry.name.upper() for entry in section.entries if isinstance(entry, Section)]
    if find_section(tree, "FORCE_EVAL/DFT/XC/HF") is not None:
        fraction = (get_values(tree, "FORCE_EVAL/DFT/XC/HF/FRACTION") or ["1.0"])[0]
        try:
            parts.append(f"HF({float(fraction):g})")
        except ValueError:
            parts.append(f"HF({fraction})")
    return "+".join(parts) or shortcut or None


def fill_auxiliary(tree: Section, kinds: Sequence[AtomKind]) -> list[Decision]:
    """Auxiliary basis sets of :data:`AUXILIARY_FILE`, where a template has ADMM and kinds have none of their own.

    Where that file lacks one, or is not installed, the input stays without, which its check then finds.
    """
    held = data_file(AUXILIARY_FILE)
    wanted = {kind.name: (kind.default.element, auxiliary_basis(kind.default.n_valence)) for kind in kinds}
    lacking = [
        (section, *wanted[section.parameter]) for section in without_auxiliary(tree) if section.parameter in wanted
    ]
    if held is None or not lacking:
        return []
    known = read_basis_sets(held)
    if any(name not in (n for basis in known.get(element, ()) for n in basis.names) for _, element, name in lacking):
        return []
    for section, _, name in lacking:
        section.entries.append(Keyword("BASIS_SET", f"AUX_FIT {name}"))
    files = "FORCE_EVAL/DFT/BASIS_SET_FILE_NAME"
    if AUXILIARY_FILE not in get_values(tree, files):
        set_value(tree, files, AUXILIARY_FILE, add=True)
    names = ", ".join(f"{section.parameter}: {name}" for section, _, name in lacking)
    reason = f"the template has ADMM and none of its own for them; of {AUXILIARY_FILE}"
    return [Decision("auxiliary basis", names, reason)]


def fill_dispersion(tree: Section, *, asked: Sequence[str] = ()) -> None:
    """D3 with Becke-Johnson damping (Grimme et al. 2011, doi:10.1002/jcc.21759), with the functional's own parameters.

    Parameters
    ----------
    tree
        Input to fill; its functional stands in it.
    asked
        Paths that the user sets, in capitals.

    Raises
    ------
    UsageError
        For a functional whose parameters are not known here, unless template or user name them.
    """
    place = "FORCE_EVAL/DFT/XC/VDW_POTENTIAL"
    reference = f"{place}/PAIR_POTENTIAL/REFERENCE_FUNCTIONAL"
    name = named_functional(tree)
    known = {named_by(functional): functional.d3bj for functional in list_functionals()}
    if name not in known and not get_values(tree, reference) and reference not in asked:
        raise UsageError(
            f"no D3(BJ) parameters are set down for the functional {name or 'of the template'}; "
            f"known: {', '.join(known)}; name them with --set {reference}=..."
        )
    fill(tree, f"{place}/POTENTIAL_TYPE", "PAIR_POTENTIAL")
    fill(tree, f"{place}/PAIR_POTENTIAL/TYPE", "DFTD3(BJ)")
    fill(tree, f"{place}/PAIR_POTENTIAL/PARAMETER_FILE_NAME", "dftd3.dat")
    if name in known:
        fill(tree, reference, known[name])
    fill(tree, f"{place}/PAIR_POTENTIAL/R_CUTOFF", "[angstrom] 16.0")


def named_by(functional: Functional) -> str:
    """How an input with this functional names it, see :func:`named_functional`."""
    tree = Section("")
    fill_functional(tree, functional)
    return named_functional(tree) or functional.name


def fill_motion(tree: Section, task: Task, *, n_atoms: int, preset: Preset) -> list[Decision]:
    """The section of a task that moves something: the optimiser of an optimisation, and what the preset gives.

    Parameters
    ----------
    tree
        Input to fill.
    task
        Which keywords it takes from the preset, and where they stand.
    n_atoms
        Number of atoms, which decides the optimiser.
    preset
        Where limits and criteria come from.
    """
    place = f"MOTION/{task.section}"
    decisions = [decide_optimizer(n_atoms)] if task.optimises else []
    for decision in decisions:
        fill(tree, f"{place}/OPTIMIZER", decision.choice)
    for keyword, entry in task.fills:
        value = preset.values[entry]
        fill(tree, f"{place}/{keyword}", f"{value:.1E}" if isinstance(value, float) else str(value))
    return decisions


def fill_fixed_atoms(tree: Section, fixed: Sequence[int]) -> None:
    """Atoms (0-based) that do not move, unless the template holds some itself."""
    constraint = "MOTION/CONSTRAINT/FIXED_ATOMS"
    if fixed and not find_section(tree, constraint):
        set_value(tree, f"{constraint}/COMPONENTS_TO_FIX", "XYZ")
        for line in list_lines(fixed):
            set_value(tree, f"{constraint}/LIST", line, add=True)


_SAME_CELL_ANGSTROM = 1e-6
_GEOMETRY = {
    "FORCE_EVAL/SUBSYS/CELL": (
        "A", "B", "C", "ABC", "ALPHA_BETA_GAMMA", "ANGLES", "CELL_FILE_NAME", "CELL_FILE_FORMAT", "MULTIPLE_UNIT_CELL",
    ),
    "FORCE_EVAL/SUBSYS/TOPOLOGY": (
        "COORD_FILE_NAME", "COORD_FILE", "COORD_FILE_FORMAT", "COORDINATE", "NUMBER_OF_ATOMS", "NATOMS", "NATOM",
        "MULTIPLE_UNIT_CELL", "CENTER_COORDINATES",
    ),
    "FORCE_EVAL/SUBSYS": ("COORD", "VELOCITY", "SHELL_COORD", "CORE_COORD", "SHELL_VELOCITY", "CORE_VELOCITY"),
}  # fmt: skip
"""What a template may say of the structure, keywords and sections by the section that holds them."""


def fill_subsys(tree: Section, atoms: "Atoms", kinds: Sequence[AtomKind]) -> list[Decision]:
    """Cell, coordinates and kinds; a ``&KIND`` that the template holds stays and is completed.

    The geometry of a template gives way: its cell in any form, its coordinates, velocities and files of them, and
    every ``&KIND`` that no atom is of. The directions in which the cell repeats are those of the Poisson solver.

    Raises
    ------
    UsageError
        If the template's ``SYMMETRY`` would change the cell.
    """
    place = "FORCE_EVAL/SUBSYS"
    for path, stated in _GEOMETRY.items():
        section = find_section(tree, path)
        if section is not None:
            section.entries[:] = [
                entry for entry in section.entries if isinstance(entry, Verbatim) or entry.name.upper() not in stated
            ]
    # x + 0.0 makes 0.0 of -0.0: equal structures give equal bytes, by which runs are shared.
    for letter, vector in zip("ABC", atoms.cell[:], strict=True):
        set_value(tree, f"{place}/CELL/{letter}", " ".join(f"{x + 0.0:.10f}" for x in vector))
    symmetric = get_values(tree, f"{place}/CELL/SYMMETRY")
    if symmetric and abs(read_cell(tree) - atoms.cell.array).max() > _SAME_CELL_ANGSTROM:
        raise UsageError(
            "SYMMETRY in FORCE_EVAL/SUBSYS/CELL of the template makes another cell of that of the structure; take it "
            "out, or give a structure that has it"
        )
    decisions = []
    periodic = (get_values(tree, "FORCE_EVAL/DFT/POISSON/PERIODIC") or ["XYZ"])[0]
    for of_cell in get_values(tree, f"{place}/CELL/PERIODIC")[:1]:
        if set(of_cell.upper()) != set(periodic.upper()):
            reason = f"as &POISSON is; the template has {of_cell} for the cell alone"
            decisions.append(Decision("periodicity of the cell", periodic, reason))
    set_value(tree, f"{place}/CELL/PERIODIC", periodic)
    subsys = find_section(tree, place, create=True)
    assert subsys is not None
    used = {"DEFAULT", *(name.upper() for kind in kinds for name in (kind.name, kind.default.element))}
    idle = [section for section in subsys.sections("KIND") if section.parameter.upper() not in used]
    if idle:
        left = ", ".join(dict.fromkeys(section.parameter for section in idle))
        decisions.append(Decision("kinds", f"without &KIND {left} of the template", "no atom here is of them"))
        subsys.entries[:] = [entry for entry in subsys.entries if not any(entry is section for section in idle)]
    coordinates = Section("COORD")
    names = kind_names(atoms)
    coordinates.entries = [
        Verbatim(f"{name} {x + 0.0:.10f} {y + 0.0:.10f} {z + 0.0:.10f}")
        for name, (x, y, z) in zip(names, atoms.positions.tolist(), strict=True)
    ]
    subsys.entries.append(coordinates)
    for kind in kinds:
        _fill_kind(subsys, kind)
    split = {kind.default.element for kind in kinds} - {kind.name for kind in kinds}
    subsys.entries[:] = [
        e for e in subsys.entries if not (isinstance(e, Section) and e.name.upper() == "KIND" and e.parameter in split)
    ]
    return decisions


def _numbered(section: Section, name: str) -> Section:
    """What a template says of an element, for one of its kinds; the moment is that of the kind."""
    kept = [e for e in deepcopy(section.entries) if not (isinstance(e, Keyword) and e.name.upper() == "MAGNETIZATION")]
    return Section("KIND", name, kept)


def _fill_kind(subsys: Section, kind: AtomKind) -> None:
    """A ``&KIND`` with what its element gets; none where ``&KIND DEFAULT`` says the same."""
    found = subsys.sections("KIND", parameter=kind.name)
    numbered = kind.name != kind.default.element and not kind.ghost
    if numbered and not found:
        found = [_numbered(section, kind.name) for section in subsys.sections("KIND", parameter=kind.default.element)]
        subsys.entries += found
    general = [] if kind.ghost or kind.moment or numbered else subsys.sections("KIND", parameter="DEFAULT")
    wanted = kind.default
    if (
        not found
        and general
        and (orbital_basis(general[0]), potential_in(general[0]))
        == (
            wanted.basis,
            wanted.potential,
        )
    ):
        return
    section = found[0] if found else Section("KIND", kind.name)
    if not found:
        subsys.entries.append(section)
    named = kind.ghost or numbered
    lacking = [("ELEMENT", wanted.element)] if named and not section.keywords("ELEMENT") else []
    if kind.moment and not section.keywords("MAGNETIZATION"):
        lacking.append(("MAGNETIZATION", f"{kind.moment:g}"))
    if orbital_basis(section) is None:
        lacking.append(("BASIS_SET", wanted.basis))
    if kind.ghost and not section.keywords("GHOST"):
        lacking.append(("GHOST", "T"))
    if not kind.ghost and potential_in(section) is None:
        lacking.append(("POTENTIAL", wanted.potential))
        if wanted.potential_file is not None:
            lacking.append(("POTENTIAL_FILE_NAME", wanted.potential_file))
    section.entries += [Keyword(name, value) for name, value in lacking]
