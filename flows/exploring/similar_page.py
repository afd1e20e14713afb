"""The page of images that are alike, gathered: each image asked about with its neighbours, or pairs of near copies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from headstart.extractors.atomic import write_atomically
from headstart.extractors.spec import short_name
from headstart.flows.exploring.asked import Asked, Search
from headstart.flows.exploring.similar_summary import Likeness
from headstart.heads.report import Picture, PicturePage, Tile, render_picture_page

MOST_PICTURES = 10_000
"""Of one page, which then takes some 40 MB."""

PIXELS = 112  # of a picture's longest side


def write_neighbours(
    file: Path,
    search: Search,
    asked: Asked,
    found: Sequence[Likeness],
    asked_at: npt.NDArray[np.intp],
    rows: npt.NDArray[np.intp],
) -> list[str]:
    """Write each image asked about with its neighbours, and return notes on what is left out.

    Parameters
    ----------
    file : Path
    search : Search
    asked : Asked
        With pictures.
    found : sequence of Likeness
        As `flows.exploring.similar_summary.SimilarSummary` has them.
    asked_at, rows : int array (n_found,)
        Number of the image asked about, from 0 on, and row of the neighbour.
    """
    n_each = 1 + int(np.bincount(asked_at).max(initial=0))
    n_shown = max(1, MOST_PICTURES // n_each)
    shown = np.flatnonzero(asked_at < n_shown)[:MOST_PICTURES]
    pictures = _pictures(search, rows[shown])
    tiles = [
        Tile(
            pictures=[
                Picture(path=name, thumbnail=thumbnail, lines=["asked about"], alt="asked about"),
                *(_neighbour(found[at], pictures[rows[at]]) for at in shown[asked_at[shown] == number]),
            ],
            mark="asked",
        )
        for number, (name, thumbnail) in enumerate(zip(asked.names, asked.thumbnails, strict=True))
        if number < n_shown
    ]
    n_asked = len(asked.names)
    intro = "Numbers are cosines of the features: 1 is the same direction."
    title = f"Nearest to {asked.names[0]}" if n_asked == 1 else f"Nearest to each of {n_asked} images"
    notes = [f"the page shows the first {n_shown} of {n_asked} images"] if n_shown < n_asked else []
    _write(file, search, (title, intro), tiles, notes, "rows")
    return notes


def write_pairs(file: Path, search: Search, found: Sequence[Likeness], pairs: npt.NDArray[np.intp]) -> list[str]:
    """Write pairs of images, int array (n_found, 2), and return notes on what is left out."""
    n_shown = min(len(found), MOST_PICTURES // 2)
    pictures = _pictures(search, pairs[:n_shown].ravel())
    tiles = [
        Tile(
            title=f"{one.cosine:.3f}",
            pictures=[
                Picture(path=one.image, thumbnail=pictures[left], alt="one of the pair"),
                Picture(path=one.path, thumbnail=pictures[right], alt="the other"),
            ],
        )
        for one, (left, right) in zip(found[:n_shown], pairs[:n_shown].tolist(), strict=True)
    ]
    title = f"Pairs of a cosine of {search.options.all_pairs:g} or more"
    notes = [f"the page shows the first {n_shown} of {len(found)} pairs"] if n_shown < len(found) else []
    intro = "The closest first; numbers are cosines of the features."
    _write(file, search, (title, intro), tiles, notes, "pairs")
    return notes


def _neighbour(one: Likeness, thumbnail: bytes | None) -> Picture:
    cosine = f"{one.cosine:.3f}"
    return Picture(path=one.path, thumbnail=thumbnail, lines=[cosine], alt=f"cosine {cosine}")


def _pictures(search: Search, rows: npt.NDArray[np.intp]) -> dict[int, bytes | None]:
    """Return small pictures by row, each read once."""
    different = np.unique(rows)
    return dict(zip(different.tolist(), search.pictures(different), strict=True))


def _write(
    file: Path,
    search: Search,
    words: tuple[str, str],
    tiles: list[Tile],
    notes: list[str],
    layout: Literal["pairs", "rows"],
) -> None:
    (title, intro), embedded = words, search.embedded
    among = f"Among {len(search.listing.images)} images, as {short_name(embedded.backbone)} · {embedded.tap} sees them."
    page = PicturePage(
        eyebrow="Headstart similar", title=title, intro=f"{among} {intro}", tiles=tiles, notes=notes, layout=layout
    )
    write_atomically(file, render_picture_page(page).encode())
