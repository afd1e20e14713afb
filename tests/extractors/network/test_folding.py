"""What is folded gives the features that it gave before, and tapped layers stay what they are."""

import pytest
import torch
import torchvision
from torch import nn

from headstart.extractors.network.casting import cast_weights
from headstart.extractors.network.folding import SelfAttention, fold_batch_norms, open_attention, simplify

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def lively(module: nn.Module) -> nn.Module:
    """Give batch norms statistics that are no identity, and freeze."""
    generator = torch.Generator().manual_seed(1)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean = torch.randn(layer.num_features, generator=generator) * 0.1
            layer.running_var = torch.rand(layer.num_features, generator=generator) + 0.5
    return module.eval().requires_grad_(False)


def test_every_batch_norm_of_a_resnet_is_folded_and_its_output_stays() -> None:
    network = lively(torchvision.models.resnet18())
    before = network(IMAGES)
    assert fold_batch_norms(network) == 20
    assert not [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    torch.testing.assert_close(network(IMAGES), before, rtol=1e-4, atol=1e-4)


def test_the_names_of_the_layers_stay() -> None:
    network = lively(torchvision.models.resnet18())
    before = [name for name, _ in network.named_modules()]
    simplify(network, [])
    cast_weights(network)
    assert [name for name, _ in network.named_modules()] == before


def test_a_convolution_that_is_read_keeps_its_output() -> None:
    network = lively(torchvision.models.resnet18())
    expected = network.conv1(IMAGES)
    assert fold_batch_norms(network, keep=["conv1"]) == 19
    torch.testing.assert_close(network.conv1(IMAGES), expected)


class Shared(nn.Module):
    """A convolution that is called twice, one whose output goes two ways, and one that is as it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.forked, self.plain = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.norm_a, self.norm_b, self.norm_c = (nn.BatchNorm2d(3) for _ in range(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = self.norm_a(self.twice(self.twice(images)))
        forked = self.forked(images)
        images = self.norm_b(forked) + forked
        return self.norm_c(self.plain(images))  # type: ignore[no-any-return]  # modules return Any


def test_only_a_convolution_that_nobody_else_needs_is_changed() -> None:
    network = lively(Shared())
    before = network(IMAGES)
    assert fold_batch_norms(network) == 1
    torch.testing.assert_close(network(IMAGES), before, rtol=1e-5, atol=1e-5)


class Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.sum() > 0:
            images = self.norm(self.conv(images))
        return images


def test_a_network_that_cannot_be_traced_is_left_alone() -> None:
    network = lively(Untraceable())
    before = network(IMAGES)
    assert fold_batch_norms(network) == 0
    assert torch.equal(network(IMAGES), before)


def test_the_opened_attention_of_a_vision_transformer_gives_the_same() -> None:
    network = torchvision.models.VisionTransformer(64, 16, 3, 4, 32, 64).eval().requires_grad_(False)
    before = network(IMAGES)
    names = set(network.state_dict())
    assert open_attention(network) == 3
    assert sum(isinstance(layer, SelfAttention) for layer in network.modules()) == 3
    torch.testing.assert_close(network(IMAGES), before, rtol=1e-4, atol=1e-5)
    assert set(network.state_dict()) == names


def test_weights_that_were_cast_once_give_the_bits_that_autocast_gives() -> None:
    network = lively(torchvision.models.mobilenet_v2())
    with torch.autocast("cpu", torch.bfloat16):
        before = network(IMAGES)
        cast_weights(network)
        assert network.classifier[1].weight.dtype == torch.bfloat16
        assert network.features[0][1].weight.dtype == torch.float32  # of a batch norm
        assert torch.equal(network(IMAGES), before)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_b0", "densenet121", "vit_b_32", "swin_t"])
def test_networks_of_every_kind_keep_their_output(name: str) -> None:
    torch.manual_seed(0)
    network = lively(torchvision.models.get_model(name))
    images = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    before = network(images)
    simplify(network, [])
    torch.testing.assert_close(network(images), before, rtol=1e-3, atol=1e-3 * float(before.abs().max()))


class Stem(nn.Module):
    """A convolution inside a container, and its batch norm outside."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3)), nn.BatchNorm2d(5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.stem(images))  # type: ignore[no-any-return]  # modules return Any


@pytest.mark.parametrize(("keep", "folded"), [(["stem"], 0), (["stem.2"], 0), (["stem.0"], 1), (["norm"], 1), ([], 1)])
def test_a_container_that_is_read_keeps_its_output(keep: list[str], folded: int) -> None:
    network = lively(Stem())
    expected = {name: dict(network.named_modules())[name] for name in keep if name == "stem"}
    before = network.stem(IMAGES) if expected else None
    assert fold_batch_norms(network, keep) == folded
    if before is not None:
        torch.testing.assert_close(network.stem(IMAGES), before)


class Keeping(nn.Module):
    """A network that keeps what it made in its first pass."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.window = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = self.norm(self.conv(images))
        if self.window is None:
            self.window = images[:1] * 0 + 1
        return images * self.window


def test_tracing_leaves_nothing_behind_in_the_network() -> None:
    network = lively(Keeping())
    fold_batch_norms(network)
    assert network.window is None
    assert network(IMAGES).shape == (2, 3, 62, 62)


def test_a_batch_norm_without_statistics_stays() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3, track_running_stats=False)).eval()
    before = network(IMAGES)
    assert fold_batch_norms(network) == 0
    torch.testing.assert_close(network(IMAGES), before)


class TwoNames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)
        self.also_norm = self.norm

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.also_norm(self.conv(images))  # type: ignore[no-any-return]  # modules return Any


def test_a_layer_with_two_names_is_not_folded_by_halves() -> None:
    network = lively(TwoNames())
    before = network(IMAGES)
    fold_batch_norms(network)
    torch.testing.assert_close(network(IMAGES), before)
