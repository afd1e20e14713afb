"""The image tower of a network of open_clip, as a backbone: its output is the vector that is compared with texts."""

from typing import Any, get_args

from headstart.extractors.backbones import Backbone
from headstart.extractors.backbones.clip.both_towers import PREFIX, imported_open_clip, load_towers
from headstart.extractors.errors import BackboneError
from headstart.extractors.spec import Interpolation, Preprocessing


def load_image_tower(architecture: str, *, weights: str, seed: int) -> Backbone:
    """Build the image tower; parameters and errors are those of `both_towers.load_towers`."""
    towers, name = load_towers(architecture, weights=weights, seed=seed), f"{PREFIX}{architecture}"
    tower = towers.module.visual
    has_tokens = hasattr(tower, "class_embedding")
    return Backbone(
        name=name,
        weights=towers.weights,
        weights_name=towers.weights_name,
        module=tower,
        preprocessing=_preprocessing(tower, name),
        head=None,
        prefix_tokens=int(has_tokens),
        class_token=has_tokens,
    )


def _preprocessing(tower: Any, name: str) -> Preprocessing:
    open_clip: Any = imported_open_clip()
    config = open_clip.model.get_model_preprocess_cfg(tower)
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    mode, interpolation = config.get("resize_mode", "shortest"), config.get("interpolation", "bicubic")
    if mode not in ("shortest", "squash") or height != width or interpolation not in get_args(Interpolation):
        raise BackboneError(
            f"{name}: resizes by {mode!r} to {height} by {width} pixels with {interpolation!r}, which is not "
            "supported; take another model of open_clip"
        )
    return Preprocessing(
        resize=height if mode == "shortest" else (height, width),
        crop=(height, width),
        interpolation=interpolation,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
