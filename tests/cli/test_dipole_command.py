"""``qdip dipole`` on real slabs: numbers, units, origin, and what it refuses."""

import json
from pathlib import Path

import pytest

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
TRIO = RUNS / "trio"


def test_a_real_slab(qdip_json):
    code, document = qdip_json("dipole", TRIO / "interface")
    assert code == 0
    found = document["runs"][0]
    density = found["density"]
    assert density["moment_e_angstrom"][:2] == pytest.approx([0, 0])
    assert density["moment_debye"][2] == pytest.approx(4.80320 * density["moment_e_angstrom"][2], rel=1e-5)
    assert density["electrons"] == pytest.approx(58, abs=0.05)
    assert density["ionic_charge_e"] == 58
    assert min(density["cut_angstrom"][0], 20.154 - density["cut_angstrom"][0]) == pytest.approx(0.0, abs=0.1)
    printed = next(
        line
        for line in (TRIO / "interface" / "run.out").read_text().splitlines()
        if line.strip().startswith("X= -0.143")
    )
    assert found["printed_debye"][2] == pytest.approx(float(printed.split("Z=")[1].split()[0]))
    assert "Berry" in found["printed_meaning"]
    assert found["vacuum_step_ev"] == pytest.approx(-0.018, abs=2e-3)


def test_readable_and_in_a_file(qdip, tmp_path):
    code, out, err = qdip("dipole", TRIO / "film", TRIO / "substrate", "-o", tmp_path / "d.json")
    assert (code, err) == (0, "")
    assert "cuts in the middle of the vacuum" in out
    assert len(json.loads((tmp_path / "d.json").read_text())["runs"]) == 2
    assert qdip("dipole", TRIO / "film", "-o", tmp_path / "d.json")[0] == 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere"], 1, "nowhere"),
        ([str(RUNS / "unconverged")], 1, "did not converge"),
        ([str(TRIO / "film"), "--axes", "a,b,c"], 1, "vacuum of 8 Å"),
        ([str(TRIO / "film"), "--axes", "x"], 2, "--axes"),
        ([str(TRIO / "film"), "--axes", "c,c"], 2, "--axes"),
    ],
)
def test_refusals_are_one_line(qdip, words, code, message):
    got, out, err = qdip("dipole", *words)
    assert (got, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_printed_moment_alone_is_listed_as_what_it_is(qdip):
    code, out, _ = qdip("dipole", RUNS / "energy")
    assert code == 0
    assert "CP2K printed" in out
    assert "Berry phase" in out


def test_a_run_without_density_or_moment_has_none(qdip, tmp_path):
    lines = (TRIO / "film" / "run.out").read_text().splitlines()
    (tmp_path / "run.out").write_text("\n".join(line for line in lines if "Dipole moment" not in line) + "\n")
    code, out, err = qdip("dipole", tmp_path)
    assert (code, out) == (1, "")
    assert "neither a density cube nor a printed moment" in err


def test_one_bad_run_does_not_hide_the_others(qdip_json, tmp_path):
    code, document = qdip_json("dipole", TRIO / "film", tmp_path / "nowhere")
    assert code == 3
    assert len(document["runs"]) == len(document["failed"]) == 1
