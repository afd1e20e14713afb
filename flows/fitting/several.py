"""Several label columns at once: each fitted by itself, from one reading of the labels, and told in one table."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.flows.errors import EXPECTED_ERRORS, JobError
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.choices import OWN_FILES, open_results, refuse_unknown_metric
from headstart.flows.fitting.job import fit_problem
from headstart.flows.history import find_run, read_predictions
from headstart.flows.options import FitKeywords, FitOptions, as_list, taken
from headstart.flows.problem import ALL, Labelled, gather_labelled, pose_column
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
        The column's results folder.
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


@dataclass(frozen=True, kw_only=True)
class ColumnScore:
    """The winner of one column of 0 and 1 on its test images; without probabilities there is no average precision."""

    target: str
    n_test: int
    n_positive: int
    accuracy: float
    f1: float
    average_precision: float | None


@dataclass(frozen=True, kw_only=True)
class Multilabel:
    """Means over columns of 0 and 1, which count alike; None where a column has no such score."""

    n_columns: int
    accuracy: float | None
    macro_f1: float | None
    average_precision: float | None
    columns: list[ColumnScore]


@dataclass(frozen=True)
class SeveralFits:
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
    head: str | Sequence[str] = (),
    *,
    targets: str | Sequence[str] = ALL,
    options: FitOptions | None = None,
    on_scores: Callable[[FitSummary], None] | None = None,
    **named: Unpack[FitKeywords],
) -> SeveralFits:
    """Fit each of several label columns by itself; an image without a label in one takes part in the others.

    Each column has splits of its own, a winner, a score on test images that chose nothing, and a results folder.

    Parameters
    ----------
    cache, head
        As for `flows.fitting.job.fit`.
    targets : str or sequence of str
        Label columns; ``all`` means every one.
    options : FitOptions, optional
        As for `flows.fitting.job.fit`, with `targets` in place of its ``target``. Its ``metric`` chooses the winners of
        the columns whose task has it, and the others go by the usual one; one that no task has is refused. ``out`` is
        the folder for the table and a folder of results for each column.
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
    """
    started = time.monotonic()
    options = taken("fit_targets", options or FitOptions(), named)
    if options.target is not None:
        raise TypeError(f"fit_targets() fits the columns of 'targets'; name {options.target!r} there, not as 'target'")
    refuse_unknown_metric(options.metric)
    labelled = gather_labelled(
        EmbeddingCache(cache),
        labels=Path(options.labels) if options.labels else None,
        targets=as_list(targets),
        backbone=as_list(options.backbone) if options.backbone else None,
        keys=options.keys,
    )
    root = Path(options.out) if options.out else Path(f"{labelled.name}.results")
    open_results(root, (TABLE, *OWN_FILES))
    _write([], root)  # marks the folder as ours from the first moment on
    rows, fits = _fit_columns(labelled, head, options, root, on_scores)
    return SeveralFits(
        targets=rows,
        fits=fits,
        multilabel=score_columns(
            {column: Path(fits[column].model).parent for column in fits if _is_binary(fits[column])}
        ),
        table=str(root / TABLE),
        notes=labelled.notes,
        seconds=round(time.monotonic() - started, 3),
    )


def name_folders(columns: Sequence[str], root: Path) -> list[Path]:
    """Return a results folder below `root` for each column; names that a file system would mistake are changed."""
    names: list[str] = []
    for column in columns:
        plain = re.sub(r"[^\w. -]+", "_", column).strip(". ") or "column"
        taken = [name.casefold() for name in names]  # some file systems tell no capitals
        number, name = 2, plain
        while name.casefold() in taken:
            number, name = number + 1, f"{plain}-{number}"
        names.append(name)
    return [root / name for name in names]


def _fit_columns(
    labelled: Labelled,
    head: str | Sequence[str],
    options: FitOptions,
    root: Path,
    on_scores: Callable[[FitSummary], None] | None,
) -> tuple[list[TargetRow], dict[str, FitSummary]]:
    """Fit one column after the other; returns a row for each, and the summaries of those that could be fitted."""
    rows: list[TargetRow] = []
    fits: dict[str, FitSummary] = {}
    for column, folder in zip(labelled.columns, name_folders(labelled.columns, root), strict=True):
        started = time.monotonic()
        try:
            problem = pose_column(labelled, column, task=options.task)
            own_metric = options.metric if options.metric in METRICS_OF[problem.task] else None
            own = replace(options, metric=own_metric, out=folder)
            fits[column] = fit_problem(problem, head, own, started=started, on_scores=on_scores)
            rows.append(_row(column, labelled, folder, fits[column]))
        except EXPECTED_ERRORS as error:  # one column must not cost the others; the table tells why
            rows.append(replace(_row(column, labelled, folder, None), error=str(error)))
        _write(rows, root)
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


_POSITIVE = ("1", "True")


def score_columns(folders: Mapping[str, Path]) -> Multilabel | None:
    """Score the winners of several columns of 0 and 1, each on its own test images; the means count columns alike.

    Accuracy, F1 of the ones and average precision are scikit-learn's.

    Parameters
    ----------
    folders : mapping of str to Path
        Results folder of each column.

    Returns
    -------
    Multilabel or None
        None of fewer than two columns.
    """
    if len(folders) < 2:
        return None
    columns = [_score_column(name, folder) for name, folder in folders.items()]
    return Multilabel(
        n_columns=len(columns),
        accuracy=_mean([column.accuracy for column in columns]),
        macro_f1=_mean([column.f1 for column in columns]),
        average_precision=_mean([column.average_precision for column in columns]),
        columns=columns,
    )


def _score_column(target: str, folder: Path) -> ColumnScore:
    kept = find_run(str(folder), [])
    table = read_predictions(kept.history, kept.run)
    true, predicted = (table[name].astype(str).isin(_POSITIVE).to_numpy() for name in ("true", "predicted"))
    of_true = table["probability_of_true"].to_numpy(dtype=np.float64)
    ranked = bool(np.isfinite(of_true).all() and true.any())  # without a single one there is no precision
    score = np.where(true, of_true, 1.0 - of_true)
    return ColumnScore(
        target=target,
        n_test=len(table),
        n_positive=int(true.sum()),
        accuracy=float(accuracy_score(true, predicted)),
        f1=float(f1_score(true, predicted, zero_division=0.0)),
        average_precision=float(average_precision_score(true, score)) if ranked else None,
    )


def _mean(values: list[Any]) -> float | None:
    return None if any(value is None for value in values) else float(np.mean(values))
