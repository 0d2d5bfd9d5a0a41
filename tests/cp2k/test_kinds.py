"""Basis sets and potentials of every element: by hand, and by what CP2K reads; who overrides whom."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from qdip_struct.base.cp2k_input import get_values, parse_input
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.cp2k.inputs.deck import Deck, deck_maker, make_deck
from qdip_struct.cp2k.inputs.kinds import get_kind_set, read_own_kinds
from qdip_struct.cp2k.inputs.preflight import check_input, checked
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.cp2k.program import Program
from qdip_struct.materials.structure_files import read_structure

DATA = Path(__file__).parents[1] / "data" / "crystals"
PBS = bulk("PbS", "rocksalt", a=5.94)
SILVER = Atoms(
    "AgBr", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[[0, 2.9, 2.9], [2.9, 0, 2.9], [2.9, 2.9, 0]]
)
CERIA = bulk("CeO2", "fluorite", a=5.41)


def primitive(name: str) -> Atoms:
    from pymatgen.io.ase import AseAtomsAdaptor

    adaptor = AseAtomsAdaptor()
    atoms: Atoms = adaptor.get_atoms(adaptor.get_structure(read_structure(DATA / name)).get_primitive_structure())
    return atoms


def schapbachite() -> Atoms:
    """AgBiS2, rock salt with Ag and Bi layer by layer along [001] (P4/mmm, one formula)."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0, 0, 0.5]]
    return Atoms("AgBiS2", scaled_positions=sites, cell=[4.0, 4.0, 5.65], pbc=True)


def rutile() -> Atoms:
    sites = [(0, 0, 0), (0.305, 0.305, 0)]
    atoms: Atoms = crystal(("Ti", "O"), sites, spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90])
    return atoms


# Structure, electrons by hand: group number, 10 less where the potential keeps no d shell, 8 more for Cs.
CRYSTALS: dict[str, tuple[Callable[[], Atoms], int]] = {
    "Cs2AgBiBr6": (lambda: primitive("Cs2AgBiBr6.cif"), 2 * 9 + 11 + 5 + 6 * 7),
    "SnO2": (lambda: primitive("sno2_rutile.cif"), 2 * (4 + 2 * 6)),
    "TiO2": (rutile, 2 * (12 + 2 * 6)),
    "InP": (lambda: bulk("InP", "zincblende", a=5.869), 13 + 5),
    "CdTe": (lambda: bulk("CdTe", "zincblende", a=6.48), 12 + 6),
    "InAs": (lambda: bulk("InAs", "zincblende", a=6.058), 13 + 5),
    "AgBiS2": (schapbachite, 11 + 5 + 2 * 6),
    "Si": (lambda: bulk("Si"), 2 * 4),
}


def write_deck(atoms: Atoms, folder: Path, **asked: Any) -> Deck:
    deck = make_deck(atoms, InputsRequest(preset="quick", **asked))
    checked(deck, schema=None, source="run.inp")
    (folder / "run.inp").write_text(deck.text)
    return deck


def run_cp2k(cp2k: Program, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [str(cp2k.path), *words, "run.inp"], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.cp2k
@pytest.mark.parametrize("name", CRYSTALS)
def test_crystal_gets_an_input_that_cp2k_accepts(name: str, cp2k: Program, tmp_path: Path) -> None:
    make, n_electrons = CRYSTALS[name]
    deck = write_deck(make(), tmp_path)
    assert deck.n_electrons == n_electrons
    assert "SUCCESS" in run_cp2k(cp2k, tmp_path, "--check")


@pytest.mark.cp2k
@pytest.mark.parametrize("basis", ["dzvp", "tzvp", "dzvp-uzh", "tzvp-uzh"])
def test_cp2k_reads_every_element_with_the_electrons_that_were_counted(
    basis: str, cp2k: Program, tmp_path: Path
) -> None:
    members = get_kind_set(basis).members()
    positions = [[5 * (i % 5), 5 * (i // 5 % 5), 5 * (i // 25)] for i in range(len(members))]
    atoms = Atoms(list(members), positions=positions, cell=[25, 25, 20])
    settings = ("GLOBAL/RUN_TYPE=NONE", "GLOBAL/PRINT_LEVEL=MEDIUM", "FORCE_EVAL/DFT/MGRID/CUTOFF=20")
    deck = write_deck(atoms, tmp_path, basis=basis, kpoints="1,1,1", set=settings)
    output = run_cp2k(cp2k, tmp_path)
    blocks = re.split(r"Atomic kind: ", output)[1:]
    read = {}
    for block in blocks:
        found = re.search(r"Electronic configuration \(s p d \.\.\.\):\s+([\d ]+)", block)
        assert found is not None
        read[block.split()[0]] = sum(map(int, found.group(1).split()))
    assert read == {element: item.n_valence for element, item in members.items()}
    assert deck.n_electrons == sum(read.values())


@pytest.mark.cp2k
@pytest.mark.slow
@pytest.mark.parametrize("name", ["InP", "AgBiS2"])
def test_one_scf_step_has_the_electrons_that_were_counted(name: str, cp2k: Program, tmp_path: Path) -> None:
    make, n_electrons = CRYSTALS[name]
    settings = (
        "FORCE_EVAL/DFT/SCF/MAX_SCF=1",
        "FORCE_EVAL/DFT/SCF/OUTER_SCF/MAX_SCF=0",
        "FORCE_EVAL/DFT/MGRID/CUTOFF=100",
    )
    write_deck(make(), tmp_path, kpoints="1,1,1", set=settings)
    found = re.search(r"Number of electrons:\s+(\d+)", run_cp2k(cp2k, tmp_path))
    assert found is not None and int(found.group(1)) == n_electrons


TEMPLATE = """&GLOBAL
  RUN_TYPE ENERGY
&END GLOBAL
&FORCE_EVAL
  METHOD QUICKSTEP
  &DFT
    &XC
      &XC_FUNCTIONAL {functional}
      &END XC_FUNCTIONAL
    &END XC
  &END DFT
  &SUBSYS
{kinds}
  &END SUBSYS
&END FORCE_EVAL
"""


def own_kind(name: str, basis: str, potential: str) -> str:
    return f"&KIND {name}\nBASIS_SET {basis}\nPOTENTIAL {potential}\n&END KIND"


def deck_of(atoms: Atoms, *, functional: str = "PBE", kinds: str = "", **asked: Any) -> Deck:
    template = TEMPLATE.format(functional=functional, kinds=kinds)
    return make_deck(atoms, InputsRequest(preset="quick", **asked), template=template)


def said(deck: Deck, topic: str) -> list[str]:
    return [item.choice for item in deck.decisions if item.topic == topic]


@pytest.mark.parametrize("installed", [True, False])
def test_kinds_of_a_template_are_obeyed_and_counted(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not installed:
        monkeypatch.setattr("qdip_struct.cp2k.inputs.kinds.find_data_directory", lambda: None)
    deck = deck_of(SILVER, kinds=own_kind("Ag", "DZVP-MOLOPT-PBE-GTH-q19", "GTH-PBE-q19"))
    assert deck.settings["basis"] == {"Ag": "DZVP-MOLOPT-PBE-GTH-q19", "Br": "DZVP-MOLOPT-SR-GTH"}
    assert (deck.n_electrons, deck.text.count("&KIND Ag")) == (19 + 7, 1)
    assert said(deck, "kinds") == ["Ag: DZVP-MOLOPT-PBE-GTH-q19, GTH-PBE-q19"]


def test_element_that_no_set_holds_is_the_affair_of_a_template_that_names_it() -> None:
    francium = "&KIND Fr\nBASIS_SET MINE\nPOTENTIAL GTH-PBE-q9\nPOTENTIAL_FILE_NAME MY_POTENTIALS\n&END KIND"
    assert deck_of(Atoms("FrBr", cell=[9, 9, 9]), kinds=francium).n_electrons == 9 + 7


def test_kind_of_a_template_may_leave_something_open() -> None:
    deck = deck_of(SILVER, kinds="&KIND Ag\nPOT GTH-PBE-q19\nBASIS_SET RI_AUX MINE\nMASS 99\n&END KIND")
    assert get_values(deck.tree, "FORCE_EVAL/SUBSYS/KIND[Ag]/BASIS_SET") == ["RI_AUX MINE", "DZVP-MOLOPT-SR-GTH"]
    assert (deck.n_electrons, get_values(deck.tree, "FORCE_EVAL/SUBSYS/KIND[Ag]/POTENTIAL")) == (26, [])


def test_default_kind_counts_and_makes_way_for_a_setting() -> None:
    general = own_kind("DEFAULT", "DZVP-MOLOPT-SR-GTH", "GTH-PBE")
    plain = deck_of(SILVER, kinds=general)
    assert (plain.n_electrons, plain.text.count("&KIND ")) == (11 + 7, 1)
    deck = deck_of(SILVER, kinds=general, set=("KIND[Ag]/POTENTIAL=GTH-PBE-q19",))
    assert deck.n_electrons == 19 + 7
    assert deck.settings["basis"] == {"DEFAULT": "DZVP-MOLOPT-SR-GTH", "Ag": "DZVP-MOLOPT-SR-GTH"}
    assert deck.settings["potential"] == {"DEFAULT": "GTH-PBE", "Ag": "GTH-PBE-q19"}


def test_settings_of_a_kind_are_obeyed_and_decide_electrons_and_spin() -> None:
    asked = ("KIND[Pb]/POTENTIAL=GTH-PBE-q14", "FORCE_EVAL/SUBSYS/KIND[S]/BASIS_SET=SZV-MOLOPT-SR-GTH")
    deck = make_deck(PBS, InputsRequest(preset="quick", set=asked))
    assert deck.settings["potential"] == {"Pb": "GTH-PBE-q14", "S": "GTH-PBE-q6"}
    assert deck.settings["basis"] == {"Pb": "DZVP-MOLOPT-SR-GTH", "S": "SZV-MOLOPT-SR-GTH"}
    assert deck.n_electrons == 14 + 6
    charged = make_deck(PBS, InputsRequest(preset="quick", charge=1, set=("FORCE_EVAL/DFT/CHARGE=2",)))
    assert (charged.n_electrons, charged.settings["spin"], charged.settings["charge"]) == (8, "RKS", 2)


def test_setting_of_a_potential_takes_the_place_of_the_one_in_the_template() -> None:
    short = "&KIND Ag\nBASIS_SET DZVP-MOLOPT-SR-GTH\nPOT GTH-PBE-q11\n&END KIND"
    deck = deck_of(SILVER, kinds=short, set=("KIND[Ag]/POTENTIAL=GTH-PBE-q19",))
    assert get_values(deck.tree, "FORCE_EVAL/SUBSYS/KIND[Ag]/POT") == ["GTH-PBE-q19"]
    assert (deck.n_electrons, get_values(deck.tree, "FORCE_EVAL/SUBSYS/KIND[Ag]/POTENTIAL")) == (26, [])
    assert deck.settings["potential"]["Ag"] == "GTH-PBE-q19"


def test_setting_of_a_kind_that_no_atom_has_is_told() -> None:
    deck = make_deck(PBS, InputsRequest(preset="quick", set=("KIND[Pbb]/MASS=200", "KIND[pb]/MASS=200")))
    reasons = [item.reason for item in deck.decisions if item.topic == "setting"]
    assert reasons == ["asked for with --set; no atom here is of the kind Pbb", "asked for with --set"]
    assert deck.text.upper().count("&KIND PB\n") == 1


@pytest.mark.cp2k
def test_settings_and_files_of_kinds_are_checked(cp2k: Program) -> None:
    def findings(*asked: str) -> list[tuple[str, str, str]]:
        deck = make_deck(SILVER, InputsRequest(preset="quick", set=asked))
        found = check_input(parse_input(deck.text), schema=None)
        return [(item.level, item.message, item.remedy) for item in found]

    assert findings() == []
    assert findings("KIND[Ag]/BASIS_SET=dzvp-molopt-sr-gth") == []
    ((level, message, remedy),) = findings("KIND[Ag]/BASIS_SET=TZVP-MOLOPT-PBE-GTH-q11")
    assert (level, remedy) == ("error", "it stands in BASIS_MOLOPT_UZH: name that file")
    ((level, message, _),) = findings("KIND[Ag]/POTENTIAL=GTH-PBE-q19")
    assert (level, "made for 11 valence electrons" in message, message.endswith("has 19")) == ("warning", True, True)
    ((level, message, _),) = findings("KIND[Ag]/POTENTIAL=GTH-BLYP-q11")
    assert (level, "not made for the functional PBE" in message) == ("warning", True)


def test_ghosts_carry_the_basis_of_their_element() -> None:
    atoms = PBS * (1, 1, 2)
    atoms.new_array("ghost", np.array([False, False, True, True]))
    for kinds, asked in (
        (own_kind("Pb", "SZV-MOLOPT-SR-GTH", "GTH-PBE-q4"), ()),
        ("", ("KIND[Pb]/BASIS_SET=SZV-MOLOPT-SR-GTH",)),
    ):
        deck = deck_of(atoms, kinds=kinds, set=asked)
        assert deck.settings["basis"]["Pb"] == deck.settings["basis"]["Pb_gh"] == "SZV-MOLOPT-SR-GTH"
        assert deck.n_electrons == 4 + 6


@pytest.mark.parametrize(
    ("functional", "basis", "potentials", "reason"),
    [
        ("BLYP", "dzvp", "GTH-BLYP", "made for the functional BLYP"),
        ("PADE", "tzvp", "GTH-PADE", "made for the functional PADE"),
        ("PBE0", "dzvp", "GTH-PBE", "holds none made for PBE0"),
        ("PBE0", "dzvp-uzh", "GTH-PBE0", "made for the functional PBE0"),
        ("TPSS", "dzvp", "GTH-PBE", "holds none made for TPSS"),
        ("\n&GGA_X_B88\n&END\n&GGA_C_LYP\n&END", "dzvp", "GTH-BLYP", "made for the functional GGA_X_B88+GGA_C_LYP"),
        ("\n&GGA_XC_B97_D\n&END", "dzvp", "GTH-PBE", "none are known to be made for the functional GGA_XC_B97_D"),
    ],
)
def test_potentials_follow_the_functional(functional: str, basis: str, potentials: str, reason: str) -> None:
    # Exact exchange takes no k-points.
    deck = deck_of(PBS, functional=functional, basis=basis, kpoints="1,1,1")
    assert deck.settings["potential"] == {"Pb": f"{potentials}-q4", "S": f"{potentials}-q6"}
    (decision,) = [item for item in deck.decisions if item.topic == "potentials"]
    assert (decision.choice, reason in decision.reason) == (potentials, True)
    checked(deck, schema=None, source="run.inp")


def test_functional_without_potentials_is_refused_and_that_of_the_preset_is_not_mentioned() -> None:
    with pytest.raises(UsageError, match=r"BASIS_MOLOPT_UZH and POTENTIAL_UZH hold no .* GTH-BLYP potential for Pb"):
        deck_of(PBS, functional="BLYP", basis="dzvp-uzh")
    # CP2K has no GTH-BLYP potential of Cd: grep ' GTH-BLYP' GTH_POTENTIALS.
    cadmium = bulk("CdTe", "zincblende", a=6.48)
    with pytest.raises(UsageError, match=r"GTH-BLYP potential for Cd; .*--kinds"):
        deck_of(cadmium, functional="BLYP")
    deck = deck_of(cadmium, functional="BLYP", set=("KIND[Cd]/POTENTIAL=GTH-PBE-q12",))
    assert deck.settings["potential"] == {"Cd": "GTH-PBE-q12", "Te": "GTH-BLYP-q6"}
    assert said(deck_of(PBS), "potentials") == []


def test_file_of_kinds_stands_below_template_and_setting(tmp_path: Path) -> None:
    path = tmp_path / "kinds.yaml"
    path.write_text(
        "Ag: {basis: DZVP-MOLOPT-PBE-GTH-q11, basis_file: BASIS_MOLOPT_UZH, potential: GTH-PBE-q11,"
        " potential_file: POTENTIAL_UZH}\nBr: {potential: GTH-PBE-q7}\nXe: {basis: UNUSED, basis_file: UNUSED}\n"
    )
    deck = make_deck(SILVER, InputsRequest(preset="quick", kinds=str(path)))
    assert deck.settings["basis"] == {"Ag": "DZVP-MOLOPT-PBE-GTH-q11", "Br": "DZVP-MOLOPT-SR-GTH"}
    assert get_values(deck.tree, "FORCE_EVAL/DFT/BASIS_SET_FILE_NAME") == ["BASIS_MOLOPT", "BASIS_MOLOPT_UZH"]
    assert get_values(deck.tree, "FORCE_EVAL/SUBSYS/KIND[Ag]/POTENTIAL_FILE_NAME") == ["POTENTIAL_UZH"]
    assert checked(deck, schema=None, source="run.inp") == ()
    assert said(deck, "kinds") == ["Ag: DZVP-MOLOPT-PBE-GTH-q11, GTH-PBE-q11", "Br: GTH-PBE-q7"]
    asked = InputsRequest(preset="quick", kinds=str(path), set=("KIND[Ag]/BASIS_SET=SZV-MOLOPT-SR-GTH",))
    assert make_deck(SILVER, asked).settings["basis"]["Ag"] == "SZV-MOLOPT-SR-GTH"
    template = TEMPLATE.format(functional="PBE", kinds=own_kind("Ag", "DZVP-MOLOPT-SR-GTH", "GTH-PBE-q11"))
    own = make_deck(SILVER, InputsRequest(preset="quick", kinds=str(path)), template=template)
    assert own.settings["basis"]["Ag"] == "DZVP-MOLOPT-SR-GTH"
    assert get_values(own.tree, "FORCE_EVAL/SUBSYS/KIND[Ag]/POTENTIAL_FILE_NAME") == []


@pytest.mark.cp2k
def test_cp2k_reads_a_file_of_kinds_of_two_libraries(cp2k: Program, tmp_path: Path) -> None:
    (tmp_path / "kinds.yaml").write_text(
        "Ce: {basis: DZVP-MOLOPT-SR-GTH, basis_file: BASIS_MOLOPT_UCL, potential: GTH-PBE-q12}\n"
        "O: {basis: DZVP-MOLOPT-PBE-GTH-q6, basis_file: BASIS_MOLOPT_UZH, potential: GTH-PBE-q6,"
        " potential_file: POTENTIAL_UZH}\n"
    )
    settings = ("GLOBAL/RUN_TYPE=NONE", "GLOBAL/PRINT_LEVEL=MEDIUM", "FORCE_EVAL/DFT/MGRID/CUTOFF=50")
    deck = write_deck(CERIA, tmp_path, kinds=str(tmp_path / "kinds.yaml"), set=settings)
    assert deck.n_electrons == 12 + 2 * 6
    assert "DZVP-MOLOPT-PBE-GTH-q6" in run_cp2k(cp2k, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[Ag]", "expected elements such as"),
        ("silver: {basis: X}", "'silver' is no element"),
        ("No: {basis: X}", "in quotes"),
        ("Ag: DZVP", "Ag has keys basis, potential"),
        ("Ag: {bases: X}", "Ag has keys basis, potential"),
        ("Ag: {basis: 3}", "basis of Ag is a name, not 3"),
        ("Ag: {basis: ''}", "basis of Ag is a name"),
        ("Ag: {basis: [", "not valid YAML"),
    ],
)
def test_file_of_kinds_that_says_something_else_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        read_own_kinds(tmp_path / "own.yaml")
    assert str(tmp_path / "own.yaml") in str(caught.value)
    with pytest.raises(DataError):
        read_own_kinds(tmp_path / "none.yaml")


def test_potential_of_unknown_valence_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdip_struct.cp2k.inputs.kinds.find_data_directory", lambda: None)
    with pytest.raises(UsageError, match="potential MINE of Pb"):
        make_deck(PBS, InputsRequest(preset="quick", set=("KIND[Pb]/POTENTIAL=MINE",)))


@pytest.mark.cp2k
def test_potential_that_the_file_lacks_is_refused_with_those_it_holds(cp2k: Program) -> None:
    with pytest.raises(UsageError, match=r"GTH-PBE-q99 of Pb is not in GTH_POTENTIALS; it holds .*GTH-PBE-q4"):
        make_deck(PBS, InputsRequest(preset="quick", set=("KIND[Pb]/POTENTIAL=GTH-PBE-q99",)))


def test_closed_shell_of_a_magnetic_element_is_said_to_be_an_assumption() -> None:
    reasons = {}
    for element in ("Fe", "Zn"):
        deck = make_deck(Atoms(element, cell=[3, 3, 3]), InputsRequest(preset="quick"))
        (reasons[element],) = [item.reason for item in deck.decisions if item.topic == "spin"]
    assert ("assumed, though Fe" in reasons["Fe"], "assumed" in reasons["Zn"]) == (True, False)


def test_relative_file_of_kinds_lies_beside_the_campaign(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("Pb: {potential: GTH-PBE-q14}\n")
    maker = deck_maker(InputsRequest(preset="quick", kinds="own.yaml"), folder=tmp_path)
    assert maker.deck(PBS, role="single").n_electrons == 14 + 6


@pytest.mark.cp2k
def test_command_takes_a_file_of_kinds(
    qdip_json: Callable[..., tuple[int, Any]], cp2k: Program, tmp_path: Path
) -> None:
    SILVER.write(tmp_path / "agbr.extxyz")
    (tmp_path / "own.yaml").write_text("Ag: {potential: GTH-PBE-q11}\n")
    words = ("inputs", tmp_path / "agbr.extxyz", "--preset", "quick", "--kinds", tmp_path / "own.yaml")
    code, document = qdip_json(*words, "-o", tmp_path / "runs")
    assert (code, document["runs"][0]["n_electrons"]) == (0, 18)
    assert '"kinds": "own.yaml"' in (tmp_path / "runs" / "agbr" / "run.json").read_text()
