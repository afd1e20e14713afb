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
    lengths, directions = np.linalg.eigh(data.sums.correlations(data.parts.fits[fit]), UPLO="U")
    lengths = np.maximum(lengths, 0.0)
    counts = data.counts(fit)[present]
    by_class = data.sums.sums[data.parts.fits[fit]].sum(axis=0)[present]
    # Targets are 2 · indicator - 1, and standardised features sum up to 0.
    products = 2.0 * ((by_class - counts[:, None] * moments.mean) / moments.scale).T
    turned = directions.T @ products
    height = 2.0 * counts / moments.n_images - 1.0
    features, codes = data.sampled(fit)
    known = (scaler.transform(features).astype(np.float64)) @ directions
    squares, targets = np.square(known), class_targets(codes, len(present)).T
    pipelines = []
    for params in grid:
        head = RidgeSoftmaxClassifier(**params)
        shrunk = 1.0 / (lengths + head.alpha)
        weights = shrunk[:, None] * turned
        leverage = squares @ shrunk + 1.0 / moments.n_images
        left_out = left_out_scores(targets, (known @ weights + height).T, leverage)
        head.classes_, head.n_features_in_ = present, data.stream.n_features
        head.coef_, head.intercept_ = directions @ weights, height
        head.temperature_ = fit_temperature(left_out.T, codes, moments.n_images)
        pipelines.append(make_pipeline(scaler, head))
    return pipelines
