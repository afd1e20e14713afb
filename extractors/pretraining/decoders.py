"""Decoders: small networks behind an encoder that ask something of its features; thrown away after training."""

import math
from itertools import pairwise

import torch
from torch import nn

_WIDTHS = (128, 64, 32, 16)
_FIRST_SIDE = 4
LARGEST_SIDE = _FIRST_SIDE * 2 ** (len(_WIDTHS) - 1)
"""Pixels a side of what is painted: larger images are painted reduced, for features say little of single pixels."""


class Painter(nn.Module):
    """Features to an image (n_images, 3, H, W) of up to `LARGEST_SIDE` pixels a side, in doubling steps from 4 × 4.

    Parameters
    ----------
    n_features : int
    size : (int, int)
        Height and width of what is painted.
    """

    def __init__(self, n_features: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Linear(n_features, _WIDTHS[0] * _FIRST_SIDE**2)
        n_steps = max(1, math.ceil(math.log2(max(size) / _FIRST_SIDE)))
        widths, steps = _WIDTHS[: n_steps + 1], list[nn.Module]()
        for n_in, n_out in pairwise(widths):
            convolution = nn.Conv2d(n_in, n_out, kernel_size=3, padding=1, bias=False)
            steps += [nn.Upsample(scale_factor=2), convolution, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
        self.steps = nn.Sequential(
            *steps, nn.Conv2d(widths[-1], 3, kernel_size=3, padding=1), nn.AdaptiveAvgPool2d(size)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the images that features (n_images, n_features) stand for."""
        small = self.first(features).unflatten(1, (_WIDTHS[0], _FIRST_SIDE, _FIRST_SIDE))
        painted: torch.Tensor = self.steps(torch.relu(small))
        return painted
