"""``qdip strain`` and ``qdip relax`` as a user meets them: numbers, files, refusals."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from qdip_struct.builders.atoms.store import write_structure
from qdip_struct.builders.dot.embed import embed_dot
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.cli.main import main
from qdip_struct.materials.datasets import get_crystal

A_MATRIX, A_DOT = 6.31, 5.936


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An embedded dot as the builder makes it, and the same with the dot at its own lattice stretched by 0.5 %."""
    folder = tmp_path_factory.mktemp("strain")
    made = embed_dot(
        get_crystal("PbS"), get_crystal("CsPbI3:cubic"), form=DotForm(diameter=20.0), cells=(6, 6, 6), lattice=A_MATRIX
    )
    write_structure(folder / "built.extxyz", made.atoms, provenance={}, report=made.report)
    atoms = made.atoms.copy()
    dot = atoms.arrays["dot"] >= 0
    lead = dot & (atoms.numbers == 82)
    centre = atoms.positions[lead].mean(axis=0)
    atoms.positions[dot] = centre + (atoms.positions[dot] - centre) * (1.005 * A_DOT / A_MATRIX)
    write_structure(folder / "known.extxyz", atoms, provenance={}, report={})
    free = atoms[dot]
    free.positions = centre + (free.positions - centre) / 1.005
    write_structure(folder / "vacuum.extxyz", free, provenance={}, report={})
    return folder


def answer(capsys, *words):
    code = main(["strain", *map(str, words), "--json"])
    out = capsys.readouterr()
    assert code == 0, out.err
    return json.loads(out.out)


REFERENCES = ("--reference-lattice", f"dot={A_DOT},matrix={A_MATRIX}")


def test_the_contract_of_the_document(built, capsys):
    document = answer(capsys, built / "known.extxyz", *REFERENCES)
    assert document["measure"] == "engineering"
    dot = document["regions"]["dot"]
    assert dot["mean"] == pytest.approx(0.005, abs=1e-8)
    assert dot["stderr"] < 1e-8
    assert dot["std"] < 1e-8
    assert {"n", "mean", "stderr", "std"} <= set(document["regions"]["matrix"])
    assert document["regions"]["matrix"]["mean"] == pytest.approx(0.0, abs=1e-8)
    line = next(row for row in document["lines"] if row["phase"] == "PbS")
    assert line["lattice_angstrom"] == pytest.approx(1.005 * A_DOT, abs=1e-6)
    assert line["length_angstrom"] == pytest.approx(line["n_spacings"] * line["lattice_angstrom"], abs=1e-6)
    assert document["continuum"]["dot_strain"] > 0
    assert document["undefined"] == 0
    assert document["phases"]["PbS"]["reference_lattice_angstrom"] == A_DOT


def test_files_carry_the_arrays_and_the_measure(built, tmp_path, capsys):
    out, table, picture = tmp_path / "map.extxyz", tmp_path / "map.csv", tmp_path / "map.svg"
    words = (built / "known.extxyz", *REFERENCES, "-o", out, "--csv", table, "--plot", picture, "--measure", "green")
    answer(capsys, *words, "--built", built / "built.extxyz")
    atoms = read(out)
    assert atoms.arrays["strain"].shape == (len(atoms), 6)
    lead = (atoms.numbers == 82) & (atoms.arrays["dot"] >= 0)
    assert atoms.arrays["strain_mean"][lead] == pytest.approx(0.0050125, abs=1e-8)
    assert atoms.arrays["strain_shear"][lead].max() < 1e-8
    assert np.isnan(atoms.arrays["strain_mean"][atoms.numbers != 82]).all()
    assert (atoms.arrays["strain_neighbours"][lead] >= 3).all()
    assert atoms.arrays["displacement"].shape == (len(atoms), 3)
    rows = table.read_text().splitlines()
    assert rows[0] == "# measure: green"
    assert len(rows) == 2 + (atoms.numbers == 82).sum()
    assert "<svg" in picture.read_text()
    sidecar = json.loads((tmp_path / "map.json").read_text())
    assert sidecar["provenance"]["parameters"]["measure"] == "green"
    assert sidecar["provenance"]["command"] == "strain"
    before = [path.read_bytes() for path in (out, table, picture)]
    assert main(["strain", *map(str, words)]) == 2
    assert "exists" in capsys.readouterr().err
    answer(capsys, *words, "--built", built / "built.extxyz", "--force")
    assert [path.read_bytes() for path in (out, table, picture)] == before


def test_the_dot_in_vacuum_as_reference(built, capsys):
    document = answer(
        capsys, built / "known.extxyz", "--reference-structure", built / "vacuum.extxyz", "--reference-lattice",
        f"matrix={A_MATRIX}",
    )  # fmt: skip
    assert document["phases"]["PbS"]["reference_lattice_angstrom"] == pytest.approx(A_DOT, abs=1e-6)
    assert document["to_reference"]["dot"]["mean"] == pytest.approx(0.005, abs=1e-8)
    line = next(row for row in document["lines"] if row["phase"] == "PbS")
    assert line["strain_to_reference"] == pytest.approx(0.005, abs=1e-7)


def test_frames_of_a_trajectory_are_averaged(built, tmp_path, capsys):
    start = read(built / "known.extxyz")
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(12):
        frame = start.copy()
        frame.positions += rng.normal(0, 0.05, frame.positions.shape)
        frames.append(frame)
    path = tmp_path / "run.extxyz"
    write(path, frames)
    document = answer(capsys, path, *REFERENCES, "--frames", ":")
    dot = document["regions"]["dot"]
    assert document["n_frames"] == 12
    assert abs(dot["mean"] - 0.005) < 4 * dot["stderr"]
    one = answer(capsys, path, *REFERENCES)["regions"]["dot"]
    assert dot["stderr"] < one["stderr"]


def test_text_names_references_and_measure(built, capsys):
    assert main(["strain", str(built / "known.extxyz"), *REFERENCES, "--moduli", "dot=53/27,matrix=12.2/5"]) == 0
    out = capsys.readouterr().out
    assert "dot PbS: reference 5.9360 Å (given)" in out
    assert "mean engineering strain %" in out
    assert "continuum: misfit 6.30 %" in out


def test_a_users_file_without_labels_and_without_a_known_lattice(tmp_path, capsys):
    lead, sulfur = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], [[0.5, 0, 0], [0, 0.5, 0]]
    sulfur += [[0, 0, 0.5], [0.5, 0.5, 0.5]]
    crystal = Atoms("Pb4S4", scaled_positions=lead + sulfur, cell=[6.0] * 3, pbc=True)
    write(tmp_path / "user.cif", crystal)
    document = answer(capsys, tmp_path / "user.cif")
    assert document["phase_origin"] == "chemistry"
    assert document["regions"]["dot"]["mean"] == pytest.approx(6.0 / A_DOT - 1, abs=1e-6)
    assert document["continuum"] is None
    crystal.symbols[:4] = "Sn"
    write(tmp_path / "tin.cif", crystal)
    assert main(["strain", str(tmp_path / "tin.cif")]) == 2
    assert "--reference-lattice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["missing.extxyz"], 1, "no such file"),
        (["{known}", "--reference-lattice", "dot"], 2, "pairs such as"),
        (["{known}", "--reference-lattice", "dot=abc"], 2, "numbers such as"),
        (["{known}", "--reference-lattice", "dot=nan"], 2, "between 1 and 100"),
        (["{known}", "--reference-lattice", "dot=-5"], 2, "between 1 and 100"),
        (["{known}", "--reference-lattice", "dot=5/6"], 2, "neither one length nor three"),
        (["{known}", "--reference-lattice", "wire=5.9"], 2, "no phase or role 'wire'"),
        (["{known}", "--measure", "log"], 2, "invalid choice"),
        (["{known}", "--line", "w"], 2, "a line is along"),
        (["{known}", "--moduli", "dot=53"], 2, "bulk and shear"),
        (["{known}", "--bin", "0"], 2, "width"),
        (["{known}", "--frames", "x"], 2, "slice"),
        (["{known}", "--plot", "map.bmp"], 2, "map.bmp"),
        (["{known}", "--built", "{vacuum}"], 1, "same atoms"),
    ],
)
def test_mistakes_are_named(built, capsys, monkeypatch, tmp_path, words, code, message):
    monkeypatch.chdir(tmp_path)
    filled = [word.format(known=built / "known.extxyz", vacuum=built / "vacuum.extxyz") for word in words]
    if "--reference-lattice" not in words:
        filled += REFERENCES
    assert main(["strain", *filled]) == code
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_relax_refuses_before_it_loads_a_model(built, tmp_path, capsys):
    known = str(built / "known.extxyz")
    out = ["-o", str(tmp_path / "r.extxyz")]
    cases = [
        (["--model", "none"], "unknown model"),
        (["--fmax", "0"], "fmax must be"),
        (["--fmax", "nan"], "fmax must be"),
        (["--rattle", "-1"], "rattle must be"),
        (["--max-steps", "0"], "max-steps"),
        (["--dot-lattice", "6"], "two lengths"),
        (["--dot-lattice", "6,0"], "two positive lengths"),
    ]
    for words, message in cases:
        assert main(["relax", known, *words, *out]) == 2
        assert message in capsys.readouterr().err
    assert main(["relax", str(tmp_path / "none.extxyz"), *out]) == 1


def test_a_dot_of_the_users_own_crystal(tmp_path, capsys, monkeypatch):
    """InP in CsPbBr3: both parts, what each is held against, and the same from the sidecar of the map."""
    monkeypatch.chdir(tmp_path)
    indium, phosphorus = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], [0.25, 0.25, 0.25]
    places = indium + (np.array(indium) + phosphorus).tolist()
    write("InP.cif", Atoms("In4P4", scaled_positions=places, cell=[5.8687] * 3, pbc=True))
    words = ["--dot", "InP.cif", "--diameter", "16", "--matrix", "CsPbBr3", "--cells", "4,4,4", "-o", "dot.extxyz"]
    assert main(["build", "embed", *words]) == 0
    capsys.readouterr()
    assert main(["strain", "dot.extxyz"]) == 0
    told = capsys.readouterr()
    assert "dot InP: reference 5.8687 Å (InP.cif, from dot.json)" in told.out
    assert "no elastic moduli for InP; give them with --moduli" in told.out
    assert "nan" not in told.out
    assert "15 cations of CsPbBr3 have fewer than three" in told.err
    document = answer(capsys, "dot.extxyz", "-o", "map.extxyz")
    assert document["regions"]["dot"]["n"] == 43
    assert document["regions"]["dot"]["mean"] == pytest.approx(0.0, abs=1e-8)
    assert document["regions"]["matrix"]["mean"] == pytest.approx(0.0, abs=1e-8)
    assert len(document["undefined_indices"]) == document["undefined"] == 15
    (tmp_path / "InP.cif").rename(tmp_path / "other.cif")
    again = answer(capsys, "map.extxyz")
    assert again["phases"]["InP"]["reference_source"] == "InP.cif, from map.json"
    assert again["regions"]["dot"]["mean"] == pytest.approx(0.0, abs=1e-8)
    wider = answer(capsys, "dot.extxyz", "--crystal", "dot=other.cif", "--reference-lattice", "dot=5.81")
    assert wider["regions"]["dot"]["mean"] == pytest.approx(5.8687 / 5.81 - 1, abs=1e-8)
    moduli = ["--moduli", "dot=71/46,matrix=15/7"]
    assert answer(capsys, "dot.extxyz", *moduli)["continuum"]["misfit"] == pytest.approx(
        5.851708 / 5.8687 - 1, abs=1e-6
    )
    for given, message in (("InP", "InP=FILE"), ("GaP=other.cif", "no phase or role 'GaP'"), ("InP=gone.cif", "gone")):
        assert main(["strain", "dot.extxyz", "--crystal", given]) in (1, 2)
        assert message in capsys.readouterr().err


def test_a_structure_without_any_strain_is_an_error(tmp_path, capsys):
    """Yellow CsPbI3 against the black one; against itself it is unstrained."""
    from qdip_struct.base.files import shipped

    path = str(shipped("structures", "CsPbI3_delta.cif"))
    assert main(["strain", path]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "no cation has a strain" in told.err
    assert "--crystal NAME:phase" in told.err
    document = answer(capsys, path, "--crystal", f"CsPbI3={path}")
    assert document["regions"]["matrix"]["n"] == 4
    assert document["regions"]["matrix"]["mean"] == pytest.approx(0.0, abs=1e-9)
