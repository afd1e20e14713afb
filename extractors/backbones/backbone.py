"""A backbone: a frozen module with everything that is needed to read features out of it."""

from dataclasses import dataclass

import torch

from headstart.extractors.errors import BackboneError
from headstart.extractors.spec import Preprocessing


@dataclass(frozen=True)
class Backbone:
    """A frozen network, its own preprocessing, and where its features are found.

    Parameters
    ----------
    name : str
        Canonical: "torchvision/resnet50", "timm/vit_tiny_patch16_224", "headstart/small_cnn", "mypackage.models:build".
    weights : str
        What the cache key records: "sha256:<hex of the checkpoint file>"; "state-sha256:<hex over the state dict>"
        where there is no single file; "random:<hex over the state dict>"; or "none" for a backbone without parameters.
        A callable of yours adds "+code-sha256:<hex>", over the source of its modules.
    weights_name : str
        The same for people: "IMAGENET1K_V2", "resnet50-fine.pth", "none (random, seed 0)".
    module : torch.nn.Module
        In evaluation mode, without gradients, on the CPU, in float32; takes (n_images, 3, H, W) normalised images.
    preprocessing : Preprocessing
        What the weights were trained with.
    head : str or None
        Dotted name of the final classifier, whose input is the penultimate tap; None where the module's own output is.
    channels_last : bool
        Blocks put out (n_images, H, W, C), like Swin's, instead of (n_images, C, H, W).
    prefix_tokens : int
        How many class and register tokens stand before the image's own in (n_images, n_tokens, d) outputs.
    class_token : bool
        The first prefix token is a class token. False for a ViT that has registers only.
    notes : tuple of str
        What a person should know of how a file's weights were read.
    """

    name: str
    weights: str
    weights_name: str
    module: torch.nn.Module
    preprocessing: Preprocessing
    head: str | None
    channels_last: bool = False
    prefix_tokens: int = 0
    class_token: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BackboneInfo:
    """One row of `headstart backbones`; None stands where a value is not known without building the model.

    Parameters
    ----------
    name, source : str
        The canonical name, and "torchvision", "timm" or "headstart".
    parameters : int or None
        As published with the default weights, the classifier included.
    gflops : float or None
        10⁹ multiply-adds for one image of `input_size`, as published with the default weights.
    feature_size : int or None
        Length of the penultimate features.
    input_size : (int, int)
        (height, width) in pixels of the default weights' crop.
    top1 : float or None
        Published accuracy on ImageNet-1K's validation images, in per cent.
    weights_on_disk : bool
        The default weights need no download; also true where there is nothing to download.
    """

    name: str
    source: str
    parameters: int | None
    gflops: float | None
    feature_size: int | None
    input_size: tuple[int, int]
    top1: float | None
    weights_on_disk: bool


def freeze(module: torch.nn.Module) -> torch.nn.Module:
    """Bring `module` to the CPU, float32 and evaluation mode, without gradients: the one place where this happens."""
    return module.to("cpu", torch.float32).eval().requires_grad_(requires_grad=False)


def refuse_part_patches(name: str, image_size: int | None, patch: int) -> None:
    """Refuse a size that patches do not fill: what is left over would not be seen.

    Raises
    ------
    BackboneError
        It is no multiple of the patch.
    """
    if image_size is not None and image_size % patch:
        below = image_size // patch * patch
        raise BackboneError(
            f"{name}: sees images in patches of {patch} pixels, and {image_size} is no multiple of that; "
            f"give --image-size {below or patch} or {below + patch}"
        )
