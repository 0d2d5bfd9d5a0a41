"""``qdip loading`` and ``qdip elastic``."""

import pytest


def test_mass_to_volume(qdip_json):
    code, document = qdip_json(
        "loading", "--dot", "PbS", "--matrix", "MAPbI3", "--mass-ratio", "10", "--density", "dot=7.60,matrix=4.107"
    )
    assert code == 0
    assert document["volume_ratio_matrix_to_dot"] == pytest.approx(24.8838, rel=1e-4)
    assert document["volume_fraction"] == pytest.approx(0.0386342, rel=1e-4)
    assert document["densities_g_per_cm3"] == {"dot": 7.6, "matrix": 4.107}
    assert document["spacing_angstrom"] is None


def test_volume_to_mass_and_spacing(qdip_json):
    _, document = qdip_json(
        "loading", "--dot", "PbS", "--matrix", "MAPbI3", "--volume-fraction", "0.04", "--diameter", "40"
    )
    assert document["volume_ratio_matrix_to_dot"] == pytest.approx(24.0)
    _, back = qdip_json("loading", "--dot", "PbS", "--matrix", "MAPbI3", "--mass-ratio", document["mass_ratio"])
    assert back["volume_fraction"] == pytest.approx(0.04)
    spacing = document["spacing_angstrom"]
    assert spacing["simple_cubic_surface"] == pytest.approx(spacing["simple_cubic_center"] - 40.0)
    _, bare = qdip_json("loading", "--volume-fraction", "0.04", "--diameter", "40")
    assert bare["spacing_angstrom"] == spacing and bare["mass_ratio"] is None


def test_lead_sulfide_in_mapi(qdip, qdip_json):
    words = ("elastic", "--dot", "PbS", "--matrix", "MAPbI3", "--misfit", "0.05", "--bulk", "dot=53,matrix=12.2",
             "--volume-fraction", "0.1091", "--diameter", "30")  # fmt: skip
    code, document = qdip_json(*words)
    assert code == 0
    by = {(c["surroundings"], round(c["shear_matrix_gpa"], 2)): 100 * c["dot_strain"] for c in document["cases"]}
    assert by[("infinite", 3.7)] == pytest.approx(0.426, abs=1e-3)
    assert by[("fixed", 5.63)] == pytest.approx(0.788, abs=1e-3)
    _, out, _ = qdip(*words)
    assert "assumed from Poisson's ratio 0.3" in out and "G = 3.70 GPa" in out


def test_the_curve_turns_later_for_a_larger_misfit(qdip_json, tmp_path):
    _, document = qdip_json(
        "elastic", "--dot", "PbS", "--matrix", "CsPbBr2I", "--matrix", "CsPbBr1.5I1.5", "--matrix", "CsPbBrI2",
        "--dataset", "liu2019", "--dot-lattice", "5.97", "--diameter", "35", "--curve", "--plot", tmp_path / "v.svg",
    )  # fmt: skip
    turning = [pair["critical_volume_fraction"] for pair in document["pairs"]]
    assert turning == sorted(turning) and turning[0] < 1e-6
    assert (tmp_path / "v.svg").read_bytes().startswith(b"<?xml")
    assert [round(100 * pair["misfit"], 2) for pair in document["pairs"]] == [0.0, 1.01, 2.01]


def test_film_on_substrate(qdip_json):
    _, document = qdip_json(
        "elastic", "--film", "PbS", "--substrate", "CsPbBr3", "--film-thickness", "20", "--substrate-thickness", "60"
    )
    assert document["film_strain"] - document["substrate_strain"] == pytest.approx(document["misfit"])


@pytest.mark.parametrize(
    "words",
    [
        ("loading",),
        ("loading", "--mass-ratio", "3"),
        ("loading", "--dot", "PbS", "--matrix", "MAPbI3"),
        ("loading", "--dot", "PbS", "--matrix", "MAPbI3", "--mass-ratio", "-3"),
        ("loading", "--dot", "PbS", "--matrix", "MAPbI3", "--mass-ratio", "nan"),
        ("loading", "--dot", "PbS", "--matrix", "MAPbI3", "--mass-ratio", "1", "--density", "foo=3"),
        ("loading", "--dot", "PbS", "--matrix", "MAPbI3", "--mass-ratio", "1", "--density", "dot=x"),
        ("loading", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--mass-ratio", "1"),
        ("loading", "--volume-fraction", "2"),
        ("loading", "--volume-fraction", "0.1", "--diameter", "-4"),
        ("loading", "--volume-fraction", "0.1", "--mass-ratio", "4"),
        ("elastic", "--dot", "PbS"),
        ("elastic", "--dot", "NaI", "--matrix", "CsPbI3"),
        ("elastic", "--dot", "PbS", "--matrix", "CsPbI3", "--misfit", "3"),
        ("elastic", "--dot", "PbS", "--matrix", "CsPbI3", "--diameter", "-3"),
        ("elastic", "--dot", "PbS", "--matrix", "CsPbI3", "--curve"),
        ("elastic", "--dot", "PbS", "--matrix", "CsPbI3", "--volume-fraction", "1.5"),
        ("elastic", "--dot", "PbS", "--matrix", "CsPbI3", "--shear", "matrix=-2"),
        ("elastic", "--film", "PbS", "--substrate", "CsPbBr3"),
        ("elastic", "--film", "PbS", "--matrix", "CsPbBr3"),
    ],
)
def test_nonsense_is_refused_in_one_line(qdip, words):
    code, out, err = qdip(*words)
    assert code == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1
