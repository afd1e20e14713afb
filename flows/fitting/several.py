"""Several label columns at once: each fitted by itself, from one reading of the labels, and told in one table."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.flows.errors import EXPECTED_ERRORS, JobError
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.choices import METRICS_OF, OWN_FILES, describe_source, open_results, refuse_unknown_metric
from headstart.flows.fitting.job import fit_problem
from headstart.flows.history import find_run, read_predictions
from headstart.flows.options import as_list
from headstart.flows.problem import ALL, Labelled, gather_labelled, pose_column
from headstart.heads.report import params_text

TABLE = "targets.csv"


@dataclass(frozen=True)
class SeveralFits:
    """What fits of several label columns found.

    Attributes
    ----------
    targets : list of dict
        One a column: ``target, task, n_images, label, tap, head, params, metric, score, low, high`` (of the winner on
        the test images), ``split, n_test, out`` (the column's results folder), ``error`` (why it could not be fitted,
        or None; what is not known then is None).
    fits : dict of str to FitSummary
        By column, of those that were fitted.
    multilabel : dict or None
        Of two or more columns of 0 and 1, means over them: ``n_columns, accuracy, macro_f1, average_precision`` and
        ``columns``, the same of each: ``target, n_test, n_positive, accuracy, f1, average_precision``. None of fewer
        columns; the average precision is None where a winner gives no probabilities.
    table : str
        ``targets`` as CSV.
    notes : list of str
        What a person should know of all columns together.
    seconds : float
        Time of all of it.
    """

    targets: list[dict[str, Any]]
    fits: dict[str, FitSummary]
    multilabel: dict[str, Any] | None
    table: str
    notes: list[str]
    seconds: float


def fit_targets(
    cache: str | Path,
    head: str | Sequence[str] = (),
    *,
    targets: str | Sequence[str] = ALL,
    labels: str | Path | None = None,
    task: str | None = None,
    backbone: str | Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    metric: str | None = None,
    out: str | Path | None = None,
    **options: Any,
) -> SeveralFits:
    """Fit each of several label columns by itself; an image without a label in one takes part in the others.

    Each column has splits of its own, a winner, a score on test images that chose nothing, and a results folder.

    Parameters
    ----------
    cache, head, labels, task, backbone, keys
        As for `flows.fitting.job.fit`.
    targets : str or sequence of str
        Label columns; ``all`` means every one.
    metric : str, optional
        What chooses the winners of the columns whose task has it; the others go by the usual one. One that no task has
        is refused.
    out : path-like, optional
        Folder for the table and a folder of results for each column; by default ``NAME.results``.
    **options
        All others are as for `flows.fitting.job.fit`: ``sweep, folds, test_size, seed, dask, workers, progress``, …

    Raises
    ------
    JobError
        Labels are absent, no key covers the images, the metric is unknown, or not one column can be fitted.
    """
    started = time.monotonic()
    refuse_unknown_metric(metric)
    labelled = gather_labelled(
        EmbeddingCache(cache),
        labels=Path(labels) if labels else None,
        targets=as_list(targets),
        backbone=as_list(backbone) if backbone else None,
        keys=keys,
    )
    root = Path(out) if out else Path(f"{labelled.name}.results")
    open_results(root, (TABLE, *OWN_FILES))
    _write([], root)  # marks the folder as ours from the first moment on
    asked = describe_source(labels, backbone)
    rows: list[dict[str, Any]] = []
    fits: dict[str, FitSummary] = {}
    for column, folder in zip(labelled.columns, name_folders(labelled.columns, root), strict=True):
        try:
            fits[column] = _fit_column(labelled, column, head, task, metric, out=folder, asked=asked, **options)
            rows.append(_row(column, labelled, folder, fits[column]))
        except EXPECTED_ERRORS as error:  # one column must not cost the others; the table tells why
            rows.append(_row(column, labelled, folder, None) | {"error": str(error)})
        _write(rows, root)
    if not fits:
        raise JobError(f"none of {len(rows)} label columns could be fitted; {rows[0]['target']}: {rows[0]['error']}")
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


def _fit_column(
    labelled: Labelled,
    column: str,
    head: str | Sequence[str],
    task: str | None,
    metric: str | None,
    *,
    out: Path,
    asked: dict[str, Any],
    **options: Any,
) -> FitSummary:
    started = time.monotonic()
    problem = pose_column(labelled, column, task=task)
    own_metric = metric if metric in METRICS_OF[problem.task] else None
    return fit_problem(problem, head, metric=own_metric, out=out, started=started, asked=asked, **options)


def _row(column: str, labelled: Labelled, folder: Path, fit: FitSummary | None) -> dict[str, Any]:
    row: dict[str, Any] = {"target": column, "n_images": int(labelled.rows[column].notna().sum()), "out": str(folder)}
    winner = dict.fromkeys(("task", "label", "tap", "head", "params", "metric", "score", "low", "high"))
    test = dict.fromkeys(("split", "n_test"))
    if fit is not None:
        metric = fit.winner["metric"]
        score = fit.test["scores"][metric]
        winner |= {name: fit.winner[name] for name in ("label", "tap", "head", "params", "metric")}
        winner |= {"score": score["value"], "low": score["low"], "high": score["high"]}
        winner["task"] = "classify" if fit.class_names else "regress"
        test = {"split": fit.test["split"], "n_test": fit.test["n_images"]}
    return row | winner | test | {"error": None}


def _is_binary(fit: FitSummary) -> bool:
    return fit.class_names in (["0", "1"], ["False", "True"])


def _write(rows: Sequence[dict[str, Any]], root: Path) -> None:
    told = [row | {"params": params_text(row["params"] or {})} for row in rows]
    write_atomically(root / TABLE, pd.DataFrame(told).to_csv(index=False).encode())


_POSITIVE = ("1", "True")


def score_columns(folders: Mapping[str, Path]) -> dict[str, Any] | None:
    """Score the winners of several columns of 0 and 1, each on its own test images; the means count columns alike.

    Accuracy, F1 of the ones and average precision are scikit-learn's.

    Parameters
    ----------
    folders : mapping of str to Path
        Results folder of each column.

    Returns
    -------
    dict or None
        ``n_columns, accuracy, macro_f1, average_precision, columns``, as `flows.fitting.several.SeveralFits` has it;
        None of fewer than two columns.
    """
    if len(folders) < 2:
        return None
    columns = [{"target": name, **_score_column(folder)} for name, folder in folders.items()]
    return {
        "n_columns": len(columns),
        "accuracy": _mean([column["accuracy"] for column in columns]),
        "macro_f1": _mean([column["f1"] for column in columns]),
        "average_precision": _mean([column["average_precision"] for column in columns]),
        "columns": columns,
    }


def _score_column(folder: Path) -> dict[str, Any]:
    kept = find_run(str(folder), [])
    table = read_predictions(kept.history, kept.run)
    true, predicted = (table[name].astype(str).isin(_POSITIVE).to_numpy() for name in ("true", "predicted"))
    of_true = table["probability_of_true"].to_numpy(dtype=np.float64)
    ranked = bool(np.isfinite(of_true).all() and true.any())  # without a single one there is no precision
    score = np.where(true, of_true, 1.0 - of_true)
    return {
        "n_test": len(table),
        "n_positive": int(true.sum()),
        "accuracy": float(accuracy_score(true, predicted)),
        "f1": float(f1_score(true, predicted, zero_division=0.0)),
        "average_precision": float(average_precision_score(true, score)) if ranked else None,
    }


def _mean(values: list[Any]) -> float | None:
    return None if any(value is None for value in values) else float(np.mean(values))
