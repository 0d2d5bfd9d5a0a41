"""Strain maps, radial and layer profiles: Axes in, Axes out. Strains in percent with their measure named."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qdip_struct.analysis.strain import measures
from qdip_struct.analysis.strain.profiles import dot_centre, radial_vectors
from qdip_struct.analysis.strain.reference import continuum_curve
from qdip_struct.analysis.strain.site_grid import completed_cell
from qdip_struct.analysis.strain.strain_summary import StrainSummary
from qdip_struct.base.arrays import Floats
from qdip_struct.report.figures import styled_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PHASE_COLOURS = ("#b5451f", "#2b5f9e", "#3d7d4b", "#7a4fa0")
_OUTLINE_PIXELS = 240
_CLIP_PERCENTILE = 97.0
_SLAB_WIDTH_ANGSTROM = 18.0


def draw_slice(
    ax: "Axes",
    summary: StrainSummary,
    values: ArrayLike,
    *,
    label: str,
    axis: int = 2,
    thickness: float | None = None,
    cmap: str = "RdBu_r",
    limits: tuple[float, float] | None = None,
) -> "Axes":
    """Draw a slice through the middle of the dot (or of the cell): cations coloured, other atoms as grey points.

    Parameters
    ----------
    ax
        Where to draw.
    summary
        Strain of the structure.
    values
        (m,) what the cations are coloured by; NaN is drawn as an open circle.
    label
        Of the colour bar, with unit and measure.
    axis
        Cartesian direction of sight, 0, 1 or 2.
    thickness
        Of the slice in Å; default one lattice constant of the largest phase.
    cmap, limits
        Colours; the default limits hold 97 % of the values.
    """
    colours = np.asarray(values, dtype=float)
    atoms, strain = summary.atoms, summary.strain
    depth = thickness or max(ideal.lattice_angstrom for ideal in strain.references.values())
    cell = completed_cell(atoms.cell.array, pbc=atoms.pbc)
    dot = summary.of_role("dot")
    centre = 0.5 * cell.sum(axis=0) if dot is None else dot_centre(atoms, strain, dot=dot)
    vectors = radial_vectors(atoms, strain, centre=centre)
    across, up = [i for i in range(3) if i != axis]
    inside = np.abs(vectors[:, axis]) <= 0.5 * depth
    carried = np.zeros(len(atoms), dtype=bool)
    carried[strain.sites] = True
    rest = atoms.positions[~carried] - centre
    rest = rest - np.where(atoms.pbc, np.rint(rest @ np.linalg.inv(cell)), 0.0) @ cell
    rest = rest[np.abs(rest[:, axis]) <= 0.5 * depth]
    if dot is None and atoms.pbc[across]:
        # A slab's cell may be one unit cell wide: show several.
        copies = np.arange(max(1, int(np.ceil(_SLAB_WIDTH_ANGSTROM / np.linalg.norm(cell[across])))))
        vectors, rest = ((copies[:, None, None] * cell[across] + part).reshape(-1, 3) for part in (vectors, rest))
        inside, colours = np.tile(inside, len(copies)), np.tile(colours, len(copies))
    ax.scatter(rest[:, across], rest[:, up], s=3, color="#b8b8b8", linewidths=0, zorder=1)
    shown = inside & np.isfinite(colours)
    low, high = limits if limits is not None else _limits(colours[shown], cmap)
    points = ax.scatter(
        vectors[shown, across], vectors[shown, up], c=colours[shown], cmap=cmap, vmin=low, vmax=high, s=34,
        edgecolors="#333333", linewidths=0.3, zorder=3,
    )  # fmt: skip
    blank = inside & ~np.isfinite(colours)
    ax.scatter(vectors[blank, across], vectors[blank, up], s=34, facecolors="none", edgecolors="#333333", zorder=3)
    if dot is not None and (~(strain.phase == dot)).any():
        _outline(ax, vectors[inside][:, [across, up]], strain.phase[inside] == dot)
    bar = ax.figure.colorbar(points, ax=ax, shrink=0.85)
    bar.set_label(label)
    ax.set_aspect("equal")
    ax.margins(0.06)
    ax.set_xlabel(f"{'xyz'[across]} (Å)")
    ax.set_ylabel(f"{'xyz'[up]} (Å)")
    return ax


def _limits(values: Floats, cmap: str) -> tuple[float, float]:
    if not values.size:
        return 0.0, 1.0
    if cmap == "RdBu_r":
        reach = float(np.percentile(np.abs(values), _CLIP_PERCENTILE)) or 1e-3
        return -reach, reach
    low, high = np.percentile(values, [100.0 - _CLIP_PERCENTILE, _CLIP_PERCENTILE])
    return float(low), float(high) if high > low else float(low) + 1e-3


def _outline(ax: "Axes", places: Floats, inner: NDArray[np.bool_]) -> None:
    """The border between the cations of the dot and the others, half-way between them."""
    from scipy.spatial import cKDTree

    if not inner.any() or inner.all():
        return
    low, high = places.min(axis=0), places.max(axis=0)
    x, y = (np.linspace(low[i], high[i], _OUTLINE_PIXELS) for i in range(2))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    near = cKDTree(places[inner]).query(grid)[0] - cKDTree(places[~inner]).query(grid)[0]
    ax.contour(
        x, y, near.reshape(len(y), len(x)), levels=[0.0], colors="black", linewidths=1.2, linestyles="dashed", zorder=2
    )


def draw_radial_strain(ax: "Axes", summary: StrainSummary) -> "Axes":
    """Draw the strain against the distance from the centre of the dot, and the continuum prediction if there is one.

    Points are bins of distance from the border, so bins of one radius may differ; bars are standard errors.
    """
    for number, phase in enumerate(dict.fromkeys(point.phase for point in summary.profile)):
        own = [point for point in summary.profile if point.phase == phase]
        colour = _PHASE_COLOURS[number % len(_PHASE_COLOURS)]
        radius = [point.radius_angstrom for point in own]
        ax.errorbar(
            radius, [100 * point.mean for point in own], yerr=[100 * np.nan_to_num(point.stderr) for point in own],
            fmt="o", color=colour, markersize=4, capsize=2, label=f"{phase}, mean",
        )  # fmt: skip
        ax.plot(radius, [100 * point.hoop for point in own], "_", color=colour, markersize=9, label=f"{phase}, hoop")
    if summary.continuum is not None and summary.profile:
        one = summary.continuum
        reach = max(point.radius_angstrom for point in summary.profile)
        r = np.linspace(0.0, max(reach, one.radius_angstrom) * 1.02, 400)
        for sharing, style, name in ((one.fixed, "-", "fixed cell"), (one.infinite, ":", "infinite matrix")):
            mean, _, _ = continuum_curve(sharing, radius=one.radius_angstrom, distances=r)
            ax.plot(r, 100 * mean, style, color="#555555", linewidth=1.2, label=f"continuum mean, {name}")
        ax.axvline(one.radius_angstrom, color="#999999", linewidth=0.8, linestyle="dashed")
    ax.axhline(0.0, color="#cccccc", linewidth=0.8, zorder=0)
    ax.set_xlabel("distance from the dot's centre (Å)")
    ax.set_ylabel(f"{summary.measure} strain (%)")
    ax.legend(fontsize=7)
    return ax


def draw_layers(ax: "Axes", summary: StrainSummary) -> "Axes":
    """Draw in-plane, normal and mean strain of each layer of a slab against its height."""
    for number, phase in enumerate(dict.fromkeys(layer.phase for layer in summary.layers)):
        own = [layer for layer in summary.layers if layer.phase == phase]
        colour = _PHASE_COLOURS[number % len(_PHASE_COLOURS)]
        height = [layer.position_angstrom for layer in own]
        for key, style in (("mean", "o-"), ("in_plane", "s:"), ("normal", "^--")):
            strains = [100 * getattr(layer, key) for layer in own]
            ax.plot(height, strains, style, color=colour, markersize=4, label=f"{phase}, {key.replace('_', ' ')}")
    ax.axhline(0.0, color="#cccccc", linewidth=0.8, zorder=0)
    ax.set_xlabel("height (Å)")
    ax.set_ylabel(f"{summary.measure} strain (%)")
    ax.legend(fontsize=7)
    return ax


def strain_figure(summary: StrainSummary) -> "Figure":
    """One page: slices of local lattice constant, mean strain and shear, and the radial (or layer) profile."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    tensor, measure = summary.tensor, summary.measure
    with styled_figure((11.0, 9.0), layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1)) as figure:
        axes = figure.subplots(2, 2)
        sight = 2 if summary.of_role("dot") is not None else 1
        draw_slice(
            axes[0, 0], summary, summary.strain.lattice_angstrom(), label="local lattice constant (Å)", axis=sight,
            cmap="viridis",
        )  # fmt: skip
        mean, shear = 100 * measures.mean_strain(tensor), 100 * measures.shear_strain(tensor)
        draw_slice(axes[0, 1], summary, mean, label=f"mean {measure} strain (%)", axis=sight)
        draw_slice(axes[1, 0], summary, shear, label=f"von Mises {measure} shear (%)", axis=sight, cmap="magma_r")
        if summary.profile:
            draw_radial_strain(axes[1, 1], summary)
        else:
            draw_layers(axes[1, 1], summary)
    return figure
