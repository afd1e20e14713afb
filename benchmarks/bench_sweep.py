"""Sweeps of heads against what people write with scikit-learn, on the same folds of the same embeddings.

For each kind of head both sides take turns, each in a process of its own whose libraries are loaded before the clock
starts, with all cores:

- logreg: 10 values of C; `GridSearchCV` over a pipeline, and `LogisticRegressionCV` (`--objective`: see `minimum.py`);
- ridge: 20 values of alpha; `GridSearchCV` over `RidgeClassifier`;
- knn: 10 values of k; `GridSearchCV` over `KNeighborsClassifier` on unit-length rows;
- these three: the same `GridSearchCV` patched by scikit-learn-intelex, where that is installed;
- linear-torch, mlp: 32 choices of learning rate, weight decay and seed; the same estimators one after another.

Embeddings are synthetic: classes in a space of 64 directions, mixed into correlated features of many scales, cut at
zero as a ReLU does. Ratios are medians over the rounds; `difference` is the largest between both sides' mean accuracies
over the folds, for any hyper-parameter.
"""

import argparse
import compileall
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from drawn import make_cache, make_embeddings
from minimum import measure_objectives, show_objectives

ROOT = Path(__file__).parents[1]
GRIDS: dict[str, dict[str, Sequence[Any]]] = {
    "logreg": {"C": np.logspace(-4, 4, 10).tolist()},
    "ridge": {"alpha": np.logspace(-2, 5, 20).tolist()},
    "knn": {"n_neighbors": (1, 2, 3, 5, 8, 12, 20, 30, 50, 80)},
    "linear-torch": {
        "learning_rate": np.logspace(-3, -1, 8).tolist(),
        "weight_decay": (0.0, 1e-3),
        "random_state": (0, 1),
    },
    "mlp": {
        "learning_rate": np.logspace(-4, -2, 8).tolist(),
        "weight_decay": (0.0, 1e-2),
        "random_state": (0, 1),
    },
}
OTHERS = {"logreg": ("gridsearch", "logregcv"), "ridge": ("gridsearch",), "knn": ("gridsearch",)}


def run_headstart(kind: str, X: Any, y: Any, plan: Any) -> Callable[[], list[float]]:
    """Return our sweep as a job that gives the mean accuracy of every choice, in the order of the grid."""
    from headstart.heads import find_head
    from headstart.heads.registry import FeatureSet, expand, solver_of
    from headstart.heads.sweep import sweep

    candidates = expand([FeatureSet(features=X, backbone="made", tap="up", key="0")], [kind], {kind: GRIDS[kind]})
    find_head(kind).make(candidates[0].params, 0)  # loads what it needs
    if solver := solver_of(candidates[0]):
        solver.load()

    def job() -> list[float]:
        results = sweep(candidates, y, plan)
        failed = [result.error for result in results if result.error]
        if failed:
            raise RuntimeError(failed[0])
        by_params = {id(result.candidate): result for result in results}
        order = [by_params[id(candidate)] for candidate in candidates]
        return [float(np.mean([fold["accuracy"] for fold in result.per_fold])) for result in order]

    return job


def run_gridsearch(kind: str, X: Any, y: Any, plan: Any) -> Callable[[], list[float]]:
    """Return scikit-learn's grid search as a job."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    model = {
        "logreg": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "ridge": lambda: make_pipeline(StandardScaler(), RidgeClassifier()),
        "knn": lambda: make_pipeline(Normalizer(), KNeighborsClassifier(weights="distance")),
    }[kind]()
    ((name, values),) = GRIDS[kind].items()
    grid = {f"{model.steps[-1][0]}__{name}": list(values)}

    def job() -> list[float]:
        search = GridSearchCV(model, grid, cv=plan.folds, n_jobs=-1, refit=False).fit(X, y)
        return [float(score) for score in search.cv_results_["mean_test_score"]]

    return job


def run_intelex(kind: str, X: Any, y: Any, plan: Any) -> Callable[[], list[float]]:
    """Return the same grid search as a job, with the classes that scikit-learn-intelex puts in scikit-learn's place."""
    importlib.import_module("sklearnex").patch_sklearn(verbose=False)
    return run_gridsearch(kind, X, y, plan)


def run_logregcv(_kind: str, X: Any, y: Any, plan: Any) -> Callable[[], list[float]]:
    """Return scikit-learn's own search for C as a job; it starts each C where the last one ended."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.preprocessing import StandardScaler

    def job() -> list[float]:
        model = LogisticRegressionCV(
            Cs=GRIDS["logreg"]["C"], cv=plan.folds, max_iter=1000, n_jobs=-1, refit=False, use_legacy_attributes=False
        )
        scores = model.fit(StandardScaler().fit_transform(X), y).scores_
        return [float(score) for score in np.asarray(scores).reshape(len(plan.folds), -1).mean(axis=0)]

    return job


def run_one_by_one(kind: str, X: Any, y: Any, plan: Any) -> Callable[[], list[float]]:
    """Return our own torch heads, one after another, as a job."""
    from headstart.heads import find_head

    head = find_head(kind)
    choices = [dict(zip(GRIDS[kind], values, strict=True)) for values in product(*GRIDS[kind].values())]
    head.make(choices[0], 0)

    def job() -> list[float]:
        scores = []
        for params in choices:
            right = [
                np.mean(head.make(params, 0).fit(X[fit], y[fit]).predict(X[scored]) == y[scored])
                for fit, scored in plan.folds
            ]
            scores.append(float(np.mean(right)))
        return scores

    return job


def run_side(side: str, kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time one side in this process."""
    X, y, plan = _problem(kind, options)
    job = globals()[f"run_{side}"](kind, X, y, plan)
    with warnings.catch_warnings(action="ignore"):  # scikit-learn's, on unconverged fits: both sides have them
        begun = time.perf_counter()
        scores = job()
    return {"seconds": time.perf_counter() - begun, "scores": scores}


def _problem(kind: str, options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Return features, classes and a plan, whose only fold is a validation set for heads that take long."""
    from headstart.heads.splits import plan_splits

    X, y = make_embeddings(options.images, options.features, options.classes)
    if kind in OTHERS:
        return X, y, plan_splits(y, test_size=0.01)
    plan = plan_splits(y, split=np.where(np.arange(len(y)) % 5 == 0, "test", "train"))
    return X, y, replace(plan, folds=[(plan.train, plan.test)])


def compare(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run all sides of a kind in turn; medians over the rounds."""
    sides = ["headstart", *OTHERS.get(kind, ("one_by_one",))]
    if kind in OTHERS and importlib.util.find_spec("sklearnex"):
        sides.append("intelex")
    rounds = [{side: spawn(side, kind, options) for side in sides} for _ in range(options.rounds)]
    found: dict[str, Any] = {}
    for side in sides:
        found[f"{side}_seconds"] = round(statistics.median(one[side]["seconds"] for one in rounds), 3)
        found[f"{side}_score"] = round(max(rounds[0][side]["scores"]), 4)
    for side in sides[1:]:
        ratios = [one[side]["seconds"] / one["headstart"]["seconds"] for one in rounds]
        found[f"ratio_{side}"] = round(statistics.median(ratios), 2)
        both = (rounds[0][name]["scores"] for name in ("headstart", side))
        found[f"difference_{side}"] = round(max(abs(a - b) for a, b in zip(*both, strict=True)), 4)
    if kind == "logreg" and options.objective:
        X, y, plan = _problem(kind, options)
        found["objective"] = measure_objectives(X, y, plan.folds[: options.objective], GRIDS["logreg"]["C"])
    return found


def spawn(side: str, kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one side in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--kind", kind]
    for name in ("images", "features", "classes"):
        command += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603 - this very script
    return dict(json.loads(done.stdout.splitlines()[-1]))


def time_command(options: argparse.Namespace) -> dict[str, Any]:
    """Time `headstart fit` from typing to table, on a cache with these embeddings."""
    for package in ("extractors", "heads", "flows"):  # as an installation has it, whatever Python may write here
        compileall.compile_dir(ROOT / package, quiet=2)
    with tempfile.TemporaryDirectory() as folder:
        cache = make_cache(Path(folder), options.images, options.features, options.classes)
        command = [sys.executable, "-m", "headstart", "fit", str(cache), "--out", f"{folder}/results"]
        command += ["--head", "logreg", "ridge", "knn", "centroid", "dummy"]
        rounds = [_time_once(command) for _ in range(options.rounds)]
    to_table, to_report = (statistics.median(column) for column in zip(*rounds, strict=True))
    return {"seconds": round(to_table, 2), "seconds_with_report": round(to_report, 2)}


def _time_once(command: list[str]) -> tuple[float, float]:
    """Return the seconds until the table and the test score are printed, and until the report is written."""
    begun = time.perf_counter()
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603 - our own command
    printed = [time.perf_counter() - begun for line in process.stdout or () if line.startswith("Scored once")]
    if process.wait():
        raise SystemExit(f"{' '.join(command)} failed")
    return printed[0], time.perf_counter() - begun


def show(results: dict[str, Any]) -> None:
    """Print a table for people, 80 columns wide."""
    print(f"seconds on {os.cpu_count()} cores; × is how many times longer the other side takes")
    print(f"{'':<14}{'headstart':>10}{'best':>8}   {'other':<12}{'seconds':>9}{'best':>8}{'×':>7}{'differ':>8}")
    for kind, found in results.items():
        if kind == "command":
            print(
                f"headstart fit, five heads, from typing to table: {found['seconds']} s, "
                f"to the report: {found['seconds_with_report']} s"
            )
            continue
        for name in (key.removeprefix("ratio_") for key in found if key.startswith("ratio_")):
            print(
                f"{kind:<14}{found['headstart_seconds']:>10.2f}{found['headstart_score']:>8.4f}   {name:<12}"
                f"{found[f'{name}_seconds']:>9.2f}{found[f'{name}_score']:>8.4f}{found[f'ratio_{name}']:>7.1f}"
                f"{found[f'difference_{name}']:>8.4f}"
            )
    if objective := results.get("logreg", {}).get("objective"):
        show_objectives(objective)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000, help="embeddings (10 000)")
    parser.add_argument("--features", type=int, default=512, help="of each (512)")
    parser.add_argument("--classes", type=int, default=10, help="(10)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (3)")
    parser.add_argument("--kind", nargs="+", choices=[*GRIDS, "command"], default=[*GRIDS, "command"])
    parser.add_argument("--objective", type=int, default=0, help="folds of logreg to compare objectives on (0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.side:
        print(json.dumps(run_side(options.side, options.kind[0], options)))
        return {}
    results = {kind: time_command(options) if kind == "command" else compare(kind, options) for kind in options.kind}
    print(json.dumps(results, indent=1)) if options.json else show(results)
    return results


if __name__ == "__main__":
    main()
