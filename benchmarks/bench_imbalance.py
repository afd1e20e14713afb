"""Class weights and chosen decisions where one class is rare: what they bring, and where it is nothing.

One class of two is thinned out to 8 % of the images that are fitted, twenty times, each time for all ways alike. Every
other image is tested on; there an image of the rare class counts so little that the test images are 92 : 8, too. A way
is one of: plain; balanced class weights; a threshold chosen on five folds for the balanced accuracy; both; a threshold
chosen for the cost (a missed rare image costs 20, a false alarm 1). The strength of the penalty is chosen on the same
folds by average precision, whatever the way. Differences from plain are paired by draw; their intervals are of the
median over draws (percentiles of 10 000 bootstraps), which share images: they say how draws differ, and not how other
image sets would.

    python benchmarks/bench_imbalance.py [DATA]

DATA holds data/hymenoptera and weights/mobilenet_v2-imagenet.pth, as HEADSTART_DATA does; digits need nothing.
"""

import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import average_precision_score

import headstart
from headstart.heads.analysis import Goal, decide_on_folds
from headstart.heads.registry import FeatureSet, expand, tell_of_weights
from headstart.heads.scoring import COST, measure
from headstart.heads.splits import plan_splits
from headstart.heads.sweep import Task, fit_final, predict_folds

SEEDS, SHARE, FOLDS = 20, 0.08, 5
COSTS = np.array([[0.0, 1.0], [20.0, 0.0]])
WAYS = {
    "plain": (None, None),
    "weights": ("balanced", None),
    "threshold": (None, Goal(by="balanced_accuracy")),
    "both": ("balanced", Goal(by="balanced_accuracy")),
    "costs": (None, Goal(by=COST, costs=COSTS)),
}
SHOWN = ("balanced_accuracy", "recall", "precision", "average_precision", "cost")


def image_sets(data: Path | None) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, features, and whether an image is of the class that is made rare."""
    if data is not None:
        with tempfile.TemporaryDirectory() as folder:
            weights = str(data / "weights" / "mobilenet_v2-imagenet.pth")
            made = headstart.extract(
                data / "data" / "hymenoptera", "mobilenet_v2", weights=weights, cache=Path(folder) / "cache"
            )
            X, y, _ = headstart.open(made.cache).arrays()
            for name in np.unique(y):
                yield f"mobilenet_v2, rare {name}", np.asarray(X, np.float32), np.asarray(y) == name
    X, y = load_digits(return_X_y=True)
    for digit in (3, 8):
        yield f"pixels of digits, rare {digit}", X.astype(np.float32), y == digit


def drawn(rare: np.ndarray, seed: int, n_train: int) -> np.ndarray:
    """Return the images that are fitted: a few rare ones, and half of the others at most."""
    generator = np.random.default_rng(seed)
    n_others = min(round(n_train * (1 - SHARE)), int((~rare).sum()) // 2)
    n_rare = round(n_others * SHARE / (1 - SHARE))
    fitted = np.zeros(len(rare), bool)
    for side, count in ((rare, n_rare), (~rare, n_others)):
        fitted[generator.choice(np.flatnonzero(side), count, replace=False)] = True
    return fitted


def run(X: np.ndarray, y: np.ndarray, head: str, seed: int, ways: list[str]) -> dict[str, dict[str, float]]:
    """Return the scores of each way on the images that are not fitted."""
    fitted = drawn(y == 1, seed, 400)
    plan = plan_splits(y, split=np.where(fitted, "train", "test"), folds=FOLDS, seed=seed)
    task = Task(y=y, n_classes=2, plan=plan, groups=None, seed=seed)
    plain = expand([FeatureSet(features=X, backbone="b", tap="t", key="k")], [head])
    true = np.concatenate([y[rows] for _, rows in plan.folds])
    found, kept = {}, {}
    for way in ways:
        weight, goal = WAYS[way]
        if weight not in kept:
            candidates = tell_of_weights(plain, weight)[0] if weight else plain
            given = [predict_folds(one, X, task) for one in candidates]
            best = int(np.argmax([average_precision_score(true, one[:, 1]) for one in given]))
            kept[weight] = given[best], fit_final(candidates[best], X, y, plan, seed).predict_proba(X[plan.test])
        out_of_fold, probability = kept[weight]
        taken = probability.argmax(axis=1)
        if goal:
            sizes = [len(rows) for _, rows in plan.folds]
            taken = decide_on_folds(true, out_of_fold, sizes, goal).decision.classes(probability)
        found[way] = score(y[plan.test], probability[:, 1], taken)
    return found


def score(true: np.ndarray, given: np.ndarray, taken: np.ndarray) -> dict[str, float]:
    """Return the scores of test images weighed to 92 : 8."""
    weights = np.where(true == 1, SHARE / (true == 1).sum(), (1 - SHARE) / (true == 0).sum())
    hits, alarms = weights[(true == 1) & (taken == 1)].sum(), weights[taken == 1].sum()
    return {
        "balanced_accuracy": float(measure(true, None, taken, 2)["balanced_accuracy"] or 0.0),
        "recall": float((taken[true == 1] == 1).mean()),
        "precision": float(hits / alarms) if alarms else float("nan"),
        "average_precision": float(average_precision_score(true, given, sample_weight=weights)),
        "cost": float((weights * COSTS[true, taken]).sum()),
    }


def summarise(draws: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Return medians over draws, and those of the differences from plain with their intervals."""
    generator = np.random.default_rng(0)
    table: dict[str, dict[str, Any]] = {}
    for way in draws[0]:
        for name in SHOWN:
            values, plain = (np.array([one[each][name] for one in draws]) for each in (way, "plain"))
            change = values - plain
            there = change[np.isfinite(change)]  # precision lacks where nothing is taken for the rare class
            picks = generator.integers(len(there), size=(10_000, len(there)))
            ends = np.percentile(np.median(there[picks], axis=1), [2.5, 97.5]).tolist()
            table.setdefault(way, {})[name] = {
                "median": round(float(np.nanmedian(values)), 4),
                "against_plain": [round(float(np.median(there)), 4), *(round(end, 4) for end in ends)],
            }
    return table


def main() -> None:
    """Draw, fit, print a line a way, and last all of it as JSON."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    place = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("HEADSTART_DATA")
    report = {}
    for name, X, rare in image_sets(Path(place) if place else None):
        for head in ("logreg", "ridge", "knn"):
            ways = [way for way, (weight, _) in WAYS.items() if head != "knn" or weight is None]
            draws = [run(X, rare.astype(np.intp), head, seed, ways) for seed in range(SEEDS)]
            report[f"{name}, {head}"] = table = summarise(draws)
            print(f"\n{name}, {head}: medians of {SEEDS} draws (difference from plain [95 %])")
            for way, row in table.items():
                cells = [
                    f"{each} {one['median']:.3f} ({one['against_plain'][0]:+.3f} "
                    f"[{', '.join(f'{end:+.3f}' for end in one['against_plain'][1:])}])"
                    for each, one in row.items()
                ]
                print(f"  {way:<10}{'  '.join(cells)}", flush=True)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
