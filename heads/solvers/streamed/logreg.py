"""Logistic regression for all C and folds at once, in a few passes over the images.

A batched L-BFGS finds the minima on a sample first, and goes on from there on all images, with what it has learned of
the curvature: growing the sample is Byrd, Chin, Nocedal & Wu, "Sample size selection in optimization methods for
machine learning", Mathematical Programming 134, 2012. Where the sample is all there is, the steps are
scikit-learn's; otherwise they are few, and end at the same size of the gradient.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline, make_pipeline

from headstart.heads.estimators import common_weight, make_logreg
from headstart.heads.solvers.logistic import (
    Found,
    Loss,
    Search,
    SoftmaxSums,
    Targets,
    WeightScaling,
    rows_at_once,
    split_blocks,
)
from headstart.heads.solvers.streamed.data import StreamedData, scaler_of
from headstart.heads.solvers.sums import class_indicator, split_by_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from headstart.heads.estimators import ClassWeight
    from headstart.heads.solvers.sums import Block

_ROWS_AT_ONCE = 16_384
_FLATTEST = 1e-3  # of the mean curvature


def stream_logreg(
    data: StreamedData, grid: Sequence[Mapping[str, Any]], seed: int, *, tol: float = 1e-4, max_iter: int = 1000
) -> list[list[Pipeline]]:
    """Return the heads of `make_logreg`, fitted: for each choice of hyper-parameters, one for each fit.

    Parameters
    ----------
    data : StreamedData
    grid : sequence of mapping of str to object
        With ``C``, and a ``class_weight`` that all have in common.
    seed : int
        What the heads have as `random_state`; nothing is drawn.
    tol : float
        Largest component of the gradient to stop at, scikit-learn's default.
    max_iter : int
        Steps; a problem that takes more gives a ConvergenceWarning.

    Raises
    ------
    ValueError
        A C is not above 0, there are several class weights, or a fit has a single class.
    """
    strengths = np.array([one.get("C", 1.0) for one in grid], dtype=np.float64)
    if not (strengths > 0).all():
        raise ValueError(f"C is {strengths.min()}, expected a number above 0")
    loss = StreamedLoss(data, strengths, common_weight(grid))
    points, n_steps, failed = (_search_plainly if data.sample.is_all else _search_turned)(data, loss, tol, max_iter)
    if len(failed):
        warnings.warn(
            f"lbfgs failed to converge in {max_iter} steps for {len(failed)} of {loss.n_problems} problems",
            ConvergenceWarning,
            stacklevel=2,
        )
    found = points.view(len(grid), data.n_fits, data.n_classes, -1).double().numpy()
    taken = n_steps.view(len(grid), -1).tolist()
    return [
        [_head(data, fit, params, seed, found[number, fit], taken[number][fit]) for fit in range(data.n_fits)]
        for number, params in enumerate(grid)
    ]


def _search_plainly(_: StreamedData, loss: StreamedLoss, tol: float, max_iter: int) -> tuple[Tensor, Tensor, Tensor]:
    """Take scikit-learn's steps; returns the points, each problem's steps, and problems that did not get there."""
    search = Search(loss.n_problems, loss.scaling.n_params, first_lengths=loss.scaling.first_lengths)
    failed = search.run(loss.on_sample, tol, max_iter)
    return search.points, search.n_steps, failed


def _search_turned(data: StreamedData, loss: StreamedLoss, tol: float, max_iter: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the minima on the sample, and go on from there on all images; returns the same."""
    turn = Turn(data, loss)
    search = Search(loss.n_problems, loss.scaling.n_params)
    search.run(turn.turned(loss.on_sample), tol, max_iter)
    failed = search.run(turn.turned(loss.on_all), tol, max_iter)
    return turn.weights(torch.arange(loss.n_problems), search.points), search.n_steps, failed


class StreamedLoss:
    """Counterpart of `heads.solvers.logistic.loss.SoftmaxLoss` for images read in blocks.

    Problems are numbered C by C, and fit after fit within each.

    Parameters
    ----------
    data : StreamedData
    strengths : float64 ndarray of shape (n_choices,)
        C.
    class_weight : "balanced", mapping of class to float, or None

    Attributes
    ----------
    n_problems : int
    scaling : WeightScaling
    """

    def __init__(self, data: StreamedData, strengths: NDArray[np.float64], class_weight: ClassWeight = None) -> None:
        self._data, self.n_problems = data, len(strengths) * data.n_fits
        fits = np.tile(np.arange(data.n_fits), len(strengths))
        self.scaling = WeightScaling(data.sums, data.parts, fits, np.repeat(strengths, data.n_fits), class_weight)
        self._of_all = self.scaling.targets(data.sums.counts, data.sums.sums)
        self._of_sample = self.scaling.targets(*_sum_sample(data))

    def on_all(self, problems: Tensor, points: Tensor) -> Found:
        """Evaluate n problems at their points (n, n_params), over all images."""
        return self._evaluate(self._data.stream.blocks(self._data.parts.rows), self._of_all, problems, points)

    def on_sample(self, problems: Tensor, points: Tensor) -> Found:
        """Return the same over the sample."""
        return self._evaluate(_pieces(self._data.sample.block), self._of_sample, problems, points)

    def _evaluate(self, blocks: Iterable[Block], targets: Targets, problems: Tensor, points: Tensor) -> Found:
        data, places = self._data, self.scaling.places(problems)
        sums = SoftmaxSums(*self.scaling.of_features(problems, points), self.scaling.counted(problems))
        centre, n_rows = torch.from_numpy(data.sums.centre), rows_at_once(data.n_classes * len(problems))
        for block in blocks:
            for part, rows in split_by_part(data.parts, block.rows):
                X, codes = torch.from_numpy(block.features[rows]).sub_(centre), data.codes[block.rows[rows]]
                sums.add(split_blocks(X, torch.from_numpy(codes), data.n_classes, n_rows), places[part])
        values, gradients = self.scaling.finish(problems, points, sums, targets)
        return Found(values, gradients, gradients.abs().amax(dim=1))  # scikit-learn stops by that


def _sum_sample(data: StreamedData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `counts` and `sums`, as `PartSums` has them, over the sample."""
    counts, sums = np.zeros_like(data.sums.counts), np.zeros_like(data.sums.sums)
    for block in _pieces(data.sample.block):
        for part, rows in split_by_part(data.parts, block.rows):
            codes = data.codes[block.rows[rows]]
            counts[part] += np.bincount(codes, minlength=data.n_classes)
            sums[part] += class_indicator(codes, data.n_classes) @ (block.features[rows] - data.sums.centre)
    return counts, sums


def _pieces(block: Block) -> Iterator[Block]:
    """Yield the images of a block a few at a time: what is made of them is as large as they are."""
    for at in range(0, len(block.rows), _ROWS_AT_ONCE):
        some = slice(at, at + _ROWS_AT_ONCE)
        yield block._replace(rows=block.rows[some], features=block.features[some])


class Turn:
    """Coordinates in which the losses curve about as much in all directions, so that L-BFGS takes few steps.

    A step costs a pass over all images. The curvature of a class's weights is about that of least squares: p (1-p)
    times the features' correlations, which the sample tells. A point u stands for the weights V (a · u), for their
    eigenvectors V and a² = 1 / curvature.

    Parameters
    ----------
    data : StreamedData
    loss : StreamedLoss
    """

    def __init__(self, data: StreamedData, loss: StreamedLoss) -> None:
        features = data.sample.block.features
        lengths, directions = np.linalg.eigh(_correlations(features))
        share = 1.0 / data.n_classes
        spread = share * (1.0 - share)
        flat = _FLATTEST * spread  # directions that hardly occur: float32 knows little of the slope there
        curvature = spread * np.append(np.maximum(lengths, 0.0), 1.0) + flat  # the intercept is the last
        self._n_classes = data.n_classes
        self._directions = torch.from_numpy(directions).float()
        penalised = torch.ones(len(curvature))
        penalised[-1] = 0.0
        self._factors = (torch.from_numpy(curvature).float() + loss.scaling.penalties[:, None] * penalised).rsqrt()

    def weights(self, problems: Tensor, points: Tensor) -> Tensor:
        """Return the weights and intercepts (n, n_params) that points (n, n_params) of problems (n,) stand for."""
        return self._turn(self._by_class(points) * self._factors[problems][:, None], self._directions.T)

    def turned(self, loss: Loss) -> Loss:
        """Return a loss of points."""

        def of_points(problems: Tensor, points: Tensor) -> Found:
            found = loss(problems, self.weights(problems, points))
            straight = self._by_class(self._turn(self._by_class(found.gradients), self._directions))
            return found._replace(gradients=(straight * self._factors[problems][:, None]).flatten(1))

        return of_points

    def _by_class(self, values: Tensor) -> Tensor:
        return values.view(len(values), self._n_classes, self._factors.shape[1])

    def _turn(self, values: Tensor, by: Tensor) -> Tensor:
        return torch.cat([values[..., :-1] @ by, values[..., -1:]], dim=2).flatten(1)


def _correlations(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the correlations (n_features, n_features) of features; 0 of those that never change."""
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    products = np.zeros((len(mean), len(mean)))
    for at in range(0, len(features), _ROWS_AT_ONCE):
        centred = features[at : at + _ROWS_AT_ONCE] - mean
        products += centred.T @ centred
    lengths = np.sqrt(np.diagonal(products))
    lengths[lengths == 0.0] = 1.0
    return np.asarray(products / np.outer(lengths, lengths))


def _head(
    data: StreamedData, fit: int, params: Mapping[str, Any], seed: int, found: NDArray[np.float64], n_steps: int
) -> Pipeline:
    """Return the pipeline with these weights and intercepts, (n_classes, n_features + 1)."""
    present = data.present(fit)
    found = found[present]
    if len(present) == 2:
        found = found[1:] - found[:1]
    head = make_logreg(params, seed)[-1]
    head.classes_, head.n_features_in_ = present, data.stream.n_features
    head.coef_, head.intercept_ = found[:, :-1].copy(), found[:, -1].copy()
    head.n_iter_ = np.array([n_steps], dtype=np.int32)
    return make_pipeline(scaler_of(data, data.moments(fit)), head)
