"""Figures as inline SVG with the same bytes every time, in the package's own style."""

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "svg.hashsalt": "qdip",
    "svg.fonttype": "path",
    "figure.dpi": 100,
    "savefig.dpi": 150,
}
"""Matplotlib settings of every figure; the hash salt keeps the identifiers inside an SVG the same."""

_METADATA = re.compile(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", re.DOTALL)


def draw(fill: Callable[..., Any], *, size: tuple[float, float], n_axes: int = 1) -> str:
    """Make a figure, let ``fill`` draw into its axes, return it as SVG text without an XML header.

    Parameters
    ----------
    fill
        Called with the axes (``n_axes`` of them side by side).
    size
        Width and height in inches.
    n_axes
        How many axes.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = [figure.add_subplot(1, n_axes, i + 1) for i in range(n_axes)]
        fill(*axes)
        return svg_text(figure)


def svg_text(figure: "Figure") -> str:
    """A figure as an ``<svg>`` element: no date, no metadata, no XML header, so that it can stand inside a page."""
    import matplotlib as mpl

    stream = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return _METADATA.sub("", text[text.index("<svg") :])
