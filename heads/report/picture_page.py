"""One self-contained HTML page of pictures: tiles with captions, some at a time, filtered by what is known of them."""

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from headstart.heads.report.exhibits import Labelling
from headstart.heads.report.rendering import part, render, script_digest

AT_ONCE = {"tiles": 120, "pairs": 60, "rows": 20}
"""Tiles that are shown at a time, by their layout."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image with its caption.

    Attributes
    ----------
    path : str
        Stands below the lines.
    thumbnail : bytes or None
        A JPEG; None says in its place that there is none.
    lines : sequence of str
        Caption, of which the first line stands out.
    alt : str
        Text in the picture's place for those who cannot see it.
    """

    path: str
    thumbnail: bytes | None
    lines: Sequence[str] = ()
    alt: str = ""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Pictures that belong together, of which there may be one, and what a page's script may know of them.

    Attributes
    ----------
    pictures : sequence of Picture
    title : str
        Stands above them.
    mark : {"", "right", "wrong", "asked"}
        How the first picture is drawn; its caption says it, too.
    data : mapping of str to str
        Written as attributes ``data-NAME``, NAME in small letters.
    """

    pictures: Sequence[Picture]
    title: str = ""
    mark: Literal["", "right", "wrong", "asked"] = ""
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PicturePage:
    """Content of a page of pictures.

    Attributes
    ----------
    eyebrow, title, intro : str
        Kind of the page, its heading, and what it shows in what order.
    tiles : sequence of Tile
        In this order.
    layout : {"tiles", "pairs", "rows"}
        Tiles of one picture beside each other, of two, or of many below each other.
    notes : sequence of str
        What a reader must know.
    filters : mapping of str to str
        Names of `Tile.data` to filter by, and what each is called.
    """

    eyebrow: str
    title: str
    intro: str
    tiles: Sequence[Tile]
    layout: Literal["tiles", "pairs", "rows"] = "tiles"
    notes: Sequence[str] = ()
    filters: Mapping[str, str] = field(default_factory=dict)


def render_picture_page(
    page: PicturePage, *, template: str = "picture_page.html.jinja", scripts: Sequence[str] = (), **values: object
) -> str:
    """Render the page: HTML that loads nothing, runs its own scripts alone, and is the same for the same data.

    The first tiles can be seen without a script; the others wait in a ``<template>``, whose pictures no browser decodes
    before they are shown. `templates/pictures.js` keeps all of them in ``tiles``, as ``<li>``, and shows some.

    Parameters
    ----------
    page : PicturePage
    template : str
        One that extends the usual one: its blocks ``controls`` and ``after`` are empty.
    scripts : sequence of str
        Files among the templates that run after `pictures.js`, in whose scope they stand.
    **values
        Further values of the template.
    """
    n_first = AT_ONCE[page.layout]
    code = [part(name) for name in ("pictures.js", *scripts)]
    return render(
        template,
        page=page,
        first=[_laid_out(one) for one in page.tiles[:n_first]],
        others=[_laid_out(one) for one in page.tiles[n_first:]],
        n_first=n_first,
        choices={name: _choices(page.tiles, name) for name in page.filters},
        own_css=part("pictures.css"),
        scripts=code,
        digests=[script_digest(one) for one in code],
        **values,
    )


def render_label_page(page: PicturePage, labelling: Labelling) -> str:
    """Render a page of pictures that a reader labels, one picture a tile."""
    tiles = [replace(one, data={**one.data, "path": one.pictures[0].path}) for one in page.tiles]
    return render_picture_page(
        replace(page, tiles=tiles),
        template="label_page.html.jinja",
        scripts=("labels.js", "label_page.js"),
        labelling=labelling.details(),
    )


def _choices(tiles: Sequence[Tile], name: str) -> list[tuple[str, int]]:
    """Values of a name with their tiles' number, by value."""
    return sorted(Counter(one.data[name] for one in tiles if one.data.get(name)).items())


def _laid_out(tile: Tile) -> dict[str, object]:
    return {
        "title": tile.title,
        "mark": tile.mark,
        "data": {f"data-{name}": value for name, value in tile.data.items()},
        "pictures": [
            {**vars(one), "thumbnail": b64encode(one.thumbnail).decode("ascii") if one.thumbnail else None}
            for one in tile.pictures
        ],
    }
