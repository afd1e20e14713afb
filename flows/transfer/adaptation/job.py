"""Source and target → heads adapted without a label of the target, the control beside them, one of them saved."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from headstart.flows.options import as_list, taken
from headstart.flows.output import plain, progress_bar, run_folder
from headstart.flows.transfer.adaptation.files import MODEL, PAGE, PREDICTIONS, TABLE, draw_maps, write_files
from headstart.flows.transfer.adaptation.options import AdaptKeywords, AdaptOptions
from headstart.flows.transfer.adaptation.scoring import Judged, conclude, judge
from headstart.flows.transfer.adaptation.sides import NO_LABEL, Sides, find_sides
from headstart.flows.transfer.adaptation.summary import AdaptSummary
from headstart.heads.folds import cross_validate
from headstart.heads.prediction import class_scores
from headstart.heads.report.transfer import AdaptRow
from headstart.heads.transfer.adaptation import (
    SOURCE,
    Chosen,
    Domains,
    adapt_by,
    effective_size,
    importance_weights,
    methods_asked,
    tell_apart,
)

_FEW = 30  # images, with fewer of which an accuracy is uncertain by a tenth and more
_Floats = npt.NDArray[np.float32]


def adapt(
    source: str | Path,
    onto: str | Path | None = None,
    *,
    options: AdaptOptions | None = None,
    **named: Unpack[AdaptKeywords],
) -> AdaptSummary:
    """Fit heads on a labelled source for a target whose labels are not looked at, and save the best of them.

    Hyper-parameters, and the model that is saved, are chosen on images of the source. Every method stands beside a
    control that never saw the target. Where the target has labels, they are looked at once, at the end.

    Parameters
    ----------
    source : path-like
        Cache of labelled images.
    onto : path-like, optional
        Cache of the target, the images to predict, embedded alike; None where `domain` tells both apart in one cache.
    options : AdaptOptions, optional
        All else that is asked for, see `flows.transfer.adaptation.options.AdaptOptions`.
    **named
        Options by their names, such as ``method="coral"``; they go before those of `options`.

    Raises
    ------
    JobError
        It is not clear which images, labels or embeddings are meant.
    HeadError
        A domain or a class has too few images, or no method has that name.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> images = headstart.open("photos.headstart").images
    >>> images.assign(camera=["old", "new"] * 18).to_csv("cameras.csv", index=False)
    >>> by = {"labels": "cameras.csv", "domain": "camera", "to": "new", "target": "label"}
    >>> found = headstart.adapt("photos.headstart", method="coral", **by)
    >>> [row.name for row in found.rows], found.saved, found.n_target
    (['source', 'coral'], 'coral', 18)
    """
    started = time.monotonic()
    options = taken("adapt", options or AdaptOptions(), named)
    methods, notes = methods_asked(asked := None if options.method is None else as_list(options.method))
    sides = find_sides(Path(source), None if onto is None else Path(onto), options)
    domains, everything, more = _domains(sides, options)
    with run_folder(Path(options.out or f"{Path(sides.target.name).name}.adapted")) as place:
        before = tell_apart(domains.source, domains.target, domains.groups, seed=options.seed)
        weights = importance_weights(before.probability, len(domains.source))
        chosen = _adapt(methods, domains, weights, sides.class_names, options)
        saved = _best(chosen, asked)
        scores = {key: _asked(one, everything, domains.n_classes) for key, one in chosen.items()}
        judged = judge(_answers(scores), sides.truth, sides.groups[len(sides.y) :], options.seed)
        summary = AdaptSummary(
            source=sides.source.name,
            target=sides.target.name,
            backbone=sides.embedded.backbone,
            tap=sides.embedded.tap,
            class_names=sides.class_names,
            n_source=len(domains.source),
            n_target=len(everything),
            n_labelled=int((sides.truth != NO_LABEL).sum()),
            validation=options.validation,
            apart=before.accuracy,
            effective_size=effective_size(weights),
            rows=[_row(one, domains, before.accuracy, judged.get(key), options) for key, one in chosen.items()],
            saved=saved,
            conclusion=conclude(judged, saved),
            model=str(place.folder / MODEL),
            predictions=str(place.folder / PREDICTIONS),
            table=str(place.folder / TABLE),
            page=str(place.folder / PAGE),
            run=place.id,
            notes=[*sides.notes, *notes, *more, *_doubts(effective_size(weights), options)],
            seconds=round(time.monotonic() - started, 3),
        )
        maps = draw_maps(domains, chosen[saved], options.seed)
        write_files(place, summary, sides, chosen[saved], _answers(scores), scores[saved], maps)
        return replace(summary, notes=[*summary.notes, *place.finish()])


def _answers(scores: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.intp]]:
    return {key: one.argmax(axis=1) for key, one in scores.items()}


def _domains(sides: Sides, options: AdaptOptions) -> tuple[Domains, _Floats, list[str]]:
    """Return the domains that are adapted on, drawn where they are large, and features of all images of the target."""
    generator, notes = np.random.default_rng(options.seed), []
    rows = []
    for name, n_images in (("source", len(sides.y)), ("target", len(sides.truth))):
        drawn = np.arange(n_images)
        if n_images > options.images:
            drawn = np.sort(generator.choice(n_images, options.images, replace=False))
            notes.append(f"adapted on {options.images} of the {name}'s {n_images} images (--images)")
        rows.append(drawn)
    everything = np.asarray(sides.of_target.features, np.float32)
    domains = Domains(
        source=np.asarray(sides.embedded.features.take(rows[0]), np.float32),
        y=sides.y[rows[0]],
        target=everything[rows[1]],
        groups=sides.groups[np.concatenate([rows[0], len(sides.y) + rows[1]])],
        n_classes=len(sides.class_names),
    )
    return domains, everything, notes


def _doubts(n_effective: float, options: AdaptOptions) -> list[str]:
    if options.validation == "source" or n_effective >= _FEW:
        return []
    hardly = (
        f"weights leave the source as much as {n_effective:.0f} images would say: the domains hardly overlap, and a "
        "weighted validation is little more than chance (--validation source)"
    )
    return [hardly]


def _adapt(
    methods: Sequence[Any],
    domains: Domains,
    weights: npt.NDArray[np.float64],
    class_names: list[str],
    options: AdaptOptions,
) -> dict[str, Chosen]:
    rows = np.arange(len(domains.source))
    folds = cross_validate(domains.y, domains.source_groups, rows, options.folds, options.seed, class_names)
    counted = weights if options.validation == "weighted" else None
    found = {}
    with progress_bar("adapting", len(methods), unit="methods", show=options.progress) as advance:
        for method in methods:
            found[method.name] = adapt_by(method, domains, folds, counted=counted, seed=options.seed)
            advance(1)
    return found


def _asked(one: Chosen, X: _Floats, n_classes: int) -> npt.NDArray[np.float64]:
    """Return the probability of each class, which every method's head gives."""
    found = class_scores(one.adapted.model, X, n_classes)
    assert found is not None  # noqa: S101 - for the type checker: both kinds of heads give them
    return found


def _best(chosen: Mapping[str, Chosen], asked: Sequence[str] | None) -> str:
    """Return the method that validates best of those asked for, or else of those that adapt."""
    controls = {one.method.control for one in chosen.values()} | {SOURCE}
    names = asked or [name for name in chosen if name not in controls]
    return max(names, key=lambda name: chosen[name].validation)


def _row(one: Chosen, domains: Domains, before: float, judged: Judged | None, options: AdaptOptions) -> AdaptRow:
    adapted, n_source = one.adapted, len(domains.source)
    rows = np.arange(n_source) if adapted.rows is None else adapted.rows
    apart = before
    if one.method.name != SOURCE:
        groups = np.concatenate([domains.groups[:n_source][rows], domains.groups[n_source:]])
        apart = tell_apart(adapted.source, adapted.target, groups, weights=adapted.weights, seed=options.seed).accuracy
    return AdaptRow(
        name=one.method.name,
        title=one.method.title,
        control=one.method.control,
        params=plain(dict(one.params)),
        validation=one.validation,
        apart=apart,
        effective_size=None if adapted.weights is None else effective_size(adapted.weights),
        scores=judged.scores if judged else {},
        difference=judged.difference if judged else None,
        p_adjusted=judged.p_adjusted if judged else None,
        verdict=judged.verdict if judged else None,
    )
