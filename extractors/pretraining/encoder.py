"""Encoder: a backbone without its classifier and without weights of anybody's, to be trained from the beginning."""

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
        The same, with nothing in the classifier's place.
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
        state = {name: values.detach().cpu().contiguous() for name, values in self.module.state_dict().items()}
        return save(state, metadata={"backbone": self.backbone.name})


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
    backbone = load_backbone(name, weights="none", seed=seed, image_size=image_size)
    module = backbone.module
    if not any(True for _ in module.parameters()):
        raise BackboneError(f"{backbone.name} has no weights, so there is nothing to learn; name a network (small_cnn)")
    if hasattr(module, "transform_input"):  # as torchvision's two are built where their weights come from a file
        module.transform_input = True  # type: ignore[assignment]  # torch takes every attribute for a layer
    if backbone.head:
        parent, _, leaf = backbone.head.rpartition(".")
        setattr(module.get_submodule(parent), leaf, nn.Identity())
    with torch.no_grad():
        n_features = module(torch.zeros(1, 3, *backbone.preprocessing.crop)).flatten(1).shape[1]
    return Encoder(backbone, module.requires_grad_(requires_grad=True), int(n_features))
