"""An encoder, the same network with random weights, and raw pixels, on the same few labels a class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import CacheListing
from headstart.extractors.spec import PENULTIMATE, Tap, short_name
from headstart.flows.extraction import ExtractOptions, extract
from headstart.flows.output import progress_bar
from headstart.flows.problem import Embedded, Problem, describe_images, pose_problem
from headstart.flows.transfer.pretraining.options import PretrainOptions
from headstart.heads.report.transfer import ComparedRow
from headstart.heads.transfer.pretraining import Draws, Measured, draw_few, measured, right_of

PRETRAINED, RANDOM, PIXELS = "pre-trained", "random", "raw pixels"
_BLOCKS: dict[str, Sequence[str]] = {"small_cnn": ("features.3:flatten", "features.7:flatten", "features.11:flatten")}
"""Layers that are compared beside the last one, the lowest first."""


@dataclass(frozen=True)
class Comparison:
    """Rows, the lowest layer first, and what follows from them; without rows, why there are none."""

    rows: list[ComparedRow]
    verdict: str


def why_not(listing: CacheListing, options: PretrainOptions) -> str:
    """Say why nothing is compared; empty where it is."""
    if not options.shots:
        return "not compared, as asked (--shots 0)"
    if options.labels:
        return ""
    found, _ = describe_images(listing.rows)
    where = "'headstart extract' and 'fit' with --labels, or this command with --labels FILE, compare it later"
    if found.column is None and not options.target:
        return f"not compared: the images have no labels; {where}"
    if found.task == "regress":
        return f"not compared: {found.column} holds numbers, and a few labels a class are of classes; {where}"
    return ""


def compare(images: str | Path, cache: EmbeddingCache, weights: Path, options: PretrainOptions) -> Comparison:
    """Embed the images three times, and tell their classes from a few labels.

    Raises
    ------
    JobError, DataError
        Labels are not clear, or a class has too few images.
    """
    lower = options.tap or _BLOCKS.get(short_name(options.backbone)) or ()
    taps = list(dict.fromkeys([*lower, PENULTIMATE]))
    shared = ExtractOptions(
        cache=cache.path,
        image_size=options.image_size,
        limit=options.limit,
        layout=options.layout,
        device=options.device,
        workers=options.workers,
        precision="fp32",
        progress=options.progress,
    )
    networks = extract(images, [options.backbone] * 2, options=shared, weights=[str(weights), "none"], tap=taps)
    pixels = extract(images, "raw_pixels", options=shared)
    filled = [*networks.keys, *pixels.keys]
    keys = {one.id: name for one, name in zip(filled, (PRETRAINED, RANDOM, PIXELS), strict=True)}
    labels = Path(options.labels) if options.labels else None
    problem = pose_problem(cache, labels=labels, target=options.target, task="classify", keys=list(keys))
    draws = _draw(problem, options)
    found = {(keys[one.store.key.id], one.tap): one for one in problem.embedded}
    right = {}
    with progress_bar("comparing", len(found), unit="layers", show=options.progress) as advance:
        for name, one in found.items():
            right[name] = right_of(np.asarray(one.features, np.float32), problem.y, draws)
            advance(1)
    asked = [str(Tap.parse(tap)) for tap in taps]
    order = sorted(found, key=lambda one: ((PRETRAINED, RANDOM, PIXELS).index(one[0]), asked.index(one[1])))
    rows = [_row(name, found[name], right) for name in order]
    return Comparison(rows, _verdict(rows, options))


def _draw(problem: Problem, options: PretrainOptions) -> Draws:
    """Draw labels of the images that a fit would train on, and score those that it would not, where that is said."""
    everywhere = np.ones(len(problem.y), bool)
    held = np.isin(problem.split, ("val", "test")) if problem.split is not None else ~everywhere
    fit, score = (~held, held) if held.any() else (everywhere, everywhere)
    return draw_few(problem.y, problem.groups, fit, score, shots=options.shots, draws=options.draws, seed=options.seed)


def _row(name: tuple[str, str], one: Embedded, right: dict[tuple[str, str], Any]) -> ComparedRow:
    weights, tap = name
    random, pixels = (right.get((RANDOM, tap)), right.get((PIXELS, PENULTIMATE)))
    is_encoder = weights == PRETRAINED
    return ComparedRow(
        weights=weights,
        tap=PIXELS if weights == PIXELS else tap,
        key=one.store.key.id,
        features=int(one.features.shape[1]),
        accuracy=measured(right[name]),
        over_random=measured(right[name] - random) if is_encoder and random is not None else None,
        over_pixels=measured(right[name] - pixels) if weights != PIXELS and pixels is not None else None,
    )


def _verdict(rows: Sequence[ComparedRow], options: PretrainOptions) -> str:
    """Say in one sentence what the encoder's last layer is worth, and which layer is worth more."""
    encoder = [row for row in rows if row.weights == PRETRAINED]
    last = next(row for row in encoder if row.tap == PENULTIMATE)
    best = max(encoder, key=lambda row: row.accuracy.value)
    sentence = (
        f"With {options.shots} labels a class, the encoder's last layer tells {100 * last.accuracy.value:.1f} % of the "
        f"other images{_against('random weights', last.over_random)}{_against(PIXELS, last.over_pixels)}."
    )
    return (
        sentence if best is last else f"{sentence} Its best layer, {best.tap}, tells {100 * best.accuracy.value:.1f} %."
    )


def _against(control: str, found: Measured | None) -> str:
    if found is None:
        return ""
    ends = f"[{100 * found.low:.1f}, {100 * found.high:.1f}]"
    chance = ", which may be chance" if found.low <= 0 <= found.high else ""
    return f"; against {control} {100 * found.value:+.1f} points {ends}{chance}"
