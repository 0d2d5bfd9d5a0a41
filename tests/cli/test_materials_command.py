"""``qdip materials``."""

import pytest


def test_every_record_names_its_source(qdip_json):
    code, document = qdip_json("materials")
    assert code == 0
    assert {d["name"] for d in document["datasets"]} >= {"liu2019", "ning2015", "xrd_298K", "pbe_cp2k"}
    names = {(c["name"], c["phase"]) for c in document["crystals"]}
    assert names >= {
        ("PbS", "rocksalt"), ("PbSe", "rocksalt"), ("NaI", "rocksalt"), ("CsPbBr3", "cubic"), ("CsPbI3", "cubic"),
        ("MAPbBr3", "cubic"), ("MAPbI3", "tetragonal"), ("MAPbI3", "pseudocubic"),
    }  # fmt: skip
    for crystal in document["crystals"]:
        assert crystal["source"] and isinstance(crystal["verified"], bool) and crystal["origin"] == "crystals.yaml"


def test_one_crystal(qdip, qdip_json):
    _, document = qdip_json("materials", "PbS")
    assert {c["dataset"]: c["a_angstrom"] for c in document["crystals"]} == {
        "xrd_298K": 5.936, "liu2019": 5.94, "ning2015": 5.97, "pbe_cp2k": 6.008,
    }  # fmt: skip
    _, document = qdip_json("materials", "CsPbI3:alpha", "--dataset", "xrd_298K")
    assert [c["lengths_angstrom"][0] for c in document["crystals"]] == [6.289]
    code, out, _ = qdip("materials", "PbS", "--dataset", "liu2019")
    assert code == 0 and "5.94" in out and "Liu" in out


def test_a_user_file(qdip_json, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("crystals: [{name: RbPbI3, phase: cubic, structure_type: perovskite, a: 6.2, source: notebook}]\n")
    _, document = qdip_json("materials", "RbPbI3", "--crystals", path)
    assert document["crystals"][0]["origin"] == "own.yaml" and document["crystals"][0]["dataset"] == "own"


@pytest.mark.parametrize(
    "words, code", [(("Foo",), 2), (("PbS:cubic",), 2), (("--dataset", "foo"), 2), (("--crystals", "none.yaml"), 1)]
)
def test_unknown_names(qdip, words, code):
    found, out, err = qdip("materials", *words)
    assert found == code and out == "" and err.startswith("error: ")
