"""Data sets: published numbers, names and phases that are understood, user files, refusals."""

import pytest

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.materials.datasets import get_crystal, get_dataset, list_crystals, list_datasets, load_library
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant


def test_data_sets_hold_the_published_numbers():
    assert get_crystal("PbS", dataset="liu2019").a_angstrom == 5.94
    assert get_crystal("PbSe", dataset="liu2019").a_angstrom == 6.12
    assert get_crystal("CsPbBr3", dataset="liu2019").a_angstrom == 5.85
    assert get_crystal("CsPbI3", dataset="liu2019").a_angstrom == 6.21
    assert get_crystal("PbS", dataset="ning2015").a_angstrom == 5.97
    assert get_crystal("MAPbI3", dataset="ning2015").a_angstrom == 6.26
    assert get_crystal("PbS").a_angstrom == 5.936
    assert get_crystal("PbS", dataset="pbe_cp2k").temperature_kelvin is None


@pytest.mark.parametrize(
    "spec, dataset, words",
    [
        ("Foo", None, "unknown crystal 'Foo'"),
        ("PbS:cubic", None, "no phase 'cubic' of PbS"),
        ("NaI", "liu2019", "data sets that have it: xrd_298K"),
        ("PbS", "nothing", "unknown data set 'nothing'; known: xrd_298K"),
    ],
)
def test_unknown_names_are_refused_with_what_is_known(spec, dataset, words):
    with pytest.raises(UsageError, match=words):
        get_crystal(spec, dataset=dataset)


@pytest.mark.parametrize("spec, phase", [("CsPbI3:α", "cubic"), ("CsPbI3:alpha", "cubic"), ("CdSe:wz", "wurtzite"),
                                         ("MAPbI3:pc", "pseudocubic"), ("CsPbI3:δ", "delta")])  # fmt: skip
def test_other_spellings_of_phases(spec, phase):
    assert get_crystal(spec).phase == phase


USER = """
datasets:
  mine: {title: my lattices, extends: xrd_298K}
crystals:
  - {name: PbS, phase: rocksalt, dataset: mine, structure_type: rocksalt, a: 5.95, source: notebook}
  - {name: PbS, phase: rocksalt, dataset: xrd_298K, structure_type: rocksalt, a: 5.934, source: notebook}
  - {name: RbPbI3, phase: cubic, structure_type: perovskite, a: 6.2, source: notebook}
"""


def tin(folder):
    path = folder / "tin.yaml"
    path.write_text(
        "crystals: [{name: CsSnI3, phase: cubic, dataset: mine, structure_type: perovskite, a: 6.2, source: notebook}]"
    )
    return path


def test_a_user_file_adds_and_overrides_and_shows_its_name(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(USER)
    files = (path,)
    assert get_crystal("PbS", dataset="mine", files=files).a_angstrom == 5.95
    assert get_crystal("PbS", dataset="xrd_298K", files=files).a_angstrom == 5.934
    assert get_crystal("PbS", dataset="xrd_298K", files=files).origin == "mine.yaml"
    assert get_crystal("RbPbI3", dataset="mine", files=files).sites[0].species == "Pb"
    assert get_crystal("CsPbI3", dataset="mine", files=files).dataset == "xrd_298K"
    assert get_crystal("PbS").a_angstrom == 5.936
    assert get_dataset("mine", files=files).temperature_kelvin == 298
    mixed = mixed_lattice_constant("CsPb0.5Sn0.5I3", dataset="mine", files=(path, tin(tmp_path)))
    assert "data sets mine, xrd_298K" in mixed.source or "data sets xrd_298K, mine" in mixed.source
    assert "mine" in {d.name for d in list_datasets(files=files)}
    with pytest.raises(UsageError):
        get_crystal("RbPbI3", dataset="liu2019", files=files)


@pytest.mark.parametrize(
    "text, words",
    [
        ("crystals: [{name: PbS, phase: rocksalt, structure_type: rocksalt, source: x}]", "the key 'a' is missing"),
        ("crystals: [{name: PbS, phase: r, structure_type: rocksalt, a: -5, source: x}]", "a is -5, expected 1 to 100"),
        ("crystals: [{name: PbS, phase: r, structure_type: rocksalt, a: .nan, source: x}]", "expected a number"),
        ("crystals: [{name: PbS, phase: r, structure_type: rocksalt, a: 5.9, sorce: x}]", "unknown key 'sorce'"),
        ("crystals: [{name: PbS, phase: r, structure_type: salt, a: 5.9, source: x}]", "structure_type 'salt'"),
        ("crystals: [3]", "is not a mapping"),
        ("crystals: [", "not valid YAML"),
        ("- 3", "expected a mapping"),
        ("datasets: {a: {extends: b}}", "extends 'b', which is unknown"),
    ],
)
def test_bad_user_files_are_refused_by_name(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        list_crystals(files=(path,))


def test_bad_sites_are_refused(tmp_path):
    head = "crystals: [{name: PbS, phase: r, structure_type: other, a: 5.9, source: x, formula_units: 1, "
    for body, words in (
        ("orbits: [[A, Pb, 0, 0]]}]", "a site is"),
        ("orbits: [[A, Pb, 0, 0, q]]}]", "not a number"),
        ("orbits: [[A, Pb, 0, 0, 0], [X, S, 0, 0, 1]]}]", "share the site"),
        ("generators: ['x,y'], orbits: [[A, Pb, 0, 0, 0]]}]", "needs three parts"),
        ("generators: ['x,y,w'], orbits: [[A, Pb, 0, 0, 0]]}]", "cannot read 'w'"),
    ):
        path = tmp_path / "sites.yaml"
        path.write_text(head + body)
        with pytest.raises(DataError, match=words):
            list_crystals(dataset="sites", files=(path,))
        load_library.cache_clear()


def test_missing_user_file(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        list_crystals(files=(tmp_path / "none.yaml",))


@pytest.mark.parametrize("units", ["inf", "0", "1.5", "true", ".inf"])
def test_formula_units_are_a_whole_number(units, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "crystals: [{name: X, phase: cubic, structure_type: other, a: 6, source: s, formula_units: " + units + "}]"
    )
    with pytest.raises(DataError, match="formula_units"):
        list_crystals(files=(path,))
