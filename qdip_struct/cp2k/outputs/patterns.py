"""The one table of what CP2K 2.5 … 2026 print: line openings, grouped by meaning, compiled into one scanner.

A line is known by what follows its indentation. Wordings that differ between versions are alternatives of one entry,
so that a new version means a new alternative here and nothing elsewhere. Numbers inside a line are taken by the small
expressions further down, which match whole, undamaged numbers only.
"""

import datetime
import math
import re

LINES: dict[str, tuple[bytes, ...]] = {
    "started": (rb"\*[* ]*+PROGRAM STARTED AT", rb"PROGRAM STARTED AT"),
    "ended": (rb"\*[* ]*+PROGRAM ENDED AT", rb"PROGRAM ENDED AT"),
    "version": (rb"CP2K\| version string:",),
    "project": (rb"GLOBAL\| Project name",),
    "run_type": (rb"GLOBAL\| Run type",),
    "n_atoms": (rb"- Atoms:", rb"DOF\| Number of atoms"),
    "cell": (rb"CELL\| Vector [abc] \[",),
    "periodicity": (rb"CELL\| Periodicity",),
    "kpoint_grid": (rb"BRILLOUIN\| K-[Pp]oint grid",),
    "spin": (rb"DFT\| Spin (?:un)?restricted",),
    "multiplicity": (rb"DFT\| Multiplicity",),
    "charge": (rb"DFT\| Charge",),
    "functional": (rb"FUNCTIONAL\|",),
    "exact_exchange": (rb"HFX_INFO\| FRACTION:",),
    "smearing": (rb"Smear method:",),
    "smearing_kelvin": (rb"Electronic temperature \[K\]:",),
    "dispersion": (rb"vdW (?:POTENTIAL|potential)\|", rb"VDW POTENTIAL\|"),
    "surface_dipole": (rb"Total dipole moment perpendicular to",),
    "cutoff": (rb"QS\| Density cutoff \[a\.u\.\]:",),
    "rel_cutoff": (rb"QS\| Relative density cutoff \[a\.u\.\]:",),
    "kinds": (rb"ATOMIC KIND INFORMATION",),
    "coordinates": (rb"MODULE (?:QUICKSTEP|FIST)[^A]*ATOMIC COORDINATES IN",),
    "scf_start": (rb"SCF WAVEFUNCTION OPTIMIZATION",),
    "scf_converged": (
        rb"\*\*\* SCF run converged in",
        rb"SCF run converged in",
        rb"outer SCF loop converged",
        rb"CDFT SCF loop converged",
        rb"\[find\] converged after",
    ),
    "scf_failed": (
        rb"Leaving inner SCF loop",
        rb"outer SCF loop FAILED",
        rb"CDFT SCF loop FAILED",
        rb"\*\*\* SCF run (?:NOT|not) converged",
        rb"SCF run (?:NOT|not) converged",
        rb"SCF not converged!",
    ),
    "walltime": (rb"\*\*\* .*?run terminated - exceeded requested execution time",),
    "exit_request": (rb"\*\*\* .*?run terminated (?:by|because)",),
    "total": (rb"Total energy:",),
    "energy_gap": (rb"ENERGY\| Total FORCE_EVAL \( *\w+ *\) +gap\b",),
    "free_energy": (rb"ENERGY\| Total FORCE_EVAL \( *\w+ *\) +free energy\b",),
    "energy": (rb"ENERGY\| Total FORCE_EVAL",),
    "forces": (rb"ATOMIC FORCES in", rb"FORCES\| Atomic forces"),
    "stress": (
        rb"NUMERICAL STRESS TENSOR \[",
        rb"STRESS TENSOR \[",
        rb"STRESS\| (?:Analytical|Numerical) stress tensor",
    ),
    "gap": (rb"HOMO - LUMO gap \[eV\]", rb"HOMO-LUMO gap:", rb"MO\| (?:Band|HOMO-LUMO|HOMO - LUMO) gap:"),
    "orbitals": (rb"MO\| (?:ALPHA |BETA )?(?:EIGENVALUES|ENERGIES)",),
    "mulliken": (rb"Mulliken Population Analysis",),
    "hirshfeld": (rb"Hirshfeld Charges",),
    "dipole": (rb"Dipole moment \[Debye\]",),
    "opt_step": (rb"--------  Informations? at step =", rb"OPT\| Step number"),
    "md_steps_asked": (rb"MD_PAR\| Number of time steps", rb"MD\| Number of Time Steps"),
    "md_stride": (rb"MD_PAR\| Print MD information every", rb"MD\| Print MD information every"),
    "md_step": (rb"MD\| Step number", rb"STEP NUMBER +="),
    "md_ensemble": (rb"MD\| Ensemble Type", rb"MD_PAR\| Ensemble type"),
    "md_cell": (rb"MD\| Cell lengths \[ang\]", rb"CELL LNTHS\[bohr\] +="),
    "max_gradient": (rb"Max\. gradient +=", rb"OPT\| Maximum gradient +[-+0-9]"),
    "opt_done": (rb"\*\*\* +GEOMETRY OPTIMIZATION COMPLETED", rb"GEOMETRY OPTIMIZATION COMPLETED"),
    "opt_exhausted": (
        rb"\*\*\* +MAXIMUM NUMBER OF OPTIMIZATION STEPS REACHED",
        rb"MAXIMUM NUMBER OF OPTIMIZATION STEPS REACHED",
    ),
    "frequencies": (rb"VIB\|Frequency",),
    "band_converged": (
        rb"RMS DISPLACEMENT +=",
        rb"MAX DISPLACEMENT +=",
        rb"RMS FORCE +=",
        rb"MAX FORCE +=",
    ),
    "band_step": (rb"BAND TOTAL ENERGY",),
    "bsse_result": (rb"- +BSSE-free interaction energy",),
    "debug_summary": (rb"DEBUG\|=+ END OF SUMMARY", rb"DEBUG\| Sum of differences"),
    "response_end": (rb"ENDED LINRES CALCULATION",),
    "excitations": (rb"TDDFPT\| Number of states calculated",),
    "excitations_converged": (rb"-  TDDFPT run converged",),
    "propagation_step": (rb"Real time propagation step:",),
    "path_step": (rb"PINT\| PINT step",),
    "warnings_counted": (rb"The number of warnings for this run is",),
    "warning": (rb"\*\*\* (?:[0-9:]+ )?WARNING", rb"WARNING :", rb"FORCEFIELD\| WARNING:"),
    "abort": (
        rb"\* \[ABORT\]",
        rb"===== Routine Calling Stack =====",
        rb"CP2K\| (?:Abnormal program termination|condition FAILED)",
    ),
    "error": (rb"\*\*\* (?:[0-9:]+ )?ERROR",),
    "crash": (
        rb"forrtl: (?:severe|error)",
        rb"Fortran runtime error",
        rb"Program received signal",
        rb"Segmentation fault",
    ),
    "killed": (
        rb"slurmstepd: error:",
        rb"srun: error:",
        rb"=>> PBS: job killed",
        rb"= +BAD TERMINATION",
        rb"mpirun noticed that process",
        rb"Killed\b",
    ),
    "memory": (rb"MEMORY\| Estimated peak process memory",),
    "timing": (rb"CP2K  +1 ",),
    "marker": (
        rb"DBCSR\| Multiplication driver",
        rb"DBCSR\| CPU Multiplication driver",
        rb"CP2K\| source code revision",
        rb"SCF PARAMETERS",
    ),
}
"""Meaning → how such a line opens after its indentation. Every alternative begins with a literal character."""


def _by_first_character() -> bytes:
    """All alternatives as one expression, grouped by first character: most lines are passed over after one test."""
    groups: dict[bytes, list[bytes]] = {}
    for alternative in (item for items in LINES.values() for item in items):
        length = 2 if alternative.startswith(b"\\") else 1
        groups.setdefault(alternative[:length], []).append(alternative[length:])
    return b"|".join(b"%s(?:%s)" % (first, b"|".join(rest)) for first, rest in groups.items())


SCANNER = re.compile(rb"\n *+(?:" + _by_first_character() + b")")
"""One pass over the text: every match is a line that says something. It has no capturing groups, which cost much."""

MEANING = re.compile(
    rb"\n *+(?:" + b"|".join(b"(?P<%s>%s)" % (name.encode(), b"|".join(items)) for name, items in LINES.items()) + b")"
)
"""Tells which entry of :data:`LINES` a line that :data:`SCANNER` found belongs to (``lastgroup``)."""

_SAID_BY_OTHERS = frozenset(
    {
        "warning",
        "error",
        "crash",
        "killed",
        "timing",
        "max_gradient",
        "n_atoms",
        "band_converged",
        "mulliken",
        "hirshfeld",
        "dipole",
        "gap",
    }
)
CP2K_ONLY = frozenset(LINES) - _SAID_BY_OTHERS
"""Meanings whose wording no other program prints: one of them makes a file CP2K's."""

NUMBER = rb"[-+]?\d+(?:\.\d*)?(?:[EeDd][-+]?\d+)?"

DECIMAL = re.compile(rb"\d+\.\d*(?:[EeDd][-+]?\d+)?")
"""An unsigned number with a decimal point."""

ENERGY = re.compile(rb"FORCE_EVAL \( *(\w+) *\) energy *[\[(]([^\])]*)[\])]:? *([-+]?\d+\.\d+(?:[EeDd][-+]?\d+)?)\s*$")
"""Method, unit and value of an ``ENERGY|`` line."""

ENERGY_GAP = re.compile(rb"gap *[\[(]([^\])]*)[\])]:? *([-+]?\d+\.\d+(?:[EeDd][-+]?\d+)?)\s*$")
"""Unit and value of the gap that CP2K 2025 and later print after the energy, of all k-points."""

CELL_VECTOR = re.compile(
    rb"Vector ([abc]) \[angstrom\]?:? +(-?\d+\.\d+) +(-?\d+\.\d+) +(-?\d+\.\d+)(?: +\|[abc]\| *= *(\d+\.\d+))?\s*$"
)

FUNCTIONAL = re.compile(rb"FUNCTIONAL\| +(?:LIBXC )?([A-Za-z0-9_+()-]+): *\r?$")
"""The name in a ``FUNCTIONAL|`` line; the other such lines are literature."""

GAP = re.compile(rb"(?:\[eV\] *:|gap:) +(?:.* )?(-?\d+\.\d+)(?: *eV)?\s*$")
"""The gap in eV at the end of a line; MO blocks print hartree before it."""

_STAMP = re.compile(rb"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d(?:\.\d+)?)\s*$")
"""Date and time of the header and the footer."""

_WHOLE_NUMBER = re.compile(NUMBER)


def stamp(line: bytes) -> datetime.datetime | None:
    """The date and time at the end of a header line; ``None`` when there is none or it is impossible."""
    found = _STAMP.search(line)
    if not found:
        return None
    year, month, day, hour, minute = (int(group) for group in found.groups()[:5])
    try:
        whole = datetime.datetime(year, month, day, hour, minute)
    except ValueError:
        return None
    return whole + datetime.timedelta(seconds=float(found.group(6)))


def last_number(line: bytes) -> float | None:
    """The finite number that ends a line, or ``None``."""
    word = line.rsplit(None, 1)[-1] if line.strip() else b""
    word = word[max(word.rfind(b"="), word.rfind(b":")) + 1 :]
    value = float(word.lower().replace(b"d", b"e")) if _WHOLE_NUMBER.fullmatch(word) else math.nan
    return value if math.isfinite(value) else None


def line_text(line: bytes) -> str:
    """Readable text of a line, without its stars and runs of blanks; bytes that are no UTF-8 are marked."""
    return " ".join(line.decode("utf-8", "replace").strip(" *\r\n").split())
