"""Strain: what ``qdip strain`` wrote, and the strain of the structures that the study relaxed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from qdip_struct.analysis.strain.strain_summary import StrainDocument
from qdip_struct.base.errors import QdipError
from qdip_struct.cp2k.outputs.trajectory import side_files
from qdip_struct.report.figures import draw
from qdip_struct.report.html import MANY, Page, fixed, percent
from qdip_struct.report.memory import Memory
from qdip_struct.report.study import Result, RunState, Study
from qdip_struct.runs.rundir import RECORD, STRUCTURE

if TYPE_CHECKING:
    from ase import Atoms


_BETWEEN = "<!-- next -->"


def add_strain(page: Page, study: Study, memory: Memory) -> None:
    """One part for each document and each relaxed run; files with strain arrays that no document speaks of last."""
    relaxed = [state for state in study.runs if state.run is not None and state.run.moved]
    spoken = {_structure_of(result) for result in study.of(StrainDocument)}
    others = [path for path in study.labelled if path not in spoken]
    if not study.of(StrainDocument) and not relaxed and not others:
        return
    page.heading("Strain")
    page.paragraph(
        "Of every cation against the lattice of its own phase, without a reference configuration; the measure and the "
        "reference lattice are named with each number. Mean ± standard error over the cations."
    )
    for result in study.of(StrainDocument):
        _document(page, study, memory, result)
    unmeasured = []
    for number, state in enumerate(relaxed):
        reason = _run(page, study, memory, state, pictured=number < MANY)
        if reason:
            unmeasured.append(f"{study.name(state.folder.path)}: {reason}")
    for reason in unmeasured[:MANY]:
        page.note(f"No strain of {reason}")
    for path in others:
        _arrays(page, study, path)


def _structure_of(result: Result[StrainDocument]) -> Path:
    return result.path.parent / Path(result.said.structure or result.path.with_suffix(".extxyz")).name


def _document(page: Page, study: Study, memory: Memory, result: Result[StrainDocument]) -> None:
    from qdip_struct.analysis.strain.reference import built_from
    from qdip_struct.analysis.strain.strain_summary import summarise
    from qdip_struct.materials.structure_files import read_structure

    name, said = study.name(result.path), result.said
    page.heading(said.structure or name, level=3)
    structure = _structure_of(result)
    figure = None
    if structure.is_file():
        lattices = {phase: own.reference_lattice_angstrom for phase, own in said.phases.items()}

        measure = said.measure

        def make() -> str:
            try:
                built = built_from(structure)
                return _drawn(summarise([read_structure(structure)], lattices=lattices, built=built, measure=measure))
            except QdipError:
                return ""

        content = [measure, lattices, memory.hash_of(structure)]
        figure = memory.figure("strain", content=content, make=make) or None
    _figure_and_tables(page, said, figure, name=name)


def _run(page: Page, study: Study, memory: Memory, state: RunState, *, pictured: bool) -> str | None:
    """Strain of a relaxed run; the reason why there is none."""
    from qdip_struct.analysis.strain.reference import built_as_said
    from qdip_struct.analysis.strain.strain_summary import summarise
    from qdip_struct.runs.collection import final_structure

    run, folder = state.run, state.folder.path
    if run is None:
        return None
    positions = side_files(run).positions
    if positions is None:
        return "the run left no trajectory"

    def relaxed() -> "Atoms":
        found = final_structure(folder, run)
        assert found is not None
        return found

    said = json.loads((folder / RECORD).read_bytes()).get("structure") or {}
    built = built_as_said(said, where=folder / RECORD)

    def measure() -> dict[str, Any]:
        try:
            return summarise([relaxed()], built=built).to_dict()
        except QdipError as error:
            return {"failed": str(error)}

    files = (positions, folder / STRUCTURE, folder / RECORD)
    found = memory.document("strain", files=files, parameters=None, make=measure)
    if "failed" in found:
        return str(found["failed"])
    figure = None
    if pictured:
        content = [memory.hash_of(file) for file in files]
        figure = memory.figure(
            "strain of run", content=content, make=lambda: _drawn(summarise([relaxed()], built=built))
        )
    page.heading(f"{study.name(folder)}, relaxed", level=3)
    _figure_and_tables(page, msgspec.convert(found, StrainDocument), figure, name=study.name(folder))
    return None


def _drawn(summary: Any) -> str:
    """The map of a slice, then the profile: two SVGs, one after the other."""
    from qdip_struct.analysis.strain.measures import mean_strain
    from qdip_struct.report.strain_plots import draw_layers, draw_radial_strain, draw_slice

    sight = 2 if summary.of_role("dot") is not None else 1
    label = f"mean {summary.measure} strain (%)"
    values = 100 * mean_strain(summary.tensor)
    profile = draw_radial_strain if summary.profile else draw_layers
    return _BETWEEN.join(
        (
            draw(lambda ax: draw_slice(ax, summary, values, label=label, axis=sight), size=(4.6, 3.8)),
            draw(lambda ax: profile(ax, summary), size=(4.8, 3.8)),
        )
    )


def _figure_and_tables(page: Page, found: StrainDocument, figure: str | None, *, name: str) -> None:
    measure = found.measure
    regions = {region: own for region, own in found.regions.items() if own.mean is not None}
    means = "; ".join(f"{region} {100 * (own.mean or 0.0):+.2f} %" for region, own in regions.items())
    if figure is not None:
        across, along = figure.split(_BETWEEN)
        page.panels(
            (
                (across, f"Strain map of a slice of {name}. Mean {measure} strain: {means}."),
                (along, f"Profile of the {measure} strain of {name}. Mean by region: {means}."),
            ),
            caption=f"Strain of {name}: a slice with every cation coloured by its mean {measure} strain, and the "
            "profile. Grey points are the other atoms.",
        )
    page.table(
        ("region", "cations", f"mean {measure} strain (%)", "± (%)", "spread (%)"),
        [
            (region, own.n, *(fixed(100 * (value or 0.0), 3) for value in (own.mean, own.stderr, own.std)))
            for region, own in regions.items()
        ],
        caption=f"Strain by region of {name}",
    )
    references = "; ".join(
        f"{phase} {own.reference_lattice_angstrom:.4f} Å ({own.reference_source})"
        for phase, own in found.phases.items()
    )
    if references:
        page.paragraph(f"Reference lattices: {references}.")
    if found.to_reference:
        page.table(
            ("region", "cations", "mean (%)", "± (%)"),
            [
                (region, change.n, percent(change.mean, 3), percent(change.stderr, 3))
                for region, change in found.to_reference.items()
            ],
            caption=f"Strain of {name} against the same dot in vacuum",
        )
    continuum = found.continuum
    if continuum is not None:
        page.paragraph(
            f"Isotropic elasticity predicts a dot strain of {100 * continuum.dot_strain:.2f} % in the fixed cell "
            f"and {100 * continuum.dot_strain_infinite_matrix:.2f} % in an infinite matrix for a misfit of "
            f"{100 * continuum.misfit:.2f} % at a volume fraction of {continuum.volume_fraction:.3f}."
        )
    if found.undefined:
        page.note(f"{found.undefined} cations have fewer than three non-coplanar neighbours: they carry no strain.")


def _arrays(page: Page, study: Study, path: Path) -> None:
    import numpy as np

    from qdip_struct.materials.structure_files import read_structure

    name = study.name(path)
    try:
        atoms = read_structure(path)
    except QdipError as error:
        page.note(str(error))
        return
    strain = np.asarray(atoms.arrays["strain_mean"], dtype=float)
    region = np.asarray(atoms.arrays.get("region", ["all"] * len(atoms)), dtype=str)
    rows = []
    for label in sorted(set(region.tolist())):
        values = strain[(region == label) & np.isfinite(strain)]
        if len(values):
            rows.append((label, len(values), f"{100 * values.mean():.3f}", f"{100 * values.std():.3f}"))
    if rows:
        page.heading(name, level=3)
        page.table(("region", "cations", "mean strain (%)", "spread (%)"), rows, caption=f"Strain arrays of {name}")
