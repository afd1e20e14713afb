"""A network runs no further than its deepest tap, and what is read stays the same."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.network.taps import Tap, TapReader


def count_calls(module: nn.Module) -> list[int]:
    calls: list[int] = []
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize(
    ("taps", "blocks_after_two_passes"),
    [(["layer2"], 1), (["layer2", "layer1:max"], 1), (["layer2", "layer4"], 2), (["penultimate"], 2)],
)
def test_after_the_first_pass_the_network_runs_to_its_deepest_tap_only(
    taps: list[str], blocks_after_two_passes: int
) -> None:
    backbone = load_backbone("resnet18", weights="none")
    last = count_calls(backbone.module.layer4)
    images = torch.rand(2, 3, 64, 64)
    with TapReader(backbone, [Tap.parse(tap) for tap in taps]) as read:
        first, second = read(images), read(images)
    assert len(last) == blocks_after_two_passes
    assert list(first) == taps
    for tap in taps:
        torch.testing.assert_close(first[tap], second[tap], rtol=0, atol=0)


class Twice(nn.Module):
    """A layer that is called twice in one pass; its last output counts."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.shared(self.shared(images)).mean(dim=(2, 3)))  # type: ignore[no-any-return]  # modules return Any


def test_a_layer_that_is_called_twice_is_read_at_its_last_call() -> None:
    module = Twice().eval().requires_grad_(False)
    backbone = replace(load_backbone("small_cnn", weights="none"), module=module, head="head")
    images = torch.rand(2, 3, 8, 8)
    expected = module.shared(module.shared(images)).mean(dim=(2, 3))
    with TapReader(backbone, [Tap.parse("shared:avg")]) as read:
        for _ in range(3):
            torch.testing.assert_close(read(images)["shared:avg"], expected)
