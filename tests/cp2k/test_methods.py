"""Faults planted into one small input, and what CP2K made of each: 2023.1 and 2026.2 ran them all.

The last two columns say whether the run aborted (after it had started; ``cp2k --check`` calls all of them correct).
"""

import os
import subprocess
from pathlib import Path

import pytest

from qdip_struct.base.cp2k_input import Section, find_section, format_input, parse_input, set_value
from qdip_struct.cp2k.inputs.preflight import Finding, check_input
from qdip_struct.cp2k.inputs.schema import shipped_schema
from qdip_struct.cp2k.program import Program

GOOD = """
&GLOBAL
  PROJECT run
  RUN_TYPE ENERGY
&END GLOBAL
&FORCE_EVAL
  METHOD QUICKSTEP
  &DFT
    BASIS_SET_FILE_NAME BASIS_MOLOPT
    POTENTIAL_FILE_NAME GTH_POTENTIALS
    &QS
      EPS_DEFAULT 1.0E-10
    &END QS
    &MGRID
      CUTOFF 200
      REL_CUTOFF 30
    &END MGRID
    &POISSON
      PERIODIC XYZ
    &END POISSON
    &SCF
      EPS_SCF 1.0E-5
      MAX_SCF 30
      &OT
        MINIMIZER DIIS
      &END OT
    &END SCF
    &XC
      &XC_FUNCTIONAL PBE
      &END XC_FUNCTIONAL
    &END XC
  &END DFT
  &SUBSYS
    &CELL
      ABC 10 10 10
      PERIODIC XYZ
    &END CELL
    &COORD
      Pb 5.0 5.0 3.6
      S 5.0 5.0 5.9
    &END COORD
    &KIND Pb
      BASIS_SET DZVP-MOLOPT-SR-GTH
      POTENTIAL GTH-PBE-q4
    &END KIND
    &KIND S
      BASIS_SET DZVP-MOLOPT-SR-GTH
      POTENTIAL GTH-PBE-q6
    &END KIND
  &END SUBSYS
&END FORCE_EVAL
"""
DFT, SCF, POISSON = "FORCE_EVAL/DFT", "FORCE_EVAL/DFT/SCF", "FORCE_EVAL/DFT/POISSON"
PB, CELL, XC = "FORCE_EVAL/SUBSYS/KIND[Pb]", "FORCE_EVAL/SUBSYS/CELL", "FORCE_EVAL/DFT/XC"
EXCHANGE = f"{XC}/HF/INTERACTION_POTENTIAL"
MIXING = ("&DIAGONALIZATION\n&END", "&MIXING\nMETHOD BROYDEN_MIXING\n&END")
DIAGONAL = [("-", f"{SCF}/OT"), *(("+", SCF, text) for text in MIXING)]
MESH = [*DIAGONAL, ("+", DFT, "&KPOINTS\nSCHEME MONKHORST-PACK 2 2 2\n&END")]
SMEAR = [("+", SCF, "&SMEAR ON\nMETHOD FERMI_DIRAC\nELECTRONIC_TEMPERATURE 300\n&END")]
HYBRID = [
    ("-", XC),
    ("+", DFT, "&XC\n&XC_FUNCTIONAL PBE0\n&END\n&HF\nFRACTION 0.25\n&SCREENING\nEPS_SCHWARZ 1e-6\n&END\n"
     "&INTERACTION_POTENTIAL\nPOTENTIAL_TYPE TRUNCATED\nCUTOFF_RADIUS 4.0\nT_C_G_DATA t_c_g.dat\n&END\n&END\n&END"),
]  # fmt: skip
PLUS_U = [("+", PB, "&DFT_PLUS_U T\nL 1\nU_MINUS_J [eV] 3.0\n&END")]
TDDFPT = [("+", "FORCE_EVAL", "&PROPERTIES\n&TDDFPT\nNSTATES 1\n&END\n&END")]
D3 = "&VDW_POTENTIAL\nPOTENTIAL_TYPE PAIR_POTENTIAL\n&PAIR_POTENTIAL\nTYPE DFTD3(BJ)\n{}\n&END\n&END"

D3_OF = D3.format("PARAMETER_FILE_NAME dftd3.dat\nREFERENCE_FUNCTIONAL {}")

FIXED = "&CONSTRAINT\n&FIXED_ATOMS\nLIST 1 2\n&END\n&END"
RESTART = "&EXT_RESTART\nRESTART_FILE_NAME no.restart\n&END"


def box(directions: str, edges: str = "10 10 10", solver: str = "") -> list[tuple[str, ...]]:
    edits: list[tuple[str, ...]] = [("=", f"{CELL}/ABC", edges)]
    edits += [("=", f"{place}/PERIODIC", directions) for place in (CELL, POISSON)]
    return edits + ([("=", f"{POISSON}/POISSON_SOLVER", solver)] if solver else [])


def run_type(name: str, motion: str = "") -> list[tuple[str, ...]]:
    return [("=", "GLOBAL/RUN_TYPE", name), *([("+", "MOTION", motion)] if motion else [])]


# name, edits, what our message says, aborted in 2023.1, in 2026.2
PLANTED = [
    ("good", [], "", False, False),
    ("k-points", MESH, "", False, False),
    ("k-points without mixing", [("-", f"{SCF}/OT"), MESH[-1]], "without &MIXING", False, False),
    ("k-points and OT", [MESH[-1]], "OT does not work with k-points", True, True),
    ("Gamma as a k-point and OT", [("+", DFT, "&KPOINTS\nSCHEME GAMMA\n&END")], "OT does not work", True, True),
    ("k-points and hybrid", [*MESH, *HYBRID], "exact exchange does not", True, True),
    ("k-points and TDDFPT", [*MESH, *TDDFPT], "TDDFPT does not", True, True),
    ("k-points and +U", [*MESH, *PLUS_U], "DFT+U does not", True, False),
    ("k-points, +U, Lowdin", [*MESH, *PLUS_U, ("=", f"{DFT}/PLUS_U_METHOD", "LOWDIN")], "DFT+U does not", True, True),
    ("k-points, field", [*MESH, ("+", DFT, "&PERIODIC_EFIELD\nINTENSITY 0.001\n&END")], "electric field", True, True),
    ("k-points, none given", [*MESH, ("=", f"{DFT}/KPOINTS/SCHEME", "GENERAL")], "needs its k-points", True, True),
    ("k-points and LS_SCF", [*MESH, ("=", f"{DFT}/QS/LS_SCF", "T")], "Gamma only", True, True),
    ("k-points and MOMENTS", [*MESH, ("+", f"{DFT}/PRINT", "&MOMENTS\n&END")], "is not written", False, False),
    ("hybrid", HYBRID, "", False, False),
    ("hybrid, long range", [*HYBRID, ("=", f"{EXCHANGE}/CUTOFF_RADIUS", "7.0")], "half the", False, False),
    ("hybrid, no table", [*HYBRID, ("=", f"{EXCHANGE}/T_C_G_DATA", "no.dat")], "no.dat", True, True),
    ("hybrid, Coulomb", [*HYBRID, ("-", EXCHANGE)], "no end", False, False),
    ("ADMM without basis", [*HYBRID, ("+", DFT, "&AUXILIARY_DENSITY_MATRIX_METHOD\n&END")], "auxiliary", True, True),
    ("TDDFPT", TDDFPT, "", False, False),
    ("+U", PLUS_U, "", False, False),
    ("OT and smearing", SMEAR, "OT does not smear", True, True),
    ("OT and ADDED_MOS", [("=", f"{SCF}/ADDED_MOS", "10")], "OT takes no ADDED_MOS", True, True),
    ("OT and diagonalisation", [("+", SCF, MIXING[0])], "both on", True, True),
    ("OT and ROKS", [("=", f"{DFT}/ROKS", "T"), ("=", f"{DFT}/MULTIPLICITY", "3")], "rotated", True, True),
    ("smearing without ADDED_MOS", [*DIAGONAL, *SMEAR], "empty orbitals", True, True),
    ("smearing", [*DIAGONAL, *SMEAR, ("=", f"{SCF}/ADDED_MOS", "10")], "", False, False),
    ("wavelet, not cubic", box("NONE", "10 10 14", "WAVELET"), "cubic", True, True),
    ("wavelet, XY", box("XY", "10 10 14", "WAVELET"), "does not go with PERIODIC XY", True, False),
    ("wavelet, XZ", box("XZ", solver="WAVELET"), "", False, False),
    ("wavelet", box("NONE", solver="WAVELET"), "", False, False),
    ("periodic solver, no direction", box("NONE", solver="PERIODIC"), "does not go with", True, True),
    ("default solver, XY", box("XY", "10 10 14"), "does not go with", True, True),
    ("analytic, XY", box("XY", "10 10 14", "ANALYTIC"), "", False, False),
    ("MT, XY", box("XY", "10 10 14", "MT"), "", False, False),
    ("MT, one direction", box("X", "10 14 14", "MT"), "does not go with", True, True),
    ("MT, periodic", [("=", f"{POISSON}/POISSON_SOLVER", "MT")], "does not go with", True, True),
    ("MT, small box", box("NONE", "5 5 5", "MT"), "outside the box", False, False),
    ("multipole, periodic", [("=", f"{POISSON}/POISSON_SOLVER", "MULTIPOLE")], "does not go with", True, True),
    ("periodicities differ", [("=", f"{CELL}/PERIODIC", "NONE")], "&CELL is PERIODIC NONE", False, False),
    ("CELL_OPT without stress", run_type("CELL_OPT", "&CELL_OPT\nMAX_ITER 1\n&END"), "stress tensor", True, True),
    ("NVT without thermostat", run_type("MD", "&MD\nENSEMBLE NVT\nSTEPS 1\n&END"), "no thermostat", True, True),
    ("NPT without stress", run_type("MD", "&MD\nENSEMBLE NPT_I\nSTEPS 1\n&THERMOSTAT\n&END\n&BAROSTAT\n&END\n&END"),
     "stress tensor", True, True),
    ("LDOS out of range", [("+", f"{DFT}/PRINT", "&PDOS\n&LDOS\nLIST 1..9\n&END\n&END")], "LDOS names", True, True),
    ("all fixed", run_type("GEO_OPT", FIXED), "nothing moves", False, False),
    ("D3 file", [("+", XC, D3.format("REFERENCE_FUNCTIONAL PBE\nPARAMETER_FILE_NAME no.dat"))], "no.dat", True, True),
    ("D3 of none", [("+", XC, D3_OF.format("MINE"))], "no functional MINE", True, True),
    ("D3, case", [("+", XC, D3_OF.format("REVPBE"))], "for case counts", True, False),
    ("D3", [("+", XC, D3_OF.format("revPBE"))], "", False, False),
    ("moment", [("=", "FORCE_EVAL/SUBSYS/KIND/MAGNETIZATION", "1.0")], "MAGNETIZATION means nothing", False, False),
    ("D3 of what", [("+", XC, D3.format("PARAMETER_FILE_NAME dftd3.dat"))], "its functional", True, False),
    ("no basis", [("-", f"{PB}/BASIS_SET")], "no basis set", True, True),
    ("no potential", [("-", f"{PB}/POTENTIAL")], "no potential", True, True),
    ("no XC", [("-", XC)], "no &XC", True, True),
    ("no cutoff", [("=", f"{DFT}/MGRID/CUTOFF", "0")], "no plane-wave cutoff", True, True),
    ("odd electrons", [("=", f"{DFT}/CHARGE", "1")], "odd number", True, True),
    ("multiplicity", [("=", f"{DFT}/UKS", "T"), ("=", f"{DFT}/MULTIPLICITY", "2")], "is impossible", True, True),
    ("multiplicity without UKS", [("=", f"{DFT}/MULTIPLICITY", "3")], "means nothing", False, False),
    ("coarse EPS_DEFAULT", [("=", f"{DFT}/QS/EPS_DEFAULT", "1e-3")], "is coarse beside", False, False),
    ("charged", [("=", f"{DFT}/CHARGE", "2")], "uniform background", False, False),
    ("restart that is not there", [("+", "", RESTART)], "no.restart", True, True),
    ("wave function that is not there", [("=", f"{DFT}/WFN_RESTART_FILE_NAME", "no.wfn")], "no.wfn", False, False),
]  # fmt: skip


def planted(edits: list[tuple[str, ...]]) -> str:
    tree = parse_input(GOOD)
    for kind, path, *text in edits:
        if kind == "=":
            set_value(tree, path, text[0])
        elif kind == "+":
            place = find_section(tree, path, create=True) if path else tree
            assert place is not None
            place.entries += parse_input(text[0]).entries
        else:
            above, _, name = path.rpartition("/")
            place = find_section(tree, above)
            assert place is not None
            place.entries = [entry for entry in place.entries if getattr(entry, "name", "") != name]
    return format_input(tree)


def of_levels(found: tuple[Finding, ...], *levels: str) -> list[str]:
    return [finding.message for finding in found if finding.level in levels]


@pytest.mark.cp2k
@pytest.mark.parametrize("version", ["2023.1", "2026.2"])
@pytest.mark.parametrize(("name", "edits", "says", "old", "new"), PLANTED, ids=[row[0] for row in PLANTED])
def test_what_aborts_is_an_error_and_what_runs_is_not(
    name: str, edits: list[tuple[str, ...]], says: str, old: bool, new: bool, version: str, tmp_path: Path
) -> None:
    text = planted(edits)
    aborts = old if version == "2023.1" else new
    if "&PDOS" in text and version == "2026.2":
        text = text.replace("&PDOS", "&DOS").replace("&END PDOS", "&END DOS")
    found = check_input(parse_input(text), schema=shipped_schema(version), folder=tmp_path)
    assert bool(of_levels(found, "error")) == aborts, found
    if says and (aborts or not old):
        assert any(says in message for message in of_levels(found, "error" if aborts else "warning")), found
    if not says:
        assert not [m for m in of_levels(found, "warning") if "is coarse for" not in m and "structure ends" not in m]


@pytest.mark.slow
@pytest.mark.cp2k
@pytest.mark.parametrize(("name", "edits", "says", "old", "new"), PLANTED, ids=[row[0] for row in PLANTED])
def test_cp2k_itself(
    name: str, edits: list[tuple[str, ...]], says: str, old: bool, new: bool, cp2k: Program, tmp_path: Path
) -> None:
    """The outcomes of the table, by the installed version (a run that goes on for a minute has not aborted)."""
    if cp2k.version not in ("2023.1", "2026.2"):
        pytest.skip(f"outcomes of CP2K {cp2k.version} are not in the table")
    (tmp_path / "run.inp").write_text(planted(edits))
    try:
        ended = subprocess.run(
            [str(cp2k.path), "-i", "run.inp", "-o", "run.out"], cwd=tmp_path, capture_output=True, timeout=60,
            check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
        ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        ended = 0
    assert (ended != 0) == (old if cp2k.version == "2023.1" else new)


def test_every_force_eval_is_checked_for_itself() -> None:
    """A mixture of two, the second without a potential: the finding names it, and not the first."""
    tree = parse_input(planted([("-", f"{PB}/POTENTIAL")]))
    first = parse_input(GOOD)
    mixed = parse_input("&FORCE_EVAL\nMETHOD MIXED\n&MIXED\n&END\n&END\n")
    both = Section("", "", [*first.sections("GLOBAL"), *mixed.entries, *first.sections("FORCE_EVAL"),
                            *tree.sections("FORCE_EVAL")])  # fmt: skip
    errors = of_levels(check_input(both, schema=shipped_schema("2023.1")), "error")
    assert errors == ["FORCE_EVAL 3: &KIND Pb has no potential: CP2K aborts"]
