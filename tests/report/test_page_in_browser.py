"""The page in a real browser: no request leaves, nothing is logged, figures and texts can be seen and be read aloud."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Tab, browser, find_browser
from studies import copy_trio_and_strain

from qdip_struct.base.files import shipped
from qdip_struct.report.page import study_page
from qdip_struct.report.study import read_study

PROGRAM = find_browser()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium: apt-get install chromium, or name one in QDIP_BROWSER"),
]
LEAST_CONTRAST = 4.5

_CONTRASTS = """(() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const part = x => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const found = {};
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    const e = node.parentElement;
    if (!node.textContent.trim() || !e.getClientRects().length) continue;
    const inside = e.closest('svg');
    const colour = rgb(getComputedStyle(e)[inside ? 'fill' : 'color']);
    const [a, b] = [light(colour), light(ground(e))].sort((x, y) => y - x);
    const name = e.tagName + '.' + (e.className.baseVal ?? e.className);
    found[name] = Math.min(found[name] ?? 99, (a + 0.05) / (b + 0.05));
  }
  return JSON.stringify(found);
})()"""

_SPILLING = """JSON.stringify([...document.querySelectorAll('body *')].filter(e =>
  e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
  && !e.closest('.scroll, .plot')).map(e => e.tagName + ' ' + e.className).slice(0, 5))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with everything that ships: runs, strain of the embedded dot, a screen, levels, cubes."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(shipped("workflows", "interface_energy", "reference", "runs"), folder / "runs")
    copy_trio_and_strain(folder)
    (folder / "campaign.yaml").write_text("question: How much of the misfit does the dot feel, & what does it cost?\n")
    out = folder / "report.html"
    out.write_text(study_page(read_study(folder)))
    return out


@pytest.fixture(scope="module")
def tab(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    assert PROGRAM is not None
    with browser(PROGRAM, tmp_path_factory.mktemp("profile")) as found:
        found.size(1100, 900)
        found.open(page)
        yield found


def test_no_request_leaves_the_machine(tab: Tab, page: Path) -> None:
    addresses = {event["request"]["url"] for event in tab.reported("Network.requestWillBeSent")}
    assert page.resolve().as_uri() in addresses
    assert all(address.startswith(("file://", "data:")) for address in addresses)
    assert [address for address in addresses if address.startswith("file:")] == [page.resolve().as_uri()]
    sources = (
        "[...document.querySelectorAll('[src], [href]')].map(e => e.getAttribute('src') ?? e.getAttribute('href'))"
    )
    for target in json.loads(tab.value(f"JSON.stringify({sources})")):
        assert target.startswith(("#", "data:")), target
    assert tab.value("document.scripts.length") == 0


def test_the_policy_of_the_page_forbids_requests(tab: Tab) -> None:
    """An image added to a copy of the document is refused by the page's own policy, not by luck."""
    policy = tab.value("document.querySelector('meta[http-equiv=Content-Security-Policy]').content")
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_nothing_is_logged(tab: Tab) -> None:
    assert [entry["entry"]["text"] for entry in tab.reported("Log.entryAdded")] == []
    assert tab.reported("Runtime.exceptionThrown") == []
    assert tab.reported("Runtime.consoleAPICalled") == []


def test_every_figure_is_there_and_described(tab: Tab) -> None:
    n_figures = tab.value("document.querySelectorAll('figure').length")
    assert n_figures >= 10
    assert n_figures == tab.value("document.querySelectorAll('figure:has(svg[role=img])').length")
    described = json.loads(
        tab.value(
            "JSON.stringify([...document.querySelectorAll('svg:not([aria-hidden])')]"
            ".map(e => [e.getAttribute('role'), e.getAttribute('aria-label') || '', e.getBoundingClientRect().width]))"
        )
    )
    for role, label, width in described:
        assert role == "img"
        assert len(label) > 20
        assert width > 40
    assert tab.value("document.querySelectorAll('[id]').length") == tab.value(
        "new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"
    )
    tree = tab("Accessibility.getFullAXTree")["nodes"]
    images = [node for node in tree if node.get("role", {}).get("value") in ("image", "img") and not node["ignored"]]
    assert len(images) >= n_figures
    assert all(node["name"]["value"] for node in images)


def test_links_lead_to_headings(tab: Tab) -> None:
    assert tab.value("document.querySelectorAll('nav a').length") >= 5
    assert tab.value(
        "[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.getAttribute('href')))"
    )
    assert tab.value("document.querySelectorAll('h1').length") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(tab: Tab, scheme: str) -> None:
    tab.media(scheme=scheme)
    found = json.loads(tab.value(_CONTRASTS))
    tab.media()
    assert len(found) > 5
    assert {name: round(ratio, 2) for name, ratio in found.items() if ratio < LEAST_CONTRAST} == {}


@pytest.mark.parametrize("width", [400, 700, 1400])
def test_nothing_spills_over_the_edge(tab: Tab, width: int) -> None:
    tab.size(width, 800, mobile=width < 500)
    spilling = json.loads(tab.value(_SPILLING))
    inner, content = (
        tab.value("document.documentElement.clientWidth"),
        tab.value("document.documentElement.scrollWidth"),
    )
    tab.size(1100, 900)
    assert spilling == []
    assert inner == width
    assert content <= inner


def test_paper_shows_what_is_folded_and_cuts_nothing(tab: Tab) -> None:
    tab.size(700, 900)
    tab.media(medium="print")
    ground = tab.value("getComputedStyle(document.body).backgroundColor")
    spilling = tab.value(
        "[...document.querySelectorAll('figure svg')].every(e => e.getBoundingClientRect().right < 720)"
    )
    tab.media()
    tab.size(1100, 900)
    assert ground == "rgb(255, 255, 255)"
    assert spilling
