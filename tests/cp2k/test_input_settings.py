"""Settings of inputs beyond what outputs print: defaults, spellings, sections."""

from qdip_struct.base.cp2k_input import parse_input
from qdip_struct.cp2k.inputs.input_settings import DEFAULTS, input_settings

EMPTY = "&GLOBAL\n&END GLOBAL\n"


def settings_of(text: str) -> dict[str, object]:
    return input_settings(parse_input(text))


def dft(text: str) -> dict[str, object]:
    return settings_of(f"&FORCE_EVAL\n&DFT\n{text}\n&END DFT\n&END FORCE_EVAL\n")


def test_an_input_that_says_nothing_has_the_defaults() -> None:
    found = settings_of(EMPTY)
    for key, value in DEFAULTS.items():
        assert found[key] == value, key
    assert found["dipole_direction"] is None


def test_defaults_said_aloud_are_the_same() -> None:
    said = dft(
        "&QS\nMETHOD gpw\nEPS_DEFAULT 1D-10\n&END QS\n&MGRID\nNGRIDS 4\nCUTOFF 300\nCOMMENSURATE .FALSE.\n&END MGRID\n"
        "&POISSON\nPERIODIC xyz\nPOISSON_SOLVER PERIODIC\n&END POISSON\n&SCF\nEPS_SCF 0.00001\n&END SCF"
    )
    silent = settings_of(EMPTY)
    assert said == silent


def test_numbers_are_read_whatever_their_spelling() -> None:
    for text in ("1e-12", "1.0E-12", "1d-12", "1.D-12", ".1E-11"):
        assert dft(f"&QS\nEPS_DEFAULT {text}\n&END QS")["eps_default"] == 1e-12


def test_the_functional_may_be_a_word_or_a_section() -> None:
    word = dft("&XC\n&XC_FUNCTIONAL PBE\n&END XC_FUNCTIONAL\n&END XC")
    section = dft("&XC\n&XC_FUNCTIONAL\n&PBE\n&END PBE\n&END XC_FUNCTIONAL\n&END XC")
    changed = dft("&XC\n&XC_FUNCTIONAL\n&PBE\nPARAMETRIZATION PBESOL\n&END PBE\n&END XC_FUNCTIONAL\n&END XC")
    assert word["xc"] == section["xc"] == {}
    assert changed["xc"] == {"XC_FUNCTIONAL/PBE/PARAMETRIZATION": "PBESOL"}


def test_dispersion_stands_in_the_output() -> None:
    found = dft("&XC\n&VDW_POTENTIAL\nPOTENTIAL_TYPE PAIR_POTENTIAL\n&END VDW_POTENTIAL\n&END XC")
    assert found["xc"] == {}


def test_fields_hubbard_terms_and_files() -> None:
    found = settings_of(
        "&FORCE_EVAL\n&DFT\nBASIS_SET_FILE_NAME B\nBASIS_SET_FILE_NAME A\nPOTENTIAL_FILE_NAME P\n"
        "SURFACE_DIPOLE_CORRECTION\nSURF_DIP_DIR x\n&PERIODIC_EFIELD\nINTENSITY 0.01\n&END PERIODIC_EFIELD\n"
        "&KPOINTS\nSCHEME MACDONALD 4 4 1 0.5 0.5 0\n&END KPOINTS\n&END DFT\n"
        "&SUBSYS\n&KIND Pb\n&DFT_PLUS_U\nL 1\n&END DFT_PLUS_U\n&END KIND\n&END SUBSYS\n&END FORCE_EVAL\n"
    )
    assert found["basis_files"] == ["A", "B"]
    assert found["potential_file"] == "P"
    assert found["dipole_direction"] == "X"
    assert found["field"] == {"PERIODIC_EFIELD": {"INTENSITY": 0.01}}
    assert found["kpoint_scheme"] == "MACDONALD 0.5 0.5 0"
    assert found["plus_u"] == {"Pb": {"L": 1.0}}


def test_limits_and_fixed_atoms_of_an_optimisation() -> None:
    found = settings_of(
        "&MOTION\n&GEO_OPT\nMAX_FORCE 1E-3\nOPTIMIZER BFGS\n&END GEO_OPT\n&CONSTRAINT\n&FIXED_ATOMS\n"
        "LIST 1..4 9\nLIST 3..5\n&END FIXED_ATOMS\n&END CONSTRAINT\n&END MOTION\n"
    )
    assert found["force_limits"] == {**DEFAULTS["force_limits"], "MAX_FORCE": 1e-3}
    assert found["fixed_atoms"] == 6


def test_words_that_are_no_range_of_atoms_hold_nothing_still() -> None:
    found = settings_of(
        "&MOTION\n&CONSTRAINT\n&FIXED_ATOMS\n"
        "LIST 2..3 5..LAST FIRST..7 9\n&END FIXED_ATOMS\n&END CONSTRAINT\n&END MOTION\n"
    )
    assert found["fixed_atoms"] == 3
