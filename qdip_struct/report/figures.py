"""How every figure is made: the package's own style, inline SVG for pages, files; the same bytes every time."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import UsageError
from qdip_struct.base.files import write_bytes

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
"""Matplotlib settings of a figure; the hash salt keeps the identifiers inside an SVG the same."""

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#666666"
"""Colours that a colour-blind reader tells apart: Okabe and Ito's, and a grey."""

FIGURE_FORMATS = (".png", ".svg", ".pdf")
"""Endings of the files that figures are saved to."""

_DOTS_PER_INCH = 160
_SAVED = {"svg.hashsalt": "qdip_struct"}
_UNDATED: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}

_METADATA = re.compile(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", re.DOTALL)


@contextmanager
def styled_figure(size: tuple[float, float], *, layout: Any = "constrained") -> Iterator["Figure"]:
    """A new figure; what is drawn into it inside the ``with`` block has the package's style.

    Parameters
    ----------
    size
        Width and height in inches.
    layout
        Layout engine of matplotlib, or its name.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        yield Figure(figsize=size, layout=layout)


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
    with styled_figure(size) as figure:
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


def refuse_ending(path: Path) -> None:
    """Raise :class:`UsageError` for a name that ends in none of :data:`FIGURE_FORMATS`."""
    if path.suffix.lower() not in FIGURE_FORMATS:
        raise UsageError(f"cannot write {path}: expected a name that ends in {', '.join(FIGURE_FORMATS)}")


def save_figure(path: Path, figure: "Figure", *, force: bool = False) -> Path:
    """Write a figure as png, svg or pdf; the bytes are the same each time.

    Raises
    ------
    UsageError
        If the suffix is another one, or the file exists and ``force`` is not set.
    """
    import matplotlib as mpl

    refuse_ending(path)
    suffix = path.suffix.lower()[1:]
    stream = io.BytesIO()
    with mpl.rc_context(_SAVED):
        figure.savefig(stream, format=suffix, dpi=_DOTS_PER_INCH, metadata=_UNDATED[suffix])
    return write_bytes(path, stream.getvalue(), force=force)
