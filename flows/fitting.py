"""Cache → heads: pose the problem, plan the splits, sweep the candidates."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from extractors.atomic import errors_explained
from extractors.cache import EmbeddingCache
from flows.conclusion import conclude
from flows.errors import JobError
from flows.extraction import as_list
from flows.fit_summary import FitSummary
from flows.problem import Embedded, Problem, pose_problem
from flows.progress import progress_bar
from heads.candidates import FeatureSet, Grid, expand
from heads.errors import DataError
from heads.presets import find_preset
from heads.splits import SplitPlan, plan_splits
from heads.sweep import sweep as run_sweep
from heads.trial import Result


def fit(
    cache: str | Path,
    head: str | Sequence[str] = (),
    *,
    sweep: str | None = None,
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
        Names in `heads.HEADS`, or ``module:Class`` for one of your own; each brings its grid of hyper-parameters.
    sweep : {"quick", "standard", "thorough"}, optional
        Heads and grids of `heads.presets`; ``quick`` where no head is named either.
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
    heads, grid = _choose_heads(as_list(head), sweep)
    results = sweep_problem(
        problem,
        heads,
        plan,
        grid=grid,
        metric=metric,
        seed=seed,
        dask=dask,
        workers=workers,
        progress=progress,
    )
    settings = {
        "heads": heads,
        "sweep": sweep,
        "metric": metric,
        "folds": folds,
        "test_size": test_size,
        "seed": seed,
        "target": problem.target,
        "labels": str(labels) if labels else None,
        "backbone": as_list(backbone) if backbone else None,
    }
    return conclude(problem, plan, results, metric=metric, seed=seed, out=folder, started=started, settings=settings)


def _choose_heads(named: list[str], sweep: str | None) -> tuple[list[str], dict[str, Grid]]:
    """Return the heads to try, and the grids of those that a preset brings."""
    preset = dict(find_preset(sweep or "quick")) if sweep or not named else {}
    return list(dict.fromkeys([*preset, *named])), preset


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
    grid: Mapping[str, Grid] | None = None,
) -> list[Result]:
    """Try every head, with its grid in `grid` or else its own, with every embedding; best first.

    Raises
    ------
    DataError
        Features are not finite; the message names the images.
    """
    candidates = expand([_feature_set(embedded) for embedded in problem.embedded], heads, grid)
    with progress_bar("fitting", len(candidates), unit="candidates", show=progress) as advance:
        try:
            return run_sweep(
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


def _feature_set(embedded: Embedded) -> FeatureSet:
    return FeatureSet(
        features=embedded.features, backbone=embedded.backbone, tap=embedded.tap, key=embedded.store.key.id
    )
