"""The nearest-mean head for all folds from two passes over the images: means of features, then of unit vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer

from headstart.heads.estimators import NearestMeanClassifier, fit_temperature
from headstart.heads.solvers.streamed.data import StreamedData, scaler_of
from headstart.heads.solvers.sums import class_indicator, split_by_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from headstart.heads.solvers.sums import Block

    Doubles = NDArray[np.float64]


def stream_centroid(data: StreamedData, grid: Sequence[Mapping[str, Any]], seed: int) -> list[list[Pipeline]]:  # noqa: ARG001 - every streamed head takes a seed; this one draws nothing
    """Return the heads of `make_centroid`, fitted: for each choice (there are none to make), each fit's.

    Their temperatures are fitted on the leave-one-out scores of the sample alone: that is exact for its images, and one
    number needs no more.

    Parameters
    ----------
    data : StreamedData
    grid : sequence of mapping of str to object
        Hyper-parameters of `NearestMeanClassifier`, which has none.
    seed : int

    Raises
    ------
    ValueError
        A fit has a single class.
    """
    sums = _sum_unit_vectors(data)
    return [[_head(data, fit, sums[fit], params) for fit in range(data.n_fits)] for params in grid]


def _sum_unit_vectors(data: StreamedData) -> Doubles:
    """Return the sums of features less the fit's mean, at unit length, (n_fits, n_classes, n_features)."""
    means = np.stack([data.moments(fit).mean for fit in range(data.n_fits)])
    sums = np.zeros((data.n_fits, data.n_classes, means.shape[1]))
    weights = np.zeros((data.n_fits, data.n_classes))
    for block in data.stream.blocks(data.parts.rows):
        for part, rows in split_by_part(data.parts, block.rows):
            _add(data, block, rows, np.flatnonzero(data.parts.fits[:, part]), means, sums, weights)
    return sums - weights[:, :, None] * means[:, None]


def _add(
    data: StreamedData,
    block: Block,
    rows: NDArray[np.intp],
    fits: NDArray[np.intp],
    means: Doubles,
    sums: Doubles,
    weights: Doubles,
) -> None:
    """Add the images of one part to each fit that uses it: Σ (x - m) / |x - m| = Σ w x - m Σ w."""
    X = block.features[rows] - data.sums.centre
    codes = data.codes[block.rows[rows]]
    squares = np.einsum("ij,ij->i", X, X, dtype=np.float64)
    for fit in fits:
        mean = means[fit]
        lengths = np.sqrt(np.maximum(squares - 2.0 * (X @ mean.astype(np.float32)) + mean @ mean, 0.0))
        weight = 1.0 / np.where(lengths > 0.0, lengths, 1.0)
        sums[fit] += class_indicator(codes, data.n_classes, weight.astype(np.float32)) @ X
        weights[fit] += np.bincount(codes, weight, data.n_classes)


def _head(data: StreamedData, fit: int, sums: Doubles, params: Mapping[str, Any]) -> Pipeline:
    moments, present = data.moments(fit), data.present(fit)
    counts = data.counts(fit)[present]
    scaler = scaler_of(data, moments, with_std=False)
    features, codes = data.sampled(fit)
    normalizer = Normalizer()
    known = normalizer.fit_transform(scaler.transform(features))
    head = NearestMeanClassifier(**params)
    head.classes_, head.n_features_in_ = present, data.stream.n_features
    head.means_ = (sums[present] / counts[:, None]).astype(np.float32)
    rows = np.flatnonzero(counts[codes] > 1)
    scores = head.left_out_scores(known[rows], codes[rows], counts) if len(rows) else np.empty((0, len(counts)))
    head.temperature_ = fit_temperature(scores, codes[rows])
    return make_pipeline(scaler, normalizer, head)
