"""Energies per area: a ranking of all groups, what several groups tell together, every group with its terms.

Together: energies against thickness and chemical potential, registry maps, formation energies.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from qdip_struct.base.units import J_PER_M2_PER_MEV_PER_ANGSTROM2
from qdip_struct.builders.roles import PARTS
from qdip_struct.cp2k.tasks import task_of
from qdip_struct.report.figures import draw
from qdip_struct.report.html import MANY, Page, count_of, fixed
from qdip_struct.report.memory import Memory
from qdip_struct.report.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    _comparisons(page, study, memory)
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
    film_mean = group.get("surface_energy_film_mean_of_terminations_mev_per_angstrom2")
    rows += [("γ film, mean of terminations", film_mean)]
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


_SIZE = (4.9, 3.3)
_PER_AREA = "_mev_per_angstrom2"


def _comparisons(page: Page, study: Study, memory: Memory) -> None:
    """A part for each kind of comparison that the energies hold."""
    found = study.energies
    _thickness(page, found.get("thickness_series") or [], memory)
    _adsorption(page, found.get("adsorption_by_thickness") or [], memory)
    _potential(page, [group for group in found["groups"] if group.get("chemical_potential")], memory)
    for entry in (found.get("registry_maps") or [])[:MANY]:
        _registry(page, entry, memory)
    _formation(page, found.get("formation_energies"))


def _drawn(
    page: Page,
    memory: Memory,
    kind: str,
    content: Any,
    fill: "Callable[[Axes], Any]",
    *,
    caption: str,
    alt: str,
    size: tuple[float, float] = _SIZE,
) -> None:
    page.figure(memory.figure(kind, content=content, make=lambda: draw(fill, size=size)), caption=caption, alt=alt)


def _thickness(page: Page, series: list[dict[str, Any]], memory: Memory) -> None:
    from qdip_struct.report.energy_plots import plot_thickness

    if not series:
        return
    page.heading("Surface energies against thickness", level=3)
    fits = "; ".join(
        f"{entry['side']} {entry['unit']}, {entry['termination']}: {entry[f'surface_energy_fit{_PER_AREA}']:.2f} meV/Å²"
        for entry in series
    )
    _drawn(
        page, memory, "thickness", series, lambda ax: plot_thickness(ax, series),
        caption="Surface energies of single slabs (open circles, against the computed bulk) and of the fit "
        "E(N) = 2Aγ + N E_bulk (lines).",
        alt=f"Surface energy against formula units in the slab. Fits: {fits}.",
    )  # fmt: skip
    rows = [
        (
            f"{entry['side']} {entry['unit']}, {entry['termination']}",
            point.get("layers"),
            f"{point['n_formula_units']:g}",
            fixed(point[f"surface_energy_direct{_PER_AREA}"], 2),
            fixed(entry[f"surface_energy_fit{_PER_AREA}"], 2),
        )
        for entry in series
        for point in entry["points"]
    ]
    header = ("surface", "layers", "formula units", "γ of this slab (meV/Å²)", "γ of the fit (meV/Å²)")
    page.table(header, rows, caption="Surface energies against thickness")


def _adsorption(page: Page, tables: list[dict[str, Any]], memory: Memory) -> None:
    from qdip_struct.report.energy_plots import plot_adsorption_by_thickness

    if not tables:
        return
    page.heading("Adsorption energy against thickness", level=3)
    ends = "; ".join(
        f"{entry['termination']} {entry['registry']}: "
        + ", ".join(fixed(row[f"adsorption_energy{_PER_AREA}"], 1) or "" for row in entry["rows"])
        for entry in tables
    )
    _drawn(
        page, memory, "adsorption by thickness", tables, lambda ax: plot_adsorption_by_thickness(ax, tables),
        caption="Adsorption energy against the number of monolayers of film and substrate together.",
        alt=f"Adsorption energy (meV/Å²) against monolayers. {ends}.",
    )  # fmt: skip
    rows = [
        (
            f"{entry['film']} on {entry['substrate']}, {entry['termination']} {entry['registry']}",
            "+".join(map(str, row["layers"])),
            *(
                fixed(row[f"{name}{_PER_AREA}"], 2)
                for name in ("adsorption_energy", "interface_energy", "surface_energy_film")
            ),
        )
        for entry in tables
        for row in entry["rows"]
    ]
    header = ("contact", "layers", "E_ad (meV/Å²)", "γ_int (meV/Å²)", "γ film (meV/Å²)")
    page.table(header, rows, caption="Energies against thickness")


def _potential(page: Page, groups: list[dict[str, Any]], memory: Memory) -> None:
    from qdip_struct.report.energy_plots import plot_chemical_potential

    if not groups:
        return
    page.heading("Energies against the chemical potential", level=3)
    page.paragraph(
        "A slab that is not stoichiometric has no surface energy of its own: it depends on the chemical potential of "
        "the component it holds too much or too little of, between the limits where the crystal would decompose."
    )
    for group in groups[:MANY]:
        table = group["chemical_potential"]
        lines = "; ".join(
            f"{line['name']} {fixed(line[f'values{_PER_AREA}'][0], 1)} to {fixed(line[f'values{_PER_AREA}'][-1], 1)}"
            for line in table["lines"]
        )
        ends = " to ".join(table["limit_names"])
        _drawn(
            page, memory, "chemical potential", [group["group"], table],
            partial(plot_chemical_potential, groups=[group]),
            caption=f"{group['group']}: energies per area against Δμ({table['component']}), {ends}.",
            alt=f"Lines of energy (meV/Å²) against the chemical potential, {ends}. {lines}.",
        )  # fmt: skip


def _registry(page: Page, entry: dict[str, Any], memory: Memory) -> None:
    from qdip_struct.report.energy_plots import plot_registry_map

    name = f"{entry['film']} on {entry['substrate']}, {entry['termination']}"
    page.heading(f"Registry: {name}", level=3)
    best = entry.get("best")
    if entry.get("map") and best:
        _drawn(
            page, memory, "registry", entry, lambda ax: plot_registry_map(ax, entry), size=(4.9, 4.0),
            caption=f"Adsorption energy of {name} over the lateral shift; dots are computed, the star binds best.",
            alt=f"Map of the adsorption energy over the lateral shift of the film. Best: {best['registry']}, "
            f"{best[f'adsorption_energy{_PER_AREA}']:.1f} meV/Å².",
        )  # fmt: skip
    rows = [
        (
            shift["registry"],
            ", ".join(f"{x:g}" for x in shift["shift_fraction"]),
            fixed(shift["best_gap_angstrom"], 3),
            fixed(shift[f"adsorption_energy{_PER_AREA}"], 2),
        )
        for shift in entry.get("shifts", [])
    ]
    if rows:
        page.table(
            ("registry", "shift (fractions)", "best gap (Å)", "E_ad (meV/Å²)"), rows, caption=f"Registries of {name}"
        )


def _formation(page: Page, found: Any) -> None:
    rows = found.get("rows", []) if isinstance(found, dict) else (found or [])
    rows = [row for row in rows if isinstance(row, dict) and "formation_energy_mev_per_formula_unit" in row]
    if rows:
        page.heading("Formation energies", level=3)
        page.table(
            ("composition", "meV per formula unit"),
            [(row.get("formula"), fixed(row["formation_energy_mev_per_formula_unit"], 2)) for row in rows],
            caption="Formation energies of mixed compositions against their end members",
        )
