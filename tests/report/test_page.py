"""The page of a study: self-contained, escaped, warnings first, the same bytes every time."""

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from qdip_struct.base.errors import DataError
from qdip_struct.base.files import shipped
from qdip_struct.report.html import Page
from qdip_struct.report.page import study_page
from qdip_struct.report.study import read_study

REFERENCE = shipped("workflows", "interface_energy", "reference")


class Checker(HTMLParser):
    """Collects tags, and fails on one that is closed out of order."""

    void = ("meta", "link", "br", "hr", "img", "use", "path", "circle", "rect", "line", "image")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(REFERENCE / "runs", folder / "runs")
    return folder


@pytest.fixture(scope="module")
def text(study: Path) -> str:
    return study_page(read_study(study))


def test_page_asks_for_nothing_outside_itself(text: str) -> None:
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    tags = [tag for tag, _ in checker.seen]
    assert "script" not in tags
    for tag, attributes in checker.seen:
        for name in ("src", "href", "xlink:href", "data"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:")), (tag, target)
    assert not re.search(r"url\((?!#)", text)


def test_every_figure_is_described_and_every_table_named(text: str) -> None:
    checker = Checker()
    checker.feed(text)
    figures = [attributes for tag, attributes in checker.seen if tag == "svg" and "aria-hidden" not in attributes]
    assert len(figures) > text.count("<figure>") > 1
    assert all(a.get("role") == "img" and len(a.get("aria-label") or "") > 20 for a in figures)
    tags = [tag for tag, _ in checker.seen]
    assert tags.count("table") == tags.count("caption") > 0
    assert tags.count("h1") == 1


def test_shipped_runs_are_labelled_before_anything_else(text: str) -> None:
    assert text.index("were not run here") < text.index("<h2")


def test_numbers_on_the_page_are_those_of_the_outputs_by_hand(text: str) -> None:
    def hartree(role: str) -> float:
        lines = (REFERENCE / "runs" / role / "run.out").read_text().splitlines()
        return float(next(line for line in lines if "ENERGY| Total FORCE_EVAL" in line).split()[-1])

    area = 5.99**2
    factor = 27211.386 / area
    film = (hartree("film") - 1.5 * hartree("film_bulk")) / 2 * factor
    adsorption = (hartree("film") + hartree("substrate") - hartree("interface")) * factor
    substrate = (hartree("substrate") - 2 * hartree("substrate_bulk") + hartree("reservoir")) / 2 * factor
    for value in (film, adsorption, substrate, film + substrate - adsorption):
        assert f">{value:.2f}<" in text


def test_independent_calculations_agree(study: Path) -> None:
    """PbS(100) 16 to 17.5 meV/Å², W_ad about 19, mean of both terminations about 10.2 (a = 6.00 Å, 4x4x1)."""
    group = read_study(study).energies["groups"][0]
    assert 16.0 < group["surface_energy_film_mev_per_angstrom2"] < 17.5
    assert group["adsorption_energy_mev_per_angstrom2"] == pytest.approx(18.96, abs=0.5)
    mean = group["surface_energy_substrate_mean_of_terminations_mev_per_angstrom2"]
    assert mean == pytest.approx(10.20, abs=0.3)
    assert group["surface_energy_substrate_reference"] == "CsBr-rich"


def test_same_study_same_bytes(study: Path, text: str) -> None:
    assert study_page(read_study(study)) == text


def test_unfinished_run_is_a_warning(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "runs", tmp_path / "runs")
    output = tmp_path / "runs" / "film" / "run.out"
    output.write_text(output.read_text().split("ENERGY| Total")[0])
    page = study_page(read_study(tmp_path))
    assert "runs/film is not finished: truncated" in page
    assert "E_ad (work of adhesion)" not in page


def test_text_is_escaped() -> None:
    page = Page("<script>alert(1)</script>")
    page.paragraph("a < b & c")
    page.table(("<x>",), [("<y>",)], caption='"quoted" <z>')
    assert "<script>" not in page.text()
    assert "a &lt; b &amp; c" in page.text()
    assert "<y>" not in page.text()


def test_nothing_to_report_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to report"):
        read_study(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        read_study(tmp_path / "none")
    (tmp_path / "screen.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        read_study(tmp_path)


def test_report_command(study: Path, tmp_path: Path, qdip: Callable[..., tuple[int, str, str]]) -> None:
    out = tmp_path / "r.html"
    assert qdip("report", study, "-o", out)[0] == 0
    code, _, err = qdip("report", study, "-o", out)
    assert (code, "--force" in err) == (2, True)
    code, printed, _ = qdip("report", study, "-o", out, "--force", "--json")
    assert code == 0
    assert json.loads(printed)["n_runs"] == 8


def test_report_command_tells_what_it_could_not_read(
    study: Path, tmp_path: Path, qdip: Callable[..., tuple[int, str, str]]
) -> None:
    shutil.copytree(study / "runs", tmp_path / "runs")
    (tmp_path / "runs" / "film" / "run.json").write_text("{")
    code, printed, err = qdip("report", tmp_path / "runs", "-o", tmp_path / "r.html", "--json")
    assert code == 3
    assert json.loads(printed)["n_runs"] == 7
    assert len(json.loads(printed)["not_read"]) == 1
    assert "not read: " in err
    assert "film/run.json is not valid JSON" in err
    assert "film/run.json is not valid JSON" in (tmp_path / "r.html").read_text()


def test_report_command_with_a_file_for_a_viewer(
    study: Path, tmp_path: Path, qdip: Callable[..., tuple[int, str, str]]
) -> None:
    pytest.importorskip("chemiscope", reason="no chemiscope: pip install 'qdip-struct[viewer]'")
    words = ["report", study, "-o", tmp_path / "r.html", "--chemiscope", tmp_path / "c.json.gz", "--question", "Why?"]
    code, printed, _ = qdip(*words, "--no-memory", "--json")
    assert code == 0
    assert json.loads(printed)["n_structures"] == 8
    assert "Why?" in (tmp_path / "r.html").read_text()
    assert qdip("report", study, "-o", tmp_path / "s.html", "--chemiscope", tmp_path / "c.json.gz")[0] == 2
    assert not (tmp_path / "s.html").exists()
