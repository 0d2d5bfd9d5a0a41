"""Figures of energies: bars of studies and groups, γ against thickness and chemical potential, registries, convergence.

Axes in, Axes out. What they take are parts of the documents of ``qdip energies`` and ``qdip converge``.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.base.errors import UsageError
from qdip_struct.report.figures import BLUE, GREEN, GREY, ORANGE, styled_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = (BLUE, ORANGE, GREEN, "#cc79a7", "#56b4e9", "#e69f00")
_BARS = (
    ("adsorption_energy_mev_per_angstrom2", "E_ad", BLUE),
    ("interface_energy_mev_per_angstrom2", "γ_int", ORANGE),
)
_MOST_BARS = 20


def plot_ranking(axes: "Axes", ranking: Mapping[str, Any]) -> "Axes":
    """E_ad and γ_int (meV/Å²) of every study as horizontal bars, best on top; the first twenty of a longer table."""
    rows = ranking["rows"][:_MOST_BARS]
    places = np.arange(len(rows))[::-1]
    for number, (key, label, color) in enumerate(_BARS):
        values = [row[key] for row in rows]
        if all(value is None for value in values):
            continue
        axes.barh(
            places + (0.19 if number == 0 else -0.19),
            [0.0 if value is None else value for value in values],
            height=0.36,
            color=color,
            label=label,
        )
    axes.set_yticks(places, [_short(row["group"]) for row in rows])
    axes.axvline(0.0, color=GREY, linewidth=0.8)
    axes.set_xlabel("energy (meV/Å²)")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return axes


def plot_thickness(axes: "Axes", series: Sequence[Mapping[str, Any]]) -> "Axes":
    """γ (meV/Å²) of single slabs (open: against the computed bulk) and of the fit (line) against formula units."""
    for number, entry in enumerate(series):
        color = _COLORS[number % len(_COLORS)]
        n_units = [point["n_formula_units"] for point in entry["points"]]
        direct = [point["surface_energy_direct_mev_per_angstrom2"] for point in entry["points"]]
        name = f"{entry['side']} {entry['unit']}, {entry['termination']}"
        if None not in direct:
            axes.plot(n_units, direct, "o", color=color, fillstyle="none", label=f"{name}, single slabs")
        fit = entry["surface_energy_fit_mev_per_angstrom2"]
        axes.plot([min(n_units), max(n_units)], [fit, fit], color=color, label=f"{name}, fit {fit:.2f}")
    axes.set_xlabel("formula units in the slab")
    axes.set_ylabel("γ (meV/Å²)")
    axes.legend(frameon=False, fontsize="small")
    return axes


def plot_adsorption_by_thickness(axes: "Axes", tables: Sequence[Mapping[str, Any]]) -> "Axes":
    """E_ad (meV/Å²) against the monolayers of both slabs together."""
    for number, entry in enumerate(tables):
        color = _COLORS[number % len(_COLORS)]
        total = [sum(row["layers"]) for row in entry["rows"]]
        values = [row["adsorption_energy_mev_per_angstrom2"] for row in entry["rows"]]
        state = "relaxed" if entry["relaxed"] else "unrelaxed"
        axes.plot(total, values, "o-", color=color, label=f"{entry['termination']} {entry['registry']}, {state}")
    axes.set_xlabel("monolayers, film and substrate")
    axes.set_ylabel("E_ad (meV/Å²)")
    axes.legend(frameon=False, fontsize="small")
    return axes


def plot_chemical_potential(axes: "Axes", groups: Sequence[Mapping[str, Any]]) -> "Axes":
    """γ and γ_int (meV/Å²) against Δμ (eV) between the limits, for studies of one compound.

    One study shows all its lines, several show γ_int alone (γ of the substrate where there is none), one colour each.
    """
    shown = [group for group in groups if group.get("chemical_potential")]
    alone = len(shown) == 1
    for number, group in enumerate(shown):
        table = group["chemical_potential"]
        lines = sorted(table["lines"], key=lambda line: line["name"] != "γ_int")
        for style, line in zip(("-", "--", ":"), lines if alone else lines[:1], strict=False):
            axes.plot(
                table["delta_mu_ev"],
                line["values_mev_per_angstrom2"],
                style,
                color=_COLORS[number % len(_COLORS)],
                linewidth=2.0 if line["name"] == "γ_int" else 1.0,
                label=line["name"] if alone else f"{line['name']}: {_short(group['group'])}",
            )
    table = shown[0]["chemical_potential"]
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.set_xlabel(f"Δμ({table['component']}) (eV); {table['limit_names'][0]} … {table['limit_names'][1]}")
    axes.set_ylabel("energy (meV/Å²)")
    axes.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0.0, 1.0))
    return axes


def plot_registry_map(axes: "Axes", entry: Mapping[str, Any]) -> "Axes":
    """E_ad (meV/Å²) over the lateral shift of the film (Å), computed shifts as dots, the strongest as a star."""
    lateral = np.array(entry["lateral_angstrom"])
    values = np.array(entry["map"]["adsorption_energies_mev_per_angstrom2"])
    closed = np.pad(values, ((0, 1), (0, 1)), mode="wrap")
    steps = np.arange(len(closed)) / len(values)
    first, second = np.meshgrid(steps, steps, indexing="ij")
    x, y = (first[..., None] * lateral[0] + second[..., None] * lateral[1]).transpose(2, 0, 1)
    filled = axes.contourf(x, y, closed, levels=12, cmap="viridis")
    axes.figure.colorbar(filled, ax=axes, label="E_ad (meV/Å²)")
    points = np.array(entry["map"]["computed_fractions"]) @ lateral
    axes.plot(points[:, 0], points[:, 1], ".", color="white", markersize=4)
    best = np.array(entry["best"]["shift_fraction"]) @ lateral
    axes.plot([best[0]], [best[1]], "*", color=ORANGE, markersize=12, label=f"{entry['best']['registry']}")
    axes.set_aspect("equal")
    axes.set_xlabel("shift along x (Å)")
    axes.set_ylabel("shift along y (Å)")
    axes.set_title(f"{entry['film']} on {entry['substrate']}, {entry['termination']}", fontsize="medium")
    axes.legend(frameon=True, fontsize="small", loc="upper right")
    return axes


def draw_energies(ax: "Axes", rows: Sequence[Mapping[str, Any]]) -> "Axes":
    """Horizontal bars of energies per area; ``rows`` hold ``label`` and ``value`` (meV/Å²)."""
    places = np.arange(len(rows))[::-1]
    values = [float(row["value"]) for row in rows]
    ax.barh(places, values, color=["#3b6fb6" if value >= 0 else "#a23b2a" for value in values], height=0.6)
    ax.axvline(0, color="#333333", linewidth=0.8)
    span = max((abs(value) for value in values), default=1.0)
    for place, value in zip(places, values, strict=True):
        shift = 0.02 * span if value >= 0 else -0.02 * span
        ax.text(value + shift, place, f"{round(value, 1) + 0.0:.1f}", va="center", ha="left" if value >= 0 else "right")
    ax.set_yticks(places, [str(row["label"]) for row in rows])
    ax.set_xlim(min(0.0, *values) - 0.15 * span, max(0.0, *values) + 0.15 * span)
    ax.set_xlabel("meV/Å²")
    return ax


def draw_convergence(ax: "Axes", document: Mapping[str, Any]) -> "Axes":
    """Draw |E − E_finest| in meV/atom on a logarithmic axis from the document of ``qdip converge``."""
    points = [p for p in document["points"] if p["difference_mev_per_atom"] is not None][:-1]
    values = [p["value"] for p in points]
    ax.semilogy(values, [max(abs(p["difference_mev_per_atom"]), 1e-4) for p in points], "o-", color="#3b6fb6")
    ax.axhline(1.0, color="#999999", linewidth=0.8, linestyle="--")
    ax.set_xlabel(f"{document['vary']} ({document['unit']})")
    ax.set_ylabel("|E - E(finest)| (meV/atom)")
    return ax


def energy_figure(document: Mapping[str, Any]) -> "Figure":
    """Every panel for which the document of ``qdip energies`` has data, in one figure.

    Raises
    ------
    UsageError
        If there is nothing to draw.
    """
    panels: list[Callable[[Any], Any]] = []
    if document["ranking"]["rows"]:
        panels.append(lambda axes: plot_ranking(axes, document["ranking"]))
    if document["thickness_series"]:
        panels.append(lambda axes: plot_thickness(axes, document["thickness_series"]))
    if document["adsorption_by_thickness"]:
        panels.append(lambda axes: plot_adsorption_by_thickness(axes, document["adsorption_by_thickness"]))
    panels += [partial(plot_chemical_potential, groups=groups) for groups in _by_compound(document["groups"])]
    panels += [partial(plot_registry_map, entry=entry) for entry in document["registry_maps"] if entry.get("map")]
    if not panels:
        raise UsageError("there is nothing to draw: no group of runs could be combined")
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with styled_figure((6.0 * columns, 4.2 * rows)) as figure:
        for number, fill in enumerate(panels):
            fill(figure.add_subplot(rows, columns, number + 1))
    return figure


def convergence_figure(document: Mapping[str, Any]) -> "Figure":
    """The figure of the document of ``qdip converge``."""
    with styled_figure((5.5, 3.6)) as figure:
        draw_convergence(figure.subplots(), document)
    return figure


def _by_compound(groups: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Studies with a chemical potential, one list for each compound and component."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for group in groups:
        table = group.get("chemical_potential")
        if table:
            found.setdefault((table["compound"], table["component"]), []).append(group)
    return list(found.values())


def _short(name: str) -> str:
    return name if len(name) <= 44 else f"{name[:20]}…{name[-22:]}"
