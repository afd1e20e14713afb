"""Cache and class vectors → predictions for classes that no image is labelled with, and a model that makes them."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from headstart.extractors.atomic import errors_explained, write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.flows.errors import JobError
from headstart.flows.inference import write_predictions
from headstart.flows.options import as_list, taken
from headstart.flows.output import RunPlace, run_folder
from headstart.flows.transfer.zero_shot.class_file import ClassVectors, read_classes
from headstart.flows.transfer.zero_shot.images import TEXTS, Sorted, sort_images
from headstart.flows.transfer.zero_shot.options import ZeroShotKeywords, ZeroShotOptions
from headstart.flows.transfer.zero_shot.prompts import with_prompts
from headstart.flows.transfer.zero_shot.saving import card_of, params_of, predict_images
from headstart.flows.transfer.zero_shot.summary import ZeroShotSummary
from headstart.flows.transfer.zero_shot.trial import Trial, describe, describe_rivals, try_methods
from headstart.heads.report.transfer import ZeroShotPage, render_zero_shot
from headstart.heads.saving import save_model
from headstart.heads.scoring import ClassScore, score_classes
from headstart.heads.transfer.zero_shot import METHODS, equal_pairs

MODEL, PREDICTIONS, PAGE = "model", "predictions.csv", "zeroshot.html"


def zeroshot(
    cache: str | Path, *, options: ZeroShotOptions | None = None, **named: Unpack[ZeroShotKeywords]
) -> ZeroShotSummary:
    """Tell classes that no image is labelled with, by vectors that describe every class.

    A map from features to class vectors is learned on classes with labels; what it is chosen by, and the constant that
    keeps seen classes from winning too often, are found on classes that are held out of these. Rivals stand beside it.

    Parameters
    ----------
    cache : path-like
        What `extract` filled.
    options : ZeroShotOptions, optional
        All else that is asked for, see `flows.transfer.zero_shot.options.ZeroShotOptions`.
    **named
        Options by their names, such as ``classes="attributes.csv"``; they go before those of `options`.

    Raises
    ------
    JobError
        Classes, vectors and labels do not fit together, or it is not clear which are meant.
    HeadError
        There are too few seen classes, or a class has too few images.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> features, labels, _ = headstart.open("photos.headstart").arrays()
    >>> vectors = {name: features[labels == name].mean(axis=0) for name in ("cat", "dog", "owl")}  # or of texts
    >>> found = headstart.zeroshot("photos.headstart", classes=vectors, method=["clip"])
    >>> found.unseen, found.fitted, found.scored
    (['cat', 'dog', 'owl'], 0, 36)
    """
    started = time.monotonic()
    classes, options = _described(_listed(taken("zeroshot", options or ZeroShotOptions(), named)))
    opened = EmbeddingCache(cache)
    images = sort_images(opened, classes, options)
    if options.prompt:
        classes, images = with_prompts(classes, images, options)
    trials = try_methods(images, classes, options)
    best = trials[0]
    rivals, verdict = describe_rivals(best, images, classes.vectors, options.seed)
    by_class = _score_classes(best, images, classes)
    asked = images.unseen if options.among == "unseen" else np.arange(len(classes.names))
    names = [classes.names[one] for one in asked]
    best.model.among(asked)
    predicted = predict_images(best, images, classes, names)
    name = opened.path.resolve().name.removesuffix(".headstart")
    with run_folder(Path(options.out) if options.out else Path(f"{name}.zeroshot")) as place:
        summary = ZeroShotSummary(
            cache=str(opened.path),
            target=images.target,
            method=best.model.method,
            backbone=best.embedded.backbone,
            tap=best.embedded.tap,
            params=params_of(best),
            seen=[classes.names[one] for one in images.seen],
            unseen=[classes.names[one] for one in images.unseen],
            among=options.among,
            fitted=len(images.fit),
            scored=len(images.test),
            told=len(images.told),
            rows=[*map(describe, trials), *rivals],
            classes=by_class,
            verdict=verdict,
            model=str(place.folder / MODEL),
            predictions=str(place.folder / PREDICTIONS),
            page=str(place.folder / PAGE),
            notes=[*images.notes, *_remarks(best, images, classes)],
            seconds=round(time.monotonic() - started, 3),
        )
        _write(place, summary, best, names)
        write_predictions(predicted, place.part / PREDICTIONS)
        return replace(summary, notes=[*summary.notes, *place.finish()])


def _described(options: ZeroShotOptions) -> tuple[ClassVectors, ZeroShotOptions]:
    """Return the classes as their file has them; with prompts, texts are the method unless another is named."""
    if options.classes is None:
        raise JobError("no classes are given; --classes FILE.csv has a row for each, its name and its numbers")
    classes = read_classes(options.classes)
    if options.prompt:
        return classes, replace(options, method=options.method or (TEXTS,))
    if not classes.vectors.shape[1]:
        raise JobError(
            f"{classes.where}: holds names alone; add columns of numbers, or texts by --prompt 'a photo of a {{}}'"
        )
    return classes, options


def _listed(options: ZeroShotOptions) -> ZeroShotOptions:
    """Return the options with one name in place of several as a list of it."""
    given = {name: getattr(options, name) for name in ("unseen", "method", "prompt", "backbone")}
    several: dict[str, Any] = {name: as_list(one) for name, one in given.items() if one is not None}
    return replace(options, **several)


def _write(place: RunPlace, summary: ZeroShotSummary, best: Trial, names: list[str]) -> None:
    with errors_explained(place.part / MODEL):
        save_model(place.part / MODEL, best.model, card_of(best, names, summary.target, place.id))
    write_atomically(place.part / PAGE, render_zero_shot(_page(summary)).encode())


def _score_classes(best: Trial, images: Sorted, classes: ClassVectors) -> list[ClassScore]:
    if not len(images.test):
        return []
    true, groups = images.codes[images.test], images.groups[images.test]
    found = score_classes(true, best.scores.argmax(axis=1), classes.names, groups=groups)
    return [one for one in found if one.support]


def _remarks(best: Trial, images: Sorted, classes: ClassVectors) -> Sequence[str]:
    notes = [
        f"{classes.names[first]} and {classes.names[other]} have the same vector: nothing tells them apart"
        for first, other in equal_pairs(classes.vectors)[:3]
    ]
    if best.chosen is not None:
        low, high = min(best.chosen.by_draw), max(best.chosen.by_draw)
        notes.append(
            f"held-out classes were told with {100 * low:.0f} to {100 * high:.0f} %, draw by draw: other unseen "
            "classes would give other figures, too"
        )
    if not len(images.told) and not len(images.test):
        notes.append("every image was fitted on, so none is told; 'headstart predict' takes new ones")
    return notes


def _page(summary: ZeroShotSummary) -> ZeroShotPage:
    counts = ((summary.fitted, "fitted on"), (summary.scored, "scored"), (summary.told, "without a label told"))
    what = ", ".join(f"{count} {word}" for count, word in counts if count)
    intro = (
        f"{len(summary.seen)} seen and {len(summary.unseen)} unseen classes of {Path(summary.cache).name}; images: "
        f"{what}. The model is {METHODS[summary.method]} on {summary.rows[0].embedding}."
    )
    return ZeroShotPage(
        title=f"Classes without images: {', '.join(summary.unseen[:4])}{', …' if len(summary.unseen) > 4 else ''}",
        intro=intro,
        verdict=summary.verdict,
        rows=summary.rows,
        classes=summary.classes,
        unseen=summary.unseen,
        notes=summary.notes,
    )
