"""Combinations of methods that CP2K stops at after the job has started, and those that end in a wrong answer.

``cp2k --check`` sees none of them. What is called an abort was planted in a small input and run by CP2K 2023.1 and
2026.2; siblings of what was tried (NPT_F beside NPT_I) are taken to go the same way.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from qdip_struct.base.cp2k_input import (
    Section,
    find_section,
    get_values,
    integer_of,
    logical_of,
    number_of,
    text_of,
    words_of,
)
from qdip_struct.base.documents import yaml_document
from qdip_struct.base.errors import DataError
from qdip_struct.base.files import shipped
from qdip_struct.cp2k.inputs.input_settings import Subsys
from qdip_struct.cp2k.inputs.kinds import data_file
from qdip_struct.cp2k.inputs.language import Finding
from qdip_struct.cp2k.program import release
from qdip_struct.cp2k.tasks import task_of
from qdip_struct.materials.cp2k_structure import fixed_ranges
from qdip_struct.materials.ions import HALIDES

DFT = "FORCE_EVAL/DFT"
_SPIN_POLARISED = ("UKS", "LSD", "UNRESTRICTED_KOHN_SHAM", "SPIN_POLARIZED")
_OPEN_SHELL = (*_SPIN_POLARISED, "ROKS", "RESTRICTED_OPEN_KOHN_SHAM")
_HYBRIDS = ("PBE0", "B3LYP")
"""Functionals of one word that hold exact exchange."""
_THERMOSTATED = ("NVT", "NPT_I", "NPT_F", "NPT_IA")
_PROPAGATING = ("RT_PROPAGATION", "EHRENFEST_DYN", "RTP", "SPECTRA")
_PRESSURED = ("NPT_I", "NPT_F", "NPT_IA", "NPE_I", "NPE_F")
_SHORT_CELL_ANGSTROM = 8.0
"""Of a crystal at Γ: the primitive cell of PbS is 4.2 Å, and twice its cubic cell 12 Å."""
_EPS_RATIO = 1e-2
"""EPS_DEFAULT beyond this fraction of EPS_SCF: the noise of the matrices reaches what the SCF is to resolve."""
AUXILIARY_FILE = "BASIS_ADMM_UZH"
"""CP2K's file of auxiliary basis sets for most elements, named after their valence electrons."""
_TDDFPT = "FORCE_EVAL/PROPERTIES/TDDFPT"
_TURNS_CELLS = (2023, 1)
"""This release turned the cell of CELL_OPT by itself; 2025.1 and 2026.2 do not."""
_LEARNT = (2026, 2)
"""From this release on DFT+U (Mulliken) and TDDFPT without a kernel take k-points, the wavelet solver every pair of
directions, and D3 finds its functional by itself."""


def check_methods(
    tree: Section, subsys: Subsys | None, *, folder: Path | None, version: str | None = None
) -> Iterator[Finding]:
    """What the methods of one ``&FORCE_EVAL`` of Quickstep do not do together.

    Parameters
    ----------
    tree
        The expanded input, with that ``&FORCE_EVAL`` alone.
    subsys
        Its atoms; ``None`` where they are not known.
    folder
        Where the run starts.
    version
        Of CP2K: what a later one has learnt is no error there. Default: what every version refuses or one may.
    """
    learnt = knows_more(version)
    yield from _check_kpoints(tree, learnt=learnt)
    yield from _check_scf(tree)
    yield from _check_poisson(tree, subsys, learnt=learnt)
    yield from _check_exchange(tree, subsys)
    yield from _check_dispersion(tree, folder=folder, learnt=learnt)
    yield from _check_motion(tree)
    yield from _check_accuracy(tree)
    if subsys is not None:
        yield from _check_cell(tree, subsys)
        if version is not None and release(version) > _TURNS_CELLS:
            yield from _check_orientation(tree, subsys)
        yield from _check_dipole(tree, subsys)
        yield from _check_lists(tree, n_atoms=len(subsys.kinds))
        yield from _check_semiempirical(tree, subsys)


def check_spin(tree: Section, n_electrons: int) -> Iterator[Finding]:
    """Electrons, multiplicity and spin polarisation."""
    open_shell = any(_logical(tree, f"{DFT}/{name}") for name in _OPEN_SHELL)
    stated = next((v for n in ("MULTIPLICITY", "MULTIP") for v in get_values(tree, f"{DFT}/{n}")), None)
    line = _line(tree, DFT)
    subsys = find_section(tree, "FORCE_EVAL/SUBSYS")
    moments = [k for kind in (subsys.sections("KIND") if subsys else []) for k in kind.keywords("MAGNETIZATION")]
    moments = [keyword for keyword in moments if _is_moment(keyword.value)]
    if moments and not open_shell:
        message = "MAGNETIZATION means nothing in a spin-restricted run"
        yield Finding("warning", moments[0].line, message, "set UKS T, or leave it away")
    if n_electrons % 2 and not open_shell:
        smeared = is_active(tree, f"{DFT}/SCF/SMEAR")
        message = f"{n_electrons} electrons are an odd number, but the run is spin-restricted"
        remedy = "set UKS T and MULTIPLICITY 2, or change the charge"
        yield Finding("warning" if smeared else "error", line, message, remedy)
    if stated is None or not stated.isdigit() or not int(stated):
        return
    if (n_electrons + int(stated)) % 2 == 0:
        message = f"multiplicity {stated} is impossible with {n_electrons} electrons"
        yield Finding("error", line, message, f"set MULTIPLICITY {2 if n_electrons % 2 else 1}")
    elif int(stated) > 1 and not open_shell:
        message = f"MULTIPLICITY {stated} means nothing in a spin-restricted run: CP2K pairs all electrons"
        yield Finding("warning", line, message, "set UKS T, or leave MULTIPLICITY away")


def _is_moment(value: str) -> bool:
    try:
        return any(number_of(word) != 0.0 for word in words_of(value)[:1])
    except DataError:
        return False


def samples(tree: Section) -> bool:
    """Whether the run has k-points for CP2K, Γ written as one among them."""
    scheme = (get_values(tree, f"{DFT}/KPOINTS/SCHEME") or ["NONE"])[0].upper()
    return find_section(tree, f"{DFT}/KPOINTS") is not None and not scheme.startswith("NONE")


def is_active(tree: Section, path: str) -> bool:
    """Whether a section is there and not switched off by its parameter."""
    section = find_section(tree, path)
    try:
        return section is not None and logical_of(section.parameter)
    except DataError:
        return section is not None


def _logical(tree: Section, path: str) -> bool:
    """Value of a logical; false where it is not stated or cannot be read."""
    values = get_values(tree, path)
    try:
        return bool(values) and logical_of(values[0])
    except DataError:
        return False


def _number(tree: Section, path: str, *, default: float | None = None) -> float | None:
    """First number of a value, its unit left out."""
    words = [word for value in get_values(tree, path)[:1] for word in words_of(value) if not word.startswith("[")]
    try:
        return number_of(words[0]) if words else default
    except DataError:
        return default


def _word(tree: Section, path: str, *, default: str) -> str:
    words = [word for value in get_values(tree, path)[:1] for word in words_of(value)]
    return words[0].upper() if words else default


def _line(tree: Section, path: str) -> int | None:
    """Line of a section, or of the first keyword of that name in its parent."""
    section = find_section(tree, path)
    if section is not None:
        return section.line
    place, _, name = path.rpartition("/")
    parent = find_section(tree, place)
    return next((keyword.line for keyword in parent.keywords(name)), parent.line) if parent is not None else None


def _run_type(tree: Section) -> str:
    return _word(tree, "GLOBAL/RUN_TYPE", default="ENERGY_FORCE")


def _exact_exchange(tree: Section) -> str | None:
    """The path that brings exact exchange in; ``None`` without it. Its RI form knows k-points and is left out."""
    if is_active(tree, f"{DFT}/XC/HF/RI"):
        return None
    if is_active(tree, f"{DFT}/XC/HF"):
        return f"{DFT}/XC/HF"
    functional = find_section(tree, f"{DFT}/XC/XC_FUNCTIONAL")
    return f"{DFT}/XC/XC_FUNCTIONAL" if functional is not None and functional.parameter.upper() in _HYBRIDS else None


def _gaussian(tree: Section) -> bool:
    """Whether the orbitals have basis sets, and not the parameters of an empirical method."""
    return _word(tree, f"{DFT}/QS/METHOD", default="GPW").startswith(("GPW", "GAPW", "LRIGPW", "RIGPW"))


def _plus_u(tree: Section) -> Section | None:
    """The first ``&DFT_PLUS_U`` that is on."""
    subsys = find_section(tree, "FORCE_EVAL/SUBSYS")
    kinds = subsys.sections("KIND") if subsys is not None else []
    return next((u for kind in kinds for u in kind.sections("DFT_PLUS_U") if is_active(kind, "DFT_PLUS_U")), None)


def without_kpoints(tree: Section, *, learnt: bool) -> Iterator[tuple[int | None, str]]:
    """What an input asks for that CP2K does at Γ alone, OT aside: line and name of each.

    Parameters
    ----------
    tree
        The input.
    learnt
        Whether it is for a release from 2026.2 on, which does more.
    """
    kernel = _word(tree, f"{_TDDFPT}/KERNEL", default="FULL")
    unable = {
        f"{DFT}/PERIODIC_EFIELD": "a periodic electric field",
        f"{DFT}/XC/WF_CORRELATION/RI_MP2": "MP2",
        "FORCE_EVAL/PROPERTIES/LINRES": "linear response",
    }
    if not learnt or kernel != "NONE":
        unable[_TDDFPT] = "TDDFPT"
    exchange = _exact_exchange(tree)
    if exchange is not None:
        yield _line(tree, exchange), "exact exchange"
    yield from ((_line(tree, path), what) for path, what in unable.items() if is_active(tree, path))
    plus_u = _plus_u(tree)
    lowdin = _word(tree, f"{DFT}/PLUS_U_METHOD", default="MULLIKEN") == "LOWDIN"
    if plus_u is not None and (lowdin or not learnt):
        yield plus_u.line, "DFT+U"
    if _run_type(tree) in _PROPAGATING:
        yield _line(tree, "GLOBAL/RUN_TYPE"), _run_type(tree)
    if _logical(tree, f"{DFT}/QS/LS_SCF"):
        yield _line(tree, f"{DFT}/QS/LS_SCF"), "linear scaling (LS_SCF, Gamma only)"


def knows_more(version: str | None) -> bool:
    """Whether a release has learnt what versions before 2026.2 do not do together."""
    return version is not None and release(version) >= _LEARNT


def _check_kpoints(tree: Section, *, learnt: bool) -> Iterator[Finding]:
    if not samples(tree):
        return
    if is_active(tree, f"{DFT}/SCF/OT"):
        remedy = "use &DIAGONALIZATION and &MIXING with k-points"
        yield Finding("error", _line(tree, f"{DFT}/SCF/OT"), "OT does not work with k-points: CP2K aborts", remedy)
    for line, what in without_kpoints(tree, learnt=learnt):
        message = f"{what} does not work with k-points: CP2K aborts"
        yield Finding("error", line, message, "leave &KPOINTS away and make the cell larger")
    if _word(tree, f"{DFT}/KPOINTS/SCHEME", default="") == "GENERAL" and not get_values(tree, f"{DFT}/KPOINTS/KPOINT"):
        message = "SCHEME GENERAL needs its k-points: CP2K aborts"
        yield Finding("error", _line(tree, f"{DFT}/KPOINTS"), message, "add KPOINT x y z weight")
    for name, instead in (("PDOS", "ask for &DOS instead"), ("MOMENTS", ""), ("MO_CUBES", "")):
        path = f"{DFT}/PRINT/{name}"
        if is_active(tree, path):
            remedy = instead or "leave it away, or run at Γ"
            yield Finding("warning", _line(tree, path), f"{name} is not written in a k-point run", remedy)
    if not is_active(tree, f"{DFT}/SCF/MIXING") and not is_active(tree, f"{DFT}/SCF/OT"):
        message = "k-points without &MIXING: the density is mixed directly, and the SCF hardly converges"
        yield Finding("warning", _line(tree, f"{DFT}/SCF"), message, "add &MIXING with METHOD BROYDEN_MIXING")


def _check_scf(tree: Section) -> Iterator[Finding]:
    scf = f"{DFT}/SCF"
    ot, smearing = is_active(tree, f"{scf}/OT"), is_active(tree, f"{scf}/SMEAR")
    added = _number(tree, f"{scf}/ADDED_MOS", default=0.0)
    if ot and find_section(tree, f"{scf}/DIAGONALIZATION") is not None and is_active(tree, f"{scf}/DIAGONALIZATION"):
        message = "OT and DIAGONALIZATION are both on: CP2K aborts"
        yield Finding("error", _line(tree, f"{scf}/DIAGONALIZATION"), message, "leave one of them away")
    if ot and smearing:
        message = "OT does not smear occupations: CP2K aborts"
        yield Finding("error", _line(tree, f"{scf}/SMEAR"), message, "use &DIAGONALIZATION, &MIXING and ADDED_MOS")
    elif smearing and not added:
        message = "smearing needs empty orbitals: CP2K aborts"
        yield Finding("error", _line(tree, f"{scf}/SMEAR"), message, "set ADDED_MOS to a tenth of the occupied ones")
    if ot and added:
        message = "OT takes no ADDED_MOS: CP2K aborts"
        yield Finding("error", _line(tree, f"{scf}/ADDED_MOS"), message, "leave it away; PDOS and cubes have NLUMO")
    restricted_open = any(_logical(tree, f"{DFT}/{name}") for name in ("ROKS", "RESTRICTED_OPEN_KOHN_SHAM"))
    if ot and restricted_open and not _logical(tree, f"{scf}/OT/ROTATION"):
        message = "ROKS with OT needs rotated orbitals: CP2K aborts"
        yield Finding("error", _line(tree, f"{scf}/OT"), message, "set ROTATION T in &OT")


def _check_poisson(tree: Section, subsys: Subsys | None, *, learnt: bool) -> Iterator[Finding]:
    periodic = _word(tree, f"{DFT}/POISSON/PERIODIC", default="XYZ")
    solver = _word(tree, f"{DFT}/POISSON/POISSON_SOLVER", default=_word(tree, f"{DFT}/POISSON/PSOLVER", default=""))
    solver = solver or _word(tree, f"{DFT}/POISSON/POISSON", default="PERIODIC")
    of_cell = _word(tree, "FORCE_EVAL/SUBSYS/CELL/PERIODIC", default="XYZ")
    line = _line(tree, f"{DFT}/POISSON") or _line(tree, DFT)
    possible = {
        "PERIODIC": periodic == "XYZ",
        "MT": periodic == "NONE" or len(periodic) == 2,
        "MULTIPOLE": periodic == "NONE",
        "WAVELET": periodic in ("XYZ", "XZ", "NONE") or (learnt and len(periodic) == 2),
    }
    if not possible.get(solver, True):
        ways = {"NONE": "MT or WAVELET", "XY": "ANALYTIC or MT", "XYZ": "PERIODIC"}.get(periodic, "ANALYTIC")
        message = f"the Poisson solver {solver} does not go with PERIODIC {periodic}: CP2K aborts"
        yield Finding("error", line, message, f"set POISSON_SOLVER {ways}")
        return
    if set(periodic) != set(of_cell):
        message = f"&POISSON is PERIODIC {periodic}, and &CELL is PERIODIC {of_cell}"
        yield Finding("warning", line, message, "say the same in both, or atoms and density live in different cells")
    if subsys is None:
        return
    edges = np.linalg.norm(subsys.cell, axis=1)
    if solver == "WAVELET" and periodic == "NONE" and np.ptp(edges) > 1e-6:
        message = "the wavelet solver without periodicity takes cubic boxes only: CP2K aborts"
        yield Finding("error", line, message, "make the three edges equal, or use MT")
    if periodic == "XYZ" or solver not in ("MT", "WAVELET", "ANALYTIC", "MULTIPOLE"):
        return
    for axis in (axis for axis in range(3) if "XYZ"[axis] not in periodic):
        height, extent = float(subsys.cell[axis, axis]), float(np.ptp(subsys.positions[:, axis]))
        lowest, highest = float(subsys.positions[:, axis].min()), float(subsys.positions[:, axis].max())
        if lowest < 0.0 or highest > height:
            message = f"atoms lie outside the box along {'XYZ'[axis]}, where it is not periodic"
            yield Finding("warning", line, message, "shift them into the box, or set TOPOLOGY/CENTER_COORDINATES")
        elif (solver == "MT" and height < 2.0 * extent) or height < extent + 5.0:
            message = (
                f"the box of {height:.1f} Å is small for atoms over {extent:.1f} Å along {'XYZ'[axis]}"
                f"{': MT needs twice their extent' if solver == 'MT' else ''}"
            )
            yield Finding("warning", line, message, "make it larger: the density reaches 3 Å beyond the atoms")


def _check_exchange(tree: Section, subsys: Subsys | None) -> Iterator[Finding]:
    path = f"{DFT}/XC/HF"
    if is_active(tree, path):
        potential = f"{path}/INTERACTION_POTENTIAL"
        kind = _word(tree, f"{potential}/POTENTIAL_TYPE", default="COULOMB")
        periodic = _word(tree, f"{DFT}/POISSON/PERIODIC", default="XYZ") != "NONE"
        if periodic and kind in ("COULOMB", "LONGRANGE", "MIX_CL"):
            message = f"exact exchange with the potential {kind} has no end in a periodic cell"
            remedy = "set POTENTIAL_TYPE TRUNCATED (or SHORTRANGE) and CUTOFF_RADIUS below half the cell"
            yield Finding("warning", _line(tree, path), message, remedy)
        radius = _number(tree, f"{potential}/CUTOFF_RADIUS")
        if periodic and subsys is not None and radius is not None and kind.endswith(("TRUNC", "TRUNCATED")):
            half = 0.5 * float(np.min(1.0 / np.linalg.norm(np.linalg.inv(subsys.cell), axis=0)))
            if radius > half:
                message = f"CUTOFF_RADIUS {radius:g} Å is more than half the shortest height of the cell ({half:.2f} Å)"
                yield Finding("warning", _line(tree, potential), message, "make it smaller, or the cell larger")
        if kind.endswith(("TRUNC", "TRUNCATED")):
            yield from _check_data(tree, f"{potential}/T_C_G_DATA", default="t_c_g.dat", folder=None)
    for place in without_auxiliary(tree):
        message = f"ADMM needs an auxiliary basis set for {place.parameter}: CP2K aborts"
        remedy = f"add BASIS_SET AUX_FIT with a name of {AUXILIARY_FILE}, such as {auxiliary_basis(4)} for Pb"
        yield Finding("error", place.line, message, remedy)


def auxiliary_basis(n_valence: int) -> str:
    """Name in :data:`AUXILIARY_FILE` of the double-zeta set for a potential of so many valence electrons."""
    return f"admm-dzp-q{n_valence}"


def without_auxiliary(tree: Section) -> list[Section]:
    """Every ``&KIND`` that ADMM finds no auxiliary basis set for; AUTO_BASIS does not make this one in any release."""
    if not is_active(tree, f"{DFT}/AUXILIARY_DENSITY_MATRIX_METHOD"):
        return []
    subsys = find_section(tree, "FORCE_EVAL/SUBSYS")
    found = []
    for kind in subsys.sections("KIND") if subsys is not None else []:
        first = [words_of(keyword.value)[:1] for keyword in kind.keywords("BASIS_SET")]
        if ["AUX_FIT"] not in [[word.upper() for word in words] for words in first]:
            found.append(kind)
    return found


def _check_dispersion(tree: Section, *, folder: Path | None, learnt: bool) -> Iterator[Finding]:
    path = f"{DFT}/XC/VDW_POTENTIAL"
    kind = _word(tree, f"{path}/POTENTIAL_TYPE", default="NONE")
    if kind == "PAIR_POTENTIAL":
        pair = f"{path}/PAIR_POTENTIAL"
        form = _word(tree, f"{pair}/TYPE", default="DFTD3(BJ)")
        if form in ("DFTD3", "DFTD3(BJ)"):
            yield from _check_data(tree, f"{pair}/PARAMETER_FILE_NAME", default="DFTD3.dat", folder=folder)
            scaled = any(get_values(tree, f"{pair}/{name}") for name in ("D3_SCALING", "D3BJ_SCALING"))
            if not scaled and not learnt and not get_values(tree, f"{pair}/REFERENCE_FUNCTIONAL"):
                message = f"{form} does not know its functional: CP2K before 2026.2 aborts"
                yield Finding("error", _line(tree, pair), message, "set REFERENCE_FUNCTIONAL, such as PBE")
            if not scaled:
                yield from _check_reference(tree, pair, form=form, learnt=learnt)
    elif kind == "NON_LOCAL":
        yield from _check_data(
            tree, f"{path}/NON_LOCAL/KERNEL_FILE_NAME", default="vdW_kernel_table.dat", folder=folder
        )


def _check_reference(tree: Section, pair: str, *, form: str, learnt: bool) -> Iterator[Finding]:
    """Whether CP2K has parameters for the functional that a D3 correction names."""
    section = find_section(tree, pair)
    table = yaml_document(shipped("cp2k_templates", "d3_functionals.yaml"))
    known = [*table[form], *(table["later"].get(form, []) if learnt else [])]
    for keyword in section.keywords("REFERENCE_FUNCTIONAL")[:1] if section is not None else []:
        name = text_of(keyword.value)
        spelled = [other for other in known if other.upper() == name.upper()]
        if spelled and (learnt or name in spelled):
            continue
        message = f"{form} knows no functional {name}: CP2K aborts"
        close = spelled or difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        remedy = f"write {' or '.join(close)}" if close else "take one it knows (PBE, revPBE, BLYP, ...), or D3_SCALING"
        if spelled:
            message = f"{form} of CP2K before 2026.2 knows no functional {name}, for case counts: CP2K aborts"
        yield Finding("error", keyword.line, message, remedy)


def _check_data(tree: Section, path: str, *, default: str, folder: Path | None) -> Iterator[Finding]:
    """Whether a file of numbers is among CP2K's or where the run starts; silent without CP2K's data files."""
    stated = get_values(tree, path)
    name = text_of(stated[0]) if stated else default
    if data_file("GTH_POTENTIALS") is None or data_file(name) is not None or (folder or Path()).joinpath(name).exists():
        return
    if stated:
        message = f"{path.rpartition('/')[2]} {name} is not among CP2K's data files"
        yield Finding("error", _line(tree, path), message, "correct the name, or put the file into the run folder")


def _check_motion(tree: Section) -> Iterator[Finding]:
    run_type = _run_type(tree)
    stress = _word(tree, "FORCE_EVAL/STRESS_TENSOR", default="NONE")
    task = task_of(run_type)
    remedy = "set FORCE_EVAL/STRESS_TENSOR ANALYTICAL"
    if task is not None and task.needs_stress and stress == "NONE":
        message = f"{run_type} needs the stress tensor"
        yield Finding("error", _line(tree, "FORCE_EVAL/STRESS_TENSOR"), message, remedy)
    if run_type not in ("MD", "MOLECULAR_DYNAMICS"):
        return
    ensemble = _word(tree, "MOTION/MD/ENSEMBLE", default="NVE")
    line = _line(tree, "MOTION/MD")
    if ensemble in _PRESSURED and stress == "NONE":
        yield Finding("error", line, f"the ensemble {ensemble} needs the stress tensor", remedy)
    if ensemble in _THERMOSTATED and find_section(tree, "MOTION/MD/THERMOSTAT") is None:
        message = f"the ensemble {ensemble} has no thermostat: CP2K aborts"
        yield Finding("error", line, message, "add &THERMOSTAT (TYPE CSVR) to &MD, or take another ensemble")


def _check_accuracy(tree: Section) -> Iterator[Finding]:
    eps_scf = _number(tree, f"{DFT}/SCF/EPS_SCF", default=1e-5) or 1e-5
    eps_default = _number(tree, f"{DFT}/QS/EPS_DEFAULT", default=1e-10) or 1e-10
    if eps_default > _EPS_RATIO * eps_scf:
        message = f"EPS_DEFAULT {eps_default:g} is coarse beside EPS_SCF {eps_scf:g}: its noise is what the SCF sees"
        yield Finding("warning", _line(tree, f"{DFT}/QS/EPS_DEFAULT"), message, "set EPS_DEFAULT to EPS_SCF squared")
    cutoff = _number(tree, f"{DFT}/MGRID/CUTOFF")
    if cutoff is not None and cutoff <= 0.0:
        message = "CUTOFF is no plane-wave cutoff: CP2K aborts"
        yield Finding("error", _line(tree, f"{DFT}/MGRID/CUTOFF"), message, "set 300 Ry or more")
    if not is_active(tree, f"{DFT}/XC") and _word(tree, f"{DFT}/QS/METHOD", default="GPW") in (
        "GPW",
        "GAPW",
        "GAPW_XC",
    ):
        message = "there is no &XC: CP2K aborts"
        yield Finding("error", _line(tree, DFT), message, "add &XC with &XC_FUNCTIONAL")


def _check_cell(tree: Section, subsys: Subsys) -> Iterator[Finding]:
    """Sampling, charge and coordinates against the cell."""
    geometry = subsys.geometry
    mesh = _mesh(tree)
    charge = _number(tree, f"{DFT}/CHARGE", default=0.0) or 0.0
    heights = 1.0 / np.linalg.norm(np.linalg.inv(subsys.cell), axis=0)
    periodic = _word(tree, f"{DFT}/POISSON/PERIODIC", default="XYZ")
    for axis in geometry.vacuum_axes:
        if mesh is not None and mesh[axis] > 1:
            message = f"{mesh[axis]} k-points along {'ABC'[axis]}, where the structure ends: work without effect"
            yield Finding("warning", _line(tree, f"{DFT}/KPOINTS"), message, "one is enough along the vacuum")
    short = [axis for axis in range(3) if axis not in geometry.vacuum_axes and heights[axis] < _SHORT_CELL_ANGSTROM]
    if short and not samples(tree) and len(subsys.kinds) > 1 and periodic == "XYZ":
        message = (
            f"Γ alone in a cell of {heights[short[0]]:.1f} Å along {'ABC'[short[0]]}: too few k-points for a crystal"
        )
        alone = next(without_kpoints(tree, learnt=False), None)
        remedy = "add &KPOINTS, or repeat the cell" if alone is None else f"repeat the cell: {alone[1]} is for Γ alone"
        yield Finding("warning", _line(tree, DFT), message, remedy)
    if charge and periodic == "XYZ":
        message = f"a charge of {charge:+g} e in a periodic cell: CP2K adds a uniform background that shifts the energy"
        yield Finding("warning", _line(tree, f"{DFT}/CHARGE"), message, "compare such energies only with a correction")
    coord = find_section(tree, "FORCE_EVAL/SUBSYS/COORD")
    fractions = subsys.positions @ np.linalg.inv(subsys.cell)
    if coord is not None and _logical(tree, "FORCE_EVAL/SUBSYS/COORD/SCALED") and np.abs(fractions).max() > 2.0:
        message = f"SCALED coordinates reach {np.abs(fractions).max():.1f} cells: they look like Å"
        yield Finding("warning", coord.line, message, "leave SCALED away, or give fractions of the cell")


def _check_orientation(tree: Section, subsys: Subsys) -> Iterator[Finding]:
    """A cell that CELL_OPT would deform, as it is not turned the way that the constraint supposes."""
    if _run_type(tree) != "CELL_OPT" or not _logical(tree, "MOTION/CELL_OPT/KEEP_ANGLES"):
        return
    if np.abs(np.triu(subsys.cell, 1)).max() > 1e-3:
        message = "KEEP_ANGLES with a cell whose a is not along x, or b not in the plane of x and y: edges go apart"
        remedy = "turn cell and atoms (CP2K 2023.1 did so by itself); 'qdip inputs' does"
        yield Finding("warning", _line(tree, "FORCE_EVAL/SUBSYS/CELL"), message, remedy)


def _mesh(tree: Section) -> tuple[int, int, int] | None:
    words = [word for value in get_values(tree, f"{DFT}/KPOINTS/SCHEME")[:1] for word in words_of(value)]
    try:
        numbers = [integer_of(word) for word in words[1:4]]
    except DataError:
        return None
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None


def _check_dipole(tree: Section, subsys: Subsys) -> Iterator[Finding]:
    if not _logical(tree, f"{DFT}/SURFACE_DIPOLE_CORRECTION"):
        return
    line = _line(tree, f"{DFT}/SURFACE_DIPOLE_CORRECTION")
    geometry = subsys.geometry
    letter = _word(tree, f"{DFT}/SURF_DIP_DIR", default="Z")
    if geometry.system != "slab":
        message = f"surface dipole correction in a structure that is no slab ({geometry.system})"
        level: Literal["error", "warning"] = "error" if geometry.system == "bulk" else "warning"
        yield Finding(level, line, message, "leave SURFACE_DIPOLE_CORRECTION away")
        return
    axis = geometry.vacuum_axes[0]
    if letter != "XYZ"[axis]:
        message = f"the dipole correction acts along {letter}, but the vacuum is along {'XYZ'[axis]}"
        yield Finding("error", line, message, f"set SURF_DIP_DIR {'XYZ'[axis]}")
    elif geometry.vacuum_angstrom[axis] < 19.5:
        message = f"only {geometry.vacuum_angstrom[axis]:.1f} Å of vacuum for the dipole correction"
        yield Finding("warning", line, message, "CP2K may abort ('needs more vacuum space'); use 20 Å or more")


def _check_lists(tree: Section, *, n_atoms: int) -> Iterator[Finding]:
    """Atoms that lists name: beyond the last, a list of PDOS ends the run; fixed atoms are passed over."""
    printing = find_section(tree, f"{DFT}/PRINT")
    for holder in (s for name in ("PDOS", "DOS") for s in (printing.sections(name) if printing is not None else [])):
        for section in holder.sections("LDOS"):
            numbers = _numbers(keyword.value for keyword in section.keywords("LIST"))
            if numbers and (max(numbers) > n_atoms or min(numbers) < 1):
                message = f"LDOS names atom {max(numbers)}, but there are {n_atoms}: CP2K crashes"
                yield Finding("error", section.line, message, "CP2K counts atoms from 1")
    line = _line(tree, "MOTION/CONSTRAINT/FIXED_ATOMS")
    fixed = fixed_ranges(tree)
    if fixed and max(last for _, last, _ in fixed) > n_atoms:
        message = f"FIXED_ATOMS names atom {max(last for _, last, _ in fixed)}, but there are {n_atoms}"
        yield Finding("warning", line, message, "CP2K passes over it; it counts atoms from 1")
    held = {i for first, last, what in fixed if what == "XYZ" for i in range(max(first, 1), min(last, n_atoms) + 1)}
    if len(held) == n_atoms and _run_type(tree) in ("GEO_OPT", "GEOMETRY_OPTIMIZATION", "MD", "MOLECULAR_DYNAMICS"):
        yield Finding("warning", line, "every atom is fixed: nothing moves", "hold fewer, or calculate an energy")


def _numbers(values: "Sequence[str] | Iterator[str]") -> list[int]:
    return [int(number) for value in values for number in re.findall(r"[-+]?\d+", value.replace("..", " "))]


def _check_semiempirical(tree: Section, subsys: Subsys) -> Iterator[Finding]:
    method = _word(tree, f"{DFT}/QS/METHOD", default="GPW")
    ions = set(subsys.elements)
    if method == "XTB" and "Pb" in ions and ions & set(HALIDES) and ions & {"Cs", "Rb", "N"}:
        message = "GFN1-xTB makes halide perovskites collapse (CsPbBr3 goes to nonsense)"
        yield Finding("error", _line(tree, f"{DFT}/QS"), message, "use GPW with PBE")
