"""Linear head on aligned domains: every strength validated at once, then folded to take the target's own features."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from headstart.heads.estimators import make_logreg
from headstart.heads.prediction import predict
from headstart.heads.solvers.logistic import solve_logreg
from headstart.heads.transfer.adaptation.adapted import Adapted, Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

    from headstart.heads.transfer.adaptation.alignment import Aligned
    from headstart.heads.transfer.adaptation.domains import Domains

    Doubles = NDArray[np.float64]
    Folds = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""Values of C that are validated."""


def linear_candidates(
    align: Callable[..., Aligned], grid: Sequence[Mapping[str, Any]], domains: Domains, folds: Folds, seed: int
) -> Iterator[Candidate]:
    """Yield a logistic regression for each way to align and each strength, judged on the source's folds.

    Aligning looks at no label, so it takes all images once; heads are judged on images that they were not fitted on.
    """
    for params in grid:
        aligned = align(domains, **params)
        for C, right in zip(STRENGTHS, _judge(aligned, domains, folds, seed), strict=True):
            yield Candidate(
                params={**params, "C": C},
                right=right,
                build=lambda aligned=aligned, C=C: _build(aligned, domains, C, seed),  # type: ignore[misc]  # bound now
            )


def _judge(aligned: Aligned, domains: Domains, folds: Folds, seed: int) -> Doubles:
    """Return 1 for each image of the source that a head without its fold is right about, NaN where it is left out."""
    n_source = len(domains.source)
    rows = np.arange(n_source) if aligned.rows is None else aligned.rows
    place = np.full(n_source, -1)
    place[rows] = np.arange(len(rows))
    own = [(place[fit][place[fit] >= 0], place[scored][place[scored] >= 0]) for fit, scored in folds]
    X, y = aligned.source.astype(np.float32), domains.y[rows]
    right = np.full((len(STRENGTHS), n_source), np.nan)
    if aligned.weights is None:
        grids = [[{"C": C} for C in STRENGTHS]] * len(folds)
        for (_, scored), found in zip(own, solve_logreg(X, y, domains.n_classes, own, grids), strict=True):
            right[:, rows[scored]] = [one.argmax(axis=1) == y[scored] for one in found]
        return right
    for fit, scored in own:
        for at, C in enumerate(STRENGTHS):
            model = _fit(X[fit], y[fit], aligned.weights[fit], C, seed)
            right[at, rows[scored]] = predict(model, X[scored], domains.n_classes)[0] == y[scored]
    return right


def _fit(X: NDArray[Any], y: NDArray[np.intp], weights: Doubles | None, C: float, seed: int) -> Pipeline:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of a weak penalty: the folds have judged where it stops
        return make_logreg({"C": C}, seed).fit(X, y, logisticregression__sample_weight=weights)


def _build(aligned: Aligned, domains: Domains, C: float, seed: int) -> Adapted:
    y = domains.y if aligned.rows is None else domains.y[aligned.rows]
    model = folded(_fit(aligned.source.astype(np.float32), y, aligned.weights, C, seed), aligned)
    return Adapted(
        model=model,
        source=aligned.source,
        target=aligned.place(domains.target),
        rows=aligned.rows,
        weights=aligned.weights,
    )


def folded(model: Pipeline, aligned: Aligned) -> Pipeline:
    """Return a head on aligned features as one on the target's own: a moved scaler, or other weights.

    So what is saved is a logistic regression like any other, and takes images as they come.
    """
    (_, scaler), (_, head) = model.steps
    if aligned.matrix is None:
        scaler.mean_ = scaler.mean_ + aligned.centre
        return model
    weights = head.coef_ / scaler.scale_
    head.intercept_ = head.intercept_ - weights @ scaler.mean_
    head.coef_ = weights @ aligned.matrix.T
    head.n_features_in_ = scaler.n_features_in_ = len(aligned.centre)
    scaler.mean_, scaler.scale_, scaler.var_ = aligned.centre, *np.ones((2, len(aligned.centre)))
    return model
