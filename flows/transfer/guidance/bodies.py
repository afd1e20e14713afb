"""Bodies of two caches: hidden layers that learned the source, the tail of a network, or all of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.network import uncut
from headstart.extractors.spec import EmbeddingKey, Tap, short_name
from headstart.flows.errors import JobError
from headstart.flows.fitting.finetuning import Trunk, is_of_same, open_network, open_trunks
from headstart.flows.options import FinetuneOptions
from headstart.flows.problem import Embedded, Problem, only_embedding, pose_problem
from headstart.flows.transfer.guidance.options import PIXELS, GuideOptions
from headstart.flows.transfer.guidance.pixels import read_pixels
from headstart.flows.transfer.guidance.source import Source, open_source
from headstart.heads.finetuning import Rows, logits_of
from headstart.heads.splits import SplitPlan, plan_splits
from headstart.heads.transfer.guidance import Body, HiddenLayers, NetworkBody

_BATCH = 32  # images at a time whose features are clustered


@dataclass(frozen=True)
class Sides:
    """Target and source, as a body takes them.

    Attributes
    ----------
    body : Body
        With the weights of the source.
    about : str
        The body, for people.
    problem, plan : Problem, SplitPlan
        The target, and which of its images are scored.
    source : Source
        With classes or clusters.
    target_rows, source_rows : Rows
    """

    body: Body
    about: str
    problem: Problem
    plan: SplitPlan
    source: Source
    target_rows: Rows
    source_rows: Rows


def open_sides(target: EmbeddingCache, source: EmbeddingCache, options: GuideOptions) -> Sides:
    """Open both caches, and make the body.

    Raises
    ------
    JobError
        They were embedded by different networks, or labels do not fit.
    """
    return _on_features(target, source, options) if options.from_layer is None else _on_network(target, source, options)


def _on_features(target: EmbeddingCache, source: EmbeddingCache, options: GuideOptions) -> Sides:
    problem = _pose(target, options, None, maps=False)
    own = only_embedding(problem.embedded, options.tap, target.path, _say)
    stores = source.stores(plain=True)
    keys = [one.key.id for one in stores if is_of_same(one.key, own.store.key)]
    if stores and not keys:
        raise _different(target, source, own.store.key, stores[0].key)
    plan, found = _plan(problem, options), open_source(source, options, keys, maps=False)
    found = found.without(problem.images.digest[plan.test])
    there = only_embedding(found.embedded, own.tap, source.path, _say)
    rows, target_rows = (np.asarray(one.features, np.float32) for one in (there, own))
    found = found.with_codes(lambda: rows, options.seed)
    body = HiddenLayers.learned(rows, found.codes, options.perceptron_params, options.seed)
    widths = ", ".join(map(str, options.hidden_sizes))
    about = f"hidden layers of a perceptron ({widths}) on {own.label} · {own.tap}"
    return Sides(body, about, problem, plan, found, target_rows, rows)


def _on_network(target: EmbeddingCache, source: EmbeddingCache, options: GuideOptions) -> Sides:
    whole, layer = options.from_layer == PIXELS, str(options.from_layer)
    asked = FinetuneOptions(backbone=options.backbone, weights=options.weights, progress=options.progress)
    stores = [open_network(cache, asked)[0] for cache in (target, source)]
    there, here = (one.key for one in stores)
    if not is_of_same(here, there):
        raise _different(target, source, there, here)
    own, other = (_open(cache, layer, asked) for cache in (target, source))
    key = own.store.key
    maps = not whole or all(Tap.parse(tap).is_map for tap in key.taps)
    problem = _pose(target, options, [key.id], maps=maps)
    plan, found = _plan(problem, options), open_source(source, options, [other.store.key.id], maps=maps)
    found = found.without(problem.images.digest[plan.test])
    target_rows, source_rows = (
        read_pixels(side.root, side.images, key, progress=options.progress)
        if whole
        else next(one for one in side.embedded if one.tap == str(own.tail.tap)).features.mapped()
        for side in (problem, found)
    )

    def features() -> npt.NDArray[Any]:
        rows = np.arange(len(source_rows))
        return np.asarray(logits_of(own.tail.features(), source_rows, rows, _BATCH).flatten(1).numpy())

    body = NetworkBody(
        build=lambda n_classes, seed: own.tail.with_classes(n_classes, seed=seed).module,
        blocks=own.tail.blocks,
        params=options.network_params,
    )
    about = f"{short_name(own.tail.backbone)}{', all of it, from pixels' if whole else f' from {layer} on'}"
    return Sides(body, about, problem, plan, found.with_codes(features, options.seed), target_rows, source_rows)


def _open(cache: EmbeddingCache, layer: str, asked: FinetuneOptions) -> Trunk:
    """Return the network of a cache from a layer on, or all of it, with the weights that embedded it."""
    if layer != PIXELS:
        return open_trunks(cache, [layer], asked)[0]
    store, backbone, _ = open_network(cache, asked)
    return Trunk(layer, store, uncut(backbone))


def _different(target: EmbeddingCache, source: EmbeddingCache, there: EmbeddingKey, here: EmbeddingKey) -> JobError:
    others = "or by other weights, or on other pixels"
    return JobError(
        f"{source.path}: embedded by {here.title}, and {target.path} by {there.title}, {others}; extract both alike"
    )


def _pose(cache: EmbeddingCache, options: GuideOptions, keys: list[str] | None, *, maps: bool) -> Problem:
    labels = Path(options.labels) if options.labels else None
    backbone = [options.backbone] if options.backbone and not keys else None
    problem = pose_problem(cache, labels=labels, target=options.target, backbone=backbone, keys=keys, maps=maps)
    if problem.task != "classify":
        raise JobError(f"target {problem.target!r} is a number to predict; a guide is for classes: 'headstart fit'")
    return problem


def _plan(problem: Problem, options: GuideOptions) -> SplitPlan:
    return plan_splits(
        problem.y,
        split=problem.split,
        groups=problem.groups,
        class_names=problem.class_names,
        folds=2,
        test_size=options.test_size,
        seed=options.seed,
    )


def _say(one: Embedded) -> str:
    return f"--backbone {short_name(one.backbone)} --tap {one.tap}"
