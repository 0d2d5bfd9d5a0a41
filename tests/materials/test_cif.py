"""CIF files: what comes out is what the file says of itself, or the file is refused with the reason."""

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
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.structure_files import conventional, crystal_of, read_structure

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
