"""The runs: warnings before everything else, convergence, and where every number comes from."""

from functools import partial
from html import escape

import numpy as np

from qdip_struct import __version__
from qdip_struct.base.errors import UsageError
from qdip_struct.campaign.convergence import ConvergenceDocument
from qdip_struct.cp2k.inputs.presets import get_preset
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.report.figures import draw
from qdip_struct.report.html import MANY, Markup, Page, count_of, fixed
from qdip_struct.report.memory import Memory
from qdip_struct.report.study import SHIPPED, Study
from qdip_struct.runs.rundir import RunFolder


def add_cautions(page: Page, study: Study, memory: Memory) -> None:
    """Shipped runs, unfinished runs, refused combinations, unreadable files; then what the settings cost."""
    del memory
    shipped = [state for state in study.runs if state.folder.record.origin == SHIPPED]
    if shipped:
        page.warning(
            f"{len(shipped)} of the runs on this page were shipped with the package and were not run here. "
            "Their outputs are real, made by CP2K with the inputs shown."
        )
    unfinished = [
        f"{study.name(state.folder.path)} is not finished: {state.status}. {state.reason}"
        for state in study.runs
        if state.status not in ("done", "prepared")
    ]
    _many(page, unfinished, f"{count_of(len(unfinished), 'run')} did not finish and give no energy.")
    prepared = sum(state.status == "prepared" for state in study.runs)
    if prepared:
        page.note(f"{prepared} of {count_of(len(study.runs), 'run')} are prepared and have not been started.")
    inside = f"{study.path}/"
    refused = [
        f"not combined: {', '.join(map(study.name, i['paths']))}: {i['reason'].replace(inside, '')}"
        for i in study.energies["refused"]
    ]
    _many(page, refused, f"{count_of(len(refused), 'combination')} of runs refused.")
    _many(page, [item.reason for item in study.skipped], f"{count_of(len(study.skipped), 'file')} could not be read.")
    for cost in dict.fromkeys(_cost(state.folder) for state in study.runs if state.run is not None):
        if cost:
            page.note(cost)


def _many(page: Page, texts: list[str], summary: str) -> None:
    """Every text as a warning; many of them behind one."""
    if len(texts) <= MANY:
        for text in texts:
            page.warning(text)
        return
    page.warning(summary)
    with page.folded("Each of them with its reason"):
        page.listing(texts)


def _cost(folder: RunFolder) -> str:
    asked = folder.record.parameters
    if asked is None or asked.preset is None:
        return ""
    try:
        preset = get_preset(asked.preset)
    except UsageError:
        return ""
    return f"Settings: preset '{preset.name}' ({preset.about}). What they cost: {preset.cost}."


_WIDTH, _HEIGHT = 90.0, 22.0
_FLOOR_EV = 1e-6


def add_runs(page: Page, study: Study, memory: Memory) -> None:
    """Tables of all runs, figures of the convergence studies among the results."""
    if not study.runs and not study.of(ConvergenceDocument):
        return
    page.heading("Convergence of every run")
    if study.runs:
        _table(page, study)
    for result in study.of(ConvergenceDocument):
        from qdip_struct.report.energy_plots import draw_convergence

        found = result.said
        if sum(point.difference_mev_per_atom is not None for point in found.points) < 2:
            continue
        svg = memory.figure(
            "convergence",
            content=result.content,
            make=partial(draw, partial(draw_convergence, document=result.content), size=(4.9, 2.9)),
        )
        values = ", ".join(f"{point.value:g}" for point in found.points)
        page.figure(
            svg,
            caption=f"Convergence with {found.vary} ({study.name(result.path)}); the dashed line is 1 meV/atom.",
            alt=f"Distance of the energy from its finest value against {found.vary} in {found.unit}: {values}.",
        )


def _table(page: Page, study: Study) -> None:
    rows = []
    optimised = any(state.run is not None and state.run.geo_converged is not None for state in study.runs)
    for state in study.runs:
        run, record = state.run, state.folder.record
        mesh = record.settings.kpoints
        row = [
            study.name(state.folder.path),
            state.folder.role,
            state.status,
            _yes(run.scf_converged) if run else None,
            record.n_atoms or None,
            "x".join(map(str, mesh)) if mesh else "Γ",
            fixed(run.energy_ev, 6) if run else None,
            _force(run),
            fixed(run.wall_time_s, 0) if run else None,
        ]
        if optimised:
            row[4:4] = [_yes(run.geo_converged) if run else None, run.n_geo_steps if run else None, _history(run)]
        rows.append(row)
    header = ["run", "role", "status", "SCF", "atoms", "k-points", "energy (eV)", "largest force (eV/Å)", "time (s)"]
    if optimised:
        header[4:4] = ["geometry", "steps", "energy above the last"]
    page.table(header, rows, caption="Every run, its status by its output")
    if optimised:
        page.paragraph(
            "Energy above the last: one point for each step, logarithmic from 1 µeV up. Forces are norms over an atom; "
            "where CP2K printed no forces, the largest component, marked c."
        )


def _yes(value: bool | None) -> str | None:
    return None if value is None else ("converged" if value else "not converged")


def _force(run: Run | None) -> str | None:
    if run is None or run.max_force_ev_per_angstrom is None:
        return None
    return f"{run.max_force_ev_per_angstrom:.4f}" + (" c" if run.max_force_measure == "component" else "")


def _history(run: Run | None) -> Markup | None:
    """A line of the energies of an optimisation as a small picture."""
    if run is None or len(run.steps) < 2 or run.energy_ev is None:
        return None
    energies = run.steps.energy_ev[run.steps.verdict != 0]
    energies = energies[np.isfinite(energies)]
    if len(energies) < 2:
        return None
    above = np.log10(np.maximum(np.abs(energies - energies[-1]), _FLOOR_EV))
    low, high = np.log10(_FLOOR_EV), max(float(above.max()), np.log10(_FLOOR_EV) + 1)
    x = 2 + (_WIDTH - 4) * np.arange(len(above)) / (len(above) - 1)
    y = 2 + (_HEIGHT - 4) * (high - above) / (high - low)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    alt = f"{len(energies)} energies, the first {abs(energies[0] - energies[-1]):.3g} eV above the last"
    return Markup(
        f'<svg role="img" aria-label="{escape(alt)}" width="{_WIDTH:g}" height="{_HEIGHT:g}" '
        f'viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}"><polyline points="{points}" fill="none" stroke="#2b5f9e" '
        'stroke-width="1.3"/></svg>'
    )


def add_provenance(page: Page, study: Study, memory: Memory) -> None:
    """Versions and hashes of structures and inputs."""
    del memory
    page.heading("Where the numbers come from")
    page.paragraph(f"Made by qdip_struct {__version__}. Every structure and input is named by its SHA-256.")
    rows = []
    for state in study.runs:
        record, run = state.folder.record, state.run
        rows.append(
            (
                study.name(state.folder.path),
                "shipped" if record.origin == SHIPPED else ("here" if run else None),
                run.cp2k_version if run else None,
                record.qdip_version,
                f"{record.structure_sha256[:12]}…",
                f"{(record.input_sha256 or '')[:12]}…",
            )
        )
    if rows:
        header = ("run", "where it ran", "CP2K", "qdip_struct", "structure", "input")
        page.table(header, rows, caption="Provenance of every run")
    files = [(result.said.KIND, study.name(result.path)) for result in study.results]
    if files:
        files.sort(key=lambda item: item[0])
        page.table(("result of", "file"), files, caption="Results of other commands on this page")
