"""Misfit: what ``qdip screen`` found, composition by composition."""

from typing import Any

from qdip_struct.report.figures import draw
from qdip_struct.report.html import Page, fixed
from qdip_struct.report.memory import Memory
from qdip_struct.report.study import Study


def add_misfit(page: Page, study: Study, memory: Memory) -> None:
    """One part for each pair of dot and matrix."""
    if not study.screens:
        return
    page.heading("Misfit")
    for screen in study.screens:
        _pair(page, screen, memory)


def zero_misfit_text(screen: dict[str, Any]) -> str:
    """Where the lattices meet."""
    found = "; ".join(
        f"{match['formula']} ({_fraction(match)}{match['a_angstrom']:.4f} Å)" for match in screen["zero_mismatch"]
    )
    return found or "at no composition"


def _fraction(match: dict[str, Any]) -> str:
    return "" if match["fraction"] is None else f"fraction {match['fraction']:.3f}, "


def _pair(page: Page, screen: dict[str, Any], memory: Memory) -> None:
    from qdip_struct.report.lattice_plots import draw_misfit

    dot, matrix = screen["dot"], screen["matrix"]
    page.heading(f"{dot['name']} in {matrix['name']}", level=3)
    own = "varies" if dot["a_angstrom"] is None else f"= {dot['a_angstrom']:g} Å"
    page.paragraph(
        f"Data set {screen['dataset']}; f = (a_matrix - a_dot)/a_{screen['denominator']}, f > 0 stretches the dot. "
        f"a({dot['name']}) {own} ({dot['source']}). Zero misfit: {zero_misfit_text(screen)}."
    )
    for remark in screen.get("remarks", []):
        page.note(f"{remark[:1].upper()}{remark[1:]}.")
    svg = memory.figure(
        "misfit",
        content=screen,
        make=lambda: draw(lambda ax: draw_misfit(ax, screen), size=(4.9, 3.1)),
    )
    page.figure(
        svg,
        caption=f"Misfit of {dot['name']} in {matrix['name']} against composition, in percent.",
        alt=f"Line plot of the misfit of {dot['name']} in {matrix['name']} against composition. "
        f"Zero misfit: {zero_misfit_text(screen)}.",
    )
    points = screen["points"]
    step = max(1, (len(points) - 1) // 10)
    rows = [
        (p["formula"], fixed(p["fraction"], 2), f"{p['a_matrix_angstrom']:.4f}", f"{100 * p['mismatch']:+.2f} %")
        for p in points[::step]
        if p["fraction"] is not None
    ]
    page.table(("composition", "fraction", "a (Å)", "misfit"), rows, caption=f"Misfit table of {dot['name']}")
