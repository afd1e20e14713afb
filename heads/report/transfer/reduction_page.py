"""One self-contained HTML page about a reduction: neighbours that it keeps, beside a random projection."""

from collections.abc import Sequence

from headstart.heads.report import ABSENT, render
from headstart.heads.transfer.reduction import Kept


def render_reduction(title: str, intro: str, kept: Sequence[Kept], notes: Sequence[str]) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data."""
    rows = [
        {
            "way": one.way,
            "neighbours": f"{100 * one.neighbours:.1f} ± {100 * one.half_width:.1f}",
            "right": ABSENT if one.right is None else f"{100 * one.right:.1f}",
        }
        for one in kept
    ]
    return render("reduction_page.html.jinja", title=title, intro=intro, rows=rows, notes=notes)
