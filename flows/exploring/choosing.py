"""Cache and the labels so far → images to label next, and the file to label them in."""

import time
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import read_listing
from headstart.flows.errors import JobError
from headstart.flows.exploring.known_labels import KnownLabels, read_known, write_to_fill
from headstart.flows.exploring.next_images import NextImage, NextImages
from headstart.flows.exploring.options import NextKeywords, NextOptions
from headstart.flows.options import taken
from headstart.flows.output import phases
from headstart.flows.problem import Embedded, find_covering, only_embedding
from headstart.heads.analysis.active import Choice, PartlyLabelled, Strategy, choose, find_strategy, usual_strategy
from headstart.heads.features import feature_matrix

_REASONS = {True: "as two classes have labels", False: "as no two classes have labels"}
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
    out = Path(options.out or f"{folder.path.resolve().name.removesuffix('.headstart')}.next.csv")
    write_to_fill(out, known, [one.path for one in chosen], listing.root)
    return NextImages(
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
        notes=notes,
        seconds=round(time.monotonic() - started, 3),
    )


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
