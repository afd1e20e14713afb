"""The work of a forward pass is counted: of what it computes and writes, and of nothing else."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from headstart.extractors.backbones import Backbone
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.network import ForwardPass
from headstart.extractors.spec import Preprocessing, Tap
from headstart.extractors.tuning.work import seconds_of


@pytest.fixture
def backbone() -> Backbone:
    """A matrix product of 192 numbers with 10, over pixels of 8 × 8."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    return dataclasses.replace(
        load_backbone("small_cnn", weights="none"),
        module=module,
        preprocessing=Preprocessing(resize=8, crop=(8, 8)),
        head=None,
    )


def seconds(backbone: Backbone, batch_size: int, value: int = 0) -> float:
    forward = ForwardPass(backbone, [Tap()], device=torch.device("cpu"), precision="fp32", batch_size=batch_size)
    return seconds_of(forward, np.full((batch_size, 8, 8, 3), value, np.uint8))


def test_an_image_counts_its_products_and_sums_and_the_numbers_that_layers_put_out(backbone: Backbone) -> None:
    operations = 2 * 192 * 10 + 48 * (192 + 10)
    assert seconds(backbone, 4) == pytest.approx(operations / (80e9 * torch.get_num_threads()))


def test_neither_the_batch_nor_its_pixels_change_the_count(backbone: Backbone) -> None:
    assert seconds(backbone, 1) == pytest.approx(seconds(backbone, 16, value=200))
