"""``qdip screen`` as a user meets it: the published match points, several sites, figures, refusals, what it imports."""

import json
import subprocess
import sys

import pytest

SCREEN = ("screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--dataset", "liu2019")


@pytest.mark.parametrize("extra, fraction, a", [((), 0.75, 5.94), (("--dot-lattice", "5.97"), 2 / 3, 5.97)])
def test_liu(qdip_json, extra, fraction, a):
    code, document = qdip_json(*SCREEN, *extra)
    assert code == 0
    assert [m["fraction"] for m in document["zero_mismatch"]] == pytest.approx([fraction])
    assert document["zero_mismatch"][0]["a_angstrom"] == pytest.approx(a)
    assert document["dot"]["a_angstrom"] == a and document["dot"]["source"]
    assert document["denominator"] == "dot" and document["dataset"] == "liu2019"


def test_it_says_which_lattice_was_used_and_why_the_paper_needs_another(qdip):
    code, out, err = qdip(*SCREEN)
    assert code == 0
    assert "5.9400 Å" in err and "5.97 Å" in err and "66 %" in err
    assert "0.750" in out


def test_points_have_the_promised_keys(qdip_json):
    _, document = qdip_json(*SCREEN, "--points", "5")
    assert len(document["points"]) == 5
    first = document["points"][0]
    for key in ("fraction", "formula", "a_matrix_angstrom", "mismatch", "dot_strain", "match_area_angstrom2",
                "match_strain"):  # fmt: skip
        assert first[key] is not None
    assert first["formula"] == "CsPbI3"
    assert document["points"][-1]["mismatch"] == pytest.approx((5.85 - 5.94) / 5.94)


@pytest.mark.parametrize("denominator, value", [("dot", 0.29 / 5.97), ("matrix", 0.29 / 6.26), ("mean", 0.29 / 6.115)])
def test_denominators_of_ning(qdip_json, denominator, value):
    _, document = qdip_json(
        "screen", "--dot", "PbS", "--matrix", "MAPbI3", "--dataset", "ning2015", "--denominator", denominator
    )
    assert document["points"][0]["mismatch"] == pytest.approx(value)
    assert document["denominator"] == denominator
    assert document["points"][0]["fraction"] is None


def test_several_dots_and_matrices_are_all_pairs(qdip_json):
    code, document = qdip_json(
        "screen", "--dot", "PbS", "--dot", "Pb(S,Se)", "--matrix", "CsPb(Br,I)3", "--matrix", "(Cs,MA)Pb(Br,I)3",
        "--points", "3", "--other-points", "3",
    )  # fmt: skip
    assert code == 0 and len(document["pairs"]) == 4
    assert [len(pair["axes"]) for pair in document["pairs"]] == [1, 2, 2, 3]
    assert len(document["pairs"][3]["points"]) == 27


def test_temperatures(qdip_json):
    _, document = qdip_json("screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--temperatures", "250,350,3")
    assert [entry["temperature_kelvin"] for entry in document["temperatures"]] == [250, 300, 350]
    fractions = [entry["zero_mismatch"][0]["fraction"] for entry in document["temperatures"]]
    assert fractions == sorted(fractions)


@pytest.mark.parametrize("matrix, suffix", [("CsPb(Br,I)3", "png"), ("(Cs,MA)Pb(Br,I)3", "svg")])
def test_figures_are_written_once_and_the_same(qdip, tmp_path, matrix, suffix):
    words = ("screen", "--dot", "PbS", "--matrix", matrix, "--points", "11")
    path = tmp_path / f"misfit.{suffix}"
    assert qdip(*words, "--plot", path)[0] == 0
    content = path.read_bytes()
    code, _, err = qdip(*words, "--plot", path)
    assert code == 2 and "exists" in err
    assert qdip(*words, "--plot", path, "--force")[0] == 0
    assert path.read_bytes() == content


def test_configuration_file(qdip_json, tmp_path):
    path = tmp_path / "screen.yaml"
    path.write_text("dot: [PbS]\nmatrix: ['CsPb(Br,I)3']\ndataset: liu2019\ndot-lattice: 5.97\n")
    _, document = qdip_json("screen", "--config", path)
    assert document["zero_mismatch"][0]["fraction"] == pytest.approx(2 / 3)


def test_a_user_data_set_says_what_it_borrows(qdip, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "datasets: {mine: {title: mine, extends: xrd_298K}}\n"
        "crystals: [{name: PbS, phase: rocksalt, dataset: mine, structure_type: rocksalt, a: 5.95,"
        " temperature_kelvin: 298, source: own diffraction}]\n"
    )
    words = ("screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--crystals", path)
    code, out, err = qdip(*words, "--dataset", "mine")
    assert code == 0 and "own diffraction" in out and "several data sets" in err and "mine, xrd_298K" in err
    _, _, err = qdip(*words)
    assert "several data sets" not in err


@pytest.mark.parametrize(
    "words",
    [
        ("--dot", "Foo", "--matrix", "CsPbI3"),
        ("--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--dot-lattice", "-5"),
        ("--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--dot-lattice", "nan"),
        ("--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--window", "-1"),
        ("--dot", "PbS", "--matrix", "CsPbI3", "--window", "0"),
        ("--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--points", "0"),
        ("--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--plot", "figure.jpg"),
        ("--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--bowing", "Br=I"),
        ("--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--temperatures", "3"),
        ("--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--pints", "3"),
        ("--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--dataset", "none"),
        ("--dot", "PbS", "--matrix", "MAPbI3", "--dataset", "liu2019"),
        ("--dot", "PbS", "--dot", "PbSe", "--matrix", "CsPb(Br,I)3", "--plot", "x.png"),
        ("--dot", "PbS",),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_one_line(qdip, words):
    code, out, err = qdip("screen", *words)
    assert code == 2 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1


def test_it_imports_neither_ase_nor_pymatgen():
    program = (
        "import sys\nfrom qdip_struct.cli.main import main\n"
        f"code = main({list(SCREEN)!r} + ['--json'])\n"
        "heavy = [m for m in ('ase', 'pymatgen', 'scipy', 'matplotlib', 'spglib') if m in sys.modules]\n"
        "print(code, heavy, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("0 []")
    assert json.loads(done.stdout)["zero_mismatch"]
