"""Sections of a page: what appears when, what is left out, and what is remembered."""

import json
import re
import shutil

import pytest
from studies import TRIO, copy_trio_and_strain

from qdip_struct.report.html import DARK, LIGHT_THEME, ON, Page
from qdip_struct.report.memory import FOLDER, Memory
from qdip_struct.report.page import study_page
from qdip_struct.report.sections.energies import ranked
from qdip_struct.report.study import read_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study of everything at once: cubes, levels, strain, diffraction, one damaged file, one run that never began."""
    place = tmp_path_factory.mktemp("study")
    copy_trio_and_strain(place)
    (place / "broken.json").write_text("{")
    waiting = place / "waiting"
    waiting.mkdir()
    for name in ("run.json", "run.inp", "structure.extxyz"):
        shutil.copy(TRIO / "film" / name, waiting / name)
    diffraction = {
        "path": str(place / "trio" / "film" / "structure.extxyz"),
        "wavelength_angstrom": 1.54184,
        "two_theta_max_degree": 60.0,
        "zone": [1, 1, 1],
        "parts": [
            {
                "name": "whole",
                "n_atoms": 8,
                "powder": [
                    {"hkl": [1, 1, 1], "spacing_angstrom": 3.43, "two_theta_degree": 26.0, "intensity": 84.0},
                    {"hkl": [2, 0, 0], "spacing_angstrom": 2.97, "two_theta_degree": 30.1, "intensity": 100.0},
                ],
                "spots": [
                    {"hkl": [0, 2, -2], "spacing_angstrom": 2.1, "strength": 1.0, "azimuth_degree": 0.0},
                    {"hkl": [2, 0, -2], "spacing_angstrom": 2.1, "strength": 1.0, "azimuth_degree": 60.0},
                ],
            }
        ],
        "between": {"spots": [1, 2], "hkl": [[0, 2, -2], [2, 0, -2]], "angle_degree": 60.0},
        "fringe": None,
    }
    (place / "diffraction.json").write_text(json.dumps(diffraction))
    return place


@pytest.fixture(scope="module")
def text(folder):
    return study_page(read_study(folder, question="Who gives electrons to whom?"), memory=Memory(folder / FOLDER))


def test_sections_stand_in_order(text):
    order = (
        "Warning:", "The question", "Structures", "Energies", "Strain", "Charge and potential", "Levels", "Diffraction",
        "Convergence of every run", "Where the numbers come from",
    )  # fmt: skip
    places = [text.index("<strong>Warning:")] + [text.index(f">{name}</h2>") for name in order[1:]]
    assert places == sorted(places)
    assert "Who gives electrons to whom?" in text
    assert "broken.json is not valid JSON" in text
    assert "1 of 4 runs are prepared" in text
    assert ">Misfit</h2>" not in text


def test_charge_balance_dipole_and_work_functions_are_on_the_page(text):
    section = text[text.index(">Charge and potential</h2>") : text.index(">Levels</h2>")]
    assert "Charge difference of trio" in section
    assert "0.29" in section
    assert "work function, upper (eV)" in section
    assert "5.27" in section
    assert "\N{MINUS SIGN}0.0182" in section


def test_levels_name_regions_and_states_in_the_gap(text):
    section = text[text.index(">Levels</h2>") : text.index(">Diffraction</h2>")]
    assert "film 0.97, substrate 0.03" in section
    assert "state" in section
    assert "60.00°" in text


def test_strain_is_that_of_the_document(text, folder):
    found = json.loads((folder / "strain_own.json").read_text())["regions"]["dot_core"]["mean"]
    assert f">{100 * found:.3f}<" in text


def test_a_page_from_memory_is_the_same(text, folder):
    kept = sorted((folder / FOLDER).iterdir())
    assert len(kept) > 8
    stamps = [file.stat().st_mtime_ns for file in kept]
    again = study_page(read_study(folder, question="Who gives electrons to whom?"), memory=Memory(folder / FOLDER))
    assert again == text
    assert [file.stat().st_mtime_ns for file in kept] == stamps
    assert sorted((folder / FOLDER).iterdir()) == kept


def test_memory_forgets_when_a_file_changes(tmp_path):
    source = tmp_path / "a"
    source.write_text("1")
    made = []

    def make():
        made.append(source.read_text())
        return {"value": float(source.read_text()), "none": float("nan")}

    def ask(folder):
        return Memory(folder).document("kind", files=[source], parameters=None, make=make)

    assert ask(tmp_path / "m") == ask(tmp_path / "m") == {"value": 1.0, "none": None}
    assert made == ["1"]
    source.write_text("2")
    assert ask(tmp_path / "m")["value"] == 2.0
    assert made == ["1", "2"]
    for file in (tmp_path / "m").iterdir():
        file.write_text("{")
    assert ask(tmp_path / "m")["value"] == 2.0
    assert ask(None)["value"] == 2.0
    assert len(made) == 4


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours by WCAG 2.2."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT_THEME, DARK], ids=["light", "dark"])
def test_every_text_colour_stands_out(colours):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for text, grounds in ON.items():
        for ground in grounds:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def test_identifiers_of_figures_do_not_meet():
    page = Page("x")
    svg = '<svg><defs><path id="a" d=""/><path id="unused" d=""/></defs><use href="#a"/><g clip-path="url(#a)"/></svg>'
    for _ in range(2):
        page.figure(svg, caption="c", alt="a picture of nothing at all")
    page.panels([(svg, "one picture of nothing"), (svg, "another picture of nothing")], caption="c")
    text = page.text()
    assert "unused" not in text
    names = re.findall(r'id="(d\d+-a)"', text)
    assert len(names) == len(set(names)) == 4
    assert all(f'href="#{name}"' in text and f"url(#{name})" in text for name in names)


def test_groups_are_ranked_by_how_strongly_they_bind():
    key = "adsorption_energy_mev_per_angstrom2"
    groups = [{"group": "b", key: 1.0}, {"group": "a", key: None}, {"group": "c", key: 2.0}, {"group": "A", key: 1.0}]
    assert [group["group"] for group in ranked(groups)] == ["c", "A", "b", "a"]


def test_the_question_of_a_campaign_file(tmp_path):
    shutil.copytree(TRIO / "film", tmp_path / "film")
    (tmp_path / "campaign.yaml").write_text("question: Does it\n  stick?\n")
    assert read_study(tmp_path).question == "Does it stick?"
    (tmp_path / "campaign.yaml").write_text("question: [1, 2]\n")
    assert read_study(tmp_path).question is None
    (tmp_path / "campaign.yaml").write_text(": : :\n- [")
    assert read_study(tmp_path).question is None


def test_strain_of_a_dot_of_the_users_own_crystal(tmp_path, monkeypatch):
    """The map that qdip strain wrote knows its crystals: table, source and picture, without the file of the crystal."""
    from ase.io import write
    from ase.spacegroup import crystal

    from qdip_struct.cli.main import main

    monkeypatch.chdir(tmp_path)
    basis = [(0, 0, 0), (0, 0, 0.5), (0.229, 0.25, 0.125)]
    cell = [5.52, 5.52, 11.12, 90, 90, 90]
    write("CuInS2.cif", crystal(["Cu", "In", "S"], basis, spacegroup=122, cellpar=cell))
    words = ["--dot", "CuInS2.cif", "--diameter", "14", "--matrix", "CsPbBr3", "--cells", "4,4,4", "--neutral", "off"]
    assert main(["build", "embed", *words, "-o", "dot.extxyz"]) == 0
    (tmp_path / "study").mkdir()
    assert main(["strain", "dot.extxyz", "-o", "study/map.extxyz"]) == 0
    page = study_page(read_study(tmp_path / "study", question=""), memory=Memory(tmp_path / FOLDER))
    assert "CuInS2.cif, from dot.json" in page
    assert "Strain map of a slice of map.json" in page
