"""A matplotlib figure as one inline `<svg>` that takes its text colour and its font from the page around it."""

import re
import warnings
from html import escape
from io import StringIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Drawn as this colour, delivered as `currentColor`: the page's text colour, light or dark.
INK = "#010203"

# For `matplotlib.rc_context`. Any: matplotlib 3.11 types the keys one by one, older ones as str.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # real text: it can be selected and searched, and uses the reader's font
    "svg.hashsalt": "headstart",  # ids would be random otherwise
    "text.parse_math": False,  # a class may be called "$1"
    "font.family": "DejaVu Sans",  # ships with matplotlib; only the layout uses it
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def panel(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure whose axes are exactly this large in inches; labels find room around them in `as_svg`."""
    figure = Figure(figsize=(width, height))  # no pyplot, which would keep every figure alive
    return figure, figure.add_axes((0, 0, 1, 1))


def as_svg(figure: Figure, *, name: str, label: str) -> str:
    """Save a figure that was drawn under `STYLE`.

    Parameters
    ----------
    figure : Figure
    name : str
        Prefix of every id, which are global in a page of several figures.
    label : str
        What the figure shows, for readers who cannot see it.

    Returns
    -------
    str
        One `<svg>` element of the figure's natural size in CSS pixels; the same figure gives the same text.
    """
    buffer = StringIO()
    with warnings.catch_warnings():
        # Names in scripts that the layout's font lacks are drawn by the reader's browser, which has a font for them.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        undated = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.04, metadata=undated)
    text = buffer.getvalue()
    start = text.index("<svg")
    end = text.index(">", start) + 1
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text[start:end])[0]
    size = f'width="{float(width) / 0.75:.0f}" height="{float(height) / 0.75:.0f}" viewBox="0 0 {width} {height}"'
    # Inside tags alone: a class name may look like an id or a colour.
    body = re.sub("<[^>]+>", lambda tag: _themed(tag[0], name), text[end:].strip())
    return f'<svg class="chart" role="img" aria-label="{escape(label)}" {size}>{body}'


def _themed(tag: str, name: str) -> str:
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", tag).replace(INK, "currentColor")


# Ten colours that stay apart for colour-blind readers: M. A. Petroff, "Accessible Color Sequences for Data
# Visualization" (2021), arXiv:2107.02270.
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
LABEL_LENGTH = 18


def shortened(name: str) -> str:
    """Cut a class name to what has room in a figure."""
    return name if len(name) <= LABEL_LENGTH else name[: LABEL_LENGTH - 1] + "…"
