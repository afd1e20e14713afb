"""Cache → advice: which kind of transfer suits a task, by what is measured on its own images."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.extractors.backbones import canonical_name
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.spec import short_name
from headstart.flows.errors import JobError
from headstart.flows.options import as_list, taken
from headstart.flows.output import run_folder
from headstart.flows.problem import Problem, pose_problem
from headstart.flows.transfer.advice.commands import commands_for, commands_to_measure
from headstart.flows.transfer.advice.controls import embed_controls
from headstart.flows.transfer.advice.layers import CONTROLS, Kind, Layer, best_of, identity_of, named_layers
from headstart.flows.transfer.advice.options import AdviceKeywords, AdviceOptions
from headstart.flows.transfer.advice.source import compare_with_source
from headstart.flows.transfer.advice.summary import AdviceSummary
from headstart.flows.transfer.advice.wording import find_all, title_of, transfer_of
from headstart.flows.transfer.ranking import choose_images, score_layers
from headstart.heads.report.transfer import AdviceLayer, AdvicePage, render_advice
from headstart.heads.scoring import quantile, wilson
from headstart.heads.splits import SplitPlan
from headstart.heads.transfer.advice import Advice, Lead, Measured, Near, advise_by, lead_of_best, measure_growth
from headstart.heads.transfer.likeness import Likeness

TABLE, PAGE = "layers.csv", "advice.html"
_Rows = npt.NDArray[np.intp]
_NEAR: dict[str, Near] = {"alike": "similar", "similar": "similar", "different": "different"}


def advise(
    cache: str | Path, *, options: AdviceOptions | None = None, **named: Unpack[AdviceKeywords]
) -> AdviceSummary:
    """Say how to transfer: a linear head on the last layer or an earlier one, fine-tuning, or training anew.

    The matrix of size and likeness that courses teach, with everything measured on the task's own images: how many
    have a label, what twice as many brought, what each layer tells, how far they are from a source, and whether
    features tell more than raw pixels and random weights. Test images are not looked at.

    Parameters
    ----------
    cache : path-like
        What `extract` filled.
    options : AdviceOptions, optional
        All else that is asked for, see `flows.transfer.advice.options.AdviceOptions`.
    **named
        Options by their names, such as ``source="imagenet.headstart"``; they go before those of `options`.

    Raises
    ------
    JobError
        Labels are absent or numbers, no backbone of the cache has learned anything, or the source lacks the features.
    HeadError
        A class has too few images, or the source has.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> from headstart.extractors.backbones import load_backbone
    >>> from headstart.extractors.pretraining import save_encoder
    >>> save_encoder(load_backbone("small_cnn", weights="none", seed=1).module, "nothing-learned.safetensors")
    >>> advised = headstart.extract("photos", "small_cnn", weights="nothing-learned.safetensors", cache="a.headstart")
    >>> found = headstart.advise(advised.cache)
    >>> found.advice.size, found.advice.transfer
    ('little', 'unproven')
    """
    started = time.monotonic()
    options = taken("advise", options or AdviceOptions(), named)
    opened = EmbeddingCache(cache)
    seen = _look(opened, options)
    likeness, notes = None, list(seen.notes)
    if options.source:
        last = seen.own[-1].embedded
        likeness, more = compare_with_source(Path(options.source), last, seen.problem, seen.rows, options.seed)
        notes += more
    measured, growth = _measure(seen, likeness, options)
    advice = advise_by(measured)
    rarest = int(np.bincount(seen.problem.y[seen.plan.train]).min())
    summary = AdviceSummary(
        cache=str(opened.path),
        target=seen.problem.target,
        images=len(seen.rows),
        images_per_class=measured.images_per_class,
        rarest=rarest,
        backbone=short_name(seen.own[-1].embedded.backbone),
        title=title_of(advice, seen.own[-1].name, measured.earlier),
        transfer=transfer_of(advice, measured.controls, measured.n_images),
        advice=advice,
        findings=find_all(measured, advice, growth, likeness, rarest),
        layers=[_row(layer, seen.problem.groups[seen.rows]) for layer in seen.layers],
        earlier=measured.earlier,
        controls=list(measured.controls),
        growth=growth,
        likeness=likeness,
        commands=_commands(seen, advice, opened.path, alone=measured.earlier is None),
        table="",
        page="",
        notes=notes,
    )
    return _written(summary, options, started)


@dataclass(frozen=True)
class _Seen:
    """Problem, images of it, and layers with their scores; `own` are the best network's."""

    problem: Problem
    rows: _Rows
    plan: SplitPlan
    layers: Sequence[Layer]
    own: Sequence[Layer]
    notes: list[str]

    def of_kind(self, kind: Kind) -> list[Layer]:
        return [layer for layer in self.layers if layer.kind == kind]


def _commands(seen: _Seen, advice: Advice, cache: Path, *, alone: bool) -> list[str]:
    """Return the commands of the advice, and those that measure more, which go first for a head on earlier layers."""
    last = seen.own[-1].embedded
    lacking = [kind for kind in CONTROLS if not seen.of_kind(kind)]
    doing = commands_for(advice, last, cache)
    measuring = commands_to_measure(seen.problem, last, cache, lacking=lacking, layers=alone)
    return [*measuring, *doing] if advice.action == "linear-earlier" else [*doing, *measuring]


def _look(cache: EmbeddingCache, options: AdviceOptions) -> _Seen:
    """Score every layer of the cache, and of the controls that it lacks."""
    labels, names = Path(options.labels) if options.labels else None, as_list(options.backbone or ())
    problem = pose_problem(cache, labels=labels, target=options.target)
    if problem.task != "classify":
        raise JobError(
            f"{cache.path}: target {problem.target!r} is a number to predict, and advice is for classes; 'headstart "
            "rank' orders layers for numbers"
        )
    rows, plan, notes = choose_images(
        problem, "advised by", images=options.images, test_size=options.test_size, seed=options.seed
    )
    scores = score_layers(problem, problem.embedded, rows, progress=options.progress)
    layers = named_layers(problem.embedded, scores)
    learned = [one for one in layers if one.kind == "learned" and (not names or _is_named(one, names))]
    if not learned:
        raise JobError(
            f"{cache.path}: no embeddings of {', '.join(names) or 'a network with weights'}, of which advice could be "
            f"given; 'headstart extract {problem.root} --backbone resnet50 --cache {cache.path}' makes some"
        )
    best = best_of(learned)
    lacking = [kind for kind in CONTROLS if not any(one.kind == kind for one in layers)]
    if lacking and not options.as_cached:
        keys, more = embed_controls(cache, best.embedded, lacking, progress=options.progress)
        notes = [*notes, *more]
        if keys:  # an image may have become unreadable on the way: all of it is looked at again
            seen = _look(cache, replace(options, as_cached=True))
            return replace(seen, notes=[*seen.notes, *more])
    own = [layer for layer in layers if identity_of(layer.embedded) == identity_of(best.embedded)]
    kept = [layer for layer in layers if layer.kind != "learned" or layer in learned or not names]
    return _Seen(problem, rows, plan, kept, own, [*problem.notes, *notes])


def _is_named(layer: Layer, names: Sequence[str]) -> bool:
    return bool({layer.embedded.backbone, short_name(layer.embedded.backbone)} & set(map(canonical_name, names)))


def _measure(seen: _Seen, likeness: Likeness | None, options: AdviceOptions) -> tuple[Measured, Any]:
    """Compare layers and controls, and see what half of the images would have told."""
    y, groups = seen.problem.y[seen.rows], seen.problem.groups[seen.rows]
    learned, best = _right(seen.of_kind("learned")), best_of(seen.own)
    earlier = lead_of_best(_right(seen.own[:-1]), _right(seen.own[-1:]), groups) if seen.own[:-1] else None
    controls: list[Lead] = [
        lead_of_best(learned, _right(some), groups) for kind in CONTROLS if (some := seen.of_kind(kind))
    ]
    X = np.asarray(best.embedded.features.take(seen.rows), np.float32)
    growth = measure_growth(X, y, groups, len(seen.problem.class_names), best.scores.right, options.seed)
    measured = Measured(
        images_per_class=float(np.median(np.bincount(seen.problem.y[seen.plan.train]))),
        enough=options.enough,
        n_images=len(seen.rows),
        n_wrong=round(float((1 - best.scores.right).sum())),
        earlier=earlier,
        near=_NEAR.get(likeness.verdict) if likeness else None,
        controls=controls,
    )
    return measured, growth


def _right(layers: Sequence[Layer]) -> dict[str, npt.NDArray[np.float64]]:
    return {layer.name: layer.scores.right for layer in layers}


def _row(layer: Layer, groups: npt.NDArray[Any]) -> AdviceLayer:
    units = len(np.unique(groups))
    low, high = wilson(layer.scores.score, units, quantile(None if units == len(groups) else units))
    return AdviceLayer(
        name=layer.name,
        network=layer.network,
        tap=layer.tap,
        key=layer.embedded.store.key.id,
        kind=layer.kind,
        score=layer.scores.score,
        low=low,
        high=high,
    )


def _written(summary: AdviceSummary, options: AdviceOptions, started: float) -> AdviceSummary:
    """Write table and page."""
    name = Path(summary.cache).resolve().name.removesuffix(".headstart")
    with run_folder(Path(options.out) if options.out else Path(f"{name}.advice")) as place:
        table = pd.DataFrame([asdict(row) for row in summary.layers]).to_csv(index=False)
        write_atomically(place.part / TABLE, table.encode())
        write_atomically(place.part / PAGE, render_advice(_page(summary)).encode())
        return replace(
            summary,
            table=str(place.folder / TABLE),
            page=str(place.folder / PAGE),
            notes=[*summary.notes, *place.finish()],
            seconds=round(time.monotonic() - started, 3),
        )


def _page(summary: AdviceSummary) -> AdvicePage:
    return AdvicePage(
        title=summary.title,
        intro=f"{summary.target} of {Path(summary.cache).name}, by {summary.images} images, none of them for test.",
        transfer=summary.transfer,
        warns=summary.advice.transfer in ("unproven", "negative"),
        cell=(summary.advice.size, summary.advice.near or "similar"),
        findings=summary.findings,
        layers=summary.layers,
        growth=summary.growth,
        likeness=summary.likeness,
        commands=summary.commands,
        notes=summary.notes,
    )
