"""A network is cut only where all that follows is computed of one layer's output, and trunk and tail equal it."""

from dataclasses import replace

import pytest
import torch
from support.small_networks import N_CLASSES, NETWORKS, small_backbone, some_images
from torch import nn

from headstart.extractors.backbones import Backbone, MissingHead
from headstart.extractors.errors import BackboneError
from headstart.extractors.network import cut_before, cut_behind
from headstart.extractors.network.taps import TapReader
from headstart.extractors.spec import PENULTIMATE, Preprocessing, Tap


def backbone_of(module: nn.Module, head: str | None = None) -> Backbone:
    return Backbone(
        name="test/net",
        weights="none",
        weights_name="none",
        module=module.eval(),
        preprocessing=Preprocessing(resize=8, crop=(8, 8)),
        head=head,
    )


@pytest.mark.parametrize("family", NETWORKS)
def test_trunk_and_tail_give_the_logits_of_the_whole_network(family: str) -> None:
    backbone, layer = small_backbone(family), NETWORKS[family][2]
    tail, images = cut_before(backbone, layer), some_images()
    with torch.no_grad(), TapReader(backbone, [tail.tap]) as read:
        logits = tail.module(read(images)[str(tail.tap)])
        expected = backbone.module(images)
    assert expected.std() > 0.05
    assert (logits - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("family", NETWORKS)
def test_a_tails_weights_bear_the_networks_names_and_none_of_the_trunk_is_among_them(family: str) -> None:
    backbone, layer = small_backbone(family), NETWORKS[family][2]
    tail, whole = cut_before(backbone, layer), backbone.module.state_dict()
    own = tail.module.state_dict()
    assert all(torch.equal(values, whole[name]) for name, values in own.items())
    assert f"{backbone.head}.weight" in own
    assert 0 < len(own) < len(whole)
    assert not any(name.startswith(("conv1.", "features.0.", "conv_proj.", "features.conv0.")) for name in own)


@pytest.mark.parametrize(
    ("family", "blocks"),
    {
        "resnet": ("layer4.0", "layer4.1", "fc"),
        "mobilenet": ("features.16", "features.17", "features.18", "classifier.1"),
        "densenet": ("features.denseblock4", "features.norm5", "classifier"),
        "vit": ("encoder.layers.encoder_layer_1", "encoder.layers.encoder_layer_2", "encoder.ln", "heads.head"),
        "convnext": ("features.5.0", "features.5.1", "classifier.0", "classifier.2"),
    }.items(),
)
def test_blocks_follow_the_network_and_hold_every_weight_once(family: str, blocks: tuple[str, ...]) -> None:
    tail = cut_before(small_backbone(family), NETWORKS[family][2])
    assert tail.blocks == blocks
    owners = [[b for b in blocks if name.startswith(f"{b}.")] for name, _ in tail.module.named_parameters()]
    assert all(len(found) == 1 for found in owners)


@pytest.mark.parametrize(
    ("family", "layer", "nearest"),
    [
        ("resnet", "layer4.1.conv1", "layer4.0, layer4"),
        ("mobilenet", "features.3.conv.0", "features.2, features.3"),
        ("densenet", "features.denseblock2.denselayer1", "features.transition1, features.denseblock2"),
        ("vit", "encoder.layers.encoder_layer_1.mlp", "encoder.layers.encoder_layer_0, encoder.layers.encoder_layer_1"),
        ("convnext", "features.3.0.block.0", "features.2, features.3"),
    ],
)
def test_a_cut_through_a_skip_connection_names_the_nearest_layers(family: str, layer: str, nearest: str) -> None:
    with pytest.raises(BackboneError, match=rf"skip connection.*nearest layers where it can: {nearest}$"):
        cut_behind(small_backbone(family), layer)
    for one in nearest.split(", "):
        assert cut_behind(small_backbone(family), one).layer == one


def test_a_layer_in_the_middle_of_a_block_is_no_layer_to_train_from() -> None:
    with pytest.raises(BackboneError, match=r"be trained from 'layer4.1.conv2' on.*layer4"):
        cut_before(small_backbone("resnet"), "layer4.1.conv2")


def test_before_the_first_layer_there_is_nothing_to_cache() -> None:
    with pytest.raises(BackboneError, match=r"nothing lies before 'conv1'.*train from a later layer"):
        cut_before(small_backbone("resnet"), "conv1")


def test_an_unknown_layer_is_told_with_layers_that_there_are() -> None:
    with pytest.raises(BackboneError, match=r"no layer 'layer9'.*headstart summary.*fc"):
        cut_before(small_backbone("resnet"), "layer9")


class Branching(nn.Module):
    """Goes another way for large values: no graph shows that."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.first(images)
        if maps.mean() > 0:
            maps = maps * 2
        return self.last(maps.mean((2, 3)))


def test_code_that_cannot_be_traced_is_refused_with_what_to_do() -> None:
    with pytest.raises(BackboneError, match=r"cannot trace its code \(TraceError.*fit a head on its embeddings"):
        cut_behind(backbone_of(Branching()), "first")


class Twofold(nn.Module):
    """Uses one layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.twice(self.twice(self.stem(images))).mean((2, 3)))


def test_a_layer_that_is_called_twice_is_no_place_to_cut() -> None:
    with pytest.raises(BackboneError, match=r"'twice'.*called several times.*can be cut: stem"):
        cut_behind(backbone_of(Twofold(), "last"), "twice")
    assert "twice.weight" in cut_behind(backbone_of(Twofold(), "last"), "stem").module.state_dict()


class Counting(nn.Module):
    """Ends in a layer that gives other numbers at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3), Drifting(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(images).mean((2, 3)))


class Drifting(nn.Linear):
    calls = 0

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        Drifting.calls += 1
        return super().forward(rows) + Drifting.calls


def test_a_tail_that_does_not_equal_the_network_is_an_error() -> None:
    with pytest.raises(BackboneError, match=r"trunk and tail differ from the network by .*cut it elsewhere"):
        cut_behind(backbone_of(Counting(), "last"), "first")


def test_a_new_classifier_takes_the_place_of_the_old_and_nothing_else_changes() -> None:
    tail = cut_before(small_backbone("resnet"), "layer4")
    new = tail.with_classes(3, seed=5)
    assert new.module.get_submodule("fc").weight.shape == (3, 512)
    assert torch.equal(new.module.get_submodule("fc").weight, tail.with_classes(3, seed=5).module.fc.weight)
    assert not torch.equal(new.module.fc.weight, tail.with_classes(3, seed=6).module.fc.weight)
    assert tail.module.fc.weight.shape == (N_CLASSES, 512)
    before, after = tail.module.state_dict(), new.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if not name.startswith("fc."))


@pytest.mark.parametrize("head", ["fc", None])
def test_a_network_without_a_classifier_gets_one(head: str | None) -> None:
    backbone = small_backbone("resnet")
    backbone.module.fc = MissingHead()
    tail = cut_before(replace(backbone, head=head), "layer4")
    logits = tail.with_classes(3).module(torch.randn(2, 256, 2, 2))
    assert logits.shape == (2, 3)


def test_before_the_classifier_the_tail_gives_the_penultimate_features() -> None:
    backbone, images = small_backbone("mobilenet"), some_images()
    tail = cut_before(backbone, "features.16")
    with torch.no_grad(), TapReader(backbone, [tail.tap, Tap()]) as read:
        rows = read(images)
        features = tail.features()(rows[str(tail.tap)])
    torch.testing.assert_close(features, rows[PENULTIMATE])
