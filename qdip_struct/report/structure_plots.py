"""Figures of diffraction: powder lines, spots of a zone with their Friedel partners, micrographs.

Axes in, Axes out.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from qdip_struct.analysis.diffraction.diffraction import PowderLine, Spot
from qdip_struct.analysis.diffraction.hrtem import Micrograph
from qdip_struct.report.figures import styled_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#222222", "#b5451f", "#2b5f9e", "#3d7d4b", "#7a4fa0")


def draw_powder(ax: "Axes", patterns: Mapping[str, tuple[PowderLine, ...]]) -> "Axes":
    """Draw the powder lines of each part, one above the other; intensities relative to its strongest line."""
    for level, (name, lines) in enumerate(patterns.items()):
        colour = _COLOURS[level % len(_COLOURS)]
        angles = [line.two_theta_degree for line in lines]
        tops = [level + 0.009 * line.intensity for line in lines]
        ax.vlines(angles, level, tops, color=colour, linewidth=1.0)
        ax.axhline(level, color=colour, linewidth=0.5)
        ax.annotate(name, (1.0, level + 0.85), xycoords=("axes fraction", "data"), ha="right", color=colour, fontsize=9)
    ax.set_xlabel("2θ (degree)")
    ax.set_ylabel("intensity, each to its strongest line")
    ax.set_yticks([])
    ax.set_ylim(0, max(len(patterns), 1))
    return ax


def draw_spots(ax: "Axes", patterns: Mapping[str, tuple[Spot, ...]], *, zone: tuple[int, int, int]) -> "Axes":
    """Draw spots in reciprocal space (1/Å), each with its Friedel partner.

    The area follows the strength; each further part is drawn larger, so that coinciding spots show as rings.
    """
    for level, (name, spots) in enumerate(patterns.items()):
        turn = np.radians([spot.azimuth_degree for spot in spots])
        radius = np.array([1 / spot.spacing_angstrom for spot in spots])
        size = np.array([8 + 90 * spot.strength + 45 * level for spot in spots])
        x, y = radius * np.cos(turn), radius * np.sin(turn)
        ax.scatter(
            np.concatenate([x, -x]), np.concatenate([y, -y]), s=np.tile(size, 2), facecolors="none",
            edgecolors=_COLOURS[level % len(_COLOURS)], label=name,
        )  # fmt: skip
    ax.plot(0, 0, "+", color="#666666")
    ax.set_aspect("equal")
    ax.set_xlabel(f"zone [{' '.join(map(str, zone))}], along the first spot (1/Å)")
    ax.set_ylabel("across (1/Å)")
    ax.legend(fontsize=8)
    return ax


def diffraction_figure(
    powder: Mapping[str, tuple[PowderLine, ...]],
    spots: Mapping[str, tuple[Spot, ...]],
    *,
    zone: tuple[int, int, int] | None,
) -> "Figure":
    """Powder lines, and beside them the spots when a zone was asked for."""
    with styled_figure((6.4 if zone is None else 10.4, 4.0)) as figure:
        draw_powder(figure.add_subplot(1, 1 if zone is None else 2, 1), powder)
        if zone is not None:
            draw_spots(figure.add_subplot(1, 2, 2), spots, zone=zone)
    return figure


def draw_micrograph(ax: "Axes", image: Micrograph) -> "Axes":
    """Draw the intensity of a simulated micrograph in grey, axes in Å."""
    ny, nx = image.intensity.shape
    dy, dx = image.sampling_angstrom
    ax.imshow(image.intensity, cmap="gray", origin="lower", extent=(0, nx * dx, 0, ny * dy), interpolation="nearest")
    ax.set_xlabel(f"along {image.across} (Å)")
    ax.set_ylabel(f"along {image.up} (Å)")
    ax.set_title(
        f"{image.energy_kev:g} keV, C_s {image.cs_mm:g} mm, underfocus {image.defocus_angstrom:.0f} Å", fontsize=9
    )
    return ax


def micrograph_figure(image: Micrograph) -> "Figure":
    """One panel; see :func:`draw_micrograph`."""
    with styled_figure((5.0, 5.0)) as figure:
        draw_micrograph(figure.add_subplot(), image)
    return figure
