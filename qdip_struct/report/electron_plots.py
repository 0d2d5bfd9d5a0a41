"""Figures of electrons: charge differences across slabs and about dots, densities of states by region, potentials.

Axes in, Axes out. What they take are parts of the documents of ``qdip charge-difference`` and ``qdip levels``.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.base.errors import UsageError
from qdip_struct.report.figures import styled_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GAIN, _LOSS = "#b5451f", "#2b5f9e"


def draw_planar(ax: "Axes", planar: Mapping[str, Any]) -> "Axes":
    """Draw Δλ(z) in e/Å, gains and losses filled; ``planar`` is that part of ``qdip charge-difference``."""
    _fill(ax, planar["height_angstrom"], planar["linear_density_e_per_angstrom"])
    ax.set_xlabel(f"height along {planar['axis']} (Å)")
    ax.set_ylabel("Δλ (e/Å), + more electrons")
    return ax


def draw_radial_charge(ax: "Axes", radial: Mapping[str, Any]) -> "Axes":
    """Draw Δρ(r) in e/Å³ at the middle of each shell; ``radial`` is that part of ``qdip charge-difference``."""
    outer = np.asarray(radial["outer_radius_angstrom"], dtype=float)
    _fill(ax, outer - 0.5 * outer[0], radial["density_e_per_angstrom3"])
    ax.set_xlabel("distance from the centre (Å)")
    ax.set_ylabel("Δρ (e/Å³), + more electrons")
    return ax


def difference_figure(document: Mapping[str, Any]) -> "Figure":
    """One panel of a document of ``qdip charge-difference``: its shells when it has some, else its profile."""
    with styled_figure((6.0, 3.4)) as figure:
        ax = figure.add_subplot()
        if document["radial"] is None:
            draw_planar(ax, document["planar"])
        else:
            draw_radial_charge(ax, document["radial"])
    return figure


def _fill(ax: "Axes", x: object, y: object) -> None:
    places, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    ax.axhline(0.0, color="#666666", linewidth=0.8)
    ax.fill_between(places, values, 0.0, where=values > 0, color=_GAIN, alpha=0.35, interpolate=True)
    ax.fill_between(places, values, 0.0, where=values < 0, color=_LOSS, alpha=0.35, interpolate=True)
    ax.plot(places, values, color="#222222", linewidth=1.1)


_COLOURS = ("#b5451f", "#2b5f9e", "#3d7d4b", "#7a4fa0", "#8a6d1a", "#3b8c8c")


def draw_levels(ax: "Axes", document: Mapping[str, Any]) -> "Axes":
    """Draw densities (1/eV) against E − E_F (eV), one colour for each group; BETA points down.

    ``document`` is that of ``qdip levels``. States inside the host's gap are marked below the axis.
    """
    pdos, fermi = document["pdos"], document["fermi_ev"]
    groups = list(dict.fromkeys(part["group"] for part in pdos["density_per_ev"]))
    energies = np.asarray(pdos["energy_ev"], dtype=float) - fermi
    for part in pdos["density_per_ev"]:
        sign = -1.0 if part["spin"] == "BETA" else 1.0
        colour = _COLOURS[groups.index(part["group"]) % len(_COLOURS)]
        name = None if part["spin"] == "BETA" else part["group"]
        ax.plot(energies, sign * np.asarray(part["values"], dtype=float), color=colour, linewidth=1.1, label=name)
    ax.axvline(0.0, color="#666666", linewidth=0.8, linestyle=":")
    for key in ("homo", "lumo"):
        edge = document[key]
        if edge is not None:
            ax.axvline(edge["energy_ev"] - fermi, color="#222222", linewidth=0.8, linestyle="--")
            ax.annotate(
                key.upper(), (edge["energy_ev"] - fermi, 1.0), xycoords=("data", "axes fraction"), fontsize=8,
                ha="right" if key == "homo" else "left", va="top", xytext=(-2 if key == "homo" else 2, 0),
                textcoords="offset points",
            )  # fmt: skip
    inside = (document.get("in_gap") or {}).get("states", [])
    if inside:
        places = [state["energy_ev"] - fermi for state in inside]
        ax.plot(
            places, [0.0] * len(places), "^", color="#111111", markersize=6, clip_on=False, linestyle="none",
            label="state in the gap",
        )  # fmt: skip
    ax.set_xlabel("energy above the Fermi level (eV)")
    ax.set_ylabel("projected density of states (1/eV)")
    ax.legend(fontsize=8)
    return ax


def draw_potential(ax: "Axes", surface: Mapping[str, Any], *, fermi_ev: float | None = None) -> "Axes":
    """Draw the planar average of the Hartree potential (eV) along the normal, its macroscopic average, vacuum levels.

    ``surface`` is that part of the document of ``qdip levels``.
    """
    heights = np.asarray(surface["height_angstrom"], dtype=float)
    ax.plot(heights, surface["planar_ev"], color="#2b5f9e", linewidth=1.1, label="planar average")
    if surface["macroscopic_ev"] is not None:
        periods = ", ".join(f"{period:g}" for period in surface["periods_angstrom"])
        ax.plot(heights, surface["macroscopic_ev"], color="#b5451f", label=f"macroscopic, period {periods} Å")
    for side in surface["sides"]:
        ax.axhline(side["vacuum_level_ev"], color="#666666", linewidth=0.8, linestyle=":")
    if fermi_ev is not None:
        ax.axhline(fermi_ev, color="#3d7d4b", linewidth=0.9, linestyle="--", label="Fermi level")
    ax.set_xlabel(f"height along {surface['axis']} (Å)")
    ax.set_ylabel("potential energy of an electron (eV)")
    ax.legend(fontsize=8)
    return ax


def levels_figure(document: Mapping[str, Any]) -> "Figure":
    """One panel for the densities, one for the potential, as far as they are there.

    See :func:`draw_levels` and :func:`draw_potential`.

    Raises
    ------
    UsageError
        If the run has neither.
    """
    surface = document.get("surface")
    parts: list[Callable[[Axes], Axes]] = []
    if document["pdos"] is not None:
        parts.append(lambda ax: draw_levels(ax, document))
    if surface is not None:
        parts.append(lambda ax: draw_potential(ax, surface, fermi_ev=document["fermi_ev"]))
    if not parts:
        raise UsageError(f"{document['path']} has neither PDOS nor a Hartree potential: nothing to draw")
    with styled_figure((6.4, 3.6) if len(parts) == 1 else (11.0, 3.6)) as figure:
        for ax, part in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
            part(ax)
    return figure
