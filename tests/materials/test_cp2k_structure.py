"""Geometries of CP2K inputs against what CP2K 2023.1 itself made of them.

Each case is a ``&SUBSYS`` in a Lennard-Jones run of one step of 1e-12 fs at 0 K: its restart file then holds the cell
that CP2K read (16 digits), its trajectory the atoms (10 decimals, Å). ``tests/data/cp2k_geometry/table.json`` keeps the
answers; ``asked_of_cp2k`` makes them anew.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import units

from qdip_struct.base.cp2k_input import expand_input
from qdip_struct.base.errors import DataError
from qdip_struct.cp2k.program import Program
from qdip_struct.materials.cp2k_structure import count_fixed, fixed_ranges, read_deck

TABLE = Path(__file__).parents[1] / "data" / "cp2k_geometry" / "table.json"
RUN = """{before}&GLOBAL
  PROJECT t
  RUN_TYPE MD
  PRINT_LEVEL LOW
&END GLOBAL
&MOTION
  &MD
    STEPS 1
    TIMESTEP 1E-12
    TEMPERATURE 0
    ENSEMBLE NVE
  &END MD
&END MOTION
&FORCE_EVAL
  METHOD FIST
  &MM
    &FORCEFIELD
      DO_NONBONDED F
      IGNORE_MISSING_CRITICAL_PARAMS T
    &END FORCEFIELD
    &POISSON
      &EWALD
        EWALD_TYPE NONE
      &END EWALD
    &END POISSON
  &END MM
  &SUBSYS
{subsys}
  &END SUBSYS
&END FORCE_EVAL
"""
CELL = "&CELL\nABC 10 10 10\n&END CELL\n"
COORD = "&COORD\nPb 0 0 0\nS 1 2 3\n&END COORD\n"
SCALED = "&COORD\nSCALED\nPb 0 0 0\nS 1/3 .5 0.5\n&END COORD\n"
TOPOLOGY = "&TOPOLOGY\nCONN_FILE_FORMAT OFF\n&END TOPOLOGY\n"
SKEW = "A 6 0.1 0\nB -0.2 6.5 0\nC 0.1 0.3 7\n"
CIF = (
    "data_x\n_cell_length_a 6.0(1)\n_cell_length_b 6.0\n_cell_length_c 7.0\n_cell_angle_alpha 90\n"
    "_cell_angle_beta 90\n_cell_angle_gamma 110\nloop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n\nloop_\n"
    "_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
    "Pb1 Pb 0 0 0\nS1 S 0.5 0 0.25(3)\n"
)
PDB = (
    "CRYST1   12.000   12.000   12.000  90.00  90.00  90.00\n"
    "ATOM      1 PB   MOL     1       1.000   0.000   0.000  1.00  0.00          PB\n"
    "HETATM    2  S1  MOL     1       1.000   2.000   3.000  1.00  0.00           S\nEND\n"
)


def topology(lines: str) -> str:
    return TOPOLOGY.replace("&END TOPOLOGY", f"{lines}\n&END TOPOLOGY")


def cell(lines: str) -> str:
    return f"&CELL\n{lines}\n&END CELL\n"


def coord(lines: str) -> str:
    return f"&COORD\n{lines}\n&END COORD\n"


CASES: dict[str, tuple[str, dict[str, str]]] = {
    "bohr": (cell("ABC [bohr] 11.3 11.3 12.3") + coord("UNIT bohr\nPb 0 0 0\nS 3 3 3"), {}),
    "angstrom": (cell("ABC [angstrom] 10 10 11") + COORD, {}),
    "units that change": (
        cell("ABC [nm] 1 [angstrom] 10 20\nALPHA_BETA_GAMMA [rad] 1.57079632679489661923 1.5 [deg] 60") + SCALED, {},
    ),
    "pm and m": (cell("A [pm] 900 0 0\nB [m] 0 8E-10 0\nC [au_l] 0 0 20") + coord("UNIT NM\nPb 0 0 0\nS .1 .2 .3"), {}),
    "angles": (cell("ABC 10 11 12\nANGLES 80 95 60\nPERIODIC XY") + SCALED, {}),
    "hexagonal angles": (cell("ABC 4.1 4.1 6.7\nALPHA_BETA_GAMMA 90 90 120") + SCALED, {}),
    "equal signs": (cell("ABC = 10 , 11 ,12 # c") + COORD, {}),
    "comments": ("&CELL ! a\nABC 10 10 10 ! c\n&END CELL ! x\n" + coord("Pb 0 0 0 ! c\n# x\nS 1 2 3 # c"), {}),
    "an at in a comment": (CELL + coord("Pb 0 0 0 ! me@home\nS 1 2 3\nS 4 4 4"), {}),
    "commas": (CELL + coord("Pb 0, 0, 0\nS 1 2 3"), {}),
    "fractions and exponents": (cell("ABC 2*5 20/2 1d1") + coord("Pb 0 0 0\nS 1d0 2.E0 3*1/2/3"), {}),
    "molecule names": (CELL + coord("Pb 0 0 0 MOL\nS 1 2 3 MOL RES"), {}),
    "continued": (cell("ABC 10 \\ ! c\n\n! x\n10 \\\n 10") + COORD, {}),
    "variables": ("@SET X 1\n" + CELL + coord("Pb 0 0 0\nS $X ${X} ${Z-3}"), {}),
    "conditions": (
        "@SET X 1\n" + CELL + coord("@IF ( $X == 1 )\nPb 0 0 0\n@ENDIF\n@IF ${X} /= 1\nPb 5 5 5\n@ENDIF\n@if 0\n"
        "S 9 9 9\n@endif\n@IF x\nS 1 1 1\n@ENDIF"), {},
    ),
    "included": (
        CELL + coord("@INCLUDE 'sub/c.inc'"),
        {"sub/c.inc": "Pb 0 0 0\n@include sub/d.inc\n", "sub/d.inc": "S 1 2 3\n"},
    ),
    "A B C and ABC": (cell("A 10 0 0\nB 0 11 0\nC 0 0 12\nABC 9 9 9") + COORD, {}),
    "left-handed": (cell("A 10 0 0\nB 0 0 11\nC 0 12 0") + COORD, {}),
    "repeated": (
        cell("ABC 10 10 11\nMULTIPLE_UNIT_CELL 2 3 1") + SCALED + topology("MULTIPLE_UNIT_CELL 2 3 1"), {},
    ),
    "repeated skew": (
        cell(f"{SKEW}MULTIPLE_UNIT_CELL 1 2 2") + COORD + topology("MULTIPLE_UNIT_CELL 1 2 2"), {},
    ),
    "repeated cell alone": (cell("ABC 10 10 11\nMULTIPLE_UNIT_CELL 1 2 1") + SCALED, {}),
    "repeated cubic": (
        cell("ABC 6 6 7\nSYMMETRY CUBIC\nMULTIPLE_UNIT_CELL 2 1 1") + SCALED + topology("MULTIPLE_UNIT_CELL 2 1 1"), {},
    ),
    "repeated atoms alone": (cell("ABC 10 10 11") + SCALED + topology("MULTIPLE_UNIT_CELL 1 2 1"), {}),
    "centred": (CELL + COORD + topology("&CENTER_COORDINATES\n&END CENTER_COORDINATES"), {}),
    "centred at": (
        CELL + COORD + topology("&CENTER_COORDINATES\nCENTER_POINT 1 2 3\n&END CENTER_COORDINATES"), {},
    ),
    "not centred": (CELL + COORD + topology("&CENTER_COORDINATES F\n&END CENTER_COORDINATES"), {}),
    "labels": (CELL + coord("Pb_a1 0 0 0\nS12 1 2 3"), {}),
    "kinds with elements": (
        CELL + coord("A1 0 0 0\nOx 1 2 3\npb2 4 4 4") + "&KIND a1\nELEMENT Pb\n&END KIND\n"
        "&KIND OX\nELEMENT o\n&END KIND\n", {},
    ),
    "kind of no element": (CELL + coord("Qq 0 0 0\nS 1 2 3"), {}),
    "kind with a wrong element": (CELL + COORD + "&KIND S\nELEMENT Xy\n&END KIND\n", {}),
    "xyz": (
        CELL + topology("COORD_FILE_NAME=a.xyz\nCOORD_FILE_FORMAT XYZ"),
        {"a.xyz": "2\n\nPb 0 0 0\nS 1 2 3\n2\nsecond\n82 0 0 0\n16,1,2,4 junk\n"},
    ),
    "xyz with labels": (
        CELL + topology("COORDINATE xyz\nCOORD_FILE ./b/a.xyz") + "&KIND Pb1\nELEMENT Pb\n&END KIND\n",
        {"b/a.xyz": "2\n\nPb1 1 0 0\nS 1 2 3\n"},
    ),
    "xyz cut": (CELL + topology("COORD_FILE_NAME a.xyz\nCOORD_FILE_FORMAT XYZ"), {"a.xyz": "3\n\nPb 0 0 0\nS 1 2 3\n"}),
    "xyz without a format": (CELL + topology("COORD_FILE_NAME a.xyz"), {"a.xyz": "2\n\nPb 0 0 0\nS 1 2 3\n"}),
    "xyz with a comment behind": (
        CELL + topology("COORD_FILE_FORMAT XYZ\nCOORD_FILE_NAME a.xyz ! c"), {"a.xyz": "2\n\nPb 0 0 0\nS 1 2 3\n"},
    ),
    "xyz and &COORD": (
        CELL + topology("COORD_FILE_FORMAT XYZ\nCOORD_FILE_NAME a.xyz") + COORD, {"a.xyz": "2\n\nPb 9 9 9\nS 8 8 8\n"},
    ),
    "coordinates in CP2K's format": (
        CELL + topology("COORD_FILE_NAME a.inc\nCOORD_FILE_FORMAT CP2K") + coord("UNIT nm"),
        {"a.inc": "Pb 0 0 0 MOL\n! c\n\nS 1/10 .2 .3\n"},
    ),
    "pdb": (CELL + topology("COORD_FILE_NAME b.pdb\nCOORD_FILE_FORMAT PDB"), {"b.pdb": PDB}),
    "cif": (
        cell("CELL_FILE_NAME c.cif\nCELL_FILE_FORMAT CIF") + topology("COORD_FILE_NAME c.cif\nCOORD_FILE_FORMAT CIF"),
        {"c.cif": CIF},
    ),
    "cif in another cell": (CELL + topology("COORD_FILE_NAME c.cif\nCOORD_FILE_FORMAT CIF"), {"c.cif": CIF}),
    "cell file": (
        cell("CELL_FILE_NAME c.cell\nABC 5 5 5") + COORD,
        {"c.cell": "# Step Time Ax Ay\n 0 0.0 6 0 0 0 6 0 0 0 6 216\n 1 0.5 6.1 0 0 0.1 6.2 0 0 0 6.3 216\n"},
    ),
    "xsc": (
        cell("CELL_FILE_NAME c.xsc\nCELL_FILE_FORMAT XSC") + COORD,
        {"c.xsc": "# N\n# x\n1000 6 0 0 0 6 0 0 0 7 0 0 0\n"},
    ),
    "no cell file": (cell("CELL_FILE_NAME none.cell") + COORD, {}),
    "no cell": (COORD, {}),
    "flat": (cell("A 1 0 0\nB 2 0 0\nC 0 0 1") + COORD, {}),
    "one direction, skew": (cell(f"{SKEW}PERIODIC Z") + COORD, {}),
    "ABC twice": (cell("ABC 10 10 10\nABC 9 9 9") + COORD, {}),
    "COORD twice": (CELL + COORD + COORD, {}),
    "four edges": (cell("ABC 10 10 10 10") + COORD, {}),
    "unknown unit": (CELL + coord("UNIT furlong\nPb 0 0 0\nS 1 2 3"), {}),
    "unit in brackets": (CELL + coord("UNIT [nm]\nPb 0 0 0\nS 1 2 3"), {}),
    "a word for a number": (CELL + coord("Pb 0 0 x\nS 1 2 3"), {}),
    "a dollar in a comment": (CELL + coord("Pb 0 0 0 ! 5 $ each\nS 1 2 3"), {}),
    **{
        f"symmetry {name}": (cell(f"{SKEW}SYMMETRY {name}") + SCALED, {})
        for name in (
            "CUBIC", "ORTHORHOMBIC", "TETRAGONAL", "TETRAGONAL_AC", "TETRAGONAL_BC", "HEXAGONAL", "RHOMBOHEDRAL",
            "MONOCLINIC", "MONOCLINIC_GAMMA_AB", "TRICLINIC",
        )
    },
}  # fmt: skip


def write_case(name: str, folder: Path) -> Path:
    """The input of a case with its files."""
    subsys, files = CASES[name]
    before = re.match(r"(@SET.*\n)*", subsys)
    assert before is not None
    subsys = subsys[before.end() :]
    if "&TOPOLOGY" not in subsys:
        subsys += TOPOLOGY
    for file, text in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    place = folder / "r.inp"
    place.write_text(RUN.format(before=before.group(), subsys=subsys))
    return place


def asked_of_cp2k(name: str, program: Path, folder: Path) -> dict[str, Any]:
    """What CP2K reads: cell (rows, Å), symbols and positions (Å), or that it refuses."""
    place = write_case(name, folder)
    subprocess.run([str(program), place.name], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    restart = folder / "t-1.restart"
    if not restart.exists():
        return {"refused": True}
    section = re.search(r"&CELL\n(.*?)&END", restart.read_text(), re.DOTALL)
    assert section is not None
    rows = [re.search(rf"^\s*{letter}\s+(.*)$", section.group(1), re.MULTILINE) for letter in "ABC"]
    frame = (folder / "t-pos-1.xyz").read_text().splitlines()
    atoms = [line.split() for line in frame[len(frame) - int(frame[0]) :]]
    return {
        "cell": [[float(word) for word in row.group(1).split()] for row in rows if row is not None],
        "symbols": [words[0].capitalize() for words in atoms],
        "positions": [[float(word) for word in words[1:4]] for words in atoms],
    }


def compare(name: str, expected: dict[str, Any], folder: Path) -> None:
    place = write_case(name, folder)
    if "refused" in expected:
        with pytest.raises(DataError):
            read_deck(expand_input(place.read_text(), source="r.inp", folder=folder).tree, folder=folder)
        return
    deck = read_deck(expand_input(place.read_text(), source="r.inp", folder=folder).tree, folder=folder)
    assert deck is not None
    if name.startswith("cif"):
        order = np.lexsort(np.round(deck.positions, 6).T), np.lexsort(np.round(expected["positions"], 6).T)
        elements, positions = np.array(deck.elements)[order[0]].tolist(), deck.positions[order[0]]
        expected = {
            "cell": expected["cell"], "symbols": np.array(expected["symbols"])[order[1]].tolist(),
            "positions": np.array(expected["positions"])[order[1]],
        }  # fmt: skip
    else:
        elements, positions = deck.elements, deck.positions
    assert elements == expected["symbols"]
    np.testing.assert_allclose(deck.cell, expected["cell"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(positions, expected["positions"], rtol=0.0, atol=6e-11)


@pytest.mark.parametrize("name", CASES)
def test_a_geometry_is_read_as_cp2k_reads_it(name: str, tmp_path: Path) -> None:
    compare(name, json.loads(TABLE.read_text())[name], tmp_path)


@pytest.mark.cp2k
@pytest.mark.slow
def test_the_table_is_what_cp2k_says(cp2k: Program, tmp_path: Path) -> None:
    table = json.loads(TABLE.read_text())
    assert sorted(table) == sorted(CASES)
    if cp2k.version != "2023.1":
        pytest.skip(f"the table is that of CP2K 2023.1, here is {cp2k.version}")
    for number, name in enumerate(CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = asked_of_cp2k(name, cp2k.path, folder)
        assert found.keys() == table[name].keys(), name
        if "cell" in found:
            np.testing.assert_allclose(found["cell"], table[name]["cell"], rtol=1e-12, atol=1e-20, err_msg=name)
            np.testing.assert_allclose(found["positions"], table[name]["positions"], atol=2e-10, err_msg=name)


def deck_of(subsys: str, more: str = "", folder: Path | None = None) -> Any:
    text = RUN.format(before="", subsys=subsys) + more
    return read_deck(expand_input(text).tree, folder=folder)


def test_the_unit_of_length_is_cp2ks_own() -> None:
    """11.3 bohr were printed as 5.9797024570670008E+00 Å; ASE's bohr is 4e-9 smaller."""
    deck = deck_of(CASES["bohr"][0])
    assert deck.cell[0, 0] == pytest.approx(5.9797024570670008, rel=1e-12)
    assert deck.cell[0, 0] == pytest.approx(11.3 * units.Bohr, rel=1e-8)


@pytest.mark.parametrize(
    ("word", "pbc"), [("XYZ", (1, 1, 1)), ("xy", (1, 1, 0)), ("Z", (0, 0, 1)), ("NONE", (0, 0, 0)), ("YZ", (0, 1, 1))]
)
def test_periodic_directions(word: str, pbc: tuple[int, ...]) -> None:
    assert deck_of(cell(f"ABC 9 9 9\nPERIODIC {word}") + COORD).pbc == tuple(map(bool, pbc))


def test_a_decimal_comma_is_refused_where_cp2k_would_cut_the_number() -> None:
    """CP2K reads ``1,5`` as 1.0 without a word."""
    with pytest.raises(DataError, match="1,5"):
        deck_of(CELL + coord("Pb 0 0 0\nS 1,5 2 3"))


def test_the_structure_is_that_of_the_main_force_eval() -> None:
    one = "&FORCE_EVAL\n&SUBSYS\n" + CELL + coord("Pb 0 0 0") + "&END SUBSYS\n&END FORCE_EVAL\n"
    two = one.replace("Pb", "S")
    order = "&MULTIPLE_FORCE_EVALS\nFORCE_EVAL_ORDER {}\n&END MULTIPLE_FORCE_EVALS\n"
    for text, element in (
        (one + two, "Pb"), (order.format("2 1") + one + two, "S"), (order.format("1") + one + two, "S"),
        (order.format("2") + one + two, "Pb"),
    ):  # fmt: skip
        deck = read_deck(expand_input(text).tree, folder=None)
        assert deck is not None
        assert deck.elements == [element]


def test_empirical_methods_have_elements_for_kinds() -> None:
    text = (
        "&FORCE_EVAL\n&DFT\n&QS\nMETHOD xTB\n&END QS\n&END DFT\n&SUBSYS\n" + CELL + coord("Pb1 0 0 0")
        + "&END SUBSYS\n&END FORCE_EVAL\n"
    )  # fmt: skip
    for replaced, labels in ((("xTB", "xTB"), ["Pb"]), (("xTB", "GPW"), ["Pb1"])):
        deck = read_deck(expand_input(text.replace(*replaced)).tree, folder=None)
        assert deck is not None
        assert deck.labels == labels


def test_fixed_atoms_are_ranges() -> None:
    text = (
        "&MOTION\n&CONSTRAINT\n&FIXED_ATOMS\nLIST 1..3 5\nLIST 2..4\n&END FIXED_ATOMS\n&FIXED_ATOMS\n"
        "COMPONENTS_TO_FIX Z\nLIST 9..1000000000\n&END FIXED_ATOMS\n&FIXED_ATOMS\nLIST 8\n&RESTRAINT\n&END RESTRAINT\n"
        "&END FIXED_ATOMS\n&END CONSTRAINT\n&END MOTION\n"
    )
    tree = expand_input(text).tree
    assert fixed_ranges(tree) == [(1, 3, "XYZ"), (5, 5, "XYZ"), (2, 4, "XYZ"), (9, 1000000000, "Z")]
    assert count_fixed(tree) == 5 + 1000000000 - 8


@pytest.mark.parametrize(
    ("subsys", "said"),
    [
        (
            cell("ABC 9 9 9\nMULTIPLE_UNIT_CELL 1000 1000 1000") + COORD
            + topology("MULTIPLE_UNIT_CELL 1000 1000 1000"),
            "more than 1000000 atoms",
        ),
        (
            cell("ABC 9 9 9\nMULTIPLE_UNIT_CELL 1000000000 1 1") + COORD
            + topology("MULTIPLE_UNIT_CELL 1000000000 1 1"),
            "more than 1000000 atoms",
        ),
        (cell("ABC 9 9 9\nMULTIPLE_UNIT_CELL 99999999999 1 1") + COORD, "larger than the whole numbers"),
        (cell("ABC 9 9 9\nMULTIPLE_UNIT_CELL 0 1 1") + COORD, "three whole numbers from 1"),
        (cell("ABC 1e308 1e308 1e308") + COORD, "span no volume"),
        (cell("ABC 9 9 9\nPERIODIC W") + COORD, "PERIODIC"),
        (cell("ABC 9 9 9\nSYMMETRY ROUND") + COORD, "SYMMETRY"),
        (CELL + coord("&X\n&END X"), "holds no section"),
        (CELL + coord(""), "holds no atoms"),
        # CP2K goes on with these two, in a cell that is no number, and with what stood in its memory.
        (cell("ABC 5 5 5\nALPHA_BETA_GAMMA 20 20 120") + COORD, "no cell has these angles"),
        (CELL + coord("Pb 0 0\nS 1 2 3"), "without three coordinates"),
        (CELL + COORD + "&VELOCITY\n0 0 0\n&END VELOCITY\n", "each of 2 atoms"),
        (CELL + COORD + "&VELOCITY\n0 0 0\n0 x 0\n&END VELOCITY\n", "VELOCITY"),
    ],
)  # fmt: skip
def test_hostile_geometries_end_in_a_sentence(subsys: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        deck_of(subsys)
