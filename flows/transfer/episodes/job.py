"""Cache → episodes: how well a few labelled images of each class tell the others, layer by layer."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.flows.fitting import leave_out
from headstart.flows.options import as_list, taken
from headstart.flows.output import progress_bar, run_folder
from headstart.flows.problem import Problem, pose_problem
from headstart.flows.transfer.episodes.base import base_means
from headstart.flows.transfer.episodes.options import EpisodesKeywords, EpisodesOptions
from headstart.flows.transfer.episodes.rows import COVERS, in_order, rows_of, sentences
from headstart.flows.transfer.episodes.summary import EpisodesSummary
from headstart.flows.transfer.ranking import choose_images, is_random
from headstart.heads.errors import DataError, RareClassError
from headstart.heads.report.transfer import EpisodeRow, EpisodesPage, render_episodes
from headstart.heads.transfer.episodes import METHODS, Episodes, draw_episodes, one_class_a_group, score_episodes

TABLE, PAGE = "episodes.csv", "episodes.html"


def episodes(
    cache: str | Path, *, options: EpisodesOptions | None = None, **named: Unpack[EpisodesKeywords]
) -> EpisodesSummary:
    """Measure how well one or a few labelled images of each of a few classes tell others, in thousands of draws.

    Every layer of the cache and every method is scored on the same episodes, no two images of which are copies or of
    one group. The control is the plain nearest class mean; a backbone with random weights in the cache is one more.
    Test images are not looked at.

    Parameters
    ----------
    cache : path-like
        What `extract` filled.
    options : EpisodesOptions, optional
        All else that is asked for, see `flows.transfer.episodes.options.EpisodesOptions`.
    **named
        Options by their names, such as ``ways=5, shots=[1, 5]``; they go before those of `options`.

    Raises
    ------
    JobError
        Labels are absent or hold numbers, it is not clear which are meant, or the source lacks what is needed of it.
    HeadError
        Too few classes have images enough.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> found = headstart.episodes("photos.headstart", ways=2, shots=[1], queries=3, count=50)
    >>> sorted(row.method for row in found.rows)
    ['cl2n', 'cosine', 'l2n', 'laplacian', 'plain', 'pt-map']
    """
    started = time.monotonic()
    options = taken("episodes", options or EpisodesOptions(), named)
    opened = EmbeddingCache(cache)
    problem, rows, notes = _pose(opened, options)
    y = problem.y[rows]
    drawn = _draw(y, problem.groups[rows], options)
    bases = base_means(Path(options.source), problem, notes) if options.source else [None] * len(problem.embedded)
    base = _say_base(len(np.unique(y)) - options.ways, options, notes)
    found = in_order(_score(problem, rows, drawn, bases, options))
    name = opened.path.resolve().name.removesuffix(".headstart")
    with run_folder(Path(options.out) if options.out else Path(f"{name}.episodes")) as place:
        summary = EpisodesSummary(
            cache=str(opened.path),
            target=problem.target,
            ways=options.ways,
            shots=list(drawn.shots),
            queries=options.queries,
            episodes=len(drawn),
            images=len(rows),
            classes=len(drawn.eligible),
            base=base,
            chance=1 / options.ways,
            rows=found,
            covers=COVERS,
            findings=sentences(found, 1 / options.ways),
            table=str(place.folder / TABLE),
            page=str(place.folder / PAGE),
            notes=[*problem.notes, *notes],
            seconds=round(time.monotonic() - started, 3),
        )
        table = pd.DataFrame([asdict(row) for row in found]).to_csv(index=False)
        write_atomically(place.part / TABLE, table.encode())
        write_atomically(place.part / PAGE, render_episodes(_page(summary)).encode())
        return replace(summary, notes=[*summary.notes, *place.finish()])


def _pose(opened: EmbeddingCache, options: EpisodesOptions) -> tuple[Problem, npt.NDArray[Any], list[str]]:
    """Return the problem, the images that episodes may hold, and notes."""
    problem = pose_problem(
        opened,
        labels=Path(options.labels) if options.labels else None,
        target=options.target,
        task="classify",
        backbone=as_list(options.backbone) if options.backbone else None,
        keys=options.keys,
    )
    while True:
        try:
            rows, _, notes = choose_images(
                problem, "episodes of", images=options.images, test_size=options.test_size, seed=options.seed
            )
        except RareClassError as error:
            if len(error.classes) == len(problem.class_names):
                raise
            problem = leave_out(problem, error.classes)
        else:
            break
    kept = one_class_a_group(problem.y[rows], problem.groups[rows])
    if not kept.all():
        notes.append(f"{(~kept).sum()} images are left out: a copy or another of their group has another label")
    if gone := problem.understood.left_out:
        notes.append(f"{len(gone)} classes of too few images are left out: {', '.join(sorted(gone)[:5])}")
    return problem, rows[kept], notes


def _draw(y: npt.NDArray[Any], groups: npt.NDArray[Any], options: EpisodesOptions) -> Episodes:
    return draw_episodes(
        y,
        groups,
        ways=options.ways,
        shots=options.shots,
        queries=options.queries,
        count=options.count,
        seed=options.seed,
    )


def _say_base(n_others: int, options: EpisodesOptions, notes: list[str]) -> str:
    """Say whose mean is subtracted; where there is none, a note tells what is left out."""
    if options.source:
        return f"the images of {options.source}"
    if n_others:
        return f"the {n_others} class{'' if n_others == 1 else 'es'} that an episode leaves out"
    left_out = ", ".join(method.name for method in METHODS if method.origin == "base")
    notes.append(f"{left_out} are left out: no class is left for their base; name a --source, or fewer --ways")
    return "none"


def _score(
    problem: Problem, rows: npt.NDArray[Any], drawn: Episodes, bases: list[Any], options: EpisodesOptions
) -> list[EpisodeRow]:
    found: list[EpisodeRow] = []
    total = len(problem.embedded) * len(drawn)
    with progress_bar("episodes", total, unit="episodes", show=options.progress) as advance:
        for embedded, base in zip(problem.embedded, bases, strict=True):
            X = np.asarray(embedded.features.take(rows), np.float32)
            if not np.isfinite(X).all():
                raise DataError(f"{embedded.label} · {embedded.tap}: features are not finite; extract them again")
            scored = score_episodes(X, problem.y[rows], drawn, base=base, advance=advance)
            found += rows_of(embedded, scored, random=is_random(embedded))
    return found


def _page(summary: EpisodesSummary) -> EpisodesPage:
    return EpisodesPage(
        title=f"{summary.target}: what a few images of a class tell",
        intro=(
            f"{summary.episodes} episodes: {summary.ways} of {summary.classes} classes, {summary.queries} images of "
            f"each to be told, drawn from {summary.images} images of {Path(summary.cache).name}. Base: {summary.base}."
        ),
        rows=summary.rows,
        chance=summary.chance,
        covers=summary.covers,
        findings=summary.findings,
        notes=summary.notes,
    )
