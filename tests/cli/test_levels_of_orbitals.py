"""``qdip levels`` on a run that wrote orbital cubes and no PDOS: same homes, energies as far as printed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from qdip_struct.base.errors import DataError
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.pdos import read_orbital_energies

RUN = Path(__file__).parents[1] / "data" / "cp2k_runs" / "orbitals"
HARTREE = 27.211386


@pytest.fixture
def bare(tmp_path):
    """The real run without its PDOS."""
    place = tmp_path / "bare"
    shutil.copytree(RUN, place, ignore=shutil.ignore_patterns("*.pdos"))
    return place


def without(path, *words):
    """Take the lines that hold one of the words, and the rows of numbers below them, out of an output."""
    kept, skipping = [], False
    for line in path.read_text().splitlines():
        if any(word in line for word in words):
            skipping = True
            continue
        if skipping and not any(mark in line for mark in ("|", "[eV]")) and line.strip():
            continue
        skipping = False
        kept.append(line)
    path.write_text("\n".join(kept) + "\n")


def test_cubes_and_projection_agree(qdip_json, bare):
    projected = qdip_json("levels", RUN)[1]
    code, document = qdip_json("levels", bare)
    assert code == 0
    assert (projected["levels_from"], document["levels_from"]) == ("pdos", "orbitals")
    assert document["pdos"] is None
    assert document["projected_on"] == ["dot", "matrix"]
    assert document["gap_ev"] == pytest.approx(projected["gap_ev"], abs=1e-3)
    for edge in ("homo", "lumo"):
        assert document[edge]["home"] == projected[edge]["home"] == "dot"
        assert document[edge]["energy_ev"] == pytest.approx(projected[edge]["energy_ev"], abs=1e-3)
        assert document[edge]["weights"]["dot"] == pytest.approx(projected[edge]["weights"]["dot"], abs=0.03)
        assert document[edge]["n_levels"] == 2
    assert document["in_gap"]["states"] == []


def test_energies_are_those_of_the_output(bare):
    text = (bare / "run.out").read_text()
    gap = float(text.split("HOMO - LUMO gap [eV] :")[-1].split()[0])
    printed = read_orbital_energies(read_run(bare))
    (channel,) = printed.channels
    assert channel.n_occupied == 6
    assert channel.energy_of(7) - channel.energy_of(6) == pytest.approx(gap, abs=1e-4)
    assert channel.energy_of(9) is None
    assert printed.fermi_ev == pytest.approx(channel.energy_of(6), abs=1e-4)


def test_a_table_of_orbitals_serves_when_there_are_no_blocks(bare):
    """The wording of ``&MO EIGENVALUES``."""
    output = bare / "run.out"
    without(output, "Eigenvalues of the")
    rows = [(-0.7, 2), (-0.6, 2), (-0.5, 2), (-0.4, 2), (-0.3, 2), (-0.2, 2), (0.1, 0)]
    lines = [f" MO| {i:6d} {e:18.6f} {e * HARTREE:18.6f} {f:18.6f}" for i, (e, f) in enumerate(rows, start=1)]
    head = [" MO| EIGENVALUES AND OCCUPATION NUMBERS AFTER SCF STEP 9", " MO|", " MO|  Index  Eigenvalue [a.u.]"]
    output.write_text("\n".join([output.read_text(), *head, *lines, " MO| Sum:  12.0"]) + "\n")
    (channel,) = read_orbital_energies(read_run(bare)).channels
    assert channel.occupied_ev == pytest.approx(np.array([e for e, f in rows if f]) * HARTREE, rel=1e-6)
    assert channel.empty_ev == pytest.approx(np.array([0.1]) * HARTREE, rel=1e-6)


def test_without_printed_energies_they_are_null_and_said_so(qdip, qdip_json, bare):
    without(bare / "run.out", "Eigenvalues of the", "HOMO - LUMO gap", "Fermi Energy")
    code, document = qdip_json("levels", bare)
    assert code == 3
    assert (document["gap_ev"], document["fermi_ev"], document["homo"]["energy_ev"]) == (None, None, None)
    assert (document["homo"]["home"], document["lumo"]["home"]) == ("dot", "dot")
    _, out, err = qdip("levels", bare)
    assert "unknown" in out
    assert "no orbital energies" in err
    assert "no gap" in err


def test_the_gap_line_alone_gives_the_gap(qdip_json, bare):
    text = (bare / "run.out").read_text()
    without(bare / "run.out", "Eigenvalues of the")
    document = qdip_json("levels", bare)[1]
    assert document["gap_ev"] == pytest.approx(float(text.split("HOMO - LUMO gap [eV] :")[-1].split()[0]))
    assert document["homo"]["energy_ev"] is None


def test_regions_come_from_the_structure_and_elements_stand_in(qdip_json, bare):
    (bare / "run.json").unlink()
    assert qdip_json("levels", bare)[1]["projected_on"] == ["dot", "matrix"]
    (bare / "structure.extxyz").unlink()
    code, document = qdip_json("levels", bare)
    assert code == 0
    assert document["projected_on"] == ["H", "Pb", "S"]
    assert (document["homo"]["home"], document["lumo"]["home"]) == ("S", "Pb")


def test_a_missing_partner_of_a_degenerate_homo_is_said(qdip, bare):
    (bare / "run-WFN_00005_1-1_0.cube").unlink()
    code, _, err = qdip("levels", bare)
    assert code == 3
    assert "one of 2 levels" in err
    assert "NHOMO=2" in err


def test_a_deeper_orbital_is_not_taken_for_the_homo(qdip_json, bare):
    for name in ("05", "06"):
        (bare / f"run-WFN_000{name}_1-1_0.cube").unlink()
    code, document = qdip_json("levels", bare)
    assert code == 3
    assert document["homo"] is None
    assert document["lumo"]["home"] == "dot"
    assert "the run wrote no cube of its HOMO" in document["notes"]


def test_a_run_without_counts_is_refused(qdip, bare):
    without(bare / "run.out", "Number of occupied orbitals")
    with pytest.raises(DataError, match="how many orbitals are occupied"):
        read_orbital_energies(read_run(bare))
    code, _, err = qdip("levels", bare)
    assert (code, len(err.splitlines())) == (1, 1)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--csv", "x.csv"], 2, "no PDOS"),
        (["--plot", "x.svg"], 2, "nothing to draw"),
        (["--host", "core"], 2, "no group 'core'"),
    ],
)
def test_what_orbitals_cannot_give_is_refused(qdip, bare, words, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    got, out, err = qdip("levels", bare, *words)
    assert (got, out) == (code, "")
    assert message in err


def test_the_page_shows_them(qdip, bare, tmp_path):
    assert json.loads((bare / "run.json").read_text())["role"] == "single"
    assert qdip("report", bare, "-o", tmp_path / "page.html")[0] in (0, 3)
    page = (tmp_path / "page.html").read_text()
    assert "Gap and localisation" in page
    assert "Orbitals on the grid" in page
