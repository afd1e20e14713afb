"""Cache → ranking: which backbone and which layer suit a task, before anything is swept."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import kendalltau

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.flows.options import as_list, taken
from headstart.flows.output import progress_bar, run_folder
from headstart.flows.problem import Embedded, Problem, pose_problem
from headstart.flows.transfer.ranking.images import choose_images
from headstart.flows.transfer.ranking.options import RankKeywords, RankOptions
from headstart.flows.transfer.ranking.order import depths, is_random, static_ranks
from headstart.flows.transfer.ranking.summary import RankSummary
from headstart.heads.report.transfer import RankPage, RankRow, render_ranking
from headstart.heads.transfer import QuickScores, quick_scores

TABLE, PAGE = "ranking.csv", "ranking.html"
_Rows = npt.NDArray[np.intp]


def rank(cache: str | Path, *, options: RankOptions | None = None, **named: Unpack[RankKeywords]) -> RankSummary:
    """Order the backbones and layers of a cache by how well they tell the labels, in seconds and before any sweep.

    Each image is told by the others: by its nearest neighbours, and by ridge. LogME and the regularised H-score stand
    beside, and so does the order by published accuracy or size, which a ranking has to beat. Test images are not
    looked at.

    Parameters
    ----------
    cache : path-like
        What `extract` filled.
    options : RankOptions, optional
        All else that is asked for, see `flows.transfer.ranking.options.RankOptions`.
    **named
        Options by their names, such as ``images=2000``; they go before those of `options`.

    Raises
    ------
    JobError
        Labels are absent, or it is not clear which are meant.
    HeadError
        A class has too few images.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> taps = ["penultimate", "features.4:avg"]
    >>> layers = headstart.extract("photos", "small_cnn", weights="none", tap=taps, cache="layers.headstart")
    >>> found = headstart.rank(layers.cache)
    >>> sorted(row.tap for row in found.rows)
    ['features.4:avg', 'penultimate']
    """
    started = time.monotonic()
    options = taken("rank", options or RankOptions(), named)
    opened = EmbeddingCache(cache)
    problem = pose_problem(
        opened,
        labels=Path(options.labels) if options.labels else None,
        target=options.target,
        task=options.task,
        backbone=as_list(options.backbone) if options.backbone else None,
        keys=options.keys,
    )
    rows, notes = choose_images(
        problem, "ranked on", images=options.images, test_size=options.test_size, seed=options.seed
    )
    scores = _score(problem, rows, options)
    ranked, static_by = _ranked(problem.embedded, scores, problem.groups[rows])
    name = opened.path.resolve().name.removesuffix(".headstart")
    with run_folder(Path(options.out) if options.out else Path(f"{name}.ranking")) as place:
        summary = RankSummary(
            cache=str(opened.path),
            target=problem.target,
            task=problem.task,
            images=len(rows),
            rows=ranked,
            static_by=static_by,
            agreement=_agreement(ranked),
            table=str(place.folder / TABLE),
            page=str(place.folder / PAGE),
            notes=[*problem.notes, *notes, *_remarks(problem.embedded)],
            seconds=round(time.monotonic() - started, 3),
        )
        table = pd.DataFrame([asdict(row) for row in ranked]).to_csv(index=False)
        write_atomically(place.part / TABLE, table.encode())
        write_atomically(place.part / PAGE, render_ranking(_page(summary)).encode())
        return replace(summary, notes=[*summary.notes, *place.finish()])


def _score(problem: Problem, rows: _Rows, options: RankOptions) -> list[QuickScores]:
    n_classes = len(problem.class_names) if problem.task == "classify" else 0
    y, groups = problem.y[rows], problem.groups[rows]
    scores = []
    with progress_bar("ranking", len(problem.embedded), unit="layers", show=options.progress) as advance:
        for one in problem.embedded:
            X = np.asarray(one.features.take(rows), np.float32)
            scores.append(quick_scores(X, y, groups, n_classes))
            advance(1)
    return scores


def _ranked(
    embedded: Sequence[Embedded], scores: Sequence[QuickScores], groups: npt.NDArray[Any]
) -> tuple[list[RankRow], str | None]:
    """Return the rows, the first one first, and what their static ranks go by."""
    depth = depths(embedded)
    static, static_by = static_ranks(embedded, depth)
    order = sorted(range(len(scores)), key=lambda at: -scores[at].score)
    best = scores[order[0]]
    rows = [
        RankRow(
            rank=place,
            backbone=embedded[at].backbone,
            label=embedded[at].label,
            tap=embedded[at].tap,
            key=embedded[at].store.key.id,
            depth=depth[at],
            features=embedded[at].features.shape[1],
            score=scores[at].score,
            tied=None if place == 1 else not _is_behind(best, scores[at], groups),
            knn=scores[at].knn,
            ridge=scores[at].ridge,
            logme=scores[at].log_evidence,
            h_score=scores[at].h_score,
            static=static[at],
        )
        for place, at in enumerate(order, 1)
    ]
    return rows, static_by


def _is_behind(best: QuickScores, other: QuickScores, groups: npt.NDArray[Any]) -> bool:
    """Tell whether the difference is more than 1.96 of its standard errors, images of a group counted together."""
    ahead = best.right - other.right
    together = np.bincount(np.unique(groups, return_inverse=True)[1], weights=ahead - ahead.mean())
    return bool(ahead.mean() > 1.96 * np.sqrt((together**2).sum()) / len(ahead))


def _agreement(rows: Sequence[RankRow]) -> float | None:
    static = [row.static for row in rows]
    if len(rows) < 2 or None in static or len(set(static)) < 2:
        return None
    return float(kendalltau([row.rank for row in rows], static).statistic)


def _remarks(embedded: Sequence[Embedded]) -> list[str]:
    """Return remarks on the backbones, for a reader."""
    random = sorted({one.label for one in embedded if is_random(one)})
    return [f"random weights, a control: {', '.join(random)}"] if random else []


def _page(summary: RankSummary) -> RankPage:
    by = "classes" if summary.task == "classify" else "numbers"
    return RankPage(
        title=f"Which layer tells {summary.target}",
        intro=f"{len(summary.rows)} layers on {summary.images} images of {Path(summary.cache).name}, which have {by}.",
        rows=summary.rows,
        classes=summary.task == "classify",
        static_by=summary.static_by,
        agreement=summary.agreement,
        notes=summary.notes,
    )
