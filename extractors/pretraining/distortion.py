"""Distortions that leave an image what it is: drawn for a whole batch at once, by a generator of the caller's."""

import numpy as np
import torch
from torch import nn

from headstart.extractors.pretraining.recipe import Augment

TURNS = 4
_CONTRAST, _BRIGHTNESS = 0.4, 0.4


def distorted(images: torch.Tensor, augment: Augment, generator: torch.Generator) -> torch.Tensor:
    """Distort normalised images (n_images, 3, H, W), each on its own, as the recipe says."""
    if augment == "none":
        return images
    images = moved(images, generator)
    return images if augment == "light" else _recoloured(_mirrored(images, generator), generator)


def moved(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn by up to 15°, scale by up to a tenth, shear by up to 0.15, move by up to a tenth, each image on its own."""
    angle, scale, shear, right, down = (2 * torch.rand(5, len(images), generator=generator) - 1) * torch.tensor(
        [[np.pi / 12], [0.1], [0.15], [0.2], [0.2]]  # the grid runs from -1 to 1, so a tenth of the width is 0.2
    )
    cosine, sine = angle.cos() * (1 + scale), angle.sin() * (1 + scale)
    affine = torch.stack([torch.stack([cosine, shear - sine, right], 1), torch.stack([sine, cosine, down], 1)], 1)
    grid = nn.functional.affine_grid(affine.to(images.device), list(images.shape), align_corners=False)
    sampled: torch.Tensor = nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return sampled


def turned(images: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Turn each image by its number of quarter turns."""
    every = torch.stack([torch.rot90(images, turn, (2, 3)) for turn in range(TURNS)])
    return every[turns, torch.arange(len(images))]


def _mirrored(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Exchange left and right in every other image."""
    chosen = torch.rand(len(images), generator=generator).lt(0.5).to(images.device)
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def _recoloured(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change contrast around each image's mean, and brightness, by up to two fifths of the whole spread."""
    contrast, brightness = (2 * torch.rand(2, len(images), 1, 1, 1, generator=generator) - 1).to(images.device)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    changed: torch.Tensor = mean + (images - mean) * (1 + _CONTRAST * contrast) + _BRIGHTNESS * brightness
    return changed
