"""The page of predictions, gathered: each image with its answer, and whether its folder says the same."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.extractors.images import image_sources, is_url, place_of
from headstart.extractors.spec import Range, Whole
from headstart.flows.errors import JobError
from headstart.flows.inference.given import Given
from headstart.flows.output import check_named
from headstart.flows.reporting import read_thumbnails
from headstart.heads.report import Picture, PicturePage, Tile, render_picture_page

MOST_TILES = 10_000
"""Images of one page: those that the model is least sure of."""

_MANY, _PIXELS, _FEW_PIXELS = 1000, 112, 64  # pictures are smaller where there are many


def write_page(
    file: Path, answers: pd.DataFrame, given: Sequence[Given], classes: Sequence[str], title: str, ends: Range | Whole
) -> list[str]:
    """Write the page, the least certain answers first, and return notes on what is left out.

    Parameters
    ----------
    file : Path
    answers : DataFrame
        As `flows.inference.prediction.predict` returns them, a row an image.
    given : sequence of Given
        The same images.
    classes : sequence of str
        Of the model; none where it predicts a number.
    title : str
        Names the model.
    ends : (float, float) or "whole"
        See `flows.reporting.thumbnails.read_thumbnails`.
    """
    order = _by_doubt(answers)
    shown = order[:MOST_TILES]
    folders = [one for part in given for one in _classes_named(part, classes)]
    pictures = _pictures(given, shown, ends)
    rows = answers.iloc[shown].to_dict("records")
    tiles = [_tile(row, folders[at], picture) for row, at, picture in zip(rows, shown, pictures, strict=True)]
    notes = [f"the page shows {len(shown)} of {len(order)} images"] if len(shown) < len(order) else []
    filters = {"class": "Class"} if classes else {}
    if any(folders[at] for at in shown):
        filters |= {"folder": "Folder", "answer": "Right or wrong"}
    page = PicturePage(
        eyebrow=f"Headstart predictions by {title}",
        title=f"Predictions of {len(answers)} image{'' if len(answers) == 1 else 's'}",
        intro=_intro(answers, folders),
        tiles=tiles,
        notes=notes,
        filters=filters,
    )
    write_atomically(file, render_picture_page(page).encode())
    return notes


def check_page(file: Path, columns: Sequence[str]) -> None:
    """Refuse a page that cannot be written, before the work and not after it.

    Raises
    ------
    JobError
        It is no HTML file in a folder that is there, or the model answers for several label `columns`.
    """
    check_named(file, (".html",))
    if columns:
        raise JobError(f"a page shows one answer an image, and not {', '.join(columns)}; leave out --page")


def _by_doubt(answers: pd.DataFrame) -> list[int]:
    """Return the images' numbers: doubtful ones first, or by value, or as given; unreadable ones last."""
    by = answers["value"] if "value" in answers else answers["probability"]
    readable = answers["reason"] == ""
    keys = np.where(readable, by.astype(float).fillna(np.inf), np.inf)
    return [int(at) for at in np.lexsort((keys, ~readable))]  # which keeps the order of equal ones


def _classes_named(part: Given, classes: Sequence[str]) -> list[str]:
    """Return for each image the class that its folder is called like, the innermost such folder; empty without one.

    Of an image set, folders count from the set's own on; of a file that was named by itself, the one that it lies in.
    """
    known, found = set(classes), []
    for path in part.images.rows["path"]:
        inside = PurePosixPath(path)
        alone = part.images.kind == "files" or inside.is_absolute() or is_url(path)
        n_folders = 1 if alone else len(inside.parts)
        above = place_of(part.images.root, path).split("/")[:-1][-n_folders:]
        found.append(next((name for name in reversed(above) if name in known), ""))
    return found


def _pictures(given: Sequence[Given], shown: Sequence[int], ends: Range | Whole) -> list[bytes | None]:
    size = _PIXELS if len(shown) <= _MANY else _FEW_PIXELS
    pictures: dict[int, bytes | None] = {}
    start = 0
    for part in given:
        here = [at for at in shown if start <= at < start + len(part.names)]
        sources = image_sources(part.images.rows.iloc[[at - start for at in here]])
        pictures |= dict(zip(here, read_thumbnails(part.images.root, sources, size, ends), strict=True))
        start += len(part.names)
    return [pictures[at] for at in shown]


def _tile(row: dict[Any, Any], folder: str, picture: bytes | None) -> Tile:
    if row["reason"]:
        return Tile(pictures=[Picture(path=row["path"], thumbnail=None, lines=["unreadable", row["reason"]])])
    if "value" in row:
        value = f"{row['value']:.4g}"
        return Tile(pictures=[Picture(path=row["path"], thumbnail=picture, lines=[value], alt=value)])
    name = "" if pd.isna(row["label"]) else str(row["label"])
    sure = "" if pd.isna(row["probability"]) else f" {100 * row['probability']:.1f} %"
    answer: Literal["", "right", "wrong"] = "" if not folder or not name else "right" if name == folder else "wrong"
    lines = [f"{name or 'no answer'}{sure}", *([f"wrong, in {folder}"] if answer == "wrong" else [answer])]
    return Tile(
        pictures=[Picture(path=row["path"], thumbnail=picture, lines=[line for line in lines if line], alt=name)],
        mark=answer,
        data={"class": name, "folder": folder, "answer": answer},
    )


def _intro(answers: pd.DataFrame, folders: Sequence[str]) -> str:
    if "value" in answers:
        return "From the lowest value to the highest."
    words = ["In the order given: this head gives no probabilities."]
    if answers["probability"].notna().any():
        words = ["The least certain come first."]
    judged = [(str(label), folder) for label, folder in zip(answers["label"], folders, strict=True) if folder]
    if judged:
        n_right = sum(label == folder for label, folder in judged)
        words.append(f"{n_right} of the {len(judged)} whose folder is called like a class are right.")
    return " ".join(words)
