"""The page of a study: warnings first, then misfit, structures, energies, runs, and where every number comes from.

Sections without data are left out.
"""

from pathlib import Path
from typing import Any

from qdip_struct import __version__
from qdip_struct.campaign.rundir import STRUCTURE, RunFolder
from qdip_struct.cp2k.presets import get_preset
from qdip_struct.report.figures import draw
from qdip_struct.report.html import Page
from qdip_struct.report.study import SHIPPED, Study
from qdip_struct.units import J_PER_M2_PER_MEV_PER_ANGSTROM2

_PICTURED = ("interface", "embedded", "dot", "single")


def study_page(study: Study, *, title: str | None = None) -> str:
    """The whole page as HTML text."""
    page = Page(title or f"qdip study: {study.path.resolve().name}")
    _warnings(page, study)
    for screen in study.screens:
        _misfit(page, screen)
    _structures(page, study)
    if study.energies["groups"]:
        _energies(page, study)
    if study.runs:
        _runs(page, study)
    _provenance(page, study)
    return page.text()


def _warnings(page: Page, study: Study) -> None:
    shipped = [state for state in study.runs if state.folder.record.get("origin") == SHIPPED]
    if shipped:
        page.warning(
            f"{len(shipped)} of the runs on this page were shipped with the package and were not run here: "
            "no CP2K was found on this machine. Their outputs are real, made with the inputs shown."
        )
    for state in study.runs:
        if state.status not in ("done", "prepared"):
            page.warning(f"{_name(study, state.folder)} is not finished: {state.status}. {state.reason}")
    for item in study.energies["refused"]:
        page.warning(f"not combined: {', '.join(item['paths'])}: {item['reason']}")
    for cost in dict.fromkeys(_cost(state.folder) for state in study.runs if state.run is not None):
        if cost:
            page.note(cost)


def _cost(folder: RunFolder) -> str:
    name = (folder.record.get("parameters") or {}).get("preset")
    if name is None:
        return ""
    preset = get_preset(str(name))
    return f"Settings: preset '{preset.name}' ({preset.about}). What they cost: {preset.cost}."


def _misfit(page: Page, screen: dict[str, Any]) -> None:
    from qdip_struct.report.lattice_plots import draw_misfit

    dot, matrix = screen["dot"], screen["matrix"]
    page.heading(f"Misfit of {dot['name']} in {matrix['name']}")
    matches = screen["zero_mismatch"]
    found = "; ".join(f"{m['formula']} (fraction {m['fraction']:.3f}, {m['a_angstrom']:.4f} Å)" for m in matches)
    page.paragraph(
        f"Data set {screen['dataset']}; f = (a_matrix - a_dot)/a_{screen['denominator']}, f > 0 stretches the dot. "
        f"Zero misfit: {found or 'at no composition'}."
    )
    for remark in screen.get("remarks", []):
        page.note(remark[0].upper() + remark[1:] + ".")
    page.figure(
        draw(lambda ax: draw_misfit(ax, screen), size=(7.0, 3.6), metadata_title="Misfit against composition"),
        caption=f"Misfit of {dot['name']} in {matrix['name']} against composition, in percent.",
        alt=f"Line plot of the misfit of {dot['name']} in {matrix['name']} against composition. Zero misfit: {found}.",
    )
    points = screen["points"]
    step = max(1, (len(points) - 1) // 10)
    rows = [
        (p["formula"], f"{p['fraction']:.2f}", f"{p['a_matrix_angstrom']:.4f}", f"{100 * p['mismatch']:+.2f} %")
        for p in points[::step]
        if p["fraction"] is not None
    ]
    page.table(("composition", "fraction", "a (Å)", "misfit"), rows, caption=f"Misfit table of {dot['name']}")


def _structures(page: Page, study: Study) -> None:
    shown = [state for state in study.runs if state.folder.role in _PICTURED]
    if not shown:
        return
    from qdip_struct.build.store import read_structure
    from qdip_struct.report.structure_plots import SLICE_ABOVE, SLICE_ANGSTROM, draw_projection, middle_slice

    page.heading("Structures")
    for state in sorted(shown, key=lambda state: _PICTURED.index(state.folder.role)):
        atoms = read_structure(state.folder.path / STRUCTURE)
        record = state.folder.record
        name = _name(study, state.folder)
        page.heading(f"{name}: {state.folder.role}, {record['n_atoms']} atoms", level=3)
        tall = atoms.cell.lengths()[2] > 2 * atoms.cell.lengths()[0]

        large = len(atoms) > SLICE_ABOVE

        def fill(*axes: Any, atoms: Any = atoms, large: bool = large) -> None:
            for direction, ax in enumerate(axes):
                shown = middle_slice(atoms, axis=direction) if large else atoms
                draw_projection(ax, shown, axis=direction, legend=direction == 2)

        seen = f"Slices of {SLICE_ANGSTROM:g} Å through the middle, seen" if large else "Seen"
        page.figure(
            draw(fill, size=(9.0, 5.5 if tall else 3.4), n_axes=3, metadata_title=name),
            caption=f"{seen} along x, y and z; disc sizes follow covalent radii.",
            alt=f"Three projections of {name}, composition {_composition(record['composition'])}.",
        )
        _structure_facts(page, state.folder)


def _structure_facts(page: Page, folder: RunFolder) -> None:
    report = folder.record.get("structure") or {}
    rows: list[tuple[str, Any]] = [("composition", _composition(folder.record["composition"]))]
    charge = report.get("formal_charge")
    if charge:
        rows.append(("formal charge (e)", ", ".join(f"{k} {v:+d}" if v else f"{k} 0" for k, v in charge.items())))
    rows.append(("valence electrons", folder.record["n_electrons"]))
    if report.get("changes"):
        swaps = [f"{c.get('action')} {c.get('from')} → {c.get('to')}" for c in report["changes"]]
        changed = "; ".join(f"{swaps.count(kind)} × {kind}" for kind in dict.fromkeys(swaps))
        rows.append(("changed to be neutral", changed))
    for key, label, form in (
        ("volume_fraction", "volume fraction of the dot", "{:.4f}"),
        ("min_distance_angstrom", "shortest distance (Å)", "{:.3f}"),
        ("gap_angstrom", "gap (Å)", "{:.3f}"),
        ("termination", "termination", "{}"),
        ("registry", "registry", "{}"),
    ):
        value = report.get(key)
        if isinstance(value, dict):
            rows.append((label, value.get("meaning") or value.get("name")))
        elif value is not None:
            rows.append((label, form.format(value)))
    page.table(("property", "value"), rows, caption=f"Facts about {folder.path.name}")


def _energies(page: Page, study: Study) -> None:
    from qdip_struct.report.structure_plots import draw_energies

    page.heading("Energies")
    page.paragraph(
        "γ = (E_slab - N E_bulk - m E_reservoir)/2A; E_ad = (E_film + E_substrate - E_interface)/A, positive when the "
        "two bind; γ_int = γ_film + γ_substrate - E_ad. 1 meV/Å² = 0.0160218 J/m²."
    )
    slabs = [s for s in study.runs if s.run is not None and s.folder.role in ("film", "substrate", "interface")]
    if slabs and all(s.run is not None and s.run.geo_converged is None for s in slabs):
        page.note("The slabs are single points at the geometry that was built: nothing was relaxed.")
    for group in study.energies["groups"]:
        rows = energy_rows(group)
        page.heading(group["group"], level=3)
        page.figure(
            draw(
                lambda ax, rows=rows: draw_energies(ax, rows),
                size=(7.5, 0.8 + 0.42 * len(rows)),
                metadata_title="Energies per area",
            ),
            caption=f"Energies per area of {group['group']}, A = {group['area_angstrom2']:.3f} Å².",
            alt="; ".join(f"{row['label']} {row['value']:.1f} meV/Å²" for row in rows),
        )
        page.table(
            ("quantity", "meV/Å²", "J/m²"),
            [
                (row["label"], _fixed(row["value"], 2), _fixed(row["value"] * J_PER_M2_PER_MEV_PER_ANGSTROM2, 3))
                for row in rows
            ],
            caption="Energies per area",
        )
        page.table(
            ("term", "run", "energy (eV)", "formula units"),
            [
                (role, _relative(study, term["path"]), f"{term['energy_ev']:.6f}", _count(term["n_formula_units"]))
                for role, term in group["terms"].items()
            ],
            caption="Terms",
        )


def energy_rows(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Label and value (meV/Å²) of every energy that a group of ``qdip energies --json`` has."""
    rows = [("γ film", group["surface_energy_film_mev_per_angstrom2"])]
    rows += [
        (f"γ substrate, {item['reference']}", item["value_mev_per_angstrom2"])
        for item in group["surface_energy_substrate_limits"]
    ]
    mean = group["surface_energy_substrate_mean_of_terminations_mev_per_angstrom2"]
    rows += [("γ substrate, mean of terminations", mean)]
    rows += [("E_ad (work of adhesion)", group["adsorption_energy_mev_per_angstrom2"])]
    rows += [("E_ad, counterpoise corrected", group["adsorption_energy_counterpoise_mev_per_angstrom2"])]
    rows += [("E_ad, mean of a sandwich's two interfaces", group["adsorption_energy_sandwich_mev_per_angstrom2"])]
    rows += [
        (f"γ_int, {item['reference']}", item["value_mev_per_angstrom2"]) for item in group["interface_energy_limits"]
    ]
    rows += [("strain energy, film", group["strain_energy_film_mev_per_angstrom2"])]
    rows += [("strain energy, substrate", group["strain_energy_substrate_mev_per_angstrom2"])]
    return [{"label": label, "value": value} for label, value in rows if value is not None]


def _runs(page: Page, study: Study) -> None:
    page.heading("Runs")
    rows = []
    for state in study.runs:
        run, record = state.run, state.folder.record
        mesh = record["settings"].get("kpoints")
        rows.append(
            (
                _name(study, state.folder),
                state.folder.role,
                state.status,
                "shipped" if record.get("origin") == SHIPPED else ("here" if run else "-"),
                run.cp2k_version if run else None,
                record["n_atoms"],
                "x".join(map(str, mesh)) if mesh else "Γ",
                f"{run.energy_ev:.6f}" if run and run.energy_ev is not None else None,
                f"{run.wall_time_s:.0f}" if run and run.wall_time_s is not None else None,
            )
        )
    header = ("run", "role", "status", "where", "CP2K", "atoms", "k-points", "energy (eV)", "time (s)")
    page.table(header, rows, caption="Every run, its status by its output, and where it ran")


def _provenance(page: Page, study: Study) -> None:
    page.heading("Where the numbers come from")
    page.paragraph(f"Made by qdip_struct {__version__}. Every structure and input is named by its SHA-256.")
    rows = []
    for state in study.runs:
        record = state.folder.record
        digest = f"{record['structure_sha256'][:12]}…"
        rows.append((_name(study, state.folder), record["qdip_version"], digest, f"{record['input_sha256'][:12]}…"))
    if rows:
        page.table(("run", "qdip_struct", "structure", "input"), rows, caption="Provenance")


def _fixed(value: float, digits: int) -> str:
    """A number with so many decimals, without a sign on zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _name(study: Study, folder: RunFolder) -> str:
    return _relative(study, str(folder.path))


def _relative(study: Study, path: str) -> str:
    try:
        return str(Path(path).relative_to(study.path))
    except ValueError:
        return path


def _count(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def _composition(counts: dict[str, int]) -> str:
    return " ".join(f"{element}{count}" for element, count in counts.items())
