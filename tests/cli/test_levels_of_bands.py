"""``qdip levels`` on k-point runs: gap and edges from bands, refusals of alignments that lack a part."""

import json
import shutil
from pathlib import Path

import pytest

from qdip_struct.base.files import shipped

REFERENCE = Path(str(shipped("workflows"))) / "band_alignment" / "reference"
TRIO = Path(__file__).parents[1] / "data" / "cp2k_runs" / "trio" / "interface"


def test_edges_and_gap_of_a_bulk(qdip, qdip_json):
    code, document = qdip_json("levels", REFERENCE / "substrate_bulk")
    assert code == 0
    assert document["levels_from"] == "bands"
    assert document["bands"]["valence"]["name"] == "R"
    assert document["gap_ev"] == pytest.approx(json.loads((REFERENCE / "substrate_bulk.json").read_text())["gap_ev"])
    assert (document["homo"], document["pdos"], document["projected_on"]) == (None, None, [])
    assert "conduction edge" in qdip("levels", REFERENCE / "substrate_bulk")[1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([REFERENCE / "layers_5"], 1, "no PDOS file"),
        ([REFERENCE / "film_bulk", "--host", "film"], 2, "no levels by region"),
        ([REFERENCE / "film_bulk", "--csv", "x.csv"], 2, "no PDOS"),
        (
            [TRIO, "--period", "3", "--bulk", f"film={REFERENCE / 'film_bulk'}", "--bulk", "substrate=x"],
            1,
            "no Hartree",
        ),
    ],
)
def test_what_is_missing_is_named(qdip, words, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    got, out, err = qdip("levels", *words)
    assert (got, out, len(err.splitlines())) == (code, "", 1)
    assert message in err


def test_bulks_of_another_functional_are_refused(qdip, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(TRIO, other)
    output = other / "run.out"
    output.write_text(output.read_text().replace("FUNCTIONAL| PBE", "FUNCTIONAL| BLYP"))
    words = ["--period", "3", "--bulk", f"film={TRIO}", "--bulk", f"substrate={other}"]
    code, _, err = qdip("levels", TRIO, *words)
    assert code == 1
    assert "differ in their functional" in err
