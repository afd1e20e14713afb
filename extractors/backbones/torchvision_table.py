"""torchvision's classification models as data: each one's classifier and feature size, known without building it."""

from collections.abc import Mapping
from functools import cache
from math import isnan
from typing import Any, Final

import torch

from headstart.extractors.backbones.backbone import BackboneInfo
from headstart.extractors.backbones.weights import published_file

# Name of the classifier → length of its input → architectures; a test compares it with every model torchvision has.
_FAMILIES: Final[dict[str, dict[int, tuple[str, ...]]]] = {
    "fc": {
        400: ("regnet_x_400mf",),
        440: ("regnet_y_400mf",),
        512: ("resnet18", "resnet34"),
        672: ("regnet_x_800mf",),
        784: ("regnet_y_800mf",),
        888: ("regnet_y_1_6gf",),
        912: ("regnet_x_1_6gf",),
        1008: ("regnet_x_3_2gf",),
        1024: ("googlenet", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5"),
        1512: ("regnet_y_3_2gf",),
        1920: ("regnet_x_8gf",),
        2016: ("regnet_y_8gf",),
        2048: (
            *("inception_v3", "regnet_x_16gf", "resnet50", "resnet101", "resnet152", "resnext50_32x4d"),
            *("resnext101_32x8d", "resnext101_64x4d", "shufflenet_v2_x2_0", "wide_resnet50_2", "wide_resnet101_2"),
        ),
        2520: ("regnet_x_32gf",),
        3024: ("regnet_y_16gf",),
        3712: ("regnet_y_32gf",),
        7392: ("regnet_y_128gf",),
    },
    "classifier": {1024: ("densenet121",), 1664: ("densenet169",), 1920: ("densenet201",), 2208: ("densenet161",)},
    "classifier.1": {
        512: ("squeezenet1_0", "squeezenet1_1"),
        1280: (
            *("efficientnet_b0", "efficientnet_b1", "efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l"),
            *("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3", "mobilenet_v2"),
        ),
        1408: ("efficientnet_b2",),
        1536: ("efficientnet_b3",),
        1792: ("efficientnet_b4",),
        2048: ("efficientnet_b5",),
        2304: ("efficientnet_b6",),
        2560: ("efficientnet_b7",),
    },
    "classifier.2": {768: ("convnext_tiny", "convnext_small"), 1024: ("convnext_base",), 1536: ("convnext_large",)},
    "classifier.3": {1024: ("mobilenet_v3_small",), 1280: ("mobilenet_v3_large",)},
    "classifier.5": {512: ("maxvit_t",)},
    "classifier.6": {
        4096: ("alexnet", *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn"))),
    },
    "head": {768: ("swin_t", "swin_s", "swin_v2_t", "swin_v2_s"), 1024: ("swin_b", "swin_v2_b")},
    "heads.head": {768: ("vit_b_16", "vit_b_32"), 1024: ("vit_l_16", "vit_l_32"), 1280: ("vit_h_14",)},
}

TABLE: Final[dict[str, tuple[str, int]]] = {
    architecture: (head, feature_size)
    for head, sizes in _FAMILIES.items()
    for feature_size, architectures in sizes.items()
    for architecture in architectures
}

# Published counts include a classifier of this many classes.
_IMAGENET_CLASSES = 1000


@cache
def architectures() -> tuple[str, ...]:
    """Return the names of all classification models that the installed torchvision has, sorted."""
    models = _torchvision_models()
    return tuple(sorted(models.list_models(module=models)))


def published_weights(architecture: str) -> dict[str, Any]:
    """Return the members of a model's weights enum by name, the first published first."""
    return {member.name: member for member in _torchvision_models().get_model_weights(architecture)}


def default_weights(architecture: str) -> Any:
    """Return the member of a model's weights enum that torchvision calls DEFAULT."""
    return _torchvision_models().get_model_weights(architecture).DEFAULT


def _torchvision_models() -> Any:
    from torchvision import models  # noqa: PLC0415 - takes longer than torch itself, and is not needed by all backbones

    return models


def describe(architecture: str) -> BackboneInfo:
    """Return the published facts about a model with its default weights, without building it."""
    member = default_weights(architecture)
    top1 = member.meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1")
    crop = member.transforms().crop_size
    return BackboneInfo(
        name=f"torchvision/{architecture}",
        source="torchvision",
        parameters=member.meta.get("num_params"),
        gflops=member.meta.get("_ops"),
        feature_size=TABLE[architecture][1] if architecture in TABLE else None,
        input_size=(crop[0], crop[-1]),
        top1=None if top1 is None or isnan(top1) else top1,
        weights_on_disk=published_file(member).exists(),
    )


def guess_architecture(state: Mapping[str, torch.Tensor]) -> str | None:
    """Return the model whose classifier (name and width) and number of parameters a state dict has, or None."""
    found = sum(tensor.numel() for name, tensor in state.items() if _is_parameter(name, tensor))
    for architecture in architectures():
        head, feature_size = TABLE.get(architecture, ("", 0))
        weight = state.get(f"{head}.weight")
        if weight is None or weight.ndim < 2 or weight.shape[1] != feature_size:
            continue
        own_classifier = len(weight) * (feature_size + 1)
        published_classifier = _IMAGENET_CLASSES * (feature_size + 1)
        for member in published_weights(architecture).values():
            if found - own_classifier == member.meta.get("num_params", 0) - published_classifier:
                return f"torchvision/{architecture}"
    return None


def _is_parameter(name: str, tensor: torch.Tensor) -> bool:
    """Leave out the buffers that torchvision's models save: batch norm's statistics and Swin's position tables."""
    buffers = ("running_mean", "running_var", "relative_coords_table")
    return tensor.is_floating_point() and not name.endswith(buffers)
