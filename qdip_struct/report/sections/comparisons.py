"""What several groups tell together: thickness, chemical potential, registry maps, formation energies."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from qdip_struct.report.figures import draw
from qdip_struct.report.html import Page
from qdip_struct.report.memory import Memory
from qdip_struct.report.sections.wording import MANY, fixed
from qdip_struct.report.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = (4.9, 3.3)
_PER_AREA = "_mev_per_angstrom2"


def add_comparisons(page: Page, study: Study, memory: Memory) -> None:
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
