"""Logistic regression for all C and folds at once, in a few passes over the images.

A batched L-BFGS finds the minima on a sample first, and goes on from there on all images, with what it has learned of
the curvature: growing the sample is Byrd, Chin, Nocedal & Wu, "Sample size selection in optimization methods for
machine learning", Mathematical Programming 134, 2012. Where the sample is all there is, the steps are those of
`heads.logreg_path`, and so scikit-learn's; otherwise they are few, and end at the same size of the gradient.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline, make_pipeline

from heads.batched_lbfgs import Loss, Search
from heads.linear import make_logreg
from heads.part_sums import split_by_part
from heads.softmax_loss import ClassSums
from heads.streamed_fit import StreamedData, scaler_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from heads.streaming import Block

_ABSENT = -1e30  # a score that no softmax sees
_FLATTEST = 1e-3  # of the mean curvature


def stream_logreg(
    data: StreamedData, grid: Sequence[Mapping[str, Any]], seed: int, *, tol: float = 1e-4, max_iter: int = 1000
) -> list[list[Pipeline]]:
    """Return the heads of `heads.linear.make_logreg`, fitted: for each choice of hyper-parameters, one for each fit.

    Parameters
    ----------
    data : StreamedData
    grid : sequence of mapping of str to object
        With ``C``, and nothing else.
    seed : int
        What the heads have as `random_state`; nothing is drawn.
    tol : float
        Largest component of the gradient to stop at, scikit-learn's default.
    max_iter : int
        Steps; a problem that takes more gives a ConvergenceWarning.

    Raises
    ------
    ValueError
        A C is not above 0, or a fit has a single class.
    """
    strengths = np.array([one.get("C", 1.0) for one in grid], dtype=np.float64)
    if not (strengths > 0).all():
        raise ValueError(f"C is {strengths.min()}, expected a number above 0")
    loss = StreamedLoss(data, strengths)
    points, n_steps, failed = (_search_plainly if data.sample.is_all else _search_turned)(data, loss, tol, max_iter)
    if failed:
        warnings.warn(
            f"lbfgs failed to converge in {max_iter} steps for {failed} of {loss.n_problems} problems",
            ConvergenceWarning,
            stacklevel=2,
        )
    found = points.view(len(grid), data.n_fits, data.n_classes, -1).double().numpy()
    taken = n_steps.view(len(grid), -1).tolist()
    return [
        [_head(data, fit, params, seed, found[number, fit], taken[number][fit]) for fit in range(data.n_fits)]
        for number, params in enumerate(grid)
    ]


def _search_plainly(data: StreamedData, loss: StreamedLoss, tol: float, max_iter: int) -> tuple[Tensor, Tensor, int]:
    """Take scikit-learn's steps; returns the points, each problem's steps, and how many problems did not get there."""
    # As in `heads.logreg_path`: scipy's first step has length 1, and two classes are one column in scikit-learn.
    first_length = 1.0 if data.n_classes > 2 else 0.5**0.5
    search = Search(loss.n_problems, data.n_classes * (data.stream.n_features + 1), first_length=first_length)
    failed = search.run(loss.on_sample, tol, max_iter)
    return search.points, search.n_steps, failed


def _search_turned(data: StreamedData, loss: StreamedLoss, tol: float, max_iter: int) -> tuple[Tensor, Tensor, int]:
    """Find the minima on the sample, and go on from there on all images; returns the same."""
    turn = Turn(data, loss)
    search = Search(loss.n_problems, data.n_classes * (data.stream.n_features + 1), largest=turn.largest)
    search.run(turn.turned(loss.on_sample), tol, max_iter)
    failed = search.run(turn.turned(loss.on_all), tol, max_iter)
    return turn.weights(torch.arange(loss.n_problems), search.points), search.n_steps, failed


class StreamedLoss:
    """What `heads.softmax_loss.SoftmaxLoss` is, of problems that use different parts of images read in blocks.

    Problems are numbered C by C, and fit after fit within each. Features are not standardised, their weights are:
    w · (x - m) / s = (w / s) · x - (w / s) · m.

    Parameters
    ----------
    data : StreamedData
    strengths : float64 ndarray of shape (n_choices,)
        C.

    Attributes
    ----------
    n_problems : int
    penalties : float32 tensor of shape (n_problems,)
    """

    def __init__(self, data: StreamedData, strengths: NDArray[np.float64]) -> None:
        self._data, self.n_problems = data, len(strengths) * data.n_fits
        self._fit = torch.arange(self.n_problems) % data.n_fits
        moments = [data.moments(fit) for fit in range(data.n_fits)]
        self._means = torch.from_numpy(np.stack([one.mean for one in moments])).float()
        self._scales = torch.from_numpy(np.stack([one.scale for one in moments])).float()
        self._centre = torch.from_numpy(data.sums.centre)
        counts = np.stack([data.counts(fit) for fit in range(data.n_fits)])
        self._absent = torch.from_numpy(np.where(counts > 0, 0.0, _ABSENT)).float()
        factor = np.where((counts > 0).sum(axis=1) > 2, 1.0, 2.0) / counts.sum(axis=1)
        self.penalties = torch.from_numpy((factor / strengths[:, None]).ravel()).float()
        self._used = torch.from_numpy(data.parts.fits.T.copy())  # (n_parts, n_fits)

    def on_all(self, problems: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return values (n,), float64, and gradients (n, n_params) of n problems at their points, over all images."""
        data = self._data
        counts = torch.from_numpy(np.array([data.moments(fit).n_images for fit in range(data.n_fits)]))
        return self._evaluate(data.stream.blocks(data.parts.rows), counts, problems, points)

    def on_sample(self, problems: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same over the sample."""
        data = self._data
        sizes = np.bincount(data.parts.of_image[data.sample.block.rows], minlength=data.parts.fits.shape[1])
        return self._evaluate([data.sample.block], torch.from_numpy(data.parts.fits @ sizes), problems, points)

    def _evaluate(
        self, blocks: Iterable[Block], n_images: Tensor, problems: Tensor, points: Tensor
    ) -> tuple[Tensor, Tensor]:
        data, fits = self._data, self._fit[problems]
        weights = points.view(len(problems), data.n_classes, -1)
        scaled = weights[..., :-1] / self._scales[fits][:, None]
        shifted = weights[..., -1] - torch.einsum("ncf,nf->nc", scaled, self._means[fits]) + self._absent[fits]
        parts = {
            part: _PartSums(torch.nonzero(used[fits])[:, 0], scaled, shifted, data.n_classes)
            for part, used in enumerate(self._used)
            if used[fits].any()
        }
        for block in blocks:
            for part, rows in split_by_part(data.parts, block.rows):
                if part in parts:
                    X = torch.from_numpy(block.features[rows]).sub_(self._centre)
                    parts[part].add(X, torch.from_numpy(data.codes[block.rows[rows]]))
        loss = torch.zeros(len(problems), dtype=torch.float64)
        by_weight, by_intercept = torch.zeros_like(scaled), torch.zeros_like(shifted)
        for sums in parts.values():
            sums.join(loss, by_weight, by_intercept)
        by_weight = (by_weight - by_intercept[..., None] * self._means[fits][:, None]) / self._scales[fits][:, None]
        n_each, penalties = n_images[fits], self.penalties[problems]
        gradients = torch.cat([by_weight, by_intercept[..., None]], dim=2) / n_each[:, None, None]
        gradients[..., :-1] += penalties[:, None, None] * weights[..., :-1]
        squares = weights[..., :-1].square().sum(dim=(1, 2))
        return loss / n_each + 0.5 * (penalties * squares).double(), gradients.flatten(1)


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
        self._factors = (torch.from_numpy(curvature).float() + loss.penalties[:, None] * penalised).rsqrt()

    def weights(self, problems: Tensor, points: Tensor) -> Tensor:
        """Return the weights and intercepts (n, n_params) that points (n, n_params) of problems (n,) stand for."""
        return self._turn(self._by_class(points) * self._factors[problems][:, None], self._directions.T)

    def turned(self, loss: Loss) -> Loss:
        """Return a loss of points."""

        def of_points(problems: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
            values, gradients = loss(problems, self.weights(problems, points))
            straight = self._by_class(self._turn(self._by_class(gradients), self._directions))
            return values, (straight * self._factors[problems][:, None]).flatten(1)

        return of_points

    def largest(self, problems: Tensor, gradients: Tensor) -> Tensor:
        """Return the largest component of the gradients by weights, (n,): scikit-learn stops by that."""
        straight = self._by_class(gradients) / self._factors[problems][:, None]
        return self._turn(straight, self._directions.T).abs().amax(dim=1)

    def _by_class(self, values: Tensor) -> Tensor:
        return values.view(len(values), self._n_classes, self._factors.shape[1])

    def _turn(self, values: Tensor, by: Tensor) -> Tensor:
        return torch.cat([values[..., :-1] @ by, values[..., -1:]], dim=2).flatten(1)


def _correlations(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the correlations (n_features, n_features) of features; 0 of those that never change."""
    centred = features - features.mean(axis=0, dtype=np.float64).astype(np.float32)
    products = (centred.T @ centred).astype(np.float64)
    lengths = np.sqrt(np.diagonal(products))
    lengths[lengths == 0.0] = 1.0
    return np.asarray(products / np.outer(lengths, lengths))


class _PartSums:
    """The sums over the images of one part, for the problems (n,) that use it."""

    def __init__(self, problems: Tensor, weights: Tensor, intercepts: Tensor, n_classes: int) -> None:
        self.problems = problems
        self._coefs = weights[problems].transpose(0, 1).flatten(0, 1).contiguous()
        self._intercepts = intercepts[problems].T.reshape(-1, 1).contiguous()
        self._n_classes, self._sums = n_classes, ClassSums(self._coefs, self._intercepts, n_classes)

    def add(self, X: Tensor, codes: Tensor) -> None:
        n_rows = max(256, 2**20 // len(self._coefs))  # as in SoftmaxLoss
        for images, classes in zip(torch.split(X, n_rows), torch.split(codes, n_rows), strict=True):
            residuals = self._sums.add(torch.addmm(self._intercepts, self._coefs, images.T), classes)
            self._sums.gradient.addmm_(residuals, images)

    def join(self, loss: Tensor, by_weight: Tensor, by_intercept: Tensor) -> None:
        n = len(self.problems)
        loss[self.problems] += self._sums.loss
        by_weight[self.problems] += self._sums.gradient.view(self._n_classes, n, -1).transpose(0, 1)
        by_intercept[self.problems] += self._sums.intercept_gradient.view(self._n_classes, n).T


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
