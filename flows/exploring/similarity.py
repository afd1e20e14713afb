"""Cache → images that are alike: the nearest to images asked about, or every pair of near copies."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import read_usable
from headstart.extractors.spec import Settings
from headstart.flows.errors import JobError
from headstart.flows.exploring.asked import Asked, Search
from headstart.flows.exploring.options import SimilarKeywords, SimilarOptions
from headstart.flows.exploring.similar_page import PIXELS, write_neighbours, write_pairs
from headstart.flows.exploring.similar_summary import Likeness, SimilarSummary
from headstart.flows.options import taken
from headstart.flows.output import check_named, phases
from headstart.flows.problem import find_covering, only_embedding
from headstart.heads.analysis import find_alike, find_nearest
from headstart.heads.errors import DataError

_DIGITS = 6  # of a cosine: float32 has no more


def similar(
    cache: str | Path, images: Any = (), *, options: SimilarOptions | None = None, **named: Unpack[SimilarKeywords]
) -> SimilarSummary:
    """Find the images of a cache that are nearest to others, or all that are nearly the same.

    Every image is compared, and no index is made. An image asked about that the cache lists is no answer to itself; its
    copies are.

    Parameters
    ----------
    cache : path-like
        What `extract` filled.
    images : path-like, int, bytes, PIL image, array, or several of these
        Files, folders and whatever else `predict` takes, which the cache's own key embeds where it does not know them;
        or images of the cache: a path, a folder or a row's number of its listing. None for all pairs.
    options : SimilarOptions, optional
        All else that is asked for, see `flows.exploring.options.SimilarOptions`.
    **named
        Options by their names, such as ``k=5``; they go before those of `options`.

    Raises
    ------
    JobError
        It is not clear which embeddings or images are meant.
    HeadError
        Features are not finite.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> found = headstart.similar("photos.headstart", "new-photos/owl.png", k=3)
    >>> [one.path.split("/")[0] for one in found.found]
    ['owl', 'owl', 'owl']
    >>> headstart.similar("photos.headstart", "cat/00.png", k=1).found[0].image
    'cat/00.png'
    """
    started = time.monotonic()
    options = taken("similar", options or SimilarOptions(), named)
    page = _checked(options, nothing=isinstance(images, Sequence) and not len(images))
    folder = EmbeddingCache(cache)
    listing, notes = read_usable(folder), list[str]()
    covering = find_covering(folder, listing.images.digest, _listed(options.backbone), _listed(options.key), notes)
    embedded = only_embedding(
        covering, options.tap, folder.path, lambda one: f"--key {one.store.key.id} --tap {one.tap}"
    )
    search = Search(folder, listing, embedded, options, PIXELS if page else 0)
    asked, pairs = Asked(), None
    with phases("comparing all pairs" if options.all_pairs else "reading the images", show=options.progress) as begin:
        try:
            if options.all_pairs:
                found, pairs = _find_pairs(search, page, notes)
            else:
                asked = search.find(images)
                begin("comparing")
                found = _find_neighbours(search, asked, page, notes)
        except DataError as error:
            named_rows = ", ".join(listing.images.paths(error.rows[:3]))
            raise JobError(f"{folder.path}: {error} (images: {named_rows})") from error
    return SimilarSummary(
        cache=str(folder.path),
        backbone=embedded.backbone,
        tap=embedded.tap,
        images=len(listing.images),
        asked=asked.names,
        found=found,
        pairs=pairs,
        unreadable=asked.unreadable,
        page=None if page is None else str(page),
        notes=notes,
        seconds=round(time.monotonic() - started, 3),
    )


def _checked(options: SimilarOptions, *, nothing: bool) -> Path | None:
    """Return the page to write, if any, before the work; what cannot be done is refused."""
    if options.all_pairs is None and nothing:
        raise JobError("no image was given; name one, or ask for all pairs with --all-pairs .95")
    if options.all_pairs is not None and not nothing:
        raise JobError("--all-pairs compares the cache's own images; name no others beside it")
    if options.all_pairs is not None and not 0 < options.all_pairs <= 1:
        raise JobError(f"--all-pairs {options.all_pairs:g} is no cosine to begin at; give one above 0 and at most 1")
    page = None if options.page is None else Path(options.page)
    if page is not None:
        check_named(page, (".html",))
    return page


def _listed(name: str | None) -> list[str] | None:
    return None if name is None else [name]


def _find_neighbours(search: Search, asked: Asked, page: Path | None, notes: list[str]) -> list[Likeness]:
    options, images = search.options, search.listing.images
    nearest = find_nearest(
        search.embedded.features.mapped(),
        np.stack(asked.features),
        min(options.k, len(images)),
        leave_out=asked.rows,
        threads=Settings(workers=options.workers).n_workers,
    )
    at, rank = np.nonzero(nearest.rows >= 0)
    rows, cosine = nearest.rows[at, rank], nearest.cosine[at, rank].astype(float).round(_DIGITS).tolist()
    found = [
        Likeness(asked.names[one], path, value) for one, path, value in zip(at, images.paths(rows), cosine, strict=True)
    ]
    if page is not None:
        notes += write_neighbours(page, search, asked, found, at, rows)
    return found


def _find_pairs(search: Search, page: Path | None, notes: list[str]) -> tuple[list[Likeness], int]:
    options, images = search.options, search.listing.images
    alike = find_alike(search.embedded.features.mapped(), threshold=options.all_pairs or 1, most=options.most)
    left, right = (images.paths(rows) for rows in alike.rows.T)
    found = [
        Likeness(*one) for one in zip(left, right, alike.cosine.astype(float).round(_DIGITS).tolist(), strict=True)
    ]
    if alike.n_found > len(found):
        notes.append(f"{alike.n_found} pairs are that close; these are the {len(found)} closest (--most)")
    if page is not None:
        notes += write_pairs(page, search, found, alike.rows)
    return found, alike.n_found
