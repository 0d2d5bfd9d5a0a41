"""Diffraction: what ``qdip diffraction`` wrote."""

from qdip_struct.analysis.diffraction.diffraction import DiffractionDocument
from qdip_struct.report.figures import draw
from qdip_struct.report.html import MANY, Page
from qdip_struct.report.memory import Memory
from qdip_struct.report.study import Result, Study

_LISTED = 8


def add_diffraction(page: Page, study: Study, memory: Memory) -> None:
    """One part for each document."""
    if not study.of(DiffractionDocument):
        return
    page.heading("Diffraction")
    for number, result in enumerate(study.of(DiffractionDocument)):
        _document(page, study, result, memory, pictured=number < MANY)


def _document(page: Page, study: Study, result: Result[DiffractionDocument], memory: Memory, *, pictured: bool) -> None:
    from qdip_struct.matching.planes import plane_text

    name, found = study.name(result.path), result.said
    zone = found.zone
    structure = study.name(found.path)
    page.heading(structure, level=3)
    powder = {part.name: part.powder for part in found.parts}
    spots = {part.name: part.spots for part in found.parts}
    if pictured:
        from qdip_struct.report.structure_plots import draw_powder, draw_spots

        lines = "; ".join(f"{part} {len(powder[part])}" for part in powder)
        content = [result.content["parts"], zone]
        panels = [
            (
                memory.figure(
                    "powder", content=content, make=lambda: draw(lambda ax: draw_powder(ax, powder), size=(4.7, 3.6))
                ),
                f"Powder lines of {structure} against 2θ, one above the other; numbers of lines: {lines}.",
            )
        ]
        if zone is not None:
            many = "; ".join(f"{part} {len(spots[part])}" for part in spots)
            svg = memory.figure(
                "spots",
                content=content,
                make=lambda: draw(lambda ax: draw_spots(ax, spots, zone=zone), size=(4.7, 3.9)),
            )
            panels.append((svg, f"Fourier spots of {structure} along {list(zone)}; numbers of spots: {many}."))
        page.panels(
            panels,
            caption=f"{structure}: powder lines at {found.wavelength_angstrom:g} Å"
            + ("." if zone is None else f", and Fourier spots along [{' '.join(map(str, zone))}]."),
        )
    for part in spots:
        if spots[part]:
            page.table(
                ("plane", "d (Å)", "strength", "turn (°)"),
                [
                    (plane_text(s.hkl), f"{s.spacing_angstrom:.3f}", f"{s.strength:.3f}", f"{s.azimuth_degree:.2f}")
                    for s in spots[part][:_LISTED]
                ],
                caption=f"Strongest spots of {part} ({name}); the turn is the angle from the first",
            )
    if found.between is not None:
        one, other = map(plane_text, found.between.hkl)
        page.paragraph(f"The spots {one} and {other} make an angle of {found.between.angle_degree:.2f}°.")
    for phase in found.fringe.phases if found.fringe is not None else ():
        if phase.can_show is not None and found.fringe is not None:
            verb = "can show" if phase.can_show else "cannot show"
            page.paragraph(f"{phase.phase} {verb} a fringe of {found.fringe.spacing_angstrom:g} Å.")
