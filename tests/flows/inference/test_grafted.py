"""The whole network with a fitted head in place of its classifier says what the head says of its features."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support.small_networks import small_backbone, some_images
from torch import nn

from headstart.extractors.backbones import Backbone
from headstart.extractors.network import TapReader
from headstart.extractors.spec import Tap
from headstart.flows.errors import JobError
from headstart.flows.inference import grafting
from headstart.flows.inference.grafted import grafted_network
from headstart.heads.estimators import make_logreg


class Convolutional(nn.Module):
    """Ends in a convolution on features that were pooled before, or on a map, whose scores are rectified and pooled."""

    def __init__(self, *, pooled_before: bool) -> None:
        super().__init__()
        self.stem, self.fc = nn.Conv2d(3, 6, 3, stride=4), nn.Conv2d(6, 10, 1)
        self.pooled_before = pooled_before

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.stem(images).relu()
        if self.pooled_before:
            return self.fc(maps.mean((2, 3), keepdim=True)).flatten(1)
        return self.fc(maps).relu().mean((2, 3))


def convolutional(*, pooled_before: bool) -> Backbone:
    torch.manual_seed(0)
    module = Convolutional(pooled_before=pooled_before).eval()
    return replace(small_backbone("resnet"), name="test/net", module=module, head="fc")


def features_of(backbone: Backbone, images: torch.Tensor) -> Any:
    with torch.no_grad(), TapReader(backbone, [Tap()]) as read:
        return read(images)["penultimate"].numpy()


def fitted_on(backbone: Backbone) -> Any:
    """Return what a saved model on a backbone has, for three classes."""
    head = make_logreg({}, 0).fit(features_of(backbone, some_images(12, seed=1)), np.arange(12) % 3)
    card = {"tap": "penultimate", "head": "logreg"}
    return SimpleNamespace(
        backbone=backbone, head=head, card=card, classes=["a", "b", "c"], folder=Path("m"), tail_layer=None
    )


@pytest.mark.parametrize(
    "backbone",
    [small_backbone("resnet"), replace(small_backbone("vit"), head=None), convolutional(pooled_before=True)],
    ids=["linear classifier", "none", "convolution"],
)
def test_it_says_what_the_head_says(backbone: Backbone) -> None:
    loaded, images = fitted_on(backbone), some_images()
    before = {name: values.clone() for name, values in backbone.module.state_dict().items()}
    found = grafted_network(loaded)(images).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, loaded.head.predict_proba(features_of(backbone, images)), atol=1e-5)
    assert all(torch.equal(before[name], values) for name, values in backbone.module.state_dict().items())


def test_scores_that_are_changed_behind_the_classifier_are_refused() -> None:
    loaded = fitted_on(convolutional(pooled_before=False))
    with pytest.raises(
        JobError, match=r"m: with logreg .* test/net is off by .*not linear.*what logreg says.*finetune"
    ):
        grafted_network(loaded)


def test_a_layer_that_is_no_classifier_of_rows_is_refused() -> None:
    backbone = small_backbone("resnet")
    loaded = fitted_on(backbone)
    backbone.module.fc = nn.Sequential(nn.Linear(512, 4), nn.ReLU())
    with pytest.raises(JobError, match=r"m: the classifier of small/resnet is a Sequential, so that it does not say"):
        grafted_network(loaded)


def test_a_stock_model_without_one_classifier_takes_no_weights() -> None:
    loaded = fitted_on(small_backbone("resnet"))
    loaded.backbone = replace(loaded.backbone, name="torchvision/mnasnet0_5", head=None)
    with pytest.raises(JobError, match=r"m: torchvision/mnasnet0_5 has not one classifier.*write --onnx"):
        grafting._stock_model(loaded)
