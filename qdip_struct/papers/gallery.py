"""The page of the five papers: what each states, what comes out, its structures, curves, strains and energies."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from qdip_struct import __version__
from qdip_struct.base.files import read_text
from qdip_struct.report.html import Markup, Page

_SEEN = ("x", "y", "z")


def gallery_page(document: Mapping[str, Any], *, folder: Path) -> str:
    """The whole page as HTML text.

    Parameters
    ----------
    document
        The JSON document of ``qdip papers``.
    folder
        Where its structures and figures are.
    """
    page = Page("Dots in perovskites: the five papers, recomputed and built")
    _summary(page, document)
    page.contents()
    for paper in dict.fromkeys(entry["paper"] for entry in document["statements"]):
        _paper(page, document, paper, folder=folder)
    _energies(page, document)
    page.heading("Where the numbers come from")
    page.paragraph(
        f"Made by qdip_struct {__version__} with 'qdip papers'. Statements: structures/published_statements.yaml; "
        "systems: workflows/papers/systems.yaml. Every computed value passes through the functions named beside it; "
        "structures were built by the commands shown, and measured afterwards."
    )
    return page.text()


def _summary(page: Page, document: Mapping[str, Any]) -> None:
    page.paragraph(f"{len(document['statements'])} numeric statements: {document['sums']}.")
    page.paragraph(
        "A statement holds when the value computed under the paper's own condition is within the tolerance; where it "
        "differs, by how much, and under which other condition it would hold."
    )
    if document["changed"]:
        page.warning(f"Not as recorded, a function of the package has changed: {', '.join(document['changed'])}.")
    for system in document["systems"]:
        for fault in system["faults"]:
            page.warning(f"{system['id']}: {fault}")


def _paper(page: Page, document: Mapping[str, Any], paper: str, *, folder: Path) -> None:
    own = [entry for entry in document["statements"] if entry["paper"] == paper]
    page.heading(own[0]["citation"])
    if own[0]["doi"]:
        page.paragraph(f"doi:{own[0]['doi']}")
    rows = [row[1:] for row in document["rows"] if row[0] == paper]
    header = ("statement", "stated", "computed", "how", "verdict")
    marked = [(*row[:-1], _marked(row[-1])) for row in rows]
    page.table(header, marked, caption=f"What {paper} states, and what comes out")
    for curve in document["curves"]:
        if curve["paper"] == paper:
            _figure(page, curve, folder=folder)
    for system in document["systems"]:
        if system["paper"] == paper:
            _system(page, system, folder=folder)
    for strain in document["strains"]:
        if strain["paper"] == paper:
            _strain(page, strain, folder=folder)


def _marked(verdict: str) -> Markup:
    """The verdict with its first words set off when it is not that the statement holds."""
    word = next((word for word in ("differs", "not answerable here") if verdict.startswith(word)), "")
    rest = escape(verdict.removeprefix(word))
    return Markup(f"<strong>{word}</strong>{rest}" if word else rest)


def _figure(page: Page, item: Mapping[str, Any], *, folder: Path) -> None:
    page.heading(_capital(item["title"]), level=3)
    svg = read_text(folder / item["figure"])
    page.figure(svg[svg.index("<svg") :], caption=f"{_capital(item['title'])}.", alt=item["title"])
    page.paragraph(f"qdip {item['commands'][0]}")


def _system(page: Page, system: Mapping[str, Any], *, folder: Path) -> None:
    from qdip_struct.materials.structure_files import read_structure

    page.heading(_capital(system["title"]), level=3)
    page.paragraph(system["about"])
    rows = [
        (
            name,
            f"{facts['n_atoms']:.0f}",
            f"{facts['edge_angstrom']:.3f}",
            f"{facts['formal_charge']:+.0f}" if facts["formal_charge"] else "0",
            f"{facts['electrons']:.0f}",
            f"{facts['shortest_distance_angstrom']:.3f}",
            None if facts["diameter_angstrom"] is None else f"{facts['diameter_angstrom']:.2f}",
            None if facts["volume_fraction"] is None else f"{facts['volume_fraction']:.4f}",
        )
        for name, facts in system["structures"].items()
    ]
    header = (
        "structure",
        "atoms",
        "edge (Å)",
        "charge (e)",
        "valence electrons",
        "shortest (Å)",
        "dot (Å)",
        "fraction",
    )
    page.table(header, rows, caption="Measured on the structures; dot: diameter of the sphere of its volume")
    if system["structures"]:
        name = list(system["structures"])[-1]
        _projections(page, read_structure(folder / "systems" / system["id"] / system["structures"][name]["file"]), name)
    for warning in system["warnings"]:
        page.note(_capital(warning.removeprefix("warning: ")))
    page.paragraph("; ".join(f"qdip {command}" for command in system["commands"]))


def _projections(page: Page, atoms: Any, name: str) -> None:
    from qdip_struct.report.structure_plots import SLICE_ABOVE, SLICE_ANGSTROM, key_markup, middle_slice, projection_svg

    large = len(atoms) > SLICE_ABOVE
    panels = []
    for axis, letter in enumerate(_SEEN):
        part = middle_slice(atoms, axis=axis) if large else atoms
        panels.append((projection_svg(part, axis=axis), f"{name} seen along {letter}, {len(part)} atoms drawn."))
    seen = f"Slices of {SLICE_ANGSTROM:g} Å through the middle, seen" if large else "Seen"
    page.panels(
        panels,
        caption=f"{_capital(name)}, as built. {seen} along x, y and z; disc sizes follow covalent radii.",
        key=key_markup(sorted(set(atoms.get_chemical_symbols()))),
    )


def _strain(page: Page, item: Mapping[str, Any], *, folder: Path) -> None:
    _figure(page, item, folder=folder)
    answer = item["answer"]
    rows = [
        (f"{name.replace('_', ' ')}, against bulk", _percent(region["mean"]), _percent(region["stderr"], sign=False))
        for name, region in answer["regions"].items()
    ]
    rows += [
        (f"{name.replace('_', ' ')}, against the dot in vacuum", _percent(r["mean"]), _percent(r["stderr"], sign=False))
        for name, r in (answer.get("to_reference") or {}).items()
    ]
    rows += [
        (f"row of {line['n_spacings']} spacings along {_axis(line['direction'])}, against vacuum",
         _percent(line["strain_to_reference"]), None)
        for line in answer["lines"] if line.get("strain_to_reference") is not None
    ]  # fmt: skip
    if answer.get("continuum"):
        rows.append(("isotropic inclusion in this cell", _percent(answer["continuum"]["dot_strain"]), None))
    page.table(("strain", "mean (%)", "standard error (%)"), rows, caption=f"{_capital(answer['measure'])} strain")


def _energies(page: Page, document: Mapping[str, Any]) -> None:
    if not document["groups"]:
        return
    from qdip_struct.report.energy_plots import draw_energies
    from qdip_struct.report.figures import draw
    from qdip_struct.report.sections.energies import energy_rows

    page.heading("Interface energies of the finished studies")
    page.paragraph(
        "γ = (E_slab - N E_bulk - m E_reservoir)/2A; E_ad = (E_film + E_substrate - E_interface)/A, positive when the "
        "two bind; γ_int = γ_film + γ_substrate - E_ad, in meV/Å². What each study computed is in its folder."
    )
    stated = "; ".join(dict.fromkeys(f"{e['label']} {e['stated']:g}" for e in document["energies"]))
    if stated:
        page.note(f"Ning et al. state {stated} meV/Å² for relaxed slabs of seven layers each.")
    for item in document["refused"]:
        page.warning(f"not combined: {', '.join(item['paths'])}: {item['reason']}")
    for group in document["groups"]:
        rows = energy_rows(group)
        if not rows:
            continue
        page.heading(f"{group['group']} (workflows/{group['folder']})", level=3)
        page.figure(
            draw(lambda ax, rows=rows: draw_energies(ax, rows), size=(7.5, 0.8 + 0.42 * len(rows))),
            caption=f"Energies per area of {group['group']}, A = {group['area_angstrom2']:.3f} Å².",
            alt="; ".join(f"{row['label']} {row['value']:.1f} meV/Å²" for row in rows),
        )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _percent(value: float | None, *, sign: bool = True) -> str | None:
    if value is None:
        return None
    return f"{100.0 * value:+.3f}" if sign else f"{100.0 * value:.3f}"


def _axis(direction: Sequence[float]) -> str:
    names = [name for name, part in zip(_SEEN, direction, strict=True) if abs(part) > 0.5]
    return names[0] if len(names) == 1 else " ".join(f"{part:g}" for part in direction)
