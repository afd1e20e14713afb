"""One registry over torchvision, timm, Headstart's own and your own: a name and weights give a frozen backbone."""

import difflib
import fnmatch
from dataclasses import replace

import torch

from headstart.extractors.backbones import timm_list, timm_models
from headstart.extractors.backbones.aliases import ALIASES, aliases_like, canonical_name
from headstart.extractors.backbones.backbone import Backbone, BackboneInfo
from headstart.extractors.backbones.own_models import OWN, describe_own, load_callable, load_own
from headstart.extractors.backbones.torchvision_table import TABLE, architectures, describe
from headstart.extractors.errors import BackboneError

_OPEN_CLIP = "open_clip/"

__all__ = ["Backbone", "BackboneInfo", "list_backbones", "load_backbone", "resolve_backbone"]


def load_backbone(name: str, *, weights: str = "default", seed: int = 0, image_size: int | None = None) -> Backbone:
    """Build a backbone, load its weights strictly, and freeze it.

    Parameters
    ----------
    name : str
        An alias such as "dinov2-small", or "torchvision/resnet50", "timm/vit_tiny_patch16_224",
        "headstart/small_cnn", or "mypackage.models:build" for a
        callable of yours. Without a source, torchvision's names come before Headstart's own.
    weights : str
        "default"; a member of torchvision's weights enum such as "IMAGENET1K_V1"; the path of a `.safetensors`, `.pth`
        or `.pt` file; or "none" for random weights.
    seed : int
        Of the random weights.
    image_size : int, optional
        Pixels a side, in place of those of the weights; positions of a ViT are interpolated.

    Returns
    -------
    Backbone
        On the CPU, in float32, in evaluation mode, without gradients.

    Raises
    ------
    BackboneError
        No backbone has this name, it cannot be built, or it takes no images of this size.
    WeightsError
        The weights cannot be had, are damaged, or belong to another architecture.
    """
    loaded = _loaded(name, weights, seed, image_size)
    return loaded if image_size is None else _for_size(loaded, image_size)


def _loaded(name: str, weights: str, seed: int, image_size: int | None) -> Backbone:
    source, architecture = resolve_backbone(name)
    if source == "torchvision":
        from headstart.extractors.backbones.torchvision_models import (  # noqa: PLC0415 - takes longer to import than torch
            load_torchvision,
        )

        return load_torchvision(architecture, weights=weights, seed=seed, image_size=image_size)
    if source == "timm":
        return timm_models.load_timm(architecture, weights=weights, seed=seed, image_size=image_size)
    if source == "open_clip":
        from headstart.extractors.backbones.clip import load_image_tower  # noqa: PLC0415 - where it is installed

        return load_image_tower(architecture, weights=weights, seed=seed)
    if source == "headstart":
        return load_own(architecture, weights=weights, seed=seed)
    return load_callable(name, weights=weights, seed=seed)


def _for_size(backbone: Backbone, image_size: int) -> Backbone:
    """Return a backbone that gets images of this size, once it has taken a black one."""
    try:
        with torch.no_grad():
            backbone.module(torch.zeros(1, 3, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise BackboneError(
            f"{backbone.name}: takes no images of {image_size} pixels a side ({error}); give another --image-size, "
            f"such as its own {min(backbone.preprocessing.crop)}"
        ) from error
    return replace(backbone, preprocessing=backbone.preprocessing.resized(image_size))


def list_backbones(pattern: str = "*") -> list[BackboneInfo]:
    """Describe the backbones whose name matches, without building or fetching any.

    Parameters
    ----------
    pattern : str
        With `*` and `?`, against the name with or without its source; without either, any name that contains it, or an
        alias. timm's thousand are listed where no other name matches, or by a pattern that begins with "timm/".

    Returns
    -------
    list of BackboneInfo
        By published accuracy, the best first; those without one after them, by name.

    Raises
    ------
    BackboneError
        `pattern` asks for timm's models, and timm is not installed.
    """
    word = canonical_name(pattern)
    if not any(wildcard in word for wildcard in "*?["):
        pattern = f"{word}*" if word.startswith("timm/") else f"*{word}*"
    if pattern.startswith("timm/"):
        found = timm_list.list_timm(pattern.removeprefix("timm/"))
    elif matching := [name for name in _canonical_names() if _matches(name, pattern)]:
        found = [_describe(*name.split("/", 1)) for name in matching]
    else:
        found = timm_list.search_timm(pattern, also=aliases_like(word))
    return sorted(found, key=lambda row: -(row.top1 or 0.0))


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name.partition("/")[2], pattern)


def _describe(source: str, architecture: str) -> BackboneInfo:
    return describe(architecture) if source == "torchvision" else describe_own(architecture)


def _canonical_names() -> list[str]:
    return [*(f"torchvision/{name}" for name in architectures()), *(f"headstart/{name}" for name in OWN)]


def resolve_backbone(name: str) -> tuple[str, str]:
    """Return the source and the architecture that a name stands for.

    Sources are "torchvision", "timm", "open_clip", "headstart" and "callable".

    Raises
    ------
    BackboneError
        No backbone has this name; the message names the nearest ones.
    """
    name = canonical_name(name)
    if name.startswith("timm/"):
        return "timm", name.removeprefix("timm/")
    if name.startswith(_OPEN_CLIP):
        return "open_clip", name.removeprefix(_OPEN_CLIP)
    if name.removeprefix("torchvision/") in TABLE:
        return "torchvision", name.removeprefix("torchvision/")
    if name.removeprefix("headstart/") in OWN:  # known without asking torchvision, which takes seconds to import
        return "headstart", name.removeprefix("headstart/")
    for canonical in _canonical_names():
        source, _, architecture = canonical.partition("/")
        if name in {canonical, architecture}:
            return source, architecture
    if ":" in name:
        return "callable", name
    raise BackboneError(_unknown(name))


def _unknown(name: str) -> str:
    known = _canonical_names()
    bare = {canonical.partition("/")[2]: canonical for canonical in known}
    nearest = [
        *difflib.get_close_matches(name, known, n=3),
        *(bare[match] for match in difflib.get_close_matches(name, bare, n=3)),
        *difflib.get_close_matches(name, ALIASES, n=3),
    ]
    hint = f" Nearest: {', '.join(dict.fromkeys(nearest))}." if nearest else ""
    return (
        f"no backbone is called {name!r}.{hint} 'headstart backbones' lists them; timm's models are written timm/NAME, "
        "open_clip's open_clip/NAME, a callable of yours MODULE:CALLABLE"
    )
