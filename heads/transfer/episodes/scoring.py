"""Accuracy of each method in each episode: the same episodes for all, a batch of them by one product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from headstart.heads.transfer.episodes.methods import METHODS, Method
from headstart.heads.transfer.episodes.products import at_unit_length, moved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from headstart.heads.transfer.episodes.drawing import Episodes

    Floats = NDArray[np.float64]

_AT_ONCE = 200  # episodes: their features are some 100 MB


class Accuracies(NamedTuple):
    """Accuracy of a method with so many shots in each episode.

    Attributes
    ----------
    method : str
    shots : int
    shares : float64 ndarray of shape (n_episodes,)
        Of the queries that were told right.
    """

    method: str
    shots: int
    shares: Floats

    @property
    def mean(self) -> float:
        """Mean over episodes."""
        return float(self.shares.mean())

    @property
    def half_width(self) -> float:
        """1.96 standard errors of the mean over episodes."""
        return half_width(self.shares)

    def gain_over(self, other: Accuracies) -> tuple[float, float]:
        """Return the mean difference on the same episodes, and 1.96 of its standard errors."""
        ahead = self.shares - other.shares
        return float(ahead.mean()), half_width(ahead)


def half_width(values: Floats) -> float:
    """Return 1.96 standard errors of a mean over episodes."""
    return float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def score_episodes(
    X: NDArray[Any],
    y: NDArray[Any],
    episodes: Episodes,
    *,
    base: NDArray[Any] | None = None,
    methods: Sequence[Method] = METHODS,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Accuracies]:
    """Score every method on every episode.

    Parameters
    ----------
    X : float array of shape (n_images, n_features)
    y : int array of shape (n_images,)
        Classes from 0: where `base` is None, the mean of the images of all classes that an episode leaves out is its
        base.
    episodes : Episodes
    base : float array of shape (n_features,), optional
        Mean of images of other classes.
    methods : sequence of Method
        Those that need a base are left out where an episode leaves no class out and there is none.
    advance : callable
        Told how many episodes were scored.
    """
    middle = np.asarray(X, np.float64).mean(axis=0)
    rows = torch.from_numpy((X - middle).astype(np.float32))
    origins = _origins(rows, middle, y, episodes, base)
    used = [method for method in methods if method.origin != "base" or "base" in origins]
    roots = None
    if any(method.origin == "roots" for method in used):
        roots = torch.from_numpy((np.sign(X) * np.sqrt(np.abs(X))).astype(np.float32))
    found: dict[tuple[str, int], list[Floats]] = {}
    for first in range(0, len(episodes), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        images = torch.from_numpy(episodes.images[some])
        products = _products(rows, images)
        given = {"features": products}
        if roots is not None:
            given["roots"] = _products(roots, images)
        for name, origin in origins.items():
            flat = images.flatten(1)
            given[name] = at_unit_length(moved(products, origin.along(flat, some), origin.squares[some]))
        for method in used:
            for shots in episodes.shots:
                order = _order_of(episodes, shots)
                own = given[method.origin][:, order][:, :, order]
                shares = _share_right(method.tell(own, episodes.classes.shape[1], shots), episodes)
                found.setdefault((method.name, shots), []).append(shares)
        advance(len(images))
    return [Accuracies(name, shots, np.concatenate(shares)) for (name, shots), shares in found.items()]


class _Origin(NamedTuple):
    """A point for each episode, from which its images are seen: weights of a few points, and their products.

    Attributes
    ----------
    products : float tensor of shape (n_images, n_points)
        Of each image with each point.
    weights : float tensor of shape (n_episodes, n_points)
    squares : float tensor of shape (n_episodes,)
    """

    products: Tensor
    weights: Tensor
    squares: Tensor

    def along(self, images: Tensor, some: slice) -> Tensor:
        """Return the product of each image of some episodes with their origin, (n_episodes, n)."""
        return torch.einsum("enp,ep->en", self.products[images], self.weights[some])


def _origins(
    rows: Tensor, middle: Floats, y: NDArray[Any], episodes: Episodes, base: NDArray[Any] | None
) -> dict[str, _Origin]:
    """Return where features have their origin, and the mean of the base, both as seen from the middle."""
    n_episodes, n_classes = len(episodes), int(y.max()) + 1
    whole = np.ones((n_episodes, 1))
    found = {"unit": _origin(rows, -middle[None], whole)}
    if base is not None:
        found["base"] = _origin(rows, (np.asarray(base, np.float64) - middle)[None], whole)
        return found
    sizes = np.bincount(y, minlength=n_classes).astype(np.float64)
    outside = np.ones((n_episodes, n_classes))
    np.put_along_axis(outside, episodes.classes, 0.0, axis=1)
    n_base = outside @ sizes
    if not n_base.all():
        return found
    sums = np.eye(n_classes)[y].T @ rows.numpy().astype(np.float64)
    found["base"] = _origin(rows, sums, outside / n_base[:, None])
    return found


def _origin(rows: Tensor, points: Floats, weights: Floats) -> _Origin:
    squares = np.einsum("ep,pq,eq->e", weights, points @ points.T, weights, optimize=True)
    along = rows.double() @ torch.from_numpy(points).T
    return _Origin(along, torch.from_numpy(weights), torch.from_numpy(squares))


def _products(rows: Tensor, images: Tensor) -> Tensor:
    """Return inner products (n_episodes, n, n): the one large product, in float32, and what follows of it in float64.

    Where features have most of their length in common, cosines differ in their last digits alone.
    """
    own = rows[images.flatten(1)]
    return (own @ own.mT).double()


def _order_of(episodes: Episodes, shots: int) -> Tensor:
    """Return where the first labelled images of each class are, and then its queries, class by class."""
    _, ways, each = episodes.images.shape
    place = torch.arange(ways * each).reshape(ways, each)
    return torch.cat([place[:, :shots].flatten(), place[:, max(episodes.shots) :].flatten()])


def _share_right(scores: Tensor, episodes: Episodes) -> Floats:
    truth = torch.arange(scores.shape[2]).repeat_interleave(episodes.queries)
    return (scores.argmax(dim=2) == truth).double().mean(dim=1).numpy()
