"""Structures: three projections of each, and the facts that its builder reported."""

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from qdip_struct.base.errors import QdipError
from qdip_struct.builders.atoms.store import StructureRecord
from qdip_struct.builders.roles import Role, RoleKind, role_of
from qdip_struct.report.html import MANY, Page, atoms_text, count_of
from qdip_struct.report.memory import Memory
from qdip_struct.report.study import RunState, Study
from qdip_struct.runs.rundir import STRUCTURE, RunFolder

if TYPE_CHECKING:
    from ase import Atoms

PICTURED: tuple[RoleKind, ...] = ("interface", "embedded", "dot", "single")
"""Kinds of roles that are shown, in this order; a study without any of them shows all of its structures."""


def add_structures(page: Page, study: Study, memory: Memory) -> None:
    """Every distinct structure once; after the first dozen the others are folded away."""
    del memory
    chosen = [state for state in study.runs if role_of(state.folder.role).kind in PICTURED] or list(study.runs)
    if not chosen:
        return
    distinct: dict[str, list[RunState]] = {}
    for state in sorted(chosen, key=lambda state: _rank(role_of(state.folder.role))):
        distinct.setdefault(state.folder.record.structure_sha256, []).append(state)
    page.heading("Structures")
    shown = list(distinct.values())
    for same in shown[:MANY]:
        _structure(page, study, same)
    if len(shown) > MANY:
        with page.folded(f"{count_of(len(shown) - MANY, 'more structure')}"):
            for same in shown[MANY:]:
                _structure(page, study, same)


def _rank(role: Role) -> tuple[int, int]:
    return PICTURED.index(role.kind) if role.kind in PICTURED else len(PICTURED), role.n_interfaces


def _structure(page: Page, study: Study, same: list[RunState]) -> None:
    from qdip_struct.materials.structure_files import read_structure
    from qdip_struct.runs.collection import final_structure

    state = same[0]
    record = state.folder.record
    name = study.name(state.folder.path)
    page.heading(
        f"{name}: {state.folder.role}, {'unknown' if record.n_atoms is UNSET else record.n_atoms} atoms", level=3
    )
    if len(same) > 1:
        page.paragraph(f"The same start in {', '.join(study.name(other.folder.path) for other in same[1:])}.")
    relaxed = None
    try:
        if state.run is not None and state.run.moved:
            relaxed = final_structure(state.folder.path, state.run)
        atoms = read_structure(state.folder.path / STRUCTURE) if relaxed is None else relaxed
    except QdipError as error:
        page.note(str(error))
        return
    _projections(page, atoms, name=name, how="relaxed" if relaxed is not None else "as built")
    _facts(page, state.folder)


def _projections(page: Page, atoms: "Atoms", *, name: str, how: str) -> None:
    from qdip_struct.report.structure_plots import (
        SLICE_ABOVE,
        SLICE_ANGSTROM,
        key_markup,
        middle_slice,
        projection_svg,
        repeated,
    )

    large = len(atoms) > SLICE_ABOVE
    counts: dict[str, int] = {}
    for symbol in atoms.get_chemical_symbols():
        counts[symbol] = counts.get(symbol, 0) + 1
    shown, times = repeated(atoms)
    panels = []
    for axis in range(3):
        part = middle_slice(shown, axis=axis) if large else shown
        seen = f"slice of {SLICE_ANGSTROM:g} Å through the middle of" if large else "all of"
        alt = f"{name}, {how}, seen along {'xyz'[axis]}: {seen} {atoms_text(counts)}, {len(part)} atoms drawn."
        panels.append((projection_svg(part, axis=axis), alt))
    seen = f"Slices of {SLICE_ANGSTROM:g} Å through the middle, seen" if large else "Seen"
    often = "" if times == (1, 1, 1) else f" Drawn {times[0]}×{times[1]} times in the plane."
    page.panels(
        panels,
        caption=f"{name}, {how}. {seen} along x, y and z; disc sizes follow covalent radii.{often}",
        key=key_markup(list(counts)),
    )


def _facts(page: Page, folder: RunFolder) -> None:
    record, report = folder.record, folder.record.structure or StructureRecord()
    rows: list[tuple[str, Any]] = [("composition", atoms_text(record.composition or {}))]
    charge = report.formal_charge
    if charge:
        rows.append(("formal charge (e)", ", ".join(f"{k} {v:+d}" if v else f"{k} 0" for k, v in charge.items())))
    rows.append(("valence electrons", record.n_electrons or None))
    if report.changes:
        swaps = [f"{c.get('action')} {c.get('from')} → {c.get('to')}" for c in report.changes]
        changed = "; ".join(f"{swaps.count(kind)} × {kind}" for kind in dict.fromkeys(swaps))
        rows.append(("changed to be neutral", changed))
    for value, label, form in (
        (report.volume_fraction, "volume fraction of the dot", "{:.4f}"),
        (report.min_distance_angstrom, "shortest distance (Å)", "{:.3f}"),
        (report.gap_angstrom, "gap (Å)", "{:.3f}"),
        (report.termination, "termination", "{}"),
        (report.registry, "registry", "{}"),
    ):
        if isinstance(value, dict):
            rows.append((label, value.get("meaning") or value.get("name")))
        elif value is not None:
            rows.append((label, form.format(value)))
    page.table(("property", "value"), rows, caption=f"Facts about {folder.path.name}")
