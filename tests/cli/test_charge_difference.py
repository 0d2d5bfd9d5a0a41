"""``qdip charge-difference`` as a user calls it: a balance, files written, refusals in one line."""

import json
from pathlib import Path

import numpy as np
import pytest

DENSITY = Path(__file__).parents[1] / "data" / "cp2k_runs" / "cubes" / "run-ELECTRON_DENSITY-1_0.cube"
HARTREE = DENSITY.with_name("run-v_hartree-1_0.cube")


@pytest.fixture
def cubes(tmp_path):
    """The real density, and two halves of it that add up to the last digit printed."""
    head, numbers = DENSITY.read_text().splitlines()[:8], np.loadtxt(DENSITY.read_text().splitlines()[8:]).ravel()
    paths = [tmp_path / f"{name}.cube" for name in ("AB", "A", "B")]
    for path, factor in zip(paths, (1.0, 0.25, 0.75), strict=True):
        path.write_text("\n".join([*head, *(f"{factor * value:.8e}" for value in numbers)]) + "\n")
    return paths


def test_balance_and_profile(qdip_json, cubes, tmp_path):
    code, document = qdip_json("charge-difference", *cubes, "--csv", tmp_path / "p.csv", "--plot", tmp_path / "p.svg")
    assert code == 0
    assert document["balanced"]
    assert abs(document["integral_e"]) < 1e-6
    assert document["electrons"]["AB"] == pytest.approx(2.0, abs=1e-2)
    assert len(document["planar"]["height_angstrom"]) == 24
    rows = (tmp_path / "p.csv").read_text().splitlines()
    assert rows[0] == "height_angstrom,linear_density_e_per_angstrom,accumulated_e"
    assert len(rows) == 25
    assert "<svg" in (tmp_path / "p.svg").read_text()


def test_shells_about_a_centre(qdip, qdip_json, cubes, tmp_path):
    words = ["charge-difference", *cubes, "--center", "0,0,0.38", "--shell", "0.4"]
    code, document = qdip_json(*words)
    assert code == 0
    assert document["radial"]["outer_radius_angstrom"] == pytest.approx([0.4, 0.8, 1.2, 1.6])
    code, out, _ = qdip(*words, "--plot", tmp_path / "r.png", "-o", tmp_path / "r.json")
    assert code == 0
    assert "Δρ e/Å³" in out
    assert json.loads((tmp_path / "r.json").read_text()) == document


def test_electrons_that_do_not_add_up_end_with_code_3(qdip, cubes):
    code, out, err = qdip("charge-difference", cubes[0], cubes[1], cubes[1])
    assert code == 3
    assert "∫Δρ dV" in out
    assert "not zero within 0.001 e" in err


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({2: HARTREE}, 1, "potential"),
        ({2: Path("nowhere.cube")}, 1, "nowhere.cube"),
        ({3: "--center=1,2"}, 2, "--center"),
        ({3: "--center=1,2,nan"}, 2, "--center"),
        ({3: "--center=0,0,0", 4: "--shell=-1"}, 2, "shell width"),
        ({3: "--plot=p.bmp"}, 2, "p.bmp"),
        ({3: "--axis=d"}, 2, "--axis"),
    ],
)
def test_nonsense_is_refused_in_one_line(qdip, cubes, change, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    words = dict(enumerate(cubes)) | change
    got, out, err = qdip("charge-difference", *(words[key] for key in sorted(words)))
    assert (got, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_results_are_not_overwritten(qdip, cubes, tmp_path):
    (tmp_path / "p.csv").write_text("mine")
    assert qdip("charge-difference", *cubes, "--csv", tmp_path / "p.csv")[0] == 2
    assert (tmp_path / "p.csv").read_text() == "mine"
    assert qdip("charge-difference", *cubes, "--csv", tmp_path / "p.csv", "--force")[0] == 0
