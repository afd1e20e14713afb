"""The ridge head for all penalties and folds from one pass over the images: from sums of products of features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline, make_pipeline

from headstart.heads.estimators import RidgeSoftmaxClassifier, class_targets, fit_temperature, left_out_scores
from headstart.heads.solvers.streamed.data import StreamedData, scaler_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]


def stream_ridge(data: StreamedData, grid: Sequence[Mapping[str, Any]], seed: int) -> list[list[Pipeline]]:  # noqa: ARG001 - every streamed head takes a seed; this one draws nothing
    """Return the heads of `heads.estimators.make_ridge`, fitted: for each choice of hyper-parameters, one for each fit.

    Their temperatures are fitted on the leave-one-out scores of the sample alone: that is exact for its images, and one
    number needs no more.

    Parameters
    ----------
    data : StreamedData
        With products of features.
    grid : sequence of mapping of str to object
        Hyper-parameters of `RidgeSoftmaxClassifier`.
    seed : int

    Raises
    ------
    ValueError
        An alpha is not above 0, or a fit has a single class.
    """
    heads = [RidgeSoftmaxClassifier(**params) for params in grid]
    for head in heads:
        head.check_alpha()
    by_fit = [_fit_all(data, fit, grid) for fit in range(data.n_fits)]
    return [list(choices) for choices in zip(*by_fit, strict=True)]


def _fit_all(data: StreamedData, fit: int, grid: Sequence[Mapping[str, Any]]) -> list[Pipeline]:
    moments, present = data.moments(fit), data.present(fit)
    scaler = scaler_of(data, moments)
    least = data.sums.least_squares(data.parts.fits[fit], fit)
    lengths, directions = np.linalg.eigh(least.gram, UPLO="U")
    lengths = np.maximum(lengths, 0.0)
    turned = directions.T @ least.products[:, present]
    mean, total = 2.0 * least.counts[present] / least.counts.sum() - 1.0, least.counts.sum()
    features, codes = data.sampled(fit)
    middle = (least.mean - moments.mean) / moments.scale  # the weighed mean of standardised features
    known = (scaler.transform(features).astype(np.float64) - middle) @ directions
    weights = np.ones(len(codes)) if data.sums.weights is None else data.sums.weights[fit][present][codes]
    squares, targets = weights[:, None] * np.square(known), class_targets(codes, len(present)).T
    pipelines = []
    for params in grid:
        head = RidgeSoftmaxClassifier(**params)
        shrunk = 1.0 / (lengths + head.alpha)
        solved = shrunk[:, None] * turned
        leverage = squares @ shrunk + weights / total
        left_out = left_out_scores(targets, (known @ solved + mean).T, leverage)
        head.classes_, head.n_features_in_ = present, data.stream.n_features
        head.coef_ = directions @ solved
        head.intercept_ = mean - middle @ head.coef_
        head.temperature_ = fit_temperature(left_out.T, codes, moments.n_images)
        pipelines.append(make_pipeline(scaler, head))
    return pipelines
