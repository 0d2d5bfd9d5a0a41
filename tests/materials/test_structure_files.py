"""The shipped CIF files hold the same crystals as ``crystals.yaml``; own files are read, other files refused."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import shipped
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import (
    as_crystal,
    crystal_named,
    crystal_of,
    is_structure_file,
    read_structure,
    why_finished,
)

FILES = sorted(shipped("structures").glob("*.cif"))


def test_there_are_files():
    names = {path.stem for path in FILES}
    assert names >= {
        "PbS_rocksalt", "PbSe_rocksalt", "NaI_rocksalt", "CsPbBr3_cubic", "CsPbI3_cubic", "MAPbBr3_cubic",
        "MAPbI3_tetragonal", "MAPbI3_pseudocubic",
    }  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_is_its_record(path):
    name, phase = path.stem.split("_")
    record, found = get_crystal(f"{name}:{phase}", dataset="xrd_298K"), as_crystal(read_structure(path), path=path)
    assert found.lengths == pytest.approx(record.lengths) and found.angles == pytest.approx(record.angles)
    assert len(found.sites) == len(record.sites)
    for site in found.sites:
        gaps = np.abs((np.array([s.position for s in record.sites]) - site.position + 0.5) % 1.0 - 0.5).max(axis=1)
        partner = record.sites[int(np.argmin(gaps))]
        assert gaps.min() < 1e-4
        assert site.species == ("N" if partner.species == "MA" else partner.species)
    text = path.read_text()
    assert text.startswith("# ")


FILE_WORDS = ("a.cif", "a.CIF", "POSCAR", "POSCAR_film", "contcar", "CONTCAR_x", "dir/thing", "some/POSCAR", "a.json")


def test_words_that_are_files(tmp_path):
    assert all(map(is_structure_file, FILE_WORDS))
    assert not any(map(is_structure_file, ("PbS", "PbS:rocksalt", "CsPbBr2I", "MAPbI2.5Br0.5", "PbS0.5Se0.5")))
    (tmp_path / "thing").write_text("")
    assert is_structure_file("thing", folder=tmp_path) and not is_structure_file("thing")


@pytest.mark.parametrize("word", FILE_WORDS)
def test_a_word_for_a_file_is_never_a_crystal(word, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        crystal_of(word, folder=tmp_path)
    with pytest.raises(UsageError, match="is a structure file"):
        crystal_named(word)
    with pytest.raises(UsageError, match="lattice is taken as it is"):
        crystal_of(word, lattice=6.0, folder=tmp_path)


@pytest.mark.parametrize(
    "name, content", [("a.cif", "hello"), ("a.xyz", "1\n\nPb 0 0 0\n"), ("a.xyz", ""), ("a.cif", "")]
)
def test_files_that_hold_no_crystal(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError):
        as_crystal(read_structure(path), path=path)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_structure(tmp_path / "none.cif")


CASES = Path(__file__).parents[1] / "data" / "crystals"


@pytest.mark.parametrize("name", ["huge_count.xyz", "huge.POSCAR.vasp", "hugeint.vasp"])
def test_counts_that_a_file_cannot_hold_are_refused_before_room_is_made(name: str) -> None:
    with pytest.raises(DataError, match="bytes cannot hold them"):
        read_structure(CASES / name)


def test_an_at_sign_is_part_of_a_name(tmp_path: Path) -> None:
    for name, metal in (("slab", "Na"), ("slab@0", "Pb")):
        text = f'1\nLattice="6 0 0 0 6 0 0 0 6" Properties=species:S:1:pos:R:3 pbc="T T T"\n{metal} 0 0 0\n'
        (tmp_path / name).write_text(text)
    assert read_structure(tmp_path / "slab@0").get_chemical_symbols() == ["Pb"]


def test_a_cell_is_given_to_a_file_without_one(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("2\n\nPb 0 0 0\nS 0 0 2.9\n")
    assert not read_structure(path).cell.any()
    assert read_structure(path, cell=(5, 6, 7)).cell.lengths() == pytest.approx([5, 6, 7])
    assert read_structure(path, cell=(5, 5, 7, 90, 90, 120)).cell.angles() == pytest.approx([90, 90, 120])
    for wrong in ((5, 5), (5, 5, -1), (5, 5, 5, 90, 90, 190)):
        with pytest.raises(UsageError, match="three edges"):
            read_structure(path, cell=wrong)
    write(tmp_path / "b.vasp", bulk("PbS", "rocksalt", a=5.9))
    with pytest.raises(UsageError, match="cell of its own"):
        read_structure(tmp_path / "b.vasp", cell=(5, 5, 5))


def test_two_atoms_in_one_place_are_no_structure_also_across_a_face(tmp_path: Path) -> None:
    write(tmp_path / "a.vasp", Atoms("PbS", scaled_positions=[[0.01, 0.5, 0.5], [0.99, 0.5, 0.5]], cell=[6.0] * 3))
    with pytest.raises(DataError, match=r"atoms 1 \(Pb\) and 2 \(S\) are 0.120 Å apart"):
        read_structure(tmp_path / "a.vasp")


@pytest.mark.parametrize(
    ("atoms", "finished"),
    [
        (bulk("PbS", "rocksalt", a=5.94), False),
        (bulk("PbS", "rocksalt", a=5.94, cubic=True) * (3, 3, 3), False),
        (Atoms("PbI2", scaled_positions=[[0, 0, 0], [1 / 3, 2 / 3, 0.27], [2 / 3, 1 / 3, 0.73]],
               cell=[4.557, 4.557, 6.979, 90, 90, 120], pbc=True), False),
        (Atoms("PbS", positions=[[0, 0, 0], [3, 0, 0]], cell=[3, 3, 12], pbc=True), True),
        (Atoms("PbS", positions=[[0, 0, 0], [3, 0, 0]]), True),
    ],
)  # fmt: skip
def test_a_crystal_is_told_from_a_finished_body(atoms: Atoms, finished: bool) -> None:
    assert bool(why_finished(atoms)) == finished


@pytest.mark.parametrize(
    ("scale", "says"), [("1e-320", "the cell is flat"), ("0.01", "the cell is flat"), ("1e6", "Å is no")]
)
def test_a_cell_of_no_size_is_refused(scale: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.vasp"
    path.write_text(f"PbS\n{scale}\n5.9 0 0\n0 5.9 0\n0 0 5.9\nPb S\n1 1\nDirect\n0 0 0\n.5 .5 .5\n")
    with pytest.raises(DataError, match=says):
        read_structure(path)


POSCAR = """{comment}
1.0
5.94 0 0
0 5.94 0
0 0 5.94
{counts}
Direct
0 0 0
0 .5 .5
.5 0 .5
.5 .5 0
.5 .5 .5
.5 0 0
0 .5 0
0 0 .5
"""


@pytest.mark.parametrize("comment", ["Pb S", "PbS", "Pb4S4", "Pb S  galena", "Pb S 100 K"])
def test_a_poscar_of_vasp_4_is_read_where_its_first_line_names_the_elements(comment: str, tmp_path: Path) -> None:
    path = tmp_path / "POSCAR"
    path.write_text(POSCAR.format(comment=comment, counts="4 4"))
    assert read_structure(path).symbols.formula.count() == {"Pb": 4, "S": 4}


@pytest.mark.parametrize(
    "comment", ["POSCAR of a cell", "galena", "SPb2", "Pb", "(Pb,Sn)S", "1.0", "", "Sn in PbS", "primitive cell NaCl"]
)
def test_letters_of_a_comment_are_no_elements(comment: str, tmp_path: Path) -> None:
    path = tmp_path / "POSCAR"
    path.write_text(POSCAR.format(comment=comment, counts="4 4"))
    with pytest.raises(
        DataError, match=r"has no line of elements, and its first line .* counts 4 4: write the elements"
    ):
        read_structure(path)


def test_a_number_as_the_comment_of_a_poscar_is_no_count(tmp_path: Path) -> None:
    path = tmp_path / "x.vasp"
    path.write_text(POSCAR.format(comment="176909", counts="Pb S\n4 4"))
    assert read_structure(path).symbols.formula.count() == {"Pb": 4, "S": 4}
    path.write_text(POSCAR.format(comment="", counts="Pb\nS\n4\n4"))
    with pytest.raises(DataError, match="names its elements on several lines"):
        read_structure(path)


def test_a_placeholder_is_no_element(tmp_path: Path) -> None:
    path = tmp_path / "x.vasp"
    path.write_text(POSCAR.format(comment="PbX", counts="Pb X\n4 4"))
    with pytest.raises(DataError, match="atom 5 is 'X', which is no element"):
        read_structure(path)
