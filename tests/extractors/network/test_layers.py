"""The layers that can be tapped are named, with the shape of what they put out and the poolings that go with it."""

from dataclasses import replace

import pytest
import torch

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.network.layers import list_layers
from headstart.extractors.network.taps import Tap, feature_sizes


@pytest.fixture(scope="module")
def resnet():
    return load_backbone("resnet18", weights="none", image_size=64)


def test_stages_and_blocks_are_named_from_the_first_to_the_last_and_blocks_stay_closed(resnet):
    names = [layer.name for layer in list_layers(resnet)]
    assert names[:3] == ["penultimate", "conv1", "bn1"]
    assert [name for name in names if name.startswith("layer2")] == ["layer2", "layer2.0", "layer2.1"]
    assert names[-2:] == ["avgpool", "fc"]


def test_every_layer_and_pooling_can_be_tapped_and_gives_what_is_promised(resnet):
    layers = list_layers(resnet)
    taps = {Tap(layer.name, pooling): size for layer in layers for pooling, size in layer.features.items()}
    assert len(taps) > 20
    assert feature_sizes(resnet, list(taps)) == {str(tap): (size,) for tap, size in taps.items()}
    (stage,) = [layer for layer in layers if layer.name == "layer3"]
    assert (stage.shape, stage.features) == ([256, 4, 4], {"auto": 256, "avg": 256, "max": 256, "flatten": 4096})


def test_tokens_have_the_poolings_of_tokens():
    pytest.importorskip("timm")
    backbone = load_backbone("timm/test_vit", weights="none")
    block = next(layer for layer in list_layers(backbone) if layer.name == "blocks.0")
    assert (len(block.shape), set(block.features)) == (2, {"auto", "avg", "max", "cls", "flatten"})


def test_what_has_no_row_for_each_image_or_is_never_called_is_left_out():
    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.spare = torch.nn.Linear(1, 1)
            self.windows = torch.nn.Identity()

        def forward(self, images):
            return self.windows(images.reshape(-1, 6)).reshape(len(images), -1)

    backbone = replace(load_backbone("pixels"), module=Odd())
    assert [layer.name for layer in list_layers(backbone)] == ["penultimate"]
