"""Inner products of the images of episodes: every method needs these alone, and never the features again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-12


def moved(products: Tensor, along: Tensor, square: Tensor) -> Tensor:
    """Return inner products from another origin b: <x - b, z - b> = <x, z> - <x, b> - <z, b> + <b, b>.

    Parameters
    ----------
    products : float64 tensor of shape (n_episodes, n, n)
    along : float64 tensor of shape (n_episodes, n)
        <x, b> of each image.
    square : float64 tensor of shape (n_episodes,)
        <b, b>.
    """
    return products - along[:, :, None] - along[:, None, :] + square[:, None, None]


def at_unit_length(products: Tensor) -> Tensor:
    """Return cosines: products of images of unit length; an image at the origin has none with any other."""
    squares = products.diagonal(dim1=1, dim2=2)
    lengths = squares.clamp_min(0).sqrt()
    inverse = torch.where(lengths > _TINY, 1 / lengths.clamp_min(_TINY), torch.zeros_like(lengths))
    return products * inverse[:, :, None] * inverse[:, None, :]


def centred(products: Tensor) -> Tensor:
    """Return products from the mean of each episode's own images."""
    along = products.mean(dim=2)
    return moved(products, along, along.mean(dim=1))


def distances(products: Tensor, weights: Tensor) -> Tensor:
    """Return squared distances (n_episodes, n, ways) from centres that are weighted sums of an episode's images.

    Parameters
    ----------
    products : float64 tensor of shape (n_episodes, n, n)
    weights : float64 tensor of shape (n_episodes, n, ways)
        Of each image in each centre.
    """
    cross = products @ weights
    squares = (weights * cross).sum(dim=1)
    return products.diagonal(dim1=1, dim2=2)[:, :, None] - 2 * cross + squares[:, None, :]


def class_means(episodes: int, ways: int, shots: int, queries: int) -> Tensor:
    """Return the weights of class means, (n_episodes, ways * (shots + queries), ways): shots first, class by class."""
    labelled = torch.eye(ways, dtype=torch.float64).repeat_interleave(shots, dim=0) / shots
    return torch.cat([labelled, torch.zeros(ways * queries, ways, dtype=torch.float64)]).expand(episodes, -1, -1)
