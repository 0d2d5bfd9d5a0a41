"""``qdip levels`` on a real run and on planted regions: what is printed, written and refused."""

import json
import shutil
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "data" / "cp2k_runs" / "cubes"
RECORD = {"role": "single", "group": "g", "structure_sha256": "0", "settings": {}, "qdip_version": "0"}
HEAD = (
    "# Projected DOS for list {n} of 2 atoms, at iteration step i = 0, E(Fermi) = -0.20 a.u.\n"
    "#     MO Eigenvalue [a.u.]      Occupation          s\n"
)
LEVELS = ((-0.40, 2.0, 0.9), (-0.20, 2.0, 0.1), (-0.10, 0.0, 0.2), (0.10, 0.0, 0.8))


@pytest.fixture
def folder(tmp_path):
    """The real output beside planted projections: two interface levels inside the gap of the dot."""
    place = tmp_path / "embedded"
    shutil.copytree(RUN, place)
    (place / "run.json").write_text(json.dumps({**RECORD, "pdos_regions": ["dot", "interface"]}))
    for n in (1, 2):
        rows = [f"{i} {e} {f} {w if n == 1 else round(1 - w, 6)}" for i, (e, f, w) in enumerate(LEVELS, start=1)]
        (place / f"run-list{n}-1.pdos").write_text(HEAD.format(n=n) + "\n".join(rows) + "\n")
    return place


def test_the_gap_is_the_one_cp2k_printed(qdip_json):
    printed = next(line for line in (RUN / "run.out").read_text().splitlines() if "HOMO - LUMO gap" in line)
    code, document = qdip_json("levels", RUN)
    assert code == 0
    assert document["gap_ev"] == pytest.approx(float(printed.split()[-1]), abs=1e-4)
    assert document["projected_on"] == ["H"]
    assert document["in_gap"] is None
    assert document["surface"]["sides"] == []


def test_regions_are_named_and_trapped_levels_flagged(qdip, qdip_json, folder, tmp_path):
    words = ["levels", folder, "--csv", tmp_path / "d.csv", "--plot", tmp_path / "d.svg"]
    code, document = qdip_json(*words)
    assert code == 0
    assert document["projected_on"] == ["dot", "interface"]
    assert (document["homo"]["home"], document["lumo"]["home"]) == ("interface", "interface")
    assert len(document["in_gap"]["states"]) == 2
    assert document["gap_ev"] == pytest.approx(0.1 * 27.211386, rel=1e-6)
    assert (tmp_path / "d.csv").read_text().startswith("energy_ev,dot,interface\n")
    assert "<svg" in (tmp_path / "d.svg").read_text()
    code, out, _ = qdip("levels", folder, "-o", tmp_path / "d.json")
    assert code == 0
    assert "2 in-gap states" in out
    assert json.loads((tmp_path / "d.json").read_text()) == document


def test_two_materials_are_aligned_and_one_is_not(qdip, qdip_json):
    both = ["--align", "film=0,0,0.4", "--align", "substrate=0.2,-0.7,2.0"]
    code, document = qdip_json("levels", RUN, *both)
    assert code == 0
    assert document["alignment"] == {
        "materials": ["film", "substrate"],
        "type": "I",
        "valence_offset_ev": pytest.approx(-0.5),
        "conduction_offset_ev": pytest.approx(1.1),
    }
    assert qdip_json("levels", RUN)[1]["alignment"] is None
    code, _, err = qdip("levels", RUN, *both[:2])
    assert (code, "two materials" in err) == (2, True)


def test_the_averaged_potential_is_that_of_the_cube(qdip_json):
    code, document = qdip_json("levels", RUN, "--period", "6.6")
    assert code == 0
    surface = document["surface"]
    mean = sum(surface["planar_ev"]) / len(surface["planar_ev"])
    assert surface["macroscopic_ev"] == pytest.approx([mean] * 12, abs=1e-4)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere"], 1, "nowhere"),
        ([str(RUN.parent / "unconverged")], 1, "did not converge"),
        ([str(RUN.parent / "energy")], 1, "no PDOS"),
        ([str(RUN), "--sigma", "0"], 2, "--sigma"),
        ([str(RUN), "--sigma", "nan"], 2, "--sigma"),
        ([str(RUN), "--host", "dot"], 2, "no group 'dot'"),
        ([str(RUN), "--period", "-1"], 2, "period"),
        ([str(RUN), "--align", "a=1,2", "--align", "b=1,2,3"], 2, "--align a=1,2"),
        ([str(RUN), "--align", "a=1,2,-3", "--align", "b=1,2,3"], 2, "not negative"),
        ([str(RUN), "--plot", "x.bmp"], 2, "x.bmp"),
    ],
)
def test_nonsense_is_refused_in_one_line(qdip, words, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    got, out, err = qdip("levels", *words)
    assert (got, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_regions_that_do_not_fit_the_lists_are_refused(qdip, folder):
    (folder / "run.json").write_text(json.dumps({**RECORD, "pdos_regions": ["dot", "interface", "matrix"]}))
    code, _, err = qdip("levels", folder)
    assert code == 1
    assert "2 PDOS lists" in err


def test_projections_of_another_run_are_refused(qdip, folder):
    path = folder / "run-list2-1.pdos"
    path.write_text(path.read_text().replace("-0.40", "-0.41").replace("-0.4 ", "-0.41 "))
    code, _, err = qdip("levels", folder)
    assert code == 1
    assert "other level energies" in err


def test_work_functions_of_both_sides(qdip, qdip_json, folder):
    """A planted potential: the run's output is made to speak of a cell 40 Å high with 30 Å of vacuum."""
    output = folder / "run.out"
    lines = output.read_text().splitlines()
    lines = [line.replace("6.600", "40.00") if "CELL|" in line and "Vector c" in line else line for line in lines]
    output.write_text("\n".join(lines) + "\n")
    step, n = 40.0 / 0.529177210 / 80, 80
    side = 3.2 / 0.529177210 / 2
    values = [-0.5 if 3 < z < 17 else 0.2 if 17 <= z < 30 else 0.1 for z in (0.5 * k for k in range(n))]
    head = [
        "-Quickstep-", " HARTREE POTENTIAL", "2 0 0 0", f"2 {side} 0 0", f"2 0 {side} 0", f"{n} 0 0 {step}",
        f"1 0 0 0 {5 / 0.529177210}", f"1 0 0 0 {15 / 0.529177210}",
    ]  # fmt: skip
    cube = folder / "run-v_hartree-1_0.cube"
    cube.write_text("\n".join([*head, *(f"{value:.5E}" for value in values * 4)]) + "\n")
    code, document = qdip_json("levels", folder)
    assert code == 0
    found = {side["side"]: side["work_function_ev"] for side in document["surface"]["sides"]}
    assert found == pytest.approx({"upper": 0.4 * 27.211386, "lower": 0.3 * 27.211386}, rel=1e-6)
    assert "upper surface: work function 10.8846 eV" in qdip("levels", folder)[1]


TRIO = RUN.parent / "trio"


def test_a_real_slab_has_work_functions_and_regions(qdip_json):
    code, document = qdip_json("levels", TRIO / "interface")
    assert code == 0
    assert document["projected_on"] == ["film", "substrate"]
    assert document["homo"]["home"] == "film"
    sides = {side["side"]: side for side in document["surface"]["sides"]}
    assert sides["upper"]["work_function_ev"] == pytest.approx(5.27, abs=0.02)
    step = sides["upper"]["work_function_ev"] - sides["lower"]["work_function_ev"]
    assert step == pytest.approx(sides["upper"]["vacuum_level_ev"] - sides["lower"]["vacuum_level_ev"])


def test_a_matched_and_a_rotated_dot_side_by_side(qdip, qdip_json, folder, tmp_path):
    """The other dot keeps both edges in its core; here they sit on the interface."""
    matched = tmp_path / "matched"
    shutil.copytree(folder, matched)
    levels = ((-0.40, 2.0, 0.1), (-0.20, 2.0, 0.9), (-0.10, 0.0, 0.8), (0.10, 0.0, 0.2))
    for n in (1, 2):
        rows = [f"{i} {e} {f} {w if n == 1 else round(1 - w, 6)}" for i, (e, f, w) in enumerate(levels, start=1)]
        (matched / f"run-list{n}-1.pdos").write_text(HEAD.format(n=n) + "\n".join(rows) + "\n")
    code, document = qdip_json("levels", matched, "--against", folder)
    assert code == 0
    found = document["comparison"]
    assert found["host"] == "dot"
    assert found["moved"] == ["homo", "lumo"]
    assert found["homo"]["homes"] == ["dot", "interface"]
    assert found["homo"]["host_shares"] == pytest.approx([0.9, 0.1])
    assert found["n_states_in_gap"] == [0, 2]
    assert found["gap_change_ev"] == pytest.approx(0.0)
    back = qdip_json("levels", folder, "--against", matched)[1]["comparison"]
    assert back["n_states_in_gap"] == [2, 0]
    assert "moved to another region: HOMO, LUMO" in qdip("levels", matched, "--against", folder)[1]
    code, _, err = qdip("levels", matched, "--against", TRIO / "interface")
    assert code == 1
    assert "other regions" in err or "projected on" in err


def test_alignment_from_runs_is_the_difference_of_averaged_potentials(qdip_json):
    """With one run as the bulk of both, edges and gaps cancel: the offset is that of the macroscopic averages."""
    import numpy as np

    from qdip_struct.analysis.electrons.potential import hartree_profile
    from qdip_struct.cp2k.outputs.cube import read_cube

    place = TRIO / "interface"
    bulks = ["--bulk", f"film={place}", "--bulk", f"substrate={place}"]
    code, document = qdip_json("levels", place, "--period", "3.004", *bulks)
    assert code == 3
    assert [note for note in document["notes"] if "substrate is 0.0 Å thick" in note]
    found = document["alignment"]
    profile = hartree_profile(read_cube(place / "run-v_hartree-1_0.cube"), periods_angstrom=(3.004,))
    film, substrate = (np.interp(z, profile.heights_angstrom, profile.values) for z in ((10.15 + 13.154) / 2, 7.0))
    assert found["valence_offset_ev"] == pytest.approx(substrate - film, abs=0.02)
    assert found["conduction_offset_ev"] == pytest.approx(found["valence_offset_ev"])
    assert found["type"] == "II"
    swapped = qdip_json("levels", place, "--period", "3.004", *bulks[2:], *bulks[:2])[1]["alignment"]
    assert swapped["valence_offset_ev"] == pytest.approx(-found["valence_offset_ev"])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--bulk", "film=x"], 2, "two regions"),
        (["--bulk", "film"], 2, "REGION=DIR"),
        (["--bulk", "film=x", "--bulk", "substrate=y"], 2, "periods"),
        (["--bulk", "film=x", "--bulk", "core=y", "--period", "3"], 1, "cannot read x"),
        (["--bulk", "a=x", "--bulk", "b=y", "--align", "a=1,2,3"], 2, "twice"),
        (["--against", "nowhere"], 1, "nowhere"),
    ],
)
def test_comparisons_and_alignments_that_cannot_be(qdip, words, code, message):
    got, out, err = qdip("levels", TRIO / "interface", *words)
    assert (got, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1
