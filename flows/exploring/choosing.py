"""Cache and the labels so far → images to label next, and the file to label them in."""

import time
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import EmbeddingCache, as_bytes
from headstart.extractors.images import ImageRoot, image_sources
from headstart.extractors.listing import read_listing
from headstart.flows.errors import JobError
from headstart.flows.exploring.known_labels import KnownLabels, read_known, write_to_fill
from headstart.flows.exploring.next_images import NextImage, NextImages
from headstart.flows.exploring.options import NextKeywords, NextOptions
from headstart.flows.options import taken
from headstart.flows.output import check_named, nearby, phases
from headstart.flows.problem import Embedded, find_covering, only_embedding
from headstart.flows.reporting import LabelFile, offer_labels, read_thumbnails
from headstart.heads.analysis.active import Choice, PartlyLabelled, Strategy, choose, find_strategy, usual_strategy
from headstart.heads.features import feature_matrix
from headstart.heads.report import Labelling, Picture, PicturePage, Tile, render_label_page

_REASONS = {True: "as two classes have labels", False: "as no two classes have labels"}
_PIXELS = 192  # of a picture, to be told by
_MOST_LOOKED_AT = 100_000  # images without a label: half a gigabyte of 1280 features


def choose_next(cache: str | Path, *, options: NextOptions | None = None, **named: Unpack[NextKeywords]) -> NextImages:
    """Choose the images of a cache that are worth labelling next, and write the file to label them in.

    Parameters
    ----------
    cache : path-like
        What `extract` filled; there need be no labels yet.
    options : NextOptions, optional
        All else that is asked for, see `flows.exploring.options.NextOptions`.
    **named
        Options by their names, such as ``count=50``; they go before those of `options`.

    Raises
    ------
    JobError
        It is not clear which embeddings or labels are meant, every image has a label, or the file holds labels that
        would be lost.
    HeadError
        The strategy needs labels that are not there, or the features cannot be used.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> headstart.open("photos.headstart").images[::4].to_csv("labels.csv", index=False)  # a quarter has labels
    >>> found = headstart.choose_next("photos.headstart", count=5, labels="labels.csv", out="labels.csv")
    >>> len(found.chosen), found.with_label, found.without_label
    (5, 9, 27)
    """
    started = time.monotonic()
    options = taken("choose_next", options or NextOptions(), named)
    folder = EmbeddingCache(cache)
    out = Path(options.out or f"{folder.path.resolve().name.removesuffix('.headstart')}.next.csv")
    page = Path(options.page or out.with_suffix(".html"))
    check_named(page, (".html",))
    listing = read_listing(folder)
    usable, notes = listing.usable.reset_index(drop=True), list[str]()
    labels = Path(options.labels) if options.labels else None
    known = read_known(usable, listing.root, notes, labels=labels, target=options.target, task=options.task)
    backbone, keys = ([one] if one else None for one in (options.backbone, options.key))
    covering = find_covering(folder, usable["digest"].tolist(), backbone, keys, notes)
    embedded = only_embedding(
        covering, options.tap, folder.path, lambda one: f"--key {one.store.key.id} --tap {one.tap}"
    )
    rows = _looked_at(known, options.seed, folder.path, notes)
    strategy, chosen = _choose(known, rows, embedded, options, notes)
    write_to_fill(out, known, [one.path for one in chosen], listing.root)
    summary = NextImages(
        cache=str(folder.path),
        backbone=embedded.backbone,
        tap=embedded.tap,
        target=known.target,
        images=len(usable),
        with_label=len(known.with_label),
        without_label=len(known.without_label),
        classes=known.class_names,
        strategy=strategy.name,
        title=strategy.title,
        reason="" if options.strategy else _REASONS[strategy.needs_labels],
        measure=strategy.measure,
        chosen=chosen,
        labels=str(out),
        page=str(page),
        notes=notes,
        seconds=round(time.monotonic() - started, 3),
    )
    _write_page(page, summary, known, usable, listing.root, embedded)
    return summary


def _write_page(
    page: Path, summary: NextImages, known: KnownLabels, usable: pd.DataFrame, root: ImageRoot, embedded: Embedded
) -> None:
    """Write the page to label on."""
    at = pd.Index(usable["path"]).get_indexer(pd.Index([one.path for one in summary.chosen]))
    pictures = read_thumbnails(root, image_sources(usable.iloc[at]), _PIXELS, embedded.store.key.range)
    labelling = _offered(summary, known, at, as_bytes(usable["digest"].tolist()))
    write_atomically(page, render_label_page(_laid_out(summary, pictures), labelling).encode())


def _offered(
    summary: NextImages, known: KnownLabels, at: npt.NDArray[np.intp], digests: npt.NDArray[np.uint8]
) -> Labelling:
    """Let a reader label the chosen images; the table keeps all other labels, and what else the rows say."""
    codes, names = known.codes, known.class_names
    if not names:  # numbers, or nothing yet
        codes, found = pd.factorize(known.rows[known.target], sort=True)
        names = [str(value) for value in found]
    own = [name for name in ("split", "group") if known.rows[name].notna().any()]
    cache = Path(summary.cache).resolve().name.removesuffix(".headstart")
    file = LabelFile(known.target, cache, ["headstart", "fit", nearby(summary.cache)])
    return offer_labels(
        lambda rows: known.rows["path"].iloc[rows].tolist(),
        codes,
        names,
        at,
        file=file,
        digests=digests,
        columns={name: known.rows[name].to_numpy(dtype=object) for name in own},
    )


def _laid_out(summary: NextImages, pictures: list[bytes | None]) -> PicturePage:
    tiles = [
        Tile(pictures=[Picture(path=one.path, thumbnail=picture, lines=_guessed(one), alt=f"image {number}")])
        for number, (one, picture) in enumerate(zip(summary.chosen, pictures, strict=True), start=1)
    ]
    return PicturePage(
        eyebrow="Headstart next",
        title=f"Which {summary.target}?",
        intro=f"{len(tiles)} images of {summary.without_label} without a {summary.target}: {summary.title}.",
        tiles=tiles,
        notes=summary.notes,
    )


def _guessed(one: NextImage) -> list[str]:
    return [] if one.guess is None else [f"{one.guess}?", f"{100 * (one.probability or 0):.0f} %"]


def _looked_at(known: KnownLabels, seed: int, cache: Path, notes: list[str]) -> npt.NDArray[np.intp]:
    """Return the images that are looked at: with a label and without, of no split that chooses or scores.

    Raises
    ------
    JobError
        None is without a label.
    """
    without = known.without_label
    if not len(without):
        raise JobError(f"{cache}: every image has a {known.target} or is of val or test; extract more images first")
    n_scored = len(known.rows) - len(known.with_label) - len(without)
    if n_scored:
        notes.append(f"{n_scored} images of val and test are neither looked at nor proposed")
    if len(without) > _MOST_LOOKED_AT:
        notes.append(f"of {len(without)} images without a label {_MOST_LOOKED_AT} drawn at random are looked at")
        without = np.random.default_rng(seed).choice(without, _MOST_LOOKED_AT, replace=False)
    return np.sort(np.concatenate([known.with_label, without]))


def _choose(
    known: KnownLabels, rows: npt.NDArray[np.intp], embedded: Embedded, options: NextOptions, notes: list[str]
) -> tuple[Strategy, list[NextImage]]:
    """Choose among some rows; it is noted where there are fewer than were asked for."""
    with phases("reading the features", show=options.progress) as begin:
        features = feature_matrix(embedded.features.take(rows), len(rows), f"{embedded.label}/{embedded.tap}")
        images = PartlyLabelled(features, known.codes[rows], options.seed)
        strategy = find_strategy(options.strategy or usual_strategy(images.n_classes))
        begin(f"choosing by {strategy.name}")
        without = np.flatnonzero(known.codes[rows] < 0)
        found = choose(images, without, strategy.name, options.count, balance=options.balance, seed=options.seed)
        chosen = [_described(one, images, known, rows) for one in found]
    if len(found) < options.count:
        others = "all others are near copies of these or of labelled ones"
        why = "there are no more without a label" if len(found) == len(without) else others
        notes.append(f"{len(found)} images, not {options.count}: {why}")
    return strategy, chosen


def _described(one: Choice, images: PartlyLabelled, known: KnownLabels, rows: npt.NDArray[np.intp]) -> NextImage:
    guess, probability = None, None
    if images.n_classes >= 2:
        guess, probability = known.class_names[images.guess[one.row]], float(images.probability[one.row].max())
    path = str(known.rows["path"].iloc[rows[one.row]])
    return NextImage(path, one.score, one.cluster, guess, probability)
