"""Tasks that images set by themselves: what is done to them, and how far the answer is from what was there."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from headstart.extractors.pretraining.decoders import LARGEST_SIDE, Painter
from headstart.extractors.pretraining.distortion import TURNS
from headstart.extractors.pretraining.encoder import Encoder
from headstart.extractors.pretraining.recipe import Recipe

_PATCHES = 8  # a side


class Answered(NamedTuple):
    """Answers to a batch.

    Attributes
    ----------
    loss : torch.Tensor
        Mean of the batch.
    trivial : float
        Loss of the best answer that looks at nothing.
    right : float or None
        Share of right answers, where there are such.
    """

    loss: torch.Tensor
    trivial: float
    right: float | None


class Task(ABC):
    """A task on normalised images.

    Parameters
    ----------
    recipe : Recipe
    mean, std : float tensors (3,)
        With which images are normalised.
    """

    def __init__(self, recipe: Recipe, mean: torch.Tensor, std: torch.Tensor) -> None:
        self.recipe, self.mean, self.std = recipe, mean[:, None, None], std[:, None, None]

    @abstractmethod
    def make_decoder(self, encoder: Encoder) -> nn.Module:
        """Make the part that is thrown away, with random weights."""

    @abstractmethod
    def ask(self, encoder: Encoder, decoder: nn.Module, images: torch.Tensor, generator: torch.Generator) -> Answered:
        """Do something to images (n_images, 3, H, W), and compare the answer with what was there."""


class Rotation(Task):
    """Tell by which quarter turn an image was turned; each image is seen in all four, so that no turn is rarer."""

    def make_decoder(self, encoder: Encoder) -> nn.Module:
        """Make a linear classifier of four turns."""
        return nn.Linear(encoder.n_features, TURNS)

    def ask(self, encoder: Encoder, decoder: nn.Module, images: torch.Tensor, generator: torch.Generator) -> Answered:  # noqa: ARG002 - all turns are seen, none is drawn
        """Return the cross-entropy in nats; guessing has ln 4."""
        turns = torch.arange(TURNS, device=images.device).repeat_interleave(len(images))
        logits = decoder(encoder.features(torch.cat([torch.rot90(images, turn, (2, 3)) for turn in range(TURNS)])))
        right = (logits.detach().argmax(dim=1) == turns).float().mean()
        return Answered(functional.cross_entropy(logits, turns), float(torch.tensor(TURNS).log()), float(right))


class _Painting(Task):
    """A task whose answer is an image; the loss is in variances of all pixels around the mean image."""

    def __init__(
        self, recipe: Recipe, mean: torch.Tensor, std: torch.Tensor, mean_image: torch.Tensor, spread: float
    ) -> None:
        super().__init__(recipe, mean, std)
        self.mean_image, self.spread = mean_image, spread

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.mean_image.shape[1:]
        return int(height), int(width)

    def make_decoder(self, encoder: Encoder) -> nn.Module:
        """Make a network that paints."""
        return Painter(encoder.n_features, self.size)

    def to_paint(self, images: torch.Tensor) -> torch.Tensor:
        """Return the distance of images from the mean image in standard deviations, which is to be painted."""
        plain = functional.adaptive_avg_pool2d(images * self.std + self.mean, self.size)
        return (plain - self.mean_image) / self.spread


class Masked(_Painting):
    """Paint the patches of an image that were hidden, from those that were not."""

    def ask(self, encoder: Encoder, decoder: nn.Module, images: torch.Tensor, generator: torch.Generator) -> Answered:
        """Return the mean square over hidden pixels; the mean image has the trivial one."""
        order = torch.rand(len(images), _PATCHES**2, generator=generator).argsort(dim=1)
        hidden = order < max(1, round(self.recipe.hidden * _PATCHES**2))
        patches = hidden.float().view(-1, 1, _PATCHES, _PATCHES).to(images.device)
        seen = images * (1 - functional.interpolate(patches, images.shape[2:]))
        asked = functional.interpolate(patches, self.size)
        truth = self.to_paint(images)
        square = asked * (decoder(encoder.features(seen)) - truth) ** 2
        n_asked = asked.sum() * truth.shape[1]
        return Answered(square.sum() / n_asked, float((asked * truth**2).sum() / n_asked), None)


class Denoise(_Painting):
    """Paint an image without the noise that was laid over it."""

    def ask(self, encoder: Encoder, decoder: nn.Module, images: torch.Tensor, generator: torch.Generator) -> Answered:
        """Return the mean square over all pixels; trivial is the mean image, or the noisy one where that is nearer."""
        noise = self.recipe.noise * torch.randn(images.shape, generator=generator).to(images.device)
        truth, noisy = self.to_paint(images), images + noise / self.std
        painted = decoder(encoder.features(noisy))
        trivial = min(float((truth**2).mean()), float(((self.to_paint(noisy) - truth) ** 2).mean()))
        return Answered(((painted - truth) ** 2).mean(), trivial, None)


def painted_size(height: int, width: int) -> tuple[int, int]:
    """Return the size at which images are painted: their own, up to a limit."""
    return min(height, LARGEST_SIDE), min(width, LARGEST_SIDE)
