"""Backbones from torchvision: any of its classification models, with published weights, own weights or random ones."""

import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models
from torchvision.models.vision_transformer import interpolate_embeddings

from headstart.extractors.backbones.backbone import Backbone, freeze, refuse_part_patches
from headstart.extractors.backbones.fitting_entry import find_entry
from headstart.extractors.backbones.strict_loading import load_strictly
from headstart.extractors.backbones.torchvision_table import TABLE, default_weights, published_weights
from headstart.extractors.backbones.weights import (
    Checkpoint,
    published_file,
    read_checkpoint,
    read_published,
    sha256_of_state,
    unknown_weights,
)
from headstart.extractors.errors import BackboneError
from headstart.extractors.spec import Preprocessing, is_file_argument

# Their auxiliary classifiers only help training, and are left out whether a checkpoint has them or not.
_AUXILIARY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}
_IMAGENET_CLASSES = 1000
# A ViT's, whose shape goes with the size of the images.
_POSITIONS = re.compile(r"encoder\.pos_embedding")


def load_torchvision(architecture: str, *, weights: str, seed: int, image_size: int | None = None) -> Backbone:
    """Build a torchvision model and load its weights.

    Parameters
    ----------
    architecture : str
        As in `torchvision.models`, such as "resnet50".
    weights : str
        "default", a member of the model's weights enum, "none", or the path of a file.
    seed : int
        Of the random weights; used with "none" only.
    image_size : int, optional
        Pixels a side for which a ViT is built, in place of those of its weights.

    Raises
    ------
    BackboneError
        A ViT's patches do not fill images of this size.
    WeightsError
        The weights are unknown, cannot be had, or are for another architecture.
    """
    name = f"torchvision/{architecture}"
    published = published_weights(architecture)
    if architecture.startswith("vit_"):
        refuse_part_patches(name, image_size, int(architecture.rpartition("_")[2]))
    if weights == "none":
        return _random(architecture, seed, image_size)
    if weights == "default" or weights in published:
        member = default_weights(architecture) if weights == "default" else published[weights]
        return _from_checkpoint(architecture, read_published(member, name), member, member.name, image_size)
    if is_file_argument(weights):
        path = Path(weights)
        checkpoint = read_checkpoint(path)
        return _from_checkpoint(architecture, checkpoint, None, path.name, image_size)
    raise unknown_weights(name, weights, published)


def find_head(module: nn.Module, n_classes: int) -> str:
    """Return the name of the last linear layer or convolution with `n_classes` outputs, for models not in the table.

    Raises
    ------
    BackboneError
        There is none.
    """
    for name, layer in reversed(list(module.named_modules())):
        outputs = getattr(layer, "out_features", getattr(layer, "out_channels", None))
        if isinstance(layer, nn.Linear | nn.Conv2d) and outputs == n_classes:
            return str(name)
    raise BackboneError(
        f"{type(module).__name__}: found no linear layer or convolution with {n_classes} outputs, so the penultimate "
        "features cannot be told; wrap the model in a callable and give its name as MODULE:CALLABLE"
    )


def _random(architecture: str, seed: int, image_size: int | None) -> Backbone:
    member = default_weights(architecture)
    module = _build(architecture, image_size or _image_size(member), seed=seed)
    digest = f"random:{sha256_of_state(module.state_dict())}"
    return _backbone(architecture, module, digest, f"none (random, seed {seed})", _preprocessing(member))


def _from_checkpoint(
    architecture: str, checkpoint: Checkpoint, member: Any, weights_name: str, asked_size: int | None
) -> Backbone:
    """Build a model for a checkpoint; `member` is None where that is a file, which may be of any size of image."""
    name = f"torchvision/{architecture}"
    built = _image_size(member or default_weights(architecture))
    module = _build(architecture, built)
    head = TABLE[architecture][0] if architecture in TABLE else find_head(module, _IMAGENET_CLASSES)
    entry = find_entry(checkpoint, module, head, renamed=partial(_renamed, architecture), free=_POSITIONS)
    member = member or _recipe(architecture, weights_name, entry.state)
    image_size = _image_size_of(architecture, entry.state) or _image_size(member)
    state, resampled = entry.state, asked_size not in (None, image_size) and architecture.startswith("vit_")
    if asked_size is not None and resampled:
        patch = int(architecture.rpartition("_")[2])
        state = interpolate_embeddings(asked_size, patch, OrderedDict(state)) if entry.fits else state
        module = _build(architecture, asked_size)
    elif image_size != built and architecture.startswith("vit_"):
        module = _build(architecture, image_size)
    load_strictly(module, state, name=name, checkpoint=checkpoint, head=entry.head)
    # Interpolated numbers go with torchvision's version, so that the file alone would not tell them.
    digest = f"state-sha256:{sha256_of_state(module.state_dict())}" if resampled else checkpoint.digest
    preprocessing, notes = _preprocessing(member), entry.notes
    if architecture.startswith("vit_") and preprocessing.crop != (image_size, image_size):
        # Fine-tuned at a size at which nothing was published: the position embedding admits no other.
        preprocessing = Preprocessing(resize=image_size, crop=(image_size, image_size))
        notes = (*notes, f"{weights_name} takes images of {image_size} pixels a side, and gets them so")
    backbone = _backbone(architecture, module, digest, weights_name, preprocessing)
    return replace(backbone, head=entry.head, notes=notes)


def _backbone(
    architecture: str, module: nn.Module, digest: str, weights_name: str, preprocessing: Preprocessing
) -> Backbone:
    known = TABLE[architecture][0] if architecture in TABLE else None
    return Backbone(
        name=f"torchvision/{architecture}",
        weights=digest,
        weights_name=weights_name,
        module=freeze(module),
        preprocessing=preprocessing,
        head=known or find_head(module, _IMAGENET_CLASSES),
        channels_last=architecture.startswith("swin_"),
        prefix_tokens=1 if architecture.startswith("vit_") else 0,
    )


def _build(architecture: str, image_size: int, *, seed: int | None = None) -> nn.Module:
    """Build a model, leaving the process's random state alone; `seed` is None where a checkpoint follows."""
    options: dict[str, int | bool] = {"num_classes": _IMAGENET_CLASSES}
    if architecture in _AUXILIARY:
        # transform_input turns ImageNet's mean and std into the ones these two were trained with. torchvision sets it
        # with its weights; a state dict does not say. A checkpoint is taken for one of theirs or fine-tuned from one.
        options |= {"aux_logits": False, "init_weights": seed is not None, "transform_input": seed is None}
    if architecture.startswith("vit_"):
        options["image_size"] = image_size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0 if seed is None else seed)
        module: nn.Module = models.get_model(architecture, weights=None, **options)
    return module


def _renamed(architecture: str, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """Leave out auxiliary classifiers, and bring densenet's published names (norm.1) to its modules' (norm1)."""
    if architecture in _AUXILIARY:
        return {name: tensor for name, tensor in state.items() if not name.startswith(_AUXILIARY[architecture])}
    if architecture.startswith("densenet"):
        return {re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", name): tensor for name, tensor in state.items()}
    return state


def _recipe(architecture: str, file_name: str, state: Mapping[str, torch.Tensor]) -> Any:
    """Return the published weights whose preprocessing goes with a file: its namesake, or else the first published.

    A ViT takes the first whose image size is that of the file's position embedding.
    """
    members = list(published_weights(architecture).values())
    size = _image_size_of(architecture, state)
    fitting = [member for member in members if size in {None, _image_size(member)}]
    return next((member for member in members if published_file(member).name == file_name), (fitting or members)[0])


def _image_size(member: Any) -> int:
    """Return the side in pixels of the images that published weights take."""
    return int(member.transforms().crop_size[0])


def _image_size_of(architecture: str, state: Mapping[str, torch.Tensor]) -> int | None:
    """Return the side in pixels for which a ViT's position embedding was made: patches a side times pixels a patch."""
    positions, patches = state.get("encoder.pos_embedding"), state.get("conv_proj.weight")
    if not architecture.startswith("vit_") or positions is None or patches is None:
        return None
    if positions.ndim != 3 or patches.ndim != 4:
        return None
    side: int = math.isqrt(max(positions.shape[1] - 1, 1))  # less the class token
    return side * int(patches.shape[-1])


def _preprocessing(member: Any) -> Preprocessing:
    preset = member.transforms()
    resize, crop = preset.resize_size, preset.crop_size
    return Preprocessing(
        resize=int(resize[0]) if len(resize) == 1 else (int(resize[0]), int(resize[1])),
        crop=(int(crop[0]), int(crop[-1])),
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )
