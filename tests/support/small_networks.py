"""Small networks of the families that people fine-tune, with random weights, as backbones for images of 32 pixels."""

import copy
from collections.abc import Callable
from functools import cache

import torch
from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.densenet import DenseNet
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.vision_transformer import VisionTransformer

from headstart.extractors.backbones import Backbone, freeze
from headstart.extractors.spec import Preprocessing

N_CLASSES = 7

# Name → how it is made, its classifier, and a layer from which it can be trained.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "resnet": (lambda: ResNet(BasicBlock, [1, 1, 1, 2], num_classes=N_CLASSES), "fc", "layer4"),
    "mobilenet": (lambda: MobileNetV2(N_CLASSES, width_mult=0.25), "classifier.1", "features.16"),
    "densenet": (
        lambda: DenseNet(8, (2, 2, 2, 2), 16, num_classes=N_CLASSES),
        "classifier",
        "features.denseblock4",
    ),
    "vit": (
        lambda: VisionTransformer(32, 8, 3, 2, 32, 64, num_classes=N_CLASSES),
        "heads.head",
        "encoder.layers.encoder_layer_1",
    ),
    "convnext": (
        lambda: ConvNeXt(
            [CNBlockConfig(16, 32, 1), CNBlockConfig(32, 64, 1), CNBlockConfig(64, None, 2)], num_classes=N_CLASSES
        ),
        "classifier.2",
        "features.5",
    ),
}


def small_backbone(family: str) -> Backbone:
    """Return one of `NETWORKS`, with running statistics and biases that are not what they begin as."""
    return copy.deepcopy(_built(family))


@cache
def _built(family: str) -> Backbone:
    make, head, _ = NETWORKS[family]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = make()
        for name, tensor in module.state_dict().items():
            if name.endswith("running_mean") or (name.endswith("bias") and tensor.ndim == 1):
                tensor.normal_(0, 0.2)
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
        nn.init.normal_(module.get_submodule(head).weight, 0, 0.2)
    return Backbone(
        name=f"small/{family}",
        weights="random:test",
        weights_name="random",
        module=freeze(module),
        preprocessing=Preprocessing(resize=32, crop=(32, 32)),
        head=head,
        prefix_tokens=1 if family == "vit" else 0,
    )


def some_images(n_images: int = 4, seed: int = 0) -> torch.Tensor:
    """Return normalised images (n_images, 3, 32, 32)."""
    return torch.randn(n_images, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
