"""Cache → heads: pose the problem, sweep the candidates, score the winner once, save model, table and report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from extractors.atomic import errors_explained
from extractors.cache import EmbeddingCache
from flows.errors import JobError
from flows.extraction import as_list
from flows.leaderboard import leaderboard_row, model_card, plain_scores
from flows.problem import Embedded, Problem, pose_problem
from flows.progress import progress_bar
from flows.reporting import write_report
from heads.candidates import Candidate, FeatureSet, expand
from heads.errors import DataError
from heads.model_file import save_model
from heads.splits import SplitPlan, plan_splits
from heads.sweep import FinalScore, fit_final, score_test, select, sweep
from heads.trial import Result


@dataclass(frozen=True)
class FitSummary:
    """What a fit found.

    Attributes
    ----------
    leaderboard : list of dict
        Best first: ``backbone, weights, label, key, tap, head, params, metric, score, low, high, split, scores,
        fit_seconds, error, warnings``. These scores chose the winner: they flatter it a little.
    winner : dict
        The first of the leaderboard.
    test : dict
        ``split, n_images, n_train`` and ``scores`` (metric → ``value, low, high``) of the winner: scored once, after
        the choice.
    controls : list of dict
        The best candidate of every other embedding, scored on the same test images after the choice, for comparison
        only.
    model, report, table : str
        Model folder, HTML page, and the leaderboard as CSV.
    class_names, notes : list of str
        The classes, and what a person should know.
    seed : int
        Of splits and heads.
    seconds : float
        Time of the whole fit.
    """

    leaderboard: list[dict[str, Any]]
    winner: dict[str, Any]
    test: dict[str, Any]
    controls: list[dict[str, Any]]
    model: str
    report: str
    table: str
    class_names: list[str]
    notes: list[str]
    seed: int
    seconds: float


def fit(
    cache: str | Path,
    head: str | Sequence[str],
    *,
    labels: str | Path | None = None,
    target: str | None = None,
    backbone: str | Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    metric: str = "accuracy",
    folds: int = 5,
    test_size: float = 0.2,
    seed: int = 0,
    dask: str = "threads",
    workers: int | None = None,
    out: str | Path | None = None,
    progress: bool = False,
) -> FitSummary:
    """Fit heads on cached embeddings, pick one by validation, score it once on images that chose nothing, and save it.

    Where the images have splits, ``train`` fits, ``val`` chooses and ``test`` is scored; without ``test``,
    cross-validation inside ``train`` chooses and ``val`` is scored; without any, a stratified share is held back and
    scored.

    Parameters
    ----------
    cache : path-like
        What `extract` filled. Every key that covers all labelled images takes part.
    head : str or sequence of str
        Names in `heads.HEADS`; each brings its grid of hyper-parameters.
    labels : path-like, optional
        CSV or Parquet with ``path`` and label columns, in place of the listing's labels.
    target : str, optional
        Label column; by default the only one, or ``label``.
    backbone : str or sequence of str, optional
        Use only these backbones of the cache.
    keys : sequence of str, optional
        Use only the embeddings with these key ids.
    metric : {"accuracy", "balanced_accuracy", "macro_f1", "log_loss"}
        What chooses the winner.
    folds, test_size, seed
        Folds of the cross-validation, the share held back, and the seed of splits and heads.
    dask : str
        ``threads``, ``processes``, or a scheduler's address; `workers` of them, by default one a core.
    out : path-like, optional
        Folder for model, report and table; by default ``NAME.results`` in the current folder.
    progress : bool
        Show a bar on standard error.

    Raises
    ------
    JobError
        Labels are absent, or no key covers the images.
    HeadError
        The data cannot be fitted.
    """
    started = time.monotonic()
    problem = pose_problem(
        EmbeddingCache(cache),
        labels=Path(labels) if labels else None,
        target=target,
        backbone=as_list(backbone) if backbone else None,
        keys=keys,
    )
    folder = Path(out) if out else Path(f"{problem.name}.results")
    _refuse_foreign(folder)
    with errors_explained(folder):
        folder.mkdir(parents=True, exist_ok=True)  # before the work, not after it
    plan = plan_splits(
        problem.y,
        split=problem.split,
        groups=problem.groups,
        test_size=test_size,
        folds=folds,
        seed=seed,
        class_names=problem.class_names,
    )
    results = sweep_problem(
        problem,
        as_list(head),
        plan,
        metric=metric,
        seed=seed,
        dask=dask,
        workers=workers,
        progress=progress,
    )
    return conclude(problem, plan, results, metric=metric, seed=seed, out=folder, started=started)


def _refuse_foreign(folder: Path) -> None:
    """Keep results out of folders that hold something else, such as the images or the cache."""
    ours = (folder / "leaderboard.csv").exists() or (folder / "model").exists()
    if folder.is_dir() and any(folder.iterdir()) and not ours:
        raise JobError(f"{folder}: holds other files than results; name an empty or a new folder (--out DIR)")


def sweep_problem(
    problem: Problem,
    heads: Sequence[str],
    plan: SplitPlan,
    *,
    metric: str,
    seed: int,
    dask: str,
    workers: int | None,
    progress: bool,
) -> list[Result]:
    """Try every head with every embedding; best first.

    Raises
    ------
    DataError
        Features are not finite; the message names the images.
    """
    candidates = expand([_feature_set(embedded) for embedded in problem.embedded], heads)
    with progress_bar("fitting", len(candidates), unit="candidates", show=progress) as advance:
        try:
            return sweep(
                candidates,
                problem.y,
                plan,
                metric=metric,
                groups=problem.groups,
                seed=seed,
                dask=dask,
                workers=workers,
                on_result=lambda _: advance(1),
            )
        except OSError as error:
            if "://" not in dask:
                raise
            raise JobError(
                f"no Dask scheduler answers at {dask} ({error}); start one, or use --dask threads"
            ) from error
        except DataError as error:
            if not error.rows:
                raise
            first = ", ".join(problem.images["path"].iloc[list(error.rows[:3])])
            raise JobError(f"{error} (images: {first}{', …' if len(error.rows) > 3 else ''})") from error


def conclude(
    problem: Problem,
    plan: SplitPlan,
    results: list[Result],
    *,
    metric: str,
    seed: int,
    out: Path,
    started: float,
) -> FitSummary:
    """Fit the winner on all of train, score it once, and write model, table and report into `out`."""
    winner = select(results, metric)
    final, test_score = _score_once(problem, plan, winner.candidate, seed)
    split = "val" if plan.selection == "val" else f"{len(plan.folds)}-fold CV"
    leaderboard = [leaderboard_row(problem, result, metric, split) for result in results]
    test = {
        "split": plan.test_name,
        "n_images": len(plan.test),
        "n_train": len(plan.train),
        "scores": plain_scores(test_score.scores),
    }
    controls = []
    for result in _best_of_other_keys(results, winner, metric):
        row = leaderboard_row(problem, result, metric, split)
        controls.append(row | {"scores": plain_scores(_score_once(problem, plan, result.candidate, seed)[1].scores)})
    winning_row = leaderboard[0]
    notes = [*problem.notes, *plan.notes]
    save_model(out / "model", final, model_card(problem, winner.candidate, winning_row, test))
    summary = FitSummary(
        leaderboard=leaderboard,
        winner=winning_row,
        test=test,
        controls=controls,
        model=str(out / "model"),
        report=str(out / "report.html"),
        table=str(out / "leaderboard.csv"),
        class_names=problem.class_names,
        notes=notes,
        seed=seed,
        seconds=round(time.monotonic() - started, 3),
    )
    write_report(summary, problem, plan, results, winner, test_score, metric=metric)
    return summary


def _feature_set(embedded: Embedded) -> FeatureSet:
    return FeatureSet(
        features=embedded.features, backbone=embedded.backbone, tap=embedded.tap, key=embedded.store.key.id
    )


def _score_once(problem: Problem, plan: SplitPlan, candidate: Candidate, seed: int) -> tuple[Any, FinalScore]:
    features = np.asarray(candidate.features, dtype=np.float32)
    final = fit_final(candidate, features, problem.y, plan, seed)
    return final, score_test(final, features, problem.y, plan, groups=problem.groups, seed=seed)


def _best_of_other_keys(results: Sequence[Result], winner: Result, metric: str) -> list[Result]:
    best: dict[tuple[str, str], Result] = {}
    for result in results:
        if not result.error and result.scores[metric]:
            best.setdefault((result.candidate.key, result.candidate.tap), result)
    return [result for result in best.values() if result is not winner]
