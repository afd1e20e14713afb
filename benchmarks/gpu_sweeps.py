"""Part of `bench_gpu.py`: sweeps of heads on a device, beside the CPU and beside scikit-learn, without Dask."""

import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
from bench_extract import timed
from bench_sweep import GRIDS
from drawn import make_embeddings
from gpu_rows import NO_TIME, failing_in_its_row, say

ROUNDS = 3
TORCH = ("mlp", "linear-torch")
SIZE, TINY = (10_000, 512, 10), (200, 8, 2)
"""Images, features, classes."""


def run(device: str, deadline: float) -> None:
    """Measure every kind of head until the deadline; what it does not reach, a row says."""
    tiny = device == "cpu"
    X, y = make_embeddings(*(TINY if tiny else SIZE))
    for kind in ("mlp", "linear-torch", "logreg", "ridge"):
        grid = {name: values[:2] if tiny else values for name, values in GRIDS[kind].items()}
        grid |= {"max_epochs": [2], "min_steps": [0]} if tiny and kind in TORCH else {}
        sides = {"own, CPU": ours(kind, X, y, grid), "scikit-learn": scikit_learn(kind, X, y, grid)}
        if kind in TORCH:
            sides = {"ours": ours(kind, X, y, grid | {"device": [device]}), **sides}
        else:
            sides["ours"] = sides.pop("own, CPU")
        with failing_in_its_row(kind):
            compare(kind, device if kind in TORCH else "CPU", grid, sides, deadline)


def compare(
    kind: str,
    where: str,
    grid: dict[str, Sequence[Any]],
    sides: dict[str, Callable[[], list[float]]],
    deadline: float,
) -> None:
    """Time the sides in turn; a side takes part in further rounds where they end before the deadline."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    scores: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        for side, job in sides.items():
            lasts = times[side][-1] if times[side] else 0.0
            if (number and time.monotonic() + lasts > deadline) or (lasts > 15 and side != "ours"):
                continue  # ratios are then to the medians of fewer rounds
            if time.monotonic() > deadline:
                say(kind, where, note=NO_TIME)
                return
            seconds, scores[side] = timed(job)
            times[side].append(seconds)
    n_choices = len(list(product(*grid.values())))
    own = statistics.median(times["ours"])
    for side in [side for side in sides if side != "ours"]:
        theirs = statistics.median(times[side])
        apart = abs(max(scores["ours"]) - max(scores[side]))
        say(
            kind,
            f"{n_choices} choices on {where}",
            ours=own,
            other=side,
            theirs=theirs,
            ratio=theirs / own,
            note=f"best accuracies differ by {apart:.4f}",
        )


def ours(kind: str, X: Any, y: Any, grid: dict[str, Sequence[Any]]) -> Callable[[], list[float]]:
    """Return our sweep as a job that gives the mean accuracy of every choice."""
    from headstart.heads import find_head
    from headstart.heads.isolation import quiet_and_single_threaded
    from headstart.heads.registry import FeatureSet, expand
    from headstart.heads.sweep import Task
    from headstart.heads.sweep.jobs import SweepSize, submit_jobs

    candidates = expand([FeatureSet(features=X, backbone="made", tap="up", key="0")], [kind], {kind: grid})
    task = Task(y=y, n_classes=int(y.max()) + 1, plan=plan_of(kind, y), groups=None, seed=0)
    workers = os.cpu_count() or 1

    def job() -> list[float]:
        with quiet_and_single_threaded(), ThreadPoolExecutor(workers) as pool:
            started = submit_jobs(
                lambda function, *given: pool.submit(_call, function, given),
                candidates,
                {kind: find_head(kind)},
                {candidates[0].place: X},
                task,
                SweepSize.of(task, X.shape[1], workers),
            )
            results = [future.result() for future in started]
        if failed := [result.error for result in results if result.error]:
            raise RuntimeError(failed[0])
        return [float(np.mean([fold["accuracy"] for fold in result.per_fold])) for result in results]

    return job


def _call(function: Callable[..., Any], given: Sequence[Any]) -> Any:
    """Call a function with what futures among its arguments give: they were submitted before, so none waits for it."""
    return function(*map(_given, given))


def _given(value: Any) -> Any:
    if isinstance(value, Future):
        return value.result()
    return [_given(one) for one in value] if isinstance(value, list) else value


def plan_of(kind: str, y: Any) -> Any:
    """Return five folds, or for what torch trains a fifth that is scored."""
    from headstart.heads.splits import SplitPlan, plan_splits

    if kind not in TORCH:
        return plan_splits(y, test_size=0.01) if len(y) > 1000 else plan_splits(y)
    scored = np.arange(len(y)) % 5 == 0
    train, val = np.flatnonzero(~scored), np.flatnonzero(scored)
    return SplitPlan(
        folds=[(train, val)], train=train, test=val, selection="val", test_name="val", dropped=val[:0], notes=[]
    )


def scikit_learn(kind: str, X: Any, y: Any, grid: dict[str, Sequence[Any]]) -> Callable[[], list[float]]:
    """Return scikit-learn's search for the same choices, as far as it has them, on the CPU's cores."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    stop = {"early_stopping": True, "n_iter_no_change": 5, "max_iter": int(grid.get("max_epochs", [50])[0])}
    model, name, values = {
        "logreg": lambda: (LogisticRegression(max_iter=1000), "C", grid["C"]),
        "ridge": lambda: (RidgeClassifier(), "alpha", grid["alpha"]),
        "mlp": lambda: (MLPClassifier((128,), batch_size=64, **stop), "learning_rate_init", grid["learning_rate"]),
        "linear-torch": lambda: (
            SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, **stop),
            "eta0",
            grid["learning_rate"],
        ),
    }[kind]()
    pipeline = make_pipeline(StandardScaler(), model)
    search = {f"{pipeline.steps[-1][0]}__{name}": list(values)}
    folds = plan_of(kind, y).folds

    def job() -> list[float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fits that stop early: both sides have them
            found = GridSearchCV(pipeline, search, cv=folds, n_jobs=-1 if len(y) > 1000 else 1, refit=False).fit(X, y)
        return [float(score) for score in found.cv_results_["mean_test_score"]]

    return job
