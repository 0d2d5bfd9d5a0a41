"""Crystal records: what the shipped file promises, cells and sites of every record, user files, refusals."""

import math
from collections import Counter

import numpy as np
import pytest

from qdip_struct.errors import DataError, UsageError
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.crystals import scaled, with_edges
from qdip_struct.materials.datasets import get_crystal, get_dataset, list_crystals, list_datasets
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant

ALL = list_crystals()
CHARGES = {"Pb": 2, "Cd": 2, "Zn": 2, "S": -2, "Se": -2, "Te": -2, "Cs": 1, "Na": 1, "MA": 1, "FA": 1,
           "F": -1, "Cl": -1, "Br": -1, "I": -1}  # fmt: skip


def ids(crystal):
    return f"{crystal.dataset}-{crystal.label}"


@pytest.mark.parametrize("crystal", ALL, ids=ids)
def test_every_cell_is_neutral_and_holds_its_formula_units(crystal):
    counts = Counter(site.species for site in crystal.sites)
    assert sum(CHARGES[species] * count for species, count in counts.items()) == 0
    assert len(set(site.position for site in crystal.sites)) == len(crystal.sites)
    assert all(0.0 <= x < 1.0 for site in crystal.sites for x in site.position)
    per_unit = {species: count / crystal.n_formula_units for species, count in counts.items()}
    expected: Counter = Counter()
    for sublattice in parse_formula(crystal.name).sublattices:
        for species, fraction in zip(sublattice.species, sublattice.fractions, strict=True):
            expected[species] += fraction * sublattice.count
    assert per_unit == pytest.approx(dict(expected))


@pytest.mark.parametrize("crystal", ALL, ids=ids)
def test_no_two_sites_are_closer_than_ions_can_be(crystal):
    points = np.array([site.position for site in crystal.sites])
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    steps = points[:, None, None] - points[None, :, None] + shifts
    lengths = np.linalg.norm(steps @ crystal.cell, axis=-1)
    assert lengths[lengths > 1e-9].min() > 2.2


@pytest.mark.parametrize("crystal", ALL, ids=ids)
def test_cell_vectors_have_the_lengths_and_angles(crystal):
    assert np.linalg.norm(crystal.cell, axis=1) == pytest.approx(crystal.lengths)
    a, b, c = crystal.cell
    cosines = [np.dot(b, c), np.dot(a, c), np.dot(a, b)]
    norms = [crystal.lengths[1] * crystal.lengths[2], crystal.lengths[0] * crystal.lengths[2],
             crystal.lengths[0] * crystal.lengths[1]]  # fmt: skip
    angles = [math.degrees(math.acos(x / n)) for x, n in zip(cosines, norms, strict=True)]
    assert angles == pytest.approx(crystal.angles)


@pytest.mark.parametrize("crystal", [c for c in ALL if c.structure_type == "perovskite"], ids=ids)
def test_lead_has_six_halide_neighbours(crystal):
    lead = np.array([s.position for s in crystal.sites if s.label == "B"])
    halide = np.array([s.position for s in crystal.sites if s.label == "X"])
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm((halide[None, :, None] + shifts - lead[:, None, None]) @ crystal.cell, axis=-1)
    bonds = np.sort(lengths.reshape(len(lead), -1), axis=1)
    assert np.all(bonds[:, 5] < 0.55 * crystal.a_angstrom)
    assert np.all(bonds[:, 6] > 0.7 * crystal.a_angstrom)


@pytest.mark.parametrize("crystal", ALL, ids=ids)
def test_space_group_of_the_expanded_sites(crystal):
    spglib = pytest.importorskip("spglib")
    kinds = {species: number for number, species in enumerate(sorted({s.species for s in crystal.sites}))}
    cell = (crystal.cell, [s.position for s in crystal.sites], [kinds[s.species] for s in crystal.sites])
    found = spglib.get_spacegroup(cell, symprec=1e-3)
    assert found.split()[0] == crystal.space_group.split()[0]


def test_the_pseudocubic_constant_of_the_tetragonal_cell():
    crystal = get_crystal("MAPbI3:tetragonal")
    assert crystal.a_angstrom == pytest.approx((8.849**2 * 12.642 / 4) ** (1 / 3))
    assert crystal.a_angstrom == pytest.approx(6.2784, abs=1e-4)
    assert get_crystal("CsPbI3:gamma").a_angstrom == pytest.approx(6.2012, abs=1e-4)


def test_data_sets_hold_the_published_numbers():
    assert get_crystal("PbS", dataset="liu2019").a_angstrom == 5.94
    assert get_crystal("PbSe", dataset="liu2019").a_angstrom == 6.12
    assert get_crystal("CsPbBr3", dataset="liu2019").a_angstrom == 5.85
    assert get_crystal("CsPbI3", dataset="liu2019").a_angstrom == 6.21
    assert get_crystal("PbS", dataset="ning2015").a_angstrom == 5.97
    assert get_crystal("MAPbI3", dataset="ning2015").a_angstrom == 6.26
    assert get_crystal("PbS").a_angstrom == 5.936
    assert get_crystal("PbS", dataset="pbe_cp2k").temperature_kelvin is None


def test_parent_sites_are_shared_by_rock_salt_and_perovskite():
    rocksalt = {site.position: site for site in get_crystal("PbS").sites}
    perovskite = {site.position: site for site in get_crystal("CsPbBr3").sites}
    shared = {position for position in rocksalt if position in perovskite and position != (0.5, 0.5, 0.5)}
    assert shared == {(0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5)}
    assert rocksalt[(0.0, 0.0, 0.0)].species == perovskite[(0.0, 0.0, 0.0)].species == "Pb"


def test_delta_phase_has_no_six_angstrom_repeat():
    crystal = get_crystal("CsPbI3:delta")
    assert not any(abs(length - 5.94) < 0.5 for length in crystal.lengths)
    lead = np.array([s.position for s in crystal.sites if s.species == "Pb"])
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm((lead[None, :, None] + shifts - lead[:, None, None]) @ crystal.cell, axis=-1)
    nearest = np.unique(np.round(lengths[lengths > 1e-6], 2))[:2]
    assert nearest == pytest.approx([4.67, 4.79], abs=0.12)


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


def test_scaling():
    tetragonal = get_crystal("MAPbI3")
    bigger = scaled(tetragonal, lattice=6.325)
    assert bigger.a_angstrom == pytest.approx(6.325)
    assert bigger.lengths[2] / bigger.lengths[0] == pytest.approx(12.642 / 8.849)
    assert scaled(get_crystal("PbS"), lattice=6.0).lengths == (6.0, 6.0, 6.0)
    assert with_edges(tetragonal, edges=[8.85, 12.64]).lengths == (8.85, 8.85, 12.64)
    assert with_edges(get_crystal("PbS"), edges=[5.936]).lengths == (5.936, 5.936, 5.936)
    for bad in (0.0, -1.0, math.nan, math.inf, 1000.0):
        with pytest.raises(UsageError, match="between 1 and 100"):
            scaled(tetragonal, lattice=bad)
    with pytest.raises(UsageError, match="is cubic"):
        with_edges(get_crystal("PbS"), edges=[5.9, 6.0])
    with pytest.raises(UsageError, match="one or three"):
        with_edges(get_crystal("CsPbI3:gamma"), edges=[8.0, 12.0])


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
        from qdip_struct.materials.library import load_library

        load_library.cache_clear()


def test_missing_user_file(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        list_crystals(files=(tmp_path / "none.yaml",))
