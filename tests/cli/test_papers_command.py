"""``qdip papers``: the table, a paper's systems built to the end, going on, refusals, and what it notices."""

import csv
import hashlib
import json

import pytest

from qdip_struct.base.files import shipped
from qdip_struct.cli.papers import HEADER, energy_row, number_row
from qdip_struct.papers import statements as module

SMALL = "garcia_de_arquer2017"


@pytest.fixture(scope="module")
def garcia(tmp_path_factory):
    """The folder and document of the paper with the fewest systems."""
    from qdip_struct.cli.main import main

    out = tmp_path_factory.mktemp("papers") / "out"
    assert main(["papers", "--only", SMALL, "-o", str(out)]) == 0
    return out


def hashes(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_the_table_alone(qdip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = qdip("papers", "--statements")
    assert code == 0 and "recomputing" in err
    assert out.splitlines()[0].split() == list(HEADER)
    assert "65 statements: 48 hold, 13 differ, 4 not answerable here" in out
    assert "differs by +8; holds with" in out and "not answerable here: a measured" in out
    assert list(tmp_path.iterdir()) == []


def test_the_document(qdip_json):
    code, document = qdip_json("papers", "--statements", "--only", "liu2019")
    assert code == 0 and document["changed"] == []
    match = next(s for s in document["statements"] if s["id"] == "liu2019-x-pbs")
    assert match["verdict"] == "differs" and match["difference"] == pytest.approx(9.0)
    assert match["computed"][0]["values"] == pytest.approx([75.0])
    assert match["how"] == ["materials.structure_files.crystal_named", "matching.misfit.zero_misfit"]
    assert any("5.97" in words for words in match["holds_if"])


def test_one_statement_alone(qdip_json):
    _, document = qdip_json("papers", "--statements", "--only", "deng2024-d110-pbs")
    (entry,) = document["statements"]
    assert entry["computed"][0]["possible"] is False


def test_a_changed_verdict_is_exit_code_3(qdip, tmp_path, monkeypatch):
    text = shipped("structures", "published_statements.yaml").read_text()
    start = text.index("{id: ning2015-d224")
    changed = text[:start] + text[start:].replace("verdict: holds", "verdict: differs", 1)
    file = tmp_path / "statements.yaml"
    file.write_text(changed)
    monkeypatch.setattr(module, "shipped", lambda *parts: file)
    code, out, _ = qdip("papers", "--statements", "--only", "ning2015-d224")
    assert code == 3 and "not as recorded: ning2015-d224" in out


def test_a_changed_value_is_exit_code_3(qdip, monkeypatch):
    from qdip_struct.papers import recipes as lattices

    right = lattices.d_spacing
    monkeypatch.setattr(lattices, "d_spacing", lambda *a, **k: 1.01 * right(*a, **k))
    code, out, _ = qdip("papers", "--statements", "--only", "ning2015-d224")
    assert code == 3 and "differs from the record" in " ".join(out.split())


@pytest.mark.parametrize("words, code", [(("--only", "nobody2020"), 2), (("--onyl", "ning2015"), 2)])
def test_refusals(qdip, words, code):
    found, out, err = qdip("papers", "--statements", *words)
    assert found == code and out == "" and "error: " in err


def test_a_page_of_others_is_not_overwritten(qdip, tmp_path):
    (tmp_path / "papers.html").write_text("mine")
    code, _, err = qdip("papers", "--only", "ning2015-d224", "-o", tmp_path)
    assert code == 2 and "papers.html exists" in err
    assert (tmp_path / "papers.html").read_text() == "mine"


def test_a_statement_needs_no_system(qdip, tmp_path):
    code, _, _ = qdip("papers", "--only", "ning2015-d224", "-o", tmp_path / "one")
    assert code == 0 and sorted(p.name for p in (tmp_path / "one").iterdir()) == [
        "papers.csv",
        "papers.html",
        "papers.json",
    ]


def test_a_paper_is_built_to_the_end(garcia):
    document = json.loads((garcia / "papers.json").read_text())
    (system,) = document["systems"]
    assert system["faults"] == []
    (facts,) = system["structures"].values()
    assert facts["formal_charge"] == 0 and facts["electrons"] % 2 == 0 and facts["shortest_distance_angstrom"] > 2.4
    folder = garcia / "systems" / system["id"]
    assert (folder / facts["file"]).is_file()
    deck = (folder / facts["run"] / "run.inp").read_text()
    assert "DZVP-MOLOPT-SR-GTH" in deck and "CUTOFF 300" in deck
    with (garcia / "papers.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert tuple(rows[0]) == HEADER and [row[0] for row in rows[1:]] == [SMALL] * (len(rows) - 1)
    assert len(rows) == 1 + len(document["statements"]) + len(system["numbers"])


def test_the_page_shows_statements_structure_and_command(garcia):
    page = (garcia / "papers.html").read_text()
    assert "Nat. Commun. 8, 14757" in page and "doi:10.1038/ncomms14757" in page
    assert page.count("<circle") > 500 and "qdip build embed --dot PbS" in page
    assert "<strong>differs</strong> by -0.09987 eV" in page
    assert "<script" not in page and "http:" not in page.replace("http://www.w3.org", "")
    assert str(garcia) not in page and str(garcia) not in (garcia / "papers.json").read_text()


def test_the_same_command_goes_on_and_gives_the_same_bytes(garcia, qdip):
    before = hashes(garcia)
    code, _, err = qdip("papers", "--only", SMALL, "-o", garcia)
    assert code == 0 and "already there" in err
    assert hashes(garcia) == before


def test_a_damaged_structure_is_built_again(garcia, qdip):
    before = hashes(garcia)
    (file,) = garcia.glob("systems/*/structures/*.extxyz")
    file.write_text(file.read_text()[:2000])
    code, _, err = qdip("papers", "--only", SMALL, "-o", garcia)
    assert code == 0 and "already there" not in err
    assert hashes(garcia) == before


def test_a_system_that_cannot_be_built_is_named(qdip, tmp_path, monkeypatch):
    from dataclasses import replace

    from qdip_struct.papers import systems

    (system,) = systems.paper_systems([SMALL])
    broken = replace(system, build=system.build.replace("--diameter 41", "--diameter 400"))
    monkeypatch.setattr(systems, "paper_systems", lambda only: (broken,))
    code, _, err = qdip("papers", "--only", SMALL, "-o", tmp_path / "out")
    assert code == 3 and "not as it should be" in err and "box" in err
    document = json.loads((tmp_path / "out" / "papers.json").read_text())
    assert document["systems"][0]["faults"] and "Warning" in (tmp_path / "out" / "papers.html").read_text()


def test_a_system_that_no_longer_has_the_papers_number_is_exit_code_3(qdip, tmp_path, monkeypatch):
    from dataclasses import replace

    from qdip_struct.papers import systems

    (system,) = systems.paper_systems([SMALL])
    (number,) = system.numbers
    other = replace(system, numbers=(replace(number, stated=0.5),))
    monkeypatch.setattr(systems, "paper_systems", lambda only: (other,))
    code, out, _ = qdip("papers", "--only", SMALL, "-o", tmp_path / "out")
    assert code == 3 and f"not as recorded: {system.id} volume_fraction" in out


def test_rows_of_numbers_and_energies():
    system = {"paper": "a2000", "title": "a box", "commands": ["build embed --dot PbS", "inputs x"]}
    number = {"what": "edge_angstrom", "where": "Methods", "stated": 50.6, "measured": 50.1, "verdict": "differs"}
    assert number_row(system, number) == (
        "a2000", "edge: a box (Methods)", "50.6 Å", "50.1 Å", "qdip build embed", "differs by -0.5 Å",
    )  # fmt: skip
    atoms = {"what": "n_atoms", "where": "Methods", "stated": 3000, "measured": 2752.0, "verdict": "holds"}
    assert number_row(system, atoms)[1:4] == ("atoms: a box (Methods)", "3000", "2752")
    assert number_row({**system, "commands": ["strain x.extxyz"]}, {**atoms, "measured": None})[3:5] == (
        "-",
        "qdip strain",
    )
    energy = {
        "paper": "a2000", "label": "γ", "where": "text", "stated": 9, "computed": 17.26, "group": "g", "folder": "f",
        "verdict": "differs",
    }  # fmt: skip
    assert energy_row(energy)[3] == "17.26 meV/Å² (g, workflows/f)"
    assert energy_row(energy)[5].startswith("differs by +8.26 meV/Å²")
    assert energy_row({**energy, "verdict": "other crystals"})[5] == "not the paper's crystals (+8.26 meV/Å²)"


@pytest.mark.slow
def test_all_papers(qdip_json, tmp_path):
    code, document = qdip_json("papers", "-o", tmp_path / "all")
    assert code == 0 and document["changed"] == []
    assert [s["id"] for s in document["systems"] if s["faults"]] == []
    assert len(document["systems"]) == 13 and len(document["curves"]) == 6 and len(document["strains"]) == 2
    assert {entry["label"] for entry in document["energies"]} >= {"γ of PbS(100)", "E_ad (work of adhesion)"}
    page = (tmp_path / "all" / "papers.html").read_text()
    for system in document["systems"]:
        assert system["title"][1:].replace("'", "&#x27;") in page
