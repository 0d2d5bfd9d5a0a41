"""Structure files: every format comes back, extxyz with its arrays, nothing is overwritten or half written."""

import json

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import provenance, sha256
from qdip_struct.builders.atoms.cells import conventional_cell
from qdip_struct.builders.atoms.regions import report
from qdip_struct.builders.atoms.store import (
    STRUCTURE_FORMATS,
    SUFFIX,
    StructureRecord,
    format_of,
    read_sidecar,
    structure_text,
    write_structure,
)
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import read_structure


@pytest.fixture
def cell():
    return conventional_cell(get_crystal("MAPbI3:tetragonal"))


def write(path, atoms, **options):
    origin = provenance("test", {"a": 1}, seed=3)
    return write_structure(path, atoms, provenance=origin, report=report(atoms, seed=3), **options)


def test_extxyz_keeps_every_array(tmp_path, cell):
    cell.info["role"] = "film"
    cell.set_array("strain", np.linspace(-0.1, 0.1, 6 * len(cell)).reshape(-1, 6))
    again = read_structure(write(tmp_path / "a.extxyz", cell))
    assert again.positions == pytest.approx(cell.positions, abs=1e-9)
    assert again.cell.array == pytest.approx(cell.cell.array, abs=1e-9)
    assert list(again.pbc) == [True] * 3 and again.info["role"] == "film"
    for name in ("region", "phase", "formal_charge", "molecule"):
        assert (again.get_array(name) == cell.get_array(name)).all()
    assert again.get_array("strain") == pytest.approx(cell.get_array("strain"), abs=1e-9)


@pytest.mark.parametrize("name", ["cif", "vasp", "xyz"])
def test_other_formats_keep_the_geometry(tmp_path, cell, name):
    again = read_structure(write(tmp_path / f"a{SUFFIX[name]}", cell))
    assert again.get_chemical_formula() == cell.get_chemical_formula()
    assert again.cell.cellpar() == pytest.approx(cell.cell.cellpar(), abs=1e-6)
    ours, theirs = (np.sort(np.round(a.get_all_distances(mic=True), 4).ravel()) for a in (cell, again))
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_cp2k_text_lists_cell_and_every_atom(cell):
    text = structure_text(cell, format="cp2k")
    assert text.count("\n  ") == 3 + len(cell) and "&CELL" in text and text.endswith("&END COORD\n")


def test_the_sidecar_says_what_and_where_from(tmp_path, cell):
    path = write(tmp_path / "a.extxyz", cell)
    _, sidecar = read_sidecar(path)
    assert sidecar["n_atoms"] == 48 and sidecar["structure"] == "a.extxyz" and sidecar["seed"] == 3
    assert sidecar["structure_sha256"] == sha256(path.read_bytes())
    assert sidecar["provenance"]["command"] == "test"


def test_the_same_structure_gives_the_same_bytes(tmp_path, cell):
    for name in STRUCTURE_FORMATS:
        texts = {structure_text(cell.copy(), format=name) for _ in range(2)}
        assert len(texts) == 1, name
    one, two = write(tmp_path / "x" / "a.extxyz", cell), write(tmp_path / "y" / "a.extxyz", cell)
    assert one.read_bytes() == two.read_bytes()
    assert one.with_suffix(".json").read_bytes() == two.with_suffix(".json").read_bytes()


def test_nothing_is_overwritten_unless_forced(tmp_path, cell):
    path = write(tmp_path / "a.extxyz", cell)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="--force"):
        write(path, conventional_cell(get_crystal("PbS")))
    assert path.read_bytes() == before
    path.unlink()
    with pytest.raises(UsageError, match="--force"):
        write(path, conventional_cell(get_crystal("PbS")))
    assert not path.exists(), "an existing sidecar alone must stop the write before the structure is written"
    write(path, cell, force=True)
    assert path.exists()


def test_one_structure_is_written_in_several_formats_side_by_side(tmp_path, cell):
    hashes = {}
    for name in ("extxyz", "cif", "vasp", "extxyz"):
        path = write(tmp_path / f"a.{name}", cell)
        hashes[path.name] = sha256(path.read_bytes())
    said = read_sidecar(tmp_path / "a.extxyz")[1]
    assert said == read_sidecar(tmp_path / "a.cif")[1]
    assert {said["structure"]: said["structure_sha256"], **said["other_formats"]} == hashes
    assert said["structure"] == "a.extxyz" and said["n_atoms"] == 48


def test_another_structure_in_another_format_is_refused_even_where_the_report_is_the_same(tmp_path, cell):
    write(tmp_path / "a.extxyz", cell)
    moved = cell.copy()
    moved.positions[0, 0] += 0.5
    before = (tmp_path / "a.json").read_bytes()
    provenance, report = (read_sidecar(tmp_path / "a.extxyz")[1][key] for key in ("provenance", "n_atoms"))
    for atoms, told in ((moved, {}), (cell, {"n_atoms": report + 1})):
        same = {k: v for k, v in json.loads(before).items() if k not in ("structure", "structure_sha256", "provenance")}
        with pytest.raises(UsageError, match=r"a\.json.*another structure"):
            write_structure(tmp_path / "a.cif", atoms, provenance=provenance, report={**same, **told})
    assert (tmp_path / "a.json").read_bytes() == before and not (tmp_path / "a.cif").exists()
    (tmp_path / "b.cif").mkdir()
    with pytest.raises(UsageError, match=r"b\.cif exists"):
        write(tmp_path / "b.cif", cell)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_coordinates_that_are_not_numbers_are_never_written(tmp_path, cell, value):
    cell.positions[3, 1] = value
    with pytest.raises(DataError, match="finite"):
        write_structure(tmp_path / "a.extxyz", cell, provenance={}, report={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"", "a.cif"), (b"nonsense\n", "a.cif"), (b"3\n\nPb 0 0\n", "a.extxyz"), (b"\x00\xff\x10", "POSCAR"),
     (b"hello", "a.unknown"), (b"2\ncomment\nPb 0 0 0\n", "a.xyz"), (b"1\n\nQq 0 0 0\n", "a.xyz")],
)  # fmt: skip
def test_files_that_are_no_structure_are_refused_in_one_line(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_structure(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_structure(tmp_path / "none.cif")
    with pytest.raises(DataError, match="folder"):
        read_structure(tmp_path)
    (tmp_path / "a.extxyz").write_text("1\n\nPb 0 0 0\n")
    assert read_sidecar(tmp_path / "a.extxyz") == (StructureRecord(), {})
    (tmp_path / "a.json").write_text("{broken")
    with pytest.raises(DataError, match="not valid JSON"):
        read_sidecar(tmp_path / "a.extxyz")


def test_formats_are_told_by_the_name(tmp_path):
    assert format_of(tmp_path / "POSCAR_film") == "vasp" and format_of(tmp_path / "b.CIF") == "cif"
    with pytest.raises(UsageError, match="endings"):
        format_of(tmp_path / "b.doc")


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 12), st.integers(0, 10**6))
def test_any_structure_survives_extxyz(tmp_path_factory, n, seed):
    generator = np.random.default_rng(seed)
    atoms = Atoms(
        generator.choice(["Pb", "S", "I"], n), positions=generator.normal(scale=50, size=(n, 3)),
        cell=generator.normal(size=(3, 3)) * 5 + np.eye(3) * 20, pbc=generator.integers(0, 2, 3).astype(bool),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("store") / "a.extxyz"
    write_structure(path, atoms, provenance={}, report={})
    again = read_structure(path)
    assert again.positions == pytest.approx(atoms.positions, abs=1e-9)
    assert (again.numbers == atoms.numbers).all() and (again.pbc == atoms.pbc).all()
    assert json.loads(path.with_suffix(".json").read_text())["structure"] == "a.extxyz"
