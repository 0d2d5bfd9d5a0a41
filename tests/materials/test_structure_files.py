"""The shipped CIF files hold the same crystals as ``crystals.yaml``; own files are read, other files refused."""

import numpy as np
import pytest

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import shipped
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import (
    as_crystal,
    crystal_named,
    crystal_of,
    is_structure_file,
    read_structure,
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
