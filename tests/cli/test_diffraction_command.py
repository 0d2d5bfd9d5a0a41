"""``qdip diffraction``: a crystal, an embedded dot, the fringe that only the matrix can show, refusals."""

import json

import pytest

from qdip_struct.base.files import shipped

PBS = shipped("structures", "PbS_rocksalt.cif")


@pytest.fixture(scope="module")
def embedded():
    return shipped("workflows", "embedded_dot", "reference", "embedded.extxyz")


def test_a_crystal_without_options(qdip, qdip_json):
    code, document = qdip_json("diffraction", PBS)
    assert code == 0
    (whole,) = document["parts"]
    assert (whole["name"], whole["spots"]) == ("whole", [])
    assert {tuple(sorted(map(abs, line["hkl"]))) for line in whole["powder"]} >= {(1, 1, 1), (0, 0, 2), (0, 2, 2)}
    code, out, _ = qdip("diffraction", PBS)
    assert code == 0
    assert "powder lines up to 2θ = 60°" in out


def test_the_matrix_shows_the_fringe_and_the_dot_cannot(qdip, qdip_json, embedded, tmp_path):
    words = ["diffraction", embedded, "--zone", "111", "--two-theta", "14", "--spacing", "4.35", "--tolerance", "0.25"]
    code, document = qdip_json(*words, "--between", "1,2", "--plot", tmp_path / "d.svg")
    assert code == 0
    parts = {part["name"]: part for part in document["parts"]}
    assert set(parts) == {"whole", "PbS", "CsPbI3"}
    assert parts["PbS"]["n_atoms"] + parts["CsPbI3"]["n_atoms"] == parts["whole"]["n_atoms"]
    long = {name: [s for s in part["spots"] if s["spacing_angstrom"] > 4] for name, part in parts.items()}
    assert (len(long["CsPbI3"]), len(long["PbS"])) == (3, 0)
    assert document["between"]["angle_degree"] == pytest.approx(60.0, abs=0.01)
    phases = {item["phase"]: item for item in document["fringe"]["phases"]}
    assert (phases["CsPbI3"]["can_show"], phases["PbS"]["can_show"]) == (True, False)
    assert phases["PbS"]["forbidden"][0]["spacing_angstrom"] == pytest.approx(4.2, abs=0.01)
    assert all(line["spacing_angstrom"] < 11 for part in parts.values() for line in part["powder"])
    assert "<svg" in (tmp_path / "d.svg").read_text()


def test_the_answer_is_written_and_read_back(qdip, qdip_json, tmp_path):
    words = ["diffraction", PBS, "--zone", "1 1 -1", "--between", "1,3"]
    code, out, _ = qdip(*words, "-o", tmp_path / "d.json")
    assert code == 0
    assert "angle of spots 1 and 3: 60.000°" in out
    assert json.loads((tmp_path / "d.json").read_text()) == qdip_json(*words)[1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere.cif"], 1, "nowhere.cif"),
        ([str(PBS), "--zone", "000"], 2, ""),
        ([str(PBS), "--between", "1,2"], 2, "--zone"),
        ([str(PBS), "--zone", "111", "--between", "1,9"], 2, "--between 1,9"),
        ([str(PBS), "--zone", "111", "--between", "1,x"], 2, "--between 1,x"),
        ([str(PBS), "--wavelength", "nan"], 2, "wavelength"),
        ([str(PBS), "--wavelength", "0"], 2, "wavelength"),
        ([str(PBS), "--two-theta", "-5"], 2, "2θ"),
        ([str(PBS), "--spacing", "4.2"], 2, "phase"),
        ([str(PBS), "--zone", "111", "--d-min", "0"], 2, "spacings"),
        ([str(PBS), "--plot", "x.bmp"], 2, "x.bmp"),
    ],
)
def test_nonsense_is_refused_in_one_line(qdip, words, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    got, out, err = qdip("diffraction", *words)
    assert (got, out) == (code, "")
    assert message in err
    assert "internal fault" not in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_bare_dot_is_one_part_without_the_fringe(qdip, qdip_json):
    """Deng et al. index 4.2 Å on the dot; (0 1 1) of rock salt is forbidden, so it belongs to the matrix."""
    bare = shipped("workflows", "embedded_dot", "reference", "vacuum.extxyz")
    words = ["diffraction", bare, "--zone", "111", "--two-theta", "14", "--spacing", "4.2"]
    code, document = qdip_json(*words)
    assert code == 0
    (whole,) = document["parts"]
    assert len(whole["spots"]) == 3
    assert all(spot["spacing_angstrom"] < 2.3 for spot in whole["spots"])
    (phase,) = document["fringe"]["phases"]
    assert (phase["phase"], phase["can_show"], phase["allowed"]) == ("PbS", False, [])
    assert phase["forbidden"][0]["spacing_angstrom"] == pytest.approx(4.2, abs=0.01)
    assert "is none of its own; (110) is forbidden" in qdip(*words)[1]
