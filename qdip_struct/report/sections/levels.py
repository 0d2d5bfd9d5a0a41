"""Levels: gap, where HOMO and LUMO live, states inside the gap, densities of states by region."""

from typing import Any

from qdip_struct.analysis.electrons.orbitals import orbital_document
from qdip_struct.analysis.electrons.run_levels import LevelDocument, level_document
from qdip_struct.base.errors import QdipError
from qdip_struct.cp2k.outputs.trajectory import side_files
from qdip_struct.report.figures import draw
from qdip_struct.report.html import MANY, Page, fixed, shares
from qdip_struct.report.memory import Memory
from qdip_struct.report.study import RunState, Study
from qdip_struct.runs.rundir import RECORD


def add_levels(page: Page, study: Study, memory: Memory) -> None:
    """One row for each run with projected densities of states or orbital cubes and each document of ``qdip levels``."""
    found = [(study.name(result.path), result.content) for result in study.of(LevelDocument)]
    found += [
        (study.name(state.folder.path), document)
        for state in study.runs
        if (document := _document(state, memory)) is not None
    ]
    if not found:
        return
    page.heading("Levels")
    page.paragraph(
        "Shares of CP2K's projection on the builder's regions (of |ψ|² where a run wrote orbital cubes and no "
        "projection), averaged over levels within 0.01 eV. A state in the gap lies strictly between the outermost "
        "levels that have at least half of their weight on the host."
    )
    rows = []
    for name, document in found:
        inside = document["in_gap"]
        states = None if inside is None or inside["reason"] is not None else len(inside["states"])
        homo, lumo = document["homo"], document["lumo"]
        rows.append(
            (
                name,
                fixed(document["gap_ev"], 3),
                *((None, None) if homo is None else (homo["home"] or "shared", shares(homo["weights"]))),
                *((None, None) if lumo is None else (lumo["home"] or "shared", shares(lumo["weights"]))),
                None if inside is None else inside["host"],
                states,
            )
        )
    header = ("run", "gap (eV)", "HOMO on", "shares", "LUMO on", "shares", "host", "states in its gap")
    page.table(header, rows, caption="Gap and localisation")
    for name, document in found[:MANY]:
        if document["pdos"] is not None:
            _densities(page, name, document, memory)
    for name, document in found[:MANY]:
        for text in document.get("notes", []):
            page.note(f"{name}: {text}.")
        _alignment(page, name, document.get("alignment"))
    _orbitals(page, found)
    _comparisons(page, found)


def _document(state: RunState, memory: Memory) -> dict[str, Any] | None:
    run = state.run
    if run is None or run.scf_converged is not True:
        return None
    files = side_files(run)
    pdos = files.pdos
    cubes = [path for name, path in files.cubes.items() if name.startswith("WFN_")]
    if not pdos and not cubes:
        return None
    folder = state.folder.path

    def make() -> dict[str, Any]:
        try:
            orbitals = orbital_document(folder, run)
            return {**level_document(folder, run, orbitals=orbitals), "orbitals": orbitals}
        except QdipError as error:
            return {"failed": str(error)}

    found = memory.document(
        "levels", files=[*pdos, *cubes, folder / RECORD], parameters=[str(folder), run.status], make=make
    )
    return None if "failed" in found else found


def _densities(page: Page, name: str, document: dict[str, Any], memory: Memory) -> None:
    from qdip_struct.report.electron_plots import draw_levels

    svg = memory.figure(
        "levels", content=document, make=lambda: draw(lambda ax: draw_levels(ax, document), size=(4.9, 3.1))
    )
    gap = "unknown" if document["gap_ev"] is None else f"{document['gap_ev']:.3f} eV"
    homo, lumo = (
        "unknown" if edge is None else (edge["home"] or "shared") for edge in (document["homo"], document["lumo"])
    )
    page.figure(
        svg,
        caption=f"Density of states of {name} by region, Gaussians of {document['pdos']['sigma_ev']:g} eV; dashed "
        "lines are HOMO and LUMO, triangles states in the host's gap.",
        alt=f"Projected densities of states of {name} on {', '.join(document['projected_on'])}. Gap {gap}; HOMO on "
        f"{homo}, LUMO on {lumo}.",
    )


def _orbitals(page: Page, found: list[tuple[str, dict[str, Any]]]) -> None:
    rows = [
        (name, item["name"], item["spin"], item["home"] or "shared", shares(item["shares"]))
        for name, document in found
        for item in document.get("orbitals") or []
    ]
    if rows:
        header = ("run", "orbital", "spin", "lives on", "shares of |ψ|²")
        page.table(header, rows, caption="Orbitals on the grid, every point with its nearest atom")


def _comparisons(page: Page, found: list[tuple[str, dict[str, Any]]]) -> None:
    for _, document in found:
        pair = document.get("comparison")
        if pair:
            one, other = pair["paths"]
            moved = " and ".join(edge.upper() for edge in pair["moved"]) or "neither HOMO nor LUMO"
            page.paragraph(
                f"From {one} to {other}, {moved} moved to another region; states in the gap of {pair['host']}: "
                f"{pair['n_states_in_gap'][0]} and {pair['n_states_in_gap'][1]}."
            )


def _alignment(page: Page, name: str, alignment: dict[str, Any] | None) -> None:
    if alignment is not None:
        one, other = alignment["materials"]
        page.paragraph(
            f"Band alignment of {one} and {other} ({name}): type {alignment['type']}; valence edge of {other} "
            f"{alignment['valence_offset_ev']:+.3f} eV, conduction edge {alignment['conduction_offset_ev']:+.3f} eV "
            f"above those of {one}."
        )
