"""Two caches → a guide: what the source did not need to move is held back on the target, beside three controls."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.flows.fitting.finetuning import write_guide
from headstart.flows.options import taken
from headstart.flows.output import progress_bar, run_folder
from headstart.flows.transfer.guidance.bodies import Sides, open_sides
from headstart.flows.transfer.guidance.options import GuideKeywords, GuideOptions
from headstart.flows.transfer.guidance.summary import GuideSummary
from headstart.heads.report.transfer import GuidePage, GuideRow, is_experimental, render_guide
from headstart.heads.transfer.guidance import (
    CONTROLS,
    GUIDED,
    Compared,
    Guide,
    GuideRule,
    Target,
    compare_arms,
    draw_subproblems,
    fewest_draws,
    judge,
    mean_movement,
)

GUIDE, TABLE, PAGE = "guide.safetensors", "guide.csv", "guide.html"


def guide(
    cache: str | Path, source: str | Path, *, options: GuideOptions | None = None, **named: Unpack[GuideKeywords]
) -> GuideSummary:
    """Train on a few images of a cache, and hold back weights that easy problems of a source did not need to move.

    Scouts learn sub-problems of the source, each from the same start; how far a weight had to move becomes its share of
    each step on the target. Beside it, always, on the same images: training without the guide, with its values
    shuffled, and with their mean for every weight. It is experimental unless it beats all three.

    Parameters
    ----------
    cache, source : path-like
        What `extract` filled, with the same backbone. Labels of the source may be absent: clusters stand in for them.
    options : GuideOptions, optional
        All else that is asked for, see `flows.transfer.guidance.options.GuideOptions`.
    **named
        Options by their names, such as ``shots=[1, 5]``; they go before those of `options`.

    Raises
    ------
    JobError
        The caches were embedded differently, or labels of the first are absent or do not fit.
    HeadError
        The source has too few classes for the scouts, or the target too few images for the shots.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> found = headstart.guide("photos.headstart", "photos.headstart", shots=1, draws=2, scouts=2, steps=2)
    >>> found.experimental, [row.shots for row in found.rows]
    (True, [1])
    """
    started = time.monotonic()
    options = taken("guide", options or GuideOptions(), named, beside=["cache", "source"])
    rule = GuideRule(scope=options.scope, focus=options.focus, temperature=options.temperature)
    caches = EmbeddingCache(cache), EmbeddingCache(source)
    sides = open_sides(*caches, options)
    scouts, shares = _scout(sides, rule, options)
    compared = _compare(sides, shares, options)
    rows, name = _rows(compared, options.seed), caches[0].path.resolve().name.removesuffix(".headstart")
    with run_folder(Path(options.out) if options.out else Path(f"{name}.guide")) as place:
        summary = GuideSummary(
            cache=str(caches[0].path),
            source=str(caches[1].path),
            target=sides.problem.target,
            body=sides.about,
            scouts=scouts,
            rule={"scope": rule.scope, "focus": rule.focus, "temperature": rule.temperature},
            shares={name: float(values.mean(dtype=np.float64)) for name, values in shares.items()},
            draws=options.draws,
            images=len(sides.plan.test),
            rows=rows,
            experimental=is_experimental(rows),
            guide=str(place.folder / GUIDE),
            table=str(place.folder / TABLE),
            page=str(place.folder / PAGE),
            notes=[*sides.problem.notes, *sides.plan.notes, *sides.source.notes, *_on_draws(options)],
            seconds=round(time.monotonic() - started, 3),
        )
        write_guide(place.part / GUIDE, shares, {"body": sides.about, **summary.rule})
        write_atomically(place.part / TABLE, _table(compared, options.seed).to_csv(index=False).encode())
        write_atomically(place.part / PAGE, render_guide(_page(summary, sides)).encode())
        return replace(summary, notes=[*summary.notes, *place.finish()])


def _scout(sides: Sides, rule: GuideRule, options: GuideOptions) -> tuple[list[list[str]], Guide]:
    """Return the classes of each scout by name, and the guide that they make."""
    source, names = sides.source, sides.source.names
    drawn = draw_subproblems(len(names), options.scouts, options.scout_classes, options.seed)
    with progress_bar("scouting", len(drawn), unit="scouts", show=options.progress) as advance:
        movement = mean_movement(
            sides.body, sides.source_rows, source.codes, drawn, seed=options.seed, on_scout=lambda: advance(1)
        )
    return [[names[one] for one in classes] for classes in drawn], rule.of(movement)


def _compare(sides: Sides, shares: Guide, options: GuideOptions) -> list[Compared]:
    task = Target(
        X=sides.target_rows, codes=sides.problem.y.astype(np.intp), train=sides.plan.train, test=sides.plan.test
    )
    with progress_bar(
        "comparing", len(options.shot_list) * options.draws, unit="draws", show=options.progress
    ) as advance:
        return compare_arms(
            sides.body,
            shares,
            task,
            scope=options.scope,
            shots=options.shot_list,
            n_draws=options.draws,
            seed=options.seed,
            on_draw=lambda: advance(1),
        )


def _rows(compared: list[Compared], seed: int) -> list[GuideRow]:
    tests = judge(compared, seed)
    rows = []
    for one in compared:
        own = [test for test in tests if test.shots == one.shots]
        means = {arm: float(values.mean()) for arm, values in one.accuracy.items()}
        rows.append(GuideRow(shots=one.shots, **means, beaten=all(test.beats for test in own), tests=own))
    return rows


def _on_draws(options: GuideOptions) -> list[str]:
    least = fewest_draws(len(options.shot_list))
    few = f"{options.draws} draws are too few to tell any difference from chance; take {least} at least (--draws)"
    return [few] if options.draws < least else []


def _table(compared: list[Compared], seed: int) -> pd.DataFrame:
    parts = [
        pd.DataFrame(dict(one.accuracy)).assign(shots=one.shots, draw=np.arange(len(one.accuracy[GUIDED])) + seed)
        for one in compared
    ]
    return pd.concat(parts)[["shots", "draw", GUIDED, *CONTROLS]]


def _page(summary: GuideSummary, sides: Sides) -> GuidePage:
    scored = f"scored on {summary.images} images of {sides.plan.test_name}"
    by = ", ".join(f"{name} {value}" for name, value in summary.rule.items())
    source = f"the source is {Path(summary.source).name}, {sides.source.kinds}"
    return GuidePage(
        title=f"Guided transfer to {summary.target}",
        intro=f"Trained by a guide: {summary.body}; {source}; {scored}; guide by {by}.",
        rows=summary.rows,
        draws=summary.draws,
        scouts=summary.scouts,
        shares=summary.shares,
        notes=summary.notes,
    )
