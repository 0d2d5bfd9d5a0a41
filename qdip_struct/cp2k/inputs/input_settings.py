"""What an input asks for beyond what an output prints, as far as it decides whether two energies may be combined."""

import re
from typing import Any

from qdip_struct.cp2k.inputs.inputfile import Keyword, Section, find_section, get_values

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?")
_TRUE, _FALSE = {"T", "TRUE", ".TRUE.", "ON", "YES"}, {"F", "FALSE", ".FALSE.", "OFF", "NO"}

DEFAULTS: dict[str, Any] = {
    "eps_default": 1e-10,
    "eps_scf": 1e-5,
    "method": "GPW",
    "force_method": "QUICKSTEP",
    "poisson": {"PERIODIC": "XYZ", "POISSON_SOLVER": "PERIODIC"},
    "mgrid": {"NGRIDS": 4.0, "COMMENSURATE": False},
    "kpoint_scheme": None,
    "xc": {},
    "plus_u": {},
    "field": {},
    "fixed_atoms": 0,
    "added_mos": 0.0,
    "force_limits": {"MAX_FORCE": 4.5e-4, "RMS_FORCE": 3e-4, "MAX_DR": 3e-3, "RMS_DR": 1.5e-3},
}
"""CP2K's own values of what an input does not name (hartree, bohr)."""

_GRID_KEYWORDS = ("CUTOFF", "REL_CUTOFF")
_PRINTED_XC = ("VDW_POTENTIAL",)


def input_settings(tree: Section) -> dict[str, Any]:
    """Settings of an input by name, with CP2K's defaults for what it does not say.

    Returns
    -------
    dict
        ``eps_default``, ``eps_scf``, ``method`` (GPW, GAPW, ...), ``force_method``, ``poisson``, ``mgrid`` without the
        cutoffs (which the output prints), ``kpoint_scheme`` (its kind and shift without the numbers), ``xc`` (every
        keyword of the exchange-correlation section but dispersion), ``plus_u`` by kind, ``field`` (external fields),
        ``basis_files``, ``potential_file``, ``fixed_atoms`` (their number), ``added_mos``, ``force_limits`` of an
        optimisation in CP2K's units, ``dipole_direction``.
    """
    dft = "FORCE_EVAL/DFT"
    scheme = (_first(tree, f"{dft}/KPOINTS/SCHEME") or "").upper().split()
    found = {
        **DEFAULTS,
        "force_method": str(_value(_first(tree, "FORCE_EVAL/METHOD") or "QUICKSTEP")).replace("QS", "QUICKSTEP"),
        "poisson": {**DEFAULTS["poisson"], **_flat(find_section(tree, f"{dft}/POISSON"))},
        "mgrid": {**DEFAULTS["mgrid"], **_without(_flat(find_section(tree, f"{dft}/MGRID")), _GRID_KEYWORDS)},
        "kpoint_scheme": _scheme(scheme),
        "xc": _xc(tree),
        "plus_u": _plus_u(tree),
        "field": {
            name: _flat(section)
            for name in ("EFIELD", "PERIODIC_EFIELD", "EXTERNAL_POTENTIAL")
            if (section := find_section(tree, f"{dft}/{name}")) is not None
        },
        "basis_files": sorted(get_values(tree, f"{dft}/BASIS_SET_FILE_NAME")),
        "potential_file": _first(tree, f"{dft}/POTENTIAL_FILE_NAME"),
        "fixed_atoms": _fixed(tree),
        "force_limits": {**DEFAULTS["force_limits"], **_limits(tree)},
        "dipole_direction": _dipole_direction(tree),
    }
    for name, path in (
        ("eps_default", f"{dft}/QS/EPS_DEFAULT"),
        ("eps_scf", f"{dft}/SCF/EPS_SCF"),
        ("method", f"{dft}/QS/METHOD"),
        ("added_mos", f"{dft}/SCF/ADDED_MOS"),
    ):
        text = _first(tree, path)
        if text is not None:
            found[name] = _value(text)
    return found


def _first(tree: Section, path: str) -> str | None:
    values = get_values(tree, path)
    return values[0] if values else None


def _value(text: str) -> Any:
    """A logical, a number or upper-case text, so that 1E-6 and 1.0D-06 are one."""
    word = " ".join(text.upper().split())
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if _NUMBER.fullmatch(word):
        return float(word.replace("D", "E"))
    return word


def _flat(section: Section | None) -> dict[str, Any]:
    """Keywords and section parameters below a section by their path."""
    if section is None:
        return {}
    found: dict[str, Any] = {}
    for path, item in section.walk():
        name = "/".join((*path, item.name.upper()))
        text = item.value if isinstance(item, Keyword) else item.parameter
        if isinstance(item, Keyword) or text:
            found[name] = _value(text) if text else True
    return dict(sorted(found.items()))


def _without(flat: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in flat.items() if key.split("/")[0] not in names}


def _dipole_direction(tree: Section) -> str | None:
    """Direction of the dipole correction, ``None`` when it is off; the keyword alone switches it on."""
    switch = _first(tree, "FORCE_EVAL/DFT/SURFACE_DIPOLE_CORRECTION")
    if switch is None or _value(switch or "T") is not True:
        return None
    return (_first(tree, "FORCE_EVAL/DFT/SURF_DIP_DIR") or "Z").upper()


def _xc(tree: Section) -> dict[str, Any]:
    """Keywords of the exchange-correlation section; the functional's name and dispersion stand in the output."""
    flat = _without(_flat(find_section(tree, "FORCE_EVAL/DFT/XC")), _PRINTED_XC)
    return {key: value for key, value in flat.items() if key != "XC_FUNCTIONAL"}


def _scheme(words: list[str]) -> str | None:
    """The kind of a k-point scheme; MACDONALD keeps its shift, Γ alone is no scheme."""
    if not words or words[0] in ("NONE", "GAMMA"):
        return None
    return words[0] if words[0] != "MACDONALD" else " ".join([words[0], *words[4:]])


def _plus_u(tree: Section) -> dict[str, Any]:
    subsys = find_section(tree, "FORCE_EVAL/SUBSYS")
    kinds = subsys.sections("KIND") if subsys is not None else []
    return {
        kind.parameter: _flat(section)
        for kind in sorted(kinds, key=lambda kind: kind.parameter)
        for section in kind.sections("DFT_PLUS_U")
    }


def _fixed(tree: Section) -> int:
    """How many atoms the input holds still."""
    constraint = find_section(tree, "MOTION/CONSTRAINT")
    atoms: set[int] = set()
    for section in constraint.sections("FIXED_ATOMS") if constraint is not None else []:
        for keyword in section.keywords("LIST"):
            for word in keyword.value.split():
                first, _, last = word.partition("..")
                if first.isdigit() and (last or first).isdigit():
                    atoms |= set(range(int(first), int(last or first) + 1))
    return len(atoms)


def _limits(tree: Section) -> dict[str, Any]:
    for name in ("GEO_OPT", "CELL_OPT"):
        section = find_section(tree, f"MOTION/{name}")
        if section is not None:
            return {
                keyword.name.upper(): _value(keyword.value)
                for keyword in section.entries
                if isinstance(keyword, Keyword) and keyword.name.upper() in DEFAULTS["force_limits"]
            }
    return {}
