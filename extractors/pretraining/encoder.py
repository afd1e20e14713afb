"""Encoder: a backbone without its classifier and without weights of anybody's, to be trained from the beginning."""

import tempfile
from dataclasses import dataclass

import torch
from safetensors.torch import save
from torch import nn

from headstart.extractors.backbones import Backbone, load_backbone
from headstart.extractors.errors import BackboneError


@dataclass(frozen=True)
class Encoder:
    """A network that puts out the penultimate features of its backbone.

    Attributes
    ----------
    backbone : Backbone
        Name and preprocessing; its module is trained in place.
    module : torch.nn.Module
        The same: nothing stands in the classifier's place.
    n_features : int
    """

    backbone: Backbone
    module: nn.Module
    n_features: int

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n_images, n_features) for normalised images (n_images, 3, H, W)."""
        out: torch.Tensor = self.module(images)
        return out.flatten(1)

    def as_file(self) -> bytes:
        """Return the weights as a safetensors file, by the names of the backbone and without its classifier's."""
        return _as_file(self.backbone.name, self.module)


def make_encoder(name: str, *, seed: int, image_size: int | None = None) -> Encoder:
    """Make an encoder with random weights, ready to be trained.

    Parameters
    ----------
    name : str
        As `load_backbone` takes it.
    seed : int
    image_size : int, optional
        Pixels a side, in place of those that the backbone is published for.

    Raises
    ------
    BackboneError
        There is no such backbone, it takes no images of this size, or it has nothing to learn.
    """
    drawn = load_backbone(name, weights="none", seed=seed, image_size=image_size)
    if not drawn.module.state_dict():
        raise BackboneError(f"{drawn.name} has no weights, so there is nothing to learn; name a network (small_cnn)")
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        # Read back as any file of weights: what it learns with is what it will be used with.
        file.write(_as_file(drawn.name, drawn.module, without=drawn.head))
        file.flush()
        backbone = load_backbone(name, weights=file.name, image_size=image_size)
    with torch.no_grad():
        n_features = backbone.module(torch.zeros(1, 3, *backbone.preprocessing.crop)).flatten(1).shape[1]
    return Encoder(backbone, backbone.module.requires_grad_(requires_grad=True), int(n_features))


def _as_file(name: str, module: nn.Module, without: str | None = None) -> bytes:
    state = {
        part: values.detach().cpu().contiguous()
        for part, values in module.state_dict().items()
        if not (without and part.startswith(f"{without}."))
    }
    return save(state, metadata={"backbone": name})
