"""Structure files of every format and name: LAMMPS data, VASP's files under other names, compressed copies."""

import bz2
import gzip
import lzma
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.io.lammpsdata import write_lammps_data

from qdip_struct.base.errors import DataError
from qdip_struct.materials import structure_formats
from qdip_struct.materials.structure_files import file_notes, is_structure_file, read_structure, structure_stem

PBS = bulk("PbS", "rocksalt", a=5.936, cubic=True)
LAMMPS = """\
{title}

2 atoms
2 atom types

0.0 4.0 xlo xhi
1.0 6.0 ylo yhi
0.0 6.0 zlo zhi
1.0 0.5 -0.5 xy xz yz

Masses

{masses}

Atoms{style}

{rows}
"""
MASSES = "1 207.2\n2 32.06"
ROWS = "2 2 -2.0 2.0 2.0 3.0 0 0 0\n1 1 2.0 0.0 0.0 0.0 1 0 -1"


def _lammps(
    path: Path, *, title: str = "LAMMPS data file", masses: str = MASSES, style: str = " # charge", rows: str = ROWS
) -> Path:
    path.write_text(LAMMPS.format(title=title, masses=masses, style=style, rows=rows))
    return path


def _distances(atoms: Atoms) -> list[tuple[str, str, float]]:
    """Both elements and the distance (Å) of all pairs, sorted."""
    pairs = combinations(range(len(atoms)), 2)
    return sorted(
        (*sorted((atoms.symbols[i], atoms.symbols[j])), round(atoms.get_distance(i, j, mic=True), 4)) for i, j in pairs
    )


def _alike(one: Atoms, other: Atoms) -> None:
    """The same crystal, whatever the order of atoms and the orientation."""
    assert one.cell.cellpar() == pytest.approx(other.cell.cellpar(), abs=1e-6)
    assert _distances(one) == _distances(other)


def test_lammps_data_is_read_with_its_cell_images_and_order(tmp_path: Path) -> None:
    found = read_structure(_lammps(tmp_path / "lammps.data"))
    assert found.get_chemical_symbols() == ["Pb", "S"]
    # The vectors of a restricted triclinic box are (lx, 0, 0), (xy, ly, 0), (xz, yz, lz).
    assert np.allclose(found.cell.array, [[4, 0, 0], [1, 5, 0], [0.5, -0.5, 6]])
    assert np.allclose(found.positions, [[4 - 0.5, 0.5, -6.0], [2, 2, 3]])
    (said,) = file_notes(tmp_path / "lammps.data")
    assert "style charge" in said and "1 Pb, 2 S" in said and "taken in Å" in said


@pytest.mark.parametrize("style", ["atomic", "charge", "full"])
@pytest.mark.parametrize("triclinic", [False, True])
def test_what_ase_writes_for_lammps_is_read_back(style: str, triclinic: bool, tmp_path: Path) -> None:
    atoms = bulk("PbS", "rocksalt", a=5.936) * (2, 1, 1) if triclinic else PBS
    path = tmp_path / "film.lmp"
    write_lammps_data(path, atoms, atom_style=style, masses=True, specorder=["S", "Pb"])
    _alike(read_structure(path), atoms)
    text = path.read_text()
    path.write_text(text.replace(f"Atoms # {style}", "Atoms"))
    _alike(read_structure(path), atoms)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"masses": "1 58.8\n2 32.06"}, "type 1 may be Ni or Co"),
        ({"masses": "1 207.2 # S\n2 32.06"}, "called S, whose mass is 32.060 u"),
        ({"masses": "1 1.0\n2 1.0"}, "is that of no element"),
        ({"masses": "1 15.035 # C\n2 32.06"}, "called C"),
        ({"masses": ""}, "no section 'Masses'"),
        ({"style": " # dpd"}, "style 'dpd' is not read"),
        ({"style": "", "rows": "1 1 2 0 0 0\n2 2 2 2 2 3"}, "may be charge or molecular"),
        ({"title": "LAMMPS data file, units = electron"}, "units 'electron'"),
    ],
)
def test_lammps_data_that_leaves_elements_or_lengths_open_is_refused(
    change: dict[str, str], says: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=says):
        read_structure(_lammps(tmp_path / "a.data", **change))


def test_a_name_behind_a_mass_decides_between_elements_of_that_mass(tmp_path: Path) -> None:
    path = _lammps(tmp_path / "a.data", masses="1 58.8 # Ni (surface)\n2 32.06 # S")
    assert read_structure(path).get_chemical_symbols() == ["Ni", "S"]


def test_a_lammps_dump_without_elements_is_refused(tmp_path: Path) -> None:
    box = "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS pp pp pp\n0 5\n0 5\n0 5\n"
    path = tmp_path / "dump.txt"
    path.write_text(f"{box}ITEM: ATOMS id type x y z\n1 1 0 0 0\n")
    with pytest.raises(DataError, match="without the column 'element'"):
        read_structure(path)
    path.write_text(f"{box}ITEM: ATOMS id type element x y z\n1 1 Pb 0 0 0\n")
    assert read_structure(path).get_chemical_symbols() == ["Pb"]


def _content(form: str, folder: Path) -> bytes:
    path = folder / f"content.{form}"
    if form == "lammps-data":
        write_lammps_data(path, PBS, masses=True, specorder=["Pb", "S"])
    else:
        write(path, PBS, format=form)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "form", "told"),
    [
        ("CONTCAR.bak", "vasp", None), ("relaxed.txt", "vasp", "POSCAR"), ("geo_final", "vasp", "POSCAR"),
        ("cell.txt", "cif", "CIF"), ("noname", "extxyz", "xyz"), ("last", "lammps-data", "LAMMPS data"),
        ("data.film", "lammps-data", "LAMMPS data"), ("XDATCAR_2", "vasp-xdatcar", None),
        ("steps.txt", "vasp-xdatcar", "XDATCAR"), ("saved", "traj", "trajectory"),
    ],
)  # fmt: skip
def test_content_under_another_name_is_read_and_said(name: str, form: str, told: str | None, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(_content(form, tmp_path))
    _alike(read_structure(path), PBS)
    said = [note for note in file_notes(path) if "is read as" in note]
    assert (said == []) if told is None else (told in said[0])


OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@pytest.mark.parametrize("ending", OPENERS)
@pytest.mark.parametrize(
    ("name", "form"), [("x.cif", "cif"), ("POSCAR", "vasp"), ("a.data", "lammps-data"), ("last", "vasp")]
)
def test_compressed_copies_are_read(name: str, form: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}{ending}"
    with OPENERS[ending](path, "wb") as stream:
        stream.write(_content(form, tmp_path))
    _alike(read_structure(path), PBS)
    assert structure_stem(path) == Path(name).stem


@pytest.mark.parametrize("ending", OPENERS)
def test_a_compressed_file_is_unpacked_up_to_a_limit(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(structure_formats, "UNPACKED_BYTES", 5_000_000)
    path = tmp_path / f"bomb.xyz{ending}"
    with OPENERS[ending](path, "wb") as stream:
        for _ in range(6):
            stream.write(b"0" * 1_000_000)
    assert path.stat().st_size < 10_000
    with pytest.raises(DataError, match="holds more than 5 MB"):
        read_structure(path)


@pytest.mark.parametrize("ending", OPENERS)
def test_a_damaged_compressed_file_is_refused_by_its_own_name(ending: str, tmp_path: Path) -> None:
    whole, path = tmp_path / f"whole{ending}", tmp_path / f"POSCAR{ending}"
    with OPENERS[ending](whole, "wb") as stream:
        stream.write(_content("vasp", tmp_path))
    for content in (whole.read_bytes()[:40], b"hello", whole.read_bytes()[:-20]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"cannot unpack .*POSCAR{ending}: "):
            read_structure(path)
    with OPENERS[ending](path, "wb") as stream:
        stream.write(b"no structure at all\n")
    with pytest.raises(DataError, match=f"cannot read .*POSCAR{ending} as a structure"):
        read_structure(path)


def test_words_of_the_new_kinds_are_files() -> None:
    for word in ("x.cif.gz", "POSCAR.xz", "a.data", "a.lmp", "a.lammps", "XDATCAR", "x.mcif"):
        assert is_structure_file(word), word
    assert not any(map(is_structure_file, ("PbS", "CsPbBr2I", "PbS0.5Se0.5", "CdSe:zincblende")))


def test_the_last_of_several_structures_is_taken_and_said(tmp_path: Path) -> None:
    moved = PBS.copy()
    moved.rattle(0.1, seed=1)
    for name, form in (("t.xyz", "extxyz"), ("t.traj", "traj"), ("XDATCAR", "vasp-xdatcar")):
        write(tmp_path / name, [PBS, moved], format=form)
        assert np.allclose(read_structure(tmp_path / name).positions, moved.positions, atol=1e-6)
        assert file_notes(tmp_path / name) == [f"{name} holds 2 structures; the last is taken"]


def test_the_cell_of_the_last_step_of_a_cell_optimisation_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "XDATCAR"
    blocks = [
        f"PbS\n1.0\n{a} 0 0\n0 {a} 0\n0 0 {a}\nPb S\n1 1\nDirect configuration= {n}\n0 0 0\n.5 .5 .5\n"
        for n, a in enumerate((3.6, 3.5, 3.4), start=1)
    ]
    path.write_text("".join(blocks))
    found = read_structure(path)
    assert found.cell.lengths() == pytest.approx([3.4] * 3)
    assert found.get_distance(0, 1) == pytest.approx(3.4 * 3**0.5 / 2)


def test_elements_of_an_old_poscar_are_said_to_be_those_of_its_comment(tmp_path: Path) -> None:
    (tmp_path / "POSCAR").write_text("Pb S film\n5.936\n1 0 0\n0 1 0\n0 0 1\n1 1\nDirect\n0 0 0\n.5 .5 .5\n")
    assert read_structure(tmp_path / "POSCAR").get_chemical_formula() == "PbS"
    assert any("no line of elements" in note for note in file_notes(tmp_path / "POSCAR"))


def test_what_a_file_carries_is_kept_and_named(tmp_path: Path) -> None:
    atoms = PBS.copy()
    atoms.set_initial_magnetic_moments([1, -1, 1, -1, 0, 0, 0, 0])
    atoms.set_velocities(np.ones((8, 3)))
    atoms.pbc = (True, True, False)
    path = tmp_path / "a.extxyz"
    write(path, atoms)
    found = read_structure(path)
    assert found.get_initial_magnetic_moments() == pytest.approx([1, -1, 1, -1, 0, 0, 0, 0])
    notes = file_notes(path)
    assert [word in " ".join(notes) for word in ("magnetic moments", "velocities", "not periodic along c")] == [
        True
    ] * 3
    assert file_notes(path, used=("moments", "velocities", "periodicity")) == []


def test_moments_of_a_calculation_are_moments(tmp_path: Path) -> None:
    atoms = PBS.copy()
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, magmoms=[2.0] * 8)
    write(tmp_path / "a.traj", atoms)
    write(tmp_path / "a.extxyz", atoms)
    for name in ("a.traj", "a.extxyz"):
        assert read_structure(tmp_path / name).get_initial_magnetic_moments() == pytest.approx([2.0] * 8)


MAGNETIC_CIF = """\
data_nio
_cell_length_a 4.17
_cell_length_b 4.17
_cell_length_c 4.17
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
{operations}
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Ni1 Ni 0 0 0
O1 O 0.5 0.5 0.5
loop_
_atom_site_moment_label
_atom_site_moment_crystalaxis_x
_atom_site_moment_crystalaxis_y
_atom_site_moment_crystalaxis_z
Ni1 0 0 1.7
"""
OPERATIONS = "\n".join(
    [
        "_space_group_symop_magn_operation.id",
        "_space_group_symop_magn_operation.xyz",
        "1 x,y,z,+1",
        "2 x+1/2,y+1/2,z,+1",
        "3 x+1/2,y,z+1/2,-1",
        "4 x,y+1/2,z+1/2,-1",
    ]
)


def test_a_magnetic_cif_has_its_moments(tmp_path: Path) -> None:
    path = tmp_path / "nio.mcif"
    path.write_text(MAGNETIC_CIF.format(operations=OPERATIONS))
    found = read_structure(path)
    assert found.get_chemical_formula() == "Ni4O4"
    moments = found.get_initial_magnetic_moments()
    # Ferromagnetic layers along c, antiferromagnetic between them.
    for atom, moment in zip(found, moments, strict=True):
        up = 1.7 if round(atom.position[2] / 4.17 * 2) % 2 == 0 else -1.7
        assert moment == pytest.approx(up if atom.symbol == "Ni" else 0.0)


def test_moments_of_a_cif_without_magnetic_operations_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "nio.cif"
    path.write_text(MAGNETIC_CIF.format(operations="_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'x+1/2,y+1/2,z'"))
    with pytest.raises(DataError, match="magnetic operations"):
        read_structure(path)


@pytest.mark.parametrize(
    ("words", "moments"),
    [("MAGMOM = 2*4.0 -4 -4", [4, 4, -4, -4]), ("FeO magmom: 1 2 3 4", [1, 2, 3, 4]), ("MAGMOM=3*1", None)],
)
def test_moments_in_the_first_line_of_a_poscar(words: str, moments: list[float] | None, tmp_path: Path) -> None:
    places = "0 0 0\n.5 .5 0\n.5 0 .5\n0 .5 .5\n"
    (tmp_path / "POSCAR").write_text(f"{words}\n1.0\n3.6 0 0\n0 3.6 0\n0 0 3.6\nFe\n4\nDirect\n{places}")
    found = read_structure(tmp_path / "POSCAR")
    if moments is None:
        assert not found.has("initial_magmoms") and "left out" in file_notes(tmp_path / "POSCAR")[0]
    else:
        assert found.get_initial_magnetic_moments() == pytest.approx(moments)


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 60_000,
        " \t" * 30_000,
        "1" * 60_000,
        "a\n1\n" + "1 1 1\n" * 3 + "1" * 60_000,
        "a\n1\n" + f"{'1' * 15_000}\n" * 3 + "a\n" * 9,
    ],
)
def test_content_that_is_nothing_is_told_soon(text: str) -> None:
    began = time.perf_counter()
    assert structure_formats.format_of_content(f"{text}x") is None
    assert time.perf_counter() - began < 2.0
