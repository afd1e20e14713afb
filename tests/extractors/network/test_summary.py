"""A network's summary: outputs, weights and multiply-adds are what arithmetic gives, and what it says of cuts holds."""

from dataclasses import replace

import pytest
import torch
from support.small_networks import NETWORKS, small_backbone

from headstart.extractors.backbones import Backbone
from headstart.extractors.errors import BackboneError
from headstart.extractors.network import LayerRow, cut_before, cut_behind, describe_network, feature_sizes
from headstart.extractors.spec import Preprocessing, Tap


def rows_of(backbone: Backbone, **options: object) -> dict[str, LayerRow]:
    return {row.name: row for row in describe_network(backbone, **options).layers}  # type: ignore[arg-type]  # as named


def test_shapes_weights_and_multiply_adds_are_those_of_the_arithmetic() -> None:
    rows = rows_of(small_backbone("resnet"))
    assert rows["conv1"].shape == [64, 16, 16]
    assert rows["conv1"].parameters == 64 * 3 * 7 * 7
    assert rows["conv1"].multiply_adds == 64 * 3 * 7 * 7 * 16 * 16
    assert rows["fc"].multiply_adds == 512 * 7
    assert rows["layer4"].parameters == rows["layer4.0"].parameters + rows["layer4.1"].parameters
    assert rows["layer4"].multiply_adds == rows["layer4.0"].multiply_adds + rows["layer4.1"].multiply_adds


def test_attention_is_counted_too() -> None:
    tokens, width = 17, 32
    rows = rows_of(small_backbone("vit"))
    projections, products = 4 * tokens * width * width, 2 * tokens * tokens * width
    assert rows["encoder.layers.encoder_layer_0.self_attention"].multiply_adds == projections + products


@pytest.mark.parametrize("family", NETWORKS)
def test_the_whole_is_counted_once_and_what_would_be_trained_is_the_tail(family: str) -> None:
    backbone, layer = small_backbone(family), NETWORKS[family][2]
    found = describe_network(backbone, from_layer=layer)
    tail = cut_before(backbone, layer)
    assert found.parameters == sum(one.numel() for one in backbone.module.parameters())
    assert found.trainable == sum(one.numel() for one in tail.module.parameters())
    assert found.tap == str(tail.tap)
    rows = {row.name: row for row in found.layers}
    assert all(rows[block].trainable for block in tail.blocks)
    assert not any(row.trainable for name, row in rows.items() if name.startswith(("conv1", "features.0", "conv_proj")))


@pytest.mark.parametrize("family", ["resnet", "densenet"])
def test_what_it_says_of_cuts_holds(family: str) -> None:
    backbone = small_backbone(family)
    for name, row in list(rows_of(backbone).items())[::7]:
        for said, cut in ((row.can_cut, cut_behind), (row.can_start, cut_before)):
            if said:
                cut(backbone, name)
                continue
            if cut is cut_before and not row.parameters:  # it has nothing to train, though the next layer has
                continue
            with pytest.raises(BackboneError):
                cut(backbone, name)


def test_the_outline_is_blocks_and_what_holds_them() -> None:
    found = [name for name, row in rows_of(small_backbone("resnet")).items() if row.outline]
    assert found == [
        *("conv1", "bn1", "relu", "maxpool", "layer1", "layer1.0", "layer2", "layer2.0", "layer3", "layer3.0"),
        *("layer4", "layer4.0", "layer4.1", "avgpool", "fc"),
    ]


def test_a_network_that_takes_no_images_of_a_size_is_told() -> None:
    backbone = replace(small_backbone("vit"), preprocessing=Preprocessing(resize=48, crop=(48, 48)))
    with pytest.raises(BackboneError, match=r"takes no images of 48×48 pixels"):
        describe_network(backbone)


class Branching(torch.nn.Module):
    """Cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.only = torch.nn.Conv2d(3, 2, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.only(images) if images.mean() < 1 else images


def test_a_network_that_cannot_be_traced_is_described_without_cuts() -> None:
    backbone = Backbone("own/branching", "none", "none", Branching().eval(), Preprocessing(crop=(8, 8)), None)
    found = describe_network(backbone)
    assert "cannot trace its code" in found.note
    assert [(row.name, row.can_cut) for row in found.layers] == [("only", False)]


@pytest.mark.parametrize("family", NETWORKS)
def test_what_is_said_to_be_tapped_can_be_and_nothing_else(family: str) -> None:
    backbone = small_backbone(family)
    for name, row in rows_of(backbone).items():
        if row.can_tap:
            assert feature_sizes(backbone, [Tap(name, "map")])[f"{name}:map"] == tuple(row.shape or ())
        else:
            assert row.shape is None
            with pytest.raises(BackboneError):
                feature_sizes(backbone, [Tap(name, "map")])
