"""CIF files: what comes out is what the file says of itself, or the file is refused with the reason."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.spacegroup import crystal
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from qdip_struct.base.errors import DataError
from qdip_struct.builders.atoms.cells import conventional
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.structure_files import crystal_of, read_structure

DATA = Path(__file__).parents[1] / "data" / "crystals"
CUBE = """data_x
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
{more}
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_occupancy
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{sites}
"""


def cube(path: Path, *sites: str, a: float = 6.0, more: str = "_space_group_name_H-M_alt 'P m -3 m'") -> Path:
    path.write_text(CUBE.format(a=a, more=more, sites="\n".join(sites)))
    return path


@pytest.mark.parametrize(
    ("name", "formula", "shares"),
    [("c1_mixed", "CsPbBr2I", {"Br": 0.667, "I": 0.333}), ("vesta_mixed", "CsPbBr1.5I1.5", {"Br": 0.5, "I": 0.5})],
)
def test_a_mixed_site_is_an_alloy(name: str, formula: str, shares: dict[str, float]) -> None:
    found = crystal_of(str(DATA / f"{name}.cif"))
    assert isinstance(found, Crystal)
    assert (found.name, found.structure_type, found.a_angstrom) == (formula, "perovskite", 6.05)
    assert found.occupancies == {"X": pytest.approx(shares)}
    with pytest.raises(DataError, match=f"X are shared .*{formula}"):
        read_structure(DATA / f"{name}.cif")


def test_a_formula_is_proposed_only_where_its_crystals_are_known(tmp_path: Path) -> None:
    sites = ("Pb1 Pb 1 0.5 0.5 0.5", "Ti1 Ti 0.9 0 0 0", "Zr1 Zr 0.1 0 0 0", "O1 O 1 0.5 0 0")
    with pytest.raises(DataError, match=r"with 'qdip build slab --material x.cif' or another build command$"):
        read_structure(cube(tmp_path / "x.cif", *sites, a=4.0))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vac", r"site Cs1 \(0.5, 0.5, 0.5\) is occupied to 0.83 .*vacancies"),
    ],
)
def test_disorder_that_cannot_be_built_is_refused_by_name(name: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        crystal_of(str(DATA / f"{name}.cif"))


def test_ions_of_unlike_charge_may_share_a_site_and_ions_of_unlike_sign_may_not(tmp_path: Path) -> None:
    found = crystal_of(str(DATA / "AgBiS2_dis.cif"))
    assert isinstance(found, Crystal)
    assert (found.name, found.structure_type, found.a_angstrom) == ("AgBiS2", "rocksalt", 5.648)
    assert found.occupancies == {"cation": pytest.approx({"Ag": 0.5, "Bi": 0.5})}
    path = cube(tmp_path / "x.cif", "Pb1 Pb 0.5 0 0 0", "S1 S 0.5 0 0 0", "S2 S 1 0.5 0 0")
    with pytest.raises(DataError, match=r"shared by Pb 0.5, S 0.5, which are not known as ions of one sign"):
        crystal_of(str(path))


def test_a_disordered_molecule_is_refused(tmp_path: Path) -> None:
    path = cube(tmp_path / "ma.cif", "C1 C 0.5 0.4 0.5 0.5", "N1 N 0.5 0.6 0.5 0.5", "Pb1 Pb 1 0 0 0", "I1 I 1 0.5 0 0",
                more="")  # fmt: skip
    with pytest.raises(DataError, match=r"N1 .*the molecule is disordered"):
        crystal_of(str(path))


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("c3_origin2", {"Zn": 8, "Al": 16, "O": 32}),
        ("c9_pbnm", {"Cs": 4, "Pb": 4, "Br": 12}),
        ("PbTe", {"Pb": 4, "Te": 4}),
        ("Cs2AgBiBr6", {"Cs": 8, "Ag": 4, "Bi": 4, "Br": 24}),
        ("sno2_rutile", {"Sn": 2, "O": 4}),
        ("pbi2", {"Pb": 1, "I": 2}),
        ("badsg", {"Pb": 4, "S": 4}),
    ],
)
def test_the_setting_of_a_file_is_honoured(name: str, counts: dict[str, int]) -> None:
    assert read_structure(DATA / f"{name}.cif").symbols.formula.count() == counts


@pytest.mark.parametrize(
    ("symbol", "number", "sites"),
    [
        ("F d -3 m :1", 227, (("Zn", (0, 0, 0)), ("Al", (0.625, 0.625, 0.625)), ("O", (0.3886, 0.3886, 0.3886)))),
        ("P n m a", 62, (("Cs", (0.03, 0.25, 0.99)), ("Pb", (0, 0, 0.5)))),
        ("P 21/n", 14, (("Sn", (0.1, 0.2, 0.3)), ("S", (0.4, 0.1, 0.7)))),
        ("R -3 m :H", 166, (("Bi", (0, 0, 0.4)), ("Te", (0, 0, 0.2)))),
        ("I 4/m c m", 140, (("Cs", (0, 0.5, 0.25)), ("Pb", (0, 0, 0)), ("I", (0.21, 0.71, 0)))),
    ],
)
def test_a_named_setting_gives_the_group(symbol: str, number: int, sites: tuple, tmp_path: Path) -> None:  # type: ignore[type-arg]
    """Without listed operations the atoms expand to a structure of that group, as spglib finds it."""
    cell = {62: (8.2, 11.7, 8.2, 90, 90, 90), 14: (6.1, 7.2, 8.3, 90, 101, 90), 166: (4.4, 4.4, 30.5, 90, 90, 120),
            227: (8.1, 8.1, 8.1, 90, 90, 90), 140: (8.8, 8.8, 12.6, 90, 90, 90)}[number]  # fmt: skip
    keys = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_x", *(f"_cell_{key} {value}" for key, value in zip(keys, cell, strict=True))]
    lines += [f"_symmetry_space_group_name_H-M '{symbol}'", "loop_", "_atom_site_label"]
    lines += [f"_atom_site_fract_{axis}" for axis in "xyz"]
    lines += [f"{name}{k} {x} {y} {z}" for k, (name, (x, y, z)) in enumerate(sites)]
    path = tmp_path / "x.cif"
    path.write_text("\n".join(lines) + "\n")
    found = read_structure(path)
    group = spglib.get_spacegroup((found.cell[:], found.get_scaled_positions(), found.numbers), symprec=1e-3)
    assert group is not None and group.endswith(f"({number})")


def test_labels_in_capitals_are_elements(tmp_path: Path) -> None:
    text = "\n".join(line for line in CUBE.splitlines() if "type_symbol" not in line) + "\n"
    path = tmp_path / "x.cif"
    path.write_text(
        text.format(a=5.94, more="_space_group_name_H-M_alt 'F m -3 m'", sites="PB1 1 0 0 0\nS1 1 .5 .5 .5")
    )
    assert read_structure(path).symbols.formula.count() == {"Pb": 4, "S": 4}


@pytest.mark.parametrize(
    ("sites", "more", "says"),
    [
        (("Cs1 Cs 1 0.5 0.5 0.5", "Pb1 Pb 1 0 0 0"), "_chemical_formula_sum 'Cs Pb Br3'", "its formula says Cs Pb Br3"),
        (("C1 C 1 .4 .5 .5", "N1 N 1 .6 .5 .5", "Pb1 Pb 1 0 0 0", "I1 I 1 .5 0 0", "I2 I 1 0 .5 0", "I3 I 1 0 0 .5"),
         "_chemical_formula_sum 'C H6 I3 N Pb'", "hydrogen without coordinates"),
        (("Pb1 Pb 1 0 0 0", "S1 S 1 0 0 0.05"), "", "are 0.300 Å apart"),
        (("Pb1 Pb 1 0 0 0", "O1 OH 1 0 0 0.5"), "", "'OH' is a group of atoms"),
        (("Pb1 Pb 1 0 0 0", "W1 Wat 1 0 0 0.5"), "", "'Wat' is a group of atoms"),
        (("Pb1 Pb 1 0 0 ?", "S1 S 1 0 0 0.5"), "", "site Pb1 has the coordinate z = '?'"),
        (("Pb1 Pb 1 0 0 .", "S1 S 1 0 0 0.5"), "", "site Pb1 has the coordinate z = '.'"),
        (("Pb1 Pb 1 0 0 0", "S1 S 1.5 0 0 0.5"), "", "S1 .* is occupied to 1.5"),
    ],
)  # fmt: skip
def test_a_file_that_contradicts_itself_is_refused(sites: tuple, more: str, says: str, tmp_path: Path) -> None:  # type: ignore[type-arg]
    with pytest.raises(DataError, match=says):
        read_structure(cube(tmp_path / "x.cif", *sites, more=more))


def test_an_origin_that_is_not_named_is_found_by_the_formula_or_refused(tmp_path: Path) -> None:
    """Spinel on the positions of origin choice 2: choice 1 would give Zn2AlO4."""
    sites = ("Zn1 Zn 1 .125 .125 .125", "Al1 Al 1 .5 .5 .5", "O1 O 1 .2636 .2636 .2636")
    group = "_space_group_name_H-M_alt 'F d -3 m'"
    told = cube(tmp_path / "told.cif", *sites, a=8.086, more=f"{group}\n_chemical_formula_sum 'Al2 O4 Zn'")
    assert read_structure(told).symbols.formula.count() == {"Zn": 8, "Al": 16, "O": 32}
    with pytest.raises(DataError, match=r"several fit .* name the setting"):
        read_structure(cube(tmp_path / "open.cif", "Si1 Si 1 0 0 0", a=5.431, more=group))


def test_an_unknown_space_group_is_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no space group 'Q m -3 m' is known"):
        read_structure(cube(tmp_path / "x.cif", "Pb1 Pb 1 0 0 0", more="_space_group_name_H-M_alt 'Q m -3 m'"))
    with pytest.raises(DataError, match="does not have the axes"):
        read_structure(cube(tmp_path / "x.cif", "Bi1 Bi 1 0 0 0.4", more="_space_group_name_H-M_alt 'R -3 m :H'"))


def test_several_structures_in_one_file_are_refused(tmp_path: Path) -> None:
    path = cube(tmp_path / "x.cif", "Pb1 Pb 1 0 0 0")
    path.write_text(path.read_text() + path.read_text().replace("data_x", "data_y"))
    with pytest.raises(DataError, match=r"2 structures .*x, y"):
        read_structure(path)


ROCKSALT = """data_global
_cell_length_a 5.94
_cell_length_b 5.94
_cell_length_c 5.94
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_chemical_formula_sum 'Pb S'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Pb 0 0 0
S 0.5 0.5 0.5
"""
"""Galena as the mineralogical database writes it."""


def test_blocks_of_equal_names_are_told_apart(tmp_path: Path) -> None:
    """Every block of the mineralogical database is called 'global'."""
    path = tmp_path / "x.cif"
    path.write_text(ROCKSALT + ROCKSALT.replace("5.94", "6.46").replace("S", "Te").replace("'Pb Te'", "'Pb Te'"))
    with pytest.raises(DataError, match=r"2 structures \(data blocks global, global\)"):
        read_structure(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: re.sub(r"\b_\S+|data_|loop_", lambda word: word[0].upper(), text),
        lambda text: re.sub(r"\b_\S+", lambda word: word[0].lower(), text),
        lambda text: text.replace("_atom_site_", "_atom_site.").replace("_cell_", "_cell."),
        lambda text: text.replace("'F m -3 m'", "'F m 3 m'"),
        lambda text: text.replace("'F m -3 m'", "F m -3 m").replace("'Pb S'", "Pb S"),
        lambda text: text.replace("_symmetry_space_group_name_H-M", "_space_group_name_H-M_alt"),
        lambda text: text.replace("data_global\n", ""),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("'Pb S'\n", "'Pb S'\n_chemical_formula_sum ''\n"),
        lambda text: text.replace("_cell_angle_beta 90\n", ""),
        lambda text: text + "loop_\n_journal_a\n_journal_b\n1 2 3\n",
        lambda text: text + "loop_\n_atom_site_moment_label\n_atom_site_moment_crystalaxis_x\n",
        lambda text: text.replace("data_global", "data_global\n_shelx_res_file\n;\ndata_inner\n# 'odd\nloop_\n;\n"),
        lambda text: text.replace("data_global", "# Müller\ndata_global"),
    ],
    ids=["upper", "lower", "dots", "before-1983", "unquoted", "alt", "no-header", "crlf", "empty-twice", "no-angle",
         "broken-loop-elsewhere", "empty-loop", "text-field", "latin-1"],
)  # fmt: skip
def test_every_spelling_of_a_file_is_read(change, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "x.cif"
    path.write_bytes(change(ROCKSALT).encode("latin-1"))
    assert read_structure(path).symbols.formula.count() == {"Pb": 4, "S": 4}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("_atom_site_fract_z\n", "", "the loop of _atom_site_label has 8 values for 3 columns"),
        ("_cell_length_b 5.94\n", "", "it has no _cell_length_b"),
        ("_cell_length_b 5.94", "_cell_length_b ?", r"_cell_length_b is '\?'"),
        ("_cell_length_b 5.94", "_cell_length_a 6.1", "gives _cell_length_a twice"),
        ("_atom_site_label", "_atom_site_serial", "neither _atom_site_type_symbol nor _atom_site_label"),
        ("Pb 0 0 0", "Q 0 0 0", "'Q' is no element"),
        ("_chemical_formula_sum 'Pb S'\n", "", "'St' is no element"),
        ("'Pb S'", "'Pb S'\n_cell_formula_units_Z 8", "8 atoms are 4 times its formula, and it states Z = 8"),
        ("'Pb S'", "'Pb S'\n_exptl_crystal_density_diffrn 3.79", "8 atoms have 7.58 g/cm³, and it states 3.79"),
        ("'Pb S'", "'Pb S'\n_cell_volume 52.4", r"has 209.6 Å³, and it states 52.4"),
        ("'Pb S'", "'Pb S'\nloop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\nx+1/2,y+1/2,z\nx+1/2,y,z+1/2",
         "make no group: 'x.1/2,y.1/2,z' after 'x.1/2,y,z.1/2' is not among them"),
    ],
)  # fmt: skip
def test_what_a_file_lacks_is_named(old: str, new: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.cif"
    path.write_text(ROCKSALT.replace(old, new, 1).replace("S 0.5", "St 0.5" if "'St'" in says else "S 0.5"))
    with pytest.raises(DataError, match=says):
        read_structure(path)


def test_operations_without_the_identity(tmp_path: Path) -> None:
    path = tmp_path / "x.cif"
    centring = "\nloop_\n_symmetry_equiv_pos_as_xyz\nx+1/2,y+1/2,z\nx+1/2,y,z+1/2\nx,y+1/2,z+1/2"
    path.write_text(ROCKSALT.replace("'Pb S'", "'Pb S'" + centring))
    assert read_structure(path).symbols.formula.count() == {"Pb": 4, "S": 4}


def test_a_special_position_may_be_rounded_and_a_split_one_is_named(tmp_path: Path) -> None:
    """The anion of SnO2 on (x, x, 0), its second coordinate one digit short; and farther apart than rounding goes."""
    text = (
        ROCKSALT.replace("'F m -3 m'", "'P 42/m n m'").replace("'Pb S'", "'Sn O2'").replace("_c 5.94", "_c 3.19")
        .replace("5.94", "4.74").replace("Pb 0 0 0", "Sn 0 0 0").replace("S 0.5 0.5 0.5", "O 0.3063 0.3060 0")
    )  # fmt: skip
    path = tmp_path / "x.cif"
    path.write_text(text)
    assert read_structure(path).symbols.formula.count() == {"Sn": 2, "O": 4}
    path.write_text(text.replace("0.3060", "0.27"))
    with pytest.raises(DataError, match="its sites give O8 Sn2, its formula says Sn O2"):
        read_structure(path)


@pytest.mark.parametrize(
    ("formula", "sites", "counts"),
    [
        ("'H2 O'", "Ow 0 0 0\nHw1 0 0.13 0.1\nHw2 0 -0.13 0.1", {"O": 1, "H": 2}),
        ("'H2 O'", "OH 0 0 0\nHO1 0 0.13 0.1\nHO2 0 -0.13 0.1", {"O": 1, "H": 2}),
        ("'Al Ho O3'", "Al 0 0 0\nHO1 0.5 0.5 0.5\nO1 0.5 0 0\nO2 0 0.5 0\nO3 0 0 0.5", {"Al": 1, "Ho": 1, "O": 3}),
        ("'C2 O4'", "CO1 0 0 0\nCO2 0 0 0.5\nO1 0.2 0 0\nO2 -0.2 0 0\nO3 0.2 0 0.5\nO4 -0.2 0 0.5", {"C": 2, "O": 4}),
    ],
)  # fmt: skip
def test_the_formula_tells_what_a_label_means(formula: str, sites: str, counts: dict, tmp_path: Path) -> None:  # type: ignore[type-arg]
    path = tmp_path / "x.cif"
    text = ROCKSALT.replace("'F m -3 m'", "'P 1'").replace("'Pb S'", formula)
    path.write_text(text.replace("Pb 0 0 0\nS 0.5 0.5 0.5", sites))
    assert read_structure(path).symbols.formula.count() == counts


def test_water_without_its_hydrogen_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.cif"
    path.write_text(ROCKSALT.replace("'Pb S'", "'H2 O Pb S'").replace("S 0.5", "Wat 0.25 0.25 0.25\nS 0.5"))
    with pytest.raises(DataError, match=r"hydrogen without coordinates"):
        read_structure(path)


def test_one_hydrogen_too_few_is_seen_in_a_large_molecule(tmp_path: Path) -> None:
    """1 of 121 atoms: a charge of one, and less than 1 % of every share."""
    grid = [(x / 5, y / 5, z / 5) for x in range(5) for y in range(5) for z in range(5)]
    atoms = [f"{'C' if n < 60 else 'H'} {x} {y} {z}" for n, (x, y, z) in enumerate(grid[:120])]
    path = tmp_path / "x.cif"
    text = ROCKSALT.replace("'F m -3 m'", "'P 1'").replace("Pb 0 0 0\nS 0.5 0.5 0.5", "\n".join(atoms))
    path.write_text(text.replace("'Pb S'", "'C60 H60'"))
    assert len(read_structure(path)) == 120
    path.write_text(text.replace("'Pb S'", "'C60 H61'"))
    with pytest.raises(DataError, match="its sites give C60 H60, its formula says C60 H61"):
        read_structure(path)


@pytest.mark.parametrize(
    ("row", "counts"),
    [("S2 S 0 .25 .25 .25", {"Pb": 1, "S": 3}), ("S2 S ? .25 .25 .25", {"Pb": 1, "S": 11}),
     ("S2 S . .25 .25 .25", {"Pb": 1, "S": 11})],
)  # fmt: skip
def test_occupancies_that_are_none_or_unsaid(row: str, counts: dict[str, int], tmp_path: Path) -> None:
    """Occupied to 0 is no atom; an occupancy that is not said is that of the dictionary, 1."""
    path = cube(tmp_path / "x.cif", "Pb1 Pb 1 0 0 0", "S1 S 1 0.5 0 0", row)
    assert read_structure(path).symbols.formula.count() == counts


@settings(deadline=None, derandomize=True, max_examples=25)
@given(
    group=st.sampled_from([2, 12, 19, 62, 127, 136, 140, 148, 166, 186, 194, 216, 221, 225]),
    a=st.floats(5.0, 9.0), x=st.floats(0.11, 0.16), y=st.floats(0.22, 0.27), z=st.floats(0.33, 0.38),
)  # fmt: skip
def test_what_is_written_is_read(group: int, a: float, x: float, y: float, z: float, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    """Files of pymatgen's writer, with and without symmetry, hold the atoms that were written."""
    system = {2: (a, 1.1 * a, 1.2 * a, 81, 95, 103), 12: (a, 1.2 * a, 1.1 * a, 90, 104, 90)}
    angles = (90, 90, 120) if 143 <= group <= 194 else (90, 90, 90)
    edges = (a, a, a) if group >= 195 else (a, a, 1.6 * a) if group >= 75 else (a, 1.2 * a, 1.4 * a)
    cell = system.get(group, (*edges, *angles))
    structure = Structure.from_spacegroup(group, Lattice.from_parameters(*cell), ["Pb", "S"], [[0, 0, 0], [x, y, z]])
    if min(structure.distance_matrix[np.triu_indices(len(structure), 1)], default=9.0) < 0.7:
        return
    path = tmp_path_factory.mktemp("cif") / "x.cif"
    for symprec in (None, 1e-3):
        CifWriter(structure, symprec=symprec).write_file(path)
        found = read_structure(path)
        assert Counter(found.get_chemical_symbols()) == Counter(str(site.specie) for site in structure)
        assert found.cell.volume == pytest.approx(structure.volume, rel=1e-6)


@pytest.mark.parametrize("cell", ["cubic", "primitive", "supercell"])
@pytest.mark.parametrize(
    ("structure_type", "species", "group", "basis"),
    [
        ("rocksalt", ("Pb", "Te"), 225, ((0, 0, 0), (0.5, 0.5, 0.5))),
        ("zincblende", ("In", "P"), 216, ((0, 0, 0), (0.25, 0.25, 0.25))),
        ("cscl", ("Cs", "Br"), 221, ((0, 0, 0), (0.5, 0.5, 0.5))),
        ("perovskite", ("Cs", "Pb", "Br"), 221, ((0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0))),
    ],
)
def test_a_prototype_is_known_in_any_cell(
    structure_type: str, species: tuple, group: int, basis: tuple, cell: str
) -> None:  # type: ignore[type-arg]
    atoms = crystal(species, basis, spacegroup=group, cellpar=[6.2] * 3 + [90] * 3, primitive_cell=cell == "primitive")
    atoms = atoms * (2, 1, 1) if cell == "supercell" else atoms
    found = conventional(Atoms(atoms), path=Path("x.vasp"))
    assert (found.structure_type, found.a_angstrom) == (structure_type, pytest.approx(6.2, abs=1e-9))
    metal = {"rocksalt": "Pb", "zincblende": "In", "cscl": "Cs", "perovskite": "Pb"}[structure_type]
    assert found.sites[0].species == metal and found.sites[0].position == (0.0, 0.0, 0.0)


def test_a_double_perovskite_has_the_pseudo_cubic_constant_of_its_b_sites() -> None:
    found = conventional(read_structure(DATA / "Cs2AgBiBr6.cif"), path=Path("x.cif"))
    assert {site.species for site in found.sites if site.label == "B"} == {"Ag", "Bi"}
    assert found.a_angstrom == pytest.approx(11.25 / 2)
