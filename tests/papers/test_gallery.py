"""The page of the papers: whole HTML, everything escaped, verdicts set off, sections only where there is something."""

import copy
from html.parser import HTMLParser

import pytest
from ase.build import bulk
from ase.io import write

from qdip_struct.papers.gallery import gallery_page

VOID = ("meta", "link", "br", "hr", "img", "use", "path", "circle", "rect", "line")


class Balanced(HTMLParser):
    """Fails on a tag that is closed out of order."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "systems" / "a2000-box" / "structures"
    place.mkdir(parents=True)
    write(place / "box.extxyz", bulk("PbS", "rocksalt", a=5.936, cubic=True), format="extxyz")
    (tmp_path / "curve.svg").write_text('<?xml version="1.0"?><svg viewBox="0 0 1 1"><path d="M0 0h1"/></svg>')
    return tmp_path


@pytest.fixture
def document():
    facts = {
        "file": "structures/box.extxyz", "n_atoms": 8.0, "edge_angstrom": 5.936, "formal_charge": 0.0,
        "electrons": 40.0, "shortest_distance_angstrom": 2.968, "diameter_angstrom": None, "volume_fraction": None,
    }  # fmt: skip
    return {
        "statements": [{"paper": "a2000", "citation": "A & B (2000) <i>", "doi": "10.1/x"}],
        "verdicts": {"holds": 1, "differs": 1, "not answerable": 0},
        "sums": "1 hold, 1 differ, 0 not answerable here",
        "changed": [],
        "rows": [
            ("a2000", "misfit < 1", "4.6 %", "4.63 %", "misfit.misfit", "holds"),
            ("a2000", "zone", "0", "8", "planes.zone_product", "differs by +8; holds with <x>"),
            ("a2000", "size", "10 %", "-", "-", "not answerable here: measured"),
        ],
        "systems": [
            {
                "id": "a2000-box", "paper": "a2000", "title": "a box", "about": "chosen & built", "faults": [],
                "warnings": ["warning: box: coarse"], "commands": ["build dot", "inputs x"],
                "structures": {"box": facts},
            }
        ],
        "curves": [{"id": "c", "paper": "a2000", "title": "a curve", "figure": "curve.svg", "commands": ["screen"]}],
        "strains": [],
        "energies": [],
        "groups": [],
        "refused": [],
    }  # fmt: skip


def test_the_page_is_whole_and_escaped(document, folder):
    page = gallery_page(document, folder=folder)
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert "A &amp; B (2000) &lt;i&gt;" in page and "misfit &lt; 1" in page and "chosen &amp; built" in page
    assert "<?xml" not in page and "<script" not in page


def test_verdicts_that_do_not_hold_are_set_off(document, folder):
    page = gallery_page(document, folder=folder)
    assert "<strong>differs</strong> by +8; holds with &lt;x&gt;" in page
    assert "<strong>not answerable here</strong>: measured" in page
    assert "<strong>holds" not in page


def test_a_structure_is_drawn_three_times_with_its_facts(document, folder):
    page = gallery_page(document, folder=folder)
    assert page.count("<circle") >= 3 * 8 and "2.968" in page and "qdip build dot; qdip inputs x" in page
    assert "Box: coarse" in page and 'role="img"' in page


def test_sections_without_data_are_left_out(document, folder):
    page = gallery_page(document, folder=folder)
    assert "Interface energies" not in page and "Strain" not in page
    assert "Warning" not in page


def test_what_changed_or_failed_stands_first(document, folder):
    broken = copy.deepcopy(document)
    broken["changed"] = ["a2000-zone"]
    broken["systems"][0]["faults"] = ["two ions are 1.000 Å apart"]
    broken["systems"][0]["structures"] = {}
    page = gallery_page(broken, folder=folder)
    assert page.index("a2000-zone") < page.index("two ions are 1.000 Å apart") < page.index("<h2")


def test_energies_are_drawn_with_the_papers_beside_them(document, folder):
    group = {
        "group": "PbS//X", "folder": "somewhere", "area_angstrom2": 36.0,
        "surface_energy_film_mev_per_angstrom2": 17.26, "surface_energy_substrate_limits": [],
        "surface_energy_substrate_mean_of_terminations_mev_per_angstrom2": None,
        "adsorption_energy_mev_per_angstrom2": 18.79, "adsorption_energy_counterpoise_mev_per_angstrom2": None,
        "adsorption_energy_sandwich_mev_per_angstrom2": None, "interface_energy_limits": [],
        "strain_energy_film_mev_per_angstrom2": None, "strain_energy_substrate_mev_per_angstrom2": None,
    }  # fmt: skip
    document["groups"] = [group]
    document["energies"] = [{"label": "γ of PbS(100)", "stated": 9}]
    document["refused"] = [{"paths": ["somewhere/x"], "reason": "not finished"}]
    page = gallery_page(document, folder=folder)
    assert "17.3 meV/Å²" in page and "γ of PbS(100) 9" in page and "not combined: somewhere/x" in page
