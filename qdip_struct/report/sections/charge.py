"""Charge: electrons that moved when the parts met, the potential across slabs, work functions, dipole moments."""

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from qdip_struct.analysis.electrons.dipole import (
    DENSITY,
    HARTREE,
    DifferenceDocument,
    difference_document,
    dipole_document,
)
from qdip_struct.analysis.electrons.run_levels import level_channels, surface_document
from qdip_struct.base.errors import QdipError
from qdip_struct.builders.roles import PARTS
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.cp2k.outputs.trajectory import side_files
from qdip_struct.report.figures import draw
from qdip_struct.report.html import MANY, Page, fixed
from qdip_struct.report.memory import Memory
from qdip_struct.report.study import RunState, Study

_TOGETHER = ("interface", *PARTS)
"""Roles of AB, A and B whose density cubes make a difference."""


def add_charge(page: Page, study: Study, memory: Memory) -> None:
    """Differences of groups with three density cubes, documents of ``qdip charge-difference``, slabs with cubes."""
    differences = _differences(study, memory)
    slabs = [item for item in (_slab(state, memory) for state in study.runs) if item is not None]
    if not differences and not slabs:
        return
    page.heading("Charge and potential")
    if differences:
        page.paragraph(
            "Δρ = ρ_AB - ρ_A - ρ_B, the parts in the geometry they have in AB; positive where electrons were gained. "
            "Δλ(z) is Δρ summed over the planes; it integrates to zero electrons."
        )
    for number, (name, found) in enumerate(differences):
        _difference(page, name, found, memory, pictured=number < MANY)
    _potentials(page, study, slabs, memory)


def _differences(study: Study, memory: Memory) -> list[tuple[str, dict[str, Any]]]:
    from qdip_struct.cp2k.outputs.cube import read_cube

    found = [(study.name(result.path), result.content) for result in study.of(DifferenceDocument)]
    groups: dict[str, dict[str, RunState]] = defaultdict(dict)
    for state in study.runs:
        if state.run is not None and state.run.scf_converged:
            groups[state.folder.group].setdefault(state.folder.role, state)
    for name in sorted(groups):
        states = [groups[name].get(role) for role in _TOGETHER]
        cubes = [side_files(s.run).cubes.get(DENSITY) for s in states if s is not None and s.run is not None]
        paths = [cube for cube in cubes if cube is not None]
        if len(paths) < len(_TOGETHER):
            continue

        def make(paths: list[Path] = paths) -> dict[str, Any]:
            try:
                whole, first, second = (read_cube(path) for path in paths)
                return difference_document(whole, first=first, second=second)
            except QdipError as error:
                return {"failed": str(error)}

        places = [study.name(path) for path in paths]
        found.append((name, memory.document("difference", files=paths, parameters=places, make=make)))
    return found


def _difference(page: Page, name: str, found: dict[str, Any], memory: Memory, *, pictured: bool) -> None:
    from qdip_struct.report.electron_plots import draw_planar, draw_radial_charge

    page.heading(f"Charge difference of {name}", level=3)
    if "failed" in found:
        page.note(f"The density cubes of {name} give no difference: {found['failed']}")
        return
    radial = found["radial"]
    moved = found["displaced_e"]
    if pictured:
        svg = memory.figure(
            "difference",
            content=found,
            make=lambda: draw(
                lambda ax: draw_planar(ax, found["planar"]) if radial is None else draw_radial_charge(ax, radial),
                size=(4.9, 2.9),
            ),
        )
        page.figure(
            svg,
            caption=f"Charge difference of {name}: "
            + ("summed over the planes, against the height." if radial is None else "mean over shells."),
            alt=f"Charge difference of {name} against {'height' if radial is None else 'radius'}; {moved:.3f} "
            f"electrons changed place and the integral is {found['integral_e']:+.1e} electrons.",
        )
    rows = [
        ("electrons that changed place, ½∫|Δρ|dV", fixed(moved, 4)),
        ("∫Δρ dV (e)", f"{found['integral_e']:+.1e}"),
        ("dipole of the displaced charge (e·Å, along the normal)", fixed(found.get("transfer_dipole_e_angstrom"), 4)),
        ("step of the potential it makes, above minus below (eV)", fixed(found.get("transfer_step_ev"), 4)),
    ]
    page.table(("quantity", "value"), rows, caption=f"Charge balance of {name}")
    if not found["balanced"]:
        page.warning(f"∫Δρ dV of {name} is {found['integral_e']:+.4f} e, not zero: the runs hold different electrons.")


def _slab(state: RunState, memory: Memory) -> tuple[RunState, dict[str, Any]] | None:
    """Potential and dipole of a converged run that wrote a Hartree or a density cube."""
    run = state.run
    if run is None or run.scf_converged is not True:
        return None
    files = side_files(run)
    used = [path for key, path in files.cubes.items() if key in (DENSITY, HARTREE)]
    if not used:
        return None
    found = memory.document(
        "slab", files=[*used, *files.pdos], parameters=str(state.folder.path), make=lambda: _measured(state, run)
    )
    return state, found


def _measured(state: RunState, run: Run) -> dict[str, Any]:
    folder = state.folder.path
    fermi = homo = None
    try:
        from qdip_struct.analysis.electrons.levels import highest_occupied

        channels = level_channels(folder, run)
        fermi, top = max(channel.fermi_ev for channel in channels), highest_occupied(channels)
        homo = None if top is None else top.energy_ev
    except QdipError:
        pass
    found: dict[str, Any] = {"fermi_ev": fermi, "surface": None, "dipole": None, "notes": []}
    try:
        found["surface"], found["notes"] = surface_document(folder, run, fermi_ev=fermi, homo_ev=homo)
    except QdipError as error:
        found["notes"] = [str(error)]
    try:
        dipole = dipole_document(folder, run)
        found["dipole"] = dipole if dipole["density"] is not None else None
    except QdipError:
        found["dipole"] = None
    return found


def _potentials(page: Page, study: Study, slabs: list[tuple[RunState, dict[str, Any]]], memory: Memory) -> None:
    from qdip_struct.report.electron_plots import draw_potential

    rows = []
    notes: list[str] = []
    number = 0
    for state, found in slabs:
        surface, name = found["surface"], study.name(state.folder.path)
        notes += found["notes"]
        density = (found["dipole"] or {}).get("density")
        moment = None if density is None else fixed(density["moment_e_angstrom"][2], 4, sign=True)
        debye = None if density is None else fixed(density["moment_debye"][2], 4, sign=True)
        sides = {} if surface is None else {side["side"]: side for side in surface["sides"]}
        work = [fixed((sides.get(side) or {}).get("work_function_ev"), 3) for side in ("upper", "lower")]
        step = fixed((found["dipole"] or {}).get("vacuum_step_ev"), 4, sign=True)
        rows.append((name, *work, moment, debye, step))
        if surface is not None and sides and number < MANY:
            number += 1
            svg = memory.figure(
                "potential",
                content=[surface, found["fermi_ev"]],
                make=partial(
                    draw, partial(draw_potential, surface=surface, fermi_ev=found["fermi_ev"]), size=(4.9, 2.9)
                ),
            )
            levels = ", ".join(f"{side} {facts['vacuum_level_ev']:.3f} eV" for side, facts in sides.items())
            page.figure(
                svg,
                caption=f"Potential energy of an electron across {name}; dotted lines are the vacuum levels.",
                alt=f"Planar average of the Hartree potential of {name} against height. Vacuum levels: {levels}.",
            )
    if rows:
        page.table(
            ("run", "work function, upper (eV)", "lower (eV)", "dipole (e·Å)", "dipole (D)", "vacuum step (eV)"),
            rows,
            caption="Work functions, dipole moments along the normal from the density, step of the vacuum level",
        )
        page.paragraph(
            "Work function: vacuum level minus Fermi level (with orbital transformation the HOMO). Dipole moment: "
            "Σ Z z - ∫ ρ z dV, cut in the middle of the vacuum, 1 e·Å = 4.803 D. A dash: not printed, or no vacuum."
        )
    for text in list(dict.fromkeys(notes))[:MANY]:
        page.note(f"{text[:1].upper()}{text[1:]}.")
