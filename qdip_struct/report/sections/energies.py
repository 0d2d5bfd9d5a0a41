"""Energies per area: a ranking of all groups, then every group with its terms."""

from typing import Any

from qdip_struct.base.units import J_PER_M2_PER_MEV_PER_ANGSTROM2
from qdip_struct.builders.roles import PARTS
from qdip_struct.cp2k.tasks import task_of
from qdip_struct.report.figures import draw
from qdip_struct.report.html import Page
from qdip_struct.report.memory import Memory
from qdip_struct.report.sections import comparisons
from qdip_struct.report.sections.wording import MANY, count_of, fixed
from qdip_struct.report.study import Study


def add_energies(page: Page, study: Study, memory: Memory) -> None:
    """Nothing without a group whose runs could be combined."""
    groups = ranked(study.energies["groups"])
    if not groups:
        return
    page.heading("Energies")
    page.paragraph(
        "γ = (E_slab - N E_bulk - m E_reservoir)/2A; E_ad = (E_film + E_substrate - E_interface)/A, positive when the "
        "two bind; γ_int = γ_film + γ_substrate - E_ad. 1 meV/Å² = 0.0160218 J/m²."
    )
    slabs = [s for s in study.runs if s.run is not None and s.folder.role in ("interface", *PARTS)]
    tasks = [task_of(s.run.run_type) for s in slabs if s.run is not None]
    if slabs and all(task is None or task.moves == "nothing" for task in tasks):
        page.note("The slabs are single points at the geometry that was built: nothing was relaxed.")
    if len(groups) > 1:
        _ranking(page, groups)
    _means(page, study.energies["means_of_terminations"])
    comparisons.add_comparisons(page, study, memory)
    for group in groups[:MANY]:
        _group(page, study, group, memory, pictured=True)
    if len(groups) > MANY:
        with page.folded(f"{count_of(len(groups) - MANY, 'more group')}, tables only"):
            for group in groups[MANY:]:
                _group(page, study, group, memory, pictured=False)


def ranked(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups by falling work of adhesion, those without one last, then by name."""
    key = "adsorption_energy_mev_per_angstrom2"
    return sorted(groups, key=lambda g: (g[key] is None, -round(g[key] or 0.0, 9), g["group"]))


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


def _ranking(page: Page, groups: list[dict[str, Any]]) -> None:
    rows = []
    for group in groups:
        limits = [item["value_mev_per_angstrom2"] for item in group["interface_energy_limits"]]
        between = (
            None if not limits else " to ".join(fixed(v, 2) or "" for v in dict.fromkeys((min(limits), max(limits))))
        )
        rows.append(
            (
                group["group"],
                fixed(group["area_angstrom2"], 2),
                fixed(group["adsorption_energy_mev_per_angstrom2"], 2),
                between,
                fixed(group["surface_energy_film_mev_per_angstrom2"], 2),
            )
        )
    header = ("group", "A (Å²)", "E_ad (meV/Å²)", "γ_int (meV/Å²)", "γ film (meV/Å²)")
    page.table(header, rows, caption="All groups, the most strongly bound first")


def _means(page: Page, entries: list[dict[str, Any]]) -> None:
    if not entries:
        return
    keys = ("adsorption_energy", "surface_energy_film", "surface_energy_substrate", "interface_energy")
    page.table(
        ("groups", "E_ad (meV/Å²)", "γ film (meV/Å²)", "γ substrate (meV/Å²)", "γ_int (meV/Å²)"),
        [
            (" and ".join(entry["groups"]), *(fixed(entry[f"{key}_mev_per_angstrom2"], 2) for key in keys))
            for entry in entries
        ],
        caption="Means of both terminations of a substrate, free of any chemical potential",
    )


def _group(page: Page, study: Study, group: dict[str, Any], memory: Memory, *, pictured: bool) -> None:
    rows = energy_rows(group)
    page.heading(group["group"], level=3)
    for text in group["warnings"]:
        page.warning(text.replace(f"{study.path}/", ""))
    if pictured and rows:
        from qdip_struct.report.energy_plots import draw_energies

        svg = memory.figure(
            "energies",
            content=rows,
            make=lambda: draw(lambda ax: draw_energies(ax, rows), size=(5.4, 0.8 + 0.36 * len(rows))),
        )
        page.figure(
            svg,
            caption=f"Energies per area of {group['group']}, A = {group['area_angstrom2']:.3f} Å².",
            alt="; ".join(f"{row['label']} {row['value']:.1f} meV/Å²" for row in rows),
        )
    page.table(
        ("quantity", "meV/Å²", "J/m²"),
        [
            (row["label"], fixed(row["value"], 2), fixed(row["value"] * J_PER_M2_PER_MEV_PER_ANGSTROM2, 3))
            for row in rows
        ],
        caption=f"Energies per area of {group['group']}",
    )
    page.table(
        ("term", "run", "energy (eV)", "formula units"),
        [
            (
                role,
                study.name(term["path"]),
                f"{term['energy_ev']:.6f}",
                None if term["n_formula_units"] is None else f"{term['n_formula_units']:g}",
            )
            for role, term in group["terms"].items()
        ],
        caption=f"Terms of {group['group']}",
    )
