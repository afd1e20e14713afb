"""How near to the minimum both sides of the search for C end, on the folds that `bench_sweep.py` times.

The objective is the mean cross-entropy of a fold's images plus |weights|² / (2 C n), in float64 on both sides. Weights
are asked for through what a model says of the images, which is linear in them, so that this knows no solver.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

TOLERANCE = 1e-8  # of every component of the minimum's gradient
FAR = 0.002  # of accuracy: a side that is further from the minimum's is named


class Reached(NamedTuple):
    """Objective of a side on a fold, and its accuracy on the fold's own images."""

    objective: float
    accuracy: float


def measure_objectives(
    X: NDArray[np.float32],
    y: NDArray[np.intp],
    folds: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    strengths: Sequence[float],
) -> list[dict[str, float | bool]]:
    """Return a row for each C: objectives over the minimum's, where they differ most, and mean accuracies.

    Parameters
    ----------
    X : float32 ndarray of shape (n_images, n_features)
    y : int ndarray of shape (n_images,)
    folds : sequence of pairs of int ndarray
        Rows to fit on and to score.
    strengths : sequence of float
        Each C, ascending.
    """
    sides = ("headstart", "gridsearch", "minimum")
    reached = [dict(zip(sides, _reach(X, y, fold, strengths), strict=True)) for fold in folds]
    rows: list[dict[str, float | bool]] = []
    for at, strength in enumerate(strengths):
        each = {side: [one[side][at] for one in reached] for side in sides}
        row: dict[str, float | bool] = {"C": strength, "objective": _mean(one.objective for one in each["minimum"])}
        for side in sides:
            row[f"{side}_accuracy"] = _mean(one.accuracy for one in each[side])
        for side in sides[:2]:
            pairs = list(zip(each[side], each["minimum"], strict=True))
            row[f"{side}_over_minimum"] = max(own.objective / least.objective for own, least in pairs)
            row[f"{side}_far"] = any(abs(own.accuracy - least.accuracy) > FAR for own, least in pairs)
        row["above_gridsearch"] = max(
            own.objective / other.objective for own, other in zip(each["headstart"], each["gridsearch"], strict=True)
        )
        rows.append(row)
    return rows


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def _reach(
    X: NDArray[np.float32], y: NDArray[np.intp], fold: tuple[Any, Any], strengths: Sequence[float]
) -> tuple[list[Reached], list[Reached], list[Reached]]:
    """Objectives and accuracies of ours, scikit-learn's and the minimum on a fold, for each C."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from headstart.heads.registry import FeatureSet, expand, solver_of

    fitted, scored = fold
    scaler = StandardScaler().fit(X[fitted])
    singles = scaler.transform(X)
    features = np.column_stack([singles.astype(np.float64), np.ones(len(X))])

    def measured(layer: Doubles, strength: float) -> Reached:
        """Measure a layer (n_features + 1, n_classes), the intercepts last."""
        scores = features @ layer
        top = scores.max(axis=1)
        loss = top + np.log(np.exp(scores - top[:, None]).sum(axis=1)) - scores[np.arange(len(y)), y]
        penalty = np.square(layer[:-1]).sum() / (2 * strength * len(fitted))
        return Reached(loss[fitted].mean() + penalty, float((scores[scored].argmax(axis=1) == y[scored]).mean()))

    def by_scikit_learn(given: Any, model: Any) -> list[Reached]:
        found = []
        for strength in strengths:
            model.set_params(C=strength).fit(given[fitted], y[fitted])
            layer = np.vstack([model.coef_.T, model.intercept_]).astype(np.float64)
            found.append(measured(layer, strength))
        return found

    (candidate, *_) = expand(
        [FeatureSet(features=X, backbone="made", tap="up", key="0")], ["logreg"], {"logreg": {"C": [1.0]}}
    )
    solver = solver_of(candidate)
    everything = np.arange(len(X))
    grid = [{"C": strength} for strength in strengths]
    (given,) = solver.load()(X, y, int(y.max()) + 1, [(fitted, everything)], [grid])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, where it stops before the minimum
        ours = [
            measured(_layer_of(features, probability), strength)
            for probability, strength in zip(given, strengths, strict=True)
        ]
        theirs = by_scikit_learn(singles, LogisticRegression(max_iter=1000))
        least = LogisticRegression(solver="newton-cg", tol=TOLERANCE, max_iter=10_000, warm_start=True)
        return ours, theirs, by_scikit_learn(features[:, :-1], least)


def _layer_of(features: Doubles, probability: Doubles) -> Doubles:
    """Return the layer whose scores of features (n_images, n_features + 1) give these probabilities.

    Of layers that differ by the same column for each class, that whose columns add up to 0, as at the minimum.
    """
    scores = np.log(np.maximum(probability, 1e-300))
    scores -= scores.mean(axis=1, keepdims=True)
    return np.asarray(np.linalg.lstsq(features, scores, rcond=None)[0])


def show_objectives(rows: Sequence[dict[str, Any]]) -> None:
    """Print a table for people, 80 columns wide."""
    print("\nlogreg, objectives at worst and mean accuracies of the folds, scikit-learn's and ours;")
    print(f"minimum: to a gradient of {TOLERANCE:g}; far: accuracy further than {FAR} from the minimum's")
    print(f"{'':>10}{'':>11}{'over the minimum by':>22}{'accuracy':>27}   far")
    print(f"{'C':>10}{'minimum':>11}{'ours':>11}{'theirs':>11}{'minimum':>9}{'ours':>9}{'theirs':>9}")
    for row in rows:
        far = [name for name, side in (("ours", "headstart"), ("theirs", "gridsearch")) if row[f"{side}_far"]]
        print(
            f"{row['C']:>10.4g}{row['objective']:>11.6f}"
            + "".join(f"{row[f'{side}_over_minimum'] - 1:>11.1e}" for side in ("headstart", "gridsearch"))
            + "".join(f"{row[f'{side}_accuracy']:>9.4f}" for side in ("minimum", "headstart", "gridsearch"))
            + f"   {', '.join(far)}"
        )
    worst = max(rows, key=lambda row: float(row["above_gridsearch"]))
    print(f"our objective over scikit-learn's is at most {worst['above_gridsearch']:.6f}, at C = {worst['C']:.4g}")
