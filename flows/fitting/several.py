"""Several label columns at once: each fitted by itself, from one reading of the labels, and told in one table."""

import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.errors import CacheError
from headstart.extractors.results import JobResult
from headstart.flows.errors import EXPECTED_ERRORS, JobError
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.choices import (
    RESERVED,
    choose,
    choose_folder,
    refuse_odd_doubt,
    refuse_odd_views,
    refuse_unknown_metric,
)
from headstart.flows.fitting.conclusion import Concluded
from headstart.flows.fitting.imbalance import refuse_odd_tables
from headstart.flows.fitting.job import fit_problem
from headstart.flows.fitting.multilabel import Multilabel, score_columns
from headstart.flows.fitting.unfinished import UNFINISHED
from headstart.flows.options import FitKeywords, FitOptions, as_list, taken
from headstart.flows.output import RunPlace, run_folder
from headstart.flows.problem import ALL, Labelled, gather_labelled, pose_column
from headstart.heads.registry import Heads, read_heads
from headstart.heads.report import params_text
from headstart.heads.scoring import METRICS_OF

TABLE = "targets.csv"


@dataclass(frozen=True, kw_only=True)
class TargetRow:
    """Results for one label column; values that are not known because it could not be fitted are None.

    Attributes
    ----------
    target : str
    n_images : int
        That have a label.
    out : str
        The column's folder.
    run : str or None
        Id of its run; None where it could not be fitted.
    task, label, tap, head, params, metric
        Of the winner.
    score, low, high : float or None
        By that metric, on the test images.
    split : str or None
        Which images these are.
    n_test : int or None
    error : str or None
        Why the column could not be fitted.
    """

    target: str
    n_images: int
    out: str
    run: str | None = None
    task: str | None = None
    label: str | None = None
    tap: str | None = None
    head: str | None = None
    params: Mapping[str, object] | None = None
    metric: str | None = None
    score: float | None = None
    low: float | None = None
    high: float | None = None
    split: str | None = None
    n_test: int | None = None
    error: str | None = None


@dataclass(frozen=True, repr=False)
class SeveralFits(
    JobResult,
    says="{fits:n fit} of {targets:n label column}\ntable {table}",
    tables=("targets",),
    columns=("target", "head", "params", "metric", "score", "low", "high", "n_test", "error"),
):
    """Results of fits of several label columns.

    Attributes
    ----------
    targets : list of TargetRow
        One a column.
    fits : dict of str to FitSummary
        By column, of those that were fitted.
    multilabel : Multilabel or None
        Of two or more columns of 0 and 1.
    table : str
        ``targets`` as CSV.
    notes : list of str
        What a person should know of all columns together.
    seconds : float
        Time of all of it.
    """

    targets: list[TargetRow]
    fits: dict[str, FitSummary]
    multilabel: Multilabel | None
    table: str
    notes: list[str]
    seconds: float


def fit_targets(
    cache: str | Path,
    heads: Heads = (),
    *,
    targets: str | Sequence[str] = ALL,
    options: FitOptions | None = None,
    on_scores: Callable[[FitSummary], None] | None = None,
    **named: Unpack[FitKeywords],
) -> SeveralFits:
    """Fit each of several label columns by itself; an image without a label in one takes part in the others.

    Each column has splits of its own, a winner, a score on test images that chose nothing, and a folder; all are of one
    run, which is finished with the last.

    Parameters
    ----------
    cache, heads
        As for `flows.fitting.job.fit`.
    targets : str or sequence of str
        Label columns; ``all`` means every one.
    options : FitOptions, optional
        As for `flows.fitting.job.fit`, with `targets` in place of its ``target``. Its ``metric`` chooses the winners of
        the columns whose task has it, and the others go by the usual one; one that no task has is refused. In ``out``
        the run has a folder with the table and a folder for each column.
    on_scores : callable, optional
        As for `flows.fitting.job.fit`, called for each column.
    **named
        Options by their names; they go before those of `options`.

    Raises
    ------
    JobError
        Labels are absent, no key covers the images, the metric is unknown, or not one column can be fitted.
    TypeError
        There is no option of that name, or a single target is named.

    Examples
    --------
    >>> several = headstart.fit_targets("photos.headstart", "centroid", targets="all", folds=3, out="targets.results")
    >>> [(row.target, row.score) for row in several.targets]
    [('label', 1.0)]
    """
    started = time.monotonic()
    options = taken("fit_targets", options or FitOptions(), named, beside=["heads", "targets"])
    if options.target is not None:
        raise TypeError(f"fit_targets() fits the columns of 'targets'; name {options.target!r} there, not as 'target'")
    refuse_unknown_metric(options.metric)
    refuse_odd_views(options)
    refuse_odd_doubt(options)
    refuse_odd_tables(options)
    labelled = gather_labelled(
        EmbeddingCache(cache),
        labels=Path(options.labels) if options.labels else None,
        targets=as_list(targets),
        backbone=as_list(options.backbone) if options.backbone else None,
        keys=options.keys,
        views=options.views,
    )
    root = choose_folder(labelled.name, options)
    with run_folder(root, [UNFINISHED]) as place:
        rows, concluded = _fit_columns(labelled, read_heads(heads), replace(options, out=root), place, on_scores)
        replaced = place.finish(name=options.name, leftover=UNFINISHED)
    fits = {column: one.keep() for column, one in concluded.items()}
    return SeveralFits(
        targets=rows,
        fits=fits,
        multilabel=score_columns(
            {column: Path(fits[column].model).parent for column in fits if _is_binary(fits[column])}
        ),
        table=str(place.folder / TABLE),
        notes=[*labelled.notes, *replaced],
        seconds=round(time.monotonic() - started, 3),
    )


def name_folders(columns: Sequence[str], root: Path) -> list[Path]:
    """Return a results folder below `root` for each column; names that a file system would mistake are changed."""
    names: list[str] = []
    reserved = [name.casefold() for name in RESERVED]
    for column in columns:
        plain = re.sub(r"[^\w. -]+", "_", column).strip(". ") or "column"
        taken = [*reserved, *(name.casefold() for name in names)]  # some file systems tell no capitals
        number, name = 2, plain
        while name.casefold() in taken:
            number, name = number + 1, f"{plain}-{number}"
        names.append(name)
    return [root / name for name in names]


def _fit_columns(
    labelled: Labelled,
    heads: Heads,
    options: FitOptions,
    place: RunPlace,
    on_scores: Callable[[FitSummary], None] | None,
) -> tuple[list[TargetRow], dict[str, Concluded]]:
    """Fit one column after the other; returns a row for each, and what came of those that could be fitted."""
    rows: list[TargetRow] = []
    fits: dict[str, Concluded] = {}
    for column, folder in zip(labelled.columns, name_folders(labelled.columns, place.folder), strict=True):
        started, own_place = time.monotonic(), place.below(folder.name)
        try:
            problem = pose_column(labelled, column, task=options.task)
            own_metric = options.metric if options.metric in METRICS_OF[problem.task] else None
            own = replace(options, metric=own_metric)
            choices = choose(problem, heads, own, started=started, on_scores=on_scores)
            fits[column] = fit_problem(problem, choices, own_place)
            rows.append(_row(column, labelled, folder, fits[column].summary))
        except CacheError:  # such as a full disk: all columns have the same
            raise
        except EXPECTED_ERRORS as error:  # one column must not cost the others; the table tells why
            rows.append(replace(_row(column, labelled, folder, None), error=str(error)))
            shutil.rmtree(own_place.part)
    _write(rows, place.part)
    if not fits:
        raise JobError(f"none of {len(rows)} label columns could be fitted; {rows[0].target}: {rows[0].error}")
    return rows, fits


def _row(column: str, labelled: Labelled, folder: Path, fit: FitSummary | None) -> TargetRow:
    row = TargetRow(target=column, n_images=int(labelled.rows[column].notna().sum()), out=str(folder))
    if fit is None:
        return row
    winner, score = fit.winner, fit.test.scores[fit.winner.metric]
    return replace(
        row,
        run=fit.run,
        task="classify" if fit.class_names else "regress",
        label=winner.label,
        tap=winner.tap,
        head=winner.head,
        params=winner.params,
        metric=winner.metric,
        score=score.value,
        low=score.low,
        high=score.high,
        split=fit.test.split,
        n_test=fit.test.n_images,
    )


def _is_binary(fit: FitSummary) -> bool:
    return fit.class_names in (["0", "1"], ["False", "True"])


def _write(rows: Sequence[TargetRow], root: Path) -> None:
    flat = [vars(row) | {"params": params_text(row.params or {})} for row in rows]
    write_atomically(root / TABLE, pd.DataFrame(flat).to_csv(index=False).encode())
