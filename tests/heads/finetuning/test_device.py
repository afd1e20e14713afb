"""A tail trains and predicts on the device it is told, and what is kept of it is read where there is none."""

from typing import Any

import numpy as np
import pytest
import torch
from support.pretended_cuda import OnGpu, pretended_cuda
from torch import nn

from headstart.heads.finetuning import TailClassifier

BLOCKS = ["0", "1", "5"]
SHORT = {"epochs": 3, "batch_size": 8}


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pooled = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), *pooled, nn.Linear(8, 3))


def maps() -> tuple[Any, Any]:
    return np.random.default_rng(0).normal(size=(60, 8, 4, 4)).astype(np.float16), np.arange(60) % 3


class Kept:
    """A checkpoint in memory; the run ends after an epoch of this number."""

    def __init__(self, ends_after: int) -> None:
        self.arrays: Any = None
        self.ends_after = ends_after

    def load(self) -> Any:
        return self.arrays

    def save(self, arrays: Any) -> None:
        assert all(type(array) is np.ndarray for array in arrays.values())
        self.arrays = arrays
        if len(arrays["history"]) == self.ends_after:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"optimizer": "adamw", "class_weight": "balanced"},
        {"batch_norm": "train"},
        {"unfreeze": "progressive", "epochs": 6},
        {"start": "linear", "guide": {"0.weight": np.zeros((8, 8, 3, 3), np.float32)}},
    ],
    ids=["sgd", "adamw", "batch norms", "phases", "guided"],
)
def test_a_tail_trains_on_cuda_as_on_the_cpu(how: dict[str, Any]) -> None:
    X, y = maps()
    expected = TailClassifier(network(), BLOCKS, **(SHORT | how)).fit(X, y)
    with pretended_cuda():
        found = TailClassifier(network(), BLOCKS, device="cuda", **(SHORT | how)).fit(X, y)
        probability = found.predict_proba(X)
        assert {type(one) for one in found._bound_weights().parameters()} == {OnGpu}
    np.testing.assert_array_equal(probability, expected.predict_proba(X))
    assert found.history_ == expected.history_
    assert all(type(weights) is np.ndarray for weights in found.weights_)
    saved = found.without_network()
    assert saved.device == "cpu"
    np.testing.assert_array_equal(saved.bind(network()).predict_proba(X), probability)


def test_a_training_on_cuda_goes_on_where_it_was_and_not_on_another_device() -> None:
    X, y = maps()
    kept = Kept(ends_after=2)
    settings: dict[str, Any] = {**SHORT, "optimizer": "adamw", "checkpoint": kept}
    seen: list[int] = []
    with pretended_cuda():
        whole = TailClassifier(network(), BLOCKS, device="cuda", **{**settings, "checkpoint": None}).fit(X, y)
        with pytest.raises(KeyboardInterrupt):
            TailClassifier(network(), BLOCKS, device="cuda", **settings).fit(X, y)
        tail = TailClassifier(
            network(), BLOCKS, device="cuda", on_epoch=lambda one: seen.append(int(one["epoch"] or 0)), **settings
        ).fit(X, y)
        assert seen == [3]
        np.testing.assert_array_equal(tail.predict_proba(X), whole.predict_proba(X))
    kept.ends_after = 0
    seen.clear()
    TailClassifier(network(), BLOCKS, on_epoch=lambda one: seen.append(int(one["epoch"] or 0)), **settings).fit(X, y)
    assert seen == [1, 2, 3]
