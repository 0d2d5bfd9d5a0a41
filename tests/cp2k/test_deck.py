"""Decisions from the structure, who overrides whom, and the same bytes every time."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from qdip_struct.base.cp2k_input import Section, Verbatim, find_section, get_values, parse_input
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.cp2k.inputs.decisions import decide_spin, look_at, mesh_points
from qdip_struct.cp2k.inputs.deck import Deck, deck_maker, deck_settings, make_deck
from qdip_struct.cp2k.inputs.kinds import data_file
from qdip_struct.cp2k.inputs.methods import AUXILIARY_FILE
from qdip_struct.cp2k.inputs.preflight import check_input
from qdip_struct.cp2k.inputs.presets import get_preset, list_presets, template_text
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.cp2k.inputs.schema import shipped_schema
from qdip_struct.cp2k.inputs.sections import fill_fixed_atoms
from qdip_struct.materials.cp2k_structure import read_cell
from qdip_struct.materials.structure_files import read_structure

PBS = bulk("PbS", "rocksalt", a=6.0, cubic=True)


def slab(vacuum: float = 20.0, axis: int = 2) -> Atoms:
    atoms = PBS * tuple(2 if i == axis else 1 for i in range(3))
    atoms.center(vacuum=vacuum / 2, axis=axis)
    return atoms


def deck(
    atoms: Atoms = PBS, *, task: str = "energy", preset: str = "production", role: str = "single", **asked
) -> Deck:
    return make_deck(atoms, InputsRequest(task=task, preset=preset, **asked), role=role)


def test_vacuum_is_found_along_any_axis_and_after_any_shift() -> None:
    for axis in range(3):
        atoms = slab(axis=axis)
        for shift in (0.0, 7.3, -100.0):
            atoms.positions[:, axis] += shift
            geometry = look_at(atoms.cell[:], atoms.positions)
            assert (geometry.system, geometry.vacuum_axes) == ("slab", (axis,))
            assert geometry.vacuum_angstrom[axis] == pytest.approx(20.0)
    assert look_at(PBS.cell[:], PBS.positions).system == "bulk"
    molecule = Atoms("CO", positions=[[5, 5, 5], [5, 5, 6.1]], cell=[20, 20, 20])
    assert look_at(molecule.cell[:], molecule.positions).system == "isolated"


def test_vacuum_of_a_skewed_cell_is_measured_along_its_height() -> None:
    cell = np.array([[6.0, 0, 0], [0, 6.0, 0], [12.0, 0, 30.0]])
    positions = np.array([[0.0, 0, 5.0], [3.0, 3.0, 10.0]])
    assert look_at(cell, positions).vacuum_angstrom[2] == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("length", "wanted", "points"),
    [(6.0, 30, 5), (5.99, 30, 5), (5.7, 30, 6), (31.0, 30, 1), (6.0, 0, 1), (6.0, 22, 4)],
)
def test_mesh_follows_the_length_and_not_the_last_digit(length: float, wanted: float, points: int) -> None:
    assert mesh_points(length, wanted=wanted) == points
    assert mesh_points(np.nextafter(length, 0), wanted=wanted) == points
    assert mesh_points(np.nextafter(length, 99), wanted=wanted) == points


def test_slab_and_bulk_reference_share_the_lateral_mesh_and_the_bulk_is_dense_along_the_normal() -> None:
    for preset in ("production", "quick"):
        lateral = deck(slab(), preset=preset).settings["kpoints"]
        reference = deck(PBS, preset=preset, role="film_bulk").settings["kpoints"]
        assert lateral[:2] == reference[:2]
        assert lateral[2] == 1
        assert reference[2] * 6.0 >= 30.0


def test_gamma_uses_ot_and_k_points_use_diagonalisation() -> None:
    gamma, sampled = deck(preset="ning2015"), deck(preset="production")
    assert gamma.settings["kpoints"] is None
    assert "&OT" in gamma.text
    assert "&KPOINTS" not in gamma.text
    assert "&KPOINTS" in sampled.text
    assert "&OT" not in sampled.text


@pytest.mark.parametrize(("electrons", "spin", "multiplicity"), [(60, "RKS", 1), (61, "UKS", 2)])
def test_parity_decides_the_spin(electrons: int, spin: str, multiplicity: int) -> None:
    assert decide_spin(electrons)[:2] == (spin, multiplicity)
    for wrong in (multiplicity + 1, 0, -1, electrons + 3 - electrons % 2):
        with pytest.raises(UsageError, match="multiplicity"):
            decide_spin(electrons, multiplicity=wrong)


def test_odd_electrons_and_charge_reach_the_input() -> None:
    odd = deck(charge=1)
    assert get_values(odd.tree, "FORCE_EVAL/DFT/UKS") == ["T"]
    assert get_values(odd.tree, "FORCE_EVAL/DFT/MULTIPLICITY") == ["2"]
    assert odd.n_electrons == deck().n_electrons - 1 == 39


def test_dipole_correction_only_for_slabs_along_the_vacuum() -> None:
    assert deck(slab(axis=0)).settings["surface_dipole"] == "X"
    assert deck(slab(), preset="quick").settings["surface_dipole"] is None
    assert deck(slab(), preset="quick", dipole_correction="on").settings["surface_dipole"] == "Z"
    assert deck(dipole_correction="on").settings["surface_dipole"] is None


def test_set_beats_template_beats_preset() -> None:
    template = "&GLOBAL\n  RUN_TYPE ENERGY\n&END\n&FORCE_EVAL\n &DFT\n  &MGRID\n   CUTOFF 444\n  &END\n &END\n&END\n"
    own = make_deck(PBS, InputsRequest(), template=template)
    assert own.settings["cutoff_rydberg"] == 444
    assert own.settings["rel_cutoff_rydberg"] == 50
    asked = InputsRequest(set=("FORCE_EVAL/DFT/MGRID/CUTOFF=555",))
    assert make_deck(PBS, asked, template=template).settings["cutoff_rydberg"] == 555


OWN_GEOMETRY = """&FORCE_EVAL
&SUBSYS
&CELL
ABC [nm] 2 2 2
ALPHA_BETA_GAMMA 90 90 60
A 9 0 0
MULTIPLE_UNIT_CELL 1 1 2
PERIODIC XYZ
&END CELL
&TOPOLOGY
COORD_FILE_NAME other.xyz
COORDINATE XYZ
MULTIPLE_UNIT_CELL 1 1 2
CONN_FILE_FORMAT OFF
&CENTER_COORDINATES
&END CENTER_COORDINATES
&END TOPOLOGY
&COORD
SCALED
H 0 0 0
&END COORD
&VELOCITY
0 0 0
&END VELOCITY
&END SUBSYS
&END FORCE_EVAL
"""


def test_the_geometry_of_a_template_gives_way_to_the_structure(tmp_path: Path) -> None:
    """In CP2K ``ABC`` stands above ``A``, ``B``, ``C``, and both above nothing of a file."""
    place = tmp_path / "run.inp"
    place.write_text(make_deck(PBS, InputsRequest(preset="quick"), template=OWN_GEOMETRY).text)
    back = read_structure(place)
    assert back.get_chemical_symbols() == PBS.get_chemical_symbols()
    np.testing.assert_allclose(back.cell.array, PBS.cell.array, atol=1e-9)
    np.testing.assert_allclose(back.positions, PBS.positions, atol=1e-9)
    assert "CONN_FILE_FORMAT OFF" in place.read_text()


def test_a_symmetry_that_would_change_the_cell_is_refused() -> None:
    template = OWN_GEOMETRY.replace("A 9 0 0", "SYMMETRY TETRAGONAL")
    assert make_deck(PBS, InputsRequest(preset="quick"), template=template)
    longer = PBS.copy()
    longer.set_cell([6.0, 6.2, 6.0], scale_atoms=True)
    with pytest.raises(UsageError, match="SYMMETRY"):
        make_deck(longer, InputsRequest(preset="quick"), template=template)


def test_variables_of_a_template_are_put_in(tmp_path: Path) -> None:
    own = tmp_path / "own.inp"
    text = "! mine\n@SET CUT 444\n&FORCE_EVAL\n&DFT\n@INCLUDE grid.inc\n&END\n&END\n"
    own.write_text(text)
    (tmp_path / "grid.inc").write_text("&MGRID\nCUTOFF ${CUT}\n&END MGRID\n")
    filled = template_text("energy", own=own)
    assert "! mine" in filled
    assert make_deck(PBS, InputsRequest(), template=filled).settings["cutoff_rydberg"] == 444
    for bad, said in (("@INCLUDE ../x.inc", "not in its folder"), ("PROJECT a@b", "with an @ in it")):
        own.write_text(text.replace("@INCLUDE grid.inc", bad))
        with pytest.raises(DataError, match=said):
            template_text("energy", own=own)


def test_template_kinds_and_scf_stay() -> None:
    template = (
        "&GLOBAL\n&END\n&FORCE_EVAL\n&DFT\n&SCF\n&OT\nMINIMIZER CG\n&END\n&END\n&END\n"
        "&SUBSYS\n&KIND Pb\nBASIS_SET MINE\n&END\n&END\n&END\n"
    )
    own = make_deck(PBS, InputsRequest(), template=template)
    assert own.settings["basis"] == {"Pb": "MINE", "S": "DZVP-MOLOPT-SR-GTH"}
    assert own.settings["potential"]["Pb"] == "GTH-PBE-q4"
    assert get_values(own.tree, "FORCE_EVAL/DFT/SCF/OT/MINIMIZER") == ["CG"]
    assert own.settings["kpoints"] is None


def test_coordinates_and_cell_come_back_from_the_text() -> None:
    atoms = slab()
    rows = deck(atoms).text.split("&COORD")[1].split("&END")[0].split("\n")[1:-1]
    assert [row.split()[0] for row in rows] == atoms.get_chemical_symbols()
    assert np.allclose([[float(x) for x in row.split()[1:]] for row in rows], atoms.positions, atol=1e-10)


def test_ghosts_carry_basis_functions_and_no_electrons() -> None:
    atoms = PBS.copy()
    atoms.arrays["ghost"] = np.array([s == "S" for s in atoms.symbols])
    with_ghosts = deck(atoms)
    assert with_ghosts.n_electrons == 16
    assert get_values(with_ghosts.tree, "FORCE_EVAL/SUBSYS/KIND[S_gh]/GHOST") == ["T"]
    assert get_values(with_ghosts.tree, "FORCE_EVAL/SUBSYS/KIND[S_gh]/ELEMENT") == ["S"]


def test_fixed_atoms_become_one_based_ranges_and_size_decides_the_optimiser() -> None:
    small = deck(task="geo_opt")
    fill_fixed_atoms(small.tree, (0, 1, 2, 5))
    assert get_values(small.tree, "MOTION/CONSTRAINT/FIXED_ATOMS/LIST") == ["1..3 6"]
    assert get_values(small.tree, "MOTION/GEO_OPT/OPTIMIZER") == ["BFGS"]
    large = deck(PBS * (6, 6, 6), task="geo_opt")
    assert get_values(large.tree, "MOTION/GEO_OPT/OPTIMIZER") == ["LBFGS"]


@pytest.mark.parametrize("preset", [preset.name for preset in list_presets()])
@pytest.mark.parametrize("task", ["energy", "geo_opt", "cell_opt"])
def test_same_input_same_bytes_and_settings_survive_the_text(preset: str, task: str) -> None:
    one, two = deck(task=task, preset=preset), deck(task=task, preset=preset)
    assert one.text == two.text
    assert deck_settings(parse_input(one.text)) == one.settings


def test_nonsense_is_refused() -> None:
    left = PBS.copy()
    left.cell = [[0, 6, 0], [6, 0, 0], [0, 0, 6]]
    with pytest.raises(UsageError, match="left-handed"):
        deck(left)
    with pytest.raises(UsageError, match=r"no basis set of 'dzvp' .* for Fr"):
        deck(Atoms("Fr", cell=[9, 9, 9]))
    with pytest.raises(UsageError, match="unknown preset"):
        get_preset("best")
    with pytest.raises(UsageError, match="unknown task"):
        template_text("magic")
    with pytest.raises(DataError, match="never closed"):
        make_deck(PBS, InputsRequest(preset="quick"), template="&GLOBAL\n")
    with pytest.raises(UsageError, match="not a cutoff in Ry"):
        deck(set=("FORCE_EVAL/DFT/MGRID/CUTOFF=[eV] 4000",))


def test_outer_loop_follows_a_changed_threshold() -> None:
    path = "FORCE_EVAL/DFT/SCF"
    loose = deck(preset="ning2015", set=(f"{path}/EPS_SCF=1E-4",))
    assert get_values(loose.tree, f"{path}/OUTER_SCF/EPS_SCF") == ["1E-4"]
    own = deck(preset="ning2015", set=(f"{path}/EPS_SCF=1E-4", f"{path}/OUTER_SCF/EPS_SCF=1E-3"))
    assert get_values(own.tree, f"{path}/OUTER_SCF/EPS_SCF") == ["1E-3"]


OWN_XC = "&FORCE_EVAL\n&DFT\n&XC\n{xc}\n&END\n&END\n&END\n"


@pytest.mark.parametrize(
    ("xc", "named"),
    [
        ("&XC_FUNCTIONAL PBE\n&END", "PBE"),
        ("&XC_FUNCTIONAL PBE\n&END\n&HF\nFRACTION 0.25\n&END", "PBE+HF(0.25)"),
        ("&XC_FUNCTIONAL\n&PBE\nSCALE_X 0\n&END\n&XWPBE\n&END\n&END\n&HF\nFRACTION 2.5E-1\n&END", "PBE+XWPBE+HF(0.25)"),
        ("&HF\n&END", "HF(1)"),
        ("&XC_FUNCTIONAL blyp\n&END", "BLYP"),
    ],
)
def test_a_template_with_a_functional_keeps_it_and_the_record_says_what_the_deck_says(xc: str, named: str) -> None:
    own = make_deck(PBS, InputsRequest(preset="quick"), template=OWN_XC.format(xc=xc))
    assert own.settings["functional"] == named
    for name in ("XC_FUNCTIONAL", "HF"):
        place = f"FORCE_EVAL/DFT/XC/{name}"
        assert find_section(own.tree, place) == find_section(parse_input(OWN_XC.format(xc=xc)), place)
    changed = InputsRequest(preset="quick", set=("FORCE_EVAL/DFT/XC/HF/FRACTION=0.4",))
    mixed = make_deck(PBS, changed, template=OWN_XC.format(xc=xc))
    assert deck_settings(mixed.tree)["functional"].endswith("HF(0.4)")


@pytest.mark.parametrize("method", ["&QS\nMETHOD XTB\n&END", "&QS\nMETHOD DFTB\n&END"])
def test_a_method_without_a_functional_gets_none(method: str) -> None:
    template = f"&FORCE_EVAL\n&DFT\n{method}\n&END\n&END\n"
    own = make_deck(PBS, InputsRequest(preset="quick"), template=template)
    assert own.settings["functional"] is None and "XC_FUNCTIONAL" not in own.text


def test_what_a_template_says_beside_the_functional_stays_and_the_preset_gives_the_rest() -> None:
    own = make_deck(PBS, InputsRequest(preset="quick"), template=OWN_XC.format(xc="&XC_GRID\nXC_DERIV NN10\n&END"))
    assert own.settings["functional"] == "PBE"
    assert get_values(own.tree, "FORCE_EVAL/DFT/XC/XC_GRID/XC_DERIV") == ["NN10"]
    assert own.text.count("&XC\n") == 1


def test_dispersion_takes_the_parameters_of_its_functional_or_none_at_all() -> None:
    reference = "FORCE_EVAL/DFT/XC/VDW_POTENTIAL/PAIR_POTENTIAL/REFERENCE_FUNCTIONAL"
    assert get_values(deck(dispersion="d3bj").tree, reference) == ["PBE"]
    template = OWN_XC.format(xc="&XC_FUNCTIONAL BLYP\n&END")
    with pytest.raises(UsageError, match="functional BLYP; known: PBE"):
        make_deck(PBS, InputsRequest(preset="quick", dispersion="d3bj"), template=template)
    asked = InputsRequest(preset="quick", dispersion="d3bj", set=(f"{reference}=BLYP",))
    own = make_deck(PBS, asked, template=template)
    assert get_values(own.tree, reference) == ["BLYP"]


FEO = bulk("FeO", "rocksalt", a=4.33, cubic=True)


def _magnetic(atoms: Atoms, moments: list[float]) -> Atoms:
    found = atoms.copy()
    found.arrays.pop("initial_magmoms", None)
    found.set_initial_magnetic_moments(moments)
    return found


def _of_kind(made: Deck, kind: str, name: str) -> str | None:
    values = get_values(made.tree, f"FORCE_EVAL/SUBSYS/KIND[{kind}]/{name}")
    return values[0] if values else None


def test_an_antiferromagnet_has_no_unpaired_electrons_and_two_kinds() -> None:
    lattice = [3.7, 0.02, -3.7, 0.02, 3.6, 0.02, -3.6, 0.02]
    made = deck(_magnetic(FEO, lattice))
    assert [get_values(made.tree, f"FORCE_EVAL/DFT/{name}") for name in ("UKS", "MULTIPLICITY")] == [["T"], ["1"]]
    names = [entry.text.split()[0] for entry in find_section(made.tree, "FORCE_EVAL/SUBSYS/COORD").entries]
    assert names == ["Fe1", "O", "Fe2", "O", "Fe1", "O", "Fe2", "O"]
    assert _of_kind(made, "Fe1", "ELEMENT") == _of_kind(made, "Fe2", "ELEMENT") == "Fe"
    assert float(_of_kind(made, "Fe1", "MAGNETIZATION") or 0) == pytest.approx(3.65)
    assert float(_of_kind(made, "Fe2", "MAGNETIZATION") or 0) == pytest.approx(-3.65)
    assert _of_kind(made, "O", "MAGNETIZATION") is None
    assert made.n_electrons == deck(FEO).n_electrons
    assert any(d.topic == "magnetisation" and d.choice == "Fe1 +3.65, Fe2 -3.65" for d in made.decisions)


@pytest.mark.parametrize(("moments", "multiplicity"), [([2.2, 2.2], "5"), ([-2.2, -2.2], "5"), ([2.9, 2.9], "7")])
def test_a_ferromagnet_has_the_multiplicity_of_its_moments_whatever_their_sign(
    moments: list[float], multiplicity: str
) -> None:
    made = deck(_magnetic(bulk("Fe", "bcc", a=2.87, cubic=True), moments))
    assert get_values(made.tree, "FORCE_EVAL/DFT/MULTIPLICITY") == [multiplicity]
    assert float(_of_kind(made, "Fe", "MAGNETIZATION") or 0) == abs(moments[0])
    assert _of_kind(made, "Fe", "ELEMENT") is None


def test_moments_that_the_electrons_cannot_have_are_refused_unless_a_multiplicity_is_asked_for() -> None:
    oxygen = Atoms("O2", positions=[[5, 5, 5], [5, 5, 6.21]], cell=[12] * 3, pbc=True)
    assert get_values(deck(_magnetic(oxygen, [1, 1])).tree, "FORCE_EVAL/DFT/MULTIPLICITY") == ["3"]
    with pytest.raises(UsageError, match=r"add up to 1\.00, which 12 electrons cannot have"):
        deck(_magnetic(oxygen, [1, 0]))
    made = deck(_magnetic(oxygen, [1, 0]), multiplicity=3)
    assert get_values(made.tree, "FORCE_EVAL/DFT/MULTIPLICITY") == ["3"]
    singlet = deck(_magnetic(oxygen, [1, -1]), multiplicity=1)
    assert get_values(singlet.tree, "FORCE_EVAL/DFT/UKS") == ["T"]


def test_moments_that_are_vectors_along_one_axis_count_and_others_are_refused() -> None:
    atoms = bulk("Fe", "bcc", a=2.87, cubic=True)
    assert get_values(deck(_magnetic(atoms, [[0, 0, 2.2]] * 2)).tree, "FORCE_EVAL/DFT/MULTIPLICITY") == ["5"]
    with pytest.raises(UsageError, match="along one axis"):
        deck(_magnetic(atoms, [[0, 0, 2.2], [2.2, 0, 0]]))


def test_what_is_said_of_an_element_holds_for_each_of_its_kinds() -> None:
    atoms = _magnetic(FEO, [4, 0, -4, 0, 4, 0, -4, 0])
    made = deck(atoms, set=("KIND[Fe]/DFT_PLUS_U/L=2",))
    assert [_of_kind(made, name, "DFT_PLUS_U/L") for name in ("Fe1", "Fe2", "O")] == ["2", "2", None]
    template = template_text("energy").replace(
        "&FORCE_EVAL", "&FORCE_EVAL\n&SUBSYS\n&KIND Fe\nMAGNETIZATION 1\n&DFT_PLUS_U\nL 2\n&END\n&END\n&END SUBSYS", 1
    )
    made = make_deck(atoms, InputsRequest(preset="production"), template=template)
    assert [_of_kind(made, name, "DFT_PLUS_U/L") for name in ("Fe1", "Fe2")] == ["2", "2"]
    assert [_of_kind(made, name, "MAGNETIZATION") for name in ("Fe1", "Fe2")] == ["4", "-4"]
    assert not find_section(made.tree, "FORCE_EVAL/SUBSYS").sections("KIND", parameter="Fe")


def test_a_direction_that_is_not_periodic_is_said_and_needs_vacuum() -> None:
    atoms = slab()
    assert not any(decision.topic == "periodicity" for decision in deck(atoms).decisions)
    atoms.pbc = (True, True, False)
    (said,) = (decision for decision in deck(atoms).decisions if decision.topic == "periodicity")
    assert "not periodic along c (gap 20.0 Å)" in said.reason
    thin = PBS.copy()
    thin.pbc = (True, True, False)
    with pytest.raises(UsageError, match=r"along c, and the gap of its cell there is 3\.0 Å"):
        deck(thin)
    thin.pbc = False
    assert any(decision.topic == "periodicity" for decision in deck(thin).decisions)


CASES = {
    "exact exchange": "&DFT\n&XC\n&XC_FUNCTIONAL PBE\n&END\n&HF\nFRACTION 0.25\n&END\n&END\n&END\n",
    "orbital transformation": "&DFT\n&SCF\n&OT\nMINIMIZER CG\n&END\n&END\n&END\n",
    "TDDFPT": "&PROPERTIES\n&TDDFPT\n&END\n&END\n",
}


@pytest.mark.parametrize("what", CASES)
def test_what_works_at_gamma_alone_gets_no_k_points_and_says_so(what: str) -> None:
    own = make_deck(PBS, InputsRequest(), template=f"&FORCE_EVAL\n{CASES[what]}&END\n")
    assert find_section(own.tree, "FORCE_EVAL/DFT/KPOINTS") is None and own.settings["kpoints"] is None
    said = {decision.topic: decision for decision in own.decisions}
    assert said["k-points"].choice == "Gamma only" and what in said["k-points"].reason
    with pytest.raises(UsageError, match="Gamma only"):
        make_deck(PBS, InputsRequest(kpoints="2,2,2"), template=f"&FORCE_EVAL\n{CASES[what]}&END\n")


def test_exact_exchange_of_a_setting_counts_as_that_of_a_template() -> None:
    own = deck(set=("FORCE_EVAL/DFT/XC/HF/FRACTION=0.25",))
    assert "&KPOINTS" not in own.text and "&OT" in own.text


def test_k_points_of_a_template_stay_and_are_what_is_said() -> None:
    template = "&FORCE_EVAL\n&DFT\n&KPOINTS\nSCHEME MACDONALD 3 3 2 0.5 0.5 0\n&END\n&END\n&END\n"
    own = make_deck(PBS, InputsRequest(), template=template)
    assert own.settings["kpoints"] == [3, 3, 2]
    assert [d.choice for d in own.decisions if d.topic == "k-points"] == ["MACDONALD 3 3 2 0.5 0.5 0"]
    assert "BROYDEN_MIXING" in own.text
    asked = make_deck(PBS, InputsRequest(kpoints="4,4,4"), template=template)
    assert asked.settings["kpoints"] == [4, 4, 4] and "MACDONALD" not in asked.text


@pytest.mark.parametrize("own", ["&DIAGONALIZATION\n&END", "&SMEAR\n&END\nADDED_MOS 10", "&MIXING\nALPHA 0.2\n&END"])
def test_a_template_that_diagonalises_gets_no_orbital_transformation(own: str) -> None:
    template = f"&FORCE_EVAL\n&DFT\n&SCF\n{own}\n&END\n&END\n&END\n"
    made = make_deck(PBS, InputsRequest(preset="ning2015"), template=template)
    assert "&OT" not in made.text and "&DIAGONALIZATION" in made.text
    assert not [f for f in check_input(parse_input(made.text), schema=shipped_schema("2023.1")) if f.level == "error"]


def test_what_a_template_says_in_the_place_of_the_preset_is_said() -> None:
    template = OWN_XC.format(xc="&XC_FUNCTIONAL BLYP\n&END").replace("&DFT", "&DFT\n&MGRID\nCUTOFF 444\n&END")
    said = {d.topic: (d.choice, d.reason) for d in make_deck(PBS, InputsRequest(), template=template).decisions}
    assert said["functional"] == ("BLYP", "as the template says; the preset has PBE")
    assert said["CUTOFF"] == ("444", "as the template says; the preset has 500")
    assert "CUTOFF" not in {d.topic for d in deck().decisions}


def test_kinds_that_no_atom_is_of_go_and_are_named() -> None:
    kind = "&KIND {}\nBASIS_SET DZVP-MOLOPT-SR-GTH\nPOTENTIAL GTH-PBE-q{}\n&END\n"
    template = f"&FORCE_EVAL\n&SUBSYS\n{kind.format('Ag', 11)}{kind.format('Pb', 4)}&END\n&END\n"
    own = make_deck(PBS, InputsRequest(), template=template)
    assert set(own.settings["basis"]) == {"Pb", "S"}
    assert "without &KIND Ag of the template" in [d.choice for d in own.decisions]


def test_a_setting_of_several_kinds_asks_which() -> None:
    for path in ("FORCE_EVAL/SUBSYS/KIND/BASIS_SET", "force_eval/subsys/kind/DFT_PLUS_U/L"):
        with pytest.raises(UsageError, match=r"say which, as in KIND\[Pb\]"):
            deck(set=(f"{path}=x",))
    template = "&FORCE_EVAL\n&PRINT\n&A x\n&END\n&A y\n&END\n&END\n&END\n"
    with pytest.raises(UsageError, match=r"2 sections FORCE_EVAL/PRINT/A; say which: A\[x\], A\[y\]"):
        make_deck(PBS, InputsRequest(set=("FORCE_EVAL/PRINT/A/B=1",)), template=template)


def test_auxiliary_basis_sets_of_admm_come_from_the_data_files_of_cp2k() -> None:
    if data_file(AUXILIARY_FILE) is None:
        pytest.skip("CP2K's data files are not installed here")
    template = "&FORCE_EVAL\n&DFT\n&AUXILIARY_DENSITY_MATRIX_METHOD\n&END\n&XC\n&HF\n&END\n&END\n&END\n&END\n"
    own = make_deck(PBS, InputsRequest(), template=template)
    bases = get_values(own.tree, "FORCE_EVAL/SUBSYS/KIND[Pb]/BASIS_SET")
    assert bases == ["DZVP-MOLOPT-SR-GTH", "AUX_FIT admm-dzp-q4"] and own.settings["basis"]["Pb"] == bases[0]
    assert AUXILIARY_FILE in get_values(own.tree, "FORCE_EVAL/DFT/BASIS_SET_FILE_NAME")
    assert not [f for f in check_input(parse_input(own.text), schema=None) if f.level == "error"]


def test_the_run_type_of_a_template_is_the_task(tmp_path: Path) -> None:
    own = tmp_path / "own.inp"
    own.write_text("&GLOBAL\nRUN_TYPE GEO_OPT\n&END\n&FORCE_EVAL\n&END\n")
    assert deck_maker(InputsRequest(template=str(own))).request.task == "geo_opt"
    with pytest.raises(UsageError, match="the template has RUN_TYPE GEO_OPT, and --task cell_opt"):
        deck_maker(InputsRequest(template=str(own), task="cell_opt"))
    own.write_text("&FORCE_EVAL\n&END\n")
    made = deck_maker(InputsRequest(template=str(own), task="cell_opt")).deck(PBS, role="single")
    assert get_values(made.tree, "GLOBAL/RUN_TYPE") == ["CELL_OPT"]
    assert get_values(made.tree, "FORCE_EVAL/STRESS_TENSOR") == ["ANALYTICAL"]
    assert get_values(made.tree, "MOTION/PRINT/CELL/EACH/CELL_OPT") == ["1"]


def test_the_cell_of_a_cell_optimisation_is_turned_with_its_atoms() -> None:
    """CP2K 2025.1 leaves |a|, |b| and |c| of fcc PbS unequal else: 4.2427, 4.2376 and 4.2226 Å after two steps."""
    fcc = bulk("PbS", "rocksalt", a=6.0)
    made = deck(fcc, task="cell_opt")
    cell, positions = read_cell(made.tree), coordinates_of(made.tree)
    assert np.abs(np.triu(cell, 1)).max() == 0.0 and np.linalg.det(cell) == pytest.approx(54.0)
    np.testing.assert_allclose(cell @ cell.T, fcc.cell[:] @ fcc.cell[:].T, atol=1e-8)
    np.testing.assert_allclose(positions @ np.linalg.inv(cell), fcc.get_scaled_positions(wrap=False), atol=1e-8)
    assert "turned" in [d.choice for d in made.decisions] and "turned" not in [d.choice for d in deck(fcc).decisions]


def coordinates_of(tree: Section) -> np.ndarray:
    section = find_section(tree, "FORCE_EVAL/SUBSYS/COORD")
    assert section is not None
    return np.array([entry.text.split()[1:4] for entry in section.entries if isinstance(entry, Verbatim)], dtype=float)
