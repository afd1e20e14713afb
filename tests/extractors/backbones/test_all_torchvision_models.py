"""Every classification model of torchvision: its feature size, and finite features from random input."""

import contextlib
import functools
import re
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from torch import nn
from torchvision import models

from headstart.extractors.backbones import torchvision_models
from headstart.extractors.backbones.backbone import Backbone
from headstart.extractors.backbones.stock import stock_model
from headstart.extractors.backbones.strict_loading import strip_prefixes
from headstart.extractors.backbones.torchvision_models import find_head
from headstart.extractors.backbones.torchvision_table import TABLE, architectures, default_weights
from headstart.extractors.network import Tail, cut_before
from headstart.extractors.network.taps import Tap, TapReader
from headstart.extractors.spec import Preprocessing

# Bytes and time go with the parameters; above this a model runs on the meta device, where only shapes are computed.
GIANT = 50_000_000
# These take images of one size only.
FIXED_SIZE = ("vit_", "maxvit_")
N_SAMPLES = 2
# More than most layers have; a prime, so that none repeats them row by row.
DRAWN = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0))
DRAWING = {"constant_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_", "trunc_normal_", "uniform_"} | {
    "zeros_"
}


@contextlib.contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Build modules without memory for, or time on, their initial weights; buffers stay real.

    `torch.device("meta")` around the builders does not do: regnet's and swin's compute with tensors while they build.
    """
    register = nn.Module.register_parameter

    def on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        register(module, name, None if parameter is None else nn.Parameter(parameter.to("meta"), requires_grad=False))

    def keep(parameter: nn.Parameter, *_: Any, **__: Any) -> nn.Parameter:
        return parameter

    with (
        mock.patch.object(nn.Module, "register_parameter", on_meta),
        mock.patch.multiple(nn.init, **dict.fromkeys(DRAWING, keep)),
    ):
        yield


@functools.cache
def build(architecture: str) -> Backbone:
    """Build what `load_backbone(architecture, weights="none")` does, without real weights in it."""
    with (
        parameters_on_meta(),
        mock.patch.object(torchvision_models, "sha256_of_state", return_value="unknown"),
        mock.patch.object(torchvision_models, "freeze", lambda module: module.eval()),
    ):
        return torchvision_models.load_torchvision(architecture, weights="none", seed=0)


def fill(module: nn.Module) -> None:
    """Give parameters small random values: a scale of 1/√fan-in for matrices, ones for a norm's weights."""
    for layer in module.modules():
        for name, parameter in list(layer.named_parameters(recurse=False)):
            values = torch.ones(parameter.shape) if name == "weight" else torch.zeros(parameter.shape)
            if parameter.ndim > 1:
                n_values = parameter.numel()
                values = DRAWN.repeat(-(-n_values // len(DRAWN)))[:n_values].reshape(parameter.shape)
                values = values * parameter[0].numel() ** -0.5
            layer.register_parameter(name, nn.Parameter(values, requires_grad=False))


@pytest.mark.parametrize("architecture", architectures())
def test_features_are_what_the_models_own_head_takes(architecture):
    backbone = build(architecture)
    giant = default_weights(architecture).meta["num_params"] > GIANT
    if giant:
        backbone.module.to("meta")
    else:
        fill(backbone.module)
    fixed = giant or architecture.startswith(FIXED_SIZE)
    size = backbone.preprocessing.crop if fixed else (80, 80)
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(N_SAMPLES if not giant else 1, 3, *size, generator=generator)

    with torch.inference_mode(), TapReader(backbone, [Tap()]) as read:
        features = read(images.to("meta") if giant else images)["penultimate"]

    head = backbone.module.get_submodule(backbone.head)
    head_input = head.in_channels if isinstance(head, nn.Conv2d) else head.in_features
    assert features.shape == (len(images), head_input)
    assert TABLE[architecture] == (backbone.head, head_input)
    if not giant:
        assert features.isfinite().all()
        assert not torch.equal(features[0], features[1])
    backbone.module.to("meta")  # names and shapes are all that the other tests look at


@functools.cache
def skeleton(architecture: str) -> nn.Module:
    """A stock model for its names and shapes alone."""
    if architecture not in {"googlenet", "inception_v3"}:  # whose auxiliary classifiers no backbone has
        return build(architecture).module
    with parameters_on_meta():
        return models.get_model(architecture, weights=None, init_weights=False).eval()


@pytest.mark.parametrize("architecture", architectures())
def test_the_head_in_the_table_is_the_last_layer_with_an_output_per_class(architecture):
    assert find_head(skeleton(architecture), 1000) == TABLE[architecture][0]


@pytest.mark.parametrize("architecture", architectures())
def test_no_models_own_names_are_taken_for_a_wrappers(architecture):
    state = skeleton(architecture).state_dict()
    assert strip_prefixes(state) is state


@pytest.mark.parametrize("architecture", architectures())
def test_the_stock_model_takes_a_backbone_with_a_new_classifier_strictly(architecture):
    backbone = build(architecture)
    with parameters_on_meta():
        stock = stock_model(backbone, 7).module
        tail = Tail(architecture, layer="", module=backbone.module, blocks=(backbone.head,), takes=())
        whole = tail.with_classes(7).module
    assert {name: values.shape for name, values in whole.state_dict().items()} == {
        name: values.shape for name, values in stock.state_dict().items()
    }


def test_the_table_lacks_no_model_of_the_installed_torchvision():
    assert set(models.list_models(module=models)) == set(TABLE)


# By the beginning of the name: a last stage that can be trained, and the layer whose maps that takes.
LAST_STAGES = {
    "alexnet": ("features.10", "features.9"),
    "convnext": ("features.7", "features.6"),
    "densenet": ("features.denseblock4", "features.transition3"),
    "efficientnet": ("features.7", "features.6"),
    "googlenet": ("inception5a", "maxpool4"),
    "inception": ("Mixed_7a", "Mixed_6e"),
    "maxvit": ("blocks.3", "blocks.2"),
    "mnasnet": ("layers.13", "layers.12"),
    "mobilenet_v2": ("features.16", "features.15"),
    "mobilenet_v3": ("features.10", "features.9"),
    "regnet": ("trunk_output.block4", "trunk_output.block3"),
    "resne": ("layer4", "layer3"),
    "shufflenet": ("stage4", "stage3"),
    "squeezenet": ("features.11", "features.10"),
    "swin": ("features.7", "features.6"),
    "vgg": ("classifier", "avgpool"),
    "vit": ("encoder.layers.encoder_layer_11", "encoder.layers.encoder_layer_10"),
    "wide_resnet": ("layer4", "layer3"),
}
# Deeper or wider, and of the same code as the smallest of their family: to run them all takes as long as the rest.
LARGER_SIBLINGS = re.compile(
    r"densenet1[^2]|densenet201|efficientnet_(b[2-7]|v2_[ml])|swin_(v2_)?[sb]$|convnext_[^t]|.*(101|152)|regnet_._.*\dgf|"
    r"vit_[hl]|vgg1[3-9]_bn|resnet34|mnasnet(0_7|1)"
)


@pytest.mark.parametrize("architecture", [name for name in architectures() if not LARGER_SIBLINGS.match(name)])
def test_each_family_can_be_cut_before_its_last_stage(architecture):
    start, tapped = max((family, pair) for family, pair in LAST_STAGES.items() if architecture.startswith(family))[1]
    module, size = skeleton(architecture).to("meta"), 224 if architecture.startswith(FIXED_SIZE) else 96
    backbone = Backbone(
        name=f"torchvision/{architecture}",
        weights="none",
        weights_name="none",
        module=module,
        preprocessing=Preprocessing(resize=size, crop=(size, size)),
        head=TABLE[architecture][0],
    )
    tail = cut_before(backbone, start)
    assert tail.layer == tapped
    assert tail.head == backbone.head
    assert tail.with_classes(3).module.get_submodule(tail.head).weight.shape[:2] == (3, TABLE[architecture][1])
